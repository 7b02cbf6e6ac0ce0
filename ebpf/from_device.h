/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The step device: a packet at an underlay port that may have come through the tunnel of a user's
 * device, by VXLAN, GRE or IP in IP. */
#ifndef MOORLINE_FROM_DEVICE_H
#define MOORLINE_FROM_DEVICE_H

#include "ecn.h"
#include "journey.h"
#include "outer.h"
#include "own.h"

/* What the headers of a tunnel say. */
struct user_tunnel {
	u32 available; /* octets behind what has been read */
	u32 key;
	u8 kind;
	__be16 protocol; /* of the inner packet */
};

static inline int take_vxlan(struct cursor *cursor, struct user_tunnel *tunnel,
			     struct journey *journey)
{
	struct vxlan_header *vxlan = take(cursor, sizeof(*vxlan));
	struct ethhdr *eth = take(cursor, sizeof(*eth));
	u32 octets = sizeof(*vxlan) + sizeof(*eth);

	if (!vxlan || !eth || tunnel->available < octets ||
	    bpf_ntohl(vxlan->flags) >> 24 != VXLAN_FLAGS)
		return EVENT_DROP_TUNNEL_HEADER;
	tunnel->available -= octets;
	tunnel->key = bpf_ntohl(vxlan->vni) >> 8;
	tunnel->protocol = eth->h_proto;
	__builtin_memcpy(journey->src_mac, eth->h_source, ETH_ALEN);
	return CONTINUE;
}

static inline int take_gre_header(struct cursor *cursor, struct user_tunnel *tunnel)
{
	struct gre_header *gre = take(cursor, sizeof(*gre));
	u32 octets = sizeof(*gre);
	__be32 *key;

	if (!gre || gre->flags & bpf_htons(GRE_REFUSED))
		return EVENT_DROP_TUNNEL_HEADER;
	if (gre->flags & bpf_htons(GRE_KEY)) {
		key = take(cursor, sizeof(*key));
		if (!key)
			return EVENT_DROP_TUNNEL_HEADER;
		tunnel->key = bpf_ntohl(*key);
		octets += sizeof(*key);
	}
	if (tunnel->available < octets)
		return EVENT_DROP_TUNNEL_HEADER;
	tunnel->available -= octets;
	tunnel->protocol = gre->protocol;
	return CONTINUE;
}

/* Moves the cursor to the inner packet. */
static inline int take_tunnel(struct cursor *cursor, u8 protocol, struct user_tunnel *tunnel,
			      struct journey *journey)
{
	int event = CONTINUE;

	if (tunnel->kind == TUNNEL_VXLAN)
		event = take_vxlan(cursor, tunnel, journey);
	else if (tunnel->kind == TUNNEL_GRE)
		event = take_gre_header(cursor, tunnel);
	else
		tunnel->protocol =
			protocol == IPPROTO_IPIP ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	if (event)
		return event;
	if (tunnel->protocol != bpf_htons(ETH_P_IP) && tunnel->protocol != bpf_htons(ETH_P_IPV6))
		return EVENT_DROP_TUNNEL_HEADER;
	return CONTINUE;
}

/* Kind of the tunnel that the packet may have come through, at whose header the cursor stands. */
static inline u8 tunnel_of(const struct cursor *cursor, const struct outer *outer)
{
	if (outer->next == IPPROTO_GRE)
		return TUNNEL_GRE;
	if (outer->next == IPPROTO_UDP)
		return is_udp_port(cursor, VXLAN_PORT) ? TUNNEL_VXLAN : TUNNEL_NONE;
	return is_tunnel_protocol(outer->next) ? TUNNEL_IPIP : TUNNEL_NONE;
}

/* Whether the packet is from a tunnel that ends here, and its outer headers are sound. */
static inline int check_carrier(hook_context *ctx, struct packet *packet, struct cursor *cursor,
				struct outer *outer, struct user_tunnel *tunnel)
{
	u32 least = tunnel->kind == TUNNEL_VXLAN ? sizeof(struct udphdr) : 0;
	int event;

	if (!is_terminated(packet, tunnel->kind, &outer->destination))
		return EVENT_PASS;
	if (least && !peek(cursor, sizeof(struct udphdr)))
		return EVENT_DROP_OUTER_TRUNCATED;
	event = check_outer(packet, outer, least);
	tunnel->available = outer->available;
	if (event || !least)
		return event;
	event = parse_udp(ctx, packet, cursor, outer);
	tunnel->available = outer->payload;
	return event;
}

/* Notes the tenant of the device; NULL if nobody knows it. */
static inline struct device_entry *find_device(struct packet *packet, const struct outer *outer,
					       const struct user_tunnel *tunnel,
					       struct journey *journey)
{
	u64 key[DEVICE_KEY_WORDS] = {outer->source.halves[0], outer->source.halves[1],
				     (u64)tunnel->kind << 32 | tunnel->key};
	struct device_entry *entry = is_from_nobody(outer) ? NULL : device_lookup(packet, key);

	if (entry)
		journey->tenant = entry->data.admit.tenant;
	return entry;
}

static inline int is_of_device(const union address *source, const struct device_entry *entry)
{
	const u32 *address = (const u32 *)entry->data.admit.address;
	const u32 *mask = (const u32 *)entry->data.admit.mask;
	u32 different = 0;

#pragma unroll
	for (int i = 0; i < 4; i++)
		different |= (source->words[i] & mask[i]) ^ address[i];
	return !different;
}

/* The cursor stands at the inner packet. */
static inline int from_tunnel(hook_context *ctx, struct packet *packet, struct cursor *cursor,
			      const struct outer *outer, const struct user_tunnel *tunnel,
			      const struct device_entry *entry, struct journey *journey)
{
	u32 offset = offset_of(packet, cursor->position);
	struct inner inner = {};
	int event;

	move_to(packet, cursor, offset);
	event = parse_inner(cursor, tunnel->protocol, tunnel->available, &inner);
	if (event)
		return event;
	note_inner(journey, cursor, &inner, offset);
	if (!is_of_device(&journey->traveller.source, entry))
		return EVENT_DROP_DEVICE_ADDRESS;
	if (is_link_local(&inner))
		return EVENT_DROP_NO_ROUTE;
	if (is_probe(journey->traveller.transport))
		return EVENT_DROP_PROBE_END;
	journey->ecn = ecn_combined(journey->ecn, outer->traffic_class & ECN_MASK);
	if (journey->ecn == ECN_DROP)
		return EVENT_DROP_INNER_ECN;
	return go_on(ctx, packet, XDP_STEP_class);
}

static inline int from_device(hook_context *ctx, struct packet *packet, struct journey *journey)
{
	struct cursor cursor = cursor_of(packet);
	struct user_tunnel tunnel = {};
	struct device_entry *entry;
	struct outer outer = {};
	int event = parse_outer_ip(ctx, packet, &cursor, &outer);

	if (event)
		return event;
	tunnel.kind = tunnel_of(&cursor, &outer);
	if (!tunnel.kind)
		return EVENT_PASS;
	event = check_carrier(ctx, packet, &cursor, &outer, &tunnel);
	if (event)
		return event;
	look_anew(ctx, packet, &cursor);
	event = take_tunnel(&cursor, outer.next, &tunnel, journey);
	if (event)
		return event;
	entry = find_device(packet, &outer, &tunnel, journey);
	if (!entry)
		return EVENT_DROP_DEVICE_UNKNOWN;
	return from_tunnel(ctx, packet, &cursor, &outer, &tunnel, entry, journey);
}

#endif
