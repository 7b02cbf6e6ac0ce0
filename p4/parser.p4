// SPDX-License-Identifier: Apache-2.0
// Parses as far as the packet goes. Nothing is judged here: which headers are there, and what the
// walk along Geneve's options (options.p4) found, is all that the pipeline needs.
#ifndef MOORLINE_PARSER_P4
#define MOORLINE_PARSER_P4

#include "headers.p4"
#include "metadata.p4"
#include "options.p4"

parser MoorlineParser(packet_in packet, out headers_t hdr, inout metadata_t all,
                      inout standard_metadata_t standard) {
    ForeignOptions() foreign_options;

    // On its way, and is it just what a node sends (rule A7), with a TTL to go on? To look for all of that at
    // once, before anything is taken, costs a switch less than a condition for each part.
    state start {
        all.known.setValid();
        all.known.event = Event.RX;
        transition select(standard.ingress_port, all.again, standard.packet_length) {
            (CPU_PORT, Again.NO, _):  parse_packet_out;
            (_, Again.PACKET_OUT, _): parse_packet_out;
            (_, _, 0 .. TOO_SHORT):   parse_frame;
            default:                  look_at_frame;
        }
    }

    state look_at_frame {
        transition select(packet.lookahead<bit<528>>()) {
            0 &&& TTL_BITS:                   parse_frame;
            0 &&& SOURCE_BITS:                parse_frame;
            0 &&& SCID_BITS:                  parse_frame;
            USUAL_FRAME &&& USUAL_FRAME_BITS: parse_usual;
            default:                          parse_frame;
        }
    }

    state parse_usual {
        all.known.fate = Fate.USUAL;
        all.known.tunnel = TUNNEL_GENEVE;
        packet.extract(hdr.ethernet);
        packet.extract(hdr.ipv4);
        all.known.source = MAPPED ++ hdr.ipv4.src;
        all.known.next = MAPPED ++ hdr.ipv4.dst;
        packet.extract(hdr.ports);
        packet.extract(hdr.udp);
        packet.extract(hdr.geneve);
        packet.extract(hdr.option);
        transition parse_inner_ipv4;
    }

    state parse_packet_out {
        all.known.fate = Fate.NONE;
        all.known.tunnel = 0;
        packet.extract(hdr.packet_out);
        standard.ingress_port = hdr.packet_out.ingress_port;
        transition select(hdr.packet_out.egress_port) {
            0:       parse_frame;
            default: accept;
        }
    }

    state parse_frame {
        all.known.fate = Fate.NONE;
        all.known.tunnel = 0;
        transition parse_ethernet;
    }

    state parse_ethernet {
        packet.extract(hdr.ethernet);
        transition select(hdr.ethernet.type) {
            ETHERTYPE_IPV4: parse_ipv4;
            ETHERTYPE_IPV6: parse_ipv6;
            ETHERTYPE_VLAN: parse_vlan;
            ETHERTYPE_QINQ: parse_vlan;
            ETHERTYPE_ARP:  parse_arp;
            ETHERTYPE_MPLS: parse_mpls;
            ETHERTYPE_PBB:  parse_pbb;
            default:        accept;
        }
    }

    state parse_vlan {
        packet.extract(hdr.vlan[0]);
        transition select(hdr.vlan[0].type) {
            ETHERTYPE_VLAN: parse_second_vlan;
            ETHERTYPE_QINQ: parse_second_vlan;
            ETHERTYPE_IPV4: parse_ipv4;
            ETHERTYPE_IPV6: parse_ipv6;
            ETHERTYPE_ARP:  parse_arp;
            ETHERTYPE_PBB:  parse_pbb;
            default:        accept;
        }
    }

    state parse_second_vlan {
        packet.extract(hdr.vlan[1]);
        transition select(hdr.vlan[1].type) {
            ETHERTYPE_IPV4: parse_ipv4;
            ETHERTYPE_IPV6: parse_ipv6;
            ETHERTYPE_ARP:  parse_arp;
            default:        accept;
        }
    }

    state parse_ipv4 {
        packet.extract(hdr.ipv4);
        all.known.source = MAPPED ++ hdr.ipv4.src;
        all.known.next = MAPPED ++ hdr.ipv4.dst;
        transition select(hdr.ipv4.version_ihl, hdr.ipv4.fragmentation, hdr.ipv4.protocol) {
            (IPV4_PLAIN, 0 &&& OFFSET_BITS, PROTOCOL_UDP): parse_udp_ports;
            (0x40 .. 0x45, _, _):                          parse_ipv4_transport;
            (0x46 .. 0x4F, _, _):                          parse_ipv4_options;
            default:                                       accept;
        }
    }

    state parse_ipv4_options {
        packet.extract(hdr.ipv4_options, OPTION_BITS(hdr.ipv4));
        transition parse_ipv4_transport;
    }

    state parse_ipv4_transport {
        transition select(hdr.ipv4.fragmentation, hdr.ipv4.protocol) {
            (0 &&& OFFSET_BITS, PROTOCOL_UDP):     parse_udp_ports;
            (0 &&& OFFSET_BITS, PROTOCOL_TCP):     parse_ports;
            (0 &&& OFFSET_BITS, PROTOCOL_DCCP):    parse_ports;
            (0 &&& OFFSET_BITS, PROTOCOL_SCTP):    parse_ports;
            (0 &&& OFFSET_BITS, PROTOCOL_UDPLITE): parse_ports;
            (0 &&& OFFSET_BITS, PROTOCOL_GRE):     parse_gre;
            (0 &&& OFFSET_BITS, PROTOCOL_IPV4):    parse_ipv4_in_ip;
            (0 &&& OFFSET_BITS, PROTOCOL_IPV6):    parse_ipv6_in_ip;
            default:                               accept;
        }
    }

    state parse_ipv6 {
        packet.extract(hdr.ipv6);
        all.known.source = hdr.ipv6.src;
        all.known.next = 0;
        // IPv4-mapped addresses do not occur on the wire: such a destination is none of ours.
        transition select(hdr.ipv6.dst) {
            MAPPED ++ 32w0 &&& MAPPED_BITS: parse_ipv6_transport;
            default:                        parse_ipv6_destination;
        }
    }

    state parse_ipv6_destination {
        all.known.next = hdr.ipv6.dst;
        transition parse_ipv6_transport;
    }

    state parse_ipv6_transport {
        transition select(hdr.ipv6.version, hdr.ipv6.next_header) {
            (6, PROTOCOL_UDP):      parse_udp_ports;
            (6, PROTOCOL_TCP):      parse_ports;
            (6, PROTOCOL_DCCP):     parse_ports;
            (6, PROTOCOL_SCTP):     parse_ports;
            (6, PROTOCOL_UDPLITE):  parse_ports;
            (6, PROTOCOL_FRAGMENT): parse_ipv6_fragment;
            (6, PROTOCOL_ICMPV6):   parse_icmpv6;
            (6, PROTOCOL_GRE):      parse_gre;
            (6, PROTOCOL_IPV4):     parse_ipv4_in_ip;
            (6, PROTOCOL_IPV6):     parse_ipv6_in_ip;
            default:                accept;
        }
    }

    state parse_arp {
        all.known.fate = Fate.RESOLUTION;
        packet.extract(hdr.arp);
        transition accept;
    }

    state parse_icmpv6 {
        all.known.question.icmp_type = packet.lookahead<bit<8>>();
        transition select(all.known.question.icmp_type) {
            NEIGHBOUR_SOLICITATION:  parse_neighbour;
            NEIGHBOUR_ADVERTISEMENT: parse_neighbour;
            default:                 accept;
        }
    }

    state parse_neighbour {
        all.known.fate = Fate.RESOLUTION;
        packet.extract(hdr.neighbour);
        transition select(hdr.ipv6.payload_length) {
            SOLICITATION_OCTETS + LINK_ADDRESS_OCTETS: parse_link_address;
            default:                                   accept;
        }
    }

    state parse_link_address {
        packet.extract(hdr.link_address);
        transition accept;
    }

    state parse_ipv6_fragment {
        packet.extract(hdr.ipv6_fragment);
        transition select(hdr.ipv6_fragment.offset, hdr.ipv6_fragment.next_header) {
            (0, PROTOCOL_UDP): parse_udp_ports;
            default:           accept;
        }
    }

    state parse_ports {
        packet.extract(hdr.ports);
        transition accept;
    }

    state parse_udp_ports {
        packet.extract(hdr.ports);
        transition select(hdr.ports.dst) {
            GENEVE_PORT: parse_udp;
            VXLAN_PORT:  parse_vxlan;
            default:     accept;
        }
    }

    // What may stand between the frame's headers and a packet: tunnels of user devices, and headers of
    // feature peers.
    state parse_vxlan {
        all.known.tunnel = TUNNEL_VXLAN;
        packet.extract(hdr.udp);
        packet.extract(hdr.shim);
        packet.extract(hdr.shim_frame);
        transition select(hdr.shim_frame.type) {
            ETHERTYPE_IPV4: parse_packet_ipv4;
            ETHERTYPE_IPV6: parse_packet_ipv6;
            default:        accept;
        }
    }

    state parse_gre {
        all.known.tunnel = TUNNEL_GRE;
        packet.extract(hdr.shim);
        transition select(hdr.shim.words) {
            GRE_KEY &&& GRE_KEY: parse_gre_key;
            default:             parse_gre_payload;
        }
    }

    state parse_gre_key {
        packet.extract(hdr.shim2);
        transition parse_gre_payload;
    }

    state parse_gre_payload {
        transition select(hdr.shim.words) {
            (bit<32>)ETHERTYPE_IPV4 &&& 0xFFFF: parse_packet_ipv4;
            (bit<32>)ETHERTYPE_IPV6 &&& 0xFFFF: parse_packet_ipv6;
            default:                            accept;
        }
    }

    state parse_ipv4_in_ip {
        all.known.tunnel = TUNNEL_IPIP;
        transition parse_packet_ipv4;
    }

    state parse_ipv6_in_ip {
        all.known.tunnel = TUNNEL_IPIP;
        transition parse_packet_ipv6;
    }

    state parse_mpls {
        packet.extract(hdr.shim);
        transition select(hdr.shim.words) {
            MPLS_BOTTOM &&& MPLS_BOTTOM: parse_mpls_payload;
            default:                     parse_mpls_second;
        }
    }

    state parse_mpls_second {
        packet.extract(hdr.shim2);
        transition select(hdr.shim2.words) {
            MPLS_BOTTOM &&& MPLS_BOTTOM: parse_mpls_payload;
            default:                     accept;
        }
    }

    state parse_mpls_payload {
        all.known.service.version = packet.lookahead<bit<4>>();
        transition select(all.known.service.version) {
            4:       parse_mpls_ipv4;
            6:       parse_mpls_ipv6;
            default: accept;
        }
    }

    state parse_mpls_ipv4 {
        all.known.tunnel = MPLS_IP;
        all.known.next = 0;
        transition parse_packet_ipv4;
    }

    state parse_mpls_ipv6 {
        all.known.tunnel = MPLS_IP;
        all.known.next = 0;
        transition parse_packet_ipv6;
    }

    state parse_pbb {
        packet.extract(hdr.shim_frame);
        transition select(hdr.shim_frame.type) {
            ETHERTYPE_IPV4: parse_packet_ipv4;
            ETHERTYPE_IPV6: parse_packet_ipv6;
            default:        accept;
        }
    }

    state parse_udp {
        all.known.tunnel = TUNNEL_GENEVE;
        packet.extract(hdr.udp);
        packet.extract(hdr.geneve);
        // A frame that ends here has no option, whatever its header says.
        transition select(hdr.geneve.form, packet.lookahead<bit<32>>()) {
            (DATA_FORM &&& ~(GENEVE_CONTROL | GENEVE_RESERVED), OPTION_MAGIC &&& OPTION_MAGIC_MASK):
                parse_own_option;
            (0 &&& GENEVE_VERSION, _): parse_foreign_options;
            default:                   accept;
        }
    }

    state parse_own_option {
        packet.extract(hdr.option);
        transition select(hdr.geneve.protocol, hdr.option.spi) {
            (ETHERTYPE_IPV4, 0): parse_inner_ipv4;
            (ETHERTYPE_IPV6, 0): parse_inner_ipv6;
            (ETHERTYPE_IPV4, _): parse_packet_ipv4;
            (ETHERTYPE_IPV6, _): parse_packet_ipv6;
            default:             accept;
        }
    }

    state parse_foreign_options {
        foreign_options.apply(packet, hdr.geneve, all.known);
        transition accept;
    }

    state parse_inner_ipv4 {
        packet.extract(hdr.inner_ipv4);
        transition select(hdr.inner_ipv4.version_ihl) {
            IPV4_PLAIN:   accept;
            0x46 .. 0x4F: parse_inner_options;
            default:      accept;
        }
    }

    state parse_inner_options {
        packet.extract(hdr.inner_options, OPTION_BITS(hdr.inner_ipv4));
        transition parse_inner_transport;
    }

    state parse_inner_ipv6 {
        packet.extract(hdr.inner_ipv6);
        transition accept;
    }

    // A packet of which more is asked than its addresses: its flow.
    state parse_packet_ipv4 {
        packet.extract(hdr.inner_ipv4);
        transition select(hdr.inner_ipv4.version_ihl) {
            0x46 .. 0x4F: parse_inner_options;
            0x45:         parse_inner_transport;
            default:      accept;
        }
    }

    state parse_packet_ipv6 {
        packet.extract(hdr.inner_ipv6);
        transition select(hdr.inner_ipv6.next_header) {
            PROTOCOL_UDP:     parse_inner_ports;
            PROTOCOL_TCP:     parse_inner_ports;
            PROTOCOL_DCCP:    parse_inner_ports;
            PROTOCOL_SCTP:    parse_inner_ports;
            PROTOCOL_UDPLITE: parse_inner_ports;
            default:          accept;
        }
    }

    state parse_inner_transport {
        transition select(hdr.inner_ipv4.fragmentation, hdr.inner_ipv4.protocol) {
            (0 &&& OFFSET_BITS, PROTOCOL_UDP):     parse_inner_ports;
            (0 &&& OFFSET_BITS, PROTOCOL_TCP):     parse_inner_ports;
            (0 &&& OFFSET_BITS, PROTOCOL_DCCP):    parse_inner_ports;
            (0 &&& OFFSET_BITS, PROTOCOL_SCTP):    parse_inner_ports;
            (0 &&& OFFSET_BITS, PROTOCOL_UDPLITE): parse_inner_ports;
            default:                               accept;
        }
    }

    state parse_inner_ports {
        packet.extract(hdr.inner_ports);
        transition accept;
    }
}

#endif
