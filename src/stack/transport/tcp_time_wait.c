/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Behind a connection: TIME_WAIT (RFC 9293 section 3.6.1), where whoever closed first
 * waits for twice the longest life of a segment. It is there for two reasons: the
 * other end's FIN, if its acknowledgement was lost, must find somebody who
 * acknowledges it again; and old segments must not be taken for those of a new
 * connection with the same four-tuple.
 *
 * All that is needed for both is a record of 64 bytes. There is a number of them; when
 * all are in use the oldest goes, counted. They end in the order in which they began,
 * so a list is their clock.
 *
 * A new SYN on the tuple is let in early when it cannot be an old one: its timestamp
 * is newer, or its number is beyond the window (RFC 6191, RFC 1122 section 4.2.2.13).
 * So may we ourselves open it again (RFC 6191 section 2): a second must have passed, so
 * that our timestamp is newer than any that we sent. There is no rule for hosts as a
 * whole: behind one address may be many, each with a clock of its own, and then such
 * a rule refuses all but one (Linux's tcp_tw_recycle did).
 *
 * A reset does not end it (RFC 1337).
 */
#include "stack/transport/tcp_md5.h"

static struct tcp_time_wait *at(const struct tcp *t, uint32_t index)
{
	return pool_at(&t->time_wait, index);
}

static void list_remove(struct tcp *t, struct tcp_time_wait *w)
{
	*(w->older == POOL_NONE ? &t->time_wait_oldest : &at(t, w->older)->newer) = w->newer;
	*(w->newer == POOL_NONE ? &t->time_wait_newest : &at(t, w->newer)->older) = w->older;
}

static void list_append(struct tcp *t, struct tcp_time_wait *w, uint32_t index)
{
	w->expires = t->env->now + t->cfg.time_wait;
	w->older = t->time_wait_newest;
	w->newer = POOL_NONE;
	*(t->time_wait_newest == POOL_NONE ? &t->time_wait_oldest : &at(t, t->time_wait_newest)->newer) = index;
	t->time_wait_newest = index;
}

void tcp_time_wait_free(struct tcp *t, uint32_t index)
{
	struct tcp_time_wait *w = at(t, index);

	list_remove(t, w);
	tcp_remove(t, &w->node);
	tcp_md5_free(t, w->md5);
	pool_free(&t->time_wait, index);
}

void tcp_time_wait_begin(struct tcp *t, struct tcp_conn *c)
{
	uint32_t index = pool_alloc(&t->time_wait);

	if (index == POOL_NONE && t->time_wait_oldest != POOL_NONE) {
		t->counts[TCP_COUNT_TIME_WAIT_EVICTED]++;
		tcp_time_wait_free(t, t->time_wait_oldest);
		index = pool_alloc(&t->time_wait);
	}
	if (index == POOL_NONE) {
		tcp_conn_end(t, c, TCP_REASON_CLOSED, 0);
		return;
	}
	struct tcp_time_wait *w = at(t, index);

	*w = (struct tcp_time_wait){
		.snd_nxt = c->snd_nxt,
		.rcv_nxt = c->rcv_nxt,
		.rcv_wnd = seq_after(c->rcv_adv, c->rcv_nxt) ? c->rcv_adv - c->rcv_nxt : 0,
		.ts_recent = c->ts_recent,
		.ts_recent_s = c->ts_recent_s,
		.rcv_scale = c->rcv_scale & 15,
		.ts_ok = c->ts_ok,
		.ifindex = (uint8_t)tcp_rare_at(t, c->rare)->ifindex & 127,
		.side = c->side & 7,
		.reuse_addr = c->reuse_addr,
	};

	if (c->rare != POOL_NONE)
		w->md5 = tcp_md5_detach(t, &tcp_rare_get(t, &c->rare)->md5, c->node.raddr);
	tcp_replace(t, &c->node, &w->node, TCP_KIND_TIME_WAIT, index);
	list_append(t, w, index);
	tcp_conn_end(t, c, TCP_REASON_CLOSED, 0);
}

static void answer(struct tcp *t, const struct tcp_time_wait *w)
{
	struct tcp_bare s = {
		.seq = w->snd_nxt,
		.ack = w->rcv_nxt,
		.window = (uint16_t)min_u32(w->rcv_wnd >> w->rcv_scale, UINT16_MAX),
		.wscale = -1,
		.flags = TCP_ACK,
		.has_ts = w->ts_ok,
		.ts_val = (uint32_t)(t->env->now / TCP_TS_NS) + tcp_ts_offset(t, &w->node),
		.ts_ecr = w->ts_recent,
		.rare = POOL_NONE,
		.ifindex = w->ifindex,
		.key = tcp_md5_at(t, w->md5),
	};

	tcp_send_bare(t, &w->node, &s);
}

bool tcp_time_wait_may_reuse(const struct tcp *t, const struct tcp_time_wait *w)
{
	return w->ts_ok && (uint32_t)(t->env->now / NS_PER_S) > w->ts_recent_s;
}

bool tcp_time_wait_input(struct tcp *t, uint32_t index, struct packet *p, const struct tcp_options *o, uint32_t *iss)
{
	struct tcp_time_wait *w = at(t, index);
	uint8_t flags = p->l4.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
	bool has_newer_ts = w->ts_ok && o->has_timestamp && seq_after(o->ts_val, w->ts_recent);
	bool is_paws_old = w->ts_ok && o->has_timestamp && seq_before(o->ts_val, w->ts_recent);

	if (w->md5 != 0 && tcp_md5_refuses(p, o, tcp_md5_at(t, w->md5)))
		return false;
	if (flags & TCP_RST) {
		t->resets_in[TCP_RESET_IN_TIME_WAIT]++;
		return false;
	}
	if (flags == TCP_SYN && !is_paws_old && iss != NULL && (has_newer_ts || seq_after(p->l4.seq, w->rcv_nxt))) {
		/* Beyond whatever the old connection may have sent. */
		uint32_t beyond = w->snd_nxt + UINT16_MAX + 2;

		*iss = tcp_isn(t, &w->node);
		if (seq_before(*iss, beyond))
			*iss = beyond;
		t->counts[TCP_COUNT_TIME_WAIT_REUSED]++;
		tcp_time_wait_free(t, index);
		return true;
	}
	/* RFC 9293: the only thing that can come is the FIN again; it begins the wait again. */
	if ((flags & TCP_FIN) && !is_paws_old && p->l4.seq + p->l4.payload_len + 1 == w->rcv_nxt) {
		list_remove(t, w);
		list_append(t, w, index);
		answer(t, w);
		return false;
	}
	/* An acknowledgement of what stands is not answered: it would go on for ever. */
	if (flags == TCP_ACK && p->l4.payload_len == 0 && p->l4.seq == w->rcv_nxt)
		return false;
	answer(t, w);
	return false;
}

void tcp_time_wait_expire(struct tcp *t)
{
	while (t->time_wait_oldest != POOL_NONE && at(t, t->time_wait_oldest)->expires <= t->env->now)
		tcp_time_wait_free(t, t->time_wait_oldest);
}
