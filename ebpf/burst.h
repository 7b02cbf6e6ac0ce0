/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* How much one CPU tells of something, where a pause after each time would lose what belongs together. */
#ifndef MOORLINE_BURST_H
#define MOORLINE_BURST_H

#include "headers.h"

#define BURST_PERIOD_NS 100000000

struct burst {
	u64 since; /* when the period began, in nanoseconds since the start of the machine */
	u64 told;  /* how often since then */
};

static inline int burst_allows(struct burst *burst, u64 most)
{
	u64 now = bpf_ktime_get_ns();

	if (!burst)
		return 0;
	if (now - burst->since > BURST_PERIOD_NS) {
		burst->since = now;
		burst->told = 0;
	}
	return burst->told++ < most;
}

#endif
