/* SPDX-License-Identifier: BSD-2-Clause */
#include "test_gateway.h"

#include <stdio.h>
#include <string.h>

#include "base/ip4.h"
#include "daemon/config/snapshot.h"

#define RULES(n) "    tcp dport " n " counter drop\n    udp dport " n " counter drop\n"

static const char rules[] =
	"route 224.0.0.0/4 dev eth0;\n"
	"table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
	"    oifname \"eth0\" masquerade } }\n"
	"table ip filter {\n"
	"  chain in { type filter hook input priority filter; policy accept;\n"
	"    ct state established accept\n" RULES("1001")
		RULES("1002") "  }\n"
			      "  chain out { type filter hook output priority filter; policy accept;\n"
			      "    ct state established accept\n" RULES("1003") RULES("1004") "  } }\n";

static void nobody_hears(void *ctx, const struct yg_event *e)
{
	(void)ctx;
	(void)e;
}

struct env *test_gateway_env(const struct test_gateway *g, uint32_t member)
{
	return gateway_env(workers_gateway(g->workers, member));
}

static int fail(struct config_errors *errors, const char *what)
{
	if (errors != NULL)
		config_errors_print(errors, stderr);
	config_errors_free(errors);
	fprintf(stderr, "the gateway of a test: %s\n", what);
	return -1;
}

static int read_config(struct test_gateway *g, uint32_t addr, uint32_t n_addresses, uint32_t prefix_len)
{
	struct config_errors *errors = NULL;
	char text[4096] = "interface eth0 {";
	size_t at = strlen(text);

	for (uint32_t i = 0; i < n_addresses; i++) {
		uint32_t a = addr + i;

		at += (size_t)snprintf(text + at, sizeof(text) - at, " address %u.%u.%u.%u/%u;", a >> 24,
				       a >> 16 & 0xff, a >> 8 & 0xff, a & 0xff, prefix_len);
	}
	(void)snprintf(text + at, sizeof(text) - at, " }\n%s", rules);
	g->config = config_read_text("host.conf", text, strlen(text), &errors);
	if (g->config == NULL)
		return fail(errors, "its config is not read");
	config_errors_free(errors);
	errors = NULL;
	g->snapshot = snapshot_build(g->config, NULL, &errors);
	return g->snapshot == NULL ? fail(errors, "its config is none") : 0;
}

int test_gateway_start(struct test_gateway *g, uint32_t n, uint32_t addr, uint32_t n_addresses, uint32_t prefix_len,
		       const struct gateway_limits *limits, uint64_t now, struct device *const *device)
{
	static const uint8_t seed[RNG_SEED_BYTES] = "a gateway with sockets";
	void *emit[WORKERS_MAX] = { NULL };

	g->n = n;
	g->now = now;
	if (read_config(g, addr, n_addresses, prefix_len) != 0)
		return -1;
	g->workers = workers_create(n, limits, seed, now, nobody_hears, emit);
	if (g->workers == NULL || workers_add_host(g->workers, limits, seed, now, nobody_hears, NULL) != 0 ||
	    workers_configure(g->workers, &g->snapshot->core, now) != 0)
		return fail(NULL, "there is no memory");
	for (uint32_t i = 0; i < n; i++)
		gateway_attach(workers_gateway(g->workers, i), TEST_GATEWAY_IFINDEX, device[i], now);
	workers_show_device(g->workers, TEST_GATEWAY_IFINDEX, device[0], now);
	test_gateway_flush(g);
	return 0;
}

void test_gateway_end(struct test_gateway *g)
{
	workers_destroy(g->workers);
	snapshot_destroy(g->snapshot);
	config_free(g->config);
}

/* Everybody in turn, until nothing moves; what is to leave leaves. */
static void settle(struct test_gateway *g)
{
	bool moved = true;

	while (moved) {
		uint32_t first = g->order != NULL ? rng_below(g->order, g->n + 1) : 0;

		moved = false;
		for (uint32_t i = 0; i <= g->n; i++)
			moved |= workers_poll(g->workers, (first + i) % (g->n + 1), g->now) > 0;
		for (uint32_t i = 0; i <= g->n; i++)
			workers_flush(g->workers, i, g->now);
	}
}

void test_gateway_flush(struct test_gateway *g)
{
	for (uint32_t i = 0; i <= g->n; i++)
		workers_flush(g->workers, i, g->now);
	settle(g);
}

void test_gateway_input(struct test_gateway *g, uint32_t worker, struct batch *b)
{
	workers_input(g->workers, worker, TEST_GATEWAY_IFINDEX, b, g->now);
	settle(g);
}

void test_gateway_at(struct test_gateway *g, uint64_t now)
{
	g->now = now;
	for (uint32_t i = 0; i <= g->n; i++) {
		gateway_set_time(workers_gateway(g->workers, i), now);
		if (workers_next_deadline(g->workers, i) <= now)
			workers_expire(g->workers, i, now);
	}
	settle(g);
}

uint64_t test_gateway_next(const struct test_gateway *g)
{
	uint64_t next = TIME_NEVER;

	for (uint32_t i = 0; i <= g->n; i++)
		next = next < workers_next_deadline(g->workers, i) ? next : workers_next_deadline(g->workers, i);
	return next;
}
