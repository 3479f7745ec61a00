/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Plain frames. Input: 14 bytes that say how to rewrite, then a frame; its header
 * checksum is made right in a second look. Checks that what is taken as plain is
 * what the parser of whole packets calls so, with the same values, and that the
 * quick rewriting leaves the bytes that the step by step one leaves.
 */
#include "wire_fuzz.h"

#include "stack/wire/same_views.h"
#include "stack/wire/plain.h"

static const struct ether_addr us = { { 2, 0, 0, 0, 0, 7 } };

static bool whole_parse(const uint8_t *frame, size_t len, struct ipv4_view *ip, struct l4_view *l4)
{
	const uint8_t *l3 = frame + ETHER_HEADER_LEN;
	struct ether_view eth;

	return ether_parse(frame, len, &eth) && ether_equal(&eth.dst, &us) && !ether_is_group(&eth.src) &&
	       eth.type == ETHERTYPE_IPV4 && ipv4_parse(l3, len - ETHER_HEADER_LEN, ip) == IPV4_OK &&
	       l4_parse(ip, l3 + ip->header_len, (size_t)ip->total_len - ip->header_len, l4) == L4_OK;
}

static bool is_plain(const struct ipv4_view *ip, const struct l4_view *l4)
{
	if (ip->header_len != IPV4_HEADER_LEN || ipv4_is_fragment(ip) || ip->ttl < 2)
		return false;
	return l4->kind == L4_UDP || (l4->kind == L4_TCP && (l4->flags & ~TCP_PSH) == TCP_ACK) ||
	       (l4->kind == L4_ICMP_QUERY && (l4->type == ICMP_ECHO_REPLY || l4->type == ICMP_ECHO_REQUEST));
}

static void rewrite_check(const uint8_t *frame, size_t len, const struct plain *v, struct ipv4_view ip,
			  struct l4_view l4, struct fuzz_input *how)
{
	uint8_t *whole = fuzz_copy(frame, len), *quick = fuzz_copy(frame, len);
	uint32_t bits = fuzz_take(how, 2);
	uint16_t id = (uint16_t)bits;
	struct rewrite to = { .src = fuzz_take(how, 4), .dst = fuzz_take(how, 4) };
	enum rewrite_check check = bits & 1 && v->kind != PLAIN_ECHO ? REWRITE_CHECK_PARTIAL : REWRITE_CHECK_FULL;

	to.sport = (uint16_t)fuzz_take(how, 2);
	to.dport = (uint16_t)fuzz_take(how, 2);
	to.src = bits & 2 ? v->src : to.src;
	to.dst = bits & 4 ? v->dst : to.dst;
	to.sport = bits & 8 ? v->sport : to.sport;
	to.dport = bits & 16 ? v->dport : to.dport;
	ipv4_set_ttl(whole + PLAIN_L3, (uint8_t)(ip.ttl - 1));
	if (bits & 32)
		ipv4_set_id(whole + PLAIN_L3, id);
	rewrite_packet(whole + PLAIN_L3, &ip, &l4, &to, check);
	plain_translate(quick, v, &to, bits & 32 ? &id : NULL, check);
	FUZZ_CHECK(memcmp(whole, quick, len) == 0);
	free(whole);
	free(quick);
}

static void look(const uint8_t *frame, size_t len, struct fuzz_input how)
{
	struct ipv4_view ip;
	struct icmp_quote q;
	struct l4_view l4;
	struct plain v;
	bool ok = whole_parse(frame, len, &ip, &l4);

	plain_parse(frame, (uint32_t)len, plain_mac(&us), &v);
	FUZZ_CHECK((v.kind >= PLAIN_TCP) == (ok && is_plain(&ip, &l4)));
	FUZZ_CHECK(ok || v.kind == PLAIN_NOT);
	if (plain_has_views(&v)) {
		struct ipv4_view quick_ip;
		struct l4_view quick_l4;

		plain_views(frame, &v, &quick_ip, &quick_l4);
		FUZZ_CHECK(same_views(&quick_ip, &quick_l4, &ip, &l4));
	}
	if (v.kind == PLAIN_ERROR)
		(void)plain_quote(frame, v.total_len, &q);
	if (v.kind == PLAIN_NOT)
		return;
	FUZZ_CHECK(v.src == ip.src && v.dst == ip.dst && v.proto == ip.proto && v.total_len == ip.total_len);
	if (v.kind >= PLAIN_KEYED && l4.kind != L4_ICMP_QUERY)
		FUZZ_CHECK(v.sport == l4.sport && v.dport == l4.dport);
	if (v.kind >= PLAIN_TCP)
		rewrite_check(frame, len, &v, ip, l4, &how);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input how = { data, size < 14 ? size : 14 };
	uint8_t *frame = fuzz_copy(data + how.n_left, size - how.n_left);
	size_t len = size - how.n_left;

	look(frame, len, how);
	if (len > ETHER_HEADER_LEN) {
		memcpy(frame, us.b, sizeof(us.b));
		frame[6] &= 0xfe;
		frame[12] = 8;
		frame[13] = 0;
		fuzz_mend_header(frame + ETHER_HEADER_LEN, len - ETHER_HEADER_LEN);
	}
	look(frame, len, how);
	free(frame);
	return 0;
}
