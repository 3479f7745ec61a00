/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The yardstick's loop and its table: eight tags and references in a cache line,
 * five entries a bucket when full, as in src/gateway/conntrack/table.c. It is written out
 * here so that it stays what it is while the gateway changes; the parse and the
 * hash are those of src/stack/wire and src/base.
 */
#include "yardstick.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLOTS 8
#define ENTRIES_PER_BUCKET 5

struct bucket {
	uint16_t tag[SLOTS];
	uint32_t ref[SLOTS];
	uint32_t spare[4];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct bucket) == 64, "one cache line");

typedef uint16_t tags __attribute__((vector_size(2 * SLOTS)));

struct yardstick {
	struct siphash_key key;
	uint32_t n_buckets;
	struct bucket *bucket;
};

static inline uint64_t hash_of(const struct siphash_key *key, const struct tuple *t)
{
	uint64_t m[2];

	memcpy(m, t, sizeof(m));
	return siphash13_16(key, m[0], m[1]);
}

static inline struct bucket *bucket_of(const struct yardstick *y, uint64_t hash)
{
	return &y->bucket[(hash >> 32) * y->n_buckets >> 32];
}

static inline uint16_t tag_of(uint64_t hash)
{
	return (uint16_t)(hash | 1);
}

/* The slots with this tag, a bit each: all at once. */
static inline uint32_t match(const struct bucket *b, uint16_t tag)
{
	static const tags bit = { 1, 2, 4, 8, 16, 32, 64, 128 };
	uint64_t half[2];
	tags t;

	memcpy(&t, b->tag, sizeof(t));
	t = (tags)(t == tag) & bit;
	memcpy(half, &t, sizeof(half));
	half[0] |= half[1];
	half[0] |= half[0] >> 32;
	return (uint32_t)(half[0] | half[0] >> 16) & 0xff;
}

static void insert(struct yardstick *y, const struct tuple *t, uint32_t ref)
{
	uint64_t hash = hash_of(&y->key, t);
	struct bucket *b = bucket_of(y, hash);

	for (uint32_t i = 0; i < SLOTS; i++) {
		if (b->tag[i] != 0)
			continue;
		b->tag[i] = tag_of(hash);
		b->ref[i] = ref;
		return;
	}
}

struct yardstick *yardstick_new(const struct fixture *r, uint32_t capacity)
{
	struct yardstick *y = calloc(1, sizeof(*y));

	if (y == NULL)
		abort();
	y->key = (struct siphash_key){ 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	y->n_buckets = 2 * capacity / ENTRIES_PER_BUCKET + 1;
	y->bucket = mmap(NULL, y->n_buckets * sizeof(struct bucket), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (y->bucket == MAP_FAILED)
		abort();
	for (uint64_t flow = 0; flow < r->n_flows; flow++) {
		struct tuple t = fixture_flow_tuple(r, flow, FIXTURE_LAN);

		insert(y, &t, (uint32_t)flow << 1);
		t = fixture_flow_tuple(r, flow, FIXTURE_WAN);
		insert(y, &t, (uint32_t)flow << 1 | 1);
	}
	return y;
}

void yardstick_free(struct yardstick *y)
{
	munmap(y->bucket, y->n_buckets * sizeof(struct bucket));
	free(y);
}

static uint32_t run_batch(const struct yardstick *y, const struct fixture *r, uint32_t first)
{
	uint64_t hash[BATCH_MAX];
	uint32_t n_found = 0;

	for (uint32_t i = 0; i < BATCH_MAX; i++) {
		const uint8_t *l3 = fixture_frame_at(r, first + i) + ETHER_HEADER_LEN;
		struct ipv4_view ip;
		struct l4_view l4;

		hash[i] = 0;
		if (ipv4_parse(l3, FIXTURE_FRAME_BYTES - ETHER_HEADER_LEN, &ip) != IPV4_OK ||
		    l4_parse(&ip, l3 + ip.header_len, ip.total_len - ip.header_len, &l4) != L4_OK)
			continue;
		struct tuple t = {
			.src = ip.src, .dst = ip.dst, .sport = l4.sport, .dport = l4.dport, .proto = ip.proto
		};
		hash[i] = hash_of(&y->key, &t);
		__builtin_prefetch(bucket_of(y, hash[i]));
	}
	for (uint32_t i = 0; i < BATCH_MAX; i++) {
		const struct bucket *b = bucket_of(y, hash[i]);
		uint16_t tag = tag_of(hash[i]);
		uint32_t m = match(b, tag);

		n_found += m != 0 && b->ref[__builtin_ctz(m)] != UINT32_MAX;
	}
	return n_found;
}

uint32_t yardstick_run(struct yardstick *y, const struct fixture *r)
{
	uint32_t n_found = 0;

	for (uint32_t i = 0; i < FIXTURE_BATCHES; i++)
		n_found += run_batch(y, r, i * BATCH_MAX);
	return n_found;
}
