/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* What the programs of the TC hook share. */
#ifndef MOORLINE_STEPS_TC_H
#define MOORLINE_STEPS_TC_H

#include "constants.h"

BPF_F_TABLE("prog", u32, u32, tc_steps, TC_STEPS, 0);

/* Where the step access finds what the first program knows. */
#define CB_PORT   0
#define CB_TENANT 1
#define CB_HOPS   2

#endif
