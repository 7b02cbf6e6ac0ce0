/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The step class: which service path the flow of a packet takes. */
#ifndef MOORLINE_CLASS_H
#define MOORLINE_CLASS_H

#include "classifier.h"
#include "journey.h"

struct flow_class {
	u32 path; /* SPI in the upper 24 bits, SI in the lower 8; SPI 0: none */
	u16 mtu;
};

static inline struct shortcut_entry *shortcut_of(struct packet *packet,
						 const struct journey *journey)
{
	const struct traveller *traveller = &journey->traveller;
	struct {
		u32 tenant;
		u8 protocol;
		u8 pad0[3];
		u32 src[4];
		u32 dst[4];
		u16 src_port;
		u16 dst_port;
		u32 pad1;
	} __attribute__((aligned(8))) key = {.tenant = journey->tenant,
					     .protocol = traveller->transport >> 32,
					     .src_port = traveller->transport >> 16,
					     .dst_port = traveller->transport};

	copy_words(key.src, &traveller->source);
	copy_words(key.dst, &traveller->destination);
	return shortcut_lookup(packet, (const u64 *)&key);
}

/* Where the packet came from counts only where it enters: on its way back from a peer, what the
 * journey says of that is 0. */
static inline struct classifier_entry *rule_of(struct packet *packet, const struct journey *journey)
{
	const struct traveller *traveller = &journey->traveller;
	struct classifier_key key = {.tenant = journey->tenant,
				     .vlan = journey->vlan,
				     .src_port = traveller->transport >> 16,
				     .dst_port = traveller->transport,
				     .protocol = traveller->transport >> 32};

	if (journey->purpose == CLASS_ENTER)
		key.ingress_port = packet->port;
	__builtin_memcpy(key.src_mac, journey->src_mac, ETH_ALEN);
	copy_words(key.src, &traveller->source);
	copy_words(key.dst, &traveller->destination);
	return classifier_lookup(packet, &key);
}

static inline int find_class(struct packet *packet, const struct journey *journey,
			     struct flow_class *class)
{
	struct shortcut_entry *shortcut = shortcut_of(packet, journey);
	struct classifier_entry *rule;

	class->mtu = LONGEST_PACKET;
	if (shortcut) {
		class->path = shortcut->data.jump.spi << 8 | shortcut->data.jump.si;
		class->mtu = shortcut->data.jump.mtu;
		return CONTINUE;
	}
	rule = rule_of(packet, journey);
	if (rule && rule->action == ACTION_deny)
		return EVENT_DROP_CLASSIFIER_DENIED;
	if (rule && rule->action == ACTION_set_path) {
		class->path = rule->data.set_path.spi << 8 | rule->data.set_path.si;
		class->mtu = rule->data.set_path.mtu;
	}
	return CONTINUE;
}

/* A packet that enters: rule S4 of docs/wire-format.md, or straight to where its destination is. */
static inline int enter_path(hook_context *ctx, struct packet *packet, struct journey *journey,
			     const struct flow_class *class)
{
	journey->traveller.path = class->path;
	if (!(class->path >> 8))
		return go_on(ctx, packet, XDP_STEP_route);
	if (journey->inner_length > class->mtu) {
		packet->usable_mtu = class->mtu;
		return journey->tells_too_big ? EVENT_PUNT_TOO_BIG : EVENT_DROP_OUTER_TOO_BIG;
	}
	journey->path_mtu = class->mtu;
	return go_on(ctx, packet, XDP_STEP_hop);
}

/* A packet back from a peer, its path told by its class, its place there by the peer. */
static inline int resume_class(struct journey *journey, const struct flow_class *class)
{
	u32 spi = class->path >> 8;

	if (!spi)
		return EVENT_DROP_PEER_UNEXPECTED;
	journey->traveller.path |= spi << 8;
	return CONTINUE;
}

static inline int use_class(hook_context *ctx, struct packet *packet, struct journey *journey)
{
	struct flow_class class = {};
	int event = find_class(packet, journey, &class);

	if (event)
		return event;
	if (journey->purpose == CLASS_ENTER)
		return enter_path(ctx, packet, journey, &class);
	if (journey->purpose == CLASS_RESUME)
		event = resume_class(journey, &class);
	else if (!is_same_family(class.path >> 8, journey->traveller.path >> 8))
		event = EVENT_DROP_PEER_UNEXPECTED;
	if (event)
		return event;
	if (journey->path_mtu > class.mtu)
		journey->path_mtu = class.mtu;
	return go_on(ctx, packet, XDP_STEP_hop);
}

#endif
