/* SPDX-License-Identifier: BSD-2-Clause
 *
 * nft's syntax around rules: where names hold, what commands take away, sets that
 * are said in pieces, and what nft refuses. That nft sees each of these as we do is
 * asked in tests/differential/accept_test.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "daemon/config/config.h"

struct row {
	const char *text;
	const char *want; /* what the messages hold; NULL: none, a text that begins with "Note": it loads */
};

#define T(body) "table ip t {\n" body "\n}\n"
#define CHAIN(body) T("chain f { type filter hook forward priority 0\n" body "\n}")
#define INET_SNAT(body) "table inet t {\nchain f { type nat hook postrouting priority 100\n" body "\n}\n}\n"

static const struct row rows[] = {
	/* Definitions have the scope of their block. */
	{ T("chain f { define x = 1\n tcp dport $x drop\n}\nchain g { tcp dport $x drop\n}"),
	  "nothing is defined as \"x\"" },
	{ T("chain f { define x = 1 }\nchain g { tcp dport $x drop\n}"), "nothing is defined as \"x\"" },
	{ "table ip t { define x = 1\n chain f { tcp dport $x drop\n}\n}\ntable ip u { chain f { tcp dport $x "
	  "drop\n}\n}\n",
	  "5:34-35: Error: nothing is defined as \"x\"" },
	{ T("define s = { 1, 2 }\nchain f { tcp dport $s drop\n}"), NULL },
	{ T("chain f { define x = 1\n}\nchain g { define x = 2\n tcp dport $x drop\n}"), NULL },
	{ "define x = 1\n" T("chain f { define x = 2\n}"), "\"x\" is defined already" },
	{ "define x = 1\n" T("chain f { undefine x\n tcp dport $x drop\n}"), "Note: \"x\" is defined outside" },
	{ "define x = 1\n" T("chain f { redefine x = 2\n undefine x\n tcp dport $x drop\n}"), NULL },
	/* Names. */
	{ T("chain drop { }"), "\"drop\" is a word of nft's language" },
	{ T("set ip { type ipv4_addr\n}"), "\"ip\" is a word of nft's language" },
	{ "table ip chain { }\n", "\"chain\" is a word of nft's language" },
	{ "define all = 1\n", "\"all\" is a word of nft's language" },
	{ T("chain \"f\" { }"), "a word without quotes" },
	{ T("chain 5f { }"), "a word without quotes" },
	{ T("chain accepted { }\nchain ips { }\nchain last { }\nchain a { }"), NULL },
	/* Numbers: 08 is neither octal nor anything else. */
	{ CHAIN("tcp dport 08 drop"), "found \"08\"" },
	{ CHAIN("tcp dport 0x08 drop\nip ttl 017 drop\nmeta mark 00 drop"), NULL },
	/* One packet has one protocol. */
	{ CHAIN("tcp dport 22 udp dport 53 drop"), "conflicting protocols: udp, and tcp before it" },
	{ CHAIN("meta l4proto udp tcp dport 22 drop"), "conflicting protocols: tcp, and udp before it" },
	{ CHAIN("ip protocol 200 tcp flags syn drop"), "conflicting protocols: tcp, and 200 before it" },
	{ CHAIN("tcp dport { 22 } icmp type echo-request drop"), "conflicting protocols: icmp, and tcp before it" },
	{ CHAIN("tcp dport vmap { 22 : accept } udp dport 3 drop"), "conflicting protocols" },
	{ CHAIN("meta l4proto { tcp, udp } tcp dport 22 drop"), "conflicting protocols: tcp, and several before it" },
	{ CHAIN("meta l4proto { tcp, 6 } tcp dport 22 drop"), NULL },
	{ CHAIN("meta l4proto != udp tcp dport 22 th dport 22 drop"), NULL },
	{ CHAIN("tcp dport 22 ip protocol udp drop"), "Note: this rule never matches: it asks for tcp before" },
	{ CHAIN("icmp type redirect icmp id 3 drop"), "only echo has an id" },
	{ CHAIN("icmp type { redirect, echo-reply } icmp id 3 drop"), NULL },
	{ CHAIN("udp dport 53 reject with tcp reset"), "only TCP can be reset, and this rule is for udp" },
	{ CHAIN("th dport 53 reject with tcp reset\ntcp dport 53 reject with tcp reset"), NULL },
	/* Of which family an address is. */
	{ INET_SNAT("snat to 192.0.2.1"), "write \"snat ip to\"" },
	{ INET_SNAT("meta l4proto icmp snat to 192.0.2.1"), "write \"snat ip to\"" },
	{ INET_SNAT("snat to ip daddr map { 192.0.2.8 : 192.0.2.1 }"), "write \"snat ip to\"" },
	{ INET_SNAT("snat ip to 192.0.2.1\nip saddr 10.0.0.1 snat to 192.0.2.2\nmasquerade\ntcp dport 3 snat to :3-9\n"
		    "meta nfproto ipv4 snat to 192.0.2.1\nicmp type echo-request snat to 192.0.2.1"),
	  NULL },
	{ INET_SNAT("tcp dport 3 snat ip to :3-9"), "expected an IPv4 address" },
	/* Chains. */
	{ CHAIN("policy drop\npolicy drop"), "the chain has a policy already, in line 3" },
	{ T("chain f { policy drop\n type filter hook forward priority 0\n}"), NULL },
	{ T("chain f { policy drop\n}"), "only a chain with a hook has a policy" },
	{ CHAIN("policy accept") "table ip t { chain f { policy drop\n}\n}\n", NULL },
	{ T("chain f { type filter hook forward priority dstnat\n}"), "hook forward has no priority \"dstnat\"" },
	{ T("chain f { type nat hook output priority dstnat\n}\nchain g { type nat hook input priority srcnat\n}"),
	  NULL },
	/* Sets. */
	{ T("set s { type ipv4_addr\n elements = { 10.0.0.0/8 }\n}"), "3:15-24: Error: prefixes, ranges" },
	{ T("set s { type inet_service\n elements = { 1-2 }\n}"), "need \"flags interval\" in the set" },
	{ T("set s { type ifname\n elements = { \"la*\" }\n}"), "need \"flags interval\" in the set" },
	{ T("map m { type ipv4_addr : ipv4_addr\n elements = { 10.0.0.0/8 : 1.1.1.1 }\n}"),
	  "need \"flags interval\" in the map" },
	{ T("set s { elements = { 10.0.0.0/8 }\n flags interval\n type ipv4_addr\n}"), NULL },
	{ T("set s { type ipv4_addr\n flags interval\n elements = { 10.0.0.0/8, 10.1.0.0/16 }\n}"),
	  "elements 1 and 2 hold the same value" },
	{ T("set s { type ipv4_addr\n flags interval\n auto-merge\n elements = { 10.0.0.0/8, 10.1.0.0/16 }\n}"), NULL },
	{ T("set s { type ipv4_addr\n auto-merge\n}"), "auto-merge is for a set with \"flags interval\"" },
	{ T("set s { type ifname\n flags interval\n elements = { \"la*\", \"wan0\", \"lan0\" }\n}"),
	  "elements 1 and 3 hold the same value" },
	{ T("set s { type ipv4_addr\n size 2\n elements = { 1.1.1.1, 1.1.1.2, 1.1.1.3 }\n}"),
	  "\"s\" has 3 elements, and its size is 2" },
	{ T("set s { type ipv4_addr\n size 2\n elements = { 1.1.1.1, 1.1.1.1, 1.1.1.3 }\n}"), NULL },
	{ T("set s { type ipv4_addr\n size 1\n flags interval\n auto-merge\n elements = { 1.1.1.2, 1.1.1.3 }\n}"),
	  NULL },
	{ T("map m { type ipv4_addr : ipv4_addr\n size 1\n elements = { 1.1.1.1 : 2.2.2.2, * : 2.2.2.2 }\n}"),
	  "\"m\" has 2 elements" },
	{ T("set s { type ipv4_addr\n}\nset s { type inet_service\n}"), "set \"s\" is declared otherwise in line 2" },
	{ T("set s { type ipv4_addr\n}\nset s { type ipv4_addr\n flags interval\n}"), "declared otherwise" },
	{ T("set s { type ipv4_addr\n size 3\n elements = { 1.1.1.1, 1.1.1.2 }\n}\n"
	    "set s { type ipv4_addr\n elements = { 2.1.1.1, 2.1.1.2 }\n}"),
	  "\"s\" has 4 elements" },
	{ T("map s { type ipv4_addr : ipv4_addr\n elements = { 1.1.1.1 : 1.1.1.1 }\n}\n"
	    "map s { type ipv4_addr : ipv4_addr\n elements = { 1.1.1.1 : 1.1.1.2 }\n}"),
	  "this value is in the map already, in line 3" },
	{ T("map s { type ipv4_addr : ipv4_addr\n}\nset s { type ipv4_addr\n}"), "has a map called \"s\" already" },
	{ T("set s { elements = { 1.1.1.1 }\n}"), "set \"s\" has no type" },
	{ T("set s { elements = { 1.1.1.1"), "this block has no closing" },
	/* Verdict maps. */
	{ CHAIN("iifname vmap { \"la*\" : accept, \"lan0\" : drop }"), "this value is in the map already" },
	{ CHAIN("iifname vmap { \"lan0\" : accept, \"lan0\" : drop }"), "this value is in the map already" },
	{ CHAIN("iifname vmap { \"la*\" : accept, \"la*\" : accept, \"wan0\" : drop, * : drop }"), NULL },
	{ CHAIN("tcp dport vmap { 5 : drop, 1-10 : accept }"), "this value is in the map already" },
	{ CHAIN("tcp dport vmap { * : drop, * : accept }"), "this value is in the map already" },
	{ CHAIN("tcp dport vmap { 1-10 : accept, 1-10 : accept, 11 : drop }"), NULL },
	{ CHAIN("meta mark | 1 vmap { 1-3 : drop }"), "only single values can be compared" },
	/* Counters and comments. */
	{ CHAIN("counter packets 5 drop\ncounter bytes 7\ncounter bytes 7 packets 5 comment \"x\""), NULL },
	{ CHAIN("counter comment \"x\" drop"), "expected the end of the rule behind its comment" },
	/* Bits. */
	{ CHAIN("meta mark set meta mark | ct mark"), "what stands on the right of an operator is a constant" },
	{ CHAIN("meta mark set 3 | meta mark"), "what stands on the right of an operator is a constant" },
	{ CHAIN("meta mark set ip saddr"), "nft knows a mark of \"ip saddr\"" },
	{ CHAIN("meta mark | 1 < 5 drop"), "only single values can be compared" },
	{ CHAIN("meta mark << 1 == 4 drop"), "nft knows shifts in a match" },
	{ CHAIN("iifname & 1 == 4 drop"), "expected the name of an interface" },
	{ CHAIN("tcp flags & fin,syn == syn drop"), "expected a value of tcp flags, found \",\"" },
	{ CHAIN("iifname \"*\" drop"), "stands for every interface" },
	{ CHAIN("ip ttl & 0x1ff 3 drop"), "ip ttl is at most 255" },
};

static void test_rows(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool good = rows[i].want == NULL || strncmp(rows[i].want, "Note", 4) == 0;
		struct config_errors *errors;
		struct config *c = config_read_text("test", rows[i].text, strlen(rows[i].text), &errors);
		char *said = config_errors_text(errors);

		if ((c != NULL) != good)
			fail_msg("\"%s\" is %s:\n%s", rows[i].text, c != NULL ? "taken" : "refused", said);
		if (rows[i].want == NULL ? said[0] != '\0' : strstr(said, rows[i].want) == NULL)
			fail_msg("\"%s\" says\n%snot \"%s\"", rows[i].text, said, rows[i].want);
		free(said);
		config_errors_free(errors);
		config_free(c);
	}
}

static struct config *load(const char *text)
{
	struct config_errors *errors;
	struct config *c = config_read_text("test", text, strlen(text), &errors);

	config_errors_print(errors, stderr);
	assert_non_null(c);
	config_errors_free(errors);
	return c;
}

/* The port that the first rule of a chain asks for. */
static uint32_t port_of(const struct config *c, uint32_t chain)
{
	return c->rules.table[0].chain[chain].rule[0].stmt[0].match.range[0].lo;
}

/* Would catch: a name that goes on meaning what a block before made of it, or that forgets what it meant outside. */
static void test_scope(void **state)
{
	struct config *c = load("define x = 1\n"
				"table ip t {\n"
				"chain a { redefine x = 2\n tcp dport $x drop\n}\n"
				"chain b { tcp dport $x drop }\n"
				"redefine x = 3\n"
				"chain c { tcp dport $x drop\n redefine x = 4\n redefine x = 5\n}\n"
				"chain d { redefine x = 6\n undefine x\n tcp dport $x drop\n}\n"
				"}\n"
				"redefine x = 7\n"
				"table ip t { chain e { tcp dport $x drop\n}\n}\n");

	static const uint32_t want[] = { 2, 1, 3, 3, 7 };

	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(port_of(c, i), want[i]);
	config_free(c);
}

/* A flush takes its own family only. */
static void test_flush_of_one_family(void **state)
{
	static const char tables[] = "table inet a { }\ntable ip b { }\ntable inet c { }\n";
	static const struct {
		const char *flush;
		size_t n_left;
	} flushes[] = { { "", 0 }, { "ip", 2 }, { "inet", 1 }, { "ip6", 3 }, { "netdev", 3 } };
	char text[256];

	for (size_t i = 0; i < sizeof(flushes) / sizeof(flushes[0]); i++) {
		snprintf(text, sizeof(text), "%sflush ruleset %s\n", tables, flushes[i].flush);
		struct config *c = load(text);

		assert_int_equal(c->rules.n_tables, flushes[i].n_left);
		for (size_t k = 0; flushes[i].n_left < 3 && k < flushes[i].n_left; k++)
			assert_int_equal(c->rules.table[k].inet, flushes[i].n_left == 2);
		config_free(c);
	}
}

/* Would catch: elements that are lost or read by another type when they stand first, or when the set is said twice. */
static void test_sets_in_pieces(void **state)
{
	struct config *c =
		load(T("set s { elements = { 10.0.0.1, 10.0.0.9 comment \"x\",\n 10.0.0.3 }\n type ipv4_addr\n}\n"
		       "set s { type ipv4_addr\n elements = { 10.0.0.4 }\n}\n"
		       "map m { elements = { 80 : 10.0.0.1 . 90 }\n type inet_service : ipv4_addr . inet_service\n}\n"
		       "map m { type inet_service : ipv4_addr . inet_service\n elements = { 81 : 10.0.0.2 . 91 }\n}\n"
		       "set last { type inet_service\n elements = { 1 }\n elements = { 2 }\n}"));
	const struct rule_table *t = &c->rules.table[0];

	assert_int_equal(t->n_sets, 2);
	assert_int_equal(t->set[0].n_ranges, 4);
	assert_int_equal(t->set[0].range[2].lo, IP4(10, 0, 0, 3));
	assert_int_equal(t->set[0].range[3].lo, IP4(10, 0, 0, 4));
	assert_int_equal(t->set[1].n_ranges, 1);
	assert_int_equal(t->set[1].range[0].lo, 2);
	assert_int_equal(t->n_maps, 1);
	assert_int_equal(t->map[0].n_entries, 2);
	assert_int_equal(t->map[0].entry[1].ports.first, 91);
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_scope),
		cmocka_unit_test(test_flush_of_one_family),
		cmocka_unit_test(test_sets_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
