/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What neighbours are told of the table: update groups. Neighbours that are told the same, in the same form, are one
 * group, and those of them that know the same are told by the same messages, made once.
 *
 * The speaker calls bgp_groups_slot (bgp_outbound.h) with a struct bgp_groups as its user:
 *
 *   bgp_groups_create(&all, &config);                          one for a table
 *   speaker.outbound = &bgp_groups_slot, .outbound_user = all
 *   bgp_groups_work(all)                                       once a turn of the owner's loop, as long as config.wake
 *                                                              or it itself has said that there is work
 *
 * Nobody waits for a neighbour that does not read: it knows less than the others by then, and is a part of the group of
 * its own until it knows as much again.
 */
#ifndef YG_ROUTING_BGP_BGP_GROUPS_H
#define YG_ROUTING_BGP_BGP_GROUPS_H

#include "routing/bgp/bgp_outbound.h"
#include "routing/bgp/bgp_table.h"

struct bgp_groups;

/* What export policy makes of a path. */
struct bgp_export_verdict {
	bool is_accepted;
	bool asked_prefix;   /* else the answer is the same for all prefixes of that source with that set */
	bool keeps_med;      /* the MED is policy's own: external neighbours are told it (RFC 4271 section 5.1.4) */
	bool keeps_next_hop; /* so is the next hop: it is told as it stands */
	uint64_t edits;      /* what was done to the attributes; 0: nothing */
};

struct bgp_export {
	/* NULL: an external neighbour is told nothing (RFC 8212), an internal one everything. *v is accepted and
	 * nothing else. Does not change the table. */
	void (*judge)(void *user, struct ip4_prefix prefix, const struct bgp_set *set, const struct bgp_source *source,
		      struct bgp_export_verdict *v);
	/* Writes the set that the last verdict speaks of, one with edits, at most BGP_SET_MAX bytes in the form of
	 * bgp_set_write. Returns how many. */
	size_t (*write)(void *user, uint8_t *out);
	void *user;
};

/* Accepts all as it is, for who has said that he wants that. */
extern const struct bgp_export bgp_export_all;

/* Beside what is agreed with it, what makes a neighbour one of a group. */
struct bgp_group_terms {
	struct bgp_export export;
	bool next_hop_self; /* an internal one is told our address instead of the path's next hop */
	uint32_t tag;       /* neighbours with different ones are never in one group */
};

struct bgp_groups_config {
	struct bgp_table *table;
	/* What holds for a neighbour that is up, or whose config has changed. *terms is zeroed. */
	void (*terms)(void *user, const struct bgp_outbound_peer *peer, struct bgp_group_terms *terms);
	/* There is something for the neighbour (bgp_speaker_wake). Called from the table's changes too, so it may do no
	 * more than note that. */
	void (*wake)(void *user, uint32_t neighbor);
	void *user;
};

extern const struct bgp_outbound bgp_groups_slot;

/* 0, -ENOMEM, or -ENOSPC: the table has readers enough. */
int bgp_groups_create(struct bgp_groups **out, const struct bgp_groups_config *c);
/* Members or none; the table is still there. */
void bgp_groups_destroy(struct bgp_groups *all);

/* What is to be done that no call of next could finish: a slice of a millisecond at most. True: there is more. */
bool bgp_groups_work(struct bgp_groups *all);
bool bgp_groups_has_work(const struct bgp_groups *all);

/* Policy with this user says something else than before: whoever has it is told everything once more, and what it may
 * not know any more is withdrawn. */
void bgp_groups_judge_again(struct bgp_groups *all, const void *export_user);

struct bgp_groups_stats {
	uint32_t n_groups, n_members;
	uint32_t n_parts;        /* of groups: members that know the same */
	uint64_t n_messages;     /* made, each once for all members of a part */
	uint64_t n_bytes;        /* in them */
	uint64_t n_too_long;     /* times that a prefix was not told since its attributes leave no room in a message */
	uint64_t n_over_limit;   /* ... since the neighbour's max_prefixes_out was reached */
	uint64_t n_split;        /* members that went on alone since they did not read */
	uint64_t n_no_memory;    /* times that something was put off for want of it */
	uint64_t resident_bytes; /* messages that wait, and sorted pairs */
};
struct bgp_groups_stats bgp_groups_stats(const struct bgp_groups *all);

/* Of one neighbour's part. */
struct bgp_groups_view {
	uint32_t n_told;     /* prefixes it has been told, or will have been by what waits; its own among them */
	uint32_t n_waiting;  /* that have changed since */
	uint64_t n_too_long; /* of its group, as above */
	uint64_t n_over_limit;
	bool is_dumped;
	uint32_t n_members; /* neighbours that know the same */
};
void bgp_groups_look(const struct bgp_groups *all, uint32_t member, struct bgp_groups_view *v);

#endif
