/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The fixture of fixture.h. Neighbours are answered for: every address has one MAC.
 * Time moves by a microsecond a batch, so nothing times out while tables fill.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fixture.h"
#include "stack/packet/packet_fixture.h"
#include "stack/wire/arp.h"
#include "stack/wire/icmp.h"

#define BATCH_NS 1000
#define PAYLOAD_BYTES 4

static const struct ether_addr peer_mac = { { 2, 0, 0, 0, 0, 0x99 } };

static const char interfaces[] = "interface lan0 { address 10.77.0.1/16; }\n"
				 "interface wan0 { address 203.0.113.1/24; }\n"
				 "route 0.0.0.0/0 via 203.0.113.254;\n";

static void note_arp(struct end *e, const uint8_t *p, size_t len)
{
	struct arp_view arp;

	assert_true(arp_parse(p, len, &arp));
	/* An announcement asks for itself. */
	if (arp.op == ARP_REQUEST && arp.tpa != arp.spa && e->n_asked < ARRAY_LEN(e->asked))
		e->asked[e->n_asked++] = arp.tpa;
}

static void note_ip(struct end *e, const uint8_t *l3, size_t len)
{
	struct fixture *b = e->fixture;
	struct ipv4_view ip;
	struct l4_view l4;

	assert_int_equal(ipv4_parse(l3, len, &ip), IPV4_OK);
	assert_int_equal(l4_parse(&ip, l3 + ip.header_len, ip.total_len - ip.header_len, &l4), L4_OK);
	e->n_sent[0]++;
	if (l4.kind == L4_ICMP_ERROR) {
		e->n_sent[1]++;
		b->error_type = l4.type;
		b->error_code = l4.code;
		b->error_to = ip.dst;
	} else if (b->seen != NULL) {
		b->seen(b, e->side, &ip, &l4);
	}
}

static void end_tx(struct device *d, struct batch *batch)
{
	struct end *e = container_of(d, struct end, device);

	for (uint32_t i = 0; i < batch->n; i++) {
		struct packet *p = batch->p[i];
		const uint8_t *frame = packet_frame(p);
		struct ether_view eth;

		assert_true(ether_parse(frame, p->len, &eth));
		if (eth.type == ETHERTYPE_ARP)
			note_arp(e, frame + ETHER_HEADER_LEN, p->len - ETHER_HEADER_LEN);
		else
			note_ip(e, frame + ETHER_HEADER_LEN, p->len - ETHER_HEADER_LEN);
		d->ledger->n_handed++;
		packet_free(d->pool, p);
	}
	batch->n = 0;
}

static const struct device_ops end_ops = { .driver = "test", .tx = end_tx };

static void on_event(void *ctx, const struct yg_event *e)
{
	struct fixture *b = ctx;

	if (e->kind != EVENT_NAT_EXHAUSTED)
		return;
	b->n_exhausted_events++;
	b->last_exhausted = *e;
}

static uint32_t interface_number(const struct snapshot *s, const char *name)
{
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (strcmp(s->core.ip.interface[i].name, name) == 0)
			return i;
	fail_msg("no interface %s", name);
	return 0;
}

struct fixture *fixture_start(const char *rules, uint32_t n_connections)
{
	static const uint8_t seed[RNG_SEED_BYTES] = "every port once";
	static const char *const names[N_SIDES] = { "lan0", "wan0" };
	struct gateway_limits limits = {
		.packets = { .n_packets = 512, .n_small = 512, .n_large = 1 },
		.conntrack = { .n_connections = n_connections },
		/* Endpoint-independent mappings are not what this is about. */
		.nat = { .n_mappings = 1024 },
	};
	struct fixture *b = calloc(1, sizeof(*b));
	struct config_errors *errors = NULL;
	char text[4096];

	assert_non_null(b);
	(void)snprintf(text, sizeof(text), "%s%s", interfaces, rules);
	b->config = config_read_text("fill.conf", text, strlen(text), &errors);
	if (b->config == NULL)
		config_errors_print(errors, stderr);
	assert_non_null(b->config);
	config_errors_free(errors);
	errors = NULL;
	b->snapshot = snapshot_build(b->config, NULL, &errors);
	assert_non_null(b->snapshot);
	b->now = NS_PER_S;
	b->gw = gateway_create(&limits, seed, b->now, on_event, b);
	assert_non_null(b->gw);
	assert_int_equal(gateway_configure(b->gw, &b->snapshot->core, b->now), 0);
	for (int side = 0; side < N_SIDES; side++) {
		struct end *e = &b->end[side];

		e->fixture = b;
		e->side = (enum side)side;
		e->ifindex = interface_number(b->snapshot, names[side]);
		e->device.ops = &end_ops;
		e->device.mac = (struct ether_addr){ { 2, 0, 0, 0, 0, (uint8_t)side } };
		e->device.mtu = 1500;
		e->device.up = true;
		(void)snprintf(e->device.name, sizeof(e->device.name), "%s", names[side]);
		gateway_attach(b->gw, e->ifindex, &e->device, b->now);
	}
	return b;
}

static struct packet *new_packet(struct fixture *b, enum side side, uint32_t len, uint16_t type)
{
	struct env *env = gateway_env(b->gw);
	struct packet *p = packet_alloc(env->pool, ETHER_HEADER_LEN + len);
	struct ether_view eth = { .dst = b->end[side].device.mac, .src = peer_mac, .type = type };

	assert_non_null(p);
	env->ledger.n_received++;
	ether_emit(packet_frame(p), &eth);
	return p;
}

static void input(struct fixture *b, enum side side, struct batch *batch)
{
	b->now += BATCH_NS;
	gateway_input(b->gw, b->end[side].ifindex, batch, b->now);
	assert_int_equal(batch->n, 0);
	if (gateway_next_deadline(b->gw) <= b->now)
		gateway_expire(b->gw, b->now);
}

/* Answers what was asked. */
static void answer_arp(struct fixture *b, struct end *e)
{
	while (e->n_asked > 0) {
		struct batch batch = { .n = 0 };
		struct packet *p = new_packet(b, e->side, ARP_LEN, ETHERTYPE_ARP);
		struct arp_view arp = {
			.op = ARP_REPLY,
			.sha = peer_mac,
			.tha = e->device.mac,
			.spa = e->asked[--e->n_asked],
			.tpa = e->side == LAN ? IP4(10, 77, 0, 1) : IP4(203, 0, 113, 1),
		};

		arp_emit(packet_frame(p) + ETHER_HEADER_LEN, &arp);
		batch_add(&batch, p);
		input(b, e->side, &batch);
	}
}

void fixture_settle(struct fixture *b)
{
	if (b->batch.n > 0)
		input(b, b->batch_side, &b->batch);
	for (int side = 0; side < N_SIDES; side++)
		answer_arp(b, &b->end[side]);
}

void fixture_put(struct fixture *b, enum side side, const struct flow *f, uint8_t tcp_flags)
{
	bool tcp = f->proto == IPPROTO_NR_TCP;
	struct packet_spec spec = { .src = f->src,
				    .dst = f->dst,
				    .proto = f->proto,
				    .sport = f->sport,
				    .dport = f->dport,
				    .seq = 1,
				    .ack = tcp_flags & TCP_ACK ? 2 : 0,
				    .flags = tcp_flags != 0 ? tcp_flags : TCP_SYN,
				    .window = 65535,
				    .payload_len = tcp ? 0 : PAYLOAD_BYTES };

	if (b->batch.n > 0 && b->batch_side != side)
		fixture_settle(b);
	struct packet *p = packet_of_spec(gateway_env(b->gw)->pool, &spec, &b->end[side].device.mac, &peer_mac);

	assert_non_null(p);
	gateway_env(b->gw)->ledger.n_received++;
	b->batch_side = side;
	batch_add(&b->batch, p);
	/* One at a time until the neighbours are known. */
	if (b->batch.n == BATCH_MAX || b->end[WAN].n_sent[0] < 2)
		fixture_settle(b);
}

void fixture_check_law(struct fixture *b)
{
	struct env *env = gateway_env(b->gw);

	fixture_settle(b);
	assert_int_equal(ledger_expected_held(&env->ledger), (int64_t)packet_pool_used(env->pool));
	assert_int_equal(nat_law_difference(gateway_nat(b->gw)), 0);
}

void fixture_stop(struct fixture *b)
{
	fixture_check_law(b);
	gateway_destroy(b->gw);
	snapshot_destroy(b->snapshot);
	config_free(b->config);
	free(b);
}

struct nat_pool_info fixture_pools(const struct fixture *b)
{
	struct nat_pool_info sum = { 0 }, info;

	for (uint32_t cursor = 0; nat_pool_next(gateway_nat(b->gw), &cursor, &info);) {
		sum.n_addresses += info.n_addresses;
		sum.n_ports += info.n_ports;
		sum.n_used_tcp += info.n_used_tcp;
		sum.n_used_udp += info.n_used_udp;
		sum.n_used_icmp += info.n_used_icmp;
		sum.n_refused += info.n_refused;
	}
	return sum;
}
