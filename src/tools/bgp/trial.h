/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One message on trial: a session in a given state, in which the peer has announced 203.0.113.0/24 (ORIGIN IGP, its AS,
 * its address), is given the message, and what becomes of that route is seen.
 *
 *   local AS 65000 at 10.9.0.1, identifier 10.9.0.1, first AS enforced
 *   e4  external, AS 65001 at 10.9.0.11, four-octet AS numbers
 *   e2  external, AS 65003 at 10.9.0.13, without that capability
 *   i4  internal, AS 65000 at 10.9.0.12, four-octet AS numbers
 */
#ifndef YG_TOOLS_BGP_TRIAL_H
#define YG_TOOLS_BGP_TRIAL_H

#include "base/text.h"
#include "stack/wire/bgp_message.h"

enum trial_session { TRIAL_E4, TRIAL_E2, TRIAL_I4, N_TRIAL_SESSIONS };

enum trial_result {
	TRIAL_UNFINISHED, /* the bytes are less than a message */
	TRIAL_ACCEPTED,   /* no UPDATE, and none that ends the session */
	TRIAL_OLD,        /* the route stands as it was */
	TRIAL_NEW,        /* as the message has it */
	TRIAL_LOOP,       /* the same, but it cannot be chosen */
	TRIAL_GONE,
	TRIAL_RESET, /* with message.error; or the peer has ended the session */
};

struct trial {
	struct bgp_wire wire;
	enum trial_result result;
	enum bgp_disposition disposition;
	bool is_end_of_rib;
	struct bgp_message message;
	size_t set_len; /* of the route, when it is new */
	uint8_t set[BGP_SET_MAX];
	/* ... as an external neighbour with four-octet AS numbers would be told it. */
	enum bgp_sent sent;
	size_t sent_len;
	uint8_t sent_attrs[BGP_EMITTED_MAX];
};

/* Not small: one at a time. p, len: what arrives, one message or more; the first that is not accepted ends it. */
void trial_run(struct trial *t, enum trial_session session, enum bgp_phase phase, const uint8_t *p, size_t len);

/* Whether it came as wanted. want: "ok", "withdraw", "ignore", "loop", "eor", "reset", "reset C" or "reset C/S",
 * alternatives parted by |. out: "-", "none", or checks of what is sent on, parted by commas: "+T" is there, "+T/FF"
 * with these flags, "-T" is not, "=T:HEX" has this value; alternatives parted by |. */
bool trial_is_wanted(const struct trial *t, const char *want, const char *out);

/* "withdraw: AS_PATH: AS 0 (RFC 7607) (3/11 UPDATE Message Error, Malformed AS_PATH)". */
void trial_format(struct text *to, const struct trial *t);

/* "e4" and so on; "sent", "confirm", "up". False when it is none. */
bool trial_session_named(const char *name, enum trial_session *out);
bool trial_phase_named(const char *name, enum bgp_phase *out);

#endif
