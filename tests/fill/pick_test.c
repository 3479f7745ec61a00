/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Are picked ports random (RFC 6056 section 3.3)? Named tests with a fixed seed:
 *
 *   chi-squared over ports and over buckets of 1,024 ports: uniform?
 *   runs up and down (Wald and Wolfowitz 1943): does a port depend on the one
 *   before? For a random order of n numbers the number of runs has mean (2n - 1) / 3
 *   and variance (16n - 29) / 90.
 *   serial correlation of successive ports, for slow drifts: standard deviation
 *   1 / sqrt(n).
 *
 * Each gives a z, the distance from what is expected in standard deviations (of
 * chi-squared by Wilson and Hilferty's cube root, 1931). A z beyond 3.29 either way
 * fails: one good generator in a thousand would, and the seed is fixed, so it is
 * either never or always. The last test shows that pickers of the wrong kind are
 * found by these numbers.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fixture.h"
#include "stack/ports/portmap.h"

#define Z_MAX 3.29
#define N_BUCKETS (N_PORTS / 1024) /* 63 */
#define SERVER IP4(198, 51, 100, 1)

static const struct port_range all_ports = { PORTS_FIRST, PORTS_LAST };

/* Chi-squared of n counts that should be equal, as a z. fraction: how much of the population was left, for draws
 * without replacement; 1 with. */
static double chi_squared_z(const uint32_t *count, uint32_t n, double fraction)
{
	double sum = 0, x = 0, k = n - 1;

	for (uint32_t i = 0; i < n; i++)
		sum += count[i];
	for (uint32_t i = 0; i < n; i++)
		x += (count[i] - sum / n) * (count[i] - sum / n) / (sum / n);
	x /= fraction;
	return (cbrt(x / k) - (1 - 2 / (9 * k))) / sqrt(2 / (9 * k));
}

static double runs_z(const uint16_t *v, uint32_t n)
{
	uint32_t runs = 1;

	for (uint32_t i = 2; i < n; i++)
		runs += (v[i] > v[i - 1]) != (v[i - 1] > v[i - 2]);
	return (runs - (2.0 * n - 1) / 3) / sqrt((16.0 * n - 29) / 90);
}

static double serial_z(const uint16_t *v, uint32_t n)
{
	double mean = 0, variance = 0, with_next = 0;

	for (uint32_t i = 0; i < n; i++)
		mean += (double)v[i] / n;
	for (uint32_t i = 0; i < n; i++)
		variance += (v[i] - mean) * (v[i] - mean);
	for (uint32_t i = 0; i + 1 < n; i++)
		with_next += (v[i] - mean) * (v[i + 1] - mean);
	return with_next / variance * sqrt(n);
}

/* Of an order of ports: how evenly its first quarter is spread. */
static double spread_z(const uint16_t *v, uint32_t n)
{
	uint32_t count[N_BUCKETS] = { 0 };

	for (uint32_t i = 0; i < n / 4; i++)
		count[(v[i] - PORTS_FIRST) / 1024]++;
	return chi_squared_z(count, N_BUCKETS, 0.75);
}

static bool is_random(double z)
{
	return fabs(z) <= Z_MAX;
}

static void check(const char *what, double z)
{
	print_message("%-60s z = %5.2f\n", what, z);
	assert_true(is_random(z));
}

static void check_order(const char *what, const uint16_t *v)
{
	print_message("%s\n", what);
	check("  chi-squared, first quarter, 63 buckets", spread_z(v, N_PORTS));
	check("  runs up and down", runs_z(v, N_PORTS));
	check("  serial correlation", serial_z(v, N_PORTS));
}

static void seed_rng(struct rng *r)
{
	static const uint8_t seed[RNG_SEED_BYTES] = "ports are random";

	rng_init(r, seed);
}

/* Would catch: a port that comes up more often, an edge of the range that never
 * does. */
static void test_draws(void **state)
{
	enum { N_DRAWS = 1 << 20 };
	struct port_set set = port_set_of(all_ports, NULL, 0);
	struct portmap *m = calloc(1, sizeof(*m));
	uint32_t *count = calloc(N_PORTS, sizeof(*count)), bucket[N_BUCKETS] = { 0 };
	struct rng rng;

	assert_non_null(m);
	assert_non_null(count);
	seed_rng(&rng);
	portmap_init(m);
	for (uint32_t i = 0; i < N_DRAWS; i++) {
		uint32_t port = port_bits_pick(&m->bits, &set, &rng);

		assert_in_range(port, PORTS_FIRST, PORTS_LAST);
		count[port - PORTS_FIRST]++;
		bucket[(port - PORTS_FIRST) / 1024]++;
	}
	check("chi-squared, 1,048,576 draws, 64,512 ports", chi_squared_z(count, N_PORTS, 1));
	check("chi-squared, 1,048,576 draws, 63 buckets", chi_squared_z(bucket, N_BUCKETS, 1));
	free(count);
	free(m);
}

/* What is left of a nearly full map: lone ports, the first and the last, two together, most behind long runs of used
 * ones. */
static const uint16_t left[] = { 1024, 1025, 1087, 1088, 20000, 40000, 65472, 65535 };

static void only_left(struct portmap *m)
{
	portmap_init(m);
	for (uint32_t port = PORTS_FIRST, i = 0; port <= PORTS_LAST; port++) {
		if (i < ARRAY_LEN(left) && left[i] == port)
			i++;
		else
			portmap_use(m, port);
	}
}

static uint32_t place_in_left(uint32_t port)
{
	for (uint32_t i = 0; i < ARRAY_LEN(left); i++)
		if (left[i] == port)
			return i;
	fail_msg("port %u was in use", port);
	return 0;
}

/* Would catch: a search from a random place, with which the port behind a long
 * run of used ones can be guessed. */
static void test_last_ports(void **state)
{
	struct port_set set = port_set_of(all_ports, NULL, 0);
	struct portmap *m = calloc(1, sizeof(*m));
	uint32_t count[ARRAY_LEN(left)] = { 0 };
	struct rng rng;

	assert_non_null(m);
	seed_rng(&rng);
	only_left(m);
	for (uint32_t i = 0; i < 80000; i++)
		count[place_in_left(port_bits_pick(&m->bits, &set, &rng))]++;
	check("chi-squared, 80,000 draws among the last 8 ports", chi_squared_z(count, ARRAY_LEN(left), 1));
	memset(count, 0, sizeof(count));
	for (uint32_t i = 0; i < 80000; i++)
		count[place_in_left(port_bits_pick_by(&m->bits, &set, rng_u32(&rng)))]++;
	check("the same with numbers drawn ahead", chi_squared_z(count, ARRAY_LEN(left), 1));
	free(m);
}

struct order {
	uint32_t n;
	uint16_t port[N_PORTS];
};

static void note_port(struct fixture *b, enum side side, const struct ipv4_view *ip, const struct l4_view *l4)
{
	struct order *o = b->ctx;

	assert_int_equal(side, WAN);
	assert_true(o->n < N_PORTS);
	o->port[o->n++] = l4->sport;
}

static void fill(struct fixture *b, struct order *o, uint32_t dst)
{
	o->n = 0;
	for (uint32_t k = 0; k < N_PORTS; k++) {
		struct flow f = { .src = IP4(10, 77, 0, 2),
				  .dst = dst,
				  .sport = (uint16_t)(PORTS_FIRST + k),
				  .dport = 53,
				  .proto = IPPROTO_NR_UDP };
		fixture_put(b, LAN, &f, 0);
	}
	fixture_settle(b);
	assert_int_equal(o->n, N_PORTS);
}

/* The order in which a gateway gives out its ports to a client that counts its own up. Would catch: an order that
 * follows the client's, or that a peer can foretell from the ports it has seen; also for shared ports, which are
 * picked in another way. */
static void test_fill_order(void **state)
{
	static struct order o;
	struct fixture *b = fixture_start("pool one { 203.0.113.16; ports 1024-65535; }\n"
					  "table ip nat { chain post { type nat hook postrouting priority srcnat;\n"
					  "  policy accept; oifname \"wan0\" snat to pool one\n } }\n",
					  2 * N_PORTS + 100);

	b->ctx = &o;
	b->seen = note_port;
	fill(b, &o, SERVER);
	check_order("unused ports, in the order of a fill", o.port);
	fill(b, &o, SERVER + 1);
	check_order("shared ports, in the order of a fill", o.port);
	fixture_stop(b);
}

/* Would catch: a test that lets everything pass. */
static void test_these_would_notice(void **state)
{
	static uint16_t v[N_PORTS];
	uint32_t count[ARRAY_LEN(left)] = { 0 };
	struct portmap *m = calloc(1, sizeof(*m));
	struct rng rng;

	assert_non_null(m);
	seed_rng(&rng);
	/* Counting up. */
	for (uint32_t i = 0; i < N_PORTS; i++)
		v[i] = (uint16_t)(PORTS_FIRST + i);
	assert_false(is_random(runs_z(v, N_PORTS)));
	assert_false(is_random(serial_z(v, N_PORTS)));
	assert_false(is_random(spread_z(v, N_PORTS)));
	/* A fixed stride looks evenly spread: too evenly. */
	for (uint32_t i = 0; i < N_PORTS; i++)
		v[i] = (uint16_t)(PORTS_FIRST + i * 25013u % N_PORTS);
	assert_false(is_random(spread_z(v, N_PORTS)));
	assert_false(is_random(runs_z(v, N_PORTS)));
	/* Random, but the upper half is preferred by a twentieth. */
	for (uint32_t i = 0; i < N_PORTS; i++)
		v[i] = (uint16_t)(PORTS_FIRST + (rng_below(&rng, 20) == 0 ? N_PORTS / 2 + rng_below(&rng, N_PORTS / 2)
									  : rng_below(&rng, N_PORTS)));
	assert_false(is_random(spread_z(v, N_PORTS)));
	/* From a random place to the next unused port. */
	only_left(m);
	for (uint32_t i = 0; i < 80000; i++) {
		uint32_t port = PORTS_FIRST + rng_below(&rng, N_PORTS);

		while (!portmap_unused(m, port))
			port = port == PORTS_LAST ? PORTS_FIRST : port + 1;
		count[place_in_left(port)]++;
	}
	assert_false(is_random(chi_squared_z(count, ARRAY_LEN(left), 1)));
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_draws),
		cmocka_unit_test(test_last_ports),
		cmocka_unit_test(test_fill_order),
		cmocka_unit_test(test_these_would_notice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
