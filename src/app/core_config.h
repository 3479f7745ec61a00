/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a core is told: values, const from the moment they are given, swapped as
 * one. It knows nothing of the language that they were written in, of drivers or of
 * text; whoever made them keeps them valid until the next ones are in force.
 */
#ifndef YG_APP_CORE_CONFIG_H
#define YG_APP_CORE_CONFIG_H

#include <stdint.h>

#include "conntrack/conntrack.h"
#include "ip/stack.h"
#include "nat/nat.h"
#include "route/rib.h"
#include "rules/rules.h"

struct core_config {
	uint64_t generation; /* 1 for the first, + 1 a change */
	struct ip_config ip;
	struct ct_config ct;
	struct nat_config nat;
	struct ruleset *rules;
	struct rib *rib;  /* its FIBs follow the links: see gateway.c */
	uint64_t outside; /* a bit an interface: a rule of source NAT names it as output */
};

#endif
