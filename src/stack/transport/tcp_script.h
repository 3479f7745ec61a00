/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests: one host with TCP, and a peer that is the test's own hand: it sends
 * segments field by field and sees each that comes back.
 *
 *   host 10.0.0.2:7 --- peer 10.0.0.1:5000
 *
 * Numbers count from each end's initial one, as in tcpdump: the SYN is 0, the first
 * byte 1. The peer's initial sequence number is PEER_ISN.
 */
#ifndef YG_STACK_TRANSPORT_TCP_SCRIPT_H
#define YG_STACK_TRANSPORT_TCP_SCRIPT_H

#include "stack/transport/tcp_fixture.h"
#include "stack/wire/arp.h"
#include "stack/wire/checksum.h"
#include "stack/wire/icmp.h"

#define PEER_ISN 0x7fffff00u /* goes past the sign on the way */
#define PEER_PORT 5000u
#define PEER_WINDOW 32768u
#define SEEN_MAX 256u

struct seen {
	uint8_t flags;
	uint32_t seq, ack; /* from the initial ones; seq as it stands of what no connection sent */
	uint32_t len;
	uint16_t window;
	uint16_t urgent;
	uint8_t tos, ttl;
	uint16_t id;
	uint8_t first; /* byte of payload */
	struct tcp_options options;
	uint32_t mark;
	bool df;
	uint64_t at;
};

struct script {
	uint64_t now;
	struct host h;
	struct device dev;
	struct tcp_listener *listener;
	struct tcp_conn *c;
	uint32_t n, read;  /* segments that came back, those that the test has looked at */
	uint32_t n_others; /* packets that are none of TCP */
	struct seen seen[SEEN_MAX];
	uint32_t host_isn;
	bool has_isn;
	bool arp_asked, is_dead; /* dead: ARP is not answered */
	/* Frames of the peer wait in a batch until script_release. */
	bool is_held;
	struct batch held;
	/* What the peer puts into each segment. */
	bool timestamps;
	uint32_t ts_val, ts_ecr;
};

static inline void script_tx(struct device *d, struct batch *b)
{
	struct script *s = container_of(d, struct script, dev);

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];
		struct ipv4_view ip;
		struct l4_view v;

		d->ledger->n_handed++;
		if (packet_frame(p)[12] == 8 && packet_frame(p)[13] == 0) {
			const uint8_t *l3 = packet_frame(p) + ETHER_HEADER_LEN;

			assert_int_equal(ipv4_parse(l3, p->len - ETHER_HEADER_LEN, &ip), IPV4_OK);
			assert_int_equal(l4_parse(&ip, l3 + ip.header_len, ip.total_len - ip.header_len, &v), L4_OK);
			assert_true(l4_checksum_ok(&ip, l3 + ip.header_len, ip.total_len - ip.header_len));
			if (v.kind != L4_TCP) {
				s->n_others++;
				packet_free(d->pool, p);
				continue;
			}
			assert_true(s->n < SEEN_MAX);
			struct seen *o = &s->seen[s->n++];

			if (!s->has_isn && (v.flags & TCP_SYN)) {
				s->host_isn = v.seq;
				s->has_isn = true;
			}
			*o = (struct seen){ .flags = v.flags,
					    .seq = v.seq - s->host_isn,
					    .ack = v.ack - PEER_ISN,
					    .len = v.payload_len,
					    .window = v.window,
					    .urgent = (uint16_t)(l3[ip.header_len + 18] << 8 | l3[ip.header_len + 19]),
					    .tos = ip.tos,
					    .ttl = ip.ttl,
					    .df = ip.df,
					    .id = ip.id,
					    .first = v.payload_len > 0 ? l3[ip.header_len + v.header_len] : 0,
					    .mark = p->mark,
					    .at = s->now };
			(void)tcp_options_parse(l3 + ip.header_len, &v, &o->options);
			if (o->options.has_timestamp)
				s->ts_ecr = o->options.ts_val;
			for (uint32_t k = 0; k < o->options.n_sack; k++) {
				o->options.sack[k].left -= PEER_ISN;
				o->options.sack[k].right -= PEER_ISN;
			}
		}
		s->arp_asked |= packet_frame(p)[12] == 8 && packet_frame(p)[13] == 6;
		packet_free(d->pool, p);
	}
	b->n = 0;
}

static inline uint32_t script_rx(struct device *d, struct batch *b, uint32_t max)
{
	return 0;
}

static const struct device_ops script_ops = { .driver = "script", .rx = script_rx, .tx = script_tx };

/* Frames from the peer. */
static inline void script_batch(struct script *s, struct batch *b)
{
	ether_input(s->h.ip, 1, b);
	ip_flush(s->h.ip);
	host_check(&s->h);
}

static inline struct packet *script_packet(struct script *s, const uint8_t *frame, uint32_t len)
{
	struct packet *p = packet_alloc(s->h.env.pool, len);

	assert_non_null(p);
	memcpy(packet_frame(p), frame, len);
	s->h.env.ledger.n_received++;
	return p;
}

/* The peer's Ethernet address: it asks for ours. */
static inline void script_arp(struct script *s)
{
	uint8_t arp[60] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 6 };
	struct arp_view v = { .op = ARP_REQUEST, .sha = { { 2, 0, 0, 0, 0, 1 } }, .spa = A_ADDR, .tpa = B_ADDR };
	struct batch b = { .n = 0 };

	arp_emit(arp + ETHER_HEADER_LEN, &v);
	batch_add(&b, script_packet(s, arp, sizeof(arp)));
	script_batch(s, &b);
	s->arp_asked = false;
}

/* A frame from the peer. */
static inline void script_frame(struct script *s, const uint8_t *frame, uint32_t len)
{
	struct batch b = { .n = 0 };

	if (s->is_held) {
		batch_add(&s->held, script_packet(s, frame, len));
		return;
	}
	batch_add(&b, script_packet(s, frame, len));
	script_batch(s, &b);
	if (s->arp_asked && !s->is_dead)
		script_arp(s);
}

/* All that waits comes at once. */
static inline void script_release(struct script *s)
{
	s->is_held = false;
	script_batch(s, &s->held);
}

/* Whatever is due until then happens. */
static inline void script_wait(struct script *s, uint64_t ns)
{
	uint64_t end = s->now + ns;

	for (uint64_t next; (next = host_deadline(&s->h)) <= end;) {
		s->now = max_u64(s->now, next);
		s->h.env.now = s->now;
		host_expire(&s->h);
		host_check(&s->h);
		if (s->arp_asked && !s->is_dead)
			script_arp(s);
	}
	s->h.env.now = s->now = end;
	host_expire(&s->h);
}

static inline void script_start(struct script *s, const struct tcp_config *cfg)
{
	memset(s, 0, sizeof(*s));
	s->now = 1000 * NS_PER_S;
	s->dev = (struct device){ .ops = &script_ops, .mtu = 1500 };
	host_start(&s->h, &s->dev, B_ADDR, s->now, NULL, cfg);
	script_wait(s, 5 * NS_PER_S);
	script_arp(s);
	s->n = s->read = 0;
}

static inline void script_end(struct script *s)
{
	if (s->listener != NULL)
		tcp_unlisten(s->h.tcp, s->listener);
	host_law(&s->h);
	host_end(&s->h);
}

/* A segment of the peer. seq and ack count from the initial numbers; data: bytes numbered by their place. */
struct in {
	uint8_t flags;
	uint32_t seq, ack, len;
	uint16_t window; /* 0: PEER_WINDOW */
	bool zero_window;
	const uint8_t *options;
	uint32_t options_len; /* a multiple of 4 */
	uint16_t urgent;
	uint8_t tos;
	uint8_t ttl;       /* 0: 64 */
	uint16_t sport;    /* 0: PEER_PORT */
	uint16_t dport;    /* 0: SERVICE */
	uint32_t src, dst; /* 0: the peer's and the host's */
	bool damaged;      /* its checksum is wrong */
};

static inline uint8_t script_byte(uint32_t seq)
{
	return (uint8_t)(seq * 31 + (seq >> 8));
}

static inline void script_in(struct script *s, const struct in *in)
{
	uint8_t frame[4096] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0 };
	uint8_t *l3 = frame + ETHER_HEADER_LEN, *l4 = l3 + IPV4_HEADER_LEN, *at = l4 + TCP_HEADER_LEN;
	bool has_ts = s->timestamps && in->options_len == 0;
	uint32_t options_len = has_ts ? 12 : in->options_len, header = TCP_HEADER_LEN + options_len;
	struct ipv4_view ip = { .src = in->src != 0 ? in->src : A_ADDR,
				.dst = in->dst != 0 ? in->dst : B_ADDR,
				.total_len = (uint16_t)(IPV4_HEADER_LEN + header + in->len),
				.header_len = IPV4_HEADER_LEN,
				.ttl = in->ttl != 0 ? in->ttl : 64,
				.tos = in->tos,
				.proto = IPPROTO_NR_TCP,
				.df = true };

	assert_true(header + in->len < 3000);
	tcp_emit(l4, in->sport != 0 ? in->sport : PEER_PORT, in->dport != 0 ? in->dport : SERVICE, PEER_ISN + in->seq,
		 in->flags & TCP_ACK ? s->host_isn + in->ack : 0, in->flags,
		 in->zero_window   ? 0
		 : in->window != 0 ? in->window
				   : PEER_WINDOW);
	l4[12] = (uint8_t)(header / 4 << 4);
	l4[18] = (uint8_t)(in->urgent >> 8);
	l4[19] = (uint8_t)in->urgent;
	if (has_ts) {
		uint8_t ts[12] = { 1, 1, 8, 10 };

		for (int i = 0; i < 4; i++) {
			ts[4 + i] = (uint8_t)(s->ts_val >> (24 - 8 * i));
			ts[8 + i] = (uint8_t)(s->ts_ecr >> (24 - 8 * i));
		}
		memcpy(at, ts, sizeof(ts));
	} else if (options_len > 0) {
		memcpy(at, in->options, options_len);
	}
	for (uint32_t i = 0; i < in->len; i++)
		at[options_len + i] = script_byte(in->seq + ((in->flags & TCP_SYN) != 0) + i);
	ipv4_emit(l3, &ip);
	l4_checksum_set(&ip, l4, header + in->len);
	l4[TCP_CHECK_AT] ^= in->damaged;
	script_frame(s, frame, (uint32_t)(ETHER_HEADER_LEN + ip.total_len));
}

/* An ICMP error about our segment with that number; info: the next hop's MTU. */
static inline void script_icmp(struct script *s, uint8_t type, uint8_t code, uint32_t seq, uint32_t info)
{
	uint8_t frame[HOST_ICMP_FRAME];

	host_icmp_frame(frame, SERVICE, PEER_PORT, s->host_isn + seq, type, code, info);
	script_frame(s, frame, sizeof(frame));
}

/* The next segment that came back and was not looked at; NULL: none. */
static inline const struct seen *script_out(struct script *s)
{
	return s->read < s->n ? &s->seen[s->read++] : NULL;
}

static inline void script_forget(struct script *s)
{
	s->n = s->read = 0;
}

static inline void script_listen(struct script *s)
{
	s->listener = host_listen(&s->h, SERVICE);
}

/* The peer opens, by a SYN with these options (len a multiple of 4), and the user accepts. */
static inline void script_accept(struct script *s, const uint8_t *options, uint32_t len)
{
	script_listen(s);
	script_in(s, &(struct in){ .flags = TCP_SYN, .options = options, .options_len = len });
	const struct seen *o = script_out(s);

	assert_non_null(o);
	assert_int_equal(o->flags, TCP_SYN | TCP_ACK);
	assert_int_equal(o->ack, 1);
	s->timestamps = o->options.has_timestamp;
	script_in(s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 1 });
	s->c = tcp_accept(s->h.tcp, s->listener, 1);
	assert_non_null(s->c);
	assert_int_equal(tcp_state(s->c), TCP_ESTABLISHED);
	script_forget(s);
}

/* We open: the SYN has been seen, nothing has answered it. */
static inline void script_connect(struct script *s)
{
	struct tcp_end local = { .port = SERVICE }, remote = { ip_addr_v4(A_ADDR), PEER_PORT };

	s->c = tcp_open(s->h.tcp, 1);
	assert_int_equal(tcp_connect(s->h.tcp, s->c, 0, &local, &remote), -EINPROGRESS);
	ip_flush(s->h.ip);
	const struct seen *o = script_out(s);

	assert_non_null(o);
	assert_int_equal(o->flags & TCP_SYN, TCP_SYN);
	script_forget(s);
}

#endif
