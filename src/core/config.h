/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a core is told: values, const from the moment they are given, swapped as
 * one. It knows nothing of the language that they were written in, of drivers or of
 * text; whoever made them keeps them valid until the next ones are in force.
 */
#ifndef YG_CORE_CONFIG_H
#define YG_CORE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/conntrack/conntrack.h"
#include "stack/ip/stack.h"
#include "gateway/nat/nat.h"
#include "routing/rib/rib.h"
#include "gateway/rules/rules.h"
#include "stack/transport/tcp.h"

/* Addresses that are ours, or that only NAT uses, as a zone sees them. */
struct core_address {
	struct ip4_prefix prefix;
	uint16_t zone;
	bool is_ours; /* of an interface of ours: */
	uint8_t ifindex;
};

struct core_config {
	uint64_t generation; /* 1 for the first, + 1 a change */
	struct ip_config ip;
	struct ct_config ct;
	struct nat_config nat;
	const struct tcp_config *tcp; /* of the host's connections, from here on; NULL: as it was */
	struct ruleset *rules;
	struct rib *rib;              /* its FIBs follow the links: see modules.c */
	struct rib_change *routes;    /* what these values change in it; NULL: nothing */
	struct core_address *address; /* ours and NAT's: their ports are shared between workers */
	uint32_t n_addresses;
	uint64_t outside; /* a bit an interface: a rule of source NAT names it as output */
};

#endif
