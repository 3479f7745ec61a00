/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BGP's paths on their way into the RIB and the FIB, a neighbour that dies, and a next hop that is led elsewhere, while
 * the first request for memory fails, then the second, and so on, until none does, and once more with all requests
 * behind it failing too: requests come by refused_memory.h. Then there is memory again.
 */
#include "routing/bgp/bgp_rib_test.h"

#include "../refused_memory.h"

#define N_PREFIXES 80u /* more than go at once */

static struct ip4_prefix prefix_of(uint32_t i)
{
	return (struct ip4_prefix){ IP4(44, 0, 0, 0) + (i << 16), 16 };
}

/* Both external: the one beside us, and one behind a route of OSPF's. */
static void say_all(struct bgp_rib_bed *d)
{
	for (uint32_t i = 0; i < N_PREFIXES; i++) {
		bed_say(d, 0, prefix_of(i), IP4(10, 0, 1, 9), 1, 0);
		bed_say(d, 1, prefix_of(i), i % 2 != 0 ? IP4(10, 255, 0, 1) : IP4(10, 0, 2, 9), 2, 0);
	}
}

/* There is memory again: what the control thread does once a second. */
static void recover(struct bgp_rib_bed *d)
{
	fails_at = 0;
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(rib_flush(d->rib), 0);
		bed_work(d);
	}
	assert_int_equal(rib_n_unsettled(d->rib), 0);
}

static void all_go_by(const struct bgp_rib_bed *d, uint32_t even, uint32_t odd)
{
	for (uint32_t i = 0; i < N_PREFIXES; i++)
		assert_int_equal(bed_gateway(d, prefix_of(i).addr + 1), i % 2 != 0 ? odd : even);
}

enum what { LOADS, DIES, IS_LED_ELSEWHERE, N_WHAT };

static void set_way(struct bgp_rib_bed *d, uint32_t link)
{
	struct rib_route way = bed_via(IP4(10, 255, 0, 0), 24, IP4(10, 0, link, 9), 0);

	(void)rib_set(d->rib, &way);
	(void)rib_flush(d->rib);
}

/* True when memory was refused. */
static bool run(enum what what, uint32_t at)
{
	struct bgp_rib_bed d;

	bed_begin(&d, 2, 0);
	set_way(&d, 3);
	if (what != LOADS) {
		say_all(&d);
		bed_work(&d);
	}
	n_asked = 0;
	fails_at = at;
	if (what == LOADS)
		say_all(&d);
	else if (what == DIES)
		(void)bgp_rib_source_changed(d.b, 0, false);
	else
		set_way(&d, 4);
	(void)bgp_rib_flush(d.b);
	(void)bgp_rib_work(d.b, 10);
	bool was_refused = n_asked >= at;

	fails_at = 0;
	/* What the table had no room for is said once more; what it has already is no news to it. */
	if (what == LOADS)
		say_all(&d);
	if (what == IS_LED_ELSEWHERE)
		set_way(&d, 4);
	recover(&d);
	if (what == DIES)
		all_go_by(&d, IP4(10, 0, 2, 9), IP4(10, 0, 3, 9));
	else
		all_go_by(&d, IP4(10, 0, 1, 9), IP4(10, 0, 1, 9));
	/* The second best is there too. */
	(void)bgp_rib_source_changed(d.b, 0, false);
	all_go_by(&d, IP4(10, 0, 2, 9), what == IS_LED_ELSEWHERE ? IP4(10, 0, 4, 9) : IP4(10, 0, 3, 9));
	bed_end(&d);
	return was_refused;
}

/* Would catch: a way, a next hop or a prefix that is forgotten when there was no memory for it, or tried without end; a
 * neighbour that is dead and still has its packets; what is not given back. */
static void test_each_allocation(void **state)
{
	uint32_t n_refused = 0;

	for (int what = 0; what < N_WHAT; what++)
		for (int all = 0; all < 2; all++) {
			stays_short = all != 0;
			for (uint32_t at = 1; run((enum what)what, at); at++)
				n_refused++;
		}
	assert_true(n_refused > 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_each_allocation) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
