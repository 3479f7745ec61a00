/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A snapshot: everything that a core is told by the config, const from the
 * moment it is built, swapped as one. Interface numbers and pool numbers of the
 * snapshot before are kept by name, so connections survive a reload.
 */
#ifndef YG_APP_SNAPSHOT_H
#define YG_APP_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conntrack/conntrack.h"
#include "control/config.h"
#include "ip/stack.h"
#include "nat/nat.h"
#include "route/rib.h"
#include "rules/rules.h"

struct snapshot {
	uint64_t generation; /* 1 for the first, + 1 a reload */
	struct ip_config ip;
	struct ct_config ct;
	struct nat_config nat;
	struct nat_address_range *nat_source; /* nat.source, to be freed */
	struct ruleset *rules;
	struct rib *rib; /* its FIBs follow the links: see gateway.c */
	char driver[IP_INTERFACES_MAX][16]; /* by interface number */
	bool take_over[IP_INTERFACES_MAX];
	uint32_t offload_max; /* connections in the kernel, 0: the default */
	bool offload_off;
	uint32_t n_workers; /* at least 1 */
	uint64_t outside; /* a bit an interface: a rule of source NAT names it as output */
	char *text; /* the config file's text */
	size_t text_len;
};

/* Builds one from a config; prev may be NULL. On failure NULL and at
 * least one error in *errors, which the caller has set to NULL or to what reading the config
 * left there (notes); config_errors_free. */
struct snapshot *snapshot_build(const struct config *cfg, const struct snapshot *prev, struct config_errors **errors);
void snapshot_destroy(struct snapshot *s);

#endif
