/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BGP messages out of hex digits, for tests. Blanks part them as one likes; {fde90001}500 stands for so many of what is
 * in the braces.
 */
#ifndef YG_STACK_WIRE_BGP_FIXTURE_H
#define YG_STACK_WIRE_BGP_FIXTURE_H

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "stack/wire/bgp.h"
#include "stack/wire/bytes.h"

#define BGP_FIXTURE_MAX 8192 /* bytes of a message, or of several */

/* An external peer: AS 65001 at 10.9.0.11; we are AS 65000 at 10.9.0.1. */
static inline struct bgp_wire bgp_fixture_wire(void)
{
	return (struct bgp_wire){ .local_as = 65000,
				  .peer_as = 65001,
				  .local_id = 0x0a090001,
				  .local_addr = 0x0a090001,
				  .role = BGP_ROLE_NONE,
				  .as4 = true,
				  .mp_ipv4 = true };
}

/* Attributes that every announcement has, from that peer; and its prefix, 203.0.113.0/24. */
#define BGP_FIXTURE_ORIGIN "40 01 01 00 "
#define BGP_FIXTURE_PATH "40 02 06 0201 0000fde9 "
#define BGP_FIXTURE_HOP "40 03 04 0a09000b "
#define BGP_FIXTURE_USUAL BGP_FIXTURE_ORIGIN BGP_FIXTURE_PATH BGP_FIXTURE_HOP
#define BGP_FIXTURE_PREFIX "18cb0071 "

static inline size_t bgp_fixture_digits(uint8_t *out, size_t cap, const char *text, const char *end)
{
	size_t n = 0;

	while (text < end) {
		char pair[3] = { text[0], text + 1 < end ? text[1] : '\0', '\0' };

		if (isspace((unsigned char)text[0])) {
			text++;
			continue;
		}
		if (!isxdigit((unsigned char)pair[0]) || !isxdigit((unsigned char)pair[1]) || n == cap)
			abort();
		out[n++] = (uint8_t)strtoul(pair, NULL, 16);
		text += 2;
	}
	return n;
}

/* Returns bytes; a text that is none ends the test. */
static inline size_t bgp_fixture_hex(uint8_t *out, size_t cap, const char *text)
{
	size_t n = 0;

	for (const char *open; (open = strchr(text, '{')) != NULL;) {
		const char *close = strchr(open, '}');
		char *end;

		if (close == NULL)
			abort();
		n += bgp_fixture_digits(out + n, cap - n, text, open);
		for (unsigned long times = strtoul(close + 1, &end, 10); times > 0; times--)
			n += bgp_fixture_digits(out + n, cap - n, open + 1, close);
		text = end;
	}
	return n + bgp_fixture_digits(out + n, cap - n, text, text + strlen(text));
}

/* A message with this body; out has BGP_FIXTURE_MAX bytes. */
static inline size_t bgp_fixture_message(uint8_t *out, enum bgp_type type, const char *body)
{
	size_t len = BGP_HEADER_LEN + bgp_fixture_hex(out + BGP_HEADER_LEN, BGP_FIXTURE_MAX - BGP_HEADER_LEN, body);

	(void)bgp_header_emit(out, type, len);
	return len;
}

static inline size_t bgp_fixture_update(uint8_t *out, const char *withdrawn, const char *attrs, const char *nlri)
{
	uint8_t *at = out + BGP_HEADER_LEN, *end = out + BGP_FIXTURE_MAX;
	size_t n = bgp_fixture_hex(at + 2, (size_t)(end - at) - 2, withdrawn);

	bytes_put16(at, (uint16_t)n);
	at += 2 + n;
	n = bgp_fixture_hex(at + 2, (size_t)(end - at) - 2, attrs);
	bytes_put16(at, (uint16_t)n);
	at += 2 + n;
	at += bgp_fixture_hex(at, (size_t)(end - at), nlri);
	(void)bgp_header_emit(out, BGP_UPDATE, (size_t)(at - out));
	return (size_t)(at - out);
}

/* How a row of a table gives its message, in hex digits: withdrawn, attributes and prefixes of an UPDATE; the body of a
 * type; all bytes; or not at all. */
enum bgp_fixture_form { BGP_FIXTURE_NONE, BGP_FIXTURE_UPDATE, BGP_FIXTURE_BODY, BGP_FIXTURE_BYTES };

static inline size_t bgp_fixture_build(uint8_t *out, enum bgp_fixture_form form, enum bgp_type type,
				       const char *const text[3])
{
	switch (form) {
	case BGP_FIXTURE_UPDATE:
		return bgp_fixture_update(out, text[0], text[1], text[2]);
	case BGP_FIXTURE_BODY:
		return bgp_fixture_message(out, type, text[0]);
	case BGP_FIXTURE_BYTES:
		return bgp_fixture_hex(out, BGP_FIXTURE_MAX, text[0]);
	case BGP_FIXTURE_NONE:
		break;
	}
	return 0;
}

#endif
