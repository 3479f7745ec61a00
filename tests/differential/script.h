/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Exchanges between inside and outside hosts, as a script that does not know the
 * gateway: where a peer answers, the port is filled in by who plays the script,
 * from what that peer received.
 */
#ifndef YG_TESTS_SCRIPT_H
#define YG_TESTS_SCRIPT_H

#include "base/rng.h"
#include "dut.h"

enum flow_kind {
	FLOW_NATTED, /* an inside host opens it to an outside host */
	FLOW_TO_WAN, /* an outside host to the gateway's outside address */
	FLOW_TO_LAN, /* an inside host to the gateway's inside address */
};

/* What one end of a TCP connection knows. */
struct peer {
	uint32_t first, next; /* sequence numbers: of its SYN, of what it sends next */
	uint32_t expected;    /* the next one of the other side */
	uint16_t window;
	uint8_t scale;
	bool opened, heard, sack, fin;
};

struct flow {
	enum flow_kind kind;
	uint8_t proto;
	uint32_t addr[N_SIDES]; /* as the hosts call themselves */
	uint16_t port[N_SIDES]; /* ICMP: INSIDE is the identifier */
	uint32_t hostility;     /* percent of its packets */
	uint32_t n_tcp_closed;
	struct peer peer[N_SIDES];
	bool retired; /* the two gateways disagree about it from here on */
};

/* How the quote in an ICMP error lies. */
enum lie {
	LIE_NONE,
	LIE_SEQ_NEAR, /* TCP: a little outside of what was sent */
	LIE_SEQ_FAR,
	LIE_PEER_PORT,
	LIE_OWN_PORT,
	LIE_PEER_ADDR,
	LIE_PROTO,
	LIE_SHORT,    /* cut behind 4 bytes of the transport header */
	LIE_RECEIVER, /* true, but the error goes to somebody else */
	N_LIES
};

struct step {
	uint32_t flow;
	enum side from;
	char text[96]; /* what it is */
	uint8_t proto, ttl, tos;
	bool df, bad_checksum, no_checksum;
	uint32_t src, dst;
	uint16_t sport, dport;
	bool to_mapping; /* the destination port (ICMP: the identifier) is the flow's outside port */
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
	uint8_t options[40];
	uint8_t n_options;
	uint8_t type, code;
	uint32_t info;
	uint16_t payload_len;
	bool quotes; /* an ICMP error about what this side received last */
	enum lie lie;
};

#define FLOWS_MAX 8

struct script {
	struct rng *rng;
	uint32_t n_flows;
	struct flow flow[FLOWS_MAX];
};

void script_begin(struct script *s, struct rng *rng);
/* The next step; false when every flow is retired. */
bool script_next(struct script *s, struct step *out);
/* The step's packet reached the other end. */
void script_delivered(struct script *s, const struct step *step);

#endif
