/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Lookup in the slot tables: the lowest bits of the key are the element's number. */
#ifndef MOORLINE_SLOT_H
#define MOORLINE_SLOT_H

#include "hits.h"

/* BCC compiles map accesses only where it sees them written out. */
static inline struct port_role_entry *port_role_element(u32 slot)
{
	return port_role.lookup(&slot);
}

static inline struct scid_entry *scid_element(u32 slot)
{
	return scid.lookup(&slot);
}

/* What an entry's own cache line has no room for. */
static inline struct scid_rest *scid_rest_of(const struct scid_entry *entry)
{
	u32 slot = entry->scid & (SIZE_scid - 1);

	return scid_rest.lookup(&slot);
}

static inline struct locator_entry *locator_element(u32 slot)
{
	return locator.lookup(&slot);
}

static inline struct uplink_entry *uplink_element(u32 slot)
{
	return uplink.lookup(&slot);
}

static inline struct member_entry *member_element(u32 slot)
{
	return member.lookup(&slot);
}

/* Defines table_lookup(packet, key): the entry with this key, or NULL. Counts the hit. */
#define SLOT_LOOKUP(table, type, field)                                                            \
	static inline struct table##_entry *table##_lookup(struct packet *packet, type key)        \
	{                                                                                          \
		u32 slot = key & (SIZE_##table - 1);                                               \
		struct table##_entry *entry = table##_element(slot);                               \
                                                                                                   \
		if (!entry || !entry->action || entry->field != key)                               \
			return NULL;                                                               \
		table##_hit(packet, entry, slot);                                                  \
		return entry;                                                                      \
	}

SLOT_LOOKUP(port_role, u16, ingress_port)
SLOT_LOOKUP(scid, u64, scid)
SLOT_LOOKUP(locator, u16, node)
SLOT_LOOKUP(uplink, u16, port)
SLOT_LOOKUP(member, u32, slot)

#endif
