/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Later packets of established connections, without the hooks: judged one by one
 * by the trackers' own code (conntrack_tcp_plain, conntrack_datagram_plain), or credited together after others
 * have forwarded them (conntrack_add_deferred).
 *
 * What always holds: a packet that these take leaves a connection as
 * conntrack_in would; whatever would change more than counters, windows and the
 * end is refused untouched, and takes the hooks.
 *
 * Next: src/gateway/flowcache/input.c
 */
#include "gateway/conntrack/flow.h"

#include "gateway/conntrack/conntrack_priv.h"

void conntrack_flows(struct conntrack *ct, struct ct_flows *out)
{
	*out = (struct ct_flows){ .key = ct->key, .table = &ct->table, .conn = ct->conn, .n_conns = ct->conns.cap };
}

void conntrack_moment(const struct conntrack *ct, struct ct_moment *m)
{
	ct_moment_now(ct, m);
}

void conntrack_batch_begin(struct conntrack *ct, struct ct_moment *m)
{
	if (YG_UNLIKELY(ct->n_dying > 0))
		ct_flush_dying(ct);
	ct_moment_now(ct, m);
}

bool conntrack_tcp_plain(struct conntrack *ct, uint32_t ref, uint32_t total_len, const struct l4_view *v,
			 const uint8_t *header)
{
	const uint16_t wanted = CT_CONFIRMED | CT_SEEN_REPLY;
	enum ct_dir dir = conn_dir(ref);
	struct conn *c = ct_conn(ct, conn_index(ref));

	if ((c->status & (wanted | CT_DYING)) != wanted)
		return false;
	uint32_t lives_s = ct_tcp_plain(&ct->cfg.timeout, c, dir, v, header);

	if (lives_s == 0)
		return false;
	ct_refresh(ct, conn_index(ref), lives_s);
	c->half[dir].packets++;
	c->half[dir].bytes += total_len;
	return true;
}

void conntrack_add_deferred(struct conntrack *ct, uint32_t ref, const struct ct_deferred *credit)
{
	struct conn *c = ct_conn(ct, conn_index(ref));
	enum ct_dir dir = conn_dir(ref);

	if (credit->packets == 0 || (c->status & (CT_CONFIRMED | CT_DYING)) != CT_CONFIRMED)
		return;
	c->half[dir].packets += credit->packets;
	c->half[dir].bytes += credit->bytes;
	const struct ct_protocol *proto = ct_protocol_of_conn(c);
	if (proto->deferred == NULL)
		return;
	ct_judgement j = proto->deferred(c, dir, credit);

	ct_follow(ct, conn_index(ref), proto, j & ~(ct_judgement)CT_JUDGE_REFRESH);
	if (j & CT_JUDGE_REFRESH)
		ct_refresh_at(ct, conn_index(ref), proto->timeout(&ct->cfg.timeout, c), credit->last_ns);
}
