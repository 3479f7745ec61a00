/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A bed for the fast path's programs: maps with a flow in them, and frames that
 * are put through a program by BPF_PROG_TEST_RUN, in a network namespace of the
 * test's own.
 */
#ifndef YG_TESTS_FASTPATH_BED_H
#define YG_TESTS_FASTPATH_BED_H

#include "stack/wire/wire_test.h"

#include "daemon/fastpath/fastpath_priv.h"
#include "stack/wire/l4.h"

#define BED_PORT 7u
#define BED_OUT_PORT 9u
#define BED_STAMP_MARK 0x4743u
#define BED_UP_IFINDEX 1u /* lo */
#define BED_FRAME_MAX 2048u
#define BED_EXIT_SKIP 77

struct bed {
	struct fastpath *f;
	const struct fastpath_maps *m;
	int xdp, tc; /* programs */
	int socket;  /* AF_XDP, in the map of sockets */
	struct fastpath_counts before;
};

struct bed_flow {
	uint8_t proto;
	uint32_t src, dst, new_src, new_dst;         /* host order */
	uint16_t sport, dport, new_sport, new_dport; /* ICMP echo: identifier, type << 8 | code */
};

struct bed_frame {
	uint8_t bytes[BED_FRAME_MAX];
	uint32_t len;
};

/* From inside, an answer from outside, a ping from inside. */
extern const struct bed_flow bed_udp, bed_tcp, bed_echo;
extern const uint8_t bed_mac[6], bed_next_hop[6];

/* Skips the whole program, saying why, where BPF is not allowed. */
void bed_open(struct bed *b);
void bed_close(struct bed *b);
/* All flows, adjacencies and counters as at the start; adjacency 3 leads out, flow 2 * 5 is f. */
struct fp_flow *bed_flow_set(struct bed *b, const struct bed_flow *f);
/* The other direction's: of TCP it has what the frames of bed_frame fit. */
struct fp_flow *bed_other(struct bed *b);
struct fp_adjacency *bed_adjacency(struct bed *b);
/* Where its bucket and place are. */
struct fp_bucket *bed_home(struct bed *b, const struct bed_flow *f, uint32_t *slot);

/* A right frame of the flow with n_payload bytes. */
void bed_frame(const struct bed_flow *f, uint32_t n_payload, uint8_t tcp_flags, struct bed_frame *out);
/* The checksums anew, after bytes were changed. */
void bed_frame_seal(struct bed_frame *f);
/* What the slow path makes of it. */
void bed_frame_forwarded(const struct bed_flow *f, const struct bed_frame *in, struct bed_frame *out);

enum bed_kind { BED_XDP, BED_TC };
/* The program's verdict; frame is what it left. gso_size: 0, or of a large segment (tc). */
uint32_t bed_run(struct bed *b, enum bed_kind kind, struct bed_frame *frame, uint32_t gso_size);
/* Its verdict on what it forwards, or sends up with somebody there. */
uint32_t bed_redirected(enum bed_kind kind);
/* The one counter that has grown by one since bed_flow_set or the last call; FP_N_COUNTS if it is not one by one. */
enum fp_count bed_counted(struct bed *b);

#endif
