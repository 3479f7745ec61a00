/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A path's attributes while policy changes them: the set as it came stays where it is, and what is changed lies beside
 * it until a new set is written.
 */
#ifndef YG_ROUTING_POLICY_POLICY_ATTRS_H
#define YG_ROUTING_POLICY_POLICY_ATTRS_H

#include "routing/policy/policy_tuples.h"
#include "stack/wire/bgp_attr.h"

/* Those that are a number. */
enum policy_number {
	POLICY_ORIGIN,
	POLICY_NEXT_HOP,
	POLICY_MED,        /* 0 when there is none */
	POLICY_LOCAL_PREF, /* BGP_LOCAL_PREF_DEFAULT when there is none */
	POLICY_OTC,        /* 0 when there is none; no filter reads or writes it (RFC 9234 section 5) */
	N_POLICY_NUMBERS
};

enum policy_list { POLICY_COMMUNITIES, POLICY_EXT_COMMUNITIES, POLICY_LARGE_COMMUNITIES, N_POLICY_LISTS };

#define POLICY_PREPENDS_MAX 64          /* to one path */
#define POLICY_LIST_MAX BGP_MESSAGE_MAX /* bytes of communities of one kind */

struct policy_attrs {
	struct bgp_nlri set; /* as it came */
	/* What was done to it: 0 nothing. Equal numbers of one set are equal changes. */
	uint64_t edits;
	bool is_too_long;        /* what it became does not fit into a set: it can only be rejected */
	bool is_local_pref_held; /* it stays what it is, whatever a filter says (RFC 8326) */
	uint8_t is_changed;      /* a bit for each enum policy_number */
	uint8_t is_list_changed; /* a bit for each enum policy_list */
	uint32_t number[N_POLICY_NUMBERS];
	struct bgp_path path; /* as it came */
	uint32_t n_hops;      /* of that */
	uint32_t n_prepended;
	uint32_t prepended[POLICY_PREPENDS_MAX]; /* the first one said first: it is the one next to the path */
	struct {
		const uint8_t *p;
		size_t len;
	} list[N_POLICY_LISTS]; /* in the set, or in room */
	uint8_t room[N_POLICY_LISTS][POLICY_LIST_MAX];
};

/* The set stays there until *a is used no more. */
void policy_attrs_start(struct policy_attrs *a, struct bgp_nlri set);
/* Writes what it is now as a set, at most BGP_SET_MAX bytes; returns how many. Not to be called when it is too long. */
size_t policy_attrs_write(const struct policy_attrs *a, uint8_t *out);
/* After the last change, before the verdict: whether it fits, in is_too_long. */
void policy_attrs_check(struct policy_attrs *a);

void policy_attrs_set(struct policy_attrs *a, enum policy_number which, uint32_t value);
/* AS 0 is none, and nothing is prepended. */
void policy_attrs_prepend(struct policy_attrs *a, uint32_t as);

/* AS numbers as they stand from left to right. first and last: 0 when there is none, or a set there. */
uint32_t policy_attrs_path_len(const struct policy_attrs *a);
uint32_t policy_attrs_path_first(const struct policy_attrs *a);
uint32_t policy_attrs_path_last(const struct policy_attrs *a);
/* Whether one of them is in it; those of an AS_SET too. */
bool policy_attrs_path_any(const struct policy_attrs *a, const struct policy_tuples *s);
bool policy_attrs_path_has(const struct policy_attrs *a, uint32_t as);

/* Communities by their number in the list. */
uint32_t policy_attrs_list_len(const struct policy_attrs *a, enum policy_list which);
struct policy_value policy_attrs_list_at(const struct policy_attrs *a, enum policy_list which, uint32_t i);
bool policy_attrs_list_has(const struct policy_attrs *a, enum policy_list which, struct policy_value v);
void policy_attrs_list_add(struct policy_attrs *a, enum policy_list which, struct policy_value v);
/* Keeps those that are in the set, or (POLICY_DROP) those that are not. */
enum policy_keep { POLICY_KEEP, POLICY_DROP };
void policy_attrs_list_filter(struct policy_attrs *a, enum policy_list which, const struct policy_tuples *s,
			      enum policy_keep keep);

#endif
