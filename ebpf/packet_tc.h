/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The packet operations of the TC hook (clsact ingress). packet_xdp.h offers the same ones for
 * XDP. Packets stay what they are: large ones uncut, checksums as far computed as they were. */
#ifndef MOORLINE_PACKET_H
#define MOORLINE_PACKET_H

#include <uapi/linux/pkt_cls.h>

#include "cursor.h"
#include "ports.h"

#define HOOK_PASS     TC_ACT_OK
#define HOOK_DROP     TC_ACT_SHOT
#define HOOK_REDIRECT TC_ACT_REDIRECT

/* BCC's prototype of this helper lacks arguments in some versions. */
static long (*redirect_neigh)(u32 ifindex, void *params, int size,
			      u64 flags) = (void *)BPF_FUNC_redirect_neigh;

/* BPF_F_ADJ_ROOM_DECAP_L3_IPV4 and _IPV6, which headers before Linux 6.3 lack, and kernels too: there,
 * a packet whose inner and outer family differ cannot be taken out of its tunnel at this hook. */
#define DECAP_L3_IPV4 (1ULL << 7)
#define DECAP_L3_IPV6 (1ULL << 8)

/* What an IPv6 header is longer than one of IPv4. */
#define FAMILY_OCTETS ((int)(sizeof(struct ipv6hdr) - sizeof(struct iphdr)))

typedef struct __sk_buff hook_context;

static inline u32 packet_interface(const hook_context *ctx)
{
	return ctx->ifindex;
}

static inline void packet_refresh(hook_context *ctx, struct packet *packet)
{
	packet->data = (void *)(long)ctx->data;
	packet->end = (void *)(long)ctx->data_end;
}

static inline void packet_begin(hook_context *ctx, struct packet *packet)
{
	packet_refresh(ctx, packet);
	if (packet->end - packet->data < LINEAR_OCTETS &&
	    offset_of(packet, packet->end) < ctx->len) {
		/* Where it fails, the headers that do not lie there are found to be missing. */
		bpf_skb_pull_data(ctx, ctx->len < LINEAR_OCTETS ? ctx->len : LINEAR_OCTETS);
	}
	/* Read again, or the verifier goes on with what each branch has said of the length. */
	asm volatile("" : : : "memory");
	packet_refresh(ctx, packet);
	packet->length = ctx->len;
}

/* Payload octets of the largest segment that the packet will be cut into; 0 = it is not cut. */
static inline u32 packet_segment(const hook_context *ctx)
{
	return ctx->gso_size;
}

static inline long packet_load(hook_context *ctx, u32 offset, void *to, u32 octets)
{
	return bpf_skb_load_bytes(ctx, offset, to, octets);
}

/* Writes two words of an IPv6 header in place, keeping any checksum that covers them true. */
static inline long packet_store_covered(hook_context *ctx, struct packet *packet, void *at,
					u32 words[2])
{
	long failed = bpf_skb_store_bytes(ctx, offset_of(packet, at), words, 2 * sizeof(*words),
					  BPF_F_RECOMPUTE_CSUM);

	packet_refresh(ctx, packet);
	return failed;
}

/* Cuts octets off the end. */
static inline long packet_trim(hook_context *ctx, struct packet *packet, u32 octets)
{
	long failed = bpf_skb_change_tail(ctx, ctx->len - octets, 0);

	packet_refresh(ctx, packet);
	packet->length -= octets;
	return failed;
}

/* Makes room for the outer headers behind the Ethernet header and notes the VLAN tag, if any. */
static inline long packet_grow(hook_context *ctx, struct packet *packet, u32 octets, u16 vlan,
			       int inner_ipv6, int outer_ipv6)
{
	u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
	long failed;

	flags |= outer_ipv6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;
	failed = bpf_skb_adjust_room(ctx, octets, BPF_ADJ_ROOM_MAC, flags);
	if (!failed && vlan)
		failed = bpf_skb_vlan_push(ctx, bpf_htons(ETH_P_8021Q), vlan);
	packet_refresh(ctx, packet);
	return failed;
}

/* The Ethernet header is there, written anew by the kernel when it sends. */
static inline long packet_put_ethernet(struct cursor *cursor, u16 vlan, int outer_ipv6)
{
	struct ethhdr *eth = take(cursor, sizeof(*eth));

	if (!eth)
		return -1;
	eth->h_proto = outer_ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	return 0;
}

/* Takes off the VLAN tags, whether they stand in the packet or beside it. */
static inline void packet_untag(hook_context *ctx)
{
	for (int tag = 0; tag <= VLAN_TAGS; tag++) {
		if (!ctx->vlan_present && ctx->protocol != bpf_htons(ETH_P_8021Q) &&
		    ctx->protocol != bpf_htons(ETH_P_8021AD))
			return;
		bpf_skb_vlan_pop(ctx);
	}
}

/* Takes off what stands before the inner packet but for room for an Ethernet header. */
static inline long packet_shrink(hook_context *ctx, struct packet *packet, u32 inner_offset,
				 int inner_ipv6, int outer_ipv6)
{
	u32 inner_length = packet->length - inner_offset;
	u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;
	long failed;

	packet_untag(ctx);
	if (inner_ipv6 != outer_ipv6)
		flags |= inner_ipv6 ? DECAP_L3_IPV6 : DECAP_L3_IPV4;
	failed = bpf_skb_adjust_room(ctx, -(int)(ctx->len - sizeof(struct ethhdr) - inner_length),
				     BPF_ADJ_ROOM_MAC, flags);
	packet_refresh(ctx, packet);
	return failed;
}

/* Makes the room before the inner packet fit other outer headers, and notes the VLAN tag, if any. The
 * packet stays one in a tunnel for the kernel, if it was: its inner headers stay where they are. A
 * change of family is told to the kernel by taking off more than is too much. */
static inline long packet_exchange(hook_context *ctx, struct packet *packet, u32 inner_offset,
				   u32 octets, u16 vlan, int former_ipv6, int outer_ipv6)
{
	long failed = 0;

	packet_untag(ctx);
	if (outer_ipv6 && !former_ipv6)
		failed = bpf_skb_adjust_room(ctx, 2 * FAMILY_OCTETS, BPF_ADJ_ROOM_MAC,
					     BPF_F_ADJ_ROOM_FIXED_GSO);
	if (!failed && outer_ipv6 != former_ipv6)
		failed = bpf_skb_adjust_room(ctx, -FAMILY_OCTETS, BPF_ADJ_ROOM_MAC,
					     BPF_F_ADJ_ROOM_FIXED_GSO |
						     (outer_ipv6 ? DECAP_L3_IPV6 : DECAP_L3_IPV4));
	if (!failed && vlan)
		failed = bpf_skb_vlan_push(ctx, bpf_htons(ETH_P_8021Q), vlan);
	packet_refresh(ctx, packet);
	return failed;
}

/* Sends an encapsulated packet by the kernel's route and neighbour for its outer destination. The
 * kernel finds them when the program has ended; it holds the packet while it asks for a
 * neighbour's address. */
static inline int packet_leave_underlay(hook_context *ctx, struct packet *packet,
					const struct port_facts *out, const union address *source,
					const union address *destination, u16 vlan)
{
	return redirect_neigh(out->ifindex, NULL, 0, 0) == TC_ACT_REDIRECT ? EVENT_TX
									   : EVENT_DROP_NO_ROUTE;
}

/* Sends an inner packet to the neighbour beyond an access port whose link has the inner destination. */
static inline int packet_leave_link(hook_context *ctx, struct packet *packet,
				    const struct port_facts *out, int ipv6)
{
	struct cursor cursor = {.position = packet->data + sizeof(struct ethhdr),
				.end = packet->end};
	struct bpf_redir_neigh hop = {};

	if (ipv6) {
		struct ipv6hdr *ip = take(&cursor, sizeof(*ip));

		if (!ip)
			return EVENT_DROP_NO_ROOM;
		hop.nh_family = 10; /* AF_INET6 */
		__builtin_memcpy(hop.ipv6_nh, &ip->daddr, sizeof(ip->daddr));
	} else {
		struct iphdr *ip = take(&cursor, sizeof(*ip));

		if (!ip)
			return EVENT_DROP_NO_ROOM;
		hop.nh_family = 2; /* AF_INET */
		hop.ipv4_nh = ip->daddr;
	}
	return redirect_neigh(out->ifindex, &hop, sizeof(hop), 0) == TC_ACT_REDIRECT
		       ? EVENT_TX
		       : EVENT_DROP_NO_ROUTE;
}

/* Hands an inner packet to the host: it arrives at the near end of the veth pair. */
static inline int packet_leave_host(struct packet *packet, const struct port_facts *out)
{
	struct ethhdr *eth = packet->data;

	if ((void *)(eth + 1) > packet->end)
		return EVENT_DROP_NO_ROOM;
	__builtin_memcpy(eth->h_dest, out->host_mac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, out->mac, ETH_ALEN);
	return bpf_redirect(out->host_ifindex, BPF_F_INGRESS) == TC_ACT_REDIRECT
		       ? EVENT_TX
		       : EVENT_DROP_NO_ROUTE;
}

/* The kernel asks for neighbours itself at this hook, when the program has ended. */
static inline void ask_for_neighbour(hook_context *ctx, const struct packet *packet)
{
}

#endif
