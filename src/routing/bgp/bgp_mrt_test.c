/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A table that is dumped, and taken in again from what was written.
 */
#include "routing/bgp/bgp_mrt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/util.h"
#include "stack/wire/bgp_fixture.h"

#define N_SOURCES 5u
#define N_PREFIXES 300u
#define NOW_S 1000u
#define UTC_S 1700000000u

static const struct siphash_key key = { 3, 4 };

static struct bgp_source source_of(uint32_t i)
{
	return (struct bgp_source){ .kind = BGP_EXTERNAL, .id = 100 + i, .addr = IP4(10, 9, 0, 11) + i };
}

/* Number 3 is nobody's that is told of. */
static bool peer_of(void *user, uint32_t source, struct mrt_peer *out)
{
	if (source >= N_SOURCES || source == 3)
		return false;
	*out = (struct mrt_peer){ true, 100 + source, IP4(10, 9, 0, 11) + source, 65001 + source };
	return true;
}

static struct bgp_table *table_with_sources(void)
{
	static const struct bgp_table_limits limits = { .prefixes = 1024, .paths = 4096, .set_bytes = 1 << 20 };
	struct bgp_table *t;

	assert_int_equal(bgp_table_create(&t, &limits, BGP_MED_SAME_AS, &key), 0);
	for (uint32_t i = 0; i < N_SOURCES; i++) {
		struct bgp_source s = source_of(i);

		assert_int_equal(bgp_table_add_source(t, &s), i);
	}
	return t;
}

static void take(struct bgp_table *t, uint32_t source, const uint8_t *p, size_t len, uint32_t now_s)
{
	static struct bgp_update u;
	struct bgp_wire w = bgp_fixture_wire();
	struct bgp_error e;

	w.any_first_as = true;
	assert_int_equal(bgp_update_parse(&w, p, len, &u, &e), BGP_ACCEPT);
	bgp_table_update(t, source, &u, BGP_ACCEPT, now_s);
}

static struct ip4_prefix prefix_of(uint32_t i)
{
	uint8_t len = (uint8_t)(8 + i % 25);

	return (struct ip4_prefix){ (IP4(11, 0, 0, 0) + i * 0x01010101u) & ip4_mask(len), len };
}

static void fill(struct bgp_table *t, struct rng *rng)
{
	for (uint32_t n = 0; n < 3 * N_PREFIXES; n++) {
		uint8_t attrs[] = { 0x40, 1, 1,  0, 0x40, 2,  6,    2, 1, 0, 0, 0xfd, 0, 0x40,
				    3,    4, 10, 9, 0,    11, 0x80, 4, 4, 0, 0, 0,    0 };
		uint32_t i = rng_below(rng, N_PREFIXES), source = rng_below(rng, N_SOURCES);
		struct mrt_entry e = { .attrs = attrs, .attrs_len = sizeof(attrs) };
		uint8_t p[BGP_MESSAGE_MAX];

		attrs[12] = (uint8_t)rng_below(rng, 20);
		attrs[26] = (uint8_t)rng_below(rng, 3);
		take(t, source, p, bgp_mrt_update(p, prefix_of(i), &e), NOW_S + n % 7);
	}
}

/* Room that just fits the longest record, and a budget that is soon over, so that a dump has many slices. */
static uint8_t room[BGP_MRT_ROOM_MIN];

struct loaded {
	struct bgp_table *t;
	uint32_t n_records, n_peers, source[N_SOURCES]; /* by its place in the index table */
};

static void load(struct loaded *l, const uint8_t *p, size_t len)
{
	for (size_t at = 0; at < len;) {
		struct mrt_header h = mrt_header_parse(p + at);
		struct mrt_entry e;
		struct mrt_rib r;
		uint8_t message[BGP_MESSAGE_MAX];

		assert_int_equal(h.subtype, MRT_RIB_IPV4_UNICAST);
		assert_int_equal(h.time_s, UTC_S);
		assert_true(mrt_rib_parse(p + at + MRT_HEADER_LEN, h.len, &r));
		assert_int_equal(r.seq, l->n_records++);
		for (uint32_t i = 0; i < r.n_entries; i++) {
			assert_true(mrt_rib_next(&r, &e));
			assert_true(e.peer < l->n_peers);
			assert_in_range(e.since_s, UTC_S, UTC_S + 6);
			take(l->t, l->source[e.peer], message, bgp_mrt_update(message, r.prefix, &e),
			     e.since_s - UTC_S + NOW_S);
		}
		at += MRT_HEADER_LEN + h.len;
	}
}

/* Every path but those of the source that is left out; returns how many. */
static uint32_t same_paths(const struct bgp_table *a, const struct bgp_table *b, struct ip4_prefix prefix)
{
	struct bgp_prefix_view x, y;
	uint32_t n = 0;

	bgp_table_look(a, prefix, &x);
	bgp_table_look(b, prefix, &y);
	for (uint32_t i = 0; i < x.n; i++) {
		uint32_t k = 0;

		if (x.path[i].source == 3)
			continue;
		while (k < y.n && y.path[k].source != x.path[i].source)
			k++;
		assert_true(k < y.n);
		const struct bgp_set *s = bgp_table_set(a, x.path[i].received),
				     *z = bgp_table_set(b, y.path[k].received);

		assert_int_equal(s->len, z->len);
		assert_memory_equal(s->bytes, z->bytes, s->len);
		assert_int_equal(x.path[i].since_s, y.path[k].since_s);
		n++;
	}
	assert_int_equal(n, y.n);
	return n;
}

/* Would catch: a path that is left out, twice, or another's; times and numbers that are not as they should be; a slice
 * that loses or repeats a prefix. */
static void test_there_and_back(void **state)
{
	static const uint8_t seed[RNG_SEED_BYTES] = "a dump";
	struct bgp_table *t = table_with_sources();
	struct loaded l = { .t = table_with_sources() };
	struct bgp_mrt_dump d;
	struct mrt_peers peers;
	struct mrt_peer peer;
	struct rng rng;
	bool more = true;
	uint32_t n_slices = 0, n_paths = 0;

	rng_init(&rng, seed);
	fill(t, &rng);
	size_t len = bgp_mrt_begin(&d, t, 42, "", UTC_S, NOW_S, peer_of, NULL, room, sizeof(room));

	assert_true(len > 0 && mrt_peers_parse(room + MRT_HEADER_LEN, len - MRT_HEADER_LEN, &peers));
	assert_int_equal(peers.collector, 42);
	assert_int_equal(peers.n_peers, N_SOURCES - 1);
	for (; l.n_peers < peers.n_peers; l.n_peers++) {
		assert_true(mrt_peers_next(&peers, &peer));
		assert_int_equal(peer.as, 65001 + peer.id - 100);
		l.source[l.n_peers] = peer.id - 100;
	}
	for (; more; n_slices++) {
		len = bgp_mrt_next(&d, room, sizeof(room), 7, &more);
		load(&l, room, len);
	}
	assert_true(n_slices > 20);
	for (uint32_t i = 0; i < N_PREFIXES; i++)
		n_paths += same_paths(t, l.t, prefix_of(i));
	assert_true(n_paths > 300);
	assert_int_equal(d.n_paths, n_paths);
	assert_int_equal(d.n_prefixes, l.n_records);
	bgp_table_destroy(t);
	bgp_table_destroy(l.t);
}

/* Would catch: a message that is longer than BGP has. */
static void test_too_long(void **state)
{
	static const uint8_t many[BGP_MESSAGE_MAX];
	uint8_t p[BGP_MESSAGE_MAX];
	struct mrt_entry e = { .attrs = many, .attrs_len = BGP_MESSAGE_MAX - BGP_HEADER_LEN - 4 - 5 };

	assert_int_equal(bgp_mrt_update(p, (struct ip4_prefix){ 1, 32 }, &e), BGP_MESSAGE_MAX);
	e.attrs_len++;
	assert_int_equal(bgp_mrt_update(p, (struct ip4_prefix){ 1, 32 }, &e), 0);
	assert_int_equal(bgp_mrt_update(p, (struct ip4_prefix){ 0, 24 }, &e), BGP_MESSAGE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
