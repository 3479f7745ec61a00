/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Packets on their way to whoever reads a capture.
 */
#include "daemon/control/commands/capture_ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

static uint8_t sent[CAPTURE_BYTES_MAX], got[CAPTURE_BYTES_MAX];

static void put(struct capture_ring *r, uint64_t at, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		sent[i] = (uint8_t)(at + i * 7);
	capture_ring_put(r, &(struct capture_packet){ .at = at,
						      .is_out = at % 2 != 0,
						      .len = len,
						      .bytes = sent,
						      .comment = at % 3 == 0 ? "probe" : NULL });
}

static void assert_take(struct capture_ring *r, uint64_t at, uint32_t len, uint64_t n_missing)
{
	struct captured c;

	assert_true(capture_ring_take(r, &c, got));
	assert_int_equal(c.at, at);
	assert_int_equal(c.len, len);
	assert_int_equal(c.is_out, at % 2 != 0);
	assert_string_equal(c.comment, at % 3 == 0 ? "probe" : "");
	assert_int_equal(c.n_missing, n_missing);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(got[i], (uint8_t)(at + i * 7));
}

/* Would catch: lengths around a slot's, a packet that goes over the ring's end, a comment or direction of another. */
static void test_every_length(void **state)
{
	static const uint32_t lens[] = { 20, 40, 255, 256, 257, 1500, 9000, 65535, CAPTURE_BYTES_MAX };
	struct capture_ring *r = capture_ring_create();
	struct captured c;

	assert_non_null(r);
	for (uint64_t at = 0; at < 400; at++) {
		uint32_t len = lens[at % ARRAY_LEN(lens)];

		put(r, at, len);
		put(r, at + 1, 20);
		assert_take(r, at, len, 0);
		assert_take(r, at + 1, 20, 0);
		assert_false(capture_ring_take(r, &c, got));
	}
	assert_int_equal(capture_ring_lost(r), 0);
	capture_ring_destroy(r);
}

/* Would catch: a full ring that loses the oldest, or half of a packet, a loss that is not counted or not said where it
 * is, and one that is said twice. */
static void test_full(void **state)
{
	struct capture_ring *r = capture_ring_create();
	uint64_t n = 0;

	while (capture_ring_lost(r) == 0)
		put(r, n++, 65535);
	put(r, n, 65535);
	assert_int_equal(capture_ring_lost(r), 2);
	assert_take(r, 0, 65535, 0);
	put(r, n + 1, 1500);
	put(r, n + 2, 40);
	for (uint64_t at = 1; at < n - 1; at++)
		assert_take(r, at, 65535, 0);
	assert_take(r, n + 1, 1500, 2);
	assert_take(r, n + 2, 40, 0);
	assert_int_equal(capture_ring_lost(r), 2);
	capture_ring_destroy(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
