/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The yardstick: what any gateway must at least do for a packet. Parse it and
 * sum its header, SipHash-1-3 of its tuple, and one look at a bucket of 64 bytes
 * that was prefetched for the whole batch.
 */
#ifndef YG_BENCH_YARDSTICK_H
#define YG_BENCH_YARDSTICK_H

#include "fixture.h"

struct yardstick;

/* A table for as many entries, of the size that conntrack's has, with both
 * directions of each of the fixture's flows in it. */
struct yardstick *yardstick_new(const struct fixture *r, uint32_t capacity);
void yardstick_free(struct yardstick *y);
/* Once over all frames of the ring; how many were found. */
uint32_t yardstick_run(struct yardstick *y, const struct fixture *r);

#endif
