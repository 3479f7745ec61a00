/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Before a connection: listeners, half open entries, cookies.
 *
 * A SYN costs an entry of at most 96 bytes, found by its tuple like everything else.
 * When the handshake is done the entry becomes a connection in its listener's accept
 * queue. When entries run out, or the listener has as many as its backlog, our
 * sequence number is a cookie (RFC 4987): nothing is kept, and what the SYN said comes
 * back with the acknowledgement. What a cookie has no room for (window scale, SACK,
 * ECN) is in the low six bits of our timestamp; a SYN without timestamps does without
 * them.
 *
 * When the accept queue is full the handshake's last acknowledgement is not heard: the
 * SYN+ACK is sent again, and by then there may be room.
 *
 * Next: src/stack/transport/tcp_input.c
 */
#include <errno.h>

#include "stack/ip/local.h"
#include "stack/transport/tcp_md5.h"

#define SYNACK_FIRST NS_PER_S
/* The low bits of a timestamp that goes with a cookie: the other end's scale, or 15 for none; SACK; ECN. */
#define COOKIE_TS_BITS 6u
#define COOKIE_TS_MASK 0x3fu
#define COOKIE_NO_SCALE 15u
#define COOKIE_SACK 0x10u
#define COOKIE_ECN 0x20u

static struct tcp_listener *listener_of(const struct tcp *t, uint32_t index)
{
	return pool_at(&t->listeners, index);
}

/* --- listeners --- */

static bool clashes(struct tcp *t, uint16_t zone, const struct tcp_end *local, const struct tcp_listen_options *o)
{
	for (uint32_t i = t->listener_of[local->port % TCP_PORT_BUCKETS]; i != POOL_NONE;) {
		const struct tcp_listener *l = listener_of(t, i);

		i = l->next;
		if (l->port != local->port || l->zone != zone)
			continue;
		if (l->addr != local->addr.v4 && l->addr != 0 && local->addr.v4 != 0)
			continue;
		uint32_t ifindex = tcp_rare_at(t, l->rare)->ifindex;

		/* Each hears by another interface. */
		if (ifindex != 0 && o->ifindex != 0 && ifindex != o->ifindex)
			continue;
		if (!o->reuse_port || !l->reuse_port)
			return true;
	}
	return false;
}

int tcp_listen(struct tcp *t, uint16_t zone, const struct tcp_end *local, const struct tcp_listen_options *o,
	       uint64_t user, struct tcp_listener **out)
{
	if (clashes(t, zone, local, o))
		return -EADDRINUSE;
	uint32_t index = pool_alloc(&t->listeners);

	if (index == POOL_NONE)
		return -ENOBUFS;
	struct tcp_listener *l = listener_of(t, index);
	uint32_t *bucket = &t->listener_of[local->port % TCP_PORT_BUCKETS];

	*l = (struct tcp_listener){
		.port = local->port,
		.zone = zone,
		.addr = local->addr.v4,
		.index = index,
		.next = *bucket,
		.open = true,
		.first_accept = POOL_NONE,
		.last_accept = POOL_NONE,
		.rare = POOL_NONE,
		.user = user,
		.sndbuf = t->cfg.sndbuf,
		.rcvbuf = t->cfg.rcvbuf,
		.cc = tcp_default_cc(t),
		.o = &tcp_no_options,
	};
	tcp_listen_change(l, o);
	*bucket = index;
	(void)ip_port_open(t->ip, IPPROTO_NR_TCP, l->addr, l->port, IP_PORT_BOUND);
	(void)ip_port_open(t->ip, IPPROTO_NR_TCP, l->addr, l->port, IP_PORT_LISTENING);
	*out = l;
	return 0;
}

void tcp_listen_change(struct tcp_listener *l, const struct tcp_listen_options *o)
{
	l->backlog = o->backlog;
	l->reuse_port = o->reuse_port;
	l->defer_accept = o->defer_accept;
}

void tcp_listen_hold(struct tcp_listener *l, uint32_t n)
{
	l->n_held = n;
}

uint32_t tcp_accept_waiting(const struct tcp_listener *l)
{
	return l->n_accept + l->n_held;
}

static bool is_full(const struct tcp_listener *l)
{
	return tcp_accept_waiting(l) > l->backlog;
}

static void half_open_free(struct tcp *t, struct tcp_half_open *h)
{
	timer_disarm(&t->half_open_wheel, h->index);
	tcp_remove(t, &h->node);
	tcp_syn_forget(t, &h->saved_syn);
	listener_of(t, h->listener)->n_half_open--;
	pool_free(&t->half_open, h->index);
}

/* All half open ones of a listener: seldom, so it looks at each there is. */
static void drop_half_open(struct tcp *t, const struct tcp_listener *l)
{
	for (uint32_t i = 0; i < t->half_open.n_fresh && l->n_half_open > 0; i++) {
		struct tcp_half_open *h = pool_at(&t->half_open, i);

		if (h->node.is_in && h->listener == l->index)
			half_open_free(t, h);
	}
}

void tcp_close_listening(struct tcp *t, const struct tcp_listener *l)
{
	ip_port_close(t->ip, IPPROTO_NR_TCP, l->addr, l->port, IP_PORT_LISTENING);
	ip_port_close(t->ip, IPPROTO_NR_TCP, l->addr, l->port, IP_PORT_BOUND);
}

void tcp_unlisten(struct tcp *t, struct tcp_listener *l)
{
	struct tcp_conn *c;
	uint32_t *at = &t->listener_of[l->port % TCP_PORT_BUCKETS];

	drop_half_open(t, l);
	while ((c = tcp_accept(t, l, 0)) != NULL) {
		c->has_user = false;
		/* Reset by the other end while it waited: there is nobody to tell. */
		if (c->state == TCP_CLOSED) {
			tcp_pend(t, c);
			continue;
		}
		tcp_reset(t, c, TCP_REASON_BACKLOG);
		tcp_conn_end(t, c, TCP_REASON_BACKLOG, 0);
	}
	while (*at != l->index)
		at = &listener_of(t, *at)->next;
	*at = l->next;
	if (captures_any(t->captures))
		tcp_capture_closing(t, l);
	l->open = false;
	tcp_close_listening(t, l);
	tcp_options_share(t, &l->o, &tcp_no_options);
	tcp_rare_release(t, &l->rare);
	pool_free(&t->listeners, l->index);
	tcp_send_pending(t);
}

bool tcp_acceptable(const struct tcp_listener *l)
{
	return l->first_accept != POOL_NONE;
}

struct tcp_conn *tcp_accept(struct tcp *t, struct tcp_listener *l, uint64_t user)
{
	if (l->first_accept == POOL_NONE)
		return NULL;
	struct tcp_conn *c = tcp_conn_at(t, l->first_accept);

	l->first_accept = c->waits.next_accept;
	if (l->first_accept == POOL_NONE)
		l->last_accept = POOL_NONE;
	l->n_accept--;
	c->is_waiting = false;
	tcp_set_conn_user(c, user);
	return c;
}

static void queue_accept(struct tcp *t, struct tcp_listener *l, struct tcp_conn *c)
{
	c->is_waiting = true;
	c->waits.listener = l->index;
	c->waits.next_accept = POOL_NONE;
	*(l->last_accept == POOL_NONE ? &l->first_accept : &tcp_conn_at(t, l->last_accept)->waits.next_accept) =
		c->index;
	l->last_accept = c->index;
	l->n_accept++;
	if (t->user.acceptable != NULL)
		t->user.acceptable(t->user_ctx, l->user);
}

/* --- SYN --- */

struct syn_facts {
	uint32_t ts_offset; /* of our timestamps */
	uint16_t mss;
	uint8_t snd_scale, rcv_scale;
	bool sack_ok, ts_ok, wscale_ok, ecn_ok;
};

static struct syn_facts facts_of(const struct tcp *t, const struct tcp_listener *l, const struct tcp_node *n,
				 const struct packet *p, const struct tcp_options *o)
{
	bool wscale_ok = t->cfg.window_scaling && o->has_wscale;

	return (struct syn_facts){
		.ts_offset = tcp_ts_offset(t, n),
		.mss = (uint16_t)max_u32(o->has_mss ? o->mss : TCP_MSS_DEFAULT, TCP_MSS_MIN),
		.wscale_ok = wscale_ok,
		.snd_scale = wscale_ok ? o->wscale : 0,
		.rcv_scale = wscale_ok ? tcp_scale_for(max_u32(l->rcvbuf, t->cfg.rcvbuf_max)) : 0,
		.sack_ok = t->cfg.sack && o->has_sack_ok,
		.ts_ok = t->cfg.timestamps && o->has_timestamp && tcp_md5_for(t, l->rare, p->ip.src) == NULL,
		/* RFC 3168 section 6.1.1: both bits ask for it; AccECN's third bit is not ours to answer. */
		.ecn_ok = t->cfg.ecn != 0 && (p->l4.flags & (TCP_ECE | TCP_CWR)) == (TCP_ECE | TCP_CWR),
	};
}

static void send_synack(struct tcp *t, const struct tcp_node *n, const struct tcp_listener *l,
			const struct syn_facts *f, uint32_t iss, uint32_t irs, uint32_t ts_val, uint32_t ts_ecr)
{
	struct tcp_bare s = {
		.seq = iss,
		.ack = irs + 1,
		.window = (uint16_t)tcp_syn_window(l->rcvbuf, l->o->window_clamp),
		.mss = tcp_own_mss(t, n, l->rare),
		.wscale = f->wscale_ok ? (int8_t)f->rcv_scale : -1,
		.flags = (uint8_t)(TCP_SYN | TCP_ACK | (f->ecn_ok ? TCP_ECE : 0)),
		.has_ts = f->ts_ok,
		.sack_ok = f->sack_ok,
		.ts_val = ts_val,
		.ts_ecr = ts_ecr,
		.tos = l->told.tos,
		.ttl = l->told.ttl,
		.rare = l->rare,
	};

	if (l->o->user_mss != 0)
		s.mss = (uint16_t)min_u32(s.mss, l->o->user_mss);
	tcp_send_bare(t, n, &s);
}

static uint32_t ts_of(const struct tcp *t, const struct syn_facts *f)
{
	return (uint32_t)(t->env->now / TCP_TS_NS) + f->ts_offset;
}

static void send_cookie(struct tcp *t, struct tcp_listener *l, const struct tcp_node *n, const struct packet *p,
			const struct tcp_options *o)
{
	struct syn_facts f = facts_of(t, l, n, p, o);
	uint32_t ts = ts_of(t, &f);

	if (f.ts_ok) {
		uint32_t bits = (f.wscale_ok ? f.snd_scale : COOKIE_NO_SCALE) | (f.sack_ok ? COOKIE_SACK : 0) |
				(f.ecn_ok ? COOKIE_ECN : 0);
		uint32_t with = (ts & ~COOKIE_TS_MASK) | bits;

		/* Never of the future. */
		ts = seq_after(with, ts) ? with - (1u << COOKIE_TS_BITS) : with;
	} else {
		f.wscale_ok = f.sack_ok = f.ecn_ok = false;
	}
	t->counts[TCP_COUNT_COOKIES_SENT]++;
	send_synack(t, n, l, &f, tcp_cookie_make(t, n, p->l4.seq, f.mss), p->l4.seq, ts, o->ts_val);
}

static struct syn_facts facts_kept(const struct tcp_half_open *h)
{
	return (struct syn_facts){
		.ts_offset = h->ts_offset,
		.mss = h->mss,
		.snd_scale = h->snd_scale,
		.rcv_scale = h->rcv_scale,
		.sack_ok = h->sack_ok,
		.ts_ok = h->ts_ok,
		.wscale_ok = h->wscale_ok,
		.ecn_ok = h->ecn_ok,
	};
}

static void synack_again(struct tcp *t, struct tcp_half_open *h)
{
	struct syn_facts f = facts_kept(h);

	send_synack(t, &h->node, listener_of(t, h->listener), &f, h->iss, h->irs, ts_of(t, &f), h->ts_recent);
}

void tcp_listen_syn(struct tcp *t, struct tcp_listener *l, struct tcp_node *n, struct packet *p,
		    const struct tcp_options *o, uint32_t iss)
{
	struct syn_facts f = facts_of(t, l, n, p, o);
	uint32_t index = POOL_NONE;

	/* Nobody would be accepted. */
	if (is_full(l)) {
		t->counts[TCP_COUNT_LISTEN_OVERFLOWED]++;
		return;
	}
	if (l->n_half_open <= l->backlog)
		index = pool_alloc(&t->half_open);
	if (index == POOL_NONE) {
		if (t->cfg.syncookies)
			send_cookie(t, l, n, p, o);
		else
			t->counts[TCP_COUNT_LISTEN_DROPPED]++;
		return;
	}
	struct tcp_half_open *h = pool_at(&t->half_open, index);

	*h = (struct tcp_half_open){
		.node = *n,
		.iss = iss,
		.irs = p->l4.seq,
		.ts_recent = o->ts_val,
		.listener = l->index,
		.mss = f.mss,
		.snd_scale = f.snd_scale,
		.rcv_scale = f.rcv_scale,
		.sack_ok = f.sack_ok,
		.ts_ok = f.ts_ok,
		.wscale_ok = f.wscale_ok,
		.ecn_ok = f.ecn_ok,
		.n_sent = 1,
		.at = t->env->now,
		.ts_offset = f.ts_offset,
		.index = index,
		.saved_syn = tcp_syn_save(t, l, p),
	};
	timer_node_init(&h->timer);
	l->n_half_open++;
	tcp_insert(t, &h->node, TCP_KIND_HALF_OPEN, index);
	timer_arm(&t->half_open_wheel, index, t->env->now + SYNACK_FIRST);
	synack_again(t, h);
}

void tcp_half_open_expire(void *ctx, uint32_t index, uint64_t now)
{
	struct tcp *t = ctx;
	struct tcp_half_open *h = pool_at(&t->half_open, index);

	bool is_deferred = h->acked && now - h->at < listener_of(t, h->listener)->defer_accept * NS_PER_S;

	if (h->n_sent > t->cfg.synack_retries && !is_deferred) {
		half_open_free(t, h);
		return;
	}
	/* Data is waited for: until then the other end is not asked again for what it has said; behind that, it is, and
	 * accepted without data. */
	if (!is_deferred) {
		t->counts[TCP_COUNT_RETRANSMITTED]++;
		synack_again(t, h);
	}
	timer_arm(&t->half_open_wheel, index, now + min_u64(SYNACK_FIRST << min_u32(h->n_sent, 7), t->cfg.rto_max));
	h->n_sent += h->n_sent < UINT8_MAX;
}

/* --- the last step of the handshake --- */

/* NULL: no room; the other end will come again. */
static struct tcp_conn *make_conn(struct tcp *t, struct tcp_listener *l, const struct tcp_node *n,
				  const struct syn_facts *f, uint32_t iss, uint32_t irs, uint32_t ts_recent)
{
	struct tcp_conn *c = is_full(l) ? NULL : tcp_conn_new(t);

	if (c != NULL && !tcp_rare_inherit(t, l, n->raddr, &c->rare)) {
		tcp_conn_free(t, c);
		c = NULL;
	}
	if (c == NULL) {
		t->counts[TCP_COUNT_LISTEN_OVERFLOWED]++;
		return NULL;
	}
	c->node = *n;
	c->state = TCP_SYN_RECEIVED;
	tcp_conn_share(t, c, l);
	c->iss = c->snd_una = iss;
	c->snd_nxt = c->write_seq = iss + 1;
	c->irs = irs;
	c->segs_in = 1; /* the SYN; the answer counts as nobody's, as in Linux */
	c->rcv_nxt = c->rcv_up = c->last_ack_sent = irs + 1;
	c->rcv_adv = c->rcv_nxt + tcp_syn_window(l->rcvbuf, l->o->window_clamp);
	c->sack_ok = f->sack_ok;
	c->ts_ok = f->ts_ok;
	c->wscale_ok = f->wscale_ok;
	c->ecn_ok = f->ecn_ok;
	c->snd_scale = f->snd_scale;
	c->rcv_scale = f->rcv_scale;
	c->ts_recent = ts_recent;
	c->ts_recent_s = (uint32_t)(t->env->now / NS_PER_S);
	c->ts_offset = f->ts_offset;
	tcp_take_way(t, c);
	c->mss_peer = f->mss;
	tcp_set_mss(t, c);
	tcp_rtt_init(c);
	return c;
}

/* It is in the table. */
static void start_conn(struct tcp *t, struct tcp_listener *l, struct tcp_conn *c, struct packet *p,
		       const struct tcp_options *o)
{
	t->counts[TCP_COUNT_PASSIVE_OPENS]++;
	queue_accept(t, l, c);
	tcp_conn_input(t, c, p, o);
	/* The window of the handshake was small. */
	tcp_pend(t, c);
}

void tcp_half_open_input(struct tcp *t, struct tcp_half_open *h, struct packet *p, const struct tcp_options *o)
{
	struct tcp_listener *l = listener_of(t, h->listener);
	uint8_t flags = p->l4.flags & (TCP_SYN | TCP_ACK | TCP_RST);
	bool is_old = h->ts_ok && o->has_timestamp && seq_before(o->ts_val, h->ts_recent);
	bool is_next = p->l4.seq == h->irs + 1;

	if (tcp_refuses(t, p, o, l->rare, l->o->min_ttl))
		return;
	if (flags & TCP_RST) {
		t->resets_in[is_next ? TCP_RESET_IN_HALF_OPEN : TCP_RESET_IN_OUT_OF_WINDOW]++;
		if (is_next)
			half_open_free(t, h);
		return;
	}
	/* The SYN again, or something out of the window: the answer again (section 3.10.7.4, first). */
	if (p->l4.seq == h->irs && flags == TCP_SYN) {
		synack_again(t, h);
		return;
	}
	if (is_old || !tcp_in_window(h->irs + 1, h->irs + 1 + tcp_syn_window(l->rcvbuf, l->o->window_clamp), p->l4.seq,
				     tcp_length_of(p))) {
		synack_again(t, h);
		return;
	}
	if (flags & TCP_SYN) {
		synack_again(t, h);
		return;
	}
	if (!(flags & TCP_ACK))
		return;
	if (p->l4.ack != h->iss + 1) {
		tcp_answer_reset(t, p, TCP_REASON_BAD_ACK, l->rare);
		return;
	}
	if (l->defer_accept > 0 && p->l4.payload_len == 0 && !(p->l4.flags & TCP_FIN) &&
	    t->env->now - h->at < l->defer_accept * NS_PER_S) {
		h->acked = true;
		return;
	}
	struct syn_facts f = facts_kept(h);
	struct tcp_conn *c =
		make_conn(t, l, &h->node, &f, h->iss, h->irs, is_next && o->has_timestamp ? o->ts_val : h->ts_recent);

	if (c == NULL)
		return;
	c->last_sent = h->n_sent == 1 ? h->at : 0;
	c->n_rtx = (uint8_t)(h->n_sent - 1);
	if (h->saved_syn != POOL_NONE)
		tcp_rare_get(t, &c->rare)->saved_syn = h->saved_syn;
	h->saved_syn = POOL_NONE;
	tcp_replace(t, &h->node, &c->node, TCP_KIND_CONN, c->index);
	half_open_free(t, h);
	start_conn(t, l, c, p, o);
}

bool tcp_listen_cookie(struct tcp *t, struct tcp_listener *l, struct tcp_node *n, struct packet *p,
		       const struct tcp_options *o)
{
	/* Long enough after the last one was sent none can come back. */
	if (t->cookie_since == 0 || t->env->now - t->cookie_since > 2 * 64 * NS_PER_S)
		return false;
	uint32_t irs = p->l4.seq - 1;
	uint16_t mss = tcp_cookie_check(t, n, irs, p->l4.ack - 1);

	if (mss == 0) {
		t->counts[TCP_COUNT_COOKIES_REFUSED]++;
		return false;
	}
	struct syn_facts f = { .ts_offset = tcp_ts_offset(t, n),
			       .mss = mss,
			       .ts_ok = t->cfg.timestamps && o->has_timestamp };

	if (f.ts_ok) {
		uint32_t bits = o->ts_ecr & COOKIE_TS_MASK;

		f.wscale_ok = (bits & 15) != COOKIE_NO_SCALE;
		f.snd_scale = f.wscale_ok ? (uint8_t)(bits & 15) : 0;
		f.rcv_scale = f.wscale_ok ? tcp_scale_for(max_u32(l->rcvbuf, t->cfg.rcvbuf_max)) : 0;
		f.sack_ok = (bits & COOKIE_SACK) != 0;
		f.ecn_ok = (bits & COOKIE_ECN) != 0;
	}
	struct tcp_conn *c = make_conn(t, l, n, &f, p->l4.ack - 1, irs, o->ts_val);

	if (c == NULL)
		return true;
	t->counts[TCP_COUNT_COOKIES_TAKEN]++;
	c->n_rtx = 1; /* how long the handshake took nobody knows */
	tcp_insert(t, &c->node, TCP_KIND_CONN, c->index);
	start_conn(t, l, c, p, o);
	return true;
}
