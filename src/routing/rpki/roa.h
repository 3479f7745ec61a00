/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which AS may originate which prefix, as caches of the RPKI have it: a table of validated payloads (RFC 6811 section
 * 2) that several caches fill, and the question what it says of a route. A payload is here once, with a bit for each
 * cache that has it; what any of them has counts.
 *
 * What a cache says anew as a whole is staged beside what it said before, and takes its place in slices at the end, so
 * a cache that is cut off in the middle changes nothing.
 */
#ifndef YG_ROUTING_RPKI_ROA_H
#define YG_ROUTING_RPKI_ROA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ip4.h"
#include "base/siphash.h"

struct roa_table;

#define ROA_CACHES_MAX 8u

struct roa {
	struct ip4_prefix prefix;
	uint8_t max_len; /* of a route that it allows; prefix.len to 32 */
	uint32_t as;     /* 0: nobody may (RFC 6483 section 4) */
};

/* RFC 6811 section 2. */
enum roa_state {
	ROA_UNKNOWN, /* nothing covers the route ("NotFound") */
	ROA_VALID,
	ROA_INVALID
};
extern const char *const roa_state_names[]; /* "unknown", "valid", "invalid" */

/* max: payloads; 0: 1,048,576 (an IPv4 table has half of it today); address space only until they are there. NULL
 * without memory. */
struct roa_table *roa_table_create(uint32_t max, const struct siphash_key *key);
void roa_table_destroy(struct roa_table *t);

/* Payloads that there is room for. */
uint32_t roa_limit(const struct roa_table *t);

/* Of one prefix there are at most so many, of all caches: more find no room. Each look at it goes through them. */
#define ROA_OF_PREFIX_MAX 1024u

/* A cache, below ROA_CACHES_MAX, has it, or has it no more. 0; -EEXIST, -ENOENT: so it was; -ENOSPC. */
int roa_add(struct roa_table *t, uint32_t cache, const struct roa *roa);
int roa_remove(struct roa_table *t, uint32_t cache, const struct roa *roa);
bool roa_has(const struct roa_table *t, uint32_t cache, const struct roa *roa);
/* It is among what the cache will have. 0, -EEXIST or -ENOSPC. */
int roa_stage(struct roa_table *t, uint32_t cache, const struct roa *roa);

enum roa_sweep {
	ROA_TAKE_STAGED, /* the cache has what was staged, and nothing else */
	ROA_DROP_STAGED,
	ROA_DROP_ALL, /* what it has, and what was staged */
};
/* Looks at `budget` payloads at most, from *at on, which is 0 at first. True: there are more. Between two calls the
 * cache must not be told of anything else. */
bool roa_sweep(struct roa_table *t, uint32_t cache, enum roa_sweep how, uint32_t *at, uint32_t budget);

/* origin: the last AS of AS_PATH, or 0 when there is none that could be it (a set): then no payload is about it. */
enum roa_state roa_check(const struct roa_table *t, struct ip4_prefix route, uint32_t origin);

/* Payloads that some cache has; that this one has. */
uint32_t roa_count(const struct roa_table *t);
uint32_t roa_count_of(const struct roa_table *t, uint32_t cache);
/* Payloads that there was no room for. */
uint64_t roa_n_no_room(const struct roa_table *t);
/* Moves on with each change of what counts. */
uint64_t roa_version(const struct roa_table *t);

/* The payloads that cover a route, the shortest prefix first; caches: who has it, a bit each. */
struct roa_view {
	struct roa roa;
	uint8_t caches;
};
/* At most max of them; returns how many there are. */
uint32_t roa_covering(const struct roa_table *t, struct ip4_prefix route, struct roa_view *out, uint32_t max);
/* All, in no order: the next one from number *at on, which is 0 at first. */
bool roa_next(const struct roa_table *t, uint32_t *at, struct roa_view *out);

#endif
