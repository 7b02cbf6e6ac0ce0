/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* What the controller is told of packets that it does not get to see (digests), through a ring buffer.
 *
 * A record is the digest's number in the P4Info and its fields in the order of the P4 program, each
 * in whole octets and network order.
 */
#ifndef MOORLINE_DIGEST_H
#define MOORLINE_DIGEST_H

#include "burst.h"
#include "cursor.h"

#define DIGEST_RING_OCTETS (1 << 16)
#define DIGEST_PAUSE_NS    1000000 /* between two of one CPU: a flood shows in the counters */
#define TRACES_OF_PERIOD   256     /* of one CPU */

struct scid_unknown_record {
	u32 digest;
	__be16 ingress_port;
	__be64 scid;
	union address source;
} __attribute__((packed));

struct path_trace_record {
	u32 digest;
	__be16 ingress_port;
	__be32 path; /* SPI and SI */
	__be16 instance;
	__be16 probe;
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

/* How often this CPU told of probes since then. A probe is told of several times at once where
 * several steps of its path are at one node, so that a pause would lose what the trace is about. */
BPF_F_TABLE("percpu_array", u32, struct burst, trace_burst, 1, 0);

static inline int trace_is_due(void)
{
	u32 zero = 0;

	return burst_allows(trace_burst.lookup(&zero), TRACES_OF_PERIOD);
}

/* A probe of the controller's, at one step of its path. */
static inline void tell_path_trace(const struct packet *packet, u32 path, u16 instance, u16 probe)
{
	struct path_trace_record record = {.digest = DIGEST_path_trace};

	if (!trace_is_due())
		return;
	record.ingress_port = bpf_htons(packet->port);
	record.path = bpf_htonl(path);
	record.instance = bpf_htons(instance);
	record.probe = bpf_htons(probe);
	digests.ringbuf_output(&record, sizeof(record), 0);
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
