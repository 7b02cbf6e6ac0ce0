// SPDX-License-Identifier: Apache-2.0
// A packet that goes on from one node to another: rules U13 and U14 of docs/wire-format.md. What it
// carries is not looked at.
#ifndef MOORLINE_RELAY_P4
#define MOORLINE_RELAY_P4

#include "headers.p4"
#include "metadata.p4"
#include "origin.p4"
#include "outer.p4"
#include "tunnel.p4"

control Relay(in headers_t hdr, inout known_t meta) {
    CheckSource() check_source;
    Origins() origins;

    apply {
        // What comes as usual has a source, and a TTL to go on.
        if (meta.role != Role.UNDERLAY) {
            check_source.apply(hdr, meta);
        }
        if (meta.event == Event.RX) {
            origins.apply(hdr, meta);
        }
        if (meta.scid == 0 || meta.role != Role.UNDERLAY) {
            if (meta.scid == 0) { // a third node, or a way that is closed
                meta.event = Event.DROP_SOURCE;
            } else if (meta.event == Event.RX && meta.fate != Fate.DELIVERED &&
                       ((hdr.ipv4.isValid() && hdr.ipv4.ttl <= 1) ||
                        (hdr.ipv6.isValid() && hdr.ipv6.hop_limit <= 1))) {
                meta.event = Event.DROP_OUTER_TTL;
            }
        }
    }
}

// What new outer headers of the other family take over from those that the packet came with.
control TakeOver(in headers_t hdr, inout known_t meta) {
    apply {
        meta.departure.flow = 4w0 ++ hdr.ports.src[13:0] ++ hdr.ports.src[13:0];
        meta.inner.tenant = hdr.geneve.vni;
        meta.inner.spi = hdr.option.spi;
        meta.inner.si = hdr.option.si;
        meta.inner.ipv6 = hdr.geneve.protocol == ETHERTYPE_IPV6;
        meta.inner.length = (bit<32>)hdr.udp.length - UDP_OCTETS - DATA_HEADER_OCTETS;
        meta.inner.frame_octets = ETHERNET_OCTETS + meta.inner.length;
        if (hdr.ipv6.isValid()) {
            meta.departure.traffic_class = hdr.ipv6.traffic_class;
            meta.departure.ttl = hdr.ipv6.hop_limit - 1;
        } else {
            meta.departure.traffic_class = hdr.ipv4.traffic_class;
            meta.departure.ttl = hdr.ipv4.ttl - 1;
        }
    }
}

// What a packet of ours that comes straight from its node has no need of: no VLAN tags, no padding,
// and all that a receiver ignores as A7 has it.
control Straighten(inout headers_t hdr, inout known_t meta) {
    Tag() tag;

    apply {
        hdr.ports.src = FLOW_PORT_BASE | hdr.ports.src;
        hdr.udp.checksum = 0;
        hdr.geneve.form = DATA_FORM;
        hdr.geneve.reserved = 0;
        hdr.option.magic = OPTION_MAGIC;
        hdr.vlan[0].setInvalid();
        hdr.vlan[1].setInvalid();
        if (hdr.ipv6.isValid()) {
            hdr.ethernet.type = ETHERTYPE_IPV6;
            meta.inner.frame_octets =
                ETHERNET_OCTETS + IPV6_OCTETS + (bit<32>)hdr.ipv6.payload_length;
        } else {
            hdr.ethernet.type = ETHERTYPE_IPV4;
            hdr.ipv4.fragmentation = ATOMIC;
            meta.inner.frame_octets = ETHERNET_OCTETS + (bit<32>)hdr.ipv4.total_length;
        }
        tag.apply(hdr, meta);
        if (meta.uplink.vlan != 0) {
            meta.inner.frame_octets = meta.inner.frame_octets + VLAN_OCTETS;
        }
        truncate(meta.inner.frame_octets);
    }
}

// Outer headers of the same family become those of A7 where they stand: cheaper than new ones. Their
// lengths, and all of Geneve but reserved bits and the SCID, have been found to be right.
control Rewrite(inout headers_t hdr, inout known_t meta) {
    Straighten() straighten;

    @hidden action too_big() {
        meta.event = Event.DROP_OUTER_TOO_BIG;
    }

    @hidden action rewrite_ipv4() {
        hdr.ipv4.ttl = hdr.ipv4.ttl - 1;
        hdr.ipv4.src = meta.uplink.src4;
        hdr.ipv4.dst = meta.next[31:0];
        hdr.option.scid = meta.scid;
        meta.event = Event.TX;
    }

    @hidden action rewrite_ipv6() {
        // f / 2^15, where f = p * 2^14 + p and p is the source port mod 2^14.
        hdr.ipv6.flow_label = (bit<20>)hdr.ports.src[13:1];
        hdr.ipv6.hop_limit = hdr.ipv6.hop_limit - 1;
        hdr.ipv6.src = meta.uplink.src6;
        hdr.ipv6.dst = meta.next;
        hdr.option.scid = meta.scid;
        meta.event = Event.TX;
    }

    apply {
        if (hdr.ipv4.isValid() && hdr.ipv4.total_length <= meta.uplink.mtu) {
            rewrite_ipv4();
        } else if (hdr.ipv6.isValid() &&
                   (bit<32>)hdr.ipv6.payload_length + IPV6_OCTETS <= (bit<32>)meta.uplink.mtu) {
            rewrite_ipv6();
        } else {
            too_big();
        }
        if (meta.role == Role.UNUSUAL || meta.uplink.vlan != 0) {
            straighten.apply(hdr, meta);
        }
    }
}

#endif
