/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the client share: rtr_client.c (life, timers, the stream), rtr_client_message.c (what the cache
 * says), rtr_client_apply.c (into the table, in slices).
 */
#ifndef YG_ROUTING_RPKI_RTR_CLIENT_PRIV_H
#define YG_ROUTING_RPKI_RTR_CLIENT_PRIV_H

#include "routing/rpki/rtr_client.h"
#include "stack/wire/rtr.h"

/* Changes of the table that take more than a slice. While there is one, nothing is read. */
enum rtr_chore {
	RTR_CHORE_NONE,
	RTR_CHORE_TAKE,  /* what is staged */
	RTR_CHORE_APPLY, /* what has changed */
	RTR_CHORE_DROP_STAGED,
	RTR_CHORE_DROP_ALL,
};

#define RTR_IN_BYTES 1024u

struct rtr_client {
	struct rtr_client_config cfg;
	enum rtr_state state;
	struct stream *stream; /* NULL: none */
	bool is_readable, is_open_told;
	bool is_removed;
	uint32_t backoff_s; /* of the last try that found nobody; 0: there was none since one that did */
	uint64_t next;      /* RTR_WAITING: try; RTR_READY: query */
	uint64_t deadline;  /* RTR_ASKED, RTR_RECEIVING: something must have come by then */

	/* The version that this connection has; is_agreed: the cache has answered in it. wants_version: of the next
	 * one. */
	uint8_t version, wants_version;
	bool is_agreed;
	bool has_heard; /* anything on this connection */

	/* What is in the table. */
	bool has_data;
	uint16_t session;
	uint32_t serial;
	uint64_t updated, expires;
	uint32_t refresh_s, retry_s, expire_s;
	uint32_t n_ipv6, n_keys;

	/* The answer that comes in. */
	bool wants_all; /* the next query, or the one that is out, is for all */
	uint16_t new_session;
	struct rtr_end_of_data end;
	uint32_t new_ipv6, new_keys;
	struct rtr_prefix *change; /* of one that is not for all */
	uint32_t n_changes, n_changes_max;

	enum rtr_chore chore;
	uint32_t chore_at;

	uint8_t in[RTR_IN_BYTES];
	uint32_t first_in, n_in;
	uint32_t n_skip; /* bytes of a message that is passed over */
	uint8_t out[RTR_QUERY_LEN_MAX];
	uint32_t n_out;

	uint64_t n_failures;
	char last[RTR_REASON_MAX], told[RTR_REASON_MAX];
};

/* --- rtr_client.c --- */

/* The connection is over; reason: why. The next try is retry_s away, or sooner when nobody was there. */
void rtr_fail(struct rtr_client *c, uint64_t now, const char *reason);
void rtr_ask(struct rtr_client *c, uint64_t now);
void rtr_tell(struct rtr_client *c, enum rtr_event event);

/* --- rtr_client_message.c --- */

/* Reads and understands what has come, up to a budget. True: there may be more. */
bool rtr_take_messages(struct rtr_client *c, uint64_t now);

/* --- rtr_client_apply.c --- */

void rtr_begin_chore(struct rtr_client *c, enum rtr_chore chore);
/* One slice of it. */
void rtr_go_on(struct rtr_client *c, uint64_t now);

#endif
