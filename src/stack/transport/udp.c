/* SPDX-License-Identifier: BSD-2-Clause
 *
 * UDP: who has a port, and what comes and goes by it.
 *
 * A bound socket is in the list of its port's bucket, newest first; a connected one
 * also in that of its four-tuple, so that a server with a connected socket for each
 * client finds it at once. A packet to one host goes to the socket of its four-tuple,
 * else to the best that is bound to the port and not connected: one with the address
 * before one for any, one with the interface before one for any, among equals the
 * newest, or with SO_REUSEPORT the one that the flow's hash says. A packet to a group or to
 * all goes to each that may hear it, in a copy but for the last.
 *
 * While any socket is open UDP is the row of its protocol in ip, which is told each port
 * that somebody has, so that workers hand over what comes to it; what nobody takes is left to
 * that row's policy (port unreachable).
 *
 * Large datagrams (UDP_SEGMENT) go and come whole where a port carries them. A socket
 * that did not ask for them (UDP_GRO) gets what they are made of.
 *
 * What is sent to many is heard here too, if it is asked for: a copy is shown to the
 * sockets directly, by the interface that it goes out of, and does not pass the hooks.
 *
 * Next: src/stack/transport/datagram.c for what came, datagram_out.c for what goes
 */
#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "stack/packet/gso.h"
#include "stack/transport/udp.h"
#include "stack/wire/checksum.h"
#include "stack/wire/icmp.h"

#define PORT_BUCKETS 1024u
#define SEGMENTS_MAX 128u /* Linux's UDP_MAX_SEGMENTS */
/* Ports that are drawn before the rest is looked through in a row (RFC 6056 section 3.3.2, algorithm 2). */
#define DRAWS 64u

struct udp {
	struct datagram_stack d;
	struct pool sockets, groups;
	struct siphash_key key;
	uint32_t of_port[PORT_BUCKETS];
	uint32_t *of_tuple;
	uint32_t tuple_mask;
	uint16_t port_first, port_last;
	udp_unknown_fn *unknown;
	void *unknown_ctx;
	uint64_t counts[N_UDP_COUNTERS];
};

const char *const udp_counter_names[N_UDP_COUNTERS] = {
	[UDP_COUNT_IN] = "in-datagrams",
	[UDP_COUNT_OUT] = "out-datagrams",
	[UDP_COUNT_NO_PORT] = "no-port",
	[UDP_COUNT_QUEUE_FULL] = "queue-full",
};

static struct udp_socket *socket_at(const struct udp *u, uint32_t i)
{
	return pool_at(&u->sockets, i);
}

/* --- tables --- */

static uint32_t *port_bucket(struct udp *u, uint16_t port)
{
	return &u->of_port[port % PORT_BUCKETS];
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
		at = &socket_at(u, *at)->next_port;
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
		at = &socket_at(u, *at)->next_tuple;
	*at = s->next_tuple;
	s->in_tuple = false;
}

static bool device_fits(const struct datagram_socket *s, uint32_t ifindex)
{
	return s->o.ifindex == 0 || s->o.ifindex == ifindex;
}

/* What a look-up is about: the other end's view of it. */
struct flow {
	uint32_t laddr, raddr;
	uint16_t lport, rport, zone;
	uint32_t ifindex;
};

static struct udp_socket *find_connected(struct udp *u, const struct flow *f)
{
	uint32_t i = u->of_tuple[tuple_hash(u, f->laddr, f->lport, f->raddr, f->rport) & u->tuple_mask];

	for (; i != POOL_NONE; i = socket_at(u, i)->next_tuple) {
		const struct datagram_socket *s = &socket_at(u, i)->d;

		if (s->raddr == f->raddr && s->laddr == f->laddr && s->rport == f->rport && s->lport == f->lport &&
		    s->o.zone == f->zone && device_fits(s, f->ifindex))
			return socket_at(u, i);
	}
	return NULL;
}

static struct udp_socket *find_bound(struct udp *u, const struct flow *f)
{
	struct udp_socket *best = NULL;
	uint32_t best_score = 0, n_best = 0;
	uint32_t hash = 0;

	for (uint32_t i = *port_bucket(u, f->lport); i != POOL_NONE; i = socket_at(u, i)->next_port) {
		struct udp_socket *s = socket_at(u, i);
		const struct datagram_socket *d = &s->d;

		if (d->lport != f->lport || d->is_connected || d->o.zone != f->zone ||
		    (d->laddr != 0 && d->laddr != f->laddr) || !device_fits(d, f->ifindex))
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

static struct udp_socket *find(struct udp *u, const struct flow *f)
{
	struct udp_socket *s = find_connected(u, f);

	return s != NULL ? s : find_bound(u, f);
}

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
			u->counts[UDP_COUNT_QUEUE_FULL]++;
			env_drop(u->d.env, out.p[i], DROP_SOCKET_QUEUE);
		}
	}
}

bool udp_push(struct udp *u, struct udp_socket *s, struct packet *p)
{
	u->counts[UDP_COUNT_IN]++;
	if (p->offload.gso_type == GSO_UDP4 && !s->d.o.gro) {
		p->verdict = VERDICT_STOLEN;
		push_pieces(u, s, p);
		return true;
	}
	if (datagram_push(&u->d, &s->d, p))
		return true;
	u->counts[UDP_COUNT_QUEUE_FULL]++;
	return false;
}

static void push_copy(struct udp *u, struct udp_socket *s, const struct packet *p)
{
	struct packet *copy = packet_copy(u->d.env->pool, p);

	if (copy == NULL) {
		u->counts[UDP_COUNT_QUEUE_FULL]++;
		s->d.n_dropped++;
		return;
	}
	u->d.env->ledger.n_pieces_made++;
	if (!udp_push(u, s, copy))
		env_drop(u->d.env, copy, (enum drop_reason)copy->reason);
}

static bool hears_many(const struct udp *u, const struct datagram_socket *s, const struct packet *p)
{
	if (s->lport != p->l4.dport || s->o.zone != p->zone || !device_fits(s, p->in_ifindex))
		return false;
	if (s->laddr != 0 && s->laddr != p->ip.dst)
		return false;
	if (s->is_connected && (s->raddr != p->ip.src || s->rport != p->l4.sport))
		return false;
	return !ip4_is_multicast(p->ip.dst) || datagram_hears(&u->d, s, p->ip.dst, p->in_ifindex);
}

/* To each that hears it; true: p is somebody else's now. */
static bool input_many(struct udp *u, struct packet *p)
{
	struct udp_socket *last = NULL;

	for (uint32_t i = *port_bucket(u, p->l4.dport); i != POOL_NONE; i = socket_at(u, i)->next_port) {
		if (!hears_many(u, &socket_at(u, i)->d, p))
			continue;
		if (last != NULL)
			push_copy(u, last, p);
		last = socket_at(u, i);
	}
	return last != NULL && udp_push(u, last, p);
}

static bool input_one(struct udp *u, struct packet *p)
{
	struct flow f = { .laddr = p->ip.dst,
			  .raddr = p->ip.src,
			  .lport = p->l4.dport,
			  .rport = p->l4.sport,
			  .zone = p->zone,
			  .ifindex = p->in_ifindex };
	struct udp_socket *s;

	if (p->l4.kind != L4_UDP)
		return false;
	if (p->is_broadcast || ip4_is_multicast(p->ip.dst))
		return input_many(u, p);
	s = find(u, &f);
	if (s == NULL) {
		if (u->unknown != NULL && u->unknown(u->unknown_ctx, p))
			return true;
		u->counts[UDP_COUNT_NO_PORT]++;
		return false;
	}
	return udp_push(u, s, p);
}

/* As input_one; a capture is told what came of it. */
static bool input_captured(struct udp *u, struct packet *p)
{
	uint64_t n_full = u->counts[UDP_COUNT_QUEUE_FULL], n_no_port = u->counts[UDP_COUNT_NO_PORT];

	if (!captures_keep(u->d.captures, p))
		return input_one(u, p);
	bool is_taken = input_one(u, p);

	captures_came(u->d.captures, u->counts[UDP_COUNT_QUEUE_FULL] != n_full ? udp_counter_names[UDP_COUNT_QUEUE_FULL]
				     : u->counts[UDP_COUNT_NO_PORT] != n_no_port ? udp_counter_names[UDP_COUNT_NO_PORT]
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
	struct flow f = { .laddr = q->ip.src,
			  .raddr = q->ip.dst,
			  .lport = q->l4.sport,
			  .rport = q->l4.dport,
			  .zone = e->p->zone,
			  .ifindex = e->p->in_ifindex };
	struct udp_socket *s = find(u, &f);

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
		if (socket_at(u, i)->d.is_open)
			udp_close(u, socket_at(u, i));
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

const uint64_t *udp_counts(const struct udp *u)
{
	return u->counts;
}

const struct udp_socket *udp_next(const struct udp *u, uint32_t *cursor, uint32_t *budget)
{
	while (*cursor<u->sockets.n_fresh && * budget> 0) {
		const struct udp_socket *s = socket_at(u, (*cursor)++);

		--*budget;
		if (s->d.is_open)
			return s;
	}
	return NULL;
}

struct udp_socket *udp_open(struct udp *u, uint64_t user)
{
	uint32_t index = pool_alloc(&u->sockets);

	if (index == POOL_NONE)
		return NULL;
	struct udp_socket *s = socket_at(u, index);

	*s = (struct udp_socket){ .next_port = POOL_NONE, .next_tuple = POOL_NONE };
	datagram_init(&s->d, index, user);
	listen_if_any(u);
	return s;
}

void udp_close(struct udp *u, struct udp_socket *s)
{
	datagram_cork_free(&u->d, &s->cork);
	tuple_remove(u, s);
	port_remove(u, s);
	datagram_fini(&u->d, &s->d);
	pool_free(&u->sockets, s->d.index);
	listen_if_any(u);
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
	for (uint32_t i = *port_bucket(u, port); i != POOL_NONE; i = socket_at(u, i)->next_port) {
		const struct udp_socket *o = socket_at(u, i);

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

/* The socket with a port, of its own choice or drawn. */
static int take_port(struct udp *u, struct udp_socket *s, uint16_t port)
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
	rc = take_port(u, s, local->port);
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
	uint32_t source = datagram_source_for(&u->d, &s->d, raddr);

	if (source == 0)
		return -ENETUNREACH;
	if (!s->in_port && s->d.lport == 0) {
		int rc = take_port(u, s, 0);

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

void udp_set_unknown(struct udp *u, udp_unknown_fn *fn, void *ctx)
{
	u->unknown = fn;
	u->unknown_ctx = ctx;
	listen_if_any(u);
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

/* --- what goes --- */

static void write_headers(struct udp_socket *s, struct packet *p, const struct datagram_way *way, uint32_t len,
			  uint32_t gso_size)
{
	uint8_t *udp = packet_l4(p);
	uint32_t l4_len = UDP_HEADER_LEN + len;

	udp_emit(udp, s->d.lport, way->dport, (uint16_t)len);
	l4_parse(&p->ip, udp, l4_len, &p->l4);
	if (gso_size != 0 && gso_size < len) {
		uint16_t sum = checksum_fold(checksum_pseudo(p->ip.src, p->ip.dst, IPPROTO_NR_UDP, l4_len));

		udp[UDP_CHECK_AT] = (uint8_t)(sum >> 8);
		udp[UDP_CHECK_AT + 1] = (uint8_t)sum;
		p->l4.check = sum;
		p->offload = (struct offload){ .csum_partial = true,
					       .gso_type = GSO_UDP4,
					       .csum_start = p->l4_off,
					       .csum_offset = UDP_CHECK_AT,
					       .gso_size = (uint16_t)gso_size,
					       .gso_hdr_len = (uint16_t)(p->l4_off + UDP_HEADER_LEN) };
	} else if (!s->d.o.no_check) {
		l4_checksum_set(&p->ip, udp, l4_len);
		l4_parse(&p->ip, udp, l4_len, &p->l4);
	}
}

/* What goes to many is heard here too: as if it came by the interface that it goes out of. */
static void hear_own(struct udp *u, const struct udp_socket *s, const struct packet *p)
{
	if (ip4_is_multicast(p->ip.dst) && !s->d.o.multicast_loop)
		return;
	struct packet *copy = packet_copy(u->d.env->pool, p);

	if (copy == NULL)
		return;
	u->d.env->ledger.n_pieces_made++;
	copy->in_ifindex = p->out_ifindex;
	copy->is_broadcast = !ip4_is_multicast(p->ip.dst);
	if (input_many(u, copy))
		return;
	if (copy->verdict == VERDICT_DROP) {
		env_drop(u->d.env, copy, (enum drop_reason)copy->reason);
		return;
	}
	u->d.env->ledger.n_delivered++;
	packet_free(u->d.env->pool, copy);
}

static int check_segments(const struct datagram_way *way, uint32_t len, uint32_t gso_size)
{
	if (gso_size == 0 || gso_size >= len)
		return 0;
	if (IPV4_HEADER_LEN + UDP_HEADER_LEN + gso_size > way->mtu)
		return -EINVAL;
	return (len + gso_size - 1) / gso_size > SEGMENTS_MAX ? -EINVAL : 0;
}

static int64_t send_whole(struct udp *u, struct udp_socket *s, const struct datagram_out *out, const struct span *span,
			  int n)
{
	struct datagram_way way;
	int64_t len = datagram_len(span, n);
	uint32_t gso_size = out->gso_size >= 0 ? (uint32_t)out->gso_size : s->d.o.gso_size;
	int rc;

	if (len < 0 || len > UINT16_MAX - IPV4_HEADER_LEN - UDP_HEADER_LEN)
		return -EMSGSIZE;
	if (s->d.error != 0)
		return -datagram_take_error(&s->d);
	if (s->d.shut_write)
		return -EPIPE;
	if (!ip_addr_is_none(&out->to.addr) && out->to.port == 0)
		return -EINVAL;
	bool is_large = gso_size != 0 && gso_size < (uint32_t)len;

	rc = datagram_find_way(&u->d, &s->d, out, UDP_HEADER_LEN + (is_large ? gso_size : (uint32_t)len), &way);
	if (rc == 0)
		rc = check_segments(&way, (uint32_t)len, gso_size);
	if (rc == 0 && !s->in_port && s->d.lport == 0)
		rc = take_port(u, s, 0) != 0 ? -EAGAIN : 0;
	if (rc != 0)
		return rc;
	/* A large one's checksum wants its source now. */
	if (way.src == 0)
		way.src = datagram_source_for(&u->d, &s->d, way.dst);
	struct packet *p = datagram_new(&u->d, &s->d, &way, IPPROTO_NR_UDP, UDP_HEADER_LEN + (uint32_t)len);

	if (p == NULL)
		return -ENOBUFS;
	datagram_gather(packet_l4(p) + UDP_HEADER_LEN, span, n);
	write_headers(s, p, &way, (uint32_t)len, gso_size);
	u->counts[UDP_COUNT_OUT]++;
	if (way.is_to_many)
		hear_own(u, s, p);
	if (YG_UNLIKELY(captures_any(u->d.captures)))
		captures_sent(u->d.captures, p);
	ip_local_out_one(u->d.ip, p);
	return len;
}

/* As Linux: where and how it goes says the first call, and an error throws all of it away. */
static int64_t send_corked(struct udp *u, struct udp_socket *s, const struct datagram_out *out, const struct span *span,
			   int n)
{
	struct span pieces[DATAGRAM_CORK_PIECES];
	int64_t len = datagram_len(span, n);

	if (s->cork.first == NULL)
		s->cork.out = *out;
	int rc = len < 0 || s->cork.len + len > UINT16_MAX - IPV4_HEADER_LEN - UDP_HEADER_LEN
			 ? -EMSGSIZE
			 : datagram_cork_add(&u->d, &s->cork, span, n);

	if (rc == 0 && out->more)
		return len;
	if (rc == 0) {
		int64_t sent = send_whole(u, s, &s->cork.out, pieces, datagram_cork_spans(&s->cork, pieces));

		rc = sent < 0 ? (int)sent : 0;
	}
	datagram_cork_free(&u->d, &s->cork);
	return rc < 0 ? rc : len;
}

int64_t udp_send(struct udp *u, struct udp_socket *s, const struct datagram_out *out, const struct span *span, int n)
{
	if (out->more || s->cork.first != NULL)
		return send_corked(u, s, out, span, n);
	return send_whole(u, s, out, span, n);
}

int64_t udp_recv(struct udp *u, struct udp_socket *s, const struct span *span, int n, uint32_t flags,
		 struct datagram_info *info)
{
	return datagram_recv(&u->d, &s->d, UDP_HEADER_LEN, span, n, flags, info);
}
