/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The whole gateway from frame in to frame out: Ethernet, ARP, IPv4, hooks, rules,
 * connection tracking, NAT with a small pool, ICMP, under frames from both sides,
 * answers to what it sent, time that jumps, and a new config in the middle.
 *
 * The input is a list of steps of a few bytes: which frame to begin with, from
 * which side, what to change in it, and when. Checksums are made right, so that
 * changes reach what lies behind the checks.
 *
 * What must hold: the law of conservation after every batch; every frame sent has
 * right checksums, fits its link, and shows no inside address outside unless the
 * outside spoke to it first; both tuples of every connection lead to it; and when
 * everything has timed out, nothing is held.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/gateway.h"
#include "daemon/config/snapshot.h"
#include "base/ip4.h"
#include "base/util.h"
#include "stack/wire/arp.h"
#include "stack/wire/icmp.h"

#define N_SIDES 2
#define FRAME_MAX 700
#define STEPS_MAX 400
enum { LAN, WAN };

static const char *const configs[2] = {
	"interface lan0 { address 10.77.0.1/24; }\n"
	"interface wan0 { address 203.0.113.1/24; mtu 576; }\n"
	"route 0.0.0.0/0 via 203.0.113.2;\n"
	"pool p { 203.0.113.16; ports 1024-1027; mapping endpoint-independent; filtering address-dependent; }\n"
	"table ip nat {\n"
	" chain pre { type nat hook prerouting priority dstnat; policy accept;\n"
	"  iifname \"wan0\" tcp dport 80 dnat to 10.77.0.2:8080\n"
	"  iifname \"wan0\" udp dport 90 dnat to numgen inc mod 2 map { 0 : 10.77.0.2, 1 : 10.77.0.3 } }\n"
	" chain post { type nat hook postrouting priority srcnat; policy accept;\n"
	"  oifname \"wan0\" udp dport 1-99 snat to pool p\n"
	"  oifname \"wan0\" masquerade } }\n"
	"table ip filter { chain f { type filter hook forward priority 0; policy drop;\n"
	"  ct state established,related accept\n"
	"  ct state invalid drop\n"
	"  iifname \"lan0\" tcp dport 7 reject with tcp reset\n"
	"  iifname \"lan0\" udp dport 7 reject\n"
	"  iifname \"lan0\" accept\n"
	"  ct status dnat accept } }\n",
	"interface lan0 { address 10.77.0.1/24; }\n"
	"interface wan0 { address 203.0.113.1/24; }\n"
	"route 0.0.0.0/0 via 203.0.113.2;\n"
	"pool p { 203.0.113.17; hold-down 120s; }\n"
	"conntrack { max per source 5; pick up yes; }\n"
	"table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
	"  oifname \"wan0\" snat to pool p } }\n",
};

struct fixture;

struct end {
	struct device device;
	struct fixture *fixture;
	int side;
	uint32_t last_len;
	uint8_t last[FRAME_MAX]; /* what the gateway sent here last */
};

struct fixture {
	struct gateway *gw;
	struct snapshot *snap;
	uint64_t now;
	struct end end[N_SIDES];
	uint8_t known[4096]; /* pairs of an outside and an inside address that the outside has used */
};

struct input {
	const uint8_t *p;
	size_t n;
};

static uint8_t next(struct input *in)
{
	if (in->n == 0)
		return 0;
	in->n--;
	return *in->p++;
}

/* A host inside. The gateway's own inside address may show where somebody inside lied about who he is. */
static bool is_inside(uint32_t a)
{
	return a >> 8 == IP4(10, 77, 0, 0) >> 8 && a != IP4(10, 77, 0, 1);
}

static uint8_t *known(struct fixture *w, uint32_t outside, uint32_t inside)
{
	return &w->known[(outside * 2654435761u ^ inside * 40503u) >> 20];
}

static void check_sent(struct end *e, const uint8_t *frame, uint32_t len)
{
	const uint8_t *l3 = frame + ETHER_HEADER_LEN;
	struct ether_view eth;
	struct ipv4_view ip;
	struct l4_view l4;
	struct icmp_quote q;

	assert(ether_parse(frame, len, &eth));
	if (eth.type != ETHERTYPE_IPV4)
		return;
	assert(ipv4_parse(l3, len - ETHER_HEADER_LEN, &ip) == IPV4_OK);
	assert(ip.ttl > 0 && ip.total_len <= 1500);
	size_t l4_len = (size_t)ip.total_len - ip.header_len;
	if (l4_parse(&ip, l3 + ip.header_len, l4_len, &l4) != L4_OK)
		return;
	assert(ipv4_is_fragment(&ip) || l4.kind == L4_NONE || l4_checksum_ok(&ip, l3 + ip.header_len, l4_len));
	if (e->side != WAN)
		return;
	assert(!is_inside(ip.src) || *known(e->fixture, ip.dst, ip.src));
	if (l4.kind == L4_ICMP_ERROR && icmp_quote_parse(l3 + ip.header_len, l4_len, &q))
		assert(!is_inside(q.ip.dst) || *known(e->fixture, q.ip.src, q.ip.dst));
}

static void end_tx(struct device *d, struct batch *b)
{
	struct end *e = container_of(d, struct end, device);

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];

		check_sent(e, packet_frame(p), p->len);
		e->last_len = min_u32(p->len, FRAME_MAX);
		memcpy(e->last, packet_frame(p), e->last_len);
		d->ledger->n_handed++;
		packet_free(d->pool, p);
	}
	b->n = 0;
}

static const struct device_ops end_ops = { .driver = "fuzz", .tx = end_tx };

static void ignore_event(void *ctx, const struct yg_event *e)
{
	(void)ctx;
	(void)e;
}

static struct snapshot *make_snapshot(const char *text, const struct snapshot *prev)
{
	struct config_errors *errors = NULL;
	struct config *c = config_read_text("fuzz.conf", text, strlen(text), &errors);
	struct snapshot *s;

	assert(c != NULL);
	s = snapshot_build(c, prev, &errors);
	assert(s != NULL);
	config_free(c);
	config_errors_free(errors);
	return s;
}

static void start(struct fixture *w)
{
	static const struct gateway_limits limits = {
		.packets = { .n_packets = 96, .n_small = 90, .n_large = 4 },
		.ip = { .n_neighbours = 16, .n_reassembly = 4, .n_reassembly_fragments = 16 },
		.conntrack = { .n_connections = 24, .n_fragments = 16 },
		.nat = { .n_addresses = 4, .n_mappings = 16 },
	};
	static const uint8_t seed[RNG_SEED_BYTES] = { 5 };

	w->now = NS_PER_S;
	w->snap = make_snapshot(configs[0], NULL);
	w->gw = gateway_create(&limits, seed, w->now, ignore_event, NULL);
	assert(w->gw != NULL && gateway_configure(w->gw, &w->snap->core, w->now) == 0);
	for (int side = 0; side < N_SIDES; side++) {
		struct end *e = &w->end[side];

		e->fixture = w;
		e->side = side;
		e->device.ops = &end_ops;
		e->device.mac = (struct ether_addr){ { 2, 0, 0, 0, 0, (uint8_t)side } };
		e->device.mtu = 1500;
		e->device.up = true;
		gateway_attach(w->gw, (uint32_t)side + 1, &e->device, w->now);
	}
}

static void check_law(struct fixture *w)
{
	struct env *env = gateway_env(w->gw);

	assert(ledger_expected_held(&env->ledger) == (int64_t)packet_pool_used(env->pool));
	assert(nat_law_difference(gateway_nat(w->gw)) == 0);
}

static void check_connections(struct fixture *w)
{
	struct conntrack *ct = gateway_conntrack(w->gw);
	uint32_t cursor = 0, index;

	while (conntrack_next(ct, &cursor, &index)) {
		const struct conn *c = conntrack_conn(ct, index);

		assert(conn_index(conntrack_find(ct, &c->half[CT_ORIGINAL].tuple)) == index);
		assert(conn_index(conntrack_find(ct, &c->half[CT_REPLY].tuple)) == index);
	}
}

/* A sensible packet from a side; the step's bytes say which. */
static uint32_t make_packet(struct input *in, int side, uint8_t *frame)
{
	static const uint16_t ports[8] = { 1000, 1001, 7, 53, 80, 90, 1024, 1025 };
	static const uint8_t flags[8] = { TCP_SYN, TCP_ACK,           TCP_SYN | TCP_ACK, TCP_FIN | TCP_ACK,
					  TCP_RST, TCP_RST | TCP_ACK, TCP_PSH | TCP_ACK, 0 };
	static const uint32_t outside_dst[4] = { IP4(203, 0, 113, 1), IP4(203, 0, 113, 16), IP4(10, 77, 0, 2),
						 IP4(203, 0, 113, 17) };
	uint8_t *l4 = frame + ETHER_HEADER_LEN + IPV4_HEADER_LEN;
	uint8_t who = next(in), what = next(in), more = next(in);
	uint16_t sport = ports[what & 7], dport = ports[what >> 3 & 7];
	uint32_t payload = more & 0x80 ? 400 : more & 7;
	struct ipv4_view ip = { .ttl = (uint8_t)(who >> 7 ? 1 : 64), .header_len = IPV4_HEADER_LEN, .id = who & 3 };

	ip.src = side == LAN ? IP4(10, 77, 0, 2) + (who & 3) : IP4(203, 0, 113, 2) + (who & 3);
	ip.dst = side == LAN ? IP4(203, 0, 113, 2) + (who >> 2 & 3) : outside_dst[who >> 2 & 3];
	if (side == LAN && (who >> 4 & 3) == 3)
		ip.dst = IP4(10, 77, 0, 1);
	ip.proto = (uint8_t[]){ IPPROTO_NR_UDP, IPPROTO_NR_TCP, IPPROTO_NR_ICMP, 47 }[what >> 6];
	if (ip.proto == IPPROTO_NR_UDP) {
		udp_emit(l4, sport, dport, (uint16_t)payload);
		payload += UDP_HEADER_LEN;
	} else if (ip.proto == IPPROTO_NR_TCP) {
		tcp_emit(l4, sport, dport, next(in), next(in), flags[more >> 3 & 7], 1000);
		payload += TCP_HEADER_LEN;
	} else if (ip.proto == IPPROTO_NR_ICMP) {
		icmp_emit(l4, more & 8 ? ICMP_ECHO_REPLY : ICMP_ECHO_REQUEST, 0, (uint32_t)(what & 7) << 16);
		payload += ICMP_HEADER_LEN;
	}
	ip.total_len = (uint16_t)(IPV4_HEADER_LEN + payload);
	ipv4_emit(frame + ETHER_HEADER_LEN, &ip);
	return ETHER_HEADER_LEN + ip.total_len;
}

/* What the gateway sent to this side last, turned round, or quoted in an error. */
static uint32_t make_answer(struct fixture *w, struct input *in, int side, uint8_t *frame)
{
	const struct end *e = &w->end[side];
	const uint8_t *l3 = e->last + ETHER_HEADER_LEN;
	uint8_t *l4 = frame + ETHER_HEADER_LEN + IPV4_HEADER_LEN;
	struct ipv4_view ip;
	struct l4_view v;
	uint8_t how = next(in);

	if (e->last_len < ETHER_HEADER_LEN + IPV4_HEADER_LEN ||
	    ipv4_parse(l3, e->last_len - ETHER_HEADER_LEN, &ip) != IPV4_OK ||
	    l4_parse(&ip, l3 + ip.header_len, (size_t)ip.total_len - ip.header_len, &v) != L4_OK)
		return make_packet(in, side, frame);
	struct ipv4_view back = { .src = ip.dst,
				  .dst = ip.src,
				  .proto = ip.proto,
				  .ttl = 60,
				  .header_len = IPV4_HEADER_LEN,
				  .total_len = IPV4_HEADER_LEN + 24 };

	memset(l4, 0, 24);
	if (how & 0x80) {
		uint32_t quote = min_u32(ip.total_len, 28 + (how & 63));

		back.proto = IPPROTO_NR_ICMP;
		back.total_len = (uint16_t)(IPV4_HEADER_LEN + ICMP_HEADER_LEN + quote);
		icmp_emit(l4, how & 0x40 ? ICMP_TIME_EXCEEDED : ICMP_DEST_UNREACHABLE, how & 15, 0);
		memcpy(l4 + ICMP_HEADER_LEN, l3, quote);
	} else if (v.kind == L4_TCP) {
		tcp_emit(l4, v.dport, v.sport, v.ack + (how >> 4 & 3), v.seq + 1, how & 0x1f, 1000);
	} else if (v.kind == L4_UDP) {
		udp_emit(l4, v.dport, v.sport, 16);
	} else if (v.kind == L4_ICMP_QUERY) {
		icmp_emit(l4, icmp_opposite(v.type), 0, (uint32_t)v.id << 16 | v.icmp_seq);
	}
	ipv4_emit(frame + ETHER_HEADER_LEN, &back);
	return ETHER_HEADER_LEN + back.total_len;
}

static uint32_t make_arp(struct input *in, int side, uint8_t *frame)
{
	uint8_t how = next(in);
	uint32_t net = side == LAN ? IP4(10, 77, 0, 0) : IP4(203, 0, 113, 0);
	struct arp_view arp = {
		.op = (how & 1) + 1u, .sha = { { 2, 1, 1, 1, 1, how } }, .spa = net | (how >> 1 & 31), .tpa = net | 1
	};

	arp_emit(frame + ETHER_HEADER_LEN, &arp);
	return ETHER_HEADER_LEN + ARP_LEN;
}

/* Bytes changed, header fields as they come, and the checksums right again where there is something to be right. */
static void change(struct fixture *w, struct input *in, int side, uint8_t *frame, uint32_t len)
{
	uint8_t *l3 = frame + ETHER_HEADER_LEN;
	struct ipv4_view ip;

	for (uint8_t n = next(in) & 3; n > 0; n--) {
		uint32_t at = ETHER_HEADER_LEN + (uint32_t)next(in) % (len - ETHER_HEADER_LEN);

		frame[at] = next(in);
	}
	if (ipv4_parse_quoted(l3, len - ETHER_HEADER_LEN, &ip) != IPV4_OK)
		return;
	ipv4_set_fragment(l3, ip.total_len, ip.frag_off, ip.df, ip.mf);
	if (ipv4_parse(l3, len - ETHER_HEADER_LEN, &ip) != IPV4_OK)
		return;
	size_t l4_len = (size_t)ip.total_len - ip.header_len;
	struct l4_view v;
	if (!ipv4_is_fragment(&ip) && l4_parse(&ip, l3 + ip.header_len, l4_len, &v) == L4_OK && v.kind != L4_NONE)
		l4_checksum_set(&ip, l3 + ip.header_len, l4_len);
	if (side == WAN)
		*known(w, ip.src, ip.dst) = 1;
}

static void put_frame(struct fixture *w, struct input *in, uint8_t step, int side, struct batch *b)
{
	struct env *env = gateway_env(w->gw);
	struct ether_view eth = { .dst = w->end[side].device.mac,
				  .src = { { 2, 1, 1, 1, 1, 1 } },
				  .type = ETHERTYPE_IPV4 };
	uint8_t frame[FRAME_MAX] = { 0 };
	uint32_t kind = step >> 1 & 3, len;

	if (kind == 0) {
		eth.type = ETHERTYPE_ARP;
		len = make_arp(in, side, frame);
	} else {
		len = kind == 1 ? make_answer(w, in, side, frame) : make_packet(in, side, frame);
		change(w, in, side, frame, len);
	}
	ether_emit(frame, &eth);
	struct packet *p = packet_alloc(env->pool, len);

	env->ledger.n_received++;
	if (p == NULL) {
		env->ledger.n_dropped[DROP_NO_BUFFER]++;
		return;
	}
	memcpy(packet_frame(p), frame, len);
	batch_add(b, p);
}

static void reload(struct fixture *w, uint8_t which)
{
	struct snapshot *s = make_snapshot(configs[which & 1], w->snap);

	assert(gateway_configure(w->gw, &s->core, w->now) == 0);
	snapshot_destroy(w->snap);
	w->snap = s;
}

static void expire(struct fixture *w, uint64_t ns)
{
	w->now += ns;
	if (gateway_next_deadline(w->gw) <= w->now)
		gateway_expire(w->gw, w->now);
}

/* Time passes until nothing is waited for. */
static void wind_down(struct fixture *w)
{
	for (int i = 0; i < 20000 && gateway_next_deadline(w->gw) != TIME_NEVER; i++) {
		w->now = max_u64(w->now, gateway_next_deadline(w->gw));
		gateway_expire(w->gw, w->now);
	}
	check_law(w);
	assert(packet_pool_used(gateway_env(w->gw)->pool) == 0);
	assert(conntrack_n_connections(gateway_conntrack(w->gw)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct fixture w = { .gw = NULL };

	start(&w);
	for (int step = 0; step < STEPS_MAX && in.n > 0;) {
		struct batch b = { .n = 0 };
		uint8_t s = next(&in);
		int side = s & 1;

		if (s >> 4 == 15)
			reload(&w, s);
		/* up to eight frames a batch, all from one side */
		for (uint32_t n = 1 + (s >> 3 & 1 ? s >> 4 & 7 : 0); n > 0; n--, step++)
			put_frame(&w, &in, n == 1 ? s : next(&in), side, &b);
		gateway_input(w.gw, (uint32_t)side + 1, &b, w.now);
		assert(b.n == 0);
		check_law(&w);
		expire(&w, s >> 6 == 3 ? 40 * NS_PER_S : NS_PER_MS);
		check_law(&w);
	}
	check_connections(&w);
	wind_down(&w);
	gateway_destroy(w.gw);
	snapshot_destroy(w.snap);
	return 0;
}
