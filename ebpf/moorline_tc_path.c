/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* The step at the TC hook for packets of connections that enter a service path. */
#include "packet_tc.h"
#include "steps_tc.h"
#include "path_tc_access.h"
#include "access.h"
#include "verdict.h"

int moorline_tc_access(struct __sk_buff *ctx)
{
	struct packet packet = {.port = ctx->cb[CB_PORT]};
	u32 tenant = ctx->cb[CB_TENANT];
	u8 hops = ctx->cb[CB_HOPS];
	u32 length;

	packet_begin(ctx, &packet);
	length = packet.length;
	return finish(ctx, &packet, from_access(ctx, &packet, tenant, hops), length);
}
