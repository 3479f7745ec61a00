/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sockets of the host that are bound to a device (SO_BINDTODEVICE), behind 1, 2 and 4 workers: two uplinks with a
 * default route each, of which wan0 has the better one, and a network behind wan0 that lan1 leads to by a shorter
 * prefix. What is expected is what Linux 6.18 does with the same devices and routes, but where a row says so.
 *
 *   lan0 10.77.0.1/16      no default route
 *   wan0 203.0.113.1/24    default, metric 0; 192.0.2.0/24
 *   lan1 10.88.0.1/16      default, metric 10; 192.0.0.0/16
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>

#include "workers_fixture.h"
#include "stack/ip/route.h"
#include "stack/socket/abi.h"
#include "stack/socket/socket.h"
#include "stack/wire/l4.h"

#define LAN_ADDR IP4(10, 77, 0, 1)
#define WAN_ADDR IP4(203, 0, 113, 1)
#define LAN1_ADDR IP4(10, 88, 0, 1)

static const char rules[] = "interface lan1 { address 10.88.0.1/16; }\n"
			    "route 192.0.2.0/24 via 203.0.113.254;\n"
			    "route 192.0.0.0/16 via 10.88.0.254;\n"
			    "route 198.18.0.0/15 blackhole;\n"
			    "route 20.0.0.0/8 via 203.0.113.254 via 10.88.0.254;\n"
			    "route 0.0.0.0/0 via 10.88.0.254 metric 10;\n"
			    "table ip filter { chain out { type filter hook output priority filter; policy accept;\n"
			    "  meta mark 7 drop } }\n"
			    "table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
			    "  oifname \"wan0\" masquerade } }\n";

struct town {
	struct fixture *fixture;
	struct gateway *host;
	uint32_t n;
	enum fixture_side side;
	uint32_t src;
	uint8_t flags;
};

static void seen(struct fixture *r, enum fixture_side side, struct packet *p, const struct ipv4_view *ip,
		 const struct l4_view *l4)
{
	struct town *t = r->ctx;

	(void)p;
	if (ip->proto != IPPROTO_NR_UDP && ip->proto != IPPROTO_NR_TCP)
		return;
	t->n++;
	t->side = side;
	t->src = ip->src;
	t->flags = l4->flags;
}

static void move(struct town *t)
{
	workers_flush(t->fixture->workers, t->fixture->n, t->fixture->now);
	fixture_run(t->fixture);
}

static struct yg_sockaddr_in at(uint32_t addr, uint16_t port)
{
	return (struct yg_sockaddr_in){ .family = YG_AF_INET, .port = be16_of(port), .addr = be32_of(addr) };
}

static int open_on(struct town *t, int type, const char *device)
{
	struct sockets *ss = gateway_sockets(t->host);
	int s = socket_open(ss, YG_AF_INET, type | YG_SOCK_NONBLOCK, 0);

	assert_true(s >= 0);
	if (device != NULL)
		assert_int_equal(socket_set_option(ss, s, YG_SOL_SOCKET, YG_SO_BINDTODEVICE, device,
						   (uint32_t)strlen(device) + 1),
				 0);
	return s;
}

static const struct row {
	const char *device;
	uint32_t dst;
	int error; /* of send; with it nothing leaves */
	enum fixture_side side;
	uint32_t src;
} row[] = {
	{ NULL, IP4(9, 9, 9, 9), 0, FIXTURE_WAN, WAN_ADDR },
	{ "wan0", IP4(9, 9, 9, 9), 0, FIXTURE_WAN, WAN_ADDR },
	/* The same prefix, the worse route. */
	{ "lan1", IP4(9, 9, 9, 9), 0, FIXTURE_LAN1, LAN1_ADDR },
	/* A shorter prefix. */
	{ NULL, IP4(192, 0, 2, 1), 0, FIXTURE_WAN, WAN_ADDR },
	{ "lan1", IP4(192, 0, 2, 1), 0, FIXTURE_LAN1, LAN1_ADDR },
	/* None at all: on the link. */
	{ "lan0", IP4(9, 9, 9, 9), 0, FIXTURE_LAN, LAN_ADDR },
	{ "lan0", IP4(10, 88, 0, 9), 0, FIXTURE_LAN, LAN_ADDR },
	/* An address of ours on another device: as any other, out and into the world. */
	{ "lan1", WAN_ADDR, 0, FIXTURE_LAN1, LAN1_ADDR },
	/* Refused by the routes: Linux takes it to be on the link. */
	{ "lan1", IP4(198, 18, 0, 1), EINVAL, FIXTURE_LAN1, 0 },
};

static void try_row(struct town *t, const struct row *r, int type)
{
	struct sockets *ss = gateway_sockets(t->host);
	struct yg_sockaddr_in to = at(r->dst, 80);
	int s = open_on(t, type, r->device);

	t->n = 0;
	for (int i = 0; i < (type == YG_SOCK_DGRAM ? 3 : 1); i++) {
		int64_t rc = type == YG_SOCK_DGRAM ? socket_sendto(ss, s, "x", 1, 0, &to, sizeof(to))
						   : socket_connect(ss, s, &to, sizeof(to));

		if (r->error != 0)
			assert_true(type == YG_SOCK_DGRAM ? rc == -r->error : rc < 0 && rc != -EINPROGRESS);
		else
			assert_int_equal(rc, type == YG_SOCK_DGRAM ? 1 : -EINPROGRESS);
		move(t);
		assert_int_equal(t->n, r->error != 0 ? 0 : i + 1);
		if (r->error == 0 && (t->side != r->side || t->src != r->src))
			fail_msg("row %d, type %d: side %d source %08x", (int)(r - row), type, t->side, t->src);
	}
	assert_int_equal(socket_close(ss, s), 0);
	move(t);
}

/* What is asked about a flow over several next hops (yangguan why) is the one by which its packets go. */
static void several(struct town *t)
{
	struct sockets *ss = gateway_sockets(t->host);
	uint32_t n[N_FIXTURE_SIDES] = { 0 };

	for (uint32_t i = 0; i < 32; i++) {
		struct yg_sockaddr_in to = at(IP4(20, 0, 0, 1) + i, 80), own;
		int s = open_on(t, YG_SOCK_DGRAM, NULL);
		struct fib_nexthop room;
		uint32_t len = sizeof(own);

		assert_int_equal(socket_sendto(ss, s, "x", 1, 0, &to, sizeof(to)), 1);
		move(t);
		n[t->side]++;
		assert_int_equal(socket_name(ss, s, &own, &len), 0);
		struct ip_flow f = {
			.dst = be32_get(to.addr), .sport = be16_get(own.port), .dport = 80, .proto = IPPROTO_NR_UDP
		};

		assert_int_equal(ip_route_flow(gateway_ip(t->host), 0, &f, 0, &room)->ifindex,
				 t->fixture->ifindex[t->side]);
		assert_int_equal(socket_close(ss, s), 0);
	}
	assert_true(n[FIXTURE_WAN] > 0 && n[FIXTURE_LAN1] > 0);
}

/* A datagram's own device, in IP_PKTINFO, and one that is none. */
static void told_each(struct town *t)
{
	struct sockets *ss = gateway_sockets(t->host);
	struct yg_sockaddr_in to = at(IP4(9, 9, 9, 9), 80);
	struct {
		struct yg_cmsghdr head;
		struct yg_in_pktinfo info;
	} control = { .head = { .len = sizeof(control.head) + sizeof(control.info),
				.level = YG_SOL_IP,
				.type = YG_IP_PKTINFO } };
	char byte = 0;
	struct span v = { &byte, 1 };
	struct yg_msghdr m = { .name = &to,
			       .name_len = sizeof(to),
			       .iov = &v,
			       .n_iov = 1,
			       .control = &control,
			       .control_len = sizeof(control) };
	int s = open_on(t, YG_SOCK_DGRAM, NULL);

	control.info.ifindex = (int)t->fixture->ifindex[FIXTURE_LAN1];
	assert_int_equal(socket_sendmsg(ss, s, &m, 0), 1);
	move(t);
	assert_int_equal(t->side, FIXTURE_LAN1);
	control.info.ifindex = 1 << 20;
	assert_int_equal(socket_sendmsg(ss, s, &m, 0), -ENODEV);
	assert_int_equal(socket_close(ss, s), 0);
}

/* SO_MARK goes the same way. */
static void marked(struct town *t)
{
	struct sockets *ss = gateway_sockets(t->host);
	struct yg_sockaddr_in to = at(IP4(9, 9, 9, 9), 80);
	int s = open_on(t, YG_SOCK_DGRAM, NULL);

	t->n = 0;
	for (int mark = 7; mark < 9; mark++) {
		assert_int_equal(socket_set_option(ss, s, YG_SOL_SOCKET, YG_SO_MARK, &mark, sizeof(mark)), 0);
		assert_int_equal(socket_sendto(ss, s, "x", 1, 0, &to, sizeof(to)), 1);
		move(t);
	}
	assert_int_equal(t->n, 1);
	assert_int_equal(fixture_dropped(t->fixture, DROP_RULE_DROP), 1);
	assert_int_equal(socket_close(ss, s), 0);
}

static void all_rows(struct town *t)
{
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		try_row(t, &row[i], YG_SOCK_DGRAM);
		try_row(t, &row[i], YG_SOCK_STREAM);
	}
}

/* A listener on lan1 answers there whoever asks, also one to whom the better route is by wan0. */
static void listener(struct town *t)
{
	struct sockets *ss = gateway_sockets(t->host);
	struct yg_sockaddr_in here = at(0, 8080);
	int s = open_on(t, YG_SOCK_STREAM, "lan1");
	struct packet_spec syn = {
		.src = IP4(9, 9, 9, 9), .dst = LAN1_ADDR, .sport = 1000, .dport = 8080, .proto = IPPROTO_NR_TCP
	};

	assert_int_equal(socket_bind(ss, s, &here, sizeof(here)), 0);
	assert_int_equal(socket_listen(ss, s, 5), 0);
	t->n = 0;
	fixture_put(t->fixture, FIXTURE_LAN1, &syn);
	fixture_run(t->fixture);
	assert_int_equal(t->n, 1);
	assert_int_equal(t->side, FIXTURE_LAN1);
	assert_int_equal(t->flags, TCP_SYN | TCP_ACK);
	assert_int_equal(socket_close(ss, s), 0);
	move(t);
}

/* One flow that is answered, so that the flow cache has it: as the socket is bound to lan1, to nothing and to lan1
 * again it leaves by lan1, by the best route and by lan1. */
static void bound_and_unbound(struct town *t)
{
	struct sockets *ss = gateway_sockets(t->host);
	struct yg_sockaddr_in to = at(IP4(9, 9, 9, 9), 80), own = at(LAN1_ADDR, 5000);
	int s = open_on(t, YG_SOCK_DGRAM, NULL);
	struct packet_spec back = {
		.src = IP4(9, 9, 9, 9), .dst = LAN1_ADDR, .sport = 80, .dport = 5000, .proto = IPPROTO_NR_UDP
	};

	assert_int_equal(socket_bind(ss, s, &own, sizeof(own)), 0);
	for (uint32_t i = 0; i < 12; i++) {
		bool is_bound = i / 4 != 1;
		const char *device = is_bound ? "lan1" : "";

		assert_int_equal(socket_set_option(ss, s, YG_SOL_SOCKET, YG_SO_BINDTODEVICE, device,
						   (uint32_t)strlen(device) + 1),
				 0);
		t->n = 0;
		assert_int_equal(socket_sendto(ss, s, "x", 1, 0, &to, sizeof(to)), 1);
		move(t);
		assert_int_equal(t->n, 1);
		if (t->side != (is_bound ? FIXTURE_LAN1 : FIXTURE_WAN))
			fail_msg("datagram %u: side %d", i, t->side);
		if (i >= 4)
			continue;
		fixture_put(t->fixture, FIXTURE_LAN1, &back);
		fixture_run(t->fixture);
	}
	assert_int_equal(socket_close(ss, s), 0);
	move(t);
}

/* What a bound socket says to another here arrives, by the flow cache at last; the answer comes by no device, so it
 * does not hear it. */
static void to_ourselves(struct town *t)
{
	struct sockets *ss = gateway_sockets(t->host);
	struct yg_sockaddr_in there = at(LAN1_ADDR, 5001), own = at(LAN1_ADDR, 5002);
	int s = open_on(t, YG_SOCK_DGRAM, "lan1"), peer = open_on(t, YG_SOCK_DGRAM, NULL);
	char byte;

	assert_int_equal(socket_bind(ss, s, &own, sizeof(own)), 0);
	assert_int_equal(socket_bind(ss, peer, &there, sizeof(there)), 0);
	t->n = 0;
	for (int i = 0; i < 6; i++) {
		assert_int_equal(socket_sendto(ss, s, "x", 1, 0, &there, sizeof(there)), 1);
		move(t);
		assert_int_equal(socket_recv(ss, peer, &byte, 1, 0), 1);
		assert_int_equal(socket_sendto(ss, peer, "x", 1, 0, &own, sizeof(own)), 1);
		move(t);
		assert_int_equal(socket_recv(ss, s, &byte, 1, 0), -EAGAIN);
	}
	assert_int_equal(t->n, 0);
	assert_int_equal(socket_close(ss, s), 0);
	assert_int_equal(socket_close(ss, peer), 0);
	move(t);
}

/* Would catch: a socket that is bound to a device and leaves by another; one that finds no route but the best, or only
 * routes of the longest prefix; a device that is forgotten between the host and the worker, before or behind OUTPUT,
 * between one packet of a flow and the next, or that the flow cache has for who is not bound; an answer of a listener
 * that leaves by another; a mark that rules do not see; what goes to ourselves and leaves, or is lost. */
static void test_devices(void **state)
{
	static const uint32_t n_workers[] = { 1, 2, 4 };

	(void)state;
	for (uint32_t i = 0; i < ARRAY_LEN(n_workers); i++) {
		struct town t = { .fixture = fixture_start_with_host(n_workers[i], rules, 4096) };

		t.fixture->ctx = &t;
		t.fixture->seen = seen;
		t.host = workers_gateway(t.fixture->workers, n_workers[i]);
		all_rows(&t);
		bound_and_unbound(&t);
		to_ourselves(&t);
		listener(&t);
		several(&t);
		told_each(&t);
		marked(&t);
		fixture_check_law(t.fixture);
		fixture_stop(t.fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_devices) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
