/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a connection or a listener is told, by the names of enum tcp_option; and
 * questions of whoever has it that take no part in TCP's work.
 *
 * Both keep the same values: a listener's are those that its connections begin with.
 * What is set on a connection that stands takes effect at the end of the call.
 *
 * Next: src/stack/transport/tcp.c
 */
#include <errno.h>

#include "stack/transport/tcp_rare.h"

const struct tcp_user_options tcp_no_options;

/* Of either. */
struct told {
	struct tcp_told *told;
	const struct tcp_user_options **o;
	uint32_t *sndbuf, *rcvbuf, *rare;
	uint8_t *cc;
};

static struct tcp_user_options *writable(const struct tcp_user_options *o)
{
	return (struct tcp_user_options *)(uintptr_t)o;
}

void tcp_options_share(struct tcp *t, const struct tcp_user_options **at, const struct tcp_user_options *o)
{
	if (o != &tcp_no_options)
		writable(o)->n_users++;
	if (*at != &tcp_no_options && --writable(*at)->n_users == 0)
		pool_free(&t->options, (*at)->index);
	*at = o;
}

/* A record that nobody else has. There are as many as may have one. */
static struct tcp_user_options *own(struct tcp *t, struct told w)
{
	if (*w.o == &tcp_no_options || (*w.o)->n_users > 1) {
		uint32_t index = pool_alloc(&t->options);
		struct tcp_user_options *mine = pool_at(&t->options, index);

		*mine = **w.o;
		mine->index = index;
		mine->n_users = 0;
		tcp_options_share(t, w.o, mine);
	}
	return writable(*w.o);
}

/* What few set. */
static void set_rare(struct tcp *t, struct told w, enum tcp_option o, uint64_t value)
{
	struct tcp_rare *r = tcp_rare_get(t, w.rare);

	switch (o) {
	case TCP_OPTION_MARK:
		r->mark = (uint32_t)value;
		break;
	case TCP_OPTION_DEVICE:
		r->ifindex = (uint32_t)value;
		break;
	case TCP_OPTION_RECV_ERROR:
		r->recv_error = value != 0;
		break;
	case TCP_OPTION_SAVE_SYN:
		r->save_syn = (uint8_t)value;
		break;
	case TCP_OPTION_MAX_PACING_RATE:
		r->max_pacing_rate = value;
		break;
	case TCP_OPTION_PMTU:
		r->pmtu = (uint8_t)value;
		break;
	default:
		break;
	}
}

/* What is looked at for each segment. False: it is none of that. */
static bool set_told(struct told w, enum tcp_option which, uint64_t value)
{
	switch (which) {
	case TCP_OPTION_NODELAY:
		w.told->nodelay = value != 0;
		return true;
	case TCP_OPTION_CORK:
		w.told->cork = value != 0;
		return true;
	case TCP_OPTION_QUICKACK:
		w.told->no_quickack = value == 0;
		return true;
	case TCP_OPTION_KEEPALIVE:
		w.told->keepalive = value != 0;
		return true;
	case TCP_OPTION_SNDBUF:
		*w.sndbuf = (uint32_t)value;
		w.told->sndbuf_set = true;
		return true;
	case TCP_OPTION_RCVBUF:
		*w.rcvbuf = (uint32_t)value;
		w.told->rcvbuf_set = true;
		return true;
	case TCP_OPTION_LINGER:
		w.told->linger = value != 0;
		return true;
	case TCP_OPTION_OOB_INLINE:
		w.told->oob_inline = value != 0;
		return true;
	case TCP_OPTION_TOS:
		w.told->tos = (uint8_t)value;
		return true;
	case TCP_OPTION_TTL:
		w.told->ttl = (uint8_t)value;
		return true;
	default:
		return false;
	}
}

static void set(struct tcp *t, struct told w, enum tcp_option which, uint64_t value)
{
	if (set_told(w, which, value))
		return;
	struct tcp_user_options *o = own(t, w);

	switch (which) {
	case TCP_OPTION_MAXSEG:
		o->user_mss = (uint16_t)value;
		break;
	case TCP_OPTION_KEEPALIVE_TIME:
		o->keepalive_time = value;
		break;
	case TCP_OPTION_KEEPALIVE_INTERVAL:
		o->keepalive_interval = value;
		break;
	case TCP_OPTION_KEEPALIVE_PROBES:
		o->keepalive_probes = (uint8_t)value;
		break;
	case TCP_OPTION_SYN_RETRIES:
		o->syn_retries = (uint8_t)value;
		break;
	case TCP_OPTION_LINGER2:
		o->linger2 = value;
		break;
	case TCP_OPTION_WINDOW_CLAMP:
		o->window_clamp = (uint32_t)value;
		break;
	case TCP_OPTION_USER_TIMEOUT:
		o->user_timeout = value;
		break;
	case TCP_OPTION_NOTSENT_LOWAT:
		o->notsent_lowat = (uint32_t)value;
		break;
	case TCP_OPTION_RCV_LOWAT:
		o->rcv_lowat = (uint32_t)value;
		break;
	case TCP_OPTION_LINGER_S:
		o->linger_s = (uint32_t)value;
		break;
	case TCP_OPTION_MIN_TTL:
		o->min_ttl = (uint8_t)value;
		break;
	default:
		break;
	}
}

static uint64_t or_config(uint64_t value, uint64_t config)
{
	return value != 0 ? value : config;
}

static uint64_t get(const struct tcp *t, struct told w, enum tcp_option o)
{
	const struct tcp_config *cfg = &t->cfg;
	const struct tcp_rare *r = tcp_rare_at(t, *w.rare);

	switch (o) {
	case TCP_OPTION_NODELAY:
		return w.told->nodelay;
	case TCP_OPTION_CORK:
		return w.told->cork;
	case TCP_OPTION_QUICKACK:
		return !w.told->no_quickack;
	case TCP_OPTION_MAXSEG:
		return (*w.o)->user_mss;
	case TCP_OPTION_KEEPALIVE:
		return w.told->keepalive;
	case TCP_OPTION_KEEPALIVE_TIME:
		return or_config((*w.o)->keepalive_time, cfg->keepalive_time);
	case TCP_OPTION_KEEPALIVE_INTERVAL:
		return or_config((*w.o)->keepalive_interval, cfg->keepalive_interval);
	case TCP_OPTION_KEEPALIVE_PROBES:
		return or_config((*w.o)->keepalive_probes, cfg->keepalive_probes);
	case TCP_OPTION_SYN_RETRIES:
		return or_config((*w.o)->syn_retries, cfg->syn_retries);
	case TCP_OPTION_LINGER2:
		return or_config((*w.o)->linger2, cfg->fin_timeout);
	case TCP_OPTION_WINDOW_CLAMP:
		return (*w.o)->window_clamp;
	case TCP_OPTION_USER_TIMEOUT:
		return (*w.o)->user_timeout;
	case TCP_OPTION_NOTSENT_LOWAT:
		return (*w.o)->notsent_lowat;
	case TCP_OPTION_RCV_LOWAT:
		return or_config((*w.o)->rcv_lowat, 1);
	case TCP_OPTION_SNDBUF:
		return *w.sndbuf;
	case TCP_OPTION_RCVBUF:
		return *w.rcvbuf;
	case TCP_OPTION_LINGER:
		return w.told->linger;
	case TCP_OPTION_LINGER_S:
		return (*w.o)->linger_s;
	case TCP_OPTION_OOB_INLINE:
		return w.told->oob_inline;
	case TCP_OPTION_TOS:
		return w.told->tos;
	case TCP_OPTION_TTL:
		return w.told->ttl;
	case TCP_OPTION_MIN_TTL:
		return (*w.o)->min_ttl;
	case TCP_OPTION_MARK:
		return r->mark;
	case TCP_OPTION_DEVICE:
		return r->ifindex;
	case TCP_OPTION_RECV_ERROR:
		return r->recv_error;
	case TCP_OPTION_SAVE_SYN:
		return r->save_syn;
	case TCP_OPTION_MAX_PACING_RATE:
		return r->max_pacing_rate;
	case TCP_OPTION_PMTU:
		return r->pmtu;
	case N_TCP_OPTIONS:
		break;
	}
	return 0;
}

static struct told of_conn(const struct tcp_conn *const_c)
{
	struct tcp_conn *c = (struct tcp_conn *)(uintptr_t)const_c;

	return (struct told){ &c->told, &c->o, &c->sndbuf, &c->rcvbuf, &c->rare, &c->cc };
}

static struct told of_listener(const struct tcp_listener *const_l)
{
	struct tcp_listener *l = (struct tcp_listener *)(uintptr_t)const_l;

	return (struct told){ &l->told, &l->o, &l->sndbuf, &l->rcvbuf, &l->rare, &l->cc };
}

static void tell(struct tcp *t, struct told w, enum tcp_option o, uint64_t value)
{
	/* What is as before needs no place to be kept in. */
	if (o < TCP_OPTIONS_RARE)
		set(t, w, o, value);
	else if (get(t, w, o) != value)
		set_rare(t, w, o, value);
}

/* A buffer that can hold as much as is waited for (as Linux's tcp_set_rcvlowat). */
static uint64_t make_room(struct tcp_conn *c, uint64_t bytes)
{
	if (c->told.rcvbuf_set)
		return min_u64(bytes, c->rcvbuf / 2);
	c->rcvbuf = max_u32(c->rcvbuf, 2 * (uint32_t)bytes);
	return bytes;
}

/* Acknowledgements are held back, or for a while they are not. */
static void set_quickack(struct tcp *t, struct tcp_conn *c)
{
	c->n_quick = c->told.no_quickack ? 0 : TCP_QUICK_ACKS;
	if (c->told.no_quickack || c->unacked == 0)
		return;
	c->ack_now = true;
	tcp_pend(t, c);
}

void tcp_set_option(struct tcp *t, struct tcp_conn *c, enum tcp_option o, uint64_t value)
{
	if (o == TCP_OPTION_RCV_LOWAT)
		value = make_room(c, value);
	tell(t, of_conn(c), o, value);
	if (c->state < TCP_ESTABLISHED)
		return;
	switch (o) {
	case TCP_OPTION_KEEPALIVE:
	case TCP_OPTION_KEEPALIVE_TIME:
		if (c->told.keepalive) {
			c->keep_at = max_u64(c->heard_at + tcp_option(t, c, TCP_OPTION_KEEPALIVE_TIME), t->env->now);
			tcp_rearm(t, c);
		}
		break;
	case TCP_OPTION_NODELAY:
	case TCP_OPTION_CORK:
		/* What was held back for more goes now; with TCP_NODELAY past a cork, as in Linux. */
		if ((value != 0) == (o == TCP_OPTION_NODELAY))
			c->more = false;
		if (o == TCP_OPTION_NODELAY && value != 0 && c->told.cork && c->flight->queue.n > 0)
			c->flight->cork_until = TCP_CORK_PASSED;
		tcp_pend(t, c);
		break;
	case TCP_OPTION_QUICKACK:
		set_quickack(t, c);
		break;
	case TCP_OPTION_NOTSENT_LOWAT:
		tcp_tell_room(t, c);
		break;
	case TCP_OPTION_RCV_LOWAT:
		c->ack_now |= tcp_window_update_due(t, c);
		tcp_pend(t, c);
		tcp_changed(t, c, TCP_CHANGED_IN);
		break;
	default:
		break;
	}
	tcp_send_pending(t);
}

uint64_t tcp_option(const struct tcp *t, const struct tcp_conn *c, enum tcp_option o)
{
	return get(t, of_conn(c), o);
}

void tcp_listener_set_option(struct tcp *t, struct tcp_listener *l, enum tcp_option o, uint64_t value)
{
	tell(t, of_listener(l), o, value);
}

uint64_t tcp_listener_option(const struct tcp *t, const struct tcp_listener *l, enum tcp_option o)
{
	return get(t, of_listener(l), o);
}

/* All but what few have. */
static void share(struct tcp *t, struct told to, struct told from)
{
	*to.told = *from.told;
	tcp_options_share(t, to.o, *from.o);
	*to.sndbuf = *from.sndbuf;
	*to.rcvbuf = *from.rcvbuf;
	*to.cc = *from.cc;
}

static void hand_over(struct tcp *t, struct told to, struct told from)
{
	share(t, to, from);
	*to.rare = *from.rare;
	*from.rare = POOL_NONE;
}

void tcp_listener_inherit(struct tcp *t, struct tcp_listener *l, struct tcp_conn *c)
{
	hand_over(t, of_listener(l), of_conn(c));
}

void tcp_conn_inherit(struct tcp *t, struct tcp_conn *c, struct tcp_listener *l)
{
	hand_over(t, of_conn(c), of_listener(l));
}

void tcp_conn_succeed(struct tcp *t, struct tcp_conn *c, struct tcp_conn *old)
{
	hand_over(t, of_conn(c), of_conn(old));
}

void tcp_conn_share(struct tcp *t, struct tcp_conn *c, const struct tcp_listener *l)
{
	share(t, of_conn(c), of_listener(l));
}

int tcp_set_congestion(struct tcp *t, struct tcp_conn *c, const char *name)
{
	int cc = cc_find(name);

	return cc < 0 ? -ENOENT : cc_switch(t, c, (uint8_t)cc);
}

const char *tcp_congestion(const struct tcp_conn *c)
{
	return tcp_cc(c)->name;
}

bool tcp_cc_info(const struct tcp *t, const struct tcp_conn *c, struct cc_bbr_info *out)
{
	if (tcp_cc(c)->info == NULL || c->state < TCP_ESTABLISHED)
		return false;
	tcp_cc(c)->info(t, c, out);
	return true;
}

int tcp_listener_set_congestion(struct tcp_listener *l, const char *name)
{
	int cc = cc_find(name);

	if (cc < 0)
		return -ENOENT;
	l->cc = (uint8_t)cc;
	return 0;
}

const char *tcp_listener_congestion(const struct tcp_listener *l)
{
	return cc_all[l->cc]->name;
}

void tcp_listener_set_defer(struct tcp_listener *l, uint8_t seconds)
{
	l->defer_accept = seconds;
}

/* --- questions --- */

uint32_t tcp_unread(const struct tcp_conn *c)
{
	return c->inbox.bytes;
}

uint32_t tcp_unacked(const struct tcp_conn *c)
{
	return c->state <= TCP_SYN_RECEIVED ? 0 : c->write_seq - c->snd_una;
}

uint32_t tcp_unsent(const struct tcp_conn *c)
{
	return c->state <= TCP_SYN_RECEIVED ? 0 : c->write_seq - c->snd_nxt;
}

uint32_t tcp_timestamp(const struct tcp *t, const struct tcp_conn *c)
{
	return c != NULL ? tcp_ts_now(t, c) : (uint32_t)(t->env->now / TCP_TS_NS);
}

static bool has_port(const struct tcp_node *n, uint16_t zone, const struct tcp_end *local)
{
	return n->lport == local->port && n->zone == zone && (local->addr.v4 == 0 || local->addr.v4 == n->laddr);
}

void tcp_set_reuse_addr(struct tcp_conn *c, bool reuse_addr)
{
	c->reuse_addr = reuse_addr;
}

bool tcp_port_is_used(const struct tcp *t, uint16_t zone, const struct tcp_end *local, bool is_shared)
{
	if (!ip_port_is_open(t->ip, IPPROTO_NR_TCP, local->port))
		return false;
	for (uint32_t i = 0; i < t->conns.n_fresh; i++) {
		const struct tcp_conn *c = tcp_conn_at(t, i);

		if (c->is_used && c->node.is_in && has_port(&c->node, zone, local) && !(is_shared && c->reuse_addr))
			return true;
	}
	for (uint32_t i = t->time_wait_oldest; i != POOL_NONE;) {
		const struct tcp_time_wait *w = pool_at(&t->time_wait, i);

		if (has_port(&w->node, zone, local) && !(is_shared && w->reuse_addr))
			return true;
		i = w->newer;
	}
	return false;
}
