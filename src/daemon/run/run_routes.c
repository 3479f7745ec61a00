/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Routes while workers run: what a change of a link leaves to be done, and memory
 * that is given back.
 *
 * The RIB is this thread's; the FIBs are read by the workers meanwhile. Each worker
 * says between two batches, and while it sleeps, that it holds nothing of them
 * (base/grace.h). What was taken out of a FIB waits for a grace; nobody waits for
 * the grace itself: it is asked about with each change, and once a second.
 *
 * A worker that sleeps is woken after a change, since flows that the kernel forwards
 * may have to be taken back.
 *
 * With a recording the routes change only where the recording says so: each change
 * is a step of the worker's, and what is left to be done is done at once.
 *
 * Routes of commands are set as they are read, and come into force together when
 * there is nothing more to be read just now: so a feed of twenty thousand a second
 * flushes a few hundred times.
 */
#include "daemon/run/run_priv.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config/route_fits.h"

/* A slice: two milliseconds at most. */
#define PREFIXES_A_SLICE 8192u

bool run_routes_begin(struct run *r)
{
	r->grace = aligned_alloc(64, sizeof(*r->grace));
	if (r->grace == NULL)
		return false;
	memset(r->grace, 0, sizeof(*r->grace));
	for (uint32_t i = 0; i < r->n_members; i++)
		worker_set_reader(r->core[i].worker, &r->grace->reader[i]);
	return true;
}

void run_routes_end(struct run *r)
{
	free(r->grace);
}

static void reclaim(struct run *r)
{
	struct rib *rib = r->snap->core.rib;

	if (r->in_grace) {
		if (!grace_is_over(r->grace))
			return;
		rib_grace_over(rib);
		r->in_grace = false;
	}
	if (!rib_grace_begin(rib))
		return;
	grace_begin(r->grace);
	r->in_grace = true;
}

void run_routes_look(struct run *r)
{
	(void)run_routes_flush(r);
	reclaim(r);
}

/* Whoever sleeps learns of changes of routes so often. */
#define WAKE_EVERY_MS 20u

static void wake_all(struct run *r)
{
	r->routes_woken_ns = worker_clock();
	for (uint32_t i = 0; i < r->n_members; i++)
		worker_wake(r->core[i].worker);
}

static void wake_late(evutil_socket_t fd, short what, void *ctx)
{
	struct run *r = ctx;

	r->routes_wake = false;
	wake_all(r);
}

/* At once when nothing has changed for a while, else with what else changes by then. */
static void wake_soon(struct run *r)
{
	static const struct timeval later = { .tv_usec = WAKE_EVERY_MS * 1000 };

	if (r->routes_wake)
		return;
	r->routes_wake = worker_clock() - r->routes_woken_ns < WAKE_EVERY_MS * NS_PER_MS &&
			 event_base_once(r->base, -1, EV_TIMEOUT, wake_late, r, &later) == 0;
	if (!r->routes_wake)
		wake_all(r);
}

static void go_on(evutil_socket_t fd, short what, void *ctx)
{
	struct run *r = ctx;
	static const struct timeval at_once;

	r->routes_busy = rib_work(r->snap->core.rib, PREFIXES_A_SLICE) &&
			 event_base_once(r->base, -1, EV_TIMEOUT, go_on, r, &at_once) == 0;
	wake_soon(r);
	reclaim(r);
}

void run_routes_changed(struct run *r)
{
	if (!r->routes_busy)
		go_on(-1, 0, r);
}

/* --- routes of commands --- */

int run_routes_flush(void *run)
{
	struct run *r = run;

	/* With a recording only a step of it may change routes. */
	if (!r->routes_set && (r->record != NULL || rib_n_unsettled(r->snap->core.rib) == 0))
		return 0;
	int rc = rib_flush(r->snap->core.rib);

	/* What found no memory is tried again when this thread next looks. */
	r->routes_set = rc != 0;
	run_routes_changed(r);
	return rc;
}

static void flush_soon(evutil_socket_t fd, short what, void *ctx)
{
	(void)run_routes_flush(ctx);
}

static void note_change(struct run *r)
{
	static const struct timeval at_once;

	if (r->routes_set)
		return;
	r->routes_set = true;
	if (event_base_once(r->base, -1, EV_TIMEOUT, flush_soon, r, &at_once) != 0)
		(void)run_routes_flush(r);
}

struct route_call {
	struct run *run;
	enum core_route_change how;
	const struct rib_route *route;
	int rc;
};

static void change_in_worker(void *arg)
{
	struct route_call *c = arg;

	c->rc = core_api_change_route(&c->run->core[0].entry, c->run->snap->core.rib, c->how, c->route);
}

int run_route_change(struct run *r, enum core_route_change how, const struct rib_route *route)
{
	struct route_call c = { .run = r, .how = how, .route = route };
	struct rib *rib = r->snap->core.rib;

	if (how == CORE_ROUTE_UNSET && !rib_has(rib, route))
		return -ENOENT;
	if (r->record != NULL) {
		worker_call(r->core[0].worker, change_in_worker, &c);
		return c.rc;
	}
	int rc = how == CORE_ROUTE_SET ? rib_set(rib, route) : rib_unset(rib, route);

	if (rc == 0)
		note_change(r);
	return rc;
}

int run_route_set(void *run, const struct rib_route *route)
{
	struct run *r = run;
	const struct rib *rib = r->snap->core.rib;

	if (rib_n_of(rib, RIB_RUNTIME) >= CONTROL_RUNTIME_ROUTES_MAX && !rib_has(rib, route))
		return -ENOSPC;
	return run_route_change(r, CORE_ROUTE_SET, route);
}

int run_route_unset(void *run, const struct rib_route *route)
{
	return run_route_change(run, CORE_ROUTE_UNSET, route);
}

/* --- next hops --- */

struct hop_call {
	struct run *run;
	uint32_t ifindex, addr;
	bool up;
};

static void change_hop_in_worker(void *arg)
{
	struct hop_call *c = arg;

	core_api_change_next_hop(&c->run->core[0].entry, c->run->snap->core.rib, c->ifindex, c->addr, c->up);
}

int run_next_hop_change(void *run, uint32_t ifindex, uint32_t addr, bool up)
{
	struct run *r = run;
	struct hop_call c = { .run = r, .ifindex = ifindex, .addr = addr, .up = up };
	struct ip_addr hop = ip_addr_v4(addr);

	if (rib_is_lost(r->snap->core.rib, ifindex, &hop) != up)
		return -EALREADY;
	if (!up && rib_n_lost(r->snap->core.rib) >= CONTROL_DEAD_HOPS_MAX)
		return -ENOSPC;
	if (r->record != NULL)
		worker_call(r->core[0].worker, change_hop_in_worker, &c);
	else
		(void)rib_neighbour_changed(r->snap->core.rib, ifindex, &hop, up);
	/* Also who sleeps while the kernel forwards: flows by it are taken back at once. */
	wake_all(r);
	run_routes_changed(r);
	return 0;
}

/* Numbers of interfaces that are gone may be given to others. */
static void forget_hops(struct run *r, uint64_t gone)
{
	struct ip_addr addr;
	uint32_t ifindex;

	for (size_t i = 0; rib_lost(r->snap->core.rib, i, &ifindex, &addr);) {
		if ((gone >> ifindex & 1) == 0 || run_next_hop_change(r, ifindex, addr.v4, true) != 0)
			i++;
	}
}

/* --- after a reload --- */

/* The first route of a command to that prefix which does not fit. gone: bits, interfaces that were other ones before.
 */
static bool find_unfit(const struct run *r, uint64_t gone, uint64_t prefix, struct rib_route *out, char *err,
		       size_t err_len)
{
	const struct snapshot *snap = r->snap;
	struct rib_info info;

	for (uint32_t k = 0; rib_route_of(snap->core.rib, prefix, k, &info); k++) {
		*out = info.route;
		if (out->source != RIB_RUNTIME)
			continue;
		if (info.n_ways > 0) {
			out->n_paths = (uint8_t)info.n_ways;
			out->path = info.way;
		}
		bool fits = route_fits(snap->core.rib, &snap->core.ip, out, err, err_len);

		if (fits && (info.named & gone) != 0) {
			snprintf(err, err_len, "its interface has left the config");
			fits = false;
		}
		out->n_paths = 0;
		out->path = NULL;
		if (!fits)
			return true;
	}
	return false;
}

#define TOLD_MAX 10u

void run_routes_refit(struct run *r, const struct snapshot *before)
{
	struct rib *rib = r->snap->core.rib;
	char err[200], text[IP_TEXT_MAX];
	struct rib_route route;
	uint64_t gone = 0;
	size_t n, n_ended = 0;

	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		gone |= (uint64_t)(strcmp(before->core.ip.interface[i].name, r->snap->core.ip.interface[i].name) != 0)
			<< i;
	forget_hops(r, gone);
	uint64_t *prefix = rib_n_of(rib, RIB_RUNTIME) > 0 ? rib_prefixes(rib, &n) : NULL;

	for (size_t i = 0; prefix != NULL && i < n; i++) {
		while (find_unfit(r, gone, prefix[i], &route, err, sizeof(err)) && run_route_unset(r, &route) == 0) {
			if (n_ended++ < TOLD_MAX)
				run_say("the route to %s that a command added ends: %s",
					ip_prefix_format(&route.prefix, text), err);
		}
	}
	free(prefix);
	if (n_ended > TOLD_MAX)
		run_say("and %zu more", n_ended - TOLD_MAX);
	(void)run_routes_flush(r);
}
