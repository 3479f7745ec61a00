/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The kernel's fast path against the slow path: two gateways with the same seed,
 * given the same frames at the same times. The one takes every packet the full
 * way. Before the other stands the real program, run by BPF_PROG_TEST_RUN over
 * the real maps, which the offload fills: what it forwards is sent, what it does
 * not comes up, in batches. After each batch the frames of each flow must be the
 * same, byte by byte and in order, and so must the connections with their
 * counters, states and times, and the rules' counters.
 *
 * Two things may differ: the order of frames between flows, and the
 * identification of packets that may be fragmented, which the slow path draws again
 * behind a translation.
 *
 * The clock is virtual and goes in whole ticks; the program's notes of when it saw
 * a flow are of the real clock, and are rewritten here.
 */
#include "equal.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fastpath/fast.h"
#include "base/ip4.h"
#include "daemon/fastpath/fastpath_priv.h"
#include "stack/packet/stamp.h"
#include "stack/wire/arp.h"
#include "stack/wire/checksum.h"

#define N_PACKETS 25000u
#define EXIT_SKIP 77
#define TICK (UINT64_C(1) << FP_TICK_SHIFT)
#define XDP_VERDICT_REDIRECT 4
#define TC_VERDICT_REDIRECT 7

static const uint8_t seed[RNG_SEED_BYTES] = "kernel and slow path";
static const uint8_t key[16] = { 5, 4, 3, 2, 1 };

/* --- devices --- */

static void hear(struct duel *d, int side, const uint8_t *frame, uint32_t len)
{
	struct ether_view eth;
	struct arp_view arp;

	flows_see(&d->flows, side, frame, len);
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

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];
		equal_note(e, packet_frame(p), p->len);
		if (e->way == FULL)
			hear(e->duel, e->side, packet_frame(p), p->len);
		dev->ledger->n_handed++;
		packet_free(dev->pool, p);
	}
	b->n = 0;
}

static const struct device_ops end_ops = { .driver = "test", .tx = end_tx };

static void on_event(void *ctx, const struct yg_event *e)
{
}

/* --- the program --- */

/* What it noted of the real clock becomes the virtual one's. */
static void set_clock_notes(struct duel *d)
{
	const struct fastpath_maps *m = fastpath_maps(d->path);

	for (uint32_t i = 0; i < 2 * m->n_connections; i++) {
		if (m->flow[i].last_seen == d->last_seen[i])
			continue;
		m->flow[i].last_seen = d->last_seen[i] = fp_tick_of(d->now);
	}
}

/* True when the program sent it; else out is the frame as it goes up. */
static bool program_takes(struct duel *d, int side, const struct flows_frame *frame, struct flows_frame *up)
{
	uint8_t *out = up->bytes;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->bytes, .data_size_in = frame->len, .data_out = out,
		    .data_size_out = sizeof(up->bytes), .repeat = 1);

	up->len = frame->len;
	up->offload = frame->offload;
	int rc = bpf_prog_test_run_opts(d->program[side], &opts);
	if (rc != 0)
		fail_msg("BPF_PROG_TEST_RUN: %s (%u bytes)", strerror(-rc), frame->len);
	if (opts.retval != d->verdict)
		return false;
	set_clock_notes(d);
	equal_note(&d->end[KERNEL][out[11]], out, opts.data_size_out);
	d->n_forwarded++;
	return true;
}

/* --- both at once --- */

static void add_packet(struct gateway *g, uint32_t ifindex, struct batch *b, const struct flows_frame *frame)
{
	struct packet *p = packet_alloc(gateway_env(g)->pool, frame->len);

	assert_non_null(p);
	gateway_env(g)->ledger.n_received++;
	memcpy(packet_frame(p), frame->bytes, frame->len);
	if (frame->len >= ETHER_HEADER_LEN)
		stamp_take(ip_stack_device(gateway_ip(g), ifindex), p);
	batch_add(b, p);
}

static void both_input(struct duel *d, int side, const struct flows_frame *frame, uint32_t n)
{
	struct batch full = { .n = 0 }, up = { .n = 0 };
	static struct flows_frame goes_up;
	uint32_t ifindex = (uint32_t)side + 1;

	for (uint32_t i = 0; i < n; i++) {
		add_packet(d->gw[FULL], ifindex, &full, &frame[i]);
		if (!program_takes(d, side, &frame[i], &goes_up))
			add_packet(d->gw[KERNEL], ifindex, &up, &goes_up);
	}
	gateway_input(d->gw[FULL], ifindex, &full, d->now);
	gateway_input(d->gw[KERNEL], ifindex, &up, d->now);
	d->n_packets += n;
	equal_compare(d);
}

static void both_wait(struct duel *d, uint64_t ticks)
{
	d->now += ticks * TICK;
	for (int k = 0; k < N_WAYS; k++)
		if (gateway_next_deadline(d->gw[k]) <= d->now)
			gateway_expire(d->gw[k], d->now);
	equal_compare(d);
}

enum kind { ORDINARY, UNSEEN, LEFT_OUT };

/* What the program does not see as part of a flow (odd padding, options, fragments, the last hop) is overtaken by what
 * it forwards, so it comes alone. An echo with a wrong checksum is dropped on the slow path, which looks at all of it;
 * the program passes it on as wrong as it was. */
static enum kind kind_of(const struct flows_frame *frame)
{
	const uint8_t *l3 = frame->bytes + ETHER_HEADER_LEN;
	uint32_t total = (uint32_t)l3[2] << 8 | l3[3], len = frame->len - ETHER_HEADER_LEN;

	if (frame->bytes[12] != 8 || frame->bytes[13] != 0 || frame->len < ETHER_HEADER_LEN + IPV4_HEADER_LEN)
		return UNSEEN;
	if (l3[9] == IPPROTO_NR_ICMP && total <= len && total > IPV4_HEADER_LEN &&
	    checksum_finish(checksum_add(0, l3 + IPV4_HEADER_LEN, total - IPV4_HEADER_LEN)) != 0)
		return LEFT_OUT;
	if (l3[0] != 0x45 || l3[8] <= 1 || (l3[6] & 0xbf) != 0 || l3[7] != 0 || total > len ||
	    (total < len && frame->len > 60))
		return UNSEEN;
	return ORDINARY;
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The source's own notes of the TCP connection that a frame belongs to, NULL if it is none. */
static struct flow *tcp_flow(struct duel *d, int side, const struct flows_frame *frame)
{
	const uint8_t *l3 = frame->bytes + ETHER_HEADER_LEN, *l4 = l3 + IPV4_HEADER_LEN;
	uint16_t sport = (uint16_t)(l4[0] << 8 | l4[1]), dport = (uint16_t)(l4[2] << 8 | l4[3]);

	if (l3[0] != 0x45 || l3[9] != IPPROTO_NR_TCP)
		return NULL;
	for (uint32_t i = 0; i < d->flows.n_flows; i++) {
		struct flow *w = &d->flows.flow[i];
		if (w->proto == IPPROTO_NR_TCP &&
		    (side == FLOWS_IN ? sport == w->inside_port && dport == w->outside_port
				      : sport == w->outside_port && dport == w->mapped_port))
			return w;
	}
	return NULL;
}

/* A segment just made that is in step with its connection. The program lets pass what is up to a window off, the full
 * way knows the window to a byte; so what is off is left out here, and tried in program_test.c. */
static bool in_step(struct duel *d, const struct flows_frame *frame)
{
	const uint8_t *l3 = frame->bytes + ETHER_HEADER_LEN, *l4 = l3 + IPV4_HEADER_LEN;
	struct conntrack *ct = gateway_conntrack(d->gw[FULL]);
	struct tuple t = { .src = get32(l3 + 12),
			   .dst = get32(l3 + 16),
			   .sport = (uint16_t)(l4[0] << 8 | l4[1]),
			   .dport = (uint16_t)(l4[2] << 8 | l4[3]),
			   .proto = IPPROTO_NR_TCP };
	if (l3[0] != 0x45 || l3[9] != IPPROTO_NR_TCP || (l4[13] & TCP_SYN))
		return true;
	uint32_t ref = conntrack_find(ct, &t), ack = get32(l4 + 8);
	uint32_t end = get32(l4 + 4) + ((uint32_t)l3[2] << 8 | l3[3]) - IPV4_HEADER_LEN - (l4[12] >> 4) * 4u;
	if (ref == CONN_NONE)
		return true;
	if (l4[12] >> 4 >= 8 && l4[20] == 1 && l4[22] == 5)
		return false;
	const struct conn *c = conntrack_conn(ct, conn_index(ref));
	const struct ct_tcp_window *sender = &c->half[conn_dir(ref)].tcp, *receiver = &c->half[!conn_dir(ref)].tcp;
	return (int32_t)(receiver->end - ack) >= 0 && (int32_t)(receiver->end - ack) < 30000 &&
	       (int32_t)(sender->max_end - end) > 0 && (int32_t)(end - sender->end) > -3000;
}

/* It is not sent: what it would have carried comes again. */
static void leave_out(struct flow *w, int side, const struct flows_frame *frame)
{
	const uint8_t *l4 = frame->bytes + ETHER_HEADER_LEN + IPV4_HEADER_LEN;
	uint32_t seq = get32(l4 + 4), carried = frame->len - ETHER_HEADER_LEN - IPV4_HEADER_LEN - (l4[12] >> 4) * 4u;

	if (w != NULL && seq + carried == w->seq[side])
		w->seq[side] = seq;
}

/* Large segments are left out, and checksums finished: BPF_PROG_TEST_RUN has neither. */
static uint32_t fill_batch(struct duel *d, int side, struct flows_frame *frame)
{
	uint32_t n = 0, wanted = 2 + rng_below(&d->rng, BATCH_MAX - 10);

	while (n + 2 <= wanted) {
		uint32_t more = flows_next(&d->flows, side, &frame[n], wanted - n);
		for (uint32_t i = n, end = n + more; i < end; i++) {
			struct offload *o = &frame[i].offload;
			struct flow *w = tcp_flow(d, side, &frame[i]);
			if (o->gso_type != GSO_NONE || frame[i].len > 1514 || kind_of(&frame[i]) == LEFT_OUT ||
			    !in_step(d, &frame[i])) {
				leave_out(w, side, &frame[i]);
				continue;
			}
			if (o->csum_partial) {
				uint8_t *l4 = frame[i].bytes + o->csum_start;
				const uint8_t *l3 = frame[i].bytes + ETHER_HEADER_LEN;
				uint32_t end_of = ETHER_HEADER_LEN + ((uint32_t)l3[2] << 8 | l3[3]);
				uint16_t sum = checksum_finish(checksum_add(0, l4, end_of - o->csum_start));
				sum = sum == 0 ? 0xffff : sum;
				l4[o->csum_offset] = (uint8_t)(sum >> 8);
				l4[o->csum_offset + 1] = (uint8_t)sum;
			}
			*o = (struct offload){ 0 };
			if (n != i)
				frame[n] = frame[i];
			n++;
		}
		if (more == 0 || rng_below(&d->rng, 100) == 0)
			break;
	}
	return n;
}

/* In order, and what is unseen alone. */
static void input_in_parts(struct duel *d, int side, const struct flows_frame *frame, uint32_t n)
{
	for (uint32_t i = 0, from = 0; i < n; i++) {
		bool alone = kind_of(&frame[i]) == UNSEEN;
		if (alone && i > from)
			both_input(d, side, &frame[from], i - from);
		if (alone)
			from = i;
		if (alone || i + 1 == n) {
			both_input(d, side, &frame[from], i + 1 - from);
			from = i + 1;
		}
	}
}

static void answer_asked(struct duel *d)
{
	static struct flows_frame frame;

	while (d->n_asked > 0) {
		uint32_t i = --d->n_asked;
		flows_arp(&d->flows, d->asked[i].side, d->asked[i].target, FLOWS_ARP_SAME, &frame);
		both_input(d, d->asked[i].side, &frame, 1);
	}
}

#define STAMP_MARK 0x4747u

#define INTERFACES \
	"interface lan0 { address 10.77.0.1/24; }\n" \
	"interface wan0 { address 203.0.113.1/24; mtu 1400; }\n" \
	"route 0.0.0.0/0 via 203.0.113.254;\n"

static const char masquerade[] = INTERFACES "table ip nat {\n"
					    " chain post { type nat hook postrouting priority srcnat; policy accept;\n"
					    "  oifname \"wan0\" counter masquerade } }\n"
					    "table ip filter {\n"
					    " chain f { type filter hook forward priority 0; policy drop;\n"
					    "  ct state invalid counter drop\n"
					    "  ip protocol tcp counter\n"
					    "  udp dport 2009 meta length > 100 counter accept\n"
					    "  ct direction reply counter\n"
					    "  ct state established,related counter accept\n"
					    "  iifname \"lan0\" counter accept } }\n";

/* Both ends translated: the servers of 203.0.114.0/24 are one on the link, and each host inside keeps its port. */
static const char both_ends[] =
	INTERFACES "pool public { 203.0.113.16/28; mapping endpoint-independent; }\n"
		   "table ip nat { chain pre { type nat hook prerouting priority dstnat; policy accept;\n"
		   "  iifname \"lan0\" ip daddr 203.0.114.0/24 ip protocol { tcp, udp } counter dnat to 203.0.113.3 }\n"
		   " chain post { type nat hook postrouting priority srcnat; policy accept;\n"
		   "  oifname \"wan0\" counter snat to pool public } }\n"
		   "table ip filter { chain f { type filter hook forward priority 0; policy drop;\n"
		   "  ct state invalid counter drop\n"
		   "  ct status dnat counter\n"
		   "  ct state established,related counter accept\n"
		   "  iifname \"lan0\" counter accept } }\n";

static void configure(struct duel *d)
{
	struct config_errors *errors = NULL;
	struct config *cfg = config_read_text("equal.conf", d->config, strlen(d->config), &errors);

	assert_non_null(cfg);
	struct snapshot *snap = snapshot_build(cfg, d->snap, &errors);
	assert_non_null(snap);
	config_free(cfg);
	for (int k = 0; k < N_WAYS; k++)
		assert_int_equal(gateway_configure(d->gw[k], &snap->core, d->now), 0);
	snapshot_destroy(d->snap);
	d->snap = snap;
}

static void open_kernel(struct duel *d, enum fastpath_kind kind)
{
	const struct fastpath_limits limits = { .n_connections = 256, .n_adjacencies = 64 };
	char err[512];

	int rc = fastpath_open(&limits, &d->path, err, sizeof(err));
	if (rc == -EPERM || rc == -EACCES || rc == -ENOSYS) {
		printf("skipped: %s\n", err);
		exit(EXIT_SKIP);
	}
	if (rc != 0)
		fail_msg("%s", err);
	d->last_seen = calloc(2 * limits.n_connections, sizeof(*d->last_seen));
	d->verdict = kind == FASTPATH_TC ? TC_VERDICT_REDIRECT : XDP_VERDICT_REDIRECT;
	for (int side = 0; side < N_FLOWS_SIDES; side++) {
		uint32_t number = (uint32_t)side + 1, lo = 1;
		/* Nobody takes what goes up: the verdict tells it from what was forwarded. */
		const struct fastpath_port port = { .number = number, .ifindex = lo, .kind = kind };
		d->program[side] = program_load(d->path, &port, PROGRAM_ENDS_WITH_US, err, sizeof(err));
		if (d->program[side] < 0)
			fail_msg("%s", err);
		assert_int_equal(bpf_map_update_elem(d->path->map_fd[FASTPATH_MAP_DEVICES], &number, &lo, BPF_ANY), 0);
		memcpy(fastpath_maps(d->path)->config->mac[number], d->end[KERNEL][side].device.mac.b, 6);
	}
	struct gateway *g = d->gw[KERNEL];
	d->flow_map = flow_map_create(fastpath_maps(d->path), key);
	assert_non_null(d->flow_map);
	fastpath_maps(d->path)->config->stamp_mark = STAMP_MARK;
	d->map = offload_map_create(
		gateway_env(g), gateway_ip(g), gateway_conntrack(g), gateway_flowcache(g),
		&(struct offload_share){ .maps = fastpath_maps(d->path), .flows = d->flow_map, .n_cores = 1 });
	assert_non_null(d->map);
	offload_map_set_left(d->map, flowcache_left, gateway_flowcache(g));
	flowcache_set_offload(gateway_flowcache(g), offload_map_slots(d->map));
	for (uint32_t side = 0; side < N_FLOWS_SIDES; side++)
		offload_map_set_port(d->map, side + 1, 1, FP_EGRESS_REDIRECT);
}

static void start(struct duel *d, enum fastpath_kind kind, const char *config)
{
	static const struct gateway_limits limits = {
		.packets = { .n_packets = 4000, .n_small = 3000, .n_large = 100 },
		.conntrack = { .n_connections = 8192, .n_fragments = 256 },
		.ip = { .n_neighbours = 64 },
	};

	memset(d, 0, sizeof(*d));
	d->config = config;
	d->now = 1000 * TICK;
	rng_init(&d->rng, seed);
	flows_init(&d->flows, seed, 24);
	d->flows.inside_net = IP4(10, 77, 0, 0);
	d->flows.outside_net = IP4(203, 0, 113, 0);
	d->flows.server = config == both_ends ? IP4(203, 0, 113, 3) : 0;
	for (int k = 0; k < N_WAYS; k++) {
		d->gw[k] = gateway_create(&limits, seed, d->now, on_event, NULL);
		assert_non_null(d->gw[k]);
	}
	flowcache_set_mode(gateway_flowcache(d->gw[FULL]), FLOWCACHE_OFF);
	configure(d);
	for (int k = 0; k < N_WAYS; k++)
		for (int side = 0; side < N_FLOWS_SIDES; side++) {
			struct end *e = &d->end[k][side];
			e->duel = d;
			e->way = k;
			e->side = side;
			e->device = (struct device){ .ops = &end_ops, .mtu = 1500, .up = true };
			e->device.stamp_mark = k == KERNEL ? STAMP_MARK : 0;
			e->device.mac = (struct ether_addr){ { 2, 0, 0, 0, 0, (uint8_t)side } };
			gateway_attach(d->gw[k], (uint32_t)side + 1, &e->device, d->now);
			d->flows.gateway_mac[side] = e->device.mac;
		}
	open_kernel(d, kind);
}

static void finish(struct duel *d)
{
	flowcache_set_offload(gateway_flowcache(d->gw[KERNEL]), NULL);
	offload_map_destroy(d->map);
	flow_map_destroy(d->flow_map);
	for (int side = 0; side < N_FLOWS_SIDES; side++)
		close(d->program[side]);
	fastpath_close(d->path);
	free(d->last_seen);
	for (int k = 0; k < N_WAYS; k++)
		gateway_destroy(d->gw[k]);
	snapshot_destroy(d->snap);
}

static void run(enum fastpath_kind kind, const char *config, const char *name)
{
	static struct duel d;
	static struct flows_frame frame[BATCH_MAX];
	struct offload_map_info info;

	start(&d, kind, config);
	while (d.n_packets < N_PACKETS) {
		int side = (int)rng_below(&d.rng, N_FLOWS_SIDES);
		uint32_t n = fill_batch(&d, side, frame);
		input_in_parts(&d, side, frame, n);
		answer_asked(&d);
		uint64_t end = d.now + rng_below(&d.rng, 8) * TICK;
		if (kind == FASTPATH_XDP_NATIVE && rng_below(&d.rng, 300) == 0)
			configure(&d);
		both_wait(&d, (end - d.now) / TICK);
		gateway_set_time(d.gw[KERNEL], d.now);
		for (uint32_t i = 1; i <= N_FLOWS_SIDES; i++)
			offload_map_seen_empty(d.map, i);
		offload_map_expire(d.map);
	}
	offload_map_info(d.map, &info);
	print_message("%s: %llu of %llu packets by the kernel, %llu connections put in, %llu late\n", name,
		      (unsigned long long)d.n_forwarded, (unsigned long long)d.n_packets,
		      (unsigned long long)info.n_added, (unsigned long long)info.n_late);
	assert_int_equal(info.n_late, 0);
	assert_true(d.n_forwarded > d.n_packets / 10);
	finish(&d);
}

/* Would catch: a frame that the program rewrites otherwise than the slow path, one that overtakes another of its flow,
 * a packet that is forwarded and not credited, or forwarded although the slow path drops it. */
static void test_xdp(void **state)
{
	run(FASTPATH_XDP_NATIVE, masquerade, "xdp");
}

static void test_tc(void **state)
{
	run(FASTPATH_TC, masquerade, "tc");
}

/* Would catch: a translation of both ends of which the program makes only one, or a checksum mended for one; a mapping
 * from a pool, which outlives its flows, put in wrongly. */
static void test_xdp_both_ends(void **state)
{
	run(FASTPATH_XDP_NATIVE, both_ends, "xdp, both ends");
}

static void test_tc_both_ends(void **state)
{
	run(FASTPATH_TC, both_ends, "tc, both ends");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_xdp),
		cmocka_unit_test(test_tc),
		cmocka_unit_test(test_xdp_both_ends),
		cmocka_unit_test(test_tc_both_ends),
	};

	if (unshare(CLONE_NEWNET) != 0) {
		printf("skipped: no network namespace of our own: %s\n", strerror(errno));
		return EXIT_SKIP;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
