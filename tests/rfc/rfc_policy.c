/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RFC 8212 (no policy, no routes), RFC 8326 (graceful shutdown) and RFC 9234 section 5 (ONLY_TO_CUSTOMER): what the
 * rules before a filter make of a path that comes, or goes.
 */
#include "bgp.h"

#include <string.h>

#include "base/util.h"
#include "check/cmocka.h"
#include "routing/policy/policy_fixture.h"
#include "routing/policy/policy_rules.h"

#define LOCAL 65000u
#define PEER 65001u

enum way { IMPORT, EXPORT };

static struct policy_attrs attrs;
static struct policy_verdict verdict;

static struct policy_neighbor neighbor(uint8_t role)
{
	return (struct policy_neighbor){ .kind = BGP_EXTERNAL,
					 .local_as = LOCAL,
					 .peer_as = PEER,
					 .role = role,
					 .import = { .kind = POLICY_ALL },
					 .export = { .kind = POLICY_ALL },
					 .transit = true };
}

/* Fails unless it comes out so: what differs (policy_fixture.h), or "rejected". */
static void expect(enum way way, const struct policy *program, const struct policy_neighbor *n,
		   const struct policy_fixture_set *set, const char *want)
{
	static uint8_t before[BGP_SET_MAX], after[BGP_SET_MAX];
	char got[300] = "rejected";
	struct text t = text_of(got, sizeof(got));
	const struct policy_path path = { .prefix = { IP4(203, 0, 113, 0), 24 },
					  .set = policy_fixture_write(before, set),
					  .source = POLICY_RTS_BGP,
					  .proto = "peer" };

	policy_attrs_start(&attrs, path.set);
	if (way == IMPORT)
		policy_import(program, n, &path, &attrs, &verdict);
	else
		policy_export(program, n, &path, &attrs, &verdict);
	if (verdict.is_accepted)
		policy_fixture_differences(&t, path.set, (struct bgp_nlri){ after, policy_attrs_write(&attrs, after) });
	else
		text_add(&t, "rejected");
	if (strcmp(got, want) != 0)
		fail_msg("wanted %s, came %s", want, got);
}

static const struct policy_fixture_set plain = { .path = { PEER }, .next_hop = 1 };

/* --- RFC 8212 --- */

static void no_import(void)
{
	struct policy_neighbor n = neighbor(BGP_ROLE_NONE);

	n.import.kind = POLICY_NOT_SAID;
	expect(IMPORT, NULL, &n, &plain, "rejected");
	n.import.kind = POLICY_ALL;
	expect(IMPORT, NULL, &n, &plain, "=");
}

static void no_export(void)
{
	struct policy_neighbor n = neighbor(BGP_ROLE_NONE);

	n.export.kind = POLICY_NOT_SAID;
	expect(EXPORT, NULL, &n, &plain, "rejected");
	n.export.kind = POLICY_ALL;
	expect(EXPORT, NULL, &n, &plain, "=");
}

static void internal(void)
{
	struct policy_neighbor n = neighbor(BGP_ROLE_NONE);

	n.kind = BGP_INTERNAL;
	n.import.kind = n.export.kind = POLICY_NOT_SAID;
	expect(IMPORT, NULL, &n, &plain, "=");
	expect(EXPORT, NULL, &n, &plain, "=");
}

static const struct rfc_bgp_row rows_8212[] = {
	{ "3", "Without an import policy no route of another AS is eligible", .run = no_import },
	{ "3", "Without an export policy none is told to another AS", .run = no_export },
	{ "3", "Within the AS neither is asked for", .run = internal },
};

/* --- RFC 8326 --- */

static const struct policy_fixture_set down = { .path = { PEER },
						.next_hop = 1,
						.community = { POLICY_GRACEFUL_SHUTDOWN } };

static void low_preference(void)
{
	struct policy_neighbor n = neighbor(BGP_ROLE_NONE);

	expect(IMPORT, NULL, &n, &down, "local_pref 0");
	expect(IMPORT, NULL, &n, &plain, "=");
}

static void stays_low(void)
{
	static const char text[] = "filter f { bgp_local_pref = 200; accept; }";
	struct policy_neighbor n = neighbor(BGP_ROLE_NONE);
	struct policy_error e;
	struct policy *p;

	n.import = (struct policy_choice){ POLICY_BY_FILTER, 0 };
	assert_int_equal(policy_create(&p), 0);
	assert_int_equal(policy_add(p, &(struct policy_text){ text, sizeof(text) - 1, { 0 } }, &e), 0);
	expect(IMPORT, p, &n, &down, "local_pref 0");
	expect(IMPORT, p, &n, &plain, "local_pref 200");
	policy_destroy(p);
}

static void not_inside(void)
{
	struct policy_neighbor n = neighbor(BGP_ROLE_NONE);

	n.kind = BGP_INTERNAL;
	expect(IMPORT, NULL, &n, &down, "=");
}

static const struct rfc_bgp_row rows_8326[] = {
	{ "4.1", "A path with GRACEFUL_SHUTDOWN from another AS gets a low LOCAL_PREF, 0", .run = low_preference },
	{ "4.1", "... whatever an import policy says", .run = stays_low },
	{ "4.1", "... on external sessions", .run = not_inside },
};

/* --- RFC 9234 section 5; the roles are ours --- */

static void comes(uint8_t role, uint32_t otc, const char *want)
{
	const struct policy_neighbor n = neighbor(role);
	const struct policy_fixture_set set = { .path = { PEER }, .next_hop = 1, .otc = otc };

	expect(IMPORT, NULL, &n, &set, want);
}

static void goes(uint8_t role, uint32_t otc, const char *want)
{
	const struct policy_neighbor n = neighbor(role);
	const struct policy_fixture_set set = { .path = { PEER }, .next_hop = 1, .otc = otc };

	expect(EXPORT, NULL, &n, &set, want);
}

static void leak_from_below(void)
{
	comes(BGP_ROLE_PROVIDER, PEER, "rejected");
	comes(BGP_ROLE_PROVIDER, 7, "rejected");
	comes(BGP_ROLE_RS, 7, "rejected");
	comes(BGP_ROLE_PROVIDER, 0, "=");
	comes(BGP_ROLE_RS, 0, "=");
}

static void leak_from_peer(void)
{
	comes(BGP_ROLE_PEER, 7, "rejected");
	comes(BGP_ROLE_PEER, PEER, "=");
}

static void added_on_receipt(void)
{
	comes(BGP_ROLE_CUSTOMER, 0, "otc 65001");
	comes(BGP_ROLE_PEER, 0, "otc 65001");
	comes(BGP_ROLE_RS_CLIENT, 0, "otc 65001");
}

static void kept_on_receipt(void)
{
	comes(BGP_ROLE_CUSTOMER, 7, "=");
	comes(BGP_ROLE_RS_CLIENT, 7, "=");
}

static void added_on_sending(void)
{
	goes(BGP_ROLE_PROVIDER, 0, "otc 65000");
	goes(BGP_ROLE_PEER, 0, "otc 65000");
	goes(BGP_ROLE_RS, 0, "otc 65000");
	goes(BGP_ROLE_CUSTOMER, 0, "=");
	goes(BGP_ROLE_RS_CLIENT, 0, "=");
}

static void not_upwards(void)
{
	goes(BGP_ROLE_CUSTOMER, 7, "rejected");
	goes(BGP_ROLE_PEER, 7, "rejected");
	goes(BGP_ROLE_RS_CLIENT, 7, "rejected");
	goes(BGP_ROLE_PROVIDER, 7, "=");
	goes(BGP_ROLE_RS, 7, "=");
}

static void without_role(void)
{
	comes(BGP_ROLE_NONE, 7, "=");
	comes(BGP_ROLE_NONE, 0, "=");
	goes(BGP_ROLE_NONE, 7, "=");
	goes(BGP_ROLE_NONE, 0, "=");
}

static void no_filter_changes_it(void)
{
	static const char text[] = "filter f { bgp_otc = 7; accept; }";
	struct policy_error e;
	struct policy *p;

	assert_int_equal(policy_create(&p), 0);
	assert_true(policy_add(p, &(struct policy_text){ text, sizeof(text) - 1, { 0 } }, &e) != 0);
	policy_destroy(p);
}

static const struct rfc_bgp_row rows_9234[] = {
	{ "5 in 1", "With ONLY_TO_CUSTOMER from a customer or a route server's client: a leak, ineligible",
	  .run = leak_from_below },
	{ "5 in 2", "... from a peer, of another AS than the peer's: a leak, ineligible", .run = leak_from_peer },
	{ "5 in 3", "Without it from a provider, a peer or a route server: added with the peer's AS",
	  .run = added_on_receipt },
	{ "5 in 3", "... with it: it stays as it is", .run = kept_on_receipt },
	{ "5 out 1", "Without it to a customer, a peer or a route server's client: added with our AS",
	  .run = added_on_sending },
	{ "5 out 2", "With it: not to a provider, a peer or a route server", .run = not_upwards },
	{ "5", "Without a role nothing of this is done", .run = without_role },
	{ "5", "No policy of an operator reads or changes it", .run = no_filter_changes_it },
};

const struct rfc_bgp_table rfc8212_table = { "RFC 8212", rows_8212, ARRAY_LEN(rows_8212) };
const struct rfc_bgp_table rfc8326_table = { "RFC 8326", rows_8326, ARRAY_LEN(rows_8326) };
const struct rfc_bgp_table rfc9234_table = { "RFC 9234", rows_9234, ARRAY_LEN(rows_9234) };
