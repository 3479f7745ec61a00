/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A message says a route as a whole, so a changed one is told like a new one. What no
 * message says is told as UNKNOWN: whatever happens to devices, addresses and next hop
 * objects (ip nexthop) may have taken routes of IPv4 away in silence, and brings paths
 * of multipath routes back.
 *
 * What is no route for others (what the kernel made of its own addresses, proto kernel;
 * types that are no next hop) is told of all the same, without what it says: it may
 * stand before a route of its name, or have replaced one. Left out are routes by TOS,
 * clones of the cache, and next hops that are IPv6, that are put into a tunnel (encap), or
 * whose device is not the user's.
 */
#include "daemon/device/netlink_routes.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/be.h"
#include "daemon/device/netlink_priv.h"

#define BUF_BYTES 32768
/* For changes that wait, some ten thousand. */
#define ROOM_BYTES (8 << 20)
/* Messages of one call, so that commands are not kept waiting by a flood of changes. */
#define PIECES_A_DISPATCH 64
/* More than any socket holds. */
#define FORGOTTEN_MAX 100000

struct netlink_routes {
	struct mnl_socket *nl;
	struct netlink_routes_user user;
};

static uint32_t addr_of(const struct nlattr *a)
{
	be32 v;

	if (mnl_attr_get_payload_len(a) != sizeof(v))
		return 0;
	memcpy(&v, mnl_attr_get_payload(a), sizeof(v));
	return be32_get(v);
}

/* A route while it is read. */
struct reading {
	const struct netlink_routes_user *user;
	struct netlink_route route;
	struct netlink_path only; /* of a route with one path, or the path of several that is read */
	bool is_special;          /* whose gateway is no address of IPv4, or which leads through a tunnel */
	const struct nlattr *multipath;
};

static int read_attr(const struct nlattr *a, void *ctx)
{
	struct reading *x = ctx;

	switch (mnl_attr_get_type(a)) {
	case RTA_DST:
		x->route.prefix.addr = addr_of(a);
		break;
	case RTA_TABLE:
		if (mnl_attr_validate(a, MNL_TYPE_U32) >= 0)
			x->route.table = mnl_attr_get_u32(a);
		break;
	case RTA_PRIORITY:
		if (mnl_attr_validate(a, MNL_TYPE_U32) >= 0)
			x->route.metric = mnl_attr_get_u32(a);
		break;
	case RTA_OIF:
		if (mnl_attr_validate(a, MNL_TYPE_U32) >= 0)
			x->only.index = mnl_attr_get_u32(a);
		break;
	case RTA_GATEWAY:
		x->only.gateway = addr_of(a);
		break;
	case RTA_VIA:
	case RTA_ENCAP:
	case RTA_ENCAP_TYPE:
		x->is_special = true;
		break;
	case RTA_MULTIPATH:
		x->multipath = a;
		break;
	}
	return MNL_CB_OK;
}

static void add_path(struct reading *x, const struct netlink_path *path, uint32_t flags)
{
	struct netlink_route *route = &x->route;

	if (path->index == 0 || x->is_special || (flags & RTNH_F_DEAD) != 0 ||
	    !x->user->has_device(x->user->ctx, path->index))
		return;
	if (route->n_paths < NETLINK_PATHS_MAX)
		route->path[route->n_paths++] = *path;
	else
		route->is_cut = true;
}

static void read_paths(struct reading *x)
{
	const struct rtnexthop *nh = mnl_attr_get_payload(x->multipath);
	size_t left = mnl_attr_get_payload_len(x->multipath);

	while (left >= sizeof(*nh) && nh->rtnh_len >= sizeof(*nh) && nh->rtnh_len <= left) {
		size_t step = MNL_ALIGN(nh->rtnh_len);

		x->only = (struct netlink_path){ .index = (uint32_t)nh->rtnh_ifindex, .weight = nh->rtnh_hops + 1u };
		x->is_special = false;
		(void)mnl_attr_parse_payload((const char *)nh + RTNH_LENGTH(0), nh->rtnh_len - sizeof(*nh), read_attr,
					     x);
		add_path(x, &x->only, nh->rtnh_flags);
		if (step > left)
			return;
		left -= step;
		nh = (const struct rtnexthop *)(const void *)((const char *)nh + step);
	}
}

static enum netlink_route_kind kind_of(const struct rtmsg *m)
{
	static const struct {
		uint8_t type;
		enum netlink_route_kind kind;
	} kinds[] = {
		{ RTN_UNICAST, NETLINK_ROUTE_UNICAST },
		{ RTN_BLACKHOLE, NETLINK_ROUTE_BLACKHOLE },
		{ RTN_UNREACHABLE, NETLINK_ROUTE_UNREACHABLE },
		{ RTN_PROHIBIT, NETLINK_ROUTE_PROHIBIT },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].type == m->rtm_type && m->rtm_protocol != RTPROT_KERNEL)
			return kinds[i].kind;
	return NETLINK_ROUTE_OTHER;
}

/* Of a message: there was one of its name before, and is still. */
static bool is_beside(uint16_t flags)
{
	return (flags & NLM_F_CREATE) != 0 && (flags & (NLM_F_EXCL | NLM_F_REPLACE)) == 0;
}

static bool read_route(const struct nlmsghdr *h, const struct netlink_routes_user *user, struct netlink_route *out)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	struct reading x = { .user = user,
			     .route = { .table = m->rtm_table, .prefix.len = m->rtm_dst_len },
			     .only.weight = 1 };

	if (m->rtm_family != AF_INET || m->rtm_dst_len > 32 || m->rtm_tos != 0 || (m->rtm_flags & RTM_F_CLONED))
		return false;
	x.route.kind = kind_of(m);
	x.route.beside = is_beside(h->nlmsg_flags);
	x.route.appended = (h->nlmsg_flags & NLM_F_APPEND) != 0;
	if (mnl_attr_parse(h, sizeof(*m), read_attr, &x) < 0)
		return false;
	if (x.route.kind == NETLINK_ROUTE_UNICAST && x.multipath != NULL)
		read_paths(&x);
	else if (x.route.kind == NETLINK_ROUTE_UNICAST)
		add_path(&x, &x.only, m->rtm_flags);
	*out = x.route;
	return true;
}

/* --- all of them --- */

static int take_listed(const struct nlmsghdr *h, void *ctx)
{
	const struct netlink_routes_user *user = ctx;
	struct netlink_route route;

	if (h->nlmsg_type == RTM_NEWROUTE && read_route(h, user, &route))
		user->route(user->ctx, NETLINK_ROUTE_SET, &route);
	return MNL_CB_OK;
}

int netlink_routes_get(const struct netlink_routes_user *user)
{
	char buf[512];
	struct netlink_routes_user u = *user;
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->rtm_family = AF_INET;
	return netlink_ask(h, take_listed, &u);
}

/* --- changes --- */

static void take_link(const struct netlink_routes *r, const struct nlmsghdr *h)
{
	const struct ifinfomsg *i = mnl_nlmsg_get_payload(h);
	struct netlink_link link;

	/* A bridge speaks of its ports in the same messages: not about the link. */
	if (i->ifi_family != AF_UNSPEC)
		return;
	netlink_read_link(h, &link);
	if (h->nlmsg_type == RTM_DELLINK)
		link.index = 0;
	r->user.link(r->user.ctx, &link);
}

static int take_change(const struct nlmsghdr *h, void *ctx)
{
	const struct netlink_routes *r = ctx;
	const struct netlink_routes_user *user = &r->user;
	struct netlink_route route;

	switch (h->nlmsg_type) {
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		if (read_route(h, user, &route))
			user->route(user->ctx, h->nlmsg_type == RTM_NEWROUTE ? NETLINK_ROUTE_SET : NETLINK_ROUTE_UNSET,
				    &route);
		break;
	case RTM_NEWLINK:
	case RTM_DELLINK:
		take_link(r, h);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		user->route(user->ctx, NETLINK_ROUTES_UNKNOWN, NULL);
		break;
	}
	return MNL_CB_OK;
}

/* A kernel before 5.3 has no such objects, nor the group for word of them. */
static bool join_next_hops(struct mnl_socket *nl)
{
	int group = RTNLGRP_NEXTHOP;

	return mnl_socket_setsockopt(nl, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) == 0 || errno == EINVAL;
}

/* Without the right to have so much, what everybody may have. */
static void make_room(const struct mnl_socket *nl)
{
	int fd = mnl_socket_get_fd(nl), bytes = ROOM_BYTES;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

struct netlink_routes *netlink_routes_open(const struct netlink_routes_user *user, char *err, size_t err_len)
{
	const unsigned int groups = RTMGRP_IPV4_ROUTE | RTMGRP_LINK | RTMGRP_IPV4_IFADDR;
	struct netlink_routes *r = calloc(1, sizeof(*r));
	int error = ENOMEM;

	if (r != NULL) {
		*r = (struct netlink_routes){ .user = *user };
		r->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (r->nl != NULL && mnl_socket_bind(r->nl, groups, MNL_SOCKET_AUTOPID) == 0 && join_next_hops(r->nl)) {
			make_room(r->nl);
			return r;
		}
		error = errno;
		if (r->nl != NULL)
			mnl_socket_close(r->nl);
		free(r);
	}
	snprintf(err, err_len, "cannot watch the kernel's routes: %s", strerror(error));
	return NULL;
}

void netlink_routes_close(struct netlink_routes *r)
{
	if (r == NULL)
		return;
	mnl_socket_close(r->nl);
	free(r);
}

int netlink_routes_fd(const struct netlink_routes *r)
{
	return mnl_socket_get_fd(r->nl);
}

bool netlink_routes_forget(struct netlink_routes *r)
{
	char buf[BUF_BYTES];

	for (uint32_t i = 0; i < FORGOTTEN_MAX; i++)
		if (mnl_socket_recvfrom(r->nl, buf, sizeof(buf)) < 0 && errno != EINTR && errno != ENOBUFS &&
		    errno != ENOSPC)
			return true;
	return false;
}

void netlink_routes_dispatch(struct netlink_routes *r)
{
	char buf[BUF_BYTES];

	for (uint32_t i = 0; i < PIECES_A_DISPATCH; i++) {
		ssize_t n = mnl_socket_recvfrom(r->nl, buf, sizeof(buf));

		if (n >= 0)
			(void)mnl_cb_run(buf, (size_t)n, 0, 0, take_change, r);
		else if (errno == ENOBUFS || errno == ENOSPC)
			r->user.route(r->user.ctx, NETLINK_ROUTES_UNKNOWN, NULL);
		else if (errno != EINTR)
			return;
	}
}
