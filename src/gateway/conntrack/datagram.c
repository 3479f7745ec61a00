/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connections without a state of their own: UDP, UDP-Lite, ICMP queries, GRE, ESP,
 * other protocols, a row each: they differ in how long they live. Each packet in
 * either direction puts the end off.
 *
 * UDP: one that was answered lives on as a stream (RFC 4787 REQ-5). It is assured
 * when it still talks two seconds after it began, so that a burst of DNS queries
 * is what goes first when the table is full. With `timeout udp answered` a flow to a
 * well-known port is a query until then, and ends so long after its answer; the class
 * is chosen when the flow begins.
 *
 * Later packets of one that was answered read and write no more than the line of
 * their direction (conntrack_datagram_plain): so all that does not change stands
 * in both lines, in flags and scale too, which only TCP has another use for. Such
 * packets are UDP's and ICMP's; what those are of (enum ct_datagram_class) stands there.
 */
#include "gateway/conntrack/conntrack_priv.h"
#include "gateway/conntrack/flow.h"
#include "gateway/conntrack/record.h"

/* Both questions of a resolver (A and AAAA), each asked twice. */
#define QUERY_PACKETS_MAX 4
#define ANSWERED_TICKS (5 * CT_TICKS_PER_S)
#define IDLE_TICKS (120 * CT_TICKS_PER_S)

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
	case CT_DATAGRAM_ICMP:
		return t->icmp;
	default:
		return answered ? t->udp_stream : t->udp_new;
	}
}

void ct_moment_now(const struct conntrack *ct, struct ct_moment *m)
{
	m->tick = ct_now_tick(ct);
	for (uint32_t i = 0; i < N_CT_PLAIN_CLASSES; i++)
		m->expires_tick[i] =
			ct_expires_in(ct, timeout_of_class(&ct->cfg.timeout, (enum ct_datagram_class)i, true));
}

/* How long they live. */

static bool is_answered(const struct conn *c)
{
	return (c->status & CT_SEEN_REPLY) != 0;
}

static uint32_t plain_timeout(const struct ct_timeouts *t, const struct conn *c)
{
	return timeout_of_class(t, (enum ct_datagram_class)c->half[CT_ORIGINAL].scale, is_answered(c));
}

static uint32_t udplite_timeout(const struct ct_timeouts *t, const struct conn *c)
{
	return is_answered(c) ? t->udplite_stream : t->udplite_new;
}

static uint32_t gre_timeout(const struct ct_timeouts *t, const struct conn *c)
{
	return is_answered(c) ? t->gre_stream : t->gre_new;
}

static uint32_t esp_timeout(const struct ct_timeouts *t, const struct conn *c)
{
	return is_answered(c) ? t->esp_stream : t->esp_new;
}

static uint32_t other_timeout(const struct ct_timeouts *t, const struct conn *c)
{
	(void)c;
	return t->other;
}

/* How they begin. */

static void set_class(struct conntrack *ct, uint32_t index, enum ct_datagram_class class, uint8_t flags)
{
	struct conn *c = ct_conn(ct, index);
	uint32_t now = ct_now_tick(ct);

	for (int d = 0; d < N_CT_DIRS; d++) {
		c->half[d].datagram.first_tick = now;
		c->half[d].scale = (uint8_t) class;
		c->half[d].flags = flags;
	}
}

static uint32_t udp_begin(struct conntrack *ct, uint32_t index, const struct packet *p)
{
	const struct ct_timeouts *t = &ct->cfg.timeout;
	enum ct_datagram_class class = CT_DATAGRAM_UDP;

	(void)p;
	if (ct_conn(ct, index)->half[CT_ORIGINAL].tuple.dport < 1024)
		class = t->udp_answered != 0 ? CT_DATAGRAM_QUERY : CT_DATAGRAM_WELL_KNOWN;
	set_class(ct, index, class, 0);
	return timeout_of_class(t, class, false);
}

static bool icmp_can_begin(const struct conntrack *ct, const struct packet *p)
{
	(void)ct;
	return icmp_is_request(p->l4.type);
}

static uint32_t icmp_begin(struct conntrack *ct, uint32_t index, const struct packet *p)
{
	(void)p;
	set_class(ct, index, CT_DATAGRAM_ICMP, CT_DATAGRAM_SETTLED);
	return ct->cfg.timeout.icmp;
}

static uint32_t udplite_begin(struct conntrack *ct, uint32_t index, const struct packet *p)
{
	(void)p;
	set_class(ct, index, CT_DATAGRAM_OTHER, 0);
	return ct->cfg.timeout.udplite_new;
}

static uint32_t gre_begin(struct conntrack *ct, uint32_t index, const struct packet *p)
{
	(void)p;
	set_class(ct, index, CT_DATAGRAM_OTHER, 0);
	return ct->cfg.timeout.gre_new;
}

static uint32_t esp_begin(struct conntrack *ct, uint32_t index, const struct packet *p)
{
	(void)p;
	set_class(ct, index, CT_DATAGRAM_OTHER, 0);
	return ct->cfg.timeout.esp_new;
}

static uint32_t other_begin(struct conntrack *ct, uint32_t index, const struct packet *p)
{
	(void)p;
	set_class(ct, index, CT_DATAGRAM_OTHER, 0);
	return ct->cfg.timeout.other;
}

/* What comes after. */

static void confirmed(struct conn *c)
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

/* It is one. */
static ct_judgement become_stream(struct conn *c)
{
	for (int d = 0; d < N_CT_DIRS; d++) {
		c->half[d].flags |= CT_DATAGRAM_SETTLED;
		/* A stream is no query. */
		if (c->half[d].scale == CT_DATAGRAM_QUERY)
			c->half[d].scale = CT_DATAGRAM_WELL_KNOWN;
	}
	return CT_JUDGE_ASSURE | CT_JUDGE_CHANGED;
}

/* A few datagrams to a well-known port, answered, which have not become a stream. */
static bool is_answered_query(const struct conn *c)
{
	return is_answered(c) && c->half[CT_ORIGINAL].tuple.dport < 1024 && !(c->status & CT_ASSURED) &&
	       c->half[CT_ORIGINAL].packets <= QUERY_PACKETS_MAX;
}

static ct_judgement packet(struct conntrack *ct, uint32_t index, enum ct_dir dir, const struct packet *p)
{
	struct conn *c = ct_conn(ct, index);
	ct_judgement j = CT_JUDGE_ACCEPT;

	(void)p;
	if (dir == CT_REPLY && !is_answered(c)) {
		c->status |= CT_SEEN_REPLY;
		j |= CT_JUDGE_CHANGED;
	}
	if (is_stream(c, ct_now_tick(ct)))
		j |= become_stream(c);
	/* While it waits for an answer that nobody can know it keeps others from beginning. */
	if (YG_UNLIKELY(c->half[CT_REPLY].tuple.id == TUPLE_ID_UNKNOWN) && !is_answered(c))
		return j;
	return j | CT_JUDGE_REFRESH;
}

static ct_judgement udp_packet(struct conntrack *ct, uint32_t index, enum ct_dir dir, const struct packet *p)
{
	const struct conn *c = ct_conn(ct, index);
	bool before = is_answered(c);
	ct_judgement j = packet(ct, index, dir, p);

	return !before && is_answered_query(c) ? j | CT_JUDGE_FINISHED : j;
}

static ct_judgement deferred(struct conn *c, enum ct_dir dir, const struct ct_deferred *credit)
{
	ct_judgement j = CT_JUDGE_ACCEPT | CT_JUDGE_REFRESH;

	(void)dir;
	if (is_stream(c, (uint32_t)(credit->last_ns / CT_TICK_NS)))
		j |= become_stream(c);
	return j;
}

/* It has just begun, by the config of this core. */
static void grow_old(struct conntrack *ct, uint32_t index, const struct ct_record *r)
{
	struct conn *c = ct_conn(ct, index);

	for (int d = 0; d < N_CT_DIRS; d++)
		c->half[d].datagram.first_tick -= (uint32_t)(r->age_ms / (CT_TICK_NS / NS_PER_MS));
	if (c->status & CT_ASSURED)
		(void)become_stream(c);
}

static void udp_restore(struct conntrack *ct, uint32_t index, const struct ct_record *r)
{
	(void)udp_begin(ct, index, NULL);
	grow_old(ct, index, r);
}

static void icmp_restore(struct conntrack *ct, uint32_t index, const struct ct_record *r)
{
	(void)icmp_begin(ct, index, NULL);
	grow_old(ct, index, r);
}

static void restore(struct conntrack *ct, uint32_t index, const struct ct_record *r)
{
	set_class(ct, index, CT_DATAGRAM_OTHER, 0);
	grow_old(ct, index, r);
}

const struct ct_protocol ct_udp = {
	.begin = udp_begin,
	.packet = udp_packet,
	.confirmed = confirmed,
	.timeout = plain_timeout,
	.deferred = deferred,
	.restore = udp_restore,
	.finished = is_answered_query,
	.finished_ticks = ANSWERED_TICKS,
	.idle_ticks = IDLE_TICKS,
};

const struct ct_protocol ct_icmp = {
	.can_begin = icmp_can_begin,
	.begin = icmp_begin,
	.packet = packet,
	.confirmed = confirmed,
	.timeout = plain_timeout,
	.deferred = deferred,
	.restore = icmp_restore,
};

/* Those that differ in nothing but how long they live. */
#define ROW(begin_, timeout_) \
	{ \
		.begin = (begin_), .packet = packet, .confirmed = confirmed, .timeout = (timeout_), \
		.deferred = deferred, .restore = restore \
	}

const struct ct_protocol ct_udplite = ROW(udplite_begin, udplite_timeout);
const struct ct_protocol ct_gre = ROW(gre_begin, gre_timeout);
const struct ct_protocol ct_esp = ROW(esp_begin, esp_timeout);
const struct ct_protocol ct_other = ROW(other_begin, other_timeout);
