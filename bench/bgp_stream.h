/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Full tables for the benches of BGP: neighbours' UPDATEs in memory, as a stream would bring them.
 *
 * Prefixes have the Internet's distribution of lengths, attribute sets are some 130,000 a neighbour with one UPDATE
 * each: paths of three to nine numbers, MED, communities of all kinds, drawn from a fixed seed.
 */
#ifndef YG_BENCH_BGP_STREAM_H
#define YG_BENCH_BGP_STREAM_H

#include <stdio.h>
#include <time.h>

#include "routing/bgp/bgp_table.h"

#define BENCH_LOCAL_AS 65000u
#define BENCH_LOCAL_ADDR IP4(10, 9, 0, 1)
/* Of a neighbour by its number; its AS is 65001 and its number. */
#define BENCH_PEER_ADDR(i) (BENCH_LOCAL_ADDR + 10 + (i))

struct bgp_stream {
	uint8_t *p;
	size_t len, cap;
	uint32_t n_messages;
};

/* Both draw from one sequence, which begins anew with the prefixes. */
void bgp_stream_prefixes(struct ip4_prefix *p, uint32_t n);
/* All prefixes of one neighbour; med 0: as it is drawn. p is to be freed. */
void bgp_stream_make(struct bgp_stream *s, const struct ip4_prefix *all, uint32_t n, uint32_t neighbour, uint32_t med);
/* Frames, reads and applies messages from *at on, some so many, 0: all. True: there are more. */
bool bgp_stream_feed(struct bgp_table *t, uint32_t source, const struct bgp_stream *s, size_t *at, uint32_t n_messages);

static inline double bench_cpu_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static inline void bench_row(const char *name, double value, const char *unit)
{
	printf("{\"row\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"}\n", name, value, unit);
}

#endif
