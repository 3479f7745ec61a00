/* SPDX-License-Identifier: BSD-2-Clause
 *
 * rtnetlink through libmnl.
 *
 * Questions open a socket of their own, ask, wait for the answer and close it:
 * they are rare, and nothing else's messages get between.
 *
 * The monitor holds the last known state of each watched name. Every message
 * about a link is reduced to the same struct and compared with that state; the
 * differences are the events. So a message that says nothing new is silent, and
 * after the kernel dropped messages (ENOBUFS) it is enough to ask for each
 * watched name again. A name is the identity: a device that is deleted and made
 * again has another index and is reported as gone and back, also when only the
 * new one's message was seen.
 *
 * Always: watched[i].link.index is 0 exactly while that device is gone.
 */
#include "daemon/device/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/be.h"
#include "base/util.h"
#include "daemon/device/netlink_priv.h"

#define WATCHED_MAX 64
#define BUF_BYTES 32768 /* the kernel's largest piece of a dump */
#define LISTS_MAX 10    /* so often a list is asked for that changes while it is told */

/* --- one question, one answer --- */

/* The error with which a list ends, -errno, at which libmnl does not look; 0: none. */
static int error_of_list(const char *buf, int left)
{
	const struct nlmsghdr *h = (const void *)buf;
	int32_t error = 0;

	for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left))
		if (h->nlmsg_type == NLMSG_DONE && mnl_nlmsg_get_payload_len(h) >= sizeof(error))
			memcpy(&error, mnl_nlmsg_get_payload(h), sizeof(error));
	return error < 0 ? error : 0;
}

int netlink_read_answer(struct mnl_socket *nl, uint32_t seq, mnl_cb_t cb, void *ctx)
{
	_Alignas(struct nlmsghdr) char buf[BUF_BYTES];

	for (;;) {
		ssize_t n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		int r = MNL_CB_OK;

		if (n >= 0)
			r = mnl_cb_run(buf, (size_t)n, seq, mnl_socket_get_portid(nl), cb, ctx);
		else if (errno != EINTR)
			return -errno;
		if (r < 0)
			return -errno;
		if (r == MNL_CB_STOP)
			return error_of_list(buf, (int)n);
	}
}

int netlink_ask(struct nlmsghdr *h, mnl_cb_t cb, void *ctx)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int r;

	if (!nl)
		return -errno;
	h->nlmsg_seq = 1;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 || mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		r = -errno;
	else
		r = netlink_read_answer(nl, h->nlmsg_seq, cb, ctx);
	mnl_socket_close(nl);
	return r;
}

static int fail(char *err, size_t err_len, const char *ifname, const char *what, int r)
{
	if (r == -ENODEV)
		snprintf(err, err_len, "device %s: there is no such device in this network namespace; see: ip link",
			 ifname);
	else if (r == -EPERM)
		snprintf(err, err_len, "device %s: %s: no right to; run as root or with CAP_NET_ADMIN", ifname, what);
	else
		snprintf(err, err_len, "device %s: %s: %s", ifname, what, strerror(-r));
	return r;
}

/* --- links --- */

static int read_kind(const struct nlattr *a, void *ctx)
{
	struct netlink_link *l = ctx;

	if (mnl_attr_get_type(a) == IFLA_INFO_KIND && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0)
		snprintf(l->kind, sizeof(l->kind), "%s", mnl_attr_get_str(a));
	return MNL_CB_OK;
}

static int read_link_attr(const struct nlattr *a, void *ctx)
{
	struct netlink_link *l = ctx;

	switch (mnl_attr_get_type(a)) {
	case IFLA_IFNAME:
		if (mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0)
			snprintf(l->name, sizeof(l->name), "%s", mnl_attr_get_str(a));
		break;
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(a) == sizeof(l->mac))
			memcpy(&l->mac, mnl_attr_get_payload(a), sizeof(l->mac));
		break;
	case IFLA_MTU:
		if (mnl_attr_validate(a, MNL_TYPE_U32) >= 0)
			l->mtu = mnl_attr_get_u32(a);
		break;
	case IFLA_MASTER:
		if (mnl_attr_validate(a, MNL_TYPE_U32) >= 0)
			l->master_index = mnl_attr_get_u32(a);
		break;
	case IFLA_LINKINFO:
		mnl_attr_parse_nested(a, read_kind, l);
		break;
	}
	return MNL_CB_OK;
}

void netlink_read_link(const struct nlmsghdr *h, struct netlink_link *l)
{
	const struct ifinfomsg *i = mnl_nlmsg_get_payload(h);

	*l = (struct netlink_link){
		.index = (uint32_t)i->ifi_index,
		.is_ethernet = i->ifi_type == ARPHRD_ETHER,
		.admin_up = (i->ifi_flags & IFF_UP) != 0,
		.running = (i->ifi_flags & IFF_UP) && (i->ifi_flags & IFF_RUNNING),
	};
	mnl_attr_parse(h, sizeof(*i), read_link_attr, l);
}

static int take_link(const struct nlmsghdr *h, void *ctx)
{
	if (h->nlmsg_type == RTM_NEWLINK)
		netlink_read_link(h, ctx);
	return MNL_CB_STOP;
}

static struct ifinfomsg *put_link_header(struct nlmsghdr *h, uint16_t type, uint16_t flags, const char *ifname)
{
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	struct ifinfomsg *i = mnl_nlmsg_put_extra_header(h, sizeof(*i));
	i->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(h, IFLA_IFNAME, ifname);
	return i;
}

static int query_link(const char *ifname, struct netlink_link *out)
{
	char buf[512];

	memset(out, 0, sizeof(*out));
	if (*ifname == 0 || strlen(ifname) >= DEVICE_NAME_MAX)
		return -ENODEV;
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	put_link_header(h, RTM_GETLINK, 0, ifname);
	int r = netlink_ask(h, take_link, out);
	if (r < 0)
		return r;
	/* An alternative name finds a device too, but is not what events carry. */
	if (strcmp(out->name, ifname) != 0) {
		memset(out, 0, sizeof(*out));
		return -ENODEV;
	}
	return 0;
}

int netlink_link_get(const char *ifname, struct netlink_link *out, char *err, size_t err_len)
{
	int r = query_link(ifname, out);

	return r < 0 ? fail(err, err_len, ifname, "asking the kernel", r) : 0;
}

int netlink_link_set(const char *ifname, enum netlink_admin state, char *err, size_t err_len)
{
	char buf[512];

	if (*ifname == 0 || strlen(ifname) >= DEVICE_NAME_MAX)
		return fail(err, err_len, ifname, "", -ENODEV);
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *i = put_link_header(h, RTM_NEWLINK, NLM_F_ACK, ifname);
	i->ifi_change = IFF_UP;
	i->ifi_flags = state == NETLINK_ADMIN_UP ? IFF_UP : 0;
	int r = netlink_ask(h, NULL, NULL);
	if (r < 0)
		return fail(err, err_len, ifname, state == NETLINK_ADMIN_UP ? "setting it up" : "setting it down", r);
	return 0;
}

/* --- silence --- */

static int set_no_addresses(const char *ifname)
{
	char buf[512];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	put_link_header(h, RTM_NEWLINK, NLM_F_ACK, ifname);
	struct nlattr *spec = mnl_attr_nest_start(h, IFLA_AF_SPEC);
	struct nlattr *inet6 = mnl_attr_nest_start(h, AF_INET6);
	mnl_attr_put_u8(h, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(h, inet6);
	mnl_attr_nest_end(h, spec);
	return netlink_ask(h, NULL, NULL);
}

static int set_no_queue(const char *ifname)
{
	char buf[512];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = RTM_NEWQDISC;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
	struct tcmsg *t = mnl_nlmsg_put_extra_header(h, sizeof(*t));
	t->tcm_family = AF_UNSPEC;
	t->tcm_ifindex = (int)if_nametoindex(ifname);
	t->tcm_parent = TC_H_ROOT;
	mnl_attr_put_strz(h, TCA_KIND, "noqueue");
	return netlink_ask(h, NULL, NULL);
}

int netlink_link_make_silent(const char *ifname, char *err, size_t err_len)
{
	int r = set_no_addresses(ifname);

	/* A kernel without IPv6 has nothing to be told. */
	if (r == -EAFNOSUPPORT || r == -EOPNOTSUPP)
		r = 0;
	if (r == 0)
		r = set_no_queue(ifname);
	return r < 0 ? fail(err, err_len, ifname, "keeping it silent", r) : 0;
}

static int read_stats(const struct nlattr *a, void *ctx)
{
	struct rtnl_link_stats64 st = { 0 };

	if (mnl_attr_get_type(a) == IFLA_STATS64) {
		memcpy(&st, mnl_attr_get_payload(a), min_u32(sizeof(st), mnl_attr_get_payload_len(a)));
		*(uint64_t *)ctx = st.tx_dropped;
	}
	return MNL_CB_OK;
}

static int take_stats(const struct nlmsghdr *h, void *ctx)
{
	if (h->nlmsg_type == RTM_NEWLINK)
		mnl_attr_parse(h, sizeof(struct ifinfomsg), read_stats, ctx);
	return MNL_CB_STOP;
}

uint64_t netlink_tx_dropped(uint32_t index)
{
	char buf[512];
	uint64_t n = 0;
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = RTM_GETLINK;
	h->nlmsg_flags = NLM_F_REQUEST;
	struct ifinfomsg *i = mnl_nlmsg_put_extra_header(h, sizeof(*i));
	i->ifi_family = AF_UNSPEC;
	i->ifi_index = (int)index;
	return netlink_ask(h, take_stats, &n) < 0 ? 0 : n;
}

/* --- addresses --- */

struct addr_query {
	uint32_t index;
	struct netlink_addrs *out;
};

struct addr_attrs {
	bool has_local, has_addr;
	uint32_t local, addr;
};

static int read_addr_attr(const struct nlattr *a, void *ctx)
{
	struct addr_attrs *x = ctx;
	be32 v;

	if (mnl_attr_get_payload_len(a) != sizeof(v))
		return MNL_CB_OK;
	memcpy(&v, mnl_attr_get_payload(a), sizeof(v));
	if (mnl_attr_get_type(a) == IFA_LOCAL) {
		x->has_local = true;
		x->local = be32_get(v);
	} else if (mnl_attr_get_type(a) == IFA_ADDRESS) {
		x->has_addr = true;
		x->addr = be32_get(v);
	}
	return MNL_CB_OK;
}

static int take_addr(const struct nlmsghdr *h, void *ctx)
{
	struct addr_query *q = ctx;
	const struct ifaddrmsg *i = mnl_nlmsg_get_payload(h);
	struct addr_attrs x = { 0 };

	if (h->nlmsg_type != RTM_NEWADDR || i->ifa_index != q->index)
		return MNL_CB_OK;
	if (i->ifa_family == AF_INET6) {
		q->out->n_ipv6 += i->ifa_scope != RT_SCOPE_LINK;
		return MNL_CB_OK;
	}
	if (i->ifa_family != AF_INET)
		return MNL_CB_OK;
	mnl_attr_parse(h, sizeof(*i), read_addr_attr, &x);
	if (!x.has_local && !x.has_addr)
		return MNL_CB_OK;
	if (q->out->n_ipv4 < NETLINK_ADDRS_MAX)
		q->out->ipv4[q->out->n_ipv4] = (struct ip4_prefix){ x.has_local ? x.local : x.addr, i->ifa_prefixlen };
	q->out->n_ipv4++;
	return MNL_CB_OK;
}

int netlink_addrs_get(uint32_t index, struct netlink_addrs *out, char *err, size_t err_len)
{
	char buf[512];
	struct addr_query q = { index, out };
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = RTM_GETADDR;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	struct ifaddrmsg *i = mnl_nlmsg_put_extra_header(h, sizeof(*i));
	int r = -EINTR;

	i->ifa_family = AF_UNSPEC;
	for (uint32_t k = 0; r == -EINTR && k < LISTS_MAX; k++) {
		memset(out, 0, sizeof(*out));
		r = netlink_ask(h, take_addr, &q);
	}
	if (r < 0)
		snprintf(err, err_len, "cannot ask the kernel for its addresses: %s", strerror(-r));
	return r;
}

/* --- monitor --- */

struct watched {
	char name[DEVICE_NAME_MAX]; /* empty: this entry is free */
	struct netlink_link link;
};

struct netlink_monitor {
	struct mnl_socket *nl;
	netlink_change_fn *fn;
	void *ctx;
	struct watched watched[WATCHED_MAX];
};

static void report_gone(struct netlink_monitor *m, struct watched *w)
{
	struct netlink_link was = w->link;

	memset(&w->link, 0, sizeof(w->link));
	if (was.index)
		m->fn(m->ctx, NETLINK_CHANGE_GONE, &was);
}

/* The device of this name is now as l says. */
static void report_changes(struct netlink_monitor *m, struct watched *w, const struct netlink_link *l)
{
	if (w->link.index && w->link.index != l->index)
		report_gone(m, w);
	struct netlink_link was = w->link;
	w->link = *l;
	if (!was.index)
		m->fn(m->ctx, NETLINK_CHANGE_BACK, l);
	if (was.index && was.mtu != l->mtu)
		m->fn(m->ctx, NETLINK_CHANGE_MTU, l);
	if (was.index && !ether_equal(&was.mac, &l->mac))
		m->fn(m->ctx, NETLINK_CHANGE_MAC, l);
	if (was.running != l->running)
		m->fn(m->ctx, l->running ? NETLINK_CHANGE_UP : NETLINK_CHANGE_DOWN, l);
}

static struct watched *watched_named(struct netlink_monitor *m, const char *name)
{
	for (uint32_t i = 0; i < WATCHED_MAX; i++)
		if (m->watched[i].name[0] && strcmp(m->watched[i].name, name) == 0)
			return &m->watched[i];
	return NULL;
}

static int take_change(const struct nlmsghdr *h, void *ctx)
{
	struct netlink_monitor *m = ctx;
	const struct ifinfomsg *i = mnl_nlmsg_get_payload(h);
	struct netlink_link l;

	/* A bridge speaks of its ports in the same messages: not about the link. */
	if ((h->nlmsg_type != RTM_NEWLINK && h->nlmsg_type != RTM_DELLINK) || i->ifi_family != AF_UNSPEC)
		return MNL_CB_OK;
	netlink_read_link(h, &l);
	for (uint32_t k = 0; k < WATCHED_MAX; k++) {
		struct watched *w = &m->watched[k];
		bool renamed = strcmp(w->name, l.name) != 0;
		if (w->name[0] && w->link.index == l.index && (h->nlmsg_type == RTM_DELLINK || renamed))
			report_gone(m, w);
	}
	struct watched *w = watched_named(m, l.name);
	if (w && h->nlmsg_type == RTM_NEWLINK)
		report_changes(m, w, &l);
	return MNL_CB_OK;
}

/* The kernel left out messages: ask for every watched device. */
static void resync(struct netlink_monitor *m)
{
	for (uint32_t i = 0; i < WATCHED_MAX; i++) {
		struct watched *w = &m->watched[i];
		struct netlink_link l;

		if (!w->name[0])
			continue;
		int r = query_link(w->name, &l);
		if (r == 0)
			report_changes(m, w, &l);
		else if (r == -ENODEV)
			report_gone(m, w);
	}
}

void netlink_monitor_dispatch(struct netlink_monitor *m)
{
	char buf[BUF_BYTES];

	for (;;) {
		ssize_t n = mnl_socket_recvfrom(m->nl, buf, sizeof(buf));
		if (n >= 0)
			(void)mnl_cb_run(buf, (size_t)n, 0, 0, take_change, m);
		else if (errno == ENOBUFS || errno == ENOSPC)
			resync(m);
		else if (errno != EINTR)
			return;
	}
}

int netlink_monitor_open(netlink_change_fn *fn, void *ctx, struct netlink_monitor **out, char *err, size_t err_len)
{
	struct netlink_monitor *m = calloc(1, sizeof(*m));
	int error = ENOMEM;

	if (m) {
		m->fn = fn;
		m->ctx = ctx;
		m->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (m->nl && mnl_socket_bind(m->nl, RTMGRP_LINK, MNL_SOCKET_AUTOPID) == 0) {
			*out = m;
			return 0;
		}
		error = errno;
		if (m->nl)
			mnl_socket_close(m->nl);
		free(m);
	}
	snprintf(err, err_len, "cannot watch the kernel's devices: %s", strerror(error));
	return -error;
}

void netlink_monitor_close(struct netlink_monitor *m)
{
	mnl_socket_close(m->nl);
	free(m);
}

int netlink_monitor_fd(const struct netlink_monitor *m)
{
	return mnl_socket_get_fd(m->nl);
}

int netlink_monitor_watch(struct netlink_monitor *m, const char *ifname, struct netlink_link *now)
{
	struct watched *w = watched_named(m, ifname);

	if (strlen(ifname) >= DEVICE_NAME_MAX || *ifname == 0)
		return -EINVAL;
	for (uint32_t i = 0; !w && i < WATCHED_MAX; i++) {
		if (m->watched[i].name[0])
			continue;
		w = &m->watched[i];
		snprintf(w->name, sizeof(w->name), "%s", ifname);
		/* Messages from before this answer still wait in the socket; they
		 * can only repeat what is older, and the last of them is this state. */
		int r = query_link(ifname, &w->link);
		if (r < 0 && r != -ENODEV) {
			w->name[0] = 0;
			return r;
		}
	}
	if (!w)
		return -ENOMEM;
	if (now)
		*now = w->link;
	return 0;
}

void netlink_monitor_unwatch(struct netlink_monitor *m, const char *ifname)
{
	struct watched *w = watched_named(m, ifname);

	if (w)
		memset(w, 0, sizeof(*w));
}
