/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a packet costs in memory, on one core: the slow path from receive to send
 * beside the yardstick, and what a flow costs in bytes.
 *
 *   memory [--instructions] [ROW...]
 *
 * prints a line of JSON a row on stdout and a table on stderr. Without ROW: all.
 *
 * A round is some hundred rings of 2,048 packets, each timed by itself, since the
 * frames are made in between. A ring during which the kernel gave the core to
 * somebody else is left out. Rounds of the gateway and of the yardstick take
 * turns, so that a machine that slows down slows both; a row is the median of its
 * rounds.
 *
 * New flows: as many end as begin. Their timeout and the gateway's clock are such
 * that the number in the table stands still while the round lasts; ending them is
 * part of what is measured.
 *
 * Memory a flow: what the process has grown by in resident memory, once every flow
 * has been used both ways; so it has tables, timers, port maps and flow cache entries in it
 * and whatever else is touched.
 *
 * --instructions runs each row that is small enough once more under callgrind.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "callgrind.h"
#include "resident.h"
#include "yardstick.h"

#define ROUNDS 7
#define ROUND_RINGS 100u
#define MIN_CAPACITY 262144u
#define GROWN_FLOWS 10000000u

enum row_kind { ROW_ESTABLISHED, ROW_NEW, ROW_BYTES };

static const struct row {
	const char *name;
	enum row_kind kind;
	uint8_t proto;
	uint32_t n_flows;
	double bar; /* times the yardstick, at most; ROW_NEW: flows a second, or a part of the row before, at least;
		     * ROW_BYTES: bytes, at most */
	uint32_t vpp_clocks; /* VPP NAT44-ED on the same kind of machine */
	double vpp_part;     /* of those, what we should need at most */
	uint32_t timeout_s;  /* ROW_NEW */
} rows[] = {
	{ "memory-udp-1", ROW_ESTABLISHED, IPPROTO_NR_UDP, 1, 3, 303, 0.5, 0 },
	{ "memory-udp-1000", ROW_ESTABLISHED, IPPROTO_NR_UDP, 1000, 3, 456, 0.5, 0 },
	{ "memory-udp-64000", ROW_ESTABLISHED, IPPROTO_NR_UDP, 64000, 3, 1203, 0.25, 0 },
	{ "memory-udp-1000000", ROW_ESTABLISHED, IPPROTO_NR_UDP, 1000000, 4, 1501, 0.25, 0 },
	{ "memory-udp-10000000", ROW_ESTABLISHED, IPPROTO_NR_UDP, GROWN_FLOWS, 4, 0, 0, 0 },
	{ "memory-tcp-64000", ROW_ESTABLISHED, IPPROTO_NR_TCP, 64000, 4, 0, 0, 0 },
	{ "memory-new-10000", ROW_NEW, IPPROTO_NR_UDP, 10000, 2e6, 0, 0, 1 },
	{ "memory-new-8000000", ROW_NEW, IPPROTO_NR_UDP, 8000000, 0.7, 0, 0, 8 },
	{ "memory-flow-bytes", ROW_BYTES, IPPROTO_NR_UDP, GROWN_FLOWS, 224, 0, 0, 0 },
};

struct result {
	bool wanted, done;
	double clocks[ROUNDS], yardstick[ROUNDS];
	double bytes;
	uint64_t instructions; /* a packet; 0: not counted */
};

struct bench {
	double clocks_per_ns;
	bool callgrind; /* runs under it: one short round */
	bool instructions;
	const char *self;
	struct result result[ARRAY_LEN(rows)];
};

static double tsc_per_ns(void)
{
	struct timespec a, b;
	uint64_t t0, t1;
	double ns;

	clock_gettime(CLOCK_MONOTONIC_RAW, &a);
	t0 = __rdtsc();
	do {
		clock_gettime(CLOCK_MONOTONIC_RAW, &b);
		t1 = __rdtsc();
		ns = (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
	} while (ns < 1e8);
	return (double)(t1 - t0) / ns;
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct spread {
	double median, min, max;
};

static struct spread spread_of(const double *v, uint32_t n)
{
	double sorted[ROUNDS];

	memcpy(sorted, v, n * sizeof(*v));
	qsort(sorted, n, sizeof(*sorted), compare_double);
	return (struct spread){ sorted[n / 2], sorted[0], sorted[n - 1] };
}

/* Rounds. */

/* What callgrind counts is what is called from here. External, so that it has a name. */
void memory_measured(struct fixture *r);
__attribute__((noinline)) void memory_measured(struct fixture *r)
{
	fixture_run(r);
	/* No tail call: callgrind has to see the end. */
	__asm__ volatile("" : : : "memory");
}

static long times_pushed_aside(void)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	return u.ru_nivcsw;
}

/* Clocks a packet. y: the yardstick instead of the gateway. */
static double run_round(struct fixture *r, struct yardstick *y, void (*fill)(struct fixture *), uint32_t n_rings)
{
	uint64_t clocks = 0, n = 0;

	/* The first ring finds the caches as somebody else left them. */
	for (uint32_t i = 0; i <= n_rings; i++) {
		fill(r);
		long before = times_pushed_aside();
		uint64_t t0 = __rdtsc();

		if (y == NULL)
			memory_measured(r);
		else if (yardstick_run(y, r) < FIXTURE_RING / 2)
			abort();
		uint64_t t1 = __rdtsc();

		if (i == 0 || (times_pushed_aside() != before && n_rings - i > n))
			continue;
		clocks += t1 - t0;
		n++;
	}
	return (double)clocks / (double)(n * FIXTURE_RING);
}

static void run_established(struct bench *b, const struct row *row, struct fixture *r, struct result *res)
{
	uint32_t capacity = max_u32(MIN_CAPACITY, row->n_flows);
	struct yardstick *y;

	if (b->callgrind) {
		(void)run_round(r, NULL, fixture_fill_random, 3);
		return;
	}
	y = yardstick_new(r, capacity);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		res->yardstick[i] = run_round(r, y, fixture_fill_unsent, ROUND_RINGS);
		res->clocks[i] = run_round(r, NULL, fixture_fill_random, ROUND_RINGS);
	}
	yardstick_free(y);
	res->done = true;
}

static void run_new(struct bench *b, const struct row *row, struct result *res)
{
	/* A tenth more than are present, since they end in bursts, a tick at a time. */
	struct fixture *r = fixture_start(row->proto, max_u32(MIN_CAPACITY, row->n_flows / 10 * 12), 1, row->timeout_s);
	uint32_t n_fill = row->n_flows / FIXTURE_RING + 1;

	r->step_ns = (uint64_t)row->timeout_s * NS_PER_S * BATCH_MAX / row->n_flows;
	for (uint32_t i = 0; i < 2 * n_fill; i++) {
		fixture_fill_new(r);
		fixture_run(r);
	}
	for (uint32_t i = 0; i < (b->callgrind ? 1 : ROUNDS); i++)
		res->clocks[i] = run_round(r, NULL, fixture_fill_new, b->callgrind ? 9 : ROUND_RINGS * 4);
	fprintf(stderr, "%s: %u flows present\n", row->name, conntrack_n_connections(gateway_conntrack(r->gw)));
	res->done = !b->callgrind;
	fixture_stop(r);
}

/* The rows that talk on established flows; rows of equal size share a gateway. */
static void run_fixture(struct bench *b, size_t first)
{
	const struct row *row = &rows[first];
	struct fixture *r = fixture_start(row->proto, max_u32(MIN_CAPACITY, row->n_flows), row->n_flows, 0);
	uint64_t before = resident_bytes();

	fixture_establish(r, row->n_flows);
	for (size_t i = first; i < ARRAY_LEN(rows); i++) {
		struct result *res = &b->result[i];

		if (rows[i].n_flows != row->n_flows || rows[i].proto != row->proto || !res->wanted || res->done)
			continue;
		if (rows[i].kind == ROW_BYTES) {
			res->bytes = (double)(resident_bytes() - before) / row->n_flows;
			res->done = true;
		} else if (rows[i].kind == ROW_ESTABLISHED) {
			run_established(b, &rows[i], r, res);
		}
	}
	fixture_stop(r);
}

/* Instructions. */

/* Larger tables cost no more instructions, but minutes. */
#define CALLGRIND_FLOWS_MAX 64000u

static void count_instructions(struct bench *b, const struct row *row, struct result *res)
{
	if (row->kind == ROW_BYTES || row->n_flows > CALLGRIND_FLOWS_MAX)
		return;
	uint32_t rings = row->kind == ROW_NEW ? 10 : 4;

	res->instructions = callgrind_count(b->self, "memory_measured", row->name) / (rings * FIXTURE_RING);
}

/* Results. */

static void print_json(const struct bench *b, const struct row *row, const struct result *res)
{
	struct spread c = spread_of(res->clocks, ROUNDS), y = spread_of(res->yardstick, ROUNDS);

	printf("{\"row\":\"%s\"", row->name);
	if (row->kind == ROW_BYTES) {
		printf(",\"bytes\":%.1f,\"bar\":%g}\n", res->bytes, row->bar);
		return;
	}
	printf(",\"clocks\":%.1f,\"min\":%.1f,\"max\":%.1f,\"ns\":%.1f,\"tsc_ghz\":%.3f", c.median, c.min, c.max,
	       c.median / b->clocks_per_ns, b->clocks_per_ns);
	if (row->kind == ROW_NEW) {
		const struct result *base = &b->result[row - rows - 1];
		double per_s = b->clocks_per_ns * 1e9 / c.median;

		printf(",\"per_s\":%.0f", per_s);
		if (row->bar <= 1 && base->done)
			printf(",\"ratio\":%.3f", spread_of(base->clocks, ROUNDS).median / c.median);
	} else {
		printf(",\"yardstick\":%.1f,\"ratio\":%.2f", y.median, c.median / y.median);
	}
	if (row->vpp_clocks != 0)
		printf(",\"vpp_clocks\":%u,\"vpp_ratio\":%.3f,\"vpp_bar\":%g", row->vpp_clocks,
		       c.median / row->vpp_clocks, row->vpp_part);
	if (res->instructions != 0)
		printf(",\"instructions\":%llu", (unsigned long long)res->instructions);
	printf(",\"bar\":%g}\n", row->bar);
}

static void print_table_row(const struct bench *b, const struct row *row, const struct result *res)
{
	struct spread c = spread_of(res->clocks, ROUNDS), y = spread_of(res->yardstick, ROUNDS);
	char reached[64], vpp[64] = "", instructions[32] = "";

	if (row->kind == ROW_BYTES) {
		fprintf(stderr, "%-20s %37.1f bytes a flow, bar %g\n", row->name, res->bytes, row->bar);
		return;
	}
	if (row->kind == ROW_ESTABLISHED)
		snprintf(reached, sizeof(reached), "%5.1f %5.2f x <= %g", y.median, c.median / y.median, row->bar);
	else
		snprintf(reached, sizeof(reached), "%8.2f M/s      ", b->clocks_per_ns * 1e3 / c.median);
	if (row->vpp_clocks != 0)
		snprintf(vpp, sizeof(vpp), "VPP %u x %.2f <= %g", row->vpp_clocks, c.median / row->vpp_clocks,
			 row->vpp_part);
	if (res->instructions != 0)
		snprintf(instructions, sizeof(instructions), "%llu", (unsigned long long)res->instructions);
	fprintf(stderr, "%-20s %7.1f (%.1f-%.1f) %7.1f %7s  %s  %s\n", row->name, c.median, c.min, c.max,
		c.median / b->clocks_per_ns, instructions, reached, vpp);
}

static void print_results(const struct bench *b)
{
	fprintf(stderr, "%-20s %7s (min-max) %10s %7s  %s\n", "row", "clocks", "ns", "instr.", "yardstick ratio");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (b->result[i].done)
			print_table_row(b, &rows[i], &b->result[i]);
	fprintf(stderr, "clocks a packet of the TSC, %.3f GHz\n", b->clocks_per_ns);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (b->result[i].done)
			print_json(b, &rows[i], &b->result[i]);
}

static bool choose_rows(struct bench *b, char **names, int n)
{
	for (size_t i = 0; n == 0 && i < ARRAY_LEN(rows); i++)
		b->result[i].wanted = true;
	for (int k = 0; k < n; k++) {
		bool known = false;

		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			if (strcmp(rows[i].name, names[k]) == 0)
				known = b->result[i].wanted = true;
		if (!known) {
			fprintf(stderr, "memory: no row %s; there are:\n", names[k]);
			for (size_t i = 0; i < ARRAY_LEN(rows); i++)
				fprintf(stderr, "  %s\n", rows[i].name);
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "instructions", no_argument, NULL, 'i' },
		{ "under-callgrind", no_argument, NULL, 'c' },
		{ 0 },
	};
	static struct bench b;

	b.self = argv[0];
	for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (o == '?')
			return 2;
		*(o == 'i' ? &b.instructions : &b.callgrind) = true;
	}
	if (!choose_rows(&b, argv + optind, argc - optind))
		return 2;
	b.clocks_per_ns = b.callgrind ? 1 : tsc_per_ns();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct result *res = &b.result[i];

		if (!res->wanted || res->done)
			continue;
		if (b.instructions)
			count_instructions(&b, &rows[i], res);
		if (rows[i].kind == ROW_NEW)
			run_new(&b, &rows[i], res);
		else
			run_fixture(&b, i);
	}
	if (!b.callgrind)
		print_results(&b);
	return 0;
}
