/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A mapping for a new connection: its destination at once, its source in steps, so
 * that those of several are taken together and their waits for memory overlap. What
 * is chosen is what one after the other would choose.
 */
#ifndef YG_GATEWAY_NAT_SOURCE_H
#define YG_GATEWAY_NAT_SOURCE_H

#include "gateway/nat/nat_priv.h"

/* What the rules, or NAT itself, want of a source. */
struct nat_source_request {
	enum nat_origin origin;
	uint32_t id; /* pool or interface */
	const struct nat_pool_config *pool;
	struct nat_address_range range; /* without a pool */
	uint64_t n_addresses;
	struct port_request port;
	struct port_set ports, near; /* what port points to, where the config holds no such set */
	bool paired, endpoint_independent;
};

/* Stays where it is: the request points into itself. */
struct nat_source {
	enum {
		NAT_SOURCE_NONE,    /* nothing was asked */
		NAT_SOURCE_DROPPED, /* by the rules */
		NAT_SOURCE_ASKED,
		NAT_SOURCE_HELD, /* reply is known and not taken; `address` and its port are held, if it translates */
		NAT_SOURCE_TAKEN,
	} state;
	struct nat_action action;
	bool translates;  /* the request is filled in */
	bool drawn;       /* first and draw, too */
	bool none_unused; /* at `first`, seen when it was to be held */
	uint32_t before;  /* whose mapping is kept, CONN_NONE: nobody's */
	struct nat_source_request request;
	struct ip_addr first; /* address to try first */
	struct port_draw draw;
	struct tuple reply;
	ct_place place;            /* of reply, when it is known */
	uint64_t destination_hash; /* of nat_overload_reach, when a port is held */
	uint32_t address;
};

/* choose.c */

/* True when it has a destination now, or needs none. False: the packet is dropped. */
bool nat_choose_dst(struct nat *n, enum ip_hook hook, struct packet *p, uint32_t index);

/* Asks the rules. */
void nat_source_ask(struct nat *n, enum ip_hook hook, struct packet *p, uint32_t index, struct nat_source *s);
/* Holds what was drawn and says where the REPLY tuple will stand. False, and nothing is held, when it takes more than
 * that. */
bool nat_source_hold(struct nat *n, struct nat_source *s);
void nat_source_let_go(struct nat *n, struct nat_source *s);
/* Takes what is held; false when the tuple is somebody else's: then it is let go. */
bool nat_source_take(struct nat *n, uint32_t index, struct nat_source *s);
/* Taken or not: true when it has a mapping now, or needs none. False: the packet is dropped, or somebody else's. */
bool nat_source_finish(struct nat *n, struct packet *p, uint32_t index, struct nat_source *s);

/* source_search.c */

/* A source that is not simply the port that was drawn. False: there is none, or the packet is somebody else's now
 * (VERDICT_STOLEN). */
bool nat_source_search(struct nat *n, struct packet *p, uint32_t index, const struct nat_source *s);

/* port.c */

/* Takes a port of `address` for the connection: fills in and takes the REPLY tuple. shared: also a port that others
 * use towards other destinations. False when there is none. */
enum nat_port_effort { NAT_PORT_UNUSED, NAT_PORT_SHARED };
bool nat_take_port(struct nat *n, uint32_t index, uint32_t address, struct tuple reply,
		   const struct port_request *request, enum nat_port_effort effort);

/* tuple_reuse.c: the mapping of a connection that has just ended on the same ORIGINAL tuple. */

/* Whose mapping the source that was asked for can keep, CONN_NONE if none. What cannot be kept is free from here on. */
uint32_t nat_tuple_reuse_find(struct nat *n, uint32_t index, const struct nat_source *s);
/* Moves what s->before holds to the source. */
void nat_tuple_reuse_hold(struct nat *n, struct nat_source *s);
/* It cannot be kept after all. */
void nat_tuple_reuse_give_up(struct nat *n, struct nat_source *s);

/* request.c */

/* Fills in the request. False when nothing is to be translated. */
bool nat_request_make(struct nat *n, const struct packet *p, const struct conn *c, struct nat_source *s);
/* But for its two sets of ports, which are written where they are needed. */
void nat_request_clear(struct nat_source_request *w);
/* From this pool. */
void nat_request_pool(const struct nat *n, struct nat_source_request *w, uint32_t pool, const struct tuple *orig);
void nat_request_stay_in_range(struct nat_source_request *w, uint16_t inside_port);
/* The k-th address, below w->n_addresses. */
uint32_t nat_request_address(const struct nat_source_request *w, uint64_t k);
/* The address with which a client begins, below n_addresses, and the one behind it after i more. */
uint64_t nat_start_address(const struct nat *n, const struct tuple *orig, uint64_t n_addresses);
uint64_t nat_later_address(uint64_t start, uint64_t i, uint64_t n_addresses);
/* One of `size`, at most 2^32: the same client, the same choice. */
uint64_t nat_client_choice(const struct nat *n, const struct tuple *orig, uint64_t size);

/* endpoint.c */

/* Towards an endpoint-independent mapping from outside, if its filtering lets it in. */
void nat_enter_mapping(struct nat *n, uint32_t index, struct packet *p);
/* By the mapping of its inside endpoint, which is made if there is none. */
bool nat_take_mapping(struct nat *n, struct conn *c, uint32_t index, const struct nat_source_request *w,
		      struct tuple reply, struct packet *p);

#endif
