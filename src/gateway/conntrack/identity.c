/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Flows whose receiver chooses the identifier: ESP (RFC 4303: an SPI for each
 * direction) and GRE of PPTP without its control connection (a call for each). What
 * goes one way says nothing of what will come back, so the REPLY tuple of a new
 * connection has TUPLE_ID_UNKNOWN, which only one connection between two addresses
 * can have at a time: several hosts behind one address begin one after the other.
 * The first packet from there with an identifier that nobody has is its answer, and
 * its identifier goes into the tuple (ct_identity_learn).
 *
 * One that is not answered keeps others from beginning, so packets do not put its
 * end off: after the time that `timeout` says it is over, and the next packet of
 * anybody begins again.
 *
 * Once answered, both ends change their identifiers now and then (RFC 7296 section
 * 2.8), each whenever it likes. If the host outside does so first, there is nobody
 * who waits for it; but where all the connections between the two addresses belong to one host
 * inside, it can only be for him. So for each pair of addresses the last connection
 * is remembered, and whether it was the only host's (struct ct_identity, as many as
 * there are buckets: two pairs that meet in one forget each other, and such packets
 * are lost until the inside sends something).
 *
 * An ICMP error quotes what went out; the pair's last connection is taken for it if
 * its identifier is the quoted one, or its host the only one.
 *
 * Next: src/gateway/conntrack/hooks.c
 */
#include "gateway/conntrack/conntrack_priv.h"

static struct ct_identity *identity_of(struct conntrack *ct, const struct tuple *from_outside)
{
	struct tuple pair = { .src = from_outside->src,
			      .dst = from_outside->dst,
			      .proto = from_outside->proto,
			      .zone = from_outside->zone };

	return &ct->identity[tuple_hash(&ct->key, &pair) % CT_IDENTITIES];
}

static bool same_pair(const struct tuple *a, const struct tuple *b)
{
	return a->src == b->src && a->dst == b->dst && a->proto == b->proto && a->zone == b->zone;
}

/* The last connection of a pair of addresses; NULL when it has ended, or is another pair's. */
static const struct conn *last_of(struct conntrack *ct, const struct tuple *from_outside, uint32_t *index)
{
	const struct ct_identity *last = identity_of(ct, from_outside);

	if (last->conn_plus_1 == 0)
		return NULL;
	*index = last->conn_plus_1 - 1;
	const struct conn *c = ct_conn(ct, *index);

	if ((c->status & (CT_CONFIRMED | CT_DYING)) != CT_CONFIRMED || !tuple_has_own_id(&c->half[CT_ORIGINAL].tuple))
		return NULL;
	return same_pair(&c->half[CT_REPLY].tuple, from_outside) ? c : NULL;
}

void ct_identity_confirmed(struct conntrack *ct, uint32_t index)
{
	const struct conn *c = ct_conn(ct, index);
	const struct tuple *reply = &c->half[CT_REPLY].tuple;
	struct ct_identity *last;
	uint32_t before_index;

	if (!tuple_has_own_id(&c->half[CT_ORIGINAL].tuple))
		return;
	last = identity_of(ct, reply);
	const struct conn *before = last_of(ct, reply, &before_index);
	last->several = before != NULL &&
			(last->several || before->half[CT_ORIGINAL].tuple.src != c->half[CT_ORIGINAL].tuple.src);
	last->conn_plus_1 = index + 1;
}

/* The tuple of this direction, which was unknown, is t. */
static bool set_tuple(struct conntrack *ct, uint32_t ref, const struct tuple *t, ct_place place)
{
	struct conn *c = ct_conn(ct, conn_index(ref));
	uint32_t *bucket = &ct->side[conn_index(ref)].bucket[conn_dir(ref)];

	if (!ct_table_insert(&ct->table, place, ref))
		return false;
	ct_table_remove(&ct->table, *bucket, ref);
	*bucket = ct_place_number(place);
	c->half[conn_dir(ref)].tuple = *t;
	ct_protocol_of_conn(c)->confirmed(c);
	return true;
}

uint32_t ct_identity_learn(struct conntrack *ct, const struct tuple *t, ct_place place)
{
	struct tuple unknown = *t;
	uint32_t index;

	unknown.id = TUPLE_ID_UNKNOWN;
	unknown.sport = unknown.dport = 0;
	uint32_t ref = conntrack_find(ct, &unknown);
	if (ref != CONN_NONE) {
		const struct conn *c = ct_conn(ct, conn_index(ref));

		if ((c->status & (CT_CONFIRMED | CT_DYING)) != CT_CONFIRMED || !set_tuple(ct, ref, t, place))
			return CONN_NONE;
		return ref;
	}
	if (last_of(ct, t, &index) == NULL || identity_of(ct, t)->several)
		return CONN_NONE;
	return index << 1 | CT_REPLY;
}

uint32_t ct_identity_quoted(struct conntrack *ct, const struct tuple *quoted)
{
	struct tuple pair = *quoted;
	uint32_t index;

	pair.src = quoted->dst;
	pair.dst = quoted->src;
	const struct conn *c = last_of(ct, &pair, &index);
	if (c == NULL)
		return CONN_NONE;
	const struct tuple *o = &c->half[CT_ORIGINAL].tuple;
	bool same = o->id == quoted->id && o->sport == quoted->sport && o->dport == quoted->dport;

	return same || !identity_of(ct, &pair)->several ? index << 1 | CT_REPLY : CONN_NONE;
}
