/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Moorline's data plane at the TC hook. */
#include "packet_tc.h"
#include "path_tc.h"
#include "pipeline.h"

int moorline_tc(struct __sk_buff *ctx)
{
	return pipeline(ctx);
}
