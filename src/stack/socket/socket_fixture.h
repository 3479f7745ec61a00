/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests: two hosts with sockets on an in-memory wire and a virtual clock.
 *
 *   a 10.0.0.1 --- wire, 1 ms --- 10.0.0.2 b
 *
 * A call that blocks has the world go on to the next thing that happens.
 *
 * Either of them can be something else than a stack with a device (host_kind): the same
 * tests run with a gateway's host (tests/scenario/host_sockets.h).
 */
#ifndef YG_STACK_SOCKET_SOCKET_FIXTURE_H
#define YG_STACK_SOCKET_SOCKET_FIXTURE_H

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
#include "stack/socket/socket_priv.h"

#define A_ADDR IP4(10, 0, 0, 1)
#define B_ADDR IP4(10, 0, 0, 2)
#define LOOPBACK IP4(127, 0, 0, 1)

struct net;
struct host;

/* What a host is, if it is no plain one. Each leaves in h->env what tests read of it. */
struct host_kind {
	void (*start)(struct host *h, uint32_t addr, const struct sockets_limits *limits);
	void (*at)(struct host *h); /* the time is h->net->now; timers, and what has come */
	void (*flush)(struct host *h);
	uint64_t (*deadline)(const struct host *h);
	void (*end)(struct host *h);
};
static const struct host_kind *kind_of_a, *kind_of_b; /* NULL: plain */

struct host {
	struct net *net;
	const struct host_kind *kind;
	void *of; /* the kind's */
	struct env env;
	struct ip_config cfg;
	struct fib *fib;
	struct ip_stack *ip;
	struct sockets *ss;
	struct device *dev;
};

struct net {
	uint64_t now;
	struct memwire *wire;
	struct host a, b;
	/* Called once in the middle of the next wait. */
	void (*meanwhile)(struct net *n);
};

static inline void host_event(void *ctx, const struct yg_event *e)
{
}

static inline void host_route(struct host *h, uint32_t addr, uint8_t len, struct fib_nexthop nh)
{
	struct ip4_prefix p = { addr & ip4_mask(len), len };

	assert_int_equal(fib_insert(h->fib, p, fib_nexthop_add(h->fib, &nh)), 0);
}

static inline void host_receive(struct host *h)
{
	struct batch b;

	for (;;) {
		b.n = 0;
		if (h->dev->ops->rx(h->dev, &b, BATCH_MAX) == 0)
			break;
		ether_input(h->ip, 1, &b);
		ip_flush(h->ip);
	}
}

static inline void host_expire(struct host *h)
{
	ip_expire(h->ip);
	sockets_expire(h->ss);
	ip_flush(h->ip);
}

static inline void host_flush(struct host *h)
{
	if (h->kind != NULL)
		h->kind->flush(h);
	else
		ip_flush(h->ip);
}

static inline void net_at(struct net *n, uint64_t now)
{
	n->now = max_u64(n->now, now);
	n->a.env.now = n->b.env.now = n->now;
	memwire_set_time(n->wire, n->now);
	for (int i = 0; i < 2; i++) {
		struct host *h = i == 0 ? &n->a : &n->b;

		if (h->kind != NULL)
			h->kind->at(h);
		else
			host_expire(h);
	}
	if (n->a.kind == NULL)
		host_receive(&n->a);
	if (n->b.kind == NULL)
		host_receive(&n->b);
}

static inline uint64_t host_deadline(const struct host *h)
{
	if (h->kind != NULL)
		return h->kind->deadline(h);
	return min_u64(ip_next_deadline(h->ip), sockets_next_deadline(h->ss));
}

static inline uint64_t net_next(const struct net *n)
{
	return min_u64(memwire_next(n->wire), min_u64(host_deadline(&n->a), host_deadline(&n->b)));
}

static inline void net_run(struct net *n, uint64_t ns)
{
	uint64_t end = n->now + ns;

	host_flush(&n->a);
	host_flush(&n->b);
	for (uint64_t next; (next = net_next(n)) <= end;)
		net_at(n, next);
	net_at(n, end);
}

static inline int net_wait(void *ctx, uint64_t deadline)
{
	struct net *n = ((struct host *)ctx)->net;

	host_flush(&n->a);
	host_flush(&n->b);
	uint64_t next = net_next(n);

	if (n->meanwhile != NULL) {
		void (*f)(struct net *) = n->meanwhile;

		n->meanwhile = NULL;
		f(n);
		return 0;
	}
	/* Nothing will ever happen any more. */
	if (next == TIME_NEVER && deadline == TIME_NEVER)
		return -EDEADLK;
	net_at(n, min_u64(next, deadline));
	return 0;
}

static inline void host_start(struct net *n, struct host *h, uint32_t end, uint32_t addr,
			      const struct sockets_limits *limits)
{
	static const struct packet_pool_config pool = { .n_packets = 16384, .n_small = 16384, .n_large = 64 };
	static const struct ip_limits ip_limits;
	uint8_t seed[RNG_SEED_BYTES] = "two hosts with sockets";

	seed[31] = (uint8_t)addr;
	h->net = n;
	h->dev = memwire_end(n->wire, end);
	h->dev->mac = (struct ether_addr){ { 2, 0, 0, 0, 0, (uint8_t)addr } };
	h->dev->up = true;
	h->kind = end == 0 ? kind_of_a : kind_of_b;
	if (h->kind != NULL) {
		h->kind->start(h, addr, limits);
		sockets_set_wait(h->ss, net_wait, h);
		return;
	}
	h->env.pool = packet_pool_create(&pool);
	assert_non_null(h->env.pool);
	rng_init(&h->env.rng, seed);
	h->env.now = n->now;
	h->env.emit = host_event;
	h->fib = fib_create();
	memcpy(h->cfg.interface[1].name, "eth0", 5);
	h->cfg.interface[1].n_addresses = 1;
	h->cfg.interface[1].address[0].addr = addr;
	h->cfg.interface[1].address[0].prefix_len = 24;
	h->cfg.fib = h->fib;
	host_route(h, addr, 24, (struct fib_nexthop){ .kind = FIB_UNICAST, .ifindex = 1, .source = ip_addr_v4(addr) });
	host_route(h, addr, 32, (struct fib_nexthop){ .kind = FIB_LOCAL, .ifindex = 1 });
	host_route(h, addr | 0xff, 32, (struct fib_nexthop){ .kind = FIB_BROADCAST, .ifindex = 1 });
	host_route(h, IP4(224, 0, 0, 0), 4, (struct fib_nexthop){ .kind = FIB_UNICAST, .ifindex = 1 });
	h->ip = ip_stack_create(&h->env, &ip_limits);
	assert_non_null(h->ip);
	ip_stack_configure(h->ip, &h->cfg);
	h->dev->pool = h->env.pool;
	h->dev->ledger = &h->env.ledger;
	ip_stack_attach(h->ip, 1, h->dev);
	h->ss = sockets_create(&h->env, h->ip, limits, NULL);
	assert_non_null(h->ss);
	sockets_set_wait(h->ss, net_wait, h);
}

static inline void net_start_with(struct net *n, const struct sockets_limits *limits)
{
	static const uint8_t seed[RNG_SEED_BYTES] = "a wire";
	static const struct memwire_config wire = { .delay_ns = NS_PER_MS, .queue_packets = 4096 };

	memset(n, 0, sizeof(*n));
	n->now = 1000 * NS_PER_S;
	n->wire = memwire_create(&wire, &wire, seed);
	assert_non_null(n->wire);
	memwire_set_time(n->wire, n->now);
	host_start(n, &n->a, 0, A_ADDR, limits);
	host_start(n, &n->b, 1, B_ADDR, limits);
	net_run(n, 5 * NS_PER_S);
}

static inline void net_start(struct net *n)
{
	static const struct sockets_limits limits = {
		.n_sockets = 256, .tcp = { .n_connections = 256, .n_half_open = 64, .n_time_wait = 256 }
	};

	net_start_with(n, &limits);
}

static inline void host_end(struct host *h)
{
	if (h->kind != NULL) {
		h->kind->end(h);
		return;
	}
	assert_int_equal(ledger_expected_held(&h->env.ledger), packet_pool_used(h->env.pool));
	sockets_destroy(h->ss);
	assert_int_equal(ledger_expected_held(&h->env.ledger), packet_pool_used(h->env.pool));
	ip_stack_destroy(h->ip);
	fib_destroy(h->fib);
	assert_int_equal(packet_pool_used(h->env.pool), 0);
	packet_pool_destroy(h->env.pool);
}

static inline void net_end(struct net *n)
{
	host_end(&n->a);
	host_end(&n->b);
	memwire_destroy(n->wire);
}

/* --- calls --- */

static inline struct yg_sockaddr_in name_of(uint32_t addr, uint16_t port)
{
	return (struct yg_sockaddr_in){ .family = YG_AF_INET, .port = be16_of(port), .addr = be32_of(addr) };
}

static inline int host_bind(struct host *h, int n, uint32_t addr, uint16_t port)
{
	struct yg_sockaddr_in in = name_of(addr, port);

	return socket_bind(h->ss, n, &in, sizeof(in));
}

static inline int host_connect(struct host *h, int n, uint32_t addr, uint16_t port)
{
	struct yg_sockaddr_in in = name_of(addr, port);

	return socket_connect(h->ss, n, &in, sizeof(in));
}

static inline int host_socket(struct host *h, int type)
{
	int n = socket_open(h->ss, YG_AF_INET, type, 0);

	assert_true(n >= 3);
	return n;
}

static inline int host_listener(struct host *h, uint16_t port)
{
	int n = host_socket(h, YG_SOCK_STREAM);

	assert_int_equal(host_bind(h, n, 0, port), 0);
	assert_int_equal(socket_listen(h->ss, n, 16), 0);
	return n;
}

/* Both ends of a new connection from a to b, blocking. */
static inline void net_connect(struct net *n, int listener, uint16_t port, int *a, int *b)
{
	*a = host_socket(&n->a, YG_SOCK_STREAM);
	assert_int_equal(host_connect(&n->a, *a, B_ADDR, port), 0);
	*b = socket_accept(n->b.ss, listener, NULL, NULL, 0);
	assert_true(*b >= 3);
}

static inline int host_option(struct host *h, int n, int level, int name)
{
	int value = -12345;
	uint32_t len = sizeof(value);
	int rc = socket_get_option(h->ss, n, level, name, &value, &len);

	return rc != 0 ? rc : value;
}

static inline int host_set(struct host *h, int n, int level, int name, int value)
{
	return socket_set_option(h->ss, n, level, name, &value, sizeof(value));
}

#endif
