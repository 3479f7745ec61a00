/* SPDX-License-Identifier: BSD-2-Clause */
#include "stack/wire/pptp.h"

#include "stack/wire/bytes.h"
#include "stack/wire/wire_test.h"

static void make(uint8_t *p, uint16_t type, uint16_t len)
{
	memset(p, 0, 64);
	bytes_put16(p, len);
	bytes_put16(p + 2, 1);
	bytes_put32(p + 4, 0x1a2b3c4d);
	bytes_put16(p + 8, type);
	bytes_put16(p + 12, 0x1111);
	bytes_put16(p + 14, 0x2222);
	p[16] = 1;
}

static bool parse_exact(const uint8_t *bytes, size_t len, struct pptp_message *m)
{
	uint8_t *p = exact_copy(bytes, len);
	bool ok = pptp_parse(p, len, m);

	free(p);
	return ok;
}

/* Would catch: a number of the call read or written where another stands, a message read past its end. */
static void test_messages(void **state)
{
	static const struct {
		uint16_t type, least;
		uint16_t own, peer; /* 0: has none */
	} rows[] = {
		{ PPTP_OUTGOING_CALL_REQUEST, 16, 0x1111, 0 },
		{ PPTP_OUTGOING_CALL_REPLY, 32, 0x1111, 0x2222 },
		{ PPTP_INCOMING_CALL_REQUEST, 16, 0x1111, 0 },
		{ PPTP_INCOMING_CALL_REPLY, 24, 0x1111, 0x2222 },
		{ PPTP_INCOMING_CALL_CONNECTED, 16, 0, 0x1111 },
		{ PPTP_CALL_CLEAR_REQUEST, 16, 0x1111, 0 },
		{ PPTP_CALL_DISCONNECT_NOTIFY, 16, 0x1111, 0 },
		{ PPTP_WAN_ERROR_NOTIFY, 16, 0, 0x1111 },
		{ PPTP_SET_LINK_INFO, 16, 0, 0x1111 },
		{ 1, 12, 0, 0 },
		{ 5, 12, 0, 0 },
		{ 4000, 12, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t p[64], before[64];
		struct pptp_message m, again;

		make(p, rows[i].type, rows[i].least);
		for (size_t len = 0; len < rows[i].least; len++)
			assert_false(parse_exact(p, len, &m));
		assert_true(parse_exact(p, rows[i].least, &m));
		assert_int_equal(m.len, rows[i].least);
		assert_true(m.has_own == (rows[i].own != 0) && m.has_peer == (rows[i].peer != 0));
		assert_true(m.own == rows[i].own && m.peer == rows[i].peer);
		memcpy(before, p, sizeof(p));
		uint16_t check = naive_checksum(0, p, sizeof(p));
		uint32_t delta = pptp_write(p, &m, 0x3333, 0x4444);
		uint32_t sum = (uint32_t)(uint16_t)~check + delta;
		sum = (sum >> 16) + (sum & 0xffff);
		sum = (sum >> 16) + (sum & 0xffff);
		assert_int_equal((uint16_t)~sum % 0xffff, naive_checksum(0, p, sizeof(p)) % 0xffff);
		assert_true(parse_exact(p, rows[i].least, &again));
		assert_true(again.own == (m.has_own ? 0x3333 : 0) && again.peer == (m.has_peer ? 0x4444 : 0));
		(void)pptp_write(p, &m, rows[i].own, rows[i].peer);
		assert_memory_equal(p, before, sizeof(p));
	}
}

/* Would catch: something else on port 1723 taken for a message, a call that was refused taken for one that stands. */
static void test_others(void **state)
{
	uint8_t p[64];
	struct pptp_message m;

	(void)state;
	make(p, PPTP_OUTGOING_CALL_REPLY, 32);
	assert_true(pptp_parse(p, sizeof(p), &m) && m.connected);
	p[16] = 2;
	assert_true(pptp_parse(p, sizeof(p), &m) && !m.connected);
	make(p, PPTP_OUTGOING_CALL_REPLY, 65);
	assert_false(pptp_parse(p, sizeof(p), &m));
	make(p, PPTP_OUTGOING_CALL_REPLY, 31);
	assert_false(pptp_parse(p, sizeof(p), &m));
	make(p, PPTP_OUTGOING_CALL_REPLY, 32);
	p[7] = 0;
	assert_false(pptp_parse(p, sizeof(p), &m));
	make(p, PPTP_OUTGOING_CALL_REPLY, 32);
	p[3] = 2; /* a management message */
	assert_false(pptp_parse(p, sizeof(p), &m));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_messages), cmocka_unit_test(test_others) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
