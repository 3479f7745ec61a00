/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BGP's table under full tables: neighbours' UPDATEs stand in memory, as a stream would bring them, and are framed,
 * read and applied.
 *
 *   bgp [PREFIXES]       default 1,000,000
 *
 * Streams (bgp_stream.h) are made before the clock runs. Times are of this thread's processor; each row has a line of
 * JSON. bgp-policy is another import policy for all three neighbours, of which both filters ask for the prefix, over
 * what is held.
 *
 * Next: src/routing/bgp/bgp_table.c
 */
#include <stdlib.h>

#include "bgp_stream.h"
#include "resident.h"
#include "routing/bgp/bgp_policy.h"

#define N_NEIGHBOURS 3u

/* --- the table --- */

static uint64_t n_changes;

static void count_change(void *user, const struct bgp_change *c)
{
	n_changes++;
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
			t, &(struct bgp_source){ BGP_EXTERNAL, BENCH_PEER_ADDR(i), BENCH_PEER_ADDR(i) });
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

static void load(const struct bgp_stream *s, uint32_t n_neighbours, const struct ip4_prefix *all, uint32_t n)
{
	uint64_t before = resident_bytes();
	struct bgp_table *t = begin(n_neighbours);
	double start = bench_cpu_s();
	size_t at[N_NEIGHBOURS + 1] = { 0 };
	char name[64];

	n_changes = 0;
	for (uint32_t i = 0; i < n_neighbours; i++)
		(void)bgp_stream_feed(t, i, &s[i], &at[i], 0);
	double took = bench_cpu_s() - start, bytes = (double)(resident_bytes() - before);
	struct bgp_table_stats stats = bgp_table_stats(t);

	if (stats.n_paths != n * n_neighbours || stats.n_no_room != 0)
		abort();
	snprintf(name, sizeof(name), "bgp-load-%u", n_neighbours);
	bench_row(name, took * 1e3, "ms of CPU");
	snprintf(name, sizeof(name), "bgp-load-%u-path", n_neighbours);
	bench_row(name, took * 1e9 / stats.n_paths, "ns a path");
	snprintf(name, sizeof(name), "bgp-load-%u-memory", n_neighbours);
	bench_row(name, bytes / 1e6, "MB");
	snprintf(name, sizeof(name), "bgp-load-%u-sets", n_neighbours);
	bench_row(name, stats.n_sets, "sets");
	snprintf(name, sizeof(name), "bgp-load-%u-best", n_neighbours);
	bench_row(name, (double)n_changes, "changes of a best path");
	if (n_neighbours == N_NEIGHBOURS) {
		count_steps(t, all, n);
		/* Said again with another MED, then the one with most of the best dies, in slices as a thread would
		 * have it. */
		start = bench_cpu_s();
		(void)bgp_stream_feed(t, 1, &s[N_NEIGHBOURS], &at[N_NEIGHBOURS], 0);
		bench_row("bgp-churn-path", (bench_cpu_s() - start) * 1e9 / n, "ns a path");
		double longest = 0;
		start = bench_cpu_s();
		for (bool done = false; !done;) {
			double slice = bench_cpu_s();

			done = bgp_table_drop(t, 0, 4096);
			slice = bench_cpu_s() - slice;
			longest = slice > longest ? slice : longest;
		}
		bench_row("bgp-dead", (bench_cpu_s() - start) * 1e3, "ms of CPU");
		bench_row("bgp-dead-slice", longest * 1e3, "ms, the longest of 4,096 prefixes");
	}
	bgp_table_destroy(t);
}

/* --- import policy --- */

/* Two of one kind, so that each path comes out otherwise by the one than by the other. */
static const char policy_text[] =
	"prefix-list bogons { 0.0.0.0/8+; 10.0.0.0/8+; 100.64.0.0/10+; 127.0.0.0/8+; 169.254.0.0/16+; 172.16.0.0/12+;"
	" 192.0.0.0/24+; 192.0.2.0/24+; 192.168.0.0/16+; 198.18.0.0/15+; 198.51.100.0/24+; 203.0.113.0/24+; "
	"224.0.0.0/4+;"
	" 0.0.0.0/0{25,32}; }\n"
	"function usual() {\n"
	"  if net ~ bogons || net.len > 24 then reject;\n"
	"  if bgp_path.len > 60 || bgp_path ~ [= * 64512..65000 * =] then reject;\n"
	"  if bgp_large_community ~ [(64500, 1, *)] then bgp_large_community.delete([(64500, 1, *)]); }\n"
	"filter a { usual(); bgp_local_pref = 150; bgp_community.add((64500, 100)); accept; }\n"
	"filter b { usual(); bgp_local_pref = 120; bgp_med = 10; bgp_community.add((64500, 200)); accept; }\n";

static struct bgp_policy policies[N_NEIGHBOURS];

static void set_policy(struct bgp_table *t, const struct policy *program, const char *filter)
{
	static struct bgp_policy_room room;

	for (uint32_t i = 0; i < N_NEIGHBOURS; i++) {
		policies[i] = (struct bgp_policy){
			.program = program,
			.neighbor = { .kind = BGP_EXTERNAL,
				      .local_as = BENCH_LOCAL_AS,
				      .peer_as = 65001 + i,
				      .role = BGP_ROLE_NONE,
				      .import = { POLICY_BY_FILTER, policy_find(program, filter) } },
			.name = "transit",
			.room = &room,
		};
		const struct bgp_import import = bgp_policy_import(&policies[i]);

		bgp_table_set_import(t, i, &import);
	}
}

/* All neighbours get another policy at once. */
static void change_policy(const struct bgp_stream *s, uint32_t n)
{
	struct bgp_table *t = begin(N_NEIGHBOURS);
	struct policy_error e;
	struct policy *program;
	double longest = 0;

	if (policy_create(&program) != 0 ||
	    policy_add(program,
		       &(struct policy_text){ policy_text, sizeof(policy_text) - 1, { .line = 1, .column = 1 } },
		       &e) != 0)
		abort();
	set_policy(t, program, "a");
	double start = bench_cpu_s();

	for (uint32_t i = 0; i < N_NEIGHBOURS; i++) {
		size_t at = 0;

		(void)bgp_stream_feed(t, i, &s[i], &at, 0);
	}
	bench_row("bgp-policy-load-path", (bench_cpu_s() - start) * 1e9 / n / N_NEIGHBOURS, "ns a path");
	uint64_t before = resident_bytes();

	set_policy(t, program, "b");
	start = bench_cpu_s();
	for (bool done = false; !done;) {
		double slice = bench_cpu_s();

		done = bgp_table_rerun(t, 512);
		slice = bench_cpu_s() - slice;
		longest = slice > longest ? slice : longest;
	}
	bench_row("bgp-policy", (bench_cpu_s() - start) * 1e3, "ms of CPU");
	bench_row("bgp-policy-slice", longest * 1e3, "ms, the longest of 512 prefixes");
	uint64_t after = resident_bytes();

	bench_row("bgp-policy-memory", (double)(after > before ? after - before : 0) / 1e6, "MB more than before");
	fprintf(stderr, "rejected: %u of %u\n", bgp_table_stats(t).n_rejected, bgp_table_stats(t).n_paths);
	bgp_table_destroy(t);
	policy_destroy(program);
}

int main(int argc, char **argv)
{
	static struct bgp_stream s[N_NEIGHBOURS + 1];
	uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
	struct ip4_prefix *all = malloc(n * sizeof(*all));

	if (all == NULL || n == 0)
		return 2;
	bgp_stream_prefixes(all, n);
	for (uint32_t i = 0; i < N_NEIGHBOURS; i++)
		bgp_stream_make(&s[i], all, n, i, 0);
	bgp_stream_make(&s[N_NEIGHBOURS], all, n, 1, 7);
	bench_row("bgp-messages", s[0].n_messages, "UPDATEs a neighbour");
	bench_row("bgp-bytes", (double)s[0].len / 1e6, "MB a neighbour");
	load(s, 1, all, n);
	load(s, N_NEIGHBOURS, all, n);
	change_policy(s, n);
	for (uint32_t i = 0; i <= N_NEIGHBOURS; i++)
		free(s[i].p);
	free(all);
	return 0;
}
