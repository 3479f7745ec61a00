/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Somebody who forwards in the flow cache's stead, played by the test: when it is
 * offered a connection, when it is asked for its deferred counters, and when it is told to let
 * go; and that conntrack judges as if all packets had come this way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "fixture.h"

#define CLIENT IP4(10, 77, 0, 2)
#define SERVER IP4(203, 0, 113, 9)
#define WAN_ADDR IP4(203, 0, 113, 1)

static const char config[] = "interface lan0 { address 10.77.0.1/24; }\n"
			     "interface wan0 { address 203.0.113.1/24; }\n"
			     "table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
			     "  oifname \"wan0\" masquerade } }\n"
			     "table ip filter { chain f { type filter hook forward priority 0; policy accept;\n"
			     "  ct state invalid drop\n"
			     "  ct state established counter } }\n";

/* What the stand-in was asked, in order. */
enum call {
	CALL_ADD = 1,
	CALL_REMOVE,
	CALL_READ_BACK,
	CALL_CAME_UP,
	CALL_INVALIDATE_ALL,
	CALL_READ_BACK_ALL,
	CALL_ADJACENCY
};

struct stand_in {
	struct fixture w;
	struct station *client, *server;
	uint32_t n_calls[CALL_ADJACENCY + 1];
	enum call last[64];
	uint32_t n_last;
	bool has;
	bool is_invalid; /* it has it, and forwards nothing of it */
	bool has_reply;  /* and not the original direction alone */
	uint32_t conn;
	struct flowcache_deferred due[N_CT_DIRS];
	uint16_t port; /* of the client, outside */
	uint16_t n_up;
	struct up_stamp came_up; /* the last */
};

static void called(struct stand_in *t, enum call c)
{
	t->n_calls[c]++;
	t->last[t->n_last++ % ARRAY_LEN(t->last)] = c;
}

static bool pay(struct stand_in *t)
{
	bool some = false;

	for (int d = 0; d < N_CT_DIRS; d++) {
		some |= t->due[d].packets > 0;
		flowcache_flush_counters(gateway_flowcache(t->w.gw), t->conn, (enum ct_dir)d, &t->due[d]);
		t->due[d] = (struct flowcache_deferred){ 0 };
	}
	return some;
}

static bool on_add(void *ctx, uint32_t conn)
{
	struct stand_in *t = ctx;
	struct flowcache_view v[N_CT_DIRS];

	called(t, CALL_ADD);
	assert_true(!t->has || t->is_invalid);
	assert_true(!t->has || t->conn == conn);
	for (int d = 0; d < N_CT_DIRS; d++)
		t->has_reply = flowcache_view(gateway_flowcache(t->w.gw), conn, (enum ct_dir)d, &v[d]);
	assert_true(v[CT_ORIGINAL].in.src == CLIENT && v[CT_ORIGINAL].in.dst == SERVER);
	assert_true(v[CT_ORIGINAL].out.src == WAN_ADDR && v[CT_ORIGINAL].out.dst == SERVER);
	assert_int_equal(v[CT_ORIGINAL].in_ifindex, 1);
	if (t->has_reply)
		assert_true(v[CT_REPLY].in.dst == WAN_ADDR && v[CT_REPLY].out.dst == CLIENT &&
			    v[CT_REPLY].in_ifindex == 2);
	assert_int_equal(ip_adjacency(gateway_ip(t->w.gw), v[CT_ORIGINAL].adjacency)->ifindex, 2);
	t->has = true;
	t->is_invalid = false;
	t->conn = conn;
	return true;
}

static void on_remove(void *ctx, uint32_t conn)
{
	struct stand_in *t = ctx;

	/* Asked at each end, whether it is in or not. */
	if (!t->has || conn != t->conn)
		return;
	called(t, CALL_REMOVE);
	(void)pay(t);
	t->has = false;
}

static bool on_read_back(void *ctx, uint32_t conn)
{
	struct stand_in *t = ctx;

	called(t, CALL_READ_BACK);
	return t->has && conn == t->conn && pay(t);
}

static void on_came_up(void *ctx, uint32_t conn, enum ct_dir dir, const struct up_stamp *stamp)
{
	(void)conn;
	(void)dir;
	((struct stand_in *)ctx)->came_up = *stamp;
	called(ctx, CALL_CAME_UP);
}

static void on_invalidate_all(void *ctx)
{
	struct stand_in *t = ctx;

	called(t, CALL_INVALIDATE_ALL);
	t->is_invalid = t->has;
}

static void on_read_back_all(void *ctx)
{
	struct stand_in *t = ctx;

	called(t, CALL_READ_BACK_ALL);
	if (t->has)
		(void)pay(t);
}

static void on_adjacency(void *ctx, uint32_t index, enum ip_adjacency_change change)
{
	(void)index;
	(void)change;
	called(ctx, CALL_ADJACENCY);
}

static void on_moved(void *ctx, uint32_t conn, enum ct_dir dir)
{
	(void)ctx;
	(void)conn;
	(void)dir;
}

static void start(struct stand_in *t, struct flowcache_offload *o)
{
	memset(t, 0, sizeof(*t));
	*o = (struct flowcache_offload){
		t,       on_add, on_remove, on_read_back, on_came_up, on_invalidate_all, on_read_back_all, on_adjacency,
		on_moved
	};
	fixture_start(&t->w, config, NULL);
	t->client = fixture_station(&t->w, "lan0", CLIENT, NULL);
	t->server = fixture_station(&t->w, "wan0", SERVER, NULL);
	fixture_run(&t->w, 5 * NS_PER_S);
	station_clear(t->client);
	station_clear(t->server);
	for (uint32_t i = 1; i <= 2; i++)
		ip_stack_device(gateway_ip(t->w.gw), i)->stamp_mark = FIXTURE_STAMP_MARK;
	flowcache_set_offload(gateway_flowcache(t->w.gw), o);
}

static struct packet *carry(struct stand_in *t, struct station *from, struct packet_spec *s)
{
	/* It numbers what it sees as one of its own. */
	s->stamp.present = t->has && !t->is_invalid && s->ttl != 1 && !s->mf;
	s->stamp.number = ++t->n_up;
	s->stamp.version = 6;
	station_send(from, s);
	fixture_run(&t->w, 20 * NS_PER_MS);
	return station_next(from == t->client ? t->server : t->client);
}

static void from_client(struct stand_in *t, uint8_t proto, uint32_t seq, uint32_t ack, uint8_t flags, uint16_t len)
{
	struct packet_spec s = { .dst = SERVER,
				 .proto = proto,
				 .sport = 4000,
				 .dport = 80,
				 .seq = seq,
				 .ack = ack,
				 .flags = flags,
				 .window = 5000,
				 .payload_len = len };
	struct packet *p = carry(t, t->client, &s);

	assert_non_null(p);
	t->port = p->l4.sport;
}

static struct packet *from_server(struct stand_in *t, uint8_t proto, uint32_t seq, uint32_t ack, uint8_t flags,
				  uint16_t len)
{
	struct packet_spec s = { .dst = WAN_ADDR,
				 .proto = proto,
				 .sport = 80,
				 .dport = t->port,
				 .seq = seq,
				 .ack = ack,
				 .flags = flags,
				 .window = 5000,
				 .payload_len = len };

	return carry(t, t->server, &s);
}

static uint64_t counted(const struct stand_in *t)
{
	return fixture_rules_counted(&t->w);
}

/* Client's numbers from 1001 on, the server's from 9001. */
static void open_tcp(struct stand_in *t)
{
	from_client(t, IPPROTO_NR_TCP, 1000, 0, TCP_SYN, 0);
	assert_non_null(from_server(t, IPPROTO_NR_TCP, 9000, 1001, TCP_SYN | TCP_ACK, 0));
	from_client(t, IPPROTO_NR_TCP, 1001, 9001, TCP_ACK, 0);
	for (int i = 0; i < 8; i++) {
		from_client(t, IPPROTO_NR_TCP, 1001, 9001, TCP_ACK, 0);
		assert_non_null(from_server(t, IPPROTO_NR_TCP, 9001, 1001, TCP_ACK, 0));
	}
	assert_true(t->has);
	assert_int_equal(t->n_calls[CALL_ADD], 1);
}

/* The stand-in has forwarded what it was not asked for yet: the client's numbers are 101001, the server's 9001. */
static void owe(struct stand_in *t)
{
	t->due[CT_ORIGINAL] = (struct flowcache_deferred){ .packets = 100,
							   .bytes = 104000,
							   .last_ns = t->w.now,
							   .has_tcp = true,
							   .tcp_end = 101001,
							   .tcp_ack = 9001,
							   .tcp_win = 5000 };
	t->due[CT_REPLY] = (struct flowcache_deferred){ .packets = 50,
							.bytes = 2000,
							.last_ns = t->w.now,
							.has_tcp = true,
							.tcp_end = 9001,
							.tcp_ack = 101001,
							.tcp_win = 5000 };
}

/* Would catch: a FIN judged by windows that do not know what was forwarded elsewhere, a connection that is left to
 * others while its state changes, counters that lose what was credited. */
static void test_tcp(void **state)
{
	static struct stand_in t;
	struct flowcache_offload o;
	struct conn_counters before, after;

	start(&t, &o);
	open_tcp(&t);
	struct conntrack *ct = gateway_conntrack(t.w.gw);
	uint64_t rules_before = counted(&t);

	conn_counters(ct, t.conn, &before);
	/* 100,000 bytes of the client and their acknowledgements go another way. */
	owe(&t);
	uint32_t n_came_up = t.n_calls[CALL_CAME_UP];

	from_client(&t, IPPROTO_NR_TCP, 101001, 9001, TCP_FIN | TCP_ACK, 0);
	assert_false(t.has);
	assert_int_equal(t.n_calls[CALL_REMOVE], 1);
	assert_int_equal(t.n_calls[CALL_CAME_UP], n_came_up + 1);
	conn_counters(ct, t.conn, &after);
	assert_int_equal(after.packets[CT_ORIGINAL], before.packets[CT_ORIGINAL] + 101);
	assert_int_equal(after.packets[CT_REPLY], before.packets[CT_REPLY] + 50);
	assert_int_equal(after.bytes[CT_REPLY], before.bytes[CT_REPLY] + 2000);
	assert_int_equal(counted(&t), rules_before + 151);
	assert_int_equal(conntrack_conn(ct, t.conn)->tcp_state, CT_TCP_FIN_WAIT);
	/* An RST far behind what was forwarded changes nothing; one that stands right closes. */
	assert_null(from_server(&t, IPPROTO_NR_TCP, 9001 + 90000, 0, TCP_RST, 0));
	assert_non_null(from_server(&t, IPPROTO_NR_TCP, 9001, 0, TCP_RST, 0));
	assert_int_equal(conntrack_conn(ct, t.conn)->tcp_state, CT_TCP_CLOSE);
	fixture_end(&t.w);
}

/* Would catch: a flow that expires although the kernel still forwards it; one that ends without being taken back. */
static void test_udp_lives_on(void **state)
{
	static struct stand_in t;
	struct flowcache_offload o;

	start(&t, &o);
	for (int i = 0; i < 12; i++) {
		from_client(&t, IPPROTO_NR_UDP, 0, 0, 0, 10);
		assert_non_null(from_server(&t, IPPROTO_NR_UDP, 0, 0, 0, 10));
	}
	assert_true(t.has);
	/* Nothing comes up for ten minutes, but something was forwarded a minute ago. */
	for (int i = 0; i < 10; i++) {
		fixture_run(&t.w, 60 * NS_PER_S);
		t.due[CT_ORIGINAL] = (struct flowcache_deferred){ .packets = 1, .bytes = 40, .last_ns = t.w.now };
	}
	assert_true(t.has);
	assert_int_equal(conntrack_n_connections(gateway_conntrack(t.w.gw)), 1);
	assert_true(t.n_calls[CALL_READ_BACK] > 0);
	t.due[CT_ORIGINAL] = (struct flowcache_deferred){ 0 };
	fixture_run(&t.w, 700 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(gateway_conntrack(t.w.gw)), 0);
	assert_int_equal(t.n_calls[CALL_REMOVE], 1);
	assert_false(t.has);
	fixture_end(&t.w);
}

/* Would catch: a new config that leaves flows forwarded by the old one; a flow that is not offered again; counters of
 * rules that did not change that begin again or are counted twice. */
static void test_reload(void **state)
{
	static struct stand_in t;
	struct flowcache_offload o;

	start(&t, &o);
	open_tcp(&t);
	uint32_t n_invalid = t.n_calls[CALL_INVALIDATE_ALL];
	uint64_t before = counted(&t);

	assert_true(before > 0);
	assert_int_equal(fixture_reload(&t.w, config), 0);
	assert_true(t.n_calls[CALL_INVALIDATE_ALL] > n_invalid);
	assert_true(t.is_invalid);
	assert_int_equal(counted(&t), before);
	for (int i = 0; i < 8; i++) {
		from_client(&t, IPPROTO_NR_TCP, 1001, 9001, TCP_ACK, 0);
		assert_non_null(from_server(&t, IPPROTO_NR_TCP, 9001, 1001, TCP_ACK, 0));
	}
	assert_true(t.has && !t.is_invalid);
	assert_int_equal(counted(&t), before + 16);
	uint32_t n_all = t.n_calls[CALL_READ_BACK_ALL];
	flowcache_set_offload(gateway_flowcache(t.w.gw), NULL);
	assert_int_equal(t.n_calls[CALL_READ_BACK_ALL], n_all + 1);
	from_client(&t, IPPROTO_NR_TCP, 1001, 9001, TCP_ACK, 0);
	fixture_end(&t.w);
}

/* All flow cache entries become invalid while something is deferred, by a device or by a reload. Would catch: all of it
 * credited at once; packets that are judged by windows which do not know what was forwarded; deferred counters of rules
 * that are lost or counted twice, also over a reload that leaves the rules as they are. */
static void test_owed_when_void(void **state)
{
	for (int with_rules = 0; with_rules < 2; with_rules++) {
		static struct stand_in t;
		struct flowcache_offload o;
		struct conn_counters before, after;

		start(&t, &o);
		open_tcp(&t);
		struct conntrack *ct = gateway_conntrack(t.w.gw);
		uint64_t rules_before = counted(&t) + 150;
		uint32_t n_read_back = t.n_calls[CALL_READ_BACK] + t.n_calls[CALL_READ_BACK_ALL];

		conn_counters(ct, t.conn, &before);
		owe(&t);
		if (with_rules)
			assert_int_equal(fixture_reload(&t.w, config), 0);
		else
			flowcache_invalidate_all(gateway_flowcache(t.w.gw));
		assert_int_equal(t.n_calls[CALL_READ_BACK] + t.n_calls[CALL_READ_BACK_ALL], n_read_back);
		assert_int_equal(t.due[CT_ORIGINAL].packets, 100);
		/* Out of the window for those who do not know. */
		from_client(&t, IPPROTO_NR_TCP, 101001, 9001, TCP_ACK, 10);
		assert_int_equal(t.due[CT_ORIGINAL].packets, 0);
		conn_counters(ct, t.conn, &after);
		assert_int_equal(after.packets[CT_ORIGINAL], before.packets[CT_ORIGINAL] + 101);
		assert_int_equal(after.packets[CT_REPLY], before.packets[CT_REPLY] + 50);
		assert_int_equal(counted(&t), rules_before + 1);
		fixture_end(&t.w);
	}
}

/* Would catch: deferred counters of rules that are lost when the connection ends, or when generations come round,
 * before its next packet. */
static void test_owed_at_the_end(void **state)
{
	static struct stand_in t;
	struct flowcache_offload o;

	start(&t, &o);
	open_tcp(&t);
	struct flowcache *s = gateway_flowcache(t.w.gw);
	uint64_t before = counted(&t);

	owe(&t);
	flowcache_invalidate_all(s);
	conntrack_end(gateway_conntrack(t.w.gw), t.conn, CT_END_FLUSHED);
	fixture_run(&t.w, NS_PER_S);
	assert_false(t.has);
	assert_int_equal(counted(&t), before + 150);
	fixture_end(&t.w);

	start(&t, &o);
	open_tcp(&t);
	s = gateway_flowcache(t.w.gw);
	before = counted(&t);
	owe(&t);
	for (uint32_t i = 0; i <= UINT16_MAX; i++)
		flowcache_invalidate_all(s);
	assert_int_equal(counted(&t), before + 150);
	fixture_end(&t.w);
}

/* Ends while its flow cache entries are void. Would catch: a number that goes to another connection while somebody
 * still forwards and counts for the first. */
static void test_end_when_void(void **state)
{
	static struct stand_in t;
	struct flowcache_offload o;

	start(&t, &o);
	open_tcp(&t);
	flowcache_invalidate_all(gateway_flowcache(t.w.gw));
	assert_true(t.has);
	assert_non_null(from_server(&t, IPPROTO_NR_TCP, 9001, 0, TCP_RST, 0));
	fixture_run(&t.w, 300 * NS_PER_S);
	assert_int_equal(conntrack_n_connections(gateway_conntrack(t.w.gw)), 0);
	assert_int_equal(t.n_calls[CALL_REMOVE], 1);
	assert_false(t.has);
	fixture_end(&t.w);
}

/* Would catch: a packet that whoever forwards did not number standing for one that it did, so that the next overtakes;
 * a number that does not come through, or a frame that is refused for it. */
static void test_came_up(void **state)
{
	static struct stand_in t;
	struct flowcache_offload o;
	struct packet_spec s = {
		.dst = SERVER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 80, .payload_len = 16
	};

	start(&t, &o);
	for (int i = 0; i < 12; i++) {
		from_client(&t, IPPROTO_NR_UDP, 0, 0, 0, 10);
		assert_non_null(from_server(&t, IPPROTO_NR_UDP, 0, 0, 0, 10));
	}
	assert_true(t.has);
	uint32_t n = t.n_calls[CALL_CAME_UP];
	assert_non_null(carry(&t, t.client, &s));
	assert_int_equal(t.n_calls[CALL_CAME_UP], n + 1);
	assert_int_equal(t.came_up.number, t.n_up);
	assert_int_equal(t.came_up.version, 6);
	/* It waits in the driver's ring. */
	ip_stack_device(gateway_ip(t.w.gw), 2)->tx_waits = true;
	assert_non_null(carry(&t, t.client, &s));
	assert_int_equal(t.n_calls[CALL_CAME_UP], n + 1);
	ip_stack_device(gateway_ip(t.w.gw), 2)->tx_waits = false;
	s.ttl = 1;
	(void)carry(&t, t.client, &s);
	s.ttl = 0;
	s.mf = true;
	(void)carry(&t, t.client, &s);
	assert_int_equal(t.n_calls[CALL_CAME_UP], n + 1);
	assert_true(t.has);
	fixture_end(&t.w);
}

/* UDP that nobody answers.
 * Would catch: a one-way flow that stays in user space, one that gets in after a few packets, one whose answer is not
 * seen by conntrack and rules or leaves it with what was decided for new packets. */
static void test_one_way(void **state)
{
	static struct stand_in t;
	struct flowcache_offload o;
	struct conntrack *ct;
	struct conn_counters counters;

	start(&t, &o);
	ct = gateway_conntrack(t.w.gw);
	for (int i = 0; i < 11; i++)
		from_client(&t, IPPROTO_NR_UDP, 0, 0, 0, 10);
	assert_int_equal(t.n_calls[CALL_ADD], 0);
	for (int i = 0; i < 5; i++)
		from_client(&t, IPPROTO_NR_UDP, 0, 0, 0, 10);
	assert_true(t.has);
	assert_int_equal(t.n_calls[CALL_ADD], 1);
	assert_int_equal(counted(&t), 0); /* none is established */
	/* What it forwards counts, and keeps the connection as long as one without an answer lives. */
	t.due[CT_ORIGINAL] = (struct flowcache_deferred){ .packets = 100, .bytes = 3800, .last_ns = t.w.now };
	uint32_t n_came_up = t.n_calls[CALL_CAME_UP];
	from_client(&t, IPPROTO_NR_UDP, 0, 0, 0, 10);
	assert_int_equal(t.n_calls[CALL_CAME_UP], n_came_up + 1);
	conn_counters(ct, t.conn, &counters);
	assert_int_equal(counters.packets[CT_ORIGINAL], 117);
	assert_int_equal(counters.packets[CT_REPLY], 0);
	t.due[CT_ORIGINAL] = (struct flowcache_deferred){ .packets = 1, .bytes = 38, .last_ns = t.w.now };
	/* The answer, which nobody has numbered: the flow is taken back, and is an ordinary one from here on. */
	struct packet_spec answer = {
		.dst = WAN_ADDR, .proto = IPPROTO_NR_UDP, .sport = 80, .dport = t.port, .payload_len = 10
	};
	station_send(t.server, &answer);
	fixture_run(&t.w, 20 * NS_PER_MS);
	assert_non_null(station_next(t.client));
	assert_false(t.has);
	assert_int_equal(t.n_calls[CALL_REMOVE], 1);
	conn_counters(ct, t.conn, &counters);
	assert_int_equal(counters.packets[CT_ORIGINAL], 118);
	assert_int_equal(counted(&t), 1);
	for (int i = 0; i < 12; i++) {
		from_client(&t, IPPROTO_NR_UDP, 0, 0, 0, 10);
		assert_non_null(from_server(&t, IPPROTO_NR_UDP, 0, 0, 0, 10));
	}
	assert_true(t.has);
	assert_int_equal(t.n_calls[CALL_ADD], 2);
	assert_true(t.has_reply);
	assert_int_equal(counted(&t), 25);
	fixture_end(&t.w);
}

/* Would catch: segments forwarded elsewhere past a rule that asks for flags which they may have. */
static void test_rules_on_flags(void **state)
{
	static const struct {
		const char *rule;
		bool offered;
	} rows[] = {
		{ "tcp flags & (fin|syn|rst) != 0 counter", true },
		{ "tcp flags psh counter", false },
		{ "tcp flags ecn counter", false },
		{ "tcp flags cwr drop", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		static struct stand_in t;
		struct flowcache_offload o;
		char text[sizeof(config) + 64];

		start(&t, &o);
		snprintf(text, sizeof(text), "%.*s  %s } }\n", (int)sizeof(config) - 6, config, rows[i].rule);
		assert_int_equal(fixture_reload(&t.w, text), 0);
		from_client(&t, IPPROTO_NR_TCP, 1000, 0, TCP_SYN, 0);
		assert_non_null(from_server(&t, IPPROTO_NR_TCP, 9000, 1001, TCP_SYN | TCP_ACK, 0));
		for (int k = 0; k < 12; k++) {
			from_client(&t, IPPROTO_NR_TCP, 1001, 9001, TCP_ACK, 0);
			assert_non_null(from_server(&t, IPPROTO_NR_TCP, 9001, 1001, TCP_ACK, 0));
		}
		assert_int_equal(t.has, rows[i].offered);
		fixture_end(&t.w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_udp_lives_on),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_end_when_void),
		cmocka_unit_test(test_came_up),
		cmocka_unit_test(test_one_way),
		cmocka_unit_test(test_rules_on_flags),
		cmocka_unit_test(test_owed_when_void),
		cmocka_unit_test(test_owed_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
