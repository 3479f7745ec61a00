/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BGP's path attributes (RFC 4271 section 4.3), one row each: name, flags, which lengths, from whom they are taken,
 * what comes of an error (RFC 7606 section 7), how they are read, written and shown.
 */
#ifndef YG_STACK_WIRE_BGP_ATTR_H
#define YG_STACK_WIRE_BGP_ATTR_H

#include "base/text.h"
#include "stack/wire/bgp_nlri.h"
#include "stack/wire/bgp_path.h"

enum bgp_attr_type {
	BGP_ORIGIN = 1,
	BGP_AS_PATH = 2,
	BGP_NEXT_HOP = 3,
	BGP_MED = 4, /* MULTI_EXIT_DISC */
	BGP_LOCAL_PREF = 5,
	BGP_ATOMIC_AGGREGATE = 6,
	BGP_AGGREGATOR = 7,
	BGP_COMMUNITIES = 8,        /* RFC 1997 */
	BGP_ORIGINATOR_ID = 9,      /* RFC 4456 */
	BGP_CLUSTER_LIST = 10,      /* RFC 4456 */
	BGP_MP_REACH = 14,          /* RFC 4760 */
	BGP_MP_UNREACH = 15,        /* RFC 4760 */
	BGP_EXT_COMMUNITIES = 16,   /* RFC 4360 */
	BGP_AS4_PATH = 17,          /* RFC 6793 */
	BGP_AS4_AGGREGATOR = 18,    /* RFC 6793 */
	BGP_AIGP = 26,              /* RFC 7311 */
	BGP_LARGE_COMMUNITIES = 32, /* RFC 8092 */
	BGP_OTC = 35,               /* RFC 9234 */
};

enum bgp_attr_flag { BGP_OPTIONAL = 0x80, BGP_TRANSITIVE = 0x40, BGP_PARTIAL = 0x20, BGP_EXTENDED_LENGTH = 0x10 };

enum bgp_origin { BGP_ORIGIN_IGP = 0, BGP_ORIGIN_EGP = 1, BGP_ORIGIN_INCOMPLETE = 2 };

/* RFC 1997. */
#define BGP_NO_EXPORT 0xffffff01u
#define BGP_NO_ADVERTISE 0xffffff02u
#define BGP_NO_EXPORT_SUBCONFED 0xffffff03u

#define BGP_LOCAL_PREF_DEFAULT 100 /* of an internal peer that says none: see bgp_update.c */

struct bgp_attr {
	const uint8_t *value;
	uint16_t len;  /* of the value, bytes */
	uint8_t type;  /* enum bgp_attr_type, or one that has no name here */
	uint8_t flags; /* Optional, Transitive, Partial; no others */
};

#define BGP_ATTRS_MAX 256 /* a type each */

/* Room for the values that are not as they stand in the message: an AS_PATH in four octets, merged with AS4_PATH. */
#define BGP_PATH_MAX (2 * BGP_MESSAGE_MAX)

/* What MP_REACH_NLRI or MP_UNREACH_NLRI says about IPv4 unicast. */
struct bgp_mp {
	bool is_ours;      /* IPv4 unicast, and agreed to; else what follows is empty */
	uint32_t next_hop; /* of MP_REACH_NLRI */
	struct bgp_nlri nlri;
};

/* The attributes of one UPDATE: those that are kept, and what the decision reads of them. Not small: one a session's
 * reader, or a thread. */
struct bgp_attrs {
	uint64_t present;       /* a bit for each type below 64 in the list */
	uint16_t n;             /* in the list */
	uint16_t n_hops;        /* AS_PATH's length as the decision counts it */
	uint16_t n_own;         /* how often our AS is in it */
	uint16_t n_clusters;    /* in CLUSTER_LIST */
	uint8_t origin;         /* enum bgp_origin */
	uint32_t neighbor_as;   /* AS_PATH's first; 0: none */
	uint32_t next_hop;      /* of NEXT_HOP; 0: none */
	uint32_t med;           /* 0 when there is none (RFC 4271 9.1.2.2 c) */
	uint32_t local_pref;    /* BGP_LOCAL_PREF_DEFAULT when there is none */
	uint32_t originator_id; /* 0: none */
	uint32_t otc;           /* ONLY_TO_CUSTOMER; 0: none */
	bool is_own_cluster;    /* CLUSTER_LIST has our cluster id */
	struct bgp_mp reach, unreach;
	struct bgp_attr list[BGP_ATTRS_MAX]; /* by type, ascending */
	uint8_t aggregator[8];
	uint8_t path[BGP_PATH_MAX];
};

static inline bool bgp_attrs_have(const struct bgp_attrs *a, enum bgp_attr_type type)
{
	return (a->present >> type & 1) != 0;
}

/* --- sets ---
 * A set is the kept attributes as bytes in one form: ascending, AS numbers in four octets, flags and length fields as
 * RFC 4271 would have them sent, NEXT_HOP always there, large communities without repetition. Sets that say the
 * same are the same bytes (but for an AS_PATH whose sequence one peer has cut in two, which stays as it came), so a set
 * can be kept once and compared by memcmp. */

#define BGP_SET_MAX (BGP_PATH_MAX + 16)

/* Writes the set of routes with that next hop; at most BGP_SET_MAX bytes. Returns how many. */
size_t bgp_set_write(uint8_t *out, const struct bgp_attrs *a, uint32_t next_hop);
/* Writes an attribute as it stands in a set; returns its length, 0 when that is more than cap. */
size_t bgp_set_put(uint8_t *out, size_t cap, const struct bgp_attr *a);
/* Takes the next attribute off a set; false at its end. */
bool bgp_set_next(struct bgp_nlri *rest, struct bgp_attr *a);

/* To whom a set is sent. */
struct bgp_out {
	enum bgp_kind kind;  /* the neighbour is */
	bool as4;            /* agreed with it */
	bool keeps_med;      /* an external one is told the MED: our policy has set it (RFC 4271 section 5.1.4) */
	bool any_community;  /* the set's communities are our policy's own and keep nobody from being told */
	uint32_t local_as;   /* goes in front of AS_PATH to an external one */
	uint32_t next_hop;   /* instead of the set's; 0: that stays, which external ones may not be told unchecked */
	uint32_t local_pref; /* for an internal one when the set has none */
};

enum bgp_sent {
	BGP_SENT,
	BGP_NOT_ADVERTISED, /* NO_ADVERTISE, or NO_EXPORT to an external one (RFC 1997) */
	BGP_TOO_LONG,       /* does not fit into cap: nothing is cut, the route is not sent (RFC 4271 section 5.1.2) */
};

/* Writes a set's attributes as that neighbour is told them. *len: bytes, at most cap. */
enum bgp_sent bgp_set_emit(const struct bgp_out *to, struct bgp_nlri set, uint8_t *out, size_t cap, size_t *len);

/* "AS_PATH"; of an unknown type "attribute". Constant. */
const char *bgp_attr_name(uint8_t type);
/* "AS_PATH 65001 64777", "COMMUNITIES 65001:100", "attribute 211 flags e0 deadbeef". */
void bgp_attr_format(struct text *t, const struct bgp_attr *a);

#endif
