// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * What receives at the server and at the client: counts the generator's frames
 * and takes them out, and lets everything else (ARP) pass. While flows are warmed
 * up the server's turns each frame round and sends it back, and the client's counts
 * replies by flow; or, where nobody is to answer, the server's counts itself.
 *
 * The same as an XDP program, which is the cheapest place to count, and as a tc
 * program, which also sees what another device's tc program handed over
 * (bpf_redirect_peer goes past XDP). One frame in 256 has its checksums verified.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "flow.h"

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

enum what { NOT_OURS, TAKEN, SEND_BACK };

/* Sum of n bytes, an even number, as one's complement with nothing folded away. */
static __always_inline __u32 sum_of(const void *p, int n)
{
	const __u16 *w = p;
	__u32 sum = 0;

	for (int i = 0; i < n / 2; i++)
		sum += w[i];
	return sum;
}

static __always_inline __u32 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static __always_inline int checksums_right(const struct frame *f)
{
	if (fold(sum_of(&f->ip, sizeof(f->ip))) != 0xffff)
		return 0;
	return f->udp.check == 0 ||
	       fold(sum_of(&f->ip.saddr, 8) + bpf_htons(IPPROTO_UDP) + f->udp.len + sum_of(&f->udp, UDP_LEN)) == 0xffff;
}

static __always_inline void turn_round(struct frame *f)
{
	__u8 mac[6];
	__be32 address = f->ip.saddr;
	__be16 port = f->udp.source;

	__builtin_memcpy(mac, f->eth.h_dest, 6);
	__builtin_memcpy(f->eth.h_dest, f->eth.h_source, 6);
	__builtin_memcpy(f->eth.h_source, mac, 6);
	f->ip.saddr = f->ip.daddr;
	f->ip.daddr = address;
	f->udp.source = f->udp.dest;
	f->udp.dest = port;
}

static __always_inline enum what receive(void *data, void *data_end, enum rx_side side)
{
	struct frame *f = data;
	__u32 zero = 0, cpu = bpf_get_smp_processor_id();

	if (data + sizeof(*f) > data_end || f->eth.h_proto != bpf_htons(ETH_P_IP) || f->ip.protocol != IPPROTO_UDP ||
	    f->ip.ihl != 5 || f->payload.magic != bpf_htonl(FLOW_MAGIC))
		return NOT_OURS;

	struct rx *rx = bpf_map_lookup_elem(&rx_map, &zero);

	if (!rx || cpu >= RX_CPUS)
		return NOT_OURS;

	struct rx_slot *slot = &rx->slot[side][cpu];
	__u32 i = bpf_ntohl(f->payload.flow);

	if (i >= FLOWS_FLOOD) {
		slot->n_flood++;
		return TAKEN;
	}
	slot->n_frames++;
	if (!(slot->n_frames & 255) && !checksums_right(f))
		slot->n_bad++;
	if (side == RX_CLIENT) {
		if (i < FLOWS_MAX && rx->replies[i] < 255)
			rx->replies[i]++;
		return TAKEN;
	}
	if ((bpf_ntohl(f->ip.saddr) & 0xffc00000) == FLOW_CLIENTS)
		slot->n_untranslated++;
	if (rx->answer == RX_SEES && i < FLOWS_MAX && rx->replies[i] < 255)
		rx->replies[i]++;
	if (rx->answer != RX_ANSWERS)
		return TAKEN;
	turn_round(f);
	return SEND_BACK;
}

static __always_inline int receive_xdp(struct xdp_md *ctx, enum rx_side side)
{
	switch (receive((void *)(long)ctx->data, (void *)(long)ctx->data_end, side)) {
	case TAKEN:
		return XDP_DROP;
	case SEND_BACK:
		/* XDP_TX would not wake a veth peer that polls for GRO only. */
		return (int)bpf_redirect(ctx->ingress_ifindex, 0);
	default:
		return XDP_PASS;
	}
}

static __always_inline int receive_tc(struct __sk_buff *skb, enum rx_side side)
{
	switch (receive((void *)(long)skb->data, (void *)(long)skb->data_end, side)) {
	case TAKEN:
		return TC_ACT_SHOT;
	case SEND_BACK:
		return (int)bpf_redirect(skb->ifindex, 0);
	default:
		return TC_ACT_OK;
	}
}

SEC("xdp")
int server_xdp(struct xdp_md *ctx)
{
	return receive_xdp(ctx, RX_SERVER);
}

SEC("xdp")
int client_xdp(struct xdp_md *ctx)
{
	return receive_xdp(ctx, RX_CLIENT);
}

SEC("tc")
int server_tc(struct __sk_buff *skb)
{
	return receive_tc(skb, RX_SERVER);
}

SEC("tc")
int client_tc(struct __sk_buff *skb)
{
	return receive_tc(skb, RX_CLIENT);
}

char bench_license[] SEC("license") = "Dual BSD/GPL";
