/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Numbers of the wire format (docs/wire-format.md) and of the protocols around it.
 *
 * The numbers of the contract are not here: the loader takes them from the P4Info and from
 * moorline.wire and gives them on the command line: ACTION_<alias>; SIZE_<table>,
 * ELEMENTS_<table>; for tables with an index BUCKETS_<table>; for ternary tables MASKS and ORDERS;
 * EVENT_<NAME>; and CPUS, as many as this machine may ever have.
 */
#ifndef MOORLINE_CONSTANTS_H
#define MOORLINE_CONSTANTS_H

#include <uapi/linux/bpf.h>
#include <uapi/linux/if_ether.h>
#include <uapi/linux/in.h>
#include <uapi/linux/ip.h>
#include <uapi/linux/ipv6.h>
#include <uapi/linux/udp.h>

/* What a step of the pipeline returns when the packet goes on to the next one. Otherwise it
 * returns the event that ends the packet's way. EVENT_RX is 0 and never ends one. */
#define CONTINUE 0

/* moorline.wire.Tunnel. */
#define TUNNEL_NONE   0
#define TUNNEL_GENEVE 1
#define TUNNEL_VXLAN  2
#define TUNNEL_GRE    3
#define TUNNEL_IPIP   4
#define GENEVE_PORT   6081
#define VXLAN_PORT    4789
#define OAM_PORT      6083  /* of the probes that trace a path */
#define VXLAN_FLAGS   0x08U /* valid VNI, and nothing that is reserved */

/* moorline.wire.PeerHeader: what stands between Ethernet and packet at a feature peer. */
#define PEER_NONE 0
#define PEER_VLAN 1
#define PEER_QINQ 2
#define PEER_MPLS 3
#define PEER_GRE  4
#define PEER_PBB  5

/* moorline.wire.PeerCheck: what a packet back from a peer is held against. */
#define CHECK_NONE       0
#define CHECK_CONNECTION 1
#define CHECK_CLASS      2

#define ETH_P_PBB      0x88e7 /* IEEE 802.1ah, backbone service instance tag */
#define VLAN_ID_MASK   0x0fff
#define MPLS_LABEL_BIT 12
#define MPLS_BOTTOM    0x100 /* of the stack */
#define MPLS_TTL       64
#define PBB_ID_MASK    0xffffff /* service instance (I-SID) */
#define GRE_KEY        0x2000
#define GRE_REFUSED    0xd007 /* checksum, routing, sequence number, version */

/* Geneve, RFC 8926, section 3.4. */
#define GENEVE_VERSION_MASK  0xc0
#define GENEVE_LENGTH_MASK   0x3f /* of the options, in words of 4 octets */
#define GENEVE_FLAG_CONTROL  0x80
#define GENEVE_FLAG_CRITICAL 0x40
#define GENEVE_OPTION_WORDS  63 /* longest option list */
#define OPTION_TYPE_CRITICAL 0x80
#define OPTION_LENGTH_MASK   0x1f
#define OPTION_MAGIC         0xff4d8103 /* class 0xFF4D, type 0x81, 3 words */
#define OPTION_MAGIC_MASK    0xffffff1f /* but for the reserved bits of the length */
#define OPTION_CLASS_TYPE    0xff4d81
#define OPTION_TOTAL_WORDS   4 /* the option with its own header */

#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV4_MORE_FRAGMENTS  0x2000
#define IPV4_DONT_FRAGMENT   0x4000
#define IPV4_WORDS           5 /* IHL of a header without options */
#define OUTER_TTL            64
#define LONGEST_PACKET       0xffff /* what the length field of IPv4 holds */

#define ECN_MASK    3
#define ECN_NOT_ECT 0
#define ECN_ECT1    1
#define ECN_ECT0    2
#define ECN_CE      3

#define VLAN_TAGS 2 /* most tags that are looked through */

/* Octets that are made linear before a packet is read: Ethernet, two VLAN tags, IPv6, UDP, Geneve
 * with our option, inner IPv4 with all options, and the ports behind it. */
#define LINEAR_OCTETS 192

#endif
