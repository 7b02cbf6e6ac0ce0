/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Where packets leave the first program for the steps of service paths. path_tc.h offers the same for
 * TC. */
#ifndef MOORLINE_PATH_H
#define MOORLINE_PATH_H

#include "journey.h"
#include "path_entry.h"

/* A packet from another node, on a path. The cursor stands at the inner packet. */
static inline int path_from_underlay(hook_context *ctx, struct packet *packet,
				     const struct cursor *cursor, const struct outer *outer,
				     const struct tunnel *tunnel)
{
	struct journey *journey = begin_journey(packet);

	if (!journey)
		return EVENT_DROP_SERVICE_PATH;
	if (!is_from_nobody(outer))
		journey->outer_source = outer->source;
	journey->traffic_class = outer->traffic_class;
	journey->ttl = outer->is_ipv6 ? outer->ipv6->hop_limit : outer->ipv4->ttl;
	journey->scid = tunnel->scid;
	journey->tenant = tunnel->tenant;
	journey->traveller.path = tunnel->path;
	journey->protocol = tunnel->protocol;
	journey->inner_offset = offset_of(packet, cursor->position);
	journey->available = outer->payload - sizeof(struct data_header);
	return go_on(ctx, packet, XDP_STEP_node);
}

/* A packet that may have come through the tunnel of a user's device; the step finds out. */
static inline int path_from_device(hook_context *ctx, struct packet *packet)
{
	return begin_journey(packet) ? go_on(ctx, packet, XDP_STEP_device)
				     : EVENT_DROP_SERVICE_PATH;
}

/* A packet of a connection that enters a path here. */
static inline int path_from_access(hook_context *ctx, struct packet *packet,
				   const struct cursor *cursor, const struct inner *inner, u8 hops,
				   struct departure *departure)
{
	struct journey *journey;
	int event = check_entry(ctx, packet, cursor, inner, departure);

	if (event)
		return event;
	journey = begin_journey(packet);
	if (!journey)
		return EVENT_DROP_SERVICE_PATH;
	note_inner(journey, cursor, inner, sizeof(struct ethhdr));
	journey->scid = departure->plan.scid;
	journey->tenant = departure->plan.tenant;
	journey->traveller.path = departure->plan.path;
	journey->node = departure->node;
	journey->path_mtu = departure->path_mtu;
	journey->hops = hops;
	journey->tells_too_big = 1;
	return go_on(ctx, packet, XDP_STEP_hop);
}

/* A packet from a plain device, or from the Internet. */
static inline int path_from_edge(hook_context *ctx, struct packet *packet,
				 const struct port_role_entry *role)
{
	struct journey *journey = begin_journey(packet);

	if (!journey)
		return EVENT_DROP_SERVICE_PATH;
	journey->tenant = role->data.edge.tenant;
	journey->hops = role->data.edge.hops;
	journey->tells_too_big = 1;
	return go_on(ctx, packet, XDP_STEP_edge);
}

/* A frame from a feature peer. */
static inline int path_from_peer(hook_context *ctx, struct packet *packet,
				 const struct port_role_entry *role)
{
	struct journey *journey = begin_journey(packet);

	if (!journey)
		return EVENT_DROP_SERVICE_PATH;
	journey->tenant = role->data.peer.tenant;
	journey->header = role->data.peer.header;
	journey->by_mac = role->data.peer.by_mac;
	return go_on(ctx, packet, XDP_STEP_peer);
}

#endif
