/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The TCP tracker, one row a segment. Sequence numbers in the rows are relative:
 * to the client's first (seq of '>' rows, ack of '<' rows) or the server's, so
 * that each table runs with several first numbers, some of which wrap.
 */
#include "gateway/conntrack/tcp_rows.h"

struct story {
	const char *name;
	uint32_t pick_up;
	const struct row *row; /* up to one without a direction */
};

static const uint8_t scale7_sack[] = { 3, 3, 7, 1, 4, 2, 1, 1 };

static const struct row open_and_close[] = {
	OPEN,
	{ 0, '>', A, 1, 1, 1000, 100, VALID, CT_TCP_ESTABLISHED },
	{ 0, '<', A, 1, 101, 2000, 500, VALID, CT_TCP_ESTABLISHED },
	{ 0, '>', F | A, 101, 501, 1000, 0, VALID, CT_TCP_FIN_WAIT },
	{ 0, '<', A, 501, 102, 2000, 0, VALID, CT_TCP_CLOSE_WAIT },
	/* Half closed: the server goes on sending. */
	{ 100, '<', A, 501, 102, 2000, 700, VALID, CT_TCP_CLOSE_WAIT },
	{ 0, '>', A, 102, 1201, 1000, 0, VALID, CT_TCP_CLOSE_WAIT },
	{ 0, '<', F | A, 1201, 102, 2000, 0, VALID, CT_TCP_LAST_ACK },
	{ 0, '>', A, 102, 1202, 1000, 0, VALID, CT_TCP_TIME_WAIT },
	/* The last ACK was lost: the FIN comes again. */
	{ 1, '<', F | A, 1201, 102, 2000, 0, VALID, CT_TCP_TIME_WAIT },
	{ 0, '>', A, 102, 1202, 1000, 0, VALID, CT_TCP_TIME_WAIT },
	{ 239, 0, 0, 0, 0, 0, 0, VALID, CT_TCP_TIME_WAIT },
	{ 3, 0, 0, 0, 0, 0, 0, VALID, -1 },
	{ 0 },
};

static const struct row retransmissions[] = {
	{ 0, '>', S, 0, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 1, '>', S, 0, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 0, '<', S | A, 0, 1, 2000, 0, VALID, CT_TCP_SYN_RECV },
	{ 1, '<', S | A, 0, 1, 2000, 0, VALID, CT_TCP_SYN_RECV },
	{ 0, '>', A, 1, 1, 1000, 0, VALID, CT_TCP_ESTABLISHED },
	/* Late ones. */
	{ 0, '>', S, 0, 0, 1000, 0, VALID, CT_TCP_ESTABLISHED },
	{ 0, '<', S | A, 0, 1, 2000, 0, VALID, CT_TCP_ESTABLISHED },
	{ 0, '>', A, 1, 1, 1000, 1000, VALID, CT_TCP_ESTABLISHED },
	{ 1, '>', A, 1, 1, 1000, 1000, VALID, CT_TCP_ESTABLISHED },
	{ 0, '<', A, 1, 1001, 2000, 0, VALID, CT_TCP_ESTABLISHED },
	/* A keepalive stands one before. */
	{ 0, '>', A, 1000, 1, 1000, 0, VALID, CT_TCP_ESTABLISHED },
	{ 0 },
};

static const struct row simultaneous_open[] = {
	{ 0, '>', S, 0, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 0, '<', S, 0, 0, 2000, 0, VALID, CT_TCP_SYN_SENT2 },
	{ 0, '>', S | A, 0, 1, 1000, 0, VALID, CT_TCP_SYN_RECV },
	{ 0, '<', S | A, 0, 1, 2000, 0, VALID, CT_TCP_ESTABLISHED },
	{ 0, '>', A, 1, 1, 1000, 10, VALID, CT_TCP_ESTABLISHED },
	{ 0, '<', A, 1, 11, 1000, 10, VALID, CT_TCP_ESTABLISHED },
	{ 0 },
};

/* The server's SYN-ACK is lost; it answers the client's second one with an ACK. */
static const struct row simultaneous_open_reply_lost[] = {
	{ 0, '>', S, 0, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 0, '<', S, 0, 0, 2000, 0, VALID, CT_TCP_SYN_SENT2 },
	{ 0, '>', S | A, 0, 1, 1000, 0, VALID, CT_TCP_SYN_RECV },
	{ 1, '>', S | A, 0, 1, 1000, 0, VALID, CT_TCP_SYN_RECV },
	{ 0, '<', A, 1, 1, 2000, 0, VALID, CT_TCP_ESTABLISHED },
	{ 0 },
};

/* The client's is lost. */
static const struct row simultaneous_open_original_lost[] = {
	{ 0, '>', S, 0, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 0, '<', S, 0, 0, 2000, 0, VALID, CT_TCP_SYN_SENT2 },
	{ 0, '<', S | A, 0, 1, 2000, 0, VALID, CT_TCP_SYN_RECV },
	/* An acknowledgement of its own is none. */
	{ 0, '<', A, 1, 1, 2000, 0, VALID, CT_TCP_SYN_RECV },
	{ 0, '>', S | A, 0, 1, 1000, 0, VALID, CT_TCP_ESTABLISHED },
	{ 0 },
};

/* No SYN crossed: a server that acknowledges once more establishes nothing. */
static const struct row server_acknowledges[] = {
	{ 0, '>', S, 0, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 0, '<', S | A, 0, 1, 2000, 0, VALID, CT_TCP_SYN_RECV },
	{ 0, '<', S | A, 0, 1, 2000, 0, VALID, CT_TCP_SYN_RECV },
	{ 0, '<', A, 1, 1, 2000, 0, VALID, CT_TCP_SYN_RECV },
	{ 0, '>', S | A, 0, 1, 1000, 0, VALID, CT_TCP_SYN_RECV },
	{ 0 },
};

static const struct row windows[] = {
	OPEN,
	/* Beyond what the server allows (1 + 2000) by more than another window. */
	{ 0, '>', A, 4001, 1, 1000, 10, INVALID, CT_TCP_ESTABLISHED },
	/* Acknowledges what was never sent. */
	{ 0, '>', A, 1, 5000, 1000, 0, INVALID, CT_TCP_ESTABLISHED },
	/* Long gone: the receiver says what it thinks of it. */
	{ 0, '>', A, -70000, 1, 1000, 10, VALID, CT_TCP_ESTABLISHED },
	{ 0, '<', A, 1, -90000, 1000, 10, VALID, CT_TCP_ESTABLISHED },
	/* So does a FIN that came late, and nothing closes. */
	{ 0, '<', F | A, -70000, 1, 1000, 10, VALID, CT_TCP_ESTABLISHED },
	{ 0, '>', A, 1, 1, 1000, 2000, VALID, CT_TCP_ESTABLISHED },
	/* Out of order is fine. */
	{ 0, '<', A, 501, 2001, 2000, 500, VALID, CT_TCP_ESTABLISHED },
	{ 0, '<', A, 1, 2001, 2000, 500, VALID, CT_TCP_ESTABLISHED },
	{ 0 },
};

/* One that begins inside and ends far beyond: its receiver has more room than it said, also for what comes next. */
static const struct row more_room[] = {
	OPEN,
	{ 0, '>', A, 1, 1, 1000, 5000, VALID, CT_TCP_ESTABLISHED },
	{ 0, '>', A, 5001, 1, 1000, 1999, VALID, CT_TCP_ESTABLISHED },
	{ 0 },
};

static const struct row scaled[] = {
	{ 0, '>', S, 0, 0, 1000, 0, VALID, CT_TCP_SYN_SENT, scale7_sack, 8 },
	{ 0, '<', S | A, 0, 1, 1000, 0, VALID, CT_TCP_SYN_RECV, scale7_sack, 8 },
	/* 100 << 7 = 12,800 bytes each way. */
	{ 0, '>', A, 1, 1, 100, 0, VALID, CT_TCP_ESTABLISHED },
	{ 0, '<', A, 1, 1, 100, 1400, VALID, CT_TCP_ESTABLISHED },
	{ 0, '<', A, 11401, 1, 100, 1400, VALID, CT_TCP_ESTABLISHED },
	{ 0, '<', A, 26000, 1, 100, 1400, INVALID, CT_TCP_ESTABLISHED },
	{ 0 },
};

/* A sender that does not keep to the window: up to another one beyond it passes, and so does what acknowledges it. */
static const struct row ahead[] = {
	OPEN,
	{ 0, '>', A, 2500, 1, 1000, 100, VALID, CT_TCP_ESTABLISHED },
	{ 0, '<', A, 1, 2601, 2000, 0, INVALID, CT_TCP_ESTABLISHED },
	{ 0, '<', A, 1, 2600, 2000, 0, VALID, CT_TCP_ESTABLISHED },
	/* 2000 + 2600: the acknowledgement has moved the edge. */
	{ 0, '>', A, 4601, 1, 1000, 1998, VALID, CT_TCP_ESTABLISHED },
	{ 0, '>', A, 4601, 1, 1000, 1999, INVALID, CT_TCP_ESTABLISHED },
	{ 0 },
};

/* Without the option in both SYNs nothing is scaled. */
static const struct row scaled_by_one[] = {
	{ 0, '>', S, 0, 0, 1000, 0, VALID, CT_TCP_SYN_SENT, scale7_sack, 8 },
	{ 0, '<', S | A, 0, 1, 1000, 0, VALID, CT_TCP_SYN_RECV },
	{ 0, '>', A, 1, 1, 1000, 0, VALID, CT_TCP_ESTABLISHED },
	{ 0, '<', A, 5000, 1, 100, 1400, INVALID, CT_TCP_ESTABLISHED },
	{ 0 },
};

static const struct row resets[] = {
	OPEN,
	{ 0, '>', A, 1, 1, 1000, 100, VALID, CT_TCP_ESTABLISHED },
	{ 0, '<', A, 1, 101, 2000, 0, VALID, CT_TCP_ESTABLISHED },
	/* Off the path: outside; inside but not at the edge, which the client will challenge. */
	{ 0, '<', R, 50000, 0, 0, 0, INVALID, CT_TCP_ESTABLISHED },
	{ 0, '<', R, -5, 0, 0, 0, INVALID, CT_TCP_ESTABLISHED },
	{ 0, '<', R, 500, 0, 0, 0, VALID, CT_TCP_ESTABLISHED },
	{ 7000, 0, 0, 0, 0, 0, 0, VALID, CT_TCP_ESTABLISHED },
	/* The real one. */
	{ 0, '<', R, 1, 0, 0, 0, VALID, CT_TCP_CLOSE },
	/* RFC 7857 section 2.1: data bring it back, and an ACK alone does not. */
	{ 100, '>', A, 101, 1, 1000, 0, VALID, CT_TCP_CLOSE },
	{ 100, '>', A, 101, 1, 1000, 10, VALID, CT_TCP_ESTABLISHED },
	{ 0, '<', R | A, 1, 111, 0, 0, VALID, CT_TCP_CLOSE },
	{ 239, 0, 0, 0, 0, 0, 0, VALID, CT_TCP_CLOSE },
	{ 3, 0, 0, 0, 0, 0, 0, VALID, -1 },
	{ 0 },
};

/* A reset in the train: behind data that the client has not acknowledged. */
static const struct row reset_behind_data[] = {
	OPEN,
	{ 0, '<', A, 1, 1, 2000, 100, VALID, CT_TCP_ESTABLISHED },
	{ 0, '<', R | A, 101, 1, 2000, 0, VALID, CT_TCP_CLOSE },
	{ 0 },
};

static const struct row refused[] = {
	{ 0, '>', S, 0, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 0, '<', R | A, 0, 77, 0, 0, INVALID, CT_TCP_SYN_SENT }, /* acknowledges another SYN */
	{ 0, '<', R, 0, 0, 0, 0, INVALID, CT_TCP_SYN_SENT },
	{ 0, '<', R | A, 0, 1, 0, 0, VALID, CT_TCP_CLOSE },
	/* Once more on the same ports. */
	{ 1, '>', S, 7000, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 0 },
};

static const struct row wrong_synack[] = {
	{ 0, '>', S, 0, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 0, '<', S | A, 90000, 123456, 2000, 0, INVALID, CT_TCP_SYN_SENT },
	{ 0, '<', S | A, 90000, -100000, 2000, 0, VALID, CT_TCP_SYN_SENT },
	/* A guess must not spoil the real one. */
	{ 0, '<', S | A, 0, 1, 2000, 0, VALID, CT_TCP_SYN_RECV },
	{ 0, '>', A, 1, 1, 1000, 0, VALID, CT_TCP_ESTABLISHED },
	{ 0 },
};

/* RFC 5961 section 4: the client forgot, the server did not. */
static const struct row challenge[] = {
	OPEN,
	{ 0, '<', A, 1, 1, 2000, 300, VALID, CT_TCP_ESTABLISHED },
	{ 0, '>', A, 1, 301, 1000, 0, VALID, CT_TCP_ESTABLISHED },
	{ 10, '>', S, 900000, 0, 1000, 0, VALID, CT_TCP_ESTABLISHED },
	{ 0, '<', A, 301, 1, 2000, 0, VALID, CT_TCP_ESTABLISHED },
	{ 0, '>', R, 1, 0, 0, 0, VALID, CT_TCP_CLOSE },
	{ 1, '>', S, 900000, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 0, '<', S | A, 500000, 900001, 2000, 0, VALID, CT_TCP_SYN_RECV },
	{ 0, '>', A, 900001, 500001, 1000, 0, VALID, CT_TCP_ESTABLISHED },
	{ 0 },
};

/* The server forgot: its SYN-ACK answers the SYN that we ignored. */
static const struct row begun_again[] = {
	OPEN,
	{ 10, '>', S, 900000, 0, 1000, 0, VALID, CT_TCP_ESTABLISHED },
	{ 0, '<', S | A, 500000, 900001, 2000, 0, VALID, CT_TCP_SYN_RECV },
	{ 0, '>', A, 900001, 500001, 1000, 10, VALID, CT_TCP_ESTABLISHED },
	{ 0, '<', A, 500001, 900011, 1000, 10, VALID, CT_TCP_ESTABLISHED },
	{ 0 },
};

/* Hosts that begin again before they have heard the other, with other numbers. */
static const struct row numbers_anew[] = {
	{ 0, '>', S, 0, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 1, '>', S, 900000, 0, 1000, 0, VALID, CT_TCP_SYN_SENT },
	{ 0, '<', S | A, 0, 900001, 2000, 0, VALID, CT_TCP_SYN_RECV },
	{ 0, '>', A, 900001, 1, 1000, 10, VALID, CT_TCP_ESTABLISHED },
	{ 0 },
};
static const struct row numbers_anew_crossed[] = {
	{ 0, '>', S, 0, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 0, '<', S, 0, 0, 2000, 0, VALID, CT_TCP_SYN_SENT2 },
	{ 1, '<', S, 500000, 0, 2000, 0, VALID, CT_TCP_SYN_SENT2 },
	{ 0, '>', S | A, 0, 500001, 1000, 0, VALID, CT_TCP_SYN_RECV },
	{ 0, '<', S | A, 500000, 1, 2000, 0, VALID, CT_TCP_ESTABLISHED },
	{ 0 },
};
static const struct row numbers_anew_answered[] = {
	{ 0, '>', S, 0, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 0, '<', S, 0, 0, 2000, 0, VALID, CT_TCP_SYN_SENT2 },
	{ 0, '>', S | A, 0, 1, 1000, 0, VALID, CT_TCP_SYN_RECV },
	{ 1, '<', S | A, 500000, 1, 2000, 0, VALID, CT_TCP_ESTABLISHED },
	{ 0, '>', A, 1, 500001, 1000, 10, VALID, CT_TCP_ESTABLISHED },
	{ 0 },
};

/* Both ends forgot: nobody answers the SYN that was let through but a RST, whose number is 0 and not in any window. One
 * that acknowledges something else is a stranger's. */
static const struct row ignored_syn_refused[] = {
	OPEN,
	{ 10, '>', S, 900000, 0, 1000, 0, VALID, CT_TCP_ESTABLISHED },
	{ 0, '<', R | A, -80000000, 900002, 0, 0, INVALID, CT_TCP_ESTABLISHED },
	{ 0, '<', R | A, -80000000, 900001, 0, 0, VALID, CT_TCP_CLOSE },
	{ 1, '>', S, 950000, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 0 },
};

/* RFC 7413 section 4.1.3: a SYN with data that was not answered comes again without them. */
static const struct row fast_open_repeated[] = {
	{ 0, '>', S, 0, 0, 1000, 100, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 1, '>', S, 0, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 0, '<', S | A, 0, 1, 2000, 0, VALID, CT_TCP_SYN_RECV },
	{ 0, '>', A, 1, 1, 1000, 100, VALID, CT_TCP_ESTABLISHED },
	{ 0 },
};

/* We never saw the old connection: the server's challenge meets our SYN_SENT. */
static const struct row challenge_unseen[] = {
	{ 0, '>', S, 0, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 0, '<', A, 777, 5555555, 2000, 0, VALID, CT_TCP_SYN_SENT },
	{ 0, '>', R, 4444, 0, 0, 0, INVALID, CT_TCP_SYN_SENT },
	{ 0, '>', R, 5555555, 0, 0, 0, VALID, CT_TCP_CLOSE },
	{ 1, '>', S, 0, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 0, '<', S | A, 0, 1, 2000, 0, VALID, CT_TCP_SYN_RECV },
	{ 0 },
};

/* In LAST_ACK the challenge is not the last ACK. */
static const struct row challenge_last_ack[] = {
	OPEN,
	{ 0, '<', F | A, 1, 1, 2000, 0, VALID, CT_TCP_FIN_WAIT },
	{ 0, '>', A, 1, 2, 1000, 0, VALID, CT_TCP_CLOSE_WAIT },
	{ 0, '>', F | A, 1, 2, 1000, 0, VALID, CT_TCP_LAST_ACK },
	{ 0, '>', S, 900000, 0, 1000, 0, VALID, CT_TCP_LAST_ACK },
	{ 0, '<', A, 2, 1, 2000, 0, VALID, CT_TCP_LAST_ACK },
	{ 0, '>', R, 1, 0, 0, 0, VALID, CT_TCP_CLOSE },
	{ 0 },
};

static const struct row time_wait_reuse[] = {
	OPEN,
	{ 0, '>', F | A, 1, 1, 1000, 0, VALID, CT_TCP_FIN_WAIT },
	{ 0, '<', F | A, 1, 2, 2000, 0, VALID, CT_TCP_LAST_ACK },
	{ 0, '>', A, 2, 2, 1000, 0, VALID, CT_TCP_TIME_WAIT },
	{ 1, '>', S, 100000, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 0, '<', S | A, 300000, 100001, 2000, 0, VALID, CT_TCP_SYN_RECV },
	{ 0, '>', A, 100001, 300001, 1000, 0, VALID, CT_TCP_ESTABLISHED },
	{ 0 },
};

/* The server opens it once more, with numbers of its own. */
static const struct row time_wait_backwards[] = {
	OPEN,
	{ 0, '>', F | A, 1, 1, 1000, 0, VALID, CT_TCP_FIN_WAIT },
	{ 0, '<', F | A, 1, 2, 2000, 0, VALID, CT_TCP_LAST_ACK },
	{ 0, '>', A, 2, 2, 1000, 0, VALID, CT_TCP_TIME_WAIT },
	{ 1, '<', S, 900000000, 0, 1000, 0, VALID, CT_TCP_SYN_SENT2 },
	{ 0, '>', S | A, 700000000, 900000001, 2000, 0, VALID, CT_TCP_SYN_RECV },
	{ 0, '<', A, 900000001, 700000001, 1000, 0, VALID, CT_TCP_ESTABLISHED },
	{ 0, '>', A, 700000001, 900000001, 1000, 10, VALID, CT_TCP_ESTABLISHED },
	{ 0 },
};

static const struct row strays[] = {
	{ 0, '>', A, 1, 1, 1000, 10, INVALID, -1 },    { 0, '>', F | A, 1, 1, 1000, 0, INVALID, -1 },
	{ 0, '>', R, 1, 1, 1000, 0, INVALID, -1 },     { 0, '>', S | A, 1, 1, 1000, 0, INVALID, -1 },
	{ 0, '>', S | F, 1, 1, 1000, 0, INVALID, -1 }, { 0, '>', 0, 1, 1, 1000, 0, INVALID, -1 },
	{ 0, '>', S | R, 1, 1, 1000, 0, INVALID, -1 }, { 0 },
};

static const struct row picked_up[] = {
	{ 0, '>', A, 5000, 9000, 100, 10, CT_INFO_NEW, CT_TCP_ESTABLISHED },
	{ 0, '<', A, 9000, 5010, 100, 10, VALID, CT_TCP_ESTABLISHED },
	/* The scale is not known: nothing is refused. */
	{ 0, '<', A, 60000, 5010, 100, 1000, VALID, CT_TCP_ESTABLISHED },
	{ 0, '>', F | A, 5010, 61000, 100, 0, VALID, CT_TCP_FIN_WAIT },
	{ 0 },
};

/* What the server has not acknowledged yet was sent all the same. */
static const struct row picked_up_reset[] = {
	{ 0, '>', A, 5000, 9000, 100, 10, CT_INFO_NEW, CT_TCP_ESTABLISHED },
	{ 0, '<', A, 9000, 5000, 100, 10, VALID, CT_TCP_ESTABLISHED },
	{ 0, '>', R, 5010, 0, 0, 0, VALID, CT_TCP_CLOSE },
	{ 0 },
};

/* Nothing was seen of the server, so there is nothing to hold its reset to. */
static const struct row picked_up_refused[] = {
	{ 0, '>', A, 5000, 9000, 100, 10, CT_INFO_NEW, CT_TCP_ESTABLISHED },
	{ 0, '<', R, 9000, 0, 0, 0, VALID, CT_TCP_CLOSE },
	{ 0 },
};

/* A client that gives up has not been answered. */
static const struct row given_up[] = {
	{ 0, '>', S, 0, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 1, '>', R, 1, 0, 0, 0, CT_INFO_NEW, CT_TCP_CLOSE },
	{ 0, '>', R, 1, 0, 0, 0, CT_INFO_NEW, CT_TCP_CLOSE },
	{ 0 },
};

/* RFC 7413 section 3: all of the answer, and its end, may come before the client has acknowledged anything. */
static const struct row fast_open_answered[] = {
	{ 0, '>', S, 0, 0, 1000, 100, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 0, '<', S | A, 0, 101, 2000, 0, VALID, CT_TCP_SYN_RECV },
	{ 0, '<', A, 1, 101, 2000, 900, VALID, CT_TCP_SYN_RECV },
	{ 0, '<', F | A, 901, 101, 2000, 100, VALID, CT_TCP_FIN_WAIT },
	{ 0 },
};

/* What no TCP sends in these states changes nothing and is nobody's. */
static const struct row holes[] = {
	{ 0, '>', S, 0, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT },
	{ 0, '>', A, 1, 1, 1000, 0, INVALID, CT_TCP_SYN_SENT },
	{ 0, '>', F | A, 1, 1, 1000, 0, INVALID, CT_TCP_SYN_SENT },
	{ 0, '<', F | A, 0, 1, 2000, 0, INVALID, CT_TCP_SYN_SENT },
	{ 0, '<', S | A, 0, 1, 2000, 0, CT_INFO_ESTABLISHED, CT_TCP_SYN_RECV },
	{ 0, '>', A, 1, 1, 1000, 0, CT_INFO_ESTABLISHED, CT_TCP_ESTABLISHED },
	{ 0, '>', S | A, 0, 1, 1000, 0, INVALID, CT_TCP_ESTABLISHED },
	{ 0 },
};

/* Data without an answer end sooner than 7,440 s when the config says so; with one they do not. */
static const struct row unacknowledged[] = {
	OPEN,
	{ 0, '>', A, 1, 1, 1000, 10, VALID, CT_TCP_ESTABLISHED },
	{ 299, 0, 0, 0, 0, 0, 0, VALID, CT_TCP_ESTABLISHED },
	{ 3, 0, 0, 0, 0, 0, 0, VALID, -1 },
	{ 0 },
};
static const struct row idle[] = {
	OPEN,
	{ 7439, 0, 0, 0, 0, 0, 0, VALID, CT_TCP_ESTABLISHED },
	{ 3, 0, 0, 0, 0, 0, 0, VALID, -1 },
	{ 0 },
};

/* A SACK block acknowledges beyond a hole, not beyond what was sent. */
static const struct row sack[] = {
	{ 0, '>', S, 0, 0, 10000, 0, VALID, CT_TCP_SYN_SENT, scale7_sack, 8 },
	{ 0, '<', S | A, 0, 1, 10000, 0, VALID, CT_TCP_SYN_RECV, scale7_sack, 8 },
	{ 0, '>', A, 1, 1, 1000, 0, VALID, CT_TCP_ESTABLISHED },
	{ 0, '<', A, 1, 1, 1000, 1000, VALID, CT_TCP_ESTABLISHED },
	{ 0, '>', A, 1, 1, 1000, 0, INVALID, CT_TCP_ESTABLISHED, sack_2000_3000, 12 },
	{ 0, '<', A, 2000, 1, 1000, 1000, VALID, CT_TCP_ESTABLISHED },
	{ 0, '>', A, 1, 1, 1000, 0, VALID, CT_TCP_ESTABLISHED, sack_2000_3000, 12 },
	{ 0 },
};

static const struct story stories[] = {
	{ "open and close", 0, open_and_close },
	{ "retransmissions", 0, retransmissions },
	{ "simultaneous open", 0, simultaneous_open },
	{ "simultaneous open, the server's SYN-ACK lost", 0, simultaneous_open_reply_lost },
	{ "simultaneous open, the client's SYN-ACK lost", 0, simultaneous_open_original_lost },
	{ "a server that acknowledges", 0, server_acknowledges },
	{ "windows", 0, windows },
	{ "ahead of the window", 0, ahead },
	{ "more room", 0, more_room },
	{ "scaled", 0, scaled },
	{ "scaled by one side", 0, scaled_by_one },
	{ "resets", 0, resets },
	{ "reset behind data", 0, reset_behind_data },
	{ "refused", 0, refused },
	{ "ignored SYN refused", 0, ignored_syn_refused },
	{ "fast open repeated", 0, fast_open_repeated },
	{ "fast open answered", 0, fast_open_answered },
	{ "given up", 0, given_up },
	{ "wrong SYN-ACK", 0, wrong_synack },
	{ "challenge", 0, challenge },
	{ "begun again", 0, begun_again },
	{ "other numbers", 0, numbers_anew },
	{ "other numbers, simultaneous open", 0, numbers_anew_crossed },
	{ "other numbers, simultaneous open, one answered", 0, numbers_anew_answered },
	{ "challenge of an unseen connection", 0, challenge_unseen },
	{ "challenge in LAST_ACK", 0, challenge_last_ack },
	{ "TIME_WAIT reuse", 0, time_wait_reuse },
	{ "strays", 0, strays },
	{ "picked up", 1, picked_up },
	{ "picked up and reset", 1, picked_up_reset },
	{ "picked up and refused", 1, picked_up_refused },
	{ "holes", 0, holes },
	{ "unacknowledged", 0, unacknowledged },
	{ "time-wait backwards", 0, time_wait_backwards },
	{ "idle", 0, idle },
	{ "sack", 0, sack },
};

static bool is_end(const struct row *r)
{
	return r->dir == 0 && r->after_s == 0;
}

/* reborn: behind each row all connections are begun again from their records. */
static void run_story(const struct story *s, uint32_t client0, uint32_t server0, bool reborn)
{
	struct ct_fixture b;
	struct ct_config cfg = { .pick_up = s->pick_up, .timeout = { .tcp_unacknowledged = 300 } };
	uint8_t options[40];

	fixture_start(&b, &(struct ct_limits){ .n_connections = 16 });
	conntrack_configure(b.ct, &cfg);
	for (const struct row *r = s->row; !is_end(r); r++) {
		fixture_pass(&b, r->after_s * NS_PER_S);
		if (r->dir != 0) {
			struct packet_spec m = segment(r, client0, server0, options);
			struct seen seen = fixture_forward(&b, &m);
			if (!seen.passed || (r->info != VALID && seen.info != r->info) ||
			    (r->info == VALID && seen.info == INVALID))
				fail_msg("%s, row %d: passed %d, info %d", s->name, (int)(r - s->row), seen.passed,
					 seen.info);
		}
		if (state_now(&b) != r->state)
			fail_msg("%s, row %d: state %d, not %d", s->name, (int)(r - s->row), state_now(&b), r->state);
		if (reborn)
			fixture_reborn(&b);
	}
	fixture_stop(&b);
}

/* Would catch: a wrong transition, a window off by one, arithmetic that does not wrap. */
static void test_stories(void **state)
{
	static const uint32_t first[][2] = { { 1000, 5000 }, { 0xfffffff0, 0xffffffff }, { 0x7fffff00, 0x80000000 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(stories); i++)
		for (size_t k = 0; k < ARRAY_LEN(first); k++)
			run_story(&stories[i], first[k][0], first[k][1], false);
}

/* Would catch: a record (record.h) without something that the next segment is judged by. */
static void test_stories_from_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(stories); i++)
		run_story(&stories[i], 1000, 5000, true);
}

/* Would catch: a connection that was reset, closed or never answered, of whose end something else is told. */
static void test_end_reasons(void **state)
{
	static const struct row reset[] = { OPEN, { 0, '<', R | A, 1, 1, 0, 0, VALID, CT_TCP_CLOSE } };
	static const struct row closed[] = { OPEN,
					     { 0, '>', F | A, 1, 1, 1000, 0, VALID, CT_TCP_FIN_WAIT },
					     { 0, '<', F | A, 1, 2, 2000, 0, VALID, CT_TCP_LAST_ACK },
					     { 0, '>', A, 2, 2, 1000, 0, VALID, CT_TCP_TIME_WAIT } };
	static const struct row silent[] = { OPEN };
	static const struct {
		const struct row *row;
		size_t n;
		enum ct_end_reason reason;
	} ends[] = { { reset, ARRAY_LEN(reset), CT_END_RESET },
		     { closed, ARRAY_LEN(closed), CT_END_CLOSED },
		     { silent, ARRAY_LEN(silent), CT_END_TIMEOUT } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct ct_config cfg = { .timeout = { .tcp_established = 600 } };
		struct ct_fixture b;
		uint8_t options[40];

		fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
		conntrack_configure(b.ct, &cfg);
		for (size_t k = 0; k < ends[i].n; k++) {
			struct packet_spec m = segment(&ends[i].row[k], 1000, 5000, options);

			assert_true(fixture_forward(&b, &m).passed);
			assert_int_equal(state_now(&b), ends[i].row[k].state);
			assert_false(conntrack_tcp_liberal(ct_conn(b.ct, conn_index(ref_now(&b)))));
		}
		fixture_pass(&b, 700 * NS_PER_S);
		assert_int_equal(b.n_events[EVENT_CONN_END], 1);
		assert_int_equal(b.last.reason, ends[i].reason);
		fixture_stop(&b);
	}
}

/* Would catch: a timeout that is not its state's to the second, from the first segment on. */
static void test_times(void **state)
{
	static const struct row rows[] = { OPEN };
	static const uint32_t want[] = { 240, 240, 7440 };
	struct ct_fixture b;
	uint8_t options[40];

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct packet_spec m = segment(&rows[i], 1000, 5000, options);

		assert_true(fixture_forward(&b, &m).passed);
		assert_int_equal(conn_expires_tick(ct_conn(b.ct, conn_index(ref_now(&b)))),
				 ct_expires_in(b.ct, want[i]));
	}
	fixture_stop(&b);
}

/* Would catch: a connection that makes room for others although both ends have spoken, one that does not although only
 * one has; one seen from the middle on that others judge by its windows. */
static void test_assured(void **state)
{
	static const struct {
		struct row row;
		bool is_assured;
	} rows[] = { { { 0, '>', A, 5000, 9000, 100, 10, CT_INFO_NEW, CT_TCP_ESTABLISHED }, false },
		     { { 0, '>', A, 5010, 9000, 100, 10, CT_INFO_NEW, CT_TCP_ESTABLISHED }, false },
		     { { 0, '<', A, 9000, 5020, 100, 0, VALID, CT_TCP_ESTABLISHED }, true } };
	struct ct_config cfg = { .pick_up = 1 };
	struct ct_fixture b;
	uint8_t options[40];

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	conntrack_configure(b.ct, &cfg);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct packet_spec m = segment(&rows[i].row, 1000, 5000, options);

		assert_true(fixture_forward(&b, &m).passed);
		const struct conn *c = ct_conn(b.ct, conn_index(ref_now(&b)));
		assert_int_equal((c->status & CT_ASSURED) != 0, rows[i].is_assured);
		/* Whoever forwards it elsewhere is told that nothing of it is to be refused. */
		assert_true(conntrack_tcp_liberal(c));
	}
	fixture_stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stories),     cmocka_unit_test(test_stories_from_records),
		cmocka_unit_test(test_end_reasons), cmocka_unit_test(test_assured),
		cmocka_unit_test(test_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
