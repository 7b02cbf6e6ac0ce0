/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The hash of an inner flow: which path it takes, and the entropy that the outer header shows. */
#ifndef MOORLINE_FLOW_H
#define MOORLINE_FLOW_H

#include "assoc.h"
#include "inner.h"

#define FLOW_PORT_BASE 0xc000 /* UDP source ports 49152 to 65535 (RFC 8926, section 3.3) */
#define FLOW_PORT_MASK 0x3fff
#define FLOW_PATH_BIT  14
#define FLOW_LABEL_BIT 15
#define FLOW_LABEL     0xfffff

static inline int has_ports(u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP ||
	       protocol == IPPROTO_UDPLITE || protocol == IPPROTO_DCCP;
}

/* Addresses, protocol and, if there are any, ports. All fragments of a packet have one hash: that
 * of the addresses and the protocol. The cursor stands behind the inner header. */
static inline u32 flow_hash(const struct cursor *cursor, const struct inner *inner)
{
	struct transport_ports *ports = peek(cursor, sizeof(*ports));
	u64 last = (u64)inner->next << 32;
	u64 hash = HASH_SEED;

	if (ports && inner->payload >= sizeof(*ports) && !inner->fragment && has_ports(inner->next))
		last |= (u32)bpf_ntohs(ports->source) << 16 | bpf_ntohs(ports->destination);
	if (!inner->is_ipv6) {
		hash ^= (u64)bpf_ntohl(inner->ipv4->saddr) << 32 | bpf_ntohl(inner->ipv4->daddr);
		hash *= HASH_FACTOR;
	} else {
		const __be64 *halves = (const __be64 *)&inner->ipv6->saddr;

#pragma unroll
		for (int i = 0; i < 4; i++)
			hash = (hash ^ bpf_ntohll(halves[i])) * HASH_FACTOR;
	}
	hash = (hash ^ last) * HASH_FACTOR;
	return hash >> 32;
}

#endif
