/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The congestion controls by name, and HyStart++ (RFC 9406), which ends slow start
 * when the round trip grows: before the queue on the way is full, and so before
 * anything is lost. It goes on slower for some rounds first, in case it was noise.
 */
#include <errno.h>

#include "stack/transport/cc_bbr.h"

const struct cc_ops *const cc_all[] = { &cc_cubic, &cc_newreno, &cc_bbr, &cc_bbr1, NULL };

int cc_find(const char *name)
{
	for (int i = 0; cc_all[i] != NULL; i++)
		if (strcmp(cc_all[i]->name, name) == 0)
			return i;
	return -1;
}

/* --- what a connection has of its control --- */

uint32_t cc_record_size(void)
{
	return sizeof(union cc_record);
}

/* The connection's control, which keeps a record, has one: 0, also when it had it before; -ENOBUFS. */
static int take(struct tcp *t, struct tcp_conn *c)
{
	if (!tcp_cc(c)->has_record || c->cc_state.record != POOL_NONE)
		return 0;
	c->cc_state.record = pool_alloc(&t->cc_records);
	return c->cc_state.record == POOL_NONE ? -ENOBUFS : 0;
}

void cc_give_back(struct tcp *t, struct tcp_conn *c)
{
	if (!tcp_cc(c)->has_record || c->cc_state.record == POOL_NONE)
		return;
	pool_free(&t->cc_records, c->cc_state.record);
	c->cc_state.record = POOL_NONE;
}

static void init(struct tcp *t, struct tcp_conn *c)
{
	c->pacing_rate = 0;
	tcp_cc(c)->init(t, c);
}

int cc_switch(struct tcp *t, struct tcp_conn *c, uint8_t cc)
{
	const struct cc_ops *before = tcp_cc(c);
	union cc_state state = c->cc_state;
	uint8_t was = c->cc;

	if (cc == c->cc)
		return 0;
	if (!cc_all[cc]->has_record)
		cc_give_back(t, c);
	c->cc = cc;
	/* A record that both would have stays. */
	if (!before->has_record)
		c->cc_state.record = POOL_NONE;
	if (take(t, c) != 0) {
		c->cc = was;
		c->cc_state = state;
		return -ENOBUFS;
	}
	if (c->state >= TCP_ESTABLISHED)
		init(t, c);
	return 0;
}

void cc_begin(struct tcp *t, struct tcp_conn *c)
{
	if (take(t, c) != 0) {
		t->counts[TCP_COUNT_CONGESTION_DEFAULT]++;
		c->cc = CC_DEFAULT;
	}
	init(t, c);
}

/* --- HyStart++ --- */

/* RFC 9406 section 4.3. */
#define MIN_RTT_THRESH (4 * NS_PER_MS)
#define MAX_RTT_THRESH (16 * NS_PER_MS)
#define N_RTT_SAMPLE 8u
#define CSS_GROWTH_DIVISOR 4u

void hystart_init(struct hystart *h)
{
	*h = (struct hystart){ .last_min_rtt = UINT32_MAX, .round_min_rtt = UINT32_MAX };
}

uint32_t hystart_facts(const struct hystart *h, struct cc_fact *out)
{
	/* Rounds of conservative slow start, and whether slow start has been left. */
	out[0] = (struct cc_fact){ "css_rounds", h->css_rounds };
	out[1] = (struct cc_fact){ "hystart_done", h->done };
	return 2;
}

static void hystart_round(struct hystart *h)
{
	h->last_min_rtt = h->round_min_rtt;
	h->round_min_rtt = UINT32_MAX;
	h->n_samples = 0;
	if (h->css_rounds > 0)
		h->css_rounds++;
}

static bool rtt_has_grown(const struct hystart *h, uint32_t n_samples)
{
	if (h->n_samples < n_samples || h->round_min_rtt == UINT32_MAX || h->last_min_rtt == UINT32_MAX)
		return false;
	uint64_t thresh = max_u64(MIN_RTT_THRESH, min_u64(h->last_min_rtt / 8, MAX_RTT_THRESH));

	return h->round_min_rtt >= h->last_min_rtt + thresh;
}

void slow_start(struct tcp_conn *c, struct hystart *h, const struct cc_sample *s)
{
	uint64_t more = min_u64(s->acked, s->growth_limit);

	if (s->round_began)
		hystart_round(h);
	if (s->rtt != 0 && !h->done) {
		h->round_min_rtt = (uint32_t)min_u64(h->round_min_rtt, s->rtt);
		h->n_samples += h->n_samples < UINT8_MAX;
	}
	if (h->css_rounds == 0) {
		/* Linux's, which has no second thought, takes one sample more. */
		if (!h->done && s->css_rounds == 0 && rtt_has_grown(h, N_RTT_SAMPLE + 1)) {
			c->ssthresh = c->cwnd;
			h->done = true;
			return;
		}
		if (!h->done && s->css_rounds > 0 && rtt_has_grown(h, N_RTT_SAMPLE)) {
			h->css_baseline = h->round_min_rtt;
			h->css_rounds = 1;
		}
	} else if (h->n_samples >= N_RTT_SAMPLE && h->round_min_rtt < h->css_baseline) {
		h->css_rounds = 0; /* it was noise */
	} else if (h->css_rounds > s->css_rounds) {
		c->ssthresh = c->cwnd;
		h->done = true;
		h->css_rounds = 0;
	}
	if (h->css_rounds > 0)
		more /= CSS_GROWTH_DIVISOR;
	c->cwnd += (uint32_t)more;
}
