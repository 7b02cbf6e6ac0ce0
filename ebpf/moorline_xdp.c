/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Moorline's data plane at the XDP hook. */
#include "packet_xdp.h"
#include "path_xdp.h"
#include "pipeline.h"

int moorline_xdp(struct xdp_md *ctx)
{
	return pipeline(ctx);
}
