/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Black holes of the path MTU (RFC 4821, RFC 2923 section 2.1): a router drops what is too
 * large, and what it says of that (tcp_error.c) never arrives. Small segments get through,
 * large ones do not, and the connection hangs.
 *
 * So after R1 timeouts in a row (retries1; RFC 1122 section 4.2.3.5) for a segment, what
 * is sent becomes smaller: an MSS of 1,024, then half of it at each further timeout, no less than
 * 48, as Linux does with tcp_mtu_probing=1. A segment that is small already is not lost
 * for its size. Ten minutes later (RFC 1191 section 6.3) twice as much is tried, until
 * it is what the path was known for; there are no probes in between.
 */
#include "stack/transport/tcp_rare.h"

#define BASE_MSS 1024u
#define RAISE_NS (600 * NS_PER_S)

void tcp_mtu_timeout(struct tcp *t, struct tcp_conn *c)
{
	if (!t->cfg.mtu_probing || c->n_rtx < t->cfg.retries1 || c->flight->queue.n_sent == 0)
		return;
	uint32_t low = tcp_rare_at(t, c->rare)->mss_low, known = c->path_mtu - IPV4_HEADER_LEN - TCP_HEADER_LEN;
	uint32_t next = low == 0 && known > BASE_MSS ? BASE_MSS : (low == 0 ? known : low) / 2;

	next = max_u32(next, TCP_MSS_MIN);
	if (tcp_queue_at(t, c, 0)->len <= next)
		return;
	struct tcp_rare *r = tcp_rare_get(t, &c->rare);

	r->mss_low = (uint16_t)next;
	r->mss_low_at = t->env->now;
	t->counts[TCP_COUNT_BLACK_HOLES]++;
	tcp_set_mss(t, c);
}

void tcp_mtu_raise(struct tcp *t, struct tcp_conn *c)
{
	const struct tcp_rare *is = tcp_rare_at(t, c->rare);

	if (is->mss_low == 0 || c->n_rtx > 0 || c->state < TCP_ESTABLISHED || t->env->now - is->mss_low_at < RAISE_NS)
		return;
	struct tcp_rare *r = tcp_rare_get(t, &c->rare);
	uint32_t next = 2u * r->mss_low;

	r->mss_low = next + IPV4_HEADER_LEN + TCP_HEADER_LEN >= c->path_mtu ? 0 : (uint16_t)next;
	r->mss_low_at = t->env->now;
	tcp_set_mss(t, c);
}
