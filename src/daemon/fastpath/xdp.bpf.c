/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
 *
 * The fast path as an XDP program: what forward.bpf.h lets through leaves by the
 * device map, everything else goes to the AF_XDP socket of its queue.
 *
 * A sender on the same machine may leave the transport's checksum to a device
 * that a veth does not have; no mark of that can be read here. The field then
 * holds the sum of the pseudo header. One whole checksum in 65,536 looks like that
 * by chance, and a flow at full speed would fall behind for each of them; so such
 * a packet is summed up: it goes up only if its checksum is wrong as it stands. If
 * it is right, finishing it would give the same value, so it is whole either way.
 *
 * What goes up while nobody takes it (no socket for this queue: the gateway is
 * starting, or going) is dropped and counted: the kernel's own stack must not
 * answer in the gateway's place.
 *
 * Next: the driver of the way out, or src/daemon/device/af_xdp.c
 */
#include "daemon/fastpath/forward.bpf.h"

/* By gateway's interface number. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, FP_PORTS);
} devices SEC(".maps");

/* By port * FP_QUEUES + queue. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, FP_PORTS *FP_QUEUES);
} sockets SEC(".maps");

#define SUM_BYTES 64u
/* The longest packet that is summed up here is 4 KiB, more than a frame of one piece holds. */
#define SUM_TIMES 64

static __always_inline __u32 pseudo_header_sum(const struct fp_view *v)
{
	__u64 sum = (v->m0 & 0xffffffff) + (v->m0 >> 32);

	sum += bpf_htons(v->proto) + (__u32)bpf_htons(v->tot_len - sizeof(struct fp_ip));
	return fp_fold((__u32)((sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32)));
}

static __always_inline bool checksum_is_right(struct xdp_md *ctx, const struct fp_view *v)
{
	__u32 at = FP_L4, end = FP_L3 + v->tot_len;
	__u32 sum = pseudo_header_sum(v);

#pragma clang loop unroll(disable)
	for (int i = 0; i < SUM_TIMES && at < end; i++, at += SUM_BYTES) {
		__u64 piece[SUM_BYTES / sizeof(__u64)] = { 0 };
		/* From 1 to SUM_BYTES, in a form from which the verifier sees it. */
		__u32 n = at + SUM_BYTES <= end ? SUM_BYTES : (end - at - 1) % SUM_BYTES + 1;

		if (bpf_xdp_load_bytes(ctx, at, piece, n) != 0)
			return false;
		sum = (__u32)bpf_csum_diff(NULL, 0, (void *)piece, SUM_BYTES, sum);
	}
	return at >= end && fp_fold(sum) == 0xffff;
}

static __always_inline bool is_partial(struct xdp_md *ctx, const struct fp_view *v)
{
	return pseudo_header_sum(v) == bpf_htons(v->l4_check) && !checksum_is_right(ctx, v);
}

static __always_inline void rewrite_l4_check(void *data, const struct fp_view *v, const struct fp_way *way)
{
	if (way->l4_delta == 0)
		return;
	if (v->proto == FP_PROTO_TCP) {
		((struct fp_tcp *)(data + FP_L4))->check = bpf_htons(fp_mend(v->l4_check, way->l4_delta, 0));
	} else if (v->proto == FP_PROTO_ICMP) {
		((struct fp_icmp *)(data + FP_L4))->check = bpf_htons(fp_mend(v->l4_check, way->l4_delta, 0));
	} else if (v->l4_check != 0) {
		__u16 check = fp_mend(v->l4_check, way->l4_delta, 0);

		/* 0 would say that there is no checksum. */
		((struct fp_udp *)(data + FP_L4))->check = check == 0 ? 0xffff : bpf_htons(check);
	}
}

static __always_inline enum fp_count forward(struct xdp_md *ctx, struct fp_view *v)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct fp_adjacency *by;
	struct fp_way way;
	enum fp_count why;
	__u16 version;

	why = fp_parse(data, data_end, (__u32)(data_end - data), v);
	if (why != FP_FORWARDED)
		return why;
	if (!fp_for_us(data))
		return FP_UP_NOT_PLAIN;
	if (!config.on)
		return FP_UP_NO_FLOW;
	struct fp_flow *f = fp_find(v, &version);
	if (!f)
		return FP_UP_NO_FLOW;
	if (v->proto != FP_PROTO_ICMP && is_partial(ctx, v))
		return fp_up(v, f, version, FP_UP_PARTIAL);
	why = fp_judge(v, f, version, v->tot_len, &way, &by);
	if (why != FP_FORWARDED)
		return why;
	/* Nothing has been changed yet: the device may have gone. */
	if (bpf_redirect_map(&devices, way.port, 0) != XDP_REDIRECT)
		return fp_up(v, f, version, FP_UP_ADJACENCY);
	if (data + (v->proto == FP_PROTO_TCP ? FP_MIN_TCP : FP_MIN) > data_end)
		return FP_UP_STALE; /* never: for the verifier */
	rewrite_l4_check(data, v, &way);
	fp_rewrite(data, v, &way);
	fp_account(v, f, by, fp_tick_now());
	fp_account_frame(v, &way, (__u32)(data_end - data));
	return FP_FORWARDED;
}

SEC("xdp")
int yangguan_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u32 queue = ctx->rx_queue_index;
	struct fp_view v;

	v.stamp = 0;
	enum fp_count what = forward(ctx, &v);
	if (what == FP_FORWARDED || what == FP_UP_OVERLOAD) {
		fp_count_one(what);
		return what == FP_FORWARDED ? XDP_REDIRECT : XDP_DROP;
	}
	if (v.stamp != 0 && data + sizeof(struct fp_eth) <= data_end)
		fp_stamp(data, &v);
	else if (fp_is_forged(data, data_end))
		queue = FP_QUEUES; /* nobody's */
	if (queue >= FP_QUEUES || bpf_redirect_map(&sockets, program.port * FP_QUEUES + queue, 0) != XDP_REDIRECT) {
		fp_count_one(FP_UP_REFUSED);
		return XDP_DROP;
	}
	fp_count_one(what);
	return XDP_REDIRECT;
}

char program_license[] SEC("license") = "Dual BSD/GPL";
