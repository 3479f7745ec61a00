/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>

#include "stack/socket/socket_fixture.h"
#include "stack/socket/socket_list.h"

#define PORT 7

struct seen {
	uint32_t n_in, n_out, n_gone, bytes;
	char comments[4096]; /* one a line, '<' or '>' before each */
	struct capture_slot capture;
};

static void note(void *ctx, const struct capture_packet *p)
{
	struct seen *s = ctx;
	size_t at = strlen(s->comments);

	*(p->is_out ? &s->n_out : &s->n_in) += 1;
	s->bytes += p->len;
	assert_int_equal(p->bytes[0] >> 4, 4);
	assert_int_equal(p->bytes[2] << 8 | p->bytes[3], p->len);
	if (p->comment != NULL)
		(void)snprintf(s->comments + at, sizeof(s->comments) - at, "%c%s\n", p->is_out ? '>' : '<', p->comment);
}

static void note_gone(void *ctx)
{
	((struct seen *)ctx)->n_gone++;
}

/* Of the socket with that number. */
static void begin(struct host *h, int number, struct seen *s)
{
	struct socket_cursor c = { 0 };
	struct socket_entry e[64];

	memset(s, 0, sizeof(*s));
	s->capture.fn = note;
	s->capture.gone = note_gone;
	s->capture.ctx = s;
	while (!sockets_at_end(&c)) {
		uint32_t n = sockets_list(h->ss, &c, e, 64);

		for (uint32_t i = 0; i < n; i++) {
			if (e[i].number != number)
				continue;
			assert_true(socket_entry_filter(&e[i], &s->capture.filter));
			s->capture.id = e[i].id;
			assert_int_equal(captures_add(sockets_captures(h->ss), &s->capture), 0);
			return;
		}
	}
	fail();
}

static void end(struct host *h, struct seen *s)
{
	captures_remove(sockets_captures(h->ss), &s->capture);
}

static void assert_comment(const struct seen *s, const char *comment)
{
	if (strstr(s->comments, comment) == NULL)
		fail_msg("no %s in:\n%s", comment, s->comments);
}

/* Would catch: packets of others, packets that are missing or there twice, a reset without its reason, an end that is
 * not told, or told of another connection, one that goes on when it was ended. */
static void test_tcp(void **state)
{
	struct net n;
	struct seen s, listener;
	int a[2], b[2];
	char byte;

	net_start(&n);
	int l = host_listener(&n.b, PORT);

	begin(&n.b, l, &listener);
	net_connect(&n, l, PORT, &a[0], &b[0]);
	/* SYN and the last of the handshake's; SYN+ACK, and at times a window update. */
	assert_int_equal(listener.n_in, 2);
	assert_true(listener.n_out >= 1);
	net_connect(&n, l, PORT, &a[1], &b[1]);
	net_run(&n, 10 * NS_PER_MS);
	assert_int_equal(listener.n_in, 4);
	begin(&n.b, b[0], &s);
	assert_int_equal(socket_send(n.a.ss, a[0], "hello", 5, 0), 5);
	assert_int_equal(socket_send(n.a.ss, a[1], "other", 5, 0), 5);
	net_run(&n, 100 * NS_PER_MS);
	assert_int_equal(s.n_in, 1);
	assert_int_equal(s.n_out, 1);
	assert_string_equal(s.comments, "");
	assert_int_equal(s.n_gone, 0);
	/* It is closed with what was not read: a reset, and why. */
	assert_int_equal(socket_close(n.b.ss, b[0]), 0);
	net_run(&n, 10 * NS_PER_MS);
	assert_int_equal(s.n_out, 2);
	assert_comment(&s, ">reset: closed with data that nobody had read");
	assert_int_equal(s.n_gone, 1);
	assert_int_equal(listener.n_gone, 0);
	assert_int_equal(socket_recv(n.b.ss, b[1], &byte, 1, 0), 1);
	assert_int_equal(s.n_in, 1);
	end(&n.b, &s);
	end(&n.b, &listener);
	assert_int_equal(socket_send(n.a.ss, a[1], "other", 5, 0), 5);
	net_run(&n, 100 * NS_PER_MS);
	assert_int_equal(listener.n_in, 6);
	net_end(&n);
}

/* Would catch: what came of a segment not said, or behind what was sent because of it. */
static void test_comments(void **state)
{
	struct net n;
	struct seen s;
	int a, b;
	struct yg_sockaddr_in to = name_of(A_ADDR, 0);
	uint8_t reset[40] = { 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6 };

	net_start(&n);
	int l = host_listener(&n.b, PORT);

	net_connect(&n, l, PORT, &a, &b);
	begin(&n.a, a, &s);
	/* In the window, and not the number that is expected. */
	int r = socket_open(n.b.ss, YG_AF_INET, YG_SOCK_RAW, IPPROTO_NR_RAW);
	struct socket_cursor c = { 0 };
	struct socket_entry e[8];
	uint32_t found = sockets_list(n.a.ss, &c, e, 8);

	assert_int_equal(found, 1);
	ipv4_set_src(reset, B_ADDR);
	ipv4_set_dst(reset, A_ADDR);
	tcp_emit(reset + 20, PORT, e[0].t.local.port, e[0].t.rcv_nxt + 10, 0, TCP_RST, 0);
	l4_checksum_set(&(struct ipv4_view){ .src = B_ADDR, .dst = A_ADDR, .proto = 6 }, reset + 20, 20);
	assert_int_equal(socket_sendto(n.b.ss, r, reset, 40, 0, &to, sizeof(to)), 40);
	net_run(&n, 10 * NS_PER_MS);
	assert_string_equal(s.comments, "<challenge-acks, reset: challenged\n>challenge ACK\n");
	end(&n.a, &s);
	net_end(&n);
}

/* Would catch: datagrams that are not seen, and one that found no room without a word. */
static void test_udp(void **state)
{
	struct net n;
	struct seen s;
	struct yg_sockaddr_in to = name_of(B_ADDR, PORT);
	char bytes[1000] = { 0 };

	net_start(&n);
	int a = host_socket(&n.a, YG_SOCK_DGRAM), b = host_socket(&n.b, YG_SOCK_DGRAM);

	assert_int_equal(host_bind(&n.b, b, 0, PORT), 0);
	assert_int_equal(host_set(&n.b, b, YG_SOL_SOCKET, YG_SO_RCVBUF, 2304), 0);
	begin(&n.b, b, &s);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(socket_sendto(n.a.ss, a, bytes, sizeof(bytes), 0, &to, sizeof(to)), 1000);
	net_run(&n, 10 * NS_PER_MS);
	assert_int_equal(s.n_in, 10);
	assert_int_equal(s.bytes, 10 * 1028);
	assert_comment(&s, "<queue-full\n");
	end(&n.b, &s);
	net_end(&n);
}

/* Would catch: a capture that outlives its socket, or ends with another one; a listener's that ends before the last of
 * its connections. */
static void test_gone(void **state)
{
	struct net n;
	struct seen s[2], of_raw, listener;
	int a, b, other_a, other_b;

	net_start(&n);
	for (int i = 0; i < 2; i++) {
		int u = host_socket(&n.b, YG_SOCK_DGRAM);

		/* Of the same port. */
		assert_int_equal(host_set(&n.b, u, YG_SOL_SOCKET, YG_SO_REUSEPORT, 1), 0);
		assert_int_equal(host_bind(&n.b, u, 0, PORT), 0);
		begin(&n.b, u, &s[i]);
		if (i == 0)
			continue;
		assert_int_equal(socket_close(n.b.ss, u), 0);
		assert_int_equal(s[0].n_gone, 0);
		assert_int_equal(s[1].n_gone, 1);
	}
	int r = socket_open(n.b.ss, YG_AF_INET, YG_SOCK_RAW, IPPROTO_NR_ICMP);

	begin(&n.b, r, &of_raw);
	assert_int_equal(socket_close(n.b.ss, r), 0);
	assert_int_equal(of_raw.n_gone, 1);
	int l = host_listener(&n.b, PORT), other = host_listener(&n.b, PORT + 1);

	net_connect(&n, l, PORT, &a, &b);
	net_connect(&n, other, PORT + 1, &other_a, &other_b);
	begin(&n.b, l, &listener);
	assert_int_equal(socket_close(n.b.ss, l), 0);
	assert_int_equal(socket_close(n.b.ss, other_b), 0);
	assert_int_equal(socket_close(n.a.ss, other_a), 0);
	net_run(&n, NS_PER_S);
	assert_int_equal(listener.n_gone, 0);
	assert_int_equal(socket_close(n.b.ss, b), 0);
	assert_int_equal(socket_close(n.a.ss, a), 0);
	net_run(&n, NS_PER_S);
	assert_int_equal(listener.n_gone, 1);
	assert_true(listener.n_in > 0);
	end(&n.b, &listener);
	/* Of one without connections at once. */
	begin(&n.b, other, &listener);
	assert_int_equal(socket_close(n.b.ss, other), 0);
	assert_int_equal(listener.n_gone, 1);
	end(&n.b, &listener);
	end(&n.b, &of_raw);
	end(&n.b, &s[0]);
	end(&n.b, &s[1]);
	net_end(&n);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_comments),
		cmocka_unit_test(test_udp),
		cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
