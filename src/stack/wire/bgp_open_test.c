/* SPDX-License-Identifier: BSD-2-Clause
 *
 * OPEN and capabilities, byte by byte.
 */
#include "stack/wire/bgp_open.h"

#include "base/ip4.h"
#include "stack/wire/bgp_fixture.h"
#include "stack/wire/bgp_notification.h"
#include "stack/wire/wire_test.h"

#define FIXED "04 fde9 005a 0a09000b "
#define AS4 "4104 0000fde9 "

static enum bgp_disposition parse(const struct bgp_wire *w, const char *body, struct bgp_open *o, struct bgp_error *e)
{
	uint8_t bytes[BGP_FIXTURE_MAX];
	size_t len = bgp_fixture_message(bytes, BGP_OPEN, body);
	uint8_t *p = exact_copy(bytes, len);

	*e = (struct bgp_error){ 0 };
	enum bgp_disposition d = bgp_open_parse(w, p, len, o, e);
	free(p);
	return d;
}

/* Would catch: an OPEN that is taken, or refused by another subcode, against RFC 4271 section 6.2, 5492, 6286, 6793,
 * 7607, 9072 or 9234. */
static void test_refused(void **state)
{
	static const struct {
		const char *what, *body;
		int subcode; /* -1: taken */
		bool has_role;
		uint8_t role;
		bool strict, internal;
	} rows[] = {
		{ "as it should be", FIXED "08 0206" AS4, -1 },
		{ "AS_TRANS, and the AS by the capability", "04 5ba0 005a 0a09000b 08 0206" AS4, -1 },
		{ "AS_TRANS alone", "04 5ba0 005a 0a09000b 00", BGP_BAD_PEER_AS },
		{ "two ASes", "04 fdea 005a 0a09000b 08 0206" AS4, BGP_BAD_PEER_AS },
		{ "another AS by the capability", FIXED "08 0206 4104 0000fdea", BGP_BAD_PEER_AS },
		{ "AS 0 by the capability", FIXED "08 0206 4104 00000000", BGP_BAD_PEER_AS },
		{ "AS 0", "04 0000 005a 0a09000b 00", BGP_BAD_PEER_AS },
		{ "our identifier in our AS", "04 fde8 005a 0a090001 00", BGP_BAD_IDENTIFIER, .internal = true },
		{ "... in another", "04 fde9 005a 0a090001 00", -1 },
		{ "a byte behind the parameters", FIXED "08 0206" AS4 "00", 0 },
		{ "a parameter's length lies", FIXED "08 0207" AS4, 0 },
		{ "a capability's length lies", FIXED "08 0206 4105 0000fde9", 0 },
		{ "a known capability of a wrong length", FIXED "07 0205 4103 00fde9", 0 },
		{ "refresh with a value", FIXED "05 0203 0201 00", 0 },
		{ "restart of three bytes", FIXED "07 0205 4003 000000", 0 },
		{ "an unknown capability of any length", FIXED "07 0205 b303 000000", -1 },
		{ "a parameter of two bytes' length", FIXED "ff ff 0009 02 0006" AS4, -1 },
		{ "... whatever the one byte says", FIXED "01 ff 0009 02 0006" AS4, -1 },
		{ "... whose length lies", FIXED "ff ff 000a 02 0006" AS4, 0 },
		{ "... of another type", FIXED "ff ff 0009 4d 0006" AS4, BGP_BAD_PARAMETER },
		{ "255 as a second parameter", FIXED "0a 0206" AS4 "ff00", BGP_BAD_PARAMETER },
		{ "255 parameters in one byte", FIXED "ff 02fd 02 fb {b300}125 b3", 0 },
		{ "no role, and none is asked for", FIXED "00", -1 },
		{ "no role, and we have one", FIXED "00", -1, .has_role = true, .role = BGP_ROLE_PROVIDER },
		{ "... and insist", FIXED "00", BGP_ROLE_MISMATCH, .has_role = true, .role = BGP_ROLE_PROVIDER,
		  .strict = true },
		{ "provider and customer", FIXED "05 0203 0901 03", -1, .has_role = true, .role = BGP_ROLE_PROVIDER },
		{ "customer and provider", FIXED "05 0203 0901 00", -1, .has_role = true, .role = BGP_ROLE_CUSTOMER },
		{ "route server and client", FIXED "05 0203 0901 02", -1, .has_role = true, .role = BGP_ROLE_RS },
		{ "client and route server", FIXED "05 0203 0901 01", -1, .has_role = true,
		  .role = BGP_ROLE_RS_CLIENT },
		{ "peers", FIXED "05 0203 0901 04", -1, .has_role = true, .role = BGP_ROLE_PEER },
		{ "two providers", FIXED "05 0203 0901 00", BGP_ROLE_MISMATCH, .has_role = true,
		  .role = BGP_ROLE_PROVIDER },
		{ "a role that nobody has", FIXED "05 0203 0901 09", BGP_ROLE_MISMATCH, .has_role = true,
		  .role = BGP_ROLE_PEER },
		{ "... nor we", FIXED "05 0203 0901 09", -1 },
		{ "two roles", FIXED "08 0206 0901 03 0901 04", BGP_ROLE_MISMATCH },
		{ "one role twice", FIXED "08 0206 0901 03 0901 03", -1 },
		{ "a role of two bytes", FIXED "06 0204 0902 0303", 0 },
	};
	struct bgp_open o;
	struct bgp_error e;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bgp_wire w = bgp_fixture_wire();

		w.role = rows[i].has_role ? rows[i].role : (uint8_t)BGP_ROLE_NONE;
		w.strict_role = rows[i].strict;
		if (rows[i].internal)
			w.peer_as = w.local_as;
		bool good = parse(&w, rows[i].body, &o, &e) == BGP_ACCEPT;
		if (good != (rows[i].subcode < 0) ||
		    (!good && (e.code != BGP_OPEN_ERROR || e.subcode != rows[i].subcode)))
			fail_msg("%s: %u/%u", rows[i].what, e.code, e.subcode);
	}
}

static bool is_same(const struct bgp_capabilities *a, const struct bgp_capabilities *b)
{
	const struct bgp_restart *x = &a->restart, *y = &b->restart;

	return a->any_mp == b->any_mp && a->ipv4 == b->ipv4 && a->refresh == b->refresh &&
	       a->enhanced_refresh == b->enhanced_refresh && a->role == b->role && a->as4 == b->as4 &&
	       x->is_there == y->is_there && x->restarting == y->restarting && x->notification == y->notification &&
	       x->time_s == y->time_s && x->ipv4 == y->ipv4 && x->ipv4_kept == y->ipv4_kept;
}

/* Would catch: a field or capability that is lost, or written so that it is read as another. */
static void test_both_ways(void **state)
{
	const struct bgp_open all = {
		.as = 4200000001,
		.id = IP4(192, 0, 2, 1),
		.hold_s = 90,
		.can = { .any_mp = true,
			 .ipv4 = true,
			 .refresh = true,
			 .enhanced_refresh = true,
			 .role = BGP_ROLE_CUSTOMER,
			 .as4 = 4200000001,
			 .restart = { .is_there = true,
				      .restarting = true,
				      .notification = true,
				      .time_s = 120,
				      .ipv4 = true,
				      .ipv4_kept = true } },
	};
	const struct bgp_open none = { .as = 65001, .id = 1, .can = { .role = BGP_ROLE_NONE } };
	const struct bgp_open *const both[] = { &all, &none };
	struct bgp_wire w = bgp_fixture_wire();

	w.peer_as = 0;
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		uint8_t p[BGP_OPEN_LEN_MAX];
		struct bgp_error e = { 0 };
		struct bgp_open o;
		size_t len = bgp_open_emit(p, both[i]), whole;

		assert_true(len <= sizeof(p));
		assert_int_equal(bgp_frame(p, len, &whole, &e), BGP_FRAME_WHOLE);
		assert_int_equal(bgp_open_parse(&w, p, len, &o, &e), BGP_ACCEPT);
		assert_true(o.as == both[i]->as && o.id == both[i]->id && o.hold_s == both[i]->hold_s);
		assert_true(is_same(&o.can, &both[i]->can));
	}
}

/* Would catch: flags of graceful restart at other places, an earlier restart capability that is not superseded, a
 * family of somebody else taken for ours. */
static void test_restart(void **state)
{
	const struct bgp_wire w = bgp_fixture_wire();
	struct bgp_error e;
	struct bgp_open o;

	assert_int_equal(parse(&w, FIXED "10 020e 4002 ffff 4006 c078 00010180 b300", &o, &e), BGP_ACCEPT);
	assert_true(o.can.restart.restarting && o.can.restart.notification && o.can.restart.ipv4_kept);
	assert_int_equal(o.can.restart.time_s, 120);
	assert_int_equal(parse(&w, FIXED "12 0210 4006 8fff 00010180 4006 0001 00020180", &o, &e), BGP_ACCEPT);
	assert_true(o.can.restart.is_there && !o.can.restart.restarting && !o.can.restart.ipv4);
	assert_int_equal(o.can.restart.time_s, 1);
	assert_int_equal(parse(&w, FIXED "08 0206 0104 00020001", &o, &e), BGP_ACCEPT);
	assert_true(o.can.any_mp && !o.can.ipv4);
}

/* Would catch: something agreed to that one side did not say. */
static void test_agreement(void **state)
{
	struct bgp_open ours = { .can = { .ipv4 = true, .enhanced_refresh = true, .as4 = 65000 } };
	struct bgp_open theirs = ours;
	struct bgp_wire w = { 0 };

	bgp_open_agree(&ours, &theirs, &w);
	assert_true(w.as4 && w.mp_ipv4 && w.enhanced_refresh);
	theirs.can = (struct bgp_capabilities){ 0 };
	bgp_open_agree(&ours, &theirs, &w);
	assert_false(w.as4 || w.mp_ipv4 || w.enhanced_refresh);
	bgp_open_agree(&theirs, &ours, &w);
	assert_false(w.as4 || w.mp_ipv4 || w.enhanced_refresh);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_agreement),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
