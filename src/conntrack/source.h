/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How many connections each source address has and how fast it opens them: a
 * counted table of fixed size.
 */
#ifndef YG_CONNTRACK_SOURCE_H
#define YG_CONNTRACK_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pool.h"
#include "base/siphash.h"

#define CT_SOURCE_NONE UINT32_MAX

struct ct_sources {
	struct pool pool;
	uint32_t *bucket; /* index of the first, + 1 */
	uint32_t n_buckets;
};

/* For up to n addresses. 0 or -ENOMEM. */
int ct_sources_init(struct ct_sources *s, uint32_t n);
void ct_sources_fini(struct ct_sources *s);

enum ct_source_verdict { CT_SOURCE_OK, CT_SOURCE_TOO_MANY, CT_SOURCE_TOO_FAST };

struct ct_source_limit {
	uint32_t max;       /* connections at one time; 0: no limit */
	uint32_t new_per_s; /* new ones a second, and as many in one burst; 0: no limit */
};

/* Counts one more connection of addr in zone, if the limits allow. *index is what ct_source_leave wants; CT_SOURCE_NONE
 * when it was refused, and when the table is full: then the address is not limited. now: ns. */
enum ct_source_verdict ct_source_enter(struct ct_sources *s, const struct siphash_key *key, uint32_t addr,
				       uint16_t zone, const struct ct_source_limit *limit, uint64_t now,
				       uint32_t *index);
void ct_source_leave(struct ct_sources *s, uint32_t index);

#endif
