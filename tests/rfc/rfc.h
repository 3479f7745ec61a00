/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The requirements of an RFC as a table, one executable scenario a row. A
 * scenario runs on the virtual-time fixture of tests/scenario/fixture.h, once with
 * each kind of mapping:
 *
 *   hosts 10.78.0.0/16 -- router 10.77.0.254 -- lan0 10.77.0.1
 *                                                  gateway, pool 203.0.113.16/30
 *   hosts 198.51.100.0/24 -- router 203.0.113.254 -- wan0 203.0.113.1
 *
 * The two routers are the stations: every host behind one appears there, so a
 * test can be any number of them. There is no filter table; what is dropped is
 * dropped by NAT, connection tracking or the IP layer.
 */
#ifndef YG_TESTS_RFC_H
#define YG_TESTS_RFC_H

#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "../scenario/fixture.h"
#include "base/util.h"
#include "check/cmocka.h"

#define RFC_HOST1 IP4(10, 78, 0, 1)
#define RFC_HOST2 IP4(10, 78, 0, 2)
#define RFC_HOST3 IP4(10, 78, 0, 3)
#define RFC_PEER1 IP4(198, 51, 100, 1)
#define RFC_PEER2 IP4(198, 51, 100, 2)
#define RFC_LAN_ADDR IP4(10, 77, 0, 1)
#define RFC_LAN_ROUTER IP4(10, 77, 0, 254)
#define RFC_WAN_ADDR IP4(203, 0, 113, 1)
#define RFC_WAN_ROUTER IP4(203, 0, 113, 254)
#define RFC_POOL_FIRST IP4(203, 0, 113, 16)
#define RFC_POOL_LAST IP4(203, 0, 113, 19)

enum rfc_mode { RFC_EIM, RFC_APDM, N_RFC_MODES };

#define RFC_SEEN_BYTES 16384

/* One scenario that runs. */
struct rfc {
	struct fixture w;
	enum rfc_mode mode;
	struct station *lan, *wan; /* the routers */
	bool started;
	size_t seen_len;
	char seen[RFC_SEEN_BYTES]; /* what was sent and arrived, printed when the scenario fails */
};

/* One testable requirement. Either run is set, or later, or a why for each mode. */
struct rfc_row {
	const char *requirement; /* "REQ-1" */
	const char *demand;      /* one short sentence, in our words */
	void (*run)(struct rfc *t);
	const char *why[N_RFC_MODES]; /* not NULL: not applicable with this mapping, and why */
	const char *later;            /* not NULL: not there yet, and what it waits for */
};

struct rfc_table {
	const char *rfc; /* "RFC 4787" */
	const struct rfc_row *rows;
	size_t n_rows;
};

/* One a file; listed in rfc.c. */
extern const struct rfc_table rfc4787_table, rfc5382_table, rfc5382_life_table, rfc5508_table, rfc5508_own_table,
	rfc6888_table, rfc7857_table;

/* How the gateway of a scenario is made; zero fields take the usual. */
struct rfc_setup {
	const char *pool_options; /* more statements of the pool: "filtering address-dependent; ports 2000-2003;" */
	const char *addresses;    /* of the pool; "203.0.113.16/30" */
	const char *prerouting;   /* rules of the chain at dstnat */
	const char *postrouting;  /* instead of `oifname "wan0" snat to pool public` */
	const char *more;         /* top-level statements */
	uint32_t wan_mtu;         /* 0: 1500 */
	uint32_t n_connections;   /* 0: 65536 */
};

/* Starts the fixture and lets announcements and ARP settle. Once a scenario; the
 * runner ends it. */
void rfc_start(struct rfc *t, const struct rfc_setup *s);
/* With the same setup again but another pool_options or timeouts: reload. */
void rfc_reload(struct rfc *t, const struct rfc_setup *s);

/* Lets time pass. */
void rfc_run_s(struct rfc *t, uint32_t seconds);
/* Sends a packet there and lets 20 ms pass. */
void rfc_send(struct rfc *t, struct station *from, const struct packet_spec *p);
/* The next packet that reached the station, NULL if none. */
struct packet *rfc_next(struct rfc *t, struct station *at);
/* rfc_send, then rfc_next. */
struct packet *rfc_carry(struct rfc *t, struct station *from, const struct packet_spec *p, struct station *at);

/* A whole IPv4 packet as it is, and 20 ms. */
void rfc_send_ip(struct rfc *t, struct station *from, const uint8_t *ip, uint32_t len);

#define RFC_PIECES_MAX 8
/* The packet cut into n pieces of nearly the same size, sent in this order, with its whole checksum right; then 20 ms.
 */
void rfc_send_pieces(struct rfc *t, struct station *from, const struct packet_spec *p, const uint8_t *order,
		     uint32_t n);
/* What a receiver makes of the pieces that came. */
struct rfc_whole {
	uint32_t n_fragments;
	struct ipv4_view ip; /* of the whole */
	struct l4_view l4;
	bool in_order;
};
/* Puts together what reached the station; fails the scenario if it is no whole packet with a right checksum. */
struct rfc_whole rfc_gather(struct rfc *t, struct station *at);

struct rfc_end {
	uint32_t addr; /* 0: nothing came */
	uint16_t port; /* ICMP: the identifier */
};

/* One UDP datagram, TCP SYN or ICMP echo request (by proto) from inside to outside. The end where it seems to come
 * from outside; fails the scenario if it does not arrive at dst. */
struct rfc_end rfc_out(struct rfc *t, uint8_t proto, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport);
/* The same; addr 0 if nothing came out. */
struct rfc_end rfc_try_out(struct rfc *t, uint8_t proto, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport);
/* One UDP datagram, TCP SYN or echo reply from outside to an outside end: the inside end that it reached, addr 0 if
 * none. What else came in fails the scenario. */
struct rfc_end rfc_in(struct rfc *t, uint8_t proto, uint32_t src, uint16_t sport, struct rfc_end dst);
/* Fails the scenario unless the two are the same. */
void rfc_same_end(struct rfc_end a, struct rfc_end b, const char *what);
bool rfc_is_end(struct rfc_end e, uint32_t addr, uint16_t port);
/* One datagram from inside to the outside end of an inside host (a hairpin): as it arrives inside, NULL if it does not.
 */
struct packet *rfc_hairpin(struct rfc *t, uint8_t proto, uint32_t src, uint16_t sport, struct rfc_end dst);

/* The ICMP error that `at` gets next, its quote parsed and its checksums verified (the quoted ones too where all of the
 * quoted packet is there); fails the scenario if there is none or it is another. */
struct packet *rfc_error(struct rfc *t, struct station *at, uint8_t type, uint8_t code, struct icmp_quote *q);
/* An ICMP error from `src` about the packet p as it came (from its IPv4 header, quote_len bytes of it), to p's source;
 * it is not sent yet. quote keeps the bytes. */
struct packet_spec rfc_error_about(struct packet *p, uint32_t src, uint8_t type, uint8_t code, uint8_t *quote,
				   uint16_t quote_len);

/* Notes for the reader of a failure. */
void rfc_note(struct rfc *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
