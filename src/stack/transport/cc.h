/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Congestion control: each behind one table of functions. Everything about windows here
 * is in bytes, times in ns.
 *
 * What a control decides: the window (cwnd), the threshold behind a loss (ssthresh)
 * and, if it wants, how fast to send (pacing_rate). What it is told: each
 * acknowledgement with the rate at which data was delivered (RFC 9438, and
 * draft-ietf-ccwg-bbr section 4.1), and what recovery has found.
 *
 * There are two kinds. One lets the window grow outside of recovery, and recovery does
 * the rest (`acked`, `ssthresh`: Reno, CUBIC). The other has the window and the rate to
 * itself at all times (`control`: BBR).
 */
#ifndef YG_STACK_TRANSPORT_CC_H
#define YG_STACK_TRANSPORT_CC_H

#include <stdbool.h>
#include <stdint.h>

struct tcp;
struct tcp_conn;
struct tcp_segment;

/* What one acknowledgement said. */
struct cc_sample {
	uint64_t now;
	uint64_t acked;     /* bytes that it acknowledged first, by number or by SACK */
	uint64_t lost;      /* bytes that it showed to be lost */
	uint64_t inflight;  /* before it */
	uint64_t rtt;       /* of the newest segment that it acknowledged and that was sent once; 0: none */
	uint64_t delivered; /* bytes delivered over `interval`: the delivery rate; interval 0: no sample */
	uint64_t interval;
	uint64_t prior_delivered; /* of the connection, when that segment was sent */
	uint64_t lost_since;      /* bytes found to be lost since then */
	uint32_t tx_in_flight;    /* bytes that were on their way right behind its sending, it among them */
	uint64_t growth_limit;    /* bytes by which slow start may raise the window */
	uint8_t css_rounds;       /* of slower growth before HyStart ends slow start; 0: it ends it at once */
	bool is_app_limited;      /* the sample is of a time when there was not enough to send */
	bool in_recovery;         /* the window is recovery's, the threshold stands */
	bool ece;                 /* it said that congestion was experienced */
	bool cwnd_limited;        /* the window was what kept data back */
	bool round_began;         /* what was sent when the last round trip began has been acknowledged */
	bool has_delivered;       /* it acknowledged something first: what is said of "that segment" holds */
};

enum cc_event {
	CC_EVENT_RECOVERED, /* the next recovery may begin with the same acknowledgement */
	CC_EVENT_RTO,
	CC_EVENT_UNDONE,   /* it was none */
	CC_EVENT_RESTART,  /* sends again behind an idle time; with `control` whenever nothing was on its way */
	CC_EVENT_REPAIRED, /* a loss probe has repaired a loss that nothing else has shown */
	CC_EVENT_MARKED,   /* the path has marked something (ECN), the first of this round trip */
};

struct cc_fact;

/* TCP_CC_INFO of BBR, as Linux has it (linux/inet_diag.h, struct tcp_bbr_info). */
struct cc_bbr_info {
	uint32_t bw_lo, bw_hi;           /* the bandwidth, bytes a second: both halves */
	uint32_t min_rtt;                /* us */
	uint32_t pacing_gain, cwnd_gain; /* in 1/256 */
};
_Static_assert(sizeof(struct cc_bbr_info) == 20, "as Linux has it");

struct cc_ops {
	const char *name;
	/* cc_state does not hold what it keeps: it has a record of struct tcp's pool. */
	bool has_record;
	void (*init)(struct tcp *t, struct tcp_conn *c);
	/* Outside of recovery: may raise the window. NULL with `control`. */
	void (*acked)(struct tcp *t, struct tcp_conn *c, const struct cc_sample *s);
	/* Every acknowledgement, behind what recovery makes of it; no other sets the window then, but for a timeout,
	 * which leaves one segment. NULL: recovery has it. */
	void (*control)(struct tcp *t, struct tcp_conn *c, const struct cc_sample *s);
	/* s is taken to be lost, and counted. NULL: takes no note. */
	void (*lost)(struct tcp *t, struct tcp_conn *c, const struct tcp_segment *s);
	/* The window behind a loss. Asked when recovery has begun (ca_state says so), and before a timeout is taken
	 * note of. */
	uint64_t (*ssthresh)(struct tcp *t, struct tcp_conn *c);
	/* NULL: takes no note. */
	void (*event)(struct tcp *t, struct tcp_conn *c, enum cc_event e);
	/* How many it has filled in; NULL: none. */
	uint32_t (*facts)(const struct tcp *t, const struct tcp_conn *c, struct cc_fact *out);
	/* NULL: it says nothing. */
	void (*info)(const struct tcp *t, const struct tcp_conn *c, struct cc_bbr_info *out);
};

/* What a control keeps, for listings: up to CC_FACTS_MAX names with values. */
#define CC_FACTS_MAX 9u
struct cc_fact {
	const char *name; /* as ss prints it, with the unit where it is none of the usual */
	uint64_t value;
	const char *text; /* not NULL: what the value is called, instead of the number */
};

extern const struct cc_ops cc_newreno, cc_cubic, cc_bbr, cc_bbr1;
extern const struct cc_ops *const cc_all[]; /* NULL at the end; the first is the default */
#define CC_DEFAULT 0u
/* Its place in cc_all; -1: there is none of that name. */
int cc_find(const char *name);

/* Bytes of a record. */
uint32_t cc_record_size(void);
void cc_give_back(struct tcp *t, struct tcp_conn *c);
/* Another control from now on, whose place that is. An open connection goes on by it with the window that it has.
 * -ENOBUFS, and all is as before. */
int cc_switch(struct tcp *t, struct tcp_conn *c, uint8_t cc);
/* The connection is open. Without a record for the control that was chosen it begins with the default. */
void cc_begin(struct tcp *t, struct tcp_conn *c);

/* HyStart++ (RFC 9406), for those that begin by slow start. Round trips in ns, no more than UINT32_MAX. */
struct hystart {
	uint32_t last_min_rtt, round_min_rtt, css_baseline;
	uint8_t n_samples;  /* counts no further than 255 */
	uint8_t css_rounds; /* in conservative slow start for so many, counted from 1; 0: not in it */
	bool done;
};

/* What each keeps of a connection, however long nothing is sent. */
union cc_state {
	struct {
		struct hystart hystart;
		uint32_t bytes; /* acknowledged since the window grew last */
	} newreno;
	struct {
		struct hystart hystart;
		uint32_t w_max, w_est;
		uint32_t origin; /* W_max of RFC 9438: where the curve is flat */
		uint32_t bytes;  /* what is left of the growth that made no whole one */
		uint32_t k;      /* from the epoch to there, in 1/1024 s */
		uint32_t epoch;  /* when this growth began, in 1/1024 s; 0: it has not */
	} cubic;
	uint32_t record; /* of those that have one: its number, POOL_NONE */
	uint64_t words[5];
};

/* ... and to take a recovery back (CC_EVENT_UNDONE). */
union cc_undo {
	struct {
		uint32_t epoch, w_max, k;
	} cubic;
};

#endif
