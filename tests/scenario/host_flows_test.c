/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Established flows of the host among the workers, and ports where nobody is: at whichever
 * worker they are, they meet chains, connection tracking and the law as all others do,
 * and what need not be asked again is not. Every frame enters at a drawn worker.
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
#include "stack/wire/icmp.h"

#define LAN_ADDR IP4(10, 77, 0, 1)
#define WAN_ADDR IP4(203, 0, 113, 1)
#define CLIENT IP4(10, 77, 1, 0)
#define STRANGER IP4(192, 0, 2, 7)
#define SERVER IP4(198, 51, 100, 1)
#define SERVICE 5300
#define OWN_PORT 40000
#define N_CLIENTS 16u
#define ROUNDS 8u

#define NAT \
	"table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n" \
	"  oifname \"wan0\" masquerade } }\n"
#define FILTER(in, out) \
	"table ip filter { chain in { type filter hook input priority filter; policy accept;\n" in "  counter }\n" \
	"  chain out { type filter hook output priority filter; policy accept;\n" out "  counter } }\n"

static const char open_rules[] = NAT FILTER("", "");
static const char in_drops[] = NAT FILTER("  udp dport 5300 drop\n", "");
static const char out_drops[] = NAT FILTER("", "  udp sport 5300 drop\n  udp dport 7 drop\n");

struct town {
	struct fixture *fixture;
	struct gateway *host;
	bool is_silent;
	uint32_t n_asked, n_heard, n_syns; /* by the host */
	uint32_t n_answers, n_told;        /* left: of the service; to SERVER */
	uint32_t n_resets, n_unreachable;
};

static struct packet *datagram(struct ip_stack *s, uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport)
{
	uint32_t len = UDP_HEADER_LEN + 20;
	struct packet *q = ip_packet_new(s, src, dst, IPPROTO_NR_UDP, len);

	assert_non_null(q);
	memset(packet_l4(q), 0x55, len);
	udp_emit(packet_l4(q), sport, dport, 20);
	l4_checksum_set(&q->ip, packet_l4(q), len);
	assert_int_equal(l4_parse(&q->ip, packet_l4(q), len, &q->l4), L4_OK);
	return q;
}

static void serve(void *ctx, struct batch *b)
{
	struct town *t = ctx;
	struct ip_stack *s = gateway_ip(t->host);

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];

		p->verdict = VERDICT_DELIVERED;
		t->n_heard += p->l4.dport == OWN_PORT;
		if (p->l4.dport != SERVICE)
			continue;
		t->n_asked++;
		if (!t->is_silent)
			ip_local_out_one(s, datagram(s, p->ip.dst, p->ip.src, SERVICE, p->l4.sport));
	}
}

static void take_segments(void *ctx, struct batch *b)
{
	struct town *t = ctx;

	for (uint32_t i = 0; i < b->n; i++) {
		t->n_syns++;
		b->p[i]->verdict = VERDICT_DELIVERED;
	}
}

static void seen(struct fixture *r, enum fixture_side side, struct packet *p, const struct ipv4_view *ip,
		 const struct l4_view *l4)
{
	struct town *t = r->ctx;
	struct packet_spec back = { .src = ip->dst,
				    .dst = ip->src,
				    .sport = l4->dport,
				    .dport = l4->sport,
				    .proto = IPPROTO_NR_UDP,
				    .payload_len = 20 };

	(void)p;
	t->n_resets += l4->kind == L4_TCP && (l4->flags & TCP_RST) != 0;
	t->n_unreachable += l4->kind == L4_ICMP_ERROR && l4->code == ICMP_PORT_UNREACHABLE;
	if (l4->kind != L4_UDP)
		return;
	t->n_answers += l4->sport == SERVICE;
	if (ip->dst == SERVER && l4->dport == 7) {
		t->n_told++;
		fixture_put(r, side, &back);
	}
}

static void town_start(struct town *t, uint32_t n_workers)
{
	struct ip_protocol udp = { .ctx = t, .input = serve, .unreachable = IP_UNREACHABLE_PORT, .by_port = true };
	struct ip_protocol tcp = {
		.ctx = t, .input = take_segments, .unreachable = IP_UNREACHABLE_RESET, .by_port = true
	};

	*t = (struct town){ .fixture = fixture_start_with_host(n_workers, open_rules, 4096) };
	t->fixture->ctx = t;
	t->fixture->seen = seen;
	t->host = workers_gateway(t->fixture->workers, n_workers);
	ip_stack_set_protocol(gateway_ip(t->host), IPPROTO_NR_UDP, &udp);
	ip_stack_set_protocol(gateway_ip(t->host), IPPROTO_NR_TCP, &tcp);
	assert_int_equal(ip_port_open(gateway_ip(t->host), IPPROTO_NR_UDP, 0, SERVICE, IP_PORT_BOUND), 0);
	assert_int_equal(ip_port_open(gateway_ip(t->host), IPPROTO_NR_UDP, 0, OWN_PORT, IP_PORT_BOUND), 0);
}

static void each_size(void (*test)(struct town *t))
{
	static const uint32_t n_workers[] = { 1, 2, 4 };

	for (uint32_t i = 0; i < ARRAY_LEN(n_workers); i++) {
		struct town t;

		town_start(&t, n_workers[i]);
		test(&t);
		fixture_check_law(t.fixture);
		fixture_stop(t.fixture);
	}
}

static void put(struct town *t, enum fixture_side side, uint32_t from, uint32_t to, uint8_t proto, uint16_t port)
{
	struct packet_spec p = { .src = from,
				 .dst = to,
				 .sport = 3000,
				 .dport = port,
				 .proto = proto,
				 .payload_len = proto == IPPROTO_NR_UDP ? 20 : 0 };

	fixture_put(t->fixture, side, &p);
}

/* From the inside to both addresses, from the outside; and the host asks somebody, and itself. */
static void talk(struct town *t)
{
	struct ip_stack *s = gateway_ip(t->host);
	struct batch b = { .n = 0 };

	for (uint32_t i = 0; i < N_CLIENTS; i++) {
		put(t, FIXTURE_LAN, CLIENT + i, i % 2 ? LAN_ADDR : WAN_ADDR, IPPROTO_NR_UDP, SERVICE);
		put(t, FIXTURE_WAN, STRANGER + i, WAN_ADDR, IPPROTO_NR_UDP, SERVICE);
	}
	gateway_set_time(t->host, t->fixture->now);
	batch_add(&b, datagram(s, 0, SERVER, OWN_PORT, 7));
	batch_add(&b, datagram(s, LAN_ADDR, WAN_ADDR, OWN_PORT, SERVICE));
	ip_local_out(s, &b);
	workers_flush(t->fixture->workers, t->fixture->n, t->fixture->now);
	fixture_run(t->fixture);
}

static uint64_t count(const struct town *t, enum flowcache_count what)
{
	uint64_t n = 0;

	for (uint32_t w = 0; w < t->fixture->n; w++)
		n += flowcache_counts(gateway_flowcache(workers_gateway(t->fixture->workers, w)))[what];
	return n;
}

#define TALKERS (2 * N_CLIENTS + 1) /* that ask the service, itself included */

static void established(struct town *t)
{
	for (uint32_t i = 0; i < 3; i++)
		talk(t);
	uint32_t n = fixture_n_connections(t->fixture), n_asked = t->n_asked, n_heard = t->n_heard, n_told = t->n_told;
	uint64_t installed = count(t, FLOWCACHE_INSTALLED), taken = count(t, FLOWCACHE_TAKEN);

	assert_int_equal(n_asked, 3 * TALKERS);
	assert_int_equal(n, TALKERS + 1);
	for (uint32_t i = 0; i < ROUNDS; i++)
		talk(t);
	/* Question and answer, and both of what the host asks; each has come once. */
	assert_int_equal(count(t, FLOWCACHE_TAKEN), taken + ROUNDS * 2 * (TALKERS + 1));
	assert_int_equal(count(t, FLOWCACHE_INSTALLED), installed);
	assert_int_equal(t->n_asked, n_asked + ROUNDS * TALKERS);
	assert_int_equal(t->n_told, n_told + ROUNDS);
	assert_int_equal(t->n_heard, n_heard + 2 * ROUNDS);
	assert_int_equal(fixture_n_connections(t->fixture), n);
	assert_int_equal(fixture_dropped_all(t->fixture), 0);
}

/* Would catch: a flow of the host that walks the hooks each time, from the inside or the outside, out, or to the host
 * itself; whose packet comes twice, or not; that has an entry at a worker where it is not. */
static void test_established(void **state)
{
	each_size(established);
}

static void rules_change(struct town *t)
{
	for (uint32_t i = 0; i < 4; i++)
		talk(t);
	uint32_t n_asked = t->n_asked, n_answers = t->n_answers, n_told = t->n_told;

	assert_int_equal(fixture_reload(t->fixture, in_drops), 0);
	talk(t);
	talk(t);
	assert_int_equal(t->n_asked, n_asked);
	assert_int_equal(fixture_dropped(t->fixture, DROP_RULE_DROP), 2 * TALKERS);
	assert_int_equal(t->n_told, n_told + 2);

	assert_int_equal(fixture_reload(t->fixture, out_drops), 0);
	talk(t);
	talk(t);
	/* The host to itself is not among them: its question is of another port. */
	assert_int_equal(t->n_asked, n_asked + 2 * TALKERS);
	assert_int_equal(t->n_answers, n_answers);
	assert_int_equal(t->n_told, n_told + 2);
	assert_int_equal(fixture_dropped(t->fixture, DROP_RULE_DROP), 2 * TALKERS + 2 * (TALKERS + 1));

	assert_int_equal(fixture_reload(t->fixture, open_rules), 0);
	talk(t);
	assert_int_equal(t->n_asked, n_asked + 3 * TALKERS);
	assert_int_equal(t->n_told, n_told + 3);
}

/* Would catch: an entry that leads a packet to the host past INPUT, or out past OUTPUT, when their rules have changed.
 */
static void test_rules_change(void **state)
{
	each_size(rules_change);
}

static void service_ends(struct town *t)
{
	for (uint32_t i = 0; i < 4; i++)
		talk(t);
	uint32_t n_asked = t->n_asked;

	ip_port_close(gateway_ip(t->host), IPPROTO_NR_UDP, 0, SERVICE, IP_PORT_BOUND);
	talk(t);
	assert_int_equal(t->n_asked, n_asked);
	assert_int_equal(fixture_dropped(t->fixture, DROP_PORT_UNREACHABLE), TALKERS);
	assert_true(t->n_unreachable > 0);
	assert_int_equal(ip_port_open(gateway_ip(t->host), IPPROTO_NR_UDP, 0, SERVICE, IP_PORT_BOUND), 0);
	talk(t);
	assert_int_equal(t->n_asked, n_asked + TALKERS);
}

/* Would catch: an entry that brings packets to a service that is not there any more. */
static void test_service_ends(void **state)
{
	each_size(service_ends);
}

static void closed_ports(struct town *t)
{
	struct ip_stack *s = gateway_ip(t->host);
	uint64_t handed_over;

	/* Of ports where nobody listens: 81 is that of a connection which the host has opened. */
	assert_int_equal(ip_port_open(s, IPPROTO_NR_TCP, 0, 81, IP_PORT_BOUND), 0);
	handed_over = gateway_env(t->host)->ledger.n_taken_over;
	for (uint32_t i = 0; i < N_CLIENTS; i++) {
		put(t, FIXTURE_LAN, CLIENT + i, LAN_ADDR, IPPROTO_NR_TCP, 80);
		put(t, FIXTURE_WAN, STRANGER + i, WAN_ADDR, IPPROTO_NR_TCP, 81);
		put(t, FIXTURE_WAN, STRANGER + i, WAN_ADDR, IPPROTO_NR_UDP, 54);
	}
	fixture_run(t->fixture);
	assert_int_equal(fixture_n_connections(t->fixture), 0);
	assert_int_equal(gateway_env(t->host)->ledger.n_taken_over, handed_over);
	assert_int_equal(fixture_dropped(t->fixture, DROP_TCP_NO_SOCKET), 2 * N_CLIENTS);
	assert_int_equal(fixture_dropped(t->fixture, DROP_PORT_UNREACHABLE), N_CLIENTS);
	assert_int_equal(t->n_resets, 2 * N_CLIENTS);
	assert_int_equal(t->n_syns, 0);

	/* Somebody listens on one address. */
	assert_int_equal(ip_port_open(s, IPPROTO_NR_TCP, LAN_ADDR, 80, IP_PORT_BOUND), 0);
	assert_int_equal(ip_port_open(s, IPPROTO_NR_TCP, LAN_ADDR, 80, IP_PORT_LISTENING), 0);
	for (uint32_t i = 0; i < N_CLIENTS; i++) {
		put(t, FIXTURE_LAN, CLIENT + i, LAN_ADDR, IPPROTO_NR_TCP, 80);
		put(t, FIXTURE_LAN, CLIENT + i, WAN_ADDR, IPPROTO_NR_TCP, 80);
	}
	fixture_run(t->fixture);
	assert_int_equal(t->n_syns, N_CLIENTS);
	assert_int_equal(fixture_n_connections(t->fixture), N_CLIENTS);
	assert_int_equal(t->n_resets, 3 * N_CLIENTS);
	ip_port_close(s, IPPROTO_NR_TCP, LAN_ADDR, 80, IP_PORT_LISTENING);
	for (uint32_t i = 0; i < N_CLIENTS; i++)
		put(t, FIXTURE_LAN, CLIENT + 100 + i, LAN_ADDR, IPPROTO_NR_TCP, 80);
	fixture_run(t->fixture);
	assert_int_equal(t->n_syns, N_CLIENTS);
	assert_int_equal(fixture_n_connections(t->fixture), N_CLIENTS);
}

/* Would catch: a connection that is begun by what nobody wants, or that the host has to refuse itself; a port that is
 * open on another address, or stays open. */
static void test_closed_ports(void **state)
{
	each_size(closed_ports);
}

static bool offered(void *ctx, uint32_t conn)
{
	(void)conn;
	++*(uint32_t *)ctx;
	return false;
}

static void removed(void *ctx, uint32_t conn)
{
	(void)ctx;
	(void)conn;
}

static bool nothing_owed(void *ctx, uint32_t conn)
{
	(void)ctx;
	(void)conn;
	return false;
}

static void all(void *ctx)
{
	(void)ctx;
}

static void adjacency(void *ctx, uint32_t index, enum ip_adjacency_change change)
{
	(void)ctx;
	(void)index;
	(void)change;
}

static void never_offered(struct town *t)
{
	uint32_t n_offered = 0;
	struct flowcache_offload o = { .ctx = &n_offered,
				       .add = offered,
				       .remove = removed,
				       .read_back = nothing_owed,
				       .invalidate_all = all,
				       .read_back_all = all,
				       .adjacency_changed = adjacency };

	for (uint32_t w = 0; w < t->fixture->n; w++)
		flowcache_set_offload(gateway_flowcache(workers_gateway(t->fixture->workers, w)), &o);
	for (uint32_t i = 0; i < 40; i++)
		talk(t);
	/* Nor when nobody answers. */
	t->is_silent = true;
	for (uint32_t i = 0; i < 40; i++) {
		for (uint32_t k = 0; k < 4; k++)
			put(t, FIXTURE_LAN, CLIENT + 100 + k, LAN_ADDR, IPPROTO_NR_UDP, SERVICE);
		ip_local_out_one(gateway_ip(t->host), datagram(gateway_ip(t->host), 0, SERVER, OWN_PORT + 1, 8));
		workers_flush(t->fixture->workers, t->fixture->n, t->fixture->now);
		fixture_run(t->fixture);
	}
	assert_int_equal(n_offered, 0);
	/* What goes through is. */
	for (uint32_t i = 0; i < 40; i++)
		put(t, FIXTURE_LAN, CLIENT, SERVER, IPPROTO_NR_UDP, 7);
	fixture_run(t->fixture);
	for (uint32_t i = 0; i < 40; i++)
		put(t, FIXTURE_LAN, CLIENT, SERVER, IPPROTO_NR_UDP, 7);
	fixture_run(t->fixture);
	assert_true(n_offered > 0);
	for (uint32_t w = 0; w < t->fixture->n; w++)
		flowcache_set_offload(gateway_flowcache(workers_gateway(t->fixture->workers, w)), NULL);
}

/* Would catch: a flow of the host that the kernel is asked to forward. */
static void test_never_offered(void **state)
{
	each_size(never_offered);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_established),   cmocka_unit_test(test_rules_change),
		cmocka_unit_test(test_service_ends),  cmocka_unit_test(test_closed_ports),
		cmocka_unit_test(test_never_offered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
