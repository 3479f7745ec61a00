/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A raw ICMP socket on a running gateway's stack, from another process: what
 * ping and traceroute stand on. See src/daemon/control/commands/cmd_ping.c for what goes over.
 */
#ifndef YG_TOOLS_PING_ICMP_CLIENT_H
#define YG_TOOLS_PING_ICMP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip4.h"
#include "daemon/control/server/client.h"

struct icmp_client {
	struct control_client control;
	char lines[4096]; /* text that has come and is not used up */
	size_t n_lines;
};

struct icmp_request {
	uint32_t dst;
	uint16_t seq, data_len;
	uint8_t ttl, tos;
	bool df;
	uint16_t zone; /* by whose routing table */
};

enum icmp_answer_kind {
	ICMP_ANSWER_SENT,        /* seq, time_ns */
	ICMP_ANSWER_FAILED,      /* seq, error */
	ICMP_ANSWER_GOT,         /* all */
	ICMP_ANSWER_NONE,        /* the deadline has passed */
	ICMP_ANSWER_INTERRUPTED, /* SIGINT or SIGTERM */
	ICMP_ANSWER_END,         /* the gateway is gone */
};

struct icmp_answer {
	enum icmp_answer_kind kind;
	uint64_t time_ns; /* of the gateway's clock */
	int error;
	uint32_t from, info;
	uint16_t seq, len;
	uint8_t type, code, ttl;
};

/* 0, or an exit status after a message. Takes over SIGINT and SIGTERM. */
int icmp_client_open(struct icmp_client *c, const char *program, const char *socket_path);
void icmp_client_close(struct icmp_client *c);
int icmp_client_send(struct icmp_client *c, const struct icmp_request *rq);
/* The next answer, at the latest at deadline (CLOCK_MONOTONIC). */
struct icmp_answer icmp_client_next(struct icmp_client *c, uint64_t deadline);

/* A name or address; false after a message. */
bool icmp_client_resolve(const char *program, const char *host, uint32_t *addr);

#endif
