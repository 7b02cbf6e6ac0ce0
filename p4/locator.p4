// SPDX-License-Identifier: Apache-2.0
// The paths to a node. An address change is one entry here, however many connections there are.
#ifndef MOORLINE_LOCATOR_P4
#define MOORLINE_LOCATOR_P4

#include "headers.p4"
#include "metadata.p4"
#include "sizes.p4"

control Locators(inout known_t meta) {
    @id(0x13000005)
    direct_counter(CounterType.packets_and_bytes) locator_counter;

    @id(0x0100000B)
    action unknown_node() {
        meta.event = Event.DROP_NODE_UNKNOWN;
    }

    // A node with one path has it in both places. previous: from where packets are still accepted
    // for a while after a change.
    @id(0x0100000C)
    action set_paths(@id(1) port_t port0, @id(2) address_t dst0, @id(3) port_t port1,
                     @id(4) address_t dst1, @id(5) address_t previous0,
                     @id(6) address_t previous1) {
        if (meta.fate == Fate.DELIVERED) {
            if (meta.source != dst0 && meta.source != dst1 && meta.source != previous0 &&
                meta.source != previous1) {
                meta.event = Event.DROP_SOURCE;
            }
        } else if (meta.path == 1) {
            meta.port = port1;
            meta.next = dst1;
        } else {
            meta.port = port0;
            meta.next = dst0;
        }
    }

    @id(0x02000005)
    table locator {
        key = {
            meta.node : exact @id(1) @name("node");
        }
        actions = {
            set_paths;
            @defaultonly unknown_node;
        }
        const default_action = unknown_node();
        counters = locator_counter;
        size = SIZE_LOCATOR;
    }

    apply {
        locator.apply();
    }
}

#endif
