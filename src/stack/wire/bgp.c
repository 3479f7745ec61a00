/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BGP's header, KEEPALIVE and ROUTE-REFRESH.
 *
 * A stream is cut into messages by the length in each header. What a header may say is one row a type (RFC 4271 section
 * 6.1): a wrong one can only end the session, since nobody knows where the next message begins. Lengths that a message
 * may have though its body is wrong are let pass here and judged by whoever reads the body.
 *
 * Next: src/stack/wire/bgp_message.c
 */
#include "stack/wire/bgp.h"

#include <string.h>

#include "base/be.h"
#include "base/util.h"
#include "stack/wire/bgp_notification.h"
#include "stack/wire/bytes.h"

#define MARKER_LEN 16
#define MARKER 0xff

struct bgp_header {
	uint8_t marker[MARKER_LEN];
	be16 len;
	uint8_t type;
};
_Static_assert(sizeof(struct bgp_header) == BGP_HEADER_LEN, "RFC 4271 section 4.1");

struct refresh_body {
	be16 afi;
	uint8_t kind, safi;
};
_Static_assert(sizeof(struct refresh_body) == BGP_REFRESH_LEN - BGP_HEADER_LEN, "RFC 7313 section 3.2");

static const struct {
	uint16_t min, max;
} lens[] = {
	[BGP_OPEN] = { BGP_HEADER_LEN + 10, BGP_MESSAGE_MAX },
	[BGP_UPDATE] = { BGP_HEADER_LEN + 4, BGP_MESSAGE_MAX },
	[BGP_NOTIFICATION] = { BGP_HEADER_LEN + 2, BGP_MESSAGE_MAX },
	[BGP_KEEPALIVE] = { BGP_HEADER_LEN, BGP_HEADER_LEN },
	[BGP_ROUTE_REFRESH] = { BGP_HEADER_LEN, BGP_MESSAGE_MAX }, /* its own error: RFC 7313 section 5 */
};

static enum bgp_frame bad(struct bgp_error *e, enum bgp_header_subcode subcode, const char *why, const uint8_t *data,
			  uint16_t data_len)
{
	*e = (struct bgp_error){ BGP_HEADER_ERROR, (uint8_t)subcode, .data = data, .data_len = data_len, .why = why };
	return BGP_FRAME_BAD;
}

enum bgp_frame bgp_frame(const uint8_t *p, size_t n, size_t *len, struct bgp_error *e)
{
	const struct bgp_header *h = (const struct bgp_header *)p;

	for (size_t i = 0; i < MARKER_LEN && i < n; i++)
		if (h->marker[i] != MARKER)
			return bad(e, BGP_NOT_SYNCHRONISED, "marker not all ones", NULL, 0);
	if (n < BGP_HEADER_LEN)
		return BGP_FRAME_MORE;
	*len = be16_get(h->len);
	if (*len < BGP_HEADER_LEN || *len > BGP_MESSAGE_MAX)
		return bad(e, BGP_BAD_LENGTH, "length that no message has", h->len.b, sizeof(h->len));
	if (h->type >= ARRAY_LEN(lens) || lens[h->type].min == 0)
		return bad(e, BGP_BAD_TYPE, "message of an unknown type", &h->type, 1);
	if (*len < lens[h->type].min || *len > lens[h->type].max)
		return bad(e, BGP_BAD_LENGTH, "length that its type has not", h->len.b, sizeof(h->len));
	return n < *len ? BGP_FRAME_MORE : BGP_FRAME_WHOLE;
}

uint8_t *bgp_header_emit(uint8_t *p, enum bgp_type type, size_t len)
{
	struct bgp_header *h = (struct bgp_header *)p;

	memset(h->marker, MARKER, MARKER_LEN);
	h->len = be16_of((uint16_t)len);
	h->type = (uint8_t)type;
	return p + BGP_HEADER_LEN;
}

size_t bgp_header_len(const uint8_t *p)
{
	return be16_get(((const struct bgp_header *)p)->len);
}

enum bgp_type bgp_header_type(const uint8_t *p)
{
	return (enum bgp_type)((const struct bgp_header *)p)->type;
}

size_t bgp_keepalive_emit(uint8_t *p)
{
	(void)bgp_header_emit(p, BGP_KEEPALIVE, BGP_HEADER_LEN);
	return BGP_HEADER_LEN;
}

/* Without RFC 7313 agreed to, the byte between the two is reserved, and ignored (RFC 2918 section 3). One that is
 * longer has an outbound route filter behind it (RFC 5291), which we never say we take. */
enum bgp_disposition bgp_refresh_parse(const struct bgp_wire *w, const uint8_t *p, size_t len, struct bgp_refresh *r,
				       struct bgp_error *e)
{
	const struct refresh_body *b = (const struct refresh_body *)(p + BGP_HEADER_LEN);

	*r = (struct bgp_refresh){ 0 };
	if (len != BGP_REFRESH_LEN) {
		bool marks = w->enhanced_refresh && len > BGP_HEADER_LEN + offsetof(struct refresh_body, kind) &&
			     (b->kind == BGP_REFRESH_BEGINS || b->kind == BGP_REFRESH_ENDS);

		*e = (struct bgp_error){ BGP_HEADER_ERROR, BGP_BAD_LENGTH, .data = p + MARKER_LEN, .data_len = 2,
					 .why = "ROUTE-REFRESH of another length" };
		if (marks) {
			e->code = BGP_REFRESH_ERROR;
			e->subcode = BGP_REFRESH_BAD_LENGTH;
			e->data = p;
			e->data_len = (uint16_t)len;
		}
		return BGP_RESET;
	}
	r->afi = be16_get(b->afi);
	r->kind = w->enhanced_refresh ? b->kind : BGP_REFRESH_ASKED;
	r->safi = b->safi;
	return BGP_ACCEPT;
}

size_t bgp_refresh_emit(uint8_t *p, const struct bgp_refresh *r)
{
	struct refresh_body *b = (struct refresh_body *)bgp_header_emit(p, BGP_ROUTE_REFRESH, BGP_REFRESH_LEN);

	*b = (struct refresh_body){ be16_of(r->afi), r->kind, r->safi };
	return BGP_REFRESH_LEN;
}
