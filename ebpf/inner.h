/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The packet that a connection carries: checked alike where it enters and where it leaves. */
#ifndef MOORLINE_INNER_H
#define MOORLINE_INNER_H

#include "checksum.h"

struct inner {
	struct iphdr *ipv4;   /* unless is_ipv6 */
	struct ipv6hdr *ipv6; /* if is_ipv6 */
	u32 length;           /* of the IP packet, by its own header */
	u32 payload;          /* octets behind the IP header */
	u8 is_ipv6;
	u8 traffic_class;
	u8 next;     /* protocol, or IPv6 next header */
	u8 fragment; /* no transport header to rely on */
};

/* The cursor moves past the header, options included. available: octets up to the end of what
 * carries the packet. */
static inline int parse_inner_ipv4(struct cursor *cursor, u32 available, struct inner *inner)
{
	struct iphdr *ip = take(cursor, sizeof(*ip));

	if (!ip || available < sizeof(*ip))
		return EVENT_DROP_INNER_TRUNCATED;
	if (ip->version != 4)
		return EVENT_DROP_INNER_VERSION;
	if (ip->ihl < IPV4_WORDS)
		return EVENT_DROP_INNER_HEADER_LENGTH;
	if (ip->ihl * 4 > available)
		return EVENT_DROP_INNER_TRUNCATED;
	if (!ipv4_checksum_holds(ip, cursor))
		return EVENT_DROP_INNER_CHECKSUM;
	inner->length = bpf_ntohs(ip->tot_len);
	if (inner->length < ip->ihl * 4 || inner->length > available)
		return EVENT_DROP_INNER_LENGTH;
	if (ip->ihl > IPV4_WORDS && !take(cursor, (ip->ihl - IPV4_WORDS) * 4))
		return EVENT_DROP_INNER_TRUNCATED;
	inner->payload = inner->length - ip->ihl * 4;
	inner->ipv4 = ip;
	inner->traffic_class = ip->tos;
	inner->next = ip->protocol;
	inner->fragment = !!(ip->frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET | IPV4_MORE_FRAGMENTS));
	return CONTINUE;
}

static inline int parse_inner_ipv6(struct cursor *cursor, u32 available, struct inner *inner)
{
	struct ipv6hdr *ip = take(cursor, sizeof(*ip));
	u64 is_ipv6;

	if (!ip || available < sizeof(*ip))
		return EVENT_DROP_INNER_TRUNCATED;
	if (ip->version != 6)
		return EVENT_DROP_INNER_VERSION;
	inner->payload = bpf_ntohs(ip->payload_len);
	inner->length = sizeof(*ip) + inner->payload;
	if (inner->length > available)
		return EVENT_DROP_INNER_LENGTH;
	inner->ipv6 = ip;
	/* Tests of it are to be tests of it, not of the EtherType again, of which the verifier remembers
	 * less. */
	asm volatile("%0 = 1" : "=r"(is_ipv6));
	inner->is_ipv6 = is_ipv6;
	inner->traffic_class = bpf_ntohl(*(__be32 *)ip) >> 20;
	inner->next = ip->nexthdr;
	return CONTINUE;
}

static inline int parse_inner(struct cursor *cursor, __be16 protocol, u32 available,
			      struct inner *inner)
{
	if (protocol == bpf_htons(ETH_P_IPV6))
		return parse_inner_ipv6(cursor, available, inner);
	return parse_inner_ipv4(cursor, available, inner);
}

/* Both addresses as tables have them. */
static inline void inner_addresses(const struct inner *inner, union address *source,
				   union address *destination)
{
	if (inner->is_ipv6) {
		__builtin_memcpy(source, &inner->ipv6->saddr, sizeof(*source));
		__builtin_memcpy(destination, &inner->ipv6->daddr, sizeof(*destination));
	} else {
		map_ipv4(source, inner->ipv4->saddr);
		map_ipv4(destination, inner->ipv4->daddr);
	}
}

/* Whether the packet has no hops left: rules A6 and U12 of docs/wire-format.md. hops is 0 where the
 * packet comes from the host itself or goes to it, since a tunnel's end lowers the TTL only when it
 * forwards (RFC 2003, section 3.1). */
static inline int is_expired(const struct inner *inner, u8 hops)
{
	return hops && (inner->is_ipv6 ? inner->ipv6->hop_limit : inner->ipv4->ttl) <= hops;
}

/* Gives the inner packet another ECN field, and lowers its TTL by hops. Pointers into the packet
 * are not to be used any more then. */
static inline int rewrite_inner(hook_context *ctx, struct packet *packet, struct inner *inner,
				u8 ecn, u8 hops)
{
	u32 traffic_class = (inner->traffic_class & ~ECN_MASK) | ecn;
	u32 words[2];

	if (ecn == (inner->traffic_class & ECN_MASK) && !hops)
		return CONTINUE;
	if (!inner->is_ipv6) {
		__be16 *first = (__be16 *)inner->ipv4; /* version, IHL, and the field */
		__be16 *ttl = (__be16 *)&inner->ipv4->ttl;

		ipv4_replace(inner->ipv4, first,
			     (*first & bpf_htons(0xff00)) | bpf_htons(traffic_class));
		ipv4_replace(inner->ipv4, ttl, *ttl - bpf_htons(hops << 8));
		return CONTINUE;
	}
	words[0] = bpf_ntohl(*(__be32 *)inner->ipv6);
	words[0] = bpf_htonl((words[0] & ~(0xff << 20)) | traffic_class << 20);
	/* Payload length, next header, hop limit. */
	words[1] = ((__be32 *)inner->ipv6)[1] - bpf_htonl(hops);
	return packet_store_covered(ctx, packet, inner->ipv6, words) ? EVENT_DROP_NO_ROOM
								     : CONTINUE;
}

#endif
