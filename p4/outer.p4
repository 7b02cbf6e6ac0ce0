// SPDX-License-Identifier: Apache-2.0
// The outer headers of a packet at an underlay port: which packets are ours (rules U1 to U4 of
// docs/wire-format.md), and whether they are sound (U5 to U7).
#ifndef MOORLINE_OUTER_P4
#define MOORLINE_OUTER_P4

#include "checksum.p4"
#include "headers.p4"
#include "metadata.p4"
#include "sizes.p4"

// Octets of the frame from the IP header on, padding included.
control Measure(in headers_t hdr, in standard_metadata_t standard, inout known_t meta) {
    apply {
        meta.ip_octets = standard.packet_length - ETHERNET_OCTETS;
        if (hdr.packet_out.isValid()) {
            meta.ip_octets = meta.ip_octets - PACKET_OUT_OCTETS;
        }
        if (hdr.vlan[0].isValid()) {
            meta.ip_octets = meta.ip_octets - VLAN_OCTETS;
        }
        if (hdr.vlan[1].isValid()) {
            meta.ip_octets = meta.ip_octets - VLAN_OCTETS;
        }
    }
}

// Addresses that no packet comes from.
bool is_nobody(in address_t source, in bool ipv6) {
    return source == 0 || source == MAPPED ++ 32w0 || (ipv6 && source[127:32] == MAPPED);
}

// A packet from nobody, whatever the tables say of its source: rules U10 and U13.
control CheckSource(in headers_t hdr, inout known_t meta) {
    apply {
        if (is_nobody(meta.source, hdr.ipv6.isValid())) {
            meta.event = Event.DROP_SOURCE;
        }
    }
}

// A checksum that is wrong may be the UDP header's: which one it is takes a sum of its own.
control CheckOuterIpv4(in headers_t hdr, inout known_t meta, in standard_metadata_t standard) {
    bit<16> total = hdr.ipv4.total_length;

    apply {
        if (hdr.ipv4.version_ihl != IPV4_PLAIN) {
            meta.event = Event.DROP_OUTER_HEADER_LENGTH;
        } else if (standard.checksum_error == 1) {
            if (fold(IPV4_SUM(hdr.ipv4)) != 0xFFFF) {
                meta.event = Event.DROP_OUTER_CHECKSUM;
            }
        }
        if (meta.event == Event.RX) {
            if ((bit<32>)total < IPV4_OCTETS + UDP_OCTETS || (bit<32>)total > meta.ip_octets) {
                meta.event = Event.DROP_OUTER_LENGTH;
            } else if (hdr.ipv4.fragmentation & FRAGMENT_BITS != 0) {
                meta.event = Event.DROP_OUTER_FRAGMENT;
            } else if ((bit<32>)hdr.udp.length != (bit<32>)total - IPV4_OCTETS) {
                meta.event = Event.DROP_UDP_LENGTH;
            }
        }
    }
}

control CheckOuterIpv6(in headers_t hdr, inout known_t meta) {
    bit<16> length = hdr.ipv6.payload_length;

    apply {
        if (hdr.ipv6_fragment.isValid()) {
            meta.event = Event.DROP_OUTER_FRAGMENT;
        } else if ((bit<32>)length < UDP_OCTETS || (bit<32>)length > meta.ip_octets - IPV6_OCTETS) {
            meta.event = Event.DROP_OUTER_LENGTH;
        } else if (hdr.udp.length != length) {
            meta.event = Event.DROP_UDP_LENGTH;
        }
    }
}

// Rules U5 to U7, one by one.
control CheckOuter(in headers_t hdr, inout known_t meta, in standard_metadata_t standard) {
    CheckOuterIpv4() check_ipv4;
    CheckOuterIpv6() check_ipv6;

    apply {
        if (!hdr.udp.isValid()) {
            meta.event = Event.DROP_OUTER_TRUNCATED;
        } else if (hdr.ipv4.isValid()) {
            check_ipv4.apply(hdr, meta, standard);
        } else {
            check_ipv6.apply(hdr, meta);
        }
        if (standard.checksum_error == 1 && meta.event == Event.RX && hdr.udp.checksum != 0) {
            meta.event = Event.DROP_UDP_CHECKSUM;
        }
    }
}

control Outer(in headers_t hdr, inout known_t meta) {
    @id(0x13000002)
    direct_counter(CounterType.packets_and_bytes) terminate_counter;

    @id(0x01000004)
    action leave() {
        meta.event = Event.PASS;
    }

    @id(0x01000005)
    action open() {
    }

    // tunnel: 1 = Geneve. Entries with 0, for plain packets from behind a gateway port to the node
    // itself, are a host's: a switch has no kernel that could answer them.
    @id(0x02000002)
    table terminate {
        key = {
            meta.next   : exact @id(1) @name("outer_dst");
            meta.tunnel : exact @id(2) @name("tunnel");
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
        terminate.apply();
    }
}

#endif
