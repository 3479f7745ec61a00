/* SPDX-License-Identifier: BSD-2-Clause
 *
 * UPDATEs: what is decoded, sets, what is written to whom. Dispositions of whole messages are rows of
 * tools/bgp/trial_test.c.
 */
#include "stack/wire/bgp_update.h"

#include <stdio.h>

#include "stack/wire/bgp_fixture.h"
#include "stack/wire/bgp_notification.h"
#include "stack/wire/wire_test.h"

#define ORIGIN BGP_FIXTURE_ORIGIN
#define PATH BGP_FIXTURE_PATH
#define HOP BGP_FIXTURE_HOP
#define USUAL BGP_FIXTURE_USUAL
#define P BGP_FIXTURE_PREFIX

static struct bgp_update u;
static struct bgp_error e;

static enum bgp_disposition parse(const struct bgp_wire *w, const char *withdrawn, const char *attrs, const char *nlri)
{
	static uint8_t bytes[BGP_FIXTURE_MAX];

	return bgp_update_parse(w, bytes, bgp_fixture_update(bytes, withdrawn, attrs, nlri), &u, &e);
}

static size_t set_of(const struct bgp_wire *w, const char *attrs, uint8_t set[BGP_SET_MAX])
{
	assert_true(parse(w, "", attrs, P) <= BGP_DISCARD);
	return bgp_set_write(set, &u.attrs, u.attrs.next_hop);
}

static void expect(const char *what, const uint8_t *got, size_t len, const char *hex)
{
	static uint8_t want[BGP_FIXTURE_MAX];
	char shown[400];
	size_t n = bgp_fixture_hex(want, sizeof(want), hex);

	if (len == n && memcmp(got, want, n) == 0)
		return;
	for (size_t i = 0; i < len && i < 150; i++)
		(void)snprintf(shown + 2 * i, 3, "%02x", got[i]);
	fail_msg("%s: %s", what, shown);
}

/* Would catch: a value that the decision reads and that is another in the message; a default that is not there. */
static void test_values(void **state)
{
	struct bgp_wire w = bgp_fixture_wire();
	const struct bgp_attrs *a = &u.attrs;

	assert_int_equal(parse(&w, "", ORIGIN HOP "40020a 0202 0000fde9 0000fde8 80040400000007 c0230400000009", P),
			 BGP_ACCEPT);
	assert_true(a->origin == BGP_ORIGIN_IGP && a->med == 7 && a->next_hop == IP4(10, 9, 0, 11));
	assert_true(a->n_hops == 2 && a->neighbor_as == 65001 && a->n_own == 1 && a->otc == 9);
	assert_int_equal(a->local_pref, BGP_LOCAL_PREF_DEFAULT);
	assert_true(u.is_loop && !u.is_end_of_rib);
	w.peer_as = w.local_as;
	assert_int_equal(parse(&w, "", ORIGIN HOP "400200 40050400000005 80090401020304 800a08 0000000500000006", P),
			 BGP_ACCEPT);
	assert_true(a->local_pref == 5 && a->originator_id == 0x01020304 && a->n_hops == 0 && a->neighbor_as == 0);
	assert_false(u.is_loop);
	w.cluster_id = 6;
	assert_int_equal(parse(&w, "", ORIGIN HOP "400200 800a08 0000000500000006", P), BGP_ACCEPT);
	assert_true(u.is_loop);
	/* Nothing stays from one message to the next. */
	assert_int_equal(parse(&w, "", ORIGIN HOP "400200", P), BGP_ACCEPT);
	assert_true(!u.is_loop && a->originator_id == 0 && a->local_pref == BGP_LOCAL_PREF_DEFAULT && a->n == 3);
}

/* Would catch: a switch of the config without effect. */
static void test_switches(void **state)
{
	struct bgp_wire w = bgp_fixture_wire();

	assert_int_equal(parse(&w, "", ORIGIN HOP "400206 0201 00000005", P), BGP_WITHDRAW);
	w.any_first_as = true;
	assert_int_equal(parse(&w, "", ORIGIN HOP "400206 0201 00000005", P), BGP_ACCEPT);
	assert_int_equal(parse(&w, "", ORIGIN HOP "400200", P), BGP_WITHDRAW);
	w = bgp_fixture_wire();
	assert_int_equal(parse(&w, "", ORIGIN HOP "40020c 0201 0000fde9 0101 00000005", P), BGP_WITHDRAW);
	w.takes_as_sets = true;
	assert_int_equal(parse(&w, "", ORIGIN HOP "40020c 0201 0000fde9 0101 00000005", P), BGP_ACCEPT);
	w = bgp_fixture_wire();
	w.mp_ipv4 = false;
	assert_int_equal(parse(&w, "", ORIGIN PATH "800e0d 0001 01 04 0a09000b 00" P, ""), BGP_ACCEPT);
	assert_int_equal(u.attrs.reach.nlri.len, 0);
	assert_int_equal(parse(&w, "", "800f03 0001 01", ""), BGP_ACCEPT);
	assert_false(u.is_end_of_rib);
}

/* Would catch: the first error told instead of the strongest; other data than the attribute in question. */
static void test_errors(void **state)
{
	const struct bgp_wire w = bgp_fixture_wire();
	uint8_t want[16];

	assert_int_equal(parse(&w, "", USUAL "40060101 c00803000000 40c80102", P), BGP_RESET);
	assert_true(e.code == BGP_UPDATE_ERROR && e.subcode == BGP_UNKNOWN_WELL_KNOWN && e.attr == 0xc8);
	assert_int_equal(e.data_len, bgp_fixture_hex(want, sizeof(want), "40c80102"));
	assert_memory_equal(e.data, want, e.data_len);
	assert_int_equal(parse(&w, "", USUAL "40060101 c00803000000", P), BGP_WITHDRAW);
	assert_true(e.subcode == BGP_BAD_ATTR_LENGTH && e.attr == BGP_COMMUNITIES);
	assert_int_equal(parse(&w, "", USUAL "40060101", P), BGP_DISCARD);
	assert_int_equal(e.attr, BGP_ATOMIC_AGGREGATE);
	/* Of several that are as strong the first. */
	assert_int_equal(parse(&w, "", "40010109" PATH HOP "c00803000000", P), BGP_WITHDRAW);
	assert_true(e.subcode == BGP_BAD_ORIGIN && e.attr == BGP_ORIGIN);
	assert_int_equal(parse(&w, "", PATH HOP, P), BGP_WITHDRAW);
	assert_true(e.subcode == BGP_MISSING_WELL_KNOWN && e.data_len == 1 && e.data[0] == BGP_ORIGIN);
	/* Nothing announced: what would be withdrawn resets (RFC 7606 section 5.2) ... */
	assert_int_equal(parse(&w, P, USUAL "c00803000000", ""), BGP_RESET);
	assert_int_equal(parse(&w, "", "c0", ""), BGP_RESET);
	/* ... unless there is nothing but MP_UNREACH_NLRI; or something is announced, of whatever family. */
	assert_int_equal(parse(&w, "", "c00f07 0001 01" P, ""), BGP_WITHDRAW);
	assert_int_equal(parse(&w, "", USUAL "c00803000000 800e05 0019 41 00 00", ""), BGP_WITHDRAW);
	/* Prefixes that are cut off are lost, whatever the flags. */
	assert_int_equal(parse(&w, "", USUAL "800e20 0001 01", P), BGP_RESET);
	assert_int_equal(parse(&w, "", USUAL "c00f05 0001 01 18cb", P), BGP_RESET);
}

/* Would catch: two forms of what means the same, so that a set is kept twice; an attribute lost. */
static void test_set(void **state)
{
	static const struct {
		const char *what, *attrs, *want;
	} rows[] = {
		{ "any order", HOP "c00804 00010002" PATH ORIGIN, ORIGIN PATH HOP "c00804 00010002" },
		{ "flags that nobody has defined, and a long length", "5f010001 00" PATH HOP, ORIGIN PATH HOP },
		{ "a long one has a long length", USUAL "c0d301ff d0d40100 {ab}256",
		  USUAL "e0d301ff f0d40100 {ab}256" },
		{ "what is not transitive goes", USUAL "80d40101 c0d50102", USUAL "e0d50102" },
		{ "type 0 goes", USUAL "c0000101", USUAL },
		{ "large communities twice",
		  USUAL
		  "c02030 000000010000000200000003 000000010000000200000001 000000010000000200000003 00000000{00}8",
		  USUAL "c02024 000000010000000200000003 000000010000000200000001 00000000{00}8" },
		{ "... so many that the length gets short", USUAL "d0200108 {000000010000000200000003}22",
		  USUAL "c0200c 000000010000000200000003" },
		{ "... so many that it does not",
		  USUAL "d020021c {000000010000000200000003}22 {000000010000000200000003}22 000000000000000000000000",
		  USUAL "c02018 000000010000000200000003 000000000000000000000000" },
		{ "ascending ones stay", USUAL "c02018 000000010000000200000003 000000010000000200000004",
		  USUAL "c02018 000000010000000200000003 000000010000000200000004" },
	};
	static uint8_t set[BGP_SET_MAX];
	const struct bgp_wire w = bgp_fixture_wire();
	struct bgp_wire narrow = w;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect(rows[i].what, set, set_of(&w, rows[i].attrs, set), rows[i].want);
	narrow.as4 = false;
	expect("two octets", set,
	       set_of(&narrow,
		      ORIGIN "400206 0202 fde9 5ba0" HOP
			     "c00706 5ba0 01020304 c0110a 0202 0000fde9 00030d40 c01208 00030d40 01020304",
		      set),
	       ORIGIN "40020a 0202 0000fde9 00030d40" HOP "c00708 00030d40 01020304");
	/* Announced by MP_REACH_NLRI: its next hop is one like any other. */
	assert_int_equal(parse(&w, "", ORIGIN PATH "c00804 00010002 800e0d 0001 01 04 0a09000b 00" P, ""), BGP_ACCEPT);
	assert_int_equal(u.attrs.reach.nlri.len, 4);
	expect("MP_REACH_NLRI", set, bgp_set_write(set, &u.attrs, u.attrs.reach.next_hop), USUAL "c00804 00010002");
}

/* Would catch: an attribute that leaves the AS or stays in it against the RFCs; types that do not ascend. */
static void test_sent(void **state)
{
	static const struct bgp_out
		external = { .kind = BGP_EXTERNAL, .as4 = true, .local_as = 65000, .next_hop = IP4(1, 2, 3, 4) },
		with_med = { .kind = BGP_EXTERNAL,
			     .as4 = true,
			     .keeps_med = true,
			     .local_as = 65000,
			     .next_hop = IP4(1, 2, 3, 4) },
		internal = { .kind = BGP_INTERNAL, .as4 = true, .local_as = 65000, .local_pref = 7 },
		narrow = { .kind = BGP_EXTERNAL, .local_as = 65000, .next_hop = IP4(1, 2, 3, 4) },
		wide_as = { .kind = BGP_EXTERNAL, .local_as = 200000, .next_hop = IP4(1, 2, 3, 4) };
#define OURS ORIGIN "40020a 0202 0000fde8 0000fde9 400304 01020304 "
	static const struct {
		const char *what;
		const struct bgp_out *to;
		const char *set, *want; /* want NULL: not sent */
	} rows[] = {
		{ "to another AS", &external, USUAL, OURS },
		{ "what stays in the AS", &external,
		  USUAL "80040400000001 40050400000002 80090400000003 800a0400000004", OURS },
		{ "a MED of our own", &with_med, USUAL "80040400000001", OURS "80040400000001" },
		{ "non-transitive extended communities", &external,
		  USUAL "c01018 4302000000000001 0002000000000002 4002000000000003", OURS "c01008 0002000000000002" },
		{ "... and none else", &external, USUAL "c01008 4302000000000001", OURS },
		{ "to our own AS", &internal, USUAL "80040400000001", USUAL "80040400000001 40050400000007" },
		{ "with LOCAL_PREF", &internal, USUAL "40050400000002 c01008 4302000000000001",
		  USUAL "40050400000002 c01008 4302000000000001" },
		{ "NO_EXPORT within", &internal, USUAL "c00804 ffffff01", USUAL "40050400000007 c00804 ffffff01" },
		{ "NO_EXPORT", &external, USUAL "c00808 00010001 ffffff01", NULL },
		{ "NO_EXPORT_SUBCONFED", &external, USUAL "c00804 ffffff03", NULL },
		{ "NO_ADVERTISE", &internal, USUAL "c00804 ffffff02", NULL },
		{ "unknown ones", &external, USUAL "e0d30101", OURS "e0d30101" },
		{ "two octets that hold it", &narrow, USUAL "c00708 00000005 01020304",
		  ORIGIN "400206 0202 fde8 fde9 400304 01020304 c00706 0005 01020304" },
		{ "two octets that do not", &narrow,
		  ORIGIN "40020a 0202 0000fde9 00030d40" HOP "c00708 00030d40 01020304 c02304 00000001",
		  ORIGIN "400208 0203 fde8 fde9 5ba0 400304 01020304 c00706 5ba0 01020304 c0110e 0203 0000fde8 "
			 "0000fde9 00030d40"
			 "c01208 00030d40 01020304 c02304 00000001" },
		{ "our own AS does not fit", &wide_as, USUAL,
		  ORIGIN "400206 0202 5ba0 fde9 400304 01020304 c0110a 0202 00030d40 0000fde9" },
	};
	static uint8_t set[BGP_SET_MAX], out[BGP_EMITTED_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bgp_nlri s = { set, bgp_fixture_hex(set, sizeof(set), rows[i].set) };
		size_t len;
		enum bgp_sent sent = bgp_set_emit(rows[i].to, s, out, sizeof(out), &len);

		if (rows[i].want == NULL)
			assert_int_equal(sent, BGP_NOT_ADVERTISED);
		else
			assert_int_equal(sent, BGP_SENT);
		expect(rows[i].what, out, len, rows[i].want != NULL ? rows[i].want : "");
		/* It fits exactly, or not at all. */
		if (rows[i].want != NULL) {
			uint8_t *exact = malloc(len);
			size_t n;

			assert_int_equal(bgp_set_emit(rows[i].to, s, exact, len, &n), BGP_SENT);
			assert_int_equal(bgp_set_emit(rows[i].to, s, exact, len - 1, &n), BGP_TOO_LONG);
			free(exact);
		}
	}
}

/* Would catch: a message longer than may be, one that is not filled, a prefix lost between two. */
static void test_job(void **state)
{
	static struct ip4_prefix all[3000];
	static uint8_t p[BGP_MESSAGE_MAX], attrs[BGP_EMITTED_MAX + 1];
	const struct bgp_wire w = bgp_fixture_wire();
	struct ip4_prefix prefix;
	uint32_t n_messages = 0, n = 0;

	for (uint32_t i = 0; i < ARRAY_LEN(all); i++)
		all[i] = (struct ip4_prefix){ IP4(10, 0, 0, 0) + (i << 8), 24 };
	struct bgp_update_job job = { .withdrawn = all,
				      .n_withdrawn = 1000,
				      .nlri = all,
				      .n_nlri = ARRAY_LEN(all),
				      .attrs = attrs,
				      .attrs_len = bgp_fixture_hex(attrs, sizeof(attrs), USUAL) };

	for (size_t len; (len = bgp_update_emit(p, &job)) > 0; n_messages++) {
		assert_int_equal(bgp_update_parse(&w, p, len, &u, &e), BGP_ACCEPT);
		assert_true((u.withdrawn.len == 0) != (u.nlri.len == 0));
		while (bgp_nlri_next(u.withdrawn.len > 0 ? &u.withdrawn : &u.nlri, &prefix)) {
			/* The first thousand are the withdrawn ones. */
			assert_int_equal(prefix.addr, all[n < 1000 ? n : n - 1000].addr);
			n++;
		}
	}
	assert_int_equal(n, 4000);
	/* 4,000 bytes of withdrawn ones in one; 12,000 behind 20 of attributes in three. */
	assert_int_equal(n_messages, 1 + 3);
	job = (struct bgp_update_job){ .nlri = all, .n_nlri = 1, .attrs = attrs, .attrs_len = BGP_EMITTED_MAX + 1 };
	assert_int_equal(bgp_update_emit(p, &job), 0);
	assert_int_equal(bgp_update_parse(&w, p, bgp_end_of_rib_emit(p), &u, &e), BGP_ACCEPT);
	assert_true(u.is_end_of_rib);
}

/* Would catch: an attribute shown as another, or one that cannot be shown. */
static void test_format(void **state)
{
	static const char *const lines[] = {
		"ORIGIN IGP",
		"AS_PATH 65001",
		"NEXT_HOP 10.9.0.11",
		"MULTI_EXIT_DISC 7",
		"ATOMIC_AGGREGATE",
		"AGGREGATOR 5 1.2.3.4",
		"COMMUNITIES 65001:100 65535:65281",
		"EXTENDED_COMMUNITIES 0002fde9:00000064",
		"LARGE_COMMUNITIES 65001:1:2",
		"ONLY_TO_CUSTOMER 9",
		"attribute 211 flags e0 deadbeef",
	};
	static uint8_t set[BGP_SET_MAX];
	const struct bgp_wire w = bgp_fixture_wire();
	struct bgp_nlri rest = {
		set, set_of(&w,
			    USUAL "80040400000007 400600 c00708 00000005 01020304 c00808 fde90064 ffffff01 c01008 "
				  "0002fde900000064 c0200c 0000fde90000000100000002 c0230400000009 c0d304deadbeef",
			    set)
	};
	struct bgp_attr at;
	size_t i = 0;

	for (; bgp_set_next(&rest, &at); i++) {
		char buf[200];
		struct text t = text_of(buf, sizeof(buf));

		bgp_attr_format(&t, &at);
		assert_string_equal(buf, lines[i]);
	}
	assert_int_equal(i, ARRAY_LEN(lines));
}

/* Would catch: bits behind a prefix's length that make another prefix of it. */
static void test_nlri(void **state)
{
	static const uint8_t list[] = { 0, 20, 198, 51, 111, 32, 1, 2, 3, 4, 1, 255 };
	static const struct ip4_prefix want[] = {
		{ 0, 0 }, { IP4(198, 51, 96, 0), 20 }, { IP4(1, 2, 3, 4), 32 }, { IP4(128, 0, 0, 0), 1 }
	};
	struct bgp_nlri rest = { list, sizeof(list) };
	struct ip4_prefix p;

	assert_true(bgp_nlri_check(rest));
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_true(bgp_nlri_next(&rest, &p) && p.addr == want[i].addr && p.len == want[i].len);
	assert_false(bgp_nlri_next(&rest, &p));
	assert_false(bgp_nlri_check((struct bgp_nlri){ list, 4 }));
	assert_false(bgp_nlri_check((struct bgp_nlri){ (const uint8_t[]){ 33, 1, 2, 3, 4, 5 }, 6 }));
	assert_false(bgp_prefix_is_unicast((struct ip4_prefix){ IP4(224, 1, 0, 0), 16 }));
	assert_true(bgp_prefix_is_unicast((struct ip4_prefix){ IP4(224, 0, 0, 0), 3 }));
	assert_true(bgp_prefix_is_unicast((struct ip4_prefix){ 0, 0 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values), cmocka_unit_test(test_switches), cmocka_unit_test(test_errors),
		cmocka_unit_test(test_set),    cmocka_unit_test(test_sent),     cmocka_unit_test(test_job),
		cmocka_unit_test(test_format), cmocka_unit_test(test_nlri),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
