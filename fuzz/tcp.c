/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Whole TCP connections, whose other ends are the input's: it sends segments whose
 * numbers stand near those that matter (what is expected, the window's edge, what is
 * on its way) or anywhere, with options of every length; it floods with SYNs, opens and
 * says nothing more (sockstress), fills gaps from behind, acknowledges what was never
 * sent; and it is the user, the clock, the device and the memory.
 *
 *   host 10.0.0.2:7 --- the input 10.0.0.1, ports 5000 to 5003
 *
 * What must hold stands in tcp_world.h.
 */
#include "tcp_world.h"

/* --- numbers that matter --- */

struct numbers {
	uint16_t sport, dport;
	uint32_t rcv_nxt, right, snd_una, snd_nxt, ts_recent, ts_now;
	bool ts_ok;
};

static void numbers_fill(struct fixture *w, struct numbers *n)
{
	struct tcp *t = w->h.tcp;
	struct tcp_node node = { .laddr = B_ADDR, .raddr = A_ADDR, .lport = n->dport, .rport = n->sport };
	uint32_t ref = tcp_find(t, &node);

	n->ts_now = (uint32_t)(w->h.env.now / TCP_TS_NS) + tcp_ts_offset(t, &node);
	if (ref == POOL_NONE)
		return;
	if (tcp_ref_kind(ref) == TCP_KIND_CONN) {
		const struct tcp_conn *c = tcp_conn_at(t, tcp_ref_index(ref));

		n->rcv_nxt = c->rcv_nxt;
		n->right = seq_max(c->rcv_adv, c->rcv_nxt);
		n->snd_una = c->snd_una;
		n->snd_nxt = c->snd_nxt;
		n->ts_ok = c->ts_ok;
		n->ts_recent = c->ts_recent;
	} else if (tcp_ref_kind(ref) == TCP_KIND_HALF_OPEN) {
		const struct tcp_half_open *h = pool_at(&t->half_open, tcp_ref_index(ref));

		n->rcv_nxt = h->irs + 1;
		n->right = n->rcv_nxt + UINT16_MAX;
		n->snd_una = h->iss;
		n->snd_nxt = h->iss + 1;
		n->ts_ok = h->ts_ok;
		n->ts_recent = h->ts_recent;
	} else {
		const struct tcp_time_wait *tw = pool_at(&t->time_wait, tcp_ref_index(ref));

		n->rcv_nxt = tw->rcv_nxt;
		n->right = tw->rcv_nxt + tw->rcv_wnd;
		n->snd_una = n->snd_nxt = tw->snd_nxt;
		n->ts_ok = tw->ts_ok;
		n->ts_recent = tw->ts_recent;
	}
}

/* One of the input's ports to the listener, or the other end of what the user has opened. */
static struct numbers numbers_of(struct fixture *w, uint32_t which)
{
	struct numbers n = { .sport = (uint16_t)(PEER_PORT + which % N_TUPLES), .dport = SERVICE, .rcv_nxt = 1000 };
	const struct tcp_conn *c = w->user[which % N_USER];

	if ((which & 8) && c != NULL && c->state != TCP_CLOSED) {
		n.sport = c->node.rport;
		n.dport = c->node.lport;
	}
	numbers_fill(w, &n);
	return n;
}

/* A small step from a number that matters, or any number. */
static uint32_t take_near(struct fuzz_input *in, uint32_t a, uint32_t b)
{
	uint32_t how = fuzz_take(in, 1), step = (how & 15) * (how & 15) * (how & 64 ? 97 : 1);

	if ((how & 0xb0) == 0xb0)
		return fuzz_take(in, 4);
	if (how & 16)
		step = fuzz_take(in, 2);
	return (how & 128 ? b : a) + (how & 32 ? 0u - step : step);
}

static uint8_t *put32(uint8_t *at, uint32_t v)
{
	fuzz_put16(at, (uint16_t)(v >> 16));
	fuzz_put16(at + 2, (uint16_t)v);
	return at + 4;
}

static void take_timestamp(struct fuzz_input *in, const struct numbers *n, struct segment *s)
{
	uint8_t *at = s->options + s->options_len;
	uint32_t how = fuzz_take(in, 1);

	memcpy(at, (uint8_t[4]){ 1, 1, 8, 10 }, 4);
	put32(put32(at + 4, n->ts_recent + (how & 15) - (how & 16 ? 8 : 0)),
	      n->ts_now - (how & 32 ? fuzz_take(in, 1) : 0));
	s->options_len += 12;
}

static void take_sacks(struct fuzz_input *in, const struct numbers *n, struct segment *s)
{
	uint32_t n_blocks = fuzz_take(in, 1) % 4 + 1;
	uint8_t *at = s->options + s->options_len;

	n_blocks = min_u32(n_blocks, (TCP_OPTIONS_MAX - s->options_len - 4) / 8);
	memcpy(at, (uint8_t[4]){ 1, 1, 5, (uint8_t)(2 + 8 * n_blocks) }, 4);
	at += 4;
	for (uint32_t i = 0; i < n_blocks; i++) {
		uint32_t left = take_near(in, n->snd_una, n->snd_nxt);

		at = put32(at, left);
		at = put32(at, take_near(in, left, n->snd_nxt));
	}
	s->options_len += 4 + 8 * n_blocks;
}

static void take_syn_options(struct fuzz_input *in, struct segment *s)
{
	static const uint16_t mss[4] = { 1460, 1, 536, 65535 };
	uint32_t how = fuzz_take(in, 1);
	uint8_t *at = s->options;

	if (how & 1) {
		memcpy(at, (uint8_t[4]){ 2, 4, (uint8_t)(mss[how >> 6] >> 8), (uint8_t)mss[how >> 6] }, 4);
		at += 4;
	}
	if (how & 2)
		*at++ = 4, *at++ = 2;
	if (how & 4) {
		memcpy(at, (uint8_t[3]){ 3, 3, (uint8_t)(how >> 3) }, 3);
		at += 3;
	}
	if (how & 8) {
		memcpy(at, (uint8_t[10]){ 8, 10, 0, 0, 3, 232 }, 10);
		at += 10;
	}
	s->options_len = (uint32_t)(at - s->options);
}

static void take_options(struct fuzz_input *in, const struct numbers *n, struct segment *s, uint32_t how)
{
	if (s->flags & TCP_SYN) {
		take_syn_options(in, s);
		return;
	}
	if (n->ts_ok && !(how & 1))
		take_timestamp(in, n, s);
	if (how & 2)
		take_sacks(in, n, s);
	if (how & 4) {
		/* Whatever it says, of every length. */
		uint32_t len = min_u32(fuzz_take(in, 1) % (TCP_OPTIONS_MAX + 1), TCP_OPTIONS_MAX - s->options_len);

		for (uint32_t i = 0; i < len; i++)
			s->options[s->options_len++] = (uint8_t)fuzz_take(in, 1);
	}
}

static void step_segment(struct fixture *w, struct fuzz_input *in)
{
	static const uint8_t usual[8] = { TCP_ACK,           TCP_ACK | TCP_PSH, TCP_ACK, TCP_SYN,
					  TCP_SYN | TCP_ACK, TCP_FIN | TCP_ACK, TCP_ACK, TCP_RST };
	struct numbers n = numbers_of(w, fuzz_take(in, 1));
	uint32_t how = fuzz_take(in, 1);
	struct segment s = { .sport = n.sport, .dport = n.dport };

	s.flags = how & 8 ? (uint8_t)fuzz_take(in, 1) : usual[how >> 5];
	s.seq = how & 16 ? take_near(in, n.rcv_nxt, n.right) : n.rcv_nxt;
	s.ack = s.flags & TCP_ACK ? (how & 2 ? take_near(in, n.snd_nxt, n.snd_una) : n.snd_nxt) : 0;
	s.len = how & 4 ? fuzz_take(in, 2) % 1461 : 0;
	s.window = how & 1 ? (uint16_t)fuzz_take(in, 2) : 32768;
	take_options(in, &n, &s, how & 16 ? fuzz_take(in, 1) : 0);
	if (how & 8) {
		uint32_t more = fuzz_take(in, 1);

		s.tos = more & 3;
		s.urgent = s.flags & TCP_URG ? (uint16_t)fuzz_take(in, 2) : 0;
		s.damaged = (more & 0xfc) == 0xfc;
		if (more & 4) {
			s.len = fuzz_take(in, 2) % 16000;
			s.gso_size = 1 + more * 8;
		}
	}
	give(w, &s);
}

/* --- many at once --- */

static void flood(struct fixture *w, struct fuzz_input *in)
{
	uint32_t n = fuzz_take(in, 1);

	for (uint32_t i = 0; i < n; i++) {
		struct segment s = { .sport = (uint16_t)(20000 + i), .dport = SERVICE, .flags = TCP_SYN, .seq = i };

		give(w, &s);
	}
}

/* Opens, and then says nothing, or that there is no room. */
static void sockstress(struct fixture *w, struct fuzz_input *in)
{
	uint32_t n = fuzz_take(in, 1) % 32;

	for (uint32_t i = 0; i < n; i++) {
		struct segment s = { .sport = (uint16_t)(30000 + i), .dport = SERVICE, .flags = TCP_SYN, .seq = i };
		struct numbers at = { .sport = s.sport, .dport = SERVICE };

		give(w, &s);
		numbers_fill(w, &at);
		s.flags = TCP_ACK;
		s.seq = at.rcv_nxt;
		s.ack = at.snd_nxt;
		give(w, &s);
	}
}

/* Small pieces, each ahead of a gap: every second byte, or from behind. */
static void gaps(struct fixture *w, struct fuzz_input *in)
{
	struct numbers at = numbers_of(w, fuzz_take(in, 1));
	uint32_t how = fuzz_take(in, 1), n = fuzz_take(in, 1) * 4, len = 1 + (how & 15) * (how & 16 ? 90 : 1);
	uint32_t step = len + (how >> 5 & 3);
	struct segment s = {
		.sport = at.sport, .dport = at.dport, .flags = TCP_ACK, .ack = at.snd_nxt, .len = len, .window = 32768
	};

	for (uint32_t i = 1; i <= n; i++) {
		s.seq = at.rcv_nxt + (how & 128 ? (n + 1 - i) : i) * step;
		give(w, &s);
	}
}

/* All that was sent, as soon as it is, and more than that. */
static void optimistic(struct fixture *w, struct fuzz_input *in)
{
	uint32_t which = fuzz_take(in, 1), ahead = fuzz_take(in, 2), n = fuzz_take(in, 1) % 32;

	for (uint32_t i = 0; i < n; i++) {
		struct numbers at = numbers_of(w, which);
		struct segment s = { .sport = at.sport,
				     .dport = at.dport,
				     .flags = TCP_ACK,
				     .seq = at.rcv_nxt,
				     .ack = at.snd_nxt + (i & 1 ? ahead : 0),
				     .window = 65535 };

		give(w, &s);
	}
}

static void icmp_error(struct fixture *w, struct fuzz_input *in)
{
	struct numbers n = numbers_of(w, fuzz_take(in, 1));
	uint32_t how = fuzz_take(in, 1), seq = take_near(in, n.snd_una, n.snd_nxt), info = fuzz_take(in, 2);
	uint8_t frame[HOST_ICMP_FRAME];

	host_icmp_frame(frame, n.dport, n.sport, seq, how & 64 ? ICMP_TIME_EXCEEDED : ICMP_DEST_UNREACHABLE, how & 15,
			info);
	give_frame(w, frame, sizeof(frame), NULL);
}

/* --- the user --- */

static void user_begins(struct fixture *w, struct fuzz_input *in, uint32_t slot)
{
	uint32_t how = fuzz_take(in, 1);
	struct tcp_end local = { .port = (uint16_t)(how & 1 ? 0 : 9000 + (how >> 1 & 3)) };
	struct tcp_end remote = { ip_addr_v4(A_ADDR), (uint16_t)(PEER_PORT + (how >> 3 & 3)) };

	if (how & 128)
		w->user[slot] = tcp_accept(w->h.tcp, w->listener, slot);
	else
		w->user[slot] = tcp_open(w->h.tcp, slot);
	w->n_read[slot] = 0;
	if (!(how & 128) && w->user[slot] != NULL)
		(void)tcp_connect(w->h.tcp, w->user[slot], 0, &local, &remote);
}

static void user_sends(struct fixture *w, struct fuzz_input *in, struct tcp_conn *c)
{
	static uint8_t bytes[65536];
	uint32_t len = fuzz_take(in, 2), how = fuzz_take(in, 1), at = c->write_seq;
	struct span s = { .bytes = bytes, .len = len };

	if (how & 2) {
		if (tcp_reserve(w->h.tcp, c, &s) != 0)
			return;
		s.len = min_u64(s.len, len);
		at = c->write_seq;
	}
	for (uint32_t i = 0; i < s.len; i++)
		((uint8_t *)s.bytes)[i] = byte_of(at + i);
	if (how & 2)
		(void)tcp_commit(w->h.tcp, c, (uint32_t)s.len, how & 1 ? TCP_SEND_MORE : 0);
	else
		(void)tcp_send(w->h.tcp, c, &s, 1, how & 1 ? TCP_SEND_MORE : 0);
}

static void user_reads(struct fixture *w, struct fuzz_input *in, struct tcp_conn *c, uint32_t slot)
{
	static uint8_t bytes[65536];
	uint32_t len = fuzz_take(in, 2), how = fuzz_take(in, 1);
	struct span s = { .bytes = bytes, .len = len };
	bool in_place = (how & 2) != 0, peeks = (how & 4) != 0;
	int64_t n;

	if (in_place) {
		n = tcp_peek(w->h.tcp, c, &s, 1) > 0 ? (int64_t)min_u64(s.len, len) : 0;
	} else {
		n = tcp_recv(w->h.tcp, c, &s, 1, peeks ? TCP_RECV_PEEK : 0);
	}
	for (int64_t i = 0; i < n && !w->urgent; i++)
		FUZZ_CHECK(((const uint8_t *)s.bytes)[i] == byte_of(c->irs + 1 + w->n_read[slot] + (uint32_t)i));
	if (in_place && n > 0)
		tcp_release(w->h.tcp, c, (uint32_t)n);
	if (n > 0 && (in_place || !peeks))
		w->n_read[slot] += (uint32_t)n;
}

static void user_tells(struct fixture *w, struct fuzz_input *in, struct tcp_conn *c)
{
	uint32_t o = fuzz_take(in, 1), value = fuzz_take(in, 2);

	switch (o % N_TCP_OPTIONS) {
	case TCP_OPTION_SNDBUF:
	case TCP_OPTION_RCVBUF:
		tcp_set_option(w->h.tcp, c, o % N_TCP_OPTIONS, 2304 + value * 4);
		return;
	case TCP_OPTION_MAXSEG:
		tcp_set_option(w->h.tcp, c, o % N_TCP_OPTIONS, 88 + value % 32000);
		return;
	case TCP_OPTION_KEEPALIVE_TIME:
	case TCP_OPTION_KEEPALIVE_INTERVAL:
	case TCP_OPTION_USER_TIMEOUT:
	case TCP_OPTION_LINGER2:
		tcp_set_option(w->h.tcp, c, o % N_TCP_OPTIONS, (value + 1) * NS_PER_MS);
		return;
	case TCP_OPTION_MIN_TTL:
		return;
	case TCP_OPTION_WINDOW_CLAMP:
		tcp_set_option(w->h.tcp, c, o % N_TCP_OPTIONS, value);
		return;
	default:
		tcp_set_option(w->h.tcp, c, o % N_TCP_OPTIONS, value % 128);
		return;
	}
}

static void step_user(struct fixture *w, struct fuzz_input *in)
{
	uint32_t what = fuzz_take(in, 1), slot = what & 7;
	struct tcp_conn *c = w->user[slot];

	if (c == NULL) {
		user_begins(w, in, slot);
		return;
	}
	switch (what >> 3 & 15) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
		user_sends(w, in, c);
		break;
	case 5:
	case 6:
	case 7:
	case 8:
	case 9:
		user_reads(w, in, c, slot);
		break;
	case 10:
		(void)tcp_shutdown(w->h.tcp, c, fuzz_take(in, 1) & 3);
		break;
	case 11:
	case 12:
		user_tells(w, in, c);
		break;
	case 13:
		(void)tcp_set_congestion(w->h.tcp, c, fuzz_take(in, 1) & 1 ? "reno" : "cubic");
		(void)tcp_take_error(c);
		break;
	case 14:
		w->user[slot] = NULL;
		tcp_close(w->h.tcp, c);
		break;
	default:
		w->user[slot] = NULL;
		tcp_abort(w->h.tcp, c);
		break;
	}
	FUZZ_CHECK(tcp_poll(w->h.tcp, w->user[slot] != NULL ? w->user[slot] : c) < 64 || w->user[slot] == NULL);
}

/* --- the world --- */

static void step_world(struct fixture *w, struct fuzz_input *in)
{
	uint32_t what = fuzz_take(in, 1), n = fuzz_take(in, 1);

	switch (what & 3) {
	case 0:
		w->refuses = n;
		return;
	case 1:
		/* Nearly no memory is left. */
		while (w->n_hoard < ARRAY_LEN(w->hoard) &&
		       packet_pool_used(w->h.env.pool) + n / 8 < pool_cfg.n_packets) {
			struct packet *p = packet_alloc(w->h.env.pool, 100);

			if (p == NULL)
				return;
			w->h.env.ledger.n_received++;
			w->hoard[w->n_hoard++] = p;
		}
		return;
	case 2:
		while (w->n_hoard > 0)
			env_drop(&w->h.env, w->hoard[--w->n_hoard], DROP_NO_ROUTE);
		return;
	default:
		ip_flush(w->h.ip);
		w->dev.mtu = 576 + 8 * n;
		w->dev.caps = n & 1 ? DEVICE_CAP_CSUM | DEVICE_CAP_TSO : n & 2 ? DEVICE_CAP_CSUM : 0;
		return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t times[8] = { NS_PER_US,       NS_PER_MS, 10 * NS_PER_MS, 50 * NS_PER_MS,
					   300 * NS_PER_MS, NS_PER_S,  10 * NS_PER_S,  200 * NS_PER_S };
	struct fuzz_input in = { data, size };
	static struct fixture fixture; /* of the fuzzer's, not of the core's */
	struct fixture *w = &fixture;

	start(w, fuzz_take(&in, 1));
	while (in.n_left > 0) {
		uint32_t op = fuzz_take(&in, 1);

		if (op < 128)
			step_segment(w, &in);
		else if (op < 192)
			step_user(w, &in);
		else if (op < 224)
			pass_time(w, times[op & 7]);
		else if (op < 228)
			flood(w, &in);
		else if (op < 232)
			sockstress(w, &in);
		else if (op < 238)
			gaps(w, &in);
		else if (op < 243)
			optimistic(w, &in);
		else if (op < 249)
			icmp_error(w, &in);
		else
			step_world(w, &in);
		ip_flush(w->h.ip);
		if (w->arp_asked)
			answer_arp(w);
		check(w);
	}
	finish(w);
	return 0;
}
