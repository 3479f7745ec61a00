/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What each worker's trace slot is told of packets that change hands, and of routes:
 * three workers, every frame at the first of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "workers_fixture.h"

#define N_WORKERS 3u
#define N_HOSTS 40u
#define HOST IP4(10, 77, 1, 0)
#define SERVER IP4(198, 51, 100, 1)
#define STEPS_MAX 20000u

static const char rules[] = "table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
			    "  oifname \"wan0\" masquerade\n } }\n";

struct told {
	uint32_t worker, packet;
	struct trace_step step;
};

static struct {
	uint32_t n;
	struct told at[STEPS_MAX];
} all;

static void note(void *ctx, const struct trace_step *step)
{
	uint32_t worker = *(const uint32_t *)ctx;

	assert_true(all.n < STEPS_MAX);
	all.at[all.n++] = (struct told){ .worker = worker, .packet = step->p->index, .step = *step };
}

/* The next step of that worker behind i about that packet. */
static const struct told *next_of(uint32_t i, uint32_t worker, uint32_t packet)
{
	while (++i < all.n)
		if (all.at[i].worker == worker && all.at[i].packet == packet)
			return &all.at[i];
	return NULL;
}

static struct fixture *start(uint32_t number[N_WORKERS])
{
	struct fixture *r = fixture_start(N_WORKERS, rules, 4096);

	r->entry = 0;
	/* ARP is over before anybody listens. */
	for (uint32_t k = 0; k < N_HOSTS; k++) {
		struct packet_spec p = {
			.src = HOST + k, .dst = SERVER, .sport = 999, .dport = 53, .proto = IPPROTO_NR_UDP
		};

		fixture_put(r, FIXTURE_LAN, &p);
		fixture_run(r);
	}
	all.n = 0;
	for (uint32_t i = 0; i < N_WORKERS; i++) {
		number[i] = i;
		env_set_trace(gateway_env(workers_gateway(r->workers, i)), note, &number[i]);
	}
	return r;
}

/* Would catch: a packet that changes hands without a word, on one side or on both, between workers that are not told
 * right; one that is told of by the wrong descriptor. */
static void test_handoff(void **state)
{
	uint32_t number[N_WORKERS], n_handed[N_WORKERS][N_WORKERS] = { 0 }, n_taken[N_WORKERS][N_WORKERS] = { 0 };
	struct fixture *r = start(number);
	uint64_t before = fixture_handed_over(r), n = 0;

	(void)state;
	for (uint32_t k = 0; k < N_HOSTS; k++) {
		/* Every other one is too large for a slot of the ring, and goes by its address. */
		struct packet_spec p = { .src = HOST + k,
					 .dst = SERVER,
					 .sport = 4000,
					 .dport = 53,
					 .proto = IPPROTO_NR_UDP,
					 .payload_len = k % 2 ? 1400 : 20 };

		fixture_put(r, FIXTURE_LAN, &p);
	}
	fixture_run(r);
	for (uint32_t i = 0; i < all.n; i++) {
		const struct told *t = &all.at[i], *then;

		if (t->step.kind == TRACE_HANDED_OVER) {
			assert_int_equal(t->step.handoff.from, t->worker);
			assert_int_equal(t->step.handoff.ifindex, r->ifindex[FIXTURE_LAN]);
			n_handed[t->step.handoff.from][t->step.handoff.to]++;
			n++;
		}
		if (t->step.kind != TRACE_TAKEN_OVER)
			continue;
		assert_int_equal(t->step.handoff.to, t->worker);
		n_taken[t->step.handoff.from][t->step.handoff.to]++;
		then = next_of(i, t->worker, t->packet);
		assert_non_null(then);
		assert_int_equal(then->step.kind, TRACE_RECEIVED);
		assert_int_equal(then->step.ifindex, t->step.handoff.ifindex);
	}
	assert_memory_equal(n_handed, n_taken, sizeof(n_handed));
	assert_true(n_handed[0][1] > 0 && n_handed[0][2] > 0);
	assert_int_equal(n_handed[0][0] + n_handed[1][1] + n_handed[2][2], 0);
	assert_int_equal(fixture_handed_over(r) - before, n);
	fixture_stop(r);
}

/* Would catch: a route that is told without the prefix that decided, or with another one's; a group that others than
 * that prefix's packets share. */
static void test_route(void **state)
{
	uint32_t number[N_WORKERS], n_out = 0, group = 0;
	struct fixture *r = start(number);
	struct packet_spec p = { .src = HOST, .dst = SERVER, .sport = 4000, .dport = 53, .proto = IPPROTO_NR_UDP };
	struct ip_prefix by_default = ip_prefix_v4(0, 0), none = { 0 };

	(void)state;
	fixture_put(r, FIXTURE_LAN, &p);
	fixture_run(r);
	for (uint32_t i = 0; i < all.n; i++) {
		const struct trace_step *s = &all.at[i].step;

		if (s->kind != TRACE_ROUTE)
			continue;
		n_out++;
		assert_true(ip_prefix_equal(&s->route.prefix, &by_default));
		assert_int_not_equal(s->route.group, 0);
		assert_int_equal(s->route.table, 0);
		group = s->route.group;
	}
	assert_int_equal(n_out, 1);
	/* On the link, by its prefix and another group. */
	all.n = 0;
	p.dst = IP4(203, 0, 113, 77);
	fixture_put(r, FIXTURE_LAN, &p);
	fixture_run(r);
	for (uint32_t i = 0; i < all.n; i++) {
		const struct trace_step *s = &all.at[i].step;
		struct ip_prefix link = ip_prefix_v4(IP4(203, 0, 113, 0), 24);

		if (s->kind != TRACE_ROUTE)
			continue;
		assert_true(ip_prefix_equal(&s->route.prefix, &link));
		assert_int_not_equal(s->route.group, group);
		assert_false(ip_prefix_equal(&s->route.prefix, &none));
		n_out++;
	}
	assert_int_equal(n_out, 2);
	fixture_stop(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handoff),
		cmocka_unit_test(test_route),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
