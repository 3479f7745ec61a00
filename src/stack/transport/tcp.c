/* SPDX-License-Identifier: BSD-2-Clause
 *
 * TCP as an object, and what sockets ask of it.
 *
 * All memory is taken in tcp_create; a pool that is empty is an errno of whoever asks.
 * What the user does takes effect at the end of his call: one look at what may be
 * sent, for however many bytes he wrote.
 *
 * Next: src/stack/transport/tcp_queue.c for bytes that are written, tcp_output.c
 */
#include <errno.h>
#include <stdlib.h>

#include "stack/ip/route.h"
#include "stack/transport/tcp_input.h"
#include "stack/transport/tcp_priv.h"
#include "stack/transport/tcp_md5.h"

const struct tcp_config tcp_default_config = {
	.sndbuf = 87040,
	.sndbuf_max = 4 << 20,
	.rcvbuf = 131072,
	.rcvbuf_max = 6 << 20,
	.port_first = 32768,
	.port_last = 60999,
	.syn_retries = 6,
	.synack_retries = 5,
	.retries1 = 3,
	.retries2 = 15,
	.orphan_retries = 8,
	.keepalive_probes = 9,
	.keepalive_time = 7200 * NS_PER_S,
	.keepalive_interval = 75 * NS_PER_S,
	.fin_timeout = 60 * NS_PER_S,
	.time_wait = 60 * NS_PER_S,
	.rto_min = 200 * NS_PER_MS,
	.rto_max = 120 * NS_PER_S,
	.init_cwnd = 10,
	.growth_limit = 8,
	.css_rounds = 5,
	.min_tso_segs = 2,
	.mtu_probing = true,
	.timestamps = true,
	.window_scaling = true,
	.sack = true,
	.syncookies = true,
	.slow_start_after_idle = true,
	.ecn = 2,
	.congestion = "cubic",
};

const char *const tcp_state_names[N_TCP_STATES] = {
	[TCP_CLOSED] = "UNCONN",         [TCP_LISTEN] = "LISTEN",         [TCP_SYN_SENT] = "SYN-SENT",
	[TCP_SYN_RECEIVED] = "SYN-RECV", [TCP_ESTABLISHED] = "ESTAB",     [TCP_FIN_WAIT_1] = "FIN-WAIT-1",
	[TCP_FIN_WAIT_2] = "FIN-WAIT-2", [TCP_CLOSE_WAIT] = "CLOSE-WAIT", [TCP_CLOSING] = "CLOSING",
	[TCP_LAST_ACK] = "LAST-ACK",     [TCP_TIME_WAIT] = "TIME-WAIT",
};

const char *const tcp_counter_names[N_TCP_COUNTERS] = {
	[TCP_COUNT_IN_SEGMENTS] = "in-segments",
	[TCP_COUNT_OUT_SEGMENTS] = "out-segments",
	[TCP_COUNT_RETRANSMITTED] = "retransmitted",
	[TCP_COUNT_ACTIVE_OPENS] = "active-opens",
	[TCP_COUNT_PASSIVE_OPENS] = "passive-opens",
	[TCP_COUNT_CHALLENGE_ACKS] = "challenge-acks",
	[TCP_COUNT_PAWS_DROPPED] = "paws-dropped",
	[TCP_COUNT_NO_TIMESTAMP] = "no-timestamp",
	[TCP_COUNT_OUT_OF_WINDOW] = "out-of-window",
	[TCP_COUNT_DUPLICATE_BYTES] = "duplicate-bytes",
	[TCP_COUNT_OUT_OF_ORDER] = "out-of-order",
	[TCP_COUNT_OUT_OF_ORDER_FULL] = "out-of-order-full",
	[TCP_COUNT_RCV_PRUNED] = "receive-pruned",
	[TCP_COUNT_RTOS] = "timeouts",
	[TCP_COUNT_TLPS] = "loss-probes",
	[TCP_COUNT_RECOVERIES] = "recoveries",
	[TCP_COUNT_UNDONE] = "undone",
	[TCP_COUNT_DSACKS_IN] = "dsacks-in",
	[TCP_COUNT_DSACKS_OUT] = "dsacks-out",
	[TCP_COUNT_SACK_DISCARDED] = "sack-discarded",
	[TCP_COUNT_ZERO_WINDOW_PROBES] = "window-probes",
	[TCP_COUNT_KEEPALIVES] = "keepalives",
	[TCP_COUNT_COOKIES_SENT] = "cookies-sent",
	[TCP_COUNT_COOKIES_TAKEN] = "cookies-taken",
	[TCP_COUNT_COOKIES_REFUSED] = "cookies-refused",
	[TCP_COUNT_LISTEN_OVERFLOWED] = "listen-overflowed",
	[TCP_COUNT_LISTEN_DROPPED] = "listen-dropped",
	[TCP_COUNT_TIME_WAIT_REUSED] = "time-wait-reused",
	[TCP_COUNT_TIME_WAIT_EVICTED] = "time-wait-evicted",
	[TCP_COUNT_BLACK_HOLES] = "black-holes",
	[TCP_COUNT_CONGESTION_DEFAULT] = "congestion-default",
	[TCP_COUNT_NO_SEGMENT] = "no-segment",
};

static uint32_t or_default(uint32_t v, uint32_t def)
{
	return v != 0 ? v : def;
}

/* --- life --- */

/* Of the stream that it is given: numbers that others do not draw from it (rng_fork). */
#define RNG_CONGESTION 2

static int init_pools(struct tcp *t, const struct tcp_limits *l)
{
	uint32_t n_conns = or_default(l->n_connections, 16384), n_half_open = or_default(l->n_half_open, 16384);
	uint32_t n_time_wait = or_default(l->n_time_wait, 65536), n_listeners = or_default(l->n_listeners, 1024);

	if (pool_init(&t->conns, n_conns, sizeof(struct tcp_conn), 64) != 0 ||
	    pool_init(&t->flights, n_conns, sizeof(struct tcp_flight), 64) != 0 ||
	    pool_init(&t->options, n_conns + n_listeners, sizeof(struct tcp_user_options), 32) != 0 ||
	    pool_init(&t->half_open, n_half_open, sizeof(struct tcp_half_open), 32) != 0 ||
	    pool_init(&t->time_wait, n_time_wait, sizeof(struct tcp_time_wait), 64) != 0 ||
	    pool_init(&t->segments, or_default(l->n_segments, 65536), sizeof(struct tcp_segment), 16) != 0 ||
	    pool_init(&t->islands, max_u32(n_conns / 8, 16), sizeof(struct tcp_islands), 64) != 0 ||
	    pool_init(&t->listeners, n_listeners, sizeof(struct tcp_listener), 64) != 0 ||
	    pool_init(&t->rares, n_conns + n_listeners, sizeof(struct tcp_rare), 16) != 0 ||
	    pool_init(&t->saved_syns, n_conns + n_half_open, sizeof(struct tcp_saved_syn), 4) != 0 ||
	    pool_init(&t->cc_records, or_default(l->n_cc_records, n_conns), cc_record_size(), 64) != 0 ||
	    pool_init(&t->md5_keys, min_u32(or_default(l->n_md5_keys, 4096), TCP_MD5_KEYS_MAX),
		      sizeof(struct tcp_md5_key), 4) != 0 ||
	    tcp_table_init(&t->table, n_conns + n_half_open + n_time_wait) != 0)
		return -ENOMEM;
	struct tcp_conn *first = pool_at(&t->conns, 0);
	struct tcp_half_open *half_open = pool_at(&t->half_open, 0);

	timer_wheel_init(&t->wheel, &first->timer, t->conns.stride, TCP_TICK_NS, t->env->now);
	timer_wheel_init(&t->half_open_wheel, &half_open->timer, t->half_open.stride, NS_PER_MS, t->env->now);
	return 0;
}

struct tcp *tcp_create(struct env *env, struct ip_stack *ip, const struct tcp_limits *limits,
		       const struct tcp_config *cfg)
{
	struct tcp *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->env = env;
	t->ip = ip;
	t->cfg = cfg != NULL ? *cfg : tcp_default_config;
	t->pending_first = t->pending_last = POOL_NONE;
	t->time_wait_oldest = t->time_wait_newest = POOL_NONE;
	memset(t->listener_of, 0xff, sizeof(t->listener_of));
	tcp_secret_init(t);
	rng_fork(&env->rng, RNG_CONGESTION, &t->cc_rng);
	/* The first one takes memory, the others find it there. */
	if (init_pools(t, limits) != 0 || ip_port_open(ip, IPPROTO_NR_TCP, 0, 0, IP_PORT_BOUND) != 0) {
		tcp_destroy(t);
		return NULL;
	}
	ip_port_close(ip, IPPROTO_NR_TCP, 0, 0, IP_PORT_BOUND);
	ip_stack_set_protocol(ip, IPPROTO_NR_TCP,
			      &(struct ip_protocol){ .ctx = t,
						     .input = tcp_input,
						     .icmp_error = tcp_icmp_error,
						     .unreachable = IP_UNREACHABLE_RESET,
						     .by_port = true });
	return t;
}

/* Whoever has a port gives it back. */
static void close_ports(struct tcp *t)
{
	for (uint32_t i = 0; i < t->conns.n_fresh; i++)
		tcp_remove(t, &tcp_conn_at(t, i)->node);
	for (uint32_t i = 0; i < t->half_open.n_fresh; i++)
		tcp_remove(t, &((struct tcp_half_open *)pool_at(&t->half_open, i))->node);
	for (uint32_t i = 0; i < t->time_wait.n_fresh; i++)
		tcp_remove(t, &((struct tcp_time_wait *)pool_at(&t->time_wait, i))->node);
	for (uint32_t i = 0; i < t->listeners.n_fresh; i++) {
		const struct tcp_listener *l = pool_at(&t->listeners, i);

		if (l->open)
			tcp_close_listening(t, l);
	}
}

void tcp_destroy(struct tcp *t)
{
	if (t == NULL)
		return;
	ip_stack_set_protocol(t->ip, IPPROTO_NR_TCP, NULL);
	for (uint32_t i = 0; i < t->conns.n_fresh; i++) {
		struct tcp_conn *c = tcp_conn_at(t, i);

		if (c->index != i || !c->is_used)
			continue;
		tcp_queue_free(t, c);
		tcp_receive_free(t, c);
		tcp_rare_release(t, &c->rare);
	}
	close_ports(t);
	for (uint32_t i = 0; i < t->out.n; i++)
		env_drop(t->env, t->out.p[i], DROP_TX_DOWN);
	tcp_table_fini(&t->table);
	pool_fini(&t->md5_keys);
	pool_fini(&t->cc_records);
	pool_fini(&t->saved_syns);
	pool_fini(&t->rares);
	pool_fini(&t->listeners);
	pool_fini(&t->islands);
	pool_fini(&t->segments);
	pool_fini(&t->time_wait);
	pool_fini(&t->half_open);
	pool_fini(&t->options);
	pool_fini(&t->flights);
	pool_fini(&t->conns);
	free(t);
}

void tcp_set_user(struct tcp *t, const struct tcp_user_ops *ops, void *ctx)
{
	t->user = ops != NULL ? *ops : (struct tcp_user_ops){ 0 };
	t->user_ctx = ctx;
}

void tcp_set_captures(struct tcp *t, struct captures *c)
{
	t->captures = c;
}

struct tcp_config *tcp_config(struct tcp *t)
{
	return &t->cfg;
}

const uint64_t *tcp_counts(const struct tcp *t)
{
	return t->counts;
}

const uint64_t *tcp_resets(const struct tcp *t)
{
	return t->resets;
}

const uint64_t *tcp_ends_by_reason(const struct tcp *t)
{
	return t->ends;
}

const uint64_t *tcp_resets_in(const struct tcp *t)
{
	return t->resets_in;
}

#define TIMERS_AT_ONCE 4096u

void tcp_expire(struct tcp *t)
{
	tcp_turn_end(t);
	(void)timer_advance(&t->wheel, t->env->now, TIMERS_AT_ONCE, tcp_timer_fired, t);
	(void)timer_advance(&t->half_open_wheel, t->env->now, TIMERS_AT_ONCE, tcp_half_open_expire, t);
	tcp_time_wait_expire(t);
	tcp_send_pending(t);
}

uint64_t tcp_next_deadline(const struct tcp *t)
{
	uint64_t next = min_u64(timer_next(&t->wheel), timer_next(&t->half_open_wheel));

	if (t->n_acks_wait > 0)
		next = min_u64(next, t->env->now);
	if (t->time_wait_oldest == POOL_NONE)
		return next;
	const struct tcp_time_wait *w = pool_at(&t->time_wait, t->time_wait_oldest);

	return min_u64(next, w->expires);
}

/* --- connections --- */

struct tcp_conn *tcp_conn_new(struct tcp *t)
{
	uint32_t index = pool_alloc(&t->conns);

	if (index == POOL_NONE)
		return NULL;
	struct tcp_conn *c = tcp_conn_at(t, index);

	memset(c, 0, sizeof(*c));
	c->index = index;
	c->is_used = true;
	tcp_flight_none(c);
	c->o = &tcp_no_options;
	c->inbox.islands = c->rare = POOL_NONE;
	c->sndbuf = t->cfg.sndbuf;
	c->rcvbuf = t->cfg.rcvbuf;
	c->cc = tcp_default_cc(t);
	c->cc_state.record = POOL_NONE;
	c->reo_wnd_mult = 1;
	c->delack_at = c->keep_at = TIME_NEVER;
	timer_node_init(&c->timer);
	return c;
}

void tcp_conn_free(struct tcp *t, struct tcp_conn *c)
{
	tcp_ack_waits_no_more(t, c);
	timer_disarm(&t->wheel, c->index);
	tcp_remove(t, &c->node);
	tcp_queue_free(t, c);
	tcp_flight_free(t, c);
	tcp_receive_free(t, c);
	tcp_options_share(t, &c->o, &tcp_no_options);
	tcp_rare_release(t, &c->rare);
	cc_give_back(t, c);
	c->is_used = false;
	pool_free(&t->conns, c->index);
}

static void note_end(struct tcp *t, const struct tcp_conn *c, int err)
{
	t->ends[c->reason]++;
	t->ended[t->n_ended++ % TCP_ENDED_MAX] = (struct tcp_ended){
		.at = t->env->now,
		.laddr = c->node.laddr,
		.raddr = c->node.raddr,
		.lport = c->node.lport,
		.rport = c->node.rport,
		.zone = c->node.zone,
		.state = c->state,
		.reason = c->reason,
		.side = c->side,
		.error = err,
		.bytes_acked = c->bytes_acked,
		.bytes_received = c->bytes_received,
	};
}

bool tcp_ended(const struct tcp *t, uint32_t nth, struct tcp_ended *out)
{
	if (nth >= min_u64(t->n_ended, TCP_ENDED_MAX))
		return false;
	*out = t->ended[(t->n_ended - 1 - nth) % TCP_ENDED_MAX];
	return true;
}

void tcp_conn_end(struct tcp *t, struct tcp_conn *c, enum tcp_reason why, int err)
{
	if (c->state == TCP_CLOSED)
		return;
	if (why != TCP_REASON_CLOSED)
		c->side = (uint8_t)tcp_reason_info[why].side;
	else if (c->side == TCP_SIDE_NONE)
		c->side = TCP_SIDE_LOCAL; /* before the other end has said anything */
	c->reason = (uint8_t)why;
	note_end(t, c, err);
	if (YG_UNLIKELY(captures_any(t->captures)))
		tcp_capture_gone(t, c);
	c->state = TCP_CLOSED;
	c->error = (uint8_t)err;
	c->delack_at = c->keep_at = TIME_NEVER;
	tcp_ack_waits_no_more(t, c);
	tcp_remove(t, &c->node);
	tcp_queue_free(t, c);
	tcp_flight_free(t, c);
	cc_give_back(t, c);
	timer_disarm(&t->wheel, c->index);
	/* What came before can be read all the same, as in Linux. */
	tcp_changed(t, c, TCP_CHANGED_STATE);
	/* Whoever works on it is not done; it goes when all is sent. */
	tcp_pend(t, c);
}

/* Its user goes on with another, which has what he said of the old one. */
struct tcp_conn *tcp_disconnect(struct tcp *t, struct tcp_conn *old)
{
	struct tcp_conn *c = tcp_conn_new(t);

	if (c == NULL)
		return NULL;
	tcp_conn_succeed(t, c, old);
	tcp_set_conn_user(c, old->user);
	if (old->state != TCP_CLOSED)
		c->error = ECONNRESET;
	tcp_abort(t, old);
	return c;
}

struct tcp_conn *tcp_open(struct tcp *t, uint64_t user)
{
	struct tcp_conn *c = tcp_conn_new(t);

	if (c != NULL)
		tcp_set_conn_user(c, user);
	return c;
}

void tcp_set_conn_user(struct tcp_conn *c, uint64_t user)
{
	c->user = user;
	c->has_user = true;
}

/* By which address of ours a connection to n->raddr goes; 0: there is none. */
static uint32_t own_address(const struct tcp *t, const struct tcp_node *n, const struct fib_nexthop *nh)
{
	if (nh->kind == FIB_LOCAL || ip4_is_loopback(n->raddr))
		return n->raddr;
	if (nh->kind != FIB_UNICAST)
		return 0;
	if (nh->source.v4 != 0)
		return nh->source.v4;
	return ip_source_for(t->ip, nh->ifindex, nh->gateway.v4 != 0 ? nh->gateway.v4 : n->raddr);
}

/* CLOSED to SYN_SENT. least: the initial sequence number is not before it; NULL: any will do. */
static void begin_active(struct tcp *t, struct tcp_conn *c, const struct tcp_node *n, const uint32_t *least)
{
	c->node = *n;
	c->node.is_in = false;
	c->error = 0;
	c->reason = TCP_REASON_NONE;
	c->side = TCP_SIDE_NONE;
	c->fin_received = c->fin_queued = c->rcv_closed = false;
	c->is_active = true;
	c->iss = tcp_isn(t, n);
	if (least != NULL && seq_before(c->iss, *least))
		c->iss = *least;
	c->snd_una = c->iss;
	c->snd_nxt = c->write_seq = c->iss + 1;
	c->ts_offset = tcp_ts_offset(t, n);
	tcp_take_way(t, c);
	c->mss_peer = TCP_MSS_DEFAULT;
	c->mss = TCP_MSS_DEFAULT;
	/* What is offered, until the answer says what is agreed on. */
	c->sack_ok = t->cfg.sack;
	c->ts_ok = t->cfg.timestamps && tcp_md5_for(t, c->rare, n->raddr) == NULL;
	c->wscale_ok = t->cfg.window_scaling;
	c->ecn_ok = t->cfg.ecn == 1;
	c->rcv_scale = c->wscale_ok ? tcp_scale_for(max_u32(c->rcvbuf, t->cfg.rcvbuf_max)) : 0;
	tcp_rtt_init(c);
	c->state = TCP_SYN_SENT;
	tcp_flight_begin(c);
	c->last_sent = c->flight->syn_first_at = t->env->now;
	t->counts[TCP_COUNT_ACTIVE_OPENS]++;
}

int tcp_connect(struct tcp *t, struct tcp_conn *c, uint16_t zone, const struct tcp_end *local,
		const struct tcp_end *remote)
{
	if (c->state != TCP_CLOSED)
		return c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED ? -EALREADY : -EISCONN;
	uint32_t by = tcp_rare_at(t, c->rare)->ifindex;
	struct fib_nexthop room;
	const struct fib_nexthop *nh = ip_route_by(t->ip, zone, remote->addr.v4, by, &room);
	struct tcp_node n = { .laddr = local->addr.v4,
			      .raddr = remote->addr.v4,
			      .lport = local->port,
			      .rport = remote->port,
			      .zone = zone };

	if (ip4_is_multicast(n.raddr) || ip4_is_limited_broadcast(n.raddr) || nh->kind == FIB_BROADCAST)
		return -ENETUNREACH;
	/* What goes to ourselves comes by no device. */
	if (by != 0 && (nh->kind == FIB_LOCAL || ip4_is_loopback(n.raddr)))
		return -ENETUNREACH;
	if (n.laddr == 0)
		n.laddr = own_address(t, &n, nh);
	if (n.laddr == 0)
		return -ENETUNREACH;
	if (ip_must_stay(t->ip, zone, n.laddr, n.raddr))
		return -EINVAL;
	if (!tcp_flight_get(t, c))
		return -ENOBUFS;
	bool is_drawn = n.lport == 0;
	uint32_t ref = is_drawn ? POOL_NONE : tcp_find(t, &n);
	int rc = is_drawn ? tcp_choose_port(t, &n, &ref) : 0;
	uint32_t beyond = 0;

	if (rc != 0)
		return rc;

	if (ref != POOL_NONE) {
		struct tcp_time_wait *w = pool_at(&t->time_wait, tcp_ref_index(ref));

		if (tcp_ref_kind(ref) != TCP_KIND_TIME_WAIT || !tcp_time_wait_may_reuse(t, w))
			return -EADDRNOTAVAIL;
		beyond = w->snd_nxt + UINT16_MAX + 2;
		t->counts[TCP_COUNT_TIME_WAIT_REUSED]++;
		tcp_time_wait_free(t, tcp_ref_index(ref));
	}
	begin_active(t, c, &n, ref != POOL_NONE ? &beyond : NULL);
	tcp_insert(t, &c->node, TCP_KIND_CONN, c->index);
	/* In the table it keeps the port. */
	if (is_drawn)
		ip_port_leave(t->ip, IPPROTO_NR_TCP, n.laddr, n.lport);
	tcp_send_syn(t, c);
	c->flight->rtx_at = t->env->now + tcp_rto(t, c);
	tcp_rearm(t, c);
	tcp_flush(t);
	return -EINPROGRESS;
}

/* --- a SYN that was held --- */

void tcp_set_unknown(struct tcp *t, tcp_unknown_fn *fn, void *ctx)
{
	t->unknown = fn;
	t->unknown_ctx = ctx;
}

static struct tcp_node node_of_syn(const struct tcp_syn *syn)
{
	return (struct tcp_node){ .laddr = syn->local.addr.v4,
				  .raddr = syn->remote.addr.v4,
				  .lport = syn->local.port,
				  .rport = syn->remote.port,
				  .zone = syn->zone };
}

/* As an end that has opened by itself and then sees the other one's SYN (section 3.5), but that its own was never sent.
 */
int tcp_answer(struct tcp *t, struct tcp_conn *c, const struct tcp_syn *syn)
{
	struct tcp_node n = node_of_syn(syn);

	if (tcp_find(t, &n) != POOL_NONE)
		return -EADDRINUSE;
	if (!tcp_flight_get(t, c))
		return -ENOBUFS;
	begin_active(t, c, &n, syn->has_least ? &syn->iss_least : NULL);
	t->counts[TCP_COUNT_ACTIVE_OPENS]--;
	t->counts[TCP_COUNT_PASSIVE_OPENS]++;
	tcp_insert(t, &c->node, TCP_KIND_CONN, c->index);
	tcp_take_syn(t, c, syn->seq, &syn->o);
	c->ecn_ok = t->cfg.ecn != 0 && (syn->flags & (TCP_ECE | TCP_CWR)) == (TCP_ECE | TCP_CWR);
	c->state = TCP_SYN_RECEIVED;
	c->snd_wnd = syn->window;
	c->snd_wl1 = syn->seq;
	tcp_send_syn(t, c);
	c->flight->rtx_at = t->env->now + tcp_rto(t, c);
	tcp_rearm(t, c);
	tcp_flush(t);
	return -EINPROGRESS;
}

void tcp_refuse(struct tcp *t, const struct tcp_syn *syn)
{
	struct tcp_node n = node_of_syn(syn);
	struct tcp_bare s = { .wscale = -1, .flags = TCP_RST | TCP_ACK, .ack = syn->seq + 1 };

	t->resets[TCP_REASON_NO_LISTENER]++;
	tcp_send_bare(t, &n, &s);
	tcp_flush(t);
}

/* --- bytes --- */

static int may_write(struct tcp_conn *c)
{
	if (c->error != 0)
		return -tcp_take_error(c);
	if (c->fin_queued)
		return -EPIPE;
	switch ((enum tcp_state)c->state) {
	case TCP_ESTABLISHED:
	case TCP_CLOSE_WAIT:
		return 0;
	case TCP_SYN_SENT:
	case TCP_SYN_RECEIVED:
		return -EAGAIN;
	default:
		return -EPIPE;
	}
}

/* Where little may wait unsent, what can leave makes room for the rest. */
static int64_t write_and_send(struct tcp *t, struct tcp_conn *c, const struct span *span, int n, uint32_t flags)
{
	bool push = !(flags & TCP_SEND_MORE);
	int64_t total = 0, sent;

	if (tcp_notsent_lowat(t, c) == 0)
		return tcp_queue_write(t, c, span, n, push);
	for (int i = 0; i < n; i++) {
		struct span left = span[i];

		while (left.len > 0) {
			sent = tcp_queue_write(t, c, &left, 1, push);
			if (sent <= 0)
				return total > 0 ? total : sent;
			total += sent;
			left.bytes = (uint8_t *)left.bytes + sent;
			left.len -= (size_t)sent;
			tcp_output(t, c);
		}
	}
	return total;
}

int64_t tcp_send(struct tcp *t, struct tcp_conn *c, const struct span *span, int n, uint32_t flags)
{
	int rc = may_write(c);
	uint64_t asked = 0;

	c->wants_room |= rc == -EAGAIN;
	if (rc != 0)
		return rc;
	for (int i = 0; i < n; i++)
		asked += span[i].len;
	int64_t sent = write_and_send(t, c, span, n, flags);

	if ((flags & TCP_SEND_URGENT) && sent > 0 && c->flight->queue.n > 0)
		c->flight->snd_up = c->write_seq;
	if ((flags & TCP_SEND_EOR) && sent == (int64_t)asked && c->flight->queue.n > c->flight->queue.n_sent)
		tcp_queue_at(t, c, c->flight->queue.n - 1)->ends_record = true;
	c->more = (flags & TCP_SEND_MORE) != 0;
	c->wants_room = sent < (int64_t)asked;
	tcp_pend(t, c);
	tcp_send_pending(t);
	return sent;
}

int tcp_reserve(struct tcp *t, struct tcp_conn *c, struct span *out)
{
	int rc = may_write(c);

	return rc != 0 ? rc : tcp_queue_reserve(t, c, out);
}

int tcp_commit(struct tcp *t, struct tcp_conn *c, uint32_t bytes, uint32_t flags)
{
	int rc = may_write(c);

	if (rc != 0)
		return rc;
	tcp_queue_commit(t, c, bytes, !(flags & TCP_SEND_MORE));
	c->more = (flags & TCP_SEND_MORE) != 0;
	tcp_pend(t, c);
	tcp_send_pending(t);
	return 0;
}

/* --- ends --- */

static void queue_fin(struct tcp *t, struct tcp_conn *c)
{
	if (c->fin_queued)
		return;
	/* Without memory for it: the reset is all that is left. */
	if (!tcp_queue_fin(t, c)) {
		tcp_reset(t, c, TCP_REASON_MEMORY);
		tcp_conn_end(t, c, TCP_REASON_MEMORY, ENOBUFS);
		return;
	}
	if (!c->fin_received)
		c->side = TCP_SIDE_LOCAL;
	c->state = c->state == TCP_CLOSE_WAIT ? TCP_LAST_ACK : TCP_FIN_WAIT_1;
	c->more = false;
	tcp_pend(t, c);
}

int tcp_shutdown(struct tcp *t, struct tcp_conn *c, uint32_t how)
{
	if (c->state != TCP_ESTABLISHED && c->state != TCP_CLOSE_WAIT && c->state != TCP_FIN_WAIT_1 &&
	    c->state != TCP_FIN_WAIT_2 && c->state != TCP_LAST_ACK && c->state != TCP_CLOSING)
		return -ENOTCONN;
	if (how & TCP_SHUT_RD)
		c->rcv_closed = true;
	if ((how & TCP_SHUT_WR) && (c->state == TCP_ESTABLISHED || c->state == TCP_CLOSE_WAIT))
		queue_fin(t, c);
	tcp_send_pending(t);
	return 0;
}

void tcp_abort(struct tcp *t, struct tcp_conn *c)
{
	if (c->state >= TCP_SYN_RECEIVED)
		tcp_reset(t, c, TCP_REASON_ABORTED);
	c->has_user = false;
	if (c->state == TCP_CLOSED)
		tcp_pend(t, c);
	else
		tcp_conn_end(t, c, TCP_REASON_ABORTED, 0);
	tcp_send_pending(t);
}

void tcp_close(struct tcp *t, struct tcp_conn *c)
{
	if (c->told.linger && c->o->linger_s == 0) {
		tcp_abort(t, c);
		return;
	}
	c->has_user = false;
	/* RFC 1122 section 4.2.2.13: the other end is told that not all was read. */
	if (c->inbox.bytes > 0 && c->state >= TCP_ESTABLISHED) {
		tcp_reset(t, c, TCP_REASON_UNREAD);
		tcp_conn_end(t, c, TCP_REASON_UNREAD, 0);
	}
	switch ((enum tcp_state)c->state) {
	case TCP_CLOSED:
		tcp_pend(t, c);
		break;
	case TCP_SYN_SENT:
		tcp_conn_end(t, c, TCP_REASON_CLOSED, 0);
		break;
	case TCP_SYN_RECEIVED:
	case TCP_ESTABLISHED:
	case TCP_CLOSE_WAIT:
		queue_fin(t, c);
		break;
	case TCP_FIN_WAIT_2:
		if (c->o->linger2 == TCP_LINGER2_NONE) {
			tcp_reset(t, c, TCP_REASON_ABORTED);
			tcp_conn_end(t, c, TCP_REASON_ABORTED, 0);
			break;
		}
		c->keep_at = t->env->now + (c->o->linger2 != 0 ? c->o->linger2 : t->cfg.fin_timeout);
		tcp_rearm(t, c);
		break;
	default:
		break;
	}
	tcp_send_pending(t);
}

/* --- what it is like --- */

/* As much as was asked for, or as there will be: the window is closed. */
static bool tcp_is_readable(const struct tcp *t, const struct tcp_conn *c)
{
	/* As Linux: one that is not met in the stream does not count. */
	if (c->inbox.bytes >= max_u32(c->o->rcv_lowat, 1) + (tcp_at_mark(c) && !c->told.oob_inline))
		return true;
	return c->inbox.bytes > 0 && tcp_receive_window(t, c) <= c->rcv_mss;
}

uint32_t tcp_poll(const struct tcp *t, const struct tcp_conn *c)
{
	uint32_t bits = 0;

	if (tcp_is_readable(t, c) || c->fin_received || c->rcv_closed)
		bits |= TCP_POLL_IN;
	if (c->fin_received || c->rcv_closed)
		bits |= TCP_POLL_RDHUP;
	if (tcp_urgent_waits(t, c))
		bits |= TCP_POLL_PRI;
	if (tcp_rare_at(t, c->rare)->errors.first != NULL)
		bits |= TCP_POLL_ERROR;
	if (c->error != 0)
		bits |= TCP_POLL_ERROR | TCP_POLL_IN | TCP_POLL_OUT;
	if (c->state == TCP_CLOSED || (c->fin_queued && (c->fin_received || c->rcv_closed)))
		bits |= TCP_POLL_HUP;
	if (c->state == TCP_CLOSED)
		bits |= TCP_POLL_OUT | (c->reason != TCP_REASON_NONE ? TCP_POLL_IN | TCP_POLL_RDHUP : 0);
	else if (c->fin_queued)
		bits |= TCP_POLL_OUT;
	else if ((c->state == TCP_ESTABLISHED || c->state == TCP_CLOSE_WAIT) && tcp_is_writable(t, c))
		bits |= TCP_POLL_OUT;
	return bits;
}

void tcp_want_room(struct tcp_conn *c)
{
	c->wants_room = true;
}

int tcp_take_error(struct tcp_conn *c)
{
	int err = c->error;

	c->error = 0;
	return err;
}

void tcp_ends(const struct tcp_conn *c, struct tcp_end *local, struct tcp_end *remote)
{
	*local = (struct tcp_end){ ip_addr_v4(c->node.laddr), c->node.lport };
	*remote = (struct tcp_end){ ip_addr_v4(c->node.raddr), c->node.rport };
}

enum tcp_state tcp_state(const struct tcp_conn *c)
{
	return (enum tcp_state)c->state;
}
