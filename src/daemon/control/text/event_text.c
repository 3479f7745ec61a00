/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Events for people and for programs. Each kind has a set of fields that mean
 * something; the table below names it, and both forms are made from that.
 */
#include "daemon/control/text/event_text.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/control/text/conn_text.h"

const char *const event_kind_names[N_EVENT_KINDS] = {
	[EVENT_READY] = "ready",
	[EVENT_DEVICE_UP] = "device-up",
	[EVENT_DEVICE_DOWN] = "device-down",
	[EVENT_NEIGH_LEARNT] = "neigh-learnt",
	[EVENT_NEIGH_FAILED] = "neigh-failed",
	[EVENT_CONN_NEW] = "conn-new",
	[EVENT_CONN_UPDATE] = "conn-update",
	[EVENT_CONN_END] = "conn-end",
	[EVENT_RELOADED] = "reloaded",
	[EVENT_RELOAD_REFUSED] = "reload-refused",
	[EVENT_NAT_EXHAUSTED] = "nat-exhausted",
	[EVENT_ADDRESS_CONFLICT] = "address-conflict",
	[EVENT_BGP_UP] = "bgp-up",
	[EVENT_BGP_DOWN] = "bgp-down",
	[EVENT_BGP_FAILED] = "bgp-failed",
	[EVENT_BGP_WARNING] = "bgp-warning",
	[EVENT_BGP_LIMIT] = "bgp-limit",
	[EVENT_BGP_SYNCED] = "bgp-synced",
	[EVENT_RPKI_UPDATED] = "rpki-updated",
	[EVENT_RPKI_DOWN] = "rpki-down",
	[EVENT_RPKI_EXPIRED] = "rpki-expired",
	[EVENT_LOST] = "lost",
	[EVENT_STOPPED] = "stopped",
};

/* Which fields of struct yg_event a kind fills in. */
enum {
	HAS_INTERFACE = 0x01,
	HAS_ADDR = 0x02,
	HAS_MAC = 0x04,
	HAS_COUNT = 0x08,
	HAS_CONN = 0x10,
	HAS_REASON = 0x20,
	HAS_TEXT = 0x40,
	HAS_TRAFFIC = 0x80,
	HAS_NEIGHBOR = 0x100,
	HAS_TABLE = 0x200,
};

static const uint16_t kind_fields[N_EVENT_KINDS] = {
	[EVENT_READY] = HAS_COUNT,
	[EVENT_DEVICE_UP] = HAS_INTERFACE,
	[EVENT_DEVICE_DOWN] = HAS_INTERFACE,
	[EVENT_NEIGH_LEARNT] = HAS_INTERFACE | HAS_ADDR | HAS_MAC,
	[EVENT_NEIGH_FAILED] = HAS_INTERFACE | HAS_ADDR,
	[EVENT_CONN_NEW] = HAS_CONN,
	[EVENT_CONN_UPDATE] = HAS_CONN,
	[EVENT_CONN_END] = HAS_CONN | HAS_TRAFFIC | HAS_REASON,
	[EVENT_RELOADED] = HAS_COUNT,
	[EVENT_RELOAD_REFUSED] = 0,
	[EVENT_NAT_EXHAUSTED] = HAS_ADDR | HAS_TEXT,
	[EVENT_ADDRESS_CONFLICT] = HAS_INTERFACE | HAS_ADDR | HAS_MAC,
	[EVENT_BGP_UP] = HAS_ADDR | HAS_NEIGHBOR,
	[EVENT_BGP_DOWN] = HAS_ADDR | HAS_NEIGHBOR,
	[EVENT_BGP_FAILED] = HAS_ADDR | HAS_NEIGHBOR,
	[EVENT_BGP_WARNING] = HAS_ADDR | HAS_NEIGHBOR | HAS_COUNT,
	[EVENT_BGP_LIMIT] = HAS_ADDR | HAS_NEIGHBOR | HAS_COUNT,
	[EVENT_BGP_SYNCED] = HAS_ADDR | HAS_NEIGHBOR | HAS_COUNT,
	[EVENT_RPKI_UPDATED] = HAS_ADDR | HAS_TABLE | HAS_COUNT,
	[EVENT_RPKI_DOWN] = HAS_ADDR | HAS_TABLE,
	[EVENT_RPKI_EXPIRED] = HAS_ADDR | HAS_TABLE,
	[EVENT_LOST] = HAS_COUNT,
	[EVENT_STOPPED] = 0,
};

/* What `count` is, by kind. */
static const char *const count_keys[N_EVENT_KINDS] = {
	[EVENT_READY] = "generation",   [EVENT_RELOADED] = "generation", [EVENT_BGP_WARNING] = "prefixes",
	[EVENT_BGP_LIMIT] = "prefixes", [EVENT_BGP_SYNCED] = "prefixes", [EVENT_RPKI_UPDATED] = "payloads",
	[EVENT_LOST] = "count",
};

int event_kind_find(const char *name)
{
	for (int i = 0; i < N_EVENT_KINDS; i++)
		if (strcmp(event_kind_names[i], name) == 0)
			return i;
	return -1;
}

void event_time_text(uint64_t wall_ns, char buf[32])
{
	time_t s = (time_t)(wall_ns / NS_PER_S);
	struct tm tm;
	char date[24];

	gmtime_r(&s, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, 32, "%s.%06uZ", date, (unsigned)(wall_ns % NS_PER_S / NS_PER_US) % 1000000u);
}

static const char *state_name(const struct yg_event *e)
{
	return ct_state_name(e->proto, e->state);
}

static const char *reason_name(const struct yg_event *e)
{
	return e->reason < N_CT_END_REASONS ? ct_end_reason_names[e->reason] : "?";
}

static void traffic_text(struct text *t, const struct yg_event *e, enum ct_dir dir)
{
	if ((kind_fields[e->kind] & HAS_TRAFFIC) != 0)
		text_add(t, "packets=%" PRIu64 " bytes=%" PRIu64 " ", e->packets[dir], e->bytes[dir]);
}

static void conn_line(struct text *t, const struct yg_event *e)
{
	text_add(t, " %s", conn_proto_name(e->proto));
	if (state_name(e) != NULL)
		text_add(t, " %s", state_name(e));
	text_add(t, " ");
	conn_tuple_text(t, e->proto, &e->orig);
	traffic_text(t, e, CT_ORIGINAL);
	if ((e->status & CT_SEEN_REPLY) == 0)
		text_add(t, "[UNREPLIED] ");
	conn_tuple_text(t, e->proto, &e->reply);
	traffic_text(t, e, CT_REPLY);
	if ((e->status & CT_ASSURED) != 0)
		text_add(t, "[ASSURED] ");
	/* Each word above is followed by a space; a line does not end with one. */
	t->buf[--t->len] = '\0';
}

void event_line(const struct yg_event *e, const char *ifname, uint64_t wall_offset_ns, char *buf, size_t len)
{
	struct text t = text_of(buf, len);
	uint16_t has = kind_fields[e->kind];
	char time_text[32], addr[IP_TEXT_MAX], mac[ETHER_TEXT_MAX];
	struct ether_addr ether;

	event_time_text(e->time_ns + wall_offset_ns, time_text);
	text_add(&t, "%s %s", time_text, event_kind_names[e->kind]);
	if ((has & HAS_INTERFACE) != 0)
		text_add(&t, " %s", ifname);
	if ((has & HAS_ADDR) != 0)
		text_add(&t, " %s", ip_addr_format(&e->addr, addr));
	memcpy(ether.b, e->mac, sizeof(ether.b));
	if ((has & HAS_MAC) != 0)
		text_add(&t, " %s", ether_format(&ether, mac));
	if ((has & HAS_CONN) != 0)
		conn_line(&t, e);
	if ((has & HAS_TRAFFIC) != 0)
		text_add(&t, " duration=%" PRIu64 ".%06u", e->duration_ns / NS_PER_S,
			 (unsigned)(e->duration_ns % NS_PER_S / NS_PER_US));
	if ((has & HAS_REASON) != 0)
		text_add(&t, " reason=%s", reason_name(e));
	if ((has & HAS_COUNT) != 0)
		text_add(&t, " %s=%" PRIu64, count_keys[e->kind], e->count);
	if ((has & (HAS_TEXT | HAS_NEIGHBOR | HAS_TABLE)) != 0)
		text_add(&t, " %s", e->text);
	if (e->detail != NULL)
		text_add(&t, " %s", e->detail);
}

/* Columns of the JSON form; a hole is a field that the kind does not have. */
enum {
	COL_TIME,
	COL_EVENT,
	COL_INTERFACE,
	COL_ADDRESS,
	COL_MAC,
	COL_PROTO,
	COL_STATE,
	CONN_HALF(COL_),
	CONN_HALF(COL_REPLY_),
	COL_REPLIED,
	COL_ASSURED,
	COL_DURATION,
	COL_REASON,
	COL_POOL,
	COL_NEIGHBOR,
	COL_TABLE,
	COL_COUNT,
	N_COLS
};

static const struct out_column event_columns[N_COLS] = {
	[COL_TIME] = { "time", NULL, OUT_TEXT },
	[COL_EVENT] = { "event", NULL, OUT_TEXT },
	[COL_INTERFACE] = { "interface", NULL, OUT_TEXT },
	[COL_ADDRESS] = { "address", NULL, OUT_ADDR },
	[COL_MAC] = { "mac", NULL, OUT_MAC },
	[COL_PROTO] = { "proto", NULL, OUT_U64 },
	[COL_STATE] = { "state", NULL, OUT_TEXT },
	CONN_HALF_COLUMNS(COL_, ""),
	CONN_HALF_COLUMNS(COL_REPLY_, "reply_"),
	[COL_REPLIED] = { "replied", NULL, OUT_YES_NO },
	[COL_ASSURED] = { "assured", NULL, OUT_YES_NO },
	[COL_DURATION] = { "duration", NULL, OUT_SECONDS },
	[COL_REASON] = { "reason", NULL, OUT_TEXT },
	[COL_POOL] = { "pool", NULL, OUT_TEXT },
	[COL_NEIGHBOR] = { "neighbor", NULL, OUT_TEXT },
	[COL_TABLE] = { "table", NULL, OUT_TEXT },
	[COL_COUNT] = { "count", NULL, OUT_U64 },
};

static void conn_values(const struct yg_event *e, struct out_value *row)
{
	row[COL_PROTO] = OUT_U(e->proto);
	if (state_name(e) != NULL)
		row[COL_STATE] = OUT_T(state_name(e));
	conn_half_values(&row[COL_SRC], &e->orig);
	conn_half_values(&row[COL_REPLY_SRC], &e->reply);
	row[COL_REPLIED] = OUT_Y((e->status & CT_SEEN_REPLY) != 0);
	row[COL_ASSURED] = OUT_Y((e->status & CT_ASSURED) != 0);
}

static void traffic_values(const struct yg_event *e, struct out_value *row)
{
	conn_half_traffic(&row[COL_SRC], e->packets[CT_ORIGINAL], e->bytes[CT_ORIGINAL]);
	conn_half_traffic(&row[COL_REPLY_SRC], e->packets[CT_REPLY], e->bytes[CT_REPLY]);
	row[COL_DURATION] = OUT_U(e->duration_ns);
}

char *event_json(const struct yg_event *e, const char *ifname, uint64_t wall_offset_ns)
{
	struct out_value row[N_COLS];
	struct out_column column[N_COLS];
	uint16_t has = kind_fields[e->kind];
	char time_text[32];
	struct ether_addr ether;

	memcpy(column, event_columns, sizeof(column));
	for (size_t i = 0; i < N_COLS; i++)
		row[i] = OUT_ABSENT;
	event_time_text(e->time_ns + wall_offset_ns, time_text);
	row[COL_TIME] = OUT_T(time_text);
	row[COL_EVENT] = OUT_T(event_kind_names[e->kind]);
	if ((has & HAS_INTERFACE) != 0)
		row[COL_INTERFACE] = OUT_T(ifname);
	if ((has & HAS_ADDR) != 0)
		row[COL_ADDRESS] = OUT_IP(e->addr);
	memcpy(ether.b, e->mac, sizeof(ether.b));
	if ((has & HAS_MAC) != 0)
		row[COL_MAC] = OUT_M(ether);
	if ((has & HAS_CONN) != 0)
		conn_values(e, row);
	if ((has & HAS_TRAFFIC) != 0)
		traffic_values(e, row);
	if ((has & HAS_REASON) != 0)
		row[COL_REASON] = OUT_T(reason_name(e));
	if ((has & HAS_TEXT) != 0)
		row[COL_POOL] = OUT_T(e->text);
	if ((has & HAS_NEIGHBOR) != 0)
		row[COL_NEIGHBOR] = OUT_T(e->text);
	if ((has & HAS_TABLE) != 0)
		row[COL_TABLE] = OUT_T(e->text);
	if (e->detail != NULL)
		row[COL_REASON] = OUT_T(e->detail);
	if ((has & HAS_COUNT) != 0) {
		column[COL_COUNT].key = count_keys[e->kind];
		row[COL_COUNT] = OUT_U(e->count);
	}
	return output_row_json(column, N_COLS, row);
}
