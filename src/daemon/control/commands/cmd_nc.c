/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `nc`: a TCP connection or UDP from and to the gateway's own addresses, which no
 * program of the machine has: whether a peer can be reached, and whether what comes to the
 * gateway gets through, past the same rules, connections and routes as all else.
 *
 * The socket is the host's. All calls of it are made in the host's thread, a turn at a
 * time: when something has happened to a socket, when lines have come, when the reader
 * has taken what was written. The client marks each line with a `>`, so that an empty
 * one is none; the unmarked one is the end.
 *
 * Text, not bytes: the client shows nothing that would steer a terminal.
 */
#include "daemon/control/commands/cmd_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/workers/core_socket.h"
#include "stack/socket/socket.h"

#define WAITING_MAX (256u * 1024) /* bytes to be sent, from which no more lines are taken */
#define BACKLOG_MAX (64u * 1024)  /* unread output, beyond which what comes waits in the socket */
#define TURN_BYTES 16384u

enum nc_phase { NC_LISTENING, NC_CONNECTING, NC_OPEN };

struct nc_state {
	const struct control_target *target;
	enum nc_phase phase;
	int type;             /* YG_SOCK_STREAM or DGRAM */
	int listener, socket; /* below 0: none */
	struct tcp_end local, remote;
	uint64_t timeout_ms, n_left; /* 0: none; messages that are waited for, 0: no end */
	bool lines_end, said_end, heard_end, takes_input;
	char *out; /* to be sent: n_out bytes from first_out on */
	size_t first_out, n_out, cap;
	/* One turn. */
	int error;
	const char *what;
	size_t n_in;
	char in[TURN_BYTES];
};

static const char *protocol_of(const struct nc_state *s)
{
	return s->type == YG_SOCK_STREAM ? "tcp" : "udp";
}

/* --- in the host's thread --- */

static int64_t call(struct nc_state *s, struct core_socket_call *c)
{
	return s->target->socket_call(s->target->ctx, c);
}

/* Remembers what failed. True: it did not. */
static bool did(struct nc_state *s, const char *what, int64_t rc)
{
	if (rc >= 0)
		return true;
	s->what = what;
	s->error = (int)-rc;
	return false;
}

static void close_one(struct nc_state *s, int *socket)
{
	struct core_socket_call c = { .op = CORE_SOCKET_CLOSE, .socket = *socket };

	if (*socket >= 0)
		(void)call(s, &c);
	*socket = -1;
}

static bool bind_local(struct nc_state *s, int socket)
{
	struct core_socket_call reuse = { .op = CORE_SOCKET_SET,
					  .socket = socket,
					  .arg = { YG_SOL_SOCKET, YG_SO_REUSEADDR, 1 } };
	struct core_socket_call c = { .op = CORE_SOCKET_BIND, .socket = socket, .end = s->local };

	if (s->local.port == 0 && s->local.addr.v4 == 0)
		return true;
	(void)call(s, &reuse);
	return did(s, "bind", call(s, &c));
}

static void do_open(void *arg)
{
	struct nc_state *s = arg;
	struct core_socket_call open = { .op = CORE_SOCKET_OPEN, .arg = { s->type } };
	int64_t n = call(s, &open);
	struct core_socket_call timeout = { .op = CORE_SOCKET_SET,
					    .socket = (int)n,
					    .arg = { YG_SOL_TCP, YG_TCP_USER_TIMEOUT, (int)s->timeout_ms } };

	if (!did(s, "socket", n))
		return;
	s->socket = (int)n;
	if (s->timeout_ms != 0 && s->type == YG_SOCK_STREAM)
		(void)call(s, &timeout);
	if (!bind_local(s, s->socket))
		return;
	if (s->phase == NC_LISTENING && s->type == YG_SOCK_STREAM) {
		struct core_socket_call listen = { .op = CORE_SOCKET_LISTEN, .socket = s->socket, .arg = { 1 } };

		if (did(s, "listen", call(s, &listen))) {
			s->listener = s->socket;
			s->socket = -1;
		}
		return;
	}
	struct core_socket_call connect = { .op = CORE_SOCKET_CONNECT, .socket = s->socket, .end = s->remote };

	if (s->phase == NC_LISTENING)
		return;
	int64_t rc = call(s, &connect);

	if (rc == -EINPROGRESS)
		return;
	if (did(s, "connect", rc))
		s->phase = NC_OPEN;
}

static void accept_one(struct nc_state *s)
{
	struct core_socket_call c = { .op = CORE_SOCKET_ACCEPT, .socket = s->listener };
	int64_t n = call(s, &c);

	if (n == -EAGAIN || !did(s, "accept", n))
		return;
	s->socket = (int)n;
	s->remote = c.end;
	s->phase = NC_OPEN;
	close_one(s, &s->listener);
}

static void look_whether_connected(struct nc_state *s)
{
	struct core_socket_call c = { .op = CORE_SOCKET_ERROR, .socket = s->socket };

	if ((socket_ready(target_host(s->target)->sockets, s->socket) & (YG_POLLOUT | YG_POLLERR | YG_POLLHUP)) == 0)
		return;
	if (did(s, "connect", -call(s, &c)))
		s->phase = NC_OPEN;
}

static void send_some(struct nc_state *s)
{
	while (s->n_out > 0) {
		size_t len = s->n_out < CORE_SOCKET_BYTES_MAX ? s->n_out : CORE_SOCKET_BYTES_MAX;
		const char *end = memchr(s->out + s->first_out, '\n', len);

		/* A line is a datagram. */
		if (s->type == YG_SOCK_DGRAM && end != NULL)
			len = (size_t)(end + 1 - (s->out + s->first_out));
		struct core_socket_call c = {
			.op = CORE_SOCKET_SEND, .socket = s->socket, .bytes = s->out + s->first_out, .len = len
		};
		int64_t n = call(s, &c);

		if (n == -EAGAIN || n == -ENOBUFS)
			return;
		if (!did(s, "send", n))
			return;
		s->first_out += (size_t)n;
		s->n_out -= (size_t)n;
	}
	struct core_socket_call fin = { .op = CORE_SOCKET_SHUTDOWN, .socket = s->socket, .arg = { YG_SHUT_WR } };

	if (s->lines_end && !s->said_end && s->type == YG_SOCK_STREAM)
		(void)call(s, &fin);
	s->said_end = s->lines_end;
}

/* The first datagram says whom to talk to. */
static void answer_who_asked(struct nc_state *s, const struct tcp_end *from)
{
	struct core_socket_call c = { .op = CORE_SOCKET_CONNECT, .socket = s->socket, .end = *from };

	s->remote = *from;
	if (did(s, "connect", call(s, &c)))
		s->phase = NC_OPEN;
}

static void receive_some(struct nc_state *s)
{
	struct core_socket_call c = {
		.op = CORE_SOCKET_RECV, .socket = s->socket, .into = s->in, .len = sizeof(s->in)
	};
	int64_t n = call(s, &c);

	if (n == -EAGAIN || !did(s, "receive", n))
		return;
	if (s->phase == NC_LISTENING)
		answer_who_asked(s, &c.end);
	s->n_in = (size_t)n;
	s->heard_end = n == 0 && s->type == YG_SOCK_STREAM;
	s->n_left -= s->n_left > 1;
}

/* What can be done now, without waiting. */
static void do_turn(void *arg)
{
	struct nc_state *s = arg;

	s->n_in = 0;
	if (s->listener >= 0)
		accept_one(s);
	if (s->phase == NC_CONNECTING && s->socket >= 0)
		look_whether_connected(s);
	if (s->error != 0 || s->socket < 0 || s->phase == NC_CONNECTING)
		return;
	if (s->phase == NC_OPEN)
		send_some(s);
	if (s->error == 0 && !s->heard_end)
		receive_some(s);
}

static void do_close(void *arg)
{
	struct nc_state *s = arg;

	close_one(s, &s->socket);
	close_one(s, &s->listener);
}

/* --- in the control thread --- */

static int failed(struct command_call *c)
{
	const struct nc_state *s = c->state;
	char addr[IP4_TEXT_MAX];

	if (strcmp(s->what, "connect") == 0)
		command_error(c, "nc: connect to %s port %u (%s) failed: %s\n", ip4_format(s->remote.addr.v4, addr),
			      s->remote.port, protocol_of(s), strerror(s->error));
	else
		command_error(c, "nc: %s: %s\n", s->what, strerror(s->error));
	return EXIT_FAILED;
}

/* Lines of either form; a reader's terminal would be told of the CR by a mark. */
static size_t without_cr(char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		if (text[i] != '\r')
			text[n++] = text[i];
	return n;
}

/* Turns until nothing more happens by itself. */
static int go_on(struct command_call *c)
{
	struct nc_state *s = c->state;
	char addr[IP4_TEXT_MAX];

	for (;;) {
		if (c->backlog(c->carrier) > BACKLOG_MAX)
			return COMMAND_MORE;
		enum nc_phase before = s->phase;

		target_call_host(c->target, do_turn, s);
		if (s->error != 0)
			return failed(c);
		if (s->phase == NC_OPEN && before == NC_CONNECTING && !s->takes_input) {
			command_error(c, "Connection to %s %u port [%s] succeeded!\n",
				      ip4_format(s->remote.addr.v4, addr), s->remote.port, protocol_of(s));
			return EXIT_OK;
		}
		if (s->n_in > 0) {
			c->write(c->carrier, PROTO_OUT, s->in, without_cr(s->in, s->n_in));
			if (s->n_left == 1)
				return EXIT_OK;
			continue;
		}
		/* Who has closed may still be told something. */
		return s->heard_end && (s->said_end || s->n_out == 0) ? EXIT_OK : COMMAND_WAIT;
	}
}

static bool parse_port(const char *text, uint16_t *port)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*port = (uint16_t)n;
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && n >= 1 && n <= 65535;
}

static bool parse_addr(const char *text, struct ip_addr *addr)
{
	uint32_t v4;

	if (ip4_parse(text, strlen(text), &v4) != strlen(text))
		return false;
	*addr = ip_addr_v4(v4);
	return true;
}

static bool read_words(struct command_call *c, struct nc_state *s)
{
	const struct args *a = &c->args;
	bool listens = args_has(a, "listen");
	const char *source = args_value(a, "source"), *port = args_value(a, "port");

	s->local = s->remote = (struct tcp_end){ ip_addr_v4(0), 0 };
	if ((source != NULL && !parse_addr(source, &s->local.addr)) ||
	    (port != NULL && !parse_port(port, &s->local.port)))
		return false;
	if (listens)
		return a->n_words == 1 && port == NULL && !args_has(a, "scan") &&
		       parse_port(a->word[0], &s->local.port);
	return a->n_words == 2 && parse_addr(a->word[0], &s->remote.addr) && parse_port(a->word[1], &s->remote.port);
}

static int nc_start(struct command_call *c)
{
	struct nc_state *s = c->state;
	uint64_t seconds = 0;
	char err[160];

	s->target = c->target;
	s->socket = s->listener = -1;
	s->type = args_has(&c->args, "udp") ? YG_SOCK_DGRAM : YG_SOCK_STREAM;
	s->phase = args_has(&c->args, "listen") ? NC_LISTENING : NC_CONNECTING;
	s->takes_input = !args_has(&c->args, "scan");
	if (!args_number(&c->args, "timeout", 1, 86400, &seconds, err, sizeof(err)) ||
	    !args_number(&c->args, "count", 1, UINT32_MAX, &s->n_left, err, sizeof(err))) {
		command_error(c, "nc: %s\n", err);
		return EXIT_USAGE;
	}
	/* 1 is the last one. */
	s->n_left += s->n_left != 0;
	s->timeout_ms = 1000 * seconds;
	if (!read_words(c, s)) {
		command_error(c, "nc: ADDRESS PORT, or -l PORT: an IPv4 address, and a port from 1 to 65535 (see: "
				 "yangguan nc --help)\n");
		return EXIT_USAGE;
	}
	target_call_host(c->target, do_open, s);
	return s->error != 0 ? failed(c) : go_on(c);
}

static bool nc_is_full(struct command_call *c)
{
	const struct nc_state *s = c->state;

	return s->n_out >= WAITING_MAX;
}

static bool append(struct nc_state *s, const char *text, size_t len)
{
	if (s->first_out > 0) {
		memmove(s->out, s->out + s->first_out, s->n_out);
		s->first_out = 0;
	}
	if (s->n_out + len > s->cap) {
		size_t cap = 2 * (s->n_out + len);
		char *out = realloc(s->out, cap);

		if (out == NULL)
			return false;
		s->out = out;
		s->cap = cap;
	}
	memcpy(s->out + s->n_out, text, len);
	s->n_out += len;
	return true;
}

static int nc_line(struct command_call *c, const char *line)
{
	struct nc_state *s = c->state;
	bool crlf = args_has(&c->args, "crlf");

	if (line[0] == '\0')
		s->lines_end = true;
	else if (!append(s, line + 1, strlen(line + 1)) || !append(s, crlf ? "\r\n" : "\n", crlf ? 2 : 1))
		return EXIT_FAILED;
	return go_on(c);
}

static void nc_end(struct command_call *c)
{
	struct nc_state *s = c->state;

	if (s->target == NULL)
		return;
	if (s->socket >= 0 || s->listener >= 0)
		target_call_host(c->target, do_close, s);
	free(s->out);
}

static const struct arg_option nc_options[] = {
	{ 'l', "listen", NULL, "wait for one to come, at PORT of the gateway's addresses" },
	{ 'u', "udp", NULL, "UDP; each line is a datagram" },
	{ 'z', "scan", NULL, "connect, say whether it was possible, and end" },
	{ 's', "source", "ADDRESS", "the gateway's address to use" },
	{ 'p', "port", "PORT", "the gateway's port to use (default: drawn)" },
	{ 'w', "timeout", "SECONDS", "TCP: how long the other end may be silent to what is sent" },
	{ 'c', "count", "N", "end when so much has come: reads of TCP, datagrams of UDP" },
	{ 'C', "crlf", NULL, "lines that are sent end in CR LF" },
	OPTION_SOCKET,
	{ 0 },
};

const struct command cmd_nc = {
	.info = {
		.name = "nc",
		.synopsis = "[OPTIONS] ADDRESS PORT  |  -l [OPTIONS] PORT",
		.help = "TCP and UDP from and to the gateway's own addresses",
		.options = nc_options,
		.more = "Sends the lines of standard input and prints what comes. It is a socket of the gateway's own host, so\n"
			"packets pass the INPUT and OUTPUT rules, connection tracking and routes of the gateway. At the end of\n"
			"the lines the connection is closed in that direction; the command ends when the other end closes too.\n"
			"It is for text: control characters are not shown.",
		.example = "  yangguan nc -z -w 3 203.0.113.254 179\n"
			   "  Connection to 203.0.113.254 179 port [tcp] succeeded!\n"
			   "  printf 'GET / HTTP/1.0\\n\\n' | yangguan nc -C 203.0.113.254 80\n"
			   "  yangguan nc -l 5201 </dev/null",
	},
	.marked_lines = "scan",
	.state_bytes = sizeof(struct nc_state),
	.start = nc_start,
	.more = go_on,
	.line = nc_line,
	.full = nc_is_full,
	.raw = go_on,
	.end = nc_end,
};
