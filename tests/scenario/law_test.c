/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The law of conservation over a million random and mutated packets, in batches
 * as a driver would give them, with time that passes between. Under the
 * sanitizers this is also where a parser that reads too far is caught.
 *
 * Checked after every batch: the law; on every frame sent: a right header
 * checksum (that of the transport is for tests/differential), and no inside address
 * on the outside, also not in a quoted packet, unless the outside had spoken to that
 * address itself. After some thousand packets the outside has spoken
 * to every host that it ever speaks to, so there are quiet hosts, whom it does not
 * know: their addresses never leave, whatever happens.
 *
 * YG_LAW_SEED=N runs it with other packets and other random numbers, YG_LAW_SEEDS=N
 * with so many of them one after another, YG_LAW_PACKETS=N with other than a million
 * packets each.
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
#include "gateway/nat/nat_priv.h"
#include "gateway/nat/overload.h"
#include "hostile.h"
#include "stack/wire/icmp.h"

#define N_PACKETS 1000000u
#define KNOWN_MAX (1u << 18)
/* Hosts of the LAN whom the outside never names: those of the translations below, of the pool, and two more. */
#define QUIET_FIRST IP4(10, 77, 0, 2)
#define QUIET_LAST IP4(10, 77, 0, 6)

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
	 * name these. Open addressing; 0 is free. */
	uint64_t known[KNOWN_MAX];
	uint32_t n_known;
	uint64_t n_quiet; /* packets of quiet hosts that left, translated */
};

static bool is_private(uint32_t a)
{
	return (a >> 24) == 10;
}

static bool is_quiet(uint32_t a)
{
	return a >= QUIET_FIRST && a <= QUIET_LAST;
}

/* Where the pair stands, or would. */
static uint64_t *known_place(struct law *l, uint32_t outside, uint32_t inside)
{
	uint64_t pair = (uint64_t)outside << 32 | inside;
	uint32_t at = (uint32_t)(pair * 0x9e3779b97f4a7c15u >> 32);

	while (l->known[at % KNOWN_MAX] != 0 && l->known[at % KNOWN_MAX] != pair)
		at++;
	return &l->known[at % KNOWN_MAX];
}

static bool is_known(struct law *l, uint32_t outside, uint32_t inside)
{
	return *known_place(l, outside, inside) != 0;
}

/* That a frame of the outside is for a quiet host. */
static bool names_quiet(const uint8_t *frame, size_t len)
{
	struct ipv4_view ip;

	return len > ETHER_HEADER_LEN && ipv4_parse(frame + ETHER_HEADER_LEN, len - ETHER_HEADER_LEN, &ip) == IPV4_OK &&
	       is_quiet(ip.dst);
}

static void count_quiet(struct law *l, const struct packet *p)
{
	const struct conn *c = conntrack_of(gateway_conntrack(l->gw), p);

	l->n_quiet += c != NULL && is_quiet(c->half[CT_ORIGINAL].tuple.src);
}

static void know(struct law *l, uint32_t outside, uint32_t inside)
{
	uint64_t *place = known_place(l, outside, inside);

	if (!is_private(inside) || *place != 0)
		return;
	*place = (uint64_t)outside << 32 | inside;
	assert_true(++l->n_known < KNOWN_MAX / 2);
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
	count_quiet(e->law, p);
	bool is_error = l4_parse(&ip, l3 + ip.header_len, (size_t)ip.total_len - ip.header_len, &l4) == L4_OK &&
			l4.kind == L4_ICMP_ERROR &&
			icmp_quote_parse(l3 + ip.header_len, (size_t)ip.total_len - ip.header_len, &q);
	/* A router behind us, or a host, about a connection that the outside opened without translation: as in Linux,
	 * it keeps its address (tests/differential/errors_test.c). */
	bool of_known = is_error && q.ip.src == ip.dst && is_known(e->law, q.ip.src, q.ip.dst);

	if (is_private(ip.src) && !is_known(e->law, ip.dst, ip.src) && !of_known)
		fail_msg("an inside address left: proto %u, %08x to %08x, fragment %u+%u, ct info %u, conn %x",
			 ip.proto, ip.src, ip.dst, ip.frag_off, ip.mf, p->ct_info, p->conn_ref);
	if (is_error && is_private(q.ip.dst) && !is_known(e->law, q.ip.src, q.ip.dst))
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

static struct snapshot *build_snapshot(void)
{
	struct config_errors *errors = NULL;
	struct config *cfg = config_read_text("law.conf", config_text, strlen(config_text), &errors);

	if (cfg == NULL)
		config_errors_print(errors, stderr);
	assert_non_null(cfg);
	struct snapshot *snap = snapshot_build(cfg, NULL, &errors);

	assert_non_null(snap);
	config_free(cfg);
	return snap;
}

/* A batch from one side, as its driver would give it. Returns the number of packets. */
static uint32_t law_batch(struct law *l, int side, uint32_t ifindex, uint64_t now)
{
	struct env *env = gateway_env(l->gw);
	struct batch b = { .n = 0 };
	uint32_t n = rng_below(&l->hostile.rng, BATCH_MAX) + 1;

	for (uint32_t i = 0; i < n; i++) {
		uint8_t frame[HOSTILE_FRAME_MAX];
		size_t len;

		do
			len = hostile_next(&l->hostile, side, frame);
		while (side == WAN && names_quiet(frame, len));
		struct packet *p = packet_alloc(env->pool, (uint32_t)len);
		struct ipv4_view ip;

		if (side == WAN && len > ETHER_HEADER_LEN &&
		    ipv4_parse(frame + ETHER_HEADER_LEN, len - ETHER_HEADER_LEN, &ip) == IPV4_OK)
			know(l, ip.src, ip.dst);
		env->ledger.n_received++;
		if (p == NULL) {
			env->ledger.n_dropped[DROP_NO_BUFFER]++;
			continue;
		}
		memcpy(packet_frame(p), frame, len);
		batch_add(&b, p);
	}
	gateway_input(l->gw, ifindex, &b, now);
	assert_int_equal(b.n, 0);
	return n;
}

/* No connection is left, and no destination has ports. */
static void check_nothing_held(struct law *l)
{
	const struct nat_overloads *o = gateway_nat(l->gw)->overloads;

	assert_int_equal(conntrack_n_connections(gateway_conntrack(l->gw)), 0);
	for (uint32_t i = 0; i < o->n_counters; i++)
		assert_int_equal(o->counter[i], 0);
}

/* The run was about something: packets went through and were refused in many ways. */
static void check_scope(struct law *l, uint64_t n)
{
	uint32_t n_reasons = 0;

	for (int r = 0; r < N_DROP_REASONS; r++)
		n_reasons += gateway_env(l->gw)->ledger.n_dropped[r] != 0;
	assert_true(n_reasons >= 30);
	assert_true(l->n_quiet > n / 100);
	assert_true(l->end[LAN].n_frames > n / 100 && l->end[WAN].n_frames > n / 100);
	assert_true(conntrack_counts(gateway_conntrack(l->gw))[CT_COUNT_CONFIRMED] > n / 1000);
}

static void law_run(struct law *l, const uint8_t seed[RNG_SEED_BYTES], uint32_t n_wanted)
{
	static const struct gateway_limits limits = {
		.packets = { .n_packets = 700, .n_small = 600, .n_large = 8 },
		.conntrack = { .n_connections = 2048, .n_fragments = 64 },
		.ip = { .n_neighbours = 64, .n_reassembly = 16, .n_reassembly_fragments = 64 },
	};
	struct snapshot *snap = build_snapshot();
	uint32_t ifindex[2] = { interface_number(snap, "lan0"), interface_number(snap, "wan0") };
	uint64_t now = NS_PER_S, n = 0;

	memset(l, 0, sizeof(*l));
	hostile_init(&l->hostile, seed);
	l->gw = gateway_create(&limits, seed, now, on_event, l);
	assert_non_null(l->gw);
	assert_int_equal(gateway_configure(l->gw, &snap->core, now), 0);
	law_attach(l, snap, now);
	while (n < n_wanted) {
		int side = (int)rng_below(&l->hostile.rng, 2);

		n += law_batch(l, side, ifindex[side], now);
		now += rng_below(&l->hostile.rng, 200) == 0 ? 20 * NS_PER_S : rng_below(&l->hostile.rng, 2000000);
		if (gateway_next_deadline(l->gw) <= now)
			gateway_expire(l->gw, now);
		check_law(l, n);
	}
	/* Everything that is held ends by itself. */
	for (int i = 0; i < 1000 && gateway_next_deadline(l->gw) != TIME_NEVER; i++) {
		now = max_u64(now, gateway_next_deadline(l->gw));
		gateway_expire(l->gw, now);
	}
	check_law(l, n);
	check_nothing_held(l);
	check_scope(l, n);
	gateway_destroy(l->gw);
	snapshot_destroy(snap);
}

static uint32_t asked(const char *name, uint32_t otherwise)
{
	return getenv(name) != NULL ? (uint32_t)atol(getenv(name)) : otherwise;
}

/* Would catch: a packet that is lost or counted twice anywhere, an inside
 * address that leaks, a wrong header checksum, a read past a frame's end. */
static void test_million(void **state)
{
	static struct law l;
	uint32_t first = asked("YG_LAW_SEED", 0), n_seeds = asked("YG_LAW_SEEDS", 1);

	for (uint32_t i = first; i < first + n_seeds; i++) {
		uint8_t seed[RNG_SEED_BYTES] = "conservation";

		if (i != 0)
			snprintf((char *)seed, sizeof(seed), "conservation %u", i);
		if (n_seeds > 1)
			print_message("seed %u\n", i);
		law_run(&l, seed, asked("YG_LAW_PACKETS", N_PACKETS));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_million) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
