/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IPv4 headers (RFC 791) to values and back.
 */
#ifndef YG_STACK_WIRE_IPV4_H
#define YG_STACK_WIRE_IPV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/be.h"

#define IPV4_HEADER_LEN 20
#define IPV4_HEADER_MAX 60
#define IPV4_MIN_MTU 68 /* RFC 791 section 3.2 */

#define IPPROTO_NR_ICMP 1
#define IPPROTO_NR_TCP 6
#define IPPROTO_NR_UDP 17
#define IPPROTO_NR_DCCP 33
#define IPPROTO_NR_GRE 47
#define IPPROTO_NR_ESP 50
#define IPPROTO_NR_OSPF 89
#define IPPROTO_NR_SCTP 132
#define IPPROTO_NR_UDPLITE 136

#define IPV4_OPT_END 0
#define IPV4_OPT_NOP 1
#define IPV4_OPT_RECORD_ROUTE 7
#define IPV4_OPT_TIMESTAMP 68
#define IPV4_OPT_LSRR 131
#define IPV4_OPT_SSRR 137
#define IPV4_OPT_ROUTER_ALERT 148

struct ipv4_header {
	uint8_t version_ihl;
	uint8_t tos;
	be16 total_len;
	be16 id;
	be16 frag;
	uint8_t ttl;
	uint8_t proto;
	be16 check;
	be32 src;
	be32 dst;
};
_Static_assert(sizeof(struct ipv4_header) == IPV4_HEADER_LEN, "RFC 791 section 3.1");

struct ipv4_view {
	uint32_t src, dst;  /* host order */
	uint16_t total_len; /* bytes, header included */
	uint16_t id;
	uint16_t frag_off;  /* bytes */
	uint8_t header_len; /* bytes, options included */
	uint8_t tos, ttl, proto;
	bool df, mf; /* don't fragment, more fragments */
};

/* Any fragment, the first one too. */
static inline bool ipv4_is_fragment(const struct ipv4_view *v)
{
	return v->mf || v->frag_off != 0;
}

enum ipv4_error {
	IPV4_OK,
	IPV4_SHORT,
	IPV4_VERSION,
	IPV4_HEADER_LENGTH,
	IPV4_TOTAL_LENGTH,
	IPV4_CHECKSUM,
	IPV4_FRAGMENT, /* runs past 65,535 bytes, or a middle fragment not a multiple of 8, or empty */
};

/* len: bytes present from the header on; may be longer than the packet
 * (Ethernet padding). Checks version, lengths, header checksum and fragment
 * arithmetic; options are looked at by ipv4_options_check only. */
enum ipv4_error ipv4_parse(const uint8_t *p, size_t len, struct ipv4_view *v);
/* The same for a header quoted in an ICMP error: the packet may be cut behind
 * the header, and the checksum is not looked at (routers change the TTL). */
enum ipv4_error ipv4_parse_quoted(const uint8_t *p, size_t len, struct ipv4_view *v);

/* Writes a header without options (v->header_len is taken as 20), checksum
 * included. */
void ipv4_emit(uint8_t *p, const struct ipv4_view *v);

/* In place, header checksum kept right by increment. */
void ipv4_set_ttl(uint8_t *p, uint8_t ttl);
void ipv4_set_src(uint8_t *p, uint32_t src);
void ipv4_set_dst(uint8_t *p, uint32_t dst);
void ipv4_set_id(uint8_t *p, uint16_t id);
void ipv4_set_tos(uint8_t *p, uint8_t tos);
/* Version and header length; the checksum is left to whoever writes the rest. */
void ipv4_set_header_len(uint8_t *p, uint8_t header_len);
/* Sets length and fragment fields and computes the whole checksum. */
void ipv4_set_fragment(uint8_t *p, uint16_t total_len, uint16_t frag_off, bool df, bool mf);

/* What the options ask for, after all of them were checked. */
struct ipv4_options {
	bool bad;           /* malformed: send parameter problem */
	uint8_t bad_offset; /* from the IP header's start: the pointer field */
	bool source_route;
	bool router_alert;
	uint8_t record_route; /* offset of the option from the header's start, 0 if none */
	uint8_t timestamp;
};

/* Walks the options between byte 20 and v->header_len (RFC 1122 section
 * 3.2.1.8, RFC 1812 section 5.2.4 and 5.3.13). */
void ipv4_options_check(const uint8_t *p, const struct ipv4_view *v, struct ipv4_options *o);
/* Fills in the next free slot of a record-route option and of a timestamp
 * option, if any (RFC 1812 section 5.3.13.5 and .6), checksum kept. time_ms:
 * milliseconds since midnight UT, or anything with the high bit set. */
void ipv4_options_forward(uint8_t *p, const struct ipv4_view *v, const struct ipv4_options *o, uint32_t our_addr,
			  uint32_t time_ms);
/* Copies the options that later fragments must carry (the copied flag) to out
 * and pads; returns bytes written, a multiple of 4, at most 40. */
uint8_t ipv4_options_copied(const uint8_t *p, const struct ipv4_view *v, uint8_t out[40]);

#endif
