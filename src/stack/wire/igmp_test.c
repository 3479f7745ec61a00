/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IGMP messages byte by byte, as they stand in captures of Linux and of switches.
 */
#include "stack/wire/igmp.h"

#include "base/ip4.h"
#include "stack/wire/checksum.h"
#include "stack/wire/wire_test.h"

#define GROUP IP4(239, 1, 2, 3)

static enum igmp_error parse_exact(const uint8_t *bytes, size_t len, struct igmp_view *v, uint32_t *first_source)
{
	uint8_t *p = exact_copy(bytes, len);
	enum igmp_error err = igmp_parse(p, len, v);

	*first_source = err == IGMP_OK && v->n_sources > 0 ? igmp_source(v, 0) : 0;
	free(p);
	return err;
}

/* Would catch: a version told by the wrong sign, a floating point code read as a plain one, a source list that is
 * believed beyond the message, a group that is none. */
static void test_parse(void **state)
{
	static const struct {
		const char *what;
		uint8_t p[24];
		size_t len;
		enum igmp_error err;
		struct igmp_view v;
		uint32_t source;
	} rows[] = {
		{ "general query of version 1",
		  { 0x11, 0, 0xee, 0xff },
		  8,
		  IGMP_OK,
		  { .type = 0x11, .version = 1, .max_resp_ms = 10000 } },
		{ "general query of version 2",
		  { 0x11, 0x64, 0xee, 0x9b },
		  8,
		  IGMP_OK,
		  { .type = 0x11, .version = 2, .max_resp_ms = 10000 } },
		{ "query of version 2 for a group",
		  { 0x11, 0x0a, 0xfd, 0xf0, 239, 1, 2, 3 },
		  8,
		  IGMP_OK,
		  { .type = 0x11, .version = 2, .max_resp_ms = 1000, .group = GROUP } },
		{ "general query of version 3",
		  { 0x11, 0x64, 0xec, 0x1e, 0, 0, 0, 0, 2, 125, 0, 0 },
		  12,
		  IGMP_OK,
		  { .type = 0x11, .version = 3, .max_resp_ms = 10000, .robustness = 2 } },
		{ "the longest time to answer",
		  { 0x11, 0xff, 0xeb, 0x83, 0, 0, 0, 0, 2, 125, 0, 0 },
		  12,
		  IGMP_OK,
		  { .type = 0x11, .version = 3, .max_resp_ms = 3174400, .robustness = 2 } },
		{ "for a group and a source",
		  { 0x11, 0x0a, 0xf0, 0x71, 239, 1, 2, 3, 2, 125, 0, 1, 10, 0, 1, 1 },
		  16,
		  IGMP_OK,
		  { .type = 0x11, .version = 3, .max_resp_ms = 1000, .group = GROUP, .robustness = 2, .n_sources = 1 },
		  IP4(10, 0, 1, 1) },
		{ "fewer sources than it says",
		  { 0x11, 0x0a, 0xf0, 0x70, 239, 1, 2, 3, 2, 125, 0, 2, 10, 0, 1, 1 },
		  16,
		  IGMP_SHORT },
		{ "ten bytes are of no version", { 0x11, 0x64, 0xec, 0x1e, 0, 0, 0, 0, 2, 125 }, 10, IGMP_SHORT },
		{ "seven bytes", { 0x11, 0x64, 0xee, 0x9b }, 7, IGMP_SHORT },
		{ "a wrong checksum", { 0x11, 0x64, 0xee, 0x9c }, 8, IGMP_CHECKSUM },
		{ "a query for a host", { 0x11, 0x0a, 0xe2, 0xf1, 10, 1, 2, 3 }, 8, IGMP_GROUP },
		{ "a report of version 2",
		  { 0x16, 0, 0xf8, 0xfa, 239, 1, 2, 3 },
		  8,
		  IGMP_OK,
		  { .type = 0x16, .group = GROUP } },
		{ "a report of a host", { 0x16, 0, 0xdd, 0xfb, 10, 1, 2, 3 }, 8, IGMP_GROUP },
		{ "another type", { 0x30, 0, 0xcf, 0xff }, 8, IGMP_OK, { .type = 0x30 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct igmp_view v;
		uint32_t source;

		if (parse_exact(rows[i].p, rows[i].len, &v, &source) != rows[i].err)
			fail_msg("%s", rows[i].what);
		if (rows[i].err != IGMP_OK)
			continue;
		if (v.type != rows[i].v.type || v.version != rows[i].v.version ||
		    v.max_resp_ms != rows[i].v.max_resp_ms || v.group != rows[i].v.group ||
		    v.robustness != rows[i].v.robustness || v.n_sources != rows[i].v.n_sources ||
		    source != rows[i].source)
			fail_msg("%s: version %u, %u ms, %x, %u, %u sources, %x", rows[i].what, v.version,
				 v.max_resp_ms, v.group, v.robustness, v.n_sources, source);
	}
}

/* Would catch: a field of a record in another's place, records that are not counted, a wrong checksum. */
static void test_emit(void **state)
{
	static const uint8_t old[] = { 0x16, 0, 0xf8, 0xfa, 239, 1, 2, 3 };
	static const uint8_t report[] = { 0x22, 0, 0xeb, 0xf0, 0,   0, 0, 2, /* two records */
					  4,    0, 0,    0,    239, 1, 2, 3, 1, 0, 0, 1, 239, 1, 2, 4, 10, 0, 1, 1 };
	static const uint32_t source = IP4(10, 0, 1, 1);
	uint8_t p[64];

	(void)state;
	memset(p, 0xaa, sizeof(p));
	igmp_emit(p, IGMP_V2_REPORT, GROUP);
	assert_memory_equal(p, old, sizeof(old));
	memset(p, 0xaa, sizeof(p));
	struct igmp_report r = igmp_report_begin(p);

	igmp_report_add(&r, IGMP_CHANGE_TO_EXCLUDE, GROUP, NULL, 0);
	igmp_report_add(&r, IGMP_MODE_IS_INCLUDE, GROUP + 1, &source, 1);
	assert_int_equal(igmp_report_end(&r), sizeof(report));
	assert_int_equal(checksum_finish(checksum_add(0, p, sizeof(report))), 0);
	assert_memory_equal(p, report, sizeof(report));
	assert_int_equal(p[sizeof(report)], 0xaa);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_emit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
