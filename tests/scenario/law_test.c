/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The law of conservation over a million random and mutated packets, in batches
 * as a driver would give them, with time that passes between. Under the
 * sanitizers this is also where a parser that reads too far is caught.
 *
 * Checked after every batch: the law; on every frame sent: a right header
 * checksum, a right transport checksum where what came in was right, and no
 * inside address on the outside, also not in a quoted packet, unless the outside
 * had spoken to that address itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/gateway.h"
#include "daemon/config/snapshot.h"
#include "base/ip4.h"
#include "base/util.h"
#include "hostile.h"
#include "stack/wire/icmp.h"

#define N_PACKETS 1000000u

enum { LAN, WAN };

static const char config_text[] = "interface lan0 { address 10.77.0.1/24; }\n"
				  "interface wan0 { address 203.0.113.1/24; mtu 1400; }\n"
				  "route 198.51.100.0/24 via 203.0.113.254;\n"
				  "route 192.0.2.0/25 blackhole;\n"
				  "route 192.0.2.128/25 prohibit;\n"
				  "pool public { 203.0.113.16/28; ports 1024-1100; }\n"
				  "table ip nat {\n"
				  "  chain prerouting { type nat hook prerouting priority dstnat; policy accept;\n"
				  "    iifname \"wan0\" ip daddr 203.0.113.1 tcp dport 80 dnat to 10.77.0.2:1024\n"
				  "    iifname \"wan0\" ip daddr 203.0.113.1 udp dport 1030 dnat to 10.77.0.3\n"
				  "  }\n"
				  "  chain postrouting { type nat hook postrouting priority srcnat; policy accept;\n"
				  "    oifname \"wan0\" ip saddr 10.77.0.0/30 snat to pool public\n"
				  "    oifname \"wan0\" masquerade\n"
				  "  }\n"
				  "}\n"
				  "table ip filter {\n"
				  "  chain forward { type filter hook forward priority filter; policy drop;\n"
				  "    ct state established,related counter accept\n"
				  "    ct state invalid counter drop\n"
				  "    iifname \"lan0\" accept\n"
				  "    tcp dport 1024 accept\n"
				  "    udp dport 1030 reject\n"
				  "    tcp dport 22 reject with tcp reset\n"
				  "  }\n"
				  "}\n";

struct end {
	struct device device;
	struct law *law;
	int side;
	uint64_t n_frames, n_private;
};

struct law {
	struct gateway *gw;
	struct hostile hostile;
	struct end end[2];
	uint64_t n_events;
	/* Pairs of addresses that the outside itself used to speak to an inside address: an answer and an error may
	 * name these. */
	uint8_t known[1 << 16];
};

static uint8_t *known_pair(struct law *l, uint32_t src, uint32_t dst)
{
	return &l->known[(src * 2654435761u ^ dst * 40503u) >> 16];
}

static bool is_private(uint32_t a)
{
	return (a >> 24) == 10;
}

/* What must hold of every IPv4 frame that leaves. */
static void check_sent(struct end *e, struct packet *p)
{
	const uint8_t *l3 = packet_frame(p) + ETHER_HEADER_LEN;
	struct ether_view eth;
	struct ipv4_view ip;
	struct l4_view l4;
	struct icmp_quote q;

	assert_true(ether_parse(packet_frame(p), p->len, &eth));
	if (eth.type != ETHERTYPE_IPV4)
		return;
	assert_int_equal(ipv4_parse(l3, p->len - ETHER_HEADER_LEN, &ip), IPV4_OK);
	assert_true(ip.ttl > 0);
	assert_true(ip.total_len <= (e->side == WAN ? 1400 : 1500));
	if (e->side != WAN)
		return;
	if (is_private(ip.src) && !*known_pair(e->law, ip.dst, ip.src))
		fail_msg("an inside address left: proto %u, %08x to %08x, fragment %u+%u, ct info %u, conn %x",
			 ip.proto, ip.src, ip.dst, ip.frag_off, ip.mf, p->ct_info, p->conn_ref);
	if (l4_parse(&ip, l3 + ip.header_len, (size_t)ip.total_len - ip.header_len, &l4) == L4_OK &&
	    l4.kind == L4_ICMP_ERROR &&
	    icmp_quote_parse(l3 + ip.header_len, (size_t)ip.total_len - ip.header_len, &q) && is_private(q.ip.dst) &&
	    !*known_pair(e->law, q.ip.src, q.ip.dst))
		fail_msg("an inside address left in a quoted packet: type %u code %u, %08x to %08x, quoted proto %u, "
			 "%08x to %08x, fragment %u, ports %u %u, type %u; ct info %u, conn %x, error %u",
			 l4.type, l4.code, ip.src, ip.dst, q.ip.proto, q.ip.src, q.ip.dst, q.ip.frag_off, q.l4.sport,
			 q.l4.dport, q.l4.type, p->ct_info, p->conn_ref, p->ct_icmp_error);
}

static void end_tx(struct device *d, struct batch *b)
{
	struct end *e = container_of(d, struct end, device);

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];

		check_sent(e, p);
		hostile_see(&e->law->hostile, e->side, packet_frame(p), p->len);
		e->n_frames++;
		d->ledger->n_handed++;
		packet_free(d->pool, p);
	}
	b->n = 0;
}

static const struct device_ops end_ops = { .driver = "test", .tx = end_tx };

static void on_event(void *ctx, const struct yg_event *e)
{
	((struct law *)ctx)->n_events++;
}

static uint32_t interface_number(const struct snapshot *s, const char *name)
{
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		if (strcmp(s->core.ip.interface[i].name, name) == 0)
			return i;
	}
	fail_msg("no interface %s", name);
	return 0;
}

static void check_law(struct law *l, uint64_t n)
{
	struct env *env = gateway_env(l->gw);

	if (ledger_expected_held(&env->ledger) != (int64_t)packet_pool_used(env->pool))
		fail_msg("after %llu packets the law expects %lld held, the pool has %u", (unsigned long long)n,
			 (long long)ledger_expected_held(&env->ledger), packet_pool_used(env->pool));
	if (nat_law_difference(gateway_nat(l->gw)) != 0)
		fail_msg("after %llu packets %lld more ports and mappings are in use than held", (unsigned long long)n,
			 (long long)nat_law_difference(gateway_nat(l->gw)));
}

static void law_attach(struct law *l, const struct snapshot *snap, uint64_t now)
{
	static const char *const names[2] = { "lan0", "wan0" };

	for (int side = 0; side < 2; side++) {
		struct end *e = &l->end[side];

		e->law = l;
		e->side = side;
		e->device.ops = &end_ops;
		e->device.mac = (struct ether_addr){ { 2, 0, 0, 0, 0, (uint8_t)side } };
		e->device.mtu = 1500;
		e->device.up = true;
		snprintf(e->device.name, sizeof(e->device.name), "%s", names[side]);
		l->hostile.side[side] = (struct hostile_side){
			.gateway_mac = e->device.mac,
			.net = side == LAN ? IP4(10, 77, 0, 1) : IP4(203, 0, 113, 8),
			.n_hosts = 12,
			.gateway = side == LAN ? IP4(10, 77, 0, 1) : IP4(203, 0, 113, 1),
		};
		gateway_attach(l->gw, interface_number(snap, names[side]), &e->device, now);
	}
}

/* Would catch: a packet that is lost or counted twice anywhere, an inside
 * address that leaks, a wrong checksum, a read past a frame's end. */
static void test_million(void **state)
{
	static struct law l;
	static const uint8_t seed[RNG_SEED_BYTES] = "conservation";
	static const struct gateway_limits limits = {
		.packets = { .n_packets = 700, .n_small = 600, .n_large = 8 },
		.conntrack = { .n_connections = 2048, .n_fragments = 64 },
		.ip = { .n_neighbours = 64, .n_reassembly = 16, .n_reassembly_fragments = 64 },
	};
	struct config_errors *errors = NULL;
	struct config *cfg = config_read_text("law.conf", config_text, strlen(config_text), &errors);

	if (cfg == NULL)
		config_errors_print(errors, stderr);
	assert_non_null(cfg);
	struct snapshot *snap = snapshot_build(cfg, NULL, &errors);

	assert_non_null(snap);
	uint64_t now = NS_PER_S, n = 0;

	hostile_init(&l.hostile, seed);
	l.gw = gateway_create(&limits, seed, now, on_event, &l);
	assert_non_null(l.gw);
	assert_int_equal(gateway_configure(l.gw, &snap->core, now), 0);
	law_attach(&l, snap, now);

	struct env *env = gateway_env(l.gw);
	uint32_t ifindex[2] = { interface_number(snap, "lan0"), interface_number(snap, "wan0") };
	uint32_t n_wanted = getenv("YG_LAW_PACKETS") != NULL ? (uint32_t)atol(getenv("YG_LAW_PACKETS")) : N_PACKETS;

	while (n < n_wanted) {
		int side = (int)rng_below(&l.hostile.rng, 2);
		struct batch b = { .n = 0 };

		for (uint32_t i = rng_below(&l.hostile.rng, BATCH_MAX) + 1; i > 0; i--) {
			uint8_t frame[HOSTILE_FRAME_MAX];
			size_t len = hostile_next(&l.hostile, side, frame);
			struct packet *p = packet_alloc(env->pool, (uint32_t)len);

			struct ipv4_view ip;

			if (side == WAN && len > ETHER_HEADER_LEN &&
			    ipv4_parse(frame + ETHER_HEADER_LEN, len - ETHER_HEADER_LEN, &ip) == IPV4_OK)
				*known_pair(&l, ip.src, ip.dst) = 1;
			n++;
			env->ledger.n_received++;
			if (p == NULL) {
				env->ledger.n_dropped[DROP_NO_BUFFER]++;
				continue;
			}
			memcpy(packet_frame(p), frame, len);
			batch_add(&b, p);
		}
		gateway_input(l.gw, ifindex[side], &b, now);
		assert_int_equal(b.n, 0);
		now += rng_below(&l.hostile.rng, 200) == 0 ? 20 * NS_PER_S : rng_below(&l.hostile.rng, 2000000);
		if (gateway_next_deadline(l.gw) <= now)
			gateway_expire(l.gw, now);
		check_law(&l, n);
	}
	/* Everything that is held ends by itself. */
	for (int i = 0; i < 1000 && gateway_next_deadline(l.gw) != TIME_NEVER; i++) {
		now = max_u64(now, gateway_next_deadline(l.gw));
		gateway_expire(l.gw, now);
	}
	check_law(&l, n);
	/* The run was about something: packets went through and were refused in many ways. */
	uint32_t n_reasons = 0;

	for (int r = 0; r < N_DROP_REASONS; r++)
		n_reasons += env->ledger.n_dropped[r] != 0;
	assert_true(n_reasons >= 30);
	assert_true(l.end[LAN].n_frames > n_wanted / 100 && l.end[WAN].n_frames > n_wanted / 100);
	assert_true(conntrack_counts(gateway_conntrack(l.gw))[CT_COUNT_CONFIRMED] > n_wanted / 1000);
	gateway_destroy(l.gw);
	snapshot_destroy(snap);
	config_free(cfg);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_million) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
