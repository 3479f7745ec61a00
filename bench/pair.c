/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The wire between both is a queue of packets for each way. The receiver's packet is made around
 * the sender's bytes, which come back to him when it is freed: what a driver does whose frames
 * stand in a ring.
 */
#include "pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "stack/ip/local.h"
#include "stack/socket/abi.h"

#define N_PACKETS 262144u
#define START_NS (1000 * NS_PER_S)

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

static void no_event(void *ctx, const struct yg_event *e)
{
	(void)ctx;
	(void)e;
}

/* --- the wire --- */

static void released(void *ctx, uint64_t cookie)
{
	struct side *s = ctx;

	packet_free(s->dev.pool, (struct packet *)(uintptr_t)cookie);
}

static void side_tx(struct device *d, struct batch *b)
{
	struct side *s = container_of(d, struct side, dev), *to = s->peer;

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];

		if (to->n == PAIR_QUEUE) {
			packet_drop(d->pool, d->ledger, p, DROP_TX_REFUSED);
			continue;
		}
		to->queue[(to->head + to->n++) % PAIR_QUEUE] = p;
		d->ledger->n_handed++;
	}
	b->n = 0;
}

static uint32_t side_rx(struct device *d, struct batch *b, uint32_t max)
{
	struct side *s = container_of(d, struct side, dev);
	uint32_t n = 0;

	for (; n < max && s->n > 0 && b->n < BATCH_MAX; n++) {
		struct packet *p = s->queue[s->head];
		struct packet *mine = packet_set_external(d->pool, p->buf, p->buf_len, p->off, p->len, released,
							  s->peer, (uint64_t)(uintptr_t)p);

		s->head = (s->head + 1) % PAIR_QUEUE;
		s->n--;
		d->ledger->n_received++;
		if (mine == NULL) {
			d->ledger->n_dropped[DROP_NO_BUFFER]++;
			packet_free(s->peer->dev.pool, p);
			continue;
		}
		mine->may_keep = true;
		batch_add(b, mine);
	}
	return n;
}

static const struct device_ops side_ops = { .driver = "memory", .rx = side_rx, .tx = side_tx };

/* --- the sides --- */

static struct tcp_config tcp_config_of(const struct pair_config *c)
{
	struct tcp_config cfg = tcp_default_config;

	if (c->window != 0) {
		cfg.sndbuf = cfg.sndbuf_max = c->window;
		cfg.rcvbuf = cfg.rcvbuf_max = 2 * c->window;
	}
	cfg.acks_wait = c->acks_wait && c->second == PAIR_STACK;
	cfg.port_first = 1024;
	cfg.port_last = 65535;
	return cfg;
}

static struct sockets_limits limits_of(const struct pair_config *c)
{
	return (struct sockets_limits){ .n_sockets = c->n_conns + 1024,
					.tcp = { .n_connections = c->n_conns,
						 .n_half_open = 65536,
						 .n_time_wait = 1u << 20,
						 .n_segments = N_PACKETS } };
}

static void route(struct side *s, uint32_t addr, uint8_t len, struct fib_nexthop nh)
{
	struct ip4_prefix p = { addr & ip4_mask(len), len };

	must(fib_insert(s->fib, p, fib_nexthop_add(s->fib, &nh)) == 0, "no route");
}

static void ip_start(struct side *s, struct device *dev, uint32_t addr, uint8_t prefix_len, uint64_t now)
{
	struct packet_pool_config pool = { .n_packets = N_PACKETS, .n_small = N_PACKETS, .n_large = 4096 };
	struct ip_limits limits = { 0 };
	uint8_t seed[RNG_SEED_BYTES] = "a bench";

	seed[31] = (uint8_t)(addr >> 8);
	s->env.pool = packet_pool_create(&pool);
	must(s->env.pool != NULL, "no memory");
	rng_init(&s->env.rng, seed);
	s->env.now = now;
	s->env.emit = no_event;
	s->fib = fib_create();
	memcpy(s->cfg.interface[1].name, "eth0", 5);
	s->cfg.interface[1].n_addresses = PAIR_ADDRESSES;
	for (uint32_t i = 0; i < PAIR_ADDRESSES; i++) {
		s->cfg.interface[1].address[i].addr = addr + i;
		s->cfg.interface[1].address[i].prefix_len = prefix_len;
	}
	s->cfg.fib = s->fib;
	route(s, addr, prefix_len,
	      (struct fib_nexthop){ .kind = FIB_UNICAST, .ifindex = 1, .source = ip_addr_v4(addr) });
	for (uint32_t i = 0; i < PAIR_ADDRESSES; i++)
		route(s, addr + i, 32, (struct fib_nexthop){ .kind = FIB_LOCAL, .ifindex = 1 });
	s->ip = ip_stack_create(&s->env, &limits);
	must(s->ip != NULL, "no memory");
	ip_stack_configure(s->ip, &s->cfg);
	dev->pool = s->env.pool;
	dev->ledger = &s->env.ledger;
	ip_stack_attach(s->ip, 1, dev);
}

void side_start_over(struct side *s, struct device *dev, uint32_t addr, uint8_t prefix_len, uint64_t now,
		     const struct pair_config *c)
{
	struct sockets_limits limits = limits_of(c);
	struct tcp_config cfg = tcp_config_of(c);

	ip_start(s, dev, addr, prefix_len, now);
	if (c->sockets) {
		s->ss = sockets_create(&s->env, s->ip, &limits, &cfg);
		must(s->ss != NULL, "no memory");
		s->tcp = sockets_tcp(s->ss);
		return;
	}
	s->tcp = tcp_create(&s->env, s->ip, &limits.tcp, &cfg);
	s->udp = udp_create(&s->env, s->ip, &limits.udp);
	must(s->tcp != NULL && s->udp != NULL, "no memory");
}

static void gateway_start(struct side *s, uint32_t addr, uint64_t now, const struct pair_config *c)
{
	struct gateway_limits limits = { .packets = { .n_packets = N_PACKETS, .n_small = N_PACKETS, .n_large = 4096 },
					 .conntrack = { .n_connections = c->n_conns + 65536 },
					 .sockets = limits_of(c) };
	struct device *device = &s->dev;

	s->gateway = calloc(1, sizeof(*s->gateway));
	must(s->gateway != NULL, "no memory");
	must(test_gateway_start(s->gateway, 1, addr, PAIR_ADDRESSES, 8, &limits, now, &device) == 0, "no gateway");
	s->ss = gateway_sockets(workers_gateway(s->gateway->workers, s->gateway->n));
	s->tcp = sockets_tcp(s->ss);
	*tcp_config(s->tcp) = tcp_config_of(c);
}

static void side_start(struct side *s, struct side *peer, uint32_t addr, uint64_t now, const struct pair_config *c,
		       enum pair_second kind)
{
	s->peer = peer;
	s->dev = (struct device){ .ops = &side_ops,
				  .name = "eth0",
				  .mac = { { 2, 0, 0, 0, 0, (uint8_t)(1 + (addr >> 8)) } },
				  .mtu = c->mtu != 0 ? c->mtu : 1500,
				  .up = true };
	if (kind == PAIR_GATEWAY)
		gateway_start(s, addr, now, c);
	else
		side_start_over(s, &s->dev, addr, 8, now, c);
	if (s->ss != NULL)
		s->user = (uint64_t)socket_open(s->ss, YG_AF_INET, YG_SOCK_DGRAM, 0);
}

/* What waits at one to be read is around the other one's bytes: both first lose what they have, then the memory goes.
 */
static void side_end(struct side *s)
{
	if (s->gateway != NULL) {
		test_gateway_end(s->gateway);
	} else if (s->ss != NULL) {
		sockets_destroy(s->ss);
	} else {
		udp_destroy(s->udp);
		tcp_destroy(s->tcp);
	}
}

static void side_free(struct side *s)
{
	free(s->gateway);
	ip_stack_destroy(s->ip);
	fib_destroy(s->fib);
	packet_pool_destroy(s->env.pool);
}

static void side_input(struct side *s)
{
	struct batch b = { .n = 0 };

	while (s->n > 0) {
		(void)side_rx(&s->dev, &b, BATCH_MAX);
		if (s->gateway != NULL)
			test_gateway_input(s->gateway, 0, &b);
		else
			ether_input(s->ip, 1, &b);
	}
	side_flush(s);
}

void side_flush(struct side *s)
{
	if (s->gateway != NULL)
		test_gateway_flush(s->gateway);
	else
		ip_flush(s->ip);
}

static uint64_t side_next(const struct side *s)
{
	if (s->gateway != NULL)
		return test_gateway_next(s->gateway);
	if (s->ss != NULL)
		return sockets_next_deadline(s->ss);
	return tcp_next_deadline(s->tcp);
}

static void side_at(struct side *s, uint64_t now)
{
	s->env.now = now;
	if (s->gateway != NULL)
		test_gateway_at(s->gateway, now);
	else if (side_next(s) > now)
		;
	else if (s->ss != NULL)
		sockets_expire(s->ss);
	else
		tcp_expire(s->tcp);
}

/* --- both --- */

void pair_step(struct pair *p, uint64_t ns)
{
	p->now += ns;
	side_at(&p->a, p->now);
	side_at(&p->b, p->now);
	side_flush(&p->a);
	side_flush(&p->b);
	side_input(&p->b);
	side_input(&p->a);
}

void pair_settle(struct pair *p)
{
	if (p->a.ip != NULL)
		ip_expire(p->a.ip);
	if (p->b.ip != NULL)
		ip_expire(p->b.ip);
	do
		pair_step(p, 1000);
	while (p->a.n + p->b.n > 0);
}

uint64_t pair_next(const struct pair *p)
{
	return min_u64(side_next(&p->a), side_next(&p->b));
}

struct pair *pair_start(const struct pair_config *c)
{
	struct pair *p = calloc(1, sizeof(*p));

	must(p != NULL, "no memory");
	p->now = START_NS;
	side_start(&p->a, &p->b, PAIR_A, p->now, c, PAIR_STACK);
	side_start(&p->b, &p->a, PAIR_B, p->now, c, c->second);
	for (uint32_t i = 0; i < 10; i++)
		pair_settle(p);
	return p;
}

void pair_end(struct pair *p)
{
	pair_settle(p);
	side_end(&p->a);
	side_end(&p->b);
	side_free(&p->a);
	side_free(&p->b);
	free(p);
}
