/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table against a model: what each neighbour said last of each prefix.
 */
#include "routing/bgp/bgp_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "stack/wire/bgp_fixture.h"

#define N_SOURCES 6u
#define N_PREFIXES 40u

static const struct siphash_key key = { 3, 4 };
static const struct bgp_source from[N_SOURCES] = {
	{ BGP_EXTERNAL, 6, 1 }, { BGP_EXTERNAL, 5, 2 }, { BGP_INTERNAL, 4, 3 },
	{ BGP_EXTERNAL, 3, 4 }, { BGP_INTERNAL, 2, 5 }, { BGP_EXTERNAL, 1, 6 },
};

static struct bgp_table *table;
static struct told {
	struct bgp_chosen best, second;
} told[N_PREFIXES]; /* of each, as a reader of the second best was told */
static uint32_t n_told, n_told_second, clock_s;

static struct ip4_prefix prefix_of(uint32_t i)
{
	return (struct ip4_prefix){ IP4(10, 0, 0, 0) + (i << 8), 24 };
}

static bool is_same(struct bgp_chosen a, struct bgp_chosen b)
{
	return a.set == b.set && (a.set == BGP_SET_NONE || a.source == b.source);
}

static void changed(void *user, const struct bgp_change *c)
{
	struct told *t = &told[c->prefix.addr >> 8 & 0xff];
	struct bgp_numbered now;

	assert_true(is_same(c->best_before, t->best) && is_same(c->second_before, t->second));
	assert_true(!is_same(c->best, t->best) || !is_same(c->second, t->second));
	assert_true(c->best_before.set == BGP_SET_NONE || bgp_table_set(table, c->best_before.set)->n_refs > 0);
	assert_true(c->second_before.set == BGP_SET_NONE || bgp_table_set(table, c->second_before.set)->n_refs > 0);
	assert_true(bgp_table_at(table, c->number, &now));
	assert_true(is_same(now.best, c->best) && is_same(now.second, c->second));
	*t = (struct told){ c->best, c->second };
	n_told_second++;
}

static void best_changed(void *user, const struct bgp_change *c)
{
	assert_false(is_same(c->best, c->best_before));
	n_told++;
}

static void start(const struct bgp_table_limits *limits)
{
	memset(told, 0, sizeof(told));
	n_told = n_told_second = clock_s = 0;
	assert_int_equal(bgp_table_create(&table, limits, BGP_MED_SAME_AS, &key), 0);
	assert_true(bgp_table_add_reader(table, &(struct bgp_reader){ BGP_READS_BEST, best_changed, NULL, &n_told }));
	assert_true(bgp_table_add_reader(table, &(struct bgp_reader){ BGP_READS_SECOND, changed, NULL, told }));
	for (uint32_t i = 0; i < N_SOURCES; i++)
		assert_int_equal(bgp_table_add_source(table, &from[i]), i);
}

static void say_attrs(uint32_t source, const char *withdrawn, const char *attrs, const char *nlri)
{
	static uint8_t bytes[BGP_FIXTURE_MAX];
	static struct bgp_update u;
	struct bgp_wire w = bgp_fixture_wire();
	struct bgp_error e;

	w.any_first_as = true;
	enum bgp_disposition d = bgp_update_parse(&w, bytes, bgp_fixture_update(bytes, withdrawn, attrs, nlri), &u, &e);
	assert_int_equal(d, BGP_ACCEPT);
	bgp_table_update(table, source, &u, d, ++clock_s);
}

/* A path: neighbouring AS and MED, of 3 each; a loop when med is 3. */
/* Those of one neighbouring AS are longer than the others. */
static bool is_longer(uint32_t as)
{
	return as == 3;
}

static void say(uint32_t source, const char *withdrawn, uint32_t as, uint32_t med, const char *nlri)
{
	char attrs[200] = "";

	if (nlri[0] != '\0')
		(void)snprintf(attrs, sizeof(attrs),
			       BGP_FIXTURE_ORIGIN BGP_FIXTURE_HOP "4002%s %08x %08x %s 800404 %08x",
			       is_longer(as) ? "0e 0203" : "0a 0202", as, med == 3 ? 65000u : 7u,
			       is_longer(as) ? "00000008" : "", med);
	say_attrs(source, withdrawn, attrs, nlri);
}

static void say_one(uint32_t source, uint32_t prefix, uint32_t as, uint32_t med)
{
	char text[20];

	(void)snprintf(text, sizeof(text), "18 0a00%02x", prefix);
	say(source, as == 0 ? text : "", as, med, as == 0 ? "" : text);
}

struct said {
	uint32_t as, med; /* as 0: nothing */
};

/* The best that there can be of what was said: a number of a source, or BGP_SOURCE_NONE. */
static uint32_t best_of(const struct said s[N_SOURCES])
{
	struct bgp_set set[N_SOURCES];
	struct bgp_candidate c[N_SOURCES];
	uint32_t who[N_SOURCES], n = 0;

	for (uint32_t i = 0; i < N_SOURCES; i++) {
		if (s[i].as == 0 || s[i].med == 3)
			continue;
		set[n] = (struct bgp_set){ .local_pref = 100, .med = s[i].med, .neighbor_as = s[i].as };
		set[n].n_hops = is_longer(s[i].as) ? 3 : 2;
		c[n] = (struct bgp_candidate){ &set[n], &from[i], 0 };
		who[n++] = i;
	}
	uint8_t best = bgp_decide(BGP_MED_SAME_AS, c, n).best;
	return best == BGP_NOBODY ? BGP_SOURCE_NONE : who[best];
}

/* The second best is the best without the best. */
static uint32_t second_of(const struct said s[N_SOURCES])
{
	struct said others[N_SOURCES];
	uint32_t best = best_of(s);

	memcpy(others, s, sizeof(others));
	if (best != BGP_SOURCE_NONE)
		others[best].as = 0;
	return best_of(others);
}

static void check_prefix(uint32_t i, const struct said s[N_SOURCES])
{
	static struct bgp_prefix_view v;
	struct bgp_path_view best = bgp_table_best(table, prefix_of(i));
	uint32_t n = 0;

	assert_int_equal(best.source, best_of(s));
	assert_int_equal(best.set, told[i].best.set);
	if (best.set != BGP_SET_NONE) {
		assert_int_equal(told[i].best.source, best.source);
		assert_int_equal(bgp_table_set(table, best.set)->med, s[best.source].med);
	}
	bgp_table_look(table, prefix_of(i), &v);
	for (uint32_t k = 0; k < N_SOURCES; k++)
		n += s[k].as != 0;
	assert_int_equal(v.n, n);
	for (uint32_t k = 0; k < v.n; k++)
		assert_true(s[v.path[k].source].as == bgp_table_set(table, v.path[k].set)->neighbor_as &&
			    v.path[k].is_loop == (s[v.path[k].source].med == 3));
	if (v.best != BGP_NOBODY)
		assert_int_equal(v.path[v.best].source, best.source);
	assert_int_equal(v.second == BGP_NOBODY, told[i].second.set == BGP_SET_NONE);
	assert_int_equal(v.second != BGP_NOBODY ? v.path[v.second].source : BGP_SOURCE_NONE, second_of(s));
	if (v.second != BGP_NOBODY)
		assert_true(v.path[v.second].source == told[i].second.source &&
			    v.path[v.second].set == told[i].second.set);
}

/* Would catch: a path lost, left behind or taken for another's; a best that is not the best; a change that nobody is
 * told of, or one that is none; a set that stays when nobody has it. */
static void test_against_model(void **state)
{
	static struct said said[N_PREFIXES][N_SOURCES];
	const uint8_t seed[RNG_SEED_BYTES] = { 11 };
	struct rng r;

	memset(said, 0, sizeof(said));
	rng_init(&r, seed);
	start(&(struct bgp_table_limits){ .prefixes = 1000, .paths = 1000, .set_bytes = 1 << 20 });
	for (uint32_t step = 0; step < 20000; step++) {
		uint32_t i = rng_below(&r, N_PREFIXES), k = rng_below(&r, N_SOURCES);
		struct said s = { rng_below(&r, 4), rng_below(&r, 4) };

		say_one(k, i, s.as, s.med);
		said[i][k] = s;
		check_prefix(i, said[i]);
	}
	/* One that dies, in slices. */
	for (uint32_t n = 0; !bgp_table_drop(table, 3, 5); n++)
		assert_true(n < 1000);
	for (uint32_t i = 0; i < N_PREFIXES; i++) {
		said[i][3].as = 0;
		check_prefix(i, said[i]);
	}
	for (uint32_t k = 0; k < N_SOURCES; k++)
		if (k != 3)
			assert_true(bgp_table_drop(table, k, UINT32_MAX));
	struct bgp_table_stats stats = bgp_table_stats(table);
	assert_true(stats.n_prefixes == 0 && stats.n_paths == 0 && stats.n_sets == 0 && stats.set_bytes == 0);
	bgp_table_destroy(table);
}

static void permute(uint8_t order[N_SOURCES], uint32_t which)
{
	for (uint8_t i = 0; i < N_SOURCES; i++)
		order[i] = i;
	for (uint32_t i = N_SOURCES; i > 1; which /= i, i--) {
		uint8_t t = order[i - 1];

		order[i - 1] = order[which % i];
		order[which % i] = t;
	}
}

/* Would catch: an answer that depends on who came first or who went last. */
static void test_permutations(void **state)
{
	static const struct said paths[N_SOURCES] = { { 1, 0 }, { 2, 2 }, { 1, 2 }, { 3, 1 }, { 2, 1 }, { 3, 2 } };

	start(&(struct bgp_table_limits){ .prefixes = 10, .paths = 100, .set_bytes = 1 << 20 });
	for (uint32_t which = 0; which < 720; which++) {
		struct said now[N_SOURCES] = { { 0 } };
		uint8_t order[N_SOURCES];

		permute(order, which);
		for (uint32_t i = 0; i < N_SOURCES; i++) {
			say_one(order[i], 1, paths[order[i]].as, paths[order[i]].med);
			now[order[i]] = paths[order[i]];
			check_prefix(1, now);
		}
		permute(order, which * 7 % 720);
		for (uint32_t i = 0; i < N_SOURCES; i++) {
			say_one(order[i], 1, 0, 0);
			now[order[i]].as = 0;
			check_prefix(1, now);
		}
	}
	bgp_table_destroy(table);
}

/* Would catch: a prefix that is there twice in a message or a batch and is added twice; the same once more told as a
 * change, or as newer than it is; a multicast prefix; a withdrawal of what is not there. */
static void test_messages(void **state)
{
	static struct bgp_prefix_view v;

	start(&(struct bgp_table_limits){ .prefixes = 1000, .paths = 1000, .set_bytes = 1 << 20 });
	say(0, "", 1, 1, "18 0a0001 18 0a0001 18 0a0002 18 0a0001 10 e001");
	assert_true(bgp_table_stats(table).n_prefixes == 2 && n_told == 2);
	say(0, "", 1, 1, "18 0a0001 18 0a0002");
	assert_int_equal(n_told, 2);
	bgp_table_look(table, prefix_of(1), &v);
	assert_int_equal(v.path[0].since_s, 1);
	say(0, "18 0a0001 18 0a0003", 2, 1, "18 0a0001");
	assert_int_equal(bgp_table_set(table, bgp_table_best(table, prefix_of(1)).set)->neighbor_as, 2);
	say(1, "18 0a0001", 0, 0, "");
	assert_int_equal(bgp_table_best(table, prefix_of(1)).source, 0);
	say(0, "18 0a0001 18 0a0002 18 0a0001", 0, 0, "");
	assert_true(bgp_table_stats(table).n_prefixes == 0 && bgp_table_stats(table).n_sets == 0);
	bgp_table_destroy(table);
}

/* Would catch: more than is allowed; a path that is not put in the place of its own. */
static void test_full(void **state)
{
	start(&(struct bgp_table_limits){ .prefixes = 3, .paths = 4, .set_bytes = 1 << 20 });
	for (uint32_t i = 0; i < 5; i++)
		say_one(0, i, 1, 1);
	struct bgp_table_stats s = bgp_table_stats(table);
	assert_true(s.n_prefixes == 3 && s.n_paths == 3 && s.n_no_room == 2);
	say_one(1, 0, 2, 0);
	say_one(1, 1, 2, 0);
	s = bgp_table_stats(table);
	assert_true(s.n_paths == 4 && s.n_no_room == 3);
	say_one(0, 0, 1, 2); /* in the place of its own */
	assert_int_equal(bgp_table_stats(table).n_no_room, 3);
	bgp_table_destroy(table);
}

/* Would catch: a stale path where the attributes of the new one have no room; prefixes that are not counted then. */
static void test_sets_full(void **state)
{
	uint64_t n_no_room = 0;
	char attrs[200];

	start(&(struct bgp_table_limits){ .prefixes = 1000, .paths = 1000, .set_bytes = 1 << 16 });
	say(0, "", 1, 1, "18 0a0001 18 0a0002");
	for (uint32_t i = 3; n_no_room == 0 && i < 100; i++) {
		char nlri[20];

		(void)snprintf(attrs, sizeof(attrs), BGP_FIXTURE_USUAL "d0 d3 0bb8 {%02x}3000", i);
		(void)snprintf(nlri, sizeof(nlri), "18 0a00%02x", i);
		say_attrs(1, "", attrs, nlri);
		n_no_room = bgp_table_stats(table).n_no_room;
	}
	assert_int_equal(n_no_room, 1);
	say_attrs(0, "", BGP_FIXTURE_USUAL "d0 d3 0bb8 {ff}3000", "18 0a0001 18 0a0002 18 0a0002 10 e001");
	assert_int_equal(bgp_table_best(table, prefix_of(1)).set, BGP_SET_NONE);
	assert_int_equal(bgp_table_best(table, prefix_of(2)).set, BGP_SET_NONE);
	assert_true(told[1].best.set == BGP_SET_NONE && told[2].best.set == BGP_SET_NONE);
	assert_int_equal(bgp_table_stats(table).n_no_room, 4); /* as often as it is said; 224.1.0.0/16 is nobody's */
	bgp_table_destroy(table);
}

/* Would catch: blocks too small for what they hold; more paths than a prefix can have; one of many lost. */
static void test_many_neighbors(void **state)
{
	static const struct bgp_source other = { BGP_EXTERNAL, 100, 100 };
	static struct bgp_prefix_view v;
	static bool seen[260];

	memset(seen, 0, sizeof(seen));
	start(&(struct bgp_table_limits){ .prefixes = 1000, .paths = 1000, .set_bytes = 1 << 20 });
	for (uint32_t i = N_SOURCES; i < ARRAY_LEN(seen); i++)
		assert_int_equal(bgp_table_add_source(table, &other), i);
	/* The last one that has room has the lowest MED. */
	for (uint32_t i = 0; i < ARRAY_LEN(seen); i++) {
		say_one(i, 1, 1, 1000 - i);
		assert_int_equal(bgp_table_best(table, prefix_of(1)).source, min_u32(i, BGP_PATHS_MAX - 1));
	}
	struct bgp_table_stats s = bgp_table_stats(table);
	assert_true(s.n_paths == BGP_PATHS_MAX && s.n_no_room == ARRAY_LEN(seen) - BGP_PATHS_MAX);
	bgp_table_look(table, prefix_of(1), &v);
	assert_true(v.n == BGP_PATHS_MAX && v.path[v.best].source == BGP_PATHS_MAX - 1 &&
		    v.path[v.second].source == BGP_PATHS_MAX - 2 && v.step == BGP_STEP_MED);
	for (uint32_t i = 0; i < v.n; i++) {
		assert_true(v.path[i].source < BGP_PATHS_MAX && !seen[v.path[i].source]);
		seen[v.path[i].source] = true;
		assert_int_equal(bgp_table_set(table, v.path[i].set)->med, 1000 - v.path[i].source);
	}
	for (uint32_t i = ARRAY_LEN(seen); i-- > 0;) {
		assert_true(bgp_table_drop(table, i, UINT32_MAX));
		assert_int_equal(bgp_table_best(table, prefix_of(1)).source,
				 i == 0 ? BGP_SOURCE_NONE : min_u32(i, BGP_PATHS_MAX) - 1);
	}
	s = bgp_table_stats(table);
	assert_true(s.n_prefixes == 0 && s.n_paths == 0 && s.n_sets == 0);
	bgp_table_destroy(table);
}

/* Would catch: a path that was announced again swept with those that were not, or told as a change; one that is stale
 * and stays; another neighbour's taken for stale; a count of a neighbour's paths that drifts. */
static void test_stale(void **state)
{
	static struct bgp_prefix_view v;

	start(&(struct bgp_table_limits){ .prefixes = 100, .paths = 100, .set_bytes = 1 << 20 });
	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 6; i++) {
			say_one(0, i, 1, 1);
			say_one(1, i, 2, 2);
		}
		assert_int_equal(bgp_table_n_of(table, 0), 6);
		bgp_table_stale(table, 0);
		bgp_table_look(table, prefix_of(0), &v);
		assert_true(v.path[0].is_stale == (v.path[0].source == 0));
		uint32_t n = n_told;
		say_one(0, 0, 1, 1); /* the same once more */
		assert_int_equal(n_told, n);
		say_one(0, 1, 3, 0);
		say_one(0, 2, 0, 0);
		assert_int_equal(bgp_table_n_of(table, 0), 5);
		for (n = 0; !bgp_table_drop_stale(table, 0, 2); n++)
			say_one(0, 7, 1, 1); /* between two slices */
		assert_true(n >= 2 && n < 10);
		assert_int_equal(bgp_table_n_of(table, 0), 3);
		for (uint32_t i = 0; i < 6; i++) {
			bgp_table_look(table, prefix_of(i), &v);
			assert_int_equal(v.n, i < 2 ? 2 : 1);
		}
		bgp_table_look(table, prefix_of(7), &v);
		assert_true(v.n == 1 && !v.path[0].is_stale);
		say_one(0, 7, 0, 0);
	}
	assert_int_equal(bgp_table_n_of(table, 1), 6);
	assert_true(bgp_table_drop(table, 0, UINT32_MAX) && bgp_table_drop(table, 1, UINT32_MAX));
	assert_int_equal(bgp_table_stats(table).n_paths, 0);
	bgp_table_destroy(table);
}

/* Would catch: blocks that grow and never shrink, so that few prefixes of many paths keep others from having as many.
 */
static void test_blocks(void **state)
{
	start(&(struct bgp_table_limits){ .prefixes = 10, .paths = 20, .set_bytes = 1 << 20 });
	for (uint32_t i = 0; i < 10; i++) {
		for (uint32_t k = 0; k < N_SOURCES; k++)
			say_one(k, i, 1, 1);
		for (uint32_t k = 1; k < N_SOURCES; k++)
			say_one(k, i, 0, 0);
	}
	struct bgp_table_stats s = bgp_table_stats(table);
	assert_true(s.n_prefixes == 10 && s.n_paths == 10 && s.n_no_room == 0);
	bgp_table_destroy(table);
}

/* --- numbers --- */

static bool is_needed[N_PREFIXES];

static bool needs(void *user, uint32_t number)
{
	return is_needed[number];
}

static void ignore(void *user, const struct bgp_change *c)
{
}

static uint32_t number_of(uint32_t prefix)
{
	struct bgp_numbered at;

	for (uint32_t n = 0; n < bgp_table_n_numbers(table); n++)
		if (bgp_table_at(table, n, &at) && at.prefix.addr == prefix_of(prefix).addr)
			return n;
	return UINT32_MAX;
}

/* Would catch: a number that is another prefix's while somebody needs it; one that stays when nobody does; a prefix
 * that is lost when it comes back to a number that was kept. */
static void test_numbers_are_kept(void **state)
{
	struct bgp_numbered at;

	memset(is_needed, 0, sizeof(is_needed));
	start(&(struct bgp_table_limits){ .prefixes = N_PREFIXES, .paths = 100, .set_bytes = 1 << 20 });
	assert_true(bgp_table_add_reader(table, &(struct bgp_reader){ BGP_READS_BEST, ignore, needs, is_needed }));
	say(0, "", 1, 1, "18 0a0001 18 0a0002 18 0a0003");
	uint32_t one = number_of(1), two = number_of(2);

	is_needed[one] = true;
	bgp_table_keep(table, two);
	bgp_table_keep(table, two);
	say(0, "18 0a0001 18 0a0002 18 0a0003", 0, 0, "");
	assert_int_equal(bgp_table_stats(table).n_prefixes, 0);
	assert_int_equal(bgp_table_stats(table).n_kept, 2);
	assert_true(bgp_table_at(table, one, &at) && at.best.set == BGP_SET_NONE &&
		    at.prefix.addr == prefix_of(1).addr);
	/* Others get other numbers; a prefix that comes back has its own. */
	say(0, "", 1, 1, "18 0a0004 18 0a0005 18 0a0002");
	assert_true(number_of(4) != one && number_of(5) != one && number_of(4) != two && number_of(5) != two);
	assert_int_equal(number_of(2), two);
	bgp_table_let_go(table, two);
	say(0, "18 0a0002", 0, 0, "");
	assert_int_equal(number_of(2), two);
	bgp_table_let_go(table, two);
	assert_int_equal(number_of(2), UINT32_MAX);
	bgp_table_done(table, one);
	assert_int_equal(number_of(1), one);
	is_needed[one] = false;
	bgp_table_done(table, one);
	assert_int_equal(number_of(1), UINT32_MAX);
	assert_int_equal(bgp_table_stats(table).n_kept, 0);
	assert_int_equal(bgp_table_stats(table).n_prefixes, 2);
	bgp_table_remove_reader(table, is_needed);
	is_needed[number_of(4)] = true;
	say(0, "18 0a0004 18 0a0005", 0, 0, "");
	assert_int_equal(bgp_table_stats(table).n_kept, 0);
	bgp_table_destroy(table);
}

/* Would catch: who goes through the numbers in slices and misses a prefix that was there all the time, or sees it
 * twice.
 */
static void test_walk_in_slices(void **state)
{
	uint32_t n_seen[N_PREFIXES] = { 0 };
	const uint8_t seed[RNG_SEED_BYTES] = { 12 };
	struct bgp_numbered at;
	struct rng r;

	rng_init(&r, seed);
	start(&(struct bgp_table_limits){ .prefixes = 1000, .paths = 1000, .set_bytes = 1 << 20 });
	for (uint32_t i = 0; i < N_PREFIXES; i++)
		say_one(0, i, 1, 1);
	for (uint32_t n = 0; n < bgp_table_n_numbers(table); n++) {
		if (bgp_table_at(table, n, &at))
			n_seen[at.prefix.addr >> 8 & 0xff]++;
		/* The upper half comes and goes. */
		say_one(0, N_PREFIXES / 2 + rng_below(&r, N_PREFIXES / 2), rng_below(&r, 2), 1);
	}
	for (uint32_t i = 0; i < N_PREFIXES / 2; i++)
		assert_int_equal(n_seen[i], 1);
	bgp_table_destroy(table);
}

/* Would catch: a reader that is told what it has not asked for, or not told of the second best. */
static void test_readers(void **state)
{
	start(&(struct bgp_table_limits){ .prefixes = 1000, .paths = 1000, .set_bytes = 1 << 20 });
	say_one(0, 1, 1, 1);
	say_one(1, 1, 1, 2);
	say_one(3, 1, 1, 4); /* third */
	assert_true(n_told == 1 && n_told_second == 2);
	say_one(1, 1, 0, 0);
	assert_true(n_told == 1 && n_told_second == 3);
	say_one(0, 1, 0, 0);
	assert_true(n_told == 2 && n_told_second == 4);
	for (uint32_t i = 2; i < BGP_READERS_MAX; i++)
		assert_true(
			bgp_table_add_reader(table, &(struct bgp_reader){ BGP_READS_BEST, ignore, NULL, is_needed }));
	assert_false(bgp_table_add_reader(table, &(struct bgp_reader){ BGP_READS_BEST, ignore, NULL, is_needed }));
	bgp_table_remove_reader(table, told);
	say_one(3, 1, 0, 0);
	assert_true(n_told == 3 && n_told_second == 4);
	bgp_table_destroy(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),  cmocka_unit_test(test_permutations),
		cmocka_unit_test(test_messages),       cmocka_unit_test(test_full),
		cmocka_unit_test(test_sets_full),      cmocka_unit_test(test_many_neighbors),
		cmocka_unit_test(test_blocks),         cmocka_unit_test(test_numbers_are_kept),
		cmocka_unit_test(test_walk_in_slices), cmocka_unit_test(test_readers),
		cmocka_unit_test(test_stale),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
