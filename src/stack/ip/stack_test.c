/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The packet's way through the IP layer: frames in, frames out or a drop by
 * name, and the law of conservation behind each.
 */
#include <errno.h>

#include "stack/ip/stack_fixture.h"

static const struct packet_spec udp_far = {
	.src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_UDP, .payload_len = 100, .sport = 5000, .dport = 53
};

/* Would catch: a forwarded packet with a wrong TTL, checksum, MAC, interface or content. */
static void test_forward(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct ether_addr router = mac_of_host(ROUTER);

	fixture_input_spec(b, &udp_far);
	assert_int_equal(fixture_n_sent(b), 1);
	struct seen v = fixture_seen(b, WAN, 0);

	assert_memory_equal(&v.eth.dst, &router, 6);
	assert_int_equal(v.ip.ttl, 63);
	assert_int_equal(v.ip.src, LAN_HOST);
	assert_int_equal(v.ip.dst, FAR);
	assert_int_equal(v.l4.dport, 53);
	assert_int_equal(v.l4.payload_len, 100);
	fixture_destroy(b);
}

/* Would catch: packets of one flow that overtake each other in a batch that holds
 * packets to us as well. */
static void test_order(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct frame *f = malloc(sizeof(*f));
	struct batch batch = { .n = 0 };

	for (uint16_t i = 0; i < BATCH_MAX; i++) {
		struct packet_spec sp = udp_far;

		sp.ip_id = i;
		if (i % 3 == 1) {
			sp.dst = LAN_US;
			sp.proto = IPPROTO_NR_ICMP;
			sp.type = ICMP_ECHO_REQUEST;
		}
		fixture_frame(f, &sp);
		batch_add(&batch, fixture_receive(b, f));
	}
	ether_input(b->s, LAN, &batch);
	ip_flush(b->s);
	assert_int_equal(b->dev[WAN].n + b->dev[LAN].n, BATCH_MAX);
	for (uint32_t i = 1; i < b->dev[WAN].n; i++)
		assert_true(fixture_seen(b, WAN, i).ip.id > fixture_seen(b, WAN, i - 1).ip.id);
	free(f);
	fixture_destroy(b);
}

/* Would catch: an interface's address that is not of the link that is asked for, a device whose offloads are not those
 * that are told, or of which some are told although there is no device. */
static void test_interface(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct ip_interface_config *c = &b->cfg.interface[LAN];
	uint32_t second = IP4(172, 16, 9, 1);

	(void)state;
	c->address[1].addr = second;
	c->address[1].prefix_len = 24;
	c->n_addresses = 2;
	assert_int_equal(ip_interface_address(b->s, LAN, LAN_HOST), LAN_US);
	assert_int_equal(ip_interface_address(b->s, LAN, second + 7), second);
	assert_int_equal(ip_interface_address(b->s, LAN, FAR), LAN_US); /* of no link: the first */
	c->n_addresses = 1;
	b->dev[LAN].dev.caps = DEVICE_CAP_CSUM;
	assert_int_equal(ip_offloads(b->s, LAN), DEVICE_CAP_CSUM);
	assert_int_equal(ip_offloads(b->s, WAN), b->dev[WAN].dev.caps);
	assert_int_equal(ip_offloads(b->s, IP_INTERFACES_MAX - 1), 0);
	b->dev[LAN].dev.caps = 0;
	fixture_destroy(b);
}

/* Hooks that note the order in which they ran. */
struct notes {
	char text[64];
	struct stack_fixture *b;
	uint32_t new_dst;
};

static void note(void *ctx, enum ip_hook hook, struct batch *b)
{
	static const char letters[N_HOOKS] = { 'p', 'i', 'f', 'o', 'P' };
	struct notes *n = ctx;
	size_t len = strlen(n->text);

	for (uint32_t i = 0; i < b->n; i++)
		n->text[len + i] = letters[hook];
}

static void hook_add(struct stack_fixture *b, enum ip_hook hook, int32_t priority, hook_fn *fn, void *ctx)
{
	struct hook_entry e = { .priority = priority, .name = "test", .fn = fn, .ctx = ctx };

	assert_int_equal(hook_list_add(ip_stack_hooks(b->s, hook), &e), 0);
}

static void note_all(struct stack_fixture *b, struct notes *n)
{
	for (int h = 0; h < N_HOOKS; h++)
		hook_add(b, (enum ip_hook)h, HOOK_PRI_FILTER, note, n);
}

static void drop_all(void *ctx, enum ip_hook hook, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++)
		packet_set_drop(b->p[i], DROP_RULE_DROP);
}

/* Would catch: a hook that is left out, runs twice, or runs for packets that an
 * earlier one dropped; an ICMP error that skips OUTPUT. */
static void test_hooks(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct notes n = { .b = b };

	note_all(b, &n);
	fixture_input_spec(b, &udp_far);
	assert_string_equal(n.text, "pfP");
	memset(n.text, 0, sizeof(n.text));
	fixture_input_spec(b, &(struct packet_spec)UDP_TO(LAN_US));
	assert_string_equal(n.text, "pioP");
	memset(n.text, 0, sizeof(n.text));
	/* MTU and TTL come before FORWARD. */
	fixture_input_spec(b, &(struct packet_spec){ .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_UDP, .ttl = 1 });
	assert_string_equal(n.text, "poP");
	memset(n.text, 0, sizeof(n.text));
	fixture_input_spec(b, &(struct packet_spec){ .src = LAN_HOST,
						     .dst = SMALL_HOST,
						     .proto = IPPROTO_NR_UDP,
						     .payload_len = 576 - 28 + 1,
						     .df = true });
	assert_string_equal(n.text, "poP");
	memset(n.text, 0, sizeof(n.text));
	hook_add(b, HOOK_PREROUTING, HOOK_PRI_RAW, drop_all, NULL);
	fixture_input_spec(b, &udp_far);
	assert_string_equal(n.text, "");
	assert_int_equal(b->env.ledger.n_dropped[DROP_RULE_DROP], 1);
	fixture_destroy(b);
}

/* Would catch: a list that is not sorted, or that turns equals around. */
static void test_hook_order(void **state)
{
	static const int32_t priorities[] = { 0, -200, 100, 0, HOOK_PRI_CONFIRM, HOOK_PRI_FIRST, -200 };
	static const uint32_t want[] = { 5, 1, 6, 0, 3, 2, 4 };
	struct hook_list list = { .n = 0 };

	for (size_t i = 0; i < ARRAY_LEN(priorities); i++) {
		struct hook_entry e = { .priority = priorities[i], .ctx = (void *)(uintptr_t)i };

		assert_int_equal(hook_list_add(&list, &e), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_int_equal((uintptr_t)list.entry[i].ctx, want[i]);
	while (list.n < HOOK_LIST_MAX)
		assert_int_equal(hook_list_add(&list, &list.entry[0]), 0);
	assert_int_equal(hook_list_add(&list, &list.entry[0]), -ENOSPC);
}

/* Would catch: an address made up where there is none; that of another interface not lent. */
static void test_no_address(void **state)
{
	struct stack_fixture *b = fixture_create();

	(void)state;
	assert_int_equal(ip_interface_address(b->s, N_FIXTURE_DEVICES + 1, FAR), 0);
	b->cfg.interface[LAN].n_addresses = 0;
	ip_stack_configure(b->s, &b->cfg);
	assert_int_equal(ip_source_for(b->s, LAN, FAR), WAN_US);
	for (uint32_t i = 1; i <= N_FIXTURE_DEVICES; i++)
		b->cfg.interface[i].n_addresses = 0;
	ip_stack_configure(b->s, &b->cfg);
	assert_int_equal(ip_source_for(b->s, LAN, FAR), 0);
	fixture_destroy(b);
}

/* Would catch: a prefix of the common table that is told as the zone's own, or the other way round. */
static void test_route_prefix(void **state)
{
	enum { ZONE = 5 };
	static const struct {
		uint16_t zone;
		uint32_t dst, prefix;
		uint8_t len;
		uint16_t table;
	} rows[] = { { 0, LAN_HOST, IP4(10, 0, 1, 0), 24, 0 },
		     { ZONE, LAN_HOST, IP4(10, 0, 0, 0), 16, ZONE },
		     { ZONE, FAR, 0, 0, 0 } };
	struct stack_fixture *b = fixture_create();
	struct fib *own = fib_create();
	const struct ip4_prefix p = { IP4(10, 0, 0, 0), 16 };

	(void)state;
	assert_int_equal(
		fib_insert(own, p,
			   fib_nexthop_add(own, &(struct fib_nexthop){ .kind = FIB_UNICAST, .ifindex = SMALL })),
		0);
	b->cfg.n_zones = 1;
	b->cfg.zone[0] = (struct ip_zone){ .number = ZONE, .fib = own };
	ip_stack_configure(b->s, &b->cfg);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ip_prefix found;
		uint16_t table;

		const struct fib *f = rows[i].table == ZONE ? own : b->fib;
		struct ip4_prefix same;

		assert_int_equal(ip_route_prefix(b->s, rows[i].zone, rows[i].dst, &found, &table),
				 fib_lookup_prefix(f, rows[i].dst, &same));
		assert_int_equal(found.addr.v4, rows[i].prefix);
		assert_int_equal(found.len, rows[i].len);
		assert_int_equal(table, rows[i].table);
	}
	fixture_destroy(b);
	fib_destroy(own);
}

/* Would catch: a device that goes and comes back and leaves packets or neighbours behind. */
static void test_device_down(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct frame *f = malloc(sizeof(*f));
	struct batch batch = { .n = 0 };

	fixture_frame(f, &udp_far);
	batch_add(&batch, fixture_receive(b, f));
	ether_input(b->s, LAN, &batch);
	b->dev[WAN].dev.up = false;
	ip_stack_device_changed(b->s, WAN);
	assert_int_equal(b->env.ledger.n_dropped[DROP_TX_DOWN], 1);
	fixture_input(b, LAN, f);
	assert_int_equal(b->env.ledger.n_dropped[DROP_TX_DOWN], 2);
	b->dev[WAN].dev.up = true;
	ip_stack_device_changed(b->s, WAN);
	fixture_input(b, LAN, f);
	assert_int_equal(fixture_seen_arp(b, WAN, 0).tpa, ROUTER); /* it may be another station now */
	assert_int_equal(fixture_seen(b, WAN, 1).ip.id, udp_far.id);
	assert_int_equal(b->dev[WAN].n, 2);
	/* A reload without the interface, and one with another device. */
	struct ip_config *next = malloc(sizeof(*next));

	*next = b->cfg;
	next->interface[WAN].name[0] = '\0';
	ip_stack_configure(b->s, next);
	assert_null(neigh_find(b->s->neigh, WAN, ROUTER));
	assert_non_null(neigh_find(b->s->neigh, LAN, LAN_HOST));
	ip_stack_configure(b->s, &b->cfg);
	free(next);
	free(f);
	fixture_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forward),      cmocka_unit_test(test_order),
		cmocka_unit_test(test_hooks),        cmocka_unit_test(test_hook_order),
		cmocka_unit_test(test_device_down),  cmocka_unit_test(test_interface),
		cmocka_unit_test(test_route_prefix), cmocka_unit_test(test_no_address),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
