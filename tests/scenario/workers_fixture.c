/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The fixture of workers_fixture.h. Neighbours answer ARP by themselves: every address has
 * one MAC. Time moves by a microsecond a step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "workers_fixture.h"
#include "stack/wire/arp.h"
#include "stack/wire/icmp.h"

#define STEP_NS NS_PER_US
#define BATCH_FRAMES 32u

static const struct ether_addr peer_mac = { { 2, 0, 0, 0, 0, 0x99 } };

static const char interfaces[] = "interface lan0 { address 10.77.0.1/16; }\n"
				 "interface wan0 { address 203.0.113.1/24; }\n"
				 "route 0.0.0.0/0 via 203.0.113.254;\n";

static struct fixture_frame *queue_put(struct fixture *r)
{
	if (r->queue_n == r->queue_cap) {
		uint32_t cap = r->queue_cap == 0 ? 1024 : 2 * r->queue_cap;
		struct fixture_frame *q = malloc(cap * sizeof(*q));

		assert_non_null(q);
		for (uint32_t i = 0; i < r->queue_n; i++)
			q[i] = r->queue[(r->queue_first + i) % r->queue_cap];
		free(r->queue);
		r->queue = q;
		r->queue_cap = cap;
		r->queue_first = 0;
	}
	return &r->queue[(r->queue_first + r->queue_n++) % r->queue_cap];
}

static void start_frame(struct fixture *r, struct fixture_frame *f, enum fixture_side side, uint16_t type)
{
	struct ether_view eth = { .dst = r->end[0][side].device.mac, .src = peer_mac, .type = type };

	f->side = (uint8_t)side;
	ether_emit(f->bytes, &eth);
}

static void answer_arp(struct fixture *r, enum fixture_side side, const uint8_t *l3, size_t len)
{
	struct arp_view ask;

	assert_true(arp_parse(l3, len, &ask));
	if (ask.op == ARP_REPLY)
		r->n_arp_replies++;
	/* An announcement asks for itself. */
	if (ask.op != ARP_REQUEST || ask.tpa == ask.spa)
		return;
	struct fixture_frame *f = queue_put(r);
	struct arp_view reply = { .op = ARP_REPLY, .sha = peer_mac, .tha = ask.sha, .spa = ask.tpa, .tpa = ask.spa };

	start_frame(r, f, side, ETHERTYPE_ARP);
	f->len = ETHER_HEADER_LEN + ARP_LEN;
	arp_emit(f->bytes + ETHER_HEADER_LEN, &reply);
}

static void look_at(struct fixture_end *e, struct packet *p)
{
	struct fixture *r = e->fixture;
	const uint8_t *l3 = packet_frame(p) + ETHER_HEADER_LEN;
	struct ether_view eth;
	struct ipv4_view ip;
	struct l4_view l4;

	assert_true(ether_parse(packet_frame(p), p->len, &eth));
	if (eth.type == ETHERTYPE_ARP) {
		answer_arp(r, e->side, l3, p->len - ETHER_HEADER_LEN);
		return;
	}
	assert_int_equal(ipv4_parse(l3, p->len - ETHER_HEADER_LEN, &ip), IPV4_OK);
	assert_int_equal(l4_parse(&ip, l3 + ip.header_len, ip.total_len - ip.header_len, &l4), L4_OK);
	if (!ipv4_is_fragment(&ip))
		assert_true(l4_checksum_ok(&ip, l3 + ip.header_len, ip.total_len - ip.header_len));
	r->n_left[e->side]++;
	if (r->seen != NULL)
		r->seen(r, e->side, p, &ip, &l4);
}

static void end_tx(struct device *d, struct batch *batch)
{
	struct fixture_end *e = container_of(d, struct fixture_end, device);

	for (uint32_t i = 0; i < batch->n; i++) {
		look_at(e, batch->p[i]);
		d->ledger->n_handed++;
		packet_free(d->pool, batch->p[i]);
	}
	batch->n = 0;
}

static const struct device_ops end_ops = { .driver = "test", .tx = end_tx };

static void on_event(void *ctx, const struct yg_event *e)
{
	/* Perhaps from several threads. */
	atomic_fetch_add(&((struct fixture *)ctx)->n_events[e->kind], 1);
}

static void read_config(struct fixture *r, const char *rules, struct config **config, struct snapshot **snapshot)
{
	struct config_errors *errors = NULL;
	char text[4096];

	(void)snprintf(text, sizeof(text), "%s%s", interfaces, rules);
	*config = config_read_text("workers.conf", text, strlen(text), &errors);
	if (*config == NULL)
		config_errors_print(errors, stderr);
	assert_non_null(*config);
	config_errors_free(errors);
	errors = NULL;
	*snapshot = snapshot_build(*config, r->snapshot, &errors);
	assert_non_null(*snapshot);
}

static uint32_t interface_number(const struct snapshot *s, const char *name)
{
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (strcmp(s->core.ip.interface[i].name, name) == 0)
			return i;
	fail_msg("no interface %s", name);
	return 0;
}

static struct fixture *start(uint32_t n, bool host, const char *rules, uint32_t n_connections)
{
	static const uint8_t seed[RNG_SEED_BYTES] = "many hands";
	static const char *const names[N_FIXTURE_SIDES] = { "lan0", "wan0", "lan1" };
	int n_sides = strncmp(rules, "interface lan1", strlen("interface lan1")) == 0 ? N_FIXTURE_SIDES : FIXTURE_LAN1;
	struct gateway_limits limits = {
		.packets = { .n_packets = 1024, .n_small = 1024, .n_large = 4 },
		.conntrack = { .n_connections = n_connections },
	};
	struct fixture *r = calloc(1, sizeof(*r));
	void *ctx[WORKERS_MAX];

	assert_non_null(r);
	for (uint32_t i = 0; i < n; i++)
		ctx[i] = r;
	rng_init(&r->rng, seed);
	r->n = n;
	r->n_members = n + host;
	r->entry = WORKERS_MAX;
	r->now = NS_PER_S;
	read_config(r, rules, &r->config, &r->snapshot);
	r->workers = workers_create(n, &limits, seed, r->now, on_event, ctx);
	r->end = calloc(n, sizeof(*r->end));
	assert_non_null(r->workers);
	assert_non_null(r->end);
	if (host)
		assert_int_equal(workers_add_host(r->workers, &limits, seed, r->now, on_event, r), 0);
	assert_int_equal(workers_configure(r->workers, &r->snapshot->core, r->now), 0);
	for (uint32_t i = 0; i < n; i++) {
		for (int side = 0; side < n_sides; side++) {
			struct fixture_end *e = &r->end[i][side];

			r->ifindex[side] = interface_number(r->snapshot, names[side]);
			*e = (struct fixture_end){ .fixture = r, .worker = i, .side = (enum fixture_side)side };
			e->device.ops = &end_ops;
			e->device.mac = (struct ether_addr){ { 2, 0, 0, 0, 0, (uint8_t)side } };
			e->device.mtu = 1500;
			e->device.up = true;
			(void)snprintf(e->device.name, sizeof(e->device.name), "%s", names[side]);
			gateway_attach(workers_gateway(r->workers, i), r->ifindex[side], &e->device, r->now);
			if (i == 0)
				workers_show_device(r->workers, r->ifindex[side], &e->device, r->now);
		}
	}
	fixture_run(r);
	return r;
}

struct fixture *fixture_start(uint32_t n, const char *rules, uint32_t n_connections)
{
	return start(n, false, rules, n_connections);
}

struct fixture *fixture_start_with_host(uint32_t n, const char *rules, uint32_t n_connections)
{
	return start(n, true, rules, n_connections);
}

int fixture_reload(struct fixture *r, const char *rules)
{
	struct config *config;
	struct snapshot *snapshot;

	read_config(r, rules, &config, &snapshot);
	int rc = workers_configure(r->workers, &snapshot->core, r->now);
	assert_int_equal(rc, 0);
	snapshot_destroy(r->snapshot);
	config_free(r->config);
	r->config = config;
	r->snapshot = snapshot;
	return rc;
}

void fixture_stop(struct fixture *r)
{
	fixture_run(r);
	fixture_check_law(r);
	workers_destroy(r->workers);
	snapshot_destroy(r->snapshot);
	config_free(r->config);
	free(r->queue);
	free(r->end);
	free(r);
}

uint32_t fixture_build(const struct packet_spec *p, uint8_t *l3)
{
	struct packet_spec usual = *p;

	if (p->proto == IPPROTO_NR_TCP) {
		usual.flags = p->flags != 0 ? p->flags : TCP_SYN;
		usual.seq = 1;
		usual.ack = usual.flags & TCP_ACK ? 2 : 0;
		usual.window = 65535;
	}
	if (p->proto == IPPROTO_NR_ICMP && p->payload == NULL) {
		usual.id = p->sport;
		usual.icmp_seq = 1;
	}
	return packet_build(&usual, l3);
}

void fixture_put(struct fixture *r, enum fixture_side side, const struct packet_spec *p)
{
	struct fixture_frame *f = queue_put(r);

	start_frame(r, f, side, ETHERTYPE_IPV4);
	f->len = (uint16_t)(ETHER_HEADER_LEN + fixture_build(p, f->bytes + ETHER_HEADER_LEN));
	assert_true(f->len <= FIXTURE_FRAME_MAX);
}

/* Some frames of one side enter at one worker. */
static void enter(struct fixture *r)
{
	uint32_t worker = r->entry < r->n ? r->entry : rng_below(&r->rng, r->n);
	uint32_t most = 1 + rng_below(&r->rng, BATCH_FRAMES);
	struct env *env = gateway_env(workers_gateway(r->workers, worker));
	uint8_t side = r->queue[r->queue_first].side;
	struct batch b = { .n = 0 };

	while (r->queue_n > 0 && b.n < most && r->queue[r->queue_first].side == side) {
		const struct fixture_frame *f = &r->queue[r->queue_first];
		struct packet *p = packet_alloc(env->pool, f->len);

		assert_non_null(p);
		env->ledger.n_received++;
		memcpy(packet_frame(p), f->bytes, f->len);
		batch_add(&b, p);
		r->queue_first = (r->queue_first + 1) % r->queue_cap;
		r->queue_n--;
	}
	workers_input(r->workers, worker, r->ifindex[side], &b, r->now);
	assert_int_equal(b.n, 0);
}

/* Everybody in turn, from a drawn one on; true when somebody had something. */
static bool poll_all(struct fixture *r)
{
	uint32_t start = rng_below(&r->rng, r->n_members);
	bool moved = false;

	for (uint32_t i = 0; i < r->n_members; i++) {
		uint32_t w = (start + i) % r->n_members;

		if (w == r->n && r->host_sleeps)
			continue;
		moved |= workers_poll(r->workers, w, r->now) > 0;
		if (workers_next_deadline(r->workers, w) <= r->now)
			workers_expire(r->workers, w, r->now);
	}
	return moved;
}

void fixture_step(struct fixture *r)
{
	r->now += STEP_NS;
	if (r->queue_n > 0)
		enter(r);
	/* Not always: what stands in rings may wait. */
	if (rng_below(&r->rng, 2) == 0 || r->queue_n == 0)
		(void)poll_all(r);
}

void fixture_run(struct fixture *r)
{
	do {
		while (r->queue_n > 0)
			fixture_step(r);
		r->now += STEP_NS;
	} while (poll_all(r) || r->queue_n > 0);
}

void fixture_wait(struct fixture *r, uint64_t ns)
{
	uint64_t end = r->now + ns;

	while (r->now < end) {
		r->now = min_u64(end, r->now + 100 * NS_PER_MS);
		for (uint32_t i = 0; i < r->n_members; i++)
			if (i < r->n || !r->host_sleeps)
				workers_expire(r->workers, i, r->now);
		fixture_run(r);
	}
}

void fixture_check_law(struct fixture *r)
{
	uint64_t n_over = 0, n_taken = 0;
	struct workers_between between;

	fixture_run(r);
	for (uint32_t i = 0; i < r->n_members; i++) {
		const struct env *env = gateway_env(workers_gateway(r->workers, i));

		assert_int_equal(ledger_expected_held(&env->ledger), (int64_t)packet_pool_used(env->pool));
		if (i < r->n)
			assert_int_equal(nat_law_difference(gateway_nat(workers_gateway(r->workers, i))), 0);
		n_over += env->ledger.n_handed_over;
		n_taken += env->ledger.n_taken_over;
	}
	workers_between(r->workers, &between);
	assert_int_equal(n_over + between.n_external, n_taken + between.n_waiting);
	if (!r->host_sleeps)
		assert_int_equal(between.n_waiting, 0);
}

static uint64_t sum_of(const struct fixture *r, size_t offset)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < r->n_members; i++)
		n += *(const uint64_t *)((const char *)&gateway_env(workers_gateway(r->workers, i))->ledger + offset);
	return n;
}

uint64_t fixture_dropped(const struct fixture *r, enum drop_reason reason)
{
	return sum_of(r, offsetof(struct ledger, n_dropped) + reason * sizeof(uint64_t));
}

uint64_t fixture_dropped_all(const struct fixture *r)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < r->n_members; i++)
		n += ledger_dropped(&gateway_env(workers_gateway(r->workers, i))->ledger);
	return n;
}

void fixture_print_drops(const struct fixture *r)
{
	for (uint32_t i = 0; i < N_DROP_REASONS; i++)
		if (fixture_dropped(r, (enum drop_reason)i) != 0)
			print_message("  %s %llu\n", drop_info[i].name,
				      (unsigned long long)fixture_dropped(r, (enum drop_reason)i));
}

uint64_t fixture_handed_over(const struct fixture *r)
{
	return sum_of(r, offsetof(struct ledger, n_handed_over));
}

uint32_t fixture_n_connections(const struct fixture *r)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->n; i++)
		n += conntrack_n_connections(gateway_conntrack(workers_gateway(r->workers, i)));
	return n;
}

struct nat_pool_info fixture_pools(const struct fixture *r)
{
	struct nat_pool_info sum = { 0 }, info;

	for (uint32_t i = 0; i < r->n; i++) {
		for (uint32_t cursor = 0; nat_pool_next(gateway_nat(workers_gateway(r->workers, i)), &cursor, &info);) {
			sum.n_used_tcp += info.n_used_tcp;
			sum.n_used_udp += info.n_used_udp;
			sum.n_used_icmp += info.n_used_icmp;
			sum.n_refused += info.n_refused;
		}
	}
	return sum;
}
