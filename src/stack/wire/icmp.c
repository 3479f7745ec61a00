/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ICMP types, and the packet inside an ICMP error (RFC 792, RFC 1122 section
 * 3.2.2, RFC 1812 section 5.2.7).
 *
 * One table says of each type what it is. A type that is not in it quotes
 * nothing and asks nothing; towards the question "may an error be sent about
 * this?" it counts as an error, so that nothing is.
 *
 * The quote is whatever stands behind the eight bytes of the ICMP header, up to
 * the first of three ends: of the message, of the quoted packet (its own total
 * length; behind it is padding), or of the quote where RFC 4884 section 5 says
 * that extensions follow.
 *
 * Next: src/gateway/conntrack/icmp.c
 */
#include "stack/wire/icmp.h"

#include "stack/wire/l4_priv.h"

#define QUOTE_L4_MIN 8
/* RFC 4884 section 5.1: a quote with extensions behind it is no shorter. */
#define EXTENDED_QUOTE_MIN 128

static const struct icmp_trait icmp_traits[] = {
	[ICMP_ECHO_REPLY] = { L4_ICMP_QUERY, 8, false, ICMP_ECHO_REQUEST },
	[ICMP_DEST_UNREACHABLE] = { L4_ICMP_ERROR, 8 },
	[ICMP_SOURCE_QUENCH] = { L4_ICMP_ERROR, 8 },
	[ICMP_REDIRECT] = { L4_ICMP_ERROR, 8 },
	[ICMP_ECHO_REQUEST] = { L4_ICMP_QUERY, 8, true, ICMP_ECHO_REPLY },
	[ICMP_ROUTER_ADVERTISEMENT] = { L4_ICMP_OTHER, 8 },
	[ICMP_ROUTER_SOLICITATION] = { L4_ICMP_OTHER, 8 },
	[ICMP_TIME_EXCEEDED] = { L4_ICMP_ERROR, 8 },
	[ICMP_PARAMETER_PROBLEM] = { L4_ICMP_ERROR, 8 },
	[ICMP_TIMESTAMP] = { L4_ICMP_QUERY, 20, true, ICMP_TIMESTAMP_REPLY },
	[ICMP_TIMESTAMP_REPLY] = { L4_ICMP_QUERY, 20, false, ICMP_TIMESTAMP },
	[ICMP_INFORMATION] = { L4_ICMP_QUERY, 8, true, ICMP_INFORMATION_REPLY },
	[ICMP_INFORMATION_REPLY] = { L4_ICMP_QUERY, 8, false, ICMP_INFORMATION },
	[ICMP_ADDRESS_MASK] = { L4_ICMP_QUERY, 12, true, ICMP_ADDRESS_MASK_REPLY },
	[ICMP_ADDRESS_MASK_REPLY] = { L4_ICMP_QUERY, 12, false, ICMP_ADDRESS_MASK },
};

static const struct icmp_trait icmp_unknown = { L4_ICMP_OTHER, 8 };

const struct icmp_trait *icmp_trait_of(uint8_t type)
{
	if (type >= sizeof(icmp_traits) / sizeof(icmp_traits[0]) || icmp_traits[type].kind == L4_NONE)
		return &icmp_unknown;
	return &icmp_traits[type];
}

bool icmp_is_query(uint8_t type)
{
	return icmp_trait_of(type)->kind == L4_ICMP_QUERY;
}

bool icmp_is_error(uint8_t type)
{
	return !icmp_is_query(type);
}

bool icmp_is_request(uint8_t type)
{
	return icmp_trait_of(type)->is_request;
}

uint8_t icmp_opposite(uint8_t type)
{
	const struct icmp_trait *t = icmp_trait_of(type);

	return t->kind == L4_ICMP_QUERY ? t->opposite : type;
}

size_t icmp_quote_need(const struct ipv4_view *quoted)
{
	size_t payload = (size_t)quoted->total_len - quoted->header_len;

	return payload < QUOTE_L4_MIN ? payload : QUOTE_L4_MIN;
}

/* Bytes of the quote as RFC 4884 has it: byte 5 counts words of four, in three
 * of the types; other senders leave zero there. */
static size_t extended_quote_len(const uint8_t *p, size_t len)
{
	size_t quote_len = (size_t)p[5] * 4;

	if (p[0] != ICMP_DEST_UNREACHABLE && p[0] != ICMP_TIME_EXCEEDED && p[0] != ICMP_PARAMETER_PROBLEM)
		return len;
	return quote_len >= EXTENDED_QUOTE_MIN && quote_len < len ? quote_len : len;
}

bool icmp_quote_parse(const uint8_t *p, size_t len, struct icmp_quote *q)
{
	if (len < ICMP_HEADER_LEN || icmp_trait_of(p[0])->kind != L4_ICMP_ERROR)
		return false;
	const uint8_t *quote = p + ICMP_HEADER_LEN;
	size_t quote_len = extended_quote_len(p, len - ICMP_HEADER_LEN);
	if (ipv4_parse_quoted(quote, quote_len, &q->ip) != IPV4_OK || q->ip.frag_off != 0)
		return false;
	if (quote_len > q->ip.total_len)
		quote_len = q->ip.total_len;
	size_t l4_len = quote_len - q->ip.header_len;
	if (l4_len < icmp_quote_need(&q->ip))
		return false;
	q->ip_offset = ICMP_HEADER_LEN;
	q->l4_offset = ICMP_HEADER_LEN + (size_t)q->ip.header_len;
	q->len = quote_len;
	return l4_parse_quoted(&q->ip, p + q->l4_offset, l4_len, &q->l4);
}
