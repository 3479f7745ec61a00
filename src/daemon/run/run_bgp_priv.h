/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of BGP in a running gateway share: run_bgp.c (its life, and the loop), run_bgp_neighbors.c (the
 * config's neighbours into the speaker), run_bgp_event.c (what is told).
 */
#ifndef YG_DAEMON_RUN_RUN_BGP_PRIV_H
#define YG_DAEMON_RUN_RUN_BGP_PRIV_H

#include "daemon/control/commands/target.h"
#include "daemon/run/run_bgp.h"
#include "daemon/run/run_bgp_rpki.h"
#include "daemon/run/run_priv.h"
#include "routing/bgp/bgp_groups.h"
#include "routing/bgp/bgp_rib.h"
#include "routing/bgp/bgp_speaker.h"

struct stream_host;
struct stream_kernel;

/* A neighbour of the config, or a range; its place is the tag of its sessions. */
struct run_bgp_slot {
	bool is_used;
	uint32_t number;                          /* in the speaker; BGP_NEIGHBOR_NONE: not yet */
	const struct config_bgp_neighbor *config; /* in the present snapshot */
	bool must_judge;                          /* its policy is another: for the moment of a reload */
};

struct run_bgp {
	struct run *run;
	struct stream_kernel *kernel; /* one of them carries */
	struct stream_host *host;
	struct siphash_key key;
	struct bgp_table *table;
	struct bgp_groups *groups; /* what neighbours are told */
	struct run_bgp_policies *policies;
	struct bgp_rib *rib; /* NULL: best paths go nowhere but into the table */
	struct bgp_speaker *speaker;
	struct run_bgp_rpki *rpki;
	uint32_t own; /* source of our networks in the table; BGP_SOURCE_NONE */
	struct {
		bool is_there;
		uint32_t number;
	} member[BGP_NEIGHBORS_MAX]; /* of the groups, by the speaker's numbers */
	struct event *turn;
	bool listens, is_listening;
	uint64_t listen_again_ns; /* after it failed */
	bool is_stopping;
	bool is_judging; /* what is held, by another import */
	bool any_waits;  /* a slot whose peers are still somebody's that is on its way out */
	struct control_bgp view;
	struct run_bgp_slot slot[BGP_NEIGHBORS_MAX];
};

/* Something is to be done: at once. */
void run_bgp_wake(struct run_bgp *b);

/* --- run_bgp_neighbors.c --- */

/* The neighbours become those of the config. */
void run_bgp_set_neighbors(struct run_bgp *b, const struct config_bgp *config);
/* Those that could not be added, since others with their addresses were not gone yet. */
void run_bgp_add_waiting(struct run_bgp *b);
/* The first thing in which they are not one speaker; NULL: there is none. */
const char *run_bgp_speaker_differs(const struct config_bgp *a, const struct config_bgp *b);
/* A neighbour that is up: what it announces is judged by its import from now on. */
void run_bgp_set_import(struct run_bgp *b, const struct bgp_neighbor_view *v);

/* What filters say of routes may not be what they said. */
void run_bgp_judge_all(struct run_bgp *b);

/* --- run_bgp_out.c --- */

/* What neighbours are told goes by us to the groups, so that a neighbour's member is known. */
extern const struct bgp_outbound run_bgp_outbound;
/* Before the speaker is made. 0 or -errno. */
int run_bgp_make_groups(struct run_bgp *b);
/* Its export, or next hop self, is another. */
void run_bgp_export_changed(struct run_bgp *b, const struct bgp_neighbor_view *v);
/* Of `bgp_neighbor_view.number`: prefixes that it has been told. False: it is not up. */
bool run_bgp_told_of(const struct run_bgp *b, uint32_t number, struct bgp_groups_view *v);
/* Our own networks in the table become those of the config; was: NULL at the start. */
void run_bgp_set_networks(struct run_bgp *b, const struct config_bgp *was, const struct config_bgp *config);

/* --- run_bgp_policy.c --- */

/* 0 or -ENOMEM. */
int run_bgp_make_policies(struct run_bgp *b);
void run_bgp_free_policies(struct run_bgp *b);
/* Those of all slots become those of the snapshot; must_judge is set of those that are others then. was: NULL at the
 * start. False without memory. */
bool run_bgp_set_policies(struct run_bgp *b, const struct config_bgp *was, const struct config_bgp *config);
/* For control_bgp: what import makes of a path. */
void run_bgp_explain(void *ctx, const struct bgp_neighbor_view *v, struct ip4_prefix prefix,
		     const struct bgp_set *received, struct policy_verdict *out);
/* A filter of the config asks a table of the RPKI. */
bool run_bgp_asks_rpki(const struct run_bgp *b);
struct bgp_import run_bgp_import_of(struct run_bgp *b, uint32_t slot);
struct bgp_export run_bgp_export_of(const struct run_bgp *b, uint32_t slot);

/* --- run_bgp_event.c --- */

bgp_event_fn run_bgp_event;
void run_bgp_rpki_event(void *user, const char *table, enum rtr_event event, const struct rtr_view *v,
			struct stream_end cache);

#endif
