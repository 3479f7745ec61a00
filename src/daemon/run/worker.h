/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A worker: one thread that owns a core and its handles of the devices. Everybody
 * else asks it through a mailbox; what the core tells goes through a ring to the
 * control thread. Nothing in the packet path is locked.
 */
#ifndef YG_DAEMON_RUN_WORKER_H
#define YG_DAEMON_RUN_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/workers/core_api.h"
#include "base/event.h"
#include "daemon/run/log_ring.h"
#include "base/grace.h"

struct worker;

typedef void worker_fn(void *arg);

/* NULL without memory or descriptors. The core is made afterwards, with worker_emit as its event slot. */
struct worker *worker_create(void);
/* The thread must have ended. */
void worker_destroy(struct worker *w);
/* The core to drive; e outlives the worker. Fills in the slot of its raw sockets. */
void worker_set_core_api(struct worker *w, struct core_api *e);
/* Says between two batches that it holds nothing of the routes (base/grace.h). Before it starts. */
void worker_set_reader(struct worker *w, struct grace_reader *r);
/* 0 or -errno. */
int worker_start(struct worker *w);
/* Ends the thread and waits for it. Calls run in the caller's thread from then on. */
void worker_stop(struct worker *w);

/* Runs fn(arg) in the worker between two batches, the core's clock set before
 * and what waits sent after, and waits for it. Control thread only. */
void worker_call(struct worker *w, worker_fn *fn, void *arg);

/* Stops the worker between two batches until worker_resume. In three steps, so that several stop together: first
 * worker_quiesce for each, then worker_is_quiesced, after which the control thread may do to the core what it likes. */
void worker_quiesce(struct worker *w);
void worker_is_quiesced(struct worker *w);
void worker_resume(struct worker *w);

/* Another worker has handed something over. Any thread. */
void worker_wake(struct worker *w);

/* Inside worker_call or while it is parked: the device (not owned) from which packets for ifindex
 * come; NULL: none any more. Attaches it to the core too. */
void worker_set_device(struct worker *w, uint32_t ifindex, struct device *d, uint64_t now);
/* Likewise: the device was rebound, its descriptor may be another one. */
void worker_refresh_device(struct worker *w, uint32_t ifindex);

/* CLOCK_MONOTONIC. */
uint64_t worker_clock(void);

/* The core's event slot; ctx is the worker. */
event_fn worker_emit;
/* Kinds (EVENT_BIT) that are put into the ring. */
void worker_want_events(struct worker *w, uint32_t kinds);
/* What is wanted now, for the core's env. */
const _Atomic(uint32_t) *worker_wanted_events(const struct worker *w);
/* The core's log slot; ctx is the worker. */
log_fn worker_log;
/* Where its records go. Before it starts; the caller's, and there for as long as the core. */
void worker_set_log(struct worker *w, struct log_ring *log);
/* Somebody reads them: the control thread hears of new ones from here on, or not any more. */
void worker_want_log(struct worker *w, bool wanted);
/* Readable when there is an event, a log record that is wanted, a raw message, or word from the recorder. */
int worker_notify_fd(const struct worker *w);
/* Control thread: first this, then the rest of what can be asked. */
void worker_notify_clear(struct worker *w);
bool worker_event_next(struct worker *w, struct yg_event *out);
/* Events that found the ring full since the last call. */
uint64_t worker_events_lost(struct worker *w);
/* True once after log records that were wanted. */
bool worker_log_arrived(struct worker *w);
/* True once after worker_socket_told. */
bool worker_raw_arrived(struct worker *w);
/* The worker: something has come for a command that has a socket, or looks at one. ctx is the worker. */
void worker_socket_told(void *ctx);
/* Wakes the control thread; for the recorder. ctx is the worker. */
void worker_notify(void *ctx);

#endif
