/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a config says of a zone's routes is more than the routes: by which interfaces
 * its packets may come back (ip_interface_config.used_by), which addresses are ours
 * or NAT's. That follows from the config alone, so a command may not make it untrue.
 */
#include "daemon/config/route_fits.h"

#include <stdio.h>

static const char *name_of(const struct ip_config *ip, uint32_t ifindex)
{
	return ip->interface[ifindex % IP_INTERFACES_MAX].name;
}

/* Its place in ip->zone, or n_zones. */
static uint32_t zone_place(const struct ip_config *ip, uint16_t zone)
{
	uint32_t i = 0;

	while (i < ip->n_zones && ip->zone[i].number != zone)
		i++;
	return i;
}

static bool has_prefix(const struct ip_interface_config *c, uint32_t addr)
{
	for (uint32_t i = 0; i < c->n_addresses; i++)
		if (((c->address[i].addr ^ addr) & ip4_mask(c->address[i].prefix_len)) == 0)
			return true;
	return false;
}

/* The interface on whose link the gateway is a neighbour; 0: none. */
static uint32_t link_to(const struct rib *rib, const struct ip_config *ip, uint16_t zone, uint32_t gateway,
			uint32_t ifindex, bool onlink)
{
	struct fib_nexthop nh = rib_ask(rib, zone, gateway);

	if (ifindex != 0 && (onlink || has_prefix(&ip->interface[ifindex], gateway)))
		return ifindex;
	if (nh.kind == FIB_UNICAST && nh.gateway.v4 == 0 && (ifindex == 0 || nh.ifindex == ifindex))
		return nh.ifindex;
	return zone != 0 ? link_to(rib, ip, 0, gateway, ifindex, onlink) : 0;
}

/* A path of the route, or all that there is of it. */
static struct rib_path path_of(const struct rib_route *route, uint32_t i)
{
	return route->n_paths > 0 ? route->path[i]
				  : (struct rib_path){ .nexthop = route->nexthop, .onlink = route->onlink };
}

static uint32_t n_paths(const struct rib_route *route)
{
	return route->n_paths > 0 ? route->n_paths : 1;
}

static bool path_fits(const struct rib *rib, const struct ip_config *ip, const struct rib_route *route,
		      const struct rib_path *p, char *err, size_t err_len)
{
	uint32_t ifindex = p->nexthop.ifindex, at = zone_place(ip, route->zone);

	if (p->nexthop.kind != FIB_UNICAST)
		return true;
	if (ifindex != 0 && name_of(ip, ifindex)[0] == '\0') {
		snprintf(err, err_len, "its interface is not in the config");
		return false;
	}
	if (p->nexthop.gateway.v4 != 0 && !route->recursive)
		ifindex = link_to(rib, ip, route->zone, p->nexthop.gateway.v4, ifindex, p->onlink);
	else if (p->nexthop.gateway.v4 != 0)
		ifindex = rib_ask(rib, route->zone, p->nexthop.gateway.v4).ifindex;
	/* Of zone 0, and of a gateway that leads nowhere just now, there is nothing to be said. */
	if (route->zone == 0 || ifindex == 0 || ip->interface[ifindex].zone == route->zone ||
	    (ip->interface[ifindex].used_by >> at & 1) != 0)
		return true;
	snprintf(err, err_len,
		 "no route of zone %u in the config leaves by %s, an interface of another zone: answers would not be "
		 "let in",
		 route->zone, name_of(ip, ifindex));
	return false;
}

bool route_fits(const struct rib *rib, const struct ip_config *ip, const struct rib_route *route, char *err,
		size_t err_len)
{
	struct fib_nexthop nh = rib_ask_config(rib, route->zone, &route->prefix);
	char text[IP_TEXT_MAX];

	if (route->zone != 0 && zone_place(ip, route->zone) == ip->n_zones) {
		snprintf(err, err_len, "no interface with an address is in zone %u", route->zone);
		return false;
	}
	if (nh.kind == FIB_LOCAL || nh.kind == FIB_BROADCAST || nh.kind == FIB_TRANSLATED) {
		snprintf(err, err_len, "%s is %s", ip_prefix_format(&route->prefix, text),
			 nh.kind == FIB_TRANSLATED ? "an address that NAT uses" : "an address of ours");
		return false;
	}
	for (uint32_t i = 0; i < n_paths(route); i++) {
		struct rib_path p = path_of(route, i);

		if (!path_fits(rib, ip, route, &p, err, err_len))
			return false;
	}
	return true;
}

bool route_leads(const struct rib *rib, const struct ip_config *ip, const struct rib_route *route, char *err,
		 size_t err_len)
{
	for (uint32_t i = 0; i < n_paths(route); i++) {
		struct rib_path p = path_of(route, i);
		uint32_t gateway = p.nexthop.gateway.v4;
		struct fib_nexthop there = rib_ask(rib, route->zone, gateway);
		char text[IP4_TEXT_MAX];

		if (p.nexthop.kind != FIB_UNICAST || gateway == 0)
			continue;
		ip4_format(gateway, text);
		if (there.kind == FIB_LOCAL || (there.kind == FIB_BROADCAST && !p.onlink)) {
			snprintf(err, err_len, "the gateway %s is %s", text,
				 there.kind == FIB_LOCAL ? "an address of ours" : "the last address of its prefix");
			return false;
		}
		if (route->recursive || link_to(rib, ip, route->zone, gateway, p.nexthop.ifindex, p.onlink) != 0)
			continue;
		snprintf(err, err_len, "the gateway %s is on no prefix of %s%s", text,
			 p.nexthop.ifindex != 0 ? name_of(ip, p.nexthop.ifindex) : "an interface",
			 p.nexthop.ifindex != 0 ? "; if it is on that link all the same, say onlink"
						: "; if other routes lead to it, say recursive");
		return false;
	}
	return true;
}
