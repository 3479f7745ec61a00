/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What each ICMP type is, and what an error quotes.
 */
#include "stack/wire/icmp.h"

#include "stack/wire/wire_test.h"

/* Would catch: a type on the wrong side of "may an error be sent about it",
 * among all 256. */
static void test_types(void **state)
{
	for (unsigned type = 0; type < 256; type++) {
		bool request = type == 8 || type == 13 || type == 15 || type == 17;
		bool reply = type == 0 || type == 14 || type == 16 || type == 18;

		assert_int_equal(icmp_is_request((uint8_t)type), request);
		assert_int_equal(icmp_is_query((uint8_t)type), request || reply);
		assert_int_equal(icmp_is_error((uint8_t)type), !request && !reply);
		uint8_t other = icmp_opposite((uint8_t)type);
		assert_int_equal(icmp_opposite(other), type);
		assert_int_equal(other != type, request || reply);
		assert_int_equal(icmp_is_request(other), reply);
	}
	assert_int_equal(icmp_opposite(ICMP_ECHO_REQUEST), ICMP_ECHO_REPLY);
	assert_int_equal(icmp_opposite(ICMP_TIMESTAMP_REPLY), ICMP_TIMESTAMP);
}

struct quote_row {
	const char *what;
	uint8_t type, words; /* words: RFC 4884's length */
	uint8_t first_byte;
	uint8_t proto;
	uint16_t frag, total;
	size_t present; /* bytes behind the ICMP header */
	bool ok;
	size_t len;
};

/* Would catch: a quote read past its end, padding or extensions taken for the
 * packet, a later fragment or a non-error taken for a quote with ports. */
static void test_quotes(void **state)
{
	static const struct quote_row rows[] = {
		{ "udp, the least", 3, 0, 0x45, 17, 0, 100, 28, true, 28 },
		{ "udp, one byte less", 3, 0, 0x45, 17, 0, 100, 27, false, 0 },
		{ "tcp with options before it", 11, 0, 0x47, 6, 0, 100, 60, true, 60 },
		{ "padding behind a short packet", 3, 0, 0x45, 17, 0, 30, 128, true, 30 },
		{ "extensions", 11, 32, 0x45, 17, 0, 500, 148, true, 128 },
		{ "extensions that lie", 11, 250, 0x45, 17, 0, 500, 148, true, 148 },
		{ "too short for extensions", 11, 2, 0x45, 17, 0, 500, 148, true, 148 },
		{ "no extensions in this type", 4, 32, 0x45, 17, 0, 500, 148, true, 148 },
		{ "redirect", 5, 0, 0x45, 6, 0, 40, 40, true, 40 },
		{ "parameter problem", 12, 0, 0x45, 1, 0, 40, 40, true, 40 },
		{ "first fragment", 3, 0, 0x45, 17, 0x2000, 100, 28, true, 28 },
		{ "later fragment", 3, 0, 0x45, 17, 0x2001, 100, 28, false, 0 },
		{ "echo", 8, 0, 0x45, 17, 0, 100, 28, false, 0 },
		{ "unknown type", 40, 0, 0x45, 17, 0, 100, 28, false, 0 },
		{ "IPv6", 3, 0, 0x60, 17, 0, 100, 60, false, 0 },
		{ "no quote", 3, 0, 0x45, 17, 0, 100, 0, false, 0 },
		{ "udp packet of four bytes", 3, 0, 0x45, 17, 0, 24, 28, false, 0 },
		{ "another protocol, bare", 3, 0, 0x45, 47, 0, 20, 20, true, 20 },
		{ "another protocol, four bytes", 3, 0, 0x45, 47, 0, 24, 40, true, 24 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct quote_row *t = &rows[i];
		uint8_t bytes[8 + 160] = { 0 };
		struct icmp_quote q;

		icmp_emit(bytes, t->type, 0, (uint32_t)t->words << 16);
		ipv4_emit(bytes + 8,
			  &(struct ipv4_view){ .src = 1, .dst = 2, .proto = t->proto, .total_len = t->total });
		bytes[8] = t->first_byte;
		bytes[14] = (uint8_t)(t->frag >> 8);
		bytes[15] = (uint8_t)t->frag;
		uint8_t *p = exact_copy(bytes, 8 + t->present);
		if (icmp_quote_parse(p, 8 + t->present, &q) != t->ok)
			fail_msg("%s: not %d", t->what, t->ok);
		if (t->ok && (q.len != t->len || q.ip_offset != 8 || q.l4_offset != 8u + q.ip.header_len))
			fail_msg("%s: %zu bytes at %zu", t->what, q.len, q.l4_offset);
		free(p);
	}
}

/* Would catch: an ICMP header that is cut read whole. */
static void test_short_messages(void **state)
{
	static const uint8_t bytes[8] = { ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE };
	struct icmp_quote q;

	for (size_t len = 0; len <= sizeof(bytes); len++) {
		uint8_t *p = exact_copy(bytes, len);

		assert_false(icmp_quote_parse(p, len, &q));
		free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_short_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
