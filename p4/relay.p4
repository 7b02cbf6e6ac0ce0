// SPDX-License-Identifier: Apache-2.0
// A packet that goes on from one node to another: rules U13 and U14 of docs/wire-format.md. What it
// carries is not looked at.
#ifndef MOORLINE_RELAY_P4
#define MOORLINE_RELAY_P4

#include "headers.p4"
#include "metadata.p4"
#include "origin.p4"

control Relay(in headers_t hdr, inout metadata_t meta) {
    Origins() origins;

    apply {
        origins.apply(hdr, meta);
        if (meta.scid == 0) { // a third node, or a way that is closed
            meta.event = Event.DROP_SOURCE;
        } else if ((hdr.ipv4.isValid() && hdr.ipv4.ttl <= 1) ||
                   (hdr.ipv6.isValid() && hdr.ipv6.hop_limit <= 1)) {
            meta.event = Event.DROP_OUTER_TTL;
        }
    }
}

// What new outer headers of the other family take over from those that the packet came with.
control TakeOver(in headers_t hdr, inout metadata_t meta) {
    apply {
        meta.spi = hdr.option.spi;
        meta.si = hdr.option.si;
        meta.inner.ipv6 = hdr.geneve.protocol == ETHERTYPE_IPV6;
        if (hdr.ipv6.isValid()) {
            meta.departure.traffic_class = hdr.ipv6.traffic_class;
            meta.departure.ttl = hdr.ipv6.hop_limit - 1;
        } else {
            meta.departure.traffic_class = hdr.ipv4.traffic_class;
            meta.departure.ttl = hdr.ipv4.ttl - 1;
        }
    }
}

// Outer headers of the same family become those of A7 where they stand: cheaper than new ones. Their
// lengths, and all of Geneve but reserved bits and the SCID, have been found to be right.
control Rewrite(inout headers_t hdr, inout metadata_t meta) {
    @hidden action rewrite_data_header() {
        hdr.ports.src = FLOW_PORT_BASE | hdr.ports.src;
        hdr.udp.checksum = 0;
        hdr.geneve.reserved = 0;
        hdr.geneve.reserved2 = 0;
        hdr.option.magic = OPTION_MAGIC;
        hdr.option.scid = meta.scid;
    }

    @hidden action rewrite_ipv4() {
        hdr.ipv4.fragmentation = ATOMIC;
        hdr.ipv4.ttl = hdr.ipv4.ttl - 1;
        hdr.ipv4.src = meta.departure.src4;
        hdr.ipv4.dst = meta.departure.dst[31:0];
        rewrite_data_header();
    }

    @hidden action rewrite_ipv6() {
        hdr.ipv6.flow_label = (bit<20>)meta.departure.flow[31:15];
        hdr.ipv6.hop_limit = hdr.ipv6.hop_limit - 1;
        hdr.ipv6.src = meta.departure.src6;
        hdr.ipv6.dst = meta.departure.dst;
        rewrite_data_header();
    }

    apply {
        if (hdr.vlan[0].isValid()) {
            hdr.ethernet.type = meta.departure.ipv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;
            hdr.vlan[0].setInvalid();
            hdr.vlan[1].setInvalid();
        }
        if (meta.departure.ipv6) {
            rewrite_ipv6();
        } else {
            rewrite_ipv4();
        }
    }
}

#endif
