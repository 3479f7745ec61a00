/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ports that several workers share: blocks that are leased, found and told of.
 */
#include "stack/ports/port_blocks.h"
#include "stack/ports/ports_fixture.h"

#define N_WORKERS 2u

struct group {
	struct port_blocks *blocks;
	struct ports *p[N_WORKERS];
	uint32_t a[N_WORKERS];
};

static struct group group_start(void)
{
	struct group g = { .blocks = port_blocks_create(N_WORKERS, 4) };

	assert_non_null(g.blocks);
	assert_true(port_blocks_add(g.blocks, ADDR, 0));
	for (uint32_t w = 0; w < N_WORKERS; w++) {
		g.p[w] = start(4);
		ports_share(g.p[w], g.blocks, w);
		g.a[w] = address_of(g.p[w], ADDR, 0);
		assert_false(ports_are_mine(g.p[w], g.a[w]));
	}
	return g;
}

static void group_stop(struct group *g)
{
	for (uint32_t w = 0; w < N_WORKERS; w++)
		ports_destroy(g->p[w]);
	port_blocks_destroy(g->blocks);
}

/* The worker whose the port is; more than one fail. */
static uint32_t owner_of(struct group *g, uint32_t port)
{
	uint32_t owner = N_WORKERS;

	for (uint32_t w = 0; w < N_WORKERS; w++) {
		if (!ports_is_mine(g->p[w], g->a[w], PORT_PROTO_UDP, port))
			continue;
		assert_int_equal(owner, N_WORKERS);
		owner = w;
	}
	return owner;
}

/* Would catch: two workers with the same port, a port that neither can have, a worker that gives up before all are
 * used, blocks that never move again. */
static void test_workers(void **state)
{
	struct group g = group_start();
	static uint8_t holder[65536];

	(void)state;
	memset(holder, 0, sizeof(holder));
	for (uint32_t port = 1024; port < 65536; port++)
		assert_in_range(owner_of(&g, port), 0, N_WORKERS - 1);
	assert_int_equal(ports_n_mine(g.p[0], g.a[0], PORT_PROTO_UDP, &all) +
				 ports_n_mine(g.p[1], g.a[1], PORT_PROTO_UDP, &all),
			 all.n_ports);
	/* Half of them by turns, then all the others by one. */
	for (uint32_t i = 0; i < all.n_ports; i++) {
		uint32_t w = i < all.n_ports / 2 ? i % N_WORKERS : 0, port = take(g.p[w], g.a[w], &all);

		if (port == PORT_NONE) {
			w = 1;
			port = take(g.p[w], g.a[w], &all);
		}
		assert_in_range(port, 1024, 65535);
		assert_int_equal(holder[port], 0);
		assert_int_equal(owner_of(&g, port), w);
		holder[port] = (uint8_t)(w + 1);
	}
	for (uint32_t w = 0; w < N_WORKERS; w++)
		assert_int_equal(take(g.p[w], g.a[w], &all), PORT_NONE);
	/* What one gives back the other can have, down to the last. */
	for (uint32_t port = 1024; port < 65536; port++)
		if (holder[port] == 1)
			ports_give_back(g.p[0], g.a[0], PORT_PROTO_UDP, port);
	for (uint32_t port = 1024; port < 65536; port++)
		if (holder[port] == 1)
			assert_int_not_equal(take(g.p[1], g.a[1], &all), PORT_NONE);
	assert_int_equal(take(g.p[1], g.a[1], &all), PORT_NONE);
	assert_int_equal(ports_n_holders(g.p[1]), all.n_ports);
	assert_int_equal(take(g.p[0], g.a[0], &all), PORT_NONE);
	group_stop(&g);
}

/* Would catch: a wanted port that stays with a worker who has no use for its block; one taken away from a worker who
 * has; a pin that pins nothing, or for ever. */
static void test_workers_wanted(void **state)
{
	struct group g = group_start();
	struct ip_addr addr = ip_addr_v4(ADDR);
	uint32_t w = owner_of(&g, 6000), other = 1 - w;
	struct port_request request = { .set = &all, .port = 6000 };

	(void)state;
	assert_false(ports_take_this(g.p[other], g.a[other], PORT_PROTO_UDP, 6000, NULL, NULL));
	assert_int_equal(ports_take(g.p[other], g.a[other], PORT_PROTO_UDP, &request, NULL, NULL), 6000);
	assert_int_equal(ports_n_holders(g.p[other]), 1);
	/* Who had its block finds out when he wants it. */
	uint32_t port = ports_take(g.p[w], g.a[w], PORT_PROTO_UDP, &request, NULL, NULL);
	assert_int_not_equal(port, 6000);
	assert_int_not_equal(port, PORT_NONE);
	ports_give_back(g.p[other], g.a[other], PORT_PROTO_UDP, 6000);

	assert_true(ports_pin(g.p[other], &addr, 0, PORT_PROTO_UDP, 6001));
	assert_int_equal(ports_n_pins(g.p[other]), 1);
	assert_int_equal(ports_n_holders(g.p[other]), 1);
	assert_false(ports_pin(g.p[w], &addr, 0, PORT_PROTO_UDP, 6001));
	request.port = 6002;
	uint32_t not = ports_take(g.p[w], g.a[w], PORT_PROTO_UDP, &request, NULL, NULL);
	assert_int_not_equal(not, 6002);
	ports_unpin(g.p[other], &addr, 0, PORT_PROTO_UDP, 6001);
	assert_int_equal(ports_n_holders(g.p[other]), 0);
	assert_int_equal(ports_take(g.p[w], g.a[w], PORT_PROTO_UDP, &request, NULL, NULL), 6002);
	group_stop(&g);
}

/* Would catch: a far port of one's own before a near one of another worker's block, or a near block that is not asked
 * for; a port to be shared that is another worker's. */
static void test_workers_near(void **state)
{
	struct group g = group_start();
	uint32_t w = owner_of(&g, 8000), other = 1 - w;
	struct port_set near = port_set_of((struct port_range){ 8000, 8007 }, NULL, 0);
	struct port_request request = { .set = &all, .near = &near };

	(void)state;
	for (uint32_t i = 0; i < near.n_ports; i++)
		assert_in_range(ports_take(g.p[other], g.a[other], PORT_PROTO_UDP, &request, NULL, NULL), 8000, 8007);
	uint32_t far = ports_take(g.p[other], g.a[other], PORT_PROTO_UDP, &request, NULL, NULL);
	assert_int_not_equal(far, PORT_NONE);
	assert_false(port_set_has(&near, far));
	/* What went is found out when it is wanted. */
	uint32_t gone = ports_any_of_mine(g.p[w], g.a[w], PORT_PROTO_UDP, &near);
	assert_false(gone != PORT_NONE && ports_take_this(g.p[w], g.a[w], PORT_PROTO_UDP, gone, NULL, NULL));
	assert_int_equal(ports_any_of_mine(g.p[w], g.a[w], PORT_PROTO_UDP, &near), PORT_NONE);
	for (uint32_t i = 0; i < 1000; i++) {
		uint32_t port = ports_any_of_mine(g.p[w], g.a[w], PORT_PROTO_UDP, &all);

		if (ports_take_this(g.p[w], g.a[w], PORT_PROTO_UDP, port, NULL, NULL))
			assert_int_equal(port_blocks_owner(g.blocks, 0, PORT_PROTO_UDP, port / PORT_BLOCK_PORTS), w);
	}
	assert_in_range(ports_n_used(g.p[w], g.a[w], PORT_PROTO_UDP, &all), 900, 1000);
	group_stop(&g);
}

/* Would catch: a claim that does not agree and leaves a block marked as used; an address without blocks that is shared
 * all the same, or of IPv6. */
static void test_workers_else(void **state)
{
	static const uint8_t bytes[16] = { 0x20, 0x01 };
	struct group g = group_start();
	struct ip_addr v6 = ip_addr_v6(bytes);
	struct port_request request = { .set = &all };
	struct only none = { .port = 0 };
	uint32_t own = address_of(g.p[0], ADDR + 1, 0);

	(void)state;
	assert_int_equal(ports_take(g.p[0], g.a[0], PORT_PROTO_UDP, &request, claim_only, &none), PORT_NONE);
	assert_true(none.n_asked > 0);
	for (uint32_t block = 16; block < PORT_BLOCKS_PER_MAP; block++)
		assert_true(port_blocks_is_idle_of(g.blocks, 0, PORT_PROTO_UDP, block,
						   port_blocks_owner(g.blocks, 0, PORT_PROTO_UDP, block)));
	assert_true(ports_are_mine(g.p[0], own));
	assert_true(ports_is_mine(g.p[0], own, PORT_PROTO_UDP, 7000));
	assert_int_equal(ports_address(g.p[0], &v6, 0), PORTS_NONE);
	group_stop(&g);
}

struct told {
	uint32_t address, n;
	bool in_use[PORT_BLOCKS_PER_MAP];
};

static void note_block(void *ctx, uint32_t address, enum port_proto proto, uint32_t block, enum ports_block_event what)
{
	struct told *t = ctx;

	assert_int_equal(address, t->address);
	assert_int_equal(proto, PORT_PROTO_UDP);
	assert_int_equal(t->in_use[block], what == PORTS_BLOCK_ENDS);
	t->in_use[block] = what == PORTS_BLOCK_BEGINS;
	t->n++;
}

static bool never(void *ctx, uint32_t port)
{
	(void)ctx;
	(void)port;
	return false;
}

/* Would catch: a block that is used and nobody is told, one that is told of twice or under another number, one that
 * does not end with its last port, or ends before. */
static void test_blocks_told(void **state)
{
	struct group g = group_start();
	static struct told told;
	static uint32_t held[PORT_BLOCKS_PER_MAP];
	struct ip_addr addr = ip_addr_v4(ADDR);
	uint32_t port[2000], pinned = 0;

	(void)state;
	memset(&told, 0, sizeof(told));
	memset(held, 0, sizeof(held));
	told.address = g.a[0];
	ports_set_block_told(g.p[0], note_block, &told);
	for (uint32_t i = 0; i < ARRAY_LEN(port); i++) {
		port[i] = take(g.p[0], g.a[0], &all);
		held[port[i] / PORT_BLOCK_PORTS]++;
		for (uint32_t b = 0; b < PORT_BLOCKS_PER_MAP && i % 100 == 0; b++)
			assert_int_equal(told.in_use[b], held[b] > 0);
	}
	while (!ports_pin(g.p[0], &addr, 0, PORT_PROTO_UDP, pinned))
		pinned++;
	held[pinned / PORT_BLOCK_PORTS]++;
	/* What comes to nothing leaves nothing behind. */
	struct port_request request = { .set = &all };
	assert_int_equal(ports_take(g.p[0], g.a[0], PORT_PROTO_UDP, &request, never, NULL), PORT_NONE);
	for (uint32_t i = 0; i < ARRAY_LEN(port); i++) {
		ports_give_back(g.p[0], g.a[0], PORT_PROTO_UDP, port[i]);
		held[port[i] / PORT_BLOCK_PORTS]--;
		for (uint32_t b = 0; b < PORT_BLOCKS_PER_MAP && i % 100 == 99; b++)
			assert_int_equal(told.in_use[b], held[b] > 0);
	}
	assert_true(told.in_use[pinned / PORT_BLOCK_PORTS]);
	ports_unpin(g.p[0], &addr, 0, PORT_PROTO_UDP, pinned);
	for (uint32_t b = 0; b < PORT_BLOCKS_PER_MAP; b++)
		assert_false(told.in_use[b]);
	assert_true(told.n > 200);
	/* Nobody is told of the other worker's. */
	told.n = 0;
	assert_int_not_equal(take(g.p[1], g.a[1], &all), PORT_NONE);
	assert_int_equal(told.n, 0);
	group_stop(&g);
}

/* Would catch: an address of which two zones share the ports, with blocks of its own in each, another address's blocks,
 * or a row taken away from others; one that is in no zone taken for the same in both. */
static void test_blocks_of_zones(void **state)
{
	struct port_blocks *b = port_blocks_create(N_WORKERS, 2);

	(void)state;
	assert_non_null(b);
	assert_true(port_blocks_add(b, ADDR, 0));
	assert_true(port_blocks_alias(b, ADDR, 7, 0));
	assert_true(port_blocks_add(b, ADDR, 9));
	assert_true(port_blocks_same(b, ADDR, 7, 0));
	assert_false(port_blocks_same(b, ADDR, 9, 0));
	assert_false(port_blocks_same(b, ADDR, 9, 7));
	/* It has been told already. */
	assert_true(port_blocks_alias(b, ADDR, 9, 0));
	assert_false(port_blocks_same(b, ADDR, 9, 0));
	/* Of neither anything is known. */
	assert_false(port_blocks_same(b, ADDR, 3, 4));
	assert_false(port_blocks_same(b, ADDR + 1, 0, 7));
	/* There is no room for a third, but for another name of the first. */
	assert_false(port_blocks_add(b, ADDR + 1, 0));
	assert_true(port_blocks_alias(b, ADDR, 8, 0));
	assert_int_equal(port_blocks_find(b, ADDR, 8), port_blocks_find(b, ADDR, 0));
	/* And four more: half of 16 places are taken, so that a look that finds nothing ends soon. */
	for (uint16_t zone = 20; zone < 24; zone++)
		assert_true(port_blocks_alias(b, ADDR, zone, 0));
	assert_false(port_blocks_alias(b, ADDR, 24, 0));
	assert_int_equal(port_blocks_find(b, ADDR, 24), PORT_BLOCK_NONE);
	for (uint16_t zone = 20; zone < 24; zone++)
		assert_true(port_blocks_same(b, ADDR, zone, 7));
	port_blocks_destroy(b);
}

/* Would catch: an address that another zone knows as well and that is two there, or one where it should be two. */
static void test_address_of_zones(void **state)
{
	struct group g = group_start();
	uint32_t other;

	(void)state;
	assert_true(port_blocks_alias(g.blocks, ADDR, 7, 0));
	assert_true(port_blocks_add(g.blocks, ADDR, 9));
	assert_int_equal(address_of(g.p[0], ADDR, 7), g.a[0]);
	other = address_of(g.p[0], ADDR, 9);
	assert_int_not_equal(other, g.a[0]);
	assert_int_equal(ports_zone(g.p[0], other), 9);
	group_stop(&g);
}

/* Would catch: something taken, counted or shown where there is nothing to be had. */
static void test_nothing_to_be_had(void **state)
{
	struct ports *p = start(4);
	uint32_t a = address_of(p, ADDR, 0), cursor = 0, n = 0, each;
	struct port_set none = { 0 }, few = port_set_of((struct port_range){ 3000, 3003 }, NULL, 0);
	struct port_request request = { .set = &none };
	struct ip_addr addr = ip_addr_v4(ADDR);

	(void)state;
	while (ports_next(p, &cursor, &each))
		n++;
	assert_int_equal(n, 1);
	assert_int_equal(ports_take(p, a, PORT_PROTO_UDP, &request, NULL, NULL), PORT_NONE);
	request = (struct port_request){ .set = &few, .parity = PORT_PARITY_EVEN };
	for (int i = 0; i < 4; i++)
		assert_in_range(ports_take(p, a, PORT_PROTO_UDP, &request, NULL, NULL), 3000, 3003);
	assert_int_equal(ports_take(p, a, PORT_PROTO_UDP, &request, NULL, NULL), PORT_NONE);
	assert_int_equal(ports_n_holders(p), 4);
	assert_false(ports_take_this(p, a, PORT_PROTO_NONE, 0, never, NULL));
	assert_int_equal(ports_n_holders(p), 4);
	/* No other worker could have it. */
	assert_false(ports_pin(p, &addr, 0, PORT_PROTO_UDP, 4000));
	assert_int_equal(ports_n_pins(p), 0);
	assert_true(ports_can_share(p, a, PORT_PROTO_UDP, 3000));
	assert_true(ports_hold_down(p, a, PORT_PROTO_UDP, 3000));
	assert_false(ports_can_share(p, a, PORT_PROTO_UDP, 3000));
	ports_hold_down_end(p, a, PORT_PROTO_UDP, 3000);
	ports_destroy(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_workers),          cmocka_unit_test(test_workers_wanted),
		cmocka_unit_test(test_workers_near),     cmocka_unit_test(test_workers_else),
		cmocka_unit_test(test_blocks_told),      cmocka_unit_test(test_blocks_of_zones),
		cmocka_unit_test(test_address_of_zones), cmocka_unit_test(test_nothing_to_be_had),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
