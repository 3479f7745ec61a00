/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Commands over two workers: each a whole core with its own packets, connections,
 * ports and neighbours. What is shown must be their sum, each thing once, and what
 * is changed must be the right core's.
 */
#include <jansson.h>

#include "stack/ports/ports.h"
#include "stack/ip/stack_fixture.h"

#include "daemon/control/commands/command.h"
#include "daemon/config/config.h"

#define N_CORES 2
#define NOBODY UINT32_MAX
#define EVERYBODY (UINT32_MAX - 1)
#define MASQUERADED IP4(10, 0, 1, 200)

static const char config_text[] = "interface lan0 { address 10.0.1.1/24; }\ninterface wan0 { address 192.0.2.1/24; }\n"
				  "interface small0 { address 10.0.3.1/24; }\n"
				  "pool public { 192.0.2.16/31; ports 2000-2999; }\n"
				  "table ip t {\n"
				  " chain f { type filter hook forward priority filter; policy accept;\n"
				  "  ip saddr 10.0.1.2 counter packets 1000 bytes 5000\n }\n"
				  " chain n { type nat hook postrouting priority srcnat; policy accept;\n"
				  "  ip saddr 10.0.1.200 masquerade\n  snat to pool public\n }\n}\n";

struct core {
	struct stack_fixture *b;
	struct conntrack *ct;
	struct rules *rules;
	struct ports *ports;
	struct nat *nat;
};

struct workers {
	struct core core[N_CORES];
	struct config *cfg;
	struct ruleset *rs;
	struct control_target target;
	struct control_between between;
	uint32_t inside; /* whose worker runs a call */
	char out[1 << 18];
	size_t len;
};

/* --- the slots --- */

static void slot_call(void *ctx, uint32_t core, control_fn *fn, void *arg)
{
	struct workers *w = ctx;

	assert_int_equal(w->inside, NOBODY);
	assert_true(core < w->target.n_cores);
	w->inside = core;
	fn(arg);
	w->inside = NOBODY;
}

static void slot_call_all(void *ctx, control_fn *fn, void *arg)
{
	struct workers *w = ctx;

	assert_int_equal(w->inside, NOBODY);
	w->inside = EVERYBODY;
	fn(arg);
	w->inside = NOBODY;
}

static void slot_between(void *ctx, struct control_between *out)
{
	struct workers *w = ctx;

	assert_int_equal(w->inside, EVERYBODY);
	*out = w->between;
}

static void slot_end_connection(void *ctx, uint32_t core, uint32_t index, enum ct_end_reason reason)
{
	struct workers *w = ctx;

	assert_int_equal(w->inside, core);
	conntrack_end(w->core[core].ct, index, reason);
}

static const char *slot_driver(void *ctx, uint32_t ifindex)
{
	return "fake";
}

static bool slot_kernel_has(void *ctx, uint32_t core, uint32_t conn)
{
	assert_int_equal(((struct workers *)ctx)->inside, core);
	return core == 1;
}

static bool slot_kernel_info(void *ctx, uint32_t core, struct offload_map_info *out)
{
	assert_int_equal(((struct workers *)ctx)->inside, core);
	*out = (struct offload_map_info){ .n_connections = 10 + core,
					  .capacity = 100,
					  .n_added = 20 + core,
					  .n_no_way = 30 + core,
					  .n_lost = 3 + core };
	return true;
}

static bool slot_kernel_counts(void *ctx, struct fastpath_counts *out)
{
	*out = (struct fastpath_counts){ .count = { [FP_FORWARDED] = 77 }, .redirect_drops_known = false };
	return true;
}

static const char *slot_stage_clock(void *ctx, uint64_t *hz)
{
	*hz = 1000;
	return "test clock";
}

/* --- two cores --- */

static void core_open(struct core *c, const struct config *cfg, const struct ruleset *rs)
{
	const struct ct_limits limits = { .n_connections = 2048, .n_fragments = 16 };
	const struct nat_limits nat_limits = { .n_addresses = 8, .n_mappings = 64 };
	struct hook_entry e = { .priority = HOOK_PRI_CONNTRACK, .name = "conntrack", .fn = conntrack_in };

	c->b = fixture_create_settled();
	c->ct = conntrack_create(&c->b->env, &limits);
	c->rules = rules_create(&c->b->env, c->b->s, c->ct);
	c->ports = ports_create(8, &c->b->env.rng);
	c->nat = nat_create(&c->b->env, c->b->s, c->ct, c->ports, &nat_limits);
	nat_configure(c->nat, &cfg->nat);
	nat_set_rules(c->nat, rules_nat, c->rules);
	packet_pool_set_conn_slots(c->b->env.pool,
				   &(struct packet_conn_slots){ .ctx = c->ct, .put = conntrack_packet_put });
	assert_int_equal(rules_prepare(c->rules, rs), 0);
	rules_commit(c->rules);
	e.ctx = c->ct;
	assert_int_equal(hook_list_add(ip_stack_hooks(c->b->s, HOOK_PREROUTING), &e), 0);
	e = (struct hook_entry){
		.priority = HOOK_PRI_CONFIRM, .name = "confirm", .fn = conntrack_confirm, .ctx = c->ct
	};
	assert_int_equal(hook_list_add(ip_stack_hooks(c->b->s, HOOK_POSTROUTING), &e), 0);
	e = (struct hook_entry){ .priority = HOOK_PRI_SRCNAT, .name = "srcnat", .fn = nat_src, .ctx = c->nat };
	assert_int_equal(hook_list_add(ip_stack_hooks(c->b->s, HOOK_POSTROUTING), &e), 0);
	assert_true(rules_hook_entry(c->rules, HOOK_FORWARD, 0, &e));
	assert_int_equal(hook_list_add(ip_stack_hooks(c->b->s, HOOK_FORWARD), &e), 0);
}

static void core_close(struct core *c)
{
	assert_int_equal(packet_pool_used(c->b->env.pool), 0);
	rules_destroy(c->rules);
	nat_destroy(c->nat);
	ports_destroy(c->ports);
	conntrack_destroy(c->ct);
	fixture_destroy(c->b);
}

static int setup(void **state)
{
	struct workers *w = calloc(1, sizeof(*w));
	struct config_errors *errors = NULL;
	struct rules_error re[4];
	size_t n;

	w->inside = NOBODY;
	w->cfg = config_read_text("test", config_text, strlen(config_text), &errors);
	if (w->cfg == NULL)
		config_errors_print(errors, stderr);
	assert_non_null(w->cfg);
	config_errors_free(errors);
	w->rs = rules_compile(&w->cfg->rules, &w->cfg->nat, re, 4, &n);
	assert_non_null(w->rs);
	w->target = (struct control_target){
		.n_cores = N_CORES,
		.ctx = w,
		.call = slot_call,
		.call_all = slot_call_all,
		.between = slot_between,
		.end_connection = slot_end_connection,
		.driver = slot_driver,
		.stage_clock = slot_stage_clock,
	};
	for (uint32_t i = 0; i < N_CORES; i++) {
		struct core *c = &w->core[i];

		core_open(c, w->cfg, w->rs);
		w->target.core[i] = (struct control_core){
			.env = &c->b->env, .ip = c->b->s, .conntrack = c->ct, .nat = c->nat, .rules = c->rules
		};
	}
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct workers *w = *state;

	for (uint32_t i = 0; i < N_CORES; i++)
		core_close(&w->core[i]);
	ruleset_destroy(w->rs);
	config_free(w->cfg);
	free(w);
	return 0;
}

/* One packet from inside to a host and port outside. */
static void send_one(struct workers *w, uint32_t core, uint32_t src, uint32_t dst, uint32_t sport)
{
	struct stack_fixture *b = w->core[core].b;

	fixture_input_spec(b, &(struct packet_spec){ .src = src,
						     .dst = dst,
						     .proto = IPPROTO_NR_UDP,
						     .sport = (uint16_t)sport,
						     .dport = 53,
						     .payload_len = 12 });
	assert_int_equal(b->dev[WAN].n, 1);
	fixture_forget(b);
}

static void send_many(struct workers *w, uint32_t core, uint32_t dst, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		send_one(w, core, LAN_HOST, dst, 1000 + i);
}

/* --- asking --- */

static void carrier_write(void *carrier, enum proto_frame type, const char *text, size_t len)
{
	struct workers *w = carrier;

	assert_int_equal(w->inside, NOBODY);
	assert_true(w->len + len < sizeof(w->out));
	/* Notes beside the output are not JSON. */
	if (type != PROTO_OUT)
		return;
	memcpy(w->out + w->len, text, len);
	w->len += len;
	w->out[w->len] = '\0';
}

static size_t carrier_backlog(void *carrier)
{
	return 0;
}

/* line: words with a space between. The exit status; w->out has what was written. */
static int ask(struct workers *w, const char *line)
{
	struct command_call c = { .write = carrier_write, .backlog = carrier_backlog, .carrier = w };
	char copy[128], *save = NULL;
	const char *argv[16];
	size_t argc = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *t = strtok_r(copy, " ", &save); t != NULL; t = strtok_r(NULL, " ", &save))
		argv[argc++] = t;
	w->len = 0;
	w->out[0] = '\0';
	int rc = command_start(&c, &w->target, argc, argv);
	for (int i = 0; rc == COMMAND_MORE; i++) {
		assert_true(i < 1000);
		rc = c.command->more(&c);
	}
	command_end(&c);
	return rc;
}

static json_t *ask_json(struct workers *w, const char *line, int status)
{
	json_error_t err;

	assert_int_equal(ask(w, line), status);
	json_t *j = json_loads(w->out, 0, &err);
	if (j == NULL)
		fail_msg("%s: %s in\n%s", line, err.text, w->out);
	return j;
}

static json_int_t number(json_t *object, const char *key)
{
	json_t *v = json_object_get(object, key);

	if (!json_is_integer(v))
		fail_msg("no number \"%s\"", key);
	return json_integer_value(v);
}

/* The row whose `key` is `name`. */
static json_t *row_of(json_t *table, const char *key, const char *name)
{
	size_t i;
	json_t *row;

	json_array_foreach(table, i,
			   row) if (strcmp(json_string_value(json_object_get(row, key)), name) == 0) return row;
	fail_msg("no row \"%s\"", name);
	return NULL;
}

/* --- conntrack --- */

static void expect_count(struct workers *w, unsigned n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u\n", n);
	assert_int_equal(ask(w, "conntrack -C"), EXIT_OK);
	assert_string_equal(w->out, text);
}

static void expect_listed(struct workers *w, const char *line, size_t n, size_t n_offload)
{
	json_t *j = ask_json(w, line, EXIT_OK), *row;
	size_t i, offload = 0;

	assert_int_equal(json_array_size(j), n);
	json_array_foreach(j, i, row) offload += json_is_true(json_object_get(row, "offload"));
	assert_int_equal(offload, n_offload);
	json_decref(j);
}

/* Would catch: a core left out or read twice at the end of a slice, sums of one core, the kernel asked about another
 * core's connection. */
static void test_conntrack_lists(void **state)
{
	struct workers *w = *state;

	expect_count(w, 0);
	expect_listed(w, "conntrack -L -j", 0, 0);
	send_many(w, 0, FAR, 3);
	expect_listed(w, "conntrack -L -j", 3, 0);
	send_many(w, 1, FAR + 1, 700); /* more than a slice */
	w->target.kernel_has = slot_kernel_has;
	expect_count(w, 703);
	expect_listed(w, "conntrack -L -j", 703, 700);
	expect_listed(w, "conntrack -d 198.51.100.7 -j", 3, 0);
	expect_listed(w, "conntrack -d 198.51.100.8 -j", 700, 700);
	expect_listed(w, "conntrack -p tcp -j", 0, 0);

	json_t *j = ask_json(w, "conntrack -S -j", EXIT_OK), *row = json_array_get(j, 0);
	assert_int_equal(number(row, "entries"), 703);
	assert_int_equal(number(row, "capacity"),
			 conntrack_capacity(w->core[0].ct) + conntrack_capacity(w->core[1].ct));
	assert_int_equal(number(row, "confirmed"), 703);
	json_decref(j);
}

/* Would catch: a connection ended that has the same number in another core, a flush that leaves a core. */
static void test_conntrack_deletes(void **state)
{
	struct workers *w = *state;

	send_many(w, 0, FAR, 5);
	send_many(w, 1, FAR, 2);
	send_many(w, 1, FAR + 1, 4);
	expect_listed(w, "conntrack -D -d 198.51.100.8 -j", 4, 0);
	assert_int_equal(conntrack_n_connections(w->core[0].ct), 5);
	assert_int_equal(conntrack_n_connections(w->core[1].ct), 2);
	assert_int_equal(ask(w, "conntrack -D -d 198.51.100.8"), EXIT_FAILED);
	expect_count(w, 7);
	assert_int_equal(ask(w, "conntrack -F"), EXIT_OK);
	expect_count(w, 0);
}

/* --- stats --- */

/* Would catch: a worker whose law does not hold hidden by the sum, packets that vanish between workers, or those by
 * reference that are taken for lost. */
static void test_stats_law(void **state)
{
	static const struct {
		const char *what;
		struct control_between between;
		int64_t handed_over, taken_over; /* of core 0, of core 1 */
		int64_t lost[N_CORES];           /* received without a trace */
		int status;
		const char *text;
	} rows[] = {
		{ "balance", { 2, 0 }, 5, 3, { 0, 0 }, EXIT_OK, "holds, 8 = 8, in each worker and between them" },
		{ "by reference", { 1, 4 }, 5, 8, { 0, 0 }, EXIT_OK, "holds, 13 = 13" },
		{ "lost in a ring", { 1, 0 }, 5, 3, { 0, 0 }, EXIT_FAILED, "NOT hold between workers by 1" },
		{ "lost in a worker", { 2, 0 }, 5, 3, { 0, 1 }, EXIT_FAILED, "NOT hold by 1" },
		{ "one too many", { 2, 0 }, 5, 3, { 1, -1 }, EXIT_FAILED, "NOT hold in each worker" },
	};
	struct workers *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ledger *l0 = &w->core[0].b->env.ledger, *l1 = &w->core[1].b->env.ledger;
		struct ledger was[N_CORES] = { *l0, *l1 };

		*l0 = (struct ledger){ .n_received = (uint64_t)(rows[i].handed_over + rows[i].lost[0]),
				       .n_handed_over = (uint64_t)rows[i].handed_over };
		*l1 = (struct ledger){ .n_received = (uint64_t)rows[i].lost[1],
				       .n_taken_over = (uint64_t)rows[i].taken_over,
				       .n_consumed = (uint64_t)rows[i].taken_over };
		w->between = rows[i].between;
		if (ask(w, "stats") != rows[i].status || strstr(w->out, rows[i].text) == NULL)
			fail_msg("%s: \"%s\" not in\n%s", rows[i].what, rows[i].text, w->out);
		assert_non_null(strstr(w->out, "the law of ports: holds, 0 = 0, in each worker"));
		json_t *j = ask_json(w, "stats -j", rows[i].status);
		assert_int_equal(json_is_true(json_object_get(j, "holds")), rows[i].status == EXIT_OK);
		json_decref(j);
		*l0 = was[0];
		*l1 = was[1];
	}
}

/* Would catch: numbers of one worker shown as all, or the kernel's own counted once a worker. */
static void test_stats_sums(void **state)
{
	struct workers *w = *state;

	w->target.kernel_info = slot_kernel_info;
	w->target.kernel_counts = slot_kernel_counts;
	for (uint32_t i = 0; i < N_CORES; i++)
		w->core[i].b->env.ledger = (struct ledger){ 0 };
	send_many(w, 0, FAR, 2);
	send_many(w, 1, FAR, 3);
	w->core[0].b->dev[LAN].dev.n_rx_packets = 20;
	w->core[1].b->dev[LAN].dev.n_rx_packets = 300;
	w->core[1].b->dev[WAN].dev.n_tx_bytes = 4000;

	json_t *j = ask_json(w, "stats -j", EXIT_OK), *workers = json_object_get(j, "workers");
	assert_int_equal(number(row_of(json_object_get(j, "law"), "row", "received from a device"), "count"), 5);
	assert_int_equal(json_array_size(workers), 2);
	assert_int_equal(number(json_array_get(workers, 0), "received"), 2);
	assert_int_equal(number(json_array_get(workers, 1), "received"), 3);
	assert_int_equal(number(json_array_get(workers, 1), "handed"), 3);
	assert_int_equal(number(j, "packet_pool_capacity"), 2 * packet_pool_capacity(w->core[0].b->env.pool));
	json_t *kernel = json_object_get(j, "kernel");
	assert_int_equal(number(row_of(kernel, "row", "forwarded"), "count"), 77);
	/* Not 0, since some of it is not counted. */
	assert_null(json_object_get(row_of(kernel, "row", "of them not taken by a driver"), "count"));
	assert_int_equal(number(row_of(kernel, "row", "packets lost on the way up"), "count"), 7);
	assert_int_equal(number(row_of(kernel, "row", "connections now"), "count"), 21);
	assert_int_equal(number(row_of(kernel, "row", "connections at most"), "count"), 200);
	assert_int_equal(number(row_of(kernel, "row", "connections put in"), "count"), 41);
	assert_int_equal(number(row_of(kernel, "row", "times there was no room for a neighbour"), "count"), 61);
	json_t *ifs = json_object_get(j, "interfaces");
	assert_int_equal(json_array_size(ifs), 3);
	assert_int_equal(number(row_of(ifs, "name", "lan0"), "rx_packets"), 320);
	assert_int_equal(number(row_of(ifs, "name", "wan0"), "tx_bytes"), 4000);
	json_decref(j);

	w->core[0].b->env.ledger.n_dropped[DROP_RULE_DROP] = 7;
	w->core[1].b->env.ledger.n_dropped[DROP_RULE_DROP] = 5;
	j = ask_json(w, "drops -j", EXIT_OK);
	assert_int_equal(number(row_of(j, "reason", drop_info[DROP_RULE_DROP].name), "count"), 12);
	json_decref(j);
	for (uint32_t i = 0; i < N_CORES; i++)
		w->core[i].b->env.ledger.n_dropped[DROP_RULE_DROP] = 0;
}

/* Would catch: a count that is kept and shown to nobody. */
static void test_stats_beside(void **state)
{
	struct workers *w = *state;
	struct ping_sockets *sockets = ping_sockets_create(w->core[0].b->s);
	struct control_core *core0 = &w->target.core[0];

	assert_int_equal(ask(w, "stats"), EXIT_OK);
	assert_null(strstr(w->out, "BESIDE PACKETS"));
	assert_null(strstr(w->out, "ICMP ERRORS"));
	assert_int_equal(ping_socket_open(sockets), 0);
	for (uint32_t i = 0; i < PING_SOCKET_QUEUE_MAX + 2; i++)
		ip_host_sent(w->core[0].b->s, 1u << 16 | i, 0);
	core0->raw = sockets;
	w->between.n_asked = 3;
	w->between.n_redirects_lost = 4;
	json_t *j = ask_json(w, "stats -j", EXIT_OK), *rows = json_object_get(j, "beside");
	assert_int_equal(number(row_of(rows, "row", "another worker was asked for a port"), "count"), 3);
	assert_int_equal(number(row_of(rows, "row", "redirects between workers without room"), "count"), 4);
	assert_int_equal(number(row_of(rows, "row", "answers to ping without room in their socket"), "count"), 2);
	assert_int_equal(json_array_size(json_object_get(j, "icmp_errors")), N_ICMP_SILENCE);
	json_decref(j);
	assert_int_equal(ask(w, "stats"), EXIT_OK);
	assert_non_null(strstr(w->out, "BESIDE PACKETS"));
	w->between.n_asked = w->between.n_redirects_lost = 0;
	core0->raw = NULL;
	ping_socket_close(sockets, 0);
	ping_sockets_destroy(sockets);
}

/* Would catch: several workers' rows where there is one worker, or a slot asked for that it need not have. */
static void test_stats_one_core(void **state)
{
	struct workers *w = *state;

	w->target.n_cores = 1;
	w->target.call_all = NULL;
	w->target.between = NULL;
	json_t *j = ask_json(w, "stats -j", EXIT_OK);
	assert_null(json_object_get(j, "workers"));
	assert_null(json_object_get(j, "between"));
	json_decref(j);
	assert_int_equal(ask(w, "stats"), EXIT_OK);
	assert_null(strstr(w->out, "WORKER"));
	assert_null(strstr(w->out, "in each worker"));
	assert_int_equal(ask(w, "drops"), EXIT_OK);
}

/* Would catch: sums of stages over one worker, a share of the wrong whole, a worker that --reset forgets. */
static void test_stages(void **state)
{
	struct workers *w = *state;

	for (uint32_t i = 0; i < N_CORES; i++) {
		w->core[i].b->env.stages.own[STAGE_ROUTE] = (struct stage_stats){ 1, 10 + i, 100 * (i + 1) };
		ip_stack_hooks(w->core[i].b->s, HOOK_POSTROUTING)->entry[0].stats =
			(struct stage_stats){ 2, 20 + i, 50 };
	}
	json_t *j = ask_json(w, "stats --stages --reset -j", EXIT_OK);
	json_t *route = row_of(json_object_get(j, "stages"), "stage", "route");
	assert_int_equal(number(route, "packets"), 21);
	assert_int_equal(number(route, "clocks"), 300);
	assert_float_equal(json_number_value(json_object_get(route, "share_percent")), 75, 0.01);
	json_t *srcnat = row_of(json_object_get(j, "stages"), "stage", "postrouting srcnat");
	assert_int_equal(number(srcnat, "packets"), 41);
	json_t *workers = json_object_get(j, "workers");
	size_t n = json_array_size(json_object_get(j, "stages"));
	assert_int_equal(json_array_size(workers), 2 * n);
	json_t *last = json_array_get(workers, 2 * n - 1);
	assert_int_equal(number(last, "worker"), 1);
	json_decref(j);

	j = ask_json(w, "stats --stages -j", EXIT_OK);
	assert_int_equal(number(row_of(json_object_get(j, "stages"), "stage", "route"), "packets"), 0);
	assert_int_equal(number(row_of(json_object_get(j, "stages"), "stage", "postrouting srcnat"), "packets"), 0);
	json_decref(j);
}

/* --- tables that the workers share --- */

/* Would catch: ports counted once a worker, an address of an interface that only the second worker has used. */
static void test_pools(void **state)
{
	struct workers *w = *state;

	send_many(w, 0, FAR, 3);
	send_many(w, 1, FAR, 4);
	json_t *j = ask_json(w, "pools -j", EXIT_OK), *row = json_array_get(j, 0);
	assert_int_equal(json_array_size(j), 1);
	assert_int_equal(number(row, "addresses"), 2);
	assert_int_equal(number(row, "ports"), 2000);
	assert_int_equal(number(row, "used_udp"), 7);
	assert_int_equal(number(row, "used_tcp"), 0);
	json_decref(j);

	/* An interface with two addresses; first each worker uses another of them. */
	for (uint32_t i = 0; i < N_CORES; i++) {
		struct ip_interface_config *wan = &w->core[i].b->cfg.interface[WAN];

		wan->address[wan->n_addresses].addr = IP4(203, 0, 113, 1);
		wan->address[wan->n_addresses++].prefix_len = 24;
		fixture_route(w->core[i].b, IP4(203, 0, 113, 0), 24,
			      (struct fib_nexthop){ .kind = FIB_UNICAST, .ifindex = WAN });
		fixture_learn(w->core[i].b, WAN, IP4(203, 0, 113, 9));
	}
	static const struct {
		uint32_t core, dst;
		int n_addresses;
	} steps[] = {
		{ 1, FAR, 1 },
		{ 0, IP4(203, 0, 113, 9), 2 },
		{ 0, FAR, 2 },
		{ 1, IP4(203, 0, 113, 9), 2 },
	};
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		send_one(w, steps[i].core, MASQUERADED, steps[i].dst, 1);
		j = ask_json(w, "pools -j", EXIT_OK);
		row = row_of(j, "name", "wan0");
		assert_int_equal(number(row, "addresses"), steps[i].n_addresses);
		assert_int_equal(number(row, "ports"), steps[i].n_addresses * 64512);
		assert_int_equal(number(row, "used_udp"), i + 1);
		json_decref(j);
	}
}

/* Would catch: a rule shown once a worker, one worker's count, a start value that every worker adds. */
static void test_rules(void **state)
{
	struct workers *w = *state;

	send_many(w, 0, FAR, 3);
	send_many(w, 1, FAR, 4);
	json_t *j = ask_json(w, "rules -j", EXIT_OK), *row;
	size_t i, n = 0;
	json_array_foreach(j, i, row)
	{
		if (json_object_get(row, "packets") == NULL)
			continue;
		assert_int_equal(number(row, "packets"), 1007);
		assert_int_equal(number(row, "bytes"), 5000 + 7 * 40);
		n++;
	}
	assert_int_equal(n, 1);
	assert_int_equal(json_array_size(j), 5); /* a line a rule, and the policies */
	json_decref(j);
}

static void check_neigh(struct workers *w, const char *dst, const char *state, int confirmed_s)
{
	json_t *j = ask_json(w, "neigh -j", EXIT_OK), *row = row_of(j, "dst", dst);

	assert_string_equal(json_string_value(json_object_get(row, "state")), state);
	assert_int_equal(number(row, "confirmed"), confirmed_s);
	json_decref(j);
}

/* Would catch: a neighbour shown once a worker, a worse state than somebody knows, an older confirmation, one that only
 * the second worker has left out. */
static void test_neigh(void **state)
{
	struct workers *w = *state;

	/* Core 0's have become stale; core 1 has heard of the host again. Of the one at small0 core 1 has heard last,
	 * but its device was down since. */
	for (uint32_t i = 0; i < N_CORES; i++)
		fixture_run_for(w->core[i].b, 100 * NS_PER_S);
	fixture_learn(w->core[0].b, SMALL, SMALL_HOST);
	for (uint32_t i = 0; i < N_CORES; i++)
		fixture_run_for(w->core[i].b, 5 * NS_PER_S);
	fixture_learn(w->core[1].b, LAN, LAN_HOST);
	fixture_learn(w->core[1].b, LAN, LAN_HOST + 1);
	fixture_learn(w->core[1].b, SMALL, SMALL_HOST);
	for (uint32_t i = 0; i < N_CORES; i++)
		fixture_run_for(w->core[i].b, 5 * NS_PER_S);
	for (uint32_t up = 0; up < 2; up++) {
		w->core[1].b->dev[SMALL].dev.up = up != 0;
		ip_stack_device_changed(w->core[1].b->s, SMALL);
	}
	check_neigh(w, "10.0.1.2", "REACHABLE", 5);
	check_neigh(w, "192.0.2.254", "STALE", 110);
	check_neigh(w, "10.0.3.2", "REACHABLE", 5);
	check_neigh(w, "10.0.1.3", "REACHABLE", 5);
	json_t *j = ask_json(w, "neigh -j", EXIT_OK);
	assert_int_equal(json_array_size(j), 4);
	json_decref(j);
	/* The order of the first table stays. */
	assert_int_equal(ask(w, "neigh"), EXIT_OK);
	assert_true(strstr(w->out, "10.0.1.2 ") < strstr(w->out, "192.0.2.254 "));
	assert_true(strstr(w->out, "192.0.2.254 ") < strstr(w->out, "10.0.1.3 "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_conntrack_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(test_conntrack_deletes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stats_law, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stats_sums, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stats_beside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stats_one_core, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pools, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(test_neigh, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
