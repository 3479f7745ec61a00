/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Virtual reassembly: fragments of packets in transit are followed, not put
 * together. The first fragment has the ports; the others go where it went, each as
 * it came, translated.
 *
 * Life of an entry: the first fragment to arrive of a packet, whichever it is, makes
 * one, named by source, destination, protocol, identification and zone. A later
 * fragment that comes before the first is held in it. The first fragment passes, and
 * sets those free: they follow right behind it. An entry lives 30 seconds (RFC
 * 1122 section 3.3.2 has 60 to 120 for hosts; a router between them need not
 * wait as long), or until a newer one needs its place.
 *
 * Two bitmaps, one bit per eight bytes, say what has come and where a fragment
 * began. So any overlap is seen, whatever the order: then all of the packet is
 * refused, what is held and what is still to come (RFC 5722, RFC 1858 section 4).
 * An exact repetition of a fragment is no overlap; networks do that.
 *
 * What the rules and the TCP tracker made of the first fragment stands in the entry
 * for the others, which find it by its index and serial number: a fragment in the
 * middle of its way has other addresses than it came with.
 *
 * Bounds: entries and held fragments in all; fragments held in one entry; fragments held
 * of one source (by a hashed counter, so two sources may share one, at worst).
 *
 * Protocols other than TCP, UDP and ICMP need no first fragment: they have no ports.
 *
 * RFC 791 section 3.2, RFC 1858, RFC 3128, RFC 4787 REQ-14, RFC 5722.
 *
 * Next: src/gateway/conntrack/hooks.c
 */
#include "gateway/conntrack/fragment.h"

#include <stdlib.h>

#define NIL UINT32_MAX
#define ENTRY_LIFE_NS (30 * NS_PER_S)
#define HELD_PER_ENTRY 64
/* One source may hold this part of all. */
#define SOURCE_SHARE 4
#define SOURCE_COUNTERS 256
#define UNITS (65536 / 8)
#define UNIT_WORDS (UNITS / 64)

struct key {
	uint32_t src, dst;
	uint16_t id, zone;
	uint32_t proto;
};
_Static_assert(sizeof(struct key) == 16, "hashed as 16 bytes");

struct entry {
	struct key key;
	uint32_t chain;        /* next in the bucket, index or NIL */
	uint32_t older, newer; /* in the order of creation */
	uint32_t bucket;
	uint64_t deadline;
	uint32_t end;     /* bytes in all, 0: not known yet */
	uint32_t n_units; /* that have come */
	bool refused, has_first, has_id_out;
	uint16_t id_out; /* identification behind NAT */
	uint32_t n_held;
	struct packet *held, *held_last;
	struct ct_fragment_first first;
	struct ct_fragment_walk walk;
	uint32_t serial; /* of this entry among all that there were */
	uint64_t came[UNIT_WORDS];
	uint64_t began[UNIT_WORDS];
};

struct ct_fragments {
	struct pool pool;
	uint32_t *bucket;
	uint32_t n_buckets;
	uint32_t oldest, newest;
	uint32_t n_held, max_held;
	uint32_t held_of[SOURCE_COUNTERS];
	struct packet *ready, *ready_last;
	uint32_t last_serial;
	struct siphash_key key;
};

struct ct_fragments *ct_fragments_create(struct env *env, uint32_t n)
{
	struct ct_fragments *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->n_buckets = n;
	f->max_held = n;
	f->oldest = f->newest = NIL;
	f->key = (struct siphash_key){ rng_u64(&env->rng), rng_u64(&env->rng) };
	f->bucket = malloc(n * sizeof(*f->bucket));
	if (f->bucket == NULL)
		goto free_f;
	if (pool_init(&f->pool, n, sizeof(struct entry), _Alignof(struct entry)) != 0)
		goto free_bucket;
	for (uint32_t i = 0; i < n; i++)
		f->bucket[i] = NIL;
	return f;

free_bucket:
	free(f->bucket);
free_f:
	free(f);
	return NULL;
}

static struct entry *entry_at(const struct ct_fragments *f, uint32_t index)
{
	return pool_at(&f->pool, index);
}

static uint32_t *source_counter(struct ct_fragments *f, uint32_t src)
{
	return &f->held_of[siphash13_16(&f->key, src, 0) % SOURCE_COUNTERS];
}

/* Takes the fragments out of an entry, as a list. */
static struct packet *take_held(struct ct_fragments *f, struct entry *e, struct packet **last)
{
	struct packet *first = e->held;

	*last = e->held_last;
	f->n_held -= e->n_held;
	*source_counter(f, e->key.src) -= e->n_held;
	e->held = e->held_last = NULL;
	e->n_held = 0;
	return first;
}

static void drop_held(struct ct_fragments *f, struct env *env, struct entry *e, enum drop_reason reason)
{
	struct packet *last, *next;

	for (struct packet *p = take_held(f, e, &last); p != NULL; p = next) {
		next = p->next;
		p->next = NULL;
		env_drop(env, p, reason);
	}
}

static void entry_end(struct ct_fragments *f, struct env *env, uint32_t index, enum drop_reason reason)
{
	struct entry *e = entry_at(f, index);
	uint32_t *link = &f->bucket[e->bucket];

	drop_held(f, env, e, reason);
	while (*link != index)
		link = &entry_at(f, *link)->chain;
	*link = e->chain;
	if (e->older == NIL)
		f->oldest = e->newer;
	else
		entry_at(f, e->older)->newer = e->newer;
	if (e->newer == NIL)
		f->newest = e->older;
	else
		entry_at(f, e->newer)->older = e->older;
	e->serial = 0;
	pool_free(&f->pool, index);
}

void ct_fragments_destroy(struct ct_fragments *f, struct env *env)
{
	if (f == NULL)
		return;
	while (f->oldest != NIL)
		entry_end(f, env, f->oldest, DROP_FRAGMENT_TIMEOUT);
	for (struct packet *p = ct_fragment_ready(f); p != NULL; p = ct_fragment_ready(f))
		env_drop(env, p, DROP_FRAGMENT_TIMEOUT);
	pool_fini(&f->pool);
	free(f->bucket);
	free(f);
}

static struct key key_of(const struct packet *p, uint16_t zone)
{
	return (struct key){ .src = p->ip.src, .dst = p->ip.dst, .id = p->ip.id, .zone = zone, .proto = p->ip.proto };
}

static uint32_t bucket_of(const struct ct_fragments *f, const struct key *k)
{
	uint64_t m[2];

	memcpy(m, k, sizeof(m));
	return (uint32_t)(siphash13_16(&f->key, m[0], m[1]) % f->n_buckets);
}

static uint32_t entry_find(const struct ct_fragments *f, const struct key *k, uint32_t bucket)
{
	uint32_t i = f->bucket[bucket];

	while (i != NIL && memcmp(&entry_at(f, i)->key, k, sizeof(*k)) != 0)
		i = entry_at(f, i)->chain;
	return i;
}

static uint32_t entry_make(struct ct_fragments *f, struct env *env, const struct key *k, uint32_t bucket)
{
	uint32_t index = pool_alloc(&f->pool);

	if (index == POOL_NONE) {
		entry_end(f, env, f->oldest, DROP_FRAGMENT_LIMIT);
		index = pool_alloc(&f->pool);
	}
	struct entry *e = entry_at(f, index);
	memset(e, 0, sizeof(*e));
	e->key = *k;
	f->last_serial += f->last_serial == UINT32_MAX ? 2 : 1;
	e->serial = f->last_serial;
	e->bucket = bucket;
	e->deadline = env->now + ENTRY_LIFE_NS;
	e->chain = f->bucket[bucket];
	f->bucket[bucket] = index;
	e->older = f->newest;
	e->newer = NIL;
	if (f->newest == NIL)
		f->oldest = index;
	else
		entry_at(f, f->newest)->newer = index;
	f->newest = index;
	return index;
}

static bool bit(const uint64_t *map, uint32_t i)
{
	return i < UNITS && (map[i / 64] >> (i % 64) & 1) != 0;
}

enum fit { FIT_NEW, FIT_AGAIN, FIT_OVERLAP };

/* Units from..to-1 of a packet; `last` says that nothing comes behind. */
static enum fit fit_of(const struct entry *e, uint32_t from, uint32_t to)
{
	uint32_t n_there = 0, n_begins = 0;

	for (uint32_t i = from; i < to; i++) {
		n_there += bit(e->came, i);
		n_begins += bit(e->began, i);
	}
	if (n_there == 0)
		return FIT_NEW;
	bool whole = n_there == to - from && n_begins == 1 && bit(e->began, from);
	return whole && (!bit(e->came, to) || bit(e->began, to)) ? FIT_AGAIN : FIT_OVERLAP;
}

/* Anything beyond the end? */
static bool came_behind(const struct entry *e, uint32_t unit)
{
	for (uint32_t w = unit / 64; w < UNIT_WORDS; w++) {
		uint64_t m = e->came[w];
		if (w == unit / 64)
			m &= ~UINT64_C(0) << (unit % 64);
		if (m != 0)
			return true;
	}
	return false;
}

/* Notes that the fragment has come. False when it cannot be a part of the packet. */
static bool note_fragment(struct entry *e, const struct packet *p)
{
	uint32_t len = packet_l4_len(p), from = p->ip.frag_off / 8u;
	uint32_t stop = p->ip.frag_off + len, to = (stop + 7) / 8;

	if (to > UNITS)
		return false;
	if (!p->ip.mf) {
		if ((e->end != 0 && e->end != stop) || came_behind(e, to < UNITS ? to : UNITS - 1))
			return false;
	} else if (e->end != 0 && stop > e->end) {
		return false;
	}
	switch (fit_of(e, from, to)) {
	case FIT_OVERLAP:
		return false;
	case FIT_AGAIN:
		return true;
	case FIT_NEW:
		break;
	}
	if (!p->ip.mf)
		e->end = stop;
	for (uint32_t i = from; i < to; i++)
		e->came[i / 64] |= UINT64_C(1) << (i % 64);
	if (from < UNITS)
		e->began[from / 64] |= UINT64_C(1) << (from % 64);
	e->n_units += to - from;
	return true;
}

static bool is_complete(const struct entry *e)
{
	return e->end != 0 && e->n_units == (e->end + 7) / 8;
}

static void hold(struct ct_fragments *f, struct env *env, struct entry *e, struct packet *p)
{
	uint32_t *of_source = source_counter(f, e->key.src);

	if (e->n_held >= HELD_PER_ENTRY || f->n_held >= f->max_held ||
	    *of_source >= max_u32(f->max_held / SOURCE_SHARE, 1)) {
		packet_set_drop(p, DROP_FRAGMENT_LIMIT);
		return;
	}
	if (!packet_copy_on_hold(env->pool, p)) {
		packet_set_drop(p, DROP_NO_BUFFER);
		return;
	}
	p->next = NULL;
	p->held_since = max_u64(env->now, 1);
	if (e->held == NULL)
		e->held = p;
	else
		e->held_last->next = p;
	e->held_last = p;
	e->n_held++;
	f->n_held++;
	++*of_source;
	p->verdict = VERDICT_STOLEN;
}

static void set_ready(struct ct_fragments *f, struct entry *e)
{
	struct packet *last, *first = take_held(f, e, &last);

	if (first == NULL)
		return;
	if (f->ready == NULL)
		f->ready = first;
	else
		f->ready_last->next = first;
	f->ready_last = last;
}

static void set_datagram(const struct ct_fragments *f, struct packet *p, uint32_t index)
{
	if (index == NIL)
		return;
	p->datagram = index;
	p->datagram_serial = entry_at(f, index)->serial;
}

void ct_fragment_arrive(struct ct_fragments *f, struct env *env, struct packet *p, uint16_t zone)
{
	struct key k = key_of(p, zone);
	uint32_t bucket = bucket_of(f, &k);

	p->datagram_serial = 0;
	if (!l4_needs_header(p->ip.proto))
		return;
	uint32_t index = entry_find(f, &k, bucket);
	/* One that was held comes in again: it has been judged. */
	if (p->held_since != 0) {
		set_datagram(f, p, index);
		return;
	}
	/* All of that packet has passed: this is another one with the same identification, or a repetition. */
	if (index != NIL && is_complete(entry_at(f, index))) {
		entry_end(f, env, index, DROP_FRAGMENT_LIMIT);
		index = NIL;
	}
	if (index == NIL)
		index = entry_make(f, env, &k, bucket);
	struct entry *e = entry_at(f, index);
	if (e->refused || !note_fragment(e, p)) {
		e->refused = true;
		drop_held(f, env, e, DROP_FRAGMENT_OVERLAP);
		packet_set_drop(p, DROP_FRAGMENT_OVERLAP);
		return;
	}
	set_datagram(f, p, index);
	if (p->ip.frag_off == 0) {
		e->has_first = true;
		set_ready(f, e);
	} else if (!e->has_first) {
		hold(f, env, e, p);
	}
}

struct packet *ct_fragment_ready(struct ct_fragments *f)
{
	struct packet *p = f->ready;

	if (p != NULL) {
		f->ready = p->next;
		p->next = NULL;
	}
	return p;
}

bool ct_fragments_has_ready(const struct ct_fragments *f)
{
	return f->ready != NULL;
}

void ct_fragment_judge(struct ct_fragments *f, const struct packet *p, uint16_t zone,
		       const struct ct_fragment_first *first)
{
	struct key k = key_of(p, zone);
	uint32_t index = entry_find(f, &k, bucket_of(f, &k));

	if (index != NIL)
		entry_at(f, index)->first = *first;
}

/* The entry that p named when it arrived. */
static struct entry *entry_of(const struct ct_fragments *f, const struct packet *p)
{
	if (p->datagram_serial == 0 || p->datagram >= f->pool.n_fresh)
		return NULL;
	struct entry *e = entry_at(f, p->datagram);

	return e->serial == p->datagram_serial ? e : NULL;
}

uint32_t ct_fragment_whole_len(const struct ct_fragments *f, const struct packet *p)
{
	const struct entry *e = entry_of(f, p);

	return e == NULL ? 0 : e->end;
}

struct ct_fragment_walk *ct_fragment_walk(struct ct_fragments *f, const struct packet *p)
{
	struct entry *e = entry_of(f, p);

	return e == NULL ? NULL : &e->walk;
}

struct ct_fragment_first ct_fragment_first_of(struct ct_fragments *f, const struct packet *p, uint16_t zone)
{
	struct key k = key_of(p, zone);
	uint32_t index = entry_find(f, &k, bucket_of(f, &k));

	if (index == NIL)
		return (struct ct_fragment_first){ .fate = CT_FRAGMENT_UNKNOWN };
	return entry_at(f, index)->first;
}

bool ct_fragment_identify(struct ct_fragments *f, const struct packet *p, uint32_t key_src, uint32_t key_dst,
			  uint16_t zone, uint16_t *fresh)
{
	struct key k = key_of(p, zone);

	k.src = key_src;
	k.dst = key_dst;
	uint32_t index = entry_find(f, &k, bucket_of(f, &k));
	if (index == NIL)
		return false;
	struct entry *e = entry_at(f, index);
	if (!e->has_id_out)
		e->id_out = *fresh;
	e->has_id_out = true;
	*fresh = e->id_out;
	return true;
}

void ct_fragments_expire(struct ct_fragments *f, struct env *env)
{
	while (f->oldest != NIL && entry_at(f, f->oldest)->deadline <= env->now)
		entry_end(f, env, f->oldest, DROP_FRAGMENT_TIMEOUT);
}

uint64_t ct_fragments_deadline(const struct ct_fragments *f)
{
	return f->oldest == NIL ? TIME_NEVER : entry_at(f, f->oldest)->deadline;
}

uint32_t ct_fragments_n_held(const struct ct_fragments *f)
{
	return f->n_held;
}
