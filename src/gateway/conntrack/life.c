/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The life of a connection, from creation to its end.
 *
 *   ct_create -> unconfirmed -> ct_confirm_one -> confirmed -> conntrack_end -> the dying list -> the pool
 *                     \-> conntrack_packet_put (its last packet was dropped) ----------^
 *
 * Its ORIGINAL tuple stands in the table from creation on, so that a second
 * packet of the flow in the same batch finds it and shares it: one connection,
 * and no clash to resolve later. NAT takes the REPLY tuple in the table at the
 * moment it chooses it (conntrack_reserve_reply); so two connections never agree on
 * one mapping, confirmed or not. For everybody else (listing, counts, eviction)
 * an unconfirmed connection does not exist.
 *
 * The dying list: a connection that ends while packets of the present batch still name it
 * (evicted, or its tuple is used again) leaves the table at once, but its memory
 * waits until the next batch begins. One whose ORIGINAL tuple is used again is
 * the predecessor of the next, and what it holds for NAT waits there as well: the
 * next one may take it over, so that it has the same mapping.
 *
 * Under pressure the oldest connection that was never assured goes first, an
 * established one never: those not yet assured stand in two lists in the order of
 * their confirmation, one for those that began inside and one for outside. Who is
 * outside can forge as many sources as he likes, so those go first; but an eighth
 * of the table is left to them, else nobody could be reached from there while one
 * host inside opens connections as fast as it can. Room is made when a connection
 * is confirmed: a packet that nobody takes pushes nobody out.
 *
 * What always holds: n_confirmed <= capacity, and with the unconfirmed ones there
 * are CT_UNCONFIRMED_SPARE more at most; a confirmed connection has both tuples in
 * the table and its timer armed; it is in a list of the unassured exactly when it
 * lacks CT_ASSURED.
 *
 * What a packet does to a connection its protocol's tracker says, in bits (enum
 * ct_judgement); ct_follow does it.
 */
#include "gateway/conntrack/conntrack_priv.h"

#include <assert.h>

#define NIL UINT32_MAX
/* This part of the table is left to the unassured that began outside. */
#define OUTSIDE_SHARE 8

static struct yg_event event_of(const struct conn *c, enum event_kind kind)
{
	return (struct yg_event){
		.kind = kind,
		.proto = c->half[CT_ORIGINAL].tuple.proto,
		.state = c->tcp_state,
		.status = c->status,
		.orig = tuple_to_ip(&c->half[CT_ORIGINAL].tuple),
		.reply = tuple_to_ip(&c->half[CT_REPLY].tuple),
	};
}

static void emit(struct conntrack *ct, const struct conn *c, enum event_kind kind)
{
	if (!env_wants(ct->env, kind))
		return;
	struct yg_event e = event_of(c, kind);

	env_emit(ct->env, &e);
}

static void emit_end(struct conntrack *ct, uint32_t index, enum ct_end_reason reason)
{
	const struct conn *c = ct_conn(ct, index);

	if (!env_wants(ct->env, EVENT_CONN_END))
		return;
	struct yg_event e = event_of(c, EVENT_CONN_END);

	e.reason = (uint16_t)reason;
	e.duration_ns = conntrack_age_ns(ct, index);
	for (int d = 0; d < N_CT_DIRS; d++) {
		e.packets[d] = c->half[d].packets;
		e.bytes[d] = c->half[d].bytes;
	}
	env_emit(ct->env, &e);
}

/* The lists of the unassured (the early-drop lists). */

static enum ct_origin origin_of(const struct conn *c)
{
	return c->status & CT_OUTSIDE ? CT_FROM_OUTSIDE : CT_FROM_INSIDE;
}

static void unassured_append(struct conntrack *ct, const struct conn *c, uint32_t index)
{
	enum ct_origin o = origin_of(c);
	struct ct_ext *s = &ct->side[index];

	s->next = NIL;
	s->prev = ct->unassured[o].last;
	if (ct->unassured[o].last == NIL)
		ct->unassured[o].first = index;
	else
		ct->side[ct->unassured[o].last].next = index;
	ct->unassured[o].last = index;
	ct->unassured[o].n++;
}

static void unassured_remove(struct conntrack *ct, const struct conn *c, uint32_t index)
{
	enum ct_origin o = origin_of(c);
	struct ct_ext *s = &ct->side[index];

	if (s->prev == NIL)
		ct->unassured[o].first = s->next;
	else
		ct->side[s->prev].next = s->next;
	if (s->next == NIL)
		ct->unassured[o].last = s->prev;
	else
		ct->side[s->next].prev = s->prev;
	ct->unassured[o].n--;
}

static void ct_set_assured(struct conntrack *ct, uint32_t index)
{
	struct conn *c = ct_conn(ct, index);

	if ((c->status & (CT_CONFIRMED | CT_DYING | CT_ASSURED)) == CT_CONFIRMED)
		unassured_remove(ct, c, index);
	c->status |= CT_ASSURED;
}

void ct_follow(struct conntrack *ct, uint32_t index, const struct ct_protocol *proto, ct_judgement j)
{
	struct conn *c = ct_conn(ct, index);

	if (j & CT_JUDGE_ASSURE)
		ct_set_assured(ct, index);
	if ((j & CT_JUDGE_CHANGED) && (c->status & CT_CONFIRMED))
		emit(ct, c, EVENT_CONN_UPDATE);
	if ((j & CT_JUDGE_FINISHED) && (c->status & CT_CONFIRMED) && ct->nat.finished != NULL)
		ct->nat.finished(ct->nat_ctx, index);
	if (j & CT_JUDGE_REFRESH)
		ct_refresh(ct, index, proto->timeout(&ct->cfg.timeout, c));
	else if (j & CT_JUDGE_SHORTEN)
		ct_shorten(ct, index, proto->timeout(&ct->cfg.timeout, c));
}

static void table_forget(struct conntrack *ct, const struct conn *c, uint32_t index)
{
	const uint32_t *bucket = ct->side[index].bucket;

	ct_table_remove(&ct->table, bucket[CT_ORIGINAL], index << 1 | CT_ORIGINAL);
	if (c->status & CT_REPLY_RESERVED)
		ct_table_remove(&ct->table, bucket[CT_REPLY], index << 1 | CT_REPLY);
}

void conntrack_set_mapped(struct conntrack *ct, uint32_t index)
{
	struct conn *c = ct_conn(ct, index);

	ct->n_mapped += (c->status & CT_MAPPED) == 0;
	c->status |= CT_MAPPED;
}

static void clear_mapped(struct conntrack *ct, struct conn *c)
{
	ct->n_mapped -= (c->status & CT_MAPPED) != 0;
	c->status &= (uint16_t)~CT_MAPPED;
}

void conntrack_clear_mapped(struct conntrack *ct, uint32_t index)
{
	clear_mapped(ct, ct_conn(ct, index));
}

uint32_t conntrack_n_mapped(const struct conntrack *ct)
{
	return ct->n_mapped;
}

static void release_mapping(struct conntrack *ct, struct conn *c, uint32_t index)
{
	if (!(c->status & CT_MAPPED))
		return;
	if (ct->nat.release != NULL)
		ct->nat.release(ct->nat_ctx, c, index);
	clear_mapped(ct, c);
}

/* True when one of the unassured can make room. */
static bool can_evict(const struct conntrack *ct)
{
	return ct->unassured[CT_FROM_INSIDE].n + ct->unassured[CT_FROM_OUTSIDE].n > 0 && conntrack_may_end(ct);
}

static bool evict(struct conntrack *ct)
{
	bool outside =
		ct->unassured[CT_FROM_OUTSIDE].n > ct->capacity / OUTSIDE_SHARE || ct->unassured[CT_FROM_INSIDE].n == 0;

	if (!can_evict(ct))
		return false;
	ct->counts[CT_COUNT_EVICTED]++;
	conntrack_end(ct, ct->unassured[outside ? CT_FROM_OUTSIDE : CT_FROM_INSIDE].first, CT_END_EVICTED);
	return true;
}

bool ct_make_room(struct conntrack *ct)
{
	return ct->n_confirmed < ct->capacity || evict(ct);
}

uint32_t ct_create(struct conntrack *ct, ct_place place, const struct tuple *orig)
{
	if (ct->n_confirmed >= ct->capacity && !can_evict(ct))
		return POOL_NONE;
	if (ct->n_confirmed + ct->n_unconfirmed >= ct->capacity + CT_UNCONFIRMED_SPARE && !evict(ct))
		return POOL_NONE;
	uint32_t index = pool_alloc(&ct->conns);
	if (index == POOL_NONE)
		return POOL_NONE;
	struct conn *c = ct_conn(ct, index);
	struct ct_ext *side = &ct->side[index];

	/* A line at a time, which compilers write as a few vector stores; for more they take an instruction that needs
	 * longer to begin. */
	for (int d = 0; d < N_CT_DIRS; d++)
		memset(&c->half[d], 0, sizeof(c->half[d]));
	c->half[CT_ORIGINAL].tuple = *orig;
	c->half[CT_REPLY].tuple = tuple_invert(orig);
	if (!ct_table_insert(&ct->table, place, index << 1 | CT_ORIGINAL)) {
		pool_free(&ct->conns, index);
		return POOL_NONE;
	}
	memset(side, 0, sizeof(*side));
	side->bucket[CT_ORIGINAL] = ct_place_number(place);
	side->source = CT_SOURCE_NONE;
	side->predecessor = POOL_NONE;
	ct_set_begun(side, ct->env->now / NS_PER_US);
	ct->n_unconfirmed++;
	ct->counts[CT_COUNT_CREATED]++;
	return index;
}

void ct_hold(struct conntrack *ct, uint32_t index, struct packet *p)
{
	ct->side[index].n_packets++;
	p->conn_unconfirmed = true;
}

static void number_free(struct conntrack *ct, uint32_t index)
{
	ct_conn(ct, index)->status = 0;
	pool_free(&ct->conns, index);
}

void ct_let_go(struct conntrack *ct, struct packet *p)
{
	uint32_t index = conn_index(p->conn_ref);

	assert(ct->side[index].n_packets > 0);
	p->conn_unconfirmed = false;
	if (--ct->side[index].n_packets == 0 && (ct_conn(ct, index)->status & CT_HELD_DEAD))
		number_free(ct, index);
}

void conntrack_packet_get(void *ctx, struct packet *p)
{
	if (!p->conn_unconfirmed && p->conn_ref != CONN_NONE)
		ct_hold(ctx, conn_index(p->conn_ref), p);
}

void conntrack_packet_revalidate(void *ctx, struct packet *p)
{
	struct conntrack *ct = ctx;
	uint16_t status = ct_conn(ct, conn_index(p->conn_ref))->status;

	if (status & (CT_CONFIRMED | CT_DYING))
		ct_let_go(ct, p);
	if ((status & CT_DYING) == 0)
		return;
	p->conn_ref = CONN_NONE;
	p->ct_info = CT_INFO_INVALID;
}

void ct_discard(struct conntrack *ct, uint32_t index)
{
	struct conn *c = ct_conn(ct, index);

	table_forget(ct, c, index);
	release_mapping(ct, c, index);
	ct_source_leave(&ct->sources, ct->side[index].source);
	number_free(ct, index);
	ct->n_unconfirmed--;
	ct->counts[CT_COUNT_DISCARDED]++;
}

void conntrack_packet_put(void *ctx, struct packet *p)
{
	struct conntrack *ct = ctx;
	uint32_t index = conn_index(p->conn_ref);
	struct conn *c = ct_conn(ct, index);
	uint16_t status = c->status;

	if (!p->conn_unconfirmed)
		return;
	ct_let_go(ct, p);
	/* Another packet of the flow has confirmed it meanwhile. */
	if ((status & (CT_CONFIRMED | CT_DYING)) || ct->side[index].n_packets > 0)
		return;
	ct_discard(ct, index);
}

ct_place conntrack_reply_place(const struct conntrack *ct, const struct tuple *reply)
{
	return ct_place_of(ct, reply);
}

void conntrack_reach_reply(const struct conntrack *ct, ct_place place)
{
	ct_table_prefetch(&ct->table, place);
}

bool conntrack_reserve_reply(struct conntrack *ct, uint32_t index, const struct tuple *reply)
{
	return conntrack_reserve_reply_at(ct, index, reply, ct_place_of(ct, reply));
}

bool conntrack_reserve_reply_at(struct conntrack *ct, uint32_t index, const struct tuple *reply, ct_place place)
{
	struct conn *c = ct_conn(ct, index);
	uint32_t ref = index << 1 | CT_REPLY;
	uint32_t owner = ct_find(ct, place, reply);

	assert(!(c->status & CT_CONFIRMED));
	if (owner == ref)
		return true;
	/* A connection from an address to itself may have twice the same tuple: then the ORIGINAL one serves. */
	if (owner != CONN_NONE && conn_index(owner) != index)
		return false;
	if (c->status & CT_REPLY_RESERVED) {
		ct_table_remove(&ct->table, ct->side[index].bucket[CT_REPLY], ref);
		c->status &= (uint16_t)~CT_REPLY_RESERVED;
	}
	if (owner == CONN_NONE) {
		if (!ct_table_insert(&ct->table, place, ref))
			return false;
		ct->side[index].bucket[CT_REPLY] = ct_place_number(place);
		c->status |= CT_REPLY_RESERVED;
	}
	c->half[CT_REPLY].tuple = *reply;
	return true;
}

bool ct_confirm_one(struct conntrack *ct, uint32_t index)
{
	struct conn *c = ct_conn(ct, index);

	/* NAT has taken it when it chose it, as a rule. */
	if (!(c->status & CT_REPLY_RESERVED)) {
		struct tuple reply = c->half[CT_REPLY].tuple;

		if (!conntrack_reserve_reply(ct, index, &reply))
			return false;
	}
	const struct ct_protocol *proto = ct_protocol_of_conn(c);

	if (proto->confirmed != NULL)
		proto->confirmed(c);
	c->status |= CT_CONFIRMED;
	ct->n_unconfirmed--;
	ct->n_confirmed++;
	timer_node_init(&ct->side[index].timer);
	ct_arm(ct, index);
	if (!(c->status & CT_ASSURED))
		unassured_append(ct, c, index);
	if (YG_UNLIKELY(c->half[CT_ORIGINAL].tuple.id != L4_ID_NONE))
		ct_identity_confirmed(ct, index);
	ct->counts[CT_COUNT_CONFIRMED]++;
	emit(ct, c, EVENT_CONN_NEW);
	if (YG_UNLIKELY(ct->log.began != NULL))
		ct->log.began(ct->log.ctx, index);
	return true;
}

void conntrack_end(struct conntrack *ct, uint32_t index, enum ct_end_reason reason)
{
	struct conn *c = ct_conn(ct, index);

	if ((c->status & (CT_CONFIRMED | CT_DYING)) != CT_CONFIRMED)
		return;
	if (ct->flowcache.ended != NULL)
		ct->flowcache.ended(ct->flowcache_ctx, index);
	if (ct->workers.ended != NULL)
		ct->workers.ended(ct->workers.ctx, index);
	timer_disarm(&ct->wheel, index);
	if (!(c->status & CT_ASSURED))
		unassured_remove(ct, c, index);
	table_forget(ct, c, index);
	emit_end(ct, index, reason);
	if (YG_UNLIKELY(ct->log.ended != NULL))
		ct->log.ended(ct->log.ctx, index, reason);
	/* The connection that follows at once finds the mapping as it was (RFC 4787 REQ-1). */
	if (reason != CT_END_REUSED)
		release_mapping(ct, c, index);
	ct_source_leave(&ct->sources, ct->side[index].source);
	c->status |= CT_DYING;
	ct->n_confirmed--;
	ct->counts[CT_COUNT_ENDED]++;
	/* Commands and sweeps run between batches: nobody names these. */
	if (ct->n_dying == CT_DYING_ROOM)
		ct_flush_dying(ct);
	ct->dying[ct->n_dying++] = index;
}

bool conntrack_may_end(const struct conntrack *ct)
{
	return ct->n_dying < CT_DYING_MAX;
}

void ct_flush_dying(struct conntrack *ct)
{
	while (ct->n_dying > 0) {
		uint32_t index = ct->dying[--ct->n_dying];
		release_mapping(ct, ct_conn(ct, index), index);
		if (ct->side[index].n_packets > 0)
			ct_conn(ct, index)->status |= CT_HELD_DEAD;
		else
			number_free(ct, index);
	}
}

uint32_t conntrack_predecessor(const struct conntrack *ct, uint32_t index)
{
	const uint16_t wanted = CT_DYING | CT_MAPPED;
	uint32_t before = ct->side[index].predecessor;

	if (ct_conn(ct, index)->status & CT_CONFIRMED || before == POOL_NONE)
		return CONN_NONE;
	return (ct_conn(ct, before)->status & wanted) == wanted ? before : CONN_NONE;
}

struct conn *conntrack_conn(struct conntrack *ct, uint32_t index)
{
	return ct_conn(ct, index);
}

uint32_t conntrack_n_numbers_max(const struct conntrack *ct)
{
	return ct->conns.cap;
}

uint32_t conntrack_n_numbers(const struct conntrack *ct)
{
	return ct->conns.n_fresh;
}

struct conn_ext *conntrack_ext(const struct conntrack *ct, uint32_t index)
{
	return &ct->side[index].notes;
}

void conn_counters(const struct conntrack *ct, uint32_t index, struct conn_counters *out)
{
	const struct conn *c = ct_conn(ct, index);

	for (int d = 0; d < N_CT_DIRS; d++) {
		out->packets[d] = c->half[d].packets;
		out->bytes[d] = c->half[d].bytes;
	}
}

uint64_t conntrack_age_ns(const struct conntrack *ct, uint32_t index)
{
	uint64_t now_us = ct->env->now / NS_PER_US;

	return ((now_us - ct_begun_us(&ct->side[index])) & CT_BEGUN_MASK) * NS_PER_US + ct->env->now % NS_PER_US;
}

bool conntrack_next(const struct conntrack *ct, uint32_t *cursor, uint32_t *index)
{
	for (uint32_t i = *cursor; i < ct->conns.n_fresh; i++) {
		if ((ct_conn(ct, i)->status & (CT_CONFIRMED | CT_DYING)) != CT_CONFIRMED)
			continue;
		*index = i;
		*cursor = i + 1;
		return true;
	}
	*cursor = ct->conns.n_fresh;
	return false;
}
