// SPDX-License-Identifier: Apache-2.0
// Which node an underlay address belongs to: by that a relay knows which way a packet goes. Rule U13
// of docs/wire-format.md. A way that there is not has the SCID 0.
#ifndef MOORLINE_ORIGIN_P4
#define MOORLINE_ORIGIN_P4

#include "headers.p4"
#include "metadata.p4"
#include "sizes.p4"

control Origins(in headers_t hdr, inout known_t meta) {
    @id(0x13000007)
    direct_counter(CounterType.packets_and_bytes) origin_counter;

    @id(0x01000010)
    action stranger() {
        meta.scid = 0;
    }

    // The path follows from the source port as docs/wire-format.md has it, rule U15.

    // Of a packet that is not relayed no more is asked than whether its source is a node's.
    @id(0x01000011)
    action from_node(@id(1) node_t node) {
        if (meta.fate == Fate.RELAYED && node != meta.relay.node0) {
            if (node == meta.node) {
                meta.node = meta.relay.node0;
                meta.scid = meta.relay.scid0;
            } else {
                meta.scid = 0;
            }
        }
        meta.path = hdr.ports.src[0:0];
    }

    @id(0x02000007)
    table origin {
        key = {
            meta.source : exact @id(1) @name("source");
        }
        actions = {
            from_node;
            @defaultonly stranger;
        }
        const default_action = stranger();
        counters = origin_counter;
        size = SIZE_ORIGIN;
    }

    apply {
        origin.apply();
    }
}

#endif
