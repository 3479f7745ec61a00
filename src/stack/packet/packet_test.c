/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Packets and their pools.
 */
#include "stack/packet/packet.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct packet_pool *pool_of(uint32_t n_packets, uint32_t n_small, uint32_t n_large)
{
	struct packet_pool_config cfg = { .n_packets = n_packets, .n_small = n_small, .n_large = n_large };
	struct packet_pool *pool = packet_pool_create(&cfg);
	assert_non_null(pool);
	return pool;
}

/* Catches a descriptor that remembers its last life, a frame that does not fit
 * its buffer, and a choice of the wrong size at the border. */
static void alloc_gives_a_clean_packet(void **state)
{
	struct packet_pool *pool = pool_of(4, 2, 2);
	const uint32_t small_most = PACKET_SMALL_BYTES - PACKET_HEADROOM;
	const uint32_t large_most = PACKET_LARGE_BYTES - PACKET_HEADROOM;
	static const struct {
		uint32_t len;
		bool large;
	} rows[] = {
		{ 0, false },
		{ 60, false },
		{ PACKET_SMALL_BYTES - PACKET_HEADROOM, false },
		{ PACKET_SMALL_BYTES - PACKET_HEADROOM + 1, true },
		{ PACKET_LARGE_BYTES - PACKET_HEADROOM, true },
	};
	assert_true(small_most >= 2048 && large_most >= 65535 + 14);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct packet *p = packet_alloc(pool, rows[i].len);
		assert_non_null(p);
		assert_int_equal(p->buf_large, rows[i].large);
		assert_int_equal(p->len, rows[i].len);
		assert_int_equal(p->off, PACKET_HEADROOM);
		assert_true(p->off + p->len <= p->buf_len);
		assert_int_equal(p->conn_ref, CONN_NONE);
		assert_int_equal(p->verdict, VERDICT_CONTINUE);
		assert_true(p->mark == 0 && p->reason == 0 && p->in_ifindex == 0 && p->next == NULL);
		memset(p->buf, 0xee, p->buf_len);
		p->conn_ref = 7;
		p->mark = 7;
		p->in_ifindex = 7;
		p->next = p;
		packet_set_drop(p, DROP_NO_ROUTE);
		packet_free(pool, p);
	}
	assert_null(packet_alloc(pool, large_most + 1));
	assert_int_equal(packet_pool_used(pool), 0);
	packet_pool_destroy(pool);
}

/* Catches two packets that share bytes or a descriptor, a count that drifts, and
 * an empty pool that does not recover. */
static void empty_pool_recovers(void **state)
{
	enum { N = 16 };
	struct packet_pool *pool = pool_of(N, N, 0);
	assert_int_equal(packet_pool_capacity(pool), N);
	struct packet *p[N];
	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i < N; i++) {
			p[i] = packet_alloc(pool, 1514);
			assert_non_null(p[i]);
			memset(packet_frame(p[i]), (int)i, 1514);
			assert_int_equal(packet_pool_used(pool), i + 1);
		}
		assert_null(packet_alloc(pool, 60));
		assert_int_equal(packet_pool_used(pool), N);
		for (unsigned i = 0; i < N; i++) {
			assert_int_equal(packet_frame(p[i])[0], i);
			assert_int_equal(packet_frame(p[i])[1513], i);
			for (unsigned j = 0; j < i; j++)
				assert_int_not_equal(p[i]->index, p[j]->index);
			packet_free(pool, p[i]);
		}
		assert_int_equal(packet_pool_used(pool), 0);
	}
	packet_pool_destroy(pool);
}

/* Catches a small frame lost while large buffers lie idle, a large buffer given
 * back to the small pool, and a buffer leaked when the descriptors are out. */
static void large_stands_in_for_small(void **state)
{
	struct packet_pool *pool = pool_of(3, 1, 2);
	struct packet *a = packet_alloc(pool, 100), *b = packet_alloc(pool, 100), *c = packet_alloc(pool, 60000);
	assert_true(a != NULL && b != NULL && c != NULL);
	assert_true(!a->buf_large && b->buf_large && c->buf_large);
	packet_free(pool, c);
	packet_free(pool, b);
	/* Descriptors out: no buffer may stay behind. */
	static uint8_t external[64];
	b = packet_set_external(pool, external, sizeof(external), 0, 64, NULL, NULL, 0);
	c = packet_set_external(pool, external, sizeof(external), 0, 64, NULL, NULL, 0);
	for (int i = 0; i < 10; i++)
		assert_null(packet_alloc(pool, 60000));
	packet_free(pool, a);
	packet_free(pool, b);
	packet_free(pool, c);
	a = packet_alloc(pool, 60000);
	b = packet_alloc(pool, 60000);
	c = packet_alloc(pool, 100);
	assert_true(a != NULL && b != NULL && c != NULL && !c->buf_large);
	packet_free(pool, a);
	packet_free(pool, b);
	packet_free(pool, c);
	packet_pool_destroy(pool);
}

struct lessor {
	unsigned n_released;
	uint64_t cookie;
};

static void take_back(void *ctx, uint64_t cookie)
{
	struct lessor *l = ctx;
	l->n_released++;
	l->cookie = cookie;
}

/* Catches a lease that is never given back, given back twice, or with another's cookie. */
static void lent_bytes_go_back_once(void **state)
{
	struct packet_pool *pool = pool_of(2, 1, 0);
	uint8_t ring[256];
	struct lessor lessor = { 0 };
	struct packet *p = packet_set_external(pool, ring, sizeof(ring), 32, 100, take_back, &lessor, 42);
	assert_non_null(p);
	assert_ptr_equal(packet_frame(p), ring + 32);
	assert_int_equal(p->conn_ref, CONN_NONE);
	packet_free(pool, p);
	assert_int_equal(lessor.n_released, 1);
	assert_true(lessor.cookie == 42);
	assert_int_equal(packet_pool_used(pool), 0);
	packet_pool_destroy(pool);
}

/* Catches bytes or metadata lost on the way into the pool, a second release when
 * the packet ends, and a lease given back although no buffer was free. */
static void owning_moves_the_bytes(void **state)
{
	struct packet_pool *pool = pool_of(3, 1, 0);
	uint8_t ring[256];
	for (unsigned i = 0; i < sizeof(ring); i++)
		ring[i] = (uint8_t)i;
	struct lessor lessor = { 0 };
	struct packet *p = packet_set_external(pool, ring, sizeof(ring), 32, 100, take_back, &lessor, 1);
	p->mark = 5;
	struct packet *other = packet_alloc(pool, 60);
	assert_false(packet_copy_on_hold(pool, p));
	assert_int_equal(lessor.n_released, 0);
	assert_ptr_equal(packet_frame(p), ring + 32);
	packet_free(pool, other);

	assert_true(packet_copy_on_hold(pool, p));
	assert_int_equal(lessor.n_released, 1);
	assert_memory_equal(packet_frame(p), ring + 32, 100);
	assert_int_equal(p->len, 100);
	assert_int_equal(p->mark, 5);
	assert_int_equal(p->off, PACKET_HEADROOM);
	assert_true(packet_copy_on_hold(pool, p));
	packet_free(pool, p);
	assert_int_equal(lessor.n_released, 1);
	assert_int_equal(packet_pool_used(pool), 0);
	packet_pool_destroy(pool);
}

/* Catches a copy that shares bytes with its original, gives back its lease, or
 * hangs in its list. */
static void copy_stands_alone(void **state)
{
	struct packet_pool *pool = pool_of(3, 2, 0);
	uint8_t ring[128] = { 1, 2, 3, 4 };
	struct lessor lessor = { 0 };
	struct packet *p = packet_set_external(pool, ring, sizeof(ring), 0, 80, take_back, &lessor, 1);
	p->l3_off = 14;
	p->ip.src = 9;
	p->conn_ref = 3;
	p->next = p;
	struct packet *c = packet_copy(pool, p);
	assert_non_null(c);
	assert_int_not_equal(c->index, p->index);
	assert_memory_equal(packet_frame(c), ring, 80);
	assert_true(c->l3_off == 14 && c->ip.src == 9 && c->conn_ref == 3 && c->next == NULL);
	packet_frame(c)[0] = 99;
	assert_int_equal(ring[0], 1);
	packet_free(pool, c);
	assert_int_equal(lessor.n_released, 0);
	struct packet *hog1 = packet_alloc(pool, 60), *hog2 = packet_alloc(pool, 60);
	assert_null(packet_copy(pool, p));
	packet_free(pool, hog1);
	packet_free(pool, hog2);
	packet_free(pool, p);
	assert_int_equal(packet_pool_used(pool), 0);
	packet_pool_destroy(pool);
}

/* Catches a drop that is not counted, counted elsewhere or not freed. */
static void drop_counts_and_frees(void **state)
{
	struct packet_pool *pool = pool_of(1, 1, 0);
	struct ledger ledger = { .n_received = 1 };
	packet_drop(pool, &ledger, packet_alloc(pool, 60), DROP_TTL_EXPIRED);
	assert_int_equal(ledger.n_dropped[DROP_TTL_EXPIRED], 1);
	assert_int_equal(ledger_dropped(&ledger), 1);
	assert_int_equal(ledger_expected_held(&ledger), packet_pool_used(pool));
	packet_pool_destroy(pool);
}

/* Catches a batch settled out of order, a stolen packet that is freed or kept,
 * a drop under the wrong name, and a hole that is followed. */
static void settle_sorts_by_verdict(void **state)
{
	struct packet_pool *pool = pool_of(BATCH_MAX, BATCH_MAX, 0);
	struct ledger ledger = { 0 };
	struct batch b = { 0 };
	struct packet *stolen[BATCH_MAX];
	uint32_t n_stolen = 0, n_dropped = 0;
	for (uint32_t i = 0; i < BATCH_MAX; i++) {
		struct packet *p = packet_alloc(pool, 60);
		p->mark = i;
		ledger.n_received++;
		batch_add(&b, p);
		switch (i % 5) {
		case 1:
			packet_set_drop(p, i % 2 == 0 ? DROP_NO_ROUTE : DROP_RULE_DROP);
			n_dropped++;
			break;
		case 2:
			p->verdict = VERDICT_STOLEN;
			stolen[n_stolen++] = p;
			break;
		case 3:
			stolen[n_stolen++] = p;
			b.p[i] = NULL;
			break;
		default:
			break;
		}
	}
	batch_settle(&b, pool, &ledger);
	assert_int_equal(b.n, BATCH_MAX - n_stolen - n_dropped);
	for (uint32_t i = 0; i < b.n; i++) {
		assert_true(b.p[i]->mark % 5 == 0 || b.p[i]->mark % 5 == 4);
		assert_true(i == 0 || b.p[i]->mark > b.p[i - 1]->mark);
	}
	assert_int_equal(ledger.n_dropped[DROP_NO_ROUTE] + ledger.n_dropped[DROP_RULE_DROP], n_dropped);
	assert_true(ledger.n_dropped[DROP_NO_ROUTE] > 0 && ledger.n_dropped[DROP_RULE_DROP] > 0);
	assert_int_equal(packet_pool_used(pool), b.n + n_stolen);
	assert_int_equal(ledger_expected_held(&ledger), packet_pool_used(pool));
	for (uint32_t i = 0; i < n_stolen; i++)
		packet_free(pool, stolen[i]);
	while (b.n > 0)
		packet_free(pool, b.p[--b.n]);
	assert_int_equal(packet_pool_used(pool), 0);
	packet_pool_destroy(pool);
}

#ifndef NDEBUG
/* How a child ends that frees p, and then again if `times` is 2. */
static int signal_of_freeing(struct packet_pool *pool, struct packet *p, int times)
{
	fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		static const struct rlimit no_core = { 0, 0 };
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(1);
		while (times-- > 0)
			packet_free(pool, p);
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* Catches a packet that is freed twice or into another pool, without anybody noticing. */
static void wrong_free_is_noticed(void **state)
{
	struct packet_pool *pool = pool_of(4, 4, 0), *other = pool_of(4, 4, 0);
	struct packet *p = packet_alloc(pool, 60), *q = packet_alloc(pool, 60);
	assert_non_null(packet_alloc(other, 60));
	assert_int_equal(signal_of_freeing(pool, p, 1), 0);
	assert_int_equal(signal_of_freeing(pool, p, 2), SIGABRT);
	assert_int_equal(signal_of_freeing(other, p, 1), SIGABRT);
	packet_free(pool, p);
	packet_free(pool, q);
	packet_pool_destroy(pool);
	packet_pool_destroy(other);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alloc_gives_a_clean_packet), cmocka_unit_test(empty_pool_recovers),
		cmocka_unit_test(large_stands_in_for_small),  cmocka_unit_test(lent_bytes_go_back_once),
		cmocka_unit_test(owning_moves_the_bytes),     cmocka_unit_test(copy_stands_alone),
		cmocka_unit_test(drop_counts_and_frees),      cmocka_unit_test(settle_sorts_by_verdict),
#ifndef NDEBUG
		cmocka_unit_test(wrong_free_is_noticed),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
