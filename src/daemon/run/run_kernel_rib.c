/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A route of the kernel's that came, changed or went: into the RIB, or out of it.
 *
 * The kernel may have several routes of one name (ip route append, prepend) and goes by
 * the first of them. Only this is in the RIB, as long as it leads over an interface of
 * ours. When one of them goes all are asked for; until then the one in the RIB stays.
 */
#include "daemon/run/run_kernel_priv.h"

#include <errno.h>

#include "daemon/config/route_fits.h"

bool run_kernel_is_in_rib(const struct run_kernel *k, const struct config_kernel_table *t,
			  const struct netlink_route *n)
{
	struct rib_route route = run_kernel_named(t, n);

	return rib_has(k->run->snap->core.rib, &route);
}

static void unset(struct run_kernel *k, const struct rib_route *route)
{
	int rc = run_route_change(k->run, CORE_ROUTE_UNSET, route);

	if (rc != 0 && rc != -ENOENT)
		run_kernel_ask_soon(k);
}

/* Of the first such route only: there may be a million. */
static void say_cut(struct run_kernel *k, const struct netlink_route *n)
{
	char text[IP4_TEXT_MAX];

	if (!k->has_said_cut)
		run_say("the kernel's route to %s/%u has more than %d next hops: only the first are taken over",
			ip4_format(n->prefix.addr, text), n->prefix.len, NETLINK_PATHS_MAX);
	k->has_said_cut = true;
}

void run_kernel_set(struct run_kernel *k, const struct config_kernel_table *t, const struct netlink_route *n)
{
	const struct snapshot *s = k->run->snap;
	struct rib_route route = run_kernel_named(t, n);
	struct rib_path path[NETLINK_PATHS_MAX];
	char err[200];

	if (n->is_cut)
		say_cut(k, n);
	if (!run_kernel_lead(k, n, &route, path) || !route_fits(s->core.rib, &s->core.ip, &route, err, sizeof(err)))
		unset(k, &route);
	else if (run_route_change(k->run, CORE_ROUTE_SET, &route) == -ENOMEM)
		run_kernel_ask_soon(k);
}

static bool same_hop(const struct fib_nexthop *a, const struct fib_nexthop *b)
{
	return a->kind == b->kind && a->ifindex == b->ifindex && ip_addr_equal(&a->gateway, &b->gateway);
}

/* The route of that name in the RIB leads where this one does. */
static bool stands_so(const struct run_kernel *k, const struct rib_route *route)
{
	uint64_t prefix = rib_prefix_name(route);
	struct rib_info info = { 0 };
	uint32_t i = 0;

	while (rib_route_of(k->run->snap->core.rib, prefix, i++, &info))
		if (info.route.source == RIB_KERNEL && info.route.instance == route->instance)
			break;
	if (info.n_ways != route->n_paths)
		return false;
	for (i = 0; i < info.n_ways; i++)
		if (!same_hop(&info.way[i].nexthop, &route->path[i].nexthop))
			return false;
	return info.n_ways > 0 || same_hop(&info.route.nexthop, &route->nexthop);
}

/* Without a gap where another one of its name takes its place. */
static void gone(struct run_kernel *k, const struct config_kernel_table *t, const struct netlink_route *n)
{
	struct rib_route route = run_kernel_named(t, n);
	struct rib_path path[NETLINK_PATHS_MAX];

	if (k->has_several)
		run_kernel_ask_soon(k);
	else if (!run_kernel_is_in_rib(k, t, n))
		return;
	else if (run_kernel_lead(k, n, &route, path) && stands_so(k, &route))
		unset(k, &route);
	else
		run_kernel_ask_soon(k);
}

void run_kernel_changed(void *ctx, enum netlink_route_change change, const struct netlink_route *n)
{
	struct run_kernel *k = ctx;
	const struct config_kernel_table *t = n != NULL ? run_kernel_table(k, n) : NULL;

	if (change == NETLINK_ROUTES_UNKNOWN) {
		run_kernel_ask_soon(k);
	} else if (t != NULL && change == NETLINK_ROUTE_UNSET) {
		gone(k, t, n);
	} else if (t != NULL) {
		k->has_several |= n->beside && (run_kernel_leads(k, t, n) || run_kernel_is_in_rib(k, t, n));
		if (!n->beside || !n->appended)
			run_kernel_set(k, t, n);
	}
}
