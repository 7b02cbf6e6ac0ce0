/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* What the controller is told of packets that it does not get to see (digests), through a ring buffer.
 *
 * A record is the digest's number in the P4Info and its fields in the order of the P4 program, each
 * in whole octets and network order.
 */
#ifndef MOORLINE_DIGEST_H
#define MOORLINE_DIGEST_H

#include "cursor.h"

#define DIGEST_RING_OCTETS (1 << 16)
#define DIGEST_PAUSE_NS    1000000 /* between two of one CPU: a flood shows in the counters */

struct scid_unknown_record {
	u32 digest;
	__be16 ingress_port;
	__be64 scid;
	union address source;
} __attribute__((packed));

struct digest_table_t {
	int key;
	u32 leaf;
	int (*ringbuf_output)(void *, u64, u64);
	u32 max_entries;
};
__attribute__((section("maps/ringbuf"))) struct digest_table_t digests = {
	.max_entries = DIGEST_RING_OCTETS};

/* When this CPU told something last, in nanoseconds since the start of the machine. */
BPF_F_TABLE("percpu_array", u32, u64, digest_told, 1, 0);

static inline int digest_is_due(void)
{
	u32 zero = 0;
	u64 now = bpf_ktime_get_ns();
	u64 *told = digest_told.lookup(&zero);

	if (!told || now - *told < DIGEST_PAUSE_NS)
		return 0;
	*told = now;
	return 1;
}

/* A packet with an SCID that is not in the table: of a connection that should be here, or a guess. */
static inline void tell_scid_unknown(const struct packet *packet, u64 scid,
				     const union address *source)
{
	struct scid_unknown_record record = {.digest = DIGEST_scid_unknown};

	if (!digest_is_due())
		return;
	record.ingress_port = bpf_htons(packet->port);
	record.scid = bpf_htonll(scid);
	record.source = *source;
	digests.ringbuf_output(&record, sizeof(record), 0);
}

#endif
