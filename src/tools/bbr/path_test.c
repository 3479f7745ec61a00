/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The bottleneck, packet by packet: times to the nanosecond, what is lost and why.
 */
#include "tools/bbr/path.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"

static const uint8_t seed[RNG_SEED_BYTES] = { 7 };
static const uint64_t rtts[] = { 40 * NS_PER_MS, 10 * NS_PER_MS };

#define START (1000 * NS_PER_S)
#define LEN 1500u
/* 1,500 bytes at 12 Mbit/s. */
#define RATE 12000000u
#define EACH NS_PER_MS

static struct path *make(const struct path_config *cfg)
{
	struct path *p = path_create(cfg, rtts, ARRAY_LEN(rtts), seed);

	assert_non_null(p);
	return p;
}

static bool send_at(struct path *p, uint32_t flow, uint64_t now, enum path_loss *why)
{
	struct path_packet k = { .len = LEN, .flow = (uint16_t)flow };

	return path_send(p, &k, now, why);
}

static void lose(void *ctx, const struct path_packet *k, enum path_end end)
{
	(*(uint32_t *)ctx)++;
}

static uint32_t end(struct path *p)
{
	uint32_t n = 0;

	path_destroy(p, lose, &n);
	return n;
}

static void arrives(struct path *p, uint64_t at, uint32_t flow, enum path_end where)
{
	struct path_packet k;
	enum path_end e;

	while (path_next(p) < at) {
		uint64_t t = path_next(p);

		assert_false(path_receive(p, t, &k, &e));
		assert_true(path_next(p) > t);
	}
	assert_int_equal(path_next(p), at);
	assert_true(path_receive(p, at, &k, &e));
	assert_int_equal(k.flow, flow);
	assert_int_equal(e, where);
}

/* Would catch: a rate that is not the rate, a delay that is not half a round trip, flows that do not share one queue.
 */
static void test_rate_and_delay(void **state)
{
	struct path_config cfg = { .rate_bps = RATE, .buffer_bytes = 10 * LEN };
	struct path *p = make(&cfg);
	enum path_loss why;

	assert_int_equal(path_next(p), TIME_NEVER);
	assert_true(send_at(p, 0, START, &why));
	assert_true(send_at(p, 1, START, &why));
	assert_true(send_at(p, 0, START, &why));
	assert_int_equal(path_queue(p), 2 * LEN);
	arrives(p, START + 2 * EACH + rtts[1] / 2, 1, PATH_TO_RECEIVER);
	arrives(p, START + EACH + rtts[0] / 2, 0, PATH_TO_RECEIVER);
	arrives(p, START + 3 * EACH + rtts[0] / 2, 0, PATH_TO_RECEIVER);
	assert_int_equal(path_queue(p), 0);
	struct path_packet back = { .len = 52, .flow = 1 };

	path_send_back(p, &back, START + NS_PER_S);
	arrives(p, START + NS_PER_S + rtts[1] / 2, 1, PATH_TO_SENDER);
	assert_int_equal(end(p), 0);
}

/* Would catch: a buffer that holds more or less than it should, or counts what is being sent. */
static void test_buffer(void **state)
{
	struct path_config cfg = { .rate_bps = RATE, .buffer_bytes = 3 * LEN };
	struct path *p = make(&cfg);
	enum path_loss why;

	for (uint32_t i = 0; i < 4; i++)
		assert_true(send_at(p, 0, START, &why));
	assert_false(send_at(p, 0, START, &why));
	assert_int_equal(why, PATH_LOST_BUFFER);
	/* One has left the buffer, and no more. */
	assert_true(send_at(p, 0, START + EACH, &why));
	assert_false(send_at(p, 0, START + EACH, &why));
	/* Whoever asks late finds all of them at their own times. */
	for (uint32_t i = 0; i < 5; i++) {
		struct path_packet k;
		enum path_end e;

		assert_true(path_receive(p, START + NS_PER_S, &k, &e));
		assert_int_equal(k.at, START + (i + 1) * EACH + rtts[0] / 2);
	}
	assert_int_equal(end(p), 0);
}

/* Would catch: a step that changes what is already being sent, or that changes nothing. */
static void test_rate_changes(void **state)
{
	struct path_config cfg = { .rate_bps = RATE, .buffer_bytes = 10 * LEN };
	struct path *p = make(&cfg);
	enum path_loss why;

	for (uint32_t i = 0; i < 3; i++)
		assert_true(send_at(p, 0, START, &why));
	path_set_rate(p, RATE / 10, START + EACH / 2);
	assert_int_equal(path_rate(p), RATE / 10);
	arrives(p, START + EACH + rtts[0] / 2, 0, PATH_TO_RECEIVER);
	arrives(p, START + 11 * EACH + rtts[0] / 2, 0, PATH_TO_RECEIVER);
	path_set_rate(p, RATE, START + 21 * EACH + rtts[0] / 2);
	assert_int_equal(end(p), 1);
}

/* Would catch: a bucket that does not fill, fills without end, or lets through what it has no tokens for. */
static void test_policer(void **state)
{
	struct path_config cfg = { .rate_bps = 100 * (uint64_t)RATE,
				   .buffer_bytes = 100 * LEN,
				   .policer_bps = RATE,
				   .policer_burst_bytes = 5 * LEN };
	struct path *p = make(&cfg);
	enum path_loss why;
	uint32_t n = 0;

	while (send_at(p, 0, START, &why))
		n++;
	assert_int_equal(n, 5);
	assert_int_equal(why, PATH_LOST_POLICER);
	assert_false(send_at(p, 0, START + EACH - 1, &why));
	assert_true(send_at(p, 0, START + EACH, &why));
	assert_false(send_at(p, 0, START + EACH, &why));
	for (n = 0; send_at(p, 0, START + NS_PER_S, &why);)
		n++;
	assert_int_equal(n, 5);
	(void)end(p);
}

/* Would catch: acknowledgements that leave at other times than at multiples. */
static void test_ack_batches(void **state)
{
	struct path_config cfg = { .rate_bps = RATE, .buffer_bytes = LEN, .ack_batch_ns = 10 * NS_PER_MS };
	struct path *p = make(&cfg);
	struct path_packet back = { .len = 52, .flow = 0 };

	path_send_back(p, &back, START + 1);
	path_send_back(p, &back, START + 10 * NS_PER_MS);
	path_send_back(p, &back, START + 10 * NS_PER_MS + 1);
	arrives(p, START + 10 * NS_PER_MS + rtts[0] / 2, 0, PATH_TO_SENDER);
	arrives(p, START + 10 * NS_PER_MS + rtts[0] / 2, 0, PATH_TO_SENDER);
	arrives(p, START + 20 * NS_PER_MS + rtts[0] / 2, 0, PATH_TO_SENDER);
	assert_int_equal(end(p), 0);
}

static uint32_t lost_of(const uint8_t with[RNG_SEED_BYTES], uint8_t pattern[1000])
{
	struct path_config cfg = { .rate_bps = RATE, .buffer_bytes = LEN, .loss_ppm = 100000 };
	struct path *p = path_create(&cfg, rtts, ARRAY_LEN(rtts), with);
	enum path_loss why = PATH_LOST_BUFFER;

	uint32_t n = 0;

	for (uint32_t i = 0; i < 1000; i++) {
		pattern[i] = send_at(p, 0, START + i * EACH, &why);
		assert_true(pattern[i] || why == PATH_LOST_RANDOM);
		n += !pattern[i];
	}
	(void)end(p);
	return n;
}

/* Would catch: a loss of another size, the same one with every seed, or another one with the same. */
static void test_random_loss(void **state)
{
	static const uint8_t other[RNG_SEED_BYTES] = { 8 };
	uint8_t a[1000], b[1000], c[1000];
	uint32_t n = lost_of(seed, a);

	/* 100 of 1,000 are expected; ten standard deviations are 95. */
	assert_in_range(n, 5, 195);
	assert_int_equal(lost_of(seed, b), n);
	assert_memory_equal(a, b, sizeof(a));
	(void)lost_of(other, c);
	assert_memory_not_equal(a, c, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate_and_delay), cmocka_unit_test(test_buffer),
		cmocka_unit_test(test_rate_changes),   cmocka_unit_test(test_policer),
		cmocka_unit_test(test_ack_batches),    cmocka_unit_test(test_random_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
