// SPDX-License-Identifier: Apache-2.0
// Tunnels of user devices: VXLAN (RFC 7348), GRE (RFC 2784, RFC 2890), and IP in IP. Rules S8 and S12 of
// docs/wire-format.md.
#ifndef MOORLINE_USER_TUNNEL_P4
#define MOORLINE_USER_TUNNEL_P4

#include "checksum.p4"
#include "headers.p4"
#include "metadata.p4"
#include "tunnel.p4"

// Checksum, routing and sequence number: none of them here, and no other version.
const bit<32> GRE_UNWANTED = 0xD0070000;
const bit<8>  VXLAN_FLAGS  = 0x08;

const bit<32> VXLAN_OCTETS = 22; // with the Ethernet header behind
const bit<32> GRE_OCTETS   = 4;

// Outer IP of GRE and of IP in IP, as rules U5 and U6 say; the octets behind it are left in available.
control CheckBareOuter(in headers_t hdr, inout known_t meta) {
    apply {
        if (hdr.ipv4.isValid()) {
            meta.service.available = (bit<32>)hdr.ipv4.total_length - IPV4_OCTETS;
            if (hdr.ipv4.version_ihl != IPV4_PLAIN) {
                meta.event = Event.DROP_OUTER_HEADER_LENGTH;
            } else if (fold(IPV4_SUM(hdr.ipv4)) != 0xFFFF) {
                meta.event = Event.DROP_OUTER_CHECKSUM;
            } else if ((bit<32>)hdr.ipv4.total_length < IPV4_OCTETS ||
                       (bit<32>)hdr.ipv4.total_length > meta.ip_octets) {
                meta.event = Event.DROP_OUTER_LENGTH;
            } else if (hdr.ipv4.fragmentation & FRAGMENT_BITS != 0) {
                meta.event = Event.DROP_OUTER_FRAGMENT;
            }
        } else {
            meta.service.available = (bit<32>)hdr.ipv6.payload_length;
            if ((bit<32>)hdr.ipv6.payload_length > meta.ip_octets - IPV6_OCTETS) {
                meta.event = Event.DROP_OUTER_LENGTH;
            }
        }
    }
}

// Not in GRE, or in VXLAN, as we understand it. Macros, since a function gets a copy of the headers, which
// costs a switch something in every packet.
#define WRONG_GRE(hdr, available)                                                                  \
    (!hdr.shim.isValid() || available < GRE_OCTETS || hdr.shim.words & GRE_UNWANTED != 0 ||        \
     (hdr.shim.words & GRE_KEY != 0 &&                                                             \
      (!hdr.shim2.isValid() || available < GRE_OCTETS + WORD_OCTETS)) ||                           \
     (hdr.shim.words[15:0] != ETHERTYPE_IPV4 && hdr.shim.words[15:0] != ETHERTYPE_IPV6))

#define WRONG_VXLAN(hdr, available)                                                                \
    (!hdr.shim_frame.isValid() || available < VXLAN_OCTETS ||                                      \
     hdr.shim.words[31:24] != VXLAN_FLAGS ||                                                       \
     (hdr.shim_frame.type != ETHERTYPE_IPV4 && hdr.shim_frame.type != ETHERTYPE_IPV6))

// A GRE header that was found to be right is passed by.
control PassGre(in headers_t hdr, inout known_t meta) {
    apply {
        meta.service.available = meta.service.available - GRE_OCTETS;
        if (hdr.shim.words & GRE_KEY != 0) {
            meta.service.key = hdr.shim2.words;
            meta.service.available = meta.service.available - WORD_OCTETS;
        }
    }
}

// The tunnel's header, once the outer ones are sound: it gives the key.
control OpenTunnel(in headers_t hdr, inout known_t meta) {
    PassGre() pass_gre;

    apply {
        if (meta.tunnel == TUNNEL_VXLAN) {
            meta.service.available = (bit<32>)hdr.udp.length - UDP_OCTETS;
            if (WRONG_VXLAN(hdr, meta.service.available)) {
                meta.event = Event.DROP_TUNNEL_HEADER;
            } else {
                meta.service.key = hdr.shim_frame.tag >> 8;
                meta.service.class.src_mac = hdr.shim_frame.src;
                meta.service.available = meta.service.available - VXLAN_OCTETS;
            }
        } else if (meta.tunnel == TUNNEL_GRE) {
            if (WRONG_GRE(hdr, meta.service.available)) {
                meta.event = Event.DROP_TUNNEL_HEADER;
            } else {
                pass_gre.apply(hdr, meta);
            }
        }
    }
}

// Octets and protocol of the tunnel that the packet goes into, behind the outer IP header.
control TunnelSize(inout known_t meta) {
    apply {
        if (meta.service.way.tunnel == TUNNEL_VXLAN) {
            meta.service.way.octets = UDP_OCTETS + VXLAN_OCTETS;
            meta.service.way.protocol = PROTOCOL_UDP;
        } else if (meta.service.way.tunnel == TUNNEL_GRE) {
            meta.service.way.octets = GRE_OCTETS;
            meta.service.way.protocol = PROTOCOL_GRE;
            if (meta.service.way.key != 0) {
                meta.service.way.octets = GRE_OCTETS + WORD_OCTETS;
            }
        } else if (meta.inner.ipv6) {
            meta.service.way.protocol = PROTOCOL_IPV6;
        } else {
            meta.service.way.protocol = PROTOCOL_IPV4;
        }
        meta.departure.overhead = IPV4_OCTETS + meta.service.way.octets;
        if (meta.departure.ipv6) {
            meta.departure.overhead = IPV6_OCTETS + meta.service.way.octets;
        }
        meta.inner.path_mtu = NO_LIMIT;
    }
}

control PutGre(inout headers_t hdr, in known_t meta, in bool has_key, in bit<32> key) {
    apply {
        hdr.tunnel_shim = {16w0 ++ hdr.ethernet.type};
        if (has_key) {
            hdr.tunnel_shim.words = hdr.tunnel_shim.words | GRE_KEY;
            hdr.tunnel_shim2 = {key};
        }
    }
}

// Outer headers of a tunnel other than between nodes. The EtherType is still the packet's.
control PutBareOuter(inout headers_t hdr, in known_t meta, in bit<8> protocol, in bit<32> octets,
                     in bool ipv6, in address_t src, in address_t dst) {
    apply {
        if (ipv6) {
            hdr.ethernet.type = ETHERTYPE_IPV6;
            hdr.tunnel_ipv6 = {6, meta.departure.traffic_class, (bit<20>)meta.departure.flow[31:15],
                               (bit<16>)(meta.inner.length + octets), protocol, OUTER_TTL, src, dst};
        } else {
            hdr.ethernet.type = ETHERTYPE_IPV4;
            hdr.tunnel_ipv4 = {IPV4_PLAIN, meta.departure.traffic_class,
                               (bit<16>)(meta.inner.length + octets + IPV4_OCTETS), ATOMIC, OUTER_TTL,
                               protocol, 0, src[31:0], dst[31:0]};
        }
    }
}

control PutUserTunnel(inout headers_t hdr, inout known_t meta) {
    PutGre() put_gre;
    PutBareOuter() put_outer;
    Tag() tag;

    apply {
        if (meta.service.way.tunnel == TUNNEL_VXLAN) {
            hdr.tunnel_udp = {FLOW_PORT_BASE | (bit<16>)meta.departure.flow[13:0], VXLAN_PORT,
                              (bit<16>)(meta.inner.length + meta.service.way.octets), 0};
            hdr.tunnel_shim = {VXLAN_FLAGS ++ 24w0};
            hdr.tunnel_frame = {meta.service.way.key << 8, DEVICE_MAC, GATEWAY_MAC, hdr.ethernet.type};
        } else if (meta.service.way.tunnel == TUNNEL_GRE) {
            put_gre.apply(hdr, meta, meta.service.way.key != 0, meta.service.way.key);
        }
        if (!meta.departure.ipv6) {
            meta.uplink.src6 = MAPPED ++ meta.uplink.src4;
        }
        put_outer.apply(hdr, meta, meta.service.way.protocol, meta.service.way.octets, meta.departure.ipv6,
                        meta.uplink.src6, meta.next);
        tag.apply(hdr, meta);
        meta.inner.frame_octets = meta.inner.frame_octets + meta.departure.overhead;
        if (meta.uplink.vlan != 0) {
            meta.inner.frame_octets = meta.inner.frame_octets + VLAN_OCTETS;
        }
        truncate(meta.inner.frame_octets);
        meta.event = Event.TX;
    }
}

#endif
