// SPDX-License-Identifier: Apache-2.0
// Puts the frame together: what a connection's end put on stands before what the frame held.
#ifndef MOORLINE_DEPARSER_P4
#define MOORLINE_DEPARSER_P4

#include "headers.p4"

control MoorlineDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.packet_in);
        packet.emit(hdr.ethernet);
        packet.emit(hdr.vlan);
        packet.emit(hdr.tunnel_ipv4);
        packet.emit(hdr.tunnel_ipv6);
        packet.emit(hdr.tunnel_data);
        packet.emit(hdr.tunnel_udp);
        packet.emit(hdr.tunnel_shim);
        packet.emit(hdr.tunnel_shim2);
        packet.emit(hdr.tunnel_frame);
        packet.emit(hdr.ipv4);
        packet.emit(hdr.ipv4_options);
        packet.emit(hdr.ipv6);
        packet.emit(hdr.ipv6_fragment);
        packet.emit(hdr.arp);
        packet.emit(hdr.neighbour);
        packet.emit(hdr.link_address);
        packet.emit(hdr.ports);
        packet.emit(hdr.udp);
        packet.emit(hdr.geneve);
        packet.emit(hdr.option);
        packet.emit(hdr.shim);
        packet.emit(hdr.shim2);
        packet.emit(hdr.shim_frame);
        packet.emit(hdr.inner_ipv4);
        packet.emit(hdr.inner_options);
        packet.emit(hdr.inner_ipv6);
        packet.emit(hdr.inner_ports);
    }
}

#endif
