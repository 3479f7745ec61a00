/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What commands see of a running gateway: the rooms of each worker's core, and the
 * slots through which they reach what lies above them. A slot that touches a core
 * does so in its worker, or while all workers are quiesced: first each is told to park,
 * then all are waited for, so they stop at the same time. The host is quiesced before them,
 * and whoever waits for it keeps no packet waiting.
 */
#include "daemon/run/run_bgp.h"
#include "daemon/run/run_priv.h"

/* --- all workers --- */

static void stop_all(struct run *r)
{
	/* The host first, while packets pass: what it is at may take long. */
	for (uint32_t i = r->n_cores; i < r->n_members; i++) {
		worker_quiesce(r->core[i].worker);
		worker_is_quiesced(r->core[i].worker);
	}
	for (uint32_t i = 0; i < r->n_cores; i++)
		worker_quiesce(r->core[i].worker);
	for (uint32_t i = 0; i < r->n_cores; i++)
		worker_is_quiesced(r->core[i].worker);
	for (uint32_t i = 0; i < r->n_members; i++)
		gateway_set_time(r->core[i].entry.gateway, worker_clock());
}

static void go_on_all(struct run *r)
{
	for (uint32_t i = 0; i < r->n_members; i++)
		core_api_flush(&r->core[i].entry, worker_clock());
	for (uint32_t i = 0; i < r->n_members; i++)
		worker_resume(r->core[i].worker);
}

void run_quiesced(struct run *r, worker_fn *fn, void *arg)
{
	stop_all(r);
	/* A device must not go while another worker has a packet that lies in its ring. */
	workers_drain(r->workers, worker_clock());
	fn(arg);
	go_on_all(r);
}

/* --- slots of the control room --- */

static void slot_call(void *ctx, uint32_t core, control_fn *fn, void *arg)
{
	worker_call(((struct run *)ctx)->core[core].worker, fn, arg);
}

static void slot_call_all(void *ctx, control_fn *fn, void *arg)
{
	stop_all(ctx);
	fn(arg);
	go_on_all(ctx);
}

static void slot_between(void *ctx, struct control_between *out)
{
	struct workers_between between;

	workers_between(((struct run *)ctx)->workers, &between);
	*out = (struct control_between){ .n_waiting = between.n_waiting,
					 .n_external = between.n_external,
					 .n_asked = between.n_asked,
					 .n_redirects_lost = between.n_redirects_lost };
}

/* The host is the last member: it has a thread of its own, or is core 0. */
static struct run_core *host_of(struct run *r)
{
	return &r->core[r->n_members > r->n_cores ? r->n_cores : 0];
}

static void slot_call_host(void *ctx, control_fn *fn, void *arg)
{
	worker_call(host_of(ctx)->worker, fn, arg);
}

static int slot_raw_open(void *ctx)
{
	return core_api_ping_socket_open(&host_of(ctx)->entry);
}

static void slot_raw_close(void *ctx, int socket)
{
	core_api_ping_socket_close(&host_of(ctx)->entry, socket);
}

static int slot_ping_socket_send(void *ctx, int socket, const struct ping_request *rq)
{
	return core_api_ping_socket_send(&host_of(ctx)->entry, socket, rq);
}

static int64_t slot_socket_call(void *ctx, struct core_socket_call *call)
{
	return core_api_socket(&host_of(ctx)->entry, call);
}

static void slot_wake_control(void *ctx)
{
	worker_socket_told(host_of(ctx)->worker);
}

static void slot_end_connection(void *ctx, uint32_t core, uint32_t index, enum ct_end_reason reason)
{
	core_api_end_connection(&((struct run *)ctx)->core[core].entry, index, reason);
}

static const struct rib *slot_rib(void *ctx)
{
	return ((struct run *)ctx)->snap->core.rib;
}

static const char *slot_driver(void *ctx, uint32_t ifindex)
{
	const struct device *d = ((struct run *)ctx)->port[ifindex].device;

	return d != NULL ? d->ops->driver : "";
}

static const char *slot_driver_mode(void *ctx, uint32_t ifindex)
{
	return ((struct run *)ctx)->port[ifindex].port.mode;
}

static const char *slot_driver_note(void *ctx, uint32_t ifindex)
{
	return ((struct run *)ctx)->port[ifindex].port.note;
}

static bool slot_kernel_has(void *ctx, uint32_t core, uint32_t conn)
{
	struct fast *f = ((struct run *)ctx)->drivers.fast;

	return f != NULL && fast_read_back(f, core, conn);
}

static bool slot_kernel_info(void *ctx, uint32_t core, struct offload_map_info *out)
{
	struct fast *f = ((struct run *)ctx)->drivers.fast;

	if (f == NULL)
		return false;
	fast_catch_up(f, core);
	fast_info(f, core, out);
	return true;
}

static bool slot_kernel_counts(void *ctx, struct fastpath_counts *out)
{
	const struct fast *f = ((struct run *)ctx)->drivers.fast;

	if (f != NULL)
		fast_counts(f, out);
	return f != NULL;
}

static void slot_kernel_padding(void *ctx, uint32_t ifindex, uint64_t *in, uint64_t *out)
{
	struct fast *f = ((struct run *)ctx)->drivers.fast;

	*in = *out = 0;
	if (f != NULL)
		fastpath_padding(fast_path(f), ifindex, in, out);
}

static uint64_t slot_ready(void *ctx)
{
	const struct run *r = ctx;

	return r->ready ? r->snap->core.generation : 0;
}

static const char *slot_stage_clock(void *ctx, uint64_t *hz)
{
	const struct run *r = ctx;

	*hz = stage_clock_hz(&r->stage_clock);
	return r->stage_clock.name;
}

static void slot_want_events(void *ctx, uint32_t kinds)
{
	struct run *r = ctx;

	for (uint32_t i = 0; i < r->n_members; i++)
		worker_want_events(r->core[i].worker, kinds);
}

static struct control_core rooms_of(struct gateway *g)
{
	return (struct control_core){
		.env = gateway_env(g),
		.ip = gateway_ip(g),
		.conntrack = gateway_conntrack(g),
		.nat = gateway_nat(g),
		.rules = gateway_rules(g),
		.raw = gateway_ping_sockets(g),
		.sockets = gateway_sockets(g),
	};
}

void run_fill_target(struct run *r)
{
	r->target = (struct control_target){
		.n_cores = r->n_cores,
		.ctx = r,
		.call = slot_call,
		.call_all = slot_call_all,
		.call_host = slot_call_host,
		.between = slot_between,
		.ping_socket_open = slot_raw_open,
		.ping_socket_close = slot_raw_close,
		.ping_socket_send = slot_ping_socket_send,
		.socket_call = slot_socket_call,
		.wake_control = slot_wake_control,
		.end_connection = slot_end_connection,
		.rib = slot_rib,
		.set_route = run_route_set,
		.unset_route = run_route_unset,
		.flush_routes = run_routes_flush,
		.change_next_hop = run_next_hop_change,
		.driver = slot_driver,
		.driver_mode = slot_driver_mode,
		.driver_note = slot_driver_note,
		.kernel_has = slot_kernel_has,
		.kernel_info = slot_kernel_info,
		.kernel_padding = slot_kernel_padding,
		.kernel_counts = slot_kernel_counts,
		.bgp = run_bgp_view,
		.reload = run_reload,
		.reload_foresee = run_reload_foresee,
		.ready = slot_ready,
		.stage_clock = slot_stage_clock,
		.want_events = slot_want_events,
		.log_open = run_log_open,
		.log_close = run_log_close,
		.log_next = run_log_next,
		.log_counts = run_log_counts,
	};
	for (uint32_t i = 0; i < r->n_cores; i++)
		r->target.core[i] = rooms_of(r->core[i].entry.gateway);
	if (r->n_members > r->n_cores) {
		r->target.has_host = true;
		r->target.host = rooms_of(host_of(r)->entry.gateway);
	}
}
