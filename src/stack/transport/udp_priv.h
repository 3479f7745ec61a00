/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of UDP share: udp.c (sockets, and what comes), udp_port.c (who has a port), udp_out.c (what goes).
 */
#ifndef YG_STACK_TRANSPORT_UDP_PRIV_H
#define YG_STACK_TRANSPORT_UDP_PRIV_H

#include "base/pool.h"
#include "base/siphash.h"
#include "stack/transport/udp.h"

#define UDP_PORT_BUCKETS 1024u

/* Why a datagram that came had no socket, or no place in its queue. */
enum udp_lost { UDP_LOST_NO_PORT, UDP_LOST_QUEUE_FULL, N_UDP_LOST };

struct udp {
	struct datagram_stack d;
	struct pool sockets, groups;
	struct siphash_key key;
	uint32_t of_port[UDP_PORT_BUCKETS];
	uint32_t *of_tuple;
	uint32_t tuple_mask;
	uint16_t port_first, port_last;
	udp_unknown_fn *unknown;
	void *unknown_ctx;
	uint64_t n_lost[N_UDP_LOST];
};

static inline struct udp_socket *udp_socket_at(const struct udp *u, uint32_t i)
{
	return pool_at(&u->sockets, i);
}

static inline bool udp_device_fits(const struct datagram_socket *s, uint32_t ifindex)
{
	return s->o.ifindex == 0 || s->o.ifindex == ifindex;
}

/* --- udp.c --- */

/* To each that hears it; true: p is somebody else's now. */
bool udp_input_many(struct udp *u, struct packet *p);

/* --- udp_port.c --- */

/* What a look-up is about: the other end's view of it. */
struct udp_flow {
	uint32_t laddr, raddr;
	uint16_t lport, rport, zone;
	uint32_t ifindex;
};
struct udp_socket *udp_find(struct udp *u, const struct udp_flow *f);
/* The first of the list that has those of a port (next_port); POOL_NONE. */
uint32_t udp_first_at(const struct udp *u, uint16_t port);
/* The socket with a port, of its own choice or drawn (0). -EADDRINUSE. */
int udp_take_port(struct udp *u, struct udp_socket *s, uint16_t port);
/* Out of all lists. */
void udp_leave(struct udp *u, struct udp_socket *s);

#endif
