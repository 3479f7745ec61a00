/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ports of addresses by themselves, for their tests.
 */
#ifndef YG_STACK_PORTS_PORTS_FIXTURE_H
#define YG_STACK_PORTS_PORTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "stack/ports/ports.h"

#define ADDR IP4(203, 0, 113, 16)

static struct rng rng;
static struct port_set all;

static inline struct ports *start(uint32_t n_addresses)
{
	static const uint8_t seed[RNG_SEED_BYTES] = { 7 };
	struct ports *p;

	rng_init(&rng, seed);
	all = port_set_of((struct port_range){ 1024, 65535 }, NULL, 0);
	p = ports_create(n_addresses, &rng);
	assert_non_null(p);
	return p;
}

static inline uint32_t address_of(struct ports *p, uint32_t addr, uint16_t zone)
{
	struct ip_addr a = ip_addr_v4(addr);

	return ports_address(p, &a, zone);
}

static inline uint32_t take(struct ports *p, uint32_t address, const struct port_set *set)
{
	struct port_request request = { .set = set };

	return ports_take(p, address, PORT_PROTO_UDP, &request, NULL, NULL);
}

/* Agrees to one port only, and counts. */
struct only {
	uint32_t port;
	uint32_t n_asked;
};

static inline bool claim_only(void *ctx, uint32_t port)
{
	struct only *o = ctx;

	o->n_asked++;
	return port == o->port;
}

#endif
