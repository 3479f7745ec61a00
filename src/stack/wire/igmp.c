/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IGMP as a host reads and writes it: queries of all versions, what other hosts report
 * by versions 1 and 2, and our own reports.
 *
 * All messages but reports of version 3 begin alike: type, a code, checksum, group. A
 * query's version follows from its length and its code (RFC 9776 section 7.1): eight
 * bytes are of version 1 when the code is 0 and of version 2 when it is not, twelve and
 * more are of version 3, all between is none.
 *
 * What a report of version 3 has is for routers: hosts of that version do not listen
 * to each other.
 *
 * Next: src/stack/ip/igmp.c
 */
#include "stack/wire/igmp.h"

#include <string.h>

#include "base/be.h"
#include "base/ip4.h"
#include "base/reader.h"
#include "stack/wire/checksum.h"

#define V1_MAX_RESP_MS 10000 /* RFC 9776 section 8.3's default, which version 1 takes for granted */
#define TENTH_MS 100

struct igmp_header {
	uint8_t type, code;
	be16 check;
	be32 group; /* of a report of version 3: reserved, and how many records */
};
_Static_assert(sizeof(struct igmp_header) == IGMP_HEADER_LEN, "RFC 2236 section 2");

/* Beyond 127 a floating point number (RFC 9776 section 4.1.1). */
static uint32_t max_resp_tenths(uint8_t code)
{
	return code < 128 ? code : (uint32_t)((code & 0xf) | 0x10) << ((code >> 4 & 7) + 3);
}

static enum igmp_error parse_query(struct reader *r, uint8_t code, struct igmp_view *v)
{
	v->max_resp_ms = code * TENTH_MS;
	v->version = code == 0 ? 1 : 2;
	if (v->version == 1)
		v->max_resp_ms = V1_MAX_RESP_MS;
	if (r->n_left == 0)
		return IGMP_OK;
	v->version = 3;
	v->max_resp_ms = max_resp_tenths(code) * TENTH_MS;
	v->robustness = reader_u8(r) & 7;
	(void)reader_u8(r); /* how often it asks: a router's business */
	v->n_sources = reader_be16(r);
	v->source = reader_bytes(r, 4 * (size_t)v->n_sources);
	return r->failed ? IGMP_SHORT : IGMP_OK;
}

enum igmp_error igmp_parse(const uint8_t *p, size_t len, struct igmp_view *v)
{
	struct reader r = reader_of(p, len);

	*v = (struct igmp_view){ .type = reader_u8(&r) };
	uint8_t code = reader_u8(&r);

	(void)reader_be16(&r);
	uint32_t group = reader_be32(&r);

	if (r.failed)
		return IGMP_SHORT;
	if (checksum_finish(checksum_add(0, p, len)) != 0)
		return IGMP_CHECKSUM;
	switch ((enum igmp_type)v->type) {
	case IGMP_QUERY:
		v->group = group;
		if (group != 0 && !ip4_is_multicast(group))
			return IGMP_GROUP;
		return parse_query(&r, code, v);
	case IGMP_V1_REPORT:
	case IGMP_V2_REPORT:
	case IGMP_V2_LEAVE:
		v->group = group;
		return ip4_is_multicast(group) ? IGMP_OK : IGMP_GROUP;
	case IGMP_V3_REPORT:
		break;
	}
	return IGMP_OK;
}

uint32_t igmp_source(const struct igmp_view *v, uint32_t i)
{
	be32 source;

	memcpy(&source, v->source + 4 * (size_t)i, sizeof(source));
	return be32_get(source);
}

static void set_checksum(uint8_t *p, size_t len)
{
	struct igmp_header *h = (struct igmp_header *)p;

	h->check = be16_of(0);
	h->check = be16_of(checksum_finish(checksum_add(0, p, len)));
}

void igmp_emit(uint8_t *p, enum igmp_type type, uint32_t group)
{
	*(struct igmp_header *)p = (struct igmp_header){ .type = (uint8_t)type, .group = be32_of(group) };
	set_checksum(p, IGMP_HEADER_LEN);
}

struct igmp_report igmp_report_begin(uint8_t *p)
{
	return (struct igmp_report){ .p = p, .len = IGMP_HEADER_LEN };
}

void igmp_report_add(struct igmp_report *r, enum igmp_record_type type, uint32_t group, const uint32_t *source,
		     uint32_t n_sources)
{
	uint8_t *record = r->p + r->len;
	be16 n = be16_of((uint16_t)n_sources);
	be32 addr = be32_of(group);

	record[0] = (uint8_t)type;
	record[1] = 0; /* no auxiliary data, which nobody defines */
	memcpy(record + 2, &n, sizeof(n));
	memcpy(record + 4, &addr, sizeof(addr));
	for (uint32_t i = 0; i < n_sources; i++) {
		addr = be32_of(source[i]);
		memcpy(record + IGMP_RECORD_LEN + 4 * (size_t)i, &addr, sizeof(addr));
	}
	r->len += igmp_record_len(n_sources);
	r->n_records++;
}

size_t igmp_report_end(struct igmp_report *r)
{
	*(struct igmp_header *)r->p = (struct igmp_header){ .type = IGMP_V3_REPORT, .group = be32_of(r->n_records) };
	set_checksum(r->p, r->len);
	return r->len;
}
