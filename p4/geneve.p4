// SPDX-License-Identifier: Apache-2.0
// Geneve with our option: rules U8 and U9 of docs/wire-format.md. The parser found the option at
// its fixed place, or walked along whatever options there are.
#ifndef MOORLINE_GENEVE_P4
#define MOORLINE_GENEVE_P4

#include "headers.p4"
#include "metadata.p4"

control Geneve(in headers_t hdr, inout known_t meta) {
    bit<32> octets = GENEVE_OCTETS + ((bit<32>)hdr.geneve.form[13:8] << 2);

    apply {
        if (hdr.option.isValid() && (bit<32>)hdr.udp.length >= UDP_OCTETS + DATA_HEADER_OCTETS) {
            // Control messages are not forwarded.
            if (hdr.geneve.form & GENEVE_CONTROL != 0 ||
                (hdr.geneve.protocol != ETHERTYPE_IPV4 && hdr.geneve.protocol != ETHERTYPE_IPV6)) {
                meta.event = Event.DROP_GENEVE_PROTOCOL;
            } else if (hdr.option.spi != 0) {
                meta.role = Role.PATH;
                meta.scid = SOME_SCID;
                if (hdr.option.si == 0) {
                    meta.event = Event.DROP_SERVICE_INDEX;
                }
            } else if (hdr.option.scid == 0) {
                meta.event = Event.DROP_SCID_ZERO;
            }
        } else if (meta.tunnel != TUNNEL_GENEVE) {
            meta.role = Role.DEVICE;
        } else if (!hdr.geneve.isValid() || (bit<32>)hdr.udp.length < UDP_OCTETS + GENEVE_OCTETS) {
            meta.event = Event.DROP_GENEVE_TRUNCATED;
        } else if (hdr.geneve.form & GENEVE_VERSION != 0) {
            meta.event = Event.DROP_GENEVE_VERSION;
        } else if (octets > (bit<32>)hdr.udp.length - UDP_OCTETS) {
            meta.event = Event.DROP_GENEVE_TRUNCATED;
        } else if (meta.fate != Fate.OPTIONS) {
            meta.event = Event.PASS; // it has none
        } else if (meta.options.too_long) {
            meta.event = Event.DROP_GENEVE_OPTIONS;
        } else if (meta.options.unknown_critical) {
            meta.event = Event.DROP_GENEVE_UNKNOWN_CRITICAL;
        } else if (meta.options.own) {
            meta.event = Event.DROP_GENEVE_OPTIONS;
        } else {
            meta.event = Event.PASS; // somebody else's Geneve
        }
    }
}

#endif
