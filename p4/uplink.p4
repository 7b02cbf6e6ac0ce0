// SPDX-License-Identifier: Apache-2.0
// The way out to the underlay: the port's own addresses, and what fits. Rules A4
// and A5 of docs/wire-format.md.
#ifndef MOORLINE_UPLINK_P4
#define MOORLINE_UPLINK_P4

#include "metadata.p4"
#include "sizes.p4"
#include "user_tunnel.p4"

// Whether the packet will still fit the path, and a length field, with new outer headers on.
control CheckSize(inout known_t meta) {
    TunnelSize() tunnel_size;

    apply {
        meta.departure.ipv6 = meta.next[127:32] != MAPPED;
        meta.departure.overhead = OVERHEAD_IPV4;
        if (meta.departure.ipv6) {
            meta.departure.overhead = OVERHEAD_IPV6;
        }
        // The uplink's MTU is no more than a length field holds.
        if (meta.fate == Fate.RELAYED) {
            if (meta.inner.length + meta.departure.overhead > (bit<32>)meta.uplink.mtu) {
                meta.event = Event.DROP_OUTER_TOO_BIG;
            }
        } else {
            if (meta.fate == Fate.TUNNEL) {
                tunnel_size.apply(meta);
            }
            meta.departure.room = meta.uplink.mtu |-| (bit<16>)meta.departure.overhead;
            if (meta.inner.path_mtu < meta.departure.room) {
                meta.departure.room = meta.inner.path_mtu;
            }
            if (meta.inner.length > (bit<32>)meta.departure.room) {
                meta.event = Event.DROP_OUTER_TOO_BIG;
                if (meta.role == Role.ACCESS || meta.role == Role.EDGE) {
                    meta.event = Event.PUNT_TOO_BIG;
                }
            }
        }
    }
}

control Uplinks(inout known_t meta) {
    @id(0x13000006)
    direct_counter(CounterType.packets_and_bytes) uplink_counter;

    @id(0x0100000D)
    action no_uplink() {
        meta.event = Event.DROP_UPLINK_UNKNOWN;
    }

    // vlan: 0 = untagged. mtu: of the outer packet.
    @id(0x0100000E)
    action set_source(@id(1) bit<32> src4, @id(2) address_t src6, @id(3) bit<16> vlan,
                      @id(4) bit<16> mtu) {
        meta.uplink.src4 = src4;
        meta.uplink.src6 = src6;
        meta.uplink.vlan = vlan;
        meta.uplink.mtu = mtu;
    }

    @id(0x02000006)
    table uplink {
        key = {
            meta.port : exact @id(1) @name("port");
        }
        actions = {
            set_source;
            @defaultonly no_uplink;
        }
        const default_action = no_uplink();
        counters = uplink_counter;
        size = SIZE_UPLINK;
    }

    apply {
        uplink.apply();
    }
}

#endif
