/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The in-memory wire.
 */
#include "stack/packet/memwire.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"

static const uint8_t test_seed[RNG_SEED_BYTES] = { 4, 2 };

/* A wire with a pool and a ledger at each end. */
struct fixture {
	struct memwire *w;
	struct device *d[2];
	struct packet_pool *pool[2];
	struct ledger ledger[2];
};

static void fixture_init(struct fixture *b, const struct memwire_config *ab, const struct memwire_config *ba)
{
	static const struct packet_pool_config pool_cfg = { .n_packets = 256, .n_small = 250, .n_large = 4 };
	memset(b, 0, sizeof(*b));
	b->w = memwire_create(ab, ba, test_seed);
	assert_non_null(b->w);
	for (uint32_t i = 0; i < 2; i++) {
		b->d[i] = memwire_end(b->w, i);
		b->pool[i] = packet_pool_create(&pool_cfg);
		assert_non_null(b->pool[i]);
		b->d[i]->pool = b->pool[i];
		b->d[i]->ledger = &b->ledger[i];
	}
}

/* The law of conservation at both ends and on the wire between them. */
static void check_law(const struct fixture *b)
{
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(ledger_expected_held(&b->ledger[i]), packet_pool_used(b->pool[i]));
	uint64_t handed = b->ledger[0].n_handed + b->ledger[1].n_handed;
	uint64_t received = b->ledger[0].n_received + b->ledger[1].n_received;
	assert_int_equal(handed + memwire_duplicated(b->w),
			 received + memwire_lost(b->w) + memwire_overflowed(b->w) + memwire_in_flight(b->w));
}

static void fixture_fini(struct fixture *b)
{
	check_law(b);
	memwire_destroy(b->w);
	packet_pool_destroy(b->pool[0]);
	packet_pool_destroy(b->pool[1]);
}

static struct packet *make(struct fixture *b, uint32_t end, uint32_t len, uint32_t number)
{
	struct packet *p = packet_alloc(b->pool[end], len);
	assert_non_null(p);
	b->ledger[end].n_originated++;
	memset(packet_frame(p), (int)(number & 0xff), len);
	memcpy(packet_frame(p), &number, sizeof(number));
	return p;
}

static void send_one(struct fixture *b, uint32_t end, uint32_t len, uint32_t number)
{
	struct batch batch = { 0 };
	batch_add(&batch, make(b, end, len, number));
	b->d[end]->ops->tx(b->d[end], &batch);
	assert_int_equal(batch.n, 0);
}

/* The number of the one frame that has arrived, or -1. */
static int64_t take_one(struct fixture *b, uint32_t end)
{
	struct batch batch = { 0 };
	if (b->d[end]->ops->rx(b->d[end], &batch, 1) == 0)
		return -1;
	uint32_t number;
	memcpy(&number, packet_frame(batch.p[0]), sizeof(number));
	packet_free(b->pool[end], batch.p[0]);
	b->ledger[end].n_consumed++;
	return number;
}

/* Catches a frame that is early, late, changed on the way or seen at the wrong end. */
static void arrives_after_the_delay(void **state)
{
	struct memwire_config ab = { .delay_ns = 1000 }, ba = { .delay_ns = 5 };
	struct fixture b;
	fixture_init(&b, &ab, &ba);
	memwire_set_time(b.w, 100);
	assert_true(memwire_next(b.w) == TIME_NEVER);
	send_one(&b, 0, 1514, 7);
	assert_int_equal(memwire_in_flight(b.w), 1);
	check_law(&b);
	assert_true(memwire_next(b.w) == 1100);
	assert_true(b.d[1]->ops->next(b.d[1]) == 1100);
	assert_true(b.d[0]->ops->next(b.d[0]) == TIME_NEVER);
	memwire_set_time(b.w, 1099);
	assert_int_equal(take_one(&b, 1), -1);
	memwire_set_time(b.w, 1100);
	assert_int_equal(take_one(&b, 0), -1);

	struct batch batch = { 0 };
	assert_int_equal(b.d[1]->ops->rx(b.d[1], &batch, BATCH_MAX), 1);
	struct packet *p = batch.p[0];
	assert_int_equal(p->len, 1514);
	assert_int_equal(packet_frame(p)[1513], 7);
	assert_int_equal(p->conn_ref, CONN_NONE);
	assert_false(p->offload.csum_partial || p->offload.csum_valid);
	assert_int_equal(b.d[0]->n_tx_bytes, 1514);
	assert_int_equal(b.d[1]->n_rx_bytes, 1514);
	packet_free(b.pool[1], p);
	b.ledger[1].n_consumed++;

	send_one(&b, 1, 60, 8);
	assert_true(memwire_next(b.w) == 1105);
	memwire_set_time(b.w, 1105);
	assert_int_equal(take_one(&b, 0), 8);
	fixture_fini(&b);
}

/* Catches a rate that lets frames through together, counts idle time as credit,
 * or slows the other direction. */
static void rate_clocks_frames_out(void **state)
{
	/* 8 Mbit/s: a byte a microsecond. */
	struct memwire_config ab = { .rate_bps = 8000000, .delay_ns = 10 }, ba = { 0 };
	struct fixture b;
	fixture_init(&b, &ab, &ba);
	for (uint32_t i = 0; i < 3; i++)
		send_one(&b, 0, 1000, i);
	for (uint32_t i = 0; i < 3; i++) {
		uint64_t at = (i + 1) * NS_PER_MS + 10;
		assert_true(memwire_next(b.w) == at);
		memwire_set_time(b.w, at);
		assert_int_equal(take_one(&b, 1), i);
		assert_int_equal(take_one(&b, 1), -1);
	}
	memwire_set_time(b.w, NS_PER_S);
	send_one(&b, 0, 100, 9);
	assert_true(memwire_next(b.w) == NS_PER_S + 100 * NS_PER_US + 10);
	send_one(&b, 1, 1000, 10);
	assert_true(memwire_next(b.w) == NS_PER_S);
	fixture_fini(&b);
}

/* Catches a queue that is longer or shorter than it says, and a drop nobody counts. */
static void queue_overflows_and_recovers(void **state)
{
	struct memwire_config ab = { .delay_ns = 100, .queue_packets = 3 }, ba = { 0 };
	struct fixture b;
	fixture_init(&b, &ab, &ba);
	for (uint32_t i = 0; i < 5; i++)
		send_one(&b, 0, 60, i);
	assert_int_equal(memwire_overflowed(b.w), 2);
	assert_int_equal(memwire_in_flight(b.w), 3);
	assert_int_equal(b.ledger[0].n_handed, 5);
	memwire_set_time(b.w, 100);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(take_one(&b, 1), i);
	send_one(&b, 0, 60, 5);
	assert_int_equal(memwire_overflowed(b.w), 2);
	fixture_fini(&b);
}

/* What arrived at end 1 of n frames sent 10 ns apart: the numbers in order. */
static uint32_t run(const struct memwire_config *ab, uint32_t n, uint32_t *got, uint32_t got_most)
{
	struct memwire_config ba = { 0 };
	struct fixture b;
	fixture_init(&b, ab, &ba);
	uint32_t n_got = 0;
	for (uint32_t i = 0; i < n || memwire_in_flight(b.w) > 0; i++) {
		memwire_set_time(b.w, i * 10);
		if (i < n)
			send_one(&b, 0, 60, i);
		for (int64_t number; (number = take_one(&b, 1)) >= 0;) {
			assert_true(n_got < got_most);
			got[n_got++] = (uint32_t)number;
		}
		check_law(&b);
	}
	assert_int_equal(n_got, n + memwire_duplicated(b.w) - memwire_lost(b.w));
	fixture_fini(&b);
	return n_got;
}

enum { N_RUN = 10000 };

/* Catches loss of the wrong rate, and a run that another delay would change. */
static void loss_is_drawn_from_the_seed(void **state)
{
	static uint32_t got[N_RUN], again[N_RUN];
	struct memwire_config cfg = { .delay_ns = 35, .loss_ppm = 100000 };
	uint32_t n = run(&cfg, N_RUN, got, N_RUN);
	assert_in_range(n, N_RUN * 88 / 100, N_RUN * 92 / 100);
	cfg.delay_ns = 350;
	cfg.rate_bps = UINT64_C(100000000000);
	assert_int_equal(run(&cfg, N_RUN, again, N_RUN), n);
	assert_memory_equal(got, again, n * sizeof(got[0]));
	cfg.loss_ppm = 1000000;
	assert_int_equal(run(&cfg, 100, got, N_RUN), 0);
}

/* Catches two directions that draw the same numbers: a lost request would always
 * meet a lost answer. */
static void directions_draw_apart(void **state)
{
	struct memwire_config cfg = { .loss_ppm = 500000 };
	struct fixture b;
	fixture_init(&b, &cfg, &cfg);
	uint32_t n_same = 0;
	for (uint32_t i = 0; i < 100; i++) {
		send_one(&b, 0, 60, i);
		send_one(&b, 1, 60, i);
		n_same += take_one(&b, 1) == take_one(&b, 0);
	}
	assert_in_range(n_same, 25, 75);
	fixture_fini(&b);
}

/* Catches a duplicate that is lost, miscounted, or not beside its original. */
static void duplicates_come_in_pairs(void **state)
{
	static uint32_t got[2 * N_RUN];
	struct memwire_config cfg = { .delay_ns = 35, .duplicate_ppm = 250000 };
	uint32_t n = run(&cfg, N_RUN, got, 2 * N_RUN);
	assert_in_range(n, N_RUN * 123 / 100, N_RUN * 127 / 100);
	for (uint32_t i = 1; i < n; i++)
		assert_true(got[i] == got[i - 1] || got[i] == got[i - 1] + 1);
	cfg.duplicate_ppm = 1000000;
	assert_int_equal(run(&cfg, 100, got, 2 * N_RUN), 200);
}

/* Catches reordering that does nothing or loses, and order broken without it:
 * many frames arrive at equal times here. */
static void reordered_ones_are_overtaken(void **state)
{
	static uint32_t got[N_RUN];
	static uint8_t seen[N_RUN];
	struct memwire_config cfg = { .delay_ns = 35, .reorder_ppm = 100000, .reorder_delay_ns = 100 };
	assert_int_equal(run(&cfg, N_RUN, got, N_RUN), N_RUN);
	uint32_t n_late = 0;
	memset(seen, 0, sizeof(seen));
	for (uint32_t i = 0; i < N_RUN; i++) {
		assert_int_equal(seen[got[i]]++, 0);
		n_late += i > 0 && got[i] < got[i - 1];
	}
	assert_in_range(n_late, N_RUN * 5 / 100, N_RUN * 12 / 100);
	cfg.reorder_ppm = 0;
	assert_int_equal(run(&cfg, N_RUN, got, N_RUN), N_RUN);
	for (uint32_t i = 0; i < N_RUN; i++)
		assert_int_equal(got[i], i);
}

/* Catches a full batch that is overrun, and a max that is not kept. */
static void rx_keeps_to_max_and_batch(void **state)
{
	struct memwire_config cfg = { 0 };
	struct fixture b;
	fixture_init(&b, &cfg, &cfg);
	for (uint32_t i = 0; i < 100; i++)
		send_one(&b, 0, 60, i);
	struct batch batch = { 0 };
	const struct device_ops *ops = b.d[1]->ops;
	assert_int_equal(ops->rx(b.d[1], &batch, 10), 10);
	assert_int_equal(ops->rx(b.d[1], &batch, 1000), BATCH_MAX - 10);
	assert_int_equal(ops->rx(b.d[1], &batch, 1), 0);
	assert_int_equal(batch.n, BATCH_MAX);
	assert_int_equal(ops->poll_fd(b.d[1]), -1);
	for (uint32_t i = 0; i < batch.n; i++)
		packet_free(b.pool[1], batch.p[i]);
	b.ledger[1].n_consumed += batch.n;
	fixture_fini(&b);
}

/* Catches an empty pool that loses frames without a count, or wedges the wire. */
static void no_buffer_is_a_named_drop(void **state)
{
	struct memwire_config cfg = { 0 };
	struct fixture b;
	fixture_init(&b, &cfg, &cfg);
	struct packet *hog[256];
	uint32_t n_hog = 0;
	while ((hog[n_hog] = packet_alloc(b.pool[1], 60)) != NULL)
		n_hog++;
	b.ledger[1].n_originated += n_hog;
	send_one(&b, 0, 60, 1);
	send_one(&b, 0, 60, 2);
	assert_int_equal(take_one(&b, 1), -1);
	assert_int_equal(b.ledger[1].n_received, 2);
	assert_int_equal(b.ledger[1].n_dropped[DROP_NO_BUFFER], 2);
	check_law(&b);
	while (n_hog > 0) {
		packet_free(b.pool[1], hog[--n_hog]);
		b.ledger[1].n_consumed++;
	}
	send_one(&b, 0, 60, 3);
	assert_int_equal(take_one(&b, 1), 3);
	fixture_fini(&b);
}

/* Catches frames past the MTU, or sent by a device that is down, under no name or
 * a wrong one; and an end that is down but goes on receiving. */
static void down_and_too_big_are_named(void **state)
{
	struct memwire_config cfg = { .mtu = 1400 };
	struct fixture b;
	fixture_init(&b, &cfg, &cfg);
	send_one(&b, 0, 1414, 1);
	send_one(&b, 0, 1415, 2);
	assert_int_equal(b.ledger[0].n_dropped[DROP_TX_TOO_BIG], 1);
	assert_int_equal(take_one(&b, 1), 1);
	/* A device whose MTU was raised later does not overrun the wire's slots. */
	b.d[0]->mtu = 1500;
	send_one(&b, 0, 1514, 3);
	assert_int_equal(b.ledger[0].n_dropped[DROP_TX_TOO_BIG], 2);

	b.d[0]->ops->close(b.d[0]);
	send_one(&b, 0, 60, 4);
	assert_int_equal(b.ledger[0].n_dropped[DROP_TX_DOWN], 1);
	send_one(&b, 1, 60, 5);
	assert_int_equal(take_one(&b, 0), -1);
	assert_int_equal(memwire_lost(b.w), 1);
	b.d[0]->up = true;
	assert_int_equal(take_one(&b, 0), -1);
	fixture_fini(&b);
}

/* Catches offload fields that are lost on the way, and a large segment refused
 * although its pieces fit. */
static void offloads_travel(void **state)
{
	struct memwire_config ab = { .caps = DEVICE_CAP_CSUM | DEVICE_CAP_TSO }, ba = { 0 };
	struct fixture b;
	fixture_init(&b, &ab, &ba);
	assert_int_equal(b.d[0]->caps, DEVICE_CAP_CSUM | DEVICE_CAP_TSO);
	assert_int_equal(b.d[1]->caps, 0);
	static const uint16_t gso_sizes[] = { 1446, 1447 };
	for (size_t i = 0; i < ARRAY_LEN(gso_sizes); i++) {
		struct packet *p = make(&b, 0, 65549, 3);
		p->l3_off = 14;
		p->l4_off = 34;
		p->l4.header_len = 34;
		p->offload = (struct offload){ .csum_partial = true,
					       .csum_valid = true,
					       .gso_type = GSO_TCP4,
					       .csum_start = 34,
					       .csum_offset = 16,
					       .gso_size = gso_sizes[i] };
		struct batch batch = { 0 };
		batch_add(&batch, p);
		b.d[0]->ops->tx(b.d[0], &batch);
	}
	assert_int_equal(b.ledger[0].n_dropped[DROP_TX_TOO_BIG], 1);
	struct batch batch = { 0 };
	assert_int_equal(b.d[1]->ops->rx(b.d[1], &batch, BATCH_MAX), 1);
	struct packet *p = batch.p[0];
	assert_int_equal(p->len, 65549);
	assert_true(p->offload.csum_partial && !p->offload.csum_valid);
	assert_true(p->offload.gso_type == GSO_TCP4 && p->offload.gso_size == 1446);
	assert_true(p->offload.csum_start == 34 && p->offload.csum_offset == 16);
	assert_int_equal(packet_frame(p)[65548], 3);
	packet_free(b.pool[1], p);
	b.ledger[1].n_consumed++;
	fixture_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arrives_after_the_delay),
		cmocka_unit_test(rate_clocks_frames_out),
		cmocka_unit_test(queue_overflows_and_recovers),
		cmocka_unit_test(loss_is_drawn_from_the_seed),
		cmocka_unit_test(directions_draw_apart),
		cmocka_unit_test(duplicates_come_in_pairs),
		cmocka_unit_test(reordered_ones_are_overtaken),
		cmocka_unit_test(rx_keeps_to_max_and_batch),
		cmocka_unit_test(no_buffer_is_a_named_drop),
		cmocka_unit_test(down_and_too_big_are_named),
		cmocka_unit_test(offloads_travel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
