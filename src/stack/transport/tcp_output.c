/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Segments on their way: headers and options, and when what may be sent.
 *
 *   tcp_output      what is lost, then what is new, as far as both windows let it; then an
 *                   acknowledgement, if it is due and nothing has carried it
 *
 * It runs once for a connection at the end of a batch or of a call (tcp_pend): so
 * many segments that came together are answered together.
 *
 * A small segment waits while another one is on its way (Nagle's rule as Minshall
 * has it, RFC 896), unless TCP_NODELAY; while the user has said that more comes, it
 * waits for up to 200 ms. What the other end's window cuts into a small one waits
 * until the window opens or the persist timer fires (RFC 9293 section 3.8.6.2.1).
 *
 * Next: src/stack/ip/output.c
 */
#include "stack/ip/route.h"
#include "stack/transport/tcp_priv.h"
#include "stack/transport/tcp_md5.h"
#include "stack/wire/checksum.h"
#include "stack/wire/ether.h"

#define CHALLENGES_PER_S 3u
#define CHALLENGE_LIMIT 1000u
#define ECN_ECT0 0x02u
#define QUANTUM_MAX 65536u

void tcp_flush(struct tcp *t)
{
	if (t->out.n > 0)
		ip_local_out(t->ip, &t->out);
}

/* --- headers --- */

static uint8_t *put16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
	return at + 2;
}

static uint8_t *put32(uint8_t *at, uint32_t v)
{
	return put16(put16(at, (uint16_t)(v >> 16)), (uint16_t)v);
}

static uint8_t *put_timestamp(uint8_t *at, uint32_t val, uint32_t ecr)
{
	at[0] = 8;
	at[1] = 10;
	return put32(put32(at + 2, val), ecr);
}

/* Of a SYN: in Linux's order. */
static uint8_t *put_syn_options(uint8_t *at, const struct tcp_bare *s)
{
	if (s->mss != 0) {
		at[0] = 2;
		at[1] = 4;
		at = put16(at + 2, s->mss);
	}
	if (s->sack_ok) {
		if (!s->has_ts) {
			*at++ = 1;
			*at++ = 1;
		}
		at[0] = 4;
		at[1] = 2;
		at += 2;
	} else if (s->has_ts) {
		*at++ = 1;
		*at++ = 1;
	}
	if (s->has_ts)
		at = put_timestamp(at, s->ts_val, s->ts_ecr);
	if (s->wscale >= 0) {
		at[0] = 1;
		at[1] = 3;
		at[2] = 3;
		at[3] = (uint8_t)s->wscale;
		at += 4;
	}
	return at;
}

/* The IP header's value; counted as made here. */
static void fill_ip(struct tcp *t, struct packet *p, const struct tcp_node *n, const struct tcp_bare *s,
		    uint32_t l4_len)
{
	uint32_t default_ttl = ip_stack_config(t->ip)->ttl;

	t->env->ledger.n_originated++;
	p->l3_off = ETHER_HEADER_LEN;
	p->l4_off = ETHER_HEADER_LEN + IPV4_HEADER_LEN;
	p->zone = n->zone;
	p->mark = tcp_rare_at(t, s->rare)->mark;
	p->ip = (struct ipv4_view){
		.src = n->laddr,
		.dst = n->raddr,
		.total_len = (uint16_t)(IPV4_HEADER_LEN + l4_len),
		.id = (uint16_t)rng_u32(&t->env->rng),
		.header_len = IPV4_HEADER_LEN,
		.tos = s->tos,
		.ttl = s->ttl != 0 ? s->ttl : (uint8_t)(default_ttl != 0 ? default_ttl : 64),
		.proto = IPPROTO_NR_TCP,
		.df = true,
	};
	if (env_traced(t->env))
		trace_end(&t->env->trace, TRACE_MADE, p);
	ip_packet_finish(p);
}

/* Behind fill_ip and the options: the TCP header's fixed part and the checksum. sum: of the payload. */
static void fill_tcp(struct tcp *t, struct packet *p, const struct tcp_node *n, const struct tcp_bare *s,
		     uint32_t header_len, uint32_t payload_len, uint32_t sum)
{
	uint8_t *h = packet_l4(p);
	uint32_t l4_len = header_len + payload_len;

	tcp_emit(h, n->lport, n->rport, s->seq, s->ack, s->flags, s->window);
	h[12] = (uint8_t)(header_len / 4 << 4);
	if (s->flags & TCP_URG)
		put16(h + TCP_URGENT_AT, s->urgent);
	if (s->key != NULL)
		tcp_md5_sign(s->key, p, h, header_len, payload_len);
	sum = checksum_fold(sum) + checksum_pseudo(n->laddr, n->raddr, IPPROTO_NR_TCP, l4_len);
	put16(h + TCP_CHECK_AT, checksum_finish(checksum_add(sum, h, header_len)));
	p->l4 = (struct l4_view){
		.kind = L4_TCP,
		.header_len = (uint16_t)header_len,
		.payload_len = (uint16_t)payload_len,
		.sport = n->lport,
		.dport = n->rport,
		.check = (uint16_t)(h[TCP_CHECK_AT] << 8 | h[TCP_CHECK_AT + 1]),
		.options_len = (uint8_t)(header_len - TCP_HEADER_LEN),
		.seq = s->seq,
		.ack = s->ack,
		.window = s->window,
		.flags = s->flags,
	};
	t->counts[TCP_COUNT_OUT_SEGMENTS]++;
	if (YG_UNLIKELY(captures_any(t->captures)))
		tcp_capture_sent(t, p);
	batch_add(&t->out, p);
	if (t->out.n == BATCH_MAX)
		tcp_flush(t);
}

/* A segment without payload, whose options are those of a SYN or a timestamp. */
static void send_bare(struct tcp *t, const struct tcp_node *n, struct tcp_bare *s, const uint8_t *more,
		      uint32_t more_len)
{
	uint8_t options[TCP_OPTIONS_MAX], *end = options;

	if (s->flags & TCP_SYN) {
		end = put_syn_options(options, s);
	} else if (s->has_ts) {
		*end++ = 1;
		*end++ = 1;
		end = put_timestamp(end, s->ts_val, s->ts_ecr);
	}
	uint32_t n_options = (uint32_t)(end - options);
	if (s->key == NULL)
		s->key = tcp_md5_for(t, s->rare, n->raddr);
	uint32_t header_len = TCP_HEADER_LEN + n_options + more_len + (s->key != NULL ? TCP_MD5_OPTION_LEN : 0);
	struct packet *p = packet_alloc(t->env->pool, ETHER_HEADER_LEN + IPV4_HEADER_LEN + header_len);

	if (p == NULL) {
		t->counts[TCP_COUNT_NO_SEGMENT]++;
		return;
	}
	memset(packet_frame(p), 0, ETHER_HEADER_LEN);
	fill_ip(t, p, n, s, header_len);
	memcpy(packet_l4(p) + TCP_HEADER_LEN, options, n_options);
	if (more_len > 0)
		memcpy(packet_l4(p) + TCP_HEADER_LEN + n_options, more, more_len);
	fill_tcp(t, p, n, s, header_len, 0, 0);
}

void tcp_send_bare(struct tcp *t, const struct tcp_node *n, struct tcp_bare *s)
{
	send_bare(t, n, s, NULL, 0);
}

/* --- what stands in every segment of a connection --- */

static struct tcp_bare bare_of(struct tcp *t, struct tcp_conn *c, uint8_t flags)
{
	uint32_t window = tcp_receive_window(t, c);
	struct tcp_bare s = {
		.seq = c->snd_nxt,
		.ack = c->rcv_nxt,
		.window = (uint16_t)min_u32(window >> c->rcv_scale, UINT16_MAX),
		.wscale = -1,
		.flags = flags,
		.tos = c->told.tos,
		.ttl = c->told.ttl,
		.has_ts = c->ts_ok,
		.ts_val = tcp_ts_now(t, c),
		.ts_ecr = c->ts_recent,
		.rare = c->rare,
	};

	if (c->ece_pending)
		s.flags |= TCP_ECE;
	return s;
}

/* Whatever carries an acknowledgement: it has been said. */
static void acknowledged(struct tcp *t, struct tcp_conn *c, const struct tcp_bare *s)
{
	c->rcv_adv = seq_max(c->rcv_adv, c->rcv_nxt + ((uint32_t)s->window << c->rcv_scale));
	c->last_ack_sent = c->rcv_nxt;
	c->unacked = 0;
	c->ack_now = false;
	c->delack_at = TIME_NEVER;
	c->n_quick -= c->n_quick > 0;
	c->segs_out++;
}

static uint32_t put_sacks(struct tcp *t, struct tcp_conn *c, uint8_t *at, uint32_t room)
{
	uint32_t block[4][2];
	uint32_t max = room < 12 ? 0 : min_u32((room - 4) / 8, 4);
	uint32_t n = c->sack_ok ? tcp_receive_sacks(t, c, max, block) : 0;

	if (n == 0)
		return 0;
	if (c->dsack.left != c->dsack.right)
		t->counts[TCP_COUNT_DSACKS_OUT]++;
	c->dsack.left = c->dsack.right = 0;
	at[0] = at[1] = 1;
	at[2] = 5;
	at[3] = (uint8_t)(2 + 8 * n);
	for (uint32_t i = 0; i < n; i++)
		put32(put32(at + 4 + 8 * i, block[i][0]), block[i][1]);
	return 4 + 8 * n;
}

void tcp_send_ack(struct tcp *t, struct tcp_conn *c)
{
	struct tcp_bare s = bare_of(t, c, TCP_ACK);
	uint8_t sacks[TCP_OPTIONS_MAX];
	uint32_t n =
		put_sacks(t, c, sacks, TCP_OPTIONS_MAX - (c->ts_ok ? 12 : 0) - tcp_md5_room(t, c->rare, c->node.raddr));

	send_bare(t, &c->node, &s, sacks, n);
	acknowledged(t, c, &s);
}

void tcp_send_probe(struct tcp *t, struct tcp_conn *c)
{
	struct tcp_bare s = bare_of(t, c, TCP_ACK);

	s.seq = c->snd_una - 1;
	captures_why(t->captures, "probe");
	send_bare(t, &c->node, &s, NULL, 0);
	acknowledged(t, c, &s);
}

/* RFC 5961 section 7, with a limit for each connection, and for all together one that is not the same twice
 * (CVE-2016-5696). */
void tcp_send_challenge(struct tcp *t, struct tcp_conn *c)
{
	uint64_t now = t->env->now;

	if (c->challenge_s != (uint16_t)(now / NS_PER_S)) {
		c->challenge_s = (uint16_t)(now / NS_PER_S);
		c->n_challenges = 0;
	}
	if (now - t->challenge_at >= NS_PER_S || t->challenge_limit == 0) {
		t->challenge_at = now;
		t->n_challenges = 0;
		t->challenge_limit = CHALLENGE_LIMIT / 2 + rng_below(&t->env->rng, CHALLENGE_LIMIT);
	}
	if (c->n_challenges >= CHALLENGES_PER_S || t->n_challenges >= t->challenge_limit)
		return;
	c->n_challenges++;
	t->n_challenges++;
	t->counts[TCP_COUNT_CHALLENGE_ACKS]++;
	captures_why(t->captures, "challenge ACK");
	tcp_send_ack(t, c);
}

void tcp_reset(struct tcp *t, struct tcp_conn *c, enum tcp_reason why)
{
	struct tcp_bare s = bare_of(t, c, TCP_RST | TCP_ACK);

	s.window = 0;
	t->resets[why]++;
	captures_why(t->captures, tcp_reason_info[why].text);
	send_bare(t, &c->node, &s, NULL, 0);
}

uint8_t tcp_scale_for(uint32_t bytes)
{
	uint8_t scale = 0;

	while (scale < TCP_WSCALE_MAX && bytes >> scale > UINT16_MAX)
		scale++;
	return scale;
}

void tcp_send_syn(struct tcp *t, struct tcp_conn *c)
{
	bool is_answer = c->state == TCP_SYN_RECEIVED;
	struct tcp_bare s = bare_of(t, c, is_answer ? TCP_SYN | TCP_ACK : TCP_SYN);

	s.seq = c->iss;
	s.ack = is_answer ? c->rcv_nxt : 0;
	s.window = (uint16_t)tcp_syn_window(c->rcvbuf, c->o->window_clamp);
	s.mss = c->mss_own;
	s.sack_ok = is_answer ? c->sack_ok : t->cfg.sack;
	s.has_ts = is_answer ? c->ts_ok : t->cfg.timestamps && tcp_md5_for(t, c->rare, c->node.raddr) == NULL;
	s.ts_ecr = is_answer ? c->ts_recent : 0;
	s.wscale = (is_answer ? c->wscale_ok : t->cfg.window_scaling) ? (int8_t)c->rcv_scale : -1;
	if (!is_answer && t->cfg.ecn == 1 && c->n_rtx == 0)
		s.flags |= TCP_ECE | TCP_CWR;
	else if (is_answer && c->ecn_ok)
		s.flags |= TCP_ECE;
	send_bare(t, &c->node, &s, NULL, 0);
	c->segs_out++;
	c->rcv_adv = c->rcv_nxt + s.window;
	c->last_ack_sent = c->rcv_nxt;
}

/* --- segments with data --- */

uint16_t tcp_own_mss(const struct tcp *t, const struct tcp_node *n)
{
	const struct fib_nexthop *nh = ip_route(t->ip, n->zone, n->raddr);
	uint32_t mtu = nh->kind == FIB_UNICAST ? ip_mtu(t->ip, nh->ifindex) : UINT16_MAX;

	return (uint16_t)(max_u32(mtu, IPV4_MIN_MTU + TCP_OPTIONS_MAX) - IPV4_HEADER_LEN - TCP_HEADER_LEN);
}

void tcp_set_mss(struct tcp *t, struct tcp_conn *c)
{
	uint32_t mss = min_u32(c->mss_peer, c->path_mtu - IPV4_HEADER_LEN - TCP_HEADER_LEN);

	if (c->o->user_mss != 0)
		mss = min_u32(mss, c->o->user_mss);
	uint32_t mss_low = tcp_rare_at(t, c->rare)->mss_low;

	if (mss_low != 0)
		mss = min_u32(mss, mss_low);
	mss = max_u32(mss, TCP_MSS_MIN) - (c->ts_ok ? 12 : 0) - tcp_md5_room(t, c->rare, c->node.raddr);
	/* What a small buffer holds. */
	c->mss = (uint16_t)min_u32(mss, UINT16_MAX - 1024u);
}

/* The packet around segment s with header_len bytes in front of its payload. NULL without memory. */
static struct packet *packet_around(struct tcp *t, const struct tcp_segment *s, uint32_t header_len)
{
	uint32_t before = ETHER_HEADER_LEN + IPV4_HEADER_LEN + header_len;
	struct packet *p;

	if (s->buffer == POOL_NONE) {
		p = packet_alloc(t->env->pool, before);
	} else {
		struct packet_buffer b = packet_buffer_at(t->env->pool, s->buffer, s->large);

		if (packet_buffer_is_own(t->env->pool, &b)) {
			p = packet_share(t->env->pool, &b, s->off - before, before + s->len);
		} else {
			/* Its last copy has not left yet. */
			p = packet_alloc(t->env->pool, before + s->len);
			if (p != NULL)
				memcpy(packet_frame(p) + before, b.bytes + s->off, s->len);
		}
	}
	if (p != NULL)
		memset(packet_frame(p), 0, ETHER_HEADER_LEN);
	return p;
}

/* It has left: where it stands now. */
static void note_sent(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s, uint32_t index)
{
	uint64_t now = t->env->now;

	if (!(s->flags & SEGMENT_SENT)) {
		tcp_rate_sent(t, c, s);
		s->flags |= SEGMENT_SENT;
		c->flight->queue.n_sent++;
		c->snd_nxt = s->seq + tcp_segment_size(s);
		if (s->len > 0 && s->len < c->mss)
			c->flight->snd_small = c->snd_nxt;
	} else {
		tcp_rate_sent(t, c, s);
		t->counts[TCP_COUNT_RETRANSMITTED]++;
		c->n_retransmitted++;
		c->bytes_retransmitted += s->len;
		if (c->flight->retrans_stamp == 0)
			c->flight->retrans_stamp = max_u32(tcp_ts_now(t, c), 1);
		c->flight->undo_retrans += (int32_t)((s->len + c->mss - 1) / max_u32(c->mss, 1));
		if ((s->flags & SEGMENT_LOST) && !(s->flags & SEGMENT_RETRANSMITTED)) {
			s->flags |= SEGMENT_RETRANSMITTED;
			c->flight->retransmitted += tcp_segment_size(s);
		}
		s->flags |= SEGMENT_EVER_RETRANSMITTED;
		tcp_flight_remove(t, c, s, index);
	}
	s->sent = now;
	if (!(s->flags & SEGMENT_SACKED))
		tcp_flight_add(t, c, s, index);
	c->flight->prr_out += tcp_segment_size(s);
	c->last_sent = now;
	if (c->flight->rtx_since == 0)
		c->flight->rtx_since = now;
}

/* flags: beside the segment's own. */
static bool transmit(struct tcp *t, struct tcp_conn *c, uint32_t i, uint8_t flags)
{
	struct tcp_segment *s = tcp_queue_at(t, c, i);
	uint32_t index = tcp_queue_number(c, i);
	struct tcp_bare h = bare_of(t, c, TCP_ACK | flags);
	uint8_t options[TCP_OPTIONS_MAX], *end = options;
	bool is_new = !(s->flags & SEGMENT_SENT);

	h.key = tcp_md5_for(t, c->rare, c->node.raddr);
	uint32_t md5_room = h.key != NULL ? TCP_MD5_OPTION_LEN : 0;

	h.seq = s->seq;
	if (s->flags & SEGMENT_PUSH)
		h.flags |= TCP_PSH;
	if (s->flags & SEGMENT_FIN)
		h.flags |= TCP_FIN;
	if (c->flight->snd_up != c->snd_una)
		tcp_urgent_mark(c, s->seq, &h);
	if (h.has_ts) {
		*end++ = 1;
		*end++ = 1;
		end = put_timestamp(end, h.ts_val, h.ts_ecr);
	}
	if (c->inbox.islands != POOL_NONE || c->dsack.left != c->dsack.right) {
		uint32_t room = s->len < c->mss ? c->mss - s->len : 0;

		end += put_sacks(t, c, end,
				 min_u32(room & ~3u, TCP_OPTIONS_MAX - md5_room - (uint32_t)(end - options)));
	}
	if (c->ecn_ok && s->len > 0 && is_new) {
		h.tos |= ECN_ECT0;
		if (c->cwr_pending)
			h.flags |= TCP_CWR;
		c->cwr_pending = false;
	}
	uint32_t header_len = TCP_HEADER_LEN + (uint32_t)(end - options) + md5_room;
	struct packet *p = packet_around(t, s, header_len);

	if (p == NULL) {
		t->counts[TCP_COUNT_NO_SEGMENT]++;
		return false;
	}
	if (!is_new)
		captures_why(t->captures, "retransmission");
	fill_ip(t, p, &c->node, &h, header_len + s->len);
	memcpy(packet_l4(p) + TCP_HEADER_LEN, options, (size_t)(end - options));
	fill_tcp(t, p, &c->node, &h, header_len, s->len, s->sum);
	note_sent(t, c, s, index);
	acknowledged(t, c, &h);
	return true;
}

bool tcp_transmit(struct tcp *t, struct tcp_conn *c, uint32_t i)
{
	return transmit(t, c, i, 0);
}

/* --- when --- */

/* A segment of this size may leave by the window of the path. */
static bool cwnd_allows(const struct tcp_conn *c, uint32_t size)
{
	uint32_t inflight = tcp_inflight(c);

	return inflight == 0 || inflight + size <= c->cwnd;
}

static bool pacing_allows(struct tcp *t, struct tcp_conn *c)
{
	if (tcp_pacing_rate(t, c) == 0 || c->flight->pace_at <= t->env->now + TCP_TICK_NS)
		return true;
	c->flight->pace_timer_at = c->flight->pace_at;
	return false;
}

static void pace(struct tcp *t, struct tcp_conn *c, uint32_t bytes)
{
	uint64_t rate = tcp_pacing_rate(t, c);

	if (rate != 0)
		c->flight->pace_at = max_u64(c->flight->pace_at, t->env->now) + bytes * NS_PER_S / rate;
}

static void send_lost(struct tcp *t, struct tcp_conn *c)
{
	if (c->flight->lost <= c->flight->retransmitted)
		return;
	for (uint32_t i = tcp_queue_find(t, c, c->flight->lost_from);
	     i < c->flight->queue.n_sent && c->flight->lost > c->flight->retransmitted; i++) {
		struct tcp_segment *s = tcp_queue_at(t, c, i);

		if ((s->flags & (SEGMENT_LOST | SEGMENT_RETRANSMITTED)) != SEGMENT_LOST)
			continue;
		/* The path has become narrower since. */
		if (s->len > c->mss && !tcp_queue_split(t, c, i, c->mss))
			return;
		s = tcp_queue_at(t, c, i);
		if (!cwnd_allows(c, tcp_segment_size(s)))
			return;
		uint32_t bytes = s->len;

		if (!pacing_allows(t, c) || !tcp_transmit(t, c, i))
			return;
		pace(t, c, bytes);
		c->flight->lost_from = s->seq + tcp_segment_size(s);
	}
}

/* Nagle, and what the user says. */
static bool waits_for_more(struct tcp *t, struct tcp_conn *c, struct tcp_segment *s)
{
	if (s->len >= c->mss || (s->flags & SEGMENT_FIN) || c->flight->queue.n_sent + 1 < c->flight->queue.n)
		return false;
	if (c->told.cork || c->more) {
		if (c->flight->cork_until == 0)
			c->flight->cork_until = t->env->now + tcp_rto_once(t, c);
		if (t->env->now < c->flight->cork_until) {
			c->flight->pace_timer_at = min_u64(c->flight->pace_timer_at, c->flight->cork_until);
			return true;
		}
		if (c->flight->cork_until != TCP_CORK_PASSED)
			s->flags |= SEGMENT_PUSH;
	}
	c->flight->cork_until = 0;
	return !c->told.nodelay && c->flight->snd_up == c->snd_una && seq_after(c->flight->snd_small, c->snd_una);
}

/* The other end's window lets all of it through, or enough for a part of it to be worth it. */
static bool window_allows(struct tcp *t, struct tcp_conn *c, uint32_t i)
{
	struct tcp_segment *s = tcp_queue_at(t, c, i);
	uint32_t right = c->snd_una + c->snd_wnd;

	if (!seq_after(s->seq + s->len, right))
		return true;
	uint32_t usable = seq_after(right, s->seq) ? right - s->seq : 0;

	if (usable == 0 || (usable < c->mss && usable < c->snd_wnd_max / 2))
		return false;
	return tcp_queue_split(t, c, i, usable);
}

static void restart_after_idle(struct tcp *t, struct tcp_conn *c)
{
	if (c->snd_nxt != c->snd_una || c->last_sent == 0 || t->env->now - c->last_sent < tcp_rto_once(t, c))
		return;
	if (tcp_cc(c)->event != NULL)
		tcp_cc(c)->event(c, CC_EVENT_RESTART, t->env->now);
	/* RFC 5681 section 4.1. */
	if (t->cfg.slow_start_after_idle && c->pacing_rate == 0)
		c->cwnd = min_u32(c->cwnd, t->cfg.init_cwnd * c->mss);
}

/* How much leaves as one piece where segments are put together, or would: what the path takes in a millisecond, at
 * least two segments; and no more than half of what may be in flight, so that acknowledgements of one make room for the
 * other. */
static uint32_t send_quantum(const struct tcp *t, const struct tcp_conn *c)
{
	uint64_t bytes = QUANTUM_MAX;

	if (c->pacing_rate != 0)
		bytes = c->pacing_rate / 1000;
	else if (c->srtt != 0)
		bytes = 2 * c->cwnd * NS_PER_MS / c->srtt;
	bytes = min_u64(max_u64(min_u64(bytes, QUANTUM_MAX), (uint64_t)t->cfg.min_tso_segs * c->mss), c->cwnd / 2);
	return max_u32((uint32_t)bytes / c->mss, 1);
}

/* Nothing will leave right behind segment i, which is about to. */
static bool is_last_now(const struct tcp *t, const struct tcp_conn *c, uint32_t i)
{
	if (i + 1 == c->flight->queue.n)
		return true;
	const struct tcp_segment *s = tcp_queue_at(t, c, i), *next = tcp_queue_at(t, c, i + 1);
	uint32_t len = min_u32(next->len, c->mss);

	if (tcp_inflight(c) + tcp_segment_size(s) + len > c->cwnd ||
	    seq_after(next->seq + len, c->snd_una + c->snd_wnd))
		return true;
	return len < c->mss && !(next->flags & SEGMENT_FIN) && (c->told.cork || c->more || !c->told.nodelay);
}

/* Flags of segment i, the next one in a row of *n. Whoever puts segments together on the way, or there, hands over at a
 * PSH instead of waiting for more of them. One segment alone is not marked: what is received there one by one is
 * acknowledged later. */
static uint8_t quantum_flags(const struct tcp *t, const struct tcp_conn *c, uint32_t i, uint32_t *n)
{
	if (++*n < send_quantum(t, c) && !is_last_now(t, c, i))
		return 0;
	uint8_t flags = *n > 1 ? TCP_PSH : 0;

	*n = 0;
	return flags;
}

static void send_new(struct tcp *t, struct tcp_conn *c)
{
	uint32_t n = 0;

	restart_after_idle(t, c);
	while (c->flight->queue.n_sent < c->flight->queue.n) {
		uint32_t i = c->flight->queue.n_sent;
		struct tcp_segment *s = tcp_queue_at(t, c, i);

		if (s->len > c->mss && !tcp_queue_split(t, c, i, c->mss))
			return;
		if (waits_for_more(t, c, tcp_queue_at(t, c, i)))
			return;
		if (!window_allows(t, c, i))
			return;
		s = tcp_queue_at(t, c, i);
		uint32_t size = tcp_segment_size(s);

		/* A FIN alone is no load. */
		if (s->len > 0 && !cwnd_allows(c, size))
			return;
		if (!pacing_allows(t, c))
			return;
		if (!transmit(t, c, i, quantum_flags(t, c, i, &n)))
			return;
		pace(t, c, size);
	}
	tcp_rate_app_limited(t, c);
}

static bool may_send_data(const struct tcp_conn *c)
{
	return c->state == TCP_ESTABLISHED || c->state == TCP_CLOSE_WAIT || c->state == TCP_FIN_WAIT_1 ||
	       c->state == TCP_CLOSING || c->state == TCP_LAST_ACK;
}

/* How much of its window it uses, a round trip at a time (RFC 7661 section 4.2). */
static void validate_window(struct tcp_conn *c, uint32_t nxt_before)
{
	bool is_limited = tcp_inflight(c) + c->mss > c->cwnd;
	uint32_t out = c->snd_nxt - c->snd_una;

	if (c->snd_nxt == nxt_before && !is_limited)
		return;
	if (seq_before(c->snd_una, c->flight->out_end) && !is_limited && (c->cwnd_limited || out <= c->flight->out_max))
		return;
	c->cwnd_limited = is_limited;
	c->flight->out_max = out;
	c->flight->out_end = c->snd_nxt;
}

static void stopwatch(uint64_t *since, uint32_t *total_ms, bool runs, uint64_t now)
{
	if (runs && *since == 0)
		*since = max_u64(now, 1);
	if (runs || *since == 0)
		return;
	*total_ms += (uint32_t)((now - *since + NS_PER_MS / 2) / NS_PER_MS);
	*since = 0;
}

/* For TCP_INFO. */
static void note_time(struct tcp *t, struct tcp_conn *c)
{
	bool is_limited = false;

	if (c->flight->queue.n_sent < c->flight->queue.n) {
		const struct tcp_segment *s = tcp_queue_at(t, c, c->flight->queue.n_sent);

		is_limited = seq_after(s->seq + min_u32(s->len, c->mss), c->snd_una + c->snd_wnd);
	}
	stopwatch(&c->flight->busy_since, &c->busy_ms, c->flight->queue.n > 0, t->env->now);
	stopwatch(&c->flight->limited_since, &c->limited_ms, is_limited, t->env->now);
}

void tcp_output(struct tcp *t, struct tcp_conn *c)
{
	uint32_t nxt = c->snd_nxt;

	if (c->flight->queue.n > 0 && may_send_data(c)) {
		if (!c->flight->frto_probes)
			send_lost(t, c);
		if (c->flight->lost <= c->flight->retransmitted || c->flight->frto_probes)
			send_new(t, c);
		/* What waited for its turn to be sent waits no more. */
		if (tcp_notsent_lowat(t, c) != 0)
			tcp_tell_room(t, c);
		validate_window(c, nxt);
	}
	if (c->ack_now && c->state >= TCP_SYN_RECEIVED)
		tcp_send_ack(t, c);
	note_time(t, c);
	tcp_rearm_rtx(t, c);
	tcp_rearm(t, c);
	tcp_flight_settle(t, c);
}

void tcp_pend(struct tcp *t, struct tcp_conn *c)
{
	if (c->listed)
		return;
	c->listed = true;
	c->next_pending = POOL_NONE;
	*(t->pending_last == POOL_NONE ? &t->pending_first : &tcp_conn_at(t, t->pending_last)->next_pending) = c->index;
	t->pending_last = c->index;
}

void tcp_send_pending(struct tcp *t)
{
	while (t->pending_first != POOL_NONE) {
		struct tcp_conn *c = tcp_conn_at(t, t->pending_first);

		t->pending_first = c->next_pending;
		if (t->pending_first == POOL_NONE)
			t->pending_last = POOL_NONE;
		c->listed = false;
		if (c->state != TCP_CLOSED)
			tcp_output(t, c);
		else if (tcp_is_orphan(c))
			tcp_conn_free(t, c);
	}
	tcp_flush(t);
}
