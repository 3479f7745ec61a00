/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `raw`: a raw ICMP socket on the gateway's own stack for a program at the
 * other end of the control socket (ping, traceroute). Both times of a round
 * trip are taken in a worker, so they do not measure the control socket, nor the way
 * between the host and a worker: `sent` tells first when the host sent it, and once more when
 * the worker did.
 *
 * Lines from the client:  send DST SEQ DATA-LEN TTL TOS DF ZONE
 * Lines to the client:    sent SEQ TIME | failed SEQ ERRNO |
 *                         got SEQ FROM TYPE CODE TTL LEN INFO TIME
 * Numbers are decimal, addresses too, times in nanoseconds.
 */
#include "daemon/control/commands/cmd_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Unread bytes beyond which replies wait in the socket's own queue. */
#define BACKLOG_MAX (64u * 1024)

struct raw_state {
	const struct control_target *target;
	int socket; /* below 0: not open, -errno */
	/* one request */
	struct ping_request request;
	uint64_t sent_ns;
	int result;
	/* replies */
	size_t n;
	struct ping_message message[PING_SOCKET_QUEUE_MAX];
};

static void do_open(void *arg)
{
	struct raw_state *s = arg;

	s->socket = s->target->ping_socket_open(s->target->ctx);
}

static void do_close(void *arg)
{
	struct raw_state *s = arg;

	s->target->ping_socket_close(s->target->ctx, s->socket);
}

static void do_send(void *arg)
{
	struct raw_state *s = arg;

	s->sent_ns = target_host(s->target)->env->now;
	s->result = s->target->ping_socket_send(s->target->ctx, s->socket, &s->request);
}

static void do_receive(void *arg)
{
	struct raw_state *s = arg;

	for (s->n = 0; s->n < PING_SOCKET_QUEUE_MAX; s->n++)
		if (!ping_socket_receive(target_host(s->target)->raw, s->socket, &s->message[s->n]))
			return;
}

static int raw_start(struct command_call *c)
{
	struct raw_state *s = c->state;

	s->target = c->target;
	target_call_host(c->target, do_open, s);
	if (s->socket < 0) {
		command_error(c, "the gateway has no raw socket left (%d are open)\n", PING_SOCKETS_MAX);
		return EXIT_USAGE;
	}
	return COMMAND_WAIT;
}

static int raw_replies(struct command_call *c)
{
	struct raw_state *s = c->state;

	if (c->backlog(c->carrier) > BACKLOG_MAX)
		return COMMAND_MORE;
	target_call_host(c->target, do_receive, s);
	for (size_t i = 0; i < s->n; i++) {
		const struct ping_message *m = &s->message[i];

		if (m->is_sent) {
			command_printf(c, "sent %u %" PRIu64 "\n", m->seq, m->received_ns);
			continue;
		}
		command_printf(c, "got %u %" PRIu32 " %u %u %u %u %" PRIu32 " %" PRIu64 "\n", m->seq, m->from, m->type,
			       m->code, m->ttl, m->len, m->info, m->received_ns);
	}
	return COMMAND_WAIT;
}

static int raw_line(struct command_call *c, const char *line)
{
	struct raw_state *s = c->state;
	unsigned dst, seq, len, ttl, tos, df, zone;
	char end;

	int n = sscanf(line, "send %u %u %u %u %u %u %u%c", &dst, &seq, &len, &ttl, &tos, &df, &zone, &end);
	if (n != 7 || zone > UINT16_MAX || seq > UINT16_MAX || len > 65507 || ttl > 255 || tos > 255 || df > 1) {
		command_error(c, "raw: \"%.80s\" is not: send DST SEQ DATA-LEN TTL TOS DF ZONE\n", line);
		return EXIT_USAGE;
	}
	s->request = (struct ping_request){
		.dst = dst,
		.seq = (uint16_t)seq,
		.data_len = (uint16_t)len,
		.ttl = (uint8_t)ttl,
		.tos = (uint8_t)tos,
		.df = df != 0,
		.zone = (uint16_t)zone,
	};
	target_call_host(c->target, do_send, s);
	if (s->result == 0)
		command_printf(c, "sent %u %" PRIu64 "\n", seq, s->sent_ns);
	else
		command_printf(c, "failed %u %d\n", seq, -s->result);
	/* What we sent to ourselves may be answered already. */
	return raw_replies(c);
}

static void raw_end(struct command_call *c)
{
	struct raw_state *s = c->state;

	if (s->target != NULL && s->socket >= 0)
		target_call_host(c->target, do_close, s);
}

const struct command cmd_ping_socket = {
	.info = {
		.name = "raw",
		.synopsis = "",
		.help = "a raw ICMP socket on the gateway's stack, for ping and traceroute",
	},
	.hidden = true,
	.state_bytes = sizeof(struct raw_state),
	.start = raw_start,
	.more = raw_replies,
	.line = raw_line,
	.raw = raw_replies,
	.end = raw_end,
};
