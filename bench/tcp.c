/* SPDX-License-Identifier: BSD-2-Clause
 *
 * TCP and UDP in memory: two stacks in one thread (pair.h), what a byte, a connection and a request cost
 * both ends together.
 *
 *   tcp [--instructions] [ROW...]
 *
 * prints a line of JSON a row. Without ROW: all.
 *
 * Segments have timestamps; checksums are made at one end and verified at the other. Each row is
 * timed in short runs by the thread's processor time, the best and the median are told, and
 * beside them the yardstick of the same minute: copy and sum, sum, copy of each 1,448 bytes over
 * a window of 128 KB.
 *
 * --instructions runs each row that is small enough once more under callgrind: of one connection, request
 * or kilobyte.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "callgrind.h"
#include "resident.h"
#include "tcp_load.h"
#include "stack/transport/tcp_priv.h"
#include "stack/wire/checksum.h"

#define RUNS 11u
#define WARM_UP 3u
#define RUN_NS (40 * NS_PER_MS)
#define COUNTED_ROUNDS 20u

/* What one unit of a load's result is, and in which the row is told. */
enum unit { UNIT_BIT_S, UNIT_PER_S, UNIT_SHARE, UNIT_BYTES };
static const char *const unit_names[] = {
	[UNIT_BIT_S] = "bit/s", [UNIT_PER_S] = "/s", [UNIT_SHARE] = "% of a core", [UNIT_BYTES] = "bytes"
};

struct bench {
	bool callgrind, instructions;
	const char *self;
};

struct result {
	double best, median;
	uint64_t instructions; /* 0: not counted */
};

struct row;
typedef void row_fn(const struct bench *b, const struct row *row, struct result *r);

struct row {
	const char *name;
	row_fn *run;
	enum unit unit;
	double bar; /* 0: none */
	struct load *(*start)(const struct load_config *c);
	uint64_t (*round)(struct load *l);
	struct load_config cfg;
	bool is_large; /* not under callgrind */
};

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static int descending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x < y) - (x > y);
}

static void result_of(double *v, uint32_t n, struct result *r)
{
	qsort(v, n, sizeof(*v), descending);
	r->best = v[0];
	r->median = v[n / 2];
}

/* What callgrind counts is what is called from here. External, so that it has a name. */
uint64_t tcp_measured(const struct row *row, struct load *l);
__attribute__((noinline)) uint64_t tcp_measured(const struct row *row, struct load *l)
{
	uint64_t done = row->round(l);

	/* No tail call: callgrind has to see the end. */
	__asm__ volatile("" : : : "memory");
	return done;
}

/* So much was done in each second of processor time. */
static void run_rate(const struct bench *b, const struct row *row, struct result *r)
{
	struct load *l = row->start(&row->cfg);
	double rate[RUNS], scale = row->unit == UNIT_BIT_S ? 8e9 : 1e9;
	uint64_t n = 0;

	if (b->callgrind) {
		for (uint32_t i = 0; i < COUNTED_ROUNDS; i++)
			n += tcp_measured(row, l);
		printf("done %llu\n", (unsigned long long)(row->unit == UNIT_BIT_S ? n / 1024 : n));
		return;
	}
	for (uint32_t run = 0; run < RUNS + WARM_UP; run++) {
		uint64_t start = cpu_ns(), end, done = 0;

		do {
			done += tcp_measured(row, l);
			end = cpu_ns();
		} while (end - start < RUN_NS);
		if (run >= WARM_UP)
			rate[run - WARM_UP] = (double)done * scale / (double)(end - start);
	}
	result_of(rate, RUNS, r);
	load_end(l);
}

/* Processor time of the clock's. */
static void run_share(const struct bench *b, const struct row *row, struct result *r)
{
	struct load *l = row->start(&row->cfg);
	uint64_t start = cpu_ns(), passed = row->round(l);

	(void)b;
	r->best = r->median = 100.0 * (double)(cpu_ns() - start) / (double)passed;
	load_end(l);
}

/* An end of a connection, and whatever else there is divided by all of them. */
static void run_memory(const struct bench *b, const struct row *row, struct result *r)
{
	uint64_t before = resident_bytes();
	struct load *l = row->start(&row->cfg);

	(void)b;
	r->best = r->median = (double)(resident_bytes() - before) / (2.0 * row->cfg.n);
	load_end(l);
}

static void run_half_open(const struct bench *b, const struct row *row, struct result *r)
{
	(void)b;
	(void)row;
	r->best = r->median = sizeof(struct tcp_half_open);
}

static void run_time_wait(const struct bench *b, const struct row *row, struct result *r)
{
	(void)b;
	(void)row;
	r->best = r->median = sizeof(struct tcp_time_wait);
}

/* Copy and sum, sum, copy. */
static void run_yardstick(const struct bench *b, const struct row *row, struct result *r)
{
	static uint8_t window[3][131072];
	double rate[RUNS];
	volatile uint32_t sink = 0;

	(void)b;
	(void)row;
	for (uint32_t run = 0; run < RUNS; run++) {
		uint64_t start = cpu_ns(), end, bytes = 0;

		do {
			for (uint32_t at = 0; at + 1448 <= sizeof(window[0]); at += 1448) {
				memcpy(window[1] + at, window[0] + at, 1448);
				sink += checksum_add(0, window[1] + at, 1448);
				sink += checksum_add(0, window[1] + at, 1448);
				memcpy(window[2] + at, window[1] + at, 1448);
				bytes += 1448;
			}
			end = cpu_ns();
		} while (end - start < RUN_NS);
		rate[run] = (double)bytes * 8e9 / (double)(end - start);
	}
	(void)sink; /* nobody reads it, but it is made */
	result_of(rate, RUNS, r);
}

#define BULK(...) \
	.run = run_rate, .unit = UNIT_BIT_S, .start = bulk_start, .round = bulk_round, .cfg = { .n = 1, __VA_ARGS__ }
#define WORK(what, ...) \
	.run = run_rate, .unit = UNIT_PER_S, .start = what##_start, .round = what##_round, \
	.cfg = { .pair.window = 65536, __VA_ARGS__ }
#define MANY 1000000u

static const struct row rows[] = {
	{ "tcp-yardstick", .run = run_yardstick, .unit = UNIT_BIT_S, .is_large = true },
	{ "tcp-bulk", .bar = 30e9, BULK(.pair.window = 131072) },
	{ "tcp-bulk-in-place", .bar = 38e9, BULK(.pair.window = 131072, .calls = LOAD_IN_PLACE) },
	{ "tcp-bulk-4m", BULK(.pair.window = 4 << 20) },
	{ "tcp-bulk-64k", .bar = 60e9, BULK(.pair.window = 524288, .pair.mtu = UINT16_MAX) },
	{ "tcp-bulk-64k-in-place", .bar = 100e9,
	  BULK(.pair.window = 524288, .pair.mtu = UINT16_MAX, .calls = LOAD_IN_PLACE) },
	{ "tcp-connections-16", .bar = 500e3, WORK(connections, .n = 16) },
	{ "tcp-connections-1000", .bar = 500e3, WORK(connections, .n = 1000) },
	{ "tcp-connections-idle-1m", .bar = 300e3, .is_large = true, WORK(connections, .n = 1000, .n_idle = MANY) },
	{ "tcp-connections-acks-wait-16", .bar = 500e3, WORK(connections, .n = 16, .pair.acks_wait = true) },
	{ "tcp-connections-acks-wait-1000", .bar = 500e3, WORK(connections, .n = 1000, .pair.acks_wait = true) },
	{ "tcp-requests-64", .bar = 2e6, WORK(requests, .n = 64) },
	{ "tcp-requests-10000", .bar = 1.2e6, .is_large = true, WORK(requests, .n = 10000) },
	{ "tcp-requests-1m", .bar = 0.6e6, .is_large = true, WORK(requests, .n = MANY) },
	{ "tcp-host-bulk", BULK(.pair.window = 131072, .pair.second = PAIR_GATEWAY) },
	{ "tcp-host-requests", WORK(requests, .n = 64, .pair.second = PAIR_GATEWAY) },
	{ "udp-echo", WORK(echo, .n = 32) },
	{ "tcp-idle-bytes", .run = run_memory, .unit = UNIT_BYTES, .bar = 512, .start = idle_start,
	  .cfg = { .n = MANY, .pair = { .window = 65536, .sockets = true } } },
	{ "tcp-half-open-bytes", .run = run_half_open, .unit = UNIT_BYTES, .bar = 96 },
	{ "tcp-time-wait-bytes", .run = run_time_wait, .unit = UNIT_BYTES, .bar = 64 },
	{ "tcp-idle-keepalive", .run = run_share, .unit = UNIT_SHARE, .bar = 1, .start = idle_start,
	  .round = idle_round, .cfg = { .n = MANY, .pair = { .window = 65536, .sockets = true } } },
};

/* Of one unit: a connection, a request, a kilobyte. */
static void count_instructions(const struct bench *b, const struct row *row, struct result *r)
{
	if (row->run == run_rate && !row->is_large)
		r->instructions = callgrind_count(b->self, "tcp_measured", row->name);
}

static void print(const struct row *row, const struct result *r)
{
	printf("{\"row\": \"%s\", \"unit\": \"%s\", \"best\": %.3f, \"median\": %.3f, \"bar\": %.0f", row->name,
	       unit_names[row->unit], r->best, r->median, row->bar);
	if (r->instructions != 0)
		printf(", \"instructions\": %llu", (unsigned long long)r->instructions);
	printf("}\n");
	fflush(stdout);
}

static bool is_wanted(const char *name, char *const *names, int n)
{
	bool wanted = n == 0;

	for (int i = 0; i < n; i++)
		wanted |= strcmp(names[i], name) == 0;
	return wanted;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "instructions", no_argument, NULL, 'i' },
		{ "under-callgrind", no_argument, NULL, 'c' },
		{ 0 },
	};
	struct bench b = { .self = argv[0] };

	for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (o == '?')
			return 2;
		*(o == 'i' ? &b.instructions : &b.callgrind) = true;
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct result r = { 0 };

		if (!is_wanted(rows[i].name, argv + optind, argc - optind))
			continue;
		if (b.instructions)
			count_instructions(&b, &rows[i], &r);
		rows[i].run(&b, &rows[i], &r);
		if (!b.callgrind)
			print(&rows[i], &r);
	}
	return 0;
}
