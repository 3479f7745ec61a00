/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The kernel's side: programs for XDP and tc, from one source, over the same
 * maps. This header loads and attaches them; what stands in the maps is
 * layout.h, and what keeps it in step with conntrack is offload.h.
 *
 * Programs hang on devices by links, which end with the process, however it
 * ends: a gateway that was killed leaves nothing that could take packets away.
 */
#ifndef YG_DAEMON_FASTPATH_FASTPATH_H
#define YG_DAEMON_FASTPATH_FASTPATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/fastpath/layout.h"

struct fastpath;

/* Sizes; 0 takes the default. */
struct fastpath_limits {
	uint32_t n_connections; /* in the kernel at a time, 0: 262,144 */
	uint32_t n_adjacencies; /* 0: 4096 */
};

/* The maps in our memory; valid until fastpath_close. */
struct fastpath_maps {
	struct fp_config *config;
	struct fp_bucket *bucket; /* n_home, then n_overflow */
	uint32_t n_home, n_overflow;
	struct fp_flow *flow; /* 2 * n_connections */
	uint32_t n_connections;
	struct fp_adjacency *adjacency;
	uint32_t n_adjacencies;
};

enum fastpath_kind { FASTPATH_XDP_NATIVE, FASTPATH_XDP_GENERIC, FASTPATH_TC };

/* Makes the maps. 0, or -errno and one sentence that says what is missing (rights, kernel) and what to do. */
int fastpath_open(const struct fastpath_limits *limits, struct fastpath **out, char *err, size_t err_len);
/* Detaches everything. */
void fastpath_close(struct fastpath *f);
const struct fastpath_maps *fastpath_maps(const struct fastpath *f);

struct fastpath_port {
	uint32_t number;  /* gateway's interface number */
	uint32_t ifindex; /* the kernel's */
	enum fastpath_kind kind;
	uint32_t up_ifindex; /* tc: the TAP into which goes what is not forwarded */
};
/* A program of somebody else on the device is refused by its name and number. Asks for nothing but what kind says:
 * whether native XDP works is for the caller to try. 0, or -errno and one sentence. */
int fastpath_attach(struct fastpath *f, const struct fastpath_port *port, char *err, size_t err_len);
void fastpath_detach(struct fastpath *f, uint32_t number);
/* Removes what a killed process of ours left on the device. The caller holds the device's lock; f may be NULL. */
void fastpath_sweep(const struct fastpath *f, uint32_t ifindex);
/* The device's Ethernet address has changed: until this, nothing is forwarded that came in there. */
void fastpath_refresh(struct fastpath *f, uint32_t number);

/* XDP: where an AF_XDP socket for a queue of a port is entered, and under which key. */
int fastpath_xsk_map_fd(const struct fastpath *f);
uint32_t fastpath_xsk_key(uint32_t number, uint32_t queue);
#define FASTPATH_QUEUES_MAX FP_QUEUES

/* How frames may leave by a device: what fp_adjacency.how may say for it. As it is now: a veth answers differently
 * when its peer moves to another namespace, or gets or loses an XDP program. kind: of the program on that device.
 * *why (may be NULL): why not by the best way, half a sentence; NULL when it is by that. */
enum fp_egress fastpath_egress(const struct fastpath *f, enum fastpath_kind kind, uint32_t ifindex, const char **why);
/* What a program of this kind can take at most. Whatever program is on the way out: a frame of native XDP leaves by the
 * redirecting function of that device's driver or is lost, one of generic XDP and tc is sent as any packet is. */
static inline enum fp_egress fastpath_egress_max(enum fastpath_kind kind)
{
	return kind == FASTPATH_TC            ? FP_EGRESS_PEER
	       : kind == FASTPATH_XDP_GENERIC ? FP_EGRESS_SEND
					      : FP_EGRESS_REDIRECT;
}

/* Sums over all CPUs. n_lost: frames that a driver did not take after an XDP redirect, from the kernel's tracepoints;
 * redirect_drops_known false where those may not be used, and once a port has had a tc program: then n_lost is not 0
 * but unknown. What a tc program sends on is sent as any packet is: who does not take it counts that among all that the
 * device sends (tx_dropped, its queue discipline), or, at the peer of a veth, nowhere that we can see. */
struct fastpath_counts {
	uint64_t count[FP_N_COUNTS];
	uint64_t n_lost;
	bool redirect_drops_known;
};
void fastpath_counts(const struct fastpath *f, struct fastpath_counts *out);
/* Bytes that filled up the frames of short packets which came by this port, and which left by it, in the kernel. */
void fastpath_padding(const struct fastpath *f, uint32_t number, uint64_t *in, uint64_t *out);
extern const char *const fastpath_count_names[FP_N_COUNTS];

#endif
