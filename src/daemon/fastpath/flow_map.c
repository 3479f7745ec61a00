/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The writer of the table that the kernel's program reads while it is written.
 *
 * A bucket is eight tags and eight references; a flow is found where the tag of
 * its hash stands in a bucket of its chain. A chain is a home bucket and a few
 * overflow buckets behind it, which come from a pool and go back when empty. An
 * entry never moves: a reader that walks the chain meanwhile would miss it.
 *
 * The order of writes is what keeps a reader from ever being wrong:
 *   insert   version odd, a new one; the fields; version even; then the reference; last the tag.
 *   rewrite  version odd; the fields; version even.
 *   remove   the tag; then version odd, which it stays until the next insert.
 * A reader copies what it needs between two looks at the version. Equal and even,
 * the copy is whole; and since it holds the packet's own addresses, it is this
 * packet's flow, however stale the reference was that led here. The version is
 * 16 bits: 32,768 writes would have to fit between the two looks. It is the next of
 * the whole map each time, so that the stamp of a packet (layout.h) is never taken for
 * one of what its connection's flow is now.
 *
 * Fields are stored with release order, each of them: none is seen before the
 * odd version is. (A fence would say the same, but ThreadSanitizer knows none.)
 *
 * The program's own fields of a flow are only written here while nobody can find
 * it, and but for the TCP marks never: its counters run on from one connection to
 * the next, so a program that was late is not overwritten, only counted late.
 *
 * Several threads may write. A word in the home bucket, which no reader looks at,
 * is the chain's lock; the pool of overflow buckets has one of its own.
 */
#include "daemon/fastpath/flow_map.h"

#include <assert.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define LOAD_OWN(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)

struct flow_map {
	struct fastpath_maps maps;
	uint16_t version;        /* of the last write; even */
	uint32_t lock;           /* of what follows */
	uint32_t n_free;         /* entries on free_overflow */
	uint32_t n_fresh;        /* overflow buckets from here on were never used */
	uint32_t *free_overflow; /* numbers of overflow buckets */
};

static void lock(uint32_t *word)
{
	while (__atomic_exchange_n(word, 1, __ATOMIC_ACQUIRE) != 0)
		sched_yield();
}

static void unlock(uint32_t *word)
{
	__atomic_store_n(word, 0, __ATOMIC_RELEASE);
}

static uint32_t *chain_lock(struct fp_bucket *home)
{
	return &home->reserved[0];
}

struct flow_map *flow_map_create(const struct fastpath_maps *maps, const uint8_t key[16])
{
	struct flow_map *m = calloc(1, sizeof(*m));

	assert(maps->n_home > 0 && (maps->n_home & (maps->n_home - 1)) == 0);
	if (m == NULL)
		return NULL;
	m->maps = *maps;
	m->free_overflow = calloc(maps->n_overflow > 0 ? maps->n_overflow : 1, sizeof(uint32_t));
	if (m->free_overflow == NULL) {
		free(m);
		return NULL;
	}
	uint64_t words[2];
	memcpy(words, key, sizeof(words));
	/* The arrays are zero: every bucket is empty. */
	STORE(maps->config->key[0], words[0]);
	STORE(maps->config->key[1], words[1]);
	STORE(maps->config->bucket_mask, maps->n_home - 1);
	STORE(maps->config->on, 1);
	return m;
}

void flow_map_destroy(struct flow_map *m)
{
	if (m == NULL)
		return;
	STORE(m->maps.config->on, 0);
	free(m->free_overflow);
	free(m);
}

/* --- overflow buckets --- */

/* Number of an empty one + 1, 0 when there is none. */
static uint32_t overflow_take(struct flow_map *m)
{
	uint32_t number = 0;

	lock(&m->lock);
	if (m->n_free > 0)
		number = m->free_overflow[--m->n_free] + 1;
	else if (m->n_fresh < m->maps.n_overflow)
		number = ++m->n_fresh;
	unlock(&m->lock);
	return number;
}

static void overflow_give(struct flow_map *m, uint32_t number)
{
	lock(&m->lock);
	m->free_overflow[m->n_free++] = number - 1;
	unlock(&m->lock);
}

static struct fp_bucket *overflow_bucket(const struct flow_map *m, uint32_t number)
{
	return &m->maps.bucket[m->maps.n_home + number - 1];
}

/* --- buckets --- */

static uint64_t hash_of(const struct flow_map *m, const struct fp_flow *f)
{
	const __u64 key[2] = { m->maps.config->key[0], m->maps.config->key[1] };

	return fp_hash_flow(key, f->src_be, f->dst_be, f->sport_be, f->dport_be, f->proto, f->in_port);
}

static struct fp_bucket *home_of(const struct flow_map *m, uint64_t hash)
{
	return &m->maps.bucket[fp_bucket_of(hash, m->maps.n_home - 1)];
}

static bool put(struct fp_bucket *b, uint16_t tag, uint32_t ref)
{
	for (uint32_t i = 0; i < FP_BUCKET_SLOTS; i++) {
		if (LOAD_OWN(b->tag[i]) != 0)
			continue;
		STORE(b->ref[i], ref);
		STORE(b->tag[i], tag);
		return true;
	}
	return false;
}

static bool chain_put(struct flow_map *m, struct fp_bucket *home, uint16_t tag, uint32_t ref)
{
	struct fp_bucket *b = home;
	uint32_t length = 1;

	while (!put(b, tag, ref)) {
		uint32_t next = LOAD_OWN(b->next);
		if (next == 0) {
			if (length == FP_CHAIN_MAX || (next = overflow_take(m)) == 0)
				return false;
			struct fp_bucket *fresh = overflow_bucket(m, next);
			STORE(fresh->next, 0);
			put(fresh, tag, ref);
			STORE(b->next, next);
			return true;
		}
		b = overflow_bucket(m, next);
		length++;
	}
	return true;
}

static bool is_empty(const struct fp_bucket *b)
{
	for (uint32_t i = 0; i < FP_BUCKET_SLOTS; i++)
		if (LOAD_OWN(b->tag[i]) != 0)
			return false;
	return true;
}

static void chain_take(struct flow_map *m, struct fp_bucket *home, uint16_t tag, uint32_t ref)
{
	struct fp_bucket *before = NULL;
	uint32_t number = 0;

	for (struct fp_bucket *b = home;; b = overflow_bucket(m, number)) {
		for (uint32_t i = 0; i < FP_BUCKET_SLOTS; i++) {
			if (LOAD_OWN(b->tag[i]) != tag || LOAD_OWN(b->ref[i]) != ref)
				continue;
			STORE(b->tag[i], 0);
			if (before != NULL && is_empty(b)) {
				/* Its `next` stays for whoever stands in it. */
				STORE(before->next, LOAD_OWN(b->next));
				overflow_give(m, number);
			}
			return;
		}
		before = b;
		number = LOAD_OWN(b->next);
		if (number == 0)
			break;
	}
	assert(!"a flow that was linked is in its chain");
}

static bool link_flow(struct flow_map *m, uint32_t ref)
{
	uint64_t hash = hash_of(m, &m->maps.flow[ref]);
	struct fp_bucket *home = home_of(m, hash);

	lock(chain_lock(home));
	bool ok = chain_put(m, home, fp_tag_of(hash), ref);
	unlock(chain_lock(home));
	return ok;
}

static void unlink_flow(struct flow_map *m, uint32_t ref)
{
	uint64_t hash = hash_of(m, &m->maps.flow[ref]);
	struct fp_bucket *home = home_of(m, hash);

	lock(chain_lock(home));
	chain_take(m, home, fp_tag_of(hash), ref);
	unlock(chain_lock(home));
}

/* --- flows --- */

/* A version that no flow of the map has, or had lately. */
static uint16_t next_version(struct flow_map *m)
{
	return __atomic_add_fetch(&m->version, 2, __ATOMIC_RELAXED);
}

static void begin_write(struct fp_flow *f, uint16_t version)
{
	STORE(f->version, (uint16_t)(version - 1));
}

static void end_write(struct fp_flow *f, uint16_t version)
{
	STORE(f->version, version);
}

/* Until it is written. */
static void shut(struct fp_flow *f)
{
	uint16_t version = LOAD_OWN(f->version);

	if ((version & 1) == 0)
		STORE(f->version, (uint16_t)(version + 1));
}

static void write_tuple(struct fp_flow *f, const struct fp_flow *from)
{
	STORE(f->src_be, from->src_be);
	STORE(f->dst_be, from->dst_be);
	STORE(f->sport_be, from->sport_be);
	STORE(f->dport_be, from->dport_be);
	STORE(f->proto, from->proto);
	STORE(f->in_port, from->in_port);
}

static void write_way(struct fp_flow *f, const struct fp_flow *from)
{
	STORE(f->new_src_be, from->new_src_be);
	STORE(f->new_dst_be, from->new_dst_be);
	STORE(f->new_sport_be, from->new_sport_be);
	STORE(f->new_dport_be, from->new_dport_be);
	STORE(f->ip_delta, from->ip_delta);
	STORE(f->l4_delta, from->l4_delta);
	STORE(f->adjacency, from->adjacency);
	STORE(f->generation, from->generation);
	STORE(f->handled, from->handled);
}

static void write_marks(struct fp_flow *f, const struct fp_flow *from)
{
	STORE(f->tcp_end, from->tcp_end);
	STORE(f->tcp_ack, from->tcp_ack);
	STORE(f->tcp_win, from->tcp_win);
}

bool flow_map_insert(struct flow_map *m, uint32_t slot, const struct fp_flow half[2])
{
	uint16_t version = next_version(m);

	/* Both before either can be found: a reader of one looks at the other's marks. */
	for (unsigned dir = 0; dir < 2; dir++) {
		struct fp_flow *f = flow_map_flow(&m->maps, slot, dir);
		begin_write(f, version);
		write_tuple(f, &half[dir]);
		write_way(f, &half[dir]);
		write_marks(f, &half[dir]);
		end_write(f, version);
	}
	if (!link_flow(m, slot << 1))
		goto none;
	if (half[1].proto != 0 && !link_flow(m, slot << 1 | 1))
		goto first;
	return true;
first:
	unlink_flow(m, slot << 1);
none:
	for (unsigned dir = 0; dir < 2; dir++)
		shut(flow_map_flow(&m->maps, slot, dir));
	return false;
}

void flow_map_rewrite(struct flow_map *m, uint32_t slot, const struct fp_flow half[2])
{
	uint16_t version = next_version(m);

	for (unsigned dir = 0; dir < 2; dir++) {
		struct fp_flow *f = flow_map_flow(&m->maps, slot, dir);
		begin_write(f, version);
		write_way(f, &half[dir]);
		end_write(f, version);
	}
}

void flow_map_remove(struct flow_map *m, uint32_t slot)
{
	for (unsigned dir = 0; dir < 2; dir++) {
		if (flow_map_flow(&m->maps, slot, dir)->proto != 0)
			unlink_flow(m, slot << 1 | dir);
		shut(flow_map_flow(&m->maps, slot, dir));
	}
}

bool flow_map_same(const struct flow_map *m, uint32_t slot, const struct fp_flow half[2])
{
	for (unsigned dir = 0; dir < 2; dir++) {
		const struct fp_flow *f = flow_map_flow(&m->maps, slot, dir);
		if (f->src_be != half[dir].src_be || f->dst_be != half[dir].dst_be ||
		    f->sport_be != half[dir].sport_be || f->dport_be != half[dir].dport_be ||
		    f->proto != half[dir].proto || f->in_port != half[dir].in_port)
			return false;
	}
	return true;
}
