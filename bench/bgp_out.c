/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What neighbours are told of a full table (update groups), and tables of many neighbours.
 *
 *   bgp_out [PREFIXES]       default 1,000,000
 *
 * A table is loaded from UPDATEs in memory (bgp_stream.h); then neighbours come up and read, in calls of 64 KiB, into
 * memory that is thrown away. Times are of this thread's processor, all of it: what the table does when a neighbour
 * dies is in them. Each row is a line of JSON.
 *
 * Next: src/routing/bgp/bgp_groups.c
 */
#include <stdlib.h>
#include <string.h>

#include "bgp_stream.h"
#include "resident.h"
#include "routing/bgp/bgp_groups.h"

#define FIRST_READER 100u /* numbers of neighbours that announce nothing */
#define READERS_MAX 10u

static struct bgp_table *table;
static struct bgp_groups *groups;
static double longest_s; /* a call */

static struct reader {
	uint32_t source, member;
	bool is_up, is_awake, is_dumped, is_asleep; /* the last: it does not read at all */
	uint64_t n_bytes, n_messages;
} reader[READERS_MAX];

static void terms(void *user, const struct bgp_outbound_peer *peer, struct bgp_group_terms *t)
{
	t->export = bgp_export_all;
}

static void wake(void *user, uint32_t neighbor)
{
	reader[neighbor - FIRST_READER].is_awake = true;
}

static uint32_t add_source(uint32_t i)
{
	uint32_t source = bgp_table_add_source(
		table, &(struct bgp_source){ BGP_EXTERNAL, BENCH_PEER_ADDR(i), BENCH_PEER_ADDR(i) });

	if (source == BGP_SOURCE_NONE)
		abort();
	return source;
}

static void begin(uint32_t n_neighbours)
{
	static const struct siphash_key key = { 1, 2 };
	static const struct bgp_table_limits limits = { 0 };
	struct bgp_groups_config c = { .terms = terms, .wake = wake };

	memset(reader, 0, sizeof(reader));
	if (bgp_table_create(&table, &limits, BGP_MED_SAME_AS, &key) != 0)
		abort();
	c.table = table;
	if (bgp_groups_create(&groups, &c) != 0)
		abort();
	for (uint32_t i = 0; i < n_neighbours; i++)
		if (add_source(i) != i)
			abort();
}

static void end(void)
{
	bgp_groups_destroy(groups);
	bgp_table_destroy(table);
}

static void come_up(uint32_t i)
{
	static const struct bgp_neighbor_config config;
	struct reader *r = &reader[i];
	struct bgp_outbound_peer peer = { .neighbor = FIRST_READER + i,
					  .config = &config,
					  .wire = { .local_as = BENCH_LOCAL_AS, .peer_as = 65001 + i, .as4 = true },
					  .local_addr = BENCH_LOCAL_ADDR };

	*r = (struct reader){ .is_up = true, .is_awake = true, .source = add_source(FIRST_READER + i) };
	peer.source = r->source;
	if (bgp_groups_slot.up(groups, &peer, &r->member) != 0)
		abort();
}

static void leave(uint32_t i)
{
	bgp_groups_slot.down(groups, reader[i].member);
	if (!bgp_table_drop(table, reader[i].source, UINT32_MAX))
		abort();
	reader[i].is_up = false;
}

static uint32_t count_messages(const uint8_t *p, size_t n)
{
	uint32_t count = 0;

	for (size_t at = 0; at < n; at += (size_t)(p[at + 16] << 8 | p[at + 17]))
		count++;
	return count;
}

/* One call. True: there was something. */
static bool hear(struct reader *r)
{
	static uint8_t buf[65536];

	if (!r->is_up || !r->is_awake || r->is_asleep)
		return false;
	double start = bench_cpu_s();
	size_t n = bgp_groups_slot.next(groups, r->member, buf, sizeof(buf));
	double took = bench_cpu_s() - start;

	longest_s = took > longest_s ? took : longest_s;
	r->is_awake = n > 0;
	r->n_bytes += n;
	r->n_messages += count_messages(buf, n);
	r->is_dumped = r->is_dumped || bgp_groups_slot.is_dumped(groups, r->member);
	return true;
}

static void work(void)
{
	double start = bench_cpu_s();

	(void)bgp_groups_work(groups);
	double took = bench_cpu_s() - start;

	longest_s = took > longest_s ? took : longest_s;
}

/* Until all that read have all. Returns the time of the processor. */
static double settle(void)
{
	double start = bench_cpu_s();

	for (bool any = true; any;) {
		any = false;
		for (uint32_t i = 0; i < READERS_MAX; i++)
			any = hear(&reader[i]) || any;
		work();
		any = any || bgp_groups_has_work(groups);
		for (uint32_t i = 0; i < READERS_MAX; i++)
			any = any || (reader[i].is_up && reader[i].is_awake && !reader[i].is_asleep);
	}
	return bench_cpu_s() - start;
}

static double feed_all(uint32_t source, const struct bgp_stream *s)
{
	double start = bench_cpu_s();
	size_t at = 0;

	(void)bgp_stream_feed(table, source, s, &at, 0);
	return bench_cpu_s() - start;
}

/* The whole table to new neighbours. */
static void dump(const struct bgp_stream *s, uint32_t n)
{
	begin(1);
	(void)feed_all(0, s);
	uint64_t before = resident_bytes();
	struct bgp_groups_view v;

	longest_s = 0;
	come_up(0);
	double one = settle();
	bgp_groups_look(groups, reader[0].member, &v);
	if (!reader[0].is_dumped || v.n_told != n)
		abort();
	bench_row("bgp-out-dump", one * 1e3, "ms of CPU");
	bench_row("bgp-out-dump-messages", (double)reader[0].n_messages / bgp_table_stats(table).n_sets,
		  "UPDATEs a set of attributes");
	bench_row("bgp-out-dump-bytes", (double)reader[0].n_bytes / 1e6, "MB");
	bench_row("bgp-out-dump-memory", (double)(resident_bytes() - before) / 1e6, "MB left behind");
	bench_row("bgp-out-dump-call", longest_s * 1e3, "ms, the longest call");
	uint64_t told = reader[0].n_messages;

	bgp_groups_judge_again(groups, bgp_export_all.user);
	double again = settle();
	if (reader[0].n_messages != 2 * told)
		abort();
	bench_row("bgp-out-policy", again * 1e3, "ms of CPU for another export policy, all told once more");
	leave(0);
	for (uint32_t i = 0; i < READERS_MAX; i++)
		come_up(i);
	double ten = settle();
	for (uint32_t i = 0; i < READERS_MAX; i++)
		if (!reader[i].is_dumped || reader[i].n_messages != reader[0].n_messages)
			abort();
	bench_row("bgp-out-dump-10", ten * 1e3, "ms of CPU");
	bench_row("bgp-out-dump-10-of-one", ten / one, "times that of one");
	end();
}

/* Three neighbours of which one does not read. */
static void slow(const struct bgp_stream *s)
{
	double took[2];

	for (uint32_t is_asleep = 0; is_asleep < 2; is_asleep++) {
		begin(1);
		(void)feed_all(0, s);
		for (uint32_t i = 0; i < 3; i++)
			come_up(i);
		reader[2].is_asleep = is_asleep == 1;
		took[is_asleep] = settle();
		if (!reader[0].is_dumped || !reader[1].is_dumped || reader[2].is_dumped == (is_asleep == 1))
			abort();
		if (is_asleep == 1) {
			struct bgp_groups_stats stats = bgp_groups_stats(groups);

			bench_row("bgp-out-slow-memory", (double)stats.resident_bytes / 1e6,
				  "MB held for the one that does not read");
		}
		end();
	}
	bench_row("bgp-out-slow", took[1] / took[0], "times the CPU that all three take");
}

/* Two neighbours, a third one that is told the best; then the first dies, in slices, and what comes in its place is
 * told. */
static void dead(const struct bgp_stream *s)
{
	begin(2);
	(void)feed_all(0, &s[0]);
	(void)feed_all(1, &s[1]);
	come_up(0);
	(void)settle();
	struct reader before = reader[0];
	double start = bench_cpu_s();

	longest_s = 0;
	for (bool done = false; !done;) {
		done = bgp_table_drop(table, 0, 4096);
		(void)hear(&reader[0]);
		work();
	}
	double dropped = bench_cpu_s();
	(void)settle();
	bench_row("bgp-out-dead", (bench_cpu_s() - start) * 1e3, "ms of CPU");
	bench_row("bgp-out-dead-behind", (bench_cpu_s() - dropped) * 1e3, "ms of CPU of it behind the last slice");
	bench_row("bgp-out-dead-messages", (double)(reader[0].n_messages - before.n_messages), "UPDATEs");
	bench_row("bgp-out-dead-call", longest_s * 1e3, "ms, the longest call");
	end();
}

/* --- many neighbours --- */

struct load {
	double ns, bytes; /* a path */
};

/* n_each prefixes of each neighbour: the same ones, or others. */
static struct load load(const struct ip4_prefix *all, uint32_t n_neighbours, uint32_t n_each, bool is_same)
{
	uint64_t before = resident_bytes();
	double took = 0;

	begin(n_neighbours);
	for (uint32_t i = 0; i < n_neighbours; i++) {
		struct bgp_stream s = { 0 };

		bgp_stream_make(&s, all + (is_same ? 0 : (size_t)i * n_each), n_each, i, 0);
		took += feed_all(i, &s);
		free(s.p);
	}
	struct bgp_table_stats stats = bgp_table_stats(table);
	double n = stats.n_paths, bytes = (double)(resident_bytes() - before);

	if (stats.n_paths != n_neighbours * n_each || stats.n_no_room != 0)
		abort();
	end();
	return (struct load){ took * 1e9 / n, bytes / n };
}

static void many(const struct ip4_prefix *all, uint32_t n)
{
	struct load three = load(all, 3, n, true), apart = load(all, 100, n / 100, false),
		    hundred = load(all, 100, n / 100, true), fifty = load(all, 50, n / 10, true);

	bench_row("bgp-many-3", three.ns, "ns a path");
	bench_row("bgp-many-3-bytes", three.bytes, "bytes a path");
	bench_row("bgp-many-100", hundred.ns, "ns a path");
	bench_row("bgp-many-100-of-3", hundred.ns / three.ns, "times that of three");
	bench_row("bgp-many-100-bytes-of-3", hundred.bytes / three.bytes, "times that of three");
	bench_row("bgp-many-100-apart", apart.ns, "ns a path, each neighbour with prefixes of its own");
	bench_row("bgp-many-100-apart-bytes", apart.bytes, "bytes a path");
	bench_row("bgp-many-50", fifty.ns, "ns a path");
	bench_row("bgp-many-50-of-3", fifty.ns / three.ns, "times that of three");
	bench_row("bgp-many-50-bytes-of-3", fifty.bytes / three.bytes, "times that of three");
}

int main(int argc, char **argv)
{
	static struct bgp_stream s[2];
	uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
	struct ip4_prefix *all = malloc(n * sizeof(*all));

	if (all == NULL || n < 100)
		return 2;
	bgp_stream_prefixes(all, n);
	for (uint32_t i = 0; i < 2; i++)
		bgp_stream_make(&s[i], all, n, i, 0);
	dump(&s[0], n);
	slow(&s[0]);
	dead(s);
	for (uint32_t i = 0; i < 2; i++)
		free(s[i].p);
	many(all, n);
	free(all);
	return 0;
}
