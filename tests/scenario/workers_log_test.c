/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Log records of three workers that are one gateway: what each is told of, and that
 * together they tell of everything once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "stack/ports/port_blocks.h"
#include "workers_fixture.h"

#define N_WORKERS 3u
#define N_FLOWS 2000u
#define HOST IP4(10, 77, 1, 0)
#define N_HOSTS 40u
#define SERVER IP4(198, 51, 100, 1)
#define RECORDS_MAX 40000u
#define POOL_ADDRESS IP4(203, 0, 113, 16)

#define RULES \
	"table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n" \
	"  oifname \"wan0\" snat to pool public\n } }\n"

static struct {
	uint32_t n;
	struct log_record at[RECORDS_MAX];
} all;

static void note(void *ctx, const struct log_record *r)
{
	assert_true(all.n < RECORDS_MAX);
	all.at[all.n] = *r;
	all.at[all.n++].worker = *(const uint8_t *)ctx;
}

static struct fixture *start(const char *rules)
{
	static uint8_t number[N_WORKERS] = { 0, 1, 2 };
	struct fixture *r = fixture_start(N_WORKERS, rules, 8192);

	all.n = 0;
	for (uint32_t i = 0; i < N_WORKERS; i++)
		gateway_env(workers_gateway(r->workers, i))->log = (struct log_slot){ .fn = note, .ctx = &number[i] };
	return r;
}

static void send_all(struct fixture *r, uint32_t dst)
{
	for (uint32_t k = 0; k < N_FLOWS; k++) {
		struct packet_spec p = { .src = HOST + k % N_HOSTS,
					 .dst = dst,
					 .sport = (uint16_t)(5000 + k / N_HOSTS),
					 .dport = 53,
					 .proto = IPPROTO_NR_UDP };

		fixture_put(r, FIXTURE_LAN, &p);
		if (k % 50 == 49)
			fixture_run(r);
	}
	fixture_run(r);
}

static uint32_t count(enum log_kind kind)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < all.n; i++)
		n += all.at[i].kind == kind;
	return n;
}

/* Would catch: a session that two workers tell of, or none; one whose port stands in no block that its worker has in
 * use; a block that two have; one that begins twice or never ends; times that are not those of the other end. */
static void test_sessions_and_blocks(void **state)
{
	struct fixture *r = start("pool public { 203.0.113.16; log sessions, blocks; }\n" RULES);
	static struct {
		uint64_t begun;
		uint8_t worker_plus_1;
	} block[PORT_BLOCKS_PER_MAP];
	uint32_t n_of[N_WORKERS] = { 0 }, n_begun = 0;

	(void)state;
	memset(block, 0, sizeof(block));
	send_all(r, SERVER);
	assert_int_equal(fixture_n_connections(r), count(LOG_SESSION_BEGIN));
	assert_true(count(LOG_SESSION_BEGIN) >= N_FLOWS);
	fixture_wait(r, 900 * NS_PER_S);
	assert_int_equal(fixture_n_connections(r), 0);
	for (uint32_t i = 0; i < all.n; i++) {
		const struct log_record *x = &all.at[i];
		uint32_t b = x->reply.dport / PORT_BLOCK_PORTS;

		assert_string_equal(x->pool, "public");
		assert_int_equal(x->reply.dst.v4, POOL_ADDRESS);
		if (x->kind == LOG_BLOCK_BEGIN) {
			assert_int_equal(x->n_ports, PORT_BLOCK_PORTS);
			assert_int_equal(x->reply.dport % PORT_BLOCK_PORTS, 0);
			assert_int_equal(x->reply.proto, IPPROTO_NR_UDP);
			assert_int_equal(block[b].worker_plus_1, 0);
			block[b].worker_plus_1 = (uint8_t)(x->worker + 1);
			block[b].begun = x->time_ns;
			n_begun++;
		} else {
			/* Each of the others happens within its block. */
			assert_int_equal(block[b].worker_plus_1, x->worker + 1);
		}
		if (x->kind == LOG_BLOCK_END) {
			assert_int_equal(x->begin_ns, block[b].begun);
			block[b].worker_plus_1 = 0;
		}
		n_of[x->worker] += x->kind == LOG_SESSION_BEGIN;
	}
	assert_int_equal(count(LOG_SESSION_END), count(LOG_SESSION_BEGIN));
	assert_int_equal(count(LOG_BLOCK_END), n_begun);
	assert_true(n_begun > 100);
	for (uint32_t b = 0; b < PORT_BLOCKS_PER_MAP; b++)
		assert_int_equal(block[b].worker_plus_1, 0);
	for (uint32_t i = 0; i < N_WORKERS; i++)
		assert_true(n_of[i] > N_FLOWS / 10);
	fixture_stop(r);
}

/* Would catch: a mapping that is told of by the worker that has leased it as well as by the one whose it is; one for
 * each destination. */
static void test_mappings(void **state)
{
	struct fixture *r =
		start("pool public { 203.0.113.16; mapping endpoint-independent; filtering endpoint-independent; "
		      "log mappings; }\n" RULES);

	(void)state;
	send_all(r, SERVER);
	send_all(r, SERVER + 1);
	assert_int_equal(all.n, count(LOG_MAPPING_BEGIN));
	assert_int_equal(all.n, N_FLOWS);
	/* Hosts inside that meet at an outside endpoint: the worker that has the one's mapping leases the other's. */
	uint32_t n_before = fixture_n_connections(r);

	for (uint32_t i = 0; i + 1 < N_FLOWS; i += 10) {
		const struct log_record *a = &all.at[i], *b = &all.at[i + 1];
		struct packet_spec p = { .src = a->orig.src.v4,
					 .dst = POOL_ADDRESS,
					 .sport = a->orig.sport,
					 .dport = b->reply.dport,
					 .proto = IPPROTO_NR_UDP };

		fixture_put(r, FIXTURE_LAN, &p);
		fixture_run(r);
	}
	assert_int_equal(fixture_n_connections(r), n_before + N_FLOWS / 10);
	assert_int_equal(all.n, N_FLOWS);
	fixture_wait(r, 900 * NS_PER_S);
	assert_int_equal(count(LOG_MAPPING_END), N_FLOWS);
	assert_int_equal(all.n, 2 * N_FLOWS);
	fixture_stop(r);
}

/* Would catch: the end of a block that is told with the beginning of another one; blocks of which nobody wants to
 * know. */
static void test_blocks_are_asked_for_later(void **state)
{
	static const char with[] = "pool public { 203.0.113.16; log blocks; }\n" RULES;
	static const char without[] = "pool public { 203.0.113.16; }\n" RULES;
	struct fixture *r = start(without);
	uint32_t n_unknown = 0, n_known = 0;

	(void)state;
	send_all(r, SERVER);
	assert_int_equal(all.n, 0);
	assert_int_equal(fixture_reload(r, with), 0);
	fixture_wait(r, 900 * NS_PER_S);
	for (uint32_t i = 0; i < all.n; i++) {
		assert_int_equal(all.at[i].kind, LOG_BLOCK_END);
		n_unknown += all.at[i].begin_ns == 0;
	}
	assert_true(all.n > 100);
	assert_int_equal(n_unknown, all.n);
	/* Asked for, not, and again: of a block that has begun meanwhile the time is known all the same. */
	all.n = 0;
	assert_int_equal(fixture_reload(r, without), 0);
	send_all(r, SERVER);
	assert_int_equal(all.n, 0);
	uint64_t now = r->now;
	assert_int_equal(fixture_reload(r, with), 0);
	fixture_wait(r, 900 * NS_PER_S);
	for (uint32_t i = 0; i < all.n; i++)
		n_known += all.at[i].begin_ns != 0 && all.at[i].begin_ns <= now;
	assert_true(all.n > 100);
	assert_int_equal(n_known, all.n);
	fixture_stop(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sessions_and_blocks),
		cmocka_unit_test(test_mappings),
		cmocka_unit_test(test_blocks_are_asked_for_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
