/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The language in which operators say what they take from neighbours and tell them: text in, a program out; a path and
 * a filter of the program in, a verdict, the line that gave it and new attributes out. A subset of BIRD's filters
 * (docs/policy.md).
 */
#ifndef YG_ROUTING_POLICY_POLICY_H
#define YG_ROUTING_POLICY_POLICY_H

#include "base/text_pos.h"
#include "routing/policy/policy_attrs.h"

struct policy;

#define POLICY_NONE UINT32_MAX
#define POLICY_NAME_MAX 64       /* bytes, NUL included */
#define POLICY_STEPS_MAX 1000000 /* that a filter may take for one path: nodes of its tree */

/* Where a text stands: that of its first byte; file is carried along. */
struct policy_text {
	const char *p;
	size_t len;
	struct text_pos pos;
};

struct policy_error {
	struct text_pos pos;
	char why[200]; /* "expected a number, found \"x\"" */
};

/* 0 or -ENOMEM. */
int policy_create(struct policy **out);
void policy_destroy(struct policy *p);
/* Takes in definitions, prefix lists, functions and filters, each of which may use what stands before it, also in texts
 * of before. 0; -EINVAL with *e; -ENOMEM. After an error the program is good for nothing but to be destroyed. */
int policy_add(struct policy *p, const struct policy_text *t, struct policy_error *e);

/* How much of a text stands before a "}" that closes what was open before it; SIZE_MAX: there is none. */
size_t policy_text_len(const char *text, size_t len);

/* A filter's number, or POLICY_NONE; how many there are; a name. */
uint32_t policy_find(const struct policy *p, const char *name);
uint32_t policy_n_filters(const struct policy *p);
const char *policy_filter_name(const struct policy *p, uint32_t filter);
/* ROA tables that the program asks. */
uint32_t policy_n_tables(const struct policy *p);
const char *policy_table_name(const struct policy *p, uint32_t table);

/* Where a path is from: `source`. */
enum policy_source {
	POLICY_RTS_STATIC,
	POLICY_RTS_DEVICE, /* connected */
	POLICY_RTS_OSPF,
	POLICY_RTS_BGP,
	N_POLICY_SOURCES
};

/* RFC 6811. */
enum policy_roa { POLICY_ROA_UNKNOWN, POLICY_ROA_VALID, POLICY_ROA_INVALID };

/* Who answers roa_check. table: a number of policy_table_name; origin_as 0: the path names none (RFC 6811 section 2:
 * it begins in a set). */
struct policy_roas {
	enum policy_roa (*check)(void *user, uint32_t table, struct ip4_prefix prefix, uint32_t origin_as);
	void *user;
};

struct policy_path {
	struct ip4_prefix prefix;
	struct bgp_nlri set; /* in the form of bgp_set_write */
	enum policy_source source;
	const char *proto;              /* the neighbour's name */
	const struct policy_roas *roas; /* NULL: all is unknown */
};

#define POLICY_ASKED_MAX 8

/* The rules that nobody writes (policy_rules.h), as they are asked. */
enum policy_rule {
	POLICY_RULE_NONE, /* a filter judged, or there was nothing to judge by */
	POLICY_RULE_NO_IMPORT,
	POLICY_RULE_LEAK,
	POLICY_RULE_OWN_PREFIX,
	POLICY_RULE_NO_EXPORT_POLICY,
	POLICY_RULE_NO_ADVERTISE,
	POLICY_RULE_NO_EXPORT,
	POLICY_RULE_ONLY_TO_CUSTOMER,
	POLICY_RULE_NOT_OURS,
	N_POLICY_RULES
};

struct policy_verdict {
	bool is_accepted;
	bool is_blackhole; /* what goes there is to be dropped (RFC 7999) */
	enum policy_rule rule;
	/* What the filter asked of the prefix; more than POLICY_ASKED_MAX: not all of it is here. */
	uint32_t n_asked;
	struct {
		uint32_t node; /* the question */
		struct policy_value answer;
	} asked[POLICY_ASKED_MAX];
	bool asked_prefix;   /* a rule or the filter did; else it and the attributes are the same for every prefix with
				that set */
	struct text_pos pos; /* of the accept or reject, or of the filter's end */
	const char *why;     /* the text of a reject; NULL: none. As long as the program. */
};

/* Runs a filter. *a: policy_attrs_start has been called with path->set, and perhaps something changed; afterwards it is
 * what the filter made of it, of use if it accepted. Takes no memory and at most POLICY_STEPS_MAX steps. */
void policy_run(const struct policy *p, uint32_t filter, const struct policy_path *path, struct policy_attrs *a,
		struct policy_verdict *v);
/* Whether what a filter made of one prefix it makes of another with the same set and source: it would get the same
 * answers to what it asked, or asked nothing. */
bool policy_holds_for(const struct policy *p, const struct policy_verdict *v, struct ip4_prefix prefix);
/* The end of a verdict without a filter: attributes that became too long are a rejection. */
void policy_settle(struct policy_attrs *a, struct policy_verdict *v);

#endif
