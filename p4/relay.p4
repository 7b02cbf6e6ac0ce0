// SPDX-License-Identifier: Apache-2.0
// A packet that goes on from one node to another: rules U13 and U14 of docs/wire-format.md. What it
// carries is not looked at.
#ifndef MOORLINE_RELAY_P4
#define MOORLINE_RELAY_P4

#include "headers.p4"
#include "metadata.p4"
#include "origin.p4"

// Which of the two nodes the packet goes to, and under which SCID.
control Way(inout metadata_t meta) {
    apply {
        if (meta.origin == meta.relay.node0) {
            meta.node = meta.relay.node1;
            meta.scid = meta.relay.scid1;
        } else if (meta.origin == meta.relay.node1) {
            meta.node = meta.relay.node0;
            meta.scid = meta.relay.scid0;
        } else {
            meta.scid = 0;
        }
        if (meta.scid == 0) {
            meta.event = Event.DROP_SOURCE;
        }
    }
}

// What the new outer headers take over from those that the packet came with.
control TakeOver(in headers_t hdr, inout metadata_t meta) {
    bit<14> entropy = hdr.ports.src[13:0];
    bit<8> ttl = hdr.ipv4.ttl;

    apply {
        meta.inner.ipv6 = hdr.geneve.protocol == ETHERTYPE_IPV6;
        meta.inner.length = meta.payload - DATA_HEADER_OCTETS;
        meta.departure.flow = 4w0 ++ entropy ++ entropy;
        meta.departure.dscp = hdr.ipv4.dscp;
        meta.departure.ecn = hdr.ipv4.ecn;
        if (hdr.ipv6.isValid()) {
            meta.departure.dscp = hdr.ipv6.dscp;
            meta.departure.ecn = hdr.ipv6.ecn;
            ttl = hdr.ipv6.hop_limit;
        }
        meta.departure.ttl = ttl - 1;
        if (ttl <= 1) {
            meta.event = Event.DROP_OUTER_TTL;
        }
    }
}

control Relay(in headers_t hdr, inout metadata_t meta) {
    Origins() origins;
    Way() way;
    TakeOver() take_over;

    apply {
        origins.apply(hdr, meta);
        if (meta.event == Event.RX) {
            way.apply(meta);
        }
        if (meta.event == Event.RX) {
            take_over.apply(hdr, meta);
        }
    }
}

#endif
