/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Why a socket is as it is: not open, not sending, not receiving, at its end. From what a
 * listing has of it (socket_list.h) and what is known of the way to the other end.
 */
#ifndef YG_STACK_SOCKET_SOCKET_WHY_H
#define YG_STACK_SOCKET_SOCKET_WHY_H

#include "stack/ip/fib.h"
#include "stack/socket/socket_list.h"

/* A row: X(ENUM, "name-for-people", "what is so", "what to do about it"). */
/* clang-format off */
#define SOCKET_WHYS(X) \
	/* its end */ \
	X(ENDED, "ended", "the connection has ended", "") \
	X(ERROR, "error", "the next call on the socket gets this error", "") \
	X(ICMP, "icmp-error", "an ICMP error came about what it sent", "the router or host that says so, and its rules") \
	/* the way there */ \
	X(NO_ROUTE, "no-route", "no route leads to the other end", "see: yangguan route") \
	X(ROUTE_REFUSES, "route-refuses", "the route to the other end says blackhole, unreachable or prohibit", "see: yangguan route") \
	X(NEIGHBOUR, "neighbour-unresolved", "the next hop on the way there does not answer ARP", "is it up and on this link? See: yangguan neigh") \
	X(DROPPED_OUT, "dropped-on-output", "connection tracking knows nothing of what it sends: a rule of OUTPUT or POSTROUTING drops it", "see: yangguan rules, yangguan drops") \
	X(UNTRACKED, "untracked", "a rule says notrack: connection tracking knows nothing of what it sends, and so not whether anything comes back", "a rule that asks for ct state does not let the answer in; see: yangguan rules") \
	X(DROPPED_IN, "dropped-on-input", "the other end has answered, and that did not come to the socket: a rule of INPUT drops it, or TCP by a name of its own", "see: yangguan rules, yangguan drops") \
	X(RULE_IN, "dropped-by-input-rule", "a rule dropped what came to it", "see: yangguan rules") \
	X(NO_ANSWER, "no-answer", "what it sends leaves here, and nothing comes back", "is the other end up, does a firewall before it drop, does it know the way back?") \
	/* being opened */ \
	X(SYN_SENT, "syn-unanswered", "its SYN was not answered yet", "") \
	X(SYN_RECEIVED, "syn-ack-unanswered", "our SYN+ACK was not answered yet: the other end does not hear us, or its address is forged", "do the other end's packets and ours go the same way?") \
	X(DEFERRED, "data-awaited", "the handshake is done, and its program wants data first (TCP_DEFER_ACCEPT)", "") \
	/* a listener */ \
	X(LISTENS, "listens", "it listens, and has room for more", "") \
	X(ACCEPT_FULL, "accept-queue-full", "as many connections wait to be accepted as it allows: more are not taken", "its program accepts too slowly, or its backlog is too small") \
	X(SYN_FULL, "syn-queue-full", "its SYN queue is full: SYNs are answered by cookies, or dropped", "a SYN flood, or a burst: raise its backlog") \
	/* sending */ \
	X(RETRANSMITTING, "retransmitting", "what it sent was not acknowledged in time, and is sent again", "loss or an outage on the way, or an end that is gone") \
	X(MTU_SUSPECTED, "path-mtu-suspected", "a segment of full size is lost again and again, and no ICMP error says that it is too large: perhaps the path takes smaller ones only", "smaller ones are tried by and by (mtu probing); does a firewall on the way drop ICMP type 3 code 4?") \
	X(MTU_BLACK_HOLE, "path-mtu-black-hole", "the path swallows large segments and no ICMP error says so: smaller ones are sent", "a firewall on the way drops ICMP type 3 code 4; or lower the MSS: tcp option maxseg size set") \
	X(LOST, "recovering", "what was lost on the way is sent again before anything new", "loss on the way: see lost and retrans of yangguan ss -i") \
	X(WINDOW_ZERO, "window-zero", "the other end's window is closed: it is probed until it opens", "the program at the other end does not read") \
	X(WINDOW, "window-limited", "the other end's window takes no more now", "the other end reads slowly, or its receive buffer is too small for this path") \
	X(CWND, "cwnd-limited", "the congestion window is in use: more leaves when something is acknowledged", "normal in bulk; after loss see cwnd and ssthresh of yangguan ss -i") \
	X(PACING, "pacing", "its rate lets it send no more now", "SO_MAX_PACING_RATE, or the congestion control's rate") \
	X(NAGLE, "nagle", "a small segment waits until the one before is acknowledged", "TCP_NODELAY") \
	X(CORKED, "corked", "its program has said that more comes (TCP_CORK, MSG_MORE)", "") \
	X(MEMORY, "memory", "it is about to leave, or there was no packet buffer", "see no-buffer in: yangguan drops") \
	X(SNDBUF_FULL, "send-buffer-full", "its send buffer is full, and its program waits for room", "see what else keeps it from sending") \
	X(NOTHING_TO_SEND, "nothing-to-send", "all that its program has written was sent and acknowledged", "") \
	X(AWAITS_ACK, "awaits-ack", "all that its program has written was sent, and is on its way", "") \
	X(KEEPALIVE, "keepalive-unanswered", "the other end does not answer keepalive probes", "it is gone, or the way there is") \
	/* receiving */ \
	X(UNREAD_FULL, "receive-buffer-full", "its own window is closed: its program does not read what came", "the program here") \
	X(QUEUE_FULL, "receive-queue-full", "packets were dropped, because its program did not read the ones before", "the program here, or a larger SO_RCVBUF") \
	X(NOT_CONNECTED, "not-connected", "it is neither connected nor listening", "") \
	/* closing */ \
	X(CLOSE_WAIT, "not-closed-here", "the other end has closed, and the program here has not", "the program here") \
	X(FIN_WAIT_2, "not-closed-there", "the program here has closed, and the other end has not", "the program at the other end") \
	X(FIN_UNACKED, "fin-unacknowledged", "it is closed here, and the other end has not acknowledged all of it", "") \
	X(TIME_WAIT, "time-wait", "it has ended in order, and its number waits for late segments (RFC 9293 section 3.6.1)", "") \
	/* no socket */ \
	X(NO_SOCKET, "no-socket", "no socket of the gateway's host has these ends", "who listens: yangguan ss -ln") \
	X(NO_LISTENER, "no-listener", "nobody listens there: what comes is answered by a reset, or port unreachable", "who listens: yangguan ss -ln") \
	X(FORWARDED, "forwarded", "connection tracking has it: it is no socket's of the host, it goes through the gateway or is translated", "see: yangguan conntrack") \
	X(NOT_OURS, "not-ours", "neither end is an address of the gateway's", "what goes through it: yangguan conntrack, yangguan drops")
/* clang-format on */

enum socket_why {
#define X(id, name, text, hint) SOCKET_WHY_##id,
	SOCKET_WHYS(X)
#undef X
		N_SOCKET_WHYS
};

struct socket_why_info {
	const char *name, *text, *hint; /* hint: "" where there is nothing to do */
};
extern const struct socket_why_info socket_why_info[N_SOCKET_WHYS];

/* What connection tracking has of it. */
enum socket_tracked { SOCKET_TRACKED_UNKNOWN, SOCKET_TRACKED_NOT, SOCKET_TRACKED_UNREPLIED, SOCKET_TRACKED_REPLIED };

#define SOCKET_RULE_TEXT_MAX 72u
/* What a rule of the gateway's own last did to a packet of these ends. */
struct socket_ruled {
	bool is_there;
	bool is_untracked; /* notrack; else it was dropped */
	uint64_t ago;      /* ns */
	struct tcp_end remote;
	char rule[SOCKET_RULE_TEXT_MAX];
};

/* The way to the other end. */
struct socket_way {
	enum fib_kind route;
	bool is_unresolved; /* the next hop was asked for, and has not answered */
	enum socket_tracked tracked;
	struct socket_ruled in, out;
	uint64_t n_overflowed, n_syns_dropped; /* since the start, of all listeners: accept and SYN queues full */
};

#define SOCKET_ANSWERS_MAX 8u
#define SOCKET_ANSWER_DETAIL_MAX 192u
struct socket_answer {
	enum socket_why why;
	char detail[SOCKET_ANSWER_DETAIL_MAX]; /* numbers, "": none */
};

/* How many, what concerns most first; at least one. */
uint32_t socket_why(const struct socket_entry *e, const struct socket_way *way,
		    struct socket_answer out[SOCKET_ANSWERS_MAX]);

/* Two ends of which no socket is, or one. */
struct socket_ends {
	bool is_ours;                  /* the local one is an address of ours */
	bool tcp_listens, udp_listens; /* somebody takes what comes to its port, by protocol */
	bool has_port;                 /* it has one */
};
uint32_t socket_why_none(const struct socket_ends *ends, const struct socket_way *way,
			 struct socket_answer out[SOCKET_ANSWERS_MAX]);

#endif
