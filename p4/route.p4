// SPDX-License-Identifier: Apache-2.0
// Where a packet goes that is on no service path, or at the end of one: by its destination. Rule S11 of
// docs/wire-format.md.
#ifndef MOORLINE_ROUTE_P4
#define MOORLINE_ROUTE_P4

#include "metadata.p4"
#include "sizes.p4"

control Routes(inout known_t meta) {
    @id(0x13000011)
    direct_counter(CounterType.packets_and_bytes) route_counter;

    @id(0x01000031)
    action no_way() {
        meta.event = Event.DROP_NO_ROUTE;
    }

    // vlan: 0 = untagged.
    @id(0x0100002E)
    action route_port(@id(1) port_t port, @id(2) bit<16> vlan) {
        meta.fate = Fate.PORT;
        meta.service.way = {vlan, 0, 0, 0, 0};
        meta.port = port;
    }

    @id(0x0100002F)
    action route_node(@id(1) node_t node) {
        meta.node = node;
    }

    // port: underlay. remote: the other end of the user's tunnel.
    @id(0x01000030)
    action route_tunnel(@id(1) port_t port, @id(2) bit<8> tunnel, @id(3) address_t remote,
                        @id(4) bit<32> key) {
        meta.fate = Fate.TUNNEL;
        meta.service.way = {0, tunnel, key, 0, 0};
        meta.port = port;
        meta.next = remote;
        meta.node = 0;
    }

    @id(0x02000011)
    table route {
        key = {
            meta.inner.tenant    : exact @id(1) @name("tenant");
            meta.inner.dst : lpm @id(2) @name("destination");
        }
        actions = {
            route_port;
            route_node;
            route_tunnel;
            @defaultonly no_way;
        }
        const default_action = no_way();
        counters = route_counter;
        size = SIZE_ROUTE;
    }

    apply {
        route.apply();
    }
}

#endif
