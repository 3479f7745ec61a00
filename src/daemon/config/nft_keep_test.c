/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What rules keep when a ruleset takes over from another one, and the order in
 * which base chains are asked.
 */
#include "daemon/config/nft_eval_fixture.h"

#define HEAD "table ip t { chain c { type filter hook forward priority 0; policy accept;\n"
#define TAIL "\n} }"

/* Packets of the i-th counter. */
static uint64_t count(struct eval_fixture *w, uint32_t i)
{
	struct rules_line line;
	uint32_t cursor = 0;

	while (rules_next(w->r, &cursor, &line))
		if (line.has_counter && i-- == 0)
			return line.packets;
	fail_msg("no such counter");
	return 0;
}

static void send(struct eval_fixture *w, int kind, uint32_t n)
{
	while (n-- > 0)
		assert_int_equal(eval_run(w, HOOK_FORWARD, eval_kind(w, kind)), -1);
}

/* Would catch: an unchanged rule that begins again, or a changed one that does not; rules that get each other's numbers
 * because others came, went or changed places; initial values that are added once more. */
static void test_counters(void **state)
{
	struct eval_fixture w;

	eval_open(&w);
	eval_rules(&w,
		   "define port = 80\n" HEAD "ip protocol tcp counter\nip protocol udp counter packets 10 bytes 20\n"
		   "tcp dport $port counter\ncounter comment \"a\"" TAIL);
	send(&w, TCP, 3);
	send(&w, UDP, 2);
	assert_int_equal(count(&w, 1), 12);
	eval_rules(&w, "define port = 80\n" HEAD "counter\nip   protocol udp\\\n counter packets 10 bytes 20\n"
		       "ip protocol tcp counter\ntcp dport $port counter\ncounter comment \"b\"" TAIL);
	assert_int_equal(count(&w, 0), 0);  /* new */
	assert_int_equal(count(&w, 1), 12); /* the same words, elsewhere in the chain */
	assert_int_equal(count(&w, 2), 3);
	assert_int_equal(count(&w, 3), 3);
	assert_int_equal(count(&w, 4), 0); /* another comment is another rule */
	send(&w, UDP, 1);
	eval_rules(&w,
		   "define port = 81\n" HEAD "ip protocol udp counter packets 11 bytes 20\ntcp dport $port counter\n"
		   "ip protocol tcp counter" TAIL);
	assert_int_equal(count(&w, 0), 11); /* another start */
	assert_int_equal(count(&w, 1), 0);  /* what the name stands for changed */
	assert_int_equal(count(&w, 2), 3);
	eval_rules(&w, "table ip t { chain d { type filter hook forward priority 0; ip protocol tcp counter\n } }");
	assert_int_equal(count(&w, 0), 0); /* another chain */
	eval_close(&w);
}

/* Of the same rule twice each keeps its own; several counters of one rule too. */
static void test_twins(void **state)
{
	struct eval_fixture w;

	eval_open(&w);
	eval_rules(&w, HEAD "counter\nip protocol udp accept\ncounter\ncounter ip ttl 9 counter" TAIL);
	send(&w, TCP, 1);
	send(&w, UDP, 2);
	send(&w, ESP, 4);
	assert_int_equal(count(&w, 0), 7);
	assert_int_equal(count(&w, 1), 5);
	eval_rules(&w, HEAD "counter\ncounter\ncounter\ncounter ip ttl 9 counter" TAIL);
	assert_int_equal(count(&w, 0), 7);
	assert_int_equal(count(&w, 1), 5);
	assert_int_equal(count(&w, 2), 0);
	assert_int_equal(count(&w, 3), 5);
	eval_rules(&w, HEAD "counter\ncounter" TAIL);
	assert_int_equal(count(&w, 0), 7);
	assert_int_equal(count(&w, 1), 5);
	eval_close(&w);
}

/* The counter path that a packet of this kind leaves. */
static uint16_t path(struct eval_fixture *w, int kind)
{
	struct packet *p = eval_kind(w, kind);
	struct batch b = { .n = 1, .p = { p } };
	struct hook_entry e;
	uint16_t number;

	assert_true(rules_hook_entry(w->r, HOOK_FORWARD, 0, &e));
	e.fn(e.ctx, HOOK_FORWARD, &b);
	number = p->path;
	env_drop(&w->b->env, p, DROP_RULE_DROP);
	return number;
}

/* Whoever forwards in our stead tells late what it did, by counter paths of the rules before. Would catch: deferred
 * counters that is lost or goes to other rules; a new walk that ends in a counter path of rules that are gone. */
static void test_owed(void **state)
{
	struct rules_counter_path *deferred;
	uint16_t udp, tcp;
	struct eval_fixture w;

	eval_open(&w);
	deferred = rules_counter_paths(w.r);
	eval_rules(&w, HEAD "counter\nip protocol tcp counter\nip protocol udp counter" TAIL);
	udp = path(&w, UDP);
	tcp = path(&w, TCP);
	assert_int_not_equal(udp, tcp);
	deferred[udp].packets = 10; /* before the change, and not asked for yet */
	eval_rules(&w, HEAD "ip protocol udp counter\ncounter\nip protocol icmp counter" TAIL);
	deferred[udp].packets += 100; /* behind it */
	deferred[tcp].packets += 1000;
	assert_int_equal(count(&w, 0), 111); /* with the packet of the walk itself */
	assert_int_equal(count(&w, 1), 1112);
	assert_int_equal(count(&w, 2), 0);
	assert_int_not_equal(path(&w, UDP), udp); /* the counters come in another order now */
	eval_rules(&w, HEAD "ip protocol icmp counter" TAIL);
	deferred[udp].packets += 7;
	deferred[path(&w, PING)].packets += 5;
	assert_int_equal(count(&w, 0), 6);
	eval_close(&w);
}

/* Numbers of counter paths do not run out however many rulesets come and go. */
static void test_trails_last(void **state)
{
	uint32_t n_crowded = 0;
	char text[256];
	struct eval_fixture w;

	eval_open(&w);
	for (int i = 0; i < 3 * RULES_COUNTER_PATHS_MAX; i++) {
		n_crowded += rules_counter_paths_crowded(w.r);
		snprintf(text, sizeof(text), HEAD "counter packets %d\ncounter" TAIL, i);
		eval_rules(&w, text);
		assert_int_not_equal(path(&w, UDP), RULES_COUNTER_PATH_NONE);
	}
	assert_true(n_crowded > 0 && n_crowded < 20);
	assert_int_equal(count(&w, 1), 3 * RULES_COUNTER_PATHS_MAX);
	eval_close(&w);
}

/* A limit does not give a burst again for every reload. */
static void test_limits(void **state)
{
	static const char text[] = HEAD "limit rate 1/hour burst 3 packets accept\ndrop" TAIL;
	struct eval_fixture w;
	uint32_t n = 0;

	eval_open(&w);
	for (int i = 0; i < 5; i++) {
		eval_rules(&w, text);
		n += eval_run(&w, HOOK_FORWARD, eval_kind(&w, TCP)) == -1;
	}
	assert_int_equal(n, 3);
	eval_close(&w);
}

/* Of chains with one priority the last of the file is asked first, in the hooks and by NAT; also one that was added to
 * a table further up. What comes behind the first nat chain stands before NAT. */
static void test_order(void **state)
{
	struct hook_entry e;
	struct nat_action got;
	struct packet *p;
	struct eval_fixture w;

	eval_open(&w);
	eval_rules(&w, "table ip a { chain one { type filter hook forward priority 0; mark 1 drop; } }\n"
		       "table ip b { chain one { type filter hook forward priority 0; meta mark set 1; } }");
	assert_int_equal(eval_run(&w, HOOK_FORWARD, eval_kind(&w, TCP)), DROP_RULE_DROP);
	eval_rules(&w,
		   "table ip a { chain one { type filter hook forward priority 0; mark 1 drop; } }\n"
		   "table ip b { chain one { type filter hook forward priority 0; meta mark set 0; } }\n"
		   "add chain ip a two { type filter hook forward priority 0; }\nadd rule ip a two meta mark set 1\n");
	assert_int_equal(eval_run(&w, HOOK_FORWARD, eval_kind(&w, TCP)), -1);
	eval_rules(&w, "table ip f { chain early { type filter hook prerouting priority -100; }\n}\n"
		       "table ip n { chain one { type nat hook prerouting priority dstnat; dnat to 10.0.1.1; }\n"
		       " chain two { type nat hook prerouting priority dstnat; dnat to 10.0.1.2; } }\n"
		       "table ip f { chain late { type filter hook prerouting priority -100; }\n}\n");
	p = eval_kind(&w, TCP);
	assert_int_equal(rules_nat(w.r, HOOK_PREROUTING, p, &got), VERDICT_CONTINUE);
	assert_int_equal(got.range.first, IP4(10, 0, 1, 2));
	env_drop(&w.b->env, p, DROP_RULE_DROP);
	assert_true(rules_hook_entry(w.r, HOOK_PREROUTING, 0, &e));
	assert_string_equal(e.name, "f late");
	assert_true(rules_hook_is_first(&e));
	assert_true(rules_hook_entry(w.r, HOOK_PREROUTING, 1, &e));
	assert_false(rules_hook_is_first(&e));
	eval_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counters),    cmocka_unit_test(test_twins),  cmocka_unit_test(test_owed),
		cmocka_unit_test(test_trails_last), cmocka_unit_test(test_limits), cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
