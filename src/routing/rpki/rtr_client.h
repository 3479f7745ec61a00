/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A router's end of the RPKI to router protocol (RFC 8210, and RFC 6810 with caches that know no other): asks one
 * cache, over a stream, which AS may originate which prefix, and keeps what it says in a table (roa.h). One thread has
 * it; it reads no clock.
 *
 *   rtr_client_work(c, now)     when rtr_client_next_deadline has come, and after each event of a stream
 *
 * What a cache has said stays until it says otherwise, also while there is no connection, at most for the time that the
 * cache has set.
 */
#ifndef YG_ROUTING_RPKI_RTR_CLIENT_H
#define YG_ROUTING_RPKI_RTR_CLIENT_H

#include "routing/rpki/roa.h"
#include "routing/stream/stream.h"

struct rtr_client;

#define RTR_PORT 323u
#define RTR_REASON_MAX 160u

enum rtr_state {
	RTR_WAITING, /* no connection; until the next try, or until what is gone is out of the table */
	RTR_CONNECTING,
	RTR_ASKED,     /* a query is out */
	RTR_RECEIVING, /* an answer has begun */
	RTR_READY,     /* it is over, and the connection stands */
	N_RTR_STATES
};
extern const char *const rtr_state_names[N_RTR_STATES];

struct rtr_view {
	enum rtr_state state;
	uint8_t version;
	bool has_data;
	uint16_t session; /* has_data: these */
	uint32_t serial;
	uint64_t updated, expires; /* times; expires TIME_NEVER: there is nothing to expire */
	uint64_t next;             /* try, or query */
	uint32_t refresh_s, retry_s, expire_s;
	uint32_t n_payloads;     /* of it in the table */
	uint32_t n_ipv6, n_keys; /* of the last whole answer, passed over */
	uint64_t n_failures;
	char last[RTR_REASON_MAX]; /* why a connection ended or did not come up; "" none did */
};

enum rtr_event {
	RTR_EVENT_UPDATED, /* an answer is in the table */
	RTR_EVENT_DOWN,    /* view->last; told once as long as it is the same */
	RTR_EVENT_EXPIRED, /* what it had said is out of the table */
};
/* May call nothing of the client but rtr_client_look. */
typedef void rtr_event_fn(void *user, enum rtr_event event, const struct rtr_view *view);

struct rtr_client_config {
	struct stream_carrier *carrier;
	struct stream_end local, remote; /* remote.port 0: RTR_PORT */
	struct stream_key key;           /* RFC 8210 section 9.3 */
	struct roa_table *roas;
	uint32_t cache; /* of roas, whose nobody else is */
	/* Instead of what the cache says, in seconds; 0: what it says. */
	uint32_t refresh_s, retry_s, expire_s;
	rtr_event_fn *event; /* may be NULL */
	void *user;
};

/* What the bounds of RFC 8210 section 6 are, and what counts when nobody has said anything. */
#define RTR_REFRESH_S 3600u
#define RTR_REFRESH_S_MAX 86400u
#define RTR_RETRY_S 600u
#define RTR_RETRY_S_MAX 7200u
#define RTR_EXPIRE_S 7200u
#define RTR_EXPIRE_S_MIN 600u
#define RTR_EXPIRE_S_MAX 172800u

/* NULL without memory. The carrier and the table outlive it. */
struct rtr_client *rtr_client_create(const struct rtr_client_config *c);
/* What it has stays in the table. NULL is allowed. */
void rtr_client_destroy(struct rtr_client *c);
/* The connection ends, and what it has goes out of the table; then it can be destroyed. */
void rtr_client_remove(struct rtr_client *c);
bool rtr_client_is_gone(const struct rtr_client *c);
/* A query now, or a connection; all of it again if `all`. */
void rtr_client_refresh(struct rtr_client *c, bool all);

/* Timers that are due, then one slice of at most 2 ms. True: there is more to do at once. */
bool rtr_client_work(struct rtr_client *c, uint64_t now);
uint64_t rtr_client_next_deadline(const struct rtr_client *c);
void rtr_client_look(const struct rtr_client *c, struct rtr_view *v);

#endif
