/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ICMP errors about our segments (RFC 1122 section 4.2.3.9, RFC 5927). Whoever knows the
 * four-tuple can send one, so it is believed only if the sequence number that it
 * quotes is of something on its way; ip has seen to it that the quote is of a packet
 * from here.
 *
 *   port, protocol unreachable, prohibited   hard (datagram_icmp_errno): while the connection is opened
 *                                            it is refused; later it is told if the connection times out
 *   net, host unreachable, time exceeded     soft: told if the connection times out
 *   fragmentation needed                     the path MTU (RFC 1191): never above what it was, never
 *                                            below 552, and what was too large is sent again
 *
 * With IP_RECVERR either of the first two ends what is being opened, and waits to be read
 * (MSG_ERRQUEUE), one behind another when it is opened again; later it is the connection's error
 * at once, and waits nowhere, as in Linux.
 */
#include <errno.h>

#include "stack/transport/tcp_input.h"
#include "stack/transport/tcp_rare.h"
#include "stack/wire/icmp.h"

/* RFC 1191 section 3: the least that is believed, as Linux (min_pmtu). */
#define PATH_MTU_MIN 552u

static void take_path_mtu(struct tcp *t, struct tcp_conn *c, uint32_t mtu)
{
	mtu = max_u32(mtu, PATH_MTU_MIN);
	if (mtu >= c->path_mtu || c->state < TCP_ESTABLISHED)
		return;
	c->path_mtu = mtu;
	tcp_set_mss(t, c);
	/* No loss of the path's making: the window stays. */
	for (uint32_t i = 0; i < c->flight->queue.n_sent; i++) {
		struct tcp_segment *s = tcp_queue_at(t, c, i);

		if (s->len > c->mss && !(s->flags & SEGMENT_SACKED))
			tcp_mark_lost(t, c, s, tcp_queue_number(c, i));
	}
	tcp_pend(t, c);
}

/* As Linux queues it: with what it quotes from the TCP header on, in what the receive buffer has room for. It stays
 * when the connection is opened anew. */
static void keep_error(struct tcp *t, struct tcp_conn *c, const struct ip_icmp_error *e, int err)
{
	struct tcp_rare *r = tcp_rare_get(t, &c->rare);
	const uint8_t *quoted;
	struct datagram_error v = datagram_error_of(e, err, 0, &quoted);

	if (c->inbox.memory + r->errors.memory <= tcp_option(t, c, TCP_OPTION_RCVBUF))
		(void)datagram_errors_add(t->env, &r->errors, &v, quoted);
}

int64_t tcp_recv_error(struct tcp *t, struct tcp_conn *c, const struct span *span, int n, uint32_t flags,
		       struct datagram_error *out)
{
	int err = c->error;

	if (tcp_rare_at(t, c->rare)->errors.first == NULL)
		return -EAGAIN;
	int64_t copied = datagram_errors_recv(t->env, &tcp_rare_get(t, &c->rare)->errors, span, n,
					      flags & TCP_RECV_PEEK ? DATAGRAM_RECV_PEEK : 0, out, &err);

	c->error = (uint8_t)err;
	return copied;
}

/* With IP_RECVERR the user wants to know at once. */
static void tell_error(struct tcp *t, struct tcp_conn *c, const struct ip_icmp_error *e, int err)
{
	if (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED) {
		keep_error(t, c, e, err);
		tcp_conn_end(t, c, TCP_REASON_ICMP, err);
		return;
	}
	c->error = err;
	tcp_changed(t, c, TCP_CHANGED_STATE);
}

void tcp_icmp_error(void *ctx, const struct ip_icmp_error *e)
{
	struct tcp *t = ctx;
	const struct icmp_quote *q = e->quote;
	struct tcp_node n = {
		.laddr = q->ip.src, .raddr = q->ip.dst, .lport = q->l4.sport, .rport = q->l4.dport, .zone = e->p->zone
	};
	uint32_t ref = tcp_find(t, &n);
	bool is_hard;

	if (ref == POOL_NONE || tcp_ref_kind(ref) != TCP_KIND_CONN)
		return;
	struct tcp_conn *c = tcp_conn_at(t, tcp_ref_index(ref));

	/* RFC 5082 section 3: from further away than it wants to hear of. */
	if (e->p->ip.ttl < c->o->min_ttl)
		return;
	/* RFC 5927 section 4.1. */
	if (!seq_between(c->snd_una, q->l4.seq, c->snd_nxt))
		return;
	if (e->p->l4.type == ICMP_DEST_UNREACHABLE && e->p->l4.code == ICMP_FRAGMENTATION_NEEDED) {
		if (tcp_rare_takes_path_mtu(t, c->rare))
			take_path_mtu(t, c, e->p->l4.info & 0xffff);
		tcp_send_pending(t);
		return;
	}
	int err = datagram_icmp_errno(e, &is_hard);

	if (err == 0)
		return;
	if (tcp_rare_at(t, c->rare)->recv_error)
		tell_error(t, c, e, err);
	else if (is_hard && (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED))
		tcp_conn_end(t, c, TCP_REASON_ICMP, err);
	else
		c->soft_error = err;
	tcp_send_pending(t);
}
