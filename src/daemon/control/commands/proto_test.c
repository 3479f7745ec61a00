/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Requests and frames, byte by byte.
 */
#include "daemon/control/commands/proto.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

static const struct {
	const char *line;
	int rc;
	size_t n_words;
	const char *err;
} requests[] = {
	{ "[\"drops\"]", 0, 1, NULL },
	{ "[\"conntrack\",\"-L\",\"-p\",\"tcp\"]", 0, 4, NULL },
	{ " [ \"a\" , \"\\u00e4\" ] ", 0, 2, NULL },
	{ "", -EINVAL, 0, "not JSON" },
	{ "drops", -EINVAL, 0, "not JSON" },
	{ "[]", -EINVAL, 0, "0 words" },
	{ "{}", -EINVAL, 0, "array of strings" },
	{ "[1]", -EINVAL, 0, "not a string" },
	{ "[\"a\",null]", -EINVAL, 0, "word 2" },
	{ "[\"a\"", -EINVAL, 0, "not JSON" },
	{ "[\"a\"] x", -EINVAL, 0, "not JSON" },
	{ "[\"a\\u0000b\"]", -EINVAL, 0, "not JSON" },
	{ "[[[[[[\"a\"]]]]]]", -EINVAL, 0, "not a string" },
};

/* Catches a malformed request that is taken, or that leaks what was read before its fault. */
static void test_requests(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		struct proto_request r;
		char err[192] = "";
		int rc = proto_request_parse(requests[i].line, strlen(requests[i].line), &r, err, sizeof(err));
		assert_int_equal(rc, requests[i].rc);
		assert_int_equal(r.n_words, requests[i].n_words);
		if (rc != 0)
			assert_non_null(strstr(err, requests[i].err));
		proto_request_free(&r);
	}
}

/* Catches words that come out of the request other than they went in. */
static void test_round_trip(void **state)
{
	const char *const words[] = { "conntrack", "-L", "", "a \"quoted\" one", "line\nbreak", "\xc3\xa4" };
	struct proto_request r;
	char err[192];

	char *line = proto_request_text(ARRAY_LEN(words), words);
	assert_non_null(line);
	/* One line only, or the server would take the rest for another. */
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	assert_int_equal(proto_request_parse(line, strlen(line) - 1, &r, err, sizeof(err)), 0);
	assert_int_equal(r.n_words, ARRAY_LEN(words));
	for (size_t i = 0; i < r.n_words; i++)
		assert_string_equal(r.word[i], words[i]);
	proto_request_free(&r);
	free(line);
	const char *const bad[] = { "\xff" };
	assert_null(proto_request_text(1, bad));
}

/* Catches frames that are lost or joined when the stream comes in odd pieces. */
static void test_frames(void **state)
{
	static const uint8_t stream[] = { 'o', 0, 0, 0, 3, 'a', 'b', 'c', 'e', 0, 0, 0, 0,
					  'f', 0, 0, 0, 1, 9,   'x', 0,   0,   0, 1, 7 };
	for (size_t step = 1; step <= sizeof(stream); step++) {
		struct proto_reader r;
		struct proto_view v;
		char got[64] = "";
		proto_reader_init(&r);
		for (size_t at = 0; at < sizeof(stream); at += step) {
			size_t n = at + step <= sizeof(stream) ? step : sizeof(stream) - at;
			assert_int_equal(proto_reader_add(&r, stream + at, n), 0);
			while (proto_reader_next(&r, &v) == 1) {
				size_t len = strlen(got);
				got[len] = (char)v.type;
				memcpy(got + len + 1, v.payload, v.len);
				got[len + 1 + v.len] = '\0';
			}
		}
		assert_string_equal(got, "oabcef\tx\x07");
		proto_reader_fini(&r);
	}
}

/* Catches a client that believes anything: another program may answer on the socket. */
static void test_bad_frames(void **state)
{
	static const uint8_t bad[][PROTO_FRAME_HEADER] = {
		{ 'H', 'T', 'T', 'P', '/' },
		{ 'o', 0xff, 0xff, 0xff, 0xff },
		{ 'x', 0, 0, 0, 2 },
		{ 'x', 0, 0, 0, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct proto_reader r;
		struct proto_view v;
		proto_reader_init(&r);
		assert_int_equal(proto_reader_add(&r, bad[i], sizeof(bad[i])), 0);
		assert_int_equal(proto_reader_next(&r, &v), -EPROTO);
		proto_reader_fini(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_bad_frames),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
