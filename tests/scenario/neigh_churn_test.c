/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A neighbour table that is smaller than the LAN: each host that talks takes the
 * number of one that has been silent. The flows of the one that lost its number
 * look again, and nobody else's notice.
 *
 * One station on the LAN plays all hosts. Host 0 talks all the time; the others
 * one after the other, and once more when their number has been given away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/util.h"
#include "stack/wire/ether.h"
#include "fixture.h"

#define LAN_NET IP4(10, 77, 0, 0)
#define SERVER IP4(203, 0, 113, 9)
#define WAN_ADDR IP4(203, 0, 113, 1)
#define N_NEIGHBOURS 6u
#define N_HOSTS 400u
/* So many hosts later a number has been given away. */
#define LATER 5u
#define EXCHANGES 4 /* after which a flow is offered */
#define SECONDS 40

static const char config[] = "interface lan0 { address 10.77.0.1/16; }\n"
			     "interface wan0 { address 203.0.113.1/24; }\n"
			     "table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
			     "  oifname \"wan0\" masquerade } }\n"
			     "table ip filter { chain f { type filter hook forward priority 0; policy accept;\n"
			     "  ct state established counter } }\n";

struct churn {
	struct fixture w;
	struct station *lan, *server;
	uint16_t port[N_HOSTS]; /* outside */
	uint32_t conn[N_HOSTS];
	/* Who forwards in the flow cache's stead: */
	bool has[N_HOSTS + 1]; /* by connection */
	uint32_t n_invalid, n_gone, due;
};

static bool on_add(void *ctx, uint32_t conn)
{
	struct churn *t = ctx;

	assert_true(conn < ARRAY_LEN(t->has) && !t->has[conn]);
	return t->has[conn] = true;
}

static void on_remove(void *ctx, uint32_t conn)
{
	struct churn *t = ctx;
	struct flowcache_deferred deferred = { .packets = t->due, .bytes = 40ull * t->due, .last_ns = t->w.now };

	if (!t->has[conn])
		return;
	t->has[conn] = false;
	flowcache_flush_counters(gateway_flowcache(t->w.gw), conn, CT_REPLY, &deferred);
	t->due = 0;
}

static bool on_read_back(void *ctx, uint32_t conn)
{
	return false;
}

static void on_came_up(void *ctx, uint32_t conn, enum ct_dir dir, const struct up_stamp *stamp)
{
}

static void on_moved(void *ctx, uint32_t conn, enum ct_dir dir)
{
}

static void on_invalidate_all(void *ctx)
{
	struct churn *t = ctx;

	t->n_invalid++;
	memset(t->has, 0, sizeof(t->has));
}

static void on_read_back_all(void *ctx)
{
}

static void on_adjacency(void *ctx, uint32_t index, enum ip_adjacency_change change)
{
	((struct churn *)ctx)->n_gone += change == IP_ADJACENCY_GONE;
}

/* From here on the station is this host. */
static void become(struct churn *t, uint32_t host)
{
	t->lan->addr = LAN_NET + 0x100 + host;
	t->lan->mac = (struct ether_addr){ { 2, 0, 0, 7, (uint8_t)(host >> 8), (uint8_t)host } };
}

static void to_server(struct churn *t, uint32_t host)
{
	station_send(t->lan,
		     &(struct packet_spec){ .dst = SERVER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 80 });
	fixture_run(&t->w, NS_PER_MS);
	struct packet *p = station_next(t->server);

	assert_non_null(p);
	t->port[host] = p->l4.sport;
}

/* The frame must reach the host itself. */
static void to_host(struct churn *t, uint32_t host)
{
	struct ether_view eth;

	station_send(
		t->server,
		&(struct packet_spec){ .dst = WAN_ADDR, .proto = IPPROTO_NR_UDP, .sport = 80, .dport = t->port[host] });
	fixture_run(&t->w, NS_PER_MS);
	assert_int_equal(t->lan->n_inbox, 1);
	assert_true(ether_parse(packet_frame(t->lan->inbox[0]), t->lan->inbox[0]->len, &eth));
	assert_memory_equal(&eth.dst, &t->lan->mac, sizeof(eth.dst));
	assert_int_equal(station_next(t->lan)->ip.dst, t->lan->addr);
}

static bool is_cached(const struct churn *t, uint32_t host, enum ct_dir dir)
{
	struct flowcache_view v;

	return flowcache_view(gateway_flowcache(t->w.gw), t->conn[host], dir, &v);
}

static void talk(struct churn *t, uint32_t host)
{
	become(t, host);
	for (int i = 0; i < EXCHANGES; i++) {
		to_server(t, host);
		to_host(t, host);
	}
	struct tuple in = { .src = t->lan->addr, .dst = SERVER, .sport = 4000, .dport = 80, .proto = IPPROTO_NR_UDP };
	uint32_t ref = conntrack_find(gateway_conntrack(t->w.gw), &in);

	assert_int_not_equal(ref, CONN_NONE);
	t->conn[host] = ref >> 1;
	assert_true(t->has[t->conn[host]]);
	assert_true(is_cached(t, host, CT_ORIGINAL) && is_cached(t, host, CT_REPLY));
}

/* Time passes, in which host 0 talks. */
static void go_on(struct churn *t)
{
	const uint64_t *count = flowcache_counts(gateway_flowcache(t->w.gw));

	uint64_t voided = count[FLOWCACHE_INVALIDATED], taken = count[FLOWCACHE_TAKEN];

	become(t, 0);
	for (int i = 0; i < SECONDS; i++) {
		fixture_run(&t->w, NS_PER_S);
		to_server(t, 0);
		to_host(t, 0);
	}
	/* All but the first of each direction, and one when the flow has become a stream. */
	if (voided == count[FLOWCACHE_INVALIDATED])
		assert_true(count[FLOWCACHE_TAKEN] >= taken + 2 * SECONDS - 3);
	assert_true(is_cached(t, 0, CT_ORIGINAL) && is_cached(t, 0, CT_REPLY));
}

static uint64_t counted(const struct churn *t)
{
	return fixture_rules_counted(&t->w);
}

/* One whose number has been given away. What was forwarded in its stead before is credited to its rules too. True when
 * somebody had done so. */
static bool comes_back(struct churn *t, uint32_t host)
{
	bool in_stead = t->has[t->conn[host]];
	uint64_t before = counted(t);
	uint32_t n_invalid = t->n_invalid;

	become(t, host);
	assert_false(is_cached(t, host, CT_REPLY));
	t->due = 5;
	/* One waits for ARP, the next one learns. */
	to_host(t, host);
	to_host(t, host);
	in_stead &= t->n_invalid == n_invalid;
	assert_int_equal(t->due, in_stead ? 0 : 5);
	assert_int_equal(counted(t), before + 2 + 5 - t->due);
	assert_false(t->has[t->conn[host]]);
	assert_true(is_cached(t, host, CT_REPLY));
	return in_stead;
}

/* Would catch: a packet that is sent to the new neighbour of an old number; flows of others that become void when a
 * number is given away, in user space or in the kernel; what is deferred and lost then; and all of that when the
 * generations come round. */
static void test_churn(void **state)
{
	static const struct gateway_limits limits = {
		.packets = { .n_packets = 4096, .n_small = 2048, .n_large = 64 },
		.conntrack = { .n_connections = N_HOSTS },
		.ip = { .n_neighbours = N_NEIGHBOURS },
	};
	static struct churn t;
	struct flowcache_offload o = {
		.ctx = &t,
		.add = on_add,
		.remove = on_remove,
		.read_back = on_read_back,
		.came_up = on_came_up,
		.invalidate_all = on_invalidate_all,
		.read_back_all = on_read_back_all,
		.adjacency_changed = on_adjacency,
		.moved = on_moved,
	};

	fixture_start(&t.w, config, &limits);
	t.lan = fixture_station(&t.w, "lan0", LAN_NET + 0x100, NULL);
	t.server = fixture_station(&t.w, "wan0", SERVER, NULL);
	fixture_run(&t.w, 5 * NS_PER_S);
	station_clear(t.lan);
	station_clear(t.server);
	flowcache_set_offload(gateway_flowcache(t.w.gw), &o);
	talk(&t, 0);
	uint32_t n_invalid = t.n_invalid, n_round = 0;

	for (uint32_t i = 1; i < N_HOSTS; i++) {
		talk(&t, i);
		go_on(&t);
		/* All became void: once in so many times that a number was given away. */
		if (i >= LATER)
			n_round += !comes_back(&t, i - LATER + 1);
	}
	assert_true(t.n_gone > (N_NEIGHBOURS - 2) * IP_ADJACENCY_GENERATIONS);
	assert_in_range(t.n_invalid - n_invalid, 1, t.n_gone / IP_ADJACENCY_GENERATIONS);
	assert_in_range(n_round, 1, LATER * (t.n_invalid - n_invalid));
	flowcache_set_offload(gateway_flowcache(t.w.gw), NULL);
	fixture_end(&t.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_churn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
