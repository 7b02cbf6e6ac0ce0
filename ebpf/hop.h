/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The step hop: a packet's next place on its path. */
#ifndef MOORLINE_HOP_H
#define MOORLINE_HOP_H

#include "hand_over.h"
#include "to_peer.h"

/* The other end of the connection is here: out by its access port. The TTL stays, since the packet has
 * been a router's already. */
static inline int leave_locally(hook_context *ctx, struct packet *packet, struct journey *journey,
				u16 port)
{
	struct port_facts *out = port_of_number(port);
	int event;

	if (!port)
		return EVENT_DROP_PEER_UNEXPECTED;
	if (!out)
		return EVENT_DROP_NO_ROUTE;
	journey->hops = 0;
	event = settle_inner(ctx, packet, journey);
	if (event)
		return event;
	event = make_room(ctx, packet, journey, 0);
	return event ? event : hand_over(ctx, packet, out, journey->is_ipv6);
}

/* A packet of a connection leaves its path: for the connection's other end. The path need not have
 * begun here, nor its peers have known of the connection. */
static inline int leave_path(hook_context *ctx, struct packet *packet, struct journey *journey)
{
	struct connection_entry *entry;

	if (!journey->node) {
		entry = join_connection(packet, journey);
		if (!entry)
			return EVENT_DROP_PEER_UNEXPECTED;
		if (entry->action == ACTION_local)
			return leave_locally(ctx, packet, journey, entry->data.local.port);
	}
	return leave_to_node(ctx, packet, journey, journey->node, 0);
}

static inline int take_hop(hook_context *ctx, struct packet *packet, struct journey *journey)
{
	struct path_hop_entry *hop;
	int event = find_hop(packet, &journey->traveller, &hop);

	if (event)
		return event;
	if (hop->action == ACTION_to_peer)
		return leave_to_peer(ctx, packet, journey, hop);
	if (hop->action == ACTION_to_node)
		return leave_to_node(ctx, packet, journey, hop->data.to_node.node,
				     journey->traveller.path);
	if (is_probe(journey->traveller.transport))
		return EVENT_DROP_PROBE_END;
	if (journey->scid)
		return leave_path(ctx, packet, journey);
	return go_on(ctx, packet, XDP_STEP_route);
}

#endif
