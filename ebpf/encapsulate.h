/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Puts the outer headers on. */
#ifndef MOORLINE_ENCAPSULATE_H
#define MOORLINE_ENCAPSULATE_H

#include "flow.h"
#include "ip_header.h"

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
	int event = put_ipv4(cursor, plan->source.words[3], plan->destination.words[3],
			     plan->inner_length + outer_octets(0), IPPROTO_UDP, plan->traffic_class,
			     plan->ttl);

	return event ? event : put_data_header(cursor, plan);
}

static inline int put_outer_ipv6(struct cursor *cursor, const struct outer_plan *plan)
{
	int event = put_ipv6(cursor, &plan->source, &plan->destination,
			     plan->inner_length + outer_octets(1), IPPROTO_UDP, plan->traffic_class,
			     plan->ttl, (plan->flow >> FLOW_LABEL_BIT) & FLOW_LABEL);

	return event ? event : put_data_header(cursor, plan);
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
