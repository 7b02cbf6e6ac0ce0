/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Puts the outer headers on. */
#ifndef MOORLINE_ENCAPSULATE_H
#define MOORLINE_ENCAPSULATE_H

#include "checksum.h"
#include "flow.h"

/* All that the outer headers are made of. */
struct outer_plan {
	union address source;
	union address destination;
	u64 scid;
	u32 path; /* SPI in the upper 24 bits, SI in the lower 8 */
	u32 tenant;
	u32 flow;
	u32 inner_length;
	u16 vlan;
	u8 traffic_class;
	u8 ttl;
	u8 inner_ipv6;
};

static inline u32 outer_octets(int outer_ipv6)
{
	u32 ip = outer_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	return ip + sizeof(struct udphdr) + sizeof(struct data_header);
}

static inline int put_data_header(struct cursor *cursor, const struct outer_plan *plan)
{
	struct udphdr *udp = take(cursor, sizeof(*udp));
	struct data_header *header = take(cursor, sizeof(*header));

	if (!udp || !header)
		return EVENT_DROP_NO_ROOM;
	udp->source = bpf_htons(FLOW_PORT_BASE | (plan->flow & FLOW_PORT_MASK));
	udp->dest = bpf_htons(GENEVE_PORT);
	udp->len = bpf_htons(plan->inner_length + sizeof(*udp) + sizeof(*header));
	udp->check = 0;
	header->geneve.version_length = OPTION_TOTAL_WORDS;
	header->geneve.flags = GENEVE_FLAG_CRITICAL;
	header->geneve.protocol = plan->inner_ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	header->geneve.vni = bpf_htonl(plan->tenant << 8);
	header->option.magic = bpf_htonl(OPTION_MAGIC);
	header->option.scid_high = bpf_htonl(plan->scid >> 32);
	header->option.scid_low = bpf_htonl(plan->scid);
	header->option.path = bpf_htonl(plan->path);
	return CONTINUE;
}

static inline int put_outer_ipv4(struct cursor *cursor, const struct outer_plan *plan)
{
	struct iphdr *ip = take(cursor, sizeof(*ip));

	if (!ip)
		return EVENT_DROP_NO_ROOM;
	*(__be16 *)ip = bpf_htons(0x4500 | plan->traffic_class);
	ip->tot_len = bpf_htons(plan->inner_length + outer_octets(0));
	ip->id = 0; /* atomic datagrams need none, RFC 6864 */
	ip->frag_off = bpf_htons(IPV4_DONT_FRAGMENT);
	ip->ttl = plan->ttl;
	ip->protocol = IPPROTO_UDP;
	ip->check = 0;
	ip->saddr = plan->source.words[3];
	ip->daddr = plan->destination.words[3];
	ip->check = ~fold(sum_words((const u32 *)ip, IPV4_WORDS));
	return put_data_header(cursor, plan);
}

static inline int put_outer_ipv6(struct cursor *cursor, const struct outer_plan *plan)
{
	struct ipv6hdr *ip = take(cursor, sizeof(*ip));

	if (!ip)
		return EVENT_DROP_NO_ROOM;
	*(__be32 *)ip = bpf_htonl(6 << 28 | plan->traffic_class << 20 |
				  ((plan->flow >> FLOW_LABEL_BIT) & FLOW_LABEL));
	ip->payload_len =
		bpf_htons(plan->inner_length + sizeof(struct udphdr) + sizeof(struct data_header));
	ip->nexthdr = IPPROTO_UDP;
	ip->hop_limit = plan->ttl;
	__builtin_memcpy(&ip->saddr, &plan->source, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, &plan->destination, sizeof(ip->daddr));
	return put_data_header(cursor, plan);
}

/* Writes the outer headers into the room before the inner packet. The Ethernet addresses are left to
 * whoever sends the frame. */
static inline int put_outer(const struct packet *packet, const struct outer_plan *plan)
{
	int ipv6 = !is_mapped(&plan->destination);
	struct cursor cursor = cursor_of(packet);

	if (packet_put_ethernet(&cursor, plan->vlan, ipv6))
		return EVENT_DROP_NO_ROOM;
	return ipv6 ? put_outer_ipv6(&cursor, plan) : put_outer_ipv4(&cursor, plan);
}

/* Puts the outer headers before the inner packet. */
static inline int encapsulate(hook_context *ctx, struct packet *packet,
			      const struct outer_plan *plan)
{
	int ipv6 = !is_mapped(&plan->destination);

	if (packet_grow(ctx, packet, outer_octets(ipv6), plan->vlan, plan->inner_ipv6, ipv6))
		return EVENT_DROP_NO_ROOM;
	return put_outer(packet, plan);
}

#endif
