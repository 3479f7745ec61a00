/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
 *
 * The memory that the kernel's program and user space share: what stands where
 * in the maps. Both sides are compiled from this file.
 *
 * All maps here are arrays that user space maps into its memory, so putting a
 * flow in or reading its counters is no system call. The flow table is a table of
 * our own over two of them: buckets of one cache line (tags and references), and
 * one cache line a direction of each connection. A packet thus costs two misses.
 *
 * Who writes what. A flow's first part is user space's, and is written while no
 * bucket refers to it, or with `version` odd; its last part is the program's of
 * that direction. The program copies what it needs, then looks at `version` again:
 * a torn or stale read sends the packet up, never wrong and never away.
 *
 * No overtaking. While packets of a flow may still be on their way through user
 * space, the next ones follow them. The program numbers in `up` those that it
 * sends up, every packet whose flow it found, and writes the number into the frame
 * in the place of our own Ethernet address (stack/packet/stamp.h), with the version of
 * the flow, so that no number of another flow that had this place before is taken
 * for one of this. What goes up comes in order or not at all. So when user space
 * has dealt with number n, all up to n have come out or are lost: `handled` is n,
 * and only while it equals `up` is a packet forwarded here. Fragments, packets with
 * IP options or TTL 1 go up without a number. A flow begins with `handled` one less
 * than `up`: what went up before it was there stands before its first number.
 *
 * A flow of datagrams that is faster than user space would never have nothing on
 * its way, and lose most there. So one that user space sees losing (FP_DRAIN) sends
 * up a packet every FP_DRAIN_TICKS and drops the rest: when that one has come out,
 * nothing is on its way. TCP has its own means to wait, and is left to them.
 *
 * A number must not come round while the one before it waits: FP_UP_MAX ahead of
 * `handled`, which is many times what any queue holds, the program drops.
 *
 * Several cores share the maps. Each has a range of connections and a range of
 * adjacencies to itself, and writes nothing else but buckets, behind a lock for
 * each chain that the program does not know of (flow_map.c).
 *
 * Void: a flow is good while its generation is that of its way out. A core that
 * gives an adjacency's number to another neighbour moves that one's generation on;
 * one that takes back all of its flows at once, that of each of its adjacencies.
 *
 * Taking a flow out: clear its bucket's slot, then wait a tick or two before the
 * line is read for the last time or rewritten: a program may still be at it.
 *
 * Numbers are in the host's order but where a name ends in _be.
 */
#ifndef YG_DAEMON_FASTPATH_LAYOUT_H
#define YG_DAEMON_FASTPATH_LAYOUT_H

#include <linux/types.h>

#define FP_BUCKET_SLOTS 8
#define FP_REF_NONE 0xffffffffu
#define FP_CHAIN_MAX 4 /* buckets that a look-up reads, the home bucket included */

struct fp_bucket {
	__u16 tag[FP_BUCKET_SLOTS]; /* 0: free */
	__u32 ref[FP_BUCKET_SLOTS]; /* of flows: connection << 1 | direction */
	__u32 next;                 /* number of an overflow bucket + 1 (behind the home buckets), 0: none */
	__u32 reserved[3];
} __attribute__((aligned(64)));

struct fp_flow {
	/* the packet as it comes */
	__u32 src_be, dst_be;
	__u16 sport_be, dport_be; /* ICMP echo: the identifier in sport_be, type << 8 | code in dport_be */
	__u8 proto;
	__u8 in_port;  /* gateway's interface number */
	__u16 version; /* odd: being written */
	/* as it leaves */
	__u32 new_src_be, new_dst_be;
	__u16 new_sport_be, new_dport_be;
	/* To add, one's complement (the old words less the new ones), to the value of a checksum field in the host's
	 * order; 0: leave it alone. */
	__u16 ip_delta; /* IP header: addresses; not the TTL */
	__u16 l4_delta; /* whole checksum of TCP, UDP: addresses and ports; ICMP: the identifier */
	__u16 adjacency;
	__u16 generation; /* fp_adjacency.generation when it was written */
	__u16 handled;    /* user space's */
	/* the program's */
	__u16 up;
	/* Of IP packets as they came. One addition to both as one number of 64 bits, bytes above: read them as one and
	 * take differences of the whole (fp_flow_counts), and they are exact however they wrap. */
	__u32 packets, bytes;
	__u32 last_seen; /* fp_tick_of() */
	/* Marks: start as user space set them. A segment is judged by those of both directions, as conntrack judges it
	 * (gateway/conntrack/tcp_window.c); so marks go no further than its windows do, whoever sends. tcp_win is the
	 * largest window field so far; its upper half is user space's: FP_TCP_SCALE and FP_TCP_LIBERAL. */
	__u32 tcp_end, tcp_ack, tcp_win;
} __attribute__((aligned(64)));

/* packets in the lower half, bytes in the upper. */
static inline __u64 fp_flow_counts(const struct fp_flow *f)
{
	return *(const volatile __u64 *)(const volatile void *)&f->packets;
}

enum fp_egress {
	FP_EGRESS_UP,       /* packets go up: not resolved, or device down */
	FP_EGRESS_REDIRECT, /* out of ifindex */
	FP_EGRESS_SEND,     /* the same, but its driver takes no redirected frames: native XDP sends packets for it up,
			    generic     XDP and tc send them as any packet is sent */
	FP_EGRESS_PEER,     /* tc: into the peer of ifindex (bpf_redirect_peer) */
};
/* A program takes the ways up to its own (fp_program.how_max). */

struct fp_adjacency {
	__u8 header[14];
	__u8 how;         /* enum fp_egress */
	__u8 port;        /* gateway's interface number */
	__u32 ifindex;    /* the kernel's */
	__u16 mtu;        /* bytes of IP packet */
	__u16 generation; /* of flows that may leave by it */
	__u32 last_used;  /* fp_tick_of(), the program's */
	__u32 version;    /* odd: being written */
};

#define FP_PORTS 256
#define FP_QUEUES 64

struct fp_config {
	__u64 key[2];      /* of fp_hash, random */
	__u32 bucket_mask; /* home buckets - 1 */
	__u32 on;          /* 0: everything goes up */
	/* The loader's own: */
	__u32 alive; /* tick of the last sign of life, for programs that stay when the process goes */
	__u32 gone;  /* set by such a program that saw none for too long, cleared with each */
	/* The programs' own: */
	__u64 clock;      /* a jiffy << 32 | the tick then: the kernel is asked for the time once a jiffy */
	__u32 stamp_mark; /* in the lower half, see stack/packet/stamp.h; 0: none */
	__u32 reserved[3];
	__u8 mac[FP_PORTS][8]; /* the Ethernet address of each port: what is for others is not forwarded */
} __attribute__((aligned(64)));

/* Ticks of 2^20 ns (about a millisecond) of CLOCK_MONOTONIC; they wrap after 52 days. */
#define FP_TICK_SHIFT 20

static inline __u32 fp_tick_of(__u64 monotonic_ns)
{
	return (__u32)(monotonic_ns >> FP_TICK_SHIFT);
}

#define FP_UP_MAX 0xf000u
/* Of UDP, in tcp_win, which it has no other use for. */
#define FP_DRAIN 1u
#define FP_DRAIN_TICKS 64u

/* tcp_win: by how much the window field is shifted; and that windows are not known (a connection that was seen from the
 * middle on): then a segment may be FP_TCP_FAR off. */
#define FP_TCP_SCALE_SHIFT 16
#define FP_TCP_SCALE_MAX 15u
#define FP_TCP_LIBERAL 0x80000000u
#define FP_TCP_FAR (1u << 24)
/* Segments may overtake each other by so many bytes of acknowledgement, however small the window. */
#define FP_TCP_ACK_WINDOW 66000u

/* What became of a frame: a counter each, per CPU (map `counters`). */
enum fp_count {
	FP_FORWARDED,
	FP_UP_NOT_IPV4,  /* ARP and the rest */
	FP_UP_NOT_PLAIN, /* options, fragment, TTL 1, flags, protocol, length, not to our Ethernet address */
	FP_UP_NO_FLOW,
	FP_UP_STALE,  /* torn read, old generation, other interface */
	FP_UP_BEHIND, /* follows packets that are still in user space */
	FP_UP_WINDOW, /* far out of the TCP window */
	FP_UP_TOO_BIG,
	FP_UP_ADJACENCY,
	FP_UP_PARTIAL,  /* XDP: the checksum looks like one that is left to the device */
	FP_UP_REFUSED,  /* nobody takes what goes up, no socket for this queue; or a forged stamp: dropped */
	FP_UP_OVERLOAD, /* its flow waits for user space, and loses most on the way or cannot be numbered: dropped */
	FP_N_COUNTS
};

/* Bytes behind short packets that fill up their frames, a number a CPU (map `padding`): received and sent, by port. */
enum fp_padding { FP_PADDING_IN, FP_PADDING_OUT, FP_N_PADDINGS };

/* NH of UMAC (RFC 4418 section 5.2), then a mixer. m0: src | dst << 32; m1: ports, protocol, in_port.
 *
 * SipHash would be a fifth of the whole program, since BPF has no rotation. Conntrack keeps it: whoever finds
 * flows that meet there slows all of the gateway. Here a chain holds 32, and all that a 33rd gains is to stay in user
 * space; what is wanted is that nobody can name such flows beforehand, and that neighbouring addresses and ports
 * spread. NH with a random key does the former (two flows meet once in 2^32 keys at the most), the mixer the latter. */
static inline __u64 fp_hash(const __u64 key[2], __u64 m0, __u64 m1)
{
	__u64 a = (__u32)((__u32)key[0] + (__u32)m0), b = (__u32)((__u32)(key[0] >> 32) + (__u32)(m0 >> 32));
	__u64 c = (__u32)((__u32)key[1] + (__u32)m1), d = (__u32)((__u32)(key[1] >> 32) + (__u32)(m1 >> 32));
	__u64 x = a * b + c * d;

	x = (x ^ x >> 32) * 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9ull;
	return x ^ x >> 32;
}

static inline __u64 fp_hash_flow(const __u64 key[2], __u32 src_be, __u32 dst_be, __u16 sport_be, __u16 dport_be,
				 __u8 proto, __u8 in_port)
{
	return fp_hash(key, (__u64)src_be | (__u64)dst_be << 32,
		       (__u64)sport_be | (__u64)dport_be << 16 | (__u64)proto << 32 | (__u64)in_port << 40);
}

static inline __u32 fp_bucket_of(__u64 hash, __u32 mask)
{
	return (__u32)hash & mask;
}

static inline __u16 fp_tag_of(__u64 hash)
{
	return (__u16)(hash >> 48) == 0 ? 1 : (__u16)(hash >> 48);
}

_Static_assert(sizeof(struct fp_bucket) == 64, "one cache line");
_Static_assert(sizeof(struct fp_flow) == 64, "one cache line a direction");
_Static_assert(sizeof(struct fp_adjacency) == 32, "two a cache line");

#endif
