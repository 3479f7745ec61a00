/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The core of a gateway: the handful of functions through which a running one is
 * entered, each of which is given the time. Nothing else moves it, so what goes in
 * decides what comes out, bit for bit (src/tools/replay/replay_journal.c lives on that).
 *
 * A batch of frames comes in by gateway_input. How a core is made, configured and ended
 * is gateway_life.c; what it consists of stands in modules.c.
 *
 * Next: src/stack/ip/ether.c (ether_input)
 */
#include "core/modules.h"
#include "stack/ip/local.h"

void gateway_set_time(struct gateway *g, uint64_t now)
{
	g->env.now = max_u64(g->env.now, now);
}

/* What was received has been dealt with and is on its way. */
static void flush_received(struct gateway *g, enum flowcache_flush what)
{
	ip_flush(gateway_ip(g));
	if (gateway_flowcache(g) != NULL)
		flowcache_flushed(gateway_flowcache(g), what);
}

void gateway_input(struct gateway *g, uint32_t ifindex, struct batch *b, uint64_t now)
{
	gateway_set_time(g, now);
	ether_input(gateway_ip(g), ifindex, b);
	flush_received(g, FLOWCACHE_FLUSHED_ALL);
}

void gateway_input_cached(struct gateway *g, uint32_t ifindex, struct batch *b, uint64_t now)
{
	gateway_set_time(g, now);
	ether_input_cached(gateway_ip(g), ifindex, b);
	flush_received(g, FLOWCACHE_FLUSHED_TAKEN);
}

void gateway_expire(struct gateway *g, uint64_t now)
{
	gateway_set_time(g, now);
	struct stage_stats *outer = stage_enter(&g->env.stages, STAGE_TIMERS, 0);

	for (uint32_t i = N_GATEWAY_MODULES; i-- > 0;)
		if (g->module[i] != NULL && modules[i].expire != NULL)
			modules[i].expire(g->module[i]);
	if (g->aux.ctx != NULL)
		g->aux.expire(g->aux.ctx);
	ip_flush(gateway_ip(g));
	stage_leave(&g->env.stages, outer);
}

uint64_t gateway_next_deadline(const struct gateway *g)
{
	uint64_t next = g->aux.ctx != NULL ? g->aux.next_deadline(g->aux.ctx) : TIME_NEVER;

	for (uint32_t i = 0; i < N_GATEWAY_MODULES; i++)
		if (g->module[i] != NULL && modules[i].next_deadline != NULL)
			next = min_u64(next, modules[i].next_deadline(g->module[i]));
	return next;
}

void gateway_settle_routes(struct gateway *g)
{
	if (g->cfg != NULL)
		(void)rib_work(g->cfg->rib, UINT32_MAX);
}

void gateway_set_aux(struct gateway *g, const struct gateway_aux *aux)
{
	g->aux = *aux;
}

void gateway_seen_empty(struct gateway *g, uint32_t ifindex)
{
	if (g->aux.ctx != NULL)
		g->aux.seen_empty(g->aux.ctx, ifindex);
}

void gateway_host_input(struct gateway *g, struct batch *b, uint64_t now)
{
	gateway_set_time(g, now);
	ip_host_input(gateway_ip(g), b);
}

void gateway_host_output(struct gateway *g, struct batch *b, uint64_t now)
{
	gateway_set_time(g, now);
	ip_host_output(gateway_ip(g), b);
	ip_flush(gateway_ip(g));
}

void gateway_flush(struct gateway *g, uint64_t now)
{
	gateway_set_time(g, now);
	ip_flush(gateway_ip(g));
}

struct env *gateway_env(struct gateway *g)
{
	return &g->env;
}

struct ip_stack *gateway_ip(struct gateway *g)
{
	return g->module[GATEWAY_IP];
}

struct ports *gateway_ports(struct gateway *g)
{
	return g->module[GATEWAY_PORTS];
}

struct conntrack *gateway_conntrack(struct gateway *g)
{
	return g->module[GATEWAY_CONNTRACK];
}

struct nat *gateway_nat(struct gateway *g)
{
	return g->module[GATEWAY_NAT];
}

struct rules *gateway_rules(struct gateway *g)
{
	return g->module[GATEWAY_RULES];
}

struct flowcache *gateway_flowcache(struct gateway *g)
{
	return g->module[GATEWAY_FLOWCACHE];
}

struct ping_sockets *gateway_ping_sockets(struct gateway *g)
{
	const struct core_sockets *s = g->module[GATEWAY_SOCKETS];

	return s != NULL ? s->ping : NULL;
}

struct sockets *gateway_sockets(struct gateway *g)
{
	const struct core_sockets *s = g->module[GATEWAY_SOCKETS];

	return s != NULL ? s->all : NULL;
}
