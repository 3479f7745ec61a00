/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Several workers as one gateway, in one thread, every frame at a random worker: TCP connections that nearly use up a
 * small pool, end, and begin again on the same tuples, with 1, 2 and 4 workers and from one client or many. Each keeps
 * its outside port, whichever worker had one for it. The law is checked for each worker and in sum.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "workers_fixture.h"

#define CLIENT IP4(10, 77, 1, 0)
#define SERVER IP4(198, 51, 100, 1)
#define N_FLOWS 1000u /* of 1024 ports: most workers run dry, and a port drawn again would be another */

static const char rules[] = "pool one { 203.0.113.16; ports 2048-3071; }\n"
			    "table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
			    "  oifname \"wan0\" snat to pool one\n } }\n";

/* The last packet that left, by side. */
struct last {
	uint32_t n[N_FIXTURE_SIDES];
	uint32_t src;
	uint16_t sport;
};

static void seen(struct fixture *r, enum fixture_side side, struct packet *p, const struct ipv4_view *ip,
		 const struct l4_view *l4)
{
	struct last *last = r->ctx;

	(void)p;
	last->n[side]++;
	if (side == FIXTURE_WAN) {
		last->src = ip->src;
		last->sport = l4->sport;
	}
}

static struct packet_spec out_of(uint32_t k, uint32_t n_clients, uint8_t flags)
{
	return (struct packet_spec){ .src = CLIENT + k % n_clients,
				     .dst = SERVER,
				     .sport = (uint16_t)(10000 + k / n_clients),
				     .dport = 443,
				     .proto = IPPROTO_NR_TCP,
				     .flags = flags };
}

static void put(struct fixture *r, enum fixture_side side, const struct packet_spec *p)
{
	struct last *last = r->ctx;
	uint32_t before = last->n[!side];

	fixture_put(r, side, p);
	fixture_run(r);
	if (last->n[!side] != before + 1) {
		fixture_print_drops(r);
		fail_msg("%u workers: a packet did not come through", r->n);
	}
}

/* SYN to TIME_WAIT; the outside port. */
static uint16_t whole(struct fixture *r, uint32_t k, uint32_t n_clients)
{
	const uint8_t fin = TCP_FIN | TCP_ACK;
	const struct last *last = r->ctx;
	struct packet_spec syn = out_of(k, n_clients, TCP_SYN), ack = out_of(k, n_clients, TCP_ACK);

	put(r, FIXTURE_LAN, &syn);
	uint16_t port = last->sport;
	struct packet_spec back = {
		.src = SERVER,
		.dst = last->src,
		.sport = 443,
		.dport = port,
		.proto = IPPROTO_NR_TCP,
	};
	back.flags = TCP_SYN | TCP_ACK;
	put(r, FIXTURE_WAN, &back);
	put(r, FIXTURE_LAN, &ack);
	back.flags = fin;
	put(r, FIXTURE_WAN, &back);
	ack.flags = fin;
	put(r, FIXTURE_LAN, &ack);
	back.flags = TCP_ACK;
	put(r, FIXTURE_WAN, &back);
	return port;
}

/* Neighbours are asked for by every core; the first packets to each wait for that. */
static void warm_up(struct fixture *r, uint32_t n_clients)
{
	struct last *last = r->ctx;

	for (uint32_t i = 0; i < 8 * r->n; i++)
		for (uint32_t k = 0; k < n_clients; k++) {
			struct packet_spec p = out_of(k, n_clients, 0);

			p.proto = IPPROTO_NR_UDP;
			p.dport = (uint16_t)(7000 + i);
			fixture_put(r, FIXTURE_LAN, &p);
			fixture_run(r);
			struct packet_spec back = { .src = SERVER,
						    .dst = last->src,
						    .sport = p.dport,
						    .dport = last->sport,
						    .proto = IPPROTO_NR_UDP };
			fixture_put(r, FIXTURE_WAN, &back);
			fixture_run(r);
		}
}

static void check(uint32_t n_workers, uint32_t n_clients)
{
	static uint16_t port[N_FLOWS];
	struct fixture *r = fixture_start(n_workers, rules, 16384);
	struct last last = { 0 };

	r->ctx = &last;
	r->seen = seen;
	warm_up(r, n_clients);
	for (uint32_t k = 0; k < N_FLOWS; k++)
		port[k] = whole(r, k, n_clients);
	for (uint32_t round = 0; round < 2; round++)
		for (uint32_t k = 0; k < N_FLOWS; k++)
			assert_int_equal(whole(r, k, n_clients), port[k]);
	assert_int_equal(fixture_pools(r).n_used_tcp, N_FLOWS);
	assert_int_equal(fixture_dropped(r, DROP_NAT_EXHAUSTED), 0);
	/* And they come back. */
	fixture_wait(r, 1000 * NS_PER_S);
	assert_int_equal(fixture_n_connections(r), 0);
	assert_int_equal(fixture_pools(r).n_used_tcp, 0);
	fixture_stop(r);
}

/* Would catch: a port that changes with the worker, a connection that begins again beside its redirect, a port that is
 * lost in between. */
static void test_reopened(void **state)
{
	(void)state;
	for (uint32_t n_workers = 1; n_workers <= 4; n_workers *= 2) {
		check(n_workers, 1);
		check(n_workers, 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_reopened) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
