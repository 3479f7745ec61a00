/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a cache says. A message that cannot be, or not now, ends the connection with an Error Report about it (RFC 8210
 * sections 5.10 and 8); what is in the table stays, but for a session that is another's (section 5.1).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "base/util.h"
#include "routing/rpki/rtr_client_priv.h"

#define SAID_MAX 80u   /* bytes of what a cache says in words */
#define MESSAGES 4096u /* of one slice: some 0.2 us each */

/* What comes of a message. */
struct verdict {
	enum rtr_error error; /* RTR_NO_ERROR */
	const char *why;      /* else */
};

static const struct verdict good = { RTR_NO_ERROR, NULL };

static struct verdict wrong(enum rtr_error e, const char *why)
{
	return (struct verdict){ e, why };
}

static void fail_with_report(struct rtr_client *c, struct verdict v, uint64_t now)
{
	uint8_t report[RTR_REPORT_LEN_MAX];
	char why[RTR_REASON_MAX];
	size_t len = rtr_emit_report(report, c->version, v.error, c->in + c->first_in, min_u64(c->n_in, RTR_ABOUT_MAX),
				     v.why);

	/* Behind a query that is not out yet it would be nonsense. */
	if (c->n_out == 0)
		(void)c->stream->carrier->write(c->stream, report, len);
	snprintf(why, sizeof(why), "%s: %s", rtr_error_name((uint16_t)v.error), v.why);
	rtr_fail(c, now, why);
}

/* The cache is another one than it was: what it said is worth nothing. */
static struct verdict other_session(struct rtr_client *c)
{
	if (c->has_data) {
		c->has_data = false;
		c->wants_all = true;
		c->expires = TIME_NEVER;
		rtr_begin_chore(c, RTR_CHORE_DROP_ALL);
	}
	return wrong(RTR_CORRUPT_DATA, "another session than before");
}

static struct verdict heard_notify(struct rtr_client *c, const struct rtr_message *m, uint64_t now)
{
	/* While a query is out its answer says as much. */
	if (c->state != RTR_READY)
		return good;
	if (m->h.session != c->session)
		return other_session(c);
	if (m->serial != c->serial)
		c->next = now;
	return good;
}

static struct verdict heard_response(struct rtr_client *c, const struct rtr_message *m)
{
	if (c->state != RTR_ASKED)
		return wrong(RTR_CORRUPT_DATA, "an answer to no query");
	if (!c->wants_all && m->h.session != c->session)
		return other_session(c);
	c->new_session = m->h.session;
	c->state = RTR_RECEIVING;
	c->n_changes = c->new_ipv6 = c->new_keys = 0;
	return good;
}

/* One that says the same again and again would take memory without end. */
static bool has_too_many(const struct rtr_client *c)
{
	return c->n_changes >= 2 * (uint64_t)roa_limit(c->cfg.roas);
}

static bool note_change(struct rtr_client *c, const struct rtr_prefix *x)
{
	if (c->n_changes == c->n_changes_max) {
		uint32_t n = c->n_changes_max == 0 ? 256 : c->n_changes_max * 2;
		struct rtr_prefix *more = realloc(c->change, n * sizeof(*more));

		if (more == NULL)
			return false;
		c->change = more;
		c->n_changes_max = n;
	}
	c->change[c->n_changes++] = *x;
	return true;
}

static struct verdict heard_prefix(struct rtr_client *c, const struct rtr_prefix *x)
{
	struct roa roa = { x->prefix, x->max_len, x->as };

	if (c->wants_all) {
		if (!x->is_announced)
			return wrong(RTR_UNKNOWN_WITHDRAWN, "withdrawn in an answer to a reset query");
		switch (roa_stage(c->cfg.roas, c->cfg.cache, &roa)) {
		case 0:
			return good;
		case -EEXIST:
			return wrong(RTR_ANNOUNCED_TWICE, "announced before in this answer");
		default:
			return wrong(RTR_INTERNAL_ERROR, "no room for so many payloads");
		}
	}
	bool has = roa_has(c->cfg.roas, c->cfg.cache, &roa);

	if (x->is_announced && has)
		return wrong(RTR_ANNOUNCED_TWICE, "it was announced before");
	if (!x->is_announced && !has)
		return wrong(RTR_UNKNOWN_WITHDRAWN, "it was not announced before");
	if (has_too_many(c)) {
		c->wants_all = true;
		return wrong(RTR_INTERNAL_ERROR, "more changes than there can be");
	}
	return note_change(c, x) ? good : wrong(RTR_INTERNAL_ERROR, "no memory");
}

static struct verdict heard_end(struct rtr_client *c, const struct rtr_message *m)
{
	if (m->h.session != c->new_session)
		return other_session(c);
	c->end = m->end;
	rtr_begin_chore(c, c->wants_all ? RTR_CHORE_TAKE : RTR_CHORE_APPLY);
	return good;
}

/* It has not got what changed since: all of it then. */
static struct verdict heard_reset(struct rtr_client *c, uint64_t now)
{
	if (c->state != RTR_ASKED || c->wants_all)
		return wrong(RTR_CORRUPT_DATA, "a Cache Reset that answers no serial query");
	c->wants_all = true;
	rtr_ask(c, now);
	return good;
}

/* Is never answered by another one. */
static void heard_report(struct rtr_client *c, const struct rtr_message *m, uint64_t now)
{
	const char *name = rtr_error_name(m->report.code);
	uint32_t n = (uint32_t)min_u64(m->report.text_len, SAID_MAX);
	char text[SAID_MAX + 1] = "", why[RTR_REASON_MAX];

	if (n > 0)
		memcpy(text, m->report.text, n);
	printable(text, n, PRINTABLE_WORD);
	snprintf(why, sizeof(why), "the cache says: %s%s%s", name != NULL ? name : "an error without a name",
		 text[0] != '\0' ? ": " : "", text);
	if (m->report.code == RTR_NO_DATA && c->state == RTR_ASKED) {
		/* It will have some. */
		snprintf(c->last, sizeof(c->last), "%s", why);
		c->state = RTR_READY;
		c->next = now + c->retry_s * NS_PER_S;
		return;
	}
	if (m->report.code == RTR_UNSUPPORTED_VERSION && m->h.version < c->version) {
		c->wants_version = m->h.version;
		rtr_fail(c, now, why);
		c->next = now;
		return;
	}
	rtr_fail(c, now, why);
}

/* A cache may answer in a lower version, and then that is the connection's (RFC 8210 section 7). */
static bool agree_version(struct rtr_client *c, uint8_t version)
{
	if (!c->is_agreed && version < c->version)
		c->version = version;
	c->is_agreed = true;
	return version == c->version;
}

static struct verdict understand(struct rtr_client *c, const struct rtr_message *m, uint64_t now)
{
	/* Before the first answer a notification's version says nothing. */
	if (m->h.type == RTR_SERIAL_NOTIFY && !c->is_agreed)
		return good;
	if (!agree_version(c, m->h.version))
		return wrong(RTR_UNEXPECTED_VERSION, "another version than before");
	if (c->state != RTR_RECEIVING && (m->h.type == RTR_IPV4_PREFIX || m->h.type == RTR_IPV6_PREFIX ||
					  m->h.type == RTR_ROUTER_KEY || m->h.type == RTR_END_OF_DATA))
		return wrong(RTR_CORRUPT_DATA, "data outside of an answer");
	switch (m->h.type) {
	case RTR_SERIAL_NOTIFY:
		return heard_notify(c, m, now);
	case RTR_CACHE_RESPONSE:
		return heard_response(c, m);
	case RTR_IPV4_PREFIX:
		return heard_prefix(c, &m->prefix);
	case RTR_IPV6_PREFIX:
		c->new_ipv6++;
		return good;
	case RTR_ROUTER_KEY:
		c->new_keys++;
		return good;
	case RTR_END_OF_DATA:
		return heard_end(c, m);
	default:
		return heard_reset(c, now);
	}
}

/* The message at p is good as far as its header goes. A key or a report that quotes or says much is not waited for:
 * its beginning has to do, and the rest is passed over. */
static void take_body(struct rtr_client *c, const uint8_t *p, struct rtr_message *m, uint64_t now)
{
	bool is_long = m->h.len > sizeof(c->in);
	enum rtr_error e = is_long ? RTR_NO_ERROR : rtr_parse(p, m);
	struct verdict v;

	if (is_long)
		c->n_skip = m->h.len;
	if (m->h.type == RTR_ERROR_REPORT) {
		if (is_long || e != RTR_NO_ERROR)
			m->report = (struct rtr_report){ .code = m->h.session };
		heard_report(c, m, now);
		return;
	}
	v = e != RTR_NO_ERROR ? wrong(e, "it cannot be read") : understand(c, m, now);
	if (v.error != RTR_NO_ERROR)
		fail_with_report(c, v, now);
}

/* The message at the beginning of what has come. How many bytes it took; 0: more has to come, or it is passed over, or
 * the connection is over. */
static uint32_t take_message(struct rtr_client *c, uint64_t now)
{
	const uint8_t *p = c->in + c->first_in;
	struct rtr_message m;
	enum rtr_error e;

	if (c->n_in < RTR_HEADER_LEN)
		return 0;
	e = rtr_header_parse(p, &m.h);
	c->has_heard = true;
	if (e != RTR_NO_ERROR) {
		/* A report is never answered by another one. */
		if (m.h.type == RTR_ERROR_REPORT)
			rtr_fail(c, now, "an error report that cannot be read");
		else
			fail_with_report(c, wrong(e, "it cannot be read"), now);
		return 0;
	}
	if (m.h.len <= sizeof(c->in) && c->n_in < m.h.len)
		return 0;
	take_body(c, p, &m, now);
	return c->n_skip != 0 ? 0 : m.h.len;
}

static void drop_front(struct rtr_client *c, uint32_t n)
{
	c->first_in += n;
	c->n_in -= n;
}

/* False: nothing is there now. */
static bool fill(struct rtr_client *c)
{
	uint32_t n;

	memmove(c->in, c->in + c->first_in, c->n_in);
	c->first_in = 0;
	n = (uint32_t)c->stream->carrier->read(c->stream, c->in + c->n_in, sizeof(c->in) - c->n_in);
	c->n_in += n;
	return n > 0;
}

static void skip(struct rtr_client *c)
{
	uint32_t n = (uint32_t)min_u64(c->n_skip, c->n_in);

	c->n_skip -= n;
	drop_front(c, n);
}

bool rtr_take_messages(struct rtr_client *c, uint64_t now)
{
	for (uint32_t i = 0; i < MESSAGES && c->chore == RTR_CHORE_NONE && c->stream != NULL; i++) {
		uint32_t n = 0;

		skip(c);
		if (c->n_skip == 0)
			n = take_message(c, now);
		if (c->stream == NULL)
			return false;
		drop_front(c, n);
		if (n == 0 && (c->n_skip == 0 || c->n_in == 0) && !fill(c))
			return false;
	}
	return true;
}
