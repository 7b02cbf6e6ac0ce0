// SPDX-License-Identifier: Apache-2.0
// Explicit congestion notification over a tunnel, RFC 6040: what the outer header says of
// congestion on the way is told to the inner packet.
#ifndef MOORLINE_ECN_P4
#define MOORLINE_ECN_P4

#include "checksum.p4"
#include "headers.p4"
#include "metadata.p4"

control Ecn(inout headers_t hdr, inout metadata_t meta) {
    bit<2> outer = hdr.ipv6.traffic_class[1:0];
    bit<2> inner = meta.inner.traffic_class[1:0];
    bit<2> combined = inner; // RFC 6040, figure 4

    apply {
        if (hdr.ipv4.isValid()) {
            outer = hdr.ipv4.traffic_class[1:0];
        }
        if (outer == ECN_CE) {
            combined = ECN_CE;
            if (inner == ECN_NOT_ECT) {
                meta.event = Event.DROP_INNER_ECN;
            }
        } else if (outer == ECN_ECT1 && inner == ECN_ECT0) {
            combined = ECN_ECT1;
        }
        if (meta.inner.ipv6) {
            hdr.inner_ipv6.traffic_class[1:0] = combined;
        } else {
            hdr.inner_ipv4.checksum = checksum_replaced(
                hdr.inner_ipv4.checksum, (bit<16>)inner, (bit<16>)combined);
            hdr.inner_ipv4.traffic_class[1:0] = combined;
        }
    }
}

#endif
