/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
 *
 * The flows of the bench by number, and what the generator, the receivers and
 * user space tell each other. Both sides are compiled from this file.
 *
 * A flow's number says everything about it, so that nobody needs a table of
 * flows. FLOWS_SPREAD goes to 256 destinations, and no two flows towards one
 * destination have the same source port: a translator that keeps ports finds each
 * of them free, behind a single address, up to a million flows. FLOWS_TAKEN has
 * one destination; its first 64,512 flows fill every port from 1024 of one
 * address, and those from FLOWS_FLOOD on are too many.
 *
 * Numbers are in the host's order but where a name ends in _be.
 */
#ifndef BENCH_FLOW_H
#define BENCH_FLOW_H

#include <linux/types.h>

#define FLOWS_MAX (1u << 20)
#define FLOWS_PORTS 64512u /* 1024 to 65535 */
#define FLOWS_FLOOD 0x80000000u

#define FLOW_CLIENTS 0x64400000u    /* 100.64.0.0/10, behind the client */
#define FLOW_SERVERS 0xc6120000u    /* 198.18.0.0/15, behind the server */
#define FLOW_ONE_SERVER 0xc6130001u /* 198.19.0.1 */
#define FLOW_DPORT 5001
#define FLOW_MAGIC 0x59474231u

#define FRAME_LEN 60
#define UDP_LEN 26 /* header and 18 bytes */

enum flow_set { FLOWS_SPREAD, FLOWS_TAKEN };

struct flow {
	__u32 src, dst;
	__u16 sport, dport;
};

static inline void flow_of(__u32 set, __u32 i, struct flow *f)
{
	f->dport = FLOW_DPORT;
	if (set == FLOWS_SPREAD) {
		__u32 j = i >> 8; /* below 4096 */

		f->dst = FLOW_SERVERS + 1 + (i & 255);
		f->src = FLOW_CLIENTS + 1 + (j & 1023);
		f->sport = (__u16)(1024 + j * 15);
	} else if (i < FLOWS_FLOOD) {
		f->dst = FLOW_ONE_SERVER;
		f->src = FLOW_CLIENTS + 1 + (i & 1023);
		f->sport = (__u16)(1024 + i);
	} else {
		i -= FLOWS_FLOOD;
		f->dst = FLOW_ONE_SERVER;
		f->src = FLOW_CLIENTS + 0x10000 + (i >> 15 & 0x3fff);
		f->sport = (__u16)(1024 + (i & 0x7fff));
	}
}

/* What stands behind the UDP header. */
struct payload {
	__be32 magic, flow;
	__be16 seq;
	__u8 rest[8];
} __attribute__((packed));

enum gen_order {
	GEN_RANDOM,  /* any flow, each time */
	GEN_MISSING, /* one after the other, but those that have their replies */
};

/* The generator's map: one value. */
struct gen {
	/* user space's */
	__u32 ifindex;
	__u8 src_mac[6], dst_mac[6];
	__u32 set, n_flows, order;
	__u32 wanted;      /* GEN_MISSING: replies a flow */
	__u32 rate_pps;    /* 0: as fast as it goes */
	__u32 flood_pps;   /* packets a second beside them, a new flow each */
	__u64 start_ns;    /* CLOCK_MONOTONIC */
	__u64 limit;       /* of frames sent */
	__u64 limit_turns; /* of frames sent and flows passed over */
	/* the program's */
	__u64 n_turns, n_sent, n_flood, flood_owed;
	__u64 position; /* GEN_MISSING: turns of all slices */
	__u32 lcg, seq;
};

#define RX_CPUS 64
/* What the server does with a frame: counts it; and sends it back; or counts it by flow. */
enum rx_answer { RX_SILENT, RX_ANSWERS, RX_SEES };
enum rx_side { RX_SERVER, RX_CLIENT, RX_N_SIDES };

struct rx_slot {
	__u64 n_frames; /* of the generator, established flows */
	__u64 n_flood;
	__u64 n_bad; /* wrong checksum, among those looked at (one in 256) */
	__u64 n_untranslated;
	__u64 reserved[4];
} __attribute__((aligned(64)));

/* The receivers' map: one value. */
struct rx {
	__u32 answer; /* enum rx_answer */
	__u32 reserved[15];
	struct rx_slot slot[RX_N_SIDES][RX_CPUS];
	__u8 replies[FLOWS_MAX]; /* that came to the client, a flow; with RX_SEES: to the server */
};

#endif
