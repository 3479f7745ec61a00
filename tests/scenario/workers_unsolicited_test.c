/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What comes to a worker though another one knows of it. SYNs that nobody asked for,
 * to the gateway's own address (src/gateway/nat/unsolicited.c): a host inside has one
 * connection, which one worker has, and the SYNs go to ports of all of them. And
 * hosts inside that open to each other at their outside ends (src/gateway/nat/pending_open.c):
 * each is refused by the other one's worker until its own knows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/util.h"
#include "workers_fixture.h"
#include "stack/ports/port_blocks.h"

#define CLIENT IP4(10, 77, 1, 0)
#define SERVER IP4(198, 51, 100, 1)
#define WAN_ADDR IP4(203, 0, 113, 1)
#define POOL_ADDRESS IP4(203, 0, 113, 16)
#define N_SYNS 16u /* each to a block of ports of its own */
#define N_PAIRS 20u
#define PORT 5000

static const char rules[] = "table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
			    "  oifname \"wan0\" masquerade\n } }\n";

struct outside {
	uint32_t n_resets, n_others;
};

static void seen(struct fixture *r, enum fixture_side side, struct packet *p, const struct ipv4_view *ip,
		 const struct l4_view *l4)
{
	struct outside *o = r->ctx;

	(void)p;
	(void)ip;
	if (side != FIXTURE_WAN)
		return;
	if (l4->kind == L4_TCP && (l4->flags & TCP_RST) != 0)
		o->n_resets++;
	else
		o->n_others++;
}

static void put_syns(struct fixture *r, uint16_t sport)
{
	for (uint32_t i = 0; i < N_SYNS; i++) {
		const struct packet_spec syn = { .src = SERVER,
						 .dst = WAN_ADDR,
						 .sport = sport,
						 .dport = (uint16_t)(32768 + i * PORT_BLOCK_PORTS),
						 .proto = IPPROTO_NR_TCP,
						 .flags = TCP_SYN };
		fixture_put(r, FIXTURE_WAN, &syn);
	}
	fixture_run(r);
}

/* Would catch: a worker that has translated nothing to the address itself and so refuses at once what comes to its
 * ports, while another one's host inside is about to open a connection; and one that waits where nothing was ever
 * translated. */
static void test_own_address(void **state)
{
	static const uint32_t worker_groups[] = { 1, 2, 8 };

	(void)state;
	for (size_t c = 0; c < ARRAY_LEN(worker_groups); c++) {
		struct fixture *r = fixture_start(worker_groups[c], rules, 1024);
		struct outside o = { 0 };
		const struct packet_spec out = {
			.src = CLIENT, .dst = SERVER, .sport = 4000, .dport = 9, .proto = IPPROTO_NR_UDP
		};

		r->seen = seen;
		r->ctx = &o;
		put_syns(r, 5000);
		assert_int_equal(o.n_resets, N_SYNS);
		fixture_put(r, FIXTURE_LAN, &out);
		fixture_run(r);
		assert_int_equal(o.n_others, 1);
		put_syns(r, 5001);
		assert_int_equal(o.n_resets, N_SYNS);
		assert_int_equal(o.n_others, 1);
		assert_int_equal(fixture_dropped(r, DROP_NAT_UNSOLICITED), N_SYNS);
		fixture_stop(r);
	}
}

static const char *const meeting_rules[] = {
	"pool one { 203.0.113.16; mapping endpoint-independent; filtering address-and-port-dependent; }\n"
	"table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
	"  oifname \"wan0\" snat to pool one\n } }\n",
	"pool one { 203.0.113.16; mapping endpoint-independent; filtering address-dependent; }\n"
	"table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
	"  oifname \"wan0\" snat to pool one\n } }\n",
};

/* The last packet that left. */
struct last {
	uint32_t n[N_FIXTURE_SIDES];
	uint32_t src, dst;
	uint16_t sport, dport;
};

static void note_last(struct fixture *r, enum fixture_side side, struct packet *p, const struct ipv4_view *ip,
		      const struct l4_view *l4)
{
	struct last *last = r->ctx;

	(void)p;
	last->n[side]++;
	last->src = ip->src;
	last->dst = ip->dst;
	last->sport = l4->sport;
	last->dport = l4->dport;
}

/* What host k sends to dst; true when somebody got it on that side. */
static bool carried(struct fixture *r, uint32_t k, uint32_t dst, uint16_t dport, enum fixture_side side)
{
	struct last *last = r->ctx;
	uint32_t before = last->n[side];
	const struct packet_spec p = {
		.src = CLIENT + k, .dst = dst, .sport = PORT, .dport = dport, .proto = IPPROTO_NR_UDP
	};

	fixture_put(r, FIXTURE_LAN, &p);
	fixture_run(r);
	return last->n[side] == before + 1;
}

static void check_met(const struct last *last, uint32_t k, uint16_t from_port)
{
	assert_int_equal(last->dst, CLIENT + k);
	assert_int_equal(last->dport, PORT);
	assert_int_equal(last->src, POOL_ADDRESS);
	assert_int_equal(last->sport, from_port);
}

static void meet(struct fixture *r, uint32_t a, uint32_t b, uint32_t stranger)
{
	struct last *last = r->ctx;
	uint16_t port_a, port_b;

	assert_true(carried(r, a, SERVER, 53, FIXTURE_WAN));
	port_a = last->sport;
	assert_true(carried(r, b, SERVER, 53, FIXTURE_WAN));
	port_b = last->sport;
	assert_true(carried(r, stranger, SERVER, 53, FIXTURE_WAN));
	assert_false(carried(r, a, POOL_ADDRESS, port_b, FIXTURE_LAN)); /* b has not spoken yet */
	assert_false(carried(r, stranger, POOL_ADDRESS, port_a, FIXTURE_LAN));
	assert_true(carried(r, b, POOL_ADDRESS, port_a, FIXTURE_LAN));
	check_met(last, a, port_b);
	assert_true(carried(r, a, POOL_ADDRESS, port_b, FIXTURE_LAN));
	check_met(last, b, port_a);
}

/* Would catch: hosts at different workers that never meet, since the worker that refuses the first packet has not the
 * mapping that its sender's word opens; a word that opens it to others too; a mapping whose port does not come back. */
static void test_meeting(void **state)
{
	static const uint32_t worker_groups[] = { 1, 2, 8 };

	(void)state;
	for (size_t c = 0; c < ARRAY_LEN(worker_groups) * ARRAY_LEN(meeting_rules); c++) {
		struct fixture *r = fixture_start(worker_groups[c / 2], meeting_rules[c % 2], 4096);
		struct last last = { .src = 0 };

		r->seen = note_last;
		r->ctx = &last;
		for (uint32_t k = 0; k < N_PAIRS; k++)
			meet(r, 3 * k, 3 * k + 1, 3 * k + 2);
		fixture_check_law(r);
		fixture_wait(r, 600 * NS_PER_S);
		assert_int_equal(fixture_pools(r).n_used_udp, 0);
		fixture_stop(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_address),
		cmocka_unit_test(test_meeting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
