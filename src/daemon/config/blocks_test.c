/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What blocks of the config say, statement by statement: the values that come out of them, and what
 * is refused.
 */
#include "daemon/config/config_fixture.h"

/* Would catch: a kind of record that is not asked for though the file says so, or is though it does not; a word that is
 * passed over; mappings of a pool that has none. */
static void test_log(void **state)
{
	(void)state;
	struct config *c = load("pool plain { 203.0.113.16; }\n"
				"pool own { 203.0.113.17; mapping endpoint-independent; log mappings, sessions; }\n"
				"pool silent { 203.0.113.18; log none; }\n"
				"log { sessions yes; destinations no; size 5000; }\n"
				"log { mappings no; }\n");
	assert_int_equal(c->nat.log, NAT_LOG_SESSIONS);
	assert_int_equal(c->nat.log_no_destinations, 1);
	assert_int_equal(c->n_log_records, 5000);
	assert_int_equal(c->nat.pool[0].log_own, 0);
	assert_int_equal(c->nat.pool[1].log_own, 1);
	assert_int_equal(c->nat.pool[1].log, NAT_LOG_SESSIONS | NAT_LOG_MAPPINGS);
	assert_int_equal(c->nat.pool[2].log_own, 1);
	assert_int_equal(c->nat.pool[2].log, 0);
	config_free(c);
	c = load("pool plain { 203.0.113.16; }\n");
	assert_int_equal(c->nat.log, 0);
	assert_int_equal(c->nat.log_no_destinations, 0);
	config_free(c);
	c = load("pool own { 203.0.113.17; log blocks; }\nlog { blocks yes; }\nworkers 2;\n");
	assert_int_equal(c->nat.log, NAT_LOG_BLOCKS);
	assert_int_equal(c->nat.pool[0].log, NAT_LOG_BLOCKS);
	config_free(c);
	noted("log { blocks yes; }", "test:1:7", "with one worker there are none to log");
	noted("pool p { 203.0.113.16; log sessions, blocks; }", "test:1:38", "with one worker there are none to log");
	noted("log { blocks no; }", NULL, NULL);
	refused("log { session yes; }",
		"expected sessions, mappings, blocks, destinations or size, found \"session\"; did you mean "
		"\"sessions\"?");
	refused("log { sessions; }", "test:1:15");
	refused("log { size 63; }", "size");
	refused("pool p { 203.0.113.16; log sessions, all; }",
		"expected sessions, mappings, blocks or none, found \"all\"");
	refused("pool p { 203.0.113.16; log none, sessions; }", "test:1:32");
	refused("pool p { 203.0.113.16; log mappings; }", "`mapping endpoint-independent` only");
}

#define ONCE_BEGIN "interface w { address 10.1.1.3/24; }\n"

/* A statement that may stand once: alone, it is taken. */
static void check_once(const char *before, const char *statement, const char *after, bool in_two_blocks)
{
	char text[512];

	snprintf(text, sizeof(text), ONCE_BEGIN "%s %s %s\n", before, statement, after);
	config_free(load(text));
	snprintf(text, sizeof(text), ONCE_BEGIN "%s %s %s%s%s %s\n", before, statement, in_two_blocks ? after : "",
		 in_two_blocks ? before : " ", statement, after);
	refused(text, "this may be said once, and was in line 2\n");
}

/* Would catch: any of them taken twice, the last or the first of which holds without a word. */
static void test_once(void **state)
{
	static const struct {
		const char *before, *statement, *after;
	} rows[] = {
		{ "", "workers 2;", "" },
		{ "interface lan0 {", "mtu 1500;", "}" },
		{ "interface lan0 {", "driver tap;", "}" },
		{ "interface lan0 {", "rpf off;", "}" },
		{ "interface lan0 {", "directed broadcast yes;", "}" },
		{ "interface lan0 {", "redirects no;", "}" },
		{ "interface lan0 {", "take over yes;", "}" },
		{ "interface lan0 {", "zone 3;", "}" },
		{ "route 10.0.0.0/8 via 10.1.1.1", "metric 3", "" },
		{ "route 10.0.0.0/8 via 10.1.1.1", "zone 0", "" },
		{ "route 10.0.0.0/8 via 10.1.1.1", "dev w", "" },
		{ "route 10.0.0.0/8 via 10.1.1.1 via 10.1.1.2", "weight 3", "" },
		{ "kernel table main", "zone 0", "" },
		{ "kernel table main", "distance 3", "" },
		{ "pool p { 203.0.113.16;", "ports 2000-3000;", "}" },
		{ "pool p { 203.0.113.16;", "mapping endpoint-independent;", "}" },
		{ "pool p { 203.0.113.16; mapping endpoint-independent;", "filtering address-dependent;", "}" },
		{ "pool p { 203.0.113.16;", "paired yes;", "}" },
		{ "pool p { 203.0.113.16;", "hold-down 120s;", "}" },
		{ "pool p { 203.0.113.16;", "log sessions;", "}" },
		{ "log {", "sessions yes;", "}" },
		{ "host {", "sockets 100;", "}" },
		{ "host {", "retries 5;", "}" },
		{ "host {", "sack no;", "}" },
		{ "host {", "congestion cubic;", "}" },
		{ "host {", "ports 2000-3000;", "}" },
		{ "log {", "destinations yes;", "}" },
		{ "log {", "size 100;", "}" },
		{ "icmp {", "rate 5;", "}" },
		{ "icmp {", "rate per destination 5;", "}" },
		{ "icmp {", "rate path mtu 5;", "}" },
		{ "conntrack {", "timeout udp new 200s;", "}" },
		{ "conntrack {", "size 1000;", "}" },
		{ "conntrack {", "offload max 1000;", "}" },
		{ "limits {", "packets 1000;", "}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check_once(rows[i].before, rows[i].statement, rows[i].after, false);
	check_once("log {", "mappings yes;", "}", true);
	check_once("icmp {", "rate 5;", "}", true);
	check_once("conntrack {", "timeout udp new 200s;", "}", true);
	check_once("limits {", "packets 1000;", "}", true);
	/* A path each, an interface each, a pool each. */
	config_free(load(ONCE_BEGIN "route 10.0.0.0/8 via 10.1.1.1 weight 2 via 10.1.1.2 weight 2\n"
				    "route 10.0.0.0/9 via 10.1.1.1 metric 2\nroute 10.0.0.0/10 via 10.1.1.1 metric 2\n"
				    "interface lan0 { mtu 1500; }\ninterface lan1 { mtu 1500; }\n"
				    "pool p { 203.0.113.16; paired yes; }\npool q { 203.0.113.17; paired yes; }\n"));
}

/* Would catch: a table of the kernel's that stands in another zone than it was told, or with another distance; two in
 * one zone, whose routes could not be told apart; a zone that nobody is in. */
static void test_kernel_tables(void **state)
{
	static const char *const bad[] = {
		"kernel table 0;",
		"kernel table mian;",
		"kernel route 10.0.0.0/8;",
		"kernel table main distance 0;",
		"kernel table main distance 255;",
		"kernel table main; kernel table 7;",
		"interface lan0 { zone 3; }\nkernel table 7; kernel table 7 zone 3;",
		"kernel table main zone 3;",
	};
	struct config *c = load("kernel table main;\nkernel table 4294967295 zone 7 distance 120\n"
				"interface lan0 { address 10.77.0.1/24; zone 7; }\n");

	(void)state;
	assert_int_equal(c->n_kernel_tables, 2);
	assert_int_equal(c->kernel_table[0].table, 254);
	assert_int_equal(c->kernel_table[0].zone, 0);
	assert_int_equal(c->kernel_table[0].distance, 10);
	assert_int_equal(c->kernel_table[1].table, UINT32_MAX);
	assert_int_equal(c->kernel_table[1].zone, 7);
	assert_int_equal(c->kernel_table[1].distance, 120);
	config_free(c);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct config_errors *errors;

		c = config_read_text("test.conf", bad[i], strlen(bad[i]), &errors);
		if (c != NULL)
			fail_msg("taken: %s", bad[i]);
		config_errors_free(errors);
	}
}

/* Would catch: a filtering that is taken and not heeded, since each destination has a mapping of its own; a refusal of
 * what means something, in whatever order it is said. */
static void test_filtering_needs_mapping(void **state)
{
	static const char *const ways[] = { "endpoint-independent", "address-dependent" };
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		snprintf(text, sizeof(text), "pool p { 203.0.113.16;\n filtering %s; ports 2000-3000;\n}", ways[i]);
		refused(text, "test:2:12");
		refused(text, "this filtering needs `mapping endpoint-independent` in pool \"p\"");
		snprintf(text, sizeof(text),
			 "pool p { 203.0.113.16; filtering %s; mapping address-and-port-dependent; }", ways[i]);
		refused(text, "test:1:34");
		snprintf(text, sizeof(text), "pool p { 203.0.113.16; filtering %s; mapping endpoint-independent; }",
			 ways[i]);
		config_free(load(text));
	}
	config_free(load("pool p { 203.0.113.16; filtering address-and-port-dependent; }"));
}
/* Each option ends up in its own field. */
static void test_values(void **state)
{
	struct config *c = load(
		"interface lan0 { address 10.0.0.1/24, 10.1.0.1/16; address 10.2.0.1/30\n mtu 1400; zone 7;\n"
		" take over yes; driver af_packet }\n"
		"interface \"wan0\" { address 203.0.113.1/24; }\n"
		"route default via 203.0.113.254 dev wan0 metric 5\n"
		"route 10.9.0.0/16 dev lan0; route 10.8.0.0/16 blackhole; route 10.7.0.1 unreachable\n"
		"route 10.6.0.0/16 prohibit metric 2;\n"
		"pool p { 203.0.113.16/30, 203.0.113.40-203.0.113.44; address 203.0.113.50; ports 2000-3000;\n"
		" exclude ports 2049, 2100-2200; mapping endpoint-independent; filtering address-dependent;\n"
		" paired yes; preserve port, parity }\n"
		"conntrack { size 1000; timeout tcp established 2h4m; timeout udp stream 200; timeout icmp 1m;\n"
		" timeout tcp syn-sent 5s; timeout other 10s; pick up yes; max per source 50; fragments 99;\n"
		" offload max 5000 }\n"
		"limits { packets 5000; large packets 77; neighbours 512; neighbour queue 3; neighbour queue all 30;\n"
		" reassembly 11; reassembly fragments 22; reassembly per source 33 }\n"
		"icmp { rate 500/second; rate per destination 5 }\n");

	assert_int_equal(c->n_interfaces, 2);
	assert_string_equal(c->interface[0].ip.name, "lan0");
	assert_int_equal(c->interface[0].ip.n_addresses, 3);
	assert_int_equal(c->interface[0].ip.address[1].addr, IP4(10, 1, 0, 1));
	assert_int_equal(c->interface[0].ip.address[2].prefix_len, 30);
	assert_int_equal(c->interface[0].ip.mtu, 1400);
	assert_int_equal(c->interface[0].zone, 7);
	assert_true(c->interface[0].take_over);
	assert_int_equal(c->interface[0].driver, DRIVER_AF_PACKET);
	assert_int_equal(c->interface[1].driver, DRIVER_AUTO);
	assert_false(c->interface[1].take_over);
	assert_int_equal(c->n_routes, 5);
	assert_int_equal(c->route[0].route.prefix.len, 0);
	assert_int_equal(c->route[0].route.nexthop.gateway.v4, IP4(203, 0, 113, 254));
	assert_int_equal(c->route[0].route.metric, 5);
	assert_string_equal(c->route[0].device, "wan0");
	assert_int_equal(c->route[0].route.source, RIB_STATIC);
	assert_string_equal(c->route[1].device, "lan0");
	assert_int_equal(c->route[1].route.nexthop.kind, FIB_UNICAST);
	assert_int_equal(c->route[2].route.nexthop.kind, FIB_BLACKHOLE);
	assert_int_equal(c->route[3].route.nexthop.kind, FIB_UNREACHABLE);
	assert_int_equal(c->route[3].route.prefix.len, 32);
	assert_int_equal(c->route[4].route.nexthop.kind, FIB_PROHIBIT);
	assert_false(c->route[0].goes_on);
	const struct nat_pool_config *p = &c->nat.pool[0];

	assert_int_equal(c->nat.n_pools, 1);
	assert_int_equal(p->n_ranges, 3);
	assert_int_equal(p->range[0].last, IP4(203, 0, 113, 19));
	assert_int_equal(p->range[2].first, p->range[2].last);
	assert_int_equal(p->ports.first, 2000);
	assert_int_equal(p->n_excluded, 2);
	assert_int_equal(p->excluded[1].last, 2200);
	assert_int_equal(p->mapping, NAT_MAP_ENDPOINT_INDEPENDENT);
	assert_int_equal(p->filtering, NAT_FILTER_ADDRESS_DEPENDENT);
	assert_int_equal(p->paired + p->preserve_port + p->preserve_parity, 3);
	assert_int_equal(c->ct_limits.n_connections, 1000);
	assert_int_equal(c->ct_limits.n_fragments, 99);
	assert_int_equal(c->timeout.tcp_established, 7440);
	assert_int_equal(c->timeout.udp_stream, 200);
	assert_int_equal(c->timeout.icmp, 60);
	assert_int_equal(c->timeout.tcp_syn_sent, 5);
	assert_int_equal(c->timeout.other, 10);
	assert_int_equal(c->timeout.udp_new, 0);
	assert_int_equal(c->ct_unknown_tcp, CONFIG_UNKNOWN_PICK_UP);
	assert_int_equal(c->offload_max, 5000);
	assert_false(c->offload_off);
	assert_int_equal(c->ct_max_per_source, 50);
	assert_int_equal(c->packets.n_packets, 5000);
	assert_int_equal(c->packets.n_small, 5000);
	assert_int_equal(c->packets.n_large, 77);
	assert_int_equal(c->ip_limits.n_neighbours, 512);
	assert_int_equal(c->ip_limits.n_neigh_held, 3);
	assert_int_equal(c->ip_limits.n_neigh_held_all, 30);
	assert_int_equal(c->ip_limits.n_reassembly, 11);
	assert_int_equal(c->ip_limits.n_reassembly_fragments, 22);
	assert_int_equal(c->ip_limits.n_reassembly_per_source, 33);
	assert_int_equal(c->icmp_rate_per_s, 500);
	assert_int_equal(c->icmp_rate_per_dest_s, 5);
	config_free(c);
}

/* Would catch: a word of the host that sets something else, or nothing; a default that is not Linux's. */
static void test_host(void **state)
{
	struct config *c =
		load("host { sockets 1000; connections 2000; listeners 30; syn queue 40; time-wait 50; segments 6000\n"
		     " send buffer 100000; send buffer max 200000; receive buffer 300000; receive buffer max 400000\n"
		     " congestion reno; ecn no; timestamps no; sack no; window scaling no; syn cookies no\n"
		     " slow start after idle no; mtu probing no; keepalive time 1h; keepalive interval 7s\n"
		     " keepalive probes 8; fin timeout 9s; syn retries 10; syn ack retries 11; retries 12\n"
		     " orphan retries 13; ports 40000-40100 }\n");
	const struct tcp_limits *l = &c->host.limits.tcp;
	const struct tcp_config *t = &c->host.tcp;

	assert_int_equal(c->host.limits.n_sockets, 1000);
	assert_int_equal(l->n_connections, 2000);
	assert_int_equal(l->n_listeners, 30);
	assert_int_equal(l->n_half_open, 40);
	assert_int_equal(l->n_time_wait, 50);
	assert_int_equal(l->n_segments, 6000);
	assert_int_equal(t->sndbuf, 100000);
	assert_int_equal(t->sndbuf_max, 200000);
	assert_int_equal(t->rcvbuf, 300000);
	assert_int_equal(t->rcvbuf_max, 400000);
	assert_string_equal(t->congestion, "reno");
	assert_int_equal(t->ecn, 0);
	assert_false(t->timestamps || t->sack || t->window_scaling || t->syncookies || t->slow_start_after_idle ||
		     t->mtu_probing);
	assert_int_equal(t->keepalive_time, 3600 * NS_PER_S);
	assert_int_equal(t->keepalive_interval, 7 * NS_PER_S);
	assert_int_equal(t->keepalive_probes, 8);
	assert_int_equal(t->fin_timeout, 9 * NS_PER_S);
	assert_int_equal(t->syn_retries, 10);
	assert_int_equal(t->synack_retries, 11);
	assert_int_equal(t->retries2, 12);
	assert_int_equal(t->orphan_retries, 13);
	assert_int_equal(t->port_first, 40000);
	assert_int_equal(t->port_last, 40100);
	config_free(c);
	c = load("host { ecn yes }\nhost { sack yes }\n");
	assert_int_equal(c->host.tcp.ecn, 1);
	struct tcp_config same = tcp_default_config;

	same.ecn = 1;
	assert_memory_equal(&c->host.tcp, &same, sizeof(same));
	assert_int_equal(c->host.limits.n_sockets, 0);
	config_free(c);
	refused("host { connections 3 }", "connections must be 16 to 16777216");
	refused("host { fin timeout 3m }", "fin timeout must be 1s to 120s");
	refused("host { syn retries 128 }", "syn retries must be 1 to 127");
	refused("host { send buffer 5000000 }", "send buffer (5000000) is more than send buffer max (4194304)");
	refused("host { receive buffer max 9000 }", "receive buffer (131072) is more than receive buffer max (9000)");
	refused("host { congestion ren }", "did you mean \"reno\"?");
	refused("host { ecn maybe }", "yes, no or answer");
	refused("host { ports 0-9 }", "port 0 cannot be used");
	refused("host { timestamps 5 }", "\"yes\" or \"no\"");
	refused("host { conections 5 }", "did you mean \"connections\"?");
	refused("host { keepalive 5 }", "expected a setting of the host");
}

/* Would catch: a word for the kernel's part that is taken and does nothing. */
static void test_offload(void **state)
{
	struct config *c = load("conntrack { offload off }\n");

	assert_true(c->offload_off);
	config_free(c);
	c = load("conntrack { offload max 100 }\n");
	assert_false(c->offload_off);
	assert_int_equal(c->offload_max, 100);
	config_free(c);
	refused("conntrack { offload on; }\n", "expected max or off, as in \"offload max 100000\", found \"on\"");
	refused("conntrack { offload max 3; }\n", "offload max");
	refused("conntrack { unknown tcp maybe; }\n", "reset, drop or pick up");
	refused("conntrack { unknown udp drop; }\n", "tcp");
	refused("conntrack { pick up yes; unknown tcp drop; }\n", "contradicts line 1");
	refused("conntrack { unknown tcp pick up;\n pick up no; }\n", "contradicts line 1");
	struct config *u = load("conntrack { unknown tcp drop; pick up no; unknown tcp drop; }\n");
	assert_int_equal(u->ct_unknown_tcp, CONFIG_UNKNOWN_DROP);
	config_free(u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log),           cmocka_unit_test(test_once),
		cmocka_unit_test(test_kernel_tables), cmocka_unit_test(test_filtering_needs_mapping),
		cmocka_unit_test(test_values),        cmocka_unit_test(test_host),
		cmocka_unit_test(test_offload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
