// SPDX-License-Identifier: Apache-2.0
// Checksums. v1model sums up the outer headers, of packets to the port of a tunnel; the pipeline sums up
// the IPv4 headers of the packets that connections carry, and judges all where their turn is.
#ifndef MOORLINE_CHECKSUM_P4
#define MOORLINE_CHECKSUM_P4

#include "headers.p4"
#include "metadata.p4"

// Ones' complement sum of 16-bit words, RFC 1071.
bit<16> fold(in bit<32> sum) {
    bit<32> once = (sum & 0xFFFF) + (sum >> 16);

    return (bit<16>)((once & 0xFFFF) + (once >> 16));
}

bit<32> word_sum(in bit<32> word) {
    return (word >> 16) + (word & 0xFFFF);
}

// A macro, since a function gets a copy of the header, which costs a switch something in every packet.
#define IPV4_SUM(ip)                                                                               \
    ((bit<32>)(ip.version_ihl ++ ip.traffic_class) + (bit<32>)ip.total_length +                    \
     word_sum(ip.fragmentation) + (bit<32>)(ip.ttl ++ ip.protocol) + (bit<32>)ip.checksum +        \
     word_sum(ip.src) + word_sum(ip.dst))

// A 16-bit word of an IPv4 header becomes another: RFC 1624, equation 3.
bit<16> checksum_replaced(in bit<16> checksum, in bit<16> before, in bit<16> after) {
    return ~fold((bit<32>)~checksum + (bit<32>)~before + (bit<32>)after);
}

// Sum of the options of an IPv4 header: the checksum of them alone is its complement.
control OptionSum(in ipv4_options_t options, inout inner_t inner) {
    bit<16> checksum;

    apply {
        if (options.isValid()) {
            hash(checksum, HashAlgorithm.csum16, 16w0, options, 32w0x10000);
            inner.sum = (bit<32>)~checksum;
        }
    }
}

#define IPV4_DATA(ip)                                                                              \
    ip.version_ihl, ip.traffic_class, ip.total_length, ip.fragmentation, ip.ttl, ip.protocol, ip.src, ip.dst

// All that the parser takes from a frame behind the UDP header; headers that are not there count for
// nothing.
#define UDP_DATA                                                                                   \
    hdr.geneve, hdr.option, hdr.shim, hdr.shim_frame, hdr.inner_ipv4, hdr.inner_options,           \
        hdr.inner_ipv6, hdr.inner_ports

// Neighbour discovery, as far as it is parsed, without its checksum.
#define NEIGHBOUR_DATA                                                                             \
    hdr.ipv6.src, hdr.ipv6.dst, 16w0, hdr.ipv6.payload_length, 24w0, hdr.ipv6.next_header,         \
        hdr.neighbour.type, hdr.neighbour.code, hdr.neighbour.flags, hdr.neighbour.target,         \
        hdr.link_address

// With the checksum itself in it, a right sum leaves 0, whether a 0 stands there or the 0xFFFF that stands
// for it (RFC 768). A UDP checksum of 0 is none, also over IPv6 (RFC 6936, RFC 8926 section 3.3).
control VerifyChecksums(inout headers_t hdr, inout metadata_t all) {
    apply {
        verify_checksum(
            all.known.tunnel != 0 && hdr.ipv4.isValid() && hdr.ipv4.version_ihl == IPV4_PLAIN,
            { IPV4_DATA(hdr.ipv4), hdr.ipv4.checksum },
            all.zero, HashAlgorithm.csum16);
        verify_checksum_with_payload(
            hdr.udp.isValid() && hdr.udp.checksum != 0,
            { hdr.ipv4.src, hdr.ipv4.dst, hdr.ipv6.src, hdr.ipv6.dst, 8w0, PROTOCOL_UDP, hdr.udp.length,
              hdr.ports, hdr.udp, UDP_DATA },
            all.zero, HashAlgorithm.csum16);
        verify_checksum(hdr.neighbour.isValid(), { NEIGHBOUR_DATA, hdr.neighbour.checksum },
                        all.zero, HashAlgorithm.csum16);
    }
}

control ComputeChecksums(inout headers_t hdr, inout metadata_t all) {
    apply {
        update_checksum(
            hdr.tunnel_ipv4.isValid(),
            { IPV4_DATA(hdr.tunnel_ipv4) },
            hdr.tunnel_ipv4.checksum, HashAlgorithm.csum16);
        update_checksum(
            all.known.fate == Fate.RELAYED && hdr.ipv4.isValid(),
            { IPV4_DATA(hdr.ipv4) },
            hdr.ipv4.checksum, HashAlgorithm.csum16);
        update_checksum(all.known.fate == Fate.ANSWERED && hdr.neighbour.isValid(), { NEIGHBOUR_DATA },
                        hdr.neighbour.checksum, HashAlgorithm.csum16);
    }
}

#endif
