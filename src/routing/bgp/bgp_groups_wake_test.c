/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Update groups whose members begin, ask or leave in the middle of something: while withdrawals wait in a batch, while
 * others are asleep, while a part is merged. Each is one order of calls in which somebody was forgotten.
 */
#include "routing/bgp/bgp_groups.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "stack/wire/bgp_fixture.h"
#include "stack/wire/bgp_message.h"

#define N_PEERS 4u
#define PER_MESSAGE 500u
#define LOCAL_ADDR IP4(10, 9, 0, 1)

static struct bgp_table *table;
static struct bgp_groups *groups;
static uint32_t source; /* announces; is told nothing */

static struct peer {
	uint32_t member;
	bool is_awake, is_dumped;
	struct bgp_neighbor_config config;
	uint32_t n_announced, n_withdrawn; /* prefixes, as they came */
} peer[N_PEERS];

static void terms(void *user, const struct bgp_outbound_peer *p, struct bgp_group_terms *t)
{
	t->export = bgp_export_all;
}

static void wake(void *user, uint32_t neighbor)
{
	peer[neighbor].is_awake = true;
}

static void start(void)
{
	static const struct siphash_key key = { 3, 4 };
	static const struct bgp_table_limits limits = { .prefixes = 20000, .paths = 20000, .set_bytes = 1 << 22 };
	const struct bgp_source from = { BGP_EXTERNAL, 7, IP4(10, 9, 0, 11) };

	memset(peer, 0, sizeof(peer));
	assert_int_equal(bgp_table_create(&table, &limits, BGP_MED_SAME_AS, &key), 0);
	assert_int_equal(bgp_groups_create(&groups, &(struct bgp_groups_config){ table, terms, wake, NULL }), 0);
	source = bgp_table_add_source(table, &from);
}

static void end(void)
{
	bgp_groups_destroy(groups);
	bgp_table_destroy(table);
}

static void come_up(uint32_t k)
{
	struct bgp_wire w = bgp_fixture_wire();

	w.peer_as = 65100 + k;
	peer[k].is_awake = true;
	assert_int_equal(bgp_groups_slot.up(groups,
					    &(struct bgp_outbound_peer){ .neighbor = k,
									 .config = &peer[k].config,
									 .wire = w,
									 .source = BGP_SOURCE_NONE,
									 .local_addr = LOCAL_ADDR },
					    &peer[k].member),
			 0);
}

static void say(const char *withdrawn, const char *attrs, const char *nlri)
{
	static uint8_t bytes[BGP_FIXTURE_MAX];
	static struct bgp_update u;
	const struct bgp_wire w = bgp_fixture_wire();
	struct bgp_error e;
	size_t len = bgp_fixture_update(bytes, withdrawn, attrs, nlri);

	assert_int_equal(bgp_update_parse(&w, bytes, len, &u, &e), BGP_ACCEPT);
	bgp_table_update(table, source, &u, BGP_ACCEPT, 0);
}

/* Hosts by number, n of them, which PER_MESSAGE divides. */
static void say_hosts(uint32_t n, bool is_withdrawn)
{
	static char nlri[PER_MESSAGE * 11 + 1];

	for (uint32_t i = 0; i < n; i += PER_MESSAGE) {
		for (uint32_t k = 0; k < PER_MESSAGE; k++)
			(void)snprintf(nlri + k * (size_t)11, 12, "20 %08x", IP4(20, 0, 0, 0) + i + k);
		say(is_withdrawn ? nlri : "", is_withdrawn ? "" : BGP_FIXTURE_USUAL, is_withdrawn ? "" : nlri);
	}
}

/* n prefixes, each with 1,500 bytes of attributes of its own. */
static void say_large(uint32_t n)
{
	char attrs[200], nlri[20];

	for (uint32_t i = 0; i < n; i++) {
		(void)snprintf(attrs, sizeof(attrs), BGP_FIXTURE_USUAL "c00804fde8%04x d0d305dc{ab}1500", i);
		(void)snprintf(nlri, sizeof(nlri), "18 1e%04x", i);
		say("", attrs, nlri);
	}
}

/* One call of its session's. Returns bytes. */
static size_t hear(uint32_t k)
{
	static uint8_t buf[65536];
	static struct bgp_message m;
	struct peer *p = &peer[k];
	struct bgp_wire w = bgp_fixture_wire();
	struct ip4_prefix prefix;
	size_t n = bgp_groups_slot.next(groups, p->member, buf, sizeof(buf)), len;

	w.peer_as = 65000;
	w.local_as = 65100 + k;
	w.local_id = w.local_addr = IP4(10, 9, 0, 100);
	for (size_t at = 0; at < n; at += len) {
		assert_int_equal(bgp_frame(buf + at, n - at, &len, &m.error), BGP_FRAME_WHOLE);
		assert_int_equal(bgp_message_parse(&w, BGP_ESTABLISHED, buf + at, len, &m), BGP_ACCEPT);
		while (bgp_nlri_next(&m.update.withdrawn, &prefix))
			p->n_withdrawn++;
		while (bgp_nlri_next(&m.update.nlri, &prefix))
			p->n_announced++;
	}
	p->is_awake = n > 0;
	p->is_dumped = p->is_dumped || bgp_groups_slot.is_dumped(groups, p->member);
	return n;
}

/* Until nobody is awake and there is no work, of the first n. */
static void settle(uint32_t n)
{
	for (bool any = true; any;) {
		any = bgp_groups_work(groups);
		for (uint32_t k = 0; k < n; k++)
			while (peer[k].is_awake) {
				any = true;
				(void)hear(k);
			}
	}
}

/* Would catch: withdrawals that are forgotten when everything is to be told once more while they wait in a batch: what
 * is gone has no path, and is not among what a dump tells. */
static void test_restart_in_a_batch(void **state)
{
	const uint32_t n = 8000;

	for (uint32_t again = 0; again < 2; again++) {
		start();
		come_up(0);
		say_hosts(n, false);
		settle(1);
		assert_int_equal(peer[0].n_announced, n);
		say_hosts(n, true);
		assert_true(hear(0) > 0); /* one chunk: they are more */
		assert_in_range(peer[0].n_withdrawn, 1, n - 1);
		if (again == 0)
			bgp_groups_slot.refresh(groups, peer[0].member);
		else
			bgp_groups_judge_again(groups, bgp_export_all.user);
		settle(1);
		assert_int_equal(peer[0].n_withdrawn, n);
		assert_int_equal(bgp_table_stats(table).n_kept, 0);
		end();
	}
}

/* Would catch: work on a part that never ends, since those that are asleep have not read a log that is full, and who
 * wrote it has left. */
static void test_writer_leaves(void **state)
{
	const uint32_t n = 300;

	start();
	say_large(n);
	for (uint32_t k = 0; k < 3; k++)
		come_up(k);
	/* Two ask before there is anything, and sleep; the third finds it, and reads alone. */
	assert_true(hear(0) == 0 && hear(1) == 0);
	for (uint32_t i = 0; i < 8; i++)
		assert_true(hear(2) > 0);
	assert_int_equal(bgp_groups_stats(groups).n_split, 0);
	bgp_groups_slot.down(groups, peer[2].member);
	settle(2);
	assert_true(peer[0].n_announced == n && peer[1].n_announced == n);
	assert_true(peer[0].is_dumped && peer[1].is_dumped);
	end();
}

/* Would catch: End-of-RIB that somebody never hears, who slept while another of its part found that there is nothing,
 * and the part was merged into one that has nothing to do. */
static void test_merged_asleep(void **state)
{
	start();
	come_up(3);
	settle(N_PEERS);
	assert_true(peer[3].is_dumped);
	for (uint32_t k = 0; k < 3; k++)
		come_up(k);
	for (uint32_t k = 0; k < 3; k++)
		assert_int_equal(hear(k), 0);
	settle(N_PEERS);
	assert_int_equal(bgp_groups_stats(groups).n_parts, 1);
	for (uint32_t k = 0; k < 3; k++)
		assert_true(peer[k].is_dumped);
	end();
}

/* Would catch: a neighbour that asks for everything all the time and so never hears any of it, while each time costs a
 * look at all prefixes. */
static void test_asks_all_the_time(void **state)
{
	const uint32_t n = 8000;

	start();
	come_up(0);
	say_hosts(n, false);
	settle(1);
	peer[0].n_announced = 0;
	for (uint32_t i = 0; i < 8; i++) {
		bgp_groups_slot.refresh(groups, peer[0].member);
		(void)hear(0);
	}
	assert_true(peer[0].n_announced >= n);
	say_hosts(PER_MESSAGE, true);
	bgp_groups_slot.refresh(groups, peer[0].member);
	settle(1);
	assert_true(peer[0].is_dumped && peer[0].n_withdrawn == PER_MESSAGE);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restart_in_a_batch),
		cmocka_unit_test(test_writer_leaves),
		cmocka_unit_test(test_merged_asleep),
		cmocka_unit_test(test_asks_all_the_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
