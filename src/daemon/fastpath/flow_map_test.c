/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/fastpath/flow_map.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "daemon/fastpath/program_model.h"
#include "stack/wire/wire_test.h"

#define N_HALVES 2

/* ThreadSanitizer makes each access many times dearer. */
#if defined(__SANITIZE_THREAD__)
#define N_MANY 50000
#else
#define N_MANY 1000000
#endif

static const uint8_t key[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

struct fixture {
	struct fastpath_maps maps;
	struct flow_map *map;
};

static void open_fixture(struct fixture *w, uint32_t n_connections, uint32_t n_home, uint32_t n_overflow)
{
	model_maps(&w->maps, n_connections, n_home, n_overflow, 4);
	w->maps.adjacency[0] =
		(struct fp_adjacency){ .how = FP_EGRESS_REDIRECT, .ifindex = 7, .mtu = 1500, .generation = 1 };
	w->map = flow_map_create(&w->maps, key);
	assert_non_null(w->map);
}

static void close_fixture(struct fixture *w)
{
	flow_map_destroy(w->map);
	model_maps_free(&w->maps);
}

/* Connection i: 10.x.x.x:1000 -> 8.8.8.8:53, translated to 9.9.9.9. What it becomes names it too, so that a mixture
 * of two connections can be told. */
static void halves(uint32_t i, uint32_t salt, struct fp_flow half[N_HALVES])
{
	uint32_t inside = htonl(0x0a000000 + i), outside = htonl(0x08080808), ours = htonl(0x09090909 + salt);

	half[0] = (struct fp_flow){ .src_be = inside,
				    .dst_be = outside,
				    .sport_be = htons(1000),
				    .dport_be = htons(53),
				    .proto = IPPROTO_UDP,
				    .in_port = 1,
				    .new_src_be = ours,
				    .new_dst_be = outside,
				    .new_sport_be = htons((uint16_t)i),
				    .new_dport_be = htons((uint16_t)salt),
				    .ip_delta = (uint16_t)(i + salt),
				    .l4_delta = (uint16_t)(i ^ salt),
				    .generation = 1 };
	half[1] = (struct fp_flow){ .src_be = outside,
				    .dst_be = inside,
				    .sport_be = htons(53),
				    .dport_be = htons(1000),
				    .proto = IPPROTO_UDP,
				    .in_port = 2,
				    .new_src_be = outside,
				    .new_dst_be = ours,
				    .new_sport_be = htons((uint16_t)i),
				    .new_dport_be = htons((uint16_t)salt),
				    .ip_delta = (uint16_t)(i + salt),
				    .l4_delta = (uint16_t)(i ^ salt),
				    .generation = 1 };
}

static struct model_packet packet_of(uint32_t i, unsigned dir)
{
	struct model_packet p = { .proto = IPPROTO_UDP, .len = 60, .port = (uint8_t)(dir + 1) };
	uint32_t inside = 0x0a000000 + i;

	p.src = dir == 0 ? inside : 0x08080808;
	p.dst = dir == 0 ? 0x08080808 : inside;
	p.sport = dir == 0 ? 1000 : 53;
	p.dport = dir == 0 ? 53 : 1000;
	return p;
}

static bool insert(struct fixture *w, uint32_t slot, uint32_t i)
{
	struct fp_flow half[N_HALVES];

	halves(i, 0, half);
	return flow_map_insert(w->map, slot, half);
}

static struct fp_flow *find(struct fixture *w, uint32_t i, unsigned dir)
{
	struct model_packet p = packet_of(i, dir);
	uint16_t version;

	return model_find(&w->maps, &p, &version);
}

/* Would catch: a direction that is not found, one that is found from the other port, one that stays after removal. */
static void test_both_directions(void **state)
{
	struct fixture w;
	struct model_packet p = packet_of(5, 0);
	uint16_t version;

	open_fixture(&w, 16, 16, 4);
	assert_null(find(&w, 5, 0));
	assert_true(insert(&w, 3, 5));
	assert_ptr_equal(find(&w, 5, 0), &w.maps.flow[6]);
	assert_ptr_equal(find(&w, 5, 1), &w.maps.flow[7]);
	assert_int_equal(w.maps.flow[6].version & 1, 0);
	p.port = 2;
	assert_null(model_find(&w.maps, &p, &version));
	flow_map_remove(w.map, 3);
	assert_null(find(&w, 5, 0));
	assert_null(find(&w, 5, 1));
	assert_int_equal(w.maps.flow[6].version & 1, 1);
	close_fixture(&w);
}

/* Would catch: a lost entry or a wrong reference at the load that the loader's sizes give, and a cost that grows. */
static void test_a_million(void **state)
{
	enum { N = N_MANY };
	struct fixture w;

	open_fixture(&w, N, 1u << 19, 1u << 16);
	for (uint32_t i = 0; i < N; i++)
		assert_true(insert(&w, i, i));
	for (uint32_t i = 0; i < N; i += 7)
		assert_ptr_equal(find(&w, i, i & 1), &w.maps.flow[2 * (uint64_t)i + (i & 1)]);
	for (uint32_t i = 0; i < N; i += 2)
		flow_map_remove(w.map, i);
	for (uint32_t i = 0; i < N; i += 7)
		assert_true((find(&w, i, 1) != NULL) == (i & 1));
	/* Into the holes, under other names. */
	for (uint32_t i = 0; i < N; i += 2)
		assert_true(insert(&w, i, N + i));
	for (uint32_t i = 0; i < N; i += 14)
		assert_ptr_equal(find(&w, N + i, 0), &w.maps.flow[2 * (uint64_t)i]);
	for (uint32_t i = 0; i < N; i++)
		flow_map_remove(w.map, i);
	for (uint32_t b = 0; b < w.maps.n_home; b++)
		assert_int_equal(w.maps.bucket[b].next, 0);
	close_fixture(&w);
}

/* One home bucket: chains grow to their bound and no further, and overflow buckets come back.
 * Would catch: a chain longer than the program reads, half a connection left behind, a leak of overflow buckets. */
static void test_chain_full(void **state)
{
	enum { ROOM = FP_CHAIN_MAX * FP_BUCKET_SLOTS / 2 };
	struct fixture w;

	open_fixture(&w, 2 * ROOM, 1, 8);
	for (int round = 0; round < 5; round++) {
		for (uint32_t i = 0; i < ROOM; i++)
			assert_true(insert(&w, i, i));
		assert_false(insert(&w, ROOM, ROOM));
		assert_null(find(&w, ROOM, 0));
		for (uint32_t i = 0; i < ROOM; i++)
			assert_non_null(find(&w, i, 1));
		for (uint32_t i = 0; i < ROOM; i++)
			flow_map_remove(w.map, round & 1 ? ROOM - 1 - i : i);
		assert_int_equal(w.maps.bucket[0].next, 0);
	}
	/* A place for one direction only: the connection is not in at all. */
	for (uint32_t i = 0; i < ROOM; i++)
		assert_true(insert(&w, i, i));
	w.maps.bucket[0].tag[0] = 0;
	assert_false(insert(&w, ROOM, ROOM));
	assert_null(find(&w, ROOM, 0));
	close_fixture(&w);
}

/* Would catch: a reader that believes a record while it is written or after it was removed. */
static void test_torn(void **state)
{
	struct fixture w;
	struct model_packet p = packet_of(1, 0);
	struct fp_flow out, half[N_HALVES];

	open_fixture(&w, 4, 4, 0);
	assert_true(insert(&w, 0, 1));
	assert_int_equal(model_run(&w.maps, &p, 0, &out), FP_FORWARDED);
	assert_int_equal(p.src, 0x09090909);
	/* In the middle of a rewrite. */
	w.maps.flow[0].version++;
	p = packet_of(1, 0);
	assert_int_equal(model_run(&w.maps, &p, 0, &out), FP_UP_STALE);
	assert_int_equal(p.src, 0x0a000001);
	w.maps.flow[0].version++;
	halves(1, 4, half);
	flow_map_rewrite(w.map, 0, half);
	assert_int_equal(model_run(&w.maps, &p, 0, &out), FP_FORWARDED);
	assert_int_equal(p.src, 0x0909090d);
	/* A stale bucket leads to a slot that is another connection's by now. */
	struct fp_bucket *b = &w.maps.bucket[0];
	for (uint32_t i = 0; i < w.maps.n_home; i++)
		for (int k = 0; k < FP_BUCKET_SLOTS; k++)
			if (w.maps.bucket[i].tag[k] != 0 && w.maps.bucket[i].ref[k] == 0)
				b = &w.maps.bucket[i];
	struct fp_bucket before = *b;
	flow_map_remove(w.map, 0);
	assert_true(insert(&w, 0, 2));
	*b = before;
	p = packet_of(1, 0);
	assert_int_equal(model_run(&w.maps, &p, 0, &out), FP_UP_NO_FLOW);
	close_fixture(&w);
}

/* Would catch: a new generation that a reader does not see; a flow that is same and is said not to be. */
static void test_generation(void **state)
{
	struct fixture w;
	struct model_packet p = packet_of(1, 0);
	struct fp_flow out, half[N_HALVES];

	open_fixture(&w, 4, 4, 0);
	assert_true(insert(&w, 0, 1));
	w.maps.adjacency[0].generation++;
	assert_int_equal(model_run(&w.maps, &p, 0, &out), FP_UP_STALE);
	halves(1, 9, half);
	assert_true(flow_map_same(w.map, 0, half));
	half[1].sport_be ^= 1;
	assert_false(flow_map_same(w.map, 0, half));
	flow_map_destroy(w.map);
	assert_int_equal(w.maps.config->on, 0);
	model_maps_free(&w.maps);
}

/* --- readers at the same time --- */

#define N_RACE 64u

struct reader {
	struct fixture *w;
	bool stop;
	uint64_t n_forwarded, n_wrong;
};

static void *read_all(void *arg)
{
	struct reader *r = arg;

	for (uint32_t n = 0; !__atomic_load_n(&r->stop, __ATOMIC_RELAXED); n++) {
		uint32_t i = n % N_RACE;
		struct model_packet p = packet_of(i, n / N_RACE & 1);
		struct fp_flow out;
		if (model_run(&r->w->maps, &p, 0, &out) != FP_FORWARDED)
			continue;
		uint32_t salt = p.dport;
		r->n_forwarded++;
		r->n_wrong += p.sport != i || out.ip_delta != (uint16_t)(i + salt) ||
			      out.l4_delta != (uint16_t)(i ^ salt) ||
			      (n / N_RACE & 1 ? p.dst : p.src) != 0x09090909 + salt;
	}
	return NULL;
}

/* Readers never act on a mixture of two records, nor on another connection's, while flows come, change, go, and
 * others take their slots. Would catch: a missing barrier, a tag before its reference, a version that is not raised;
 * under ThreadSanitizer also any plain access. */
static void test_concurrent(void **state)
{
	enum { ROUNDS = 10000, N_SLOTS = 16 };
	struct fixture w;
	struct fp_flow half[N_HALVES];
	int32_t in[N_SLOTS];
	uint32_t x = 1;
	pthread_t thread;

	open_fixture(&w, N_SLOTS, 4, 8);
	struct reader r = { .w = &w };
	assert_int_equal(pthread_create(&thread, NULL, read_all, &r), 0);
	memset(in, -1, sizeof(in));
	for (uint32_t n = 0; n < ROUNDS || __atomic_load_n(&w.maps.flow[0].packets, __ATOMIC_RELAXED) == 0; n++) {
		x = x * 1664525 + 1013904223;
		uint32_t slot = x >> 16 & (N_SLOTS - 1), i = x >> 24 & (N_RACE - 1);
		bool taken = false;
		for (uint32_t s = 0; s < N_SLOTS; s++)
			taken |= in[s] == (int32_t)i;
		if (in[slot] >= 0 && (x & 0x300)) {
			halves((uint32_t)in[slot], n & 0xfff, half);
			flow_map_rewrite(w.map, slot, half);
		} else if (in[slot] >= 0) {
			flow_map_remove(w.map, slot);
			in[slot] = -1;
		} else if (!taken) {
			halves(i, n & 0xfff, half);
			in[slot] = flow_map_insert(w.map, slot, half) ? (int32_t)i : -1;
		}
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_true(r.n_forwarded > 0);
	assert_int_equal(r.n_wrong, 0);
	close_fixture(&w);
}

struct writer {
	struct fixture *w;
	uint32_t first;
};

static void *write_some(void *arg)
{
	struct writer *wr = arg;

	for (uint32_t n = 0; n < 500; n++) {
		for (uint32_t i = 0; i < 8; i++)
			insert(wr->w, wr->first + i, wr->first + i);
		for (uint32_t i = 0; i < 8; i++)
			flow_map_remove(wr->w->map, wr->first + i);
	}
	return NULL;
}

/* Two workers write at the same time. Would catch: a chain or the pool of overflow buckets that loses an entry. */
static void test_two_writers(void **state)
{
	struct fixture w;
	pthread_t thread[2];

	open_fixture(&w, 16, 1, 8);
	struct writer writer[2] = { { &w, 0 }, { &w, 8 } };
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, write_some, &writer[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < FP_BUCKET_SLOTS; i++)
		assert_int_equal(w.maps.bucket[0].tag[i], 0);
	assert_int_equal(w.maps.bucket[0].next, 0);
	for (uint32_t i = 0; i < 16; i++)
		assert_true(insert(&w, i, i));
	close_fixture(&w);
}

/* Flows as they are met with: ports of one host, hosts of a net, nets, answers to a gateway. */
static uint64_t hash_of_kind(const __u64 hash_key[2], uint32_t kind, uint32_t i)
{
	switch (kind) {
	case 0:
		return fp_hash_flow(hash_key, htonl(0x0a4d0002), htonl(0xcb0071fe), htons((uint16_t)i), htons(443), 6,
				    1);
	case 1:
		return fp_hash_flow(hash_key, htonl(0x0a000000 + i), htonl(0x08080808), htons(40000), htons(53), 17, 1);
	case 2:
		return fp_hash_flow(hash_key, htonl(0x0a000001 + (i << 8)), htonl(0x08080808), htons(40000), htons(53),
				    17, 1);
	case 3:
		return fp_hash_flow(hash_key, htonl(0xc6120000 + i % 256), htonl(0xcb007101), htons(53),
				    htons((uint16_t)(1024 + i / 4)), 17, 2);
	default:
		return fp_hash_flow(hash_key, htonl(0x64400000 + i % 1024), htonl(0xc6120000 + i / 1024),
				    htons((uint16_t)(i * 7)), htons(80), 6, 1);
	}
}

static uint64_t square(int64_t x)
{
	return (uint64_t)(x * x);
}

/* Would catch: flows that differ in a few bits of one field in the same bucket, or of the same tag, under any key. */
static void test_hash_spreads(void **state)
{
	enum { N = 65536, N_BUCKETS = 16384 };
	static uint32_t load[N_BUCKETS], tags[0x10000];
	struct rng rng = test_rng(3);

	for (uint32_t turn = 0; turn < 60; turn++) {
		__u64 hash_key[2] = { rng_u64(&rng), rng_u64(&rng) };
		/* Keys that are as weak as can be, too. */
		if (turn < 5)
			hash_key[0] = hash_key[1] = 0;
		else if (turn < 10)
			hash_key[0] = hash_key[1] = UINT64_MAX;
		memset(load, 0, sizeof(load));
		memset(tags, 0, sizeof(tags));
		for (uint32_t i = 0; i < N; i++) {
			uint64_t h = hash_of_kind(hash_key, turn % 5, i);
			load[fp_bucket_of(h, N_BUCKETS - 1)]++;
			tags[fp_tag_of(h)]++;
		}
		/* Four to a bucket and one to a tag, as by chance: the sum of squared deviations is about N. */
		uint64_t buckets = 0, of_tags = 0;
		for (uint32_t i = 0; i < N_BUCKETS; i++)
			buckets += square((int64_t)load[i] - 4);
		for (uint32_t i = 1; i < 0x10000; i++)
			of_tags += square((int64_t)tags[i] - 1);
		assert_in_range(buckets, N * 9 / 10, N * 11 / 10);
		assert_in_range(of_tags, N * 9 / 10, N * 11 / 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_directions), cmocka_unit_test(test_a_million),
		cmocka_unit_test(test_chain_full),      cmocka_unit_test(test_torn),
		cmocka_unit_test(test_generation),      cmocka_unit_test(test_concurrent),
		cmocka_unit_test(test_two_writers),     cmocka_unit_test(test_hash_spreads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
