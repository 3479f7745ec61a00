/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Flows to addresses that are not the stack's own (yangguan/forward.h): a client's stack and one that stands in for
 * the rest of the world, on a virtual clock.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <yangguan/event.h>
#include <yangguan/forward.h>
#include <yangguan/info.h>
#include <yangguan/socket.h>
#include <yangguan/stack.h>

#define MS UINT64_C(1000000)
#define FLOWS_MAX 4096

static struct yg_stack *client, *proxy;
static uint64_t now;
static int is_cut; /* nothing gets to the proxy */

static struct yg_flow flow[FLOWS_MAX];
static uint32_t n_flows, n_gone;
static uint64_t gone;

static int to_proxy(void *ctx, struct yg_packet *const *p, unsigned int n)
{
	for (unsigned int i = 0; i < n; yg_packet_free(client, p[i++]))
		if (!is_cut)
			assert_int_equal(yg_input_bytes(proxy, yg_packet_data(p[i], client),
							yg_packet_len(p[i], client), yg_now(client)),
					 0);
	return (int)n;
}

static int to_client(void *ctx, struct yg_packet *const *p, unsigned int n)
{
	for (unsigned int i = 0; i < n; yg_packet_free(proxy, p[i++]))
		assert_int_equal(
			yg_input_bytes(client, yg_packet_data(p[i], proxy), yg_packet_len(p[i], proxy), yg_now(proxy)),
			0);
	return (int)n;
}

static void note(void *ctx, const struct yg_flow *f)
{
	assert_int_equal(f->size, sizeof(*f));
	if (f->is_gone) {
		n_gone++;
		gone = f->id;
		return;
	}
	assert_true(n_flows < FLOWS_MAX);
	flow[n_flows++] = *f;
}

static void run_until(uint64_t end)
{
	while (now < end) {
		uint64_t a = yg_next_deadline(client), b = yg_next_deadline(proxy), next = a < b ? a : b;

		now = next < end && next > now ? next : next <= now ? now + MS : end;
		yg_run(client, now);
		yg_run(proxy, now);
	}
}

static int setup(void **state)
{
	struct yg_stack_config c = { .size = sizeof(c),
				     .output = to_proxy,
				     .seed = { 1 },
				     .now = 1000 * MS,
				     .address = "10.0.0.1/24",
				     .gateway = "10.0.0.2",
				     .n_sockets = FLOWS_MAX,
				     .n_packets = 4096 };

	now = c.now;
	n_flows = n_gone = 0;
	is_cut = 0;
	client = yg_stack_create(&c);
	c.output = to_client;
	c.seed[0] = 2;
	c.address = "10.0.0.2/24";
	c.gateway = NULL;
	proxy = yg_stack_create(&c);
	assert_non_null(client);
	assert_non_null(proxy);
	assert_int_equal(yg_forward(proxy, note, NULL, 0), 0);
	return 0;
}

static int teardown(void **state)
{
	struct yg_law law = { .size = sizeof(law) };

	yg_law(proxy, &law);
	assert_true(law.holds);
	yg_stack_destroy(client);
	yg_stack_destroy(proxy);
	return 0;
}

static struct sockaddr_in name(const char *addr, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET, addr, &in.sin_addr), 1);
	return in;
}

static int begin(int type, const char *addr, uint16_t port)
{
	struct sockaddr_in in = name(addr, port);
	int fd = yg_socket(client, AF_INET, type, 0);
	int rc = yg_connect(client, fd, (struct sockaddr *)&in, sizeof(in));

	assert_true(fd >= 0);
	assert_int_equal(rc, type == SOCK_STREAM ? -EINPROGRESS : 0);
	return fd;
}

static int events_of(struct yg_stack *s, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	(void)yg_poll(s, &p, 1, 0);
	return p.revents;
}

static int error_of(struct yg_stack *s, int fd)
{
	int error = -1;
	socklen_t len = sizeof(error);

	assert_int_equal(yg_getsockopt(s, fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	return error;
}

static void assert_name(const struct sockaddr_storage *got, const char *addr, uint16_t port)
{
	struct sockaddr_in want = name(addr, port), in;

	memcpy(&in, got, sizeof(in));
	assert_int_equal(in.sin_addr.s_addr, want.sin_addr.s_addr);
	assert_int_equal(in.sin_port, want.sin_port);
}

/* Would catch: a SYN that is answered or refused before its owner has said so; a socket with other names, or that loses
 * bytes. */
static void test_accepted(void **state)
{
	struct sockaddr_storage own;
	socklen_t len = sizeof(own);
	char b[16];
	int c = begin(SOCK_STREAM, "93.184.216.34", 80);

	assert_int_equal(n_flows, 1);
	assert_int_equal(flow[0].protocol, IPPROTO_TCP);
	assert_name(&flow[0].to, "93.184.216.34", 80);
	/* It comes again and again, and is one flow. */
	run_until(now + 2500 * MS);
	assert_int_equal(n_flows, 1);
	assert_int_equal(events_of(client, c), 0);
	int s = yg_flow_accept(proxy, flow[0].id);

	assert_true(s >= 0);
	assert_int_equal(yg_flow_accept(proxy, flow[0].id), -ENOENT);
	assert_int_equal(events_of(client, c), POLLOUT);
	assert_int_equal(events_of(proxy, s), POLLOUT);
	assert_int_equal(yg_getsockname(proxy, s, (struct sockaddr *)&own, &len), 0);
	assert_name(&own, "93.184.216.34", 80);
	len = sizeof(own);
	assert_int_equal(yg_getpeername(client, c, (struct sockaddr *)&own, &len), 0);
	assert_name(&own, "93.184.216.34", 80);
	assert_int_equal(yg_send(client, c, "hello", 5, 0), 5);
	assert_int_equal(yg_recv(proxy, s, b, sizeof(b), 0), 5);
	assert_int_equal(yg_send(proxy, s, "well", 4, 0), 4);
	assert_int_equal(yg_recv(client, c, b, sizeof(b), 0), 4);
	assert_int_equal(yg_close(proxy, s), 0);
	assert_int_equal(yg_recv(client, c, b, sizeof(b), 0), 0);
	assert_int_equal(yg_close(client, c), 0);
	run_until(now + 200000 * MS);
	assert_int_equal(n_flows, 1);
	assert_int_equal(n_gone, 0);
}

/* Would catch: a refusal that does not arrive, or as something else. */
static void test_refused(void **state)
{
	static const struct {
		int how, error;
	} row[] = { { YG_REFUSE_RESET, ECONNREFUSED }, { 13, EHOSTUNREACH }, { 3, ECONNREFUSED } };

	for (uint32_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		int c = begin(SOCK_STREAM, "93.184.216.34", (uint16_t)(80 + i));

		assert_int_equal(yg_flow_refuse(proxy, flow[i].id, 16), -EINVAL);
		assert_int_equal(yg_flow_refuse(proxy, flow[i].id, row[i].how), 0);
		assert_int_equal(yg_flow_refuse(proxy, flow[i].id, row[i].how), -ENOENT);
		assert_int_equal(error_of(client, c), row[i].error);
	}
	/* Silence: it comes again, as another one. */
	begin(SOCK_STREAM, "93.184.216.34", 99);
	assert_int_equal(yg_flow_refuse(proxy, flow[n_flows - 1].id, YG_REFUSE_SILENT), 0);
	uint32_t n = n_flows;

	run_until(now + 1500 * MS);
	assert_int_equal(n_flows, n + 1);
	/* What is for the stack itself is its own business. */
	int c = begin(SOCK_STREAM, "10.0.0.2", 80);

	assert_int_equal(error_of(client, c), ECONNREFUSED);
	assert_int_equal(n_flows, n + 1);
}

/* Would catch: a client that gave up, by a reset or by silence, and of whom nobody hears; one that is told of twice. */
static void test_gives_up(void **state)
{
	int c = begin(SOCK_STREAM, "93.184.216.34", 80);

	/* Silence. One that still wants it is heard of for a minute. */
	run_until(now + 60000 * MS);
	assert_int_equal(n_gone, 0);
	assert_int_equal(yg_close(client, c), 0);
	run_until(now + 200000 * MS);
	assert_int_equal(n_gone, 1);
	assert_int_equal(gone, flow[0].id);
	assert_int_equal(yg_flow_accept(proxy, flow[0].id), -ENOENT);

	/* Another one by the same ends. */
	struct sockaddr_in own = name("10.0.0.1", 5000), to = name("93.184.216.34", 81);
	for (uint32_t i = 0; i < 2; i++) {
		c = yg_socket(client, AF_INET, SOCK_STREAM, 0);
		assert_int_equal(yg_bind(client, c, (struct sockaddr *)&own, sizeof(own)), 0);
		assert_int_equal(yg_connect(client, c, (struct sockaddr *)&to, sizeof(to)), -EINPROGRESS);
		assert_int_equal(yg_close(client, c), 0);
		run_until(now + 100 * MS);
	}
	assert_int_equal(n_flows, 3);
	assert_int_equal(n_gone, 2);
	assert_int_equal(gone, flow[1].id);

	/* Accepted, and then gone: an error of the socket. */
	is_cut = 1;
	int s = yg_flow_accept(proxy, flow[2].id);

	is_cut = 0;
	assert_true(s >= 0);
	run_until(now + 200000 * MS);
	assert_true(events_of(proxy, s) & (POLLERR | POLLHUP));
	assert_int_equal(n_gone, 2);
}

/* Would catch: datagrams that are lost while the flow is held, or come to another socket. */
static void test_datagrams(void **state)
{
	char b[16];
	int c = begin(SOCK_DGRAM, "192.0.2.53", 53), other = begin(SOCK_DGRAM, "192.0.2.53", 53);

	assert_int_equal(yg_send(client, c, "one", 3, 0), 3);
	assert_int_equal(yg_send(client, c, "two", 3, 0), 3);
	assert_int_equal(yg_send(client, other, "three", 5, 0), 5);
	assert_int_equal(n_flows, 2);
	assert_int_equal(flow[0].protocol, IPPROTO_UDP);
	assert_name(&flow[0].to, "192.0.2.53", 53);
	int s = yg_flow_accept(proxy, flow[0].id), t = yg_flow_accept(proxy, flow[1].id);

	assert_int_equal(yg_recv(proxy, s, b, sizeof(b), 0), 3);
	assert_memory_equal(b, "one", 3);
	assert_int_equal(yg_send(client, c, "four", 4, 0), 4);
	assert_int_equal(yg_recv(proxy, s, b, sizeof(b), 0), 3);
	assert_int_equal(yg_recv(proxy, s, b, sizeof(b), 0), 4);
	assert_int_equal(yg_recv(proxy, t, b, sizeof(b), 0), 5);
	assert_int_equal(yg_recv(proxy, t, b, sizeof(b), 0), -EAGAIN);
	assert_int_equal(yg_send(proxy, s, "answer", 6, 0), 6);
	assert_int_equal(yg_recv(client, c, b, sizeof(b), 0), 6);
	assert_int_equal(yg_recv(client, other, b, sizeof(b), 0), -EAGAIN);
	assert_int_equal(yg_close(proxy, s), 0);
	assert_int_equal(yg_close(proxy, t), 0);
	/* Refused. */
	assert_int_equal(yg_send(client, c, "five", 4, 0), 4);
	assert_int_equal(n_flows, 3);
	assert_int_equal(yg_flow_refuse(proxy, flow[2].id, YG_REFUSE_RESET), 0);
	assert_int_equal(yg_recv(client, c, b, sizeof(b), 0), -ECONNREFUSED);
	/* And one that is never decided. */
	assert_int_equal(yg_send(client, c, "six", 3, 0), 3);
	run_until(now + 60000 * MS);
	assert_int_equal(n_gone, 1);
}

static int taken;

static void accept_at_once(void *ctx, const struct yg_flow *f)
{
	if (!f->is_gone)
		taken = yg_flow_accept(proxy, f->id);
	assert_true(taken >= 0);
}

/* Would catch: a callback that may not call the stack; a limit that is small; a stack that forgets what it holds when
 * it ends, or holds it for ever. */
static void test_many_and_at_once(void **state)
{
	for (uint32_t i = 0; i < 3000; i++)
		begin(SOCK_STREAM, "93.184.216.34", (uint16_t)(1000 + i));
	assert_int_equal(n_flows, 3000);
	assert_int_equal(yg_forward(proxy, NULL, NULL, 0), 0);
	int c = begin(SOCK_STREAM, "93.184.216.34", 7);

	assert_int_equal(n_flows, 3000);
	assert_int_equal(events_of(client, c), 0);
	assert_int_equal(yg_forward(proxy, accept_at_once, NULL, 8), 0);
	c = begin(SOCK_STREAM, "93.184.216.34", 8);
	assert_int_equal(events_of(client, c), POLLOUT);
	assert_int_equal(yg_send(client, c, "x", 1, 0), 1);
	/* All others come again: those too that find no room at first. */
	assert_int_equal(yg_forward(proxy, note, NULL, 8), 0);
	for (uint32_t i = 0; i < 20; i++)
		begin(SOCK_STREAM, "93.184.216.34", (uint16_t)(9 + i));
	assert_int_equal(n_flows, 3008);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_accepted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gives_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_datagrams, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_and_at_once, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
