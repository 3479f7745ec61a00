/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What somebody beside the core asks of the host's sockets, as a value: a command of a
 * running gateway, which stands in no recording, so each call of it does (core_api.h).
 * Rooms of the core need none of this: what they do follows from what came in.
 *
 * No call waits.
 */
#ifndef YG_CORE_WORKERS_CORE_SOCKET_H
#define YG_CORE_WORKERS_CORE_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stack/transport/tcp.h"

struct sockets;

enum core_socket_op {
	CORE_SOCKET_OPEN, /* arg: type, protocol */
	CORE_SOCKET_CLOSE,
	CORE_SOCKET_BIND,     /* end */
	CORE_SOCKET_LISTEN,   /* arg: backlog */
	CORE_SOCKET_ACCEPT,   /* end is the other one's */
	CORE_SOCKET_CONNECT,  /* end */
	CORE_SOCKET_SHUTDOWN, /* arg: how */
	CORE_SOCKET_SEND,     /* bytes, len; to where it is connected */
	CORE_SOCKET_RECV,     /* into, len; end is the sender's, of a datagram */
	CORE_SOCKET_SET,      /* arg: level, name, value: an int */
	CORE_SOCKET_OPTION,   /* arg: level, name; bytes, len: a value of another kind */
	CORE_SOCKET_ERROR,    /* returns the positive errno, and forgets it */
	N_CORE_SOCKET_OPS
};
extern const char *const core_socket_op_names[N_CORE_SOCKET_OPS];

#define CORE_SOCKET_BYTES_MAX 65536u /* of SEND, RECV and OPTION */

struct core_socket_call {
	enum core_socket_op op;
	int socket; /* of all but OPEN */
	int arg[3];
	struct tcp_end end;
	const void *bytes;
	void *into;
	size_t len;
};

/* The call has bytes of the caller's, which a recording has to keep. */
static inline bool core_socket_says(enum core_socket_op op)
{
	return op == CORE_SOCKET_SEND || op == CORE_SOCKET_OPTION;
}

/* A number, a count or 0, or -errno. Constants are those of stack/socket/abi.h. */
int64_t core_socket_do(struct sockets *ss, struct core_socket_call *call);

#endif
