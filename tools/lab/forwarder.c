/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The cheapest feature peers: each has one cable and returns every frame by which it came, label and all.
 *
 * Datagrams to SIGNED_PORT they sign: after eight octets stands how many peers have signed, and then the
 * letter of each. Compiled by BCC (tools/lab/forwarders.py). */
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#define SIGNATURES 8

struct frame {
	u8 to[ETH_ALEN];
	u8 from[ETH_ALEN];
	__be16 tag_protocol;
	__be16 tag;
	__be16 protocol;
} __attribute__((packed));

struct datagram {
	struct iphdr ip;
	struct udphdr udp;
	u8 number[8];
	u8 signatures;
	u8 signature[SIGNATURES];
} __attribute__((packed));

static inline void sign(struct datagram *datagram, void *end, u8 letter)
{
	u8 *free;

	if ((void *)(datagram + 1) > end)
		return;
	if (datagram->ip.version != 4 || datagram->ip.ihl != 5 ||
	    datagram->ip.protocol != IPPROTO_UDP)
		return;
	if (datagram->udp.dest != bpf_htons(SIGNED_PORT))
		return;
	free = datagram->signature + datagram->signatures % SIGNATURES;
	if ((void *)(free + 1) > end) /* as the verifier wants it */
		return;
	*free = letter;
	datagram->signatures++;
	datagram->udp.check = 0; /* none, as IPv4 allows */
}

static inline int forward(struct xdp_md *context, u8 letter)
{
	void *end = (void *)(long)context->data_end;
	struct frame *frame = (void *)(long)context->data;
	u8 own[ETH_ALEN];

	if ((void *)(frame + 1) > end || frame->tag_protocol != bpf_htons(ETH_P_8021Q))
		return XDP_PASS;
	__builtin_memcpy(own, frame->to, ETH_ALEN);
	__builtin_memcpy(frame->to, frame->from, ETH_ALEN);
	__builtin_memcpy(frame->from, own, ETH_ALEN);
	if (frame->protocol == bpf_htons(ETH_P_IP))
		sign((void *)(frame + 1), end, letter);
	return XDP_TX;
}

#define FORWARDER(letter)                                                                          \
	int forward_##letter(struct xdp_md *context)                                               \
	{                                                                                          \
		return forward(context, (#letter)[0]);                                             \
	}

FORWARDER(a)
FORWARDER(b)
FORWARDER(c)
FORWARDER(d)
FORWARDER(e)
