/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests: NAT and connection tracking at the hooks, with rules that a test
 * sets and an IP layer that only routes.
 *
 *   inside 10.0.0.0/8 -- 1: LAN 10.0.0.1 | 2: WAN 203.0.113.1 -- everybody else
 *
 * Every packet that comes out has its checksums computed from scratch, that of a
 * packet quoted in an ICMP error too.
 */
#ifndef YG_GATEWAY_NAT_NAT_FIXTURE_H
#define YG_GATEWAY_NAT_NAT_FIXTURE_H

#include "gateway/conntrack/ct_fixture.h"
#include "stack/ip/icmp.h"
#include "gateway/nat/nat_priv.h"
#include "stack/wire/checksum.h"
#include "stack/ip/route.h"

#define LAN_ADDR IP4(10, 0, 0, 1)
#define WAN_ADDR IP4(203, 0, 113, 1)
#define POOL_ADDR IP4(203, 0, 113, 16)

struct nat_fixture {
	struct ct_fixture b;
	struct nat *nat;
	struct ports *ports;
	struct ip_config ip;
	struct nat_action snat;    /* of what goes from inside to the WAN */
	struct nat_action dnat;    /* of what comes from the WAN to WAN_ADDR, TCP or UDP port 8080 */
	struct nat_action snat_in; /* of what goes to the inside */
	uint32_t n_refusals;       /* ICMP 3/13 */
	uint32_t n_resets;         /* to senders of unknown TCP */
};

/* The part of the IP layer that NAT asks. A test's stack is its fixture. */
struct ip_stack {
	struct nat_fixture *fixture;
};
static struct ip_stack fixture_stack;

uint32_t ip_interface_address(const struct ip_stack *s, uint32_t ifindex, uint32_t dst)
{
	(void)s;
	(void)dst;
	return ifindex == WAN ? WAN_ADDR : ifindex == LAN ? LAN_ADDR : 0;
}

const struct ip_config *ip_stack_config(const struct ip_stack *s)
{
	return &s->fixture->ip;
}

enum icmp_silence icmp_send_error(struct ip_stack *s, const struct packet *p, uint8_t type, uint8_t code, uint32_t info)
{
	(void)p;
	(void)info;
	s->fixture->n_refusals += type == 3 && code == 13;
	return ICMP_SENT;
}

void tcp_send_unknown_reset(struct ip_stack *s, const struct packet *p)
{
	(void)p;
	s->fixture->n_resets++;
}

static inline bool is_inside(uint32_t addr)
{
	return addr >> 24 == 10;
}

static inline enum packet_verdict fixture_rules(void *ctx, enum ip_hook hook, struct packet *p, struct nat_action *out)
{
	struct nat_fixture *nb = ctx;

	out->kind = NAT_ACTION_NONE;
	if (hook == HOOK_POSTROUTING && p->out_ifindex == WAN && is_inside(p->ip.src))
		*out = nb->snat;
	if (hook == HOOK_POSTROUTING && p->out_ifindex == LAN)
		*out = nb->snat_in;
	if (hook == HOOK_PREROUTING && p->in_ifindex == WAN && p->ip.dst == WAN_ADDR && p->l4.dport == 8080)
		*out = nb->dnat;
	return VERDICT_CONTINUE;
}

static inline void nat_fixture_start(struct nat_fixture *nb, uint32_t n_connections)
{
	memset(nb, 0, sizeof(*nb));
	fixture_start(&nb->b, &(struct ct_limits){ .n_connections = n_connections });
	fixture_stack.fixture = nb;
	strcpy(nb->ip.interface[LAN].name, "lan0");
	nb->ip.interface[LAN].n_addresses = 1;
	nb->ip.interface[LAN].address[0].addr = LAN_ADDR;
	strcpy(nb->ip.interface[WAN].name, "wan0");
	nb->ip.interface[WAN].n_addresses = 1;
	nb->ip.interface[WAN].address[0].addr = WAN_ADDR;
	nb->ports = ports_create(8, &nb->b.env.rng);
	assert_non_null(nb->ports);
	nb->nat = nat_create(&nb->b.env, &fixture_stack, nb->b.ct, nb->ports, &(struct nat_limits){ .n_addresses = 8 });
	assert_non_null(nb->nat);
	nat_set_rules(nb->nat, fixture_rules, nb);
	nb->snat = (struct nat_action){ .kind = NAT_ACTION_MASQUERADE };
	nb->dnat = (struct nat_action){ .kind = NAT_ACTION_RANGE,
					.flags = NAT_FLAG_ADDRESS | NAT_FLAG_PORT,
					.range = { CLIENT, CLIENT },
					.ports = { 80, 80 } };
}

/* One pool of one address, with all ports of programs, for the test to change before nat_configure. */
static inline struct nat_pool_config *nat_fixture_pool(struct nat_config *cfg)
{
	struct nat_pool_config *pool = &cfg->pool[0];

	memset(cfg, 0, sizeof(*cfg));
	cfg->n_pools = 1;
	strcpy(pool->name, "public");
	pool->n_ranges = 1;
	pool->range[0] = (struct nat_address_range){ POOL_ADDR, POOL_ADDR };
	pool->ports = (struct port_range){ 1024, 65535 };
	return pool;
}

/* And what goes out goes by it. */
static inline struct nat_pool_config *nat_fixture_start_pool(struct nat_fixture *nb, uint32_t n_connections,
							     struct nat_config *cfg)
{
	nat_fixture_start(nb, n_connections);
	nb->snat = (struct nat_action){ .kind = NAT_ACTION_POOL, .pool = 0 };
	return nat_fixture_pool(cfg);
}

/* All mappings must be given back with the last connection. */
static inline void nat_fixture_stop(struct nat_fixture *nb)
{
	uint32_t cursor = 0, index;

	assert_int_equal(nat_law_difference(nb->nat), 0);
	while (conntrack_next(nb->b.ct, &cursor, &index))
		conntrack_end(nb->b.ct, index, CT_END_FLUSHED);
	assert_int_equal(nb->b.ct->n_unconfirmed, 0);
	assert_int_equal(nb->nat->mappings.pool.n_used, 0);
	assert_int_equal(nb->nat->mappings.pinholes.n_used, 0);
	assert_int_equal(nb->nat->mappings.pairs.n_used, 0);
	assert_int_equal(ports_n_holders(nb->nat->ports), 0);
	assert_int_equal(nb->b.ct->table.n_entries, 0);
	nat_destroy(nb->nat);
	ports_destroy(nb->ports);
	fixture_stop(&nb->b);
}

/* From scratch: nothing that the rewriting has touched is trusted. */
static inline void check_sums(struct packet *p)
{
	struct ipv4_view ip;
	struct l4_view l4;
	struct icmp_quote q;
	uint8_t *l3 = packet_l3(p);

	assert_int_equal(ipv4_parse(l3, p->len - p->l3_off, &ip), IPV4_OK);
	assert_int_equal(ip.src, p->ip.src);
	assert_int_equal(ip.dst, p->ip.dst);
	if (ipv4_is_fragment(&ip))
		return;
	uint8_t *p4 = l3 + ip.header_len;
	uint32_t len = (uint32_t)ip.total_len - ip.header_len;
	assert_int_equal(l4_parse(&ip, p4, len, &l4), L4_OK);
	assert_int_equal(l4.sport, p->l4.sport);
	assert_int_equal(l4.dport, p->l4.dport);
	assert_int_equal(l4.id, p->l4.id);
	if (!p->offload.csum_partial)
		assert_true(l4_checksum_ok(&ip, p4, len));
	if (l4.kind != L4_ICMP_ERROR)
		return;
	assert_true(icmp_quote_parse(p4, len, &q));
	assert_int_equal(ipv4_parse(p4 + q.ip_offset, q.ip.total_len, &ip), IPV4_OK);
	if (q.len == q.ip.total_len)
		assert_true(l4_checksum_ok(&q.ip, p4 + q.l4_offset, q.len - q.ip.header_len));
}

/* One packet through PREROUTING and, routed, POSTROUTING or INPUT. NULL when it was dropped; else the caller hands or
 * drops it. */
static inline struct packet *nat_walk(struct nat_fixture *nb, struct packet *p, uint32_t *n_out, struct packet **out)
{
	struct batch batch = { .n = 0 };

	batch_add(&batch, p);
	fixture_in(&nb->b, HOOK_PREROUTING, &batch);
	nat_dst(nb->nat, HOOK_PREROUTING, &batch);
	batch_settle(&batch, nb->b.env.pool, &nb->b.env.ledger);
	for (uint32_t i = 0; i < batch.n; i++) {
		struct packet *x = batch.p[i];
		x->to_us = x->ip.dst == WAN_ADDR || x->ip.dst == LAN_ADDR;
		x->forwarded = !x->to_us;
		x->out_ifindex = x->to_us ? 0 : is_inside(x->ip.dst) ? LAN : WAN;
		x->next_hop = x->ip.dst;
	}
	enum ip_hook hook = batch.n > 0 && batch.p[0]->to_us ? HOOK_INPUT : HOOK_POSTROUTING;
	nat_src(nb->nat, hook, &batch);
	batch_settle(&batch, nb->b.env.pool, &nb->b.env.ledger);
	fixture_out(&nb->b, hook, &batch);
	for (uint32_t i = 0; i < batch.n; i++)
		check_sums(batch.p[i]);
	if (n_out != NULL) {
		*n_out = batch.n;
		memcpy(out, batch.p, batch.n * sizeof(batch.p[0]));
	}
	return batch.n == 1 ? batch.p[0] : NULL;
}

/* What came out, without the packet. */
struct came {
	bool passed;
	struct ipv4_view ip;
	struct l4_view l4;
	uint32_t out;
	uint8_t info;
};

static inline struct came nat_send_packet(struct nat_fixture *nb, struct packet *p)
{
	struct came c = { .passed = false };

	p = nat_walk(nb, p, NULL, NULL);
	if (p == NULL)
		return c;
	c = (struct came){ .passed = true, .ip = p->ip, .l4 = p->l4, .out = p->out_ifindex, .info = p->ct_info };
	fixture_hand(&nb->b, p);
	return c;
}

static inline struct came nat_send(struct nat_fixture *nb, const struct packet_spec *m)
{
	return nat_send_packet(nb, fixture_packet(&nb->b, m));
}

/* The answer to what came out. */
static inline struct packet_spec answer_to(const struct came *c, const struct packet_spec *sent)
{
	struct packet_spec m = *sent;

	m.in = c->out;
	m.src = c->ip.dst;
	m.dst = c->ip.src;
	if (m.proto == IPPROTO_NR_ICMP) {
		m.sport = c->l4.id;
		m.dport = (uint16_t)(icmp_opposite(c->l4.type) << 8);
	} else {
		m.sport = c->l4.dport;
		m.dport = c->l4.sport;
	}
	if (m.proto == IPPROTO_NR_TCP) {
		m.flags = TCP_SYN | TCP_ACK;
		m.ack = sent->seq + 1;
		m.seq = 5000;
	}
	return m;
}

static inline struct packet_spec out_make(uint8_t proto, uint16_t sport, uint16_t dport)
{
	struct packet_spec m = udp_make(sport, dport);

	m.proto = proto;
	if (proto == IPPROTO_NR_TCP) {
		m.flags = TCP_SYN;
		m.payload_len = 0;
		m.window = 1000;
	}
	if (proto == IPPROTO_NR_ICMP)
		m.dport = ICMP_ECHO_REQUEST << 8;
	return m;
}

/* The i-th of many flows of UDP from inside, each by a port or a host of its own. */
static inline struct packet_spec out_flow(uint32_t i, uint32_t dst, uint16_t dport)
{
	struct packet_spec m = out_make(IPPROTO_NR_UDP, (uint16_t)(1 + i % 60000), dport);

	m.src = CLIENT + i / 60000;
	m.dst = dst;
	m.payload_len = 4;
	return m;
}

#endif
