/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The step node: a packet on a path that another node has sent. */
#ifndef MOORLINE_FROM_NODE_H
#define MOORLINE_FROM_NODE_H

#include "ecn.h"
#include "journey.h"

static inline int from_node(hook_context *ctx, struct packet *packet, struct journey *journey)
{
	u8 outer_class = journey->traffic_class;
	struct cursor cursor = cursor_of(packet);
	struct inner inner = {};
	int event;

	if (!(u8)journey->traveller.path)
		return EVENT_DROP_SERVICE_INDEX;
	if (is_unspecified(&journey->outer_source) ||
	    !origin_lookup(packet, journey->outer_source.halves))
		return EVENT_DROP_SOURCE;
	if (journey->ttl <= 1)
		return EVENT_DROP_OUTER_TTL;
	move_to(packet, &cursor, journey->inner_offset);
	event = parse_inner(&cursor, journey->protocol, journey->available, &inner);
	if (event)
		return event;
	if (inner.length != journey->available)
		return EVENT_DROP_INNER_LENGTH;
	note_inner(journey, &cursor, &inner, journey->inner_offset);
	journey->ecn = ecn_combined(journey->ecn, outer_class & ECN_MASK);
	if (journey->ecn == ECN_DROP)
		return EVENT_DROP_INNER_ECN;
	journey->ttl--;
	return go_on(ctx, packet, XDP_STEP_hop);
}

#endif
