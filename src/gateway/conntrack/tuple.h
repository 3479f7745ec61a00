/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A tuple names one direction of a connection; a connection has two, and the
 * REPLY one says what the answer will look like when it comes back.
 */
#ifndef YG_GATEWAY_CONNTRACK_TUPLE_H
#define YG_GATEWAY_CONNTRACK_TUPLE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/siphash.h"
#include "stack/packet/packet.h"
#include "stack/packet/trace.h"
#include "stack/wire/icmp.h"

/* Host order. ICMP queries: sport is the identifier, dport is type << 8 | code;
 * the other direction has the opposite type. Protocols without ports: zeros, but
 * for GRE and ESP: with `id`, an identifier of 32 bits, its high half in sport. */
struct tuple {
	uint32_t src, dst;
	uint16_t sport, dport;
	uint8_t proto;
	uint8_t id; /* enum l4_id, or TUPLE_ID_UNKNOWN: of GRE and ESP, else 0 */
	uint16_t zone;
};
_Static_assert(sizeof(struct tuple) == 16, "hashed as 16 bytes");

/* The other direction of a flow whose receiver chooses its identifier: it is learnt from the first answer (identity.c).
 * One flow at a time between two addresses has it. */
#define TUPLE_ID_UNKNOWN 255

/* Such a flow, one direction of it. */
static inline bool tuple_has_own_id(const struct tuple *t)
{
	return t->id == L4_ID_CALL || t->id == L4_ID_SPI;
}

static inline bool tuple_equal(const struct tuple *a, const struct tuple *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Of a parsed packet (not an ICMP error). False when the packet has no tuple: a
 * later fragment of a protocol with ports, of ICMP, GRE or ESP, an ICMP message that is neither query nor
 * error. */
bool tuple_of_packet(const struct packet *p, uint16_t zone, struct tuple *t);
/* Of the packet that an ICMP error quotes, as it stands there. False likewise. */
bool tuple_of_quote(const struct icmp_quote *q, uint16_t zone, struct tuple *t);
/* The other direction without translation. */
struct tuple tuple_invert_other(const struct tuple *t); /* of ICMP, and of what has an identifier */
static inline struct tuple tuple_invert(const struct tuple *t)
{
	if (YG_UNLIKELY(t->proto == IPPROTO_NR_ICMP || t->id != L4_ID_NONE))
		return tuple_invert_other(t);
	return (struct tuple){
		.src = t->dst, .dst = t->src, .sport = t->dport, .dport = t->sport, .proto = t->proto, .zone = t->zone
	};
}
/* As a value of either family, for whoever is told of it. */
struct ip_tuple tuple_to_ip(const struct tuple *t);
uint64_t tuple_hash(const struct siphash_key *key, const struct tuple *t);

#endif
