/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Adjacencies: what stands in front of an IPv4 packet to a neighbour, by number.
 *
 * A flow cache entry keeps the number and never the bytes, so a neighbour's new
 * Ethernet address is one write here and touches no flow. The number is that of
 * the neighbour's entry. Whoever keeps a number keeps its generation too, which
 * moves on when a number that was installed is given to another neighbour, or the
 * neighbour is lost as a next hop: what was kept before is void then, and nothing else is.
 */
#ifndef YG_STACK_IP_ADJACENCY_H
#define YG_STACK_IP_ADJACENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "stack/packet/packet.h"
#include "stack/wire/ether.h"

struct ip_stack;
struct ip_flow;
struct fib_route;

struct ip_adjacency {
	uint8_t header[ETHER_HEADER_LEN]; /* destination, source, type IPv4 */
	uint8_t ifindex;                  /* gateway's interface number; 0: the number is not in use */
	bool usable;                      /* false: packets take the slow path (not resolved, device down) */
	bool stale;                       /* whoever sends by it calls ip_adjacency_used */
	bool installed;                   /* a flow cache entry may hold the number */
	uint8_t generation;               /* below IP_ADJACENCY_GENERATIONS; comes round to 0 */
	uint8_t caps;                     /* DEVICE_CAP_* of the device behind it */
	uint16_t mtu;                     /* bytes of IP packet */
};

#define IP_ADJACENCIES_MAX 65535u
#define IP_ADJACENCY_GENERATIONS 128u

/* index <= ip_n_adjacencies(s): the last of them stands for us. It is never usable, and its generation stays 0. */
const struct ip_adjacency *ip_adjacency(const struct ip_stack *s, uint32_t index);
uint32_t ip_n_adjacencies(const struct ip_stack *s);
/* Something was sent by it: a stale neighbour is asked whether it is still there (RFC 4861's DELAY). */
void ip_adjacency_used(struct ip_stack *s, uint32_t index);
/* From here on somebody may hold the number: it gets another generation, and the slot is told GONE, before another
 * neighbour gets it. */
void ip_adjacency_installed(struct ip_stack *s, uint32_t index);
/* The next hop is lost: whatever is held of its number is void, and flows by it take the slow path. The neighbour is as
 * before, and who still has no other way goes on by it. */
void ip_adjacency_lost(struct ip_stack *s, uint32_t ifindex, uint32_t addr);
/* A packet of this flow, which has that route, would leave by it. */
bool ip_adjacency_leads(const struct ip_stack *s, uint32_t index, const struct fib_route *route,
			const struct ip_flow *f);
/* p's frame is whole, its Ethernet header written, its offload work within caps: it waits in the batch of the device of
 * a, which is usable, for ip_flush to send it. */
void ip_adjacency_send(struct ip_stack *s, const struct ip_adjacency *a, struct packet *p);

/* Slot: the adjacency is not what it was (address, device, usable, stale). GONE: the number will be given to another
 * neighbour, or this one is lost; whoever holds it with the generation before holds nothing any more. When the
 * generation is 0 it has come round: then nobody may hold it with any. */
enum ip_adjacency_change { IP_ADJACENCY_CHANGED, IP_ADJACENCY_GONE };
typedef void ip_adjacency_fn(void *ctx, uint32_t index, enum ip_adjacency_change change);

#endif
