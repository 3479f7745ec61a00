/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BGP's OPEN (RFC 4271 section 4.2) and the capabilities in it (RFC 5492).
 */
#ifndef YG_STACK_WIRE_BGP_OPEN_H
#define YG_STACK_WIRE_BGP_OPEN_H

#include "stack/wire/bgp.h"

/* RFC 4724 section 3, RFC 8538 section 2. */
struct bgp_restart {
	bool is_there;
	bool restarting;   /* R: waits for End-of-RIB before it announces */
	bool notification; /* N: NOTIFICATIONs do not end it, but for a hard reset */
	uint16_t time_s;   /* 0 to 4095 */
	bool ipv4;         /* IPv4 unicast is held */
	bool ipv4_kept;    /* F: ... and was forwarded meanwhile */
};

/* What one side says it can do; what we do not know is passed over. */
struct bgp_capabilities {
	bool any_mp;           /* multiprotocol, of whatever family (RFC 4760) */
	bool ipv4;             /* ... of IPv4 unicast */
	bool refresh;          /* RFC 2918 */
	bool enhanced_refresh; /* RFC 7313 */
	uint8_t role;          /* enum bgp_role, or a number that has no name */
	uint32_t as4;          /* RFC 6793: the sender's AS; 0: the capability is not there */
	struct bgp_restart restart;
};

struct bgp_open {
	uint32_t as;     /* by the capability, else by the message */
	uint32_t id;     /* BGP identifier */
	uint16_t hold_s; /* 0: no KEEPALIVEs; else 3 at least */
	struct bgp_capabilities can;
};

/* p, len: a whole OPEN. BGP_ACCEPT, or BGP_RESET with *e; in either case *o holds what was read. Checks all of RFC 4271
 * section 6.2, against w what is configured of the peer; parameters also in RFC 9072's form. */
enum bgp_disposition bgp_open_parse(const struct bgp_wire *w, const uint8_t *p, size_t len, struct bgp_open *o,
				    struct bgp_error *e);

/* Writes an OPEN and returns its length, at most BGP_OPEN_LEN_MAX. */
#define BGP_OPEN_LEN_MAX 96
size_t bgp_open_emit(uint8_t *p, const struct bgp_open *o);

/* What both can do is agreed: fills in w->as4 and what stands behind it. */
void bgp_open_agree(const struct bgp_open *ours, const struct bgp_open *theirs, struct bgp_wire *w);

#endif
