/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* A packet that goes on from one node to another: new outer headers, what it carries not looked at. */
#ifndef MOORLINE_RELAY_H
#define MOORLINE_RELAY_H

#include "departure.h"
#include "geneve.h"

/* Which of the entry's two nodes the packet goes to, and under which SCID. */
static inline int find_way(struct packet *packet, const struct outer *outer,
			   const struct scid_entry *entry, struct departure *departure)
{
	struct origin_entry *origin = origin_of(packet, outer);
	const struct scid_rest *rest = scid_rest_of(entry);
	u16 node;

	if (!origin || !rest)
		return EVENT_DROP_SOURCE;
	node = origin->data.from_node.node;
	if (node == entry->data.relay.node0) {
		departure->node = entry->data.relay.node1;
		departure->plan.scid = scid_of(rest->data.relay.scid1);
	} else if (node == entry->data.relay.node1) {
		departure->node = entry->data.relay.node0;
		departure->plan.scid = scid_of(entry->data.relay.scid0);
	}
	return departure->plan.scid ? CONTINUE : EVENT_DROP_SOURCE;
}

/* What the new outer headers take over from those that the packet came with. */
static inline int take_over(const struct packet *packet, u32 inner_offset,
			    const struct outer *outer, const struct tunnel *tunnel,
			    struct outer_plan *plan)
{
	struct cursor cursor = cursor_of(packet);
	struct udphdr *udp;
	u32 entropy;
	u8 ttl;

	move_to(packet, &cursor, inner_offset - outer_octets(outer->is_ipv6));
	if (outer->is_ipv6) {
		struct ipv6hdr *ip = take(&cursor, sizeof(*ip));

		ttl = ip ? ip->hop_limit : 0;
	} else {
		struct iphdr *ip = take(&cursor, sizeof(*ip));

		ttl = ip ? ip->ttl : 0;
	}
	udp = take(&cursor, sizeof(*udp));
	if (!udp || ttl <= 1)
		return EVENT_DROP_OUTER_TTL;
	entropy = bpf_ntohs(udp->source) & FLOW_PORT_MASK;
	plan->ttl = ttl - 1;
	plan->traffic_class = outer->traffic_class;
	plan->flow = entropy << FLOW_PATH_BIT | entropy;
	plan->path = tunnel->path;
	plan->tenant = tunnel->tenant;
	plan->inner_length = outer->payload - sizeof(struct data_header);
	plan->inner_ipv6 = tunnel->protocol == bpf_htons(ETH_P_IPV6);
	return CONTINUE;
}

/* Octets of the longest inner packet once this one, which begins at the cursor, is cut into segments:
 * by the kernel, which knows its headers to be sound. */
static inline u32 longest_relayed(const hook_context *ctx, const struct packet *packet,
				  const struct cursor *cursor, const struct outer_plan *plan)
{
	u32 start = offset_of(packet, cursor->position);
	struct inner inner = {.length = plan->inner_length};
	struct cursor behind = *cursor;

	if (!packet_segment(ctx))
		return inner.length;
	if (plan->inner_ipv6) {
		struct ipv6hdr *ip = take(&behind, sizeof(*ip));

		inner.next = ip ? ip->nexthdr : 0;
	} else {
		struct iphdr *ip = take(&behind, sizeof(*ip));

		inner.next = ip ? ip->protocol : 0;
		if (ip && ip->ihl > IPV4_WORDS)
			take(&behind, (ip->ihl - IPV4_WORDS) * 4);
	}
	return longest_segment(ctx, packet, &behind, &inner, start);
}

/* The cursor stands at the inner packet. */
static inline int relay(hook_context *ctx, struct packet *packet, const struct cursor *cursor,
			const struct outer *outer, const struct tunnel *tunnel,
			const struct scid_entry *entry)
{
	u32 inner_offset = offset_of(packet, cursor->position);
	struct departure departure = {};
	struct outer_plan *plan = &departure.plan;
	u32 octets, padding;
	int event, ipv6;

	if (entry->data.relay.tenant != tunnel->tenant)
		return EVENT_DROP_TENANT;
	event = find_way(packet, outer, entry, &departure);
	if (event)
		return event;
	event = take_over(packet, inner_offset, outer, tunnel, plan);
	if (event)
		return event;
	event = find_path(packet, &departure);
	if (event)
		return event;
	ipv6 = !is_mapped(&plan->destination);
	octets = outer_octets(ipv6);
	if (longest_relayed(ctx, packet, cursor, plan) + octets > departure.mtu)
		return EVENT_DROP_OUTER_TOO_BIG;
	if (plan->inner_length + octets > LONGEST_PACKET)
		return EVENT_DROP_NO_ROOM;
	padding = packet->length - inner_offset - plan->inner_length;
	if ((padding && packet_trim(ctx, packet, padding)) ||
	    packet_exchange(ctx, packet, inner_offset, octets, plan->vlan, outer->is_ipv6, ipv6))
		return EVENT_DROP_NO_ROOM;
	event = put_outer(packet, plan);
	return event ? event : depart(ctx, packet, &departure);
}

#endif
