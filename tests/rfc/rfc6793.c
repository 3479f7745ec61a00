/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RFC 6793 (four-octet AS numbers), as far as messages go. Our neighbours of old have two octets (session e2).
 */
#include "bgp.h"

#include "base/util.h"
#include "check/cmocka.h"

#define OLD .session = TRIAL_E2
#define FROM_OLD(attrs) ANNOUNCE(ORIGIN HOP_E2 attrs), OLD

static const struct bgp_out to_old = { .kind = BGP_EXTERNAL, .local_as = 65000, .next_hop = IP4(10, 9, 0, 1) },
			    to_new = { .kind = BGP_EXTERNAL,
				       .as4 = true,
				       .local_as = 65000,
				       .next_hop = IP4(10, 9, 0, 1) },
			    wide_to_old = { .kind = BGP_EXTERNAL, .local_as = 200000, .next_hop = IP4(10, 9, 0, 1) };

#define OUR_HOP "40 03 04 0a090001 "

static void says_its_as(void)
{
	const struct bgp_open o = {
		.as = 200000, .id = 1, .hold_s = 90, .can = { .role = BGP_ROLE_NONE, .as4 = 200000 }
	};
	uint8_t p[BGP_OPEN_LEN_MAX];

	rfc_bgp_bytes(p, bgp_open_emit(p, &o), "{ff}16 0025 01 04 5ba0 005a 00000001 08 02 06 41 04 00030d40");
}

static void new_to_new(void)
{
	rfc_bgp_told(TRIAL_E4, ORIGIN HOP "40 02 0a 0202 0000fde9 00030d40 c0 07 08 00030d40 01020304", &to_new,
		     ORIGIN "40 02 0e 0203 0000fde8 0000fde9 00030d40" OUR_HOP "c0 07 08 00030d40 01020304");
}

static void new_to_old(void)
{
	rfc_bgp_told(TRIAL_E4, ORIGIN HOP "40 02 0a 0202 0000fde9 00030d40", &to_old,
		     ORIGIN "40 02 08 0203 fde8 fde9 5ba0" OUR_HOP "c0 11 0e 0203 0000fde8 0000fde9 00030d40");
}

static void mappable_to_old(void)
{
	rfc_bgp_told(TRIAL_E4, USUAL "c0 07 08 00000007 01020304", &to_old,
		     ORIGIN "40 02 06 0202 fde8 fde9" OUR_HOP "c0 07 06 0007 01020304");
}

static void own_as_to_old(void)
{
	rfc_bgp_told(TRIAL_E4, USUAL, &wide_to_old,
		     ORIGIN "40 02 06 0202 5ba0 fde9" OUR_HOP "c0 11 0a 0202 00030d40 0000fde9");
}

static void aggregator_to_old(void)
{
	rfc_bgp_told(TRIAL_E4, USUAL "c0 07 08 00030d40 01020304", &to_old,
		     ORIGIN "40 02 06 0202 fde8 fde9" OUR_HOP "c0 07 06 5ba0 01020304 c0 12 08 00030d40 01020304");
}

static const struct rfc_bgp_row rows[] = {
	{ "3", "Our AS stands in the capability; where two octets do not hold it, AS_TRANS", .run = says_its_as },
	{ "4.1", "Agreed: AS_PATH and AGGREGATOR have four octets", .run = new_to_new },
	{ "4.1", "... and of such a peer none of two is understood", "withdraw", NULL,
	  ANNOUNCE(ORIGIN HOP "40 02 06 0202 fde9 0007") },
	{ "4.1", "AS4_PATH of such a peer is discarded", "ok", "-17,=2:02020000fde80000fde9",
	  ANNOUNCE(USUAL "c0 11 06 0201 00030d40") },
	{ "4.1", "... and AS4_AGGREGATOR", "ok", "-18", ANNOUNCE(USUAL "c0 12 08 00030d40 01020304") },
	{ "4.2.1", "One without the capability says its AS in two octets", "ok", NULL, OPEN("04 fdeb 005a 0a09000d 00"),
	  OLD },
	{ "4.2.1", "AS_TRANS is nobody's AS", "reset 2/2", NULL, OPEN("04 5ba0 005a 0a09000d 00"), OLD },
	{ "4.2.2", "To one with two octets AS_TRANS, and the whole path in AS4_PATH", .run = new_to_old },
	{ "4.2.2", "... no AS4_PATH when two octets hold all", .run = mappable_to_old },
	{ "4.2.2", "... our own AS counts", .run = own_as_to_old },
	{ "4.2.2", "AGGREGATOR likewise", .run = aggregator_to_old },
	{ "4.2.2", "AS4_PATH has no confederation's segments", .why = "we are in none, and pass none on" },
	{ "4.2.3", "AGGREGATOR of AS_TRANS: AS4_AGGREGATOR is the one", "ok", "=7:00030d41c0000201,-18",
	  FROM_OLD("40 02 06 0202 fdeb 0064 c0 07 06 5ba0 c0000201 c0 12 08 00030d41 c0000201") },
	{ "4.2.3", "AGGREGATOR of another AS: AS4_AGGREGATOR and AS4_PATH are ignored", "ok",
	  "=7:00000064c0000201,=2:02030000fde80000fdeb00005ba0",
	  FROM_OLD(
		  "40 02 06 0202 fdeb 5ba0 c0 07 06 0064 c0000201 c0 12 08 00030d41 c0000201 c0 11 06 0201 00030d41") },
	{ "4.2.3", "AS4_PATH longer than AS_PATH is ignored", "ok", "=2:02030000fde80000fdeb00005ba0,-17",
	  FROM_OLD("40 02 06 0202 fdeb 5ba0 c0 11 0e 0203 00000001 00000002 00000003") },
	{ "4.2.3", "Else what is in front of it comes from AS_PATH", "ok", "=2:02040000fde80000fdeb0000fc0000030d41",
	  FROM_OLD("40 02 08 0203 fdeb fc00 5ba0 c0 11 06 0201 00030d41") },
	{ "6", "A malformed AS4_PATH is discarded: of odd length", "ok", "-17",
	  FROM_OLD("40 02 04 0201 fdeb c0 11 07 0201 00030d41 00") },
	{ "6", "... too short for a number", "ok", "-17", FROM_OLD("40 02 04 0201 fdeb c0 11 02 0200") },
	{ "6", "... with a segment that does not fit", "ok", "-17",
	  FROM_OLD("40 02 04 0201 fdeb c0 11 06 0202 00030d41") },
	{ "6", "... or of a type that there is not", "ok", "-17",
	  FROM_OLD("40 02 04 0201 fdeb c0 11 06 0501 00030d41") },
	{ "6", "A confederation's segments are discarded, the rest is used", "ok",
	  "=2:02040000fde80000fdeb00005ba000030d42",
	  FROM_OLD("40 02 08 0203 fdeb 5ba0 5ba0 c0 11 0c 0301 00030d40 0201 00030d42") },
	{ "6", "AS4_AGGREGATOR of another length is discarded", "ok", "=7:00005ba0c0000201",
	  FROM_OLD("40 02 04 0201 fdeb c0 07 06 5ba0 c0000201 c0 12 06 5ba0 c0000201") },
	{ "7", "AS_TRANS in a path with four octets is no error", "ok", NULL,
	  ANNOUNCE(ORIGIN HOP "40 02 0a 0202 0000fde9 00005ba0") },
};

const struct rfc_bgp_table rfc6793_table = { "RFC 6793", rows, ARRAY_LEN(rows) };
