/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Messages and what the RFCs ask for, one a row: what becomes of the route that the peer has announced before, and what
 * is sent on. Would catch: a disposition that is weaker or stronger than it must be, a wrong code or subcode of the
 * NOTIFICATION, an attribute that is passed on, or not, or with other flags.
 */
#include "tools/bgp/trial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "stack/wire/bgp_fixture.h"

#define E4 TRIAL_E4
#define E2 TRIAL_E2
#define I4 TRIAL_I4
#define SENT BGP_OPEN_SENT
#define CONFIRM BGP_OPEN_CONFIRM
#define UP BGP_ESTABLISHED

#define ORIGIN BGP_FIXTURE_ORIGIN
#define PATH BGP_FIXTURE_PATH
#define NO_PATH "400200 "
#define HOP BGP_FIXTURE_HOP
#define HOP_E2 "4003040a09000d "
#define HOP_I4 "4003040a09000c "
#define PREF "40050400000064 "
#define USUAL BGP_FIXTURE_USUAL
#define P BGP_FIXTURE_PREFIX

#define UPDATE(withdrawn, attrs, nlri) \
	BGP_FIXTURE_UPDATE, BGP_UPDATE, \
	{ \
		withdrawn, attrs, nlri \
	}
#define BODY(type, body) \
	BGP_FIXTURE_BODY, type, \
	{ \
		body \
	}
#define RAW(bytes) \
	BGP_FIXTURE_BYTES, BGP_UPDATE, \
	{ \
		bytes \
	}

static const struct row {
	const char *what;
	enum trial_session session;
	enum bgp_phase phase;
	const char *want, *out; /* trial.h */
	enum bgp_fixture_form form;
	enum bgp_type type;
	const char *text[3];
} rows[] = {
	/* RFC 4271 section 6.1 */
	{ "a marker with a zero in it", E4, UP, "reset 1/1", "-", RAW("ffffffffffffffffffffffffffffff00001304") },
	{ "a header that says 18 bytes", E4, UP, "reset 1/2", "-", RAW("{ff}16 001204") },
	{ "a message of 4,097 bytes, nobody having asked for longer ones", E4, UP, "reset 1/2", "-",
	  RAW("{ff}16 1001 02 {00}4078") },
	{ "type 0", E4, UP, "reset 1/3", "-", RAW("{ff}16 001300") },
	{ "type 6, which nobody has defined", E4, UP, "reset 1/3", "-", RAW("{ff}16 0015060000") },
	{ "a KEEPALIVE with a byte behind its header", E4, UP, "reset 1/2", "-", BODY(BGP_KEEPALIVE, "00") },
	{ "an UPDATE too short for its two lengths", E4, UP, "reset 1/2", "-", BODY(BGP_UPDATE, "000000") },
	/* RFC 4271 section 6.2 */
	{ "OPEN: version 3", E4, SENT, "reset 2/1", "-",
	  BODY(BGP_OPEN, "03fde9005a0a09000b0e020c01040001000141040000fde9") },
	{ "OPEN: another AS than the configured one", E4, SENT, "reset 2/2", "-",
	  BODY(BGP_OPEN, "04fe4b005a0a09000b0e020c01040001000141040000fe4b") },
	{ "OPEN: a hold time of 1 s", E4, SENT, "reset 2/6", "-",
	  BODY(BGP_OPEN, "04fde900010a09000b0e020c01040001000141040000fde9") },
	{ "OPEN: a hold time of 2 s", E4, SENT, "reset 2/6", "-",
	  BODY(BGP_OPEN, "04fde900020a09000b0e020c01040001000141040000fde9") },
	/* RFC 4271 section 4.2 */
	{ "OPEN: no hold time", E4, SENT, "ok", "-",
	  BODY(BGP_OPEN, "04fde900000a09000b0e020c01040001000141040000fde9") },
	{ "OPEN: the least hold time there is, 3 s", E4, SENT, "ok", "-",
	  BODY(BGP_OPEN, "04fde900030a09000b0e020c01040001000141040000fde9") },
	/* RFC 6286 section 2.2 */
	{ "OPEN: identifier 0", E4, SENT, "reset 2/3", "-",
	  BODY(BGP_OPEN, "04fde9005a000000000e020c01040001000141040000fde9") },
	{ "OPEN: our identifier, from another AS", E4, SENT, "ok", "-",
	  BODY(BGP_OPEN, "04fde9005a0a0900010e020c01040001000141040000fde9") },
	/* RFC 6286 section 2.1 */
	{ "OPEN: an identifier that would be no host's address", E4, SENT, "ok", "-",
	  BODY(BGP_OPEN, "04fde9005ae00000010e020c01040001000141040000fde9") },
	/* RFC 4271 section 6.2 */
	{ "OPEN: the authentication parameter of old", E4, SENT, "reset 2/4", "-",
	  BODY(BGP_OPEN, "04fde9005a0a09000b040102aabb") },
	{ "OPEN: a parameter of type 77", E4, SENT, "reset 2/4", "-", BODY(BGP_OPEN, "04fde9005a0a09000b044d02aabb") },
	{ "OPEN: parameters said to be longer than the message", E4, SENT, "reset 2/0", "-",
	  BODY(BGP_OPEN, "04fde9005a0a09000bc8020c01040001000141040000fde9") },
	{ "OPEN: a parameter longer than what is left", E4, SENT, "reset 2/0", "-",
	  BODY(BGP_OPEN, "04fde9005a0a09000b080220010400010001") },
	/* RFC 5492 section 4 */
	{ "OPEN: a capability longer than its parameter", E4, SENT, "reset 2/0", "-",
	  BODY(BGP_OPEN, "04fde9005a0a09000b080206012000010001") },
	/* RFC 5492 section 3 */
	{ "OPEN: a capability that nobody knows", E4, SENT, "ok", "-",
	  BODY(BGP_OPEN, "04fde9005a0a09000b15021301040001000141040000fde9b30568656c6c6f") },
	/* RFC 5492 section 4 */
	{ "OPEN: one capability three times", E4, SENT, "ok", "-",
	  BODY(BGP_OPEN, "04fde9005a0a09000b14021202000200020001040001000141040000fde9") },
	/* RFC 4760 section 8 */
	{ "OPEN: no parameters", E4, SENT, "ok", "-", BODY(BGP_OPEN, "04fde9005a0a09000b00") },
	/* RFC 5492 section 4 */
	{ "OPEN: a parameter for each capability", E4, SENT, "ok", "-",
	  BODY(BGP_OPEN, "04fde9005a0a09000b100206010400010001020641040000fde9") },
	/* RFC 9072 section 2 */
	{ "OPEN: parameters with lengths of two bytes", E4, SENT, "ok", "-",
	  BODY(BGP_OPEN, "04fde9005a0a09000bffff000f02000c01040001000141040000fde9") },
	/* RFC 6608 section 3 */
	{ "an UPDATE where an OPEN is due", E4, SENT, "reset 5/1", "-", UPDATE("", USUAL, P) },
	{ "a KEEPALIVE where an OPEN is due", E4, SENT, "reset 5/1", "-", BODY(BGP_KEEPALIVE, "") },
	{ "an UPDATE where a KEEPALIVE is due", E4, CONFIRM, "reset 5/2", "-", UPDATE("", USUAL, P) },
	{ "a second OPEN, in a session that is up", E4, UP, "reset 5/3", "-",
	  BODY(BGP_OPEN, "04fde9005a0a09000b0e020c01040001000141040000fde9") },
	/* RFC 2918 section 4 */
	{ "ROUTE-REFRESH for a family that we have not", E4, UP, "ignore", "-", BODY(BGP_ROUTE_REFRESH, "00190041") },
	{ "ROUTE-REFRESH for IPv4 unicast", E4, UP, "ignore", "-", BODY(BGP_ROUTE_REFRESH, "00010001") },
	/* RFC 4271 section 6.3 */
	{ "withdrawn routes said to be longer than the message", E4, UP, "reset 3/1", "-",
	  BODY(BGP_UPDATE, "0fa00014" USUAL P) },
	{ "attributes said to be longer than the message", E4, UP, "reset 3/1", "-",
	  BODY(BGP_UPDATE, "00000fa0" USUAL P) },
	{ "... by a single byte", E4, UP, "reset 3/1", "-", BODY(BGP_UPDATE, "00000019" USUAL P) },
	/* RFC 7606 section 4 */
	{ "the last attribute runs over the block", E4, UP, "withdraw", "-", UPDATE("", USUAL "c00828fde90001", P) },
	{ "one byte behind the last attribute", E4, UP, "withdraw", "-", UPDATE("", USUAL "c0", P) },
	{ "two bytes behind the last attribute", E4, UP, "withdraw", "-", UPDATE("", USUAL "c008", P) },
	{ "three bytes, of which two should be a length", E4, UP, "withdraw", "-", UPDATE("", USUAL "d00800", P) },
	/* RFC 7606 section 5.3 */
	{ "a prefix of 33 bits", E4, UP, "reset 3/10", "-", UPDATE("", USUAL, "21cb00710080") },
	{ "the last prefix lacks its last byte", E4, UP, "reset 3/10", "-", UPDATE("", USUAL, P "18c633") },
	{ "a withdrawn prefix of 33 bits", E4, UP, "reset 3/10", "-", UPDATE("21cb00710080", "", "") },
	/* RFC 4271 section 4.3 */
	{ "bits behind a prefix's length", E4, UP, "ok", "-", UPDATE("", USUAL, P "14c6336f") },
	{ "0.0.0.0/0 among others", E4, UP, "ok", "-", UPDATE("", USUAL, P "00") },
	{ "a /32 among others", E4, UP, "ok", "-", UPDATE("", USUAL, P "20c6336407") },
	{ "one prefix twice in a message", E4, UP, "ok", "-", UPDATE("", USUAL, P P "18c6336418cb0071") },
	{ "one prefix withdrawn and announced in a message: announced", E4, UP, "ok", "=2:02030000fde80000fde90000fdfc",
	  UPDATE(P, ORIGIN "40020a02020000fde90000fdfc" HOP, P) },
	/* RFC 4271 section 3.1 */
	{ "a withdrawn prefix that was never announced", E4, UP, "ignore", "-", UPDATE("19c0000200", "", "") },
	/* RFC 4271 section 4.3 */
	{ "the prefix is withdrawn", E4, UP, "withdraw", "-", UPDATE(P, "", "") },
	/* RFC 4724 section 2 */
	{ "an empty UPDATE", E4, UP, "eor", "-", UPDATE("", "", "") },
	{ "an empty MP_UNREACH_NLRI and nothing else", E4, UP, "eor", "-", UPDATE("", "800f03000101", "") },
	/* RFC 7606 section 5.2 */
	{ "attributes and no prefix", E4, UP, "ignore", "-", UPDATE("", USUAL, "") },
	{ "a malformed attribute and no prefix", E4, UP, "reset 3/6", "-", UPDATE("", PATH HOP "40010107", "") },
	{ "an AS_SET in a message that only withdraws", E4, UP, "withdraw", "-",
	  UPDATE(P, ORIGIN HOP "40021002010000fde901020000fde60000fde7", "") },
	{ "another first AS than the peer's in one", E4, UP, "withdraw", "-",
	  UPDATE(P, ORIGIN HOP "40020602010000fdea", "") },
	{ "an empty path of an external peer in one", E4, UP, "withdraw", "-", UPDATE(P, ORIGIN HOP NO_PATH, "") },
	{ "a malformed path in one", E4, UP, "reset 3/11", "-", UPDATE(P, ORIGIN HOP "40020702010000fde902", "") },
	{ "an attribute to be discarded and no prefix", E4, UP, "ignore", "-", UPDATE("", USUAL "40060101", "") },
	/* RFC 4271 section 6.3 */
	{ "a prefix within 224.0.0.0/4", E4, UP, "ignore", "-", UPDATE("", USUAL, "10e001") },
	/* RFC 7606 section 3 */
	{ "ORIGIN is missing", E4, UP, "withdraw", "-", UPDATE("", PATH HOP, P) },
	{ "AS_PATH is missing", E4, UP, "withdraw", "-", UPDATE("", ORIGIN HOP, P) },
	{ "NEXT_HOP is missing", E4, UP, "withdraw", "-", UPDATE("", ORIGIN PATH, P) },
	{ "all of them are", E4, UP, "withdraw", "-", UPDATE("", "", P) },
	{ "ORIGIN twice: the first one stands", E4, UP, "ok", "=1:00", UPDATE("", USUAL "40010102", P) },
	{ "COMMUNITIES twice: the first one stands", E4, UP, "ok", "=8:fde90001",
	  UPDATE("",
		 USUAL "c00804fde90001"
		       "c00804fde90002",
		 P) },
	{ "... and the second is not read", E4, UP, "ok", "-",
	  UPDATE("",
		 USUAL "c00804fde90001"
		       "c00803fde900",
		 P) },
	{ "MP_REACH_NLRI twice", E4, UP, "reset 3/1", "-",
	  UPDATE("",
		 USUAL "800e0d000101040a09000b0018c63364"
		       "800e0d000101040a09000b0018c63364",
		 P) },
	/* RFC 4271 section 5 */
	{ "attributes from the last type to the first", E4, UP, "ok", "-", UPDATE("", HOP PATH ORIGIN, P) },
	/* RFC 4271 section 6.3 */
	{ "a well-known attribute that we do not know", E4, UP, "reset 3/2", "-", UPDATE("", USUAL "40c8020102", P) },
	/* RFC 4271 section 5 */
	{ "an unknown optional transitive attribute", E4, UP, "ok", "+211/e0,=211:deadbeef",
	  UPDATE("", USUAL "c0d304deadbeef", P) },
	{ "... with Partial set by somebody before", E4, UP, "ok", "+211/e0", UPDATE("", USUAL "e0d304deadbeef", P) },
	{ "... without a value", E4, UP, "ok", "+211/e0", UPDATE("", USUAL "c0d300", P) },
	{ "an unknown optional non-transitive attribute", E4, UP, "ok", "-212", UPDATE("", USUAL "80d40101", P) },
	/* RFC 4271 section 4.3 */
	{ "an unknown transitive attribute of 600 bytes", E4, UP, "ok", "+213/f0",
	  UPDATE("", USUAL "d0d50258{a5}600", P) },
	/* RFC 7606 section 3 */
	{ "ORIGIN with Optional set", E4, UP, "withdraw", "-", UPDATE("", PATH HOP "c0010100", P) },
	{ "AS_PATH without Transitive", E4, UP, "withdraw", "-", UPDATE("", ORIGIN HOP "00020602010000fde9", P) },
	{ "NEXT_HOP with Optional set", E4, UP, "withdraw", "-", UPDATE("", ORIGIN PATH "c003040a09000b", P) },
	{ "MULTI_EXIT_DISC with Transitive set", E4, UP, "withdraw", "-", UPDATE("", USUAL "c0040400000005", P) },
	{ "COMMUNITIES without Transitive", E4, UP, "withdraw", "-", UPDATE("", USUAL "800804fde90001", P) },
	/* RFC 4271 section 4.3 */
	{ "the four flags that nobody has defined", E4, UP, "ok", "+1/40", UPDATE("", PATH HOP "4f010100", P) },
	{ "Partial with well-known attributes, where it must be 0", E4, UP, "ok", "+1/40,+2/40,+6/40",
	  UPDATE("", "60010100 60020602010000fde9" HOP "600600", P) },
	{ "two bytes of length for one byte of value", E4, UP, "ok", "+1/40", UPDATE("", "5001000100" PATH HOP, P) },
	/* RFC 7606 section 7.1 */
	{ "ORIGIN without a value", E4, UP, "withdraw", "-", UPDATE("", PATH HOP "400100", P) },
	{ "ORIGIN of two bytes", E4, UP, "withdraw", "-", UPDATE("", PATH HOP "4001020000", P) },
	{ "ORIGIN 3", E4, UP, "withdraw", "-", UPDATE("", PATH HOP "40010103", P) },
	/* RFC 4271 section 5.1.1 */
	{ "ORIGIN EGP", E4, UP, "ok", "=1:01", UPDATE("", PATH HOP "40010101", P) },
	/* RFC 4271 section 6.3 */
	{ "an empty AS_PATH from an external peer", E4, UP, "withdraw", "-", UPDATE("", ORIGIN HOP NO_PATH, P) },
	{ "the first AS is not the peer's", E4, UP, "withdraw", "-",
	  UPDATE("", ORIGIN HOP "40020a02020000fdea0000fde9", P) },
	/* RFC 7606 section 7.2 */
	{ "a segment of type 0", E4, UP, "withdraw", "-", UPDATE("", ORIGIN HOP "40020600010000fde9", P) },
	{ "a second segment, of type 5", E4, UP, "withdraw", "-",
	  UPDATE("", ORIGIN HOP "40020c02010000fde905010000fdea", P) },
	{ "a second segment, without a number", E4, UP, "withdraw", "-",
	  UPDATE("", ORIGIN HOP "40020802010000fde90200", P) },
	{ "a segment that has one number more than there is room", E4, UP, "withdraw", "-",
	  UPDATE("", ORIGIN HOP "40020a02030000fde90000fdea", P) },
	{ "a byte behind the last segment", E4, UP, "withdraw", "-", UPDATE("", ORIGIN HOP "40020702010000fde902", P) },
	{ "numbers of two octets where four were agreed", E4, UP, "withdraw", "-",
	  UPDATE("", ORIGIN HOP "4002060202fde9fde7", P) },
	/* RFC 7607 section 2 */
	{ "AS 0 in the midst of AS_PATH", E4, UP, "withdraw", "-",
	  UPDATE("", ORIGIN HOP "40020e02030000fde9000000000000fded", P) },
	/* RFC 4271 section 9.1.2 */
	{ "our own AS in AS_PATH", E4, UP, "loop", "-",
	  UPDATE("", ORIGIN HOP "40020e02030000fde90000fde80000fde7", P) },
	/* RFC 9774 section 3 */
	{ "an AS_SET behind the sequence", E4, UP, "withdraw", "-",
	  UPDATE("", ORIGIN HOP "40021002010000fde901020000fde60000fde7", P) },
	/* RFC 5065 section 5 */
	{ "a confederation's sequence from outside", E4, UP, "withdraw", "-",
	  UPDATE("", ORIGIN HOP "40020c03010000fdf202010000fde9", P) },
	/* RFC 4271 section 4.3 */
	{ "a first segment that is full: ours begins another", E4, UP, "ok", "+2",
	  UPDATE("", ORIGIN HOP "500203fe02ff0000fde9{0000fde7}254", P) },
	{ "a path in two sequences", E4, UP, "ok", "-",
	  UPDATE("", ORIGIN HOP "40021002020000fde90000fc0002010000fde7", P) },
	/* RFC 6793 section 9 */
	{ "AS_TRANS from a peer with four octets", E4, UP, "ok", "-",
	  UPDATE("", ORIGIN HOP "40020a02020000fde900005ba0", P) },
	/* RFC 6996 */
	{ "the last AS number there is", E4, UP, "ok", "-", UPDATE("", ORIGIN HOP "40020a02020000fde9fffffffe", P) },
	/* RFC 7606 section 7.3 */
	{ "NEXT_HOP of three bytes", E4, UP, "withdraw", "-", UPDATE("", ORIGIN PATH "4003030a0900", P) },
	{ "NEXT_HOP of five bytes", E4, UP, "withdraw", "-", UPDATE("", ORIGIN PATH "4003050a09000b00", P) },
	/* RFC 4271 section 6.3 */
	{ "next hop 0.0.0.0", E4, UP, "withdraw", "-", UPDATE("", ORIGIN PATH "40030400000000", P) },
	{ "our own address as next hop", E4, UP, "withdraw", "-", UPDATE("", ORIGIN PATH "4003040a090001", P) },
	{ "next hop 224.0.0.5", E4, UP, "withdraw", "-", UPDATE("", ORIGIN PATH "400304e0000005", P) },
	/* RFC 4271 section 5.1.3 */
	{ "a third one on the subnet as next hop", E4, UP, "ok", "-", UPDATE("", ORIGIN PATH "4003040a09000e", P) },
	/* RFC 7606 section 7.4 */
	{ "MULTI_EXIT_DISC of three bytes", E4, UP, "withdraw", "-", UPDATE("", USUAL "800403000001", P) },
	{ "MULTI_EXIT_DISC of eight bytes", E4, UP, "withdraw", "-", UPDATE("", USUAL "8004080000000000000000", P) },
	/* RFC 4271 section 5.1.4 */
	{ "the largest MULTI_EXIT_DISC, which is told no other AS", E4, UP, "ok", "-4",
	  UPDATE("", USUAL "800404ffffffff", P) },
	/* RFC 7606 section 7.5 */
	{ "LOCAL_PREF from an external peer", E4, UP, "ok", "-5", UPDATE("", USUAL "40050400000100", P) },
	{ "... of three bytes", E4, UP, "ok", "-5", UPDATE("", USUAL "400503000001", P) },
	/* RFC 4271 section 5.1.5 */
	{ "LOCAL_PREF from an internal peer", I4, UP, "ok", "-5",
	  UPDATE("", ORIGIN NO_PATH HOP_I4 "40050400000100", P) },
	/* RFC 7606 section 7.5 */
	{ "... of three bytes", I4, UP, "withdraw", "-", UPDATE("", ORIGIN NO_PATH HOP_I4 "400503000001", P) },
	/* RFC 4271 section 5.1.6 */
	{ "ATOMIC_AGGREGATE", E4, UP, "ok", "+6/40", UPDATE("", USUAL "400600", P) },
	/* RFC 7606 section 7.6 */
	{ "ATOMIC_AGGREGATE with a value", E4, UP, "ok", "-6", UPDATE("", USUAL "40060100", P) },
	/* RFC 4271 section 5.1.7 */
	{ "AGGREGATOR", E4, UP, "ok", "=7:0000fde7c0000201", UPDATE("", USUAL "c007080000fde7c0000201", P) },
	/* RFC 7606 section 7.7 */
	{ "AGGREGATOR with an AS of two octets where four were agreed", E4, UP, "ok", "-7",
	  UPDATE("", USUAL "c00706fde7c0000201", P) },
	{ "AGGREGATOR of nine bytes", E4, UP, "ok", "-7", UPDATE("", USUAL "c007090000fde7c000020100", P) },
	/* RFC 7607 section 2 */
	{ "AGGREGATOR of AS 0", E4, UP, "ok", "-7", UPDATE("", USUAL "c0070800000000c0000201", P) },
	/* RFC 7606 section 7.8 */
	{ "a community", E4, UP, "ok", "=8:fde90064", UPDATE("", USUAL "c00804fde90064", P) },
	{ "COMMUNITIES without one", E4, UP, "withdraw", "-", UPDATE("", USUAL "c00800", P) },
	{ "COMMUNITIES of five bytes", E4, UP, "withdraw", "-", UPDATE("", USUAL "c00805fde9006400", P) },
	/* RFC 7606 section 7.14 */
	{ "an extended community", E4, UP, "ok", "=16:0002fde900000064",
	  UPDATE("", USUAL "c010080002fde900000064", P) },
	{ "EXTENDED_COMMUNITIES without one", E4, UP, "withdraw", "-", UPDATE("", USUAL "c01000", P) },
	{ "EXTENDED_COMMUNITIES of nine bytes", E4, UP, "withdraw", "-",
	  UPDATE("", USUAL "c010090002fde90000006400", P) },
	/* RFC 8092 section 6 */
	{ "a large community", E4, UP, "ok", "=32:0000fde90000000100000002",
	  UPDATE("", USUAL "c0200c0000fde90000000100000002", P) },
	{ "LARGE_COMMUNITIES without one", E4, UP, "withdraw", "-", UPDATE("", USUAL "c02000", P) },
	{ "LARGE_COMMUNITIES of 13 bytes", E4, UP, "withdraw", "-",
	  UPDATE("", USUAL "c0200d0000fde9000000010000000200", P) },
	/* RFC 4271 section 5 */
	{ "COMMUNITIES with Partial, which stays", E4, UP, "ok", "+8/e0", UPDATE("", USUAL "e00804fde90064", P) },
	/* RFC 4271 section 4.3 */
	{ "500 communities", E4, UP, "ok", "+8/d0", UPDATE("", USUAL "d00807d0{fde90001}500", P) },
	/* RFC 1997 */
	{ "NO_ADVERTISE", E4, UP, "ok", "none", UPDATE("", USUAL "c00804ffffff02", P) },
	{ "NO_EXPORT", E4, UP, "ok", "none", UPDATE("", USUAL "c00804ffffff01", P) },
	/* RFC 7606 section 7.9 */
	{ "ORIGINATOR_ID from an external peer", E4, UP, "ok", "-9", UPDATE("", USUAL "800904c0000209", P) },
	/* RFC 7606 section 7.10 */
	{ "CLUSTER_LIST from an external peer", E4, UP, "ok", "-10", UPDATE("", USUAL "800a04c0000209", P) },
	/* RFC 7606 section 7.9 */
	{ "ORIGINATOR_ID of three bytes from an internal peer", I4, UP, "withdraw", "-",
	  UPDATE("", ORIGIN NO_PATH HOP_I4 PREF "800903010203", P) },
	/* RFC 4456 section 8 */
	{ "our identifier as ORIGINATOR_ID", I4, UP, "loop", "-",
	  UPDATE("", ORIGIN NO_PATH HOP_I4 PREF "8009040a090001", P) },
	/* RFC 7606 section 7.10 */
	{ "CLUSTER_LIST without a cluster from an internal peer", I4, UP, "withdraw", "-",
	  UPDATE("", ORIGIN NO_PATH HOP_I4 PREF "800a00", P) },
	/* RFC 4760 section 3 */
	{ "announced by MP_REACH_NLRI", E4, UP, "ok", "-",
	  UPDATE("", ORIGIN PATH "800e0d000101040a09000b0018cb0071", "") },
	/* RFC 4760 section 4 */
	{ "withdrawn by MP_UNREACH_NLRI", E4, UP, "withdraw", "-", UPDATE("", "800f0700010118cb0071", "") },
	/* RFC 7606 section 7.11 */
	{ "MP_REACH_NLRI with a next hop of three bytes", E4, UP, "reset 3/9", "-",
	  UPDATE("", ORIGIN PATH "800e0c000101030a09000018cb0071", "") },
	{ "MP_REACH_NLRI that ends within its family", E4, UP, "reset 3/9", "-", UPDATE("", USUAL "800e020001", "") },
	/* RFC 4760 section 7 */
	{ "MP_REACH_NLRI of a family that was not agreed to", E4, UP, "ignore", "-",
	  UPDATE("", ORIGIN PATH "800e09001941000018010203", "") },
	/* RFC 7606 section 7.12 */
	{ "MP_UNREACH_NLRI that ends within a prefix", E4, UP, "reset 3/9", "-", UPDATE("", "800f0500010118cb", "") },
	/* RFC 7606 section 5.1 */
	{ "MP_REACH_NLRI without a prefix beside NLRI", E4, UP, "ok", "-",
	  UPDATE("", USUAL "800e09000101040a09000b00", P) },
	/* RFC 6793 section 4.2.3 */
	{ "AS4_PATH fills in what two octets do not hold", E2, UP, "ok",
	  "=2:02050000fde80000fdeb00030d4100030d4200000064,-17",
	  UPDATE("", ORIGIN "40020a0204fdeb5ba05ba00064" HOP_E2 "c0110e020300030d4100030d4200000064", P) },
	{ "AS4_PATH longer than AS_PATH", E2, UP, "ok", "=2:02030000fde80000fdeb00005ba0,-17",
	  UPDATE("", ORIGIN "4002060202fdeb5ba0" HOP_E2 "c0110e0203000000010000000200000003", P) },
	{ "AS4_PATH shorter than AS_PATH", E2, UP, "ok", "=2:02040000fde80000fdeb0000fc0000030d41",
	  UPDATE("", ORIGIN "4002080203fdebfc005ba0" HOP_E2 "c01106020100030d41", P) },
	/* RFC 6793 section 6 */
	{ "AS4_PATH malformed", E2, UP, "ok", "=2:02030000fde80000fdeb00005ba0,-17",
	  UPDATE("", ORIGIN "4002060202fdeb5ba0" HOP_E2 "c01106020300030d41", P) },
	{ "AS4_PATH with a confederation's segment", E2, UP, "ok", "=2:02040000fde80000fdeb00005ba000030d42|-17",
	  UPDATE("", ORIGIN "4002080203fdeb5ba05ba0" HOP_E2 "c0110c030100030d41020100030d42", P) },
	/* RFC 6793 section 4.2.3 */
	{ "AS4_AGGREGATOR beside an AGGREGATOR of AS_TRANS", E2, UP, "ok", "=7:00030d41c0000201,-18",
	  UPDATE("",
		 ORIGIN "4002060202fdeb0064" HOP_E2 "c007065ba0c0000201"
			"c0120800030d41c0000201",
		 P) },
	{ "... of another AS: AS4_PATH does not count either", E2, UP, "ok",
	  "=7:00000064c0000201,=2:02030000fde80000fdeb00005ba0",
	  UPDATE("",
		 ORIGIN "4002060202fdeb5ba0" HOP_E2 "c007060064c0000201"
			"c0120800030d41c0000201"
			"c01106020100030d41",
		 P) },
	/* RFC 6793 section 4.1 */
	{ "AS4_PATH from a peer with four octets", E4, UP, "ok", "-17,=2:02020000fde80000fde9",
	  UPDATE("", USUAL "c01106020100030d41", P) },
	/* RFC 9234 section 5 */
	{ "ONLY_TO_CUSTOMER of three bytes", E4, UP, "withdraw", "-", UPDATE("", USUAL "c02303000001", P) },
	{ "ONLY_TO_CUSTOMER where nobody has a role", E4, UP, "ok", "=35:0000fde7",
	  UPDATE("", USUAL "c023040000fde7", P) },
	/* RFC 7311 section 3.3 */
	{ "AIGP, which nobody has turned on", E4, UP, "ok", "-26",
	  UPDATE("", USUAL "801a0b01000b0000000000000005", P) },
	/* RFC 9003 section 2 */
	{ "a NOTIFICATION: shutdown, with a text", E4, UP, "reset 0/0", "-",
	  BODY(BGP_NOTIFICATION, "06020568656c6c6f") },
	/* RFC 9003 section 4 */
	{ "a NOTIFICATION with a text shorter than it says", E4, UP, "reset 0/0", "-",
	  BODY(BGP_NOTIFICATION, "0602ff68656c6c6f") },
};

static void test_row(void **state)
{
	const struct row *r = *state;
	static uint8_t p[BGP_FIXTURE_MAX];
	static struct trial t;
	char got[512];
	struct text text = text_of(got, sizeof(got));

	size_t len = bgp_fixture_build(p, r->form, r->type, r->text);

	trial_run(&t, r->session, r->phase, p, len);
	trial_format(&text, &t);
	if (!trial_is_wanted(&t, r->want, r->out))
		fail_msg("want %s, sent on %s; got %s", r->want, r->out, got);
	/* And only as long as all of it is there. */
	trial_run(&t, r->session, r->phase, p, len - 1);
	if (r->form != BGP_FIXTURE_BYTES && t.result != TRIAL_UNFINISHED && t.message.error.code != BGP_HEADER_ERROR)
		fail_msg("a byte less, and it is judged already");
}

/* Would catch: a comparison that takes everything. */
static void test_unwanted(void **state)
{
	static const struct {
		const char *want, *out;
	} others[] = {
		{ "withdraw", "-" }, { "ignore", "-" },       { "loop", "-" },   { "eor", "-" },
		{ "reset", "-" },    { "ok", "none" },        { "ok", "-1" },    { "ok", "+4" },
		{ "ok", "+1/c0" },   { "ok", "+1,+4" },       { "ok", "+4|-1" }, { "ok", "=1:01" },
		{ "ok", "=1:0000" }, { "ok", "=2:" },         { "ok", "*1" },    { "ok", "=2:02010000fde9" },
		{ "", "-" },         { "withdraw|eor", "-" },
	};
	static uint8_t p[BGP_FIXTURE_MAX];
	static struct trial t;

	trial_run(&t, E4, UP, p, bgp_fixture_update(p, "", USUAL, P));
	assert_true(trial_is_wanted(&t, "eor|ok", "+4|+1/40,-4,=1:00,=2:02020000fde80000fde9"));
	assert_true(trial_is_wanted(&t, "ok", "=2:02010000fde802010000fde9"));
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (trial_is_wanted(&t, others[i].want, others[i].out))
			fail_msg("%s, %s is taken for an announcement", others[i].want, others[i].out);
	trial_run(&t, E4, UP, p, bgp_fixture_message(p, BGP_OPEN, "{00}10"));
	assert_true(trial_is_wanted(&t, "reset 5/3", "-") && trial_is_wanted(&t, "reset 5", "-"));
	assert_false(trial_is_wanted(&t, "reset 5/2", "-") || trial_is_wanted(&t, "reset 3", "-") ||
		     trial_is_wanted(&t, "ok", "-"));
}

/* The table as `yangguan bgp replay` reads it (docs/bgp.md), for tests/bgp/vectors_test, which plays it to a running
 * gateway. */
static int print_rows(void)
{
	static const char *const sessions[] = { [E4] = "e4", [E2] = "e2", [I4] = "i4" };
	static const char *const phases[] = { [SENT] = "sent", [CONFIRM] = "confirm", [UP] = "up" };
	static uint8_t p[BGP_FIXTURE_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		size_t len = bgp_fixture_build(p, r->form, r->type, r->text);

		printf("%s\t%s\t%s\t%s\t%s\t-\t", r->what, sessions[r->session], phases[r->phase], r->want, r->out);
		for (size_t k = 0; k < len; k++)
			printf("%02x", p[k]);
		printf("\n");
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--vectors") == 0)
		return print_rows();
	struct CMUnitTest tests[ARRAY_LEN(rows) + 1] = { cmocka_unit_test(test_unwanted) };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		tests[i + 1] = (struct CMUnitTest){ .name = rows[i].what,
						    .test_func = test_row,
						    .initial_state = (void *)(uintptr_t)&rows[i] };
	return cmocka_run_group_tests_name("BGP, message by message", tests, NULL, NULL);
}
