/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the block `bgp` says: values alone, with the places where they were said. Who
 * speaks BGP with them is daemon/run/run_bgp.c.
 */
#ifndef YG_DAEMON_CONFIG_CONFIG_BGP_H
#define YG_DAEMON_CONFIG_CONFIG_BGP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip4.h"
#include "base/text_pos.h"
#include "daemon/config/lang/parse.h"
#include "routing/bgp/bgp_neighbor.h"
#include "routing/rpki/rtr_client.h"

#define CONFIG_BGP_DESCRIPTION_MAX 80

enum config_bgp_transport {
	CONFIG_BGP_TRANSPORT_OWN,    /* the gateway's own TCP */
	CONFIG_BGP_TRANSPORT_KERNEL, /* that of the kernel of this network namespace */
};

enum config_bgp_policy_kind {
	CONFIG_BGP_NOT_SAID, /* with another AS: nothing passes (RFC 8212); with our own: all */
	CONFIG_BGP_NONE,
	CONFIG_BGP_ALL,
	CONFIG_BGP_FILTER,
};

struct config_bgp_policy {
	enum config_bgp_policy_kind kind;
	char filter[CONFIG_NAME_MAX]; /* its name */
	struct text_pos pos;          /* of what was said */
};

struct config_bgp_neighbor {
	struct text_pos pos; /* of its name */
	/* What a session is made of: name, address, AS, password and so on. */
	struct bgp_neighbor_config session;
	bool has_address, has_range;
	char description[CONFIG_BGP_DESCRIPTION_MAX + 1];
	struct config_bgp_policy import, export;
	bool next_hop_self;
	/* As in struct policy_neighbor (routing/policy/policy_rules.h). */
	bool transit, takes_blackholes, ignores_shutdown, may_be_own;
};

struct config_bgp_network {
	struct text_pos pos;
	struct ip4_prefix prefix;
};

#define CONFIG_BGP_RPKI_MAX 4u    /* tables */
#define CONFIG_BGP_ROAS_MAX 4096u /* of a table */
#define CONFIG_BGP_CACHES_MAX (ROA_CACHES_MAX - 1u)

struct config_bgp_cache {
	struct text_pos pos; /* of its address */
	struct stream_end local, remote;
	struct stream_key key;
};

/* A table that filters ask by its name (roa_check). */
struct config_bgp_rpki {
	struct text_pos pos; /* of its name */
	char name[CONFIG_NAME_MAX];
	uint32_t refresh_s, retry_s, expire_s; /* 0: as the cache says */
	size_t n_caches;
	struct config_bgp_cache cache[CONFIG_BGP_CACHES_MAX];
	size_t n_roas; /* of the config's own */
	struct roa *roa;
};

struct config_bgp {
	struct text_pos pos; /* of the word `bgp` */
	uint32_t as, router_id;
	enum config_bgp_transport transport;
	bool no_listen;           /* `listen no;` */
	struct stream_end listen; /* addr 0: all of ours */
	bool med_always;          /* MEDs of different neighbouring ASes are compared too */
	size_t n_neighbors;
	struct config_bgp_neighbor *neighbor;
	size_t n_networks;
	struct config_bgp_network *network;
	size_t n_rpkis;
	struct config_bgp_rpki rpki[CONFIG_BGP_RPKI_MAX];
};

/* A copy that is the caller's; NULL without memory. */
struct config_bgp *config_bgp_copy(const struct config_bgp *b);
/* Passwords are overwritten first. NULL is allowed. */
void config_bgp_free(struct config_bgp *b);
/* NULL: none is called so. */
const struct config_bgp_neighbor *config_bgp_find(const struct config_bgp *b, const char *name);
/* They differ in what changes without a reset of the session. */
bool config_bgp_same_policy(const struct config_bgp_neighbor *x, const struct config_bgp_neighbor *y);

#endif
