// SPDX-License-Identifier: Apache-2.0
// The packet that a connection carries: checked alike where it enters (rule A2 of
// docs/wire-format.md) and where it leaves (U11).
#ifndef MOORLINE_INNER_P4
#define MOORLINE_INNER_P4

#include "checksum.p4"
#include "headers.p4"
#include "metadata.p4"

// available: octets up to the end of what carries the packet.
control CheckIpv4(in ipv4_t ip, in ipv4_options_t options, in bit<32> available,
                  inout known_t meta) {
    OptionSum() option_sum;

    apply {
        meta.inner.ipv6 = false;
        meta.inner.fragment = ip.fragmentation & FRAGMENT_BITS != 0;
        meta.inner.sum = 0;
        meta.inner.header_octets = (bit<32>)ip.version_ihl[3:0] << 2;
        meta.inner.length = (bit<32>)ip.total_length;
        meta.inner.frame_octets = ETHERNET_OCTETS + (bit<32>)ip.total_length;
        meta.inner.traffic_class = ip.traffic_class;
        meta.inner.protocol = ip.protocol;
        meta.inner.src = MAPPED ++ ip.src;
        meta.inner.dst = MAPPED ++ ip.dst;
        option_sum.apply(options, meta.inner);
        if (!ip.isValid() || available < IPV4_OCTETS) {
            meta.event = Event.DROP_INNER_TRUNCATED;
        } else if (ip.version_ihl[7:4] != 4) {
            meta.event = Event.DROP_INNER_VERSION;
        } else if (ip.version_ihl[3:0] < IPV4_WORDS) {
            meta.event = Event.DROP_INNER_HEADER_LENGTH;
        } else if (meta.inner.header_octets > available) {
            meta.event = Event.DROP_INNER_TRUNCATED;
        } else if (fold(IPV4_SUM(ip) + meta.inner.sum) != 0xFFFF) {
            meta.event = Event.DROP_INNER_CHECKSUM;
        } else if (meta.inner.length < meta.inner.header_octets || meta.inner.length > available) {
            meta.event = Event.DROP_INNER_LENGTH;
        }
    }
}

control CheckIpv6(in ipv6_t ip, in bit<32> available, inout known_t meta) {
    apply {
        meta.inner.ipv6 = true;
        meta.inner.fragment = false;
        meta.inner.header_octets = IPV6_OCTETS;
        meta.inner.length = IPV6_OCTETS + (bit<32>)ip.payload_length;
        meta.inner.frame_octets = ETHERNET_OCTETS + meta.inner.length;
        meta.inner.traffic_class = ip.traffic_class;
        meta.inner.protocol = ip.next_header;
        meta.inner.src = ip.src;
        meta.inner.dst = ip.dst;
        if (!ip.isValid() || available < IPV6_OCTETS) {
            meta.event = Event.DROP_INNER_TRUNCATED;
        } else if (ip.version != 6) {
            meta.event = Event.DROP_INNER_VERSION;
        } else if (meta.inner.length > available) {
            meta.event = Event.DROP_INNER_LENGTH;
        }
    }
}

// Whether the addresses are the connection's own.
control CheckAddresses(inout known_t meta) {
    apply {
        if (meta.inner.ipv6) {
            if (meta.inner.dst == 0 || meta.inner.dst != meta.inner.addresses.local6 ||
                meta.inner.src != meta.inner.addresses.peer6) {
                meta.event = Event.DROP_INNER_ADDRESS;
            }
        } else if (meta.inner.dst[31:0] == 0 || meta.inner.dst[31:0] != meta.inner.addresses.local4 ||
                   meta.inner.src[31:0] != meta.inner.addresses.peer4) {
            meta.event = Event.DROP_INNER_ADDRESS;
        }
    }
}

#endif
