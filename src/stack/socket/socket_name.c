/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Names of sockets: bind, listen, accept, connect, shutdown, and who is at which end.
 *
 * A TCP socket that is bound stands among those of its port, so that the next one learns
 * whether it may have it: by Linux's rules, two may share a port of one address if
 * both said SO_REUSEADDR and neither listens, or both said SO_REUSEPORT. Connections
 * that a listener made, and those in TIME_WAIT, do not stand there; TCP is asked about
 * them, and knows which of them said SO_REUSEADDR.
 *
 * Next: src/stack/transport/tcp.c, udp_port.c, raw.c
 */
#include <errno.h>

#include "stack/ip/local.h"
#include "stack/ip/route.h"
#include "stack/socket/socket_priv.h"

#define DRAWS 64u

/* --- addresses --- */

int socket_take_addr(const void *addr, uint32_t len, struct tcp_end *out)
{
	struct yg_sockaddr_in in;
	uint16_t family;

	if (addr == NULL)
		return -EFAULT;
	if (len < sizeof(family))
		return -EINVAL;
	memcpy(&family, addr, sizeof(family));
	if (family == YG_AF_UNSPEC && len < sizeof(in)) {
		*out = (struct tcp_end){ 0 };
		return -EAFNOSUPPORT;
	}
	if (len < sizeof(in))
		return -EINVAL;
	memcpy(&in, addr, sizeof(in));
	*out = (struct tcp_end){ ip_addr_v4(be32_get(in.addr)), be16_get(in.port) };
	return in.family == YG_AF_INET ? 0 : -EAFNOSUPPORT;
}

static bool is_unspec(const void *addr, uint32_t len)
{
	uint16_t family;

	if (addr == NULL || len < sizeof(family))
		return false;
	memcpy(&family, addr, sizeof(family));
	return family == YG_AF_UNSPEC;
}

/* The full length is told, and what there is room for is written. */
void socket_give_addr(void *addr, uint32_t *len, const struct tcp_end *end)
{
	struct yg_sockaddr_in in = { .family = YG_AF_INET, .port = be16_of(end->port), .addr = be32_of(end->addr.v4) };

	if (addr == NULL || len == NULL)
		return;
	memcpy(addr, &in, min_u32(*len, (uint32_t)sizeof(in)));
	*len = sizeof(in);
}

static struct datagram_end datagram_end_of(const struct tcp_end *e)
{
	return (struct datagram_end){ e->addr, e->port };
}

/* --- ports of TCP --- */

static uint32_t *bucket_of(struct sockets *ss, uint16_t port)
{
	return &ss->bound_of[port % BOUND_BUCKETS];
}

static void stand_among_bound(struct sockets *ss, struct socket *s)
{
	uint32_t *bucket = bucket_of(ss, s->lport), index = (uint32_t)socket_number(ss, s);

	s->next_bound = *bucket;
	s->prev_bound = POOL_NONE;
	if (*bucket != POOL_NONE)
		((struct socket *)pool_at(&ss->sockets, *bucket))->prev_bound = index;
	*bucket = index;
	s->is_bound = true;
}

static bool keep_port(struct sockets *ss, const struct tcp_end *local, enum ports_socket how)
{
	return ip_port_take(ss->ip, IPPROTO_NR_TCP, local->addr.v4, local->port, how);
}

void socket_unbind(struct sockets *ss, struct socket *s)
{
	if (!s->is_bound)
		return;
	*(s->prev_bound == POOL_NONE ? bucket_of(ss, s->lport)
				     : &((struct socket *)pool_at(&ss->sockets, s->prev_bound))->next_bound) =
		s->next_bound;
	if (s->next_bound != POOL_NONE)
		((struct socket *)pool_at(&ss->sockets, s->next_bound))->prev_bound = s->prev_bound;
	s->is_bound = false;
	ip_port_leave(ss->ip, IPPROTO_NR_TCP, s->laddr, s->lport);
}

enum port_use { PORT_DRAWN, PORT_WANTED, PORT_TO_LISTEN };

static bool clashes(struct sockets *ss, const struct socket *s, const struct socket *o, const struct tcp_end *local,
		    enum port_use use)
{
	if (o->lport != local->port || o->zone != s->zone ||
	    (o->laddr != local->addr.v4 && o->laddr != 0 && local->addr.v4 != 0))
		return false;
	if (use != PORT_DRAWN && s->reuse_port && o->reuse_port)
		return false;
	/* Each hears by another interface. */
	uint32_t a = socket_device(ss, s), b = socket_device(ss, o);

	if (a != 0 && b != 0 && a != b)
		return false;
	if (use == PORT_TO_LISTEN)
		return o->kind == SOCKET_LISTENER;
	return use == PORT_DRAWN || !(s->reuse_addr && o->reuse_addr && o->kind != SOCKET_LISTENER);
}

static bool none_clashes(struct sockets *ss, const struct socket *s, const struct tcp_end *local, enum port_use use)
{
	for (uint32_t i = *bucket_of(ss, local->port); i != POOL_NONE;) {
		const struct socket *o = pool_at(&ss->sockets, i);

		if (o != s && clashes(ss, s, o, local, use))
			return false;
		i = o->next_bound;
	}
	return true;
}

static bool port_is_free(struct sockets *ss, const struct socket *s, const struct tcp_end *local)
{
	return none_clashes(ss, s, local, PORT_WANTED) && !tcp_port_is_used(ss->tcp, s->zone, local, s->reuse_addr);
}

/* RFC 6056: by chance, then whatever there is. No port that a connection has, at whatever address, and be it in
 * TIME_WAIT: whose it is would have to be asked of each connection. */
static int draw_port(struct sockets *ss, const struct socket *s, struct tcp_end *local)
{
	uint32_t count = (uint32_t)ss->port_last - ss->port_first + 1, n = DRAWS + count;
	uint32_t from = rng_below(&ss->env->rng, count);

	/* When there is no other, SO_REUSEADDR is for those of connections as well; never for another socket's, as in
	 * Linux: a port is shared by who asks for it alone. */
	for (uint32_t i = 0; i < (s->reuse_addr ? n + count : n); i++) {
		local->port =
			(uint16_t)(ss->port_first + (i < DRAWS ? rng_below(&ss->env->rng, count) : (from + i) % count));
		if (i < n && ip_port_is_open(ss->ip, IPPROTO_NR_TCP, local->port))
			continue;
		if (none_clashes(ss, s, local, PORT_DRAWN) && keep_port(ss, local, PORTS_SOCKET_DRAWN))
			return 0;
	}
	return -EADDRINUSE;
}

static bool may_have_addr(const struct sockets *ss, const struct socket *s, uint32_t addr)
{
	return addr == 0 || s->freebind || s->transparent || ip4_is_loopback(addr) ||
	       ip_is_local(ss->ip, s->zone, addr);
}

static int bind_tcp(struct sockets *ss, struct socket *s, struct tcp_end *local)
{
	if (!may_have_addr(ss, s, local->addr.v4))
		return -EADDRNOTAVAIL;
	if (s->is_bound || s->kind == SOCKET_LISTENER || tcp_state(s->conn) != TCP_CLOSED)
		return -EINVAL;
	if (local->port == 0) {
		int rc = draw_port(ss, s, local);

		if (rc != 0)
			return rc;
	} else if (!port_is_free(ss, s, local) || !keep_port(ss, local, PORTS_SOCKET_WANTED)) {
		return -EADDRINUSE;
	}
	s->laddr = local->addr.v4;
	s->lport = local->port;
	stand_among_bound(ss, s);
	return 0;
}

int socket_bind(struct sockets *ss, int n, const void *addr, uint32_t len)
{
	struct socket *s = socket_at(ss, n);
	struct tcp_end local;

	if (s == NULL)
		return -EBADF;
	if (s->kind == SOCKET_EPOLL)
		return -ENOTSOCK;
	int rc = socket_take_addr(addr, len, &local);

	/* As Linux, for programs of old: no family, and no address. */
	if (rc == -EAFNOSUPPORT && is_unspec(addr, len) && len >= sizeof(struct yg_sockaddr_in) && local.addr.v4 == 0)
		rc = 0;
	if (rc != 0)
		return rc;
	struct datagram_end end = datagram_end_of(&local);

	switch ((enum socket_kind)s->kind) {
	case SOCKET_UDP:
		return udp_bind(ss->udp, s->udp, &end);
	case SOCKET_RAW:
		return raw_bind(ss->raw, s->raw, &end.addr);
	default:
		return bind_tcp(ss, s, &local);
	}
}

/* --- listen, accept --- */

static int begin_to_listen(struct sockets *ss, struct socket *s, const struct tcp_listen_options *o)
{
	struct tcp_end local = { ip_addr_v4(s->laddr), s->lport };
	struct tcp_listener *l;

	if (tcp_state(s->conn) != TCP_CLOSED || s->is_connecting)
		return -EINVAL;
	if (!s->is_bound) {
		int rc = bind_tcp(ss, s, &local);

		if (rc != 0)
			return rc;
	}
	if (!none_clashes(ss, s, &local, PORT_TO_LISTEN))
		return -EADDRINUSE;
	int rc = tcp_listen(ss->tcp, s->zone, &local, o, (uint64_t)socket_number(ss, s), &l);

	if (rc != 0)
		return rc;
	tcp_listener_inherit(ss->tcp, l, s->conn);
	tcp_abort(ss->tcp, s->conn);
	s->listener = l;
	s->kind = SOCKET_LISTENER;
	socket_notify(ss, s, 0);
	return 0;
}

int socket_listen(struct sockets *ss, int n, int backlog)
{
	struct socket *s = socket_at(ss, n);
	struct tcp_listen_options o = { .backlog = min_u32((uint32_t)backlog, YG_SOMAXCONN) };

	if (s == NULL)
		return -EBADF;
	if (s->kind == SOCKET_EPOLL)
		return -ENOTSOCK;
	if (s->kind != SOCKET_TCP && s->kind != SOCKET_LISTENER)
		return -EOPNOTSUPP;
	o.reuse_port = s->reuse_port;
	o.ifindex = socket_device(ss, s);
	o.defer_accept = (uint8_t)min_u32(socket_defer_seconds(s), UINT8_MAX);
	if (s->kind == SOCKET_TCP)
		return begin_to_listen(ss, s, &o);
	tcp_listen_change(s->listener, &o);
	return 0;
}

int socket_listen_hold(struct sockets *ss, int n, uint32_t held)
{
	struct socket *s = socket_at(ss, n);

	if (s == NULL)
		return -EBADF;
	if (s->kind != SOCKET_LISTENER)
		return -EINVAL;
	tcp_listen_hold(s->listener, held);
	return 0;
}

/* A connection in the queue of s becomes a socket. */
static int accept_one(struct sockets *ss, struct socket *s, int flags)
{
	struct socket *made;

	if (!tcp_acceptable(s->listener))
		return -EAGAIN;
	int n = socket_new(ss, SOCKET_TCP, &made);

	if (n < 0)
		return n;
	made->conn = tcp_accept(ss->tcp, s->listener, (uint64_t)n);
	made->is_connected = true;
	made->zone = s->zone;
	made->reuse_addr = s->reuse_addr;
	tcp_set_reuse_addr(made->conn, s->reuse_addr);
	made->reuse_port = s->reuse_port;
	made->no_quickack = s->no_quickack;
	made->tell_time = s->tell_time;
	made->tell_time_us = s->tell_time_us;
	made->tell_inq = s->tell_inq;
	made->rcv_timeout_ms = s->rcv_timeout_ms;
	made->snd_timeout_ms = s->snd_timeout_ms;
	made->priority = s->priority;
	made->nonblock = (flags & YG_SOCK_NONBLOCK) != 0;
	return n;
}

int socket_accept(struct sockets *ss, int n, void *addr, uint32_t *len, int flags)
{
	struct socket *s = socket_at(ss, n);
	struct tcp_end local, remote;

	if (s == NULL)
		return -EBADF;
	if (s->kind == SOCKET_EPOLL)
		return -ENOTSOCK;
	if (flags & ~(YG_SOCK_NONBLOCK | YG_SOCK_CLOEXEC))
		return -EINVAL;
	if (s->kind != SOCKET_LISTENER)
		return s->kind == SOCKET_TCP ? -EINVAL : -EOPNOTSUPP;
	uint64_t deadline = socket_deadline(ss, s->rcv_timeout_ms);
	int rc;

	while ((rc = accept_one(ss, s, flags)) == -EAGAIN) {
		int waited = socket_wait(ss, s, 0, deadline);

		if (waited != 0)
			return waited;
		s = socket_at(ss, n);
		if (s == NULL || s->kind != SOCKET_LISTENER)
			return -EINVAL;
	}
	if (rc < 0)
		return rc;
	tcp_ends(socket_at(ss, rc)->conn, &local, &remote);
	socket_give_addr(addr, len, &remote);
	return rc;
}

/* --- connect --- */

/* How a connect that was begun has ended; -EINPROGRESS: it has not. */
static int connect_outcome(struct sockets *ss, struct socket *s)
{
	enum tcp_state state = tcp_state(s->conn);

	if (state == TCP_SYN_SENT || state == TCP_SYN_RECEIVED)
		return -EINPROGRESS;
	s->is_connecting = false;
	if (state == TCP_CLOSED) {
		int err = tcp_take_error(s->conn);

		return err != 0 ? -err : -ECONNABORTED;
	}
	s->is_connected = true;
	return 0;
}

static int begin_to_connect(struct sockets *ss, struct socket *s, struct tcp_end *remote)
{
	struct tcp_end local = { 0 };

	if (s->is_bound)
		local = (struct tcp_end){ ip_addr_v4(s->laddr), s->lport };
	if (tcp_state(s->conn) != TCP_CLOSED)
		return -EISCONN;
	/* As Linux: nowhere is here. */
	if (remote->addr.v4 == 0)
		remote->addr = ip_addr_v4(IP4(127, 0, 0, 1));
	int rc = tcp_connect(ss->tcp, s->conn, s->zone, &local, remote);

	if (rc == -EINPROGRESS)
		s->is_connecting = true;
	return rc;
}

static int connect_tcp(struct sockets *ss, struct socket *s, struct tcp_end *remote)
{
	int n = socket_number(ss, s);
	uint64_t deadline = socket_deadline(ss, s->snd_timeout_ms);

	if (s->is_connected)
		return -EISCONN;
	if (s->is_connecting) {
		int rc = connect_outcome(ss, s);

		if (rc != -EINPROGRESS)
			return rc;
		if (s->nonblock)
			return -EALREADY;
	} else {
		int rc = begin_to_connect(ss, s, remote);

		if (rc != -EINPROGRESS)
			return rc;
	}
	for (;;) {
		int rc = connect_outcome(ss, s);

		if (rc != -EINPROGRESS)
			return rc;
		rc = socket_wait(ss, s, 0, deadline);
		if (rc != 0)
			return rc == -EAGAIN ? -EINPROGRESS : rc;
		s = socket_at(ss, n);
		if (s == NULL || s->kind != SOCKET_TCP)
			return -EBADF;
	}
}

/* A listener that is shut down, or connected to nothing, is a socket like a new one, with its port. */
static int end_listening(struct sockets *ss, struct socket *s)
{
	struct tcp_conn *c = tcp_open(ss->tcp, (uint64_t)socket_number(ss, s));

	if (c == NULL)
		return -ENOBUFS;
	tcp_conn_inherit(ss->tcp, c, s->listener);
	tcp_unlisten(ss->tcp, s->listener);
	s->conn = c;
	tcp_set_reuse_addr(c, s->reuse_addr);
	s->kind = SOCKET_TCP;
	socket_notify(ss, s, 0);
	return 0;
}

/* connect to AF_UNSPEC: it is as before connect, with what it was told and bound to. */
static int disconnect_tcp(struct sockets *ss, struct socket *s)
{
	struct tcp_conn *c = tcp_disconnect(ss->tcp, s->conn);

	if (c == NULL)
		return -ENOBUFS;
	s->conn = c;
	tcp_set_reuse_addr(c, s->reuse_addr);
	s->is_connected = s->is_connecting = false;
	ip_flush(ss->ip);
	socket_notify(ss, s, 0);
	return 0;
}

int socket_connect(struct sockets *ss, int n, const void *addr, uint32_t len)
{
	struct socket *s = socket_at(ss, n);
	struct tcp_end remote = { 0 };

	if (s == NULL)
		return -EBADF;
	if (s->kind == SOCKET_EPOLL)
		return -ENOTSOCK;
	bool is_away = is_unspec(addr, len);
	int rc = is_away ? 0 : socket_take_addr(addr, len, &remote);

	if (rc != 0)
		return rc;
	struct datagram_end end = is_away ? (struct datagram_end){ 0 } : datagram_end_of(&remote);
	const struct datagram_socket *d = socket_datagram(s);

	if (d != NULL && !is_away && !d->o.broadcast &&
	    (ip4_is_limited_broadcast(remote.addr.v4) ||
	     ip_route(ss->ip, d->o.zone, remote.addr.v4)->kind == FIB_BROADCAST))
		return -EACCES;
	switch ((enum socket_kind)s->kind) {
	case SOCKET_UDP:
		return udp_connect(ss->udp, s->udp, &end);
	case SOCKET_RAW:
		return raw_connect(ss->raw, s->raw, &end.addr);
	case SOCKET_TCP:
		return is_away ? disconnect_tcp(ss, s) : connect_tcp(ss, s, &remote);
	case SOCKET_LISTENER:
		return is_away ? end_listening(ss, s) : -EISCONN;
	default:
		return -EISCONN;
	}
}

/* --- shutdown --- */

int socket_shutdown(struct sockets *ss, int n, int how)
{
	struct socket *s = socket_at(ss, n);
	struct datagram_socket *d;

	if (s == NULL)
		return -EBADF;
	if (s->kind == SOCKET_EPOLL)
		return -ENOTSOCK;
	if (how < YG_SHUT_RD || how > YG_SHUT_RDWR)
		return -EINVAL;
	uint32_t ways = (uint32_t)how + 1;

	if (s->kind == SOCKET_LISTENER)
		return ways & TCP_SHUT_RD ? end_listening(ss, s) : 0;
	if (s->kind == SOCKET_TCP) {
		int rc = tcp_shutdown(ss->tcp, s->conn, ways);

		/* Over loopback the other end hears of it before, as in Linux. */
		ip_flush(ss->ip);
		socket_notify(ss, s, 0);
		return rc;
	}
	d = socket_datagram(s);
	d->shut_read |= (ways & TCP_SHUT_RD) != 0;
	d->shut_write |= (ways & TCP_SHUT_WR) != 0;
	socket_notify(ss, s, 0);
	return d->is_connected ? 0 : -ENOTCONN;
}
_Static_assert(YG_SHUT_RD + 1 == TCP_SHUT_RD && YG_SHUT_WR + 1 == TCP_SHUT_WR &&
		       YG_SHUT_RDWR + 1 == (TCP_SHUT_RD | TCP_SHUT_WR),
	       "one more is bits");

/* --- who is where --- */

static void ends_of(const struct socket *s, struct tcp_end *local, struct tcp_end *remote)
{
	const struct datagram_socket *d = socket_datagram(s);

	*local = (struct tcp_end){ ip_addr_v4(s->laddr), s->lport };
	*remote = (struct tcp_end){ 0 };
	if (d != NULL) {
		*local = (struct tcp_end){ ip_addr_v4(d->laddr), d->lport };
		*remote = (struct tcp_end){ ip_addr_v4(d->raddr), d->rport };
	} else if (s->kind == SOCKET_TCP && (s->is_connected || s->is_connecting)) {
		tcp_ends(s->conn, local, remote);
	}
}

/* What is asked first of both ends' names. */
static int may_be_named(const struct socket *s, const void *addr, const uint32_t *len)
{
	if (s == NULL)
		return -EBADF;
	if (s->kind == SOCKET_EPOLL)
		return -ENOTSOCK;
	if (addr == NULL || len == NULL)
		return -EFAULT;
	return 0;
}

int socket_name(struct sockets *ss, int n, void *addr, uint32_t *len)
{
	struct socket *s = socket_at(ss, n);
	struct tcp_end local, remote;
	int rc = may_be_named(s, addr, len);

	if (rc != 0)
		return rc;
	ends_of(s, &local, &remote);
	socket_give_addr(addr, len, &local);
	return 0;
}

static bool has_peer(struct sockets *ss, struct socket *s)
{
	const struct datagram_socket *d = socket_datagram(s);

	if (d != NULL)
		return d->is_connected;
	if (s->kind != SOCKET_TCP)
		return false;
	if (s->is_connecting)
		(void)(tcp_state(s->conn) >= TCP_ESTABLISHED && connect_outcome(ss, s));
	return s->is_connected && tcp_state(s->conn) != TCP_CLOSED;
}

int socket_peer(struct sockets *ss, int n, void *addr, uint32_t *len)
{
	struct socket *s = socket_at(ss, n);
	struct tcp_end local, remote;
	int rc = may_be_named(s, addr, len);

	if (rc != 0)
		return rc;
	if (!has_peer(ss, s))
		return -ENOTCONN;
	ends_of(s, &local, &remote);
	socket_give_addr(addr, len, &remote);
	return 0;
}
