/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Routes that change while packets flow, in memory: what a change costs, what the
 * established flows notice of 20,000 a second, how soon a lost next hop is left, and
 * how long a reload stops the workers.
 *
 *   routes [SECONDS]      a line of JSON a row on stdout
 *
 *   routes-changes        changes a second, by the RIB, of a table of a million
 *                         prefixes spread over all of it, 64 a flush, on one processor
 *   routes-lost           a neighbour that is the best of 500,000 prefixes is lost:
 *                         until all of them have their second best
 *   routes-lost-flows     the same with a million established flows by it: until 64 of them, drawn from all, have
 *                         gone the second best way
 *   routes-flows-N        N workers, 8,192 established flows that no change concerns:
 *                         the share of their rate that is left at 20,000 changes a second; and, as `idle`, that beside
 *                         a thread that takes as much of a processor and changes nothing
 *   routes-pause-N        in these rounds: the longest that a worker's timers, and with them the slices in which flows
 *                         are held against the routes, take between two batches, in processor time; and, as `idle`,
 *                         the same in rounds without a change
 *   routes-reload-N       N workers with a million connections take a config over whose
 *                         routes are as before: for how long they stop
 *
 * The table is made up from a fixed seed, with the Internet's lengths; every prefix
 * has two routes. Rounds with changes, without, and beside the idle thread take turns, and a row is the median
 * of the ratios. The thread that makes the changes is not a worker and
 * takes its part of the machine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "base/util.h"
#include "shop.h"

#define N_PREFIXES 1000000u
#define N_GATEWAYS 64u
#define N_CHANGES 400000u
#define CHANGES_A_FLUSH 64u
#define RATE 20000u
#define N_CONNECTIONS 1000000u
#define GATEWAY(i) (IP4(203, 0, 113, 10) + (i))

struct table {
	struct ip_prefix prefix[N_PREFIXES];
	struct rng rng;
};

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, uint32_t n)
{
	qsort(v, n, sizeof(*v), compare_double);
	return v[n / 2];
}

/* idle: the same where nothing changes; below 0: there is no such thing. */
static void row_beside(const char *name, uint32_t n, double value, const char *unit, const char *sense, double bar,
		       double idle)
{
	printf("{\"row\":\"%s", name);
	if (n > 0)
		printf("-%u", n);
	printf("\",\"value\":%.4g,\"unit\":\"%s\",\"sense\":\"%s\",\"bar\":%g", value, unit, sense, bar);
	if (idle >= 0)
		printf(",\"idle\":%.4g", idle);
	printf("}\n");
	fflush(stdout);
}

static void row(const char *name, uint32_t n, double value, const char *unit, const char *sense, double bar)
{
	row_beside(name, n, value, unit, sense, bar, -1);
}

/* --- the table --- */

/* What others tell: not one of them leads to the flows' server, 192.0.2.0/24. */
static struct rib_route told(const struct table *t, uint32_t i, uint32_t instance, uint32_t gateway)
{
	return (struct rib_route){ .prefix = t->prefix[i],
				   .source = RIB_BGP,
				   .distance = 20,
				   .metric = instance,
				   .instance = instance,
				   .nexthop = { .kind = FIB_UNICAST, .gateway = ip_addr_v4(GATEWAY(gateway)) } };
}

/* Of ten, six are a /24; the others from /16 to /23. Nine tenths are in a tenth of the /16s. */
static struct table *table_make(void)
{
	struct table *t = malloc(sizeof(*t));
	struct rib *seen = rib_create(RIB_ASKED);
	uint8_t seed[RNG_SEED_BYTES] = { 11 };

	must(t != NULL && seen != NULL, "no memory");
	rng_init(&t->rng, seed);
	for (uint32_t n = 0; n < N_PREFIXES;) {
		uint32_t len = rng_below(&t->rng, 10) < 6 ? 24 : 16 + rng_below(&t->rng, 8);
		uint32_t high = (20 + rng_below(&t->rng, 150)) << 8 | rng_below(&t->rng, 256);

		t->prefix[n] = ip_prefix_v4(high << 16 | (rng_u32(&t->rng) & 0xffff), len);
		struct rib_route r = told(t, n, 0, 0);

		must(rib_set(seen, &r) == 0, "no memory");
		n = (uint32_t)rib_n_routes(seen);
	}
	rib_release(seen);
	return t;
}

static void link_to(struct rib *r)
{
	struct rib_route link = {
		.prefix = ip_prefix_v4(IP4(203, 0, 113, 0), 24),
		.source = RIB_CONNECTED,
		.nexthop = { .kind = FIB_UNICAST, .ifindex = 2, .source = ip_addr_v4(IP4(203, 0, 113, 1)) }
	};

	must(rib_set(r, &link) == 0 && rib_flush(r) == 0, "no link");
}

/* Every second prefix has gateway 0 for its best. */
static uint32_t best_of(uint32_t i)
{
	return i % 2 == 0 ? 0 : 1 + i / 2 % (N_GATEWAYS - 1);
}

static uint32_t second_of(uint32_t i)
{
	return 1 + (i / 2 + 7) % (N_GATEWAYS - 1);
}

static void table_load(const struct table *t, struct rib *r)
{
	for (uint32_t i = 0; i < N_PREFIXES; i++) {
		struct rib_route best = told(t, i, 0, best_of(i)), second = told(t, i, 1, second_of(i));

		must(rib_set(r, &best) == 0 && rib_set(r, &second) == 0, "no memory for the table");
	}
	must(rib_flush(r) == 0, "no memory for the table");
}

/* --- changes by themselves --- */

/* Another gateway for one of the prefixes; now and then it is withdrawn, and comes back with the next change of it. */
static void change_one(struct table *t, struct rib *r)
{
	uint32_t i = rng_below(&t->rng, N_PREFIXES);
	struct rib_route route = told(t, i, 0, rng_below(&t->rng, N_GATEWAYS));

	if (rng_below(&t->rng, 4) == 0)
		(void)rib_unset(r, &route);
	else
		must(rib_set(r, &route) == 0, "a change found no memory");
}

static void reclaim(struct rib *r)
{
	(void)rib_grace_begin(r);
	rib_grace_over(r);
}

static void bench_changes(struct table *t, struct rib *r)
{
	double per_s[ROUNDS];

	for (uint32_t k = 0; k < ROUNDS; k++) {
		uint64_t start = cpu_ns();

		for (uint32_t i = 0; i < N_CHANGES; i++) {
			change_one(t, r);
			if (i % CHANGES_A_FLUSH == 0) {
				must(rib_flush(r) == 0, "a flush found no memory");
				reclaim(r);
			}
		}
		must(rib_flush(r) == 0, "a flush found no memory");
		per_s[k] = N_CHANGES / ((double)(cpu_ns() - start) * 1e-9);
	}
	row("routes-changes", 0, median(per_s, ROUNDS), "1/s", "at least", 100000);
}

static void bench_lost(const struct table *t, struct rib *r, const struct fib *f)
{
	struct ip_addr lost = ip_addr_v4(GATEWAY(0));
	double ms[ROUNDS];
	uint32_t n = 0;

	table_load(t, r); /* as it was before the changes */
	for (uint32_t k = 0; k < ROUNDS; k++) {
		uint64_t start = clock_ns();

		must(rib_neighbour_changed(r, 2, &lost, false), "nothing was lost");
		ms[k] = (double)(clock_ns() - start) * 1e-6;
		n = 0;
		for (uint32_t i = 0; i < N_PREFIXES; i += 2) {
			const struct fib_nexthop *nh = fib_nexthop(f, fib_group_of(f, ip_prefix_to_v4(&t->prefix[i])));

			n += nh->gateway.v4 == GATEWAY(second_of(i));
		}
		must(n == N_PREFIXES / 2, "a prefix has not its second best");
		while (rib_work(r, 8192))
			;
		must(rib_neighbour_changed(r, 2, &lost, true), "nothing came back");
		while (rib_work(r, 8192))
			;
		reclaim(r);
	}
	row("routes-lost", 0, median(ms, ROUNDS), "ms", "at most", 1);
}

/* --- beside flows --- */

struct changer {
	struct table *table;
	struct shop *shop;
	struct rib *rib;
	atomic_bool stop;
	pthread_t thread;
	uint64_t n_changes, n_graces;
	double took_s, cpu_s;
};

static void sleep_until(uint64_t ns)
{
	struct timespec until = { .tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* As much of a processor as the changes took, and as often, without a word of memory. */
static void *idle_on(void *arg)
{
	struct changer *c = arg;
	uint64_t burn = (uint64_t)(c->cpu_s / c->took_s * NS_PER_MS), next = clock_ns();

	while (!atomic_load(&c->stop)) {
		sleep_until(next);
		for (uint64_t end = cpu_ns() + burn; cpu_ns() < end;)
			;
		next += NS_PER_MS;
	}
	return NULL;
}

/* 20 a millisecond. */
static void *change_on(void *arg)
{
	struct changer *c = arg;
	uint64_t start = clock_ns(), next = start;
	bool in_grace = false;

	while (!atomic_load(&c->stop)) {
		sleep_until(next);
		for (uint32_t i = 0; i < RATE / 1000; i++)
			change_one(c->table, c->rib);
		must(rib_flush(c->rib) == 0, "a flush found no memory");
		c->n_changes += RATE / 1000;
		if (!in_grace || grace_is_over(&c->shop->grace)) {
			if (in_grace)
				rib_grace_over(c->rib);
			c->n_graces += in_grace;
			in_grace = rib_grace_begin(c->rib);
			grace_begin(&c->shop->grace);
		}
		next += NS_PER_MS;
	}
	c->took_s = (double)(clock_ns() - start) * 1e-9;
	c->cpu_s = (double)cpu_ns() * 1e-9;
	/* No worker runs any more. */
	reclaim(c->rib);
	return NULL;
}

static double measure_beside(struct changer *c, void *(*thread)(void *), double duration, double *per_cpu)
{
	atomic_store(&c->stop, false);
	must(pthread_create(&c->thread, NULL, thread, c) == 0, "no thread");
	double rate = shop_measure(c->shop, AT_OWNER, duration, per_cpu);

	atomic_store(&c->stop, true);
	pthread_join(c->thread, NULL);
	return rate;
}

static double max_double(double a, double b)
{
	return a > b ? a : b;
}

static void bench_flows(struct table *t, uint32_t n, double duration)
{
	struct shop *s = shop_open(n, 262144);
	struct changer c = { .table = t, .shop = s, .rib = s->snapshot->core.rib };
	double share[ROUNDS], idle[ROUNDS], cpu_share[ROUNDS], changes[ROUNDS], cpu[ROUNDS], per_cpu, per_cpu_beside;
	double longest = 0, longest_idle = 0;

	table_load(t, c.rib);
	shop_establish(s);
	for (uint32_t k = 0; k < ROUNDS; k++) {
		double quiet = shop_measure(s, AT_OWNER, duration, &per_cpu);
		uint64_t n_before = c.n_changes;

		longest_idle = max_double(longest_idle, s->longest_s);
		share[k] = 100 * measure_beside(&c, change_on, duration, &per_cpu_beside) / quiet;
		cpu_share[k] = 100 * per_cpu_beside / per_cpu;
		changes[k] = (double)(c.n_changes - n_before) / c.took_s;
		cpu[k] = 100 * c.cpu_s / c.took_s;
		longest = max_double(longest, s->longest_s);
		idle[k] = 100 * measure_beside(&c, idle_on, duration, &per_cpu_beside) / quiet;
		longest_idle = max_double(longest_idle, s->longest_s);
	}
	for (uint32_t w = 0; w < n; w++) {
		const uint64_t *count = flowcache_counts(gateway_flowcache(workers_gateway(s->workers, w)));

		must(count[FLOWCACHE_LED_ELSEWHERE] == 0, "a flow was touched that no change concerns");
	}
	must(c.n_graces > 0, "no grace came to its end");
	fprintf(stderr,
		"routes-flows-%u: %.0f changes a second for %.1f%% of a processor, %llu graces; %.1f%% by processor "
		"time\n",
		n, median(changes, ROUNDS), median(cpu, ROUNDS), (unsigned long long)c.n_graces,
		median(cpu_share, ROUNDS));
	row_beside("routes-flows", n, median(share, ROUNDS), "% of the rate without", "at least", 95,
		   median(idle, ROUNDS));
	row_beside("routes-pause", n, longest * 1e6, "us", "at most", 200, longest_idle * 1e6);
	shop_close(s);
}

/* --- reload --- */

/* Many clients and servers; a port serves one flow to each server. */
static struct tuple connection(uint32_t k)
{
	return (struct tuple){ .src = IP4(10, 2, 0, 1) + k % 4096,
			       .dst = SERVER + k / 50000,
			       .sport = (uint16_t)(1024 + k / 4096),
			       .dport = 443,
			       .proto = IPPROTO_NR_UDP };
}

static void connect_all(struct shop *s)
{
	uint8_t frame[FRAME_BYTES];
	uint32_t n = 0;

	for (uint32_t k = 0; k < N_CONNECTIONS; k++) {
		struct tuple t = connection(k);

		udp_frame(frame, LAN, &t);
		enter_one(s, k % s->n, LAN, frame);
		shop_settle(s);
	}
	for (uint32_t w = 0; w < s->n; w++)
		n += conntrack_n_connections(gateway_conntrack(workers_gateway(s->workers, w)));
	must(n >= N_CONNECTIONS * 99ull / 100, "the connections were not made");
}

static struct rib_route to_servers(uint32_t addr, uint32_t len, uint32_t instance, uint32_t gateway)
{
	return (struct rib_route){ .prefix = ip_prefix_v4(addr, len),
				   .source = RIB_BGP,
				   .distance = 20,
				   .metric = instance,
				   .instance = instance,
				   .nexthop = { .kind = FIB_UNICAST, .gateway = ip_addr_v4(GATEWAY(gateway)) } };
}

/* Each connection is answered, and has its flow cache entry. */
static void answer_all(struct shop *s)
{
	struct conntrack *ct = gateway_conntrack(workers_gateway(s->workers, 0));
	uint8_t frame[FRAME_BYTES];

	for (uint32_t k = 0; k < N_CONNECTIONS; k++) {
		struct tuple t = connection(k);
		uint32_t ref = conntrack_find(ct, &t);

		if (ref == CONN_NONE)
			continue;
		udp_frame(frame, WAN, &conntrack_conn(ct, conn_index(ref))->half[CT_REPLY].tuple);
		enter_one(s, 0, WAN, frame);
		udp_frame(frame, LAN, &t);
		enter_one(s, 0, LAN, frame);
		shop_settle(s);
	}
}

/* One packet each of so many flows, far from each other; then they are out. */
static void send_some(struct shop *s, uint32_t round)
{
	uint8_t frame[FRAME_BYTES];

	for (uint32_t i = 0; i < BATCH_MAX; i++) {
		struct tuple t = connection((i * (N_CONNECTIONS / BATCH_MAX) + round * 7919) % N_CONNECTIONS);

		udp_frame(frame, LAN, &t);
		enter_one(s, 0, LAN, frame);
	}
}

static void bench_lost_flows(void)
{
	struct shop *s = shop_open(1, N_CONNECTIONS + N_CONNECTIONS / 8);
	struct rib *r = s->snapshot->core.rib;
	struct rib_route route[] = { to_servers(SERVER, 24, 0, 0), to_servers(SERVER, 24, 1, 1),
				     to_servers(SERVER, 32, 0, 1) };
	const uint64_t *count = flowcache_counts(gateway_flowcache(workers_gateway(s->workers, 0)));
	struct ip_addr lost = ip_addr_v4(GATEWAY(0));
	double ms[ROUNDS];

	for (size_t i = 0; i < ARRAY_LEN(route); i++)
		must(rib_set(r, &route[i]) == 0, "no memory");
	must(rib_flush(r) == 0, "no memory");
	connect_all(s); /* some by the second neighbour, which is known then */
	must(rib_unset(r, &route[2]) == 0 && rib_flush(r) == 0, "no memory");
	answer_all(s);
	for (uint32_t k = 0; k < ROUNDS; k++) {
		send_some(s, k); /* one more than a stream needs before it is one */
		uint64_t before = count[FLOWCACHE_TAKEN];

		send_some(s, k);
		uint64_t taken = count[FLOWCACHE_TAKEN], start = clock_ns();

		must(taken - before == BATCH_MAX, "a flow has no flow cache entry");
		must(rib_neighbour_changed(r, s->ifindex[WAN], &lost, false), "nothing was lost");
		send_some(s, k);
		ms[k] = (double)(clock_ns() - start) * 1e-6;
		must(count[FLOWCACHE_TAKEN] == taken, "a flow went on by the neighbour that was lost");
		must(rib_neighbour_changed(r, s->ifindex[WAN], &lost, true), "nothing came back");
		/* All are held against the routes, and have their entries again. */
		for (uint32_t i = 0; i < 2 * N_CONNECTIONS / 128; i++) {
			workers_expire(s->workers, 0, s->now += NS_PER_MS / 2);
			shop_settle(s);
		}
		send_some(s, k + 1);
		shop_settle(s);
	}
	row("routes-lost-flows", 0, median(ms, ROUNDS), "ms", "at most", 1);
	shop_close(s);
}

static void bench_reload(uint32_t n)
{
	struct shop *s = shop_open(n, N_CONNECTIONS + N_CONNECTIONS / 8);
	struct config_errors *errors = NULL;
	double ms[ROUNDS];

	connect_all(s);
	for (uint32_t k = 0; k < ROUNDS; k++) {
		struct snapshot *next = snapshot_build(s->config, s->snapshot, &errors);

		must(next != NULL, "the config cannot be built");
		uint64_t start = clock_ns();

		must(workers_configure(s->workers, &next->core, s->now) == 0, "the config was refused");
		ms[k] = (double)(clock_ns() - start) * 1e-6;
		snapshot_destroy(s->snapshot);
		s->snapshot = next;
	}
	row("routes-reload", n, median(ms, ROUNDS), "ms", "at most", 5);
	shop_close(s);
}

int main(int argc, char **argv)
{
	double duration = argc > 1 ? atof(argv[1]) : 0.5;
	struct table *t = table_make();
	struct rib *r = rib_create(RIB_FORWARDS);
	const struct fib *f = rib_fib_hold(r, 0);

	link_to(r);
	table_load(t, r);
	bench_changes(t, r);
	bench_lost(t, r, f);
	rib_fib_release(r, 0);
	rib_release(r);
	bench_lost_flows();
	for (uint32_t n = 1; n <= MAX_WORKERS; n *= 2)
		bench_flows(t, n, duration);
	for (uint32_t n = 1; n <= MAX_WORKERS; n *= 2)
		bench_reload(n);
	free(t);
	return 0;
}
