/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Routes of the kernel's tables, as the config asks for them (`kernel table`): each
 * stands in the RIB with source `kernel`, in the zone that the config names, as long
 * as the kernel has it and it leads over an interface of ours. Whoever speaks a
 * routing protocol beside the gateway, or says `ip route`, is followed so.
 *
 * Changes come as messages, and each goes into the RIB by itself. What messages do not
 * say (netlink_routes.h) is found by asking for all: what is there is set, which changes
 * nothing where it is so already; what the RIB has of the kernel and the kernel has not
 * any more is taken out. Messages from before are thrown away first: what came by one of
 * them may have gone by one that was lost. Between two times that all are asked for lies
 * as much time as it took, and 100 ms at least, since each piece of a flood may want it.
 * What devices do matters for ours only, unless one of another's may hide one of ours.
 */
#include "daemon/run/run_kernel_priv.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#define ASK_EVERY_MS 100u

/* A route's name, but for its source, which is the kernel. */
struct run_kernel_name {
	uint32_t addr, metric;
	uint16_t zone;
	uint8_t len;
};

static int compare(const void *a, const void *b)
{
	const struct run_kernel_name *x = a, *y = b;

	if (x->zone != y->zone)
		return x->zone < y->zone ? -1 : 1;
	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return x->metric < y->metric ? -1 : x->metric > y->metric;
}

static bool note(struct run_kernel *k, const struct run_kernel_name *name)
{
	if (k->n_there == k->cap_there) {
		size_t cap = k->cap_there != 0 ? 2 * k->cap_there : 64;
		struct run_kernel_name *bigger = realloc(k->there, cap * sizeof(*bigger));

		if (bigger == NULL) {
			k->no_memory = true;
			return false;
		}
		k->there = bigger;
		k->cap_there = cap;
	}
	k->there[k->n_there++] = *name;
	return true;
}

/* Those of one name come one behind the other, the one that the kernel goes by first. */
static void is_there(void *ctx, enum netlink_route_change change, const struct netlink_route *n)
{
	struct run_kernel *k = ctx;
	const struct config_kernel_table *t = run_kernel_table(k, n);

	(void)change;
	if (t == NULL)
		return;
	struct run_kernel_name name = { n->prefix.addr, n->metric, t->zone, n->prefix.len };

	if (k->n_there > 0 && compare(&k->there[k->n_there - 1], &name) == 0) {
		k->has_several |= run_kernel_leads(k, t, n) || run_kernel_is_in_rib(k, t, n);
	} else if (note(k, &name)) {
		run_kernel_set(k, t, n);
	}
}

/* A route of the kernel's to that prefix which it has not any more. */
static bool find_gone(const struct run_kernel *k, uint64_t prefix, struct rib_route *out)
{
	struct rib_info info;

	for (uint32_t i = 0; rib_route_of(k->run->snap->core.rib, prefix, i, &info); i++) {
		struct run_kernel_name name = { info.route.prefix.addr.v4, info.route.instance, info.route.zone,
						info.route.prefix.len };

		*out = info.route;
		if (info.route.source == RIB_KERNEL &&
		    (k->n_there == 0 || bsearch(&name, k->there, k->n_there, sizeof(name), compare) == NULL))
			return true;
	}
	return false;
}

/* False: not all of them, for want of memory. */
static bool remove_gone(struct run_kernel *k)
{
	const struct rib *rib = k->run->snap->core.rib;
	struct rib_route route;
	size_t n = 0;
	bool had_any = rib_n_of(rib, RIB_KERNEL) > 0;
	uint64_t *prefix = had_any ? rib_prefixes(rib, &n) : NULL;
	int rc = had_any && prefix == NULL ? -ENOMEM : 0;

	if (k->n_there > 1)
		qsort(k->there, k->n_there, sizeof(*k->there), compare);
	for (size_t i = 0; i < n && rc == 0; i++)
		while (rc == 0 && find_gone(k, prefix[i], &route))
			rc = run_route_change(k->run, CORE_ROUTE_UNSET, &route);
	free(prefix);
	return rc == 0;
}

static void device_changed(void *ctx, const struct netlink_link *now)
{
	struct run_kernel *k = ctx;

	if (k->has_several || run_kernel_is_news(k, now))
		run_kernel_ask_soon(k);
}

/* All are told of, and what is not among them is out. What a device does is known before its routes are asked for: the
 * kernel answers for a device only when it has done all that belongs to a change. */
static bool compare_all(struct run_kernel *k)
{
	struct netlink_routes_user user = { is_there, device_changed, run_kernel_has_device, k };

	if (!netlink_routes_forget(k->netlink))
		return false;
	run_kernel_learn_devices(k);
	return netlink_routes_get(&user) == 0 && !k->no_memory && remove_gone(k);
}

/* What is asked for while it changes comes in pieces that do not belong together, and is asked for again. */
static void ask(struct run_kernel *k)
{
	uint64_t began_ns = worker_clock();

	(void)event_del(k->ask);
	k->will_ask = false;
	k->n_there = 0;
	k->no_memory = k->has_several = false;
	bool again = !compare_all(k);

	free(k->there);
	k->there = NULL;
	k->n_there = k->cap_there = 0;
	k->asked_ns = worker_clock();
	k->took_ns = k->asked_ns - began_ns;
	/* What wanted it meanwhile waits from now on. */
	again |= k->will_ask;
	k->will_ask = false;
	if (again)
		run_kernel_ask_soon(k);
}

static void on_ask(evutil_socket_t fd, short what, void *ctx)
{
	ask(ctx);
}

void run_kernel_ask_soon(struct run_kernel *k)
{
	uint64_t pause_ns = max_u64(ASK_EVERY_MS * NS_PER_MS, k->took_ns), since_ns = worker_clock() - k->asked_ns;
	uint64_t later_us = since_ns < pause_ns ? (pause_ns - since_ns) / 1000 : 0;
	struct timeval later = { .tv_sec = (time_t)(later_us / 1000000), .tv_usec = (suseconds_t)(later_us % 1000000) };

	if (k->ask != NULL && !k->will_ask)
		k->will_ask = event_add(k->ask, &later) == 0;
}

/* --- its life --- */

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	netlink_routes_dispatch(((struct run_kernel *)ctx)->netlink);
}

static void unfollow(struct run_kernel *k)
{
	if (k->readable != NULL)
		event_free(k->readable);
	if (k->ask != NULL)
		event_free(k->ask);
	netlink_routes_close(k->netlink);
	*k = (struct run_kernel){ .run = k->run };
}

static bool follow(struct run_kernel *k, char *err, size_t err_len)
{
	struct netlink_routes_user user = { run_kernel_changed, device_changed, run_kernel_has_device, k };

	k->netlink = netlink_routes_open(&user, err, err_len);
	if (k->netlink == NULL)
		return false;
	k->readable = event_new(k->run->base, netlink_routes_fd(k->netlink), EV_READ | EV_PERSIST, on_readable, k);
	k->ask = event_new(k->run->base, -1, 0, on_ask, k);
	if (k->readable != NULL && k->ask != NULL && event_add(k->readable, NULL) == 0)
		return true;
	snprintf(err, err_len, "no memory to watch the kernel's routes");
	unfollow(k);
	return false;
}

void run_kernel_configure(struct run *r)
{
	struct run_kernel *k = r->kernel;
	char err[160];

	if (k == NULL && r->snap->n_kernel_tables > 0)
		k = r->kernel = calloc(1, sizeof(*k));
	if (k == NULL)
		return;
	k->run = r;
	if (r->snap->n_kernel_tables == 0) {
		unfollow(k);
		(void)remove_gone(k);
	} else if (k->netlink != NULL || follow(k, err, sizeof(err))) {
		ask(k);
	} else {
		run_say("%s", err);
	}
	(void)run_routes_flush(r);
}

void run_kernel_end(struct run *r)
{
	if (r->kernel != NULL)
		unfollow(r->kernel);
	free(r->kernel);
	r->kernel = NULL;
}
