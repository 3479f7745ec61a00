/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IPv4 headers to values and back (RFC 791 section 3.1).
 *
 * A packet is parsed once, at input; what this file lets through keeps these
 * promises, and nobody behind it checks them again:
 *   - 20 <= header_len <= total_len <= bytes present;
 *   - the header checksum is right (RFC 1812 section 5.2.2);
 *   - a fragment carries at least one byte, in units of eight unless it is the
 *     last, and ends within 65,535 bytes of the packet's start, header counted.
 * The reserved flag is not looked at (RFC 1812 section 4.2.2.1), and DF may
 * stand beside a fragment. A header quoted in an ICMP error keeps the first
 * promise only up to header_len.
 *
 * The setters below write one field of a header that was parsed, and mend its
 * checksum by RFC 1624, so that one that was wrong stays wrong.
 *
 * Next: src/stack/wire/ipv4_options.c when header_len is over 20, then src/stack/wire/l4.c
 */
#include "stack/wire/ipv4.h"

#include "base/util.h"
#include "stack/wire/checksum.h"

#define FRAG_DF 0x4000
#define FRAG_MF 0x2000
#define FRAG_OFFSET 0x1fff /* in units of eight bytes */

static void view_fill(const struct ipv4_header *h, struct ipv4_view *v)
{
	uint16_t frag = be16_get(h->frag);

	v->src = be32_get(h->src);
	v->dst = be32_get(h->dst);
	v->total_len = be16_get(h->total_len);
	v->id = be16_get(h->id);
	v->frag_off = (uint16_t)((frag & FRAG_OFFSET) * 8);
	v->header_len = (uint8_t)((h->version_ihl & 0xf) * 4);
	v->tos = h->tos;
	v->ttl = h->ttl;
	v->proto = h->proto;
	v->df = (frag & FRAG_DF) != 0;
	v->mf = (frag & FRAG_MF) != 0;
}

/* What must be known before any other field means something. */
static enum ipv4_error start_check(const uint8_t *p, size_t len)
{
	if (len < IPV4_HEADER_LEN)
		return IPV4_SHORT;
	if (p[0] >> 4 != 4)
		return IPV4_VERSION;
	size_t header_len = (size_t)(p[0] & 0xf) * 4;
	if (header_len < IPV4_HEADER_LEN || header_len > len)
		return IPV4_HEADER_LENGTH;
	return IPV4_OK;
}

static bool fragment_ok(const struct ipv4_view *v)
{
	uint32_t payload = (uint32_t)v->total_len - v->header_len;

	if (payload == 0 || (v->mf && payload % 8 != 0))
		return false;
	return (uint32_t)v->frag_off + v->total_len <= UINT16_MAX;
}

static YG_SELDOM bool long_header_sum_ok(const uint8_t *p, size_t header_len)
{
	return checksum_fold(checksum_add(0, p, header_len)) == 0xffff;
}

static bool header_sum_ok(const uint8_t *p, size_t header_len)
{
	return header_len == IPV4_HEADER_LEN ? checksum_plain_header_ok(p) : long_header_sum_ok(p, header_len);
}

enum ipv4_error ipv4_parse(const uint8_t *p, size_t len, struct ipv4_view *v)
{
	enum ipv4_error err = start_check(p, len);

	if (err != IPV4_OK)
		return err;
	view_fill((const struct ipv4_header *)p, v);
	if (v->total_len < v->header_len || v->total_len > len)
		return IPV4_TOTAL_LENGTH;
	if (!header_sum_ok(p, v->header_len))
		return IPV4_CHECKSUM;
	if (ipv4_is_fragment(v) && !fragment_ok(v))
		return IPV4_FRAGMENT;
	return IPV4_OK;
}

enum ipv4_error ipv4_parse_quoted(const uint8_t *p, size_t len, struct ipv4_view *v)
{
	enum ipv4_error err = start_check(p, len);

	if (err != IPV4_OK)
		return err;
	view_fill((const struct ipv4_header *)p, v);
	return v->total_len < v->header_len ? IPV4_TOTAL_LENGTH : IPV4_OK;
}

static be16 frag_field(uint16_t frag_off, bool df, bool mf)
{
	return be16_of((uint16_t)((frag_off / 8) | (df ? FRAG_DF : 0) | (mf ? FRAG_MF : 0)));
}

void ipv4_emit(uint8_t *p, const struct ipv4_view *v)
{
	struct ipv4_header *h = (struct ipv4_header *)p;

	*h = (struct ipv4_header){
		.version_ihl = 4 << 4 | IPV4_HEADER_LEN / 4,
		.tos = v->tos,
		.total_len = be16_of(v->total_len),
		.id = be16_of(v->id),
		.frag = frag_field(v->frag_off, v->df, v->mf),
		.ttl = v->ttl,
		.proto = v->proto,
		.src = be32_of(v->src),
		.dst = be32_of(v->dst),
	};
	uint16_t sum = checksum_plain_header(p), check = sum != 0 ? (uint16_t)~sum : 0;

	memcpy(&h->check, &check, sizeof(check));
}

static void check_mend16(struct ipv4_header *h, uint16_t from, uint16_t to)
{
	if (from != to)
		h->check = be16_of(checksum_update16(be16_get(h->check), from, to));
}

static void check_mend32(struct ipv4_header *h, uint32_t from, uint32_t to)
{
	if (from != to)
		h->check = be16_of(checksum_update32(be16_get(h->check), from, to));
}

void ipv4_set_ttl(uint8_t *p, uint8_t ttl)
{
	struct ipv4_header *h = (struct ipv4_header *)p;

	check_mend16(h, (uint16_t)(h->ttl << 8), (uint16_t)(ttl << 8));
	h->ttl = ttl;
}

void ipv4_set_src(uint8_t *p, uint32_t src)
{
	struct ipv4_header *h = (struct ipv4_header *)p;

	check_mend32(h, be32_get(h->src), src);
	h->src = be32_of(src);
}

void ipv4_set_dst(uint8_t *p, uint32_t dst)
{
	struct ipv4_header *h = (struct ipv4_header *)p;

	check_mend32(h, be32_get(h->dst), dst);
	h->dst = be32_of(dst);
}

void ipv4_set_id(uint8_t *p, uint16_t id)
{
	struct ipv4_header *h = (struct ipv4_header *)p;

	check_mend16(h, be16_get(h->id), id);
	h->id = be16_of(id);
}

void ipv4_set_tos(uint8_t *p, uint8_t tos)
{
	struct ipv4_header *h = (struct ipv4_header *)p;

	check_mend16(h, h->tos, tos);
	h->tos = tos;
}

void ipv4_set_header_len(uint8_t *p, uint8_t header_len)
{
	struct ipv4_header *h = (struct ipv4_header *)p;

	h->version_ihl = (uint8_t)(0x40 | header_len / 4);
}

void ipv4_set_fragment(uint8_t *p, uint16_t total_len, uint16_t frag_off, bool df, bool mf)
{
	struct ipv4_header *h = (struct ipv4_header *)p;

	h->total_len = be16_of(total_len);
	h->frag = frag_field(frag_off, df, mf);
	h->check = be16_of(0);
	h->check = be16_of(checksum_finish(checksum_add(0, p, (size_t)(h->version_ihl & 0xf) * 4)));
}
