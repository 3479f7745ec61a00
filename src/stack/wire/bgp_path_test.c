/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Paths, segment by segment.
 */
#include "stack/wire/bgp_path.h"

#include "stack/wire/bgp_fixture.h"
#include "stack/wire/wire_test.h"

static struct bgp_path path_of(uint8_t *buf, const char *hex, enum bgp_as_width width)
{
	return (struct bgp_path){ buf, bgp_fixture_hex(buf, BGP_MESSAGE_MAX, hex), width };
}

static void expect(const char *what, const uint8_t *got, size_t len, const char *hex)
{
	uint8_t want[BGP_MESSAGE_MAX];

	if (len != bgp_fixture_hex(want, sizeof(want), hex) || memcmp(got, want, len) != 0)
		fail_msg("%s: not %s", what, hex);
}

/* Would catch: a segment believed beyond the path, hops counted otherwise than RFC 4271 9.1.2.2 a does, our AS not seen
 * in a set, a first AS taken out of one. */
static void test_check(void **state)
{
	static const struct {
		const char *path;
		enum bgp_as_width width;
		bool good;
		struct bgp_path_facts f;
	} rows[] = {
		{ "", BGP_AS4, true },
		{ "0201 0000fde8", BGP_AS4, true, { 1, 1, 65000 } },
		{ "0202 fde9 fde8", BGP_AS2, true, { 2, 1, 65001 } },
		{ "0201 00000001 0103 00000002 0000fde8 00000003", BGP_AS4, true, { 2, 1, 1, .has_set = true } },
		{ "0101 00000001 0201 00000002", BGP_AS4, true, { 2, 0, 0, .has_set = true } },
		{ "0301 00000001 0401 00000009 0201 00000002", BGP_AS4, true, { 1, 0, 0, .has_confed = true } },
		{ "0202 00000001 00000000", BGP_AS4, true, { 2, 0, 1, .has_zero = true } },
		{ "02", BGP_AS4, false },
		{ "0200", BGP_AS4, false },
		{ "0001 00000001", BGP_AS4, false },
		{ "0501 00000001", BGP_AS4, false },
		{ "0201 000001", BGP_AS4, false },
		{ "0201 0001 02", BGP_AS2, false },
		{ "0202 00000001 00000002 01", BGP_AS4, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t buf[BGP_MESSAGE_MAX];
		struct bgp_path path = path_of(buf, rows[i].path, rows[i].width);
		uint8_t *p = exact_copy(buf, path.len);
		struct bgp_path_facts f;

		path.p = p;
		bool good = bgp_path_check(path, 65000, &f);
		const struct bgp_path_facts *want = &rows[i].f;
		if (good != rows[i].good ||
		    (good &&
		     (f.n_hops != want->n_hops || f.n_own != want->n_own || f.first != want->first ||
		      f.has_set != want->has_set || f.has_confed != want->has_confed || f.has_zero != want->has_zero)))
			fail_msg("\"%s\": another answer", rows[i].path);
		free(p);
	}
}

/* Would catch: numbers lost or doubled where AS_PATH ends and AS4_PATH begins, a set counted by its numbers, a longer
 * AS4_PATH that is glued on (RFC 6793 section 4.2.3). */
static void test_merge(void **state)
{
	static const struct {
		const char *what, *path, *as4, *want;
	} rows[] = {
		{ "as long as AS_PATH", "0202 fde9 5ba0", "0202 0000fde9 00030d40", "0202 0000fde9 00030d40" },
		{ "shorter", "0203 fde9 0064 5ba0", "0201 00030d40", "0203 0000fde9 00000064 00030d40" },
		{ "longer", "0201 5ba0", "0202 00000001 00000002", "" },
		{ "a set is one hop", "0202 fde9 5ba0 0103 0001 0002 0003", "0201 00030d40 0102 00000001 00000002",
		  "0202 0000fde9 00030d40 0102 00000001 00000002" },
		{ "a set before it is taken whole", "0102 0001 0002 0201 5ba0", "0201 00030d40",
		  "0102 00000001 00000002 0201 00030d40" },
		{ "within the second segment", "0201 fde9 0202 0064 5ba0", "0201 00030d40",
		  "0203 0000fde9 00000064 00030d40" },
		{ "a confederation's segments are left out", "0202 fde9 5ba0", "0301 00000007 0201 00030d40",
		  "0202 0000fde9 00030d40" },
		{ "... also when there is nothing else", "0201 fde9", "0301 00000007", "0201 0000fde9" },
		{ "full to the last place", "02ff {0001}255", "0202 00000002 00000003",
		  "02ff {00000001}253 00000002 00000003" },
		{ "... and goes on in another", "0202 0007 0008 02fe {0001}254", "02ff {00000002}255",
		  "02ff 00000007 {00000002}254 0201 00000002" },
	};
	static uint8_t path[BGP_MESSAGE_MAX], as4[BGP_MESSAGE_MAX], out[3 * BGP_MESSAGE_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len =
			bgp_path_merge(out, path_of(path, rows[i].path, BGP_AS2), path_of(as4, rows[i].as4, BGP_AS4));

		expect(rows[i].what, out, len, rows[i].want);
	}
}

/* Would catch: our AS put into a full segment or into a set, numbers that do not fit cut instead of AS_TRANS, a length
 * that is counted and not written. */
static void test_emit(void **state)
{
	static const struct {
		const char *what, *path;
		uint32_t prepended;
		enum bgp_as_width width;
		const char *want;
	} rows[] = {
		{ "as it is", "0201 00000001 0201 00000002", 0, BGP_AS4, "0201 00000001 0201 00000002" },
		{ "into the sequence", "0201 0000fde9", 65000, BGP_AS4, "0202 0000fde8 0000fde9" },
		{ "alone", "", 65000, BGP_AS4, "0201 0000fde8" },
		{ "before a set", "0101 00000001", 65000, BGP_AS4, "0201 0000fde8 0101 00000001" },
		{ "before a full one", "02ff {00000001}255", 65000, BGP_AS4, "0201 0000fde8 02ff {00000001}255" },
		{ "into one that has one place", "02fe {00000001}254", 65000, BGP_AS4, "02ff 0000fde8 {00000001}254" },
		{ "in two octets", "0202 0000fde9 00030d40", 65000, BGP_AS2, "0203 fde8 fde9 5ba0" },
		{ "itself too long for two", "0201 0000fde9", 200000, BGP_AS2, "0202 5ba0 fde9" },
		{ "a set in two", "0102 00010000 0000ffff", 0, BGP_AS2, "0102 5ba0 ffff" },
	};
	static uint8_t path[BGP_MESSAGE_MAX], out[BGP_MESSAGE_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bgp_path p = path_of(path, rows[i].path, BGP_AS4);
		size_t len = bgp_path_emit(out, p, rows[i].prepended, rows[i].width);

		expect(rows[i].what, out, len, rows[i].want);
		assert_int_equal(bgp_path_emit(NULL, p, rows[i].prepended, rows[i].width), len);
	}
	assert_true(bgp_path_is_narrow(path_of(path, "0201 0000ffff 0101 00000001", BGP_AS4)));
	assert_false(bgp_path_is_narrow(path_of(path, "0201 0000ffff 0101 00010000", BGP_AS4)));
}

/* Would catch: segments shown as if they were a sequence. */
static void test_format(void **state)
{
	uint8_t path[BGP_MESSAGE_MAX];
	char buf[100];
	struct text t = text_of(buf, sizeof(buf));

	bgp_path_format(&t, path_of(path, "0202 0000fde9 fffffffe 0102 00000001 00000002 0301 00000003", BGP_AS4));
	assert_string_equal(buf, "65001 4294967294 {1 2} (3)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_emit),
		cmocka_unit_test(test_format),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
