/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Memory of one CPU for what is too large for the stack. One user at a time. */
#ifndef MOORLINE_SCRATCH_H
#define MOORLINE_SCRATCH_H

#include "ports.h"

#define SCRATCH_OCTETS 16400 /* a record of the ring packet_in */

struct scratch_memory {
	u8 octets[SCRATCH_OCTETS] __attribute__((aligned(8)));
};

BPF_F_TABLE("percpu_array", u32, struct scratch_memory, scratch_memory, 1, 0);

static inline void *scratch(void)
{
	u32 zero = 0;

	return scratch_memory.lookup(&zero);
}

#endif
