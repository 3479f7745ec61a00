/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The library by its public headers: two stacks that give each other their packets, on a virtual
 * clock.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <yangguan/event.h>
#include <yangguan/info.h>
#include <yangguan/socket.h>
#include <yangguan/stack.h>
#include <yangguan/zerocopy.h>

#define PORT 7
#define MS 1000000u

struct end {
	struct yg_stack *s;
	struct end *other;
	uint32_t flags;
	int refuse;  /* the next so many packets */
	int is_lent; /* packets are lent, not copied */
	uint32_t n_lent, n_released, n_out;
	uint64_t deadline;
	int ready, n_changed;
};

static struct end a, b;

struct loan {
	struct end *to;
	uint8_t bytes[70000];
};

static void released(void *ctx, uint64_t cookie)
{
	struct loan *l = ctx;

	assert_int_equal(cookie, 77);
	l->to->n_released++;
	free(l);
}

static void lend(struct end *to, const void *bytes, size_t len, uint64_t now)
{
	struct loan *l = malloc(sizeof(*l));

	l->to = to;
	memcpy(l->bytes + YG_HEADROOM, bytes, len);
	struct yg_packet *p = yg_packet_wrap(to->s, l->bytes, sizeof(l->bytes), YG_HEADROOM, len, released, l, 77);

	assert_non_null(p);
	to->n_lent++;
	yg_input(to->s, &p, 1, now);
}

static int give(void *ctx, struct yg_packet *const *p, unsigned int n)
{
	struct end *e = ctx;

	for (unsigned int i = 0; i < n; i++) {
		if (e->refuse > 0) {
			e->refuse--;
			return (int)i;
		}
		e->n_out++;
		if (e->other->is_lent)
			lend(e->other, yg_packet_data(p[i], e->s), yg_packet_len(p[i], e->s), yg_now(e->s));
		else
			assert_int_equal(yg_input_bytes(e->other->s, yg_packet_data(p[i], e->s),
							yg_packet_len(p[i], e->s), yg_now(e->s)),
					 0);
		yg_packet_free(e->s, p[i]);
	}
	return (int)n;
}

static void note_change(void *ctx, uint64_t deadline, int ready)
{
	struct end *e = ctx;

	e->n_changed++;
	e->deadline = deadline;
	e->ready = ready;
}

static void begin_end(struct end *e, struct end *other, const char *address, uint32_t flags)
{
	struct yg_stack_config c = { .size = sizeof(c),
				     .output = give,
				     .changed = note_change,
				     .ctx = e,
				     .seed = { 1, 2, 3 },
				     .now = 1000,
				     .flags = flags,
				     .mac = { 2, 0, 0, 0, 0, (uint8_t)address[7] },
				     .address = address,
				     .n_sockets = 64,
				     .n_packets = 4096 };

	*e = (struct end){ .other = other, .flags = flags, .deadline = YG_NEVER };
	e->s = yg_stack_create(&c);
	assert_non_null(e->s);
}

static void run_all(uint64_t *now, uint64_t until)
{
	while (*now < until) {
		uint64_t da = yg_next_deadline(a.s), db = yg_next_deadline(b.s), next = da < db ? da : db;

		*now = next < until ? (next > *now ? next : *now + 1) : until;
		yg_run(a.s, *now);
		yg_run(b.s, *now);
	}
}

static uint64_t now;

static void begin(uint32_t flags)
{
	now = 1000;
	begin_end(&a, &b, "10.0.0.1/24", flags);
	/* The first says things before the other is there. */
	a.refuse = 1000000;
	begin_end(&b, &a, "10.0.0.2/24", flags);
	a.refuse = 0;
	run_all(&now, 5000ull * MS);
}

static void check_law(const struct end *e)
{
	struct yg_law law = { .size = sizeof(law) };

	yg_law(e->s, &law);
	assert_true(law.holds);
}

static void end(void)
{
	check_law(&a);
	check_law(&b);
	yg_stack_destroy(a.s);
	yg_stack_destroy(b.s);
	assert_int_equal(a.n_lent, a.n_released);
	assert_int_equal(b.n_lent, b.n_released);
}

static struct sockaddr_in name_of(uint32_t addr, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(addr) } };

	return in;
}

static void carry(uint32_t flags, int is_lent)
{
	static char out[200000], in[200000];
	struct sockaddr_in any = name_of(0, PORT), to = name_of(0x0a000002, PORT);
	struct epoll_event e = { .events = EPOLLIN, .data = { .u64 = 5 } };
	ssize_t sent = 0, got = 0, n;
	int fd = -1;

	begin(flags);
	a.is_lent = b.is_lent = is_lent;
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7 + i / 251);
	int l = yg_socket(b.s, AF_INET, SOCK_STREAM, 0), c = yg_socket(a.s, AF_INET, SOCK_STREAM, 0),
	    ep = yg_epoll_create(b.s);

	assert_int_equal(yg_bind(b.s, l, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(yg_listen(b.s, l, 4), 0);
	assert_int_equal(yg_epoll_ctl(b.s, ep, EPOLL_CTL_ADD, l, &e), 0);
	assert_int_equal(b.ready, 0);
	n = yg_connect(a.s, c, (struct sockaddr *)&to, sizeof(to));
	assert_int_equal(n, -EINPROGRESS);
	run_all(&now, now + 10 * MS);
	assert_int_equal(b.ready, 1);
	assert_int_equal(yg_epoll_wait(b.s, ep, &e, 1, 0), 1);
	assert_int_equal(e.data.u64, 5);
	fd = yg_accept(b.s, l, NULL, NULL);
	assert_true(fd >= 3);
	assert_int_equal(yg_epoll_wait(b.s, ep, &e, 1, 0), 0);
	assert_int_equal(b.ready, 0);
	for (int i = 0; got < (ssize_t)sizeof(in); i++) {
		assert_true(i < 100000);
		if (sent < (ssize_t)sizeof(out) && (n = yg_send(a.s, c, out + sent, sizeof(out) - (size_t)sent, 0)) > 0)
			sent += n;
		if ((n = yg_recv(b.s, fd, in + got, sizeof(in) - (size_t)got, 0)) > 0)
			got += n;
		/* What the device does not take is sent again. */
		a.refuse = i % 10 == 3;
		run_all(&now, now + MS);
		assert_true(a.deadline == yg_next_deadline(a.s));
	}
	assert_memory_equal(in, out, sizeof(in));
	/* In place. */
	struct iovec v[4];

	assert_int_equal(yg_send_reserve(a.s, c, &v[0]), 0);
	memcpy(v[0].iov_base, "in place", 8);
	assert_int_equal(yg_send_commit(a.s, c, 8, 0), 0);
	run_all(&now, now + 300 * MS);
	assert_int_equal(yg_recv_peek(b.s, fd, v, 4), 1);
	assert_int_equal(v[0].iov_len, 8);
	assert_memory_equal(v[0].iov_base, "in place", 8);
	assert_int_equal(yg_recv_release(b.s, fd, 8), 0);
	assert_int_equal(yg_recv_peek(b.s, fd, v, 4), -EAGAIN);
	assert_int_equal(yg_close(a.s, c), 0);
	run_all(&now, now + 1000 * MS);
	assert_int_equal(yg_recv(b.s, fd, in, 1, 0), 0);
	end();
}

/* Would catch: bytes, events or deadlines that go wrong between two stacks, packets with and without a link header. */
static void test_ip(void **state)
{
	carry(0, 0);
}

/* How many packets a connection with a message each way takes. */
static uint32_t short_connection(uint32_t flags)
{
	struct sockaddr_in any = name_of(0, PORT), to = name_of(0x0a000002, PORT);
	char got[16];

	begin(flags);
	int l = yg_socket(b.s, AF_INET, SOCK_STREAM, 0), c = yg_socket(a.s, AF_INET, SOCK_STREAM, 0);
	uint32_t before = a.n_out + b.n_out;

	assert_int_equal(yg_bind(b.s, l, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(yg_listen(b.s, l, 4), 0);
	assert_int_equal(yg_connect(a.s, c, (struct sockaddr *)&to, sizeof(to)), -EINPROGRESS);
	assert_int_equal(yg_send(a.s, c, "hello", 5, 0), 5);
	int fd = yg_accept(b.s, l, NULL, NULL);

	assert_int_equal(yg_recv(b.s, fd, got, sizeof(got), 0), 5);
	/* Due at once, and told. */
	assert_int_equal(b.deadline <= yg_now(b.s), (flags & YG_ACKS_WAIT) != 0);
	assert_int_equal(yg_send(b.s, fd, "good day", 8, 0), 8);
	assert_true(b.deadline > yg_now(b.s));
	assert_int_equal(yg_recv(a.s, c, got, sizeof(got), 0), 8);
	assert_int_equal(yg_close(a.s, c), 0);
	assert_int_equal(yg_recv(b.s, fd, got, sizeof(got), 0), 0);
	assert_int_equal(yg_close(b.s, fd), 0);
	run_all(&now, now + 1000 * MS);
	uint32_t n = a.n_out + b.n_out - before;

	end();
	return n;
}

/* Would catch: an acknowledgement that leaves before the calls that would carry it, or where nobody asked for that. */
static void test_acks_wait(void **state)
{
	assert_int_equal(short_connection(YG_ACKS_WAIT), 7);
	assert_int_equal(short_connection(0), 11);
}

static void test_ethernet(void **state)
{
	carry(YG_ETHERNET, 0);
}

/* Would catch: a lent buffer that never comes back, or twice. */
static void test_lent(void **state)
{
	carry(0, 1);
	assert_true(b.n_lent > 100);
}

static int n_waits;
static int wait_a_while(void *ctx, uint64_t deadline)
{
	struct sockaddr_in to = name_of(0x0a000001, PORT);
	uint64_t step = now + MS;

	if (++n_waits == 3) {
		int s = yg_socket(b.s, AF_INET, SOCK_DGRAM, 0);

		assert_int_equal(yg_sendto(b.s, s, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)), 5);
	}
	run_all(&now, step < deadline ? step : deadline);
	return 0;
}

/* Would catch: a wait in which the stack does not take packets in. */
static void test_wait(void **state)
{
	struct sockaddr_in any = name_of(0, PORT), from;
	socklen_t len = sizeof(from);
	char bytes[16];

	begin(0);
	int s = yg_socket(a.s, AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(yg_bind(a.s, s, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(yg_recv(a.s, s, bytes, sizeof(bytes), 0), -EAGAIN);
	yg_set_wait(a.s, wait_a_while, NULL);
	n_waits = 0;
	assert_int_equal(yg_recvfrom(a.s, s, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &len), 5);
	assert_int_equal(ntohl(from.sin_addr.s_addr), 0x0a000002);
	assert_true(n_waits >= 3);
	end();
}

static uint32_t n_listed;
static void count_socket(void *ctx, const struct yg_socket_info *info)
{
	n_listed++;
	assert_int_equal(info->size, sizeof(*info));
	assert_int_equal(info->type, SOCK_DGRAM);
	assert_int_equal(ntohs(((const struct sockaddr_in *)(const void *)&info->local)->sin_port), PORT);
}

static void take_traced(void *ctx, const struct yg_traced *packet)
{
	uint32_t *n = ctx;

	assert_int_equal(packet->size, sizeof(*packet));
	assert_int_equal(packet->len, 28 + 5);
	n[packet->outgoing != 0]++;
}

static void count_reset(void *ctx, const char *name, uint64_t n_ended, uint64_t n_sent, uint64_t n_received,
			const char *what)
{
	assert_true(name[0] != '\0' && what[0] != '\0');
	assert_int_equal(n_ended + n_sent + n_received, 0);
	++*(uint32_t *)ctx;
}

/* Would catch: packets of a socket that its trace is not told of, or that it is told of behind its end. */
static void test_trace(void **state)
{
	struct sockaddr_in any = name_of(0, PORT), to = name_of(0x0a000002, PORT);
	uint32_t n[2] = { 0 }, n_reasons = 0;

	begin(0);
	int s = yg_socket(a.s, AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(yg_trace(a.s, 77, take_traced, n), -EBADF);
	assert_int_equal(yg_trace(a.s, s, take_traced, n), -EOPNOTSUPP);
	assert_int_equal(yg_bind(a.s, s, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(yg_trace(a.s, s, take_traced, n), 0);
	assert_int_equal(yg_trace(a.s, s, take_traced, n), 0);
	assert_int_equal(yg_sendto(a.s, s, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)), 5);
	assert_int_equal(n[1], 1);
	assert_int_equal(yg_trace(a.s, s, NULL, NULL), 0);
	assert_int_equal(yg_sendto(a.s, s, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)), 5);
	assert_int_equal(n[0] + n[1], 1);
	assert_int_equal(yg_trace(a.s, s, take_traced, n), 0);
	assert_int_equal(yg_close(a.s, s), 0);
	yg_resets(a.s, count_reset, &n_reasons);
	assert_true(n_reasons > 20);
	end();
}

static void count_drop(void *ctx, const char *name, uint64_t n, const char *what, const char *hint)
{
	if (strcmp(name, "no-route") == 0)
		*(uint64_t *)ctx = n;
	assert_true(name[0] != '\0' && what[0] != '\0' && hint[0] != '\0');
}

/* Would catch: addresses and routes that do not take effect, or that stay. */
static void test_addresses(void **state)
{
	struct sockaddr_in second = name_of(0x0a010001, 0), net = name_of(0xc0a80000, 0), none = name_of(0, 0),
			   other = name_of(0x0a000002, 0);
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_in at = name_of(0x0a010001, PORT), far = name_of(0xc0a80505, PORT);
	uint64_t n_dropped = 0;
	uint32_t before;

	begin(0);
	int s = yg_socket(a.s, AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(yg_bind(a.s, s, (struct sockaddr *)&at, sizeof(at)), -EADDRNOTAVAIL);
	assert_int_equal(yg_address_add(a.s, (struct sockaddr *)&none, 24), -EINVAL);
	assert_int_equal(yg_address_add(a.s, (struct sockaddr *)&six, 24), -EAFNOSUPPORT);
	assert_int_equal(yg_address_add(a.s, (struct sockaddr *)&second, 24), 0);
	assert_int_equal(yg_address_add(a.s, (struct sockaddr *)&second, 24), -EEXIST);
	assert_int_equal(yg_bind(a.s, s, (struct sockaddr *)&at, sizeof(at)), 0);
	n_listed = 0;
	yg_sockets(a.s, count_socket, NULL);
	assert_int_equal(n_listed, 1);
	assert_int_equal(yg_sendto(a.s, s, "x", 1, 0, (struct sockaddr *)&far, sizeof(far)), -ENETUNREACH);
	assert_int_equal(yg_route_add(a.s, (struct sockaddr *)&net, 16, (struct sockaddr *)&other), 0);
	before = a.n_out;
	assert_int_equal(yg_sendto(a.s, s, "x", 1, 0, (struct sockaddr *)&far, sizeof(far)), 1);
	run_all(&now, now + MS);
	assert_int_equal(a.n_out, before + 1);
	yg_drops(b.s, count_drop, &n_dropped);
	/* It, and what was to tell a so: b knows no way back to that address. */
	assert_int_equal(n_dropped, 2);
	assert_int_equal(yg_route_del(a.s, (struct sockaddr *)&net, 16), 0);
	assert_int_equal(yg_route_del(a.s, (struct sockaddr *)&net, 16), -ENOENT);
	assert_int_equal(yg_sendto(a.s, s, "x", 1, 0, (struct sockaddr *)&far, sizeof(far)), -ENETUNREACH);
	assert_int_equal(yg_address_del(a.s, (struct sockaddr *)&second), 0);
	assert_int_equal(yg_address_del(a.s, (struct sockaddr *)&second), -EADDRNOTAVAIL);
	assert_int_equal(yg_close(a.s, s), 0);
	s = yg_socket(a.s, AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(yg_bind(a.s, s, (struct sockaddr *)&at, sizeof(at)), -EADDRNOTAVAIL);
	end();
}

static void count_no_buffer(void *ctx, const char *name, uint64_t n, const char *what, const char *hint)
{
	if (strcmp(name, "no-buffer") == 0)
		*(uint64_t *)ctx = n;
}

/* Would catch: a frame as long as a link can have it that finds no room; one for which there is no memory and that
 * vanishes without a name. */
static void test_memory(void **state)
{
	enum { N = 200 }; /* more than the config has large ones */
	struct yg_packet *p[N];
	uint64_t n_dropped = 0;
	int n = 0;

	begin(YG_ETHERNET);
	assert_null(yg_packet_alloc(a.s, 65535 + 15));
	yg_drops(a.s, count_no_buffer, &n_dropped);
	assert_int_equal(n_dropped, 0);
	while (n < N && (p[n] = yg_packet_alloc(a.s, 65535 + 14)) != NULL)
		n++;
	assert_in_range(n, 1, N - 1);
	check_law(&a);
	yg_drops(a.s, count_no_buffer, &n_dropped);
	assert_int_equal(n_dropped, 1);
	while (n > 0)
		yg_packet_free(a.s, p[--n]);
	end();
}

/* Would catch: a config that is none and is taken, and one of an older header that is not. */
static void test_configs(void **state)
{
	struct yg_stack_config c = { .size = sizeof(c), .output = give, .address = "10.0.0.1/33" };

	assert_string_equal(yg_version(), "0.1.0");
	assert_null(yg_stack_create(&c));
	c.address = "10.0.0.1";
	c.gateway = "10.0.0";
	assert_null(yg_stack_create(&c));
	c.gateway = NULL;
	c.congestion = "vegas";
	assert_null(yg_stack_create(&c));
	c.size = offsetof(struct yg_stack_config, address);
	struct yg_stack *s = yg_stack_create(&c);

	assert_non_null(s);
	yg_stack_destroy(s);
	c.size = sizeof(c);
	c.congestion = NULL;
	c.output = NULL;
	assert_null(yg_stack_create(&c));
}

/* Would catch: a stack that is destroyed in the middle of everything and leaves something. */
static void test_destroy(void **state)
{
	struct sockaddr_in any = name_of(0, PORT), to = name_of(0x0a000002, PORT);

	begin(0);
	a.is_lent = b.is_lent = 1;
	int l = yg_socket(b.s, AF_INET, SOCK_STREAM, 0), u = yg_socket(b.s, AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(yg_bind(b.s, l, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(yg_bind(b.s, u, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(yg_listen(b.s, l, 4), 0);
	for (int i = 0; i < 4; i++) {
		int c = yg_socket(a.s, AF_INET, SOCK_STREAM, 0), d = yg_socket(a.s, AF_INET, SOCK_DGRAM, 0);

		(void)yg_connect(a.s, c, (struct sockaddr *)&to, sizeof(to));
		run_all(&now, now + MS);
		assert_int_equal(yg_send(a.s, c, "unread", 6, 0), 6);
		assert_int_equal(yg_sendto(a.s, d, "unread", 6, 0, (struct sockaddr *)&to, sizeof(to)), 6);
	}
	end();
}

/* Would catch: a checksum that its sender left to a device that says nothing of it, taken for a wrong one; and by a
 * stack that was not told of such a device, for a good one. */
static void test_untold_checksum(void **state)
{
	/* 10.0.0.9 to 10.0.0.1, UDP from 9 to PORT, "four"; the checksum is the pseudo header's sum: 0a00 + 0009 + 0a00
	 * + 0001 + 0011 + 000c. */
	static const uint8_t packet[] = { 0x45, 0, 0, 32, 0, 0, 0, 0,    64, 17, 0x66, 0xc4, 10,  0,   0,   9,
					  10,   0, 0, 1,  0, 9, 0, PORT, 0,  12, 0x14, 0x27, 'f', 'o', 'u', 'r' };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	char got[8];

	for (uint32_t flags = 0; flags <= YG_CHECKSUM_UNTOLD; flags += YG_CHECKSUM_UNTOLD) {
		begin_end(&a, &b, "10.0.0.1/24", flags);
		int fd = yg_socket(a.s, AF_INET, SOCK_DGRAM, 0);

		assert_int_equal(yg_bind(a.s, fd, (struct sockaddr *)&at, sizeof(at)), 0);
		assert_int_equal(yg_input_bytes(a.s, packet, sizeof(packet), 2000), 0);
		assert_int_equal(yg_recv(a.s, fd, got, sizeof(got), 0), flags != 0 ? 4 : -EAGAIN);
		yg_stack_destroy(a.s);
	}
}

static void take_back(void *ctx, uint64_t cookie)
{
	*(uint64_t *)ctx += cookie;
}

/* Would catch: lent bytes for which there was no packet, and which came and were dropped for nobody who asks; that they
 * are given back by the stack too. */
static void test_no_packet_to_wrap(void **state)
{
	enum { N_PACKETS = 64 };
	static uint8_t bytes[YG_HEADROOM + 20];
	struct yg_stack_config c = { .size = sizeof(c), .output = give, .ctx = &a, .n_packets = N_PACKETS };
	struct yg_packet *p[4 * N_PACKETS];
	struct yg_law law = { .size = sizeof(law) };
	uint64_t n_back = 0, n_no_buffer = 0;
	unsigned int n = 0;

	a = (struct end){ .s = yg_stack_create(&c) };
	assert_non_null(a.s);
	assert_null(yg_packet_wrap(a.s, bytes, sizeof(bytes), YG_HEADROOM, 21, take_back, &n_back, 1));
	while (n < 4 * N_PACKETS &&
	       (p[n] = yg_packet_wrap(a.s, bytes, sizeof(bytes), YG_HEADROOM, 20, take_back, &n_back, 1)) != NULL)
		n++;
	assert_true(n < 4 * N_PACKETS);
	yg_law(a.s, &law);
	yg_drops(a.s, count_no_buffer, &n_no_buffer);
	assert_int_equal(law.received, n + 1);
	assert_int_equal(n_no_buffer, 1);
	assert_true(law.holds);
	assert_int_equal(n_back, 0);
	for (unsigned int i = 0; i < n; i++)
		yg_packet_free(a.s, p[i]);
	assert_int_equal(n_back, n);
	yg_stack_destroy(a.s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ip),        cmocka_unit_test(test_ethernet),
		cmocka_unit_test(test_acks_wait), cmocka_unit_test(test_lent),
		cmocka_unit_test(test_wait),      cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_trace),     cmocka_unit_test(test_configs),
		cmocka_unit_test(test_destroy),   cmocka_unit_test(test_untold_checksum),
		cmocka_unit_test(test_memory),    cmocka_unit_test(test_no_packet_to_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
