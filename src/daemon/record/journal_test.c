/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The words of a journal's lines. Would catch a number out of its bounds, a sign, a
 * size that no config could have asked for, a name that leads to another directory.
 */
#include "daemon/record/journal.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void numbers(void **state)
{
	static const struct {
		const char *line;
		uint64_t min, max, value;
		bool good;
	} row[] = {
		{ "told 5", 0, 63, 5, true },
		{ "told 63", 0, 63, 63, true },
		{ "told 64", 0, 63, 0, false },
		{ "told 0", 1, 63, 1, false },
		{ "told -1", 0, 63, 0, false },
		{ "told +1", 0, 63, 0, false },
		{ "told 1x", 0, 63, 0, false },
		{ "told 0x1", 0, 63, 0, false },
		{ "told", 0, 63, 0, false },
		{ "told ", 0, 63, 0, false },
		{ "told  5", 0, 63, 0, false },
		{ "told\t5", 0, 63, 0, false },
		{ "told 18446744073709551615", 0, UINT64_MAX, UINT64_MAX, true },
		{ "told 18446744073709551616", 0, UINT64_MAX, 0, false },
		{ "told 99999999999999999999999", 0, UINT64_MAX, 0, false },
		{ "told 5 6", 0, 63, 5, false },
		{ "told 5 ", 0, 63, 5, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct journal_words w = journal_words_of(row[i].line);
		assert_true(journal_number(&w, row[i].min, row[i].max) == row[i].value);
		assert_int_equal(journal_words_end(&w), row[i].good);
	}
}

static void words(void **state)
{
	struct journal_words w = journal_words_of("attach 1 lan0 c6:69:bd:43:07:38 1500");
	char name[5], mac[18];

	assert_int_equal(journal_number(&w, 0, 9), 1);
	journal_word(&w, name, sizeof(name));
	journal_word(&w, mac, sizeof(mac));
	assert_int_equal(journal_number(&w, 0, 9999), 1500);
	assert_true(journal_words_end(&w));
	assert_string_equal(name, "lan0");
	assert_string_equal(mac, "c6:69:bd:43:07:38");

	w = journal_words_of("attach lan01 7");
	journal_word(&w, name, sizeof(name)); /* one byte too long */
	assert_string_equal(name, "");
	assert_int_equal(journal_number(&w, 3, 9), 3); /* bad from then on */
	assert_false(journal_words_end(&w));
}

static void names(void **state)
{
	static const char *const good[] = { "lan0", "eth0.100", "a-b", "...", "123456789012345" };
	static const char *const bad[] = {
		"", ".", "..", "../x", "a/b", "/x", "a:b", "a b", "a\nb", "1234567890123456"
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(journal_is_name(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(journal_is_name(bad[i]));
}

static void limits(void **state)
{
	struct gateway_limits l = { 0 };
	char err[160];

	assert_true(journal_limit_set(&l, "connections", 1000, err, sizeof(err)));
	assert_int_equal(l.conntrack.n_connections, 1000);
	assert_true(journal_limit_set(&l, "packets-small", 4096, err, sizeof(err)));
	assert_int_equal(l.packets.n_small, 4096);
	assert_false(journal_limit_set(&l, "connections", UINT32_MAX, err, sizeof(err)));
	assert_non_null(strstr(err, "limit connections is not from 16 to "));
	assert_false(journal_limit_set(&l, "connections", UINT64_C(1) << 32 | 1000, err, sizeof(err)));
	assert_false(journal_limit_set(&l, "reassembly", 0, err, sizeof(err)));
	assert_false(journal_limit_set(&l, "nat-mappings", 16, err, sizeof(err)));
	assert_false(journal_limit_set(&l, "elephants", 16, err, sizeof(err)));
	assert_non_null(strstr(err, "elephants"));
	assert_int_equal(l.conntrack.n_connections, 1000);
}

/* What the recorder writes, the replay takes: each limit at both ends of what a config allows. */
static void written_and_read(void **state)
{
	struct gateway_limits l = { .packets = { 256, 256, 1 << 16 },
				    .ip = { .n_neighbours = 16, .n_neigh_held = 1 << 16, .n_reassembly = 1 << 20 },
				    .conntrack = { .n_connections = 1 << 28, .n_fragments = 16 } };
	struct gateway_limits again = { 0 };
	char *text = NULL, err[160], name[64];
	size_t len;
	FILE *f = open_memstream(&text, &len);

	journal_limits_write(&l, f);
	fclose(f);
	char *rest = text, *line;
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		struct journal_words w = journal_words_of(line);
		journal_word(&w, name, sizeof(name));
		uint64_t value = journal_number(&w, 0, UINT64_MAX);
		assert_true(journal_words_end(&w));
		assert_true(journal_limit_set(&again, name, value, err, sizeof(err)));
	}
	free(text);
	assert_memory_equal(&l, &again, sizeof(l));
}

static void same_route(const struct rib_route *r)
{
	struct rib_path path[FIB_PATHS_MAX];
	char text[JOURNAL_LINE_MAX], line[JOURNAL_LINE_MAX + 8], again[JOURNAL_LINE_MAX];
	struct rib_route back;

	for (int everything = 0; everything < 2; everything++) {
		journal_route_write(r, everything, text, sizeof(text));
		snprintf(line, sizeof(line), "route %s", text);
		struct journal_words w = journal_words_of(line);

		assert_true(journal_route_read(&w, everything, &back, path));
		journal_route_write(&back, everything, again, sizeof(again));
		assert_string_equal(text, again);
	}
	assert_int_equal(back.nexthop.kind, r->nexthop.kind);
	assert_int_equal(back.n_paths, r->n_paths);
	for (uint32_t i = 0; i < r->n_paths; i++)
		assert_memory_equal(&back.path[i].nexthop, &r->path[i].nexthop, sizeof(r->path[i].nexthop));
	if (r->n_paths == 0)
		assert_memory_equal(&back.nexthop, &r->nexthop, sizeof(r->nexthop));
}

/* Routes of every kind, the longest one in one line; and lines of strangers. Would catch a word that is left out, and a
 * number that is used as an index unseen. */
static void routes(void **state)
{
	static const char *const bad[] = {
		"route 0 167772160 8 4 0 1 0 1 0 0 1 16843009 64 0 1 0",  /* no such interface */
		"route 0 167772160 8 4 0 1 0 1 0 0 17 16843009 1 0 1 0",  /* too many ways */
		"route 0 167772160 8 4 0 1 0 1 0 0 2 16843009 1 0 1 0",   /* fewer than it says */
		"route 0 167772160 8 4 0 1 0 1 0 0 1 16843009 1 0 1 0 9", /* more */
		"route 0 167772161 8 4 0 1 0 1 0 0 1 16843009 1 0 1 0",   /* bits behind the prefix */
		"route 0 167772160 33 4 0 1 0 1 0 0 1 16843009 1 0 1 0",
		"route 0 167772160 8 2 0 1 0 1 0 0 1 16843009 1 0 1 0", /* the config's */
		"route 0 167772160 8 4 0 1 0 2 0 0 1 0 1 0 1 0",        /* an address of ours */
		"route 0 167772160 8 4 0 1 0 1 0 0 1 0 0 0 1 0",        /* to nobody */
		"route 0 167772160 8 4 0 1 0 1 0 0 1 16843009 0 0 1 1", /* on no link */
	};
	struct rib_path path[FIB_PATHS_MAX];
	struct rib_route r = { .prefix = ip_prefix_v4(IP4(255, 255, 255, 255), 32),
			       .zone = UINT16_MAX,
			       .source = RIB_RUNTIME,
			       .distance = 255,
			       .metric = UINT32_MAX,
			       .instance = UINT32_MAX,
			       .nexthop = { .kind = FIB_BLACKHOLE } };

	same_route(&r);
	r.nexthop = (struct fib_nexthop){ .kind = FIB_UNICAST, .ifindex = 3, .source = ip_addr_v4(IP4(10, 0, 0, 1)) };
	same_route(&r);
	r.nexthop.gateway = ip_addr_v4(IP4(10, 0, 0, 9));
	r.onlink = true;
	same_route(&r);
	r.onlink = false;
	r.nexthop = (struct fib_nexthop){ .kind = FIB_UNICAST, .gateway = ip_addr_v4(IP4(1, 2, 3, 4)) };
	r.recursive = r.over_default = true;
	same_route(&r);
	for (uint32_t i = 0; i < FIB_PATHS_MAX; i++)
		path[i] = (struct rib_path){ .nexthop = { .kind = FIB_UNICAST,
							  .ifindex = IP_INTERFACES_MAX - 1,
							  .gateway = ip_addr_v4(UINT32_MAX - i),
							  .source = ip_addr_v4(UINT32_MAX) },
					     .weight = 256,
					     .onlink = true };
	r.nexthop = (struct fib_nexthop){ .kind = FIB_UNICAST };
	r.n_paths = FIB_PATHS_MAX;
	r.path = path;
	same_route(&r);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct journal_words w = journal_words_of(bad[i]);

		assert_false(journal_route_read(&w, true, &r, path));
	}
	struct journal_words good = journal_words_of("route 0 167772160 8 4 0 1 0 1 0 0 1 16843009 1 0 1 0");

	assert_true(journal_route_read(&good, true, &r, path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes), cmocka_unit_test(numbers), cmocka_unit_test(words),
		cmocka_unit_test(names),  cmocka_unit_test(limits),  cmocka_unit_test(written_and_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
