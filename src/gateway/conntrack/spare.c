/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Whether a connection is needed any more: what NAT asks when a new one would be
 * refused for want of a port.
 *
 *   finished  TCP in TIME_WAIT or CLOSE; a query to a well-known UDP port that was
 *             answered some seconds ago: a few packets, which never became a stream
 *   idle      UDP without a packet for two minutes, beyond which nobody may count
 *             on a mapping (RFC 4787 REQ-5)
 *
 * Everything else is needed, whatever there is to gain.
 */
#include "gateway/conntrack/conntrack_priv.h"
#include "gateway/conntrack/flow.h"

#define ANSWERED_TICKS (5 * CT_TICKS_PER_S)
#define IDLE_TICKS (120 * CT_TICKS_PER_S)
/* Both questions of a resolver (A and AAAA), each asked twice. */
#define QUERY_PACKETS_MAX 4

bool ct_is_query(const struct conn *c)
{
	const struct tuple *o = &c->half[CT_ORIGINAL].tuple;

	return o->proto == IPPROTO_NR_UDP && o->dport < 1024 && !(c->status & CT_ASSURED) &&
	       c->half[CT_ORIGINAL].packets <= QUERY_PACKETS_MAX;
}

bool conntrack_may_be_finished(const struct conntrack *ct, uint32_t index)
{
	const struct conn *c = ct_conn(ct, index);

	if ((c->status & (CT_CONFIRMED | CT_DYING)) != CT_CONFIRMED)
		return false;
	if (c->half[CT_ORIGINAL].tuple.proto == IPPROTO_NR_TCP)
		return c->tcp_state == CT_TCP_TIME_WAIT || c->tcp_state == CT_TCP_CLOSE;
	return (c->status & CT_SEEN_REPLY) && ct_is_query(c);
}

/* Since its last packet, as long as the config is the same. */
static uint32_t suppress_ticks(const struct conntrack *ct, const struct conn *c)
{
	const struct ct_timeouts *t = &ct->cfg.timeout;
	uint32_t lives_s;

	if (c->half[CT_ORIGINAL].tuple.proto == IPPROTO_NR_TCP)
		lives_s = c->tcp_state == CT_TCP_CLOSE ? t->tcp_close : t->tcp_time_wait;
	else
		lives_s = ct_datagram_timeout(ct, c);
	int32_t quiet = (int32_t)(ct_expires_in(ct, lives_s) - conn_expires_tick(c));

	return quiet < 0 ? 0 : (uint32_t)quiet;
}

enum ct_spare conntrack_spare(struct conntrack *ct, uint32_t index, uint32_t *quiet)
{
	const struct conn *c = ct_conn(ct, index);
	bool tcp = c->half[CT_ORIGINAL].tuple.proto == IPPROTO_NR_TCP;

	*quiet = 0;
	if ((c->status & (CT_CONFIRMED | CT_DYING)) != CT_CONFIRMED)
		return CT_NEEDED;
	if (!tcp && c->half[CT_ORIGINAL].tuple.proto != IPPROTO_NR_UDP)
		return CT_NEEDED;
	if (ct->alive != NULL)
		(void)ct->alive(ct->alive_ctx, index);
	*quiet = suppress_ticks(ct, c);
	if (conntrack_may_be_finished(ct, index) && (tcp || *quiet >= ANSWERED_TICKS))
		return CT_FINISHED;
	return !tcp && *quiet >= IDLE_TICKS ? CT_IDLE : CT_NEEDED;
}

bool conntrack_reclaim(struct conntrack *ct, uint32_t index)
{
	/* Packets of this batch may name it. */
	if (!conntrack_may_end(ct))
		return false;
	ct->counts[CT_COUNT_RECLAIMED]++;
	conntrack_end(ct, index, CT_END_RECLAIMED);
	return true;
}

void conntrack_set_finished(struct conntrack *ct, ct_finished_fn *fn, void *ctx)
{
	ct->finished = fn;
	ct->finished_ctx = ctx;
}
