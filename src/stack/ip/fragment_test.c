/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Cutting and putting together, each against the other, on a pool whose number
 * of packets in use must obey the law of conservation at the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/ip4.h"
#include "stack/ip/fragment.h"
#include "stack/ip/reassembly.h"

struct fixture {
	struct env env;
	struct reassembly *r;
	uint32_t n_timeouts;
};

static void on_timeout(void *ctx, struct packet *first)
{
	struct fixture *b = ctx;

	assert_int_equal(first->ip.frag_off, 0);
	b->n_timeouts++;
}

static void fixture_start(struct fixture *b, uint32_t n_packets, uint32_t n_fragments, uint32_t n_per_source)
{
	static const struct packet_pool_config pool = { .n_packets = 300, .n_small = 300, .n_large = 8 };
	static const uint8_t seed[RNG_SEED_BYTES] = { 7 };

	memset(b, 0, sizeof(*b));
	b->env.pool = packet_pool_create(&pool);
	rng_init(&b->env.rng, seed);
	b->r = reassembly_create(&b->env, n_packets, n_fragments, n_per_source, on_timeout, b);
	assert_non_null(b->r);
}

static void fixture_end(struct fixture *b)
{
	assert_int_equal(ledger_expected_held(&b->env.ledger), packet_pool_used(b->env.pool));
	assert_int_equal(reassembly_n_held(b->r), packet_pool_used(b->env.pool));
	reassembly_destroy(b->r);
	assert_int_equal(packet_pool_used(b->env.pool), 0);
	packet_pool_destroy(b->env.pool);
}

/* A UDP packet from 10.0.0.<host>, payload a running number. */
static struct packet *make(struct fixture *b, uint8_t host, uint16_t id, uint32_t payload, uint8_t n_option_bytes)
{
	uint8_t header_len = (uint8_t)(IPV4_HEADER_LEN + n_option_bytes);
	struct packet *p = packet_alloc(b->env.pool, ETHER_HEADER_LEN + header_len + UDP_HEADER_LEN + payload);

	assert_non_null(p);
	b->env.ledger.n_originated++;
	memset(packet_frame(p), 0, p->len);
	p->l3_off = ETHER_HEADER_LEN;
	p->l4_off = (uint16_t)(ETHER_HEADER_LEN + header_len);
	p->ip = (struct ipv4_view){ .src = IP4(10, 0, 0, host),
				    .dst = IP4(10, 0, 1, 1),
				    .proto = IPPROTO_NR_UDP,
				    .ttl = 9,
				    .id = id,
				    .header_len = IPV4_HEADER_LEN,
				    .total_len = (uint16_t)(header_len + UDP_HEADER_LEN + payload) };
	ipv4_emit(packet_l3(p), &p->ip);
	if (n_option_bytes > 0) {
		/* one option that is copied (router alert), one that is not (timestamp), an end */
		static const uint8_t options[12] = { 148, 4, 0, 0, 68, 4, 5, 0, 0 };

		memcpy(packet_l3(p) + IPV4_HEADER_LEN, options, sizeof(options));
		p->ip.header_len = header_len;
		ipv4_set_header_len(packet_l3(p), header_len);
		ipv4_set_fragment(packet_l3(p), p->ip.total_len, 0, false, false);
	}
	udp_emit(packet_l4(p), 1000, 2000, (uint16_t)payload);
	for (uint32_t i = 0; i < payload; i++)
		packet_l4(p)[UDP_HEADER_LEN + i] = (uint8_t)(i * 7 + i / 256);
	return p;
}

static void check_whole(struct packet *p, uint32_t payload)
{
	struct ipv4_view v;

	assert_int_equal(ipv4_parse(packet_l3(p), p->len - p->l3_off, &v), IPV4_OK);
	assert_memory_equal(&v, &p->ip, sizeof(v));
	assert_false(ipv4_is_fragment(&v));
	assert_int_equal(p->l4.payload_len, payload);
	for (uint32_t i = 0; i < payload; i++)
		assert_int_equal(packet_l4(p)[UDP_HEADER_LEN + i], (uint8_t)(i * 7 + i / 256));
}

/* Would catch: a fragment over the MTU, a wrong offset or flag, a lost option or
 * one too many, bytes that differ after the way back, in any order of arrival. */
static void test_there_and_back(void **state)
{
	static const struct {
		uint32_t payload, mtu;
		uint8_t options;
		uint32_t fragments;
	} row[] = {
		{ 100, 1500, 0, 1 },    { 1472, 1500, 0, 1 }, { 1473, 1500, 0, 2 }, { 4000, 1500, 0, 3 },
		{ 60000, 1500, 0, 41 }, { 500, 68, 0, 11 },   { 3000, 576, 12, 6 }, { 2952, 1500, 0, 2 },
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct fixture b;
		struct batch out = { .n = 0 };

		fixture_start(&b, 4, 200, 200);
		struct packet *p = make(&b, 1, (uint16_t)i, row[i].payload, row[i].options);

		assert_int_equal(ip_fragment(&b.env, p, row[i].mtu, &out), row[i].fragments);
		assert_int_equal(out.n, row[i].fragments);
		for (uint32_t k = 0; k < out.n; k++) {
			struct ipv4_view v;
			struct packet *q = out.p[k];

			assert_int_equal(ipv4_parse(packet_l3(q), q->len - q->l3_off, &v), IPV4_OK);
			assert_memory_equal(&v, &q->ip, sizeof(v));
			assert_true(v.total_len <= row[i].mtu);
			assert_int_equal(v.mf, k + 1 < out.n);
			assert_int_equal(v.header_len, row[i].options == 0 ? 20 : k == 0 ? 32 : 24);
		}
		/* every second one first, then backwards */
		struct packet *whole = NULL;

		for (uint32_t k = 0; k < out.n; k += 2) {
			assert_null(whole);
			if (out.n > 1)
				whole = reassembly_input(b.r, out.p[k]);
			else
				whole = out.p[0];
		}
		for (uint32_t k = out.n & ~1u; k > 0; k -= 2) {
			if (k - 1 < out.n && out.n > 1) {
				assert_null(whole);
				whole = reassembly_input(b.r, out.p[k - 1]);
			}
		}
		assert_non_null(whole);
		if (out.n > 1)
			check_whole(whole, row[i].payload);
		env_drop(&b.env, whole, DROP_SOCKET_QUEUE);
		fixture_end(&b);
	}
}

/* Would catch: a fragment of a fragment that forgets its place in the whole. */
static void test_fragment_again(void **state)
{
	struct fixture b;
	struct batch out = { .n = 0 }, again = { .n = 0 };
	struct packet *whole = NULL;

	fixture_start(&b, 4, 200, 200);
	ip_fragment(&b.env, make(&b, 1, 9, 5000, 0), 1500, &out);
	for (uint32_t k = 0; k < out.n; k++)
		assert_int_not_equal(ip_fragment(&b.env, out.p[k], 576, &again), 0);
	for (uint32_t k = 0; k < again.n; k++)
		whole = reassembly_input(b.r, again.p[k]);
	assert_non_null(whole);
	check_whole(whole, 5000);
	env_drop(&b.env, whole, DROP_SOCKET_QUEUE);
	fixture_end(&b);
}

/* Would catch: a packet that is half cut when buffers run out. */
static void test_no_buffers(void **state)
{
	struct fixture b;
	struct batch out = { .n = 0 };
	struct packet *all[300];
	uint32_t n = 0;

	fixture_start(&b, 4, 200, 200);
	struct packet *p = make(&b, 1, 9, 5000, 0);

	while ((all[n] = packet_alloc(b.env.pool, 100)) != NULL)
		n++;
	packet_free(b.env.pool, all[--n]);
	packet_free(b.env.pool, all[--n]);
	assert_int_equal(ip_fragment(&b.env, p, 1500, &out), 0);
	assert_int_equal(out.n, 0);
	assert_int_equal(p->ip.total_len, 5028);
	while (n > 0)
		packet_free(b.env.pool, all[--n]);
	env_drop(&b.env, p, DROP_NO_BUFFER);
	fixture_end(&b);
}

/* A bare fragment: bytes [from, to) of host's packet id. */
static struct packet *fragment(struct fixture *b, uint8_t host, uint16_t id, uint16_t from, uint16_t to, bool mf)
{
	struct packet *p = make(b, host, id, (uint32_t)(to - from) - UDP_HEADER_LEN, 0);

	p->ip.frag_off = from;
	p->ip.mf = mf;
	ipv4_set_fragment(packet_l3(p), p->ip.total_len, from, false, mf);
	return p;
}

static struct packet *put(struct fixture *b, uint8_t host, uint16_t id, uint16_t from, uint16_t to, bool mf)
{
	return reassembly_input(b->r, fragment(b, host, id, from, to, mf));
}

/* Would catch: an overlap of any sort that is put together (RFC 5722), an exact
 * repetition that ruins the packet, and an overlapped packet that completes after all. */
static void test_overlap(void **state)
{
	static const struct {
		const char *what;
		struct {
			uint16_t from, to;
			bool mf;
		} fragment[4];
		enum drop_reason reason;
		uint64_t dropped;
	} row[] = {
		{ "tail over head",
		  { { 0, 64, true }, { 56, 120, true }, { 120, 160, false } },
		  DROP_FRAGMENT_OVERLAP,
		  3 },
		{ "head over tail",
		  { { 64, 128, true }, { 0, 72, true }, { 128, 160, false } },
		  DROP_FRAGMENT_OVERLAP,
		  3 },
		{ "inside", { { 0, 128, true }, { 64, 96, true } }, DROP_FRAGMENT_OVERLAP, 2 },
		{ "around", { { 64, 96, true }, { 0, 128, true } }, DROP_FRAGMENT_OVERLAP, 2 },
		{ "two ends", { { 64, 96, false }, { 128, 160, false } }, DROP_FRAGMENT_OVERLAP, 2 },
		{ "a second end before the first",
		  { { 128, 160, false }, { 64, 96, false } },
		  DROP_FRAGMENT_OVERLAP,
		  2 },
		{ "behind the end", { { 64, 96, false }, { 96, 128, true } }, DROP_FRAGMENT_OVERLAP, 2 },
		{ "end before what is there", { { 64, 96, true }, { 0, 64, false } }, DROP_FRAGMENT_OVERLAP, 2 },
		{ "twice", { { 0, 64, true }, { 0, 64, true } }, DROP_FRAGMENT_DUPLICATE, 1 },
		{ "too big", { { 0, 64, true }, { 65512, 65528, false } }, DROP_FRAGMENT_TOO_BIG, 2 },
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct fixture b;

		fixture_start(&b, 4, 200, 200);
		for (size_t k = 0; k < 4 && row[i].fragment[k].to != 0; k++)
			assert_null(
				put(&b, 1, 5, row[i].fragment[k].from, row[i].fragment[k].to, row[i].fragment[k].mf));
		if (b.env.ledger.n_dropped[row[i].reason] != row[i].dropped)
			fail_msg("%s: %llu dropped", row[i].what,
				 (unsigned long long)b.env.ledger.n_dropped[row[i].reason]);
		fixture_end(&b);
	}
}

/* Would catch: a bound that does not hold, in all, per source, in packets; and
 * one source that keeps another from being served. */
static void test_bounds(void **state)
{
	struct fixture b;

	fixture_start(&b, 4, 20, 8);
	for (uint16_t k = 0; k < 10; k++)
		put(&b, 1, 1, (uint16_t)(k * 128), (uint16_t)(k * 128 + 64), true);
	assert_int_equal(b.env.ledger.n_dropped[DROP_FRAGMENT_LIMIT], 2);
	assert_null(put(&b, 2, 1, 0, 64, true));
	struct packet *whole = put(&b, 2, 1, 64, 96, false);

	assert_non_null(whole);
	env_drop(&b.env, whole, DROP_SOCKET_QUEUE);
	/* four more packets: the oldest, with its eight fragments, gives way */
	for (uint16_t id = 2; id < 6; id++)
		put(&b, 3, id, 0, 64, true);
	assert_int_equal(b.env.ledger.n_dropped[DROP_FRAGMENT_LIMIT], 2 + 8);
	assert_int_equal(reassembly_n_held(b.r), 4);
	fixture_end(&b);
	/* What is put together, or was waited for in vain, is counted no more. */
	fixture_start(&b, 4, 20, 8);
	for (uint16_t id = 0; id < 20; id++) {
		assert_null(put(&b, 1, id, 0, 64, true));
		if (id % 2 == 0) {
			whole = put(&b, 1, id, 64, 96, false);
			assert_non_null(whole);
			env_drop(&b.env, whole, DROP_SOCKET_QUEUE);
		} else {
			b.env.now = reassembly_next_deadline(b.r);
			reassembly_expire(b.r);
		}
	}
	assert_int_equal(b.env.ledger.n_dropped[DROP_FRAGMENT_LIMIT], 0);
	fixture_end(&b);
	/* Three sources want more than there is in all, and none more than it may. */
	fixture_start(&b, 4, 20, 8);
	for (uint16_t k = 0; k < 24; k++)
		put(&b, 1 + k % 3, 1, (uint16_t)(k / 3 * 128), (uint16_t)(k / 3 * 128 + 64), true);
	assert_int_equal(b.env.ledger.n_dropped[DROP_FRAGMENT_LIMIT], 4);
	assert_int_equal(reassembly_n_held(b.r), 20);
	fixture_end(&b);
}

/* Would catch: a packet held for ever, an ICMP 11/1 without the first fragment, and
 * a deadline that is not told. */
static void test_timeout(void **state)
{
	struct fixture b;

	fixture_start(&b, 4, 20, 20);
	assert_int_equal(reassembly_next_deadline(b.r), TIME_NEVER);
	b.env.now = 5;
	put(&b, 1, 1, 0, 64, true);
	b.env.now = 10;
	put(&b, 1, 2, 64, 128, true);
	assert_int_equal(reassembly_next_deadline(b.r), 5 + REASSEMBLY_TIMEOUT_NS);
	b.env.now = 4 + REASSEMBLY_TIMEOUT_NS;
	reassembly_expire(b.r);
	assert_int_equal(reassembly_n_held(b.r), 2);
	b.env.now = 5 + REASSEMBLY_TIMEOUT_NS;
	reassembly_expire(b.r);
	assert_int_equal(reassembly_n_held(b.r), 1);
	assert_int_equal(b.n_timeouts, 1);
	b.env.now = 10 + REASSEMBLY_TIMEOUT_NS;
	reassembly_expire(b.r);
	assert_int_equal(b.n_timeouts, 1);
	assert_int_equal(b.env.ledger.n_dropped[DROP_FRAGMENT_TIMEOUT], 2);
	fixture_end(&b);
}

/* Would catch: a batch that is full to its last place and that nothing more is said to fit in, or that is filled beyond
 * it. */
static void test_last_place(void **state)
{
	enum { N = 3, PAYLOAD = 4000 };

	(void)state;
	for (uint32_t room = N - 1; room <= N; room++) {
		struct batch out = { .n = BATCH_MAX - room };
		struct fixture b;

		fixture_start(&b, 8, 200, 200);
		struct packet *p = make(&b, 1, 7, PAYLOAD, 0);

		assert_int_equal(ip_fragment(&b.env, p, 1500, &out), room == N ? N : 0);
		assert_int_equal(out.n, BATCH_MAX - (room == N ? 0 : room));
		if (room < N)
			env_drop(&b.env, p, DROP_NO_BUFFER);
		while (room == N && out.n > BATCH_MAX - N)
			env_drop(&b.env, out.p[--out.n], DROP_NO_BUFFER);
		fixture_end(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_fragment_again),
		cmocka_unit_test(test_no_buffers),     cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_bounds),         cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_last_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
