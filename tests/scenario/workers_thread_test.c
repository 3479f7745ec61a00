/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A worker group with a thread for each worker, for ThreadSanitizer (make tsan): clients
 * on every worker take all 8,192 ports of an address towards one destination,
 * and every answer enters at a random worker. In the end every flow has been
 * answered, every port is taken, and the law holds.
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
#include "stack/wire/arp.h"

#define N_WORKERS 3u
#define N_FLOWS 8192u
#define N_CLIENTS 64u
#define CLIENT IP4(10, 77, 1, 0)
#define SERVER IP4(198, 51, 100, 1)
#define FIRST_PORT 1024u
#define INBOX 4096u
#define LIMIT_S 60
#define SLOW 4 /* times slower than the clock on the wall: no connection ends while this runs */

static const char rules[] = "pool one { 203.0.113.16; ports 1024-9215; }\n"
			    "table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
			    "  oifname \"wan0\" snat to pool one\n } }\n";

struct frame {
	uint8_t side;
	uint16_t len;
	uint8_t bytes[512];
};

/* What the wire brings to a worker: anybody's threads put in. */
struct inbox {
	pthread_mutex_t lock;
	uint32_t n;
	struct frame frame[INBOX];
};

struct town {
	struct fixture *fixture;
	struct inbox inbox[N_WORKERS];
	atomic_uint n_answers[N_FLOWS];
	atomic_uint next_inbox, n_answered;
	atomic_bool stop;
	uint64_t start_ns;
};

struct hand {
	struct town *town;
	uint32_t worker;
	pthread_t thread;
};

static uint64_t real_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* To whichever worker is next. A full one loses it; whoever waits for an answer asks again. */
static void deliver(struct town *t, const struct frame *f)
{
	struct inbox *in = &t->inbox[atomic_fetch_add(&t->next_inbox, 1) * 2654435761u % N_WORKERS];

	pthread_mutex_lock(&in->lock);
	if (in->n < INBOX)
		in->frame[in->n++] = *f;
	pthread_mutex_unlock(&in->lock);
}

static void start_frame(struct town *t, struct frame *f, enum fixture_side side, uint16_t type)
{
	struct ether_view eth = { .dst = { { 2, 0, 0, 0, 0, (uint8_t)side } },
				  .src = { { 2, 0, 0, 0, 0, 0x99 } },
				  .type = type };

	(void)t;
	f->side = (uint8_t)side;
	ether_emit(f->bytes, &eth);
}

static void put_packet(struct town *t, enum fixture_side side, const struct packet_spec *p)
{
	struct frame f;

	start_frame(t, &f, side, ETHERTYPE_IPV4);
	f.len = (uint16_t)(ETHER_HEADER_LEN + fixture_build(p, f.bytes + ETHER_HEADER_LEN));
	deliver(t, &f);
}

static void answer_arp(struct town *t, enum fixture_side side, const uint8_t *l3, size_t len)
{
	struct arp_view ask;
	struct frame f;

	if (!arp_parse(l3, len, &ask) || ask.op != ARP_REQUEST || ask.tpa == ask.spa)
		return;
	struct arp_view reply = {
		.op = ARP_REPLY, .sha = { { 2, 0, 0, 0, 0, 0x99 } }, .tha = ask.sha, .spa = ask.tpa, .tpa = ask.spa
	};
	start_frame(t, &f, side, ETHERTYPE_ARP);
	f.len = ETHER_HEADER_LEN + ARP_LEN;
	arp_emit(f.bytes + ETHER_HEADER_LEN, &reply);
	deliver(t, &f);
}

static void leave(struct fixture_end *e, struct packet *p)
{
	struct town *t = e->fixture->ctx;
	const uint8_t *l3 = packet_frame(p) + ETHER_HEADER_LEN;
	struct ether_view eth;
	struct ipv4_view ip;
	struct l4_view l4;

	if (!ether_parse(packet_frame(p), p->len, &eth))
		return;
	if (eth.type == ETHERTYPE_ARP) {
		answer_arp(t, e->side, l3, p->len - ETHER_HEADER_LEN);
		return;
	}
	if (ipv4_parse(l3, p->len - ETHER_HEADER_LEN, &ip) != IPV4_OK ||
	    l4_parse(&ip, l3 + ip.header_len, ip.total_len - ip.header_len, &l4) != L4_OK || l4.kind != L4_UDP)
		return;
	if (e->side == FIXTURE_LAN) {
		uint32_t k = (l4.dport - FIRST_PORT) * N_CLIENTS + (ip.dst - CLIENT);

		if (k < N_FLOWS && atomic_fetch_add(&t->n_answers[k], 1) == 0)
			atomic_fetch_add(&t->n_answered, 1);
		return;
	}
	struct packet_spec back = { .src = ip.dst,
				    .dst = ip.src,
				    .sport = l4.dport,
				    .dport = l4.sport,
				    .proto = IPPROTO_NR_UDP,
				    .payload_len = 4 };
	put_packet(t, FIXTURE_WAN, &back);
}

static void thread_tx(struct device *d, struct batch *batch)
{
	for (uint32_t i = 0; i < batch->n; i++) {
		leave(container_of(d, struct fixture_end, device), batch->p[i]);
		d->ledger->n_handed++;
		packet_free(d->pool, batch->p[i]);
	}
	batch->n = 0;
}

static const struct device_ops thread_ops = { .driver = "test", .tx = thread_tx };

/* What stands in the inbox enters, at most a batch of one side. */
static uint32_t enter(struct hand *h, uint64_t now)
{
	struct town *t = h->town;
	struct inbox *in = &t->inbox[h->worker];
	struct env *env = gateway_env(workers_gateway(t->fixture->workers, h->worker));
	struct batch b = { .n = 0 };
	uint8_t side = 0;

	pthread_mutex_lock(&in->lock);
	while (in->n > 0 && b.n < BATCH_MAX) {
		const struct frame *f = &in->frame[in->n - 1];
		struct packet *p = b.n > 0 && f->side != side ? NULL : packet_alloc(env->pool, f->len);

		if (p == NULL)
			break;
		side = f->side;
		env->ledger.n_received++;
		memcpy(packet_frame(p), f->bytes, f->len);
		batch_add(&b, p);
		in->n--;
	}
	pthread_mutex_unlock(&in->lock);
	uint32_t n = b.n;
	if (n > 0)
		workers_input(t->fixture->workers, h->worker, t->fixture->ifindex[side], &b, now);
	return n;
}

/* The clients of this hand ask for what they have not heard yet, a few at a time. */
static void ask(struct hand *h, uint32_t *next)
{
	struct town *t = h->town;

	for (uint32_t i = 0, n = 0; i < N_FLOWS / N_WORKERS && n < 16; i++) {
		uint32_t k = *next;

		*next = k + N_WORKERS < N_FLOWS ? k + N_WORKERS : h->worker;
		if (atomic_load(&t->n_answers[k]) > 0)
			continue;
		struct packet_spec p = { .src = CLIENT + k % N_CLIENTS,
					 .dst = SERVER,
					 .sport = (uint16_t)(FIRST_PORT + k / N_CLIENTS),
					 .dport = 443,
					 .proto = IPPROTO_NR_UDP,
					 .payload_len = k % 4 == 0 ? 300 : 4 };
		put_packet(t, FIXTURE_LAN, &p);
		n++;
	}
}

static void *work(void *arg)
{
	struct hand *h = arg;
	struct town *t = h->town;
	struct workers *c = t->fixture->workers;
	uint32_t next = h->worker;

	while (!atomic_load(&t->stop)) {
		uint64_t now = t->fixture->now + (real_ns() - t->start_ns) / SLOW;
		uint32_t n = enter(h, now) + workers_poll(c, h->worker, now);

		if (workers_next_deadline(c, h->worker) <= now)
			workers_expire(c, h->worker, now);
		if (n == 0) {
			ask(h, &next);
			sched_yield();
		}
		if (atomic_load(&t->n_answered) == N_FLOWS || real_ns() - t->start_ns > LIMIT_S * NS_PER_S)
			atomic_store(&t->stop, true);
	}
	return NULL;
}

/* Would catch: a race on anything that two workers touch, a port given out twice or never, a packet lost or counted
 * twice between two ledgers. */
static void test_threads(void **state)
{
	struct town *t = calloc(1, sizeof(*t));
	struct hand hand[N_WORKERS];

	assert_non_null(t);
	t->fixture = fixture_start(N_WORKERS, rules, 4 * N_FLOWS);
	t->fixture->ctx = t;
	for (uint32_t i = 0; i < N_WORKERS; i++) {
		pthread_mutex_init(&t->inbox[i].lock, NULL);
		for (int side = 0; side < N_FIXTURE_SIDES; side++)
			t->fixture->end[i][side].device.ops = &thread_ops;
	}
	t->start_ns = real_ns();
	for (uint32_t i = 0; i < N_WORKERS; i++) {
		hand[i] = (struct hand){ .town = t, .worker = i };
		assert_int_equal(pthread_create(&hand[i].thread, NULL, work, &hand[i]), 0);
	}
	for (uint32_t i = 0; i < N_WORKERS; i++)
		pthread_join(hand[i].thread, NULL);
	t->fixture->now += (real_ns() - t->start_ns) / SLOW;
	fixture_print_drops(t->fixture);
	assert_int_equal(atomic_load(&t->n_answered), N_FLOWS);
	fixture_check_law(t->fixture);
	assert_int_equal(fixture_pools(t->fixture).n_used_udp, N_FLOWS);
	fixture_stop(t->fixture);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_threads) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
