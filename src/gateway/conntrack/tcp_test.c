/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The TCP tracker, one row a segment. Sequence numbers in the rows are relative:
 * to the client's first (seq of '>' rows, ack of '<' rows) or the server's, so
 * that each table runs with several first numbers, some of which wrap.
 */
#include "gateway/conntrack/ct_fixture.h"
#include "gateway/conntrack/flow.h"
#include "gateway/conntrack/tcp_priv.h"

#define S TCP_SYN
#define A TCP_ACK
#define F TCP_FIN
#define R TCP_RST

enum { VALID = CT_INFO_NONE, INVALID = CT_INFO_INVALID };

struct row {
	uint32_t after_s; /* since the row before */
	char dir;         /* '>' from the client, '<' from the server */
	uint8_t flags;
	int64_t seq, ack;
	uint16_t win, len;
	int info;  /* VALID: any but INVALID */
	int state; /* behind it; -1: there is no connection */
	const uint8_t *options;
	uint8_t n_options;
};

struct story {
	const char *name;
	uint32_t pick_up;
	const struct row *row; /* up to one without a direction */
};

static const uint8_t scale7_sack[] = { 3, 3, 7, 1, 4, 2, 1, 1 };
static const uint8_t sack_2000_3000[] = { 1, 1, 5, 10, 0, 0, 0, 0, 0, 0, 0, 0 };

#define OPEN \
	{ 0, '>', S, 0, 0, 1000, 0, CT_INFO_NEW, CT_TCP_SYN_SENT }, \
		{ 0, '<', S | A, 0, 1, 2000, 0, CT_INFO_ESTABLISHED, CT_TCP_SYN_RECV }, \
	{ \
		0, '>', A, 1, 1, 1000, 0, CT_INFO_ESTABLISHED, CT_TCP_ESTABLISHED \
	}

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
	{ "scaled", 0, scaled },
	{ "scaled by one side", 0, scaled_by_one },
	{ "resets", 0, resets },
	{ "reset behind data", 0, reset_behind_data },
	{ "refused", 0, refused },
	{ "ignored SYN refused", 0, ignored_syn_refused },
	{ "fast open repeated", 0, fast_open_repeated },
	{ "wrong SYN-ACK", 0, wrong_synack },
	{ "challenge", 0, challenge },
	{ "begun again", 0, begun_again },
	{ "challenge of an unseen connection", 0, challenge_unseen },
	{ "challenge in LAST_ACK", 0, challenge_last_ack },
	{ "TIME_WAIT reuse", 0, time_wait_reuse },
	{ "strays", 0, strays },
	{ "picked up", 1, picked_up },
	{ "picked up and reset", 1, picked_up_reset },
	{ "holes", 0, holes },
	{ "unacknowledged", 0, unacknowledged },
	{ "idle", 0, idle },
	{ "sack", 0, sack },
};

static int state_now(const struct ct_fixture *b)
{
	struct tuple t = { .src = CLIENT, .dst = SERVER, .sport = 40000, .dport = 80, .proto = IPPROTO_NR_TCP };
	uint32_t ref = conntrack_find(b->ct, &t);

	return ref == CONN_NONE ? -1 : ct_conn(b->ct, conn_index(ref))->tcp_state;
}

static struct packet_spec segment(const struct row *r, uint32_t client0, uint32_t server0, uint8_t *options)
{
	struct packet_spec m = { .in = LAN,
				 .out = WAN,
				 .src = CLIENT,
				 .dst = SERVER,
				 .proto = IPPROTO_NR_TCP,
				 .sport = 40000,
				 .dport = 80,
				 .seq = (uint32_t)r->seq + client0,
				 .ack = r->flags & A ? (uint32_t)r->ack + server0 : 0,
				 .window = r->win,
				 .flags = r->flags,
				 .payload_len = r->len,
				 .tcp_options = options,
				 .tcp_options_len = r->n_options };

	if (r->n_options != 0)
		memcpy(options, r->options, r->n_options);
	if (r->options == sack_2000_3000) {
		for (int i = 0; i < 4; i++) {
			options[4 + i] = (uint8_t)((server0 + 2000) >> (24 - 8 * i));
			options[8 + i] = (uint8_t)((server0 + 3000) >> (24 - 8 * i));
		}
	}
	if (r->dir == '<') {
		m = turned(m);
		m.seq = (uint32_t)r->seq + server0;
		m.ack = r->flags & A ? (uint32_t)r->ack + client0 : 0;
	}
	return m;
}

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

/* Would catch: a state or class added without its cells, a value that is none, a cell through which a stray segment
 * makes or kills a connection. */
static void test_table(void **state)
{
	(void)state;
	for (int d = 0; d < N_CT_DIRS; d++)
		for (int c = 0; c < N_TCP_CLASSES; c++)
			for (int s = 0; s < N_CT_TCP_STATES; s++) {
				uint8_t next = ct_tcp_next[d][c][s];
				assert_true(next < N_CT_TCP_STATES || next == TCP_TRACK_IGNORE ||
					    next == TCP_TRACK_REOPEN);
				/* Only a RST leads to CLOSE from elsewhere, and a RST to nothing else. */
				if (s != CT_TCP_CLOSE)
					assert_int_equal(next == CT_TCP_CLOSE, c == TCP_CLASS_RST && s != CT_TCP_NONE);
			}
	/* Nothing begins from the answering side. */
	for (int c = 0; c < N_TCP_CLASSES; c++)
		assert_int_equal(ct_tcp_next[CT_REPLY][c][CT_TCP_NONE], TCP_TRACK_INVALID);
	/* A SYN on a live connection is never invalid and never changes its state. */
	for (int d = 0; d < N_CT_DIRS; d++)
		for (int s = CT_TCP_SYN_RECV; s <= CT_TCP_LAST_ACK; s++)
			assert_int_equal(ct_tcp_next[d][TCP_CLASS_SYN][s], TCP_TRACK_IGNORE);
	/* Each state but NONE can be reached. */
	for (int want = 1; want < N_CT_TCP_STATES; want++) {
		bool reached = false;
		for (int d = 0; d < N_CT_DIRS; d++)
			for (int c = 0; c < N_TCP_CLASSES; c++)
				for (int s = 0; s < N_CT_TCP_STATES; s++)
					reached |= s != want && ct_tcp_next[d][c][s] == want;
		assert_true(reached);
	}
}

/* Would catch: an ICMP error accepted for a sequence number that is not on its way. */
static void test_quote(void **state)
{
	struct ct_fixture b;
	uint8_t options[40];

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 16 });
	for (int i = 0; i < 3; i++) {
		struct packet_spec m = segment(&open_and_close[i], 1000, 5000, options);
		assert_true(fixture_forward(&b, &m).passed);
	}
	static const struct {
		uint32_t seq;
		bool fits;
	} rows[] = { { 1001, true }, { 1500, true }, { 2001, true },  { 2002, false },
		     { 1000, true }, { 999, false }, { 70000, false } };
	struct row data = { 0, '>', A, 1, 1, 1000, 1000, VALID, CT_TCP_ESTABLISHED, NULL, 0 };
	struct packet_spec m = segment(&data, 1000, 5000, options);
	assert_true(fixture_forward(&b, &m).passed);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct packet_spec q = m;
		struct batch batch = { .n = 0 };
		q.seq = rows[i].seq;
		struct packet *quoted = fixture_packet(&b, &q);
		batch_add(&batch, fixture_error(&b, WAN, LAN, IP4(192, 0, 2, 9), CLIENT, 3, 1, quoted, 8));
		fixture_in(&b, HOOK_PREROUTING, &batch);
		fixture_out(&b, HOOK_POSTROUTING, &batch);
		assert_int_equal(batch.n, 1);
		assert_int_equal(batch.p[0]->ct_info, rows[i].fits ? CT_INFO_RELATED : CT_INFO_INVALID);
		fixture_hand(&b, batch.p[0]);
		fixture_hand(&b, quoted);
	}
	assert_int_equal(conntrack_counts(b.ct)[CT_COUNT_ICMP_OUT_OF_WINDOW], 3);
	fixture_stop(&b);
}

/* Would catch: an error about a connection that was picked up, whose window nobody knows, that is refused. */
static void test_quote_of_picked_up(void **state)
{
	struct ct_config cfg = { .pick_up = 1 };
	struct ct_fixture b;
	struct batch batch = { .n = 0 };
	uint8_t options[40];

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 16 });
	conntrack_configure(b.ct, &cfg);
	struct packet_spec m = segment(&picked_up[0], 1000, 5000, options);
	assert_true(fixture_forward(&b, &m).passed);
	m.seq += 500000;
	struct packet *quoted = fixture_packet(&b, &m);
	batch_add(&batch, fixture_error(&b, WAN, LAN, IP4(192, 0, 2, 9), CLIENT, 3, 1, quoted, 8));
	fixture_in(&b, HOOK_PREROUTING, &batch);
	fixture_out(&b, HOOK_POSTROUTING, &batch);
	assert_int_equal(batch.n, 1);
	assert_int_equal(batch.p[0]->ct_info, CT_INFO_RELATED);
	fixture_hand(&b, batch.p[0]);
	fixture_hand(&b, quoted);
	fixture_stop(&b);
}

static enum ct_info info_of(struct ct_fixture *b, const struct row *r)
{
	uint8_t options[40];
	struct packet_spec m = segment(r, 1000, 5000, options);

	return (enum ct_info)fixture_forward(b, &m).info;
}

/* Would catch: marks that stand still because more than two gigabytes went by between two credits, which makes every
 * later segment invalid; a window that grows by what was credited to one direction before the other. */
static void test_credit_of_gigabytes(void **state)
{
	struct tuple t = { .src = CLIENT, .dst = SERVER, .sport = 40000, .dport = 80, .proto = IPPROTO_NR_TCP };
	const int64_t gone = 2600000000;
	struct ct_fixture b;
	uint8_t options[40];

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 16 });
	for (int i = 0; i < 3; i++) {
		struct packet_spec m = segment(&open_and_close[i], 1000, 5000, options);
		assert_true(fixture_forward(&b, &m).passed);
	}
	uint32_t ref = conntrack_find(b.ct, &t);
	struct ct_deferred sent = { .packets = 1000000,
				    .has_tcp = true,
				    .tcp_end = (uint32_t)(1000 + gone),
				    .tcp_ack = 5001,
				    .tcp_win = 1000,
				    .last_ns = b.env.now };
	struct ct_deferred acked = { .packets = 500000,
				     .has_tcp = true,
				     .tcp_end = 5001,
				     .tcp_ack = (uint32_t)(1000 + gone),
				     .tcp_win = 2000,
				     .last_ns = b.env.now };

	for (int round = 0; round < 3; round++) {
		conntrack_add_deferred(b.ct, ref, &sent);
		conntrack_add_deferred(b.ct, ref ^ 1, &acked);
		const struct conn *c = ct_conn(b.ct, conn_index(ref));
		assert_int_equal(c->half[CT_ORIGINAL].tcp.end, sent.tcp_end);
		assert_int_equal(c->half[CT_ORIGINAL].tcp.max_end, sent.tcp_end + 2000);
		assert_int_equal(c->half[CT_REPLY].tcp.max_win, 2000);
		sent.tcp_end += (uint32_t)gone;
		acked.tcp_ack += (uint32_t)gone;
	}
	assert_int_equal(info_of(&b, &(struct row){ 0, '>', A, 3 * gone, 1, 1000, 100 }), CT_INFO_ESTABLISHED);
	assert_int_equal(info_of(&b, &(struct row){ 0, '<', A, 1, 3 * gone + 100, 2000, 0 }), CT_INFO_ESTABLISHED);
	assert_int_equal(info_of(&b, &(struct row){ 0, '>', A, 3 * gone + 1000000, 1, 1000, 100 }), CT_INFO_INVALID);
	fixture_stop(&b);
}

/* Would catch: forged data that once hit the window and walk its marks away, until what the real ends send is outside.
 */
static void test_walk(void **state)
{
	static uint8_t options[64];
	const struct tuple t = { .src = CLIENT, .dst = SERVER, .sport = 40000, .dport = 80, .proto = IPPROTO_NR_TCP };
	int32_t seq = 1, sent = 1;
	struct ct_fixture b;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	for (int i = 0; i < 3; i++) {
		struct packet_spec m = segment(&open_and_close[i], 1000, 5000, options);
		assert_true(fixture_forward(&b, &m).passed);
	}
	uint32_t ref = conntrack_find(b.ct, &t);
	for (int round = 0; round < 50; round++) {
		for (int k = 1; k < 200; k++)
			(void)info_of(&b, &(struct row){ 0, '<', A, seq + k * 1000 - 500, sent, 1, 1000 });
		const struct ct_tcp_window *w = &ct_conn(b.ct, conn_index(ref))->half[CT_REPLY].tcp;

		assert_true((int32_t)(w->end - w->max_end) < 2 * 65536);
		assert_int_equal(info_of(&b, &(struct row){ 0, '<', A, seq, sent, 2000, 500 }), CT_INFO_ESTABLISHED);
		seq += 500;
		/* What the client sends with an acknowledgement that looks late counts as sent. */
		assert_int_equal(info_of(&b, &(struct row){ 0, '>', A, sent, seq, 60000, 10 }), CT_INFO_ESTABLISHED);
		sent += 10;
		assert_int_equal(info_of(&b, &(struct row){ 0, '<', A, seq, sent, 2000, 0 }), CT_INFO_ESTABLISHED);
	}
	fixture_stop(&b);
}

/* Would catch: a RST out of the window that nobody can see afterwards. */
static void test_rst_counted(void **state)
{
	static const struct {
		uint8_t flags;
		bool back;
		uint32_t seq, ack;
	} way[] = { { S, false, 1000, 0 }, { S | A, true, 5000, 1001 }, { A, false, 1001, 5001 } };
	struct packet_spec m = udp_make(40000, 80), reset;
	struct ct_fixture b;

	(void)state;
	fixture_start(&b, &(struct ct_limits){ .n_connections = 8 });
	m.proto = IPPROTO_NR_TCP;
	m.payload_len = 0;
	m.window = 1000;
	for (size_t i = 0; i < ARRAY_LEN(way); i++) {
		struct packet_spec next = way[i].back ? turned(m) : m;

		next.flags = way[i].flags;
		next.seq = way[i].seq;
		next.ack = way[i].ack;
		assert_true(fixture_forward(&b, &next).passed);
	}
	reset = turned(m);
	reset.flags = R;
	reset.seq = 5001 + 100000;
	assert_int_equal(b.ct->counts[CT_COUNT_RST_OUT_OF_WINDOW], 0);
	assert_int_equal(fixture_forward(&b, &reset).info, CT_INFO_INVALID);
	assert_int_equal(b.ct->counts[CT_COUNT_RST_OUT_OF_WINDOW], 1);
	assert_int_equal(state_now(&b), CT_TCP_ESTABLISHED);
	fixture_stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rst_counted), cmocka_unit_test(test_table),
		cmocka_unit_test(test_walk),        cmocka_unit_test(test_credit_of_gigabytes),
		cmocka_unit_test(test_stories),     cmocka_unit_test(test_stories_from_records),
		cmocka_unit_test(test_quote),       cmocka_unit_test(test_quote_of_picked_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
