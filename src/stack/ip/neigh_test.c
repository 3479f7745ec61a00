/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Neighbours on a virtual clock: their states, the packets that wait for them, their table.
 */
#include "stack/ip/neigh_fixture.h"

/* Would catch: packets lost or turned around while the address is asked for,
 * a request with the wrong words, and an address that is shown before it is known. */
static void test_resolve(void **state)
{
	struct stack_fixture *b = fixture_create_settled();

	for (uint16_t i = 0; i < 3; i++)
		send_to(b, NEW_HOST, i);
	assert_int_equal(fixture_n_sent(b), 1);
	struct arp_view a = fixture_seen_arp(b, LAN, 0);

	assert_int_equal(a.op, ARP_REQUEST);
	assert_int_equal(a.spa, LAN_US);
	assert_int_equal(a.tpa, NEW_HOST);
	assert_true(ether_is_zero(&a.tha));
	assert_int_equal(b->dev[LAN].sent[0].len, 60);
	assert_int_equal(packet_pool_used(b->env.pool), 3);
	assert_string_equal(state_of(b, NEW_HOST), "INCOMPLETE");
	struct ip_neigh_info info;
	assert_true(ip_neigh_get(b->s, LAN, NEW_HOST, &info));
	assert_true(!info.is_resolved && ether_is_zero(&info.mac));
	fixture_forget(b);

	arp_in(b, LAN, (struct arp_spec){ ARP_REPLY, NEW_HOST, LAN_US, .unicast = true });
	assert_string_equal(state_of(b, NEW_HOST), "REACHABLE");
	assert_true(ip_neigh_get(b->s, LAN, NEW_HOST, &info));
	assert_true(info.is_resolved && !ether_is_zero(&info.mac));
	assert_int_equal(fixture_count_events(b, EVENT_NEIGH_LEARNT), 1);
	assert_int_equal(b->dev[LAN].n, 3);
	for (uint16_t i = 0; i < 3; i++)
		assert_int_equal(fixture_seen(b, LAN, i).ip.id, i);
	fixture_destroy(b);
}

struct opened {
	struct stack_fixture *b;
	uint32_t n_opened, n_sent; /* with the device when the adjacency became usable */
};

static void see_adjacency(void *ctx, uint32_t index, enum ip_adjacency_change change)
{
	struct opened *o = ctx;

	if (!ip_adjacency(o->b->s, index)->usable)
		return;
	o->n_opened++;
	o->n_sent = o->b->dev[LAN].n;
}

/* Would catch: a way out that others may send by before the packets that waited for it have left. */
static void test_held_leave_first(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct opened o = { .b = b };

	for (uint16_t i = 0; i < 3; i++)
		send_to(b, NEW_HOST, i);
	fixture_forget(b);
	ip_stack_set_flowcache(b->s, &(struct ip_flowcache_ops){ .adjacency_changed = see_adjacency }, &o);
	arp_in(b, LAN, (struct arp_spec){ ARP_REPLY, NEW_HOST, LAN_US, .unicast = true });
	assert_int_equal(o.n_opened, 1);
	assert_int_equal(o.n_sent, 3);
	ip_stack_set_flowcache(b->s, NULL, NULL);
	fixture_destroy(b);
}

static void give_back(void *ctx, uint64_t cookie)
{
	(*(uint32_t *)ctx)++;
}

/* Would catch: a driver's receive slot that is kept while a neighbour is asked. */
static void test_lent(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct frame *f = malloc(sizeof(*f));
	struct packet_spec sp = udp_to(NEW_HOST, 1);
	uint32_t n_back = 0;

	fixture_frame(f, &sp);
	struct packet *p = packet_set_external(b->env.pool, f->bytes, f->len, 0, f->len, give_back, &n_back, 0);
	struct batch batch = { .n = 1, .p = { p } };

	b->env.ledger.n_received++;
	ether_input(b->s, WAN, &batch);
	assert_int_equal(n_back, 1);
	assert_int_equal(packet_pool_used(b->env.pool), 2); /* it, and our request */
	free(f);
	fixture_destroy(b);
}

/* Would catch: a neighbour that never ages, is asked by broadcast while its
 * address may still be right, or is given up while it answers; whoever sends
 * by it otherwise not told that it is to be asked. */
static void test_ageing(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	const struct ip_adjacency *way =
		ip_adjacency(b->s, neigh_index(b->s->neigh, neigh_find(b->s->neigh, LAN, LAN_HOST)));

	assert_string_equal(state_of(b, LAN_HOST), "REACHABLE");
	assert_false(way->stale);
	fixture_run_for(b, 46 * NS_PER_S);
	assert_string_equal(state_of(b, LAN_HOST), "STALE");
	assert_true(way->stale && way->usable);
	assert_int_equal(fixture_n_sent(b), 0);
	send_to(b, LAN_HOST, 1);
	assert_string_equal(state_of(b, LAN_HOST), "DELAY");
	assert_false(way->stale);
	assert_int_equal(b->dev[LAN].n, 1);
	fixture_run_for(b, 5100 * NS_PER_MS);
	assert_string_equal(state_of(b, LAN_HOST), "PROBE");
	struct seen v = fixture_seen(b, LAN, 1);
	struct ether_addr host = mac_of_host(LAN_HOST);

	assert_memory_equal(&v.eth.dst, &host, 6);
	assert_int_equal(fixture_seen_arp(b, LAN, 1).tpa, LAN_HOST);
	/* Packets pass meanwhile. */
	send_to(b, LAN_HOST, 2);
	assert_int_equal(fixture_seen(b, LAN, 2).ip.id, 2);
	arp_in(b, LAN, (struct arp_spec){ ARP_REPLY, LAN_HOST, LAN_US, .unicast = true });
	assert_string_equal(state_of(b, LAN_HOST), "REACHABLE");
	/* Unused, it goes. */
	fixture_run_for(b, 700 * NS_PER_S);
	assert_string_equal(state_of(b, LAN_HOST), "NONE");
	assert_int_equal(ip_next_deadline(b->s), TIME_NEVER);
	fixture_destroy(b);
}

/* Would catch: a neighbour that has moved to another station and is never found
 * again. Three unicast probes, then three to all. */
static void test_moved(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	uint32_t n_unicast = 0, n_broadcast = 0;

	fixture_run_for(b, 46 * NS_PER_S);
	send_to(b, LAN_HOST, 1);
	fixture_forget(b);
	fixture_run_for(b, 11 * NS_PER_S - 500 * NS_PER_MS);
	for (uint32_t i = 0; i < b->dev[LAN].n; i++) {
		struct seen v = fixture_seen(b, LAN, i);

		*(ether_is_broadcast(&v.eth.dst) ? &n_broadcast : &n_unicast) += 1;
	}
	assert_int_equal(n_unicast, 3);
	assert_int_equal(n_broadcast, 3);
	send_to(b, LAN_HOST, 2);
	fixture_forget(b);
	arp_in(b, LAN, (struct arp_spec){ ARP_REPLY, LAN_HOST, LAN_US, .unicast = true, .station = 9 });
	assert_int_equal(b->dev[LAN].n, 1);
	assert_int_equal(fixture_seen(b, LAN, 0).eth.dst.b[5], 9);
	fixture_destroy(b);
}

/* Would catch: held packets that vanish, senders that are not told, a storm of
 * requests for a dead neighbour, and a neighbour that comes back unnoticed. */
static void test_failed(void **state)
{
	struct stack_fixture *b = fixture_create_settled();

	send_to(b, NEW_HOST, 1);
	send_to(b, NEW_HOST, 2);
	fixture_run_for(b, 3100 * NS_PER_MS);
	fixture_check_law(b);
	assert_string_equal(state_of(b, NEW_HOST), "FAILED");
	assert_int_equal(fixture_count_events(b, EVENT_NEIGH_FAILED), 1);
	assert_int_equal(b->dev[LAN].n, 3);
	assert_int_equal(b->env.ledger.n_dropped[DROP_NEIGH_UNREACHABLE], 2);
	assert_int_equal(b->dev[WAN].n, 2);
	for (uint32_t i = 0; i < 2; i++) {
		struct seen v = fixture_seen(b, WAN, i);

		assert_int_equal(v.ip.dst, FAR);
		assert_int_equal(v.ip.src, WAN_US);
		assert_int_equal(v.l4.type, ICMP_DEST_UNREACHABLE);
		assert_int_equal(v.l4.code, ICMP_HOST_UNREACHABLE);
	}
	fixture_forget(b);
	/* A flood while it is known to be gone: one request a second. */
	for (uint32_t i = 0; i < 200; i++) {
		fixture_run_for(b, 10 * NS_PER_MS);
		send_to(b, NEW_HOST, 3);
	}
	assert_in_range(b->dev[LAN].n, 1, 3);
	assert_int_equal(b->env.ledger.n_dropped[DROP_NEIGH_UNREACHABLE], 202);
	/* To the nanosecond, and before it is forgotten that it failed. */
	fixture_run_for(b, NEIGH_PROBE_NS);
	send_to(b, NEW_HOST, 3);
	fixture_forget(b);
	fixture_run_for(b, NEIGH_PROBE_NS - 1);
	send_to(b, NEW_HOST, 3);
	assert_int_equal(b->dev[LAN].n, 0);
	fixture_run_for(b, 1);
	send_to(b, NEW_HOST, 3);
	assert_int_equal(b->dev[LAN].n, 1);
	arp_in(b, LAN, (struct arp_spec){ ARP_REPLY, NEW_HOST, LAN_US, .unicast = true });
	assert_string_equal(state_of(b, NEW_HOST), "REACHABLE");
	fixture_destroy(b);
}

/* Would catch: a queue without bounds, for one or for all, and the wrong end of it dropped. */
static void test_held_limits(void **state)
{
	struct stack_fixture *b = fixture_create_settled();

	for (uint16_t i = 0; i < 6; i++)
		send_to(b, NEW_HOST, i);
	assert_int_equal(b->env.ledger.n_dropped[DROP_NEIGH_QUEUE], 2);
	assert_int_equal(packet_pool_used(b->env.pool), 4);
	for (uint32_t i = 1; i <= 3; i++) {
		for (uint16_t k = 0; k < 3; k++)
			send_to(b, NEW_HOST + i, k);
	}
	assert_int_equal(packet_pool_used(b->env.pool), 10);
	/* 6 found room; one of the third host's would have, its first had none. */
	assert_int_equal(b->env.ledger.n_dropped[DROP_NEIGH_QUEUE], 2 + 3);
	fixture_forget(b);
	arp_in(b, LAN, (struct arp_spec){ ARP_REPLY, NEW_HOST, LAN_US, .unicast = true });
	assert_int_equal(b->dev[LAN].n, 4);
	assert_int_equal(fixture_seen(b, LAN, 0).ip.id, 2);
	/* Room again. */
	send_to(b, NEW_HOST + 3, 9);
	assert_int_equal(b->env.ledger.n_dropped[DROP_NEIGH_QUEUE], 5);
	fixture_destroy(b);
}

/* Would catch: a scan that fills the table and shuts known neighbours out, or that
 * takes the place of one with packets waiting. */
static void test_table_full(void **state)
{
	struct stack_fixture *b = fixture_create_settled();

	fixture_run_for(b, 46 * NS_PER_S); /* the three known ones are STALE */
	for (uint32_t i = 0; i < 13; i++)
		send_to(b, NEW_HOST + i, 0);
	assert_int_equal(b->env.ledger.n_dropped[DROP_NEIGH_TABLE], 0);
	assert_string_equal(state_of(b, LAN_HOST), "STALE");
	for (uint32_t i = 13; i < 16; i++)
		send_to(b, NEW_HOST + i, 0);
	assert_string_equal(state_of(b, LAN_HOST), "NONE");
	assert_int_equal(b->env.ledger.n_dropped[DROP_NEIGH_TABLE], 0);
	send_to(b, NEW_HOST + 16, 0);
	assert_int_equal(b->env.ledger.n_dropped[DROP_NEIGH_TABLE], 1);
	/* Failed ones give way. */
	fixture_run_for(b, 4 * NS_PER_S);
	send_to(b, NEW_HOST + 16, 0);
	assert_int_equal(b->env.ledger.n_dropped[DROP_NEIGH_TABLE], 1);
	fixture_destroy(b);
}

/* A packet of a station and a host on WAN, for a neighbour on link. */
static struct packet *asks(struct stack_fixture *b, uint8_t station, uint32_t src, uint32_t link, uint32_t target)
{
	struct packet *p = packet_alloc(b->env.pool, 64);
	struct ether_view eth = { .src = { { 2, 0, 0, 0, 0, station } }, .type = ETHERTYPE_IPV4 };

	assert_non_null(p);
	b->env.ledger.n_originated++;
	ether_emit(packet_frame(p), &eth);
	p->in_ifindex = WAN;
	p->out_ifindex = link;
	p->next_hop = target;
	p->ip.src = src;
	return p;
}

static struct neigh *ask_for(struct stack_fixture *b, struct neigh_table *t, uint8_t station, uint32_t link,
			     uint32_t target, enum drop_reason *why)
{
	struct packet *p = asks(b, station, FAR, link, target);
	struct neigh *n = neigh_make_for(t, p, why);

	env_drop(&b->env, p, DROP_NEIGH_UNREACHABLE);
	return n;
}

/* Would catch: one sender's scan that shuts out other senders, one link's that shuts out other links, and either one
 * that pushes out neighbours which are known; failed entries that do not make room; shares that are not given back. */
static void test_shares(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct neigh_table *t = neigh_table_create(&b->env, &(struct ip_limits){ .n_neighbours = 1024 });
	enum drop_reason why;
	uint32_t target = IP4(10, 5, 0, 0), n = 0;

	for (uint32_t i = 0; i < 512; i++)
		neigh_set_state(t, neigh_make(t, LAN, IP4(10, 4, 0, 0) + i), NEIGH_STALE);
	while (ask_for(b, t, 1, LAN, target + n, &why) != NULL)
		n++;
	assert_int_equal(n, 64);
	assert_int_equal(why, DROP_NEIGH_SOURCE);
	assert_non_null(ask_for(b, t, 2, LAN, target + n++, &why)); /* the same address, another station */
	for (uint32_t k = 0; k < 2000; k++)
		n += ask_for(b, t, (uint8_t)(k % 200), LAN, target + n, &why) != NULL;
	assert_int_equal(n, 256);
	assert_null(ask_for(b, t, 201, LAN, target + n, &why));
	assert_int_equal(why, DROP_NEIGH_TABLE);
	for (uint32_t k = 0; k < 2000; k++)
		n += ask_for(b, t, (uint8_t)(k % 200), WAN, target + n, &why) != NULL;
	assert_int_equal(n, 512);
	assert_int_equal(t->n_unknown, 512);
	assert_null(ask_for(b, t, 202, LAN + WAN + 1, target + n, &why));
	/* Failed ones do not count as asked, and go first. */
	for (uint32_t i = 0; i < 64; i++)
		neigh_set_state(t, neigh_find(t, LAN, target + i), NEIGH_FAILED);
	assert_non_null(ask_for(b, t, 1, LAN, target + n, &why));
	assert_null(neigh_find(t, LAN, target));
	for (uint32_t i = 0; i < 512; i++)
		assert_non_null(neigh_find(t, LAN, IP4(10, 4, 0, 0) + i));
	for (uint32_t i = 0; i <= n; i++) {
		struct neigh *x = neigh_find(t, LAN, target + i);

		if (x == NULL)
			x = neigh_find(t, WAN, target + i);
		if (x != NULL)
			neigh_remove(t, x);
	}
	assert_int_equal(t->n_unknown, 0);
	assert_int_equal(t->link[LAN].n_asked + t->link[WAN].n_asked, 0);
	for (uint32_t i = 0; i < NEIGH_ASKERS; i++)
		assert_int_equal(t->asker[i].n_asked, 0);
	neigh_table_destroy(t);
	fixture_destroy(b);
}

/* Would catch: one sender's packets that leave no room in the queues for those of others, or one link's for those of
 * another; room that does not come back. */
static void test_held_shares(void **state)
{
	enum { N = 240, N_OF_ONE = 20 };
	struct stack_fixture *b = fixture_create_settled();
	struct neigh_table *t = neigh_table_create(
		&b->env, &(struct ip_limits){ .n_neighbours = 1024, .n_neigh_held = 2, .n_neigh_held_all = 64 });
	enum drop_reason why;
	uint32_t n_all = 0;

	for (uint32_t k = 0; k < N; k++) {
		struct packet *p = asks(b, (uint8_t)(k / N_OF_ONE), FAR, LAN, NEW_HOST + k);
		struct neigh *n = neigh_make_for(t, p, &why);

		assert_non_null(n);
		neigh_hold(t, n, p);
		n_all += n->n_held;
		if (k == N_OF_ONE - 1)
			assert_int_equal(n_all, 8); /* an eighth of all */
	}
	assert_int_equal(n_all, 32); /* half of all: one link's */
	assert_int_equal(t->n_held_all, 32);
	assert_int_equal(b->env.ledger.n_dropped[DROP_NEIGH_QUEUE], N - 32);
	for (uint32_t k = 0; k < N; k++)
		for (struct packet *p = neigh_take_held(t, neigh_find(t, LAN, NEW_HOST + k)), *next; p != NULL;
		     p = next) {
			next = p->next;
			env_drop(&b->env, p, DROP_NEIGH_UNREACHABLE);
		}
	assert_int_equal(t->n_held_all, 0);
	assert_int_equal(t->link[LAN].n_held, 0);
	for (uint32_t i = 0; i < NEIGH_ASKERS; i++)
		assert_int_equal(t->asker[i].n_held, 0);
	neigh_table_destroy(t);
	fixture_destroy(b);
}

struct gone {
	struct stack_fixture *b;
	uint32_t n, n_round; /* times that a number was given away, and that its generation came round */
};

static void see_gone(void *ctx, uint32_t index, enum ip_adjacency_change change)
{
	struct gone *g = ctx;

	if (change != IP_ADJACENCY_GONE)
		return;
	g->n++;
	g->n_round += ip_adjacency(g->b->s, index)->generation == 0;
}

/* Would catch: a number that is given to another neighbour under the same generation, or that is said to be gone
 * although nobody holds it; a generation that is forgotten with the neighbour, or that comes round unseen. */
static void test_given_away(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct gone g = { .b = b };

	ip_stack_set_flowcache(b->s, &(struct ip_flowcache_ops){ .adjacency_changed = see_gone }, &g);
	for (uint32_t round = 0; g.n < 2 * IP_ADJACENCY_GENERATIONS + 2 && round < 1000; round++) {
		uint32_t before[16], n = g.n;

		ip_adjacency_installed(b->s, 7);
		for (uint32_t i = 0; i < 16; i++)
			before[i] = ip_adjacency(b->s, i)->generation;
		/* Nobody answers: the numbers are free again by the next round. */
		for (uint32_t i = 0; i < 16; i++)
			send_to(b, NEW_HOST + round % 2 * 16 + i, 0);
		for (uint32_t i = 0; i < 16; i++)
			assert_int_equal(ip_adjacency(b->s, i)->generation,
					 (before[i] + (i == 7 && g.n > n)) % IP_ADJACENCY_GENERATIONS);
		assert_int_equal(ip_adjacency(b->s, 7)->installed, g.n == n);
		assert_in_range(g.n, n, n + 1);
		fixture_run_for(b, 50 * NS_PER_S);
		fixture_forget(b);
	}
	assert_int_equal(g.n, 2 * IP_ADJACENCY_GENERATIONS + 2);
	assert_int_equal(g.n_round, 2);
	fixture_destroy(b);
}

/* Would catch: a known neighbour's new station that is not taken over (RFC 826), or
 * taken for proven; and a chatty one that never ages. */
static void test_merge(void **state)
{
	struct stack_fixture *b = fixture_create_settled();

	arp_in(b, LAN, (struct arp_spec){ ARP_REQUEST, LAN_HOST, LAN_HOST, .station = 9 });
	assert_string_equal(state_of(b, LAN_HOST), "STALE");
	send_to(b, LAN_HOST, 1);
	assert_int_equal(fixture_seen(b, LAN, 0).eth.dst.b[5], 9);
	assert_string_equal(state_of(b, LAN_HOST), "DELAY");
	arp_in(b, LAN, (struct arp_spec){ ARP_REQUEST, LAN_HOST, LAN_HOST, .station = 9 });
	assert_string_equal(state_of(b, LAN_HOST), "DELAY");
	/* A request from a host that we are looking for ends the search. */
	send_to(b, NEW_HOST, 2);
	fixture_forget(b);
	arp_in(b, LAN, (struct arp_spec){ ARP_REQUEST, NEW_HOST, LAN_US });
	assert_int_equal(b->dev[LAN].n, 2);
	assert_string_equal(state_of(b, NEW_HOST), "STALE");
	fixture_destroy(b);
}

/* Would catch: a gateway off the link's prefix, as clouds have it, that is asked
 * and whose answer is not believed. */
static void test_off_prefix(void **state)
{
	const uint32_t gateway = IP4(169, 254, 1, 1);
	struct stack_fixture *b = fixture_create_settled();

	fixture_route(b, IP4(203, 0, 113, 0), 24,
		      (struct fib_nexthop){ .kind = FIB_UNICAST, .ifindex = LAN, .gateway = ip_addr_v4(gateway) });
	send_to(b, IP4(203, 0, 113, 7), 1);
	fixture_forget(b);
	arp_in(b, LAN, (struct arp_spec){ ARP_REPLY, gateway, LAN_US, .unicast = true });
	assert_string_equal(state_of(b, gateway), "REACHABLE");
	assert_int_equal(fixture_seen(b, LAN, 0).ip.id, 1);
	fixture_destroy(b);
}

/* Would catch: a neighbour that was replaced while the link was down and is found only when DELAY and three probes of
 * the old station have passed; packets held meanwhile although the station may be the same. */
static void test_replaced_while_down(void **state)
{
	struct stack_fixture *b = fixture_create_settled();

	b->dev[LAN].dev.up = false;
	ip_stack_device_changed(b->s, LAN);
	b->dev[LAN].dev.up = true;
	ip_stack_device_changed(b->s, LAN);
	fixture_run_for(b, 10 * NS_PER_S); /* announcements */
	fixture_forget(b);
	send_to(b, LAN_HOST, 1);
	assert_string_equal(state_of(b, LAN_HOST), "PROBE");
	assert_int_equal(b->dev[LAN].n, 2);
	assert_int_equal(fixture_seen_arp(b, LAN, 0).tpa, LAN_HOST);
	struct seen asked = fixture_seen(b, LAN, 0);
	assert_memory_equal(&asked.eth.dst, &ether_broadcast, 6);
	assert_int_equal(fixture_seen(b, LAN, 1).ip.id, 1);
	arp_in(b, LAN, (struct arp_spec){ ARP_REPLY, LAN_HOST, LAN_US, .unicast = true, .station = 9 });
	assert_string_equal(state_of(b, LAN_HOST), "REACHABLE");
	fixture_forget(b);
	struct ether_addr before = mac_of_host(LAN_HOST);
	send_to(b, LAN_HOST, 2);
	struct seen sent = fixture_seen(b, LAN, 0);
	assert_int_equal(sent.ip.id, 2);
	assert_memory_not_equal(&sent.eth.dst, &before, 6);
	/* Confirmed once, it ages as any other. */
	fixture_run_for(b, 46 * NS_PER_S);
	send_to(b, LAN_HOST, 3);
	assert_string_equal(state_of(b, LAN_HOST), "DELAY");
	fixture_destroy(b);
}

/* Would catch: packets held over a link that goes down that are lost or kept for ever. */
static void test_link_returns(void **state)
{
	struct stack_fixture *b = fixture_create_settled();

	send_to(b, NEW_HOST, 1);
	b->dev[LAN].dev.up = false;
	ip_stack_device_changed(b->s, LAN);
	fixture_run_for(b, 1500 * NS_PER_MS);
	b->dev[LAN].dev.up = true;
	fixture_forget(b);
	ip_stack_device_changed(b->s, LAN);
	ip_flush(b->s);
	assert_int_equal(fixture_seen_arp(b, LAN, 0).tpa, NEW_HOST);
	assert_string_equal(state_of(b, LAN_HOST), "STALE");
	fixture_forget(b);
	arp_in(b, LAN, (struct arp_spec){ ARP_REPLY, NEW_HOST, LAN_US, .unicast = true });
	assert_int_equal(fixture_seen(b, LAN, 0).ip.id, 1);
	fixture_forget(b);
	/* Taken away altogether. */
	send_to(b, NEW_HOST + 1, 1);
	ip_stack_attach(b->s, LAN, NULL);
	/* A request while it was down, and the packet that was held. */
	assert_int_equal(b->env.ledger.n_dropped[DROP_TX_DOWN], 2);
	assert_string_equal(state_of(b, NEW_HOST + 1), "NONE");
	fixture_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_held_leave_first),
		cmocka_unit_test(test_lent),
		cmocka_unit_test(test_ageing),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_failed),
		cmocka_unit_test(test_held_limits),
		cmocka_unit_test(test_table_full),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_held_shares),
		cmocka_unit_test(test_given_away),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_off_prefix),
		cmocka_unit_test(test_link_returns),
		cmocka_unit_test(test_replaced_while_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
