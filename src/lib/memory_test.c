/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Memory that there is not: a stack is made, used and ended, and the first request for memory fails, then the second,
 * and so on, until none does. Every request of the library's comes by the functions below, which the linker puts in
 * place of the C library's (--wrap), so they also know that everything was given back.
 *
 * Would catch: a result that nobody looks at, a half-made object that is ended as if it were whole, or is not.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <yangguan/event.h>
#include <yangguan/forward.h>
#include <yangguan/info.h>
#include <yangguan/socket.h>
#include <yangguan/stack.h>
#include <yangguan/zerocopy.h>

#define MS 1000000u

/* --- where the library's memory comes from --- */

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's names */
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *p, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
void __real_free(void *p);
void *__real_mmap64(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *p, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *p, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
void __wrap_free(void *p);
void *__wrap_mmap64(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *p, size_t bytes);
/* NOLINTEND(bugprone-reserved-identifier) */

static unsigned int n_asked, fails_at; /* 0: none */
static long n_pieces;
static size_t n_mapped;

static int may_have(void)
{
	return ++n_asked != fails_at;
}

static void *count(void *p)
{
	n_pieces += p != NULL;
	return p;
}

void *__wrap_malloc(size_t bytes)
{
	return may_have() ? count(__real_malloc(bytes)) : NULL;
}

void *__wrap_calloc(size_t n, size_t bytes)
{
	return may_have() ? count(__real_calloc(n, bytes)) : NULL;
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
	return may_have() ? count(__real_aligned_alloc(align, bytes)) : NULL;
}

void *__wrap_realloc(void *p, size_t bytes)
{
	if (!may_have())
		return NULL;
	n_pieces += p == NULL;
	return __real_realloc(p, bytes);
}

void __wrap_free(void *p)
{
	n_pieces -= p != NULL;
	__real_free(p);
}

void *__wrap_mmap64(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	if (!may_have())
		return MAP_FAILED;
	n_mapped += bytes;
	return __real_mmap64(at, bytes, prot, flags, fd, offset);
}

int __wrap_munmap(void *p, size_t bytes)
{
	n_mapped -= bytes;
	return __real_munmap(p, bytes);
}

/* --- what is done --- */

static uint64_t now;

/* Every packet comes back: the stack is its own peer. */
static int output(void *ctx, struct yg_packet *const *p, unsigned int n)
{
	struct yg_stack *s = *(struct yg_stack **)ctx;

	if (s != NULL)
		yg_input(s, p, n, now);
	return s != NULL ? (int)n : 0;
}

static void told(void *ctx, const struct yg_flow *flow)
{
	*(uint64_t *)ctx = flow->id;
}

static void traced(void *ctx, const struct yg_traced *packet)
{
}

static struct sockaddr_in at(const char *address, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET, address, &in.sin_addr), 1);
	return in;
}

/* A call may find no memory; what it says then is one of these. */
static int is_refused(int rc)
{
	return rc == -ENOMEM || rc == -ENOBUFS || rc == -EMFILE || rc == -EADDRINUSE;
}

#define ALLOWED(call) \
	do { \
		int rc_ = (call); \
		if (rc_ < 0 && !is_refused(rc_)) \
			fail_msg("request %u fails: %s gives %d", fails_at, #call, rc_); \
	} while (0)

static void pass(struct yg_stack *s, unsigned int ms)
{
	now += (uint64_t)ms * MS;
	yg_run(s, now);
}

/* Connections by TCP over loopback, traced and by completion. */
static void use_streams(struct yg_stack *s)
{
	struct sockaddr_in here = at("127.0.0.1", 80);
	int l = yg_socket(s, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), c, a;
	struct yg_op op = { .kind = YG_OP_RECV, .bytes = &now, .len = 0, .user_data = 1 };
	struct iovec room;

	ALLOWED(yg_bind(s, l, (struct sockaddr *)&here, sizeof(here)));
	ALLOWED(yg_listen(s, l, 8));
	ALLOWED(yg_trace(s, l, traced, NULL));
	c = yg_socket(s, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	(void)yg_connect(s, c, (struct sockaddr *)&here, sizeof(here));
	pass(s, 1);
	a = yg_accept(s, l, NULL, NULL);
	assert_true(a >= 0 || a == -EAGAIN || is_refused(a));
	if (a < 0)
		return;
	(void)yg_send(s, c, "there", 5, 0);
	if (yg_send_reserve(s, c, &room) == 0)
		ALLOWED(yg_send_commit(s, c, room.iov_len < 100 ? room.iov_len : 100, 0));
	pass(s, 50);
	op.fd = a;
	ALLOWED(yg_submit(s, &op, 1));
	ALLOWED(yg_close(s, c));
}

static void use_datagrams(struct yg_stack *s)
{
	struct sockaddr_in here = at("127.0.0.1", 53), far = at("192.0.2.9", 53);
	int u = yg_socket(s, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), r = yg_socket(s, AF_INET, SOCK_RAW, 89);
	struct ip_mreqn group = { .imr_multiaddr = at("239.1.2.3", 0).sin_addr, .imr_ifindex = 1 };
	char large[4000] = { 0 };

	assert_true(u >= 0 && r >= 0);
	ALLOWED(yg_bind(s, u, (struct sockaddr *)&here, sizeof(here)));
	ALLOWED(yg_setsockopt(s, u, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)));
	(void)yg_sendto(s, u, "x", 1, 0, (struct sockaddr *)&far, sizeof(far));
	/* In fragments. */
	(void)yg_sendto(s, u, large, sizeof(large), 0, (struct sockaddr *)&far, sizeof(far));
	pass(s, 1);
}

/* A flow to somebody else, who is forwarded for. */
static void use_forward(struct yg_stack *s)
{
	struct sockaddr_in far = at("198.51.100.7", 80);
	uint64_t flow = 0;
	int c;

	ALLOWED(yg_forward(s, told, &flow, 16));
	c = yg_socket(s, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	(void)yg_connect(s, c, (struct sockaddr *)&far, sizeof(far));
	pass(s, 1);
	if (flow != 0)
		ALLOWED(yg_flow_accept(s, flow));
	pass(s, 10);
}

static int has_route(struct yg_stack *s, const char *net, unsigned int len)
{
	struct sockaddr_in to = at(net, 0);

	return yg_route_del(s, (struct sockaddr *)&to, len) == 0;
}

/* A call that fails leaves everything as it was. */
static void use_addresses(struct yg_stack *s)
{
	struct sockaddr_in one = at("10.0.1.1", 0), two = at("10.0.1.2", 0);
	int rc = yg_address_add(s, (struct sockaddr *)&one, 24);

	ALLOWED(rc);
	if (rc != 0) {
		assert_false(has_route(s, "10.0.1.0", 24));
		assert_false(has_route(s, "10.0.1.255", 32));
		assert_false(has_route(s, "10.0.1.1", 32));
		return;
	}
	rc = yg_address_add(s, (struct sockaddr *)&two, 24);
	ALLOWED(rc);
	if (rc != 0) {
		assert_int_equal(yg_address_del(s, (struct sockaddr *)&one), 0);
		return;
	}
	rc = yg_address_del(s, (struct sockaddr *)&one);
	ALLOWED(rc);
	if (rc != 0)
		assert_int_equal(yg_address_del(s, (struct sockaddr *)&one), 0);
	assert_false(has_route(s, "10.0.1.1", 32));
	assert_true(has_route(s, "10.0.1.2", 32) && has_route(s, "10.0.1.255", 32) && has_route(s, "10.0.1.0", 24));
	assert_int_equal(yg_address_del(s, (struct sockaddr *)&two), 0);
}

/* Whether a stack came of it at all. */
static int live(void)
{
	static struct yg_stack *s;
	struct yg_stack_config c = { .size = sizeof(c),
				     .output = output,
				     .ctx = &s,
				     .seed = { 1 },
				     .now = now = 1000 * MS,
				     .address = "10.0.0.1/24",
				     .gateway = "10.0.0.254",
				     .n_sockets = 32,
				     .n_packets = 128 };
	struct sockaddr_in second = at("10.0.2.1", 0), net = at("10.9.0.0", 0), via = at("10.0.0.253", 0);

	s = NULL;
	s = yg_stack_create(&c);
	if (s == NULL)
		return 0;
	use_addresses(s);
	ALLOWED(yg_address_add(s, (struct sockaddr *)&second, 24));
	ALLOWED(yg_route_add(s, (struct sockaddr *)&net, 16, (struct sockaddr *)&via));
	(void)yg_route_del(s, (struct sockaddr *)&net, 16);
	ALLOWED(yg_epoll_create(s));
	use_streams(s);
	use_datagrams(s);
	use_forward(s);
	(void)yg_address_del(s, (struct sockaddr *)&second);
	for (int i = 0; i < 200; i++)
		pass(s, 100);

	struct yg_law law = { .size = sizeof(law) };

	yg_law(s, &law);
	assert_true(law.holds);
	yg_stack_destroy(s);
	return 1;
}

static void test_each_request_fails(void **state)
{
	unsigned int n_without = 0, n_all;

	fails_at = 0;
	n_asked = 0;
	assert_true(live());
	n_all = n_asked;
	assert_int_equal(n_pieces, 0);
	assert_int_equal(n_mapped, 0);
	/* What it takes to be made, and a good deal that is asked for later. */
	assert_true(n_all > 60);
	for (fails_at = 1; fails_at <= n_all; fails_at++) {
		n_asked = 0;
		n_without += live() == 0;
		if (n_pieces != 0 || n_mapped != 0)
			fail_msg("request %u fails: %ld pieces and %zu mapped bytes do not come back", fails_at,
				 n_pieces, n_mapped);
	}
	/* No stack for want of some, a stack for want of others. */
	assert_true(n_without > 30 && n_without < n_all);
}

/* Would catch: an address that could not be added, or taken away, and of which a part is in force. The table asks for
 * memory now and then only, so routes are added until each step of a call was where it does. */
static void test_addresses_whole_or_not(void **state)
{
	static struct yg_stack *s;
	struct yg_stack_config c = { .size = sizeof(c),
				     .output = output,
				     .ctx = &s,
				     .address = "10.0.0.1/24",
				     .n_sockets = 32,
				     .n_packets = 128 };
	unsigned int n_failed = 0;

	fails_at = 0;
	s = yg_stack_create(&c);
	assert_non_null(s);
	for (uint32_t i = 0; i < 4000; i++) {
		struct sockaddr_in net = at("100.0.0.0", 0), via = at("10.0.0.2", 0);

		net.sin_addr.s_addr = htonl(0x64000000 + (i << 12));
		via.sin_addr.s_addr = htonl(0x0a000002 + i);
		assert_int_equal(
			yg_route_add(s, (struct sockaddr *)&net, i % 3 == 0 ? 28 : 20, (struct sockaddr *)&via), 0);
		n_asked = 0;
		fails_at = 1 + i % 4;
		use_addresses(s);
		n_failed += n_asked >= fails_at;
		fails_at = 0;
	}
	assert_true(n_failed > 3);
	yg_stack_destroy(s);
}

static int swallow(void *ctx, struct yg_packet *const *p, unsigned int n)
{
	(void)ctx;
	(void)p;
	return (int)n;
}

/* Would catch: routes that come and go, or take each other's place, and leave something behind each time. */
static void test_routes_for_ever(void **state)
{
	struct yg_stack_config c = { .size = sizeof(c),
				     .output = swallow,
				     .address = "10.0.0.1/8",
				     .now = now,
				     .n_sockets = 32,
				     .n_packets = 128 };
	long n_after = 0;

	(void)state;
	fails_at = 0;
	struct yg_stack *s = yg_stack_create(&c);
	assert_non_null(s);
	for (uint32_t i = 0; i < 20000; i++) {
		struct sockaddr_in net = at("100.0.0.0", 0), via = at("10.0.0.2", 0);
		int goes = i >= 10000;

		via.sin_addr.s_addr = htonl(0x0a000002 + i);
		net.sin_addr.s_addr = htonl(0x64000000 + (goes ? i << 8 : 0));
		assert_int_equal(yg_route_add(s, (struct sockaddr *)&net, 24, (struct sockaddr *)&via), 0);
		if (goes)
			assert_int_equal(yg_route_del(s, (struct sockaddr *)&net, 24), 0);
		if (i == 1000)
			n_after = n_pieces;
		assert_true(i < 1000 || n_pieces <= n_after + 4);
	}
	yg_stack_destroy(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_each_request_fails),
					    cmocka_unit_test(test_addresses_whole_or_not),
					    cmocka_unit_test(test_routes_for_ever) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
