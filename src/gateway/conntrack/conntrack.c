/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connection tracking as a whole: its memory, its config, and the slots by which it
 * calls ip, NAT, the flow cache and other workers. What it does with packets begins
 * in hooks.c; what a connection goes through is life.c.
 *
 * All memory is taken here, once: connections and their extensions by the same index,
 * two references each in the table. There is room for some beyond the configured
 * number, for those on the dying list and those not confirmed yet (CT_BEYOND_MAX).
 */
#include "gateway/conntrack/conntrack_priv.h"

#include <stdlib.h>

#define DEFAULT_CONNECTIONS 262144
#define DEFAULT_FRAGMENTS 1024
#define SOURCES_MAX 65536

const char *const ct_end_reason_names[N_CT_END_REASONS] = {
	[CT_END_TIMEOUT] = "timeout",     [CT_END_CLOSED] = "closed",   [CT_END_RESET] = "reset",
	[CT_END_REUSED] = "reused",       [CT_END_EVICTED] = "evicted", [CT_END_FLUSHED] = "flushed",
	[CT_END_CONFIG] = "config",       [CT_END_REFUSED] = "refused", [CT_END_ROUTE] = "route",
	[CT_END_RECLAIMED] = "reclaimed",
};

const char *const ct_counter_names[N_CT_COUNTERS] = {
	[CT_COUNT_CREATED] = "created",
	[CT_COUNT_CONFIRMED] = "confirmed",
	[CT_COUNT_DISCARDED] = "discarded",
	[CT_COUNT_ENDED] = "ended",
	[CT_COUNT_INVALID] = "invalid",
	[CT_COUNT_RST_OUT_OF_WINDOW] = "rst-out-of-window",
	[CT_COUNT_ICMP_OUT_OF_WINDOW] = "icmp-out-of-window",
	[CT_COUNT_CLASH_RESOLVED] = "clash-resolved",
	[CT_COUNT_EVICTED] = "evicted",
	[CT_COUNT_RECLAIMED] = "reclaimed",
	[CT_COUNT_SOURCE_CROWDED] = "source-crowded",
};

struct conntrack *conntrack_create(struct env *env, const struct ct_limits *limits)
{
	uint32_t n = limits->n_connections != 0 ? limits->n_connections : DEFAULT_CONNECTIONS;
	uint32_t n_fragments = limits->n_fragments != 0 ? limits->n_fragments : DEFAULT_FRAGMENTS;
	struct conntrack *ct = calloc(1, sizeof(*ct));

	if (ct == NULL)
		return NULL;
	ct->env = env;
	ct->capacity = n;
	for (uint32_t o = 0; o < N_CT_ORIGINS; o++)
		ct->unassured[o].first = ct->unassured[o].last = UINT32_MAX;
	ct->key = (struct siphash_key){ rng_u64(&env->rng), rng_u64(&env->rng) };
	ct_timeouts_fill(&ct->cfg.timeout);
	if (pool_init(&ct->conns, n + CT_BEYOND_MAX, sizeof(struct conn), _Alignof(struct conn)) != 0)
		goto free_ct;
	if (pool_init(&ct->sides, n + CT_BEYOND_MAX, sizeof(*ct->side), _Alignof(struct ct_ext)) != 0)
		goto fini_conns;
	ct->conn = pool_at(&ct->conns, 0);
	ct->side = pool_at(&ct->sides, 0);
	if (ct_table_init(&ct->table, 2 * (n + CT_BEYOND_MAX)) != 0)
		goto fini_sides;
	if (ct_sources_init(&ct->sources, min_u32(n, SOURCES_MAX)) != 0)
		goto fini_table;
	ct->fragments = ct_fragments_create(env, n_fragments);
	if (ct->fragments == NULL)
		goto fini_sources;
	timer_wheel_init(&ct->wheel, &ct->side[0].timer, sizeof(ct->side[0]), CT_TICK_NS, env->now);
	return ct;

fini_sources:
	ct_sources_fini(&ct->sources);
fini_table:
	ct_table_fini(&ct->table);
fini_sides:
	pool_fini(&ct->sides);
fini_conns:
	pool_fini(&ct->conns);
free_ct:
	free(ct);
	return NULL;
}

void conntrack_destroy(struct conntrack *ct)
{
	if (ct == NULL)
		return;
	ct_fragments_destroy(ct->fragments, ct->env);
	ct_sources_fini(&ct->sources);
	ct_table_fini(&ct->table);
	pool_fini(&ct->sides);
	pool_fini(&ct->conns);
	free(ct);
}

void conntrack_configure(struct conntrack *ct, const struct ct_config *cfg)
{
	ct->cfg = *cfg;
	ct_timeouts_fill(&ct->cfg.timeout);
	ct->has_zones = false;
	for (uint32_t i = 0; i < IP_INTERFACES_MAX; i++)
		ct->has_zones |= cfg->zone[i] != 0;
}

void conntrack_set_ip(struct conntrack *ct, const struct ct_ip_ops *ops, void *ctx)
{
	ct->ip = ops != NULL ? *ops : (struct ct_ip_ops){ 0 };
	ct->ip_ctx = ctx;
}

void conntrack_set_nat(struct conntrack *ct, const struct ct_nat_ops *ops, void *ctx)
{
	ct->nat = ops != NULL ? *ops : (struct ct_nat_ops){ 0 };
	ct->nat_ctx = ctx;
}

void conntrack_set_flowcache(struct conntrack *ct, const struct ct_flowcache_ops *ops, void *ctx)
{
	ct->flowcache = ops != NULL ? *ops : (struct ct_flowcache_ops){ 0 };
	ct->flowcache_ctx = ctx;
}

void conntrack_set_workers(struct conntrack *ct, const struct ct_workers *workers)
{
	ct->workers = *workers;
}

void conntrack_set_log(struct conntrack *ct, const struct ct_log *log)
{
	ct->log = *log;
}

uint32_t conntrack_n_connections(const struct conntrack *ct)
{
	return ct->n_confirmed;
}

uint32_t conntrack_capacity(const struct conntrack *ct)
{
	return ct->capacity;
}

const uint64_t *conntrack_counts(const struct conntrack *ct)
{
	return ct->counts;
}
