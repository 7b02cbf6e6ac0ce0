// SPDX-License-Identifier: Apache-2.0
// The end of a packet's way: counted, and sent where its event says.
#ifndef MOORLINE_LEAVE_P4
#define MOORLINE_LEAVE_P4

#include "headers.p4"
#include "metadata.p4"
#include "sizes.p4"

// Each packet is counted at its port of arrival as RX and as exactly one other event.
control CountEvents(in known_t meta, in standard_metadata_t standard) {
    @id(0x12000001)
    counter(SIZE_PORT_EVENTS, CounterType.packets_and_bytes) port_events;

    apply {
        bit<32> index = (bit<32>)standard.ingress_port << 6; // RX
        port_events.count(index);
        index = index + (bit<32>)(bit<8>)meta.event;
        port_events.count(index);
    }
}

control ToController(inout headers_t hdr, in known_t meta,
                     inout standard_metadata_t standard) {
    apply {
        hdr.packet_in = {standard.ingress_port, 0, (bit<8>)meta.event, 0};
        if (meta.event == Event.PUNT_TOO_BIG) {
            hdr.packet_in.mtu = meta.departure.room;
        }
        standard.egress_spec = CPU_PORT;
    }
}

// What does not leave by a next hop.
control Leave(inout headers_t hdr, in known_t meta, inout standard_metadata_t standard) {
    ToController() to_controller;

    apply {
        if (meta.event == Event.PASS) {
            // The controller speaks for the switch's addresses at the ports that it has set.
            if (meta.fate == Fate.ANSWERED) {
                standard.egress_spec = standard.ingress_port;
            } else if (meta.fate == Fate.RESOLUTION && meta.role != Role.UNASSIGNED) {
                to_controller.apply(hdr, meta, standard);
            } else {
                standard.egress_spec = HOST_PORT;
            }
        } else if (meta.event == Event.PUNT_CONNECTION_MISS || meta.event == Event.PUNT_TOO_BIG ||
                   meta.event == Event.PUNT_TTL_EXPIRED) {
            to_controller.apply(hdr, meta, standard);
        } else {
            mark_to_drop(standard);
        }
    }
}

#endif
