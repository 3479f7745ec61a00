/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the kernel's streams share: stream_kernel.c (connections), stream_kernel_listen.c (where
 * they come in), stream_kernel_options.c (what is asked of a socket).
 */
#ifndef YG_DAEMON_STREAM_STREAM_KERNEL_PRIV_H
#define YG_DAEMON_STREAM_STREAM_KERNEL_PRIV_H

#include <event2/event.h>

#include "base/util.h"
#include "daemon/stream/stream_kernel.h"

enum kernel_stream_state {
	KERNEL_CONNECTING,
	KERNEL_OPEN,
	KERNEL_OVER,    /* the user knows, or will in a moment */
	KERNEL_LEAVING, /* the user has closed it; what was written goes out */
};

struct kernel_stream {
	struct stream s;
	struct stream_kernel *k;
	struct kernel_stream *next, **prev;
	int fd;
	enum kernel_stream_state state;
	struct event *in, *out; /* one shot each: rearmed when there is something to wait for */
	struct event *timer;    /* the deadline to connect; what is to be told soon; the end of leaving */
	int error;              /* why it is over; 0: the peer has closed it */
	bool wants_room;        /* a write did not take all */
	bool in_event, is_gone; /* the user closed it from within an event: freed behind that */
};

#define KERNEL_REFUSED_MAX 64
struct kernel_listener {
	struct stream_listener l;
	struct stream_kernel *k;
	struct kernel_listener *next, **prev;
	int fd;
	struct event *in;
	stream_accept_fn *accept;
	void *user;
	/* Whose key could not be set: they may not come in without one. */
	uint32_t n_refused;
	struct ip4_prefix refused[KERNEL_REFUSED_MAX];
	bool refuses_all; /* more of them than fit */
};

struct stream_kernel {
	struct stream_carrier carrier;
	struct event_base *base;
	uint64_t (*clock)(void);
	struct kernel_stream *streams;
	struct kernel_listener *listeners;
};

/* --- stream_kernel_options.c: each 0 or -errno --- */

int kernel_option_ttl(int fd, struct stream_ttl ttl);
/* Segments from and to these hosts have a digest by this key (RFC 2385); an empty one: none has any more. */
int kernel_option_key(int fd, struct ip4_prefix host, const struct stream_key *key);
/* Not before its address is set up: what a socket of ours has in any case. */
int kernel_option_common(int fd);
/* Its ends as the kernel has them. */
void kernel_stream_ends(struct kernel_stream *ks);

/* --- stream_kernel.c --- */

/* fd is taken over if there is memory. NULL: there is none, or no descriptor for the loop. */
struct kernel_stream *kernel_stream_new(struct stream_kernel *k, int fd, enum kernel_stream_state state);
void kernel_stream_abort(struct kernel_stream *ks);
/* From here on what comes is told. */
void kernel_stream_listen_in(struct kernel_stream *ks);

/* --- stream_kernel_listen.c: for the carrier's table --- */

int kernel_listen(struct stream_carrier *c, const struct stream_listen *how, struct stream_listener **out);
void kernel_unlisten(struct stream_listener *l);
int kernel_listen_key(struct stream_listener *l, struct ip4_prefix from, const struct stream_key *key);

#endif
