/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ports of addresses by themselves: taken, given back, whose they are.
 */
#include "stack/ports/ports_fixture.h"

/* Would catch: a port given out twice or never, one outside the set, one that does not come back; protocols that take
 * from each other. */
static void test_all_once(void **state)
{
	struct ports *p = start(1);
	uint32_t a = address_of(p, ADDR, 0);
	static bool given[65536];

	(void)state;
	memset(given, 0, sizeof(given));
	for (uint32_t i = 0; i < all.n_ports; i++) {
		uint32_t port = take(p, a, &all);

		assert_in_range(port, 1024, 65535);
		assert_false(given[port]);
		given[port] = true;
		assert_int_equal(ports_n_used(p, a, PORT_PROTO_UDP, &all), i + 1);
	}
	assert_int_equal(take(p, a, &all), PORT_NONE);
	assert_int_equal(ports_n_holders(p), all.n_ports);
	assert_int_equal(ports_n_used(p, a, PORT_PROTO_TCP, &all), 0);
	assert_true(ports_take_this(p, a, PORT_PROTO_TCP, 5000, NULL, NULL));
	ports_give_back(p, a, PORT_PROTO_TCP, 5000);
	ports_give_back(p, a, PORT_PROTO_UDP, 40000);
	assert_int_equal(take(p, a, &all), 40000);
	ports_destroy(p);
}

/* Would catch: a wanted port that is not given although it is free, that is shared without anybody to tell its holders
 * apart, or one outside the set; a refused claim that keeps the port. */
static void test_wanted(void **state)
{
	struct ports *p = start(1);
	uint32_t a = address_of(p, ADDR, 0);
	struct port_request request = { .set = &all, .port = 5060 };
	struct only only = { .port = 5060 };

	(void)state;
	assert_int_equal(ports_take(p, a, PORT_PROTO_UDP, &request, NULL, NULL), 5060);
	uint32_t other = ports_take(p, a, PORT_PROTO_UDP, &request, NULL, NULL);
	assert_int_not_equal(other, 5060);
	assert_int_not_equal(other, PORT_NONE);
	/* Once more, for somebody whose peer is another. */
	assert_int_equal(ports_take(p, a, PORT_PROTO_UDP, &request, claim_only, &only), 5060);
	assert_int_equal(only.n_asked, 1);
	assert_int_equal(ports_n_holders(p), 3);
	assert_int_equal(ports_n_used(p, a, PORT_PROTO_UDP, &all), 2);
	ports_give_back(p, a, PORT_PROTO_UDP, 5060);
	assert_int_equal(ports_n_used(p, a, PORT_PROTO_UDP, &all), 2);
	ports_give_back(p, a, PORT_PROTO_UDP, 5060);
	assert_int_equal(ports_n_used(p, a, PORT_PROTO_UDP, &all), 1);

	request.port = 80;
	assert_in_range(ports_take(p, a, PORT_PROTO_UDP, &request, NULL, NULL), 1024, 65535);
	/* Nothing that is agreed to. */
	only = (struct only){ .port = 80 };
	assert_int_equal(ports_take(p, a, PORT_PROTO_UDP, &request, claim_only, &only), PORT_NONE);
	assert_in_range(only.n_asked, 2, 64);
	assert_int_equal(ports_n_holders(p), 2);
	ports_destroy(p);
}

/* Would catch: parity or near ports that are not preferred while there are some, or that are insisted on. */
static void test_parity_and_near(void **state)
{
	struct ports *p = start(1);
	uint32_t a = address_of(p, ADDR, 0);
	struct port_set few = port_set_of((struct port_range){ 2000, 2031 }, NULL, 0);
	struct port_set near = port_set_within(&few, 2000, 2015);
	struct port_request even = { .set = &all, .parity = PORT_PARITY_EVEN };
	struct port_request odd = { .set = &all, .parity = PORT_PARITY_ODD };
	struct port_request close = { .set = &few, .near = &near };

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(ports_take(p, a, PORT_PROTO_TCP, &even, NULL, NULL) & 1, 0);
		assert_int_equal(ports_take(p, a, PORT_PROTO_TCP, &odd, NULL, NULL) & 1, 1);
	}
	for (uint32_t i = 0; i < 32; i++) {
		uint32_t port = ports_take(p, a, PORT_PROTO_UDP, &close, NULL, NULL);

		assert_in_range(port, i < 16 ? 2000 : 2016, i < 16 ? 2015 : 2031);
	}
	assert_int_equal(ports_take(p, a, PORT_PROTO_UDP, &close, NULL, NULL), PORT_NONE);
	/* The only one that is left has the other parity. */
	even.set = odd.set = &few;
	for (uint32_t port = 2000; port < 2031; port++)
		assert_true(ports_take_this(p, a, PORT_PROTO_ICMP, port, NULL, NULL));
	assert_int_equal(ports_take(p, a, PORT_PROTO_ICMP, &even, NULL, NULL), 2031);
	ports_destroy(p);
}

/* Would catch: a port that is held down and yet given out, one that is held down while others have it, or stays so. */
static void test_hold_down(void **state)
{
	struct ports *p = start(1);
	uint32_t a = address_of(p, ADDR, 0);
	struct port_set one = port_set_of((struct port_range){ 3000, 3000 }, NULL, 0);

	(void)state;
	assert_int_equal(take(p, a, &one), 3000);
	assert_true(ports_take_this(p, a, PORT_PROTO_UDP, 3000, NULL, NULL));
	assert_false(ports_hold_down(p, a, PORT_PROTO_UDP, 3000));
	ports_give_back(p, a, PORT_PROTO_UDP, 3000);
	assert_true(ports_hold_down(p, a, PORT_PROTO_UDP, 3000));
	assert_false(ports_take_this(p, a, PORT_PROTO_UDP, 3000, NULL, NULL));
	assert_int_equal(take(p, a, &one), PORT_NONE);
	assert_int_equal(ports_n_holders(p), 1);
	ports_hold_down_end(p, a, PORT_PROTO_UDP, 3000);
	assert_int_equal(ports_n_holders(p), 0);
	assert_int_equal(take(p, a, &one), 3000);
	ports_destroy(p);
}

static uint16_t zone_0(const void *ctx, const struct ip_addr *addr, uint16_t zone)
{
	const uint32_t *same = ctx;

	return addr->v4 == *same ? 0 : zone;
}

/* Would catch: families, addresses or zones that are taken for each other, or that are not the same where they are. */
static void test_addresses(void **state)
{
	static const uint8_t bytes[16] = { 16, 113, 0, 203 }; /* its first four look like ADDR */
	/* One key for both (ports_key_v6). */
	static const uint64_t meets[2] = { UINT64_C(0x100cb007110), UINT64_C(0x5a0e930000000000) };
	uint8_t other[16];
	struct ip_addr v6 = ip_addr_v6(bytes), v6_other = ip_addr_v6(memcpy(other, meets, sizeof(other)));
	struct ports *p = start(8);
	uint32_t same = ADDR + 1, cursor = 0, address, n = 0;
	uint32_t number[] = { address_of(p, ADDR, 0),        address_of(p, ADDR, 3),   address_of(p, ADDR + 1, 0),
			      address_of(p, ADDR + 1, 3),    ports_address(p, &v6, 0), ports_address(p, &v6, 3),
			      ports_address(p, &v6_other, 0) };

	(void)state;
	for (uint32_t i = 0; i < ARRAY_LEN(number); i++) {
		assert_true(ports_take_this(p, number[i], PORT_PROTO_TCP, 443, NULL, NULL));
		for (uint32_t k = 0; k < i; k++)
			assert_int_not_equal(number[i], number[k]);
	}
	assert_int_equal(ports_find(p, &v6, 3), number[5]);
	assert_true(ip_addr_equal(ports_addr(p, number[6]), &v6_other));
	assert_int_equal(ports_zone(p, number[5]), 3);
	while (ports_next(p, &cursor, &address))
		n += ports_n_used(p, address, PORT_PROTO_TCP,
				  &(struct port_set){ .n = 1, .n_ports = 1, .range = { { 443, 443 } } });
	assert_int_equal(n, ARRAY_LEN(number));
	ports_set_zone(p, zone_0, &same);
	assert_int_equal(address_of(p, ADDR + 1, 3), number[2]);
	assert_int_equal(address_of(p, ADDR, 3), number[1]);
	ports_destroy(p);
}

/* Would catch: an address that loses its number while somebody has a port of it, or keeps it for ever. */
static void test_room(void **state)
{
	struct ip_addr first = ip_addr_v4(ADDR), third = ip_addr_v4(ADDR + 2);
	struct ports *p = start(2);
	uint32_t a = address_of(p, ADDR, 0), b = address_of(p, ADDR + 1, 0);

	(void)state;
	assert_true(ports_take_this(p, a, PORT_PROTO_TCP, 443, NULL, NULL));
	assert_true(ports_take_this(p, b, PORT_PROTO_NONE, 0, NULL, NULL));
	assert_int_equal(ports_address(p, &third, 0), PORTS_NONE);
	ports_give_back(p, b, PORT_PROTO_NONE, 0);
	assert_int_equal(ports_address(p, &third, 0), b);
	assert_int_equal(ports_find(p, &first, 0), a);
	assert_true(ports_was_used(p, &third, 0));
	assert_false(ports_was_used(p, &(struct ip_addr){ .family = IP_FAMILY_V4, .v4 = ADDR + 1 }, 0));
	/* Nothing of what was there before. */
	assert_int_equal(ports_n_used(p, b, PORT_PROTO_TCP, &all), 0);
	ports_destroy(p);
}

/* More addresses than there is room for, one after the other, beside two that stay. Would catch: one that is lost out
 * of its bucket's chain when another leaves it, maps that are not given back with their address, ports of an address
 * that had the place before. */
static void test_come_and_go(void **state)
{
	struct ports *p = start(4);
	uint32_t stays[] = { address_of(p, ADDR, 0), address_of(p, ADDR + 1, 0) };
	struct ip_addr addr[] = { ip_addr_v4(ADDR), ip_addr_v4(ADDR + 1) };

	(void)state;
	for (uint32_t k = 0; k < ARRAY_LEN(stays); k++)
		assert_true(ports_take_this(p, stays[k], PORT_PROTO_TCP, 443, NULL, NULL));
	for (uint32_t i = 0; i < 500; i++) {
		uint32_t a = address_of(p, IP4(198, 51, 100, 0) + i, 0);

		assert_int_not_equal(a, PORTS_NONE);
		for (uint32_t k = 0; k < ARRAY_LEN(stays); k++) {
			assert_int_not_equal(a, stays[k]);
			assert_int_equal(ports_find(p, &addr[k], 0), stays[k]);
		}
		for (enum port_proto proto = 0; proto < N_PORT_PROTOS; proto++) {
			assert_int_equal(ports_n_used(p, a, proto, &all), 0);
			assert_true(ports_take_this(p, a, proto, 5000, NULL, NULL));
			ports_give_back(p, a, proto, 5000);
		}
		/* Each place by turns the first to be free: this one keeps a port until the next round. */
		if (i % 3 == 0) {
			assert_true(ports_take_this(p, a, PORT_PROTO_UDP, 7, NULL, NULL));
			struct ip_addr other = ip_addr_v4(IP4(192, 0, 2, 0) + i);
			uint32_t b = ports_address(p, &other, 0);

			assert_int_not_equal(b, PORTS_NONE);
			assert_int_not_equal(a, b);
			ports_give_back(p, a, PORT_PROTO_UDP, 7);
		}
	}
	assert_int_equal(ports_n_holders(p), 2);
	ports_destroy(p);
}

/* Would catch: a port drawn ahead that is given out although somebody took it meanwhile, or on an address that lost its
 * number to another; a draw that says which port it will be. */
static void test_drawn(void **state)
{
	struct ip_addr addr = ip_addr_v4(ADDR), other = ip_addr_v4(ADDR + 1);
	struct ports *p = start(1);
	struct port_set few = port_set_of((struct port_range){ 4000, 4003 }, NULL, 0);
	struct port_request request = { .set = &few };
	struct port_draw draw[5], stale;
	uint32_t seen = 0, a = ports_address(p, &addr, 0);

	(void)state;
	for (uint32_t i = 0; i < ARRAY_LEN(draw); i++)
		assert_true(ports_draw(p, &addr, 0, PORT_PROTO_TCP, &request, &rng, &draw[i]));
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t port = ports_take_drawn(p, &addr, 0, &request, &draw[i]);

		assert_in_range(port, 4000, 4003);
		assert_int_equal(draw[i].address, a);
		seen |= 1u << (port - 4000);
	}
	assert_int_equal(seen, 0xf);
	assert_int_equal(ports_take_drawn(p, &addr, 0, &request, &draw[4]), PORT_NONE);
	/* Somebody with another peer can have a port that is wanted. */
	request.port = 4002;
	assert_true(ports_draw(p, &addr, 0, PORT_PROTO_TCP, &request, &rng, &draw[4]));
	assert_int_equal(ports_take_drawn(p, &addr, 0, &request, &draw[4]), 4002);
	ports_give_back(p, a, PORT_PROTO_TCP, 4002);
	request.parity = PORT_PARITY_ODD;
	assert_false(ports_draw(p, &addr, 0, PORT_PROTO_TCP, &request, &rng, &draw[4]));

	request = (struct port_request){ .set = &few };
	for (uint32_t port = 4000; port < 4004; port++)
		ports_give_back(p, a, PORT_PROTO_TCP, port);
	assert_true(ports_draw(p, &addr, 0, PORT_PROTO_TCP, &request, &rng, &stale));
	assert_int_equal(ports_address(p, &other, 0), a);
	uint32_t port = ports_take_drawn(p, &addr, 0, &request, &stale);
	assert_true(ip_addr_equal(ports_addr(p, stale.address), &addr));
	assert_int_equal(ports_n_used(p, stale.address, PORT_PROTO_TCP, &few), 1);
	ports_give_back(p, stale.address, PORT_PROTO_TCP, port);
	ports_destroy(p);
}

/* --- sockets --- */

static bool is_given(struct ports *p, uint32_t a, uint32_t port)
{
	struct port_set one = port_set_of((struct port_range){ (uint16_t)port, (uint16_t)port }, NULL, 0);
	struct port_request request = { .set = &one };
	uint32_t given = ports_take(p, a, PORT_PROTO_UDP, &request, NULL, NULL);

	if (given != PORT_NONE)
		ports_give_back(p, a, PORT_PROTO_UDP, given);
	return given == port;
}

static bool agree(void *ctx, uint32_t port)
{
	(void)ctx;
	(void)port;
	return true;
}

/* Would catch: a port that a socket has and NAT is given, drawn, wanted or shared, on its address or by a socket of any
 * address; one that stays taken when the last socket is gone; another protocol's or address's. */
static void test_sockets(void **state)
{
	struct ports *p = start(4);
	uint32_t a = address_of(p, ADDR, 0), b = address_of(p, ADDR + 1, 0), pool = address_of(p, ADDR + 9, 0);
	struct port_set one = port_set_of((struct port_range){ 5000, 5000 }, NULL, 0);
	struct port_request request = { .set = &one, .port = 5000 };
	struct port_draw draw;
	const struct ip_addr addr = ip_addr_v4(ADDR);

	(void)state;
	/* Two were there before they were ours. */
	assert_int_equal(ports_add_own(p, ADDR), 0);
	assert_int_equal(ports_add_own(p, ADDR + 1), 0);
	assert_true(ports_socket_take(p, ADDR, PORT_PROTO_UDP, 5000, PORTS_SOCKET_WANTED));
	assert_true(ports_socket_take(p, ADDR, PORT_PROTO_UDP, 5000, PORTS_SOCKET_ONE_MORE));
	assert_true(ports_socket_take(p, 0, PORT_PROTO_UDP, 5001, PORTS_SOCKET_DRAWN));
	assert_false(is_given(p, a, 5000));
	assert_true(is_given(p, b, 5000));
	assert_false(is_given(p, a, 5001));
	assert_false(is_given(p, b, 5001));
	assert_true(is_given(p, pool, 5001));
	assert_int_equal(ports_take(p, a, PORT_PROTO_UDP, &request, agree, NULL), PORT_NONE);
	assert_false(ports_take_this(p, a, PORT_PROTO_UDP, 5000, agree, NULL));
	assert_true(ports_draw(p, &addr, 0, PORT_PROTO_UDP, &request, &rng, &draw));
	assert_int_equal(ports_take_drawn(p, &addr, 0, &request, &draw), PORT_NONE);
	assert_true(draw.is_sockets);
	assert_false(ports_can_share(p, a, PORT_PROTO_UDP, 5000));
	assert_true(ports_take_this(p, a, PORT_PROTO_TCP, 5000, agree, NULL));
	ports_give_back(p, a, PORT_PROTO_TCP, 5000);
	/* One that comes later. */
	assert_int_equal(ports_add_own(p, ADDR + 2), 0);
	assert_false(is_given(p, address_of(p, ADDR + 2, 0), 5001));
	ports_socket_give_back(p, 0, PORT_PROTO_UDP, 5001);
	assert_true(is_given(p, address_of(p, ADDR + 2, 0), 5001));
	assert_true(is_given(p, b, 5001));
	ports_socket_give_back(p, ADDR, PORT_PROTO_UDP, 5000);
	assert_false(is_given(p, a, 5000));
	ports_socket_give_back(p, ADDR, PORT_PROTO_UDP, 5000);
	assert_true(is_given(p, a, 5000));
	assert_int_equal(ports_n_holders(p), 0);
	ports_destroy(p);
}

/* Would catch: a socket that draws a port which NAT uses, also since before the address was ours, or one held down;
 * that is bound to a mapping's port, or may not be bound to one that connections have, or takes it from them; NAT's
 * count of it when the last goes. */
static void test_sockets_among_others(void **state)
{
	struct ports *p = start(4);
	uint32_t a = address_of(p, ADDR, 0), b = address_of(p, ADDR + 1, 0);

	(void)state;
	assert_true(ports_take_this(p, a, PORT_PROTO_UDP, 6000, agree, NULL));
	assert_int_equal(ports_add_own(p, ADDR), 0);
	assert_int_equal(ports_add_own(p, ADDR + 1), 0);
	assert_false(ports_socket_take(p, ADDR, PORT_PROTO_UDP, 6000, PORTS_SOCKET_DRAWN));
	assert_false(ports_socket_take(p, 0, PORT_PROTO_UDP, 6000, PORTS_SOCKET_DRAWN));
	assert_true(is_given(p, b, 6000));
	assert_true(ports_socket_take(p, 0, PORT_PROTO_UDP, 6000, PORTS_SOCKET_WANTED));
	assert_false(is_given(p, b, 6000));
	assert_false(ports_take_this(p, a, PORT_PROTO_UDP, 6000, agree, NULL));
	assert_int_equal(ports_n_holders(p), 1);
	ports_give_back(p, a, PORT_PROTO_UDP, 6000);
	assert_false(is_given(p, a, 6000));
	ports_socket_give_back(p, 0, PORT_PROTO_UDP, 6000);
	assert_true(is_given(p, a, 6000));

	/* Of a mapping, which shares it with nobody. */
	struct port_set one = port_set_of((struct port_range){ 7000, 7000 }, NULL, 0);

	assert_int_equal(take(p, a, &one), 7000);
	assert_false(ports_socket_take(p, ADDR, PORT_PROTO_UDP, 7000, PORTS_SOCKET_WANTED));
	assert_false(ports_socket_take(p, 0, PORT_PROTO_UDP, 7000, PORTS_SOCKET_WANTED));
	assert_true(ports_hold_down(p, a, PORT_PROTO_UDP, 7000));
	assert_false(ports_socket_take(p, ADDR, PORT_PROTO_UDP, 7000, PORTS_SOCKET_DRAWN));
	ports_hold_down_end(p, a, PORT_PROTO_UDP, 7000);
	assert_true(ports_socket_take(p, ADDR, PORT_PROTO_UDP, 7000, PORTS_SOCKET_DRAWN));
	/* Others of the port settle it among themselves. */
	assert_true(ports_socket_take(p, ADDR, PORT_PROTO_UDP, 7000, PORTS_SOCKET_DRAWN));
	ports_socket_give_back(p, ADDR, PORT_PROTO_UDP, 7000);
	ports_socket_give_back(p, ADDR, PORT_PROTO_UDP, 7000);
	/* A claim that is not agreed to leaves nothing behind. */
	struct only only = { .port = 1 };

	assert_false(ports_take_this(p, a, PORT_PROTO_UDP, 7000, claim_only, &only));
	assert_true(ports_socket_take(p, ADDR, PORT_PROTO_UDP, 7000, PORTS_SOCKET_DRAWN));
	ports_socket_give_back(p, ADDR, PORT_PROTO_UDP, 7000);
	ports_destroy(p);
}

/* Would catch: sockets of the host that a worker does not see, or one of which outlives those who share it. */
static void test_sockets_of_host(void **state)
{
	struct ports *p = start(4), *host = ports_create(1, &rng);

	(void)state;
	ports_share_sockets(host, p);
	assert_int_equal(ports_add_own(p, ADDR), 0);
	uint32_t a = address_of(p, ADDR, 0);

	assert_true(ports_socket_take(host, ADDR, PORT_PROTO_UDP, 53, PORTS_SOCKET_WANTED));
	assert_false(is_given(p, a, 53));
	ports_socket_give_back(host, ADDR, PORT_PROTO_UDP, 53);
	assert_true(ports_take_this(p, a, PORT_PROTO_UDP, 54, agree, NULL));
	assert_false(ports_socket_take(host, ADDR, PORT_PROTO_UDP, 54, PORTS_SOCKET_DRAWN));
	ports_destroy(host);
	ports_give_back(p, a, PORT_PROTO_UDP, 54);
	ports_destroy(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_once),        cmocka_unit_test(test_wanted),
		cmocka_unit_test(test_parity_and_near), cmocka_unit_test(test_hold_down),
		cmocka_unit_test(test_addresses),       cmocka_unit_test(test_room),
		cmocka_unit_test(test_come_and_go),     cmocka_unit_test(test_drawn),
		cmocka_unit_test(test_sockets),         cmocka_unit_test(test_sockets_among_others),
		cmocka_unit_test(test_sockets_of_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
