/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The step route: where a packet goes that is on no service path, or at the end of one. */
#ifndef MOORLINE_ROUTE_H
#define MOORLINE_ROUTE_H

#include "classifier.h"
#include "leave.h"

/* Link-layer addresses of the frame in VXLAN: it is routed, so nobody looks at them. */
static const u8 VXLAN_DESTINATION[ETH_ALEN] = {0x02, 0x6d, 0x6c, 0xff, 0xff, 0xff};
static const u8 VXLAN_SOURCE[ETH_ALEN] = {0x02, 0x6d, 0x6c};

/* Writes the packet as it goes out by an edge port, but for its link-layer addresses. */
static inline int settle_frame(hook_context *ctx, struct packet *packet,
			       const struct journey *journey, u16 vlan)
{
	struct cursor cursor;
	int event = settle_inner(ctx, packet, journey);

	if (event)
		return event;
	if (packet_exchange(ctx, packet, journey->inner_offset, 0, vlan, 0, 0))
		return EVENT_DROP_NO_ROOM;
	cursor = cursor_of(packet);
	return packet_put_ethernet(&cursor, vlan, journey->is_ipv6) ? EVENT_DROP_NO_ROOM : CONTINUE;
}

/* Out to the destination's next hop on the link of an edge port. */
static inline int leave_by_port(hook_context *ctx, struct packet *packet,
				const struct journey *journey, u16 port, u16 vlan)
{
	struct port_facts *out = port_of_number(port);
	struct bpf_fib_lookup fib = {};
	int event, found;

	if (!out)
		return EVENT_DROP_NO_ROUTE;
	ask_for(&fib, &journey->traveller.source, &journey->traveller.destination);
	found = find_neighbour(ctx, &fib, out);
	if (found && found != EVENT_DROP_NO_NEIGHBOUR)
		return found;
	event = settle_frame(ctx, packet, journey, vlan);
	if (found && !event)
		packet->unresolved = port;
	if (found || event)
		return found ?: event;
	return packet_leave(packet, out, fib.dmac, fib.smac);
}

static inline u32 user_tunnel_octets(const struct route_entry *route, int ipv6)
{
	u32 octets = ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	if (route->data.route_tunnel.tunnel == TUNNEL_VXLAN)
		return octets + sizeof(struct udphdr) + sizeof(struct vxlan_header) +
		       sizeof(struct ethhdr);
	if (route->data.route_tunnel.tunnel == TUNNEL_GRE)
		octets += sizeof(struct gre_header) +
			  (route->data.route_tunnel.key ? sizeof(__be32) : 0);
	return octets;
}

static inline int put_vxlan(struct cursor *cursor, const struct journey *journey,
			    const struct route_entry *route, u32 flow)
{
	struct udphdr *udp = take(cursor, sizeof(*udp));
	struct vxlan_header *vxlan = take(cursor, sizeof(*vxlan));
	struct ethhdr *eth = take(cursor, sizeof(*eth));

	if (!udp || !vxlan || !eth)
		return EVENT_DROP_NO_ROOM;
	udp->source = bpf_htons(FLOW_PORT_BASE | (flow & FLOW_PORT_MASK));
	udp->dest = bpf_htons(VXLAN_PORT);
	udp->len = bpf_htons(journey->inner_length + sizeof(*udp) + sizeof(*vxlan) + sizeof(*eth));
	udp->check = 0;
	vxlan->flags = bpf_htonl(VXLAN_FLAGS << 24);
	vxlan->vni = bpf_htonl(route->data.route_tunnel.key << 8);
	__builtin_memcpy(eth->h_dest, VXLAN_DESTINATION, ETH_ALEN);
	__builtin_memcpy(eth->h_source, VXLAN_SOURCE, ETH_ALEN);
	eth->h_proto = ethertype_of(journey);
	return CONTINUE;
}

static inline int put_gre_header(struct cursor *cursor, const struct journey *journey,
				 const struct route_entry *route)
{
	struct gre_header *gre = take(cursor, sizeof(*gre));
	__be32 *key;

	if (!gre)
		return EVENT_DROP_NO_ROOM;
	gre->flags = route->data.route_tunnel.key ? bpf_htons(GRE_KEY) : 0;
	gre->protocol = ethertype_of(journey);
	if (!route->data.route_tunnel.key)
		return CONTINUE;
	key = take(cursor, sizeof(*key));
	if (!key)
		return EVENT_DROP_NO_ROOM;
	*key = bpf_htonl(route->data.route_tunnel.key);
	return CONTINUE;
}

static inline u8 protocol_of(const struct journey *journey, u8 tunnel)
{
	if (tunnel == TUNNEL_VXLAN)
		return IPPROTO_UDP;
	if (tunnel == TUNNEL_GRE)
		return IPPROTO_GRE;
	return journey->is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
}

/* Writes the headers of a user's tunnel into the room before the inner packet. */
static inline int put_user_tunnel(struct packet *packet, const struct journey *journey,
				  const struct route_entry *route, const struct outer_plan *plan)
{
	u8 tunnel = route->data.route_tunnel.tunnel, protocol = protocol_of(journey, tunnel);
	int ipv6 = !is_mapped(&plan->destination);
	u32 total = journey->inner_length + user_tunnel_octets(route, ipv6);
	struct cursor cursor = cursor_of(packet);
	int event;

	if (packet_put_ethernet(&cursor, plan->vlan, ipv6))
		return EVENT_DROP_NO_ROOM;
	if (ipv6)
		event = put_ipv6(&cursor, &plan->source, &plan->destination, total, protocol,
				 outer_class_of(journey), OUTER_TTL,
				 plan->flow >> FLOW_LABEL_BIT & FLOW_LABEL);
	else
		event = put_ipv4(&cursor, plan->source.words[3], plan->destination.words[3], total,
				 protocol, outer_class_of(journey), OUTER_TTL);
	if (event)
		return event;
	if (tunnel == TUNNEL_VXLAN)
		return put_vxlan(&cursor, journey, route, plan->flow);
	return tunnel == TUNNEL_GRE ? put_gre_header(&cursor, journey, route) : CONTINUE;
}

/* Into the tunnel of a user's device. */
static inline int leave_by_tunnel(hook_context *ctx, struct packet *packet,
				  const struct journey *journey, const struct route_entry *route)
{
	struct departure departure = {.path_mtu = LONGEST_PACKET};
	struct outer_plan *plan = &departure.plan;
	u32 overhead;
	int event;

	copy_words(&plan->destination, route->data.route_tunnel.remote);
	plan->flow = flow_of(journey);
	event = find_uplink(packet, &departure, route->data.route_tunnel.port);
	if (event)
		return event;
	overhead = user_tunnel_octets(route, !is_mapped(&plan->destination));
	event = check_length(packet, journey, &departure, overhead);
	if (event)
		return event;
	event = settle_inner(ctx, packet, journey);
	if (event)
		return event;
	if (packet_exchange(ctx, packet, journey->inner_offset, overhead, plan->vlan, 0, 0))
		return EVENT_DROP_NO_ROOM;
	event = put_user_tunnel(packet, journey, route, plan);
	return event ? event : depart(ctx, packet, &departure);
}

static inline int take_route(hook_context *ctx, struct packet *packet, struct journey *journey)
{
	struct route_entry *route =
		route_lookup(packet, journey->tenant, &journey->traveller.destination);

	if (!route)
		return EVENT_DROP_NO_ROUTE;
	if (route->action == ACTION_route_port)
		return leave_by_port(ctx, packet, journey, route->data.route_port.port,
				     route->data.route_port.vlan);
	if (route->action == ACTION_route_tunnel)
		return leave_by_tunnel(ctx, packet, journey, route);
	if (!(journey->traveller.path >> 8))
		return EVENT_DROP_NO_ROUTE; /* nobody takes a packet with neither path nor SCID */
	return leave_to_node(ctx, packet, journey, route->data.route_node.node,
			     journey->traveller.path);
}

#endif
