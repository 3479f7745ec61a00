/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Every entry into a running core, in one place: with `run --record` each is
 * written down before it happens, so that a replay can do the same. One for each
 * worker; what concerns the config concerns all of them.
 */
#ifndef YG_CORE_WORKERS_ENTRY_H
#define YG_CORE_WORKERS_ENTRY_H

#include "core/workers/crew.h"
#include "core/gateway.h"

/* Slot: who writes down what goes into a core. Each is called before the step that it names, but for
 * configure_failed: the configure just written did not happen. */
struct core_recorder {
	void (*configure)(void *ctx, uint64_t generation, uint64_t now);
	void (*configure_failed)(void *ctx, uint64_t generation);
	/* The device to give to the core: it writes down what is sent through d. NULL without memory. */
	struct device *(*attach)(void *ctx, uint32_t ifindex, struct device *d, uint64_t now);
	void (*detach)(void *ctx, uint32_t ifindex, uint64_t now);
	void (*device_changed)(void *ctx, uint32_t ifindex, uint64_t now);
	void (*wall)(void *ctx, uint64_t wall_offset_ns, uint64_t now);
	void (*input)(void *ctx, uint32_t ifindex, const struct batch *b, uint64_t now);
	void (*expire)(void *ctx, uint64_t now);
	void (*raw_open)(void *ctx, uint64_t now);
	void (*raw_close)(void *ctx, int socket, uint64_t now);
	void (*raw_send)(void *ctx, int socket, const struct raw_request *rq, uint64_t now);
	void (*end_connection)(void *ctx, uint32_t index, enum ct_end_reason reason, uint64_t now);
	/* Nothing to do for a while. */
	void (*flush)(void *ctx);
};

struct entry {
	struct crew *crew;
	uint32_t worker;
	struct gateway *gateway; /* this worker's */
	const struct core_recorder *recorder; /* NULL: nothing is recorded; with several workers nothing can be */
	void *recorder_ctx;
};

/* All workers at rest: the config of the whole crew. 0, or -errno and nothing changed. */
int entry_configure(struct entry *e, const struct core_config *cfg, uint64_t now);
/* d NULL: takes the device away. */
void entry_attach(struct entry *e, uint32_t ifindex, struct device *d, uint64_t now);
/* The device's up, mtu, mac or caps are no longer what they were. */
void entry_device_changed(struct entry *e, uint32_t ifindex, uint64_t now);
void entry_input(struct entry *e, uint32_t ifindex, struct batch *b, uint64_t now);
/* What other workers have handed over; how much there was. */
uint32_t entry_poll(struct entry *e, uint64_t now);
void entry_expire(struct entry *e, uint64_t now);
uint64_t entry_next_deadline(const struct entry *e);

/* At the time that the core has. */
int entry_raw_open(struct entry *e);
void entry_raw_close(struct entry *e, int socket);
int entry_raw_send(struct entry *e, int socket, const struct raw_request *rq);
void entry_end_connection(struct entry *e, uint32_t index, enum ct_end_reason reason);

/* Somebody has set the clock: what to add to the core's for UTC. */
void entry_set_wall(struct entry *e, uint64_t wall_offset_ns, uint64_t now);

/* Nothing to do for a while. */
void entry_idle(struct entry *e);

#endif
