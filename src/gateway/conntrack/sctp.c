/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The SCTP tracker: an association between two addresses and ports, known by its
 * verification tags (RFC 9260 section 8.5). States are Linux's:
 *
 *   COOKIE_WAIT     an INIT was seen          SHUTDOWN_SENT      a SHUTDOWN of the first side
 *   COOKIE_ECHOED   a COOKIE ECHO             SHUTDOWN_RECD      ... of the other side
 *   ESTABLISHED     a COOKIE ACK              SHUTDOWN_ACK_SENT  and its acknowledgement
 *   CLOSED          an ABORT or SHUTDOWN COMPLETE
 *   HEARTBEAT_SENT  a path of an association that was set up elsewhere
 *
 * For each direction, `tag` is what its packets must carry: what the receiver has
 * announced. `next_tag` is what a set-up that is not finished has announced. An
 * INIT and the INIT ACK in answer announce; the COOKIE ECHO that carries the
 * announced tag makes both directions' next tags the present ones. So an endpoint
 * that restarts (section 5.2.2) goes through INIT, INIT ACK and COOKIE ECHO beside
 * the old association, which goes on until then, and whoever only sends an INIT
 * changes nothing of it.
 *
 * An ABORT and a SHUTDOWN COMPLETE with the T bit carry the tag of the other
 * direction (section 8.5.1): who sends them does not know his own. Neither ends an
 * association that stands by a tag that was only announced: that refuses a restart.
 *
 * An association that has ended begins again in place: same ports, same mapping.
 *
 * Not done: associations with several addresses. Each path is a connection of its
 * own here, and its first packet is a HEARTBEAT (section 8.3); addresses in
 * chunks are not translated (section 6.4 of RFC 3257: end points behind a
 * translator use one address).
 *
 * Next: src/gateway/conntrack/hooks.c
 */
#include "gateway/conntrack/conntrack_priv.h"
#include "gateway/conntrack/record.h"
#include "stack/wire/sctp.h"

static const char *const state_names[N_CT_SCTP_STATES] = {
	[CT_SCTP_NONE] = "NONE",
	[CT_SCTP_CLOSED] = "CLOSED",
	[CT_SCTP_COOKIE_WAIT] = "COOKIE_WAIT",
	[CT_SCTP_COOKIE_ECHOED] = "COOKIE_ECHOED",
	[CT_SCTP_ESTABLISHED] = "ESTABLISHED",
	[CT_SCTP_SHUTDOWN_SENT] = "SHUTDOWN_SENT",
	[CT_SCTP_SHUTDOWN_RECD] = "SHUTDOWN_RECD",
	[CT_SCTP_SHUTDOWN_ACK_SENT] = "SHUTDOWN_ACK_SENT",
	[CT_SCTP_HEARTBEAT_SENT] = "HEARTBEAT_SENT",
};

#define BIT(type) (UINT32_C(1) << (type))
/* Chunks that change nothing of an association that stands. */
#define PLAIN_CHUNKS (BIT(SCTP_DATA) | BIT(SCTP_SACK) | BIT(SCTP_HEARTBEAT) | BIT(SCTP_HEARTBEAT_ACK))
/* Chunks that belong to a set-up, and may carry a tag that is only announced. */
#define SETUP_CHUNKS (BIT(SCTP_INIT_ACK) | BIT(SCTP_COOKIE_ECHO) | BIT(SCTP_ERROR) | BIT(SCTP_ABORT))

static uint32_t timeout(const struct ct_timeouts *t, const struct conn *c)
{
	static const uint8_t field_of_state[N_CT_SCTP_STATES] = {
		[CT_SCTP_NONE] = offsetof(struct ct_timeouts, sctp_closed),
		[CT_SCTP_CLOSED] = offsetof(struct ct_timeouts, sctp_closed),
		[CT_SCTP_COOKIE_WAIT] = offsetof(struct ct_timeouts, sctp_cookie_wait),
		[CT_SCTP_COOKIE_ECHOED] = offsetof(struct ct_timeouts, sctp_cookie_echoed),
		[CT_SCTP_ESTABLISHED] = offsetof(struct ct_timeouts, sctp_established),
		[CT_SCTP_SHUTDOWN_SENT] = offsetof(struct ct_timeouts, sctp_shutdown_sent),
		[CT_SCTP_SHUTDOWN_RECD] = offsetof(struct ct_timeouts, sctp_shutdown_recd),
		[CT_SCTP_SHUTDOWN_ACK_SENT] = offsetof(struct ct_timeouts, sctp_shutdown_ack_sent),
		[CT_SCTP_HEARTBEAT_SENT] = offsetof(struct ct_timeouts, sctp_heartbeat_sent),
	};

	return ct_timeout_at(t, field_of_state[c->tcp_state]);
}

static bool chunks_of(const struct packet *p, struct sctp_chunks *k)
{
	return sctp_chunks_parse(p->buf + p->off + p->l4_off, packet_l4_len(p), p->ip.mf, k);
}

/* True for a path of an association that was set up elsewhere, or before this gateway was there. */
static bool begins_in_the_middle(const struct conntrack *ct, const struct sctp_chunks *k)
{
	return sctp_has(k, SCTP_HEARTBEAT) || (ct->cfg.pick_up != 0 && (k->types & ~PLAIN_CHUNKS) == 0);
}

static bool can_begin(const struct conntrack *ct, const struct packet *p)
{
	struct sctp_chunks k;

	if (!chunks_of(p, &k))
		return false;
	return sctp_has(&k, SCTP_INIT) ? p->l4.info == 0 : p->l4.info != 0 && begins_in_the_middle(ct, &k);
}

static uint32_t begin(struct conntrack *ct, uint32_t index, const struct packet *p)
{
	struct conn *c = ct_conn(ct, index);
	struct sctp_chunks k;

	if (chunks_of(p, &k) && sctp_has(&k, SCTP_INIT)) {
		c->tcp_state = CT_SCTP_COOKIE_WAIT;
		c->half[CT_REPLY].sctp.next_tag = k.init_tag;
	} else {
		c->tcp_state = CT_SCTP_HEARTBEAT_SENT;
		c->half[CT_ORIGINAL].sctp.tag = p->l4.info;
	}
	return timeout(&ct->cfg.timeout, c);
}

static bool changes_state(const struct packet *p)
{
	struct sctp_chunks k;

	return chunks_of(p, &k) && (k.types & ~PLAIN_CHUNKS) != 0;
}

static bool tag_fits(const struct conn *c, enum ct_dir dir, uint32_t tag, const struct sctp_chunks *k)
{
	const struct ct_sctp_half *own = &c->half[dir].sctp, *other = &c->half[!dir].sctp;

	if (sctp_has(k, SCTP_INIT) || tag == 0)
		return sctp_has(k, SCTP_INIT) && tag == 0;
	if (k->reflected)
		return tag == other->tag || tag == other->next_tag;
	if (sctp_has(k, SCTP_INIT_ACK))
		return tag == own->next_tag;
	if (tag == own->tag || (tag == own->next_tag && (k->types & SETUP_CHUNKS) != 0))
		return true;
	/* The first answer on a path that was not set up here says what its tag is. */
	return own->tag == 0 && dir == CT_REPLY && c->tcp_state == CT_SCTP_HEARTBEAT_SENT;
}

/* The set-up is finished. True when it is this packet that does it. */
static bool commit_tags(struct conn *c, enum ct_dir dir, uint32_t tag)
{
	if (tag != c->half[dir].sctp.next_tag || c->half[!dir].sctp.next_tag == 0)
		return false;
	for (int d = 0; d < N_CT_DIRS; d++)
		c->half[d].sctp.tag = c->half[d].sctp.next_tag;
	return true;
}

/* An end with a tag that is only announced is that of a set-up, where an association stands: whoever does not know its
 * tags can announce one by an INIT. */
static bool ends_all(const struct conn *c, enum ct_dir dir, uint32_t tag, const struct sctp_chunks *k)
{
	const struct ct_sctp_half *h = &c->half[k->reflected ? !dir : dir].sctp;

	return tag == (h->tag != 0 ? h->tag : h->next_tag);
}

/* What a packet's chunks say of tags, and the state after it. */
static enum ct_sctp_state next_state(struct conn *c, enum ct_dir dir, uint32_t tag, const struct sctp_chunks *k)
{
	enum ct_sctp_state state = (enum ct_sctp_state)c->tcp_state;
	bool ended = state == CT_SCTP_CLOSED;

	if (sctp_has(k, SCTP_INIT)) {
		if (ended)
			c->half[CT_ORIGINAL].sctp = c->half[CT_REPLY].sctp = (struct ct_sctp_half){ 0, 0 };
		c->half[!dir].sctp.next_tag = k->init_tag;
		return ended ? CT_SCTP_COOKIE_WAIT : state;
	}
	if (sctp_has(k, SCTP_INIT_ACK)) {
		c->half[!dir].sctp.next_tag = k->init_tag;
		return state;
	}
	if (sctp_has(k, SCTP_ABORT) || sctp_has(k, SCTP_SHUTDOWN_COMPLETE))
		return ended || ends_all(c, dir, tag, k) ? CT_SCTP_CLOSED : state;
	if (ended)
		return state;
	/* Of an established one it is a restart, or a repetition. */
	if (sctp_has(k, SCTP_COOKIE_ECHO) && commit_tags(c, dir, tag) && state != CT_SCTP_ESTABLISHED)
		state = CT_SCTP_COOKIE_ECHOED;
	if (sctp_has(k, SCTP_COOKIE_ACK) && state == CT_SCTP_COOKIE_ECHOED)
		state = CT_SCTP_ESTABLISHED;
	if (state == CT_SCTP_HEARTBEAT_SENT && dir == CT_REPLY) {
		c->half[CT_REPLY].sctp.tag = tag;
		state = CT_SCTP_ESTABLISHED;
	}
	if (sctp_has(k, SCTP_SHUTDOWN) && (state == CT_SCTP_ESTABLISHED || state == CT_SCTP_COOKIE_ECHOED))
		state = dir == CT_ORIGINAL ? CT_SCTP_SHUTDOWN_SENT : CT_SCTP_SHUTDOWN_RECD;
	if (sctp_has(k, SCTP_SHUTDOWN_ACK) && (state == CT_SCTP_SHUTDOWN_SENT || state == CT_SCTP_SHUTDOWN_RECD))
		state = CT_SCTP_SHUTDOWN_ACK_SENT;
	return state;
}

static ct_judgement packet(struct conntrack *ct, uint32_t index, enum ct_dir dir, const struct packet *p)
{
	struct conn *c = ct_conn(ct, index);
	enum ct_sctp_state before = (enum ct_sctp_state)c->tcp_state;
	ct_judgement j = CT_JUDGE_ACCEPT;
	struct sctp_chunks k;

	if (!chunks_of(p, &k) || !tag_fits(c, dir, p->l4.info, &k))
		return CT_JUDGE_INVALID;
	enum ct_sctp_state state = next_state(c, dir, p->l4.info, &k);

	c->tcp_state = (uint8_t)state;
	if (dir == CT_REPLY)
		c->status |= CT_SEEN_REPLY;
	if (state == CT_SCTP_ESTABLISHED && (c->status & (CT_SEEN_REPLY | CT_ASSURED)) == CT_SEEN_REPLY)
		j |= CT_JUDGE_ASSURE;
	if (state != before)
		j |= CT_JUDGE_CHANGED;
	/* What comes after the end keeps nothing alive. */
	if (state != CT_SCTP_CLOSED || before != CT_SCTP_CLOSED)
		j |= CT_JUDGE_REFRESH;
	return j;
}

static enum ct_end_reason end_reason(const struct conn *c)
{
	return c->tcp_state == CT_SCTP_CLOSED ? CT_END_CLOSED : CT_END_TIMEOUT;
}

static void save(const struct conntrack *ct, uint32_t index, struct ct_record *out)
{
	for (int d = 0; d < N_CT_DIRS; d++)
		out->half[d].sctp = ct_conn(ct, index)->half[d].sctp;
}

static void restore(struct conntrack *ct, uint32_t index, const struct ct_record *r)
{
	for (int d = 0; d < N_CT_DIRS; d++)
		ct_conn(ct, index)->half[d].sctp = r->half[d].sctp;
}

const struct ct_protocol ct_sctp = {
	.can_begin = can_begin,
	.begin = begin,
	.changes_state = changes_state,
	.packet = packet,
	.timeout = timeout,
	.end_reason = end_reason,
	.save = save,
	.restore = restore,
	.state_names = state_names,
	.n_states = N_CT_SCTP_STATES,
};
