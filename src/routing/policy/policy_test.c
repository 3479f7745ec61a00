/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The language: what is refused and how that reads, and what BIRD has no word for (policy_bird_test.c has the rest).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "routing/policy/policy_fixture.h"

static struct policy *program;

static int add(const char *text, struct policy_error *e)
{
	return policy_add(program, &(struct policy_text){ text, strlen(text), { .file = 3, .line = 1, .column = 1 } },
			  e);
}

static void compile(const char *text)
{
	struct policy_error e;

	assert_int_equal(policy_create(&program), 0);
	if (add(text, &e) != 0)
		fail_msg("%s\n%u:%u: %s", text, e.pos.line, e.pos.column, e.why);
}

/* --- what is refused --- */

/* Within `filter f { ... }` unless the text begins with a top word; column counts from there. */
static const struct refusal {
	const char *text;
	uint32_t line, column;
	const char *why; /* is in the message */
} refusals[] = {
	{ "filter", 1, 7, "expected the name of a filter, found the end" },
	{ "filter f accept; }", 1, 10, "expected \"{\", found \"accept\"" },
	{ "filter f { accept }", 1, 19, "expected \";\", found \"}\"" },
	{ "filter f {\n  accept;\n", 3, 1, "expected a statement or \"}\", found the end" },
	{ "filter f { } filter f { }", 1, 21, "the name of something in line 1 already" },
	{ "filters f { }", 1, 1, "expected define, prefix-list, function or filter" },
	{ "table t;", 1, 1, "\"table\" is not there" },
	{ "attribute int x;", 1, 1, "\"attribute\" is not there: there are no attributes of one's own" },
	{ "define X = ;", 1, 12, "expected a value" },
	{ "define X = net;", 1, 12, "depends on the path" },
	{ "define X = X;", 1, 12, "it is being defined" },
	{ "define X = 1", 1, 13, "expected \";\"" },
	{ "prefix-list l { 10.0.0.1/8; }", 1, 17, "it would be 10.0.0.0/8" },
	{ "prefix-list l { 10.0.0.0/33; }", 1, 26, "a length from 0 to 32" },
	{ "prefix-list l { 10.0.0.0/8{24,16}; }", 1, 27, "the shorter length first: {16,24}" },
	{ "prefix-list l { 10.0.0.0; }", 1, 25, "expected \"/\"" },
	{ "prefix-list l { 2001:db8::/32; }", 1, 17, "IPv6" },
	{ "prefix-list l { 10.0.0.0/8 11.0.0.0/8 }", 1, 28, "expected \",\", \";\" or \"}\"" },
	{ "filter f { if net ~ [10.0.0.0/8,] then accept; }", 1, 33, "expected a prefix" },
	{ "filter f { if net ~ [10.0.0.0/8; 11.0.0.0/8] then accept; }", 1, 32, "expected \",\" or \"]\"" },
	{ "filter f { for int x in [1] do accept; }", 1, 12, "\"for\" is not there: there are no loops" },
	{ "filter f { case 1 { } }", 1, 12, "\"case\" is not there" },
	{ "filter f { print \"x\"; }", 1, 12, "\"print\" is not there" },
	{ "filter f { unset(bgp_med); }", 1, 12, "\"unset\" is not there" },
	{ "filter f { if defined(bgp_med) then accept; }", 1, 15, "\"defined\" is not there" },
	{ "filter f { preference = 3; }", 1, 12, "\"preference\" is not there" },
	{ "filter f { ospf_metric1 = 3; }", 1, 12, "only BGP's attributes" },
	{ "filter f { bgp_otc = 3; }", 1, 12, "RFC 9234" },
	{ "filter f { bgp_path.delete(1); }", 1, 21, "\"bgp_path.delete\" is not there" },
	{ "filter f { bgp_path.filter([1]); }", 1, 21, "\"bgp_path.filter\" is not there" },
	{ "filter f { bgp_path = bgp_path; }", 1, 21, "a path is not assigned" },
	{ "filter f { bgp_community = bgp_community; }", 1, 26, "a list is not assigned" },
	{ "filter f { bgp_community.clear; }", 1, 26, "expected \"add\", \"delete\", \"filter\" or \"empty\"" },
	{ "filter f { bgp_community.add(5); }", 1, 30, "expected a community (a, b), this is an int" },
	{ "filter f { bgp_community.add([(1,2)]); }", 1, 30, "this is a set of communities" },
	{ "filter f { bgp_community.delete((1,2,3)); }", 1, 33, "this is a large community" },
	{ "filter f { bgp_community.filter((1,2)); }", 1, 33, "expected a set of communities" },
	{ "filter f { bgp_community.add((1,65536)); }", 1, 33, "at most 65535" },
	{ "filter f { bgp_community.delete([(65536,*)]); }", 1, 35, "at most 65535" },
	{ "filter f { bgp_local_pref = 10.0.0.1; }", 1, 29, "expected an int, this is an address" },
	{ "filter f { bgp_local_pref += 1; }", 1, 27, "expected \"=\"" },
	{ "filter f { bgp_local_pref = 4294967296; }", 1, 29, "more than 32 bits" },
	{ "filter f { bgp_local_pref = bgp_local_pref-1; }", 1, 29, "a minus has spaces around it" },
	{ "filter f { bgp_origin = 1; }", 1, 25, "expected an origin, this is an int" },
	{ "filter f { bgp_med = 6 / 2; }", 1, 24, "nothing is divided" },
	{ "filter f { if net then accept; }", 1, 15, "expected a bool, this is a prefix" },
	{ "filter f { if net ~ 5 then accept; }", 1, 19, "~ does not go between a prefix and an int" },
	{ "filter f { if net = 10.0.0.0 then accept; }", 1, 19, "= does not go between a prefix and an address" },
	{ "filter f { if net < 10.0.0.0/8 then accept; }", 1, 19, "< and > does not go" },
	{ "filter f { if !net ~ [10.0.0.0/8] then accept; }", 1, 15, "it is stronger than ~ and =" },
	{ "filter f { if bgp_path ~ 65001 then accept; }", 1, 24, "64500 ~ bgp_path" },
	{ "filter f { if bgp_path = [= 1 =] then accept; }", 1, 24, "by ~" },
	{ "filter f { if bgp_path ~ [(1,2)] then accept; }", 1, 24, "~ does not go between" },
	{ "filter f { if bgp_path ~ [= 1+ =] then accept; }", 1, 30, "\"+\" in a mask is not there" },
	{ "filter f { if bgp_path ~ [= (1) =] then accept; }", 1, 29, "an expression in a mask is not there" },
	{ "filter f { if bgp_path ~ [= 1 then accept; }", 1, 31, "nothing is called \"then\"" },
	{ "filter f { if bgp_path.length > 3 then accept; }", 1, 24, "expected \"len\", \"first\" or \"last\"" },
	{ "filter f { if net.mask(8) = net then accept; }", 1, 19, "expected \"len\" or \"ip\"" },
	{ "filter f { if bgp_community ~ [1] then accept; }", 1, 29, "~ does not go" },
	{ "filter f { if bgp_med.x > 1 then accept; }", 1, 23, "an int has no members" },
	{ "filter f { if bgp_med ~ [1, (1,2)] then accept; }", 1, 29, "in a set of others" },
	{ "filter f { if bgp_med ~ [1, \"x\"] then accept; }", 1, 29, "something in the set" },
	{ "filter f { if true || true && true then accept; }", 1, 28, "it needs parentheses" },
	{ "filter f { if true accept; }", 1, 20, "expected \"then\"" },
	{ "filter f { if 1 < 2 < 3 then accept; }", 1, 21, "expected \"then\"" },
	{ "filter f { if roa_check() = ROA_VALID then accept; }", 1, 25, "the name of a table" },
	{ "filter f { if roa_check(r, 5, 5) = ROA_VALID then accept; }", 1, 28, "expected a prefix" },
	{ "filter f { if (rt,70000,70000) ~ bgp_ext_community then accept; }", 1, 25, "at most 65535" },
	{ "filter f { if (1,2)..(3,4) then accept; }", 1, 15, "expected a bool" },
	{ "filter f { if bgp_community ~ [(1,*)..(3,4)] then accept; }", 1, 39, "from one community to another" },
	{ "filter f { nothing(); }", 1, 12, "nothing is called \"nothing\"" },
	{ "filter f { bgp_med = nothing; }", 1, 22, "nothing is called \"nothing\"" },
	{ "filter f { f(); }", 1, 12, "is no function" },
	{ "filter f { } filter g { bgp_med = f; }", 1, 35, "is a filter, and has no value" },
	{ "filter f { return 1; }", 1, 12, "return belongs into a function" },
	{ "function f() { return f(); }", 1, 23, "there is no recursion" },
	{ "function f() { f(); }", 1, 16, "there is no recursion" },
	{ "function f(x) { }", 1, 12, "a type" },
	{ "function f(clist x) { }", 1, 12, "\"clist\" is not there" },
	{ "function f(int) { }", 1, 15, "the name of an argument" },
	{ "function f() int x; { }", 1, 14, "no variables" },
	{ "function f() { return 1; return true; }", 1, 33, "expected an int, as the function returns elsewhere" },
	{ "function f() -> bool { return 1; }", 1, 31, "expected a bool" },
	{ "function f() { return 1; return; }", 1, 32, "expected an int" },
	{ "function f() { return net; }", 1, 23, "returns a bool or an int" },
	{ "function f() { if true then return 1; } filter g { bgp_med = f(); }", 1, 62, "may end without a return" },
	{ "function f() { } filter g { bgp_med = f(); }", 1, 39, "returns nothing" },
	{ "function f(int a) { } filter g { f(); }", 1, 36, "expected a value" },
	{ "function f(int a) { } filter g { f(1, 2); }", 1, 37, "expected \")\"" },
	{ "function f(int a) { } filter g { f(true); }", 1, 36, "expected an int, this is a bool" },
	{ "filter f { reject \"x; }\n accept; }", 1, 19, "not closed in this line" },
	{ "filter f { /* }", 1, 12, "the comment is not closed" },
	{ "filter f { @ }", 1, 12, "no meaning here" },
	{ "filter f { if net.ip = 10.0.0.256 then accept; }", 1, 24, "four parts from 0 to 255" },
	{ "filter f { bgp_med = 12ab; }", 1, 22, "letters in a number" },
	{ "filter f {\n\t# a comment\n\tbgp_med = true;\n}", 3, 12, "expected an int, this is a bool" },
};

/* Would catch: a text that is taken and should not be; an error at another place, or of something else. */
static void test_refusals(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		const struct refusal *row = &refusals[i];
		struct policy_error e;

		assert_int_equal(policy_create(&program), 0);
		if (add(row->text, &e) != -EINVAL)
			fail_msg("taken: %s", row->text);
		if (e.pos.line != row->line || e.pos.column != row->column || strstr(e.why, row->why) == NULL)
			fail_msg("%s\nwanted %u:%u: %s\ncame   %u:%u: %s", row->text, row->line, row->column, row->why,
				 e.pos.line, e.pos.column, e.why);
		assert_int_equal(e.pos.file, 3);
		policy_destroy(program);
	}
}

/* Would catch: depth or steps that nothing limits, also through functions; a limit that an ordinary text meets. */
static void test_limits(void **state)
{
	static char text[1 << 20];
	struct text t = text_of(text, sizeof(text));
	struct policy_error e;

	/* Each function calls the one before it twice: 2^30 steps. */
	text_add(&t, "function f0() { return 1; }");
	for (uint32_t i = 1; i < 30; i++)
		text_add(&t, "function f%u() { return f%u() + f%u(); }", i, i - 1, i - 1);
	text_add(&t, "filter f { bgp_med = f29(); accept; }");
	assert_int_equal(policy_create(&program), 0);
	assert_int_equal(add(text, &e), -EINVAL);
	assert_non_null(strstr(e.why, "more than 1000000 steps"));
	policy_destroy(program);

	t = text_of(text, sizeof(text));
	text_add(&t, "function f0() { return 1; }");
	for (uint32_t i = 1; i < 200; i++)
		text_add(&t, "function f%u() { return f%u(); }", i, i - 1);
	assert_int_equal(policy_create(&program), 0);
	assert_int_equal(add(text, &e), -EINVAL);
	assert_non_null(strstr(e.why, "nested more than 120 deep"));
	policy_destroy(program);

	t = text_of(text, sizeof(text));
	text_add(&t, "filter f { if ");
	for (uint32_t i = 0; i < 100; i++)
		text_add(&t, "(");
	assert_int_equal(policy_create(&program), 0);
	assert_int_equal(add(text, &e), -EINVAL);
	assert_non_null(strstr(e.why, "nested more than 64 deep"));
	policy_destroy(program);

	/* Long is not deep: chains of else, of || and of statements. */
	t = text_of(text, sizeof(text));
	text_add(&t, "filter f { ");
	for (uint32_t i = 0; i < 3000; i++)
		text_add(&t, "if bgp_med = %u then bgp_local_pref = %u; else ", i + 1, i);
	text_add(&t, "bgp_local_pref = 7; if false");
	for (uint32_t i = 0; i < 3000; i++)
		text_add(&t, " || bgp_med = %u", i + 10000);
	text_add(&t, " then reject; accept; }");
	assert_false(t.cut);
	compile(text);
	policy_destroy(program);
}

/* --- what comes of a path --- */

static uint8_t before[BGP_SET_MAX], after[BGP_SET_MAX];
static struct policy_attrs attrs;
static struct policy_verdict verdict;
static struct policy_path path = { .prefix = { IP4(203, 0, 113, 0), 24 }, .source = POLICY_RTS_BGP, .proto = "op-a" };

/* "-", or what differs. */
static const char *run(const char *text, const struct policy_fixture_set *set)
{
	static char got[400];
	struct text t = text_of(got, sizeof(got));

	compile(text);
	path.set = policy_fixture_write(before, set);
	policy_attrs_start(&attrs, path.set);
	policy_run(program, policy_find(program, "f"), &path, &attrs, &verdict);
	policy_destroy(program);
	if (!verdict.is_accepted)
		return "-";
	policy_fixture_differences(&t, path.set, (struct bgp_nlri){ after, policy_attrs_write(&attrs, after) });
	return got;
}

static const struct policy_fixture_set plain = { .path = { 65001, 65002 }, .next_hop = IP4(192, 0, 2, 1) };

/* Would catch: an attribute that is not there and reads as something else; one that is put in another's place. */
static void test_absent(void **state)
{
	assert_string_equal(run("filter f { if bgp_med = 0 && bgp_local_pref = 100 then accept; }", &plain), "=");
	assert_string_equal(run("filter f { bgp_local_pref = 100; accept; }", &plain), "local_pref 100");
	assert_string_equal(run("filter f { bgp_med = 0; accept; }", &plain), "med 0");
	assert_string_equal(
		run("filter f { bgp_large_community.add((1,2,3)); bgp_community.add((1,2)); bgp_med = 3; "
		    "bgp_local_pref = 4; bgp_ext_community.add((ro,1,2)); bgp_origin = ORIGIN_EGP; "
		    "bgp_next_hop = 192.0.2.7; bgp_path.prepend(7); accept; }",
		    &plain),
		"origin EGP; as_path 7 65001 65002; next_hop 192.0.2.7; med 3; local_pref 4; community (1,2); "
		"ext_community (ro,1,2); large_community (1,2,3)");
	/* Types ascend in what is written. */
	struct bgp_nlri rest = { after, policy_attrs_write(&attrs, after) };
	struct bgp_attr a;

	for (uint8_t last = 0; bgp_set_next(&rest, &a); last = a.type)
		assert_true(a.type > last);
	assert_string_equal(run("filter f { if bgp_community.len + bgp_path.len = 0 then accept; }",
				&(struct policy_fixture_set){ .next_hop = 1 }),
			    "=");
}

/* Would catch: a change that is none taken for one, and the other way round; equal numbers of different changes. */
static void test_edits(void **state)
{
	const struct policy_fixture_set set = { .path = { 1 }, .next_hop = 1, .local_pref = 100, .community = { 5 } };
	static const char *const nothing[] = {
		"bgp_local_pref = 100;",          "bgp_community.add((0,5));", "bgp_community.delete((0,6));",
		"bgp_community.filter([(0,*)]);", "bgp_origin = ORIGIN_IGP;",  "bgp_large_community.empty;",
		"bgp_path.prepend(0);",
	};
	static const char *const something[] = {
		"bgp_local_pref = 101;",
		"bgp_med = 101;",
		"bgp_community.add((0,6));",
		"bgp_community.add((0,7));",
		"bgp_community.delete((0,5));",
		"bgp_path.prepend(101);",
		"bgp_path.prepend(102);",
		"bgp_origin = ORIGIN_EGP;",
		"bgp_large_community.add((1,2,3));",
		"bgp_path.prepend(101); bgp_path.prepend(102);",
		"bgp_path.prepend(102); bgp_path.prepend(101);",
	};
	uint64_t edits[ARRAY_LEN(something)];
	char text[200];

	for (size_t i = 0; i < ARRAY_LEN(nothing); i++) {
		(void)snprintf(text, sizeof(text), "filter f { %s accept; }", nothing[i]);
		assert_string_equal(run(text, &set), "=");
		assert_int_equal(attrs.edits, 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(something); i++) {
		(void)snprintf(text, sizeof(text), "filter f { %s accept; }", something[i]);
		assert_string_not_equal(run(text, &set), "=");
		edits[i] = attrs.edits;
		for (size_t k = 0; k < i; k++)
			assert_true(edits[i] != edits[k]);
	}
}

/* Would catch: a verdict taken to be the same for all prefixes that is not; a prefix asked for when no node read it. */
static void test_asked(void **state)
{
	static const struct {
		const char *text;
		bool asked;
	} rows[] = {
		{ "filter f { accept; }", false },
		{ "filter f { if bgp_med = 0 then accept; if net.len > 24 then reject; accept; }", false },
		{ "filter f { if bgp_med = 1 then accept; if net.len > 24 then reject; accept; }", true },
		{ "filter f { if bgp_med = 1 && net.len > 24 then reject; accept; }", false },
		{ "filter f { if true && net ~ [10.0.0.0/8] then reject; accept; }", true },
		{ "filter f { if proto = \"op-a\" && source = RTS_BGP then accept; }", false },
		{ "filter f { if roa_check(r) = ROA_UNKNOWN then accept; }", true },
		{ "filter f { bgp_med = net.len; accept; }", true },
		{ "function g(prefix n) { return n.len > 8; } filter f { if g(10.0.0.0/8) then reject; accept; }",
		  false },
		{ "function g(prefix n) { return n.len > 8; } filter f { if g(net) then accept; reject; }", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		(void)run(rows[i].text, &plain);
		if (verdict.asked_prefix != rows[i].asked)
			fail_msg("%s", rows[i].text);
	}
}

/* Would catch: a verdict that tells another line, or another's text. */
static void test_places(void **state)
{
	static const struct {
		const char *text;
		uint32_t line, column;
		const char *why;
	} rows[] = {
		{ "filter f {\n  accept;\n}", 2, 3, NULL },
		{ "filter f {\n  if bgp_med = 0 then\n    reject \"no\";\n  accept;\n}", 3, 5, "no" },
		{ "filter f {\n  if bgp_med = 1 then accept;\n}", 3, 1, "the filter ends without a verdict" },
		{ "function g() {\n reject \"in g\"; }\nfilter f {\n  g();\n accept; }", 2, 2, "in g" },
		{ "function g() {\n reject \"in g\"; return true; }\nfilter f {\n  if g() then accept;\n accept; }", 2,
		  2, "in g" },
		{ "filter f { bgp_med = 70000;\n bgp_community.add((bgp_med, 1)); accept; }", 2, 21,
		  "more than 65535" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		(void)run(rows[i].text, &plain);
		assert_int_equal(verdict.pos.line, rows[i].line);
		assert_int_equal(verdict.pos.column, rows[i].column);
		assert_int_equal(verdict.pos.file, 3);
	}
	compile(rows[1].text);
	path.set = policy_fixture_write(before, &plain);
	policy_attrs_start(&attrs, path.set);
	policy_run(program, 0, &path, &attrs, &verdict);
	assert_string_equal(verdict.why, "no");
	policy_destroy(program);
}

/* Would catch: what BIRD has not, or as an error only. */
static void test_beyond_bird(void **state)
{
	const struct policy_fixture_set set = { .path = { 65001, 65002 },
						.as_set = { 7, 8 },
						.next_hop = IP4(192, 0, 2, 77),
						.ext = { UINT64_C(0x01020a0102030004) } };

	assert_string_equal(run("prefix-list our-own { 203.0.113.0/24+; 10.0.0.0/8, 192.0.2.0/24{24,32} }\n"
				"filter f { if net ~ our-own then accept; }",
				&plain),
			    "=");
	assert_string_equal(run("filter f { if bgp_next_hop ~ [192.0.2.64/26{32,32}] then accept; }", &set), "=");
	assert_string_equal(run("filter f { if bgp_ext_community ~ [(rt,10.1.2.3,*)] then accept; }", &set), "=");
	assert_string_equal(run("filter f { if net ~ [] || bgp_path ~ [] || bgp_med ~ [] then reject; accept; }", &set),
			    "=");
	/* A set in a path is one place. */
	assert_string_equal(
		run("filter f { if bgp_path ~ [= 65001 65002 7 =] && bgp_path ~ [= * 8 =] && bgp_path.len = 3 "
		    "&& bgp_path.last = 0 && 7 ~ bgp_path && bgp_path ~ [= ? ? ? =] && bgp_path !~ [= * 7 8 =] "
		    "then accept; }",
		    &set),
		"=");
	assert_string_equal(
		run("filter f { bgp_path.prepend(9); bgp_path.prepend(9); if bgp_path ~ [= 9 9 65001 ? 8 =] "
		    "then accept; }",
		    &set),
		"as_path 9 9 65001 65002 {7 8}");
	assert_string_equal(run("define 'my as' = 0xfde9; filter f { if 'my as' ~ bgp_path then accept; }", &set), "=");
	assert_string_equal(run("function in(int as; int set s) { return as ~ s; }\n"
				"filter f { if in(bgp_path.first, [65001]) && !in(1, []) then accept; }",
				&set),
			    "=");
}

/* Would catch: a path or a list that does not fit, and is cut, or written beyond its room. */
static void test_too_long(void **state)
{
	static char text[200000];
	struct text t = text_of(text, sizeof(text));

	text_add(&t, "filter f { ");
	for (uint32_t i = 0; i < POLICY_PREPENDS_MAX; i++)
		text_add(&t, "bgp_path.prepend(%u); ", i + 1);
	text_add(&t, "accept; }");
	assert_string_not_equal(run(text, &plain), "-");
	assert_int_equal(policy_attrs_path_len(&attrs), POLICY_PREPENDS_MAX + 2);
	t = text_of(text, sizeof(text));
	text_add(&t, "filter f { ");
	for (uint32_t i = 0; i <= POLICY_PREPENDS_MAX; i++)
		text_add(&t, "bgp_path.prepend(%u); ", i + 1);
	text_add(&t, "accept; }");
	assert_string_equal(run(text, &plain), "-");
	assert_non_null(strstr(verdict.why, "too long"));
	t = text_of(text, sizeof(text));
	text_add(&t, "filter f { ");
	for (uint32_t i = 0; i < 1025; i++)
		text_add(&t, "bgp_community.add((%u,1)); ", i);
	text_add(&t, "accept; }");
	assert_string_equal(run(text, &plain), "-");
	/* Two lists that fit alone and not together. */
	t = text_of(text, sizeof(text));
	text_add(&t, "filter f { ");
	for (uint32_t i = 0; i < 341; i++)
		text_add(&t, "bgp_large_community.add((%u,1,1)); bgp_ext_community.add((rt,%u,1)); ", i, i);
	for (uint32_t i = 341; i < 512; i++)
		text_add(&t, "bgp_ext_community.add((rt,%u,1)); ", i);
	text_add(&t, "accept; }");
	assert_string_equal(run(text, &plain), "-");
	assert_non_null(strstr(verdict.why, "too long"));
}

static enum policy_roa some_roas(void *user, uint32_t table, struct ip4_prefix prefix, uint32_t origin_as)
{
	uint32_t *asked = user;

	asked[0] = table;
	asked[1] = prefix.addr;
	asked[2] = prefix.len;
	asked[3] = origin_as;
	return table == 1 ? POLICY_ROA_VALID : POLICY_ROA_INVALID;
}

/* Would catch: the wrong table asked, or for another prefix or AS. */
static void test_roa(void **state)
{
	uint32_t asked[4];
	const struct policy_roas roas = { some_roas, asked };

	path.roas = &roas;
	assert_string_equal(
		run("filter f { if roa_check(a) = ROA_INVALID && roa_check(b) = ROA_VALID then accept; }", &plain),
		"=");
	assert_true(asked[0] == 1 && asked[1] == IP4(203, 0, 113, 0) && asked[2] == 24 && asked[3] == 65002);
	assert_string_equal(
		run("filter f { if roa_check(a, 10.0.0.0/8, 7) ~ [ROA_INVALID, ROA_UNKNOWN] then accept; }", &plain),
		"=");
	assert_true(asked[0] == 0 && asked[1] == IP4(10, 0, 0, 0) && asked[2] == 8 && asked[3] == 7);
	path.roas = NULL;
	assert_string_equal(run("filter f { if roa_check(a) = ROA_UNKNOWN then accept; }", &plain), "=");
	compile("filter f { if roa_check(x) = ROA_VALID || roa_check(y) = ROA_VALID || roa_check(x) = ROA_VALID then "
		"accept; }");
	assert_int_equal(policy_n_tables(program), 2);
	assert_string_equal(policy_table_name(program, 1), "y");
	policy_destroy(program);
}

/* Would catch: names of one text that the next does not know. */
static void test_several_texts(void **state)
{
	struct policy_error e;

	compile("define X = 5; filter a { accept; }");
	assert_int_equal(add("filter b { bgp_med = X; accept; }", &e), 0);
	assert_true(policy_n_filters(program) == 2 && policy_find(program, "b") == 1 &&
		    policy_find(program, "X") == POLICY_NONE && policy_find(program, "c") == POLICY_NONE);
	assert_string_equal(policy_filter_name(program, 1), "b");
	policy_destroy(program);
	assert_int_equal(policy_create(&program), 0);
	assert_int_equal(policy_find(program, "b"), POLICY_NONE);
	policy_destroy(program);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),      cmocka_unit_test(test_limits),   cmocka_unit_test(test_absent),
		cmocka_unit_test(test_edits),         cmocka_unit_test(test_asked),    cmocka_unit_test(test_places),
		cmocka_unit_test(test_beyond_bird),   cmocka_unit_test(test_too_long), cmocka_unit_test(test_roa),
		cmocka_unit_test(test_several_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
