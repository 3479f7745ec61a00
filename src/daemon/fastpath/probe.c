/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Questions about devices: what stands on them, and how frames may leave by them.
 *
 * A device takes redirected frames of native XDP when its driver says so, whatever
 * program stands on the device itself: the netdev family of generic netlink has
 * that since Linux 6.3 (a veth says yes only while its peer would take them too).
 * Before, what is likely is told from the driver, and lost frames are counted.
 * Frames of generic XDP and tc are socket buffers, which every device sends.
 *
 * Into the peer of a veth in another namespace the tc program can put packets
 * straight, past the queue between them, and so past a queue discipline on our end:
 * where somebody has given it one, packets go the long way. A native XDP program at
 * the peer would not see them; while there is one, our end has no large segments
 * (the veth driver takes them away), and they go the long way too.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/fastpath/fastpath_priv.h"
#include "daemon/fastpath/netlink_priv.h"

#define BUF_BYTES 1024
#define ATTACH_TCX_INGRESS ((enum bpf_attach_type)46)
#define TCX_PROGRAMS_MAX 64u
#define NAME_QUIET "yangguan_quiet" /* daemon/device/suppress_tcx.c */

/* linux/netdev.h, which Debian 12 does not have. */
enum { NETDEV_DEV_GET = 1, NETDEV_DEV_IFINDEX = 1, NETDEV_DEV_XDP_FEATURES = 3, NETDEV_XDP_NDO_XMIT = 4 };

int fastpath_netlink(int bus, struct nlmsghdr *h, mnl_cb_t cb, void *ctx)
{
	union {
		char buf[32768];
		struct nlmsghdr align;
	} in;
	struct mnl_socket *s = mnl_socket_open2(bus, SOCK_CLOEXEC);
	ssize_t n;
	int r;

	if (s == NULL)
		return -errno;
	h->nlmsg_seq = 1;
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 || mnl_socket_sendto(s, h, h->nlmsg_len) < 0) {
		r = -errno;
		(void)mnl_socket_close(s);
		return r;
	}
	do {
		n = mnl_socket_recvfrom(s, in.buf, sizeof(in.buf));
		r = n < 0 ? -1 : mnl_cb_run(in.buf, (size_t)n, 1, mnl_socket_get_portid(s), cb, ctx);
	} while (r > MNL_CB_STOP && (h->nlmsg_flags & (NLM_F_DUMP | NLM_F_ACK)) != 0);
	r = r < 0 ? -errno : 0;
	(void)mnl_socket_close(s);
	return r;
}

/* --- who is there --- */

void probe_ifname(uint32_t ifindex, char name[16])
{
	_Static_assert(IF_NAMESIZE <= 16, "a name fits");

	if (if_indextoname(ifindex, name) == NULL)
		(void)memcpy(name, "?", 2);
}

static int ask_device(uint32_t ifindex, unsigned long what, struct ifreq *req)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = 0;

	if (fd < 0)
		return -errno;
	probe_ifname(ifindex, req->ifr_name);
	if (ioctl(fd, what, req) != 0)
		r = -errno;
	(void)close(fd);
	return r;
}

int probe_mtu(uint32_t ifindex)
{
	struct ifreq req = { 0 };

	return ask_device(ifindex, SIOCGIFMTU, &req) < 0 ? 0 : req.ifr_mtu;
}

int probe_mac(uint32_t ifindex, uint8_t mac[6])
{
	struct ifreq req = { 0 };
	int r = ask_device(ifindex, SIOCGIFHWADDR, &req);

	if (r == 0 && req.ifr_hwaddr.sa_family != ARPHRD_ETHER && req.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK)
		r = -ENODEV;
	if (r == 0)
		(void)memcpy(mac, req.ifr_hwaddr.sa_data, 6);
	return r;
}

/* The program behind a descriptor of this process; 0 if it is none. */
static uint32_t program_of(const char *fd)
{
	char path[64], line[128];
	unsigned id = 0;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%.16s", fd);
	FILE *f = fopen(path, "re");
	bool is_program = false; /* a link, too, tells the number of its program, and has no name */
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		is_program |= strncmp(line, "prog_type:", strlen("prog_type:")) == 0;
		(void)sscanf(line, "prog_id: %u", &id);
	}
	if (f != NULL)
		(void)fclose(f);
	return is_program ? id : 0;
}

/* A descriptor of this process for that program, not to be closed, or -1. Opening a program by its number takes rights
 * that a running gateway has given up; what it has open it may ask. */
static int held_here(uint32_t id)
{
	struct dirent *e;
	int fd = -1;
	DIR *d = opendir("/proc/self/fd");

	while (d != NULL && fd < 0 && (e = readdir(d)) != NULL)
		if (program_of(e->d_name) == id)
			fd = atoi(e->d_name);
	if (d != NULL)
		(void)closedir(d);
	return fd;
}

/* The name of the program with this number; "?" when it cannot be asked. */
static void probe_program_name(uint32_t id, char *name, size_t len)
{
	struct text t = text_of(name, len);
	struct bpf_prog_info info = { 0 };
	uint32_t info_len = sizeof(info);
	int opened = bpf_prog_get_fd_by_id(id), fd = opened >= 0 ? opened : held_here(id);

	if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &info_len) == 0 && info.name[0] != '\0')
		text_add(&t, "%.*s", (int)sizeof(info.name), info.name);
	else
		text_add(&t, "?");
	if (opened >= 0)
		(void)close(opened);
}

int probe_foreign_xdp(uint32_t ifindex, char *err, size_t err_len)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	struct text t = text_of(err, err_len);
	char dev[16], name[32];

	if (bpf_xdp_query((int)ifindex, 0, &opts) != 0)
		return 0; /* attaching will tell */
	uint32_t id = opts.drv_prog_id != 0   ? opts.drv_prog_id
		      : opts.skb_prog_id != 0 ? opts.skb_prog_id
		      : opts.hw_prog_id != 0  ? opts.hw_prog_id
					      : opts.prog_id;
	if (id == 0)
		return 0;
	probe_ifname(ifindex, dev);
	probe_program_name(id, name, sizeof(name));
	text_add(&t,
		 "on %s there is an XDP program already, %s (id %u); remove it with `ip link set dev %s xdp off`, or "
		 "end its owner",
		 dev, name, id, dev);
	return -EBUSY;
}

int probe_foreign_tcx(uint32_t ifindex, char *err, size_t err_len)
{
	struct text t = text_of(err, err_len);
	uint32_t ids[TCX_PROGRAMS_MAX], n = TCX_PROGRAMS_MAX, flags = 0;
	char dev[16], name[32];

	/* Older kernels: there is no such thing, so there is none. */
	if (bpf_prog_query((int)ifindex, ATTACH_TCX_INGRESS, 0, &flags, ids, &n) != 0)
		return 0;
	for (uint32_t i = 0; i < n && i < TCX_PROGRAMS_MAX; i++) {
		probe_program_name(ids[i], name, sizeof(name));
		if (strcmp(name, NAME_QUIET) == 0)
			continue;
		probe_ifname(ifindex, dev);
		text_add(&t,
			 "on %s there is a tcx program at ingress already, %s (id %u); end its owner (`bpftool net` "
			 "lists it)",
			 dev, name, ids[i]);
		return -EBUSY;
	}
	return 0;
}

/* --- how frames may leave --- */

static int see_family(const struct nlmsghdr *h, void *ctx)
{
	struct nlattr *a; /* the macro casts const away */
	uint16_t *id = ctx;

	mnl_attr_for_each(a, h, sizeof(struct genlmsghdr)) if (mnl_attr_get_type(a) == CTRL_ATTR_FAMILY_ID) *id =
		mnl_attr_get_u16(a);
	return MNL_CB_OK;
}

static int see_features(const struct nlmsghdr *h, void *ctx)
{
	struct nlattr *a; /* the macro casts const away */
	uint64_t *features = ctx;

	mnl_attr_for_each(a, h, sizeof(struct genlmsghdr)) if (mnl_attr_get_type(a) ==
							       NETDEV_DEV_XDP_FEATURES) *features = mnl_attr_get_u64(a);
	return MNL_CB_OK;
}

static struct nlmsghdr *put_genl(void *buf, uint16_t family, uint8_t cmd)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = family;
	h->nlmsg_flags = NLM_F_REQUEST;
	struct genlmsghdr *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->cmd = cmd;
	g->version = 1;
	return h;
}

static enum probe_xmit ask_xmit(uint32_t ifindex)
{
	char buf[BUF_BYTES];
	uint16_t family = 0;
	uint64_t features = 0;
	struct nlmsghdr *h = put_genl(buf, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);

	mnl_attr_put_strz(h, CTRL_ATTR_FAMILY_NAME, "netdev");
	if (fastpath_netlink(NETLINK_GENERIC, h, see_family, &family) < 0 || family == 0)
		return PROBE_XMIT_UNKNOWN;
	h = put_genl(buf, family, NETDEV_DEV_GET);
	mnl_attr_put_u32(h, NETDEV_DEV_IFINDEX, ifindex);
	if (fastpath_netlink(NETLINK_GENERIC, h, see_features, &features) < 0)
		return PROBE_XMIT_UNKNOWN;
	return (features & NETDEV_XDP_NDO_XMIT) != 0 ? PROBE_XMIT_YES : PROBE_XMIT_NO;
}

static int see_info(const struct nlattr *a, void *ctx)
{
	struct probe_facts *f = ctx;

	if (mnl_attr_get_type(a) == IFLA_INFO_KIND)
		f->is_veth = strcmp(mnl_attr_get_str(a), "veth") == 0;
	return MNL_CB_OK;
}

static int see_link(const struct nlmsghdr *h, void *ctx)
{
	struct probe_facts *f = ctx;
	struct nlattr *a; /* the macro casts const away */

	mnl_attr_for_each(a, h, sizeof(struct ifinfomsg))
	{
		if (mnl_attr_get_type(a) == IFLA_LINK_NETNSID)
			f->peer_elsewhere = true;
		else if (mnl_attr_get_type(a) == IFLA_LINKINFO)
			(void)mnl_attr_parse_nested(a, see_info, f);
		else if (mnl_attr_get_type(a) == IFLA_QDISC)
			/* noop: it has never been up, and has yet to get one */
			f->has_queue =
				strcmp(mnl_attr_get_str(a), "noqueue") != 0 && strcmp(mnl_attr_get_str(a), "noop") != 0;
	}
	return MNL_CB_OK;
}

static bool has_large_segments(uint32_t ifindex)
{
	struct ethtool_value v = { .cmd = ETHTOOL_GTSO };
	struct ifreq req = { .ifr_data = (void *)&v };

	return ask_device(ifindex, SIOCETHTOOL, &req) == 0 && v.data != 0;
}

static void ask_link(uint32_t ifindex, struct probe_facts *facts)
{
	char buf[BUF_BYTES];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = RTM_GETLINK;
	h->nlmsg_flags = NLM_F_REQUEST;
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_index = (int)ifindex;
	(void)fastpath_netlink(NETLINK_ROUTE, h, see_link, facts);
	facts->large_segments = has_large_segments(ifindex);
}

/* A wrong yes loses every frame, a wrong no costs the way through user space. So a yes wants a reason: the kernel's
 * word, or a driver with native XDP, which as a rule takes redirected frames as well. A veth has that and takes them
 * only while its peer would, which nothing here can see. */
static enum fp_egress how_by_xdp(enum fastpath_kind kind, const struct probe_facts *facts, const char **why)
{
	if (facts->xmit == PROBE_XMIT_YES)
		return FP_EGRESS_REDIRECT;
	if (facts->xmit == PROBE_XMIT_NO) {
		*why = "its driver takes no redirected frames, so what native XDP has for it leaves through user space "
		       "(a veth takes them when its peer has `ethtool -K PEER gro on`)";
		return FP_EGRESS_SEND;
	}
	if (kind == FASTPATH_XDP_NATIVE && !facts->is_veth)
		return FP_EGRESS_REDIRECT;
	*why = "this kernel cannot say whether its driver takes redirected frames (Linux 6.3 or later can), so what "
	       "native XDP has for it leaves through user space";
	return FP_EGRESS_SEND;
}

enum fp_egress probe_judge(enum fastpath_kind kind, const struct probe_facts *facts, const char **why)
{
	*why = NULL;
	if (kind != FASTPATH_TC)
		return how_by_xdp(kind, facts, why);
	if (!facts->is_veth || !facts->peer_elsewhere || !facts->large_segments)
		return FP_EGRESS_SEND;
	if (!facts->has_queue)
		return FP_EGRESS_PEER;
	*why = "packets go through its queue discipline; without one they would be put straight into its peer, which "
	       "is "
	       "quicker";
	return FP_EGRESS_SEND;
}

enum fp_egress fastpath_egress(const struct fastpath *f, enum fastpath_kind kind, uint32_t ifindex, const char **why)
{
	struct probe_facts facts = { .xmit = PROBE_XMIT_UNKNOWN };
	const char *unused;

	if (kind != FASTPATH_TC)
		facts.xmit = ask_xmit(ifindex);
	if (kind == FASTPATH_TC || facts.xmit == PROBE_XMIT_UNKNOWN)
		ask_link(ifindex, &facts);
	return probe_judge(kind, &facts, why != NULL ? why : &unused);
}
