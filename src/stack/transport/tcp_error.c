/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ICMP errors about our segments (RFC 1122 section 4.2.3.9, RFC 5927). Whoever knows the
 * four-tuple can send one, so it is believed only if the sequence number that it
 * quotes is of something on its way; ip has seen to it that the quote is of a packet
 * from here.
 *
 *   port, protocol unreachable, prohibited   hard: while the connection is opened it is refused;
 *                                            later it is told if the connection times out
 *   net, host unreachable, time exceeded     soft: told if the connection times out
 *   fragmentation needed                     the path MTU (RFC 1191): never above what it was, never
 *                                            below 552, and what was too large is sent again
 */
#include <errno.h>

#include "stack/transport/tcp_input.h"
#include "stack/transport/tcp_priv.h"
#include "stack/wire/icmp.h"

/* RFC 1191 section 3: the least that is believed, as Linux (min_pmtu). */
#define PATH_MTU_MIN 552u

/* positive errno as Linux gives it; *hard: ends what is being opened. */
static int error_of(const struct ip_icmp_error *e, bool *hard)
{
	*hard = false;
	if (e->p->l4.type == ICMP_TIME_EXCEEDED)
		return EHOSTUNREACH;
	if (e->p->l4.type == ICMP_PARAMETER_PROBLEM) {
		*hard = true;
		return EPROTO;
	}
	if (e->p->l4.type != ICMP_DEST_UNREACHABLE)
		return 0;
	switch (e->p->l4.code) {
	case ICMP_PROTOCOL_UNREACHABLE:
		*hard = true;
		return ENOPROTOOPT;
	case ICMP_PORT_UNREACHABLE:
		*hard = true;
		return ECONNREFUSED;
	case ICMP_NET_UNREACHABLE:
		return ENETUNREACH;
	case ICMP_ADMIN_PROHIBITED:
		*hard = true;
		return EHOSTUNREACH;
	default:
		return EHOSTUNREACH;
	}
}

static void take_path_mtu(struct tcp *t, struct tcp_conn *c, uint32_t mtu)
{
	mtu = max_u32(mtu, PATH_MTU_MIN);
	if (mtu >= c->path_mtu || c->state < TCP_ESTABLISHED)
		return;
	c->path_mtu = mtu;
	tcp_set_mss(t, c);
	/* No loss of the path's making: the window stays. */
	for (uint32_t i = 0; i < c->queue.n_sent; i++) {
		struct tcp_segment *s = tcp_queue_at(t, c, i);

		if (s->len > c->mss && !(s->flags & SEGMENT_SACKED))
			tcp_mark_lost(t, c, s, tcp_queue_number(c, i));
	}
	tcp_pend(t, c);
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

	/* RFC 5927 section 4.1. */
	if (!seq_between(c->snd_una, q->l4.seq, c->snd_nxt))
		return;
	if (e->p->l4.type == ICMP_DEST_UNREACHABLE && e->p->l4.code == ICMP_FRAGMENTATION_NEEDED) {
		take_path_mtu(t, c, e->p->l4.info & 0xffff);
		tcp_send_pending(t);
		return;
	}
	int err = error_of(e, &is_hard);

	if (err == 0)
		return;
	if (is_hard && (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED))
		tcp_conn_end(t, c, TCP_REASON_ICMP, err);
	else
		c->soft_error = err;
	tcp_send_pending(t);
}
