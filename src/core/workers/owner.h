/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which worker a packet belongs to: one pure function of the packet's bytes, the
 * interface that it came in by, and tables that all workers share. See workers.h.
 */
#ifndef YG_CORE_WORKERS_OWNER_H
#define YG_CORE_WORKERS_OWNER_H

#include <stdint.h>

#include "gateway/conntrack/tuple.h"
#include "stack/ip/stack.h"
#include "stack/ports/port_blocks.h"
#include "stack/wire/peek.h"

struct owner_tables {
	uint32_t n_workers;
	struct siphash_key key; /* nobody outside can choose his worker */
	uint64_t outside;       /* a bit an interface: source NAT happens on the way out of it; 0: nobody knows */
	uint16_t zone[IP_INTERFACES_MAX];
	const struct port_blocks *blocks;
};

enum owner_kind {
	OWNER_NOBODY,   /* neither IPv4 nor ARP: whoever received it */
	OWNER_ALL,      /* ARP */
	OWNER_FLOW,     /* owner_of_tuple */
	OWNER_FRAGMENT, /* a fragment: owner_of_fragment, who then knows its flow; *tuple if it is the first fragment */
};

struct owner_view {
	enum owner_kind kind;
	struct tuple tuple; /* as conntrack would make it; of an ICMP error: of the answer to what it quotes */
	uint32_t src, dst;  /* fragments: of the frame itself */
	uint16_t id, frag_off;
	uint8_t proto;
};

void owner_look(const struct owner_tables *t, uint32_t ifindex, const uint8_t *frame, size_t len,
		struct owner_view *out);
uint32_t owner_of_fragment(const struct owner_tables *t, const struct owner_view *v);

/* The rest is asked for every packet. */

/* For what nearly all frames are (peek_plain): true, and their tuple. */
static inline bool owner_look_plain(const struct owner_tables *t, uint32_t ifindex, const uint8_t *frame, size_t len,
				    struct tuple *tuple)
{
	struct peek k;

	if (!peek_plain(frame, len, &k))
		return false;
	*tuple = (struct tuple){ .src = k.src,
				 .dst = k.dst,
				 .sport = k.sport,
				 .dport = k.dport,
				 .proto = k.proto,
				 .zone = t->zone[ifindex] };
	return true;
}

/* Multiply and shift by a secret key: hosts are spread evenly whoever chooses their addresses, at the price of a few
 * instructions for each packet; nobody sees from outside what came of it. */
static inline uint32_t owner_hash(const struct owner_tables *t, uint64_t m)
{
	uint64_t hash = (m ^ t->key.k1) * (t->key.k0 | 1);

	hash ^= hash >> 32;
	hash *= t->key.k1 | 1;
	return (uint32_t)((hash >> 32) * t->n_workers >> 32);
}

/* The worker of a host inside. */
static inline uint32_t owner_of_host(const struct owner_tables *t, uint32_t addr)
{
	return owner_hash(t, addr);
}

/* The block of ports that a packet with this tuple is sent to; false when its address has none. */
static inline bool owner_block(const struct owner_tables *t, const struct tuple *tuple, uint32_t *row, uint32_t *proto,
			       uint32_t *block)
{
	enum port_proto its = port_proto_of(tuple->proto);

	if (its == PORT_PROTO_NONE)
		return false;
	*row = port_blocks_find(t->blocks, tuple->dst, tuple->zone);
	*proto = its;
	*block = (tuple->proto == IPPROTO_NR_ICMP ? tuple->sport : tuple->dport) / PORT_BLOCK_PORTS;
	return *row != PORT_BLOCK_NONE;
}

uint32_t owner_of_tuple(const struct owner_tables *t, uint32_t ifindex, const struct tuple *tuple);

/* owner_of_tuple of what owner_look_plain says, without the tuple; OWNER_UNKNOWN when it says nothing. */
#define OWNER_UNKNOWN UINT32_MAX
static inline uint32_t owner_of_plain(const struct owner_tables *t, uint32_t ifindex, const uint8_t *frame, size_t len)
{
	struct peek k;

	if (!peek_plain(frame, len, &k))
		return OWNER_UNKNOWN;
	uint32_t row = port_blocks_find(t->blocks, k.dst, t->zone[ifindex]);
	if (row != PORT_BLOCK_NONE)
		return port_blocks_owner(t->blocks, row, k.proto == IPPROTO_NR_UDP ? PORT_PROTO_UDP : PORT_PROTO_TCP,
					 k.dport / PORT_BLOCK_PORTS);
	return owner_of_host(t, t->outside >> ifindex & 1 ? k.dst : k.src);
}

#endif
