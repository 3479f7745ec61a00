/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A segment as a packet: headers, options, checksum.
 *
 *   tcp_send_bare   one without payload, of anybody: a SYN, an ACK, a reset
 *   tcp_transmit    one of the queue, for the first time or again: the packet is made around its
 *                   bytes (packet_share), and the queue notes that it has left
 *
 * Packets wait in a batch until tcp_flush.
 *
 * Next: src/stack/ip/output.c
 */
#include "stack/ip/route.h"
#include "stack/packet/device.h"
#include "stack/packet/gso.h"
#include "stack/transport/tcp_priv.h"
#include "stack/transport/tcp_md5.h"
#include "stack/wire/checksum.h"
#include "stack/wire/ether.h"

#define CHALLENGES_PER_S 3u
#define CHALLENGE_LIMIT 1000u
#define ECN_ECT0 0x02u

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

/* Alone: behind what fills it up to whole words. */
static uint8_t *put_lone_timestamp(uint8_t *at, const struct tcp_bare *s)
{
	at[0] = 1;
	at[1] = 1;
	return put_timestamp(at + 2, s->ts_val, s->ts_ecr);
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
	const struct tcp_rare *rare = tcp_rare_at(t, s->rare);

	t->env->ledger.n_originated++;
	p->l3_off = ETHER_HEADER_LEN;
	p->l4_off = ETHER_HEADER_LEN + IPV4_HEADER_LEN;
	p->zone = n->zone;
	p->mark = rare->mark;
	p->bound_ifindex = (uint8_t)(rare->ifindex | s->ifindex);
	p->ip = (struct ipv4_view){
		.src = n->laddr,
		.dst = n->raddr,
		.total_len = (uint16_t)(IPV4_HEADER_LEN + l4_len),
		.id = (uint16_t)rng_u32(&t->env->rng),
		.header_len = IPV4_HEADER_LEN,
		.tos = s->tos,
		.ttl = s->ttl != 0 ? s->ttl : (uint8_t)(default_ttl != 0 ? default_ttl : 64),
		.proto = IPPROTO_NR_TCP,
		.df = tcp_rare_dont_fragment(t, s->rare),
	};
	if (env_traced(t->env))
		trace_end(&t->env->trace, TRACE_MADE, p);
	ip_packet_finish(p);
}

/* The checksum and what comes of a large segment are left to the device (virtio_net_hdr). gso_size: payload bytes of
 * each of its segments, 0: it is none. Returns what stands in the checksum's place. */
static uint16_t leave_to_device(struct packet *p, const struct tcp_bare *s, uint32_t pseudo, uint32_t header_len,
				uint16_t gso_size)
{
	p->offload = (struct offload){
		.csum_partial = true,
		.csum_start = p->l4_off,
		.csum_offset = TCP_CHECK_AT,
	};
	if (gso_size != 0) {
		p->offload.gso_type = s->flags & TCP_CWR ? GSO_TCP4_ECN : GSO_TCP4;
		p->offload.gso_size = gso_size;
		p->offload.gso_hdr_len = (uint16_t)(p->l4_off + header_len);
	}
	return checksum_fold(pseudo);
}

/* Behind fill_ip and the options: the TCP header's fixed part and the checksum. load: with its sum; NULL: none. */
static void fill_tcp(struct tcp *t, struct packet *p, const struct tcp_node *n, const struct tcp_bare *s,
		     uint32_t header_len, const struct tcp_segment *load)
{
	uint32_t payload_len = load != NULL ? load->len : 0;
	uint8_t *h = packet_l4(p);
	uint32_t l4_len = header_len + payload_len;
	uint32_t pseudo = checksum_pseudo(n->laddr, n->raddr, IPPROTO_NR_TCP, l4_len);

	tcp_emit(h, n->lport, n->rport, s->seq, s->ack, s->flags, s->window);
	h[12] = (uint8_t)(header_len / 4 << 4);
	if (s->flags & TCP_URG)
		put16(h + TCP_URGENT_AT, s->urgent);
	if (s->key != NULL)
		tcp_md5_sign(s->key, p, h, header_len, payload_len);
	if (load != NULL && (load->has_no_sum || s->gso_size != 0))
		put16(h + TCP_CHECK_AT, leave_to_device(p, s, pseudo, header_len, s->gso_size));
	else
		put16(h + TCP_CHECK_AT, checksum_finish(checksum_add(
						checksum_fold(load != NULL ? load->sum : 0) + pseudo, h, header_len)));
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
	t->counts[TCP_COUNT_OUT_SEGMENTS] += gso_n_segments(p);
	if (YG_UNLIKELY(captures_any(t->captures)))
		tcp_capture_sent(t, p);
	batch_add(&t->out, p);
	if (t->out.n == BATCH_MAX)
		tcp_flush(t);
}

/* A segment without payload, whose options are those of a SYN or a timestamp. False without memory. */
static bool send_bare(struct tcp *t, const struct tcp_node *n, struct tcp_bare *s, const uint8_t *more,
		      uint32_t more_len)
{
	uint8_t options[TCP_OPTIONS_MAX], *end = options;

	if (s->flags & TCP_SYN) {
		end = put_syn_options(options, s);
	} else if (s->has_ts) {
		end = put_lone_timestamp(options, s);
	}
	uint32_t n_options = (uint32_t)(end - options);
	if (s->key == NULL)
		s->key = tcp_md5_for(t, s->rare, n->raddr);
	uint32_t header_len = TCP_HEADER_LEN + n_options + more_len + (s->key != NULL ? TCP_MD5_OPTION_LEN : 0);
	struct packet *p = packet_alloc(t->env->pool, ETHER_HEADER_LEN + IPV4_HEADER_LEN + header_len);

	if (p == NULL) {
		t->counts[TCP_COUNT_NO_SEGMENT]++;
		captures_why(t->captures, NULL);
		return false;
	}
	memset(packet_frame(p), 0, ETHER_HEADER_LEN);
	fill_ip(t, p, n, s, header_len);
	memcpy(packet_l4(p) + TCP_HEADER_LEN, options, n_options);
	if (more_len > 0)
		memcpy(packet_l4(p) + TCP_HEADER_LEN + n_options, more, more_len);
	fill_tcp(t, p, n, s, header_len, NULL);
	return true;
}

void tcp_send_bare(struct tcp *t, const struct tcp_node *n, struct tcp_bare *s)
{
	(void)send_bare(t, n, s, NULL, 0);
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
	tcp_ack_waits_no_more(t, c);
	c->delack_at = TIME_NEVER;
	c->n_quick -= c->n_quick > 0;
	c->segs_out++;
}

/* Segments with data that s leaves as. */
static uint32_t n_segments(const struct tcp_conn *c, const struct tcp_segment *s)
{
	return s->len <= c->mss ? 1 : (s->len + c->mss - 1) / c->mss;
}

/* What is told twice is told once (sacks_told). */
static uint32_t put_sacks(const struct tcp *t, const struct tcp_conn *c, uint8_t *at, uint32_t room)
{
	uint32_t block[4][2];
	uint32_t max = room < 12 ? 0 : min_u32((room - 4) / 8, 4);
	uint32_t n = c->sack_ok ? tcp_receive_sacks(t, c, max, block) : 0;

	if (n == 0)
		return 0;
	at[0] = at[1] = 1;
	at[2] = 5;
	at[3] = (uint8_t)(2 + 8 * n);
	for (uint32_t i = 0; i < n; i++)
		put32(put32(at + 4 + 8 * i, block[i][0]), block[i][1]);
	return 4 + 8 * n;
}

/* So many bytes of them have left. */
static void sacks_told(struct tcp *t, struct tcp_conn *c, uint32_t bytes)
{
	if (bytes == 0 || c->dsack.left == c->dsack.right)
		return;
	t->counts[TCP_COUNT_DSACKS_OUT]++;
	c->dsack.left = c->dsack.right = 0;
}

void tcp_send_ack(struct tcp *t, struct tcp_conn *c)
{
	struct tcp_bare s = bare_of(t, c, TCP_ACK);
	uint8_t sacks[TCP_OPTIONS_MAX];
	uint32_t n =
		put_sacks(t, c, sacks, TCP_OPTIONS_MAX - (c->ts_ok ? 12 : 0) - tcp_md5_room(t, c->rare, c->node.raddr));

	if (send_bare(t, &c->node, &s, sacks, n))
		sacks_told(t, c, n);
	acknowledged(t, c, &s);
}

void tcp_send_probe(struct tcp *t, struct tcp_conn *c)
{
	struct tcp_bare s = bare_of(t, c, TCP_ACK);

	s.seq = c->snd_una - 1;
	captures_why(t->captures, "probe");
	(void)send_bare(t, &c->node, &s, NULL, 0);
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
	(void)send_bare(t, &c->node, &s, NULL, 0);
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
	/* Each time the same is offered, whatever the config says by now. */
	s.sack_ok = c->sack_ok;
	s.has_ts = c->ts_ok;
	s.ts_ecr = is_answer ? c->ts_recent : 0;
	s.wscale = c->wscale_ok ? (int8_t)c->rcv_scale : -1;
	if (!is_answer && c->ecn_ok && c->n_rtx == 0)
		s.flags |= TCP_ECE | TCP_CWR;
	else if (is_answer && c->ecn_ok)
		s.flags |= TCP_ECE;
	(void)send_bare(t, &c->node, &s, NULL, 0);
	c->segs_out++;
	c->rcv_adv = c->rcv_nxt + s.window;
	c->last_ack_sent = c->rcv_nxt;
}

/* --- segments with data --- */

static uint16_t mss_by(const struct tcp *t, const struct fib_nexthop *nh)
{
	uint32_t mtu = nh->kind == FIB_UNICAST ? ip_mtu(t->ip, nh->ifindex) : UINT16_MAX;

	return (uint16_t)(max_u32(mtu, IPV4_MIN_MTU + TCP_OPTIONS_MAX) - IPV4_HEADER_LEN - TCP_HEADER_LEN);
}

uint16_t tcp_own_mss(const struct tcp *t, const struct tcp_node *n, uint32_t rare)
{
	struct fib_nexthop room;

	return mss_by(t, ip_route_by(t->ip, n->zone, n->raddr, tcp_rare_at(t, rare)->ifindex, &room));
}

/* What leads elsewhere later still arrives: ip does what that device does not. */
void tcp_take_way(struct tcp *t, struct tcp_conn *c)
{
	struct fib_nexthop room;
	const struct fib_nexthop *nh =
		ip_route_by(t->ip, c->node.zone, c->node.raddr, tcp_rare_at(t, c->rare)->ifindex, &room);
	uint32_t caps = nh->kind == FIB_UNICAST ? ip_offloads(t->ip, nh->ifindex) : 0;

	c->mss_own = mss_by(t, nh);
	c->path_mtu = (uint16_t)(c->mss_own + IPV4_HEADER_LEN + TCP_HEADER_LEN);
	if (c->o->user_mss != 0)
		c->mss_own = (uint16_t)min_u32(c->mss_own, c->o->user_mss);
	c->no_sum = (caps & DEVICE_CAP_CSUM) != 0;
	c->gso = device_cuts(caps, GSO_TCP4);
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

	tcp_rate_sent(t, c, s);
	if (!(s->flags & SEGMENT_SENT)) {
		s->flags |= SEGMENT_SENT;
		c->flight->queue.n_sent++;
		c->snd_nxt = s->seq + tcp_segment_size(s);
		if (s->len > 0 && (s->len < c->mss || (s->len > c->mss && s->len % c->mss != 0)))
			c->flight->snd_small = c->snd_nxt;
	} else {
		uint32_t n = n_segments(c, s);

		t->counts[TCP_COUNT_RETRANSMITTED] += n;
		c->n_retransmitted += n;
		c->bytes_retransmitted += s->len;
		if (c->flight->retrans_stamp == 0)
			c->flight->retrans_stamp = max_u32(tcp_ts_now(t, c), 1);
		c->flight->undo_retrans += (int32_t)(s->len > 0 ? n : 0);
		if ((s->flags & SEGMENT_LOST) && !(s->flags & SEGMENT_RETRANSMITTED)) {
			s->flags |= SEGMENT_RETRANSMITTED;
			c->flight->retransmitted += tcp_segment_size(s);
		}
		s->flags |= SEGMENT_EVER_RETRANSMITTED;
		tcp_flight_remove(t, c, s, index);
	}
	s->sent = now;
	s->in_flight = tcp_inflight(c);
	if (!(s->flags & SEGMENT_SACKED))
		tcp_flight_add(t, c, s, index);
	c->flight->prr_out += tcp_segment_size(s);
	c->last_sent = now;
	if (c->flight->rtx_since == 0)
		c->flight->rtx_since = now;
}

bool tcp_transmit(struct tcp *t, struct tcp_conn *c, uint32_t i, uint8_t flags)
{
	struct tcp_segment *s = tcp_queue_at(t, c, i);
	uint32_t index = tcp_queue_number(c, i);
	struct tcp_bare h = bare_of(t, c, TCP_ACK | flags);
	uint8_t options[TCP_OPTIONS_MAX], *end = options;
	uint32_t n_sacks = 0;
	bool is_new = !(s->flags & SEGMENT_SENT);

	h.key = tcp_md5_for(t, c->rare, c->node.raddr);
	uint32_t md5_room = h.key != NULL ? TCP_MD5_OPTION_LEN : 0;

	h.seq = s->seq;
	h.gso_size = s->len > c->mss ? c->mss : 0;
	/* Whoever merges what comes of a large one is told where it ends. */
	if ((s->flags & SEGMENT_PUSH) || h.gso_size != 0)
		h.flags |= TCP_PSH;
	if (s->flags & SEGMENT_FIN)
		h.flags |= TCP_FIN;
	if (c->flight->snd_up != c->snd_una)
		tcp_urgent_mark(c, s->seq, &h);
	if (h.has_ts)
		end = put_lone_timestamp(options, &h);
	if (c->inbox.islands != POOL_NONE || c->dsack.left != c->dsack.right) {
		uint32_t room = s->len < c->mss ? c->mss - s->len : 0;

		n_sacks = put_sacks(t, c, end,
				    min_u32(room & ~3u, TCP_OPTIONS_MAX - md5_room - (uint32_t)(end - options)));
		end += n_sacks;
	}
	if (c->ecn_ok && s->len > 0 && is_new) {
		h.tos |= ECN_ECT0;
		if (c->cwr_pending)
			h.flags |= TCP_CWR;
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
	fill_tcp(t, p, &c->node, &h, header_len, s);
	sacks_told(t, c, n_sacks);
	if (h.flags & TCP_CWR)
		c->cwr_pending = false;
	note_sent(t, c, s, index);
	acknowledged(t, c, &h);
	c->segs_out += n_segments(c, s) - 1;
	return true;
}

bool tcp_transmit_together(struct tcp *t, struct tcp_conn *c, uint32_t n, uint32_t len)
{
	uint32_t first = c->flight->queue.n_sent, done = 0;
	struct tcp_bare h = bare_of(t, c, TCP_ACK);
	uint32_t header_len = TCP_HEADER_LEN + (h.has_ts ? 12 : 0);
	uint32_t before = ETHER_HEADER_LEN + IPV4_HEADER_LEN + header_len;
	struct packet *p = packet_alloc(t->env->pool, before + len);

	if (p == NULL) {
		t->counts[TCP_COUNT_NO_SEGMENT]++;
		return false;
	}
	memset(packet_frame(p), 0, ETHER_HEADER_LEN);
	for (uint32_t i = 0; i < n; i++) {
		const struct tcp_segment *s = tcp_queue_at(t, c, first + i);

		memcpy(packet_frame(p) + before + done,
		       packet_buffer_at(t->env->pool, s->buffer, s->large).bytes + s->off, s->len);
		done += s->len;
	}
	struct tcp_segment load = { .len = len, .sum = checksum_add(0, packet_frame(p) + before, len) };

	h.seq = tcp_queue_at(t, c, first)->seq;
	if (c->ecn_ok)
		h.tos |= ECN_ECT0;
	captures_why(t->captures, "path MTU probe");
	fill_ip(t, p, &c->node, &h, header_len + len);
	if (h.has_ts)
		(void)put_lone_timestamp(packet_l4(p) + TCP_HEADER_LEN, &h);
	fill_tcp(t, p, &c->node, &h, header_len, &load);
	for (uint32_t i = 0; i < n; i++)
		note_sent(t, c, tcp_queue_at(t, c, first + i), tcp_queue_number(c, first + i));
	acknowledged(t, c, &h);
	return true;
}
