// SPDX-License-Identifier: Apache-2.0
// What the port is for at which a packet arrived.
#ifndef MOORLINE_PORTS_P4
#define MOORLINE_PORTS_P4

#include "metadata.p4"
#include "sizes.p4"

control Ports(inout metadata_t meta) {
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
        meta.tenant = tenant;
        meta.hops = hops;
    }

    @id(0x02000001)
    table port_role {
        key = {
            meta.ingress_port : exact @id(1) @name("ingress_port");
        }
        actions = {
            underlay;
            access;
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
