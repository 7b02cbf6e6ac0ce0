// SPDX-License-Identifier: Apache-2.0
// The neighbours of a switch: the link-layer addresses with which a packet leaves, by its port and
// by whom it is to reach there. A host asks its kernel.
#ifndef MOORLINE_FIB_P4
#define MOORLINE_FIB_P4

#include "headers.p4"
#include "metadata.p4"
#include "sizes.p4"

control Fib(inout headers_t hdr, inout known_t meta, inout standard_metadata_t standard) {
    @id(0x13000008)
    direct_counter(CounterType.packets_and_bytes) fib_counter;

    @id(0x01000012)
    action no_neighbour() {
        meta.event = Event.DROP_NO_NEIGHBOUR;
    }

    @id(0x01000013)
    action next_hop(@id(1) bit<48> src_mac, @id(2) bit<48> dst_mac) {
        hdr.ethernet.src = src_mac;
        hdr.ethernet.dst = dst_mac;
        standard.egress_spec = meta.port;
    }

    @switch_only
    @id(0x02000008)
    table fib {
        key = {
            meta.port : exact @id(1) @name("port");
            meta.next : lpm @id(2) @name("destination");
        }
        actions = {
            next_hop;
            @defaultonly no_neighbour;
        }
        const default_action = no_neighbour();
        counters = fib_counter;
        size = SIZE_FIB;
    }

    apply {
        fib.apply();
    }
}

#endif
