/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Policy in the table's slot: two neighbours of one room, whose judgements must not be taken for each other's.
 */
#include "routing/bgp/bgp_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "routing/bgp/bgp_table.h"
#include "routing/policy/policy_fixture.h"

static const char text[] = "filter a { bgp_local_pref = 150; if bgp_med = 3 then reject; accept; }\n"
			   "filter b { if net.len > 24 then reject; bgp_med = net.len; accept; }\n";

static struct bgp_policy_room room;
static struct policy_attrs attrs;
static struct policy_attrs attrs;
static struct policy *program;
static struct policy_prefixes own;

static struct bgp_policy policy_of(uint32_t filter)
{
	return (struct bgp_policy){
		.program = program,
		.neighbor = { .kind = BGP_EXTERNAL,
			      .local_as = 65000,
			      .peer_as = 65001,
			      .role = BGP_ROLE_CUSTOMER,
			      .import = { POLICY_BY_FILTER, filter },
			      .own = &own },
		.name = "a",
		.room = &room,
	};
}

static void start(void)
{
	const struct policy_pattern pattern = { { IP4(10, 0, 0, 0), 16 }, 16, 32 };
	struct policy_error e;

	memset(&room, 0, sizeof(room));
	assert_int_equal(policy_create(&program), 0);
	assert_int_equal(
		policy_add(program, &(struct policy_text){ text, sizeof(text) - 1, { .line = 1, .column = 1 } }, &e),
		0);
	assert_int_equal(policy_prefixes_init(&own, &pattern, 1), 0);
}

static void end(void)
{
	policy_prefixes_fini(&own);
	policy_destroy(program);
}

/* A struct bgp_set of a set that is written out. */
static const struct bgp_set *set_of(uint32_t med)
{
	static _Alignas(struct bgp_set) uint8_t memory[sizeof(struct bgp_set) + BGP_SET_MAX];
	struct bgp_set *set = (struct bgp_set *)(void *)memory;
	const struct policy_fixture_set s = { .path = { 65001 }, .next_hop = 1, .has_med = true, .med = med };

	set->len = (uint16_t)policy_fixture_write(set->bytes, &s).len;
	return set;
}

/* Would catch: a judgement kept for another prefix, another set or another neighbour; attributes written of one that is
 * gone. Each is held against one of a room that remembers nothing. */
static void test_remembered(void **state)
{
	static const struct ip4_prefix prefixes[] = {
		{ IP4(10, 0, 0, 0), 16 }, { IP4(10, 0, 7, 0), 25 }, { IP4(11, 0, 0, 0), 16 }, { IP4(11, 0, 0, 0), 25 }
	};
	static uint8_t got[BGP_SET_MAX], want[BGP_SET_MAX];
	static struct bgp_policy_room fresh;
	const uint8_t seed[RNG_SEED_BYTES] = { 7 };
	struct rng r;

	start();
	rng_init(&r, seed);
	struct bgp_policy p[2] = { policy_of(0), policy_of(1) }, q[2] = { policy_of(0), policy_of(1) };
	struct bgp_import import[2] = { bgp_policy_import(&p[0]), bgp_policy_import(&p[1]) };

	q[0].room = q[1].room = &fresh;
	for (uint32_t i = 0; i < 5000; i++) {
		uint32_t who = rng_below(&r, 2), med = rng_below(&r, 4);
		struct ip4_prefix prefix = prefixes[rng_below(&r, 4)];
		struct bgp_verdict v = { 0 }, w = { 0 };
		struct bgp_import slow = bgp_policy_import(&q[who]);

		import[who].judge(&p[who], prefix, set_of(med), &v);
		slow.judge(&q[who], prefix, set_of(med), &w);
		(void)set_of(9); /* as if what was judged were gone */
		assert_true(v.is_accepted == w.is_accepted && v.edits == w.edits && v.asked_prefix == w.asked_prefix);
		if (!v.is_accepted || v.edits == 0)
			continue;
		size_t len = import[who].write(&p[who], got);
		assert_int_equal(len, slow.write(&q[who], want));
		assert_memory_equal(got, want, len);
	}
	end();
}

/* Would catch: a rule or a line that is not told. */
static void test_explained(void **state)
{
	const struct bgp_set *set;
	struct policy_verdict v;

	start();
	struct bgp_policy p = policy_of(0);

	set = set_of(3);
	bgp_policy_explain(&p, BGP_POLICY_IMPORT, (struct ip4_prefix){ IP4(10, 0, 0, 0), 16 },
			   (struct bgp_nlri){ set->bytes, set->len }, NULL, &attrs, &v);
	assert_true(!v.is_accepted && v.rule == POLICY_RULE_OWN_PREFIX);
	bgp_policy_explain(&p, BGP_POLICY_IMPORT, (struct ip4_prefix){ IP4(11, 0, 0, 0), 16 },
			   (struct bgp_nlri){ set->bytes, set->len }, NULL, &attrs, &v);
	assert_true(!v.is_accepted && v.rule == POLICY_RULE_NONE && v.pos.column == 54);
	end();
}

/* Would catch: an export that is judged as an import, with another neighbour's name, or without saying that MED and
 * next hop are its own. */
static const char *name_of(void *user, const struct bgp_source *source)
{
	return source->id == 1 ? "one" : "two";
}

static void test_export(void **state)
{
	static const char more[] =
		"filter e { if proto = \"one\" then { bgp_med = 5; accept; }\n"
		"if proto = \"two\" && net.len = 16 then { bgp_next_hop = 192.0.2.7; accept; } reject; }";
	const struct bgp_source one = { .kind = BGP_EXTERNAL, .id = 1 }, two = { .kind = BGP_EXTERNAL, .id = 2 };
	const struct ip4_prefix prefix = { IP4(10, 0, 0, 0), 16 }, other = { IP4(10, 0, 0, 0), 17 };
	struct bgp_export_verdict v = { 0 };
	struct policy_error e;

	start();
	assert_int_equal(policy_add(program, &(struct policy_text){ more, sizeof(more) - 1, { 0 } }, &e), 0);
	struct bgp_policy p = policy_of(0);

	p.neighbor.export = (struct policy_choice){ POLICY_BY_FILTER, policy_find(program, "e") };
	p.neighbor.role = BGP_ROLE_NONE;
	p.neighbor.transit = true;
	p.name_of = name_of;
	struct bgp_export export = bgp_policy_export(&p);

	for (uint32_t i = 0; i < 4; i++) {
		export.judge(&p, prefix, set_of(7), &one, &v);
		assert_true(v.is_accepted && v.keeps_med && !v.keeps_next_hop && !v.asked_prefix && v.edits != 0);
		export.judge(&p, prefix, set_of(7), &two, &v);
		assert_true(v.is_accepted && !v.keeps_med && v.keeps_next_hop && v.asked_prefix);
		export.judge(&p, other, set_of(7), &two, &v);
		assert_false(v.is_accepted);
	}
	struct bgp_policy q = p;

	q.neighbor.peer_as = 7;
	q.neighbor.import.kind = POLICY_ALL;
	q.name = "other";
	assert_true(bgp_policy_exports_alike(&p, &q));
	p.neighbor.transit = false;
	assert_false(bgp_policy_exports_alike(&p, &q));
	export = bgp_policy_export(&p);
	export.judge(&p, prefix, set_of(7), &one, &v);
	assert_false(v.is_accepted);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_remembered), cmocka_unit_test(test_explained),
					    cmocka_unit_test(test_export) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
