/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connections without a state of their own: UDP, UDP-Lite, ICMP queries, other
 * protocols.
 * Each packet in either direction puts the end off.
 *
 * UDP: one that was answered lives on as a stream (RFC 4787 REQ-5). It is assured
 * when it still talks two seconds after it began, so that a burst of DNS queries
 * is what goes first when the table is full. With `timeout udp answered` a flow to a
 * well-known port is a query until then, and ends so long after its answer; the class
 * is chosen when the flow begins.
 *
 * Later packets of one that was answered read and write no more than the line of
 * their direction (conntrack_datagram_plain): so all that does not change stands
 * in both lines, in flags and scale too, which only TCP has another use for.
 */
#include "gateway/conntrack/conntrack_priv.h"
#include "gateway/conntrack/flow.h"

static uint32_t timeout_of_class(const struct ct_timeouts *t, enum ct_datagram_class class, bool answered)
{
	switch (class) {
	case CT_DATAGRAM_WELL_KNOWN:
		if (t->udp_well_known != 0)
			return t->udp_well_known;
		return answered ? t->udp_stream : t->udp_new;
	case CT_DATAGRAM_QUERY:
		if (answered)
			return t->udp_answered;
		return t->udp_well_known != 0 ? t->udp_well_known : t->udp_new;
	case CT_DATAGRAM_UDP:
		return answered ? t->udp_stream : t->udp_new;
	case CT_DATAGRAM_ICMP:
		return t->icmp;
	case CT_DATAGRAM_GRE:
		return answered ? t->gre_stream : t->gre_new;
	case CT_DATAGRAM_ESP:
		return answered ? t->esp_stream : t->esp_new;
	case CT_DATAGRAM_UDPLITE:
		return answered ? t->udplite_stream : t->udplite_new;
	default:
		return t->other;
	}
}

static enum ct_datagram_class class_of(const struct conntrack *ct, const struct tuple *orig)
{
	switch (orig->proto) {
	case IPPROTO_NR_UDP:
		if (orig->dport >= 1024)
			return CT_DATAGRAM_UDP;
		return ct->cfg.timeout.udp_answered != 0 ? CT_DATAGRAM_QUERY : CT_DATAGRAM_WELL_KNOWN;
	case IPPROTO_NR_ICMP:
		return CT_DATAGRAM_ICMP;
	case IPPROTO_NR_UDPLITE:
		return CT_DATAGRAM_UDPLITE;
	case IPPROTO_NR_GRE:
		return CT_DATAGRAM_GRE;
	case IPPROTO_NR_ESP:
		return CT_DATAGRAM_ESP;
	default:
		return CT_DATAGRAM_OTHER;
	}
}

uint32_t ct_datagram_timeout(const struct conntrack *ct, const struct conn *c)
{
	return timeout_of_class(&ct->cfg.timeout, (enum ct_datagram_class)c->half[CT_ORIGINAL].scale,
				(c->status & CT_SEEN_REPLY) != 0);
}

void ct_moment_now(const struct conntrack *ct, struct ct_moment *m)
{
	m->tick = ct_now_tick(ct);
	for (uint32_t i = 0; i < N_CT_PLAIN_CLASSES; i++)
		m->expires_tick[i] =
			ct_expires_in(ct, timeout_of_class(&ct->cfg.timeout, (enum ct_datagram_class)i, true));
}

void ct_datagram_begin(struct conntrack *ct, uint32_t index, const struct packet *p)
{
	struct conn *c = ct_conn(ct, index);
	enum ct_datagram_class class = class_of(ct, &c->half[CT_ORIGINAL].tuple);
	uint32_t expires_tick = ct_expires_in(ct, timeout_of_class(&ct->cfg.timeout, class, false));

	(void)p;
	for (int d = 0; d < N_CT_DIRS; d++) {
		struct ct_half *h = &c->half[d];

		h->datagram.first_tick = ct_now_tick(ct);
		h->expires_tick = expires_tick;
		h->scale = (uint8_t) class;
		h->flags = class == CT_DATAGRAM_ICMP ? CT_DATAGRAM_SETTLED : 0;
	}
}

void ct_datagram_confirmed(struct conn *c)
{
	for (int d = 0; d < N_CT_DIRS; d++) {
		const struct tuple *other = &c->half[!d].tuple;
		struct ct_datagram_half *h = &c->half[d].datagram;

		h->src = other->dst;
		h->dst = other->src;
		h->sport = other->proto == IPPROTO_NR_ICMP ? other->sport : other->dport;
		h->dport = other->sport;
		/* The receiver's own name for the flow: as it is, unless whoever expected it says otherwise. */
		if (tuple_has_own_id(&c->half[d].tuple))
			h->dport = c->half[d].tuple.dport;
	}
}

/* A packet that comes at this time shows that it is a stream. */
static bool is_stream(const struct conn *c, uint32_t tick)
{
	return (c->status & CT_SEEN_REPLY) && ct_datagram_may_settle(&c->half[CT_ORIGINAL], tick);
}

static void assure(struct conntrack *ct, uint32_t index)
{
	struct conn *c = ct_conn(ct, index);

	ct_set_assured(ct, index);
	for (int d = 0; d < N_CT_DIRS; d++) {
		c->half[d].flags |= CT_DATAGRAM_SETTLED;
		/* A stream is no query. */
		if (c->half[d].scale == CT_DATAGRAM_QUERY)
			c->half[d].scale = CT_DATAGRAM_WELL_KNOWN;
	}
	if (c->status & CT_CONFIRMED)
		ct_emit(ct, c, EVENT_CONN_UPDATE, 0);
}

enum ct_judgement ct_datagram_packet(struct conntrack *ct, uint32_t index, enum ct_dir dir, const struct packet *p)
{
	struct conn *c = ct_conn(ct, index);

	(void)p;
	if (dir == CT_REPLY && !(c->status & CT_SEEN_REPLY)) {
		c->status |= CT_SEEN_REPLY;
		if (c->status & CT_CONFIRMED) {
			ct_emit(ct, c, EVENT_CONN_UPDATE, 0);
			if (ct->finished != NULL && ct_is_query(c))
				ct->finished(ct->finished_ctx, index);
		}
	}
	if (is_stream(c, ct_now_tick(ct)))
		assure(ct, index);
	/* While it waits for an answer that nobody can know it keeps others from beginning. */
	if (YG_UNLIKELY(c->half[CT_REPLY].tuple.id == TUPLE_ID_UNKNOWN) && !(c->status & CT_SEEN_REPLY))
		return CT_JUDGE_ACCEPT;
	ct_refresh(ct, index, ct_datagram_timeout(ct, c));
	return CT_JUDGE_ACCEPT;
}

const struct ct_protocol ct_datagram = {
	.begin = ct_datagram_begin,
	.packet = ct_datagram_packet,
	.confirmed = ct_datagram_confirmed,
};

void ct_datagram_add_deferred(struct conntrack *ct, uint32_t index, const struct ct_deferred *credit)
{
	const struct conn *c = ct_conn(ct, index);

	if (is_stream(c, (uint32_t)(credit->last_ns / CT_TICK_NS)))
		assure(ct, index);
	ct_refresh_at(ct, index, ct_datagram_timeout(ct, c), credit->last_ns);
}
