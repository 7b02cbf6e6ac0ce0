// SPDX-License-Identifier: Apache-2.0
// A learning Ethernet switch and nothing else: what a benchmark compares Moorline's relay with. Its
// tables are those of BMv2's own example of such a switch.
#include <core.p4>
#include <v1model.p4>

header ethernet_t {
    bit<48> dst;
    bit<48> src;
    bit<16> type;
}

struct headers_t {
    ethernet_t ethernet;
}

struct metadata_t {
}

struct learn_t {
    bit<48> src;
    bit<9>  port;
}

parser EthernetParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
                      inout standard_metadata_t standard) {
    state start {
        packet.extract(hdr.ethernet);
        transition accept;
    }
}

control NoChecksum(inout headers_t hdr, inout metadata_t meta) {
    apply {
    }
}

control ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    action known() {
    }

    action learn() {
        digest<learn_t>(1, {hdr.ethernet.src, standard.ingress_port});
    }

    action unknown() {
        mark_to_drop(standard);
    }

    action forward(bit<9> port) {
        standard.egress_spec = port;
    }

    table source {
        key = {
            hdr.ethernet.src : exact @name("address");
        }
        actions = {
            known;
            @defaultonly learn;
        }
        const default_action = learn();
        support_timeout = true;
        size = 4096;
    }

    table destination {
        key = {
            hdr.ethernet.dst : exact @name("address");
        }
        actions = {
            forward;
            @defaultonly unknown;
        }
        const default_action = unknown();
        size = 4096;
    }

    apply {
        source.apply();
        destination.apply();
    }
}

control egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    apply {
    }
}

control EthernetDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.ethernet);
    }
}

V1Switch(EthernetParser(), NoChecksum(), ingress(), egress(), NoChecksum(), EthernetDeparser()) main;
