/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The last step of a packet's journey on this node: the inner packet as it is to be, other headers
 * before it, and out. */
#ifndef MOORLINE_LEAVE_H
#define MOORLINE_LEAVE_H

#include "departure.h"
#include "journey.h"

static inline u8 outer_class_of(const struct journey *journey)
{
	return (journey->traffic_class & ~ECN_MASK) | journey->ecn;
}

static inline u32 flow_of(const struct journey *journey)
{
	const struct traveller *traveller = &journey->traveller;
	u64 hash = HASH_SEED;

	if (journey->is_ipv6) {
		hash = mixed(hash, bpf_ntohll(traveller->source.halves[0]));
		hash = mixed(hash, bpf_ntohll(traveller->source.halves[1]));
		hash = mixed(hash, bpf_ntohll(traveller->destination.halves[0]));
		hash = mixed(hash, bpf_ntohll(traveller->destination.halves[1]));
	} else {
		hash = mixed(hash, (u64)bpf_ntohl(traveller->source.words[3]) << 32 |
					   bpf_ntohl(traveller->destination.words[3]));
	}
	return mixed(hash, traveller->transport) >> 32;
}

/* Finds the inner packet again, whose headers were looked at by a step before. */
static inline int find_inner(const struct packet *packet, const struct journey *journey,
			     struct inner *inner)
{
	struct cursor cursor = cursor_of(packet);

	move_to(packet, &cursor, journey->inner_offset);
	inner->is_ipv6 = journey->is_ipv6;
	inner->traffic_class = journey->traffic_class;
	if (inner->is_ipv6)
		inner->ipv6 = take(&cursor, sizeof(*inner->ipv6));
	else
		inner->ipv4 = take(&cursor, sizeof(*inner->ipv4));
	return inner->ipv4 || inner->ipv6 ? CONTINUE : EVENT_DROP_INNER_TRUNCATED;
}

/* Lowers the TTL, writes the ECN field, and cuts off what stands behind the inner packet. */
static inline int settle_inner(hook_context *ctx, struct packet *packet,
			       const struct journey *journey)
{
	struct inner inner = {};
	u32 padding;
	int event = find_inner(packet, journey, &inner);

	if (event)
		return event;
	if (is_expired(&inner, journey->hops))
		return EVENT_PUNT_TTL_EXPIRED;
	event = rewrite_inner(ctx, packet, &inner, journey->ecn, journey->hops);
	if (event)
		return event;
	padding = packet->length - journey->inner_offset - journey->inner_length;
	return padding && packet_trim(ctx, packet, padding) ? EVENT_DROP_NO_ROOM : CONTINUE;
}

static inline __be16 ethertype_of(const struct journey *journey)
{
	return journey->is_ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
}

/* Makes the room before the inner packet fit an Ethernet header and others. */
static inline int make_room(hook_context *ctx, struct packet *packet, const struct journey *journey,
			    u32 octets)
{
	return packet_exchange(ctx, packet, journey->inner_offset, octets, 0, 0, 0)
		       ? EVENT_DROP_NO_ROOM
		       : CONTINUE;
}

/* Whether the packet is too long for its way, and who hears of it. */
static inline int check_length(struct packet *packet, const struct journey *journey,
			       const struct departure *departure, u32 overhead)
{
	u32 room = room_for_inner(departure, overhead);

	if (journey->inner_length > room) {
		packet->usable_mtu = room;
		return journey->tells_too_big ? EVENT_PUNT_TOO_BIG : EVENT_DROP_OUTER_TOO_BIG;
	}
	return journey->inner_length + overhead > LONGEST_PACKET ? EVENT_DROP_NO_ROOM : CONTINUE;
}

/* Sends the packet to a node, on a path or, where path is 0, on none. */
static inline int leave_to_node(hook_context *ctx, struct packet *packet,
				const struct journey *journey, u16 node, u32 path)
{
	struct departure departure = {.node = node, .path_mtu = journey->path_mtu};
	struct outer_plan *plan = &departure.plan;
	u32 overhead;
	int event;

	plan->scid = journey->scid;
	plan->path = path;
	plan->tenant = journey->tenant;
	plan->flow = flow_of(journey);
	plan->inner_length = journey->inner_length;
	plan->traffic_class = outer_class_of(journey);
	plan->ttl = journey->ttl;
	plan->inner_ipv6 = journey->is_ipv6;
	event = find_path(packet, &departure);
	if (event)
		return event;
	overhead = outer_octets(!is_mapped(&plan->destination));
	event = check_length(packet, journey, &departure, overhead);
	if (event)
		return event;
	event = settle_inner(ctx, packet, journey);
	if (event)
		return event;
	if (packet_exchange(ctx, packet, journey->inner_offset, overhead, plan->vlan, 0, 0))
		return EVENT_DROP_NO_ROOM;
	event = put_outer(packet, plan);
	return event ? event : depart(ctx, packet, &departure);
}

#endif
