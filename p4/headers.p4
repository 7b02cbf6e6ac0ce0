// SPDX-License-Identifier: Apache-2.0
// Headers on the wire.
#ifndef MOORLINE_HEADERS_P4
#define MOORLINE_HEADERS_P4

#include "constants.p4"

@controller_header("packet_in")
@id(0x04000001)
header packet_in_t {
    @id(1) port_t  ingress_port;
    @id(2) bit<7>  pad;
    @id(3) bit<8>  reason; // Event.PUNT_*, or PASS: address resolution at a switch
    @id(4) bit<16> mtu;    // for PUNT_TOO_BIG: the longest IP packet that would go through
}

@controller_header("packet_out")
@id(0x04000002)
header packet_out_t {
    @id(1) port_t ingress_port; // the packet goes through the pipeline as if it came in here,
    @id(2) port_t egress_port;  // unless this is not 0: straight out there, and not counted
    @id(3) bit<6> pad;
}

header ethernet_t {
    bit<48> dst;
    bit<48> src;
    bit<16> type;
}

header vlan_t {
    bit<3>  priority;
    bit<1>  drop_eligible;
    bit<12> id;
    bit<16> type;
}

header ipv4_t {
    bit<8>  version_ihl;
    bit<8>  traffic_class; // DSCP and ECN
    bit<16> total_length;
    bit<32> fragmentation; // identification, flags, offset
    bit<8>  ttl;
    bit<8>  protocol;
    bit<16> checksum;
    bit<32> src;
    bit<32> dst;
}

// Options of IPv4. A switch pays for each header that it could find, also in packets that have none: so they
// are one, whatever their length.
header ipv4_options_t {
    varbit<320> words;
}

header word_t {
    bit<32> words;
}

header ipv6_t {
    bit<4>    version;
    bit<8>    traffic_class; // DSCP and ECN
    bit<20>   flow_label;
    bit<16>   payload_length;
    bit<8>    next_header;
    bit<8>    hop_limit;
    address_t src;
    address_t dst;
}

header ipv6_fragment_t {
    bit<8>  next_header;
    bit<8>  reserved;
    bit<13> offset;
    bit<2>  reserved2;
    bit<1>  more;
    bit<32> id;
}

// RFC 826: what stands before the addresses is taken as one number.
header arp_t {
    bit<64> kind;
    bit<48> sender_mac;
    bit<32> sender;
    bit<48> target_mac;
    bit<32> target;
}

// Neighbour solicitation and advertisement, RFC 4861.
header neighbour_t {
    bit<8>    type;
    bit<8>    code;
    bit<16>   checksum;
    bit<32>   flags;
    address_t target;
}

header link_address_t {
    bit<16> kind;
    bit<48> mac;
}

// TCP, UDP, UDP-Lite, SCTP and DCCP have them all at the same place.
header ports_t {
    bit<16> src;
    bit<16> dst;
}

// The rest of UDP's header, behind the ports.
header udp_t {
    bit<16> length;
    bit<16> checksum;
}

header udp_header_t {
    bit<16> src_port;
    bit<16> dst_port;
    bit<16> length;
    bit<16> checksum;
}

// RFC 8926, section 3.4.
header geneve_t {
    bit<16>  form; // version (2 bits), words of options (6), control packet, critical, reserved (6)
    bit<16>  protocol;
    tenant_t vni;
    bit<8>   reserved;
}

// Moorline's option at its fixed place.
header option_t {
    bit<32> magic;
    scid_t  scid;
    bit<24> spi;
    bit<8>  si;
}

// UDP, Geneve and our option, as encapsulation puts them on: docs/wire-format.md.
header data_header_t {
    bit<16>  src_port;
    bit<16>  dst_port;
    bit<16>  length;
    bit<16>  checksum;
    bit<16>  form; // of Geneve
    bit<16>  protocol;
    tenant_t vni;
    bit<8>   reserved;
    bit<32>  magic;
    scid_t   scid;
    bit<24>  spi;
    bit<8>   si;
}

// The end of VXLAN or of PBB: VNI and reserved octet, or flags and I-SID; and Ethernet.
header shim_frame_t {
    bit<32> tag;
    bit<48> dst;
    bit<48> src;
    bit<16> type;
}

struct headers_t {
    packet_in_t         packet_in;
    packet_out_t        packet_out;
    ethernet_t          ethernet;
    vlan_t[2]           vlan;
    // What encapsulation puts on.
    ipv4_t              tunnel_ipv4;
    ipv6_t              tunnel_ipv6;
    data_header_t       tunnel_data;
    udp_header_t        tunnel_udp;
    word_t              tunnel_shim;
    word_t              tunnel_shim2;
    shim_frame_t        tunnel_frame;
    // What the frame held: at an underlay port the outer headers, at an access port the packet.
    ipv4_t              ipv4;
    ipv4_options_t      ipv4_options;
    ipv6_t              ipv6;
    ipv6_fragment_t     ipv6_fragment;
    arp_t               arp;
    neighbour_t         neighbour;
    link_address_t      link_address;
    ports_t             ports;
    udp_t               udp;
    geneve_t            geneve;
    option_t            option;
    // Labels, GRE, VXLAN, PBB: one word, the next, and what ends with an Ethernet header.
    word_t              shim;
    word_t              shim2;
    shim_frame_t        shim_frame;
    // The packet in a tunnel.
    ipv4_t              inner_ipv4;
    ipv4_options_t      inner_options;
    ipv6_t              inner_ipv6;
    ports_t             inner_ports;
}

#endif
