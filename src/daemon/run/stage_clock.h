/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The counter that stages are measured by (stack/packet/stage.h): the processor's own
 * where it has one that runs evenly and is cheap to read, else nanoseconds.
 */
#ifndef YG_DAEMON_RUN_STAGE_CLOCK_H
#define YG_DAEMON_RUN_STAGE_CLOCK_H

#include "stack/packet/stage.h"

struct stage_clock {
	stage_clock_fn *read;
	const char *name; /* what one clock is: "TSC", "CNTVCT", "ns" */
	uint64_t start, start_ns;
};

/* Chooses one and takes its first reading. */
void stage_clock_start(struct stage_clock *c);
/* Clocks a second, measured since stage_clock_start against CLOCK_MONOTONIC. */
uint64_t stage_clock_hz(const struct stage_clock *c);

#endif
