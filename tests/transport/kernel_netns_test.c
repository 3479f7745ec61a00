/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Our TCP and the Linux kernel's, over a TAP in a network namespace of this process's
 * own, in real time.
 *
 *   kernel 10.0.0.1 --- tap0 --- 10.0.0.2 our stack
 *
 * The kernel's sockets do not block; one loop serves both, and waits for events only.
 *
 *   kernel_netns_test --transfer MB [LOST]   so much each way over one connection, every byte looked at; of a thousand
 *                                            frames LOST are lost
 */
#include "stack/transport/tcp_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/device/tap.h"
#include "stack/socket/abi.h"

#define EXIT_SKIP 77
#define PATIENCE_NS (60 * NS_PER_S)
#define KERNEL_ADDR "10.0.0.1"

struct lab {
	struct host h;
	struct device *tap;
	uint64_t start;
	/* Of a thousand frames of either way so many are lost. */
	uint32_t lost_per_mille;
	const char *password; /* that both sign by (RFC 2385); NULL: they do not */
	struct rng rng;
};

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void shell(const char *command)
{
	if (system(command) != 0)
		fail_msg("%s", command);
}

static bool lossy(struct host *h, struct packet *p)
{
	struct lab *l = h->filter_ctx;

	/* ARP gets through. */
	return packet_frame(p)[12] != 8 || packet_frame(p)[13] != 0 || rng_below(&l->rng, 1000) >= l->lost_per_mille;
}

static const struct device_ops *tap_ops;
static struct device_ops lossy_ops;
static struct lab *the_lab;

/* What we send is lost here. */
static void lossy_tx(struct device *d, struct batch *b)
{
	struct batch out = { .n = 0 };

	for (uint32_t i = 0; i < b->n; i++) {
		if (lossy(&the_lab->h, b->p[i]))
			batch_add(&out, b->p[i]);
		else
			env_drop(&the_lab->h.env, b->p[i], DROP_TX_REFUSED);
	}
	b->n = 0;
	tap_ops->tx(d, &out);
}

static void lab_start(struct lab *l, const struct tcp_config *cfg)
{
	static const uint8_t seed[RNG_SEED_BYTES] = "losses";
	char err[256];

	memset(l, 0, sizeof(*l));
	the_lab = l;
	rng_init(&l->rng, seed);
	if (tap_open("tap0", NULL, &l->tap, err, sizeof(err)) != 0) {
		printf("skipped: %s\n", err);
		exit(EXIT_SKIP);
	}
	shell("ip addr add 10.0.0.1/24 dev tap0; ip link set tap0 up; ip link set lo up");
	tap_ops = l->tap->ops;
	lossy_ops = *tap_ops;
	lossy_ops.tx = lossy_tx;
	l->tap->ops = &lossy_ops;
	host_start(&l->h, l->tap, B_ADDR, clock_ns(), NULL, cfg);
	l->h.filter = lossy;
	l->h.filter_ctx = l;
	l->start = clock_ns();
}

/* Where it stood when nothing came any more. */
static void show(const struct lab *l)
{
	const struct tcp *t = l->h.tcp;

	for (uint32_t i = 0; i < t->conns.n_fresh; i++) {
		const struct tcp_conn *c = tcp_conn_at(t, i);

		if (!c->is_used)
			continue;
		print_message("%s acked %llu sent +%u written +%u wnd %u cwnd %u ca %u sacked %u lost %u again %u "
			      "queue %u sent %u rtx %u in %lld ms n_rtx %u; received %llu window %u unread %u\n",
			      tcp_state_names[c->state], (unsigned long long)c->bytes_acked, c->snd_nxt - c->snd_una,
			      c->write_seq - c->snd_una, c->snd_wnd, c->cwnd, c->ca_state, c->flight->sacked,
			      c->flight->lost, c->flight->retransmitted, c->flight->queue.n, c->flight->queue.n_sent,
			      c->flight->rtx_kind, (long long)(c->flight->rtx_at - l->h.env.now) / 1000000, c->n_rtx,
			      (unsigned long long)c->bytes_received, c->rcv_adv - c->rcv_nxt, c->inbox.bytes);
	}
	for (uint32_t i = 0; i < N_TCP_COUNTERS; i++)
		if (t->counts[i] != 0)
			print_message("%s %llu\n", tcp_counter_names[i], (unsigned long long)t->counts[i]);
	for (uint32_t i = 0; i < N_DROP_REASONS; i++)
		if (l->h.env.ledger.n_dropped[i] != 0)
			print_message("dropped: %s %llu\n", drop_info[i].name,
				      (unsigned long long)l->h.env.ledger.n_dropped[i]);
}

static void turn(struct lab *l)
{
	l->h.env.now = max_u64(l->h.env.now, clock_ns());
	host_expire(&l->h);
	host_receive(&l->h);
	ip_flush(l->h.ip);
	host_check(&l->h);
	if (l->h.env.now - l->start > PATIENCE_NS) {
		show(l);
		fail_msg("nothing came of it in a minute");
	}
}

/* Until there is something to do for us, or for the kernel's socket. */
static void wait_for(struct lab *l, int fd, short events)
{
	struct pollfd p[2] = { { .fd = l->tap->ops->poll_fd(l->tap), .events = POLLIN },
			       { .fd = fd, .events = events } };
	uint64_t next = host_deadline(&l->h), now = clock_ns();
	int64_t ms = next <= now ? 0 : (int64_t)((next - now + NS_PER_MS - 1) / NS_PER_MS);

	(void)poll(p, 2, ms > 1000 ? 1000 : (int)ms);
	turn(l);
}

static void lab_end(struct lab *l)
{
	host_law(&l->h);
	host_end(&l->h);
	l->tap->ops->close(l->tap);
}

static struct sockaddr_in address(const char *text, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

	inet_pton(AF_INET, text, &a.sin_addr);
	return a;
}

static int kernel_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	return fd;
}

/* Each for the other end's address. */
static void set_kernel_password(const struct lab *l, int fd)
{
	struct yg_tcp_md5sig sig = { .addr = { .family = AF_INET, .addr = be32_of(B_ADDR) } };

	if (l->password == NULL)
		return;
	sig.key_len = (uint16_t)strlen(l->password);
	memcpy(sig.key, l->password, sig.key_len);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, YG_TCP_MD5SIG, &sig, sizeof(sig)), 0);
}

static struct tcp_md5 our_password(const struct lab *l)
{
	return (struct tcp_md5){ .addr = A_ADDR,
				 .prefix_len = 32,
				 .len = (uint8_t)(l->password != NULL ? strlen(l->password) : 0),
				 .key = (const uint8_t *)l->password };
}

static struct tcp_conn *connect_to_kernel(struct lab *l)
{
	struct tcp_conn *c = tcp_open(l->h.tcp, 2);
	/* Ports are drawn alike in each lab: a signed SYN must not meet what the kernel keeps of an unsigned
	 * connection. */
	struct tcp_end local = { .port = l->password != NULL ? 40001 : 0 }, remote = { ip_addr_v4(A_ADDR), SERVICE };
	struct tcp_md5 m = our_password(l);

	if (m.len > 0)
		assert_int_equal(tcp_set_md5(l->h.tcp, c, &m), 0);
	assert_int_equal(tcp_connect(l->h.tcp, c, 0, &local, &remote), -EINPROGRESS);
	ip_flush(l->h.ip);
	return c;
}

/* A connection that the kernel opens, or that we open. */
static void join(struct lab *l, bool kernel_opens, int *fd, struct tcp_conn **c)
{
	if (kernel_opens) {
		struct tcp_listener *li = host_listen(&l->h, SERVICE);
		struct sockaddr_in a = address("10.0.0.2", SERVICE);

		struct tcp_md5 m = our_password(l);

		if (m.len > 0)
			assert_int_equal(tcp_listener_set_md5(l->h.tcp, li, &m), 0);
		*fd = kernel_socket();
		set_kernel_password(l, *fd);
		assert_true(connect(*fd, (struct sockaddr *)&a, sizeof(a)) == -1 && errno == EINPROGRESS);
		while (!tcp_acceptable(li))
			wait_for(l, *fd, 0);
		*c = tcp_accept(l->h.tcp, li, 9);
		tcp_unlisten(l->h.tcp, li);
	} else {
		int server = kernel_socket(), one = 1;
		struct sockaddr_in a = address(KERNEL_ADDR, SERVICE);

		setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		set_kernel_password(l, server);
		assert_int_equal(bind(server, (struct sockaddr *)&a, sizeof(a)), 0);
		assert_int_equal(listen(server, 8), 0);
		*c = connect_to_kernel(l);
		while ((*fd = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0)
			wait_for(l, server, POLLIN);
		while (tcp_state(*c) == TCP_SYN_SENT)
			wait_for(l, *fd, 0);
		close(server);
	}
	assert_int_equal(tcp_state(*c), TCP_ESTABLISHED);
}

static uint8_t byte_at(uint64_t off, uint8_t way)
{
	return (uint8_t)(off * 7 + (off >> 8) * 13 + (off >> 16) + (off >> 24) * 29 + (off >> 32) + way);
}

static uint8_t bytes[1 << 16];

struct transfer {
	uint64_t total;
	uint64_t out_sent, out_got, in_sent, in_got; /* out: from us */
	bool out_ended, in_ended, we_closed, they_closed;
};

static void fill(uint64_t off, uint32_t len, uint8_t way)
{
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = byte_at(off + i, way);
}

static void check(uint64_t off, int64_t len, uint8_t way)
{
	for (int64_t i = 0; i < len; i++)
		if (bytes[i] != byte_at(off + (uint64_t)i, way))
			fail_msg("byte %llu is wrong", (unsigned long long)(off + (uint64_t)i));
}

static void ours_turn(struct lab *l, struct tcp_conn *c, struct transfer *x)
{
	int64_t n;

	while (x->out_sent < x->total) {
		uint32_t len = (uint32_t)min_u64(sizeof(bytes), x->total - x->out_sent);

		fill(x->out_sent, len, 1);
		n = host_send(&l->h, c, bytes, len);
		if (n == -EAGAIN)
			break;
		assert_true(n > 0);
		x->out_sent += (uint64_t)n;
	}
	if (x->out_sent == x->total && !x->we_closed) {
		assert_int_equal(tcp_shutdown(l->h.tcp, c, TCP_SHUT_WR), 0);
		x->we_closed = true;
	}
	while (!x->in_ended && (n = host_recv(&l->h, c, bytes, sizeof(bytes))) != -EAGAIN) {
		assert_true(n >= 0);
		x->in_ended = n == 0;
		check(x->in_got, n, 2);
		x->in_got += (uint64_t)n;
	}
	ip_flush(l->h.ip);
}

static void theirs_turn(int fd, struct transfer *x)
{
	ssize_t n;

	while (x->in_sent < x->total) {
		uint32_t len = (uint32_t)min_u64(sizeof(bytes), x->total - x->in_sent);

		fill(x->in_sent, len, 2);
		n = send(fd, bytes, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			break;
		assert_true(n > 0);
		x->in_sent += (uint64_t)n;
	}
	if (x->in_sent == x->total && !x->they_closed) {
		assert_int_equal(shutdown(fd, SHUT_WR), 0);
		x->they_closed = true;
	}
	while (!x->out_ended && (n = recv(fd, bytes, sizeof(bytes), 0)) >= 0) {
		x->out_ended = n == 0;
		check(x->out_got, n, 1);
		x->out_got += (uint64_t)n;
	}
}

/* Both ways at once, each its own end. */
static void exchange(struct lab *l, int fd, struct tcp_conn *c, uint64_t total)
{
	struct transfer x = { .total = total };

	while (!x.out_ended || !x.in_ended) {
		uint64_t got = x.out_got + x.in_got;

		ours_turn(l, c, &x);
		theirs_turn(fd, &x);
		if (x.out_got + x.in_got > got)
			l->start = clock_ns();
		wait_for(l, fd, (short)(POLLIN | (x.in_sent < x.total ? POLLOUT : 0)));
	}
	assert_int_equal(x.out_got, total);
	assert_int_equal(x.in_got, total);
	close(fd);
	tcp_close(l->h.tcp, c);
	while (l->h.tcp->conns.n_used > 0)
		wait_for(l, -1, 0);
}

static void both_ways_with(const struct tcp_config *cfg, uint32_t lost_per_mille, uint64_t total, const char *password)
{
	for (int k = 0; k < 2; k++) {
		struct lab l;
		struct tcp_conn *c;
		int fd;

		lab_start(&l, cfg);
		l.lost_per_mille = lost_per_mille;
		l.password = password;
		join(&l, k == 0, &fd, &c);
		exchange(&l, fd, c, total);
		lab_end(&l);
	}
}

static void both_ways(const struct tcp_config *cfg, uint32_t lost_per_mille, uint64_t total)
{
	both_ways_with(cfg, lost_per_mille, total, NULL);
}

/* Would catch: a signature (RFC 2385) that the kernel makes or reads otherwise: with and without options, of any length
 * of data, of the handshake and the end. */
static void test_signed(void **state)
{
	both_ways_with(NULL, 5, 2 << 20, "a password of BGP's");
}

/* Would catch: any disagreement with the kernel on handshake, options, data, windows or closing. */
static void test_transfer(void **state)
{
	both_ways(NULL, 0, 64 << 20);
}

/* Would catch: recovery that works only against itself. */
static void test_transfer_with_loss(void **state)
{
	both_ways(NULL, 10, 4 << 20);
}

/* Would catch: a path that needs an option which the other end does not have. */
static void test_without_options(void **state)
{
	struct tcp_config cfg = tcp_default_config;

	cfg.timestamps = cfg.sack = cfg.window_scaling = false;
	both_ways(&cfg, 5, 2 << 20);
	cfg.window_scaling = true;
	both_ways(&cfg, 5, 2 << 20);
	cfg.timestamps = true;
	both_ways(&cfg, 5, 2 << 20);
	cfg.timestamps = false;
	cfg.sack = true;
	both_ways(&cfg, 5, 2 << 20);
}

/* What the kernel of this namespace is told: /proc/sys/net/ipv4/tcp_NAME. */
static void set_kernel_tcp(const char *name, int value)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/tcp_%s", name);
	f = fopen(path, "w");
	if (!f || fprintf(f, "%d\n", value) < 0 || fclose(f) != 0)
		fail_msg("%s: %s", path, strerror(errno));
}

/* Would catch: a kernel without options that is not answered in kind. */
static void test_plain_kernel(void **state)
{
	static const char *const options[] = { "timestamps", "sack", "window_scaling" };

	for (int on = 0; on <= 1; on++) {
		for (uint32_t i = 0; i < ARRAY_LEN(options); i++)
			set_kernel_tcp(options[i], on);
		both_ways(NULL, 5, 2 << 20);
	}
}

/* Would catch: ECN that is not agreed on, or not heard. */
static void test_ecn(void **state)
{
	struct tcp_config cfg = tcp_default_config;

	cfg.ecn = 1;
	set_kernel_tcp("ecn", 1);
	both_ways(&cfg, 2, 2 << 20);
	set_kernel_tcp("ecn", 2);
}

/* Would catch: a reset that is not sent, or not believed. */
static void test_resets(void **state)
{
	struct lab l;
	struct tcp_conn *c;
	struct linger none = { .l_onoff = 1 };
	int fd;
	char byte;

	lab_start(&l, NULL);
	join(&l, true, &fd, &c);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
	while (tcp_state(c) != TCP_CLOSED)
		wait_for(&l, -1, 0);
	assert_int_equal(tcp_take_error(c), ECONNRESET);
	tcp_close(l.h.tcp, c);

	join(&l, false, &fd, &c);
	tcp_abort(l.h.tcp, c);
	ip_flush(l.h.ip);
	while (recv(fd, &byte, 1, 0) >= 0 || errno == EAGAIN)
		wait_for(&l, fd, POLLIN);
	assert_int_equal(errno, ECONNRESET);
	close(fd);

	/* Nobody listens. */
	c = host_connect(&l.h, IP4(10, 0, 0, 1), SERVICE + 1);
	while (tcp_state(c) != TCP_CLOSED)
		wait_for(&l, -1, 0);
	assert_int_equal(tcp_take_error(c), ECONNREFUSED);
	tcp_close(l.h.tcp, c);
	fd = kernel_socket();
	struct sockaddr_in a = address("10.0.0.2", SERVICE + 1);

	(void)connect(fd, (struct sockaddr *)&a, sizeof(a));
	int err = EINPROGRESS;

	while (err == EINPROGRESS || err == EALREADY) {
		wait_for(&l, fd, POLLOUT);
		err = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 ? 0 : errno;
	}
	assert_int_equal(err, ECONNREFUSED);
	close(fd);
	lab_end(&l);
}

/* Would catch: a kernel that does not read and then does, and the other way round. */
static void test_closed_windows(void **state)
{
	struct lab l;
	struct tcp_conn *c;
	struct transfer x = { .total = 8 << 20 };
	int fd;

	lab_start(&l, NULL);
	join(&l, true, &fd, &c);
	/* Until neither has room for a segment of the other. */
	while (c->snd_wnd >= c->mss || c->rcv_adv - c->rcv_nxt >= c->mss) {
		for (int64_t n = 1; n > 0 && x.out_sent<x.total; x.out_sent += n> 0 ? (uint64_t)n : 0) {
			fill(x.out_sent, 4096, 1);
			n = host_send(&l.h, c, bytes, 4096);
		}
		for (ssize_t n = 1; n > 0 && x.in_sent<x.total; x.in_sent += n> 0 ? (uint64_t)n : 0) {
			fill(x.in_sent, 4096, 2);
			n = send(fd, bytes, 4096, MSG_NOSIGNAL);
		}
		wait_for(&l, -1, 0);
	}
	while (!x.out_ended || !x.in_ended) {
		theirs_turn(fd, &x);
		ours_turn(&l, c, &x);
		wait_for(&l, fd, (short)(POLLIN | (x.in_sent < x.total ? POLLOUT : 0)));
	}
	assert_int_equal(x.out_got, x.total);
	assert_int_equal(x.in_got, x.total);
	close(fd);
	tcp_close(l.h.tcp, c);
	while (l.h.tcp->conns.n_used > 0)
		wait_for(&l, -1, 0);
	lab_end(&l);
}

static uint64_t long_total;
static uint32_t long_lost;

static void test_long_transfer(void **state)
{
	struct lab l;
	struct tcp_conn *c;
	uint64_t begin = clock_ns();
	int fd;

	lab_start(&l, NULL);
	l.lost_per_mille = long_lost;
	join(&l, true, &fd, &c);
	exchange(&l, fd, c, long_total);
	print_message("%llu bytes each way in %.1f s; sent again: %llu segments\n", (unsigned long long)long_total,
		      (double)(clock_ns() - begin) / NS_PER_S,
		      (unsigned long long)l.h.tcp->counts[TCP_COUNT_RETRANSMITTED]);
	lab_end(&l);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest by_hand[] = { cmocka_unit_test(test_long_transfer) };
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transfer),
		cmocka_unit_test(test_transfer_with_loss),
		cmocka_unit_test(test_without_options),
		cmocka_unit_test(test_plain_kernel),
		cmocka_unit_test(test_ecn),
		cmocka_unit_test(test_signed),
		cmocka_unit_test(test_resets),
		cmocka_unit_test(test_closed_windows),
	};

	if (unshare(CLONE_NEWNET) != 0) {
		printf("skipped: a network namespace needs root (%s)\n", strerror(errno));
		return EXIT_SKIP;
	}
	if (argc > 2 && strcmp(argv[1], "--transfer") == 0) {
		long_total = strtoull(argv[2], NULL, 10) << 20;
		long_lost = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
		return cmocka_run_group_tests(by_hand, NULL, NULL);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
