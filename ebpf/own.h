/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Packets from a link that no path and no connection takes: they are for the link, or the node itself. */
#ifndef MOORLINE_OWN_H
#define MOORLINE_OWN_H

#include "inner.h"
#include "terminate.h"

/* Addresses that stay on the link: the kernel's. */
static inline int is_link_ipv4(__be32 destination)
{
	u32 address = bpf_ntohl(destination);

	return address >> 28 == 0xe ||  /* multicast, 224.0.0.0/4 */
	       address == 0xffffffff || /* broadcast */
	       address >> 16 == 0xa9fe; /* link-local, 169.254.0.0/16 */
}

static inline int is_link_ipv6(const struct in6_addr *destination)
{
	u16 first = bpf_ntohs(destination->in6_u.u6_addr16[0]);

	return first >> 8 == 0xff || (first & 0xffc0) == 0xfe80;
}

static inline int is_link_local(const struct inner *inner)
{
	return inner->is_ipv6 ? is_link_ipv6(&inner->ipv6->daddr)
			      : is_link_ipv4(inner->ipv4->daddr);
}

/* Whether the packet is for the node itself: no connection of a host beyond a gateway port. */
static inline int is_for_node(struct packet *packet, const struct inner *inner)
{
	union address source, destination;

	inner_addresses(inner, &source, &destination);
	return is_terminated(packet, TUNNEL_NONE, &destination);
}

#endif
