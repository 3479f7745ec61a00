/* SPDX-License-Identifier: BSD-2-Clause
 *
 * TCP in memory: two stacks in one thread, joined by a device that hands a frame over
 * where it stands. Nobody else's time is in it: what a byte, a connection and a
 * request cost both ends together.
 *
 *   tcp [ROW...]
 *
 * prints a line of JSON a row on stdout and a table on stderr. Without ROW: all.
 *
 * Segments have 1,448 bytes and timestamps; checksums are made at one end and verified
 * at the other; acknowledgements are held back as on a real path. Each row is timed in
 * short runs by the thread's processor time, the best and the median are told, and
 * beside them the yardstick of the same minute: copy and sum, sum, copy of each 1,448
 * bytes over a window of 128 KB.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "stack/ip/fib.h"
#include "stack/ip/stack.h"
#include "stack/transport/tcp.h"
#include "stack/wire/checksum.h"

#define RUNS 11u
#define RUN_NS (40 * NS_PER_MS)
#define SERVICE 7u
#define CHUNK 16384u
#define QUEUE 8192u
#define ADDRESSES 16u

struct side {
	struct device dev;
	struct env env;
	struct ip_config cfg;
	struct fib *fib;
	struct ip_stack *ip;
	struct tcp *tcp;
	struct side *peer;
	struct packet *queue[QUEUE];
	uint32_t head, n;
};

struct pair {
	uint64_t now;
	struct side a, b;
};

static void released(void *ctx, uint64_t cookie)
{
	struct side *s = ctx;

	packet_free(s->env.pool, (struct packet *)(uintptr_t)cookie);
}

/* The other end's packet is made around these bytes; they come back when it is freed. */
static void side_tx(struct device *d, struct batch *b)
{
	struct side *s = container_of(d, struct side, dev), *to = s->peer;

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];

		if (to->n == QUEUE) {
			env_drop(&s->env, p, DROP_TX_REFUSED);
			continue;
		}
		to->queue[(to->head + to->n++) % QUEUE] = p;
		s->env.ledger.n_handed++;
	}
	b->n = 0;
}

static uint32_t side_rx(struct device *d, struct batch *b, uint32_t max)
{
	struct side *s = container_of(d, struct side, dev);
	uint32_t n = 0;

	for (; n < max && s->n > 0 && b->n < BATCH_MAX; n++) {
		struct packet *p = s->queue[s->head];
		struct packet *mine = packet_set_external(s->env.pool, p->buf, p->buf_len, p->off, p->len, released,
							  s->peer, (uint64_t)(uintptr_t)p);

		s->head = (s->head + 1) % QUEUE;
		s->n--;
		s->env.ledger.n_received++;
		if (mine == NULL) {
			s->env.ledger.n_dropped[DROP_NO_BUFFER]++;
			packet_free(s->peer->env.pool, p);
			continue;
		}
		mine->may_keep = true;
		batch_add(b, mine);
	}
	return n;
}

static const struct device_ops side_ops = { .driver = "memory", .rx = side_rx, .tx = side_tx };

static void no_event(void *ctx, const struct yg_event *e)
{
}

static void route(struct side *s, uint32_t addr, uint8_t len, struct fib_nexthop nh)
{
	struct ip4_prefix p = { addr & ip4_mask(len), len };

	if (fib_insert(s->fib, p, fib_nexthop_add(s->fib, &nh)) != 0)
		abort();
}

static void side_start(struct side *s, struct side *peer, uint32_t addr, uint64_t now, uint32_t n_conns,
		       const struct tcp_config *cfg)
{
	struct packet_pool_config pool = { .n_packets = 262144, .n_small = 262144, .n_large = 1024 };
	struct ip_limits ip_limits = { 0 };
	struct tcp_limits limits = {
		.n_connections = n_conns, .n_half_open = 65536, .n_time_wait = 1u << 20, .n_segments = 262144
	};
	uint8_t seed[RNG_SEED_BYTES] = "a bench";

	seed[31] = (uint8_t)(addr >> 8);
	s->peer = peer;
	s->env.pool = packet_pool_create(&pool);
	rng_init(&s->env.rng, seed);
	s->env.now = now;
	s->env.emit = no_event;
	s->fib = fib_create();
	memcpy(s->cfg.interface[1].name, "eth0", 5);
	s->cfg.interface[1].n_addresses = ADDRESSES;
	for (uint32_t i = 0; i < ADDRESSES; i++) {
		s->cfg.interface[1].address[i].addr = addr + i;
		s->cfg.interface[1].address[i].prefix_len = 8;
	}
	s->cfg.fib = s->fib;
	route(s, addr, 8, (struct fib_nexthop){ .kind = FIB_UNICAST, .ifindex = 1, .source = ip_addr_v4(addr) });
	for (uint32_t i = 0; i < ADDRESSES; i++)
		route(s, addr + i, 32, (struct fib_nexthop){ .kind = FIB_LOCAL, .ifindex = 1 });
	s->ip = ip_stack_create(&s->env, &ip_limits);
	ip_stack_configure(s->ip, &s->cfg);
	s->dev = (struct device){ .ops = &side_ops,
				  .pool = s->env.pool,
				  .ledger = &s->env.ledger,
				  .mac = { { 2, 0, 0, 0, 0, (uint8_t)(1 + (addr >> 8)) } },
				  .mtu = 1500,
				  .up = true };
	ip_stack_attach(s->ip, 1, &s->dev);
	s->tcp = tcp_create(&s->env, s->ip, &limits, cfg);
	if (s->tcp == NULL)
		abort();
}

static void side_input(struct side *s)
{
	struct batch b = { .n = 0 };

	while (s->n > 0) {
		(void)side_rx(&s->dev, &b, BATCH_MAX);
		ether_input(s->ip, 1, &b);
	}
	ip_flush(s->ip);
}

/* A step of the clock: what is due and what has come, at both. */
static void step(struct pair *p, uint64_t ns)
{
	p->now += ns;
	p->a.env.now = p->b.env.now = p->now;
	if (tcp_next_deadline(p->a.tcp) <= p->now)
		tcp_expire(p->a.tcp);
	if (tcp_next_deadline(p->b.tcp) <= p->now)
		tcp_expire(p->b.tcp);
	ip_flush(p->a.ip);
	ip_flush(p->b.ip);
	side_input(&p->b);
	side_input(&p->a);
}

static void settle(struct pair *p)
{
	ip_expire(p->a.ip);
	ip_expire(p->b.ip);
	do
		step(p, 1000);
	while (p->a.n + p->b.n > 0);
}

static void pair_start(struct pair *p, uint32_t n_conns, uint32_t window)
{
	struct tcp_config cfg = tcp_default_config;

	memset(p, 0, sizeof(*p));
	cfg.sndbuf = window;
	cfg.rcvbuf = 2 * window;
	/* The row is about this window. */
	cfg.sndbuf_max = cfg.sndbuf;
	cfg.rcvbuf_max = cfg.rcvbuf;
	cfg.port_first = 1024;
	cfg.port_last = 65535;
	p->now = 1000 * NS_PER_S;
	side_start(&p->a, &p->b, IP4(10, 0, 0, 1), p->now, n_conns, &cfg);
	side_start(&p->b, &p->a, IP4(10, 0, 1, 1), p->now, n_conns, &cfg);
	for (uint32_t i = 0; i < 10; i++)
		settle(p);
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* --- bulk --- */

static uint8_t from[CHUNK], to[CHUNK];

static struct tcp_listener *listen_at(struct side *s)
{
	struct tcp_end local = { .port = SERVICE };
	struct tcp_listen_options o = { .backlog = 65536 };
	struct tcp_listener *l;

	if (tcp_listen(s->tcp, 0, &local, &o, 0, &l) != 0)
		abort();
	return l;
}

static struct tcp_conn *connect_to(struct side *s, uint32_t src, uint32_t dst)
{
	struct tcp_conn *c = tcp_open(s->tcp, 0);
	struct tcp_end local = { .addr = ip_addr_v4(src) }, remote = { ip_addr_v4(dst), SERVICE };

	if (c == NULL || tcp_connect(s->tcp, c, 0, &local, &remote) != -EINPROGRESS)
		abort();
	ip_flush(s->ip);
	return c;
}

/* Both know each other's Ethernet addresses from here on. */
static void meet(struct pair *p)
{
	for (uint32_t i = 0; i < ADDRESSES; i++) {
		struct tcp_conn *c = connect_to(&p->a, IP4(10, 0, 0, 1 + i), IP4(10, 0, 1, 1 + i));

		settle(p);
		tcp_close(p->a.tcp, c);
	}
}

enum calls { CALLS_COPY, CALLS_IN_PLACE };

static uint64_t send_some(struct pair *p, struct tcp_conn *c, enum calls calls)
{
	uint64_t total = 0;

	for (;;) {
		if (calls == CALLS_COPY) {
			struct span s = { from, CHUNK };
			int64_t n = tcp_send(p->a.tcp, c, &s, 1, 0);

			if (n <= 0)
				return total;
			total += (uint64_t)n;
		} else {
			struct span s;

			if (tcp_reserve(p->a.tcp, c, &s) != 0)
				return total;
			/* Whoever fills the place in pays for it: here nobody does. */
			if (tcp_commit(p->a.tcp, c, (uint32_t)s.len, 0) != 0)
				abort();
			total += s.len;
		}
	}
}

static uint64_t recv_some(struct pair *p, struct tcp_conn *c, enum calls calls)
{
	uint64_t total = 0;

	for (;;) {
		if (calls == CALLS_COPY) {
			struct span s = { to, CHUNK };
			int64_t n = tcp_recv(p->b.tcp, c, &s, 1, 0);

			if (n <= 0)
				return total;
			total += (uint64_t)n;
		} else {
			struct span s[64];
			uint32_t n = tcp_peek(p->b.tcp, c, s, 64), bytes = 0;

			if (n == 0)
				return total;
			for (uint32_t i = 0; i < n; i++)
				bytes += (uint32_t)s[i].len;
			tcp_release(p->b.tcp, c, bytes);
			total += bytes;
		}
	}
}

struct result {
	double best, median;
};

static int descending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x < y) - (x > y);
}

static struct result result_of(double *v, uint32_t n)
{
	qsort(v, n, sizeof(*v), descending);
	return (struct result){ v[0], v[n / 2] };
}

/* Bits a second of processor time. */
static struct result bulk(uint32_t window, enum calls calls)
{
	struct pair *p = malloc(sizeof(*p));
	double rate[RUNS];

	pair_start(p, 64, window);
	meet(p);
	struct tcp_listener *l = listen_at(&p->b);
	struct tcp_conn *a = connect_to(&p->a, IP4(10, 0, 0, 1), IP4(10, 0, 1, 1)), *b;

	settle(p);
	b = tcp_accept(p->b.tcp, l, 0);
	for (uint32_t run = 0; run < RUNS + 3; run++) {
		uint64_t start = cpu_ns(), end, bytes = 0;

		do {
			for (uint32_t i = 0; i < 16; i++) {
				(void)send_some(p, a, calls);
				step(p, 5000);
				bytes += recv_some(p, b, calls);
				step(p, 5000);
			}
			end = cpu_ns();
		} while (end - start < RUN_NS);
		if (run >= 3)
			rate[run - 3] = (double)bytes * 8e9 / (double)(end - start);
	}
	if (getenv("BENCH_TCP_COUNTS") != NULL)
		for (uint32_t i = 0; i < N_TCP_COUNTERS; i++)
			fprintf(stderr, "%s %llu %llu\n", tcp_counter_names[i],
				(unsigned long long)tcp_counts(p->a.tcp)[i],
				(unsigned long long)tcp_counts(p->b.tcp)[i]);
	free(p);
	return result_of(rate, RUNS);
}

/* Copy and sum, sum, copy. */
static struct result yardstick(void)
{
	static uint8_t window[3][131072];
	double rate[RUNS];
	volatile uint32_t sink = 0;

	for (uint32_t run = 0; run < RUNS; run++) {
		uint64_t start = cpu_ns(), end, bytes = 0;

		do {
			for (uint32_t at = 0; at + 1448 <= sizeof(window[0]); at += 1448) {
				memcpy(window[1] + at, window[0] + at, 1448);
				sink += checksum_add(0, window[1] + at, 1448);
				sink += checksum_add(0, window[1] + at, 1448);
				memcpy(window[2] + at, window[1] + at, 1448);
				bytes += 1448;
			}
			end = cpu_ns();
		} while (end - start < RUN_NS);
		rate[run] = (double)bytes * 8e9 / (double)(end - start);
	}
	(void)sink;
	return result_of(rate, RUNS);
}

/* --- connections and requests --- */

/* Connections a second: open, 64 bytes each way, FIN both ways, TIME_WAIT. */
static struct result connections(uint32_t in_progress, uint32_t idle)
{
	struct pair *p = malloc(sizeof(*p));
	struct tcp_conn **a = calloc(in_progress, sizeof(*a)), **b = calloc(in_progress, sizeof(*b));
	double rate[RUNS];

	pair_start(p, in_progress + idle + 4096, 65536);
	meet(p);
	struct tcp_listener *l = listen_at(&p->b);

	for (uint32_t i = 0; i < idle; i++) {
		(void)connect_to(&p->a, IP4(10, 0, 0, 2 + i % 15), IP4(10, 0, 1, 2 + i / 15 % 15));
		if (i % 1000 == 999 || i + 1 == idle) {
			settle(p);
			while (tcp_accept(p->b.tcp, l, 0) != NULL)
				;
		}
	}
	for (uint32_t run = 0; run < RUNS + 2; run++) {
		uint64_t start = cpu_ns(), end, done = 0;

		do {
			for (uint32_t i = 0; i < in_progress; i++)
				a[i] = connect_to(&p->a, IP4(10, 0, 0, 1), IP4(10, 0, 1, 1));
			step(p, 1000);
			step(p, 1000);
			for (uint32_t i = 0; i < in_progress; i++) {
				struct span s = { from, 64 };

				(void)tcp_send(p->a.tcp, a[i], &s, 1, 0);
			}
			step(p, 1000);
			for (uint32_t i = 0; i < in_progress; i++) {
				struct span s = { to, CHUNK }, r = { from, 64 };

				b[i] = tcp_accept(p->b.tcp, l, 0);
				if (b[i] == NULL || tcp_recv(p->b.tcp, b[i], &s, 1, 0) != 64)
					abort();
				(void)tcp_send(p->b.tcp, b[i], &r, 1, 0);
			}
			step(p, 1000);
			for (uint32_t i = 0; i < in_progress; i++) {
				struct span s = { to, CHUNK };

				if (tcp_recv(p->a.tcp, a[i], &s, 1, 0) != 64)
					abort();
				tcp_close(p->a.tcp, a[i]);
			}
			step(p, 1000);
			for (uint32_t i = 0; i < in_progress; i++)
				tcp_close(p->b.tcp, b[i]);
			step(p, 1000);
			/* The clock goes on so that TIME_WAIT ends as often as it begins. */
			step(p, in_progress * 60 * NS_PER_S / 50000);
			done += in_progress;
			end = cpu_ns();
		} while (end - start < RUN_NS);
		if (run >= 2)
			rate[run - 2] = (double)done * 1e9 / (double)(end - start);
	}
	free(a);
	free(b);
	free(p);
	return result_of(rate, RUNS);
}

/* 64 bytes there and back on kept connections, a second. */
static struct result requests(uint32_t n)
{
	struct pair *p = malloc(sizeof(*p));
	struct tcp_conn **a = calloc(n, sizeof(*a)), **b = calloc(n, sizeof(*b));
	double rate[RUNS];
	uint32_t at = 0, k = 0, turn = min_u32(n, 64);

	pair_start(p, n + 64, 65536);
	meet(p);
	struct tcp_listener *l = listen_at(&p->b);

	for (uint32_t i = 0; i < n; i++) {
		a[i] = connect_to(&p->a, IP4(10, 0, 0, 1 + i % 16), IP4(10, 0, 1, 1 + i / 16 % 16));
		if (i % 1000 == 999 || i + 1 == n) {
			settle(p);
			while ((b[k] = tcp_accept(p->b.tcp, l, 0)) != NULL && ++k < n)
				;
		}
	}
	for (uint32_t run = 0; run < RUNS + 2; run++) {
		uint64_t start = cpu_ns(), end, done = 0;

		do {
			for (uint32_t i = 0; i < turn; i++) {
				struct span s = { from, 64 };

				if (tcp_send(p->a.tcp, a[(at + i) % n], &s, 1, 0) != 64)
					abort();
			}
			step(p, 1000);
			for (uint32_t i = 0; i < turn; i++) {
				struct span s = { to, CHUNK }, r = { from, 64 };

				if (tcp_recv(p->b.tcp, b[(at + i) % n], &s, 1, 0) != 64)
					abort();
				(void)tcp_send(p->b.tcp, b[(at + i) % n], &r, 1, 0);
			}
			step(p, 1000);
			for (uint32_t i = 0; i < turn; i++) {
				struct span s = { to, CHUNK };

				if (tcp_recv(p->a.tcp, a[(at + i) % n], &s, 1, 0) != 64)
					abort();
			}
			at = (at + turn) % n;
			done += turn;
			end = cpu_ns();
		} while (end - start < RUN_NS);
		if (run >= 2)
			rate[run - 2] = (double)done * 1e9 / (double)(end - start);
	}
	free(a);
	free(b);
	free(p);
	return result_of(rate, RUNS);
}

static struct result row_bulk(void)
{
	return bulk(131072, CALLS_COPY);
}

static struct result row_in_place(void)
{
	return bulk(131072, CALLS_IN_PLACE);
}

static struct result row_bulk_4m(void)
{
	return bulk(4 << 20, CALLS_COPY);
}

static struct result row_connections_16(void)
{
	return connections(16, 0);
}

static struct result row_connections_1000(void)
{
	return connections(1000, 0);
}

static struct result row_connections_idle(void)
{
	return connections(1000, 1000000);
}

static struct result row_requests_64(void)
{
	return requests(64);
}

static struct result row_requests_10000(void)
{
	return requests(10000);
}

static struct result row_requests_1000000(void)
{
	return requests(1000000);
}

static const struct row {
	const char *name, *unit;
	struct result (*run)(void);
	double bar;
} rows[] = {
	{ "tcp-yardstick", "bit/s", yardstick, 0 },
	{ "tcp-bulk", "bit/s", row_bulk, 30e9 },
	{ "tcp-bulk-in-place", "bit/s", row_in_place, 38e9 },
	{ "tcp-bulk-4m", "bit/s", row_bulk_4m, 0 },
	{ "tcp-connections-16", "/s", row_connections_16, 500e3 },
	{ "tcp-connections-1000", "/s", row_connections_1000, 500e3 },
	{ "tcp-connections-idle-1m", "/s", row_connections_idle, 300e3 },
	{ "tcp-requests-64", "/s", row_requests_64, 2e6 },
	{ "tcp-requests-10000", "/s", row_requests_10000, 1.2e6 },
	{ "tcp-requests-1m", "/s", row_requests_1000000, 0.6e6 },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool wanted = argc < 2;

		for (int k = 1; k < argc; k++)
			wanted |= strcmp(argv[k], rows[i].name) == 0;
		if (!wanted)
			continue;
		struct result r = rows[i].run();

		printf("{\"row\": \"%s\", \"unit\": \"%s\", \"best\": %.0f, \"median\": %.0f, \"bar\": %.0f}\n",
		       rows[i].name, rows[i].unit, r.best, r.median, rows[i].bar);
		fflush(stdout);
	}
	return 0;
}
