/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The outer headers of a packet at an underlay port: which packets are ours, and whether they are
 * sound.
 *
 * A packet is ours when it is UDP to GENEVE_PORT at an address in the table terminate. Everything
 * else is the kernel's, malformed or not, and passes: fragments but the first (they have no UDP
 * header), IPv6 with extension headers, packets too short to show their UDP ports. Our own nodes
 * send IPv4 without options, IPv6 without extension headers, and nothing in fragments; a packet
 * that is ours and has any of these is dropped.
 */
#ifndef MOORLINE_OUTER_H
#define MOORLINE_OUTER_H

#include "checksum.h"
#include "events.h"
#include "terminate.h"

struct outer {
	union address source;
	union address destination;
	struct iphdr *ipv4;   /* unless is_ipv6 */
	struct ipv6hdr *ipv6; /* if is_ipv6 */
	u64 pseudo_sum;       /* of the UDP pseudo-header, but for the length */
	u32 available;        /* octets from the UDP header to the end of the IP packet */
	u32 payload;          /* octets behind the UDP header */
	u8 traffic_class;
	u8 is_ipv6;
	u8 fragment;  /* the first one of an IPv6 packet */
	u8 next;      /* protocol of what the IP packet carries */
	u8 is_device; /* not Geneve, but perhaps another tunnel, from a user's device */
};

/* Whether no packet comes from its source: empty places of entries hold zeros, and IPv4 addresses do
 * not come in IPv6 headers. */
static inline int is_from_nobody(const struct outer *outer)
{
	return is_unspecified(&outer->source) || (outer->is_ipv6 && is_mapped(&outer->source));
}

/* The node that sent the packet; NULL if no node has its source. */
static inline struct origin_entry *origin_of(struct packet *packet, const struct outer *outer)
{
	return is_from_nobody(outer) ? NULL : origin_lookup(packet, outer->source.halves);
}

/* Leaves the cursor where it is, but has the verifier forget which headers have led there: it looks once
 * at what follows, not once for each sequence of headers. */
static inline void look_anew(hook_context *ctx, struct packet *packet, struct cursor *cursor)
{
	u32 offset = offset_of(packet, cursor->position);

	asm volatile("" : : : "memory"); /* or the compiler knows the packet's place still */
	packet_refresh(ctx, packet);
	*cursor = cursor_of(packet);
	move_to(packet, cursor, offset);
}

/* Moves past the Ethernet header and up to two VLAN tags; returns the EtherType in network order,
 * 0 if the packet ends before. */
static inline __be16 parse_ethernet(struct cursor *cursor)
{
	struct ethhdr *eth = take(cursor, sizeof(*eth));
	__be16 type;

	if (!eth)
		return 0;
	type = eth->h_proto;
#pragma unroll
	for (int tags = 0; tags < VLAN_TAGS; tags++) {
		struct vlan_tag *tag;

		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		tag = take(cursor, sizeof(*tag));
		if (!tag)
			return 0;
		type = tag->ethertype;
	}
	return type;
}

/* Whether a UDP header for the port begins at the cursor. Only its ports need be there. */
static inline int is_udp_port(const struct cursor *cursor, u16 port)
{
	struct transport_ports *ports = peek(cursor, sizeof(*ports));

	return ports && ports->destination == bpf_htons(port);
}

/* Whether what follows an IP header may be the tunnel of a user's device: GRE, IPIP. */
static inline int is_tunnel_protocol(u8 protocol)
{
	return protocol == IPPROTO_GRE || protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6;
}

/* Moves the cursor to what the packet carries. */
static inline int parse_outer_ipv4(struct cursor *cursor, struct outer *outer)
{
	struct iphdr *ip = take(cursor, sizeof(*ip));

	if (!ip || ip->version != 4 || ip->frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET))
		return EVENT_PASS;
	if (ip->ihl > IPV4_WORDS && !take(cursor, (ip->ihl - IPV4_WORDS) * 4))
		return EVENT_PASS;
	map_ipv4(&outer->source, ip->saddr);
	map_ipv4(&outer->destination, ip->daddr);
	outer->ipv4 = ip;
	outer->next = ip->protocol;
	return CONTINUE;
}

static inline int parse_outer_ipv6(struct cursor *cursor, struct outer *outer)
{
	struct ipv6hdr *ip = take(cursor, sizeof(*ip));
	u8 next;

	if (!ip || ip->version != 6)
		return EVENT_PASS;
	next = ip->nexthdr;
	if (next == IPPROTO_FRAGMENT) {
		struct ipv6_fragment *fragment = take(cursor, sizeof(*fragment));

		if (!fragment || bpf_ntohs(fragment->offset_more) >> 3)
			return EVENT_PASS;
		next = fragment->next_header;
		if (next != IPPROTO_UDP)
			return EVENT_PASS;
		outer->fragment = 1;
	}
	copy_ipv6(&outer->source, &ip->saddr);
	copy_ipv6(&outer->destination, &ip->daddr);
	if (is_mapped(&outer->destination))
		return EVENT_PASS;
	outer->ipv6 = ip;
	outer->is_ipv6 = 1;
	outer->next = next;
	return CONTINUE;
}

/* Moves the cursor behind the IP header. */
static inline int parse_outer_ip(hook_context *ctx, struct packet *packet, struct cursor *cursor,
				 struct outer *outer)
{
	__be16 type = parse_ethernet(cursor);

	look_anew(ctx, packet, cursor);
	if (type == bpf_htons(ETH_P_IP))
		return parse_outer_ipv4(cursor, outer);
	return type == bpf_htons(ETH_P_IPV6) ? parse_outer_ipv6(cursor, outer) : EVENT_PASS;
}

/* The checks of an IPv4 header whose packet is ours. least: octets that it carries at least. */
static inline int check_outer_ipv4(const struct packet *packet, struct outer *outer, u32 least)
{
	const struct iphdr *ip = outer->ipv4;
	u32 total = bpf_ntohs(ip->tot_len);

	if (ip->ihl != IPV4_WORDS)
		return EVENT_DROP_OUTER_HEADER_LENGTH;
	if (fold(ipv4_sum(ip)) != 0xffff)
		return EVENT_DROP_OUTER_CHECKSUM;
	if (total < sizeof(*ip) + least || total > packet->length - offset_of(packet, ip))
		return EVENT_DROP_OUTER_LENGTH;
	if (ip->frag_off & bpf_htons(IPV4_MORE_FRAGMENTS))
		return EVENT_DROP_OUTER_FRAGMENT;
	outer->available = total - sizeof(*ip);
	outer->traffic_class = ip->tos;
	outer->pseudo_sum = (u64)ip->saddr + ip->daddr + bpf_htons(IPPROTO_UDP);
	return CONTINUE;
}

static inline int check_outer_ipv6(const struct packet *packet, struct outer *outer, u32 least)
{
	const struct ipv6hdr *ip = outer->ipv6;
	u32 payload = bpf_ntohs(ip->payload_len);

	if (outer->fragment)
		return EVENT_DROP_OUTER_FRAGMENT;
	if (payload < least || payload > packet->length - offset_of(packet, ip + 1))
		return EVENT_DROP_OUTER_LENGTH;
	outer->available = payload;
	outer->traffic_class = bpf_ntohl(*(const __be32 *)ip) >> 20;
	outer->pseudo_sum = sum_of_4((const u32 *)&ip->saddr) + sum_of_4((const u32 *)&ip->daddr) +
			    bpf_htons(IPPROTO_UDP);
	return CONTINUE;
}

static inline int check_outer(const struct packet *packet, struct outer *outer, u32 least)
{
	return outer->is_ipv6 ? check_outer_ipv6(packet, outer, least)
			      : check_outer_ipv4(packet, outer, least);
}

/* Moves the cursor behind the UDP header. A checksum of 0 stands for none, also over IPv6 (RFC
 * 6936, RFC 8926 section 3.3). */
static inline int parse_udp(hook_context *ctx, const struct packet *packet, struct cursor *cursor,
			    struct outer *outer)
{
	struct udphdr *udp = take(cursor, sizeof(*udp));
	u32 length;

	if (!udp)
		return EVENT_DROP_OUTER_TRUNCATED;
	length = bpf_ntohs(udp->len);
	if (length < sizeof(*udp) || length != outer->available)
		return EVENT_DROP_UDP_LENGTH;
	outer->payload = length - sizeof(*udp);
	if (udp->check &&
	    !udp_checksum_holds(ctx, offset_of(packet, udp), length, outer->pseudo_sum + udp->len))
		return EVENT_DROP_UDP_CHECKSUM;
	return CONTINUE;
}

/* Moves the cursor behind the UDP header of a packet that is ours and sound. */
static inline int parse_outer(hook_context *ctx, struct packet *packet, struct cursor *cursor,
			      struct outer *outer)
{
	int event = parse_outer_ip(ctx, packet, cursor, outer);

	if (event)
		return event;
	outer->is_device = is_tunnel_protocol(outer->next) ||
			   (outer->next == IPPROTO_UDP && is_udp_port(cursor, VXLAN_PORT));
	if (outer->next != IPPROTO_UDP || !is_udp_port(cursor, GENEVE_PORT) ||
	    !is_terminated(packet, TUNNEL_GENEVE, &outer->destination))
		return EVENT_PASS;
	if (!peek(cursor, sizeof(struct udphdr)))
		return EVENT_DROP_OUTER_TRUNCATED;
	event = check_outer(packet, outer, sizeof(struct udphdr));
	return event ? event : parse_udp(ctx, packet, cursor, outer);
}

#endif
