/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The exact port map of one address and protocol: which ports are unused, and
 * by how many connections each other one is shared. A pick is uniform among the
 * unused ports and costs the same at every fill.
 */
#ifndef YG_STACK_PORTS_PORTMAP_H
#define YG_STACK_PORTS_PORTMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/util.h"
#include "stack/ports/port_set.h"

#define PORTMAP_WORDS 1024
#define PORTMAP_GROUPS 16 /* of 64 words */

/* A set of ports that is picked from: what the map and a busy destination share. */
struct port_bits {
	uint16_t group[PORTMAP_GROUPS]; /* unused ports in 4096 */
	uint32_t full_first, n_full;    /* none of these is unused, as somebody found out */
	uint8_t word[PORTMAP_WORDS];    /* unused ports in 64 */
	uint64_t unused[PORTMAP_WORDS];
};

static inline bool port_bits_unused(const struct port_bits *b, uint32_t port)
{
	return (b->unused[port >> 6] >> (port & 63) & 1) != 0;
}
/* An unused port of the set, each equally likely; PORT_NONE when there is none. */
uint32_t port_bits_pick(const struct port_bits *b, const struct port_set *s, struct rng *rng);
/* The same with a random number of the caller's, of 32 bits: equally likely but for one part in 2^16. */
uint32_t port_bits_pick_by(struct port_bits *b, const struct port_set *s, uint32_t number);

/* The same for a part of all ports, wherever it stands: words from a multiple of 64 on. More than 64 words only from
 * port 0 on, and a group for each 64. */
struct port_span {
	uint16_t *group;
	uint8_t *word;
	uint64_t *unused;
	uint32_t first; /* the port of its first bit */
	uint32_t n;     /* ports, a multiple of 64 */
};
static inline bool port_span_has(const struct port_span *b, uint32_t port)
{
	return port - b->first < b->n;
}
static inline bool port_span_unused(const struct port_span *b, uint32_t port)
{
	return (b->unused[(port - b->first) >> 6] >> (port & 63) & 1) != 0;
}
void port_span_take(const struct port_span *b, uint32_t port);
void port_span_give(const struct port_span *b, uint32_t port);
/* All 64 ports from `port` on at once. */
void port_span_set(const struct port_span *b, uint32_t port, uint64_t unused);
/* The set lies within the span. */
uint32_t port_span_pick(const struct port_span *b, const struct port_set *s, struct rng *rng);

#define PORTMAP_SHARERS 65536u

struct portmap {
	struct port_bits bits;
	uint32_t n_shared; /* ports with sharers, and held down */
	uint32_t version;  /* goes up with every change of blocks */
	uint16_t *sharers; /* PORTMAP_SHARERS of them, apart, since most maps never need them: connections beyond the
			      first */
	/* With several workers: the ports of blocks that are ours, whether used or not, and who else needs a block. */
	struct port_bits own;
	uint32_t pins[PORTMAP_WORDS];
	uint32_t changed[PORTMAP_WORDS];     /* the version with which a block came or went */
	uint64_t unshareable[PORTMAP_WORDS]; /* ports held down, and those with as many sharers as can be counted */
};

/* m is zeros, or what was a map before, but for m->sharers, which is whoever's it is that has the memory: zeros at
 * first, and then always this map's. They are not touched before a port is shared. */
void portmap_init(struct portmap *m);
/* The same without any port: blocks of 64 are added one by one. */
void portmap_init_shared(struct portmap *m);
void portmap_add_block(struct portmap *m, uint32_t block);
/* Nothing in it is in use. */
void portmap_remove_block(struct portmap *m, uint32_t block);
bool portmap_owns(const struct portmap *m, uint32_t port);
/* No port of the block is in use, and nobody else needs it. */
bool portmap_block_idle(const struct portmap *m, uint32_t block);
/* Of a shared map: ports of the set that are ours. */
uint32_t portmap_count_own(const struct portmap *m, const struct port_set *s);
static inline bool portmap_unused(const struct portmap *m, uint32_t port)
{
	return port_bits_unused(&m->bits, port);
}
/* What is about to be asked of this port. */
static inline void portmap_prefetch(const struct portmap *m, uint32_t port)
{
	prefetch_write(&m->bits.unused[port >> 6]);
	prefetch_write(&m->bits.word[port >> 6]);
	prefetch_write(m->bits.group);
}
/* One more connection on this port, and one less. */
void portmap_use(struct portmap *m, uint32_t port);
void portmap_release(struct portmap *m, uint32_t port);
/* A port with one connection left: it stays in use and cannot be shared. False, and nothing done, when it is shared. */
bool portmap_hold_down(struct portmap *m, uint32_t port);
/* A port that is held down can be released. */
void portmap_hold_down_end(struct portmap *m, uint32_t port);
/* False when it is held down, and when a port has as many sharers as can be counted. */
bool portmap_can_share(const struct portmap *m, uint32_t port);
/* Unused ports in the set. */
uint32_t portmap_count(const struct portmap *m, const struct port_set *s);
#endif
