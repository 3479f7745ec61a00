/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ports of addresses of our own: sockets of the host have some, and connections that
 * are translated to such an address have others. Workers and host, each on a thread of
 * its own, meet here, a word a port; nobody locks.
 */
#ifndef YG_STACK_PORTS_OWN_PORTS_H
#define YG_STACK_PORTS_OWN_PORTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "stack/ports/port_proto.h"

/* Those that sockets have: TCP, UDP, and identifiers of ICMP, which come first among them. */
#define OWN_PORT_PROTOS 3u
#define OWN_PORTS 65536u

/* Of a port's word. */
#define OWN_PORT_SOCKET 0x8000u /* a socket has it */
#define OWN_PORT_ALONE 0x4000u  /* a mapping has it that shares it with nobody */
#define OWN_PORT_COUNT 0x3fffu  /* maps of workers and zones in which it is in use */

typedef _Atomic uint16_t own_port_word;

struct own_ports_row {
	uint32_t addr;
	own_port_word *word;                  /* OWN_PORT_PROTOS times OWN_PORTS */
	uint32_t *n_sockets[OWN_PORT_PROTOS]; /* by port; NULL: none yet. Of the host's thread */
};

struct own_ports;

/* NULL without memory. It is gone when it was put as often as it was shared, and once more. */
struct own_ports *own_ports_create(void);
struct own_ports *own_ports_share(struct own_ports *o);
void own_ports_put(struct own_ports *o);

/* While everybody is at rest: the address is one of ours, for good. 0, also when it is known, or -ENOMEM. */
int own_ports_add(struct own_ports *o, uint32_t addr);
/* NULL: it is none of ours. */
struct own_ports_row *own_ports_find(const struct own_ports *o, uint32_t addr);

/* --- by the host, as the one thread that has sockets --- */

enum ports_socket {
	PORTS_SOCKET_DRAWN,    /* one of many: nobody else may have it */
	PORTS_SOCKET_WANTED,   /* this very one: only a mapping that shares with nobody is in its way */
	PORTS_SOCKET_ONE_MORE, /* of a port that a socket has, whatever is in its way */
};
/* addr 0: of all addresses. Counted. False: somebody else has it, or there is no memory. */
bool own_ports_take(struct own_ports *o, uint32_t addr, enum port_proto proto, uint16_t port, enum ports_socket how);
void own_ports_give_back(struct own_ports *o, uint32_t addr, enum port_proto proto, uint16_t port);

/* --- by a worker, of a port that comes into use in a map of its --- */

static inline own_port_word *own_port_word_of(const struct own_ports_row *r, enum port_proto proto, uint32_t port)
{
	return &r->word[proto * OWN_PORTS + port];
}

/* False: a socket has it. flags: OWN_PORT_ALONE or 0. */
static inline bool own_port_use(const struct own_ports_row *r, enum port_proto proto, uint32_t port, uint32_t flags)
{
	own_port_word *w = own_port_word_of(r, proto, port);

	if ((atomic_fetch_add(w, 1) & OWN_PORT_SOCKET) != 0) {
		atomic_fetch_sub(w, 1);
		return false;
	}
	if (flags != 0)
		atomic_fetch_or(w, (uint16_t)flags);
	return true;
}

static inline void own_port_unuse(const struct own_ports_row *r, enum port_proto proto, uint32_t port)
{
	own_port_word *w = own_port_word_of(r, proto, port);

	if ((atomic_load_explicit(w, memory_order_relaxed) & OWN_PORT_ALONE) != 0)
		atomic_fetch_and(w, (uint16_t)~OWN_PORT_ALONE);
	atomic_fetch_sub(w, 1);
}

static inline bool own_port_has_socket(const struct own_ports_row *r, enum port_proto proto, uint32_t port)
{
	return (atomic_load_explicit(own_port_word_of(r, proto, port), memory_order_relaxed) & OWN_PORT_SOCKET) != 0;
}

#endif
