/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Blocks of a capture file, read back as draft-ietf-opsawg-pcapng has them.
 */
#include "daemon/control/text/pcapng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

static uint32_t at32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint16_t at16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The block at p is of that type, both its lengths agree, and its options, which begin at `options`, end just before
 * the second. Its length. */
static uint32_t check_block(const uint8_t *p, uint32_t type, uint32_t options)
{
	uint32_t len = at32(p + 4), at = options;

	assert_int_equal(at32(p), type);
	assert_int_equal(len % 4, 0);
	assert_int_equal(at32(p + len - 4), len);
	while (at16(p + at) != 0) {
		at += 4 + (at16(p + at + 2) + 3u) / 4 * 4;
		assert_true(at < len - 4);
	}
	assert_int_equal(at16(p + at + 2), 0);
	assert_int_equal(at + 8, len);
	return len;
}

/* The nth option with that code, from 0; NULL: there is none. */
static const uint8_t *find_option(const uint8_t *p, uint32_t options, uint16_t code, unsigned nth, uint16_t *len)
{
	for (p += options; at16(p) != 0; p += 4 + (at16(p + 2) + 3u) / 4 * 4) {
		*len = at16(p + 2);
		if (at16(p) == code && nth-- == 0)
			return p + 4;
	}
	return NULL;
}

static void assert_text(const uint8_t *p, uint32_t options, uint16_t code, unsigned nth, const char *text)
{
	uint16_t len;
	const uint8_t *value = find_option(p, options, code, nth, &len);

	assert_non_null(value);
	assert_int_equal(len, strlen(text));
	assert_memory_equal(value, text, len);
}

/* Would catch: a section or interface that a reader refuses, times of another unit, texts without their padding. */
static void test_begin(void **state)
{
	uint8_t out[PCAPNG_BEGIN_MAX];
	size_t len = pcapng_begin(out, "yangguan 1", "sk:60001", "tcp 10.0.0.1:1 10.0.0.2:2");
	uint32_t first = check_block(out, 0x0a0d0d0a, 24);
	uint16_t n;

	assert_int_equal(at32(out + 8), 0x1a2b3c4d);
	assert_int_equal(at16(out + 12), 1);
	assert_int_equal(at16(out + 14), 0);
	assert_text(out, 24, 4, 0, "yangguan 1");
	assert_int_equal(first + check_block(out + first, 1, 16), len);
	assert_int_equal(at16(out + first + 8), 101); /* LINKTYPE_RAW */
	assert_text(out + first, 16, 2, 0, "sk:60001");
	assert_text(out + first, 16, 3, 0, "tcp 10.0.0.1:1 10.0.0.2:2");
	assert_int_equal(*find_option(out + first, 16, 9, 0, &n), 9);
}

/* Would catch: bytes that are cut or not filled up to four, halves of a time the wrong way round, a direction for the
 * other, a loss or a comment that is not said. */
static void test_packet(void **state)
{
	static const uint8_t bytes[] = "a packet of some bytes";
	uint8_t *out = malloc(PCAPNG_PACKET_EXTRA_MAX + sizeof(bytes));

	for (uint32_t len = 1; len <= sizeof(bytes); len++) {
		struct pcapng_packet p = {
			.at_ns = 0x1122334455667788, .is_out = len % 2 != 0, .len = len, .bytes = bytes
		};
		uint32_t options = 28 + (len + 3) / 4 * 4;
		uint64_t missing = 0;
		uint16_t n;

		if (len % 3 == 0)
			p.comment = "retransmission";
		p.n_missing = len % 5 == 0 ? 70000 : 0;
		size_t size = pcapng_packet(out, &p);

		assert_int_equal(check_block(out, 6, options), size);
		assert_int_equal(at32(out + 12), 0x11223344);
		assert_int_equal(at32(out + 16), 0x55667788);
		assert_int_equal(at32(out + 20), len);
		assert_int_equal(at32(out + 24), len);
		assert_memory_equal(out + 28, bytes, len);
		assert_int_equal(at32(find_option(out, options, 2, 0, &n)), p.is_out ? 2 : 1);
		if (p.comment != NULL)
			assert_text(out, options, 1, 0, "retransmission");
		if (p.n_missing > 0) {
			assert_text(out, options, 1, p.comment != NULL, "70000 packets before this one are missing");
			memcpy(&missing, find_option(out, options, 4, 0, &n), sizeof(missing));
		}
		assert_int_equal(missing, p.n_missing);
		assert_true((p.comment != NULL) == (find_option(out, options, 1, p.n_missing > 0, &n) != NULL));
	}
	free(out);
}

/* Would catch: more than the caller has room for. */
static void test_long_texts(void **state)
{
	char text[1024];
	uint8_t begin[PCAPNG_BEGIN_MAX], packet[PCAPNG_PACKET_EXTRA_MAX + 1], end[PCAPNG_END_MAX];
	const struct pcapng_packet p = {
		.len = 1, .bytes = (const uint8_t *)"x", .comment = text, .n_missing = UINT64_MAX
	};

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_true(pcapng_begin(begin, text, text, text) <= sizeof(begin));
	assert_true(pcapng_packet(packet, &p) <= sizeof(packet));
	assert_true(pcapng_end(end, 1, 2, 3) <= sizeof(end));
}

/* Would catch: one number for the other. */
static void test_end(void **state)
{
	uint8_t out[PCAPNG_END_MAX];
	size_t len = pcapng_end(out, 0x100000002, 12, 3);
	uint16_t n;

	assert_int_equal(check_block(out, 5, 20), len);
	assert_int_equal(at32(out + 12), 1);
	assert_int_equal(at32(out + 16), 2);
	assert_int_equal(at32(find_option(out, 20, 4, 0, &n)), 12);
	assert_int_equal(at32(find_option(out, 20, 5, 0, &n)), 3);
	assert_int_equal(n, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begin),
		cmocka_unit_test(test_packet),
		cmocka_unit_test(test_long_texts),
		cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
