/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The gateway in memory.
 *
 * Life of a frame: fixture_frame writes it into its slot of the ring, headers and all,
 * since the gateway has rewritten whatever stood there; fixture_run gives a batch of
 * slots to the gateway as a driver gives the slots of its ring; when the other
 * device's tx is given the packet, it lets go of it. Making frames is not part of
 * what is measured; a slot that was just written lies in a near cache, as one lies
 * that a NIC has just written (DDIO).
 *
 * Flow number i is a function of i alone, so no table of flows is read to make a
 * frame, but for what NAT chose: its outside address and port, asked of conntrack
 * when the flow has begun.
 *
 * The config is what a small provider's would be: routed clients, a pool of 256
 * addresses, a filter chain of three rules.
 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stack/wire/arp.h"

#define START_NS (1000 * NS_PER_S)
#define STEP_NS 6400 /* a batch at ten million packets a second */
#define N_CLIENTS 65536u
#define SERVER_PORT 443
#define FIRST_PORT 1024u
#define WINDOW 65535

static const struct ether_addr peer_mac = { { 2, 0, 0, 0, 0, 0x99 } };
static const uint32_t peer_addr[N_FIXTURE_SIDES] = { IP4(192, 168, 0, 2), IP4(203, 0, 113, 254) };
static const uint32_t own_addr[N_FIXTURE_SIDES] = { IP4(192, 168, 0, 1), IP4(203, 0, 113, 1) };
static const char *const port_name[N_FIXTURE_SIDES] = { "lan0", "wan0" };

static const char config_text[] = "interface lan0 { address 192.168.0.1/24; }\n"
				  "interface wan0 { address 203.0.113.1/24; }\n"
				  "route 0.0.0.0/0 via 203.0.113.254;\n"
				  "route 10.0.0.0/8 via 192.168.0.2;\n"
				  "pool public { 198.51.100.0/24; ports 1024-65535; }\n"
				  "table ip nat {\n"
				  "  chain postrouting {\n"
				  "    type nat hook postrouting priority srcnat; policy accept;\n"
				  "    oifname \"wan0\" snat to pool public\n"
				  "  }\n"
				  "}\n"
				  "table ip filter {\n"
				  "  chain forward {\n"
				  "    type filter hook forward priority filter; policy drop;\n"
				  "    ct state established,related accept\n"
				  "    ct state invalid drop\n"
				  "    iifname \"lan0\" accept\n"
				  "  }\n"
				  "}\n";

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "bench/memory: %s\n", what);
	exit(1);
}

/* The device. */

static void port_tx(struct device *d, struct batch *b)
{
	struct fixture_port *port = container_of(d, struct fixture_port, device);

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];

		/* Not of the ring, so made here: an ARP request, or an announcement, which asks for itself. */
		if (YG_UNLIKELY(p->buf_index != POOL_NONE)) {
			struct arp_view arp;

			if (arp_parse(packet_frame(p) + ETHER_HEADER_LEN, p->len - ETHER_HEADER_LEN, &arp) &&
			    arp.op == ARP_REQUEST && arp.tpa == peer_addr[port->side])
				port->asked = arp.tpa;
		} else {
			port->n_sent++;
		}
		packet_free(d->pool, p);
	}
	d->ledger->n_handed += b->n;
	b->n = 0;
}

static const struct device_ops port_ops = { .driver = "bench", .tx = port_tx };

static uint32_t port_rx(struct fixture *r, enum fixture_side side, uint32_t first, struct batch *b)
{
	struct device *d = &r->port[side].device;
	uint8_t *slot = r->ring + (size_t)first * FIXTURE_SLOT_BYTES;

	for (uint32_t i = 0; i < BATCH_MAX; i++, slot += FIXTURE_SLOT_BYTES) {
		struct packet *p = packet_set_external(d->pool, slot, FIXTURE_SLOT_BYTES, FIXTURE_HEADROOM,
						       FIXTURE_FRAME_BYTES, NULL, NULL, 0);

		if (p == NULL)
			break;
		batch_add(b, p);
	}
	d->ledger->n_received += b->n;
	return b->n;
}

static void send_arp(struct fixture *r, struct fixture_port *port, enum arp_op op)
{
	struct batch b = { .n = 0 };
	struct packet *p = packet_alloc(port->device.pool, ETHER_HEADER_LEN + ARP_LEN);
	struct ether_view eth = { .dst = port->device.mac, .src = peer_mac, .type = ETHERTYPE_ARP };
	struct arp_view arp = { .op = op,
				.sha = peer_mac,
				.tha = port->device.mac,
				.spa = peer_addr[port->side],
				.tpa = own_addr[port->side] };

	must(p != NULL, "no packet for ARP");
	port->asked = 0;
	port->device.ledger->n_received++;
	ether_emit(packet_frame(p), &eth);
	arp_emit(packet_frame(p) + ETHER_HEADER_LEN, &arp);
	batch_add(&b, p);
	gateway_input(r->gw, port->ifindex, &b, r->now);
}

static void run_batch(struct fixture *r, uint32_t i)
{
	struct batch b = { .n = 0 };
	enum fixture_side side = r->batch_side[i];

	r->now += r->step_ns;
	port_rx(r, side, i * BATCH_MAX, &b);
	gateway_input(r->gw, r->port[side].ifindex, &b, r->now);
	if (gateway_next_deadline(r->gw) <= r->now)
		gateway_expire(r->gw, r->now);
	for (int s = 0; s < N_FIXTURE_SIDES; s++)
		if (YG_UNLIKELY(r->port[s].asked != 0))
			send_arp(r, &r->port[s], ARP_REPLY);
}

__attribute__((noinline)) void fixture_run(struct fixture *r)
{
	for (uint32_t i = 0; i < r->ring_batches; i++)
		run_batch(r, i);
}

/* Flows. */

static struct tuple flow_tuple(const struct fixture *r, uint64_t flow)
{
	/* Servers all over a /8, the same for the same flow. */
	uint64_t mixed = (flow + 1) * UINT64_C(0x9e3779b97f4a7c15);

	return (struct tuple){
		.src = IP4(10, 1, 0, 0) + (uint32_t)(flow % N_CLIENTS),
		.dst = IP4(44, 0, 0, 0) | (uint32_t)(mixed >> 40),
		.sport = (uint16_t)(FIRST_PORT + flow / N_CLIENTS % (65536 - FIRST_PORT)),
		.dport = SERVER_PORT,
		.proto = r->proto,
	};
}

struct tuple fixture_flow_tuple(const struct fixture *r, uint64_t flow, enum fixture_side from)
{
	struct tuple t = flow_tuple(r, flow);

	if (from == FIXTURE_WAN) {
		t = tuple_invert(&t);
		t.dst = r->outside[flow].addr;
		t.dport = r->outside[flow].port;
	}
	return t;
}

uint32_t fixture_random(struct fixture *r, uint32_t n)
{
	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	return (uint32_t)((r->random >> 32) * n >> 32);
}

static void emit_tcp(struct fixture *r, uint8_t *l4, const struct tuple *t, uint64_t flow, enum fixture_side from,
		     uint8_t flags)
{
	uint32_t *seq = r->seq[flow];
	bool ack = flags != TCP_SYN;

	tcp_emit(l4, t->sport, t->dport, seq[from], ack ? seq[!from] : 0, flags != 0 ? flags : TCP_ACK | TCP_PSH,
		 WINDOW);
	if (r->unsent)
		return;
	if (flags & TCP_SYN)
		seq[from]++;
	else if (flags == 0)
		seq[from] += FIXTURE_FRAME_BYTES - ETHER_HEADER_LEN - IPV4_HEADER_LEN - TCP_HEADER_LEN;
}

void fixture_frame(struct fixture *r, uint32_t at, uint64_t flow, enum fixture_side from, uint8_t tcp_flags)
{
	uint8_t *frame = r->ring + (size_t)at * FIXTURE_SLOT_BYTES + FIXTURE_HEADROOM;
	uint8_t *l3 = frame + ETHER_HEADER_LEN, *l4 = l3 + IPV4_HEADER_LEN;
	uint32_t l4_len = FIXTURE_FRAME_BYTES - ETHER_HEADER_LEN - IPV4_HEADER_LEN;
	struct ether_view eth = { .dst = r->port[from].device.mac, .src = peer_mac, .type = ETHERTYPE_IPV4 };
	struct tuple t = fixture_flow_tuple(r, flow, from);

	/* DF as on nearly every packet of today's hosts. */
	struct ipv4_view ip = {
		.src = t.src,
		.dst = t.dst,
		.proto = t.proto,
		.ttl = 64,
		.df = true,
		.id = (uint16_t)at,
		.total_len = (uint16_t)(IPV4_HEADER_LEN + l4_len),
	};
	/* A SYN without data. */
	if (r->proto == IPPROTO_NR_TCP && (tcp_flags & TCP_SYN))
		ip.total_len = IPV4_HEADER_LEN + TCP_HEADER_LEN;
	memset(l4, 0x55, l4_len);
	ether_emit(frame, &eth);
	ipv4_emit(l3, &ip);
	if (r->proto == IPPROTO_NR_TCP)
		emit_tcp(r, l4, &t, flow, from, tcp_flags);
	else
		udp_emit(l4, t.sport, t.dport, (uint16_t)(l4_len - UDP_HEADER_LEN));
	ip.header_len = IPV4_HEADER_LEN;
	l4_checksum_set(&ip, l4, ip.total_len - IPV4_HEADER_LEN);
}

void fixture_fill_random(struct fixture *r)
{
	r->ring_batches = FIXTURE_BATCHES;
	for (uint32_t i = 0; i < FIXTURE_BATCHES; i++)
		r->batch_side[i] = i & 1 ? FIXTURE_WAN : FIXTURE_LAN;
	for (uint32_t at = 0; at < FIXTURE_RING; at++)
		fixture_frame(r, at, fixture_random(r, (uint32_t)r->n_flows), r->batch_side[at / BATCH_MAX], 0);
}

void fixture_fill_unsent(struct fixture *r)
{
	r->unsent = true;
	fixture_fill_random(r);
	r->unsent = false;
}

void fixture_fill_new(struct fixture *r)
{
	r->ring_batches = FIXTURE_BATCHES;
	for (uint32_t i = 0; i < FIXTURE_BATCHES; i++)
		r->batch_side[i] = FIXTURE_LAN;
	for (uint32_t at = 0; at < FIXTURE_RING; at++)
		fixture_frame(r, at, r->n_flows++, FIXTURE_LAN, TCP_SYN);
}

/* Flows first to first + n - 1 send a packet each; what is left of a batch is filled up with the last one's. */
static void send_round(struct fixture *r, uint64_t first, uint32_t n, enum fixture_side from, uint8_t tcp_flags)
{
	r->ring_batches = (n + BATCH_MAX - 1) / BATCH_MAX;
	for (uint32_t i = 0; i < r->ring_batches; i++)
		r->batch_side[i] = from;
	for (uint32_t at = 0; at < r->ring_batches * BATCH_MAX; at++) {
		/* A repeated SYN is one packet twice. */
		if (at >= n && (tcp_flags & TCP_SYN))
			memcpy(r->ring + (size_t)at * FIXTURE_SLOT_BYTES,
			       r->ring + (size_t)(n - 1) * FIXTURE_SLOT_BYTES, FIXTURE_SLOT_BYTES);
		else
			fixture_frame(r, at, first + min_u32(at, n - 1), from, tcp_flags);
	}
	fixture_run(r);
}

static void ask_outside(struct fixture *r, uint64_t first, uint32_t n)
{
	struct conntrack *ct = gateway_conntrack(r->gw);

	for (uint64_t flow = first; flow < first + n; flow++) {
		struct tuple t = flow_tuple(r, flow);
		uint32_t ref = conntrack_find(ct, &t);

		must(ref != CONN_NONE, "a flow was not let out");
		const struct tuple *reply = &conntrack_conn(ct, conn_index(ref))->half[CT_REPLY].tuple;
		r->outside[flow] = (struct fixture_outside){ reply->dst, reply->dport };
	}
}

void fixture_establish(struct fixture *r, uint32_t n)
{
	bool tcp = r->proto == IPPROTO_NR_TCP;

	must(r->n_flows + n <= r->max_flows, "more flows than asked for");
	while (n > 0) {
		uint32_t step = min_u32(n, FIXTURE_RING);

		send_round(r, r->n_flows, step, FIXTURE_LAN, TCP_SYN);
		ask_outside(r, r->n_flows, step);
		send_round(r, r->n_flows, step, FIXTURE_WAN, tcp ? TCP_SYN | TCP_ACK : 0);
		send_round(r, r->n_flows, step, FIXTURE_LAN, tcp ? TCP_ACK : 0);
		/* One plain packet more each way, to have the flow cache entries installed. */
		if (tcp) {
			send_round(r, r->n_flows, step, FIXTURE_LAN, 0);
			send_round(r, r->n_flows, step, FIXTURE_WAN, 0);
		}
		r->n_flows += step;
		n -= step;
	}
}

/* Life. */

static uint32_t interface_number(const struct snapshot *s, const char *name)
{
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (strcmp(s->core.ip.interface[i].name, name) == 0)
			return i;
	return 0;
}

static void read_config(struct fixture *r, uint32_t udp_timeout_s)
{
	struct config_errors *errors = NULL;
	char text[sizeof(config_text) + 64];
	int n = snprintf(text, sizeof(text), "%s", config_text);

	/* Server ports are below 1024, where the config may say less than two minutes. */
	if (udp_timeout_s != 0)
		snprintf(text + n, sizeof(text) - (size_t)n, "conntrack { timeout udp well-known %us; }\n",
			 udp_timeout_s);
	r->config = config_read_text("bench.conf", text, strlen(text), &errors);
	if (r->config != NULL)
		r->snapshot = snapshot_build(r->config, NULL, &errors);
	if (errors != NULL)
		config_errors_print(errors, stderr);
	must(r->snapshot != NULL, "the config was refused");
	config_errors_free(errors);
}

static const _Atomic(uint32_t) nothing;

static void take_notes_of_nothing(void *ctx, const struct yg_event *e)
{
	(void)ctx;
	(void)e;
}

static void attach(struct fixture *r)
{
	for (int side = 0; side < N_FIXTURE_SIDES; side++) {
		struct fixture_port *port = &r->port[side];

		port->fixture = r;
		port->side = (enum fixture_side)side;
		port->ifindex = interface_number(r->snapshot, port_name[side]);
		port->device = (struct device){
			.ops = &port_ops, .mac = { { 2, 0, 0, 0, 0, (uint8_t)(side + 1) } }, .mtu = 1500, .up = true
		};
		snprintf(port->device.name, sizeof(port->device.name), "%s", port_name[side]);
		gateway_attach(r->gw, port->ifindex, &port->device, r->now);
	}
}

/* A client and a server say who they are, so that no packet has to wait. */
static void greet(struct fixture *r)
{
	for (int side = 0; side < N_FIXTURE_SIDES; side++)
		send_arp(r, &r->port[side], ARP_REQUEST);
}

struct fixture *fixture_start(uint8_t proto, uint32_t capacity, uint32_t max_flows, uint32_t udp_timeout_s)
{
	static const uint8_t seed[RNG_SEED_BYTES] = "the same ports every time";
	struct gateway_limits limits = {
		.packets = { .n_packets = 4096, .n_small = 1024, .n_large = 1 },
		.conntrack = { .n_connections = capacity },
		.nat = { .n_mappings = 1024 },
	};
	struct fixture *r = calloc(1, sizeof(*r));

	must(r != NULL, "no memory");
	r->proto = proto;
	r->now = START_NS;
	r->step_ns = STEP_NS;
	r->max_flows = max_flows;
	r->random = UINT64_C(0x2545f4914f6cdd1d);
	r->ring = aligned_alloc(4096, FIXTURE_RING * FIXTURE_SLOT_BYTES);
	r->outside = malloc((max_flows + 1) * sizeof(*r->outside));
	r->seq = malloc((proto == IPPROTO_NR_TCP ? max_flows + 1 : 1) * sizeof(*r->seq));
	must(r->ring != NULL && r->outside != NULL && r->seq != NULL, "no memory");
	/* Touched before memory is measured; not with zeros, for which a compiler asks for memory that nobody has
	 * touched yet. */
	memset(r->ring, 0xff, FIXTURE_RING * FIXTURE_SLOT_BYTES);
	memset(r->outside, 0xff, (max_flows + 1) * sizeof(*r->outside));
	for (uint32_t i = 0; proto == IPPROTO_NR_TCP && i < max_flows; i++)
		r->seq[i][FIXTURE_LAN] = r->seq[i][FIXTURE_WAN] = i * 2654435761u;
	read_config(r, udp_timeout_s);
	r->gw = gateway_create(&limits, seed, r->now, take_notes_of_nothing, NULL);
	if (r->gw != NULL)
		gateway_env(r->gw)->wanted = &nothing; /* as in a gateway to whose events nobody listens */
	must(r->gw != NULL && gateway_configure(r->gw, &r->snapshot->core, r->now) == 0, "no gateway");
	attach(r);
	greet(r);
	return r;
}

void fixture_stop(struct fixture *r)
{
	struct env *env = gateway_env(r->gw);

	for (int i = 0; i < N_DROP_REASONS; i++)
		if (env->ledger.n_dropped[i] != 0)
			fprintf(stderr, "bench/memory: %llu packets dropped: %s\n",
				(unsigned long long)env->ledger.n_dropped[i], drop_info[i].name);
	must(ledger_dropped(&env->ledger) == 0, "packets were lost");
	must(ledger_expected_held(&env->ledger) == (int64_t)packet_pool_used(env->pool), "packets are missing");
	must(nat_law_difference(gateway_nat(r->gw)) == 0, "ports are missing");
	gateway_destroy(r->gw);
	snapshot_destroy(r->snapshot);
	config_free(r->config);
	free(r->seq);
	free(r->outside);
	free(r->ring);
	free(r);
}
