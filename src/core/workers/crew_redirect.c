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
 * Where a home follows from a block of ports that no mapping of this connection
 * holds (a published port, an identifier of our own), the block is pinned at its
 * worker for as long, by the connection or by its redirect, so that it cannot
 * move.
 *
 * A config that changes who owns what is applied while everybody is at rest: all
 * redirects and pins are then made anew from the connections.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/workers/crew_priv.h"

int crew_redirects_init(struct crew_redirects *r, uint32_t cap)
{
	*r = (struct crew_redirects){ .n_buckets = 1 };
	while (r->n_buckets < cap)
		r->n_buckets *= 2;
	/* 0 is the end of a chain, so that what is untouched costs nothing. */
	r->bucket = calloc(r->n_buckets, sizeof(*r->bucket));
	if (r->bucket == NULL)
		return -ENOMEM;
	return pool_init(&r->pool, cap, sizeof(struct crew_redirect), _Alignof(struct crew_redirect));
}

void crew_redirects_fini(struct crew_redirects *r)
{
	pool_fini(&r->pool);
	free(r->bucket);
}

static struct crew_redirect *redirect_at(const struct crew_redirects *r, uint32_t link)
{
	return pool_at(&r->pool, link - 1);
}

static uint32_t *find(const struct crew_worker *w, const struct tuple *t)
{
	const struct crew_redirects *r = &w->redirects;
	uint32_t *link = &r->bucket[tuple_hash(&w->crew->owner.key, t) & (r->n_buckets - 1)];

	while (*link != 0 && !tuple_equal(&redirect_at(r, *link)->tuple, t))
		link = &redirect_at(r, *link)->chain;
	return link;
}

/* For all that an inside endpoint sends: destination 0. */
static bool is_wild(const struct tuple *t)
{
	return t->dst == 0;
}

struct tuple crew_inside(const struct tuple *t)
{
	return (struct tuple){ .src = t->src, .sport = t->sport, .proto = t->proto, .zone = t->zone };
}

uint32_t crew_redirected(const struct crew_worker *w, const struct tuple *t)
{
	const struct crew_redirects *r = &w->redirects;

	if (r->pool.n_used == 0)
		return w->id;
	uint32_t link = *find(w, t);
	if (link == 0 && r->n_wild > 0) {
		struct tuple wild = crew_inside(t);
		link = *find(w, &wild);
	}
	return link == 0 ? w->id : redirect_at(r, link)->worker;
}

static uint16_t block_port(const struct tuple *t)
{
	return t->proto == IPPROTO_NR_ICMP ? t->sport : t->dport;
}

static bool by_block(const struct crew_worker *w, const struct tuple *t)
{
	uint32_t row, proto, block;

	return owner_block(&w->crew->owner, t, &row, &proto, &block);
}

static bool pin(struct crew_worker *w, const struct tuple *t)
{
	return nat_pin(gateway_nat(w->gw), t->dst, t->zone, t->proto, block_port(t));
}

static void unpin(struct crew_worker *w, const struct tuple *t)
{
	nat_unpin(gateway_nat(w->gw), t->dst, t->zone, t->proto, block_port(t));
}

void crew_redirect_set(struct crew_worker *w, const struct tuple *t, uint32_t ifindex, uint32_t to)
{
	struct crew_redirects *r = &w->redirects;
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
	struct crew_redirect *x = redirect_at(r, i + 1);
	*x = (struct crew_redirect){ .tuple = *t, .worker = (uint8_t)to };
	x->pinned = !is_wild(t) && by_block(w, t) && pin(w, t);
	r->n_wild += is_wild(t);
}

bool crew_redirect_clear(struct crew_worker *w, const struct tuple *t, uint32_t to)
{
	struct crew_redirects *r = &w->redirects;
	uint32_t *link = find(w, t), i = *link;

	if (i == 0)
		return false;
	struct crew_redirect *x = redirect_at(r, i);
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

static bool put_message(struct crew_worker *w, uint32_t to, const struct crew_message *m)
{
	struct ring *ring = &crew_pair(w->crew, w->id, to)->messages;
	struct crew_message *slot = ring_put(ring);

	if (slot == NULL)
		return false;
	*slot = *m;
	/* At once: the packet that makes it necessary may leave before the batch ends. */
	ring_publish(ring);
	w->touched |= UINT64_C(1) << to;
	return true;
}

static void flush_backlog(struct crew_worker *w)
{
	while (w->backlog_n > 0) {
		const struct crew_message *m = &w->backlog[w->backlog_first];

		if (!put_message(w, m->to, m))
			return;
		w->backlog_first = w->backlog_first + 1 == w->backlog_cap ? 0 : w->backlog_first + 1;
		w->backlog_n--;
	}
}

bool crew_tell(struct crew_worker *w, uint32_t to, const struct crew_message *m)
{
	flush_backlog(w);
	if (w->backlog_n == 0 && put_message(w, to, m))
		return true;
	if (m->kind == CREW_REDIRECT_ADD || m->kind == CREW_ATTEMPT)
		return false;
	/* At most one for each direction of a connection of ours, so there is room. */
	if (w->backlog_n == w->backlog_cap) {
		w->n_redirects_lost++;
		return false;
	}
	uint32_t at = w->backlog_first + w->backlog_n++;
	struct crew_message *slot = &w->backlog[at < w->backlog_cap ? at : at - w->backlog_cap];
	*slot = *m;
	slot->to = (uint8_t)to;
	return true;
}

/* The block moved while the message was on its way: it goes after it. */
static void pass_on(struct crew_worker *w, const struct crew_message *m)
{
	uint32_t home = owner_of_tuple(&w->crew->owner, m->ifindex, &m->tuple);

	if (home != w->id && home != m->worker)
		(void)crew_tell(w, home, m);
}

/* The mapping is at the home of its host, or where home leads. */
static void tell_attempt(struct crew_worker *w, const struct crew_message *m)
{
	struct tuple inside = crew_inside(&m->tuple);
	uint32_t to = owner_of_host(&w->crew->owner, inside.src);

	if (to == w->id)
		to = crew_redirected(w, &inside);
	if (to != w->id && to != m->worker)
		(void)crew_tell(w, to, m);
}

static void read_attempt(struct crew_worker *w, const struct crew_message *m)
{
	bool home = owner_of_host(&w->crew->owner, m->tuple.src) == w->id;

	if (!nat_attempt_here(gateway_nat(w->gw), &m->tuple, m->ifindex) && home)
		tell_attempt(w, m);
}

static void read_message(struct crew_worker *w, const struct crew_message *m)
{
	if (m->kind == CREW_LOAN_RETURN) {
		nat_lend_end(gateway_nat(w->gw), &m->tuple, m->ifindex);
		return;
	}
	if (m->kind == CREW_ATTEMPT) {
		read_attempt(w, m);
		return;
	}
	if (m->kind == CREW_REDIRECT_REMOVE) {
		if (!crew_redirect_clear(w, &m->tuple, m->worker) && !is_wild(&m->tuple))
			pass_on(w, m);
		return;
	}
	if (!is_wild(&m->tuple) && owner_of_tuple(&w->crew->owner, m->ifindex, &m->tuple) != w->id)
		pass_on(w, m);
	else if (m->worker != w->id)
		crew_redirect_set(w, &m->tuple, m->ifindex, m->worker);
}

void crew_read_messages(struct crew_worker *w)
{
	const struct crew *c = w->crew;

	flush_backlog(w);
	for (uint32_t from = 0; from < c->n; from++) {
		if (from == w->id)
			continue;
		struct ring *ring = &crew_pair(c, from, w->id)->messages;
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

/* How a home is told: at runtime through a ring, at rest directly. */
enum how { BY_RING, AT_REST };

static bool tell_home(struct crew_worker *w, uint32_t home, const struct tuple *t, uint32_t ifindex,
		      enum crew_message_kind kind, enum how how)
{
	struct crew_message m = {
		.tuple = *t, .kind = (uint8_t)kind, .worker = (uint8_t)w->id, .ifindex = (uint8_t)ifindex
	};

	if (how == BY_RING)
		return crew_tell(w, home, &m);
	crew_redirect_set(&w->crew->worker[home], t, ifindex, w->id);
	return true;
}

/* Sees to it that packets of this direction find their way here. */
static bool lead_here(struct crew_worker *w, const struct conn *c, struct crew_side *s, enum ct_dir dir, enum how how)
{
	const struct tuple *t = &c->half[dir].tuple;
	uint32_t ifindex = s->ifindex[dir];

	s->home[dir] = (uint8_t)w->id;
	if (ifindex == 0)
		return true;
	uint32_t home = owner_of_tuple(&w->crew->owner, ifindex, t);
	if (home == w->id) {
		if ((dir == CT_REPLY && holds_reply(c)) || !by_block(w, t))
			return true;
		if (pin(w, t)) {
			s->flags |= dir == CT_ORIGINAL ? CREW_SIDE_PIN_ORIGINAL : CREW_SIDE_PIN_REPLY;
			return true;
		}
		home = owner_of_tuple(&w->crew->owner, ifindex, t);
		if (home == w->id)
			return true;
	}
	s->home[dir] = (uint8_t)home;
	return tell_home(w, home, t, ifindex, CREW_REDIRECT_ADD, how);
}

static void forget(struct crew_worker *w, const struct conn *c, struct crew_side *s, enum ct_dir dir)
{
	uint8_t flag = dir == CT_ORIGINAL ? CREW_SIDE_PIN_ORIGINAL : CREW_SIDE_PIN_REPLY;

	if (s->flags & flag)
		unpin(w, &c->half[dir].tuple);
	if (s->home[dir] != w->id)
		(void)tell_home(w, s->home[dir], &c->half[dir].tuple, s->ifindex[dir], CREW_REDIRECT_REMOVE, BY_RING);
	s->flags &= (uint8_t)~flag;
	s->home[dir] = (uint8_t)w->id;
}

bool crew_confirmed(void *ctx, uint32_t index, const struct packet *p)
{
	struct crew_worker *w = ctx;
	const struct conn *c = conntrack_conn(gateway_conntrack(w->gw), index);
	struct crew_side *s = &w->side[index];

	*s = (struct crew_side){ .flags = CREW_SIDE_KNOWN,
				 .ifindex = { (uint8_t)p->in_ifindex, p->to_us ? 0 : (uint8_t)p->out_ifindex } };
	if (p == w->ask.p)
		w->ask.settled = true;
	s->home[CT_REPLY] = (uint8_t)w->id;
	return lead_here(w, c, s, CT_ORIGINAL, BY_RING) && lead_here(w, c, s, CT_REPLY, BY_RING);
}

void crew_ended(void *ctx, uint32_t index)
{
	struct crew_worker *w = ctx;
	const struct conn *c = conntrack_conn(gateway_conntrack(w->gw), index);
	struct crew_side *s = &w->side[index];

	if (!(s->flags & CREW_SIDE_KNOWN))
		return;
	forget(w, c, s, CT_ORIGINAL);
	forget(w, c, s, CT_REPLY);
	s->flags = 0;
}

/* Mappings. */

/* All that an inside endpoint with a mapping sends goes where the mapping is. */
bool crew_mapping(void *ctx, const struct tuple *inside, enum nat_mapping_event what)
{
	struct crew_worker *w = ctx;
	uint32_t home = owner_of_host(&w->crew->owner, inside->src);

	return home == w->id ||
	       tell_home(w, home, inside, 0, what == NAT_MAPPING_MADE ? CREW_REDIRECT_ADD : CREW_REDIRECT_REMOVE,
			 BY_RING) ||
	       what == NAT_MAPPING_GONE;
}

void crew_give_back(void *ctx, const struct tuple *inside, const struct nat_loan *loan)
{
	struct crew_worker *w = ctx;
	struct crew_message m = {
		.tuple = *inside, .kind = CREW_LOAN_RETURN, .worker = (uint8_t)w->id, .ifindex = loan->pool
	};

	(void)crew_tell(w, loan->lender - 1u, &m);
}

/* Lost when the ring is full: the next packet of the attempt tells it again. */
void crew_attempt(void *ctx, const struct tuple *meet, uint32_t pool)
{
	struct crew_worker *w = ctx;
	struct crew_message m = {
		.tuple = *meet, .kind = CREW_ATTEMPT, .worker = (uint8_t)w->id, .ifindex = (uint8_t)pool
	};

	tell_attempt(w, &m);
}

/* At rest. */

static void lead_mapping(void *ctx, const struct tuple *inside)
{
	struct crew_worker *w = ctx;
	uint32_t home = owner_of_host(&w->crew->owner, inside->src);

	if (home != w->id)
		(void)tell_home(w, home, inside, 0, CREW_REDIRECT_ADD, AT_REST);
}

static void clear_redirects(struct crew_worker *w)
{
	struct crew_redirects *r = &w->redirects;

	for (uint32_t b = 0; r->pool.n_used > 0 && b < r->n_buckets; b++) {
		while (r->bucket[b] != 0) {
			const struct crew_redirect *x = redirect_at(r, r->bucket[b]);
			struct tuple t = x->tuple;

			(void)crew_redirect_clear(w, &t, x->worker);
		}
	}
}

static void each_connection(struct crew_worker *w,
			    void (*fn)(struct crew_worker *w, const struct conn *c, struct crew_side *s))
{
	struct conntrack *ct = gateway_conntrack(w->gw);
	uint32_t cursor = 0, index;

	while (conntrack_next(ct, &cursor, &index))
		if (w->side[index].flags & CREW_SIDE_KNOWN)
			fn(w, conntrack_conn(ct, index), &w->side[index]);
}

static void unpin_both(struct crew_worker *w, const struct conn *c, struct crew_side *s)
{
	if (s->flags & CREW_SIDE_PIN_ORIGINAL)
		unpin(w, &c->half[CT_ORIGINAL].tuple);
	if (s->flags & CREW_SIDE_PIN_REPLY)
		unpin(w, &c->half[CT_REPLY].tuple);
	s->flags = CREW_SIDE_KNOWN;
}

static void lead_both(struct crew_worker *w, const struct conn *c, struct crew_side *s)
{
	(void)lead_here(w, c, s, CT_ORIGINAL, AT_REST);
	(void)lead_here(w, c, s, CT_REPLY, AT_REST);
}

void crew_resync(struct crew *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		crew_read_messages(&c->worker[i]);
	for (uint32_t i = 0; i < c->n; i++) {
		c->worker[i].backlog_n = 0;
		clear_redirects(&c->worker[i]);
		each_connection(&c->worker[i], unpin_both);
	}
	for (uint32_t i = 0; i < c->n; i++) {
		each_connection(&c->worker[i], lead_both);
		nat_each_mapping(gateway_nat(c->worker[i].gw), lead_mapping, &c->worker[i]);
	}
}
