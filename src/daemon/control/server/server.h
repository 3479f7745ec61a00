/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The control socket of a running gateway, on libevent, in the control thread.
 */
#ifndef YG_DAEMON_CONTROL_SERVER_SERVER_H
#define YG_DAEMON_CONTROL_SERVER_SERVER_H

#include <stddef.h>

#include "base/event.h"
#include "daemon/control/commands/target.h"

#define CONTROL_SESSIONS_MAX 64 /* commands at a time; one more, and the one that has been idle longest is dropped */

struct event_base; /* libevent's */
struct control_server;

/* Binds path and listens; answers from the next turn of the loop on. target
 * must outlive it. The socket of a gateway that was killed is replaced. 0; -EADDRINUSE when a
 * gateway answers there or it is another kind of file; -errno; and a sentence. */
int control_server_create(struct event_base *base, const char *path, const struct control_target *target,
			  struct control_server **out, char *err, size_t err_len);
/* Ends all sessions and removes the socket. */
void control_server_destroy(struct control_server *s);
/* To all who listen. */
void control_server_event(struct control_server *s, const struct yg_event *e);
/* Something arrived for a raw socket. */
void control_server_raw(struct control_server *s);
/* There are log records for whoever reads them. */
void control_server_log(struct control_server *s);
/* Sessions that still have something to say. */
size_t control_server_n_sessions(const struct control_server *s);
/* No more requests; sessions are closed as they drain. */
void control_server_shut(struct control_server *s);

#endif
