// SPDX-License-Identifier: Apache-2.0
// Parses as far as the packet goes. Nothing is judged here: which headers are there, and what the
// walk along Geneve's options found, is all that the pipeline needs.
#ifndef MOORLINE_PARSER_P4
#define MOORLINE_PARSER_P4

#include "headers.p4"
#include "metadata.p4"

parser MoorlineParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
                      inout standard_metadata_t standard) {
    state start {
        // All metadata begins as zeros, so that a packet's event is RX, and nothing is found in it yet.
        meta.ingress_port = standard.ingress_port;
        meta.ip_octets = standard.packet_length - ETHERNET_OCTETS;
        transition select(standard.ingress_port, meta.again) {
            (CPU_PORT, Again.NO):  parse_packet_out;
            (_, Again.PACKET_OUT): parse_packet_out;
            default:               parse_ethernet;
        }
    }

    state parse_packet_out {
        packet.extract(hdr.packet_out);
        meta.ingress_port = hdr.packet_out.ingress_port;
        meta.ip_octets = meta.ip_octets - PACKET_OUT_OCTETS;
        transition select(hdr.packet_out.egress_port) {
            0:       parse_ethernet;
            default: accept;
        }
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
        meta.ip_octets = meta.ip_octets - VLAN_OCTETS;
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
        meta.ip_octets = meta.ip_octets - VLAN_OCTETS;
        transition select(hdr.vlan[1].type) {
            ETHERTYPE_IPV4: parse_ipv4;
            ETHERTYPE_IPV6: parse_ipv6;
            ETHERTYPE_ARP:  parse_arp;
            default:        accept;
        }
    }

    state parse_ipv4 {
        packet.extract(hdr.ipv4);
        meta.source = MAPPED ++ hdr.ipv4.src;
        meta.destination = MAPPED ++ hdr.ipv4.dst;
        transition select(hdr.ipv4.version_ihl, hdr.ipv4.fragmentation, hdr.ipv4.protocol) {
            (IPV4_PLAIN, 0 &&& OFFSET_BITS, PROTOCOL_UDP): parse_udp_ports;
            (0x40 .. 0x45, _, _):                          parse_ipv4_transport;
            (0x46 .. 0x4F, _, _):                          parse_ipv4_options;
            default:                                       accept;
        }
    }

    state parse_ipv4_options {
        transition select(hdr.ipv4.version_ihl) {
            0x4D .. 0x4F: parse_ipv4_words8;
            0x49 .. 0x4C: parse_ipv4_words4;
            0x47 .. 0x48: parse_ipv4_words2;
            default:      parse_ipv4_words1;
        }
    }

    state parse_ipv4_words8 {
        packet.extract(hdr.ipv4_options.words8);
        transition select(hdr.ipv4.version_ihl) {
            0x4D:    parse_ipv4_transport;
            0x4F:    parse_ipv4_words2;
            default: parse_ipv4_words1;
        }
    }

    state parse_ipv4_words4 {
        packet.extract(hdr.ipv4_options.words4);
        transition select(hdr.ipv4.version_ihl) {
            0x49:         parse_ipv4_transport;
            0x4B .. 0x4C: parse_ipv4_words2;
            default:      parse_ipv4_words1;
        }
    }

    state parse_ipv4_words2 {
        packet.extract(hdr.ipv4_options.words2);
        transition select(hdr.ipv4.version_ihl) {
            0x48:    parse_ipv4_words1;
            0x4C:    parse_ipv4_words1;
            default: parse_ipv4_transport;
        }
    }

    state parse_ipv4_words1 {
        packet.extract(hdr.ipv4_options.words1);
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
        meta.source = hdr.ipv6.src;
        meta.destination = hdr.ipv6.dst;
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
        meta.resolution = true;
        packet.extract(hdr.arp);
        transition accept;
    }

    state parse_icmpv6 {
        transition select(packet.lookahead<bit<8>>()) {
            NEIGHBOUR_SOLICITATION:  parse_neighbour;
            NEIGHBOUR_ADVERTISEMENT: parse_neighbour;
            default:                 accept;
        }
    }

    state parse_neighbour {
        meta.resolution = true;
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
        meta.tunnel = TUNNEL_VXLAN;
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
        meta.tunnel = TUNNEL_GRE;
        packet.extract(hdr.shim);
        transition select(hdr.shim.words[29:29]) {
            1:       parse_gre_key;
            default: parse_gre_payload;
        }
    }

    state parse_gre_key {
        packet.extract(hdr.shim2);
        transition parse_gre_payload;
    }

    state parse_gre_payload {
        transition select(hdr.shim.words[15:0]) {
            ETHERTYPE_IPV4: parse_packet_ipv4;
            ETHERTYPE_IPV6: parse_packet_ipv6;
            default:        accept;
        }
    }

    state parse_ipv4_in_ip {
        meta.tunnel = TUNNEL_IPIP;
        transition parse_packet_ipv4;
    }

    state parse_ipv6_in_ip {
        meta.tunnel = TUNNEL_IPIP;
        transition parse_packet_ipv6;
    }

    state parse_mpls {
        packet.extract(hdr.shim);
        transition select(hdr.shim.words[8:8]) {
            1:       parse_mpls_payload;
            default: parse_mpls_second;
        }
    }

    state parse_mpls_second {
        packet.extract(hdr.shim2);
        transition select(hdr.shim2.words[8:8]) {
            1:       parse_mpls_payload;
            default: accept;
        }
    }

    state parse_mpls_payload {
        transition select(packet.lookahead<bit<4>>()) {
            4:       parse_mpls_ipv4;
            6:       parse_mpls_ipv6;
            default: accept;
        }
    }

    state parse_mpls_ipv4 {
        meta.tunnel = MPLS_IP;
        transition parse_packet_ipv4;
    }

    state parse_mpls_ipv6 {
        meta.tunnel = MPLS_IP;
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
        meta.tunnel = TUNNEL_GENEVE;
        packet.extract(hdr.udp);
        packet.extract(hdr.geneve);
        // A frame that ends here has no option, whatever its header says.
        transition select(hdr.geneve.form, packet.lookahead<bit<32>>()) {
            (DATA_FORM &&& ~(GENEVE_CONTROL | GENEVE_RESERVED), OPTION_MAGIC &&& OPTION_MAGIC_MASK):
                parse_own_option;
            (0 &&& GENEVE_VERSION, _): parse_options;
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

    // The whole list, then option by option. A frame that ends inside the list is judged by its length.
    state parse_options {
        meta.options.setValid();
        meta.options.words_left = (bit<8>)hdr.geneve.form[13:8];
        meta.options.words_before = OPTION_MOST_WORDS - (bit<8>)hdr.geneve.form[13:8];
        meta.options.own = false;
        meta.options.unknown_critical = false;
        meta.options.too_long = false;
        meta.options.head = 0;
        meta.options.list = 0;
        transition select(hdr.geneve.form) {
            0x2000 &&& 0x2000: parse_words32;
            default:           choose_words16;
        }
    }

    state parse_words32 {
        packet.extract(hdr.foreign_words32);
        meta.options.list = (bit<2016>)hdr.foreign_words32.words;
        transition choose_words16;
    }

    state choose_words16 {
        transition select(hdr.geneve.form) {
            0x1000 &&& 0x1000: parse_words16;
            default:           choose_words8;
        }
    }

    state parse_words16 {
        packet.extract(hdr.foreign_words16);
        // v1model's shifts go as far as 256.
        meta.options.list = (meta.options.list << 256) |
                            (bit<2016>)hdr.foreign_words16.words[511:256];
        meta.options.list = (meta.options.list << 256) |
                            (bit<2016>)hdr.foreign_words16.words[255:0];
        transition choose_words8;
    }

    state choose_words8 {
        transition select(hdr.geneve.form) {
            0x0800 &&& 0x0800: parse_words8;
            default:           choose_words4;
        }
    }

    state parse_words8 {
        packet.extract(hdr.inner_options.words8);
        meta.options.list = (meta.options.list << 256) |
                            (bit<2016>)hdr.inner_options.words8.words;
        transition choose_words4;
    }

    state choose_words4 {
        transition select(hdr.geneve.form) {
            0x0400 &&& 0x0400: parse_words4;
            default:           choose_words2;
        }
    }

    state parse_words4 {
        packet.extract(hdr.inner_options.words4);
        meta.options.list = (meta.options.list << 128) |
                            (bit<2016>)hdr.inner_options.words4.words;
        transition choose_words2;
    }

    state choose_words2 {
        transition select(hdr.geneve.form) {
            0x0200 &&& 0x0200: parse_words2;
            default:           choose_words1;
        }
    }

    state parse_words2 {
        packet.extract(hdr.inner_options.words2);
        meta.options.list = (meta.options.list << 64) |
                            (bit<2016>)hdr.inner_options.words2.words;
        transition choose_words1;
    }

    state choose_words1 {
        transition select(hdr.geneve.form) {
            0x0100 &&& 0x0100: parse_words1;
            default:           begin_list;
        }
    }

    state parse_words1 {
        packet.extract(hdr.inner_options.words1);
        meta.options.list = (meta.options.list << 32) |
                            (bit<2016>)hdr.inner_options.words1.words;
        transition begin_list;
    }

    // The list goes to the upper end of its field, where its first option is read.
    state begin_list {
        transition select(meta.options.words_before) {
            0:       judge_option;
            default: move_list;
        }
    }

    state move_list {
        meta.options.list = meta.options.list << 32;
        meta.options.words_before = meta.options.words_before - 1;
        transition begin_list;
    }

    state judge_option {
        transition select(meta.options.words_left) {
            0:       accept;
            default: judge_foreign_option;
        }
    }

    state judge_foreign_option {
        meta.options.head = meta.options.list[2015:1984];
        bool own = meta.options.head[31:8] == OPTION_CLASS_TYPE;

        meta.options.own = meta.options.own || own;
        meta.options.unknown_critical =
            meta.options.unknown_critical || (meta.options.head[15:15] == 1 && !own);
        meta.options.option_words_left = 1 + (bit<8>)meta.options.head[4:0];
        meta.options.too_long = meta.options.option_words_left > meta.options.words_left;
        transition select(meta.options.too_long) {
            true:  accept;
            false: pass_word;
        }
    }

    state pass_word {
        meta.options.list = meta.options.list << 32;
        meta.options.words_left = meta.options.words_left - 1;
        meta.options.option_words_left = meta.options.option_words_left - 1;
        transition select(meta.options.option_words_left) {
            0:       judge_option;
            default: pass_word;
        }
    }

    state parse_inner_ipv4 {
        packet.extract(hdr.inner_ipv4);
        transition select(hdr.inner_ipv4.version_ihl) {
            IPV4_PLAIN:   accept;
            0x4D .. 0x4F: parse_inner_words8;
            0x49 .. 0x4C: parse_inner_words4;
            0x47 .. 0x48: parse_inner_words2;
            0x46:         parse_inner_words1;
            default:      accept;
        }
    }

    state parse_inner_words8 {
        packet.extract(hdr.inner_options.words8);
        transition select(hdr.inner_ipv4.version_ihl) {
            0x4D:    parse_inner_transport;
            0x4F:    parse_inner_words2;
            default: parse_inner_words1;
        }
    }

    state parse_inner_words4 {
        packet.extract(hdr.inner_options.words4);
        transition select(hdr.inner_ipv4.version_ihl) {
            0x49:         parse_inner_transport;
            0x4B .. 0x4C: parse_inner_words2;
            default:      parse_inner_words1;
        }
    }

    state parse_inner_words2 {
        packet.extract(hdr.inner_options.words2);
        transition select(hdr.inner_ipv4.version_ihl) {
            0x48:    parse_inner_words1;
            0x4C:    parse_inner_words1;
            default: parse_inner_transport;
        }
    }

    state parse_inner_words1 {
        packet.extract(hdr.inner_options.words1);
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
            0x4D .. 0x4F: parse_inner_words8;
            0x49 .. 0x4C: parse_inner_words4;
            0x47 .. 0x48: parse_inner_words2;
            0x46:         parse_inner_words1;
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
