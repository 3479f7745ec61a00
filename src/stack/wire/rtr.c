/* SPDX-License-Identifier: BSD-2-Clause */
#include "stack/wire/rtr.h"

#include <string.h>

#include "base/reader.h"
#include "base/util.h"
#include "stack/wire/bytes.h"

const char *rtr_error_name(uint16_t code)
{
	static const char *const names[N_RTR_ERRORS] = {
		[RTR_CORRUPT_DATA] = "Corrupt Data",
		[RTR_INTERNAL_ERROR] = "Internal Error",
		[RTR_NO_DATA] = "No Data Available",
		[RTR_INVALID_REQUEST] = "Invalid Request",
		[RTR_UNSUPPORTED_VERSION] = "Unsupported Protocol Version",
		[RTR_UNSUPPORTED_TYPE] = "Unsupported PDU Type",
		[RTR_UNKNOWN_WITHDRAWN] = "Withdrawal of Unknown Record",
		[RTR_ANNOUNCED_TWICE] = "Duplicate Announcement Received",
		[RTR_UNEXPECTED_VERSION] = "Unexpected Protocol Version",
	};

	return code < N_RTR_ERRORS ? names[code] : NULL;
}

/* Lengths of each type, in bytes, by version; 0: there is none in that version. */
static const struct {
	uint32_t least[RTR_VERSION_MAX + 1], most[RTR_VERSION_MAX + 1];
	bool is_query;
} types[N_RTR_TYPES] = {
	[RTR_SERIAL_NOTIFY] = { { 12, 12 }, { 12, 12 } },
	[RTR_SERIAL_QUERY] = { { 12, 12 }, { 12, 12 }, true },
	[RTR_RESET_QUERY] = { { 8, 8 }, { 8, 8 }, true },
	[RTR_CACHE_RESPONSE] = { { 8, 8 }, { 8, 8 } },
	[RTR_IPV4_PREFIX] = { { 20, 20 }, { 20, 20 } },
	[RTR_IPV6_PREFIX] = { { 32, 32 }, { 32, 32 } },
	[RTR_END_OF_DATA] = { { 12, 24 }, { 12, 24 } },
	[RTR_CACHE_RESET] = { { 8, 8 }, { 8, 8 } },
	/* Identifier, AS, and a key of any length. */
	[RTR_ROUTER_KEY] = { { 0, 32 }, { 0, RTR_LEN_MAX } },
	[RTR_ERROR_REPORT] = { { 16, 16 }, { RTR_LEN_MAX, RTR_LEN_MAX } },
};

enum rtr_error rtr_header_parse(const uint8_t *p, struct rtr_header *h)
{
	struct reader r = reader_of(p, RTR_HEADER_LEN);

	h->version = reader_u8(&r);
	h->type = reader_u8(&r);
	h->session = reader_be16(&r);
	h->len = reader_be32(&r);
	if (h->version > RTR_VERSION_MAX)
		return RTR_UNSUPPORTED_VERSION;
	if (h->type >= N_RTR_TYPES || types[h->type].most[h->version] == 0)
		return RTR_UNSUPPORTED_TYPE;
	if (h->len < types[h->type].least[h->version] || h->len > types[h->type].most[h->version])
		return RTR_CORRUPT_DATA;
	return types[h->type].is_query ? RTR_INVALID_REQUEST : RTR_NO_ERROR;
}

static enum rtr_error parse_prefix(struct reader *r, struct rtr_prefix *x)
{
	x->is_announced = (reader_u8(r) & 1) != 0;
	x->prefix.len = reader_u8(r);
	x->max_len = reader_u8(r);
	(void)reader_u8(r);
	x->prefix.addr = reader_be32(r);
	x->as = reader_be32(r);
	if (x->prefix.len > 32 || x->max_len > 32 || x->max_len < x->prefix.len)
		return RTR_CORRUPT_DATA;
	/* Bits behind the length are not said to be zero, nor to be an error. */
	x->prefix.addr &= ip4_mask(x->prefix.len);
	return RTR_NO_ERROR;
}

static enum rtr_error parse_report(struct reader *r, struct rtr_message *m)
{
	uint32_t about_len = reader_be32(r);

	m->report.code = m->h.session;
	(void)reader_bytes(r, about_len);
	m->report.text_len = reader_be32(r);
	m->report.text = reader_bytes(r, m->report.text_len);
	return r->failed ? RTR_CORRUPT_DATA : RTR_NO_ERROR;
}

enum rtr_error rtr_parse(const uint8_t *p, struct rtr_message *m)
{
	enum rtr_error e = rtr_header_parse(p, &m->h);

	if (e != RTR_NO_ERROR)
		return e;
	struct reader r = reader_of(p + RTR_HEADER_LEN, m->h.len - RTR_HEADER_LEN);

	switch (m->h.type) {
	case RTR_SERIAL_NOTIFY:
		m->serial = reader_be32(&r);
		return RTR_NO_ERROR;
	case RTR_IPV4_PREFIX:
		return parse_prefix(&r, &m->prefix);
	case RTR_END_OF_DATA:
		m->end = (struct rtr_end_of_data){ .serial = reader_be32(&r), .has_times = m->h.version >= 1 };
		if (m->end.has_times) {
			m->end.refresh_s = reader_be32(&r);
			m->end.retry_s = reader_be32(&r);
			m->end.expire_s = reader_be32(&r);
		}
		return RTR_NO_ERROR;
	case RTR_ERROR_REPORT:
		return parse_report(&r, m);
	default:
		return RTR_NO_ERROR;
	}
}

/* --- what a router says --- */

static uint8_t *put_header(uint8_t *p, uint8_t version, enum rtr_type type, uint16_t session, size_t len)
{
	*p++ = version;
	*p++ = (uint8_t)type;
	return bytes_add32(bytes_add16(p, session), (uint32_t)len);
}

size_t rtr_emit_serial_query(uint8_t *p, uint8_t version, uint16_t session, uint32_t serial)
{
	bytes_add32(put_header(p, version, RTR_SERIAL_QUERY, session, 12), serial);
	return 12;
}

size_t rtr_emit_reset_query(uint8_t *p, uint8_t version)
{
	put_header(p, version, RTR_RESET_QUERY, 0, RTR_HEADER_LEN);
	return RTR_HEADER_LEN;
}

size_t rtr_emit_report(uint8_t *p, uint8_t version, enum rtr_error code, const uint8_t *about, size_t about_len,
		       const char *text)
{
	uint32_t n = (uint32_t)min_u64(about_len, RTR_ABOUT_MAX),
		 n_text = (uint32_t)min_u64(strlen(text), RTR_TEXT_MAX);
	size_t len = RTR_HEADER_LEN + 8 + n + n_text;

	p = bytes_add32(put_header(p, version, RTR_ERROR_REPORT, (uint16_t)code, len), n);
	if (n > 0)
		memcpy(p, about, n);
	p = bytes_add32(p + n, n_text);
	if (n_text > 0)
		memcpy(p, text, n_text);
	return len;
}
