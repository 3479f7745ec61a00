/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Records of connections from somebody who may say anything in them.
 *
 * The input is a list of steps: a record is made like one that a gateway exports (a flow
 * of one of the protocols, with what NAT holds for it), some of its bytes are
 * changed, and it is imported; or packets go through, time passes, a new config comes.
 *
 * What must hold: an import that is refused changes nothing; of one that is
 * taken both tuples lead to the connection, what it holds is counted where it is held,
 * and it can be exported and imported again by another gateway; packets find the law of
 * conservation as it was; and when all has timed out, nothing is held.
 */
#include "base/ip4.h"
#include "base/util.h"
#include "core/conn_record.h"
#include "daemon/config/snapshot.h"
#include "gateway/conntrack/conntrack_priv.h"
#include "gateway/nat/nat_priv.h"
#include "gateway/nat/overload.h"
#include "stack/wire/arp.h"
#include "stack/wire/icmp.h"
#include "wire_fuzz.h"

#define INSIDE IP4(10, 77, 0, 2)
#define OUTSIDE IP4(203, 0, 113, 2)
#define WAN_ADDR IP4(203, 0, 113, 1)
#define POOL_ADDR IP4(203, 0, 113, 16)
#define FRAME_BYTES 200
enum { LAN, WAN, N_SIDES };

static const char *const configs[2] = {
	"interface lan0 { address 10.77.0.1/24; }\n"
	"interface wan0 { address 203.0.113.1/24; }\n"
	"route 0.0.0.0/0 via 203.0.113.2;\n"
	"pool p { 203.0.113.16; ports 1024-1027; mapping endpoint-independent; filtering address-dependent; }\n"
	"pool q { 203.0.113.17; ports 1024-1031; }\n"
	"conntrack { max per source 12; }\n"
	"table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
	"  oifname \"wan0\" udp dport 1-99 snat to pool p\n"
	"  oifname \"wan0\" udp dport 100-199 snat to pool q\n"
	"  oifname \"wan0\" masquerade } }\n",
	"interface lan0 { address 10.77.0.1/24; }\n"
	"interface wan0 { address 203.0.113.1/24; }\n"
	"route 0.0.0.0/0 via 203.0.113.2;\n"
	"pool q { 203.0.113.17; ports 1024-1025; hold-down 120s; }\n"
	"table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
	"  oifname \"wan0\" snat to pool q } }\n",
};

struct fixture {
	struct gateway *gw;
	struct snapshot *snap;
	uint64_t now;
	struct device device[N_SIDES];
};

static void tx(struct device *d, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		d->ledger->n_handed++;
		packet_free(d->pool, b->p[i]);
	}
	b->n = 0;
}

static const struct device_ops ops = { .driver = "fuzz", .tx = tx };

static void ignore_event(void *ctx, const struct yg_event *e)
{
	(void)ctx;
	(void)e;
}

static void configure(struct fixture *w, uint32_t which)
{
	struct config_errors *errors = NULL;
	struct config *c = config_read_text("fuzz.conf", configs[which], strlen(configs[which]), &errors);

	FUZZ_CHECK(c != NULL);
	struct snapshot *s = snapshot_build(c, w->snap, &errors);
	FUZZ_CHECK(s != NULL && gateway_configure(w->gw, &s->core, w->now) == 0);
	snapshot_destroy(w->snap);
	w->snap = s;
	config_free(c);
	config_errors_free(errors);
}

static void start(struct fixture *w)
{
	static const struct gateway_limits limits = {
		.packets = { .n_packets = 96, .n_small = 90, .n_large = 4 },
		.ip = { .n_neighbours = 16, .n_reassembly = 4, .n_reassembly_fragments = 16 },
		.conntrack = { .n_connections = 24, .n_fragments = 16 },
		.nat = { .n_addresses = 4, .n_mappings = 6 },
	};
	static const uint8_t seed[RNG_SEED_BYTES] = { 5 };

	w->now = NS_PER_S;
	w->gw = gateway_create(&limits, seed, w->now, ignore_event, NULL);
	FUZZ_CHECK(w->gw != NULL);
	configure(w, 0);
	for (uint32_t side = 0; side < N_SIDES; side++) {
		w->device[side] = (struct device){
			.ops = &ops, .mac = { { 2, 0, 0, 0, 0, (uint8_t)side } }, .mtu = 1500, .up = true
		};
		gateway_attach(w->gw, side + 1, &w->device[side], w->now);
	}
}

static void check(struct fixture *w)
{
	struct env *env = gateway_env(w->gw);
	struct conntrack *ct = gateway_conntrack(w->gw);
	uint32_t cursor = 0, index, n = 0;

	FUZZ_CHECK(ledger_expected_held(&env->ledger) == (int64_t)packet_pool_used(env->pool));
	FUZZ_CHECK(nat_law_difference(gateway_nat(w->gw)) == 0);
	for (; conntrack_next(ct, &cursor, &index); n++) {
		const struct conn *c = conntrack_conn(ct, index);

		for (uint32_t d = 0; d < N_CT_DIRS; d++)
			FUZZ_CHECK(conn_index(conntrack_find(ct, &c->half[d].tuple)) == index);
	}
	FUZZ_CHECK(n == conntrack_n_connections(ct));
}

static void expire(struct fixture *w, uint64_t ns)
{
	w->now += ns;
	if (gateway_next_deadline(w->gw) <= w->now)
		gateway_expire(w->gw, w->now);
}

/* --- packets: of the flows that records tell of --- */

static uint32_t frame_of(const struct tuple *t, uint32_t how, uint8_t *frame)
{
	uint8_t *l4 = frame + ETHER_HEADER_LEN + IPV4_HEADER_LEN;
	uint32_t len = 40;
	struct ipv4_view ip = { .src = t->src, .dst = t->dst, .proto = t->proto, .ttl = 64 };

	memset(l4, 0, len);
	if (t->proto == IPPROTO_NR_TCP)
		tcp_emit(l4, t->sport, t->dport, how * 100, how * 7, (uint8_t)how, 1000);
	else if (t->proto == IPPROTO_NR_UDP)
		udp_emit(l4, t->sport, t->dport, (uint16_t)(len - UDP_HEADER_LEN));
	else if (t->proto == IPPROTO_NR_ICMP)
		icmp_emit(l4, (uint8_t)(t->dport >> 8), 0, (uint32_t)t->sport << 16);
	else
		memcpy(l4, &(uint32_t){ htobe32((uint32_t)t->sport << 16 | t->dport) }, 4);
	ip.header_len = IPV4_HEADER_LEN;
	ip.total_len = (uint16_t)(IPV4_HEADER_LEN + len);
	ipv4_emit(frame + ETHER_HEADER_LEN, &ip);
	l4_checksum_set(&ip, l4, len);
	return ETHER_HEADER_LEN + ip.total_len;
}

static void send_frame(struct fixture *w, uint32_t side, const uint8_t *frame, uint32_t len)
{
	struct env *env = gateway_env(w->gw);
	struct packet *p = packet_alloc(env->pool, len);
	struct batch b = { .n = 0 };

	env->ledger.n_received++;
	if (p == NULL) {
		env->ledger.n_dropped[DROP_NO_BUFFER]++;
		return;
	}
	memcpy(packet_frame(p), frame, len);
	batch_add(&b, p);
	gateway_input(w->gw, side + 1, &b, w->now);
}

/* A packet of one of the connections that are there, from whichever side. */
static void send_of_flow(struct fixture *w, struct fuzz_input *in)
{
	struct conntrack *ct = gateway_conntrack(w->gw);
	uint32_t cursor = 0, index, which = fuzz_take(in, 1), how = fuzz_take(in, 1);
	uint8_t frame[FRAME_BYTES];
	struct ether_view eth = { .src = { { 2, 1, 1, 1, 1, 1 } }, .type = ETHERTYPE_IPV4 };

	for (uint32_t k = 0; conntrack_next(ct, &cursor, &index); k++) {
		if (k != which >> 2)
			continue;
		uint32_t len = frame_of(&conntrack_conn(ct, index)->half[which & 1].tuple, how, frame);

		eth.dst = w->device[which >> 1 & 1].mac;
		ether_emit(frame, &eth);
		send_frame(w, which >> 1 & 1, frame, len);
		return;
	}
}

/* Somebody answers for every address, so that packets leave. */
static void send_arp(struct fixture *w, uint32_t side, uint32_t who)
{
	uint8_t frame[FRAME_BYTES] = { 0 };
	struct ether_view eth = { .dst = w->device[side].mac, .src = { { 2, 1, 1, 1, 1, 1 } }, .type = ETHERTYPE_ARP };
	struct arp_view arp = { .op = 2,
				.sha = { { 2, 1, 1, 1, 1, 1 } },
				.spa = side == LAN ? INSIDE + who : OUTSIDE,
				.tha = w->device[side].mac,
				.tpa = side == LAN ? IP4(10, 77, 0, 1) : WAN_ADDR };

	ether_emit(frame, &eth);
	arp_emit(frame + ETHER_HEADER_LEN, &arp);
	send_frame(w, side, frame, ETHER_HEADER_LEN + ARP_LEN);
}

/* --- records --- */

static struct ct_record_tuple tuple_from(uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport, uint8_t proto)
{
	return (struct ct_record_tuple){ .src = ip_addr_v4(src),
					 .dst = ip_addr_v4(dst),
					 .sport = sport,
					 .dport = dport,
					 .proto = proto,
					 .id = proto == IPPROTO_NR_GRE   ? L4_ID_KEY
					       : proto == IPPROTO_NR_ESP ? L4_ID_SPI
									 : L4_ID_NONE };
}

static void hold_of(struct nat_record_hold *h, uint8_t kind, uint8_t origin, const struct ct_record_tuple *orig,
		    const struct ct_record_tuple *reply)
{
	*h = (struct nat_record_hold){ .kind = kind, .origin = origin };
	strcpy(h->name, origin == NAT_RECORD_OF_INTERFACE ? "wan0" : origin == NAT_RECORD_OF_POOL ? "p" : "");
	if (kind == NAT_RECORD_PORT) {
		if (origin == NAT_RECORD_OF_POOL)
			strcpy(h->name, "q");
		return;
	}
	h->inside = orig->src;
	h->inside_port = orig->sport;
	h->outside = reply->dst;
	h->outside_port = reply->dport;
	strcpy(h->out_interface, "wan0");
}

/* Like one that is exported. */
static void make(struct conn_record *r, struct fuzz_input *in)
{
	static const uint8_t protos[8] = { IPPROTO_NR_TCP,  IPPROTO_NR_UDP, IPPROTO_NR_ICMP, IPPROTO_NR_SCTP,
					   IPPROTO_NR_DCCP, IPPROTO_NR_GRE, IPPROTO_NR_ESP,  IPPROTO_NR_UDPLITE };
	static const uint32_t outer[4] = { WAN_ADDR, POOL_ADDR, POOL_ADDR + 1, INSIDE };
	uint32_t what = fuzz_take(in, 1), ports = fuzz_take(in, 1), holds = fuzz_take(in, 1);
	uint8_t proto = protos[what & 7];
	uint16_t inside_port = (uint16_t)(4000 + (ports & 3)), outside_port = (uint16_t)(1024 + (ports >> 2 & 7)),
		 far_port = ports & 0x80 ? 53 : 153;
	uint32_t inside = INSIDE + (what >> 3 & 3);

	memset(r, 0, sizeof(*r));
	if (proto == IPPROTO_NR_ICMP)
		far_port = 8 << 8;
	struct ct_record_tuple orig = tuple_from(inside, inside_port, OUTSIDE + (ports >> 5 & 3), far_port, proto);
	struct ct_record_tuple reply = tuple_from(orig.dst.v4, far_port, outer[what >> 5 & 3], outside_port, proto);

	if (proto == IPPROTO_NR_ICMP) {
		reply.sport = outside_port;
		reply.dport = 0;
	}
	r->ct.half[CT_ORIGINAL].tuple = orig;
	r->ct.half[CT_REPLY].tuple = reply;
	r->ct.status =
		(uint16_t)(CT_SEEN_REPLY | CT_SNAT | CT_SNAT_DONE | CT_DNAT_DONE | (holds & 0x80 ? CT_ASSURED : 0));
	r->ct.state = ct_protocol_of(proto)->n_states > 0 ? 1 + (holds >> 4 & 3) : 0;
	r->ct.left_ms = 1000 * (holds >> 4 & 7);
	hold_of(&r->nat.hold[0], holds & 3, holds >> 2 & 3, &orig, &reply);
}

static void change(struct conn_record *r, struct fuzz_input *in)
{
	uint8_t *bytes = (uint8_t *)r;

	for (uint32_t n = fuzz_take(in, 1) & 7; n > 0; n--) {
		uint32_t at = fuzz_take(in, 2) % sizeof(*r);

		bytes[at] = (uint8_t)fuzz_take(in, 1);
	}
}

/* What is there before and after an import that was refused. */
struct held {
	uint64_t n_connections, n_unconfirmed, n_mapped, n_mappings, ports;
};

static struct held held_by(struct fixture *w)
{
	struct conntrack *ct = gateway_conntrack(w->gw);
	struct nat_law law;

	nat_law_of(gateway_nat(w->gw), &law);
	return (struct held){ .n_connections = conntrack_n_connections(ct),
			      .n_unconfirmed = ct->n_unconfirmed,
			      .n_mapped = conntrack_n_mapped(ct),
			      .n_mappings = law.n[NAT_LAW_BY_MAPPINGS],
			      .ports = law.n[NAT_LAW_PORTS] };
}

static bool import(struct fixture *w, const struct conn_record *r)
{
	struct held before = held_by(w);
	int error = conn_import(w->gw, r, w->now);
	struct held after = held_by(w);

	if (error == 0)
		before.n_connections++;
	FUZZ_CHECK(after.n_connections == before.n_connections);
	FUZZ_CHECK(after.n_unconfirmed == 0);
	FUZZ_CHECK(error == 0 || memcmp(&before, &after, sizeof(after)) == 0);
	check(w);
	return error == 0;
}

/* All of them go to another gateway with the same config, which has nothing yet. */
static void hand_over(struct fixture *w, uint32_t which)
{
	struct conntrack *ct = gateway_conntrack(w->gw);
	struct fixture other = { .gw = NULL };
	uint32_t cursor = 0, index;
	struct conn_record r;

	start(&other);
	configure(&other, which);
	while (conntrack_next(ct, &cursor, &index)) {
		FUZZ_CHECK(conn_export(w->gw, index, &r, w->now) == 0);
		FUZZ_CHECK(import(&other, &r));
	}
	gateway_destroy(other.gw);
	snapshot_destroy(other.snap);
}

/* Time passes until nothing is waited for. */
static void wind_down(struct fixture *w)
{
	const struct nat_overloads *o = gateway_nat(w->gw)->overloads;

	for (int i = 0; i < 20000 && gateway_next_deadline(w->gw) != TIME_NEVER; i++) {
		w->now = max_u64(w->now, gateway_next_deadline(w->gw));
		gateway_expire(w->gw, w->now);
	}
	check(w);
	FUZZ_CHECK(packet_pool_used(gateway_env(w->gw)->pool) == 0);
	FUZZ_CHECK(conntrack_n_connections(gateway_conntrack(w->gw)) == 0);
	FUZZ_CHECK(gateway_conntrack(w->gw)->sources.n_crowded == 0);
	for (uint32_t k = 0; k < o->n_counters; k++)
		FUZZ_CHECK(o->counter[k] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct fixture w = { .gw = NULL };
	struct conn_record r = { .ct.state = 0 };
	uint32_t which = 0;

	start(&w);
	for (uint32_t who = 0; who < 4; who++)
		send_arp(&w, LAN, who);
	send_arp(&w, WAN, 0);
	for (int step = 0; step < 64 && in.n_left > 0; step++) {
		uint32_t what = fuzz_take(&in, 1);

		switch (what & 7) {
		case 0:
			configure(&w, which = what >> 3 & 1);
			break;
		case 1:
			expire(&w, (what >> 3) * 10 * NS_PER_S);
			break;
		case 2:
		case 3:
			send_of_flow(&w, &in);
			break;
		case 4:
			hand_over(&w, which);
			break;
		default:
			make(&r, &in);
			change(&r, &in);
			(void)import(&w, &r);
		}
		check(&w);
		expire(&w, NS_PER_MS);
	}
	check(&w);
	wind_down(&w);
	gateway_destroy(w.gw);
	snapshot_destroy(w.snap);
	return 0;
}
