/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The same packets through our core and through the kernel's nft NAT, first the
 * stories of TCP (story.c), then random exchanges (script.c): what comes
 * out (where, translated how, or what answer) and the table of connections behind
 * it are compared after each packet. A difference is explained (explained.c) or
 * fails the test; from then on the flow is left alone, for the two gateways know
 * different things about it.
 *
 *   differential_test                       the stories, and the fixed seeds of the suite
 *   differential_test --seed N --packets N  one seed, 0 for a random one; more of it
 *                     --trace               every packet
 */
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/util.h"
#include "explained.h"
#include "player.h"
#include "story.h"

#define EXIT_SKIP 77
#define N_STEPS 150 /* of one exchange */
#define N_SUITE_PACKETS 6000
#define N_SHOWN 12 /* differences in full */
#define HISTORY_MAX (N_STEPS + 1)
#define IGNORED_MAX 64

const char dut_rules[] = "table ip nat {\n"
			 "  chain postrouting { type nat hook postrouting priority srcnat; policy accept;\n"
			 "    oifname \"wan0\" ip saddr 10.77.0.0/24 masquerade\n"
			 "  }\n"
			 "}\n"
			 "table ip filter {\n"
			 "  chain input { type filter hook input priority filter; policy accept;\n"
			 "    ct state invalid drop\n"
			 "  }\n"
			 "  chain forward { type filter hook forward priority filter; policy drop;\n"
			 "    ct state established,related counter accept\n"
			 "    ct state invalid counter drop\n"
			 "    iifname \"lan0\" accept\n"
			 "  }\n"
			 "}\n";

enum { OURS, LINUX, N_RIGS };

struct run {
	struct dut *dut[N_RIGS];
	struct player player[N_RIGS];
	struct seen seen[N_RIGS], before;
	struct script script;
	uint64_t n_packets, n_passed, n_exchanges, n_different, n_unexplained;
	uint64_t *n_hits; /* of each explanation */
	char ignored[IGNORED_MAX][64];
	uint32_t n_ignored;
	char history[HISTORY_MAX][320];
	uint32_t flow_of[HISTORY_MAX], n_history;
	bool trace;
	uint64_t seed;
};

/* --- comparing --- */

static bool same_packets(const struct seen *a, const struct seen *b)
{
	if (a->packets.n != b->packets.n)
		return false;
	for (uint32_t i = 0; i < a->packets.n; i++) {
		const struct ip_packet *p = &a->packets.packet[i], *q = &b->packets.packet[i];

		if (p->side != q->side || p->len != q->len || memcmp(p->bytes, q->bytes, p->len) != 0)
			return false;
	}
	return true;
}

static bool is_ignored(const struct run *r, const char *key)
{
	for (uint32_t i = 0; i < r->n_ignored; i++)
		if (strcmp(r->ignored[i], key) == 0)
			return true;
	return false;
}

static void ignore(struct run *r, const char *key)
{
	if (r->n_ignored == IGNORED_MAX)
		dut_die("too many connections to leave out");
	snprintf(r->ignored[r->n_ignored++], sizeof(r->ignored[0]), "%s", key);
}

static const struct line *find(const struct seen *s, const char *key)
{
	for (uint32_t i = 0; i < s->n_lines; i++)
		if (strcmp(s->line[i].key, key) == 0)
			return &s->line[i];
	return NULL;
}

/* The first connection that is in a only or looks different in b; NULL if there is none. */
static const struct line *different_line(const struct run *r, const struct seen *a, const struct seen *b)
{
	for (uint32_t i = 0; i < a->n_lines; i++) {
		const struct line *l = &a->line[i], *m = find(b, l->key);

		if (!is_ignored(r, l->key) &&
		    (m == NULL || strcmp(l->state, m->state) != 0 || strcmp(l->reply, m->reply) != 0))
			return l;
	}
	return NULL;
}

static const char *state_of(const struct line *l)
{
	return l == NULL ? "-" : l->state;
}

/* What the explanations are held against. */
static void describe(const struct run *r, const struct step *st, const char *key, char *out, size_t cap)
{
	const struct flow *f = &r->script.flow[st->flow];
	const struct line *own[N_RIGS];
	const char *which = "";

	for (int i = 0; i < N_RIGS; i++) {
		own[i] = seen_flow(&r->seen[i], f);
		if (key != NULL && (own[i] == NULL || strcmp(own[i]->key, key) != 0)) {
			/* Of the pair own[OURS] and own[LINUX], one may be missing; the key tells. */
			const struct line *l = find(&r->seen[i], key);
			const struct line *flow = seen_flow(&r->seen[!i], f);

			if (flow == NULL || strcmp(flow->key, key) != 0) {
				own[i] = l;
				which = "another ";
			}
		}
	}
	snprintf(out, cap, "%s: %s%s | before: %s | ours: %s, %s%s | linux: %s, %s%s | %s",
		 f->hostility == 0 ? "sane" : "hostile", st->text, f->kind == FLOW_NATTED ? "" : ", to the gateway",
		 state_of(seen_flow(&r->before, f)), r->seen[OURS].verdict, which, state_of(own[OURS]),
		 r->seen[LINUX].verdict, which, state_of(own[LINUX]),
		 strcmp(state_of(own[OURS]), state_of(own[LINUX])) == 0 ? "same state" : "states differ");
}

static bool explain(struct run *r, const char *line)
{
	for (uint32_t i = 0; i < n_explained; i++) {
		if (fnmatch(explained[i].pattern, line, 0) == 0) {
			r->n_hits[i]++;
			return true;
		}
	}
	return false;
}

static void show(const struct run *r, const struct step *st, const char *line)
{
	fprintf(stderr, "\nNot explained, seed %llu, packet %llu:\n  %s\n", (unsigned long long)r->seed,
		(unsigned long long)r->n_packets, line);
	if (r->n_unexplained > N_SHOWN)
		return;
	for (int i = 0; i < N_RIGS; i++) {
		const struct line *l = seen_flow(&r->seen[i], &r->script.flow[st->flow]);

		player_print(&r->player[i]);
		if (l != NULL)
			fprintf(stderr, "    %s, %s, reply %s\n", l->key, l->state, l->reply);
	}
	fprintf(stderr, "  what was before in this flow:\n");
	for (uint32_t i = 0; i < r->n_history; i++)
		if (r->flow_of[i] == st->flow)
			fprintf(stderr, "    %s\n", r->history[i]);
}

static void compare(struct run *r, const struct step *st)
{
	const struct line *own = seen_flow(&r->seen[OURS], &r->script.flow[st->flow]);
	const struct line *l = different_line(r, &r->seen[OURS], &r->seen[LINUX]);
	char text[512];

	if (l == NULL)
		l = different_line(r, &r->seen[LINUX], &r->seen[OURS]);
	if (l == NULL && same_packets(&r->seen[OURS], &r->seen[LINUX])) {
		snprintf(r->history[r->n_history], sizeof(r->history[0]), "%s (seq %u ack %u len %u win %u): %s, %s",
			 st->text, st->seq, st->ack, st->payload_len, st->window, r->seen[OURS].verdict, state_of(own));
		if (r->trace)
			printf("%u %s\n", st->flow, r->history[r->n_history]);
		r->flow_of[r->n_history++] = st->flow;
		r->n_passed += r->seen[OURS].passed;
		if (r->seen[OURS].passed)
			script_delivered(&r->script, st);
		return;
	}
	r->n_different++;
	describe(r, st, l == NULL ? NULL : l->key, text, sizeof(text));
	if (r->trace)
		printf("%u DIFFERENT %s\n", st->flow, text);
	if (!explain(r, text)) {
		r->n_unexplained++;
		show(r, st, text);
	}
	r->script.flow[st->flow].retired = true;
	for (int i = 0; i < N_RIGS; i++)
		if (seen_flow(&r->seen[i], &r->script.flow[st->flow]) != NULL)
			ignore(r, seen_flow(&r->seen[i], &r->script.flow[st->flow])->key);
	while ((l = different_line(r, &r->seen[OURS], &r->seen[LINUX])) != NULL ||
	       (l = different_line(r, &r->seen[LINUX], &r->seen[OURS])) != NULL)
		ignore(r, l->key);
}

/* --- running --- */

static void exchange(struct run *r, struct rng *rng, uint64_t n_max)
{
	struct step st;

	for (int i = 0; i < N_RIGS; i++) {
		r->dut[i]->flush(r->dut[i]);
		player_begin(&r->player[i], r->dut[i]);
	}
	r->n_history = r->n_ignored = 0;
	r->before.n_lines = 0;
	r->n_exchanges++;
	script_begin(&r->script, rng);
	for (uint32_t k = 0; k < N_STEPS && r->n_packets < n_max && script_next(&r->script, &st); k++) {
		bool built[N_RIGS];

		for (int i = 0; i < N_RIGS; i++)
			built[i] = player_step(&r->player[i], &r->script, &st, &r->seen[i]);
		if (built[OURS] != built[LINUX])
			dut_die("the two sides remember different packets");
		if (!built[OURS])
			continue;
		r->n_packets++;
		compare(r, &st);
		r->before = r->seen[LINUX];
	}
}

static void run_seed(struct run *r, uint64_t seed, uint64_t n_packets)
{
	uint8_t bytes[RNG_SEED_BYTES] = "differential";
	uint64_t end = r->n_packets + n_packets;
	struct rng rng;

	r->seed = seed;
	memcpy(bytes + 16, &seed, sizeof(seed));
	rng_init(&rng, bytes);
	while (r->n_packets < end)
		exchange(r, &rng, end);
}

/* Every story in all its variations. */
static void run_stories(struct run *r)
{
	struct story_run at;
	struct step st;

	for (story_start(&at); story_begin(&at, &r->script); story_next(&at)) {
		for (int i = 0; i < N_RIGS; i++) {
			r->dut[i]->flush(r->dut[i]);
			player_begin(&r->player[i], r->dut[i]);
		}
		r->n_history = r->n_ignored = 0;
		r->before.n_lines = 0;
		r->n_exchanges++;
		while (story_step(&at, &r->script, &st)) {
			for (int i = 0; i < N_RIGS; i++)
				if (!player_step(&r->player[i], &r->script, &st, &r->seen[i]))
					dut_die("a story's packet cannot be built");
			r->n_packets++;
			compare(r, &st);
			r->before = r->seen[LINUX];
		}
	}
}

static void report(const struct run *r)
{
	printf("%llu packets in %llu exchanges, %llu passed on by both; %llu differences, %llu not explained\n",
	       (unsigned long long)r->n_packets, (unsigned long long)r->n_exchanges, (unsigned long long)r->n_passed,
	       (unsigned long long)r->n_different, (unsigned long long)r->n_unexplained);
	for (uint32_t i = 0; i < n_explained; i++)
		printf("%6llu  %s\n        %s (%s)\n", (unsigned long long)r->n_hits[i], explained[i].pattern,
		       explained[i].reason, explained[i].source);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "seed", required_argument, NULL, 's' },
						 { "packets", required_argument, NULL, 'n' },
						 { "trace", no_argument, NULL, 't' },
						 { 0 } };
	static const uint64_t suite_seeds[] = { 1, 2, 3 };
	static struct run r;
	uint64_t seed = 0, n_packets = N_SUITE_PACKETS;
	bool one_seed = false;
	const char *reason;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 's')
			one_seed = true, seed = strtoull(optarg, NULL, 0);
		else if (c == 'n')
			n_packets = strtoull(optarg, NULL, 0);
		else if (c == 't')
			r.trace = true;
		else
			return 2;
	}
	if (one_seed && seed == 0 && getrandom(&seed, 4, 0) != 4)
		dut_die("no random seed: %s", strerror(errno));
	r.dut[LINUX] = dut_linux(&reason);
	if (r.dut[LINUX] == NULL) {
		printf("skipped: %s\n", reason);
		return EXIT_SKIP;
	}
	r.dut[OURS] = dut_ours();
	r.n_hits = calloc(n_explained, sizeof(r.n_hits[0]));
	if (r.n_hits == NULL)
		dut_die("no memory");
	if (one_seed)
		printf("seed %llu\n", (unsigned long long)seed);
	if (!one_seed)
		run_stories(&r);
	for (uint32_t i = 0; i < (one_seed ? 1u : (uint32_t)ARRAY_LEN(suite_seeds)); i++)
		run_seed(&r, one_seed ? seed : suite_seeds[i], n_packets);
	report(&r);
	for (int i = 0; i < N_RIGS; i++)
		r.dut[i]->close(r.dut[i]);
	free(r.n_hits);
	return r.n_unexplained != 0;
}
