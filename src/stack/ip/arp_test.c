/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ARP on a virtual clock: what is answered and learnt, conflicts, announcements.
 */
#include "stack/ip/neigh_fixture.h"

/* A row: an ARP packet on lan0, what is answered, what is learnt. */
struct arp_row {
	const char *name;
	struct arp_spec in;
	bool answered, learnt, dropped;
};

#define PROXY IP4(10, 0, 1, 200)

static const struct arp_row arp_rows[] = {
	{ "asks for us", { ARP_REQUEST, NEW_HOST, LAN_US }, true, true, false },
	{ "asks us alone", { ARP_REQUEST, NEW_HOST, LAN_US, .unicast = true }, true, true, false },
	{ "asks for a translation address", { ARP_REQUEST, NEW_HOST, PROXY + 2 }, true, true, false },
	{ "asks behind the range", { ARP_REQUEST, NEW_HOST, PROXY + 4 }, false, false, false },
	{ "asks for another host", { ARP_REQUEST, NEW_HOST, LAN_HOST }, false, false, false },
	{ "asks for our other interface", { ARP_REQUEST, NEW_HOST, WAN_US }, false, false, false },
	{ "probe for our address", { ARP_REQUEST, 0, LAN_US, .station = 7 }, true, false, false },
	{ "probe for another", { ARP_REQUEST, 0, NEW_HOST, .station = 7 }, false, false, false },
	{ "announcement of a stranger", { ARP_REQUEST, NEW_HOST, NEW_HOST }, false, false, false },
	{ "answer that nobody asked for", { ARP_REPLY, NEW_HOST, LAN_US, .unicast = true }, false, false, false },
	{ "from another prefix", { ARP_REQUEST, IP4(10, 9, 9, 9), LAN_US }, true, false, false },
	{ "claims our address", { ARP_REQUEST, LAN_US, NEW_HOST, .station = 7 }, false, false, true },
	{ "claims a translation address", { ARP_REPLY, PROXY, LAN_US, .station = 7 }, false, false, true },
	{ "claims our other address", { ARP_REQUEST, WAN_US, LAN_US, .station = 7 }, false, false, true },
	{ "from loopback", { ARP_REQUEST, IP4(127, 0, 0, 1), LAN_US }, false, false, true },
	{ "from a group", { ARP_REQUEST, IP4(224, 0, 0, 1), LAN_US }, false, false, true },
	{ "from the broadcast address", { ARP_REQUEST, IP4(10, 0, 1, 255), LAN_US }, false, false, true },
	{ "from the lowest address", { ARP_REQUEST, IP4(10, 0, 1, 0), LAN_US }, true, true, false },
	{ "from all", { ARP_REQUEST, UINT32_MAX, LAN_US }, false, false, true },
	{ "unknown operation", { 3, NEW_HOST, LAN_US }, false, false, true },
};

/* Would catch: an answer for what is not ours on this link, a table that strangers
 * fill, and an address of ours that somebody can take. */
static void test_arp_rows(void **state)
{
	/* Alone, and as the only one of a group. */
	for (size_t i = 0; i < 2 * ARRAY_LEN(arp_rows); i++) {
		const struct arp_row *r = &arp_rows[i / 2];
		struct stack_fixture *b = fixture_create_settled();
		uint32_t n_replies = 0;

		ip_stack_set_share(b->s, 0, i % 2);

		b->cfg.n_proxies = 1;
		b->cfg.proxy[0] = (struct ip_proxy){ LAN, PROXY, PROXY + 3 };
		arp_in(b, LAN, r->in);
		for (uint32_t k = 0; k < b->dev[LAN].n; k++) {
			struct arp_view a = fixture_seen_arp(b, LAN, k);

			if (a.op != ARP_REPLY)
				continue;
			n_replies++;
			assert_int_equal(a.spa, r->in.tpa);
			assert_int_equal(a.tpa, r->in.spa);
			struct seen v = fixture_seen(b, LAN, k);

			assert_memory_equal(&v.eth.dst, &a.tha, 6);
		}
		bool learnt = strcmp(state_of(b, r->in.spa), "NONE") != 0;

		if (n_replies != r->answered || learnt != r->learnt)
			print_error("row: %s\n", r->name);
		assert_int_equal(n_replies, r->answered);
		assert_int_equal(learnt, r->learnt);
		assert_int_equal(ledger_dropped(&b->env.ledger), r->dropped);
		assert_int_equal(b->env.ledger.n_consumed, !r->dropped);
		fixture_destroy(b);
	}
}

/* Would catch: an interface without an address that asks by none, or does not answer for the one that it borrows. */
static void test_borrowed_address(void **state)
{
	struct stack_fixture *b = fixture_create_settled();

	b->cfg.interface[LAN].n_addresses = 0;
	arp_request(b->s, LAN, NEW_HOST, &ether_broadcast);
	ip_flush(b->s);
	assert_int_equal(fixture_seen_arp(b, LAN, 0).spa, WAN_US);
	fixture_forget(b);
	arp_in(b, LAN, (struct arp_spec){ ARP_REQUEST, NEW_HOST, WAN_US });
	assert_int_equal(b->dev[LAN].n, 1);
	assert_int_equal(fixture_seen_arp(b, LAN, 0).op, ARP_REPLY);
	assert_int_equal(fixture_seen_arp(b, LAN, 0).spa, WAN_US);
	fixture_forget(b);
	arp_in(b, LAN, (struct arp_spec){ ARP_REQUEST, NEW_HOST, SMALL_US });
	assert_int_equal(b->dev[LAN].n, 0);
	fixture_destroy(b);
}

/* Would catch: a conflict that is not told, not defended, or defended for ever
 * (RFC 5227 section 2.4: two that defend would flood the link). */
static void test_conflict(void **state)
{
	struct stack_fixture *b = fixture_create_settled();

	for (uint32_t i = 0; i < 50; i++) {
		arp_in(b, LAN, (struct arp_spec){ ARP_REQUEST, LAN_US, LAN_US, .station = 7 });
		fixture_run_for(b, 100 * NS_PER_MS);
	}
	assert_int_equal(b->dev[LAN].n, 1);
	struct arp_view a = fixture_seen_arp(b, LAN, 0);

	assert_int_equal(a.spa, LAN_US);
	assert_int_equal(a.tpa, LAN_US);
	assert_int_equal(fixture_count_events(b, EVENT_ADDRESS_CONFLICT), 1);
	assert_int_equal(b->env.ledger.n_dropped[DROP_ARP_SPOOF], 50);
	fixture_run_for(b, 6 * NS_PER_S);
	arp_in(b, LAN, (struct arp_spec){ ARP_REQUEST, LAN_US, LAN_US, .station = 7 });
	assert_int_equal(b->dev[LAN].n, 2);
	fixture_destroy(b);
}

/* Would catch: our own announcement, come back, taken for a conflict. */
static void test_own_echo(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct frame *f = malloc(sizeof(*f));
	struct ether_addr us = mac_of_us(WAN);

	make_arp(f, LAN, &(struct arp_spec){ ARP_REQUEST, LAN_US, LAN_US });
	memcpy(f->bytes + ETHER_HEADER_LEN + 8, &us, 6);
	fixture_input(b, LAN, f);
	assert_int_equal(fixture_n_sent(b), 0);
	assert_int_equal(b->env.ledger.n_consumed, 1);
	free(f);
	fixture_destroy(b);
}

/* Would catch: an address that is not announced, or not twice; a pool that is
 * announced in one burst; a reload that announces what everybody knows. */
static void test_announce(void **state)
{
	struct stack_fixture *b = fixture_create();
	uint64_t start = b->env.now;

	fixture_run_until(b, start + 1 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 1);
	assert_int_equal(fixture_seen_arp(b, LAN, 0).spa, LAN_US);
	assert_int_equal(fixture_seen_arp(b, LAN, 0).tpa, LAN_US);
	fixture_run_until(b, start + 10 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 2);
	assert_int_equal(b->dev[WAN].n, 2);
	fixture_forget(b);

	struct ip_config *next = malloc(sizeof(*next));

	*next = b->cfg;
	next->n_proxies = 2;
	next->proxy[0] = (struct ip_proxy){ WAN, POOL_ADDR, POOL_ADDR };
	next->proxy[1] = (struct ip_proxy){ LAN, IP4(10, 0, 1, 5), IP4(10, 0, 1, 5) + 219 };
	ip_stack_configure(b->s, next);
	start = b->env.now;
	ip_expire(b->s);
	ip_flush(b->s);
	assert_int_equal(b->dev[LAN].n, ARP_ANNOUNCE_SLICE);
	fixture_run_until(b, start + 100 * NS_PER_MS);
	assert_int_equal(b->dev[LAN].n, 220);
	for (uint32_t i = 0; i < 220; i++)
		assert_int_equal(fixture_seen_arp(b, LAN, i).spa, IP4(10, 0, 1, 5) + i);
	fixture_run_until(b, start + 10 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 440);
	assert_int_equal(b->dev[WAN].n, 2);
	assert_int_equal(fixture_seen_arp(b, WAN, 0).spa, POOL_ADDR);
	fixture_forget(b);
	/* Nothing new. */
	ip_stack_configure(b->s, next);
	fixture_run_for(b, 10 * NS_PER_S);
	assert_int_equal(fixture_n_sent(b), 0);
	/* The device comes back: everything, as others may have forgotten. */
	b->dev[WAN].dev.up = false;
	ip_stack_device_changed(b->s, WAN);
	b->dev[WAN].dev.up = true;
	ip_stack_device_changed(b->s, WAN);
	fixture_run_for(b, 10 * NS_PER_S);
	assert_int_equal(b->dev[WAN].n, 4);
	ip_stack_configure(b->s, &b->cfg);
	free(next);
	fixture_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arp_rows), cmocka_unit_test(test_borrowed_address),
		cmocka_unit_test(test_conflict), cmocka_unit_test(test_own_echo),
		cmocka_unit_test(test_announce),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
