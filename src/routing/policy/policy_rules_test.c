/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The rules that nobody writes: each way and role by role.
 */
#include "routing/policy/policy_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "routing/policy/policy_fixture.h"

#define LOCAL 65000u
#define PEER 65001u

static struct policy_attrs attrs;
static struct policy_verdict verdict;
static struct ip4_prefix prefix = { IP4(203, 0, 113, 0), 24 };

enum way { IMPORT, EXPORT };

/* What differs afterwards, or the text of the rule. */
static const char *judge(enum way way, const struct policy *program, const struct policy_neighbor *n,
			 const struct policy_fixture_set *set)
{
	static uint8_t before[BGP_SET_MAX], after[BGP_SET_MAX];
	static char got[400];
	struct text t = text_of(got, sizeof(got));
	const struct policy_path path = {
		.prefix = prefix, .set = policy_fixture_write(before, set), .source = POLICY_RTS_BGP, .proto = "a"
	};

	policy_attrs_start(&attrs, path.set);
	if (way == IMPORT)
		policy_import(program, n, &path, &attrs, &verdict);
	else
		policy_export(program, n, &path, &attrs, &verdict);
	if (!verdict.is_accepted)
		return verdict.rule != POLICY_RULE_NONE ? verdict.why : "-";
	policy_fixture_differences(&t, path.set, (struct bgp_nlri){ after, policy_attrs_write(&attrs, after) });
	return got;
}

static struct policy_neighbor neighbor(enum bgp_kind kind, uint8_t role)
{
	return (struct policy_neighbor){ .kind = kind,
					 .local_as = LOCAL,
					 .peer_as = kind == BGP_INTERNAL ? LOCAL : PEER,
					 .role = role,
					 .import = { .kind = POLICY_ALL },
					 .export = { .kind = POLICY_ALL } };
}

static const struct policy_fixture_set plain = { .path = { PEER, 65002 }, .next_hop = 1, .community = { 7 } };
static const struct policy_fixture_set ours = { .next_hop = 1 };

/* Would catch: an external neighbour that exchanges something without a policy; an internal one that does not. */
static void test_without_policy(void **state)
{
	struct policy_neighbor n = neighbor(BGP_EXTERNAL, BGP_ROLE_NONE);

	n.import.kind = n.export.kind = POLICY_NOT_SAID;
	assert_string_equal(judge(IMPORT, NULL, &n, &plain), "no import policy (RFC 8212)");
	assert_string_equal(judge(EXPORT, NULL, &n, &ours), "no export policy (RFC 8212)");
	n.import.kind = n.export.kind = POLICY_ALL;
	assert_string_equal(judge(IMPORT, NULL, &n, &plain), "=");
	assert_string_equal(judge(EXPORT, NULL, &n, &ours), "=");
	n.import.kind = n.export.kind = POLICY_NOTHING;
	assert_string_equal(judge(IMPORT, NULL, &n, &plain), "-");
	assert_string_equal(judge(EXPORT, NULL, &n, &ours), "-");
	n = neighbor(BGP_INTERNAL, BGP_ROLE_NONE);
	n.import.kind = n.export.kind = POLICY_NOT_SAID;
	assert_string_equal(judge(IMPORT, NULL, &n, &plain), "=");
	assert_string_equal(judge(EXPORT, NULL, &n, &plain), "=");
}

/* Would catch: a leak that is taken, or told; ONLY_TO_CUSTOMER that is not set, set to the wrong AS, or set where it
 * has no place. The role is ours. */
static void test_roles(void **state)
{
	static const char leak[] = "route leak: ONLY_TO_CUSTOMER (RFC 9234)", kept[] = "ONLY_TO_CUSTOMER (RFC 9234)";
	static const struct {
		uint8_t role;
		uint32_t otc;
		const char *import, *export;
	} rows[] = {
		{ BGP_ROLE_PROVIDER, 0, "=", "otc 65000" },
		{ BGP_ROLE_PROVIDER, 7, leak, "=" },
		{ BGP_ROLE_RS, 0, "=", "otc 65000" },
		{ BGP_ROLE_RS, 7, leak, "=" },
		{ BGP_ROLE_PEER, 0, "otc 65001", "otc 65000" },
		{ BGP_ROLE_PEER, PEER, "=", kept },
		{ BGP_ROLE_PEER, 7, leak, kept },
		{ BGP_ROLE_CUSTOMER, 0, "otc 65001", "=" },
		{ BGP_ROLE_CUSTOMER, 7, "=", kept },
		{ BGP_ROLE_RS_CLIENT, 0, "otc 65001", "=" },
		{ BGP_ROLE_RS_CLIENT, 7, "=", kept },
		{ BGP_ROLE_NONE, 0, "=", "=" },
		{ BGP_ROLE_NONE, 7, "=", "=" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct policy_neighbor n = neighbor(BGP_EXTERNAL, rows[i].role);
		struct policy_fixture_set set = plain;

		n.transit = true;
		set.otc = rows[i].otc;
		assert_string_equal(judge(IMPORT, NULL, &n, &set), rows[i].import);
		assert_string_equal(judge(EXPORT, NULL, &n, &set), rows[i].export);
		/* Within our AS a role means nothing. */
		n = neighbor(BGP_INTERNAL, rows[i].role);
		assert_string_equal(judge(IMPORT, NULL, &n, &set), "=");
		assert_string_equal(judge(EXPORT, NULL, &n, &set), "=");
	}
}

/* Would catch: our own prefixes taken from outside, those around them refused, or within our AS. */
static void test_own(void **state)
{
	const struct policy_pattern pattern = { { IP4(203, 0, 113, 0), 24 }, 24, 32 };
	struct policy_neighbor n = neighbor(BGP_EXTERNAL, BGP_ROLE_NONE);
	struct policy_prefixes own;

	assert_int_equal(policy_prefixes_init(&own, &pattern, 1), 0);
	n.own = &own;
	assert_string_equal(judge(IMPORT, NULL, &n, &plain), "within our own prefixes");
	assert_true(verdict.asked_prefix);
	prefix = (struct ip4_prefix){ IP4(203, 0, 113, 128), 25 };
	assert_string_equal(judge(IMPORT, NULL, &n, &plain), "within our own prefixes");
	prefix = (struct ip4_prefix){ IP4(203, 0, 112, 0), 23 };
	assert_string_equal(judge(IMPORT, NULL, &n, &plain), "=");
	assert_true(verdict.asked_prefix);
	prefix = (struct ip4_prefix){ IP4(203, 0, 113, 0), 24 };
	n.may_be_own = true;
	assert_string_equal(judge(IMPORT, NULL, &n, &plain), "=");
	assert_false(verdict.asked_prefix);
	n = neighbor(BGP_INTERNAL, BGP_ROLE_NONE);
	n.own = &own;
	assert_string_equal(judge(IMPORT, NULL, &n, &plain), "=");
	policy_prefixes_fini(&own);
}

/* Would catch: others' routes told to others unless that is said, by a word or by the role. */
static void test_transit(void **state)
{
	static const struct {
		uint8_t role;
		bool transit;
		const char *want;
	} rows[] = {
		{ BGP_ROLE_NONE, false, "not ours to tell: no transit" },
		{ BGP_ROLE_NONE, true, "=" },
		{ BGP_ROLE_CUSTOMER, false, "not ours to tell: no transit" },
		{ BGP_ROLE_PEER, false, "not ours to tell: no transit" },
		{ BGP_ROLE_PROVIDER, false, "otc 65000" },
		{ BGP_ROLE_RS, false, "otc 65000" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct policy_neighbor n = neighbor(BGP_EXTERNAL, rows[i].role);

		n.transit = rows[i].transit;
		assert_string_equal(judge(EXPORT, NULL, &n, &plain), rows[i].want);
		assert_string_not_equal(judge(EXPORT, NULL, &n, &ours), "not ours to tell: no transit");
	}
}

/* Would catch: a community of RFC 1997 that is not obeyed, or where it does not hold. */
static void test_no_export(void **state)
{
	static const struct {
		uint32_t community;
		const char *external, *internal;
	} rows[] = {
		{ BGP_NO_ADVERTISE, "NO_ADVERTISE (RFC 1997)", "NO_ADVERTISE (RFC 1997)" },
		{ BGP_NO_EXPORT, "NO_EXPORT (RFC 1997)", "=" },
		{ BGP_NO_EXPORT_SUBCONFED, "NO_EXPORT (RFC 1997)", "=" },
		{ 5, "=", "=" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct policy_neighbor e = neighbor(BGP_EXTERNAL, BGP_ROLE_NONE),
				       in = neighbor(BGP_INTERNAL, BGP_ROLE_NONE);
		const struct policy_fixture_set set = { .next_hop = 1, .community = { 7, rows[i].community } };

		assert_string_equal(judge(EXPORT, NULL, &e, &set), rows[i].external);
		assert_string_equal(judge(EXPORT, NULL, &in, &set), rows[i].internal);
		assert_string_equal(judge(IMPORT, NULL, &e, &set), "=");
	}
}

/* Would catch: a shutdown that a filter undoes, or that is seen where it is not meant; a blackhole without being asked
 * for, or told to others. */
static void test_communities(void **state)
{
	struct policy_neighbor n = neighbor(BGP_EXTERNAL, BGP_ROLE_NONE);
	const struct policy_fixture_set down = { .path = { PEER },
						 .next_hop = 1,
						 .community = { POLICY_GRACEFUL_SHUTDOWN } };
	const struct policy_fixture_set hole = { .path = { PEER }, .next_hop = 1, .community = { POLICY_BLACKHOLE } };
	static const char text[] =
		"filter f { bgp_local_pref = 150; if bgp_local_pref > 100 then accept; bgp_med = 5; accept; }";
	struct policy_error e;
	struct policy *p;

	assert_int_equal(policy_create(&p), 0);
	assert_int_equal(policy_add(p, &(struct policy_text){ text, sizeof(text) - 1, { 0 } }, &e), 0);
	assert_string_equal(judge(IMPORT, NULL, &n, &down), "local_pref 0");
	n.import = (struct policy_choice){ POLICY_BY_FILTER, 0 };
	assert_string_equal(judge(IMPORT, p, &n, &down), "med 5; local_pref 0");
	assert_string_equal(judge(IMPORT, p, &n, &plain), "local_pref 150");
	n.ignores_shutdown = true;
	assert_string_equal(judge(IMPORT, p, &n, &down), "local_pref 150");
	n = neighbor(BGP_INTERNAL, BGP_ROLE_NONE);
	assert_string_equal(judge(IMPORT, NULL, &n, &down), "=");
	policy_destroy(p);

	n = neighbor(BGP_EXTERNAL, BGP_ROLE_NONE);
	assert_string_equal(judge(IMPORT, NULL, &n, &hole), "=");
	assert_false(verdict.is_blackhole);
	n.takes_blackholes = true;
	assert_string_equal(judge(IMPORT, NULL, &n, &hole), "community (65535,666) (65535,65282)");
	assert_true(verdict.is_blackhole);
	assert_string_equal(judge(IMPORT, NULL, &n, &plain), "=");
	assert_false(verdict.is_blackhole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_policy),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_transit),
		cmocka_unit_test(test_no_export),
		cmocka_unit_test(test_communities),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
