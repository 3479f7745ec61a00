/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Redirects: where the packets of a direction of a connection arrive (owner.c)
 * need not be where the connection is. Then the worker at which they arrive
 * keeps tuple -> worker.
 *
 * Life: when a connection is confirmed, its worker tells the homes of both
 * directions that are not itself, before the packet that confirms it leaves; so
 * the redirect stands there before any answer can come. When the connection ends
 * it tells them again. A redirect that leads elsewhere by then is left alone: it
 * belongs to a later connection. What was told when the ring was full: a new
 * connection is refused by name, an end waits in the backlog.
 *
 * Where the owner follows from a block of ports that no mapping of this connection
 * holds (a published port, an identifier of our own), the block is pinned at its
 * worker for as long, by the connection or by its redirect, so that it cannot
 * move.
 *
 * A config that changes who owns what is applied while all workers are quiesced: all
 * redirects and pins are then rebuilt from the connections.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/workers/workers_priv.h"
#include "stack/ip/local.h"

int workers_redirects_init(struct workers_redirects *r, uint32_t cap)
{
	*r = (struct workers_redirects){ .n_buckets = 1 };
	while (r->n_buckets < cap)
		r->n_buckets *= 2;
	/* 0 is the end of a chain, so that what is untouched costs nothing. */
	r->bucket = calloc(r->n_buckets, sizeof(*r->bucket));
	if (r->bucket == NULL)
		return -ENOMEM;
	return pool_init(&r->pool, cap, sizeof(struct workers_redirect), _Alignof(struct workers_redirect));
}

void workers_redirects_fini(struct workers_redirects *r)
{
	pool_fini(&r->pool);
	free(r->bucket);
}

static struct workers_redirect *redirect_at(const struct workers_redirects *r, uint32_t link)
{
	return pool_at(&r->pool, link - 1);
}

static uint32_t *find(const struct workers_member *w, const struct tuple *t)
{
	const struct workers_redirects *r = &w->redirects;
	uint32_t *link = &r->bucket[tuple_hash(&w->workers->owner.key, t) & (r->n_buckets - 1)];

	while (*link != 0 && !tuple_equal(&redirect_at(r, *link)->tuple, t))
		link = &redirect_at(r, *link)->chain;
	return link;
}

/* For all that an inside endpoint sends: destination 0. */
static bool is_wild(const struct tuple *t)
{
	return t->dst == 0;
}

struct tuple workers_inside(const struct tuple *t)
{
	return (struct tuple){ .src = t->src, .sport = t->sport, .proto = t->proto, .zone = t->zone };
}

uint32_t workers_redirected(const struct workers_member *w, const struct tuple *t)
{
	const struct workers_redirects *r = &w->redirects;

	if (r->pool.n_used == 0)
		return w->id;
	uint32_t link = *find(w, t);
	if (link == 0 && r->n_wild > 0) {
		struct tuple wild = workers_inside(t);
		link = *find(w, &wild);
	}
	return link == 0 ? w->id : redirect_at(r, link)->worker;
}

static uint16_t block_port(const struct tuple *t)
{
	return t->proto == IPPROTO_NR_ICMP ? t->sport : t->dport;
}

static bool by_block(const struct workers_member *w, const struct tuple *t)
{
	uint32_t row, proto, block;

	return owner_block(&w->workers->owner, t, &row, &proto, &block);
}

static bool pin(struct workers_member *w, const struct tuple *t)
{
	return nat_pin(gateway_nat(w->gw), t->dst, t->zone, t->proto, block_port(t));
}

static void unpin(struct workers_member *w, const struct tuple *t)
{
	nat_unpin(gateway_nat(w->gw), t->dst, t->zone, t->proto, block_port(t));
}

void workers_redirect_set(struct workers_member *w, const struct tuple *t, uint32_t ifindex, uint32_t to)
{
	struct workers_redirects *r = &w->redirects;
	uint32_t *link = find(w, t);

	(void)ifindex;
	if (*link != 0) {
		redirect_at(r, *link)->worker = (uint8_t)to;
		return;
	}
	uint32_t i = pool_alloc(&r->pool);
	if (i == POOL_NONE) {
		w->n_redirects_lost++;
		return;
	}
	*link = i + 1;
	struct workers_redirect *x = redirect_at(r, i + 1);
	*x = (struct workers_redirect){ .tuple = *t, .worker = (uint8_t)to };
	x->pinned = !is_wild(t) && by_block(w, t) && pin(w, t);
	r->n_wild += is_wild(t);
}

static bool workers_redirect_clear(struct workers_member *w, const struct tuple *t, uint32_t to)
{
	struct workers_redirects *r = &w->redirects;
	uint32_t *link = find(w, t), i = *link;

	if (i == 0)
		return false;
	struct workers_redirect *x = redirect_at(r, i);
	if (x->worker != to)
		return true;
	if (x->pinned)
		unpin(w, t);
	r->n_wild -= is_wild(t);
	*link = x->chain;
	pool_free(&r->pool, i - 1);
	return true;
}

/* Messages. */

static bool put_message(struct workers_member *w, uint32_t to, const struct workers_message *m)
{
	struct ring *ring = &workers_pair(w->workers, w->id, to)->messages;
	struct workers_message *slot = ring_put(ring);

	if (slot == NULL)
		return false;
	*slot = *m;
	/* At once: the packet that makes it necessary may leave before the batch ends. */
	ring_publish(ring);
	w->touched |= UINT64_C(1) << to;
	return true;
}

static struct workers_message *waiting(const struct workers_member *w, uint32_t i)
{
	uint32_t at = w->backlog_first + i;

	return &w->backlog[at < w->backlog_cap ? at : at - w->backlog_cap];
}

static void flush_backlog(struct workers_member *w)
{
	while (w->backlog_n > 0) {
		const struct workers_message *m = waiting(w, 0);

		if (!put_message(w, m->to, m))
			return;
		w->backlog_first = w->backlog_first + 1 == w->backlog_cap ? 0 : w->backlog_first + 1;
		w->backlog_n--;
	}
}

/* Of one group joins and leaves take turns, so the one that waits and this one come to nothing: there waits one at most
 * for each group that is joined here, or by what the worker was told. */
static bool cancels(struct workers_member *w, uint32_t to, const struct workers_message *m)
{
	for (uint32_t i = 0; i < w->backlog_n; i++) {
		const struct workers_message *x = waiting(w, i);

		if (x->kind != WORKERS_GROUP || x->to != to || x->ifindex != m->ifindex || x->tuple.dst != m->tuple.dst)
			continue;
		for (w->backlog_n--; i < w->backlog_n; i++)
			*waiting(w, i) = *waiting(w, i + 1);
		return true;
	}
	return false;
}

bool workers_tell(struct workers_member *w, uint32_t to, const struct workers_message *m)
{
	flush_backlog(w);
	if (w->backlog_n == 0 && put_message(w, to, m))
		return true;
	if (m->kind == WORKERS_REDIRECT_ADD || m->kind == WORKERS_PENDING_OPEN || m->kind == WORKERS_SENT)
		return false;
	if (m->kind == WORKERS_GROUP && cancels(w, to, m))
		return true;
	/* At most one for each direction of a connection of ours, so there is room. */
	if (w->backlog_n == w->backlog_cap) {
		w->n_redirects_lost++;
		return false;
	}
	struct workers_message *slot = waiting(w, w->backlog_n++);

	*slot = *m;
	slot->to = (uint8_t)to;
	return true;
}

/* The block moved while the message was on its way: it goes after it. */
static void pass_on(struct workers_member *w, const struct workers_message *m)
{
	uint32_t owner = owner_of_tuple(&w->workers->owner, m->ifindex, &m->tuple);

	if (owner != w->id && owner != m->worker)
		(void)workers_tell(w, owner, m);
}

/* The mapping is at the owner of its host, or where that one redirects to. */
static void tell_pending_open(struct workers_member *w, const struct workers_message *m)
{
	struct tuple inside = workers_inside(&m->tuple);
	uint32_t to = owner_of_host(&w->workers->owner, inside.src);

	if (to == w->id)
		to = workers_redirected(w, &inside);
	if (to != w->id && to != m->worker)
		(void)workers_tell(w, to, m);
}

static void read_pending_open(struct workers_member *w, const struct workers_message *m)
{
	bool is_owner = owner_of_host(&w->workers->owner, m->tuple.src) == w->id;

	if (!nat_pending_open_here(gateway_nat(w->gw), &m->tuple, m->ifindex) && is_owner)
		tell_pending_open(w, m);
}

static void read_group(struct workers_member *w, const struct workers_message *m)
{
	if (m->worker != 0)
		(void)ip_group_join(gateway_ip(w->gw), m->ifindex, m->tuple.dst);
	else
		ip_group_leave(gateway_ip(w->gw), m->ifindex, m->tuple.dst);
}

static void read_message(struct workers_member *w, const struct workers_message *m)
{
	if (m->kind == WORKERS_SENT) {
		ip_host_sent(gateway_ip(w->gw), m->sent.cookie, m->sent.at);
		return;
	}
	if (m->kind == WORKERS_GROUP) {
		read_group(w, m);
		return;
	}
	if (m->kind == WORKERS_LEASE_RETURN) {
		nat_lease_grant_end(gateway_nat(w->gw), &m->tuple, m->ifindex);
		return;
	}
	if (m->kind == WORKERS_PENDING_OPEN) {
		read_pending_open(w, m);
		return;
	}
	if (m->kind == WORKERS_REDIRECT_REMOVE) {
		if (!workers_redirect_clear(w, &m->tuple, m->worker) && !is_wild(&m->tuple))
			pass_on(w, m);
		return;
	}
	if (!is_wild(&m->tuple) && owner_of_tuple(&w->workers->owner, m->ifindex, &m->tuple) != w->id)
		pass_on(w, m);
	else if (m->worker != w->id)
		workers_redirect_set(w, &m->tuple, m->ifindex, m->worker);
}

void workers_read_messages(struct workers_member *w)
{
	const struct workers *c = w->workers;

	flush_backlog(w);
	for (uint32_t from = 0; from < c->n_members; from++) {
		if (from == w->id)
			continue;
		struct ring *ring = &workers_pair(c, from, w->id)->messages;
		uint32_t n = ring_ready_now(ring);

		if (n == 0)
			continue;
		for (uint32_t i = 0; i < n; i++)
			read_message(w, ring_at(ring, i));
		ring_take(ring, n);
	}
}

/* Connections. */

/* Whether a mapping of the connection keeps the block of its REPLY tuple already. */
static bool holds_reply(const struct conn *c)
{
	return (c->status & (CT_MAPPED | CT_SNAT)) == (CT_MAPPED | CT_SNAT);
}

/* How an owner is told: at runtime through a ring, directly while all are quiesced. */
enum how { BY_RING, QUIESCED };

static bool tell_arrival(struct workers_member *w, uint32_t owner, const struct tuple *t, uint32_t ifindex,
			 enum workers_message_kind kind, enum how how)
{
	struct workers_message m = {
		.tuple = *t, .kind = (uint8_t)kind, .worker = (uint8_t)w->id, .ifindex = (uint8_t)ifindex
	};

	if (how == BY_RING)
		return workers_tell(w, owner, &m);
	workers_redirect_set(&w->workers->worker[owner], t, ifindex, w->id);
	return true;
}

/* By what packets of this direction are led, and from which interface. What the host sends is led by its answer
 * (host.c): false when that is what the other direction is led by already, which it is not when the host sends that
 * too. */
static bool led_by(const struct workers_member *w, const struct conn *c, const struct workers_ext *s, enum ct_dir dir,
		   struct tuple *t)
{
	const struct owner_tables *o = &w->workers->owner;
	const struct tuple *other = &c->half[!dir].tuple;

	*t = c->half[dir].tuple;
	if (s->ifindex[dir] != 0)
		return true;
	*t = tuple_invert(t);
	return s->ifindex[!dir] == 0 || !tuple_equal(t, other) ||
	       owner_of_tuple(o, 0, t) != owner_of_tuple(o, s->ifindex[!dir], other);
}

/* Sees to it that packets of this direction find their way here. */
static bool steer_here(struct workers_member *w, const struct conn *c, struct workers_ext *s, enum ct_dir dir,
		       enum how how)
{
	uint32_t ifindex = s->ifindex[dir];
	struct tuple t;

	s->owner[dir] = (uint8_t)w->id;
	if (!led_by(w, c, s, dir, &t))
		return true;
	uint32_t owner = owner_of_tuple(&w->workers->owner, ifindex, &t);
	if (owner == w->id) {
		if ((dir == CT_REPLY && ifindex != 0 && holds_reply(c)) || !by_block(w, &t))
			return true;
		if (pin(w, &t)) {
			s->flags |= dir == CT_ORIGINAL ? WORKERS_EXT_PIN_ORIGINAL : WORKERS_EXT_PIN_REPLY;
			return true;
		}
		owner = owner_of_tuple(&w->workers->owner, ifindex, &t);
		if (owner == w->id)
			return true;
	}
	s->owner[dir] = (uint8_t)owner;
	return tell_arrival(w, owner, &t, ifindex, WORKERS_REDIRECT_ADD, how);
}

static void unpin_dir(struct workers_member *w, const struct conn *c, struct workers_ext *s, enum ct_dir dir)
{
	uint8_t flag = dir == CT_ORIGINAL ? WORKERS_EXT_PIN_ORIGINAL : WORKERS_EXT_PIN_REPLY;
	struct tuple t;

	(void)led_by(w, c, s, dir, &t);
	if (s->flags & flag)
		unpin(w, &t);
	s->flags &= (uint8_t)~flag;
}

static void forget(struct workers_member *w, const struct conn *c, struct workers_ext *s, enum ct_dir dir)
{
	struct tuple t;

	(void)led_by(w, c, s, dir, &t);
	unpin_dir(w, c, s, dir);
	if (s->owner[dir] != w->id)
		(void)tell_arrival(w, s->owner[dir], &t, s->ifindex[dir], WORKERS_REDIRECT_REMOVE, BY_RING);
	s->owner[dir] = (uint8_t)w->id;
}

bool workers_confirmed(void *ctx, uint32_t index, const struct packet *p)
{
	struct workers_member *w = ctx;
	const struct conn *c = conntrack_conn(gateway_conntrack(w->gw), index);
	struct workers_ext *s = &w->side[index];

	*s = (struct workers_ext){ .flags = WORKERS_EXT_KNOWN,
				   .ifindex = { (uint8_t)p->in_ifindex, p->to_us ? 0 : (uint8_t)p->out_ifindex } };
	if (p == w->ask.p)
		w->ask.settled = true;
	s->owner[CT_REPLY] = (uint8_t)w->id;
	return steer_here(w, c, s, CT_ORIGINAL, BY_RING) && steer_here(w, c, s, CT_REPLY, BY_RING);
}

void workers_ended(void *ctx, uint32_t index)
{
	struct workers_member *w = ctx;
	const struct conn *c = conntrack_conn(gateway_conntrack(w->gw), index);
	struct workers_ext *s = &w->side[index];

	if (!(s->flags & WORKERS_EXT_KNOWN))
		return;
	forget(w, c, s, CT_ORIGINAL);
	forget(w, c, s, CT_REPLY);
	s->flags = 0;
}

/* Mappings. */

/* All that an inside endpoint with a mapping sends goes where the mapping is. */
bool workers_mapping(void *ctx, const struct tuple *inside, enum nat_mapping_event what)
{
	struct workers_member *w = ctx;
	uint32_t owner = owner_of_host(&w->workers->owner, inside->src);

	return owner == w->id ||
	       tell_arrival(w, owner, inside, 0,
			    what == NAT_MAPPING_MADE ? WORKERS_REDIRECT_ADD : WORKERS_REDIRECT_REMOVE, BY_RING) ||
	       what == NAT_MAPPING_GONE;
}

void workers_give_back(void *ctx, const struct tuple *inside, const struct nat_lease *lease)
{
	struct workers_member *w = ctx;
	struct workers_message m = {
		.tuple = *inside, .kind = WORKERS_LEASE_RETURN, .worker = (uint8_t)w->id, .ifindex = lease->pool
	};

	(void)workers_tell(w, lease->lessor - 1u, &m);
}

/* Lost when the ring is full: the next packet of the attempt tells it again. */
void workers_pending_open(void *ctx, const struct tuple *meet, uint32_t pool)
{
	struct workers_member *w = ctx;
	struct workers_message m = {
		.tuple = *meet, .kind = WORKERS_PENDING_OPEN, .worker = (uint8_t)w->id, .ifindex = (uint8_t)pool
	};

	tell_pending_open(w, &m);
}

/* All workers quiesced. */

static void steer_mapping(void *ctx, const struct tuple *inside)
{
	struct workers_member *w = ctx;
	uint32_t owner = owner_of_host(&w->workers->owner, inside->src);

	if (owner != w->id)
		(void)tell_arrival(w, owner, inside, 0, WORKERS_REDIRECT_ADD, QUIESCED);
}

static void clear_redirects(struct workers_member *w)
{
	struct workers_redirects *r = &w->redirects;

	for (uint32_t b = 0; r->pool.n_used > 0 && b < r->n_buckets; b++) {
		while (r->bucket[b] != 0) {
			const struct workers_redirect *x = redirect_at(r, r->bucket[b]);
			struct tuple t = x->tuple;

			(void)workers_redirect_clear(w, &t, x->worker);
		}
	}
}

static void each_connection(struct workers_member *w,
			    void (*fn)(struct workers_member *w, const struct conn *c, struct workers_ext *s))
{
	struct conntrack *ct = gateway_conntrack(w->gw);
	uint32_t cursor = 0, index;

	while (conntrack_next(ct, &cursor, &index))
		if (w->side[index].flags & WORKERS_EXT_KNOWN)
			fn(w, conntrack_conn(ct, index), &w->side[index]);
}

static void unpin_both(struct workers_member *w, const struct conn *c, struct workers_ext *s)
{
	unpin_dir(w, c, s, CT_ORIGINAL);
	unpin_dir(w, c, s, CT_REPLY);
	s->flags = WORKERS_EXT_KNOWN;
}

static void steer_both(struct workers_member *w, const struct conn *c, struct workers_ext *s)
{
	(void)steer_here(w, c, s, CT_ORIGINAL, QUIESCED);
	(void)steer_here(w, c, s, CT_REPLY, QUIESCED);
}

void workers_resync(struct workers *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		workers_read_messages(&c->worker[i]);
	for (uint32_t i = 0; i < c->n; i++) {
		c->worker[i].backlog_n = 0;
		clear_redirects(&c->worker[i]);
		each_connection(&c->worker[i], unpin_both);
	}
	for (uint32_t i = 0; i < c->n; i++) {
		each_connection(&c->worker[i], steer_both);
		nat_each_mapping(gateway_nat(c->worker[i].gw), steer_mapping, &c->worker[i]);
	}
}
