/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The indirect counter port_events: what became of each packet at each port (moorline.wire.Event).
 * Per CPU, so that counting shares no cache line; a reader adds the copies up. */
#ifndef MOORLINE_EVENTS_H
#define MOORLINE_EVENTS_H

#include "ports.h"

#define EVENTS_PER_PORT 64

struct event_count {
	u64 packets;
	u64 bytes;
};

/* Index: port * EVENTS_PER_PORT + event. */
BPF_F_TABLE("percpu_array", u32, struct event_count, port_events, PORT_NUMBERS *EVENTS_PER_PORT, 0);

static inline void count_event(u32 port, u32 event, u32 octets)
{
	u32 index = port * EVENTS_PER_PORT + event;
	struct event_count *count = port_events.lookup(&index);

	if (!count)
		return;
	count->packets++;
	count->bytes += octets;
}

#endif
