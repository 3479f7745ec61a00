/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One pass over the chunks of an SCTP packet. Each has a length of its own, header
 * included, padding to four bytes not (RFC 9260 section 3.2).
 *
 * Next: src/gateway/conntrack/sctp.c
 */
#include "stack/wire/sctp.h"

#include "stack/wire/bytes.h"
#include "stack/wire/l4.h"

#define CHUNK_HEADER_LEN 4
#define INIT_LEN 20 /* sections 3.3.2 and 3.3.3, without parameters */
#define T_BIT 1

#define BIT(type) (UINT32_C(1) << (type))
#define ALONE (BIT(SCTP_INIT) | BIT(SCTP_INIT_ACK) | BIT(SCTP_SHUTDOWN_COMPLETE))

/* chunk: len bytes of it are there. */
static bool take(const uint8_t *chunk, size_t len, struct sctp_chunks *out)
{
	uint8_t type = chunk[0];

	out->n++;
	if (type < 32)
		out->types |= BIT(type);
	if (type == SCTP_INIT || type == SCTP_INIT_ACK) {
		if (len < INIT_LEN)
			return false;
		out->init_tag = (uint32_t)bytes_get16(chunk + 4) << 16 | bytes_get16(chunk + 6);
		return out->init_tag != 0;
	}
	if (type == SCTP_ABORT || type == SCTP_SHUTDOWN_COMPLETE)
		out->reflected = (chunk[1] & T_BIT) != 0;
	return true;
}

bool sctp_chunks_parse(const uint8_t *p, size_t len, bool cut, struct sctp_chunks *out)
{
	*out = (struct sctp_chunks){ 0 };
	for (size_t at = SCTP_HEADER_LEN; at + CHUNK_HEADER_LEN <= len;) {
		size_t chunk_len = bytes_get16(p + at + 2), left = len - at;

		if (chunk_len < CHUNK_HEADER_LEN || (chunk_len > left && !cut) ||
		    !take(p + at, chunk_len < left ? chunk_len : left, out))
			return false;
		at += (chunk_len + 3) & ~(size_t)3;
	}
	return out->n > 0 && (out->n == 1 || (out->types & ALONE) == 0);
}
