/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* What is asked of a connection's packet before it enters a service path. */
#ifndef MOORLINE_PATH_ENTRY_H
#define MOORLINE_PATH_ENTRY_H

#include "departure.h"
#include "path_hop.h"

/* Rule S4: hosts send no probes, and what is too long for the path is told so at its beginning. */
static inline int check_entry(hook_context *ctx, struct packet *packet, const struct cursor *cursor,
			      const struct inner *inner, const struct departure *departure)
{
	if (is_probe(transport_of(cursor, inner)))
		return EVENT_DROP_PROBE_END;
	if (longest_segment(ctx, packet, cursor, inner, sizeof(struct ethhdr)) <=
	    departure->path_mtu)
		return CONTINUE;
	packet->usable_mtu = departure->path_mtu;
	return EVENT_PUNT_TOO_BIG;
}

#endif
