/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Signed segments (RFC 2385): two hosts with keys, with other keys, and with none. That the
 * digest is what others make of it, tests/transport/kernel_netns_test.c says.
 */
#include "stack/transport/tcp_flow.h"
#include "stack/transport/tcp_md5.h"
#include "stack/transport/tcp_script.h"

static struct tcp_md5 key_of(const char *key, uint32_t addr, uint8_t prefix_len)
{
	return (struct tcp_md5){
		.addr = addr, .prefix_len = prefix_len, .len = (uint8_t)strlen(key), .key = (const uint8_t *)key
	};
}

static uint32_t n_signed, n_unsigned;

static bool count_signed(struct host *h, struct packet *p)
{
	const uint8_t *l3 = packet_frame(p) + ETHER_HEADER_LEN;
	struct tcp_options o;
	struct ipv4_view ip;
	struct l4_view v;

	if (packet_frame(p)[12] != 8 || packet_frame(p)[13] != 0)
		return true;
	assert_int_equal(ipv4_parse(l3, p->len - ETHER_HEADER_LEN, &ip), IPV4_OK);
	assert_int_equal(l4_parse(&ip, l3 + ip.header_len, ip.total_len - ip.header_len, &v), L4_OK);
	assert_true(tcp_options_parse(l3 + ip.header_len, &v, &o));
	*(o.md5 != NULL ? &n_signed : &n_unsigned) += 1;
	return true;
}

static struct tcp_conn *connect_with(struct host *h, const struct tcp_md5 *m)
{
	struct tcp_conn *c = tcp_open(h->tcp, 2);
	struct tcp_end local = { 0 }, remote = { ip_addr_v4(B_ADDR), SERVICE };

	if (m != NULL)
		assert_int_equal(tcp_set_md5(h->tcp, c, m), 0);
	assert_int_equal(tcp_connect(h->tcp, c, 0, &local, &remote), -EINPROGRESS);
	ip_flush(h->ip);
	return c;
}

static struct tcp_listener *listen_with(struct host *h, const struct tcp_md5 *m)
{
	struct tcp_listener *l = host_listen(h, SERVICE);

	if (m != NULL)
		assert_int_equal(tcp_listener_set_md5(h->tcp, l, m), 0);
	return l;
}

static void end(struct net *n, struct tcp_listener *l)
{
	net_run(n, 200 * NS_PER_S);
	tcp_unlisten(n->b.tcp, l);
	assert_int_equal(n->a.tcp->conns.n_used + n->b.tcp->conns.n_used, 0);
	assert_int_equal(n->a.tcp->md5_keys.n_used + n->b.tcp->md5_keys.n_used, 0);
	assert_int_equal(n->a.tcp->rares.n_used + n->b.tcp->rares.n_used, 0);
	net_end(n);
}

/* Would catch: a segment without its signature: of the handshake, with data and SACK on a path that loses, of the end,
 * from TIME_WAIT; a key that is left behind. */
static void test_life(void **state)
{
	struct memwire_config wire = { .delay_ns = 5 * NS_PER_MS, .queue_packets = 2000, .loss_ppm = 20000 };
	struct net n;
	struct tcp_md5 m = key_of("open sesame", B_ADDR, 32), of_a = key_of("open sesame", A_ADDR, 32);

	net_start_with(&n, &wire, NULL, NULL);
	n_signed = n_unsigned = 0;
	n.a.filter = n.b.filter = count_signed;
	struct tcp_listener *l = listen_with(&n.b, &of_a);
	struct tcp_conn *a = connect_with(&n.a, &m);

	while (!tcp_acceptable(l))
		net_run(&n, NS_PER_MS);
	struct tcp_conn *b = tcp_accept(n.b.tcp, l, 3);
	struct flow f = { .from = &n.a, .to = &n.b, .out = a, .in = b, .total = 300000 };

	carry(&n, &f, 60 * NS_PER_S);
	assert_true(a->sack_ok);
	assert_false(a->ts_ok);
	/* What a listener's keys become later is not its connections' business. */
	of_a.len = 0;
	assert_int_equal(tcp_listener_set_md5(n.b.tcp, l, &of_a), 0);
	assert_int_equal(tcp_listener_set_md5(n.b.tcp, l, &of_a), -ENOENT);
	struct flow back = { .from = &n.b, .to = &n.a, .out = b, .in = a, .total = 100000 };

	carry(&n, &back, 60 * NS_PER_S);
	tcp_close(n.b.tcp, b);
	tcp_close(n.a.tcp, a);
	net_run(&n, NS_PER_S);
	assert_int_equal(n.a.tcp->time_wait.n_used, 1);
	assert_int_equal(n.a.tcp->md5_keys.n_used, 1);
	assert_int_equal(n_unsigned, 0);
	assert_true(n_signed > 300);
	end(&n, l);
}

/* Would catch: a connection between ends of which not both have the key; a drop that is not named. */
static void test_refused(void **state)
{
	static const struct {
		const char *a, *b;
		enum drop_reason at_b;
	} rows[] = {
		{ "right", "wrong", DROP_TCP_MD5_WRONG },
		{ NULL, "key", DROP_TCP_MD5_MISSING },
		{ "key", NULL, DROP_TCP_MD5_UNEXPECTED },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct net n;
		struct tcp_md5 ka = { 0 }, kb = { 0 };

		if (rows[i].a != NULL)
			ka = key_of(rows[i].a, B_ADDR, 32);
		if (rows[i].b != NULL)
			kb = key_of(rows[i].b, A_ADDR, 32);
		net_start(&n);
		struct tcp_listener *l = listen_with(&n.b, rows[i].b != NULL ? &kb : NULL);
		struct tcp_conn *a = connect_with(&n.a, rows[i].a != NULL ? &ka : NULL);

		net_run(&n, 10 * NS_PER_S);
		assert_int_equal(tcp_state(a), TCP_SYN_SENT);
		assert_false(tcp_acceptable(l));
		assert_true(n.b.env.ledger.n_dropped[rows[i].at_b] >= 3);
		assert_int_equal(n.b.tcp->counts[TCP_COUNT_OUT_SEGMENTS], 0);
		tcp_close(n.a.tcp, a);
		end(&n, l);
	}
	/* To a port where nobody is: no reset, which could not be signed. */
	struct net n;
	struct tcp_md5 m = key_of("key", B_ADDR, 32);

	net_start(&n);
	struct tcp_listener *l = host_listen(&n.b, SERVICE + 1);
	struct tcp_conn *a = connect_with(&n.a, &m);

	net_run(&n, 10 * NS_PER_S);
	assert_int_equal(tcp_state(a), TCP_SYN_SENT);
	tcp_close(n.a.tcp, a);
	end(&n, l);
}

/* Would catch: a segment that somebody makes up and that ends or changes a signed connection. */
static void test_forged(void **state)
{
	struct script s;
	struct tcp_md5 m = key_of("key", A_ADDR, 32);

	script_start(&s, NULL);
	script_accept(&s, NULL, 0);
	uint32_t mss = s.c->mss;

	assert_int_equal(tcp_set_md5(s.h.tcp, s.c, &m), 0);
	assert_int_equal(s.c->mss, mss - 20);
	script_in(&s, &(struct in){ .flags = TCP_RST, .seq = 1 });
	script_in(&s, &(struct in){ .flags = TCP_SYN, .seq = 1 });
	script_in(&s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1, .len = 10 });
	assert_int_equal(tcp_state(s.c), TCP_ESTABLISHED);
	assert_int_equal(tcp_unread(s.c), 0);
	assert_null(script_out(&s));
	assert_int_equal(s.h.env.ledger.n_dropped[DROP_TCP_MD5_MISSING], 3);
	tcp_abort(s.h.tcp, s.c);
	script_end(&s);
}

/* Would catch: a key of a prefix that is not found, or found before one that fits better. */
static void test_prefixes(void **state)
{
	struct net n;
	const struct tcp_md5 wide = key_of("wide", IP4(10, 0, 0, 0), 8), near = key_of("near", IP4(10, 0, 0, 77), 24),
			     all = key_of("all", 0, 0), mine = key_of("near", B_ADDR, 32),
			     bad = key_of("wide", B_ADDR, 32);

	net_start(&n);
	struct tcp_listener *l = listen_with(&n.b, &wide);

	assert_int_equal(tcp_listener_set_md5(n.b.tcp, l, &near), 0);
	assert_int_equal(tcp_listener_set_md5(n.b.tcp, l, &all), 0);
	struct tcp_conn *a = connect_with(&n.a, &mine), *o = connect_with(&n.a, &bad);

	net_run(&n, NS_PER_S);
	assert_int_equal(tcp_state(a), TCP_ESTABLISHED);
	assert_int_equal(tcp_state(o), TCP_SYN_SENT);
	assert_int_equal(n.b.tcp->md5_keys.n_used, 4);
	tcp_abort(n.a.tcp, a);
	tcp_close(n.a.tcp, o);
	net_run(&n, NS_PER_S);
	struct tcp_conn *b = tcp_accept(n.b.tcp, l, 3);

	/* The reset was signed, and believed. */
	assert_int_equal(tcp_take_error(b), ECONNRESET);
	tcp_close(n.b.tcp, b);
	end(&n, l);
}

/* A host that was started anew knows nothing of its connections. Would catch: a peer that never learns of it. */
static void test_restart(void **state)
{
	struct net n;
	struct tcp_md5 m = key_of("key", B_ADDR, 32), of_a = key_of("key", A_ADDR, 32);

	net_start(&n);
	struct tcp_listener *l = listen_with(&n.b, &of_a);
	struct tcp_conn *a = connect_with(&n.a, &m);

	net_run(&n, NS_PER_S);
	struct tcp_conn *b = tcp_accept(n.b.tcp, l, 3);

	tcp_conn_end(n.b.tcp, b, TCP_REASON_NONE, 0);
	assert_int_equal(host_send(&n.a, a, "hello", 5), 5);
	net_run(&n, NS_PER_S);
	assert_int_equal(tcp_take_error(a), ECONNRESET);
	tcp_close(n.a.tcp, a);
	tcp_close(n.b.tcp, b);
	end(&n, l);
}

/* Would catch: a pool of keys that has no end, or a connection that goes on without its key when it is empty. */
static void test_no_keys_left(void **state)
{
	const struct tcp_limits limits = { .n_connections = 16, .n_half_open = 16, .n_time_wait = 16, .n_md5_keys = 2 };
	struct net n;
	struct tcp_md5 m = key_of("key", B_ADDR, 32), of_a = key_of("key", A_ADDR, 32), more = key_of("x", A_ADDR, 16);

	net_start(&n);
	tcp_destroy(n.b.tcp);
	n.b.tcp = tcp_create(&n.b.env, n.b.ip, &limits, NULL);
	struct tcp_listener *l = listen_with(&n.b, &of_a);

	assert_int_equal(tcp_listener_set_md5(n.b.tcp, l, &more), 0);
	more.prefix_len = 8;
	assert_int_equal(tcp_listener_set_md5(n.b.tcp, l, &more), -ENOMEM);
	struct tcp_conn *a = connect_with(&n.a, &m);

	net_run(&n, NS_PER_S);
	assert_false(tcp_acceptable(l));
	assert_true(n.b.tcp->counts[TCP_COUNT_LISTEN_OVERFLOWED] > 0);
	more.prefix_len = 16;
	more.len = 0;
	assert_int_equal(tcp_listener_set_md5(n.b.tcp, l, &more), 0);
	net_run(&n, 4 * NS_PER_S);
	assert_true(tcp_acceptable(l));
	tcp_abort(n.a.tcp, a);
	net_run(&n, NS_PER_S);
	tcp_close(n.b.tcp, tcp_accept(n.b.tcp, l, 3));
	end(&n, l);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),     cmocka_unit_test(test_refused), cmocka_unit_test(test_forged),
		cmocka_unit_test(test_prefixes), cmocka_unit_test(test_restart), cmocka_unit_test(test_no_keys_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
