// SPDX-License-Identifier: Apache-2.0
// TTL and hop limit of the packet that a connection carries, rules A6 and U12 of docs/wire-format.md:
// lowered by the hops of the port that it comes from or goes to. They are 0 where that is the host
// itself, since a tunnel's end lowers it only when it forwards (RFC 2003, section 3.1).
#ifndef MOORLINE_TTL_P4
#define MOORLINE_TTL_P4

#include "checksum.p4"
#include "headers.p4"
#include "metadata.p4"

// Whether the packet of a port may go on; what it may is lowered where it leaves.
control CheckTtl(in headers_t hdr, inout known_t meta) {
    apply {
        if (meta.inner.hops != 0 && ((meta.inner.ipv6 && hdr.ipv6.hop_limit <= meta.inner.hops) ||
                               (!meta.inner.ipv6 && hdr.ipv4.ttl <= meta.inner.hops))) {
            meta.event = Event.PUNT_TTL_EXPIRED;
        }
    }
}

control Ttl(inout ipv4_t ipv4, inout ipv6_t ipv6, inout known_t meta) {
    apply {
        if (meta.inner.hops != 0) {
            if (meta.inner.ipv6) {
                if (ipv6.hop_limit <= meta.inner.hops) {
                    meta.event = Event.PUNT_TTL_EXPIRED;
                } else {
                    ipv6.hop_limit = ipv6.hop_limit - meta.inner.hops;
                }
            } else if (ipv4.ttl <= meta.inner.hops) {
                meta.event = Event.PUNT_TTL_EXPIRED;
            } else {
                ipv4.checksum = checksum_replaced(ipv4.checksum, ipv4.ttl ++ 8w0,
                                                  (ipv4.ttl - meta.inner.hops) ++ 8w0);
                ipv4.ttl = ipv4.ttl - meta.inner.hops;
            }
        }
    }
}

#endif
