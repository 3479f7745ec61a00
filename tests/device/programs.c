/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The programs of programs.h, written as instructions.
 */
#include "programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <stddef.h>
#include <unistd.h>

#include "base/util.h"
#include "daemon/device/af_xdp.h"

#define LICENSE "Dual BSD/GPL"

static int result(int r)
{
	return r < 0 ? -errno : r;
}

int programs_xsk_map(void)
{
	return result(bpf_map_create(BPF_MAP_TYPE_XSKMAP, "xsks", 4, 4, AF_XDP_QUEUES_MAX, NULL));
}

int programs_xdp_attach(int map_fd, uint32_t ifindex, enum programs_xdp mode)
{
	const struct bpf_insn insns[] = {
		/* r2 = ctx->rx_queue_index */
		{ .code = BPF_LDX | BPF_MEM | BPF_W,
		  .dst_reg = 2,
		  .src_reg = 1,
		  .off = offsetof(struct xdp_md, rx_queue_index) },
		/* r1 = map */
		{ .code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map_fd },
		{ 0 },
		/* return bpf_redirect_map(r1, r2, XDP_DROP) */
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = XDP_DROP },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = mode == PROGRAMS_XDP_NATIVE ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
	int prog = bpf_prog_load(BPF_PROG_TYPE_XDP, "all_up", LICENSE, insns, ARRAY_LEN(insns), NULL);

	if (prog < 0)
		return -errno;
	int link = result(bpf_link_create(prog, (int)ifindex, BPF_XDP, &opts));
	close(prog);
	return link;
}

int programs_tc_attach(uint32_t ifindex, uint32_t up_ifindex)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .imm = (int)up_ifindex },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 0 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_INGRESS);
	int prog = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "all_up", LICENSE, insns, ARRAY_LEN(insns), NULL);

	if (prog < 0)
		return -errno;
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog);
	int r = bpf_tc_hook_create(&hook);
	if (r == 0 || r == -EEXIST)
		r = bpf_tc_attach(&hook, &opts);
	close(prog);
	return r;
}

void programs_tc_detach(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

	(void)bpf_tc_hook_destroy(&hook);
}
