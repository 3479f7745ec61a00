/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A gateway between two ends that are nothing but functions: what the test puts
 * in is an array of bytes, what comes out is looked at once and given back. So
 * millions of connections take seconds.
 */
#ifndef YG_TESTS_FILL_FIXTURE_H
#define YG_TESTS_FILL_FIXTURE_H

#include "core/gateway.h"
#include "daemon/config/snapshot.h"
#include "base/ip4.h"
#include "base/util.h"

#define PORTS_FIRST 1024u
#define PORTS_LAST 65535u
#define N_PORTS (PORTS_LAST - PORTS_FIRST + 1) /* 64,512 */

enum side { LAN, WAN, N_SIDES };

/* One direction of a flow, host order. */
struct flow {
	uint32_t src, dst;
	uint16_t sport, dport;
	uint8_t proto;
};

struct fixture;

/* Sees every IPv4 packet that leaves. The first bytes of l4 are there. */
typedef void fixture_seen_fn(struct fixture *b, enum side side, const struct ipv4_view *ip, const struct l4_view *l4);

struct end {
	struct device device;
	struct fixture *fixture;
	enum side side;
	uint32_t ifindex;
	uint64_t n_sent[2]; /* IPv4 packets that left: all, ICMP errors */
	uint32_t n_asked;   /* ARP requests that wait for an answer */
	uint32_t asked[16];
};

struct fixture {
	struct gateway *gw;
	struct config *config;
	struct snapshot *snapshot;
	struct end end[N_SIDES];
	struct batch batch; /* not put in yet */
	enum side batch_side;
	uint64_t now;
	fixture_seen_fn *seen;
	void *ctx; /* the test's own */
	uint64_t n_exhausted_events;
	struct yg_event last_exhausted;
	uint8_t error_type, error_code; /* of the last ICMP error that left */
	uint32_t error_to;
};

/* lan0 10.77.0.1/16, wan0 203.0.113.1/24, the rest behind 203.0.113.254, and
 * these rules (a nat table and whatever it names); room for n_connections. */
struct fixture *fixture_start(const char *rules, uint32_t n_connections);
/* Checks the law, ends everything that is held, checks it again. */
void fixture_stop(struct fixture *b);

/* Puts a packet of the flow in at a side: a SYN (tcp_flags 0 stands for it), or
 * a datagram of 4 bytes. It may wait in the batch; fixture_settle sees it through. */
void fixture_put(struct fixture *b, enum side side, const struct flow *f, uint8_t tcp_flags);
void fixture_settle(struct fixture *b);
void fixture_check_law(struct fixture *b);

static inline uint64_t fixture_dropped(const struct fixture *b, enum drop_reason r)
{
	return gateway_env(b->gw)->ledger.n_dropped[r];
}

/* Totals over every pool and every interface that masquerades. */
struct nat_pool_info fixture_pools(const struct fixture *b);

#endif
