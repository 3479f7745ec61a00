/* SPDX-License-Identifier: BSD-2-Clause */
#include "routing/stream/stream_memory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

#define A IP4(10, 0, 0, 1)
#define B IP4(10, 0, 0, 2)

/* One end's user: what it has been told. */
struct user {
	struct stream *s;
	uint32_t n_open, n_readable, n_writable, n_closed;
	int error;
};

static struct stream_memory *net;
static struct user a, b;
static bool is_welcome;

static void on_open(void *user, struct stream *s, uint64_t now)
{
	((struct user *)user)->n_open++;
}

static void on_readable(void *user, struct stream *s, uint64_t now)
{
	((struct user *)user)->n_readable++;
}

static void on_writable(void *user, struct stream *s, uint64_t now)
{
	((struct user *)user)->n_writable++;
}

static void on_closed(void *user, struct stream *s, int error, uint64_t now)
{
	((struct user *)user)->n_closed++;
	((struct user *)user)->error = error;
}

static const struct stream_events events = { on_open, on_readable, on_writable, on_closed };

static bool on_accept(void *user, struct stream_listener *l, struct stream *s, uint64_t now)
{
	if (!is_welcome)
		return false;
	b.s = s;
	stream_tell(s, &events, &b);
	return true;
}

static uint64_t run(uint64_t until)
{
	uint64_t now = 0;

	for (uint64_t at; (at = stream_memory_next(net)) <= until; now = at)
		stream_memory_advance(net, at);
	return now;
}

static struct stream_listener *start(const struct stream_memory_config *c)
{
	struct stream_listener *l;
	struct stream_carrier *at;

	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	is_welcome = true;
	net = stream_memory_create(c);
	at = stream_memory_host(net, B);
	assert_int_equal(at->listen(at, &(struct stream_listen){ .local = { .port = 179 }, .accept = on_accept }, &l),
			 0);
	return l;
}

static void connect_to(uint16_t port, struct stream_ttl ttl, const struct stream_key *key)
{
	struct stream_carrier *from = stream_memory_host(net, A);
	const struct stream_connect how = {
		.remote = { B, port }, .ttl = ttl, .key = key, .deadline = 20 * NS_PER_S, .events = &events, .user = &a
	};

	assert_int_equal(from->connect(from, &how, &a.s), 0);
}

/* Would catch: an event before its time or twice, bytes lost or out of order, a write that takes more than there is
 * room for, an end that is told before all has been read. */
static void test_bytes(void **state)
{
	static uint8_t out[100], in[100];

	start(&(struct stream_memory_config){ .delay_ns = NS_PER_MS, .buffer = 30 });
	connect_to(179, (struct stream_ttl){ 0 }, NULL);
	assert_int_equal(run(10 * NS_PER_MS), 2 * NS_PER_MS);
	assert_true(a.n_open == 1 && b.n_open == 0 && b.s->remote.port == a.s->local.port);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)i;
	size_t n_out = 0, n_in = 0;
	while (n_in < sizeof(out)) {
		n_out += a.s->carrier->write(a.s, out + n_out, sizeof(out) - n_out);
		assert_true(n_out <= n_in + 60);
		run(30 * NS_PER_S);
		for (size_t n; (n = b.s->carrier->read(b.s, in + n_in, 7)) > 0;)
			n_in += n;
		run(30 * NS_PER_S);
	}
	assert_memory_equal(in, out, sizeof(out));
	assert_true(a.n_writable > 0 && b.n_readable > 0 && a.s->carrier->unacked(a.s) == 0);
	(void)a.s->carrier->write(a.s, out, 10);
	a.s->carrier->close(a.s);
	run(30 * NS_PER_S);
	assert_int_equal(b.n_closed, 0);
	assert_int_equal(b.s->carrier->read(b.s, in, 100), 10);
	assert_int_equal(b.s->carrier->read(b.s, in, 100), 0);
	run(30 * NS_PER_S);
	assert_true(b.n_closed == 1 && b.error == 0 && a.n_closed == 0);
	b.s->carrier->close(b.s);
	run(TIME_NEVER - 1);
	assert_int_equal(stream_memory_n_open(net), 0);
	stream_memory_destroy(net);
}

/* Would catch: bytes that count as acknowledged while nobody reads. */
static void test_nobody_reads(void **state)
{
	static const uint8_t out[100];

	start(&(struct stream_memory_config){ .delay_ns = NS_PER_MS, .buffer = 30 });
	connect_to(179, (struct stream_ttl){ 0 }, NULL);
	run(NS_PER_S);
	assert_int_equal(a.s->carrier->write(a.s, out, 100), 30);
	run(2 * NS_PER_S);
	assert_true(a.n_writable == 1 && a.s->carrier->unacked(a.s) == 0);
	assert_int_equal(a.s->carrier->write(a.s, out, 100), 30);
	run(100 * NS_PER_S);
	assert_true(a.n_writable == 1 && a.s->carrier->unacked(a.s) == 30 && b.n_readable == 1);
	stream_memory_destroy(net);
}

struct refusal {
	uint16_t port;
	bool is_welcome, is_cut;
	struct stream_ttl ttl;
	uint8_t key, wants;
	uint32_t n_open;
	int error;
};

/* Would catch: a connection that comes to be where it must not: nobody there, not wanted, no way, TTL, key. */
static void test_refused(void **state)
{
	static const struct refusal rows[] = {
		{ 179, true, false, { 0 }, 0, 0, 1, 0 },
		{ 180, true, false, { 0 }, 0, 0, 0, ECONNREFUSED },
		{ 179, false, false, { 0 }, 0, 0, 1, ECONNRESET },
		{ 179, true, true, { 0 }, 0, 0, 0, ETIMEDOUT },
		{ 179, true, false, { .send = 2 }, 0, 0, 0, ETIMEDOUT },
		{ 179, true, false, { .send = 3 }, 0, 0, 1, 0 },
		{ 179, true, false, { .least = 254 }, 0, 0, 0, ETIMEDOUT },
		{ 179, true, false, { .least = 253 }, 0, 0, 1, 0 },
		{ 179, true, false, { 0 }, 1, 1, 1, 0 },
		{ 179, true, false, { 0 }, 1, 2, 0, ETIMEDOUT },
		{ 179, true, false, { 0 }, 0, 1, 0, ETIMEDOUT },
		{ 179, true, false, { 0 }, 1, 0, 0, ETIMEDOUT },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct refusal *r = &rows[i];
		struct stream_listener *l =
			start(&(struct stream_memory_config){ .delay_ns = NS_PER_MS, .n_routers = 2 });
		struct stream_key key = { .len = r->key, .bytes = "x" }, wants = { .len = r->wants, .bytes = "x" };

		is_welcome = r->is_welcome;
		if (r->is_cut)
			stream_memory_link(net, A, B, false);
		assert_int_equal(l->carrier->listen_key(l, (struct ip4_prefix){ A, 32 }, &wants), 0);
		connect_to(r->port, r->ttl, &key);
		run(100 * NS_PER_S);
		assert_int_equal(a.n_open, r->n_open);
		assert_int_equal(a.error, r->error);
		assert_int_equal(l->carrier->digests(l->carrier, A).n_wrong > 0, r->key != r->wants);
		stream_memory_destroy(net);
	}
}

/* Would catch: bytes behind the cut that arrive, an end that does not hear of it; one that does of a silent one. */
static void test_cut(void **state)
{
	static uint8_t in[100];
	static const uint8_t out[100] = { 1, 2, 3, 4, 5 };

	for (int how = STREAM_MEMORY_RESET; how <= STREAM_MEMORY_SILENT; how++) {
		start(&(struct stream_memory_config){ .delay_ns = NS_PER_MS });
		connect_to(179, (struct stream_ttl){ 0 }, NULL);
		run(NS_PER_S);
		stream_memory_cut(net, 3, (enum stream_memory_cut)how);
		assert_int_equal(a.s->carrier->write(a.s, out, 2), 2);
		run(2 * NS_PER_S);
		assert_int_equal(a.s->carrier->write(a.s, out + 2, 2), 2);
		assert_int_equal(a.s->carrier->write(a.s, out + 4, 2), 2);
		run(100 * NS_PER_S);
		assert_int_equal(b.s->carrier->read(b.s, in, 100), how == STREAM_MEMORY_RESET ? 3 : 2);
		assert_memory_equal(in, out, how == STREAM_MEMORY_RESET ? 3 : 2);
		assert_true(a.n_closed == b.n_closed && a.n_closed == (how == STREAM_MEMORY_RESET));
		assert_int_equal(a.error, how == STREAM_MEMORY_RESET ? ECONNRESET : 0);
		stream_memory_destroy(net);
	}
}

/* Would catch: a host that answers for what it has forgotten, or does not. */
static void test_crash(void **state)
{
	static const uint8_t out[1];

	start(&(struct stream_memory_config){ .delay_ns = NS_PER_MS });
	connect_to(179, (struct stream_ttl){ 0 }, NULL);
	run(NS_PER_S);
	stream_memory_crash(net, B);
	run(10 * NS_PER_S);
	assert_true(a.n_closed == 0 && b.n_closed == 0);
	assert_int_equal(a.s->carrier->write(a.s, out, 1), 1);
	run(20 * NS_PER_S);
	assert_true(a.n_closed == 1 && a.error == ECONNRESET && b.n_closed == 0);
	stream_memory_destroy(net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes), cmocka_unit_test(test_nobody_reads), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_cut),   cmocka_unit_test(test_crash),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
