// SPDX-License-Identifier: Apache-2.0
// The underlay side of a service connection: whom a packet is for, and what it must look like. Rule
// U10 of docs/wire-format.md.
#ifndef MOORLINE_SCID_P4
#define MOORLINE_SCID_P4

#include "headers.p4"
#include "metadata.p4"
#include "sizes.p4"

control Scids(in headers_t hdr, inout known_t meta) {
    @id(0x13000003)
    direct_counter(CounterType.packets_and_bytes) scid_counter;

    @id(0x01000006)
    action unknown_scid() {
        meta.event = Event.DROP_SCID_UNKNOWN;
    }

    // port: where the packet goes. node: the other end's, 0 = any. local, peer: the connection's own
    // addresses, zeros where it has none of a family. hops: by how much the TTL is lowered; 0 where
    // the host itself is behind the port.
    @id(0x01000007)
    action deliver(@id(1) port_t port, @id(2) tenant_t tenant, @id(3) node_t node,
                   @id(4) bit<32> local4, @id(5) bit<32> peer4, @id(6) address_t local6,
                   @id(7) address_t peer6, @id(8) bit<8> hops) {
        meta.fate = Fate.DELIVERED;
        meta.scid = SOME_SCID;
        meta.port = port;
        meta.inner.tenant = tenant;
        meta.node = node;
        meta.inner.addresses = {local4, peer4, local6, peer6};
        meta.inner.hops = hops;
        if (hdr.geneve.vni != tenant) {
            meta.event = Event.DROP_TENANT;
        }
    }

    // What comes from node0 goes on to node1 as scid1, what comes from node1 to node0 as scid0.
    @id(0x0100000F)
    action relay(@id(1) tenant_t tenant, @id(2) node_t node0, @id(3) scid_t scid0,
                 @id(4) node_t node1, @id(5) scid_t scid1) {
        meta.fate = Fate.RELAYED;
        meta.relay = {node0, scid0};
        meta.node = node1;
        meta.scid = scid1;
        if (hdr.geneve.vni != tenant) {
            meta.event = Event.DROP_TENANT;
        }
    }

    @id(0x02000003)
    table scid {
        key = {
            hdr.option.scid : exact @id(1) @name("scid");
        }
        actions = {
            deliver;
            relay;
            @defaultonly unknown_scid;
        }
        const default_action = unknown_scid();
        counters = scid_counter;
        support_timeout = true;
        size = SIZE_SCID;
    }

    apply {
        scid.apply();
    }
}

#endif
