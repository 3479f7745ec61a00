/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BGP-4's messages (RFC 4271 section 4) to values and back: the header, and what is the same for all kinds. OPEN is
 * bgp_open.h, UPDATE bgp_update.h, NOTIFICATION and its names bgp_notification.h; bgp_message.h is all of them
 * together.
 *
 * Numbers are in host order, also addresses and identifiers (10.0.0.1 is 0x0a000001). Lengths are bytes. What a parser
 * gives back points into the message. Nothing here allocates or keeps anything.
 */
#ifndef YG_STACK_WIRE_BGP_H
#define YG_STACK_WIRE_BGP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BGP_HEADER_LEN 19
#define BGP_MESSAGE_MAX 4096 /* RFC 4271 section 4.1; no session asks for RFC 8654's longer ones */
#define BGP_AS_TRANS 23456   /* RFC 6793 section 9: "see elsewhere" in two octets */

/* An AS number in two octets. */
static inline uint16_t bgp_as2(uint32_t as)
{
	return as > UINT16_MAX ? BGP_AS_TRANS : (uint16_t)as;
}

enum bgp_type {
	BGP_OPEN = 1,
	BGP_UPDATE = 2,
	BGP_NOTIFICATION = 3,
	BGP_KEEPALIVE = 4,
	BGP_ROUTE_REFRESH = 5, /* RFC 2918 */
};

/* RFC 4760; of others we know no name and need none. */
#define BGP_AFI_IPV4 1
#define BGP_SAFI_UNICAST 1

/* What became of a message, each stronger than those before it (RFC 7606 section 2). */
enum bgp_disposition {
	BGP_ACCEPT,
	BGP_DISCARD,  /* accepted but for an attribute or some */
	BGP_WITHDRAW, /* what it announces is withdrawn ("treat-as-withdraw"); what it withdraws is, too */
	BGP_RESET,    /* the session ends with the NOTIFICATION of struct bgp_error */
};

/* Why it is no better than that. */
struct bgp_error {
	uint8_t code, subcode; /* of the NOTIFICATION (bgp_notification.h); of a WITHDRAW what it would have been */
	uint8_t attr;          /* type of the attribute in question, 0 if none */
	uint16_t data_len;     /* of the NOTIFICATION */
	const uint8_t *data;   /* in the message, or constant */
	const char *why;       /* a few words, constant; NULL when all is well */
};

enum bgp_kind { BGP_EXTERNAL, BGP_INTERNAL };

/* RFC 9234 section 4.1: the local side's, or the peer's. */
enum bgp_role {
	BGP_ROLE_PROVIDER = 0,
	BGP_ROLE_RS = 1,
	BGP_ROLE_RS_CLIENT = 2,
	BGP_ROLE_CUSTOMER = 3,
	BGP_ROLE_PEER = 4,
	BGP_ROLE_NONE = 255, /* not said */
};

/* What must be known of a session to read its messages: of the config, and of what both OPENs agreed to (the latter by
 * bgp_open_agree). */
struct bgp_wire {
	uint32_t local_as, peer_as; /* peer_as 0: any, until its OPEN has come */
	uint32_t local_id;          /* BGP identifier, and our ORIGINATOR_ID */
	uint32_t cluster_id;        /* RFC 4456 section 7; 0: local_id */
	uint32_t local_addr;        /* our end of the session: never a next hop that the peer may name */
	bool any_first_as;  /* a route server's client: the first AS need not be the peer's (RFC 7947 2.2.2.1) */
	bool takes_as_sets; /* else they are withdrawn (RFC 9774 section 3) */
	bool strict_role;   /* an OPEN without a role is refused (RFC 9234 section 4.2) */
	uint8_t role;       /* ours, enum bgp_role */

	bool as4;              /* agreed: four-octet AS numbers (RFC 6793) */
	bool mp_ipv4;          /* ... MP_REACH_NLRI of IPv4 unicast (RFC 4760 section 8) */
	bool enhanced_refresh; /* ... RFC 7313 */
};

static inline enum bgp_kind bgp_kind_of(const struct bgp_wire *w)
{
	return w->local_as == w->peer_as ? BGP_INTERNAL : BGP_EXTERNAL;
}

enum bgp_frame {
	BGP_FRAME_MORE,  /* not all of it has come */
	BGP_FRAME_WHOLE, /* *len bytes are a message; its type is p[18] */
	BGP_FRAME_BAD,   /* *e: the session ends (RFC 4271 section 6.1) */
};

/* The message at the front of n bytes of the stream. Marker, length and type are judged as soon as the header is there,
 * so a stream is never waited for in vain. */
enum bgp_frame bgp_frame(const uint8_t *p, size_t n, size_t *len, struct bgp_error *e);

/* Writes a header; len: of the whole message. Returns where its body begins. */
uint8_t *bgp_header_emit(uint8_t *p, enum bgp_type type, size_t len);
/* Of a whole message, which may be our own: its length, its type. */
size_t bgp_header_len(const uint8_t *p);
enum bgp_type bgp_header_type(const uint8_t *p);
/* Writes a KEEPALIVE and returns its length, BGP_HEADER_LEN. */
size_t bgp_keepalive_emit(uint8_t *p);

/* RFC 7313 section 3.2. */
enum bgp_refresh_kind { BGP_REFRESH_ASKED = 0, BGP_REFRESH_BEGINS = 1, BGP_REFRESH_ENDS = 2 };

#define BGP_REFRESH_LEN (BGP_HEADER_LEN + 4)

struct bgp_refresh {
	uint16_t afi;
	uint8_t kind; /* enum bgp_refresh_kind; another one is to be ignored (RFC 7313 section 5) */
	uint8_t safi;
};

/* p, len: a whole ROUTE-REFRESH. */
enum bgp_disposition bgp_refresh_parse(const struct bgp_wire *w, const uint8_t *p, size_t len, struct bgp_refresh *r,
				       struct bgp_error *e);
/* Writes BGP_REFRESH_LEN bytes and returns that. */
size_t bgp_refresh_emit(uint8_t *p, const struct bgp_refresh *r);

#endif
