/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The thin layer between whoever drives a core (worker, control thread through
 * the worker) and the core. Always: first the record, then the entry; what an
 * entry does beyond changing the core's state (frames that leave) is written by
 * the recorder's own device around the real one.
 *
 * Next: src/core/workers/packets.c
 */
#include "core/workers/core_api.h"

/* A replay has nobody who goes on with the routes beside the core. */
static void settle_routes(struct core_api *e)
{
	if (e->recorder != NULL)
		gateway_settle_routes(e->gateway);
}

int core_api_configure(struct core_api *e, const struct core_config *cfg, uint64_t now)
{
	if (e->recorder != NULL)
		e->recorder->configure(e->recorder_ctx, cfg->generation, now);
	int rc = workers_configure(e->workers, cfg, now);
	settle_routes(e);
	if (rc != 0 && e->recorder != NULL)
		e->recorder->configure_failed(e->recorder_ctx, cfg->generation);
	return rc;
}

void core_api_attach(struct core_api *e, uint32_t ifindex, struct device *d, uint64_t now)
{
	struct device *face = d;

	if (e->recorder != NULL)
		face = d != NULL ? e->recorder->attach(e->recorder_ctx, ifindex, d, now) : NULL;
	if (e->recorder != NULL && d == NULL)
		e->recorder->detach(e->recorder_ctx, ifindex, now);
	gateway_attach(e->gateway, ifindex, face, now);
	if (e->worker == 0)
		workers_show_device(e->workers, ifindex, face, now);
	settle_routes(e);
	if (d != NULL) {
		/* The real device receives, whatever stands before it. */
		d->pool = face->pool;
		d->ledger = face->ledger;
	}
}

void core_api_device_changed(struct core_api *e, uint32_t ifindex, uint64_t now)
{
	if (e->recorder != NULL)
		e->recorder->device_changed(e->recorder_ctx, ifindex, now);
	gateway_device_changed(e->gateway, ifindex, now);
	if (e->worker == 0)
		workers_show_device(e->workers, ifindex, ip_stack_device(gateway_ip(e->gateway), ifindex), now);
	settle_routes(e);
}

void core_api_input(struct core_api *e, uint32_t ifindex, struct batch *b, uint64_t now)
{
	if (e->recorder != NULL)
		e->recorder->input(e->recorder_ctx, ifindex, b, now);
	workers_input(e->workers, e->worker, ifindex, b, now);
}

uint32_t core_api_poll(struct core_api *e, uint64_t now)
{
	return workers_poll(e->workers, e->worker, now);
}

void core_api_expire(struct core_api *e, uint64_t now)
{
	if (e->recorder != NULL)
		e->recorder->expire(e->recorder_ctx, now);
	workers_expire(e->workers, e->worker, now);
}

uint64_t core_api_next_deadline(const struct core_api *e)
{
	return workers_next_deadline(e->workers, e->worker);
}

void core_api_flush(struct core_api *e, uint64_t now)
{
	workers_flush(e->workers, e->worker, now);
}

int core_api_ping_socket_open(struct core_api *e)
{
	if (e->recorder != NULL)
		e->recorder->ping_socket_open(e->recorder_ctx, gateway_env(e->gateway)->now);
	return ping_socket_open(gateway_ping_sockets(e->gateway));
}

void core_api_ping_socket_close(struct core_api *e, int socket)
{
	if (e->recorder != NULL)
		e->recorder->ping_socket_close(e->recorder_ctx, socket, gateway_env(e->gateway)->now);
	ping_socket_close(gateway_ping_sockets(e->gateway), socket);
}

int core_api_ping_socket_send(struct core_api *e, int socket, const struct ping_request *rq)
{
	uint64_t now = gateway_env(e->gateway)->now;

	if (e->recorder != NULL)
		e->recorder->ping_socket_send(e->recorder_ctx, socket, rq, now);
	int rc = ping_socket_send(gateway_ping_sockets(e->gateway), socket, rq);
	core_api_flush(e, now);
	return rc;
}

int64_t core_api_socket(struct core_api *e, struct core_socket_call *call)
{
	uint64_t now = gateway_env(e->gateway)->now;

	if (e->recorder != NULL)
		e->recorder->socket_call(e->recorder_ctx, call, now);
	int64_t rc = core_socket_do(gateway_sockets(e->gateway), call);
	core_api_flush(e, now);
	return rc;
}

void core_api_end_connection(struct core_api *e, uint32_t index, enum ct_end_reason reason)
{
	if (e->recorder != NULL)
		e->recorder->end_connection(e->recorder_ctx, index, reason, gateway_env(e->gateway)->now);
	conntrack_end(gateway_conntrack(e->gateway), index, reason);
}

int core_api_change_route(struct core_api *e, struct rib *rib, enum core_route_change how,
			  const struct rib_route *route)
{
	if (e->recorder != NULL)
		e->recorder->route(e->recorder_ctx, how, route, gateway_env(e->gateway)->now);
	int rc = how == CORE_ROUTE_SET ? rib_set(rib, route) : rib_unset(rib, route);

	if (rc == 0)
		rc = rib_flush(rib);
	settle_routes(e);
	return rc;
}

void core_api_change_next_hop(struct core_api *e, struct rib *rib, uint32_t ifindex, uint32_t addr, bool up)
{
	struct ip_addr hop = ip_addr_v4(addr);

	if (e->recorder != NULL)
		e->recorder->next_hop(e->recorder_ctx, ifindex, addr, up, gateway_env(e->gateway)->now);
	(void)rib_neighbour_changed(rib, ifindex, &hop, up);
	settle_routes(e);
}

void core_api_set_wall(struct core_api *e, uint64_t wall_offset_ns, uint64_t now)
{
	if (e->recorder != NULL)
		e->recorder->wall(e->recorder_ctx, wall_offset_ns, now);
	gateway_env(e->gateway)->wall_offset_ns = wall_offset_ns;
}

void core_api_idle(struct core_api *e)
{
	if (e->recorder != NULL)
		e->recorder->flush(e->recorder_ctx);
}
