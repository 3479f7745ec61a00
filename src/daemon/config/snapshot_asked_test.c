/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a config's routes answer. Of a million most are left out of what is asked; a
 * recursive one brings all of them in, and then each answer must be the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "daemon/config/snapshot.h"

/* Leads nowhere, and is nobody's business. */
#define ALL "route 240.0.0.0/8 via 241.0.0.1 recursive;\n"

static struct snapshot *build(const char *text, const char *more)
{
	struct config_errors *errors = NULL;
	char *whole = NULL;

	assert_true(asprintf(&whole, "%s%s", text, more) > 0);
	struct config *c = config_read_text("test", whole, strlen(whole), &errors);

	free(whole);
	if (c == NULL)
		config_errors_print(errors, stderr);
	assert_non_null(c);
	config_errors_free(errors);
	errors = NULL;
	struct snapshot *s = snapshot_build(c, NULL, &errors);

	assert_non_null(s);
	config_errors_free(errors);
	config_free(c);
	return s;
}

static void same(const char *text)
{
	struct snapshot *few = build(text, ""), *all = build(text, ALL);

	assert_int_equal(few->n_routes + 1, all->n_routes);
	assert_int_equal(few->core.n_addresses, all->core.n_addresses);
	for (uint32_t i = 0; i < few->core.n_addresses; i++) {
		const struct core_address *a = &few->core.address[i], *b = &all->core.address[i];

		assert_true(a->prefix.addr == b->prefix.addr && a->prefix.len == b->prefix.len && a->zone == b->zone &&
			    a->is_ours == b->is_ours && a->ifindex == b->ifindex);
	}
	assert_int_equal(few->core.ct.outside, all->core.ct.outside);
	for (uint32_t i = 0; i < IP_INTERFACES_MAX; i++)
		assert_int_equal(few->core.ip.interface[i].used_by, all->core.ip.interface[i].used_by);
	snapshot_destroy(few);
	snapshot_destroy(all);
}

#define INTERFACES \
	"interface lan0 { address 10.77.0.1/24; }\n" \
	"interface wan0 { address 203.0.113.1/24; }\n" \
	"interface wan1 { address 198.51.100.1/24; }\n" \
	"interface ten1 { address 10.1.0.1/24; zone 1; }\n" \
	"interface ten2 { address 10.2.0.1/24; zone 2; }\n" \
	"pool p { 192.0.2.0/28; }\n"

/* Would catch: a static route in the place of a pool's that is not seen, a gateway on a static link, a default route, a
 * way out of a zone behind others that have another, and repetitions that are counted. */
static void test_examples(void **state)
{
	static const char *const text[] = {
		INTERFACES,
		INTERFACES "route 0.0.0.0/0 via 203.0.113.254;\n",
		INTERFACES "route 192.0.2.0/28 via 203.0.113.254;\nroute 192.0.2.8/32 via 203.0.113.254;\n",
		INTERFACES "route 172.16.0.0/16 dev wan1;\nroute 0.0.0.0/5 via 172.16.0.9;\n",
		INTERFACES "route 50.0.0.0/8 via 10.1.0.9 zone 1;\nroute 51.0.0.0/8 via 203.0.113.254 zone 1;\n"
			   "route 52.0.0.0/8 via 203.0.113.254 zone 1;\nroute 53.0.0.0/8 via 198.51.100.9 zone 1;\n"
			   "route 54.0.0.0/8 via 198.51.100.9 zone 2;\nroute 55.0.0.0/8 via 10.2.0.9 zone 2;\n",
		INTERFACES "route 0.0.0.0/0 via 203.0.113.254 via 198.51.100.254;\n"
			   "route 0.0.0.0/0 via 203.0.113.254 via 198.51.100.254 zone 2;\n",
		INTERFACES "route 0.0.0.0/0 blackhole;\nroute 0.0.0.0/0 via 203.0.113.254 metric 5;\n",
	};

	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		same(text[i]);
	struct snapshot *s = build(text[2], "");

	/* In zone 0 the pool's prefix leads elsewhere as a whole. */
	for (uint32_t i = 0; i < s->core.n_addresses; i++)
		assert_false(s->core.address[i].prefix.len == 28 && s->core.address[i].zone == 0);
	snapshot_destroy(s);
	s = build(text[4], "");
	assert_int_equal(s->core.ip.interface[2].used_by, 1);
	assert_int_equal(s->core.ip.interface[3].used_by, 3);
	snapshot_destroy(s);
}

/* Would catch what the examples have forgotten. */
static void test_any(void **state)
{
	static const char *const way[] = { "via 203.0.113.254", "via 198.51.100.7",
					   "via 10.77.0.9",     "dev wan1",
					   "via 203.0.113.9",   "via 198.51.100.7 dev wan1",
					   "blackhole",         "via 203.0.113.254 via 198.51.100.7" };
	uint8_t seed[RNG_SEED_BYTES] = { 3 };
	struct rng rng;

	rng_init(&rng, seed);
	for (uint32_t round = 0; round < 200; round++) {
		char text[8192];
		int len = snprintf(text, sizeof(text), INTERFACES);
		uint32_t n = rng_below(&rng, 40);

		for (uint32_t i = 0; i < n; i++) {
			uint32_t which = rng_below(&rng, 4), bits = which == 0   ? 0
								    : which == 1 ? 28
										 : 8 + rng_below(&rng, 9);
			uint32_t addr = which == 0   ? 0
					: which == 1 ? IP4(192, 0, 2, 0)
						     : (IP4(20 + rng_below(&rng, 80), rng_below(&rng, 256), 0, 0)) &
							       ip4_mask((uint8_t)bits);
			char a[IP4_TEXT_MAX];

			len += snprintf(text + len, sizeof(text) - (size_t)len, "route %s/%u %s metric %u zone %u;\n",
					ip4_format(addr, a), bits, way[rng_below(&rng, 8)], i, rng_below(&rng, 3));
		}
		same(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
