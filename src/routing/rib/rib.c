/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The RIB: records of routes in chains, one a prefix with the best first, and the
 * FIBs that follow from them.
 *
 * Life of a change: rib_set and rib_unset put a record in its place in the chain, or
 * take it out, and note the prefix; rib_flush resolves what exits are new or may be
 * led elsewhere (rib_exit.c), and settles each noted prefix (rib_settle.c): it is written
 * into the FIB if its group is another one than there. So what ends as it began costs no
 * write, and whoever changes much flushes seldom.
 *
 * A source with very many routes keeps them itself (rib_feed.c).
 *
 * Routes that lose still say by which interfaces their prefix may be heard
 * (fib_route.from): with two uplinks answers come by the worse one too.
 *
 * What always holds behind rib_flush and a finished rib_work: the FIBs are what they
 * would be if all routes had been set in any other order.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "routing/rib/rib_priv.h"

#define PREFIXES_MAX (1u << 26)
#define RECORDS_MAX (1u << 27)
/* One less than a round number, so that the stack of free ones is too small for large pages (base/pool.c): the first
 * one that is given back would wait for 2 MB to be zeroed, some milliseconds. */
#define EXITS_MAX (FIB_GROUPS_MAX - 1)
#define BUCKETS_MIN 64u

const char *const rib_source_names[N_RIB_SOURCES] = {
	[RIB_LOCAL] = "local",     [RIB_CONNECTED] = "connected", [RIB_STATIC] = "static", [RIB_TRANSLATED] = "nat",
	[RIB_RUNTIME] = "runtime", [RIB_KERNEL] = "kernel",       [RIB_OSPF] = "ospf",     [RIB_BGP] = "bgp",
};

/* --- life --- */

static bool hash_init(struct rib_hash *h, uint32_t n)
{
	h->n_buckets = n;
	h->bucket = malloc(n * sizeof(*h->bucket));
	if (h->bucket != NULL)
		memset(h->bucket, 0xff, n * sizeof(*h->bucket)); /* RIB_NONE */
	return h->bucket != NULL;
}

struct rib *rib_create(enum rib_use use)
{
	struct rib *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->use = use;
	r->n_holders = 1;
	r->gateways = calloc(65536, sizeof(*r->gateways));
	if (r->gateways == NULL || !hash_init(&r->by_prefix, BUCKETS_MIN) || !hash_init(&r->by_exit, BUCKETS_MIN) ||
	    pool_init(&r->prefixes, PREFIXES_MAX, sizeof(struct rib_prefix), 8) != 0 ||
	    pool_init(&r->records, RECORDS_MAX, sizeof(struct rib_record), 4) != 0 ||
	    pool_init(&r->exits, EXITS_MAX, sizeof(struct rib_exit), 8) != 0) {
		rib_release(r);
		return NULL;
	}
	return r;
}

struct rib *rib_hold(struct rib *r)
{
	r->n_holders++;
	return r;
}

void rib_release(struct rib *r)
{
	if (r == NULL || --r->n_holders > 0)
		return;
	for (uint32_t i = 0; i < r->exits.n_fresh; i++) {
		free(rib_exit_at(r, i)->path);
		free(rib_exit_at(r, i)->way);
	}
	for (uint32_t i = 0; i < r->n_tables; i++)
		fib_destroy(r->table[i].fib);
	pool_fini(&r->exits);
	pool_fini(&r->records);
	pool_fini(&r->prefixes);
	free(r->by_prefix.bucket);
	free(r->by_exit.bucket);
	free(r->gateways);
	free(r->lost);
	free(r->is_dirty);
	free(r->dirty);
	free(r->table);
	free(r);
}

/* --- tables --- */

/* Its place, or where it would be. */
static uint32_t table_place(const struct rib *r, uint16_t zone)
{
	uint32_t lo = 0, hi = r->n_tables;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (r->table[mid].zone < zone)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct rib_table *rib_table_of(const struct rib *r, uint16_t zone)
{
	uint32_t i = table_place(r, zone);

	return i < r->n_tables && r->table[i].zone == zone ? &r->table[i] : NULL;
}

static struct rib_table *table_get(struct rib *r, uint16_t zone)
{
	uint32_t i = table_place(r, zone);
	struct rib_table *bigger, made = { .zone = zone };

	if (i < r->n_tables && r->table[i].zone == zone)
		return &r->table[i];
	bigger = realloc(r->table, (r->n_tables + 1) * sizeof(*bigger));
	if (bigger == NULL)
		return NULL;
	r->table = bigger;
	if (r->use == RIB_FORWARDS && (made.fib = fib_create()) == NULL)
		return NULL;
	for (uint32_t k = 0; k < 64 && made.fib != NULL; k++) {
		if (r->down >> k & 1)
			(void)fib_link(made.fib, k, false);
	}
	for (size_t k = 0; k < r->n_lost && made.fib != NULL; k++)
		(void)fib_neighbour(made.fib, r->lost[k].ifindex, &r->lost[k].addr, false);
	memmove(&r->table[i + 1], &r->table[i], (r->n_tables - i) * sizeof(*r->table));
	r->table[i] = made;
	r->n_tables++;
	return &r->table[i];
}

static void table_drop_unused(struct rib *r, struct rib_table *t)
{
	if (t->n_users > 0 || t->n_prefixes > 0)
		return;
	fib_destroy(t->fib);
	r->n_tables--;
	memmove(t, t + 1, (size_t)(&r->table[r->n_tables] - t) * sizeof(*t));
}

const struct fib *rib_fib_hold(struct rib *r, uint16_t zone)
{
	struct rib_table *t = table_get(r, zone);

	if (t == NULL)
		return NULL;
	t->n_users++;
	return t->fib;
}

void rib_fib_release(struct rib *r, uint16_t zone)
{
	struct rib_table *t = rib_table_of(r, zone);

	t->n_users--;
	table_drop_unused(r, t);
}

/* --- prefixes --- */

static uint32_t *prefix_bucket(const struct rib *r, uint64_t key)
{
	uint64_t h = key * UINT64_C(0x9e3779b97f4a7c15);

	return &r->by_prefix.bucket[(uint32_t)(h >> 32) & (r->by_prefix.n_buckets - 1)];
}

uint32_t rib_prefix_find(const struct rib *r, uint64_t key)
{
	uint32_t i = *prefix_bucket(r, key);

	while (i != RIB_NONE && rib_prefix_at(r, i)->key != key)
		i = rib_prefix_at(r, i)->hash_next;
	return i;
}

/* More buckets than prefixes; without memory the chains get longer. */
static void prefixes_grow(struct rib *r)
{
	struct rib_hash old = r->by_prefix, bigger;

	if (r->prefixes.n_used < old.n_buckets || !hash_init(&bigger, 2 * old.n_buckets))
		return;
	r->by_prefix = bigger;
	for (uint32_t i = 0; i < old.n_buckets; i++) {
		for (uint32_t next, k = old.bucket[i]; k != RIB_NONE; k = next) {
			uint32_t *head = prefix_bucket(r, rib_prefix_at(r, k)->key);

			next = rib_prefix_at(r, k)->hash_next;
			rib_prefix_at(r, k)->hash_next = *head;
			*head = k;
		}
	}
	free(old.bucket);
}

uint32_t rib_prefix_get(struct rib *r, uint64_t key)
{
	uint32_t i = rib_prefix_find(r, key);

	if (i != RIB_NONE)
		return i;
	prefixes_grow(r);
	i = pool_alloc(&r->prefixes);
	if (i == POOL_NONE)
		return RIB_NONE;
	struct rib_table *t = rib_table_of(r, rib_key_zone(key));
	uint32_t *head = prefix_bucket(r, key);

	*rib_prefix_at(r, i) = (struct rib_prefix){ .key = key, .first = RIB_NONE, .hash_next = *head };
	*head = i;
	t->n_prefixes++;
	t->n_of_len[key & 0xff]++;
	return i;
}

/* It has no routes and stands in no FIB. */
void rib_prefix_drop(struct rib *r, uint32_t prefix)
{
	uint64_t key = rib_prefix_at(r, prefix)->key;
	struct rib_table *t = rib_table_of(r, rib_key_zone(key));
	uint32_t *at = prefix_bucket(r, key);

	while (*at != prefix)
		at = &rib_prefix_at(r, *at)->hash_next;
	*at = rib_prefix_at(r, prefix)->hash_next;
	rib_prefix_at(r, prefix)->key = UINT64_MAX;
	pool_free(&r->prefixes, prefix);
	t->n_prefixes--;
	t->n_of_len[key & 0xff]--;
	table_drop_unused(r, t);
}

/* --- routes --- */

bool rib_is_of_link(const struct rib *r, const struct rib_record *x)
{
	const struct rib_exit *e = rib_exit_at(r, x->exit);
	const struct fib_nexthop *nh = &e->path[0].nexthop;

	return x->source == RIB_CONNECTED ||
	       (e->n == 1 && nh->kind == FIB_UNICAST && nh->gateway.v4 == 0 && nh->ifindex != 0);
}

static int compare_numbers(uint32_t a, uint32_t b)
{
	return a < b ? -1 : a > b;
}

/* Metrics of one source are comparable, and those of a command and of the config are: both are an operator's. */
static uint32_t metric_class(const struct rib_record *x)
{
	return x->source == RIB_RUNTIME ? RIB_STATIC : x->source;
}

/* Below 0: a goes first. */
static int compare(const struct rib *r, const struct rib_record *a, const struct rib_record *b)
{
	int order = compare_numbers(a->distance, b->distance);

	if (order == 0)
		order = compare_numbers(metric_class(a), metric_class(b));
	if (order == 0)
		order = compare_numbers(a->metric, b->metric);
	if (order == 0)
		order = compare_numbers(b->source, a->source);
	if (order == 0)
		order = rib_exit_compare(rib_exit_at(r, a->exit), rib_exit_at(r, b->exit));
	return order != 0 ? order : compare_numbers(a->instance, b->instance);
}

static void join_chain(struct rib *r, uint32_t prefix, uint32_t record)
{
	uint32_t *at = &rib_prefix_at(r, prefix)->first;

	while (*at != RIB_NONE && compare(r, rib_record_at(r, *at), rib_record_at(r, record)) < 0)
		at = &rib_record_at(r, *at)->next;
	rib_record_at(r, record)->next = *at;
	*at = record;
}

/* The link in the chain to the record of that source and instance; it leads to RIB_NONE when there is none. */
static uint32_t *find_record(const struct rib *r, uint32_t prefix, const struct rib_route *route)
{
	uint32_t *at = &rib_prefix_at(r, prefix)->first;

	while (*at != RIB_NONE &&
	       (rib_record_at(r, *at)->source != route->source || rib_record_at(r, *at)->instance != route->instance))
		at = &rib_record_at(r, *at)->next;
	return at;
}

bool rib_record_is_that(const struct rib *r, const struct rib_record *x, const struct rib_route *route)
{
	return x->distance == route->distance && x->metric == route->metric && rib_exit_is_that(r, x->exit, route);
}

static int add_record(struct rib *r, uint32_t prefix, const struct rib_route *route, uint32_t exit)
{
	uint32_t record = pool_alloc(&r->records);

	if (record == POOL_NONE)
		return -ENOMEM;
	*rib_record_at(r, record) = (struct rib_record){ .exit = exit,
							 .prefix = prefix,
							 .metric = route->metric,
							 .instance = route->instance,
							 .source = route->source,
							 .distance = route->distance };
	join_chain(r, prefix, record);
	r->n_of[route->source]++;
	return 0;
}

int rib_set(struct rib *r, const struct rib_route *route)
{
	uint32_t prefix, exit, *old;

	if (route->prefix.addr.family != IP_FAMILY_V4)
		return -EAFNOSUPPORT;
	if (table_get(r, route->zone) == NULL || (prefix = rib_prefix_get(r, rib_key_of(route))) == RIB_NONE)
		return -ENOMEM;
	old = find_record(r, prefix, route);
	if (*old != RIB_NONE && rib_record_is_that(r, rib_record_at(r, *old), route))
		return 0;
	if (!rib_note_reserve(r) || (exit = rib_exit_get(r, route)) == RIB_NONE)
		goto no_memory;
	uint32_t record = *old;

	if (record == RIB_NONE) {
		if (add_record(r, prefix, route, exit) != 0) {
			rib_exit_put(r, exit);
			goto no_memory;
		}
	} else {
		struct rib_record *x = rib_record_at(r, record);

		*old = x->next;
		rib_exit_put(r, x->exit);
		x->exit = exit;
		x->metric = route->metric;
		x->distance = route->distance;
		join_chain(r, prefix, record);
	}
	rib_note(r, prefix);
	return 0;

no_memory:
	if (rib_prefix_at(r, prefix)->first == RIB_NONE && !rib_is_noted(r, prefix))
		rib_prefix_drop(r, prefix);
	return -ENOMEM;
}

int rib_unset(struct rib *r, const struct rib_route *route)
{
	uint32_t prefix = rib_prefix_find(r, rib_key_of(route));
	uint32_t *at = prefix != RIB_NONE ? find_record(r, prefix, route) : NULL;

	if (at == NULL || *at == RIB_NONE)
		return -ENOENT;
	if (!rib_note_reserve(r))
		return -ENOMEM;
	uint32_t record = *at;

	*at = rib_record_at(r, record)->next;
	rib_exit_put(r, rib_record_at(r, record)->exit);
	pool_free(&r->records, record);
	r->n_of[route->source]--;
	rib_note(r, prefix);
	return 0;
}

/* --- readers --- */

const _Atomic(uint64_t) *rib_version(const struct rib *r)
{
	return &r->version;
}

const struct lost_hops *rib_lost_hops(const struct rib *r)
{
	return &r->told;
}

bool rib_grace_begin(struct rib *r)
{
	bool any = false;

	for (uint32_t i = 0; i < r->n_tables; i++) {
		any |= fib_waits(r->table[i].fib);
		r->table[i].grace = fib_grace_begin(r->table[i].fib);
	}
	return any;
}

void rib_grace_over(struct rib *r)
{
	for (uint32_t i = 0; i < r->n_tables; i++)
		fib_reclaim(r->table[i].fib, r->table[i].grace);
}
