/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The life of NAT's tables, its config, and what it does at times. What it does with
 * packets begins in hooks.c.
 *
 * A new config ends those connections whose address or port has left it, in slices
 * (nat_expire).
 *
 * RFC 3022, RFC 4787, RFC 5382, RFC 5508, RFC 6888.
 */
#include <stdlib.h>

#include "gateway/nat/overload.h"
#include "gateway/nat/reclaim.h"

#define DEFAULT_ADDRESSES 256
/* Connections looked at in one go after a change of the config. */
#define SWEEP_SLICE 4096

static const struct ct_nat_ops ct_ops = {
	.release = nat_release,
	.reach = nat_reach,
	.finished = nat_reclaim_finished,
};

static void seed_ports(struct nat *n)
{
	uint8_t seed[RNG_SEED_BYTES];

	for (uint32_t i = 0; i < RNG_SEED_BYTES; i++)
		seed[i] = (uint8_t)rng_u32(&n->env->rng);
	rng_init(&n->port_rng, seed);
}

/* Slot of the ports: those of a pool's address are the same in all zones, wherever a packet with it leaves. */
static uint16_t zone_of_ports(const void *ctx, const struct ip_addr *addr, uint16_t zone)
{
	const struct nat *n = ctx;

	for (uint32_t i = 0; i < n->cfg.n_pools; i++) {
		if (addr->family == IP_FAMILY_V4 && n->pool[i].n_addresses != 0 &&
		    nat_pool_has(&n->cfg.pool[i], addr->v4))
			return 0;
	}
	return zone;
}

uint32_t nat_n_addresses(const struct nat_limits *limits)
{
	return min_u32(limits->n_addresses != 0 ? limits->n_addresses : DEFAULT_ADDRESSES, NAT_MAPPINGS_LIMIT);
}

struct nat *nat_create(struct env *env, struct ip_stack *stack, struct conntrack *ct, struct ports *ports,
		       const struct nat_limits *limits)
{
	uint32_t n_mappings = limits->n_mappings != 0 ? limits->n_mappings : conntrack_capacity(ct);
	struct nat *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->env = env;
	n->stack = stack;
	n->ct = ct;
	n->key = (struct siphash_key){ rng_u64(&env->rng), rng_u64(&env->rng) };
	n->workers.client_key = n->key;
	seed_ports(n);
	n->default_ports = port_set_of((struct port_range){ 1024, 65535 }, NULL, 0);
	n->identifiers = port_set_of((struct port_range){ 1, 65535 }, NULL, 0);
	n->ports = ports;
	if (nat_mappings_init(&n->mappings, min_u32(n_mappings, NAT_MAPPINGS_LIMIT)) != 0)
		goto free_n;
	n->overloads = nat_overloads_create(conntrack_capacity(ct));
	if (n->overloads == NULL)
		goto fini_mappings;
	if (nat_hold_downs_init(&n->hold_downs, n_mappings) != 0)
		goto destroy_overloads;
	if (nat_reclaim_init(&n->reclaim, conntrack_n_numbers_max(ct)) != 0)
		goto fini_hold_downs;
	if (nat_calls_init(&n->calls) != 0)
		goto fini_reuse;
	if (nat_log_init(&n->log, ports_n_addresses_max(n->ports)) != 0)
		goto fini_calls;
	ports_set_zone(n->ports, zone_of_ports, n);
	conntrack_set_nat(ct, &ct_ops, n);
	return n;

fini_calls:
	nat_calls_fini(&n->calls);
fini_reuse:
	nat_reclaim_fini(&n->reclaim);
fini_hold_downs:
	nat_hold_downs_fini(&n->hold_downs);
destroy_overloads:
	nat_overloads_destroy(n->overloads);
fini_mappings:
	nat_mappings_fini(&n->mappings);
free_n:
	free(n);
	return NULL;
}

void nat_destroy(struct nat *n)
{
	if (n == NULL)
		return;
	conntrack_set_nat(n->ct, NULL, NULL);
	conntrack_set_log(n->ct, &(struct ct_log){ 0 });
	nat_log_fini(&n->log);
	nat_reclaim_fini(&n->reclaim);
	nat_calls_fini(&n->calls);
	nat_hold_downs_fini(&n->hold_downs);
	nat_overloads_destroy(n->overloads);
	nat_mappings_fini(&n->mappings);
	ports_set_zone(n->ports, NULL, NULL);
	ports_set_block_told(n->ports, NULL, NULL);
	free(n);
}

void nat_set_rules(struct nat *n, nat_rules_fn *fn, void *ctx)
{
	n->rules = fn;
	n->rules_ctx = ctx;
}

void nat_set_has_rules(struct nat *n, nat_has_rules_fn *fn)
{
	n->has_rules = fn;
}

bool nat_pin(struct nat *n, uint32_t addr, uint16_t zone, uint8_t ip_proto, uint16_t port)
{
	struct ip_addr a = ip_addr_v4(addr);

	return ports_pin(n->ports, &a, zone, port_proto_of(ip_proto), port);
}

void nat_unpin(struct nat *n, uint32_t addr, uint16_t zone, uint8_t ip_proto, uint16_t port)
{
	struct ip_addr a = ip_addr_v4(addr);

	ports_unpin(n->ports, &a, zone, port_proto_of(ip_proto), port);
}

void nat_set_workers(struct nat *n, const struct nat_workers *workers)
{
	n->workers = *workers;
	ports_share(n->ports, workers->blocks, workers->worker);
}

/* A new config. */

static void sweep(struct nat *n)
{
	uint32_t index;

	for (uint32_t i = 0; i < SWEEP_SLICE; i++) {
		if (!conntrack_next(n->ct, &n->sweep_cursor, &index)) {
			n->sweeping = false;
			return;
		}
		const struct conn *c = conntrack_conn(n->ct, index);
		if ((c->status & (CT_MAPPED | CT_SNAT)) && !nat_still_allowed(n, index))
			conntrack_end(n->ct, index, CT_END_CONFIG);
	}
}

void nat_configure(struct nat *n, const struct nat_config *cfg)
{
	nat_pending_opens_forget(n);
	nat_pools_build(n, cfg);
	nat_log_configure(n);
	n->sweeping = true;
	n->sweep_cursor = 0;
}

void nat_expire(struct nat *n)
{
	nat_pending_opens_expire(n);
	nat_hold_downs_expire(n);
	nat_calls_expire(n);
	if (n->sweeping)
		sweep(n);
}

uint64_t nat_next_deadline(const struct nat *n)
{
	return n->sweeping ? n->env->now
			   : min_u64(min_u64(nat_hold_downs_deadline(n), nat_pending_opens_deadline(n)),
				     nat_calls_deadline(n));
}
