/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Programs on devices, by links: a descriptor of ours holds the program there, so
 * that it goes with the process, however that ends.
 *
 *   XDP   a bpf_link of type XDP, native or generic as asked
 *   tc    a tcx link (Linux 6.6), before the program that keeps the kernel quiet
 *         (daemon/device/suppress_tcx.c); on older kernels a filter of clsact (clsact.c)
 *
 * A device on which somebody else's program stands at either hook is refused, and
 * that program named: two would fight over each packet, or the one behind would see
 * nothing any more and not know it.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fastpath/fastpath_priv.h"

/* BPF_TCX_INGRESS: headers and libbpf of Debian 12 are older than it. */
#define ATTACH_TCX_INGRESS ((enum bpf_attach_type)46)
#define F_BEFORE (1u << 3) /* BPF_F_BEFORE, likewise: before all others */
#define VETH_MTU_MAX 3506

void attach_explain_xdp(struct text *t, const char *name, const struct fastpath_port *p, int error)
{
	bool native = p->kind == FASTPATH_XDP_NATIVE;
	const char *mode = native ? "native" : "generic", *others = native ? "tc or xdp_generic" : "tc or af_packet";

	text_add(t, "%s does not take a %s XDP program: ", name, mode);
	switch (error) {
	case ERANGE:
	case EMSGSIZE:
		/* The veth driver looks at the MTU of the other end. */
		text_add(t,
			 "frames may be too large for it (MTU %d; of a veth the other end's counts, and may be %d); "
			 "make "
			 "the MTU smaller, or take driver tc",
			 probe_mtu(p->ifindex), VETH_MTU_MAX);
		break;
	case EOPNOTSUPP:
		text_add(t, "its driver has none; take driver %s", others);
		break;
	case EBUSY:
	case EEXIST:
		text_add(t, "another program is on it; remove that with `ip link set dev %s xdp off`, or end its owner",
			 name);
		break;
	case ENODEV:
	case ENXIO:
		text_add(t, "there is no such device any more");
		break;
	case EINVAL:
		text_add(t,
			 "its driver refuses, perhaps for its features or its number of queues (`dmesg` may say); take "
			 "driver %s",
			 others);
		break;
	default:
		program_explain(t, error);
	}
}

static int refuse_foreign(uint32_t ifindex, char *err, size_t err_len)
{
	int r = probe_foreign_xdp(ifindex, err, err_len);

	if (r == 0)
		r = probe_foreign_tcx(ifindex, err, err_len);
	return r == 0 ? clsact_claim(ifindex, err, err_len) : r;
}

static int attach_xdp(struct fastpath *f, struct fastpath_attached *a, const char *name, char *err, size_t err_len)
{
	struct text t = text_of(err, err_len);
	const struct fastpath_port *p = &a->port;
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = p->kind == FASTPATH_XDP_NATIVE ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
	int r, fd = program_load(f, p, PROGRAM_ENDS_WITH_US, err, err_len);

	if (fd < 0)
		return fd;
	/* As a way out before packets come in. */
	if (bpf_map_update_elem(f->map_fd[FASTPATH_MAP_DEVICES], &p->number, &p->ifindex, BPF_ANY) != 0) {
		r = -errno;
		text_add(&t, "%s cannot be a way out of XDP programs: %s", name, strerror(-r));
		goto out_program;
	}
	r = bpf_link_create(fd, (int)p->ifindex, BPF_XDP, &opts);
	if (r < 0) {
		attach_explain_xdp(&t, name, p, -r);
		(void)bpf_map_delete_elem(f->map_fd[FASTPATH_MAP_DEVICES], &p->number);
		goto out_program;
	}
	a->link_fd = r;
	a->hook = FASTPATH_HOOK_LINK;
	r = 0;
	redirect_drops_open(&f->lost);
	redirect_drops_add(&f->lost, p->ifindex);
out_program:
	(void)close(fd);
	return r;
}

static int attach_clsact(struct fastpath *f, struct fastpath_attached *a, char *err, size_t err_len)
{
	int r = clsact_beat_start(f, err, err_len);
	int fd = r < 0 ? r : program_load(f, &a->port, PROGRAM_STAYS, err, err_len);

	if (fd < 0)
		return fd;
	r = clsact_attach(a->port.ifindex, fd, &a->made_qdisc, err, err_len);
	(void)close(fd);
	if (r == 0)
		a->hook = FASTPATH_HOOK_CLSACT;
	f->had_tc |= r == 0;
	return r;
}

static int attach_tc(struct fastpath *f, struct fastpath_attached *a, enum fastpath_tc tc, const char *name, char *err,
		     size_t err_len)
{
	const struct fastpath_port *p = &a->port;
	LIBBPF_OPTS(bpf_link_create_opts, first, .flags = F_BEFORE);
	int r;

	if (tc == FASTPATH_TC_CLSACT)
		return attach_clsact(f, a, err, err_len);
	int fd = program_load(f, p, PROGRAM_ENDS_WITH_US, err, err_len);
	if (fd < 0)
		return fd;
	r = bpf_link_create(fd, (int)p->ifindex, ATTACH_TCX_INGRESS, &first);
	(void)close(fd);
	if (r == -EINVAL) /* a kernel that does not know it */
		return attach_clsact(f, a, err, err_len);
	if (r < 0) {
		struct text t = text_of(err, err_len);

		text_add(&t, "%s does not take a tc program: ", name);
		program_explain(&t, -r);
		return r;
	}
	a->link_fd = r;
	a->hook = FASTPATH_HOOK_LINK;
	f->had_tc = true;
	return 0;
}

int fastpath_attach_egress(struct fastpath *f, const struct fastpath_port *port, enum fastpath_tc tc, char *err,
			   size_t err_len)
{
	struct text t = text_of(err, err_len);
	char name[16];
	int r;

	if (port->number >= FP_PORTS || f->attached[port->number].hook != FASTPATH_HOOK_NONE) {
		text_add(&t, "interface number %u is %s", port->number,
			 port->number >= FP_PORTS ? "too large for the fast path (at most 255)" : "attached already");
		return -EINVAL;
	}
	probe_ifname(port->ifindex, name);
	r = probe_mac(port->ifindex, f->maps.config->mac[port->number]);
	if (r < 0) {
		text_add(&t, "there is no Ethernet device with index %u: %s", port->ifindex, strerror(-r));
		return r;
	}
	r = refuse_foreign(port->ifindex, err, err_len);
	if (r < 0)
		return r;
	struct fastpath_attached *a = &f->attached[port->number];
	*a = (struct fastpath_attached){ .port = *port, .link_fd = -1 };
	return port->kind == FASTPATH_TC ? attach_tc(f, a, tc, name, err, err_len)
					 : attach_xdp(f, a, name, err, err_len);
}

void fastpath_sweep(const struct fastpath *f, uint32_t ifindex)
{
	for (uint32_t i = 0; f != NULL && i < FP_PORTS; i++)
		if (f->attached[i].hook == FASTPATH_HOOK_CLSACT && f->attached[i].port.ifindex == ifindex)
			return;
	clsact_sweep(ifindex);
}

int fastpath_attach(struct fastpath *f, const struct fastpath_port *port, char *err, size_t err_len)
{
	return fastpath_attach_egress(f, port, FASTPATH_TC_BEST, err, err_len);
}

void fastpath_refresh(struct fastpath *f, uint32_t number)
{
	if (number < FP_PORTS && f->attached[number].hook != FASTPATH_HOOK_NONE)
		(void)probe_mac(f->attached[number].port.ifindex, f->maps.config->mac[number]);
}

void fastpath_detach(struct fastpath *f, uint32_t number)
{
	if (number >= FP_PORTS || f->attached[number].hook == FASTPATH_HOOK_NONE)
		return;
	struct fastpath_attached *a = &f->attached[number];
	if (a->hook == FASTPATH_HOOK_CLSACT)
		clsact_detach(a->port.ifindex, a->made_qdisc);
	else
		(void)close(a->link_fd);
	if (a->port.kind != FASTPATH_TC) {
		(void)bpf_map_delete_elem(f->map_fd[FASTPATH_MAP_DEVICES], &number);
		redirect_drops_remove(&f->lost, a->port.ifindex);
	}
	*a = (struct fastpath_attached){ .hook = FASTPATH_HOOK_NONE };
	memset(f->maps.config->mac[number], 0, sizeof(f->maps.config->mac[number]));
}
