/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The Internet checksum against one that adds a byte at a time.
 */
#include "stack/wire/checksum.h"

#include "stack/wire/wire_test.h"

/* Would catch: a tail of 1 to 31 bytes left out or counted in the wrong half, a
 * lost carry, a load that needs alignment, a read past the end. */
static void test_add_is_the_naive_sum(void **state)
{
	struct rng r = test_rng(1);

	for (size_t i = 0; i < 4000; i++) {
		size_t len = rng_below(&r, i % 50 == 0 ? 66000 : 200);
		size_t align = rng_below(&r, 16);
		uint32_t initial = i % 3 == 0 ? rng_u32(&r) : 0;
		uint8_t *buf = malloc(align + len + 1);

		assert_non_null(buf);
		/* All ones make every addition carry. */
		memset(buf, 0xff, align + len + 1);
		if (i % 4 != 0)
			random_bytes(&r, buf, align + len);
		uint8_t *data = exact_copy(buf, align + len);
		assert_int_equal(checksum_finish(checksum_add(initial, data + align, len)),
				 naive_checksum(initial, buf + align, len));
		free(data);
		free(buf);
	}
}

/* Would catch: a byte that is copied and not summed, or the other way round; one written past the end. */
static void test_copy_is_add_and_copy(void **state)
{
	struct rng r = test_rng(4);

	for (size_t i = 0; i < 4000; i++) {
		size_t len = rng_below(&r, i % 50 == 0 ? 66000 : 400), from = rng_below(&r, 16), to = rng_below(&r, 16);
		uint8_t *data = malloc(from + len + 1), *out = malloc(to + len + 1);

		assert_non_null(data);
		assert_non_null(out);
		random_bytes(&r, data, from + len + 1);
		memset(out, 0xa5, to + len + 1);
		uint32_t initial = rng_u32(&r);

		assert_int_equal(checksum_copy(initial, out + to, data + from, len),
				 checksum_add(initial, data + from, len));
		assert_memory_equal(out + to, data + from, len);
		assert_int_equal(out[to + len], 0xa5);
		assert_true(to == 0 || out[to - 1] == 0xa5);
		free(data);
		free(out);
	}
}

/* Would catch: a sum of pieces that is not the sum of the whole, as scattered
 * headers and payload need. */
static void test_pieces_add_up(void **state)
{
	struct rng r = test_rng(2);
	uint8_t data[300];

	for (int i = 0; i < 1000; i++) {
		size_t len = rng_below(&r, sizeof(data));
		size_t cut = rng_below(&r, (uint32_t)len / 2 + 1) * 2;

		random_bytes(&r, data, len);
		if (cut > len)
			cut = 0;
		assert_int_equal(checksum_finish(checksum_add(checksum_add(0, data, cut), data + cut, len - cut)),
				 naive_checksum(0, data, len));
	}
}

/* Would catch: mixing up the two zeros, an initial sum near 2^32 whose carry is
 * lost. */
static void test_zeros_and_carries(void **state)
{
	static const uint8_t zeros[64] = { 0 };
	uint8_t ones[64];

	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(checksum_add(0, zeros, sizeof(zeros)), 0);
	assert_int_equal(checksum_finish(0), 0xffff);
	assert_int_equal(checksum_fold(checksum_add(0, ones, sizeof(ones))), 0xffff);
	assert_int_equal(checksum_fold(checksum_add(UINT32_MAX, ones, sizeof(ones))), 0xffff);
	assert_int_equal(checksum_fold(checksum_add(UINT32_MAX, zeros, sizeof(zeros))), 0xffff);
	assert_int_equal(checksum_fold(0xffff0001), 1);
	assert_int_equal(checksum_fold(0x1ffff), 1);
	assert_int_equal(checksum_add(0, NULL, 0), 0);
}

/* Would catch: a wrong byte order, by the header of RFC 1071's kind worked out
 * by hand. */
static void test_known_header(void **state)
{
	static const uint8_t header[20] = { 0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
					    0x00, 0x00, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7 };

	assert_int_equal(checksum_finish(checksum_add(0, header, sizeof(header))), 0xb861);
	assert_int_equal(checksum_fold(checksum_pseudo(0xc0a80001, 0xc0a800c7, 17, 0x12345)),
			 (uint16_t)~naive_checksum(naive_pseudo(0xc0a80001, 0xc0a800c7, 17, 0x12345), NULL, 0));
}

/* Would catch: equation 2 of RFC 1624 in place of equation 3: the example of
 * its section 4 then gives 0xffff. */
static void test_rfc1624_example(void **state)
{
	assert_int_equal(checksum_update16(0xdd2f, 0x5555, 0x3285), 0x0000);
	assert_int_equal(checksum_update16(0x0000, 0x3285, 0x5555), 0xdd2f);
	/* The same with a word that does not change beside it. */
	assert_int_equal(checksum_update32(0xdd2f, 0x55551234, 0x32851234), 0x0000);
}

/* Would catch: an update that differs from a sum from scratch, with words of
 * 0x0000 and 0xffff on both sides, and a partial one that complements. */
static void test_updates_are_sums_from_scratch(void **state)
{
	struct rng r = test_rng(3);

	for (int i = 0; i < 200000; i++) {
		/* The first word is never zero: as in a header, and a pseudo header. */
		uint16_t words[4] = { (uint16_t)(corner16(&r) | 1), corner16(&r), corner16(&r), corner16(&r) };
		uint64_t sum = (uint64_t)words[0] + words[1] + words[2] + words[3];
		uint16_t check = naive_checksum(sum, NULL, 0);
		uint32_t to = corner32(&r);
		uint32_t from = (uint32_t)words[1] << 16 | words[2];
		uint64_t sum32 = sum - words[1] - words[2] + (to >> 16) + (to & 0xffff);
		uint64_t sum16 = sum - words[1] + (to >> 16);

		assert_int_equal(checksum_update32(check, from, to), naive_checksum(sum32, NULL, 0));
		assert_int_equal(checksum_update16(check, words[1], (uint16_t)(to >> 16)),
				 naive_checksum(sum16, NULL, 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_is_the_naive_sum),
		cmocka_unit_test(test_copy_is_add_and_copy),
		cmocka_unit_test(test_pieces_add_up),
		cmocka_unit_test(test_zeros_and_carries),
		cmocka_unit_test(test_known_header),
		cmocka_unit_test(test_rfc1624_example),
		cmocka_unit_test(test_updates_are_sums_from_scratch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
