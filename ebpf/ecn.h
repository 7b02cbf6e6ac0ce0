/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* Explicit congestion notification over a tunnel, RFC 6040. */
#ifndef MOORLINE_ECN_H
#define MOORLINE_ECN_H

#include "constants.h"

#define ECN_DROP 4

/* The inner ECN field after decapsulation (RFC 6040, figure 4), or ECN_DROP. */
static inline u8 ecn_combined(u8 inner, u8 outer)
{
	if (outer == ECN_CE)
		return inner == ECN_NOT_ECT ? ECN_DROP : ECN_CE;
	if (outer == ECN_ECT1 && inner == ECN_ECT0)
		return ECN_ECT1;
	return inner;
}

#endif
