// SPDX-License-Identifier: Apache-2.0
// Headers on the wire, and what the pipeline knows of a packet beside them.
#ifndef MOORLINE_HEADERS_P4
#define MOORLINE_HEADERS_P4

#include "constants.p4"
#include "events.p4"

@controller_header("packet_in")
header packet_in_t {
    port_t  ingress_port;
    bit<7>  pad;
    bit<8>  reason; // Event.PUNT_*
    bit<16> mtu;    // for PUNT_TOO_BIG: the longest IP packet that would go through
}

@controller_header("packet_out")
header packet_out_t {
    port_t ingress_port; // the packet goes through the pipeline as if it came in here
    bit<7> pad;
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
    bit<4>  version;
    bit<4>  ihl;
    bit<6>  dscp;
    bit<2>  ecn;
    bit<16> total_length;
    bit<16> id;
    bit<3>  flags;
    bit<13> fragment_offset;
    bit<8>  ttl;
    bit<8>  protocol;
    bit<16> checksum;
    bit<32> src;
    bit<32> dst;
}

// A word of IPv4 options.
header ipv4_option_t {
    bit<32> word;
}

header ipv6_t {
    bit<4>    version;
    bit<6>    dscp;
    bit<2>    ecn;
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

// RFC 8926, section 3.4.
header geneve_t {
    bit<2>   version;
    bit<6>   option_words;
    bit<1>   control;
    bit<1>   critical;
    bit<6>   reserved;
    bit<16>  protocol;
    tenant_t vni;
    bit<8>   reserved2;
}

// Moorline's option at its fixed place.
header option_t {
    bit<32> magic;
    scid_t  scid;
    bit<24> spi;
    bit<8>  si;
}

// Any other option, kept only to be passed on.
header foreign_option_t {
    bit<24>     class_type;
    bit<8>      length;
    varbit<992> data;
}

struct headers_t {
    packet_in_t         packet_in;
    packet_out_t        packet_out;
    ethernet_t          ethernet;
    vlan_t[2]           vlan;
    // What encapsulation puts on.
    ipv4_t              tunnel_ipv4;
    ipv6_t              tunnel_ipv6;
    ports_t             tunnel_ports;
    udp_t               tunnel_udp;
    geneve_t            tunnel_geneve;
    option_t            tunnel_option;
    // What the frame held: at an underlay port the outer headers, at an access port the packet.
    ipv4_t              ipv4;
    ipv4_option_t[10]   ipv4_options;
    ipv6_t              ipv6;
    ipv6_fragment_t     ipv6_fragment;
    ports_t             ports;
    udp_t               udp;
    geneve_t            geneve;
    option_t            option;
    foreign_option_t[63] foreign_options;
    // The packet in a tunnel.
    ipv4_t              inner_ipv4;
    ipv4_option_t[10]   inner_ipv4_options;
    ipv6_t              inner_ipv6;
}

enum bit<2> Role {
    UNASSIGNED = 0,
    UNDERLAY   = 1,
    ACCESS     = 2
}

struct paths_t {
    port_t    port0;
    address_t dst0;
    port_t    port1;
    address_t dst1;
    address_t previous0;
    address_t previous1;
}

struct metadata_t {
    Event     event;
    Role      role;
    port_t    ingress_port; // as the packet says, if it is a packet-out
    bit<32>   frame_octets;
    bit<32>   ip_octets;    // of the frame, from the IP header on
    bit<8>    words_left;   // of options, while they are parsed
    bit<1>    own_option;   // ours was among the options, but not in its fixed form
    bit<1>    unknown_critical;
    bit<1>    bad_options;
    address_t source;       // outer addresses
    address_t destination;
    bit<32>   payload;      // octets behind the outer UDP header
    tenant_t  tenant;
    bit<8>    hops;
    scid_t    scid;
    node_t    node;
    bit<24>   spi;
    bit<8>    si;
    port_t    port;         // where the packet leaves
    bit<32>   local4;       // the connection's own addresses
    bit<32>   peer4;
    address_t local6;
    address_t peer6;
    paths_t   paths;
    bit<32>   flow;
    bit<32>   inner_length;
    bit<16>   vlan;
    bit<16>   mtu;
    bit<16>   usable_mtu;
}

#endif
