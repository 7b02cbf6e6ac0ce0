// SPDX-License-Identifier: Apache-2.0
// The way of a packet that is not simply delivered or relayed: its connection, its class, its place on a
// service path, its route. Rules A3 and S1 to S11 of docs/wire-format.md.
//
// A table can be asked only once on a way through a switch. What has to be asked again, with what the first
// answer led to (path_hop with the instance of a group, connection at the end of a path), sends the packet
// through the pipeline again, with all that is known by then.
#ifndef MOORLINE_SERVICE_P4
#define MOORLINE_SERVICE_P4

#include "classify.p4"
#include "connection.p4"
#include "digest.p4"
#include "entry.p4"
#include "flow.p4"
#include "headers.p4"
#include "metadata.p4"
#include "path.p4"
#include "resume.p4"
#include "route.p4"
#include "ttl.p4"

const bit<2> CHECK_CONNECTION = 1; // moorline.wire.PeerCheck
const bit<2> CHECK_CLASS      = 2;

#define IS_PROBE(meta) (meta.inner.protocol == PROTOCOL_UDP && meta.service.class.dst_port == OAM_PORT)

// Through the pipeline again.
control LookAgain(in headers_t hdr, in known_t meta, in standard_metadata_t standard,
                  inout Again again, inout kept_t kept) {
    apply {
        kept = (bit<3>)meta.service.next ++ (bit<3>)meta.role ++ (bit<1>)meta.service.inside ++
               (bit<1>)meta.service.asked ++ meta.service.available ++ meta.inner.tenant ++
               meta.inner.hops ++ meta.scid ++ meta.node ++ meta.inner.spi ++ meta.inner.si ++
               meta.inner.path_mtu ++ meta.service.hop.instance ++ 7w0 ++ standard.ingress_port;
        again = Again.PACKET;
        if (hdr.packet_out.isValid()) {
            again = Again.PACKET_OUT;
        }
        resubmit_preserving_field_list(FIELDS_KEPT);
        exit;
    }
}

// What was known when the packet was sent through again.
control Restore(in kept_t kept, inout known_t meta, inout standard_metadata_t standard) {
    apply {
        standard.ingress_port = kept[8:0];
        meta.role = (Role)kept[228:226];
        meta.scid = kept[159:96];
        meta.node = kept[95:80];
        meta.inner.tenant = kept[191:168];
        meta.inner.hops = kept[167:160];
        meta.inner.spi = kept[79:56];
        meta.inner.si = kept[55:48];
        meta.inner.path_mtu = kept[47:32];
        meta.service.look = (Look)kept[231:229];
        meta.service.inside = kept[225:225] == 1;
        meta.service.asked = kept[224:224] == 1;
        meta.service.available = kept[223:192];
        meta.service.class = {0, 0, 0, 0, 0};
        meta.service.hop.instance = kept[31:16];
    }
}

// Of a sound packet, by where it came from; on its first way only.
control Admit(in headers_t hdr, inout known_t meta) {
    LinkLocal() link_local;
    CheckTtl() check_ttl;

    apply {
        if (meta.role == Role.DEVICE &&
            meta.inner.src & meta.service.device.mask != meta.service.device.address) {
            meta.event = Event.DROP_DEVICE_ADDRESS;
        } else if (meta.role != Role.PATH) {
            link_local.apply(meta);
        }
        if (meta.role == Role.DEVICE && meta.event == Event.PASS) {
            meta.event = Event.DROP_NO_ROUTE;
        }
        if (meta.event == Event.RX && (meta.role == Role.DEVICE || meta.role == Role.EDGE) &&
            IS_PROBE(meta)) {
            meta.event = Event.DROP_PROBE_END;
        }
        if (meta.event == Event.RX && meta.role == Role.EDGE) {
            check_ttl.apply(hdr, meta);
        }
    }
}

// What connection says of a packet at the end of its path.
control AtEnd(inout known_t meta) {
    apply {
        if (meta.event != Event.RX || (meta.inner.local && meta.port == 0)) {
            meta.event = Event.DROP_PEER_UNEXPECTED;
        } else {
            meta.inner.spi = 0;
            meta.inner.si = 0;
        }
    }
}

// What connection says of a packet back from a feature peer: the path is not its.
control BackOfConnection(inout known_t meta) {
    apply {
        if (meta.event == Event.RX && meta.inner.local) {
            meta.inner.local = false;
            meta.scid = 0;
        } else if (meta.event != Event.RX || meta.inner.spi[23:8] != meta.service.spi[23:8]) {
            meta.event = Event.DROP_PEER_UNEXPECTED;
        } else {
            meta.service.asked = true;
        }
        meta.inner.spi = meta.service.spi;
        meta.inner.si = meta.service.si;
    }
}

// What its class says of a packet back from a feature peer.
control BackOfClass(inout known_t meta) {
    apply {
        if (!meta.service.steering.by_class) {
            if (meta.inner.spi[23:8] != meta.service.spi[23:8]) {
                meta.event = Event.DROP_PEER_UNEXPECTED;
            }
            meta.inner.spi = meta.service.spi;
        } else if (meta.inner.spi == 0) {
            meta.event = Event.DROP_PEER_UNEXPECTED;
        }
        meta.inner.si = meta.service.si;
    }
}

// A packet comes onto a path: rule S4.
control EnterPath(inout known_t meta) {
    apply {
        if (meta.role == Role.ACCESS && IS_PROBE(meta)) {
            meta.event = Event.DROP_PROBE_END;
        } else if (meta.inner.length > (bit<32>)meta.inner.path_mtu) {
            meta.departure.room = meta.inner.path_mtu;
            meta.event = Event.PUNT_TOO_BIG;
            if (meta.role == Role.DEVICE) {
                meta.event = Event.DROP_OUTER_TOO_BIG;
            }
        }
    }
}

// Connection and class, as far as the packet needs them: rules A3, S6, and the checks of S9.
control Know(inout known_t meta) {
    Connections() connections;
    BackOfConnection() back_of_connection;
    AtEnd() at_end;
    Classify() classify;
    BackOfClass() back_of_class;

    apply {
        meta.service.spi = meta.inner.spi;
        meta.service.si = meta.inner.si;
        meta.service.mtu = meta.inner.path_mtu;
        if (meta.role == Role.ACCESS || meta.service.look == Look.END ||
            (meta.role == Role.PEER && meta.service.steering.check == CHECK_CONNECTION)) {
            connections.apply(meta);
            if (meta.role == Role.ACCESS) {
                if (meta.event == Event.RX && meta.inner.local && meta.port == 0) {
                    meta.event = Event.PASS;
                }
            } else if (meta.service.look == Look.END) {
                at_end.apply(meta);
            } else if (meta.role == Role.PEER) {
                back_of_connection.apply(meta);
            }
        } else if (meta.role != Role.PATH &&
                   (meta.role != Role.PEER || meta.service.steering.by_class ||
                    meta.service.steering.check == CHECK_CLASS)) {
            classify.apply(meta);
            if (meta.event == Event.RX && meta.role == Role.PEER) {
                back_of_class.apply(meta);
            }
        }
        if (meta.service.mtu < meta.inner.path_mtu) {
            meta.inner.path_mtu = meta.service.mtu;
        }
    }
}

// What comes next on the path: rule S5.
control NextHop(inout known_t meta, in standard_metadata_t standard) {
    PathHops() path_hops;
    ChooseInstance() choose_instance;
    TellPathTrace() tell_path_trace;

    apply {
        path_hops.apply(meta);
        if (meta.event == Event.RX && meta.service.hop.kind == Hop.GROUP) {
            if (meta.service.look == Look.HOP) {
                meta.event = Event.DROP_SERVICE_PATH;
            } else {
                choose_instance.apply(meta);
            }
            if (meta.event == Event.RX) {
                meta.service.next = Look.HOP;
            }
        }
        if (meta.event == Event.RX && meta.service.next == Look.FIRST && IS_PROBE(meta)) {
            tell_path_trace.apply(meta, standard);
            if (meta.service.hop.kind == Hop.END) {
                meta.event = Event.DROP_PROBE_END;
            }
        }
    }
}

// Where a packet leaves that is on no path, or at the end of one: rule S11.
control Lead(in headers_t hdr, inout known_t meta) {
    Routes() routes;
    CheckTtl() check_ttl;

    apply {
        routes.apply(meta);
        if (meta.event == Event.RX && meta.fate != Fate.TUNNEL) {
            check_ttl.apply(hdr, meta);
            if (meta.event == Event.RX && meta.fate != Fate.PORT && meta.inner.spi == 0) { // to a node
                meta.event = Event.DROP_NO_ROUTE;
            }
        }
    }
}

// The outer TTL of a packet that goes on to another node.
control PathTtl(in headers_t hdr, inout known_t meta) {
    apply {
        if (hdr.ipv4.isValid()) {
            meta.departure.ttl = hdr.ipv4.ttl - 1;
        } else {
            meta.departure.ttl = hdr.ipv6.hop_limit - 1;
        }
    }
}

// To an access or edge port.
control ToPort(inout headers_t hdr, inout known_t meta) {
    Strip() strip;

    apply {
        strip.apply(hdr, meta);
        if (meta.service.way.vlan != 0) {
            hdr.vlan[0] = {meta.service.way.vlan[15:13], meta.service.way.vlan[12:12],
                           meta.service.way.vlan[11:0], hdr.ethernet.type};
            hdr.ethernet.type = ETHERTYPE_VLAN;
            meta.inner.frame_octets = meta.inner.frame_octets + VLAN_OCTETS;
        }
        truncate(meta.inner.frame_octets);
        meta.next = meta.inner.dst;
        meta.event = Event.TX;
    }
}

// To a port here, without a tunnel: rules A8, S7 and S11.
control ToPlain(inout headers_t hdr, inout known_t meta, inout standard_metadata_t standard) {
    Ttl() ttl;
    ToPort() to_port;
    ToPeer() to_peer;

    apply {
        ttl.apply(hdr.ipv4, hdr.ipv6, meta);
        if (meta.event == Event.RX) {
            if (meta.fate == Fate.PEER) {
                to_peer.apply(hdr, meta, standard);
            } else {
                to_port.apply(hdr, meta);
            }
        }
    }
}

// From the frame to where the packet goes next. The event stays RX while that is a node, or a tunnel.
control Service(inout headers_t hdr, inout known_t meta, inout standard_metadata_t standard,
                inout Again again, inout kept_t kept) {
    OpenFrame() open_frame;
    Restore() restore;
    JudgePacket() judge_packet;
    Admit() admit;
    Ecn() ecn;
    Resume() resume;
    Know() know;
    EnterPath() enter_path;
    NextHop() next_hop;
    LookAgain() look_again;
    Lead() lead;
    Flow() flow;
    PathTtl() path_ttl;

    apply {
        if (again == Again.NO) {
            open_frame.apply(hdr, meta, standard);
        } else {
            restore.apply(kept, meta, standard);
        }
        meta.inner.local = false;
        meta.service.next = Look.FIRST;
        meta.service.hop.kind = Hop.NONE;
        meta.service.way = {0, 0, 0, 0, 0};
        if (meta.event == Event.RX) {
            judge_packet.apply(hdr, meta);
        }
        if (meta.event == Event.RX && meta.service.look == Look.FIRST) {
            admit.apply(hdr, meta);
        }
        if (meta.event == Event.RX &&
            (meta.role == Role.PATH || meta.role == Role.DEVICE)) {
            ecn.apply(hdr, meta);
            meta.inner.traffic_class[1:0] = meta.inner.ecn;
        }
        if (meta.event == Event.RX && meta.service.look == Look.FIRST &&
            meta.role == Role.PEER) {
            resume.apply(meta, standard);
        }
        if (meta.event == Event.RX && meta.service.look != Look.HOP) {
            know.apply(meta);
        }
        if (meta.event == Event.RX && meta.inner.spi != 0 &&
            meta.service.look == Look.FIRST && meta.role != Role.PATH &&
            meta.role != Role.PEER) {
            enter_path.apply(meta);
        }
        if (meta.event == Event.RX &&
            (meta.inner.spi != 0 ||
             (meta.role == Role.PEER && meta.service.look != Look.END))) { // whatever its entry says
            if (meta.role == Role.ACCESS) {
                meta.service.asked = true;
            }
            next_hop.apply(meta, standard);
        }
        if (meta.event == Event.RX && meta.service.hop.kind == Hop.END && meta.scid != 0) {
            if (!meta.service.asked) {
                meta.service.next = Look.END;
            } else {
                meta.inner.spi = 0;
                meta.inner.si = 0;
            }
        } else if (meta.event == Event.RX &&
                   (meta.service.hop.kind == Hop.END ||
                    (meta.inner.spi == 0 &&
                     (meta.role == Role.EDGE || meta.role == Role.DEVICE)))) {
            lead.apply(hdr, meta);
        }
        if (meta.service.next != Look.FIRST) {
            look_again.apply(hdr, meta, standard, again, kept);
        }
        if (meta.event == Event.RX) {
            flow.apply(meta);
            if (meta.role == Role.PATH) {
                path_ttl.apply(hdr, meta);
            }
            if (meta.inner.local) {
                meta.fate = Fate.PORT;
            }
            if (meta.fate == Fate.PORT || meta.fate == Fate.PEER) {
                meta.node = 0;
            } else if (meta.node == 0 && meta.fate != Fate.TUNNEL) {
                meta.event = Event.DROP_NODE_UNKNOWN;
            }
        }
    }
}

#endif
