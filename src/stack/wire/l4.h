/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the rooms above need of TCP (RFC 9293 section 3.1), UDP (RFC 768), ICMP
 * (RFC 792), UDP-Lite (RFC 3828), DCCP (RFC 4340 section 5.1) and SCTP (RFC 9260
 * section 3.1) headers, as one value: parsed once at input, with every length
 * checked here.
 */
#ifndef YG_STACK_WIRE_L4_H
#define YG_STACK_WIRE_L4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stack/wire/ipv4.h"

#define TCP_HEADER_LEN 20
#define UDP_HEADER_LEN 8
#define ICMP_HEADER_LEN 8
#define DCCP_HEADER_LEN 12 /* with short sequence numbers */
#define SCTP_HEADER_LEN 12

/* Where the checksum stands in each. */
#define TCP_CHECK_AT 16
#define TCP_URGENT_AT 18
#define UDP_CHECK_AT 6
#define ICMP_CHECK_AT 2
#define DCCP_CHECK_AT 6
#define SCTP_CHECK_AT 8 /* 32 bits, CRC32c */

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20
#define TCP_ECE 0x40
#define TCP_CWR 0x80

enum l4_kind {
	L4_NONE, /* another protocol, or a fragment without the header */
	L4_TCP,
	L4_UDP,
	L4_UDPLITE,
	L4_DCCP,
	L4_SCTP,
	L4_GRE,
	L4_ESP,
	L4_ICMP_QUERY, /* echo, timestamp, information, address mask and their replies: has an identifier */
	L4_ICMP_ERROR, /* quotes a packet */
	L4_ICMP_OTHER, /* router advertisement, unknown types */
};

/* What identifies a flow of a protocol without ports. */
enum l4_id {
	L4_ID_NONE,
	L4_ID_KEY,  /* GRE (RFC 2890): the same both ways, agreed between the ends */
	L4_ID_CALL, /* GRE of PPTP (RFC 2637 section 4.1): the receiver's number of the call */
	L4_ID_SPI,  /* ESP (RFC 4303 section 2.1): the receiver's number of the association */
};

struct l4_view {
	enum l4_kind kind;
	uint16_t header_len;   /* bytes; TCP with options, as it claims: past the end of a short first fragment */
	uint16_t payload_len;  /* bytes behind the header; in a fragment, of this fragment */
	uint16_t sport, dport; /* of kinds that have ports */
	uint16_t check;        /* the field as it stands, host order; SCTP: 0, as it is longer */
	/* TCP */
	uint8_t options_len; /* bytes of options that are there: header_len - 20, or less in a first fragment */
	uint32_t seq, ack;
	uint16_t window;
	uint8_t flags;
	/* ICMP; DCCP: type is the packet's (enum dccp_type); GRE, ESP: type is an enum l4_id */
	uint8_t type, code;
	uint16_t id, icmp_seq; /* queries */
	uint32_t info;         /* bytes 4 to 7: gateway, pointer, next-hop MTU; SCTP: the verification tag;
				* GRE, ESP: the identifier */
};

enum l4_error {
	L4_OK,
	L4_TCP_HEADER,     /* short, or data offset under 5 or past the packet */
	L4_UDP_HEADER,     /* short, or its length under 8 or past the packet */
	L4_ICMP_HEADER,    /* shorter than its type demands; an error whose quote has no IPv4 header and 8 bytes (or all
			    * of a quoted packet that was shorter) */
	L4_UDPLITE_HEADER, /* short, or a coverage that is past the packet or ends in the header (RFC 3828 section 3.1)
			    */
	L4_DCCP_HEADER,    /* short, or data offset or coverage that do not fit, or a reserved type */
	L4_SCTP_HEADER,    /* short */
};

/* Transports whose header begins with a source and a destination port. */
static inline bool l4_has_ports(uint8_t proto)
{
	return __builtin_expect(proto == IPPROTO_NR_TCP || proto == IPPROTO_NR_UDP, 1) || proto == IPPROTO_NR_SCTP ||
	       proto == IPPROTO_NR_DCCP || proto == IPPROTO_NR_UDPLITE;
}

/* A later fragment of these says nothing of its flow. */
static inline bool l4_needs_header(uint8_t proto)
{
	return l4_has_ports(proto) || proto == IPPROTO_NR_ICMP || proto == IPPROTO_NR_GRE || proto == IPPROTO_NR_ESP;
}

/* The identifier of a GRE or ESP packet, whose header begins at p and of which len bytes are there; L4_ID_NONE for one
 * that has none, or that is too short for it. */
enum l4_id l4_id_of(uint8_t proto, const uint8_t *p, size_t len, uint32_t *id);

static inline bool l4_kind_has_ports(enum l4_kind kind)
{
	return kind >= L4_TCP && kind <= L4_SCTP;
}

/* p: the L4 header; len: bytes of the packet from there (total_len -
 * header_len; more may be in the buffer). For a fragment: the first fragment is
 * parsed as far as it reaches (a first fragment without the whole header is an
 * error, RFC 1858), later fragments give L4_NONE. Checksums are not looked at. */
enum l4_error l4_parse(const struct ipv4_view *ip, const uint8_t *p, size_t len, struct l4_view *v);

/* The first 8 bytes or more of a quoted packet: ports, the TCP
 * sequence number, the SCTP verification tag, type, code, identifier of an ICMP query. False when there
 * is not enough. Nothing else in v is filled. */
bool l4_parse_quoted(const struct ipv4_view *ip, const uint8_t *p, size_t len, struct l4_view *v);

/* The first four bytes of an L4 header, where protocols with ports have them, whatever the protocol. False when there
 * are fewer. */
bool l4_peek_ports(const uint8_t *p, size_t len, uint16_t *sport, uint16_t *dport);

/* True when the transport checksum over the whole payload is right (UDP: or
 * absent). Only for packets that are no fragments and whose checksum is not
 * partial. */
bool l4_checksum_ok(const struct ipv4_view *ip, const uint8_t *p, size_t len);
/* Computes and stores it: of every kind; of UDP and UDP-Lite never 0. */
void l4_checksum_set(const struct ipv4_view *ip, uint8_t *p, size_t len);

/* TCP options that connection tracking and TCP want (RFC 9293 section 3.2, RFC
 * 7323, RFC 2018, RFC 2385). */
struct tcp_options {
	bool has_mss, has_wscale, has_sack_ok, has_timestamp;
	uint16_t mss;
	uint8_t wscale; /* at most 14 (RFC 7323 section 2.3) */
	uint32_t ts_val, ts_ecr;
	uint8_t n_sack;
	struct {
		uint32_t left, right;
	} sack[4];
	const uint8_t *md5; /* RFC 2385's digest, 16 bytes in the packet; NULL: none */
};

/* p: the TCP header, v as parsed from it. A list that lies is cut at the lie
 * (RFC 9293 MUST-5 to 7: unknown options are skipped); returns false then. */
bool tcp_options_parse(const uint8_t *p, const struct l4_view *v, struct tcp_options *o);

/* True for the list that nearly every later segment has: NOP, NOP, timestamp (RFC 7323 appendix A), and nothing else.
 */
bool tcp_options_only_timestamp(const uint8_t *p, const struct l4_view *v);

/* Headers to bytes. Checksum zero; call l4_checksum_set when the rest is there. */
void udp_emit(uint8_t *p, uint16_t sport, uint16_t dport, uint16_t payload_len);
void tcp_emit(uint8_t *p, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t ack, uint8_t flags, uint16_t window);
void icmp_emit(uint8_t *p, uint8_t type, uint8_t code, uint32_t info);

#endif
