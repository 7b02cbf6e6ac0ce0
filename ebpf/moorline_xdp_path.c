/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The steps of service paths at the XDP hook (journey.h): each function is a program, which the loader
 * puts into the array steps under its name. */
#include "packet_xdp.h"
#include "class.h"
#include "from_device.h"
#include "from_edge.h"
#include "from_node.h"
#include "from_peer.h"
#include "hop.h"
#include "route.h"
#include "verdict.h"

/* The packet that a step before has handed on, unchanged. */
static inline struct journey *meet(hook_context *ctx, struct packet *packet)
{
	struct journey *journey = journey_of_cpu();

	if (journey)
		packet->port = journey->port;
	packet_begin(ctx, packet);
	return journey;
}

int moorline_xdp_node(struct xdp_md *ctx)
{
	struct packet packet = {};
	struct journey *journey = meet(ctx, &packet);
	u32 length = packet.length;

	return journey ? finish(ctx, &packet, from_node(ctx, &packet, journey), length) : HOOK_DROP;
}

int moorline_xdp_peer(struct xdp_md *ctx)
{
	struct packet packet = {};
	struct journey *journey = meet(ctx, &packet);
	u32 length = packet.length;

	return journey ? finish(ctx, &packet, from_peer(ctx, &packet, journey), length) : HOOK_DROP;
}

int moorline_xdp_hop(struct xdp_md *ctx)
{
	struct packet packet = {};
	struct journey *journey = meet(ctx, &packet);
	u32 length = packet.length;

	return journey ? finish(ctx, &packet, take_hop(ctx, &packet, journey), length) : HOOK_DROP;
}

int moorline_xdp_edge(struct xdp_md *ctx)
{
	struct packet packet = {};
	struct journey *journey = meet(ctx, &packet);
	u32 length = packet.length;

	return journey ? finish(ctx, &packet, from_edge(ctx, &packet, journey), length) : HOOK_DROP;
}

int moorline_xdp_device(struct xdp_md *ctx)
{
	struct packet packet = {};
	struct journey *journey = meet(ctx, &packet);
	u32 length = packet.length;

	return journey ? finish(ctx, &packet, from_device(ctx, &packet, journey), length)
		       : HOOK_DROP;
}

int moorline_xdp_class(struct xdp_md *ctx)
{
	struct packet packet = {};
	struct journey *journey = meet(ctx, &packet);
	u32 length = packet.length;

	return journey ? finish(ctx, &packet, use_class(ctx, &packet, journey), length) : HOOK_DROP;
}

int moorline_xdp_route(struct xdp_md *ctx)
{
	struct packet packet = {};
	struct journey *journey = meet(ctx, &packet);
	u32 length = packet.length;

	return journey ? finish(ctx, &packet, take_route(ctx, &packet, journey), length)
		       : HOOK_DROP;
}
