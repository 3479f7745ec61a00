/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Every state, every kind of segment, wherever it stands: what RFC 9293 section 3.10.7
 * says is answered, and in which state the connection is then, beside what ours does.
 *
 * The rule book (expect) is written from the RFCs' words alone, step by step; it knows
 * nothing of the code. Where we differ from RFC 9293 on purpose a later RFC says so:
 * 5961 (resets, SYNs and acknowledgements are challenged), 1337 (no reset ends
 * TIME_WAIT), 6191 (a SYN may begin again there).
 */
#include <stdio.h>

#include "stack/transport/tcp_script.h"

/* The states as they are brought about; two of them are no connections. */
enum place {
	PLACE_CLOSED,
	PLACE_LISTEN,
	PLACE_SYN_SENT,
	PLACE_SYN_RECEIVED, /* both have opened at once */
	PLACE_HALF_OPEN,    /* a listener's */
	PLACE_ESTABLISHED,
	PLACE_FIN_WAIT_1,
	PLACE_FIN_WAIT_2,
	PLACE_CLOSE_WAIT,
	PLACE_CLOSING,
	PLACE_LAST_ACK,
	PLACE_TIME_WAIT,
	N_PLACES
};
static const char *const place_names[N_PLACES] = { "CLOSED",     "LISTEN",      "SYN-SENT",   "SYN-RECEIVED",
						   "HALF-OPEN",  "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2",
						   "CLOSE-WAIT", "CLOSING",     "LAST-ACK",   "TIME-WAIT" };

static const uint8_t kinds[] = {
	TCP_SYN,           TCP_ACK,           TCP_RST,           TCP_FIN, TCP_SYN | TCP_ACK,
	TCP_RST | TCP_ACK, TCP_FIN | TCP_ACK, TCP_SYN | TCP_FIN, 0,
};

enum where { LEFT_OF, LEFT_EDGE, INSIDE, RIGHT_EDGE, RIGHT_OF, N_WHERES };
static const char *const where_names[N_WHERES] = { "left of the window", "left edge", "inside", "right edge",
						   "right of the window" };

#define DATA_LEN 100u
#define WINDOW 65535u

/* Brings it about. The next number of the peer is *seq, of ours (all acknowledged) *ack. */
static void bring(struct script *s, enum place place, uint32_t *seq, uint32_t *ack)
{
	struct tcp_config cfg = tcp_default_config;

	/* Without options, so that nothing but numbers is judged. */
	cfg.timestamps = cfg.sack = cfg.window_scaling = false;
	script_start(s, &cfg);
	*seq = 1;
	*ack = 1;
	switch (place) {
	case PLACE_CLOSED:
		return;
	case PLACE_LISTEN:
		script_listen(s);
		return;
	case PLACE_SYN_SENT:
		script_connect(s);
		return;
	case PLACE_SYN_RECEIVED:
		script_connect(s);
		script_in(s, &(struct in){ .flags = TCP_SYN });
		break;
	case PLACE_HALF_OPEN:
		script_listen(s);
		script_in(s, &(struct in){ .flags = TCP_SYN });
		break;
	default:
		script_accept(s, NULL, 0);
		break;
	}
	if (place == PLACE_CLOSE_WAIT || place == PLACE_LAST_ACK) {
		script_in(s, &(struct in){ .flags = TCP_FIN | TCP_ACK, .seq = 1, .ack = 1 });
		*seq = 2;
	}
	if (place >= PLACE_FIN_WAIT_1 && place != PLACE_CLOSE_WAIT) {
		assert_int_equal(tcp_shutdown(s->h.tcp, s->c, TCP_SHUT_WR), 0);
		ip_flush(s->h.ip);
	}
	if (place == PLACE_FIN_WAIT_2 || place == PLACE_TIME_WAIT) {
		script_in(s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 2 });
		*ack = 2;
	}
	if (place == PLACE_CLOSING || place == PLACE_TIME_WAIT) {
		script_in(s, &(struct in){ .flags = TCP_FIN | TCP_ACK, .seq = 1, .ack = *ack });
		*seq = 2;
	}
	script_forget(s);
}

static enum place place_of(const struct script *s, enum place before)
{
	static const enum place of_state[N_TCP_STATES] = {
		[TCP_SYN_SENT] = PLACE_SYN_SENT,       [TCP_SYN_RECEIVED] = PLACE_SYN_RECEIVED,
		[TCP_ESTABLISHED] = PLACE_ESTABLISHED, [TCP_FIN_WAIT_1] = PLACE_FIN_WAIT_1,
		[TCP_FIN_WAIT_2] = PLACE_FIN_WAIT_2,   [TCP_CLOSE_WAIT] = PLACE_CLOSE_WAIT,
		[TCP_CLOSING] = PLACE_CLOSING,         [TCP_LAST_ACK] = PLACE_LAST_ACK,
	};

	if (s->h.tcp->time_wait.n_used > 0)
		return PLACE_TIME_WAIT;
	if (s->h.tcp->half_open.n_used > 0)
		return PLACE_HALF_OPEN;
	if (s->listener != NULL && s->listener->n_accept > 0)
		return of_state[tcp_conn_at(s->h.tcp, s->listener->first_accept)->state];
	if (s->c != NULL)
		return of_state[tcp_state(s->c)];
	return s->listener != NULL ? PLACE_LISTEN : PLACE_CLOSED;
}

enum answer { NOTHING, AN_ACK, A_RST, A_SYN_ACK };
static const char *const answer_names[] = { "nothing", "ACK", "RST", "SYN+ACK" };

struct expected {
	enum answer answer;
	enum place place;
};

struct cell {
	enum place place;
	uint8_t flags;
	enum where where;
	uint32_t len; /* of data */
};

static bool in_window(const struct cell *c)
{
	uint32_t len = c->len + ((c->flags & TCP_SYN) != 0) + ((c->flags & TCP_FIN) != 0);

	switch (c->where) {
	case LEFT_OF:
		/* Begins a hundred before: with a hundred bytes of data it ends before the window, unless SYN or FIN
		 * makes it one longer. */
		return len > DATA_LEN;
	case LEFT_EDGE:
	case INSIDE:
		return true;
	case RIGHT_EDGE:
		return len == 0 ? true : false;
	default:
		return false;
	}
}

/* Section 3.10.7.1 and .2: no connection. */
static struct expected expect_none(const struct cell *c)
{
	struct expected stays = { NOTHING, c->place };

	if (c->flags & TCP_RST)
		return stays;
	if (c->place == PLACE_CLOSED || (c->flags & TCP_ACK))
		return (struct expected){ A_RST, c->place };
	/* A SYN begins a connection; with a FIN nobody means it well, and it is dropped (section 3.10.7.2 leaves it
	 * open). */
	if (c->flags == TCP_SYN)
		return (struct expected){ A_SYN_ACK, PLACE_HALF_OPEN };
	return stays;
}

/* Section 3.10.7.3; the acknowledgement is of our SYN. Numbers are of no account. */
static struct expected expect_syn_sent(const struct cell *c)
{
	if (c->flags & TCP_RST)
		return (struct expected){ NOTHING, c->flags & TCP_ACK ? PLACE_CLOSED : PLACE_SYN_SENT };
	if (!(c->flags & TCP_SYN))
		return (struct expected){ NOTHING, PLACE_SYN_SENT };
	if (c->flags & TCP_ACK)
		return (struct expected){ AN_ACK, PLACE_ESTABLISHED };
	return (struct expected){ A_SYN_ACK, PLACE_SYN_RECEIVED };
}

static bool has_received_fin(enum place p)
{
	return p == PLACE_CLOSE_WAIT || p == PLACE_CLOSING || p == PLACE_LAST_ACK || p == PLACE_TIME_WAIT;
}

/* Where its FIN leads, which stands where it is expected. */
static enum place behind_fin(enum place p)
{
	switch (p) {
	case PLACE_SYN_RECEIVED:
	case PLACE_HALF_OPEN:
	case PLACE_ESTABLISHED:
		return PLACE_CLOSE_WAIT;
	case PLACE_FIN_WAIT_1:
		return PLACE_CLOSING;
	case PLACE_FIN_WAIT_2:
		return PLACE_TIME_WAIT;
	default:
		return p;
	}
}

/* Section 3.10.7.4. The acknowledgement is of all but a FIN of ours that is not acknowledged yet. */
static struct expected expect_synchronized(const struct cell *c)
{
	struct expected stays = { NOTHING, c->place }, acks = { AN_ACK, c->place };
	bool is_syn_received = c->place == PLACE_SYN_RECEIVED || c->place == PLACE_HALF_OPEN;

	/* First. Whatever cannot be is answered by an acknowledgement, but for a reset. */
	if (!in_window(c)) {
		if (c->flags & TCP_RST)
			return stays;
		/* RFC 9293 has an answer for a SYN left of the window too (RFC 5961 section 4.2: in any case). In
		 * SYN-RECEIVED of a listener the answer is the SYN+ACK again, which acknowledges no less. */
		return c->place == PLACE_HALF_OPEN ? (struct expected){ A_SYN_ACK, c->place } : acks;
	}
	/* Second, as RFC 5961 section 3.2 has it. */
	if (c->flags & TCP_RST) {
		if (c->where == LEFT_EDGE)
			return (struct expected){ NOTHING, c->place == PLACE_HALF_OPEN ? PLACE_LISTEN : PLACE_CLOSED };
		return c->place == PLACE_HALF_OPEN ? stays : acks;
	}
	/* Fourth, RFC 5961 section 4.2. */
	if (c->flags & TCP_SYN)
		return c->place == PLACE_HALF_OPEN ? (struct expected){ A_SYN_ACK, c->place } : acks;
	/* Fifth. */
	if (!(c->flags & TCP_ACK))
		return stays;
	enum place p = is_syn_received ? PLACE_ESTABLISHED : c->place;

	/* Seventh, eighth: in order, ahead of a gap, or nothing. What is right of what came may not be known. */
	bool has_something = c->len > 0 || (c->flags & TCP_FIN);

	if (!has_something)
		return (struct expected){ NOTHING, p };
	if (has_received_fin(p))
		/* Data behind a FIN is ignored; nothing says that it is answered. */
		return (struct expected){ NOTHING, p };
	bool is_next = c->where == LEFT_EDGE || c->where == LEFT_OF;

	if ((c->flags & TCP_FIN) && is_next)
		p = behind_fin(p);
	return (struct expected){ AN_ACK, p };
}

/* RFC 1337, RFC 6191, and section 3.10.7.4's words on TIME-WAIT. */
static struct expected expect_time_wait(const struct cell *c)
{
	struct expected stays = { NOTHING, c->place }, acks = { AN_ACK, c->place };

	if (c->flags & TCP_RST)
		return stays;
	/* A SYN beyond what was received begins again. */
	if (c->flags == TCP_SYN && c->where >= INSIDE)
		return (struct expected){ A_SYN_ACK, PLACE_HALF_OPEN };
	/* What stands exactly there and brings nothing needs no answer. */
	if (c->flags == TCP_ACK && c->where == LEFT_EDGE && c->len == 0)
		return stays;
	return acks;
}

static struct expected expect(const struct cell *c)
{
	switch (c->place) {
	case PLACE_CLOSED:
	case PLACE_LISTEN:
		return expect_none(c);
	case PLACE_SYN_SENT:
		return expect_syn_sent(c);
	case PLACE_TIME_WAIT:
		return expect_time_wait(c);
	default:
		return expect_synchronized(c);
	}
}

static const char *flags_text(uint8_t flags, char buf[32])
{
	snprintf(buf, 32, "%s%s%s%s%s", flags & TCP_SYN ? "SYN " : "", flags & TCP_RST ? "RST " : "",
		 flags & TCP_FIN ? "FIN " : "", flags & TCP_ACK ? "ACK " : "", flags == 0 ? "none " : "");
	return buf;
}

static enum answer answer_of(struct script *s)
{
	const struct seen *o;
	enum answer a = NOTHING;

	/* Delayed acknowledgements are answers too. */
	script_wait(s, 100 * NS_PER_MS);
	while ((o = script_out(s)) != NULL) {
		if (o->flags & TCP_RST)
			a = A_RST;
		else if (o->flags & TCP_SYN)
			a = A_SYN_ACK;
		else if (a == NOTHING)
			a = AN_ACK;
	}
	return a;
}

static bool try_cell(const struct cell *c)
{
	struct script s;
	uint32_t seq, ack, at;
	char flags[32];

	bring(&s, c->place, &seq, &ack);
	uint32_t window = s.c != NULL && c->place > PLACE_SYN_SENT && c->place != PLACE_TIME_WAIT
				  ? seq_max(s.c->rcv_adv, s.c->rcv_nxt) - s.c->rcv_nxt
				  : WINDOW;

	switch (c->where) {
	case LEFT_OF:
		at = seq - DATA_LEN;
		break;
	case LEFT_EDGE:
		at = seq;
		break;
	case INSIDE:
		at = seq + 1000;
		break;
	case RIGHT_EDGE:
		at = seq + window;
		break;
	default:
		at = seq + window + 1000;
		break;
	}
	script_in(&s, &(struct in){ .flags = c->flags, .seq = at, .ack = ack, .len = c->len });
	enum answer answer = answer_of(&s);
	enum place place = place_of(&s, c->place);
	struct expected e = expect(c);
	bool is_right = answer == e.answer && place == e.place;

	if (!is_right)
		print_message("%s: %s%s, %s: %s and %s, but ours %s and %s\n", place_names[c->place],
			      flags_text(c->flags, flags), c->len > 0 ? "with data" : "without data",
			      where_names[c->where], answer_names[e.answer], place_names[e.place], answer_names[answer],
			      place_names[place]);
	if (s.c != NULL)
		tcp_abort(s.h.tcp, s.c);
	script_end(&s);
	return is_right;
}

/* Would catch: any segment, anywhere, that is answered or believed otherwise than the RFCs say. */
static void test_matrix(void **state)
{
	uint32_t n_wrong = 0, n = 0;

	for (enum place place = 0; place < N_PLACES; place++)
		for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
			for (enum where w = 0; w < N_WHERES; w++)
				for (uint32_t with_data = 0; with_data < 2; with_data++) {
					struct cell c = { place, kinds[k], w, with_data ? DATA_LEN : 0 };

					n++;
					n_wrong += !try_cell(&c);
				}
	assert_int_equal(n, 12 * 9 * 5 * 2);
	assert_int_equal(n_wrong, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_matrix) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
