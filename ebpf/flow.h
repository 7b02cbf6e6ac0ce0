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

static inline u64 mixed(u64 hash, u64 word)
{
	return (hash ^ word) * HASH_FACTOR;
}

/* Protocol and, if there are any, ports: protocol << 32 | source << 16 | destination. All fragments
 * of a packet have none. The cursor stands behind the inner header. */
static inline u64 transport_of(const struct cursor *cursor, const struct inner *inner)
{
	struct transport_ports *ports = peek(cursor, sizeof(*ports));
	u64 transport = (u64)inner->next << 32;

	if (ports && inner->payload >= sizeof(*ports) && !inner->fragment && has_ports(inner->next))
		transport |= (u32)bpf_ntohs(ports->source) << 16 | bpf_ntohs(ports->destination);
	return transport;
}

/* Addresses and transport. */
static inline u32 flow_hash(const struct inner *inner, u64 transport)
{
	u64 hash = HASH_SEED;

	if (!inner->is_ipv6) {
		hash = mixed(hash, (u64)bpf_ntohl(inner->ipv4->saddr) << 32 |
					   bpf_ntohl(inner->ipv4->daddr));
	} else {
		const __be64 *halves = (const __be64 *)&inner->ipv6->saddr;

#pragma unroll
		for (int i = 0; i < 4; i++)
			hash = mixed(hash, bpf_ntohll(halves[i]));
	}
	return mixed(hash, transport) >> 32;
}

#endif
