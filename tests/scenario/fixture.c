/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The fixture's clock: the earliest of what is on a wire and what the gateway
 * waits for decides the next step. Everything that is due at one instant is
 * handed to the gateway in batches, as a driver would.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "stack/packet/stamp.h"
#include "stack/wire/arp.h"
#include "fixture.h"

#define START_NS (1000 * NS_PER_S) /* not 0, so that a time of zero is noticed */

static const uint8_t fixture_seed[RNG_SEED_BYTES] = "a world that is the same again";

static void on_event(void *ctx, const struct yg_event *e)
{
	struct fixture *w = ctx;

	w->n_events[e->kind]++;
	w->last_event[e->kind] = *e;
}

static void on_log(void *ctx, const struct log_record *r)
{
	struct fixture *w = ctx;

	if (w->n_logged < FIXTURE_LOGGED_MAX)
		w->logged[w->n_logged] = *r;
	w->n_logged++;
}

static struct config *read_config(const char *text)
{
	struct config_errors *errors = NULL;
	struct config *c = config_read_text("test.conf", text, strlen(text), &errors);

	if (c == NULL)
		config_errors_print(errors, stderr);
	config_errors_free(errors);
	return c;
}

void fixture_start_of(struct fixture *w, uint32_t modules, const char *text, const struct gateway_limits *limits)
{
	static const struct gateway_limits small = {
		.packets = { .n_packets = 4096, .n_small = 2048, .n_large = 64 },
		.conntrack = { .n_connections = 65536 },
	};
	struct config_errors *errors = NULL;

	memset(w, 0, sizeof(*w));
	w->now = START_NS;
	w->config = read_config(text);
	if (w->config == NULL)
		fail_msg("the config was refused");
	w->snapshot = snapshot_build(w->config, NULL, &errors);
	if (w->snapshot == NULL) {
		config_errors_print(errors, stderr);
		fail_msg("no snapshot");
	}
	w->gw = gateway_create_of(modules, limits != NULL ? limits : &small, fixture_seed, w->now, on_event, w);
	assert_non_null(w->gw);
	gateway_env(w->gw)->log = (struct log_slot){ .fn = on_log, .ctx = w };
	assert_int_equal(gateway_configure(w->gw, &w->snapshot->core, w->now), 0);
}

void fixture_start(struct fixture *w, const char *text, const struct gateway_limits *limits)
{
	fixture_start_of(w, GATEWAY_ALL, text, limits);
}

int fixture_reload(struct fixture *w, const char *text)
{
	struct config_errors *errors = NULL;
	struct config *c = read_config(text);
	struct snapshot *s = c == NULL ? NULL : snapshot_build(c, w->snapshot, &errors);

	if (s == NULL) {
		config_errors_free(errors);
		config_free(c);
		return -1;
	}
	assert_int_equal(gateway_configure(w->gw, &s->core, w->now), 0);
	snapshot_destroy(w->snapshot);
	config_free(w->config);
	w->snapshot = s;
	w->config = c;
	return 0;
}

struct station *fixture_station(struct fixture *w, const char *name, uint32_t addr, const struct memwire_config *wire)
{
	static const struct memwire_config plain = { .mtu = 1500 };
	static const struct packet_pool_config pool = { .n_packets = 2048, .n_small = 2048, .n_large = 16 };
	struct station *s = &w->station[w->n_stations];
	const struct memwire_config *cfg = wire != NULL ? wire : &plain;

	assert_true(w->n_stations < FIXTURE_STATIONS_MAX);
	s->wire = memwire_create(cfg, cfg, fixture_seed);
	assert_non_null(s->wire);
	memwire_set_time(s->wire, w->now);
	s->env.pool = packet_pool_create(&pool);
	s->env.now = w->now;
	s->device = memwire_end(s->wire, 0);
	s->device->pool = s->env.pool;
	s->device->ledger = &s->env.ledger;
	s->addr = addr;
	s->mac = (struct ether_addr){ { 2, 0, 0, 0, 1, (uint8_t)w->n_stations } };
	s->device->mac = s->mac;
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		if (strcmp(w->snapshot->core.ip.interface[i].name, name) == 0)
			s->ifindex = i;
	}
	assert_int_not_equal(s->ifindex, 0);
	w->n_stations++;

	struct device *d = memwire_end(s->wire, 1);

	s->gateway_mac = (struct ether_addr){ { 2, 0, 0, 0, 2, (uint8_t)s->ifindex } };
	d->mac = s->gateway_mac;
	snprintf(d->name, sizeof(d->name), "%s", name);
	gateway_attach(w->gw, s->ifindex, d, w->now);
	return s;
}

static void send_frame(struct station *s, struct packet *p)
{
	struct batch b = { .n = 0 };

	s->env.ledger.n_originated++;
	batch_add(&b, p);
	s->device->ops->tx(s->device, &b);
}

static void send_arp(struct station *s, const struct ether_addr *to, const struct arp_view *arp)
{
	struct packet *p = packet_alloc(s->env.pool, ETHER_MIN_FRAME);
	struct ether_view eth = { .dst = *to, .src = s->mac, .type = ETHERTYPE_ARP };

	assert_non_null(p);
	memset(packet_frame(p), 0, p->len);
	ether_emit(packet_frame(p), &eth);
	arp_emit(packet_frame(p) + ETHER_HEADER_LEN, arp);
	send_frame(s, p);
}

static void answer_arp(struct station *s, const struct arp_view *rq)
{
	struct arp_view rp = { .op = ARP_REPLY, .sha = s->mac, .spa = rq->tpa, .tha = rq->sha, .tpa = rq->spa };

	send_arp(s, &rq->sha, &rp);
}

void station_ask(struct station *s, uint32_t addr)
{
	struct arp_view rq = { .op = ARP_REQUEST, .sha = s->mac, .spa = s->addr, .tpa = addr };

	send_arp(s, &ether_broadcast, &rq);
}

/* ARP is answered for the station's own address; all IPv4 is kept. */
static void station_take(struct station *s, struct packet *p)
{
	struct ether_view eth;
	struct arp_view arp;

	assert_true(ether_parse(packet_frame(p), p->len, &eth));
	if (eth.type == ETHERTYPE_ARP &&
	    arp_parse(packet_frame(p) + ETHER_HEADER_LEN, p->len - ETHER_HEADER_LEN, &arp)) {
		if (arp.op == ARP_REQUEST && arp.tpa == s->addr && !s->silent)
			answer_arp(s, &arp);
		if (arp.op == ARP_REPLY && arp.tpa == s->addr) {
			s->n_arp_replies++;
			s->arp_reply = arp;
		}
		s->env.ledger.n_consumed++;
		packet_free(s->env.pool, p);
		return;
	}
	if (s->n_inbox == STATION_INBOX_MAX)
		fail_msg("a station's inbox is full");
	assert_true(packet_copy_on_hold(s->env.pool, p));
	s->inbox[s->n_inbox++] = p;
}

static void pump(struct fixture *w)
{
	for (bool moved = true; moved;) {
		moved = false;
		for (uint32_t i = 0; i < w->n_stations; i++) {
			struct station *s = &w->station[i];
			struct device *gd = memwire_end(s->wire, 1);
			struct batch b = { .n = 0 };

			if (gd->ops->rx(gd, &b, BATCH_MAX) > 0) {
				gateway_input(w->gw, s->ifindex, &b, w->now);
				assert_int_equal(b.n, 0);
				moved = true;
			}
			b.n = 0;
			if (s->device->ops->rx(s->device, &b, BATCH_MAX) > 0) {
				for (uint32_t k = 0; k < b.n; k++)
					station_take(s, b.p[k]);
				moved = true;
			}
		}
	}
}

static void set_time(struct fixture *w, uint64_t now)
{
	w->now = now;
	for (uint32_t i = 0; i < w->n_stations; i++) {
		w->station[i].env.now = now;
		memwire_set_time(w->station[i].wire, now);
	}
}

void fixture_run(struct fixture *w, uint64_t ns)
{
	uint64_t end = w->now + ns;

	for (;;) {
		uint64_t next = TIME_NEVER;

		pump(w);
		for (uint32_t i = 0; i < w->n_stations; i++)
			next = min_u64(next, memwire_next(w->station[i].wire));
		next = min_u64(next, gateway_next_deadline(w->gw));
		if (next > end)
			break;
		set_time(w, max_u64(next, w->now));
		if (gateway_next_deadline(w->gw) <= w->now)
			gateway_expire(w->gw, w->now);
	}
	set_time(w, end);
	pump(w);
}

void fixture_check_law(struct fixture *w)
{
	struct env *env = gateway_env(w->gw);

	if (ledger_expected_held(&env->ledger) != (int64_t)packet_pool_used(env->pool))
		fail_msg("the law of conservation: %lld expected, %u held",
			 (long long)ledger_expected_held(&env->ledger), packet_pool_used(env->pool));
	if (gateway_nat(w->gw) != NULL && nat_law_difference(gateway_nat(w->gw)) != 0)
		fail_msg("the law of ports: %lld more in use than held",
			 (long long)nat_law_difference(gateway_nat(w->gw)));
}

uint64_t fixture_dropped(const struct fixture *w, enum drop_reason reason)
{
	return gateway_env(w->gw)->ledger.n_dropped[reason];
}

void fixture_end(struct fixture *w)
{
	fixture_check_law(w);
	fixture_free(w);
}

void fixture_free(struct fixture *w)
{
	gateway_destroy(w->gw);
	for (uint32_t i = 0; i < w->n_stations; i++) {
		struct station *s = &w->station[i];

		station_clear(s);
		memwire_destroy(s->wire);
		packet_pool_destroy(s->env.pool);
	}
	snapshot_destroy(w->snapshot);
	config_free(w->config);
}

uint32_t station_build(const struct station *s, const struct packet_spec *p, uint8_t *out)
{
	struct packet_spec usual = *p;

	if (usual.src == 0)
		usual.src = s->addr;
	if (usual.window == 0)
		usual.window = 65535;
	return packet_build(&usual, out);
}

void station_send(struct station *s, const struct packet_spec *p)
{
	struct ether_view eth = { .dst = p->link_broadcast ? ether_broadcast : s->gateway_mac,
				  .src = s->mac,
				  .type = ETHERTYPE_IPV4 };
	static uint8_t bytes[PACKET_BUILD_MAX];
	uint32_t len = station_build(s, p, bytes);
	struct packet *q = packet_alloc(s->env.pool, max_u32(ETHER_HEADER_LEN + len, ETHER_MIN_FRAME));

	assert_non_null(q);
	memset(packet_frame(q), 0, q->len);
	ether_emit(packet_frame(q), &eth);
	memcpy(packet_frame(q) + ETHER_HEADER_LEN, bytes, len);
	if (p->stamp.present)
		stamp_put(&(struct device){ .stamp_mark = FIXTURE_STAMP_MARK }, &p->stamp, packet_frame(q));
	send_frame(s, q);
}

/* Views and checksums of what arrived; a wrong one fails the test, whichever
 * test it is. */
static void check_packet(struct packet *p)
{
	assert_true(packet_parse(p));
	assert_false(p->offload.csum_partial);
	if (!ipv4_is_fragment(&p->ip) && p->l4.kind != L4_NONE)
		assert_true(l4_checksum_ok(&p->ip, packet_l4(p), packet_l4_len(p)));
}

struct packet *station_next(struct station *s)
{
	static struct packet seen;
	static uint8_t bytes[PACKET_LARGE_BYTES];

	if (s->n_inbox == 0)
		return NULL;
	struct packet *p = s->inbox[0];

	memmove(&s->inbox[0], &s->inbox[1], --s->n_inbox * sizeof(s->inbox[0]));
	check_packet(p);
	seen = *p;
	memcpy(bytes, packet_frame(p), p->len);
	seen.buf = bytes;
	seen.off = 0;
	s->env.ledger.n_delivered++;
	packet_free(s->env.pool, p);
	return &seen;
}

void station_clear(struct station *s)
{
	while (s->n_inbox > 0)
		packet_free(s->env.pool, s->inbox[--s->n_inbox]);
}

uint64_t fixture_rules_counted(const struct fixture *w)
{
	uint32_t at = 0;
	uint64_t n = 0;
	struct rules_line line;

	while (rules_next(gateway_rules(w->gw), &at, &line))
		n += line.has_counter ? line.packets : 0;
	return n;
}
