/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The routing information base: every route that somebody knows, and which of
 * them stands in a FIB. A zone is a routing table: it has a FIB of its own. For
 * one prefix of a zone the lowest distance wins, then the lowest metric, then the
 * lower gateway address, among those whose link is up.
 */
#ifndef YG_ROUTING_RIB_RIB_H
#define YG_ROUTING_RIB_RIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip4.h"
#include "stack/ip/fib.h"

enum rib_source {
	RIB_LOCAL,      /* our addresses and their broadcast addresses: distance 0 */
	RIB_CONNECTED,  /* prefixes of our interfaces: 0 */
	RIB_STATIC,     /* configured: 1 */
	RIB_TRANSLATED, /* addresses that only NAT uses: 5 */
	N_RIB_SOURCES
};

extern const char *const rib_source_names[N_RIB_SOURCES];

struct rib_route {
	struct ip4_prefix prefix;
	uint16_t zone;
	struct fib_nexthop nexthop; /* unicast with a gateway: ifindex 0 means "by the connected route" */
	uint8_t source;             /* enum rib_source */
	uint8_t distance;
	uint32_t metric;
	bool onlink;    /* its gateway is a neighbour on nexthop.ifindex, whatever prefixes say */
	bool resolved;  /* its gateway is on a connected prefix, or on one that a device route calls a link's */
	bool link_down; /* its interface has no link */
	bool active;    /* it stands in its zone's FIB */
};

struct rib;

struct rib *rib_create(void);
void rib_destroy(struct rib *r);
/* Adds a copy; an exact repetition is left out by rib_build. 0 or -ENOMEM. */
int rib_add(struct rib *r, const struct rib_route *route);
/* Resolves gateways over connected routes, chooses, and builds the FIBs, which are the RIB's own. Once, when all routes
 * are there. Routes that cannot be resolved stay inactive; every link counts as up. 0 or -ENOMEM. */
int rib_build(struct rib *r);
/* The link of an interface came or went: other routes may stand in the FIBs now. Nobody may look anything up meanwhile.
 * True when a FIB has changed. */
bool rib_link_changed(struct rib *r, uint32_t ifindex, bool up);
/* The zones that have routes, in order; zone 0 always. */
uint32_t rib_n_zones(const struct rib *r);
const struct fib *rib_fib_at(const struct rib *r, uint32_t i, uint16_t *zone);
size_t rib_n_routes(const struct rib *r);
const struct rib_route *rib_route_at(const struct rib *r, size_t i); /* sorted by zone and prefix after rib_build */

#endif
