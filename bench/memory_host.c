/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a packet of the gateway's own host costs on one core: to a protocol of ours, from
 * us to a neighbour, from us to ourselves; by the slow path and by the flow cache.
 *
 *   memory_host [--instructions]
 *
 * prints a line of JSON a row on stdout and a table on stderr. 1,024 established flows of
 * UDP, batches of 64 packets of random ones. Packets are made in between, and freed by
 * who gets them, which is measured. A row is the median of its rounds, both ways in
 * turns; --instructions counts them under callgrind.
 *
 * host-out-router: the same from a core without connections, rules and flow cache.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <x86intrin.h>

#include "base/ip4.h"
#include "callgrind.h"
#include "core/gateway.h"
#include "daemon/config/snapshot.h"
#include "stack/ip/local.h"
#include "stack/wire/arp.h"

#define N_FLOWS 1024u
#define ROUNDS 15
#define ROUND_BATCHES 256u
#define CALLGRIND_BATCHES 32u
#define PAYLOAD 18u
#define FRAME_BYTES (ETHER_HEADER_LEN + IPV4_HEADER_LEN + UDP_HEADER_LEN + PAYLOAD)
#define LAN IP4(192, 168, 0, 1)
#define WAN IP4(203, 0, 113, 1)
#define PEER IP4(192, 168, 0, 2)
#define CLIENTS IP4(10, 1, 0, 0)
#define PORT 7
#define FIRST_PORT 20000u

enum kind { KIND_IN, KIND_OUT, KIND_SELF };

static const struct row {
	const char *name;
	enum kind kind;
	uint32_t modules;
} rows[] = {
	{ "host-in", KIND_IN, GATEWAY_ALL },
	{ "host-out", KIND_OUT, GATEWAY_ALL },
	{ "host-self", KIND_SELF, GATEWAY_ALL },
	{ "host-out-router", KIND_OUT, GATEWAY_ROUTER },
};

enum way { WAY_SLOW, WAY_CACHED, N_WAYS };
static const char *const way_names[N_WAYS] = { "slow", "cached" };

static const char config_text[] = "interface lan0 { address 192.168.0.1/24; }\n"
				  "interface wan0 { address 203.0.113.1/24; }\n"
				  "route 10.0.0.0/8 via 192.168.0.2;\n"
				  "table ip nat { chain postrouting {\n"
				  "  type nat hook postrouting priority srcnat; policy accept;\n"
				  "  oifname \"wan0\" masquerade } }\n"
				  "table ip filter {\n"
				  "  chain input { type filter hook input priority filter; policy drop;\n"
				  "    ct state established,related accept\n"
				  "    ct state invalid drop\n"
				  "    udp dport 7 accept }\n"
				  "  chain output { type filter hook output priority filter; policy accept;\n"
				  "    ct state established,related accept } }\n";

struct bench {
	struct gateway *gw;
	struct config *config;
	struct snapshot *snapshot;
	struct device device;
	uint64_t now, random;
	uint64_t n_got; /* by the protocol, or the device */
};

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "bench/memory_host: %s\n", what);
	exit(1);
}

static void device_tx(struct device *d, struct batch *b)
{
	struct bench *bench = container_of(d, struct bench, device);

	for (uint32_t i = 0; i < b->n; i++)
		packet_free(d->pool, b->p[i]);
	d->ledger->n_handed += b->n;
	bench->n_got += b->n;
	b->n = 0;
}

static const struct device_ops device_ops = { .driver = "bench", .tx = device_tx };

static void protocol_input(void *ctx, struct batch *b)
{
	struct bench *bench = ctx;

	for (uint32_t i = 0; i < b->n; i++)
		b->p[i]->verdict = VERDICT_DELIVERED;
	bench->n_got += b->n;
}

/* --- packets --- */

enum from { FROM_CLIENT, FROM_HOST };

static void addresses(enum kind kind, enum from from, uint32_t flow, struct ipv4_view *ip, uint16_t *sport,
		      uint16_t *dport)
{
	uint32_t client = kind == KIND_SELF ? LAN : CLIENTS + flow % 256;
	uint32_t host = kind == KIND_SELF ? WAN : LAN;
	uint16_t port = (uint16_t)(FIRST_PORT + flow);

	ip->src = from == FROM_CLIENT ? client : host;
	ip->dst = from == FROM_CLIENT ? host : client;
	*sport = from == FROM_CLIENT ? port : PORT;
	*dport = from == FROM_CLIENT ? PORT : port;
}

static struct packet *make(struct bench *b, enum kind kind, enum from from, uint32_t flow)
{
	struct packet *p = packet_alloc(gateway_env(b->gw)->pool, FRAME_BYTES);
	struct ether_view eth = { .dst = b->device.mac, .src = { { 2, 9 } }, .type = ETHERTYPE_IPV4 };
	struct ipv4_view ip = { .proto = IPPROTO_NR_UDP,
				.ttl = 64,
				.df = true,
				.header_len = IPV4_HEADER_LEN,
				.total_len = FRAME_BYTES - ETHER_HEADER_LEN };
	uint16_t sport, dport;

	must(p != NULL, "no packet");
	addresses(kind, from, flow, &ip, &sport, &dport);
	p->l3_off = ETHER_HEADER_LEN;
	p->l4_off = ETHER_HEADER_LEN + IPV4_HEADER_LEN;
	memset(packet_l4(p), 0x55, UDP_HEADER_LEN + PAYLOAD);
	ether_emit(packet_frame(p), &eth);
	ipv4_emit(packet_l3(p), &ip);
	udp_emit(packet_l4(p), sport, dport, PAYLOAD);
	l4_checksum_set(&ip, packet_l4(p), UDP_HEADER_LEN + PAYLOAD);
	p->ip = ip;
	must(l4_parse(&ip, packet_l4(p), UDP_HEADER_LEN + PAYLOAD, &p->l4) == L4_OK, "a bad packet");
	return p;
}

/* Who counts it: a device, or the host. */
static bool comes_in(enum kind kind, enum from from)
{
	return kind != KIND_SELF && from == FROM_CLIENT;
}

/* What callgrind counts is what is called from here. External, so that it has a name. */
void host_measured(struct bench *b, struct batch *batch, bool in);
__attribute__((noinline)) void host_measured(struct bench *b, struct batch *batch, bool in)
{
	if (in) {
		gateway_input(b->gw, 1, batch, b->now);
	} else {
		gateway_set_time(b->gw, b->now);
		ip_local_out(gateway_ip(b->gw), batch);
		gateway_flush(b->gw, b->now);
	}
	/* No tail call: callgrind has to see the end. */
	__asm__ volatile("" : : : "memory");
}

static void count_made(struct bench *b, uint32_t n, bool in)
{
	struct ledger *l = &gateway_env(b->gw)->ledger;

	*(in ? &l->n_received : &l->n_originated) += n;
}

/* Each flow once. */
static void send_all(struct bench *b, enum kind kind, enum from from)
{
	for (uint32_t first = 0; first < N_FLOWS; first += BATCH_MAX) {
		struct batch batch = { .n = 0 };

		for (uint32_t i = 0; i < BATCH_MAX; i++)
			batch_add(&batch, make(b, kind, from, first + i));
		count_made(b, batch.n, comes_in(kind, from));
		/* Not where it is counted. */
		if (comes_in(kind, from)) {
			gateway_input(b->gw, 1, &batch, b->now);
		} else {
			ip_local_out(gateway_ip(b->gw), &batch);
			gateway_flush(b->gw, b->now);
		}
	}
}

static uint32_t draw(struct bench *b)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return (uint32_t)(b->random >> 40) % N_FLOWS;
}

static long times_pushed_aside(void)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	return u.ru_nivcsw;
}

/* Clocks a packet, without batches during which the kernel gave the core to somebody else. */
static double run(struct bench *b, enum kind kind, uint32_t n_batches)
{
	bool in = kind == KIND_IN;
	uint64_t clocks = 0, n_timed = 0, before = b->n_got;

	for (uint32_t k = 0; k < n_batches; k++) {
		struct batch batch = { .n = 0 };

		for (uint32_t i = 0; i < BATCH_MAX; i++)
			batch_add(&batch, make(b, kind, kind == KIND_OUT ? FROM_HOST : FROM_CLIENT, draw(b)));
		count_made(b, batch.n, in);
		b->now += 6400;
		long pushed_aside = times_pushed_aside();
		uint64_t t0 = __rdtsc();

		host_measured(b, &batch, in);
		uint64_t took = __rdtsc() - t0;

		if (times_pushed_aside() != pushed_aside)
			continue;
		clocks += took;
		n_timed++;
	}
	must(b->n_got - before == (uint64_t)n_batches * BATCH_MAX, "packets were lost");
	return (double)clocks / (double)(max_u64(n_timed, 1) * BATCH_MAX);
}

/* --- life --- */

static void ignore(void *ctx, const struct yg_event *e)
{
	(void)ctx;
	(void)e;
}

/* The peer asks for us, so its address is known. */
static void greet(struct bench *b)
{
	struct packet *p = packet_alloc(gateway_env(b->gw)->pool, ETHER_HEADER_LEN + ARP_LEN);
	struct ether_addr mac = { { 2, 9 } };
	struct ether_view eth = { .dst = b->device.mac, .src = mac, .type = ETHERTYPE_ARP };
	struct arp_view arp = { .op = ARP_REQUEST, .sha = mac, .spa = PEER, .tpa = LAN };
	struct batch batch = { .n = 0 };

	must(p != NULL, "no packet");
	ether_emit(packet_frame(p), &eth);
	arp_emit(packet_frame(p) + ETHER_HEADER_LEN, &arp);
	batch_add(&batch, p);
	count_made(b, 1, true);
	gateway_input(b->gw, 1, &batch, b->now);
}

static void start(struct bench *b, const struct row *row, enum way way)
{
	static const uint8_t seed[RNG_SEED_BYTES] = "the same every time";
	struct gateway_limits limits = { .packets = { .n_packets = 4096, .n_small = 4096, .n_large = 1 } };
	struct ip_protocol udp = { .ctx = b, .input = protocol_input, .unreachable = IP_UNREACHABLE_PORT };
	struct config_errors *errors = NULL;

	*b = (struct bench){ .now = 1000 * NS_PER_S, .random = UINT64_C(0x2545f4914f6cdd1d) };
	b->config = config_read_text("bench.conf", config_text, sizeof(config_text) - 1, &errors);
	must(b->config != NULL, "the config was refused");
	b->snapshot = snapshot_build(b->config, NULL, &errors);
	b->gw = gateway_create_of(row->modules, &limits, seed, b->now, ignore, NULL);
	must(b->snapshot != NULL && b->gw != NULL && gateway_configure(b->gw, &b->snapshot->core, b->now) == 0,
	     "no gateway");
	b->device = (struct device){
		.ops = &device_ops, .mac = { { 2, 0, 0, 0, 0, 1 } }, .mtu = 1500, .up = true, .caps = DEVICE_CAP_CSUM
	};
	gateway_attach(b->gw, 1, &b->device, b->now);
	ip_stack_set_protocol(gateway_ip(b->gw), IPPROTO_NR_UDP, &udp);
	greet(b);
	if (way == WAY_SLOW && gateway_flowcache(b->gw) != NULL)
		flowcache_set_mode(gateway_flowcache(b->gw), FLOWCACHE_OFF);
	for (uint32_t i = 0; i < 3; i++) {
		send_all(b, row->kind, FROM_CLIENT);
		send_all(b, row->kind, FROM_HOST);
	}
}

static void stop(struct bench *b)
{
	struct env *env = gateway_env(b->gw);

	must(ledger_dropped(&env->ledger) == 0, "packets were dropped");
	must(ledger_expected_held(&env->ledger) == (int64_t)packet_pool_used(env->pool), "packets are missing");
	gateway_destroy(b->gw);
	snapshot_destroy(b->snapshot);
	config_free(b->config);
}

/* --- results --- */

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v)
{
	qsort(v, ROUNDS, sizeof(*v), compare_double);
	return v[ROUNDS / 2];
}

/* A packet; 0: they could not be counted. */
static uint64_t instructions(const char *self, const struct row *row, enum way way)
{
	char what[64];

	snprintf(what, sizeof(what), "%s %s", row->name, way_names[way]);
	return callgrind_count(self, "host_measured", what) / (CALLGRIND_BATCHES * BATCH_MAX);
}

static void measure(const char *self, const struct row *row, bool counted)
{
	static struct bench b[N_WAYS];
	double clocks[N_WAYS][ROUNDS];
	uint64_t n[N_WAYS] = { 0 };

	for (int w = 0; w < N_WAYS; w++)
		start(&b[w], row, (enum way)w);
	for (uint32_t i = 0; i < ROUNDS; i++)
		for (int w = 0; w < N_WAYS; w++)
			clocks[w][i] = run(&b[w], row->kind, ROUND_BATCHES);
	for (int w = 0; w < N_WAYS; w++) {
		stop(&b[w]);
		if (counted)
			n[w] = instructions(self, row, (enum way)w);
	}
	double slow = median(clocks[WAY_SLOW]), cached = median(clocks[WAY_CACHED]);

	printf("{\"row\":\"%s\",\"clocks\":%.1f,\"slow_clocks\":%.1f", row->name, cached, slow);
	if (n[WAY_CACHED] != 0)
		printf(",\"instructions\":%llu,\"slow_instructions\":%llu", (unsigned long long)n[WAY_CACHED],
		       (unsigned long long)n[WAY_SLOW]);
	printf("}\n");
	fprintf(stderr, "%-16s %7.1f clocks, slow path %7.1f; %llu instructions, slow path %llu\n", row->name, cached,
		slow, (unsigned long long)n[WAY_CACHED], (unsigned long long)n[WAY_SLOW]);
}

/* --under-callgrind ROW WAY */
static int run_counted(const char *name, const char *way)
{
	static struct bench b;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strcmp(rows[i].name, name) != 0)
			continue;
		start(&b, &rows[i], strcmp(way, way_names[WAY_SLOW]) == 0 ? WAY_SLOW : WAY_CACHED);
		(void)run(&b, rows[i].kind, CALLGRIND_BATCHES);
		stop(&b);
		return 0;
	}
	return 2;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "--under-callgrind") == 0)
		return run_counted(argv[2], argv[3]);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		measure(argv[0], &rows[i], argc == 2 && strcmp(argv[1], "--instructions") == 0);
	return 0;
}
