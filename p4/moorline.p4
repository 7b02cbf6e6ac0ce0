// SPDX-License-Identifier: Apache-2.0
// Moorline's pipeline for v1model: the contract between the controller and every data plane. What it
// does with a packet is docs/wire-format.md, rule by rule; its P4Info names every table, action and
// counter. The programs in ebpf/ implement the same pipeline.
//
//          underlay port                                 access port
//                |                                            |
//          +-----------+                                +-----------+
//          | port_role |                                | port_role |
//          +-----------+                                +-----------+
//                |                                            |
//   not   +-----------+                                inner packet sound?
//   ours: | terminate | destination, tunnel                   |
//   pass  +-----------+                                 +------------+ miss
//                |                                      | connection |------> packet-in; comes back
//     outer headers, Geneve and                         +------------+        as packet-out
//       our option sound?                                     | SCID, node, SPI, SI; or, where both
//                |                                            | ends are here, the other access port
//                |                                            |
//          +-----------+   relay   +----------+ node of       |
//          |   scid    |---------->|  origin  | the source    |
//          +-----------+           +----------+               |
//        deliver |                      | the other node,     |
//                | node, addresses,     | its SCID            |
//                | port            +---------+                |
//                +---------------->| locator |<---------------+
//                                  +---------+
//                +-----------------+    |    +----------------+
//                |                      +----+                | one of two paths
//      source one of the node's?                        +-----------+
//      inner packet sound, its                          |  uplink   | source, VLAN, MTU
//      addresses the connection's? TTL                  +-----------+
//      congestion marks (RFC 6040)                            |
//                |                                      does it fit? TTL
//        outer headers off                                    |
//                |                             outer headers on (of a relay: anew)
//                |                 +---------+                |
//                +---------------->|   fib   |<---------------+
//                                  +---------+
//           access port <------------+     +-----------> underlay port
//
// On a service path (service.p4):
//
//   access port    edge port, user device    underlay, SPI != 0        port of a feature peer
//        |           (device)                  (origin)                  header off: a label
//        |                |                       |                              |
//        |          packet sound?           packet sound?                  packet sound?
//        |                |                       |                              |
//  +------------+   +----------+ miss  +------------+                        +--------+
//  | connection |   | shortcut |------>| classifier | |                      | resume |
//  +------------+   +----------+       +------------+ |                      +--------+
//        |                |                  |        |                          | do connection or
//        |     no path    +------------------+        |                          | class agree?
//        |   +------------+                           |                          |
//        |   |            | SPI, SI                   |                          |
//        +---|------------+---------------------------+--------------------------+
//            |                                        |
//            |                                  +----------+ group  +----------+ miss  +--------+
//            |                    +------------>| path_hop |------->| affinity |------>| member |
//            |                    |             +----------+        +----------+       +--------+
//            |                    |               |  |   |               | instance        |
//            |                    +---------------|--|---|---------------+-----------------+
//            |                       again        |  |   |
//            |            end, no SCID            |  |   | to_node
//            |   +--------------------------------+  |   +-------------> locator, uplink, as above
//            v   v                                   |     end with SCID: connection, again
//          +-------+                                 | to_peer
//          | route |                                 +-----------------> header on, its port
//          +-------+
//            |  |  +---> edge port
//            |  +------> locator, uplink: to another node
//            +---------> uplink: into a user device's tunnel
//
// A packet's event is RX while it is on its way. The first control that gives it another one has
// decided; the rest is passed by. Every packet is counted in port_events as RX and as what it became.
//
// What a switch does otherwise than a host: what passes goes to HOST_PORT; address resolution is
// answered, where the table own_address says so, or goes to the controller; the link-layer addresses
// are those of the table fib, where a host asks its kernel for route and neighbour; a packet-out counts
// with its own three octets of header; a packet whose path goes through a group of instances, or ends
// with a connection, may go through the pipeline twice, since a table can be asked only once on a way;
// and a UDP checksum is verified up to the end of the frame, so
// that padding behind a packet that has one must be zeros.

#include <core.p4>
#include <v1model.p4>

#include "checksum.p4"
#include "connection.p4"
#include "deparser.p4"
#include "digest.p4"
#include "ecn.p4"
#include "fib.p4"
#include "flow.p4"
#include "geneve.p4"
#include "headers.p4"
#include "inner.p4"
#include "leave.p4"
#include "locator.p4"
#include "metadata.p4"
#include "outer.p4"
#include "own_address.p4"
#include "parser.p4"
#include "ports.p4"
#include "relay.p4"
#include "scid.p4"
#include "service.p4"
#include "strip.p4"
#include "ttl.p4"
#include "tunnel.p4"
#include "uplink.p4"
#include "user_tunnel.p4"

// Whether a packet that the parser finds usual is as long as it says, with sound checksums: then it keeps
// the rules U5 to U9. Which one another packet breaks, if any, is found out rule by rule.
#define SOUND(hdr, standard)                                                                       \
    (standard.checksum_error == 0 &&                                                               \
     (bit<32>)hdr.ipv4.total_length + ETHERNET_OCTETS == standard.packet_length &&                 \
     (bit<32>)hdr.ipv4.total_length == IPV4_OCTETS + (bit<32>)hdr.udp.length)

// From an underlay port to the question which node sent the packet, or which it goes on to: rules U4
// to U10, U13 and U14.
control FromUnderlay(in headers_t hdr, inout known_t meta, in standard_metadata_t standard) {
    Outer() outer;
    Measure() measure;
    CheckOuter() check_outer;
    Geneve() geneve;
    Scids() scids;
    Relay() relay;

    apply {
        outer.apply(hdr, meta);
        if (meta.event == Event.RX && !(meta.fate == Fate.USUAL && SOUND(hdr, standard))) {
            meta.role = Role.UNUSUAL;
            measure.apply(hdr, standard, meta);
            if (meta.tunnel == TUNNEL_GENEVE || meta.tunnel == TUNNEL_VXLAN) {
                check_outer.apply(hdr, meta, standard);
            }
            if (meta.event == Event.RX) {
                geneve.apply(hdr, meta);
            }
        }
        if (meta.event == Event.RX && (meta.role == Role.UNDERLAY || meta.role == Role.UNUSUAL)) {
            scids.apply(hdr, meta);
        }
        if (meta.event == Event.RX &&
            (meta.fate == Fate.RELAYED || meta.role == Role.PATH ||
             (meta.fate == Fate.DELIVERED && meta.node == 0))) {
            relay.apply(hdr, meta);
        }
    }
}

// From there to the access port: rules U10 to U12.
control ToAccess(inout headers_t hdr, inout known_t meta) {
    CheckSource() check_source;
    CheckIpv4() check_ipv4;
    CheckIpv6() check_ipv6;
    CheckAddresses() check_addresses;
    Ttl() ttl;
    Ecn() ecn;
    Decapsulate() decapsulate;
    bit<32> available = (bit<32>)hdr.udp.length - UDP_OCTETS - DATA_HEADER_OCTETS;

    apply {
        check_source.apply(hdr, meta);
        if (meta.event == Event.RX) {
            if (hdr.geneve.protocol == ETHERTYPE_IPV6) {
                check_ipv6.apply(hdr.inner_ipv6, available, meta);
            } else {
                check_ipv4.apply(hdr.inner_ipv4, hdr.inner_options, available, meta);
            }
        }
        if (meta.event == Event.RX && meta.inner.length != available) {
            meta.event = Event.DROP_INNER_LENGTH;
        }
        if (meta.event == Event.RX) {
            check_addresses.apply(meta);
        }
        if (meta.event == Event.RX) {
            ttl.apply(hdr.inner_ipv4, hdr.inner_ipv6, meta);
        }
        if (meta.event == Event.RX) {
            ecn.apply(hdr, meta);
        }
        if (meta.event == Event.RX) {
            decapsulate.apply(hdr, meta);
            meta.next = meta.inner.dst;
            meta.event = Event.TX;
        }
    }
}

// From there, or from a relay, to the underlay port: rules A4 to A7 and U15.
control ToUnderlay(inout headers_t hdr, inout known_t meta) {
    Uplinks() uplinks;
    CheckSize() check_size;
    Ttl() ttl;
    Rewrite() rewrite;
    TakeOver() take_over;
    TakeOff() take_off;
    Strip() strip;
    PutUserTunnel() put_user_tunnel;
    Encapsulate() encapsulate;

    apply {
        uplinks.apply(meta);
        if (meta.event == Event.RX && meta.fate == Fate.RELAYED &&
            (meta.next & MAPPED_BITS == MAPPED ++ 32w0) == hdr.ipv4.isValid()) {
            rewrite.apply(hdr, meta);
        } else if (meta.event == Event.RX) {
            if (meta.fate == Fate.RELAYED) {
                take_over.apply(hdr, meta);
            }
            check_size.apply(meta);
            if (meta.event == Event.RX) {
                if (meta.fate == Fate.RELAYED) {
                    take_off.apply(hdr);
                } else {
                    ttl.apply(hdr.ipv4, hdr.ipv6, meta);
                }
            }
            if (meta.event == Event.RX) {
                if (meta.fate != Fate.RELAYED) {
                    strip.apply(hdr, meta);
                }
                if (meta.fate == Fate.TUNNEL) {
                    put_user_tunnel.apply(hdr, meta);
                } else {
                    encapsulate.apply(hdr, meta);
                }
            }
        }
    }
}

control ingress(inout headers_t hdr, inout metadata_t all, inout standard_metadata_t standard) {
    Ports() ports;
    OwnAddress() own_address;
    Answer() answer;
    FromUnderlay() from_underlay;
    Service() service;
    Locators() locators;
    ToAccess() to_access;
    ToPlain() to_plain;
    ToUnderlay() to_underlay;
    Fib() fib;
    CountEvents() count_events;
    TellScidUnknown() tell_scid_unknown;
    Leave() leave;

    apply {
        if (hdr.packet_out.isValid()) {
            if (hdr.packet_out.egress_port != 0) {
                standard.egress_spec = hdr.packet_out.egress_port;
                exit;
            }
        }
        if (all.again == Again.NO) {
            ports.apply(all.known, standard);
        } else {
            all.known.role = Role.UNASSIGNED; // until what was known is restored
        }
        if (all.known.role == Role.UNDERLAY && all.known.tunnel != 0) {
            from_underlay.apply(hdr, all.known, standard);
        } else {
            if (all.known.fate == Fate.RESOLUTION && all.known.role != Role.UNASSIGNED) {
                own_address.apply(hdr, all.known, standard);
            }
            if (all.known.role == Role.UNDERLAY) {
                all.known.event = Event.PASS;
            }
        }
        if (all.known.event == Event.RX && all.known.fate != Fate.RELAYED &&
            all.known.fate != Fate.DELIVERED) {
            service.apply(hdr, all.known, standard, all.again, all.kept);
        }
        if (all.known.event == Event.RX &&
            (all.known.fate == Fate.RELAYED || all.known.node != 0)) {
            locators.apply(all.known);
        }
        if (all.known.event == Event.RX &&
            (all.known.fate == Fate.RELAYED ||
             (all.known.fate != Fate.DELIVERED && all.known.fate != Fate.PORT &&
              all.known.fate != Fate.PEER))) {
            to_underlay.apply(hdr, all.known);
        } else if (all.known.event == Event.RX) {
            if (all.known.fate == Fate.DELIVERED) {
                to_access.apply(hdr, all.known);
            } else {
                to_plain.apply(hdr, all.known, standard);
            }
        }
        if ((all.known.event == Event.TX && all.known.fate != Fate.PEER) ||
            all.known.fate == Fate.QUESTION) {
            fib.apply(hdr, all.known, standard);
        }
        if (all.known.event != Event.TX) {
            if (all.known.fate == Fate.QUESTION) {
                answer.apply(hdr, all.known, standard);
            }
            tell_scid_unknown.apply(hdr, all.known, standard);
            leave.apply(hdr, all.known, standard);
        }
        count_events.apply(all.known, standard);
    }
}

control egress(inout headers_t hdr, inout metadata_t all, inout standard_metadata_t standard) {
    apply {
    }
}

@pkginfo(name="moorline", version="1")
V1Switch(MoorlineParser(), VerifyChecksums(), ingress(), egress(), ComputeChecksums(),
         MoorlineDeparser()) main;
