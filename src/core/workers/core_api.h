/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Every entry into a running core, in one place: with `run --record` each is
 * written down before it happens, so that a replay can do the same. One for each
 * worker and the host; what concerns the config concerns all of them.
 */
#ifndef YG_CORE_WORKERS_CORE_API_H
#define YG_CORE_WORKERS_CORE_API_H

#include "core/workers/core_socket.h"
#include "core/workers/workers.h"
#include "core/gateway.h"

/* A route that somebody sets, or takes away, while the gateway runs. */
enum core_route_change { CORE_ROUTE_SET, CORE_ROUTE_UNSET };

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
	void (*ping_socket_open)(void *ctx, uint64_t now);
	void (*ping_socket_close)(void *ctx, int socket, uint64_t now);
	void (*ping_socket_send)(void *ctx, int socket, const struct ping_request *rq, uint64_t now);
	void (*socket_call)(void *ctx, const struct core_socket_call *call, uint64_t now);
	void (*end_connection)(void *ctx, uint32_t index, enum ct_end_reason reason, uint64_t now);
	void (*route)(void *ctx, enum core_route_change how, const struct rib_route *route, uint64_t now);
	void (*next_hop)(void *ctx, uint32_t ifindex, uint32_t addr, bool up, uint64_t now);
	/* Nothing to do for a while. */
	void (*flush)(void *ctx);
};

struct core_api {
	struct workers *workers;
	uint32_t worker;
	struct gateway *gateway;              /* this worker's */
	const struct core_recorder *recorder; /* NULL: nothing is recorded; with several workers nothing can be */
	void *recorder_ctx;
};

/* All workers quiesced: the config of the whole workers. 0, or -errno and nothing changed. */
int core_api_configure(struct core_api *e, const struct core_config *cfg, uint64_t now);
/* d NULL: takes the device away. */
void core_api_attach(struct core_api *e, uint32_t ifindex, struct device *d, uint64_t now);
/* The device's up, mtu, mac or caps are no longer what they were. */
void core_api_device_changed(struct core_api *e, uint32_t ifindex, uint64_t now);
void core_api_input(struct core_api *e, uint32_t ifindex, struct batch *b, uint64_t now);
/* What other workers have handed over; how much there was. */
uint32_t core_api_poll(struct core_api *e, uint64_t now);
void core_api_expire(struct core_api *e, uint64_t now);
uint64_t core_api_next_deadline(const struct core_api *e);

/* After calling into the core directly: sends what waits. */
void core_api_flush(struct core_api *e, uint64_t now);

/* At the time that the core has. */
int core_api_ping_socket_open(struct core_api *e);
void core_api_ping_socket_close(struct core_api *e, int socket);
int core_api_ping_socket_send(struct core_api *e, int socket, const struct ping_request *rq);
/* Of the host's sockets, in its thread. */
int64_t core_api_socket(struct core_api *e, struct core_socket_call *call);
void core_api_end_connection(struct core_api *e, uint32_t index, enum ct_end_reason reason);

/* Where something is recorded, inside the worker: a change of the routes that its config is about, in force at once.
 * Else nobody need come here: routes are the control thread's. 0, or what rib_set and rib_unset return. */
int core_api_change_route(struct core_api *e, struct rib *rib, enum core_route_change how,
			  const struct rib_route *route);
/* Likewise: rib_neighbour_changed. */
void core_api_change_next_hop(struct core_api *e, struct rib *rib, uint32_t ifindex, uint32_t addr, bool up);

/* Somebody has set the clock: what to add to the core's for UTC. */
void core_api_set_wall(struct core_api *e, uint64_t wall_offset_ns, uint64_t now);

/* Nothing to do for a while. */
void core_api_idle(struct core_api *e);

#endif
