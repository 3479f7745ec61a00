/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The one checked cursor over received bytes. A getter that would run past the
 * end fails, returns zero, and every later getter fails too: so a parser reads
 * straight through and asks once, at the end, whether all of it was there.
 */
#ifndef YG_BASE_READER_H
#define YG_BASE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader {
	const uint8_t *p;
	size_t n_left;
	bool failed;
};

static inline struct reader reader_of(const void *data, size_t len)
{
	return (struct reader){ .p = data, .n_left = len };
}

/* A pointer to n bytes, or NULL. */
const uint8_t *reader_bytes(struct reader *r, size_t n);
uint8_t reader_u8(struct reader *r);
uint16_t reader_be16(struct reader *r);
uint32_t reader_be32(struct reader *r);

/* One option of a list as IPv4 (RFC 791 section 3.1) and TCP (RFC 9293 section
 * 3.1) have it: kind 0 ends the list, kind 1 is one byte, every other has a
 * length byte that counts itself and the kind. */
struct reader_option {
	uint8_t kind;
	const uint8_t *body; /* behind the length byte */
	uint8_t body_len;
	size_t offset; /* of the kind byte, from the list's start */
};

/* True and *opt filled for the next option other than kind 1; false at the
 * end, or with r->failed when the list lies about its length. */
bool reader_next_option(struct reader *r, size_t list_len, struct reader_option *opt);

#endif
