/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The flow cache against the slow path (duel.h), on flows of the gateway's own host: hosts on
 * both sides talk to it, it talks to them and to itself, among flows that go through.
 *
 * Who answers needs no memory: an answer follows from what it answers. The first byte of a
 * payload says how many more are to come. What each end knows of a flow (struct line) it
 * has from the last packet that it was shown, so that it can go on by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "duel.h"
#include "base/ip4.h"
#include "stack/ip/local.h"
#include "stack/wire/checksum.h"
#include "stack/wire/icmp.h"

#define LAN IP4(10, 77, 0, 1)
#define WAN IP4(203, 0, 113, 1)
#define FAR IP4(198, 51, 100, 0) /* behind the default route */

/* Ports of clients say whose they are. */
#define OF_WIRE 20000
#define OF_HOST 30000
#define OF_SELF 40000
#define N_CLIENTS 24u
#define NOBODY 9 /* nobody is there */
#define SERVER_PORT 7

struct segment {
	uint32_t src, dst, seq, ack;
	uint16_t sport, dport, len, gso;
	uint8_t proto, flags, countdown;
	bool df;
};

struct line {
	uint32_t own, peer, seq, ack;
	uint16_t own_port, peer_port;
	uint8_t proto;
	bool open;
};

enum role { SERVER, CLIENT, N_ROLES };

/* One end's: by the client's port. */
struct lines {
	struct line at[N_ROLES][65536];
};

struct app {
	struct gateway *gw;
	struct lines lines;
	uint64_t order[65536]; /* by the client's port: what came, in order */
	uint64_t n_came, n_self;
	struct segment answers[BATCH_MAX];
	uint32_t n_answers;
};

struct player {
	struct app app[N_WAYS];
	struct lines wire;
	uint16_t served[32]; /* clients that the wire's servers have seen last */
	uint32_t n_served;
	uint64_t n_hooked[N_WAYS][N_HOOKS]; /* packets that conntrack's hook there has seen, by then */
	uint32_t n_waiting[N_FLOWS_SIDES];
	struct flows_frame waiting[N_FLOWS_SIDES][BATCH_MAX];
};

static struct player player;

/* --- what both ends do --- */

static bool is_client(uint16_t port)
{
	return port >= OF_WIRE;
}

/* From a packet that was received. */
static struct line *learn(struct lines *lines, const struct ipv4_view *ip, const struct l4_view *l4)
{
	bool client = !is_client(l4->sport);
	struct line *l = &lines->at[client ? CLIENT : SERVER][client ? l4->dport : l4->sport];

	*l = (struct line){ .own = ip->dst,
			    .peer = ip->src,
			    .own_port = l4->dport,
			    .peer_port = l4->sport,
			    .proto = ip->proto,
			    .open = l4->kind != L4_TCP || (l4->flags & (TCP_RST | TCP_FIN)) == 0 };
	if (l4->kind == L4_TCP) {
		l->seq = l4->ack;
		l->ack = l4->seq + l4->payload_len + ((l4->flags & (TCP_SYN | TCP_FIN)) != 0);
	}
	return l;
}

static struct segment on_line(const struct line *l, uint16_t len, uint8_t countdown)
{
	return (struct segment){ .src = l->own,
				 .dst = l->peer,
				 .sport = l->own_port,
				 .dport = l->peer_port,
				 .seq = l->seq,
				 .ack = l->ack,
				 .flags = TCP_ACK | TCP_PSH,
				 .proto = l->proto,
				 .len = len,
				 .countdown = countdown };
}

/* What l answers to the packet that it was learnt from; payload: NULL when there is none. */
static bool answer(const struct line *l, const struct l4_view *l4, const uint8_t *payload, struct segment *out)
{
	uint8_t countdown = payload != NULL ? payload[0] : 0;
	uint16_t len = (uint16_t)(1 + (l4->sport * 7u + countdown * 131u) % (countdown == 3 ? 1440 : 300));

	*out = on_line(l, len, countdown > 0 ? (uint8_t)(countdown - 1) : 0);
	out->df = countdown % 2 != 0;
	if (l4->kind == L4_UDP)
		return countdown > 0;
	if (l4->kind != L4_TCP || (l4->flags & TCP_RST))
		return false;
	if ((l4->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
		out->seq = l4->seq ^ 0x5a5a5a5a;
		out->flags = TCP_SYN | TCP_ACK;
		out->len = 0;
		return true;
	}
	if (l4->flags & TCP_SYN) {
		out->countdown = 2;
		return true;
	}
	if (l4->flags & TCP_FIN)
		out->flags = countdown > 0 ? TCP_FIN | TCP_ACK : TCP_ACK;
	if (countdown == 0)
		out->len = 0;
	return payload != NULL;
}

/* Header and payload, with its checksum or that of the pseudo-header alone; returns the length. */
static uint32_t emit(const struct segment *g, uint8_t *l4, bool partial)
{
	uint32_t header = g->proto == IPPROTO_NR_TCP ? TCP_HEADER_LEN : UDP_HEADER_LEN;
	struct ipv4_view ip = { .src = g->src, .dst = g->dst, .proto = g->proto, .header_len = IPV4_HEADER_LEN };

	if (g->proto == IPPROTO_NR_TCP)
		tcp_emit(l4, g->sport, g->dport, g->seq, g->flags == TCP_SYN ? 0 : g->ack, g->flags, 60000);
	else
		udp_emit(l4, g->sport, g->dport, g->len);
	for (uint32_t i = 0; i < g->len; i++)
		l4[header + i] = i == 0 ? g->countdown : (uint8_t)(g->seq + i);
	ip.total_len = (uint16_t)(IPV4_HEADER_LEN + header + g->len);
	l4_checksum_set(&ip, l4, header + g->len);
	if (partial) {
		uint16_t sum = checksum_fold(checksum_pseudo(g->src, g->dst, g->proto, header + g->len));
		uint8_t *at = l4 + (g->proto == IPPROTO_NR_TCP ? TCP_CHECK_AT : UDP_CHECK_AT);

		at[0] = (uint8_t)(sum >> 8);
		at[1] = (uint8_t)sum;
	}
	return header + g->len;
}

/* --- the host --- */

static void host_add(struct app *a, const struct segment *g, struct batch *b)
{
	uint32_t header = g->proto == IPPROTO_NR_TCP ? TCP_HEADER_LEN : UDP_HEADER_LEN;
	struct packet *p = ip_packet_new(gateway_ip(a->gw), g->src, g->dst, g->proto, header + g->len);

	assert_non_null(p);
	p->ip.df = g->df;
	/* One that was drawn depends on who came before. */
	p->ip.id = (uint16_t)(g->seq * 31 + g->sport * 7u + g->countdown * 1000u + g->len);
	ip_packet_finish(p);
	(void)emit(g, packet_l4(p), g->gso != 0 && g->src != 0);
	if (g->gso != 0 && g->src != 0)
		p->offload = (struct offload){ .csum_partial = true,
					       .csum_start = p->l4_off,
					       .csum_offset = TCP_CHECK_AT,
					       .gso_type = GSO_TCP4,
					       .gso_size = g->gso,
					       .gso_hdr_len = (uint16_t)(p->l4_off + TCP_HEADER_LEN) };
	assert_int_equal(l4_parse(&p->ip, packet_l4(p), packet_l4_len(p), &p->l4), L4_OK);
	batch_add(b, p);
}

static void host_input(void *ctx, struct batch *b)
{
	struct app *a = ctx;
	struct batch to_self = { .n = 0 };

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];
		const uint8_t *payload = p->l4.payload_len > 0 ? packet_l4(p) + p->l4.header_len : NULL;
		uint16_t client = is_client(p->l4.sport) ? p->l4.sport : p->l4.dport;
		uint64_t *order = &a->order[client];
		struct segment g;

		if (p->l4.dport == NOBODY)
			continue;
		assert_int_equal(p->ip.total_len + ETHER_HEADER_LEN, p->len);
		p->verdict = VERDICT_DELIVERED;
		a->n_came++;
		a->n_self += p->in_ifindex == 0;
		*order = *order * 31 + p->l4.seq + p->l4.payload_len * 7u + p->in_ifindex + p->ip.src;
		*order = *order * 31 + p->l4.dport + p->zone + (payload != NULL ? payload[0] : 0u);
		if (!answer(learn(&a->lines, &p->ip, &p->l4), &p->l4, payload, &g))
			continue;
		if (p->in_ifindex == 0)
			host_add(a, &g, &to_self);
		else if (a->n_answers < BATCH_MAX)
			a->answers[a->n_answers++] = g;
	}
	if (to_self.n > 0)
		ip_local_out(gateway_ip(a->gw), &to_self);
}

static int by_client(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;

	return x->dport != y->dport ? (x->dport > y->dport) - (x->dport < y->dport)
				    : (x->sport > y->sport) - (x->sport < y->sport);
}

/* What it has to answer to others, once all of a batch has come: at once, one might come before the flow's next packet
 * here and behind it there. Those of different flows have come in any order. */
static void host_answers(struct duel *d)
{
	for (int k = 0; k < N_WAYS; k++) {
		struct app *a = &player.app[k];
		struct batch b = { .n = 0 };

		for (uint32_t i = 1; i < a->n_answers; i++) /* it keeps the order within a flow */
			for (uint32_t j = i; j > 0 && by_client(&a->answers[j - 1], &a->answers[j]) > 0; j--) {
				struct segment g = a->answers[j];

				a->answers[j] = a->answers[j - 1];
				a->answers[j - 1] = g;
			}
		for (uint32_t i = 0; i < a->n_answers; i++)
			host_add(a, &a->answers[i], &b);
		a->n_answers = 0;
		gateway_set_time(a->gw, d->now);
		ip_local_out(gateway_ip(a->gw), &b);
		gateway_flush(a->gw, d->now);
	}
	duel_compare(d);
}

static uint32_t one_of(struct duel *d, uint32_t n)
{
	return rng_below(&d->rng, n);
}

/* A flow of the host's own begins, or goes on. */
static void plan_segment(struct duel *d, struct segment *g, enum role *role, uint16_t *client)
{
	static const uint32_t to_self[] = { LAN, WAN, IP4(127, 0, 0, 1), WAN };
	bool self = one_of(d, 3) == 0;
	uint32_t k = one_of(d, N_CLIENTS);

	*client = (uint16_t)((self ? OF_SELF : OF_HOST) + k);
	*role = CLIENT;
	*g = (struct segment){ .proto = k % 2 ? IPPROTO_NR_TCP : IPPROTO_NR_UDP, .flags = TCP_SYN, .sport = *client };
	g->dport = self && k % 7 == 3 ? NOBODY : SERVER_PORT;
	g->seq = one_of(d, 65536);
	g->dst = self         ? to_self[k % 4]
		 : k % 3 == 0 ? FAR + k
		 : k % 3 == 1 ? IP4(203, 0, 113, 2) + k % 12
			      : IP4(10, 77, 0, 2) + k % 12;
	g->src = self ? LAN : 0;
	g->len = g->proto == IPPROTO_NR_TCP ? 0 : (uint16_t)(1 + one_of(d, 1400));
	g->countdown = (uint8_t)one_of(d, 5);
	g->df = one_of(d, 2) == 0;
	if (one_of(d, 3) == 0) {
		*role = SERVER;
		*client = (uint16_t)((self ? OF_SELF : OF_WIRE) + k);
	}
}

/* By the line as it is at this way's host; else as planned. */
static bool go_on(struct app *a, enum role role, uint16_t client, struct segment *g)
{
	struct line *l = &a->lines.at[role][client];

	if (!l->open)
		return role == CLIENT;
	struct segment now = on_line(l, g->len != 0 ? g->len : 700, g->countdown);

	now.df = g->df;
	if (l->proto == IPPROTO_NR_TCP && g->countdown == 4) {
		now.len = 4000;
		now.gso = 1200;
	} else if (l->proto == IPPROTO_NR_TCP && g->len == 1 + 77) {
		now.flags = TCP_FIN | TCP_ACK;
		l->open = false;
	}
	l->seq += now.len;
	*g = now;
	return true;
}

static void host_sends(struct duel *d)
{
	uint32_t n = 1 + one_of(d, 12);
	struct batch b[N_WAYS] = { { .n = 0 }, { .n = 0 } };

	for (uint32_t i = 0; i < n; i++) {
		struct segment plan;
		enum role role;
		uint16_t client;

		plan_segment(d, &plan, &role, &client);
		for (int k = 0; k < N_WAYS; k++) {
			struct segment g = plan;

			if (go_on(&player.app[k], role, client, &g))
				host_add(&player.app[k], &g, &b[k]);
		}
	}
	assert_int_equal(b[FULL].n, b[SHORT].n);
	for (uint32_t i = 0; i < b[FULL].n; i++) {
		struct packet *p = b[FULL].p[i], *q = b[SHORT].p[i];

		assert_int_equal(p->len, q->len);
		assert_memory_equal(packet_frame(p), packet_frame(q), p->len);
	}
	for (int k = 0; k < N_WAYS; k++) {
		gateway_set_time(d->way[k].gw, d->now);
		ip_local_out(gateway_ip(d->way[k].gw), &b[k]);
		gateway_flush(d->way[k].gw, d->now);
	}
	d->n_packets += n;
	duel_compare(d);
}

/* --- the others --- */

static void wire_frame(struct duel *d, int side, const struct segment *g, struct flows_frame *out)
{
	struct ether_view eth = { .dst = d->flows.gateway_mac[side],
				  .src = d->flows.mac[side][g->src & 15],
				  .type = ETHERTYPE_IPV4 };
	uint8_t *l4 = out->bytes + ETHER_HEADER_LEN + IPV4_HEADER_LEN;
	struct ipv4_view ip = { .src = g->src,
				.dst = g->dst,
				.proto = g->proto,
				.ttl = (uint8_t)(one_of(d, 50) == 0 ? 1 : 60),
				.df = g->df,
				.id = (uint16_t)one_of(d, 65536),
				.header_len = IPV4_HEADER_LEN };

	ip.total_len = (uint16_t)(IPV4_HEADER_LEN + emit(g, l4, false));
	ether_emit(out->bytes, &eth);
	ipv4_emit(out->bytes + ETHER_HEADER_LEN, &ip);
	out->len = ETHER_HEADER_LEN + ip.total_len;
	out->offload = (struct offload){ .csum_valid = one_of(d, 3) == 0 };
	switch (one_of(d, 40)) {
	case 0: /* a wrong checksum */
		l4[g->proto == IPPROTO_NR_TCP ? 17 : 7] ^= 0x5a;
		break;
	case 1: /* none */
		if (g->proto == IPPROTO_NR_UDP)
			l4[6] = l4[7] = 0;
		break;
	case 2: /* padding */
		memset(out->bytes + out->len, 0xee, 9);
		out->len += 9;
		break;
	default:
		break;
	}
}

/* What the gateway without the flow cache sends: the same as the other one. */
static void seen(struct duel *d, int side, const uint8_t *frame, uint32_t len)
{
	const uint8_t *l3 = frame + ETHER_HEADER_LEN;
	struct ipv4_view ip;
	struct l4_view l4;
	struct segment g;

	if (len < ETHER_HEADER_LEN || ipv4_parse(l3, len - ETHER_HEADER_LEN, &ip) != IPV4_OK || ipv4_is_fragment(&ip) ||
	    (ip.proto != IPPROTO_NR_TCP && ip.proto != IPPROTO_NR_UDP) || (ip.src != LAN && ip.src != WAN) ||
	    l4_parse(&ip, l3 + ip.header_len, (size_t)ip.total_len - ip.header_len, &l4) != L4_OK)
		return;
	bool to_client = l4.dport >= OF_WIRE && l4.dport < OF_WIRE + N_CLIENTS;
	struct line *l;

	if (!to_client && l4.dport != SERVER_PORT)
		return;
	/* Behind NAT a client may have any port. */
	if (!to_client)
		player.served[player.n_served++ % ARRAY_LEN(player.served)] = l4.sport;
	l = &player.wire.at[to_client ? CLIENT : SERVER][to_client ? l4.dport : l4.sport];
	*l = *learn(&player.wire, &ip, &l4);
	if (player.n_waiting[side] < BATCH_MAX / 2 &&
	    answer(l, &l4, l4.payload_len > 0 ? l3 + ip.header_len + l4.header_len : NULL, &g))
		wire_frame(d, side, &g, &player.waiting[side][player.n_waiting[side]++]);
}

static int side_of(uint32_t addr)
{
	return addr >> 24 == 10 ? FLOWS_IN : FLOWS_OUT;
}

static void wire_new(struct duel *d, int side, uint32_t k, struct segment *g)
{
	static const uint16_t ports[] = { SERVER_PORT, 53, 80, 5353, 8080, NOBODY };

	*g = (struct segment){ .proto = k % 2 ? IPPROTO_NR_TCP : IPPROTO_NR_UDP,
			       .src = (side == FLOWS_IN ? IP4(10, 77, 0, 2) : IP4(203, 0, 113, 2)) + k % 12,
			       .dst = side == FLOWS_IN && k % 3 == 0 ? LAN : WAN,
			       .sport = (uint16_t)(OF_WIRE + k),
			       .dport = ports[k / 4 % ARRAY_LEN(ports)],
			       .seq = one_of(d, 1 << 20),
			       .flags = TCP_SYN,
			       .countdown = (uint8_t)one_of(d, 4) };
	g->len = g->proto == IPPROTO_NR_TCP ? 0 : (uint16_t)(1 + one_of(d, 500));
}

static void wire_next(struct duel *d, int side, struct flows_frame *out)
{
	uint32_t k = one_of(d, N_CLIENTS / 4) * 4 + (uint32_t)side * 2 + one_of(d, 2);
	bool serve = one_of(d, 3) == 0;
	struct line *l = serve ? &player.wire.at[SERVER][player.served[one_of(d, ARRAY_LEN(player.served))]]
			       : &player.wire.at[CLIENT][OF_WIRE + k];
	struct segment g;

	if (!l->open || side_of(l->own) != side || (!serve && one_of(d, 60) == 0)) {
		wire_new(d, side, k, &g);
	} else {
		g = on_line(l, (uint16_t)(one_of(d, 9) == 0 ? 1300 : 1 + one_of(d, 400)), (uint8_t)one_of(d, 4));
		if (one_of(d, 80) == 0) {
			g.flags = one_of(d, 4) == 0 ? TCP_RST | TCP_ACK : TCP_FIN | TCP_ACK;
			l->open = false;
		}
		l->seq += g.len;
	}
	wire_frame(d, side, &g, out);
}

/* The datagram in two pieces, the second behind the first. */
static void cut(struct flows_frame *first, struct flows_frame *second)
{
	uint8_t *l3 = first->bytes + ETHER_HEADER_LEN;
	uint32_t at = 64; /* bytes of the payload of IP in the first */
	struct ipv4_view ip, rest;

	assert_int_equal(ipv4_parse(l3, first->len - ETHER_HEADER_LEN, &ip), IPV4_OK);
	rest = ip;
	ip.df = rest.df = false;
	ip.mf = true;
	rest.frag_off = (uint16_t)at;
	rest.total_len = (uint16_t)(ip.total_len - at);
	ip.total_len = (uint16_t)(IPV4_HEADER_LEN + at);
	memcpy(second->bytes, first->bytes, ETHER_HEADER_LEN);
	memcpy(second->bytes + ETHER_HEADER_LEN + IPV4_HEADER_LEN, l3 + IPV4_HEADER_LEN + at,
	       rest.total_len - IPV4_HEADER_LEN);
	ipv4_emit(second->bytes + ETHER_HEADER_LEN, &rest);
	ipv4_emit(l3, &ip);
	first->len = ETHER_HEADER_LEN + ip.total_len;
	second->len = ETHER_HEADER_LEN + (uint32_t)rest.total_len;
	first->offload = second->offload = (struct offload){ 0 };
}

static bool is_cut(struct duel *d, const struct flows_frame *f)
{
	return f->bytes[ETHER_HEADER_LEN + 9] == IPPROTO_NR_UDP && f->len > 200 && one_of(d, 6) == 0;
}

static void wire_ping(struct duel *d, int side, struct flows_frame *out)
{
	struct segment g = { .src = side == FLOWS_IN ? IP4(10, 77, 0, 5) : IP4(203, 0, 113, 5),
			     .dst = side == FLOWS_IN ? LAN : WAN,
			     .proto = IPPROTO_NR_UDP,
			     .len = 40 };
	uint8_t *l3 = out->bytes + ETHER_HEADER_LEN, *l4 = l3 + IPV4_HEADER_LEN;
	struct ipv4_view ip;

	wire_frame(d, side, &g, out);
	out->len = ETHER_HEADER_LEN + IPV4_HEADER_LEN + UDP_HEADER_LEN + 40;
	out->offload.csum_valid = false;
	assert_int_equal(ipv4_parse(l3, out->len - ETHER_HEADER_LEN, &ip), IPV4_OK);
	ip.proto = IPPROTO_NR_ICMP;
	ipv4_emit(l3, &ip);
	icmp_emit(l4, ICMP_ECHO_REQUEST, 0, (OF_WIRE + one_of(d, 3)) << 16 | one_of(d, 1000));
	l4_checksum_set(&ip, l4, UDP_HEADER_LEN + 40);
}

static void wire_sends(struct duel *d)
{
	static struct flows_frame frame[BATCH_MAX];
	int side = (int)one_of(d, N_FLOWS_SIDES);
	uint32_t n = player.n_waiting[side];

	for (uint32_t i = 0; i < n; i++)
		frame[i] = player.waiting[side][i];
	player.n_waiting[side] = 0;
	for (uint32_t more = one_of(d, 20); more > 0 && n < BATCH_MAX; more--) {
		if (one_of(d, 8) == 0)
			wire_ping(d, side, &frame[n++]);
		else
			wire_next(d, side, &frame[n++]);
		if (n < BATCH_MAX && is_cut(d, &frame[n - 1])) {
			cut(&frame[n - 1], &frame[n]);
			n++;
		}
	}
	if (n > 0)
		duel_input(d, side, frame, n);
	host_answers(d);
}

/* --- the duel --- */

/* For the hooks to count. */
static uint64_t no_clock(void)
{
	return 0;
}

static void started(struct duel *d)
{
	memset(&player, 0, sizeof(player));
	for (int k = 0; k < N_WAYS; k++) {
		struct app *a = &player.app[k];
		struct ip_protocol row = { .ctx = a, .input = host_input };

		a->gw = d->way[k].gw;
		gateway_env(a->gw)->stages.clock = no_clock;
		row.unreachable = IP_UNREACHABLE_PORT;
		ip_stack_set_protocol(gateway_ip(a->gw), IPPROTO_NR_UDP, &row);
		row.unreachable = IP_UNREACHABLE_RESET;
		ip_stack_set_protocol(gateway_ip(a->gw), IPPROTO_NR_TCP, &row);
	}
}

static void count_hooked(struct gateway *gw, uint64_t n[N_HOOKS])
{
	for (enum ip_hook hook = 0; hook < N_HOOKS; hook++) {
		const struct hook_list *list = ip_stack_hooks(gateway_ip(gw), hook);

		for (uint32_t i = 0; i < list->n; i++)
			if (list->entry[i].priority == HOOK_PRI_CONFIRM ||
			    list->entry[i].priority == HOOK_PRI_CONNTRACK)
				n[hook] = list->entry[i].stats.n_packets;
	}
}

static void step(struct duel *d)
{
	const struct app *a = &player.app[FULL], *b = &player.app[SHORT];

	for (uint32_t i = one_of(d, 6); i > 0; i--) {
		if (one_of(d, 2) == 0)
			wire_sends(d);
		else
			host_sends(d);
	}
	assert_int_equal(a->n_came, b->n_came);
	assert_int_equal(a->n_self, b->n_self);
	assert_memory_equal(a->order, b->order, sizeof(a->order));
	for (int k = 0; k < N_WAYS; k++)
		count_hooked(d->way[k].gw, player.n_hooked[k]);
}

/* How many ICMP errors are sent is left to chance, which has come to another packet where flows change places: so all.
 */
#define INTERFACES \
	"icmp { rate 1000000; rate per destination 1000000; rate path mtu 1000000; }\n" \
	"interface lan0 { address 10.77.0.1/24; }\n" \
	"interface wan0 { address 203.0.113.1/24; mtu 1400; }\n" \
	"route 0.0.0.0/0 via 203.0.113.254;\n"

static const char translating[] =
	INTERFACES "table ip nat { chain pre { type nat hook prerouting priority dstnat; policy accept;\n"
		   "  ip daddr 203.0.113.1 udp dport 5353 dnat to 203.0.113.1:53\n"
		   "  ip daddr 203.0.113.1 tcp dport 8080 dnat to 10.77.0.1:80 }\n"
		   " chain out { type nat hook output priority dstnat; policy accept;\n"
		   "  ip daddr 198.51.100.6 counter dnat to 203.0.113.4 }\n"
		   " chain post { type nat hook postrouting priority srcnat; policy accept;\n"
		   "  oifname \"wan0\" counter masquerade } }\n"
		   "table ip filter { chain in { type filter hook input priority 0; policy accept;\n"
		   "  counter\n"
		   "  ct state established counter\n"
		   "  udp sport 20004 limit rate 100/second counter\n"
		   "  udp sport 20008 ct mark set 5\n"
		   "  udp sport 20012 counter drop\n"
		   "  ct direction reply counter\n"
		   "  tcp dport 80 counter }\n"
		   " chain out { type filter hook output priority 0; policy accept;\n"
		   "  counter\n"
		   "  oifname \"wan0\" ct state established counter\n"
		   "  udp dport 20008 ct mark set 6\n"
		   "  udp dport 20016 meta length > 200 counter\n"
		   "  ip daddr 127.0.0.1 counter }\n"
		   " chain f { type filter hook forward priority 0; policy accept;\n"
		   "  ct state established counter accept } }\n"
		   "table ip early { chain p { type filter hook prerouting priority raw; policy accept;\n"
		   "  counter\n"
		   "  udp sport 20020 notrack }\n"
		   " chain o { type filter hook output priority raw; policy accept;\n"
		   "  counter } }\n";

static const char filtering[] =
	INTERFACES "table ip filter { chain in { type filter hook input priority 0; policy drop;\n"
		   "  tcp dport 7 ct state established counter accept\n"
		   "  udp sport 20000-20031 counter accept\n"
		   "  ct state established,related accept\n"
		   "  tcp dport != 80 counter accept } }\n";

static const char bare[] = INTERFACES;

static void duel(struct duel_case c)
{
	c.started = started;
	c.step = step;
	c.seen = seen;
	duel_run(&c);
	print_message("%llu to the host, %llu of them from itself\n", (unsigned long long)player.app[SHORT].n_came,
		      (unsigned long long)player.app[SHORT].n_self);
	assert_true(player.app[SHORT].n_came > 1000 && player.app[SHORT].n_self > 1000);
	/* Large datagrams go the slow way to a device that does not cut them, and changes of rules end entries: some
	 * 40%. */
	assert_true(player.n_hooked[SHORT][HOOK_INPUT] * 3 < player.n_hooked[FULL][HOOK_INPUT] * 2);
	assert_true(player.n_hooked[SHORT][HOOK_OUTPUT] * 3 < player.n_hooked[FULL][HOOK_OUTPUT] * 2);
	print_message("INPUT: %llu of %llu, OUTPUT: %llu of %llu\n",
		      (unsigned long long)player.n_hooked[SHORT][HOOK_INPUT],
		      (unsigned long long)player.n_hooked[FULL][HOOK_INPUT],
		      (unsigned long long)player.n_hooked[SHORT][HOOK_OUTPUT],
		      (unsigned long long)player.n_hooked[FULL][HOOK_OUTPUT]);
}

/* Would catch: an entry of a local flow that keeps a connection's window, counter or time otherwise than the slow path,
 * or a rule's counter, rewrites another byte, sends what is too large, delivers what is damaged, twice, or before what
 * came first. */
static void test_translating(void **state)
{
	duel((struct duel_case){ "host, translating", { translating, translating }, { DEVICE_CAP_ALL, 0 }, false, 35 });
}

/* Would catch: an entry of a local flow that outlives the rules under which it was installed. */
static void test_reloads(void **state)
{
	duel((struct duel_case){ "host, reloads", { translating, filtering }, { 0, DEVICE_CAP_ALL }, false, 30 });
}

/* Would catch: what hangs on a chain's being there, and an entry that outlives the last of them. */
static void test_without_rules(void **state)
{
	duel((struct duel_case){ "host, without rules", { bare, filtering }, { 0, 0 }, false, 30 });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_translating),
		cmocka_unit_test(test_reloads),
		cmocka_unit_test(test_without_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
