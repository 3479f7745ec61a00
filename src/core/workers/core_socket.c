/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Calls of sockets as values. One function does them for whoever makes them and for a
 * replay, so that the two cannot differ.
 */
#include "core/workers/core_socket.h"

#include <errno.h>

#include "stack/socket/socket.h"

const char *const core_socket_op_names[N_CORE_SOCKET_OPS] = {
	[CORE_SOCKET_OPEN] = "open",         [CORE_SOCKET_CLOSE] = "close",   [CORE_SOCKET_BIND] = "bind",
	[CORE_SOCKET_LISTEN] = "listen",     [CORE_SOCKET_ACCEPT] = "accept", [CORE_SOCKET_CONNECT] = "connect",
	[CORE_SOCKET_SHUTDOWN] = "shutdown", [CORE_SOCKET_SEND] = "send",     [CORE_SOCKET_RECV] = "recv",
	[CORE_SOCKET_SET] = "set",           [CORE_SOCKET_ERROR] = "error",   [CORE_SOCKET_OPTION] = "option",
};

static struct yg_sockaddr_in name_of(const struct tcp_end *e)
{
	return (struct yg_sockaddr_in){ .family = YG_AF_INET, .port = be16_of(e->port), .addr = be32_of(e->addr.v4) };
}

static void end_of(const struct yg_sockaddr_in *in, struct tcp_end *e)
{
	*e = (struct tcp_end){ ip_addr_v4(be32_get(in->addr)), be16_get(in->port) };
}

static int64_t do_named(struct sockets *ss, struct core_socket_call *c)
{
	struct yg_sockaddr_in in = name_of(&c->end);
	uint32_t len = sizeof(in);
	int64_t rc;

	switch (c->op) {
	case CORE_SOCKET_BIND:
		return socket_bind(ss, c->socket, &in, sizeof(in));
	case CORE_SOCKET_CONNECT:
		return socket_connect(ss, c->socket, &in, sizeof(in));
	case CORE_SOCKET_ACCEPT:
		rc = socket_accept(ss, c->socket, &in, &len, YG_SOCK_NONBLOCK);
		break;
	default:
		rc = socket_recvfrom(ss, c->socket, c->into, c->len, YG_MSG_DONTWAIT, &in, &len);
		break;
	}
	/* A stream says no sender. */
	if (rc >= 0 && len == sizeof(in))
		end_of(&in, &c->end);
	return rc;
}

static int64_t take_error(struct sockets *ss, int socket)
{
	int error = 0;
	uint32_t len = sizeof(error);
	int rc = socket_get_option(ss, socket, YG_SOL_SOCKET, YG_SO_ERROR, &error, &len);

	return rc != 0 ? rc : error;
}

int64_t core_socket_do(struct sockets *ss, struct core_socket_call *c)
{
	switch (c->op) {
	case CORE_SOCKET_OPEN:
		return socket_open(ss, YG_AF_INET, c->arg[0] | YG_SOCK_NONBLOCK, c->arg[1]);
	case CORE_SOCKET_CLOSE:
		return socket_close(ss, c->socket);
	case CORE_SOCKET_LISTEN:
		return socket_listen(ss, c->socket, c->arg[0]);
	case CORE_SOCKET_SHUTDOWN:
		return socket_shutdown(ss, c->socket, c->arg[0]);
	case CORE_SOCKET_SEND:
		return socket_send(ss, c->socket, c->bytes, c->len, YG_MSG_DONTWAIT | YG_MSG_NOSIGNAL);
	case CORE_SOCKET_SET:
		return socket_set_option(ss, c->socket, c->arg[0], c->arg[1], &c->arg[2], sizeof(c->arg[2]));
	case CORE_SOCKET_OPTION:
		return socket_set_option(ss, c->socket, c->arg[0], c->arg[1], c->bytes, (uint32_t)c->len);
	case CORE_SOCKET_ERROR:
		return take_error(ss, c->socket);
	default:
		return do_named(ss, c);
	}
}
