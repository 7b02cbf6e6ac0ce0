/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The lookups of the ternary tables by themselves: a frame holds an Ethernet header and the key.
 *
 * What is found is told by the program's return value: the SPI of a class, the node of a route, or 0.
 */
#include "../../ebpf/classifier.h"

#define FLOWS_BITS 10 /* of a run that is measured: 1,024, in an order that nothing can foresee */

BPF_F_TABLE("percpu_array", u32, u32, flow_number, 1, 0);

static inline void *key_of(struct xdp_md *ctx, u32 octets)
{
	void *key = (void *)(long)ctx->data + sizeof(struct ethhdr);

	return key + octets > (void *)(long)ctx->data_end ? NULL : key;
}

static inline u32 spi_of(const struct classifier_key *key)
{
	struct packet packet = {.length = 1};
	struct classifier_entry *entry = classifier_lookup(&packet, key);

	return entry ? entry->data.set_path.spi : 0;
}

/* A flow of its own for each run. */
static inline int next_flow(struct xdp_md *ctx, struct classifier_key *key)
{
	const struct classifier_key *given = key_of(ctx, sizeof(*given));
	u32 zero = 0;
	u32 *number = flow_number.lookup(&zero);

	if (!given || !number)
		return -1;
	*key = *given;
	*number = *number * 1664525 + 1013904223;
	*(u32 *)key->src = *number;
	return 0;
}

int class_of(struct xdp_md *ctx)
{
	const struct classifier_key *given = key_of(ctx, sizeof(*given));
	struct classifier_key key;

	if (!given)
		return 0;
	key = *given;
	return spi_of(&key);
}

int way_of(struct xdp_md *ctx)
{
	const struct route_key *given = key_of(ctx, sizeof(*given));
	struct packet packet = {.length = 1};
	struct route_entry *entry;
	union address destination;

	if (!given)
		return 0;
	__builtin_memcpy(&destination, given->destination, sizeof(destination));
	entry = route_lookup(&packet, given->tenant, &destination);
	return entry ? entry->data.route_node.node : 0;
}

/* Packets of flows that the flow cache has. */
int warm_flows(struct xdp_md *ctx)
{
	struct classifier_key key;

	if (next_flow(ctx, &key))
		return 0;
	*(u32 *)key.src >>= 32 - FLOWS_BITS; /* its upper bits come in the least order */
	return spi_of(&key);
}

/* First packets: the table is looked through for each. */
int new_flows(struct xdp_md *ctx)
{
	struct classifier_key key;

	if (next_flow(ctx, &key))
		return 0;
	return spi_of(&key);
}

int no_lookup(struct xdp_md *ctx)
{
	struct classifier_key key;

	if (next_flow(ctx, &key))
		return 0;
	return *(u32 *)key.src;
}
