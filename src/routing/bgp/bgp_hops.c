/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Next hops are few where sets are many, so a set has its next hop's number, and the decision finds the cost by it
 * without a search. A number is given back with the last set, and is the first to be given out again.
 *
 * What costs something else now is marked with the count of such changes (`now`), so whoever goes through the prefixes
 * in slices knows which next hops have changed since the walk began.
 *
 * Next: src/routing/bgp/bgp_table.c
 */
#include "routing/bgp/bgp_hops.h"

#include <errno.h>
#include <stdlib.h>

int bgp_hops_init(struct bgp_hops *h)
{
	*h = (struct bgp_hops){ .first_free = BGP_HOP_NONE };
	return bgp_index_init(&h->index);
}

void bgp_hops_fini(struct bgp_hops *h)
{
	bgp_index_fini(&h->index);
	free(h->hop);
}

static uint32_t hash_of(uint32_t addr)
{
	return addr * UINT32_C(0x9e3779b1);
}

static uint32_t cost_of(const struct bgp_hops *h, uint32_t hop)
{
	return h->resolver.came != NULL ? h->resolver.came(h->resolver.user, hop, h->hop[hop].addr) : 0;
}

void bgp_hops_ask(struct bgp_hops *h, const struct bgp_resolver *r)
{
	h->resolver = r != NULL ? *r : (struct bgp_resolver){ .user = NULL };
	for (uint32_t i = 0; i < h->n; i++)
		if (h->hop[i].n_sets > 0)
			(void)bgp_hops_set_cost(h, i, cost_of(h, i));
}

static uint32_t find(const struct bgp_hops *h, uint32_t addr)
{
	uint64_t at = 0;

	for (uint32_t value; (value = bgp_index_next(&h->index, hash_of(addr), &at)) != 0;)
		if (h->hop[value - 1].addr == addr)
			return value - 1;
	return BGP_HOP_NONE;
}

static bool reserve(struct bgp_hops *h)
{
	if (h->first_free != BGP_HOP_NONE || h->n < h->cap)
		return true;
	if (h->n == BGP_HOPS_MAX)
		return false;
	uint32_t cap = h->cap != 0 ? 2 * h->cap : 16;
	struct bgp_hop *bigger = realloc(h->hop, cap * sizeof(*bigger));

	if (bigger == NULL)
		return false;
	h->hop = bigger;
	h->cap = cap;
	return true;
}

uint32_t bgp_hops_take(struct bgp_hops *h, uint32_t addr)
{
	uint32_t hop = find(h, addr);

	if (hop != BGP_HOP_NONE) {
		h->hop[hop].n_sets++;
		return hop;
	}
	if (!reserve(h))
		return BGP_HOP_NONE;
	hop = h->first_free != BGP_HOP_NONE ? h->first_free : h->n;
	if (!bgp_index_add(&h->index, hash_of(addr), hop + 1))
		return BGP_HOP_NONE;
	if (hop == h->n)
		h->n++;
	else
		h->first_free = h->hop[hop].cost;
	h->hop[hop] = (struct bgp_hop){ .addr = addr, .n_sets = 1 };
	h->hop[hop].cost = cost_of(h, hop);
	return hop;
}

void bgp_hops_let_go(struct bgp_hops *h, uint32_t hop)
{
	struct bgp_hop *gone = &h->hop[hop];

	if (--gone->n_sets > 0)
		return;
	if (h->resolver.went != NULL)
		h->resolver.went(h->resolver.user, hop, gone->addr);
	bgp_index_remove(&h->index, hash_of(gone->addr), hop + 1);
	gone->cost = h->first_free;
	h->first_free = hop;
}

bool bgp_hops_set_cost(struct bgp_hops *h, uint32_t hop, uint32_t cost)
{
	if (h->hop[hop].n_sets == 0 || h->hop[hop].cost == cost)
		return false;
	h->hop[hop].cost = cost;
	h->hop[hop].changed = ++h->now;
	return true;
}
