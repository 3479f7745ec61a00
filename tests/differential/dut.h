/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A device under test (RFC 2544), DUT for short, takes one IPv4 packet on one side of a gateway and says what came of
 * it. There are two: our core on virtual time, and the kernel's nft NAT in a namespace, both with the same addresses
 * and the same rules.
 *
 *   10.77.0.11 .12 .13 -- lan0  10.77.0.1   gateway   203.0.113.1  wan0 -- 203.0.113.11 .12 .13
 */
#ifndef YG_TESTS_DIFFERENTIAL_DUT_H
#define YG_TESTS_DIFFERENTIAL_DUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ip4.h"
#include "gateway/conntrack/tuple.h"

#define LAN_ADDR IP4(10, 77, 0, 1)
#define WAN_ADDR IP4(203, 0, 113, 1)
#define LAN_NET IP4(10, 77, 0, 0)
#define WAN_NET IP4(203, 0, 113, 0)
#define N_HOSTS 3
#define HOST_NUMBER(i) (11u + (i)) /* the last byte of host i's address */
#define WAN_MTU 1400

enum side { INSIDE, OUTSIDE, N_SIDES };

/* The rules to begin with, the same text for both. */
extern const char dut_rules[];

struct ip_packet {
	enum side side; /* on which it was sent or received */
	uint32_t len;
	uint8_t bytes[1500]; /* from the IPv4 header */
};

#define OUTCOME_MAX 8
struct outcome {
	uint32_t n;
	struct ip_packet packet[OUTCOME_MAX];
};

/* Status flags with Linux's numbers (enum ip_conntrack_status). */
enum entry_status {
	ENTRY_SEEN_REPLY = 0x02,
	ENTRY_ASSURED = 0x04,
	ENTRY_CONFIRMED = 0x08,
	ENTRY_SNAT = 0x10,
	ENTRY_DNAT = 0x20,
};
#define ENTRY_COMPARED (ENTRY_SEEN_REPLY | ENTRY_ASSURED | ENTRY_CONFIRMED | ENTRY_SNAT | ENTRY_DNAT)

/* One connection. Linux and we number TCP's states alike. */
struct entry {
	struct tuple tuple[2]; /* original, reply */
	uint8_t tcp_state;
	uint32_t status;
};
#define ENTRIES_MAX 256

struct dut {
	const char *name;
	void (*inject)(struct dut *r, const struct ip_packet *p, struct outcome *out);
	/* All connections; at most ENTRIES_MAX. */
	uint32_t (*list)(struct dut *r, struct entry *out);
	void (*flush)(struct dut *r);
	/* Other rules instead of those at work. */
	void (*rules)(struct dut *r, const char *rules);
	void (*close)(struct dut *r);
	const char *reason; /* why the last packet was dropped, where the DUT knows */
};

struct dut *dut_ours(void);
/* NULL, and why in *reason, where the system does not offer what it takes. */
struct dut *dut_linux(const char **reason);

/* Into a network namespace of our own; false where the system does not allow it. */
bool dut_enter(void);

/* Ends the test: the DUT itself broke. */
void dut_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
