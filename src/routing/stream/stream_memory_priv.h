/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of streams in memory share: stream_memory.c has the network and what happens in it, and
 * stream_memory_carrier.c what users ask for.
 */
#ifndef YG_ROUTING_STREAM_STREAM_MEMORY_PRIV_H
#define YG_ROUTING_STREAM_STREAM_MEMORY_PRIV_H

#include "base/util.h"
#include "routing/stream/stream_memory.h"

struct host;

enum end_state { END_OPENING, END_OPEN, END_OVER /* its user has been told */, END_GONE /* no user */ };

struct end {
	struct stream s;
	struct conn *c;
	uint8_t which;
	enum end_state state;
	struct stream_ttl ttl;
	uint8_t *ring;                         /* 2 * buffer bytes: written, and not yet read by the other */
	uint64_t written, sent, acked, window; /* of what it sends; window: how far it may send */
	uint64_t arrived, read;                /* of what it gets */
	bool wants_writable, is_told_readable;
	bool is_closing, fin_sent; /* a FIN follows what was written */
	uint64_t fin_at;           /* of the other's: behind so many bytes; UINT64_MAX: none has come */
};

/* Who connected is end 0. */
struct conn {
	struct conn *next, **link;
	struct stream_memory *m;
	struct host *host[2];
	struct end end[2];
	struct stream_key key;
	uint64_t deadline;
	uint32_t n_events;
	bool is_cut;  /* nothing gets through */
	bool is_lost; /* nothing more is written: both ends will hear of it */
};

enum event_kind { EV_SYN, EV_SYN_ACK, EV_DEADLINE, EV_DATA, EV_ACK, EV_WINDOW, EV_FIN, EV_RST, EV_READABLE, EV_AGAIN };

struct event {
	uint64_t at, order;
	struct conn *c;
	uint64_t value;
	uint8_t kind, to; /* to: the end at which it happens */
};

struct key_of {
	struct ip4_prefix from;
	struct stream_key key;
};

struct listener {
	struct stream_listener l;
	struct listener *next;
	struct host *host;
	struct stream_listen how;
	struct key_of *key;
	uint32_t n_keys;
};

struct host {
	struct stream_carrier carrier;
	struct stream_memory *m;
	struct host *next;
	uint32_t addr;
	uint16_t port; /* the last one that was taken for a connection */
	struct listener *listeners;
	struct bad_digests {
		uint32_t remote;
		uint64_t n;
	} bad; /* of the last one that sent any */
};

struct down {
	uint32_t a, b;
};

struct stream_memory {
	struct stream_memory_config config;
	uint64_t now, n_sent;
	struct event *heap;
	uint32_t n_events, cap;
	struct host *hosts;
	struct conn *conns;
	struct down *down;
	uint32_t n_down;
	uint64_t n_written, cut_at;
	enum stream_memory_cut cut_how;
};

/* Without memory the event is lost, as on a network. send: to the other end, behind the delay. */
void memory_push(struct conn *c, enum event_kind kind, uint32_t to, uint64_t value, uint64_t delay);
void memory_send(struct conn *c, uint32_t to, enum event_kind kind, uint64_t value);
/* Sends what the window allows, then the FIN. */
void memory_send_more(struct conn *c, uint32_t from);
void memory_free_if_done(struct conn *c);
struct listener *memory_listener(const struct host *h, uint16_t port);
void memory_free_listener(struct listener *l);
struct host *memory_host(const struct stream_memory *m, uint32_t addr);

extern const struct stream_carrier memory_carrier;

#endif
