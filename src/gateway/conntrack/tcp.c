/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The TCP tracker: the state of a connection as one between the ends can know
 * it. States and most transitions are Linux's, so that what an operator reads is
 * what he is used to; the windows are in tcp_window.c.
 *
 *   SYN_SENT     a SYN was seen            FIN_WAIT    a FIN
 *   SYN_SENT2    one in each direction     CLOSE_WAIT  ... and an ACK behind it
 *   SYN_RECV     a SYN-ACK                 LAST_ACK    a second FIN
 *   ESTABLISHED  an ACK                    TIME_WAIT   ... and the last ACK
 *   CLOSE        an RST
 *
 * The machine is one table: direction, class of segment, state. A hole in it
 * means: invalid, and the state stays. IGNORE means that the segment passes and
 * changes nothing, since the other end knows better:
 *  - A SYN on a connection that we believe to be alive. If the other end has
 *    forgotten it, its SYN-ACK acknowledges exactly this SYN, and the connection
 *    begins again in place. If not, it answers with a challenge ACK (RFC 5961
 *    section 4), the sender's RST then stands exactly at the edge of the window,
 *    and closes the old connection; the next SYN opens a new one.
 *  - An ACK in answer to our SYN_SENT: a challenge of a connection that we have
 *    never seen. It is remembered, and the RST that comes back is known by it.
 *
 * Where this differs from Linux:
 *  - A SYN from the answering side on a live connection passes as IGNORE as well:
 *    with endpoint-independent mappings both ends are equal.
 *  - Data after an RST bring an established connection back (RFC 7857 section
 *    2.1: TRANS to ESTABLISHED), for the RST may not have been believed.
 *  - A RST against a SYN must acknowledge it (RFC 9293 section 3.10.7.3).
 *  - When both sides opened at once, a SYN-ACK of one and an acknowledgement of
 *    the other establish the connection, whichever comes first: no further
 *    segment need follow (RFC 9293 section 3.5, figure 8).
 *
 * RFC 5382, RFC 5961, RFC 7857, RFC 9293.
 *
 * Next: src/gateway/conntrack/tcp_window.c
 */
#include <stddef.h>

#include "gateway/conntrack/flow.h"
#include "gateway/conntrack/record.h"
#include "gateway/conntrack/tcp_priv.h"

const char *const ct_tcp_state_names[N_CT_TCP_STATES] = {
	[CT_TCP_NONE] = "NONE",         [CT_TCP_SYN_SENT] = "SYN_SENT",
	[CT_TCP_SYN_RECV] = "SYN_RECV", [CT_TCP_ESTABLISHED] = "ESTABLISHED",
	[CT_TCP_FIN_WAIT] = "FIN_WAIT", [CT_TCP_CLOSE_WAIT] = "CLOSE_WAIT",
	[CT_TCP_LAST_ACK] = "LAST_ACK", [CT_TCP_TIME_WAIT] = "TIME_WAIT",
	[CT_TCP_CLOSE] = "CLOSE",       [CT_TCP_SYN_SENT2] = "SYN_SENT2",
};

/* Short names for the table. */
#define NO CT_TCP_NONE
#define SS CT_TCP_SYN_SENT
#define S2 CT_TCP_SYN_SENT2
#define SR CT_TCP_SYN_RECV
#define ES CT_TCP_ESTABLISHED
#define FW CT_TCP_FIN_WAIT
#define CW CT_TCP_CLOSE_WAIT
#define LA CT_TCP_LAST_ACK
#define TW CT_TCP_TIME_WAIT
#define CL CT_TCP_CLOSE
#define IG TCP_TRACK_IGNORE
#define RE TCP_TRACK_REOPEN

const uint8_t ct_tcp_next[N_CT_DIRS][N_TCP_CLASSES][N_CT_TCP_STATES] = {
    /* clang-format off */
    [CT_ORIGINAL] = {
	/* A new connection; a retransmission; one too many; a new one on an old tuple. */
	[TCP_CLASS_SYN] = {[NO] = SS, [SS] = SS, [S2] = S2, [SR] = IG, [ES] = IG, [FW] = IG, [CW] = IG, [LA] = IG,
			   [TW] = RE, [CL] = RE},
	/* Only in a simultaneous open does the first side answer a SYN. */
	[TCP_CLASS_SYNACK] = {[S2] = SR, [SR] = SR},
	[TCP_CLASS_FIN] = {[SR] = FW, [ES] = FW, [FW] = LA, [CW] = LA, [LA] = LA, [TW] = TW, [CL] = CL},
	/* Picked up in the middle when the config says so. */
	[TCP_CLASS_ACK] = {[NO] = ES, [SR] = ES, [ES] = ES, [FW] = CW, [CW] = CW, [LA] = TW, [TW] = TW, [CL] = CL},
	[TCP_CLASS_RST] = {[SS] = CL, [S2] = CL, [SR] = CL, [ES] = CL, [FW] = CL, [CW] = CL, [LA] = CL, [TW] = CL,
			   [CL] = CL},
    },
    [CT_REPLY] = {
	/* Simultaneous open; else a peer that began again, or wants to. */
	[TCP_CLASS_SYN] = {[SS] = S2, [S2] = S2, [SR] = IG, [ES] = IG, [FW] = IG, [CW] = IG, [LA] = IG, [TW] = S2,
			   [CL] = S2},
	/* The answer; late ones, whose sender will hear what to think of them. */
	[TCP_CLASS_SYNACK] = {[SS] = SR, [S2] = SR, [SR] = IG, [ES] = IG, [FW] = IG, [CW] = IG, [LA] = IG, [TW] = IG,
			      [CL] = IG},
	[TCP_CLASS_FIN] = {[SR] = FW, [ES] = FW, [FW] = LA, [CW] = LA, [LA] = LA, [TW] = TW, [CL] = CL},
	[TCP_CLASS_ACK] = {[SS] = IG, [S2] = IG, [SR] = SR, [ES] = ES, [FW] = CW, [CW] = CW, [LA] = TW, [TW] = TW,
			   [CL] = CL},
	[TCP_CLASS_RST] = {[SS] = CL, [S2] = CL, [SR] = CL, [ES] = CL, [FW] = CL, [CW] = CL, [LA] = CL, [TW] = CL,
			   [CL] = CL},
    },
    /* clang-format on */
};

#undef NO
#undef SS
#undef S2
#undef SR
#undef ES
#undef FW
#undef CW
#undef LA
#undef TW
#undef CL
#undef IG
#undef RE

/* False for combinations of flags that no TCP sends. */
static bool class_of(uint8_t flags, enum tcp_class *out)
{
	switch (flags & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)) {
	case TCP_SYN:
		*out = TCP_CLASS_SYN;
		return true;
	case TCP_SYN | TCP_ACK:
		*out = TCP_CLASS_SYNACK;
		return true;
	case TCP_FIN | TCP_ACK:
		*out = TCP_CLASS_FIN;
		return true;
	case TCP_ACK:
		*out = TCP_CLASS_ACK;
		return true;
	case TCP_RST:
	case TCP_RST | TCP_ACK:
		*out = TCP_CLASS_RST;
		return true;
	default:
		return false;
	}
}

static inline uint32_t timeout(const struct ct_timeouts *t, const struct conn *c)
{
	static const uint8_t field_of_state[N_CT_TCP_STATES] = {
		[CT_TCP_NONE] = offsetof(struct ct_timeouts, tcp_close),
		[CT_TCP_SYN_SENT] = offsetof(struct ct_timeouts, tcp_syn_sent),
		[CT_TCP_SYN_SENT2] = offsetof(struct ct_timeouts, tcp_syn_sent),
		[CT_TCP_SYN_RECV] = offsetof(struct ct_timeouts, tcp_syn_recv),
		[CT_TCP_ESTABLISHED] = offsetof(struct ct_timeouts, tcp_established),
		[CT_TCP_FIN_WAIT] = offsetof(struct ct_timeouts, tcp_fin_wait),
		[CT_TCP_CLOSE_WAIT] = offsetof(struct ct_timeouts, tcp_close_wait),
		[CT_TCP_LAST_ACK] = offsetof(struct ct_timeouts, tcp_last_ack),
		[CT_TCP_TIME_WAIT] = offsetof(struct ct_timeouts, tcp_time_wait),
		[CT_TCP_CLOSE] = offsetof(struct ct_timeouts, tcp_close),
	};
	uint32_t s = ct_timeout_at(t, field_of_state[c->tcp_state]);

	/* Data that nobody acknowledges: one end is gone. */
	if ((c->half[CT_ORIGINAL].flags | c->half[CT_REPLY].flags) & TCP_TRACK_UNACKED)
		s = min_u32(s, t->tcp_unacknowledged);
	return s;
}

static bool can_begin(const struct conntrack *ct, const struct packet *p)
{
	enum tcp_class class;

	if (!class_of(p->l4.flags, &class))
		return false;
	switch (ct_tcp_next[CT_ORIGINAL][class][CT_TCP_NONE]) {
	case CT_TCP_SYN_SENT:
		return true;
	case CT_TCP_ESTABLISHED:
		return ct->cfg.pick_up != 0;
	default:
		return false;
	}
}

static uint32_t begin(struct conntrack *ct, uint32_t index, const struct packet *p)
{
	struct conn *c = ct_conn(ct, index);

	ct_tcp_window_begin(c, p);
	if (p->l4.flags & TCP_SYN) {
		c->tcp_state = CT_TCP_SYN_SENT;
	} else {
		c->tcp_state = CT_TCP_ESTABLISHED;
		c->status |= CT_PICKED_UP;
	}
	return timeout(&ct->cfg.timeout, c);
}

/* tcp_last: which ignored segment is remembered. */
#define LAST_NONE 0
#define LAST_SYN 1 /* ct_tcp_last.number: its end */
#define LAST_ACK 2 /* ct_tcp_last.number: what it acknowledges */
#define LAST_OF(kind, dir) ((uint8_t)((kind) << 1 | (dir)))

static void remember(struct conntrack *ct, uint32_t index, enum ct_dir dir, enum tcp_class class,
		     const struct packet *p)
{
	struct conn *c = ct_conn(ct, index);
	struct ct_tcp_last *last = &ct->side[index].tcp_last;

	if (class == TCP_CLASS_SYN) {
		struct conn scratch = *c;

		ct_tcp_take_options(&scratch, dir, p);
		c->tcp_last = LAST_OF(LAST_SYN, dir);
		last->number = tcp_segment_end(&p->l4);
		last->win = p->l4.window;
		last->flags = scratch.half[dir].flags;
		last->scale = scratch.half[dir].scale;
	} else if (class == TCP_CLASS_ACK) {
		c->tcp_last = LAST_OF(LAST_ACK, dir);
		last->number = p->l4.ack;
	}
}

static bool remembered(const struct conntrack *ct, uint32_t index, unsigned kind, enum ct_dir dir, uint32_t number)
{
	return ct_conn(ct, index)->tcp_last == LAST_OF(kind, dir) && ct->side[index].tcp_last.number == number;
}

/* A SYN-ACK for a SYN that was ignored: the connection begins again with that SYN. */
static void restart(struct conn *c, const struct ct_tcp_last *last, enum ct_dir syn_dir)
{
	c->half[syn_dir].tcp = (struct ct_tcp_window){
		.end = last->number,
		.max_end = last->number,
		.max_win = max_u32(last->win, 1),
	};
	c->half[syn_dir].flags = last->flags & (TCP_TRACK_WSCALE | TCP_TRACK_SACK);
	c->half[syn_dir].scale = last->scale;
	c->half[!syn_dir].tcp = (struct ct_tcp_window){ 0 };
	c->half[!syn_dir].flags = 0;
	c->half[!syn_dir].scale = 0;
	c->tcp_last = LAST_NONE;
}

static ct_judgement enter_state(struct conn *c, enum ct_tcp_state state)
{
	enum ct_tcp_state before = (enum ct_tcp_state)c->tcp_state;
	ct_judgement j = CT_JUDGE_ACCEPT;

	c->tcp_state = (uint8_t)state;
	if (state == CT_TCP_ESTABLISHED && (before == CT_TCP_SYN_RECV || before == CT_TCP_ESTABLISHED) &&
	    (c->status & (CT_SEEN_REPLY | CT_ASSURED)) == CT_SEEN_REPLY)
		j |= CT_JUDGE_ASSURE;
	if (state == before)
		return j;
	if (state == CT_TCP_TIME_WAIT || state == CT_TCP_CLOSE)
		j |= CT_JUDGE_FINISHED;
	return j | CT_JUDGE_CHANGED;
}

static ct_judgement take_rst(struct conntrack *ct, uint32_t index, enum ct_dir dir, const struct packet *p)
{
	struct conn *c = ct_conn(ct, index);
	/* The answer to a challenge ACK on a connection we know only by its SYN. */
	bool answers = remembered(ct, index, LAST_ACK, !dir, p->l4.seq);

	/* Nobody is there for the SYN that was let through: it is acknowledged exactly (RFC 9293 section 3.10.7.1). */
	if (p->l4.flags & TCP_ACK)
		answers |= remembered(ct, index, LAST_SYN, !dir, p->l4.ack);

	switch (answers ? TCP_RST_CLOSES : ct_tcp_judge_rst(c, dir, &p->l4)) {
	case TCP_RST_OUTSIDE:
		ct->counts[CT_COUNT_RST_OUT_OF_WINDOW]++;
		return CT_JUDGE_INVALID;
	case TCP_RST_CHALLENGED:
		return CT_JUDGE_ACCEPT;
	case TCP_RST_CLOSES:
		break;
	}
	c->tcp_last = LAST_NONE;
	if (dir == CT_REPLY)
		c->status |= CT_SEEN_REPLY;
	/* A refusal keeps nothing alive (RFC 7857 section 7.1). */
	return enter_state(c, CT_TCP_CLOSE) | CT_JUDGE_SHORTEN;
}

/* A segment whose sender may know more than we. True when it begins the connection again and goes on as the answer to
 * the remembered SYN. */
static bool take_ignored(struct conntrack *ct, uint32_t index, enum ct_dir dir, enum tcp_class class,
			 const struct packet *p)
{
	struct conn *c = ct_conn(ct, index);

	/* One that fits into the windows as they are is the old SYN-ACK once more. */
	if (class == TCP_CLASS_SYNACK && remembered(ct, index, LAST_SYN, !dir, p->l4.ack) &&
	    !ct_tcp_window_fits(c, dir, p)) {
		restart(c, &ct->side[index].tcp_last, !dir);
		return true;
	}
	remember(ct, index, dir, class, p);
	return false;
}

/* After SYNs that crossed: true when this acknowledgement is the second one. */
static bool completes_crossed(struct conn *c, enum ct_dir dir, enum tcp_class class)
{
	bool other = (c->half[!dir].flags & TCP_TRACK_CROSSED) != 0;

	if (class == TCP_CLASS_SYNACK && (c->tcp_state == CT_TCP_SYN_SENT2 || other))
		c->half[dir].flags |= TCP_TRACK_CROSSED;
	return c->tcp_state == CT_TCP_SYN_RECV && other && (class == TCP_CLASS_SYNACK || class == TCP_CLASS_ACK);
}

/* A connection that was reset or has ended, and whose answering side opens it once more. */
static void begin_backwards(struct conn *c)
{
	ct_tcp_window_clear(c);
	c->tcp_last = LAST_NONE;
}

static ct_judgement packet(struct conntrack *ct, uint32_t index, enum ct_dir dir, const struct packet *p)
{
	struct conn *c = ct_conn(ct, index);
	enum ct_tcp_state old = (enum ct_tcp_state)c->tcp_state;
	enum tcp_class class;

	if (!class_of(p->l4.flags, &class))
		return CT_JUDGE_INVALID;
	uint8_t next = ct_tcp_next[dir][class][old];
	if (next == TCP_TRACK_INVALID)
		return CT_JUDGE_INVALID;
	if (next == TCP_TRACK_REOPEN) {
		if (c->status & CT_CONFIRMED)
			return CT_JUDGE_REOPEN;
		(void)begin(ct, index, p);
		return CT_JUDGE_ACCEPT | CT_JUDGE_REFRESH;
	}
	if (class == TCP_CLASS_RST)
		return take_rst(ct, index, dir, p);
	if (completes_crossed(c, dir, class))
		next = CT_TCP_ESTABLISHED;
	if (next == TCP_TRACK_IGNORE) {
		if (!take_ignored(ct, index, dir, class, p))
			return CT_JUDGE_ACCEPT;
		next = CT_TCP_SYN_RECV;
	}
	/* The challenge to an ignored SYN looks like the last ACK, and is none (RFC 5961 section 4.2). */
	if (old == CT_TCP_LAST_ACK && class == TCP_CLASS_ACK && c->tcp_last == LAST_OF(LAST_SYN, !dir)) {
		c->tcp_last = LAST_NONE;
		return CT_JUDGE_ACCEPT;
	}
	if (class == TCP_CLASS_SYN && (old == CT_TCP_TIME_WAIT || old == CT_TCP_CLOSE))
		begin_backwards(c);
	switch (ct_tcp_window_check(c, dir, p)) {
	case TCP_WINDOW_OUTSIDE:
		return CT_JUDGE_INVALID;
	case TCP_WINDOW_LATE:
	case TCP_WINDOW_AHEAD:
		/* Its receiver will say what it thinks of it. */
		return CT_JUDGE_ACCEPT;
	case TCP_WINDOW_FITS:
		break;
	}
	if (old == CT_TCP_CLOSE && class == TCP_CLASS_ACK && p->l4.payload_len > 0 && (c->status & CT_ASSURED))
		next = CT_TCP_ESTABLISHED;
	if (dir == CT_REPLY)
		c->status |= CT_SEEN_REPLY;
	return enter_state(c, (enum ct_tcp_state)next) | CT_JUDGE_REFRESH;
}

static bool changes_state(const struct packet *p)
{
	return (p->l4.flags & (TCP_SYN | TCP_FIN | TCP_RST)) != 0;
}

static enum ct_end_reason end_reason(const struct conn *c)
{
	return c->tcp_state == CT_TCP_CLOSE       ? CT_END_RESET
	       : c->tcp_state == CT_TCP_TIME_WAIT ? CT_END_CLOSED
						  : CT_END_TIMEOUT;
}

/* States in which an ACK changes nothing else, in either direction. */
static bool is_steady(const struct conn *c)
{
	return c->tcp_state == CT_TCP_ESTABLISHED || c->tcp_state == CT_TCP_CLOSE_WAIT;
}

uint32_t ct_tcp_plain(const struct ct_timeouts *t, struct conn *c, enum ct_dir dir, const struct l4_view *v,
		      const uint8_t *header)
{
	if (!(c->status & CT_ASSURED) || !is_steady(c) || !ct_tcp_window_plain(c, dir, v, header))
		return 0;
	return timeout(t, c);
}

static ct_judgement deferred(struct conn *c, enum ct_dir dir, const struct ct_deferred *credit)
{
	if (credit->has_tcp)
		ct_tcp_window_add_deferred(c, dir, credit);
	return is_steady(c) ? CT_JUDGE_ACCEPT | CT_JUDGE_REFRESH : CT_JUDGE_ACCEPT;
}

static bool finished(const struct conn *c)
{
	return c->tcp_state == CT_TCP_TIME_WAIT || c->tcp_state == CT_TCP_CLOSE;
}

static void save(const struct conntrack *ct, uint32_t index, struct ct_record *out)
{
	const struct conn *c = ct_conn(ct, index);
	const struct ct_tcp_last *last = &ct->side[index].tcp_last;

	for (int d = 0; d < N_CT_DIRS; d++) {
		out->half[d].tcp = c->half[d].tcp;
		out->half[d].flags = c->half[d].flags;
		out->half[d].scale = c->half[d].scale;
	}
	out->tcp_last = (struct ct_record_last){ last->number, last->win, last->flags, last->scale };
}

static void restore(struct conntrack *ct, uint32_t index, const struct ct_record *r)
{
	struct conn *c = ct_conn(ct, index);

	for (int d = 0; d < N_CT_DIRS; d++) {
		c->half[d].tcp = r->half[d].tcp;
		c->half[d].flags = r->half[d].flags;
		c->half[d].scale = r->half[d].scale;
	}
	ct->side[index].tcp_last =
		(struct ct_tcp_last){ r->tcp_last.number, r->tcp_last.win, r->tcp_last.flags, r->tcp_last.scale };
}

const struct ct_protocol ct_tcp = {
	.can_begin = can_begin,
	.begin = begin,
	.changes_state = changes_state,
	.packet = packet,
	.timeout = timeout,
	.end_reason = end_reason,
	.deferred = deferred,
	.finished = finished,
	.first_fragment = ct_tcp_first_fragment,
	.later_fragment = ct_tcp_later_fragment,
	.quote_fits = ct_tcp_quote_fits,
	.save = save,
	.restore = restore,
	.state_names = ct_tcp_state_names,
	.n_states = N_CT_TCP_STATES,
};
