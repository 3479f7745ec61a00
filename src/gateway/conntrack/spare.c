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
 * Everything else is needed, whatever there is to gain. Which is which stands in the
 * row of the protocol (finished, finished_ticks, idle_ticks).
 */
#include "gateway/conntrack/conntrack_priv.h"

bool conntrack_may_be_finished(const struct conntrack *ct, uint32_t index)
{
	const struct conn *c = ct_conn(ct, index);
	const struct ct_protocol *proto = ct_protocol_of_conn(c);

	return (c->status & (CT_CONFIRMED | CT_DYING)) == CT_CONFIRMED && proto->finished != NULL && proto->finished(c);
}

/* Since its last packet, as long as the config is the same. */
static uint32_t quiet_ticks(const struct conntrack *ct, const struct ct_protocol *proto, const struct conn *c)
{
	uint32_t lives_s = proto->timeout(&ct->cfg.timeout, c);
	int32_t quiet = (int32_t)(ct_expires_in(ct, lives_s) - conn_expires_tick(c));

	return quiet < 0 ? 0 : (uint32_t)quiet;
}

enum ct_spare conntrack_spare(struct conntrack *ct, uint32_t index, uint32_t *quiet)
{
	const struct conn *c = ct_conn(ct, index);
	const struct ct_protocol *proto = ct_protocol_of_conn(c);

	*quiet = 0;
	if ((c->status & (CT_CONFIRMED | CT_DYING)) != CT_CONFIRMED || proto->finished == NULL)
		return CT_NEEDED;
	if (ct->flowcache.alive != NULL)
		(void)ct->flowcache.alive(ct->flowcache_ctx, index);
	*quiet = quiet_ticks(ct, proto, c);
	if (proto->finished(c) && *quiet >= proto->finished_ticks)
		return CT_FINISHED;
	return proto->idle_ticks != 0 && *quiet >= proto->idle_ticks ? CT_IDLE : CT_NEEDED;
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
