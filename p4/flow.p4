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
control Flow(inout metadata_t meta) {
    bit<64> sum;

    apply {
        meta.departure.setValid();
        if (meta.inner.ipv6) {
            sum = mixed(HASH_SEED, meta.inner.src[127:64]);
            sum = mixed(sum, meta.inner.src[63:0]);
            sum = mixed(sum, meta.inner.dst[127:64]);
            sum = mixed(sum, meta.inner.dst[63:0]);
        } else {
            sum = mixed(HASH_SEED, meta.inner.src[31:0] ++ meta.inner.dst[31:0]);
        }
        sum = mixed(sum, 24w0 ++ meta.inner.protocol ++ meta.class.src_port ++ meta.class.dst_port);
        meta.departure.flow = sum[63:32];
        meta.path = sum[46:46];
        meta.departure.traffic_class = meta.inner.traffic_class;
        meta.departure.ttl = OUTER_TTL;
    }
}

#endif
