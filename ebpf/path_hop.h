/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* One step of a service path: which peer, which node, or that the path ends. */
#ifndef MOORLINE_PATH_HOP_H
#define MOORLINE_PATH_HOP_H

#include "digest.h"
#include "flow.h"
#include "slot.h"

#define BUCKETS_OF_GROUP 256
#define SPI_VERSION_BITS 8
#define NO_INSTANCE      0x10000 /* beyond all numbers of instances */

/* What the choice of a step goes by. */
struct traveller {
	union address source; /* inner */
	union address destination;
	u64 transport; /* as of flow_hash() */
	u32 path;      /* SPI in the upper 24 bits, SI in the lower 8 */
};

/* Whether two SPIs are of the same graph's path: a new version of it has another SPI, but for a moment
 * its packets meet rows of the former one. */
static inline int is_same_family(u32 spi, u32 other)
{
	return spi >> SPI_VERSION_BITS == other >> SPI_VERSION_BITS;
}

/* Whether the packet is one that the controller watches on its way: UDP to its own port. */
static inline int is_probe(u64 transport)
{
	return transport >> 32 == IPPROTO_UDP && (u16)transport == OAM_PORT;
}

/* Which part of a group's customers an address belongs to. */
static inline u8 bucket_of(const union address *customer)
{
	u64 hash = mixed(HASH_SEED, bpf_ntohll(customer->halves[0]));

	return mixed(hash, bpf_ntohll(customer->halves[1])) >> 32;
}

static inline struct path_hop_entry *path_hop_of(struct packet *packet, u32 path, u16 instance)
{
	struct {
		u32 spi;
		u16 instance;
		u8 si;
		u8 pad;
	} __attribute__((aligned(8))) key = {.spi = path >> 8, .instance = instance, .si = path};

	return path_hop_lookup(packet, (const u64 *)&key);
}

/* The instance of a group that has this customer; NO_INSTANCE if none lives. */
static inline u32 choose_instance(struct packet *packet, u16 group, const union address *customer)
{
	u64 key[AFFINITY_KEY_WORDS] = {customer->halves[0], customer->halves[1], group};
	struct affinity_entry *pinned = affinity_lookup(packet, key);
	struct member_entry *member;

	if (pinned)
		return pinned->data.pin.instance;
	member = member_lookup(packet, (u32)group * BUCKETS_OF_GROUP | bucket_of(customer));
	return member ? member->data.choose.instance : NO_INSTANCE;
}

/* Finds the next step of the packet's path; *found is never a group. */
static inline int find_hop(struct packet *packet, const struct traveller *traveller,
			   struct path_hop_entry **found)
{
	struct path_hop_entry *hop;
	u32 instance = 0;

	hop = path_hop_of(packet, traveller->path, 0);
	if (hop && hop->action == ACTION_to_group) {
		instance =
			choose_instance(packet, hop->data.to_group.group,
					hop->data.to_group.by_destination ? &traveller->destination
									  : &traveller->source);
		if (instance == NO_INSTANCE)
			return EVENT_DROP_PEER_DOWN;
		hop = path_hop_of(packet, traveller->path, instance);
	}
	if (!hop || hop->action == ACTION_to_group)
		return EVENT_DROP_SERVICE_PATH;
	if (hop->action == ACTION_closed)
		return EVENT_DROP_PEER_DOWN;
	if (is_probe(traveller->transport))
		tell_path_trace(packet, traveller->path, instance, traveller->transport >> 16);
	*found = hop;
	return CONTINUE;
}

#endif
