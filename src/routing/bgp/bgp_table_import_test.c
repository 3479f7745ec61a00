/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Import policy in the table, against what it would make of what each neighbour said last.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "routing/bgp/bgp_table.h"
#include "stack/wire/bgp_fixture.h"
#include "stack/wire/bytes.h"

#define N_SOURCES 4u
#define N_PREFIXES 30u
#define LARGE 7900u
#define LOOP 3u /* a path of this MED has our AS in it */

static const struct siphash_key key = { 3, 4 };
static struct bgp_table *table;
static struct bgp_change told[N_PREFIXES];
static uint32_t n_told, clock_s;

/* A policy: what it makes of a path of MED m to a prefix of number p. */
enum rule {
	RULE_NONE,
	RULE_REJECT_ODD,    /* m odd is rejected; does not ask for the prefix */
	RULE_PREFER_MED,    /* LOCAL_PREF 200 + m; does not ask */
	RULE_PREFER_PREFIX, /* LOCAL_PREF 300 + p % 3; asks */
	RULE_REJECT_PREFIX, /* p even is rejected, else LOCAL_PREF 200 + m; asks */
	RULE_BLACKHOLE,     /* m 2 is one */
	RULE_LARGE,         /* LOCAL_PREF 400, and an attribute of LARGE bytes */
	N_RULES
};

static struct policy {
	enum rule rule;
	const struct bgp_set *set;
	uint32_t local_pref; /* of the last verdict */
	uint32_t n_asked, n_written;
} policy[N_SOURCES];

struct outcome {
	bool is_accepted, is_blackhole;
	uint32_t local_pref;
};

static struct outcome outcome_of(enum rule rule, uint32_t med, uint32_t prefix)
{
	switch (rule) {
	case RULE_REJECT_ODD:
		return (struct outcome){ med % 2 == 0, false, 100 };
	case RULE_PREFER_MED:
		return (struct outcome){ true, false, 200 + med };
	case RULE_PREFER_PREFIX:
		return (struct outcome){ true, false, 300 + prefix % 3 };
	case RULE_REJECT_PREFIX:
		return prefix % 2 == 0 ? (struct outcome){ false, false, 100 }
				       : (struct outcome){ true, false, 200 + med };
	case RULE_BLACKHOLE:
		return (struct outcome){ true, med == 2, 100 };
	case RULE_LARGE:
		return (struct outcome){ true, false, 400 };
	case RULE_NONE:
	case N_RULES:
		break;
	}
	return (struct outcome){ true, false, 100 };
}

static uint32_t number_of(struct ip4_prefix p)
{
	return p.addr >> 8 & 0xff;
}

static struct ip4_prefix prefix_of(uint32_t i)
{
	return (struct ip4_prefix){ IP4(10, 0, 0, 0) + (i << 8), 24 };
}

static void judge(void *user, struct ip4_prefix prefix, const struct bgp_set *set, struct bgp_verdict *v)
{
	struct policy *p = user;
	struct outcome o = outcome_of(p->rule, set->med, number_of(prefix));

	p->set = set;
	p->local_pref = o.local_pref;
	p->n_asked++;
	v->is_accepted = o.is_accepted;
	v->is_blackhole = o.is_blackhole;
	v->asked_prefix = p->rule == RULE_PREFER_PREFIX || p->rule == RULE_REJECT_PREFIX;
	v->edits = o.local_pref != 100 ? o.local_pref : 0;
}

static size_t write_set(void *user, uint8_t *out)
{
	struct policy *p = user;
	struct bgp_nlri rest = { p->set->bytes, p->set->len };
	struct bgp_attr a;
	uint8_t *at = out;

	p->n_written++;
	while (bgp_set_next(&rest, &a)) {
		memcpy(at, (const uint8_t[]){ a.flags, a.type, (uint8_t)a.len }, 3);
		if (a.len > 0)
			memcpy(at + 3, a.value, a.len);
		at += 3 + a.len;
	}
	memcpy(at, (const uint8_t[]){ BGP_TRANSITIVE, BGP_LOCAL_PREF, 4 }, 3);
	bytes_put32(at + 3, p->local_pref);
	at += 7;
	if (p->rule == RULE_LARGE) {
		memset(at, 0, LARGE + 4);
		at[0] = BGP_OPTIONAL | BGP_TRANSITIVE | BGP_EXTENDED_LENGTH;
		at[1] = 211;
		bytes_put16(at + 2, LARGE);
		at += LARGE + 4;
	}
	return (size_t)(at - out);
}

static void set_rule(uint32_t source, enum rule rule)
{
	policy[source].rule = rule;
	bgp_table_set_import(table, source,
			     &(struct bgp_import){ rule == RULE_NONE ? NULL : judge, write_set, &policy[source] });
}

static void assert_there(struct bgp_chosen c)
{
	assert_true(c.set == BGP_SET_NONE || bgp_table_set(table, c.set)->n_refs > 0);
}

static bool is_same(struct bgp_chosen a, struct bgp_chosen b)
{
	return a.set == b.set && a.source == b.source && a.is_blackhole == b.is_blackhole;
}

static void changed(void *user, const struct bgp_change *c)
{
	struct bgp_change *t = &told[number_of(c->prefix)];

	if (t->best.set != BGP_SET_NONE)
		assert_true(is_same(c->best_before, t->best) && is_same(c->second_before, t->second));
	assert_false(is_same(c->best, c->best_before) && is_same(c->second, c->second_before));
	assert_there(c->best);
	assert_there(c->second);
	assert_there(c->best_before);
	assert_there(c->second_before);
	*t = *c;
	n_told++;
}

static const struct bgp_source from[N_SOURCES] = {
	{ BGP_EXTERNAL, 4, 1 }, { BGP_EXTERNAL, 3, 2 }, { BGP_INTERNAL, 2, 3 }, { BGP_EXTERNAL, 1, 4 }
};

static void start(uint64_t set_bytes)
{
	memset(told, 0, sizeof(told));
	memset(policy, 0, sizeof(policy));
	n_told = clock_s = 0;
	assert_int_equal(
		bgp_table_create(&table,
				 &(struct bgp_table_limits){ .prefixes = 1000, .paths = 1000, .set_bytes = set_bytes },
				 BGP_MED_SAME_AS, &key),
		0);
	assert_true(bgp_table_add_reader(table, &(struct bgp_reader){ .reads = BGP_READS_SECOND, .changed = changed }));
	for (uint32_t i = 0; i < N_SOURCES; i++)
		assert_int_equal(bgp_table_add_source(table, &from[i]), i);
}

/* Announces with these attributes, or withdraws when there are none. */
static void say_attrs(uint32_t source, const char *attrs, const char *list)
{
	static uint8_t bytes[BGP_FIXTURE_MAX];
	static struct bgp_update u;
	struct bgp_wire w = bgp_fixture_wire();
	bool is_gone = attrs[0] == '\0';
	struct bgp_error e;

	w.any_first_as = true;
	size_t len = bgp_fixture_update(bytes, is_gone ? list : "", attrs, is_gone ? "" : list);

	assert_int_equal(bgp_update_parse(&w, bytes, len, &u, &e), BGP_ACCEPT);
	bgp_table_update(table, source, &u, BGP_ACCEPT, ++clock_s);
}

/* med 0 withdraws; from 1 to 3 it is announced with that MED by AS 7. nlri: prefixes by number. */
static void say(uint32_t source, uint32_t med, const uint8_t *nlri, uint32_t n)
{
	char attrs[200] = "", list[1000] = "";

	for (uint32_t i = 0; i < n; i++)
		(void)snprintf(list + strlen(list), sizeof(list) - strlen(list), "18 0a00%02x ", nlri[i]);
	if (med != 0)
		(void)snprintf(attrs, sizeof(attrs),
			       BGP_FIXTURE_ORIGIN BGP_FIXTURE_HOP "40020a 0202 00000007 %08x 800404 %08x",
			       med == LOOP ? 65000u : 8u, med);
	say_attrs(source, attrs, list);
}

static uint32_t best_of(const struct outcome o[N_SOURCES], const uint8_t med[N_SOURCES])
{
	struct bgp_set set[N_SOURCES];
	struct bgp_candidate c[N_SOURCES];
	uint32_t who[N_SOURCES], n = 0;

	for (uint32_t i = 0; i < N_SOURCES; i++) {
		if (med[i] == 0 || med[i] == LOOP || !o[i].is_accepted)
			continue;
		set[n] =
			(struct bgp_set){ .local_pref = o[i].local_pref, .med = med[i], .n_hops = 1, .neighbor_as = 7 };
		c[n] = (struct bgp_candidate){ &set[n], &from[i], 0 };
		who[n++] = i;
	}
	uint8_t best = bgp_decide(BGP_MED_SAME_AS, c, n).best;
	return best == BGP_NOBODY ? BGP_SOURCE_NONE : who[best];
}

static void check(uint8_t med[N_PREFIXES][N_SOURCES])
{
	static struct bgp_prefix_view v;
	uint32_t n_rejected = 0;

	for (uint32_t i = 0; i < N_PREFIXES; i++) {
		struct outcome o[N_SOURCES];
		uint32_t n = 0;

		for (uint32_t k = 0; k < N_SOURCES; k++) {
			o[k] = outcome_of(policy[k].rule, med[i][k], i);
			n += med[i][k] != 0;
		}
		bgp_table_look(table, prefix_of(i), &v);
		assert_int_equal(v.n, n);
		for (uint32_t k = 0; k < v.n; k++) {
			uint32_t s = v.path[k].source;

			assert_int_equal(v.path[k].is_rejected, !o[s].is_accepted);
			assert_int_equal(v.path[k].is_loop, med[i][s] == LOOP);
			assert_int_equal(v.path[k].is_blackhole, o[s].is_blackhole);
			assert_int_equal(bgp_table_set(table, v.path[k].received)->local_pref, 100);
			assert_int_equal(bgp_table_set(table, v.path[k].received)->med, med[i][s]);
			assert_int_equal(bgp_table_set(table, v.path[k].set)->local_pref, o[s].local_pref);
			assert_true(o[s].local_pref != 100 || v.path[k].set == v.path[k].received);
			n_rejected += v.path[k].is_rejected;
		}
		struct bgp_path_view best = bgp_table_best(table, prefix_of(i));

		assert_int_equal(best.source, best_of(o, med[i]));
		assert_true(best.set == told[i].best.set && best.is_blackhole == told[i].best.is_blackhole);
		assert_true(best.set == BGP_SET_NONE || best.is_blackhole == o[best.source].is_blackhole);
	}
	assert_int_equal(bgp_table_stats(table).n_rejected, n_rejected);
}

static void end(void)
{
	for (uint32_t k = 0; k < N_SOURCES; k++)
		assert_true(bgp_table_drop(table, k, UINT32_MAX));
	struct bgp_table_stats s = bgp_table_stats(table);

	assert_true(s.n_prefixes == 0 && s.n_paths == 0 && s.n_sets == 0 && s.set_bytes == 0 && s.n_rejected == 0);
	bgp_table_destroy(table);
}

/* Would catch: a verdict that stays after the policy has changed, is taken for another prefix's or another source's; a
 * change in the walk that is lost, or told when it is none; a set that stays or goes too early; a rejected path lost.
 */
static void test_against_model(void **state)
{
	static uint8_t med[N_PREFIXES][N_SOURCES];
	const uint8_t seed[RNG_SEED_BYTES] = { 12 };
	struct rng r;

	memset(med, 0, sizeof(med));
	rng_init(&r, seed);
	start(1 << 20);
	for (uint32_t step = 0; step < 6000; step++) {
		uint32_t k = rng_below(&r, N_SOURCES), m = rng_below(&r, 4), n = 1 + rng_below(&r, 6);
		uint8_t list[6];

		for (uint32_t i = 0; i < n; i++) {
			list[i] = (uint8_t)rng_below(&r, N_PREFIXES);
			med[list[i]][k] = (uint8_t)m;
		}
		if (rng_below(&r, 8) == 0)
			set_rule(rng_below(&r, N_SOURCES), (enum rule)rng_below(&r, RULE_LARGE));
		if (rng_below(&r, 2) == 0)
			(void)bgp_table_rerun(table, 1 + rng_below(&r, 20));
		say(k, m, list, n);
		if (step % 10 != 0)
			continue;
		while (!bgp_table_rerun(table, 7))
			;
		check(med);
		uint32_t before = n_told;
		set_rule(k, policy[k].rule); /* the same again is no change to anybody */
		assert_true(bgp_table_rerun(table, UINT32_MAX) && n_told == before);
	}
	end();
}

/* Would catch: policy asked once a prefix when it did not ask for one; equal edits written again; a walk that asks all
 * anew in each slice only because it is one. */
static void test_asked_once(void **state)
{
	static const uint8_t some[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };

	start(1 << 20);
	set_rule(0, RULE_PREFER_MED);
	say(0, 1, some, 12);
	assert_true(policy[0].n_asked == 1 && policy[0].n_written == 1);
	set_rule(0, RULE_PREFER_PREFIX);
	assert_true(bgp_table_rerun(table, UINT32_MAX));
	assert_true(policy[0].n_asked == 13 && policy[0].n_written == 13); /* each differs from the one before */
	set_rule(0, RULE_REJECT_PREFIX);
	assert_true(bgp_table_rerun(table, UINT32_MAX));
	assert_true(policy[0].n_asked == 25 && policy[0].n_written == 14);
	set_rule(0, RULE_REJECT_ODD);
	assert_true(bgp_table_rerun(table, UINT32_MAX));
	assert_true(policy[0].n_asked == 26 && bgp_table_stats(table).n_rejected == 12);
	set_rule(0, RULE_NONE);
	assert_true(bgp_table_rerun(table, UINT32_MAX));
	assert_true(policy[0].n_asked == 26 && bgp_table_stats(table).n_rejected == 0);
	end();
}

/* Would catch: a new neighbour with the policy of the one that had its number before. */
static void test_new_source(void **state)
{
	start(1 << 20);
	set_rule(2, RULE_REJECT_ODD);
	assert_true(bgp_table_drop(table, 2, UINT32_MAX));
	assert_int_equal(bgp_table_add_source(table, &from[2]), 2);
	say(2, 1, (const uint8_t[]){ 1 }, 1);
	assert_int_equal(bgp_table_stats(table).n_rejected, 0);
	policy[2].rule = RULE_NONE;
	end();
}

/* Would catch: what there was before where what policy made has no room; a record that is given back twice; a path that
 * is chosen as received since there is no room for what the new policy makes of it. */
static void test_no_room(void **state)
{
	static struct bgp_prefix_view v;
	char attrs[200], list[20];

	start(1 << 16);
	for (uint32_t i = 0; i < 19; i++) {
		(void)snprintf(attrs, sizeof(attrs), BGP_FIXTURE_USUAL "d0 d3 0bb8 {%02x}3000", i);
		(void)snprintf(list, sizeof(list), "18 0a00%02x", 2 + i);
		say_attrs(1, attrs, list);
	}
	assert_int_equal(bgp_table_stats(table).n_no_room, 0);
	say(0, 1, (const uint8_t[]){ 0, 1 }, 2);
	set_rule(0, RULE_LARGE);
	say(0, 2, (const uint8_t[]){ 0 }, 1); /* the only one there */
	assert_int_equal(bgp_table_best(table, prefix_of(0)).set, BGP_SET_NONE);
	say(0, 2, (const uint8_t[]){ 0 }, 1); /* of a prefix that is not there */
	say(0, 2, (const uint8_t[]){ 2 }, 1); /* beside another */
	struct bgp_table_stats s = bgp_table_stats(table);
	assert_true(s.n_no_room == 3 && s.n_prefixes == 20 && s.n_kept == 0);
	assert_true(bgp_table_rerun(table, UINT32_MAX));
	bgp_table_look(table, prefix_of(1), &v);
	assert_true(v.n == 1 && v.best == BGP_NOBODY && v.path[0].is_rejected && v.path[0].set == v.path[0].received);
	set_rule(0, RULE_NONE);
	assert_true(bgp_table_rerun(table, UINT32_MAX));
	assert_int_equal(bgp_table_best(table, prefix_of(1)).source, 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_asked_once),
		cmocka_unit_test(test_new_source),
		cmocka_unit_test(test_no_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
