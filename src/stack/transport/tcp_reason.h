/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The lists of why a connection ended or a reset was sent, and of what came of resets that
 * arrived. From them come the enums, the counters (tcp.h), the names that operators see,
 * what each means, and docs/ss.md.
 *
 * A row: X(ENUM, "name-for-people", SIDE, "what happened"): which end brought it about. One whose text begins
 * with "reset:" is a reason for which resets are sent; of all others none is.
 */
#ifndef YG_STACK_TRANSPORT_TCP_REASON_H
#define YG_STACK_TRANSPORT_TCP_REASON_H

/* clang-format off */
#define TCP_REASONS(X) \
	X(NONE, "none", NONE, "it has not ended") \
	X(CLOSED, "closed", NONE, "both ends have closed; the one that closed first is named (RFC 9293 section 3.6)") \
	X(NO_LISTENER, "no-listener", LOCAL, "reset: a segment to a port at which nobody listens and no connection stands (section 3.10.7.1)") \
	X(NOT_A_SYN, "not-a-syn", LOCAL, "reset: an acknowledgement to a listener that is of no connection and no cookie (section 3.10.7.2)") \
	X(BAD_ACK, "bad-ack", LOCAL, "reset: an acknowledgement of what was never sent, before the connection stood (sections 3.10.7.3, 3.10.7.4)") \
	X(ABORTED, "aborted", LOCAL, "reset: its user ended it: SO_LINGER of 0 seconds, TCP_LINGER2 below 0, disconnected, or destroyed (section 3.10.5)") \
	X(UNREAD, "unread-data", LOCAL, "reset: closed with data that nobody had read (RFC 1122 section 4.2.2.13)") \
	X(DATA_AFTER_CLOSE, "data-after-close", LOCAL, "reset: data came that nobody can read any more (RFC 1122 section 4.2.2.13)") \
	X(BACKLOG, "backlog", LOCAL, "reset: its listener was closed before anybody had accepted it") \
	X(MEMORY, "memory", LOCAL, "reset: no memory was left to close it in order") \
	X(KEEPALIVE, "keepalive", NETWORK, "reset: the other end did not answer keepalive probes (RFC 1122 section 4.2.3.6)") \
	X(TIMED_OUT, "timed-out", NETWORK, "the other end did not answer: retransmissions, window probes or the user timeout ran out (section 3.8.3)") \
	X(RESET, "reset", REMOTE, "the other end reset it (section 3.10.7.4)") \
	X(REFUSED, "refused", REMOTE, "the other end answered our SYN by a reset (section 3.10.7.3)") \
	X(ICMP, "icmp", NETWORK, "an ICMP error said that it cannot be opened (RFC 1122 section 4.2.3.9)")

/* A row: X(ENUM, "name-for-people", "what came of it"). */
#define TCP_RESETS_IN(X) \
	X(TAKEN, "taken", "it ended its connection: its number was the one expected (RFC 5961 section 3)") \
	X(REFUSED, "refused", "it was the answer to our SYN") \
	X(HALF_OPEN, "half-open", "it ended an entry of the SYN queue") \
	X(CHALLENGED, "challenged", "in the window, but its number was not the one expected: asked again (RFC 5961 section 3)") \
	X(OUT_OF_WINDOW, "out-of-window", "ignored: its number was out of the window") \
	X(BAD_ACK, "bad-ack", "ignored: before the connection stood, and it did not acknowledge our SYN (RFC 9293 section 3.10.7.3)") \
	X(TIME_WAIT, "time-wait", "ignored: a TIME_WAIT record stays (RFC 1337)") \
	X(LISTENER, "listener", "ignored: of no connection, to a listener") \
	X(NOBODY, "nobody", "ignored: of no connection")
/* clang-format on */

enum tcp_reason {
#define X(id, name, side, text) TCP_REASON_##id,
	TCP_REASONS(X)
#undef X
		N_TCP_REASONS
};

enum tcp_reset_in {
#define X(id, name, text) TCP_RESET_IN_##id,
	TCP_RESETS_IN(X)
#undef X
		N_TCP_RESETS_IN
};

/* Which end. */
enum tcp_side {
	TCP_SIDE_NONE,
	TCP_SIDE_LOCAL,
	TCP_SIDE_REMOTE,
	TCP_SIDE_BOTH,    /* at once */
	TCP_SIDE_NETWORK, /* what is between them, or an end that is silent */
	N_TCP_SIDES
};

struct tcp_reason_info {
	const char *name;
	enum tcp_side side;
	const char *text;
};
extern const struct tcp_reason_info tcp_reason_info[N_TCP_REASONS];

struct tcp_reset_in_info {
	const char *name;
	const char *text;
};
extern const struct tcp_reset_in_info tcp_reset_in_info[N_TCP_RESETS_IN];

extern const char *const tcp_side_names[N_TCP_SIDES];

#endif
