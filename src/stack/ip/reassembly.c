/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A packet being put together is an entry: the key of RFC 791 (source,
 * destination, protocol, identification) and its fragments, sorted by offset in
 * a list that never overlaps. When the list begins at 0, has no gap and its end
 * is known, the packet is whole and a buffer of its size is filled from it.
 *
 * Entries stand in a hash by key and in a queue by age. All live equally long,
 * so the queue's head is the next to expire and the one that gives way when a
 * new packet needs a place. A fragment that overlaps what is there turns its
 * entry bad: what is held is dropped, and what still comes meets the bad entry
 * until its time is over.
 *
 * Fragments per source are counted in a small table by a keyed hash of the
 * address; sources that fall together share the bound.
 *
 * Next: src/stack/ip/local.c
 */
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "base/siphash.h"
#include "stack/ip/stack_priv.h"

#define SOURCES 1024u
#define PAYLOAD_MAX (65535u - IPV4_HEADER_LEN)

struct key {
	uint32_t src, dst;
	uint16_t id;
	uint8_t proto;
};

struct entry {
	struct key key;
	bool bad;       /* fragments overlapped */
	bool has_last;  /* total is known */
	uint32_t total; /* payload bytes */
	uint32_t have;  /* payload bytes held */
	uint32_t n_held;
	uint64_t deadline;
	struct packet *first; /* by offset, through packet.next */
	uint32_t hash_next;
	uint32_t older, newer;
};

struct reassembly {
	struct env *env;
	reassembly_timeout_fn *timeout;
	void *timeout_ctx;
	struct siphash_key hash_key;
	struct pool pool;
	uint32_t *bucket;
	uint32_t n_buckets; /* a power of two */
	uint32_t oldest, newest;
	uint32_t n_held, max_held, max_per_source;
	uint16_t per_source[SOURCES];
};

struct reassembly *reassembly_create(struct env *env, uint32_t n_packets, uint32_t n_fragments, uint32_t n_per_source,
				     reassembly_timeout_fn *fn, void *ctx)
{
	struct reassembly *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->env = env;
	r->timeout = fn;
	r->timeout_ctx = ctx;
	r->hash_key = (struct siphash_key){ rng_u64(&env->rng), rng_u64(&env->rng) };
	r->max_held = n_fragments;
	r->max_per_source = min_u32(n_per_source, UINT16_MAX);
	r->oldest = r->newest = POOL_NONE;
	for (r->n_buckets = 16; r->n_buckets < n_packets; r->n_buckets *= 2)
		;
	r->bucket = malloc(r->n_buckets * sizeof(*r->bucket));
	if (r->bucket == NULL || pool_init(&r->pool, n_packets, sizeof(struct entry), 64) != 0) {
		free(r->bucket);
		free(r);
		return NULL;
	}
	memset(r->bucket, 0xff, r->n_buckets * sizeof(*r->bucket));
	return r;
}

static struct entry *entry_at(const struct reassembly *r, uint32_t index)
{
	return pool_at(&r->pool, index);
}

static uint32_t bucket_of(const struct reassembly *r, const struct key *k)
{
	uint64_t h = siphash13_16(&r->hash_key, (uint64_t)k->src << 32 | k->dst, (uint64_t)k->id << 8 | k->proto);

	return (uint32_t)h & (r->n_buckets - 1);
}

static uint16_t *source_count(struct reassembly *r, uint32_t src)
{
	return &r->per_source[siphash13_16(&r->hash_key, src, 1) & (SOURCES - 1)];
}

/* Takes every fragment out of the entry and hands it to `end`. */
static void entry_empty(struct reassembly *r, struct entry *e,
			void (*end)(struct env *, struct packet *, enum drop_reason), enum drop_reason reason)
{
	while (e->first != NULL) {
		struct packet *p = e->first;

		e->first = p->next;
		p->next = NULL;
		end(r->env, p, reason);
	}
	r->n_held -= e->n_held;
	*source_count(r, e->key.src) -= (uint16_t)e->n_held;
	e->n_held = 0;
}

static void end_by_free(struct env *env, struct packet *p, enum drop_reason reason)
{
	packet_free(env->pool, p);
}

static void entry_remove(struct reassembly *r, uint32_t index)
{
	struct entry *e = entry_at(r, index);
	uint32_t *link = &r->bucket[bucket_of(r, &e->key)];

	while (*link != index)
		link = &entry_at(r, *link)->hash_next;
	*link = e->hash_next;
	*(e->older == POOL_NONE ? &r->oldest : &entry_at(r, e->older)->newer) = e->newer;
	*(e->newer == POOL_NONE ? &r->newest : &entry_at(r, e->newer)->older) = e->older;
	pool_free(&r->pool, index);
}

void reassembly_destroy(struct reassembly *r)
{
	if (r == NULL)
		return;
	while (r->oldest != POOL_NONE) {
		entry_empty(r, entry_at(r, r->oldest), end_by_free, DROP_FRAGMENT_TIMEOUT);
		entry_remove(r, r->oldest);
	}
	pool_fini(&r->pool);
	free(r->bucket);
	free(r);
}

static void drop_oldest(struct reassembly *r, enum drop_reason reason)
{
	entry_empty(r, entry_at(r, r->oldest), env_drop, reason);
	entry_remove(r, r->oldest);
}

/* The entry of k, made if need be. */
static uint32_t entry_get(struct reassembly *r, const struct key *k)
{
	uint32_t *head = &r->bucket[bucket_of(r, k)];

	for (uint32_t i = *head; i != POOL_NONE; i = entry_at(r, i)->hash_next) {
		const struct key *o = &entry_at(r, i)->key;

		if (o->src == k->src && o->dst == k->dst && o->id == k->id && o->proto == k->proto)
			return i;
	}
	if (r->pool.n_used == r->pool.cap)
		drop_oldest(r, DROP_FRAGMENT_LIMIT);
	uint32_t index = pool_alloc(&r->pool);
	struct entry *e = entry_at(r, index);

	*e = (struct entry){ .key = *k,
			     .deadline = r->env->now + REASSEMBLY_TIMEOUT_NS,
			     .hash_next = *head,
			     .older = r->newest,
			     .newer = POOL_NONE };
	*head = index;
	*(r->newest == POOL_NONE ? &r->oldest : &entry_at(r, r->newest)->newer) = index;
	r->newest = index;
	return index;
}

enum place {
	PLACE_OK,
	PLACE_DUPLICATE, /* exactly this fragment is there already */
	PLACE_OVERLAP,
	PLACE_TOO_BIG,
};

/* Links p into the entry's list where its offset says. */
static enum place entry_place(struct entry *e, struct packet *p)
{
	uint32_t begin = p->ip.frag_off, end = begin + packet_l4_len(p);
	struct packet **link = &e->first;

	if (end > PAYLOAD_MAX)
		return PLACE_TOO_BIG;
	while (*link != NULL && (*link)->ip.frag_off + packet_l4_len(*link) <= begin)
		link = &(*link)->next;
	if (*link != NULL && (*link)->ip.frag_off < end) {
		bool same = (*link)->ip.frag_off == begin && packet_l4_len(*link) == end - begin &&
			    (*link)->ip.mf == p->ip.mf;

		return same ? PLACE_DUPLICATE : PLACE_OVERLAP;
	}
	/* A second end, or bytes behind the end: a lie like an overlap. */
	if (e->has_last && (end > e->total || (!p->ip.mf && end != e->total)))
		return PLACE_OVERLAP;
	if (!p->ip.mf && !e->has_last && *link != NULL)
		return PLACE_OVERLAP;
	if (!p->ip.mf) {
		e->has_last = true;
		e->total = end;
	}
	p->next = *link;
	*link = p;
	e->have += end - begin;
	return PLACE_OK;
}

/* The largest ECN mark of the fragments holds for the whole (RFC 3168 section 5.3). */
static uint8_t merged_tos(const struct entry *e)
{
	uint8_t tos = e->first->ip.tos;

	for (const struct packet *p = e->first; p != NULL; p = p->next) {
		if ((p->ip.tos & 3) == 3)
			tos |= 3;
	}
	return tos;
}

/* All fragments are there: one packet out of them. NULL without a buffer; the
 * fragments are dropped then. */
static struct packet *entry_merge(struct reassembly *r, struct entry *e)
{
	struct packet *first = e->first;
	uint32_t n = e->n_held;
	struct packet *whole = NULL;

	if (first->ip.header_len + e->total <= UINT16_MAX)
		whole = packet_alloc(r->env->pool, first->l3_off + first->ip.header_len + e->total);
	if (whole == NULL) {
		entry_empty(r, e, env_drop,
			    first->ip.header_len + e->total > UINT16_MAX ? DROP_FRAGMENT_TOO_BIG : DROP_NO_BUFFER);
		return NULL;
	}
	whole->in_ifindex = first->in_ifindex;
	whole->out_ifindex = first->out_ifindex;
	whole->to_us = first->to_us;
	whole->link_group = first->link_group;
	whole->is_broadcast = first->is_broadcast;
	whole->mark = first->mark;
	whole->zone = first->zone;
	whole->path = PACKET_PATH_NONE;
	whole->ct_info = first->ct_info;
	whole->conn_ref = first->conn_ref;
	whole->conn_unconfirmed = first->conn_unconfirmed;
	first->conn_unconfirmed = false; /* the connection goes on with the whole packet */
	packet_revalidate_conn(r->env->pool, whole);
	whole->l3_off = first->l3_off;
	whole->l4_off = first->l4_off;
	whole->options = first->options;
	memcpy(packet_frame(whole), packet_frame(first), (size_t)first->l3_off + first->ip.header_len);
	for (struct packet *p = first; p != NULL; p = p->next)
		memcpy(packet_l4(whole) + p->ip.frag_off, packet_l4(p), packet_l4_len(p));
	whole->ip = first->ip;
	whole->ip.tos = merged_tos(e);
	whole->ip.total_len = (uint16_t)(first->ip.header_len + e->total);
	whole->ip.mf = false;
	whole->ip.df = false;
	ipv4_set_tos(packet_l3(whole), whole->ip.tos);
	ipv4_set_fragment(packet_l3(whole), whole->ip.total_len, 0, false, false);
	entry_empty(r, e, end_by_free, DROP_FRAGMENT_TIMEOUT);
	r->env->ledger.n_merged += n - 1;
	return whole;
}

static struct packet *whole_check(struct reassembly *r, struct packet *whole)
{
	enum l4_error err = l4_parse(&whole->ip, packet_l4(whole), packet_l4_len(whole), &whole->l4);

	if (err == L4_OK)
		return whole;
	env_drop(r->env, whole, ip_drop_of_l4(err));
	return NULL;
}

struct packet *reassembly_input(struct reassembly *r, struct packet *frag)
{
	struct key k = { frag->ip.src, frag->ip.dst, frag->ip.id, frag->ip.proto };
	uint16_t *of_source = source_count(r, k.src);

	if (r->n_held >= r->max_held || *of_source >= r->max_per_source) {
		env_drop(r->env, frag, DROP_FRAGMENT_LIMIT);
		return NULL;
	}
	if (!packet_copy_on_hold(r->env->pool, frag)) {
		env_drop(r->env, frag, DROP_NO_BUFFER);
		return NULL;
	}
	uint32_t index = entry_get(r, &k);
	struct entry *e = entry_at(r, index);
	enum place place = e->bad ? PLACE_OVERLAP : entry_place(e, frag);

	if (place != PLACE_OK) {
		static const uint16_t reason[] = {
			[PLACE_DUPLICATE] = DROP_FRAGMENT_DUPLICATE,
			[PLACE_OVERLAP] = DROP_FRAGMENT_OVERLAP,
			[PLACE_TOO_BIG] = DROP_FRAGMENT_TOO_BIG,
		};

		env_drop(r->env, frag, (enum drop_reason)reason[place]);
		if (place != PLACE_DUPLICATE) {
			e->bad = true;
			entry_empty(r, e, env_drop, (enum drop_reason)reason[place]);
		}
		return NULL;
	}
	frag->held_since = r->env->now;
	/* By the time it goes on, that number might be another connection's. */
	packet_get_conn(r->env->pool, frag);
	e->n_held++;
	r->n_held++;
	(*of_source)++;
	if (!e->has_last || e->have != e->total)
		return NULL;
	struct packet *whole = entry_merge(r, e);

	entry_remove(r, index);
	return whole == NULL ? NULL : whole_check(r, whole);
}

void reassembly_expire(struct reassembly *r)
{
	while (r->oldest != POOL_NONE && entry_at(r, r->oldest)->deadline <= r->env->now) {
		struct entry *e = entry_at(r, r->oldest);

		if (e->first != NULL && e->first->ip.frag_off == 0)
			r->timeout(r->timeout_ctx, e->first);
		drop_oldest(r, DROP_FRAGMENT_TIMEOUT);
	}
}

uint64_t reassembly_next_deadline(const struct reassembly *r)
{
	return r->oldest == POOL_NONE ? TIME_NEVER : entry_at(r, r->oldest)->deadline;
}

uint32_t reassembly_n_held(const struct reassembly *r)
{
	return r->n_held;
}
