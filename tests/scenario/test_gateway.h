/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A gateway's host with sockets, behind one worker or several with connection tracking, source NAT
 * and ten rules: what the tests of sockets and the bench both talk to. All of it runs in the
 * caller's thread, and is given its time.
 */
#ifndef YG_TESTS_TEST_GATEWAY_H
#define YG_TESTS_TEST_GATEWAY_H

#include "core/workers/workers.h"

#define TEST_GATEWAY_IFINDEX 1u

struct config;
struct snapshot;

struct test_gateway {
	struct workers *workers;
	uint32_t n; /* workers; the host is the member behind them */
	uint64_t now;
	struct rng *order; /* draws who is first in each round; NULL: the workers as they are numbered, then the host */
	struct config *config;
	struct snapshot *snapshot;
};

/* Interface eth0 has n_addresses from addr on, in a network of prefix_len; device[i] is worker i's handle of it. 0, or
 * it has said on stderr what is wrong. */
int test_gateway_start(struct test_gateway *g, uint32_t n, uint32_t addr, uint32_t n_addresses, uint32_t prefix_len,
		       const struct gateway_limits *limits, uint64_t now, struct device *const *device);
void test_gateway_end(struct test_gateway *g);
struct env *test_gateway_env(const struct test_gateway *g, uint32_t member);
/* The clock is there: what is due. */
void test_gateway_at(struct test_gateway *g, uint64_t now);
uint64_t test_gateway_next(const struct test_gateway *g);
/* Frames that this worker's device has received. */
void test_gateway_input(struct test_gateway *g, uint32_t worker, struct batch *b);
/* Behind calls of the host's sockets: what they have left to be done, until nothing moves. */
void test_gateway_flush(struct test_gateway *g);

#endif
