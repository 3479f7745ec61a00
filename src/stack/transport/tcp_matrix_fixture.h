/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests: every state, every kind of segment, wherever it stands, and what RFC 9293 section
 * 3.10.7 says of it.
 *
 * The rule book (expect) is written from the RFCs' words alone, step by step; it knows
 * nothing of the code. Where we differ from RFC 9293 on purpose a later RFC says so:
 * 5961 (resets, SYNs and acknowledgements are challenged), 1337 (no reset ends
 * TIME_WAIT), 6191 (a SYN may begin again there).
 */
#ifndef YG_STACK_TRANSPORT_TCP_MATRIX_FIXTURE_H
#define YG_STACK_TRANSPORT_TCP_MATRIX_FIXTURE_H

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
	uint32_t len;  /* of data */
	uint32_t kind; /* of flags: for next_cell */
	bool begun;
};

static inline bool in_window(const struct cell *c)
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
static inline struct expected expect_none(const struct cell *c)
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
static inline struct expected expect_syn_sent(const struct cell *c)
{
	if (c->flags & TCP_RST)
		return (struct expected){ NOTHING, c->flags & TCP_ACK ? PLACE_CLOSED : PLACE_SYN_SENT };
	if (!(c->flags & TCP_SYN))
		return (struct expected){ NOTHING, PLACE_SYN_SENT };
	if (c->flags & TCP_ACK)
		return (struct expected){ AN_ACK, PLACE_ESTABLISHED };
	return (struct expected){ A_SYN_ACK, PLACE_SYN_RECEIVED };
}

static inline bool has_received_fin(enum place p)
{
	return p == PLACE_CLOSE_WAIT || p == PLACE_CLOSING || p == PLACE_LAST_ACK || p == PLACE_TIME_WAIT;
}

/* Where its FIN leads, which stands where it is expected. */
static inline enum place behind_fin(enum place p)
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
static inline struct expected expect_synchronized(const struct cell *c)
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
static inline struct expected expect_time_wait(const struct cell *c)
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

static inline struct expected expect(const struct cell *c)
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

static inline const char *flags_text(uint8_t flags, char buf[32])
{
	snprintf(buf, 32, "%s%s%s%s%s", flags & TCP_SYN ? "SYN " : "", flags & TCP_RST ? "RST " : "",
		 flags & TCP_FIN ? "FIN " : "", flags & TCP_ACK ? "ACK " : "", flags == 0 ? "none " : "");
	return buf;
}

/* The cells one after another; from zeros, of which the first is meant. False: that was the last. */
static inline bool next_cell(struct cell *c)
{
	if (c->begun) {
		c->len = c->len == 0 ? DATA_LEN : 0;
		if (c->len == 0 && ++c->where == N_WHERES) {
			c->where = LEFT_OF;
			if (++c->kind == ARRAY_LEN(kinds)) {
				c->kind = 0;
				c->place++;
			}
		}
	}
	c->begun = true;
	c->flags = kinds[c->kind];
	return c->place < N_PLACES;
}

/* Its number. seq: what is expected next; window: how far it reaches from there. */
static inline uint32_t cell_seq(const struct cell *c, uint32_t seq, uint32_t window)
{
	switch (c->where) {
	case LEFT_OF:
		return seq - DATA_LEN;
	case LEFT_EDGE:
		return seq;
	case INSIDE:
		return seq + 1000;
	case RIGHT_EDGE:
		return seq + window;
	default:
		return seq + window + 1000;
	}
}

static inline const char *cell_text(const struct cell *c, char buf[160])
{
	char flags[32];

	snprintf(buf, 160, "%s: %s%s, %s", place_names[c->place], flags_text(c->flags, flags),
		 c->len > 0 ? "with data" : "without data", where_names[c->where]);
	return buf;
}

#endif
