/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
 *
 * The fast path as a tc program at ingress: what forward.bpf.h lets through is
 * redirected as the socket buffer that it is, with large segments and partial
 * checksums; everything else goes the same way into the gateway's TAP device.
 *
 * Only the kernel knows how the checksum of a buffer stands (whole, partial,
 * summed by the receiver), so the transport's checksum is mended by its helper, in
 * two steps: the addresses, which a partial checksum covers, then the ports, which
 * it does not. The helpers come first, since they can fail; the rest is written
 * directly, and leaves the sum over the IP header and over the ports with their
 * checksum as it was.
 *
 * As a filter that stays when the process goes (a kernel without tcx), the
 * program stands back once the process has given no sign of life for a second, and
 * until it gives one: ticks come round, so an old one looks new some day.
 *
 * Next: the driver of the way out, or src/daemon/device/tap.c
 */
#include "daemon/fastpath/forward.bpf.h"

/* linux/pkt_cls.h has these too, and much that clang for BPF does not find. */
enum { FP_TCP_SEGMENT_MIN = 20 + 48, FP_SEGMENTS_MAX = 65535 / 48 };
enum { FP_TC_NEXT = -1, FP_TC_SHOT = 2, FP_TC_REDIRECT = 7 };

/* Bytes of an IP packet on the wire: of each piece of a large segment. */
static __always_inline __u32 piece_len(const struct __sk_buff *ctx, const struct fp_view *v)
{
	__u32 gso_size = ctx->gso_size;

	if (gso_size == 0)
		return v->tot_len;
	return gso_size + sizeof(struct fp_ip) + (v->proto == FP_PROTO_TCP ? v->tcp_header : sizeof(struct fp_udp));
}

/* Pieces so small, or so many, that only somebody who wants us to work asks for them (src/stack/packet/gso.c). */
static __always_inline bool pieces_odd(const struct __sk_buff *ctx, const struct fp_view *v)
{
	__u32 gso_size = ctx->gso_size;

	return gso_size != 0 && (ctx->gso_segs > FP_SEGMENTS_MAX ||
				 (v->proto == FP_PROTO_TCP && gso_size + v->tcp_header < FP_TCP_SEGMENT_MIN));
}

/* The helper adds what the words became and what they were, less; raw, as they stand in the packet. */
static __always_inline __u64 helper_diff(__u16 delta)
{
	return bpf_htons((__u16)~delta);
}

/* False: nothing has been changed. */
static __always_inline bool mend_l4_check(struct __sk_buff *ctx, const struct fp_view *v, const struct fp_way *way)
{
	__u32 at = FP_L4 + offsetof(struct fp_udp, check);
	__u64 flags = BPF_F_MARK_MANGLED_0;

	if (v->proto == FP_PROTO_ICMP)
		return way->l4_delta == 0 || bpf_l4_csum_replace(ctx, FP_L4 + offsetof(struct fp_icmp, check), 0,
								 helper_diff(way->l4_delta), 0) == 0;
	if (v->proto == FP_PROTO_TCP) {
		at = FP_L4 + offsetof(struct fp_tcp, check);
		flags = 0;
	}
	/* What remains when the addresses are taken off. */
	__u16 ports = (__u16)fp_fold((__u32)way->l4_delta + (__u16)~way->ip_delta);

	if (way->ip_delta != 0 &&
	    bpf_l4_csum_replace(ctx, at, 0, helper_diff(way->ip_delta), flags | BPF_F_PSEUDO_HDR) != 0)
		return false;
	if (ports == 0 || ports == 0xffff || bpf_l4_csum_replace(ctx, at, 0, helper_diff(ports), flags) == 0)
		return true;
	if (way->ip_delta != 0)
		(void)bpf_l4_csum_replace(ctx, at, 0, helper_diff((__u16)~way->ip_delta), flags | BPF_F_PSEUDO_HDR);
	return false;
}

static __always_inline enum fp_count forward(struct __sk_buff *ctx, __u32 tick, struct fp_view *v, struct fp_way *way)
{
	void *data, *data_end;
	struct fp_adjacency *by;
	enum fp_count why;
	__u16 version;

	if (ctx->vlan_present)
		return FP_UP_NOT_IPV4;
	/* Headers may stand in another piece of memory than the one that can be read here. */
	if (ctx->data + FP_MIN_TCP > ctx->data_end && ctx->len > ctx->data_end - ctx->data)
		(void)bpf_skb_pull_data(ctx, ctx->len < FP_MIN_TCP ? ctx->len : FP_MIN_TCP);
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	why = fp_parse(data, data_end, ctx->len, v);
	if (why != FP_FORWARDED)
		return why;
	if (!fp_for_us(data) || pieces_odd(ctx, v))
		return FP_UP_NOT_PLAIN;
	if (!config.on)
		return FP_UP_NO_FLOW;
	struct fp_flow *f = fp_find(v, &version);
	if (!f)
		return FP_UP_NO_FLOW;
	why = fp_judge(v, f, version, piece_len(ctx, v), way, &by);
	if (why != FP_FORWARDED)
		return why;
	if (!mend_l4_check(ctx, v, way))
		return fp_up(v, f, version, FP_UP_STALE);
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + FP_MIN > data_end)
		return FP_UP_REFUSED; /* never: for the verifier */
	fp_rewrite(data, v, way);
	fp_account(v, f, by, tick);
	fp_account_frame(v, way, ctx->len);
	return FP_FORWARDED;
}

/* The clock that ticks are of is coarse: a sign of life may be so far ahead of it. */
#define FP_ALIVE_AHEAD 128u

static __always_inline bool process_gone(__u32 tick)
{
	if (program.alive_ticks == 0)
		return false;
	if (*(const volatile __u32 *)&config.gone)
		return true;
	if (tick - *(const volatile __u32 *)&config.alive + FP_ALIVE_AHEAD <= program.alive_ticks + FP_ALIVE_AHEAD)
		return false;
	*(volatile __u32 *)&config.gone = 1;
	return true;
}

/* Why it goes up or, since nobody takes it, does not. */
static __always_inline enum fp_count goes_up(struct __sk_buff *ctx, enum fp_count why, const struct fp_view *v)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;

	if (v->stamp != 0 && data + sizeof(struct fp_eth) <= data_end)
		fp_stamp(data, v);
	else if (fp_is_forged(data, data_end))
		return FP_UP_REFUSED;
	return program.up_ifindex == 0 ? FP_UP_REFUSED : why;
}

SEC("tc")
int yangguan_tc(struct __sk_buff *ctx)
{
	__u32 tick = fp_tick_now();
	struct fp_way way = { 0 };
	struct fp_view v;

	v.stamp = 0;
	if (process_gone(tick))
		return FP_TC_NEXT;
	enum fp_count what = forward(ctx, tick, &v, &way);
	if (what != FP_FORWARDED)
		what = goes_up(ctx, what, &v);
	fp_count_one(what);
	if (what == FP_FORWARDED)
		return way.how == FP_EGRESS_PEER ? bpf_redirect_peer(way.ifindex, 0) : bpf_redirect(way.ifindex, 0);
	return what == FP_UP_REFUSED || what == FP_UP_OVERLOAD ? FP_TC_SHOT : bpf_redirect(program.up_ifindex, 0);
}

char program_license[] SEC("license") = "Dual BSD/GPL";
