/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/ip4.h"
#include "stack/wire/icmp.h"
#include "stack/wire/peek.h"

#define A IP4(10, 0, 0, 1)
#define B IP4(192, 0, 2, 1)

/* An Ethernet frame with an IPv4 header and room behind it; returns where that begins. */
static uint8_t *frame_of(uint8_t *frame, uint8_t proto, uint32_t src, uint32_t dst, uint16_t frag_off, bool mf)
{
	struct ether_view eth = { .type = ETHERTYPE_IPV4 };
	struct ipv4_view ip = { .src = src,
				.dst = dst,
				.proto = proto,
				.ttl = 9,
				.id = 77,
				.frag_off = frag_off,
				.mf = mf,
				.header_len = IPV4_HEADER_LEN,
				.total_len = 60 };

	memset(frame, 0, 128);
	ether_emit(frame, &eth);
	ipv4_emit(frame + ETHER_HEADER_LEN, &ip);
	return frame + ETHER_HEADER_LEN + IPV4_HEADER_LEN;
}

/* Would catch: ports of another protocol, ports read out of a later fragment, a fragment taken for a whole packet. */
static void test_kinds(void **state)
{
	static const struct {
		uint8_t proto;
		uint16_t frag_off;
		bool mf, ports;
		uint8_t kind;
	} rows[] = {
		{ IPPROTO_NR_TCP, 0, false, true, PEEK_FLOW },
		{ IPPROTO_NR_UDP, 0, false, true, PEEK_FLOW },
		{ 47, 0, false, false, PEEK_FLOW },
		{ IPPROTO_NR_UDP, 0, true, true, PEEK_FRAGMENT },
		{ IPPROTO_NR_UDP, 8, true, false, PEEK_FRAGMENT },
		{ IPPROTO_NR_UDP, 800, false, false, PEEK_FRAGMENT },
	};
	uint8_t frame[128];
	struct peek k, plain;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		udp_emit(frame_of(frame, rows[i].proto, A, B, rows[i].frag_off, rows[i].mf), 1000, 2000, 10);
		peek_frame(frame, 74, &k);
		assert_int_equal(k.kind, rows[i].kind);
		assert_int_equal(k.src, A);
		assert_int_equal(k.dst, B);
		assert_int_equal(k.sport, rows[i].ports ? 1000 : 0);
		assert_int_equal(k.dport, rows[i].ports ? 2000 : 0);
		assert_int_equal(k.frag_off, rows[i].frag_off);
		assert_int_equal(k.frag_id, 77);
		/* The quick look says the same, or nothing. */
		bool is_plain = peek_plain(frame, 74, &plain);
		assert_int_equal(is_plain, rows[i].ports && !rows[i].mf);
		if (is_plain)
			assert_true(plain.src == k.src && plain.dst == k.dst && plain.sport == k.sport &&
				    plain.dport == k.dport && plain.proto == k.proto);
	}
}

/* Would catch: a ping without its identifier, an error that goes by its sender and not by what it quotes. */
static void test_icmp(void **state)
{
	uint8_t frame[128], quoted[128];
	struct peek k;

	icmp_emit(frame_of(frame, IPPROTO_NR_ICMP, A, B, 0, false), ICMP_ECHO_REQUEST, 0, 0x12340001);
	peek_frame(frame, 74, &k);
	assert_int_equal(k.sport, 0x1234);
	assert_int_equal(k.dport, ICMP_ECHO_REQUEST << 8);

	udp_emit(frame_of(quoted, IPPROTO_NR_UDP, A, B, 0, false), 1000, 2000, 10);
	uint8_t *l4 = frame_of(frame, IPPROTO_NR_ICMP, IP4(9, 9, 9, 9), A, 0, false);
	icmp_emit(l4, ICMP_TIME_EXCEEDED, 0, 0);
	memcpy(l4 + ICMP_HEADER_LEN, quoted + ETHER_HEADER_LEN, 28);
	peek_frame(frame, 74, &k);
	assert_int_equal(k.kind, PEEK_FLOW);
	assert_int_equal(k.src, B);
	assert_int_equal(k.dst, A);
	assert_int_equal(k.sport, 2000);
	assert_int_equal(k.dport, 1000);
	assert_int_equal(k.proto, IPPROTO_NR_UDP);
	assert_int_equal(k.outer_src, IP4(9, 9, 9, 9));
}

/* Would catch: a read behind the frame's end (under the sanitizers), a header that lies. */
static void test_short(void **state)
{
	uint8_t whole[128];
	struct peek k;

	udp_emit(frame_of(whole, IPPROTO_NR_UDP, A, B, 0, false), 1000, 2000, 10);
	for (size_t len = 0; len < 74; len++) {
		uint8_t cut[128];
		memcpy(cut, whole, len);
		peek_frame(cut, len, &k);
		assert_int_equal(k.kind, len < ETHER_HEADER_LEN + IPV4_HEADER_LEN ? PEEK_OTHER : PEEK_FLOW);
		assert_int_equal(peek_plain(cut, len, &k), len >= ETHER_HEADER_LEN + IPV4_HEADER_LEN + 8);
	}
	for (unsigned b = 0; b < 256; b++) {
		whole[ETHER_HEADER_LEN] = (uint8_t)b;
		peek_frame(whole, 74, &k);
		assert_int_equal(k.kind, b >> 4 == 4 && (b & 15) >= 5 ? PEEK_FLOW : PEEK_OTHER);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_icmp),
		cmocka_unit_test(test_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
