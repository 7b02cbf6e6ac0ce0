// SPDX-License-Identifier: Apache-2.0
// The outer headers of a packet at an underlay port: which packets are ours (rules U1 to U4 of
// docs/wire-format.md), and whether they are sound (U5 to U7).
#ifndef MOORLINE_OUTER_P4
#define MOORLINE_OUTER_P4

#include "checksum.p4"
#include "headers.p4"
#include "metadata.p4"
#include "sizes.p4"

// Addresses that no packet comes from.
bool is_nobody(in address_t source, in bool ipv6) {
    return source == 0 || source == MAPPED ++ 32w0 || (ipv6 && source[127:32] == MAPPED);
}

control CheckOuterIpv4(in headers_t hdr, inout metadata_t meta, out bit<32> available) {
    bit<32> total = (bit<32>)hdr.ipv4.total_length;

    apply {
        available = total - IPV4_OCTETS;
        if (hdr.ipv4.ihl != IPV4_WORDS) {
            meta.event = Event.DROP_OUTER_HEADER_LENGTH;
        } else if (fold(ipv4_sum(hdr.ipv4)) != 0xFFFF) {
            meta.event = Event.DROP_OUTER_CHECKSUM;
        } else if (total < IPV4_OCTETS + UDP_OCTETS || total > meta.ip_octets) {
            meta.event = Event.DROP_OUTER_LENGTH;
        } else if (hdr.ipv4.more_fragments == 1) {
            meta.event = Event.DROP_OUTER_FRAGMENT;
        }
    }
}

control CheckOuterIpv6(in headers_t hdr, inout metadata_t meta, out bit<32> available) {
    apply {
        available = (bit<32>)hdr.ipv6.payload_length;
        if (hdr.ipv6_fragment.isValid()) {
            meta.event = Event.DROP_OUTER_FRAGMENT;
        } else if (available < UDP_OCTETS || available > meta.ip_octets - IPV6_OCTETS) {
            meta.event = Event.DROP_OUTER_LENGTH;
        }
    }
}

// available: octets that the IP header leaves for the UDP datagram.
control CheckUdp(in headers_t hdr, inout metadata_t meta, in standard_metadata_t standard,
                 in bit<32> available) {
    apply {
        if ((bit<32>)hdr.udp.length != available) {
            meta.event = Event.DROP_UDP_LENGTH;
        } else if (hdr.udp.checksum != 0 && standard.checksum_error == 1) {
            meta.event = Event.DROP_UDP_CHECKSUM;
        }
        meta.payload = available - UDP_OCTETS;
    }
}

control Outer(in headers_t hdr, inout metadata_t meta, in standard_metadata_t standard) {
    CheckOuterIpv4() check_ipv4;
    CheckOuterIpv6() check_ipv6;
    CheckUdp() check_udp;
    bool to_geneve_port = false;
    bit<32> available = 0;

    @id(0x13000002)
    direct_counter(CounterType.packets_and_bytes) terminate_counter;

    @id(0x01000004)
    action leave() {
        meta.event = Event.PASS;
    }

    @id(0x01000005)
    action open() {
    }

    @id(0x02000002)
    table terminate {
        key = {
            meta.destination : exact @id(1) @name("outer_dst");
            meta.tunnel      : exact @id(2) @name("tunnel");
        }
        actions = {
            open;
            @defaultonly leave;
        }
        const default_action = leave();
        counters = terminate_counter;
        size = SIZE_TERMINATE;
    }

    apply {
        meta.tunnel = TUNNEL_GENEVE;
        if (hdr.ipv4.isValid()) {
            meta.source = MAPPED ++ hdr.ipv4.src;
            meta.destination = MAPPED ++ hdr.ipv4.dst;
            to_geneve_port = hdr.ipv4.protocol == PROTOCOL_UDP;
        } else if (hdr.ipv6.isValid()) {
            meta.source = hdr.ipv6.src;
            meta.destination = hdr.ipv6.dst;
            // IPv4-mapped addresses do not occur on the wire.
            to_geneve_port = hdr.ipv6.dst[127:32] != MAPPED &&
                             (hdr.ipv6.next_header == PROTOCOL_UDP || hdr.ipv6_fragment.isValid());
        }
        if (!to_geneve_port || !hdr.ports.isValid() || hdr.ports.dst != GENEVE_PORT) {
            meta.event = Event.PASS;
        } else if (terminate.apply().hit) {
            if (!hdr.udp.isValid()) {
                meta.event = Event.DROP_OUTER_TRUNCATED;
            } else if (hdr.ipv4.isValid()) {
                check_ipv4.apply(hdr, meta, available);
            } else {
                check_ipv6.apply(hdr, meta, available);
            }
            if (meta.event == Event.RX) {
                check_udp.apply(hdr, meta, standard, available);
            }
        }
    }
}

#endif
