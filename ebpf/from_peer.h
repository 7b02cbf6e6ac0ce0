/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The step peer: a frame that comes back from a feature peer. */
#ifndef MOORLINE_FROM_PEER_H
#define MOORLINE_FROM_PEER_H

#include "journey.h"
#include "own.h"

/* What the header of a peer's frame says. */
struct steering {
	u32 label;
	u32 carried;     /* octets that it says are behind it, where it says that */
	__be16 protocol; /* of what stands behind it */
};

/* Octets from the cursor to the end of the frame. */
static inline u32 octets_left(const struct packet *packet, const struct cursor *cursor)
{
	return packet->length - offset_of(packet, cursor->position);
}

static inline int is_ip(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_IP) || protocol == bpf_htons(ETH_P_IPV6);
}

/* Whether a header of some peer's kind follows: at another peer's port it is an error. */
static inline int is_label(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD) ||
	       protocol == bpf_htons(ETH_P_MPLS_UC) || protocol == bpf_htons(ETH_P_PBB);
}

/* Whether a port with this kind of header does not take what follows it, rather than leave it to the
 * link. */
static inline int is_too_much(__be16 protocol, u8 header)
{
	if (header == PEER_PBB)
		return 0;
	if (header == PEER_VLAN || header == PEER_QINQ)
		return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
	return is_label(protocol);
}

/* One VLAN tag; the label is its VLAN. */
static inline int take_tag(struct cursor *cursor, __be16 expected, struct steering *steering)
{
	struct vlan_tag *tag;

	if (steering->protocol != expected)
		return EVENT_DROP_PEER_HEADER;
	tag = take(cursor, sizeof(*tag));
	if (!tag)
		return EVENT_DROP_PEER_HEADER;
	steering->label = bpf_ntohs(tag->control) & VLAN_ID_MASK;
	steering->protocol = tag->ethertype;
	return CONTINUE;
}

/* Two VLAN tags; the label is the outer one's, the inner one is the peer's own business. */
static inline int take_two_tags(struct cursor *cursor, struct steering *steering)
{
	int event = take_tag(cursor, bpf_htons(ETH_P_8021AD), steering);
	u32 label = steering->label;

	event = event ?: take_tag(cursor, bpf_htons(ETH_P_8021Q), steering);
	steering->label = label;
	return event;
}

/* What an unlabelled IP packet is, by its version. */
static inline __be16 protocol_by_version(const struct cursor *cursor)
{
	u8 *first = peek(cursor, sizeof(*first));

	if (!first)
		return 0;
	if (*first >> 4 == 4)
		return bpf_htons(ETH_P_IP);
	return *first >> 4 == 6 ? bpf_htons(ETH_P_IPV6) : 0;
}

/* One MPLS label or two. */
static inline int take_labels(struct cursor *cursor, struct steering *steering)
{
	__be32 *top, *second;

	if (steering->protocol != bpf_htons(ETH_P_MPLS_UC))
		return EVENT_DROP_PEER_HEADER;
	top = take(cursor, sizeof(*top));
	if (!top)
		return EVENT_DROP_PEER_HEADER;
	steering->label = bpf_ntohl(*top) >> MPLS_LABEL_BIT;
	if (!(*top & bpf_htonl(MPLS_BOTTOM))) {
		second = take(cursor, sizeof(*second));
		if (!second || !(*second & bpf_htonl(MPLS_BOTTOM)))
			return EVENT_DROP_PEER_HEADER;
	}
	steering->protocol = protocol_by_version(cursor);
	return steering->protocol ? CONTINUE : EVENT_DROP_PEER_HEADER;
}

/* The backbone's headers, and the customer's addresses behind them. */
static inline int take_backbone(struct cursor *cursor, struct steering *steering)
{
	struct pbb_tag *tag;

	if (steering->protocol == bpf_htons(ETH_P_8021AD) &&
	    take_tag(cursor, steering->protocol, steering))
		return EVENT_DROP_PEER_HEADER;
	if (steering->protocol != bpf_htons(ETH_P_PBB))
		return EVENT_DROP_PEER_HEADER;
	tag = take(cursor, sizeof(*tag));
	if (!tag)
		return EVENT_DROP_PEER_HEADER;
	steering->label = bpf_ntohl(tag->service) & PBB_ID_MASK;
	steering->protocol = tag->ethertype;
	return CONTINUE;
}

/* GRE in IPv4 or IPv6; without a key, the label is 0. */
static inline int take_gre(const struct packet *packet, struct cursor *cursor,
			   struct steering *steering)
{
	struct inner carrier = {};
	struct gre_header *gre;
	u32 octets = sizeof(*gre);
	__be32 *key;

	if (!is_ip(steering->protocol) ||
	    parse_inner(cursor, steering->protocol, octets_left(packet, cursor), &carrier) ||
	    carrier.next != IPPROTO_GRE || carrier.fragment ||
	    (carrier.ipv4 && carrier.ipv4->ihl != IPV4_WORDS))
		return EVENT_DROP_PEER_HEADER;
	gre = take(cursor, sizeof(*gre));
	if (!gre || gre->flags & bpf_htons(GRE_REFUSED) || !is_ip(gre->protocol))
		return EVENT_DROP_PEER_HEADER;
	if (gre->flags & bpf_htons(GRE_KEY)) {
		key = take(cursor, sizeof(*key));
		if (!key)
			return EVENT_DROP_PEER_HEADER;
		steering->label = bpf_ntohl(*key);
		octets += sizeof(*key);
	}
	if (carrier.payload < octets)
		return EVENT_DROP_PEER_HEADER;
	steering->carried = carrier.payload - octets;
	steering->protocol = gre->protocol;
	return CONTINUE;
}

/* Moves the cursor behind the header that the port's frames have. */
static inline int take_peer_header(const struct packet *packet, struct cursor *cursor, u8 header,
				   struct steering *steering)
{
	switch (header) {
	case PEER_VLAN:
		return take_tag(cursor, bpf_htons(ETH_P_8021Q), steering);
	case PEER_QINQ:
		return take_two_tags(cursor, steering);
	case PEER_MPLS:
		return take_labels(cursor, steering);
	case PEER_GRE:
		return take_gre(packet, cursor, steering);
	case PEER_PBB:
		return take_backbone(cursor, steering);
	default:
		return CONTINUE;
	}
}

static inline struct resume_entry *resume_of(struct packet *packet, const struct journey *journey,
					     const struct ethhdr *eth, u32 label)
{
	struct {
		u16 port;
		u8 header;
		u8 pad0;
		u32 label;
		u8 mac[6];
		u8 pad1[2];
	} __attribute__((aligned(8)))
	key = {.port = packet->port, .header = journey->header, .label = label};

	if (journey->by_mac)
		__builtin_memcpy(key.mac, eth->h_source, ETH_ALEN);
	return resume_lookup(packet, (const u64 *)&key);
}

/* Holds the packet against the connection that is on this path, and notes that; one within this node
 * has no SPI to hold it against. */
static inline int check_connection(struct packet *packet, struct journey *journey)
{
	struct connection_entry *entry = join_connection(packet, journey);

	if (!entry)
		return EVENT_DROP_PEER_UNEXPECTED;
	return entry->action == ACTION_local || is_same_family(entry->data.encapsulate.spi,
							       journey->traveller.path >> 8)
		       ? CONTINUE
		       : EVENT_DROP_PEER_UNEXPECTED;
}

/* The step that goes on with the packet. */
static inline int resume_journey(hook_context *ctx, struct packet *packet, struct journey *journey,
				 const struct resume_entry *entry)
{
	int event;

	if (entry->action == ACTION_resume_class) {
		journey->purpose = CLASS_RESUME;
		journey->traveller.path = entry->data.resume_class.si;
		journey->path_mtu = entry->data.resume_class.mtu;
		return go_on(ctx, packet, XDP_STEP_class);
	}
	journey->traveller.path = entry->data.resume_path.spi << 8 | entry->data.resume_path.si;
	if (entry->data.resume_path.check == CHECK_CLASS) {
		journey->purpose = CLASS_CHECK;
		return go_on(ctx, packet, XDP_STEP_class);
	}
	if (entry->data.resume_path.check == CHECK_CONNECTION) {
		event = check_connection(packet, journey);
		if (event)
			return event;
	}
	return go_on(ctx, packet, XDP_STEP_hop);
}

static inline int from_peer(hook_context *ctx, struct packet *packet, struct journey *journey)
{
	struct cursor cursor = cursor_of(packet);
	struct steering steering = {.carried = LONGEST_PACKET};
	struct resume_entry *entry;
	struct inner inner = {};
	struct ethhdr *eth = take(&cursor, sizeof(*eth));
	u32 available, offset;
	int event;

	if (!eth)
		return EVENT_PASS;
	steering.protocol = eth->h_proto;
	if (!is_ip(steering.protocol) && !is_label(steering.protocol))
		return EVENT_PASS; /* of the link: address resolution */
	event = take_peer_header(packet, &cursor, journey->header, &steering);
	if (event)
		return event;
	if (!is_ip(steering.protocol))
		return is_too_much(steering.protocol, journey->header) ? EVENT_DROP_PEER_HEADER
								       : EVENT_PASS;
	available = octets_left(packet, &cursor);
	if (available > steering.carried)
		available = steering.carried;
	offset = offset_of(packet, cursor.position);
	move_to(packet, &cursor, offset);
	event = parse_inner(&cursor, steering.protocol, available, &inner);
	if (event)
		return event;
	if (is_link_local(&inner))
		return EVENT_PASS;
	entry = resume_of(packet, journey, packet->data, steering.label);
	if (!entry)
		return EVENT_DROP_PEER_UNKNOWN;
	note_inner(journey, &cursor, &inner, offset);
	return resume_journey(ctx, packet, journey, entry);
}

#endif
