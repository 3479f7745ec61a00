/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A listing of all that there is, from each transport's own.
 */
#include "stack/socket/socket_list.h"

#include "stack/socket/socket_priv.h"

enum { STEP_RAW, STEP_UDP, STEP_TCP, STEP_EPOLL, STEP_END };
_Static_assert(STEP_END == 4, "as sockets_at_end has it");

static void take_datagram(const struct datagram_socket *d, struct socket_entry *e)
{
	e->number = (int)d->user;
	e->t.state = d->is_connected ? TCP_ESTABLISHED : TCP_CLOSED;
	e->t.local = (struct tcp_end){ ip_addr_v4(d->laddr), d->lport };
	e->t.remote = (struct tcp_end){ ip_addr_v4(d->raddr), d->rport };
	e->t.zone = d->o.zone;
	e->t.has_user = true;
	e->t.user = d->user;
	e->t.recv_q = e->t.rcv_memory = datagram_memory(d);
	e->t.rcvbuf = d->o.rcvbuf;
	e->t.tos = d->o.tos;
	e->t.error = d->error;
	e->ifindex = d->o.ifindex;
	e->n_waiting = d->n_waiting;
	e->n_dropped = d->n_dropped;
	e->mark = d->o.mark;
}

static bool next_raw(const struct sockets *ss, struct socket_cursor *c, uint32_t *budget, struct socket_entry *e)
{
	const struct raw_socket *s = raw_next(ss->raw, &c->index, budget);

	if (s == NULL)
		return false;
	*e = (struct socket_entry){ .kind = SOCKET_RAW, .protocol = (uint8_t)s->d.lport };
	e->id = capture_id(IPPROTO_NR_RAW, 0, s->d.index);
	take_datagram(&s->d, e);
	return true;
}

static bool next_udp(const struct sockets *ss, struct socket_cursor *c, uint32_t *budget, struct socket_entry *e)
{
	const struct udp_socket *s = udp_next(ss->udp, &c->index, budget);

	if (s == NULL)
		return false;
	*e = (struct socket_entry){ .kind = SOCKET_UDP, .protocol = IPPROTO_NR_UDP };
	e->id = capture_id(IPPROTO_NR_UDP, 0, s->d.index);
	take_datagram(&s->d, e);
	return true;
}

static bool next_tcp(const struct sockets *ss, struct socket_cursor *c, uint32_t *budget, struct socket_entry *e)
{
	*e = (struct socket_entry){ .protocol = IPPROTO_NR_TCP };
	if (!tcp_next(ss->tcp, &c->tcp, budget, &e->t))
		return false;
	e->kind = e->t.kind == TCP_ENTRY_LISTENER ? SOCKET_LISTENER : SOCKET_TCP;
	e->number = e->t.has_user ? (int)e->t.user : -1;
	e->ifindex = e->t.ifindex;
	e->id = capture_id(IPPROTO_NR_TCP, e->t.kind, e->t.index);
	return true;
}

static bool next_epoll(const struct sockets *ss, struct socket_cursor *c, uint32_t *budget, struct socket_entry *e)
{
	for (; c->index<ss->sockets.n_fresh && * budget> 0; c->index++, --*budget) {
		const struct socket *s = socket_at(ss, (int)c->index);

		if (s == NULL || s->kind != SOCKET_EPOLL)
			continue;
		*e = (struct socket_entry){ .kind = SOCKET_EPOLL, .number = (int)c->index++ };
		e->id = capture_id(0, 0, (uint32_t)e->number);
		return true;
	}
	return false;
}

uint32_t sockets_list(const struct sockets *ss, struct socket_cursor *c, struct socket_entry *out, uint32_t max)
{
	static bool (*const next[])(const struct sockets *ss, struct socket_cursor *c, uint32_t *budget,
				    struct socket_entry *e) = {
		[STEP_RAW] = next_raw,
		[STEP_UDP] = next_udp,
		[STEP_TCP] = next_tcp,
		[STEP_EPOLL] = next_epoll,
	};
	uint32_t n = 0, budget = SOCKETS_LIST_BUDGET;

	while (n < max && budget > 0 && c->step != STEP_END) {
		if (next[c->step](ss, c, &budget, &out[n])) {
			n++;
		} else if (budget > 0) {
			c->step++;
			c->index = 0;
		}
	}
	return n;
}

bool sockets_entry(const struct sockets *ss, uint64_t id, struct socket_entry *out)
{
	uint32_t place = (uint32_t)id, kind = (uint32_t)(id >> 32) & 0xff, budget = 1;
	struct socket_cursor c = { .index = place, .tcp = { .kind = (enum tcp_entry_kind)kind, .index = place } };
	bool found;

	switch (id >> 40) {
	case IPPROTO_NR_RAW:
		found = next_raw(ss, &c, &budget, out);
		break;
	case IPPROTO_NR_UDP:
		found = next_udp(ss, &c, &budget, out);
		break;
	case IPPROTO_NR_TCP:
		found = kind < N_TCP_ENTRY_KINDS && next_tcp(ss, &c, &budget, out);
		break;
	default:
		return false;
	}
	/* It may be another one that stands behind the place. */
	return found && out->id == id;
}

bool socket_entry_filter(const struct socket_entry *e, struct capture_filter *out)
{
	bool has_ports = e->kind != SOCKET_RAW && e->kind != SOCKET_PING;

	*out = (struct capture_filter){ .protocol = e->protocol,
					.zone = e->t.zone,
					.laddr = e->t.local.addr.v4,
					.raddr = e->t.remote.addr.v4,
					.lport = has_ports ? e->t.local.port : 0,
					.rport = has_ports ? e->t.remote.port : 0 };
	return e->protocol != 0;
}
