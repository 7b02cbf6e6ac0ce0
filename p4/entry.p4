// SPDX-License-Identifier: Apache-2.0
// A packet that is to be led along a service path, or by its connection: where it stands in its frame, and
// whether it is sound. Rules A1, A2, S1, S3, S8 and S9 of docs/wire-format.md, each up to the first table.
#ifndef MOORLINE_ENTRY_P4
#define MOORLINE_ENTRY_P4

#include "device.p4"
#include "ecn.p4"
#include "headers.p4"
#include "inner.p4"
#include "metadata.p4"
#include "peer_header.p4"
#include "user_tunnel.p4"

// From an edge port: one VLAN tag is looked behind.
control OpenEdge(in headers_t hdr, inout known_t meta) {
    apply {
        meta.service.class.src_mac = hdr.ethernet.src;
        if (hdr.ethernet.type == ETHERTYPE_VLAN && hdr.vlan[0].isValid() &&
            (hdr.vlan[0].type == ETHERTYPE_IPV4 || hdr.vlan[0].type == ETHERTYPE_IPV6)) {
            meta.service.class.vlan = hdr.vlan[0].id;
        } else if (hdr.ethernet.type != ETHERTYPE_IPV4 && hdr.ethernet.type != ETHERTYPE_IPV6) {
            meta.event = Event.PASS;
        }
    }
}

// From the tunnel of a user device.
control OpenDevice(in headers_t hdr, inout known_t meta) {
    CheckBareOuter() check_outer;
    OpenTunnel() open_tunnel;
    Devices() devices;

    apply {
        meta.service.inside = true;
        meta.inner.hops = 0;
        if (meta.tunnel != TUNNEL_VXLAN) {
            check_outer.apply(hdr, meta);
        }
        if (meta.event == Event.RX) {
            open_tunnel.apply(hdr, meta);
        }
        if (meta.event == Event.RX) {
            devices.apply(hdr, meta);
        }
    }
}

// From another node, on a path. Its source and TTL are known to be good.
control OpenPath(in headers_t hdr, inout known_t meta) {
    apply {
        meta.service.inside = true;
        meta.service.available = (bit<32>)hdr.udp.length - UDP_OCTETS - DATA_HEADER_OCTETS;
        meta.inner.tenant = hdr.geneve.vni;
        meta.inner.hops = 0;
        meta.scid = hdr.option.scid;
        meta.inner.spi = hdr.option.spi;
        meta.inner.si = hdr.option.si;
    }
}

control OpenFrame(in headers_t hdr, inout known_t meta, in standard_metadata_t standard) {
    Measure() measure;
    OpenEdge() open_edge;
    OpenDevice() open_device;
    OpenPath() open_path;
    OpenPeerHeader() open_peer_header;

    apply {
        measure.apply(hdr, standard, meta);
        meta.scid = 0;
        meta.node = 0;
        meta.inner.spi = 0;
        meta.inner.si = 0;
        meta.inner.path_mtu = NO_LIMIT;
        meta.service.look = Look.FIRST;
        meta.service.inside = false;
        meta.service.asked = false;
        meta.service.available = meta.ip_octets;
        meta.service.key = 0;
        meta.service.class = {standard.ingress_port, 0, 0, 0, 0};
        meta.service.hop.instance = 0;
        if (meta.role == Role.ACCESS) {
            if (hdr.ethernet.type != ETHERTYPE_IPV4 && hdr.ethernet.type != ETHERTYPE_IPV6) {
                meta.event = Event.PASS;
            }
        } else if (meta.role == Role.PATH) {
            open_path.apply(hdr, meta);
        } else if (meta.role == Role.EDGE) {
            open_edge.apply(hdr, meta);
        } else if (meta.role == Role.PEER) {
            meta.service.class.ingress_port = 0;
            open_peer_header.apply(hdr, meta);
        } else {
            open_device.apply(hdr, meta);
        }
    }
}

// The ports of a flow, where they can be relied on.
control FlowPorts(in headers_t hdr, inout known_t meta) {
    apply {
        if (!meta.inner.fragment &&
            meta.inner.length >= meta.inner.header_octets + PORTS_OCTETS) {
            if (meta.service.inside) {
                if (hdr.inner_ports.isValid()) {
                    meta.service.class.src_port = hdr.inner_ports.src;
                    meta.service.class.dst_port = hdr.inner_ports.dst;
                }
            } else if (hdr.ports.isValid() && !hdr.ipv6_fragment.isValid()) {
                meta.service.class.src_port = hdr.ports.src;
                meta.service.class.dst_port = hdr.ports.dst;
            }
        }
    }
}

// Whether the packet is sound, and what it says.
control JudgePacket(inout headers_t hdr, inout known_t meta) {
    CheckIpv4() check_ipv4;
    CheckIpv6() check_ipv6;
    CheckIpv4() check_inner_ipv4;
    CheckIpv6() check_inner_ipv6;
    FlowPorts() flow_ports;

    apply {
        if (meta.service.inside) {
            if (hdr.inner_ipv6.isValid()) {
                check_inner_ipv6.apply(hdr.inner_ipv6, meta.service.available, meta);
            } else {
                check_inner_ipv4.apply(hdr.inner_ipv4, hdr.inner_options, meta.service.available,
                                       meta);
            }
        } else if (hdr.ipv6.isValid()) {
            check_ipv6.apply(hdr.ipv6, meta.service.available, meta);
        } else {
            check_ipv4.apply(hdr.ipv4, hdr.ipv4_options, meta.service.available, meta);
        }
        if (meta.event == Event.RX && meta.role == Role.PATH &&
            meta.inner.length != meta.service.available) {
            meta.event = Event.DROP_INNER_LENGTH;
        }
        if (meta.event == Event.RX) {
            flow_ports.apply(hdr, meta);
        }
    }
}

#endif
