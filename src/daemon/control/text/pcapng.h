/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Packets as a capture file of the kind pcapng (draft-ietf-opsawg-pcapng), a block at a time,
 * in the byte order of this machine, as the format has it: a section with one interface of raw
 * IP packets, packets with what is said of them, and how many there were.
 *
 * Each function writes whole blocks to `out`, and returns how many bytes they are.
 */
#ifndef YG_DAEMON_CONTROL_TEXT_PCAPNG_H
#define YG_DAEMON_CONTROL_TEXT_PCAPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PCAPNG_TEXT_MAX 255u /* of a name or comment; what is longer is cut */
#define PCAPNG_BEGIN_MAX 1024u
#define PCAPNG_END_MAX 64u
/* Besides the packet itself. */
#define PCAPNG_PACKET_EXTRA_MAX 640u

struct pcapng_packet {
	uint64_t at_ns; /* UTC */
	bool is_out;
	uint32_t len;
	const uint8_t *bytes; /* from the IP header on */
	const char *comment;  /* NULL: none */
	uint64_t n_missing;   /* that should stand before this one */
};

/* program: who writes it; interface, about: what its packets are of. */
size_t pcapng_begin(uint8_t out[PCAPNG_BEGIN_MAX], const char *program, const char *interface, const char *about);
/* out: PCAPNG_PACKET_EXTRA_MAX and p->len. */
size_t pcapng_packet(uint8_t *out, const struct pcapng_packet *p);
/* n_packets: written and missing. */
size_t pcapng_end(uint8_t out[PCAPNG_END_MAX], uint64_t at_ns, uint64_t n_packets, uint64_t n_missing);

#endif
