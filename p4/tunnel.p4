// SPDX-License-Identifier: Apache-2.0
// Outer headers on and off: rules A7, U12 and U15 of docs/wire-format.md.
#ifndef MOORLINE_TUNNEL_P4
#define MOORLINE_TUNNEL_P4

#include "headers.p4"
#include "metadata.p4"

control PutOuterIpv4(inout headers_t hdr, in known_t meta) {
    apply {
        hdr.tunnel_ipv4 = {
            IPV4_PLAIN, meta.departure.traffic_class,
            (bit<16>)(meta.inner.length + OVERHEAD_IPV4), ATOMIC, meta.departure.ttl, PROTOCOL_UDP, 0,
            meta.uplink.src4, meta.next[31:0]
        };
    }
}

control PutOuterIpv6(inout headers_t hdr, in known_t meta) {
    apply {
        hdr.tunnel_ipv6 = {
            6, meta.departure.traffic_class, (bit<20>)meta.departure.flow[31:15],
            (bit<16>)(meta.inner.length + UDP_OCTETS + DATA_HEADER_OCTETS),
            PROTOCOL_UDP, meta.departure.ttl, meta.uplink.src6, meta.next
        };
    }
}

// UDP, Geneve and our option.
control PutDataHeader(inout headers_t hdr, in known_t meta) {
    apply {
        hdr.tunnel_data = {
            FLOW_PORT_BASE | (bit<16>)meta.departure.flow[13:0], GENEVE_PORT,
            (bit<16>)(meta.inner.length + UDP_OCTETS + DATA_HEADER_OCTETS), 0,
            DATA_FORM, ETHERTYPE_IPV4, meta.inner.tenant, 0, OPTION_MAGIC, meta.scid,
            meta.inner.spi, meta.inner.si
        };
        if (meta.inner.ipv6) {
            hdr.tunnel_data.protocol = ETHERTYPE_IPV6;
        }
    }
}

// A VLAN tag before the outer headers, where the uplink has one.
control Tag(inout headers_t hdr, in known_t meta) {
    apply {
        if (meta.uplink.vlan != 0) {
            hdr.vlan[0] = {meta.uplink.vlan[15:13], meta.uplink.vlan[12:12],
                           meta.uplink.vlan[11:0], hdr.ethernet.type};
            hdr.ethernet.type = ETHERTYPE_VLAN;
        }
    }
}

control Encapsulate(inout headers_t hdr, inout known_t meta) {
    PutOuterIpv4() put_ipv4;
    PutOuterIpv6() put_ipv6;
    PutDataHeader() put_data_header;
    Tag() tag;

    apply {
        if (meta.departure.ipv6) {
            hdr.ethernet.type = ETHERTYPE_IPV6;
            put_ipv6.apply(hdr, meta);
        } else {
            hdr.ethernet.type = ETHERTYPE_IPV4;
            put_ipv4.apply(hdr, meta);
        }
        put_data_header.apply(hdr, meta);
        tag.apply(hdr, meta);
        // Padding of a short frame is cut off.
        meta.inner.frame_octets = meta.inner.frame_octets + meta.departure.overhead;
        if (meta.uplink.vlan != 0) {
            meta.inner.frame_octets = meta.inner.frame_octets + VLAN_OCTETS;
        }
        truncate(meta.inner.frame_octets);
        meta.event = Event.TX;
    }
}

control TakeOff(inout headers_t hdr) {
    apply {
        hdr.vlan[0].setInvalid();
        hdr.vlan[1].setInvalid();
        hdr.ipv4.setInvalid();
        hdr.ipv6.setInvalid();
        hdr.ports.setInvalid();
        hdr.udp.setInvalid();
        hdr.geneve.setInvalid();
        hdr.option.setInvalid();
    }
}

control Decapsulate(inout headers_t hdr, inout known_t meta) {
    TakeOff() take_off;

    apply {
        hdr.ethernet.type = hdr.geneve.protocol;
        take_off.apply(hdr);
        truncate(meta.inner.frame_octets);
    }
}

#endif
