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
 * With a recording the routes change only where the recording says so: what is left
 * to be done is done at once.
 */
#include "daemon/run/run_priv.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

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

void run_routes_look(struct run *r)
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

static void wake_all(struct run *r)
{
	for (uint32_t i = 0; i < r->n_members; i++)
		worker_wake(r->core[i].worker);
}

static void go_on(evutil_socket_t fd, short what, void *ctx)
{
	struct run *r = ctx;
	static const struct timeval at_once;

	r->routes_busy = rib_work(r->snap->core.rib, PREFIXES_A_SLICE) &&
			 event_base_once(r->base, -1, EV_TIMEOUT, go_on, r, &at_once) == 0;
	wake_all(r);
	run_routes_look(r);
}

void run_routes_changed(struct run *r)
{
	if (!r->routes_busy)
		go_on(-1, 0, r);
}
