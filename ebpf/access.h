/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The way of a packet from an access port: into the tunnel of its connection. */
#ifndef MOORLINE_ACCESS_H
#define MOORLINE_ACCESS_H

#include "connection.h"
#include "departure.h"
#include "events.h"
#include "hand_over.h"
#include "own.h"

/* Finds the connection between the inner addresses. */
static inline int find_connection(struct packet *packet, const struct inner *inner, u32 tenant,
				  struct departure *departure)
{
	union address source, destination;
	struct connection_entry *entry;

	inner_addresses(inner, &source, &destination);
	entry = connection_between(packet, tenant, &source, &destination);
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

static inline int from_access(hook_context *ctx, struct packet *packet, u32 tenant, u8 hops)
{
	struct cursor cursor = cursor_of(packet);
	struct departure departure = {};
	struct inner inner = {};
	struct ethhdr *eth = take(&cursor, sizeof(*eth));
	u32 available, overhead, room;
	int event;

	if (!eth || (eth->h_proto != bpf_htons(ETH_P_IP) && eth->h_proto != bpf_htons(ETH_P_IPV6)))
		return EVENT_PASS;
	available = packet->length - sizeof(*eth);
	event = parse_inner(&cursor, eth->h_proto, available, &inner);
	if (event)
		return event;
	if (is_link_local(&inner))
		return EVENT_PASS;
	event = find_connection(packet, &inner, tenant, &departure);
	if (event == EVENT_PUNT_CONNECTION_MISS && hops && is_for_node(packet, &inner))
		return EVENT_PASS;
	if (event)
		return event;
	if (departure.local_port)
		return to_other_access(ctx, packet, &inner, available, departure.local_port, hops);
	if (departure.plan.path >> 8) {
		event = path_from_access(ctx, packet, &cursor, &inner, hops, &departure);
		if (event)
			return event;
	}
	departure.plan.flow = flow_hash(&inner, transport_of(&cursor, &inner));
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
