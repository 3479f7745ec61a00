/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The library's tests of sockets, line by line the same, with a gateway's host at one end
 * of the wire: behind 1, 2 and 4 workers, connection tracking, source NAT and ten rules,
 * every frame at a drawn worker. First the gateway is the one that listens, then the one that
 * connects.
 *
 * Would catch: whatever the library's tests would, and that it is only true without
 * workers in between; a packet that is lost or counted twice on its way between them.
 */
#include "stack/socket/socket_fixture.h"

#include <stdio.h>

#include "core/workers/workers.h"
#include "daemon/config/snapshot.h"

/* The tests, whose main is called for each. */
int library_tests(void);
#define main library_tests
/* NOLINTNEXTLINE(bugprone-suspicious-include): the library's tests as they are */
#include "stack/socket/socket_test.c"
#undef main

#define WORKERS_TRIED_MAX 4u

static uint32_t n_workers;

/* A worker's handle of the wire's end. */
struct handle {
	struct device device;
	struct gateway_host *of;
	uint32_t worker;
};

struct gateway_host {
	struct workers *workers;
	uint32_t n, ifindex;
	struct config *config;
	struct snapshot *snapshot;
	struct device *wire;
	struct rng rng;
	struct handle handle[WORKERS_TRIED_MAX];
};

static struct env *env_of(const struct gateway_host *g, uint32_t member)
{
	return gateway_env(workers_gateway(g->workers, member));
}

/* The wire's end is the worker's for a moment. */
static struct device *borrow(struct gateway_host *g, uint32_t worker)
{
	g->wire->pool = env_of(g, worker)->pool;
	g->wire->ledger = &env_of(g, worker)->ledger;
	return g->wire;
}

static void handle_tx(struct device *d, struct batch *b)
{
	struct handle *h = container_of(d, struct handle, device);
	struct device *wire = borrow(h->of, h->worker);

	wire->ops->tx(wire, b);
}

static const struct device_ops handle_ops = { .driver = "test", .tx = handle_tx };

/* What tests read. */
static void mirror(struct host *h)
{
	struct gateway_host *g = h->of;

	h->env.pool = env_of(g, g->n)->pool;
	h->env.ledger = env_of(g, g->n)->ledger;
	for (uint32_t i = 0; i < g->n; i++)
		h->env.ledger.n_handed += env_of(g, i)->ledger.n_handed;
}

static void nobody_hears(void *ctx, const struct yg_event *e)
{
	(void)ctx;
	(void)e;
}

/* Everybody in turn, from a drawn one on, until nothing moves. */
static void settle(struct host *h)
{
	struct gateway_host *g = h->of;
	bool moved = true;

	while (moved) {
		uint32_t start = rng_below(&g->rng, g->n + 1);

		moved = false;
		for (uint32_t i = 0; i <= g->n; i++) {
			uint32_t m = (start + i) % (g->n + 1);

			moved |= workers_poll(g->workers, m, h->net->now) > 0;
		}
	}
	mirror(h);
}

static void flush_host(struct host *h)
{
	struct gateway_host *g = h->of;

	for (uint32_t i = 0; i <= g->n; i++)
		workers_flush(g->workers, i, h->net->now);
	settle(h);
}

static void receive(struct host *h)
{
	struct gateway_host *g = h->of;

	for (;;) {
		uint32_t worker = rng_below(&g->rng, g->n);
		struct device *wire = borrow(g, worker);
		struct batch b = { .n = 0 };

		if (wire->ops->rx(wire, &b, 1 + rng_below(&g->rng, BATCH_MAX)) == 0)
			return;
		workers_input(g->workers, worker, g->ifindex, &b, h->net->now);
		settle(h);
	}
}

static void at(struct host *h)
{
	struct gateway_host *g = h->of;

	for (uint32_t i = 0; i <= g->n; i++) {
		gateway_set_time(workers_gateway(g->workers, i), h->net->now);
		if (workers_next_deadline(g->workers, i) <= h->net->now)
			workers_expire(g->workers, i, h->net->now);
	}
	settle(h);
	receive(h);
	flush_host(h);
}

static uint64_t deadline(const struct host *h)
{
	const struct gateway_host *g = h->of;
	uint64_t next = TIME_NEVER;

	for (uint32_t i = 0; i <= g->n; i++)
		next = min_u64(next, workers_next_deadline(g->workers, i));
	return next;
}

#define RULES(n) "    tcp dport " n " counter drop\n    udp dport " n " counter drop\n"

static void read_config(struct gateway_host *g, uint32_t addr)
{
	struct config_errors *errors = NULL;
	char text[2048];

	(void)snprintf(text, sizeof(text),
		       "interface eth0 { address 10.0.0.%u/24; }\nroute 224.0.0.0/4 dev eth0;\n"
		       "table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
		       "    oifname \"eth0\" masquerade } }\n"
		       "table ip filter {\n"
		       "  chain in { type filter hook input priority filter; policy accept;\n"
		       "    ct state established accept\n" RULES("1001")
			       RULES("1002") "  }\n"
					     "  chain out { type filter hook output priority filter; policy accept;\n"
					     "    ct state established accept\n" RULES("1003") RULES("1004") "  } }\n",
		       addr & 0xff);
	g->config = config_read_text("host.conf", text, strlen(text), &errors);
	if (g->config == NULL)
		config_errors_print(errors, stderr);
	assert_non_null(g->config);
	config_errors_free(errors);
	errors = NULL;
	g->snapshot = snapshot_build(g->config, NULL, &errors);
	if (g->snapshot == NULL)
		config_errors_print(errors, stderr);
	assert_non_null(g->snapshot);
}

static void start(struct host *h, uint32_t addr, const struct sockets_limits *sockets)
{
	uint8_t seed[RNG_SEED_BYTES] = "a gateway with sockets";
	struct gateway_limits limits = { .packets = { .n_packets = 16384, .n_small = 16384, .n_large = 64 },
					 .conntrack = { .n_connections = 4096 },
					 .sockets = *sockets };
	struct gateway_host *g = calloc(1, sizeof(*g));
	void *emit[WORKERS_TRIED_MAX] = { NULL };

	assert_non_null(g);
	h->of = g;
	g->n = n_workers;
	g->wire = h->dev;
	g->ifindex = 1;
	rng_init(&g->rng, seed);
	read_config(g, addr);
	g->workers = workers_create(g->n, &limits, seed, h->net->now, nobody_hears, emit);
	assert_non_null(g->workers);
	assert_int_equal(workers_add_host(g->workers, &limits, seed, h->net->now, nobody_hears, NULL), 0);
	assert_int_equal(workers_configure(g->workers, &g->snapshot->core, h->net->now), 0);
	for (uint32_t i = 0; i < g->n; i++) {
		g->handle[i] = (struct handle){
			.device = { .ops = &handle_ops, .name = "eth0", .mac = h->dev->mac, .mtu = 1500, .up = true },
			.of = g,
			.worker = i
		};
		gateway_attach(workers_gateway(g->workers, i), g->ifindex, &g->handle[i].device, h->net->now);
	}
	workers_show_device(g->workers, g->ifindex, &g->handle[0].device, h->net->now);
	h->ip = gateway_ip(workers_gateway(g->workers, g->n));
	h->ss = gateway_sockets(workers_gateway(g->workers, g->n));
	assert_non_null(h->ss);
	flush_host(h);
}

/* The law, for each; and nobody but the host has a socket. */
static void end(struct host *h)
{
	struct gateway_host *g = h->of;

	flush_host(h);
	for (uint32_t i = 0; i <= g->n; i++) {
		const struct env *env = env_of(g, i);

		assert_int_equal(ledger_expected_held(&env->ledger), packet_pool_used(env->pool));
		assert_true((gateway_sockets(workers_gateway(g->workers, i)) != NULL) == (i == g->n));
		if (i < g->n)
			assert_int_equal(nat_law_difference(gateway_nat(workers_gateway(g->workers, i))), 0);
	}
	workers_destroy(g->workers);
	snapshot_destroy(g->snapshot);
	config_free(g->config);
	free(g);
}

static const struct host_kind in_gateway = {
	.start = start, .at = at, .flush = flush_host, .deadline = deadline, .end = end
};

int main(void)
{
	static const uint32_t sizes[] = { 1, 2, WORKERS_TRIED_MAX };
	int n_failed = 0;

	for (uint32_t i = 0; i < ARRAY_LEN(sizes); i++) {
		n_workers = sizes[i];
		for (int side = 0; side < 2; side++) {
			kind_of_a = side == 1 ? &in_gateway : NULL;
			kind_of_b = side == 0 ? &in_gateway : NULL;
			print_message("the gateway's host, %u workers, as %s\n", n_workers, side == 0 ? "b" : "a");
			n_failed += library_tests();
		}
	}
	return n_failed;
}
