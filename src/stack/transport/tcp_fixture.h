/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests: two hosts with TCP on an in-memory wire and a virtual clock.
 *
 *   a 10.0.0.1 --- wire --- 10.0.0.2 b
 *
 * A step hands what has arrived to both and fires what is due; net_run goes on until
 * nothing is left or a time has passed.
 */
#ifndef YG_STACK_TRANSPORT_TCP_FIXTURE_H
#define YG_STACK_TRANSPORT_TCP_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stack/ip/fib.h"
#include "stack/packet/memwire.h"
#include "stack/transport/tcp_priv.h"
#include "stack/wire/icmp.h"

#define A_ADDR IP4(10, 0, 0, 1)
#define B_ADDR IP4(10, 0, 0, 2)
#define SERVICE 7u

struct host {
	struct env env;
	struct ip_config cfg;
	struct fib *fib;
	struct ip_stack *ip;
	struct tcp *tcp;
	struct device *dev;
	uint32_t n_changed, n_acceptable;
	uint32_t n_events;
	/* Fired for every packet that arrives, before the stack sees it; false: it is lost. */
	bool (*filter)(struct host *h, struct packet *p);
	void *filter_ctx;
	uint64_t n_filtered;
};

struct net {
	uint64_t now;
	struct memwire *wire;
	struct host a, b;
};

static inline void host_event(void *ctx, const struct yg_event *e)
{
	((struct host *)ctx)->n_events++;
}

static inline void host_changed(void *ctx, uint64_t user, uint32_t why)
{
	((struct host *)ctx)->n_changed++;
}

static inline void host_acceptable(void *ctx, uint64_t user)
{
	((struct host *)ctx)->n_acceptable++;
}

static inline void host_route(struct host *h, uint32_t addr, uint8_t len, struct fib_nexthop nh)
{
	struct ip4_prefix p = { addr & ip4_mask(len), len };

	assert_int_equal(fib_insert(h->fib, p, fib_nexthop_add(h->fib, &nh)), 0);
}

static inline void host_start_pool(struct host *h, struct device *dev, uint32_t addr, uint64_t now,
				   const struct packet_pool_config *pool, const struct tcp_limits *limits,
				   const struct tcp_config *cfg)
{
	static const struct ip_limits ip_limits;
	static const struct tcp_user_ops ops = { .changed = host_changed, .acceptable = host_acceptable };
	uint8_t seed[RNG_SEED_BYTES] = "two hosts on a wire";

	seed[31] = (uint8_t)addr;
	h->env.pool = packet_pool_create(pool);
	assert_non_null(h->env.pool);
	rng_init(&h->env.rng, seed);
	h->env.now = now;
	h->env.emit = host_event;
	h->env.emit_ctx = h;
	h->fib = fib_create();
	memcpy(h->cfg.interface[1].name, "eth0", 5);
	h->cfg.interface[1].n_addresses = 1;
	h->cfg.interface[1].address[0].addr = addr;
	h->cfg.interface[1].address[0].prefix_len = 24;
	h->cfg.fib = h->fib;
	host_route(h, addr, 24, (struct fib_nexthop){ .kind = FIB_UNICAST, .ifindex = 1, .source = ip_addr_v4(addr) });
	host_route(h, addr, 32, (struct fib_nexthop){ .kind = FIB_LOCAL, .ifindex = 1 });
	h->ip = ip_stack_create(&h->env, &ip_limits);
	assert_non_null(h->ip);
	ip_stack_configure(h->ip, &h->cfg);
	h->dev = dev;
	dev->pool = h->env.pool;
	dev->ledger = &h->env.ledger;
	dev->mac = (struct ether_addr){ { 2, 0, 0, 0, 0, (uint8_t)addr } };
	dev->up = true;
	ip_stack_attach(h->ip, 1, dev);
	h->tcp = tcp_create(&h->env, h->ip, limits, cfg);
	assert_non_null(h->tcp);
	tcp_set_user(h->tcp, &ops, h);
}

static inline void host_start(struct host *h, struct device *dev, uint32_t addr, uint64_t now,
			      const struct tcp_limits *limits, const struct tcp_config *cfg)
{
	static const struct packet_pool_config pool = { .n_packets = 65536, .n_small = 65536, .n_large = 1024 };
	static const struct tcp_limits usual = { .n_connections = 1024, .n_half_open = 256, .n_time_wait = 256 };

	host_start_pool(h, dev, addr, now, &pool, limits != NULL ? limits : &usual, cfg);
}

static inline void host_receive(struct host *h)
{
	struct batch b;

	do {
		b.n = 0;
		if (h->dev->ops->rx(h->dev, &b, BATCH_MAX) == 0)
			break;
		struct batch in = { .n = 0 };

		for (uint32_t i = 0; i < b.n; i++) {
			if (h->filter == NULL || h->filter(h, b.p[i])) {
				batch_add(&in, b.p[i]);
			} else {
				h->n_filtered++;
				env_drop(&h->env, b.p[i], DROP_NO_ROUTE);
			}
		}
		ether_input(h->ip, 1, &in);
		ip_flush(h->ip);
	} while (true);
}

static inline void host_expire(struct host *h)
{
	ip_expire(h->ip);
	tcp_expire(h->tcp);
	ip_flush(h->ip);
}

static inline uint64_t host_deadline(const struct host *h)
{
	return min_u64(ip_next_deadline(h->ip), tcp_next_deadline(h->tcp));
}

/* What is kept of a connection's segments is what they say. */
static inline void conn_check(const struct tcp *t, const struct tcp_conn *c)
{
	uint32_t sacked = 0, lost = 0, retransmitted = 0, n_listed = 0, in_flight = 0, seq = c->snd_una;

	for (uint32_t i = 0; i < c->flight->queue.n; i++) {
		const struct tcp_segment *s = tcp_queue_at(t, c, i);
		uint32_t size = tcp_segment_size(s);

		assert_int_equal(s->seq, seq);
		assert_true((i < c->flight->queue.n_sent) == ((s->flags & SEGMENT_SENT) != 0));
		seq += size;
		sacked += s->flags & SEGMENT_SACKED ? size : 0;
		lost += s->flags & SEGMENT_LOST ? size : 0;
		retransmitted += s->flags & SEGMENT_RETRANSMITTED ? size : 0;
		/* Those that are not with the other end and are on their way. */
		in_flight += i < c->flight->queue.n_sent && !(s->flags & SEGMENT_SACKED) &&
			     ((s->flags & SEGMENT_LOST) == 0 || (s->flags & SEGMENT_RETRANSMITTED));
	}
	if (c->flight->queue.n > 0)
		assert_int_equal(seq, c->write_seq);
	if (c->sack_ok)
		assert_int_equal(sacked, c->flight->sacked);
	assert_int_equal(lost, c->flight->lost);
	assert_int_equal(retransmitted, c->flight->retransmitted);
	for (uint32_t i = c->flight->oldest; i != POOL_NONE; i = tcp_segment_at(t, i)->newer) {
		const struct tcp_segment *s = tcp_segment_at(t, i);

		assert_true(s->older == POOL_NONE || tcp_segment_at(t, s->older)->sent <= s->sent);
		n_listed++;
	}
	assert_int_equal(n_listed, in_flight);
}

/* Short queues at every step, long ones now and then. */
static inline void host_check(const struct host *h)
{
	static uint32_t n;

	if (h->tcp->segments.n_used > 32 && ++n % 64 != 0)
		return;
	for (uint32_t i = 0; i < h->tcp->conns.n_fresh; i++)
		if (tcp_conn_at(h->tcp, i)->is_used)
			conn_check(h->tcp, tcp_conn_at(h->tcp, i));
}

static inline void net_at(struct net *n, uint64_t now)
{
	n->now = max_u64(n->now, now);
	n->a.env.now = n->b.env.now = n->now;
	memwire_set_time(n->wire, n->now);
	host_expire(&n->a);
	host_expire(&n->b);
	host_receive(&n->a);
	host_receive(&n->b);
	host_check(&n->a);
	host_check(&n->b);
}

static inline uint64_t net_next(const struct net *n)
{
	return min_u64(memwire_next(n->wire), min_u64(host_deadline(&n->a), host_deadline(&n->b)));
}

/* Until that much time has passed. */
static inline void net_run(struct net *n, uint64_t ns)
{
	uint64_t end = n->now + ns;

	ip_flush(n->a.ip);
	ip_flush(n->b.ip);
	for (uint64_t next; (next = net_next(n)) <= end;)
		net_at(n, next);
	net_at(n, end);
}

static inline void net_start_with(struct net *n, const struct memwire_config *wire, const struct tcp_config *a,
				  const struct tcp_config *b)
{
	static const uint8_t seed[RNG_SEED_BYTES] = "a wire";

	memset(n, 0, sizeof(*n));
	n->now = 1000 * NS_PER_S;
	n->wire = memwire_create(wire, wire, seed);
	assert_non_null(n->wire);
	memwire_set_time(n->wire, n->now);
	host_start(&n->a, memwire_end(n->wire, 0), A_ADDR, n->now, NULL, a);
	host_start(&n->b, memwire_end(n->wire, 1), B_ADDR, n->now, NULL, b);
	net_run(n, 5 * NS_PER_S);
}

static inline void net_start(struct net *n)
{
	static const struct memwire_config wire = { .delay_ns = 10 * NS_PER_MS, .queue_packets = 4096 };

	net_start_with(n, &wire, NULL, NULL);
}

static inline void host_law(const struct host *h)
{
	if (ledger_expected_held(&h->env.ledger) != (int64_t)packet_pool_used(h->env.pool))
		fail_msg("the law of conservation: %lld expected, %u held",
			 (long long)ledger_expected_held(&h->env.ledger), packet_pool_used(h->env.pool));
}

static inline void host_end(struct host *h)
{
	tcp_destroy(h->tcp);
	host_law(h);
	ip_stack_destroy(h->ip);
	fib_destroy(h->fib);
	assert_int_equal(packet_pool_used(h->env.pool), 0);
	packet_pool_destroy(h->env.pool);
}

static inline void net_end(struct net *n)
{
	host_law(&n->a);
	host_law(&n->b);
	host_end(&n->a);
	host_end(&n->b);
	memwire_destroy(n->wire);
}

static inline struct tcp_listener *host_listen(struct host *h, uint16_t port)
{
	struct tcp_listener *l = NULL;
	struct tcp_end local = { .port = port };
	struct tcp_listen_options o = { .backlog = 64 };

	assert_int_equal(tcp_listen(h->tcp, 0, &local, &o, 1, &l), 0);
	return l;
}

static inline struct tcp_conn *host_connect(struct host *h, uint32_t addr, uint16_t port)
{
	struct tcp_conn *c = tcp_open(h->tcp, 2);
	struct tcp_end local = { 0 }, remote = { ip_addr_v4(addr), port };

	assert_non_null(c);
	assert_int_equal(tcp_connect(h->tcp, c, 0, &local, &remote), -EINPROGRESS);
	ip_flush(h->ip);
	return c;
}

/* Both ends of a new connection from a to b. */
static inline void net_connect(struct net *n, struct tcp_listener *l, struct tcp_conn **a, struct tcp_conn **b)
{
	*a = host_connect(&n->a, B_ADDR, SERVICE);
	for (uint32_t i = 0; i < 1000 && !tcp_acceptable(l); i++)
		net_run(n, NS_PER_MS);
	*b = tcp_accept(n->b.tcp, l, 3);
	assert_non_null(*b);
	assert_int_equal(tcp_state(*a), TCP_ESTABLISHED);
}

static inline int64_t host_send(struct host *h, struct tcp_conn *c, const void *bytes, size_t len)
{
	struct span s = { .bytes = (void *)(uintptr_t)bytes, .len = len };
	int64_t n = tcp_send(h->tcp, c, &s, 1, 0);

	ip_flush(h->ip);
	return n;
}

static inline int64_t host_recv(struct host *h, struct tcp_conn *c, void *bytes, size_t len)
{
	struct span s = { .bytes = bytes, .len = len };
	int64_t n = tcp_recv(h->tcp, c, &s, 1, 0);

	ip_flush(h->ip);
	return n;
}

#define HOST_ICMP_FRAME (ETHER_HEADER_LEN + 2 * IPV4_HEADER_LEN + ICMP_HEADER_LEN + 8)

/* An ICMP error from A to B about B's segment between these ports with that number; info: the second half of ICMP's
 * header. */
static inline void host_icmp_frame(uint8_t frame[HOST_ICMP_FRAME], uint16_t sport, uint16_t dport, uint32_t seq,
				   uint8_t type, uint8_t code, uint32_t info)
{
	uint8_t *l3 = frame + ETHER_HEADER_LEN, *l4 = l3 + IPV4_HEADER_LEN, *quote = l4 + ICMP_HEADER_LEN;
	struct ether_view eth = { .dst = { { 2, 0, 0, 0, 0, 2 } },
				  .src = { { 2, 0, 0, 0, 0, 1 } },
				  .type = ETHERTYPE_IPV4 };
	struct ipv4_view ip = { .src = A_ADDR,
				.dst = B_ADDR,
				.total_len = HOST_ICMP_FRAME - ETHER_HEADER_LEN,
				.header_len = IPV4_HEADER_LEN,
				.ttl = 64,
				.proto = IPPROTO_NR_ICMP };
	struct ipv4_view of = ip;
	const uint8_t tcp[8] = { (uint8_t)(sport >> 8), (uint8_t)sport,       (uint8_t)(dport >> 8), (uint8_t)dport,
				 (uint8_t)(seq >> 24),  (uint8_t)(seq >> 16), (uint8_t)(seq >> 8),   (uint8_t)seq };

	of.src = B_ADDR;
	of.dst = A_ADDR;
	of.proto = IPPROTO_NR_TCP;
	of.total_len = 1500;
	of.df = true;
	ether_emit(frame, &eth);
	ipv4_emit(quote, &of);
	memcpy(quote + IPV4_HEADER_LEN, tcp, sizeof(tcp));
	icmp_emit(l4, type, code, info);
	ipv4_emit(l3, &ip);
	l4_checksum_set(&ip, l4, (uint32_t)ip.total_len - IPV4_HEADER_LEN);
}

#endif
