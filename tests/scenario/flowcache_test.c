/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The flow cache against the slow path (duel.h), on what goes through the gateway.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "duel.h"

#define INTERFACES \
	"interface lan0 { address 10.77.0.1/24; }\n" \
	"interface wan0 { address 203.0.113.1/24; mtu 1400; }\n" \
	"route 0.0.0.0/0 via 203.0.113.254;\n" \
	"pool public { 203.0.113.16/28; mapping endpoint-independent; }\n"

static const char masquerading[] =
	INTERFACES "table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
		   "  oifname \"wan0\" ip saddr 10.77.0.0/30 snat to pool public\n"
		   "  oifname \"wan0\" counter masquerade } }\n"
		   "table ip filter {\n"
		   " set web { type inet_service; flags interval; elements = { 2000-2031 } }\n"
		   " chain tcps { tcp flags syn tcp option maxseg size set rt mtu\n"
		   "  counter\n"
		   "  tcp dport @web counter meta mark set 7 }\n"
		   " chain udps { udp dport 2005 limit rate 1000/second counter accept\n"
		   "  udp dport 2009 meta length > 100 counter accept\n"
		   "  udp dport 2013 ct mark set 5\n"
		   "  udp sport 2013 ct mark set 6\n"
		   "  ct mark 6 counter }\n"
		   " chain f { type filter hook forward priority 0; policy drop;\n"
		   "  ct state invalid counter drop\n"
		   "  ip protocol vmap { tcp : jump tcps, udp : jump udps }\n"
		   "  ct status assured counter\n"
		   "  meta mark 7 counter\n"
		   "  ct direction reply counter\n"
		   "  ct state established,related counter accept\n"
		   "  iifname \"lan0\" counter accept } }\n"
		   "table ip early { chain p { type filter hook prerouting priority raw; policy accept;\n"
		   "  counter\n"
		   "  udp dport 2017 notrack } }\n";

static const char pools[] =
	INTERFACES "table ip nat { chain pre { type nat hook prerouting priority dstnat; policy accept;\n"
		   "  iifname \"lan0\" ip daddr 203.0.114.0/24 tcp dport 2000-2020 dnat to 203.0.113.3 }\n"
		   " chain post { type nat hook postrouting priority srcnat; policy accept;\n"
		   "  oifname \"wan0\" snat to pool public } }\n"
		   "table ip filter { chain f { type filter hook forward priority 0; policy accept;\n"
		   "  tcp dport 2000-2010 ip ttl 60-70 counter\n"
		   "  ct state established counter } }\n";

static const char routing[] =
	INTERFACES "table ip filter { chain f { type filter hook forward priority 0; policy accept;\n"
		   "  ct state established counter accept\n"
		   "  counter } }\n";

static const char bare[] = INTERFACES "conntrack { pick up yes; }\n";

/* Would catch: a flow cache entry that keeps a connection's window, counter or time otherwise than the slow path, or a
 * rule's counter, or rewrites another byte. */
static void test_masquerade(void **state)
{
	duel_run(&(struct duel_case){
		"masquerade", { masquerading, masquerading }, { DEVICE_CAP_ALL, DEVICE_CAP_ALL }, false, 35 });
}

/* Would catch: a flow cache entry that outlives the config under which it was installed, or asks too little of it. */
static void test_reloads(void **state)
{
	duel_run(&(struct duel_case){
		"reloads", { masquerading, pools }, { DEVICE_CAP_ALL, DEVICE_CAP_CSUM }, false, 30 });
}

/* Would catch: a packet passed on with a checksum that the device will not finish, or too large. */
static void test_plain_routing(void **state)
{
	duel_run(&(struct duel_case){ "routing", { routing, bare }, { 0, 0 }, false, 40 });
}

/* Would catch: a damaged packet that the flow cache entry takes, or one that overtakes another of its flow. */
static void test_hostile(void **state)
{
	duel_run(&(struct duel_case){
		"hostile", { masquerading, routing }, { DEVICE_CAP_ALL, DEVICE_CAP_CSUM | DEVICE_CAP_TSO }, true, 30 });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_masquerade),
		cmocka_unit_test(test_reloads),
		cmocka_unit_test(test_plain_routing),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
