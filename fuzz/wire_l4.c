/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Transport headers. Input: protocol, fragment word, addresses, then the bytes
 * behind the IP header. Checks what l4.c promises of lengths, that the short
 * look into a quote agrees with the whole one, that a checksum set is a checksum
 * right, and walks TCP options.
 */
#include "wire_fuzz.h"

static void promises_check(const struct ipv4_view *ip, const struct l4_view *v, size_t len)
{
	switch (v->kind) {
	case L4_NONE:
		FUZZ_CHECK(v->header_len == 0 && v->payload_len == len);
		break;
	case L4_TCP:
		FUZZ_CHECK(v->header_len >= 20 && v->header_len <= 60 && v->options_len <= v->header_len - 20);
		FUZZ_CHECK(20u + v->options_len + v->payload_len == len);
		FUZZ_CHECK(ip->mf || v->options_len == v->header_len - 20);
		break;
	case L4_UDP:
		FUZZ_CHECK(v->header_len == 8 && 8u + v->payload_len <= len);
		break;
	case L4_DCCP:
		FUZZ_CHECK(v->header_len >= DCCP_HEADER_LEN &&
			   (ip->mf || (size_t)v->header_len + v->payload_len == len));
		break;
	case L4_SCTP:
		FUZZ_CHECK(v->header_len == SCTP_HEADER_LEN && (size_t)v->header_len + v->payload_len == len);
		break;
	case L4_GRE:
	case L4_ESP:
		FUZZ_CHECK(v->header_len == 0 && v->payload_len == len && v->type <= L4_ID_SPI);
		break;
	default:
		FUZZ_CHECK(v->header_len == 8 && 8u + v->payload_len == len);
		break;
	}
	FUZZ_CHECK(ip->frag_off == 0 || v->kind == L4_NONE);
}

static void quoted_agrees(const struct ipv4_view *ip, const uint8_t *p, const struct l4_view *v)
{
	uint8_t *eight = fuzz_copy(p, 8);
	struct l4_view q;

	FUZZ_CHECK(l4_parse_quoted(ip, eight, 8, &q));
	FUZZ_CHECK(q.kind == v->kind && q.sport == v->sport && q.dport == v->dport && q.id == v->id);
	FUZZ_CHECK(q.seq == v->seq && (q.type == v->type || v->kind == L4_DCCP || v->kind == L4_GRE) &&
		   q.code == v->code);
	FUZZ_CHECK(!l4_parse_quoted(ip, eight, 7, &q) || v->kind == L4_NONE || ip->proto == IPPROTO_NR_GRE ||
		   ip->proto == IPPROTO_NR_ESP);
	free(eight);
}

static void checksum_check(const struct ipv4_view *ip, uint8_t *p, size_t len, const struct l4_view *v)
{
	struct l4_view again;

	(void)l4_checksum_ok(ip, p, len);
	l4_checksum_set(ip, p, len);
	FUZZ_CHECK(l4_checksum_ok(ip, p, len));
	FUZZ_CHECK(l4_parse(ip, p, len, &again) == L4_OK && again.kind == v->kind);
	FUZZ_CHECK(v->kind != L4_UDP || again.check != 0);
}

static void options_check(const uint8_t *p, const struct l4_view *v)
{
	uint8_t *header = fuzz_copy(p, (size_t)TCP_HEADER_LEN + v->options_len);
	struct tcp_options o;

	(void)tcp_options_parse(header, v, &o);
	FUZZ_CHECK(o.n_sack <= 4 && o.wscale <= 14);
	free(header);
}

static void emit_check(const struct l4_view *v)
{
	const struct ipv4_view tcp = { .proto = IPPROTO_NR_TCP }, udp = { .proto = IPPROTO_NR_UDP };
	uint8_t header[TCP_HEADER_LEN];
	struct l4_view got;

	if (v->kind == L4_TCP) {
		tcp_emit(header, v->sport, v->dport, v->seq, v->ack, v->flags, v->window);
		FUZZ_CHECK(l4_parse(&tcp, header, sizeof(header), &got) == L4_OK);
		FUZZ_CHECK(got.seq == v->seq && got.ack == v->ack && got.flags == v->flags && got.window == v->window);
	} else if (v->kind == L4_UDP) {
		udp_emit(header, v->sport, v->dport, 0);
		FUZZ_CHECK(l4_parse(&udp, header, UDP_HEADER_LEN, &got) == L4_OK);
	} else {
		return;
	}
	FUZZ_CHECK(got.sport == v->sport && got.dport == v->dport);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t protos[] = { IPPROTO_NR_TCP,  IPPROTO_NR_UDP,  IPPROTO_NR_ICMP,
					  IPPROTO_NR_OSPF, IPPROTO_NR_SCTP, IPPROTO_NR_UDPLITE,
					  IPPROTO_NR_DCCP, IPPROTO_NR_GRE,  IPPROTO_NR_ESP };
	struct fuzz_input in = { data, size };
	struct ipv4_view ip = { .proto = protos[fuzz_take(&in, 1) % sizeof(protos)], .header_len = IPV4_HEADER_LEN };
	uint8_t piece = (uint8_t)fuzz_take(&in, 1);
	struct l4_view v;

	ip.mf = (piece & 1) != 0;
	ip.frag_off = (piece & 2) != 0 ? 8 : 0;
	ip.src = fuzz_take(&in, 4);
	ip.dst = fuzz_take(&in, 4);
	size_t len = in.n_left < 65515 ? in.n_left : 65515;
	uint8_t *p = fuzz_copy(in.p, len);
	ip.total_len = (uint16_t)(IPV4_HEADER_LEN + len);

	FUZZ_CHECK(checksum_fold(checksum_add(0, p, len)) == fuzz_naive_sum(p, len));
	(void)l4_checksum_ok(&ip, p, len);
	if (l4_parse(&ip, p, len, &v) == L4_OK) {
		promises_check(&ip, &v, len);
		if (len >= 8)
			quoted_agrees(&ip, p, &v);
		if (v.kind == L4_TCP)
			options_check(p, &v);
		emit_check(&v);
		if (!ip.mf && ip.frag_off == 0)
			checksum_check(&ip, p, len, &v);
	}
	free(p);
	return 0;
}
