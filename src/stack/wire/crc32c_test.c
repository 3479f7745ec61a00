/* SPDX-License-Identifier: BSD-2-Clause */
#include "stack/wire/crc32c.h"

#include <string.h>

#include "stack/wire/wire_test.h"

static uint32_t crc(const void *data, size_t len)
{
	return ~crc32c_add(CRC32C_START, data, len);
}

/* RFC 3720 appendix B.4 (the same polynomial), and the check value of the catalogue of CRCs. Would catch: a wrong
 * table, start or complement. */
static void test_vectors(void **state)
{
	uint8_t bytes[32];

	(void)state;
	assert_int_equal(crc("123456789", 9), 0xe3069283);
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(crc(bytes, sizeof(bytes)), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(crc(bytes, sizeof(bytes)), 0x62a8ab43);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	assert_int_equal(crc(bytes, sizeof(bytes)), 0x46dd794e);
}

/* Would catch: pieces that count differently from the whole. */
static void test_pieces(void **state)
{
	static const char digits[] = "123456789";

	(void)state;
	for (size_t cut = 0; cut <= 9; cut++)
		assert_int_equal(~crc32c_add(crc32c_add(CRC32C_START, digits, cut), digits + cut, 9 - cut), 0xe3069283);
}

/* Would catch: a mended CRC that differs from one that is counted from scratch, at any length. */
static void test_delta(void **state)
{
	static uint8_t message[65535];
	static const size_t lengths[] = { 4, 5, 12, 13, 31, 64, 100, 257, 1480, 4095, 4096, 4097, 65535 };

	(void)state;
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)(i * 31 + (i >> 7));
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		uint32_t before = crc(message, lengths[i]);

		message[0] ^= 0x12;
		message[1] ^= 0x34;
		message[2] ^= 0x56;
		message[3] ^= 0x78;
		assert_int_equal(before ^ crc32c_delta(0x12345678, lengths[i] - 4), crc(message, lengths[i]));
	}
	assert_int_equal(crc32c_delta(0, 1000), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_delta),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
