/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests: the one builder of packets. A packet is described by a value in which
 * everything that is left out is the usual, and becomes bytes with right lengths and
 * checksums; a test that wants one of them wrong says which.
 */
#ifndef YG_STACK_PACKET_PACKET_FIXTURE_H
#define YG_STACK_PACKET_PACKET_FIXTURE_H

#include "stack/packet/packet.h"
#include "stack/packet/stamp.h"
#include "stack/wire/ether.h"
#include "stack/wire/icmp.h"
#include "stack/wire/l4.h"

/* A header field (host order) that stands as it is given instead of being computed: PACKET_FIELD(0) is a zero. */
struct packet_field {
	bool given;
	uint16_t value;
};
#define PACKET_FIELD(v) ((struct packet_field){ true, (v) })

struct packet_spec {
	/* IPv4 */
	uint32_t src, dst; /* host order */
	uint8_t proto;     /* IPPROTO_NR_*; another number than those below: payload only */
	uint8_t ttl;       /* 0: 64 */
	uint8_t tos;
	uint16_t ip_id;
	bool df, mf;
	/* Bytes. A later fragment is payload only, and no fragment has a checksum of its transport, but with `cut`. */
	uint16_t frag_off;
	/* Not 0: what is described is a whole datagram, of which at most so many bytes behind the IP header, from
	 * frag_off on, are built. */
	uint16_t cut;
	uint8_t ip_options_len; /* a multiple of 4 */
	const uint8_t *ip_options;

	/* Transports with ports. UDP-Lite: its checksum covers the header. DCCP: flags is the type, with long sequence
	 * numbers. */
	uint16_t sport, dport;
	/* TCP; SCTP: seq is the verification tag; ESP and GRE: seq is the SPI or the key, GRE: flags its first byte */
	uint32_t seq, ack;
	uint16_t window;
	uint8_t flags;
	uint8_t gre_version;
	uint8_t tcp_options_len; /* a multiple of 4 */
	const uint8_t *tcp_options;
	/* ICMP */
	uint8_t type, code;
	uint16_t id, icmp_seq;
	uint32_t info; /* not 0: instead of id and icmp_seq */

	uint16_t payload_len;
	const uint8_t *payload; /* NULL: bytes counted 0, 1, 2 ... 255, 1, 2 ... */

	/* Instead of what is right; the checksums that are not given are right for the rest. */
	struct packet_field version_ihl, total_len, ip_check; /* of IPv4 */
	struct packet_field udp_len, tcp_offset, l4_check;    /* tcp_offset: in words of 4 bytes */
	bool bad_check;                                       /* the transport's is off by a bit */

	/* Its way, for fixtures that know ways: interfaces, 0 is this host; how the frame is addressed; what a driver's
	 * program has put into it. The builder does not look at them. */
	uint32_t in, out;
	bool link_broadcast;
	struct up_stamp stamp;
};

#define PACKET_BUILD_MAX 65535u

/* From the IP header on, where there must be room for it; returns the length. */
uint32_t packet_build(const struct packet_spec *s, uint8_t *out);
/* With its Ethernet header, without padding. */
uint32_t packet_build_frame(const struct packet_spec *s, const struct ether_addr *dst, const struct ether_addr *src,
			    uint8_t *out);
/* The frame (addresses NULL: zeros) in a packet of the pool, with its interfaces, not parsed. NULL: no buffer. */
struct packet *packet_of_spec(struct packet_pool *pool, const struct packet_spec *s, const struct ether_addr *dst,
			      const struct ether_addr *src);
/* Offsets and views of a frame that holds an IPv4 packet, as the IP layer fills them. False if it cannot be parsed. */
bool packet_parse(struct packet *p);

#endif
