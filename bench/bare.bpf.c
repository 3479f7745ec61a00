// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * The bare fast path that the gateway is compared with: look a flow up in a hash
 * map of the kernel's, translate the source, redirect. It knows no state, no
 * timeouts, no windows, no counters, and sends nothing up.
 *
 * It learns by itself: the first packet of a flow from the client's side enters
 * it in both directions and keeps its port. Two maps, one a direction. As an XDP
 * program and as a tc program, from the same functions.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bare.h"

struct key {
	__be32 src, dst;
	__be16 sport, dport;
	__u32 proto;
};

/* What one direction's packets are changed to. */
struct change {
	__be32 address; /* the source outward, the destination inward */
	__u16 delta;    /* to add to the checksums */
	__u16 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BARE_FLOWS);
	__type(key, struct key);
	__type(value, struct change);
} outward SEC(".maps"), inward SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bare_config);
} config SEC(".maps");

enum where { OUTWARD, INWARD };

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)((sum & 0xffff) + (sum >> 16));
}

static __always_inline __u32 halves(__u32 x)
{
	return (x >> 16) + (x & 0xffff);
}

/* RFC 1624: what replacing an address does to a checksum. */
static __always_inline __u16 delta_of(__be32 from, __be32 to)
{
	return fold(halves(from) + halves(~to));
}

static __always_inline void add(__sum16 *check, __u16 delta)
{
	*check = fold((__u32)*check + delta);
}

static __always_inline void learn(const struct key *key, const struct bare_config *c)
{
	struct change out = { .address = c->outside, .delta = delta_of(key->src, c->outside) };
	struct key back = {
		.src = key->dst, .dst = c->outside, .sport = key->dport, .dport = key->sport, .proto = key->proto
	};
	struct change in = { .address = key->src, .delta = delta_of(c->outside, key->src) };

	bpf_map_update_elem(&inward, &back, &in, BPF_ANY);
	bpf_map_update_elem(&outward, key, &out, BPF_ANY);
}

/* 0: not for us. Else the packet has been rewritten, and goes out by this device. */
static __always_inline __u32 forward(void *data, void *data_end, enum where where)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	__u32 zero = 0;
	struct bare_config *c = bpf_map_lookup_elem(&config, &zero);

	if (!c || (void *)(udp + 1) > data_end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 || ip->ttl < 2)
		return 0;
	__sum16 *check;

	if (ip->protocol == IPPROTO_TCP) {
		if ((void *)(tcp + 1) > data_end)
			return 0;
		check = &tcp->check;
	} else if (ip->protocol == IPPROTO_UDP) {
		check = &udp->check;
	} else {
		return 0;
	}

	struct key key = {
		.src = ip->saddr, .dst = ip->daddr, .sport = udp->source, .dport = udp->dest, .proto = ip->protocol
	};
	struct change *change =
		where == OUTWARD ? bpf_map_lookup_elem(&outward, &key) : bpf_map_lookup_elem(&inward, &key);

	if (!change && where == OUTWARD) {
		learn(&key, c);
		change = bpf_map_lookup_elem(&outward, &key);
	}
	if (!change)
		return 0;
	if (where == OUTWARD)
		ip->saddr = change->address;
	else
		ip->daddr = change->address;
	/* One TTL less, in the header's first byte of that word. */
	ip->ttl--;
	add(&ip->check, fold(change->delta + bpf_htons(0x100)));
	/* A checksum that is left to the device holds the sum of the pseudo-header, not complemented. */
	if (*check || ip->protocol == IPPROTO_TCP)
		add(check, c->partial ? (__u16)~change->delta : change->delta);
	__builtin_memcpy(eth->h_source, c->side[where].src_mac, 6);
	__builtin_memcpy(eth->h_dest, c->side[where].dst_mac, 6);
	return c->side[where].ifindex;
}

static __always_inline int forward_xdp(struct xdp_md *ctx, enum where where)
{
	__u32 ifindex = forward((void *)(long)ctx->data, (void *)(long)ctx->data_end, where);

	return ifindex ? (int)bpf_redirect(ifindex, 0) : XDP_PASS;
}

static __always_inline int forward_tc(struct __sk_buff *skb, enum where where)
{
	__u32 ifindex = forward((void *)(long)skb->data, (void *)(long)skb->data_end, where);

	return ifindex ? (int)bpf_redirect(ifindex, 0) : TC_ACT_OK;
}

static __always_inline int forward_tc_peer(struct __sk_buff *skb, enum where where)
{
	__u32 ifindex = forward((void *)(long)skb->data, (void *)(long)skb->data_end, where);

	return ifindex ? (int)bpf_redirect_peer(ifindex, 0) : TC_ACT_OK;
}

SEC("xdp")
int outward_xdp(struct xdp_md *ctx)
{
	return forward_xdp(ctx, OUTWARD);
}

SEC("xdp")
int inward_xdp(struct xdp_md *ctx)
{
	return forward_xdp(ctx, INWARD);
}

SEC("tc")
int outward_tc(struct __sk_buff *skb)
{
	return forward_tc(skb, OUTWARD);
}

SEC("tc")
int inward_tc(struct __sk_buff *skb)
{
	return forward_tc(skb, INWARD);
}

SEC("tc")
int outward_tc_peer(struct __sk_buff *skb)
{
	return forward_tc_peer(skb, OUTWARD);
}

SEC("tc")
int inward_tc_peer(struct __sk_buff *skb)
{
	return forward_tc_peer(skb, INWARD);
}

char bench_license[] SEC("license") = "Dual BSD/GPL";
