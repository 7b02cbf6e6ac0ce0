/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* A packet as the pipeline sees it, and the cursor that its headers are read with.
 *
 * take() hands out the next octets and moves on, peek() only looks; both give NULL when the linear
 * part of the packet ends before. Pointers into the packet live until the packet is resized.
 */
#ifndef MOORLINE_CURSOR_H
#define MOORLINE_CURSOR_H

#include "headers.h"

struct packet {
	void *data;
	void *end;  /* of the linear part */
	u32 length; /* of the frame, from the Ethernet header on, linear or not */
	u32 port;
	struct hits *shared_hits; /* counters that are counted at the end of its way */
	u32 usable_mtu; /* of a packet that is too big: the longest that would go through */
	u32 unresolved; /* the port that it would leave by to a neighbour not known yet, or 0 */
};

struct cursor {
	void *position;
	void *end;
};

static inline struct cursor cursor_of(const struct packet *packet)
{
	struct cursor cursor = {.position = packet->data, .end = packet->end};

	return cursor;
}

static inline void *peek(const struct cursor *cursor, u32 octets)
{
	void *position = cursor->position;

	return position + octets > cursor->end ? NULL : position;
}

static inline void *take(struct cursor *cursor, u32 octets)
{
	void *position = peek(cursor, octets);

	if (position)
		cursor->position = position + octets;
	return position;
}

static inline u32 offset_of(const struct packet *packet, const void *position)
{
	u64 offset = (u64)position - (u64)packet->data;

	/* A number from here on: sums with it are not to become sums of pointers. */
	asm("" : "+r"(offset));
	return offset;
}

/* Moves the cursor to an offset of less than 128, by which the verifier does not know which headers
 * have led to it: it looks once at what follows, not once for each sequence of headers. */
static inline void move_to(const struct packet *packet, struct cursor *cursor, u32 offset)
{
	cursor->position = packet->data + (offset & 0x7f);
}

#endif
