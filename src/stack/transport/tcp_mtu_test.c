/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Paths that swallow what is too large and say nothing (RFC 4821).
 */
#include "stack/transport/tcp_flow.h"

static bool swallow(struct host *h, struct packet *p)
{
	return p->len <= ETHER_HEADER_LEN + *(uint32_t *)h->filter_ctx;
}

static void open_both(struct net *n, struct tcp_listener **l, struct flow *f)
{
	net_start(n);
	*l = host_listen(&n->b, SERVICE);
	memset(f, 0, sizeof(*f));
	f->from = &n->a;
	f->to = &n->b;
	net_connect(n, *l, &f->out, &f->in);
}

static void close_both(struct net *n, struct tcp_listener *l, struct flow *f)
{
	tcp_close(n->a.tcp, f->out);
	tcp_close(n->b.tcp, f->in);
	net_run(n, 300 * NS_PER_S);
	tcp_unlisten(n->b.tcp, l);
	net_end(n);
}

/* Would catch: a connection that hangs on such a path, or gets through by segments much smaller than it takes. */
static void test_black_hole(void **state)
{
	static const struct {
		uint32_t mtu, mss, steps;
	} rows[] = { { 1100, 1100 - 52, 1 }, { 700, 700 - 52, 2 }, { 100, 100 - 52, 6 } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct net n;
		struct flow f;
		struct tcp_listener *l;
		uint32_t mtu = rows[i].mtu;

		open_both(&n, &l, &f);
		n.b.filter = swallow;
		n.b.filter_ctx = &mtu;
		f.total = 100000;
		carry(&n, &f, 300 * NS_PER_S);
		assert_true(f.out->mss <= rows[i].mss);
		assert_int_equal(n.a.tcp->counts[TCP_COUNT_BLACK_HOLES], rows[i].steps);
		close_both(&n, l, &f);
	}
}

/* Would catch: a path that could do more again and is never asked. */
static void test_raised(void **state)
{
	struct net n;
	struct flow f;
	struct tcp_listener *l;
	uint32_t mtu = 700;

	open_both(&n, &l, &f);
	uint16_t whole = f.out->mss;

	n.b.filter = swallow;
	n.b.filter_ctx = &mtu;
	f.total = 50000;
	f.keep_open = true;
	carry(&n, &f, 60 * NS_PER_S);
	assert_true(f.out->mss + 52u <= mtu);
	mtu = 1500;
	net_run(&n, 601 * NS_PER_S);
	/* The next one is whole, whatever was swallowed before. */
	f.total += 50000;
	carry(&n, &f, 60 * NS_PER_S);
	assert_int_equal(f.out->mss, whole);
	close_both(&n, l, &f);
}

/* Would catch: a search that does not come close to what the path takes, or goes beyond it; a probe whose loss costs a
 * timeout, or window, as if it was congestion; bytes of one that arrive twice, or never. */
static void test_search(void **state)
{
	for (uint32_t mtu = 1080; mtu <= 1490; mtu += 37) {
		struct net n;
		struct flow f;
		struct tcp_listener *l;
		uint32_t takes = mtu;

		open_both(&n, &l, &f);
		n.b.filter = swallow;
		n.b.filter_ctx = &takes;
		f.total = 20000;
		f.keep_open = true;
		carry(&n, &f, 60 * NS_PER_S);
		const uint64_t *counts = n.a.tcp->counts;
		uint64_t n_timeouts = counts[TCP_COUNT_RTOS], n_recoveries = counts[TCP_COUNT_RECOVERIES];

		f.total += 1000000;
		carry(&n, &f, 60 * NS_PER_S);
		assert_in_range(f.out->mss + 52u, mtu - 16, mtu);
		assert_int_equal(counts[TCP_COUNT_RTOS], n_timeouts);
		assert_int_equal(counts[TCP_COUNT_RECOVERIES], n_recoveries);
		close_both(&n, l, &f);
	}
}

/* Would catch: a peer that is gone taken for a narrow path. */
static void test_nobody(void **state)
{
	struct net n;
	struct flow f;
	struct tcp_listener *l;
	uint32_t mtu = 0;

	open_both(&n, &l, &f);
	uint16_t whole = f.out->mss;

	n.b.filter = swallow;
	n.b.filter_ctx = &mtu;
	assert_int_equal(host_send(&n.a, f.out, "hello", 5), 5);
	net_run(&n, 60 * NS_PER_S);
	assert_int_equal(f.out->mss, whole);
	assert_int_equal(n.a.tcp->counts[TCP_COUNT_BLACK_HOLES], 0);
	mtu = 1500;
	close_both(&n, l, &f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_black_hole),
		cmocka_unit_test(test_raised),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
