/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Service paths at the TC hook: packets of connections enter them towards other nodes, and no more.
 * A node with feature peers or edge ports has all its ports at XDP; path_xdp.h has the rest. */
#ifndef MOORLINE_PATH_H
#define MOORLINE_PATH_H

#include "departure.h"
#include "geneve.h"
#include "steps_tc.h"

static inline int path_from_underlay(hook_context *ctx, struct packet *packet,
				     const struct cursor *cursor, const struct outer *outer,
				     const struct tunnel *tunnel)
{
	return EVENT_DROP_SERVICE_PATH;
}

static inline int path_from_device(hook_context *ctx, struct packet *packet)
{
	return EVENT_PASS;
}

/* Begins anew in a program that knows of paths, for the verifier looks through no more than it has seen
 * of this one. The connection's counter counts once: with the program that ends the packet's way. */
static inline int path_from_access(hook_context *ctx, struct packet *packet,
				   const struct cursor *cursor, const struct inner *inner, u8 hops,
				   struct departure *departure)
{
	ctx->cb[CB_PORT] = packet->port;
	ctx->cb[CB_TENANT] = departure->plan.tenant;
	ctx->cb[CB_HOPS] = hops;
	tc_steps.call(ctx, TC_STEP_access);
	return EVENT_DROP_SERVICE_PATH;
}

static inline int path_from_edge(hook_context *ctx, struct packet *packet,
				 const struct port_role_entry *role)
{
	return EVENT_DROP_SERVICE_PATH;
}

static inline int path_from_peer(hook_context *ctx, struct packet *packet,
				 const struct port_role_entry *role)
{
	return EVENT_DROP_SERVICE_PATH;
}

#endif
