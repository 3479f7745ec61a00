/* SPDX-License-Identifier: BSD-2-Clause
 *
 * MRT records (RFC 6396): what route collectors write down of BGP. Both ways: tables (TABLE_DUMP_V2, of IPv4 unicast)
 * and messages and changes of state (BGP4MP, BGP4MP_ET, of IPv4 peers). Without memory and without state.
 *
 * A record is a header and a body. Lengths are in bytes, numbers in host order, times UTC.
 */
#ifndef YG_STACK_WIRE_MRT_H
#define YG_STACK_WIRE_MRT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip4.h"
#include "base/reader.h"
#include "stack/wire/bgp.h"

#define MRT_HEADER_LEN 12u
/* Of a body: a table of 65,535 peers has 850,000 bytes, and a prefix that each of 65,535 has told with 100 bytes 7
 * million. Longer ones are not read. */
#define MRT_BODY_MAX (16u << 20)

enum mrt_type { MRT_TABLE_DUMP_V2 = 13, MRT_BGP4MP = 16, MRT_BGP4MP_ET = 17 };

enum mrt_subtype {
	MRT_PEER_INDEX_TABLE = 1, /* of TABLE_DUMP_V2 */
	MRT_RIB_IPV4_UNICAST = 2,

	MRT_STATE_CHANGE = 0, /* of BGP4MP and BGP4MP_ET */
	MRT_MESSAGE = 1,
	MRT_MESSAGE_AS4 = 4,
	MRT_STATE_CHANGE_AS4 = 5,
	MRT_MESSAGE_LOCAL = 6, /* what was sent: as MRT_MESSAGE and MRT_MESSAGE_AS4 */
	MRT_MESSAGE_AS4_LOCAL = 7,
};

/* RFC 6396 section 4.4.1. */
enum mrt_state {
	MRT_IDLE = 1,
	MRT_CONNECT,
	MRT_ACTIVE,
	MRT_OPEN_SENT,
	MRT_OPEN_CONFIRM,
	MRT_ESTABLISHED,
};

struct mrt_header {
	uint32_t time_s;
	uint16_t type, subtype;
	uint32_t len; /* of the body */
};

/* p: MRT_HEADER_LEN bytes. */
struct mrt_header mrt_header_parse(const uint8_t *p);

struct mrt_peer {
	bool is_ipv4; /* else addr is not it */
	uint32_t id, addr, as;
};

/* --- bodies, read: false when they lie about their lengths --- */

struct mrt_peers {
	uint32_t collector; /* its BGP identifier */
	const uint8_t *view;
	uint16_t view_len, n_peers;
	struct reader rest;
};
bool mrt_peers_parse(const uint8_t *p, size_t len, struct mrt_peers *out);
/* The next of n_peers. */
bool mrt_peers_next(struct mrt_peers *t, struct mrt_peer *out);

struct mrt_rib {
	uint32_t seq;
	struct ip4_prefix prefix;
	uint16_t n_entries;
	struct reader rest;
};
struct mrt_entry {
	uint16_t peer; /* of the table before */
	uint32_t since_s;
	const uint8_t *attrs; /* AS numbers in four octets */
	uint16_t attrs_len;
};
bool mrt_rib_parse(const uint8_t *p, size_t len, struct mrt_rib *out);
/* The next of n_entries. */
bool mrt_rib_next(struct mrt_rib *r, struct mrt_entry *out);

/* A message or a change of state. */
struct mrt_event {
	uint32_t us; /* behind the second, of BGP4MP_ET */
	bool is_state, is_as4, is_sent;
	struct mrt_peer peer, local;
	uint16_t ifindex;
	uint16_t from, to;      /* is_state: enum mrt_state */
	const uint8_t *message; /* else; marker and all */
	size_t message_len;
};
/* h: type MRT_BGP4MP or MRT_BGP4MP_ET, with one of the subtypes above. */
bool mrt_event_parse(const struct mrt_header *h, const uint8_t *p, struct mrt_event *out);

/* --- whole records, written: how many bytes; 0: cap has no room for all of it --- */

/* The n peers, numbered as they stand there; n at most UINT16_MAX. */
size_t mrt_peers_emit(uint8_t *p, size_t cap, uint32_t time_s, uint32_t collector, const char *view,
		      const struct mrt_peer *peer, size_t n);
size_t mrt_rib_emit(uint8_t *p, size_t cap, uint32_t time_s, uint32_t seq, struct ip4_prefix prefix,
		    const struct mrt_entry *entry, size_t n);
/* As BGP4MP_ET with four octets. of e: us, is_state, is_sent and what belongs to it. */
size_t mrt_event_emit(uint8_t *p, size_t cap, uint32_t time_s, const struct mrt_event *e);

#endif
