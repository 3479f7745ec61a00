/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connections without a state of their own: UDP, ICMP queries, other protocols.
 * Each packet in either direction puts the end off.
 *
 * UDP: one that was answered lives on as a stream (RFC 4787 REQ-5). It is assured
 * when it still talks two seconds after it began, so that a burst of DNS queries
 * is what goes first when the table is full.
 */
#include "conntrack/conntrack_priv.h"
#include "conntrack/flow.h"

#define STREAM_AFTER_TICKS (2 * CT_TICKS_PER_S)

static uint32_t timeout_of(const struct conntrack *ct, const struct conn *c)
{
	switch (c->tuple[CT_ORIGINAL].proto) {
	case IPPROTO_NR_UDP:
		if (ct->cfg.timeout.udp_well_known != 0 && c->tuple[CT_ORIGINAL].dport < 1024)
			return ct->cfg.timeout.udp_well_known;
		return c->status & CT_SEEN_REPLY ? ct->cfg.timeout.udp_stream : ct->cfg.timeout.udp_new;
	case IPPROTO_NR_ICMP:
		return ct->cfg.timeout.icmp;
	default:
		return ct->cfg.timeout.other;
	}
}

void ct_datagram_begin(struct conntrack *ct, uint32_t index)
{
	struct conn *c = ct_conn(ct, index);

	c->first_tick = ct_now_tick(ct);
	ct_refresh(ct, index, timeout_of(ct, c));
}

/* A packet that comes at this time shows that it is a stream. */
static bool is_stream(const struct conn *c, uint32_t tick)
{
	return (c->status & (CT_SEEN_REPLY | CT_ASSURED)) == CT_SEEN_REPLY &&
	       c->tuple[CT_ORIGINAL].proto != IPPROTO_NR_ICMP && tick - c->first_tick > STREAM_AFTER_TICKS;
}

static void assure(struct conntrack *ct, uint32_t index)
{
	struct conn *c = ct_conn(ct, index);

	ct_assure(ct, index);
	if (c->status & CT_CONFIRMED)
		ct_emit(ct, c, EVENT_CONN_UPDATE, 0);
}

void ct_datagram_packet(struct conntrack *ct, uint32_t index, enum ct_dir dir)
{
	struct conn *c = ct_conn(ct, index);

	if (is_stream(c, ct_now_tick(ct)))
		assure(ct, index);
	(void)dir;
	ct_refresh(ct, index, timeout_of(ct, c));
}

bool ct_datagram_plain(struct conntrack *ct, uint32_t index)
{
	const struct conn *c = ct_conn(ct, index);

	if (YG_UNLIKELY(is_stream(c, ct_now_tick(ct))))
		return false;
	ct_refresh(ct, index, timeout_of(ct, c));
	return true;
}

void ct_datagram_credit(struct conntrack *ct, uint32_t index, const struct ct_credit *credit)
{
	const struct conn *c = ct_conn(ct, index);

	if (is_stream(c, (uint32_t)(credit->last_ns / CT_TICK_NS)))
		assure(ct, index);
	ct_refresh_at(ct, index, timeout_of(ct, c), credit->last_ns);
}
