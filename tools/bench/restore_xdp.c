/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/*
 * A test run with repetitions hands the same packet to the program again and
 * again, so a program that takes a header off would meet a packet without one.
 * The programs here stand before the measured one: they make the packet anew,
 * for a flow drawn at random, and pass it on by a tail call. Their own time is
 * measured without a target and taken off.
 */
#include <uapi/linux/bpf.h>

#define FRAME_LENGTH 128
#define SCID_OFFSET  54 /* Ethernet 14, IPv4 20, UDP 8, Geneve 8, option head 4 */
#define INNER_OFFSET 66
#define OUTER_OFFSET 14

struct plan {
	u64 words[FRAME_LENGTH / 8];
	u64 random;
	u32 flows;
	u32 header_sum; /* of the patched IPv4 header without its addresses */
};

BPF_ARRAY(plan, struct plan, 1);
BPF_PROG_ARRAY(target, 1);

/* The frame of the plan in place of whatever the last repetition left. */
static inline u8 *restored(struct xdp_md *ctx, struct plan **found)
{
	u32 zero = 0;
	struct plan *p = plan.lookup(&zero);
	u8 *data;

	*found = p;
	if (!p)
		return NULL;
	if (bpf_xdp_adjust_head(ctx, (int)(ctx->data_end - ctx->data) - FRAME_LENGTH))
		return NULL;
	data = (void *)(long)ctx->data;
	if ((void *)(data + FRAME_LENGTH) > (void *)(long)ctx->data_end)
		return NULL;
#pragma unroll
	for (int i = 0; i < FRAME_LENGTH / 8; i++)
		((u64 *)data)[i] = p->words[i];
	return data;
}

static inline u32 drawn_flow(struct plan *plan)
{
	plan->random = plan->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (plan->random >> 33) % plan->flows;
}

static inline u32 halves(u32 word)
{
	return (word >> 16) + (word & 0xffff);
}

static inline void set_addresses(u8 *header, u32 sum, u32 src, u32 dst)
{
	sum += halves(src) + halves(dst);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	*(u16 *)(header + 10) = __builtin_bswap16(~sum);
	*(u32 *)(header + 12) = __builtin_bswap32(src);
	*(u32 *)(header + 16) = __builtin_bswap32(dst);
}

/* A data packet of a random connection: SCID and inner addresses by slot. */
int restore_moorline(struct xdp_md *ctx)
{
	struct plan *p;
	u8 *data = restored(ctx, &p);
	u32 slot;

	if (!data)
		return XDP_ABORTED;
	slot = drawn_flow(p);
	*(u64 *)(data + SCID_OFFSET) =
		__builtin_bswap64((slot * 0x9E3779B97F4A7C15ULL) << 24 | slot);
	set_addresses(data + INNER_OFFSET, p->header_sum, 0x0B000000 + slot, 0x0A000000 + slot);
	target.call(ctx, 0);
	return XDP_TX;
}

/* A program's packet of a random connection, for the network stack to take in. */
int arrive_access(struct xdp_md *ctx)
{
	struct plan *p;
	u8 *data = restored(ctx, &p);
	u32 slot;

	if (!data)
		return XDP_ABORTED;
	slot = drawn_flow(p);
	set_addresses(data + OUTER_OFFSET, p->header_sum, 0x0A000000 + slot, 0x0B000000 + slot);
	return XDP_PASS;
}

/* A TCP segment of a random client to the virtual address of a balancer. */
int restore_client(struct xdp_md *ctx)
{
	struct plan *p;
	u8 *data = restored(ctx, &p);

	if (!data)
		return XDP_ABORTED;
	set_addresses(data + OUTER_OFFSET, p->header_sum, 0x0B000000 + drawn_flow(p), 0x0A000001);
	target.call(ctx, 0);
	return XDP_TX;
}

int floor_xdp(struct xdp_md *ctx)
{
	return XDP_TX;
}

int floor_tc(struct __sk_buff *skb)
{
	return 0;
}
