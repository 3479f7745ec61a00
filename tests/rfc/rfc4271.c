/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RFC 4271 (BGP-4), as far as messages go: sections 4, 5 and 6. Where RFC 7606 has changed what comes of an error, the
 * row is there.
 */
#include "bgp.h"

#include "base/util.h"
#include "check/cmocka.h"

#define FIXED "04 fde9 005a 0a09000b "

static uint8_t p[BGP_MESSAGE_MAX];

static void header_is_written(void)
{
	rfc_bgp_bytes(p, bgp_keepalive_emit(p), "{ff}16 0013 04");
}

static void open_is_written(void)
{
	const struct bgp_open o = {
		.as = 65000, .id = IP4(10, 9, 0, 1), .hold_s = 90, .can = { .role = BGP_ROLE_NONE }
	};

	rfc_bgp_bytes(p, bgp_open_emit(p, &o), "{ff}16 001d 01 04 fde8 005a 0a090001 00");
}

static void notification_is_written(void)
{
	static const uint8_t data[] = { 0x00, 0x12 };
	const struct bgp_error e = { BGP_HEADER_ERROR, BGP_BAD_LENGTH, .data = data, .data_len = 2 };

	rfc_bgp_bytes(p, bgp_notification_emit(p, &e), "{ff}16 0017 03 01 02 0012");
}

/* The one that arrives gets the data that its section wants. */
static void expect_error(const char *hex, uint8_t code, uint8_t subcode, const char *data)
{
	static struct trial t;

	trial_run(&t, TRIAL_E4, BGP_OPEN_SENT, p, bgp_fixture_hex(p, sizeof(p), hex));
	assert_int_equal(t.result, TRIAL_RESET);
	assert_int_equal(t.message.error.code, code);
	assert_int_equal(t.message.error.subcode, subcode);
	rfc_bgp_bytes(t.message.error.data, t.message.error.data_len, data);
}

static void data_of_length(void)
{
	expect_error("{ff}16 0012 04", BGP_HEADER_ERROR, BGP_BAD_LENGTH, "0012");
}

static void data_of_type(void)
{
	expect_error("{ff}16 0013 2a", BGP_HEADER_ERROR, BGP_BAD_TYPE, "2a");
}

static void data_of_version(void)
{
	expect_error("{ff}16 001d 01 05 fde9 005a 0a09000b 00", BGP_OPEN_ERROR, BGP_BAD_VERSION, "0004");
}

static void data_of_unknown(void)
{
	static struct trial t;

	trial_run(&t, TRIAL_E4, BGP_ESTABLISHED, p, bgp_fixture_update(p, "", USUAL "40 c8 01 02", P));
	rfc_bgp_bytes(t.message.error.data, t.message.error.data_len, "40 c8 01 02");
}

static void one_set_a_message(void)
{
	static const struct ip4_prefix two[] = { { IP4(10, 0, 0, 0), 8 }, { IP4(192, 0, 2, 0), 24 } };
	static uint8_t attrs[64];
	struct bgp_update_job job = { .nlri = two, .n_nlri = 2, .attrs = attrs };

	job.attrs_len = bgp_fixture_hex(attrs, sizeof(attrs), USUAL);
	rfc_bgp_bytes(p, bgp_update_emit(p, &job), "{ff}16 0031 02 0000 0014" USUAL "08 0a 18 c00002");
}

static void too_long_is_not_cut(void)
{
	static uint8_t set[BGP_SET_MAX], out[BGP_EMITTED_MAX];
	const struct bgp_out to = { .kind = BGP_EXTERNAL, .as4 = true, .local_as = 65000, .next_hop = 1 };
	/* It came in a message, which it filled. */
	size_t len, n = bgp_fixture_hex(set, sizeof(set), USUAL "f0 d3 0fcd {ab}4045");

	assert_int_equal(bgp_set_emit(&to, (struct bgp_nlri){ set, n }, out, sizeof(out), &len), BGP_TOO_LONG);
}

static const struct bgp_out other_as = { .kind = BGP_EXTERNAL,
					 .as4 = true,
					 .local_as = 65000,
					 .next_hop = IP4(10, 9, 0, 1) },
			    own_as = { .kind = BGP_INTERNAL, .as4 = true, .local_as = 65000, .local_pref = 100 };

#define OURS ORIGIN "40 02 0a 0202 0000fde8 0000fde9 40 03 04 0a090001 "

static void types_ascend(void)
{
	rfc_bgp_told(TRIAL_E4, "c0 08 04 00010002" HOP PATH ORIGIN, &other_as, OURS "c0 08 04 00010002");
}

static void low_flags_are_zero(void)
{
	rfc_bgp_told(TRIAL_E4, "4f 01 01 00 " PATH HOP, &other_as, OURS);
}

static void not_prepended_within(void)
{
	rfc_bgp_told(TRIAL_E4, USUAL, &own_as, USUAL "40 05 04 00000064");
}

static void med_goes_no_further(void)
{
	rfc_bgp_told(TRIAL_E4, USUAL "80 04 04 00000007", &other_as, OURS);
}

static void med_within(void)
{
	rfc_bgp_told(TRIAL_E4, USUAL "80 04 04 00000007", &own_as, USUAL "80 04 04 00000007 40 05 04 00000064");
}

static void partial_is_zero(void)
{
	rfc_bgp_told(TRIAL_E4, USUAL "a0 04 04 00000007", &own_as, USUAL "80 04 04 00000007 40 05 04 00000064");
}

static void local_pref_stays(void)
{
	rfc_bgp_told(TRIAL_I4, ORIGIN "40 02 00 40 03 04 0a09000c 40 05 04 00000064", &other_as,
		     ORIGIN "40 02 06 0201 0000fde8 40 03 04 0a090001");
}

static const struct rfc_bgp_row rows[] = {
	{ "4.1", "The marker is all ones", "reset 1/1", NULL, BYTES("{ff}15 fe 0013 04") },
	{ "4.1", "... of what is sent too; the length counts the header", .run = header_is_written },
	{ "4.1", "No message is shorter than 19 bytes", "reset 1/2", NULL, BYTES("{ff}16 0012 04") },
	{ "4.1", "... nor longer than 4,096", "reset 1/2", NULL, BYTES("{ff}16 1001 02 {00}4078") },
	{ "4.1", "One of 4,096 is taken", "ok", NULL, ANNOUNCE(USUAL "d0 d3 0fc5 {ab}4037") },
	{ "4.2", "OPEN: version, AS, hold time, identifier, parameters", .run = open_is_written },
	{ "4.2", "A hold time is 0 ...", "ok", NULL, OPEN("04 fde9 0000 0a09000b 00") },
	{ "4.2", "... or 3 s and more", "ok", NULL, OPEN("04 fde9 0003 0a09000b 00") },
	{ "4.3", "Withdrawn routes, attributes, prefixes: one set of attributes a message", .run = one_set_a_message },
	{ "4.3", "A message may only withdraw", "withdraw", NULL, UPDATE(P, "", "") },
	{ "4.3", "A prefix withdrawn and announced in one message is announced", "ok", NULL, UPDATE(P, USUAL, P) },
	{ "4.3", "Bits behind a prefix's length do not matter", "ok", NULL, UPDATE("", USUAL, P "14 c6336f") },
	{ "4.3", "The lower four flags are ignored", "ok", "+1/40", ANNOUNCE("4f 01 01 00 " PATH HOP) },
	{ "4.3", "... and sent as zero", .run = low_flags_are_zero },
	{ "4.3", "Partial is 0 with well-known attributes", "ok", "+1/40,+6/40",
	  ANNOUNCE("60 01 01 00" PATH HOP "60 06 00") },
	{ "4.3", "... and with non-transitive ones", .run = partial_is_zero },
	{ "4.3", "A length may have two bytes though one would do", "ok", NULL, ANNOUNCE("50 01 0001 00" PATH HOP) },
	{ "4.4", "A KEEPALIVE is its header", "reset 1/2", NULL, BODY(BGP_KEEPALIVE, "00") },
	{ "4.5", "NOTIFICATION: code, subcode, data", .run = notification_is_written },
	{ "5", "Well-known attributes are passed on", "ok", "+6/40", ANNOUNCE(USUAL "40 06 00") },
	{ "5", "An unknown transitive one is passed on, with Partial", "ok", "+211/e0,=211:ab",
	  ANNOUNCE(USUAL "c0 d3 01 ab") },
	{ "5", "Partial that somebody else has set stays", "ok", "+8/e0", ANNOUNCE(USUAL "e0 08 04 00010002") },
	{ "5", "An unknown non-transitive one is ignored, and not passed on", "ok", "-211",
	  ANNOUNCE(USUAL "80 d3 01 ab") },
	{ "5", "Attributes come in any order", "ok", NULL, ANNOUNCE(HOP PATH ORIGIN) },
	{ "5", "... and are sent by type", .run = types_ascend },
	{ "5.1.1", "ORIGIN is nobody's to change", "ok", "=1:01", ANNOUNCE("40 01 01 01" PATH HOP) },
	{ "5.1.2", "To another AS ours goes in front of AS_PATH", "ok", "=2:02020000fde80000fde9", ANNOUNCE(USUAL) },
	{ "5.1.2", "... into a new segment before a full one or a set", "ok", "+2",
	  ANNOUNCE(ORIGIN HOP "50 02 03fe 02ff 0000fde9 {00000007}254") },
	{ "5.1.2", "To our own AS AS_PATH stays as it is", .run = not_prepended_within },
	{ "5.1.3", "Our own address is no next hop", "withdraw", NULL, ANNOUNCE(ORIGIN PATH "40 03 04 0a090001") },
	{ "5.1.4", "A MED from another AS is told no third one", .run = med_goes_no_further },
	{ "5.1.4", "... but our own", .run = med_within },
	{ "5.1.5", "LOCAL_PREF is sent to internal peers", .run = not_prepended_within },
	{ "5.1.5", "... and to no external one", .run = local_pref_stays },
	{ "5.1.5", "LOCAL_PREF of an external peer is ignored", "ok", "-5", ANNOUNCE(USUAL "40 05 04 00000001") },
	{ "5.1.6", "ATOMIC_AGGREGATE stays", "ok", "+6/40", ANNOUNCE(USUAL "40 06 00") },
	{ "6.1", "A wrong length is the NOTIFICATION's data", .run = data_of_length },
	{ "6.1", "A length that the type has not", "reset 1/2", NULL, BYTES("{ff}16 001c 01 {00}9") },
	{ "6.1", "A type that there is not", "reset 1/3", NULL, BYTES("{ff}16 0013 2a") },
	{ "6.1", "... is the NOTIFICATION's data", .run = data_of_type },
	{ "6.2", "Another version is answered by the largest that we have", .run = data_of_version },
	{ "6.2", "An AS that is not the peer's", "reset 2/2", NULL, OPEN("04 fdea 005a 0a09000b 00") },
	{ "6.2", "A hold time of 1 s", "reset 2/6", NULL, OPEN("04 fde9 0001 0a09000b 00") },
	{ "6.2", "... or 2", "reset 2/6", NULL, OPEN("04 fde9 0002 0a09000b 00") },
	{ "6.2", "An identifier that is none", "reset 2/3", NULL, OPEN("04 fde9 005a 00000000 00") },
	{ "6.2", "A parameter that nobody knows", "reset 2/4", NULL, OPEN(FIXED "02 4d00") },
	{ "6.2", "A known one that is malformed", "reset 2/0", NULL, OPEN(FIXED "04 0202 4104") },
	{ "6.3", "Lengths beyond the message", "reset 3/1", NULL, BODY(BGP_UPDATE, "0000 0040" USUAL P) },
	{ "6.3", "A well-known attribute that nobody knows is the NOTIFICATION's data", .run = data_of_unknown },
	{ "6.3", "Prefixes that are none", "reset 3/10", NULL, UPDATE("", USUAL, "21 cb00710080") },
	{ "6.3", "A multicast prefix is passed over", "ok", NULL, UPDATE("", USUAL, P "10 e001") },
	{ "6.3", "A next hop that no host can have: the session stays", "withdraw", NULL,
	  ANNOUNCE(ORIGIN PATH "40 03 04 e0000005") },
	{ "6.3", "An external peer's AS stands first", "withdraw", NULL,
	  ANNOUNCE(ORIGIN HOP "40 02 06 0201 00000007") },
	{ "6.4", "A NOTIFICATION is not answered, whatever is in it", "reset 0/0", NULL,
	  BODY(BGP_NOTIFICATION, "ff ff 00") },
	{ "6.6", "A message out of place (subcode: RFC 6608)", "reset 5/3", NULL, BODY(BGP_OPEN, FIXED "00") },
	{ "9.1.2", "A route with our AS in its path comes, and is never chosen", "loop", NULL,
	  ANNOUNCE(ORIGIN HOP "40 02 0a 0202 0000fde9 0000fde8") },
	{ "9.2", "What gets too long for a message is not sent", .run = too_long_is_not_cut },
};

const struct rfc_bgp_table rfc4271_table = { "RFC 4271", rows, ARRAY_LEN(rows) };
