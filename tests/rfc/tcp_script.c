/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A scripted TCP: the numbers of RFC 9293 section 3.4, and nothing else. What
 * arrives is compared to what an end that has heard everything so far expects.
 */
#include "tcp_script.h"

#define FIRST_NUMBER 0xffffff00u /* numbers wrap early in every script */

struct tcp_speaker tcp_end_at(struct rfc *t, uint32_t addr, uint16_t port, struct rfc_end peer)
{
	bool inside = addr >> 16 == RFC_HOST1 >> 16;

	return (struct tcp_speaker){
		.t = t,
		.at = inside ? t->lan : t->wan,
		.own = { addr, port },
		.peer = peer,
		.snd_nxt = FIRST_NUMBER + (inside ? 0 : 1000000) + port,
	};
}

void tcp_send_at(struct tcp_speaker *e, uint32_t seq, uint8_t flags, uint16_t len)
{
	struct packet_spec s = {
		.src = e->own.addr,
		.dst = e->peer.addr,
		.proto = IPPROTO_NR_TCP,
		.sport = e->own.port,
		.dport = e->peer.port,
		.df = true,
		.seq = seq,
		.ack = flags & TCP_ACK ? e->rcv_nxt : 0,
		.flags = flags,
		.payload_len = len,
	};

	assert_int_not_equal(e->peer.addr, 0);
	rfc_send(e->t, e->at, &s);
}

void tcp_put(struct tcp_speaker *e, uint8_t flags, uint16_t len)
{
	tcp_send_at(e, e->snd_nxt, flags, len);
	e->snd_nxt += len + !!(flags & TCP_SYN) + !!(flags & TCP_FIN);
}

void tcp_hear(struct tcp_speaker *e, uint8_t flags, uint16_t len)
{
	const struct packet *p = rfc_next(e->t, e->at);

	if (p == NULL)
		fail_msg("a segment with flags 0x%02x did not arrive", flags);
	assert_int_equal(p->l4.kind, L4_TCP);
	struct rfc_end from = { p->ip.src, p->l4.sport }, to = { p->ip.dst, p->l4.dport };
	if (e->peer.addr == 0)
		e->peer = from;
	rfc_same_end(from, e->peer, "a segment from somebody else");
	rfc_same_end(to, e->own, "a segment to somebody else");
	assert_int_equal(p->l4.flags, flags);
	assert_int_equal(p->l4.payload_len, len);
	if (e->heard && p->l4.seq != e->rcv_nxt)
		fail_msg("sequence number %u instead of %u", p->l4.seq, e->rcv_nxt);
	if ((flags & TCP_ACK) && p->l4.ack != e->snd_nxt)
		fail_msg("acknowledges %u instead of %u", p->l4.ack, e->snd_nxt);
	e->heard = true;
	e->rcv_nxt = p->l4.seq + len + !!(flags & TCP_SYN) + !!(flags & TCP_FIN);
}

void tcp_pass(struct tcp_speaker *from, struct tcp_speaker *to, uint8_t flags, uint16_t len)
{
	tcp_put(from, flags, len);
	tcp_hear(to, flags, len);
}

void tcp_lose(struct tcp_speaker *from, struct tcp_speaker *to, uint8_t flags, uint16_t len)
{
	tcp_send_at(from, from->snd_nxt, flags, len);
	if (rfc_next(to->t, to->at) != NULL)
		fail_msg("a segment with flags 0x%02x arrived and should not", flags);
}

void tcp_handshake(struct tcp_speaker *client, struct tcp_speaker *server)
{
	tcp_pass(client, server, TCP_SYN, 0);
	tcp_pass(server, client, TCP_SYN | TCP_ACK, 0);
	tcp_pass(client, server, TCP_ACK, 0);
}

void tcp_talk(struct tcp_speaker *a, struct tcp_speaker *b)
{
	tcp_pass(a, b, TCP_ACK | TCP_PSH, 100);
	tcp_pass(b, a, TCP_ACK, 0);
	tcp_pass(b, a, TCP_ACK | TCP_PSH, 200);
	tcp_pass(a, b, TCP_ACK, 0);
}

void tcp_finish(struct tcp_speaker *a, struct tcp_speaker *b)
{
	tcp_pass(a, b, TCP_FIN | TCP_ACK, 0);
	tcp_pass(b, a, TCP_ACK, 0);
}

struct tcp_pair tcp_pair_at(struct rfc *t)
{
	static const struct rfc_end server = { RFC_PEER1, 5000 };

	return (struct tcp_pair){
		.client = tcp_end_at(t, RFC_HOST1, 4000, server),
		.server = tcp_end_at(t, server.addr, server.port, (struct rfc_end){ 0, 0 }),
	};
}

struct tcp_pair tcp_pair_open(struct rfc *t, const struct rfc_setup *s)
{
	rfc_start(t, s);
	struct tcp_pair c = tcp_pair_at(t);

	tcp_handshake(&c.client, &c.server);
	return c;
}

struct rfc_end tcp_start_server(struct rfc *t, uint8_t proto, uint16_t inside)
{
	static const struct rfc_setup published = {
		.prerouting = "ip daddr 203.0.113.16 tcp dport 8080 dnat to 10.78.0.2:80\n"
			      "ip daddr 203.0.113.16 udp dport 8080 dnat to 10.78.0.2:80",
		.postrouting = "snat to pool public",
	};

	if (t->mode == RFC_APDM) {
		rfc_start(t, &published);
		assert_int_equal(inside, 80);
		return (struct rfc_end){ RFC_POOL_FIRST, 8080 };
	}
	rfc_start(t, &(struct rfc_setup){ .pool_options = "filtering endpoint-independent;" });
	return rfc_out(t, proto, RFC_HOST2, inside, RFC_PEER1, 9);
}

void tcp_quiet(struct rfc *t)
{
	if (rfc_next(t, t->lan) != NULL || rfc_next(t, t->wan) != NULL)
		fail_msg("something arrived that nobody expected");
}
