/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A neighbour is lost as a next hop and comes back, while the first request for memory fails, then the second, and so
 * on, until none does, and once more with all requests behind it failing too: requests come by refused_memory.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "routing/rib/rib.h"
#include "../refused_memory.h"

#define N_PREFIXES 3u

/* Each prefix by two gateways, the first of them better: as many groups as prefixes. */
static void set_routes(struct rib *r)
{
	for (uint32_t i = 1; i <= 2; i++) {
		struct rib_route link = { .prefix = ip_prefix_v4(IP4(10, 0, 0, 0) + (i << 16), 16),
					  .nexthop = { .kind = FIB_UNICAST, .ifindex = i },
					  .instance = i,
					  .source = RIB_CONNECTED };

		assert_int_equal(rib_set(r, &link), 0);
		for (uint32_t k = 0; k < N_PREFIXES; k++) {
			struct rib_route route = { .prefix = ip_prefix_v4((20 + k) << 24, 8),
						   .nexthop = { .kind = FIB_UNICAST,
								.gateway = ip_addr_v4(IP4(10, i, 0, 1 + (i > 1) * k)) },
						   .source = RIB_STATIC,
						   .metric = i,
						   .instance = i };

			assert_int_equal(rib_set(r, &route), 0);
		}
	}
	assert_int_equal(rib_flush(r), 0);
}

static void all_go_by(const struct fib *f, uint32_t ifindex)
{
	for (uint32_t k = 0; k < N_PREFIXES; k++)
		assert_int_equal(fib_nexthop(f, fib_lookup(f, (20 + k) << 24))->ifindex, ifindex);
}

/* Would catch: a change that is said to be in force while some routes, or all, are as before; one that cannot be tried
 * again; half a change that stays. */
static void test_lost_without_memory(void **state)
{
	struct ip_addr hop = ip_addr_v4(IP4(10, 1, 0, 1));
	uint32_t n_failed = 0;

	(void)state;
	for (uint32_t i = 2; i < 100; i++) {
		uint32_t at = i / 2;
		struct rib *r = rib_create(RIB_FORWARDS);
		const struct fib *f = rib_fib_hold(r, 0);

		set_routes(r);
		for (uint32_t up = 0; up < 2; up++) {
			uint32_t before = up ? 2 : 1, behind = up ? 1 : 2;

			all_go_by(f, before);
			n_asked = 0;
			fails_at = at;
			stays_short = i % 2 != 0;
			(void)rib_neighbour_changed(r, 1, &hop, up);
			fails_at = 0;
			n_failed += n_asked >= at;
			if (rib_is_lost(r, 1, &hop) == up) {
				all_go_by(f, before);
				(void)rib_neighbour_changed(r, 1, &hop, up);
			}
			assert_int_equal(rib_is_lost(r, 1, &hop), !up);
			all_go_by(f, behind);
		}
		rib_fib_release(r, 0);
		rib_release(r);
	}
	assert_true(n_failed > 8);
}

/* Would catch: a list of lost neighbours that grows for ever, or a place in it that is not had again. */
static void test_bounded(void **state)
{
	struct rib *r = rib_create(RIB_FORWARDS);
	struct ip_addr hop;

	(void)state;
	for (uint32_t i = 0; i <= RIB_LOST_MAX; i++) {
		hop = ip_addr_v4(IP4(10, 0, 0, 0) + i);
		(void)rib_neighbour_changed(r, 1, &hop, false);
		assert_int_equal(rib_is_lost(r, 1, &hop), i < RIB_LOST_MAX);
	}
	struct ip_addr first = ip_addr_v4(IP4(10, 0, 0, 0));

	(void)rib_neighbour_changed(r, 1, &first, true);
	(void)rib_neighbour_changed(r, 1, &hop, false);
	assert_true(rib_is_lost(r, 1, &hop));
	assert_int_equal(rib_n_lost(r), RIB_LOST_MAX);
	rib_release(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_lost_without_memory),
					    cmocka_unit_test(test_bounded) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
