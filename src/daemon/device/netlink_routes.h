/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The IPv4 routes of the kernel's tables (rtnetlink): all that are there now, and word
 * of changes. For the control thread.
 */
#ifndef YG_DAEMON_DEVICE_NETLINK_ROUTES_H
#define YG_DAEMON_DEVICE_NETLINK_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip4.h"
#include "daemon/device/netlink.h"

#define NETLINK_PATHS_MAX 16

enum netlink_route_kind {
	NETLINK_ROUTE_UNICAST,
	NETLINK_ROUTE_BLACKHOLE,
	NETLINK_ROUTE_UNREACHABLE,
	NETLINK_ROUTE_PROHIBIT,
	NETLINK_ROUTE_OTHER, /* none to be taken over, but a name that is taken: throw, local, proto kernel ... */
};

struct netlink_path {
	uint32_t index;   /* the kernel's, of the device */
	uint32_t gateway; /* host order; 0: the destination is a neighbour itself */
	uint32_t weight;  /* from 1 on */
};

/* The kernel knows a route by table, prefix, and metric; those with a TOS are not told of. */
struct netlink_route {
	uint32_t table;
	struct ip4_prefix prefix;
	uint32_t metric;
	enum netlink_route_kind kind;
	/* Unicast. Left out are those whose device is down or none of the user's, whose gateway is none of IPv4, and
	 * which put packets into a tunnel. */
	uint32_t n_paths;
	bool is_cut; /* there are more than NETLINK_PATHS_MAX */
	struct netlink_path path[NETLINK_PATHS_MAX];
	/* Of one that is told of alone: */
	bool beside;   /* others of its name are there too, and the kernel goes by the first */
	bool appended; /* it is the last of them, else the first */
};

enum netlink_route_change {
	NETLINK_ROUTE_SET,   /* there is one, or another one of its name */
	NETLINK_ROUTE_UNSET, /* this one is gone; another one of its name may still be there */
	/* The kernel has left out messages, or has done what it sends no word of: an address and a next hop object
	 * that are taken away take routes with them, and what comes back brings paths back. All have to be asked for.
	 * route is NULL. */
	NETLINK_ROUTES_UNKNOWN,
};

/* Who follows the routes, and is called with ctx. */
struct netlink_routes_user {
	void (*route)(void *ctx, enum netlink_route_change change, const struct netlink_route *route);
	/* Something is told of a device, perhaps nothing new; index 0: it is gone. One that is set down takes its
	 * routes along, one that is set up brings paths back, and there is no other word of either. */
	void (*link)(void *ctx, const struct netlink_link *link);
	/* Paths over it count. */
	bool (*has_device)(void *ctx, uint32_t index);
	void *ctx;
};

/* Calls user->route for each that is there, with SET. 0, or -errno: those that were told of are not all. */
int netlink_routes_get(const struct netlink_routes_user *user);

struct netlink_routes;

/* From here on changes wait in the descriptor. NULL and a sentence. */
struct netlink_routes *netlink_routes_open(const struct netlink_routes_user *user, char *err, size_t err_len);
void netlink_routes_close(struct netlink_routes *r);
int netlink_routes_fd(const struct netlink_routes *r);
/* Reads some of what is there, without waiting, and calls the user. */
void netlink_routes_dispatch(struct netlink_routes *r);
/* Before all are asked for: what waits is older, and where something was lost it is no whole story. False: it comes
 * faster than it is read. */
bool netlink_routes_forget(struct netlink_routes *r);

#endif
