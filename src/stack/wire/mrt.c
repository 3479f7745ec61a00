/* SPDX-License-Identifier: BSD-2-Clause */
#include "stack/wire/mrt.h"

#include <string.h>

#include "stack/wire/bytes.h"

#define PEER_IS_IPV6 1u
#define PEER_IS_AS4 2u
#define AFI_IPV4 1u
#define AFI_IPV6 2u
#define IPV6_LEN 16u

struct mrt_header mrt_header_parse(const uint8_t *p)
{
	return (struct mrt_header){ bytes_get32(p), bytes_get16(p + 4), bytes_get16(p + 6), bytes_get32(p + 8) };
}

/* --- read --- */

static uint32_t read_as(struct reader *r, bool is_as4)
{
	return is_as4 ? reader_be32(r) : reader_be16(r);
}

/* An IPv6 address is passed over. */
static uint32_t read_addr(struct reader *r, bool is_ipv4)
{
	if (is_ipv4)
		return reader_be32(r);
	(void)reader_bytes(r, IPV6_LEN);
	return 0;
}

bool mrt_peers_parse(const uint8_t *p, size_t len, struct mrt_peers *out)
{
	struct reader r = reader_of(p, len);

	out->collector = reader_be32(&r);
	out->view_len = reader_be16(&r);
	out->view = reader_bytes(&r, out->view_len);
	out->n_peers = reader_be16(&r);
	out->rest = r;
	return !r.failed;
}

bool mrt_peers_next(struct mrt_peers *t, struct mrt_peer *out)
{
	uint8_t kind = reader_u8(&t->rest);

	out->is_ipv4 = (kind & PEER_IS_IPV6) == 0;
	out->id = reader_be32(&t->rest);
	out->addr = read_addr(&t->rest, out->is_ipv4);
	out->as = read_as(&t->rest, (kind & PEER_IS_AS4) != 0);
	return !t->rest.failed;
}

bool mrt_rib_parse(const uint8_t *p, size_t len, struct mrt_rib *out)
{
	struct reader r = reader_of(p, len);
	const uint8_t *bytes;
	uint32_t addr = 0;

	out->seq = reader_be32(&r);
	out->prefix.len = reader_u8(&r);
	if (r.failed || out->prefix.len > 32)
		return false;
	uint32_t n = (out->prefix.len + 7u) / 8;

	bytes = reader_bytes(&r, n);
	for (uint32_t i = 0; bytes != NULL && i < n; i++)
		addr |= (uint32_t)bytes[i] << (24 - 8 * i);
	out->prefix.addr = addr & ip4_mask(out->prefix.len);
	out->n_entries = reader_be16(&r);
	out->rest = r;
	return !r.failed;
}

bool mrt_rib_next(struct mrt_rib *rib, struct mrt_entry *out)
{
	struct reader *r = &rib->rest;

	out->peer = reader_be16(r);
	out->since_s = reader_be32(r);
	out->attrs_len = reader_be16(r);
	out->attrs = reader_bytes(r, out->attrs_len);
	return !r->failed;
}

static bool is_of_state(uint16_t subtype)
{
	return subtype == MRT_STATE_CHANGE || subtype == MRT_STATE_CHANGE_AS4;
}

static bool is_of_as4(uint16_t subtype)
{
	return subtype == MRT_STATE_CHANGE_AS4 || subtype == MRT_MESSAGE_AS4 || subtype == MRT_MESSAGE_AS4_LOCAL;
}

static bool is_of_sent(uint16_t subtype)
{
	return subtype == MRT_MESSAGE_LOCAL || subtype == MRT_MESSAGE_AS4_LOCAL;
}

bool mrt_event_parse(const struct mrt_header *h, const uint8_t *p, struct mrt_event *out)
{
	struct reader r = reader_of(p, h->len);
	uint16_t family;

	*out = (struct mrt_event){ .is_state = is_of_state(h->subtype),
				   .is_as4 = is_of_as4(h->subtype),
				   .is_sent = is_of_sent(h->subtype) };
	if (!out->is_state && h->subtype != MRT_MESSAGE && h->subtype != MRT_MESSAGE_AS4 && !out->is_sent)
		return false;
	if (h->type == MRT_BGP4MP_ET)
		out->us = reader_be32(&r);
	out->peer.as = read_as(&r, out->is_as4);
	out->local.as = read_as(&r, out->is_as4);
	out->ifindex = reader_be16(&r);
	family = reader_be16(&r);
	out->peer.is_ipv4 = out->local.is_ipv4 = family == AFI_IPV4;
	if (family != AFI_IPV4 && family != AFI_IPV6)
		return false;
	out->peer.addr = read_addr(&r, family == AFI_IPV4);
	out->local.addr = read_addr(&r, family == AFI_IPV4);
	if (out->is_state) {
		out->from = reader_be16(&r);
		out->to = reader_be16(&r);
	} else {
		out->message_len = r.n_left;
		out->message = reader_bytes(&r, r.n_left);
	}
	return !r.failed;
}

/* --- written --- */

static uint8_t *put_bytes(uint8_t *p, const void *bytes, size_t len)
{
	if (len > 0)
		memcpy(p, bytes, len);
	return p + len;
}

static uint8_t *put_header(uint8_t *p, uint32_t time_s, enum mrt_type type, uint16_t subtype, size_t body_len)
{
	return bytes_add32(bytes_add16(bytes_add16(bytes_add32(p, time_s), (uint16_t)type), subtype),
			   (uint32_t)body_len);
}

size_t mrt_peers_emit(uint8_t *p, size_t cap, uint32_t time_s, uint32_t collector, const char *view,
		      const struct mrt_peer *peer, size_t n)
{
	size_t view_len = strlen(view), body_len = 8 + view_len + 13 * n;

	if (view_len > UINT16_MAX || n > UINT16_MAX || MRT_HEADER_LEN + body_len > cap)
		return 0;
	p = put_header(p, time_s, MRT_TABLE_DUMP_V2, MRT_PEER_INDEX_TABLE, body_len);
	p = bytes_add16(bytes_add32(p, collector), (uint16_t)view_len);
	p = bytes_add16(put_bytes(p, view, view_len), (uint16_t)n);
	for (size_t i = 0; i < n; i++) {
		*p++ = PEER_IS_AS4;
		p = bytes_add32(bytes_add32(bytes_add32(p, peer[i].id), peer[i].addr), peer[i].as);
	}
	return MRT_HEADER_LEN + body_len;
}

size_t mrt_rib_emit(uint8_t *p, size_t cap, uint32_t time_s, uint32_t seq, struct ip4_prefix prefix,
		    const struct mrt_entry *entry, size_t n)
{
	size_t n_bytes = (prefix.len + 7u) / 8, body_len = 4 + 1 + n_bytes + 2;

	for (size_t i = 0; i < n; i++)
		body_len += 8 + (size_t)entry[i].attrs_len;
	if (n > UINT16_MAX || MRT_HEADER_LEN + body_len > cap)
		return 0;
	p = bytes_add32(put_header(p, time_s, MRT_TABLE_DUMP_V2, MRT_RIB_IPV4_UNICAST, body_len), seq);
	*p++ = prefix.len;
	for (size_t i = 0; i < n_bytes; i++)
		*p++ = (uint8_t)(prefix.addr >> (24 - 8 * i));
	p = bytes_add16(p, (uint16_t)n);
	for (size_t i = 0; i < n; i++) {
		p = bytes_add16(bytes_add32(bytes_add16(p, entry[i].peer), entry[i].since_s), entry[i].attrs_len);
		p = put_bytes(p, entry[i].attrs, entry[i].attrs_len);
	}
	return MRT_HEADER_LEN + body_len;
}

size_t mrt_event_emit(uint8_t *p, size_t cap, uint32_t time_s, const struct mrt_event *e)
{
	size_t body_len = 4 + 8 + 4 + 8 + (e->is_state ? 4 : e->message_len);
	uint16_t subtype = e->is_state ? MRT_STATE_CHANGE_AS4 : e->is_sent ? MRT_MESSAGE_AS4_LOCAL : MRT_MESSAGE_AS4;

	if (MRT_HEADER_LEN + body_len > cap)
		return 0;
	p = bytes_add32(put_header(p, time_s, MRT_BGP4MP_ET, subtype, body_len), e->us);
	p = bytes_add16(bytes_add16(bytes_add32(bytes_add32(p, e->peer.as), e->local.as), e->ifindex), AFI_IPV4);
	p = bytes_add32(bytes_add32(p, e->peer.addr), e->local.addr);
	if (e->is_state)
		bytes_add16(bytes_add16(p, e->from), e->to);
	else
		put_bytes(p, e->message, e->message_len);
	return MRT_HEADER_LEN + body_len;
}
