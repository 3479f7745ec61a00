/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The world of fuzz/tcp.c: a host, its device, and a memory of what has to hold:
 *   - the law of conservation, and what is kept of a connection's segments is what they say;
 *   - what is received is what was sent, byte by byte: a byte's value follows from its number;
 *   - what leaves is right: checksum, size, contents, within the window that was told;
 *     the right edge of our own never moves to the left;
 *   - a segment is answered by no more than two acknowledgements, and what a connection keeps of
 *     what came is bounded by its buffer;
 *   - timers do not spin, and when nobody says anything more all of it goes away.
 */
#ifndef YG_FUZZ_TCP_WORLD_H
#define YG_FUZZ_TCP_WORLD_H

#include "base/util.h"
#include "stack/transport/tcp_fixture.h"
#include "stack/wire/arp.h"
#include "stack/wire/bytes.h"
#include "stack/wire/checksum.h"
#include "stack/wire/icmp.h"
#include "wire_fuzz.h"

#define N_USER 8u
#define N_TUPLES 4u
#define PEER_PORT 5000u
#define FIRES_MAX 20000u

static const struct packet_pool_config pool_cfg = { .n_packets = 1024, .n_small = 1024, .n_large = 8 };
static const struct tcp_limits limits = {
	.n_connections = 16, .n_listeners = 4, .n_half_open = 8, .n_time_wait = 4, .n_segments = 256
};

/* What is remembered of a place in the pool of connections, to be compared with what leaves. */
struct memory {
	uint32_t iss, irs;
	uint32_t told;    /* right edge that we have told */
	uint32_t allowed; /* right edge of the other end, the furthest */
	bool has_told, has_allowed;
};

struct fixture {
	struct host h;
	struct device dev;
	struct tcp_listener *listener;
	struct tcp_conn *user[N_USER];
	uint32_t n_read[N_USER];
	bool urgent;       /* bytes are taken out of their row from here on */
	uint32_t refuses;  /* so many frames are lost at the device */
	uint32_t n_acks;   /* bare ones that left */
	uint32_t n_frames; /* that left */
	bool arp_asked;
	struct memory memory[32];
	struct packet *hoard[1024];
	uint32_t n_hoard;
};

_Noreturn void rfc_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%d: ", file, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

static uint8_t byte_of(uint32_t seq)
{
	return (uint8_t)(seq * 31 + (seq >> 8));
}

/* --- what leaves --- */

static struct tcp_conn *conn_for(struct fixture *w, const struct ipv4_view *ip, const struct l4_view *v)
{
	struct tcp_node n = { .laddr = ip->src, .raddr = ip->dst, .lport = v->sport, .rport = v->dport };
	uint32_t ref = tcp_find(w->h.tcp, &n);

	return ref != POOL_NONE && tcp_ref_kind(ref) == TCP_KIND_CONN ? tcp_conn_at(w->h.tcp, tcp_ref_index(ref))
								      : NULL;
}

static struct memory *memory_of(struct fixture *w, const struct tcp_conn *c)
{
	struct memory *m = &w->memory[c->index];

	if (m->iss != c->iss || m->irs != c->irs)
		*m = (struct memory){ .iss = c->iss, .irs = c->irs };
	if (c->state >= TCP_ESTABLISHED) {
		uint32_t right = c->snd_una + c->snd_wnd;

		m->allowed = m->has_allowed ? seq_max(m->allowed, right) : right;
		m->has_allowed = true;
	}
	return m;
}

static void check_segment(struct fixture *w, struct tcp_conn *c, const struct l4_view *v, const uint8_t *payload)
{
	struct memory *m = memory_of(w, c);
	uint32_t right = v->ack + ((uint32_t)v->window << c->rcv_scale);

	if ((v->flags & (TCP_SYN | TCP_RST)) || c->state < TCP_ESTABLISHED)
		return;
	if (m->has_told)
		FUZZ_CHECK(!seq_before(right, m->told));
	m->told = right;
	m->has_told = true;
	FUZZ_CHECK(!seq_after(v->ack, c->rcv_nxt));
	if (v->payload_len == 0)
		return;
	/* A probe of a closed window may be of one byte. */
	FUZZ_CHECK(!seq_after(v->seq + v->payload_len, m->allowed + 1));
	FUZZ_CHECK(!seq_before(v->seq, c->iss + 1));
	for (uint32_t i = 0; i < v->payload_len && !w->urgent; i++)
		FUZZ_CHECK(payload[i] == byte_of(v->seq + i));
}

/* What is left to the device is what it can do: a sum that begins with the pseudo header's, segments that fit. */
static void check_offload(struct fixture *w, const struct packet *p, const struct ipv4_view *ip,
			  const struct l4_view *v, const uint8_t *l4)
{
	const struct offload *o = &p->offload;
	uint32_t l4_len = (uint32_t)ip->total_len - ip->header_len;

	FUZZ_CHECK(o->gso_type == GSO_NONE || (o->csum_partial && (w->dev.caps & DEVICE_CAP_TSO)));
	if (!o->csum_partial)
		return;
	FUZZ_CHECK((w->dev.caps & DEVICE_CAP_CSUM) && o->csum_offset == TCP_CHECK_AT);
	FUZZ_CHECK(o->csum_start == ETHER_HEADER_LEN + ip->header_len);
	FUZZ_CHECK(bytes_get16(l4 + TCP_CHECK_AT) ==
		   checksum_fold(checksum_pseudo(ip->src, ip->dst, IPPROTO_NR_TCP, l4_len)));
	if (o->gso_type == GSO_NONE)
		return;
	FUZZ_CHECK(v->payload_len > o->gso_size && !(v->flags & (TCP_SYN | TCP_RST | TCP_URG)));
	FUZZ_CHECK((uint32_t)ip->header_len + v->header_len + o->gso_size <= w->dev.mtu);
}

static void check_frame(struct fixture *w, struct packet *p)
{
	const uint8_t *l3 = packet_frame(p) + ETHER_HEADER_LEN;
	struct ipv4_view ip;
	struct l4_view v;
	struct tcp_options o;

	FUZZ_CHECK(ipv4_parse(l3, p->len - ETHER_HEADER_LEN, &ip) == IPV4_OK);
	FUZZ_CHECK(p->len == (uint32_t)ETHER_HEADER_LEN + ip.total_len);
	FUZZ_CHECK(ip.total_len <= w->dev.mtu || p->offload.gso_type != GSO_NONE);
	FUZZ_CHECK(l4_parse(&ip, l3 + ip.header_len, (size_t)ip.total_len - ip.header_len, &v) == L4_OK);
	if (ip.proto != IPPROTO_NR_TCP)
		return;
	if (!p->offload.csum_partial)
		FUZZ_CHECK(l4_checksum_ok(&ip, l3 + ip.header_len, (size_t)ip.total_len - ip.header_len));
	check_offload(w, p, &ip, &v, l3 + ip.header_len);
	FUZZ_CHECK(tcp_options_parse(l3 + ip.header_len, &v, &o));
	w->n_acks += v.payload_len == 0 && !(v.flags & (TCP_SYN | TCP_FIN));
	struct tcp_conn *c = conn_for(w, &ip, &v);

	if (c != NULL)
		check_segment(w, c, &v, l3 + ip.header_len + v.header_len);
}

static void fuzz_tx(struct device *d, struct batch *b)
{
	struct fixture *w = container_of(d, struct fixture, dev);

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];
		const uint8_t *f = packet_frame(p);

		w->n_frames++;
		if (f[12] == 8 && f[13] == 0)
			check_frame(w, p);
		else
			w->arp_asked = true;
		if (w->refuses > 0) {
			w->refuses--;
			env_drop(&w->h.env, p, DROP_NO_ROUTE);
			continue;
		}
		d->ledger->n_handed++;
		packet_free(d->pool, p);
	}
	b->n = 0;
}

static uint32_t fuzz_rx(struct device *d, struct batch *b, uint32_t max)
{
	return 0;
}

static const struct device_ops device_ops = { .driver = "fuzz", .rx = fuzz_rx, .tx = fuzz_tx };

/* --- what comes --- */

/* False: there was no memory for it. */
static bool give_frame(struct fixture *w, const uint8_t *frame, uint32_t len, const struct offload *offload)
{
	struct packet *p = packet_alloc(w->h.env.pool, len);
	struct batch b = { .n = 0 };

	if (p == NULL)
		return false;
	memcpy(packet_frame(p), frame, len);
	if (offload != NULL)
		p->offload = *offload;
	w->h.env.ledger.n_received++;
	batch_add(&b, p);
	ether_input(w->h.ip, 1, &b);
	ip_flush(w->h.ip);
	return true;
}

static void answer_arp(struct fixture *w)
{
	uint8_t arp[60] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 6 };
	struct arp_view v = { .op = ARP_REQUEST, .sha = { { 2, 0, 0, 0, 0, 1 } }, .spa = A_ADDR, .tpa = B_ADDR };

	w->arp_asked = false;
	arp_emit(arp + ETHER_HEADER_LEN, &v);
	give_frame(w, arp, sizeof(arp), NULL);
	w->arp_asked = false;
}

struct segment {
	uint16_t sport, dport;
	uint8_t flags, tos;
	uint32_t seq, ack, len;
	uint16_t window, urgent;
	uint8_t options[TCP_OPTIONS_MAX];
	uint32_t options_len;
	uint16_t gso_size; /* 0: not merged */
	bool damaged;
};

static void give(struct fixture *w, const struct segment *s)
{
	static uint8_t frame[20000];
	uint8_t *l3 = frame + ETHER_HEADER_LEN, *l4 = l3 + IPV4_HEADER_LEN;
	uint32_t header = TCP_HEADER_LEN + (s->options_len + 3) / 4 * 4;
	struct ipv4_view ip = { .src = A_ADDR,
				.dst = B_ADDR,
				.total_len = (uint16_t)(IPV4_HEADER_LEN + header + s->len),
				.header_len = IPV4_HEADER_LEN,
				.ttl = 64,
				.tos = s->tos,
				.proto = IPPROTO_NR_TCP };
	struct offload offload = { .csum_valid = true, .gso_type = GSO_TCP4, .gso_size = s->gso_size };
	uint32_t acks = w->n_acks;

	memcpy(frame, (uint8_t[14]){ 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0 }, 14);
	tcp_emit(l4, s->sport, s->dport, s->seq, s->ack, s->flags, s->window);
	l4[12] = (uint8_t)(header / 4 << 4);
	fuzz_put16(l4 + 18, s->urgent);
	memset(l4 + TCP_HEADER_LEN, 0, header - TCP_HEADER_LEN);
	memcpy(l4 + TCP_HEADER_LEN, s->options, s->options_len);
	for (uint32_t i = 0; i < s->len; i++)
		l4[header + i] = byte_of(s->seq + ((s->flags & TCP_SYN) != 0) + i);
	ipv4_emit(l3, &ip);
	l4_checksum_set(&ip, l4, header + s->len);
	l4[TCP_CHECK_AT] ^= s->damaged;
	w->urgent |= (s->flags & TCP_URG) != 0;
	give_frame(w, frame, (uint32_t)(ETHER_HEADER_LEN + ip.total_len),
		   s->gso_size > 0 && s->len > s->gso_size ? &offload : NULL);
	FUZZ_CHECK(w->n_acks - acks <= 2);
}

/* --- time --- */

static void pass_time(struct fixture *w, uint64_t ns)
{
	uint64_t end = w->h.env.now + ns;

	for (uint32_t n = 0; host_deadline(&w->h) <= end; n++) {
		FUZZ_CHECK(n < FIRES_MAX);
		w->h.env.now = max_u64(w->h.env.now, host_deadline(&w->h));
		host_expire(&w->h);
		if (w->arp_asked)
			answer_arp(w);
	}
	w->h.env.now = end;
	host_expire(&w->h);
}

/* --- its life --- */

static void check(struct fixture *w)
{
	struct tcp *t = w->h.tcp;

	FUZZ_CHECK(ledger_expected_held(&w->h.env.ledger) == (int64_t)packet_pool_used(w->h.env.pool));
	FUZZ_CHECK(t->conns.n_used <= limits.n_connections && t->half_open.n_used <= limits.n_half_open);
	FUZZ_CHECK(t->time_wait.n_used <= limits.n_time_wait && t->segments.n_used <= limits.n_segments);
	for (uint32_t i = 0; i < t->conns.n_fresh; i++) {
		const struct tcp_conn *c = tcp_conn_at(t, i);

		if (!c->is_used)
			continue;
		conn_check(t, c);
		(void)memory_of(w, c);
		FUZZ_CHECK(!seq_after(c->snd_una, c->snd_nxt) && !seq_after(c->snd_nxt, c->write_seq + 1));
		FUZZ_CHECK(c->inbox.memory <= 4 * (uint64_t)c->rcvbuf + 65536);
		FUZZ_CHECK(c->state == TCP_CLOSED || c->state == TCP_SYN_SENT || c->cwnd >= c->mss ||
			   c->state == TCP_SYN_RECEIVED);
	}
}

static void start(struct fixture *w, uint32_t how)
{
	struct tcp_config cfg = tcp_default_config;
	struct tcp_end local = { .port = SERVICE };
	struct tcp_listen_options o = { .backlog = 6, .defer_accept = how & 1 ? 3 : 0 };

	memset(w, 0, sizeof(*w));
	cfg.ecn = how >> 1 & 1;
	cfg.syncookies = !(how & 4);
	cfg.sack = !(how & 8);
	cfg.timestamps = !(how & 16);
	cfg.window_scaling = !(how & 32);
	cfg.acks_wait = how % 5 < 2;
	cfg.rcvbuf = how & 64 ? 8192 : cfg.rcvbuf;
	cfg.congestion = how & 128 ? "reno" : "cubic";
	w->dev = (struct device){ .ops = &device_ops, .mtu = 1500 };
	if (how % 3 == 0)
		w->dev.caps = DEVICE_CAP_CSUM | DEVICE_CAP_TSO;
	host_start_pool(&w->h, &w->dev, B_ADDR, 1000 * NS_PER_S, &pool_cfg, &limits, &cfg);
	answer_arp(w);
	FUZZ_CHECK(tcp_listen(w->h.tcp, 0, &local, &o, 99, &w->listener) == 0);
}

/* Nobody says anything more. */
static void finish(struct fixture *w)
{
	struct tcp *t = w->h.tcp;

	while (w->n_hoard > 0)
		env_drop(&w->h.env, w->hoard[--w->n_hoard], DROP_NO_ROUTE);
	for (uint32_t i = 0; i < N_USER; i++)
		if (w->user[i] != NULL)
			tcp_close(t, w->user[i]);
	tcp_unlisten(t, w->listener);
	ip_flush(w->h.ip);
	for (uint32_t n = 0; tcp_next_deadline(t) != TIME_NEVER; n++) {
		FUZZ_CHECK(n < FIRES_MAX);
		w->h.env.now = max_u64(w->h.env.now, tcp_next_deadline(t));
		host_expire(&w->h);
		if (w->arp_asked)
			answer_arp(w);
	}
	check(w);
	for (uint32_t i = 0; i < t->conns.n_fresh; i++)
		if (tcp_conn_at(t, i)->is_used)
			fprintf(stderr, "left: %s, %u of %u sent, una %u nxt %u window %u, timer %u\n",
				tcp_state_names[tcp_conn_at(t, i)->state], tcp_conn_at(t, i)->flight->queue.n_sent,
				tcp_conn_at(t, i)->flight->queue.n, tcp_conn_at(t, i)->snd_una - tcp_conn_at(t, i)->iss,
				tcp_conn_at(t, i)->snd_nxt - tcp_conn_at(t, i)->iss, tcp_conn_at(t, i)->snd_wnd,
				tcp_conn_at(t, i)->flight->rtx_kind);
	FUZZ_CHECK(t->conns.n_used == 0 && t->half_open.n_used == 0 && t->time_wait.n_used == 0);
	FUZZ_CHECK(t->flights.n_used == 0 && t->options.n_used == 0 && t->segments.n_used == 0 &&
		   t->islands.n_used == 0 && t->listeners.n_used == 0 && t->table.n == 0);
	host_end(&w->h);
}

#endif
