/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How many connections each source address has: a counted table of fixed size.
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

/* Counts one more connection of addr in zone. False when it has `max` already. *index is what ct_source_leave wants;
 * CT_SOURCE_NONE when the table is full: then the address is not limited. */
bool ct_source_enter(struct ct_sources *s, const struct siphash_key *key, uint32_t addr, uint16_t zone, uint32_t max,
		     uint32_t *index);
void ct_source_leave(struct ct_sources *s, uint32_t index);

#endif
