/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The step edge: a frame of a plain device, or of another network. */
#ifndef MOORLINE_FROM_EDGE_H
#define MOORLINE_FROM_EDGE_H

#include "journey.h"
#include "own.h"

/* Moves past the Ethernet header and a VLAN tag, which is noted. Returns the EtherType in network
 * order, 0 if the frame ends before. */
static inline __be16 take_link(struct cursor *cursor, struct journey *journey)
{
	struct ethhdr *eth = take(cursor, sizeof(*eth));
	struct vlan_tag *tag;

	if (!eth)
		return 0;
	__builtin_memcpy(journey->src_mac, eth->h_source, ETH_ALEN);
	if (eth->h_proto != bpf_htons(ETH_P_8021Q))
		return eth->h_proto;
	tag = take(cursor, sizeof(*tag));
	if (!tag)
		return 0;
	journey->vlan = bpf_ntohs(tag->control) & VLAN_ID_MASK;
	return tag->ethertype;
}

static inline int from_edge(hook_context *ctx, struct packet *packet, struct journey *journey)
{
	struct cursor cursor = cursor_of(packet);
	__be16 protocol = take_link(&cursor, journey);
	u32 offset = offset_of(packet, cursor.position);
	struct inner inner = {};
	int event;

	if (protocol != bpf_htons(ETH_P_IP) && protocol != bpf_htons(ETH_P_IPV6))
		return EVENT_PASS;
	move_to(packet, &cursor, offset);
	event = parse_inner(&cursor, protocol, packet->length - offset, &inner);
	if (event)
		return event;
	if (is_link_local(&inner) || is_for_node(packet, &inner))
		return EVENT_PASS;
	note_inner(journey, &cursor, &inner, offset);
	if (is_probe(journey->traveller.transport))
		return EVENT_DROP_PROBE_END;
	if (is_expired(&inner, journey->hops))
		return EVENT_PUNT_TTL_EXPIRED;
	return go_on(ctx, packet, XDP_STEP_class);
}

#endif
