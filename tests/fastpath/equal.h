/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Two gateways, of which one has the kernel's program before it: what they sent,
 * and whether it is the same.
 */
#ifndef YG_TESTS_FASTPATH_EQUAL_H
#define YG_TESTS_FASTPATH_EQUAL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../scenario/flows.h"
#include "core/gateway.h"
#include "daemon/config/snapshot.h"
#include "daemon/fastpath/flow_map.h"
#include "daemon/fastpath/offload.h"

#define SENT_MAX 4096

enum { FULL, KERNEL, N_WAYS };

struct sent {
	uint64_t flow;
	uint32_t len, seq;
	uint8_t *bytes;
};

struct duel;

struct end {
	struct device device;
	struct duel *duel;
	int way, side;
	uint32_t n;
	struct sent sent[SENT_MAX];
};

struct duel {
	struct gateway *gw[N_WAYS];
	struct end end[N_WAYS][N_FLOWS_SIDES];
	const char *config;
	struct snapshot *snap;
	struct fastpath *path;
	struct flow_map *flow_map;
	struct offload_map *map;
	int program[N_FLOWS_SIDES];
	uint32_t verdict; /* of a frame that was forwarded */
	uint32_t *last_seen;
	struct flows flows;
	struct rng rng;
	uint64_t now, n_packets, n_forwarded;
	uint32_t n_asked;
	struct {
		int side;
		uint32_t target;
	} asked[64];
};

/* A frame has left by e. */
void equal_note(struct end *e, const uint8_t *frame, uint32_t len);
/* Fails unless both ways have sent, counted and remembered the same. What was sent is forgotten. */
void equal_compare(struct duel *d);

#endif
