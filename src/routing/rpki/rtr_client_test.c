/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A client and a cache that says what the test writes down, on virtual time.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/be.h"
#include "base/util.h"
#include "routing/rpki/rtr_client.h"
#include "routing/stream/stream_memory.h"
#include "stack/wire/rtr.h"

#define ROUTER IP4(192, 0, 2, 1)
#define CACHE IP4(192, 0, 2, 2)
#define SESSION 7u

static const struct siphash_key key = { .k0 = 1 };

struct world {
	uint64_t now;
	struct stream_memory *net;
	struct stream *s; /* the cache's end */
	uint8_t version;
	uint32_t n_connections;
	bool closes_at_once;
	uint8_t heard[4096]; /* from the router, of this connection */
	size_t n_heard;
	struct roa_table *roas;
	struct rtr_client *c;
	uint32_t n_events[3];
	struct rtr_view v;
};

/* --- the cache --- */

static void on_readable(void *user, struct stream *s, uint64_t now)
{
	struct world *w = user;
	size_t n;

	while ((n = s->carrier->read(s, w->heard + w->n_heard, sizeof(w->heard) - w->n_heard)) > 0)
		w->n_heard += n;
}

static void nothing(void *user, struct stream *s, uint64_t now)
{
}

static void on_closed(void *user, struct stream *s, int error, uint64_t now)
{
	struct world *w = user;

	s->carrier->close(s);
	if (w->s == s)
		w->s = NULL;
}

static const struct stream_events events = { nothing, on_readable, nothing, on_closed };

static bool on_accept(void *user, struct stream_listener *l, struct stream *s, uint64_t now)
{
	struct world *w = user;

	w->n_connections++;
	stream_tell(s, &events, w);
	w->n_heard = 0;
	w->s = s;
	return true;
}

static void say_bytes(struct world *w, const void *p, size_t len)
{
	assert_non_null(w->s);
	assert_int_equal(w->s->carrier->write(w->s, p, len), len);
}

/* A message whose body is so many numbers of 32 bits. */
static void say(struct world *w, enum rtr_type type, uint16_t session, uint32_t n, ...)
{
	uint8_t p[64] = { w->version, (uint8_t)type };
	be16 s = be16_of(session);
	be32 len = be32_of(8 + 4 * n);
	va_list ap;

	memcpy(p + 2, &s, 2);
	memcpy(p + 4, &len, 4);
	va_start(ap, n);
	for (uint32_t i = 0; i < n; i++) {
		be32 v = be32_of(va_arg(ap, uint32_t));

		memcpy(p + 8 + 4 * (size_t)i, &v, 4);
	}
	va_end(ap);
	say_bytes(w, p, 8 + 4 * (size_t)n);
}

static void say_prefix(struct world *w, bool announced, uint32_t addr, uint8_t len, uint8_t max_len, uint32_t as)
{
	say(w, RTR_IPV4_PREFIX, 0, 3, (uint32_t)announced << 24 | (uint32_t)len << 16 | (uint32_t)max_len << 8, addr,
	    as);
}

static void say_end(struct world *w, uint32_t serial)
{
	if (w->version == 0)
		say(w, RTR_END_OF_DATA, SESSION, 1, serial);
	else
		say(w, RTR_END_OF_DATA, SESSION, 4, serial, 100u, 30u, 1000u);
}

/* --- the world --- */

static void on_event(void *user, enum rtr_event event, const struct rtr_view *v)
{
	((struct world *)user)->n_events[event]++;
}

static void run_for(struct world *w, uint64_t ns)
{
	uint64_t end = w->now + ns;

	for (;;) {
		uint64_t next = min_u64(stream_memory_next(w->net), rtr_client_next_deadline(w->c));

		w->now = max_u64(w->now, min_u64(next, end));
		stream_memory_advance(w->net, w->now);
		while (rtr_client_work(w->c, w->now))
			;
		if (next > end)
			break;
	}
	rtr_client_look(w->c, &w->v);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct stream_memory_config net = { .delay_ns = NS_PER_MS };
	struct rtr_client_config c = { .remote = { .addr = CACHE }, .event = on_event, .user = w, .cache = 1 };
	struct stream_listen how = { .local = { .port = RTR_PORT }, .accept = on_accept, .user = w };
	struct stream_listener *l;

	*state = w;
	w->version = 1;
	w->now = NS_PER_S;
	w->net = stream_memory_create(&net);
	stream_memory_advance(w->net, w->now);
	c.roas = w->roas = roa_table_create(1000, &key);
	c.carrier = stream_memory_host(w->net, ROUTER);
	w->c = rtr_client_create(&c);
	return stream_memory_host(w->net, CACHE)->listen(stream_memory_host(w->net, CACHE), &how, &l);
}

static int teardown(void **state)
{
	struct world *w = *state;

	rtr_client_destroy(w->c);
	stream_memory_destroy(w->net);
	roa_table_destroy(w->roas);
	free(w);
	return 0;
}

/* The query that came: its version, type, session and serial; what was heard is forgotten. */
static void expect_query(struct world *w, uint8_t version, enum rtr_type type, uint16_t session, uint32_t serial)
{
	uint8_t want[12];
	size_t len = type == RTR_RESET_QUERY ? rtr_emit_reset_query(want, version)
					     : rtr_emit_serial_query(want, version, session, serial);

	assert_int_equal(w->n_heard, len);
	assert_memory_equal(w->heard, want, len);
	w->n_heard = 0;
}

/* An Error Report with this code is the last that was heard, and the connection is closed. */
static void expect_report(struct world *w, enum rtr_error code)
{
	run_for(w, NS_PER_S);
	assert_true(w->n_heard >= 16);
	assert_int_equal(w->heard[1], RTR_ERROR_REPORT);
	assert_int_equal(w->heard[3], code);
	assert_null(w->s);
	assert_int_equal(w->v.state, RTR_WAITING);
	assert_int_equal(w->n_events[RTR_EVENT_DOWN], 1);
}

static enum roa_state check(struct world *w, uint32_t addr, uint8_t len, uint32_t as)
{
	return roa_check(w->roas, (struct ip4_prefix){ addr, len }, as);
}

/* Up, with 10.0.0.0/16 of AS 64500 and 10.1.0.0/16 of AS 64501, serial 5. */
static void be_ready(struct world *w)
{
	run_for(w, NS_PER_S);
	expect_query(w, w->version, RTR_RESET_QUERY, 0, 0);
	say(w, RTR_CACHE_RESPONSE, SESSION, 0);
	say_prefix(w, true, IP4(10, 0, 0, 0), 16, 16, 64500);
	say_prefix(w, true, IP4(10, 1, 0, 0), 16, 24, 64501);
	run_for(w, NS_PER_S);
	/* Not before its end. */
	assert_int_equal(roa_count(w->roas), 0);
	say_end(w, 5);
	run_for(w, NS_PER_S);
	assert_int_equal(w->v.state, RTR_READY);
	assert_int_equal(w->v.n_payloads, 2);
	assert_int_equal(w->n_events[RTR_EVENT_UPDATED], 1);
}

/* Would catch: an answer that counts before it ends; a change that is not asked for when the cache says that there is
 * one, or in time; changes that are not applied. */
static void test_whole_and_changes(void **state)
{
	struct world *w = *state;

	be_ready(w);
	assert_int_equal(check(w, IP4(10, 0, 0, 0), 16, 64500), ROA_VALID);
	/* The same serial is no news. */
	say(w, RTR_SERIAL_NOTIFY, SESSION, 1, 5u);
	run_for(w, NS_PER_S);
	assert_int_equal(w->n_heard, 0);
	say(w, RTR_SERIAL_NOTIFY, SESSION, 1, 6u);
	run_for(w, NS_PER_S);
	expect_query(w, 1, RTR_SERIAL_QUERY, SESSION, 5);
	say(w, RTR_CACHE_RESPONSE, SESSION, 0);
	say_prefix(w, false, IP4(10, 0, 0, 0), 16, 16, 64500);
	say_prefix(w, true, IP4(10, 0, 0, 0), 16, 16, 64502);
	run_for(w, NS_PER_S);
	assert_int_equal(check(w, IP4(10, 0, 0, 0), 16, 64500), ROA_VALID);
	say_end(w, 6);
	run_for(w, NS_PER_S);
	assert_int_equal(check(w, IP4(10, 0, 0, 0), 16, 64500), ROA_INVALID);
	assert_int_equal(check(w, IP4(10, 0, 0, 0), 16, 64502), ROA_VALID);
	assert_int_equal(w->v.serial, 6);
	/* The cache's own interval: 100 s. */
	run_for(w, 98 * NS_PER_S);
	assert_int_equal(w->n_heard, 0);
	run_for(w, 3 * NS_PER_S);
	expect_query(w, 1, RTR_SERIAL_QUERY, SESSION, 6);
	/* It does not know what changed: all of it, and what is not in it is gone. */
	say(w, RTR_CACHE_RESET, 0, 0);
	run_for(w, NS_PER_S);
	expect_query(w, 1, RTR_RESET_QUERY, 0, 0);
	say(w, RTR_CACHE_RESPONSE, SESSION, 0);
	say_prefix(w, true, IP4(10, 1, 0, 0), 16, 24, 64501);
	say_end(w, 9);
	run_for(w, NS_PER_S);
	assert_int_equal(w->v.n_payloads, 1);
	assert_int_equal(check(w, IP4(10, 0, 0, 0), 16, 64502), ROA_UNKNOWN);
}

/* Would catch: what is lost in the middle of an answer changes something; a connection that is not made again, or too
 * soon; another session whose serial is taken for ours. */
static void test_lost_in_the_middle(void **state)
{
	struct world *w = *state;

	be_ready(w);
	rtr_client_refresh(w->c, true);
	run_for(w, NS_PER_S);
	expect_query(w, 1, RTR_RESET_QUERY, 0, 0);
	say(w, RTR_CACHE_RESPONSE, SESSION, 0);
	say_prefix(w, true, IP4(10, 2, 0, 0), 16, 16, 64503);
	run_for(w, NS_PER_S);
	w->s->carrier->abort(w->s);
	w->s = NULL;
	run_for(w, NS_PER_S);
	assert_int_equal(w->v.state, RTR_WAITING);
	assert_non_null(strstr(w->v.last, "connection lost"));
	assert_int_equal(check(w, IP4(10, 0, 0, 0), 16, 64500), ROA_VALID);
	assert_int_equal(check(w, IP4(10, 2, 0, 0), 16, 64503), ROA_UNKNOWN);
	/* The cache's own interval: 30 s. */
	run_for(w, 27 * NS_PER_S);
	assert_int_equal(w->n_connections, 1);
	run_for(w, 3 * NS_PER_S);
	assert_int_equal(w->n_connections, 2);
	expect_query(w, 1, RTR_RESET_QUERY, 0, 0);
	/* It can be announced, though it was staged once. */
	say(w, RTR_CACHE_RESPONSE, SESSION + 1, 0);
	say_prefix(w, true, IP4(10, 2, 0, 0), 16, 16, 64503);
	say(w, RTR_END_OF_DATA, SESSION + 1, 4, 1u, 100u, 30u, 1000u);
	run_for(w, NS_PER_S);
	assert_int_equal(check(w, IP4(10, 2, 0, 0), 16, 64503), ROA_VALID);
	assert_int_equal(w->v.n_payloads, 1);
	assert_int_equal(w->v.session, SESSION + 1);
	assert_int_equal(w->n_events[RTR_EVENT_DOWN], 1);
}

/* Would catch: data that outlives its time, or does not live that long; a serial query for data that is gone. */
static void test_expires(void **state)
{
	struct world *w = *state;

	be_ready(w);
	stream_memory_link(w->net, ROUTER, CACHE, false);
	run_for(w, 990 * NS_PER_S);
	assert_int_equal(w->v.n_payloads, 2);
	run_for(w, 20 * NS_PER_S);
	assert_int_equal(w->v.n_payloads, 0);
	assert_int_equal(w->n_events[RTR_EVENT_EXPIRED], 1);
	stream_memory_link(w->net, ROUTER, CACHE, true);
	run_for(w, 120 * NS_PER_S);
	expect_query(w, 1, RTR_RESET_QUERY, 0, 0);
}

/* Would catch: a cache of version 0 that is never understood: one that answers in it, says that it knows no other, or
 * just hangs up; a version that changes in the middle. */
static void test_versions(void **state)
{
	struct world *w = *state;

	run_for(w, NS_PER_S);
	expect_query(w, 1, RTR_RESET_QUERY, 0, 0);
	w->version = 0;
	/* Says nothing of the version. */
	say(w, RTR_SERIAL_NOTIFY, SESSION, 1, 1u);
	say(w, RTR_ERROR_REPORT, RTR_UNSUPPORTED_VERSION, 2, 0u, 0u);
	run_for(w, NS_PER_S);
	assert_int_equal(w->n_connections, 2);
	be_ready(w);
	assert_int_equal(w->v.version, 0);
	assert_int_equal(w->v.expire_s, RTR_EXPIRE_S);
	w->version = 1;
	say(w, RTR_SERIAL_NOTIFY, SESSION, 1, 6u);
	run_for(w, NS_PER_S);
	assert_int_equal(w->heard[3], RTR_UNEXPECTED_VERSION);
}

static void test_answers_in_0(void **state)
{
	struct world *w = *state;

	run_for(w, NS_PER_S);
	w->version = 0;
	say(w, RTR_CACHE_RESPONSE, SESSION, 0);
	say_end(w, 1);
	run_for(w, NS_PER_S);
	assert_int_equal(w->v.state, RTR_READY);
	assert_int_equal(w->v.version, 0);
}

static void test_hangs_up(void **state)
{
	struct world *w = *state;

	for (uint32_t i = 0; i < 3; i++) {
		run_for(w, NS_PER_S);
		/* Not the same one every time: it may just have been starting. */
		expect_query(w, i == 1 ? 0 : 1, RTR_RESET_QUERY, 0, 0);
		w->s->carrier->close(w->s);
		w->s = NULL;
		run_for(w, RTR_RETRY_S * NS_PER_S);
	}
	assert_int_equal(w->n_events[RTR_EVENT_DOWN], 1);
}

/* Would catch: a message that cannot be, or not now, that is taken for another, or goes without a word. */
static void test_not_now(void **state)
{
	struct world *w = *state;

	run_for(w, NS_PER_S);
	w->n_heard = 0;
	say_prefix(w, true, IP4(10, 0, 0, 0), 16, 16, 64500);
	expect_report(w, RTR_CORRUPT_DATA);
}

static void answer(struct world *w)
{
	run_for(w, NS_PER_S);
	w->n_heard = 0;
	say(w, RTR_CACHE_RESPONSE, SESSION, 0);
	say_prefix(w, true, IP4(10, 0, 0, 0), 16, 16, 64500);
}

static void test_twice(void **state)
{
	answer(*state);
	say_prefix(*state, true, IP4(10, 0, 0, 0), 16, 16, 64500);
	expect_report(*state, RTR_ANNOUNCED_TWICE);
}

static void test_withdrawn_of_all(void **state)
{
	answer(*state);
	say_prefix(*state, false, IP4(10, 0, 0, 0), 16, 16, 64500);
	expect_report(*state, RTR_UNKNOWN_WITHDRAWN);
}

static void test_unreadable_prefix(void **state)
{
	answer(*state);
	say_prefix(*state, true, IP4(10, 0, 0, 0), 24, 16, 64500);
	expect_report(*state, RTR_CORRUPT_DATA);
}

static void test_unknown_type(void **state)
{
	answer(*state);
	say(*state, (enum rtr_type)5, 0, 0);
	expect_report(*state, RTR_UNSUPPORTED_TYPE);
}

static void test_unknown_version(void **state)
{
	answer(*state);
	((struct world *)*state)->version = 2;
	say(*state, RTR_CACHE_RESET, 0, 0);
	expect_report(*state, RTR_UNSUPPORTED_VERSION);
}

static void test_query_from_cache(void **state)
{
	answer(*state);
	say(*state, RTR_RESET_QUERY, 0, 0);
	expect_report(*state, RTR_INVALID_REQUEST);
}

static void test_wrong_length(void **state)
{
	answer(*state);
	say(*state, RTR_IPV4_PREFIX, 0, 4, 0u, 0u, 0u, 0u);
	expect_report(*state, RTR_CORRUPT_DATA);
}

static void test_changes_that_cannot_be(void **state)
{
	struct world *w = *state;

	be_ready(w);
	say(w, RTR_SERIAL_NOTIFY, SESSION, 1, 6u);
	run_for(w, NS_PER_S);
	w->n_heard = 0;
	say(w, RTR_CACHE_RESPONSE, SESSION, 0);
	say_prefix(w, true, IP4(10, 0, 0, 0), 16, 16, 64500);
	expect_report(w, RTR_ANNOUNCED_TWICE);
	run_for(w, 31 * NS_PER_S);
	expect_query(w, 1, RTR_SERIAL_QUERY, SESSION, 5);
	say(w, RTR_CACHE_RESPONSE, SESSION, 0);
	say_prefix(w, false, IP4(10, 0, 0, 0), 16, 16, 1);
	run_for(w, NS_PER_S);
	assert_int_equal(w->heard[3], RTR_UNKNOWN_WITHDRAWN);
	assert_int_equal(w->v.n_payloads, 2);
}

/* Would catch: another session of a cache taken for the one that its data are of (RFC 8210 section 5.1). */
static void test_other_session(void **state)
{
	struct world *w = *state;

	be_ready(w);
	say(w, RTR_SERIAL_NOTIFY, SESSION + 1, 1, 6u);
	expect_report(w, RTR_CORRUPT_DATA);
	assert_int_equal(w->v.n_payloads, 0);
	run_for(w, 31 * NS_PER_S);
	expect_query(w, 1, RTR_RESET_QUERY, 0, 0);
}

/* The same when it is the answer to what has changed since. */
static void test_other_session_in_answer(void **state)
{
	struct world *w = *state;

	be_ready(w);
	say(w, RTR_SERIAL_NOTIFY, SESSION, 1, 6u);
	run_for(w, NS_PER_S);
	w->n_heard = 0;
	say(w, RTR_CACHE_RESPONSE, SESSION + 1, 0);
	expect_report(w, RTR_CORRUPT_DATA);
	assert_int_equal(w->v.n_payloads, 0);
}

/* Would catch: an answer that never ends keeps what has expired, or loses half of itself when that goes. */
static void test_expires_in_the_middle(void **state)
{
	struct world *w = *state;

	be_ready(w);
	rtr_client_refresh(w->c, true);
	run_for(w, NS_PER_S);
	say(w, RTR_CACHE_RESPONSE, SESSION, 0);
	for (uint32_t i = 0; i < 40 && w->s != NULL; i++) {
		say_prefix(w, true, IP4(10, 0, 0, 0) + (i << 16), 16, 16, 64500);
		run_for(w, 30 * NS_PER_S);
	}
	assert_null(w->s);
	assert_int_equal(w->v.n_payloads, 0);
	assert_int_equal(w->n_events[RTR_EVENT_EXPIRED], 1);
	run_for(w, 31 * NS_PER_S);
	expect_query(w, 1, RTR_RESET_QUERY, 0, 0);
	say(w, RTR_CACHE_RESPONSE, SESSION, 0);
	say_prefix(w, true, IP4(10, 0, 0, 0), 16, 16, 64500);
	say_end(w, 7);
	run_for(w, NS_PER_S);
	assert_int_equal(w->v.n_payloads, 1);
}

/* Would catch: a report answered by another one (RFC 8210 section 5.10); text that steers a terminal; a long message
 * that is waited for for ever; a cache without data that is left. */
static void test_reports(void **state)
{
	struct world *w = *state;
	static uint8_t many[8000];
	be32 len = be32_of(sizeof(many));

	run_for(w, NS_PER_S);
	w->n_heard = 0;
	say(w, RTR_ERROR_REPORT, RTR_NO_DATA, 2, 0u, 0u);
	run_for(w, NS_PER_S);
	assert_non_null(w->s);
	assert_non_null(strstr(w->v.last, "No Data Available"));
	run_for(w, RTR_RETRY_S * NS_PER_S);
	expect_query(w, 1, RTR_RESET_QUERY, 0, 0);
	/* A key that is longer than anything is read at once. */
	say(w, RTR_CACHE_RESPONSE, SESSION, 0);
	memcpy(many, (const uint8_t[]){ 1, RTR_ROUTER_KEY, 0, 0 }, 4);
	memcpy(many + 4, &len, 4);
	say_bytes(w, many, sizeof(many));
	say_end(w, 1);
	run_for(w, NS_PER_S);
	assert_int_equal(w->v.state, RTR_READY);
	assert_int_equal(w->v.n_keys, 1);
	say(w, RTR_ERROR_REPORT, RTR_INTERNAL_ERROR, 3, 0u, 4u, 0x1b5b3333u);
	run_for(w, NS_PER_S);
	assert_int_equal(w->n_heard, 0);
	assert_null(w->s);
	assert_string_equal(w->v.last, "the cache says: Internal Error: ?[33");
}

/* Would catch: a cache that says nothing holds the client for ever; one that never accepts; who is removed leaves
 * something behind. */
static void test_silence(void **state)
{
	struct world *w = *state;

	run_for(w, NS_PER_S);
	say(w, RTR_CACHE_RESPONSE, SESSION, 0);
	run_for(w, 58 * NS_PER_S);
	assert_int_equal(w->v.state, RTR_RECEIVING);
	run_for(w, 4 * NS_PER_S);
	assert_int_equal(w->v.state, RTR_WAITING);
	assert_string_equal(w->v.last, "the cache does not answer");
	stream_memory_link(w->net, ROUTER, CACHE, false);
	run_for(w, RTR_RETRY_S * NS_PER_S + 31 * NS_PER_S);
	assert_int_equal(w->v.n_failures, 2);
	assert_non_null(strstr(w->v.last, "no connection"));
	/* 31, 32, 34, ... s, and then as seldom as the cache wants it. */
	run_for(w, 91 * NS_PER_S);
	assert_int_equal(w->v.n_failures, 4);
	run_for(w, 86400 * NS_PER_S);
	uint64_t n = w->v.n_failures;

	run_for(w, 10 * (RTR_RETRY_S + 30) * NS_PER_S);
	assert_int_equal(w->v.n_failures, n + 10);
	stream_memory_link(w->net, ROUTER, CACHE, true);
	run_for(w, RTR_RETRY_S * NS_PER_S);
	assert_int_equal(w->n_connections, 2);
}

static void test_removed(void **state)
{
	struct world *w = *state;

	be_ready(w);
	rtr_client_remove(w->c);
	assert_false(rtr_client_is_gone(w->c));
	run_for(w, NS_PER_S);
	assert_true(rtr_client_is_gone(w->c));
	assert_int_equal(roa_count(w->roas), 0);
	assert_null(w->s);
	assert_int_equal(rtr_client_next_deadline(w->c), TIME_NEVER);
}

/* Would catch: a table that is full makes routes invalid whose payloads found no room. */
static void test_full(void **state)
{
	struct world *w = *state;

	be_ready(w);
	say(w, RTR_SERIAL_NOTIFY, SESSION, 1, 6u);
	run_for(w, NS_PER_S);
	say(w, RTR_CACHE_RESPONSE, SESSION, 0);
	for (uint32_t i = 0; i < 1200; i++) {
		say_prefix(w, true, IP4(11, 0, 0, 0) + (i << 8), 24, 24, 64500);
		if (i % 100 == 99)
			run_for(w, NS_PER_S);
	}
	say_end(w, 6);
	run_for(w, NS_PER_S);
	assert_int_equal(roa_count(w->roas), 0);
	assert_int_equal(w->v.state, RTR_WAITING);
	assert_non_null(strstr(w->v.last, "no room"));
	run_for(w, 31 * NS_PER_S);
	expect_query(w, 1, RTR_RESET_QUERY, 0, 0);
}

/* Would catch: changes that are kept without a bound until the answer ends. */
static void test_endless_changes(void **state)
{
	struct world *w = *state;
	uint32_t n = 0;

	be_ready(w);
	say(w, RTR_SERIAL_NOTIFY, SESSION, 1, 6u);
	run_for(w, NS_PER_S);
	say(w, RTR_CACHE_RESPONSE, SESSION, 0);
	w->n_heard = 0;
	for (; n < 3000 && w->s != NULL; n++) {
		say_prefix(w, true, IP4(11, 0, 0, 0), 24, 24, 64500);
		if (n % 100 == 99)
			run_for(w, NS_PER_S);
	}
	assert_in_range(n, 2001, 2200);
	expect_report(w, RTR_INTERNAL_ERROR);
	/* What was known counts, and all of it is asked for. */
	assert_int_equal(roa_count(w->roas), 2);
	run_for(w, 31 * NS_PER_S);
	expect_query(w, 1, RTR_RESET_QUERY, 0, 0);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(test_whole_and_changes),
		WITH(test_lost_in_the_middle),
		WITH(test_expires),
		WITH(test_versions),
		WITH(test_answers_in_0),
		WITH(test_hangs_up),
		WITH(test_not_now),
		WITH(test_twice),
		WITH(test_withdrawn_of_all),
		WITH(test_unreadable_prefix),
		WITH(test_unknown_type),
		WITH(test_unknown_version),
		WITH(test_query_from_cache),
		WITH(test_wrong_length),
		WITH(test_changes_that_cannot_be),
		WITH(test_other_session),
		WITH(test_other_session_in_answer),
		WITH(test_expires_in_the_middle),
		WITH(test_reports),
		WITH(test_silence),
		WITH(test_removed),
		WITH(test_full),
		WITH(test_endless_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
