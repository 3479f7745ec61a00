/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Held flows: a record each, found by its tuple, from its first packet until it is accepted,
 * refused or given up.
 *
 * ip delivers what is for addresses that are not ours (ip_stack_set_foreign), TCP and UDP show
 * what belongs to no socket of theirs. A SYN is kept as what it said, a datagram as it is, a few a
 * flow. A client that still wants its connection sends its SYN again, ever later: one
 * whose next one is long overdue has given up, as has one that sends a reset.
 *
 * The list of what is to be told is apart: a record that was told of and then given
 * up is in it once more, and one that was given up before it was told of is in it for nothing.
 *
 * What finds no room is dropped without an answer: it comes again.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/siphash.h"
#include "base/timer.h"
#include "stack/ip/icmp.h"
#include "stack/ip/local.h"
#include "stack/ip/route.h"
#include "stack/socket/socket_forward.h"
#include "stack/socket/socket_priv.h"
#include "stack/wire/icmp.h"

#define DEFAULT_FLOWS 65536u
#define TICK_NS (100 * NS_PER_MS)
/* A SYN comes again after 1 s, then after twice as long as the last time (RFC 6298); one of them may be lost. */
#define SYN_FIRST_NS (10 * NS_PER_S)
#define SYN_GAPS 4u
#define DATAGRAM_NS (30 * NS_PER_S)
#define CODE_MAX 15 /* of destination unreachable */
#define DATAGRAMS_A_FLOW 4u
/* Of all packets that there is memory for. */
#define DATAGRAMS_SHARE 8u

enum held_state {
	HELD_FREE,
	HELD_NEW,  /* to be told of */
	HELD_TOLD, /* its owner's to decide */
	HELD_GONE, /* given up, to be told */
	HELD_VOID, /* over; only the list still has it */
};

struct held {
	struct tcp_syn syn; /* of UDP its ends alone */
	struct packet *first, *last;
	uint32_t n_packets;
	uint32_t ifindex;
	uint64_t last_at, gap; /* of its packets */
	uint32_t serial;
	uint32_t next; /* in its bucket */
	uint32_t next_told;
	struct timer_node timer;
	uint8_t state; /* enum held_state */
	uint8_t protocol;
	bool is_listed;
};
_Static_assert(sizeof(struct held) <= 256, "what a SYN that is held costs");

struct forward {
	struct pool held;
	uint32_t *bucket;
	uint32_t mask;
	struct siphash_key key;
	struct timer_wheel wheel;
	uint32_t first_told, last_told;
	uint32_t n_packets, n_packets_max;
	uint32_t serial;
};

static struct held *held_at(const struct forward *f, uint32_t index)
{
	return pool_at(&f->held, index);
}

static uint32_t index_of(const struct forward *f, const struct held *h)
{
	return (uint32_t)((size_t)((const uint8_t *)h - f->held.mem) / f->held.stride);
}

/* --- by tuple --- */

static uint32_t *bucket_of(struct forward *f, const struct tcp_end *local, const struct tcp_end *remote, uint16_t zone)
{
	uint64_t hash = siphash13_16(&f->key, (uint64_t)local->addr.v4 << 32 | remote->addr.v4,
				     (uint64_t)zone << 32 | (uint32_t)local->port << 16 | remote->port);

	return &f->bucket[hash & f->mask];
}

static bool is_end(const struct tcp_end *e, uint32_t addr, uint16_t port)
{
	return e->addr.v4 == addr && e->port == port;
}

static struct held *find(struct forward *f, const struct packet *p)
{
	struct tcp_end local = { ip_addr_v4(p->ip.dst), p->l4.dport }, remote = { ip_addr_v4(p->ip.src), p->l4.sport };

	for (uint32_t i = *bucket_of(f, &local, &remote, p->zone); i != POOL_NONE; i = held_at(f, i)->next) {
		struct held *h = held_at(f, i);

		if (h->protocol == p->ip.proto && h->syn.zone == p->zone &&
		    is_end(&h->syn.local, p->ip.dst, p->l4.dport) && is_end(&h->syn.remote, p->ip.src, p->l4.sport))
			return h;
	}
	return NULL;
}

static void unlink_held(struct forward *f, const struct held *h)
{
	uint32_t *at = bucket_of(f, &h->syn.local, &h->syn.remote, h->syn.zone);

	while (*at != index_of(f, h))
		at = &held_at(f, *at)->next;
	*at = h->next;
}

/* --- life of one --- */

static void list(struct forward *f, struct held *h)
{
	uint32_t index = index_of(f, h);

	if (h->is_listed)
		return;
	h->is_listed = true;
	h->next_told = POOL_NONE;
	*(f->first_told == POOL_NONE ? &f->first_told : &held_at(f, f->last_told)->next_told) = index;
	f->last_told = index;
}

static void give_back(struct forward *f, struct held *h)
{
	h->state = HELD_FREE;
	pool_free(&f->held, index_of(f, h));
}

static void drop_packets(struct sockets *ss, struct held *h, enum drop_reason why)
{
	while (h->first != NULL) {
		struct packet *p = h->first;

		h->first = p->next;
		p->next = NULL;
		ss->forward->n_packets--;
		env_drop(ss->env, p, why);
	}
	h->n_packets = 0;
}

/* It is held no more; state: HELD_GONE when its owner must hear so, else HELD_VOID. */
static void end(struct sockets *ss, struct held *h, enum held_state state, enum drop_reason why)
{
	struct forward *f = ss->forward;
	bool is_known = h->state == HELD_TOLD;

	drop_packets(ss, h, why);
	timer_disarm(&f->wheel, index_of(f, h));
	unlink_held(f, h);
	h->state = state == HELD_GONE && is_known ? HELD_GONE : HELD_VOID;
	if (h->state == HELD_GONE)
		list(f, h);
	else if (!h->is_listed)
		give_back(f, h);
}

static struct held *begin(struct sockets *ss, const struct packet *p, const struct tcp_syn *syn)
{
	struct forward *f = ss->forward;
	uint32_t index = pool_alloc(&f->held);

	if (index == POOL_NONE)
		return NULL;
	struct held *h = held_at(f, index);
	uint32_t *bucket = bucket_of(f, &syn->local, &syn->remote, syn->zone);

	*h = (struct held){ .syn = *syn,
			    .ifindex = p->in_ifindex,
			    .last_at = ss->env->now,
			    .serial = ++f->serial,
			    .next = *bucket,
			    .state = HELD_NEW,
			    .protocol = p->ip.proto };
	timer_node_init(&h->timer);
	*bucket = index;
	list(f, h);
	return h;
}

static void expired(void *ctx, uint32_t index, uint64_t now)
{
	struct sockets *ss = ctx;

	end(ss, held_at(ss->forward, index), HELD_GONE, DROP_SOCKET_QUEUE);
}

/* --- what comes --- */

static void wait_for_next_syn(struct sockets *ss, struct held *h)
{
	uint64_t wait = max_u64(SYN_FIRST_NS, SYN_GAPS * h->gap);

	timer_arm(&ss->forward->wheel, index_of(ss->forward, h), ss->env->now + wait);
}

static void take_syn(struct sockets *ss, struct held *h, const struct packet *p, const struct tcp_syn *syn)
{
	/* Another connection: nobody waits for that one any more. */
	if (h != NULL && h->syn.seq != syn->seq) {
		end(ss, h, HELD_GONE, DROP_SOCKET_QUEUE);
		h = NULL;
	}
	if (h == NULL) {
		h = begin(ss, p, syn);
	} else {
		h->gap = ss->env->now - h->last_at;
		h->last_at = ss->env->now;
	}
	if (h != NULL)
		wait_for_next_syn(ss, h);
}

static bool tcp_unknown(void *ctx, const struct packet *p, const struct tcp_syn *syn)
{
	struct sockets *ss = ctx;

	if (ip_is_local(ss->ip, p->zone, p->ip.dst) || ip4_is_loopback(p->ip.dst))
		return false;
	struct held *h = find(ss->forward, p);

	if (syn != NULL) {
		take_syn(ss, h, p, syn);
		return true;
	}
	if (h == NULL || !(p->l4.flags & TCP_RST))
		return false;
	if (p->l4.seq == h->syn.seq + 1)
		end(ss, h, HELD_GONE, DROP_SOCKET_QUEUE);
	return true;
}

/* True: p is somebody else's now. */
static bool udp_unknown(void *ctx, struct packet *p)
{
	struct sockets *ss = ctx;
	struct forward *f = ss->forward;

	if (ip_is_local(ss->ip, p->zone, p->ip.dst) || ip4_is_loopback(p->ip.dst))
		return false;
	struct held *h = find(f, p);

	if (h == NULL) {
		struct tcp_syn ends = { .local = { ip_addr_v4(p->ip.dst), p->l4.dport },
					.remote = { ip_addr_v4(p->ip.src), p->l4.sport },
					.zone = p->zone };

		h = begin(ss, p, &ends);
	}
	if (h == NULL || h->n_packets == DATAGRAMS_A_FLOW || f->n_packets == f->n_packets_max ||
	    !packet_copy_on_hold(ss->env->pool, p)) {
		p->verdict = VERDICT_STOLEN;
		env_drop(ss->env, p, DROP_SOCKET_QUEUE);
		return true;
	}
	p->verdict = VERDICT_STOLEN;
	p->next = NULL;
	*(h->first == NULL ? &h->first : &h->last->next) = p;
	h->last = p;
	h->n_packets++;
	f->n_packets++;
	timer_arm(&f->wheel, index_of(f, h), ss->env->now + DATAGRAM_NS);
	return true;
}

/* What a proxy can stand in for: an echo is answered by whom it asks, or by nobody. */
static bool is_for_a_flow(void *ctx, const struct packet *p)
{
	return p->ip.proto == IPPROTO_NR_TCP || p->ip.proto == IPPROTO_NR_UDP ||
	       (p->ip.proto == IPPROTO_NR_ICMP && p->l4.kind == L4_ICMP_ERROR);
}

/* --- what the owner says --- */

bool socket_flow_next(struct sockets *ss, struct socket_flow *out)
{
	struct forward *f = ss->forward;

	while (f != NULL && f->first_told != POOL_NONE) {
		struct held *h = held_at(f, f->first_told);
		uint8_t state = h->state;

		f->first_told = h->next_told;
		h->is_listed = false;
		*out = (struct socket_flow){ .id = (uint64_t)h->serial << 32 | index_of(f, h),
					     .local = h->syn.local,
					     .remote = h->syn.remote,
					     .protocol = h->protocol,
					     .is_gone = state == HELD_GONE };
		if (state == HELD_NEW)
			h->state = HELD_TOLD;
		else
			give_back(f, h);
		if (state != HELD_VOID)
			return true;
	}
	return false;
}

static struct held *by_id(const struct sockets *ss, uint64_t id)
{
	struct forward *f = ss->forward;

	if (f == NULL || (uint32_t)id >= f->held.n_fresh)
		return NULL;
	struct held *h = held_at(f, (uint32_t)id);

	return h->serial == (uint32_t)(id >> 32) && h->state == HELD_TOLD ? h : NULL;
}

static int accept_tcp(struct sockets *ss, const struct held *h)
{
	int n = socket_open(ss, YG_AF_INET, YG_SOCK_STREAM, 0);

	if (n < 0)
		return n;
	struct socket *s = socket_at(ss, n);
	int rc = tcp_answer(ss->tcp, s->conn, &h->syn);

	if (rc != -EINPROGRESS) {
		(void)socket_close(ss, n);
		return rc;
	}
	s->is_connected = true;
	s->zone = h->syn.zone;
	return n;
}

static int accept_udp(struct sockets *ss, struct held *h)
{
	int n = socket_open(ss, YG_AF_INET, YG_SOCK_DGRAM, 0);

	if (n < 0)
		return n;
	struct udp_socket *u = socket_at(ss, n)->udp;
	struct datagram_end local = { h->syn.local.addr, h->syn.local.port };
	struct datagram_end remote = { h->syn.remote.addr, h->syn.remote.port };

	udp_answer(ss->udp, u, h->syn.zone, &local, &remote);
	while (h->first != NULL) {
		struct packet *p = h->first;

		h->first = p->next;
		p->next = NULL;
		ss->forward->n_packets--;
		if (!udp_push(ss->udp, u, p))
			env_drop(ss->env, p, DROP_SOCKET_QUEUE);
	}
	return n;
}

int socket_flow_accept(struct sockets *ss, uint64_t id)
{
	struct held *h = by_id(ss, id);

	if (h == NULL)
		return -ENOENT;
	int n = h->protocol == IPPROTO_NR_TCP ? accept_tcp(ss, h) : accept_udp(ss, h);

	if (n >= 0)
		end(ss, h, HELD_VOID, DROP_SOCKET_QUEUE);
	return n;
}

/* The SYN is not there any more: its head is made again for the quote. */
static void refuse_by_icmp(struct sockets *ss, const struct held *h, uint8_t code)
{
	const struct tcp_syn *syn = &h->syn;
	struct packet *p = h->first;

	if (p != NULL) {
		(void)icmp_send_error(ss->ip, p, ICMP_DEST_UNREACHABLE, code, 0);
		return;
	}
	p = ip_packet_new(ss->ip, syn->remote.addr.v4, syn->local.addr.v4, IPPROTO_NR_TCP, TCP_HEADER_LEN);
	if (p == NULL)
		return;
	ip_packet_finish(p);
	tcp_emit(packet_l4(p), syn->remote.port, syn->local.port, syn->seq, 0, TCP_SYN, syn->window);
	l4_checksum_set(&p->ip, packet_l4(p), TCP_HEADER_LEN);
	p->in_ifindex = h->ifindex;
	p->zone = syn->zone;
	p->to_us = true;
	(void)icmp_send_error(ss->ip, p, ICMP_DEST_UNREACHABLE, code, 0);
	env_drop(ss->env, p, DROP_PORT_UNREACHABLE);
}

int socket_flow_refuse(struct sockets *ss, uint64_t id, int how)
{
	struct held *h = by_id(ss, id);

	if (how < SOCKET_REFUSE_SILENT || how > CODE_MAX)
		return -EINVAL;
	if (h == NULL)
		return -ENOENT;
	if (how == SOCKET_REFUSE_RESET && h->protocol == IPPROTO_NR_TCP)
		tcp_refuse(ss->tcp, &h->syn);
	else if (how != SOCKET_REFUSE_SILENT)
		refuse_by_icmp(ss, h, how == SOCKET_REFUSE_RESET ? ICMP_PORT_UNREACHABLE : (uint8_t)how);
	end(ss, h, HELD_VOID, DROP_PORT_UNREACHABLE);
	return 0;
}

/* --- life of all --- */

int sockets_forward(struct sockets *ss, uint32_t n_flows)
{
	uint32_t n = n_flows != 0 ? n_flows : DEFAULT_FLOWS, size = 16;

	if (ss->forward != NULL)
		return 0;
	struct forward *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -ENOMEM;
	while (size < n)
		size *= 2;
	f->mask = size - 1;
	f->bucket = malloc(size * sizeof(*f->bucket));
	if (f->bucket == NULL || pool_init(&f->held, n, sizeof(struct held), 64) != 0) {
		free(f->bucket);
		free(f);
		return -ENOMEM;
	}
	memset(f->bucket, 0xff, size * sizeof(*f->bucket));
	f->key = (struct siphash_key){ rng_u64(&ss->env->rng), rng_u64(&ss->env->rng) };
	f->first_told = f->last_told = POOL_NONE;
	f->n_packets_max = packet_pool_capacity(ss->env->pool) / DATAGRAMS_SHARE;
	timer_wheel_init(&f->wheel, &held_at(f, 0)->timer, f->held.stride, TICK_NS, ss->env->now);
	ss->forward = f;
	ip_stack_set_foreign(ss->ip, is_for_a_flow, ss);
	tcp_set_unknown(ss->tcp, tcp_unknown, ss);
	udp_set_unknown(ss->udp, udp_unknown, ss);
	return 0;
}

void sockets_forward_end(struct sockets *ss)
{
	struct forward *f = ss->forward;

	if (f == NULL)
		return;
	ip_stack_set_foreign(ss->ip, NULL, NULL);
	tcp_set_unknown(ss->tcp, NULL, NULL);
	udp_set_unknown(ss->udp, NULL, NULL);
	for (uint32_t i = 0; i < f->held.n_fresh; i++)
		drop_packets(ss, held_at(f, i), DROP_SOCKET_QUEUE);
	pool_fini(&f->held);
	free(f->bucket);
	free(f);
	ss->forward = NULL;
}

void socket_forward_expire(struct sockets *ss)
{
	if (ss->forward != NULL)
		(void)timer_advance(&ss->forward->wheel, ss->env->now, 0, expired, ss);
}

uint64_t socket_forward_deadline(const struct sockets *ss)
{
	return ss->forward != NULL ? timer_next(&ss->forward->wheel) : TIME_NEVER;
}
