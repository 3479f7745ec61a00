/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A gateway that masquerades, and what a test expects of a packet that comes out of it.
 *
 *   client1 10.77.0.10 --+                      +-- server 203.0.113.2
 *   client2 10.77.0.20 --+-- lan0  gateway  wan0 --- router 203.0.113.254
 */
#ifndef YG_SCENARIO_MASQUERADE_H
#define YG_SCENARIO_MASQUERADE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "pair.h"

#define CLIENT1 PAIR_CLIENT
#define CLIENT2 IP4(10, 77, 0, 20)
#define SERVER PAIR_SERVER
#define LAN_ADDR IP4(10, 77, 0, 1)
#define WAN_ADDR IP4(203, 0, 113, 1)

#define MS (NS_PER_MS)

static const char masquerade[] = "interface lan0 { address 10.77.0.1/24; }\n"
				 "interface wan0 { address 203.0.113.1/24; mtu 1400; }\n"
				 "route 0.0.0.0/0 via 203.0.113.254;\n"
				 "table ip nat {\n"
				 "  chain prerouting { type nat hook prerouting priority dstnat; policy accept;\n"
				 "    iifname \"wan0\" tcp dport 8080 dnat to 10.77.0.10:80\n"
				 "    iifname \"wan0\" udp dport 5000 dnat to 10.77.0.20\n"
				 "  }\n"
				 "  chain postrouting { type nat hook postrouting priority srcnat; policy accept;\n"
				 "    oifname \"wan0\" ip saddr 10.77.0.0/24 masquerade\n"
				 "  }\n"
				 "}\n"
				 "table ip filter {\n"
				 "  chain forward { type filter hook forward priority filter; policy drop;\n"
				 "    ct state established,related accept\n"
				 "    ct state invalid drop\n"
				 "    iifname \"lan0\" udp dport 9 reject\n"
				 "    iifname \"lan0\" tcp dport 9 reject with tcp reset\n"
				 "    iifname \"lan0\" accept\n"
				 "    ct status dnat accept\n"
				 "  }\n"
				 "}\n";

static inline void expect(const struct packet *p, uint8_t proto, uint32_t src, uint32_t dst)
{
	assert_non_null(p);
	assert_int_equal(p->ip.proto, proto);
	assert_int_equal(p->ip.src, src);
	assert_int_equal(p->ip.dst, dst);
}

/* An ICMP error with the quoted packet's addresses as its receiver knows them. */
static inline struct icmp_quote expect_error(struct packet *p, uint32_t from, uint8_t type, uint8_t code)
{
	struct icmp_quote q;

	assert_non_null(p);
	assert_int_equal(p->ip.src, from);
	assert_int_equal(p->l4.kind, L4_ICMP_ERROR);
	assert_int_equal(p->l4.type, type);
	assert_int_equal(p->l4.code, code);
	assert_true(icmp_quote_parse(packet_l4(p), packet_l4_len(p), &q));
	assert_int_equal(q.ip.src, p->ip.dst);
	return q;
}

#endif
