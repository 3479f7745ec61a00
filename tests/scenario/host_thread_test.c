/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Workers and the host, each with a thread, for ThreadSanitizer (make tsan): the workers forward what they receive and
 * hand over what is for the host, which answers it and pings itself now and then.
 *
 * Soon the host is in the middle of a callback that does not come back until so and so many packets of others have
 * left: if a packet of others waited for it, this would never end.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "workers_fixture.h"
#include "stack/ip/local.h"

#define N_WORKERS 2u
#define CLIENT IP4(10, 77, 1, 0)
#define SERVER IP4(198, 51, 100, 1)
#define LAN_ADDR IP4(10, 77, 0, 1)
#define SERVICE 53
#define N_THROUGH 20000u /* packets of others that leave while the host is at something else */
#define N_SERVED 2000u   /* answers that leave afterwards */
#define LIMIT_S 60
#define SLOW 8 /* times slower than the clock on the wall: no neighbour has to be asked again */

static const char rules[] = "table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
			    "  oifname \"wan0\" masquerade\n } }\n";

struct town {
	struct fixture *fixture;
	struct gateway *host;
	struct ping_sockets *raw;
	int socket;
	uint64_t start_ns;
	bool was_busy; /* the host's own */
	_Atomic uint32_t n_pongs;
	atomic_bool is_busy, stop;
	atomic_uint n_through, n_through_busy, n_served;
};

static uint64_t real_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static bool is_late(const struct town *t)
{
	return real_ns() - t->start_ns > LIMIT_S * NS_PER_S;
}

static uint64_t now_of(const struct town *t)
{
	return t->fixture->now + (real_ns() - t->start_ns) / SLOW;
}

/* --- what leaves --- */

static void town_tx(struct device *d, struct batch *b)
{
	struct town *t = container_of(d, struct fixture_end, device)->fixture->ctx;

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];

		if (p->in_ifindex == 0 && p->ip.src == LAN_ADDR) {
			atomic_fetch_add(&t->n_served, 1);
		} else {
			atomic_fetch_add(&t->n_through, 1);
			if (atomic_load(&t->is_busy))
				atomic_fetch_add(&t->n_through_busy, 1);
		}
		d->ledger->n_handed++;
		packet_free(d->pool, p);
	}
	b->n = 0;
}

static const struct device_ops town_ops = { .driver = "test", .tx = town_tx };

/* --- the host --- */

/* A callback that takes long, once. */
static void be_busy(struct town *t)
{
	t->was_busy = true;
	atomic_store(&t->is_busy, true);
	while (atomic_load(&t->n_through_busy) < N_THROUGH && !is_late(t))
		sched_yield();
	atomic_store(&t->is_busy, false);
}

static void serve(void *ctx, struct batch *b)
{
	struct town *t = ctx;
	struct ip_stack *s = gateway_ip(t->host);

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];
		uint32_t len = packet_l4_len(p);
		struct packet *q = ip_packet_new(s, p->ip.dst, p->ip.src, IPPROTO_NR_UDP, len);

		p->verdict = VERDICT_DELIVERED;
		if (!t->was_busy)
			be_busy(t);
		if (q == NULL)
			continue;
		memcpy(packet_l4(q), packet_l4(p), len);
		udp_emit(packet_l4(q), SERVICE, p->l4.sport, (uint16_t)(len - UDP_HEADER_LEN));
		l4_checksum_set(&q->ip, packet_l4(q), len);
		(void)l4_parse(&q->ip, packet_l4(q), len, &q->l4);
		ip_local_out_one(s, q);
	}
}

/* A ping to an address of ours goes through a worker twice. */
static void ping(struct town *t, uint16_t seq)
{
	struct ping_request rq = { .dst = LAN_ADDR, .seq = seq, .data_len = 8 };
	struct ping_message m;

	(void)ping_socket_send(t->raw, t->socket, &rq);
	while (ping_socket_receive(t->raw, t->socket, &m))
		if (!m.is_sent)
			atomic_fetch_add(&t->n_pongs, 1);
}

static void *be_host(void *arg)
{
	struct town *t = arg;
	struct workers *c = t->fixture->workers;

	for (uint32_t round = 0; !atomic_load(&t->stop); round++) {
		uint64_t now = now_of(t);

		if (workers_poll(c, N_WORKERS, now) == 0)
			sched_yield();
		if (workers_next_deadline(c, N_WORKERS) <= now)
			workers_expire(c, N_WORKERS, now);
		if (round % 64 == 0) {
			ping(t, (uint16_t)(round / 64));
			workers_flush(c, N_WORKERS, now);
		}
	}
	return NULL;
}

/* --- workers --- */

struct hand {
	struct town *town;
	uint32_t worker;
	pthread_t thread;
};

static void receive(struct hand *h, struct batch *b, const struct packet_spec *p)
{
	struct town *t = h->town;
	struct env *env = gateway_env(workers_gateway(t->fixture->workers, h->worker));
	struct packet *in = packet_alloc(env->pool, ETHER_HEADER_LEN + 1500);
	struct ether_view eth = { .dst = t->fixture->end[0][FIXTURE_LAN].device.mac,
				  .src = { { 2, 0, 0, 0, 0, 0x99 } },
				  .type = ETHERTYPE_IPV4 };

	if (in == NULL)
		return;
	env->ledger.n_received++;
	ether_emit(packet_frame(in), &eth);
	in->len = ETHER_HEADER_LEN + fixture_build(p, packet_frame(in) + ETHER_HEADER_LEN);
	batch_add(b, in);
}

static void *be_worker(void *arg)
{
	struct hand *h = arg;
	struct town *t = h->town;
	struct workers *c = t->fixture->workers;

	for (uint32_t round = h->worker; !atomic_load(&t->stop); round += N_WORKERS) {
		struct batch b = { .n = 0 };
		uint64_t now = now_of(t);

		for (uint32_t i = 0; i < 16; i++) {
			bool for_host = i == 0;
			struct packet_spec p = { .src = CLIENT + (round + i) % 64,
						 .dst = for_host ? LAN_ADDR : SERVER,
						 .sport = (uint16_t)(3000 + i),
						 .dport = for_host ? SERVICE : 443,
						 .proto = IPPROTO_NR_UDP,
						 .payload_len = i % 4 == 0 && round % 2 == 0 ? 1000 : 20 };
			receive(h, &b, &p);
		}
		workers_input(c, h->worker, t->fixture->ifindex[FIXTURE_LAN], &b, now);
		(void)workers_poll(c, h->worker, now);
		if (workers_next_deadline(c, h->worker) <= now)
			workers_expire(c, h->worker, now);
		if ((atomic_load(&t->n_served) >= N_SERVED && atomic_load(&t->n_through_busy) >= N_THROUGH &&
		     atomic_load(&t->n_pongs) > 0) ||
		    is_late(t))
			atomic_store(&t->stop, true);
		/* Three threads have two processors. */
		sched_yield();
	}
	return NULL;
}

/* --- */

/* Every worker knows the router, and so need not ask. */
static void warm_up(struct town *t)
{
	for (uint32_t i = 0; i < 4 * N_WORKERS; i++) {
		struct packet_spec out = {
			.src = CLIENT + i, .dst = SERVER, .sport = 9, .dport = 9, .proto = IPPROTO_NR_UDP
		};

		fixture_put(t->fixture, FIXTURE_LAN, &out);
		fixture_run(t->fixture);
	}
	for (uint32_t i = 0; i < 64; i++) {
		struct packet_spec in = {
			.src = CLIENT + i, .dst = LAN_ADDR, .sport = 9, .dport = 9, .proto = IPPROTO_NR_UDP
		};

		fixture_put(t->fixture, FIXTURE_LAN, &in);
		fixture_run(t->fixture);
	}
	for (uint32_t i = 0; i < N_WORKERS; i++)
		for (int side = 0; side < FIXTURE_LAN1; side++)
			t->fixture->end[i][side].device.ops = &town_ops;
}

/* Would catch: a race on anything that the host and a worker touch; a packet of others that waits until the host is
 * done; a host that is not reached any more when it is; a packet lost or counted twice between two ledgers. */
static void test_threads(void **state)
{
	struct town *t = calloc(1, sizeof(*t));
	struct hand hand[N_WORKERS];
	pthread_t host;

	assert_non_null(t);
	t->fixture = fixture_start_with_host(N_WORKERS, rules, 4096);
	t->fixture->ctx = t;
	t->host = workers_gateway(t->fixture->workers, N_WORKERS);
	t->raw = gateway_ping_sockets(t->host);
	t->socket = ping_socket_open(t->raw);
	warm_up(t);
	ip_stack_set_protocol(gateway_ip(t->host), IPPROTO_NR_UDP,
			      &(struct ip_protocol){ .ctx = t, .input = serve, .unreachable = IP_UNREACHABLE_PORT });
	t->start_ns = real_ns();
	assert_int_equal(pthread_create(&host, NULL, be_host, t), 0);
	for (uint32_t i = 0; i < N_WORKERS; i++) {
		hand[i] = (struct hand){ .town = t, .worker = i };
		assert_int_equal(pthread_create(&hand[i].thread, NULL, be_worker, &hand[i]), 0);
	}
	for (uint32_t i = 0; i < N_WORKERS; i++)
		pthread_join(hand[i].thread, NULL);
	pthread_join(host, NULL);
	assert_true(t->was_busy);
	assert_true(atomic_load(&t->n_through_busy) >= N_THROUGH);
	assert_true(atomic_load(&t->n_served) >= N_SERVED);
	assert_true(atomic_load(&t->n_pongs) > 0);
	/* While it was away there was no room for all; nothing else was lost but what no buffer was there for. */
	assert_int_equal(fixture_dropped_all(t->fixture), fixture_dropped(t->fixture, DROP_HOST_BUSY) +
								  fixture_dropped(t->fixture, DROP_HANDOFF_RING) +
								  fixture_dropped(t->fixture, DROP_NO_BUFFER) +
								  fixture_dropped(t->fixture, DROP_PORT_UNREACHABLE));
	t->fixture->now = now_of(t);
	fixture_stop(t->fixture);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_threads) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
