/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is done over and over on a pair of stacks, and timed (bench/tcp.c). Each load is made for one
 * row and runs until it is ended.
 */
#ifndef YG_BENCH_TCP_LOAD_H
#define YG_BENCH_TCP_LOAD_H

#include "pair.h"

enum load_calls { LOAD_COPY, LOAD_IN_PLACE };

struct load_config {
	struct pair_config pair;
	enum load_calls calls; /* of bulk */
	uint32_t n;            /* connections in progress, or kept; datagrams at once */
	uint32_t n_idle;       /* connections beside them */
};

struct load;

/* Bytes of one connection. */
struct load *bulk_start(const struct load_config *c);
uint64_t bulk_round(struct load *l);
/* Connections: open, 64 bytes each way, FIN both ways, TIME_WAIT. */
struct load *connections_start(const struct load_config *c);
uint64_t connections_round(struct load *l);
/* 64 bytes there and back on kept connections. */
struct load *requests_start(const struct load_config *c);
uint64_t requests_round(struct load *l);
/* The same over UDP. */
struct load *echo_start(const struct load_config *c);
uint64_t echo_round(struct load *l);

void load_end(struct load *l);

/* --- connections at rest, each end a socket of the library's --- */

/* Keepalive is on at one of their ends, and they were opened over the time after which it asks. */
struct load *idle_start(const struct load_config *c);
/* That time goes by: nanoseconds. Ends the program if a connection was lost, or not asked about. */
uint64_t idle_round(struct load *l);

#endif
