/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The wiring of a core, in three tables: its modules, the slots that one fills of
 * another, and what hangs in the five hooks besides the chains of the rules.
 *
 * Any of them but ip can be left out with those that need it. Then its slots stay empty and
 * its hooks are not there: a core of ip, routes and sockets is a host or a router, one
 * without NAT a firewall.
 */
#include <stdlib.h>
#include <string.h>

#include "core/modules.h"
#include "gateway/nat/unsolicited.h"
#include "stack/ip/icmp.h"
#include "stack/ip/route.h"
#include "stack/ports/ports.h"

#define BIT(module) (1u << (module))

/* --- the modules --- */

/* Packets that ip holds may own connections that are not confirmed: they go before connection tracking does, so that
 * stands first. */
static void *create_conntrack(struct gateway *g, const struct gateway_limits *limits)
{
	struct conntrack *ct = conntrack_create(&g->env, &limits->conntrack);

	if (ct != NULL)
		packet_pool_set_conn_slots(g->env.pool,
					   &(struct packet_conn_slots){ .ctx = ct,
									.put = conntrack_packet_put,
									.get = conntrack_packet_get,
									.revalidate = conntrack_packet_revalidate });
	return ct;
}

static void destroy_conntrack(void *ct)
{
	conntrack_destroy(ct);
}

static void configure_conntrack(void *ct, const struct core_config *cfg)
{
	conntrack_configure(ct, &cfg->ct);
}

static void expire_conntrack(void *ct)
{
	conntrack_expire(ct);
}

static uint64_t conntrack_deadline(const void *ct)
{
	return conntrack_next_deadline(ct);
}

static void *create_ip(struct gateway *g, const struct gateway_limits *limits)
{
	struct ip_stack *ip = ip_stack_create(&g->env, &limits->ip);

	if (ip != NULL)
		ip_stack_set_ports(ip, gateway_ports(g));
	return ip;
}

static void destroy_ip(void *ip)
{
	ip_stack_destroy(ip);
}

static void configure_ip(void *ip, const struct core_config *cfg)
{
	ip_stack_configure(ip, &cfg->ip);
}

static void expire_ip(void *ip)
{
	ip_expire(ip);
}

static uint64_t ip_deadline(const void *ip)
{
	return ip_next_deadline(ip);
}

/* Of sockets and NAT: who takes a port of an address of ours takes it here, wherever he stands. */
static void *create_ports(struct gateway *g, const struct gateway_limits *limits)
{
	return ports_create(nat_n_addresses(&limits->nat), &g->env.rng);
}

static void destroy_ports(void *ports)
{
	ports_destroy(ports);
}

/* Those that come stay, also when it comes to nothing: an address that is not ours has no sockets. */
static int prepare_ports(void *ports, const struct core_config *cfg)
{
	for (uint32_t i = 0; i < cfg->n_addresses; i++) {
		int rc = cfg->address[i].is_ours ? ports_add_own(ports, cfg->address[i].prefix.addr) : 0;

		if (rc != 0)
			return rc;
	}
	return 0;
}

static void *create_nat(struct gateway *g, const struct gateway_limits *limits)
{
	return nat_create(&g->env, gateway_ip(g), gateway_conntrack(g), gateway_ports(g), &limits->nat);
}

static void destroy_nat(void *nat)
{
	nat_destroy(nat);
}

static void configure_nat(void *nat, const struct core_config *cfg)
{
	nat_configure(nat, &cfg->nat);
}

static void expire_nat(void *nat)
{
	nat_expire(nat);
}

static uint64_t nat_deadline(const void *nat)
{
	return nat_next_deadline(nat);
}

static void *create_unsolicited(struct gateway *g, const struct gateway_limits *limits)
{
	return nat_unsolicited_create(&g->env, gateway_ip(g), gateway_conntrack(g), gateway_nat(g));
}

static void destroy_unsolicited(void *u)
{
	nat_unsolicited_destroy(u);
}

static void expire_unsolicited(void *u)
{
	nat_unsolicited_expire(u);
}

static uint64_t unsolicited_deadline(const void *u)
{
	return nat_unsolicited_deadline(u);
}

static void *create_rules(struct gateway *g, const struct gateway_limits *limits)
{
	return rules_create(&g->env, gateway_ip(g), gateway_conntrack(g));
}

static void destroy_rules(void *r)
{
	rules_destroy(r);
}

static int prepare_rules(void *r, const struct core_config *cfg)
{
	return rules_prepare(r, cfg->rules);
}

static void abandon_rules(void *r)
{
	rules_abandon(r);
}

static void configure_rules(void *r, const struct core_config *cfg)
{
	rules_commit(r);
}

static void *create_flowcache(struct gateway *g, const struct gateway_limits *limits)
{
	return flowcache_create(&g->env, gateway_ip(g), gateway_conntrack(g), gateway_nat(g), gateway_rules(g));
}

static void destroy_flowcache(void *fc)
{
	flowcache_destroy(fc);
}

/* The rules are about to be committed, and the routes are what they will be. */
static void configure_flowcache(void *fc, const struct core_config *cfg)
{
	flowcache_rules_change(fc);
	flowcache_set_routes(fc, rib_version(cfg->rib), rib_lost_hops(cfg->rib));
}

static void expire_flowcache(void *fc)
{
	flowcache_expire(fc);
}

static uint64_t flowcache_deadline(const void *fc)
{
	return flowcache_next_deadline(fc);
}

/* The routing table, which several cores may share. Whatever changes it is done by the first of them that is told, for
 * all, while they are quiesced. */
struct routes {
	const struct ip_stack *ip;
	struct rib *rib; /* NULL before the first config */
};

static void *create_routes(struct gateway *g, const struct gateway_limits *limits)
{
	struct routes *r = calloc(1, sizeof(*r));

	if (r != NULL)
		r->ip = gateway_ip(g);
	return r;
}

static void destroy_routes(void *r)
{
	free(r);
}

static void routes_link_changed(void *m, uint32_t ifindex, bool up)
{
	struct routes *r = m;

	if (r->rib != NULL)
		(void)rib_link_changed(r->rib, ifindex, up);
}

/* What finds no memory is not reached, as if it were not there. New routes know nothing of the links yet. */
static void configure_routes(void *m, const struct core_config *cfg)
{
	struct routes *r = m;

	r->rib = cfg->rib;
	(void)rib_change_apply(r->rib, cfg->routes);
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		const struct device *d = ip_stack_device(r->ip, i);

		if (d != NULL)
			routes_link_changed(r, i, d->up);
	}
}

static void destroy_sockets(void *m)
{
	struct core_sockets *s = m;

	sockets_destroy(s->all);
	ping_sockets_destroy(s->ping);
	free(s);
}

/* Their keys are of a stream of their own, so that what a core draws is the same with sockets and without. */
#define RNG_SOCKETS 1

static void *create_sockets(struct gateway *g, const struct gateway_limits *limits)
{
	struct core_sockets *s = calloc(1, sizeof(*s));
	struct rng rng = g->env.rng;

	if (s == NULL)
		return NULL;
	rng_fork(&rng, RNG_SOCKETS, &g->env.rng);
	s->ping = ping_sockets_create(gateway_ip(g));
	s->all = sockets_create(&g->env, gateway_ip(g), &limits->sockets, NULL);
	g->env.rng = rng;
	if (s->ping != NULL && s->all != NULL)
		return s;
	destroy_sockets(s);
	return NULL;
}

static void expire_sockets(void *s)
{
	sockets_expire(((struct core_sockets *)s)->all);
}

static void configure_sockets(void *m, const struct core_config *cfg)
{
	if (cfg->tcp != NULL)
		sockets_configure(((struct core_sockets *)m)->all, cfg->tcp);
}

static uint64_t sockets_deadline(const void *s)
{
	return sockets_next_deadline(((const struct core_sockets *)s)->all);
}

const struct module modules[N_GATEWAY_MODULES] = {
	[GATEWAY_PORTS] = {
		.name = "ports",
		.create = create_ports,
		.destroy = destroy_ports,
		.prepare = prepare_ports,
	},
	[GATEWAY_CONNTRACK] = {
		.name = "conntrack",
		.needs = BIT(GATEWAY_IP),
		.create = create_conntrack,
		.destroy = destroy_conntrack,
		.configure = configure_conntrack,
		.expire = expire_conntrack,
		.next_deadline = conntrack_deadline,
	},
	[GATEWAY_IP] = {
		.name = "ip",
		.create = create_ip,
		.destroy = destroy_ip,
		.configure = configure_ip,
		.expire = expire_ip,
		.next_deadline = ip_deadline,
	},
	[GATEWAY_NAT] = {
		.name = "nat",
		.needs = BIT(GATEWAY_PORTS) | BIT(GATEWAY_CONNTRACK) | BIT(GATEWAY_UNSOLICITED),
		.create = create_nat,
		.destroy = destroy_nat,
		.configure = configure_nat,
		.expire = expire_nat,
		.next_deadline = nat_deadline,
	},
	[GATEWAY_UNSOLICITED] = {
		.name = "unsolicited",
		.needs = BIT(GATEWAY_NAT),
		.create = create_unsolicited,
		.destroy = destroy_unsolicited,
		.expire = expire_unsolicited,
		.next_deadline = unsolicited_deadline,
	},
	[GATEWAY_RULES] = {
		.name = "rules",
		.needs = BIT(GATEWAY_CONNTRACK),
		.create = create_rules,
		.destroy = destroy_rules,
		.prepare = prepare_rules,
		.abandon = abandon_rules,
		.configure = configure_rules,
	},
	[GATEWAY_FLOWCACHE] = {
		.name = "flowcache",
		.needs = BIT(GATEWAY_RULES) | BIT(GATEWAY_ROUTES),
		.create = create_flowcache,
		.destroy = destroy_flowcache,
		.configure = configure_flowcache,
		.expire = expire_flowcache,
		.next_deadline = flowcache_deadline,
	},
	[GATEWAY_ROUTES] = {
		.name = "routes",
		.needs = BIT(GATEWAY_IP),
		.create = create_routes,
		.destroy = destroy_routes,
		.configure = configure_routes,
		.link_changed = routes_link_changed,
	},
	[GATEWAY_SOCKETS] = {
		.name = "sockets",
		.needs = BIT(GATEWAY_PORTS) | BIT(GATEWAY_IP),
		.create = create_sockets,
		.destroy = destroy_sockets,
		.configure = configure_sockets,
		.expire = expire_sockets,
		.next_deadline = sockets_deadline,
	},
};

uint32_t modules_with_needs(uint32_t bits)
{
	uint32_t before;

	do {
		before = bits;
		for (uint32_t i = 0; i < N_GATEWAY_MODULES; i++)
			if (bits & BIT(i))
				bits |= modules[i].needs;
	} while (bits != before);
	return bits;
}

/* --- the slots --- */

/* Fragments that conntrack held go in again where they left the way. */
static void resume_fragments(void *ip, struct batch *b)
{
	ip_input(ip, b);
}

/* A new connection without room: its sender is told (RFC 5508 REQ-8). */
static void answer_refused(void *ip, const struct packet *p)
{
	(void)icmp_send_error(ip, p, ICMP_DEST_UNREACHABLE, ICMP_ADMIN_PROHIBITED, 0);
}

static bool leads_back(void *ip, const struct packet *p)
{
	return ip_leads_back(ip, p);
}

static void ip_of_conntrack(struct gateway *g, void *ip)
{
	static const struct ct_ip_ops ops = { .resume = resume_fragments,
					      .refused = answer_refused,
					      .leads_back = leads_back };

	conntrack_set_ip(gateway_conntrack(g), ip != NULL ? &ops : NULL, ip);
}

static void rules_of_nat(struct gateway *g, void *rules)
{
	nat_set_rules(gateway_nat(g), rules != NULL ? rules_nat : NULL, rules);
	nat_set_has_rules(gateway_nat(g), rules != NULL ? rules_nat_any : NULL);
}

static void unsolicited_of_ip(struct gateway *g, void *unsolicited)
{
	ip_stack_set_unclaimed(gateway_ip(g), unsolicited != NULL ? nat_unsolicited_take : NULL, unsolicited);
}

static void flowcache_of_ip(struct gateway *g, void *fc)
{
	ip_stack_set_flowcache(gateway_ip(g), fc != NULL ? &flowcache_ip_ops : NULL, fc);
}

static void flowcache_of_conntrack(struct gateway *g, void *fc)
{
	conntrack_set_flowcache(gateway_conntrack(g), fc != NULL ? &flowcache_ct_ops : NULL, fc);
}

static void flowcache_of_rules(struct gateway *g, void *fc)
{
	rules_set_mark_changed(gateway_rules(g), fc != NULL ? flowcache_mark_changed : NULL, fc);
}

/* Who calls whom by a slot: the first declares it, the second fills it, when both are there. Connection tracking and
 * NAT set NAT's slots themselves, since NAT stands on conntrack: nat.c. */
static const struct slot {
	enum gateway_module caller, called;
	void (*fill)(struct gateway *g, void *called); /* NULL: empties it */
} slots[] = {
	{ GATEWAY_CONNTRACK, GATEWAY_IP, ip_of_conntrack },
	{ GATEWAY_IP, GATEWAY_UNSOLICITED, unsolicited_of_ip },
	{ GATEWAY_NAT, GATEWAY_RULES, rules_of_nat },
	{ GATEWAY_IP, GATEWAY_FLOWCACHE, flowcache_of_ip },
	{ GATEWAY_CONNTRACK, GATEWAY_FLOWCACHE, flowcache_of_conntrack },
	{ GATEWAY_RULES, GATEWAY_FLOWCACHE, flowcache_of_rules },
};

void modules_connect(struct gateway *g)
{
	for (size_t i = 0; i < ARRAY_LEN(slots); i++)
		if (g->module[slots[i].caller] != NULL && g->module[slots[i].called] != NULL)
			slots[i].fill(g, g->module[slots[i].called]);
}

void modules_disconnect(struct gateway *g, enum gateway_module called)
{
	for (size_t i = 0; i < ARRAY_LEN(slots); i++)
		if (slots[i].called == called && g->module[slots[i].caller] != NULL)
			slots[i].fill(g, NULL);
}

/* --- the hooks --- */

/* The order is netfilter's (linux/netfilter_ipv4.h). */
static const struct wired_hook {
	enum ip_hook hook;
	int32_t priority;
	const char *name;
	hook_fn *fn;
	enum gateway_module module;
} wiring[] = {
	{ HOOK_PREROUTING, HOOK_PRI_DEFRAG, "defrag", conntrack_defrag, GATEWAY_CONNTRACK },
	{ HOOK_PREROUTING, HOOK_PRI_CONNTRACK, "conntrack", conntrack_in, GATEWAY_CONNTRACK },
	{ HOOK_PREROUTING, HOOK_PRI_DSTNAT, "dstnat", nat_dst, GATEWAY_NAT },
	{ HOOK_INPUT, HOOK_PRI_SRCNAT, "srcnat", nat_src, GATEWAY_NAT },
	{ HOOK_INPUT, HOOK_PRI_CONFIRM, "confirm", conntrack_confirm, GATEWAY_CONNTRACK },
	{ HOOK_OUTPUT, HOOK_PRI_DEFRAG, "defrag", conntrack_defrag, GATEWAY_CONNTRACK },
	{ HOOK_OUTPUT, HOOK_PRI_CONNTRACK, "conntrack", conntrack_in, GATEWAY_CONNTRACK },
	{ HOOK_OUTPUT, HOOK_PRI_DSTNAT, "dstnat", nat_dst, GATEWAY_NAT },
	{ HOOK_POSTROUTING, HOOK_PRI_SRCNAT, "srcnat", nat_src, GATEWAY_NAT },
	{ HOOK_POSTROUTING, HOOK_PRI_CONFIRM, "confirm", conntrack_confirm, GATEWAY_CONNTRACK },
};

/* The chains of the rules that stand before, or behind, what is built in at the same priority. */
static bool wire_chains(struct gateway *g, struct hook_list lists[N_HOOKS], bool first)
{
	struct hook_entry e;

	if (gateway_rules(g) == NULL)
		return true;
	for (enum ip_hook hook = 0; hook < N_HOOKS; hook++)
		for (uint32_t i = 0; rules_hook_entry(gateway_rules(g), hook, i, &e); i++)
			if (rules_hook_is_first(&e) == first && hook_list_add(&lists[hook], &e) != 0)
				return false;
	return true;
}

bool modules_wire(struct gateway *g, struct hook_list lists[N_HOOKS])
{
	struct hook_entry e;

	memset(lists, 0, N_HOOKS * sizeof(*lists));
	if (!wire_chains(g, lists, true))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(wiring); i++) {
		const struct wired_hook *w = &wiring[i];

		if (g->module[w->module] == NULL)
			continue;
		e = (struct hook_entry){
			.priority = w->priority, .name = w->name, .fn = w->fn, .ctx = g->module[w->module]
		};
		if (hook_list_add(&lists[w->hook], &e) != 0)
			return false;
	}
	return wire_chains(g, lists, false);
}
