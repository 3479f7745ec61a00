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
#include "stack/wire/arp.h"

#define LAN 1u
#define WAN 2u
#define SMALL 3u
#define N_BENCH_DEVICES 3u

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

struct bench {
	struct env env;
	struct ip_config cfg;
	struct fib *fib;
	struct ip_stack *s;
	struct fake_device dev[N_BENCH_DEVICES + 1];
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

static inline void bench_event(void *ctx, const struct yg_event *e)
{
	struct bench *b = ctx;

	if (b->n_events < EVENTS_MAX)
		b->event[b->n_events++] = *e;
}

static inline uint32_t bench_count_events(const struct bench *b, enum event_kind kind)
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

static inline void bench_route(struct bench *b, uint32_t addr, uint8_t len, struct fib_nexthop nh)
{
	struct ip4_prefix p = { addr & ip4_mask(len), len };

	assert_int_equal(fib_insert(b->fib, p, fib_nexthop_add(b->fib, &nh)), 0);
}

static inline void bench_interface(struct bench *b, uint32_t ifindex, const char *name, uint32_t addr, uint32_t mtu)
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
	bench_route(b, addr, 24,
		    (struct fib_nexthop){ .kind = FIB_UNICAST, .ifindex = ifindex, .source = ip_addr_v4(addr) });
	bench_route(b, addr, 32, (struct fib_nexthop){ .kind = FIB_LOCAL, .ifindex = ifindex });
	bench_route(b, addr | 0xff, 32, (struct fib_nexthop){ .kind = FIB_BROADCAST, .ifindex = ifindex });
}

/* Forgets what was sent so far. */
static inline void bench_forget(struct bench *b)
{
	for (uint32_t i = 1; i <= N_BENCH_DEVICES; i++) {
		for (uint32_t k = 0; k < b->dev[i].n; k++)
			free(b->dev[i].sent[k].bytes);
		b->dev[i].n = 0;
	}
	b->n_events = 0;
}

/* Lets the clock run to `until`, stopping at each deadline on the way. */
static inline void bench_run_until(struct bench *b, uint64_t until)
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

static inline void bench_run_for(struct bench *b, uint64_t ns)
{
	bench_run_until(b, b->env.now + ns);
}

static inline void bench_learn(struct bench *b, uint32_t ifindex, uint32_t addr)
{
	struct ether_addr mac = mac_of_host(addr);

	neigh_learn(b->s, ifindex, addr, &mac, NEIGH_PROOF_ANSWER, NEIGH_CREATE_YES);
}

static inline struct bench *bench_create(void)
{
	static const struct packet_pool_config pool_cfg = { .n_packets = 2048, .n_small = 2048, .n_large = 64 };
	static const uint8_t seed[RNG_SEED_BYTES] = { 1, 2, 3 };
	static const struct ip_limits limits = { .n_neighbours = 16,
						 .n_neigh_held = 4,
						 .n_neigh_held_all = 10,
						 .n_reassembly = 8,
						 .n_reassembly_fragments = 200,
						 .n_reassembly_per_source = 150 };
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->env.pool = packet_pool_create(&pool_cfg);
	b->env.now = 1000 * NS_PER_S;
	b->env.emit = bench_event;
	b->env.emit_ctx = b;
	rng_init(&b->env.rng, seed);
	b->fib = fib_create();
	bench_interface(b, LAN, "lan0", LAN_US, 1500);
	bench_interface(b, WAN, "wan0", WAN_US, 1500);
	bench_interface(b, SMALL, "small0", SMALL_US, 576);
	bench_route(b, 0, 0,
		    (struct fib_nexthop){ .kind = FIB_UNICAST,
					  .ifindex = WAN,
					  .gateway = ip_addr_v4(ROUTER),
					  .source = ip_addr_v4(WAN_US) });
	bench_route(b, POOL_ADDR, 28, (struct fib_nexthop){ .kind = FIB_TRANSLATED });
	b->cfg.fib = b->fib;
	b->s = ip_stack_create(&b->env, &limits);
	assert_non_null(b->s);
	ip_stack_configure(b->s, &b->cfg);
	for (uint32_t i = 1; i <= N_BENCH_DEVICES; i++)
		ip_stack_attach(b->s, i, &b->dev[i].dev);
	return b;
}

/* Announcements are over, the neighbours are known, nothing has been sent. */
static inline struct bench *bench_create_settled(void)
{
	struct bench *b = bench_create();

	bench_run_for(b, 3 * NS_PER_S);
	bench_learn(b, LAN, LAN_HOST);
	bench_learn(b, WAN, ROUTER);
	bench_learn(b, SMALL, SMALL_HOST);
	bench_forget(b);
	return b;
}

/* Nothing has vanished, wherever it is now. */
static inline void bench_check_law(const struct bench *b)
{
	assert_int_equal(ledger_expected_held(&b->env.ledger), packet_pool_used(b->env.pool));
}

static inline void bench_destroy(struct bench *b)
{
	bench_check_law(b);
	bench_forget(b);
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

struct spec {
	uint32_t src, dst;
	uint8_t proto;
	uint8_t ttl; /* 0: 64 */
	bool df, mf;
	uint16_t frag_off;
	uint16_t id;
	uint32_t payload; /* bytes behind the L4 header (or behind the IP header, when frag_off is not 0) */
	uint16_t sport, dport;
	uint8_t flags; /* TCP */
	uint8_t icmp_type;
	uint8_t options[40];
	uint8_t options_len;
	uint32_t ifindex; /* whose MAC it is for; 0: LAN */
};

static inline uint32_t l4_header_len(const struct spec *sp)
{
	if (sp->frag_off != 0)
		return 0;
	switch (sp->proto) {
	case IPPROTO_NR_TCP:
		return TCP_HEADER_LEN;
	case IPPROTO_NR_UDP:
	case IPPROTO_NR_UDPLITE:
	case IPPROTO_NR_ICMP:
		return 8;
	case IPPROTO_NR_DCCP:
		return 20; /* a Request, with its service code */
	case IPPROTO_NR_SCTP:
		return SCTP_HEADER_LEN;
	default:
		return 0;
	}
}

/* UDP-Lite whose checksum covers the header, a DCCP Request, the common header of SCTP with a tag of flags. */
static inline void make_other_header(uint8_t *l4, const struct spec *sp)
{
	memset(l4, 0, l4_header_len(sp));
	l4[0] = (uint8_t)(sp->sport >> 8);
	l4[1] = (uint8_t)sp->sport;
	l4[2] = (uint8_t)(sp->dport >> 8);
	l4[3] = (uint8_t)sp->dport;
	if (sp->proto == IPPROTO_NR_UDPLITE)
		l4[5] = UDP_HEADER_LEN;
	if (sp->proto == IPPROTO_NR_DCCP) {
		l4[4] = (uint8_t)(l4_header_len(sp) / 4);
		l4[8] = 1; /* Request, long sequence numbers */
	}
	if (sp->proto == IPPROTO_NR_SCTP)
		l4[7] = sp->flags;
}

static inline void make_frame(struct frame *f, const struct spec *sp)
{
	uint32_t ifindex = sp->ifindex != 0 ? sp->ifindex : LAN;
	uint32_t l4_len = l4_header_len(sp) + sp->payload;
	uint8_t *l3 = f->bytes + ETHER_HEADER_LEN;
	uint8_t *l4 = l3 + IPV4_HEADER_LEN + sp->options_len;
	struct ether_view eth = { .dst = mac_of_us(ifindex),
				  .src = { { 0x02, 0xbb, 0, 0, 0, 1 } },
				  .type = ETHERTYPE_IPV4 };
	struct ipv4_view ip = { .src = sp->src,
				.dst = sp->dst,
				.total_len = (uint16_t)(IPV4_HEADER_LEN + sp->options_len + l4_len),
				.id = sp->id,
				.frag_off = sp->frag_off,
				.header_len = IPV4_HEADER_LEN,
				.ttl = sp->ttl != 0 ? sp->ttl : 64,
				.proto = sp->proto,
				.df = sp->df,
				.mf = sp->mf };

	memset(&f->offload, 0, sizeof(f->offload));
	f->len = ETHER_HEADER_LEN + ip.total_len;
	ether_emit(f->bytes, &eth);
	ipv4_emit(l3, &ip);
	memcpy(l3 + IPV4_HEADER_LEN, sp->options, sp->options_len);
	ip.header_len = (uint8_t)(IPV4_HEADER_LEN + sp->options_len);
	ipv4_set_header_len(l3, ip.header_len);
	ipv4_set_fragment(l3, ip.total_len, ip.frag_off, ip.df, ip.mf);
	for (uint32_t i = 0; i < l4_len; i++)
		l4[i] = (uint8_t)(i * 7 + (i >> 8));
	if (sp->frag_off != 0)
		return;
	if (sp->proto == IPPROTO_NR_TCP)
		tcp_emit(l4, sp->sport, sp->dport, 1000, 2000, sp->flags, 8192);
	else if (sp->proto == IPPROTO_NR_UDP)
		udp_emit(l4, sp->sport, sp->dport, (uint16_t)sp->payload);
	else if (sp->proto == IPPROTO_NR_ICMP)
		icmp_emit(l4, sp->icmp_type, 0, 0x12340001);
	else if (l4_has_ports(sp->proto))
		make_other_header(l4, sp);
	if (!sp->mf)
		l4_checksum_set(&ip, l4, l4_len);
}

static inline struct packet *bench_receive(struct bench *b, const struct frame *f)
{
	struct packet *p = packet_alloc(b->env.pool, f->len);

	assert_non_null(p);
	memcpy(packet_frame(p), f->bytes, f->len);
	p->offload = f->offload;
	b->env.ledger.n_received++;
	return p;
}

static inline void bench_input(struct bench *b, uint32_t ifindex, const struct frame *f)
{
	struct batch batch = { .n = 1, .p = { bench_receive(b, f) } };

	ether_input(b->s, ifindex, &batch);
	assert_int_equal(batch.n, 0);
	ip_flush(b->s);
	bench_check_law(b);
}

static inline void bench_input_spec(struct bench *b, const struct spec *sp)
{
	struct frame *f = malloc(sizeof(*f));

	make_frame(f, sp);
	bench_input(b, sp->ifindex != 0 ? sp->ifindex : LAN, f);
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

static inline struct seen bench_seen(const struct bench *b, uint32_t ifindex, uint32_t i)
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

static inline struct arp_view bench_seen_arp(const struct bench *b, uint32_t ifindex, uint32_t i)
{
	struct seen v = bench_seen(b, ifindex, i);
	struct arp_view a;

	assert_int_equal(v.eth.type, ETHERTYPE_ARP);
	assert_true(arp_parse(b->dev[ifindex].sent[i].bytes + ETHER_HEADER_LEN,
			      b->dev[ifindex].sent[i].len - ETHER_HEADER_LEN, &a));
	return a;
}

static inline uint32_t bench_n_sent(const struct bench *b)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i <= N_BENCH_DEVICES; i++)
		n += b->dev[i].n;
	return n;
}

/* 172.16/16 to 172.19/16: routes that lead nowhere. */
static inline void bench_dead_routes(struct bench *b)
{
	static const uint8_t kinds[] = { FIB_BLACKHOLE, FIB_UNREACHABLE, FIB_PROHIBIT, FIB_NONE };

	for (uint32_t i = 0; i < ARRAY_LEN(kinds); i++)
		bench_route(b, IP4(172, 16 + i, 0, 0), 16, (struct fib_nexthop){ .kind = kinds[i] });
}

#define UDP_TO(a) \
	{ \
		.src = LAN_HOST, .dst = (a), .proto = IPPROTO_NR_UDP, .payload = 20, .sport = 9, .dport = 9 \
	}

#endif
