/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BGP's table before a RIB that forwards: links 1 to 4 with 10.0.LINK.1/24, and what neighbours say.
 */
#ifndef YG_ROUTING_BGP_BGP_RIB_TEST_H
#define YG_ROUTING_BGP_BGP_RIB_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "routing/bgp/bgp_rib.h"
#include "stack/wire/bgp_fixture.h"

#define TEST_LINKS 4u

struct bgp_rib_bed {
	struct bgp_table *table;
	struct rib *rib;
	const struct fib *fib;
	struct bgp_rib *b;
	uint32_t n_woken;
};

static inline void bed_woken(void *user)
{
	++*(uint32_t *)user;
}

static inline struct rib_route bed_link(uint32_t i)
{
	uint32_t addr = IP4(10, 0, i, 1);

	return (struct rib_route){ .prefix = ip_prefix_v4(addr, 24),
				   .nexthop = { .kind = FIB_UNICAST, .ifindex = i, .source = ip_addr_v4(addr) },
				   .instance = i,
				   .source = RIB_CONNECTED };
}

static inline struct rib_route bed_via(uint32_t addr, uint8_t len, uint32_t gateway, uint32_t metric)
{
	return (struct rib_route){ .prefix = ip_prefix_v4(addr, len),
				   .nexthop = { .kind = FIB_UNICAST, .gateway = ip_addr_v4(gateway) },
				   .source = RIB_OSPF,
				   .distance = 110,
				   .metric = metric };
}

static inline void bed_set(struct bgp_rib_bed *d, struct rib_route route)
{
	assert_int_equal(rib_set(d->rib, &route), 0);
	assert_int_equal(rib_flush(d->rib), 0);
}

static inline void bed_unset(struct bgp_rib_bed *d, struct rib_route route)
{
	assert_int_equal(rib_unset(d->rib, &route), 0);
	assert_int_equal(rib_flush(d->rib), 0);
}

/* The first n_external neighbours are 10.0.1.9, 10.0.2.9 and so on, of other ASes, the others internal. */
static inline void bed_begin_shared(struct bgp_rib_bed *d, uint32_t n_external, uint32_t n_internal, uint8_t max_paths)
{
	static const struct siphash_key key = { 5, 6 };
	static const struct bgp_table_limits limits = { 0 };

	*d = (struct bgp_rib_bed){ .rib = rib_create(RIB_FORWARDS) };
	assert_non_null(d->rib);
	d->fib = rib_fib_hold(d->rib, 0);
	assert_non_null(d->fib);
	for (uint32_t i = 1; i <= TEST_LINKS; i++)
		bed_set(d, bed_link(i));
	assert_int_equal(bgp_table_create(&d->table, &limits, BGP_MED_SAME_AS, &key), 0);
	assert_int_equal(bgp_rib_create(&d->b, d->table, d->rib,
					&(struct bgp_rib_config){ .max_paths = max_paths,
								  .multipath = BGP_MULTIPATH_RELAX,
								  .wake = bed_woken,
								  .user = &d->n_woken }),
			 0);
	for (uint32_t i = 0; i < n_external + n_internal; i++) {
		struct bgp_source s = { i < n_external ? BGP_EXTERNAL : BGP_INTERNAL, 100 + i, IP4(10, 0, i + 1, 9) };

		assert_int_equal(bgp_table_add_source(d->table, &s), i);
	}
}

static inline void bed_begin(struct bgp_rib_bed *d, uint32_t n_external, uint32_t n_internal)
{
	bed_begin_shared(d, n_external, n_internal, 1);
}

static inline void bed_end(struct bgp_rib_bed *d)
{
	bgp_rib_destroy(d->b);
	bgp_table_destroy(d->table);
	rib_fib_release(d->rib, 0);
	rib_release(d->rib);
}

static inline void bed_work(struct bgp_rib_bed *d)
{
	(void)bgp_rib_flush(d->b);
	while (bgp_rib_work(d->b, 7) || rib_work(d->rib, 7))
		;
}

/* What a neighbour says of one prefix: hop 0 withdraws. n_hops: numbers in the path, at least 1. */
static inline void bed_say(struct bgp_rib_bed *d, uint32_t source, struct ip4_prefix p, uint32_t hop, uint32_t n_hops,
			   uint32_t local_pref)
{
	static uint8_t bytes[BGP_FIXTURE_MAX];
	static struct bgp_update u;
	struct bgp_wire w = bgp_fixture_wire();
	struct bgp_error e;
	char attrs[300] = "", nlri[20];
	int n = snprintf(nlri, sizeof(nlri), "%02x", p.len);

	for (uint32_t i = 0; i < (p.len + 7u) / 8; i++)
		n += snprintf(nlri + n, sizeof(nlri) - (size_t)n, "%02x", p.addr >> (24 - 8 * i) & 0xff);
	if (hop != 0) {
		n = snprintf(attrs, sizeof(attrs), BGP_FIXTURE_ORIGIN "400304 %08x 4002%02x 02%02x", hop,
			     2 + 4 * n_hops, n_hops);
		for (uint32_t i = 0; i < n_hops; i++)
			n += snprintf(attrs + n, sizeof(attrs) - (size_t)n, " %08x", 70001 + source);
		if (bgp_table_source(d->table, source)->kind == BGP_INTERNAL)
			(void)snprintf(attrs + n, sizeof(attrs) - (size_t)n, " 400504 %08x", local_pref);
	}
	w.any_first_as = true;
	w.peer_as = bgp_table_source(d->table, source)->kind == BGP_INTERNAL ? w.local_as : 70001 + source;
	enum bgp_disposition got = bgp_update_parse(
		&w, bytes, bgp_fixture_update(bytes, hop == 0 ? nlri : "", attrs, hop == 0 ? "" : nlri), &u, &e);

	assert_int_equal(got, BGP_ACCEPT);
	bgp_table_update(d->table, source, &u, got, 0);
}

/* By which neighbour packets to an address leave; 0: none. */
static inline uint32_t bed_gateway(const struct bgp_rib_bed *d, uint32_t addr)
{
	const struct fib_nexthop *nh = fib_nexthop(d->fib, fib_lookup(d->fib, addr));

	return nh->kind == FIB_UNICAST ? nh->gateway.v4 : 0;
}

#endif
