/* SPDX-License-Identifier: BSD-2-Clause
 *
 * TCP options to values (RFC 9293 section 3.2, RFC 7323, RFC 2018, RFC 2385).
 *
 * The list is walked by the checked reader over the bytes that l4_parse found
 * present. A length that lies ends the list there: what stood before it counts,
 * and the caller is told. A known option of another length than its own is
 * passed over like an unknown one (RFC 9293 MUST-6). Whether an option may stand
 * in this segment (MSS, scale and SACK-permitted: only with SYN) is the caller's
 * question.
 *
 * An MSS can be lowered in place. It may stand at an odd offset, where its bytes
 * count swapped in the checksum.
 */
#include "stack/wire/l4.h"

#include <string.h>

#include "base/reader.h"
#include "stack/wire/checksum.h"
#include "stack/wire/l4_priv.h"
#include "stack/wire/rewrite.h"

#define TCP_OPT_MSS 2
#define TCP_OPT_WSCALE 3
#define TCP_OPT_SACK_OK 4
#define TCP_OPT_SACK 5
#define TCP_OPT_TIMESTAMP 8
#define TCP_OPT_MD5 19

#define WSCALE_MAX 14
#define SACK_BLOCK_LEN 8
#define MD5_LEN 16

static void sack_take(struct reader *body, struct tcp_options *o)
{
	while (body->n_left >= SACK_BLOCK_LEN && o->n_sack < sizeof(o->sack) / sizeof(o->sack[0])) {
		o->sack[o->n_sack].left = reader_be32(body);
		o->sack[o->n_sack].right = reader_be32(body);
		o->n_sack++;
	}
}

static void option_take(const struct reader_option *opt, struct tcp_options *o)
{
	struct reader body = reader_of(opt->body, opt->body_len);

	switch (opt->kind) {
	case TCP_OPT_MSS:
		if (opt->body_len != 2)
			return;
		o->has_mss = true;
		o->mss = reader_be16(&body);
		return;
	case TCP_OPT_WSCALE:
		if (opt->body_len != 1)
			return;
		o->has_wscale = true;
		o->wscale = reader_u8(&body);
		if (o->wscale > WSCALE_MAX)
			o->wscale = WSCALE_MAX;
		return;
	case TCP_OPT_SACK_OK:
		o->has_sack_ok = o->has_sack_ok || opt->body_len == 0;
		return;
	case TCP_OPT_SACK:
		if (opt->body_len % SACK_BLOCK_LEN == 0)
			sack_take(&body, o);
		return;
	case TCP_OPT_TIMESTAMP:
		if (opt->body_len != 8)
			return;
		o->has_timestamp = true;
		o->ts_val = reader_be32(&body);
		o->ts_ecr = reader_be32(&body);
		return;
	case TCP_OPT_MD5:
		if (opt->body_len == MD5_LEN)
			o->md5 = opt->body;
		return;
	default:
		return;
	}
}

bool tcp_options_only_timestamp(const uint8_t *p, const struct l4_view *v)
{
	static const uint8_t start[4] = { 1, 1, TCP_OPT_TIMESTAMP, 10 };

	return v->options_len == sizeof(start) + 8 && memcmp(p + TCP_HEADER_LEN, start, sizeof(start)) == 0;
}

bool tcp_options_parse(const uint8_t *p, const struct l4_view *v, struct tcp_options *o)
{
	struct reader r = reader_of(p + TCP_HEADER_LEN, v->options_len);
	struct reader_option opt;

	*o = (struct tcp_options){ 0 };
	/* As RFC 7323 appendix A has it: nearly every segment. */
	if (tcp_options_only_timestamp(p, v)) {
		struct reader body = reader_of(p + TCP_HEADER_LEN + 4, 8);

		o->has_timestamp = true;
		o->ts_val = reader_be32(&body);
		o->ts_ecr = reader_be32(&body);
		return true;
	}
	while (reader_next_option(&r, v->options_len, &opt))
		option_take(&opt, o);
	return !r.failed;
}

static uint16_t swapped(uint16_t v)
{
	return (uint16_t)(v << 8 | v >> 8);
}

bool tcp_mss_clamp(uint8_t *p, struct l4_view *v, uint16_t mss, enum rewrite_check check)
{
	struct reader r = reader_of(p + TCP_HEADER_LEN, v->options_len);
	struct reader_option opt;
	struct reader body;
	uint8_t *field;
	uint16_t old;

	while (reader_next_option(&r, v->options_len, &opt)) {
		if (opt.kind != TCP_OPT_MSS || opt.body_len != 2)
			continue;
		body = reader_of(opt.body, opt.body_len);
		old = reader_be16(&body);
		if (old <= mss)
			continue;
		field = p + (opt.body - p);
		field[0] = (uint8_t)(mss >> 8);
		field[1] = (uint8_t)mss;
		if (check == REWRITE_CHECK_FULL) {
			bool odd = (field - p) % 2 != 0;

			v->check = checksum_update16(v->check, odd ? swapped(old) : old, odd ? swapped(mss) : mss);
			((struct tcp_header *)p)->check = be16_of(v->check);
		}
		return true;
	}
	return false;
}
