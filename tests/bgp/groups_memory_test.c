/* SPDX-License-Identifier: BSD-2-Clause
 *
 * All memory refused once, at each allocation in turn, while neighbours are told of a table that changes: they come up,
 * one does not read, one asks for everything once more, one gets into another group. Requests come by
 * refused_memory.h.
 *
 * Would catch: an allocation of update groups that is taken for granted; one whose refusal leaves a neighbour with a
 * route that is not there, or without one that is, or without End-of-RIB, or that is not counted.
 */
#include "routing/bgp/bgp_groups.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "stack/wire/bgp_fixture.h"
#include "stack/wire/bgp_message.h"

#include "../refused_memory.h"

#define N_PEERS 3u
#define N_PREFIXES 220u

static struct bgp_table *table;
static struct bgp_groups *groups;
static uint32_t source; /* announces; is told nothing */
static bool up_failed;

static struct peer {
	uint32_t member;
	bool is_awake, is_dumped;
	struct bgp_neighbor_config config;
	uint16_t known[N_PREFIXES]; /* the community that it came with; 0: it is not known */
} peer[N_PEERS];

static void terms(void *user, const struct bgp_outbound_peer *p, struct bgp_group_terms *t)
{
	t->export = bgp_export_all;
	t->tag = p->config->tag;
}

static void wake(void *user, uint32_t neighbor)
{
	peer[neighbor].is_awake = true;
}

static struct bgp_wire wire_of(uint32_t k)
{
	struct bgp_wire w = bgp_fixture_wire();

	w.peer_as = 65100 + k;
	return w;
}

/* A session that finds no memory tries again. */
static void come_up(uint32_t k)
{
	const struct bgp_outbound_peer p = { .neighbor = k,
					     .config = &peer[k].config,
					     .wire = wire_of(k),
					     .source = BGP_SOURCE_NONE,
					     .local_addr = IP4(10, 9, 0, 1) };

	peer[k].is_awake = true;
	for (int err; (err = bgp_groups_slot.up(groups, &p, &peer[k].member)) != 0; up_failed = true)
		assert_int_equal(err, -ENOMEM);
}

/* Every step-th prefix from `first` on; value 0: withdrawn. */
static void say(uint32_t first, uint32_t step, uint16_t value)
{
	static uint8_t bytes[BGP_FIXTURE_MAX];
	static struct bgp_update u;
	const struct bgp_wire w = bgp_fixture_wire();
	char attrs[200], nlri[20];
	struct bgp_error e;

	(void)snprintf(attrs, sizeof(attrs), BGP_FIXTURE_USUAL "c00804fde8%04x d0d305dc{ab}1500", value);
	for (uint32_t i = first; i < N_PREFIXES; i += step) {
		(void)snprintf(nlri, sizeof(nlri), "18 0b%04x", i);
		size_t len = bgp_fixture_update(bytes, value == 0 ? nlri : "", value == 0 ? "" : attrs,
						value == 0 ? "" : nlri);
		assert_int_equal(bgp_update_parse(&w, bytes, len, &u, &e), BGP_ACCEPT);
		bgp_table_update(table, source, &u, BGP_ACCEPT, 0);
	}
}

static uint16_t value_of(const struct bgp_attrs *a)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (a->list[i].type == BGP_COMMUNITIES)
			return bytes_get16(a->list[i].value + 2);
	return 0;
}

static size_t hear(uint32_t k)
{
	static uint8_t buf[65536];
	static struct bgp_message m;
	struct bgp_wire w = wire_of(k);
	struct ip4_prefix prefix;
	size_t n = bgp_groups_slot.next(groups, peer[k].member, buf, sizeof(buf)), len;

	w.local_as = w.peer_as;
	w.peer_as = 65000;
	w.local_id = w.local_addr = IP4(10, 9, 0, 100);
	for (size_t at = 0; at < n; at += len) {
		assert_int_equal(bgp_frame(buf + at, n - at, &len, &m.error), BGP_FRAME_WHOLE);
		assert_int_equal(bgp_message_parse(&w, BGP_ESTABLISHED, buf + at, len, &m), BGP_ACCEPT);
		while (bgp_nlri_next(&m.update.withdrawn, &prefix))
			peer[k].known[prefix.addr >> 8 & 0xffff] = 0;
		while (bgp_nlri_next(&m.update.nlri, &prefix))
			peer[k].known[prefix.addr >> 8 & 0xffff] = value_of(&m.update.attrs);
	}
	peer[k].is_awake = n > 0;
	peer[k].is_dumped = peer[k].is_dumped || bgp_groups_slot.is_dumped(groups, peer[k].member);
	return n;
}

/* Of the first n. */
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

/* Of a path that was said: its value. */
static uint16_t in_table(uint32_t i)
{
	struct bgp_path_view best = bgp_table_best(table, (struct ip4_prefix){ IP4(11, 0, 0, 0) + (i << 8), 24 });
	struct bgp_attr a;

	if (best.set == BGP_SET_NONE)
		return 0;
	const struct bgp_set *set = bgp_table_set(table, best.set);

	for (struct bgp_nlri rest = { set->bytes, set->len }; bgp_set_next(&rest, &a);)
		if (a.type == BGP_COMMUNITIES)
			return bytes_get16(a.value + 2);
	return 0;
}

/* The first n have read all, and know what there is. */
static void check(uint32_t n)
{
	settle(n);
	for (uint32_t k = 0; k < n; k++) {
		assert_true(peer[k].is_dumped);
		for (uint32_t i = 0; i < N_PREFIXES; i++)
			assert_int_equal(peer[k].known[i], in_table(i));
	}
}

/* Returns false when there was nothing left to refuse. */
static bool go_through(uint32_t refused)
{
	static const struct siphash_key key = { 3, 4 };
	static const struct bgp_table_limits limits = { .prefixes = 2000, .paths = 2000, .set_bytes = 1 << 22 };
	static struct bgp_neighbor_config other;

	memset(peer, 0, sizeof(peer));
	assert_int_equal(bgp_table_create(&table, &limits, BGP_MED_SAME_AS, &key), 0);
	assert_int_equal(bgp_groups_create(&groups, &(struct bgp_groups_config){ table, terms, wake, NULL }), 0);
	source = bgp_table_add_source(table, &(struct bgp_source){ BGP_EXTERNAL, 7, IP4(10, 9, 0, 11) });
	for (uint16_t i = 0; i < N_PREFIXES; i++)
		say(i, N_PREFIXES, (uint16_t)(1 + i));
	up_failed = false;
	n_asked = 0;
	fails_at = refused + 1;
	for (uint32_t k = 0; k < N_PEERS; k++)
		come_up(k);
	check(2); /* the third one does not read */
	for (uint16_t i = 0; i < N_PREFIXES; i++)
		say(i, N_PREFIXES, (uint16_t)(1000 + i));
	check(2);
	memset(peer[0].known, 0, sizeof(peer[0].known));
	bgp_groups_slot.refresh(groups, peer[0].member);
	check(1);
	say(3, 7, 0);
	other = peer[1].config;
	other.tag = 9;
	peer[1].config = other;
	bgp_groups_slot.changed(groups, peer[1].member, &other);
	say(2, 5, 77);
	check(2);
	bool was_refused = n_asked >= fails_at;

	fails_at = 0;
	check(3);
	struct bgp_groups_view v;

	bgp_groups_look(groups, peer[1].member, &v);
	assert_true(v.n_members == 1 && bgp_groups_stats(groups).n_groups == 2);
	if (!was_refused)
		assert_true(bgp_groups_stats(groups).n_split > 0);
	/* The table's own allocations are among them. */
	if (was_refused)
		assert_true(up_failed || bgp_groups_stats(groups).n_no_memory > 0 ||
			    bgp_table_stats(table).n_no_room > 0);
	bgp_groups_destroy(groups);
	bgp_table_destroy(table);
	return was_refused;
}

static void test_refused(void **state)
{
	uint32_t n = 0;

	while (go_through(n))
		n++;
	assert_in_range(n, 20, 2000);
	printf("%u allocations\n", n);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
