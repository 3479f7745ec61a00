/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The tc program as a filter of the clsact qdisc, for kernels that have no tcx
 * links (before Linux 6.6).
 *
 * Such a filter stays when the process is killed. So it stands back by itself: a
 * thread of ours writes the time into the maps four times a second, and a program
 * that sees no sign of life for a second passes everything on to the kernel, and
 * does so from then on.
 *
 * The next start finds the filter by its handle and name and removes it at once:
 * whoever takes a device holds its lock (daemon/run/run_ports.c), so nobody else's process
 * is behind such a filter. The handle also says whether the qdisc was made for it,
 * and is to go with it.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "daemon/fastpath/fastpath_priv.h"
#include "daemon/fastpath/netlink_priv.h"

#define FILTER_PRIORITY 1u
/* "YG", 2 and 3; suppress_tc.c has 1. */
#define HANDLE_OUR_QDISC 0x59470002u   /* on a qdisc that we made */
#define HANDLE_THEIR_QDISC 0x59470003u /* on one that was there */
#define PARENT_INGRESS TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
#define PARENT_EGRESS TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)
#define BUF_BYTES 1024
#define BEAT_MS 250
#define FILTERS_MAX 32u

struct filter {
	uint32_t handle, info;
	uint32_t id; /* of the program, 0: not one of eBPF */
	char name[32];
};

struct filters {
	struct filter f[FILTERS_MAX];
	uint32_t n;
};

static struct tcmsg *put_header(struct nlmsghdr *h, uint16_t type, uint16_t flags, uint32_t ifindex, uint32_t parent)
{
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	struct tcmsg *t = mnl_nlmsg_put_extra_header(h, sizeof(*t));
	t->tcm_family = AF_UNSPEC;
	t->tcm_ifindex = (int)ifindex;
	t->tcm_parent = parent;
	return t;
}

static int change_qdisc(uint32_t ifindex, uint16_t type, uint16_t flags)
{
	char buf[BUF_BYTES];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct tcmsg *t = put_header(h, type, flags | NLM_F_ACK, ifindex, TC_H_CLSACT);

	t->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	mnl_attr_put_strz(h, TCA_KIND, "clsact");
	return fastpath_netlink(NETLINK_ROUTE, h, NULL, NULL);
}

static uint32_t handle_of(bool made_qdisc)
{
	return made_qdisc ? HANDLE_OUR_QDISC : HANDLE_THEIR_QDISC;
}

static int add_filter(uint32_t ifindex, uint32_t handle, int prog_fd)
{
	char buf[BUF_BYTES];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct tcmsg *t = put_header(h, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, ifindex, PARENT_INGRESS);

	t->tcm_handle = handle;
	t->tcm_info = TC_H_MAKE(FILTER_PRIORITY << 16, htons(ETH_P_ALL));
	mnl_attr_put_strz(h, TCA_KIND, "bpf");
	struct nlattr *options = mnl_attr_nest_start(h, TCA_OPTIONS);
	mnl_attr_put_u32(h, TCA_BPF_FD, (uint32_t)prog_fd);
	mnl_attr_put_strz(h, TCA_BPF_NAME, FP_NAME_TC);
	mnl_attr_put_u32(h, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	mnl_attr_nest_end(h, options);
	return fastpath_netlink(NETLINK_ROUTE, h, NULL, NULL);
}

static int remove_filter(uint32_t ifindex, const struct filter *f)
{
	char buf[BUF_BYTES];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct tcmsg *t = put_header(h, RTM_DELTFILTER, NLM_F_ACK, ifindex, PARENT_INGRESS);

	t->tcm_handle = f->handle;
	t->tcm_info = f->info;
	mnl_attr_put_strz(h, TCA_KIND, "bpf");
	return fastpath_netlink(NETLINK_ROUTE, h, NULL, NULL);
}

static int see_option(const struct nlattr *a, void *ctx)
{
	struct filter *f = ctx;

	if (mnl_attr_get_type(a) == TCA_BPF_ID && mnl_attr_validate(a, MNL_TYPE_U32) == 0)
		f->id = mnl_attr_get_u32(a);
	else if (mnl_attr_get_type(a) == TCA_BPF_NAME && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0)
		(void)strncpy(f->name, mnl_attr_get_str(a), sizeof(f->name) - 1);
	return MNL_CB_OK;
}

static int see_filter(const struct nlmsghdr *h, void *ctx)
{
	const struct tcmsg *t = mnl_nlmsg_get_payload(h);
	struct filters *all = ctx;
	struct nlattr *a; /* the macro casts const away */
	struct filter f = { .handle = t->tcm_handle, .info = t->tcm_info };
	bool is_bpf = false;

	if (h->nlmsg_type != RTM_NEWTFILTER)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*t))
	{
		if (mnl_attr_get_type(a) == TCA_KIND)
			is_bpf = strcmp(mnl_attr_get_str(a), "bpf") == 0;
		else if (mnl_attr_get_type(a) == TCA_OPTIONS && is_bpf)
			(void)mnl_attr_parse_nested(a, see_option, &f);
	}
	/* The kernel lists a chain of filters as one entry without a handle, too. */
	if (f.handle != 0 && all->n < FILTERS_MAX)
		all->f[all->n++] = f;
	return MNL_CB_OK;
}

/* No qdisc there is an empty list. */
static void list_filters(uint32_t ifindex, uint32_t parent, struct filters *out)
{
	char buf[BUF_BYTES];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	out->n = 0;
	put_header(h, RTM_GETTFILTER, NLM_F_DUMP, ifindex, parent);
	(void)fastpath_netlink(NETLINK_ROUTE, h, see_filter, out);
}

static uint32_t tick_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return fp_tick_of((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec);
}

/* Takes the qdisc away when nothing hangs on it. */
static void remove_empty_qdisc(uint32_t ifindex)
{
	struct filters in, out;

	list_filters(ifindex, PARENT_INGRESS, &in);
	list_filters(ifindex, PARENT_EGRESS, &out);
	if (in.n == 0 && out.n == 0)
		(void)change_qdisc(ifindex, RTM_DELQDISC, 0);
}

static bool is_ours(const struct filter *f)
{
	return (f->handle == HANDLE_OUR_QDISC || f->handle == HANDLE_THEIR_QDISC) && strcmp(f->name, FP_NAME_TC) == 0;
}

void clsact_sweep(uint32_t ifindex)
{
	struct filters all;

	list_filters(ifindex, PARENT_INGRESS, &all);
	for (uint32_t i = 0; i < all.n; i++) {
		if (!is_ours(&all.f[i]))
			continue;
		(void)remove_filter(ifindex, &all.f[i]);
		if (all.f[i].handle == HANDLE_OUR_QDISC)
			remove_empty_qdisc(ifindex);
	}
}

int clsact_claim(uint32_t ifindex, char *err, size_t err_len)
{
	struct text t = text_of(err, err_len);
	struct filters all;
	char name[16];

	list_filters(ifindex, PARENT_INGRESS, &all);
	for (uint32_t i = 0; i < all.n; i++) {
		const struct filter *f = &all.f[i];

		if (f->id == 0 && !is_ours(f))
			continue;
		probe_ifname(ifindex, name);
		text_add(&t,
			 "on %s there is a tc program at ingress already, %s (id %u)%s; remove it with `tc filter del "
			 "dev %s ingress`, or end its owner",
			 name, f->name, f->id, is_ours(f) ? " of another yangguan" : "", name);
		return -EBUSY;
	}
	return 0;
}

int clsact_attach(uint32_t ifindex, int prog_fd, bool *made_qdisc, char *err, size_t err_len)
{
	struct text t = text_of(err, err_len);
	char name[16];
	int r = change_qdisc(ifindex, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL);

	probe_ifname(ifindex, name);
	if (r < 0 && r != -EEXIST) {
		text_add(&t, "%s does not take the qdisc clsact, on which a tc program hangs: ", name);
		program_explain(&t, -r);
		return r;
	}
	*made_qdisc = r == 0;
	r = add_filter(ifindex, handle_of(*made_qdisc), prog_fd);
	if (r == 0)
		return 0;
	text_add(&t, "%s does not take a tc program: ", name);
	program_explain(&t, -r);
	if (*made_qdisc)
		(void)change_qdisc(ifindex, RTM_DELQDISC, 0);
	return r;
}

void clsact_detach(uint32_t ifindex, bool made_qdisc)
{
	struct filter ours = { .handle = handle_of(made_qdisc),
			       .info = TC_H_MAKE(FILTER_PRIORITY << 16, htons(ETH_P_ALL)) };

	(void)remove_filter(ifindex, &ours);
	if (made_qdisc)
		remove_empty_qdisc(ifindex);
}

/* A program that saw a second without it has said so, and believes it again only when that is cleared. */
static void show_life(struct fastpath *f)
{
	__atomic_store_n(&f->maps.config->alive, tick_now(), __ATOMIC_RELEASE);
	__atomic_store_n(&f->maps.config->gone, 0, __ATOMIC_RELEASE);
}

static void *beat(void *ctx)
{
	struct fastpath *f = ctx;
	struct pollfd p = { .fd = f->beat_fd, .events = POLLIN };

	do
		show_life(f);
	while (poll(&p, 1, BEAT_MS) <= 0);
	return NULL;
}

int clsact_beat_start(struct fastpath *f, char *err, size_t err_len)
{
	struct text t = text_of(err, err_len);
	sigset_t all, before;

	if (f->beat_fd >= 0)
		return 0;
	show_life(f);
	f->beat_fd = eventfd(0, EFD_CLOEXEC);
	int r = f->beat_fd < 0 ? errno : 0;
	/* Signals are for the threads that wait for them. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	if (r == 0)
		r = pthread_create(&f->beat, NULL, beat, f);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		return 0;
	text_add(&t, "no thread to keep a tc program alive: %s", strerror(r));
	if (f->beat_fd >= 0)
		(void)close(f->beat_fd);
	f->beat_fd = -1;
	return -r;
}

void clsact_beat_stop(struct fastpath *f)
{
	uint64_t one = 1;

	if (f->beat_fd < 0)
		return;
	if (write(f->beat_fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
		(void)pthread_join(f->beat, NULL);
	(void)close(f->beat_fd);
	f->beat_fd = -1;
}
