/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/run/spin.h"
#include "base/util.h"

struct run {
	struct spin spin;
	uint64_t now, looked_ns;
	uint32_t n_sleeps;
};

/* Nothing comes for gap_ns, then a packet. Looks take a microsecond. */
static void packet_after(struct run *r, uint64_t gap_ns)
{
	uint64_t comes = r->now + gap_ns;

	while (r->now < comes && spin_goes_on(&r->spin, r->now)) {
		r->now += NS_PER_US;
		r->looked_ns += NS_PER_US;
	}
	r->n_sleeps += r->now < comes;
	r->now = max_u64(r->now, comes);
	spin_found(&r->spin, r->now);
}

static struct run start(void)
{
	return (struct run){ .now = 3600 * NS_PER_S };
}

/* 20,000 packets a second that each come alone. Would catch: a sleep, and a wake in the place that forwards, between
 * each two of them because none came within the first microsecond. */
static void test_steady(void **state)
{
	struct run r = start();

	for (int i = 0; i < 1000; i++)
		packet_after(&r, 50 * NS_PER_US);
	assert_in_range(r.n_sleeps, 1, 10);
	/* A pause now and then does not bring the sleeps back. */
	r.n_sleeps = 0;
	for (int i = 0; i < 1000; i++)
		packet_after(&r, i % 100 == 0 ? 5 * NS_PER_MS : 50 * NS_PER_US);
	assert_in_range(r.n_sleeps, 10, 30);
}

/* Would catch: a processor kept busy by what comes too seldom for it to pay, alone or in pairs, or after a flood. */
static void test_seldom(void **state)
{
	struct run r = start();

	for (int i = 0; i < 1000; i++)
		packet_after(&r, 50 * NS_PER_US);
	r.looked_ns = 0;
	uint64_t began = r.now;
	for (int i = 0; i < 1000; i++)
		packet_after(&r, NS_PER_MS);
	assert_true(r.looked_ns * 100 < r.now - began);
	r.looked_ns = 0;
	began = r.now;
	for (int i = 0; i < 2000; i++)
		packet_after(&r, i % 2 == 0 ? NS_PER_MS : 20 * NS_PER_US);
	assert_true(r.looked_ns * 100 < r.now - began);
}

/* Would catch: a look at an idle gateway that does not end. */
static void test_idle(void **state)
{
	struct run r = start();

	assert_false(spin_goes_on(&r.spin, r.now));
	spin_found(&r.spin, r.now);
	assert_true(spin_goes_on(&r.spin, r.now));
	assert_false(spin_goes_on(&r.spin, r.now + SPIN_MAX_NS));
	spin_relax();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steady),
		cmocka_unit_test(test_seldom),
		cmocka_unit_test(test_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
