/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Headers on the wire that the kernel's UAPI does not define, and the form of an address. */
#ifndef MOORLINE_HEADERS_H
#define MOORLINE_HEADERS_H

#include "constants.h"

/* IPv6, or IPv4 mapped into it (::ffff:a.b.c.d): the form of every 128-bit field. */
union address {
	u8 octets[16];
	u32 words[4];
	u64 halves[2];
};

struct vlan_tag {
	__be16 control;
	__be16 ethertype;
};

struct ipv6_fragment {
	u8 next_header;
	u8 reserved;
	__be16 offset_more; /* 13 bits offset in 8 octets, 2 reserved, 1 "more fragments" */
	__be32 identification;
};

/* Geneve's fixed header and behind it, at its fixed place, Moorline's option. */
struct geneve_header {
	u8 version_length;
	u8 flags;
	__be16 protocol;
	__be32 vni; /* upper 24 bits */
};

struct moorline_option {
	__be32 magic;
	__be32 scid_high;
	__be32 scid_low;
	__be32 path; /* SPI in the upper 24 bits, SI in the lower 8 */
};

struct data_header {
	struct geneve_header geneve;
	struct moorline_option option;
};

/* The ports of TCP, UDP, UDP-Lite, SCTP and DCCP, all at the same place. */
struct transport_ports {
	__be16 source;
	__be16 destination;
};

struct gre_header {
	__be16 flags;
	__be16 protocol;
};

/* With the key that peers' tunnels have. */
struct gre_keyed {
	struct gre_header gre;
	__be32 key;
};

/* IEEE 802.1ah: behind it the frame of the customer begins. */
struct pbb_tag {
	__be32 service; /* I-SID in the lower 24 bits */
	u8 customer_destination[ETH_ALEN];
	u8 customer_source[ETH_ALEN];
	__be16 ethertype;
} __attribute__((packed));

struct vxlan_header {
	__be32 flags;
	__be32 vni; /* upper 24 bits */
};

static inline void map_ipv4(union address *address, __be32 ipv4)
{
	address->halves[0] = 0;
	address->words[2] = bpf_htonl(0xffff);
	address->words[3] = ipv4;
}

static inline void copy_ipv6(union address *address, const void *from)
{
	const u64 *halves = from;

	address->halves[0] = halves[0];
	address->halves[1] = halves[1];
}

static inline int same_address(const union address *a, const void *b)
{
	const u64 *halves = b;

	return a->halves[0] == halves[0] && a->halves[1] == halves[1];
}

/* The same for addresses that need not lie on a boundary of 8 octets. */
static inline int same_words(const void *a, const void *b)
{
	const u32 *x = a, *y = b;

	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]));
}

static inline void copy_words(void *to, const void *from)
{
	const u32 *x = from;
	u32 *y = to;

	y[0] = x[0];
	y[1] = x[1];
	y[2] = x[2];
	y[3] = x[3];
}

/* By words of 2 octets, at whose boundaries addresses lie; the compiler would take single ones. */
static inline void copy_mac(void *to, const void *from)
{
	const u16 *x = from;
	u16 *y = to;

	y[0] = x[0];
	y[1] = x[1];
	y[2] = x[2];
}

static inline int is_zero(const void *address)
{
	const u32 *words = address;

	return !(words[0] | words[1] | words[2] | words[3]);
}

static inline int is_mapped(const union address *address)
{
	return address->halves[0] == 0 && address->words[2] == bpf_htonl(0xffff);
}

/* The same for addresses that need not lie on a boundary of 8 octets. */
static inline int is_mapped_words(const void *address)
{
	const u32 *words = address;

	return !(words[0] | words[1]) && words[2] == bpf_htonl(0xffff);
}

/* The unspecified address of either family, which is nobody's. */
static inline int is_unspecified(const union address *address)
{
	return !address->words[3] &&
	       (is_mapped(address) || !(address->halves[0] | address->words[2]));
}

#endif
