/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Streams over the TCP of the gateway's own host (routing/stream/stream.h): what a gateway that owns its addresses
 * speaks BGP by. The host's sockets live in its thread, the streams' user in another. So a stream has bytes of both
 * directions here, and one visit to that thread (a turn) moves all of them: what a session writes costs no visit of its
 * own, however many messages it is.
 *
 * Nothing here waits but for that visit, and no event is told but by stream_host_work.
 */
#ifndef YG_DAEMON_STREAM_STREAM_HOST_H
#define YG_DAEMON_STREAM_STREAM_HOST_H

#include "routing/stream/stream.h"

struct core_socket_call;
struct sockets;
struct stream_host;

/* The way to the host. */
struct stream_host_calls {
	void *ctx;
	/* Runs fn in the host's thread and waits for it. */
	void (*run)(void *ctx, void (*fn)(void *arg), void *arg);
	/* Inside run: core_socket_do, written down where something is recorded. */
	int64_t (*call)(void *ctx, struct core_socket_call *c);
	struct sockets *sockets; /* inside run, to be asked */
};

/* NULL without memory. */
struct stream_host *stream_host_create(const struct stream_host_calls *calls);
struct stream_carrier *stream_host_carrier(struct stream_host *h);
/* Its user has closed or aborted all streams and listeners. Those that still wait for their peers' ends are aborted.
 * NULL is allowed. */
void stream_host_destroy(struct stream_host *h);

/* The host has said that something happened to a socket (sockets_set_told). The user's thread. */
void stream_host_told(struct stream_host *h);
/* A turn, if something happened or is to be done, and the events that follow from it. */
void stream_host_work(struct stream_host *h, uint64_t now);
/* When it is to be called next: 0 at once, TIME_NEVER not before stream_host_told. */
uint64_t stream_host_next_deadline(const struct stream_host *h);

#endif
