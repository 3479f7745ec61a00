/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/workers/owner.h"
#include "base/ip4.h"

#define LAN 1u
#define WAN 2u
#define POOL IP4(203, 0, 113, 16)
#define N_WORKERS 4u

struct fixture {
	struct owner_tables t;
	struct port_blocks *blocks;
};

static struct fixture start(uint64_t outside)
{
	struct fixture r = { .blocks = port_blocks_create(N_WORKERS, 16) };

	assert_non_null(r.blocks);
	assert_true(port_blocks_add(r.blocks, POOL, 0));
	r.t = (struct owner_tables){ .n_workers = N_WORKERS,
				     .key = { UINT64_C(0x8c1f0b3a92d4e657), UINT64_C(0x51e7a96c0f3b82d4) },
				     .outside = outside,
				     .blocks = r.blocks };
	return r;
}

static struct tuple tcp(uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport)
{
	return (struct tuple){ .src = src, .dst = dst, .sport = sport, .dport = dport, .proto = IPPROTO_NR_TCP };
}

/* Would catch: a host whose flows are spread, two directions of a routed flow at two workers, workers that get
 * nothing. */
static void test_by_host(void **state)
{
	struct fixture r = start(1u << WAN);
	uint32_t n_hosts[N_WORKERS] = { 0 };

	for (uint32_t k = 0; k < 1000; k++) {
		uint32_t host = IP4(10, 0, 0, 1) + k, owner = owner_of_host(&r.t, host);

		n_hosts[owner]++;
		for (uint16_t i = 0; i < 8; i++) {
			struct tuple out = tcp(host, (uint16_t)(1000 + i), IP4(8, 8, 8, 8) + i, 443);
			struct tuple back = tuple_invert(&out);

			assert_int_equal(owner_of_tuple(&r.t, LAN, &out), owner);
			assert_int_equal(owner_of_tuple(&r.t, WAN, &back), owner);
		}
	}
	for (uint32_t w = 0; w < N_WORKERS; w++)
		assert_in_range(n_hosts[w], 150, 350);
	port_blocks_destroy(r.blocks);
}

/* Would catch: a port whose packets go to another worker than the one that has its block; a block in use that moves;
 * protocols that share a block. */
static void test_by_block(void **state)
{
	struct fixture r = start(1u << WAN);
	uint32_t row = port_blocks_find(r.blocks, POOL, 0);

	for (uint32_t block = 0; block < PORT_BLOCKS_PER_MAP; block++) {
		struct tuple t = tcp(IP4(8, 8, 8, 8), 443, POOL, (uint16_t)(block * PORT_BLOCK_PORTS + block % 64));
		uint32_t owner = owner_of_tuple(&r.t, WAN, &t), other = (owner + 1) % N_WORKERS;
		struct tuple udp = t, ping = t;

		udp.proto = IPPROTO_NR_UDP;
		ping.proto = IPPROTO_NR_ICMP;
		ping.sport = t.dport;
		ping.dport = 0;
		assert_int_equal(owner_of_tuple(&r.t, LAN, &t), owner);
		assert_true(port_blocks_take_one(r.blocks, row, 0, block, other));
		assert_int_equal(owner_of_tuple(&r.t, WAN, &t), other);
		assert_int_equal(owner_of_tuple(&r.t, WAN, &udp), owner);
		assert_int_equal(owner_of_tuple(&r.t, WAN, &ping), owner);
		assert_false(port_blocks_use(r.blocks, row, 0, block, owner));
		assert_true(port_blocks_use(r.blocks, row, 0, block, other));
		assert_false(port_blocks_take_one(r.blocks, row, 0, block, owner));
		port_blocks_free(r.blocks, row, 0, block, other);
		assert_int_equal(owner_of_tuple(&r.t, WAN, &t), other);
		assert_true(port_blocks_take_one(r.blocks, row, 0, block, owner));
	}
	port_blocks_destroy(r.blocks);
}

/* Would catch: an address that is shared and not found, one that is not and found; zones that are mixed up. */
static void test_addresses(void **state)
{
	struct port_blocks *b = port_blocks_create(N_WORKERS, 1024);
	uint32_t step = IP4(0, 3, 7, 1);

	assert_non_null(b);
	for (uint32_t i = 0; i < 1024; i++) {
		assert_int_equal(port_blocks_find(b, POOL + i * step, 3), PORT_BLOCK_NONE);
		assert_true(port_blocks_add(b, POOL + i * step, 3));
		assert_int_equal(port_blocks_find(b, POOL + i * step, 3), i);
		assert_int_equal(port_blocks_find(b, POOL + i * step, 4), PORT_BLOCK_NONE);
	}
	assert_true(port_blocks_add(b, POOL, 3));
	assert_false(port_blocks_add(b, POOL + 1, 3));
	for (uint32_t i = 0; i < 1024; i++) {
		assert_int_equal(port_blocks_find(b, POOL + i * step, 3), i);
		assert_int_equal(port_blocks_find(b, POOL + i * step + 1, 3), PORT_BLOCK_NONE);
	}
	port_blocks_destroy(b);
}

/* An Ethernet frame with nothing wrong in what is looked at. */
static void frame_of(uint8_t frame[64], const struct tuple *t)
{
	const struct ipv4_view ip = { .src = t->src,
				      .dst = t->dst,
				      .proto = t->proto,
				      .ttl = 64,
				      .header_len = IPV4_HEADER_LEN,
				      .total_len = 50 };
	uint8_t *l4 = frame + ETHER_HEADER_LEN + IPV4_HEADER_LEN;

	memset(frame, 0, 64);
	frame[12] = 0x08;
	ipv4_emit(frame + ETHER_HEADER_LEN, &ip);
	l4[0] = (uint8_t)(t->sport >> 8);
	l4[1] = (uint8_t)t->sport;
	l4[2] = (uint8_t)(t->dport >> 8);
	l4[3] = (uint8_t)t->dport;
}

/* Would catch: a plain frame that has another owner than its tuple, by protocol, direction, zone or block. */
static void test_plain(void **state)
{
	struct fixture r = start(1u << WAN);
	uint32_t row = port_blocks_find(r.blocks, POOL, 0);
	uint8_t frame[64];

	for (uint32_t k = 0; k < 4096; k++) {
		struct tuple t = tcp(IP4(10, 0, 0, 1) + k, (uint16_t)(k * 7), k % 3 ? POOL : IP4(8, 8, 8, 8) + k,
				     (uint16_t)(k * 97));
		uint32_t ifindex = k & 8 ? WAN : LAN;

		t.proto = k & 16 ? IPPROTO_NR_UDP : IPPROTO_NR_TCP;
		r.t.zone[ifindex] = t.zone = k & 32 ? 5 : 0;
		(void)port_blocks_take_one(r.blocks, row, k % 2, t.dport / PORT_BLOCK_PORTS, k / 2 % N_WORKERS);
		frame_of(frame, &t);
		assert_int_equal(owner_of_plain(&r.t, ifindex, frame, sizeof(frame)),
				 owner_of_tuple(&r.t, ifindex, &t));
		frame[14] = 0x46; /* options */
		assert_int_equal(owner_of_plain(&r.t, ifindex, frame, sizeof(frame)), OWNER_UNKNOWN);
	}
	port_blocks_destroy(r.blocks);
}

/* Would catch: fragments of one packet that meet nowhere. */
static void test_fragments(void **state)
{
	struct fixture r = start(0);
	struct owner_view v = { .src = IP4(10, 0, 0, 1), .dst = POOL, .id = 7, .proto = IPPROTO_NR_UDP };
	uint32_t owner = owner_of_fragment(&r.t, &v), n_other = 0;

	v.tuple = tcp(1, 2, 3, 4);
	v.frag_off = 1480;
	assert_int_equal(owner_of_fragment(&r.t, &v), owner);
	for (v.id = 0; v.id < 100; v.id++)
		n_other += owner_of_fragment(&r.t, &v) != owner;
	assert_in_range(n_other, 50, 95);
	port_blocks_destroy(r.blocks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_host), cmocka_unit_test(test_by_block),  cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_plain),   cmocka_unit_test(test_fragments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
