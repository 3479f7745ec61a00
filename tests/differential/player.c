/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The ports that a gateway chooses are learned from what comes out of it, packet
 * by packet: what an inside host's packet became on the outside is its flow's
 * port there, until another one is seen.
 *
 * Not compared: the IP identification (RFC 6864 lets a router change it where DF
 * stands, RFC 7857 section 8 asks for it), checksums as numbers (they are checked instead),
 * and of packets that the gateway itself sends the DF flag, the type of service
 * and the TTL, which are its own choice.
 */
#include "player.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "gateway/conntrack/conntrack.h"
#include "stack/wire/icmp.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/l4.h"

#define NOBODYS_PORT 7
#define LABEL 0xf000 /* the port of flow n is called 0xf000 + n */

void player_begin(struct player *p, struct dut *dut)
{
	memset(p, 0, sizeof(*p));
	p->dut = dut;
}

static uint16_t get16(const uint8_t *b)
{
	return (uint16_t)(b[0] << 8 | b[1]);
}

static uint32_t get32(const uint8_t *b)
{
	return (uint32_t)get16(b) << 16 | get16(b + 2);
}

static void put16(uint8_t *b, uint16_t v)
{
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

static void put32(uint8_t *b, uint32_t v)
{
	put16(b, (uint16_t)(v >> 16));
	put16(b + 2, (uint16_t)v);
}

/* --- renaming --- */

static uint16_t rename_port(const struct player *p, uint8_t proto, uint16_t port, uint32_t peer, uint16_t peer_port)
{
	for (uint32_t i = p->n_known; i > 0; i--)
		if (p->known[i - 1].proto == proto && p->known[i - 1].port == port && p->known[i - 1].peer == peer &&
		    p->known[i - 1].peer_port == peer_port)
			return (uint16_t)(LABEL + p->known[i - 1].flow);
	return port;
}

/* ICMP: what stands for the peer's port, the request's type. */
static uint8_t query_of(uint8_t type)
{
	return icmp_is_request(type) ? type : icmp_opposite(type);
}

/* The gateway's port as this peer sees it is the flow's. */
static void know(struct player *p, const struct step *st, uint16_t port, uint32_t peer, uint16_t peer_port)
{
	if (rename_port(p, st->proto, port, peer, peer_port) == LABEL + st->flow)
		return;
	if (p->n_known == PORTS_MAX)
		dut_die("too many ports in one exchange");
	p->known[p->n_known].proto = st->proto;
	p->known[p->n_known].peer = peer;
	p->known[p->n_known].peer_port = peer_port;
	p->known[p->n_known].port = port;
	p->known[p->n_known++].flow = st->flow;
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_NR_TCP || proto == IPPROTO_NR_UDP;
}

/* A packet that went out: its source port is the flow's. */
static void learn(struct player *p, const struct step *st, const struct ip_packet *q)
{
	const uint8_t *l4 = q->bytes + IPV4_HEADER_LEN;

	if (has_ports(st->proto)) {
		p->outside_port[st->flow] = get16(l4);
		know(p, st, get16(l4), get32(q->bytes + 16), get16(l4 + 2));
	} else if (st->proto == IPPROTO_NR_ICMP && icmp_is_query(l4[0])) {
		if (icmp_is_request(l4[0]) && st->code == 0)
			p->outside_id[st->flow][l4[0]] = get16(l4 + 4);
		know(p, st, get16(l4 + 4), get32(q->bytes + 16), query_of(l4[0]));
	}
}

/* Renames in place, in the packet and in what it quotes. */
static void rename_packet(const struct player *p, uint8_t *b, uint32_t len)
{
	uint32_t src = get32(b + 12), dst = get32(b + 16);
	uint32_t header = (b[0] & 0xfu) * 4;
	uint8_t *l4 = b + header;

	put16(b + 4, 0);
	put16(b + 10, 0);
	if (len < header + 8)
		return;
	switch (b[9]) {
	case IPPROTO_NR_TCP:
	case IPPROTO_NR_UDP:
		if (src == WAN_ADDR)
			put16(l4, rename_port(p, b[9], get16(l4), dst, get16(l4 + 2)));
		if (dst == WAN_ADDR)
			put16(l4 + 2, rename_port(p, b[9], get16(l4 + 2), src, get16(l4)));
		if (b[9] == IPPROTO_NR_UDP)
			put16(l4 + 6, get16(l4 + 6) != 0);
		else if (len >= header + 18)
			put16(l4 + 16, 0);
		break;
	case IPPROTO_NR_ICMP:
		put16(l4 + 2, 0);
		if (icmp_is_query(l4[0]) && (src == WAN_ADDR || dst == WAN_ADDR))
			put16(l4 + 4,
			      rename_port(p, b[9], get16(l4 + 4), src == WAN_ADDR ? dst : src, query_of(l4[0])));
		else if (icmp_is_error(l4[0]) && len >= header + 8 + IPV4_HEADER_LEN)
			rename_packet(p, l4 + 8, len - header - 8);
		break;
	default:
		break;
	}
}

/* --- the packet of a step --- */

/* Where an outside host sends to, by what it has seen. */
static uint16_t outside_port(const struct player *p, const struct step *st)
{
	uint16_t port = p->outside_port[st->flow];

	if (st->proto == IPPROTO_NR_ICMP && icmp_is_query(st->type))
		port = p->outside_id[st->flow][icmp_is_request(st->type) ? ICMP_ECHO_REQUEST : query_of(st->type)];
	return port != 0 ? port : NOBODYS_PORT;
}

/* Bends a quote that was true. */
static void tell_lie(enum lie lie, uint8_t *quote, uint32_t *len)
{
	uint8_t *l4 = quote + IPV4_HEADER_LEN;
	bool tcp = quote[9] == IPPROTO_NR_TCP, ports = tcp || quote[9] == IPPROTO_NR_UDP;
	bool from_gateway = get32(quote + 12) == WAN_ADDR;

	switch (lie) {
	case LIE_SEQ_NEAR:
	case LIE_SEQ_FAR:
		if (tcp)
			put32(l4 + 4, get32(l4 + 4) + (lie == LIE_SEQ_NEAR ? 3000u : 0x50000000u));
		break;
	case LIE_PEER_PORT:
		if (ports)
			put16(l4 + 2, (uint16_t)(get16(l4 + 2) ^ 1));
		break;
	case LIE_OWN_PORT:
		if (ports)
			put16(l4, from_gateway ? 700 : (uint16_t)(get16(l4) ^ 1));
		else
			put16(l4 + 4, 700);
		break;
	case LIE_PEER_ADDR:
		quote[19] ^= 0x20;
		break;
	case LIE_PROTO:
		quote[9] = quote[9] == IPPROTO_NR_TCP ? IPPROTO_NR_UDP : IPPROTO_NR_TCP;
		break;
	case LIE_SHORT:
		*len = IPV4_HEADER_LEN + 4;
		break;
	default:
		break;
	}
}

static uint32_t emit_l4(const struct player *p, const struct step *st, uint16_t dport, uint8_t *l4)
{
	uint32_t info = st->info;
	uint32_t n;

	switch (st->proto) {
	case IPPROTO_NR_TCP:
		tcp_emit(l4, st->sport, dport, st->seq, st->ack, st->flags, st->window);
		memcpy(l4 + TCP_HEADER_LEN, st->options, st->n_options);
		n = TCP_HEADER_LEN + (uint32_t)st->n_options;
		l4[12] = (uint8_t)(n / 4 << 4);
		return n;
	case IPPROTO_NR_UDP:
		udp_emit(l4, st->sport, dport, st->payload_len);
		return UDP_HEADER_LEN;
	case IPPROTO_NR_ICMP:
		if (st->to_mapping && !st->quotes)
			info = (uint32_t)outside_port(p, st) << 16 | (info & 0xffff);
		icmp_emit(l4, st->type, st->code, info);
		return ICMP_HEADER_LEN;
	default:
		return 0;
	}
}

static bool build(struct player *p, const struct script *s, const struct step *st, struct ip_packet *out)
{
	const struct ip_packet *about = &p->last[st->flow][st->from];
	uint8_t *l4 = out->bytes + IPV4_HEADER_LEN;
	uint16_t dport = st->dport;
	struct ipv4_view ip = { .src = st->src,
				.dst = st->dst,
				.proto = st->proto,
				.ttl = st->ttl,
				.tos = st->tos,
				.df = st->df,
				.id = 1,
				.header_len = IPV4_HEADER_LEN };
	uint32_t n;

	if (st->quotes && about->len == 0)
		return false;
	if (st->to_mapping)
		dport = outside_port(p, st);
	n = IPV4_HEADER_LEN + emit_l4(p, st, dport, l4);
	if (st->quotes) {
		uint8_t *quote = out->bytes + n;
		uint32_t len = min_u32(about->len, IPV4_HEADER_LEN + (uint32_t)st->payload_len);

		memcpy(quote, about->bytes, len);
		ip.dst = get32(quote + 12);
		if (st->lie == LIE_RECEIVER)
			ip.dst = st->from == OUTSIDE ? s->flow[st->flow].addr[INSIDE] : ip.dst ^ 0x20;
		tell_lie(st->lie, quote, &len);
		n += len;
	} else {
		for (uint32_t i = 0; i < st->payload_len; i++)
			out->bytes[n++] = (uint8_t)(i * 7 + st->flow);
	}
	if (st->to_mapping && !st->quotes && outside_port(p, st) != NOBODYS_PORT)
		know(p, st, outside_port(p, st), st->src, has_ports(st->proto) ? st->sport : query_of(st->type));
	out->side = st->from;
	out->len = n;
	ip.total_len = (uint16_t)n;
	ipv4_emit(out->bytes, &ip);
	l4_checksum_set(&ip, l4, n - IPV4_HEADER_LEN);
	if (st->no_checksum)
		put16(l4 + 6, 0);
	else if (st->bad_checksum)
		l4[st->proto == IPPROTO_NR_TCP ? 16 : st->proto == IPPROTO_NR_UDP ? 6 : 2] ^= 0x55;
	return true;
}

/* --- what came of it --- */

static void check(const struct player *p, const struct ip_packet *q)
{
	struct ipv4_view ip;

	if (ipv4_parse(q->bytes, q->len, &ip) != IPV4_OK)
		dut_die("%s sent a packet that does not parse", p->dut->name);
	if (!ipv4_is_fragment(&ip) &&
	    (ip.proto == IPPROTO_NR_TCP || ip.proto == IPPROTO_NR_UDP || ip.proto == IPPROTO_NR_ICMP) &&
	    !l4_checksum_ok(&ip, q->bytes + ip.header_len, (size_t)ip.total_len - ip.header_len)) {
		player_print(p);
		dut_die("%s sent a wrong checksum", p->dut->name);
	}
}

static void note(struct seen *s, const char *word)
{
	size_t n = strlen(s->verdict);

	snprintf(s->verdict + n, sizeof(s->verdict) - n, "%s%s", n > 0 ? ", " : "", word);
}

static void note_answer(struct seen *s, const uint8_t *b)
{
	const uint8_t *l4 = b + IPV4_HEADER_LEN;
	char word[40];

	if (b[9] == IPPROTO_NR_TCP)
		snprintf(word, sizeof(word), "answer %s", l4[13] & TCP_RST ? "RST" : "TCP");
	else
		snprintf(word, sizeof(word), "answer ICMP %u/%u", l4[0], l4[1]);
	note(s, word);
}

static void look_at_packets(struct player *p, const struct step *st, struct seen *s)
{
	s->packets = p->got;
	s->passed = false;
	s->verdict[0] = 0;
	for (uint32_t i = 0; i < p->got.n; i++) {
		const struct ip_packet *q = &p->got.packet[i];
		struct ip_packet *to = &s->packets.packet[i];

		if (!st->bad_checksum)
			check(p, q);
		if (q->side != st->from) {
			if (q->side == OUTSIDE && !st->quotes)
				learn(p, st, q);
			if (!st->quotes)
				p->last[st->flow][q->side] = *q;
			s->passed = true;
			note(s, "pass");
		} else {
			note_answer(s, q->bytes);
			to->bytes[1] = 0;
			put16(to->bytes + 6, 0);
			to->bytes[8] = 0;
			/* The time of day. */
			if (q->bytes[9] == IPPROTO_NR_ICMP && q->bytes[IPV4_HEADER_LEN] == ICMP_TIMESTAMP_REPLY)
				to->len = min_u32(to->len, IPV4_HEADER_LEN + ICMP_HEADER_LEN);
		}
		rename_packet(p, to->bytes, to->len);
	}
	if (p->got.n == 0)
		note(s, "drop");
}

/* --- the table --- */

static void tuple_text(const struct player *p, const struct tuple *t, char *out, size_t cap)
{
	uint16_t sport = t->sport, dport = t->dport;
	char a[IP4_TEXT_MAX], b[IP4_TEXT_MAX];

	if (t->proto == IPPROTO_NR_ICMP) {
		if (t->src == WAN_ADDR || t->dst == WAN_ADDR)
			sport = rename_port(p, t->proto, sport, t->src == WAN_ADDR ? t->dst : t->src,
					    query_of((uint8_t)(t->dport >> 8)));
	} else if (t->src == WAN_ADDR) {
		sport = rename_port(p, t->proto, sport, t->dst, dport);
	} else if (t->dst == WAN_ADDR) {
		dport = rename_port(p, t->proto, dport, t->src, sport);
	}
	snprintf(a, sizeof(a), "%u.%u.%u.%u", t->src >> 24, t->src >> 16 & 255, t->src >> 8 & 255, t->src & 255);
	snprintf(b, sizeof(b), "%u.%u.%u.%u", t->dst >> 24, t->dst >> 16 & 255, t->dst >> 8 & 255, t->dst & 255);
	snprintf(out, cap, "%u %s:%u > %s:%u", t->proto, a, sport, b, dport);
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->key, ((const struct line *)b)->key);
}

static void look_at_table(struct player *p, struct seen *s)
{
	static struct entry e[ENTRIES_MAX];

	s->n_lines = p->dut->list(p->dut, e);
	for (uint32_t i = 0; i < s->n_lines; i++) {
		struct line *l = &s->line[i];
		/* All but TCP is assured by time, which differs. */
		uint32_t status = e[i].status & ~(e[i].tuple[0].proto != IPPROTO_NR_TCP ? ENTRY_ASSURED : 0u);

		memset(l, 0, sizeof(*l));
		tuple_text(p, &e[i].tuple[0], l->key, sizeof(l->key));
		tuple_text(p, &e[i].tuple[1], l->reply, sizeof(l->reply));
		snprintf(l->state, sizeof(l->state), "%s%s%s%s%s%s",
			 e[i].tuple[0].proto == IPPROTO_NR_TCP && e[i].tcp_state < N_CT_TCP_STATES
				 ? ct_tcp_state_names[e[i].tcp_state]
				 : "known",
			 status & ENTRY_SEEN_REPLY ? " replied" : "", status & ENTRY_ASSURED ? " assured" : "",
			 status & ENTRY_CONFIRMED ? "" : " unconfirmed", status & ENTRY_SNAT ? " snat" : "",
			 status & ENTRY_DNAT ? " dnat" : "");
	}
	qsort(s->line, s->n_lines, sizeof(s->line[0]), by_key);
}

const struct line *seen_flow(const struct seen *s, const struct flow *f)
{
	enum side client = f->kind == FLOW_TO_WAN ? OUTSIDE : INSIDE;
	struct player nobody = { 0 };
	struct line want;
	struct tuple t = { .src = f->addr[client],
			   .dst = f->addr[!client],
			   .sport = f->port[client],
			   .dport = f->port[!client],
			   .proto = f->proto };

	if (f->proto == IPPROTO_NR_ICMP)
		t.sport = f->port[INSIDE], t.dport = ICMP_ECHO_REQUEST << 8;
	else if (f->proto != IPPROTO_NR_TCP && f->proto != IPPROTO_NR_UDP)
		t.sport = t.dport = 0;
	tuple_text(&nobody, &t, want.key, sizeof(want.key));
	return bsearch(&want, s->line, s->n_lines, sizeof(s->line[0]), by_key);
}

bool player_step(struct player *p, const struct script *s, const struct step *st, struct seen *out)
{
	if (!build(p, s, st, &p->sent))
		return false;
	p->dut->inject(p->dut, &p->sent, &p->got);
	look_at_packets(p, st, out);
	look_at_table(p, out);
	return true;
}

static void print_packet(const char *name, const struct ip_packet *q)
{
	fprintf(stderr, "    %s %s, %u bytes:", name, q->side == INSIDE ? "inside" : "outside", q->len);
	for (uint32_t i = 0; i < q->len && i < 96; i++)
		fprintf(stderr, "%s%02x", i % 4 == 0 ? " " : "", q->bytes[i]);
	fprintf(stderr, "\n");
}

void player_print(const struct player *p)
{
	fprintf(stderr, "  %s%s%s\n", p->dut->name, p->dut->reason != NULL ? ", dropped: " : "",
		p->dut->reason != NULL ? p->dut->reason : "");
	print_packet("sent", &p->sent);
	for (uint32_t i = 0; i < p->got.n; i++)
		print_packet("received", &p->got.packet[i]);
}
