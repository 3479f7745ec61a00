/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests: an IP stack between three devices that keep what is sent to them,
 * on a virtual clock, without a room above it.
 *
 *   host 10.0.1.2 -- 1: lan0 10.0.1.1/24 | stack | 2: wan0 192.0.2.1/24 -- router 192.0.2.254 -- the rest
 *                                                | 3: small0 10.0.3.1/24, MTU 576 -- 10.0.3.2
 */
#ifndef YG_STACK_IP_STACK_FIXTURE_H
#define YG_STACK_IP_STACK_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "stack/ip/stack_priv.h"
#include "stack/packet/packet_fixture.h"
#include "stack/wire/arp.h"

#define LAN 1u
#define WAN 2u
#define SMALL 3u
#define N_FIXTURE_DEVICES 3u

#define LAN_US IP4(10, 0, 1, 1)
#define LAN_HOST IP4(10, 0, 1, 2)
#define WAN_US IP4(192, 0, 2, 1)
#define ROUTER IP4(192, 0, 2, 254)
#define SMALL_US IP4(10, 0, 3, 1)
#define SMALL_HOST IP4(10, 0, 3, 2)
#define FAR IP4(198, 51, 100, 7)
#define POOL_ADDR IP4(192, 0, 2, 16)

#define FRAMES_MAX 512
#define EVENTS_MAX 64

struct sent {
	uint32_t len;
	uint8_t *bytes;
	struct offload offload;
};

struct fake_device {
	struct device dev;
	uint32_t n;
	struct sent sent[FRAMES_MAX];
};

struct stack_fixture {
	struct env env;
	struct ip_config cfg;
	struct fib *fib;
	struct ip_stack *s;
	struct fake_device dev[N_FIXTURE_DEVICES + 1];
	uint32_t n_events;
	struct yg_event event[EVENTS_MAX];
};

static inline void fake_tx(struct device *d, struct batch *b)
{
	struct fake_device *f = container_of(d, struct fake_device, dev);

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];

		assert_true(f->n < FRAMES_MAX);
		struct sent *t = &f->sent[f->n++];

		t->len = p->len;
		t->bytes = malloc(p->len);
		t->offload = p->offload;
		memcpy(t->bytes, packet_frame(p), p->len);
		d->ledger->n_handed++;
		packet_free(d->pool, p);
	}
	b->n = 0;
}

static const struct device_ops fake_ops = { .driver = "fake", .tx = fake_tx };

static inline void fixture_event(void *ctx, const struct yg_event *e)
{
	struct stack_fixture *b = ctx;

	if (b->n_events < EVENTS_MAX)
		b->event[b->n_events++] = *e;
}

static inline uint32_t fixture_count_events(const struct stack_fixture *b, enum event_kind kind)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->n_events; i++)
		n += b->event[i].kind == kind;
	return n;
}

static inline struct ether_addr mac_of_us(uint32_t ifindex)
{
	return (struct ether_addr){ { 0x02, 0, 0, 0, 0, (uint8_t)ifindex } };
}

/* The station of a host on a link of ours. */
static inline struct ether_addr mac_of_host(uint32_t addr)
{
	return (struct ether_addr){ { 0x02, 0xaa, (uint8_t)(addr >> 24), (uint8_t)(addr >> 16), (uint8_t)(addr >> 8),
				      (uint8_t)addr } };
}

static inline void fixture_route(struct stack_fixture *b, uint32_t addr, uint8_t len, struct fib_nexthop nh)
{
	struct ip4_prefix p = { addr & ip4_mask(len), len };

	assert_int_equal(fib_insert(b->fib, p, fib_nexthop_add(b->fib, &nh)), 0);
}

static inline void fixture_interface(struct stack_fixture *b, uint32_t ifindex, const char *name, uint32_t addr,
				     uint32_t mtu)
{
	struct ip_interface_config *c = &b->cfg.interface[ifindex];
	struct fake_device *f = &b->dev[ifindex];

	memcpy(c->name, name, strlen(name) + 1);
	c->n_addresses = 1;
	c->address[0].addr = addr;
	c->address[0].prefix_len = 24;
	f->dev = (struct device){ .ops = &fake_ops,
				  .pool = b->env.pool,
				  .ledger = &b->env.ledger,
				  .mac = mac_of_us(ifindex),
				  .mtu = mtu,
				  .up = true };
	fixture_route(b, addr, 24,
		      (struct fib_nexthop){ .kind = FIB_UNICAST, .ifindex = ifindex, .source = ip_addr_v4(addr) });
	fixture_route(b, addr, 32, (struct fib_nexthop){ .kind = FIB_LOCAL, .ifindex = ifindex });
	fixture_route(b, addr | 0xff, 32, (struct fib_nexthop){ .kind = FIB_BROADCAST, .ifindex = ifindex });
}

/* Forgets what was sent so far. */
static inline void fixture_forget(struct stack_fixture *b)
{
	for (uint32_t i = 1; i <= N_FIXTURE_DEVICES; i++) {
		for (uint32_t k = 0; k < b->dev[i].n; k++)
			free(b->dev[i].sent[k].bytes);
		b->dev[i].n = 0;
	}
	b->n_events = 0;
}

/* Lets the clock run to `until`, stopping at each deadline on the way. */
static inline void fixture_run_until(struct stack_fixture *b, uint64_t until)
{
	for (uint32_t n = 0;; n++) {
		uint64_t next = ip_next_deadline(b->s);

		assert_true(n < 100000);
		if (next > until)
			break;
		b->env.now = max_u64(b->env.now, next);
		ip_expire(b->s);
		ip_flush(b->s);
	}
	b->env.now = until;
}

static inline void fixture_run_for(struct stack_fixture *b, uint64_t ns)
{
	fixture_run_until(b, b->env.now + ns);
}

static inline void fixture_learn(struct stack_fixture *b, uint32_t ifindex, uint32_t addr)
{
	struct ether_addr mac = mac_of_host(addr);

	neigh_learn(b->s, ifindex, addr, &mac, NEIGH_PROOF_ANSWER, NEIGH_CREATE_YES);
}

static inline struct stack_fixture *fixture_create(void)
{
	static const struct packet_pool_config pool_cfg = { .n_packets = 2048, .n_small = 2048, .n_large = 64 };
	static const uint8_t seed[RNG_SEED_BYTES] = { 1, 2, 3 };
	static const struct ip_limits limits = { .n_neighbours = 16,
						 .n_neigh_held = 4,
						 .n_neigh_held_all = 10,
						 .n_reassembly = 8,
						 .n_reassembly_fragments = 200,
						 .n_reassembly_per_source = 150 };
	struct stack_fixture *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->env.pool = packet_pool_create(&pool_cfg);
	b->env.now = 1000 * NS_PER_S;
	b->env.emit = fixture_event;
	b->env.emit_ctx = b;
	rng_init(&b->env.rng, seed);
	b->fib = fib_create();
	fixture_interface(b, LAN, "lan0", LAN_US, 1500);
	fixture_interface(b, WAN, "wan0", WAN_US, 1500);
	fixture_interface(b, SMALL, "small0", SMALL_US, 576);
	fixture_route(b, 0, 0,
		      (struct fib_nexthop){ .kind = FIB_UNICAST,
					    .ifindex = WAN,
					    .gateway = ip_addr_v4(ROUTER),
					    .source = ip_addr_v4(WAN_US) });
	fixture_route(b, POOL_ADDR, 28, (struct fib_nexthop){ .kind = FIB_TRANSLATED });
	b->cfg.fib = b->fib;
	b->s = ip_stack_create(&b->env, &limits);
	assert_non_null(b->s);
	ip_stack_configure(b->s, &b->cfg);
	for (uint32_t i = 1; i <= N_FIXTURE_DEVICES; i++)
		ip_stack_attach(b->s, i, &b->dev[i].dev);
	return b;
}

/* Announcements are over, the neighbours are known, nothing has been sent. */
static inline struct stack_fixture *fixture_create_settled(void)
{
	struct stack_fixture *b = fixture_create();

	fixture_run_for(b, 3 * NS_PER_S);
	fixture_learn(b, LAN, LAN_HOST);
	fixture_learn(b, WAN, ROUTER);
	fixture_learn(b, SMALL, SMALL_HOST);
	fixture_forget(b);
	return b;
}

/* Nothing has vanished, wherever it is now. */
static inline void fixture_check_law(const struct stack_fixture *b)
{
	assert_int_equal(ledger_expected_held(&b->env.ledger), packet_pool_used(b->env.pool));
}

static inline void fixture_destroy(struct stack_fixture *b)
{
	fixture_check_law(b);
	fixture_forget(b);
	ip_stack_destroy(b->s);
	assert_int_equal(packet_pool_used(b->env.pool), 0);
	fib_destroy(b->fib);
	packet_pool_destroy(b->env.pool);
	free(b);
}

/* Frames from outside. */

struct frame {
	uint32_t len;
	uint8_t bytes[70000];
	struct offload offload;
};

/* Of somebody on the link; for LAN when sp->in is 0. */
static inline void fixture_frame(struct frame *f, const struct packet_spec *sp)
{
	static const struct ether_addr from = { { 0x02, 0xbb, 0, 0, 0, 1 } };
	const struct ether_addr us = mac_of_us(sp->in != 0 ? sp->in : LAN);
	struct packet_spec s = *sp;

	if (s.proto == IPPROTO_NR_TCP) {
		s.seq = 1000;
		s.ack = 2000;
		s.window = 8192;
	}
	if (s.proto == IPPROTO_NR_ICMP && s.info == 0)
		s.info = 0x12340001;
	memset(&f->offload, 0, sizeof(f->offload));
	f->len = packet_build_frame(&s, &us, &from, f->bytes);
}

static inline struct packet *fixture_receive(struct stack_fixture *b, const struct frame *f)
{
	struct packet *p = packet_alloc(b->env.pool, f->len);

	assert_non_null(p);
	memcpy(packet_frame(p), f->bytes, f->len);
	p->offload = f->offload;
	b->env.ledger.n_received++;
	return p;
}

static inline void fixture_input(struct stack_fixture *b, uint32_t ifindex, const struct frame *f)
{
	struct batch batch = { .n = 1, .p = { fixture_receive(b, f) } };

	ether_input(b->s, ifindex, &batch);
	assert_int_equal(batch.n, 0);
	ip_flush(b->s);
	fixture_check_law(b);
}

static inline void fixture_input_spec(struct stack_fixture *b, const struct packet_spec *sp)
{
	struct frame *f = malloc(sizeof(*f));

	fixture_frame(f, sp);
	fixture_input(b, sp->in != 0 ? sp->in : LAN, f);
	free(f);
}

/* What was sent, parsed again: everything that leaves must be right. */
struct seen {
	struct ether_view eth;
	struct ipv4_view ip;
	struct l4_view l4;
	const uint8_t *l3, *p4;
	uint32_t l4_len;
	struct offload offload;
};

static inline struct seen fixture_seen(const struct stack_fixture *b, uint32_t ifindex, uint32_t i)
{
	const struct fake_device *f = &b->dev[ifindex];
	struct seen v;

	memset(&v, 0, sizeof(v));
	assert_true(i < f->n);
	const struct sent *t = &f->sent[i];

	v.offload = t->offload;
	assert_true(ether_parse(t->bytes, t->len, &v.eth));
	assert_memory_equal(&v.eth.src, &f->dev.mac, 6);
	if (v.eth.type != ETHERTYPE_IPV4)
		return v;
	v.l3 = t->bytes + ETHER_HEADER_LEN;
	assert_int_equal(ipv4_parse(v.l3, t->len - ETHER_HEADER_LEN, &v.ip), IPV4_OK);
	assert_int_equal(t->len, ETHER_HEADER_LEN + v.ip.total_len);
	v.p4 = v.l3 + v.ip.header_len;
	v.l4_len = (uint32_t)v.ip.total_len - v.ip.header_len;
	assert_int_equal(l4_parse(&v.ip, v.p4, v.l4_len, &v.l4), L4_OK);
	if (!ipv4_is_fragment(&v.ip) && !v.offload.csum_partial)
		assert_true(l4_checksum_ok(&v.ip, v.p4, v.l4_len));
	return v;
}

static inline struct arp_view fixture_seen_arp(const struct stack_fixture *b, uint32_t ifindex, uint32_t i)
{
	struct seen v = fixture_seen(b, ifindex, i);
	struct arp_view a;

	assert_int_equal(v.eth.type, ETHERTYPE_ARP);
	assert_true(arp_parse(b->dev[ifindex].sent[i].bytes + ETHER_HEADER_LEN,
			      b->dev[ifindex].sent[i].len - ETHER_HEADER_LEN, &a));
	return a;
}

static inline uint32_t fixture_n_sent(const struct stack_fixture *b)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i <= N_FIXTURE_DEVICES; i++)
		n += b->dev[i].n;
	return n;
}

/* 172.16/16 to 172.19/16: routes that lead nowhere. */
static inline void fixture_dead_routes(struct stack_fixture *b)
{
	static const uint8_t kinds[] = { FIB_BLACKHOLE, FIB_UNREACHABLE, FIB_PROHIBIT, FIB_NONE };

	for (uint32_t i = 0; i < ARRAY_LEN(kinds); i++)
		fixture_route(b, IP4(172, 16 + i, 0, 0), 16, (struct fib_nexthop){ .kind = kinds[i] });
}

#define UDP_TO(a) \
	{ \
		.src = LAN_HOST, .dst = (a), .proto = IPPROTO_NR_UDP, .payload_len = 20, .sport = 9, .dport = 9 \
	}

#endif
