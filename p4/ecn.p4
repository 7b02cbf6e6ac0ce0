// SPDX-License-Identifier: Apache-2.0
// Explicit congestion notification over a tunnel, RFC 6040: what the outer header says of
// congestion on the way is told to the inner packet.
#ifndef MOORLINE_ECN_P4
#define MOORLINE_ECN_P4

#include "checksum.p4"
#include "headers.p4"
#include "metadata.p4"

control Ecn(inout headers_t hdr, inout known_t meta) {
    apply {
        meta.inner.ecn = meta.inner.traffic_class[1:0];
        if (hdr.ipv4.isValid()) {
            meta.inner.outer_ecn = hdr.ipv4.traffic_class[1:0];
        } else {
            meta.inner.outer_ecn = hdr.ipv6.traffic_class[1:0];
        }
        if (meta.inner.outer_ecn == ECN_CE) { // RFC 6040, figure 4
            if (meta.inner.ecn == ECN_NOT_ECT) {
                meta.event = Event.DROP_INNER_ECN;
            }
            meta.inner.ecn = ECN_CE;
        } else if (meta.inner.outer_ecn == ECN_ECT1 && meta.inner.ecn == ECN_ECT0) {
            meta.inner.ecn = ECN_ECT1;
        }
        if (meta.inner.ipv6) {
            hdr.inner_ipv6.traffic_class[1:0] = meta.inner.ecn;
        } else {
            hdr.inner_ipv4.checksum = checksum_replaced(
                hdr.inner_ipv4.checksum, (bit<16>)meta.inner.traffic_class[1:0],
                (bit<16>)meta.inner.ecn);
            hdr.inner_ipv4.traffic_class[1:0] = meta.inner.ecn;
        }
    }
}

#endif
