/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Lookup in the slot tables: the lowest bits of the key are the element's number. */
#ifndef MOORLINE_SLOT_H
#define MOORLINE_SLOT_H

#include "tables.h"

static inline struct port_role_entry *port_role_lookup(u16 port)
{
	u32 slot = port & (SIZE_port_role - 1);
	struct port_role_entry *entry = port_role.lookup(&slot);

	return entry && entry->action && entry->ingress_port == port ? entry : NULL;
}

static inline struct scid_entry *scid_lookup(u64 identifier)
{
	u32 slot = identifier & (SIZE_scid - 1);
	struct scid_entry *entry = scid.lookup(&slot);

	return entry && entry->action && entry->scid == identifier ? entry : NULL;
}

static inline struct locator_entry *locator_lookup(u16 node)
{
	u32 slot = node & (SIZE_locator - 1);
	struct locator_entry *entry = locator.lookup(&slot);

	return entry && entry->action && entry->node == node ? entry : NULL;
}

static inline struct uplink_entry *uplink_lookup(u16 port)
{
	u32 slot = port & (SIZE_uplink - 1);
	struct uplink_entry *entry = uplink.lookup(&slot);

	return entry && entry->action && entry->port == port ? entry : NULL;
}

#endif
