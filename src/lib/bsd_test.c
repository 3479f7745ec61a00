/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The calls in BSD's shapes, by their plain names: on two stacks that one thread changes between, which give each other
 * their packets.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include <yangguan/stack.h>

#define YG_BSD_NAMES
#include <yangguan/bsd.h>

#define MS 1000000u
#define UNTOUCHED 12345

YG_BSD_STACK;

static struct yg_stack *at[2]; /* 10.0.0.1 and 10.0.0.2 */
static uint64_t now;

static int give(void *ctx, struct yg_packet *const *p, unsigned int n)
{
	struct yg_stack *own = at[ctx != NULL], *other = at[ctx == NULL];

	for (unsigned int i = 0; i < n; yg_packet_free(own, p[i++]))
		if (other != NULL)
			(void)yg_input_bytes(other, yg_packet_data(p[i], own), yg_packet_len(p[i], own), now);
	return (int)n;
}

static int go_on(void *ctx, uint64_t deadline)
{
	now += MS;
	yg_run(at[0], now);
	yg_run(at[1], now);
	return 0;
}

static void begin(void)
{
	struct yg_stack_config c = { .size = sizeof(c), .output = give, .address = "10.0.0.1/24", .n_packets = 1024 };

	now = 1000;
	at[0] = yg_stack_create(&c);
	c.ctx = at;
	c.address = "10.0.0.2/24";
	at[1] = yg_stack_create(&c);
	assert_true(at[0] != NULL && at[1] != NULL);
	yg_bsd_stack = at[0];
	errno = UNTOUCHED;
}

static void end(void)
{
	yg_stack_destroy(at[0]);
	yg_stack_destroy(at[1]);
	at[0] = at[1] = NULL;
}

static struct sockaddr_in name_of(uint32_t addr, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(addr) } };

	return in;
}

#define assert_fails(call, error) \
	do { \
		assert_int_equal(call, -1); \
		assert_int_equal(errno, error); \
		errno = UNTOUCHED; \
	} while (0)

/* Would catch: a call that gives another result than -1 where it fails, loses the reason, or has errno changed where it
 * does not fail. */
static void test_errno(void **state)
{
	struct sockaddr_in to = name_of(0x0a000002, 7), name;
	socklen_t len = sizeof(name);
	char b[8];
	int n, size = sizeof(n);

	begin();
	assert_fails(socket(AF_INET, 77, 0), EINVAL);
	assert_fails(close(77), EBADF);
	assert_fails(fcntl(77, F_GETFL), EBADF);
	assert_fails(epoll_create1(1), EINVAL);
	int s = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(s >= 3);
	assert_fails(read(s, b, sizeof(b)), ENOTCONN);
	assert_fails(getpeername(s, (struct sockaddr *)&name, &len), ENOTCONN);
	assert_int_equal(getsockname(s, (struct sockaddr *)&name, &len), 0);
	assert_int_equal(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)), 0);
	assert_int_equal(getsockopt(s, SOL_SOCKET, SO_REUSEADDR, &n, (socklen_t *)&size), 0);
	assert_int_equal(n, 1);
	/* Nobody has said how to wait. */
	assert_fails(connect(s, (struct sockaddr *)&to, sizeof(to)), EINPROGRESS);
	go_on(NULL, 0);
	assert_int_equal(getsockopt(s, SOL_SOCKET, SO_ERROR, &n, (socklen_t *)&size), 0);
	assert_int_equal(n, ECONNREFUSED);
	assert_int_equal(fcntl(s, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(s, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(fcntl(s, F_SETFD, FD_CLOEXEC), 0);
	assert_int_equal(fcntl(s, F_GETFD), FD_CLOEXEC);
	assert_int_equal(close(s), 0);
	assert_int_equal(errno, UNTOUCHED);
	end();
}

/* Would catch: a call that goes to another stack than the thread's; one that does not wait though it can. */
static void test_two_stacks(void **state)
{
	struct sockaddr_in any = name_of(0, 7), to = name_of(0x0a000002, 7);
	struct iovec v = { (char[4]){ 0 }, 4 };
	char b[8];
	int n;

	begin();
	yg_set_wait(at[0], go_on, NULL);
	yg_set_wait(at[1], go_on, NULL);
	yg_bsd_stack = at[1];
	int l = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(l, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(listen(l, 1), 0);
	yg_bsd_stack = at[0];
	int c = socket(AF_INET, SOCK_STREAM, 0);

	/* The first of each. */
	assert_int_equal(c, l);
	assert_int_equal(connect(c, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(write(c, "abcd", 4), 4);
	yg_bsd_stack = at[1];
	int d = accept(l, NULL, NULL);
	struct pollfd p = { .fd = d, .events = POLLIN };

	assert_int_equal(poll(&p, 1, -1), 1);
	assert_int_equal(ioctl(d, FIONREAD, &n), 0);
	assert_int_equal(n, 4);
	assert_int_equal(readv(d, &v, 1), 4);
	assert_memory_equal(v.iov_base, "abcd", 4);
	assert_int_equal(writev(d, &v, 1), 4);
	assert_int_equal(shutdown(d, SHUT_WR), 0);
	yg_bsd_stack = at[0];
	assert_int_equal(recv(c, b, sizeof(b), MSG_WAITALL), 4);
	assert_int_equal(read(c, b, sizeof(b)), 0);
	assert_int_equal(close(c), 0);
	assert_int_equal(errno, UNTOUCHED);
	end();
}

static void *ask_for_stack(void *ctx)
{
	*(struct yg_stack **)ctx = yg_bsd_stack;
	yg_bsd_stack = at[1];
	return NULL;
}

/* Would catch: a stack that is another thread's too. */
static void test_threads(void **state)
{
	struct yg_stack *seen = at[1];
	pthread_t t;

	begin();
	assert_int_equal(pthread_create(&t, NULL, ask_for_stack, &seen), 0);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_null(seen);
	assert_ptr_equal(yg_bsd_stack, at[0]);
	end();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_two_stacks),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
