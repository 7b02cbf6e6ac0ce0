// SPDX-License-Identifier: Apache-2.0
// User devices that come through a tunnel of their own: whose it is. Rule S8 of docs/wire-format.md.
#ifndef MOORLINE_DEVICE_P4
#define MOORLINE_DEVICE_P4

#include "headers.p4"
#include "metadata.p4"
#include "outer.p4"
#include "sizes.p4"

control Devices(in headers_t hdr, inout known_t meta) {
    @id(0x1300000C)
    direct_counter(CounterType.packets_and_bytes) device_counter;

    @id(0x01000020)
    action stranger_device() {
        meta.event = Event.DROP_DEVICE_UNKNOWN;
    }

    // address, mask: what the sources of the device's packets begin with.
    @id(0x0100001F)
    action admit(@id(1) tenant_t tenant, @id(2) address_t address, @id(3) address_t mask) {
        meta.inner.tenant = tenant;
        meta.service.device = {address, mask};
    }

    @id(0x0200000C)
    table device {
        key = {
            meta.source     : exact @id(1) @name("source");
            meta.tunnel     : exact @id(2) @name("tunnel");
            meta.service.key : exact @id(3) @name("key"); // 0 = none
        }
        actions = {
            admit;
            @defaultonly stranger_device;
        }
        const default_action = stranger_device();
        counters = device_counter;
        size = SIZE_DEVICE;
    }

    apply {
        if (is_nobody(meta.source, hdr.ipv6.isValid())) {
            meta.event = Event.DROP_DEVICE_UNKNOWN;
        } else {
            device.apply();
        }
    }
}

#endif
