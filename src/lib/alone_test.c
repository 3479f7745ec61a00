/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The core's archive alone: linked with nothing of daemon and tools and with no
 * library from outside, told what to do by values that stand here, it translates a
 * packet and its answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "core/gateway.h"
#include "stack/wire/checksum.h"

enum { LAN = 1, WAN = 2, FRAME_MAX = 128 };

#define CLIENT IP4(10, 77, 0, 2)
#define OURS IP4(203, 0, 113, 1)
#define SERVER IP4(203, 0, 113, 254)

/* A device that keeps the frame it was given last. */
struct port {
	struct device device;
	uint8_t frame[FRAME_MAX];
	uint32_t len, n_sent;
};

static void port_tx(struct device *d, struct batch *b)
{
	struct port *p = container_of(d, struct port, device);

	for (uint32_t i = 0; i < b->n; i++) {
		p->len = min_u32(b->p[i]->len, FRAME_MAX);
		memcpy(p->frame, b->p[i]->buf + b->p[i]->off, p->len);
		p->n_sent++;
		d->ledger->n_handed++;
		packet_free(d->pool, b->p[i]);
	}
	b->n = 0;
}

static const struct device_ops port_ops = { .driver = "test", .tx = port_tx };

static void ignore_event(void *ctx, const struct yg_event *e)
{
}

static void put16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void put32(uint8_t *at, uint32_t v)
{
	put16(at, (uint16_t)(v >> 16));
	put16(at + 2, (uint16_t)v);
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void input(struct gateway *g, uint32_t ifindex, const uint8_t *frame, uint32_t len)
{
	struct env *env = gateway_env(g);
	struct packet *p = packet_alloc(env->pool, len);
	struct batch b = { 0 };

	assert_non_null(p);
	memcpy(p->buf + p->off, frame, len);
	env->ledger.n_received++;
	batch_add(&b, p);
	gateway_input(g, ifindex, &b, env->now + NS_PER_MS);
}

/* 60 bytes of Ethernet, IPv4 and UDP without a checksum (RFC 768 allows that). */
static void make_udp(uint8_t frame[60], const struct device *to, uint32_t src, uint32_t dst, uint16_t sport,
		     uint16_t dport)
{
	uint8_t *ip = frame + 14;

	memset(frame, 0, 60);
	memcpy(frame, &to->mac, 6);
	frame[6] = 0x02;
	put16(frame + 12, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, 46);
	ip[8] = 64;
	ip[9] = 17;
	put32(ip + 12, src);
	put32(ip + 16, dst);
	put16(ip + 10, checksum_finish(checksum_add(0, ip, 20)));
	put16(ip + 20, sport);
	put16(ip + 22, dport);
	put16(ip + 24, 26);
}

/* Whoever is asked for by ARP answers. */
static void answer_arp(struct gateway *g, struct port *p, uint32_t ifindex, uint32_t addr)
{
	uint8_t reply[42];

	assert_int_equal(p->frame[12] << 8 | p->frame[13], 0x0806);
	assert_int_equal(get32(p->frame + 38), addr);
	memcpy(reply, p->frame, sizeof(reply));
	memcpy(reply, p->frame + 6, 6);
	memset(reply + 6, 0, 6);
	reply[6] = 0x02;
	reply[21] = 2;
	memcpy(reply + 32, p->frame + 22, 10);
	memcpy(reply + 22, reply + 6, 6);
	put32(reply + 28, addr);
	input(g, ifindex, reply, sizeof(reply));
}

/* One rule: what leaves by wan0 is masqueraded. */
static struct ruleset *make_rules(const struct nat_config *nat)
{
	struct rule_name wan = { .name = "wan0" };
	struct rule_stmt stmt[2] = {
		{ .kind = STMT_MATCH,
		  .match = { .key = KEY_META_OIFNAME, .op = RULE_OP_EQ, .n_names = 1, .name = &wan } },
		{ .kind = STMT_NAT, .nat_is_source = true, .nat = { .kind = NAT_ACTION_MASQUERADE } },
	};
	char text[] = "oifname \"wan0\" masquerade";
	struct rule rule = { .n_stmts = 2, .stmt = stmt, .text = text };
	struct rule_chain chain = { .name = "postrouting",
				    .type = CHAIN_NAT,
				    .hook = HOOK_POSTROUTING,
				    .priority = 100,
				    .n_rules = 1,
				    .rule = &rule };
	struct rule_table table = { .name = "nat", .n_chains = 1, .chain = &chain };
	struct rule_ast ast = { .n_tables = 1, .table = &table };
	struct rules_error err;
	size_t n_errors = 0;
	struct ruleset *rules = rules_compile(&ast, nat, &err, 1, &n_errors);

	assert_int_equal(n_errors, 0);
	assert_non_null(rules);
	return rules;
}

static void add_link(struct core_config *c, uint32_t ifindex, const char *name, uint32_t addr)
{
	struct ip_interface_config *i = &c->ip.interface[ifindex];
	struct fib_nexthop local = { .kind = FIB_LOCAL, .ifindex = ifindex, .source = ip_addr_v4(addr) };
	struct fib_nexthop link = { .kind = FIB_UNICAST, .ifindex = ifindex, .source = ip_addr_v4(addr) };

	memcpy(i->name, name, strlen(name) + 1);
	i->n_addresses = 1;
	i->address[0].addr = addr;
	i->address[0].prefix_len = 24;
	assert_int_equal(rib_set(c->rib, &(struct rib_route){ .prefix = ip_prefix_v4(addr, 32), .nexthop = local }), 0);
	assert_int_equal(rib_set(c->rib, &(struct rib_route){ .prefix = ip_prefix_v4(addr, 24),
							      .nexthop = link,
							      .source = RIB_CONNECTED }),
			 0);
}

/* Would catch: a core that cannot be linked, told or driven without the daemon. */
static void test_translates(void **state)
{
	static struct core_config c;
	struct gateway_limits limits = { 0 };
	const uint8_t seed[RNG_SEED_BYTES] = { 1 };
	struct port port[3] = { 0 };
	uint8_t frame[60];

	c.rib = rib_create(RIB_FORWARDS);
	c.generation = 1;
	add_link(&c, LAN, "lan0", IP4(10, 77, 0, 1));
	add_link(&c, WAN, "wan0", OURS);
	assert_int_equal(rib_flush(c.rib), 0);
	c.ip.fib = rib_fib_hold(c.rib, 0);
	c.rules = make_rules(&c.nat);
	struct gateway *g = gateway_create(&limits, seed, NS_PER_S, ignore_event, NULL);
	assert_non_null(g);
	assert_int_equal(gateway_configure(g, &c, NS_PER_S), 0);
	for (uint32_t i = LAN; i <= WAN; i++) {
		port[i].device = (struct device){
			.ops = &port_ops, .mac = { { 0x02, 0, 0, 0, 1, (uint8_t)i } }, .mtu = 1500, .up = true
		};
		gateway_attach(g, i, &port[i].device, NS_PER_S);
	}

	make_udp(frame, &port[LAN].device, CLIENT, SERVER, 5000, 53);
	input(g, LAN, frame, sizeof(frame));
	answer_arp(g, &port[WAN], WAN, SERVER);
	const uint8_t *ip = port[WAN].frame + 14;
	assert_int_equal(get32(ip + 12), OURS);
	assert_int_equal(get32(ip + 16), SERVER);
	assert_int_equal(ip[8], 63);
	assert_int_equal(checksum_finish(checksum_add(0, ip, 20)), 0);

	uint16_t outside = (uint16_t)(ip[20] << 8 | ip[21]);
	make_udp(frame, &port[WAN].device, SERVER, OURS, 53, outside);
	input(g, WAN, frame, sizeof(frame));
	if (port[LAN].frame[12] == 0x08 && port[LAN].frame[13] == 0x06)
		answer_arp(g, &port[LAN], LAN, CLIENT);
	ip = port[LAN].frame + 14;
	assert_int_equal(get32(ip + 12), SERVER);
	assert_int_equal(get32(ip + 16), CLIENT);
	assert_int_equal(ip[22] << 8 | ip[23], 5000);

	assert_int_equal(ledger_expected_held(&gateway_env(g)->ledger), packet_pool_used(gateway_env(g)->pool));
	gateway_destroy(g);
	ruleset_destroy(c.rules);
	rib_release(c.rib);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_translates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
