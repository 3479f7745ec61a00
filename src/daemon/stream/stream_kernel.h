/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Streams over the kernel's TCP (routing/stream/stream.h), for a gateway in a network
 * namespace whose kernel has the addresses: `bgp { transport kernel; }`. Runs in the
 * thread of a loop of libevent's; never waits.
 */
#ifndef YG_DAEMON_STREAM_STREAM_KERNEL_H
#define YG_DAEMON_STREAM_STREAM_KERNEL_H

#include "routing/stream/stream.h"

struct event_base;
struct stream_kernel;

struct stream_kernel_user {
	uint64_t (*clock)(void);  /* the user's, in nanoseconds */
	void (*told)(void *user); /* an event has been told: what is behind it may be done now. NULL: nothing */
	void *user;
};

/* NULL without memory. */
struct stream_kernel *stream_kernel_create(struct event_base *base, const struct stream_kernel_user *user);
struct stream_carrier *stream_kernel_carrier(struct stream_kernel *k);
/* Its user has closed or aborted all streams and listeners. What still goes out of those that were closed is the
 * kernel's to send. NULL is allowed. */
void stream_kernel_destroy(struct stream_kernel *k);

#endif
