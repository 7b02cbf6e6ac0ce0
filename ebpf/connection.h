/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The table of connections, by the addresses at their ends. */
#ifndef MOORLINE_CONNECTION_H
#define MOORLINE_CONNECTION_H

#include "assoc.h"

/* An SCID as entries hold it. */
static inline u64 scid_of(const u8 *octets)
{
	const __be32 *words = (const __be32 *)octets;

	return (u64)bpf_ntohl(words[0]) << 32 | bpf_ntohl(words[1]);
}

static inline struct connection_entry *connection_between(struct packet *packet, u32 tenant,
							  const union address *source,
							  const union address *destination)
{
	struct {
		u32 tenant;
		u32 src[4];
		u32 dst[4];
		u32 pad;
	} __attribute__((aligned(8))) key = {.tenant = tenant};

	__builtin_memcpy(key.src, source, sizeof(key.src));
	__builtin_memcpy(key.dst, destination, sizeof(key.dst));
	return connection_lookup(packet, (const u64 *)&key);
}

#endif
