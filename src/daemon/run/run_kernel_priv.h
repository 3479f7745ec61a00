/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the kernel's routes share: run_kernel.c (all of them, and when they are asked for),
 * run_kernel_rib.c (one, into the RIB), run_kernel_words.c (from the kernel's words to ours).
 */
#ifndef YG_DAEMON_RUN_RUN_KERNEL_PRIV_H
#define YG_DAEMON_RUN_RUN_KERNEL_PRIV_H

#include "daemon/device/netlink_routes.h"
#include "daemon/run/run_priv.h"

struct run_kernel_name; /* run_kernel.c */

struct run_kernel {
	struct run *run;
	struct netlink_routes *netlink; /* NULL: no table is followed */
	struct event *readable, *ask;
	bool will_ask;
	uint64_t asked_ns, took_ns; /* the last time that all were: when it ended, and for how long */
	bool has_several;           /* the kernel has routes of one name, of which one leads over our interfaces */
	bool has_said_cut;
	/* Of each interface whose routes are followed; index 0: it is not there. */
	struct netlink_link device[IP_INTERFACES_MAX];
	/* What is there, while all are asked for. */
	struct run_kernel_name *there;
	size_t n_there, cap_there;
	bool no_memory;
};

/* --- run_kernel.c --- */

/* All are asked for, at once or as soon as it may be done again; what else changes by then is asked for with it. */
void run_kernel_ask_soon(struct run_kernel *k);

/* --- run_kernel_rib.c --- */

/* For struct netlink_routes_user. */
void run_kernel_changed(void *run_kernel, enum netlink_route_change change, const struct netlink_route *n);
/* It is in the RIB as it is now; out of it, if it leads nowhere or cannot stand there. */
void run_kernel_set(struct run_kernel *k, const struct config_kernel_table *t, const struct netlink_route *n);
bool run_kernel_is_in_rib(const struct run_kernel *k, const struct config_kernel_table *t,
			  const struct netlink_route *n);

/* --- run_kernel_words.c --- */

/* The devices behind our interfaces, as they are now. */
void run_kernel_learn_devices(struct run_kernel *k);
/* For struct netlink_routes_user. */
bool run_kernel_has_device(void *run_kernel, uint32_t index);
/* A message says something new of one of them. */
bool run_kernel_is_news(const struct run_kernel *k, const struct netlink_link *now);
/* Its table's place in the config; NULL: it is not followed. */
const struct config_kernel_table *run_kernel_table(const struct run_kernel *k, const struct netlink_route *n);
/* A route of its name, which leads nowhere yet. */
struct rib_route run_kernel_named(const struct config_kernel_table *t, const struct netlink_route *n);
/* Where it leads over our interfaces; path is out's. False: nowhere. */
bool run_kernel_lead(const struct run_kernel *k, const struct netlink_route *n, struct rib_route *out,
		     struct rib_path path[NETLINK_PATHS_MAX]);
bool run_kernel_leads(const struct run_kernel *k, const struct config_kernel_table *t, const struct netlink_route *n);

#endif
