/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The RPKI tables of a gateway that speaks BGP: the config's own payloads, and clients of its caches over the TCP that
 * BGP has. A table is known by its name, a cache by its address and port: what a reload does not change goes on.
 */
#ifndef YG_DAEMON_RUN_RUN_BGP_RPKI_H
#define YG_DAEMON_RUN_RUN_BGP_RPKI_H

#include "base/siphash.h"
#include "daemon/config/config_bgp.h"

struct run_bgp_rpki;
struct control_bgp_rpki;

struct run_bgp_rpki_user {
	/* A table has changed: what filters said of routes may not be what they say now. */
	void (*changed)(void *user);
	/* An answer came, a cache is lost, or what it said has expired (view->last). */
	void (*event)(void *user, const char *table, enum rtr_event event, const struct rtr_view *v,
		      struct stream_end cache);
	void *user;
};

/* NULL without memory. The carrier outlives it. */
struct run_bgp_rpki *run_bgp_rpki_create(struct stream_carrier *carrier, const struct siphash_key *key,
					 const struct run_bgp_rpki_user *user);
/* NULL is allowed. */
void run_bgp_rpki_destroy(struct run_bgp_rpki *r);
/* The tables become those of the config. False without memory: then some are not there. */
bool run_bgp_rpki_set(struct run_bgp_rpki *r, const struct config_bgp *config);

/* One slice of each client's work. True: there is more to do at once. */
bool run_bgp_rpki_work(struct run_bgp_rpki *r, uint64_t now);
uint64_t run_bgp_rpki_next_deadline(const struct run_bgp_rpki *r);

/* By name; NULL: there is none. As long as the config has it. */
const struct roa_table *run_bgp_rpki_find(const struct run_bgp_rpki *r, const char *name);
const struct control_bgp_rpki *run_bgp_rpki_view(const struct run_bgp_rpki *r);

#endif
