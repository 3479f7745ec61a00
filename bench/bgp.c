/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BGP's table under full tables: neighbours' UPDATEs stand in memory, as a stream would bring them, and are framed,
 * read and applied.
 *
 *   bgp [PREFIXES]       default 1,000,000
 *
 * Prefixes have the Internet's distribution of lengths, attribute sets are some 130,000 a neighbour with one UPDATE
 * each: paths of three to nine numbers, MED, communities of all kinds, drawn from a fixed seed. Streams are made before
 * the clock runs. Times are of this thread's processor; each row has a line of JSON.
 *
 * Next: src/routing/bgp/bgp_table.c
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "resident.h"
#include "routing/bgp/bgp_table.h"
#include "stack/wire/bgp_message.h"
#include "stack/wire/bytes.h"

#define N_NEIGHBOURS 3u
#define PREFIXES_A_SET 8u
#define LOCAL_AS 65000u
#define LOCAL_ADDR IP4(10, 9, 0, 1)

static struct rng rng;

struct stream {
	uint8_t *p;
	size_t len, cap;
	uint32_t n_messages;
};

static double cpu_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void row(const char *name, double value, const char *unit)
{
	printf("{\"row\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"}\n", name, value, unit);
}

/* Thousandths of the Internet's routes by length, October 2025. */
static uint8_t some_length(void)
{
	static const struct {
		uint8_t len;
		uint16_t share;
	} mix[] = { { 24, 599 }, { 22, 120 }, { 23, 107 }, { 21, 56 }, { 20, 47 }, { 19, 27 },
		    { 18, 15 },  { 16, 15 },  { 17, 9 },   { 15, 2 },  { 14, 1 },  { 13, 1 } };
	uint32_t drawn = rng_below(&rng, 1000);

	for (size_t i = 0; i < ARRAY_LEN(mix); i++) {
		if (drawn < mix[i].share)
			return mix[i].len;
		drawn -= mix[i].share;
	}
	return 12;
}

/* Different ones: numbered within their length, and scattered by an odd factor. */
static void draw_prefixes(struct ip4_prefix *p, uint32_t n)
{
	uint32_t n_of_len[33] = { 0 };

	for (uint32_t i = 0; i < n;) {
		uint8_t len = some_length();
		uint32_t number = n_of_len[len]++ * UINT32_C(2654435761);
		uint32_t addr = number << (32 - len);

		if (ip4_is_unicast(addr) && addr >> 24 != 0)
			p[i++] = (struct ip4_prefix){ addr, len };
	}
}

/* --- attributes --- */

static uint8_t *attr(uint8_t *at, uint8_t flags, uint8_t type, uint8_t len)
{
	at[0] = flags;
	at[1] = type;
	at[2] = len;
	return at + 3;
}

static uint8_t *put_path(uint8_t *at, uint32_t as, uint32_t number)
{
	uint8_t n = (uint8_t)(3 + rng_below(&rng, 7)), *v = attr(at, BGP_TRANSITIVE, BGP_AS_PATH, (uint8_t)(2 + 4 * n));

	v[0] = BGP_AS_SEQUENCE;
	v[1] = n;
	for (uint32_t i = 0; i < n; i++)
		bytes_put32(v + 2 + 4 * (size_t)i, i == 0   ? as
						   : i == 1 ? 70000 + rng_below(&rng, 40)
							    : 70000 + rng_below(&rng, 400000));
	bytes_put32(v + 2 + 4 * (n - 1u), 70000 + number);
	return v + 2 + 4 * n;
}

static uint8_t *put_numbers(uint8_t *at, uint8_t type, uint32_t n_words)
{
	uint8_t *v = attr(at, BGP_OPTIONAL | BGP_TRANSITIVE, type, (uint8_t)(4 * n_words));

	for (uint32_t i = 0; i < n_words; i++)
		bytes_put32(v + 4 * (size_t)i,
			    type == BGP_EXT_COMMUNITIES && i == 0 ? 0x0002fde9 : rng_below(&rng, 1 << 24));
	return v + 4 * (size_t)n_words;
}

static size_t make_attrs(uint8_t *out, uint32_t as, uint32_t addr, uint32_t number, uint32_t med)
{
	uint8_t *at = out;

	*attr(at, BGP_TRANSITIVE, BGP_ORIGIN, 1) = rng_below(&rng, 100) < 85 ? BGP_ORIGIN_IGP : BGP_ORIGIN_INCOMPLETE;
	at = put_path(at + 4, as, number);
	bytes_put32(attr(at, BGP_TRANSITIVE, BGP_NEXT_HOP, 4), addr);
	at += 7;
	if (med != 0 || rng_below(&rng, 10) < 4) {
		bytes_put32(attr(at, BGP_OPTIONAL, BGP_MED, 4), med != 0 ? med : rng_below(&rng, 200));
		at += 7;
	}
	if (rng_below(&rng, 100) < 85)
		at = put_numbers(at, BGP_COMMUNITIES, 1 + rng_below(&rng, 10));
	if (rng_below(&rng, 100) < 5)
		at = put_numbers(at, BGP_EXT_COMMUNITIES, 2);
	if (rng_below(&rng, 100) < 20)
		at = put_numbers(at, BGP_LARGE_COMMUNITIES, 3 * (1 + rng_below(&rng, 3)));
	return (size_t)(at - out);
}

/* All prefixes of one neighbour, a set for some eight of them, which lie far apart. */
static void make_stream(struct stream *s, const struct ip4_prefix *all, uint32_t n, uint32_t neighbour, uint32_t med)
{
	uint32_t n_sets = (n + PREFIXES_A_SET - 1) / PREFIXES_A_SET;
	struct ip4_prefix some[PREFIXES_A_SET];
	uint8_t attrs[512];

	s->cap = (size_t)n_sets * 400;
	s->p = malloc(s->cap);
	if (s->p == NULL)
		abort();
	for (uint32_t i = 0; i < n_sets; i++) {
		struct bgp_update_job job = { .attrs = attrs, .nlri = some };

		for (uint32_t k = i; k < n; k += n_sets)
			some[job.n_nlri++] = all[k];
		job.attrs_len = make_attrs(attrs, 65001 + neighbour, LOCAL_ADDR + 10 + neighbour, i, med);
		s->len += bgp_update_emit(s->p + s->len, &job);
		s->n_messages++;
	}
}

/* --- the table --- */

static uint64_t n_changes;

static void count_change(void *user, const struct bgp_change *c)
{
	n_changes++;
}

static void feed(struct bgp_table *t, uint32_t source, const struct stream *s)
{
	static struct bgp_message m;
	const struct bgp_wire w = { .local_as = LOCAL_AS,
				    .peer_as = 65001 + source,
				    .local_id = LOCAL_ADDR,
				    .local_addr = LOCAL_ADDR,
				    .role = BGP_ROLE_NONE,
				    .as4 = true };
	size_t len;

	for (size_t at = 0; at < s->len; at += len) {
		if (bgp_frame(s->p + at, s->len - at, &len, &m.error) != BGP_FRAME_WHOLE)
			abort();
		enum bgp_disposition d = bgp_message_parse(&w, BGP_ESTABLISHED, s->p + at, len, &m);

		if (d != BGP_ACCEPT)
			abort();
		bgp_table_update(t, source, &m.update, d, 0);
	}
}

static struct bgp_table *begin(uint32_t n_neighbours)
{
	static const struct siphash_key key = { 1, 2 };
	static const struct bgp_table_limits limits = { 0 };
	struct bgp_table *t;

	if (bgp_table_create(&t, &limits, BGP_MED_SAME_AS, &key) != 0 ||
	    !bgp_table_add_reader(t, &(struct bgp_reader){ BGP_READS_BEST, count_change, NULL, &n_changes }))
		abort();
	for (uint32_t i = 0; i < n_neighbours; i++)
		(void)bgp_table_add_source(
			t, &(struct bgp_source){ BGP_EXTERNAL, LOCAL_ADDR + 10 + i, LOCAL_ADDR + 10 + i });
	return t;
}

/* What decided, of all prefixes. */
static void count_steps(const struct bgp_table *t, const struct ip4_prefix *all, uint32_t n)
{
	static struct bgp_prefix_view v;
	uint32_t n_of[N_BGP_STEPS] = { 0 };

	for (uint32_t i = 0; i < n; i++) {
		struct bgp_path_view best = bgp_table_best(t, all[i]);

		bgp_table_look(t, all[i], &v);
		if (v.n == 0 || v.path[v.best].set != best.set || bgp_table_set(t, best.set)->n_refs == 0)
			abort();
		n_of[v.step]++;
	}
	for (uint32_t i = 0; i < N_BGP_STEPS; i++)
		if (n_of[i] > 0)
			fprintf(stderr, "decided by %s: %u\n", bgp_step_name((enum bgp_step)i), n_of[i]);
}

static void load(const struct stream *s, uint32_t n_neighbours, const struct ip4_prefix *all, uint32_t n)
{
	uint64_t before = resident_bytes();
	struct bgp_table *t = begin(n_neighbours);
	double start = cpu_s();
	char name[64];

	n_changes = 0;
	for (uint32_t i = 0; i < n_neighbours; i++)
		feed(t, i, &s[i]);
	double took = cpu_s() - start, bytes = (double)(resident_bytes() - before);
	struct bgp_table_stats stats = bgp_table_stats(t);

	if (stats.n_paths != n * n_neighbours || stats.n_no_room != 0)
		abort();
	snprintf(name, sizeof(name), "bgp-load-%u", n_neighbours);
	row(name, took * 1e3, "ms of CPU");
	snprintf(name, sizeof(name), "bgp-load-%u-path", n_neighbours);
	row(name, took * 1e9 / stats.n_paths, "ns a path");
	snprintf(name, sizeof(name), "bgp-load-%u-memory", n_neighbours);
	row(name, bytes / 1e6, "MB");
	snprintf(name, sizeof(name), "bgp-load-%u-sets", n_neighbours);
	row(name, stats.n_sets, "sets");
	snprintf(name, sizeof(name), "bgp-load-%u-best", n_neighbours);
	row(name, (double)n_changes, "changes of a best path");
	if (n_neighbours == N_NEIGHBOURS) {
		count_steps(t, all, n);
		/* Said again with another MED, then the one with most of the best dies, in slices as a thread would
		 * have it. */
		start = cpu_s();
		feed(t, 1, &s[N_NEIGHBOURS]);
		row("bgp-churn-path", (cpu_s() - start) * 1e9 / n, "ns a path");
		double longest = 0;
		start = cpu_s();
		for (bool done = false; !done;) {
			double slice = cpu_s();

			done = bgp_table_drop(t, 0, 4096);
			slice = cpu_s() - slice;
			longest = slice > longest ? slice : longest;
		}
		row("bgp-dead", (cpu_s() - start) * 1e3, "ms of CPU");
		row("bgp-dead-slice", longest * 1e3, "ms, the longest of 4,096 prefixes");
	}
	bgp_table_destroy(t);
}

int main(int argc, char **argv)
{
	static struct stream s[N_NEIGHBOURS + 1];
	const uint8_t seed[RNG_SEED_BYTES] = { 42 };
	uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
	struct ip4_prefix *all = malloc(n * sizeof(*all));

	if (all == NULL || n == 0)
		return 2;
	rng_init(&rng, seed);
	draw_prefixes(all, n);
	for (uint32_t i = 0; i < N_NEIGHBOURS; i++)
		make_stream(&s[i], all, n, i, 0);
	make_stream(&s[N_NEIGHBOURS], all, n, 1, 7);
	row("bgp-messages", s[0].n_messages, "UPDATEs a neighbour");
	row("bgp-bytes", (double)s[0].len / 1e6, "MB a neighbour");
	load(s, 1, all, n);
	load(s, N_NEIGHBOURS, all, n);
	for (uint32_t i = 0; i <= N_NEIGHBOURS; i++)
		free(s[i].p);
	free(all);
	return 0;
}
