/* SPDX-License-Identifier: BSD-2-Clause
 *
 * UDP: its sockets, and what comes for them (udp_port.c says for which). A packet to a group or to all goes to each
 * that may hear it, in a copy but for the last.
 *
 * While any socket is open UDP is the row of its protocol in ip, which is told each port
 * that somebody has, so that workers hand over what comes to it; what nobody takes is left to
 * that row's policy (port unreachable).
 *
 * Large datagrams (UDP_SEGMENT) come whole where a port carries them. A socket
 * that did not ask for them (UDP_GRO) gets what they are made of.
 *
 * Next: src/stack/transport/datagram.c for what came, udp_out.c for what goes
 */
#include <stdlib.h>

#include "base/util.h"
#include "stack/packet/gso.h"
#include "stack/transport/udp_priv.h"
#include "stack/wire/icmp.h"

static const char *const lost_names[N_UDP_LOST] = {
	[UDP_LOST_NO_PORT] = "no-port",
	[UDP_LOST_QUEUE_FULL] = "queue-full",
};

/* --- what comes --- */

/* Cut, when the socket takes no large ones. */
static void push_pieces(struct udp *u, struct udp_socket *s, struct packet *p)
{
	bool is_full = false;

	while (p != NULL) {
		struct batch out = { .n = 0 };

		if (gso_segment_some(u->d.env->pool, &u->d.env->ledger, &p, &out) == 0) {
			env_drop(u->d.env, p, DROP_NO_BUFFER);
			return;
		}
		for (uint32_t i = 0; i < out.n; i++) {
			if (!is_full && datagram_push(&u->d, &s->d, out.p[i]))
				continue;
			is_full = true;
			u->n_lost[UDP_LOST_QUEUE_FULL]++;
			env_drop(u->d.env, out.p[i], DROP_SOCKET_QUEUE);
		}
	}
}

bool udp_push(struct udp *u, struct udp_socket *s, struct packet *p)
{
	if (p->offload.gso_type == GSO_UDP4 && !s->d.o.gro) {
		p->verdict = VERDICT_STOLEN;
		push_pieces(u, s, p);
		return true;
	}
	if (datagram_push(&u->d, &s->d, p))
		return true;
	u->n_lost[UDP_LOST_QUEUE_FULL]++;
	return false;
}

static void push_copy(struct udp *u, struct udp_socket *s, const struct packet *p)
{
	struct packet *copy = packet_copy(u->d.env->pool, p);

	if (copy == NULL) {
		u->n_lost[UDP_LOST_QUEUE_FULL]++;
		s->d.n_dropped++;
		return;
	}
	u->d.env->ledger.n_pieces_made++;
	if (!udp_push(u, s, copy))
		env_drop(u->d.env, copy, (enum drop_reason)copy->reason);
}

static bool hears_many(const struct udp *u, const struct datagram_socket *s, const struct packet *p)
{
	if (s->lport != p->l4.dport || s->o.zone != p->zone || !udp_device_fits(s, p->in_ifindex))
		return false;
	if (s->laddr != 0 && s->laddr != p->ip.dst)
		return false;
	if (s->is_connected && (s->raddr != p->ip.src || s->rport != p->l4.sport))
		return false;
	return !ip4_is_multicast(p->ip.dst) || datagram_hears(&u->d, s, p->ip.dst, p->in_ifindex);
}

bool udp_input_many(struct udp *u, struct packet *p)
{
	struct udp_socket *last = NULL;

	for (uint32_t i = udp_first_at(u, p->l4.dport); i != POOL_NONE; i = udp_socket_at(u, i)->next_port) {
		if (!hears_many(u, &udp_socket_at(u, i)->d, p))
			continue;
		if (last != NULL)
			push_copy(u, last, p);
		last = udp_socket_at(u, i);
	}
	return last != NULL && udp_push(u, last, p);
}

static bool input_one(struct udp *u, struct packet *p)
{
	struct udp_flow f = { .laddr = p->ip.dst,
			      .raddr = p->ip.src,
			      .lport = p->l4.dport,
			      .rport = p->l4.sport,
			      .zone = p->zone,
			      .ifindex = p->in_ifindex };
	struct udp_socket *s;

	if (p->l4.kind != L4_UDP)
		return false;
	if (p->is_broadcast || ip4_is_multicast(p->ip.dst))
		return udp_input_many(u, p);
	s = udp_find(u, &f);
	if (s == NULL) {
		if (u->unknown != NULL && u->unknown(u->unknown_ctx, p))
			return true;
		u->n_lost[UDP_LOST_NO_PORT]++;
		return false;
	}
	return udp_push(u, s, p);
}

/* As input_one; a capture is told what came of it. */
static bool input_captured(struct udp *u, struct packet *p)
{
	uint64_t n_full = u->n_lost[UDP_LOST_QUEUE_FULL], n_no_port = u->n_lost[UDP_LOST_NO_PORT];

	if (!captures_keep(u->d.captures, p))
		return input_one(u, p);
	bool is_taken = input_one(u, p);

	captures_came(u->d.captures, u->n_lost[UDP_LOST_QUEUE_FULL] != n_full   ? lost_names[UDP_LOST_QUEUE_FULL]
				     : u->n_lost[UDP_LOST_NO_PORT] != n_no_port ? lost_names[UDP_LOST_NO_PORT]
										: NULL);
	return is_taken;
}

static void udp_input(void *ctx, struct batch *b)
{
	struct udp *u = ctx;
	bool has_captures = captures_any(u->d.captures);

	for (uint32_t i = 0; i < b->n; i++)
		if (has_captures ? input_captured(u, b->p[i]) : input_one(u, b->p[i]))
			b->p[i] = NULL;
}

static void udp_icmp_error(void *ctx, const struct ip_icmp_error *e)
{
	struct udp *u = ctx;
	const struct icmp_quote *q = e->quote;
	struct udp_flow f = { .laddr = q->ip.src,
			      .raddr = q->ip.dst,
			      .lport = q->l4.sport,
			      .rport = q->l4.dport,
			      .zone = e->p->zone,
			      .ifindex = e->p->in_ifindex };
	struct udp_socket *s = udp_find(u, &f);

	if (s != NULL)
		datagram_icmp_error(&u->d, &s->d, e, UDP_HEADER_LEN);
}

/* While any is open, or somebody takes what is for none. */
static void listen_if_any(struct udp *u)
{
	const struct ip_protocol row = {
		.ctx = u,
		.input = udp_input,
		.icmp_error = udp_icmp_error,
		.unreachable = IP_UNREACHABLE_PORT,
		.by_port = true,
	};

	ip_stack_set_protocol(u->d.ip, IPPROTO_NR_UDP, u->sockets.n_used > 0 || u->unknown != NULL ? &row : NULL);
}

/* --- life --- */

struct udp *udp_create(struct env *env, struct ip_stack *ip, const struct udp_limits *limits)
{
	struct udp *u = calloc(1, sizeof(*u));
	uint32_t n = limits->n_sockets != 0 ? limits->n_sockets : 4096, size = 16;

	if (u == NULL)
		return NULL;
	u->d = (struct datagram_stack){ .env = env, .ip = ip, .groups = &u->groups };
	u->key = (struct siphash_key){ rng_u64(&env->rng), rng_u64(&env->rng) };
	u->port_first = 32768;
	u->port_last = 60999;
	while (size < n)
		size *= 2;
	u->tuple_mask = size - 1;
	u->of_tuple = malloc(size * sizeof(*u->of_tuple));
	if (u->of_tuple == NULL || ip_port_open(ip, IPPROTO_NR_UDP, 0, 0, IP_PORT_BOUND) != 0 ||
	    pool_init(&u->sockets, n, sizeof(struct udp_socket), 64) != 0 ||
	    pool_init(&u->groups, limits->n_groups != 0 ? limits->n_groups : 256, sizeof(struct datagram_group), 4) !=
		    0) {
		udp_destroy(u);
		return NULL;
	}
	ip_port_close(ip, IPPROTO_NR_UDP, 0, 0, IP_PORT_BOUND);
	memset(u->of_tuple, 0xff, size * sizeof(*u->of_tuple));
	memset(u->of_port, 0xff, sizeof(u->of_port));
	return u;
}
_Static_assert(POOL_NONE == UINT32_MAX, "bytes of ones");

void udp_destroy(struct udp *u)
{
	if (u == NULL)
		return;
	for (uint32_t i = 0; i < u->sockets.n_fresh; i++)
		if (udp_socket_at(u, i)->d.is_open)
			udp_close(u, udp_socket_at(u, i));
	pool_fini(&u->groups);
	pool_fini(&u->sockets);
	free(u->of_tuple);
	free(u);
}

void udp_set_user(struct udp *u, void (*changed)(void *ctx, uint64_t user, uint32_t why), void *ctx)
{
	u->d.changed = changed;
	u->d.changed_ctx = ctx;
}

void udp_set_ports(struct udp *u, uint16_t first, uint16_t last)
{
	u->port_first = first;
	u->port_last = last;
}

void udp_set_captures(struct udp *u, struct captures *c)
{
	u->d.captures = c;
}

const struct datagram_stack *udp_stack(const struct udp *u)
{
	return &u->d;
}

const struct udp_socket *udp_next(const struct udp *u, uint32_t *cursor, uint32_t *budget)
{
	return (const struct udp_socket *)datagram_next(&u->sockets, cursor, budget);
}

struct udp_socket *udp_open(struct udp *u, uint64_t user)
{
	uint32_t index = pool_alloc(&u->sockets);

	if (index == POOL_NONE)
		return NULL;
	struct udp_socket *s = udp_socket_at(u, index);

	*s = (struct udp_socket){ .next_port = POOL_NONE, .next_tuple = POOL_NONE };
	datagram_init(&s->d, index, user);
	listen_if_any(u);
	return s;
}

void udp_close(struct udp *u, struct udp_socket *s)
{
	if (captures_any(u->d.captures))
		captures_gone(u->d.captures, capture_id(IPPROTO_NR_UDP, 0, s->d.index), NULL);
	datagram_cork_free(&u->d, &s->cork);
	udp_leave(u, s);
	datagram_fini(&u->d, &s->d);
	pool_free(&u->sockets, s->d.index);
	listen_if_any(u);
}

void udp_set_unknown(struct udp *u, udp_unknown_fn *fn, void *ctx)
{
	u->unknown = fn;
	u->unknown_ctx = ctx;
	listen_if_any(u);
}

int64_t udp_recv(struct udp *u, struct udp_socket *s, const struct span *span, int n, uint32_t flags,
		 struct datagram_info *info)
{
	return datagram_recv(&u->d, &s->d, UDP_HEADER_LEN, span, n, flags, info);
}
