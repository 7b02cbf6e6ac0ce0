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

	if (!ip || available < sizeof(*ip))
		return EVENT_DROP_INNER_TRUNCATED;
	if (ip->version != 6)
		return EVENT_DROP_INNER_VERSION;
	inner->payload = bpf_ntohs(ip->payload_len);
	inner->length = sizeof(*ip) + inner->payload;
	if (inner->length > available)
		return EVENT_DROP_INNER_LENGTH;
	inner->ipv6 = ip;
	inner->is_ipv6 = 1;
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

/* Gives the inner packet another ECN field. */
static inline int set_inner_ecn(hook_context *ctx, struct packet *packet, struct inner *inner,
				u8 ecn)
{
	u32 traffic_class = (inner->traffic_class & ~ECN_MASK) | ecn;
	u32 word;

	if (!inner->is_ipv6) {
		__be16 *first = (__be16 *)inner->ipv4; /* version, IHL, and the field */

		ipv4_replace(inner->ipv4, first,
			     (*first & bpf_htons(0xff00)) | bpf_htons(traffic_class));
		return CONTINUE;
	}
	word = bpf_ntohl(*(__be32 *)inner->ipv6);
	word = bpf_htonl((word & ~(0xff << 20)) | traffic_class << 20);
	return packet_store_covered(ctx, packet, inner->ipv6, word) ? EVENT_DROP_NO_ROOM : CONTINUE;
}

#endif
