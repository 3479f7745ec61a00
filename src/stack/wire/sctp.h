/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a tracker wants of an SCTP packet's chunks (RFC 9260 section 3.2).
 */
#ifndef YG_STACK_WIRE_SCTP_H
#define YG_STACK_WIRE_SCTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sctp_chunk {
	SCTP_DATA = 0,
	SCTP_INIT = 1,
	SCTP_INIT_ACK = 2,
	SCTP_SACK = 3,
	SCTP_HEARTBEAT = 4,
	SCTP_HEARTBEAT_ACK = 5,
	SCTP_ABORT = 6,
	SCTP_SHUTDOWN = 7,
	SCTP_SHUTDOWN_ACK = 8,
	SCTP_ERROR = 9,
	SCTP_COOKIE_ECHO = 10,
	SCTP_COOKIE_ACK = 11,
	SCTP_SHUTDOWN_COMPLETE = 14,
};

struct sctp_chunks {
	uint32_t types;    /* a bit for each type below 32 that is there */
	uint32_t n;        /* all of them */
	uint32_t init_tag; /* of an INIT or INIT ACK */
	bool reflected;    /* ABORT or SHUTDOWN COMPLETE: the T bit (section 8.5.1) */
};

static inline bool sctp_has(const struct sctp_chunks *c, enum sctp_chunk type)
{
	return (c->types >> type & 1) != 0;
}

/* p, len: the packet from its common header on, `cut` when it is the first fragment of a longer one. False when there
 * is no chunk, one is short or runs past the packet (a cut one may), an initiate tag is 0, or INIT, INIT ACK or
 * SHUTDOWN COMPLETE does not stand alone (section 6.10). */
bool sctp_chunks_parse(const uint8_t *p, size_t len, bool cut, struct sctp_chunks *out);

#endif
