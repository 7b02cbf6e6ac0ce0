/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The packet operations of the XDP hook. packet_tc.h offers the same ones for TC. */
#ifndef MOORLINE_PACKET_H
#define MOORLINE_PACKET_H

#include "cursor.h"
#include "unresolved.h"

#define HOOK_PASS XDP_PASS
#define HOOK_DROP XDP_DROP

typedef struct xdp_md hook_context;

static inline u32 packet_interface(const hook_context *ctx)
{
	return ctx->ingress_ifindex;
}

static inline void packet_refresh(hook_context *ctx, struct packet *packet)
{
	packet->data = (void *)(long)ctx->data;
	packet->end = (void *)(long)ctx->data_end;
}

static inline void packet_begin(hook_context *ctx, struct packet *packet)
{
	packet_refresh(ctx, packet);
	packet->length = offset_of(packet, packet->end);
}

/* Payload octets of the largest segment that the packet will be cut into; 0 = it is not cut. */
static inline u32 packet_segment(const hook_context *ctx)
{
	return 0;
}

static inline long packet_load(hook_context *ctx, u32 offset, void *to, u32 octets)
{
	return bpf_xdp_load_bytes(ctx, offset, to, octets);
}

/* Writes two words of an IPv6 header in place, keeping any checksum that covers them true. */
static inline long packet_store_covered(hook_context *ctx, struct packet *packet, void *at,
					u32 words[2])
{
	((u32 *)at)[0] = words[0];
	((u32 *)at)[1] = words[1];
	return 0;
}

/* Cuts octets off the end. */
static inline long packet_trim(hook_context *ctx, struct packet *packet, u32 octets)
{
	long failed = bpf_xdp_adjust_tail(ctx, -(int)octets);

	packet_refresh(ctx, packet);
	packet->length -= octets;
	return failed;
}

/* Makes room for the outer headers behind an Ethernet header of its own and a VLAN tag, if any. */
static inline long packet_grow(hook_context *ctx, struct packet *packet, u32 octets, u16 vlan,
			       int inner_ipv6, int outer_ipv6)
{
	u32 tag = vlan ? sizeof(struct vlan_tag) : 0;
	long failed = bpf_xdp_adjust_head(ctx, -(int)(octets + tag));

	packet_refresh(ctx, packet);
	return failed;
}

/* Writes an Ethernet header, its addresses left for later, and the VLAN tag, if any. */
static inline long packet_put_ethernet(struct cursor *cursor, u16 vlan, int outer_ipv6)
{
	__be16 type = outer_ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	struct ethhdr *eth = take(cursor, sizeof(*eth));
	struct vlan_tag *tag;

	if (!eth)
		return -1;
	eth->h_proto = vlan ? bpf_htons(ETH_P_8021Q) : type;
	if (!vlan)
		return 0;
	tag = take(cursor, sizeof(*tag));
	if (!tag)
		return -1;
	tag->control = bpf_htons(vlan);
	tag->ethertype = type;
	return 0;
}

/* Takes off what stands before the inner packet but for room for an Ethernet header. */
static inline long packet_shrink(hook_context *ctx, struct packet *packet, u32 inner_offset,
				 int inner_ipv6, int outer_ipv6)
{
	long failed = bpf_xdp_adjust_head(ctx, (int)(inner_offset - sizeof(struct ethhdr)));

	packet_refresh(ctx, packet);
	return failed;
}

/* Makes the room before the inner packet fit other outer headers, with a VLAN tag, if any. */
static inline long packet_exchange(hook_context *ctx, struct packet *packet, u32 inner_offset,
				   u32 octets, u16 vlan, int former_ipv6, int outer_ipv6)
{
	u32 tag = vlan ? sizeof(struct vlan_tag) : 0;
	int less = inner_offset - sizeof(struct ethhdr) - tag - octets;
	long failed = less ? bpf_xdp_adjust_head(ctx, less) : 0;

	packet_refresh(ctx, packet);
	return failed;
}

/* What the kernel's routes and neighbours say of a destination beyond a port: whether there is a way
 * and, if so, the addresses of the link layer. */
static inline int find_neighbour(hook_context *ctx, struct bpf_fib_lookup *fib,
				 const struct port_facts *out)
{
	long result;

	fib->ifindex = out->ifindex;
	result = bpf_fib_lookup(ctx, fib, sizeof(*fib), BPF_FIB_LOOKUP_OUTPUT);
	if (result == BPF_FIB_LKUP_RET_NO_NEIGH)
		return EVENT_DROP_NO_NEIGHBOUR;
	if (result != BPF_FIB_LKUP_RET_SUCCESS || fib->ifindex != out->ifindex)
		return EVENT_DROP_NO_ROUTE;
	return CONTINUE;
}

/* Sends the packet, which begins with an Ethernet header, out by a port. */
static inline int packet_leave(struct packet *packet, const struct port_facts *out,
			       const u8 destination[ETH_ALEN], const u8 source[ETH_ALEN])
{
	struct ethhdr *eth = packet->data;

	if ((void *)(eth + 1) > packet->end)
		return EVENT_DROP_NO_ROOM;
	copy_mac(eth->h_dest, destination);
	copy_mac(eth->h_source, source);
	return bpf_redirect(out->ifindex, 0) == XDP_REDIRECT ? EVENT_TX : EVENT_DROP_NO_ROUTE;
}

static inline void ask_for(struct bpf_fib_lookup *fib, const union address *source,
			   const union address *destination)
{
	if (is_mapped(destination)) {
		fib->family = 2; /* AF_INET */
		fib->ipv4_src = source->words[3];
		fib->ipv4_dst = destination->words[3];
	} else {
		fib->family = 10; /* AF_INET6 */
		__builtin_memcpy(fib->ipv6_src, source, sizeof(*source));
		__builtin_memcpy(fib->ipv6_dst, destination, sizeof(*destination));
	}
}

/* Sends an encapsulated packet by the kernel's route and neighbour for its outer destination. */
static inline int packet_leave_underlay(hook_context *ctx, struct packet *packet,
					const struct port_facts *out, const union address *source,
					const union address *destination, u16 vlan)
{
	struct bpf_fib_lookup fib = {};
	int event;

	ask_for(&fib, source, destination);
	event = find_neighbour(ctx, &fib, out);
	return event ? event : packet_leave(packet, out, fib.dmac, fib.smac);
}

/* Sends an inner packet to the neighbour beyond an access port whose link has the inner destination. */
static inline int packet_leave_link(hook_context *ctx, struct packet *packet,
				    const struct port_facts *out, int ipv6)
{
	struct cursor cursor = {.position = packet->data + sizeof(struct ethhdr),
				.end = packet->end};
	struct bpf_fib_lookup fib = {};
	int event;

	if (ipv6) {
		struct ipv6hdr *ip = take(&cursor, sizeof(*ip));

		if (!ip)
			return EVENT_DROP_NO_ROOM;
		fib.family = 10; /* AF_INET6 */
		__builtin_memcpy(fib.ipv6_src, &ip->saddr, sizeof(ip->saddr));
		__builtin_memcpy(fib.ipv6_dst, &ip->daddr, sizeof(ip->daddr));
	} else {
		struct iphdr *ip = take(&cursor, sizeof(*ip));

		if (!ip)
			return EVENT_DROP_NO_ROOM;
		fib.family = 2; /* AF_INET */
		fib.ipv4_src = ip->saddr;
		fib.ipv4_dst = ip->daddr;
	}
	event = find_neighbour(ctx, &fib, out);
	if (event == EVENT_DROP_NO_NEIGHBOUR)
		packet->unresolved = out->number;
	return event ? event : packet_leave(packet, out, fib.dmac, fib.smac);
}

/* Hands an inner packet to the host: sent into the far end of the veth pair, it arrives at the near
 * one. */
static inline int packet_leave_host(struct packet *packet, const struct port_facts *out)
{
	return packet_leave(packet, out, out->host_mac, out->mac);
}

#define HOOK_REDIRECT XDP_REDIRECT

#endif
