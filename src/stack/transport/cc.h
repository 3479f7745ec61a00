/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Congestion control: one file each behind one table of functions. Everything about
 * windows here is in bytes, times in ns.
 *
 * What a control decides: the window (cwnd), the threshold behind a loss (ssthresh)
 * and, if it wants, how fast to send (pacing_rate). What it is told: each
 * acknowledgement with the rate at which data was delivered (RFC 9438, and
 * draft-ietf-ccwg-bbr section 4.1), and what recovery has found.
 */
#ifndef YG_STACK_TRANSPORT_CC_H
#define YG_STACK_TRANSPORT_CC_H

#include <stdbool.h>
#include <stdint.h>

struct tcp_conn;

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
	uint64_t growth_limit;    /* bytes by which slow start may raise the window */
	uint8_t css_rounds;       /* of slower growth before HyStart ends slow start; 0: it ends it at once */
	bool is_app_limited;      /* the sample is of a time when there was not enough to send */
	bool in_recovery;         /* the window is recovery's, the threshold stands */
	bool ece;                 /* it said that congestion was experienced */
	bool cwnd_limited;        /* the window was what kept data back */
	bool round_began;         /* what was sent when the last round trip began has been acknowledged */
};

enum cc_event {
	CC_EVENT_CONNECTED,
	CC_EVENT_RECOVERY, /* a loss, or a mark: ssthresh has been asked */
	CC_EVENT_RECOVERED,
	CC_EVENT_RTO,
	CC_EVENT_UNDONE,  /* it was none */
	CC_EVENT_RESTART, /* sends again behind an idle time */
	CC_EVENT_ROUND,   /* a round trip has begun: what was sent when the last one began has been acknowledged */
};

struct cc_fact;

struct cc_ops {
	const char *name;
	void (*init)(struct tcp_conn *c);
	/* Outside of recovery: may raise the window. */
	void (*acked)(struct tcp_conn *c, const struct cc_sample *s);
	/* The window behind a loss. */
	uint64_t (*ssthresh)(struct tcp_conn *c);
	/* NULL: takes no note. */
	void (*event)(struct tcp_conn *c, enum cc_event e, uint64_t now);
	/* How many it has filled in; NULL: none. */
	uint32_t (*facts)(const struct tcp_conn *c, struct cc_fact *out);
};

/* What a control keeps, for listings: up to CC_FACTS_MAX names with values. */
#define CC_FACTS_MAX 8u
struct cc_fact {
	const char *name; /* as ss prints it, with the unit where it is none of the usual */
	uint64_t value;
};

extern const struct cc_ops cc_newreno, cc_cubic;
extern const struct cc_ops *const cc_all[]; /* NULL at the end; the first is the default */
/* Its place in cc_all; -1: there is none of that name. */
int cc_find(const char *name);

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
	uint64_t words[5];
};

/* ... and to take a recovery back (CC_EVENT_UNDONE). */
union cc_undo {
	struct {
		uint32_t epoch, w_max, k;
	} cubic;
};

#endif
