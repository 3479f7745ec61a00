/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sets of numbers, pairs and triples with ranges: AS numbers, communities of the three kinds.
 */
#ifndef YG_ROUTING_POLICY_POLICY_TUPLES_H
#define YG_ROUTING_POLICY_POLICY_TUPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the language computes with, by its type: a number, an address, a truth or a name alone is w[0]; a pair (a, b) is
 * w[0] and w[1]; an extended community its high and its low word; a large one w[0] to w[2]; a prefix its address and
 * its length. What is not used is 0. */
struct policy_value {
	uint32_t w[3];
};

/* All between low and high: word by word, or (is_span) from the one to the other as they are counted, the last word
 * quickest. */
struct policy_range {
	struct policy_value low, high;
	bool is_span;
};

/* spans: sorted, apart. boxes: those that are no span, asked one by one. */
struct policy_tuples {
	struct policy_range *span, *box;
	uint32_t n_spans, n_boxes;
};

/* In whatever order, overlapping or empty. 0 or -ENOMEM. */
int policy_tuples_init(struct policy_tuples *s, const struct policy_range *range, size_t n);
void policy_tuples_fini(struct policy_tuples *s);

bool policy_tuples_have(const struct policy_tuples *s, struct policy_value v);
/* < 0, 0, > 0: as they are counted. */
int policy_value_compare(struct policy_value a, struct policy_value b);

#endif
