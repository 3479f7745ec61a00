/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests: the library's tests of sockets, line by line the same, with a gateway's host at one end of the wire:
 * behind 1, 2 and 4 workers, connection tracking, source NAT and ten rules, every frame at a drawn worker.
 *
 * A test includes this first and then the library's, with its main renamed, and calls host_sockets_try_as.
 */
#ifndef YG_TESTS_SCENARIO_HOST_SOCKETS_H
#define YG_TESTS_SCENARIO_HOST_SOCKETS_H

#include "stack/socket/socket_fixture.h"

#include <stdio.h>

#include "test_gateway.h"

#define WORKERS_TRIED_MAX 4u

static uint32_t gateway_host_workers;

/* A worker's handle of the wire's end. */
struct gateway_handle {
	struct device device;
	struct gateway_host *of;
	uint32_t worker;
};

struct gateway_host {
	struct test_gateway gateway;
	struct device *wire;
	struct rng rng;
	struct gateway_handle handle[WORKERS_TRIED_MAX];
};

/* The wire's end is the worker's for a moment. */
static inline struct device *gateway_host_borrow(struct gateway_host *g, uint32_t worker)
{
	struct env *env = test_gateway_env(&g->gateway, worker);

	g->wire->pool = env->pool;
	g->wire->ledger = &env->ledger;
	return g->wire;
}

static inline void gateway_host_handle_tx(struct device *d, struct batch *b)
{
	struct gateway_handle *h = container_of(d, struct gateway_handle, device);
	struct device *wire = gateway_host_borrow(h->of, h->worker);

	wire->ops->tx(wire, b);
}

static const struct device_ops gateway_handle_ops = { .driver = "test", .tx = gateway_host_handle_tx };

/* What tests read. */
static inline void gateway_host_mirror(struct host *h)
{
	const struct test_gateway *g = &((struct gateway_host *)h->of)->gateway;

	h->env.pool = test_gateway_env(g, g->n)->pool;
	h->env.ledger = test_gateway_env(g, g->n)->ledger;
	for (uint32_t i = 0; i < g->n; i++)
		h->env.ledger.n_handed += test_gateway_env(g, i)->ledger.n_handed;
}

static inline void gateway_host_flush(struct host *h)
{
	struct gateway_host *g = h->of;

	g->gateway.now = h->net->now;
	test_gateway_flush(&g->gateway);
	gateway_host_mirror(h);
}

static inline void gateway_host_receive(struct host *h)
{
	struct gateway_host *g = h->of;

	for (;;) {
		uint32_t worker = rng_below(&g->rng, g->gateway.n);
		struct device *wire = gateway_host_borrow(g, worker);
		struct batch b = { .n = 0 };

		if (wire->ops->rx(wire, &b, 1 + rng_below(&g->rng, BATCH_MAX)) == 0)
			return;
		test_gateway_input(&g->gateway, worker, &b);
		gateway_host_mirror(h);
	}
}

static inline void gateway_host_at(struct host *h)
{
	struct gateway_host *g = h->of;

	test_gateway_at(&g->gateway, h->net->now);
	gateway_host_mirror(h);
	gateway_host_receive(h);
	gateway_host_flush(h);
}

static inline uint64_t gateway_host_deadline(const struct host *h)
{
	return test_gateway_next(&((const struct gateway_host *)h->of)->gateway);
}

static inline void gateway_host_start(struct host *h, uint32_t addr, const struct sockets_limits *sockets)
{
	static const uint8_t seed[RNG_SEED_BYTES] = "who is first";
	struct gateway_limits limits = { .packets = { .n_packets = 16384, .n_small = 16384, .n_large = 64 },
					 .conntrack = { .n_connections = 4096 },
					 .sockets = *sockets };
	struct gateway_host *g = calloc(1, sizeof(*g));
	struct device *device[WORKERS_TRIED_MAX];

	assert_non_null(g);
	h->of = g;
	g->wire = h->dev;
	rng_init(&g->rng, seed);
	g->gateway.order = &g->rng;
	for (uint32_t i = 0; i < gateway_host_workers; i++) {
		g->handle[i] = (struct gateway_handle){ .device = { .ops = &gateway_handle_ops,
								    .name = "eth0",
								    .mac = h->dev->mac,
								    .mtu = 1500,
								    .up = true },
							.of = g,
							.worker = i };
		device[i] = &g->handle[i].device;
	}
	assert_int_equal(
		test_gateway_start(&g->gateway, gateway_host_workers, addr, 1, 24, &limits, h->net->now, device), 0);
	h->ip = gateway_ip(workers_gateway(g->gateway.workers, gateway_host_workers));
	h->ss = gateway_sockets(workers_gateway(g->gateway.workers, gateway_host_workers));
	assert_non_null(h->ss);
	gateway_host_mirror(h);
}

/* The law, for each; and nobody but the host has a socket. */
static inline void gateway_host_end(struct host *h)
{
	struct gateway_host *b = h->of;
	struct test_gateway *g = &b->gateway;

	gateway_host_flush(h);
	for (uint32_t i = 0; i <= g->n; i++) {
		const struct env *env = test_gateway_env(g, i);

		assert_int_equal(ledger_expected_held(&env->ledger), packet_pool_used(env->pool));
		assert_true((gateway_sockets(workers_gateway(g->workers, i)) != NULL) == (i == g->n));
		if (i < g->n)
			assert_int_equal(nat_law_difference(gateway_nat(workers_gateway(g->workers, i))), 0);
	}
	test_gateway_end(g);
	free(b);
}

static const struct host_kind in_gateway = { .start = gateway_host_start,
					     .at = gateway_host_at,
					     .flush = gateway_host_flush,
					     .deadline = gateway_host_deadline,
					     .end = gateway_host_end };

/* How many of the tests failed with the gateway's host as a, or as b. */
static inline int host_sockets_try_as(char end, int (*tests)(void))
{
	static const uint32_t sizes[] = { 1, 2, WORKERS_TRIED_MAX };
	int n_failed = 0;

	kind_of_a = end == 'a' ? &in_gateway : NULL;
	kind_of_b = end == 'b' ? &in_gateway : NULL;
	for (uint32_t i = 0; i < ARRAY_LEN(sizes); i++) {
		gateway_host_workers = sizes[i];
		print_message("the gateway's host, %u workers, as %c\n", gateway_host_workers, end);
		n_failed += tests();
	}
	return n_failed;
}

#endif
