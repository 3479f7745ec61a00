/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How many connections each source address has and how fast it opens them: two
 * counted tables of fixed size, one for addresses and one for what they are
 * counted with when there are too many of them.
 */
#ifndef YG_GATEWAY_CONNTRACK_SOURCE_H
#define YG_GATEWAY_CONNTRACK_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pool.h"
#include "base/siphash.h"

#define CT_SOURCE_NONE UINT32_MAX

struct ct_source_crowd;

struct ct_sources {
	struct pool pool;
	uint32_t *bucket; /* index of the first, + 1 */
	uint32_t n_buckets;
	uint32_t n_outside; /* of the addresses in pool */
	struct ct_source_crowd *crowd;
	uint32_t n_crowded; /* connections that are counted there */
};

/* For up to n addresses. 0 or -ENOMEM. */
int ct_sources_init(struct ct_sources *s, uint32_t n);
void ct_sources_fini(struct ct_sources *s);

enum ct_source_verdict { CT_SOURCE_OK, CT_SOURCE_TOO_MANY, CT_SOURCE_TOO_FAST };

struct ct_source_limit {
	uint32_t max;       /* connections at one time; 0: no limit */
	uint32_t new_per_s; /* new ones a second, and as many in one burst; 0: no limit */
};

/* Whose connection it is. */
struct ct_source_id {
	uint32_t addr;
	uint16_t zone;
	uint8_t ifindex; /* by which the packet came in */
	bool outside;    /* the interface leads outside */
	bool doubtful;   /* the route to addr does not lead there: it may be forged */
};

/* Counts one more connection of id, if the limits allow. *index is what ct_source_leave wants; CT_SOURCE_NONE when it
 * was refused. now: ns. */
enum ct_source_verdict ct_source_enter(struct ct_sources *s, const struct siphash_key *key,
				       const struct ct_source_id *id, const struct ct_source_limit *limit, uint64_t now,
				       uint32_t *index);
/* Counts one more where one with this index is counted; CT_SOURCE_NONE: nowhere. */
enum ct_source_verdict ct_source_join(struct ct_sources *s, uint32_t index, const struct ct_source_limit *limit,
				      uint64_t now);
void ct_source_leave(struct ct_sources *s, uint32_t index);
/* True for an index that was counted with others. */
bool ct_source_is_crowded(uint32_t index);

#endif
