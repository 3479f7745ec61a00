// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * The generator: an XDP program that BPF_PROG_TEST_RUN runs over frames which
 * then really leave by the client's device. Frames are used again as they came
 * back, changed by whoever handled them, so every byte is written each time.
 *
 * A frame that must wait for its time is dropped here instead, which takes about
 * 20 ns: so a paced run still needs no sleep.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "flow.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gen);
} gen_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rx);
} rx_map SEC(".maps");

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	struct payload payload;
} __attribute__((packed));

_Static_assert(sizeof(struct frame) == FRAME_LEN, "a whole frame");

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

static __always_inline __u32 halves(__u32 x)
{
	return (x >> 16) + (x & 0xffff);
}

static __always_inline void write_frame(struct frame *f, const struct gen *g, __u32 i, __u16 seq)
{
	struct flow flow;

	flow_of(g->set, i, &flow);
	__builtin_memcpy(f->eth.h_dest, g->dst_mac, 6);
	__builtin_memcpy(f->eth.h_source, g->src_mac, 6);
	f->eth.h_proto = bpf_htons(ETH_P_IP);

	__u32 addresses = halves(flow.src) + halves(flow.dst);
	__u16 total = FRAME_LEN - sizeof(f->eth);

	f->ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tot_len = bpf_htons(total),
		.id = bpf_htons(seq),
		.ttl = 64,
		.protocol = IPPROTO_UDP,
		.saddr = bpf_htonl(flow.src),
		.daddr = bpf_htonl(flow.dst),
		.check = bpf_htons(fold(0x4500 + total + seq + (64 << 8 | IPPROTO_UDP) + addresses)),
	};

	__u16 sum = fold(addresses + IPPROTO_UDP + 2 * UDP_LEN + flow.sport + flow.dport + halves(FLOW_MAGIC) +
			 halves(i) + seq);

	f->udp = (struct udphdr){
		.source = bpf_htons(flow.sport),
		.dest = bpf_htons(flow.dport),
		.len = bpf_htons(UDP_LEN),
		.check = bpf_htons(sum ?: 0xffff),
	};
	f->payload = (struct payload){
		.magic = bpf_htonl(FLOW_MAGIC),
		.flow = bpf_htonl(i),
		.seq = bpf_htons(seq),
	};
}

/* How many packets at this rate should have been sent by now. */
static __always_inline __u64 due(const struct gen *g, __u32 rate_pps)
{
	return (bpf_ktime_get_ns() - g->start_ns) / 1000 * rate_pps / 1000000;
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	struct frame *f = data;
	__u32 zero = 0, i;
	struct gen *g = bpf_map_lookup_elem(&gen_map, &zero);
	struct rx *rx = bpf_map_lookup_elem(&rx_map, &zero);

	if (!g || !rx || data + sizeof(*f) > (void *)(long)ctx->data_end || g->n_turns >= g->limit_turns ||
	    g->n_sent >= g->limit)
		return XDP_DROP;

	__u32 seq = g->seq++;

	/* The clock is asked for every 16th frame only. A flood that is behind its time gets every other frame. */
	if (g->flood_pps) {
		if (!(seq & 15))
			g->flood_owed = due(g, g->flood_pps);
		if (seq & 1 && g->n_flood < g->flood_owed) {
			write_frame(f, g, FLOWS_FLOOD + (__u32)g->n_flood, (__u16)seq);
			g->n_flood++;
			return bpf_redirect(g->ifindex, 0);
		}
	}
	if (g->rate_pps && g->n_sent >= due(g, g->rate_pps))
		return XDP_DROP;
	if (g->order == GEN_RANDOM) {
		g->lcg = g->lcg * 1664525 + 1013904223;
		i = (__u32)((__u64)g->lcg * g->n_flows >> 32);
		g->n_turns++;
	} else {
		g->n_turns++;
		i = (__u32)(g->position++ % g->n_flows);
		if (rx->replies[i & (FLOWS_MAX - 1)] >= g->wanted)
			return XDP_DROP;
	}
	write_frame(f, g, i, (__u16)seq);
	g->n_sent++;
	return bpf_redirect(g->ifindex, 0);
}

char bench_license[] SEC("license") = "Dual BSD/GPL";
