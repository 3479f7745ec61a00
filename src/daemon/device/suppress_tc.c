/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Suppressed by traffic control, where the kernel has neither nftables nor tcx, or does
 * not let us load programs: a clsact qdisc and at its ingress one filter, a classic BPF program of one instruction that
 * says "drop". It is ours by its priority and handle; nothing removes it when the process is killed, so adding it where
 * it is takes it over, and removing works for whoever left it.
 */
#include "daemon/device/suppress_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "daemon/device/netlink_priv.h"

#define FILTER_PRIORITY 1u
#define FILTER_HANDLE 0x59470001u /* "YG", 1 */
#define PARENT_INGRESS TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
#define PARENT_EGRESS TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)
#define BUF_BYTES 1024

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
	return netlink_ask(h, NULL, NULL);
}

static int change_filter(uint32_t ifindex, uint16_t type, uint16_t flags)
{
	static const struct sock_filter drop[] = { { BPF_RET | BPF_K, 0, 0, TC_ACT_SHOT } };
	char buf[BUF_BYTES];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct tcmsg *t = put_header(h, type, flags | NLM_F_ACK, ifindex, PARENT_INGRESS);

	t->tcm_handle = FILTER_HANDLE;
	t->tcm_info = TC_H_MAKE(FILTER_PRIORITY << 16, htons(ETH_P_ALL));
	mnl_attr_put_strz(h, TCA_KIND, "bpf");
	if (type == RTM_NEWTFILTER) {
		struct nlattr *options = mnl_attr_nest_start(h, TCA_OPTIONS);
		mnl_attr_put_u16(h, TCA_BPF_OPS_LEN, sizeof(drop) / sizeof(drop[0]));
		mnl_attr_put(h, TCA_BPF_OPS, sizeof(drop), drop);
		mnl_attr_put_u32(h, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
		mnl_attr_nest_end(h, options);
	}
	return netlink_ask(h, NULL, NULL);
}

static int count_filter(const struct nlmsghdr *h, void *ctx)
{
	uint32_t *n = ctx;

	*n += h->nlmsg_type == RTM_NEWTFILTER;
	return MNL_CB_OK;
}

/* True also when it cannot be told. */
static bool has_filters(uint32_t ifindex, uint32_t parent)
{
	char buf[BUF_BYTES];
	uint32_t n = 0;
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	put_header(h, RTM_GETTFILTER, NLM_F_DUMP, ifindex, parent);
	return netlink_ask(h, count_filter, &n) < 0 || n > 0;
}

int suppress_tc_add(uint32_t ifindex, bool *made_qdisc)
{
	int r = change_qdisc(ifindex, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL);

	if (r < 0 && r != -EEXIST)
		return r;
	*made_qdisc = r == 0;
	r = change_filter(ifindex, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL);
	if (r == -EEXIST) {
		/* One of ours that was killed: then the qdisc was ours too. */
		*made_qdisc = true;
		return 0;
	}
	if (r < 0 && *made_qdisc)
		(void)change_qdisc(ifindex, RTM_DELQDISC, 0);
	return r;
}

int suppress_tc_remove(uint32_t ifindex, enum suppress_tc_qdisc qdisc)
{
	int r = change_filter(ifindex, RTM_DELTFILTER, 0);

	/* No qdisc there at all is EINVAL. */
	if (r < 0)
		return r == -EINVAL ? -ENOENT : r;
	if (qdisc == SUPPRESS_TC_IF_EMPTY && !has_filters(ifindex, PARENT_INGRESS) &&
	    !has_filters(ifindex, PARENT_EGRESS))
		r = change_qdisc(ifindex, RTM_DELQDISC, 0);
	return r;
}
