/* SPDX-License-Identifier: BSD-2-Clause
 *
 * CUBIC (RFC 9438). Behind a loss at the window W_max the window goes down to 0.7 of
 * it and then follows
 *
 *     W(t) = C * (t - K)^3 + W_max        K = cbrt((W_max - cwnd_epoch) / C), C = 0.4
 *
 * in segments and seconds: fast at first, flat around W_max, and fast again beyond.
 * Where a flow of Reno would have more (short paths), it does as that one
 * (section 4.3).
 *
 * All in integers: windows in bytes, times of growth in units of 1/1024 s.
 */
#include "stack/transport/cc_priv.h"

#define BETA_NUM 7u
#define BETA_DEN 10u
/* Section 4.3: 3 * (1 - beta) / (1 + beta) = 9/17. */
#define ALPHA_NUM 9u
#define ALPHA_DEN 17u
#define UNIT_NS (NS_PER_S / 1024)

static void init(struct tcp *t, struct tcp_conn *c)
{
	memset(&c->cc_state.cubic, 0, sizeof(c->cc_state.cubic));
	hystart_init(&c->cc_state.cubic.hystart);
}

/* The largest r whose cube is not above x. */
static uint64_t cube_root(uint64_t x)
{
	uint64_t r = 0;

	for (int bit = 20; bit >= 0; bit--) {
		uint64_t next = r | UINT64_C(1) << bit;

		if (next * next * next <= x)
			r = next;
	}
	return r;
}

/* C * t^3 in bytes; t in units, at most 2^20 of them. */
static uint64_t cube(uint64_t units, uint32_t mss)
{
	units = min_u64(units, UINT64_C(1) << 20);
	/* 0.4 * mss * (t / 1024)^3, in two steps against overflow. */
	return (units * units / 1024 * units / 1024) * mss / 1024 * 4 / 10;
}

static void begin_epoch(struct tcp_conn *c, uint64_t now)
{
	uint32_t w = c->cwnd, origin = max_u32(c->cc_state.cubic.w_max, w);
	/* K^3 = (W_max - cwnd) / C, with t in units: * 1024^3 / 0.4. */
	uint64_t segments = (origin - w) / max_u32(c->mss, 1);

	c->cc_state.cubic.epoch = max_u32((uint32_t)(now / UNIT_NS), 1);
	c->cc_state.cubic.origin = origin;
	c->cc_state.cubic.k = (uint32_t)cube_root(min_u64(segments, UINT64_C(1) << 31) * (UINT64_C(1) << 30) / 4 * 10);
	c->cc_state.cubic.w_est = w;
	c->cc_state.cubic.bytes = 0;
}

static uint64_t target(const struct tcp_conn *c, uint64_t now, uint64_t rtt)
{
	/* Units go round in 48 days, of which no epoch lasts one: whoever is idle begins again. */
	uint64_t t = (uint32_t)(now / UNIT_NS) - c->cc_state.cubic.epoch + rtt / UNIT_NS, k = c->cc_state.cubic.k;
	uint64_t origin = c->cc_state.cubic.origin;

	if (t >= k)
		return origin + cube(t - k, c->mss);
	uint64_t below = cube(k - t, c->mss);

	return origin > below ? origin - below : 0;
}

static void acked(struct tcp *t, struct tcp_conn *c, const struct cc_sample *s)
{
	if (!s->cwnd_limited)
		return;
	if (c->cwnd < c->ssthresh) {
		slow_start(c, &c->cc_state.cubic.hystart, s);
		return;
	}
	if (c->cc_state.cubic.epoch == 0)
		begin_epoch(c, s->now);
	uint64_t w = target(c, s->now, c->srtt);

	/* Section 4.3: what Reno would have. Beyond W_max as Reno grows itself. */
	uint64_t add = s->acked * c->mss / max_u64(c->cwnd, 1);

	if (c->cc_state.cubic.w_est < c->cc_state.cubic.w_max)
		add = add * ALPHA_NUM / ALPHA_DEN;
	c->cc_state.cubic.w_est += (uint32_t)add;
	if (w < c->cc_state.cubic.w_est) {
		c->cwnd = max_u32(c->cwnd, c->cc_state.cubic.w_est);
		return;
	}
	/* Section 4.4: no more than half again in a round trip. */
	w = min_u64(w, c->cwnd + UINT64_C(1) * c->cwnd / 2);
	if (w <= c->cwnd)
		return;
	uint64_t growth = c->cc_state.cubic.bytes + (w - c->cwnd) * s->acked;

	c->cc_state.cubic.bytes = (uint32_t)(growth % c->cwnd);
	c->cwnd += (uint32_t)(growth / c->cwnd);
}

static uint64_t ssthresh(struct tcp *t, struct tcp_conn *c)
{
	union cc_undo *undo = &c->flight->cc_undo;

	undo->cubic.epoch = c->cc_state.cubic.epoch;
	undo->cubic.w_max = c->cc_state.cubic.w_max;
	undo->cubic.k = c->cc_state.cubic.k;
	/* Section 4.7, fast convergence: a window that did not get back to where it was makes room for others. */
	if (c->cwnd < c->cc_state.cubic.w_max)
		c->cc_state.cubic.w_max = (uint32_t)((uint64_t)c->cwnd * (BETA_DEN + BETA_NUM) / (2 * BETA_DEN));
	else
		c->cc_state.cubic.w_max = c->cwnd;
	c->cc_state.cubic.epoch = 0;
	c->cc_state.cubic.hystart.done = true;
	return max_u64((uint64_t)c->cwnd * BETA_NUM / BETA_DEN, 2ull * c->mss);
}

static void event(struct tcp *t, struct tcp_conn *c, enum cc_event e)
{
	const union cc_undo *undo = &c->flight->cc_undo;

	switch (e) {
	case CC_EVENT_RTO:
		c->cc_state.cubic.epoch = 0;
		return;
	case CC_EVENT_UNDONE:
		c->cc_state.cubic.epoch = undo->cubic.epoch;
		c->cc_state.cubic.w_max = undo->cubic.w_max;
		c->cc_state.cubic.k = undo->cubic.k;
		return;
	case CC_EVENT_RESTART:
		/* Section 4.8: time without sending is no growth. */
		if (c->cc_state.cubic.epoch != 0 && t->env->now > c->last_sent)
			c->cc_state.cubic.epoch += (uint32_t)((t->env->now - c->last_sent) / UNIT_NS);
		return;
	default:
		return;
	}
}

static uint32_t facts(const struct tcp *t, const struct tcp_conn *c, struct cc_fact *out)
{
	uint32_t n = hystart_facts(&c->cc_state.cubic.hystart, out);

	out[n++] = (struct cc_fact){ "w_max", c->cc_state.cubic.w_max };
	out[n++] = (struct cc_fact){ "w_est", c->cc_state.cubic.w_est };
	out[n++] = (struct cc_fact){ "k_ms", c->cc_state.cubic.k * UNIT_NS / NS_PER_MS };
	return n;
}

const struct cc_ops cc_cubic = {
	.name = "cubic", .init = init, .acked = acked, .ssthresh = ssthresh, .event = event, .facts = facts
};
