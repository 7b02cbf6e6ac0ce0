/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* How a packet's way through a program ends: shown, counted, and done with as the hook has it. */
#ifndef MOORLINE_VERDICT_H
#define MOORLINE_VERDICT_H

#include "events.h"
#include "packet_in.h"

static inline int verdict_of(int event)
{
	if (event == EVENT_TX)
		return HOOK_REDIRECT;
	return event == EVENT_PASS ? HOOK_PASS : HOOK_DROP;
}

/* length: of the frame as it arrived. */
static inline int finish(hook_context *ctx, struct packet *packet, int event, u32 length)
{
	if (is_punt(event))
		event = punt(ctx, packet, event);
	if (packet->unresolved)
		ask_for_neighbour(ctx, packet);
	count_event(packet->port, event, length);
	count_shared_hit(packet, length);
	return verdict_of(event);
}

#endif
