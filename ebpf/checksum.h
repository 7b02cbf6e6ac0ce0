/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The Internet checksum, RFC 1071 and RFC 1624. Sums are of 16-bit words in network order. */
#ifndef MOORLINE_CHECKSUM_H
#define MOORLINE_CHECKSUM_H

#include "scratch.h"

#define CHUNK_OCTETS 512 /* most that bpf_csum_diff() takes */
#define MOST_CHUNKS  128 /* 65,536 octets: as long as a UDP datagram gets */

static inline u16 fold(u64 sum)
{
	sum += sum >> 32 | sum << 32; /* both halves with their carry, in the upper one */
	sum >>= 32;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Written out, for the compiler unrolls no loop whose length it learns only by putting a function in
 * place. */
static inline u64 sum_of_4(const u32 *words)
{
	return (u64)words[0] + words[1] + words[2] + words[3];
}

/* Of an IPv4 header's fixed part. */
static inline u64 ipv4_sum(const struct iphdr *ip)
{
	const u32 *words = (const u32 *)ip;

	return sum_of_4(words) + words[4];
}

/* Whether the checksum of an IPv4 header is right; the cursor stands behind its fixed part. */
static inline int ipv4_checksum_holds(const struct iphdr *ip, const struct cursor *cursor)
{
	u64 sum = ipv4_sum(ip);
	struct cursor options = *cursor;

	for (u32 word = IPV4_WORDS; word < 15 && word < ip->ihl; word++) {
		u32 *option = take(&options, sizeof(*option));

		if (!option)
			return 0;
		sum += *option;
	}
	return fold(sum) == 0xffff;
}

/* A 16-bit word of an IPv4 header becomes another: RFC 1624, equation 3. */
static inline void ipv4_replace(struct iphdr *ip, __be16 *word, __be16 value)
{
	u64 sum = (u16)~ip->check + (u64)(u16) ~*word + value;

	*word = value;
	ip->check = ~fold(sum);
}

/* Whether the checksum of a UDP datagram is right, read piece by piece: it may be long and not
 * linear. pseudo is the sum of the pseudo-header. */
static inline int udp_checksum_holds(hook_context *ctx, u32 offset, u32 length, u64 pseudo)
{
	u8 *piece = scratch();
	u32 last = (length - 1) % CHUNK_OCTETS + 1;
	u32 whole = (length - 1) / CHUNK_OCTETS;
	u64 sum = pseudo;

	if (!piece)
		return 0;
	for (u32 chunk = 0; chunk < MOST_CHUNKS && chunk < whole; chunk++) {
		if (packet_load(ctx, offset, piece, CHUNK_OCTETS))
			return 0;
		sum += (u32)bpf_csum_diff(NULL, 0, (void *)piece, CHUNK_OCTETS, 0);
		offset += CHUNK_OCTETS;
	}
	for (u32 i = 0; i < CHUNK_OCTETS / 8; i++)
		((u64 *)piece)[i] = 0;
	if (packet_load(ctx, offset, piece, last))
		return 0;
	sum += (u32)bpf_csum_diff(NULL, 0, (void *)piece, CHUNK_OCTETS, 0);
	return fold(sum) == 0xffff;
}

#endif
