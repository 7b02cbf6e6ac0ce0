/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Lookup in the set-associative tables: one cache line of tags, then the entry itself.
 *
 * A key has two buckets. A tag is 32 bits of the key's hash, so that an entry with another key is
 * fetched in vain once in billions. The agent publishes an entry by one store of 8 octets into a
 * way, after the entry itself is written; it alone inserts.
 */
#ifndef MOORLINE_ASSOC_H
#define MOORLINE_ASSOC_H

#include "hits.h"

#define HASH_SEED     0x9E3779B97F4A7C15ULL
#define HASH_FACTOR   0xFF51AFD7ED558CCDULL
#define BUCKET_FACTOR 0x5BD1E995U

#define TERMINATE_KEY_WORDS  3
#define CONNECTION_KEY_WORDS 5
#define ORIGIN_KEY_WORDS     2
#define SHORTCUT_KEY_WORDS   6
#define DEVICE_KEY_WORDS     3
#define PATH_HOP_KEY_WORDS   1
#define AFFINITY_KEY_WORDS   3
#define RESUME_KEY_WORDS     2

/* Both compute over 64-bit words as they lie in memory: the key of an entry, padding included.
 *
 * A product carries a difference upwards only, and addresses differ in the octets that end up
 * highest; so each step folds the upper half down, and a last one spreads what the last word gave.
 */
static inline u64 assoc_hash(const u64 *key, u32 words)
{
	u64 hash = HASH_SEED;

#pragma unroll
	for (u32 i = 0; i < words; i++) {
		hash = (hash ^ key[i]) * HASH_FACTOR;
		hash ^= hash >> 32;
	}
	hash *= HASH_FACTOR;
	return hash ^ (hash >> 32);
}

/* The first words written out, for the compiler leaves a loop over them a loop. */
static inline int assoc_same(const u64 *a, const u64 *b, u32 words)
{
	u64 different = a[0] ^ b[0];

	if (words > 1)
		different |= a[1] ^ b[1];
	if (words > 2)
		different |= a[2] ^ b[2];
	for (u32 i = 3; i < words; i++)
		different |= a[i] ^ b[i];
	return !different;
}

static inline u32 assoc_tag(u64 hash)
{
	return (u32)(hash >> 32) | 1;
}

static inline u32 assoc_other_bucket(u32 bucket, u32 tag)
{
	return bucket ^ (tag * BUCKET_FACTOR);
}

/* BCC compiles map accesses only where it sees them written out. */
static inline struct assoc_bucket *terminate_bucket(u32 bucket)
{
	return terminate_index.lookup(&bucket);
}

static inline struct terminate_entry *terminate_element(u32 element)
{
	return terminate.lookup(&element);
}

static inline struct assoc_bucket *connection_bucket(u32 bucket)
{
	return connection_index.lookup(&bucket);
}

static inline struct connection_entry *connection_element(u32 element)
{
	return connection.lookup(&element);
}

static inline struct assoc_bucket *origin_bucket(u32 bucket)
{
	return origin_index.lookup(&bucket);
}

static inline struct origin_entry *origin_element(u32 element)
{
	return origin.lookup(&element);
}

static inline struct assoc_bucket *shortcut_bucket(u32 bucket)
{
	return shortcut_index.lookup(&bucket);
}

static inline struct shortcut_entry *shortcut_element(u32 element)
{
	return shortcut.lookup(&element);
}

static inline struct assoc_bucket *device_bucket(u32 bucket)
{
	return device_index.lookup(&bucket);
}

static inline struct device_entry *device_element(u32 element)
{
	return device.lookup(&element);
}

static inline struct assoc_bucket *path_hop_bucket(u32 bucket)
{
	return path_hop_index.lookup(&bucket);
}

static inline struct path_hop_entry *path_hop_element(u32 element)
{
	return path_hop.lookup(&element);
}

static inline struct assoc_bucket *affinity_bucket(u32 bucket)
{
	return affinity_index.lookup(&bucket);
}

static inline struct affinity_entry *affinity_element(u32 element)
{
	return affinity.lookup(&element);
}

static inline struct assoc_bucket *resume_bucket(u32 bucket)
{
	return resume_index.lookup(&bucket);
}

static inline struct resume_entry *resume_element(u32 element)
{
	return resume.lookup(&element);
}

/* Defines table_lookup(packet, key): the entry with this key, or NULL. Counts the hit. */
#define ASSOC_LOOKUP(table, WORDS)                                                                 \
	static inline struct table##_entry *table##_in_bucket(const u64 *key, u32 number, u32 tag, \
							      u32 *element)                        \
	{                                                                                          \
		struct assoc_bucket *bucket = table##_bucket(number & (BUCKETS_##table - 1));      \
                                                                                                   \
		if (!bucket)                                                                       \
			return NULL;                                                               \
		for (u32 i = 0; i < ASSOC_WAYS; i++) {                                             \
			u64 way = bucket->way[i];                                                  \
			struct table##_entry *entry;                                               \
                                                                                                   \
			if ((u32)(way >> 32) != tag)                                               \
				continue;                                                          \
			*element = way;                                                            \
			entry = table##_element(way);                                              \
			if (entry && assoc_same((const u64 *)entry, key, WORDS))                   \
				return entry;                                                      \
		}                                                                                  \
		return NULL;                                                                       \
	}                                                                                          \
                                                                                                   \
	static inline struct table##_entry *table##_lookup(struct packet *packet, const u64 *key)  \
	{                                                                                          \
		u64 hash = assoc_hash(key, WORDS);                                                 \
		u32 tag = assoc_tag(hash), element;                                                \
		struct table##_entry *entry = table##_in_bucket(key, hash, tag, &element);         \
                                                                                                   \
		if (!entry)                                                                        \
			entry = table##_in_bucket(key, assoc_other_bucket(hash, tag), tag,         \
						  &element);                                       \
		if (entry)                                                                         \
			table##_hit(packet, entry, element);                                       \
		return entry;                                                                      \
	}

ASSOC_LOOKUP(terminate, TERMINATE_KEY_WORDS)
ASSOC_LOOKUP(connection, CONNECTION_KEY_WORDS)
ASSOC_LOOKUP(origin, ORIGIN_KEY_WORDS)
ASSOC_LOOKUP(shortcut, SHORTCUT_KEY_WORDS)
ASSOC_LOOKUP(device, DEVICE_KEY_WORDS)
ASSOC_LOOKUP(path_hop, PATH_HOP_KEY_WORDS)
ASSOC_LOOKUP(affinity, AFFINITY_KEY_WORDS)
ASSOC_LOOKUP(resume, RESUME_KEY_WORDS)

#endif
