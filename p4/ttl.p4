// SPDX-License-Identifier: Apache-2.0
// TTL and hop limit of a packet that enters a tunnel, rule A6 of docs/wire-format.md: lowered by
// the port's hops, 0 where it comes from the host itself, since a tunnel's end lowers it only when
// it forwards (RFC 2003, section 3.1).
#ifndef MOORLINE_TTL_P4
#define MOORLINE_TTL_P4

#include "checksum.p4"
#include "headers.p4"
#include "metadata.p4"

control Ttl(inout headers_t hdr, inout metadata_t meta) {
    bit<8> ttl = hdr.ipv4.ttl;

    apply {
        if (meta.inner.ipv6) {
            ttl = hdr.ipv6.hop_limit;
        }
        if (meta.hops != 0) {
            if (ttl <= meta.hops) {
                meta.event = Event.PUNT_TTL_EXPIRED;
            } else if (meta.inner.ipv6) {
                hdr.ipv6.hop_limit = ttl - meta.hops;
            } else {
                hdr.ipv4.checksum = checksum_replaced(hdr.ipv4.checksum, ttl ++ 8w0,
                                                      (ttl - meta.hops) ++ 8w0);
                hdr.ipv4.ttl = ttl - meta.hops;
            }
        }
    }
}

#endif
