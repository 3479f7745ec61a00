/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/md5.h"
#include "base/util.h"

static void hex_of(const char *text, size_t step, char out[33])
{
	struct md5 m;
	uint8_t sum[MD5_BYTES];
	size_t len = strlen(text);

	md5_begin(&m);
	for (size_t i = 0; i < len; i += step)
		md5_add(&m, text + i, len - i < step ? len - i : step);
	md5_end(&m, sum);
	for (int i = 0; i < MD5_BYTES; i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

/* RFC 1321 appendix A.5. Would catch: a wrong step, a wrong end of a block, pieces that count otherwise than the whole.
 */
static void test_of_rfc(void **state)
{
	static const char *const pairs[][2] = {
		{ "", "d41d8cd98f00b204e9800998ecf8427e" },
		{ "a", "0cc175b9c0f1b6a831c399e269772661" },
		{ "abc", "900150983cd24fb0d6963f7d28e17f72" },
		{ "message digest", "f96b697d7cb7938d525a2f31aaf161d0" },
		{ "abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b" },
		{ "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
		  "d174ab98d277d9f5a5611c2c9f419d9f" },
		{ "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
		  "57edf4a22be3c955ac49da2e2107b67a" },
	};
	static const size_t steps[] = { 1, 7, 64, 1000 };
	char out[33];

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		for (size_t k = 0; k < ARRAY_LEN(steps); k++) {
			hex_of(pairs[i][0], steps[k], out);
			assert_string_equal(out, pairs[i][1]);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_of_rfc) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
