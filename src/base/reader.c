/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The checked cursor. A failed reader has nothing left, so that one test of
 * n_left refuses every later getter too.
 */
#include "base/reader.h"

const uint8_t *reader_bytes(struct reader *r, size_t n)
{
	if (r->failed || n > r->n_left) {
		r->failed = true;
		r->n_left = 0;
		return NULL;
	}
	const uint8_t *p = r->p;
	if (n > 0)
		r->p += n;
	r->n_left -= n;
	return p;
}

uint8_t reader_u8(struct reader *r)
{
	const uint8_t *p = reader_bytes(r, 1);
	return p == NULL ? 0 : p[0];
}

uint16_t reader_be16(struct reader *r)
{
	const uint8_t *p = reader_bytes(r, 2);
	return p == NULL ? 0 : (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t reader_be32(struct reader *r)
{
	const uint8_t *p = reader_bytes(r, 4);
	return p == NULL ? 0 : (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

bool reader_next_option(struct reader *r, size_t list_len, struct reader_option *opt)
{
	while (r->n_left > 0) {
		opt->offset = list_len - r->n_left;
		opt->kind = reader_u8(r);
		if (opt->kind == 0) {
			/* What stands behind the end is padding. */
			reader_bytes(r, r->n_left);
			return false;
		}
		if (opt->kind == 1)
			continue;
		uint8_t len = reader_u8(r);
		if (len < 2) {
			r->failed = true;
			r->n_left = 0;
			return false;
		}
		opt->body_len = (uint8_t)(len - 2);
		opt->body = reader_bytes(r, opt->body_len);
		return !r->failed;
	}
	return false;
}
