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

bit<32> ipv4_sum(in ipv4_t ip) {
    return (bit<32>)(ip.version ++ ip.ihl ++ ip.dscp ++ ip.ecn) + (bit<32>)ip.total_length +
           (bit<32>)ip.id +
           (bit<32>)(ip.reserved ++ ip.dont_fragment ++ ip.more_fragments ++ ip.fragment_offset) +
           (bit<32>)(ip.ttl ++ ip.protocol) + (bit<32>)ip.checksum + word_sum(ip.src) +
           word_sum(ip.dst);
}

// A 16-bit word of an IPv4 header becomes another: RFC 1624, equation 3.
bit<16> checksum_replaced(in bit<16> checksum, in bit<16> before, in bit<16> after) {
    return ~fold((bit<32>)~checksum + (bit<32>)~before + (bit<32>)after);
}

// Sum of the options of an IPv4 header.
control OptionSum(in option_word_t[10] options, out bit<32> sum) {
    apply {
        sum = 0;
        if (options[0].isValid()) { sum = sum + word_sum(options[0].word); }
        if (options[1].isValid()) { sum = sum + word_sum(options[1].word); }
        if (options[2].isValid()) { sum = sum + word_sum(options[2].word); }
        if (options[3].isValid()) { sum = sum + word_sum(options[3].word); }
        if (options[4].isValid()) { sum = sum + word_sum(options[4].word); }
        if (options[5].isValid()) { sum = sum + word_sum(options[5].word); }
        if (options[6].isValid()) { sum = sum + word_sum(options[6].word); }
        if (options[7].isValid()) { sum = sum + word_sum(options[7].word); }
        if (options[8].isValid()) { sum = sum + word_sum(options[8].word); }
        if (options[9].isValid()) { sum = sum + word_sum(options[9].word); }
    }
}

#define FOUR(words, at)                                                                            \
    words[at].word, words[at + 1].word, words[at + 2].word, words[at + 3].word
#define SIXTEEN(words, at)                                                                         \
    FOUR(words, at), FOUR(words, at + 4), FOUR(words, at + 8), FOUR(words, at + 12)

// All that the parser takes from a frame behind the UDP header; headers that are not there count for
// nothing.
#define UDP_DATA                                                                                   \
    hdr.geneve, hdr.option, SIXTEEN(hdr.foreign_options, 0), SIXTEEN(hdr.foreign_options, 16),     \
        SIXTEEN(hdr.foreign_options, 32), FOUR(hdr.foreign_options, 48),                           \
        FOUR(hdr.foreign_options, 52), FOUR(hdr.foreign_options, 56),                              \
        hdr.foreign_options[60].word, hdr.foreign_options[61].word, hdr.foreign_options[62].word,  \
        hdr.inner_ipv4, FOUR(hdr.inner_ipv4_options, 0), FOUR(hdr.inner_ipv4_options, 4),          \
        hdr.inner_ipv4_options[8].word, hdr.inner_ipv4_options[9].word, hdr.inner_ipv6

// Neighbour discovery, as far as it is parsed, without its checksum.
#define NEIGHBOUR_DATA                                                                             \
    hdr.ipv6.src, hdr.ipv6.dst, 16w0, hdr.ipv6.payload_length, 24w0, hdr.ipv6.next_header,         \
        hdr.neighbour.type, hdr.neighbour.code, hdr.neighbour.flags, hdr.neighbour.target,         \
        hdr.link_address

// With the checksum itself in it, a right sum leaves 0, whether a 0 stands there or the 0xFFFF that stands
// for it (RFC 768). A UDP checksum of 0 is none, also over IPv6 (RFC 6936, RFC 8926 section 3.3).
control VerifyChecksums(inout headers_t hdr, inout metadata_t meta) {
    apply {
        verify_checksum(
            meta.tunnel != 0 && hdr.ipv4.isValid() && hdr.ipv4.ihl == IPV4_WORDS,
            { hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.dscp, hdr.ipv4.ecn, hdr.ipv4.total_length,
              hdr.ipv4.id, hdr.ipv4.reserved, hdr.ipv4.dont_fragment, hdr.ipv4.more_fragments,
              hdr.ipv4.fragment_offset, hdr.ipv4.ttl, hdr.ipv4.protocol, hdr.ipv4.checksum, hdr.ipv4.src,
              hdr.ipv4.dst },
            meta.zero, HashAlgorithm.csum16);
        verify_checksum_with_payload(
            hdr.udp.isValid() && hdr.udp.checksum != 0 && hdr.ipv4.isValid(),
            { hdr.ipv4.src, hdr.ipv4.dst, 8w0, PROTOCOL_UDP, hdr.udp.length, hdr.ports, hdr.udp,
              UDP_DATA },
            meta.zero, HashAlgorithm.csum16);
        verify_checksum_with_payload(
            hdr.udp.isValid() && hdr.udp.checksum != 0 && hdr.ipv6.isValid(),
            { hdr.ipv6.src, hdr.ipv6.dst, 16w0, hdr.udp.length, 24w0, PROTOCOL_UDP, hdr.ports, hdr.udp,
              UDP_DATA },
            meta.zero, HashAlgorithm.csum16);
        verify_checksum(hdr.neighbour.isValid(), { NEIGHBOUR_DATA, hdr.neighbour.checksum },
                        meta.zero, HashAlgorithm.csum16);
    }
}

control ComputeChecksums(inout headers_t hdr, inout metadata_t meta) {
    apply {
        update_checksum(
            hdr.tunnel_ipv4.isValid(),
            { hdr.tunnel_ipv4.version, hdr.tunnel_ipv4.ihl, hdr.tunnel_ipv4.dscp, hdr.tunnel_ipv4.ecn,
              hdr.tunnel_ipv4.total_length, hdr.tunnel_ipv4.id, hdr.tunnel_ipv4.reserved,
              hdr.tunnel_ipv4.dont_fragment, hdr.tunnel_ipv4.more_fragments,
              hdr.tunnel_ipv4.fragment_offset, hdr.tunnel_ipv4.ttl, hdr.tunnel_ipv4.protocol,
              hdr.tunnel_ipv4.src, hdr.tunnel_ipv4.dst },
            hdr.tunnel_ipv4.checksum, HashAlgorithm.csum16);
        update_checksum(
            meta.relayed && hdr.ipv4.isValid(),
            { hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.dscp, hdr.ipv4.ecn, hdr.ipv4.total_length,
              hdr.ipv4.id, hdr.ipv4.reserved, hdr.ipv4.dont_fragment, hdr.ipv4.more_fragments,
              hdr.ipv4.fragment_offset, hdr.ipv4.ttl, hdr.ipv4.protocol, hdr.ipv4.src, hdr.ipv4.dst },
            hdr.ipv4.checksum, HashAlgorithm.csum16);
        update_checksum(meta.answered && hdr.neighbour.isValid(), { NEIGHBOUR_DATA },
                        hdr.neighbour.checksum, HashAlgorithm.csum16);
    }
}

#endif
