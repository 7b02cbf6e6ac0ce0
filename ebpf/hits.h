/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Direct counters: <table>_hit(packet, entry, element) counts a packet that hits an entry. */
#ifndef MOORLINE_HITS_H
#define MOORLINE_HITS_H

#include "cursor.h"
#include "tables.h"

/* BCC compiles map accesses only where it sees them written out. */
static inline struct hits *port_role_hits_at(u32 index)
{
	return port_role_hits.lookup(&index);
}

static inline struct hits *terminate_hits_at(u32 index)
{
	return terminate_hits.lookup(&index);
}

static inline struct hits *connection_hits_at(u32 index)
{
	return connection_hits.lookup(&index);
}

static inline struct hits *locator_hits_at(u32 index)
{
	return locator_hits.lookup(&index);
}

static inline struct hits *uplink_hits_at(u32 index)
{
	return uplink_hits.lookup(&index);
}

static inline struct hits *origin_hits_at(u32 index)
{
	return origin_hits.lookup(&index);
}

static inline struct hits *classifier_hits_at(u32 index)
{
	return classifier_hits.lookup(&index);
}

static inline struct hits *route_hits_at(u32 index)
{
	return route_hits.lookup(&index);
}

static inline struct hits *shortcut_hits_at(u32 index)
{
	return shortcut_hits.lookup(&index);
}

static inline struct hits *device_hits_at(u32 index)
{
	return device_hits.lookup(&index);
}

static inline struct hits *path_hop_hits_at(u32 index)
{
	return path_hop_hits.lookup(&index);
}

static inline struct hits *affinity_hits_at(u32 index)
{
	return affinity_hits.lookup(&index);
}

static inline struct hits *member_hits_at(u32 index)
{
	return member_hits.lookup(&index);
}

static inline struct hits *resume_hits_at(u32 index)
{
	return resume_hits.lookup(&index);
}

/* In the row of this CPU. */
#define HIT_ON_CPU(table)                                                                          \
	static inline void table##_hit(struct packet *packet, struct table##_entry *entry,         \
				       u32 element)                                                \
	{                                                                                          \
		u32 row = 1 + bpf_get_smp_processor_id();                                          \
		struct hits *hits = table##_hits_at(row * ELEMENTS_##table + element);             \
                                                                                                   \
		if (!hits)                                                                         \
			return;                                                                    \
		hits->packets++;                                                                   \
		hits->bytes += packet->length;                                                     \
	}

/* In the row of all CPUs, when the packet's way has ended: an atomic operation waits for all that
 * is under way, and would have the rest wait for a cache line that is only just asked for here. */
#define HIT_SHARED(table)                                                                          \
	static inline void table##_hit(struct packet *packet, struct table##_entry *entry,         \
				       u32 element)                                                \
	{                                                                                          \
		packet->shared_hits = table##_hits_at(ELEMENTS_##table + element);                 \
		if (packet->shared_hits)                                                           \
			*(volatile u64 *)&packet->shared_hits->packets;                            \
	}

/* Likewise, in the entry's own cache line. */
#define HIT_INSIDE(table)                                                                          \
	static inline void table##_hit(struct packet *packet, struct table##_entry *entry,         \
				       u32 element)                                                \
	{                                                                                          \
		packet->shared_hits = &entry->hits;                                                \
	}

static inline void count_shared_hit(const struct packet *packet, u32 octets)
{
	if (!packet->shared_hits)
		return;
	__sync_fetch_and_add(&packet->shared_hits->packets, 1);
	__sync_fetch_and_add(&packet->shared_hits->bytes, octets);
}

HIT_ON_CPU(port_role)
HIT_ON_CPU(terminate)
HIT_INSIDE(scid)
HIT_SHARED(connection)
HIT_ON_CPU(locator)
HIT_ON_CPU(uplink)
HIT_ON_CPU(origin)
HIT_ON_CPU(classifier)
HIT_ON_CPU(route)
HIT_SHARED(shortcut)
HIT_ON_CPU(device)
HIT_ON_CPU(path_hop)
HIT_ON_CPU(affinity)
HIT_ON_CPU(member)
HIT_ON_CPU(resume)

#endif
