/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BGP's frames, NOTIFICATION, ROUTE-REFRESH, and which kind of message has a place when. Dispositions of whole messages
 * are rows of tools/bgp/trial_test.c.
 */
#include "stack/wire/bgp_message.h"

#include "base/ip4.h"
#include "stack/wire/bgp_fixture.h"
#include "stack/wire/wire_test.h"

/* Would catch: a wait for the rest of a message whose header is wrong already, or for more than its length; a header
 * judged before it is there; data of a NOTIFICATION that is not what RFC 4271 section 6.1 wants. */
static void test_frame(void **state)
{
	static const struct {
		const char *bytes;
		enum bgp_frame frame;
		uint8_t subcode;
		const char *data;
	} rows[] = {
		{ "", BGP_FRAME_MORE },
		{ "{ff}15", BGP_FRAME_MORE },
		{ "{ff}15 fe", BGP_FRAME_BAD, BGP_NOT_SYNCHRONISED, "" },
		{ "00", BGP_FRAME_BAD, BGP_NOT_SYNCHRONISED, "" },
		{ "{ff}16 0013", BGP_FRAME_MORE },
		{ "{ff}16 0013 04", BGP_FRAME_WHOLE },
		{ "{ff}16 0013 04 {ff}16", BGP_FRAME_WHOLE },
		{ "{ff}16 0012 04", BGP_FRAME_BAD, BGP_BAD_LENGTH, "0012" },
		{ "{ff}16 0014 04", BGP_FRAME_BAD, BGP_BAD_LENGTH, "0014" },
		{ "{ff}16 1001 02", BGP_FRAME_BAD, BGP_BAD_LENGTH, "1001" },
		{ "{ff}16 1000 02", BGP_FRAME_MORE },
		{ "{ff}16 001c 01", BGP_FRAME_BAD, BGP_BAD_LENGTH, "001c" },
		{ "{ff}16 001d 01", BGP_FRAME_MORE },
		{ "{ff}16 0014 03", BGP_FRAME_BAD, BGP_BAD_LENGTH, "0014" },
		{ "{ff}16 0013 00", BGP_FRAME_BAD, BGP_BAD_TYPE, "00" },
		{ "{ff}16 0013 06", BGP_FRAME_BAD, BGP_BAD_TYPE, "06" },
		{ "{ff}16 0013 ff", BGP_FRAME_BAD, BGP_BAD_TYPE, "ff" },
	};
	uint8_t bytes[BGP_FIXTURE_MAX], data[8];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = bgp_fixture_hex(bytes, sizeof(bytes), rows[i].bytes), len = 0;
		uint8_t *p = exact_copy(bytes, n);
		struct bgp_error e = { 0 };

		if (bgp_frame(p, n, &len, &e) != rows[i].frame || e.subcode != rows[i].subcode)
			fail_msg("\"%s\": another answer, 1/%u", rows[i].bytes, e.subcode);
		if (rows[i].frame == BGP_FRAME_WHOLE)
			assert_int_equal(len, BGP_HEADER_LEN);
		if (rows[i].frame == BGP_FRAME_BAD) {
			assert_int_equal(e.code, BGP_HEADER_ERROR);
			assert_int_equal(e.data_len, bgp_fixture_hex(data, sizeof(data), rows[i].data));
			if (e.data_len > 0)
				assert_memory_equal(e.data, data, e.data_len);
		}
		free(p);
	}
	assert_int_equal(bgp_keepalive_emit(bytes), BGP_HEADER_LEN);
	size_t len;
	assert_int_equal(bgp_frame(bytes, BGP_HEADER_LEN, &len, &(struct bgp_error){ 0 }), BGP_FRAME_WHOLE);
	assert_int_equal(bytes[18], BGP_KEEPALIVE);
}

/* Would catch: an End-of-refresh mark taken for a request, a reserved byte that is believed, RFC 7313's own error sent
 * to who did not agree to it. */
static void test_refresh(void **state)
{
	static const struct {
		bool enhanced;
		const char *body;
		enum bgp_disposition d;
		uint8_t kind, code, subcode;
	} rows[] = {
		{ false, "0001 00 01", BGP_ACCEPT, BGP_REFRESH_ASKED },
		{ false, "0001 02 01", BGP_ACCEPT, BGP_REFRESH_ASKED },
		{ true, "0001 02 01", BGP_ACCEPT, BGP_REFRESH_ENDS },
		{ true, "0001 07 01", BGP_ACCEPT, 7 },
		{ false, "0001 00", BGP_RESET, 0, BGP_HEADER_ERROR, BGP_BAD_LENGTH },
		{ false, "", BGP_RESET, 0, BGP_HEADER_ERROR, BGP_BAD_LENGTH },
		{ true, "0001 00 01 80", BGP_RESET, 0, BGP_HEADER_ERROR, BGP_BAD_LENGTH },
		{ true, "0001 01 01 80", BGP_RESET, 0, BGP_REFRESH_ERROR, BGP_REFRESH_BAD_LENGTH },
		{ true, "0001 02", BGP_RESET, 0, BGP_REFRESH_ERROR, BGP_REFRESH_BAD_LENGTH },
		{ false, "0001 02", BGP_RESET, 0, BGP_HEADER_ERROR, BGP_BAD_LENGTH },
		{ true, "0001", BGP_RESET, 0, BGP_HEADER_ERROR, BGP_BAD_LENGTH },
	};
	uint8_t bytes[BGP_FIXTURE_MAX], again[BGP_REFRESH_LEN];
	struct bgp_wire w = bgp_fixture_wire();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = bgp_fixture_message(bytes, BGP_ROUTE_REFRESH, rows[i].body);
		uint8_t *p = exact_copy(bytes, len);
		struct bgp_error e = { 0 };
		struct bgp_refresh r;

		w.enhanced_refresh = rows[i].enhanced;
		if (bgp_refresh_parse(&w, p, len, &r, &e) != rows[i].d || e.code != rows[i].code ||
		    e.subcode != rows[i].subcode || r.kind != rows[i].kind)
			fail_msg("\"%s\": another answer", rows[i].body);
		if (rows[i].code == BGP_REFRESH_ERROR)
			assert_true(e.data == p && e.data_len == len); /* the whole message: RFC 7313 section 5 */
		free(p);
	}
	const struct bgp_refresh ends = { .afi = 1, .kind = BGP_REFRESH_ENDS, .safi = 1 };

	assert_int_equal(bgp_refresh_emit(again, &ends), BGP_REFRESH_LEN);
	assert_int_equal(bgp_fixture_message(bytes, BGP_ROUTE_REFRESH, "0001 02 01"), BGP_REFRESH_LEN);
	assert_memory_equal(again, bytes, BGP_REFRESH_LEN);
}

static void read_notification(const char *body, struct bgp_notification *n)
{
	static uint8_t bytes[BGP_FIXTURE_MAX];

	bgp_notification_parse(bytes, bgp_fixture_message(bytes, BGP_NOTIFICATION, body), n);
}

/* Would catch: a text read beyond the message, or where none belongs; a hard reset whose inner codes are not seen. */
static void test_notification(void **state)
{
	struct bgp_notification n;

	read_notification("06 02 05 68656c6c6f", &n);
	assert_int_equal(n.text_len, 5);
	assert_memory_equal(n.text, "hello", 5);
	read_notification("06 02 06 68656c6c6f", &n);
	assert_int_equal(n.text_len, 0);
	assert_int_equal(n.data_len, 6);
	read_notification("06 02", &n);
	assert_int_equal(n.text_len, 0);
	read_notification("06 03 05 68656c6c6f", &n);
	assert_int_equal(n.text_len, 0);
	read_notification("06 09 06 04 02 6f6b", &n);
	assert_true(n.is_hard && n.code == BGP_CEASE && n.subcode == BGP_CEASE_RESET);
	assert_int_equal(n.text_len, 2);
	read_notification("06 09", &n);
	assert_true(n.is_hard && n.code == BGP_CEASE && n.subcode == BGP_CEASE_HARD_RESET);
}

/* Would catch: a text cut within a character, a hard reset without what it is about, a NOTIFICATION longer than a
 * message, one that is sent though none is due. */
static void test_notification_is_written(void **state)
{
	static uint8_t p[BGP_MESSAGE_MAX], data[BGP_MESSAGE_MAX];
	struct bgp_notification n;
	char text[300];

	/* 254 letters, and then two bytes that are one. */
	memset(text, 'a', sizeof(text));
	text[254] = (char)0xc3;
	text[255] = (char)0xa4;
	struct bgp_cease c = { BGP_CEASE_SHUTDOWN, false, text, sizeof(text) };
	bgp_notification_parse(p, bgp_cease_emit(p, &c), &n);
	assert_true(n.code == BGP_CEASE && n.subcode == BGP_CEASE_SHUTDOWN && !n.is_hard);
	assert_int_equal(n.text_len, 254);
	c.is_hard = true;
	c.text_len = 7;
	bgp_notification_parse(p, bgp_cease_emit(p, &c), &n);
	assert_true(n.is_hard && n.subcode == BGP_CEASE_SHUTDOWN && n.text_len == 7);
	c = (struct bgp_cease){ .subcode = BGP_CEASE_COLLISION };
	assert_int_equal(bgp_cease_emit(p, &c), BGP_HEADER_LEN + 2);

	struct bgp_error e = { BGP_UPDATE_ERROR, BGP_BAD_ORIGIN, .data = data, .data_len = sizeof(data) };
	assert_int_equal(bgp_notification_emit(p, &e), BGP_MESSAGE_MAX);
	e.code = BGP_NO_NOTIFICATION;
	assert_int_equal(bgp_notification_emit(p, &e), 0);
}

/* Would catch: a name at the wrong number, a number without a name read beyond the table. */
static void test_names(void **state)
{
	static const struct {
		uint8_t code, subcode;
		const char *text;
	} rows[] = {
		{ 3, 10, "3/10 UPDATE Message Error, Invalid Network Field" },
		{ 5, 2, "5/2 Finite State Machine Error, Unexpected Message in OpenConfirm" },
		{ 2, 11, "2/11 OPEN Message Error, Role Mismatch" },
		{ 6, 10, "6/10 Cease, BFD Down" },
		{ 8, 0, "8/0 Send Hold Timer Expired" },
		{ 2, 5, "2/5 OPEN Message Error" },
		{ 3, 200, "3/200 UPDATE Message Error" },
		{ 99, 1, "99/1" },
	};
	char buf[100];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct text t = text_of(buf, sizeof(buf));

		bgp_code_format(&t, rows[i].code, rows[i].subcode);
		assert_string_equal(buf, rows[i].text);
	}
}

/* Would catch: a kind of message taken in a phase where it has no place, or refused where it has. */
static void test_phases(void **state)
{
	static const char *const bodies[] = { [BGP_OPEN] = "04 fde9 005a 0a09000b 00",
					      [BGP_UPDATE] = "0000 0000",
					      [BGP_NOTIFICATION] = "06 02",
					      [BGP_KEEPALIVE] = "",
					      [BGP_ROUTE_REFRESH] = "0001 00 01" };
	/* A digit a type: 0 accepted, else the code and subcode with which it ends; 9 the peer's own end. */
	static const char *const want[] = {
		[BGP_OPEN_SENT] = "01911", [BGP_OPEN_CONFIRM] = "22902", [BGP_ESTABLISHED] = "30900"
	};
	static uint8_t p[BGP_FIXTURE_MAX];
	static struct bgp_message m;
	const struct bgp_wire w = bgp_fixture_wire();

	for (enum bgp_phase phase = BGP_OPEN_SENT; phase <= BGP_ESTABLISHED; phase++)
		for (enum bgp_type type = BGP_OPEN; type <= BGP_ROUTE_REFRESH; type++) {
			size_t len = bgp_fixture_message(p, type, bodies[type]);
			char digit = want[phase][type - 1];
			bool good = bgp_message_parse(&w, phase, p, len, &m) == BGP_ACCEPT;

			assert_true(good == (digit == '0'));
			assert_int_equal(m.type, type);
			if (digit == '9') {
				assert_int_equal(m.error.code, BGP_NO_NOTIFICATION);
			} else if (!good) {
				assert_true(m.error.code == BGP_FSM_ERROR && m.error.subcode == digit - '0');
				assert_true(m.error.data_len == 1 && m.error.data[0] == type); /* RFC 6608 section 3 */
			}
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame),        cmocka_unit_test(test_refresh),
		cmocka_unit_test(test_notification), cmocka_unit_test(test_notification_is_written),
		cmocka_unit_test(test_names),        cmocka_unit_test(test_phases),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
