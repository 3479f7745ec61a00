/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The life of a core: made of its modules from the first row of their table to the last
 * and ended the other way round; configured in two steps, of which only the first can
 * fail (prepare, then configure or abandon), so that several cores change as one; and
 * told which devices there are.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/modules.h"

/* Defaults, in packets: a burst of a few milliseconds at a million a second,
 * and large segments for some hundred bulk connections. */
#define DEFAULT_PACKETS 16384u
#define DEFAULT_SMALL 8192u
#define DEFAULT_LARGE 256u

static uint32_t or_default(uint32_t v, uint32_t def)
{
	return v != 0 ? v : def;
}

/* With memory for packets, and no room yet. */
static struct gateway *create_env(const struct gateway_limits *limits, const uint8_t seed[RNG_SEED_BYTES], uint64_t now,
				  event_fn *emit, void *emit_ctx)
{
	struct gateway *g = calloc(1, sizeof(*g));
	struct packet_pool_config packets = {
		.n_packets = or_default(limits->packets.n_packets, DEFAULT_PACKETS),
		.n_small = or_default(limits->packets.n_small, DEFAULT_SMALL),
		.n_large = or_default(limits->packets.n_large, DEFAULT_LARGE),
	};

	if (g == NULL)
		return NULL;
	rng_init(&g->env.rng, seed);
	g->env.now = now;
	g->env.emit = emit;
	g->env.emit_ctx = emit_ctx;
	if ((g->env.pool = packet_pool_create(&packets)) == NULL) {
		free(g);
		return NULL;
	}
	return g;
}

/* From the first module to the last. False without memory. */
static bool create_modules(struct gateway *g, uint32_t bits, const struct gateway_limits *limits)
{
	for (uint32_t i = 0; i < N_GATEWAY_MODULES; i++)
		if ((bits & 1u << i) && (g->module[i] = modules[i].create(g, limits)) == NULL)
			return false;
	return true;
}

struct gateway *gateway_create_of(uint32_t bits, const struct gateway_limits *limits,
				  const uint8_t seed[RNG_SEED_BYTES], uint64_t now, event_fn *emit, void *emit_ctx)
{
	struct gateway *g = create_env(limits, seed, now, emit, emit_ctx);

	if (g == NULL)
		return NULL;
	if (!create_modules(g, modules_with_needs(bits | 1u << GATEWAY_IP), limits)) {
		gateway_destroy(g);
		return NULL;
	}
	modules_connect(g);
	return g;
}

struct gateway *gateway_create(const struct gateway_limits *limits, const uint8_t seed[RNG_SEED_BYTES], uint64_t now,
			       event_fn *emit, void *emit_ctx)
{
	return gateway_create_of(GATEWAY_ALL, limits, seed, now, emit, emit_ctx);
}

void gateway_end_module(struct gateway *g, enum gateway_module module)
{
	if (g->module[module] == NULL)
		return;
	modules_disconnect(g, module);
	modules[module].destroy(g->module[module]);
	g->module[module] = NULL;
}

void gateway_destroy(struct gateway *g)
{
	if (g == NULL)
		return;
	for (uint32_t i = N_GATEWAY_MODULES; i-- > 0;)
		gateway_end_module(g, (enum gateway_module)i);
	packet_pool_destroy(g->env.pool);
	free(g);
}

static int prepare_modules(struct gateway *g, const struct core_config *cfg)
{
	for (uint32_t i = N_GATEWAY_MODULES; i-- > 0;) {
		int rc = g->module[i] != NULL && modules[i].prepare != NULL ? modules[i].prepare(g->module[i], cfg) : 0;

		if (rc != 0) {
			gateway_abandon(g);
			return rc;
		}
	}
	g->prepared = cfg;
	return 0;
}

static int prepare(struct gateway *g, const struct core_config *cfg, struct hook_list lists[N_HOOKS])
{
	int rc = g->prepared != cfg ? prepare_modules(g, cfg) : 0;

	if (rc == 0 && !modules_wire(g, lists)) {
		gateway_abandon(g);
		return -ENOSPC;
	}
	return rc;
}

int gateway_prepare(struct gateway *g, const struct core_config *cfg)
{
	struct hook_list lists[N_HOOKS];

	gateway_abandon(g);
	return prepare(g, cfg, lists);
}

void gateway_abandon(struct gateway *g)
{
	for (uint32_t i = N_GATEWAY_MODULES; i-- > 0;)
		if (g->module[i] != NULL && modules[i].abandon != NULL)
			modules[i].abandon(g->module[i]);
	g->prepared = NULL;
}

int gateway_configure(struct gateway *g, const struct core_config *cfg, uint64_t now)
{
	struct hook_list lists[N_HOOKS];
	int rc = prepare(g, cfg, lists);

	if (rc != 0)
		return rc;
	gateway_set_time(g, now);
	for (uint32_t i = N_GATEWAY_MODULES; i-- > 0;)
		if (g->module[i] != NULL && modules[i].configure != NULL)
			modules[i].configure(g->module[i], cfg);
	for (enum ip_hook hook = 0; hook < N_HOOKS; hook++) {
		hook_list_keep_stats(&lists[hook], ip_stack_hooks(gateway_ip(g), hook));
		*ip_stack_hooks(gateway_ip(g), hook) = lists[hook];
	}
	g->prepared = NULL;
	g->cfg = cfg;
	ip_flush(gateway_ip(g));
	return 0;
}

static void link_changed(struct gateway *g, uint32_t ifindex, const struct device *d)
{
	for (uint32_t i = N_GATEWAY_MODULES; i-- > 0;)
		if (g->module[i] != NULL && modules[i].link_changed != NULL)
			modules[i].link_changed(g->module[i], ifindex, d != NULL && d->up);
}

void gateway_attach(struct gateway *g, uint32_t ifindex, struct device *d, uint64_t now)
{
	gateway_set_time(g, now);
	if (d != NULL) {
		d->pool = g->env.pool;
		d->ledger = &g->env.ledger;
	}
	link_changed(g, ifindex, d);
	ip_stack_attach(gateway_ip(g), ifindex, d);
	ip_flush(gateway_ip(g));
}

void gateway_device_changed(struct gateway *g, uint32_t ifindex, uint64_t now)
{
	gateway_set_time(g, now);
	link_changed(g, ifindex, ip_stack_device(gateway_ip(g), ifindex));
	ip_stack_device_changed(gateway_ip(g), ifindex);
	ip_flush(gateway_ip(g));
}
