/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Another config for a running gateway: what stays, and what ends.
 */
#include "masquerade.h"

/* Would catch: a reload that loses a connection which the new config allows, a
 * change that does not take, and a bad file that changes something. */
static void test_reload(void **state)
{
	struct net n;
	struct packet_spec rq = { .dst = SERVER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 53 };

	net_start(&n, masquerade);
	uint16_t port = carry(&n, n.client, &rq, n.server)->l4.sport;

	assert_int_equal(fixture_reload(&n.w, "interface lan0 {"), -1);
	assert_int_equal(fixture_reload(&n.w, masquerade), 0);
	assert_int_equal(carry(&n, n.client, &rq, n.server)->l4.sport, port);
	struct packet_spec rp = { .dst = WAN_ADDR, .proto = IPPROTO_NR_UDP, .sport = 53, .dport = port };

	expect(carry(&n, n.server, &rp, n.client), IPPROTO_NR_UDP, SERVER, CLIENT1);
	/* now the flow is forbidden */
	assert_int_equal(fixture_reload(&n.w, "interface lan0 { address 10.77.0.1/24; }\n"
					      "interface wan0 { address 203.0.113.1/24; }\n"
					      "table ip filter { chain forward { type filter hook forward priority 0;\n"
					      " policy accept; udp dport 53 drop; } }\n"),
			 0);
	assert_null(carry(&n, n.client, &rq, n.server));
	assert_int_equal(fixture_dropped(&n.w, DROP_RULE_DROP), 1);
	fixture_end(&n.w);
}

#define SOURCE_CONFIG(what) \
	"interface lan0 { address 10.77.0.1/24; }\ninterface wan0 { address 203.0.113.1/24; }\n" \
	"table ip nat {\n" \
	" map to { type ipv4_addr : ipv4_addr; elements = { 10.77.0.10 : 203.0.113.99 } }\n" \
	" map from { type ipv4_addr : ipv4_addr; elements = { 10.77.0.10 : 203.0.113.98 } }\n" \
	" chain post { type nat hook postrouting priority srcnat; policy accept;\n" \
	"  oifname \"wan0\" " what "\n} }\n"

/* The address that a rule gives as a source, in each way that rules can say it. Would catch: a reload after which it is
 * another, and the connections from before keep it though nobody answers for it; or end though it is still there. */
static void test_source_address_left(void **state)
{
	static const struct {
		const char *before, *after;
		bool ends;
	} rows[] = {
		{ SOURCE_CONFIG("snat to 203.0.113.99"), SOURCE_CONFIG("snat to 203.0.113.98"), true },
		{ SOURCE_CONFIG("snat to 203.0.113.99"), SOURCE_CONFIG("snat to 203.0.113.90-203.0.113.99"), false },
		{ SOURCE_CONFIG("snat to 203.0.113.99"), SOURCE_CONFIG("snat to ip saddr map @to"), false },
		{ SOURCE_CONFIG("snat to ip saddr map @to"), SOURCE_CONFIG("snat to ip saddr map @from"), true },
		{ SOURCE_CONFIG("snat to 203.0.113.99"), SOURCE_CONFIG("masquerade"), true },
		{ SOURCE_CONFIG("snat prefix to 203.0.113.64/26"), SOURCE_CONFIG("snat prefix to 203.0.113.128/26"),
		  true },
		{ SOURCE_CONFIG("snat prefix to 203.0.113.64/26"), SOURCE_CONFIG("snat prefix to 203.0.113.64/26"),
		  false },
	};
	struct net n;
	struct packet_spec rq = { .dst = SERVER, .proto = IPPROTO_NR_UDP, .sport = 4000, .dport = 53 };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		net_start(&n, rows[i].before);
		assert_non_null(carry(&n, n.client, &rq, n.server));
		assert_int_equal(fixture_reload(&n.w, rows[i].after), 0);
		fixture_run(&n.w, NS_PER_S);
		if (n.w.n_events[EVENT_CONN_END] != rows[i].ends)
			fail_msg("row %zu: %u connections have ended", i, n.w.n_events[EVENT_CONN_END]);
		if (rows[i].ends)
			assert_int_equal(n.w.last_event[EVENT_CONN_END].reason, CT_END_CONFIG);
		assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), !rows[i].ends);
		fixture_end(&n.w);
	}
}

/* Would catch: counters of a hook's entries that begin again with each reload, or that go to another entry. */
static void test_hook_counters_over_a_reload(void **state)
{
	struct net n;

	net_start(&n, masquerade);
	struct hook_list *before = ip_stack_hooks(gateway_ip(n.w.gw), HOOK_POSTROUTING);
	uint32_t n_entries = before->n;

	assert_true(n_entries >= 2);
	for (uint32_t i = 0; i < n_entries; i++)
		before->entry[i].stats =
			(struct stage_stats){ .n_batches = 1 + i, .n_packets = 10 + i, .clocks = 100 + i };
	assert_int_equal(fixture_reload(&n.w, masquerade), 0);
	const struct hook_list *after = ip_stack_hooks(gateway_ip(n.w.gw), HOOK_POSTROUTING);

	assert_int_equal(after->n, n_entries);
	for (uint32_t i = 0; i < n_entries; i++) {
		assert_int_equal(after->entry[i].stats.n_batches, 1 + i);
		assert_int_equal(after->entry[i].stats.n_packets, 10 + i);
		assert_int_equal(after->entry[i].stats.clocks, 100 + i);
	}
	fixture_end(&n.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_source_address_left),
		cmocka_unit_test(test_hook_counters_over_a_reload),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
