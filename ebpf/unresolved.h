/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Packets for neighbours that the kernel does not know yet, through a ring buffer: a program at XDP can
 * find a neighbour but not ask for one. The agent has the kernel ask, and sends them then. */
#ifndef MOORLINE_UNRESOLVED_H
#define MOORLINE_UNRESOLVED_H

#include "burst.h"
#include "cursor.h"
#include "scratch.h"

#define UNRESOLVED_RING_OCTETS (1 << 20)
#define UNRESOLVED_DATA_OCTETS 0x3fff /* of a longer packet, only its beginning */
#define UNRESOLVED_OF_PERIOD   64     /* of one CPU */

struct unresolved_record {
	u32 length;                      /* of the frame; data holds all of it, or its beginning */
	u32 port;                        /* that it is to leave by */
	u8 data[UNRESOLVED_DATA_OCTETS]; /* the frame, its link-layer addresses to be written */
};

struct unresolved_table_t {
	int key;
	u32 leaf;
	int (*ringbuf_output)(void *, u64, u64);
	u32 max_entries;
};
__attribute__((section("maps/ringbuf"))) struct unresolved_table_t unresolved = {
	.max_entries = UNRESOLVED_RING_OCTETS};

BPF_F_TABLE("percpu_array", u32, struct burst, unresolved_burst, 1, 0);

/* The packet counts as dropped: nobody here knows whether the neighbour will answer. */
static inline void ask_for_neighbour(struct xdp_md *ctx, const struct packet *packet)
{
	struct unresolved_record *record = scratch();
	u32 zero = 0, octets = bpf_xdp_get_buff_len(ctx);

	if (!record || !burst_allows(unresolved_burst.lookup(&zero), UNRESOLVED_OF_PERIOD))
		return;
	record->length = octets;
	record->port = packet->unresolved;
	if (octets > UNRESOLVED_DATA_OCTETS)
		octets = UNRESOLVED_DATA_OCTETS;
	/* What the compiler knows of the bounds, the verifier is to see. */
	asm volatile("" : "+r"(octets));
	octets &= UNRESOLVED_DATA_OCTETS;
	if (octets < sizeof(struct ethhdr) || bpf_xdp_load_bytes(ctx, 0, record->data, octets))
		return;
	unresolved.ringbuf_output(record, offsetof(struct unresolved_record, data) + octets, 0);
}

#endif
