/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where the time goes: for each stage of the packet's way how many batches and
 * packets it has had, and how many clocks it took by itself.
 *
 * Stages lie in each other as calls do. Entering one and leaving it reads the
 * clock once each; what passed since the last reading belongs to the stage that
 * was at work, so a stage has its own time without that of the stages in it.
 * Without a clock (env.clock) nothing is counted, so the core stays without one.
 */
#ifndef YG_STACK_PACKET_STAGE_H
#define YG_STACK_PACKET_STAGE_H

#include <stdint.h>

#include "base/util.h"

enum stage {
	STAGE_RECEIVE,   /* taking a batch from a device */
	STAGE_FLOWCACHE, /* flows that are known */
	STAGE_ETHER,     /* link layer; ARP whole */
	STAGE_IP,        /* parse and checks */
	STAGE_ROUTE,     /* of packets that came in */
	STAGE_LOCAL,     /* to us */
	STAGE_FORWARD,   /* time to live, size */
	STAGE_ORIGIN,    /* from us, with its routes */
	STAGE_OUTPUT,    /* next hop, neighbour, cutting, frame */
	STAGE_SEND,      /* giving a batch to a device */
	STAGE_TIMERS,    /* what is due; a batch is one call, without packets */
	N_STAGES
};

extern const char *const stage_names[N_STAGES];

struct stage_stats {
	uint64_t n_batches, n_packets, clocks;
};

/* A reading of a counter that only grows, in whatever unit. */
typedef uint64_t stage_clock_fn(void);

struct stages {
	stage_clock_fn *clock; /* NULL: nothing is counted. Set while no stage is at work */
	struct stage_stats *at_work;
	uint64_t read; /* the last reading */
	struct stage_stats own[N_STAGES];
};

static inline void stage_charge(struct stages *s)
{
	uint64_t now = s->clock();

	/* Counters of two processors may differ by a little. */
	if (s->at_work != NULL && YG_LIKELY(now > s->read))
		s->at_work->clocks += now - s->read;
	s->read = now;
}

/* n packets enter; what is returned goes to stage_leave. */
static inline struct stage_stats *stage_enter_at(struct stages *s, struct stage_stats *stats, uint32_t n_packets)
{
	struct stage_stats *outer = s->at_work;

	if (s->clock == NULL)
		return NULL;
	stage_charge(s);
	s->at_work = stats;
	stats->n_batches++;
	stats->n_packets += n_packets;
	return outer;
}

static inline struct stage_stats *stage_enter(struct stages *s, enum stage stage, uint32_t n_packets)
{
	return stage_enter_at(s, &s->own[stage], n_packets);
}

static inline void stage_leave(struct stages *s, struct stage_stats *outer)
{
	if (s->clock == NULL)
		return;
	stage_charge(s);
	s->at_work = outer;
}

/* From one stage to the next in the same outer one: one reading instead of two. */
static inline void stage_next_at(struct stages *s, struct stage_stats *stats, uint32_t n_packets)
{
	(void)stage_enter_at(s, stats, n_packets);
}

/* A stage outside of all others, n packets in one batch, from a reading `start` until now. Looking for packets where
 * there are none is not counted so. */
static inline void stage_add(struct stages *s, enum stage stage, uint32_t n_packets, uint64_t start)
{
	if (s->clock == NULL)
		return;
	uint64_t now = s->clock();

	s->own[stage].n_batches++;
	s->own[stage].n_packets += n_packets;
	s->own[stage].clocks += now > start ? now - start : 0;
}

#endif
