/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The kernel's fast path, tied to the running cores.
 *
 * A port that is attached but not up has its program, and every way out by it says
 * "up": so what comes in there, and what would leave there, goes through user
 * space. fast_port_up opens the ways out by it; fast_port_down, which comes before
 * the device goes, closes them at once, while flows stay where they are.
 *
 * fast_stop credits the deferred counters while the core is still whole.
 *
 * What the cores share is made before the first and freed after the last of them:
 * the maps and their writer (flow_map.h), which takes several threads. Of `core`
 * each worker touches its own entry alone. `port` is the control thread's; workers
 * read it inside worker_call.
 */
#include "daemon/fastpath/fast.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/fastpath/flow_map.h"

/* About a millisecond. */
#define CATCH_UP_MAX 8192u

struct fast_core {
	struct offload_map *map; /* NULL: not tied */
	struct gateway *gateway;
};

struct fast {
	struct fastpath *path;
	struct flow_map *flows;
	struct offload_queues *queues; /* NULL with one core */
	uint32_t n_cores;
	bool used; /* a port has, or has had, a program */
	struct fast_core core[WORKERS_MAX];
	struct {
		uint32_t ifindex; /* the kernel's; 0: not attached */
		enum fastpath_kind kind;
		enum fp_egress how;
	} port[IP_INTERFACES_MAX];
};

struct fast_limits fast_limits(uint32_t offload_max, uint32_t n_connections, uint32_t n_neighbours, uint32_t n_cores)
{
	uint64_t each = n_neighbours != 0 ? n_neighbours : IP_NEIGHBOURS_DEFAULT;

	return (struct fast_limits){
		.maps.n_connections =
			offload_max != 0 ? offload_max : min_u32(n_connections, FAST_CONNECTIONS_DEFAULT_MAX),
		/* With more, a core's neighbours of high numbers are reached through user space. */
		.maps.n_adjacencies = (uint32_t)min_u64(each * n_cores, IP_ADJACENCIES_MAX),
		.n_cores = n_cores,
	};
}

int fast_open(const struct fast_limits *limits, struct fast **out, char *err, size_t err_len)
{
	struct fast *f = calloc(1, sizeof(*f));
	int rc = f != NULL ? fastpath_open(&limits->maps, &f->path, err, err_len) : -ENOMEM;
	uint8_t key[16], mark[2];

	if (rc != 0) {
		free(f);
		return rc;
	}
	f->n_cores = limits->n_cores;
	/* Not a core's own random numbers: with and without the kernel the core chooses the same. */
	if (getrandom(key, sizeof(key), 0) == (ssize_t)sizeof(key))
		f->flows = flow_map_create(fastpath_maps(f->path), key);
	if (getrandom(mark, sizeof(mark), 0) == (ssize_t)sizeof(mark)) {
		/* A group's address, given locally, and none that is in use. */
		mark[0] = (uint8_t)(mark[0] % 11 << 2 | 0x43);
		memcpy(&fastpath_maps(f->path)->config->stamp_mark, mark, sizeof(mark));
	}
	if (f->n_cores > 1)
		f->queues = offload_queues_create(f->n_cores);
	if (f->flows == NULL || (f->n_cores > 1 && f->queues == NULL)) {
		snprintf(err, err_len, "no memory for the writer of the kernel's flow map");
		fast_close(f);
		return -ENOMEM;
	}
	*out = f;
	return 0;
}

void fast_close(struct fast *f)
{
	if (f == NULL)
		return;
	for (uint32_t i = 0; i < f->n_cores; i++)
		fast_stop(f, i);
	flow_map_destroy(f->flows);
	offload_queues_destroy(f->queues);
	fastpath_close(f->path);
	free(f);
}

struct fastpath *fast_path(struct fast *f)
{
	return f->path;
}

uint16_t fast_stamp_mark(const struct fast *f)
{
	return (uint16_t)fastpath_maps(f->path)->config->stamp_mark;
}

int fast_attach(struct fast *f, const struct fastpath_port *port, char *err, size_t err_len)
{
	int rc = fastpath_attach(f->path, port, err, err_len);

	if (rc != 0)
		return rc;
	f->used = true;
	f->port[port->number].how = fastpath_egress(f->path, port->kind, port->ifindex, NULL);
	f->port[port->number].kind = port->kind;
	f->port[port->number].ifindex = port->ifindex;
	return 0;
}

bool fast_unused(const struct fast *f)
{
	return !f->used;
}

bool fast_has_port(const struct fast *f, enum fast_hook hook)
{
	for (uint32_t i = 0; i < IP_INTERFACES_MAX; i++)
		if (f->port[i].ifindex != 0 && (f->port[i].kind == FASTPATH_TC) == (hook == FAST_TC))
			return true;
	return false;
}

bool fast_ask_again(struct fast *f, uint32_t number)
{
	enum fp_egress how;

	if (f->port[number].ifindex == 0)
		return false;
	how = fastpath_egress(f->path, f->port[number].kind, f->port[number].ifindex, NULL);
	if (how == f->port[number].how)
		return false;
	f->port[number].how = how;
	return true;
}

void fast_detach(struct fast *f, uint32_t number)
{
	f->port[number].ifindex = 0;
	fastpath_detach(f->path, number);
}

/* --- the core's side --- */

static void expire(void *ctx)
{
	offload_map_expire(((struct fast_core *)ctx)->map);
}

static uint64_t next_deadline(const void *ctx)
{
	return offload_map_next_deadline(((const struct fast_core *)ctx)->map);
}

static void seen_empty(void *ctx, uint32_t ifindex)
{
	offload_map_seen_empty(((struct fast_core *)ctx)->map, ifindex);
}

int fast_start(struct fast *f, uint32_t core, struct gateway *g)
{
	const struct offload_share share = { .maps = fastpath_maps(f->path),
					     .flows = f->flows,
					     .queues = f->queues,
					     .core = core,
					     .n_cores = f->n_cores };
	struct flowcache *flowcache = gateway_flowcache(g);
	struct fast_core *c = &f->core[core];

	if (c->map != NULL)
		return 0;
	c->map = offload_map_create(gateway_env(g), gateway_ip(g), gateway_conntrack(g), flowcache, &share);
	if (c->map == NULL)
		return -ENOMEM;
	c->gateway = g;
	offload_map_set_left(c->map, flowcache_left, flowcache);
	flowcache_set_offload(flowcache, offload_map_slots(c->map));
	gateway_set_aux(g,
			&(struct gateway_aux){
				.ctx = c, .expire = expire, .next_deadline = next_deadline, .seen_empty = seen_empty });
	return 0;
}

void fast_stop(struct fast *f, uint32_t core)
{
	struct fast_core *c = &f->core[core];

	if (c->map == NULL)
		return;
	gateway_set_aux(c->gateway, &(struct gateway_aux){ 0 });
	/* Invalidates all flow cache entries, upon which the deferred counters are credited; then nobody asks us any
	 * more. */
	flowcache_set_offload(gateway_flowcache(c->gateway), NULL);
	offload_map_destroy(c->map);
	*c = (struct fast_core){ 0 };
}

void fast_port_up(struct fast *f, uint32_t core, uint32_t number)
{
	if (f->core[core].map == NULL)
		return;
	offload_map_set_kind(f->core[core].map, number, f->port[number].kind);
	offload_map_set_port(f->core[core].map, number, f->port[number].ifindex, f->port[number].how);
}

void fast_port_down(struct fast *f, uint32_t core, uint32_t number)
{
	if (f->core[core].map != NULL)
		offload_map_set_port(f->core[core].map, number, 0, FP_EGRESS_UP);
}

/* --- for people --- */

bool fast_read_back(struct fast *f, uint32_t core, uint32_t conn)
{
	struct offload_map *m = f->core[core].map;
	const struct flowcache_offload *o;

	if (m == NULL || !offload_map_has(m, conn))
		return false;
	o = offload_map_slots(m);
	(void)o->read_back(o->ctx, conn);
	return true;
}

void fast_catch_up(struct fast *f, uint32_t core)
{
	struct offload_map_info info;

	fast_info(f, core, &info);
	if (f->core[core].map != NULL && info.n_connections <= CATCH_UP_MAX)
		offload_map_read_all(f->core[core].map);
}

void fast_info(const struct fast *f, uint32_t core, struct offload_map_info *out)
{
	*out = (struct offload_map_info){ 0 };
	if (f->core[core].map != NULL)
		offload_map_info(f->core[core].map, out);
}

void fast_counts(const struct fast *f, struct fastpath_counts *out)
{
	fastpath_counts(f->path, out);
}
