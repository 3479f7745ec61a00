/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The round trip: smoothed mean and deviation, and the timeout that follows from them
 * (RFC 6298); its minimum over five minutes, of which RACK takes its windows.
 *
 * A round trip may be 0: in one process, on a clock that stands still. Nothing is
 * divided by it.
 */
#include "stack/transport/tcp_priv.h"

#define RTO_FIRST NS_PER_S
/* RFC 6298 (5.7): while nothing is known of the round trip because the SYN was sent twice. */
#define RTO_LOST_SYN (3 * NS_PER_S)
/* RFC 6298 (2.3): G, the clock's grain, as the least that the deviation counts. */
#define RTT_GRAIN NS_PER_MS
#define MIN_RTT_WINDOW_S 300u

void tcp_rtt_init(struct tcp_conn *c)
{
	c->srtt = c->rttvar = 0;
	c->rtt_valid = c->syn_lost = false;
	c->min_rtt = UINT32_MAX;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static void smooth(struct tcp_conn *c, uint64_t rtt)
{
	if (!c->rtt_valid) {
		c->srtt = rtt;
		c->rttvar = rtt / 2;
		c->rtt_valid = true;
	} else {
		c->rttvar = (3 * c->rttvar + distance(c->srtt, rtt)) / 4;
		c->srtt = (7 * c->srtt + rtt) / 8;
	}
}

void tcp_rtt_sample(struct tcp *t, struct tcp_conn *c, uint64_t rtt)
{
	uint16_t now_s = (uint16_t)(t->env->now / NS_PER_S);

	if (rtt <= c->min_rtt || (uint16_t)(now_s - c->min_rtt_s) > MIN_RTT_WINDOW_S) {
		c->min_rtt = (uint32_t)min_u64(rtt, UINT32_MAX);
		c->min_rtt_s = now_s;
	}
	smooth(c, rtt);
}

void tcp_rtt_sample_coarse(struct tcp *t, struct tcp_conn *c, uint64_t rtt)
{
	if (c->min_rtt == UINT32_MAX)
		tcp_rtt_sample(t, c, rtt);
	else
		smooth(c, max_u64(rtt, c->min_rtt));
}

uint64_t tcp_rto_once(const struct tcp *t, const struct tcp_conn *c)
{
	if (!c->rtt_valid)
		return max_u64(c->syn_lost ? RTO_LOST_SYN : RTO_FIRST, t->cfg.rto_min);
	/* The floor is one of the deviation's part, as in Linux: a long path keeps its slack. */
	return min_u64(c->srtt + max_u64(4 * c->rttvar, max_u64(RTT_GRAIN, t->cfg.rto_min)), t->cfg.rto_max);
}

uint64_t tcp_rto(const struct tcp *t, const struct tcp_conn *c)
{
	uint64_t rto = tcp_rto_once(t, c);

	for (uint32_t i = 0; i < c->n_rtx && rto < t->cfg.rto_max; i++)
		rto *= 2;
	return min_u64(rto, t->cfg.rto_max);
}
