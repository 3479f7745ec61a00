/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the block `policy` says: a program (routing/policy), and the text that it was made of.
 */
#ifndef YG_DAEMON_CONFIG_CONFIG_POLICY_H
#define YG_DAEMON_CONFIG_CONFIG_POLICY_H

#include "routing/policy/policy.h"

struct config_policy {
	struct policy *program;
	char *text; /* of all blocks, one behind the other */
	size_t len;
	bool has_errors;
	uint32_t n_more; /* who have it beside the first */
};

/* Returns it, to be freed once more; NULL is allowed. */
struct config_policy *config_policy_hold(struct config_policy *c);
void config_policy_free(struct config_policy *c);
/* They say the same, byte by byte; NULL says nothing. */
bool config_policy_same(const struct config_policy *x, const struct config_policy *y);
/* A filter's number in the program, or POLICY_NONE. */
uint32_t config_policy_find(const struct config_policy *c, const char *filter);

#endif
