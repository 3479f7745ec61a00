/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Operations that are submitted and reaped (yangguan/event.h), between two stacks on a virtual clock.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <yangguan/event.h>
#include <yangguan/info.h>
#include <yangguan/socket.h>
#include <yangguan/stack.h>

#define MS UINT64_C(1000000)
#define TOTAL 3000000

static struct yg_stack *at[2];
static int ready[2];
static uint64_t now;

static int give(void *ctx, struct yg_packet *const *p, unsigned int n)
{
	int own = ctx == &ready[1];

	for (unsigned int i = 0; i < n; yg_packet_free(at[own], p[i++]))
		assert_int_equal(yg_input_bytes(at[!own], yg_packet_data(p[i], at[own]), yg_packet_len(p[i], at[own]),
						yg_now(at[own])),
				 0);
	return (int)n;
}

static void changed(void *ctx, uint64_t deadline, int is_ready)
{
	*(int *)ctx = is_ready;
}

static int setup(void **state)
{
	struct yg_stack_config c = { .size = sizeof(c),
				     .output = give,
				     .changed = changed,
				     .now = 1000 * MS,
				     .n_sockets = 64,
				     .n_packets = 4096 };

	now = c.now;
	for (int i = 0; i < 2; i++) {
		c.ctx = &ready[i];
		c.seed[0] = (uint8_t)(i + 1);
		c.address = i == 0 ? "10.0.0.1/24" : "10.0.0.2/24";
		ready[i] = 0;
		at[i] = yg_stack_create(&c);
		assert_non_null(at[i]);
	}
	return 0;
}

static int teardown(void **state)
{
	for (int i = 0; i < 2; i++) {
		struct yg_law law = { .size = sizeof(law) };

		yg_law(at[i], &law);
		assert_true(law.holds);
	}
	yg_stack_destroy(at[0]);
	yg_stack_destroy(at[1]);
	return 0;
}

static int submit(int i, struct yg_op op)
{
	return yg_submit(at[i], &op, 1);
}

static struct yg_done reap_one(int i)
{
	struct yg_done d;

	assert_true(ready[i]);
	assert_int_equal(yg_reap(at[i], &d, 1), 1);
	return d;
}

static void expect_nothing(int i)
{
	struct yg_done d;

	assert_int_equal(yg_reap(at[i], &d, 1), 0);
	assert_false(ready[i]);
}

static int listener(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(7) };
	int fd = yg_socket(at[1], AF_INET, SOCK_STREAM, 0);

	assert_int_equal(yg_bind(at[1], fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(yg_listen(at[1], fd, 8), 0);
	return fd;
}

/* Both ends of a connection, made by operations. */
static void connected(int *c, int *s)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(7), .sin_addr = { htonl(0x0a000002) } };
	int l = listener();
	struct yg_done d;

	assert_int_equal(submit(1, (struct yg_op){ .kind = YG_OP_ACCEPT, .fd = l, .user_data = 1 }), 1);
	expect_nothing(1);
	*c = yg_socket(at[0], AF_INET, SOCK_STREAM, 0);
	assert_int_equal(submit(0, (struct yg_op){ .kind = YG_OP_CONNECT,
						   .fd = *c,
						   .addr = (struct sockaddr *)&to,
						   .addr_len = sizeof(to),
						   .user_data = 2 }),
			 1);
	/* Copied. */
	memset(&to, 0, sizeof(to));
	d = reap_one(0);
	assert_int_equal(d.user_data, 2);
	assert_int_equal(d.result, 0);
	d = reap_one(1);
	assert_int_equal(d.user_data, 1);
	assert_int_equal(d.kind, YG_OP_ACCEPT);
	*s = (int)d.result;
	assert_true(*s > 0);
	expect_nothing(0);
	expect_nothing(1);
}

/* Would catch: an operation that is never done, done twice, or of which the program is not woken; a send that is done
 * before all was taken; bytes in another order. */
static void test_stream(void **state)
{
	static uint8_t out[TOTAL], in[TOTAL];
	uint32_t n_in = 0, n_sent = 0;
	int c, s;

	connected(&c, &s);
	for (uint32_t i = 0; i < TOTAL; i++)
		out[i] = (uint8_t)(i * 7 + i / 251);
	/* Two, one behind the other. */
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(submit(0, (struct yg_op){ .kind = YG_OP_SEND,
							   .fd = c,
							   .bytes = out + i * (TOTAL / 2),
							   .len = TOTAL / 2,
							   .user_data = 10 + i }),
				 1);
	assert_int_equal(submit(1, (struct yg_op){ .kind = YG_OP_RECV, .fd = s, .bytes = in, .len = TOTAL }), 1);
	for (uint32_t turns = 0; n_in < TOTAL; turns++) {
		struct yg_done d;

		assert_true(turns < 100000);
		now += MS;
		yg_run(at[0], now);
		yg_run(at[1], now);
		while (ready[0] && yg_reap(at[0], &d, 1) == 1) {
			assert_int_equal(d.user_data, 10 + n_sent++);
			assert_int_equal(d.result, TOTAL / 2);
		}
		while (ready[1] && yg_reap(at[1], &d, 1) == 1) {
			assert_true(d.result > 0);
			n_in += (uint32_t)d.result;
			assert_int_equal(submit(1, (struct yg_op){ .kind = YG_OP_RECV,
								   .fd = s,
								   .bytes = in + n_in,
								   .len = TOTAL - n_in + 1 }),
					 1);
		}
	}
	assert_int_equal(n_sent, 2);
	assert_memory_equal(in, out, TOTAL);
	assert_int_equal(submit(0, (struct yg_op){ .kind = YG_OP_CLOSE, .fd = c }), 1);
	assert_int_equal(reap_one(0).result, 0);
	/* The receive that waits yet gets the end. */
	assert_int_equal(reap_one(1).result, 0);
	expect_nothing(1);
}

/* Would catch: an operation that outlives its socket, or is tried on the next one with its number. */
static void test_cancelled(void **state)
{
	char b[8];
	int c, s;

	connected(&c, &s);
	assert_int_equal(submit(0, (struct yg_op){ .kind = YG_OP_RECV, .fd = c, .bytes = b, .len = 8, .user_data = 3 }),
			 1);
	assert_int_equal(submit(0, (struct yg_op){ .kind = YG_OP_RECV, .fd = c, .bytes = b, .len = 8, .user_data = 4 }),
			 1);
	expect_nothing(0);
	assert_int_equal(submit(0, (struct yg_op){ .kind = YG_OP_CLOSE, .fd = c, .user_data = 5 }), 1);
	for (uint64_t i = 3; i <= 5; i++) {
		struct yg_done d = reap_one(0);

		assert_int_equal(d.user_data, i);
		assert_int_equal(d.result, i == 5 ? 0 : -ECANCELED);
	}
	expect_nothing(0);
	assert_int_equal(submit(1, (struct yg_op){ .kind = YG_OP_RECV, .fd = s, .bytes = b, .len = 8 }), 1);
	assert_int_equal(reap_one(1).result, 0);
	/* By yg_close too. */
	int u = yg_socket(at[1], AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(submit(1, (struct yg_op){ .kind = YG_OP_RECV, .fd = u, .bytes = b, .len = 8 }), 1);
	assert_int_equal(yg_close(at[1], u), 0);
	assert_int_equal(reap_one(1).result, -ECANCELED);
	expect_nothing(1);
}

/* Would catch: nonsense that is taken. */
static void test_errors(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = { htonl(0x0a000002) } };
	char b[8];
	int c = yg_socket(at[0], AF_INET, SOCK_STREAM, 0);

	assert_int_equal(submit(0, (struct yg_op){ .kind = 99, .fd = c }), 1);
	assert_int_equal(reap_one(0).result, -EINVAL);
	assert_int_equal(submit(0, (struct yg_op){ .kind = YG_OP_RECV, .fd = 9999, .bytes = b, .len = 8 }), 1);
	assert_int_equal(reap_one(0).result, -EBADF);
	assert_int_equal(submit(0, (struct yg_op){ .kind = YG_OP_CONNECT, .fd = c }), 1);
	assert_int_equal(reap_one(0).result, -EINVAL);
	assert_int_equal(submit(0, (struct yg_op){ .kind = YG_OP_CONNECT,
						   .fd = c,
						   .addr = (struct sockaddr *)&to,
						   .addr_len = sizeof(to) }),
			 1);
	assert_int_equal(reap_one(0).result, -ECONNREFUSED);
	/* As many as there is room for, and then the rest. */
	int u = yg_socket(at[0], AF_INET, SOCK_DGRAM, 0), n = 0;

	while (submit(0, (struct yg_op){ .kind = YG_OP_RECV, .fd = u, .bytes = b, .len = 8 }) == 1)
		n++;
	assert_true(n > 64);
	assert_int_equal(yg_close(at[0], u), 0);
	for (struct yg_done d; n > 0; n--)
		assert_int_equal(yg_reap(at[0], &d, 1), 1);
	expect_nothing(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancelled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
