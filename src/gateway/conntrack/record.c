/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connections as values: out of one core, into another.
 *
 * A record has addresses, ports, zones, states, marks and counters as they are, and
 * times as they count from now: cores differ in their clocks, numbers and keys. What
 * only one protocol knows its row writes and reads (save, restore in protocol.c's
 * table). What a neighbour room keeps beside a connection (flow cache, the kernel's
 * flows, redirects between workers) is not in it: that is made again by the next packet.
 *
 * An import is a connection's begin and confirmation without a packet: it is
 * created as any other, its REPLY tuple is reserved, NAT holds for it what the record
 * names, and it is confirmed. So all that always holds of a connection (life.c) holds
 * of it too, and whoever listens hears of a new one.
 *
 * A record comes from elsewhere: what no connection can have is refused here, so that
 * nothing in this core breaks by it. That it is true is up to whoever hands it over.
 */
#include "gateway/conntrack/record.h"

#include <errno.h>

#include "gateway/conntrack/conntrack_priv.h"

#define TICK_MS (CT_TICK_NS / NS_PER_MS)
/* The longest timeout that a config can say, and the tick in which it began. */
#define LEFT_MS_MAX (UINT64_C(365) * 24 * 3600 * 1000 + TICK_MS)
#define AGE_MS_MAX (CT_BEGUN_MASK / (NS_PER_MS / NS_PER_US))

static struct ct_record_tuple tuple_to_record(const struct tuple *t)
{
	return (struct ct_record_tuple){ .src = ip_addr_v4(t->src),
					 .dst = ip_addr_v4(t->dst),
					 .sport = t->sport,
					 .dport = t->dport,
					 .proto = t->proto,
					 .id = t->id,
					 .zone = t->zone };
}

static struct tuple tuple_of_record(const struct ct_record_tuple *t)
{
	return (struct tuple){ .src = t->src.v4,
			       .dst = t->dst.v4,
			       .sport = t->sport,
			       .dport = t->dport,
			       .proto = t->proto,
			       .id = t->id,
			       .zone = t->zone };
}

int conntrack_export(struct conntrack *ct, uint32_t index, struct ct_record *out)
{
	const struct conn *c = ct_conn(ct, index);
	const struct ct_ext *side = &ct->side[index];

	if (index >= ct->conns.n_fresh || (c->status & (CT_CONFIRMED | CT_DYING)) != CT_CONFIRMED)
		return -ENOENT;
	if ((c->status & (CT_HELPED | CT_EXPECTED)) || c->half[CT_ORIGINAL].tuple.id == L4_ID_CALL)
		return -ENOTSUP;
	if (ct->flowcache.alive != NULL)
		(void)ct->flowcache.alive(ct->flowcache_ctx, index);
	int32_t left = (int32_t)(conn_expires_tick(c) - ct_now_tick(ct));

	memset(out, 0, sizeof(*out));
	out->status = c->status & CT_RECORD_STATUS;
	out->state = c->tcp_state;
	out->last = c->tcp_last;
	out->mark = side->notes.mark;
	out->zone = side->notes.zone;
	out->left_ms = left < 0 ? 0 : (uint64_t)left * TICK_MS;
	out->age_ms = conntrack_age_ns(ct, index) / NS_PER_MS;
	for (int d = 0; d < N_CT_DIRS; d++) {
		out->half[d].tuple = tuple_to_record(&c->half[d].tuple);
		out->half[d].packets = c->half[d].packets;
		out->half[d].bytes = c->half[d].bytes;
	}
	const struct ct_protocol *proto = ct_protocol_of_conn(c);

	if (proto->save != NULL)
		proto->save(ct, index, out);
	return 0;
}

static bool is_valid_half(const struct ct_record_half *h, uint8_t proto)
{
	return h->tuple.src.family == IP_FAMILY_V4 && h->tuple.dst.family == IP_FAMILY_V4 && h->tuple.proto == proto &&
	       h->scale <= 14;
}

/* As packets have them: a key is the same both ways, an SPI each end's own, and unknown until the first answer. */
static bool are_valid_ids(const struct ct_record_tuple *orig, const struct ct_record_tuple *reply)
{
	bool of_packet = orig->id == L4_ID_NONE || (orig->id == L4_ID_KEY && orig->proto == IPPROTO_NR_GRE) ||
			 (orig->id == L4_ID_SPI && orig->proto == IPPROTO_NR_ESP);
	bool is_awaited =
		orig->id == L4_ID_SPI && reply->id == TUPLE_ID_UNKNOWN && reply->sport == 0 && reply->dport == 0;

	return of_packet && (reply->id == orig->id || is_awaited);
}

static bool is_valid(const struct ct_record *r)
{
	uint8_t number = r->half[CT_ORIGINAL].tuple.proto;
	const struct ct_protocol *proto = ct_protocol_of(number);

	for (int d = 0; d < N_CT_DIRS; d++)
		if (!is_valid_half(&r->half[d], number))
			return false;
	if (!are_valid_ids(&r->half[CT_ORIGINAL].tuple, &r->half[CT_REPLY].tuple) || (r->status & ~CT_RECORD_STATUS) ||
	    r->left_ms > LEFT_MS_MAX || r->age_ms > AGE_MS_MAX)
		return false;
	return proto->n_states == 0 ? r->state == 0 && r->last == 0 : r->state > 0 && r->state < proto->n_states;
}

static bool tuple_is_taken(const struct conntrack *ct, const struct ct_record_tuple *t)
{
	struct tuple tuple = tuple_of_record(t);

	return conntrack_find(ct, &tuple) != CONN_NONE;
}

static void fill(struct conntrack *ct, uint32_t index, const struct ct_record *r)
{
	struct conn *c = ct_conn(ct, index);
	struct ct_ext *side = &ct->side[index];
	const struct ct_protocol *proto = ct_protocol_of_conn(c);
	uint32_t left = (uint32_t)(r->left_ms / TICK_MS);

	c->status |= r->status;
	c->tcp_state = r->state;
	c->tcp_last = r->last;
	side->notes.mark = r->mark;
	side->notes.zone = r->zone;
	ct_set_begun(side, ct_begun_us(side) - r->age_ms * (NS_PER_MS / NS_PER_US));
	for (int d = 0; d < N_CT_DIRS; d++) {
		c->half[d].packets = r->half[d].packets;
		c->half[d].bytes = r->half[d].bytes;
		c->half[d].expires_tick = ct_now_tick(ct) + left;
	}
	if (proto->restore != NULL)
		proto->restore(ct, index, r);
}

/* Whatever limits there are: they are asked when something begins. */
static void count_source(struct conntrack *ct, uint32_t index)
{
	const struct conn *c = ct_conn(ct, index);
	const struct tuple *o = &c->half[CT_ORIGINAL].tuple;
	const struct ct_source_limit none = { 0 };
	/* As when it begins: where no rule says which side is outside, nobody is. */
	bool outside = ct->cfg.outside != 0 && (c->status & CT_OUTSIDE) != 0;
	struct ct_source_id id = { .addr = o->src, .zone = o->zone, .outside = outside };

	if (ct->cfg.max_per_source != 0 || ct->cfg.new_per_source_s != 0)
		(void)ct_source_enter(&ct->sources, &ct->key, &id, &none, ct->env->now, &ct->side[index].source);
}

int conntrack_import(struct conntrack *ct, const struct ct_record *r, uint32_t *index)
{
	struct tuple orig = tuple_of_record(&r->half[CT_ORIGINAL].tuple);
	struct tuple reply = tuple_of_record(&r->half[CT_REPLY].tuple);

	if (!is_valid(r))
		return -EINVAL;
	if (ct->workers.confirmed != NULL)
		return -ENOTSUP;
	if (tuple_is_taken(ct, &r->half[CT_ORIGINAL].tuple) || tuple_is_taken(ct, &r->half[CT_REPLY].tuple))
		return -EEXIST;
	if (ct->n_confirmed + ct->n_unconfirmed >= ct->capacity)
		return -ENOSPC;
	uint32_t i = ct_create(ct, ct_place_of(ct, &orig), &orig);
	if (i == POOL_NONE)
		return -ENOSPC;
	fill(ct, i, r);
	count_source(ct, i);
	if (!conntrack_reserve_reply(ct, i, &reply)) {
		ct_discard(ct, i);
		return -ENOSPC;
	}
	*index = i;
	return 0;
}

void conntrack_import_confirm(struct conntrack *ct, uint32_t index)
{
	/* Its REPLY tuple is reserved, so nothing can fail. */
	(void)ct_confirm_one(ct, index);
	if (ct->nat.finished != NULL && conntrack_may_be_finished(ct, index))
		ct->nat.finished(ct->nat_ctx, index);
}

void conntrack_import_discard(struct conntrack *ct, uint32_t index)
{
	ct_discard(ct, index);
}
