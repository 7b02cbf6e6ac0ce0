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
control OpenEdge(in headers_t hdr, inout metadata_t meta) {
    apply {
        meta.class.src_mac = hdr.ethernet.src;
        if (hdr.ethernet.type == ETHERTYPE_VLAN && hdr.vlan[0].isValid() &&
            (hdr.vlan[0].type == ETHERTYPE_IPV4 || hdr.vlan[0].type == ETHERTYPE_IPV6)) {
            meta.class.vlan = hdr.vlan[0].id;
        } else if (hdr.ethernet.type != ETHERTYPE_IPV4 && hdr.ethernet.type != ETHERTYPE_IPV6) {
            meta.event = Event.PASS;
        }
    }
}

// From the tunnel of a user device.
control OpenDevice(in headers_t hdr, inout metadata_t meta) {
    CheckBareOuter() check_outer;
    OpenTunnel() open_tunnel;
    Devices() devices;

    apply {
        meta.service.inside = true;
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
control OpenPath(in headers_t hdr, inout metadata_t meta) {
    apply {
        meta.service.inside = true;
        meta.service.available = (bit<32>)hdr.udp.length - UDP_OCTETS - DATA_HEADER_OCTETS;
        meta.tenant = hdr.geneve.vni;
        meta.scid = hdr.option.scid;
        meta.spi = hdr.option.spi;
        meta.si = hdr.option.si;
    }
}

control OpenFrame(in headers_t hdr, inout metadata_t meta) {
    OpenEdge() open_edge;
    OpenDevice() open_device;
    OpenPath() open_path;
    OpenPeerHeader() open_peer_header;

    apply {
        meta.service = {Look.FIRST, Look.FIRST, false, false, meta.ip_octets, 0, 0, 0, 0};
        meta.class = {meta.ingress_port, 0, 0, 0, 0, 0};
        meta.path_mtu = NO_LIMIT;
        if (meta.role == Role.ACCESS) {
            if (hdr.ethernet.type != ETHERTYPE_IPV4 && hdr.ethernet.type != ETHERTYPE_IPV6) {
                meta.event = Event.PASS;
            }
        } else if (meta.role == Role.PATH) {
            open_path.apply(hdr, meta);
        } else if (meta.role == Role.EDGE) {
            open_edge.apply(hdr, meta);
        } else if (meta.role == Role.PEER) {
            meta.class.ingress_port = 0;
            open_peer_header.apply(hdr, meta);
        } else {
            open_device.apply(hdr, meta);
        }
    }
}

// The ports of a flow, where they can be relied on.
control FlowPorts(in headers_t hdr, inout metadata_t meta) {
    apply {
        if (!meta.inner.fragment &&
            meta.inner.length >= meta.inner.header_octets + PORTS_OCTETS) {
            if (meta.service.inside) {
                if (hdr.inner_ports.isValid()) {
                    meta.class.src_port = hdr.inner_ports.src;
                    meta.class.dst_port = hdr.inner_ports.dst;
                }
            } else if (hdr.ports.isValid() && !hdr.ipv6_fragment.isValid()) {
                meta.class.src_port = hdr.ports.src;
                meta.class.dst_port = hdr.ports.dst;
            }
        }
    }
}

// Whether the packet is sound, and what it says.
control JudgePacket(inout headers_t hdr, inout metadata_t meta) {
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
