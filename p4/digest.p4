// SPDX-License-Identifier: Apache-2.0
// What the controller is told of packets that it does not get to see.
#ifndef MOORLINE_DIGEST_P4
#define MOORLINE_DIGEST_P4

#include "headers.p4"
#include "metadata.p4"

// A packet with an SCID that is not in the table: of a connection that should be here, or a guess.
// The compiler takes its number from its name.
struct scid_unknown {
    port_t    ingress_port;
    scid_t    scid;
    address_t source; // outer
}

// A probe at a place of a service path where it was decided what comes next.
struct path_trace {
    port_t  ingress_port;
    bit<24> spi;
    bit<8>  si;
    bit<16> instance; // of the peer that it goes to
    bit<16> probe;    // its UDP source port
}

const bit<32> DIGEST_RECEIVER = 1; // v1model has it, and gives it no meaning

control TellScidUnknown(in headers_t hdr, in known_t meta, in standard_metadata_t standard) {
    apply {
        if (meta.event == Event.DROP_SCID_UNKNOWN && hdr.option.isValid()) {
            digest<scid_unknown>(DIGEST_RECEIVER, {standard.ingress_port, hdr.option.scid,
                                          meta.source});
        }
    }
}

control TellPathTrace(in known_t meta, in standard_metadata_t standard) {
    apply {
        digest<path_trace>(DIGEST_RECEIVER, {standard.ingress_port, meta.inner.spi, meta.inner.si,
                                             meta.service.hop.instance, meta.service.class.src_port});
    }
}

#endif
