/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is asked of the IP layer on a packet's way: routes, addresses of ours, MTUs.
 */
#ifndef YG_STACK_IP_ROUTE_H
#define YG_STACK_IP_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "stack/ip/stack.h"

/* The route to dst in a zone: that of its own table, or where that has none, of zone 0's. Never NULL (kind FIB_NONE).
 * Good until the batch is over. */
const struct fib_route *ip_fib_route(const struct ip_stack *s, uint16_t zone, uint32_t dst);
/* For whoever listens: the group of that route, by which prefix it was found (none: there is no route), and in which
 * zone's table. */
uint32_t ip_route_prefix(const struct ip_stack *s, uint16_t zone, uint32_t dst, struct ip_prefix *prefix,
			 uint16_t *table);
/* The same for at most BATCH_MAX addresses by zone 0's table, in one go. */
void ip_fib_routes(const struct ip_stack *s, const uint32_t *addr, const struct fib_route **route, uint32_t n);
/* There are other tables. */
bool ip_has_zones(const struct ip_stack *s);
/* A packet from that source may come in by that interface, as its reverse path check has it. back: zone 0's route to
 * it. */
bool ip_source_fits(const struct ip_stack *s, uint32_t ifindex, uint32_t src, const struct fib_route *back);
/* Its next hop; of several, one. */
const struct fib_nexthop *ip_route(const struct ip_stack *s, uint16_t zone, uint32_t dst);
/* The same by one interface alone (SO_BINDTODEVICE); 0: by any. What no route by it leads to is taken to be on its
 * link, as Linux has it; what the routes refuse (FIB_BLACKHOLE and the like) stays refused. The FIB has two routes to a
 * prefix, and none when none of its routes is up: what only a third would lead to by this interface, or one that has
 * left the FIB, is taken to be on its link too, where Linux goes by that route. It may be *room, which is the
 * caller's. */
const struct fib_nexthop *ip_route_by(const struct ip_stack *s, uint16_t zone, uint32_t dst, uint32_t ifindex,
				      struct fib_nexthop *room);
/* By what flows are divided over several next hops: as it is routed, behind destination NAT and before source NAT. src
 * is 0 of what is made here, since the way decides the source; ports are 0 of fragments, and where there are none. */
struct ip_flow {
	uint32_t src, dst;
	uint16_t sport, dport; /* an ICMP query's identifier is in sport */
	uint8_t proto;
};
uint32_t ip_flow_hash(const struct ip_flow *f);
/* The next hop of a flow that is made here, as ip_route_by: of several the one that its packets go by. */
const struct fib_nexthop *ip_route_flow(const struct ip_stack *s, uint16_t zone, const struct ip_flow *f,
					uint32_t ifindex, struct fib_nexthop *room);
/* The zone that p came from: its sender is there. */
uint16_t ip_zone_from(const struct ip_stack *s, const struct packet *p);
/* What goes to p's source may leave by the interface that p came in by: the strict reverse path check, whatever that
 * interface asks for. */
bool ip_leads_back(const struct ip_stack *s, const struct packet *p);
/* The address of an interface that suits dst: one on the same prefix, else the first; 0 when it has none. */
uint32_t ip_interface_address(const struct ip_stack *s, uint32_t ifindex, uint32_t dst);
/* The same, but an interface without one borrows the first address of any other (RFC 1812 section 2.2.7); 0 when there
 * is none at all. */
uint32_t ip_source_for(const struct ip_stack *s, uint32_t ifindex, uint32_t dst);
/* Bytes of IP packet that go out of an interface whose device is there. */
uint32_t ip_mtu(const struct ip_stack *s, uint32_t ifindex);
/* DEVICE_CAP_*: what may be left to the interface's device. It is done here for one that can do less. */
uint32_t ip_offloads(const struct ip_stack *s, uint32_t ifindex);
/* A packet to dst, which has that route, is to us. */
bool ip_leads_here(const struct fib_route *route, uint32_t dst);
/* Nothing from src may go to dst: it would leave, and no address of 127/8 is ever on the wire (RFC 1122 section
 * 3.2.1.3 g). */
bool ip_must_stay(const struct ip_stack *s, uint16_t zone, uint32_t src, uint32_t dst);
/* True for an address of ours as packets of that zone see it, on any interface. */
bool ip_is_local(const struct ip_stack *s, uint16_t zone, uint32_t addr);

#endif
