/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ports of one address that the host's sockets and NAT both take of: whatever is a
 * socket's NAT gives to nobody, and whatever NAT has no socket draws, at whichever worker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "workers_fixture.h"
#include "stack/ip/local.h"

#define LAN_ADDR IP4(10, 77, 0, 1)
#define WAN_ADDR IP4(203, 0, 113, 1)
#define CLIENT IP4(10, 77, 1, 0)
#define SERVER IP4(198, 51, 100, 1)
#define PORT_FIRST 40000u
#define PORT_LAST 40127u /* two blocks */
#define N_PORTS (PORT_LAST - PORT_FIRST + 1)

static const char rules[] = "table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
			    "  oifname \"wan0\" ip protocol udp masquerade to :40000-40127 } }\n";

static const char plain[] = "table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
			    "  oifname \"wan0\" masquerade } }\n";

struct town {
	struct fixture *fixture;
	struct ip_stack *host;
	uint32_t n_of[N_PORTS]; /* packets with that source port */
	uint32_t n_left;
};

static void seen(struct fixture *r, enum fixture_side side, struct packet *p, const struct ipv4_view *ip,
		 const struct l4_view *l4)
{
	struct town *t = r->ctx;

	(void)p;
	if (side != FIXTURE_WAN || l4->kind != L4_UDP)
		return;
	assert_int_equal(ip->src, WAN_ADDR);
	assert_in_range(l4->sport, PORT_FIRST, PORT_LAST);
	t->n_of[l4->sport - PORT_FIRST]++;
	t->n_left++;
}

/* A flow of a client each. */
static void flows(struct town *t, uint32_t first, uint32_t n, uint32_t server)
{
	for (uint32_t i = 0; i < n; i++) {
		struct packet_spec p = { .src = CLIENT + (first + i) % 200,
					 .dst = server,
					 .sport = (uint16_t)(3000 + (first + i) / 200),
					 .dport = 53,
					 .proto = IPPROTO_NR_UDP,
					 .payload_len = 8 };

		fixture_put(t->fixture, FIXTURE_LAN, &p);
	}
	fixture_run(t->fixture);
}

static bool may_draw(struct town *t, uint32_t addr, uint32_t port)
{
	bool may = ip_port_take(t->host, IPPROTO_NR_UDP, addr, (uint16_t)port, PORTS_SOCKET_DRAWN);

	if (may)
		ip_port_leave(t->host, IPPROTO_NR_UDP, addr, (uint16_t)port);
	return may;
}

static void open_port(struct town *t, uint32_t addr, uint32_t port)
{
	assert_true(ip_port_take(t->host, IPPROTO_NR_UDP, addr, (uint16_t)port, PORTS_SOCKET_WANTED));
	assert_int_equal(ip_port_open(t->host, IPPROTO_NR_UDP, addr, (uint16_t)port, IP_PORT_BOUND), 0);
	ip_port_leave(t->host, IPPROTO_NR_UDP, addr, (uint16_t)port);
}

static void each_size(const char *config, void (*test)(struct town *t))
{
	static const uint32_t n_workers[] = { 1, 2, 4 };

	for (uint32_t i = 0; i < ARRAY_LEN(n_workers); i++) {
		struct town t = { .fixture = fixture_start_with_host(n_workers[i], config, 4096) };

		t.fixture->ctx = &t;
		t.fixture->seen = seen;
		t.host = gateway_ip(workers_gateway(t.fixture->workers, n_workers[i]));
		test(&t);
		fixture_check_law(t.fixture);
		fixture_stop(t.fixture);
	}
}

/* Every other port is a socket's, on the address or on any: the others are all used, and each of them once. */
static void sockets_first(struct town *t)
{
	for (uint32_t port = PORT_FIRST; port <= PORT_LAST; port += 2)
		open_port(t, port % 4 == 0 ? WAN_ADDR : 0, port);
	flows(t, 0, N_PORTS / 4, SERVER);
	for (uint32_t i = 0; i < N_PORTS; i++)
		assert_true(t->n_of[i] <= i % 2);
	assert_int_equal(t->n_left, N_PORTS / 4);
	assert_int_equal(fixture_dropped_all(t->fixture), 0);
	/* Many more than there are ports: they share what is NAT's, towards other servers. */
	for (uint32_t i = 1; i < 8; i++)
		flows(t, 1000 * i, N_PORTS / 4, SERVER + i);
	for (uint32_t i = 0; i < N_PORTS; i += 2)
		assert_int_equal(t->n_of[i], 0);
	assert_int_equal(t->n_left, 8 * N_PORTS / 4);

	/* Those of an address alone are closed. */
	for (uint32_t port = PORT_FIRST; port <= PORT_LAST; port += 4)
		ip_port_close(t->host, IPPROTO_NR_UDP, WAN_ADDR, (uint16_t)port, IP_PORT_BOUND);
	uint32_t n_before = t->n_left, n_new = 0;

	flows(t, 20000, N_PORTS / 2, SERVER + 100);
	assert_int_equal(t->n_left, n_before + N_PORTS / 2);
	for (uint32_t i = 0; i < N_PORTS; i += 4) {
		n_new += t->n_of[i];
		assert_int_equal(t->n_of[i + 2], 0);
	}
	assert_true(n_new > 0);
}

/* Would catch: a port of a socket that NAT gives out, unused or shared, at any worker; one that it never gives out
 * again; NAT that does not find the ports that are left. */
static void test_sockets_first(void **state)
{
	(void)state;
	each_size(rules, sockets_first);
}

static void nat_first(struct town *t)
{
	flows(t, 0, N_PORTS / 2, SERVER);
	for (uint32_t i = 0; i < N_PORTS; i++) {
		assert_int_equal(may_draw(t, WAN_ADDR, PORT_FIRST + i), t->n_of[i] == 0);
		assert_int_equal(may_draw(t, 0, PORT_FIRST + i), t->n_of[i] == 0);
		assert_true(may_draw(t, LAN_ADDR, PORT_FIRST + i));
	}
	/* Who asks for one by its number gets it, and NAT's flow goes on. */
	uint32_t used = 0;

	while (t->n_of[used] == 0)
		used++;
	open_port(t, 0, PORT_FIRST + used);
	flows(t, 0, N_PORTS / 2, SERVER);
	assert_int_equal(t->n_of[used], 2);
	flows(t, 5000, N_PORTS / 2, SERVER + 1);
	assert_int_equal(t->n_of[used], 2);
	fixture_wait(t->fixture, 400 * NS_PER_S);
	assert_int_equal(fixture_n_connections(t->fixture), 0);
	for (uint32_t i = 0; i < N_PORTS; i++)
		assert_true(may_draw(t, WAN_ADDR, PORT_FIRST + i));
}

/* Would catch: a port of NAT's that a socket draws; one that it may not draw when NAT has let go of it, or on another
 * address; a bind that breaks the flows that were there, or NAT that gives the port to more. */
static void test_nat_first(void **state)
{
	(void)state;
	each_size(rules, nat_first);
}

/* A packet of the host's own goes out with the port that its socket has. */
static void own_port(struct town *t)
{
	uint32_t len = UDP_HEADER_LEN + 8;
	struct packet *q;

	open_port(t, 0, 40001);
	gateway_set_time(workers_gateway(t->fixture->workers, t->fixture->n), t->fixture->now);
	q = ip_packet_new(t->host, 0, SERVER, IPPROTO_NR_UDP, len);
	assert_non_null(q);
	memset(packet_l4(q), 0x55, len);
	udp_emit(packet_l4(q), 40001, 53, 8);
	l4_checksum_set(&q->ip, packet_l4(q), len);
	assert_int_equal(l4_parse(&q->ip, packet_l4(q), len, &q->l4), L4_OK);
	ip_local_out_one(t->host, q);
	workers_flush(t->fixture->workers, t->fixture->n, t->fixture->now);
	fixture_run(t->fixture);
	assert_int_equal(t->n_left, 1);
	assert_int_equal(t->n_of[1], 1);
}

/* Would catch: masquerade that gives a socket's packets another port than the socket has. */
static void test_own_port(void **state)
{
	(void)state;
	each_size(plain, own_port);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sockets_first),
		cmocka_unit_test(test_nat_first),
		cmocka_unit_test(test_own_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
