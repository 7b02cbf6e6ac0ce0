// SPDX-License-Identifier: Apache-2.0
// Numbers of the wire format (docs/wire-format.md) and of the protocols around it.
#ifndef MOORLINE_CONSTANTS_P4
#define MOORLINE_CONSTANTS_P4

typedef bit<9>   port_t;
typedef bit<128> address_t; // IPv6, or IPv4 mapped into it
typedef bit<24>  tenant_t;
typedef bit<64>  scid_t;
typedef bit<16>  node_t;
typedef bit<232> kept_t; // see service.p4

const bit<8> FIELDS_KEPT = 1;

const port_t CPU_PORT  = 510; // where packet-out comes from and packet-in goes to
const port_t HOST_PORT = 509; // the switch's own network stack, which has what is not Moorline's

const bit<16> ETHERTYPE_IPV4  = 0x0800;
const bit<16> ETHERTYPE_IPV6  = 0x86DD;
const bit<16> ETHERTYPE_ARP   = 0x0806;
const bit<16> ETHERTYPE_VLAN  = 0x8100;
const bit<16> ETHERTYPE_QINQ  = 0x88A8;
const bit<16> ETHERTYPE_MPLS  = 0x8847;
const bit<16> ETHERTYPE_PBB   = 0x88E7;

const bit<8> PROTOCOL_IPV4     = 4;
const bit<8> PROTOCOL_TCP      = 6;
const bit<8> PROTOCOL_UDP      = 17;
const bit<8> PROTOCOL_DCCP     = 33;
const bit<8> PROTOCOL_IPV6     = 41;
const bit<8> PROTOCOL_FRAGMENT = 44;
const bit<8> PROTOCOL_GRE      = 47;
const bit<8> PROTOCOL_ICMPV6   = 58;
const bit<8> PROTOCOL_SCTP     = 132;
const bit<8> PROTOCOL_UDPLITE  = 136;

const bit<8> NEIGHBOUR_SOLICITATION  = 135; // types of ICMPv6
const bit<8> NEIGHBOUR_ADVERTISEMENT = 136;

const bit<64> ARP_REQUEST          = 0x0001080006040001; // for IPv4 over Ethernet, with the operation
const bit<64> ARP_REPLY            = 0x0001080006040002;
const bit<8>  NEIGHBOUR_HOP_LIMIT  = 255;
const bit<16> SOLICITATION_OCTETS  = 24;
const bit<16> LINK_ADDRESS_OCTETS  = 8;
const bit<16> SOURCE_LINK_ADDRESS  = 0x0101; // type and length of an option
const bit<16> TARGET_LINK_ADDRESS  = 0x0201;
const bit<31> SOLICITED_OVERRIDE   = 0x60000000; // flags behind the one of routers

const bit<8>  TUNNEL_GENEVE      = 1;
const bit<8>  TUNNEL_VXLAN       = 2;
const bit<8>  TUNNEL_GRE         = 3;
const bit<8>  TUNNEL_IPIP        = 4;
const bit<8>  MPLS_IP            = 255; // no tunnel: IP beneath MPLS labels
const bit<16> GENEVE_PORT        = 6081;
const bit<16> OAM_PORT           = 6083;
const bit<16> VXLAN_PORT         = 4789;
const bit<32> OPTION_MAGIC       = 0xFF4D8103; // class 0xFF4D, type 0x81, 3 words
const bit<32> OPTION_MAGIC_MASK  = 0xFFFFFF1F; // but for the reserved bits of the length
const bit<24> OPTION_CLASS_TYPE  = 0xFF4D81;
const bit<6>  OPTION_TOTAL_WORDS = 4; // the option with its own header
const bit<16> GENEVE_VERSION     = 0xC000; // bits of the first half word of a Geneve header, as the next two
const bit<16> GENEVE_CONTROL     = 0x0080;
const bit<16> GENEVE_RESERVED    = 0x003F;
const bit<16> DATA_FORM          = 2w0 ++ OPTION_TOTAL_WORDS ++ 8w0x40; // version 0, critical

const bit<96> MAPPED        = 0x0000FFFF; // upper bits of an IPv4 address in its mapped form
const bit<128> MAPPED_BITS = ~128w0xFFFFFFFF; // those of it
const bit<4>  IPV4_WORDS    = 5;          // IHL of a header without options
const bit<8>  IPV4_PLAIN    = 0x45;       // version and IHL of such a header
const bit<32> FRAGMENT_BITS = 0x3FFF;     // of an IPv4 packet that is one: more to come, or its offset
const bit<32> OFFSET_BITS   = 0x1FFF;
const bit<32> ATOMIC        = 0x4000;     // RFC 6864: no identification, DF
const bit<8>  OUTER_TTL     = 64;

const bit<32> GRE_KEY      = 0x20000000; // flag: there is one
const bit<32> MPLS_BOTTOM  = 0x100;      // flag: of labels, the last one

const bit<16> NO_LIMIT = 0xFFFF; // to the length of a packet

const bit<32> ETHERNET_OCTETS    = 14;
const bit<32> VLAN_OCTETS        = 4;
const bit<32> PACKET_OUT_OCTETS  = 3;
const bit<32> IPV4_OCTETS        = 20;
const bit<32> IPV6_OCTETS        = 40;
const bit<32> PORTS_OCTETS       = 4;
const bit<32> WORD_OCTETS        = 4;
const bit<32> UDP_OCTETS         = 8;
const bit<32> GENEVE_OCTETS      = 8;
const bit<32> DATA_HEADER_OCTETS = 24; // Geneve with our option
const scid_t SOME_SCID = 1; // stays, if the packet's source is good

const bit<32> OVERHEAD_IPV4      = 52;
const bit<32> OVERHEAD_IPV6      = 72;

// Ethernet in the VXLAN of a user device: its own address, and that of the way on from it.
const bit<48> DEVICE_MAC  = 0x026D6CFFFFFF;
const bit<48> GATEWAY_MAC = 0x026D6C000000;

const bit<2> ECN_NOT_ECT = 0;
const bit<2> ECN_ECT1    = 1;
const bit<2> ECN_ECT0    = 2;
const bit<2> ECN_CE      = 3;

// The hash of a flow: UDP source port, path and flow label are bits of its upper half.
const bit<64> HASH_SEED      = 0x9E3779B97F4A7C15;
const bit<64> HASH_FACTOR    = 0xFF51AFD7ED558CCD;
const bit<16> FLOW_PORT_BASE = 0xC000;

// The frame of a packet over IPv4 as a node sends it, up to the end of our option, and the bits that are the
// same in all of them: Ethernet; IPv4; ports, length and checksum of UDP; Geneve; the option.
const bit<528> USUAL_FRAME =
    96w0 ++ ETHERTYPE_IPV4 ++
    IPV4_PLAIN ++ 24w0 ++ ATOMIC ++ 8w0 ++ PROTOCOL_UDP ++ 80w0 ++
    FLOW_PORT_BASE ++ GENEVE_PORT ++ 32w0 ++ DATA_FORM ++ ETHERTYPE_IPV4 ++ 32w0 ++ OPTION_MAGIC ++ 96w0;
const bit<528> USUAL_FRAME_BITS =
    112w0xFFFF ++
    64w0xFF000000FFFFFFFF ++ 16w0xFF ++ 80w0 ++
    FLOW_PORT_BASE ++ 48w0xFFFF0000FFFF ++ 64w0xFFFFFFFF000000FF ++ 32w0xFFFFFFFF ++ 96w0xFFFFFF00;
const bit<528> TTL_BITS    = 176w0 ++ 8w0xFE ++ 344w0; // of a TTL above 1
const bit<528> SOURCE_BITS = 208w0 ++ ~32w0 ++ 288w0;
const bit<528> SCID_BITS   = 432w0 ++ ~64w0 ++ 32w0;

const bit<32> TOO_SHORT = 79; // octets of a frame that cannot hold these, and an IPv4 packet

#endif
