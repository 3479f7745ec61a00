/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Each flow is a small model of both ends. The outside end learns under which
 * address it sees the inside from what the gateway sends (flows_see), by the
 * outside's address and port, which are a flow's own; for a ping by its address.
 */
#include "flows.h"

#include <string.h>

#include "base/util.h"
#include "stack/wire/arp.h"
#include "stack/wire/checksum.h"
#include "stack/wire/icmp.h"

#define N_HOSTS 12
#define SEQ_START 1000

enum phase { PHASE_NEW, PHASE_SYN, PHASE_SYNACK, PHASE_OPEN, PHASE_FIN };

static uint32_t pick(struct flows *f, uint32_t n)
{
	return rng_below(&f->rng, n);
}

static void flow_begin(struct flows *f, uint32_t i)
{
	static const uint8_t protos[4] = { IPPROTO_NR_TCP, IPPROTO_NR_UDP, IPPROTO_NR_TCP, IPPROTO_NR_ICMP };
	struct flow *w = &f->flow[i];

	*w = (struct flow){
		.proto = protos[i % 4],
		.inside = f->inside_net + 2 + pick(f, N_HOSTS),
		.outside = f->outside_net + 0x100 + i,
		.inside_port = f->next_port++,
		.outside_port = (uint16_t)(2000 + i),
		.seq = { SEQ_START + pick(f, 1000), UINT32_MAX - pick(f, 20000) },
		.n_until_end = 20 + pick(f, 400),
	};
	/* Some servers are on the link itself, and rules treat some ports apart. */
	if (i % 3 == 0)
		w->outside = f->outside_net + 2 + i % N_HOSTS;
	if (w->proto == IPPROTO_NR_ICMP)
		w->outside = f->outside_net + 0x200 + i;
}

void flows_init(struct flows *f, const uint8_t seed[RNG_SEED_BYTES], uint32_t n_flows)
{
	memset(f, 0, sizeof(*f));
	rng_init(&f->rng, seed);
	f->n_flows = n_flows;
	f->next_port = 1024;
	for (int side = 0; side < N_FLOWS_SIDES; side++)
		for (int i = 0; i < 16; i++)
			f->mac[side][i] = (struct ether_addr){ { 2, 8, 0, 0, (uint8_t)side, (uint8_t)i } };
}

/* Who is at the other end of a flow to w->outside. */
static uint32_t server_of(const struct flows *f, const struct flow *w)
{
	bool translated = f->server != 0 && (w->outside & ~0xffu) == f->outside_net + 0x100;

	return translated ? f->server : w->outside;
}

void flows_see(struct flows *f, int side, const uint8_t *frame, size_t len)
{
	const uint8_t *l3 = frame + ETHER_HEADER_LEN;
	struct ipv4_view ip;
	struct l4_view l4;

	if (side != FLOWS_OUT || len < ETHER_HEADER_LEN || ipv4_parse(l3, len - ETHER_HEADER_LEN, &ip) != IPV4_OK ||
	    l4_parse(&ip, l3 + ip.header_len, (size_t)ip.total_len - ip.header_len, &l4) != L4_OK)
		return;
	for (uint32_t i = 0; i < f->n_flows; i++) {
		struct flow *w = &f->flow[i];

		if (w->proto != ip.proto || server_of(f, w) != ip.dst)
			continue;
		if (l4.kind == L4_ICMP_QUERY) {
			w->mapped = ip.src;
			w->mapped_port = l4.id;
		} else if ((l4.kind == L4_TCP || l4.kind == L4_UDP) && l4.dport == w->outside_port) {
			w->mapped = ip.src;
			w->mapped_port = l4.sport;
		}
	}
}

static void put_ether(struct flows *f, int side, uint32_t src, struct flows_frame *out, uint16_t type)
{
	struct ether_view eth = { .dst = f->gateway_mac[side], .src = f->mac[side][src & 15], .type = type };

	ether_emit(out->bytes, &eth);
}

/* The packet whose L4 header and payload stand behind space for an IP header: header, checksums, frame. */
static void finish(struct flows *f, int side, struct ipv4_view *ip, size_t l4_len, struct flows_frame *out)
{
	uint8_t *l3 = out->bytes + ETHER_HEADER_LEN;

	ip->header_len = IPV4_HEADER_LEN;
	ip->total_len = (uint16_t)(IPV4_HEADER_LEN + l4_len);
	ip->id = (uint16_t)pick(f, 65536);
	ip->df = pick(f, 2) == 0;
	ip->tos = pick(f, 9) == 0 ? 0x10 : 0;
	if (ip->ttl == 0)
		ip->ttl = (uint8_t)(pick(f, 200) == 0 ? 1 : 2 + pick(f, 200));
	ipv4_emit(l3, ip);
	l4_checksum_set(ip, l3 + IPV4_HEADER_LEN, l4_len);
	put_ether(f, side, ip->src, out, ETHERTYPE_IPV4);
	out->len = (uint32_t)(ETHER_HEADER_LEN + ip->total_len);
	out->offload = (struct offload){ .csum_valid = pick(f, 3) == 0 };
}

/* Leaves the checksum to the device, perhaps in a large segment. */
static void leave_to_device(struct flows *f, uint32_t gso_size, uint8_t gso_type, struct flows_frame *out)
{
	uint8_t *l3 = out->bytes + ETHER_HEADER_LEN, *l4 = l3 + IPV4_HEADER_LEN;
	bool udp = l3[9] == IPPROTO_NR_UDP;
	uint32_t l4_len = out->len - ETHER_HEADER_LEN - IPV4_HEADER_LEN;
	uint32_t at = udp ? 6 : 16;
	struct ipv4_view ip;
	uint16_t sum;

	if (ipv4_parse(l3, out->len - ETHER_HEADER_LEN, &ip) != IPV4_OK)
		return;
	sum = checksum_fold(checksum_pseudo(ip.src, ip.dst, ip.proto, l4_len));
	l4[at] = (uint8_t)(sum >> 8);
	l4[at + 1] = (uint8_t)sum;
	out->offload = (struct offload){
		.csum_partial = true,
		.csum_start = ETHER_HEADER_LEN + IPV4_HEADER_LEN,
		.csum_offset = (uint16_t)at,
		.gso_type = gso_type,
		.gso_size = (uint16_t)gso_size,
		.gso_hdr_len = (uint16_t)(ETHER_HEADER_LEN + IPV4_HEADER_LEN + (udp ? 8 : (l4[12] >> 4) * 4)),
	};
	(void)f;
}

/* Damage that both ways must treat alike. */
static void spoil(struct flows *f, struct flows_frame *out)
{
	uint8_t *l3 = out->bytes + ETHER_HEADER_LEN, *l4 = l3 + IPV4_HEADER_LEN;

	switch (pick(f, 60)) {
	case 0: /* a wrong transport checksum passes, wrong */
		l4[l3[9] == IPPROTO_NR_TCP ? 17 : l3[9] == IPPROTO_NR_UDP ? 7 : 3] ^= 0x5a;
		break;
	case 1:
		l3[10] ^= 1;
		break;
	case 2: /* padding */
		memset(out->bytes + out->len, 0xee, 9);
		out->len += 9;
		break;
	case 3: /* no checksum */
		if (l3[9] == IPPROTO_NR_UDP)
			l4[6] = l4[7] = 0;
		break;
	case 4: /* the reserved flag */
		l3[6] |= 0x80;
		l3[10] ^= 0x80; /* wrong more often than not */
		break;
	case 5:
		out->len -= 1 + pick(f, 8);
		break;
	default:
		break;
	}
}

static const struct ipv4_view *ends(const struct flows *f, const struct flow *w, int side, struct ipv4_view *ip,
				    uint16_t *sport, uint16_t *dport)
{
	*ip = (struct ipv4_view){ .proto = w->proto };
	ip->src = side == FLOWS_IN ? w->inside : server_of(f, w);
	ip->dst = side == FLOWS_IN ? w->outside : w->mapped;
	*sport = side == FLOWS_IN ? w->inside_port : w->outside_port;
	*dport = side == FLOWS_IN ? w->outside_port : w->mapped_port;
	return ip;
}

/* Options of a later segment; returns their length. */
static uint32_t put_options(struct flows *f, const struct flow *w, int side, uint8_t *p)
{
	uint32_t ack = w->seq[!side];

	switch (pick(f, 6)) {
	case 0:
	case 1: /* NOP, NOP, timestamp */
		memcpy(p, (const uint8_t[]){ 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2 }, 12);
		return 12;
	case 2: /* NOP, NOP, SACK of one block, ahead of what is acknowledged */
		memcpy(p, (const uint8_t[]){ 1, 1, 5, 10 }, 4);
		ack += pick(f, 3000) - 1000;
		for (int i = 0; i < 8; i++)
			p[4 + i] = (uint8_t)((ack + (i < 4 ? 0 : 100)) >> (24 - 8 * (i & 3)));
		return 12;
	case 3: /* a list that lies */
		memcpy(p, (const uint8_t[]){ 1, 99, 40, 1 }, 4);
		return 4;
	default:
		return 0;
	}
}

static void put_tcp(struct flows *f, struct flow *w, int side, uint8_t flags, uint32_t payload, struct flows_frame *out)
{
	uint8_t *l4 = out->bytes + ETHER_HEADER_LEN + IPV4_HEADER_LEN;
	uint32_t options = 0, seq = w->seq[side], ack = w->seq[!side];
	struct ipv4_view ip;
	uint16_t sport, dport;

	ends(f, w, side, &ip, &sport, &dport);
	if (flags & TCP_SYN) {
		options = 16;
		memcpy(l4 + TCP_HEADER_LEN, (const uint8_t[]){ 2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0 }, 16);
		if (pick(f, 2) == 0)
			memcpy(l4 + TCP_HEADER_LEN,
			       (const uint8_t[]){ 2, 4, 5, 180, 3, 3, 7, 1, 4, 2, 1, 1, 1, 1, 1, 0 }, 16);
	} else {
		options = put_options(f, w, side, l4 + TCP_HEADER_LEN);
		if (pick(f, 40) == 0) /* a retransmission, or something far away */
			seq -= pick(f, 10) == 0 ? 200000 : 1 + pick(f, 1400);
		if (pick(f, 100) == 0)
			ack += pick(f, 2) == 0 ? 90000 : (uint32_t)-90000;
	}
	tcp_emit(l4, sport, dport, seq, flags & TCP_ACK ? ack : 0, flags,
		 (uint16_t)(pick(f, 20) == 0 ? 0 : 1000 + pick(f, 60000)));
	l4[12] = (uint8_t)((TCP_HEADER_LEN + options) / 4 << 4);
	for (uint32_t i = 0; i < payload; i++)
		l4[TCP_HEADER_LEN + options + i] = (uint8_t)(seq + i);
	finish(f, side, &ip, TCP_HEADER_LEN + options + payload, out);
	if (seq == w->seq[side])
		w->seq[side] += payload + ((flags & (TCP_SYN | TCP_FIN)) != 0);
}

static bool next_tcp(struct flows *f, struct flow *w, int side, struct flows_frame *out)
{
	switch ((enum phase)w->phase) {
	case PHASE_NEW:
		if (side == FLOWS_IN) {
			put_tcp(f, w, side, TCP_SYN, 0, out);
			w->phase = PHASE_SYN;
		}
		return side == FLOWS_IN;
	case PHASE_SYN:
		if (side == FLOWS_IN && pick(f, 10) == 0) {
			w->seq[side]--;
			put_tcp(f, w, side, TCP_SYN, 0, out);
			return true;
		}
		if (side == FLOWS_OUT && w->mapped != 0) {
			put_tcp(f, w, side, TCP_SYN | TCP_ACK, 0, out);
			w->phase = PHASE_SYNACK;
			return true;
		}
		return false;
	case PHASE_SYNACK:
		if (side == FLOWS_IN) {
			put_tcp(f, w, side, TCP_ACK, 0, out);
			w->phase = PHASE_OPEN;
		}
		return side == FLOWS_IN;
	case PHASE_OPEN:
	case PHASE_FIN:
		break;
	}
	uint8_t flags = TCP_ACK | (pick(f, 3) == 0 ? TCP_PSH : 0);
	uint32_t payload = pick(f, 3) == 0 ? 0 : pick(f, 30) == 0 ? 1460 : pick(f, 900);

	if (w->n_sent++ > w->n_until_end) {
		flags = pick(f, 3) == 0 ? TCP_RST | TCP_ACK : TCP_FIN | TCP_ACK;
		w->phase = PHASE_FIN;
		payload = 0;
	} else if (pick(f, 60) == 0) {
		flags |= (const uint8_t[]){ TCP_URG, TCP_ECE, TCP_CWR, 0 }[pick(f, 4)];
	} else if (pick(f, 500) == 0) {
		flags = 0;
	}
	if (pick(f, 25) == 0 && payload > 0) {
		put_tcp(f, w, side, flags, 3000 + pick(f, 20000), out);
		leave_to_device(f, 500 + pick(f, 900), GSO_TCP4, out);
		return true;
	}
	put_tcp(f, w, side, flags, payload, out);
	if (pick(f, 8) == 0)
		leave_to_device(f, 0, GSO_NONE, out);
	return true;
}

/* One datagram in two pieces. */
static uint32_t cut(struct flows *f, int side, struct flows_frame *out)
{
	const uint8_t *l3 = out[0].bytes + ETHER_HEADER_LEN;
	const uint32_t first = IPV4_HEADER_LEN + 16;
	struct ipv4_view ip;

	if (ipv4_parse(l3, out[0].len - ETHER_HEADER_LEN, &ip) != IPV4_OK || ip.total_len <= first)
		return 1;
	out[1].len = ETHER_HEADER_LEN + ip.total_len - 16;
	out[1].offload = (struct offload){ 0 };
	memcpy(out[1].bytes, out[0].bytes, ETHER_HEADER_LEN + IPV4_HEADER_LEN);
	memcpy(out[1].bytes + ETHER_HEADER_LEN + IPV4_HEADER_LEN, l3 + first, ip.total_len - first);
	ipv4_set_fragment(out[1].bytes + ETHER_HEADER_LEN, (uint16_t)(ip.total_len - 16), 16, false, false);
	ipv4_set_fragment(out[0].bytes + ETHER_HEADER_LEN, first, 0, false, true);
	out[0].len = ETHER_HEADER_LEN + first;
	out[0].offload = (struct offload){ 0 };
	if (pick(f, 3) == 0) {
		static struct flows_frame swap;

		swap = out[0];
		out[0] = out[1];
		out[1] = swap;
	}
	(void)side;
	return 2;
}

static uint32_t next_datagram(struct flows *f, struct flow *w, int side, struct flows_frame *out)
{
	uint8_t *l4 = out->bytes + ETHER_HEADER_LEN + IPV4_HEADER_LEN;
	bool is_large = w->proto == IPPROTO_NR_UDP && pick(f, 25) == 0;
	uint32_t payload = is_large ? 3000 + pick(f, 20000) : pick(f, 30) == 0 ? 1450 : pick(f, 200);
	struct ipv4_view ip;
	uint16_t sport, dport;

	if (side == FLOWS_OUT && w->mapped == 0)
		return 0;
	ends(f, w, side, &ip, &sport, &dport);
	memset(l4, 0, UDP_HEADER_LEN + payload);
	if (w->proto == IPPROTO_NR_UDP) {
		udp_emit(l4, sport, dport, (uint16_t)payload);
		finish(f, side, &ip, UDP_HEADER_LEN + payload, out);
		if (is_large)
			leave_to_device(f, 500 + pick(f, 900), GSO_UDP4, out);
		else if (pick(f, 8) == 0)
			leave_to_device(f, 0, GSO_NONE, out);
		else if (pick(f, 20) == 0)
			return cut(f, side, out);
		return 1;
	}
	payload = pick(f, 40);
	icmp_emit(l4, side == FLOWS_IN ? ICMP_ECHO_REQUEST : ICMP_ECHO_REPLY, 0,
		  (uint32_t)(side == FLOWS_IN ? sport : dport) << 16 | pick(f, 2));
	finish(f, side, &ip, ICMP_HEADER_LEN + payload, out);
	return 1;
}

uint32_t flows_next(struct flows *f, int side, struct flows_frame *out, uint32_t max)
{
	uint32_t at = pick(f, f->n_flows), n = 0;
	uint32_t burst = 1 + pick(f, min_u32(max - 1, 6));

	while (n < burst) {
		struct flow *w = &f->flow[at];
		uint32_t more;

		if (w->proto == 0 || w->phase == PHASE_FIN || w->n_sent > w->n_until_end + 20)
			if (w->proto == 0 || pick(f, 10) == 0)
				flow_begin(f, at);
		if (w->proto == IPPROTO_NR_TCP)
			more = next_tcp(f, w, side, &out[n]);
		else
			more = next_datagram(f, w, side, &out[n]);
		if (more == 0)
			break;
		if (more == 1)
			spoil(f, &out[n]);
		n += more;
	}
	return n;
}

void flows_arp(struct flows *f, int side, uint32_t target, enum flows_arp how, struct flows_frame *out)
{
	struct ether_addr *mac = &f->mac[side][target & 15];

	if (how == FLOWS_ARP_CHANGED)
		mac->b[3]++;
	struct arp_view arp = { .op = ARP_REPLY, .sha = *mac, .spa = target, .tha = f->gateway_mac[side] };

	arp.tpa = side == FLOWS_IN ? f->inside_net + 1 : f->outside_net + 1;
	put_ether(f, side, target, out, ETHERTYPE_ARP);
	arp_emit(out->bytes + ETHER_HEADER_LEN, &arp);
	out->len = ETHER_HEADER_LEN + ARP_LEN;
	out->offload = (struct offload){ 0 };
}
