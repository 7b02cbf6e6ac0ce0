// SPDX-License-Identifier: Apache-2.0
// A packet out of all that it came in, and the frames that it leaves in without a tunnel between nodes.
#ifndef MOORLINE_STRIP_P4
#define MOORLINE_STRIP_P4

#include "headers.p4"
#include "metadata.p4"
#include "tunnel.p4"

control Strip(inout headers_t hdr, inout known_t meta) {
    TakeOff() take_off;

    apply {
        if (meta.service.inside) {
            take_off.apply(hdr);
            hdr.shim.setInvalid();
            hdr.shim2.setInvalid();
            hdr.shim_frame.setInvalid();
        }
        hdr.vlan[0].setInvalid();
        hdr.vlan[1].setInvalid();
        hdr.ethernet.type = ETHERTYPE_IPV4;
        if (meta.inner.ipv6) {
            hdr.ethernet.type = ETHERTYPE_IPV6;
        }
    }
}

#endif
