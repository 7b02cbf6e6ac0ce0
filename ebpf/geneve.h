/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Geneve, RFC 8926, with Moorline's option. */
#ifndef MOORLINE_GENEVE_H
#define MOORLINE_GENEVE_H

#include "outer.h"

struct tunnel {
	u64 scid;
	u32 tenant;
	u32 path; /* SPI in the upper 24 bits, SI in the lower 8 */
	__be16 protocol;
};

/* What walking a list of options finds. */
struct options {
	u64 ours;
	u64 unknown_critical;
	u8 malformed;
};

/* Adds what one option is, without a branch: the verifier would go on with each outcome of each. */
static inline void note_option(struct options *found, u64 class_type)
{
	u64 difference = class_type ^ OPTION_CLASS_TYPE;
	u64 is_ours;

	asm volatile("" : "+r"(difference));
	is_ours = (difference - 1) >> 63;
	found->ours |= is_ours;
	found->unknown_critical |= class_type & OPTION_TYPE_CRITICAL & (is_ours - 1);
}

static inline struct options walk_options(hook_context *ctx, u32 offset, u32 words)
{
	struct options found = {};
	u32 at = 0;

	for (int option = 0; option < GENEVE_OPTION_WORDS && at < words; option++) {
		u32 header;

		if (packet_load(ctx, offset + at * 4, &header, sizeof(header))) {
			found.malformed = 1;
			break;
		}
		header = bpf_ntohl(header);
		note_option(&found, header >> 8);
		at += 1 + (header & OPTION_LENGTH_MASK);
	}
	if (at > words)
		found.malformed = 1;
	return found;
}

/* A packet whose headers are not what our nodes send: why it is dropped, or that it is not ours. */
static inline int judge_geneve(hook_context *ctx, const struct packet *packet,
			       const struct cursor *cursor, u32 payload)
{
	struct geneve_header *geneve = peek(cursor, sizeof(*geneve));
	struct options options;
	u32 words;

	if (!geneve || payload < sizeof(*geneve))
		return EVENT_DROP_GENEVE_TRUNCATED;
	if (geneve->version_length & GENEVE_VERSION_MASK)
		return EVENT_DROP_GENEVE_VERSION;
	words = geneve->version_length & GENEVE_LENGTH_MASK;
	if (sizeof(*geneve) + words * 4 > payload)
		return EVENT_DROP_GENEVE_TRUNCATED;
	options = walk_options(ctx, offset_of(packet, geneve + 1), words);
	if (options.malformed)
		return EVENT_DROP_GENEVE_OPTIONS;
	if (options.unknown_critical)
		return EVENT_DROP_GENEVE_UNKNOWN_CRITICAL;
	return options.ours ? EVENT_DROP_GENEVE_OPTIONS : EVENT_PASS;
}

/* Moves the cursor to the inner packet. Our option must be the only one, in its fixed form, and
 * announced by the critical flag; reserved bits are ignored, as the RFC has it. */
static inline int parse_geneve(hook_context *ctx, const struct packet *packet,
			       struct cursor *cursor, u32 payload, struct tunnel *tunnel)
{
	struct data_header *header = peek(cursor, sizeof(*header));
	u32 magic_mask = bpf_htonl(OPTION_MAGIC_MASK);

	if (!header || payload < sizeof(*header) ||
	    header->geneve.version_length != OPTION_TOTAL_WORDS ||
	    !(header->geneve.flags & GENEVE_FLAG_CRITICAL) ||
	    (header->option.magic & magic_mask) != bpf_htonl(OPTION_MAGIC))
		return judge_geneve(ctx, packet, cursor, payload);
	if (header->geneve.flags & GENEVE_FLAG_CONTROL)
		return EVENT_DROP_GENEVE_PROTOCOL; /* control messages are not forwarded */
	cursor->position = header + 1;
	tunnel->protocol = header->geneve.protocol;
	tunnel->tenant = bpf_ntohl(header->geneve.vni) >> 8;
	tunnel->scid =
		(u64)bpf_ntohl(header->option.scid_high) << 32 | bpf_ntohl(header->option.scid_low);
	tunnel->path = bpf_ntohl(header->option.path);
	if (tunnel->protocol != bpf_htons(ETH_P_IP) && tunnel->protocol != bpf_htons(ETH_P_IPV6))
		return EVENT_DROP_GENEVE_PROTOCOL;
	return CONTINUE;
}

#endif
