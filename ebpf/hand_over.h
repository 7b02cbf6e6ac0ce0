/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The end of an inner packet's way: out by an access port, to the host or to its neighbour there. */
#ifndef MOORLINE_HAND_OVER_H
#define MOORLINE_HAND_OVER_H

#include "inner.h"

/* The frame holds the inner packet behind an Ethernet header. */
static inline int hand_over(hook_context *ctx, struct packet *packet, const struct port_facts *out,
			    int ipv6)
{
	struct ethhdr *eth = packet->data;

	if ((void *)(eth + 1) > packet->end)
		return EVENT_DROP_NO_ROOM;
	eth->h_proto = ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	if (out->host_ifindex)
		return packet_leave_host(packet, out);
	return packet_leave_link(ctx, packet, out, ipv6);
}

#endif
