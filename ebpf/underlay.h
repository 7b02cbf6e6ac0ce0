/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The way of a packet from an underlay port: out of its tunnel, to an access port, or on to another
 * node. */
#ifndef MOORLINE_UNDERLAY_H
#define MOORLINE_UNDERLAY_H

#include "digest.h"
#include "ecn.h"
#include "geneve.h"
#include "hand_over.h"
#include "relay.h"

/* Whether the packet comes from the node at the other end: from one of its addresses, or, while
 * packets may still be on their way, from one that it had before. Node 0 stands for any that is known:
 * the connection comes here by way of a path, whose last peer may be at several. */
static inline int check_source(struct packet *packet, const struct outer *outer, u16 node)
{
	const union address *source = &outer->source;
	struct locator_entry *entry;

	if (!node)
		return origin_of(packet, outer) ? CONTINUE : EVENT_DROP_SOURCE;
	entry = locator_lookup(packet, node);
	if (!entry)
		return EVENT_DROP_NODE_UNKNOWN;
	if (is_from_nobody(outer))
		return EVENT_DROP_SOURCE;
	if (same_address(source, entry->data.set_paths.dst0) ||
	    same_address(source, entry->data.set_paths.dst1) ||
	    same_address(source, entry->data.set_paths.previous0) ||
	    same_address(source, entry->data.set_paths.previous1))
		return CONTINUE;
	return EVENT_DROP_SOURCE;
}

/* Whether the inner addresses are the connection's own. A connection without addresses of a family
 * has zeros there, which are nobody's. */
static inline int check_addresses(const struct inner *inner, const struct scid_entry *entry)
{
	const struct scid_rest *rest;

	if (!inner->is_ipv6) {
		if (inner->ipv4->daddr &&
		    inner->ipv4->daddr == *(__be32 *)entry->data.deliver.local4 &&
		    inner->ipv4->saddr == *(__be32 *)entry->data.deliver.peer4)
			return CONTINUE;
		return EVENT_DROP_INNER_ADDRESS;
	}
	rest = scid_rest_of(entry);
	if (rest && !is_zero(&inner->ipv6->daddr) &&
	    same_words(&inner->ipv6->daddr, rest->data.deliver.local6) &&
	    same_words(&inner->ipv6->saddr, rest->data.deliver.peer6))
		return CONTINUE;
	return EVENT_DROP_INNER_ADDRESS;
}

/* Takes off the outer headers and what is behind the inner packet, and hands that to an access port. */
static inline int deliver(hook_context *ctx, struct packet *packet, u32 inner_offset,
			  u32 inner_length, int inner_ipv6, int outer_ipv6, u16 port)
{
	struct port_facts *out = port_of_number(port);
	u32 padding = packet->length - inner_offset - inner_length;

	if (!out)
		return EVENT_DROP_NO_ROUTE;
	if (padding && packet_trim(ctx, packet, padding))
		return EVENT_DROP_NO_ROOM;
	if (packet_shrink(ctx, packet, inner_offset, inner_ipv6, outer_ipv6))
		return EVENT_DROP_NO_ROOM;
	return hand_over(ctx, packet, out, inner_ipv6);
}

/* Has the entry of the packet's connection fetched, most likely from far away, before the headers are
 * looked at: by a store to an octet of it that nobody reads, for a load has all wait that follows. Only
 * for a usual packet, whose outer headers are IPv4 without a VLAN tag. */
static inline void fetch_entry(const struct packet *packet)
{
	const struct udphdr *udp = packet->data + sizeof(struct ethhdr) + sizeof(struct iphdr);
	const struct data_header *header = (const void *)(udp + 1);
	struct scid_entry *entry;

	if ((void *)(header + 1) > packet->end || udp->dest != bpf_htons(GENEVE_PORT) ||
	    header->option.path & bpf_htonl(~0xff))
		return;
	entry = scid_element(bpf_ntohl(header->option.scid_low) & (SIZE_scid - 1));
	if (entry)
		*(volatile u8 *)entry->data.deliver.pad = 0;
}

static inline int from_underlay(hook_context *ctx, struct packet *packet)
{
	struct cursor cursor = cursor_of(packet);
	struct outer outer = {};
	struct tunnel tunnel = {};
	struct inner inner = {};
	struct scid_entry *entry;
	u32 available, inner_offset;
	int event, inner_ipv6;
	u8 ecn, hops;

	fetch_entry(packet);
	event = parse_outer(ctx, packet, &cursor, &outer);
	if (event == EVENT_PASS && outer.is_device)
		return path_from_device(ctx, packet);
	if (event)
		return event;
	look_anew(ctx, packet, &cursor);
	event = parse_geneve(ctx, packet, &cursor, outer.payload, &tunnel);
	if (event)
		return event;
	if (tunnel.path >> 8)
		return path_from_underlay(ctx, packet, &cursor, &outer, &tunnel);
	if (!tunnel.scid)
		return EVENT_DROP_SCID_ZERO;
	entry = scid_lookup(packet, tunnel.scid);
	if (!entry) {
		tell_scid_unknown(packet, tunnel.scid, &outer.source);
		return EVENT_DROP_SCID_UNKNOWN;
	}
	if (entry->action == ACTION_relay)
		return relay(ctx, packet, &cursor, &outer, &tunnel, entry);
	if (entry->data.deliver.tenant != tunnel.tenant)
		return EVENT_DROP_TENANT;
	event = check_source(packet, &outer, entry->data.deliver.node);
	if (event)
		return event;

	inner_offset = offset_of(packet, cursor.position);
	available = outer.payload - sizeof(struct data_header);
	event = parse_inner(&cursor, tunnel.protocol, available, &inner);
	if (event)
		return event;
	if (inner.length != available)
		return EVENT_DROP_INNER_LENGTH;
	event = check_addresses(&inner, entry);
	if (event)
		return event;
	hops = entry->data.deliver.hops;
	if (is_expired(&inner, hops))
		return EVENT_PUNT_TTL_EXPIRED;
	ecn = ecn_combined(inner.traffic_class & ECN_MASK, outer.traffic_class & ECN_MASK);
	if (ecn == ECN_DROP)
		return EVENT_DROP_INNER_ECN;
	inner_ipv6 = inner.is_ipv6;
	event = rewrite_inner(ctx, packet, &inner, ecn, hops);
	if (event)
		return event;
	return deliver(ctx, packet, inner_offset, available, inner_ipv6, outer.is_ipv6,
		       entry->data.deliver.port);
}

#endif
