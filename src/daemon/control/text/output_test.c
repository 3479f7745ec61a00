/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tables and events: the same row as text and as JSON.
 */
#include "daemon/control/text/output.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "gateway/conntrack/conntrack.h"
#include "daemon/control/text/event_text.h"

struct sink {
	char text[4096];
	size_t len;
};

static void sink_write(void *ctx, const char *text, size_t len)
{
	struct sink *s = ctx;

	assert_true(s->len + len < sizeof(s->text));
	memcpy(s->text + s->len, text, len);
	s->len += len;
	s->text[s->len] = '\0';
}

static const struct out_column columns[] = {
	{ "name", "NAME", OUT_TEXT }, { "count", "COUNT", OUT_U64 }, { "addr", "ADDRESS", OUT_IP4 },
	{ "up", NULL, OUT_YES_NO },   { "delta", "D", OUT_I64 },     { "mean", "MEAN", OUT_TENTHS },
};

static void line(const struct out_value *row, char *buf, size_t len)
{
	snprintf(buf, len, "<%s>", row[0].text);
}

static void print(struct sink *s, enum output_format format, enum output_shape shape, out_line_fn *fn)
{
	const struct out_table table = { "t", columns, ARRAY_LEN(columns), fn };
	struct output o;

	s->len = 0;
	output_begin(&o, format, shape, sink_write, s);
	output_table_begin(&o, &table);
	output_row(&o, (struct out_value[]){ OUT_T("a\"b"), OUT_U(5), OUT_A(IP4(10, 0, 0, 1)), OUT_Y(true), OUT_I(-3),
					     OUT_U(123) });
	output_row(&o,
		   (struct out_value[]){ OUT_T("longer"), OUT_U(12345), OUT_ABSENT, OUT_Y(false), OUT_I(0), OUT_U(7) });
	output_table_end(&o);
	if (shape == OUTPUT_OBJECT)
		output_value(&o, &(struct out_column){ "sum", "total", OUT_U64 }, OUT_U(7));
	output_end(&o);
}

/* Catches columns that are not aligned, text that breaks JSON, and fields in one form that the other lacks. */
static void test_forms(void **state)
{
	struct sink s;

	print(&s, OUTPUT_TEXT, OUTPUT_LIST, NULL);
	assert_string_equal(s.text, "NAME    COUNT  ADDRESS    D  MEAN\n"
				    "a\"b         5  10.0.0.1  -3  12.3\n"
				    "longer  12345  -          0   0.7\n");
	print(&s, OUTPUT_TEXT, OUTPUT_LIST, line);
	assert_string_equal(s.text, "<a\"b>\n<longer>\n");
	print(&s, OUTPUT_JSON, OUTPUT_LIST, line);
	assert_string_equal(
		s.text,
		"[\n{\"name\":\"a\\\"b\",\"count\":5,\"addr\":\"10.0.0.1\",\"up\":true,\"delta\":-3,\"mean\":12.3},\n"
		"{\"name\":\"longer\",\"count\":12345,\"up\":false,\"delta\":0,\"mean\":0.7}\n]\n");
	print(&s, OUTPUT_JSON, OUTPUT_OBJECT, NULL);
	assert_non_null(strstr(s.text, "{\n\"t\":[\n"));
	assert_non_null(strstr(s.text, "],\n\"sum\":7\n}\n"));
	print(&s, OUTPUT_TEXT, OUTPUT_OBJECT, NULL);
	assert_non_null(strstr(s.text, "total: 7\n"));
}

/* Catches a listing that is left in the middle and does not give its cells back (LeakSanitizer). */
static void test_abandon(void **state)
{
	const struct out_table table = { "t", columns, ARRAY_LEN(columns), NULL };
	struct sink s = { .len = 0 };
	struct output o;

	output_begin(&o, OUTPUT_TEXT, OUTPUT_LIST, sink_write, &s);
	output_table_begin(&o, &table);
	for (int i = 0; i < 1000; i++)
		output_row(&o, (struct out_value[]){ OUT_T("x"), OUT_U(1), OUT_ABSENT, OUT_ABSENT, OUT_ABSENT,
						     OUT_ABSENT });
	output_abandon(&o);
	assert_int_equal(s.len, 0);
}

#define V4(addr_) \
	{ \
		.family = IP_FAMILY_V4, .v4 = (addr_) \
	}

/* 2026-11-22T17:12:16Z */
#define WALL_OFFSET UINT64_C(1795367536000000000)

static const struct {
	struct yg_event e;
	const char *text, *json;
} events[] = {
	{ { .kind = EVENT_READY, .time_ns = 1500000, .count = 1 },
	  "2026-11-22T17:12:16.001500Z ready generation=1",
	  "{\"time\":\"2026-11-22T17:12:16.001500Z\",\"event\":\"ready\",\"generation\":1}" },
	{ { .kind = EVENT_DEVICE_DOWN, .ifindex = 1 },
	  "2026-11-22T17:12:16.000000Z device-down lan0",
	  "{\"time\":\"2026-11-22T17:12:16.000000Z\",\"event\":\"device-down\",\"interface\":\"lan0\"}" },
	{ { .kind = EVENT_NEIGH_LEARNT, .ifindex = 1, .addr = V4(IP4(10, 0, 0, 2)), .mac = { 2, 0, 0, 0, 0, 9 } },
	  "2026-11-22T17:12:16.000000Z neigh-learnt lan0 10.0.0.2 02:00:00:00:00:09",
	  "{\"time\":\"2026-11-22T17:12:16.000000Z\",\"event\":\"neigh-learnt\",\"interface\":\"lan0\","
	  "\"address\":\"10.0.0.2\",\"mac\":\"02:00:00:00:00:09\"}" },
	{ { .kind = EVENT_CONN_END,
	    .proto = 6,
	    .state = CT_TCP_CLOSE,
	    .status = CT_SEEN_REPLY | CT_ASSURED,
	    .reason = CT_END_RESET,
	    .orig = { V4(IP4(10, 0, 0, 2)), V4(IP4(192, 0, 2, 1)), 40000, 80 },
	    .reply = { V4(IP4(192, 0, 2, 1)), V4(IP4(203, 0, 113, 1)), 80, 50000 },
	    .packets = { 5, 4 },
	    .bytes = { 300, 1240 },
	    .duration_ns = 61234567890 },
	  "2026-11-22T17:12:16.000000Z conn-end tcp CLOSE src=10.0.0.2 dst=192.0.2.1 sport=40000 dport=80 packets=5 "
	  "bytes=300 src=192.0.2.1 dst=203.0.113.1 sport=80 dport=50000 packets=4 bytes=1240 [ASSURED] "
	  "duration=61.234567 reason=reset",
	  "\"proto\":6,\"state\":\"CLOSE\",\"src\":\"10.0.0.2\",\"dst\":\"192.0.2.1\",\"sport\":40000,\"dport\":80,"
	  "\"packets\":5,\"bytes\":300,\"reply_src\":\"192.0.2.1\",\"reply_dst\":\"203.0.113.1\",\"reply_sport\":80,"
	  "\"reply_dport\":50000,\"reply_packets\":4,\"reply_bytes\":1240,\"replied\":true,\"assured\":true,"
	  "\"duration\":61.234567,\"reason\":\"reset\"}" },
	{ { .kind = EVENT_CONN_NEW,
	    .proto = 1,
	    .orig = { V4(IP4(10, 0, 0, 2)), V4(IP4(192, 0, 2, 1)), 77, 0x800 },
	    .reply = { V4(IP4(192, 0, 2, 1)), V4(IP4(10, 0, 0, 2)), 77, 0 } },
	  "2026-11-22T17:12:16.000000Z conn-new icmp src=10.0.0.2 dst=192.0.2.1 type=8 code=0 id=77 [UNREPLIED] "
	  "src=192.0.2.1 dst=10.0.0.2 type=0 code=0 id=77",
	  "\"event\":\"conn-new\"" },
	{ { .kind = EVENT_LOST, .count = 12 },
	  "2026-11-22T17:12:16.000000Z lost count=12",
	  "\"event\":\"lost\",\"count\":12}" },
};

/* Catches an event whose line or object lacks a field, or has one that means nothing for its kind. */
static void test_events(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		char buf[512];
		event_line(&events[i].e, "lan0", WALL_OFFSET, buf, sizeof(buf));
		assert_memory_equal(buf, events[i].text, strlen(events[i].text));
		char *json = event_json(&events[i].e, "lan0", WALL_OFFSET);
		assert_non_null(strstr(json, events[i].json));
		free(json);
	}
}

/* Catches a kind that was added to base/event.h without a name here: it could not be waited for. */
static void test_every_kind(void **state)
{
	for (int i = 0; i < N_EVENT_KINDS; i++) {
		struct yg_event e = { .kind = (enum event_kind)i };
		char buf[512];
		assert_non_null(event_kind_names[i]);
		assert_int_equal(event_kind_find(event_kind_names[i]), i);
		event_line(&e, "?", 0, buf, sizeof(buf));
		free(event_json(&e, "?", 0));
	}
	assert_int_equal(event_kind_find("nonsense"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_abandon),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_every_kind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
