/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Streams over the kernel's TCP, both ends here, on 127.0.0.1: what is told, when, and how often. Waits for events of
 * the loop, never for time; a test in which nothing comes ends by its timeout.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/stream/stream_fixture.h"
#include "daemon/stream/stream_kernel_priv.h"

#define LOOPBACK 0x7f000001u
#define SOON_NS (300 * NS_PER_MS)

struct fixture {
	struct event_base *base;
	struct stream_kernel *k;
	struct stream_carrier *c;
	struct stream_listener *l;
	uint16_t port;
	struct end a, b; /* connects, is accepted */
	bool refuses;
	uint32_t n_accepts, n_told;
};

static uint64_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static bool on_accept(void *user, struct stream_listener *l, struct stream *s, uint64_t now)
{
	struct fixture *f = user;

	(void)now;
	assert_ptr_equal(f->l, l);
	f->n_accepts++;
	if (f->refuses)
		return false;
	f->b.s = s;
	stream_tell(s, &events, &f->b);
	return true;
}

static void told(void *user)
{
	((struct fixture *)user)->n_told++;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct stream_listen how = { .local = { LOOPBACK, 0 }, .accept = on_accept, .user = f };
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	*state = f;
	f->a.reads = f->b.reads = true;
	f->base = event_base_new();
	f->k = stream_kernel_create(f->base,
				    &(struct stream_kernel_user){ .clock = clock_now, .told = told, .user = f });
	f->c = stream_kernel_carrier(f->k);
	if (f->c->listen(f->c, &how, &f->l) != 0)
		return -1;
	if (getsockname(container_of(f->l, struct kernel_listener, l)->fd, (struct sockaddr *)&a, &len) != 0)
		return -1;
	f->port = ntohs(a.sin_port);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	stream_kernel_destroy(f->k);
	event_base_free(f->base);
	free(f);
	return 0;
}

/* Goes on until *n is `want`. */
static void until(struct fixture *f, const uint32_t *n, uint32_t want)
{
	while (*n < want)
		assert_int_equal(event_base_loop(f->base, EVLOOP_ONCE), 0);
	assert_int_equal(*n, want);
}

static struct stream_connect to(struct fixture *f)
{
	return (struct stream_connect){
		.remote = { LOOPBACK, f->port }, .deadline = TIME_NEVER, .events = &events, .user = &f->a
	};
}

static void meet(struct fixture *f)
{
	struct stream_connect how = to(f);

	assert_int_equal(f->c->connect(f->c, &how, &f->a.s), 0);
	until(f, &f->a.n_open, 1);
	until(f, &f->n_accepts, 1);
}

static void leave(struct fixture *f)
{
	f->a.s->carrier->abort(f->a.s);
	f->c->abort(f->b.s);
}

/* Would catch: ends of a connection that are not known; bytes that do not come; readable that comes again though nobody
 * read, or does not though somebody did. */
static void test_bytes(void **state)
{
	struct fixture *f = *state;

	meet(f);
	assert_int_equal(f->b.n_open, 0);
	assert_int_equal(f->n_told, 2); /* opened, accepted */
	assert_int_equal(f->a.s->local.port, f->b.s->remote.port);
	assert_int_equal(f->b.s->local.port, f->port);
	assert_int_equal(f->b.s->remote.addr, LOOPBACK);
	f->b.reads = false;
	assert_int_equal(f->c->write(f->a.s, (const uint8_t *)"one", 3), 3);
	until(f, &f->b.n_readable, 1);
	assert_int_equal(f->c->write(f->a.s, (const uint8_t *)"two", 3), 3);
	event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_int_equal(f->b.n_readable, 1);
	f->b.reads = true;
	read_all(&f->b);
	while (f->b.n_got < 6)
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_memory_equal(f->b.got, "onetwo", 6);
	uint32_t n = f->b.n_readable;

	f->c->write(f->a.s, (const uint8_t *)"!", 1);
	until(f, &f->b.n_readable, n + 1);
	assert_int_equal(f->b.n_got, 7);
	leave(f);
}

/* Would catch: a reason that is lost because the connection was closed behind it; an end that is told before what came
 * with it. */
static void test_last_words(void **state)
{
	struct fixture *f = *state;

	meet(f);
	/* b has not read this when it closes. */
	f->b.reads = false;
	f->c->write(f->a.s, (const uint8_t *)"unread", 6);
	until(f, &f->b.n_readable, 1);
	assert_int_equal(f->c->write(f->b.s, (const uint8_t *)"last", 4), 4);
	f->c->close(f->b.s);
	until(f, &f->a.n_closed, 1);
	assert_int_equal(f->a.error, 0);
	assert_int_equal(f->a.n_got, 4);
	assert_memory_equal(f->a.got, "last", 4);
	f->c->close(f->a.s);
	assert_int_equal(f->b.n_closed, 0);
	/* What was b waits for this, and no longer. */
	while (f->k->streams != NULL)
		event_base_loop(f->base, EVLOOP_ONCE);
}

/* Would catch: a reset that looks like an end, or is told twice. */
static void test_abort(void **state)
{
	struct fixture *f = *state;

	meet(f);
	f->c->abort(f->b.s);
	until(f, &f->a.n_closed, 1);
	assert_int_equal(f->a.error, ECONNRESET);
	assert_int_equal(f->c->write(f->a.s, (const uint8_t *)"x", 1), 0);
	event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_int_equal(f->a.n_closed, 1);
	f->c->abort(f->a.s);
}

/* Would catch: who is not wanted is kept; nobody there is no error; an error at once that leaves a stream. */
static void test_refused(void **state)
{
	struct fixture *f = *state;
	struct stream_connect how = to(f);

	f->refuses = true;
	assert_int_equal(f->c->connect(f->c, &how, &f->a.s), 0);
	until(f, &f->a.n_closed, 1);
	assert_int_equal(f->a.error, ECONNRESET);
	f->c->close(f->a.s);
	f->c->unlisten(f->l);
	assert_int_equal(f->c->connect(f->c, &how, &f->a.s), 0);
	until(f, &f->a.n_closed, 2);
	assert_int_equal(f->a.error, ECONNREFUSED);
	f->c->close(f->a.s);
	how.local.addr = 0xcb007101; /* not ours */
	assert_int_equal(f->c->connect(f->c, &how, &f->a.s), -EADDRNOTAVAIL);
	assert_null(f->k->streams);
}

/* Would catch: bytes said to be taken that are not; no word when there is room again; nothing known of what the peer
 * has not acknowledged. */
static void test_full(void **state)
{
	struct fixture *f = *state;
	static uint8_t many[1 << 20];
	size_t taken;

	meet(f);
	f->b.reads = false;
	do {
		taken = f->c->write(f->a.s, many, sizeof(many));
		event_base_loop(f->base, EVLOOP_NONBLOCK);
	} while (taken > 0);
	assert_true(f->c->unacked(f->a.s) > 0);
	assert_int_equal(f->a.n_writable, 0);
	while (f->a.n_writable == 0) {
		f->b.n_got = 0;
		read_all(&f->b);
		event_base_loop(f->base, EVLOOP_NONBLOCK);
	}
	assert_int_equal(f->a.n_writable, 1);
	leave(f);
}

/* Would catch: a key that is not asked for at either side, or that is set at none; a deadline that never comes. */
static void test_keys(void **state)
{
	struct fixture *f = *state;
	struct ip4_prefix all = { 0x7f000000, 8 };
	struct stream_key right = { 3, "abc" }, wrong = { 3, "abd" }, none = { 0 };
	struct stream_connect how = to(f);
	int rc = f->c->listen_key(f->l, all, &right);
	/* Who connects is another, whose keys are its own. */
	struct stream_kernel *k = stream_kernel_create(f->base, &(struct stream_kernel_user){ .clock = clock_now });
	struct stream_carrier *other = stream_kernel_carrier(k);

	if (rc == -ENOPROTOOPT || rc == -EPERM) {
		/* Then nobody may come in without one. */
		assert_int_equal(other->connect(other, &how, &f->a.s), 0);
		until(f, &f->a.n_closed, 1);
		assert_int_equal(f->n_accepts, 0);
		other->abort(f->a.s);
		stream_kernel_destroy(k);
		skip();
	}
	assert_int_equal(rc, 0);
	for (uint32_t i = 0; i < 2; i++) {
		how.key = i == 0 ? &wrong : NULL;
		how.deadline = clock_now() + SOON_NS;
		assert_int_equal(other->connect(other, &how, &f->a.s), 0);
		until(f, &f->a.n_closed, i + 1);
		assert_int_equal(f->a.error, ETIMEDOUT);
		other->abort(f->a.s);
	}
	assert_int_equal(f->n_accepts, 0);
	/* By what the raw socket saw: two SYNs that the kernel took for nobody's. */
	struct stream_digests digests = f->c->digests(f->c, LOOPBACK);

	if (geteuid() == 0)
		assert_true(digests.is_known);
	if (digests.is_known)
		assert_true(digests.n_wrong >= 2);
	how.key = &right;
	how.deadline = TIME_NEVER;
	assert_int_equal(other->connect(other, &how, &f->a.s), 0);
	until(f, &f->a.n_open, 1);
	until(f, &f->n_accepts, 1);
	assert_int_equal(f->c->digests(f->c, LOOPBACK).n_wrong, digests.n_wrong);
	leave(f);
	assert_int_equal(f->c->listen_key(f->l, all, &none), 0);
	assert_int_equal(f->c->listen_key(f->l, all, &none), 0);
	how.key = NULL;
	assert_int_equal(other->connect(other, &how, &f->a.s), 0);
	until(f, &f->a.n_open, 2);
	until(f, &f->n_accepts, 2);
	assert_int_equal(f->c->digests(f->c, LOOPBACK).n_wrong, digests.n_wrong);
	leave(f);
	how.key = &(struct stream_key){ .len = 81 };
	assert_true(other->connect(other, &how, &f->a.s) < 0);
	stream_kernel_destroy(k);
	assert_null(f->k->streams);
}

/* Would catch: a TTL that is not sent, or one that is too low and passes. */
static void test_ttl(void **state)
{
	struct fixture *f = *state;
	struct stream_connect how = to(f);

	how.ttl = (struct stream_ttl){ .send = 255, .least = 255 };
	assert_int_equal(f->c->connect(f->c, &how, &f->a.s), 0);
	until(f, &f->a.n_open, 1);
	until(f, &f->n_accepts, 1);
	assert_int_equal(f->c->set_ttl(f->b.s, (struct stream_ttl){ .send = 254, .least = 255 }), 0);
	f->c->write(f->a.s, (const uint8_t *)"x", 1);
	until(f, &f->b.n_readable, 1);
	/* a drops what comes with 254. */
	f->c->write(f->b.s, (const uint8_t *)"y", 1);
	f->c->write(f->a.s, (const uint8_t *)"x", 1);
	until(f, &f->b.n_readable, 2);
	event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_int_equal(f->a.n_readable, 0);
	leave(f);
}

static bool close_at_once(void *user, struct stream_listener *l, struct stream *s, uint64_t now)
{
	(void)l;
	(void)now;
	((struct fixture *)user)->n_accepts++;
	s->carrier->abort(s);
	return true;
}

static void close_when_told(void *user, struct stream *s, uint64_t now)
{
	(void)now;
	((struct end *)user)->n_readable++;
	s->carrier->abort(s);
}

/* Would catch: what a user ends from within an event, used behind it (the sanitizer would say so). */
static void test_ended_from_within(void **state)
{
	struct fixture *f = *state;
	static const struct stream_events ends = { on_open, close_when_told, on_writable, on_closed };
	struct stream_connect how = to(f);

	meet(f);
	stream_tell(f->a.s, &ends, &f->a);
	f->c->write(f->b.s, (const uint8_t *)"x", 1);
	until(f, &f->a.n_readable, 1);
	until(f, &f->b.n_closed, 1);
	f->c->abort(f->b.s);
	container_of(f->l, struct kernel_listener, l)->accept = close_at_once;
	assert_int_equal(f->c->connect(f->c, &how, &f->a.s), 0);
	until(f, &f->a.n_closed, 1);
	assert_int_equal(f->a.error, ECONNRESET);
	f->c->abort(f->a.s);
	assert_null(f->k->streams);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
