/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The core of a gateway: every room from ip to socket, and the one table that
 * wires them together. Lower rooms declare slots; here they are filled.
 *
 * A gateway is entered through a handful of functions, each of which is given
 * the time. Nothing else moves it, so what goes in decides what comes out, bit
 * for bit (src/tools/replay/replay.c lives on that).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/gateway.h"
#include "stack/ip/icmp.h"
#include "gateway/nat/unsolicited.h"

struct gateway {
	struct env env;
	const struct core_config *cfg;
	const struct core_config *prepared; /* the rules have made room for it */
	struct ip_stack *ip;
	struct conntrack *ct;
	struct nat *nat;
	struct nat_unsolicited *unsolicited;
	struct rules *rules;
	struct flowcache *flowcache;
	struct ping_sockets *raw;
	struct gateway_aux side;
	bool is_host; /* ip and sockets are all of it */
};

/* Defaults, in packets: a burst of a few milliseconds at a million a second,
 * and large segments for some hundred bulk connections. */
#define DEFAULT_PACKETS 16384u
#define DEFAULT_SMALL 8192u
#define DEFAULT_LARGE 256u

/* The wiring: what hangs in the hooks besides the chains of the rules. The order
 * is netfilter's (linux/netfilter_ipv4.h). */
enum wired_room { WIRED_CONNTRACK, WIRED_NAT };

static const struct wire_entry {
	enum ip_hook hook;
	int32_t priority;
	const char *name;
	hook_fn *fn;
	enum wired_room room;
} wiring[] = {
	{ HOOK_PREROUTING, HOOK_PRI_DEFRAG, "defrag", conntrack_defrag, WIRED_CONNTRACK },
	{ HOOK_PREROUTING, HOOK_PRI_CONNTRACK, "conntrack", conntrack_in, WIRED_CONNTRACK },
	{ HOOK_PREROUTING, HOOK_PRI_DSTNAT, "dstnat", nat_dst, WIRED_NAT },
	{ HOOK_INPUT, HOOK_PRI_SRCNAT, "srcnat", nat_src, WIRED_NAT },
	{ HOOK_INPUT, HOOK_PRI_CONFIRM, "confirm", conntrack_confirm, WIRED_CONNTRACK },
	{ HOOK_OUTPUT, HOOK_PRI_DEFRAG, "defrag", conntrack_defrag, WIRED_CONNTRACK },
	{ HOOK_OUTPUT, HOOK_PRI_CONNTRACK, "conntrack", conntrack_in, WIRED_CONNTRACK },
	{ HOOK_OUTPUT, HOOK_PRI_DSTNAT, "dstnat", nat_dst, WIRED_NAT },
	{ HOOK_POSTROUTING, HOOK_PRI_SRCNAT, "srcnat", nat_src, WIRED_NAT },
	{ HOOK_POSTROUTING, HOOK_PRI_CONFIRM, "confirm", conntrack_confirm, WIRED_CONNTRACK },
};

static void *room_ctx(struct gateway *g, enum wired_room room)
{
	return room == WIRED_CONNTRACK ? (void *)g->ct : (void *)g->nat;
}

/* The chains of the rules that stand before, or behind, what is built in at the same priority. */
static bool wire_chains(struct gateway *g, struct hook_list lists[N_HOOKS], bool first)
{
	struct hook_entry e;

	for (enum ip_hook hook = 0; hook < N_HOOKS; hook++)
		for (uint32_t i = 0; rules_hook_entry(g->rules, hook, i, &e); i++)
			if (rules_hook_is_first(&e) == first && hook_list_add(&lists[hook], &e) != 0)
				return false;
	return true;
}

/* The hook lists for one ruleset. False when a list is too short. */
static bool wire_hooks(struct gateway *g, struct hook_list lists[N_HOOKS])
{
	struct hook_entry e;

	memset(lists, 0, N_HOOKS * sizeof(*lists));
	if (!wire_chains(g, lists, true))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(wiring); i++) {
		const struct wire_entry *w = &wiring[i];

		e = (struct hook_entry){
			.priority = w->priority, .name = w->name, .fn = w->fn, .ctx = room_ctx(g, w->room)
		};
		if (hook_list_add(&lists[w->hook], &e) != 0)
			return false;
	}
	return wire_chains(g, lists, false);
}

/* Fragments that conntrack held go in again where they left the way. */
static void resume_fragments(void *ctx, struct batch *b)
{
	ip_input(((struct gateway *)ctx)->ip, b);
}

/* A new connection without room: its sender is told (RFC 5508 REQ-8). */
static void answer_refused(void *ctx, const struct packet *p)
{
	(void)icmp_send_error(((struct gateway *)ctx)->ip, p, ICMP_DEST_UNREACHABLE, ICMP_ADMIN_PROHIBITED, 0);
}

static bool leads_back(void *ctx, const struct packet *p)
{
	return ip_leads_back(((struct gateway *)ctx)->ip, p);
}

static void fill_slots(struct gateway *g)
{
	conntrack_set_way_back(g->ct, leads_back, g);
	conntrack_set_refused(g->ct, answer_refused, g);
	conntrack_set_resume(g->ct, resume_fragments, g);
	packet_pool_set_conn_slots(g->env.pool,
				   &(struct packet_conn_slots){ .ctx = g->ct,
								.put = conntrack_packet_put,
								.get = conntrack_packet_get,
								.revalidate = conntrack_packet_revalidate });
	nat_set_rules(g->nat, rules_nat, g->rules);
	ip_stack_set_unclaimed(g->ip, nat_unsolicited_take, g->unsolicited);
	ip_stack_set_flowcache(g->ip, flowcache_input, g->flowcache);
	ip_stack_set_install(g->ip, flowcache_install, g->flowcache);
	ip_stack_set_adjacency_changed(g->ip, flowcache_adjacency_changed, g->flowcache);
	conntrack_set_ended(g->ct, flowcache_ended, g->flowcache);
	conntrack_set_alive(g->ct, flowcache_alive, g->flowcache);
	rules_set_mark_changed(g->rules, flowcache_mark_changed, g->flowcache);
}

static void empty_slots(struct gateway *g)
{
	ip_stack_set_flowcache(g->ip, NULL, NULL);
	ip_stack_set_install(g->ip, NULL, NULL);
	ip_stack_set_adjacency_changed(g->ip, NULL, NULL);
	conntrack_set_ended(g->ct, NULL, NULL);
	conntrack_set_alive(g->ct, NULL, NULL);
	rules_set_mark_changed(g->rules, NULL, NULL);
}

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

struct gateway *gateway_create(const struct gateway_limits *limits, const uint8_t seed[RNG_SEED_BYTES], uint64_t now,
			       event_fn *emit, void *emit_ctx)
{
	struct gateway *g = create_env(limits, seed, now, emit, emit_ctx);

	if (g == NULL)
		return NULL;
	if ((g->ip = ip_stack_create(&g->env, &limits->ip)) == NULL ||
	    (g->ct = conntrack_create(&g->env, &limits->conntrack)) == NULL ||
	    (g->nat = nat_create(&g->env, g->ip, g->ct, &limits->nat)) == NULL ||
	    (g->unsolicited = nat_unsolicited_create(&g->env, g->ip, g->ct, g->nat)) == NULL ||
	    (g->rules = rules_create(&g->env, g->ip, g->ct)) == NULL ||
	    (g->flowcache = flowcache_create(&g->env, g->ip, g->ct, g->nat, g->rules)) == NULL ||
	    (g->raw = ping_sockets_create(g->ip)) == NULL) {
		gateway_destroy(g);
		return NULL;
	}
	fill_slots(g);
	return g;
}

struct gateway *gateway_create_host(const struct gateway_limits *limits, const uint8_t seed[RNG_SEED_BYTES],
				    uint64_t now, event_fn *emit, void *emit_ctx)
{
	struct gateway *g = create_env(limits, seed, now, emit, emit_ctx);

	if (g == NULL)
		return NULL;
	if ((g->ip = ip_stack_create(&g->env, &limits->ip)) == NULL || (g->raw = ping_sockets_create(g->ip)) == NULL) {
		gateway_destroy(g);
		return NULL;
	}
	g->is_host = true;
	return g;
}

void gateway_destroy(struct gateway *g)
{
	if (g == NULL)
		return;
	ping_sockets_destroy(g->raw);
	/* Whatever ends from here on has no flow cache entry. */
	if (g->flowcache != NULL)
		empty_slots(g);
	flowcache_destroy(g->flowcache);
	if (g->rules != NULL)
		rules_destroy(g->rules);
	/* Held packets may own unconfirmed connections: they go before conntrack does. */
	if (g->ip != NULL)
		ip_stack_destroy(g->ip);
	nat_unsolicited_destroy(g->unsolicited);
	if (g->nat != NULL)
		nat_destroy(g->nat);
	if (g->ct != NULL)
		conntrack_destroy(g->ct);
	packet_pool_destroy(g->env.pool);
	free(g);
}

void gateway_set_time(struct gateway *g, uint64_t now)
{
	g->env.now = max_u64(g->env.now, now);
}

static int prepare(struct gateway *g, const struct core_config *cfg, struct hook_list lists[N_HOOKS])
{
	if (g->prepared != cfg && rules_prepare(g->rules, cfg->rules) != 0)
		return -ENOMEM;
	g->prepared = cfg;
	if (!wire_hooks(g, lists)) {
		gateway_abandon(g);
		return -ENOSPC;
	}
	return 0;
}

int gateway_prepare(struct gateway *g, const struct core_config *cfg)
{
	struct hook_list lists[N_HOOKS];

	if (g->is_host)
		return 0;
	gateway_abandon(g);
	return prepare(g, cfg, lists);
}

void gateway_abandon(struct gateway *g)
{
	if (g->is_host)
		return;
	rules_abandon(g->rules);
	g->prepared = NULL;
}

/* All workers share the routes, and rest now: the first that is told of a link changes them. */
static void follow_link(struct gateway *g, uint32_t ifindex, bool up)
{
	if (g->cfg != NULL && !g->is_host)
		(void)rib_link_changed(g->cfg->rib, ifindex, up);
}

/* The routes of a new config know nothing of the links yet. */
static void follow_links(struct gateway *g)
{
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		const struct device *d = ip_stack_device(g->ip, i);

		if (d != NULL)
			follow_link(g, i, d->up);
	}
}

int gateway_configure(struct gateway *g, const struct core_config *cfg, uint64_t now)
{
	struct hook_list lists[N_HOOKS];

	if (g->is_host) {
		gateway_set_time(g, now);
		ip_stack_configure(g->ip, &cfg->ip);
		g->cfg = cfg;
		return 0;
	}
	int rc = prepare(g, cfg, lists);
	if (rc != 0)
		return rc;
	gateway_set_time(g, now);
	flowcache_rules_change(g->flowcache, g->rules);
	rules_commit(g->rules);
	g->prepared = NULL;
	for (enum ip_hook hook = 0; hook < N_HOOKS; hook++) {
		hook_list_keep_stats(&lists[hook], ip_stack_hooks(g->ip, hook));
		*ip_stack_hooks(g->ip, hook) = lists[hook];
	}
	/* By the first of several workers, for all. What finds no memory is not reached, as if it were not there. */
	(void)rib_change_apply(cfg->rib, cfg->routes);
	ip_stack_configure(g->ip, &cfg->ip);
	conntrack_configure(g->ct, &cfg->ct);
	nat_configure(g->nat, &cfg->nat);
	g->cfg = cfg;
	flowcache_set_routes(g->flowcache, rib_version(cfg->rib));
	follow_links(g);
	ip_flush(g->ip);
	return 0;
}

static void invalidate_flows(struct gateway *g)
{
	if (!g->is_host)
		flowcache_invalidate_all(g->flowcache);
}

void gateway_attach(struct gateway *g, uint32_t ifindex, struct device *d, uint64_t now)
{
	gateway_set_time(g, now);
	if (d != NULL) {
		d->pool = g->env.pool;
		d->ledger = &g->env.ledger;
	}
	invalidate_flows(g);
	follow_link(g, ifindex, d != NULL && d->up);
	ip_stack_attach(g->ip, ifindex, d);
	ip_flush(g->ip);
}

void gateway_device_changed(struct gateway *g, uint32_t ifindex, uint64_t now)
{
	gateway_set_time(g, now);
	const struct device *d = ip_stack_device(g->ip, ifindex);

	invalidate_flows(g);
	follow_link(g, ifindex, d != NULL && d->up);
	ip_stack_device_changed(g->ip, ifindex);
	ip_flush(g->ip);
}

void gateway_settle_routes(struct gateway *g)
{
	if (g->cfg != NULL)
		(void)rib_work(g->cfg->rib, UINT32_MAX);
}

void gateway_input_cached(struct gateway *g, uint32_t ifindex, struct batch *b, uint64_t now)
{
	gateway_set_time(g, now);
	ether_input_cached(g->ip, ifindex, b);
	ip_flush(g->ip);
	flowcache_flushed(g->flowcache, FLOWCACHE_FLUSHED_TAKEN);
}

void gateway_input(struct gateway *g, uint32_t ifindex, struct batch *b, uint64_t now)
{
	gateway_set_time(g, now);
	ether_input(g->ip, ifindex, b);
	ip_flush(g->ip);
	flowcache_flushed(g->flowcache, FLOWCACHE_FLUSHED_ALL);
}

void gateway_expire(struct gateway *g, uint64_t now)
{
	gateway_set_time(g, now);
	struct stage_stats *outer = stage_enter(&g->env.stages, STAGE_TIMERS, 0);

	ip_expire(g->ip);
	if (!g->is_host) {
		flowcache_expire(g->flowcache);
		conntrack_expire(g->ct);
		nat_expire(g->nat);
		nat_unsolicited_expire(g->unsolicited);
	}
	if (g->side.ctx != NULL)
		g->side.expire(g->side.ctx);
	ip_flush(g->ip);
	stage_leave(&g->env.stages, outer);
}

uint64_t gateway_next_deadline(const struct gateway *g)
{
	uint64_t side = g->side.ctx != NULL ? g->side.next_deadline(g->side.ctx) : TIME_NEVER;
	uint64_t next = min_u64(ip_next_deadline(g->ip), side);

	if (g->is_host)
		return next;
	uint64_t nat = min_u64(nat_next_deadline(g->nat), nat_unsolicited_deadline(g->unsolicited));

	next = min_u64(next, flowcache_next_deadline(g->flowcache));
	return min_u64(next, min_u64(conntrack_next_deadline(g->ct), nat));
}

void gateway_set_aux(struct gateway *g, const struct gateway_aux *side)
{
	g->side = *side;
}

void gateway_seen_empty(struct gateway *g, uint32_t ifindex)
{
	if (g->side.ctx != NULL)
		g->side.seen_empty(g->side.ctx, ifindex);
}

void gateway_host_input(struct gateway *g, struct batch *b, uint64_t now)
{
	gateway_set_time(g, now);
	ip_host_input(g->ip, b);
}

void gateway_host_output(struct gateway *g, struct batch *b, uint64_t now)
{
	gateway_set_time(g, now);
	ip_host_output(g->ip, b);
	ip_flush(g->ip);
}

void gateway_flush(struct gateway *g, uint64_t now)
{
	gateway_set_time(g, now);
	ip_flush(g->ip);
}

struct env *gateway_env(struct gateway *g)
{
	return &g->env;
}

struct ip_stack *gateway_ip(struct gateway *g)
{
	return g->ip;
}

struct conntrack *gateway_conntrack(struct gateway *g)
{
	return g->ct;
}

struct nat *gateway_nat(struct gateway *g)
{
	return g->nat;
}

struct rules *gateway_rules(struct gateway *g)
{
	return g->rules;
}

struct flowcache *gateway_flowcache(struct gateway *g)
{
	return g->flowcache;
}

struct ping_sockets *gateway_ping_sockets(struct gateway *g)
{
	return g->raw;
}
