/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Maps to the address of a translation, from text to what NAT is told: looked up
 * by a key of the packet, by a drawn number or by a hash.
 */
#include "daemon/config/nft_eval_fixture.h"

struct map_row {
	const char *rule;     /* in a nat chain; behind it stands a dnat to 10.0.1.99 */
	uint32_t want[2];     /* last byte of the address for specs[TCP] and specs[UDP], 99: a hole */
	uint16_t first, last; /* ports for TCP */
};

/* TCP: 10.0.1.2:40000 to 198.51.100.7:80; UDP: from port 53 to port 5353; mark 0, from lan0. */
static const struct map_row map_rows[] = {
	{ "dnat to ip saddr map { 10.0.1.2 : 10.0.1.9 }", { 9, 9 }, 0, 0 },
	{ "dnat to ip saddr map { 10.0.1.3 : 10.0.1.9, 10.0.1.1 : 10.0.1.8 }", { 99, 99 }, 0, 0 },
	{ "dnat to ip saddr map { 10.9.0.0/16 : 10.0.1.7, 10.0.1.0-10.0.1.1 : 10.0.1.8, 10.0.1.2-10.0.1.9 : 10.0.1.9 }",
	  { 9, 9 },
	  0,
	  0 },
	{ "dnat to ip saddr map { 10.0.1.3 : 10.0.1.9, * : 10.0.1.8 }", { 8, 8 }, 0, 0 },
	{ "dnat to tcp dport map { 79 : 10.0.1.1, 80 : 10.0.1.2, 81 : 10.0.1.3 }", { 2, 99 }, 0, 0 },
	{ "dnat to tcp dport map { http : 10.0.1.2 . 8080, 81 : 10.0.1.3 . 81 }", { 2, 99 }, 8080, 8080 },
	{ "meta l4proto { tcp, udp } dnat to th dport map { 80 : 10.0.1.2 . 8080-8090, 5353 : 10.0.1.3 . 53 }",
	  { 2, 3 },
	  8080,
	  8090 },
	{ "tcp sport 1-65535 dnat to ip daddr map @hosts:8080", { 5, 99 }, 8080, 8080 },
	{ "dnat to ip daddr map @hosts", { 5, 5 }, 0, 0 },
	{ "dnat to tcp dport map @ports", { 6, 99 }, 8443, 8443 },
	{ "dnat to iifname map { \"wan0\" : 10.0.1.1, \"la*\" : 10.0.1.2, \"nobody\" : 10.0.1.3 }", { 2, 2 }, 0, 0 },
	{ "dnat to iifname map { \"wan0\" : 10.0.1.1 }", { 99, 99 }, 0, 0 },
	{ "dnat to iifname map { \"wan0\" : 10.0.1.1, * : 10.0.1.7 }", { 7, 7 }, 0, 0 },
	{ "dnat to meta mark map { 0 : 10.0.1.4, 1-0xffffffff : 10.0.1.5 }", { 4, 4 }, 0, 0 },
	{ "dnat to ct mark map { 0 : 10.0.1.4, * : 10.0.1.5 }", { 99, 99 }, 0, 0 },
	{ "dnat to ct state map { new : 10.0.1.4 }", { 4, 4 }, 0, 0 },
	{ "dnat to numgen random mod 1 offset 7 map { 7 : 10.0.1.4 }", { 4, 4 }, 0, 0 },
	{ "dnat to numgen random mod 5 map { 0-4 : 10.0.1.4 } random,persistent", { 4, 4 }, 0, 0 },
	{ "dnat to numgen inc mod 2 offset 3 map { 3 : 10.0.1.1, 4 : 10.0.1.2 }", { 1, 2 }, 0, 0 },
	{ "dnat to numgen inc mod 2 map { 1 : 10.0.1.2 }", { 99, 2 }, 0, 0 },
	{ "dnat to jhash ip saddr mod 7 offset 1 map { 1-7 : 10.0.1.4 }", { 4, 4 }, 0, 0 },
	{ "dnat to jhash ip saddr . tcp dport mod 7 map { 0-6 : 10.0.1.4 }", { 4, 99 }, 0, 0 },
	{ "ip protocol tcp dnat to jhash ip saddr . tcp dport mod 7 seed 9 map { 0-6 : 10.0.1.4 }:1-9",
	  { 4, 99 },
	  1,
	  9 },
};

static void map_rules(struct eval_fixture *w, const char *rule)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "table ip nat { map hosts { type ipv4_addr : ipv4_addr; flags interval\n"
		 "  elements = { 198.51.100.0/24 : 10.0.1.5, 10.0.0.0/8 : 10.0.1.6 } }\n"
		 " map ports { type inet_service : ipv4_addr . inet_service\n elements = { 443 : 10.0.1.5 . 1,\n"
		 "  80 : 10.0.1.6 . 8443, } }\n"
		 " chain c { type nat hook prerouting priority dstnat;\n%s\ndnat to 10.0.1.99\n } }",
		 rule);
	eval_rules(w, text);
}

/* The last byte of the address that a packet goes to. */
static uint32_t map_ask(struct eval_fixture *w, struct packet *p, struct nat_action *got)
{
	assert_int_equal(rules_nat(w->r, HOOK_PREROUTING, p, got), VERDICT_CONTINUE);
	assert_int_equal(got->kind, NAT_ACTION_RANGE);
	assert_true(got->flags & NAT_FLAG_ADDRESS);
	assert_int_equal(got->range.first, got->range.last);
	env_drop(&w->b->env, p, DROP_RULE_DROP);
	return got->range.first & 0xff;
}

/* Would catch a map that is searched wrong, a hole that ends the chain, and a port that is lost or made up. */
static void test_maps(void **state)
{
	struct eval_fixture w;
	struct nat_action got;

	eval_open(&w);
	for (size_t i = 0; i < ARRAY_LEN(map_rows); i++) {
		const struct map_row *r = &map_rows[i];

		map_rules(&w, r->rule);
		for (int k = 0; k < 2; k++) {
			uint32_t addr = map_ask(&w, eval_kind(&w, k == 0 ? TCP : UDP), &got);
			bool port = (got.flags & NAT_FLAG_PORT) != 0;

			if (addr != r->want[k])
				fail_msg("\"%s\": packet %d goes to .%u, not .%u", r->rule, k, addr, r->want[k]);
			if (k == 0 &&
			    (port != (r->first != 0) || got.ports.first != r->first || got.ports.last != r->last))
				fail_msg("\"%s\": ports %u-%u", r->rule, got.ports.first, got.ports.last);
		}
	}
	eval_close(&w);
}

/* Would catch a draw that favours a back end, an inc that does not take turns, and a hash that moves
 * clients at a reload, puts all on one, or does not look at all its keys. */
static void test_numbers(void **state)
{
	static const char inc[] = "dnat to numgen inc mod 3 map { 0 : 10.0.1.0, 1 : 10.0.1.1, 2 : 10.0.1.2 }";
	static const char random[] = "dnat to numgen random mod 3 map { 0 : 10.0.1.0, 1 : 10.0.1.1, 2 : 10.0.1.2 }";
	static const char *const hashes[] = {
		"dnat to jhash ip saddr mod 3 map { 0 : 10.0.1.0, 1 : 10.0.1.1, 2 : 10.0.1.2 }",
		"dnat to jhash ip saddr mod 3 seed 1 map { 0 : 10.0.1.0, 1 : 10.0.1.1, 2 : 10.0.1.2 }",
		"dnat to jhash tcp dport . ip saddr mod 3 map { 0 : 10.0.1.0, 1 : 10.0.1.1, 2 : 10.0.1.2 }",
	};
	struct eval_fixture w;
	struct nat_action got;
	uint32_t n[3] = { 0 };

	eval_open(&w);
	map_rules(&w, inc);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(map_ask(&w, eval_kind(&w, TCP), &got), i % 3);
	map_rules(&w, random);
	for (uint32_t i = 0; i < 3000; i++)
		n[map_ask(&w, eval_kind(&w, TCP), &got)]++;
	for (int i = 0; i < 3; i++)
		assert_in_range(n[i], 900, 1100); /* 3.9 standard deviations */
	for (size_t h = 0; h < ARRAY_LEN(hashes); h++) {
		uint8_t at[300];
		uint32_t same_server = 0;

		memset(n, 0, sizeof(n));
		for (int again = 0; again < 2; again++) {
			map_rules(&w, hashes[h]);
			for (uint32_t i = 0; i < ARRAY_LEN(at); i++) {
				struct packet *p = eval_kind(&w, TCP);
				uint32_t to;

				p->ip.src += i;
				to = map_ask(&w, p, &got);
				assert_true(again == 0 || at[i] == to);
				at[i] = (uint8_t)to;
				n[to]++;
				p = eval_kind(&w, TCP);
				p->ip.src += i;
				p->l4.dport++;
				same_server += map_ask(&w, p, &got) == to;
			}
		}
		for (int i = 0; i < 3; i++)
			assert_in_range(n[i], 2 * 68, 2 * 132);
		if (h < 2)
			assert_int_equal(same_server, 2 * ARRAY_LEN(at));
		else
			assert_in_range(same_server, 1, ARRAY_LEN(at));
	}
	eval_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
