/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Service paths in the step access of the TC hook, which path_tc.h leads to. */
#ifndef MOORLINE_PATH_H
#define MOORLINE_PATH_H

#include "path_entry.h"

/* Finds the node that the path leads to first, or, where it ends here, keeps the connection's. */
static inline int path_from_access(hook_context *ctx, struct packet *packet,
				   const struct cursor *cursor, const struct inner *inner, u8 hops,
				   struct departure *departure)
{
	struct traveller traveller = {.path = departure->plan.path};
	struct path_hop_entry *hop;
	int event = check_entry(ctx, packet, cursor, inner, departure);

	if (event)
		return event;
	inner_addresses(inner, &traveller.source, &traveller.destination);
	event = find_hop(packet, &traveller, &hop);
	if (event)
		return event;
	if (hop->action == ACTION_to_node) {
		departure->node = hop->data.to_node.node;
		return CONTINUE;
	}
	if (hop->action != ACTION_end)
		return EVENT_DROP_SERVICE_PATH;
	departure->plan.path = 0;
	return CONTINUE;
}

#endif
