/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Answers, one rule each, in the order in which they are of use: first the way to the other
 * end, without which nothing else matters; then what keeps it from sending; then what keeps
 * it from receiving; then what it waits for.
 *
 * Whether a rule of the gateway's own drops what it sends or what comes back is told by
 * connection tracking: what does not pass OUTPUT and POSTROUTING leaves no connection there, and
 * an answer is seen there before INPUT.
 */
#include "stack/socket/socket_why.h"

#include <errno.h>
#include <inttypes.h>

#include "base/text.h"

const struct socket_why_info socket_why_info[N_SOCKET_WHYS] = {
#define X(id, name, text, hint) [SOCKET_WHY_##id] = { name, text, hint },
	SOCKET_WHYS(X)
#undef X
};

/* Once may be any loss; and what every path takes is not lost for its size (RFC 879). */
#define SUSPECTED_AFTER 2u
#define SMALL_MSS 537u

struct answers {
	const struct socket_entry *e;
	const struct socket_way *way;
	struct socket_answer *out;
	uint32_t n;
};

/* Where the detail goes. */
static struct text say(struct answers *a, enum socket_why why)
{
	struct socket_answer *s = &a->out[a->n < SOCKET_ANSWERS_MAX ? a->n++ : a->n - 1];

	s->why = why;
	s->detail[0] = '\0';
	return text_of(s->detail, sizeof(s->detail));
}

/* NULL: it is not armed. */
static const struct tcp_timer *timer_of(const struct tcp_entry *e, enum tcp_timer_kind kind)
{
	for (uint32_t i = 0; i < e->n_timers; i++)
		if (e->timer[i].kind == kind)
			return &e->timer[i];
	return NULL;
}

static void say_times(struct text *t, const struct tcp_entry *e, enum tcp_timer_kind kind)
{
	const struct tcp_timer *timer = timer_of(e, kind);

	if (timer != NULL)
		text_add(t, "%u in a row, next in %.1f s", timer->n, (double)timer->left / (double)NS_PER_S);
}

static uint32_t times_of(const struct tcp_entry *e, enum tcp_timer_kind kind)
{
	const struct tcp_timer *timer = timer_of(e, kind);

	return timer != NULL ? timer->n : 0;
}

/* Which rule, and of what it was the last time. */
static void say_rule(struct text *t, const struct socket_ruled *r)
{
	char addr[IP4_TEXT_MAX];

	ip4_format(r->remote.addr.v4, addr);
	text_add(t, "%s:%u, %.1f s ago: %s", addr, r->remote.port, (double)r->ago / (double)NS_PER_S, r->rule);
}

static void explain_ruled_in(struct answers *a)
{
	struct text detail;

	if (!a->way->in.is_there)
		return;
	detail = say(a, SOCKET_WHY_RULE_IN);
	text_add(&detail, "from ");
	say_rule(&detail, &a->way->in);
}

static void explain_ruled_out(struct answers *a)
{
	const struct socket_ruled *r = &a->way->out;
	struct text detail;

	if (!r->is_there)
		return;
	detail = say(a, r->is_untracked ? SOCKET_WHY_UNTRACKED : SOCKET_WHY_DROPPED_OUT);
	text_add(&detail, "to ");
	say_rule(&detail, r);
}

/* Connection tracking has nothing of it. */
static void say_untracked(struct answers *a)
{
	const struct socket_ruled *r = &a->way->out;

	if (!r->is_there)
		(void)say(a, SOCKET_WHY_DROPPED_OUT);
	explain_ruled_out(a);
	/* Of what is not tracked the answer is seen by rules alone. */
	if (r->is_there && r->is_untracked)
		explain_ruled_in(a);
}

/* --- the way there: asked when something was sent, and nothing has come back --- */

static void explain_way(struct answers *a)
{
	const struct socket_way *w = a->way;

	if (w->route == FIB_NONE)
		(void)say(a, SOCKET_WHY_NO_ROUTE);
	else if (w->route != FIB_UNICAST && w->route != FIB_LOCAL)
		(void)say(a, SOCKET_WHY_ROUTE_REFUSES);
	else if (w->is_unresolved)
		(void)say(a, SOCKET_WHY_NEIGHBOUR);
	else if (w->tracked == SOCKET_TRACKED_NOT)
		say_untracked(a);
	else if (w->tracked == SOCKET_TRACKED_UNREPLIED)
		(void)say(a, SOCKET_WHY_NO_ANSWER);
	else if (w->tracked == SOCKET_TRACKED_REPLIED && a->e->t.state != TCP_SYN_SENT)
		explain_ruled_in(a);
}

/* What a socket's errno says. The core asks the C library for no texts: strerror's are of the user's language. */
static void say_error(struct text *t, int error)
{
	static const struct {
		int error;
		const char *text;
	} texts[] = {
		{ ECONNREFUSED, "Connection refused" },
		{ ECONNRESET, "Connection reset by peer" },
		{ ECONNABORTED, "Software caused connection abort" },
		{ ETIMEDOUT, "Connection timed out" },
		{ EHOSTUNREACH, "No route to host" },
		{ ENETUNREACH, "Network is unreachable" },
		{ EHOSTDOWN, "Host is down" },
		{ ENETDOWN, "Network is down" },
		{ ENONET, "Machine is not on the network" },
		{ ENOPROTOOPT, "Protocol not available" },
		{ EOPNOTSUPP, "Operation not supported" },
		{ EMSGSIZE, "Message too long" },
		{ EPROTO, "Protocol error" },
		{ EACCES, "Permission denied" },
		{ EPIPE, "Broken pipe" },
		{ ENOBUFS, "No buffer space available" },
		{ ENOMEM, "Cannot allocate memory" },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].error == error) {
			text_add(t, "%s", texts[i].text);
			return;
		}
	text_add(t, "error %d", error);
}

static void explain_errors(struct answers *a)
{
	const struct tcp_entry *t = &a->e->t;
	struct text detail;

	if (t->reason != TCP_REASON_NONE && t->state == TCP_CLOSED) {
		detail = say(a, SOCKET_WHY_ENDED);
		text_add(&detail, "%s, by %s: %s", tcp_reason_info[t->reason].name, tcp_side_names[t->side],
			 tcp_reason_info[t->reason].text);
	}
	if (t->error != 0) {
		detail = say(a, SOCKET_WHY_ERROR);
		say_error(&detail, t->error);
	}
	if (t->soft_error != 0) {
		detail = say(a, SOCKET_WHY_ICMP);
		say_error(&detail, t->soft_error);
		if (t->state != TCP_CLOSED)
			text_add(&detail, ": told if it times out");
	}
}

/* --- sending --- */

static void explain_hold(struct answers *a)
{
	static const enum socket_why why[N_TCP_HOLDS] = {
		[TCP_HOLD_LOST] = SOCKET_WHY_LOST,     [TCP_HOLD_MORE] = SOCKET_WHY_CORKED,
		[TCP_HOLD_NAGLE] = SOCKET_WHY_NAGLE,   [TCP_HOLD_WINDOW] = SOCKET_WHY_WINDOW,
		[TCP_HOLD_CWND] = SOCKET_WHY_CWND,     [TCP_HOLD_PACING] = SOCKET_WHY_PACING,
		[TCP_HOLD_MEMORY] = SOCKET_WHY_MEMORY,
	};
	const struct tcp_entry *t = &a->e->t;
	struct text detail;

	if (t->hold == TCP_HOLD_NONE || t->hold == TCP_HOLD_OPENING)
		return;
	bool is_closed = t->hold == TCP_HOLD_WINDOW && t->info.snd_wnd == 0;

	detail = say(a, is_closed ? SOCKET_WHY_WINDOW_ZERO : why[t->hold]);
	text_add(&detail, "%u bytes wait, %u are on their way; window %u, cwnd %u of %u bytes", t->info.notsent_bytes,
		 t->send_q - t->info.notsent_bytes, t->info.snd_wnd, t->info.snd_cwnd, t->info.snd_mss);
	if (is_closed && times_of(t, TCP_TIMER_PERSIST) > 0) {
		text_add(&detail, "; probes: ");
		say_times(&detail, t, TCP_TIMER_PERSIST);
	}
	if (t->wants_room)
		(void)say(a, SOCKET_WHY_SNDBUF_FULL);
}

/* What was lost is a full segment, and not the first that was ever sent. */
static void explain_size(struct answers *a)
{
	const struct tcp_entry *t = &a->e->t;
	struct text detail;

	if (t->mss_low != 0 || t->info.retransmits < SUSPECTED_AFTER || t->first_len < t->info.snd_mss ||
	    t->info.snd_mss < SMALL_MSS || a->way->route != FIB_UNICAST || a->way->is_unresolved)
		return;
	detail = say(a, SOCKET_WHY_MTU_SUSPECTED);
	text_add(&detail, "%u bytes", t->info.snd_mss);
}

static void explain_sending(struct answers *a)
{
	const struct tcp_entry *t = &a->e->t;
	struct text detail;

	if (times_of(t, TCP_TIMER_KEEPALIVE) > 0 && !t->is_orphan) {
		detail = say(a, SOCKET_WHY_KEEPALIVE);
		say_times(&detail, t, TCP_TIMER_KEEPALIVE);
		explain_way(a);
	}
	if (t->info.retransmits > 0) {
		detail = say(a, SOCKET_WHY_RETRANSMITTING);
		say_times(&detail, t, TCP_TIMER_ON);
		explain_way(a);
		explain_size(a);
	}
	if (t->mss_low != 0) {
		detail = say(a, SOCKET_WHY_MTU_BLACK_HOLE);
		text_add(&detail, "of at most %u bytes", t->info.snd_mss);
	}
	explain_hold(a);
}

/* --- by state --- */

static void explain_opening(struct answers *a)
{
	const struct tcp_entry *t = &a->e->t;
	struct text detail = say(a, t->state == TCP_SYN_SENT ? SOCKET_WHY_SYN_SENT
				    : t->is_deferred         ? SOCKET_WHY_DEFERRED
							     : SOCKET_WHY_SYN_RECEIVED);

	if (t->is_deferred)
		return;
	say_times(&detail, t, TCP_TIMER_ON);
	explain_way(a);
	/* Its answer is seen here before a rule can drop it. */
	if (t->state != TCP_SYN_SENT || t->info.retransmits == 0 || a->way->tracked != SOCKET_TRACKED_REPLIED)
		return;
	detail = say(a, SOCKET_WHY_DROPPED_IN);
	if (a->way->in.is_there)
		say_rule(&detail, &a->way->in);
}

static void explain_listener(struct answers *a)
{
	const struct tcp_entry *t = &a->e->t;
	/* As listen has it: one more than the backlog. */
	bool accept_full = t->recv_q > t->send_q, syns_full = t->n_half_open > t->send_q;
	struct text detail;

	if (accept_full) {
		detail = say(a, SOCKET_WHY_ACCEPT_FULL);
		text_add(&detail, "%u wait, backlog %u", t->recv_q, t->send_q);
	}
	if (syns_full) {
		detail = say(a, SOCKET_WHY_SYN_FULL);
		text_add(&detail, "%u half open, backlog %u", t->n_half_open, t->send_q);
	}
	if (accept_full || syns_full)
		return;
	explain_ruled_in(a);
	detail = say(a, SOCKET_WHY_LISTENS);
	text_add(&detail, "%u wait, %u half open, backlog %u", t->recv_q, t->n_half_open, t->send_q);
	if (a->way->n_overflowed + a->way->n_syns_dropped > 0)
		text_add(&detail, "; not taken so far, of all listeners: %" PRIu64 " and %" PRIu64,
			 a->way->n_overflowed, a->way->n_syns_dropped);
}

static void explain_standing(struct answers *a)
{
	static const enum socket_why at_rest[N_TCP_STATES] = {
		[TCP_FIN_WAIT_1] = SOCKET_WHY_FIN_UNACKED, [TCP_CLOSING] = SOCKET_WHY_FIN_UNACKED,
		[TCP_LAST_ACK] = SOCKET_WHY_FIN_UNACKED,   [TCP_FIN_WAIT_2] = SOCKET_WHY_FIN_WAIT_2,
		[TCP_CLOSE_WAIT] = SOCKET_WHY_CLOSE_WAIT,
	};
	const struct tcp_entry *t = &a->e->t;
	struct text detail;

	explain_sending(a);
	if (t->recv_q > 0 && t->info.rcv_wnd < t->info.rcv_mss) {
		detail = say(a, SOCKET_WHY_UNREAD_FULL);
		text_add(&detail, "%u bytes unread, last came %u ms ago", t->recv_q, t->info.last_data_recv);
	}
	if (t->state != TCP_ESTABLISHED)
		(void)say(a, at_rest[t->state]);
	else if (t->hold == TCP_HOLD_NONE && t->info.retransmits == 0) {
		detail = say(a, t->send_q > 0 ? SOCKET_WHY_AWAITS_ACK : SOCKET_WHY_NOTHING_TO_SEND);
		text_add(&detail, "last sent %u ms ago, last heard %u ms ago", t->info.last_data_sent,
			 t->info.last_ack_recv);
	}
}

static void explain_datagrams(struct answers *a)
{
	const struct socket_entry *e = a->e;
	struct text detail;

	if (e->n_dropped > 0) {
		detail = say(a, SOCKET_WHY_QUEUE_FULL);
		text_add(&detail, "%" PRIu64 " dropped, %u wait", e->n_dropped, e->n_waiting);
	}
	if (e->t.state == TCP_ESTABLISHED) {
		explain_way(a);
		return;
	}
	explain_ruled_in(a);
	if (a->n == 0)
		(void)say(a, SOCKET_WHY_NOT_CONNECTED);
}

uint32_t socket_why(const struct socket_entry *e, const struct socket_way *way,
		    struct socket_answer out[SOCKET_ANSWERS_MAX])
{
	struct answers a = { .e = e, .way = way, .out = out };
	struct text detail;

	explain_errors(&a);
	if (e->kind != SOCKET_TCP && e->kind != SOCKET_LISTENER) {
		explain_datagrams(&a);
	} else if (e->t.state == TCP_LISTEN) {
		explain_listener(&a);
	} else if (e->t.state == TCP_SYN_SENT || e->t.state == TCP_SYN_RECEIVED) {
		explain_opening(&a);
	} else if (e->t.state == TCP_TIME_WAIT) {
		detail = say(&a, SOCKET_WHY_TIME_WAIT);
		text_add(&detail, "closed by %s; ", tcp_side_names[e->t.side]);
		say_times(&detail, &e->t, TCP_TIMER_TIME_WAIT);
	} else if (e->t.state != TCP_CLOSED) {
		explain_standing(&a);
	}
	if (a.n == 0)
		(void)say(&a, e->kind == SOCKET_TCP ? SOCKET_WHY_NOT_CONNECTED : SOCKET_WHY_NOTHING_TO_SEND);
	return a.n;
}

uint32_t socket_why_none(const struct socket_ends *ends, const struct socket_way *way,
			 struct socket_answer out[SOCKET_ANSWERS_MAX])
{
	struct answers a = { .way = way, .out = out };

	bool listens = ends->tcp_listens || ends->udp_listens;
	struct text detail;

	if (!ends->is_ours) {
		(void)say(&a, SOCKET_WHY_NOT_OURS);
	} else {
		detail = say(&a, ends->has_port && !listens ? SOCKET_WHY_NO_LISTENER : SOCKET_WHY_NO_SOCKET);
		if (ends->tcp_listens != ends->udp_listens)
			text_add(&detail, "at its port somebody listens for %s, nobody for %s",
				 ends->tcp_listens ? "TCP" : "UDP", ends->tcp_listens ? "UDP" : "TCP");
	}
	explain_ruled_out(&a);
	explain_ruled_in(&a);
	if (way->tracked == SOCKET_TRACKED_UNREPLIED || way->tracked == SOCKET_TRACKED_REPLIED)
		(void)say(&a, SOCKET_WHY_FORWARDED);
	return a.n;
}
