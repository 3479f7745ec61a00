/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The packet is built from behind to front: payload, transport header, checksum, IP
 * header. Of a datagram that is cut, the whole is built and the fragment copied out of
 * it, so that fragments that are put together again have a right checksum.
 */
#include "stack/packet/packet_fixture.h"

#include <assert.h>

#include "base/util.h"
#include "stack/wire/bytes.h"
#include "stack/wire/checksum.h"

#define DCCP_LONG_LEN 28u
#define OTHER_LEN 8u /* ESP; GRE with a key or a call */

static uint32_t header_len_of(const struct packet_spec *s)
{
	switch (s->proto) {
	case IPPROTO_NR_TCP:
		return TCP_HEADER_LEN + s->tcp_options_len;
	case IPPROTO_NR_UDP:
	case IPPROTO_NR_UDPLITE:
		return UDP_HEADER_LEN;
	case IPPROTO_NR_ICMP:
		return ICMP_HEADER_LEN;
	case IPPROTO_NR_SCTP:
		return SCTP_HEADER_LEN;
	case IPPROTO_NR_DCCP:
		return DCCP_LONG_LEN;
	case IPPROTO_NR_ESP:
	case IPPROTO_NR_GRE:
		return OTHER_LEN;
	default:
		return 0;
	}
}

/* Where the transport's checksum of two bytes stands; 0: nowhere. */
static uint32_t check_at(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_NR_TCP:
		return TCP_CHECK_AT;
	case IPPROTO_NR_UDP:
	case IPPROTO_NR_UDPLITE:
		return UDP_CHECK_AT;
	case IPPROTO_NR_ICMP:
		return ICMP_CHECK_AT;
	case IPPROTO_NR_DCCP:
		return DCCP_CHECK_AT;
	case IPPROTO_NR_SCTP:
		return SCTP_CHECK_AT;
	default:
		return 0;
	}
}

static void build_tcp(const struct packet_spec *s, uint8_t *p, uint32_t header_len)
{
	tcp_emit(p, s->sport, s->dport, s->seq, s->ack, s->flags, s->window);
	if (s->tcp_options_len != 0)
		memcpy(p + TCP_HEADER_LEN, s->tcp_options, s->tcp_options_len);
	p[12] = (uint8_t)((s->tcp_offset.given ? s->tcp_offset.value : header_len / 4) << 4);
}

/* Ports, and what stands behind them in those that are neither TCP nor UDP. */
static void build_ports(const struct packet_spec *s, uint8_t *p)
{
	bytes_put16(p, s->sport);
	bytes_put16(p + 2, s->dport);
	if (s->proto == IPPROTO_NR_UDPLITE)
		bytes_put16(p + 4, UDP_HEADER_LEN);
	if (s->proto == IPPROTO_NR_SCTP)
		bytes_put32(p + 4, s->seq);
	if (s->proto == IPPROTO_NR_DCCP) {
		p[4] = DCCP_LONG_LEN / 4;
		p[8] = (uint8_t)(s->flags << 1 | 1);
	}
}

static void build_header(const struct packet_spec *s, uint8_t *p, uint32_t header_len)
{
	memset(p, 0, header_len);
	switch (s->proto) {
	case IPPROTO_NR_TCP:
		build_tcp(s, p, header_len);
		break;
	case IPPROTO_NR_UDP:
		udp_emit(p, s->sport, s->dport, s->payload_len);
		if (s->udp_len.given)
			bytes_put16(p + 4, s->udp_len.value);
		break;
	case IPPROTO_NR_ICMP:
		icmp_emit(p, s->type, s->code, s->info != 0 ? s->info : (uint32_t)s->id << 16 | s->icmp_seq);
		break;
	case IPPROTO_NR_ESP:
		bytes_put32(p, s->seq);
		break;
	case IPPROTO_NR_GRE:
		p[0] = s->flags;
		p[1] = s->gre_version;
		bytes_put16(p + 2, s->gre_version == 1 ? 0x880b : 0x0800);
		bytes_put32(p + 4, s->seq);
		break;
	case IPPROTO_NR_UDPLITE:
	case IPPROTO_NR_SCTP:
	case IPPROTO_NR_DCCP:
		build_ports(s, p);
		break;
	default:
		break;
	}
}

static void build_check(const struct packet_spec *s, const struct ipv4_view *ip, uint8_t *p, uint32_t len)
{
	uint32_t at = check_at(s->proto);

	if (at == 0)
		return;
	if (!ipv4_is_fragment(ip))
		l4_checksum_set(ip, p, len);
	if (s->bad_check)
		p[at] ^= 0x10;
	if (s->l4_check.given)
		bytes_put16(p + at, s->l4_check.value);
}

/* All that stands behind the IP header, at p; returns its length. */
static uint32_t build_whole(const struct packet_spec *s, struct ipv4_view ip, uint8_t *p)
{
	uint32_t header_len = ip.frag_off != 0 ? 0 : header_len_of(s);
	uint32_t len = header_len + s->payload_len;

	assert(ip.header_len + len <= PACKET_BUILD_MAX);
	if (header_len != 0)
		build_header(s, p, header_len);
	for (uint32_t i = 0; i < s->payload_len; i++)
		p[header_len + i] = s->payload != NULL ? s->payload[i] : (uint8_t)(i + i / 256);
	ip.total_len = (uint16_t)(ip.header_len + len);
	if (header_len != 0)
		build_check(s, &ip, p, len);
	return len;
}

/* The fragment that is asked for, of a datagram that is built aside. */
static uint32_t build_cut(const struct packet_spec *s, struct ipv4_view ip, uint8_t *p)
{
	uint8_t whole[PACKET_BUILD_MAX];

	ip.mf = false;
	ip.frag_off = 0;
	uint32_t len = build_whole(s, ip, whole);
	assert(s->frag_off < len);
	len = min_u32(s->cut, len - s->frag_off);
	memcpy(p, whole + s->frag_off, len);
	return len;
}

static void build_ip(const struct packet_spec *s, const struct ipv4_view *ip, uint8_t *p)
{
	ipv4_emit(p, ip);
	if (s->ip_options_len != 0)
		memcpy(p + IPV4_HEADER_LEN, s->ip_options, s->ip_options_len);
	p[0] = (uint8_t)(s->version_ihl.given ? s->version_ihl.value : 0x40 | ip->header_len / 4);
	if (s->total_len.given)
		bytes_put16(p + 2, s->total_len.value);
	bytes_put16(p + 10, 0);
	bytes_put16(p + 10,
		    s->ip_check.given ? s->ip_check.value : checksum_finish(checksum_add(0, p, ip->header_len)));
}

uint32_t packet_build(const struct packet_spec *s, uint8_t *out)
{
	struct ipv4_view ip = { .src = s->src,
				.dst = s->dst,
				.proto = s->proto,
				.ttl = s->ttl != 0 ? s->ttl : 64,
				.tos = s->tos,
				.id = s->ip_id,
				.df = s->df,
				.mf = s->mf,
				.frag_off = s->frag_off,
				.header_len = (uint8_t)(IPV4_HEADER_LEN + s->ip_options_len) };
	uint32_t len = (s->cut != 0 ? build_cut : build_whole)(s, ip, out + ip.header_len);

	ip.total_len = (uint16_t)(ip.header_len + len);
	build_ip(s, &ip, out);
	return ip.total_len;
}

uint32_t packet_build_frame(const struct packet_spec *s, const struct ether_addr *dst, const struct ether_addr *src,
			    uint8_t *out)
{
	struct ether_view eth = { .type = ETHERTYPE_IPV4 };

	if (dst != NULL)
		eth.dst = *dst;
	if (src != NULL)
		eth.src = *src;
	ether_emit(out, &eth);
	return ETHER_HEADER_LEN + packet_build(s, out + ETHER_HEADER_LEN);
}

struct packet *packet_of_spec(struct packet_pool *pool, const struct packet_spec *s, const struct ether_addr *dst,
			      const struct ether_addr *src)
{
	static uint8_t frame[ETHER_HEADER_LEN + PACKET_BUILD_MAX];
	uint32_t len = packet_build_frame(s, dst, src, frame);
	struct packet *p = packet_alloc(pool, len);

	if (p == NULL)
		return NULL;
	memcpy(packet_frame(p), frame, len);
	p->in_ifindex = s->in;
	p->out_ifindex = s->out;
	return p;
}

bool packet_parse(struct packet *p)
{
	p->l3_off = ETHER_HEADER_LEN;
	if (ipv4_parse(packet_l3(p), p->len - p->l3_off, &p->ip) != IPV4_OK)
		return false;
	p->l4_off = (uint16_t)(p->l3_off + p->ip.header_len);
	return l4_parse(&p->ip, packet_l4(p), packet_l4_len(p), &p->l4) == L4_OK;
}
