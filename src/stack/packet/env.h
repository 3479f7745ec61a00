/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a core is given from outside: memory for packets, the ledger, the time,
 * random numbers, and somebody to tell what happened. One per worker; every
 * room of the core keeps a pointer to it and to nothing else outside itself.
 */
#ifndef YG_STACK_PACKET_ENV_H
#define YG_STACK_PACKET_ENV_H

#include <stdatomic.h>

#include "base/event.h"
#include "base/ledger.h"
#include "base/log_record.h"
#include "base/rng.h"
#include "stack/packet/packet.h"
#include "stack/packet/stage.h"
#include "stack/packet/trace.h"

struct env {
	struct packet_pool *pool;
	struct ledger ledger;
	struct rng rng;
	uint64_t now;            /* ns, set at each entry into the core, never goes back */
	uint64_t wall_offset_ns; /* add to now for UTC; for what people read, and ICMP timestamps */
	event_fn *emit;          /* never NULL; see env_emit */
	void *emit_ctx;
	const _Atomic(uint32_t)
		*wanted;         /* EVENT_BITs of the kinds that somebody listens to, changed at any time; NULL: all */
	struct log_slot log;     /* told what NAT did, as far as the config asks for it */
	struct stages stages;    /* stages.clock: a counter to measure by, or NULL */
	struct trace_slot trace; /* told each packet's steps; see env_set_trace */
};

/* Whether an event of this kind would be heard: for whoever makes so many that filling one in counts. */
static inline bool env_wants(const struct env *env, enum event_kind kind)
{
	return env->wanted == NULL || (atomic_load_explicit(env->wanted, memory_order_relaxed) & EVENT_BIT(kind)) != 0;
}

static inline void env_emit(struct env *env, struct yg_event *e)
{
	e->time_ns = env->now;
	env->emit(env->emit_ctx, e);
}

/* Only with env->log.fn. */
static inline void env_log(const struct env *env, const struct log_record *r)
{
	env->log.fn(env->log.ctx, r);
}

/* fn NULL: nobody listens. Between two entries into the core. */
static inline void env_set_trace(struct env *env, trace_fn *fn, void *ctx)
{
	env->trace = (struct trace_slot){ .fn = fn, .ctx = ctx };
	packet_pool_set_trace(env->pool, &env->trace);
}

static inline bool env_traced(const struct env *env)
{
	return YG_UNLIKELY(env->trace.fn != NULL);
}

/* Only when it is traced. */
static inline void env_trace(const struct env *env, const struct trace_step *step)
{
	env->trace.fn(env->trace.ctx, step);
}

static inline void env_drop(struct env *env, struct packet *p, enum drop_reason reason)
{
	packet_drop(env->pool, &env->ledger, p, reason);
}

#endif
