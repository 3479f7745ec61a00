/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of update groups share: members, parts, groups, and the log of messages between them.
 */
#ifndef YG_ROUTING_BGP_BGP_GROUPS_PRIV_H
#define YG_ROUTING_BGP_BGP_GROUPS_PRIV_H

#include "routing/bgp/bgp_bits.h"
#include "routing/bgp/bgp_groups.h"
#include "routing/bgp/bgp_pairs.h"

/* --- messages that were made, and not yet read by all --- */

enum bgp_to { TO_ALL, TO_OTHERS /* than its source */, TO_SOURCE /* alone */ };

struct bgp_sent_message {
	uint16_t len;
	uint16_t n_numbers;
	uint16_t source; /* of what it announces */
	uint8_t to;      /* enum bgp_to; TO_ALL: it withdraws what had been told */
};

#define LIST_MAX 1024u /* prefixes of a message */
#define CHUNK_BYTES 32768u
#define CHUNK_MESSAGES 1024u
#define CHUNK_NUMBERS 8192u
/* A chunk that is full takes what is begun: three lists, each flushed once more. */
#define CHUNK_SLACK 6u

struct bgp_chunk {
	struct bgp_chunk *next;
	uint64_t first;     /* how many messages were made before */
	uint32_t n_readers; /* members that read in it */
	uint32_t n_bytes, n_messages, n_numbers;
	struct bgp_sent_message message[CHUNK_MESSAGES + CHUNK_SLACK];
	uint32_t number[CHUNK_NUMBERS + CHUNK_SLACK * LIST_MAX]; /* of the prefixes, message by message */
	uint8_t bytes[CHUNK_BYTES + CHUNK_SLACK * BGP_MESSAGE_MAX];
};

#define LOG_CHUNKS_MAX 8u   /* that wait for the slowest of a part */
#define SPARE_CHUNKS_MAX 4u /* kept for the next */

/* --- who is told --- */

#define MEMBERS_MAX BGP_NEIGHBORS_MAX
#define MEMBER_NONE UINT32_MAX

struct bgp_member {
	struct bgp_part *part;   /* NULL: no member */
	struct bgp_member *next; /* of the part */
	struct bgp_outbound_peer peer;
	struct bgp_chunk *at; /* where it reads; NULL: it has read all */
	uint32_t message;     /* of the chunk */
	uint32_t offset;      /* of the message in its bytes */
	bool is_idle;         /* was told that there is nothing, and is to be woken */
	bool is_misplaced;    /* its config wants another group; there was no memory for that */
	bool wants_dump;      /* is_dumped has not been true yet */
};

enum bgp_dump_phase {
	DUMP_WAIT,  /* pairs are not ready */
	DUMP_SEND,  /* ... are sent */
	DUMP_SWEEP, /* what had changed when they were out: once through the bits */
	DUMP_DONE,
};

/* Members of a group that know the same but for what of the log they have not read. */
struct bgp_part {
	struct bgp_part *next;
	struct bgp_group *group;
	struct bgp_member *members;
	uint32_t n_members, n_idle;
	bool is_pending; /* bgp_groups_work goes on with it */
	bool turn;       /* what goes first into the next chunk */
	uint64_t worked; /* when it was last worked on */

	struct bgp_bits told;    /* they have it, or will have it when they have read the log */
	struct bgp_bits moved;   /* its best path has come from another source since it was told */
	struct bgp_bits changed; /* to be told, or withdrawn */
	struct bgp_bits left;    /* of the dump; empty without one */
	struct bgp_bits blocked; /* by the limit; empty without one */
	uint32_t changed_at;
	bool lap_done;

	enum bgp_dump_phase phase;
	struct bgp_pairs *pairs;
	uint32_t pair_at;
	bgp_pair *batch; /* of what has changed, sorted; NULL: none */
	uint32_t batch_at, n_batch;

	struct bgp_chunk *first, *last;
	uint32_t n_chunks;
	uint64_t n_made;   /* messages */
	uint64_t dump_end; /* of the dump, in such */
};

struct bgp_group {
	struct bgp_group *next;
	struct bgp_part *parts;
	struct bgp_group_terms terms;
	struct bgp_group_form {
		enum bgp_kind kind;
		bool as4;
		uint32_t local_as, local_addr;
		uint32_t max_prefixes; /* 0: any number */
	} form;
	uint64_t n_too_long, n_over_limit; /* times */
};

/* No policy: another AS is told nothing (RFC 8212). */
static inline bool bgp_group_is_silent(const struct bgp_group *g)
{
	return g->form.kind == BGP_EXTERNAL && g->terms.export.judge == NULL;
}

/* --- */

struct bgp_list {
	uint32_t n;
	size_t len; /* in a message */
	uint16_t source;
	struct ip4_prefix prefix[LIST_MAX];
	uint32_t number[LIST_MAX];
};

/* What was made of the last set. */
struct bgp_judged {
	uint32_t set, source; /* set BGP_SET_NONE: nothing */
	enum bgp_sent sent;
	bool asked_prefix;
};

struct bgp_packer {
	struct bgp_list announce, withdraw, back;
	struct bgp_judged last;
	uint8_t attrs[2][BGP_MESSAGE_MAX]; /* of the list to announce, and of what comes next */
	size_t attrs_len[2];
	uint8_t which; /* of the list */
	uint8_t edited[BGP_SET_MAX];
};

struct bgp_groups {
	struct bgp_groups_config config;
	struct bgp_table *table;
	struct bgp_group *groups;
	struct bgp_pairs *pairs; /* the newest first */
	struct bgp_chunk *spare;
	uint32_t n_spare;
	uint32_t n_pending; /* parts */
	uint64_t clock;     /* of work */
	struct bgp_groups_stats stats;
	struct bgp_member member[MEMBERS_MAX];
	uint32_t member_of_source[BGP_SOURCES_MAX];
	struct bgp_packer packer;
	bgp_pair spare_batch[BGP_BATCH_MAX];
};

/* bgp_groups_log.c */

/* A chunk to be filled, or NULL without memory. */
struct bgp_chunk *bgp_chunk_get(struct bgp_groups *all);
void bgp_chunk_put(struct bgp_groups *all, struct bgp_chunk *c);
void bgp_log_append(struct bgp_groups *all, struct bgp_part *p, struct bgp_chunk *c);
size_t bgp_log_read(struct bgp_groups *all, struct bgp_member *m, uint8_t *buf, size_t room);
/* Messages before what the member reads next. */
uint64_t bgp_log_position(const struct bgp_member *m);
/* Of every message that the member has not read and is told: the numbers. */
void bgp_log_unread(const struct bgp_member *m, void (*each)(void *user, uint32_t number), void *user);
/* It reads no more here. */
void bgp_log_leave(struct bgp_groups *all, struct bgp_member *m);
void bgp_log_free(struct bgp_groups *all, struct bgp_part *p);

/* bgp_groups_part.c */

struct bgp_part *bgp_part_create(struct bgp_groups *all, struct bgp_group *g);
void bgp_part_join(struct bgp_part *p, struct bgp_member *m);
void bgp_part_leave(struct bgp_groups *all, struct bgp_member *m);
/* The member goes on in a part of its own. False without memory: all is as before. */
bool bgp_part_split(struct bgp_groups *all, struct bgp_member *m);
/* Into another part of the group, if there is one that knows the same. */
void bgp_part_merge(struct bgp_groups *all, struct bgp_part *p);
/* Its one member is in that group from here on. False without memory: it is where it was. */
bool bgp_part_regroup(struct bgp_part *p, struct bgp_group *g);
/* Everything once more. */
void bgp_part_restart(struct bgp_groups *all, struct bgp_part *p);
/* Towards the dump: true when pairs can be sent, or there are none to wait for. */
bool bgp_part_prepare(struct bgp_groups *all, struct bgp_part *p);
void bgp_part_sent_pairs(struct bgp_groups *all, struct bgp_part *p);
void bgp_part_set_pending(struct bgp_groups *all, struct bgp_part *p, bool is_pending);
void bgp_part_wake(struct bgp_groups *all, struct bgp_part *p);

/* bgp_groups_pack.c */

enum bgp_made {
	MADE_SOME,
	MADE_LATER, /* there is more to do; nothing came of it yet */
	MADE_NONE,  /* there is nothing to do */
};
/* The next chunk of a part's log. */
enum bgp_made bgp_part_make(struct bgp_groups *all, struct bgp_part *p);

#endif
