/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The connection table: from a tuple's place, which its hash says, to a reference
 * (index << 1 | direction). It knows nothing of connections: whoever looks something up says
 * which of the references with the right tag is the one.
 */
#ifndef YG_GATEWAY_CONNTRACK_TABLE_H
#define YG_GATEWAY_CONNTRACK_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/pool.h"
#include "base/util.h"

#define CT_BUCKET_SLOTS 8

/* One cache line. */
struct ct_bucket {
	uint16_t tag[CT_BUCKET_SLOTS]; /* 0: the slot is free */
	uint32_t ref[CT_BUCKET_SLOTS];
	uint32_t next; /* number of an overflow bucket + 1, 0: none */
	uint32_t reserved[3];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct ct_bucket) == 64, "one cache line");

struct ct_table {
	struct pool home;         /* used as an array */
	struct ct_bucket *bucket; /* of home, by number */
	struct pool overflow;
	uint32_t n_buckets;
	uint32_t n_entries;
};

/* For n_entries references. 0 or -ENOMEM. */
int ct_table_init(struct ct_table *t, uint32_t n_entries);
void ct_table_fini(struct ct_table *t);

/* Where the reference of a hash stands: the number of its bucket << 32, and its tag. Reckoned once, since each step of
 * a look-up wants both. */
typedef uint64_t ct_place;

static inline ct_place ct_table_place(const struct ct_table *t, uint64_t hash)
{
	uint64_t number = (hash >> 32) * t->n_buckets >> 32;

	return number << 32 | ((uint16_t)hash == 0 ? 1 : (uint16_t)hash);
}

/* With the number of its bucket a reference is taken out again without its hash. */
static inline uint32_t ct_place_number(ct_place place)
{
	return (uint32_t)(place >> 32);
}

static inline uint16_t ct_place_tag(ct_place place)
{
	return (uint16_t)place;
}

static inline struct ct_bucket *ct_table_bucket(const struct ct_table *t, ct_place place)
{
	return &t->bucket[ct_place_number(place)];
}

static inline const struct ct_bucket *ct_table_next(const struct ct_table *t, const struct ct_bucket *b)
{
	return b->next == 0 ? NULL : pool_at(&t->overflow, b->next - 1);
}

static inline void ct_table_prefetch(const struct ct_table *t, ct_place place)
{
	prefetch_read(ct_table_bucket(t, place));
}

/* Eight tags in one vector register of any machine that has them, and what a slot is told apart by: a byte. */
typedef uint16_t ct_tags __attribute__((vector_size(2 * CT_BUCKET_SLOTS)));
typedef uint8_t ct_slot_bytes __attribute__((vector_size(CT_BUCKET_SLOTS)));

/* Some of the slots of a bucket: a byte each, 1 or 0, in the machine's order; m & (m - 1) takes out that of ct_slot. */
#define CT_ALL_SLOTS UINT64_C(0x0101010101010101)

/* One of them; there is one. */
static inline uint32_t ct_slot(uint64_t slots)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (uint32_t)__builtin_ctzll(slots) / 8;
#else
	return CT_BUCKET_SLOTS - 1 - (uint32_t)__builtin_ctzll(slots) / 8;
#endif
}

/* The slots with this tag. */
static inline uint64_t ct_bucket_match(const struct ct_bucket *b, uint16_t tag)
{
	uint64_t slots;
	ct_tags tags;

	memcpy(&tags, b->tag, sizeof(tags));
	tags = (ct_tags)(tags == tag) & 1;
	ct_slot_bytes byte = __builtin_convertvector(tags, ct_slot_bytes);
	memcpy(&slots, &byte, sizeof(slots));
	return slots;
}

/* False when there is no room: no free slot and no overflow bucket left. */
bool ct_table_insert(struct ct_table *t, ct_place place, uint32_t ref);
/* Out of the bucket of this number. True when it was there. */
bool ct_table_remove(struct ct_table *t, uint32_t number, uint32_t ref);

#endif
