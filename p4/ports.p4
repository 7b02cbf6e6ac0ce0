// SPDX-License-Identifier: Apache-2.0
// Where a packet arrived, how long it is, and what its port is for.
#ifndef MOORLINE_PORTS_P4
#define MOORLINE_PORTS_P4

#include "headers.p4"
#include "metadata.p4"
#include "sizes.p4"

control Ports(in headers_t hdr, inout metadata_t meta, in standard_metadata_t standard) {
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
        meta.ingress_port = standard.ingress_port;
        meta.ip_octets = standard.packet_length - ETHERNET_OCTETS;
        if (hdr.packet_out.isValid()) {
            meta.ingress_port = hdr.packet_out.ingress_port;
            meta.ip_octets = meta.ip_octets - PACKET_OUT_OCTETS;
        }
        if (hdr.vlan[0].isValid()) {
            meta.ip_octets = meta.ip_octets - VLAN_OCTETS;
        }
        if (hdr.vlan[1].isValid()) {
            meta.ip_octets = meta.ip_octets - VLAN_OCTETS;
        }
        port_role.apply();
    }
}

#endif
