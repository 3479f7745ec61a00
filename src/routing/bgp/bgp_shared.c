/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which next hops share what goes to a prefix is told prefix by prefix, and many prefixes have the same ones, so a way
 * is known by its members. Nobody counts the prefixes that go by one: the FIB knows whether any does. When there are
 * twice as many ways as were in use at the last look, those that are not are given back.
 *
 * Next: src/routing/rib/rib_feed.c
 */
#include "routing/bgp/bgp_shared.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
#define GATHER_MIN 64u

int bgp_shared_init(struct bgp_shared *s)
{
	*s = (struct bgp_shared){ .first_free = NONE, .gather_at = GATHER_MIN };
	return bgp_index_init(&s->index);
}

static void drop(struct bgp_shared *s, struct rib *r, uint32_t i)
{
	struct bgp_shared_way *w = &s->way[i];

	bgp_index_remove(&s->index, w->hash, i + 1);
	rib_way_put(r, w->way);
	w->way = RIB_NO_WAY;
	w->next_free = s->first_free;
	s->first_free = i;
	s->n_used--;
}

void bgp_shared_fini(struct bgp_shared *s, struct rib *r)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->way[i].way != RIB_NO_WAY)
			drop(s, r, i);
	bgp_index_fini(&s->index);
	free(s->way);
}

void bgp_shared_forget(struct bgp_shared *s, struct rib *r, uint32_t hop)
{
	for (uint32_t i = 0; i < s->n; i++) {
		bool has = false;

		for (uint32_t k = 0; s->way[i].way != RIB_NO_WAY && k < s->way[i].n; k++)
			has |= s->way[i].member[k].hop == hop;
		if (has)
			drop(s, r, i);
	}
}

static int compare(const void *a, const void *b)
{
	const struct bgp_member *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return x->owner < y->owner ? -1 : x->owner > y->owner;
}

static uint32_t hash_of(const struct bgp_member *m, uint32_t n)
{
	uint32_t h = n;

	for (uint32_t i = 0; i < n; i++)
		h = ((h ^ m[i].addr) * UINT32_C(0x9e3779b1)) ^ m[i].owner * UINT32_C(0x85ebca6b) ^ h >> 15;
	return h;
}

static bool is_of(const struct bgp_shared_way *w, const struct bgp_member *m, uint32_t n)
{
	for (uint32_t i = 0; i < n && w->n == n; i++)
		if (w->member[i].hop != m[i].hop || w->member[i].owner != m[i].owner)
			return false;
	return w->n == n;
}

uint32_t bgp_shared_find(const struct bgp_shared *s, struct bgp_member *m, uint32_t n)
{
	uint64_t at = 0;

	qsort(m, n, sizeof(*m), compare);
	for (uint32_t i, hash = hash_of(m, n); (i = bgp_index_next(&s->index, hash, &at)) != 0;)
		if (is_of(&s->way[i - 1], m, n))
			return s->way[i - 1].way;
	return RIB_NO_WAY;
}

static void gather(struct bgp_shared *s, struct rib *r)
{
	if (s->n_used < s->gather_at)
		return;
	for (uint32_t i = 0; i < s->n; i++)
		if (s->way[i].way != RIB_NO_WAY && !rib_way_is_used(r, s->way[i].way))
			drop(s, r, i);
	s->gather_at = max_u32(GATHER_MIN, 2 * s->n_used);
}

/* A number that is free, or NONE. */
static uint32_t reserve(struct bgp_shared *s)
{
	if (s->first_free != NONE)
		return s->first_free;
	if (s->n == BGP_SHARED_MAX)
		return NONE;
	if (s->n == s->cap) {
		uint32_t cap = s->cap != 0 ? 2 * s->cap : 16;
		struct bgp_shared_way *bigger = realloc(s->way, cap * sizeof(*bigger));

		if (bigger == NULL)
			return NONE;
		s->way = bigger;
		s->cap = cap;
	}
	return s->n;
}

uint32_t bgp_shared_get(struct bgp_shared *s, struct rib *r, const struct rib_route *as, struct bgp_member *m,
			uint32_t n)
{
	struct rib_path path[FIB_PATHS_MAX];
	struct rib_route route = *as;
	uint32_t way = bgp_shared_find(s, m, n), i;

	if (way != RIB_NO_WAY)
		return way;
	gather(s, r);
	i = reserve(s);
	if (i == NONE)
		return RIB_NO_WAY;
	memset(path, 0, sizeof(path));
	for (uint32_t k = 0; k < n; k++) {
		path[k].nexthop.kind = FIB_UNICAST;
		path[k].nexthop.gateway = ip_addr_v4(m[k].addr);
		path[k].weight = 1;
		path[k].owner = (uint16_t)m[k].owner;
	}
	route.n_paths = (uint8_t)n;
	route.path = path;
	way = rib_way_get(r, &route);
	if (way == RIB_NO_WAY)
		return RIB_NO_WAY;
	if (!bgp_index_add(&s->index, hash_of(m, n), i + 1)) {
		rib_way_put(r, way);
		return RIB_NO_WAY;
	}
	if (i == s->n)
		s->n++;
	else
		s->first_free = s->way[i].next_free;
	s->way[i] = (struct bgp_shared_way){ .way = way, .hash = hash_of(m, n), .n = n };
	memcpy(s->way[i].member, m, n * sizeof(*m));
	s->n_used++;
	return way;
}
