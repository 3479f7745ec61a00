/* SPDX-License-Identifier: BSD-2-Clause */
#include "stack/wire/sctp.h"

#include "stack/wire/l4.h"
#include "stack/wire/wire_test.h"

struct row {
	const char *what;
	uint8_t bytes[48];
	size_t len; /* behind the common header */
	bool cut, want;
	uint32_t types, init_tag;
	bool reflected;
};

static const struct row rows[] = {
	{ "nothing", { 0 }, 0, false, false, 0, 0, false },
	{ "half a chunk header", { 11, 0, 0 }, 3, false, false, 0, 0, false },
	{ "cookie ack", { 11, 0, 0, 4 }, 4, false, true, 1 << 11, 0, false },
	{ "length 3", { 11, 0, 0, 3 }, 4, false, false, 0, 0, false },
	{ "length past the end", { 0, 3, 0, 21 }, 20, false, false, 0, 0, false },
	{ "length past the fragment", { 0, 3, 4, 0 }, 20, true, true, 1, 0, false },
	{ "padded, then another", { 10, 0, 0, 5, 9, 0, 0, 0, 0, 3, 0, 4 }, 12, false, true, 1 << 10 | 1, 0, false },
	{ "padding that is not there", { 10, 0, 0, 5, 9 }, 5, false, true, 1 << 10, 0, false },
	{ "abort, T", { 6, 1, 0, 4 }, 4, false, true, 1 << 6, 0, true },
	{ "abort", { 6, 0, 0, 4 }, 4, false, true, 1 << 6, 0, false },
	{ "shutdown complete, T", { 14, 1, 0, 4 }, 4, false, true, 1 << 14, 0, true },
	{ "shutdown complete and more", { 14, 1, 0, 4, 11, 0, 0, 4 }, 8, false, false, 0, 0, false },
	{ "sack and shutdown", { 3, 0, 0, 4, 7, 0, 0, 8, 1, 2, 3, 4 }, 12, false, true, 1 << 3 | 1 << 7, 0, false },
	{ "an unknown type", { 0xc1, 0, 0, 4, 11, 0, 0, 4 }, 8, false, true, 1 << 11, 0, false },
};

/* Would catch: a chunk read past its packet, a length that lies believed, a second chunk missed behind padding. */
static void test_chunks(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		uint8_t bytes[SCTP_HEADER_LEN + sizeof(r->bytes)] = { 0 };
		struct sctp_chunks c;

		memcpy(bytes + SCTP_HEADER_LEN, r->bytes, r->len);
		uint8_t *p = exact_copy(bytes, SCTP_HEADER_LEN + r->len);
		bool got = sctp_chunks_parse(p, SCTP_HEADER_LEN + r->len, r->cut, &c);
		free(p);
		if (got != r->want || (got && (c.types != r->types || c.reflected != r->reflected)))
			fail_msg("%s: %d, types %x", r->what, got, c.types);
	}
}

/* Would catch: a tag read at the wrong place, of 0, or out of a chunk that is too short for it; a bundled INIT. */
static void test_init(void **state)
{
	static const uint8_t init[20] = { 1, 0, 0, 20, 0x12, 0x34, 0x56, 0x78, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 7 };
	uint8_t bytes[SCTP_HEADER_LEN + 24] = { 0 };
	struct sctp_chunks c;

	(void)state;
	memcpy(bytes + SCTP_HEADER_LEN, init, sizeof(init));
	for (size_t len = SCTP_HEADER_LEN; len < SCTP_HEADER_LEN + 20; len++) {
		uint8_t *p = exact_copy(bytes, len);

		assert_false(sctp_chunks_parse(p, len, false, &c));
		assert_false(sctp_chunks_parse(p, len, true, &c));
		free(p);
	}
	assert_true(sctp_chunks_parse(bytes, SCTP_HEADER_LEN + 20, false, &c));
	assert_int_equal(c.init_tag, 0x12345678);
	memcpy(bytes + SCTP_HEADER_LEN + 20, (uint8_t[]){ 11, 0, 0, 4 }, 4);
	assert_false(sctp_chunks_parse(bytes, SCTP_HEADER_LEN + 24, false, &c));
	bytes[SCTP_HEADER_LEN] = SCTP_INIT_ACK;
	assert_true(sctp_chunks_parse(bytes, SCTP_HEADER_LEN + 20, false, &c));
	memset(bytes + SCTP_HEADER_LEN + 4, 0, 4);
	assert_false(sctp_chunks_parse(bytes, SCTP_HEADER_LEN + 20, false, &c));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_chunks), cmocka_unit_test(test_init) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
