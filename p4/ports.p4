// SPDX-License-Identifier: Apache-2.0
// What the port is for at which a packet arrived.
#ifndef MOORLINE_PORTS_P4
#define MOORLINE_PORTS_P4

#include "metadata.p4"
#include "sizes.p4"

control Ports(inout known_t meta, in standard_metadata_t standard) {
    @id(0x13000001)
    direct_counter(CounterType.packets_and_bytes) port_role_counter;

    // The port is the kernel's.
    @id(0x01000001)
    action unassigned() {
        meta.role = Role.UNASSIGNED;
        meta.event = Event.PASS;
    }

    @id(0x01000002)
    action underlay() {
        meta.role = Role.UNDERLAY;
    }

    // hops: by how much the TTL is lowered; 0 at a host's own port.
    @id(0x01000003)
    action access(@id(1) tenant_t tenant, @id(2) bit<8> hops) {
        meta.role = Role.ACCESS;
        meta.inner.tenant = tenant;
        meta.inner.hops = hops;
    }

    // Where users and other networks are: what comes in is led by classifier and route.
    @id(0x01000017)
    action edge(@id(1) tenant_t tenant, @id(2) bit<8> hops) {
        meta.role = Role.EDGE;
        meta.inner.tenant = tenant;
        meta.inner.hops = hops;
    }

    // Where a feature peer is. header: its packets come with this kind (moorline.wire.PeerHeader).
    // by_mac: the source of a frame says which path it is on.
    @id(0x01000018)
    action peer(@id(1) tenant_t tenant, @id(2) @name("header") bit<8> kind, @id(3) bit<1> by_mac) {
        meta.role = Role.PEER;
        meta.inner.tenant = tenant;
        meta.inner.hops = 0;
        meta.service.steering = {kind, by_mac, 0, false, 0, 0};
    }

    @id(0x02000001)
    table port_role {
        key = {
            standard.ingress_port : exact @id(1) @name("ingress_port");
        }
        actions = {
            underlay;
            access;
            edge;
            peer;
            @defaultonly unassigned;
        }
        const default_action = unassigned();
        counters = port_role_counter;
        size = SIZE_PORT_ROLE;
    }

    apply {
        port_role.apply();
    }
}

#endif
