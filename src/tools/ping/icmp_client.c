/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The client's side of a raw session: lines out, lines in, and Ctrl-C between
 * them. The two signals are blocked except while waiting, so none is missed.
 */
#include "tools/ping/icmp_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/run/worker.h"
#include "daemon/control/commands/command.h"

/* The one thing that a signal handler can write to. */
static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
	interrupted = 1;
}

static void take_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

int icmp_client_open(struct icmp_client *c, const char *program, const char *socket_path)
{
	const char *const request[] = { "raw" };
	char err[2304];

	c->n_lines = 0;
	if (control_client_open(&c->control, socket_path, 1, request, err, sizeof(err)) != 0) {
		fprintf(stderr, "%s: %s\n", program, err);
		return EXIT_USAGE;
	}
	take_signals();
	return 0;
}

void icmp_client_close(struct icmp_client *c)
{
	control_client_close(&c->control);
}

int icmp_client_send(struct icmp_client *c, const struct icmp_request *rq)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "send %u %u %u %u %u %u %u\n", rq->dst, rq->seq, rq->data_len, rq->ttl,
			 rq->tos, rq->df, rq->zone);

	return control_client_send(&c->control, line, (size_t)n);
}

/* One line of the server's; false when it is none that we know. */
static bool parse_answer(const char *line, struct icmp_answer *a)
{
	unsigned seq, from, type, code, ttl, len, info;

	*a = (struct icmp_answer){ 0 };
	if (sscanf(line, "got %u %u %u %u %u %u %u %" SCNu64, &seq, &from, &type, &code, &ttl, &len, &info,
		   &a->time_ns) == 8) {
		a->kind = ICMP_ANSWER_GOT;
		a->from = from;
		a->type = (uint8_t)type;
		a->code = (uint8_t)code;
		a->ttl = (uint8_t)ttl;
		a->len = (uint16_t)len;
		a->info = info;
	} else if (sscanf(line, "sent %u %" SCNu64, &seq, &a->time_ns) == 2) {
		a->kind = ICMP_ANSWER_SENT;
	} else if (sscanf(line, "failed %u %d", &seq, &a->error) == 2) {
		a->kind = ICMP_ANSWER_FAILED;
	} else {
		return false;
	}
	a->seq = (uint16_t)seq;
	return true;
}

/* A whole line that has come already. */
static bool take_line(struct icmp_client *c, struct icmp_answer *a)
{
	char *end;
	bool found = false;

	while (!found && (end = memchr(c->lines, '\n', c->n_lines)) != NULL) {
		*end = '\0';
		found = parse_answer(c->lines, a);
		size_t used = (size_t)(end + 1 - c->lines);
		memmove(c->lines, end + 1, c->n_lines - used);
		c->n_lines -= used;
	}
	return found;
}

/* Moves one frame's text to the lines. 0 when there is none, -1 at the end. */
static int take_frame(struct icmp_client *c)
{
	struct proto_view v;
	int rc = proto_reader_next(&c->control.reader, &v);

	if (rc <= 0)
		return rc < 0 ? -1 : 0;
	if (v.type == PROTO_ERR)
		fprintf(stderr, "%.*s", (int)v.len, (const char *)v.payload);
	if (v.type == PROTO_EXIT)
		return -1;
	if (v.type == PROTO_OUT) {
		/* A frame holds the answers of one turn of the gateway, which fit. */
		size_t n = v.len < sizeof(c->lines) - c->n_lines ? v.len : sizeof(c->lines) - c->n_lines;
		memcpy(c->lines + c->n_lines, v.payload, n);
		c->n_lines += n;
	}
	return 1;
}

/* Until something can be read; the kind is NONE then. */
static enum icmp_answer_kind wait_input(struct icmp_client *c, uint64_t deadline)
{
	struct pollfd fd = { .fd = c->control.fd, .events = POLLIN };
	struct timespec timeout = { 0 };
	uint64_t now = worker_clock();
	sigset_t none;

	sigemptyset(&none);
	if (deadline > now) {
		timeout.tv_sec = (time_t)((deadline - now) / NS_PER_S);
		timeout.tv_nsec = (long)((deadline - now) % NS_PER_S);
	}
	int n = ppoll(&fd, 1, deadline == TIME_NEVER ? NULL : &timeout, &none);
	if (interrupted)
		return ICMP_ANSWER_INTERRUPTED;
	if (n <= 0)
		return ICMP_ANSWER_NONE;
	return control_client_read(&c->control) > 0 ? ICMP_ANSWER_GOT : ICMP_ANSWER_END;
}

struct icmp_answer icmp_client_next(struct icmp_client *c, uint64_t deadline)
{
	struct icmp_answer a;

	for (;;) {
		if (take_line(c, &a))
			return a;
		int rc = take_frame(c);
		if (rc < 0)
			return (struct icmp_answer){ .kind = ICMP_ANSWER_END };
		if (rc > 0)
			continue;
		enum icmp_answer_kind kind = wait_input(c, deadline);
		if (kind != ICMP_ANSWER_GOT)
			return (struct icmp_answer){ .kind = kind };
	}
}

bool icmp_client_resolve(const char *program, const char *host, uint32_t *addr)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_RAW }, *list;
	size_t len = strlen(host);

	if (ip4_parse(host, len, addr) == len)
		return true;
	int rc = getaddrinfo(host, NULL, &hints, &list);
	if (rc != 0) {
		fprintf(stderr, "%s: %s: %s\n", program, host, gai_strerror(rc));
		return false;
	}
	*addr = ntohl(((struct sockaddr_in *)(void *)list->ai_addr)->sin_addr.s_addr);
	freeaddrinfo(list);
	return true;
}
