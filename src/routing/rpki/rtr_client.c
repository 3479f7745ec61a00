/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Life, timers and the stream of a client.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "routing/rpki/rtr_client_priv.h"

#define CONNECT_NS (30 * NS_PER_S)
/* Within an answer, and until it begins. */
#define SILENCE_NS (60 * NS_PER_S)

const char *const rtr_state_names[N_RTR_STATES] = {
	[RTR_WAITING] = "waiting",     [RTR_CONNECTING] = "connecting", [RTR_ASKED] = "asked",
	[RTR_RECEIVING] = "receiving", [RTR_READY] = "ready",
};

struct rtr_client *rtr_client_create(const struct rtr_client_config *cfg)
{
	struct rtr_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->cfg = *cfg;
	if (c->cfg.remote.port == 0)
		c->cfg.remote.port = RTR_PORT;
	c->wants_version = RTR_VERSION_MAX;
	c->wants_all = true;
	c->expires = TIME_NEVER;
	c->refresh_s = cfg->refresh_s != 0 ? cfg->refresh_s : RTR_REFRESH_S;
	c->retry_s = cfg->retry_s != 0 ? cfg->retry_s : RTR_RETRY_S;
	c->expire_s = cfg->expire_s != 0 ? cfg->expire_s : RTR_EXPIRE_S;
	return c;
}

static void close_stream(struct rtr_client *c, bool at_once)
{
	if (c->stream == NULL)
		return;
	if (at_once)
		c->stream->carrier->abort(c->stream);
	else
		c->stream->carrier->close(c->stream);
	c->stream = NULL;
	c->is_readable = false;
	c->first_in = c->n_in = c->n_out = c->n_skip = 0;
}

void rtr_client_destroy(struct rtr_client *c)
{
	if (c == NULL)
		return;
	close_stream(c, true);
	free(c->change);
	free(c);
}

void rtr_tell(struct rtr_client *c, enum rtr_event event)
{
	struct rtr_view v;

	if (c->cfg.event == NULL)
		return;
	rtr_client_look(c, &v);
	c->cfg.event(c->cfg.user, event, &v);
}

/* What was staged of an answer that did not end is dropped; one that has ended is still taken. */
static void give_up_answer(struct rtr_client *c)
{
	if (c->state == RTR_RECEIVING && c->chore == RTR_CHORE_NONE && c->wants_all)
		rtr_begin_chore(c, RTR_CHORE_DROP_STAGED);
	if (c->chore != RTR_CHORE_APPLY)
		c->n_changes = 0;
}

/* A cache that is not there may be starting: it is tried again soon, and then less and less often. */
static uint32_t until_next_try(struct rtr_client *c)
{
	if (c->state != RTR_CONNECTING)
		return c->retry_s;
	c->backoff_s = c->backoff_s == 0 ? 1 : (uint32_t)min_u64(2 * (uint64_t)c->backoff_s, c->retry_s);
	return c->backoff_s;
}

void rtr_fail(struct rtr_client *c, uint64_t now, const char *reason)
{
	uint32_t wait_s = until_next_try(c);

	give_up_answer(c);
	close_stream(c, c->state == RTR_CONNECTING);
	c->state = RTR_WAITING;
	c->next = now + wait_s * NS_PER_S;
	c->n_failures++;
	snprintf(c->last, sizeof(c->last), "%s", reason);
	if (strcmp(c->last, c->told) == 0)
		return;
	memcpy(c->told, c->last, sizeof(c->told));
	rtr_tell(c, RTR_EVENT_DOWN);
}

void rtr_client_remove(struct rtr_client *c)
{
	close_stream(c, false);
	c->state = RTR_WAITING;
	c->is_removed = true;
	c->has_data = false;
	c->expires = TIME_NEVER;
	rtr_begin_chore(c, RTR_CHORE_DROP_ALL);
}

bool rtr_client_is_gone(const struct rtr_client *c)
{
	return c->is_removed && c->chore == RTR_CHORE_NONE;
}

void rtr_client_refresh(struct rtr_client *c, bool all)
{
	if (c->state == RTR_WAITING || c->state == RTR_READY)
		c->next = 0;
	if (c->state != RTR_ASKED && c->state != RTR_RECEIVING)
		c->wants_all |= all;
}

/* --- the stream --- */

static void send_out(struct rtr_client *c)
{
	uint32_t n = (uint32_t)c->stream->carrier->write(c->stream, c->out, c->n_out);

	memmove(c->out, c->out + n, c->n_out - n);
	c->n_out -= n;
}

void rtr_ask(struct rtr_client *c, uint64_t now)
{
	if (!c->has_data)
		c->wants_all = true;
	c->n_out = (uint32_t)(c->wants_all ? rtr_emit_reset_query(c->out, c->version)
					   : rtr_emit_serial_query(c->out, c->version, c->session, c->serial));
	c->state = RTR_ASKED;
	c->deadline = now + SILENCE_NS;
	send_out(c);
}

/* Those that streams have; the core asks no library for words. */
static const char *words_of(int error)
{
	static const struct {
		int error;
		const char *words;
	} all[] = {
		{ 0, "the cache has closed it" },
		{ ECONNREFUSED, "refused" },
		{ ECONNRESET, "reset" },
		{ ETIMEDOUT, "no answer in time" },
		{ EHOSTUNREACH, "no route" },
		{ ENETUNREACH, "no route" },
		{ EKEYREJECTED, "the password cannot be set" },
		{ EADDRNOTAVAIL, "the local address is not ours" },
		{ ENOMEM, "no memory" },
	};

	for (uint32_t i = 0; i < ARRAY_LEN(all); i++)
		if (all[i].error == error)
			return all[i].words;
	return "a failure of TCP";
}

static void on_open(void *user, struct stream *s, uint64_t now)
{
	((struct rtr_client *)user)->is_open_told = true;
}

static void on_readable(void *user, struct stream *s, uint64_t now)
{
	((struct rtr_client *)user)->is_readable = true;
}

static void on_writable(void *user, struct stream *s, uint64_t now)
{
	send_out(user);
}

static void on_closed(void *user, struct stream *s, int error, uint64_t now)
{
	struct rtr_client *c = user;
	char why[RTR_REASON_MAX];

	/* A cache that knows version 0 alone may say so by this (RFC 8210 section 7), and one that was just starting
	 * may too: the next try is with the other one. */
	if (c->state == RTR_ASKED && !c->has_heard)
		c->wants_version = c->version == 0 ? RTR_VERSION_MAX : 0;
	snprintf(why, sizeof(why), "%s: %s", c->state == RTR_CONNECTING ? "no connection" : "connection lost",
		 words_of(error));
	/* What it has said before stands in the buffers of the carrier. */
	while (c->stream == s && c->chore == RTR_CHORE_NONE && rtr_take_messages(c, now))
		;
	if (c->stream == s)
		rtr_fail(c, now, why);
}

static const struct stream_events events = { on_open, on_readable, on_writable, on_closed };

static void connect_stream(struct rtr_client *c, uint64_t now)
{
	struct stream_connect how = {
		.local = c->cfg.local,
		.remote = c->cfg.remote,
		.key = c->cfg.key.len != 0 ? &c->cfg.key : NULL,
		.deadline = now + CONNECT_NS,
		.events = &events,
		.user = c,
	};
	int rc;

	c->is_open_told = c->is_agreed = c->has_heard = false;
	c->version = c->wants_version;
	c->state = RTR_CONNECTING;
	rc = c->cfg.carrier->connect(c->cfg.carrier, &how, &c->stream);
	if (rc == 0)
		return;
	char why[RTR_REASON_MAX];

	c->stream = NULL;
	snprintf(why, sizeof(why), "no connection: %s", words_of(-rc));
	rtr_fail(c, now, why);
}

/* --- time --- */

static void look_at_clock(struct rtr_client *c, uint64_t now)
{
	if (c->has_data && now >= c->expires) {
		/* What is staged would go too. */
		if (c->state == RTR_RECEIVING) {
			rtr_fail(c, now, "an answer that took longer than what was known is good for");
			return;
		}
		c->has_data = false;
		c->expires = TIME_NEVER;
		rtr_begin_chore(c, RTR_CHORE_DROP_ALL);
		return;
	}
	switch (c->state) {
	case RTR_WAITING:
		if (now >= c->next)
			connect_stream(c, now);
		break;
	case RTR_CONNECTING:
		if (!c->is_open_told)
			break;
		c->backoff_s = 0;
		rtr_ask(c, now);
		break;
	case RTR_READY:
		if (now >= c->next)
			rtr_ask(c, now);
		break;
	default:
		if (now >= c->deadline)
			rtr_fail(c, now, "the cache does not answer");
	}
}

bool rtr_client_work(struct rtr_client *c, uint64_t now)
{
	if (c->chore != RTR_CHORE_NONE) {
		rtr_go_on(c, now);
		return true;
	}
	if (c->is_removed)
		return false;
	if (c->is_readable && c->stream != NULL && c->state != RTR_CONNECTING) {
		c->is_readable = rtr_take_messages(c, now);
		if (c->state == RTR_ASKED || c->state == RTR_RECEIVING)
			c->deadline = now + SILENCE_NS;
	}
	if (c->chore == RTR_CHORE_NONE)
		look_at_clock(c, now);
	return c->chore != RTR_CHORE_NONE || c->is_readable;
}

uint64_t rtr_client_next_deadline(const struct rtr_client *c)
{
	uint64_t next;

	if (c->chore != RTR_CHORE_NONE)
		return 0;
	if (c->is_removed)
		return TIME_NEVER;
	if (c->is_readable || (c->state == RTR_CONNECTING && c->is_open_told))
		return 0;
	if (c->state == RTR_ASKED || c->state == RTR_RECEIVING)
		next = c->deadline;
	else
		next = c->state == RTR_CONNECTING ? TIME_NEVER : c->next;
	return min_u64(next, c->expires);
}

void rtr_client_look(const struct rtr_client *c, struct rtr_view *v)
{
	*v = (struct rtr_view){
		.state = c->state,
		.version = c->version,
		.has_data = c->has_data,
		.session = c->session,
		.serial = c->serial,
		.updated = c->updated,
		.expires = c->expires,
		.next = c->next,
		.refresh_s = c->refresh_s,
		.retry_s = c->retry_s,
		.expire_s = c->expire_s,
		.n_payloads = roa_count_of(c->cfg.roas, c->cfg.cache),
		.n_ipv6 = c->n_ipv6,
		.n_keys = c->n_keys,
		.n_failures = c->n_failures,
	};
	memcpy(v->last, c->last, sizeof(v->last));
}
