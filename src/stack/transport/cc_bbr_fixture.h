/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests of congestion controls: a sender a and a receiver b on a path with one bottleneck, in virtual time.
 *
 *   a --> policer --> losses --> buffer --> rate --> half a round trip --> b
 *     <-- half a round trip <-- acknowledgements, some of them only now and then <--
 *
 * All of it may be changed at any time; what is on its way already goes on as it was. The program at a writes as much
 * as the socket takes, or so many bits a second; that at b reads everything.
 */
#ifndef YG_STACK_TRANSPORT_CC_BBR_FIXTURE_H
#define YG_STACK_TRANSPORT_CC_BBR_FIXTURE_H

#include "stack/transport/cc_bbr.h"
#include "stack/transport/tcp_fixture.h"

struct path_frame {
	struct path_frame *prev, *next;
	uint64_t at;
	uint32_t len;
	uint8_t bytes[];
};

struct path_list {
	struct path_frame *first, *last;
};

struct bbr_path {
	uint64_t rate_bps, rtt_ns;
	uint64_t buffer_bytes;
	uint64_t policer_bps, policer_burst; /* 0: none */
	uint64_t ack_batch_ns;               /* acknowledgements leave b at multiples of it; 0: at once */
	uint32_t loss_ppm;
	uint32_t lose_n; /* so many of the next data segments, each lose_every-th */
	uint32_t lose_every;
	uint32_t hold_n; /* the next so many data segments come later by hold_ns */
	uint64_t hold_ns;
};

struct bbr_net {
	uint64_t now;
	struct bbr_path path;
	struct host a, b;
	struct device dev[2];
	struct path_list wire[2], waiting;
	uint64_t departs_at; /* of the first one that waits */
	uint64_t queue_bytes;
	uint64_t tokens, tokens_at;
	uint32_t n_data; /* of those that may be lost */
	struct rng rng;
	uint64_t n_lost, n_sent; /* data segments */
	struct tcp_listener *listener;
	struct tcp_conn *c, *peer;
	uint64_t app_bps; /* 0: always more */
	uint64_t app_at;
	bool is_paused;
	uint64_t received;
	struct bbr *b3;
};

static inline void path_insert(struct path_list *l, struct path_frame *f)
{
	struct path_frame *before = l->last;

	while (before != NULL && before->at > f->at)
		before = before->prev;
	f->prev = before;
	f->next = before == NULL ? l->first : before->next;
	*(before == NULL ? &l->first : &before->next) = f;
	*(f->next == NULL ? &l->last : &f->next->prev) = f;
}

static inline struct path_frame *path_take_first(struct path_list *l)
{
	struct path_frame *f = l->first;

	l->first = f->next;
	*(l->first == NULL ? &l->last : &l->first->prev) = NULL;
	return f;
}

static inline void path_drop_all(struct path_list *l)
{
	while (l->first != NULL)
		free(path_take_first(l));
}

static inline uint64_t path_takes(const struct bbr_net *n, const struct path_frame *f)
{
	return (f->len - ETHER_HEADER_LEN) * 8 * NS_PER_S / n->path.rate_bps;
}

/* What has left the bottleneck by now is on the wire. */
static inline void path_advance(struct bbr_net *n)
{
	while (n->waiting.first != NULL && n->departs_at <= n->now) {
		struct path_frame *f = path_take_first(&n->waiting);

		n->queue_bytes -= f->len;
		f->at = n->departs_at + n->path.rtt_ns / 2;
		if (n->path.hold_n > 0 && f->len > 500) {
			n->path.hold_n--;
			f->at += n->path.hold_ns;
		}
		path_insert(&n->wire[1], f);
		if (n->waiting.first != NULL)
			n->departs_at += path_takes(n, n->waiting.first);
	}
}

static inline bool path_polices(struct bbr_net *n, uint32_t len)
{
	if (n->path.policer_bps == 0)
		return false;
	n->tokens =
		min_u64(n->tokens + bbr_volume(n->path.policer_bps / 8, n->now - n->tokens_at), n->path.policer_burst);
	n->tokens_at = n->now;
	if (n->tokens < len)
		return true;
	n->tokens -= len;
	return false;
}

static inline bool path_loses(struct bbr_net *n, uint32_t len)
{
	if (len <= 500)
		return false;
	n->n_sent++;
	if (path_polices(n, len) || (n->path.loss_ppm != 0 && rng_below(&n->rng, 1000000) < n->path.loss_ppm))
		return true;
	if (n->path.lose_n > 0 && ++n->n_data % n->path.lose_every == 0) {
		n->path.lose_n--;
		return true;
	}
	return n->queue_bytes > n->path.buffer_bytes;
}

static inline void path_forward(struct bbr_net *n, struct path_frame *f)
{
	if (path_loses(n, f->len)) {
		n->n_lost++;
		free(f);
		return;
	}
	f->at = 0;
	n->queue_bytes += f->len;
	if (n->waiting.first == NULL)
		n->departs_at = n->now + path_takes(n, f);
	path_insert(&n->waiting, f);
}

static inline void path_back(struct bbr_net *n, struct path_frame *f)
{
	uint64_t leaves = n->now, batch = n->path.ack_batch_ns;

	if (batch != 0)
		leaves = (leaves + batch - 1) / batch * batch;
	f->at = leaves + n->path.rtt_ns - n->path.rtt_ns / 2;
	path_insert(&n->wire[0], f);
}

static inline void path_tx(struct device *d, struct batch *b)
{
	bool is_a = strcmp(d->name, "a") == 0;
	struct bbr_net *n = is_a ? container_of(d, struct bbr_net, dev[0]) : container_of(d, struct bbr_net, dev[1]);

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];
		struct path_frame *f = malloc(sizeof(*f) + p->len);

		assert_non_null(f);
		f->len = p->len;
		memcpy(f->bytes, packet_frame(p), p->len);
		d->ledger->n_handed++;
		packet_free(d->pool, p);
		if (is_a)
			path_forward(n, f);
		else
			path_back(n, f);
	}
	b->n = 0;
}

static inline uint32_t path_rx(struct device *d, struct batch *b, uint32_t max)
{
	bool is_a = strcmp(d->name, "a") == 0;
	struct bbr_net *n = is_a ? container_of(d, struct bbr_net, dev[0]) : container_of(d, struct bbr_net, dev[1]);
	struct path_list *l = &n->wire[is_a ? 0 : 1];
	uint32_t got = 0;

	while (got < max && l->first != NULL && l->first->at <= n->now) {
		struct path_frame *f = path_take_first(l);
		struct packet *p = packet_alloc(d->pool, f->len);

		assert_non_null(p);
		memcpy(packet_frame(p), f->bytes, f->len);
		d->ledger->n_received++;
		batch_add(b, p);
		free(f);
		got++;
	}
	return got;
}

static const struct device_ops path_ops = { .driver = "path", .rx = path_rx, .tx = path_tx };

static inline uint64_t path_next(const struct bbr_net *n)
{
	uint64_t next = n->waiting.first != NULL ? n->departs_at : TIME_NEVER;

	for (uint32_t i = 0; i < 2; i++)
		if (n->wire[i].first != NULL)
			next = min_u64(next, n->wire[i].first->at);
	return next;
}

/* --- the programs --- */

static inline void bbr_net_write(struct bbr_net *n)
{
	static uint8_t zeros[65536];

	if (n->c == NULL || n->is_paused)
		return;
	if (n->app_bps == 0) {
		while (host_send(&n->a, n->c, zeros, sizeof(zeros)) == (int64_t)sizeof(zeros))
			;
		return;
	}
	if (n->now < n->app_at)
		return;
	/* Two segments' worth at a time, where they are not large. */
	uint64_t bytes = min_u64(2ull * n->c->mss, sizeof(zeros));

	(void)host_send(&n->a, n->c, zeros, bytes);
	n->app_at = max_u64(n->app_at, n->now > NS_PER_MS ? n->now - NS_PER_MS : 0) + bytes * 8 * NS_PER_S / n->app_bps;
}

static inline void bbr_net_read(struct bbr_net *n)
{
	struct span s = { .bytes = NULL, .len = 1u << 30 };
	int64_t got = n->peer == NULL ? 0 : tcp_recv(n->b.tcp, n->peer, &s, 1, TCP_RECV_TRUNC);

	if (got > 0)
		n->received += (uint64_t)got;
	ip_flush(n->b.ip);
}

static inline void bbr_net_at(struct bbr_net *n, uint64_t now)
{
	n->now = max_u64(n->now, now);
	n->a.env.now = n->b.env.now = n->now;
	path_advance(n);
	host_receive(&n->b);
	bbr_net_read(n);
	host_expire(&n->b);
	host_receive(&n->a);
	host_expire(&n->a);
	bbr_net_write(n);
	host_check(&n->a);
}

static inline uint64_t bbr_net_next(const struct bbr_net *n)
{
	uint64_t next = min_u64(path_next(n), min_u64(host_deadline(&n->a), host_deadline(&n->b)));

	if (n->c != NULL && !n->is_paused && n->app_bps != 0)
		next = min_u64(next, n->app_at);
	return next;
}

/* Until it is so; false: it was not within that time. */
static inline bool bbr_net_until(struct bbr_net *n, bool (*is_so)(const struct bbr_net *n), uint64_t ns)
{
	uint64_t end = n->now + ns;

	while (is_so == NULL || !is_so(n)) {
		uint64_t next = bbr_net_next(n);

		if (next > end) {
			bbr_net_at(n, end);
			return is_so != NULL && is_so(n);
		}
		bbr_net_at(n, next);
	}
	return true;
}

static inline void bbr_net_run(struct bbr_net *n, uint64_t ns)
{
	(void)bbr_net_until(n, NULL, ns);
}

static inline bool bbr_net_is_accepted(const struct bbr_net *n)
{
	return tcp_acceptable(n->listener);
}

static inline struct tcp_config bbr_net_config(void)
{
	struct tcp_config cfg = tcp_default_config;

	cfg.congestion = "bbr";
	cfg.sndbuf_max = 512u << 20;
	cfg.rcvbuf = cfg.rcvbuf_max = 512u << 20;
	return cfg;
}

/* mtu: of both ends; cfg NULL: bbr_net_config. */
static inline void bbr_net_start(struct bbr_net *n, const struct bbr_path *path, uint32_t mtu,
				 const struct tcp_config *cfg)
{
	static const uint8_t seed[RNG_SEED_BYTES] = "a path";
	static const struct packet_pool_config pool = { .n_packets = 1u << 18, .n_small = 1u << 17, .n_large = 16384 };
	static const struct tcp_limits limits = { .n_connections = 16, .n_segments = 1u << 17 };
	struct tcp_config usual = bbr_net_config();

	memset(n, 0, sizeof(*n));
	n->now = 1000 * NS_PER_S;
	n->path = *path;
	n->path.lose_every = 1;
	n->tokens = path->policer_burst;
	n->tokens_at = n->now;
	rng_init(&n->rng, seed);
	for (uint32_t i = 0; i < 2; i++) {
		n->dev[i] = (struct device){ .ops = &path_ops, .mtu = mtu };
		n->dev[i].name[0] = (char)('a' + i);
	}
	host_start_pool(&n->a, &n->dev[0], A_ADDR, n->now, &pool, &limits, cfg != NULL ? cfg : &usual);
	host_start_pool(&n->b, &n->dev[1], B_ADDR, n->now, &pool, &limits, cfg != NULL ? cfg : &usual);
	bbr_net_run(n, 5 * NS_PER_S);
	n->listener = host_listen(&n->b, SERVICE);
	struct tcp_conn *c = host_connect(&n->a, B_ADDR, SERVICE);

	assert_true(bbr_net_until(n, bbr_net_is_accepted, 30 * NS_PER_S));
	n->peer = tcp_accept(n->b.tcp, n->listener, 3);
	n->c = c;
	if (tcp_cc(c) == &cc_bbr)
		n->b3 = bbr_of(n->a.tcp, c);
	n->app_at = n->now;
	bbr_net_write(n);
}

static inline void bbr_net_end(struct bbr_net *n)
{
	host_law(&n->a);
	host_law(&n->b);
	host_end(&n->a);
	host_end(&n->b);
	path_drop_all(&n->waiting);
	path_drop_all(&n->wire[0]);
	path_drop_all(&n->wire[1]);
}

#endif
