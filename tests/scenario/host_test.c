/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The host among the workers: a service on UDP port 53 that answers what it is asked, pings,
 * groups, errors. Every frame enters at a drawn worker. Whatever the host does, connections, chains
 * and ports are the workers', and the law holds in all of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "workers_fixture.h"
#include "stack/wire/icmp.h"
#include "stack/ip/local.h"
#include "stack/ip/route.h"

#define LAN_ADDR IP4(10, 77, 0, 1)
#define WAN_ADDR IP4(203, 0, 113, 1)
#define CLIENT IP4(10, 77, 1, 0)
#define SERVER IP4(198, 51, 100, 1)
#define STRANGER IP4(192, 0, 2, 7)
#define GROUP IP4(224, 0, 0, 5)
#define SERVICE 53
#define N_CLIENTS 64u

static const char rules[] = "table ip nat {\n"
			    "  chain pre { type nat hook prerouting priority dstnat; policy accept;\n"
			    "    ip daddr 203.0.113.1 udp dport 5353 dnat to 203.0.113.1:53\n"
			    "    ip daddr 203.0.113.1 udp dport 6000 dnat to 10.77.9.9:7\n"
			    "  }\n"
			    "  chain post { type nat hook postrouting priority srcnat; policy accept;\n"
			    "    oifname \"wan0\" masquerade\n"
			    "  }\n"
			    "}\n"
			    "table ip filter {\n"
			    "  chain in { type filter hook input priority filter; policy accept;\n"
			    "    udp dport 54 drop\n"
			    "  }\n"
			    "}\n";

struct town {
	struct fixture *fixture;
	struct gateway *host;
	bool is_served;
	uint32_t n_asked, n_errors, last_error_dst;
	uint32_t n_answers[N_FIXTURE_SIDES]; /* of the service, that left */
	uint32_t n_right;                    /* ... from the address and port that was asked */
	uint16_t asked_port;
	uint32_t n_through; /* that left and were neither from nor to the host */
	uint32_t n_pieces;
	uint32_t n_requests; /* echo requests of the host that left */
	struct packet_spec last;
};

/* The service: back to where it came from, as long as it was. */
static void serve(void *ctx, struct batch *b)
{
	struct town *t = ctx;
	struct ip_stack *s = gateway_ip(t->host);

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];

		if (p->l4.dport != SERVICE)
			continue;
		assert_false(ipv4_is_fragment(&p->ip));
		assert_true(ip4_is_multicast(p->ip.dst) || ip_is_local(s, p->zone, p->ip.dst));
		t->n_asked++;
		p->verdict = VERDICT_DELIVERED;
		if (ip4_is_multicast(p->ip.dst))
			continue;
		uint32_t len = packet_l4_len(p);
		struct packet *q = ip_packet_new(s, p->ip.dst, p->ip.src, IPPROTO_NR_UDP, len);

		assert_non_null(q);
		q->zone = p->zone;
		memcpy(packet_l4(q), packet_l4(p), len);
		udp_emit(packet_l4(q), SERVICE, p->l4.sport, (uint16_t)(len - UDP_HEADER_LEN));
		l4_checksum_set(&q->ip, packet_l4(q), len);
		assert_int_equal(l4_parse(&q->ip, packet_l4(q), len, &q->l4), L4_OK);
		ip_local_out_one(s, q);
	}
}

static void hear(void *ctx, const struct ip_icmp_error *e)
{
	struct town *t = ctx;

	t->n_errors++;
	t->last_error_dst = e->quote->ip.dst;
}

static void seen(struct fixture *r, enum fixture_side side, struct packet *p, const struct ipv4_view *ip,
		 const struct l4_view *l4)
{
	struct town *t = r->ctx;

	(void)p;
	if (ipv4_is_fragment(ip)) {
		t->n_pieces++;
		return;
	}
	t->last = (struct packet_spec){ .src = ip->src,
					.dst = ip->dst,
					.sport = l4->sport,
					.dport = l4->dport,
					.proto = ip->proto,
					.ttl = ip->ttl };
	if (ip->proto == IPPROTO_NR_ICMP && l4->type == ICMP_ECHO_REQUEST) {
		struct packet_spec reply = { .src = ip->dst,
					     .dst = ip->src,
					     .sport = l4->id,
					     .proto = IPPROTO_NR_ICMP,
					     .type = ICMP_ECHO_REPLY,
					     .payload_len = 56 };
		t->n_requests++;
		fixture_put(r, side, &reply);
	} else if (ip->proto == IPPROTO_NR_UDP && (ip->src == LAN_ADDR || ip->src == WAN_ADDR) && ip->dst != SERVER) {
		t->n_answers[side]++;
		t->n_right += l4->sport == t->asked_port;
	} else if (ip->proto == IPPROTO_NR_UDP) {
		t->n_through++;
	}
}

static void open_service(struct town *t)
{
	struct ip_protocol row = { .ctx = t, .input = serve, .icmp_error = hear, .unreachable = IP_UNREACHABLE_PORT };

	ip_stack_set_protocol(gateway_ip(t->host), IPPROTO_NR_UDP, &row);
}

static void town_start(struct town *t, uint32_t n_workers)
{
	*t = (struct town){ .asked_port = SERVICE };
	t->fixture = fixture_start_with_host(n_workers, rules, 4096);
	t->fixture->ctx = t;
	t->fixture->seen = seen;
	t->host = workers_gateway(t->fixture->workers, n_workers);
}

static void ask(struct town *t, enum fixture_side side, uint32_t from, uint32_t to, uint16_t port, uint16_t len)
{
	struct packet_spec p = { .src = from,
				 .dst = to,
				 .sport = (uint16_t)(2000 + from % 251),
				 .dport = port,
				 .proto = IPPROTO_NR_UDP,
				 .payload_len = len };

	fixture_put(t->fixture, side, &p);
}

static void each_size(void (*test)(struct town *t))
{
	static const uint32_t n_workers[] = { 1, 2, 5 };

	for (uint32_t i = 0; i < ARRAY_LEN(n_workers); i++) {
		struct town t;

		town_start(&t, n_workers[i]);
		test(&t);
		fixture_stop(t.fixture);
	}
}

static void ping_from_host(struct town *t)
{
	struct ping_sockets *raw = gateway_ping_sockets(t->host);
	struct ping_request rq = { .dst = SERVER, .data_len = 56 };
	struct ping_message m;
	int s = ping_socket_open(raw);
	uint64_t sent_at;

	for (uint16_t seq = 1; seq <= 20; seq++) {
		t->fixture->now += NS_PER_MS;
		gateway_set_time(t->host, t->fixture->now);
		sent_at = t->fixture->now;
		rq.seq = seq;
		assert_int_equal(ping_socket_send(raw, s, &rq), 0);
		workers_flush(t->fixture->workers, t->fixture->n, t->fixture->now);
		fixture_run(t->fixture);
		assert_int_equal(t->n_requests, seq);
		assert_true(ping_socket_receive(raw, s, &m));
		assert_true(m.is_sent);
		assert_int_equal(m.seq, seq);
		assert_true(m.received_ns > sent_at);
		sent_at = m.received_ns;
		assert_true(ping_socket_receive(raw, s, &m));
		assert_false(m.is_sent);
		assert_int_equal(m.from, SERVER);
		/* When a worker had it, not when the host came to it. */
		assert_true(m.received_ns > sent_at && m.received_ns <= t->fixture->now);
		assert_false(ping_socket_receive(raw, s, &m));
	}
	/* One connection, at whichever worker. */
	assert_int_equal(fixture_n_connections(t->fixture), 1);
	/* To itself. */
	rq.dst = LAN_ADDR;
	assert_int_equal(ping_socket_send(raw, s, &rq), 0);
	workers_flush(t->fixture->workers, t->fixture->n, t->fixture->now);
	fixture_run(t->fixture);
	assert_true(ping_socket_receive(raw, s, &m) && m.is_sent);
	assert_true(ping_socket_receive(raw, s, &m));
	assert_int_equal(m.from, LAN_ADDR);
	ping_socket_close(raw, s);
	assert_int_equal(fixture_dropped_all(t->fixture), 0);
}

/* Would catch: a ping of the host that does not leave, whose answer does not come to it from whichever worker, that
 * makes a connection at each worker, or is lost on its way to the host itself; a time that is
 * the host's, not the worker's. */
static void test_ping(void **state)
{
	each_size(ping_from_host);
}

static void service(struct town *t)
{
	uint32_t n = 0, n_right = 0;

	open_service(t);
	for (uint32_t i = 0; i < N_CLIENTS; i++) {
		ask(t, FIXTURE_LAN, CLIENT + i, LAN_ADDR, SERVICE, 30);
		ask(t, FIXTURE_LAN, CLIENT + i, WAN_ADDR, SERVICE, 700);
		ask(t, FIXTURE_WAN, STRANGER + i, WAN_ADDR, SERVICE, 1400);
		n += 3;
	}
	fixture_run(t->fixture);
	assert_int_equal(t->n_asked, n);
	assert_int_equal(t->n_answers[FIXTURE_LAN], 2 * N_CLIENTS);
	assert_int_equal(t->n_answers[FIXTURE_WAN], N_CLIENTS);
	assert_int_equal(fixture_n_connections(t->fixture), n);
	n_right = t->n_right;
	assert_int_equal(n_right, n);

	/* Once more, on the same connections: what the service says is theirs. */
	for (uint32_t i = 0; i < N_CLIENTS; i++)
		ask(t, FIXTURE_WAN, STRANGER + i, WAN_ADDR, SERVICE, 30);
	fixture_run(t->fixture);
	assert_int_equal(fixture_n_connections(t->fixture), n);

	/* By a port that dnat leads here: the answer comes from the port that was asked. */
	t->asked_port = 5353;
	t->n_right = t->n_answers[FIXTURE_WAN] = 0;
	for (uint32_t k = 0; k < 3; k++) {
		for (uint32_t i = 0; i < N_CLIENTS; i++)
			ask(t, FIXTURE_WAN, STRANGER + 100 + i, WAN_ADDR, 5353, 30);
		fixture_run(t->fixture);
		assert_int_equal(fixture_n_connections(t->fixture), n + N_CLIENTS);
	}
	assert_int_equal(t->n_answers[FIXTURE_WAN], 3 * N_CLIENTS);
	assert_int_equal(t->n_right, 3 * N_CLIENTS);

	/* A reload decides all owners again. */
	assert_int_equal(fixture_reload(t->fixture, rules), 0);
	for (uint32_t i = 0; i < N_CLIENTS; i++) {
		ask(t, FIXTURE_WAN, STRANGER + 100 + i, WAN_ADDR, 5353, 30);
		ask(t, FIXTURE_WAN, STRANGER + i, WAN_ADDR, SERVICE, 30);
	}
	fixture_run(t->fixture);
	assert_int_equal(fixture_n_connections(t->fixture), n + N_CLIENTS);
	assert_int_equal(t->n_right, 4 * N_CLIENTS);
	assert_int_equal(fixture_dropped_all(t->fixture), 0);

	/* What INPUT drops never comes; what nobody is at is answered at the worker. */
	uint32_t n_asked = t->n_asked;

	for (uint32_t i = 0; i < N_CLIENTS; i++) {
		ask(t, FIXTURE_WAN, STRANGER + i, WAN_ADDR, 54, 30);
		ask(t, FIXTURE_LAN, CLIENT + i, LAN_ADDR, 55, 30);
	}
	fixture_run(t->fixture);
	assert_int_equal(t->n_asked, n_asked);
	assert_int_equal(fixture_dropped(t->fixture, DROP_RULE_DROP), N_CLIENTS);
	assert_int_equal(fixture_dropped(t->fixture, DROP_PORT_UNREACHABLE), N_CLIENTS);
}

/* Would catch: a question that does not reach the host, or reaches it by a way round INPUT; an answer that is not led
 * to the worker that has its connection, and so is not translated back or begins one of its own; also after a reload.
 */
static void test_service(void **state)
{
	each_size(service);
}

static void put_pieces(struct town *t, uint16_t id)
{
	for (uint16_t off = 0; off < 2968; off += 1480) {
		struct packet_spec p = { .src = STRANGER,
					 .dst = WAN_ADDR,
					 .sport = 3000,
					 .dport = SERVICE,
					 .proto = IPPROTO_NR_UDP,
					 .ip_id = id,
					 .payload_len = 2960,
					 .frag_off = off,
					 .cut = 1480,
					 .mf = off + 1480 < 2968 };
		fixture_put(t->fixture, FIXTURE_WAN, &p);
	}
}

static void pieces(struct town *t)
{
	open_service(t);
	for (uint16_t id = 1; id <= 10; id++) {
		put_pieces(t, id);
		fixture_run(t->fixture);
	}
	assert_int_equal(t->n_asked, 10);
	assert_true(t->n_pieces >= 20);
	assert_int_equal(fixture_n_connections(t->fixture), 1);
	assert_int_equal(fixture_dropped_all(t->fixture), 0);
}

/* Would catch: pieces that the host sees before they are whole, a large answer that is not cut, or lost. */
static void test_pieces(void **state)
{
	each_size(pieces);
}

static void sleeper(struct town *t)
{
	uint32_t n_others = 400;

	open_service(t);
	ask(t, FIXTURE_LAN, CLIENT, LAN_ADDR, SERVICE, 30);
	fixture_run(t->fixture);
	t->fixture->host_sleeps = true;
	for (uint32_t k = 0; k < 20; k++) {
		for (uint32_t i = 0; i < 400; i++)
			ask(t, FIXTURE_LAN, CLIENT + i % N_CLIENTS, LAN_ADDR, SERVICE, k < 15 ? 1000 : 30);
		fixture_run(t->fixture);
	}
	assert_true(fixture_dropped(t->fixture, DROP_HOST_BUSY) > 0);
	assert_int_equal(fixture_dropped_all(t->fixture), fixture_dropped(t->fixture, DROP_HOST_BUSY));
	fixture_check_law(t->fixture);
	/* Others: all of them, large ones too, and to an address of ours that dnat leads through. */
	for (uint32_t i = 0; i < n_others; i++) {
		ask(t, FIXTURE_LAN, CLIENT + i % N_CLIENTS, SERVER, 443, i % 2 == 0 ? 30 : 1400);
		ask(t, FIXTURE_WAN, STRANGER, WAN_ADDR, 6000, 30);
		fixture_run(t->fixture);
	}
	assert_int_equal(t->n_through, 2 * n_others);
	fixture_check_law(t->fixture);
	/* It wakes up, and has what there was room for. */
	uint32_t n_asked = t->n_asked;

	t->fixture->host_sleeps = false;
	fixture_run(t->fixture);
	assert_true(t->n_asked > n_asked);
	fixture_check_law(t->fixture);
	ask(t, FIXTURE_LAN, CLIENT, LAN_ADDR, SERVICE, 30);
	n_asked = t->n_asked;
	fixture_run(t->fixture);
	assert_int_equal(t->n_asked, n_asked + 1);
}

/* Would catch: a packet of others that a slow host costs (a buffer, a place, a wait), a packet to it that vanishes
 * without its name, or is not counted where it is. */
static void test_slow_host(void **state)
{
	each_size(sleeper);
}

/* A timer of something that runs on the host. */
struct alarm {
	struct town *t;
	uint64_t due;
	uint32_t n_rang, n_asked; /* by then */
};

static uint64_t alarm_due(const void *ctx)
{
	return ((const struct alarm *)ctx)->due;
}

static void ring(void *ctx)
{
	struct alarm *a = ctx;

	a->n_rang++;
	a->n_asked = a->t->n_asked;
	a->due += NS_PER_MS;
}

/* A round of its thread (daemon/run/worker.c). */
static void host_round(struct town *t)
{
	struct fixture *r = t->fixture;

	(void)workers_poll(r->workers, r->n, r->now);
	if (workers_next_deadline(r->workers, r->n) <= r->now)
		workers_expire(r->workers, r->n, r->now);
}

static void flood(struct town *t)
{
	struct alarm a = { .t = t, .due = TIME_NEVER };
	struct gateway_aux aux = { .ctx = &a, .expire = ring, .next_deadline = alarm_due };

	open_service(t);
	gateway_set_aux(t->host, &aux);
	t->fixture->host_sleeps = true;
	for (uint32_t i = 0; i < 4000; i++)
		ask(t, FIXTURE_LAN, CLIENT + i % N_CLIENTS, LAN_ADDR, SERVICE, 30);
	fixture_run(t->fixture);
	assert_true(fixture_dropped(t->fixture, DROP_HOST_BUSY) > 0);
	for (uint32_t k = 1; k <= 5; k++) {
		uint32_t n_asked = t->n_asked;

		a.due = t->fixture->now;
		host_round(t);
		assert_int_equal(a.n_rang, k);
		assert_int_equal(a.n_asked - n_asked, BATCH_MAX);
	}
	gateway_set_aux(t->host, &(struct gateway_aux){ 0 });
	t->fixture->host_sleeps = false;
	fixture_run(t->fixture);
}

/* Would catch: a timer of the host's that waits until all that others have sent it is dealt with. */
static void test_timers(void **state)
{
	each_size(flood);
}

static void groups(struct town *t)
{
	struct ip_stack *s = gateway_ip(t->host);
	uint32_t lan = t->fixture->ifindex[FIXTURE_LAN];

	open_service(t);
	for (uint32_t i = 0; i < 20; i++)
		ask(t, FIXTURE_LAN, CLIENT + i, GROUP, SERVICE, 30);
	fixture_run(t->fixture);
	assert_int_equal(fixture_dropped(t->fixture, DROP_GROUP_NOT_JOINED), 20);
	assert_int_equal(ip_group_join(s, lan, GROUP), 0);
	workers_flush(t->fixture->workers, t->fixture->n, t->fixture->now);
	fixture_run(t->fixture);
	for (uint32_t i = 0; i < 20; i++) {
		ask(t, FIXTURE_LAN, CLIENT + i, GROUP, SERVICE, 30);
		ask(t, FIXTURE_WAN, STRANGER + i, GROUP, SERVICE, 30);
	}
	fixture_run(t->fixture);
	assert_int_equal(t->n_asked, 20);
	assert_int_equal(fixture_dropped(t->fixture, DROP_GROUP_NOT_JOINED), 40);
	ip_group_leave(s, lan, GROUP);
	workers_flush(t->fixture->workers, t->fixture->n, t->fixture->now);
	fixture_run(t->fixture);
	ask(t, FIXTURE_LAN, CLIENT, GROUP, SERVICE, 30);
	fixture_run(t->fixture);
	assert_int_equal(t->n_asked, 20);
}

/* While no worker reads: more messages than there is room for. */
static void changing_groups(struct town *t)
{
	struct ip_stack *s = gateway_ip(t->host);
	uint32_t lan = t->fixture->ifindex[FIXTURE_LAN];

	open_service(t);
	for (uint32_t i = 0; i < 20000; i++) {
		assert_int_equal(ip_group_join(s, lan, GROUP + i % 100), 0);
		if (i % 100 != 7)
			ip_group_leave(s, lan, GROUP + i % 100);
	}
	for (uint32_t i = 0; i < 200; i++)
		ip_group_leave(s, lan, GROUP + 7);
	assert_int_equal(ip_group_join(s, lan, GROUP), 0);
	assert_int_equal(ip_group_join(s, lan, GROUP + 1), 0);
	ip_group_leave(s, lan, GROUP + 1);
	workers_flush(t->fixture->workers, t->fixture->n, t->fixture->now);
	fixture_run(t->fixture);
	for (uint32_t i = 0; i < 20; i++)
		for (uint32_t k = 0; k < 100; k++)
			ask(t, FIXTURE_LAN, CLIENT + i, GROUP + k, SERVICE, 30);
	fixture_run(t->fixture);
	assert_int_equal(t->n_asked, 20);
	assert_int_equal(fixture_dropped(t->fixture, DROP_GROUP_NOT_JOINED), 20 * 99);
	ip_group_leave(s, lan, GROUP);
	workers_flush(t->fixture->workers, t->fixture->n, t->fixture->now);
	fixture_run(t->fixture);
}

/* Would catch: a worker that does not hear which groups the host has in the end, since they changed faster than it
 * read.
 */
static void test_changing_groups(void **state)
{
	each_size(changing_groups);
}

/* Would catch: a group that the host has joined and a worker does not know, or on another interface. */
static void test_groups(void **state)
{
	each_size(groups);
}

/* A datagram of the host's own. */
static void tell(struct town *t, uint32_t to, uint16_t sport)
{
	struct ip_stack *s = gateway_ip(t->host);
	struct packet *q = ip_packet_new(s, 0, to, IPPROTO_NR_UDP, UDP_HEADER_LEN + 8);

	assert_non_null(q);
	udp_emit(packet_l4(q), sport, 7, 8);
	memset(packet_l4(q) + UDP_HEADER_LEN, 0x55, 8);
	l4_checksum_set(&q->ip, packet_l4(q), UDP_HEADER_LEN + 8);
	assert_int_equal(l4_parse(&q->ip, packet_l4(q), UDP_HEADER_LEN + 8, &q->l4), L4_OK);
	gateway_set_time(t->host, t->fixture->now);
	ip_local_out_one(s, q);
	workers_flush(t->fixture->workers, t->fixture->n, t->fixture->now);
}

static void errors(struct town *t)
{
	uint8_t quote[IPV4_HEADER_LEN + UDP_HEADER_LEN + 8];
	struct packet_spec inner;

	open_service(t);
	for (uint16_t i = 0; i < 50; i++) {
		tell(t, SERVER, (uint16_t)(40000 + i * 111));
		fixture_run(t->fixture);
		assert_int_equal(t->last.src, WAN_ADDR);
		assert_int_equal(t->last.dst, SERVER);
		inner = t->last;
		inner.payload_len = 8;
		(void)fixture_build(&inner, quote);
		struct packet_spec error = { .src = IP4(203, 0, 113, 254),
					     .dst = WAN_ADDR,
					     .proto = IPPROTO_NR_ICMP,
					     .type = ICMP_DEST_UNREACHABLE,
					     .code = ICMP_PORT_UNREACHABLE,
					     .payload = quote,
					     .payload_len = sizeof(quote) };
		fixture_put(t->fixture, FIXTURE_WAN, &error);
		fixture_run(t->fixture);
		assert_int_equal(t->n_errors, i + 1);
		assert_int_equal(t->last_error_dst, SERVER);
	}
	assert_int_equal(fixture_n_connections(t->fixture), 50);
	assert_int_equal(fixture_dropped_all(t->fixture), 0);
}

/* Would catch: an error about a packet of the host that does not come to the protocol that sent it, whichever worker
 * hears of it. */
static void test_errors(void **state)
{
	each_size(errors);
}

static void shared_address(struct town *t)
{
	/* The host and what is masqueraded send from the same address to the same server. */
	for (uint32_t i = 0; i < 30; i++)
		tell(t, SERVER, (uint16_t)(2000 + i));
	fixture_run(t->fixture);
	assert_int_equal(fixture_n_connections(t->fixture), 30);
	for (uint32_t i = 0; i < N_CLIENTS; i++) {
		struct packet_spec p = { .src = CLIENT + i,
					 .dst = SERVER,
					 .sport = (uint16_t)(2000 + i % 30),
					 .dport = 7,
					 .proto = IPPROTO_NR_UDP,
					 .payload_len = 8 };
		uint32_t n = fixture_n_connections(t->fixture);

		fixture_put(t->fixture, FIXTURE_LAN, &p);
		fixture_run(t->fixture);
		assert_int_equal(fixture_n_connections(t->fixture), n + 1);
		assert_int_equal(t->last.src, WAN_ADDR);
		/* Not a port that the host has towards that server. */
		assert_false(t->last.sport >= 2000 && t->last.sport < 2030);
	}
	/* The host's own go on where they are. */
	uint32_t n = fixture_n_connections(t->fixture);

	for (uint32_t i = 0; i < 30; i++)
		tell(t, SERVER, (uint16_t)(2000 + i));
	fixture_run(t->fixture);
	assert_int_equal(fixture_n_connections(t->fixture), n);
	assert_int_equal(fixture_dropped_all(t->fixture), 0);
}

/* Would catch: a port that is given to a masqueraded flow while the host uses it towards the same server, or the other
 * way round; a flow of the host that is led to two workers. */
static void test_shared_address(void **state)
{
	each_size(shared_address);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ping),
		cmocka_unit_test(test_service),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_slow_host),
		cmocka_unit_test(test_timers),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_changing_groups),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_shared_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
