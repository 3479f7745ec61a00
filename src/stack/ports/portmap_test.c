/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The port map: every port once, uniform at every fill, sharers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "stack/ports/portmap.h"

static struct rng rng;

static int start(void **state)
{
	static const uint8_t seed[RNG_SEED_BYTES] = { 42 };

	struct portmap *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->sharers = calloc(PORTMAP_SHARERS, sizeof(*m->sharers));
	assert_non_null(m->sharers);
	portmap_init(m);
	*state = m;
	rng_init(&rng, seed);
	return 0;
}

static int stop(void **state)
{
	free(((struct portmap *)*state)->sharers);
	free(*state);
	return 0;
}

static void check_counts(const struct portmap *m)
{
	for (uint32_t g = 0; g < PORTMAP_GROUPS; g++) {
		uint32_t sum = 0;
		for (uint32_t w = g * 64; w < g * 64 + 64; w++) {
			assert_int_equal(m->bits.word[w], __builtin_popcountll(m->bits.unused[w]));
			sum += m->bits.word[w];
		}
		assert_int_equal(m->bits.group[g], sum);
	}
}

/* Would catch: a port given out twice or never, one outside the set, a count that drifts. */
static void test_all_once(void **state)
{
	struct portmap *m = *state;
	static uint8_t given[65536];
	struct port_set s = port_set_of((struct port_range){ 1024, 65535 }, NULL, 0);

	memset(given, 0, sizeof(given));
	assert_int_equal(s.n_ports, 64512);
	for (uint32_t i = 0; i < 64512; i++) {
		assert_int_equal(portmap_count(m, &s), 64512 - i);
		uint32_t port = port_bits_pick(&m->bits, &s, &rng);
		assert_true(port >= 1024 && port <= 65535);
		assert_int_equal(given[port]++, 0);
		portmap_use(m, port);
	}
	assert_int_equal(port_bits_pick(&m->bits, &s, &rng), PORT_NONE);
	check_counts(m);
	/* The one that comes back is the one that is picked. */
	portmap_release(m, 33333);
	assert_int_equal(port_bits_pick(&m->bits, &s, &rng), 33333);
	for (uint32_t port = 1024; port <= 65535; port++)
		if (port != 33333)
			portmap_release(m, port);
	check_counts(m);
	assert_int_equal(portmap_count(m, &s), 64512);
}

/* Would catch: holes cut wrongly, by one or when they overlap, touch or cover an end. */
static void test_sets(void **state)
{
	static const struct {
		struct port_range ports, excluded[3];
		uint32_t n_excluded, n, n_ports;
	} rows[] = {
		{ { 1, 65535 }, { { 0 } }, 0, 1, 65535 },
		{ { 0, 10 }, { { 0 } }, 0, 1, 10 },
		{ { 10, 20 }, { { 12, 13 }, { 15, 15 } }, 2, 3, 8 },
		{ { 10, 20 }, { { 12, 16 }, { 14, 18 } }, 2, 2, 4 },
		{ { 10, 20 }, { { 14, 18 }, { 12, 16 }, { 13, 13 } }, 3, 2, 4 },
		{ { 10, 20 }, { { 0, 10 }, { 20, 65535 } }, 2, 1, 9 },
		{ { 10, 20 }, { { 12, 13 }, { 14, 15 } }, 2, 2, 7 },
		{ { 10, 20 }, { { 12, 13 }, { 12, 16 } }, 2, 2, 6 },
		{ { 10, 20 }, { { 12, 16 }, { 12, 13 } }, 2, 2, 6 },
		{ { 10, 20 }, { { 0, 65535 } }, 1, 0, 0 },
		{ { 65535, 65535 }, { { 0 } }, 0, 1, 1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct port_set s = port_set_of(rows[i].ports, rows[i].excluded, rows[i].n_excluded);
		uint32_t n = 0;
		for (uint32_t p = 1; p < 65536; p++) {
			bool in = p >= rows[i].ports.first && p <= rows[i].ports.last;
			for (uint32_t e = 0; e < rows[i].n_excluded; e++)
				in &= p < rows[i].excluded[e].first || p > rows[i].excluded[e].last;
			assert_int_equal(port_set_has(&s, p), in);
			if (in)
				assert_int_equal(port_set_at(&s, n++), p);
		}
		struct port_set low = port_set_within(&s, 0, 12), high = port_set_within(&s, 13, 65535);
		for (uint32_t p = 1; p < 65536; p++) {
			assert_int_equal(port_set_has(&low, p), p <= 12 && port_set_has(&s, p));
			assert_int_equal(port_set_has(&high, p), p > 12 && port_set_has(&s, p));
		}
		assert_int_equal(low.n_ports + high.n_ports, s.n_ports);
		assert_int_equal(s.n, rows[i].n);
		assert_int_equal(s.n_ports, rows[i].n_ports);
		/* Each of them can be had. */
		struct portmap *m = *state;
		portmap_init(m);
		for (uint32_t k = 0; k < s.n_ports && k < 50; k++) {
			uint32_t p = port_bits_pick(&m->bits, &s, &rng);
			assert_true(port_set_has(&s, p));
			portmap_use(m, p);
		}
	}
}

/* Chi-square over 256 cells; 330.5 is its 0.999 quantile for 255 degrees of freedom. */
static void check_uniform(const struct portmap *m, const struct port_set *s)
{
	enum { CELLS = 256, PICKS = 25600 };
	static uint32_t cell_of[65536];
	uint32_t n_unused = portmap_count(m, s), seen[CELLS] = { 0 }, k = 0;
	double chi = 0;

	/* Cells of as good as equal numbers of unused ports. */
	for (uint32_t p = 0; p < 65536; p++)
		if (port_set_has(s, p) && portmap_unused(m, p))
			cell_of[p] = (uint32_t)((uint64_t)k++ * CELLS / n_unused);
	for (int i = 0; i < PICKS; i++)
		seen[cell_of[port_bits_pick(&m->bits, s, &rng)]]++;
	for (int c = 0; c < CELLS; c++) {
		uint32_t first = (uint32_t)(((uint64_t)n_unused * (uint32_t)c + CELLS - 1) / CELLS);
		uint32_t behind = (uint32_t)(((uint64_t)n_unused * ((uint32_t)c + 1) + CELLS - 1) / CELLS);
		double expected = (double)PICKS * (behind - first) / n_unused;
		chi += (seen[c] - expected) * (seen[c] - expected) / expected;
	}
	assert_true(chi < 330.5);
}

/* Would catch: ports that can be guessed, above all those behind a long run of used ones. */
static void test_uniform(void **state)
{
	struct portmap *m = *state;
	struct port_set s = port_set_of((struct port_range){ 1024, 65535 }, NULL, 0);

	check_uniform(m, &s);
	/* One long run, then 50% and 99% at random. */
	for (uint32_t p = 20000; p < 40000; p++)
		portmap_use(m, p);
	check_uniform(m, &s);
	while (portmap_count(m, &s) > 32256)
		portmap_use(m, port_bits_pick(&m->bits, &s, &rng));
	check_uniform(m, &s);
	while (portmap_count(m, &s) > 645)
		portmap_use(m, port_bits_pick(&m->bits, &s, &rng));
	check_uniform(m, &s);
}

/* Would catch: a port that came free in a range that was found full, or a block that came, and is not seen; a range
 * taken for full of which only a part is. */
static void test_full(void **state)
{
	struct portmap *m = *state;
	struct port_set s = port_set_of((struct port_range){ 3000, 3099 }, NULL, 0);
	struct port_set part = port_set_within(&s, 3010, 3019),
			wider = port_set_of((struct port_range){ 3000, 3100 }, NULL, 0),
			lower = port_set_of((struct port_range){ 2999, 3099 }, NULL, 0);

	for (uint32_t port = 3000; port < 3100; port++) {
		assert_int_not_equal(port_bits_pick_by(&m->bits, &s, rng_u32(&rng)), PORT_NONE);
		portmap_use(m, port);
	}
	for (uint32_t port = 3000; port < 3100; port++) {
		assert_int_equal(port_bits_pick_by(&m->bits, &s, rng_u32(&rng)), PORT_NONE);
		assert_int_equal(port_bits_pick_by(&m->bits, &part, rng_u32(&rng)), PORT_NONE);
		assert_int_equal(port_bits_pick_by(&m->bits, &s, rng_u32(&rng)), PORT_NONE);
		assert_int_equal(port_bits_pick_by(&m->bits, &wider, rng_u32(&rng)), 3100);
		assert_int_equal(port_bits_pick_by(&m->bits, &s, rng_u32(&rng)), PORT_NONE);
		assert_int_equal(port_bits_pick_by(&m->bits, &lower, rng_u32(&rng)), 2999);
		portmap_release(m, port);
		assert_int_equal(port_bits_pick_by(&m->bits, &s, rng_u32(&rng)), port);
		portmap_use(m, port);
	}
	portmap_init_shared(m);
	assert_int_equal(port_bits_pick_by(&m->bits, &s, 0), PORT_NONE);
	portmap_add_block(m, 3050 / 64);
	assert_in_range(port_bits_pick_by(&m->bits, &s, rng_u32(&rng)), 3008, 3071);
}

/* Would catch: a port that is unused again while somebody still shares it. */
static void test_sharers(void **state)
{
	struct portmap *m = *state;

	for (int i = 0; i < 5; i++)
		portmap_use(m, 2000);
	for (int i = 0; i < 5; i++) {
		assert_false(portmap_unused(m, 2000));
		portmap_release(m, 2000);
	}
	assert_true(portmap_unused(m, 2000));
	while (portmap_can_share(m, 2001))
		portmap_use(m, 2001);
	assert_int_equal(m->sharers[2001], 65534);
	check_counts(m);
	/* Whoever looks for one to share passes it by, until somebody leaves. */
	for (uint32_t w = 0; w < PORTMAP_WORDS; w++)
		assert_int_equal(m->unshareable[w], w == 2001 / 64 ? UINT64_C(1) << 2001 % 64 : 0);
	portmap_release(m, 2001);
	assert_int_equal(m->unshareable[2001 / 64], 0);
	/* Made again, it shares nothing. */
	portmap_init(m);
	assert_int_equal(m->sharers[2001], 0);
	assert_true(portmap_can_share(m, 2001));
	check_counts(m);
}

/* Would catch: a port that is held down although somebody uses it, that is shared while it is, or stays so. */
static void test_rest(void **state)
{
	struct portmap *m = *state;

	portmap_use(m, 2002);
	portmap_use(m, 2002);
	assert_false(portmap_hold_down(m, 2002));
	portmap_release(m, 2002);
	assert_true(portmap_hold_down(m, 2002));
	assert_false(portmap_can_share(m, 2002));
	assert_false(portmap_unused(m, 2002));
	portmap_hold_down_end(m, 2002);
	portmap_release(m, 2002);
	assert_true(portmap_unused(m, 2002));
	check_counts(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_once, start, stop),
		cmocka_unit_test_setup_teardown(test_sets, start, stop),
		cmocka_unit_test_setup_teardown(test_uniform, start, stop),
		cmocka_unit_test_setup_teardown(test_full, start, stop),
		cmocka_unit_test_setup_teardown(test_sharers, start, stop),
		cmocka_unit_test_setup_teardown(test_rest, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
