/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The smallest network: one client on lan0, one server on wan0.
 */
#ifndef YG_SCENARIO_PAIR_H
#define YG_SCENARIO_PAIR_H

#include "fixture.h"

#define PAIR_CLIENT IP4(10, 77, 0, 10)
#define PAIR_SERVER IP4(203, 0, 113, 2)

struct net {
	struct fixture w;
	struct station *client, *server;
};

static inline void net_start(struct net *n, const char *config)
{
	fixture_start(&n->w, config, NULL);
	n->client = fixture_station(&n->w, "lan0", PAIR_CLIENT, NULL);
	n->server = fixture_station(&n->w, "wan0", PAIR_SERVER, NULL);
	fixture_run(&n->w, 5000 * NS_PER_MS); /* announcements are over */
	station_clear(n->client);
	station_clear(n->server);
}

/* Sends and returns what arrives at `at` first; NULL for nothing. */
static inline struct packet *carry(struct net *n, struct station *from, const struct packet_spec *s, struct station *at)
{
	station_send(from, s);
	fixture_run(&n->w, 20 * NS_PER_MS);
	return station_next(at);
}

#endif
