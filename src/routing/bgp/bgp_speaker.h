/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A BGP speaker: who we are, and sessions with neighbours. What they announce goes into the table (bgp_table.h); what
 * they are told is another's business (bgp_outbound.h). One thread has it; it reads no clock.
 *
 *   bgp_speaker_work(s, now)     when bgp_speaker_next_deadline has come, and after each event of a stream
 *
 * Work on the table is done in slices of 2 ms at most, and timers are looked at before each, so KEEPALIVEs leave on
 * time whatever there is to do: the owner looks at its sockets between two calls.
 */
#ifndef YG_ROUTING_BGP_BGP_SPEAKER_H
#define YG_ROUTING_BGP_BGP_SPEAKER_H

#include "base/rng.h"
#include "routing/bgp/bgp_outbound.h"
#include "routing/bgp/bgp_table.h"

struct bgp_speaker;

enum bgp_event_kind {
	BGP_EVENT_UP,      /* view->ours, theirs, wire: capabilities both ways */
	BGP_EVENT_DOWN,    /* view->last: reason and side; of a session that was up */
	BGP_EVENT_FAILED,  /* view->last: an attempt that did not get there; told once as long as the reason is the same
			    */
	BGP_EVENT_WARNING, /* n_prefixes has reached max_warn_percent of max_prefixes; once a session */
	BGP_EVENT_LIMIT,   /* ... max_prefixes: the session ends, or goes on (max_action) */
	BGP_EVENT_SYNCED,  /* its End-of-RIB has come */
	BGP_EVENT_GONE,    /* a dynamic neighbour's number is free, or a removed one's: the last of it */
	N_BGP_EVENT_KINDS
};
extern const char *const bgp_event_names[N_BGP_EVENT_KINDS];

/* May call nothing of the speaker but bgp_speaker_look. */
typedef void bgp_event_fn(void *user, enum bgp_event_kind kind, const struct bgp_neighbor_view *view);

/* A neighbour has a source in the table, of which nothing has come yet: its import policy is to be given to it
 * (bgp_table_set_import). */
typedef void bgp_source_fn(void *user, uint32_t source, const struct bgp_neighbor_config *config);

struct bgp_speaker_config {
	uint32_t as;
	uint32_t id;              /* BGP identifier, not 0 */
	struct stream_end listen; /* port 0: BGP_PORT */
	struct bgp_table *table;
	struct stream_carrier *carrier;
	const struct bgp_outbound *outbound; /* NULL: neighbours are told End-of-RIB and nothing else */
	void *outbound_user;
	bgp_event_fn *event; /* may be NULL */
	void *event_user;
	bgp_source_fn *source; /* NULL: whatever comes is accepted */
	void *source_user;
	uint8_t seed[RNG_SEED_BYTES]; /* jitter */
	/* We have been restarted: R is said in OPENs, and nobody is told anything before those that are up have said
	 * End-of-RIB, or so long (RFC 4724 section 4.1); neighbours are added before the first bgp_speaker_work then.
	 * 0: we have not. */
	uint16_t restarted_s;
};

/* 0, -EINVAL or -ENOMEM. It does not listen yet. The table, the carrier and what outbound points to outlive it. */
int bgp_speaker_create(struct bgp_speaker **out, const struct bgp_speaker_config *c, uint64_t now);
/* Without a word to anyone: connections are aborted; paths stay in the table. */
void bgp_speaker_destroy(struct bgp_speaker *s);
/* Neighbours may connect from here on; 0 or the carrier's -errno, after which it can be tried again. */
int bgp_speaker_listen(struct bgp_speaker *s);

/* Number of the neighbour, or of the prefix, in *number. -EINVAL: bgp_neighbor_config_fault has why; -EEXIST: there is
 * one with its peers; -ENOSPC. */
int bgp_speaker_add(struct bgp_speaker *s, const struct bgp_neighbor_config *c, uint64_t now, uint32_t *number);
/* Its peers stay what they were, else -EINVAL. Ends the session if bgp_neighbor_config_resets says so. */
int bgp_speaker_change(struct bgp_speaker *s, uint32_t number, const struct bgp_neighbor_config *c, uint64_t now);
/* Cease/3. The number is in use until its paths are out of the table (BGP_EVENT_GONE). */
void bgp_speaker_remove(struct bgp_speaker *s, uint32_t number, uint64_t now);
/* The number of the neighbour with that address; of a prefix with len < 32 that of the prefix. BGP_NEIGHBOR_NONE. */
uint32_t bgp_speaker_find(const struct bgp_speaker *s, struct ip4_prefix peers);

/* Commands. text (RFC 9003): NULL or text_len bytes of UTF-8. */
struct bgp_command {
	bool is_hard; /* RFC 8538: routes are not kept */
	const char *text;
	size_t text_len;
};
/* Ends the session and whatever keeps another from beginning at once (back-off, limit): Cease/4. */
void bgp_speaker_reset(struct bgp_speaker *s, uint32_t number, const struct bgp_command *c, uint64_t now);
/* No session until bgp_speaker_enable, or a change of config: Cease/2. */
void bgp_speaker_shut(struct bgp_speaker *s, uint32_t number, const struct bgp_command *c, uint64_t now);
void bgp_speaker_enable(struct bgp_speaker *s, uint32_t number, uint64_t now);
/* Asks the neighbour for all it has (RFC 2918); -ENOTCONN, or -EOPNOTSUPP when that is not agreed. */
int bgp_speaker_refresh(struct bgp_speaker *s, uint32_t number);
/* BFD says that the way to it is broken: Cease/10 (RFC 9384). is_apart: its detection does not depend on the control
 * plane (C bit, RFC 5882 section 4.3), so that routes are not kept. */
void bgp_speaker_path_down(struct bgp_speaker *s, uint32_t number, bool is_apart, uint64_t now);
/* To all, for good: Cease/2, and no more comes in. The owner goes on working until bgp_speaker_is_quiet, or as long as
 * it likes. */
void bgp_speaker_stop(struct bgp_speaker *s, const struct bgp_command *c, uint64_t now);
bool bgp_speaker_is_quiet(const struct bgp_speaker *s);

/* There is something to say to it (bgp_outbound.next). */
void bgp_speaker_wake(struct bgp_speaker *s, uint32_t number);

/* Timers that are due, then one slice. True: there is more to do at once. */
bool bgp_speaker_work(struct bgp_speaker *s, uint64_t now);
/* 0: at once. TIME_NEVER: only an event of a stream, or a call, brings more. */
uint64_t bgp_speaker_next_deadline(const struct bgp_speaker *s);

/* False: there is none with that number. */
bool bgp_speaker_look(const struct bgp_speaker *s, uint32_t number, struct bgp_neighbor_view *v);
/* The least number of one from this on; BGP_NEIGHBOR_NONE: no more. */
uint32_t bgp_speaker_next(const struct bgp_speaker *s, uint32_t number);

#endif
