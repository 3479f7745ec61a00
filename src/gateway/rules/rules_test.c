/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the rules room promises whoever hands it a tree: sets that are searched
 * right, trees that must be refused, and an order of chains. What single matches
 * mean is tested from their text in src/daemon/config/nft_eval_test.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "base/rng.h"
#include "gateway/rules/rules_priv.h"

/* Random ranges against a plain scan of them: would catch a range lost in merging or a bit set beside it. */
static void test_sets_against_a_scan(void **state)
{
	static const uint8_t seed[RNG_SEED_BYTES] = { 42 };
	struct rng rng;

	rng_init(&rng, seed);
	for (int round = 0; round < 400; round++) {
		uint32_t max = round % 2 == 0 ? UINT16_MAX : UINT32_MAX;
		uint32_t n = rng_below(&rng, 12), span = round % 3 == 0 ? 20 : 4000;
		struct rule_range r[12];
		struct value_set s;

		for (uint32_t i = 0; i < n; i++) {
			r[i].lo = rng_below(&rng, 60000);
			r[i].hi = min_u32(r[i].lo + rng_below(&rng, span), max);
			if (i % 5 == 4 && max == UINT32_MAX)
				r[i] = (struct rule_range){ UINT32_MAX - r[i].lo, UINT32_MAX };
		}
		assert_true(value_set_init(&s, r, n, max));
		assert_int_equal(s.bitmap != NULL, max == UINT16_MAX && s.n >= 5);
		for (int k = 0; k < 500; k++) {
			uint32_t v = n > 0 && k % 2 == 0 ? r[rng_below(&rng, n)].lo + rng_below(&rng, 3) - 1
							 : rng_u32(&rng) & max;
			bool want = false;

			v &= max;
			for (uint32_t i = 0; i < n; i++)
				want |= r[i].lo <= v && v <= r[i].hi;
			assert_int_equal(value_set_has(&s, v), want);
		}
		value_set_fini(&s);
	}
}

/* Touching and overlapping ranges become one, also at the upper end of the values. */
static void test_sets_merge(void **state)
{
	const struct rule_range r[] = { { 10, 20 },
					{ 21, 30 },
					{ 5, 9 },
					{ 15, 17 },
					{ 40, 39 },
					{ UINT32_MAX, UINT32_MAX },
					{ UINT32_MAX - 1, UINT32_MAX } };
	struct value_set s;

	assert_true(value_set_init(&s, r, ARRAY_LEN(r), UINT32_MAX));
	assert_int_equal(s.n, 2);
	assert_int_equal(s.range[0].lo, 5);
	assert_int_equal(s.range[0].hi, 30);
	value_set_fini(&s);
}

/* A tree of chains c0 ... c(n-1), each with the given statement towards the next. */
struct tree {
	struct rule_ast ast;
	struct rule_table table;
	struct rule_chain chain[40];
	struct rule rule[40];
	struct rule_stmt stmt[40];
};

static void tree_init(struct tree *t, size_t n_chains)
{
	*t = (struct tree){ .ast = { .n_tables = 1 }, .table = { .name = "t", .n_chains = n_chains } };
	t->ast.table = &t->table;
	t->table.chain = t->chain;
	for (size_t i = 0; i < n_chains; i++) {
		snprintf(t->chain[i].name, sizeof(t->chain[i].name), "c%zu", i);
		t->chain[i].rule = &t->rule[i];
		t->rule[i].stmt = &t->stmt[i];
		snprintf(t->stmt[i].chain, sizeof(t->stmt[i].chain), "c%zu", i + 1);
		t->stmt[i].kind = STMT_JUMP;
		t->rule[i].n_stmts = 1;
		t->chain[i].n_rules = i + 1 < n_chains;
	}
	t->chain[0].type = CHAIN_FILTER;
	t->chain[0].hook = HOOK_FORWARD;
}

/* Compiles; the first message, or "" when there is none. */
static const char *message(const struct tree *t, struct rules_error *e)
{
	size_t n = 0;
	struct ruleset *rs = rules_compile(&t->ast, NULL, e, 1, &n);

	assert_int_equal(rs == NULL, n > 0);
	ruleset_destroy(rs);
	return n > 0 ? e->text : "";
}

/* The evaluator's stack is only as deep as this lets a ruleset be. */
static void test_jumps_are_bounded(void **state)
{
	struct rules_error e;
	struct tree t;

	tree_init(&t, RULES_JUMP_MAX + 1);
	assert_string_equal(message(&t, &e), "");
	tree_init(&t, RULES_JUMP_MAX + 2);
	assert_non_null(strstr(message(&t, &e), "jumps within jumps"));
	tree_init(&t, 5);
	t.chain[4].n_rules = 1;
	strcpy(t.stmt[4].chain, "c2");
	assert_non_null(strstr(message(&t, &e), "a circle"));
	strcpy(t.stmt[4].chain, "c4");
	t.stmt[4].kind = STMT_GOTO;
	assert_non_null(strstr(message(&t, &e), "a circle"));
	strcpy(t.stmt[4].chain, "c0");
	assert_non_null(strstr(message(&t, &e), "base chain"));
	strcpy(t.stmt[4].chain, "nobody");
	assert_non_null(strstr(message(&t, &e), "no chain called \"nobody\""));
}

/* A limit that could not be kept exactly in 64 bits is refused, and so is one of nothing. */
static void test_limits_are_bounded(void **state)
{
	struct rules_error e;
	struct tree t;

	tree_init(&t, 1);
	t.chain[0].n_rules = 1;
	t.stmt[0] = (struct rule_stmt){ .kind = STMT_LIMIT, .limit_rate = 1, .limit_per_s = 604800, .limit_burst = 5 };
	assert_string_equal(message(&t, &e), "");
	t.stmt[0].limit_burst = UINT32_MAX;
	assert_non_null(strstr(message(&t, &e), "too large"));
	t.stmt[0].limit_per_s = 0;
	assert_non_null(strstr(message(&t, &e), "at least 1"));
}

/* More mistakes than there is room for are cut off, not written past the end. */
static void test_too_many_messages(void **state)
{
	struct rules_error e[2];
	struct tree t;
	size_t n;

	tree_init(&t, 20);
	for (size_t i = 0; i < 20; i++)
		strcpy(t.stmt[i].chain, "nobody");
	assert_null(rules_compile(&t.ast, NULL, e, 2, &n));
	assert_int_equal(n, 2);
}

/* Each type has names for its values, and each key a row. */
static void test_key_table(void **state)
{
	for (int k = 0; k < N_RULE_KEYS; k++) {
		assert_non_null(rule_key_info[k].name);
		assert_int_equal(rule_key_info[k].bits == 0, rule_key_info[k].type == RULE_TYPE_IFNAME);
		assert_true(rule_key_info[k].type < N_RULE_TYPES);
	}
	for (int t = 0; t < N_RULE_TYPES; t++) {
		size_t n;
		const struct rule_symbol *s = rule_symbols((enum rule_type)t, &n);

		for (size_t i = 0; i < n; i++)
			assert_non_null(s[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sets_against_a_scan), cmocka_unit_test(test_sets_merge),
		cmocka_unit_test(test_jumps_are_bounded),   cmocka_unit_test(test_limits_are_bounded),
		cmocka_unit_test(test_too_many_messages),   cmocka_unit_test(test_key_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
