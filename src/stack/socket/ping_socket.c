/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Raw ICMP sockets.
 *
 * A socket owns an ICMP identifier, which no other socket of this stack has.
 * They are the row of ICMP in local delivery: an echo reply goes to the socket with
 * its identifier, an error to the socket whose request it quotes. A message is a
 * small value in the socket's ring. A full ring loses the newest message, counted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "stack/socket/ping_socket.h"
#include "stack/socket/socket_list.h"
#include "stack/wire/icmp.h"
#include "stack/ip/local.h"
#include "stack/ip/route.h"

/* Identifiers that are drawn until one is nobody's: NAT may have many. */
#define DRAWS 256u
#define ECHO_DATA_MAX (65535u - IPV4_HEADER_LEN - ICMP_HEADER_LEN)

struct ping_socket {
	bool open;
	uint16_t id;
	uint32_t head, n; /* ring of messages */
	struct ping_message queue[PING_SOCKET_QUEUE_MAX];
};

struct ping_sockets {
	struct ip_stack *stack;
	ping_socket_ready_fn *ready;
	void *ready_ctx;
	uint64_t n_overflowed;
	uint32_t n_open;
	struct ping_socket socket[PING_SOCKETS_MAX];
};

static int by_id(const struct ping_sockets *r, uint16_t id)
{
	for (int i = 0; i < PING_SOCKETS_MAX; i++) {
		if (r->socket[i].open && r->socket[i].id == id)
			return i;
	}
	return -1;
}

static void push(struct ping_sockets *r, int socket, const struct ping_message *m)
{
	struct ping_socket *s = &r->socket[socket];

	if (s->n == PING_SOCKET_QUEUE_MAX) {
		r->n_overflowed++;
		return;
	}
	s->queue[(s->head + s->n) % PING_SOCKET_QUEUE_MAX] = *m;
	s->n++;
	if (r->ready != NULL)
		r->ready(r->ready_ctx, socket);
}

/* p, an answer to the request of that sequence number. */
static void hear(struct ping_sockets *r, int socket, const struct packet *p, uint16_t seq)
{
	struct ping_message m = {
		.received_ns = ip_received_at(r->stack, p),
		.from = p->ip.src,
		.type = p->l4.type,
		.code = p->l4.code,
		.ttl = p->ip.ttl,
		.seq = seq,
		.len = (uint16_t)packet_l4_len(p),
		.info = p->l4.info,
	};

	if (socket >= 0)
		push(r, socket, &m);
}

static void replies(void *ctx, struct batch *b)
{
	struct ping_sockets *r = ctx;

	for (uint32_t i = 0; i < b->n; i++)
		if (b->p[i]->l4.type == ICMP_ECHO_REPLY)
			hear(r, by_id(r, b->p[i]->l4.id), b->p[i], b->p[i]->l4.icmp_seq);
}

static void error(void *ctx, const struct ip_icmp_error *e)
{
	struct ping_sockets *r = ctx;

	if (e->quote->l4.type == ICMP_ECHO_REQUEST)
		hear(r, by_id(r, e->quote->l4.id), e->p, e->quote->l4.icmp_seq);
}

/* A worker has taken the request to send. */
static void sent(void *ctx, uint32_t cookie, uint64_t at_ns)
{
	struct ping_sockets *r = ctx;
	uint32_t socket = (cookie >> 16) - 1;
	struct ping_message m = { .received_ns = at_ns, .is_sent = true, .seq = (uint16_t)cookie };

	if (socket < PING_SOCKETS_MAX && r->socket[socket].open)
		push(r, (int)socket, &m);
}

struct ping_sockets *ping_sockets_create(struct ip_stack *s)
{
	struct ping_sockets *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->stack = s;
	ip_stack_set_sent(s, sent, r);
	return r;
}

/* While none is open nobody needs to be shown anything. */
static void listen_if_any(struct ping_sockets *r)
{
	const struct ip_protocol row = {
		.ctx = r, .input = replies, .icmp_error = error, .unreachable = IP_UNREACHABLE_PROTOCOL
	};

	ip_stack_set_protocol(r->stack, IPPROTO_NR_ICMP, r->n_open > 0 ? &row : NULL);
}

/* False: all that were drawn are others'. */
static bool draw_id(struct ping_sockets *r, struct ping_socket *s)
{
	struct env *env = ip_stack_env(r->stack);

	for (uint32_t i = 0; i < DRAWS; i++) {
		uint16_t id = (uint16_t)rng_below(&env->rng, UINT16_MAX) + 1;

		if (by_id(r, id) < 0 && ip_port_take(r->stack, IPPROTO_NR_ICMP, 0, id, PORTS_SOCKET_DRAWN)) {
			s->id = id;
			return true;
		}
	}
	return false;
}

int ping_socket_open(struct ping_sockets *r)
{
	for (int i = 0; i < PING_SOCKETS_MAX; i++) {
		struct ping_socket *s = &r->socket[i];

		if (s->open)
			continue;
		*s = (struct ping_socket){ .open = false };
		if (!draw_id(r, s))
			return -EMFILE;
		s->open = true;
		r->n_open++;
		listen_if_any(r);
		return i;
	}
	return -EMFILE;
}

void ping_socket_close(struct ping_sockets *r, int socket)
{
	if (r->socket[socket].open) {
		r->n_open--;
		ip_port_leave(r->stack, IPPROTO_NR_ICMP, 0, r->socket[socket].id);
	}
	r->socket[socket].open = false;
	r->socket[socket].n = 0;
	listen_if_any(r);
}

void ping_sockets_destroy(struct ping_sockets *r)
{
	if (r == NULL)
		return;
	for (int i = 0; i < PING_SOCKETS_MAX; i++)
		ping_socket_close(r, i);
	ip_stack_set_sent(r->stack, NULL, NULL);
	free(r);
}

int ping_socket_send(struct ping_sockets *r, int socket, const struct ping_request *rq)
{
	const struct fib_nexthop *nh = ip_route(r->stack, rq->zone, rq->dst);
	uint32_t l4_len = ICMP_HEADER_LEN + (uint32_t)rq->data_len;

	if (nh->kind == FIB_NONE || nh->kind == FIB_UNREACHABLE || nh->kind == FIB_BLACKHOLE ||
	    nh->kind == FIB_PROHIBIT)
		return -ENETUNREACH;
	if (rq->data_len > ECHO_DATA_MAX)
		return -EMSGSIZE;
	struct device *d = ip_stack_device(r->stack, nh->ifindex);

	if (rq->df && nh->kind == FIB_UNICAST && d != NULL && l4_len + IPV4_HEADER_LEN > d->mtu)
		return -EMSGSIZE;
	struct packet *p = ip_packet_new(r->stack, rq->src, rq->dst, IPPROTO_NR_ICMP, l4_len);

	if (p == NULL)
		return -ENOBUFS;
	if (rq->ttl != 0)
		p->ip.ttl = rq->ttl;
	p->ip.tos = rq->tos;
	p->ip.df = rq->df;
	p->zone = rq->zone;
	ip_packet_finish(p);

	uint8_t *icmp = packet_l4(p);

	icmp_emit(icmp, ICMP_ECHO_REQUEST, 0, (uint32_t)r->socket[socket].id << 16 | rq->seq);
	/* What ping has always sent: a count of the bytes. */
	for (uint32_t i = ICMP_HEADER_LEN; i < l4_len; i++)
		icmp[i] = (uint8_t)i;
	l4_checksum_set(&p->ip, icmp, l4_len);
	l4_parse(&p->ip, icmp, l4_len, &p->l4);
	ip_ask_sent(p, ((uint32_t)socket + 1) << 16 | rq->seq);
	ip_local_out_one(r->stack, p);
	return 0;
}

bool ping_socket_receive(struct ping_sockets *r, int socket, struct ping_message *out)
{
	struct ping_socket *s = &r->socket[socket];

	if (s->n == 0)
		return false;
	*out = s->queue[s->head];
	s->head = (s->head + 1) % PING_SOCKET_QUEUE_MAX;
	s->n--;
	return true;
}

void ping_sockets_set_ready(struct ping_sockets *r, ping_socket_ready_fn *fn, void *ctx)
{
	r->ready = fn;
	r->ready_ctx = ctx;
}

uint64_t ping_socket_n_overflowed(const struct ping_sockets *r)
{
	return r->n_overflowed;
}

uint32_t ping_sockets_list(const struct ping_sockets *r, uint32_t *cursor, struct socket_entry *out, uint32_t max)
{
	uint32_t n = 0;

	for (; n < max && *cursor < PING_SOCKETS_MAX; ++*cursor) {
		const struct ping_socket *s = &r->socket[*cursor];

		if (!s->open)
			continue;
		out[n] = (struct socket_entry){ .kind = SOCKET_PING, .protocol = IPPROTO_NR_ICMP, .number = -1 };
		out[n].id = capture_id(IPPROTO_NR_ICMP, 0, *cursor);
		out[n].t.local = (struct tcp_end){ ip_addr_v4(0), s->id };
		out[n].t.remote = (struct tcp_end){ ip_addr_v4(0), 0 };
		out[n].n_waiting = s->n;
		out[n].t.recv_q = s->n * (uint32_t)sizeof(s->queue[0]);
		out[n++].t.rcvbuf = sizeof(s->queue);
	}
	return n;
}
