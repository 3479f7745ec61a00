/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What an ICMP error quotes, and its translation. Input: new addresses and
 * ports, then the ICMP message. Checks that a quote lies inside the message,
 * that l4_parse lets every message with a quote through, that the outer checksum
 * stays right and a right inner header stays right, and that the way back
 * restores every byte.
 */
#include "wire_fuzz.h"

/* Both zeros say the same, except in UDP and UDP-Lite. */
static uint16_t zero_class(uint16_t check)
{
	return check == 0xffff ? 0 : check;
}

static void zeros_level(uint8_t *icmp, const struct icmp_quote *q)
{
	size_t at = q->l4.kind == L4_TCP ? 16 : q->l4.kind == L4_DCCP ? 6 : 2;
	uint8_t *ip = icmp + q->ip_offset, *field = icmp + q->l4_offset + at;

	fuzz_put16(ip + 10, zero_class(fuzz_get16(ip + 10)));
	if (q->l4.kind != L4_TCP && q->l4.kind != L4_DCCP && q->l4.kind != L4_ICMP_QUERY)
		return;
	if (q->l4_offset + at + 2 <= q->ip_offset + q->len)
		fuzz_put16(field, zero_class(fuzz_get16(field)));
}

static void rewrite_check(const uint8_t *message, size_t len, struct icmp_quote *q, const struct rewrite *to)
{
	const struct ipv4_view icmp = { .proto = IPPROTO_NR_ICMP };
	const struct rewrite from = {
		.src = q->ip.src,
		.dst = q->ip.dst,
		.sport = q->l4.kind == L4_ICMP_QUERY ? q->l4.id : q->l4.sport,
		.dport = q->l4.dport,
	};
	uint8_t *p = fuzz_copy(message, len), *before;
	struct icmp_quote again;

	l4_checksum_set(&icmp, p, len);
	before = fuzz_copy(p, len);
	bool inner_right = fuzz_naive_sum(p + q->ip_offset, q->ip.header_len) == 0xffff;
	bool udp_without = q->l4.kind == L4_UDP && fuzz_get16(p + q->l4_offset + 6) == 0;

	rewrite_quote(p, len, q, to);
	FUZZ_CHECK(l4_checksum_ok(&icmp, p, len));
	FUZZ_CHECK((fuzz_naive_sum(p + q->ip_offset, q->ip.header_len) == 0xffff) == inner_right);
	FUZZ_CHECK(q->l4.kind != L4_UDP || (fuzz_get16(p + q->l4_offset + 6) == 0) == udp_without);
	FUZZ_CHECK(icmp_quote_parse(p, len, &again));
	FUZZ_CHECK(again.ip.src == to->src && again.ip.dst == to->dst && again.len == q->len);
	FUZZ_CHECK(again.l4.sport == q->l4.sport && again.l4.dport == q->l4.dport && again.l4.id == q->l4.id);

	rewrite_quote(p, len, q, &from);
	zeros_level(p, q);
	zeros_level(before, q);
	FUZZ_CHECK(memcmp(p, before, len) == 0);
	free(before);
	free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ipv4_view ip = { .proto = IPPROTO_NR_ICMP };
	struct fuzz_input in = { data, size };
	struct rewrite to;
	struct icmp_quote q;
	struct l4_view v;

	to.src = fuzz_take(&in, 4);
	to.dst = fuzz_take(&in, 4);
	to.sport = (uint16_t)fuzz_take(&in, 2);
	to.dport = (uint16_t)fuzz_take(&in, 2);
	size_t len = in.n_left < 65515 ? in.n_left : 65515;
	uint8_t *p = fuzz_copy(in.p, len);
	enum l4_error err = l4_parse(&ip, p, len, &v);

	if (icmp_quote_parse(p, len, &q)) {
		FUZZ_CHECK(err == L4_OK && v.kind == L4_ICMP_ERROR);
		FUZZ_CHECK(q.ip_offset == ICMP_HEADER_LEN && q.l4_offset == q.ip_offset + q.ip.header_len);
		FUZZ_CHECK(q.len >= q.ip.header_len && q.len <= q.ip.total_len && q.ip_offset + q.len <= len);
		FUZZ_CHECK(q.ip.frag_off == 0);
		rewrite_check(p, len, &q, &to);
	}
	free(p);
	return 0;
}
