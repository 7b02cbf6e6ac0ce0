/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The classifier, with a flow cache in front of it, and the routes. */
#ifndef MOORLINE_CLASSIFIER_H
#define MOORLINE_CLASSIFIER_H

#include "ternary.h"

#define FLOW_SETS 8192 /* of each CPU */
#define FLOW_WAYS 2

/* What the classifier said of a flow, in one cache line: true as long as the table has this
 * generation. element 0: no entry matches. A line that was never written has the generation 0, which
 * no table has. */
struct flow_line {
	struct classifier_key key;
	u32 generation;
	u32 element;
};

/* The flows of one hash. */
struct flow_set {
	struct flow_line line[FLOW_WAYS];
};

/* A row of sets for each CPU, so that a line has one writer; not a per-CPU array, whose elements lie
 * behind a pointer each. */
BPF_F_TABLE("array", u32, struct flow_set, flow_cache, CPUS *FLOW_SETS, 0);

static inline struct flow_set *flow_set_of(const struct classifier_key *key)
{
	u32 set = assoc_hash((const u64 *)key, KEY_WORDS_classifier) & (FLOW_SETS - 1);

	set += bpf_get_smp_processor_id() * FLOW_SETS;
	return flow_cache.lookup(&set);
}

static inline int is_flow(const struct flow_line *line, const struct classifier_key *key,
			  u32 generation)
{
	return line->generation == generation &&
	       assoc_same((const u64 *)line, (const u64 *)key, KEY_WORDS_classifier);
}

/* The element of the entry that matches, or 0; from the flow cache if it has the flow. */
static inline u32 class_element(const struct classifier_key *key)
{
	struct flow_set *set = flow_set_of(key);
	u64 in_force = classifier_in_force();
	u32 generation = ORDER_GENERATION(in_force);

	if (!set)
		return 0;
#pragma unroll
	for (u32 way = 0; way < FLOW_WAYS; way++)
		if (is_flow(&set->line[way], key, generation))
			return set->line[way].element;
	/* The latest flow of a set comes first. */
	set->line[1] = set->line[0];
	set->line[0].key = *key;
	set->line[0].generation = generation;
	set->line[0].element = classifier_search((const u64 *)key, in_force);
	return set->line[0].element;
}

/* The class of a packet, or NULL. Counts the hit. */
static inline struct classifier_entry *classifier_lookup(struct packet *packet,
							 const struct classifier_key *key)
{
	u32 element = class_element(key);
	struct classifier_entry *entry = element ? classifier_element(element) : NULL;

	if (entry)
		classifier_hit(packet, entry, element);
	return entry;
}

/* The way to a destination by its longest prefix, or NULL. Counts the hit. */
static inline struct route_entry *route_lookup(struct packet *packet, u32 tenant,
					       const union address *destination)
{
	struct route_key key = {.tenant = tenant};
	struct route_entry *entry;
	u32 element;

	__builtin_memcpy(key.destination, destination, sizeof(key.destination));
	element = route_search((const u64 *)&key, route_in_force());
	if (!element)
		return NULL;
	entry = route_element(element);
	if (entry)
		route_hit(packet, entry, element);
	return entry;
}

#endif
