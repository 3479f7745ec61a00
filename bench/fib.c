/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The FIB under a full Internet table: how long the table takes to load, what
 * memory it needs, and what a look-up and a change cost.
 *
 *   fib [prefixes]       prefixes: a file of one prefix a line, "10.0.0.0/8"; IPv6 is passed over
 *
 * Without a file a table with the Internet's distribution of lengths is made up
 * from a fixed seed, and a row says so. Look-ups are set against random reads of
 * an array of the same size as what they read, in the same run and alternately:
 * nothing that answers out of such a table can be quicker than one such read. A
 * row is the median of RUNS; each has a line of JSON.
 *
 * Next: src/stack/ip/fib.c, src/routing/rib/rib.c
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/rng.h"
#include "base/util.h"
#include "stack/ip/fib.h"
#include "routing/rib/rib.h"

#define RUNS 9
#define N_LOOKUPS (1u << 20)
#define LOOKUPS_A_CALL 64u /* as a batch of packets has them */
#define N_NEXTHOPS 64u
#define N_SLASH16 25394u /* that hold longer prefixes */

struct table {
	struct ip4_prefix *prefix;
	size_t n, cap;
};

/* Routes of the Internet by length, October 2025; hosts aside. */
static const uint32_t n_of_len[33] = {
	[8] = 16,      [9] = 13,     [10] = 38,     [11] = 103,   [12] = 299,   [13] = 581,   [14] = 1203,
	[15] = 2100,   [16] = 13490, [17] = 8235,   [18] = 13798, [19] = 24870, [20] = 42611, [21] = 50750,
	[22] = 108623, [23] = 96510, [24] = 537698, [25] = 20,    [26] = 3,     [27] = 11,    [28] = 18,
	[29] = 17,     [30] = 3,     [31] = 3,      [32] = 886,
};

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void row(const char *name, double value, const char *unit)
{
	printf("{\"row\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"}\n", name, value, unit);
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v)
{
	qsort(v, RUNS, sizeof(*v), compare_double);
	return v[RUNS / 2];
}

static void table_add(struct table *t, struct ip4_prefix p)
{
	if (t->n == t->cap) {
		t->cap = t->cap != 0 ? 2 * t->cap : 1024;
		t->prefix = realloc(t->prefix, t->cap * sizeof(*t->prefix));
		if (t->prefix == NULL)
			abort();
	}
	t->prefix[t->n++] = p;
}

static bool parse_prefix(const char *line, struct ip4_prefix *p)
{
	size_t used = ip4_parse(line, strlen(line), &p->addr);
	char *end;

	if (used == 0 || line[used] != '/')
		return false;
	unsigned long len = strtoul(line + used + 1, &end, 10);

	p->len = (uint8_t)len;
	return *end == '\0' && len <= 32 && (p->addr & ~ip4_mask(p->len)) == 0;
}

/* False, and said why, when the file cannot be read or has a line that is no prefix. */
static bool table_read(struct table *t, const char *path)
{
	FILE *f = fopen(path, "r");
	char line[128];
	size_t n = 0;

	if (f == NULL) {
		fprintf(stderr, "fib: %s: %m\n", path);
		return false;
	}
	while (fgets(line, sizeof(line), f) != NULL) {
		struct ip4_prefix p;

		n++;
		line[strcspn(line, " \t\r\n")] = '\0';
		if (line[0] == '\0' || strchr(line, ':') != NULL)
			continue;
		if (!parse_prefix(line, &p)) {
			fprintf(stderr, "fib: %s: line %zu is no prefix\n", path, n);
			fclose(f);
			return false;
		}
		table_add(t, p);
	}
	fclose(f);
	return t->n > 0;
}

/* As many prefixes of each length; the long ones lie in as few /16 as they do out there. */
static void table_make_up(struct table *t)
{
	static uint32_t slash16[N_SLASH16];
	uint8_t seed[RNG_SEED_BYTES] = { 4 };
	struct rng rng;

	rng_init(&rng, seed);
	for (uint32_t i = 0; i < N_SLASH16; i++)
		slash16[i] = (1 + rng_below(&rng, 223)) << 24 | rng_below(&rng, 256) << 16;
	for (uint8_t len = 0; len <= 32; len++) {
		for (uint32_t i = 0; i < n_of_len[len]; i++) {
			uint32_t addr = slash16[rng_below(&rng, N_SLASH16)] | (rng_u32(&rng) & 0xffff);

			table_add(t, (struct ip4_prefix){ addr & ip4_mask(len), len });
		}
	}
}

/* --- load --- */

static struct fib *load_fib(const struct table *t)
{
	struct fib *f = fib_create();

	for (size_t i = 0; f != NULL && i < t->n; i++) {
		/* Neighbours in the table often have the same next hop. */
		struct fib_nexthop nh = { .kind = FIB_UNICAST, .ifindex = 1, .gateway = ip_addr_v4(IP4(10, 0, 0, 1)) };

		nh.gateway.v4 += (uint32_t)(i / 16 % N_NEXTHOPS);
		if (fib_insert(f, t->prefix[i], fib_nexthop_add(f, &nh)) != 0)
			abort();
	}
	return f;
}

static size_t resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	size_t all, resident = 0;

	if (f != NULL && fscanf(f, "%zu %zu", &all, &resident) != 2)
		resident = 0;
	if (f != NULL)
		fclose(f);
	return resident * 4096;
}

static struct fib *bench_load(const struct table *t)
{
	double ms[RUNS];
	struct fib *f = NULL;
	size_t before = 0;

	for (uint32_t k = 0; k < RUNS; k++) {
		fib_destroy(f);
		before = resident_bytes();
		uint64_t start = clock_ns();

		f = load_fib(t);
		ms[k] = (double)(clock_ns() - start) / (double)NS_PER_MS;
	}
	row("fib-prefixes", (double)fib_n_prefixes(f), "prefixes");
	row("fib-load", median(ms), "ms");
	row("fib-memory", (double)fib_bytes(f) / 1e6, "MB");
	row("fib-memory-resident", (double)(resident_bytes() - before) / 1e6, "MB");
	row("fib-memory-of-look-ups", (double)fib_lookup_bytes(f) / 1e6, "MB");
	return f;
}

/* The same routes by the RIB: sorted, resolved over a connected prefix, chosen. */
static void bench_rib(const struct table *t)
{
	double ms[RUNS];

	for (uint32_t k = 0; k < RUNS; k++) {
		uint64_t start = clock_ns();
		struct rib *r = rib_create(RIB_FORWARDS);
		struct rib_route link = {
			.prefix = ip_prefix_v4(IP4(10, 0, 0, 0), 24),
			.nexthop = { .kind = FIB_UNICAST, .ifindex = 1 },
			.source = RIB_CONNECTED,
		};

		rib_set(r, &link);
		for (size_t i = 0; i < t->n; i++) {
			struct rib_route route = { .prefix = ip_prefix_v4(t->prefix[i].addr, t->prefix[i].len),
						   .source = RIB_STATIC,
						   .distance = 1 };

			route.nexthop.kind = FIB_UNICAST;
			route.nexthop.gateway = ip_addr_v4(IP4(10, 0, 0, 1) + (uint32_t)(i / 16 % N_NEXTHOPS));
			if (rib_set(r, &route) != 0)
				abort();
		}
		if (rib_flush(r) != 0)
			abort();
		ms[k] = (double)(clock_ns() - start) / (double)NS_PER_MS;
		rib_release(r);
	}
	row("rib-and-fib-load", median(ms), "ms");
}

/* --- changes of a table in use --- */

#define N_CHANGES (1u << 17)
#define CHANGES_A_GRACE 1024u

/* One of the prefixes is withdrawn and comes back. */
static double run_changes(struct fib *f, const struct table *t, struct rng *rng)
{
	const struct fib_nexthop nh = { .kind = FIB_UNICAST, .ifindex = 1, .gateway = ip_addr_v4(IP4(10, 0, 0, 9)) };
	uint64_t start = clock_ns();

	for (uint32_t i = 0; i < N_CHANGES / 2; i++) {
		struct ip4_prefix p = t->prefix[rng_below(rng, (uint32_t)t->n)];

		if (fib_remove(f, p) != 0 || fib_insert(f, p, fib_nexthop_add(f, &nh)) != 0)
			abort();
		if (i % CHANGES_A_GRACE == 0)
			fib_reclaim(f, fib_grace_begin(f));
	}
	return (double)(clock_ns() - start) / N_CHANGES;
}

static void bench_changes(struct fib *f, const struct table *t)
{
	const struct fib_nexthop nh = { .kind = FIB_UNICAST, .ifindex = 1, .gateway = ip_addr_v4(IP4(10, 0, 0, 8)) };
	const struct ip4_prefix all = { 0, 0 };
	double one[RUNS], def[RUNS];
	uint8_t seed[RNG_SEED_BYTES] = { 6 };
	struct rng rng;

	rng_init(&rng, seed);
	for (uint32_t k = 0; k < RUNS; k++) {
		one[k] = run_changes(f, t, &rng);
		uint64_t start = clock_ns();

		if (fib_insert(f, all, fib_nexthop_add(f, &nh)) != 0)
			abort();
		def[k] = (double)(clock_ns() - start) / (double)NS_PER_MS;
		fib_remove(f, all);
	}
	row("fib-change", median(one), "ns a change of one prefix");
	row("fib-change-default", median(def), "ms for a default route");
}

/* --- look-ups --- */

struct lookups {
	const struct fib *f;
	uint32_t addr[N_LOOKUPS];
	uint32_t place[N_LOOKUPS]; /* in the bare array */
	uint32_t *bare;
	size_t n_bare;
};

static volatile uint32_t sink;

static double ns_each(uint64_t start)
{
	return (double)(clock_ns() - start) / N_LOOKUPS;
}

static double run_batches(const struct lookups *l)
{
	uint64_t start = clock_ns();
	uint32_t nh[LOOKUPS_A_CALL], sum = 0;

	for (uint32_t i = 0; i < N_LOOKUPS; i += LOOKUPS_A_CALL) {
		fib_lookup_batch(l->f, &l->addr[i], nh, LOOKUPS_A_CALL);
		sum += nh[i % LOOKUPS_A_CALL];
	}
	sink = sum;
	return ns_each(start);
}

static double run_one_by_one(const struct lookups *l)
{
	uint64_t start = clock_ns();
	uint32_t sum = 0;

	for (uint32_t i = 0; i < N_LOOKUPS; i++)
		sum += fib_lookup(l->f, l->addr[i]);
	sink = sum;
	return ns_each(start);
}

static double run_bare(const struct lookups *l)
{
	uint64_t start = clock_ns();
	uint32_t sum = 0;

	for (uint32_t i = 0; i < N_LOOKUPS; i++)
		sum += l->bare[l->place[i]];
	sink = sum;
	return ns_each(start);
}

static void bench_lookups(const char *name, const struct lookups *l)
{
	double batches[RUNS], single[RUNS], bare[RUNS];
	char text[64];

	for (uint32_t k = 0; k < RUNS; k++) {
		batches[k] = run_batches(l);
		bare[k] = run_bare(l);
		single[k] = run_one_by_one(l);
	}
	snprintf(text, sizeof(text), "fib-%s", name);
	row(text, median(batches), "ns a look-up, in batches of 64");
	snprintf(text, sizeof(text), "fib-%s-one-by-one", name);
	row(text, median(single), "ns a look-up");
	snprintf(text, sizeof(text), "fib-%s-bare-read", name);
	row(text, median(bare), "ns a read of an array of the same size");
	snprintf(text, sizeof(text), "fib-%s-of-bare", name);
	row(text, 100 * median(bare) / median(batches), "% of the rate of bare reads");
}

static void bench_all_lookups(const struct fib *f, const struct table *t)
{
	static struct lookups l;
	uint8_t seed[RNG_SEED_BYTES] = { 5 };
	struct rng rng;

	rng_init(&rng, seed);
	l.f = f;
	l.n_bare = fib_lookup_bytes(f) / sizeof(*l.bare);
	/* From where base/pool.h has its memory. */
	l.bare = mmap(NULL, l.n_bare * sizeof(*l.bare), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (l.bare == MAP_FAILED)
		abort();
	memset(l.bare, 1, l.n_bare * sizeof(*l.bare));
	for (uint32_t i = 0; i < N_LOOKUPS; i++) {
		l.addr[i] = rng_u32(&rng);
		l.place[i] = rng_below(&rng, (uint32_t)l.n_bare);
	}
	bench_lookups("random", &l);
	for (uint32_t i = 0; i < N_LOOKUPS; i++) {
		struct ip4_prefix p = t->prefix[rng_below(&rng, (uint32_t)t->n)];

		l.addr[i] = p.addr | (rng_u32(&rng) & ~ip4_mask(p.len));
	}
	bench_lookups("drawn", &l);
	munmap(l.bare, l.n_bare * sizeof(*l.bare));
}

int main(int argc, char **argv)
{
	struct table t = { .n = 0 };

	if (argc > 2) {
		fprintf(stderr, "usage: fib [prefixes]\n");
		return 2;
	}
	if (argc == 2 && !table_read(&t, argv[1]))
		return 1;
	if (argc < 2)
		table_make_up(&t);
	printf("{\"row\":\"fib-table\",\"value\":\"%s\"}\n",
	       argc == 2 ? argv[1] : "made up, lengths as in the Internet");
	struct fib *f = bench_load(&t);

	bench_all_lookups(f, &t);
	bench_changes(f, &t);
	fib_destroy(f);
	bench_rib(&t);
	free(t.prefix);
	return 0;
}
