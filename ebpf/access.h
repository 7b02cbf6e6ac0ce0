/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The way of a packet from an access port: into the tunnel of its connection. */
#ifndef MOORLINE_ACCESS_H
#define MOORLINE_ACCESS_H

#include "departure.h"
#include "events.h"
#include "hand_over.h"
#include "terminate.h"

/* Addresses that stay on the link: the kernel's. */
static inline int is_link_ipv4(__be32 destination)
{
	u32 address = bpf_ntohl(destination);

	return address >> 28 == 0xe ||  /* multicast, 224.0.0.0/4 */
	       address == 0xffffffff || /* broadcast */
	       address >> 16 == 0xa9fe; /* link-local, 169.254.0.0/16 */
}

static inline int is_link_ipv6(const struct in6_addr *destination)
{
	u16 first = bpf_ntohs(destination->in6_u.u6_addr16[0]);

	return first >> 8 == 0xff || (first & 0xffc0) == 0xfe80;
}

static inline int is_link_local(const struct inner *inner)
{
	return inner->is_ipv6 ? is_link_ipv6(&inner->ipv6->daddr)
			      : is_link_ipv4(inner->ipv4->daddr);
}

/* Finds the connection between the inner addresses. */
static inline int find_connection(struct packet *packet, const struct inner *inner, u32 tenant,
				  struct departure *departure)
{
	struct {
		u32 tenant;
		u32 src[4];
		u32 dst[4];
		u32 pad;
	} __attribute__((aligned(8))) key = {.tenant = tenant};
	struct connection_entry *entry;

	if (!inner->is_ipv6) {
		key.src[2] = key.dst[2] = bpf_htonl(0xffff);
		key.src[3] = inner->ipv4->saddr;
		key.dst[3] = inner->ipv4->daddr;
	} else {
		__builtin_memcpy(key.src, &inner->ipv6->saddr, sizeof(key.src));
		__builtin_memcpy(key.dst, &inner->ipv6->daddr, sizeof(key.dst));
	}
	entry = connection_lookup(packet, (const u64 *)&key);
	if (!entry)
		return EVENT_PUNT_CONNECTION_MISS;
	if (entry->action == ACTION_local) {
		if (!entry->data.local.port)
			return EVENT_PASS;
		departure->local_port = entry->data.local.port;
		return CONTINUE;
	}
	if (entry->action != ACTION_encapsulate)
		return EVENT_DROP_CONNECTION_DENIED;
	departure->node = entry->data.encapsulate.node;
	departure->path_mtu = entry->data.encapsulate.mtu;
	departure->plan.scid = scid_of(entry->data.encapsulate.scid);
	departure->plan.path = entry->data.encapsulate.spi << 8 | entry->data.encapsulate.si;
	departure->plan.tenant = tenant;
	return CONTINUE;
}

/* Hands the packet to another access port of this node. */
static inline int to_other_access(hook_context *ctx, struct packet *packet, struct inner *inner,
				  u32 available, u16 port, u8 hops)
{
	struct port_facts *out = port_of_number(port);
	u32 padding = available - inner->length;
	int ipv6 = inner->is_ipv6;
	int event;

	if (is_expired(inner, hops))
		return EVENT_PUNT_TTL_EXPIRED;
	if (!out)
		return EVENT_DROP_NO_ROUTE;
	event = rewrite_inner(ctx, packet, inner, inner->traffic_class & ECN_MASK, hops);
	if (event)
		return event;
	if (padding && packet_trim(ctx, packet, padding))
		return EVENT_DROP_NO_ROOM;
	return hand_over(ctx, packet, out, ipv6);
}

/* Whether the packet is for the node itself: no connection of a host beyond a gateway port. */
static inline int is_for_node(struct packet *packet, const struct inner *inner)
{
	union address destination;

	if (inner->is_ipv6)
		__builtin_memcpy(&destination, &inner->ipv6->daddr, sizeof(destination));
	else
		map_ipv4(&destination, inner->ipv4->daddr);
	return is_terminated(packet, TUNNEL_NONE, &destination);
}

/* Octets of the longest inner packet that fits the uplink, and the rest of the path. */
static inline u32 room_for_inner(const struct departure *departure, u32 overhead)
{
	u32 room = departure->mtu > overhead ? departure->mtu - overhead : 0;

	return departure->path_mtu < room ? departure->path_mtu : room;
}

static inline int from_access(hook_context *ctx, struct packet *packet,
			      const struct port_role_entry *role)
{
	struct cursor cursor = cursor_of(packet);
	struct departure departure = {};
	struct inner inner = {};
	struct ethhdr *eth = take(&cursor, sizeof(*eth));
	u32 available, overhead, room;
	int event;
	u8 hops;

	if (!eth || (eth->h_proto != bpf_htons(ETH_P_IP) && eth->h_proto != bpf_htons(ETH_P_IPV6)))
		return EVENT_PASS;
	available = packet->length - sizeof(*eth);
	event = parse_inner(&cursor, eth->h_proto, available, &inner);
	if (event)
		return event;
	if (is_link_local(&inner))
		return EVENT_PASS;
	hops = role->data.access.hops;
	event = find_connection(packet, &inner, role->data.access.tenant, &departure);
	if (event == EVENT_PUNT_CONNECTION_MISS && hops && is_for_node(packet, &inner))
		return EVENT_PASS;
	if (event)
		return event;
	if (departure.local_port)
		return to_other_access(ctx, packet, &inner, available, departure.local_port, hops);
	departure.plan.flow = flow_hash(&cursor, &inner);
	departure.plan.inner_length = inner.length;
	departure.plan.traffic_class = inner.traffic_class;
	departure.plan.ttl = OUTER_TTL;
	departure.plan.inner_ipv6 = inner.is_ipv6;
	event = find_path(packet, &departure);
	if (event)
		return event;

	overhead = outer_octets(!is_mapped(&departure.plan.destination));
	room = room_for_inner(&departure, overhead);
	if (longest_segment(ctx, packet, &cursor, &inner, sizeof(*eth)) > room) {
		packet->usable_mtu = room;
		return EVENT_PUNT_TOO_BIG;
	}
	if (inner.length + overhead > LONGEST_PACKET)
		return EVENT_DROP_NO_ROOM;
	if (is_expired(&inner, hops))
		return EVENT_PUNT_TTL_EXPIRED;
	event = rewrite_inner(ctx, packet, &inner, inner.traffic_class & ECN_MASK, hops);
	if (event)
		return event;
	if (inner.length < available && packet_trim(ctx, packet, available - inner.length))
		return EVENT_DROP_NO_ROOM;
	event = encapsulate(ctx, packet, &departure.plan);
	return event ? event : depart(ctx, packet, &departure);
}

#endif
