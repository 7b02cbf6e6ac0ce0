/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The pipeline, the same for both hooks. Include the packet operations of one hook before, and what it
 * knows of service paths.
 *
 *        underlay port                              access port
 *              |                                          |
 *         port_role                                  port_role
 *              |                                          |
 *   pass <- terminate                               connection -> packet-in on a miss
 *              |                                          |
 *            scid                                      locator -> path
 *              |                                          |
 *           locator -> is the source the peer's?        uplink -> source, VLAN, MTU
 *              |                                          |
 *    inner packet sound, its                        outer headers on
 *    addresses the connection's                           |
 *              |                                  kernel's route and neighbour
 *       outer headers off
 *              |
 *         access port
 *
 * Each packet at a known port is counted as RX and as exactly one other event.
 */
#ifndef MOORLINE_PIPELINE_H
#define MOORLINE_PIPELINE_H

#include "access.h"
#include "underlay.h"
#include "verdict.h"

static inline int classify(hook_context *ctx, struct packet *packet)
{
	struct port_role_entry *role = port_role_lookup(packet, packet->port);

	if (!role)
		return EVENT_PASS;
	if (role->action == ACTION_underlay)
		return from_underlay(ctx, packet);
	if (role->action == ACTION_edge)
		return path_from_edge(ctx, packet, role);
	if (role->action == ACTION_peer)
		return path_from_peer(ctx, packet, role);
	return from_access(ctx, packet, role->data.access.tenant, role->data.access.hops);
}

static inline int pipeline(hook_context *ctx)
{
	struct port_facts *port = port_of_interface(packet_interface(ctx));
	struct packet packet = {};
	u32 length;
	int event;

	/* Out of the compiler's hands, so that it lies in memory: as variables, its fields would be
	 * stored anew before each of the many checks that may end the packet's way. */
	asm volatile("" : : "r"(&packet) : "memory");
	if (!port)
		return HOOK_PASS;
	packet.port = port->number;
	packet_begin(ctx, &packet);
	length = packet.length;
	event = classify(ctx, &packet);
	return finish(ctx, &packet, event, length);
}

#endif
