/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The classifier, with a flow cache in front of it, and the routes. */
#ifndef MOORLINE_CLASSIFIER_H
#define MOORLINE_CLASSIFIER_H

#include "ternary.h"

#define FLOW_LINES 4096 /* of each CPU */

/* What the classifier said of a flow, in one cache line: true as long as the table has this
 * generation. element 0: no entry matches. A line that was never written has the generation 0, which
 * no table has. */
struct flow_line {
	struct classifier_key key;
	u32 generation;
	u32 element;
};

/* A row of lines for each CPU, so that a line has one writer; not a per-CPU array, whose elements
 * lie behind a pointer each. */
BPF_F_TABLE("array", u32, struct flow_line, flow_cache, CPUS *FLOW_LINES, 0);

static inline struct flow_line *flow_line_of(const struct classifier_key *key)
{
	u32 line = assoc_hash((const u64 *)key, KEY_WORDS_classifier) & (FLOW_LINES - 1);

	line += bpf_get_smp_processor_id() * FLOW_LINES;
	return flow_cache.lookup(&line);
}

/* The class of a packet, or NULL. Counts the hit. */
static inline struct classifier_entry *classifier_lookup(struct packet *packet,
							 const struct classifier_key *key)
{
	u64 in_force = classifier_in_force();
	struct flow_line *line = flow_line_of(key);
	struct classifier_entry *entry;

	if (!line)
		return NULL;
	if (line->generation != ORDER_GENERATION(in_force) ||
	    !assoc_same((const u64 *)line, (const u64 *)key, KEY_WORDS_classifier)) {
		u32 element = classifier_search((const u64 *)key, in_force);

		line->key = *key;
		line->element = element;
		line->generation = ORDER_GENERATION(in_force);
	}
	if (!line->element)
		return NULL;
	entry = classifier_element(line->element);
	if (entry)
		classifier_hit(packet, line->element);
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
		route_hit(packet, element);
	return entry;
}

#endif
