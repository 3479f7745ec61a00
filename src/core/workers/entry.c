/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The thin layer between whoever drives a core (worker, control thread through
 * the worker) and the core. Always: first the record, then the entry; what an
 * entry does beyond changing the core's state (frames that leave) is written by
 * the recorder's own device around the real one.
 *
 * Next: src/core/workers/crew_packets.c
 */
#include "core/workers/entry.h"

int entry_configure(struct entry *e, const struct core_config *cfg, uint64_t now)
{
	if (e->recorder != NULL)
		e->recorder->configure(e->recorder_ctx, cfg->generation, now);
	int rc = crew_configure(e->crew, cfg, now);
	if (rc != 0 && e->recorder != NULL)
		e->recorder->configure_failed(e->recorder_ctx, cfg->generation);
	return rc;
}

void entry_attach(struct entry *e, uint32_t ifindex, struct device *d, uint64_t now)
{
	struct device *face = d;

	if (e->recorder != NULL)
		face = d != NULL ? e->recorder->attach(e->recorder_ctx, ifindex, d, now) : NULL;
	if (e->recorder != NULL && d == NULL)
		e->recorder->detach(e->recorder_ctx, ifindex, now);
	gateway_attach(e->gateway, ifindex, face, now);
	if (d != NULL) {
		/* The real device receives, whatever stands before it. */
		d->pool = face->pool;
		d->ledger = face->ledger;
	}
}

void entry_device_changed(struct entry *e, uint32_t ifindex, uint64_t now)
{
	if (e->recorder != NULL)
		e->recorder->device_changed(e->recorder_ctx, ifindex, now);
	gateway_device_changed(e->gateway, ifindex, now);
}

void entry_input(struct entry *e, uint32_t ifindex, struct batch *b, uint64_t now)
{
	if (e->recorder != NULL)
		e->recorder->input(e->recorder_ctx, ifindex, b, now);
	crew_input(e->crew, e->worker, ifindex, b, now);
}

uint32_t entry_poll(struct entry *e, uint64_t now)
{
	return crew_poll(e->crew, e->worker, now);
}

void entry_expire(struct entry *e, uint64_t now)
{
	if (e->recorder != NULL)
		e->recorder->expire(e->recorder_ctx, now);
	crew_expire(e->crew, e->worker, now);
}

uint64_t entry_next_deadline(const struct entry *e)
{
	return crew_next_deadline(e->crew, e->worker);
}

int entry_raw_open(struct entry *e)
{
	if (e->recorder != NULL)
		e->recorder->raw_open(e->recorder_ctx, gateway_env(e->gateway)->now);
	return raw_open(gateway_raw(e->gateway));
}

void entry_raw_close(struct entry *e, int socket)
{
	if (e->recorder != NULL)
		e->recorder->raw_close(e->recorder_ctx, socket, gateway_env(e->gateway)->now);
	raw_close(gateway_raw(e->gateway), socket);
}

int entry_raw_send(struct entry *e, int socket, const struct raw_request *rq)
{
	uint64_t now = gateway_env(e->gateway)->now;

	if (e->recorder != NULL)
		e->recorder->raw_send(e->recorder_ctx, socket, rq, now);
	int rc = raw_send_echo(gateway_raw(e->gateway), socket, rq);
	gateway_flush(e->gateway, now);
	return rc;
}

void entry_end_connection(struct entry *e, uint32_t index, enum ct_end_reason reason)
{
	if (e->recorder != NULL)
		e->recorder->end_connection(e->recorder_ctx, index, reason, gateway_env(e->gateway)->now);
	conntrack_end(gateway_conntrack(e->gateway), index, reason);
}

void entry_set_wall(struct entry *e, uint64_t wall_offset_ns, uint64_t now)
{
	if (e->recorder != NULL)
		e->recorder->wall(e->recorder_ctx, wall_offset_ns, now);
	gateway_env(e->gateway)->wall_offset_ns = wall_offset_ns;
}

void entry_idle(struct entry *e)
{
	if (e->recorder != NULL)
		e->recorder->flush(e->recorder_ctx);
}
