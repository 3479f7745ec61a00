/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A stream of bytes to another host, as BGP needs one: what a session asks for, and what it is told, whoever carries
 * it. Carriers are a network in memory on virtual time (stream_memory.h), TCP of the kernel, and our own TCP; a session
 * does not know which.
 *
 * A carrier fills in struct stream_carrier, embeds struct stream_listener and struct stream in what it keeps of each,
 * and finds its own by container_of. It never calls an event from within a function of the table, so a user may call
 * anything from within an event. What the user has closed or aborted has no more events.
 *
 * Addresses and ports are in host order. Times are nanoseconds of the user's clock. Errors are -errno.
 */
#ifndef YG_ROUTING_STREAM_STREAM_H
#define YG_ROUTING_STREAM_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip4.h"

/* One end. */
struct stream_end {
	uint32_t addr; /* 0, of the local one: by the route */
	uint16_t port; /* 0, of the local one: any */
};

/* Of TCP-MD5 (RFC 2385). */
#define STREAM_KEY_MAX 80
struct stream_key {
	uint8_t len; /* 0: none */
	uint8_t bytes[STREAM_KEY_MAX];
};

/* What IP's TTL is and must be (RFC 5082): packets that come with less than `least` are not taken. */
struct stream_ttl {
	uint8_t send;  /* 0: the carrier's usual */
	uint8_t least; /* 0: any */
};

struct stream_carrier;

/* A place where connections come in. */
struct stream_listener {
	struct stream_carrier *carrier;
};

/* A connection, from connect or accepted on until the user closes or aborts it. */
struct stream {
	struct stream_carrier *carrier;
	const struct stream_events *events; /* told; set by the user, by stream_tell */
	void *user;
	struct stream_end local, remote; /* filled in by the carrier; local not before it is open */
};

struct stream_events {
	/* What was connected stands; s->local is known. Not of one that was accepted, which is open at once. */
	void (*open)(void *user, struct stream *s, uint64_t now);
	/* There is something to be read; once more only after a read that found nothing. */
	void (*readable)(void *user, struct stream *s, uint64_t now);
	/* There is room again, after a write that did not take all. */
	void (*writable)(void *user, struct stream *s, uint64_t now);
	/* It is over, once. error 0: the peer has closed it, and all that came before has been read; else an errno:
	 * refused, reset, not in time (ETIMEDOUT, of the deadline too). What had come by then may still be read. The
	 * user still has to close or abort it, now or later. */
	void (*closed)(void *user, struct stream *s, int error, uint64_t now);
};

struct stream_connect {
	struct stream_end local, remote;
	struct stream_ttl ttl;
	const struct stream_key *key; /* NULL: none; read during the call only */
	uint64_t deadline;            /* not open by then: closed, ETIMEDOUT. TIME_NEVER: the carrier's own patience */
	const struct stream_events *events;
	void *user;
};

/* A connection has come in, and may be used from here on. True: it is taken, and was told where its events go
 * (stream_tell); false: the carrier aborts it. */
typedef bool stream_accept_fn(void *user, struct stream_listener *l, struct stream *s, uint64_t now);

struct stream_listen {
	struct stream_end local; /* addr 0: all of ours */
	stream_accept_fn *accept;
	void *user;
};

/* Whose bytes did not count. */
struct stream_digests {
	bool is_known;    /* false: the carrier cannot say */
	uint64_t n_wrong; /* segments of that host whose digest was missing, wrong, or not asked for (RFC 2385) */
};

struct stream_carrier {
	/* What a listener sends has TTL 255, so that peers that ask for it (RFC 5082) see it from the first segment on.
	 */
	int (*listen)(struct stream_carrier *c, const struct stream_listen *how, struct stream_listener **out);
	void (*unlisten)(struct stream_listener *l);
	/* Connections from these hosts need this key; NULL or an empty one: none, any more. When it cannot be set, none
	 * of them may come in (the carrier refuses them) until a later call can. */
	int (*listen_key)(struct stream_listener *l, struct ip4_prefix from, const struct stream_key *key);

	/* Begins to connect. An error at once: there is no stream. A key that cannot be set is one, -EKEYREJECTED. */
	int (*connect)(struct stream_carrier *c, const struct stream_connect *how, struct stream **out);
	/* Of one that was accepted. */
	int (*set_ttl)(struct stream *s, struct stream_ttl ttl);

	/* At most cap bytes; returns how many, 0: none there now. */
	size_t (*read)(struct stream *s, uint8_t *p, size_t cap);
	/* Returns how many of them it has taken; when that is not all, a writable follows. */
	size_t (*write)(struct stream *s, const uint8_t *p, size_t len);
	/* Bytes taken by write that the peer's end has not acknowledged. */
	size_t (*unacked)(struct stream *s);

	/* No more is written or read: what was written goes out, for as long as the carrier thinks fit, then the end.
	 * abort: at once, and the peer is told (RST). s is the carrier's after either. */
	void (*close)(struct stream *s);
	void (*abort)(struct stream *s);

	struct stream_digests (*digests)(struct stream_carrier *c, uint32_t remote);
};

static inline void stream_tell(struct stream *s, const struct stream_events *events, void *user)
{
	s->events = events;
	s->user = user;
}

#endif
