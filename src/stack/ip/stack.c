/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The IP layer as an object: made once, configured again and again, and driven
 * by its owner's clock. What is asked of it on a packet's way stands in route.c.
 *
 * An interface is a place in the config (its number is its ifindex) and, when
 * one is attached, a device. Both come and go by themselves; only where both are
 * there do packets pass. The config is const and belongs to whoever made it; the
 * stack holds a pointer from one ip_stack_configure to the next, and an empty
 * one before the first, so nobody asks whether there is a config.
 *
 * All memory is taken in ip_stack_create.
 *
 * Next: src/stack/ip/ether.c
 */
#include <stdlib.h>
#include <string.h>

#include "stack/ip/stack_priv.h"

#define NS_PER_DAY (UINT64_C(86400) * NS_PER_S)

static const struct ip_config empty_config;

static void reassembly_timed_out(void *ctx, struct packet *first)
{
	icmp_send_error(ctx, first, ICMP_TIME_EXCEEDED, ICMP_REASSEMBLY_TIMEOUT, 0);
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
	return value != 0 ? value : fallback;
}

struct ip_stack *ip_stack_create(struct env *env, const struct ip_limits *limits)
{
	struct ip_stack *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->env = env;
	s->cfg = &empty_config;
	for (uint32_t i = 0; i < IP_INTERFACES_MAX; i++)
		s->interface[i].announce.at = TIME_NEVER;
	icmp_init(s);
	ip_local_init(s);
	s->neigh = neigh_table_create(env, limits);
	if (s->neigh == NULL)
		goto free_stack;
	s->reassembly = reassembly_create(env, or_default(limits->n_reassembly, 256),
					  or_default(limits->n_reassembly_fragments, 2048),
					  or_default(limits->n_reassembly_per_source, 256), reassembly_timed_out, s);
	if (s->reassembly == NULL)
		goto destroy_neigh;
	if (!igmp_create(s))
		goto destroy_reassembly;
	return s;

destroy_reassembly:
	reassembly_destroy(s->reassembly);
destroy_neigh:
	neigh_table_destroy(s->neigh);
free_stack:
	free(s);
	return NULL;
}

void ip_stack_destroy(struct ip_stack *s)
{
	if (s == NULL)
		return;
	ip_ports_destroy(s);
	igmp_destroy(s);
	for (uint32_t i = 0; i < IP_INTERFACES_MAX; i++) {
		for (uint32_t k = 0; k < s->interface[i].tx.n; k++)
			packet_free(s->env->pool, s->interface[i].tx.p[k]);
	}
	while (s->loop_first != NULL) {
		struct packet *p = s->loop_first;

		s->loop_first = p->next;
		packet_free(s->env->pool, p);
	}
	reassembly_destroy(s->reassembly);
	neigh_table_destroy(s->neigh);
	free(s);
}

struct env *ip_stack_env(struct ip_stack *s)
{
	return s->env;
}

uint32_t ip_time_ms(const struct ip_stack *s)
{
	return (uint32_t)((s->env->now + s->env->wall_offset_ns) % NS_PER_DAY / NS_PER_MS);
}

const struct ip_config *ip_stack_config(const struct ip_stack *s)
{
	return s->cfg;
}

bool ip_interface_known(const struct ip_stack *s, uint32_t ifindex)
{
	return ifindex > 0 && ifindex < IP_INTERFACES_MAX && s->cfg->interface[ifindex].name[0] != '\0';
}

static bool has_address(const struct ip_interface_config *c, uint32_t addr)
{
	for (uint32_t i = 0; i < c->n_addresses; i++) {
		if (c->address[i].addr == addr)
			return true;
	}
	return false;
}

static bool has_proxy(const struct ip_config *cfg, const struct ip_proxy *x)
{
	for (uint32_t i = 0; i < cfg->n_proxies; i++) {
		const struct ip_proxy *o = &cfg->proxy[i];

		if (o->ifindex == x->ifindex && o->first == x->first && o->last == x->last)
			return true;
	}
	return false;
}

/* Marks what the new config has and the old one had not. */
static void mark_new(struct ip_stack *s, uint32_t ifindex, const struct ip_config *old)
{
	const struct ip_interface_config *now = ip_interface_cfg(s, ifindex);
	struct ip_interface *ifc = &s->interface[ifindex];
	bool some = false;

	ifc->new_addresses = 0;
	for (uint32_t i = 0; i < now->n_addresses; i++) {
		if (has_address(&old->interface[ifindex], now->address[i].addr))
			continue;
		ifc->new_addresses |= (uint16_t)(1u << i);
		some = true;
	}
	for (uint32_t i = 0; i < s->cfg->n_proxies; i++)
		some |= s->cfg->proxy[i].ifindex == ifindex && s->new_proxy[i];
	/* What was under way walks lists that are gone, so it starts over. */
	if (ifc->announce.at != TIME_NEVER)
		arp_announce_start(s, ifindex, true);
	else if (some)
		arp_announce_start(s, ifindex, false);
}

void ip_stack_configure(struct ip_stack *s, const struct ip_config *cfg)
{
	const struct ip_config *old = s->cfg;

	s->cfg = cfg;
	for (uint32_t i = 0; i < cfg->n_proxies; i++)
		s->new_proxy[i] = !has_proxy(old, &cfg->proxy[i]);
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		if (strcmp(old->interface[i].name, cfg->interface[i].name) != 0 && old->interface[i].name[0] != '\0') {
			ip_queue_drop(s, i);
			neigh_drop_interface(s, i);
			s->interface[i].announce.at = TIME_NEVER;
		}
		if (ip_interface_known(s, i)) {
			mark_new(s, i, old);
			adjacency_sync_interface(s, i); /* the configured MTU */
		}
	}
}

void ip_stack_attach(struct ip_stack *s, uint32_t ifindex, struct device *d)
{
	struct ip_interface *ifc = &s->interface[ifindex];

	ip_queue_drop(s, ifindex);
	if (ifc->dev != NULL)
		neigh_drop_interface(s, ifindex);
	ifc->dev = d;
	adjacency_sync_interface(s, ifindex);
	if (d == NULL)
		ifc->announce.at = TIME_NEVER;
	else if (d->up)
		ip_stack_device_changed(s, ifindex);
}

struct device *ip_stack_device(const struct ip_stack *s, uint32_t ifindex)
{
	return ifindex < IP_INTERFACES_MAX ? s->interface[ifindex].dev : NULL;
}

void ip_stack_device_changed(struct ip_stack *s, uint32_t ifindex)
{
	struct device *d = ip_stack_device(s, ifindex);

	if (d == NULL || !d->up) {
		ip_queue_drop(s, ifindex);
		adjacency_sync_interface(s, ifindex);
		return;
	}
	neigh_refresh_interface(s, ifindex);
	adjacency_sync_interface(s, ifindex);
	ip_groups_tell(s, ifindex);
	igmp_link_up(s, ifindex);
	arp_announce_start(s, ifindex, true);
}

void ip_stack_set_share(struct ip_stack *s, uint32_t number, uint32_t n)
{
	s->share_number = number;
	s->n_shares = n;
}

struct hook_list *ip_stack_hooks(struct ip_stack *s, enum ip_hook hook)
{
	return &s->hook[hook];
}

void ip_stack_set_unclaimed(struct ip_stack *s, ip_unclaimed_fn *fn, void *ctx)
{
	s->unclaimed = fn;
	s->unclaimed_ctx = ctx;
}

void ip_stack_set_foreign(struct ip_stack *s, ip_foreign_fn *fn, void *ctx)
{
	s->foreign = fn;
	s->foreign_ctx = ctx;
}

void ip_stack_set_flowcache(struct ip_stack *s, const struct ip_flowcache_ops *ops, void *ctx)
{
	s->flowcache = ops != NULL ? *ops : (struct ip_flowcache_ops){ 0 };
	s->flowcache_ctx = ctx;
	s->neigh->changed = s->flowcache.adjacency_changed;
	s->neigh->changed_ctx = ctx;
}

void ip_expire(struct ip_stack *s)
{
	neigh_expire(s);
	reassembly_expire(s->reassembly);
	igmp_expire(s);
	for (uint64_t left = s->announcing; left != 0; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(left);

		if (s->interface[i].announce.at <= s->env->now)
			arp_announce_run(s, i);
		if (s->interface[i].announce.at == TIME_NEVER)
			s->announcing &= ~(UINT64_C(1) << i);
	}
	ip_loop_run(s);
}

uint64_t ip_next_deadline(const struct ip_stack *s)
{
	uint64_t when = min_u64(neigh_next_deadline(s), reassembly_next_deadline(s->reassembly));

	when = min_u64(when, igmp_next_deadline(s));
	for (uint64_t left = s->announcing; left != 0; left &= left - 1)
		when = min_u64(when, s->interface[__builtin_ctzll(left)].announce.at);
	return s->loop_first != NULL ? s->env->now : when;
}
