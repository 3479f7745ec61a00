/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Network address and port translation in a packet's bytes (RFC 3022 section
 * 4.2, RFC 5508 section 4.2).
 *
 * Every change of a 16-bit word m to m' adds ~m + m' to a delta; a checksum that
 * covers the words is mended with the delta once (RFC 1624 equation 3). So one
 * that was right stays right, and one that was wrong stays wrong: a gateway must
 * not bless a damaged packet. What covers what:
 *   - the IP header checksum: addresses;
 *   - TCP, UDP, UDP-Lite, DCCP, full: addresses and ports, which even the smallest
 *     coverage of UDP-Lite and DCCP takes in; partial (only the pseudo header is
 *     summed so far): addresses, since ports are not in it;
 *   - SCTP: ports, by a CRC whose change follows from theirs and the length of the
 *     packet (crc32c.c); no addresses;
 *   - ICMP: its own header and data, no addresses. For an error that includes
 *     all of the quote: each change in there, also of a quoted checksum.
 * All of these words stand at even offsets from the start of what is summed.
 *
 * The two zeros: a UDP field of 0 means "no checksum", so 0 stays and a result
 * of 0 is written as 0xffff (RFC 768); UDP-Lite forbids a field of 0 (RFC 3828). An ICMP message of nothing but zeros
 * has the checksum 0xffff, and mending cannot know that nothing is left: that one case (an echo reply whose identifier
 * becomes 0) is looked at.
 *
 * Next: back in src/gateway/nat/translate.c
 */
#include "stack/wire/rewrite.h"

#include "stack/wire/checksum.h"
#include "stack/wire/crc32c.h"
#include "stack/wire/l4_priv.h"

/* ~m + m', never 0 (0xffff is the other zero), so that a delta of 0 says that
 * nothing changed. */
static inline uint32_t delta16(uint16_t from, uint16_t to)
{
	return (uint32_t)(uint16_t)~from + to + 0xffff;
}

static inline uint32_t delta32(uint32_t from, uint32_t to)
{
	uint64_t delta = (uint64_t)(uint32_t)~from + to;

	return (uint32_t)(delta >> 16) + (uint32_t)(delta & 0xffff) + 0xffff;
}

/* A full checksum field under which words changed by delta. */
static inline uint16_t mended(uint16_t check, uint32_t delta)
{
	return checksum_finish((uint32_t)(uint16_t)~check + delta);
}

/* The addresses, without the checksum. */
static uint32_t addresses_write(struct ipv4_header *h, struct ipv4_view *ip, const struct rewrite *to)
{
	uint32_t delta = 0;

	if (ip->src != to->src) {
		delta += delta32(ip->src, to->src);
		h->src = be32_of(to->src);
		ip->src = to->src;
	}
	if (ip->dst != to->dst) {
		delta += delta32(ip->dst, to->dst);
		h->dst = be32_of(to->dst);
		ip->dst = to->dst;
	}
	return delta;
}

/* Ports or the identifier, without the checksum. */
static inline uint32_t ports_write(uint8_t *p, struct l4_view *l4, const struct rewrite *to)
{
	uint32_t delta = 0;

	if (l4->kind == L4_ICMP_QUERY) {
		if (l4->id != to->sport) {
			delta = delta16(l4->id, to->sport);
			((struct icmp_header *)p)->id = be16_of(to->sport);
			l4->id = to->sport;
			l4->info = (uint32_t)to->sport << 16 | (l4->info & 0xffff);
		}
		return delta;
	}
	/* The ports of all stand where those of UDP do. */
	struct udp_header *h = (struct udp_header *)p;
	if (l4->sport != to->sport) {
		delta += delta16(l4->sport, to->sport);
		h->sport = be16_of(to->sport);
		l4->sport = to->sport;
	}
	if (l4->dport != to->dport) {
		delta += delta16(l4->dport, to->dport);
		h->dport = be16_of(to->dport);
		l4->dport = to->dport;
	}
	return delta;
}

/* Mends the transport checksum field, if p has it within len, and returns what
 * it holds then. */
static inline uint16_t check_write(uint8_t *p, size_t len, enum l4_kind kind, uint32_t addr_delta, uint32_t port_delta)
{
	static const uint8_t check_at[] = {
		[L4_TCP] = offsetof(struct tcp_header, check),         [L4_UDP] = offsetof(struct udp_header, check),
		[L4_UDPLITE] = offsetof(struct udplite_header, check), [L4_DCCP] = offsetof(struct dccp_header, check),
		[L4_ICMP_QUERY] = offsetof(struct icmp_header, check),
	};
	uint32_t delta = kind == L4_ICMP_QUERY ? port_delta : addr_delta + port_delta;

	if (len < (size_t)check_at[kind] + sizeof(be16))
		return 0;
	be16 *field = (be16 *)(p + check_at[kind]);
	uint16_t check = be16_get(*field);
	if (delta == 0 || ((kind == L4_UDP || kind == L4_UDPLITE) && check == 0))
		return check;
	check = mended(check, delta);
	*field = be16_of(check);
	if (check != 0)
		return check;
	if (kind == L4_UDP || kind == L4_UDPLITE || (kind == L4_ICMP_QUERY && checksum_add(0, p, len) == 0))
		check = 0xffff;
	*field = be16_of(check);
	return check;
}

static uint16_t check_write_partial(uint8_t *p, enum l4_kind kind, uint32_t addr_delta)
{
	be16 *field = kind == L4_TCP ? &((struct tcp_header *)p)->check : &((struct udp_header *)p)->check;
	uint16_t sum = be16_get(*field);

	if (addr_delta == 0)
		return sum;
	sum = checksum_fold(sum + addr_delta);
	*field = be16_of(sum);
	return sum;
}

static bool has_ports(enum l4_kind kind)
{
	return l4_kind_has_ports(kind) || kind == L4_ICMP_QUERY;
}

/* from, to: both ports as one number; len: of the whole message. */
static void sctp_mend(uint8_t *p, size_t len, uint32_t from, uint32_t to)
{
	struct sctp_header *h = (struct sctp_header *)p;

	if (from != to)
		h->check = be32_of(be32_get(h->check) ^ __builtin_bswap32(crc32c_delta(from ^ to, len - sizeof(be32))));
}

static uint32_t both_ports(const struct l4_view *l4)
{
	return (uint32_t)l4->sport << 16 | l4->dport;
}

static void sctp_rewrite(uint8_t *p, struct l4_view *l4, const struct rewrite *to)
{
	uint32_t before = both_ports(l4);

	(void)ports_write(p, l4, to);
	sctp_mend(p, (size_t)l4->header_len + l4->payload_len, before, both_ports(l4));
}

/* No checksum covers it: the C bit of GRE is 0 in PPTP (RFC 2637 section 4.1). */
static void call_write(uint8_t *p, struct l4_view *l4, uint16_t call)
{
	if (l4->kind != L4_GRE || l4->type != L4_ID_CALL || l4->info == call)
		return;
	*(be16 *)(p + GRE_CALL_AT) = be16_of(call);
	l4->info = call;
}

void rewrite_packet(uint8_t *l3, struct ipv4_view *ip, struct l4_view *l4, const struct rewrite *to,
		    enum rewrite_check check)
{
	struct ipv4_header *h = (struct ipv4_header *)l3;
	uint8_t *p = l3 + ip->header_len;
	uint32_t addr_delta = addresses_write(h, ip, to);

	if (addr_delta != 0)
		h->check = be16_of(mended(be16_get(h->check), addr_delta));
	if (check == REWRITE_CHECK_NONE)
		return;
	if (!has_ports(l4->kind)) {
		call_write(p, l4, to->dport);
		return;
	}
	if (l4->kind == L4_SCTP) {
		sctp_rewrite(p, l4, to);
		return;
	}
	uint32_t port_delta = ports_write(p, l4, to);

	if (check == REWRITE_CHECK_FULL)
		l4->check = check_write(p, (size_t)l4->header_len + l4->payload_len, l4->kind, addr_delta, port_delta);
	else if (l4->kind != L4_ICMP_QUERY)
		l4->check = check_write_partial(p, l4->kind, addr_delta);
}

void tcp_check_mend(uint8_t *p, struct l4_view *v, uint32_t delta)
{
	v->check = mended(be16_get(((struct tcp_header *)p)->check), delta);
	((struct tcp_header *)p)->check = be16_of(v->check);
}

void rewrite_quote(uint8_t *icmp, size_t len, struct icmp_quote *q, const struct rewrite *to)
{
	struct icmp_header *outer = (struct icmp_header *)icmp;
	struct ipv4_header *h = (struct ipv4_header *)(icmp + q->ip_offset);
	uint8_t *p = icmp + q->l4_offset;
	size_t end = q->ip_offset + q->len < len ? q->ip_offset + q->len : len;
	size_t l4_len = end - q->l4_offset;
	uint32_t addr_delta = addresses_write(h, &q->ip, to);
	uint32_t delta = addr_delta;

	if (addr_delta != 0) {
		uint16_t before = be16_get(h->check);
		uint16_t after = mended(before, addr_delta);

		h->check = be16_of(after);
		delta += delta16(before, after);
	}
	if (has_ports(q->l4.kind)) {
		/* The transport checksum stands at an even offset whichever it is,
		 * so the sum over the header before and after gives its part. */
		size_t n = l4_len < TCP_HEADER_LEN ? l4_len : TCP_HEADER_LEN;
		uint16_t before = checksum_fold(checksum_add(0, p, n));
		uint32_t ports = both_ports(&q->l4);
		uint32_t port_delta = ports_write(p, &q->l4, to);

		if (q->l4.kind != L4_SCTP)
			check_write(p, l4_len, q->l4.kind, addr_delta, port_delta);
		else if (l4_len >= SCTP_HEADER_LEN && !q->ip.mf)
			sctp_mend(p, (size_t)q->ip.total_len - q->ip.header_len, ports, both_ports(&q->l4));
		uint16_t after = checksum_fold(checksum_add(0, p, n));
		if (after != before)
			delta += delta16(before, after);
	}
	if (delta != 0)
		outer->check = be16_of(mended(be16_get(outer->check), delta));
}
