/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "duel.h"
#include "base/ip4.h"
#include "base/util.h"
#include "daemon/config/snapshot.h"
#include "gateway/conntrack/conntrack_priv.h"
#include "stack/wire/arp.h"
#include "stack/wire/checksum.h"
#include "stack/wire/icmp.h"

#define N_PACKETS 150000u

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

/* Addresses, protocol and ports; everything else a flow of its own. */
static uint64_t flow_of(const struct ipv4_view *ip, const struct l4_view *l4)
{
	uint64_t h = mix(mix(mix(1, ip->src), ip->dst), ip->proto);

	if (ipv4_is_fragment(ip) || l4->kind == L4_NONE || l4->kind == L4_ICMP_ERROR)
		return h;
	return mix(h, l4->kind == L4_ICMP_QUERY ? l4->id : (uint64_t)l4->sport << 16 | l4->dport);
}

static void note(struct end *e, const struct packet *p)
{
	const uint8_t *frame = p->buf + p->off;
	struct sent *s = &e->sent[e->n];
	struct ether_view eth;
	struct ipv4_view ip;
	struct l4_view l4 = { .kind = L4_NONE };

	assert_true(e->n < SENT_MAX);
	*s = (struct sent){ .len = p->len, .seq = e->n, .offload = p->offload, .bytes = malloc(p->len) };
	memcpy(s->bytes, frame, p->len);
	e->n++;
	assert_true(ether_parse(frame, p->len, &eth));
	/* Who asks first of several is nobody's business. */
	if (eth.type == ETHERTYPE_ARP)
		s->flow = mix(0, be32_get(*(const be32 *)(frame + ETHER_HEADER_LEN + 24)));
	if (eth.type != ETHERTYPE_IPV4)
		return;
	uint8_t *l3 = s->bytes + ETHER_HEADER_LEN;

	assert_int_equal(ipv4_parse(l3, p->len - ETHER_HEADER_LEN, &ip), IPV4_OK);
	(void)l4_parse(&ip, l3 + ip.header_len, (size_t)ip.total_len - ip.header_len, &l4);
	s->flow = flow_of(&ip, &l4);
	/* A reset that the gateway makes has one that was drawn, after those of others. */
	if (ip.df && !(l4.kind == L4_TCP && (l4.flags & TCP_RST) && ip.ttl == 64))
		return;
	s->id = ip.id | 0x10000u;
	s->hosts = mix(mix(mix(2, ip.src), ip.dst), ip.proto);
	s->n_ids = 1;
	if (p->offload.gso_type != GSO_NONE)
		s->n_ids = (l4.payload_len + p->offload.gso_size - 1u) / p->offload.gso_size;
	memset(l3 + 4, 0, 2);
	memset(l3 + 10, 0, 2);
}

static void answer_arp(struct duel *d, int side, const uint8_t *frame, uint32_t len)
{
	struct ether_view eth;
	struct arp_view arp;

	if (!ether_parse(frame, len, &eth) || eth.type != ETHERTYPE_ARP ||
	    !arp_parse(frame + ETHER_HEADER_LEN, len - ETHER_HEADER_LEN, &arp) || arp.op != ARP_REQUEST ||
	    arp.spa == arp.tpa || d->n_asked == ARRAY_LEN(d->asked))
		return;
	d->asked[d->n_asked].side = side;
	d->asked[d->n_asked++].target = arp.tpa;
}

static void end_tx(struct device *dev, struct batch *b)
{
	struct end *e = container_of(dev, struct end, device);
	struct duel *d = e->way->duel;

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];

		note(e, p);
		/* Both send the same, so the stations listen to one. */
		if (e->way == &d->way[FULL]) {
			flows_see(&d->flows, e->side, packet_frame(p), p->len);
			hostile_see(&d->hostile, e->side, packet_frame(p), p->len);
			answer_arp(d, e->side, packet_frame(p), p->len);
			if (d->seen != NULL)
				d->seen(d, e->side, packet_frame(p), p->len);
		}
		dev->ledger->n_handed++;
		packet_free(dev->pool, p);
	}
	b->n = 0;
}

static const struct device_ops end_ops = { .driver = "test", .tx = end_tx };

static void on_event(void *ctx, const struct yg_event *e)
{
	((struct way *)ctx)->n_events[e->kind]++;
}

/* Comparison. */

static int by_flow(const void *a, const void *b)
{
	const struct sent *x = a, *y = b;

	if (x->flow != y->flow)
		return x->flow < y->flow ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool offload_equal(const struct offload *a, const struct offload *b)
{
	return a->csum_partial == b->csum_partial && a->csum_valid == b->csum_valid && a->gso_type == b->gso_type &&
	       a->csum_start == b->csum_start && a->csum_offset == b->csum_offset && a->gso_size == b->gso_size &&
	       a->gso_hdr_len == b->gso_hdr_len;
}

static void print_frame(const char *who, const struct sent *s)
{
	fprintf(stderr, "%s, %u bytes:", who, s->len);
	for (uint32_t i = 0; i < min_u32(s->len, 74); i++)
		fprintf(stderr, "%s%02x", i == 14 || i == 34 ? "  " : " ", s->bytes[i]);
	fprintf(stderr, "\n");
}

/* How many there are, counted apart for each two hosts and protocol. A large segment takes a row of identifications;
 * all pieces of a packet have the same. */
static uint32_t count_ids(const struct end *e)
{
	static uint64_t ids[8 * SENT_MAX];
	uint32_t n = 0, n_different = 0;

	for (uint32_t i = 0; i < e->n; i++)
		for (uint32_t k = 0; e->sent[i].id != 0 && k < e->sent[i].n_ids; k++)
			ids[n++] = e->sent[i].hosts << 16 | ((e->sent[i].id + k) & 0xffff);
	qsort(ids, n, sizeof(ids[0]), by_number);
	for (uint32_t i = 0; i < n; i++)
		n_different += i == 0 || ids[i] != ids[i - 1];
	return n_different;
}

/* Which numbers hosts get depends on who came before whom, where two pairs of hosts meet in the table; but each gets as
 * many: a packet has none of another's. */
static void compare_ids(const struct duel *d, int side)
{
	assert_int_equal(count_ids(&d->way[FULL].end[side]), count_ids(&d->way[SHORT].end[side]));
}

static void compare_sent(struct duel *d, int side)
{
	struct end *full = &d->way[FULL].end[side], *quick = &d->way[SHORT].end[side];

	if (full->n != quick->n)
		fail_msg("after %llu packets: %u frames on the slow path, %u by the flow cache",
			 (unsigned long long)d->n_packets, full->n, quick->n);
	qsort(full->sent, full->n, sizeof(full->sent[0]), by_flow);
	qsort(quick->sent, quick->n, sizeof(quick->sent[0]), by_flow);
	for (uint32_t i = 0; i < full->n; i++) {
		const struct sent *a = &full->sent[i], *b = &quick->sent[i];

		if (a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0 &&
		    offload_equal(&a->offload, &b->offload))
			continue;
		print_frame("slow path", a);
		print_frame("flow cache", b);
		fail_msg("after %llu packets: another frame on side %d", (unsigned long long)d->n_packets, side);
	}
	for (uint32_t i = 0; i < full->n; i++) {
		free(full->sent[i].bytes);
		free(quick->sent[i].bytes);
	}
	full->n = quick->n = 0;
}

/* A connection without what the ways may write each in its own place. */
static struct conn comparable(const struct conn *c)
{
	struct conn r = *c;

	for (int k = 0; k < N_CT_DIRS; k++) {
		r.half[k].flowcache = (struct ct_flowcache){ 0 };
		r.half[k].expires_tick = conn_expires_tick(c);
	}
	return r;
}

static void compare_connections(const struct duel *d)
{
	struct conntrack *a = gateway_conntrack(d->way[FULL].gw), *b = gateway_conntrack(d->way[SHORT].gw);
	uint32_t at[N_WAYS] = { 0 }, index[N_WAYS];

	while (conntrack_next(a, &at[FULL], &index[FULL])) {
		assert_true(conntrack_next(b, &at[SHORT], &index[SHORT]));
		assert_int_equal(index[FULL], index[SHORT]);
		const struct conn xs = comparable(conntrack_conn(a, index[FULL])), *x = &xs;
		const struct conn ys = comparable(conntrack_conn(b, index[SHORT])), *y = &ys;
		const struct ct_ext *m = &a->side[index[FULL]], *n = &b->side[index[SHORT]];

		if (memcmp(x, y, sizeof(*x)) == 0 && memcmp(&m->notes, &n->notes, sizeof(m->notes)) == 0 &&
		    memcmp(&m->tcp_last, &n->tcp_last, sizeof(m->tcp_last)) == 0)
			continue;
		for (int k = 0; k < N_CT_DIRS; k++) {
			const struct ct_half *v = &x->half[k], *w = &y->half[k];

			fprintf(stderr,
				"direction %d: end %u %u, max_end %u %u, max_win %u %u, max_ack %u %u, packets %llu "
				"%llu, flags %x %x\n",
				k, v->tcp.end, w->tcp.end, v->tcp.max_end, w->tcp.max_end, v->tcp.max_win,
				w->tcp.max_win, v->tcp.max_ack, w->tcp.max_ack, (unsigned long long)v->packets,
				(unsigned long long)w->packets, v->flags, w->flags);
		}
		fail_msg("after %llu packets: connection %u (proto %u) differs: status %x %x, state %u %u, expires "
			 "%u %u, mark %u %u",
			 (unsigned long long)d->n_packets, index[FULL], x->half[0].tuple.proto, x->status, y->status,
			 x->tcp_state, y->tcp_state, conn_expires_tick(x), conn_expires_tick(y), m->notes.mark,
			 n->notes.mark);
	}
	assert_false(conntrack_next(b, &at[SHORT], &index[SHORT]));
	assert_memory_equal(conntrack_counts(a), conntrack_counts(b), N_CT_COUNTERS * sizeof(uint64_t));
}

static void compare_rules(const struct duel *d)
{
	uint32_t at[N_WAYS] = { 0 };
	struct rules_line x, y;

	while (rules_next(gateway_rules(d->way[FULL].gw), &at[FULL], &x)) {
		assert_true(rules_next(gateway_rules(d->way[SHORT].gw), &at[SHORT], &y));
		if (x.packets != y.packets || x.bytes != y.bytes)
			fail_msg("after %llu packets: %s: %llu packets on the slow path, %llu by the flow cache",
				 (unsigned long long)d->n_packets, x.rule, (unsigned long long)x.packets,
				 (unsigned long long)y.packets);
	}
}

static void compare_neighbours(const struct duel *d)
{
	uint32_t at[N_WAYS] = { 0 };
	struct ip_neigh_info x, y;

	while (ip_neigh_next(gateway_ip(d->way[FULL].gw), &at[FULL], &x)) {
		assert_true(ip_neigh_next(gateway_ip(d->way[SHORT].gw), &at[SHORT], &y));
		assert_true(x.ifindex == y.ifindex && x.addr == y.addr && ether_equal(&x.mac, &y.mac));
		if (strcmp(x.state, y.state) != 0 || x.confirmed_ns != y.confirmed_ns)
			fail_msg("after %llu packets: neighbour %08x on %u is %s since %llu on the slow path, %s since "
				 "%llu "
				 "by the flow cache",
				 (unsigned long long)d->n_packets, x.addr, x.ifindex, x.state,
				 (unsigned long long)x.confirmed_ns, y.state, (unsigned long long)y.confirmed_ns);
		assert_int_equal(x.n_held, y.n_held);
	}
}

/* Whether everything that came in has gone out: else somebody's identification is missing. */
static bool all_sent(struct duel *d)
{
	const struct env *env = gateway_env(d->way[FULL].gw);
	uint64_t n_dropped = 0, before = d->n_dropped;

	for (int r = 0; r < N_DROP_REASONS; r++)
		n_dropped += env->ledger.n_dropped[r];
	d->n_dropped = n_dropped;
	return n_dropped == before && packet_pool_used(env->pool) == 0;
}

void duel_compare(struct duel *d)
{
	struct env *a = gateway_env(d->way[FULL].gw), *b = gateway_env(d->way[SHORT].gw);

	for (int r = 0; r < N_DROP_REASONS; r++)
		if (a->ledger.n_dropped[r] != b->ledger.n_dropped[r])
			fail_msg("after %llu packets: dropped for reason %d: %llu on the slow path, %llu by the flow "
				 "cache",
				 (unsigned long long)d->n_packets, r, (unsigned long long)a->ledger.n_dropped[r],
				 (unsigned long long)b->ledger.n_dropped[r]);
	assert_memory_equal(&a->ledger, &b->ledger, sizeof(a->ledger));
	assert_int_equal(ledger_expected_held(&b->ledger), (int64_t)packet_pool_used(b->pool));
	assert_int_equal(nat_law_difference(gateway_nat(d->way[SHORT].gw)), 0);
	assert_memory_equal(d->way[FULL].n_events, d->way[SHORT].n_events, sizeof(d->way[FULL].n_events));
	bool all = all_sent(d);

	for (int side = 0; side < N_FLOWS_SIDES; side++) {
		if (all)
			compare_ids(d, side);
		compare_sent(d, side);
	}
	compare_connections(d);
	compare_rules(d);
	compare_neighbours(d);
	/* Where two of a batch draw in another order, what limits errors may begin anew at another time, and draw then:
	 * the streams go on together, or lifetimes of neighbours would differ from there on. */
	b->rng = a->rng;
}

/* Both at once. */

void duel_input(struct duel *d, int side, const struct flows_frame *frame, uint32_t n)
{
	for (int k = 0; k < N_WAYS; k++) {
		struct way *w = &d->way[k];
		struct env *env = gateway_env(w->gw);
		struct batch b = { .n = 0 };

		for (uint32_t i = 0; i < n; i++) {
			struct packet *p = packet_alloc(env->pool, frame[i].len);

			assert_non_null(p);
			env->ledger.n_received++;
			memcpy(packet_frame(p), frame[i].bytes, frame[i].len);
			p->offload = frame[i].offload;
			batch_add(&b, p);
		}
		gateway_input(w->gw, (uint32_t)side + 1, &b, d->now);
		assert_int_equal(b.n, 0);
	}
	d->n_packets += n;
	duel_compare(d);
}

static void both_wait(struct duel *d, uint64_t ns)
{
	d->now += ns;
	for (int k = 0; k < N_WAYS; k++)
		if (gateway_next_deadline(d->way[k].gw) <= d->now)
			gateway_expire(d->way[k].gw, d->now);
	duel_compare(d);
}

static void both_configure(struct duel *d, const char *text)
{
	struct config_errors *errors = NULL;
	struct config *cfg = config_read_text("duel.conf", text, strlen(text), &errors);

	if (cfg == NULL)
		config_errors_print(errors, stderr);
	assert_non_null(cfg);
	struct snapshot *snap = snapshot_build(cfg, d->snap, &errors);

	assert_non_null(snap);
	config_free(cfg);
	for (int k = 0; k < N_WAYS; k++)
		assert_int_equal(gateway_configure(d->way[k].gw, &snap->core, d->now), 0);
	snapshot_destroy(d->snap);
	d->snap = snap;
}

static void answer_asked(struct duel *d)
{
	while (d->n_asked > 0) {
		static struct flows_frame frame;
		uint32_t i = --d->n_asked;
		int side = d->asked[i].side;

		/* Somebody who is not there now and then. */
		if (rng_below(&d->rng, 12) == 0)
			continue;
		flows_arp(&d->flows, side, d->asked[i].target, FLOWS_ARP_SAME, &frame);
		duel_input(d, side, &frame, 1);
	}
}

static uint32_t fill_batch(struct duel *d, int side, bool hostile, struct flows_frame *frame)
{
	/* Pieces that waited for their first one join its batch if there is room; what the flow cache entry takes makes
	 * room. */
	uint32_t n = 0, wanted = 1 + rng_below(&d->rng, BATCH_MAX - 8);

	while (n + 2 <= wanted) {
		if (hostile && rng_below(&d->rng, 4) == 0) {
			frame[n].offload = (struct offload){ 0 };
			frame[n].len = (uint32_t)hostile_next(&d->hostile, side, frame[n].bytes);
			n++;
		} else {
			n += flows_next(&d->flows, side, &frame[n], wanted - n);
		}
		if (rng_below(&d->rng, 200) == 0)
			break;
	}
	return n;
}

static void start(struct duel *d, const struct duel_case *c)
{
	uint8_t seed[RNG_SEED_BYTES] = "two ways";
	static const struct gateway_limits limits = {
		.packets = { .n_packets = 4000, .n_small = 3000, .n_large = 400 },
		.conntrack = { .n_connections = 8192, .n_fragments = 256 },
		.ip = { .n_neighbours = 64 },
	};

	if (getenv("YG_DUEL_SEED") != NULL)
		seed[0] = (uint8_t)atoi(getenv("YG_DUEL_SEED"));
	memset(d, 0, sizeof(*d));
	d->now = NS_PER_S;
	rng_init(&d->rng, seed);
	flows_init(&d->flows, seed, 48);
	hostile_init(&d->hostile, seed);
	d->seen = c->seen;
	d->flows.inside_net = IP4(10, 77, 0, 0);
	d->flows.outside_net = IP4(203, 0, 113, 0);
	for (int k = 0; k < N_WAYS; k++) {
		d->way[k].duel = d;
		d->way[k].gw = gateway_create(&limits, seed, d->now, on_event, &d->way[k]);
		assert_non_null(d->way[k].gw);
	}
	flowcache_set_mode(gateway_flowcache(d->way[FULL].gw), FLOWCACHE_OFF);
	both_configure(d, c->config[0]);
	for (int side = 0; side < N_FLOWS_SIDES; side++) {
		for (int k = 0; k < N_WAYS; k++) {
			struct end *e = &d->way[k].end[side];

			e->way = &d->way[k];
			e->side = side;
			e->device = (struct device){ .ops = &end_ops, .mtu = 1500, .up = true };
			e->device.mac = (struct ether_addr){ { 2, 0, 0, 0, 0, (uint8_t)side } };
			e->device.caps = c->caps[side];
			gateway_attach(d->way[k].gw, (uint32_t)side + 1, &e->device, d->now);
		}
		d->flows.gateway_mac[side] = d->way[FULL].end[side].device.mac;
		d->hostile.side[side] = (struct hostile_side){
			.gateway_mac = d->flows.gateway_mac[side],
			.net = side == FLOWS_IN ? IP4(10, 77, 0, 1) : IP4(203, 0, 113, 1),
			.n_hosts = 12,
			.gateway = side == FLOWS_IN ? IP4(10, 77, 0, 1) : IP4(203, 0, 113, 1),
		};
	}
	if (c->started != NULL)
		c->started(d);
	duel_compare(d);
}

/* What happens besides packets. */
static void disturb(struct duel *d, const struct duel_case *c)
{
	static struct flows_frame frame;
	int side = (int)rng_below(&d->rng, N_FLOWS_SIDES);
	uint32_t which = rng_below(&d->rng, 400);

	if (which == 0) {
		both_configure(d, c->config[rng_below(&d->rng, 2)]);
	} else if (which == 1 || (which < 40 && !d->way[FULL].end[side].device.up)) {
		for (int k = 0; k < N_WAYS; k++) {
			struct device *dev = &d->way[k].end[side].device;

			dev->up = !dev->up;
			dev->mtu = dev->up ? 1500 : 1300;
			gateway_device_changed(d->way[k].gw, (uint32_t)side + 1, d->now);
		}
	} else if (which < 8) {
		uint32_t net = side == FLOWS_IN ? d->flows.inside_net : d->flows.outside_net;

		flows_arp(&d->flows, side, net + 2 + rng_below(&d->rng, 14), FLOWS_ARP_CHANGED, &frame);
		duel_input(d, side, &frame, 1);
	} else if (which < 10) {
		both_wait(d, 20 * NS_PER_S);
	}
}

void duel_run(const struct duel_case *c)
{
	static struct duel d;
	static struct flows_frame frame[BATCH_MAX];
	uint32_t n_wanted = getenv("YG_DUEL_PACKETS") != NULL ? (uint32_t)atol(getenv("YG_DUEL_PACKETS")) : N_PACKETS;

	start(&d, c);
	while (d.n_packets < n_wanted) {
		int side = (int)rng_below(&d.rng, N_FLOWS_SIDES);
		uint32_t n = fill_batch(&d, side, c->hostile, frame);

		if (n > 0)
			duel_input(&d, side, frame, n);
		answer_asked(&d);
		if (c->step != NULL)
			c->step(&d);
		both_wait(&d, rng_below(&d.rng, 3000000));
		disturb(&d, c);
	}
	/* The devices are up again, and everything ends by itself at the same time. */
	for (int i = 0; i < 20000 && gateway_next_deadline(d.way[FULL].gw) != TIME_NEVER; i++)
		both_wait(&d, max_u64(d.now, gateway_next_deadline(d.way[FULL].gw)) - d.now);
	const uint64_t *count = flowcache_counts(gateway_flowcache(d.way[SHORT].gw));

	if (count[FLOWCACHE_TAKEN] * 100 < count[FLOWCACHE_SEEN] * c->least_percent)
		fail_msg("%s: only %llu of %llu packets by the flow cache", c->name,
			 (unsigned long long)count[FLOWCACHE_TAKEN], (unsigned long long)count[FLOWCACHE_SEEN]);
	print_message("%s: %llu of %llu packets by the flow cache, %llu installed\n", c->name,
		      (unsigned long long)count[FLOWCACHE_TAKEN], (unsigned long long)count[FLOWCACHE_SEEN],
		      (unsigned long long)count[FLOWCACHE_INSTALLED]);
	for (int k = 0; k < N_WAYS; k++)
		gateway_destroy(d.way[k].gw);
	snapshot_destroy(d.snap);
}
