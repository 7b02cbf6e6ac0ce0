// SPDX-License-Identifier: Apache-2.0
// Which service path a packet takes that enters the network: the class of its flow, found once.
#ifndef MOORLINE_CLASSIFY_P4
#define MOORLINE_CLASSIFY_P4

#include "metadata.p4"
#include "sizes.p4"

control Classifier(inout known_t meta) {
    @id(0x1300000B)
    direct_counter(CounterType.packets_and_bytes) classifier_counter;

    @id(0x0100001B)
    action set_path(@id(1) bit<24> spi, @id(2) bit<8> si, @id(3) bit<16> mtu) {
        meta.inner.spi = spi;
        meta.inner.si = si;
        meta.inner.path_mtu = mtu;
    }

    // On no path: the way is that of its destination.
    @id(0x0100001C)
    action bypass() {
        meta.inner.spi = 0;
    }

    @id(0x0100001D)
    action deny() {
        meta.event = Event.DROP_CLASSIFIER_DENIED;
    }

    @id(0x0100001E)
    action unclassified() {
        meta.inner.spi = 0;
    }

    @id(0x0200000B)
    table classifier {
        key = {
            meta.service.class.ingress_port : ternary @id(1) @name("ingress_port");
            meta.inner.tenant         : ternary @id(2) @name("tenant");
            meta.service.class.vlan     : ternary @id(3) @name("vlan");
            meta.service.class.src_mac  : ternary @id(4) @name("src_mac");
            meta.inner.src      : ternary @id(5) @name("src");
            meta.inner.dst      : ternary @id(6) @name("dst");
            meta.inner.protocol : ternary @id(7) @name("protocol");
            meta.service.class.src_port : ternary @id(8) @name("src_port");
            meta.service.class.dst_port : ternary @id(9) @name("dst_port");
        }
        actions = {
            set_path;
            bypass;
            deny;
            @defaultonly unclassified;
        }
        const default_action = unclassified();
        counters = classifier_counter;
        size = SIZE_CLASSIFIER;
    }

    apply {
        classifier.apply();
    }
}

// Path, service index and MTU of a packet's class: rule S6 of docs/wire-format.md. On no path, the SPI is 0.
control Classify(inout known_t meta) {
    Classifier() classifier;

    @id(0x1300000A)
    direct_counter(CounterType.packets_and_bytes) shortcut_counter;

    @id(0x0100001A)
    action no_shortcut() {
    }

    // mtu: octets of the longest packet that all nodes of the path let through.
    @id(0x01000019)
    action jump(@id(1) bit<24> spi, @id(2) bit<8> si, @id(3) bit<16> mtu) {
        meta.inner.spi = spi;
        meta.inner.si = si;
        meta.inner.path_mtu = mtu;
    }

    // Flows that need not take the whole path of their class.
    @id(0x0200000A)
    table shortcut {
        key = {
            meta.inner.tenant         : exact @id(1) @name("tenant");
            meta.inner.src      : exact @id(2) @name("src");
            meta.inner.dst      : exact @id(3) @name("dst");
            meta.inner.protocol : exact @id(4) @name("protocol");
            meta.service.class.src_port : exact @id(5) @name("src_port");
            meta.service.class.dst_port : exact @id(6) @name("dst_port");
        }
        actions = {
            jump;
            @defaultonly no_shortcut;
        }
        const default_action = no_shortcut();
        counters = shortcut_counter;
        support_timeout = true;
        size = SIZE_SHORTCUT;
    }

    apply {
        if (!shortcut.apply().hit) {
            classifier.apply(meta);
        }
    }
}

#endif
