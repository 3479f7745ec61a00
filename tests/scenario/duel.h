/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Two gateways with the same seed, one of them without flow cache entries, given the
 * same frames at the same times. After every batch everything that can be seen must be
 * equal: the frames of each flow, byte by byte and in order, the connections with
 * their windows, counters and times, the counters of the rules, the neighbours, the
 * ledger.
 *
 * Between flows the order of frames may differ, and with it which of them gets
 * which of the identifications that NAT gives to packets without DF: those are
 * compared as sets, a batch at a time.
 */
#ifndef YG_TESTS_DUEL_H
#define YG_TESTS_DUEL_H

#include "core/gateway.h"
#include "flows.h"
#include "hostile.h"

#define SENT_MAX 8192

enum { FULL, SHORT, N_WAYS };

/* A frame that a gateway sent. */
struct sent {
	uint64_t flow;  /* who must stay in order */
	uint64_t hosts; /* and protocol: within these an identification stands for one packet */
	uint32_t id;    /* the identification, with a bit above; 0: DF */
	uint32_t len, seq, n_ids;
	struct offload offload;
	uint8_t *bytes; /* the identification and the header checksum are cleared when id is not 0 */
};

struct way;
struct duel;

struct end {
	struct device device;
	struct way *way;
	int side;
	uint32_t n;
	struct sent sent[SENT_MAX];
};

struct way {
	struct gateway *gw;
	struct end end[N_FLOWS_SIDES];
	uint64_t n_events[N_EVENT_KINDS];
	struct duel *duel;
};

typedef void duel_seen_fn(struct duel *d, int side, const uint8_t *frame, uint32_t len);

struct duel {
	struct way way[N_WAYS];
	struct snapshot *snap;
	struct flows flows;
	struct hostile hostile;
	struct rng rng;
	uint64_t now, n_packets, n_dropped;
	uint32_t n_asked; /* ARP requests to answer */
	struct {
		int side;
		uint32_t target;
	} asked[64];
	duel_seen_fn *seen;
};

struct duel_case {
	const char *name, *config[2];
	uint32_t caps[N_FLOWS_SIDES]; /* DEVICE_CAP_* */
	bool hostile;
	uint32_t least_percent; /* of the packets go by the flow cache entry */
	/* Each may be NULL. Behind the first config; between two batches; what the gateway without the flow cache
	 * sends. */
	void (*started)(struct duel *d);
	void (*step)(struct duel *d);
	duel_seen_fn *seen;
};

void duel_run(const struct duel_case *c);
/* Both are given the frames; then compared. */
void duel_input(struct duel *d, int side, const struct flows_frame *frame, uint32_t n);
/* Both sent something of their own. */
void duel_compare(struct duel *d);

#endif
