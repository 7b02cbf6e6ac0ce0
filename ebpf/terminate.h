/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Addresses that are this node's own. */
#ifndef MOORLINE_TERMINATE_H
#define MOORLINE_TERMINATE_H

#include "assoc.h"

/* Whether packets of this kind are for this node when they go to this address: TUNNEL_GENEVE, to be
 * opened; TUNNEL_NONE, its own although they come from behind a gateway port. */
static inline int is_terminated(struct packet *packet, u64 tunnel, const union address *destination)
{
	u64 key[TERMINATE_KEY_WORDS] = {destination->halves[0], destination->halves[1], tunnel};
	struct terminate_entry *entry = terminate_lookup(packet, key);

	return entry && entry->action == ACTION_open;
}

#endif
