/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IPv4 options: looked at once at input, filled in when the packet is sent on,
 * and sorted out when it is cut into fragments (RFC 791 section 3.1, RFC 1122
 * section 3.2.1.8, RFC 1812 sections 5.2.4 and 5.3.13).
 *
 * The list is walked by the checked reader, so a length that lies ends the walk
 * and never leads outside the header. ipv4_options_check finds what a forwarder
 * acts on, and refuses what cannot be acted on: a slot that is only half there,
 * an overflow count that would run over, a second option of a kind of which
 * there may be one. The pointer for the ICMP parameter problem names the very
 * byte that is wrong. Unknown options are passed over (RFC 1122).
 *
 * Offsets that it stores are trusted by ipv4_options_forward, which the same
 * packet reaches with the same header length.
 *
 * Next: src/stack/wire/l4.c
 */
#include "stack/wire/ipv4.h"

#include <string.h>

#include "base/reader.h"
#include "stack/wire/bytes.h"
#include "stack/wire/checksum.h"

#define OPTION_COPIED 0x80

/* Bytes of record route, source routes and timestamp, from the kind byte. */
#define OPTION_LENGTH_AT 1
#define OPTION_POINTER_AT 2
#define OPTION_FLAGS_AT 3

#define ROUTE_POINTER_MIN 4
#define TIMESTAMP_POINTER_MIN 5

#define TIMESTAMP_FLAG_ONLY 0         /* times alone */
#define TIMESTAMP_FLAG_ADDRESS 1      /* each time behind the address of who set it */
#define TIMESTAMP_FLAG_PRESPECIFIED 3 /* the sender has named who shall set it */
#define TIMESTAMP_OVERFLOW_MAX 15

/* Zero: nothing wrong. Else the wrong byte's place behind the kind byte, with
 * the kind byte itself as OPTION_KIND_WRONG. */
#define OPTION_KIND_WRONG UINT8_MAX

static uint8_t route_check(const uint8_t *opt, uint8_t len)
{
	if (len < 3)
		return OPTION_LENGTH_AT;
	uint8_t pointer = opt[OPTION_POINTER_AT];
	if (pointer < ROUTE_POINTER_MIN)
		return OPTION_POINTER_AT;
	/* Some room, but less than an address: RFC 791 calls the packet wrong. */
	if (pointer <= len && pointer + 3 > len)
		return OPTION_POINTER_AT;
	return 0;
}

static uint8_t timestamp_slot_len(uint8_t flag)
{
	return flag == TIMESTAMP_FLAG_ONLY ? 4 : 8;
}

static uint8_t timestamp_check(const uint8_t *opt, uint8_t len)
{
	if (len < 4)
		return OPTION_LENGTH_AT;
	uint8_t pointer = opt[OPTION_POINTER_AT];
	uint8_t flag = opt[OPTION_FLAGS_AT] & 0xf;
	if (pointer < TIMESTAMP_POINTER_MIN)
		return OPTION_POINTER_AT;
	if (flag != TIMESTAMP_FLAG_ONLY && flag != TIMESTAMP_FLAG_ADDRESS && flag != TIMESTAMP_FLAG_PRESPECIFIED)
		return OPTION_FLAGS_AT;
	if (pointer > len) {
		/* Full. A prespecified list that is full has been served; the
		 * others must be able to count us as left out. */
		if (flag != TIMESTAMP_FLAG_PRESPECIFIED && opt[OPTION_FLAGS_AT] >> 4 == TIMESTAMP_OVERFLOW_MAX)
			return OPTION_FLAGS_AT;
		return 0;
	}
	return pointer + timestamp_slot_len(flag) - 1 > len ? OPTION_POINTER_AT : 0;
}

/* at: offset of the option from the header's start. */
static uint8_t option_check(const uint8_t *opt, uint8_t len, uint8_t at, struct ipv4_options *o)
{
	uint8_t wrong;

	switch (opt[0]) {
	case IPV4_OPT_LSRR:
	case IPV4_OPT_SSRR:
		wrong = route_check(opt, len);
		if (wrong == 0 && o->source_route)
			wrong = OPTION_KIND_WRONG;
		o->source_route = true;
		return wrong;
	case IPV4_OPT_RECORD_ROUTE:
		wrong = route_check(opt, len);
		if (wrong == 0 && o->record_route != 0)
			wrong = OPTION_KIND_WRONG;
		o->record_route = at;
		return wrong;
	case IPV4_OPT_TIMESTAMP:
		wrong = timestamp_check(opt, len);
		if (wrong == 0 && o->timestamp != 0)
			wrong = OPTION_KIND_WRONG;
		o->timestamp = at;
		return wrong;
	case IPV4_OPT_ROUTER_ALERT:
		/* RFC 2113: only the value zero has a meaning. */
		if (len < 4)
			return OPTION_LENGTH_AT;
		if (opt[2] == 0 && opt[3] == 0)
			o->router_alert = true;
		return 0;
	default:
		return 0;
	}
}

void ipv4_options_check(const uint8_t *p, const struct ipv4_view *v, struct ipv4_options *o)
{
	const uint8_t *list = p + IPV4_HEADER_LEN;
	size_t list_len = (size_t)v->header_len - IPV4_HEADER_LEN;
	struct reader r = reader_of(list, list_len);
	struct reader_option opt;
	size_t next = 0; /* behind the last option that was whole */

	*o = (struct ipv4_options){ 0 };
	while (reader_next_option(&r, list_len, &opt)) {
		uint8_t at = (uint8_t)(IPV4_HEADER_LEN + opt.offset);
		uint8_t len = (uint8_t)(opt.body_len + 2);
		uint8_t wrong = option_check(p + at, len, at, o);

		if (wrong != 0) {
			o->bad = true;
			o->bad_offset = wrong == OPTION_KIND_WRONG ? at : (uint8_t)(at + wrong);
			return;
		}
		next = opt.offset + len;
	}
	if (!r.failed)
		return;
	while (next < list_len && list[next] == IPV4_OPT_NOP)
		next++;
	o->bad = true;
	/* The length byte is wrong; a kind byte that ends the header has none. */
	if (next + 1 < list_len)
		next++;
	o->bad_offset = (uint8_t)(IPV4_HEADER_LEN + next);
}

static void record_route_fill(uint8_t *opt, uint32_t our_addr)
{
	uint8_t pointer = opt[OPTION_POINTER_AT];

	if (pointer + 3 > opt[OPTION_LENGTH_AT])
		return;
	bytes_put32(opt + pointer - 1, our_addr);
	opt[OPTION_POINTER_AT] = (uint8_t)(pointer + 4);
}

static void timestamp_fill(uint8_t *opt, uint32_t our_addr, uint32_t time_ms)
{
	uint8_t pointer = opt[OPTION_POINTER_AT];
	uint8_t flag = opt[OPTION_FLAGS_AT] & 0xf;
	uint8_t slot_len = timestamp_slot_len(flag);
	uint8_t *slot = opt + pointer - 1;

	if (pointer + slot_len - 1 > opt[OPTION_LENGTH_AT]) {
		if (flag != TIMESTAMP_FLAG_PRESPECIFIED && opt[OPTION_FLAGS_AT] >> 4 != TIMESTAMP_OVERFLOW_MAX)
			opt[OPTION_FLAGS_AT] = (uint8_t)(opt[OPTION_FLAGS_AT] + 0x10);
		return;
	}
	if (flag == TIMESTAMP_FLAG_PRESPECIFIED && bytes_get32(slot) != our_addr)
		return;
	if (flag == TIMESTAMP_FLAG_ADDRESS)
		bytes_put32(slot, our_addr);
	bytes_put32(slot + slot_len - 4, time_ms);
	opt[OPTION_POINTER_AT] = (uint8_t)(pointer + slot_len);
}

void ipv4_options_forward(uint8_t *p, const struct ipv4_view *v, const struct ipv4_options *o, uint32_t our_addr,
			  uint32_t time_ms)
{
	struct ipv4_header *h = (struct ipv4_header *)p;
	uint8_t *list = p + IPV4_HEADER_LEN;
	size_t list_len = (size_t)v->header_len - IPV4_HEADER_LEN;

	if (o->bad || (o->record_route == 0 && o->timestamp == 0))
		return;
	/* Options may stand at odd offsets, the list as a whole does not: so the
	 * checksum is mended by the list's sum before and after. */
	uint16_t before = checksum_fold(checksum_add(0, list, list_len));
	if (o->record_route != 0)
		record_route_fill(p + o->record_route, our_addr);
	if (o->timestamp != 0)
		timestamp_fill(p + o->timestamp, our_addr, time_ms);
	uint16_t after = checksum_fold(checksum_add(0, list, list_len));
	if (after != before)
		h->check = be16_of(checksum_update16(be16_get(h->check), before, after));
}

uint8_t ipv4_options_copied(const uint8_t *p, const struct ipv4_view *v, uint8_t out[40])
{
	size_t list_len = (size_t)v->header_len - IPV4_HEADER_LEN;
	struct reader r = reader_of(p + IPV4_HEADER_LEN, list_len);
	struct reader_option opt;
	uint8_t n = 0;

	while (reader_next_option(&r, list_len, &opt)) {
		uint8_t len = (uint8_t)(opt.body_len + 2);

		if ((opt.kind & OPTION_COPIED) == 0)
			continue;
		memcpy(out + n, p + IPV4_HEADER_LEN + opt.offset, len);
		n = (uint8_t)(n + len);
	}
	while (n % 4 != 0)
		out[n++] = IPV4_OPT_END;
	return n;
}
