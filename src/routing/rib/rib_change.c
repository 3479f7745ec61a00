/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From the routes of one config to those of the next: what is to be set and what to
 * be unset. A config gives all of its routes again, and most of them are there
 * already; they are marked, what is not marked goes, and nothing else is written.
 * So a reload costs the data path what is different.
 */
#include <errno.h>
#include <stdlib.h>

#include "routing/rib/rib_priv.h"

struct rib_change {
	struct rib_route *set, *unset;
	size_t n_set, n_unset;
	bool is_done;
};

static bool add(struct rib_route **list, size_t *n, const struct rib_route *route)
{
	/* Room doubles at each power of two. */
	if ((*n & (*n - 1)) == 0) {
		struct rib_route *bigger = realloc(*list, (*n == 0 ? 1 : 2 * *n) * sizeof(*bigger));

		if (bigger == NULL)
			return false;
		*list = bigger;
	}
	(*list)[(*n)++] = *route;
	return true;
}

static void free_paths(struct rib_route *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free((void *)(uintptr_t)list[i].path);
}

static bool copy_paths(struct rib_route *route)
{
	struct rib_path *copy;

	if (route->n_paths == 0) {
		route->path = NULL;
		return true;
	}
	copy = malloc(route->n_paths * sizeof(*copy));
	if (copy == NULL)
		return false;
	for (uint32_t i = 0; i < route->n_paths; i++)
		copy[i] = route->path[i];
	route->path = copy;
	return true;
}

struct rib_record *rib_record_of(const struct rib *r, const struct rib_route *route)
{
	uint32_t prefix = rib_prefix_find(r, rib_key_of(route)), i;

	for (i = prefix != RIB_NONE ? rib_prefix_at(r, prefix)->first : RIB_NONE; i != RIB_NONE;
	     i = rib_record_at(r, i)->next) {
		struct rib_record *x = rib_record_at(r, i);

		if (x->source == route->source && x->instance == route->instance)
			return x;
	}
	return NULL;
}

/* Marks what is there; true also when it is to be set. */
static bool want(struct rib *r, struct rib_change *c, const struct rib_route *route)
{
	struct rib_record *x = rib_record_of(r, route);
	struct rib_route copy = *route;
	bool seen = x != NULL && x->seen == r->seen;

	if (x != NULL)
		x->seen = r->seen;
	if (seen || (x != NULL && rib_record_is_that(r, x, route)))
		return true;
	if (!copy_paths(&copy))
		return false;
	if (add(&c->set, &c->n_set, &copy))
		return true;
	free((void *)(uintptr_t)copy.path);
	return false;
}

static bool drop_unseen(struct rib *r, struct rib_change *c)
{
	for (uint32_t p = 0; p < r->prefixes.n_fresh; p++) {
		const struct rib_prefix *prefix = rib_prefix_at(r, p);

		for (uint32_t i = prefix->key != UINT64_MAX ? prefix->first : RIB_NONE; i != RIB_NONE;
		     i = rib_record_at(r, i)->next) {
			const struct rib_record *x = rib_record_at(r, i);
			struct ip4_prefix v4 = rib_key_prefix(prefix->key);
			struct rib_route route = { .prefix = ip_prefix_v4(v4.addr, v4.len),
						   .zone = rib_key_zone(prefix->key),
						   .source = x->source,
						   .instance = x->instance };

			if (x->source < RIB_OF_CONFIG && x->seen != r->seen && !add(&c->unset, &c->n_unset, &route))
				return false;
		}
	}
	return true;
}

/* Another number to mark with. A record that was set since has 0, which is none; when the numbers begin again, all
 * have. */
static void seen_next(struct rib *r)
{
	if (++r->seen != 0)
		return;
	for (uint32_t p = 0; p < r->prefixes.n_fresh; p++) {
		const struct rib_prefix *prefix = rib_prefix_at(r, p);

		for (uint32_t i = prefix->key != UINT64_MAX ? prefix->first : RIB_NONE; i != RIB_NONE;
		     i = rib_record_at(r, i)->next)
			rib_record_at(r, i)->seen = 0;
	}
	r->seen = 1;
}

struct rib_change *rib_change_to(struct rib *r, const struct rib_route *route, size_t n)
{
	struct rib_change *c = calloc(1, sizeof(*c));
	bool ok = c != NULL;

	seen_next(r);
	for (size_t i = 0; i < n && ok; i++)
		ok = want(r, c, &route[i]);
	if (ok && drop_unseen(r, c))
		return c;
	rib_change_free(c);
	return NULL;
}

int rib_change_apply(struct rib *r, struct rib_change *c)
{
	int rc = 0;

	if (c == NULL || c->is_done)
		return 0;
	c->is_done = true;
	for (size_t i = 0; i < c->n_unset; i++)
		rc = rib_unset(r, &c->unset[i]) == -ENOMEM ? -ENOMEM : rc;
	/* Of repetitions the first is the last to be set. */
	for (size_t i = c->n_set; i-- > 0;)
		rc = rib_set(r, &c->set[i]) != 0 ? -ENOMEM : rc;
	return rib_flush(r) != 0 ? -ENOMEM : rc;
}

size_t rib_change_size(const struct rib_change *c)
{
	return c->n_set + c->n_unset;
}

void rib_change_free(struct rib_change *c)
{
	if (c == NULL)
		return;
	free_paths(c->set, c->n_set);
	free(c->set);
	free(c->unset);
	free(c);
}
