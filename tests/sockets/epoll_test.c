/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The same random program on the kernel's sockets and on ours, over loopback: every call
 * gives the same result, and every epoll_wait the same events in the same order (scenario D15).
 *
 *   epoll_test [SEED [CALLS]]
 *
 * Ours run on a virtual clock. The kernel is waited for after each call until it has come to where ours are (bytes to
 * be read, state of the connection), so nothing depends on how quick it is.
 *
 * Would catch: an edge too many or too few, a level that is not told again, one-shot that is told again, a change by
 * EPOLL_CTL_MOD that does not look again, an order of events that is another one, an errno.
 */
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "stack/socket/socket_fixture.h"

#define N_PAIRS 5
#define N_ENDS (2 * N_PAIRS)
#define N_EPOLLS 2
#define HISTORY 400

/* The same socket twice: the kernel's number and ours; -1: closed. */
struct end {
	int k, o;
	bool is_udp;
};

static struct {
	struct net net;
	struct sockets *ss;
	struct rng rng;
	int k_listener, o_listener;
	struct end end[N_ENDS]; /* 2i and 2i + 1 are a pair */
	int k_epoll[N_EPOLLS], o_epoll[N_EPOLLS];
	char history[HISTORY][120];
	uint32_t n_calls;
} f;

YG_PRINTF(1, 2) static void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f.history[f.n_calls++ % HISTORY], sizeof(f.history[0]), format, args);
	va_end(args);
}

static void fail_with(const char *what, long k, long o)
{
	for (uint32_t i = f.n_calls > HISTORY ? f.n_calls - HISTORY : 0; i < f.n_calls; i++)
		fprintf(stderr, "  %s\n", f.history[i % HISTORY]);
	fail_msg("call %u: %s: the kernel %ld, ours %ld", f.n_calls, what, k, o);
}

/* What a call gave: the kernel's by errno. */
static long result(long rc)
{
	return rc < 0 ? -errno : rc;
}

static void same(const char *what, long k, long o)
{
	if (k != o)
		fail_with(what, k, o);
}

static uint32_t draw(uint32_t below)
{
	return rng_below(&f.rng, below);
}

/* --- until the kernel is where ours are --- */

static int state_of(int k)
{
	struct tcp_info i;
	socklen_t len = sizeof(i);

	return getsockopt(k, IPPROTO_TCP, TCP_INFO, &i, &len) == 0 ? i.tcpi_state : -1;
}

static int our_state_of(int o)
{
	struct tcp_info i;
	uint32_t len = sizeof(i);

	return socket_get_option(f.ss, o, IPPROTO_TCP, TCP_INFO, &i, &len) == 0 ? i.tcpi_state : -1;
}

static bool is_same(const struct end *e)
{
	int k = -1, o = -1;

	if (e->k < 0)
		return true;
	ioctl(e->k, FIONREAD, &k);
	(void)socket_ioctl(f.ss, e->o, FIONREAD, &o);
	return k == o && (e->is_udp || state_of(e->k) == our_state_of(e->o));
}

static void settle(void)
{
	struct timespec nap = { 0, 50000 };

	net_run(&f.net, 500 * NS_PER_MS);
	for (int i = 0; i < N_ENDS; i++) {
		for (int tries = 0; !is_same(&f.end[i]); tries++) {
			int k = -1, o = -1;

			if (tries < 100000) {
				nanosleep(&nap, NULL);
				continue;
			}
			note("of end %d", i);
			ioctl(f.end[i].k, FIONREAD, &k);
			(void)socket_ioctl(f.ss, f.end[i].o, FIONREAD, &o);
			same("bytes to be read", k, o);
			same("state", state_of(f.end[i].k), our_state_of(f.end[i].o));
		}
	}
}

/* --- pairs --- */

static void close_end(struct end *e)
{
	if (e->k < 0)
		return;
	close(e->k);
	assert_int_equal(socket_close(f.ss, e->o), 0);
	e->k = e->o = -1;
}

static struct sockaddr_in k_name(int k)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);

	assert_int_equal(getsockname(k, (struct sockaddr *)&in, &len), 0);
	return in;
}

static struct yg_sockaddr_in o_name(int o)
{
	struct yg_sockaddr_in in;
	uint32_t len = sizeof(in);

	assert_int_equal(socket_name(f.ss, o, &in, &len), 0);
	return in;
}

static void open_stream_pair(struct end *a, struct end *b)
{
	struct sockaddr_in kin = k_name(f.k_listener);
	struct yg_sockaddr_in oin = o_name(f.o_listener);

	a->k = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(a->k, (struct sockaddr *)&kin, sizeof(kin)), 0);
	fcntl(a->k, F_SETFL, O_NONBLOCK);
	b->k = accept4(f.k_listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(b->k >= 0);
	a->o = socket_open(f.ss, AF_INET, SOCK_STREAM, 0);
	assert_int_equal(socket_connect(f.ss, a->o, &oin, sizeof(oin)), 0);
	(void)socket_fcntl(f.ss, a->o, F_SETFL, O_NONBLOCK);
	b->o = socket_accept(f.ss, f.o_listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(b->o >= 0);
	a->is_udp = b->is_udp = false;
}

static void open_datagram_pair(struct end *a, struct end *b)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct end *e[2] = { a, b };

	for (int i = 0; i < 2; i++) {
		e[i]->k = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
		assert_int_equal(bind(e[i]->k, (struct sockaddr *)&in, sizeof(in)), 0);
		e[i]->o = socket_open(f.ss, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
		assert_int_equal(socket_bind(f.ss, e[i]->o, &in, sizeof(in)), 0);
		e[i]->is_udp = true;
	}
	for (int i = 0; i < 2; i++) {
		struct sockaddr_in kin = k_name(e[!i]->k);
		struct yg_sockaddr_in oin = o_name(e[!i]->o);

		assert_int_equal(connect(e[i]->k, (struct sockaddr *)&kin, sizeof(kin)), 0);
		assert_int_equal(socket_connect(f.ss, e[i]->o, &oin, sizeof(oin)), 0);
	}
}

static void open_pair(int i)
{
	if (draw(3) == 0)
		open_datagram_pair(&f.end[2 * i], &f.end[2 * i + 1]);
	else
		open_stream_pair(&f.end[2 * i], &f.end[2 * i + 1]);
	note("open %s pair %d and %d", f.end[2 * i].is_udp ? "datagram" : "stream", 2 * i, 2 * i + 1);
}

/* --- calls --- */

static uint32_t draw_events(void)
{
	static const uint32_t bits[] = { EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLPRI, EPOLLET, EPOLLONESHOT };
	uint32_t events = 0;

	for (size_t i = 0; i < ARRAY_LEN(bits); i++)
		events |= draw(i < 2 ? 2 : 3) == 0 ? bits[i] : 0;
	return events;
}

static void call_ctl(int n)
{
	int op = (int)draw(3) + 1, ep = (int)draw(N_EPOLLS);
	struct epoll_event e = { .events = draw_events(), .data = { .u64 = (uint64_t)n } };
	bool exclusive = op == EPOLL_CTL_ADD && draw(8) == 0;
	struct yg_epoll_event o;

	if (exclusive)
		e.events |= EPOLLEXCLUSIVE;
	o = (struct yg_epoll_event){ .events = e.events, .data = e.data.u64 };
	note("epoll_ctl(%d, %d, end %d, %#x)", ep, op, n, e.events);
	same("epoll_ctl", result(epoll_ctl(f.k_epoll[ep], op, f.end[n].k, &e)),
	     socket_epoll_ctl(f.ss, f.o_epoll[ep], op, f.end[n].o, &o));
}

/* Where a packet takes a while from one socket to another, as on a gateway's host, a call's own socket may hear first
 * of what it does: then all are asked for, and which of them comes first is of no account. */
static bool in_any_order;

static int by_end(const void *a, const void *b)
{
	const struct yg_epoll_event *x = a, *y = b;

	return (x->data > y->data) - (x->data < y->data);
}

static void call_wait(void)
{
	int ep = (int)draw(N_EPOLLS), max = in_any_order ? N_ENDS : 1 + (int)draw(8);
	struct epoll_event k[N_ENDS];
	struct yg_epoll_event o[N_ENDS];

	note("epoll_wait(%d, %d)", ep, max);
	int n = epoll_wait(f.k_epoll[ep], k, max, 0), m = socket_epoll_wait(f.ss, f.o_epoll[ep], o, max, 0);

	if (in_any_order && n > 0 && m > 0) {
		qsort(k, (size_t)n, sizeof(k[0]), by_end);
		qsort(o, (size_t)m, sizeof(o[0]), by_end);
	}
	for (int i = 0; i < n; i++)
		note("  the kernel: end %d %#x", (int)k[i].data.u64, k[i].events);
	for (int i = 0; i < m; i++)
		note("  ours:       end %d %#x", (int)o[i].data, o[i].events);
	same("how many events", n, m);
	for (int i = 0; i < n; i++) {
		same("whose event", (long)k[i].data.u64, (long)o[i].data);
		same("which event", k[i].events, o[i].events);
	}
}

static char bytes[1 << 16];

static void call_send(int n)
{
	size_t len = 1 + draw(100);

	note("send(end %d, %zu)", n, len);
	same("send", result(send(f.end[n].k, bytes, len, MSG_NOSIGNAL)),
	     socket_send(f.ss, f.end[n].o, bytes, len, MSG_NOSIGNAL));
}

static void call_recv(int n)
{
	size_t len = draw(2) == 0 ? sizeof(bytes) : 1 + draw(50);
	int flags = draw(4) == 0 ? MSG_PEEK : 0;

	note("recv(end %d, %zu, %#x)", n, len, flags);
	same("recv", result(recv(f.end[n].k, bytes, len, flags)), socket_recv(f.ss, f.end[n].o, bytes, len, flags));
}

static void call_shutdown(int n)
{
	int how = (int)draw(3);

	note("shutdown(end %d, %d)", n, how);
	same("shutdown", result(shutdown(f.end[n].k, how)), socket_shutdown(f.ss, f.end[n].o, how));
}

static void call_error(int n)
{
	int k = -1, o = -1;
	socklen_t len = sizeof(k);
	uint32_t o_len = sizeof(o);

	note("SO_ERROR of end %d", n);
	getsockopt(f.end[n].k, SOL_SOCKET, SO_ERROR, &k, &len);
	(void)socket_get_option(f.ss, f.end[n].o, SOL_SOCKET, SO_ERROR, &o, &o_len);
	same("SO_ERROR", k, o);
}

/* Until there is no room, each for itself; then the other end reads all. */
static void call_fill(int n)
{
	const struct end *a = &f.end[n], *b = &f.end[n ^ 1];
	long k = 0, done;
	struct timespec nap = { 0, 100000 };

	if (a->is_udp || b->k < 0 || state_of(a->k) != TCP_ESTABLISHED || state_of(b->k) != TCP_ESTABLISHED)
		return;
	note("fill end %d, read all at %d", n, n ^ 1);
	for (int quiet = 0; quiet < 20;) {
		done = send(a->k, bytes, sizeof(bytes), MSG_NOSIGNAL);
		k += done > 0 ? done : 0;
		quiet = done > 0 ? 0 : quiet + 1;
		if (done <= 0)
			nanosleep(&nap, NULL);
	}
	do {
		done = socket_send(f.ss, a->o, bytes, sizeof(bytes), 0);
		net_run(&f.net, 100 * NS_PER_MS);
	} while (done > 0);
	/* What stood there before is among it. */
	int before = 0;

	for (long got = 0, tries = 0; tries < 100000;) {
		done = recv(b->k, bytes, sizeof(bytes), 0);
		got += done > 0 ? done : 0;
		tries = done > 0 ? 0 : tries + 1;
		ioctl(a->k, TIOCOUTQ, &before);
		if (done <= 0 && before == 0 && got >= k)
			break;
		if (done <= 0)
			nanosleep(&nap, NULL);
	}
	for (uint32_t i = 0; i < 10000; i++) {
		done = socket_recv(f.ss, b->o, bytes, sizeof(bytes), 0);
		net_run(&f.net, 10 * NS_PER_MS);
		(void)socket_ioctl(f.ss, a->o, TIOCOUTQ, &before);
		if (done <= 0 && before == 0)
			break;
	}
}

static void one_call(void)
{
	int n = (int)draw(N_ENDS);
	uint32_t what = draw(100);

	if (f.end[n].k < 0) {
		if (what < 20) {
			close_end(&f.end[n ^ 1]);
			open_pair(n / 2);
			settle();
		}
		return;
	}
	if (what < 20)
		call_ctl(n);
	else if (what < 50)
		call_wait();
	else if (what < 70)
		call_send(n);
	else if (what < 90)
		call_recv(n);
	else if (what < 93)
		call_shutdown(n);
	else if (what < 95)
		call_error(n);
	else if (what < 97)
		call_fill(n);
	else {
		note("close end %d", n);
		close_end(&f.end[n]);
	}
	settle();
}

static void begin(uint32_t seed)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	uint8_t bytes_of_seed[RNG_SEED_BYTES] = { (uint8_t)seed, (uint8_t)(seed >> 8), (uint8_t)(seed >> 16) };

	memset(&f, 0, sizeof(f));
	net_start(&f.net);
	f.ss = f.net.a.ss;
	rng_init(&f.rng, bytes_of_seed);
	f.k_listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(f.k_listener, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(f.k_listener, 8), 0);
	f.o_listener = socket_open(f.ss, AF_INET, SOCK_STREAM, 0);
	assert_int_equal(socket_bind(f.ss, f.o_listener, &in, sizeof(in)), 0);
	assert_int_equal(socket_listen(f.ss, f.o_listener, 8), 0);
	for (int i = 0; i < N_EPOLLS; i++) {
		f.k_epoll[i] = epoll_create1(0);
		f.o_epoll[i] = socket_epoll_create(f.ss);
	}
	for (int i = 0; i < N_PAIRS; i++)
		open_pair(i);
}

static void end(void)
{
	for (int i = 0; i < N_ENDS; i++)
		close_end(&f.end[i]);
	for (int i = 0; i < N_EPOLLS; i++)
		close(f.k_epoll[i]);
	close(f.k_listener);
	net_run(&f.net, 200 * NS_PER_S);
	net_end(&f.net);
}

static uint32_t first_seed = 1, n_seeds = 6, n_calls = 2500;

static void test_same_events(void **state)
{
	for (uint32_t seed = first_seed; seed < first_seed + n_seeds; seed++) {
		begin(seed);
		for (uint32_t i = 0; i < n_calls; i++)
			one_call();
		end();
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_same_events) };

	if (argc > 1) {
		first_seed = (uint32_t)strtoul(argv[1], NULL, 10);
		n_seeds = 1;
	}
	if (argc > 2)
		n_calls = (uint32_t)strtoul(argv[2], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
