/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The gateway's own host, by the public headers alone: behind wan0 is a stack of the library, with which it speaks past
 * rules and connection tracking, and one behind lan0; and next hops that are lost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <yangguan/event.h>
#include <yangguan/forward.h>
#include <yangguan/gateway.h>
#include <yangguan/socket.h>

#define MS 1000000u
#define OURS "203.0.113.1"
#define PEER "203.0.113.254"

static struct yg_gateway *gw;
static struct yg_stack *host, *peer, *client;
static int lan, wan, other;
static uint64_t now;
static char why[512];
static unsigned int n_left[5]; /* packets, by interface */
static int told_ready;
static uint64_t told_deadline;

/* --- the wire --- */

static int from_gateway(void *ctx, unsigned int interface, const struct yg_frame *f, unsigned int n)
{
	struct yg_stack *to = (int)interface == wan ? peer : (int)interface == lan ? client : NULL;

	for (unsigned int i = 0; i < n; i++) {
		assert_true(interface < sizeof(n_left) / sizeof(n_left[0]));
		n_left[interface]++;
		if (to != NULL)
			assert_int_equal(yg_input_bytes(to, f[i].bytes, f[i].len, now), 0);
	}
	return (int)n;
}

/* ctx: the stack that it is from. */
static int to_gateway(void *ctx, struct yg_packet *const *p, unsigned int n)
{
	struct yg_stack *from = *(struct yg_stack **)ctx;
	int interface = from == peer ? wan : lan;

	for (unsigned int i = 0; i < n; i++) {
		struct yg_frame f = { .bytes = yg_packet_data(p[i], from), .len = yg_packet_len(p[i], from) };

		assert_int_equal(yg_gateway_input(gw, (unsigned int)interface, &f, 1, now), 1);
		yg_packet_free(from, p[i]);
	}
	return (int)n;
}

static void changed(void *ctx, uint64_t deadline, int ready)
{
	told_deadline = deadline;
	told_ready = ready;
}

/* How calls of either wait: the next deadline comes. */
static int wait_for_time(void *ctx, uint64_t deadline)
{
	uint64_t next = yg_next_deadline(peer);

	next = yg_gateway_next_deadline(gw) < next ? yg_gateway_next_deadline(gw) : next;
	next = deadline < next ? deadline : next;
	if (next == YG_NEVER)
		return -EIO;
	now = next > now ? next : now + 1;
	yg_gateway_run(gw, now);
	yg_run(peer, now);
	return 0;
}

/* --- the gateway --- */

static const struct yg_gateway_interface interfaces[] = {
	{ .size = sizeof(interfaces[0]), .name = "lan0", .address = "10.77.0.1/24" },
	{ .size = sizeof(interfaces[0]), .name = "wan0", .address = OURS "/24", .flags = YG_INTERFACE_MASQUERADE },
	{ .size = sizeof(interfaces[0]), .name = "wan1", .address = "198.51.100.1/24" },
};
static const struct yg_gateway_policy rules = {
	.size = sizeof(rules),
	.text = "table ip t {\n"
		"chain in { type filter hook input priority 0; policy accept;\n"
		"tcp dport 81 counter drop\n}\n"
		"chain out { type filter hook output priority 0; policy accept;\n"
		"tcp dport 82 counter reject with tcp reset\nudp dport 83 counter\n}\n}\n",
	.interface = interfaces,
	.n_interfaces = 3,
};

static struct yg_stack *create_stack(struct yg_stack **where, const char *address, const char *gateway)
{
	struct yg_stack_config c = { .size = sizeof(c),
				     .output = to_gateway,
				     .ctx = where,
				     .seed = { 2 },
				     .now = now,
				     .address = address,
				     .gateway = gateway,
				     .n_packets = 1024,
				     .n_sockets = 64 };
	struct yg_stack *s = yg_stack_create(&c);

	assert_non_null(s);
	return s;
}

static void start(uint32_t parts, const struct yg_gateway_policy *policy)
{
	struct yg_gateway_config c = { .size = sizeof(c),
				       .parts = parts,
				       .output = from_gateway,
				       .changed = changed,
				       .seed = { 1 },
				       .now = 1000 * MS,
				       .n_packets = 1024,
				       .n_connections = 1024 };

	now = c.now;
	told_ready = 0;
	gw = yg_gateway_create(&c, policy, why, sizeof(why));
	if (gw == NULL)
		fail_msg("%s", why);
	host = yg_gateway_stack(gw);
	peer = client = NULL;
	lan = yg_gateway_attach(gw, "lan0", NULL, now);
	wan = yg_gateway_attach(gw, "wan0", NULL, now);
	other = yg_gateway_attach(gw, "wan1", NULL, now);
	assert_true(lan > 0 && wan > 0 && other > 0);
	peer = create_stack(&peer, PEER "/24", OURS);
	client = create_stack(&client, "10.77.0.2/24", "10.77.0.1");
	yg_set_wait(host, wait_for_time, NULL);
	yg_set_wait(peer, wait_for_time, NULL);
	memset(n_left, 0, sizeof(n_left));
}

static void end(void)
{
	struct yg_law law = { .size = sizeof(law) }, of_host = { .size = sizeof(of_host) };

	yg_gateway_law(gw, &law);
	assert_true(law.holds);
	yg_law(host, &of_host);
	assert_memory_equal(&law, &of_host, sizeof(law));
	yg_stack_destroy(peer);
	yg_stack_destroy(client);
	peer = client = NULL;
	yg_gateway_destroy(gw);
}

static struct sockaddr_in at(const char *address, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET, address, &in.sin_addr), 1);
	return in;
}

static int listener(struct yg_stack *s, const char *address, uint16_t port)
{
	struct sockaddr_in in = at(address, port);
	int fd = yg_socket(s, AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(yg_bind(s, fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(yg_listen(s, fd, 8), 0);
	return fd;
}

static int try_connect(struct yg_stack *s, const char *address, uint16_t port, int *fd)
{
	struct sockaddr_in in = at(address, port);
	unsigned int five_s = 5000;

	*fd = yg_socket(s, AF_INET, SOCK_STREAM, 0);
	assert_true(*fd >= 0);
	assert_int_equal(yg_setsockopt(s, *fd, IPPROTO_TCP, 18 /* TCP_USER_TIMEOUT */, &five_s, sizeof(five_s)), 0);
	return yg_connect(s, *fd, (struct sockaddr *)&in, sizeof(in));
}

static void exchange(struct yg_stack *from, int a, struct yg_stack *to, int b)
{
	char got[16];

	assert_int_equal(yg_send(from, a, "there", 5, 0), 5);
	assert_int_equal(yg_recv(to, b, got, sizeof(got), 0), 5);
	assert_memory_equal(got, "there", 5);
}

static struct yg_connection seen;
static unsigned int n_seen;

static void see(void *ctx, const struct yg_connection *c)
{
	if (((const struct sockaddr_in *)&c->destination)->sin_port != htons(*(uint16_t *)ctx))
		return;
	seen = *c;
	n_seen++;
}

/* Connections to a port. */
static unsigned int look(uint16_t port)
{
	n_seen = 0;
	yg_gateway_connections(gw, see, &port);
	return n_seen;
}

static uint64_t n_counted;

static void count(void *ctx, const struct yg_rule *r)
{
	if (r->text != NULL && strstr(r->text, ctx) != NULL)
		n_counted = r->packets;
}

static uint64_t counted(const char *text)
{
	n_counted = UINT64_MAX;
	yg_gateway_rules(gw, count, (void *)(uintptr_t)text);
	return n_counted;
}

/* Would catch: a host that nothing reaches, or past the rules; its connections tracked nowhere. */
static void test_tcp(void **state)
{
	int c, fd;

	start(YG_GATEWAY_NAT, &rules);
	int l = listener(host, OURS, 80), closed = listener(host, OURS, 81);

	assert_int_equal(try_connect(peer, OURS, 80, &c), 0);
	int a = yg_accept(host, l, NULL, NULL);

	assert_true(a >= 0);
	exchange(peer, c, host, a);
	exchange(host, a, peer, c);
	assert_int_equal(look(80), 1);
	assert_true(seen.is_assured);
	assert_string_equal(seen.state, "ESTABLISHED");

	/* INPUT */
	assert_int_equal(try_connect(peer, OURS, 81, &fd), -ETIMEDOUT);
	assert_true(counted("dport 81") > 0);
	assert_int_equal(look(81), 0);
	assert_int_equal(yg_fcntl(host, closed, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(yg_accept(host, closed, NULL, NULL), -EAGAIN);

	/* OUTPUT, and the other way round. */
	assert_int_equal(try_connect(host, PEER, 82, &fd), -ECONNREFUSED);
	assert_int_equal(counted("dport 82"), 1);
	l = listener(peer, PEER, 84);
	assert_int_equal(try_connect(host, PEER, 84, &fd), 0);
	a = yg_accept(peer, l, NULL, NULL);
	assert_true(a >= 0);
	exchange(host, fd, peer, a);
	exchange(peer, a, host, fd);
	assert_int_equal(look(84), 1);
	assert_int_equal(seen.reply_packets > 0, 1);

	/* Nobody is there: its timers are the gateway's (RFC 6298 section 2.1: a second). */
	struct sockaddr_in nobody = at("10.77.0.9", 80);

	fd = yg_socket(host, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(yg_connect(host, fd, (struct sockaddr *)&nobody, sizeof(nobody)), -EINPROGRESS);
	assert_true(yg_gateway_next_deadline(gw) <= now + UINT64_C(1000) * MS);

	/* Both ends go with all that is open. */
	end();
}

/* Would catch: a program that waits and is not told; a time that the host's calls have and the gateway not. */
static void test_events(void **state)
{
	struct epoll_event e = { .events = EPOLLIN, .data = { .u32 = 7 } };
	struct sockaddr_in in = at(OURS, 5000);
	char bytes[8];

	start(YG_GATEWAY_NAT, &rules);
	int fd = yg_socket(host, AF_INET, SOCK_DGRAM, 0), ep = yg_epoll_create(host);
	int from = yg_socket(peer, AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(yg_bind(host, fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(yg_epoll_ctl(host, ep, EPOLL_CTL_ADD, fd, &e), 0);
	assert_int_equal(told_ready, 0);
	now += 5 * MS;
	assert_int_equal(yg_sendto(peer, from, "x", 1, 0, (struct sockaddr *)&in, sizeof(in)), 1);
	assert_int_equal(told_ready, 1);
	assert_int_equal(told_deadline, yg_next_deadline(host));
	assert_int_equal(told_deadline, yg_gateway_next_deadline(gw));
	assert_int_equal(yg_now(host), now);
	assert_int_equal(yg_epoll_wait(host, ep, &e, 1, 0), 1);
	assert_int_equal(e.data.u32, 7);
	assert_int_equal(yg_recv(host, fd, bytes, sizeof(bytes), 0), 1);
	assert_int_equal(yg_epoll_wait(host, ep, &e, 1, 0), 0);
	assert_int_equal(told_ready, 0);

	/* By completion; one is never done. */
	struct yg_op ops[] = { { .kind = YG_OP_RECV, .fd = fd, .bytes = bytes, .len = sizeof(bytes), .user_data = 5 },
			       { .kind = YG_OP_RECV, .fd = fd, .bytes = bytes, .len = sizeof(bytes), .user_data = 6 } };
	struct yg_done done[2];

	assert_int_equal(yg_submit(host, ops, 2), 2);
	assert_int_equal(yg_reap(host, done, 2), 0);
	assert_int_equal(yg_sendto(peer, from, "yz", 2, 0, (struct sockaddr *)&in, sizeof(in)), 2);
	assert_int_equal(yg_reap(host, done, 2), 1);
	assert_int_equal(done[0].user_data, 5);
	assert_int_equal(done[0].result, 2);
	end();
}

static void forwarded(void *ctx, const struct yg_flow *flow)
{
}

static void released(void *ctx, uint64_t cookie)
{
}

/* Would catch: a host that changes its gateway behind the policy's back, or ends without it. */
static void test_what_is_the_gateways(void **state)
{
	struct sockaddr_in in = at("192.0.2.1", 0);
	char bytes[64];

	struct yg_gateway_interface plain[3] = { interfaces[0], interfaces[1], interfaces[2] };

	plain[1].flags = 0;
	start(0, &(struct yg_gateway_policy){ .size = sizeof(rules), .interface = plain, .n_interfaces = 3 });
	assert_int_equal(yg_address_add(host, (struct sockaddr *)&in, 24), -EOPNOTSUPP);
	assert_int_equal(yg_address_del(host, (struct sockaddr *)&in), -EOPNOTSUPP);
	assert_int_equal(yg_route_add(host, (struct sockaddr *)&in, 32, NULL), -EOPNOTSUPP);
	assert_int_equal(yg_route_del(host, (struct sockaddr *)&in, 32), -EOPNOTSUPP);
	assert_int_equal(yg_forward(host, forwarded, NULL, 0), -EOPNOTSUPP);
	assert_int_equal(yg_input_bytes(host, bytes, sizeof(bytes), now), -EOPNOTSUPP);
	assert_null(yg_packet_alloc(host, sizeof(bytes)));
	assert_null(yg_packet_wrap(host, bytes, sizeof(bytes), YG_HEADROOM, 20, released, NULL, 0));
	yg_stack_destroy(host);
	/* A router without rules and connections has a host too. */
	int fd, l = listener(host, OURS, 80);

	assert_int_equal(try_connect(peer, OURS, 80, &fd), 0);
	exchange(peer, fd, host, yg_accept(host, l, NULL, NULL));
	end();
}

/* --- fail-over --- */

static const struct yg_gateway_policy two_ways = {
	.size = sizeof(two_ways),
	.text = "route 0.0.0.0/0 via " PEER ";\nroute 0.0.0.0/0 via 198.51.100.254 metric 10;\n",
	.interface = interfaces,
	.n_interfaces = 3,
};

static int hop(const char *address, int interface, int is_up)
{
	struct sockaddr_in in = at(address, 0);

	return yg_gateway_next_hop(gw, (unsigned int)interface, (struct sockaddr *)&in, is_up, now += MS);
}

/* A datagram of a socket to far away: the interface by which it left. */
static int way_of(struct yg_stack *s, int fd)
{
	struct sockaddr_in to = at("8.8.8.8", 53);

	memset(n_left, 0, sizeof(n_left));
	now += MS;
	yg_run(client, now);
	assert_int_equal(yg_sendto(s, fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	assert_int_equal(n_left[wan] + n_left[other], 1);
	return n_left[wan] == 1 ? wan : other;
}

/* Would catch: flows that go on by a next hop that is lost, the host's or others'; one that never comes back; what is
 * said of an interface that has left, believed of the next one with its number. */
static void test_next_hop(void **state)
{
	/* Each kind of gateway looks flows up in its own way. */
	for (uint32_t parts = 0; parts <= YG_GATEWAY_NAT; parts = parts == 0 ? YG_GATEWAY_RULES : parts * 2) {
		struct yg_gateway_interface plain[3] = { interfaces[0], interfaces[1], interfaces[2] };
		struct yg_gateway_policy p = two_ways;

		p.interface = plain;
		plain[1].flags = 0;
		start(parts, &p);
		int ours = yg_socket(host, AF_INET, SOCK_DGRAM, 0), theirs = yg_socket(client, AF_INET, SOCK_DGRAM, 0);

		for (int i = 0; i < 3; i++) {
			assert_int_equal(way_of(client, theirs), wan);
			assert_int_equal(way_of(host, ours), wan);
		}
		assert_int_equal(hop(PEER, wan, 1), -EALREADY);
		assert_int_equal(hop(PEER, 9, 0), -ENODEV);
		assert_int_equal(hop(PEER, wan, 0), 0);
		assert_int_equal(hop(PEER, wan, 0), -EALREADY);
		assert_int_equal(way_of(client, theirs), other);
		assert_int_equal(way_of(host, ours), other);

		/* A change of the policy is none of the neighbour. */
		assert_int_equal(yg_gateway_configure(gw, &p, now, why, sizeof(why)), 0);
		assert_int_equal(way_of(client, theirs), other);
		assert_int_equal(hop(PEER, wan, 1), 0);
		assert_int_equal(way_of(client, theirs), wan);
		assert_int_equal(way_of(host, ours), wan);

		/* The last one of the second way: whose interface leaves. */
		assert_int_equal(hop("198.51.100.254", other, 0), 0);
		p.text = NULL;
		p.n_interfaces = 2;
		assert_int_equal(yg_gateway_configure(gw, &p, now, why, sizeof(why)), 0);
		assert_int_equal(hop("198.51.100.254", other, 0), -ENODEV);
		p.n_interfaces = 3;
		plain[2].name = "wan2";
		assert_int_equal(yg_gateway_configure(gw, &p, now, why, sizeof(why)), 0);
		assert_int_equal(yg_gateway_attach(gw, "wan2", NULL, now), other);
		assert_int_equal(hop("198.51.100.254", other, 1), -EALREADY);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_what_is_the_gateways),
		cmocka_unit_test(test_next_hop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
