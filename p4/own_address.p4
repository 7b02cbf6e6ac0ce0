// SPDX-License-Identifier: Apache-2.0
// A switch's own addresses. Neighbours that the controller knows ask for them again and again, and are
// answered here, so that they find the switch also while no controller is there. All else about
// neighbours is the controller's: who is new, or has another link-layer address, is for it to answer.
#ifndef MOORLINE_OWN_ADDRESS_P4
#define MOORLINE_OWN_ADDRESS_P4

#include "headers.p4"
#include "metadata.p4"
#include "sizes.p4"

// Who asks for whom: ARP for IPv4 over Ethernet (RFC 826), or a neighbour solicitation (RFC 4861, section
// 7.1.1) with no other option than the sender's address. Nobody where it is neither, and where the sender
// may have the address itself: announcements, and questions whether it is free.
control Question(in headers_t hdr, in standard_metadata_t standard, inout known_t meta) {
    apply {
        if (hdr.arp.isValid() && hdr.arp.kind == ARP_REQUEST && hdr.arp.sender != 0 &&
            hdr.arp.sender != hdr.arp.target) {
            meta.question.target = MAPPED ++ hdr.arp.target;
            meta.next = MAPPED ++ hdr.arp.sender;
        }
        if (hdr.neighbour.isValid() && hdr.neighbour.type == NEIGHBOUR_SOLICITATION &&
            hdr.neighbour.code == 0 && hdr.ipv6.hop_limit == NEIGHBOUR_HOP_LIMIT &&
            standard.checksum_error == 0 && hdr.ipv6.src != 0 && hdr.ipv6.src[127:120] != 0xFF &&
            hdr.ipv6.src != hdr.neighbour.target &&
            (hdr.ipv6.payload_length == SOLICITATION_OCTETS ||
             (hdr.link_address.isValid() && hdr.link_address.kind == SOURCE_LINK_ADDRESS))) {
            meta.question.target = hdr.neighbour.target;
            meta.next = hdr.ipv6.src;
        }
    }
}

// Whether a packet asks for an own address; then meta.next is who asks.
control OwnAddress(in headers_t hdr, inout known_t meta, in standard_metadata_t standard) {
    Question() question;

    @id(0x13000009)
    direct_counter(CounterType.packets_and_bytes) own_address_counter;

    @id(0x01000015)
    action not_own() {
    }

    // router: whether hosts on the link may send through here.
    @id(0x01000016)
    action answer(@id(1) bit<48> mac, @id(2) bit<1> router) {
        meta.fate = Fate.QUESTION;
        meta.question.mac = mac;
        meta.question.router = router;
    }

    @switch_only
    @id(0x02000009)
    table own_address {
        key = {
            standard.ingress_port : exact @id(1) @name("port");
            meta.question.vlan    : exact @id(2) @name("vlan"); // 0 = untagged
            meta.question.target  : exact @id(3) @name("address");
        }
        actions = {
            answer;
            @defaultonly not_own;
        }
        const default_action = not_own();
        counters = own_address_counter;
        size = SIZE_OWN_ADDRESS;
    }

    apply {
        meta.question.vlan = 0;
        meta.question.target = 0;
        meta.question.asker = hdr.ethernet.src;
        meta.question.asked = hdr.ethernet.dst;
        if (hdr.vlan[0].isValid()) {
            meta.question.vlan = hdr.vlan[0].id;
        }
        question.apply(hdr, standard, meta);
        if (meta.question.target != 0 && !hdr.vlan[1].isValid()) {
            own_address.apply();
        }
        if (meta.fate == Fate.QUESTION) {
            meta.port = standard.ingress_port;
            meta.event = Event.PASS;
        }
    }
}

// The question becomes its answer, if the asker is known by its link-layer address: by now the table
// fib has put that on, or another one, or none. A link-local address is nobody's next hop, and asks for
// itself alone.
control Answer(inout headers_t hdr, inout known_t meta, inout standard_metadata_t standard) {
    apply {
        if (((meta.event == Event.PASS && hdr.ethernet.dst == meta.question.asker) ||
             meta.next[127:118] == 0x3FA) && // fe80::/10
            (meta.question.asked == meta.question.mac || meta.question.asked[40:40] == 1) && // or a group
            meta.question.asker[40:40] == 0) {
            meta.fate = Fate.ANSWERED;
            hdr.ethernet.dst = meta.question.asker;
            hdr.ethernet.src = meta.question.mac;
            if (hdr.arp.isValid()) {
                hdr.arp.kind = ARP_REPLY;
                hdr.arp.target_mac = hdr.arp.sender_mac;
                hdr.arp.target = hdr.arp.sender;
                hdr.arp.sender_mac = meta.question.mac;
                hdr.arp.sender = meta.question.target[31:0];
            } else if (hdr.neighbour.isValid() && hdr.ipv6.isValid()) {
                hdr.ipv6.dst = hdr.ipv6.src;
                hdr.ipv6.src = meta.question.target;
                hdr.ipv6.payload_length = SOLICITATION_OCTETS + LINK_ADDRESS_OCTETS;
                hdr.neighbour.type = NEIGHBOUR_ADVERTISEMENT;
                hdr.neighbour.flags = meta.question.router ++ SOLICITED_OVERRIDE;
                hdr.link_address.setValid();
                hdr.link_address = {TARGET_LINK_ADDRESS, meta.question.mac};
            }
        } else {
            hdr.ethernet.dst = meta.question.asked;
            hdr.ethernet.src = meta.question.asker;
            meta.fate = Fate.RESOLUTION; // the controller's, as it came
        }
        meta.event = Event.PASS;
    }
}

#endif
