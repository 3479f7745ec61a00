/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the host's streams share: stream_host.c (what its user calls), stream_host_tell.c (events),
 * stream_host_turn.c (in the host's thread).
 */
#ifndef YG_DAEMON_STREAM_STREAM_HOST_PRIV_H
#define YG_DAEMON_STREAM_STREAM_HOST_PRIV_H

#include "base/util.h"
#include "core/workers/core_socket.h"
#include "daemon/stream/stream_host.h"
#include "daemon/stream/stream_refused.h"

enum host_stream_state {
	HOST_CONNECTING,
	HOST_OPEN,
	HOST_OVER,     /* the user knows */
	HOST_LEAVING,  /* the user has closed it; what was written goes out, and what comes is read by nobody */
	HOST_ABORTING, /* ... or aborted */
	HOST_GONE,     /* it has no socket any more: freed behind the events */
};

/* Bytes of one direction that wait for the user, or for a turn. There is memory while there are any. */
#define HOST_BYTES_MAX CORE_SOCKET_BYTES_MAX
struct host_bytes {
	uint8_t *p;
	uint32_t first, n;
};

struct host_stream {
	struct stream s;
	struct stream_host *h;
	struct host_stream *next;
	struct host_listener *by; /* accepted by it, which is to be told */
	int socket;
	enum host_stream_state state;
	struct host_bytes in, out;
	uint64_t deadline; /* to connect; to leave */
	int error;         /* why it has ended */
	bool is_up;        /* a turn saw that it stands */
	bool has_ended;    /* ... that no more comes, or that it failed */
	bool is_in_told;   /* readable, since the last read that found nothing */
	bool wants_room;   /* a write did not take all */
	bool has_shut;     /* leaving: all has been written */
};

struct host_listener {
	struct stream_listener l;
	struct stream_host *h;
	struct host_listener *next;
	int socket; /* -1: closed, freed behind the events */
	stream_accept_fn *accept;
	void *user;
	struct stream_refused refused;
};

struct stream_host {
	struct stream_carrier carrier;
	struct stream_host_calls calls;
	struct host_stream *streams;
	struct host_listener *listeners;
	bool wants_turn;
	bool is_telling; /* inside an event: nothing is freed */
};

/* --- stream_host_turn.c --- */

/* Moves what can be moved, of all. */
void host_turn(struct stream_host *h);
/* One call of a socket, with a visit of its own. */
int64_t host_call(struct stream_host *h, struct core_socket_call *c);
/* Inside a turn. */
int64_t host_call_inside(struct stream_host *h, struct core_socket_call *c);
/* Without a word of what waits; its number is -1 then. */
void host_socket_abort(struct stream_host *h, int *socket);
int host_set_ttl(struct stream_host *h, int socket, struct stream_ttl ttl);
/* 0 or -errno. */
int host_set_key(struct stream_host *h, int socket, struct ip4_prefix host, const struct stream_key *key);
size_t host_unacked(struct host_stream *hs);

/* --- stream_host.c --- */

struct host_stream *host_stream_new(struct stream_host *h, int socket, enum host_stream_state state);

/* --- stream_host_tell.c --- */

void host_tell(struct stream_host *h, uint64_t now);
/* What is gone, outside of events. */
void host_sweep(struct stream_host *h);

#endif
