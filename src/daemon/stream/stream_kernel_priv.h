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
#include "daemon/stream/stream_refused.h"

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

struct kernel_listener {
	struct stream_listener l;
	struct stream_kernel *k;
	struct kernel_listener *next, **prev;
	int fd;
	uint16_t port;
	struct event *in;
	stream_accept_fn *accept;
	void *user;
	struct stream_refused refused;
};

/* Hosts whose segments had a wrong digest, or none; and the keys by which that is known. */
#define KERNEL_WRONG_MAX 1024
#define KERNEL_KEYS_MAX 1024
struct kernel_digests {
	int fd; /* negative: nothing is known */
	struct event *in;
	bool is_short; /* there were more than fit */
	uint32_t n_keys, n_hosts;
	struct kernel_key {
		struct ip4_prefix host;
		struct stream_key key;
	} key[KERNEL_KEYS_MAX];
	struct kernel_wrong {
		uint32_t addr;
		uint64_t n_wrong;
	} host[KERNEL_WRONG_MAX];
};

struct stream_kernel {
	struct stream_carrier carrier;
	struct event_base *base;
	struct stream_kernel_user user;
	struct kernel_stream *streams;
	struct kernel_listener *listeners;
	struct kernel_digests digests;
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

static inline uint64_t kernel_now(const struct stream_kernel *k)
{
	return k->user.clock();
}

static inline void kernel_told(const struct stream_kernel *k)
{
	if (k->user.told != NULL)
		k->user.told(k->user.user);
}

/* fd is taken over if there is memory. NULL: there is none, or no descriptor for the loop. */
struct kernel_stream *kernel_stream_new(struct stream_kernel *k, int fd, enum kernel_stream_state state);
void kernel_stream_abort(struct kernel_stream *ks);
/* From here on what comes is told. */
void kernel_stream_listen_in(struct kernel_stream *ks);

/* --- stream_kernel_digests.c --- */

void kernel_digests_begin(struct stream_kernel *k);
void kernel_digests_end(struct stream_kernel *k);
/* Segments of these hosts are to have this key; an empty one: none. */
void kernel_digests_key(struct kernel_digests *d, struct ip4_prefix host, const struct stream_key *key);
/* For the carrier's table. */
struct stream_digests kernel_digests(struct stream_carrier *c, uint32_t remote);

/* --- stream_kernel_listen.c: for the carrier's table --- */

int kernel_listen(struct stream_carrier *c, const struct stream_listen *how, struct stream_listener **out);
void kernel_unlisten(struct stream_listener *l);
int kernel_listen_key(struct stream_listener *l, struct ip4_prefix from, const struct stream_key *key);

#endif
