/* SPDX-License-Identifier: BSD-2-Clause
 *
 * UDP: who has a port.
 *
 * A bound socket is in the list of its port's bucket, newest first; a connected one
 * also in that of its four-tuple, so that a server with a connected socket for each
 * client finds it at once. A packet to one host goes to the socket of its four-tuple,
 * else to the best that is bound to the port and not connected: one with the address
 * before one for any, one with the interface before one for any, among equals the
 * newest, or with SO_REUSEPORT the one that the flow's hash says.
 */
#include <errno.h>

#include "base/util.h"
#include "stack/ip/route.h"
#include "stack/transport/udp_priv.h"

/* Ports that are drawn before the rest is looked through in a row (RFC 6056 section 3.3.2, algorithm 2). */
#define DRAWS 64u

/* --- tables --- */

static uint32_t *port_bucket(struct udp *u, uint16_t port)
{
	return &u->of_port[port % UDP_PORT_BUCKETS];
}

static uint32_t tuple_hash(const struct udp *u, uint32_t laddr, uint16_t lport, uint32_t raddr, uint16_t rport)
{
	return (uint32_t)siphash13_16(&u->key, (uint64_t)laddr << 32 | raddr, (uint32_t)lport << 16 | rport);
}

static uint32_t *tuple_bucket(struct udp *u, const struct udp_socket *s)
{
	const struct datagram_socket *d = &s->d;

	return &u->of_tuple[tuple_hash(u, d->laddr, d->lport, d->raddr, d->rport) & u->tuple_mask];
}

static void port_insert(struct udp *u, struct udp_socket *s)
{
	uint32_t *bucket = port_bucket(u, s->d.lport);

	s->next_port = *bucket;
	s->in_port = true;
	*bucket = s->d.index;
	/* What it has room for was taken in udp_create. */
	s->told_addr = s->d.laddr;
	(void)ip_port_open(u->d.ip, IPPROTO_NR_UDP, s->told_addr, s->d.lport, IP_PORT_BOUND);
}

static void port_remove(struct udp *u, struct udp_socket *s)
{
	uint32_t *at = port_bucket(u, s->d.lport);

	if (!s->in_port)
		return;
	while (*at != s->d.index)
		at = &udp_socket_at(u, *at)->next_port;
	*at = s->next_port;
	s->in_port = false;
	ip_port_close(u->d.ip, IPPROTO_NR_UDP, s->told_addr, s->d.lport, IP_PORT_BOUND);
}

static void tuple_insert(struct udp *u, struct udp_socket *s)
{
	uint32_t *bucket = tuple_bucket(u, s);

	s->next_tuple = *bucket;
	s->in_tuple = true;
	*bucket = s->d.index;
}

static void tuple_remove(struct udp *u, struct udp_socket *s)
{
	uint32_t *at = tuple_bucket(u, s);

	if (!s->in_tuple)
		return;
	while (*at != s->d.index)
		at = &udp_socket_at(u, *at)->next_tuple;
	*at = s->next_tuple;
	s->in_tuple = false;
}

static struct udp_socket *find_connected(struct udp *u, const struct udp_flow *f)
{
	uint32_t i = u->of_tuple[tuple_hash(u, f->laddr, f->lport, f->raddr, f->rport) & u->tuple_mask];

	for (; i != POOL_NONE; i = udp_socket_at(u, i)->next_tuple) {
		const struct datagram_socket *s = &udp_socket_at(u, i)->d;

		if (s->raddr == f->raddr && s->laddr == f->laddr && s->rport == f->rport && s->lport == f->lport &&
		    s->o.zone == f->zone && udp_device_fits(s, f->ifindex))
			return udp_socket_at(u, i);
	}
	return NULL;
}

static struct udp_socket *find_bound(struct udp *u, const struct udp_flow *f)
{
	struct udp_socket *best = NULL;
	uint32_t best_score = 0, n_best = 0;
	uint32_t hash = 0;

	for (uint32_t i = *port_bucket(u, f->lport); i != POOL_NONE; i = udp_socket_at(u, i)->next_port) {
		struct udp_socket *s = udp_socket_at(u, i);
		const struct datagram_socket *d = &s->d;

		if (d->lport != f->lport || d->is_connected || d->o.zone != f->zone ||
		    (d->laddr != 0 && d->laddr != f->laddr) || !udp_device_fits(d, f->ifindex))
			continue;
		uint32_t score = 1 + 2 * (d->laddr != 0) + (d->o.ifindex != 0);

		if (score > best_score) {
			best = s;
			best_score = score;
			n_best = 1;
		} else if (score == best_score && best->d.o.reuse_port && d->o.reuse_port) {
			if (n_best == 1)
				hash = tuple_hash(u, f->laddr, f->lport, f->raddr, f->rport);
			if (hash_picks(hash, ++n_best))
				best = s;
		}
	}
	return best;
}

struct udp_socket *udp_find(struct udp *u, const struct udp_flow *f)
{
	struct udp_socket *s = find_connected(u, f);

	return s != NULL ? s : find_bound(u, f);
}

uint32_t udp_first_at(const struct udp *u, uint16_t port)
{
	return u->of_port[port % UDP_PORT_BUCKETS];
}

void udp_leave(struct udp *u, struct udp_socket *s)
{
	tuple_remove(u, s);
	port_remove(u, s);
}

/* --- ports --- */

/* Two that share a port where both could hear the same packet, and have not both said that they may. */
static bool clashes(const struct datagram_socket *a, const struct datagram_socket *b)
{
	bool overlap = (a->laddr == b->laddr || a->laddr == 0 || b->laddr == 0) &&
		       (a->o.ifindex == b->o.ifindex || a->o.ifindex == 0 || b->o.ifindex == 0);

	return overlap && a->o.zone == b->o.zone && !(a->o.reuse_addr && b->o.reuse_addr) &&
	       !(a->o.reuse_port && b->o.reuse_port);
}

/* Then it is taken, until take_port has it in the table. */
static bool try_port(struct udp *u, const struct udp_socket *s, uint16_t port, bool is_drawn)
{
	for (uint32_t i = *port_bucket(u, port); i != POOL_NONE; i = udp_socket_at(u, i)->next_port) {
		const struct udp_socket *o = udp_socket_at(u, i);

		/* What is drawn is nobody else's, whatever they have said. */
		if (o != s && o->d.lport == port && (clashes(&s->d, &o->d) || (is_drawn && s->d.o.zone == o->d.o.zone)))
			return false;
	}
	return ip_port_take(u->d.ip, IPPROTO_NR_UDP, s->d.laddr, port,
			    is_drawn ? PORTS_SOCKET_DRAWN : PORTS_SOCKET_WANTED);
}

static int draw_port(struct udp *u, struct udp_socket *s, uint16_t *port)
{
	uint32_t count = (uint32_t)u->port_last - u->port_first + 1, from;

	for (uint32_t i = 0; i < DRAWS; i++) {
		*port = (uint16_t)(u->port_first + rng_below(&u->d.env->rng, count));
		if (try_port(u, s, *port, true))
			return 0;
	}
	from = rng_below(&u->d.env->rng, count);
	for (uint32_t i = 0; i < count; i++) {
		*port = (uint16_t)(u->port_first + (from + i) % count);
		if (try_port(u, s, *port, true))
			return 0;
	}
	return -EADDRINUSE;
}

int udp_take_port(struct udp *u, struct udp_socket *s, uint16_t port)
{
	if (port == 0) {
		int rc = draw_port(u, s, &port);

		if (rc != 0)
			return rc;
	} else if (!try_port(u, s, port, false)) {
		return -EADDRINUSE;
	} else {
		s->d.port_is_bound = true;
	}
	s->d.lport = port;
	port_insert(u, s);
	ip_port_leave(u->d.ip, IPPROTO_NR_UDP, s->d.laddr, port);
	return 0;
}

int udp_bind(struct udp *u, struct udp_socket *s, const struct datagram_end *local)
{
	int rc = datagram_may_bind(&u->d, &s->d, local->addr.v4);

	if (rc != 0)
		return rc;
	if (s->in_port || s->d.lport != 0)
		return -EINVAL;
	s->d.laddr = local->addr.v4;
	rc = udp_take_port(u, s, local->port);
	if (rc != 0)
		s->d.laddr = 0;
	s->d.addr_is_bound = s->d.laddr != 0;
	return rc;
}

static void disconnect(struct udp *u, struct udp_socket *s)
{
	tuple_remove(u, s);
	s->d.is_connected = false;
	s->d.raddr = 0;
	s->d.rport = 0;
	s->d.path_mtu = 0;
	if (!s->d.addr_is_bound)
		s->d.laddr = 0;
	if (!s->d.port_is_bound && s->in_port) {
		port_remove(u, s);
		s->d.lport = 0;
	}
}

int udp_connect(struct udp *u, struct udp_socket *s, const struct datagram_end *remote)
{
	uint32_t raddr = remote->addr.v4 != 0 ? remote->addr.v4 : IP4(127, 0, 0, 1);

	if (ip_addr_is_none(&remote->addr)) {
		disconnect(u, s);
		return 0;
	}
	uint32_t source = datagram_source_for(&u->d, &s->d, raddr, s->d.o.ifindex);

	if (source == 0)
		return -ENETUNREACH;
	if (s->d.addr_is_bound && ip_must_stay(u->d.ip, s->d.o.zone, s->d.laddr, raddr))
		return -EINVAL;
	if (!s->in_port && s->d.lport == 0) {
		int rc = udp_take_port(u, s, 0);

		if (rc != 0)
			return -EAGAIN;
	}
	tuple_remove(u, s);
	s->d.path_mtu = 0;
	if (!s->d.addr_is_bound)
		s->d.laddr = source;
	s->d.raddr = raddr;
	s->d.rport = remote->port;
	s->d.is_connected = true;
	tuple_insert(u, s);
	return 0;
}

void udp_answer(struct udp *u, struct udp_socket *s, uint16_t zone, const struct datagram_end *local,
		const struct datagram_end *remote)
{
	struct datagram_socket *d = &s->d;

	d->laddr = local->addr.v4;
	d->lport = local->port;
	d->raddr = remote->addr.v4;
	d->rport = remote->port;
	d->o.zone = zone;
	d->o.freebind = true;
	d->addr_is_bound = d->port_is_bound = d->is_connected = true;
	tuple_insert(u, s);
}
