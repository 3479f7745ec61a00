/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IPv4 headers and options. Input: a packet; its header checksum is made right
 * in a second look. Checks what ipv4.c promises of lengths, that emit and parse
 * agree, that setters keep the checksum and can be taken back, and that options
 * of any content are filled in and copied inside their bounds.
 */
#include "wire_fuzz.h"

static void promises_check(const struct ipv4_view *v, size_t len)
{
	FUZZ_CHECK(v->header_len >= IPV4_HEADER_LEN && v->header_len <= v->total_len && v->total_len <= len);
	if (!ipv4_is_fragment(v))
		return;
	FUZZ_CHECK(v->total_len > v->header_len);
	FUZZ_CHECK(!v->mf || (v->total_len - v->header_len) % 8 == 0);
	FUZZ_CHECK(v->frag_off + v->total_len <= UINT16_MAX);
}

static bool views_equal(const struct ipv4_view *a, const struct ipv4_view *b)
{
	return a->src == b->src && a->dst == b->dst && a->total_len == b->total_len && a->id == b->id &&
	       a->frag_off == b->frag_off && a->header_len == b->header_len && a->tos == b->tos && a->ttl == b->ttl &&
	       a->proto == b->proto && a->df == b->df && a->mf == b->mf;
}

static void emit_check(const uint8_t *p, const struct ipv4_view *v)
{
	size_t payload = (size_t)v->total_len - v->header_len;
	uint8_t *out = malloc(IPV4_HEADER_LEN + payload);
	struct ipv4_view want = *v, got;

	FUZZ_CHECK(out != NULL);
	want.header_len = IPV4_HEADER_LEN;
	want.total_len = (uint16_t)(IPV4_HEADER_LEN + payload);
	memcpy(out + IPV4_HEADER_LEN, p + v->header_len, payload);
	ipv4_emit(out, &want);
	FUZZ_CHECK(ipv4_parse(out, want.total_len, &got) == IPV4_OK && views_equal(&got, &want));
	free(out);
}

static void setters_check(uint8_t *p, const struct ipv4_view *v)
{
	uint8_t *before = fuzz_copy(p, v->header_len);
	struct ipv4_view got, want = *v;

	want.src = ~v->dst;
	want.dst = v->src ^ v->id;
	want.ttl = (uint8_t)(v->ttl - 1);
	want.tos = (uint8_t)~v->tos;
	want.id = (uint16_t)(v->id + 1);
	ipv4_set_src(p, want.src);
	ipv4_set_dst(p, want.dst);
	ipv4_set_ttl(p, want.ttl);
	ipv4_set_tos(p, want.tos);
	ipv4_set_id(p, want.id);
	FUZZ_CHECK(ipv4_parse(p, v->total_len, &got) == IPV4_OK && views_equal(&got, &want));
	ipv4_set_id(p, v->id);
	ipv4_set_tos(p, v->tos);
	ipv4_set_ttl(p, v->ttl);
	ipv4_set_dst(p, v->dst);
	ipv4_set_src(p, v->src);
	FUZZ_CHECK(memcmp(p, before, v->header_len) == 0);
	free(before);
}

static void options_check(const uint8_t *packet, const struct ipv4_view *v)
{
	/* The header alone: nothing of the payload may be touched. */
	uint8_t *p = fuzz_copy(packet, v->header_len);
	uint8_t copied[40];
	struct ipv4_options o;

	ipv4_options_check(p, v, &o);
	FUZZ_CHECK(!o.bad || (o.bad_offset >= IPV4_HEADER_LEN && o.bad_offset < v->header_len));
	FUZZ_CHECK(o.bad || o.record_route == 0 || p[o.record_route] == IPV4_OPT_RECORD_ROUTE);
	FUZZ_CHECK(o.bad || o.timestamp == 0 || p[o.timestamp] == IPV4_OPT_TIMESTAMP);
	ipv4_options_forward(p, v, &o, 0x0a000001, 0x80000000 | v->src);
	FUZZ_CHECK(fuzz_naive_sum(p, v->header_len) == 0xffff);
	if (!o.bad) {
		/* Who is asked next can read what we wrote. */
		struct ipv4_options again;

		ipv4_options_check(p, v, &again);
		FUZZ_CHECK(again.bad || (again.record_route == o.record_route && again.timestamp == o.timestamp));
		/* The next one may find what is left too small for a slot (byte 2,
		 * the pointer), or the overflow count at its end (byte 3). */
		FUZZ_CHECK(!again.bad || (o.record_route != 0 && again.bad_offset == o.record_route + 2) ||
			   (o.timestamp != 0 &&
			    (again.bad_offset == o.timestamp + 2 || again.bad_offset == o.timestamp + 3)));
	}
	uint8_t n = ipv4_options_copied(p, v, copied);
	FUZZ_CHECK(n % 4 == 0 && n <= v->header_len - IPV4_HEADER_LEN);
	for (uint8_t i = 0; o.bad == false && i < n; i = (uint8_t)(i + copied[i + 1]))
		if (copied[i] == IPV4_OPT_END)
			break;
		else
			FUZZ_CHECK((copied[i] & 0x80) != 0 && copied[i + 1] >= 2);
	free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *p = fuzz_copy(data, size);
	struct ipv4_view v, quoted;

	enum ipv4_error raw = ipv4_parse(p, size, &v);
	fuzz_mend_header(p, size);
	enum ipv4_error err = ipv4_parse(p, size, &v);
	FUZZ_CHECK(err != IPV4_CHECKSUM);
	FUZZ_CHECK(raw == err || raw == IPV4_CHECKSUM);
	enum ipv4_error quoted_err = ipv4_parse_quoted(p, size, &quoted);
	FUZZ_CHECK(quoted_err != IPV4_OK || (quoted.header_len <= size && quoted.total_len >= quoted.header_len));
	if (err == IPV4_OK) {
		FUZZ_CHECK(quoted_err == IPV4_OK && views_equal(&v, &quoted));
		promises_check(&v, size);
		emit_check(p, &v);
		setters_check(p, &v);
		options_check(p, &v);
	}
	free(p);
	return 0;
}
