/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Routes of the kernel's in our words: which interface a device is, where a route leads over ours.
 *
 * The gateway of such a route is a neighbour on its device, whatever our own prefixes
 * say: the kernel has decided that by its own addresses. But never an address of ours,
 * and no route over a TAP: that leads from the kernel to us. What cannot stand beside the
 * config (an address of ours, an interface of another zone) is left out, until a reload
 * makes room for it.
 */
#include "daemon/run/run_kernel_priv.h"

#include <stdio.h>
#include <string.h>

static uint32_t interface_of(const struct run_kernel *k, uint32_t index)
{
	for (uint32_t i = 1; index != 0 && i < IP_INTERFACES_MAX; i++)
		if (k->device[i].index == index)
			return i;
	return 0;
}

bool run_kernel_has_device(void *ctx, uint32_t index)
{
	return interface_of(ctx, index) != 0;
}

void run_kernel_learn_devices(struct run_kernel *k)
{
	const struct snapshot *s = k->run->snap;
	char err[128];

	memset(k->device, 0, sizeof(k->device));
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		const char *name = s->core.ip.interface[i].name;

		if (name[0] == '\0' || s->driver[i] == DRIVER_TAP)
			continue;
		(void)netlink_link_get(name, &k->device[i], err, sizeof(err));
		snprintf(k->device[i].name, sizeof(k->device[i].name), "%s", name);
	}
}

/* A message is about this device and says something new. */
static bool is_news_of(const struct netlink_link *was, const struct netlink_link *now)
{
	bool same_index = was->index == now->index && now->index != 0;
	bool same_name = strcmp(was->name, now->name) == 0;

	return (same_index || same_name) &&
	       (!same_index || !same_name || was->admin_up != now->admin_up || was->running != now->running);
}

bool run_kernel_is_news(const struct run_kernel *k, const struct netlink_link *now)
{
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (k->device[i].name[0] != '\0' && is_news_of(&k->device[i], now))
			return true;
	return false;
}

static struct rib_path path_of(const struct run_kernel *k, const struct netlink_path *p)
{
	uint32_t i = interface_of(k, p->index);
	const struct ip_interface_config *c = &k->run->snap->core.ip.interface[i];
	struct rib_path path = { .nexthop = { .kind = FIB_UNICAST, .ifindex = i },
				 .weight = p->weight,
				 .onlink = p->gateway != 0 };

	if (p->gateway != 0)
		path.nexthop.gateway = ip_addr_v4(p->gateway);
	else if (c->n_addresses > 0)
		path.nexthop.source = ip_addr_v4(c->address[0].addr);
	return path;
}

const struct config_kernel_table *run_kernel_table(const struct run_kernel *k, const struct netlink_route *n)
{
	const struct snapshot *s = k->run->snap;

	for (uint32_t i = 0; i < s->n_kernel_tables; i++)
		if (s->kernel_table[i].table == n->table)
			return &s->kernel_table[i];
	return NULL;
}

struct rib_route run_kernel_named(const struct config_kernel_table *t, const struct netlink_route *n)
{
	return (struct rib_route){ .prefix = ip_prefix_v4(n->prefix.addr, n->prefix.len),
				   .zone = t->zone,
				   .source = RIB_KERNEL,
				   .distance = t->distance,
				   .metric = n->metric,
				   .instance = n->metric };
}

/* Somebody else can have that address, in whichever zone the link is. */
static bool is_neighbour(const struct run_kernel *k, uint16_t zone, uint32_t addr)
{
	const struct rib *rib = k->run->snap->core.rib;
	uint8_t kind = rib_ask(rib, zone, addr).kind;

	if (kind == FIB_NONE && zone != 0)
		kind = rib_ask(rib, 0, addr).kind;
	return kind != FIB_LOCAL && kind != FIB_BROADCAST;
}

bool run_kernel_lead(const struct run_kernel *k, const struct netlink_route *n, struct rib_route *out,
		     struct rib_path path[NETLINK_PATHS_MAX])
{
	static const enum fib_kind kinds[] = {
		[NETLINK_ROUTE_UNICAST] = FIB_UNICAST,
		[NETLINK_ROUTE_BLACKHOLE] = FIB_BLACKHOLE,
		[NETLINK_ROUTE_UNREACHABLE] = FIB_UNREACHABLE,
		[NETLINK_ROUTE_PROHIBIT] = FIB_PROHIBIT,
	};
	uint8_t n_paths = 0;

	if (n->kind == NETLINK_ROUTE_OTHER)
		return false;
	out->nexthop.kind = (uint8_t)kinds[n->kind];
	if (n->kind != NETLINK_ROUTE_UNICAST)
		return true;
	for (uint32_t i = 0; i < n->n_paths; i++)
		if (n->path[i].gateway == 0 || is_neighbour(k, out->zone, n->path[i].gateway))
			path[n_paths++] = path_of(k, &n->path[i]);
	if (n_paths == 1) {
		out->nexthop = path[0].nexthop;
		out->onlink = path[0].onlink;
	} else {
		out->n_paths = n_paths;
		out->path = path;
	}
	return n_paths > 0;
}
_Static_assert(NETLINK_PATHS_MAX <= FIB_PATHS_MAX, "all paths of a route fit");

bool run_kernel_leads(const struct run_kernel *k, const struct config_kernel_table *t, const struct netlink_route *n)
{
	struct rib_route route = run_kernel_named(t, n);
	struct rib_path path[NETLINK_PATHS_MAX];

	return run_kernel_lead(k, n, &route, path);
}
