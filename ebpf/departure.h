/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The way out to the underlay, whether a packet is new in its tunnel or passed on. */
#ifndef MOORLINE_DEPARTURE_H
#define MOORLINE_DEPARTURE_H

#include "connection.h"
#include "encapsulate.h"
#include "slot.h"

/* Where a packet leaves, and what its outer headers are made of. */
struct departure {
	struct port_facts *out;
	struct outer_plan plan;
	u16 node;
	u16 mtu;        /* the uplink's, of the outer packet */
	u16 path_mtu;   /* of a packet new in its tunnel: the longest that the whole path carries */
	u16 local_port; /* the other end's access port, where that is at this node; else 0 */
};

/* What the outer headers have from an underlay port. The destination is known, and tells the family. */
static inline int find_uplink(struct packet *packet, struct departure *departure, u16 port)
{
	struct uplink_entry *source = uplink_lookup(packet, port);

	if (!source)
		return EVENT_DROP_UPLINK_UNKNOWN;
	if (is_mapped(&departure->plan.destination))
		map_ipv4(&departure->plan.source, *(u32 *)source->data.set_source.src4);
	else
		copy_ipv6(&departure->plan.source, source->data.set_source.src6);
	departure->plan.vlan = source->data.set_source.vlan;
	departure->mtu = source->data.set_source.mtu;
	departure->out = port_of_number(port);
	return departure->out ? CONTINUE : EVENT_DROP_NO_ROUTE;
}

/* Finds the path to a node: which underlay port, which outer addresses. */
static inline int find_path(struct packet *packet, struct departure *departure)
{
	struct locator_entry *paths = locator_lookup(packet, departure->node);
	u16 port;

	if (!paths)
		return EVENT_DROP_NODE_UNKNOWN;
	if (departure->plan.flow >> FLOW_PATH_BIT & 1) {
		port = paths->data.set_paths.port1;
		copy_ipv6(&departure->plan.destination, paths->data.set_paths.dst1);
	} else {
		port = paths->data.set_paths.port0;
		copy_ipv6(&departure->plan.destination, paths->data.set_paths.dst0);
	}
	return find_uplink(packet, departure, port);
}

/* Octets of the longest inner packet that fits the uplink, and the rest of the path. */
static inline u32 room_for_inner(const struct departure *departure, u32 overhead)
{
	u32 room = departure->mtu > overhead ? departure->mtu - overhead : 0;

	return departure->path_mtu < room ? departure->path_mtu : room;
}

/* Octets of the longest IP packet that goes on the wire once this one, which begins at an
 * offset, is cut into segments. The cursor stands behind its header. */
static inline u32 longest_segment(const hook_context *ctx, const struct packet *packet,
				  const struct cursor *cursor, const struct inner *inner, u32 start)
{
	u32 segment = packet_segment(ctx);
	u32 headers = offset_of(packet, cursor->position) - start;
	u8 *transport;

	if (!segment)
		return inner->length;
	if (inner->next != IPPROTO_TCP)
		return headers + sizeof(struct udphdr) + segment;
	transport = peek(cursor, 20);
	return transport ? headers + (transport[12] >> 4) * 4 + segment : inner->length;
}

/* Sends a packet whose outer headers are on. */
static inline int depart(hook_context *ctx, struct packet *packet,
			 const struct departure *departure)
{
	const struct outer_plan *plan = &departure->plan;

	return packet_leave_underlay(ctx, packet, departure->out, &plan->source, &plan->destination,
				     plan->vlan);
}

#endif
