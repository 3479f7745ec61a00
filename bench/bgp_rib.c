/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BGP's paths from the wire into the forwarding table, and a neighbour that dies, while another thread looks addresses
 * up as a worker does.
 *
 *   bgp_rib [PREFIXES]       default 1,000,000
 *
 * One thread reads UPDATEs that stand in memory (bgp_stream.h), applies them to the table of paths, and has what was
 * chosen written into the RIB and the FIB, some messages at a time. The other one goes round through an address of each
 * prefix and notes whether one that had a route has none. Then the neighbour who has most of the best paths dies: what
 * counts is the last time at which an address was seen to go its way. Each row has a line of JSON.
 *
 * Next: src/routing/bgp/bgp_rib.c
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bgp_stream.h"
#include "resident.h"
#include "routing/bgp/bgp_rib.h"

#define N_NEIGHBOURS 3u
#define MESSAGES_A_TURN 256u
#define PREFIXES_A_SLICE 1024u
#define LOOKUPS_A_CALL 64u

static const struct ip4_prefix *all;
static uint32_t n_all;

static double wall_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* --- who looks up --- */

struct looker {
	const struct fib *fib;
	_Atomic(uint32_t) gateway_lost; /* 0: nobody is */
	_Atomic(uint32_t) n_turns;      /* outside of look-ups since */
	_Atomic(bool) ends;
	double last_seen_s; /* somebody's packet went to gateway_lost */
	uint64_t n_lookups, n_vanished;
	double took_s;
	uint8_t *had_route; /* by prefix */
};

static void look_batch(struct looker *l, uint32_t from, uint32_t n, uint32_t lost)
{
	uint32_t dst[LOOKUPS_A_CALL], group[LOOKUPS_A_CALL], n_lost = 0;

	for (uint32_t i = 0; i < n; i++)
		dst[i] = all[from + i].addr | 1u;
	fib_lookup_batch(l->fib, dst, group, n);
	for (uint32_t i = 0; i < n; i++) {
		const struct fib_nexthop *nh = fib_nexthop(l->fib, group[i]);
		uint8_t has = nh->kind == FIB_UNICAST;

		l->n_vanished += l->had_route[from + i] > has;
		l->had_route[from + i] = has;
		n_lost += lost != 0 && nh->gateway.v4 == lost;
	}
	l->n_lookups += n;
	if (n_lost > 0)
		l->last_seen_s = wall_s();
}

static void *look(void *ctx)
{
	struct looker *l = ctx;
	double start = wall_s();

	while (!atomic_load(&l->ends)) {
		uint32_t lost = atomic_load(&l->gateway_lost);

		for (uint32_t i = 0; i < n_all; i += LOOKUPS_A_CALL) {
			look_batch(l, i, min_u32(LOOKUPS_A_CALL, n_all - i), lost);
			atomic_fetch_add(&l->n_turns, 1);
			if (lost != atomic_load(&l->gateway_lost))
				break;
		}
	}
	l->took_s = wall_s() - start;
	return NULL;
}

/* --- who writes --- */

struct bed {
	struct bgp_table *table;
	struct rib *rib;
	const struct fib *fib;
	struct bgp_rib *b;
	struct looker looker;
	pthread_t thread;
	bool in_grace;
	uint32_t grace_turn;
};

static void begin(struct bed *d, uint32_t n_neighbours)
{
	static const struct siphash_key key = { 1, 2 };
	static const struct bgp_table_limits limits = { 0 };
	static const struct bgp_rib_config config = { .zone = 0 };
	struct rib_route link = { .prefix = ip_prefix_v4(BENCH_LOCAL_ADDR, 24),
				  .nexthop = { .kind = FIB_UNICAST, .ifindex = 1 },
				  .source = RIB_CONNECTED };

	memset(d, 0, sizeof(*d));
	d->rib = rib_create(RIB_FORWARDS);
	if (d->rib == NULL || (d->fib = rib_fib_hold(d->rib, 0)) == NULL || rib_set(d->rib, &link) != 0 ||
	    rib_flush(d->rib) != 0 || bgp_table_create(&d->table, &limits, BGP_MED_SAME_AS, &key) != 0 ||
	    bgp_rib_create(&d->b, d->table, d->rib, &config) != 0)
		abort();
	for (uint32_t i = 0; i < n_neighbours; i++)
		(void)bgp_table_add_source(
			d->table, &(struct bgp_source){ BGP_EXTERNAL, BENCH_PEER_ADDR(i), BENCH_PEER_ADDR(i) });
	d->looker.fib = d->fib;
	d->looker.had_route = calloc(n_all, 1);
	if (d->looker.had_route == NULL || pthread_create(&d->thread, NULL, look, &d->looker) != 0)
		abort();
}

static void end(struct bed *d)
{
	bgp_rib_destroy(d->b);
	bgp_table_destroy(d->table);
	rib_fib_release(d->rib, 0);
	rib_release(d->rib);
	free(d->looker.had_route);
}

static void stop_looking(struct bed *d)
{
	atomic_store(&d->looker.ends, true);
	(void)pthread_join(d->thread, NULL);
}

/* What was taken out is given back when the reader has been outside since; nobody waits for it. */
static void reclaim(struct bed *d)
{
	if (d->in_grace && atomic_load(&d->looker.n_turns) - d->grace_turn < 2)
		return;
	if (d->in_grace)
		rib_grace_over(d->rib);
	d->in_grace = rib_grace_begin(d->rib);
	d->grace_turn = atomic_load(&d->looker.n_turns);
}

static void load_all(struct bed *d, const struct bgp_stream *s, uint32_t n_neighbours)
{
	for (uint32_t i = 0; i < n_neighbours; i++) {
		size_t at = 0;

		for (bool more = true; more;) {
			more = bgp_stream_feed(d->table, i, &s[i], &at, MESSAGES_A_TURN);
			(void)bgp_rib_flush(d->b);
			reclaim(d);
		}
	}
	if (rib_n_unsettled(d->rib) != 0 || fib_n_prefixes(d->fib) != n_all + 1)
		abort();
}

static uint32_t n_by(const struct bed *d, uint32_t gateway)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < n_all; i++)
		n += fib_nexthop(d->fib, fib_lookup(d->fib, all[i].addr | 1u))->gateway.v4 == gateway;
	return n;
}

/* In slices, as a thread with other things to do would have it; the longest. */
static double drop(struct bed *d, uint32_t source)
{
	double longest = 0;

	for (bool done = false; !done;) {
		double slice = bench_cpu_s();

		done = bgp_table_drop(d->table, source, PREFIXES_A_SLICE);
		(void)bgp_rib_flush(d->b);
		reclaim(d);
		slice = bench_cpu_s() - slice;
		longest = slice > longest ? slice : longest;
	}
	return longest;
}

static void bench_dead(struct bed *d)
{
	uint32_t gateway = BENCH_PEER_ADDR(0);

	bench_row("bgp-fib-dead-prefixes", n_by(d, gateway), "prefixes went by it");
	atomic_store(&d->looker.gateway_lost, gateway);
	for (uint32_t turn = atomic_load(&d->looker.n_turns); atomic_load(&d->looker.n_turns) - turn < 3;)
		;
	double detected = wall_s();
	uint32_t n_ways = bgp_rib_source_changed(d->b, 0, false);
	double written = wall_s(), start = bench_cpu_s();
	double longest = drop(d, 0), swept = bench_cpu_s() - start;

	/* Once more through all, by who looks up too. */
	for (uint32_t turn = atomic_load(&d->looker.n_turns);
	     atomic_load(&d->looker.n_turns) - turn <= 2 * (n_all / LOOKUPS_A_CALL + 1);)
		;
	stop_looking(d);
	if (n_by(d, gateway) != 0)
		abort();
	bench_row("bgp-fib-dead-ways", n_ways, "ways that were led elsewhere");
	bench_row("bgp-fib-dead-groups", fib_n_groups(d->fib), "groups there are: no more writes than that");
	bench_row("bgp-fib-dead-write", (written - detected) * 1e3, "ms until it was written");
	bench_row("bgp-fib-dead-seen", d->looker.last_seen_s > detected ? (d->looker.last_seen_s - detected) * 1e3 : 0,
		  "ms until the last address was seen to go by it");
	bench_row("bgp-fib-dead-sweep", swept * 1e3, "ms of CPU until the table is without it");
	bench_row("bgp-fib-dead-slice", longest * 1e3, "ms, the longest of 1,024 prefixes");
}

/* The way to a neighbour costs more: all prefixes are looked through, and many go another way. */
static void bench_cost(struct bed *d)
{
	const struct rib_route to = { .prefix = ip_prefix_v4(BENCH_PEER_ADDR(1), 32),
				      .nexthop = { .kind = FIB_UNICAST, .gateway = ip_addr_v4(BENCH_PEER_ADDR(1)) },
				      .source = RIB_OSPF,
				      .distance = 110,
				      .metric = 1000 };
	double start = bench_cpu_s(), longest = 0;
	uint64_t n = bgp_rib_stats(d->b).n_changes;

	if (rib_set(d->rib, &to) != 0 || rib_flush(d->rib) != 0)
		abort();
	for (bool more = true; more;) {
		double slice = bench_cpu_s();

		more = bgp_rib_work(d->b, PREFIXES_A_SLICE);
		reclaim(d);
		slice = bench_cpu_s() - slice;
		longest = slice > longest ? slice : longest;
	}
	bench_row("bgp-fib-cost", (bench_cpu_s() - start) * 1e3, "ms of CPU until all is decided again");
	bench_row("bgp-fib-cost-changes", (double)(bgp_rib_stats(d->b).n_changes - n), "prefixes that go another way");
	bench_row("bgp-fib-cost-slice", longest * 1e3, "ms, the longest of 1,024 prefixes");
}

static void bench_list(const struct rib *r)
{
	struct rib_listing *l = rib_list_begin();
	double start = bench_cpu_s(), longest = 0;
	size_t n;

	for (int rc = 1; rc == 1;) {
		double slice = bench_cpu_s();

		rc = rib_list_work(l, r, 16384);
		slice = bench_cpu_s() - slice;
		longest = slice > longest ? slice : longest;
	}
	(void)rib_list_prefixes(l, &n);
	if (n != n_all + 2)
		abort();
	bench_row("bgp-fib-list", (bench_cpu_s() - start) * 1e3, "ms of CPU until all are in order");
	bench_row("bgp-fib-list-slice", longest * 1e3, "ms, the longest of 16,384 prefixes");
	rib_list_end(l);
}

static void bench(const struct bgp_stream *s, uint32_t n_neighbours)
{
	static struct bed d;
	uint64_t before = resident_bytes();
	char name[64];

	begin(&d, n_neighbours);
	double cpu = bench_cpu_s(), wall = wall_s();

	load_all(&d, s, n_neighbours);
	cpu = bench_cpu_s() - cpu;
	wall = wall_s() - wall;
	snprintf(name, sizeof(name), "bgp-fib-load-%u", n_neighbours);
	bench_row(name, cpu * 1e3, "ms of CPU from the wire into the FIB");
	snprintf(name, sizeof(name), "bgp-fib-load-%u-wall", n_neighbours);
	bench_row(name, wall * 1e3, "ms, look-ups going on");
	snprintf(name, sizeof(name), "bgp-fib-load-%u-memory", n_neighbours);
	bench_row(name, (double)(resident_bytes() - before) / n_all, "bytes a prefix, table of paths, RIB and FIB");
	snprintf(name, sizeof(name), "bgp-fib-load-%u-fib", n_neighbours);
	bench_row(name, (double)fib_bytes(d.fib) / n_all, "bytes a prefix in the FIB");
	if (n_neighbours == N_NEIGHBOURS) {
		bench_cost(&d);
		bench_list(d.rib);
		bench_dead(&d);
	} else {
		stop_looking(&d);
	}
	snprintf(name, sizeof(name), "bgp-fib-load-%u-vanished", n_neighbours);
	bench_row(name, (double)d.looker.n_vanished, "look-ups of what had a route, and found none");
	snprintf(name, sizeof(name), "bgp-fib-load-%u-lookups", n_neighbours);
	bench_row(name, (double)d.looker.n_lookups / d.looker.took_s / 1e6, "million look-ups a second meanwhile");
	end(&d);
}

int main(int argc, char **argv)
{
	static struct bgp_stream s[N_NEIGHBOURS];
	struct ip4_prefix *p;

	n_all = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
	p = malloc(n_all * sizeof(*p));
	if (p == NULL || n_all == 0)
		return 2;
	bgp_stream_prefixes(p, n_all);
	all = p;
	for (uint32_t i = 0; i < N_NEIGHBOURS; i++)
		bgp_stream_make(&s[i], all, n_all, i, 0);
	bench(s, 1);
	bench(s, N_NEIGHBOURS);
	for (uint32_t i = 0; i < N_NEIGHBOURS; i++)
		free(s[i].p);
	free(p);
	return 0;
}
