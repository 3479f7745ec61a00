/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Initial sequence numbers (RFC 6528), by themselves and as they stand in a SYN+ACK.
 */
#include "stack/transport/tcp_script.h"

#define TUPLES 1000000u
#define VALUES 256u
/* Chi-square with 255 degrees of freedom has mean 255 and a deviation of 22.6: six of them to either side. */
#define CHI_LEAST 119.0
#define CHI_MOST 391.0

static struct tcp_node tuple(uint32_t i)
{
	/* As scanners and NATs have them: one after the other. */
	return (struct tcp_node){
		.laddr = B_ADDR, .raddr = A_ADDR + i / 50000, .lport = SERVICE, .rport = (uint16_t)(1024 + i % 50000)
	};
}

/* Would catch: a clock of another speed, one that stands or jumps between two of its ticks, a hash that the time is in.
 */
static void test_rate(void **state)
{
	struct tcp_node n = tuple(1);
	struct script s;

	script_start(&s, NULL);
	uint64_t begin = s.now / 4000 * 4000;

	s.h.env.now = begin;
	uint32_t first = tcp_isn(s.h.tcp, &n);

	for (uint32_t i = 0; i <= 250000; i++) {
		s.h.env.now = begin + i * UINT64_C(4000) + i % 4000;
		assert_int_equal(tcp_isn(s.h.tcp, &n), first + i);
	}
	script_end(&s);
}

/* Would catch: a byte of the numbers of different tuples that can be guessed: one that is the same for many, counts, or
 * is more often one value than another. */
static void test_uniform(void **state)
{
	static uint32_t seen[4][VALUES];
	struct script s;

	script_start(&s, NULL);
	memset(seen, 0, sizeof(seen));
	for (uint32_t i = 0; i < TUPLES; i++) {
		struct tcp_node n = tuple(i);
		uint32_t secret = tcp_isn(s.h.tcp, &n) - (uint32_t)(s.h.env.now / 4000);

		for (uint32_t k = 0; k < 4; k++)
			seen[k][secret >> 8 * k & 255]++;
	}
	for (uint32_t k = 0; k < 4; k++) {
		double expected = (double)TUPLES / VALUES, chi = 0;

		for (uint32_t i = 0; i < VALUES; i++)
			chi += (seen[k][i] - expected) * (seen[k][i] - expected) / expected;
		if (chi < CHI_LEAST || chi > CHI_MOST)
			fail_msg("byte %u: chi-square %.1f", k, chi);
	}
	script_end(&s);
}

/* Would catch: a listener that gives other numbers than these. */
static void test_on_the_wire(void **state)
{
	const struct seen *o;
	struct script s;

	script_start(&s, NULL);
	script_listen(&s);
	for (uint32_t i = 0; i < 4; i++) {
		script_in(&s, &(struct in){ .flags = TCP_SYN });
		o = script_out(&s);
		assert_non_null(o);
		assert_int_equal(o->flags, TCP_SYN | TCP_ACK);
		/* They count from the first one. */
		assert_int_equal(o->seq, i * 250000);
		script_in(&s, &(struct in){ .flags = TCP_RST, .seq = 1 });
		assert_int_equal(s.h.tcp->half_open.n_used, 0);
		script_wait(&s, NS_PER_S);
	}
	/* Another tuple's has nothing to do with them. */
	script_in(&s, &(struct in){ .flags = TCP_SYN, .sport = PEER_PORT + 1 });
	o = script_out(&s);
	assert_non_null(o);
	assert_false(o->seq < 1u << 24 || o->seq > 0u - (1u << 24));
	script_end(&s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_rate), cmocka_unit_test(test_uniform),
						   cmocka_unit_test(test_on_the_wire) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
