/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the XDP and the tc program do with frames: forward them right to the
 * byte, stand back when nobody is there, and keep their counts when two CPUs and
 * a writer are at one flow. What goes up and why: up_test.c. See fixture.h.
 */
#include "fixture.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define TC_REDIRECT 7u
#define TC_SHOT 2u
#define L3 14
#define L4 34

static const struct fixture_flow *const flows[] = { &fixture_udp, &fixture_tcp, &fixture_echo };

static uint32_t tick_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return fp_tick_of((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec);
}

/* --- forwarded --- */

static void forward_one(struct fixture *b, const struct fixture_flow *f, enum fixture_kind kind, uint32_t n_payload)
{
	struct fixture_frame in, want;
	struct fp_flow *flow = fixture_flow_set(b, f);

	fixture_frame(f, n_payload, TCP_ACK | TCP_PSH, &in);
	fixture_frame_forwarded(f, &in, &want);
	uint32_t ip_len = (uint32_t)in.bytes[L3 + 2] << 8 | in.bytes[L3 + 3];
	assert_int_equal(fixture_run(b, kind, &in, 0), fixture_redirected(kind));
	assert_int_equal(fixture_counted(b), FP_FORWARDED);
	assert_int_equal(in.len, want.len);
	assert_memory_equal(in.bytes, want.bytes, want.len);
	assert_int_equal(fp_flow_counts(flow), (uint64_t)ip_len << 32 | 1);
	assert_in_range(tick_now() - flow->last_seen, 0, 2000);
	assert_int_equal(fixture_adjacency(b)->last_used, flow->last_seen);
	assert_int_equal(flow->up, 0xffff);
	assert_int_equal(flow->handled, 0xffff);
	assert_int_equal(flow->version, 0xfffe);
	if (f->proto == IPPROTO_TCP) {
		assert_int_equal(flow->tcp_end, 0xfffffff0 + n_payload);
		assert_int_equal(flow->tcp_ack, 6000);
		assert_int_equal(flow->tcp_win, 20);
	}
}

/* Would catch: a byte rewritten wrongly, a checksum that is not the slow path's, a counter or mark not kept. */
static void test_forwarded_to_the_byte(void **state)
{
	for (uint32_t i = 0; i < sizeof(flows) / sizeof(flows[0]); i++)
		for (uint32_t n = 0; n < 70; n += 7) {
			forward_one(*state, flows[i], FIXTURE_XDP, n);
			forward_one(*state, flows[i], FIXTURE_TC, n);
		}
	forward_one(*state, &fixture_udp, FIXTURE_XDP, 1472);
	forward_one(*state, &fixture_tcp, FIXTURE_TC, 1460);
}

/* Would catch: the two zeros of one's complement mixed up, in either program. */
static void test_checksums_at_the_corners(void **state)
{
	struct rng rng = test_rng(1);
	struct fixture_frame in, want;

	for (uint32_t i = 0; i < 3000; i++) {
		struct fixture_flow f = *flows[i % 3];
		enum fixture_kind kind = (enum fixture_kind)(i / 3 % 2);

		f.src = corner32(&rng) | 1;
		f.dst = corner32(&rng) | 1;
		f.new_src = i % 7 == 0 ? f.src : corner32(&rng) | 1;
		f.new_dst = i % 5 == 0 ? f.dst : corner32(&rng) | 1;
		f.sport = corner16(&rng);
		f.new_sport = i % 11 == 0 ? f.sport : corner16(&rng);
		if (f.proto != IPPROTO_ICMP) {
			f.dport = corner16(&rng);
			f.new_dport = corner16(&rng);
		}
		fixture_flow_set(*state, &f);
		fixture_frame(&f, 2, TCP_ACK, &in);
		in.bytes[in.bytes[L3 + 9] == IPPROTO_TCP ? L4 + 20 : L4 + 8] = (uint8_t)rng_u32(&rng);
		in.bytes[in.bytes[L3 + 9] == IPPROTO_TCP ? L4 + 21 : L4 + 9] = (uint8_t)rng_u32(&rng);
		fixture_frame_seal(&in);
		if (f.proto == IPPROTO_UDP && i % 13 == 0)
			in.bytes[L4 + 6] = in.bytes[L4 + 7] = 0;
		fixture_frame_forwarded(&f, &in, &want);
		fixture_run(*state, kind, &in, 0);
		enum fp_count what = fixture_counted(*state);
		/* By chance an ICMP message's checksum ends as zero. */
		if (what != FP_FORWARDED && f.proto == IPPROTO_ICMP)
			continue;
		assert_int_equal(what, FP_FORWARDED);
		assert_memory_equal(in.bytes, want.bytes, want.len);
	}
}

/* A frame whose checksum is that of its pseudo header alone, and yet right: the payload's first word makes it so. */
static void frame_that_looks_partial(const struct fixture_flow *f, uint32_t n_payload, struct fixture_frame *out)
{
	bool is_tcp = f->proto == IPPROTO_TCP;
	uint8_t *check = out->bytes + L4 + (is_tcp ? 16 : 6), *word = out->bytes + L4 + (is_tcp ? 20 : 8);
	uint32_t len = (is_tcp ? 20 : 8) + n_payload;
	uint64_t pseudo = naive_pseudo(f->src, f->dst, f->proto, len);

	fixture_frame(f, n_payload, TCP_ACK, out);
	uint16_t partial = (uint16_t)~naive_checksum(pseudo, NULL, 0);
	check[0] = (uint8_t)(partial >> 8);
	check[1] = (uint8_t)partial;
	word[0] = word[1] = 0;
	uint16_t rest = naive_checksum(pseudo, out->bytes + L4, len);
	word[0] = (uint8_t)(rest >> 8);
	word[1] = (uint8_t)rest;
	assert_int_equal(naive_checksum(pseudo, out->bytes + L4, len), 0);
}

/* Would catch: one packet in 65,536 that goes up by chance, and a flow at full speed that falls behind for it; the
 * last bytes of a packet of any length left out of its sum, or others taken in. */
static void test_whole_checksums_that_look_partial(void **state)
{
	for (uint32_t n = 2; n < 1460; n += n < 140 ? 1 : 61)
		for (uint32_t i = 0; i < 2; i++) {
			const struct fixture_flow *f = flows[i];
			struct fixture_frame in, want;

			fixture_flow_set(*state, f);
			frame_that_looks_partial(f, n, &in);
			fixture_frame_forwarded(f, &in, &want);
			assert_int_equal(fixture_run(*state, FIXTURE_XDP, &in, 0), fixture_redirected(FIXTURE_XDP));
			assert_int_equal(fixture_counted(*state), FP_FORWARDED);
			assert_memory_equal(in.bytes, want.bytes, want.len);

			frame_that_looks_partial(f, n, &in);
			in.bytes[L4 + (f->proto == IPPROTO_TCP ? 20 : 8) + n - 1] ^= 1;
			fixture_flow_set(*state, f);
			fixture_run(*state, FIXTURE_XDP, &in, 0);
			assert_int_equal(fixture_counted(*state), FP_UP_PARTIAL);
		}
}

/* Would catch: a UDP checksum that becomes 0, which would say that there is none. */
static void test_udp_checksum_never_ends_as_none(void **state)
{
	struct fixture_frame in, want;
	uint32_t n = 0;

	for (uint32_t v = 0; v < 0x10000; v++) {
		fixture_frame(&fixture_udp, 2, 0, &in);
		in.bytes[L4 + 8] = (uint8_t)(v >> 8);
		in.bytes[L4 + 9] = (uint8_t)v;
		fixture_frame_seal(&in);
		fixture_frame_forwarded(&fixture_udp, &in, &want);
		if (want.bytes[L4 + 6] != 0xff || want.bytes[L4 + 7] != 0xff)
			continue;
		for (enum fixture_kind kind = FIXTURE_XDP; kind <= FIXTURE_TC; kind++) {
			struct fixture_frame f = in;

			fixture_flow_set(*state, &fixture_udp);
			fixture_run(*state, kind, &f, 0);
			assert_int_equal(fixture_counted(*state), FP_FORWARDED);
			assert_memory_equal(f.bytes, want.bytes, want.len);
			n++;
		}
	}
	assert_true(n > 0);
}

/* Would catch: a flow behind others with the same tag, in any place, or in an overflow bucket, not found; a look-up
 * that trusts the tag. */
static void test_every_place_of_a_chain(void **state)
{
	struct fixture *b = *state;
	struct fixture_frame in;
	uint32_t slot;

	for (uint32_t place = 0; place < FP_CHAIN_MAX * FP_BUCKET_SLOTS; place++) {
		for (enum fixture_kind kind = FIXTURE_XDP; kind <= FIXTURE_TC; kind++) {
			fixture_flow_set(b, &fixture_udp);
			struct fp_bucket *at = fixture_home(b, &fixture_udp, &slot);
			uint32_t ref = at->ref[slot];
			uint16_t tag = at->tag[slot];

			for (uint32_t i = 0; i <= place; i++) {
				if (i > 0 && i % FP_BUCKET_SLOTS == 0) {
					at->next = 3 + i;
					at = &b->m->bucket[b->m->n_home + at->next - 1];
				}
				at->tag[i % FP_BUCKET_SLOTS] = tag;
				at->ref[i % FP_BUCKET_SLOTS] = i == place ? ref : i % 3 == 0 ? FP_REF_NONE : 200 + i;
			}
			fixture_frame(&fixture_udp, 10, 0, &in);
			fixture_run(b, kind, &in, 0);
			assert_int_equal(fixture_counted(b), FP_FORWARDED);
		}
	}
}

/* --- up --- */

/* Would catch: packets that nobody takes handed to the kernel's own stack, or gone without a count. */
static void test_refused(void **state)
{
	struct fixture *b = *state;
	const struct fastpath_port nowhere = { .number = FIXTURE_PORT, .ifindex = 1, .kind = FASTPATH_TC };
	uint32_t key = fastpath_xsk_key(FIXTURE_PORT, 0);
	struct fixture_frame in;
	char err[256];

	fixture_flow_set(b, &fixture_udp);
	fixture_frame(&fixture_udp, 10, 0, &in);
	in.bytes[13] = 6;
	assert_int_equal(bpf_map_delete_elem(fastpath_xsk_map_fd(b->f), &key), 0);
	assert_int_equal(fixture_run(b, FIXTURE_XDP, &in, 0), XDP_DROP);
	assert_int_equal(fixture_counted(b), FP_UP_REFUSED);
	assert_int_equal(bpf_map_update_elem(fastpath_xsk_map_fd(b->f), &key, &b->socket, BPF_ANY), 0);
	int tc = b->tc;
	b->tc = program_load(b->f, &nowhere, PROGRAM_ENDS_WITH_US, err, sizeof(err));
	assert_int_equal(fixture_run(b, FIXTURE_TC, &in, 0), TC_SHOT);
	assert_int_equal(fixture_counted(b), FP_UP_REFUSED);
	close(b->tc);
	b->tc = tc;
}

/* Would catch: a large segment held against the MTU as a whole, or pieces that are too large let through. */
static void test_large_segments(void **state)
{
	struct fixture *b = *state;
	struct fixture_frame in;

	for (uint32_t gso = 459; gso <= 461; gso++) {
		fixture_flow_set(b, &fixture_tcp);
		fixture_adjacency(b)->mtu = 500;
		fixture_frame(&fixture_tcp, 900, TCP_ACK, &in);
		fixture_run(b, FIXTURE_TC, &in, gso);
		assert_int_equal(fixture_counted(b), gso <= 460 ? FP_FORWARDED : FP_UP_TOO_BIG);
	}
}

/* Would catch: a filter that outlives its process and still takes packets, or takes them again when 26 or 52 days of
 * ticks have passed; one that gives up on a live one. */
static void test_stands_back_when_the_process_is_gone(void **state)
{
	struct fixture *b = *state;
	const struct fastpath_port port = {
		.number = FIXTURE_PORT, .ifindex = 1, .kind = FASTPATH_TC, .up_ifindex = 1
	};
	static const uint32_t ages[] = { (uint32_t)-10,    0, 400, 850, 1100, 3000, 1u << 31, (1u << 31) + 1000,
					 UINT32_MAX - 1000 };
	struct fixture_frame in;
	char err[256];
	int tc = b->tc;

	b->tc = program_load(b->f, &port, PROGRAM_STAYS, err, sizeof(err));
	assert_true(b->tc >= 0);
	for (size_t i = 0; i < ARRAY_LEN(ages); i++) {
		bool gone = ages[i] > 954 && ages[i] < UINT32_MAX - 100;

		fixture_frame(&fixture_udp, 10, 0, &in);
		fixture_flow_set(b, &fixture_udp);
		b->m->config->alive = tick_now() - ages[i];
		b->m->config->gone = 0;
		assert_int_equal(fixture_run(b, FIXTURE_TC, &in, 0), gone ? UINT32_MAX : TC_REDIRECT);
		assert_int_equal(fixture_counted(b), gone ? FP_N_COUNTS : FP_FORWARDED);
		/* The tick has come round since. */
		fixture_frame(&fixture_udp, 10, 0, &in);
		fixture_flow_set(b, &fixture_udp);
		b->m->config->alive = tick_now();
		assert_int_equal(fixture_run(b, FIXTURE_TC, &in, 0), gone ? UINT32_MAX : TC_REDIRECT);
		assert_int_equal(fixture_counted(b), gone ? FP_N_COUNTS : FP_FORWARDED);
	}
	close(b->tc);
	b->tc = tc;
}

/* Would catch: marks that go back, or a window of the wrong direction of time kept. */
static void test_marks_only_grow(void **state)
{
	struct fixture *b = *state;
	struct fixture_frame in;
	struct fp_flow *flow = fixture_flow_set(b, &fixture_tcp);

	flow->tcp_end = 0x100; /* past the wrap, and past this packet */
	flow->tcp_ack = 7000;
	flow->tcp_win = 5u << FP_TCP_SCALE_SHIFT | 30;
	fixture_frame(&fixture_tcp, 10, TCP_ACK, &in);
	fixture_run(b, FIXTURE_XDP, &in, 0);
	assert_int_equal(fixture_counted(b), FP_FORWARDED);
	assert_int_equal(flow->tcp_end, 0x100);
	assert_int_equal(flow->tcp_ack, 7000);
	assert_int_equal(flow->tcp_win, 5u << FP_TCP_SCALE_SHIFT | 30);
}

/* Would catch: a flow that drains and sends up more than one packet in its time, or never one; one whose packets are
 * dropped while nothing is on its way; TCP, whose window looks like that. */
static void test_drain(void **state)
{
	struct fixture *b = *state;

	for (enum fixture_kind kind = FIXTURE_XDP; kind <= FIXTURE_TC; kind++)
		for (uint32_t i = 0; i < 3; i++) {
			struct fp_flow *flow = fixture_flow_set(b, flows[i]);
			bool is_udp = flows[i]->proto == IPPROTO_UDP;
			uint32_t dropped = kind == FIXTURE_XDP ? XDP_DROP : TC_SHOT;
			struct fixture_frame in;

			flow->tcp_win |= FP_DRAIN;
			fixture_frame(flows[i], 10, TCP_ACK, &in);
			fixture_run(b, kind, &in, 0);
			assert_int_equal(fixture_counted(b), FP_FORWARDED);
			flow->up++;
			uint16_t up = flow->up;
			for (uint32_t k = 0; k < 2; k++) {
				/* Its turn, and right behind it. */
				flow->last_seen = tick_now() - (k == 0 ? FP_DRAIN_TICKS + 20 : 0);
				fixture_frame(flows[i], 10, TCP_ACK, &in);
				uint32_t verdict = fixture_run(b, kind, &in, 0);
				bool drops = is_udp && k == 1;
				assert_int_equal(fixture_counted(b), drops ? FP_UP_OVERLOAD : FP_UP_BEHIND);
				assert_int_equal(verdict, drops ? dropped : fixture_redirected(kind));
				assert_int_equal(flow->up, (uint16_t)(up + (k == 0 || !is_udp ? k + 1 : 1)));
			}
		}
}

/* Somebody who hits the window once sends data as far ahead as it goes, each time a step further.
 * Would catch: marks that forged segments walk away from where the ends are, until the ends' own are out of them. */
static void test_marks_are_not_walked_away(void **state)
{
	struct fixture *b = *state;

	for (enum fixture_kind kind = FIXTURE_XDP; kind <= FIXTURE_TC; kind++) {
		struct fp_flow *flow = fixture_flow_set(b, &fixture_tcp);
		struct fixture_frame in;
		uint32_t n_forwarded = 0;

		for (uint32_t i = 0; i < 100; i++) {
			uint32_t seq = 0xfffffff0 + i * 30000;

			flow->handled = flow->up; /* what goes up is judged there */
			fixture_frame(&fixture_tcp, 1000, TCP_ACK, &in);
			for (uint32_t k = 0; k < 4; k++)
				in.bytes[L4 + 4 + k] = (uint8_t)(seq >> (24 - 8 * k));
			fixture_frame_seal(&in);
			fixture_run(b, kind, &in, 0);
			n_forwarded += fixture_counted(b) == FP_FORWARDED;
		}
		assert_int_equal(n_forwarded, 2);
		assert_int_equal(flow->tcp_end, 0xfffffff0 + 30000 + 1000);
		/* The sender's own goes on. */
		flow->handled = flow->up;
		fixture_frame(&fixture_tcp, 10, TCP_ACK, &in);
		fixture_run(b, kind, &in, 0);
		assert_int_equal(fixture_counted(b), FP_FORWARDED);
	}
}

/* --- at the same time --- */

#define RUNS_A_THREAD 20000u

#define STORE(to, from) __atomic_store_n(&(to), (from), __ATOMIC_RELEASE)

struct runner {
	struct fixture *fixture;
	struct fixture_frame in, want[2]; /* what it may become */
	enum fixture_kind kind;
	uint32_t n_forwarded, n_up, n_wrong;
	uint32_t done;
};

static void *run_many(void *ctx)
{
	struct runner *r = ctx;

	for (uint32_t i = 0; i < RUNS_A_THREAD; i++) {
		struct fixture_frame f = r->in;

		fixture_run(r->fixture, r->kind, &f, 0);
		if (memcmp(f.bytes, r->in.bytes, f.len) == 0)
			r->n_up++;
		else if (memcmp(f.bytes, r->want[0].bytes, f.len) == 0 || memcmp(f.bytes, r->want[1].bytes, f.len) == 0)
			r->n_forwarded++;
		else
			r->n_wrong++;
	}
	STORE(r->done, 1);
	return NULL;
}

static void write_flow(struct fp_flow *f, const struct fp_flow *from)
{
	STORE(f->version, (uint16_t)(f->version + 1));
	STORE(f->new_src_be, from->new_src_be);
	STORE(f->new_dst_be, from->new_dst_be);
	STORE(f->new_sport_be, from->new_sport_be);
	STORE(f->new_dport_be, from->new_dport_be);
	STORE(f->ip_delta, from->ip_delta);
	STORE(f->l4_delta, from->l4_delta);
	STORE(f->version, (uint16_t)(f->version + 1));
}

/* Would catch: counts lost between two CPUs, a flow that is half one mapping and half another. */
static void test_two_cpus_and_a_writer(void **state)
{
	struct fixture *b = *state;
	struct fixture_flow other = fixture_udp;
	static struct runner r[2];
	pthread_t thread[2];
	struct fp_flow as[2], *flow;
	uint32_t n = 0;

	other.new_src ^= 0x01fe3377;
	other.new_dst ^= 0x11223344;
	other.new_sport ^= 0x5555;
	other.new_dport ^= 0x1234;
	as[1] = *fixture_flow_set(b, &other);
	flow = fixture_flow_set(b, &fixture_udp);
	as[0] = *flow;
	for (uint32_t i = 0; i < 2; i++) {
		r[i] = (struct runner){ .fixture = b, .kind = (enum fixture_kind)i };
		fixture_frame(&fixture_udp, 30, 0, &r[i].in);
		fixture_frame_forwarded(&fixture_udp, &r[i].in, &r[i].want[0]);
		fixture_frame_forwarded(&other, &r[i].in, &r[i].want[1]);
		assert_int_equal(pthread_create(&thread[i], NULL, run_many, &r[i]), 0);
	}
	do {
		write_flow(flow, &as[++n % 2]);
		flow->handled = flow->up;
		for (volatile uint32_t rest = n % 64; rest > 0; rest--)
			;
	} while (!__atomic_load_n(&r[0].done, __ATOMIC_ACQUIRE) || !__atomic_load_n(&r[1].done, __ATOMIC_ACQUIRE));
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(r[0].n_wrong + r[1].n_wrong, 0);
	assert_true(r[0].n_forwarded > 0 && r[1].n_forwarded > 0);
	n = r[0].n_forwarded + r[1].n_forwarded;
	assert_int_equal(fp_flow_counts(flow), ((uint64_t)n * 58) << 32 | n);
	struct fastpath_counts now;
	fastpath_counts(b->f, &now);
	assert_int_equal(now.count[FP_FORWARDED] - b->before.count[FP_FORWARDED], n);
	uint64_t n_stale = now.count[FP_UP_STALE] - b->before.count[FP_UP_STALE];
	assert_int_equal(n_stale + now.count[FP_UP_BEHIND] - b->before.count[FP_UP_BEHIND], r[0].n_up + r[1].n_up);
	printf("%u forwarded, %u up\n", n, r[0].n_up + r[1].n_up);
}

int main(void)
{
	static struct fixture fixture;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_forwarded_to_the_byte, &fixture),
		cmocka_unit_test_prestate(test_checksums_at_the_corners, &fixture),
		cmocka_unit_test_prestate(test_whole_checksums_that_look_partial, &fixture),
		cmocka_unit_test_prestate(test_udp_checksum_never_ends_as_none, &fixture),
		cmocka_unit_test_prestate(test_every_place_of_a_chain, &fixture),
		cmocka_unit_test_prestate(test_refused, &fixture),
		cmocka_unit_test_prestate(test_large_segments, &fixture),
		cmocka_unit_test_prestate(test_stands_back_when_the_process_is_gone, &fixture),
		cmocka_unit_test_prestate(test_marks_only_grow, &fixture),
		cmocka_unit_test_prestate(test_marks_are_not_walked_away, &fixture),
		cmocka_unit_test_prestate(test_drain, &fixture),
		cmocka_unit_test_prestate(test_two_cpus_and_a_writer, &fixture),
	};

	fixture_open(&fixture);
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	fixture_close(&fixture);
	return r;
}
