/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
 *
 * Counts frames of our devices that were lost after the XDP program had sent them
 * on: a redirect is carried out later, and a device may refuse it then. The
 * kernel tells by its tracepoints only.
 *
 * What an AF_XDP socket did not take for want of room it counts itself, and that
 * is left to it.
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

#include "daemon/fastpath/program.h"

/* What is needed of the kernel's structures; where it stands is found at load time. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct ns_common {
	unsigned int inum;
};
struct net {
	struct ns_common ns;
};
typedef struct {
	struct net *net;
} possible_net_t;
struct net_device {
	possible_net_t nd_net;
	int ifindex;
};
#pragma clang attribute pop

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct fp_device);
	__type(value, __u32);
	__uint(max_entries, 1024);
} ours SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
} lost SEC(".maps");

/* errno values of a frame that came from another queue than its socket's, and of a socket that is going. */
#define LOST_EINVAL 22
#define LOST_ENXIO 6

static __always_inline int count(const struct net_device *dev, __u64 n)
{
	struct fp_device key = { 0 };
	__u32 zero = 0;

	if (!dev)
		return 0;
	key.netns = dev->nd_net.net->ns.inum;
	key.ifindex = (__u32)dev->ifindex;
	if (bpf_map_lookup_elem(&ours, &key)) {
		__u64 *sum = bpf_map_lookup_elem(&lost, &zero);

		if (sum)
			*sum += n;
	}
	return 0;
}

/* from_dev, to_dev, sent, drops, err */
SEC("tp_btf/xdp_devmap_xmit")
int yangguan_xmit(__u64 *ctx)
{
	int drops = (int)ctx[3];

	return drops > 0 ? count((const struct net_device *)ctx[0], (__u32)drops) : 0;
}

/* dev, xdp, tgt, err, map_type, map_id, index */
SEC("tp_btf/xdp_redirect_err")
int yangguan_err(__u64 *ctx)
{
	int err = (int)ctx[3];

	if ((__u32)ctx[4] == BPF_MAP_TYPE_XSKMAP && err != -LOST_EINVAL && err != -LOST_ENXIO)
		return 0;
	return count((const struct net_device *)ctx[0], 1);
}

/* dev, xdp, act: of our devices only generic XDP's sending reports XDP_TX, which the program never asks for */
SEC("tp_btf/xdp_exception")
int yangguan_exc(__u64 *ctx)
{
	return (__u32)ctx[2] == XDP_TX ? count((const struct net_device *)ctx[0], 1) : 0;
}

char program_license[] SEC("license") = "Dual BSD/GPL";
