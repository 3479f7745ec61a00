/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The requirements of an RFC on BGP's messages as a table. Most are a message that arrives and what must come of it
 * (src/tools/bgp/trial.h): the peer has announced 203.0.113.0/24 before. What is about writing has a function of its
 * own.
 */
#ifndef YG_TESTS_RFC_BGP_H
#define YG_TESTS_RFC_BGP_H

#include "stack/wire/bgp_fixture.h"
#include "tools/bgp/trial.h"

/* One testable requirement: a message, or run. */
struct rfc_bgp_row {
	const char *requirement; /* its section: "7.2" */
	const char *demand;      /* one short sentence, in our words */
	const char *want, *out;  /* trial_is_wanted; out NULL: "-" */
	enum bgp_fixture_form form;
	enum bgp_type type;  /* of BGP_FIXTURE_BODY */
	const char *text[3]; /* bgp_fixture_build */
	enum trial_session session;
	enum bgp_phase phase;
	void (*run)(void);
	const char *why; /* not NULL: not applicable, and why */
};

#define UPDATE(withdrawn, attrs, nlri) \
	BGP_FIXTURE_UPDATE, BGP_UPDATE, { withdrawn, attrs, nlri }, .phase = BGP_ESTABLISHED
#define ANNOUNCE(attrs) UPDATE("", attrs, P)
#define BODY(type, body) BGP_FIXTURE_BODY, type, { body }, .phase = BGP_ESTABLISHED
#define OPEN(body) BGP_FIXTURE_BODY, BGP_OPEN, { body }, .phase = BGP_OPEN_SENT
#define BYTES(bytes) BGP_FIXTURE_BYTES, BGP_UPDATE, { bytes }, .phase = BGP_ESTABLISHED

/* Of an external peer; of one with two octets; of an internal one. */
#define ORIGIN BGP_FIXTURE_ORIGIN
#define PATH BGP_FIXTURE_PATH
#define HOP BGP_FIXTURE_HOP
#define USUAL BGP_FIXTURE_USUAL
#define P BGP_FIXTURE_PREFIX
#define HOP_E2 "40 03 04 0a09000d "
#define USUAL_I4 ORIGIN "40 02 00 40 03 04 0a09000c 40 05 04 00000064 "

struct rfc_bgp_table {
	const char *rfc; /* "RFC 7606" */
	const struct rfc_bgp_row *rows;
	size_t n_rows;
};

/* One a file; listed in rfc.c. */
extern const struct rfc_bgp_table rfc4271_table, rfc7606_table, rfc6793_table;
/* Of policy: rfc_policy.c. */
extern const struct rfc_bgp_table rfc8212_table, rfc8326_table, rfc9234_table;
/* Of sessions: rfc_bgp_session.c. */
#define RFC_BGP_SESSION_TABLES 10
extern const struct rfc_bgp_table rfc_bgp_session_tables[RFC_BGP_SESSION_TABLES];

/* Fails (rfc_fail) unless it comes as wanted. */
void rfc_bgp_run(const struct rfc_bgp_row *row);

/* Fails unless got are these bytes. */
void rfc_bgp_bytes(const uint8_t *got, size_t len, const char *hex);
/* What an external neighbour is told of a route that came with these attributes from that peer. */
void rfc_bgp_told(enum trial_session from, const char *attrs, const struct bgp_out *to, const char *hex);

#endif
