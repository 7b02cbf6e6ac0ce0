// SPDX-License-Identifier: Apache-2.0
// The access side of a service connection: which one joins two virtual addresses. Rule A3 of
// docs/wire-format.md.
#ifndef MOORLINE_CONNECTION_P4
#define MOORLINE_CONNECTION_P4

#include "metadata.p4"
#include "sizes.p4"

// Destinations that stay on the link are the kernel's.
control LinkLocal(inout known_t meta) {
    apply {
        if (meta.inner.ipv6) {
            if (meta.inner.dst[127:120] == 0xFF || meta.inner.dst[127:118] == 0x3FA) { // fe80::/10
                meta.event = Event.PASS;
            }
        } else if (meta.inner.dst[31:28] == 0xE || meta.inner.dst[31:0] == 0xFFFFFFFF ||
                   meta.inner.dst[31:16] == 0xA9FE) {
            meta.event = Event.PASS;
        }
    }
}

control Connections(inout known_t meta) {
    @id(0x13000004)
    direct_counter(CounterType.packets_and_bytes) connection_counter;

    @id(0x01000008)
    action miss() {
        meta.event = Event.PUNT_CONNECTION_MISS;
    }

    // mtu: octets of the longest inner packet that all nodes of the path let through.
    @id(0x01000009)
    action encapsulate(@id(1) scid_t scid, @id(2) node_t node, @id(3) bit<24> spi,
                       @id(4) bit<8> si, @id(5) bit<16> mtu) {
        meta.scid = scid;
        meta.node = node;
        meta.inner.spi = spi;
        meta.inner.si = si;
        meta.inner.path_mtu = mtu;
    }

    @id(0x0100000A)
    action reject() {
        meta.event = Event.DROP_CONNECTION_DENIED;
    }

    // Both ends are at this node. port: the other one's access port; 0 = the packet is the kernel's.
    @id(0x01000014)
    action local(@id(1) port_t port) {
        meta.inner.local = true;
        meta.port = port;
    }

    @id(0x02000004)
    table connection {
        key = {
            meta.inner.tenant    : exact @id(1) @name("tenant");
            meta.inner.src : exact @id(2) @name("src");
            meta.inner.dst : exact @id(3) @name("dst");
        }
        actions = {
            encapsulate;
            reject;
            local;
            @defaultonly miss;
        }
        const default_action = miss();
        counters = connection_counter;
        support_timeout = true;
        size = SIZE_CONNECTION;
    }

    apply {
        connection.apply();
    }
}

#endif
