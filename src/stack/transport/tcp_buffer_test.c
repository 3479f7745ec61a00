/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Buffers of every size: powers of two from 1 KB to 64 MB, one less and one more.
 */
#include "stack/transport/tcp_flow.h"

#define FIRST 10u
#define LAST 26u
#define BYTES (1u << 20)

/* 1 MB from a to b, whose buffers are that large. */
static void carry_by(uint32_t sndbuf, uint32_t rcvbuf)
{
	static const struct memwire_config wire = { .delay_ns = 100 * NS_PER_US, .queue_packets = 4096 };
	struct tcp_config cfg = tcp_default_config;
	struct tcp_conn *a, *b;
	struct net n;

	cfg.sndbuf = cfg.sndbuf_max = sndbuf;
	cfg.rcvbuf = cfg.rcvbuf_max = rcvbuf;
	net_start_with(&n, &wire, &cfg, &cfg);
	struct tcp_listener *l = host_listen(&n.b, SERVICE);

	net_connect(&n, l, &a, &b);
	struct flow f = { .from = &n.a, .to = &n.b, .out = a, .in = b, .total = BYTES, .write_size = 4096 };

	/* However small they are: some segments a delayed acknowledgement. */
	uint64_t took = carry(&n, &f, 600 * NS_PER_S);

	if (sndbuf >= 1 << 16 && rcvbuf >= 1 << 16) {
		assert_true(took < 2 * NS_PER_S);
		assert_int_equal(n.a.tcp->counts[TCP_COUNT_RETRANSMITTED], 0);
	}
	tcp_close(n.a.tcp, a);
	tcp_close(n.b.tcp, b);
	net_run(&n, 100 * NS_PER_S);
	assert_int_equal(n.a.tcp->conns.n_used + n.b.tcp->conns.n_used, 0);
	tcp_unlisten(n.b.tcp, l);
	net_end(&n);
}

/* Would catch: a size whose window cannot be said, is said as none, or comes to a stop (smoltcp PR#253). */
static void test_receive_buffers(void **state)
{
	for (uint32_t n = FIRST; n <= LAST; n++)
		for (uint32_t d = 0; d < 3; d++)
			carry_by(1 << 18, (1u << n) - 1 + d);
}

static void test_send_buffers(void **state)
{
	for (uint32_t n = FIRST; n <= LAST; n++)
		for (uint32_t d = 0; d < 3; d++)
			carry_by((1u << n) - 1 + d, 1 << 18);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_receive_buffers),
		cmocka_unit_test(test_send_buffers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
