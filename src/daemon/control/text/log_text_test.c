/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Log records as text and as JSON.
 */
#include "daemon/control/text/log_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "gateway/conntrack/conntrack.h"

#define V4(addr_) \
	{ \
		.family = IP_FAMILY_V4, .v4 = (addr_) \
	}
/* 2026-11-22T17:12:16Z */
#define WALL UINT64_C(1795367536000000000)

static const struct {
	struct log_record r;
	const char *text, *json;
} records[] = {
	{ { .kind = LOG_SESSION_BEGIN,
	    .time_ns = WALL,
	    .orig = { V4(IP4(10, 0, 0, 2)), V4(IP4(192, 0, 2, 1)), 40000, 80, 7, 6 },
	    .reply = { V4(IP4(192, 0, 2, 1)), V4(IP4(203, 0, 113, 1)), 80, 50000, 0, 6 },
	    .pool = "public",
	    .worker = 1 },
	  "2026-11-22T17:12:16.000000Z session-begin tcp pool=public src=10.0.0.2 dst=192.0.2.1 sport=40000 dport=80 "
	  "src=192.0.2.1 dst=203.0.113.1 sport=80 dport=50000 zone=7 reply-zone=0 worker=1",
	  "{\"time\":\"2026-11-22T17:12:16.000000Z\",\"record\":\"session-begin\",\"proto\":6,\"pool\":\"public\","
	  "\"src\":\"10.0.0.2\",\"dst\":\"192.0.2.1\",\"sport\":40000,\"dport\":80,\"zone\":7,"
	  "\"reply_src\":\"192.0.2.1\",\"reply_dst\":\"203.0.113.1\",\"reply_sport\":80,\"reply_dport\":50000,"
	  "\"reply_zone\":0,\"worker\":1}" },
	{ { .kind = LOG_SESSION_END,
	    .time_ns = WALL + 1500000,
	    .begin_ns = WALL - 60 * NS_PER_S,
	    .orig = { V4(IP4(10, 0, 0, 2)), { 0 }, 40000, 0, 0, 17 },
	    .reply = { { 0 }, V4(IP4(203, 0, 113, 1)), 0, 50000, 0, 17 },
	    .packets = { 5, 4 },
	    .bytes = { 300, 1240 },
	    .reason = CT_END_TIMEOUT },
	  "2026-11-22T17:12:16.001500Z session-end udp src=10.0.0.2 dst=- sport=40000 dport=0 packets=5 bytes=300 "
	  "src=- "
	  "dst=203.0.113.1 sport=0 dport=50000 packets=4 bytes=1240 zone=0 begin=2026-11-22T17:11:16.000000Z "
	  "duration=60.001500 reason=timeout worker=0",
	  "{\"time\":\"2026-11-22T17:12:16.001500Z\",\"record\":\"session-end\",\"proto\":17,\"src\":\"10.0.0.2\","
	  "\"dst\":null,\"sport\":40000,\"dport\":0,\"packets\":5,\"bytes\":300,\"zone\":0,\"reply_src\":null,"
	  "\"reply_dst\":\"203.0.113.1\",\"reply_sport\":0,\"reply_dport\":50000,\"reply_packets\":4,"
	  "\"reply_bytes\":1240,\"reply_zone\":0,\"begin\":\"2026-11-22T17:11:16.000000Z\",\"duration\":60.0015,"
	  "\"reason\":\"timeout\",\"worker\":0}" },
	{ { .kind = LOG_MAPPING_BEGIN,
	    .time_ns = WALL,
	    .orig = { .src = V4(IP4(10, 0, 0, 2)), .sport = 4000, .zone = 7, .proto = 6 },
	    .reply = { .dst = V4(IP4(203, 0, 113, 16)), .dport = 50000, .proto = 6 } },
	  "2026-11-22T17:12:16.000000Z mapping-begin tcp inside=10.0.0.2:4000 outside=203.0.113.16:50000 zone=7 "
	  "reply-zone=0 worker=0",
	  "{\"time\":\"2026-11-22T17:12:16.000000Z\",\"record\":\"mapping-begin\",\"proto\":6,\"src\":\"10.0.0.2\","
	  "\"sport\":4000,\"zone\":7,\"reply_dst\":\"203.0.113.16\",\"reply_dport\":50000,\"reply_zone\":0,"
	  "\"worker\":0}" },
	{ { .kind = LOG_MAPPING_END,
	    .time_ns = WALL,
	    .orig = { .src = V4(IP4(10, 0, 0, 2)), .sport = 4000, .proto = 17 },
	    .reply = { .dst = V4(IP4(203, 0, 113, 16)), .dport = 50000, .proto = 17 },
	    .pool = "public" },
	  "2026-11-22T17:12:16.000000Z mapping-end udp pool=public inside=10.0.0.2:4000 outside=203.0.113.16:50000 "
	  "zone=0 worker=0",
	  "{\"time\":\"2026-11-22T17:12:16.000000Z\",\"record\":\"mapping-end\",\"proto\":17,\"pool\":\"public\","
	  "\"src\":\"10.0.0.2\",\"sport\":4000,\"zone\":0,\"reply_dst\":\"203.0.113.16\",\"reply_dport\":50000,"
	  "\"reply_zone\":0,\"worker\":0}" },
	{ { .kind = LOG_BLOCK_BEGIN,
	    .time_ns = WALL,
	    .orig = { .proto = 6 },
	    .reply = { .dst = V4(IP4(203, 0, 113, 16)), .dport = 64, .proto = 6 },
	    .n_ports = 64,
	    .worker = 1 },
	  "2026-11-22T17:12:16.000000Z block-begin tcp outside=203.0.113.16 ports=64-127 zone=0 worker=1",
	  "{\"time\":\"2026-11-22T17:12:16.000000Z\",\"record\":\"block-begin\",\"proto\":6,"
	  "\"reply_dst\":\"203.0.113.16\",\"reply_dport\":64,\"reply_zone\":0,\"ports\":64,\"worker\":1}" },
	{ { .kind = LOG_BLOCK_END,
	    .time_ns = WALL + NS_PER_S,
	    .begin_ns = WALL,
	    .orig = { .proto = 17 },
	    .reply = { .dst = V4(IP4(203, 0, 113, 16)), .dport = 1024, .zone = 2, .proto = 17 },
	    .n_ports = 64,
	    .pool = "public",
	    .worker = 2 },
	  "2026-11-22T17:12:17.000000Z block-end udp pool=public outside=203.0.113.16 ports=1024-1087 zone=2 "
	  "begin=2026-11-22T17:12:16.000000Z duration=1.000000 worker=2",
	  "{\"time\":\"2026-11-22T17:12:17.000000Z\",\"record\":\"block-end\",\"proto\":17,\"pool\":\"public\","
	  "\"reply_dst\":\"203.0.113.16\",\"reply_dport\":1024,\"reply_zone\":2,\"ports\":64,"
	  "\"begin\":\"2026-11-22T17:12:16.000000Z\",\"duration\":1.0,\"worker\":2}" },
	{ { .kind = LOG_LOST, .time_ns = WALL, .count = 12, .worker = 3 },
	  "2026-11-22T17:12:16.000000Z lost count=12 worker=3",
	  "{\"time\":\"2026-11-22T17:12:16.000000Z\",\"record\":\"lost\",\"count\":12,\"worker\":3}" },
};

/* Catches a record whose line or object lacks a field, or has one that means nothing for its kind. */
static void test_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(records); i++) {
		char buf[LOG_LINE_MAX];

		log_line(&records[i].r, buf, sizeof(buf));
		assert_string_equal(buf, records[i].text);
		char *json = log_json(&records[i].r);
		assert_non_null(json);
		assert_string_equal(json, records[i].json);
		free(json);
	}
}

/* Catches a kind that was added to base/log_record.h without a name or fields here, and a line that does not fit. */
static void test_every_kind(void **state)
{
	(void)state;
	for (int i = 0; i < N_LOG_KINDS; i++) {
		struct log_record r = { .kind = i, .time_ns = WALL, .begin_ns = 1 };
		char buf[LOG_LINE_MAX];

		memset(&r.orig, 0xff, sizeof(r.orig));
		r.orig.src.family = r.orig.dst.family = IP_FAMILY_V6;
		r.reply = r.orig;
		memset(r.packets, 0xff, sizeof(r.packets));
		memset(r.bytes, 0xff, sizeof(r.bytes));
		memset(r.pool, 'x', sizeof(r.pool) - 1);
		r.worker = 63;
		assert_non_null(log_kind_names[i]);
		log_line(&r, buf, sizeof(buf));
		assert_non_null(strstr(buf, log_kind_names[i]));
		assert_string_equal(buf + strlen(buf) - strlen(" worker=63"), " worker=63");
		/* The time and the kind alone say nothing. */
		assert_true(strlen(buf) >
			    strlen("2026-11-22T17:12:16.000000Z ") + strlen(log_kind_names[i]) + strlen(" worker=63"));
		free(log_json(&r));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_every_kind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
