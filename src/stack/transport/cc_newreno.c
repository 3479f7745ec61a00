/* SPDX-License-Identifier: BSD-2-Clause
 *
 * NewReno (RFC 5681, RFC 6582, counted in bytes by RFC 3465): a segment a round trip
 * more, and half of it behind a loss.
 */
#include "stack/transport/cc_priv.h"

static void init(struct tcp *t, struct tcp_conn *c)
{
	hystart_init(&c->cc_state.newreno.hystart);
	c->cc_state.newreno.bytes = 0;
}

static void acked(struct tcp *t, struct tcp_conn *c, const struct cc_sample *s)
{
	if (!s->cwnd_limited)
		return;
	if (c->cwnd < c->ssthresh) {
		slow_start(c, &c->cc_state.newreno.hystart, s);
		return;
	}
	c->cc_state.newreno.bytes += (uint32_t)s->acked;
	if (c->cc_state.newreno.bytes >= c->cwnd) {
		c->cc_state.newreno.bytes -= c->cwnd;
		c->cwnd += c->mss;
	}
}

static uint64_t ssthresh(struct tcp *t, struct tcp_conn *c)
{
	c->cc_state.newreno.bytes = 0;
	c->cc_state.newreno.hystart.done = true;
	return max_u64(c->cwnd / 2, 2ull * c->mss);
}

static uint32_t facts(const struct tcp *t, const struct tcp_conn *c, struct cc_fact *out)
{
	return hystart_facts(&c->cc_state.newreno.hystart, out);
}

const struct cc_ops cc_newreno = { .name = "reno", .init = init, .acked = acked, .ssthresh = ssthresh, .facts = facts };
