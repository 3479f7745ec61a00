/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The builder that the other tests take their packets from.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/ip4.h"
#include "base/util.h"
#include "stack/packet/packet_fixture.h"
#include "stack/wire/bytes.h"

#define FROM IP4(10, 0, 0, 2)
#define TO IP4(198, 51, 100, 7)

static uint8_t bytes[PACKET_BUILD_MAX];

static void parse(uint32_t len, struct ipv4_view *ip, struct l4_view *l4)
{
	assert_int_equal(ipv4_parse(bytes, len, ip), IPV4_OK);
	assert_int_equal(ip->total_len, len);
	assert_int_equal(l4_parse(ip, bytes + ip->header_len, len - ip->header_len, l4), L4_OK);
}

/* Would catch: a protocol whose packet is not right when nothing is said about it. */
static void test_right(void **state)
{
	static const uint8_t options[4] = { 1, 1, 1, 0 };
	static const uint8_t protos[] = { IPPROTO_NR_TCP,     IPPROTO_NR_UDP,  IPPROTO_NR_ICMP, IPPROTO_NR_SCTP,
					  IPPROTO_NR_UDPLITE, IPPROTO_NR_DCCP, IPPROTO_NR_GRE,  IPPROTO_NR_ESP };
	struct ipv4_view ip;
	struct l4_view l4;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
		for (uint16_t n = 0; n < 40; n = (uint16_t)(n + 13)) {
			struct packet_spec s = { .src = FROM,
						 .dst = TO,
						 .proto = protos[i],
						 .sport = 4000,
						 .dport = 53,
						 .type = ICMP_ECHO_REQUEST,
						 .id = 9,
						 .payload_len = n,
						 .ip_options = options,
						 .ip_options_len = i % 2 == 0 ? 4 : 0,
						 .tcp_options = options,
						 .tcp_options_len = n != 0 ? 4 : 0 };

			parse(packet_build(&s, bytes), &ip, &l4);
			assert_true(ip.src == FROM && ip.dst == TO && ip.ttl == 64 && !ipv4_is_fragment(&ip));
			assert_true(l4_checksum_ok(&ip, bytes + ip.header_len, ip.total_len - (size_t)ip.header_len));
			if (l4_has_ports(protos[i]))
				assert_true(l4.sport == 4000 && l4.dport == 53);
			if (n > 2)
				assert_int_equal(bytes[ip.total_len - 1], n - 1);
		}
	}
}

/* Would catch: a field that is not as it was given, or that makes another one wrong. */
static void test_given(void **state)
{
	struct packet_spec s = { .src = FROM, .dst = TO, .proto = IPPROTO_NR_UDP, .payload_len = 4 };
	struct ipv4_view ip;
	struct l4_view l4;

	(void)state;
	s.l4_check = PACKET_FIELD(0);
	parse(packet_build(&s, bytes), &ip, &l4);
	assert_int_equal(l4.check, 0);
	s.l4_check.given = false;
	s.bad_check = true;
	parse(packet_build(&s, bytes), &ip, &l4);
	assert_false(l4_checksum_ok(&ip, bytes + 20, 12));
	s.udp_len = PACKET_FIELD(99);
	(void)packet_build(&s, bytes);
	assert_int_equal(bytes_get16(bytes + 24), 99);
	assert_int_equal(ipv4_parse(bytes, 32, &ip), IPV4_OK);
	s.total_len = PACKET_FIELD(40);
	assert_int_equal(packet_build(&s, bytes), 32);
	assert_int_equal(ipv4_parse(bytes, 40, &ip), IPV4_OK);
	assert_int_equal(ip.total_len, 40);
	s.version_ihl = PACKET_FIELD(0x65);
	(void)packet_build(&s, bytes);
	assert_int_equal(ipv4_parse(bytes, 40, &ip), IPV4_VERSION);
	s.version_ihl.given = false;
	s.ip_check = PACKET_FIELD(0x1234);
	(void)packet_build(&s, bytes);
	assert_int_equal(ipv4_parse(bytes, 40, &ip), IPV4_CHECKSUM);
}

/* Would catch: fragments of a datagram that are not, together, the datagram. */
static void test_cut(void **state)
{
	static uint8_t whole[2000], piece[600];
	struct packet_spec s = {
		.src = FROM, .dst = TO, .proto = IPPROTO_NR_TCP, .sport = 1, .dport = 2, .payload_len = 1400
	};
	uint32_t len = packet_build(&s, whole), n = 0;
	struct ipv4_view ip;

	(void)state;
	for (s.cut = 504; n < len - 20; s.frag_off = (uint16_t)n) {
		s.mf = n + s.cut < len - 20;
		uint32_t got = packet_build(&s, piece);

		assert_int_equal(ipv4_parse(piece, got, &ip), IPV4_OK);
		assert_true(ip.frag_off == n && ip.mf == s.mf);
		assert_memory_equal(piece + 20, whole + 20 + n, got - 20);
		n += got - 20;
	}
	assert_int_equal(n, len - 20);
	/* One by itself is payload only. */
	s.cut = 0;
	s.frag_off = 64;
	s.payload_len = 10;
	assert_int_equal(packet_build(&s, bytes), 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right),
		cmocka_unit_test(test_given),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
