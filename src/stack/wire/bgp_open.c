/* SPDX-License-Identifier: BSD-2-Clause
 *
 * OPEN: fixed fields, then parameters, then capabilities in those of type 2. A capability is a row: its number, what
 * lengths it may have, how it is read, how it is written.
 *
 * Who says something twice means the last (RFC 5492 section 4, RFC 4724 section 3), but for a role (RFC 9234 section
 * 4.2). A known capability of a wrong length is a malformed parameter, 2/0; BIRD and FRR say so too.
 *
 * Next: src/stack/wire/bgp_message.c
 */
#include "stack/wire/bgp_open.h"

#include <string.h>

#include "base/be.h"
#include "base/reader.h"
#include "base/util.h"
#include "stack/wire/bgp_notification.h"
#include "stack/wire/bytes.h"

#define VERSION 4
#define HOLD_MIN_S 3
#define PARAM_CAPABILITIES 2
#define PARAM_EXTENDED 255 /* RFC 9072 section 2 */
#define UNSPECIFIC 0

struct open_body {
	uint8_t version;
	be16 as, hold_s;
	be32 id;
	uint8_t params_len;
};
_Static_assert(sizeof(struct open_body) == 10, "RFC 4271 section 4.2");

enum { CAP_MP = 1, CAP_REFRESH = 2, CAP_ROLE = 9, CAP_RESTART = 64, CAP_AS4 = 65, CAP_ENHANCED_REFRESH = 70 };

#define MP_LEN 4
#define AS4_LEN 4
#define RESTART_HEAD_LEN 2
#define RESTART_FAMILY_LEN 4
#define RESTART_R 0x8000
#define RESTART_N 0x4000
#define RESTART_TIME 0x0fff
#define RESTART_F 0x80

struct fault {
	enum bgp_open_subcode subcode; /* 0: malformed and nothing else */
	const char *why;               /* NULL: none */
};
static const struct fault fine = { 0 };

/* --- capabilities --- */

static struct fault read_mp(struct bgp_capabilities *c, const uint8_t *p, size_t len)
{
	c->any_mp = true;
	c->ipv4 |= bytes_get16(p) == BGP_AFI_IPV4 && p[3] == BGP_SAFI_UNICAST;
	return fine;
}

static struct fault read_refresh(struct bgp_capabilities *c, const uint8_t *p, size_t len)
{
	c->refresh = true;
	return fine;
}

static struct fault read_role(struct bgp_capabilities *c, const uint8_t *p, size_t len)
{
	if (p[0] == BGP_ROLE_NONE || (c->role != BGP_ROLE_NONE && c->role != p[0]))
		return (struct fault){ BGP_ROLE_MISMATCH, "two roles, or a reserved one" };
	c->role = p[0];
	return fine;
}

static struct fault read_restart(struct bgp_capabilities *c, const uint8_t *p, size_t len)
{
	uint16_t head = bytes_get16(p);

	c->restart = (struct bgp_restart){ .is_there = true,
					   .restarting = (head & RESTART_R) != 0,
					   .notification = (head & RESTART_N) != 0,
					   .time_s = head & RESTART_TIME };
	for (size_t at = RESTART_HEAD_LEN; at < len; at += RESTART_FAMILY_LEN)
		if (bytes_get16(p + at) == BGP_AFI_IPV4 && p[at + 2] == BGP_SAFI_UNICAST) {
			c->restart.ipv4 = true;
			c->restart.ipv4_kept = (p[at + 3] & RESTART_F) != 0;
		}
	return fine;
}

static struct fault read_as4(struct bgp_capabilities *c, const uint8_t *p, size_t len)
{
	c->as4 = bytes_get32(p);
	return c->as4 == 0 ? (struct fault){ BGP_BAD_PEER_AS, "AS 0 (RFC 7607)" } : fine;
}

static struct fault read_enhanced_refresh(struct bgp_capabilities *c, const uint8_t *p, size_t len)
{
	c->enhanced_refresh = true;
	return fine;
}

/* Each writes its value and returns its length; -1: the capability is not there. */

static int write_mp(const struct bgp_capabilities *c, uint8_t *p)
{
	bytes_put16(p, BGP_AFI_IPV4);
	p[2] = 0;
	p[3] = BGP_SAFI_UNICAST;
	return c->ipv4 ? MP_LEN : -1;
}

static int write_refresh(const struct bgp_capabilities *c, uint8_t *p)
{
	return c->refresh ? 0 : -1;
}

static int write_role(const struct bgp_capabilities *c, uint8_t *p)
{
	p[0] = c->role;
	return c->role != BGP_ROLE_NONE ? 1 : -1;
}

static int write_restart(const struct bgp_capabilities *c, uint8_t *p)
{
	const struct bgp_restart *r = &c->restart;

	if (!r->is_there)
		return -1;
	bytes_put16(p, (uint16_t)((r->restarting ? RESTART_R : 0) | (r->notification ? RESTART_N : 0) |
				  (r->time_s & RESTART_TIME)));
	if (!r->ipv4)
		return RESTART_HEAD_LEN;
	bytes_put16(p + RESTART_HEAD_LEN, BGP_AFI_IPV4);
	p[RESTART_HEAD_LEN + 2] = BGP_SAFI_UNICAST;
	p[RESTART_HEAD_LEN + 3] = r->ipv4_kept ? RESTART_F : 0;
	return RESTART_HEAD_LEN + RESTART_FAMILY_LEN;
}

static int write_as4(const struct bgp_capabilities *c, uint8_t *p)
{
	bytes_put32(p, c->as4);
	return c->as4 != 0 ? AS4_LEN : -1;
}

static int write_enhanced_refresh(const struct bgp_capabilities *c, uint8_t *p)
{
	return c->enhanced_refresh ? 0 : -1;
}

static const struct capability {
	uint8_t code;
	uint8_t len, each; /* len, or len and any number of `each` more */
	struct fault (*read)(struct bgp_capabilities *c, const uint8_t *p, size_t len);
	int (*write)(const struct bgp_capabilities *c, uint8_t *p);
} capabilities[] = {
	{ CAP_MP, MP_LEN, 0, read_mp, write_mp },
	{ CAP_REFRESH, 0, 0, read_refresh, write_refresh },
	{ CAP_ROLE, 1, 0, read_role, write_role },
	{ CAP_RESTART, RESTART_HEAD_LEN, RESTART_FAMILY_LEN, read_restart, write_restart },
	{ CAP_AS4, AS4_LEN, 0, read_as4, write_as4 },
	{ CAP_ENHANCED_REFRESH, 0, 0, read_enhanced_refresh, write_enhanced_refresh },
};

static struct fault read_capability(struct bgp_capabilities *c, uint8_t code, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(capabilities); i++) {
		const struct capability *row = &capabilities[i];

		if (row->code != code)
			continue;
		size_t more = len - row->len;
		if (len < row->len || (row->each == 0 ? more != 0 : more % row->each != 0))
			return (struct fault){ UNSPECIFIC, "capability of a wrong length" };
		return row->read(c, p, len);
	}
	return fine;
}

static struct fault read_capabilities(struct bgp_capabilities *c, struct reader r)
{
	while (r.n_left > 0) {
		uint8_t code = reader_u8(&r), len = reader_u8(&r);
		const uint8_t *p = reader_bytes(&r, len);

		if (p == NULL)
			return (struct fault){ UNSPECIFIC, "capability beyond its parameter" };
		struct fault f = read_capability(c, code, p, len);
		if (f.why != NULL)
			return f;
	}
	return fine;
}

/* --- parameters --- */

static struct fault read_parameters(struct bgp_capabilities *c, size_t said, struct reader r)
{
	bool is_long = said > 0 && r.n_left > 0 && r.p[0] == PARAM_EXTENDED;

	if (is_long) {
		(void)reader_u8(&r);
		said = reader_be16(&r);
	}
	if (r.failed || said != r.n_left)
		return (struct fault){ UNSPECIFIC, "parameters of another length than the message" };
	while (r.n_left > 0) {
		uint8_t type = reader_u8(&r);
		size_t len = is_long ? reader_be16(&r) : reader_u8(&r);
		const uint8_t *p = reader_bytes(&r, len);

		if (p == NULL)
			return (struct fault){ UNSPECIFIC, "parameter beyond the message" };
		if (type != PARAM_CAPABILITIES)
			return (struct fault){ BGP_BAD_PARAMETER, "parameter of an unknown type" };
		struct fault f = read_capabilities(c, reader_of(p, len));
		if (f.why != NULL)
			return f;
	}
	return fine;
}

/* --- the message --- */

/* RFC 6793 section 4.1: in two octets stands the AS, or AS_TRANS when it does not fit. */
static bool is_as_right(const struct bgp_wire *w, const struct bgp_open *o, uint16_t two_octets)
{
	if (o->as == 0 || (w->peer_as != 0 && o->as != w->peer_as))
		return false;
	return o->can.as4 == 0 ? two_octets != BGP_AS_TRANS : two_octets == o->as || two_octets == BGP_AS_TRANS;
}

/* RFC 9234 section 4.2: who may stand at the other end. */
static const uint8_t counterpart[] = {
	[BGP_ROLE_PROVIDER] = BGP_ROLE_CUSTOMER, [BGP_ROLE_CUSTOMER] = BGP_ROLE_PROVIDER,
	[BGP_ROLE_RS] = BGP_ROLE_RS_CLIENT,      [BGP_ROLE_RS_CLIENT] = BGP_ROLE_RS,
	[BGP_ROLE_PEER] = BGP_ROLE_PEER,
};

static bool is_role_right(const struct bgp_wire *w, uint8_t theirs)
{
	if (w->role == BGP_ROLE_NONE)
		return true;
	if (theirs == BGP_ROLE_NONE)
		return !w->strict_role;
	return w->role < ARRAY_LEN(counterpart) && counterpart[w->role] == theirs;
}

static struct fault check(const struct bgp_wire *w, const struct bgp_open *o, uint16_t two_octets)
{
	if (!is_as_right(w, o, two_octets))
		return (struct fault){ BGP_BAD_PEER_AS, "another AS than configured" };
	if (o->id == 0)
		return (struct fault){ BGP_BAD_IDENTIFIER, "identifier 0" };
	if (o->id == w->local_id && o->as == w->local_as)
		return (struct fault){ BGP_BAD_IDENTIFIER, "our own identifier in our own AS (RFC 6286)" };
	if (o->hold_s > 0 && o->hold_s < HOLD_MIN_S)
		return (struct fault){ BGP_BAD_HOLD_TIME, "hold time of 1 or 2 s" };
	if (!is_role_right(w, o->can.role))
		return (struct fault){ BGP_ROLE_MISMATCH, "a role that does not go with ours" };
	return fine;
}

enum bgp_disposition bgp_open_parse(const struct bgp_wire *w, const uint8_t *p, size_t len, struct bgp_open *o,
				    struct bgp_error *e)
{
	static const uint8_t best_version[] = { 0, VERSION };
	const struct open_body *b = (const struct open_body *)(p + BGP_HEADER_LEN);
	uint16_t two_octets = be16_get(b->as);

	*o = (struct bgp_open){ .as = two_octets, .id = be32_get(b->id), .hold_s = be16_get(b->hold_s) };
	o->can.role = BGP_ROLE_NONE;
	if (b->version != VERSION) {
		*e = (struct bgp_error){ BGP_OPEN_ERROR, BGP_BAD_VERSION, .data = best_version,
					 .data_len = sizeof(best_version), .why = "another version than 4" };
		return BGP_RESET;
	}
	struct fault f = read_parameters(&o->can, b->params_len, reader_of(b + 1, len - BGP_HEADER_LEN - sizeof(*b)));
	if (o->can.as4 != 0)
		o->as = o->can.as4;
	if (f.why == NULL)
		f = check(w, o, two_octets);
	if (f.why == NULL)
		return BGP_ACCEPT;
	*e = (struct bgp_error){ BGP_OPEN_ERROR, (uint8_t)f.subcode, .why = f.why };
	return BGP_RESET;
}

size_t bgp_open_emit(uint8_t *p, const struct bgp_open *o)
{
	struct open_body *b = (struct open_body *)(p + BGP_HEADER_LEN);
	uint8_t *param = (uint8_t *)(b + 1), *at = param + 2;

	for (size_t i = 0; i < ARRAY_LEN(capabilities); i++) {
		int n = capabilities[i].write(&o->can, at + 2);

		if (n < 0)
			continue;
		at[0] = capabilities[i].code;
		at[1] = (uint8_t)n;
		at += 2 + n;
	}
	param[0] = PARAM_CAPABILITIES;
	param[1] = (uint8_t)(at - param - 2);
	if (param[1] == 0)
		at = param;
	*b = (struct open_body){ .version = VERSION,
				 .as = be16_of(bgp_as2(o->as)),
				 .hold_s = be16_of(o->hold_s),
				 .id = be32_of(o->id),
				 .params_len = (uint8_t)(at - param) };
	(void)bgp_header_emit(p, BGP_OPEN, (size_t)(at - p));
	return (size_t)(at - p);
}

/* Without any multiprotocol capability IPv4 unicast is what there is, outside MP_REACH_NLRI (RFC 4760 section 8). */
void bgp_open_agree(const struct bgp_open *ours, const struct bgp_open *theirs, struct bgp_wire *w)
{
	w->as4 = ours->can.as4 != 0 && theirs->can.as4 != 0;
	w->mp_ipv4 = ours->can.ipv4 && theirs->can.ipv4;
	w->enhanced_refresh = ours->can.enhanced_refresh && theirs->can.enhanced_refresh;
}
