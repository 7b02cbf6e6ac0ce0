/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* How the elements of a table are found, and how its hits are counted. The loader reads both where a
 * table is declared:
 *
 *   SLOT_TABLE   element = the lowest bits of the first key field; the whole key is compared
 *   ASSOC_TABLE  element found through the buckets of <table>_index; element 0 is never used
 *   TERNARY_TABLE  the same for the key under each of <table>_masks, in the order <table>_order
 *
 * The direct counters are in <table>_hits: rows of one struct hits for each element, whose sum is
 * what an entry has counted. Row 0 is the agent's, which never writes what a program counts.
 *
 *   cpu     each CPU has a row of its own: for entries that all packets hit
 *   shared  one row, counted atomically: where there are too many entries for a row for each CPU
 *   inside  likewise, but both rows begin the entry: one cache line then has all that most packets
 *           need. Parameters that have no place there are in <table>_rest, under the same number
 */
#ifndef MOORLINE_LAYOUTS_H
#define MOORLINE_LAYOUTS_H

#include "headers.h"

#define HITS_cpu(name)                                                                             \
	BPF_F_TABLE("array", u32, struct hits, name##_hits, ELEMENTS_##name *(1 + CPUS),           \
		    BPF_F_MMAPABLE)
#define HITS_shared(name)                                                                          \
	BPF_F_TABLE("array", u32, struct hits, name##_hits, ELEMENTS_##name * 2, BPF_F_MMAPABLE)
#define HITS_inside(name)                                                                          \
	BPF_F_TABLE("array", u32, struct name##_rest, name##_rest, ELEMENTS_##name, BPF_F_MMAPABLE)

#define TABLE(name, rows)                                                                          \
	BPF_F_TABLE("array", u32, struct name##_entry, name, ELEMENTS_##name, BPF_F_MMAPABLE);     \
	HITS_##rows(name)

#define SLOT_TABLE(name, rows) TABLE(name, rows)

#define ASSOC_TABLE(name, rows)                                                                    \
	TABLE(name, rows);                                                                         \
	BPF_F_TABLE("array", u32, struct assoc_bucket, name##_index, BUCKETS_##name, BPF_F_MMAPABLE)

#define TERNARY_TABLE(name, rows)                                                                  \
	ASSOC_TABLE(name, rows);                                                                   \
	enum { KEY_WORDS_##name = sizeof(struct name##_key) / sizeof(u64) };                       \
	struct name##_mask {                                                                       \
		u64 word[KEY_WORDS_##name]; /* BCC describes no sizeof here */                     \
	};                                                                                         \
	BPF_F_TABLE("array", u32, struct name##_mask, name##_masks, MASKS, BPF_F_MMAPABLE);        \
	BPF_F_TABLE("array", u32, struct ternary_order, name##_order, ORDERS, BPF_F_MMAPABLE)

#define ASSOC_WAYS 8

/* A direct counter, or a part of it. */
struct hits {
	u64 packets;
	u64 bytes;
};

/* One cache line of an assoc table's index: tag (upper 32 bits), element (lower 32), 0 = free. */
struct assoc_bucket {
	u64 way[ASSOC_WAYS];
};

/* Masks of a ternary table in the order in which they are tried: highest priority of an entry with the
 * mask (upper 32 bits), number of the mask + 1 (lower 32), 0 = no more. */
struct ternary_order {
	u64 step[MASKS];
};

#endif
