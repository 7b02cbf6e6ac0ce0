/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* IP headers that are put before a packet. */
#ifndef MOORLINE_IP_HEADER_H
#define MOORLINE_IP_HEADER_H

#include "checksum.h"

/* total: octets of the packet with its header. */
static inline int put_ipv4(struct cursor *cursor, __be32 source, __be32 destination, u32 total,
			   u8 protocol, u8 traffic_class, u8 ttl)
{
	struct iphdr *ip = take(cursor, sizeof(*ip));

	if (!ip)
		return EVENT_DROP_NO_ROOM;
	*(__be16 *)ip = bpf_htons(0x4500 | traffic_class);
	ip->tot_len = bpf_htons(total);
	ip->id = 0; /* atomic datagrams need none, RFC 6864 */
	ip->frag_off = bpf_htons(IPV4_DONT_FRAGMENT);
	ip->ttl = ttl;
	ip->protocol = protocol;
	ip->check = 0;
	ip->saddr = source;
	ip->daddr = destination;
	ip->check = ~fold(ipv4_sum(ip));
	return CONTINUE;
}

static inline int put_ipv6(struct cursor *cursor, const void *source, const void *destination,
			   u32 total, u8 protocol, u8 traffic_class, u8 ttl, u32 label)
{
	struct ipv6hdr *ip = take(cursor, sizeof(*ip));

	if (!ip)
		return EVENT_DROP_NO_ROOM;
	*(__be32 *)ip = bpf_htonl(6 << 28 | traffic_class << 20 | label);
	ip->payload_len = bpf_htons(total - sizeof(*ip));
	ip->nexthdr = protocol;
	ip->hop_limit = ttl;
	copy_words(&ip->saddr, source);
	copy_words(&ip->daddr, destination);
	return CONTINUE;
}

#endif
