/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ICMP messages to us (RFC 792, RFC 1122 section 3.2.2, RFC 1812 section 4.3.3).
 *
 *   echo request       answered, from the address that was asked, with the same
 *                      data and type of service; not when it was broadcast
 *                      (RFC 1122 section 3.2.2.6 allows the silence)
 *   timestamp request  answered likewise (section 3.2.2.8)
 *   replies            to the row of ICMP, whose requests they may answer
 *   errors             to the row of the protocol that they quote (section 3.2.2),
 *                      if we can have sent what they quote
 *   all else           ignored: redirects (a router that obeys them can be led
 *                      astray), address mask and information requests (RFC 6633
 *                      and 6918 buried source quench and those), and what nobody knows
 *
 * Anybody can send an error, and what believes it ends a connection or sends
 * smaller packets from then on. So an error goes on only to the source of what it quotes,
 * about a packet to one host, and "fragmentation needed" only if that packet was
 * too big for the MTU that it names and forbade to be cut (RFC 1122 section
 * 4.2.3.9, RFC 5927 sections 4 and 7). That it was sent, the protocol knows alone.
 *
 * The answer is a packet of its own: the request is delivered, the answer
 * originated. Options of the request that record the way are answered in kind
 * (RFC 1122 section 3.2.2.6): its IP header, with us written in, serves for the reply.
 *
 * Next: src/stack/ip/output.c
 */
#include <string.h>

#include "base/be.h"
#include "stack/ip/stack_priv.h"

/* RFC 792: behind the ICMP header, milliseconds since midnight UT. */
struct icmp_timestamps {
	be32 originate, receive, transmit;
};
_Static_assert(sizeof(struct icmp_timestamps) == 12, "RFC 792");

/* A packet to p's sender with room for p's own length, without ICMP checksum.
 * NULL without a buffer. */
static struct packet *answer_new(struct ip_stack *s, struct packet *p, uint32_t l4_len)
{
	struct packet *q = ip_packet_new(s, p->ip.dst, p->ip.src, IPPROTO_NR_ICMP, l4_len);

	if (q == NULL)
		return NULL;
	q->zone = p->zone;
	q->ip.tos = p->ip.tos;
	ip_packet_finish(q);
	memcpy(packet_l4(q), packet_l4(p), l4_len);
	return q;
}

/* Puts p's options into the answer, where there is room. They were checked, and
 * local.c has entered us. */
static struct packet *answer_options(struct ip_stack *s, struct packet *p, struct packet *q)
{
	uint32_t n = p->ip.header_len - IPV4_HEADER_LEN;

	if ((p->options.record_route == 0 && p->options.timestamp == 0) || q->ip.total_len + n > UINT16_MAX ||
	    q->off < n)
		return q;
	/* The headroom takes what the header grows by. */
	q->off -= n;
	q->len += n;
	q->ip.header_len = p->ip.header_len;
	q->ip.total_len = (uint16_t)(q->ip.total_len + n);
	q->l4_off = (uint16_t)(q->l4_off + n);
	memset(packet_frame(q), 0, q->l3_off);
	memcpy(packet_l3(q), packet_l3(p), p->ip.header_len);
	ipv4_set_src(packet_l3(q), q->ip.src);
	ipv4_set_dst(packet_l3(q), q->ip.dst);
	ipv4_set_ttl(packet_l3(q), q->ip.ttl);
	ipv4_set_id(packet_l3(q), q->ip.id);
	ipv4_set_fragment(packet_l3(q), q->ip.total_len, 0, false, false);
	q->options = p->options;
	return q;
}

static void answer_send(struct ip_stack *s, struct packet *p, struct packet *q, uint8_t type)
{
	icmp_emit(packet_l4(q), type, 0, p->l4.info);
	l4_checksum_set(&q->ip, packet_l4(q), packet_l4_len(q));
	l4_parse(&q->ip, packet_l4(q), packet_l4_len(q), &q->l4);
	if (p->ip.header_len > IPV4_HEADER_LEN)
		q = answer_options(s, p, q);
	ip_local_out_one(s, q);
}

static void echo_input(struct ip_stack *s, struct packet *p)
{
	struct packet *q = answer_new(s, p, packet_l4_len(p));

	if (q == NULL) {
		packet_set_drop(p, DROP_NO_BUFFER);
		return;
	}
	answer_send(s, p, q, ICMP_ECHO_REPLY);
	p->verdict = VERDICT_DELIVERED;
}

static void timestamp_input(struct ip_stack *s, struct packet *p)
{
	struct packet *q = answer_new(s, p, ICMP_HEADER_LEN + sizeof(struct icmp_timestamps));

	if (q == NULL) {
		packet_set_drop(p, DROP_NO_BUFFER);
		return;
	}
	struct icmp_timestamps t;

	memcpy(&t, packet_l4(q) + ICMP_HEADER_LEN, sizeof(t));
	t.receive = t.transmit = be32_of(ip_time_ms(s));
	memcpy(packet_l4(q) + ICMP_HEADER_LEN, &t, sizeof(t));
	answer_send(s, p, q, ICMP_TIMESTAMP_REPLY);
	p->verdict = VERDICT_DELIVERED;
}

/* An error about a packet with this quote may be true. */
static bool may_be_ours(const struct ip_stack *s, const struct packet *p, const struct icmp_quote *q)
{
	uint32_t mtu = p->l4.info & 0xffff;

	if (q->ip.src != p->ip.dst || ip4_is_multicast(q->ip.dst) || ip4_is_limited_broadcast(q->ip.dst))
		return false;
	if (!ip_is_local(s, p->zone, q->ip.src) && !(p->in_ifindex == 0 && ip4_is_loopback(q->ip.src)))
		return false;
	if (p->l4.type != ICMP_DEST_UNREACHABLE || p->l4.code != ICMP_FRAGMENTATION_NEEDED)
		return true;
	/* Routers older than RFC 1191 name no MTU. */
	return q->ip.df && mtu < q->ip.total_len;
}

static void error_input(struct ip_stack *s, struct packet *p)
{
	struct icmp_quote quote;

	if (!icmp_quote_parse(packet_l4(p), packet_l4_len(p), &quote) || !may_be_ours(s, p, &quote)) {
		packet_set_drop(p, DROP_ICMP_ERROR_STRAY);
		return;
	}
	const struct ip_protocol *row = &s->protocol[quote.ip.proto];
	struct ip_icmp_error e = { .p = p, .quote = &quote };

	if (row->icmp_error != NULL)
		row->icmp_error(row->ctx, &e);
	p->verdict = VERDICT_DELIVERED;
}

/* Whoever asked has it now, or nobody did: either way it has come to its end. */
static void reply_input(struct ip_stack *s, struct packet *p)
{
	const struct ip_protocol *row = &s->protocol[IPPROTO_NR_ICMP];
	struct batch b = { .n = 1, .p = { p } };

	if (row->input != NULL)
		row->input(row->ctx, &b);
	if (b.p[0] != NULL && p->verdict == VERDICT_CONTINUE)
		p->verdict = VERDICT_DELIVERED;
}

bool icmp_answers(const struct packet *p)
{
	bool to_many = p->is_broadcast || p->link_group || ip4_is_multicast(p->ip.dst);

	return !to_many && (p->l4.type == ICMP_ECHO_REQUEST || p->l4.type == ICMP_TIMESTAMP);
}

void icmp_input(struct ip_stack *s, struct packet *p)
{
	switch (p->l4.type) {
	case ICMP_ECHO_REQUEST:
		if (icmp_answers(p)) {
			echo_input(s, p);
			return;
		}
		break;
	case ICMP_TIMESTAMP:
		if (icmp_answers(p)) {
			timestamp_input(s, p);
			return;
		}
		break;
	case ICMP_ECHO_REPLY:
	case ICMP_TIMESTAMP_REPLY:
		reply_input(s, p);
		return;
	case ICMP_DEST_UNREACHABLE:
	case ICMP_TIME_EXCEEDED:
	case ICMP_PARAMETER_PROBLEM:
		error_input(s, p);
		return;
	default:
		break;
	}
	packet_set_drop(p, DROP_ICMP_IGNORED);
}
