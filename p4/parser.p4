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
        transition select(standard.ingress_port) {
            CPU_PORT: parse_packet_out;
            default:  parse_ethernet;
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
            ETHERTYPE_VLAN: parse_vlan;
            ETHERTYPE_QINQ: parse_vlan;
            ETHERTYPE_IPV4: parse_ipv4;
            ETHERTYPE_IPV6: parse_ipv6;
            ETHERTYPE_ARP:  parse_arp;
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
        transition select(hdr.ipv4.version, hdr.ipv4.ihl) {
            (4, 0 .. 5): parse_ipv4_transport;
            (4, _):      begin_ipv4_options;
            default:     accept;
        }
    }

    state begin_ipv4_options {
        meta.options.words_left = (bit<8>)hdr.ipv4.ihl - (bit<8>)IPV4_WORDS;
        transition parse_ipv4_options;
    }

    state parse_ipv4_options {
        packet.extract(hdr.ipv4_options.next);
        meta.options.words_left = meta.options.words_left - 1;
        transition select(meta.options.words_left) {
            0:       parse_ipv4_transport;
            default: parse_ipv4_options;
        }
    }

    state parse_ipv4_transport {
        transition select(hdr.ipv4.fragment_offset, hdr.ipv4.protocol) {
            (0, PROTOCOL_UDP):     parse_udp_ports;
            (0, PROTOCOL_TCP):     parse_ports;
            (0, PROTOCOL_DCCP):    parse_ports;
            (0, PROTOCOL_SCTP):    parse_ports;
            (0, PROTOCOL_UDPLITE): parse_ports;
            default:               accept;
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
            default:     accept;
        }
    }

    state parse_udp {
        meta.tunnel = TUNNEL_GENEVE;
        packet.extract(hdr.udp);
        meta.payload = (bit<32>)hdr.udp.length - UDP_OCTETS;
        packet.extract(hdr.geneve);
        transition select(hdr.geneve.version, hdr.geneve.option_words, hdr.geneve.critical) {
            (0, OPTION_TOTAL_WORDS, 1): parse_first_option;
            (0, _, _):                  begin_options;
            default:                    accept;
        }
    }

    state begin_options {
        meta.options.words_left = (bit<8>)hdr.geneve.option_words;
        transition parse_next_option;
    }

    state parse_first_option {
        transition select(packet.lookahead<bit<32>>()) {
            OPTION_MAGIC &&& OPTION_MAGIC_MASK: parse_own_option;
            default:                            begin_options;
        }
    }

    state parse_own_option {
        packet.extract(hdr.option);
        meta.scid = hdr.option.scid;
        meta.spi = hdr.option.spi;
        meta.si = hdr.option.si;
        transition select(hdr.geneve.protocol) {
            ETHERTYPE_IPV4: parse_inner_ipv4;
            ETHERTYPE_IPV6: parse_inner_ipv6;
            default:        accept;
        }
    }

    state parse_next_option {
        transition select(meta.options.words_left) {
            0:       accept;
            default: parse_foreign_option;
        }
    }

    state parse_foreign_option {
        bit<32> head = packet.lookahead<bit<32>>();
        bool own = head[31:8] == OPTION_CLASS_TYPE;

        meta.options.own = meta.options.own || own;
        meta.options.unknown_critical = meta.options.unknown_critical || (head[15:15] == 1 && !own);
        meta.options.option_words_left = 1 + (bit<8>)head[4:0];
        meta.options.too_long = meta.options.option_words_left > meta.options.words_left;
        transition select(meta.options.too_long) {
            true:  accept;
            false: parse_foreign_word;
        }
    }

    state parse_foreign_word {
        packet.extract(hdr.foreign_options.next);
        meta.options.words_left = meta.options.words_left - 1;
        meta.options.option_words_left = meta.options.option_words_left - 1;
        transition select(meta.options.option_words_left) {
            0:       parse_next_option;
            default: parse_foreign_word;
        }
    }

    state parse_inner_ipv4 {
        packet.extract(hdr.inner_ipv4);
        transition select(hdr.inner_ipv4.version, hdr.inner_ipv4.ihl) {
            (4, 6 .. 15): begin_inner_ipv4_options;
            default:      accept;
        }
    }

    state begin_inner_ipv4_options {
        meta.options.words_left = (bit<8>)hdr.inner_ipv4.ihl - (bit<8>)IPV4_WORDS;
        transition parse_inner_ipv4_options;
    }

    state parse_inner_ipv4_options {
        packet.extract(hdr.inner_ipv4_options.next);
        meta.options.words_left = meta.options.words_left - 1;
        transition select(meta.options.words_left) {
            0:       accept;
            default: parse_inner_ipv4_options;
        }
    }

    state parse_inner_ipv6 {
        packet.extract(hdr.inner_ipv6);
        transition accept;
    }
}

#endif
