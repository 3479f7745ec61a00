/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/fastpath/fast.h"
#include "base/util.h"

/* Would catch: cores that share the neighbours of one, or more of them than a flow can name; a size that somebody
 * asked for and does not get. */
static void test_limits(void **state)
{
	static const struct {
		uint32_t offload_max, n_connections, n_neighbours, n_cores;
		uint32_t connections, adjacencies;
	} rows[] = {
		{ 0, 1000, 0, 1, 1000, IP_NEIGHBOURS_DEFAULT },
		{ 0, 1000, 0, 4, 1000, 4 * IP_NEIGHBOURS_DEFAULT },
		{ 0, 1000, 512, 4, 1000, 2048 },
		{ 0, 1000, 0, WORKERS_MAX, 1000, IP_ADJACENCIES_MAX },
		{ 0, 1000, IP_ADJACENCIES_MAX, WORKERS_MAX, 1000, IP_ADJACENCIES_MAX },
		{ 77, 1000, 0, 1, 77, IP_NEIGHBOURS_DEFAULT },
		{ 0, 2 * FAST_CONNECTIONS_DEFAULT_MAX, 0, 1, FAST_CONNECTIONS_DEFAULT_MAX, IP_NEIGHBOURS_DEFAULT },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fast_limits l =
			fast_limits(rows[i].offload_max, rows[i].n_connections, rows[i].n_neighbours, rows[i].n_cores);

		assert_int_equal(l.maps.n_connections, rows[i].connections);
		assert_int_equal(l.maps.n_adjacencies, rows[i].adjacencies);
		assert_int_equal(l.n_cores, rows[i].n_cores);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
