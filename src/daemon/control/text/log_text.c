/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Log records for people and for programs. A session is told in the words of
 * conntrack-tools, as `conntrack -L` and `events` tell it. In JSON a mapping's inside is
 * `src` and `sport`, its outside `reply_dst` and `reply_dport`, as those of a session that
 * began inside, so one question finds who had an address and a port then. (A session that
 * began outside has its outside in `dst` and `dport`, its inside in `reply_src` and
 * `reply_sport`.)
 */
#include "daemon/control/text/log_text.h"

#include <inttypes.h>
#include <string.h>

#include "base/util.h"
#include "daemon/control/text/conn_text.h"
#include "daemon/control/text/event_text.h"

const char *const log_kind_names[N_LOG_KINDS] = {
	[LOG_SESSION_BEGIN] = "session-begin",
	[LOG_SESSION_END] = "session-end",
	[LOG_MAPPING_BEGIN] = "mapping-begin",
	[LOG_MAPPING_END] = "mapping-end",
	[LOG_BLOCK_BEGIN] = "block-begin",
	[LOG_BLOCK_END] = "block-end",
	[LOG_LOST] = "lost",
};

/* Which fields of struct log_record a kind fills in. */
enum {
	HAS_TUPLES = 0x01,
	HAS_ENDS = 0x02, /* inside and outside */
	HAS_TRAFFIC = 0x04,
	HAS_BEGIN = 0x08,
	HAS_REASON = 0x10,
	HAS_COUNT = 0x20,
	HAS_PORTS = 0x40, /* outside, so many from there on */
};

static const uint8_t kind_fields[N_LOG_KINDS] = {
	[LOG_SESSION_BEGIN] = HAS_TUPLES, [LOG_SESSION_END] = HAS_TUPLES | HAS_TRAFFIC | HAS_BEGIN | HAS_REASON,
	[LOG_MAPPING_BEGIN] = HAS_ENDS,   [LOG_MAPPING_END] = HAS_ENDS | HAS_BEGIN,
	[LOG_BLOCK_BEGIN] = HAS_PORTS,    [LOG_BLOCK_END] = HAS_PORTS | HAS_BEGIN,
	[LOG_LOST] = HAS_COUNT,
};

static uint8_t fields_of(const struct log_record *r)
{
	uint8_t has = kind_fields[r->kind];

	return r->begin_ns != 0 ? has : has & (uint8_t)~HAS_BEGIN;
}

static const char *reason_name(const struct log_record *r)
{
	return r->reason < N_CT_END_REASONS ? ct_end_reason_names[r->reason] : "?";
}

static void tuple_line(struct text *t, const struct log_record *r, enum ct_dir dir)
{
	conn_tuple_text(t, r->orig.proto, dir == CT_ORIGINAL ? &r->orig : &r->reply);
	if ((kind_fields[r->kind] & HAS_TRAFFIC) != 0)
		text_add(t, "packets=%" PRIu64 " bytes=%" PRIu64 " ", r->packets[dir], r->bytes[dir]);
}

static void end_line(struct text *t, const char *which, const struct ip_addr *addr, uint16_t port)
{
	char text[IP_TEXT_MAX];
	bool brackets = addr->family == IP_FAMILY_V6;

	text_add(t, "%s=%s%s%s:%u ", which, brackets ? "[" : "", ip_addr_format(addr, text), brackets ? "]" : "", port);
}

static void what_line(struct text *t, const struct log_record *r, uint8_t has)
{
	text_add(t, "%s ", conn_proto_name(r->orig.proto));
	if (r->pool[0] != '\0')
		text_add(t, "pool=%s ", r->pool);
	if ((has & HAS_TUPLES) != 0) {
		tuple_line(t, r, CT_ORIGINAL);
		tuple_line(t, r, CT_REPLY);
	} else if ((has & HAS_ENDS) != 0) {
		end_line(t, "inside", &r->orig.src, r->orig.sport);
		end_line(t, "outside", &r->reply.dst, r->reply.dport);
	} else {
		char text[IP_TEXT_MAX];

		text_add(t, "outside=%s ports=%u-%u zone=%u ", ip_addr_format(&r->reply.dst, text), r->reply.dport,
			 r->reply.dport + r->n_ports - 1u, r->reply.zone);
		return;
	}
	text_add(t, "zone=%u ", r->orig.zone);
	if (r->reply.zone != r->orig.zone)
		text_add(t, "reply-zone=%u ", r->reply.zone);
}

void log_line(const struct log_record *r, char *buf, size_t len)
{
	struct text t = text_of(buf, len);
	uint8_t has = fields_of(r);
	char time_text[32];
	uint64_t duration_ns = r->time_ns - r->begin_ns;

	event_time_text(r->time_ns, time_text);
	text_add(&t, "%s %s ", time_text, log_kind_names[r->kind]);
	if ((has & HAS_COUNT) == 0)
		what_line(&t, r, has);
	if ((has & HAS_COUNT) != 0)
		text_add(&t, "count=%" PRIu64 " ", r->count);
	if ((has & HAS_BEGIN) != 0) {
		event_time_text(r->begin_ns, time_text);
		text_add(&t, "begin=%s duration=%" PRIu64 ".%06u ", time_text, duration_ns / NS_PER_S,
			 (unsigned)(duration_ns % NS_PER_S / NS_PER_US));
	}
	if ((has & HAS_REASON) != 0)
		text_add(&t, "reason=%s ", reason_name(r));
	text_add(&t, "worker=%u", r->worker);
}

/* Columns of the JSON form; a hole is a field that the kind does not have. */
enum {
	COL_TIME,
	COL_RECORD,
	COL_PROTO,
	COL_POOL,
	CONN_HALF(COL_),
	COL_ZONE,
	CONN_HALF(COL_REPLY_),
	COL_REPLY_ZONE,
	COL_PORTS,
	COL_COUNT,
	COL_BEGIN,
	COL_DURATION,
	COL_REASON,
	COL_WORKER,
	N_COLS
};

static const struct out_column log_columns[N_COLS] = {
	[COL_TIME] = { "time", NULL, OUT_TEXT },
	[COL_RECORD] = { "record", NULL, OUT_TEXT },
	[COL_PROTO] = { "proto", NULL, OUT_U64 },
	[COL_POOL] = { "pool", NULL, OUT_TEXT },
	CONN_HALF_COLUMNS(COL_, ""),
	[COL_ZONE] = { "zone", NULL, OUT_U64 },
	CONN_HALF_COLUMNS(COL_REPLY_, "reply_"),
	[COL_REPLY_ZONE] = { "reply_zone", NULL, OUT_U64 },
	[COL_PORTS] = { "ports", NULL, OUT_U64 },
	[COL_COUNT] = { "count", NULL, OUT_U64 },
	[COL_BEGIN] = { "begin", NULL, OUT_TEXT },
	[COL_DURATION] = { "duration", NULL, OUT_SECONDS },
	[COL_REASON] = { "reason", NULL, OUT_TEXT },
	[COL_WORKER] = { "worker", NULL, OUT_U64 },
};

/* What every kind but LOG_LOST has: an outside, and most an inside. */
static void what_values(const struct log_record *r, uint8_t has, struct out_value *row)
{
	row[COL_PROTO] = OUT_U(r->orig.proto);
	if (r->pool[0] != '\0')
		row[COL_POOL] = OUT_T(r->pool);
	if ((has & HAS_PORTS) != 0) {
		row[COL_PORTS] = OUT_U(r->n_ports);
	} else {
		row[COL_SRC] = OUT_IP(r->orig.src);
		row[COL_SPORT] = OUT_U(r->orig.sport);
		row[COL_ZONE] = OUT_U(r->orig.zone);
	}
	row[COL_REPLY_DST] = OUT_IP(r->reply.dst);
	row[COL_REPLY_DPORT] = OUT_U(r->reply.dport);
	row[COL_REPLY_ZONE] = OUT_U(r->reply.zone);
}

char *log_json(const struct log_record *r)
{
	struct out_value row[N_COLS];
	uint8_t has = fields_of(r);
	char time_text[32], begin_text[32];

	for (size_t i = 0; i < N_COLS; i++)
		row[i] = OUT_ABSENT;
	event_time_text(r->time_ns, time_text);
	row[COL_TIME] = OUT_T(time_text);
	row[COL_RECORD] = OUT_T(log_kind_names[r->kind]);
	row[COL_WORKER] = OUT_U(r->worker);
	if ((has & HAS_COUNT) == 0)
		what_values(r, has, row);
	if ((has & HAS_TUPLES) != 0) {
		conn_half_values(&row[COL_SRC], &r->orig);
		conn_half_values(&row[COL_REPLY_SRC], &r->reply);
	}
	if ((has & HAS_TRAFFIC) != 0) {
		conn_half_traffic(&row[COL_SRC], r->packets[CT_ORIGINAL], r->bytes[CT_ORIGINAL]);
		conn_half_traffic(&row[COL_REPLY_SRC], r->packets[CT_REPLY], r->bytes[CT_REPLY]);
	}
	if ((has & HAS_COUNT) != 0)
		row[COL_COUNT] = OUT_U(r->count);
	if ((has & HAS_BEGIN) != 0) {
		event_time_text(r->begin_ns, begin_text);
		row[COL_BEGIN] = OUT_T(begin_text);
		row[COL_DURATION] = OUT_U(r->time_ns - r->begin_ns);
	}
	if ((has & HAS_REASON) != 0)
		row[COL_REASON] = OUT_T(reason_name(r));
	return output_row_json(log_columns, N_COLS, row);
}
