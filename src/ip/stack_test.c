/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The packet's way through the IP layer: frames in, frames out or a drop by
 * name, and the law of conservation behind each.
 */
#include "ip/stack_bench.h"

/* Would catch: a forwarded packet with a wrong TTL, checksum, MAC or interface. */
static void test_forward(void **state)
{
	struct bench *b = bench_create_settled();

	bench_input_spec(b, &(struct spec){.src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_UDP, .payload = 100,
					   .sport = 5000, .dport = 53});
	assert_int_equal(bench_n_sent(b), 1);
	struct seen v = bench_seen(b, WAN, 0);
	struct ether_addr router = mac_of_host(ROUTER);

	assert_memory_equal(&v.eth.dst, &router, 6);
	assert_int_equal(v.ip.ttl, 63);
	assert_int_equal(v.ip.src, LAN_HOST);
	assert_int_equal(v.ip.dst, FAR);
	assert_int_equal(v.l4.dport, 53);
	bench_destroy(b);
}

/* Would catch: a ping to us that is not answered from the address it asked. */
static void test_echo(void **state)
{
	struct bench *b = bench_create_settled();

	bench_input_spec(b, &(struct spec){.src = LAN_HOST, .dst = WAN_US, .proto = IPPROTO_NR_ICMP,
					   .icmp_type = ICMP_ECHO_REQUEST, .payload = 56});
	struct seen v = bench_seen(b, LAN, 0);

	assert_int_equal(v.ip.src, WAN_US);
	assert_int_equal(v.ip.dst, LAN_HOST);
	assert_int_equal(v.l4.type, ICMP_ECHO_REPLY);
	assert_int_equal(v.l4.info, 0x12340001);
	assert_int_equal(v.l4.payload_len, 56);
	assert_int_equal(b->env.ledger.n_delivered, 1);
	bench_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_forward),
	    cmocka_unit_test(test_echo),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
