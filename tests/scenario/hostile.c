/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A frame is made in two steps: something sensible (a new flow, an answer to
 * what the gateway sent, a fragment, an ICMP error about it, ARP), then, one time
 * in three, damage (bits, length, lies in the fields that matter). Addresses and
 * ports come from small sets, so that frames meet each other's state.
 */
#include <string.h>

#include "base/util.h"
#include "hostile.h"
#include "stack/wire/arp.h"
#include "stack/wire/icmp.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/l4.h"

void hostile_init(struct hostile *h, const uint8_t seed[RNG_SEED_BYTES])
{
	memset(h, 0, sizeof(*h));
	rng_init(&h->rng, seed);
}

void hostile_see(struct hostile *h, int side, const uint8_t *frame, size_t len)
{
	uint32_t at = h->n_seen[side]++ % HOSTILE_MEMORY;

	if (len > HOSTILE_FRAME_MAX)
		len = HOSTILE_FRAME_MAX;
	memcpy(h->seen[side][at].frame, frame, len);
	h->seen[side][at].len = (uint32_t)len;
}

static uint32_t pick(struct hostile *h, uint32_t n)
{
	return rng_below(&h->rng, n);
}

static uint32_t host(struct hostile *h, int side)
{
	return h->side[side].net + 1 + pick(h, h->side[side].n_hosts);
}

static void put_ether(struct hostile *h, int side, uint8_t *out, uint16_t type)
{
	struct ether_view eth = { .dst = h->side[side].gateway_mac, .type = type };

	eth.src = (struct ether_addr){ { 2, 9, 9, 9, (uint8_t)side, (uint8_t)pick(h, 4) } };
	if (pick(h, 50) == 0)
		eth.dst = ether_broadcast;
	if (pick(h, 200) == 0)
		eth.dst.b[5] ^= 0x40;
	ether_emit(out, &eth);
}

/* Fills lengths and checksums of the IPv4 packet behind the Ethernet header. */
static size_t finish(struct ipv4_view *ip, uint8_t *out, size_t l4_len)
{
	uint8_t *l3 = out + ETHER_HEADER_LEN;

	ip->header_len = IPV4_HEADER_LEN;
	ip->total_len = (uint16_t)(IPV4_HEADER_LEN + l4_len);
	ipv4_emit(l3, ip);
	if (!ipv4_is_fragment(ip))
		l4_checksum_set(ip, l3 + IPV4_HEADER_LEN, l4_len);
	return ETHER_HEADER_LEN + ip->total_len;
}

static size_t make_flow(struct hostile *h, int side, uint8_t *out)
{
	static const uint8_t protos[] = {
		IPPROTO_NR_TCP, IPPROTO_NR_TCP, IPPROTO_NR_UDP, IPPROTO_NR_UDP, IPPROTO_NR_ICMP, 47, 89
	};
	static const uint8_t flags[] = {
		TCP_SYN,           TCP_SYN, TCP_ACK, TCP_ACK | TCP_PSH, TCP_FIN | TCP_ACK, TCP_RST,
		TCP_RST | TCP_ACK, 0,       0xff,    TCP_SYN | TCP_FIN, TCP_SYN | TCP_ACK
	};
	uint8_t *l4 = out + ETHER_HEADER_LEN + IPV4_HEADER_LEN;
	struct ipv4_view ip = { .src = host(h, side),
				.dst = pick(h, 6) == 0 ? h->side[side].gateway : host(h, !side),
				.proto = protos[pick(h, ARRAY_LEN(protos))],
				.ttl = (uint8_t)(pick(h, 10) == 0 ? pick(h, 3) : 64),
				.id = (uint16_t)pick(h, 8),
				.df = pick(h, 2) == 0 };
	uint32_t payload = pick(h, 8) == 0 ? pick(h, 1800) : pick(h, 64);
	uint16_t sport = (uint16_t)(1024 + pick(h, 40)), dport = (uint16_t)(pick(h, 2) == 0 ? 80 : 1024 + pick(h, 40));
	size_t header = 0;

	if (pick(h, 100) == 0)
		ip.src = rng_u32(&h->rng);
	if (pick(h, 100) == 0)
		ip.dst = rng_u32(&h->rng);
	put_ether(h, side, out, ETHERTYPE_IPV4);
	if (ip.proto == IPPROTO_NR_TCP) {
		header = TCP_HEADER_LEN;
		tcp_emit(l4, sport, dport, pick(h, 4) == 0 ? rng_u32(&h->rng) : pick(h, 4000), pick(h, 4000),
			 flags[pick(h, ARRAY_LEN(flags))], (uint16_t)pick(h, 65536));
	} else if (ip.proto == IPPROTO_NR_UDP) {
		header = UDP_HEADER_LEN;
		udp_emit(l4, sport, dport, (uint16_t)payload);
	} else if (ip.proto == IPPROTO_NR_ICMP) {
		header = ICMP_HEADER_LEN;
		icmp_emit(l4, (uint8_t)(pick(h, 3) == 0 ? pick(h, 20) : ICMP_ECHO_REQUEST), 0,
			  (uint32_t)(sport % 8) << 16 | pick(h, 5));
	}
	for (uint32_t i = 0; i < payload; i++)
		l4[header + i] = (uint8_t)rng_u32(&h->rng);
	if (pick(h, 8) == 0) {
		ip.frag_off = (uint16_t)(pick(h, 5) * 8);
		ip.mf = pick(h, 2) == 0;
		ip.df = false;
	}
	return finish(&ip, out, header + payload);
}

/* What a peer would answer to a packet that the gateway sent: addresses and
 * ports turned round, TCP flags and numbers that fit, or nearly. */
static size_t make_answer(struct hostile *h, int side, uint8_t *out)
{
	static const uint8_t flags[] = { TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK,
					 TCP_FIN | TCP_ACK, TCP_RST, TCP_RST | TCP_ACK };
	uint32_t at = pick(h, min_u32(h->n_seen[side], HOSTILE_MEMORY));
	const uint8_t *l3 = h->seen[side][at].frame + ETHER_HEADER_LEN;
	size_t len = h->seen[side][at].len - ETHER_HEADER_LEN;
	uint8_t *l4 = out + ETHER_HEADER_LEN + IPV4_HEADER_LEN;
	struct ipv4_view ip;
	struct l4_view v;

	if (h->seen[side][at].len < ETHER_HEADER_LEN || ipv4_parse(l3, len, &ip) != IPV4_OK ||
	    l4_parse(&ip, l3 + ip.header_len, (size_t)ip.total_len - ip.header_len, &v) != L4_OK || v.kind == L4_NONE)
		return make_flow(h, side, out);
	put_ether(h, side, out, ETHERTYPE_IPV4);

	struct ipv4_view back = {
		.src = ip.dst, .dst = ip.src, .proto = ip.proto, .ttl = 60, .id = (uint16_t)pick(h, 8)
	};
	size_t payload = pick(h, 40);

	memset(l4, 0x5a, 200);
	if (v.kind == L4_TCP) {
		tcp_emit(l4, v.dport, v.sport, pick(h, 4) == 0 ? v.ack + pick(h, 3) : v.ack, v.seq + v.payload_len + 1,
			 flags[pick(h, ARRAY_LEN(flags))], 8192);
		return finish(&back, out, TCP_HEADER_LEN + payload);
	}
	if (v.kind == L4_UDP) {
		udp_emit(l4, v.dport, v.sport, (uint16_t)payload);
		return finish(&back, out, UDP_HEADER_LEN + payload);
	}
	if (v.kind != L4_ICMP_QUERY)
		return make_flow(h, side, out);
	icmp_emit(l4, icmp_opposite(v.type), 0, (uint32_t)v.id << 16 | v.icmp_seq);
	return finish(&back, out, ICMP_HEADER_LEN + 20);
}

/* An ICMP error about a packet that the gateway sent. */
static size_t make_error(struct hostile *h, int side, uint8_t *out)
{
	static const uint8_t types[] = { ICMP_DEST_UNREACHABLE, ICMP_TIME_EXCEEDED, ICMP_PARAMETER_PROBLEM,
					 ICMP_SOURCE_QUENCH, ICMP_REDIRECT };
	uint32_t at = pick(h, min_u32(h->n_seen[side], HOSTILE_MEMORY));
	const uint8_t *l3 = h->seen[side][at].frame + ETHER_HEADER_LEN;
	size_t have = h->seen[side][at].len - ETHER_HEADER_LEN;
	uint8_t *l4 = out + ETHER_HEADER_LEN + IPV4_HEADER_LEN;
	struct ipv4_view quoted;

	if (h->seen[side][at].len < ETHER_HEADER_LEN || ipv4_parse(l3, have, &quoted) != IPV4_OK)
		return make_flow(h, side, out);
	size_t quote = min_u32((uint32_t)have, 28 + pick(h, 500));
	struct ipv4_view ip = { .src = host(h, side), .dst = quoted.src, .proto = IPPROTO_NR_ICMP, .ttl = 60 };

	put_ether(h, side, out, ETHERTYPE_IPV4);
	icmp_emit(l4, types[pick(h, ARRAY_LEN(types))], (uint8_t)pick(h, 16), pick(h, 2000));
	memcpy(l4 + ICMP_HEADER_LEN, l3, quote);
	if (pick(h, 6) == 0)
		l4[ICMP_HEADER_LEN + pick(h, (uint32_t)quote)] ^= (uint8_t)(1u << pick(h, 8));
	return finish(&ip, out, ICMP_HEADER_LEN + quote);
}

static size_t make_arp(struct hostile *h, int side, uint8_t *out)
{
	struct arp_view arp = { .op = (uint16_t)(1 + pick(h, 3)),
				.sha = { { 2, 9, 9, 9, (uint8_t)side, (uint8_t)pick(h, 4) } },
				.spa = pick(h, 20) == 0 ? rng_u32(&h->rng) : host(h, side),
				.tpa = pick(h, 4) == 0 ? host(h, side) : h->side[side].gateway };

	if (pick(h, 20) == 0)
		arp.spa = h->side[side].gateway;
	put_ether(h, side, out, ETHERTYPE_ARP);
	arp_emit(out + ETHER_HEADER_LEN, &arp);
	return ETHER_HEADER_LEN + ARP_LEN + pick(h, 20);
}

static size_t make_other(struct hostile *h, int side, uint8_t *out)
{
	static const uint16_t types[] = { ETHERTYPE_VLAN, ETHERTYPE_QINQ, ETHERTYPE_IPV6, 0x88cc, 0x0026 };
	size_t len = pick(h, 200);

	put_ether(h, side, out, types[pick(h, ARRAY_LEN(types))]);
	for (size_t i = 0; i < len; i++)
		out[ETHER_HEADER_LEN + i] = (uint8_t)rng_u32(&h->rng);
	return ETHER_HEADER_LEN + len;
}

/* IPv4 options, right and wrong, pushed in behind the header. */
static size_t add_options(struct hostile *h, uint8_t *out, size_t len)
{
	static const uint8_t kinds[] = { 0, 1, 7, 68, 130, 131, 137, 148, 255 };
	uint8_t *l3 = out + ETHER_HEADER_LEN;
	struct ipv4_view ip;
	uint8_t n = (uint8_t)(4 * (1 + pick(h, 10)));

	if (len + n > HOSTILE_FRAME_MAX || ipv4_parse(l3, len - ETHER_HEADER_LEN, &ip) != IPV4_OK ||
	    ip.header_len != 20)
		return len;
	memmove(l3 + 20 + n, l3 + 20, (size_t)ip.total_len - 20);
	memset(l3 + 20, 1, n);
	for (uint8_t i = 0; i + 3 < n;) {
		uint8_t size = (uint8_t)(pick(h, 8) == 0 ? pick(h, 256) : 3 + 4 * pick(h, 4));

		l3[20 + i] = kinds[pick(h, ARRAY_LEN(kinds))];
		l3[20 + i + 1] = size;
		l3[20 + i + 2] = (uint8_t)(pick(h, 2) == 0 ? 4 : pick(h, 41));
		if (size < 4)
			break;
		i = (uint8_t)(i + size);
	}
	ipv4_set_header_len(l3, (uint8_t)(20 + n));
	ipv4_set_fragment(l3, (uint16_t)(ip.total_len + n), ip.frag_off, ip.df, ip.mf);
	return len + n;
}

static size_t damage(struct hostile *h, uint8_t *out, size_t len)
{
	uint8_t *l3 = out + ETHER_HEADER_LEN;
	struct ipv4_view ip;

	h->n_mutated++;
	switch (pick(h, 5)) {
	case 0: /* bits anywhere */
		for (uint32_t i = 1 + pick(h, 4); i > 0 && len > 0; i--)
			out[pick(h, (uint32_t)len)] ^= (uint8_t)(1u << pick(h, 8));
		return len;
	case 1: /* cut */
		return pick(h, (uint32_t)len + 1);
	case 2: /* too long */
		return min_u32((uint32_t)len + pick(h, 100), HOSTILE_FRAME_MAX);
	case 3: /* a header field, and the checksum right again: it is the lie that is tested */
		if (len < ETHER_HEADER_LEN + 20)
			return len;
		l3[pick(h, 20)] = (uint8_t)rng_u32(&h->rng);
		if (ipv4_parse_quoted(l3, len - ETHER_HEADER_LEN, &ip) == IPV4_OK)
			ipv4_set_fragment(l3, ip.total_len, ip.frag_off, ip.df, ip.mf);
		return len;
	default:
		return add_options(h, out, len);
	}
}

size_t hostile_next(struct hostile *h, int side, uint8_t out[HOSTILE_FRAME_MAX])
{
	uint32_t dice = pick(h, 100);
	size_t len;

	memset(out, 0, HOSTILE_FRAME_MAX);
	if (dice < 35 && h->n_seen[side] > 0)
		len = make_answer(h, side, out);
	else if (dice < 45 && h->n_seen[side] > 0)
		len = make_error(h, side, out);
	else if (dice < 92)
		len = make_flow(h, side, out);
	else if (dice < 97)
		len = make_arp(h, side, out);
	else
		len = make_other(h, side, out);
	if (pick(h, 3) == 0)
		len = damage(h, out, len);
	return len;
}
