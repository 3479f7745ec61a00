/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
 *
 * What the XDP and the tc program have in common: is this a packet that the
 * kernel may forward by itself, and if so, how does it leave.
 *
 * A packet is judged whole before a byte of it, or of its flow, is changed:
 *   fp_parse    plain? Ethernet, IPv4, TCP, UDP or ICMP echo, nothing unusual
 *   fp_find     its flow, copied and then seen to be whole and up to date
 *   fp_judge    nothing of the flow still in user space, inside the TCP window, a usable way out that it fits
 * and only then rewritten, counted (fp_account) and redirected. Whatever says no
 * names the counter (enum fp_count), and the packet goes up as it came.
 *
 * fp_flow and fp_bucket are read in words of 64 bits: one load of the key's second
 * half brings the version with it. This, and `up` being counted by an addition to
 * the word that it shares with `handled` (there is no smaller one), is for machines
 * that keep the low half first.
 */
#ifndef YG_DAEMON_FASTPATH_FORWARD_BPF_H
#define YG_DAEMON_FASTPATH_FORWARD_BPF_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "daemon/fastpath/layout.h"
#include "daemon/fastpath/program.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the fast path's programs are for little-endian machines"
#endif

/* Maps are made by the loader, which fixes how many entries they have. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct fp_bucket);
	__uint(max_entries, 1);
} bucket SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct fp_flow);
	__uint(max_entries, 1);
} flow SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct fp_adjacency);
	__uint(max_entries, 1);
} adjacency SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, FP_N_COUNTS);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, FP_PORTS *FP_N_PADDINGS);
} padding SEC(".maps");

struct fp_config config SEC(".data.config");

/* Filled in by the loader for each device; constants to the verifier. */
const volatile struct fp_program program SEC(".rodata.program");

#define FP_ETH_P_IP 0x0800
#define FP_ETH_ZLEN 60
#define FP_IP_MF_OFFSET 0x3fff
#define FP_ICMP_ECHO_REPLY 0
#define FP_ICMP_ECHO 8
#define FP_TCP_FIN_SYN_RST_URG 0x27
#define FP_TCP_ACK 0x10

enum { FP_PROTO_ICMP = 1, FP_PROTO_TCP = 6, FP_PROTO_UDP = 17 };

struct fp_eth {
	__u8 dst[6], src[6];
	__be16 type;
};

struct fp_ip {
	__u8 version_ihl, tos;
	__be16 tot_len, id, frag_off;
	__u8 ttl, proto;
	__be16 check;
	__be32 src, dst;
};

/* Enough of each: ports or ICMP's type, code, checksum and identifier stand in the first 8 bytes. */
struct fp_udp {
	__be16 sport, dport, len, check;
};

struct fp_icmp {
	__be16 type_code, check, id, sequence;
};

struct fp_tcp {
	__be16 sport, dport;
	__be32 seq, ack;
	__u8 doff, flags;
	__be16 win, check, urgent;
};

#define FP_L3 sizeof(struct fp_eth)
#define FP_L4 (FP_L3 + sizeof(struct fp_ip))
/* The shortest that is looked at: with UDP or ICMP, and with TCP. */
#define FP_MIN (FP_L4 + sizeof(struct fp_udp))
#define FP_MIN_TCP (FP_L4 + sizeof(struct fp_tcp))

/* What fp_parse saw. */
struct fp_view {
	__u64 m0, m1; /* the key as fp_hash_flow has it */
	__u8 proto;
	bool plain_flags; /* false: a packet of TCP that user space must see, but which has a flow */
	__u16 tot_len;
	__u16 ip_check, l4_check; /* as they stand, in the host's order */
	__u32 seq, end, ack;
	__u16 win;
	__u16 tcp_header; /* bytes */
	__u32 ref;        /* of its flow, when that was found */
	/* It goes up and its flow knows: to be written into the frame; 0: it has none. */
	__u64 stamp;
};

/* The way out, copied. */
struct fp_way {
	__u64 addrs; /* new source, destination << 32 */
	__u32 ports; /* new source, destination << 16 */
	__u16 ip_delta, l4_delta;
	__u64 header0; /* of Ethernet: bytes 0 to 7 */
	__u32 header1; /* and 8 to 11 */
	__u32 ifindex;
	__u8 how, port;
};

static __always_inline void fp_count_one(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&counters, &what);

	if (n)
		++*n;
}

/* Reading the clock costs as much as a look-up, reading the jiffies nothing. */
static __always_inline __u32 fp_tick_now(void)
{
	__u64 clock = *(const volatile __u64 *)&config.clock;
	__u32 jiffy = (__u32)bpf_jiffies64();

	if ((__u32)(clock >> 32) != jiffy) {
		clock = (__u64)jiffy << 32 | fp_tick_of(bpf_ktime_get_coarse_ns());
		*(volatile __u64 *)&config.clock = clock;
	}
	return (__u32)clock;
}

/* What was read before is not read again after this. */
static __always_inline void fp_read_barrier(void)
{
#if defined(__TARGET_ARCH_x86)
	/* The machine reads in order; the compiler must too. */
	asm volatile("" ::: "memory");
#else
	__u64 word = 0;

	/* An addition that returns the old value is a full barrier. */
	(void)__sync_fetch_and_add(&word, 1);
	asm volatile("" : : "r"(word) : "memory");
#endif
}

static __always_inline __u32 fp_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* RFC 1624 equation 3: never ends in the zero that the slow path would not write. extra: more to add, complemented. */
static __always_inline __u16 fp_mend(__u16 check, __u16 delta, __u32 extra)
{
	return (__u16)~fp_fold((__u32)(__u16)~check + (__u16)~delta + extra);
}

static __always_inline bool fp_ip_check_ok(const struct fp_ip *ip)
{
	const __u32 *w = (const __u32 *)ip;
	__u64 sum = (__u64)w[0] + w[1] + w[2] + w[3] + w[4];

	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	return fp_fold((__u32)sum) == 0xffff;
}

/* FP_FORWARDED so far: v is filled in. frame_len may be more than stands between data and data_end. */
static __always_inline enum fp_count fp_parse(const void *data, const void *data_end, __u32 frame_len,
					      struct fp_view *v)
{
	const struct fp_eth *eth = data;
	const struct fp_ip *ip = data + FP_L3;
	const struct fp_udp *udp = data + FP_L4;

	if (data + FP_MIN > data_end)
		return FP_UP_NOT_IPV4;
	if (eth->type != bpf_htons(FP_ETH_P_IP))
		return FP_UP_NOT_IPV4;
	v->tot_len = bpf_ntohs(ip->tot_len);
	v->proto = ip->proto;
	v->plain_flags = true;
	v->stamp = 0;
	if (ip->version_ihl != 0x45 || (ip->frag_off & bpf_htons(FP_IP_MF_OFFSET)) || ip->ttl <= 1 ||
	    v->tot_len + FP_L3 > frame_len || v->tot_len < FP_MIN - FP_L3)
		return FP_UP_NOT_PLAIN;
	/* Bytes behind the packet are there to fill the shortest frame, or are strange. */
	if (v->tot_len + FP_L3 != frame_len && frame_len > FP_ETH_ZLEN)
		return FP_UP_NOT_PLAIN;
	if (!fp_ip_check_ok(ip))
		return FP_UP_NOT_PLAIN;
	v->ip_check = bpf_ntohs(ip->check);
	v->m0 = (__u64)ip->src | (__u64)ip->dst << 32;
	v->m1 = (__u64)v->proto << 32 | (__u64)program.port << 40;
	if (v->proto == FP_PROTO_UDP) {
		if (bpf_ntohs(udp->len) != v->tot_len - sizeof(struct fp_ip))
			return FP_UP_NOT_PLAIN;
		v->l4_check = bpf_ntohs(udp->check);
		v->m1 |= (__u64)udp->sport | (__u64)udp->dport << 16;
	} else if (v->proto == FP_PROTO_TCP) {
		const struct fp_tcp *tcp = data + FP_L4;

		if (data + FP_MIN_TCP > data_end)
			return FP_UP_NOT_PLAIN;
		v->tcp_header = (tcp->doff >> 4) * 4;
		if (v->tcp_header < sizeof(*tcp) || v->tcp_header + sizeof(*ip) > v->tot_len)
			return FP_UP_NOT_PLAIN;
		v->plain_flags = (tcp->flags & (FP_TCP_FIN_SYN_RST_URG | FP_TCP_ACK)) == FP_TCP_ACK;
		v->seq = bpf_ntohl(tcp->seq);
		v->end = v->seq + v->tot_len - sizeof(*ip) - v->tcp_header;
		v->ack = bpf_ntohl(tcp->ack);
		v->win = bpf_ntohs(tcp->win);
		v->l4_check = bpf_ntohs(tcp->check);
		v->m1 |= (__u64)tcp->sport | (__u64)tcp->dport << 16;
	} else if (v->proto == FP_PROTO_ICMP) {
		const struct fp_icmp *icmp = data + FP_L4;

		if (icmp->type_code != bpf_htons(FP_ICMP_ECHO << 8) && icmp->type_code != FP_ICMP_ECHO_REPLY)
			return FP_UP_NOT_PLAIN;
		v->l4_check = bpf_ntohs(icmp->check);
		v->m1 |= (__u64)icmp->id | (__u64)icmp->type_code << 16;
	} else {
		return FP_UP_NOT_PLAIN;
	}
	return FP_FORWARDED;
}

/* False for what a device in promiscuous mode hears of others, for broadcast and multicast, and for what claims to
 * come from a group. */
static __always_inline bool fp_for_us(const void *data)
{
	const __u8 *mac = config.mac[program.port & (FP_PORTS - 1)];

	return *(const __u32 *)data == *(const __u32 *)mac && *(const __u16 *)(data + 4) == *(const __u16 *)(mac + 4) &&
	       (*(const __u8 *)(data + 6) & 1) == 0;
}

/* One bit for each of the four tags that equals tag, at 15, 31, 47 or 63. A tag above an equal one may be marked too;
 * the key is compared in any case. */
static __always_inline __u64 fp_tags_equal(__u64 tags, __u16 tag)
{
	const __u64 ones = 0x0001000100010001ull;
	__u64 x = tags ^ tag * ones;

	return (x - ones) & ~x & ones << 15;
}

/* From the lowest bit of hits to the number of the tag: the product has it on top. Tag k is at 16 * k, tag 4 + k at
 * 16 * k + 8. */
#define FP_SLOT_OF (4ull << 53 | 1ull << 45 | 5ull << 37 | 2ull << 29 | 6ull << 21 | 3ull << 13 | 7ull << 5)

/* The flow of the key, or NULL; *version as it was when the key was compared. */
static __always_inline struct fp_flow *fp_find(struct fp_view *v, __u16 *version)
{
	__u64 hash = fp_hash((const __u64 *)config.key, v->m0, v->m1);
	__u32 mask = config.bucket_mask;
	__u32 at = fp_bucket_of(hash, mask);
	__u16 tag = fp_tag_of(hash);

#pragma clang loop unroll(disable)
	for (int i = 0; i < FP_CHAIN_MAX; i++) {
		struct fp_bucket *b = bpf_map_lookup_elem(&bucket, &at);

		if (!b)
			return NULL;
		const __u64 *tags = (const __u64 *)b->tag;
		__u64 hits = fp_tags_equal(tags[0], tag) >> 15 | fp_tags_equal(tags[1], tag) >> 7;

#pragma clang loop unroll(disable)
		for (int j = 0; j < FP_BUCKET_SLOTS && hits != 0; j++) {
			__u32 slot = (__u32)((hits & -hits) * FP_SLOT_OF >> 61);
			__u32 ref = b->ref[slot];
			struct fp_flow *f = bpf_map_lookup_elem(&flow, &ref);

			hits &= hits - 1;
			if (!f)
				continue;
			/* The version first: whatever is read after it is looked at again with it (fp_judge). */
			const volatile __u64 *key = (const volatile __u64 *)f;
			__u64 k1 = key[1];
			if ((k1 & 0xffffffffffffull) != v->m1)
				continue;
			fp_read_barrier();
			if (key[0] == v->m0) {
				v->ref = ref;
				*version = (__u16)(k1 >> 48);
				return f;
			}
		}
		at = b->next;
		if (at == 0)
			return NULL;
		at += mask;
	}
	return NULL;
}

/* A packet of f, seen with this version, goes up for this reason: it gets its number. Words of 16 bits. */
static __always_inline enum fp_count fp_up(struct fp_view *v, struct fp_flow *f, __u16 version, enum fp_count why)
{
	/* `up` is the upper half of the word that begins with `handled`. */
	__u32 word = *(volatile __u32 *)&f->handled;

	if ((__u16)((word >> 16) - word) >= FP_UP_MAX)
		return FP_UP_OVERLOAD;
	word = __sync_fetch_and_add((__u32 *)&f->handled, 0x10000u) + 0x10000u;
	v->stamp = config.stamp_mark | (__u64)version << 16 | (__u64)(word >> 16) << 32;
	return why;
}

/* A packet of a flow that loses most on the way up, and is not its turn. */
static __always_inline bool fp_drains(struct fp_flow *f)
{
	__u32 tick;

	if ((*(volatile __u32 *)&f->tcp_win & FP_DRAIN) == 0)
		return false;
	tick = fp_tick_now();
	/* Another CPU's clock may be a little ahead. */
	if ((__s32)(tick - f->last_seen) < (__s32)FP_DRAIN_TICKS)
		return true;
	f->last_seen = tick;
	return false;
}

/* Into the frame that goes up, over our own address. */
static __always_inline void fp_stamp(void *data, const struct fp_view *v)
{
	*(__u32 *)data = (__u32)v->stamp;
	*(__u16 *)(data + 4) = (__u16)(v->stamp >> 32);
}

/* A frame that came with our mark on it. Nobody but the program writes one: whoever tried all that there are would be
 * taken for it by whoever takes the stamp off. */
static __always_inline bool fp_is_forged(const void *data, const void *data_end)
{
	return data + sizeof(struct fp_eth) <= data_end && config.stamp_mark != 0 &&
	       *(const __u16 *)data == (__u16)config.stamp_mark;
}

/* Of a mark: the field may have been rounded down. */
static __always_inline __u32 fp_tcp_window(__u32 tcp_win)
{
	return ((tcp_win & 0xffff) + 1) << (tcp_win >> FP_TCP_SCALE_SHIFT & FP_TCP_SCALE_MAX);
}

/* Out of the windows, as conntrack has them: beyond what the receiver allows, behind what it may still want,
 * acknowledging what was never sent, or what was acknowledged long ago. */
static __always_inline bool fp_tcp_off(const struct fp_view *v, const struct fp_flow *f)
{
	__u32 number = v->ref ^ 1, own = f->tcp_win;
	const struct fp_flow *other = bpf_map_lookup_elem(&flow, &number);

	if (own & FP_TCP_LIBERAL)
		return v->end - f->tcp_end + FP_TCP_FAR > 2 * FP_TCP_FAR ||
		       v->ack - f->tcp_ack + FP_TCP_FAR > 2 * FP_TCP_FAR;
	if (!other)
		return true;
	__u32 window = fp_tcp_window(other->tcp_win), ack_window = fp_tcp_window(own);
	if (ack_window < FP_TCP_ACK_WINDOW)
		ack_window = FP_TCP_ACK_WINDOW;
	return (__s32)(other->tcp_ack + window - v->end) < 0 || (__s32)(v->end - f->tcp_end + window) < 0 ||
	       other->tcp_end - v->ack > ack_window;
}

/* FP_FORWARDED, and *way is filled in; else the packet goes up, and the flow knows that it did. */
static __always_inline enum fp_count fp_judge(struct fp_view *v, struct fp_flow *f, __u16 version, __u32 packet_len,
					      struct fp_way *way, struct fp_adjacency **by)
{
	const volatile __u64 *w = (const volatile __u64 *)f;
	enum fp_count why;

	fp_read_barrier();
	way->addrs = w[2];
	__u64 ports = w[3], rest = w[4];
	fp_read_barrier();
	if ((version & 1) || *(const volatile __u16 *)&f->version != version)
		return FP_UP_STALE;

	way->ports = (__u32)ports;
	way->ip_delta = (__u16)(ports >> 32);
	way->l4_delta = (__u16)(ports >> 48);
	__u32 number = (__u16)rest;
	struct fp_adjacency *a = bpf_map_lookup_elem(&adjacency, &number);
	*by = a;
	why = FP_UP_NOT_PLAIN;
	if (!v->plain_flags)
		goto up;
	why = FP_UP_BEHIND;
	if ((__u16)(rest >> 32) != (__u16)(rest >> 48)) {
		if (v->proto == FP_PROTO_UDP && fp_drains(f))
			return FP_UP_OVERLOAD;
		goto up;
	}
	why = FP_UP_WINDOW;
	if (v->proto == FP_PROTO_TCP && fp_tcp_off(v, f))
		goto up;
	why = FP_UP_ADJACENCY;
	if (!a)
		goto up;
	__u32 a_version = *(volatile __u32 *)&a->version;
	fp_read_barrier();
	way->header0 = *(volatile __u64 *)a;
	__u64 header1 = ((volatile __u64 *)a)[1];
	way->header1 = (__u32)header1;
	way->how = (__u8)(header1 >> 48);
	way->port = (__u8)(header1 >> 56);
	__u64 next = ((volatile __u64 *)a)[2];
	fp_read_barrier();
	if (way->how == FP_EGRESS_UP || way->how > program.how_max || (a_version & 1) ||
	    *(volatile __u32 *)&a->version != a_version)
		goto up;
	/* Read with the way out itself: its number is another neighbour's only with another generation. */
	why = FP_UP_STALE;
	if ((__u16)(rest >> 16) != (__u16)(next >> 48))
		goto up;
	way->ifindex = (__u32)next;
	why = FP_UP_TOO_BIG;
	if (packet_len > (__u16)(next >> 32))
		goto up;
	/* The one checksum that mending cannot get right: an ICMP message of nothing but zeros. */
	why = FP_UP_NOT_PLAIN;
	if (v->proto == FP_PROTO_ICMP && way->l4_delta != 0 && fp_mend(v->l4_check, way->l4_delta, 0) == 0)
		goto up;
	return FP_FORWARDED;
up:
	return fp_up(v, f, version, why);
}

static __always_inline void fp_count_padding(__u32 port, enum fp_padding which, __u32 bytes)
{
	__u32 key = port * FP_N_PADDINGS + which;
	__u64 *n = bpf_map_lookup_elem(&padding, &key);

	if (n)
		*n += bytes;
}

/* A frame of this length goes out as it came. */
static __always_inline void fp_account_frame(const struct fp_view *v, const struct fp_way *way, __u32 frame_len)
{
	__u32 bytes = frame_len - FP_L3 - v->tot_len;

	if (bytes == 0)
		return;
	fp_count_padding(program.port, FP_PADDING_IN, bytes);
	fp_count_padding(way->port, FP_PADDING_OUT, bytes);
}

/* The packet is as good as gone: counters and marks of its flow. */
static __always_inline void fp_account(const struct fp_view *v, struct fp_flow *f, struct fp_adjacency *a, __u32 tick)
{
	__sync_fetch_and_add((__u64 *)&f->packets, (__u64)v->tot_len << 32 | 1);
	f->last_seen = tick;
	if (v->proto == FP_PROTO_TCP) {
		__u32 win = f->tcp_win;

		if ((__s32)(v->end - f->tcp_end) > 0)
			f->tcp_end = v->end;
		if ((__s32)(v->ack - f->tcp_ack) > 0)
			f->tcp_ack = v->ack;
		if ((__u16)win < v->win)
			f->tcp_win = (win & 0xffff0000u) | v->win;
	}
	if (a->last_used != tick)
		a->last_used = tick;
}

/* Everything but the transport's checksum. data holds FP_MIN bytes. */
static __always_inline void fp_rewrite(void *data, const struct fp_view *v, const struct fp_way *way)
{
	struct fp_ip *ip = data + FP_L3;
	__u32 *addrs = (__u32 *)&ip->src;

	((__u32 *)data)[0] = (__u32)way->header0;
	((__u32 *)data)[1] = (__u32)(way->header0 >> 32);
	((__u32 *)data)[2] = way->header1;
	/* One less of TTL is 0x0100 less in its word. */
	ip->check = bpf_htons(fp_mend(v->ip_check, way->ip_delta, 0xfeff));
	ip->ttl--;
	addrs[0] = (__u32)way->addrs;
	addrs[1] = (__u32)(way->addrs >> 32);
	if (v->proto == FP_PROTO_ICMP)
		((struct fp_icmp *)(data + FP_L4))->id = (__u16)way->ports;
	else
		*(__u32 *)(data + FP_L4) = way->ports;
}

#endif
