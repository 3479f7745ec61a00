/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Our core between two devices that hand it a packet and keep what it sends. It
 * is one gateway for the whole run, or for one set of rules; its clock goes on by a little with every
 * packet. Whoever it asks for by ARP answers at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/gateway.h"
#include "daemon/config/snapshot.h"
#include "base/util.h"
#include "dut.h"
#include "stack/wire/arp.h"

/* Long enough that no limit of answers a second is in the way. */
#define STEP_NS (100 * NS_PER_MS)
/* Between two exchanges: the limits of answers a second have recovered. */
#define PAUSE_NS (10 * NS_PER_S)
#define N_ARP_MAX 16

static const char *const names[N_SIDES] = { [INSIDE] = "lan0", [OUTSIDE] = "wan0" };

struct end {
	struct device device;
	struct ours *ours;
	uint32_t ifindex;
	uint32_t n_arp;
	struct arp_view arp[N_ARP_MAX]; /* questions that wait for their answer */
};

struct ours {
	struct dut dut;
	uint64_t now;
	struct gateway *gw;
	struct config *config;
	struct snapshot *snapshot;
	struct end end[N_SIDES];
	struct outcome *out;
};

static enum side side_of(const struct end *e)
{
	return e == &e->ours->end[INSIDE] ? INSIDE : OUTSIDE;
}

static void take(struct end *e, const struct packet *p, const uint8_t *frame)
{
	struct outcome *out = e->ours->out;
	struct ether_view eth;
	struct ipv4_view ip;
	struct arp_view arp;

	if (!ether_parse(frame, p->len, &eth))
		dut_die("our core sent a frame without a header");
	if (eth.type == ETHERTYPE_ARP) {
		if (arp_parse(frame + ETHER_HEADER_LEN, p->len - ETHER_HEADER_LEN, &arp) && arp.op == ARP_REQUEST &&
		    arp.spa != arp.tpa && e->n_arp < N_ARP_MAX)
			e->arp[e->n_arp++] = arp;
		return;
	}
	if (out == NULL)
		return;
	if (ipv4_parse(frame + ETHER_HEADER_LEN, p->len - ETHER_HEADER_LEN, &ip) != IPV4_OK)
		dut_die("our core sent a packet that does not parse");
	if (out->n == OUTCOME_MAX)
		dut_die("our core sent too much for one packet");
	struct ip_packet *to = &out->packet[out->n++];

	to->side = side_of(e);
	to->len = ip.total_len;
	memcpy(to->bytes, frame + ETHER_HEADER_LEN, to->len);
}

static void end_tx(struct device *d, struct batch *b)
{
	struct end *e = container_of(d, struct end, device);

	for (uint32_t i = 0; i < b->n; i++) {
		take(e, b->p[i], packet_frame(b->p[i]));
		d->ledger->n_handed++;
		packet_free(d->pool, b->p[i]);
	}
	b->n = 0;
}

static const struct device_ops end_ops = { .driver = "test", .tx = end_tx };

static void input(struct ours *o, enum side side, uint16_t type, const void *bytes, uint32_t len)
{
	struct env *env = gateway_env(o->gw);
	struct end *e = &o->end[side];
	struct packet *p = packet_alloc(env->pool, max_u32(ETHER_HEADER_LEN + len, ETHER_MIN_FRAME));
	struct ether_view eth = { .dst = e->device.mac, .src = { { 2, 0, 0, 0, 9, (uint8_t)side } }, .type = type };
	struct batch b = { .n = 0 };

	if (p == NULL)
		dut_die("our core holds all packets");
	memset(packet_frame(p), 0, p->len);
	ether_emit(packet_frame(p), &eth);
	memcpy(packet_frame(p) + ETHER_HEADER_LEN, bytes, len);
	env->ledger.n_received++;
	batch_add(&b, p);
	gateway_input(o->gw, e->ifindex, &b, o->now);
}

static void answer_arp(struct ours *o)
{
	for (int side = 0; side < N_SIDES; side++) {
		struct end *e = &o->end[side];

		while (e->n_arp > 0) {
			struct arp_view rq = e->arp[--e->n_arp];
			struct arp_view rp = { .op = ARP_REPLY,
					       .sha = { { 2, 0, 0, 0, 9, (uint8_t)side } },
					       .spa = rq.tpa,
					       .tha = rq.sha,
					       .tpa = rq.spa };
			uint8_t bytes[64];

			arp_emit(bytes, &rp);
			input(o, (enum side)side, ETHERTYPE_ARP, bytes, ARP_LEN);
			side = 0;
		}
	}
}

static void pass_time(struct ours *o, uint64_t ns)
{
	o->now += ns;
	while (gateway_next_deadline(o->gw) <= o->now) {
		gateway_expire(o->gw, o->now);
		answer_arp(o);
	}
}

static void ours_inject(struct dut *r, const struct ip_packet *p, struct outcome *out)
{
	struct ours *o = container_of(r, struct ours, dut);

	out->n = 0;
	/* What a timer sends answers an earlier packet. */
	pass_time(o, STEP_NS);
	o->out = out;
	const uint64_t *dropped = gateway_env(o->gw)->ledger.n_dropped;
	uint64_t before[N_DROP_REASONS];

	memcpy(before, dropped, sizeof(before));
	input(o, p->side, ETHERTYPE_IPV4, p->bytes, p->len);
	answer_arp(o);
	o->out = NULL;
	r->reason = NULL;
	for (int i = 0; i < N_DROP_REASONS; i++)
		if (dropped[i] != before[i])
			r->reason = drop_info[i].name;
}

static uint32_t ours_list(struct dut *r, struct entry *out)
{
	static const struct {
		uint16_t ours;
		uint32_t theirs;
	} flags[] = { { CT_SEEN_REPLY, ENTRY_SEEN_REPLY },
		      { CT_ASSURED, ENTRY_ASSURED },
		      { CT_CONFIRMED, ENTRY_CONFIRMED },
		      { CT_SNAT, ENTRY_SNAT },
		      { CT_DNAT, ENTRY_DNAT } };
	struct ours *o = container_of(r, struct ours, dut);
	struct conntrack *ct = gateway_conntrack(o->gw);
	uint32_t cursor = 0, index, n = 0;

	while (n < ENTRIES_MAX && conntrack_next(ct, &cursor, &index)) {
		const struct conn *c = conntrack_conn(ct, index);
		struct entry *e = &out[n++];

		memset(e, 0, sizeof(*e));
		for (int d = 0; d < N_CT_DIRS; d++)
			e->tuple[d] = c->half[d].tuple;
		e->tcp_state = c->half[0].tuple.proto == IPPROTO_NR_TCP ? c->tcp_state : 0;
		for (uint32_t i = 0; i < ARRAY_LEN(flags); i++)
			e->status |= c->status & flags[i].ours ? flags[i].theirs : 0;
	}
	return n;
}

static void ours_flush(struct dut *r)
{
	struct ours *o = container_of(r, struct ours, dut);
	struct conntrack *ct = gateway_conntrack(o->gw);
	struct env *env = gateway_env(o->gw);
	uint32_t cursor = 0, index;

	while (conntrack_next(ct, &cursor, &index))
		conntrack_end(ct, index, CT_END_FLUSHED);
	pass_time(o, PAUSE_NS);
	if (ledger_expected_held(&env->ledger) != (int64_t)packet_pool_used(env->pool))
		dut_die("the law of conservation does not hold");
	if (nat_law_difference(gateway_nat(o->gw)) != 0)
		dut_die("the law of ports does not hold");
}

static void stop(struct ours *o)
{
	gateway_destroy(o->gw);
	snapshot_destroy(o->snapshot);
	config_free(o->config);
}

static void ours_close(struct dut *r)
{
	struct ours *o = container_of(r, struct ours, dut);

	stop(o);
	free(o);
}

static void on_event(void *ctx, const struct yg_event *e)
{
	(void)ctx;
	(void)e;
}

static void attach(struct ours *o, enum side side)
{
	struct end *e = &o->end[side];

	e->ours = o;
	e->device.ops = &end_ops;
	e->device.mac = (struct ether_addr){ { 2, 0, 0, 0, 8, (uint8_t)side } };
	e->device.mtu = 1500;
	e->device.up = true;
	snprintf(e->device.name, sizeof(e->device.name), "%s", names[side]);
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (strcmp(o->snapshot->core.ip.interface[i].name, names[side]) == 0)
			e->ifindex = i;
	gateway_attach(o->gw, e->ifindex, &e->device, o->now);
}

static void begin(struct ours *o, const char *rules)
{
	static const uint8_t seed[RNG_SEED_BYTES] = "differential";
	static const struct gateway_limits limits = {
		.packets = { .n_packets = 512, .n_small = 512, .n_large = 8 },
		.conntrack = { .n_connections = 4096 },
	};
	struct config_errors *errors = NULL;
	char text[8192];

	snprintf(text, sizeof(text),
		 "interface lan0 { address 10.77.0.1/24; }\n"
		 "interface wan0 { address 203.0.113.1/24; mtu %d; }\n%s",
		 WAN_MTU, rules);
	o->config = config_read_text("differential.conf", text, strlen(text), &errors);
	o->snapshot = o->config == NULL ? NULL : snapshot_build(o->config, NULL, &errors);
	if (o->snapshot == NULL) {
		config_errors_print(errors, stderr);
		dut_die("our core refuses the rules");
	}
	o->now = 1000 * NS_PER_S;
	o->gw = gateway_create(&limits, seed, o->now, on_event, o);
	if (o->gw == NULL || gateway_configure(o->gw, &o->snapshot->core, o->now) != 0)
		dut_die("our core does not start");
	attach(o, INSIDE);
	attach(o, OUTSIDE);
	pass_time(o, PAUSE_NS);
	config_errors_free(errors);
}

static void ours_rules(struct dut *r, const char *rules)
{
	struct ours *o = container_of(r, struct ours, dut);

	stop(o);
	begin(o, rules);
}

struct dut *dut_ours(void)
{
	struct ours *o = calloc(1, sizeof(*o));

	if (o == NULL)
		dut_die("no memory");
	begin(o, dut_rules);
	o->dut = (struct dut){ .name = "ours",
			       .inject = ours_inject,
			       .list = ours_list,
			       .flush = ours_flush,
			       .rules = ours_rules,
			       .close = ours_close };
	return &o->dut;
}
