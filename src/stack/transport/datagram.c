/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What came for a socket of datagrams, and waits to be read.
 *
 * A packet stays in the buffer that it came in; what lies in a driver's buffer is copied into one of
 * the pool first. What a queue may hold is counted in bytes of buffers, errors
 * among them, as Linux counts: a socket that nobody reads keeps so much and no more, however
 * small its packets are. What finds no room is dropped by the name of a full queue.
 *
 * Errors wait in a queue of their own, if they are asked for: a value in a packet's
 * buffer, and behind it what the error quotes of the payload.
 *
 * Next: src/stack/transport/udp.c, raw.c, whose packets these are
 */
#include <errno.h>

#include "base/pool.h"
#include "base/util.h"
#include "stack/transport/datagram.h"
#include "stack/wire/icmp.h"

void datagram_init(struct datagram_socket *s, uint32_t index, uint64_t user)
{
	*s = (struct datagram_socket){
		.is_open = true,
		.index = index,
		.groups = POOL_NONE,
		.user = user,
		.o = { .rcvbuf = DATAGRAM_RCVBUF_DEFAULT,
		       .max_pacing_rate = UINT64_MAX,
		       .multicast_ttl = 1,
		       .pmtu = DATAGRAM_PMTU_WANT,
		       .multicast_loop = true,
		       .multicast_all = true },
	};
}

const struct datagram_socket *datagram_next(const struct pool *sockets, uint32_t *cursor, uint32_t *budget)
{
	while (*cursor<sockets->n_fresh && * budget> 0) {
		const struct datagram_socket *s = pool_at(sockets, (*cursor)++);

		--*budget;
		if (s->is_open)
			return s;
	}
	return NULL;
}

static void tell(const struct datagram_stack *d, const struct datagram_socket *s, uint32_t why)
{
	if (d->changed != NULL)
		d->changed(d->changed_ctx, s->user, why);
}

/* --- queues --- */

static void append(struct packet **first, struct packet **last, struct packet *p)
{
	p->next = NULL;
	*(*last == NULL ? first : &(*last)->next) = p;
	*last = p;
}

static void take_first(struct env *env, struct packet **first, struct packet **last, uint32_t *memory)
{
	struct packet *p = *first;

	*first = p->next;
	if (*first == NULL)
		*last = NULL;
	*memory -= p->buf_len;
	env->ledger.n_delivered++;
	packet_free(env->pool, p);
}

static bool has_room(const struct datagram_socket *s)
{
	return datagram_memory(s) <= s->o.rcvbuf;
}

void datagram_fini(const struct datagram_stack *d, struct datagram_socket *s)
{
	while (s->first != NULL)
		take_first(d->env, &s->first, &s->last, &s->memory);
	datagram_errors_free(d->env, &s->errors);
	while (s->groups != POOL_NONE) {
		const struct datagram_group *g = pool_at(d->groups, s->groups);

		(void)datagram_leave(d, s, g->group, g->ifindex, 0);
	}
	s->is_open = false;
}

bool datagram_push(const struct datagram_stack *d, struct datagram_socket *s, struct packet *p)
{
	if (!has_room(s) || !packet_copy_on_hold(d->env->pool, p)) {
		s->n_dropped++;
		packet_set_drop(p, DROP_SOCKET_QUEUE);
		return false;
	}
	p->verdict = VERDICT_STOLEN;
	p->held_since = ip_received_at(d->ip, p);
	s->memory += p->buf_len;
	s->n_waiting++;
	append(&s->first, &s->last, p);
	tell(d, s, DATAGRAM_CHANGED_IN);
	return true;
}

bool datagram_push_copy(const struct datagram_stack *d, struct datagram_socket *s, const struct packet *p)
{
	struct packet *copy = has_room(s) ? packet_copy(d->env->pool, p) : NULL;

	if (copy == NULL) {
		s->n_dropped++;
		return false;
	}
	d->env->ledger.n_pieces_made++;
	if (datagram_push(d, s, copy))
		return true;
	env_drop(d->env, copy, DROP_SOCKET_QUEUE);
	return false;
}

/* The first one has been read. */
static void pop(const struct datagram_stack *d, struct datagram_socket *s)
{
	s->n_waiting--;
	take_first(d->env, &s->first, &s->last, &s->memory);
}

int datagram_take_error(struct datagram_socket *s)
{
	int err = s->error;

	s->error = 0;
	return err;
}

/* --- reading --- */

static int64_t copy_out(const uint8_t *bytes, uint32_t len, const struct span *span, int n)
{
	uint32_t done = 0;

	for (int i = 0; i < n && done < len; i++) {
		uint32_t here = span[i].len < len - done ? (uint32_t)span[i].len : len - done;

		if (here > 0)
			memcpy(span[i].bytes, bytes + done, here);
		done += here;
	}
	return done;
}

/* skip 0: from the IP header on; else so many bytes behind it. */
static const uint8_t *bytes_of(struct packet *p, uint32_t skip, uint32_t *len)
{
	if (skip == 0) {
		*len = p->ip.total_len;
		return packet_l3(p);
	}
	*len = p->l4.payload_len;
	return packet_l4(p) + skip;
}

uint32_t datagram_first_len(const struct datagram_socket *s, uint32_t skip)
{
	uint32_t len = 0;

	if (s->first != NULL)
		(void)bytes_of(s->first, skip, &len);
	return len;
}

int64_t datagram_recv(const struct datagram_stack *d, struct datagram_socket *s, uint32_t skip, const struct span *span,
		      int n, uint32_t flags, struct datagram_info *info)
{
	struct packet *p = s->first;

	if (s->error != 0)
		return -datagram_take_error(s);
	if (p == NULL)
		return -EAGAIN;
	uint32_t len;
	const uint8_t *bytes = bytes_of(p, skip, &len);

	*info = (struct datagram_info){
		.from = { ip_addr_v4(p->ip.src), skip != 0 ? p->l4.sport : 0 },
		.to = { ip_addr_v4(p->ip.dst), skip != 0 ? p->l4.dport : 0 },
		.ifindex = p->in_ifindex,
		.ttl = p->ip.ttl,
		.tos = p->ip.tos,
		.gso_size = p->offload.gso_type == GSO_UDP4 ? p->offload.gso_size : 0,
		.received = p->held_since,
		.len = len,
		.is_to_many = p->is_broadcast || ip4_is_multicast(p->ip.dst),
	};
	int64_t copied = copy_out(bytes, len, span, n);

	if (!(flags & DATAGRAM_RECV_PEEK))
		pop(d, s);
	return copied;
}

/* --- errors --- */

/* Linux's icmp_err_convert, by code. */
static const struct {
	int err;
	bool is_hard;
} unreachable[] = {
	{ ENETUNREACH, false },  { EHOSTUNREACH, false }, { ENOPROTOOPT, true },  { ECONNREFUSED, true },
	{ EMSGSIZE, false },     { EOPNOTSUPP, false },   { ENETUNREACH, true },  { EHOSTDOWN, true },
	{ ENONET, true },        { ENETUNREACH, true },   { EHOSTUNREACH, true }, { ENETUNREACH, false },
	{ EHOSTUNREACH, false }, { EHOSTUNREACH, true },  { EHOSTUNREACH, true }, { EHOSTUNREACH, true },
};

int datagram_icmp_errno(const struct ip_icmp_error *e, bool *is_hard)
{
	uint8_t code = e->p->l4.code;

	*is_hard = e->p->l4.type == ICMP_PARAMETER_PROBLEM;
	switch (e->p->l4.type) {
	case ICMP_PARAMETER_PROBLEM:
		return EPROTO;
	case ICMP_TIME_EXCEEDED:
		return EHOSTUNREACH;
	case ICMP_DEST_UNREACHABLE:
		if (code >= ARRAY_LEN(unreachable))
			return EHOSTUNREACH;
		*is_hard = unreachable[code].is_hard;
		return unreachable[code].err;
	default:
		return 0;
	}
}

bool datagram_errors_add(struct env *env, struct datagram_errors *q, const struct datagram_error *e,
			 const uint8_t *payload)
{
	struct packet *p = packet_alloc(env->pool, (uint32_t)sizeof(*e) + e->payload_len);

	if (p == NULL)
		return false;
	env->ledger.n_originated++;
	memcpy(packet_frame(p), e, sizeof(*e));
	if (e->payload_len > 0)
		memcpy(packet_frame(p) + sizeof(*e), payload, e->payload_len);
	q->memory += p->buf_len;
	append(&q->first, &q->last, p);
	return true;
}

int64_t datagram_errors_recv(struct env *env, struct datagram_errors *q, const struct span *span, int n, uint32_t flags,
			     struct datagram_error *out, int *error)
{
	struct packet *p = q->first;

	if (p == NULL)
		return -EAGAIN;
	memcpy(out, packet_frame(p), sizeof(*out));
	int64_t copied = copy_out(packet_frame(p) + sizeof(*out), out->payload_len, span, n);

	if (flags & DATAGRAM_RECV_PEEK)
		return copied;
	take_first(env, &q->first, &q->last, &q->memory);
	*error = 0;
	if (q->first != NULL) {
		struct datagram_error next;

		memcpy(&next, packet_frame(q->first), sizeof(next));
		*error = (int)next.err;
	}
	return copied;
}

void datagram_errors_free(struct env *env, struct datagram_errors *q)
{
	while (q->first != NULL)
		take_first(env, &q->first, &q->last, &q->memory);
}

/* RFC 1191: of a connected socket it is remembered. */
static bool take_path_mtu(struct datagram_socket *s, const struct ip_icmp_error *e)
{
	uint16_t mtu = (uint16_t)(e->p->l4.info & 0xffff);

	if (s->o.pmtu == DATAGRAM_PMTU_DONT || s->o.pmtu >= DATAGRAM_PMTU_PROBE)
		return s->o.pmtu == DATAGRAM_PMTU_PROBE;
	/* Linux's min_pmtu. */
	if (mtu < 552)
		mtu = 552;
	if (s->is_connected && (s->path_mtu == 0 || mtu < s->path_mtu))
		s->path_mtu = mtu;
	return true;
}

struct datagram_error datagram_error_of(const struct ip_icmp_error *e, int err, uint32_t skip, const uint8_t **payload)
{
	const struct icmp_quote *q = e->quote;
	size_t at = q->l4_offset + skip, end = q->ip_offset + q->len;

	*payload = packet_l4_const(e->p) + at;
	return (struct datagram_error){
		.err = (uint32_t)err,
		.info = err == EMSGSIZE ? e->p->l4.info & 0xffff : 0,
		.origin = DATAGRAM_ORIGIN_ICMP,
		.type = e->p->l4.type,
		.code = e->p->l4.code,
		.offender = e->p->ip.src,
		.dst = q->ip.dst,
		.dport = q->l4.dport,
		.ifindex = e->p->in_ifindex,
		.payload_len = at < end ? (uint32_t)(end - at) : 0,
	};
}

void datagram_icmp_error(const struct datagram_stack *d, struct datagram_socket *s, const struct ip_icmp_error *e,
			 uint32_t payload_skip)
{
	bool is_hard;
	int err = datagram_icmp_errno(e, &is_hard);

	if (err == 0)
		return;
	if (err == EMSGSIZE) {
		if (!take_path_mtu(s, e))
			return;
		is_hard = true;
	}
	if (s->o.recv_error) {
		const uint8_t *payload;
		struct datagram_error v = datagram_error_of(e, err, payload_skip, &payload);

		if (!has_room(s) || !datagram_errors_add(d->env, &s->errors, &v, payload))
			s->n_dropped++;
	} else if (!is_hard || !s->is_connected) {
		return;
	}
	s->error = err;
	tell(d, s, DATAGRAM_CHANGED_ERROR);
}

int64_t datagram_recv_error(const struct datagram_stack *d, struct datagram_socket *s, const struct span *span, int n,
			    uint32_t flags, struct datagram_error *out)
{
	return datagram_errors_recv(d->env, &s->errors, span, n, flags, out, &s->error);
}
