/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Translation of a packet. Input: how its checksum stands, new addresses and
 * ports, then an IPv4 packet, whose checksums are made right first. Checks that
 * they are right afterwards, that bytes and views agree, that the header alone
 * is touched, and that the way back restores every byte.
 */
#include "wire_fuzz.h"

/* The checksum field, or NULL. */
static uint8_t *check_field(uint8_t *l4, enum l4_kind kind)
{
	switch (kind) {
	case L4_TCP:
		return l4 + 16;
	case L4_UDP:
	case L4_UDPLITE:
	case L4_DCCP:
		return l4 + 6;
	case L4_SCTP:
		return l4 + 8; /* two bytes of four */
	case L4_ICMP_QUERY:
		return l4 + 2;
	default:
		return NULL;
	}
}

static uint32_t pseudo_len(const struct ipv4_view *ip, const uint8_t *l4)
{
	return ip->proto == IPPROTO_NR_UDP ? fuzz_get16(l4 + 4) : (uint32_t)ip->total_len - ip->header_len;
}

static bool transport_right(const struct ipv4_view *ip, uint8_t *l4, enum l4_kind kind, enum rewrite_check check)
{
	if (check == REWRITE_CHECK_PARTIAL && kind != L4_ICMP_QUERY && kind != L4_SCTP)
		return fuzz_get16(check_field(l4, kind)) ==
		       checksum_fold(checksum_pseudo(ip->src, ip->dst, ip->proto, pseudo_len(ip, l4)));
	return l4_checksum_ok(ip, l4, (size_t)ip->total_len - ip->header_len);
}

static void packet_check(uint8_t *p, struct ipv4_view *ip, struct l4_view *l4, const struct rewrite *to,
			 enum rewrite_check check)
{
	const struct rewrite from = {
		.src = ip->src,
		.dst = ip->dst,
		.sport = l4->kind == L4_ICMP_QUERY ? l4->id : l4->sport,
		.dport = l4->kind == L4_GRE ? (uint16_t)l4->info : l4->dport,
	};
	uint8_t *bytes = p + ip->header_len, *field = check_field(bytes, l4->kind);
	size_t l4_len = (size_t)ip->total_len - ip->header_len;
	bool whole = !ipv4_is_fragment(ip) && field != NULL &&
		     !(check == REWRITE_CHECK_PARTIAL && l4->kind == L4_ICMP_QUERY);

	if (whole && check == REWRITE_CHECK_PARTIAL && l4->kind != L4_SCTP)
		fuzz_put16(field, checksum_fold(checksum_pseudo(ip->src, ip->dst, ip->proto, pseudo_len(ip, bytes))));
	else if (whole && ((l4->kind != L4_UDP && l4->kind != L4_UDPLITE) || fuzz_get16(field) != 0))
		l4_checksum_set(ip, bytes, l4_len);
	uint8_t *before = fuzz_copy(p, ip->total_len);

	rewrite_packet(p, ip, l4, to, check);
	struct ipv4_view ip_again;
	struct l4_view l4_again;
	FUZZ_CHECK(ipv4_parse(p, ip->total_len, &ip_again) == IPV4_OK);
	FUZZ_CHECK(l4_parse(&ip_again, bytes, l4_len, &l4_again) == L4_OK);
	FUZZ_CHECK(ip_again.src == to->src && ip_again.dst == to->dst && ip->src == to->src && ip->dst == to->dst);
	FUZZ_CHECK(l4_again.sport == l4->sport && l4_again.dport == l4->dport && l4_again.id == l4->id);
	if (check != REWRITE_CHECK_NONE) {
		if (l4_kind_has_ports(l4->kind))
			FUZZ_CHECK(l4->sport == to->sport && l4->dport == to->dport);
		FUZZ_CHECK(l4->kind != L4_ICMP_QUERY || l4->id == to->sport);
		FUZZ_CHECK(!whole || l4_again.check == l4->check);
		FUZZ_CHECK(!whole || (l4->kind == L4_UDPLITE && l4->check == 0) ||
			   transport_right(ip, bytes, l4->kind, check));
	}
	rewrite_packet(p, ip, l4, &from, check);
	/* In a piece the checksum is anybody's: either zero may come back. */
	if (field != NULL && !whole && fuzz_get16(field) % 0xffff == fuzz_get16(before + (field - p)) % 0xffff)
		memcpy(field, before + (field - p), 2);
	FUZZ_CHECK(memcmp(p, before, ip->total_len) == 0);
	free(before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	enum rewrite_check check = fuzz_take(&in, 1) % 2 == 0 ? REWRITE_CHECK_FULL : REWRITE_CHECK_PARTIAL;
	struct rewrite to;
	struct ipv4_view ip;
	struct l4_view l4;

	to.src = fuzz_take(&in, 4);
	to.dst = fuzz_take(&in, 4);
	to.sport = (uint16_t)fuzz_take(&in, 2);
	to.dport = (uint16_t)fuzz_take(&in, 2);
	uint8_t *p = fuzz_copy(in.p, in.n_left);
	fuzz_mend_header(p, in.n_left);
	if (ipv4_parse(p, in.n_left, &ip) == IPV4_OK) {
		uint8_t *exact = fuzz_copy(p, ip.total_len);

		if (ip.frag_off != 0)
			check = REWRITE_CHECK_NONE;
		if (l4_parse(&ip, exact + ip.header_len, (size_t)ip.total_len - ip.header_len, &l4) == L4_OK)
			packet_check(exact, &ip, &l4, &to, check);
		free(exact);
	}
	free(p);
	return 0;
}
