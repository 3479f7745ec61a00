/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Workers in memory: made, given flows, run and measured.
 */
#include "shop.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stack/wire/arp.h"

#define TURNS 20000u

static const char config_text[] =
	"interface lan0 { address 10.0.0.1/8; }\n"
	"interface wan0 { address 203.0.113.1/24; }\n"
	"route 0.0.0.0/0 via 203.0.113.254;\n"
	"pool one { 198.51.100.7; ports 1024-65535; }\n"
	"table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
	"  oifname \"wan0\" snat to pool one\n } }\n"
	"table ip filter { chain forward { type filter hook forward priority filter; policy drop;\n"
	"  ct state established,related accept\n  iifname \"lan0\" accept\n } }\n";

static const struct ether_addr peer_mac = { { 2, 0, 0, 0, 0, 0x99 } };

void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

static void end_tx(struct device *d, struct batch *b)
{
	struct end *e = container_of(d, struct end, device);

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];
		struct arp_view arp;

		if (YG_UNLIKELY(p->in_ifindex == 0) && p->len >= ETHER_HEADER_LEN + ARP_LEN &&
		    arp_parse(packet_frame(p) + ETHER_HEADER_LEN, p->len - ETHER_HEADER_LEN, &arp) &&
		    arp.op == ARP_REQUEST && arp.tpa != arp.spa && e->n_asked < ARRAY_LEN(e->asked))
			e->asked[e->n_asked++] = arp.tpa;
		packet_free(d->pool, p);
	}
	e->n_sent += b->n;
	d->ledger->n_handed += b->n;
	b->n = 0;
}

static const struct device_ops end_ops = { .driver = "bench", .tx = end_tx };

static void no_event(void *ctx, const struct yg_event *e)
{
}

static void shop_config(struct shop *s)
{
	struct config_errors *errors = NULL;

	s->config = config_read_text("bench.conf", config_text, strlen(config_text), &errors);
	must(s->config != NULL, "the config is refused");
	s->snapshot = snapshot_build(s->config, NULL, &errors);
	must(s->snapshot != NULL, "the config cannot be built");
	config_errors_free(errors);
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		if (strcmp(s->snapshot->core.ip.interface[i].name, "lan0") == 0)
			s->ifindex[LAN] = i;
		if (strcmp(s->snapshot->core.ip.interface[i].name, "wan0") == 0)
			s->ifindex[WAN] = i;
	}
}

struct shop *shop_open(uint32_t n, uint32_t n_connections)
{
	static const uint8_t seed[RNG_SEED_BYTES] = "workers";
	struct gateway_limits limits = { .conntrack = { .n_connections = n_connections },
					 .ip = { .n_neighbours = 8192 } };
	struct shop *s = aligned_alloc(128, (sizeof(*s) + 127) / 128 * 128);
	void *ctx[MAX_WORKERS] = { NULL };

	must(s != NULL, "no memory");
	memset(s, 0, sizeof(*s));
	s->n = n;
	s->now = NS_PER_S;
	shop_config(s);
	s->workers = workers_create(n, &limits, seed, s->now, no_event, ctx);
	must(s->workers != NULL && workers_configure(s->workers, &s->snapshot->core, s->now) == 0, "no workers");
	for (uint32_t w = 0; w < n; w++) {
		for (int side = 0; side < N_SIDES; side++) {
			struct end *e = &s->end[w][side];

			e->shop = s;
			e->side = (enum side)side;
			e->device.ops = &end_ops;
			e->device.mac = (struct ether_addr){ { 2, 0, 0, 0, 0, (uint8_t)side } };
			e->device.mtu = 1500;
			e->device.up = true;
			gateway_attach(workers_gateway(s->workers, w), s->ifindex[side], &e->device, s->now);
		}
	}
	return s;
}

void shop_close(struct shop *s)
{
	workers_destroy(s->workers);
	snapshot_destroy(s->snapshot);
	config_free(s->config);
	free(s);
}

static void start_frame(uint8_t *frame, enum side side, uint16_t type)
{
	struct ether_view eth = { .dst = { { 2, 0, 0, 0, 0, (uint8_t)side } }, .src = peer_mac, .type = type };

	memset(frame, 0, FRAME_BYTES);
	ether_emit(frame, &eth);
}

void udp_frame(uint8_t *frame, enum side side, const struct tuple *t)
{
	struct ipv4_view ip = { .src = t->src,
				.dst = t->dst,
				.proto = IPPROTO_NR_UDP,
				.ttl = 64,
				.df = true,
				.header_len = IPV4_HEADER_LEN,
				.total_len = FRAME_BYTES - ETHER_HEADER_LEN };
	uint8_t *l3 = frame + ETHER_HEADER_LEN;
	uint16_t l4_len = FRAME_BYTES - ETHER_HEADER_LEN - IPV4_HEADER_LEN;

	start_frame(frame, side, ETHERTYPE_IPV4);
	ipv4_emit(l3, &ip);
	udp_emit(l3 + IPV4_HEADER_LEN, t->sport, t->dport, (uint16_t)(l4_len - UDP_HEADER_LEN));
	l4_checksum_set(&ip, l3 + IPV4_HEADER_LEN, l4_len);
}

void enter_one(struct shop *s, uint32_t worker, enum side side, const uint8_t *frame)
{
	struct env *env = gateway_env(workers_gateway(s->workers, worker));
	struct packet *p = packet_alloc(env->pool, FRAME_BYTES);
	struct batch b = { .n = 1, .p = { p } };

	must(p != NULL, "no packet");
	memcpy(packet_frame(p), frame, FRAME_BYTES);
	env->ledger.n_received++;
	s->now += NS_PER_US;
	workers_input(s->workers, worker, s->ifindex[side], &b, s->now);
}

void shop_settle(struct shop *s)
{
	for (bool moved = true; moved;) {
		moved = false;
		for (uint32_t w = 0; w < s->n; w++) {
			moved |= workers_poll(s->workers, w, s->now) > 0;
			for (int side = 0; side < N_SIDES; side++) {
				struct end *e = &s->end[w][side];
				uint8_t frame[FRAME_BYTES];

				if (e->n_asked == 0)
					continue;
				struct arp_view arp = { .op = ARP_REPLY,
							.sha = peer_mac,
							.tha = e->device.mac,
							.spa = e->asked[--e->n_asked],
							.tpa = side == LAN ? IP4(10, 0, 0, 1) : IP4(203, 0, 113, 1) };
				start_frame(frame, (enum side)side, ETHERTYPE_ARP);
				arp_emit(frame + ETHER_HEADER_LEN, &arp);
				enter_one(s, w, (enum side)side, frame);
				moved = true;
			}
		}
	}
}

/* 64 clients, one server, many ports. */
static struct tuple flow(uint32_t k)
{
	return (struct tuple){ .src = IP4(10, 1, 0, 1) + k % 64,
			       .dst = SERVER,
			       .sport = (uint16_t)(1024 + k / 64),
			       .dport = 443,
			       .proto = IPPROTO_NR_UDP };
}

void shop_establish(struct shop *s)
{
	uint8_t frame[FRAME_BYTES];

	for (uint32_t k = 0; k < N_FLOWS; k++) {
		struct tuple t = flow(k);
		bool found = false;

		udp_frame(frame, LAN, &t);
		enter_one(s, 0, LAN, frame);
		shop_settle(s);
		for (uint32_t w = 0; w < s->n && !found; w++) {
			struct conntrack *ct = gateway_conntrack(workers_gateway(s->workers, w));
			uint32_t ref = conntrack_find(ct, &t);

			found = ref != CONN_NONE;
			if (!found)
				continue;
			s->owner[k] = (uint8_t)w;
			s->reply[k] = conntrack_conn(ct, conn_index(ref))->half[CT_REPLY].tuple;
		}
		must(found, "a flow was not made");
		udp_frame(frame, WAN, &s->reply[k]);
		for (uint32_t i = 0; i < 2; i++) {
			enter_one(s, s->owner[k], WAN, frame);
			shop_settle(s);
		}
	}
}

static void lane_fill(struct lane *l, enum entry entry)
{
	struct shop *s = l->shop;
	uint32_t k = l->worker * 977;

	for (uint32_t i = 0; i < FRAMES; i++) {
		bool wrong = entry == HALF_WRONG && s->n > 1 && i % 2 != 0;
		enum side side = i / BATCH_MAX % 2 == 0 ? LAN : WAN;

		do
			k = (k * 5 + 12345) % N_FLOWS;
		while ((s->owner[k] == l->worker) == wrong);
		struct tuple t = flow(k);
		udp_frame(l->frame + (size_t)i * SLOT_BYTES, side, side == LAN ? &t : &s->reply[k]);
	}
}

static double seconds(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static double max_double(double a, double b)
{
	return a > b ? a : b;
}

/* A batch is received, and what others have handed over is taken. */
static void lane_step(struct lane *l, uint32_t first, uint64_t now)
{
	struct shop *s = l->shop;
	struct env *env = gateway_env(workers_gateway(s->workers, l->worker));
	struct batch b = { .n = 0 };

	for (uint32_t i = first; i < first + BATCH_MAX; i++) {
		uint8_t *slot = l->slot + (size_t)i * SLOT_BYTES;

		memcpy(slot + HEADROOM, l->frame + (size_t)i * SLOT_BYTES, FRAME_BYTES);
		struct packet *p =
			packet_set_external(env->pool, slot, SLOT_BYTES, HEADROOM, FRAME_BYTES, NULL, NULL, 0);
		if (p != NULL)
			batch_add(&b, p);
	}
	env->ledger.n_received += b.n;
	workers_input(s->workers, l->worker, s->ifindex[first / BATCH_MAX % 2 == 0 ? LAN : WAN], &b, now);
	(void)workers_poll(s->workers, l->worker, now);
	if (workers_next_deadline(s->workers, l->worker) > now)
		return;
	double start = seconds(CLOCK_THREAD_CPUTIME_ID);

	workers_expire(s->workers, l->worker, now);
	l->longest_s = max_double(l->longest_s, seconds(CLOCK_THREAD_CPUTIME_ID) - start);
}

static void *lane_run(void *arg)
{
	struct lane *l = arg;
	struct shop *s = l->shop;
	const struct ledger *ledger = &gateway_env(workers_gateway(s->workers, l->worker))->ledger;
	uint64_t now = s->now, n_dropped = 0;
	struct grace_reader *reader = &s->grace.reader[l->worker];

	pthread_barrier_wait(&s->start);
	grace_enter(reader);
	for (uint32_t first = 0; !atomic_load_explicit(&s->stop, memory_order_relaxed);
	     first = (first + BATCH_MAX) % FRAMES) {
		lane_step(l, first, now += 6400);
		grace_pass(reader);
		/* The other worker is not running: on a machine of its own it would be. */
		if (ledger->n_dropped[DROP_HANDOFF_RING] != n_dropped) {
			n_dropped = ledger->n_dropped[DROP_HANDOFF_RING];
			sched_yield();
		}
	}
	grace_leave(reader);
	l->cpu_s = seconds(CLOCK_THREAD_CPUTIME_ID);
	return NULL;
}

static uint64_t n_sent(const struct shop *s)
{
	uint64_t n = 0;

	for (uint32_t w = 0; w < s->n; w++)
		n += s->end[w][LAN].n_sent + s->end[w][WAN].n_sent;
	return n;
}

/* Packets a second that leave. */
double shop_measure(struct shop *s, enum entry entry, double duration, double *per_cpu)
{
	double cpu_s = 0;

	struct lane lane[MAX_WORKERS];
	struct timespec ts = { .tv_sec = (time_t)duration,
			       .tv_nsec = (long)((duration - (double)(time_t)duration) * 1e9) };

	atomic_store(&s->stop, false);
	pthread_barrier_init(&s->start, NULL, s->n + 1);
	for (uint32_t w = 0; w < s->n; w++) {
		lane[w] = (struct lane){ .shop = s, .worker = w };
		lane[w].frame = aligned_alloc(128, FRAMES * SLOT_BYTES);
		lane[w].slot = aligned_alloc(128, FRAMES * SLOT_BYTES);
		must(lane[w].frame != NULL && lane[w].slot != NULL, "no memory");
		lane_fill(&lane[w], entry);
		must(pthread_create(&lane[w].thread, NULL, lane_run, &lane[w]) == 0, "no thread");
	}
	uint64_t before = n_sent(s);
	pthread_barrier_wait(&s->start);
	double begin = seconds(CLOCK_MONOTONIC);
	nanosleep(&ts, NULL);
	atomic_store(&s->stop, true);
	for (uint32_t w = 0; w < s->n; w++)
		pthread_join(lane[w].thread, NULL);
	for (uint32_t w = 0; w < s->n; w++)
		cpu_s += lane[w].cpu_s / s->n;
	s->longest_s = 0;
	for (uint32_t w = 0; w < s->n; w++)
		s->longest_s = max_double(s->longest_s, lane[w].longest_s);
	double took = seconds(CLOCK_MONOTONIC) - begin;
	uint64_t after = n_sent(s);
	s->now += (uint64_t)(took * 1e9) * 4;
	shop_settle(s);
	for (uint32_t w = 0; w < s->n; w++) {
		free(lane[w].frame);
		free(lane[w].slot);
	}
	pthread_barrier_destroy(&s->start);
	*per_cpu = (double)(after - before) / cpu_s;
	return (double)(after - before) / took;
}

/* Packets a second of processor time when all workers take turns in one thread: without the price of cache lines that
 * travel between cores, and without that of a machine that is busy. */
double shop_measure_turns(struct shop *s, enum entry entry)
{
	struct lane lane[MAX_WORKERS];
	uint64_t before = n_sent(s);

	for (uint32_t w = 0; w < s->n; w++) {
		lane[w] = (struct lane){ .shop = s, .worker = w };
		lane[w].frame = aligned_alloc(128, FRAMES * SLOT_BYTES);
		lane[w].slot = aligned_alloc(128, FRAMES * SLOT_BYTES);
		must(lane[w].frame != NULL && lane[w].slot != NULL, "no memory");
		lane_fill(&lane[w], entry);
	}
	double begin = seconds(CLOCK_THREAD_CPUTIME_ID);
	for (uint32_t i = 0; i < TURNS; i++)
		for (uint32_t w = 0; w < s->n; w++)
			lane_step(&lane[w], i * BATCH_MAX % FRAMES, s->now += 6400);
	double took = seconds(CLOCK_THREAD_CPUTIME_ID) - begin;
	shop_settle(s);
	for (uint32_t w = 0; w < s->n; w++) {
		free(lane[w].frame);
		free(lane[w].slot);
	}
	return (double)(n_sent(s) - before) / took * s->n;
}
