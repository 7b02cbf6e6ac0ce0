// SPDX-License-Identifier: Apache-2.0
// What an outer header shows of the inner flow: its traffic class, and by its hash which path it
// takes and the entropy.
#ifndef MOORLINE_FLOW_P4
#define MOORLINE_FLOW_P4

#include "headers.p4"
#include "metadata.p4"

bit<64> mixed(in bit<64> sum, in bit<64> word) {
    return (sum ^ word) * HASH_FACTOR;
}

// Addresses, protocol and, if they can be relied on, ports.
control Flow(inout known_t meta) {
    apply {
        if (meta.inner.ipv6) {
            meta.departure.sum = mixed(HASH_SEED, meta.inner.src[127:64]);
            meta.departure.sum = mixed(meta.departure.sum, meta.inner.src[63:0]);
            meta.departure.sum = mixed(meta.departure.sum, meta.inner.dst[127:64]);
            meta.departure.sum = mixed(meta.departure.sum, meta.inner.dst[63:0]);
        } else {
            meta.departure.sum = mixed(HASH_SEED, meta.inner.src[31:0] ++ meta.inner.dst[31:0]);
        }
        meta.departure.sum =
            mixed(meta.departure.sum, 24w0 ++ meta.inner.protocol ++ meta.service.class.src_port ++
                                          meta.service.class.dst_port);
        meta.departure.flow = meta.departure.sum[63:32];
        meta.path = meta.departure.sum[46:46];
        meta.departure.traffic_class = meta.inner.traffic_class;
        meta.departure.ttl = OUTER_TTL;
    }
}

#endif
