/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ports of our own addresses, as sockets and NAT both see them.
 *
 * A worker whose map brings a port into use counts itself into the port's word, and
 * sees with the same step whether a socket has it; a socket sets its bit, and sees with
 * the same step whether a worker is there. So of two that want one port at the same
 * time one is first, and the other one knows. A port that was in use before a socket
 * was bound to it stays in use by those who have it, who can be told apart by their other end; nobody
 * is given it any more.
 *
 * Which socket's it is, and how many have it, is counted apart, by the host alone. A
 * socket bound to any address has the port of each address, also of those that come later.
 *
 * What always holds: the bit is set while a count of that address, or that of any
 * address, is not 0.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stack/ports/own_ports.h"

_Static_assert(PORT_PROTO_TCP < OWN_PORT_PROTOS && PORT_PROTO_UDP < OWN_PORT_PROTOS &&
		       PORT_PROTO_ICMP < OWN_PORT_PROTOS,
	       "they come first");

#define BUCKETS 256u

struct own_ports {
	struct own_ports_row any; /* of sockets that are bound to no address; it has no words */
	struct own_ports_row **row;
	uint32_t n_rows;
	uint32_t n_users;        /* changed at rest */
	uint32_t first[BUCKETS]; /* number + 1 */
	uint32_t *chain;
};

struct own_ports *own_ports_create(void)
{
	struct own_ports *o = calloc(1, sizeof(*o));

	return o != NULL ? own_ports_share(o) : NULL;
}

struct own_ports *own_ports_share(struct own_ports *o)
{
	o->n_users++;
	return o;
}

static void free_counts(struct own_ports_row *r)
{
	for (uint32_t p = 0; p < OWN_PORT_PROTOS; p++)
		free(r->n_sockets[p]);
}

void own_ports_put(struct own_ports *o)
{
	if (--o->n_users > 0)
		return;
	for (uint32_t i = 0; i < o->n_rows; i++) {
		free_counts(o->row[i]);
		free(o->row[i]->word);
		free(o->row[i]);
	}
	free_counts(&o->any);
	free(o->row);
	free(o->chain);
	free(o);
}

static uint32_t *bucket_of(struct own_ports *o, uint32_t addr)
{
	return &o->first[addr * 2654435761u / (UINT32_MAX / BUCKETS + 1)];
}

struct own_ports_row *own_ports_find(const struct own_ports *o, uint32_t addr)
{
	uint32_t i = *bucket_of((struct own_ports *)(uintptr_t)o, addr);

	while (i != 0 && o->row[i - 1]->addr != addr)
		i = o->chain[i - 1];
	return i != 0 ? o->row[i - 1] : NULL;
}

/* Sockets of any address have its ports too. */
static void set_any(const struct own_ports *o, struct own_ports_row *r)
{
	for (uint32_t p = 0; p < OWN_PORT_PROTOS; p++)
		for (uint32_t port = 0; o->any.n_sockets[p] != NULL && port < OWN_PORTS; port++)
			if (o->any.n_sockets[p][port] > 0)
				atomic_fetch_or(own_port_word_of(r, (enum port_proto)p, port), OWN_PORT_SOCKET);
}

static bool grow(struct own_ports *o)
{
	struct own_ports_row **row;
	uint32_t *chain;

	if ((o->n_rows & (o->n_rows - 1)) != 0)
		return true;
	row = realloc(o->row, (2 * o->n_rows + 1) * sizeof(struct own_ports_row *));
	if (row == NULL)
		return false;
	o->row = row;
	chain = realloc(o->chain, (2 * o->n_rows + 1) * sizeof(*chain));
	if (chain == NULL)
		return false;
	o->chain = chain;
	return true;
}

int own_ports_add(struct own_ports *o, uint32_t addr)
{
	if (own_ports_find(o, addr) != NULL)
		return 0;
	struct own_ports_row *r = calloc(1, sizeof(*r));

	if (r == NULL || !grow(o) ||
	    (r->word = calloc((size_t)OWN_PORT_PROTOS * OWN_PORTS, sizeof(*r->word))) == NULL) {
		free(r);
		return -ENOMEM;
	}
	r->addr = addr;
	set_any(o, r);
	o->row[o->n_rows] = r;
	o->chain[o->n_rows] = *bucket_of(o, addr);
	*bucket_of(o, addr) = ++o->n_rows;
	return 0;
}

/* --- sockets --- */

static bool make_counts(struct own_ports_row *r, enum port_proto proto)
{
	if (r->n_sockets[proto] == NULL)
		r->n_sockets[proto] = calloc(OWN_PORTS, sizeof(uint32_t));
	return r->n_sockets[proto] != NULL;
}

static bool has_count(const struct own_ports_row *r, enum port_proto proto, uint16_t port)
{
	return r->n_sockets[proto] != NULL && r->n_sockets[proto][port] > 0;
}

static void clear_if_nobodys(struct own_ports *o, struct own_ports_row *r, enum port_proto proto, uint16_t port)
{
	if (!has_count(r, proto, port) && !has_count(&o->any, proto, port))
		atomic_fetch_and(own_port_word_of(r, proto, port), (uint16_t)~OWN_PORT_SOCKET);
}

/* The bit of one address. False: whoever has the port may not be joined; a bit that others have set stays. */
static bool set_bit(struct own_ports *o, struct own_ports_row *r, enum port_proto proto, uint16_t port,
		    enum ports_socket how)
{
	uint16_t was = atomic_fetch_or(own_port_word_of(r, proto, port), OWN_PORT_SOCKET);
	uint16_t in_way = how == PORTS_SOCKET_DRAWN ? OWN_PORT_COUNT : how == PORTS_SOCKET_WANTED ? OWN_PORT_ALONE : 0;

	/* Sockets settle among themselves who may have it. */
	if ((was & OWN_PORT_SOCKET) != 0 || (was & in_way) == 0)
		return true;
	clear_if_nobodys(o, r, proto, port);
	return false;
}

static bool set_all(struct own_ports *o, enum port_proto proto, uint16_t port, enum ports_socket how)
{
	uint32_t n = 0;

	while (n < o->n_rows && set_bit(o, o->row[n], proto, port, how))
		n++;
	for (uint32_t i = 0; n < o->n_rows && i < n; i++)
		clear_if_nobodys(o, o->row[i], proto, port);
	return n == o->n_rows;
}

bool own_ports_take(struct own_ports *o, uint32_t addr, enum port_proto proto, uint16_t port, enum ports_socket how)
{
	struct own_ports_row *r = addr == 0 ? &o->any : own_ports_find(o, addr);

	/* Of an address that is none of ours NAT and sockets never both have a port. */
	if (proto >= OWN_PORT_PROTOS || r == NULL)
		return true;
	if (!make_counts(r, proto))
		return how == PORTS_SOCKET_ONE_MORE;
	if (r->n_sockets[proto][port] == 0 &&
	    !(addr == 0 ? set_all(o, proto, port, how) : set_bit(o, r, proto, port, how)))
		return false;
	r->n_sockets[proto][port]++;
	return true;
}

void own_ports_give_back(struct own_ports *o, uint32_t addr, enum port_proto proto, uint16_t port)
{
	struct own_ports_row *r = addr == 0 ? &o->any : own_ports_find(o, addr);

	/* What was taken before the address was ours, or without memory, was not counted. */
	if (proto >= OWN_PORT_PROTOS || r == NULL || !has_count(r, proto, port) || --r->n_sockets[proto][port] > 0)
		return;
	if (addr != 0) {
		clear_if_nobodys(o, r, proto, port);
		return;
	}
	for (uint32_t i = 0; i < o->n_rows; i++)
		clear_if_nobodys(o, o->row[i], proto, port);
}
