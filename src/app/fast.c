/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The kernel's fast path, tied to a running core.
 *
 * A port that is attached but not up has its program, and no flow refers to a way
 * out by it: everything that comes in there goes up. fast_port_up lets flows use
 * it; fast_port_down, which comes before the device goes, takes every way out by
 * it back at once, while flows stay where they are.
 *
 * fast_stop credits what is owed while the core is still whole.
 */
#include "app/fast.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

/* About a millisecond. */
#define CATCH_UP_MAX 8192u

struct fast {
	struct fastpath *path;
	struct offload_map *map; /* NULL: not tied to a core */
	struct gateway *gateway;
	struct {
		uint32_t ifindex; /* the kernel's; 0: not attached */
		enum fastpath_kind kind;
		enum fp_how how;
	} port[IP_INTERFACES_MAX];
};

struct fastpath_limits fast_limits(uint32_t offload_max, uint32_t n_connections, uint32_t n_neighbours)
{
	return (struct fastpath_limits){
		.n_connections = offload_max != 0 ? offload_max : min_u32(n_connections, FAST_CONNECTIONS_DEFAULT_MAX),
		.n_adjacencies = min_u32(n_neighbours, IP_ADJACENCIES_MAX),
	};
}

int fast_open(const struct fastpath_limits *limits, struct fast **out, char *err, size_t err_len)
{
	struct fast *f = calloc(1, sizeof(*f));
	int rc = f != NULL ? fastpath_open(limits, &f->path, err, err_len) : -ENOMEM;

	if (rc != 0) {
		free(f);
		return rc;
	}
	*out = f;
	return 0;
}

void fast_close(struct fast *f)
{
	if (f == NULL)
		return;
	fast_stop(f);
	fastpath_close(f->path);
	free(f);
}

struct fastpath *fast_path(struct fast *f)
{
	return f->path;
}

int fast_attach(struct fast *f, const struct fastpath_port *port, char *err, size_t err_len)
{
	int rc = fastpath_attach(f->path, port, err, err_len);

	if (rc != 0)
		return rc;
	f->port[port->number].how = fastpath_how(f->path, port->kind, port->ifindex);
	f->port[port->number].kind = port->kind;
	f->port[port->number].ifindex = port->ifindex;
	return 0;
}

bool fast_ask_again(struct fast *f, uint32_t number)
{
	enum fp_how how;

	if (f->port[number].ifindex == 0)
		return false;
	how = fastpath_how(f->path, f->port[number].kind, f->port[number].ifindex);
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
	offload_map_expire(((struct fast *)ctx)->map);
}

static uint64_t next_deadline(const void *ctx)
{
	return offload_map_next_deadline(((const struct fast *)ctx)->map);
}

static void seen_empty(void *ctx, uint32_t ifindex)
{
	offload_map_seen_empty(((struct fast *)ctx)->map, ifindex);
}

int fast_start(struct fast *f, struct gateway *g)
{
	struct shortcuts *shortcuts = gateway_shortcuts(g);
	uint8_t key[16];

	if (f->map != NULL)
		return 0;
	/* Not the core's own random numbers: with and without the kernel the core chooses the same. */
	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return -EIO;
	f->map = offload_map_create(gateway_env(g), gateway_ip(g), gateway_conntrack(g), shortcuts,
				    fastpath_maps(f->path), key);
	if (f->map == NULL)
		return -ENOMEM;
	f->gateway = g;
	offload_map_set_left(f->map, shortcuts_left, shortcuts);
	shortcuts_set_offload(shortcuts, offload_map_slots(f->map));
	gateway_set_side(
		g, &(struct gateway_side){
			   .ctx = f, .expire = expire, .next_deadline = next_deadline, .seen_empty = seen_empty });
	return 0;
}

void fast_stop(struct fast *f)
{
	if (f->map == NULL)
		return;
	gateway_set_side(f->gateway, &(struct gateway_side){ 0 });
	/* Voids all shortcuts, upon which what is owed is credited; then nobody asks us any more. */
	shortcuts_set_offload(gateway_shortcuts(f->gateway), NULL);
	offload_map_destroy(f->map);
	f->map = NULL;
	f->gateway = NULL;
}

void fast_port_up(struct fast *f, uint32_t number)
{
	if (f->map != NULL)
		offload_map_set_port(f->map, number, f->port[number].ifindex, f->port[number].how);
}

void fast_port_down(struct fast *f, uint32_t number)
{
	if (f->map != NULL)
		offload_map_set_port(f->map, number, 0, FP_HOW_UP);
}

/* --- for people --- */

bool fast_read_back(struct fast *f, uint32_t conn)
{
	const struct shortcuts_offload *o;

	if (f->map == NULL || !offload_map_has(f->map, conn))
		return false;
	o = offload_map_slots(f->map);
	(void)o->read_back(o->ctx, conn);
	return true;
}

void fast_catch_up(struct fast *f)
{
	struct offload_map_info info;

	fast_info(f, &info);
	if (f->map != NULL && info.n_connections <= CATCH_UP_MAX)
		offload_map_read_all(f->map);
}

void fast_info(const struct fast *f, struct offload_map_info *out)
{
	*out = (struct offload_map_info){ 0 };
	if (f->map != NULL)
		offload_map_info(f->map, out);
}

void fast_counts(const struct fast *f, struct fastpath_counts *out)
{
	fastpath_counts(f->path, out);
}
