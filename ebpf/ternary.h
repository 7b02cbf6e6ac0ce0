/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Lookup in the ternary tables: tuple space search.
 *
 * Entries with the same mask are found by one lookup of the key under that mask, as in an assoc
 * table. <table>_order says which masks there are, in falling order of the highest priority that an
 * entry with it has, so the search ends where nothing better can come. The agent publishes another
 * order, and each entry, by one store of 8 octets; no bucket has two ways with the same tag.
 */
#ifndef MOORLINE_TERNARY_H
#define MOORLINE_TERNARY_H

#include "assoc.h"

/* The first word of the first element of <table>_order: the version in force, and a generation that
 * is another one after each change of the table. */
#define ORDER_VERSION(in_force)    ((u32)(in_force) & (ORDERS - 1))
#define ORDER_GENERATION(in_force) ((u32)((in_force) >> 32))

/* assoc_hash() of the mask's number and the words of the key under the mask. */
static inline u64 ternary_hash(const u64 *key, const u64 *mask, u32 number, u32 words)
{
	u64 hash = (HASH_SEED ^ number) * HASH_FACTOR;

	hash ^= hash >> 32;
#pragma unroll
	for (u32 i = 0; i < words; i++) {
		hash = (hash ^ (key[i] & mask[i])) * HASH_FACTOR;
		hash ^= hash >> 32;
	}
	hash *= HASH_FACTOR;
	return hash ^ (hash >> 32);
}

static inline int ternary_same(const u64 *value, const u64 *key, const u64 *mask, u32 words)
{
	u64 different = 0;

#pragma unroll
	for (u32 i = 0; i < words; i++)
		different |= value[i] ^ (key[i] & mask[i]);
	return !different;
}

/* BCC compiles map accesses only where it sees them written out. */
static inline struct classifier_mask *classifier_mask_at(u32 number)
{
	return classifier_masks.lookup(&number);
}

static inline struct ternary_order *classifier_order_at(u32 version)
{
	return classifier_order.lookup(&version);
}

static inline struct assoc_bucket *classifier_bucket(u32 bucket)
{
	return classifier_index.lookup(&bucket);
}

static inline struct classifier_entry *classifier_element(u32 element)
{
	return classifier.lookup(&element);
}

static inline struct route_mask *route_mask_at(u32 number)
{
	return route_masks.lookup(&number);
}

static inline struct ternary_order *route_order_at(u32 version)
{
	return route_order.lookup(&version);
}

static inline struct assoc_bucket *route_bucket(u32 bucket)
{
	return route_index.lookup(&bucket);
}

static inline struct route_entry *route_element(u32 element)
{
	return route.lookup(&element);
}

/* Defines table_in_force(): version and generation in force; and table_search(key, in_force): the
 * element of the entry that matches with the highest priority, or 0. */
#define TERNARY_SEARCH(table)                                                                      \
	static inline u64 table##_in_force(void)                                                   \
	{                                                                                          \
		struct ternary_order *first = table##_order_at(0);                                 \
                                                                                                   \
		return first ? *(volatile u64 *)&first->step[0] : 0;                               \
	}                                                                                          \
                                                                                                   \
	static inline u32 table##_in_bucket(u32 bits, u32 tag)                                     \
	{                                                                                          \
		struct assoc_bucket *bucket = table##_bucket(bits & (BUCKETS_##table - 1));        \
		u32 element = 0;                                                                   \
                                                                                                   \
		if (!bucket)                                                                       \
			return 0;                                                                  \
		_Pragma("unroll") for (u32 i = 0; i < ASSOC_WAYS; i++)                             \
		{                                                                                  \
			u64 way = bucket->way[i];                                                  \
                                                                                                   \
			if ((u32)(way >> 32) == tag)                                               \
				element = way;                                                     \
		}                                                                                  \
		return element;                                                                    \
	}                                                                                          \
                                                                                                   \
	static inline int table##_is(u32 element, const u64 *key, const u64 *mask, u32 tuple,      \
				     u32 *priority)                                                \
	{                                                                                          \
		struct table##_entry *entry = element ? table##_element(element) : NULL;           \
                                                                                                   \
		if (!entry || entry->tuple != tuple ||                                             \
		    !ternary_same((const u64 *)entry, key, mask, KEY_WORDS_##table))               \
			return 0;                                                                  \
		*priority = entry->priority;                                                       \
		return 1;                                                                          \
	}                                                                                          \
                                                                                                   \
	static inline u32 table##_under(const u64 *key, u32 tuple, u32 *priority)                  \
	{                                                                                          \
		struct table##_mask *mask = table##_mask_at(tuple);                                \
		u32 tag, element;                                                                  \
		u64 hash;                                                                          \
                                                                                                   \
		if (!mask)                                                                         \
			return 0;                                                                  \
		hash = ternary_hash(key, mask->word, tuple, KEY_WORDS_##table);                    \
		tag = assoc_tag(hash);                                                             \
		element = table##_in_bucket(hash, tag);                                            \
		if (table##_is(element, key, mask->word, tuple, priority))                         \
			return element;                                                            \
		element = table##_in_bucket(assoc_other_bucket(hash, tag), tag);                   \
		return table##_is(element, key, mask->word, tuple, priority) ? element : 0;        \
	}                                                                                          \
                                                                                                   \
	static inline u32 table##_search(const u64 *key, u64 in_force)                             \
	{                                                                                          \
		struct ternary_order *order = table##_order_at(ORDER_VERSION(in_force));           \
		u32 best = 0, best_priority = 0, element, priority;                                \
                                                                                                   \
		if (!order)                                                                        \
			return 0;                                                                  \
		for (u32 i = 0; i < MASKS; i++) {                                                  \
			u64 step = order->step[i];                                                 \
                                                                                                   \
			if (!step || (best && best_priority >= step >> 32))                        \
				break;                                                             \
			priority = 0;                                                              \
			element = table##_under(key, (u32)step - 1, &priority);                    \
			if (element && (!best || priority > best_priority)) {                      \
				best = element;                                                    \
				best_priority = priority;                                          \
			}                                                                          \
		}                                                                                  \
		return best;                                                                       \
	}

TERNARY_SEARCH(classifier)
TERNARY_SEARCH(route)

#endif
