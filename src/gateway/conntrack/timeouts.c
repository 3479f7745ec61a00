/* SPDX-License-Identifier: BSD-2-Clause
 *
 * When connections end by themselves, as they stand (expiry.c ends them).
 *
 * A packet only writes when its connection would end now (ct_refresh). The timer
 * stays where it was; when it fires too early it is armed again for the time
 * that stands in the connection. Only when that time comes nearer (established
 * to TIME_WAIT) is the timer moved at once. So the timer of a confirmed
 * connection is always armed, and never later than conn_expires_tick.
 *
 * Defaults: RFC 5382 REQ-5 (established 2 h 4 min, and so it is until both sides
 * have sent a FIN, whether data are acknowledged or not; transitory 4 min), RFC 7857
 * section 2.1, RFC 4787 REQ-5 (never under 2 min, REQ-5c: 5 min recommended), RFC 5508
 * REQ-2 (60 s). DCCP: RFC 5597 (as TCP: open 2 h 4 min, transitory never under 4
 * min). SCTP has no such RFC: Linux's, which lean on heartbeats every 30 s (RFC 9260
 * section 8.3).
 */
#include "gateway/conntrack/conntrack_priv.h"

static const struct ct_timeouts default_timeouts = {
	.tcp_syn_sent = 240,
	.tcp_syn_recv = 240,
	.tcp_established = 7440,
	.tcp_fin_wait = 7440,
	.tcp_close_wait = 7440,
	.tcp_last_ack = 240,
	.tcp_time_wait = 240,
	.tcp_close = 240,
	.tcp_unacknowledged = 7440,
	.udp_new = 300,
	.udp_stream = 300,
	.udplite_new = 300,
	.udplite_stream = 300,
	.sctp_closed = 10,
	.sctp_cookie_wait = 10,
	.sctp_cookie_echoed = 10,
	.sctp_established = 210,
	.sctp_shutdown_sent = 30,
	.sctp_shutdown_recd = 30,
	.sctp_shutdown_ack_sent = 10,
	.sctp_heartbeat_sent = 30,
	.dccp_request = 240,
	.dccp_respond = 480,
	.dccp_partopen = 480,
	.dccp_open = 7440,
	.dccp_closereq = 240,
	.dccp_closing = 240,
	.dccp_timewait = 240,
	.gre_new = 30,
	.gre_stream = 600,
	.esp_new = 10,
	.esp_stream = 600,
	.icmp = 60,
	.other = 600,
};

void ct_timeouts_fill(struct ct_timeouts *t)
{
	static const size_t n = sizeof(*t) / sizeof(uint32_t);
	uint32_t value[sizeof(*t) / sizeof(uint32_t)], fallback[sizeof(*t) / sizeof(uint32_t)];

	memcpy(value, t, sizeof(value));
	memcpy(fallback, &default_timeouts, sizeof(fallback));
	for (size_t i = 0; i < n; i++)
		if (value[i] == 0)
			value[i] = fallback[i];
	memcpy(t, value, sizeof(value));
}

/* conn_expires_tick on the full clock. */
static uint64_t expires_ns(const struct conntrack *ct, const struct conn *c)
{
	uint64_t now = ct->env->now / CT_TICK_NS;
	int32_t left = (int32_t)(conn_expires_tick(c) - (uint32_t)now);

	return (left <= 0 ? now : now + (uint32_t)left) * CT_TICK_NS;
}

void ct_arm(struct conntrack *ct, uint32_t index)
{
	timer_arm(&ct->wheel, index, expires_ns(ct, ct_conn(ct, index)));
}

void ct_refresh_at(struct conntrack *ct, uint32_t index, uint32_t seconds, uint64_t then)
{
	struct conn *c = ct_conn(ct, index);
	uint32_t tick = (uint32_t)(then / CT_TICK_NS) + seconds * CT_TICKS_PER_S + 1;

	if (tick_before(conn_expires_tick(c), tick))
		c->half[CT_ORIGINAL].expires_tick = c->half[CT_REPLY].expires_tick = tick;
}

void ct_shorten(struct conntrack *ct, uint32_t index, uint32_t seconds)
{
	uint32_t then = ct_expires_in(ct, seconds);

	if (tick_before(then, conn_expires_tick(ct_conn(ct, index))))
		ct_refresh(ct, index, seconds);
}

uint32_t conn_timeout_s(const struct conntrack *ct, uint32_t index)
{
	int32_t left = (int32_t)(conn_expires_tick(ct_conn(ct, index)) - ct_now_tick(ct));

	return left <= 0 ? 0 : (uint32_t)left / CT_TICKS_PER_S;
}
