/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Suppressed by a tcx link (Linux 6.6), where the kernel has no nftables: a program of
 * two instructions that says "drop", held on the device by a descriptor of ours,
 * so that it goes with the process however that ends. A program of the fast path
 * goes before it (daemon/fastpath/attach.c) and knows it by its name: a descriptor of the
 * program is kept, since the name of a program that is not open can be asked only with
 * rights that a running gateway has given up.
 */
#include "daemon/device/suppress_priv.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <unistd.h>

/* BPF_TCX_INGRESS: headers and libbpf of Debian 12 are older than it. */
#define ATTACH_TCX_INGRESS ((enum bpf_attach_type)46)

int suppress_tcx_add(uint32_t ifindex, int *prog_fd_out)
{
	const struct bpf_insn drop[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_SHOT },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int prog_fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, SUPPRESS_TCX_NAME, "BSD", drop,
				    sizeof(drop) / sizeof(drop[0]), NULL);

	if (prog_fd < 0)
		return prog_fd;
	int link_fd = bpf_link_create(prog_fd, (int)ifindex, ATTACH_TCX_INGRESS, NULL);
	if (link_fd < 0)
		(void)close(prog_fd);
	else
		*prog_fd_out = prog_fd;
	return link_fd;
}

void suppress_tcx_remove(int link_fd, int prog_fd)
{
	/* Closing alone may take effect a little later. */
	(void)bpf_link_detach(link_fd);
	(void)close(link_fd);
	(void)close(prog_fd);
}
