/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Plays a script on one DUT: fills in what only this gateway's hosts know, and
 * tells what came of a step in words and bytes in which the ports that a gateway
 * chose are called by the flow they belong to.
 */
#ifndef YG_TESTS_PLAYER_H
#define YG_TESTS_PLAYER_H

#include "dut.h"
#include "script.h"

/* One connection: who speaks with whom, its state, and what its answers look like. */
struct line {
	char key[64], state[64], reply[64];
};

struct seen {
	struct outcome packets; /* renamed, without what gateways may choose */
	char verdict[64];       /* "pass", "drop", "answer RST" ... */
	bool passed;
	uint32_t n_lines;
	struct line line[ENTRIES_MAX]; /* by key */
};

#define PORTS_MAX 256

struct player {
	struct dut *dut;
	struct {
		uint8_t proto;
		uint32_t peer;
		uint16_t peer_port, port;
		uint32_t flow;
	} known[PORTS_MAX]; /* the gateway's ports, each as one outside peer sees it */
	uint32_t n_known;
	uint16_t outside_port[FLOWS_MAX];          /* 0: not known yet */
	uint16_t outside_id[FLOWS_MAX][32];        /* ICMP: by the type of the request */
	struct ip_packet last[FLOWS_MAX][N_SIDES]; /* that a side received; len 0: none */
	struct ip_packet sent;                     /* in the last step, and what came of it, as it was */
	struct outcome got;
};

void player_begin(struct player *p, struct dut *dut);
/* Sends the step's packet and looks. False when it cannot be built yet. */
bool player_step(struct player *p, const struct script *s, const struct step *step, struct seen *out);
/* The line of the flow's own connection, NULL if there is none. */
const struct line *seen_flow(const struct seen *s, const struct flow *f);
void player_print(const struct player *p);

#endif
