/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Out to a feature peer, behind the header that it knows paths by. */
#ifndef MOORLINE_TO_PEER_H
#define MOORLINE_TO_PEER_H

#include "leave.h"

/* Octets between Ethernet header and inner packet. */
static inline u32 peer_octets(const struct path_hop_entry *hop)
{
	u32 second = hop->data.to_peer.label2 ? sizeof(struct vlan_tag) : 0;

	switch (hop->data.to_peer.header) {
	case PEER_VLAN:
		return sizeof(struct vlan_tag);
	case PEER_QINQ:
		return 2 * sizeof(struct vlan_tag);
	case PEER_MPLS:
		return sizeof(__be32) + (hop->data.to_peer.label2 ? sizeof(__be32) : 0);
	case PEER_GRE:
		return sizeof(struct gre_keyed) + (is_mapped_words(hop->data.to_peer.remote)
							   ? sizeof(struct iphdr)
							   : sizeof(struct ipv6hdr));
	case PEER_PBB:
		return second + sizeof(struct pbb_tag);
	default:
		return 0;
	}
}

static inline int put_tag(struct cursor *cursor, u32 label, __be16 ethertype)
{
	struct vlan_tag *tag = take(cursor, sizeof(*tag));

	if (!tag)
		return EVENT_DROP_NO_ROOM;
	tag->control = bpf_htons(label & VLAN_ID_MASK);
	tag->ethertype = ethertype;
	return CONTINUE;
}

static inline int put_label(struct cursor *cursor, u32 label, u32 bottom)
{
	__be32 *word = take(cursor, sizeof(*word));

	if (!word)
		return EVENT_DROP_NO_ROOM;
	*word = bpf_htonl(label << MPLS_LABEL_BIT | bottom | MPLS_TTL);
	return CONTINUE;
}

static inline int put_pbb(struct cursor *cursor, const struct path_hop_entry *hop, __be16 ethertype)
{
	struct pbb_tag *tag = take(cursor, sizeof(*tag));

	if (!tag)
		return EVENT_DROP_NO_ROOM;
	tag->service = bpf_htonl(hop->data.to_peer.label & PBB_ID_MASK);
	__builtin_memcpy(tag->customer_destination, hop->data.to_peer.dst_mac, ETH_ALEN);
	__builtin_memcpy(tag->customer_source, hop->data.to_peer.src_mac, ETH_ALEN);
	tag->ethertype = ethertype;
	return CONTINUE;
}

static inline int put_gre(struct cursor *cursor, const struct journey *journey,
			  const struct path_hop_entry *hop)
{
	const __be32 *local = (const __be32 *)hop->data.to_peer.local;
	const __be32 *remote = (const __be32 *)hop->data.to_peer.remote;
	u32 total = journey->inner_length + peer_octets(hop);
	u8 traffic_class = outer_class_of(journey);
	struct gre_keyed *gre;
	int event;

	if (is_mapped_words(remote))
		event = put_ipv4(cursor, local[3], remote[3], total, IPPROTO_GRE, traffic_class,
				 OUTER_TTL);
	else
		event = put_ipv6(cursor, local, remote, total, IPPROTO_GRE, traffic_class,
				 OUTER_TTL, flow_of(journey) >> FLOW_LABEL_BIT & FLOW_LABEL);
	gre = take(cursor, sizeof(*gre));
	if (event || !gre)
		return EVENT_DROP_NO_ROOM;
	gre->gre.flags = bpf_htons(GRE_KEY);
	gre->gre.protocol = ethertype_of(journey);
	gre->key = bpf_htonl(hop->data.to_peer.label);
	return CONTINUE;
}

/* Writes the header of the peer's kind, and the EtherType before it. */
static inline int put_peer_header(struct packet *packet, const struct journey *journey,
				  const struct path_hop_entry *hop)
{
	u32 label = hop->data.to_peer.label, label2 = hop->data.to_peer.label2;
	struct cursor cursor = cursor_of(packet);
	struct ethhdr *eth = take(&cursor, sizeof(*eth));
	__be16 inner = ethertype_of(journey);

	if (!eth)
		return EVENT_DROP_NO_ROOM;
	switch (hop->data.to_peer.header) {
	case PEER_VLAN:
		eth->h_proto = bpf_htons(ETH_P_8021Q);
		return put_tag(&cursor, label, inner);
	case PEER_QINQ:
		eth->h_proto = bpf_htons(ETH_P_8021AD);
		return put_tag(&cursor, label, bpf_htons(ETH_P_8021Q))
			       ?: put_tag(&cursor, label2, inner);
	case PEER_MPLS:
		eth->h_proto = bpf_htons(ETH_P_MPLS_UC);
		if (!label2)
			return put_label(&cursor, label, MPLS_BOTTOM);
		return put_label(&cursor, label, 0) ?: put_label(&cursor, label2, MPLS_BOTTOM);
	case PEER_GRE:
		eth->h_proto = is_mapped_words(hop->data.to_peer.remote) ? bpf_htons(ETH_P_IP)
									 : bpf_htons(ETH_P_IPV6);
		return put_gre(&cursor, journey, hop);
	case PEER_PBB:
		eth->h_proto = label2 ? bpf_htons(ETH_P_8021AD) : bpf_htons(ETH_P_PBB);
		if (label2 && put_tag(&cursor, label2, bpf_htons(ETH_P_PBB)))
			return EVENT_DROP_NO_ROOM;
		return put_pbb(&cursor, hop, inner);
	default:
		eth->h_proto = inner;
		return CONTINUE;
	}
}

static inline int leave_to_peer(hook_context *ctx, struct packet *packet,
				const struct journey *journey, const struct path_hop_entry *hop)
{
	struct port_facts *out = port_of_number(hop->data.to_peer.port);
	u32 octets = peer_octets(hop);
	int event;

	if (!out)
		return EVENT_DROP_NO_ROUTE;
	event = settle_inner(ctx, packet, journey);
	if (event)
		return event;
	event = make_room(ctx, packet, journey, octets);
	if (event)
		return event;
	event = put_peer_header(packet, journey, hop);
	return event ? event
		     : packet_leave(packet, out, hop->data.to_peer.dst_mac,
				    hop->data.to_peer.src_mac);
}

#endif
