/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Packets that the controller gets to see (packet-in), through a ring buffer. */
#ifndef MOORLINE_PACKET_IN_H
#define MOORLINE_PACKET_IN_H

#include "cursor.h"
#include "scratch.h"

#define PACKET_IN_RING_OCTETS (1 << 20)
#define PACKET_IN_DATA_OCTETS 0x3fff /* of a longer packet, only its beginning */

struct packet_in_record {
	u32 length; /* of the frame; data holds all of it, or its beginning */
	u16 port;   /* where it arrived */
	u16 reason; /* moorline.wire.Event: one of PUNT_* */
	u16 mtu;    /* for PUNT_TOO_BIG: the longest IP packet that would go through */
	u16 pad;
	u8 data[PACKET_IN_DATA_OCTETS]; /* the frame from its Ethernet header on */
};

struct packet_in_table_t {
	int key;
	u32 leaf;
	int (*ringbuf_output)(void *, u64, u64);
	u32 max_entries;
};
__attribute__((section("maps/ringbuf"))) struct packet_in_table_t packet_in = {
	.max_entries = PACKET_IN_RING_OCTETS};

static inline int is_punt(int event)
{
	return event >= EVENT_PUNT_CONNECTION_MISS && event <= EVENT_PUNT_TTL_EXPIRED;
}

/* Shows the packet to the controller. Returns the event that the packet ends with: the reason, or
 * a drop when nobody reads the ring fast enough. */
static inline int punt(hook_context *ctx, const struct packet *packet, u16 reason)
{
	struct packet_in_record *record = scratch();
	u32 octets = packet->length;

	if (octets > PACKET_IN_DATA_OCTETS)
		octets = PACKET_IN_DATA_OCTETS;
	/* What the compiler knows of the bounds, the verifier is to see. */
	asm volatile("" : "+r"(octets));
	octets &= PACKET_IN_DATA_OCTETS;
	if (!record || octets < sizeof(struct ethhdr))
		return EVENT_DROP_PACKET_IN_FULL;
	record->length = packet->length;
	record->port = packet->port;
	record->reason = reason;
	record->mtu = packet->usable_mtu;
	record->pad = 0;
	if (packet_load(ctx, 0, record->data, octets) ||
	    packet_in.ringbuf_output(record, offsetof(struct packet_in_record, data) + octets, 0))
		return EVENT_DROP_PACKET_IN_FULL;
	return reason;
}

#endif
