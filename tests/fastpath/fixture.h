/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A fixture for the fast path's programs: maps with a flow in them, and frames that
 * are put through a program by BPF_PROG_TEST_RUN, in a network namespace of the
 * test's own.
 */
#ifndef YG_TESTS_FASTPATH_FIXTURE_H
#define YG_TESTS_FASTPATH_FIXTURE_H

#include "stack/wire/wire_test.h"

#include "daemon/fastpath/fastpath_priv.h"
#include "stack/wire/l4.h"

#define FIXTURE_PORT 7u
#define FIXTURE_OUT_PORT 9u
#define FIXTURE_STAMP_MARK 0x4743u
#define FIXTURE_UP_IFINDEX 1u /* lo */
#define FIXTURE_FRAME_MAX 2048u
#define FIXTURE_EXIT_SKIP 77

struct fixture {
	struct fastpath *f;
	const struct fastpath_maps *m;
	int xdp, tc; /* programs */
	int socket;  /* AF_XDP, in the map of sockets */
	struct fastpath_counts before;
};

struct fixture_flow {
	uint8_t proto;
	uint32_t src, dst, new_src, new_dst;         /* host order */
	uint16_t sport, dport, new_sport, new_dport; /* ICMP echo: identifier, type << 8 | code */
};

struct fixture_frame {
	uint8_t bytes[FIXTURE_FRAME_MAX];
	uint32_t len;
};

/* From inside, an answer from outside, a ping from inside. */
extern const struct fixture_flow fixture_udp, fixture_tcp, fixture_echo;
extern const uint8_t fixture_mac[6], fixture_next_hop[6];

/* Skips the whole program, saying why, where BPF is not allowed. */
void fixture_open(struct fixture *b);
void fixture_close(struct fixture *b);
/* All flows, adjacencies and counters as at the start; adjacency 3 leads out, flow 2 * 5 is f. */
struct fp_flow *fixture_flow_set(struct fixture *b, const struct fixture_flow *f);
/* The other direction's: of TCP it has what the frames of fixture_frame fit. */
struct fp_flow *fixture_other(struct fixture *b);
struct fp_adjacency *fixture_adjacency(struct fixture *b);
/* Where its bucket and place are. */
struct fp_bucket *fixture_home(struct fixture *b, const struct fixture_flow *f, uint32_t *slot);

/* A right frame of the flow with n_payload bytes. */
void fixture_frame(const struct fixture_flow *f, uint32_t n_payload, uint8_t tcp_flags, struct fixture_frame *out);
/* The checksums again, after bytes were changed. */
void fixture_frame_seal(struct fixture_frame *f);
/* What the slow path makes of it. */
void fixture_frame_forwarded(const struct fixture_flow *f, const struct fixture_frame *in, struct fixture_frame *out);

enum fixture_kind { FIXTURE_XDP, FIXTURE_TC };
/* The program's verdict; frame is what it left. gso_size: 0, or of a large segment (tc). */
uint32_t fixture_run(struct fixture *b, enum fixture_kind kind, struct fixture_frame *frame, uint32_t gso_size);
/* Its verdict on what it forwards, or sends up with somebody there. */
uint32_t fixture_redirected(enum fixture_kind kind);
/* The one counter that has grown by one since fixture_flow_set or the last call; FP_N_COUNTS if it is not one by one.
 */
enum fp_count fixture_counted(struct fixture *b);

#endif
