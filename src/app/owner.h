/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which worker a packet belongs to: one pure function of the packet's bytes, the
 * interface that it came in by, and tables that all workers share. See crew.h.
 */
#ifndef YG_APP_OWNER_H
#define YG_APP_OWNER_H

#include <stdint.h>

#include "conntrack/tuple.h"
#include "ip/stack.h"
#include "nat/blocks.h"

struct owner_tables {
	uint32_t n_workers;
	struct siphash_key key; /* nobody outside can choose his worker */
	uint64_t outside;       /* a bit an interface: source NAT happens on the way out of it; 0: nobody knows */
	uint16_t zone[IP_INTERFACES_MAX];
	const struct nat_blocks *blocks;
};

enum owner_kind {
	OWNER_NOBODY, /* neither IPv4 nor ARP: whoever received it */
	OWNER_ALL,    /* ARP */
	OWNER_FLOW,   /* owner_of_tuple */
	OWNER_PIECE,  /* a fragment: owner_of_piece, who then knows its flow; *tuple if it is the first piece */
};

struct owner_view {
	enum owner_kind kind;
	struct tuple tuple; /* as conntrack would make it; of an ICMP error: of the answer to what it quotes */
	uint32_t src, dst;  /* pieces: of the frame itself */
	uint16_t id, frag_off;
	uint8_t proto;
};

void owner_look(const struct owner_tables *t, uint32_t ifindex, const uint8_t *frame, size_t len,
		struct owner_view *out);
uint32_t owner_of_tuple(const struct owner_tables *t, uint32_t ifindex, const struct tuple *tuple);
uint32_t owner_of_piece(const struct owner_tables *t, const struct owner_view *v);
/* The worker of a host inside. */
uint32_t owner_of_host(const struct owner_tables *t, uint32_t addr);
/* The block of ports that a packet with this tuple is sent to; false when its address has none. */
bool owner_block(const struct owner_tables *t, const struct tuple *tuple, uint32_t *row, uint32_t *proto,
		 uint32_t *block);
#endif
