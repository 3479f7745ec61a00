/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A router between two hosts, each in a namespace of its own, for the programs on
 * real devices:
 *
 *      client                  router (this test)                 server
 *    10.0.0.1 c0 ----------- r0  <- the kernel's program ->  r1 ----------- s0 10.1.0.2
 *
 * All that goes up goes into the TAP device up0.
 */
#ifndef YG_TESTS_FASTPATH_NETNS_FIXTURE_H
#define YG_TESTS_FASTPATH_NETNS_FIXTURE_H

#include "stack/wire/wire_test.h"

#include <bpf/bpf.h>

#include "daemon/fastpath/fastpath_priv.h"

#define FIXTURE_EXIT_SKIP 77
#define PATIENCE_MS 5000

enum place { ROUTER, CLIENT_NS, SERVER_NS, N_PLACES };

extern struct netns_fixture {
	int ns[N_PLACES], tap;
	struct fastpath *f;
	uint32_t r0, r1, up0;
	char err[512];
} fixture;

/* Where a program can hang. */
struct fixture_hook {
	enum fastpath_kind kind;
	enum fastpath_tc tc;
};
#define FIXTURE_HOOKS 4
extern const struct fixture_hook fixture_hooks[FIXTURE_HOOKS];

/* False, having said why: such tests cannot run here. */
bool fixture_tests_may_run(void);
#define FIXTURE_TEST(f) cmocka_unit_test_setup_teardown(f, fixture_set_up, fixture_tear_down)
int fixture_set_up(void **state);
int fixture_tear_down(void **state);

/* A command; its exit status. */
int fixture_run(const char *fmt, ...) YG_PRINTF(1, 2);
void fixture_go(enum place p);
uint64_t fixture_now_ms(void);
/* what: ETHTOOL_S... */
void fixture_offload(const char *dev, uint32_t what, uint32_t on);
/* Number 1 is r0, 2 is r1. */
struct fastpath_port fixture_port(uint32_t number, enum fastpath_kind kind);
void fixture_attach(uint32_t number, enum fastpath_kind kind, enum fastpath_tc tc);
/* Of somebody else; passes everything on. */
int fixture_foreign_program(enum bpf_prog_type type);

#endif
