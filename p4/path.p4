// SPDX-License-Identifier: Apache-2.0
// A place on a service path: what comes next there, and which instance of a peer takes the packet. Rule
// S5 of docs/wire-format.md.
#ifndef MOORLINE_PATH_P4
#define MOORLINE_PATH_P4

#include "flow.p4"
#include "metadata.p4"
#include "sizes.p4"

control PathHops(inout known_t meta) {
    @id(0x1300000D)
    direct_counter(CounterType.packets_and_bytes) path_hop_counter;

    @id(0x01000026)
    action unknown_path() {
        meta.event = Event.DROP_SERVICE_PATH;
    }

    // label2: the inner one of two. local, remote: ends of a GRE tunnel.
    @id(0x01000021)
    action to_peer(@id(1) port_t port, @id(2) @name("header") bit<8> kind, @id(3) bit<32> label,
                   @id(4) bit<32> label2, @id(5) bit<48> src_mac, @id(6) bit<48> dst_mac,
                   @id(7) address_t local, @id(8) address_t remote) {
        meta.service.hop.kind = Hop.PEER;
        meta.fate = Fate.PEER;
        meta.port = port;
        meta.service.peer = {kind, label, label2, src_mac, dst_mac, local, remote};
    }

    @id(0x01000022)
    action to_node(@id(1) node_t node) {
        meta.service.hop.kind = Hop.NODE;
        meta.node = node;
    }

    // One of several instances takes the packet: looked up again with it.
    @id(0x01000023)
    action to_group(@id(1) bit<16> group, @id(2) bit<1> by_destination) {
        meta.service.hop.kind = Hop.GROUP;
        meta.service.hop.group = group;
        meta.service.hop.by_destination = by_destination;
    }

    @id(0x01000024)
    action end() {
        meta.service.hop.kind = Hop.END;
    }

    @id(0x01000025)
    action closed() {
        meta.event = Event.DROP_PEER_DOWN;
    }

    @id(0x0200000D)
    table path_hop {
        key = {
            meta.inner.spi          : exact @id(1) @name("spi");
            meta.inner.si           : exact @id(2) @name("si");
            meta.service.hop.instance : exact @id(3) @name("instance"); // 0 = not chosen yet
        }
        actions = {
            to_peer;
            to_node;
            to_group;
            end;
            closed;
            @defaultonly unknown_path;
        }
        const default_action = unknown_path();
        counters = path_hop_counter;
        size = SIZE_PATH_HOP;
    }

    apply {
        path_hop.apply();
    }
}

control Members(inout known_t meta) {
    @id(0x1300000F)
    direct_counter(CounterType.packets_and_bytes) member_counter;

    @id(0x0100002A)
    action no_member() {
        meta.event = Event.DROP_PEER_DOWN;
    }

    @id(0x01000029)
    action choose(@id(1) bit<16> instance) {
        meta.service.hop.instance = instance;
    }

    // slot: the group, and one of its 256 buckets.
    @id(0x0200000F)
    table member {
        key = {
            meta.service.hop.slot : exact @id(1) @name("slot");
        }
        actions = {
            choose;
            @defaultonly no_member;
        }
        const default_action = no_member();
        counters = member_counter;
        size = SIZE_MEMBER;
    }

    apply {
        meta.service.hop.sum = mixed(mixed(HASH_SEED, meta.service.hop.customer[127:64]),
                                     meta.service.hop.customer[63:0]);
        meta.service.hop.slot = 8w0 ++ meta.service.hop.group ++ meta.service.hop.sum[39:32];
        member.apply();
    }
}

// Customers who stay with an instance, however the others are spread.
control Affinity(inout known_t meta) {
    Members() members;

    @id(0x1300000E)
    direct_counter(CounterType.packets_and_bytes) affinity_counter;

    @id(0x01000028)
    action unpinned() {
    }

    @id(0x01000027)
    action pin(@id(1) bit<16> instance) {
        meta.service.hop.instance = instance;
    }

    @id(0x0200000E)
    table affinity {
        key = {
            meta.service.hop.group    : exact @id(1) @name("group");
            meta.service.hop.customer : exact @id(2) @name("customer");
        }
        actions = {
            pin;
            @defaultonly unpinned;
        }
        const default_action = unpinned();
        counters = affinity_counter;
        support_timeout = true;
        size = SIZE_AFFINITY;
    }

    apply {
        if (!affinity.apply().hit) {
            members.apply(meta);
        }
    }
}

// Which instance of a group takes the packet. The customer's address decides, which is the source on
// forward paths and the destination on reverse ones, so that both directions take the same.
control ChooseInstance(inout known_t meta) {
    Affinity() affinity;

    apply {
        meta.service.hop.customer = meta.inner.src;
        if (meta.service.hop.by_destination == 1) {
            meta.service.hop.customer = meta.inner.dst;
        }
        affinity.apply(meta);
    }
}

#endif
