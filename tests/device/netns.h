/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Three network namespaces of this process's own, also as an ordinary user, with
 * two of our devices in the middle:
 *
 *      namespace a              namespace gw                           namespace b
 *    10.0.0.1 a0 ----------- r0  <- a bridge of two devices ->  r1 ----------- b0 10.0.0.2
 *
 * The bridge hands every frame on as it is, so the kernels of a and b talk to
 * each other through our rx and tx with whatever they leave unfinished. One
 * process serves all: a socket stays in the namespace that made it.
 */
#ifndef YG_TESTS_DEVICE_NETNS_H
#define YG_TESTS_DEVICE_NETNS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/ip4.h"
#include "base/util.h"
#include "daemon/device/open.h"

#define NETNS_PATIENCE_MS 10000 /* an event that does not come by then is a failure */
#define NETNS_ADDR_A IP4(10, 0, 0, 1)
#define NETNS_ADDR_B IP4(10, 0, 0, 2)

enum netns_place { NETNS_GW, NETNS_A, NETNS_B, N_NETNS_PLACES };

struct netns_fixture {
	int ns[N_NETNS_PLACES];
	struct packet_pool *pool;
	struct ledger ledger;
	struct device *dev[2]; /* r0, r1 */
	struct batch batch;
	/* what the bridge saw */
	uint32_t largest; /* frame, bytes */
	uint64_t n_gso, n_partial;
	uint64_t n_bad_gso; /* with fields that do not fit */
};

/* Into a user namespace; exits with 77 (skipped) where the system forbids it. */
void netns_enter(void);
/* Into a network namespace, as root outside of user namespaces; exits with 77 where we are not. */
void netns_enter_as_root(void);
/* The fixture without devices; they are closed by netns_end, which checks the law. */
struct netns_fixture *netns_make(void);
void netns_take(struct netns_fixture *w, int i, struct device *d);
void netns_end(struct netns_fixture *w);
/* For cmocka: each test begins with new namespaces, devices, pool and ledger,
 * and at its end the law of conservation must hold. */
int netns_set_up(void **state);
int netns_tear_down(void **state);
#define NETNS_TEST(f) cmocka_unit_test_setup_teardown(f, netns_set_up, netns_tear_down)

/* What is made from now on (sockets, commands) is made there. */
void netns_go(struct netns_fixture *w, enum netns_place p);
/* A shell command, where we are. */
int netns_run(const char *fmt, ...) YG_PRINTF(1, 2);
uint64_t netns_now_ms(void);

/* One round of both directions; the number of frames moved. */
uint32_t netns_bridge(struct netns_fixture *w);
/* Frees what rx gave, counted as delivered. */
void netns_deliver(struct netns_fixture *w);
/* A raw socket at the kernel's own end of a link. */
int netns_raw_socket(struct netns_fixture *w, enum netns_place where, const char *ifname);
/* Waits for the frame that has these bytes at off; the rest is delivered. The
 * caller frees and counts it. */
struct packet *netns_receive(struct netns_fixture *w, struct device *d, uint32_t off, const void *bytes, uint32_t len);

/* A TCP stream from the kernel of a to that of b, through the bridge. */
struct netns_stream {
	int listener, from, to;
	uint64_t n_sent, n_received, n_bytes;
	uint8_t out[1 << 18], in[1 << 18];
};

void netns_stream_start(struct netns_fixture *w, struct netns_stream *s, uint64_t n_bytes);
/* Moves on as far as it goes without waiting. Fails on a wrong byte. */
void netns_stream_step(struct netns_stream *s);
/* Runs stream and bridge until n bytes have arrived. */
void netns_stream_until(struct netns_fixture *w, struct netns_stream *s, uint64_t n);
void netns_stream_end(struct netns_fixture *w, struct netns_stream *s);

#endif
