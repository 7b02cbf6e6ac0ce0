// SPDX-License-Identifier: Apache-2.0
// A packet back from a feature peer: which path it is on, and where. Rule S9 of docs/wire-format.md.
#ifndef MOORLINE_RESUME_P4
#define MOORLINE_RESUME_P4

#include "metadata.p4"
#include "sizes.p4"

control Resume(inout known_t meta, in standard_metadata_t standard) {
    @id(0x13000010)
    direct_counter(CounterType.packets_and_bytes) resume_counter;

    @id(0x0100002D)
    action unknown_peer() {
        meta.event = Event.DROP_PEER_UNKNOWN;
    }

    // si: already without the peer. check: what has to agree (moorline.wire.PeerCheck).
    @id(0x0100002B)
    action resume_path(@id(1) bit<24> spi, @id(2) bit<8> si, @id(3) bit<2> check) {
        meta.inner.spi = spi;
        meta.inner.si = si;
        meta.service.steering.check = check;
    }

    // The path is that of the packet's class. si: as above, and the same on any path.
    @id(0x0100002C)
    action resume_class(@id(1) bit<8> si, @id(2) bit<16> mtu) {
        meta.service.steering.by_class = true;
        meta.inner.si = si;
        meta.inner.path_mtu = mtu;
    }

    @id(0x02000010)
    table resume {
        key = {
            standard.ingress_port         : exact @id(1) @name("ingress_port");
            meta.service.steering.kind    : exact @id(2) @name("header");
            meta.service.steering.label   : exact @id(3) @name("label");
            meta.service.steering.src_mac : exact @id(4) @name("src_mac"); // 0 = no matter at this port
        }
        actions = {
            resume_path;
            resume_class;
            @defaultonly unknown_peer;
        }
        const default_action = unknown_peer();
        counters = resume_counter;
        size = SIZE_RESUME;
    }

    apply {
        resume.apply();
    }
}

#endif
