// SPDX-License-Identifier: Apache-2.0
// Headers between a node and a feature peer: rules S7 and S9 of docs/wire-format.md.
#ifndef MOORLINE_PEER_HEADER_P4
#define MOORLINE_PEER_HEADER_P4

#include "headers.p4"
#include "metadata.p4"
#include "strip.p4"
#include "user_tunnel.p4"

const bit<8> HEADER_VLAN = 1; // moorline.wire.PeerHeader
const bit<8> HEADER_QINQ = 2;
const bit<8> HEADER_MPLS = 3;
const bit<8> HEADER_GRE  = 4;
const bit<8> HEADER_PBB  = 5;

const bit<32> LABEL_OCTETS = 4;
const bit<32> PBB_OCTETS   = 18;
const bit<32> MPLS_TTL     = 64;

// What is no packet of a path at all, such as address resolution: of the kernel, whatever the header.
control PassBy(in headers_t hdr, inout known_t meta) {
    apply {
        if (hdr.ethernet.type != ETHERTYPE_IPV4 && hdr.ethernet.type != ETHERTYPE_IPV6 &&
            hdr.ethernet.type != ETHERTYPE_VLAN && hdr.ethernet.type != ETHERTYPE_QINQ &&
            hdr.ethernet.type != ETHERTYPE_MPLS && hdr.ethernet.type != ETHERTYPE_PBB) {
            meta.event = Event.PASS;
        }
    }
}

// What stands behind the port's own VLAN tags: an IP packet goes on, one tag more is wrong, all else passes.
control JudgeType(in bit<16> type, inout known_t meta) {
    apply {
        if (type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ) {
            meta.event = Event.DROP_PEER_HEADER;
        } else if (type != ETHERTYPE_IPV4 && type != ETHERTYPE_IPV6) {
            meta.event = Event.PASS;
        }
    }
}

control OpenVlan(in headers_t hdr, inout known_t meta) {
    JudgeType() judge_type;

    apply {
        if (hdr.ethernet.type != ETHERTYPE_VLAN || !hdr.vlan[0].isValid()) {
            meta.event = Event.DROP_PEER_HEADER;
        } else {
            meta.service.steering.label = (bit<32>)hdr.vlan[0].id;
            judge_type.apply(hdr.vlan[0].type, meta);
        }
    }
}

control OpenQinq(in headers_t hdr, inout known_t meta) {
    JudgeType() judge_type;

    apply {
        if (hdr.ethernet.type != ETHERTYPE_QINQ || !hdr.vlan[1].isValid() ||
            hdr.vlan[0].type != ETHERTYPE_VLAN) {
            meta.event = Event.DROP_PEER_HEADER;
        } else {
            meta.service.steering.label = (bit<32>)hdr.vlan[0].id;
            judge_type.apply(hdr.vlan[1].type, meta);
        }
    }
}

control OpenMpls(in headers_t hdr, inout known_t meta) {
    apply {
        meta.service.inside = true;
        meta.service.steering.label = hdr.shim.words >> 12;
        meta.service.available = meta.ip_octets - LABEL_OCTETS;
        if (hdr.shim2.isValid()) {
            meta.service.available = meta.ip_octets - 2 * LABEL_OCTETS;
        }
        if (hdr.ethernet.type != ETHERTYPE_MPLS || !hdr.shim.isValid() ||
            (hdr.shim.words & MPLS_BOTTOM == 0 &&
             (!hdr.shim2.isValid() || hdr.shim2.words & MPLS_BOTTOM == 0)) ||
            meta.tunnel != MPLS_IP) {
            meta.event = Event.DROP_PEER_HEADER;
        }
    }
}

control OpenGre(in headers_t hdr, inout known_t meta) {
    CheckBareOuter() check_outer;
    PassGre() pass_gre;

    apply {
        meta.service.inside = true;
        if (hdr.vlan[0].isValid() || meta.tunnel != TUNNEL_GRE) {
            meta.event = Event.DROP_PEER_HEADER;
        } else {
            check_outer.apply(hdr, meta);
            if (meta.event != Event.RX || WRONG_GRE(hdr, meta.service.available)) {
                meta.event = Event.DROP_PEER_HEADER;
            } else {
                pass_gre.apply(hdr, meta);
                meta.service.steering.label = meta.service.key;
            }
        }
    }
}

control OpenPbb(in headers_t hdr, inout known_t meta) {
    apply {
        meta.service.inside = true;
        meta.service.steering.label = hdr.shim_frame.tag & 0xFFFFFF;
        meta.service.available = meta.ip_octets - PBB_OCTETS;
        if (!hdr.shim_frame.isValid() ||
            (hdr.ethernet.type != ETHERTYPE_PBB &&
             !(hdr.ethernet.type == ETHERTYPE_QINQ && hdr.vlan[0].type == ETHERTYPE_PBB))) {
            meta.event = Event.DROP_PEER_HEADER;
        } else if (hdr.shim_frame.type != ETHERTYPE_IPV4 && hdr.shim_frame.type != ETHERTYPE_IPV6) {
            meta.event = Event.PASS;
        }
    }
}

// A frame from a feature peer, up to its packet.
control OpenPeerHeader(in headers_t hdr, inout known_t meta) {
    PassBy() pass_by;
    OpenVlan() open_vlan;
    OpenQinq() open_qinq;
    OpenMpls() open_mpls;
    OpenGre() open_gre;
    OpenPbb() open_pbb;

    apply {
        if (meta.service.steering.by_mac == 1) {
            meta.service.steering.src_mac = hdr.ethernet.src;
        }
        pass_by.apply(hdr, meta);
        if (meta.event != Event.RX) {
        } else if (meta.service.steering.kind == HEADER_VLAN) {
            open_vlan.apply(hdr, meta);
        } else if (meta.service.steering.kind == HEADER_QINQ) {
            open_qinq.apply(hdr, meta);
        } else if (meta.service.steering.kind == HEADER_MPLS) {
            open_mpls.apply(hdr, meta);
        } else if (meta.service.steering.kind == HEADER_GRE) {
            open_gre.apply(hdr, meta);
        } else if (meta.service.steering.kind == HEADER_PBB) {
            open_pbb.apply(hdr, meta);
        } else if (hdr.ethernet.type != ETHERTYPE_IPV4 && hdr.ethernet.type != ETHERTYPE_IPV6) {
            meta.event = Event.DROP_PEER_HEADER;
        }
    }
}

control PutMpls(inout headers_t hdr, in known_t meta) {
    apply {
        hdr.ethernet.type = ETHERTYPE_MPLS;
        hdr.tunnel_shim = {meta.service.peer.label << 12 | MPLS_TTL};
        if (meta.service.peer.label2 == 0) {
            hdr.tunnel_shim.words = hdr.tunnel_shim.words | MPLS_BOTTOM;
        } else {
            hdr.tunnel_shim2 = {meta.service.peer.label2 << 12 | MPLS_BOTTOM | MPLS_TTL};
        }
    }
}

control PutPbb(inout headers_t hdr, in known_t meta) {
    apply {
        hdr.tunnel_frame = {meta.service.peer.label & 0xFFFFFF, meta.service.peer.dst_mac,
                            meta.service.peer.src_mac, hdr.ethernet.type};
        hdr.ethernet.type = ETHERTYPE_PBB;
        if (meta.service.peer.label2 != 0) {
            hdr.vlan[0] = {0, 0, meta.service.peer.label2[11:0], ETHERTYPE_PBB};
            hdr.ethernet.type = ETHERTYPE_QINQ;
        }
    }
}

// The packet becomes a frame to a feature peer.
control ToPeer(inout headers_t hdr, inout known_t meta, inout standard_metadata_t standard) {
    Strip() strip;
    PutMpls() put_mpls;
    PutGre() put_gre;
    PutBareOuter() put_outer;
    PutPbb() put_pbb;

    apply {
        strip.apply(hdr, meta);
        if (meta.service.peer.kind == HEADER_VLAN) {
            hdr.vlan[0] = {0, 0, meta.service.peer.label[11:0], hdr.ethernet.type};
            hdr.ethernet.type = ETHERTYPE_VLAN;
            meta.inner.frame_octets = meta.inner.frame_octets + VLAN_OCTETS;
        } else if (meta.service.peer.kind == HEADER_QINQ) {
            hdr.vlan[1] = {0, 0, meta.service.peer.label2[11:0], hdr.ethernet.type};
            hdr.vlan[0] = {0, 0, meta.service.peer.label[11:0], ETHERTYPE_VLAN};
            hdr.ethernet.type = ETHERTYPE_QINQ;
            meta.inner.frame_octets = meta.inner.frame_octets + 2 * VLAN_OCTETS;
        } else if (meta.service.peer.kind == HEADER_MPLS) {
            put_mpls.apply(hdr, meta);
            meta.inner.frame_octets = meta.inner.frame_octets + LABEL_OCTETS;
            if (meta.service.peer.label2 != 0) {
                meta.inner.frame_octets = meta.inner.frame_octets + LABEL_OCTETS;
            }
        } else if (meta.service.peer.kind == HEADER_GRE) {
            put_gre.apply(hdr, meta, true, meta.service.peer.label);
            put_outer.apply(hdr, meta, PROTOCOL_GRE, GRE_OCTETS + WORD_OCTETS,
                            meta.service.peer.remote[127:32] != MAPPED, meta.service.peer.local,
                            meta.service.peer.remote);
            meta.inner.frame_octets = meta.inner.frame_octets + GRE_OCTETS + WORD_OCTETS;
            if (meta.service.peer.remote[127:32] == MAPPED) {
                meta.inner.frame_octets = meta.inner.frame_octets + IPV4_OCTETS;
            } else {
                meta.inner.frame_octets = meta.inner.frame_octets + IPV6_OCTETS;
            }
        } else if (meta.service.peer.kind == HEADER_PBB) {
            put_pbb.apply(hdr, meta);
            meta.inner.frame_octets = meta.inner.frame_octets + PBB_OCTETS;
            if (meta.service.peer.label2 != 0) {
                meta.inner.frame_octets = meta.inner.frame_octets + VLAN_OCTETS;
            }
        }
        hdr.ethernet.src = meta.service.peer.src_mac;
        hdr.ethernet.dst = meta.service.peer.dst_mac;
        truncate(meta.inner.frame_octets);
        standard.egress_spec = meta.port;
        meta.event = Event.TX;
    }
}

#endif
