/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Streams over our own TCP, two hosts on a wire in virtual time: what is told, when, and how often.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/workers/core_socket.h"
#include "daemon/stream/stream_fixture.h"
#include "daemon/stream/stream_host.h"
#include "stack/socket/socket_fixture.h"

#define PORT 179u
#define SOON_NS (10 * NS_PER_S)

struct side {
	struct host *host;
	struct stream_host *sh;
	struct stream_carrier *c;
	uint32_t n_visits;
	bool fails_keys;
};

struct fixture {
	struct net net;
	struct side a, b;
	struct stream_listener *l;
	struct end connects, accepted;
	bool refuses, aborts;
	uint32_t n_accepts;
};

/* --- the way to a host --- */

static void run_inside(void *ctx, void (*fn)(void *arg), void *arg)
{
	struct side *x = ctx;

	x->n_visits++;
	fn(arg);
	host_flush(x->host);
}

static int64_t call_inside(void *ctx, struct core_socket_call *c)
{
	struct side *x = ctx;

	if (x->fails_keys && c->op == CORE_SOCKET_OPTION && c->arg[1] == YG_TCP_MD5SIG_EXT)
		return -ENOMEM;
	return core_socket_do(x->host->ss, c);
}

static void told(void *ctx)
{
	stream_host_told(((struct side *)ctx)->sh);
}

static void start_side(struct side *x, struct host *h)
{
	struct stream_host_calls calls = { .ctx = x, .run = run_inside, .call = call_inside, .sockets = h->ss };

	x->host = h;
	x->sh = stream_host_create(&calls);
	assert_non_null(x->sh);
	x->c = stream_host_carrier(x->sh);
	sockets_set_told(h->ss, told, x);
}

/* --- the user --- */

static bool on_accept(void *user, struct stream_listener *l, struct stream *s, uint64_t now)
{
	struct fixture *f = user;

	assert_ptr_equal(f->l, l);
	f->n_accepts++;
	if (f->refuses)
		return false;
	stream_tell(s, &events, &f->accepted);
	if (f->aborts)
		s->carrier->abort(s);
	else
		f->accepted.s = s;
	return true;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct stream_listen how = { .local = { 0, PORT }, .accept = on_accept, .user = f };

	assert_non_null(f);
	*state = f;
	net_start(&f->net);
	start_side(&f->a, &f->net.a);
	start_side(&f->b, &f->net.b);
	f->connects.reads = f->accepted.reads = true;
	assert_int_equal(f->b.c->listen(f->b.c, &how, &f->l), 0);
	return 0;
}

static void run_for(struct fixture *f, uint64_t ns)
{
	uint64_t end = f->net.now + ns;

	do {
		stream_host_work(f->a.sh, f->net.now);
		stream_host_work(f->b.sh, f->net.now);
		uint64_t next = min_u64(stream_host_next_deadline(f->a.sh), stream_host_next_deadline(f->b.sh));

		if (next > f->net.now)
			net_run(&f->net, min_u64(min_u64(next, end) - f->net.now, NS_PER_MS));
	} while (f->net.now < end);
	stream_host_work(f->a.sh, f->net.now);
	stream_host_work(f->b.sh, f->net.now);
}

/* A second is more than anything takes that is not a time-out. */
static void settle(struct fixture *f)
{
	run_for(f, NS_PER_S);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->l != NULL)
		f->b.c->unlisten(f->l);
	run_for(f, 5 * NS_PER_S);
	stream_host_destroy(f->a.sh);
	stream_host_destroy(f->b.sh);
	net_run(&f->net, 200 * NS_PER_S);
	net_end(&f->net);
	free(f);
	return 0;
}

static struct stream_connect to_b(struct fixture *f)
{
	return (struct stream_connect){
		.remote = { B_ADDR, PORT }, .deadline = TIME_NEVER, .events = &events, .user = &f->connects
	};
}

static void meet(struct fixture *f)
{
	struct stream_connect how = to_b(f);
	uint32_t n = f->connects.n_open, accepts = f->n_accepts;

	assert_int_equal(f->a.c->connect(f->a.c, &how, &f->connects.s), 0);
	assert_int_equal(f->connects.n_open, n);
	settle(f);
	assert_int_equal(f->connects.n_open, n + 1);
	assert_int_equal(f->n_accepts, accepts + 1);
}

static void leave(struct fixture *f)
{
	f->a.c->abort(f->connects.s);
	f->b.c->abort(f->accepted.s);
}

static size_t say(struct stream *s, const char *text)
{
	return s->carrier->write(s, (const uint8_t *)text, strlen(text));
}

/* Would catch: ends of a connection that are not known; bytes that do not come; readable that comes again though nobody
 * read, or does not though somebody did. */
static void test_bytes(void **state)
{
	struct fixture *f = *state;
	struct end *b = &f->accepted;

	meet(f);
	assert_int_equal(b->n_open, 0);
	assert_int_equal(f->connects.s->local.addr, A_ADDR);
	assert_int_equal(f->connects.s->local.port, b->s->remote.port);
	assert_int_equal(b->s->local.addr, B_ADDR);
	assert_int_equal(b->s->local.port, PORT);
	assert_int_equal(b->s->remote.addr, A_ADDR);
	b->reads = false;
	assert_int_equal(say(f->connects.s, "one"), 3);
	settle(f);
	assert_int_equal(b->n_readable, 1);
	assert_int_equal(say(f->connects.s, "two"), 3);
	settle(f);
	assert_int_equal(b->n_readable, 1);
	read_all(b);
	settle(f);
	assert_int_equal(b->n_readable, 2);
	read_all(b);
	assert_int_equal(b->n_got, 6);
	assert_memory_equal(b->got, "onetwo", 6);
	settle(f);
	assert_int_equal(b->n_readable, 2);
	leave(f);
}

/* Would catch: a reason that is lost because the connection was closed behind it, with something unread; an end that is
 * told before what came with it; a stream that never goes. */
static void test_last_words(void **state)
{
	struct fixture *f = *state;

	meet(f);
	f->accepted.reads = false;
	say(f->connects.s, "unread");
	settle(f);
	f->connects.reads = false;
	say(f->accepted.s, "last");
	f->b.c->close(f->accepted.s);
	settle(f);
	assert_int_equal(f->connects.n_closed, 0);
	read_all(&f->connects);
	settle(f);
	assert_int_equal(f->connects.n_closed, 1);
	assert_int_equal(f->connects.error, 0);
	assert_memory_equal(f->connects.got, "last", 4);
	f->a.c->close(f->connects.s);
	settle(f);
	assert_int_equal(stream_host_next_deadline(f->b.sh), TIME_NEVER);
	assert_int_equal(f->accepted.n_closed, 0);
}

/* Would catch: a reset that looks like an end, or is told twice. */
static void test_abort(void **state)
{
	struct fixture *f = *state;

	meet(f);
	f->b.c->abort(f->accepted.s);
	settle(f);
	assert_int_equal(f->connects.n_closed, 1);
	assert_int_equal(f->connects.error, ECONNRESET);
	assert_int_equal(say(f->connects.s, "x"), 0);
	settle(f);
	assert_int_equal(f->connects.n_closed, 1);
	f->a.c->abort(f->connects.s);
}

/* Would catch: who is not wanted is kept; nobody there is no error; an address that is not ours is taken. */
static void test_refused(void **state)
{
	struct fixture *f = *state;
	struct stream_connect how = to_b(f);

	f->refuses = true;
	assert_int_equal(f->a.c->connect(f->a.c, &how, &f->connects.s), 0);
	settle(f);
	assert_int_equal(f->connects.n_closed, 1);
	assert_int_equal(f->connects.error, ECONNRESET);
	f->a.c->close(f->connects.s);
	f->b.c->unlisten(f->l);
	f->l = NULL;
	assert_int_equal(f->a.c->connect(f->a.c, &how, &f->connects.s), 0);
	settle(f);
	assert_int_equal(f->connects.n_closed, 2);
	assert_int_equal(f->connects.error, ECONNREFUSED);
	f->a.c->close(f->connects.s);
	how.local.addr = IP4(192, 0, 2, 9);
	assert_int_equal(f->a.c->connect(f->a.c, &how, &f->connects.s), -EADDRNOTAVAIL);
}

/* Would catch: bytes said to be taken that are not; no word when there is room again, or two; nothing known of what the
 * peer has not acknowledged; bytes lost or doubled where buffers are full; a visit to the host for each write. */
static void test_full(void **state)
{
	struct fixture *f = *state;
	static uint8_t many[4000];
	uint64_t sent = 0, got = 0;
	uint8_t in[5000];
	size_t n;

	meet(f);
	f->accepted.reads = false;
	for (;;) {
		for (size_t i = 0; i < sizeof(many); i++)
			many[i] = (uint8_t)((sent + i) % 251);
		n = f->connects.s->carrier->write(f->connects.s, many, sizeof(many));
		sent += n;
		if (n == sizeof(many))
			continue;
		uint32_t told_before = f->connects.n_writable;

		settle(f);
		if (f->connects.n_writable == told_before)
			break;
	}
	assert_true(f->a.c->unacked(f->connects.s) > 65536);
	assert_true(sent > 3 * 65536 && f->a.n_visits < sent / sizeof(many));
	assert_true(f->a.c->unacked(f->connects.s) < sent);
	uint32_t told_before = f->connects.n_writable;

	while (f->connects.n_writable == told_before || got < sent) {
		while ((n = f->accepted.s->carrier->read(f->accepted.s, in, sizeof(in))) > 0)
			for (size_t i = 0; i < n; i++, got++)
				assert_int_equal(in[i], got % 251);
		settle(f);
	}
	assert_int_equal(got, sent);
	assert_int_equal(f->connects.n_writable, told_before + 1);
	assert_int_equal(f->a.c->unacked(f->connects.s), 0);
	leave(f);
}

/* Would catch: a key that is not asked for at either side, or that is set at none; a deadline that never comes; who has
 * no key let in where it could not be set. */
static void test_keys(void **state)
{
	struct fixture *f = *state;
	struct ip4_prefix all = { IP4(10, 0, 0, 0), 8 };
	struct stream_key right = { 3, "abc" }, wrong = { 3, "abd" };
	struct stream_connect how = to_b(f);

	assert_int_equal(f->b.c->listen_key(f->l, all, &right), 0);
	for (uint32_t i = 0; i < 2; i++) {
		uint64_t deadline = f->net.now + SOON_NS;

		how.key = i == 0 ? &wrong : NULL;
		how.deadline = deadline;
		assert_int_equal(f->a.c->connect(f->a.c, &how, &f->connects.s), 0);
		run_for(f, SOON_NS + NS_PER_S);
		assert_int_equal(f->connects.n_closed, i + 1);
		assert_int_equal(f->connects.error, ETIMEDOUT);
		assert_in_range(f->connects.closed_at, deadline, deadline + NS_PER_MS);
		f->a.c->abort(f->connects.s);
	}
	assert_int_equal(f->n_accepts, 0);
	how.key = &right;
	how.deadline = TIME_NEVER;
	assert_int_equal(f->a.c->connect(f->a.c, &how, &f->connects.s), 0);
	settle(f);
	assert_int_equal(f->n_accepts, 1);
	say(f->accepted.s, "signed");
	settle(f);
	assert_int_equal(f->connects.n_got, 6);
	leave(f);
	assert_int_equal(f->b.c->listen_key(f->l, all, NULL), 0);
	assert_int_equal(f->b.c->listen_key(f->l, all, NULL), 0);
	meet(f);
	leave(f);
	f->b.fails_keys = f->a.fails_keys = true;
	assert_int_equal(f->b.c->listen_key(f->l, all, &right), -ENOMEM);
	assert_int_equal(f->a.c->connect(f->a.c, &how, &f->connects.s), -EKEYREJECTED);
	how.key = NULL;
	assert_int_equal(f->a.c->connect(f->a.c, &how, &f->connects.s), 0);
	settle(f);
	assert_int_equal(f->n_accepts, 2);
	assert_int_equal(f->connects.error, ECONNRESET);
	f->a.c->abort(f->connects.s);
}

/* Would catch: a TTL that is not sent, or one that is too low and passes. */
static void test_ttl(void **state)
{
	struct fixture *f = *state;
	struct stream_connect how = to_b(f);

	how.ttl = (struct stream_ttl){ .send = 255, .least = 255 };
	assert_int_equal(f->a.c->connect(f->a.c, &how, &f->connects.s), 0);
	settle(f);
	/* The listener's SYN/ACK had 255. */
	assert_int_equal(f->connects.n_open, 1);
	assert_int_equal(f->b.c->set_ttl(f->accepted.s, (struct stream_ttl){ .send = 254, .least = 255 }), 0);
	say(f->connects.s, "x");
	settle(f);
	assert_int_equal(f->accepted.n_got, 1);
	say(f->accepted.s, "y");
	settle(f);
	assert_int_equal(f->connects.n_got, 0);
	assert_int_equal(f->b.c->set_ttl(f->accepted.s, (struct stream_ttl){ .send = 255, .least = 255 }), 0);
	settle(f);
	assert_int_equal(f->connects.n_got, 1);
	leave(f);
}

static void abort_when_told(void *user, struct stream *s, uint64_t now)
{
	((struct end *)user)->n_readable++;
	s->carrier->abort(s);
}

/* Would catch: what a user ends from within an event, used behind it (the sanitizer would say so), or told again. */
static void test_ended_from_within(void **state)
{
	struct fixture *f = *state;
	static const struct stream_events aborts = { on_open, abort_when_told, on_writable, on_closed };
	struct stream_connect how = to_b(f);

	meet(f);
	stream_tell(f->connects.s, &aborts, &f->connects);
	say(f->accepted.s, "x");
	settle(f);
	assert_int_equal(f->connects.n_readable, 1);
	assert_int_equal(f->connects.n_closed, 0);
	assert_int_equal(f->accepted.n_closed, 1);
	f->b.c->abort(f->accepted.s);
	f->aborts = true;
	assert_int_equal(f->a.c->connect(f->a.c, &how, &f->connects.s), 0);
	settle(f);
	assert_int_equal(f->connects.n_closed, 1);
	assert_int_equal(f->connects.error, ECONNRESET);
	f->a.c->abort(f->connects.s);
	/* A connection that has come in and was not told, when its listener ends. */
	f->aborts = false;
	assert_int_equal(f->a.c->connect(f->a.c, &how, &f->connects.s), 0);
	settle(f);
	f->a.c->abort(f->connects.s);
	f->b.c->abort(f->accepted.s);
}

/* Would catch: a peer that never ends its side keeps what was closed for ever. */
static void test_leaves_in_time(void **state)
{
	struct fixture *f = *state;

	meet(f);
	f->connects.reads = false;
	f->b.c->close(f->accepted.s);
	run_for(f, 2 * NS_PER_S);
	assert_int_not_equal(stream_host_next_deadline(f->b.sh), TIME_NEVER);
	run_for(f, 2 * NS_PER_S);
	assert_int_equal(stream_host_next_deadline(f->b.sh), TIME_NEVER);
	f->a.c->abort(f->connects.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_abort, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ttl, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ended_from_within, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leaves_in_time, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
