/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Several workers as one gateway, in one thread, every frame at a random worker:
 *
 *   mixed      TCP, UDP and pings out, ICMP errors, fragments, published ports,
 *              hosts inside that meet at an outside address, pings to the gateway:
 *              every answer arrives, nothing is dropped
 *   mappings   one inside endpoint has one outside endpoint, also when it was
 *              another worker that had the port
 *   fill       64,512 of 64,512 ports towards one destination, from one client and
 *              from many, and not one more
 *
 * with 1, 2 and 4 workers; the law is checked for each and in sum.
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
#include "stack/wire/icmp.h"

#define CLIENT IP4(10, 77, 1, 0)
#define WEB IP4(10, 77, 9, 9)
#define SERVER IP4(198, 51, 100, 1)
#define WAN_ADDRESS IP4(203, 0, 113, 1)
#define LAN_ADDRESS IP4(10, 77, 0, 1)
#define POOL_ADDRESS IP4(203, 0, 113, 16)
#define N_PORTS 64512u
#define FIRST_PORT 1024u

static const uint32_t worker_groups[] = { 1, 2, 4 };

static const char mixed_rules[] =
	"table ip nat {\n"
	"  chain pre { type nat hook prerouting priority dstnat; policy accept;\n"
	"    ip daddr 203.0.113.1 tcp dport 8080 dnat to 10.77.9.9:80\n  }\n"
	"  chain post { type nat hook postrouting priority srcnat; policy accept;\n"
	"    oifname \"wan0\" masquerade\n"
	"    ip saddr 10.77.0.0/16 oifname \"lan0\" masquerade\n  }\n}\n"
	"table ip filter { chain forward { type filter hook forward priority 0; policy drop;\n"
	"  ct state established,related accept\n"
	"  iifname \"lan0\" ct state new accept\n"
	"  iifname \"wan0\" ct status dnat accept\n } }\n";
static const char masquerade_rules[] =
	"table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
	"  oifname \"wan0\" masquerade\n } }\n";
static const char pool_rules[] =
	"pool one { 203.0.113.16; ports 1024-65535; }\n"
	"table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
	"  oifname \"wan0\" snat to pool one\n } }\n";
static const char mapping_rules[] =
	"pool one { 203.0.113.16; ports 1024-65535; mapping endpoint-independent; filtering endpoint-independent; }\n"
	"table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
	"  oifname \"wan0\" snat to pool one\n } }\n";

/* Hosts outside, and the web server inside, answer whatever reaches them; hosts inside count. */
struct hosts {
	bool mute; /* nobody answers */
	uint32_t n_clients;
	uint32_t *n_answers; /* of each flow */
	uint32_t n_flows, n_errors_in, n_web, n_pieces[N_FIXTURE_SIDES];
	uint32_t error_code;
	uint64_t port[65536 / 64]; /* seen outside, of the present protocol */
	uint32_t n_ports;
	uint16_t last_sport;
	uint32_t last_src, last_dst;
	uint16_t last_dport;
	enum fixture_side last_side;
};

/* Flow k: its client and port. */
static struct packet_spec flow_of(const struct hosts *h, uint32_t k, uint8_t proto)
{
	/* From worker to worker small ones are copied in lines, others go by reference: both sides of a line, of two
	 * and of all that a slot has, as UDP (42 bytes of headers) and as TCP (54). */
	static const uint16_t payload[] = { 900, 4, 6, 7, 18, 19, 82, 83, 134, 135, 146, 147 };
	struct packet_spec p = { .src = CLIENT + k % h->n_clients,
				 .dst = SERVER,
				 .sport = (uint16_t)(FIRST_PORT + k / h->n_clients),
				 .dport = 443,
				 .proto = proto,
				 .type = proto == IPPROTO_NR_ICMP ? ICMP_ECHO_REQUEST : 0,
				 .payload_len = payload[k % ARRAY_LEN(payload)] };
	return p;
}

static void answer(struct fixture *r, enum fixture_side side, const struct ipv4_view *ip, const struct l4_view *l4)
{
	struct packet_spec p = { .src = ip->dst,
				 .dst = ip->src,
				 .sport = l4->kind == L4_ICMP_QUERY ? l4->id : l4->dport,
				 .dport = l4->sport,
				 .proto = ip->proto,
				 .flags = TCP_SYN | TCP_ACK,
				 .type = ICMP_ECHO_REPLY,
				 .payload_len = 4 };

	fixture_put(r, side, &p);
}

static void at_lan(struct fixture *r, struct hosts *h, const struct ipv4_view *ip, const struct l4_view *l4)
{
	uint16_t port = l4->kind == L4_ICMP_QUERY ? l4->id : l4->dport;
	uint32_t k = (uint32_t)(port - FIRST_PORT) * h->n_clients + (ip->dst - CLIENT);

	if (l4->kind == L4_ICMP_ERROR) {
		h->n_errors_in++;
		h->error_code = l4->code;
		return;
	}
	if (ip->dst == WEB) {
		h->n_web++;
		answer(r, FIXTURE_LAN, ip, l4);
		return;
	}
	assert_true(k < h->n_flows);
	h->n_answers[k]++;
}

static void at_wan(struct fixture *r, struct hosts *h, const struct ipv4_view *ip, const struct l4_view *l4)
{
	uint16_t port = l4->kind == L4_ICMP_QUERY ? l4->id : l4->sport;

	h->n_ports += (h->port[port / 64] >> (port % 64) & 1) == 0;
	h->port[port / 64] |= UINT64_C(1) << (port % 64);
	if (!h->mute && !(l4->kind == L4_TCP && (l4->flags & TCP_ACK)))
		answer(r, FIXTURE_WAN, ip, l4);
}

static void seen(struct fixture *r, enum fixture_side side, struct packet *p, const struct ipv4_view *ip,
		 const struct l4_view *l4)
{
	struct hosts *h = r->ctx;

	h->last_side = side;
	h->last_src = ip->src;
	h->last_dst = ip->dst;
	h->last_sport = l4->sport;
	h->last_dport = l4->dport;
	if (ipv4_is_fragment(ip))
		h->n_pieces[side]++;
	else if (side == FIXTURE_LAN)
		at_lan(r, h, ip, l4);
	else
		at_wan(r, h, ip, l4);
}

static struct fixture *begin(uint32_t n_workers, const char *rules, uint32_t n_connections, struct hosts *h,
			     uint32_t n_clients, uint32_t n_flows)
{
	struct fixture *r = fixture_start(n_workers, rules, n_connections);

	*h = (struct hosts){ .n_clients = n_clients, .n_flows = n_flows };
	h->n_answers = calloc(n_flows, sizeof(*h->n_answers));
	assert_non_null(h->n_answers);
	r->ctx = h;
	r->seen = seen;
	return r;
}

static void end(struct fixture *r, struct hosts *h)
{
	fixture_stop(r);
	free(h->n_answers);
}

static void forget_ports(struct hosts *h)
{
	memset(h->port, 0, sizeof(h->port));
	h->n_ports = 0;
}

/* Neighbours are asked for by every core; the first packets to each wait for that. */
static void warm_up(struct fixture *r, struct hosts *h)
{
	for (uint32_t w = 0; w < 4 * r->n; w++) {
		for (uint32_t k = 0; k < h->n_clients; k++) {
			struct packet_spec p = flow_of(h, k, IPPROTO_NR_UDP);
			p.dport = (uint16_t)(7000 + w);
			fixture_put(r, FIXTURE_LAN, &p);
			if (k % 64 == 63)
				fixture_run(r);
		}
		fixture_run(r);
	}
	memset(h->n_answers, 0, h->n_flows * sizeof(*h->n_answers));
	forget_ports(h);
}

static void all_answered(const struct fixture *r, const struct hosts *h, uint32_t times)
{
	for (uint32_t k = 0; k < h->n_flows; k++)
		if (h->n_answers[k] != times) {
			fixture_print_drops(r);
			fail_msg("%u workers: flow %u was answered %u times, not %u", r->n, k, h->n_answers[k], times);
		}
}

/* Would catch: an answer at a worker that does not know the connection, a port given out by two workers, a ping or a
 * port of one protocol taken for another's. */
static void check_out_and_back(struct fixture *r, struct hosts *h)
{
	static const uint8_t protos[] = { IPPROTO_NR_TCP, IPPROTO_NR_UDP, IPPROTO_NR_ICMP };
	uint64_t dropped = fixture_dropped_all(r);

	for (uint32_t i = 0; i < ARRAY_LEN(protos); i++) {
		memset(h->n_answers, 0, h->n_flows * sizeof(*h->n_answers));
		for (uint32_t round = 0; round < 3; round++) {
			for (uint32_t k = 0; k < h->n_flows; k++) {
				struct packet_spec p = flow_of(h, k, protos[i]);
				fixture_put(r, FIXTURE_LAN, &p);
				if (k % 128 == 127)
					fixture_run(r);
			}
			fixture_run(r);
		}
		all_answered(r, h, 3);
	}
	assert_int_equal(fixture_dropped_all(r), dropped);
}

/* Would catch: an error that goes by its own addresses and not by what it quotes. */
static void check_icmp_errors(struct fixture *r, struct hosts *h)
{
	uint8_t quote[64];
	uint32_t n = 0;

	h->mute = true;
	h->n_errors_in = 0;
	for (uint32_t k = 0; k < h->n_flows; k += 7, n++) {
		struct packet_spec p = flow_of(h, k, IPPROTO_NR_UDP);
		fixture_put(r, FIXTURE_LAN, &p);
		fixture_run(r);
		struct packet_spec back = { .src = h->last_src,
					    .dst = h->last_dst,
					    .sport = h->last_sport,
					    .dport = h->last_dport,
					    .proto = IPPROTO_NR_UDP,
					    .payload_len = 4 };
		struct packet_spec e = { .src = IP4(192, 0, 2, 7),
					 .dst = h->last_src,
					 .proto = IPPROTO_NR_ICMP,
					 .type = ICMP_DEST_UNREACHABLE,
					 .code = ICMP_HOST_UNREACHABLE,
					 .payload = quote,
					 .payload_len = (uint16_t)fixture_build(&back, quote) };
		fixture_put(r, FIXTURE_WAN, &e);
		fixture_run(r);
	}
	assert_int_equal(h->n_errors_in, n);
	h->mute = false;
}

/* Three pieces of a datagram in any order. */
static void put_pieces(struct fixture *r, enum fixture_side side, struct packet_spec p, uint16_t id)
{
	uint32_t first = rng_below(&r->rng, 3);

	p.payload_len = 8 * 30 - UDP_HEADER_LEN;
	p.ip_id = id;
	p.cut = 80;
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t k = (first + i) % 3;

		p.frag_off = (uint16_t)(80 * k);
		p.mf = k < 2;
		fixture_put(r, side, &p);
		fixture_run(r);
	}
}

/* Would catch: a later fragment that goes where its own header says, one that is lost while the first is awaited. */
static void check_fragments(struct fixture *r, struct hosts *h)
{
	uint64_t dropped = fixture_dropped_all(r);
	uint32_t n = 0;

	h->n_pieces[FIXTURE_LAN] = h->n_pieces[FIXTURE_WAN] = 0;
	for (uint32_t k = 0; k < h->n_flows; k += 5, n++) {
		struct packet_spec p = flow_of(h, k, IPPROTO_NR_UDP);

		put_pieces(r, FIXTURE_LAN, p, (uint16_t)(k + 1));
		assert_int_equal(h->n_pieces[FIXTURE_WAN], 3 * (n + 1));
		/* The same flow whole, to install its outside port. */
		h->mute = true;
		fixture_put(r, FIXTURE_LAN, &p);
		fixture_run(r);
		h->mute = false;
		struct packet_spec back = { .src = h->last_dst,
					    .dst = h->last_src,
					    .sport = h->last_dport,
					    .dport = h->last_sport,
					    .proto = IPPROTO_NR_UDP };
		put_pieces(r, FIXTURE_WAN, back, (uint16_t)(k + 1));
		assert_int_equal(h->n_pieces[FIXTURE_LAN], 3 * (n + 1));
	}
	assert_int_equal(fixture_dropped_all(r), dropped);
}

/* Would catch: answers of a published server that go another way than they came, a client inside that reaches it by
 * its outside address and hears nothing, a block of ports that moves under a published port. */
static void check_published(struct fixture *r, struct hosts *h)
{
	uint64_t dropped = fixture_dropped_all(r);
	uint32_t n_left = (uint32_t)r->n_left[FIXTURE_WAN];

	h->n_web = 0;
	for (uint32_t k = 0; k < 200; k++) {
		struct packet_spec p = { .src = IP4(192, 0, 2, 1) + k,
					 .dst = WAN_ADDRESS,
					 .sport = (uint16_t)(30000 + k),
					 .dport = 8080,
					 .proto = IPPROTO_NR_TCP };
		fixture_put(r, FIXTURE_WAN, &p);
		fixture_run(r);
	}
	assert_int_equal(h->n_web, 200);
	assert_int_equal(r->n_left[FIXTURE_WAN], n_left + 200);
	memset(h->n_answers, 0, h->n_flows * sizeof(*h->n_answers));
	for (uint32_t k = 0; k < h->n_flows; k++) {
		struct packet_spec p = flow_of(h, k, IPPROTO_NR_TCP);

		p.dst = WAN_ADDRESS;
		p.dport = 8080;
		fixture_put(r, FIXTURE_LAN, &p);
		fixture_run(r);
	}
	assert_int_equal(h->n_web, 200 + h->n_flows);
	all_answered(r, h, 1);
	assert_int_equal(fixture_dropped_all(r), dropped);
}

/* Would catch: a ping to us that two workers answer, or none. */
static void check_local(struct fixture *r, struct hosts *h)
{
	memset(h->n_answers, 0, h->n_flows * sizeof(*h->n_answers));
	for (uint32_t k = 0; k < h->n_flows; k++) {
		struct packet_spec p = flow_of(h, k, IPPROTO_NR_ICMP);

		p.dst = LAN_ADDRESS;
		fixture_put(r, FIXTURE_LAN, &p);
	}
	fixture_run(r);
	all_answered(r, h, 1);
}

static void test_mixed(void **state)
{
	for (uint32_t i = 0; i < ARRAY_LEN(worker_groups); i++) {
		struct hosts h;
		struct fixture *r = begin(worker_groups[i], mixed_rules, 20000, &h, 20, 600);

		warm_up(r, &h);
		check_out_and_back(r, &h);
		check_icmp_errors(r, &h);
		check_fragments(r, &h);
		/* The web server's neighbour entry, in every core. */
		for (uint32_t k = 0; k < 64; k++) {
			struct packet_spec p = { .src = IP4(192, 0, 2, 200),
						 .dst = WAN_ADDRESS,
						 .sport = (uint16_t)(100 + k),
						 .dport = 8080,
						 .proto = IPPROTO_NR_TCP };
			fixture_put(r, FIXTURE_WAN, &p);
			fixture_run(r);
		}
		check_published(r, &h);
		check_local(r, &h);
		check_out_and_back(r, &h);
		if (worker_groups[i] > 1)
			assert_true(fixture_handed_over(r) > 1000);
		/* Everything ends, and with it every redirect and pin: then the same once more. */
		fixture_wait(r, 600 * NS_PER_S);
		end(r, &h);
	}
}

/* Would catch: connections that a new config leaves at a worker to which their packets do not come any more. */
static void test_reload(void **state)
{
	/* No rule says which side is outside: now the source decides. */
	static const char other_rules[] =
		"table ip nat {\n"
		"  chain pre { type nat hook prerouting priority dstnat; policy accept;\n"
		"    ip daddr 203.0.113.1 tcp dport 8080 dnat to 10.77.9.9:80\n  }\n"
		"  chain post { type nat hook postrouting priority srcnat; policy accept;\n"
		"    ip saddr 10.77.0.0/16 ip daddr != 10.77.0.0/16 masquerade\n  }\n}\n"
		"table ip filter { chain forward { type filter hook forward priority 0; policy drop;\n"
		"  ct state established accept\n } }\n";

	for (uint32_t i = 0; i < ARRAY_LEN(worker_groups); i++) {
		struct hosts h;
		struct fixture *r = begin(worker_groups[i], mixed_rules, 20000, &h, 20, 300);

		warm_up(r, &h);
		check_out_and_back(r, &h);
		for (uint32_t round = 0; round < 4; round++) {
			uint64_t dropped;

			for (uint32_t k = 0; round == 0 && k < 64; k++) {
				struct packet_spec p = { .src = IP4(192, 0, 2, 1) + k,
							 .dst = WAN_ADDRESS,
							 .sport = (uint16_t)(30000 + k),
							 .dport = 8080,
							 .proto = IPPROTO_NR_TCP };
				fixture_put(r, FIXTURE_WAN, &p);
				fixture_run(r);
			}
			fixture_reload(r, round % 2 == 0 ? other_rules : mixed_rules);
			fixture_run(r);
			dropped = fixture_dropped_all(r);
			check_out_and_back(r, &h);
			h.n_web = 0;
			for (uint32_t k = 0; k < 64; k++) {
				struct packet_spec p = { .src = IP4(192, 0, 2, 1) + k,
							 .dst = WAN_ADDRESS,
							 .sport = (uint16_t)(30000 + k),
							 .dport = 8080,
							 .proto = IPPROTO_NR_TCP,
							 .flags = TCP_ACK };
				fixture_put(r, FIXTURE_WAN, &p);
			}
			fixture_run(r);
			assert_int_equal(h.n_web, 64);
			assert_int_equal(fixture_dropped_all(r), dropped);
		}
		end(r, &h);
	}
}

/* One packet out; what it left with. */
static uint16_t outside_port(struct fixture *r, struct hosts *h, const struct packet_spec *p)
{
	h->last_src = 0;
	fixture_put(r, FIXTURE_LAN, p);
	fixture_run(r);
	assert_int_equal(h->last_src, POOL_ADDRESS);
	assert_int_equal(h->last_side, FIXTURE_WAN);
	return h->last_sport;
}

/* Would catch: an inside endpoint with another outside port for each worker or destination, a stranger whom the filter
 * lets in but who reaches a worker that knows no mapping. */
static void check_mappings(struct fixture *r, struct hosts *h, uint32_t first, uint32_t last)
{
	h->mute = true;
	for (uint32_t k = first; k < last; k++) {
		struct packet_spec p = flow_of(h, k, IPPROTO_NR_UDP);
		uint16_t port = outside_port(r, h, &p);

		for (uint32_t i = 1; i < 4; i++) {
			p.dst = SERVER + i;
			p.dport = (uint16_t)(443 + i);
			assert_int_equal(outside_port(r, h, &p), port);
		}
		struct packet_spec in = { .src = IP4(192, 0, 2, 9) + k,
					  .dst = POOL_ADDRESS,
					  .sport = 999,
					  .dport = port,
					  .proto = IPPROTO_NR_UDP };
		h->n_answers[k] = 0;
		fixture_put(r, FIXTURE_WAN, &in);
		fixture_run(r);
		assert_int_equal(h->n_answers[k], 1);
		assert_int_equal(h->last_src, in.src);
	}
	h->mute = false;
}

/* Hosts inside that meet at their outside ends, each seen by the other under its own mapping. */
static void check_hairpin(struct fixture *r, struct hosts *h, uint32_t n)
{
	h->mute = true;
	for (uint32_t k = 0; k + 1 < n; k++) {
		struct packet_spec a = flow_of(h, k, IPPROTO_NR_UDP), b = flow_of(h, k + 1, IPPROTO_NR_UDP);
		uint16_t port_a = outside_port(r, h, &a), port_b = outside_port(r, h, &b);

		for (uint32_t i = 0; i < 3; i++) {
			a.dst = b.dst = POOL_ADDRESS;
			a.dport = port_b;
			b.dport = port_a;
			fixture_put(r, FIXTURE_LAN, &a);
			fixture_run(r);
			assert_int_equal(h->last_side, FIXTURE_LAN);
			assert_int_equal(h->last_dst, b.src);
			assert_int_equal(h->last_dport, b.sport);
			assert_int_equal(h->last_src, POOL_ADDRESS);
			assert_int_equal(h->last_sport, port_a);
			fixture_put(r, FIXTURE_LAN, &b);
			fixture_run(r);
			assert_int_equal(h->last_dst, a.src);
			assert_int_equal(h->last_dport, a.sport);
			assert_int_equal(h->last_src, POOL_ADDRESS);
			assert_int_equal(h->last_sport, port_b);
		}
	}
	h->mute = false;
}

/* Would catch: a host that appears under another port to a neighbour than to the world, a mapping that was leased
 * and never given back, so that its port is lost. */
static void test_hairpin(void **state)
{
	for (uint32_t i = 0; i < ARRAY_LEN(worker_groups); i++) {
		struct hosts h;
		struct fixture *r = begin(worker_groups[i], mapping_rules, 20000, &h, 20, 200);

		warm_up(r, &h);
		uint64_t dropped = fixture_dropped_all(r);
		check_hairpin(r, &h, 100);
		assert_int_equal(fixture_dropped_all(r), dropped);
		fixture_wait(r, 600 * NS_PER_S);
		assert_int_equal(fixture_n_connections(r), 0);
		assert_int_equal(fixture_pools(r).n_used_udp, 0);
		end(r, &h);
	}
}

/* Would catch: a worker without a port that refuses while another has one, a second destination that gets another
 * port when the mapping is at a worker that was asked. */
static void test_mappings_fill(void **state)
{
	static const char few_ports[] =
		"pool one { 203.0.113.16; ports 1024-1535; mapping endpoint-independent; filtering "
		"endpoint-independent; }\n"
		"table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
		"  oifname \"wan0\" snat to pool one\n } }\n";

	for (uint32_t i = 0; i < ARRAY_LEN(worker_groups); i++) {
		struct hosts h;
		struct fixture *r = begin(worker_groups[i], few_ports, 20000, &h, 64, 512);
		uint16_t port[512];

		warm_up(r, &h);
		fixture_wait(r, 600 * NS_PER_S);
		forget_ports(&h);
		h.mute = true;
		for (uint32_t k = 0; k < 512; k++) {
			struct packet_spec p = flow_of(&h, k, IPPROTO_NR_UDP);
			port[k] = outside_port(r, &h, &p);
		}
		assert_int_equal(h.n_ports, 512);
		assert_int_equal(fixture_dropped(r, DROP_NAT_EXHAUSTED), 0);
		for (uint32_t k = 0; k < 512; k++) {
			struct packet_spec p = flow_of(&h, k, IPPROTO_NR_UDP);
			p.dst = SERVER + 1 + k % 3;
			assert_int_equal(outside_port(r, &h, &p), port[k]);
		}
		struct packet_spec p = flow_of(&h, 0, IPPROTO_NR_UDP);
		p.sport = 500;
		fixture_put(r, FIXTURE_LAN, &p);
		fixture_run(r);
		assert_int_equal(fixture_dropped(r, DROP_NAT_EXHAUSTED), 1);
		end(r, &h);
	}
}

static void test_mappings(void **state)
{
	for (uint32_t i = 0; i < ARRAY_LEN(worker_groups); i++) {
		struct hosts h;
		struct fixture *r = begin(worker_groups[i], mapping_rules, 20000, &h, 20, 400);

		warm_up(r, &h);
		uint64_t dropped = fixture_dropped_all(r);
		check_mappings(r, &h, 0, 400);
		fixture_wait(r, 600 * NS_PER_S);
		check_mappings(r, &h, 0, 400);
		assert_int_equal(fixture_dropped_all(r), dropped);
		end(r, &h);
	}
}

static void fill(uint32_t n_workers, const char *rules, uint8_t proto, uint32_t n_clients)
{
	struct hosts h;
	struct fixture *r = begin(n_workers, rules, N_PORTS * n_workers + 20000, &h, n_clients, N_PORTS);

	for (uint32_t k = 0; k < 4 * n_workers * n_clients; k++) {
		struct packet_spec p = flow_of(&h, k % n_clients, IPPROTO_NR_ICMP);
		p.sport = (uint16_t)(FIRST_PORT + k / n_clients);
		fixture_put(r, FIXTURE_LAN, &p);
		fixture_run(r);
	}
	memset(h.n_answers, 0, h.n_flows * sizeof(*h.n_answers));
	forget_ports(&h);
	for (uint32_t k = 0; k < N_PORTS; k++) {
		struct packet_spec p = flow_of(&h, k, proto);
		fixture_put(r, FIXTURE_LAN, &p);
		if (k % 64 == 63)
			fixture_step(r);
	}
	fixture_run(r);
	if (fixture_dropped(r, DROP_NAT_EXHAUSTED) != 0 || h.n_ports != N_PORTS)
		fail_msg("%u workers, %u clients: %u ports of %u, %llu refused", n_workers, n_clients, h.n_ports,
			 N_PORTS, (unsigned long long)fixture_dropped(r, DROP_NAT_EXHAUSTED));
	all_answered(r, &h, 1);
	assert_int_equal(fixture_dropped(r, DROP_HANDOFF_RING), 0);
	/* A second packet of each finds its way, wherever the connection is. */
	h.mute = true;
	for (uint32_t k = 0; k < N_PORTS; k += 5) {
		struct packet_spec p = flow_of(&h, k, proto);
		p.flags = TCP_ACK;
		fixture_put(r, FIXTURE_LAN, &p);
		if (k % 64 == 63)
			fixture_step(r);
	}
	fixture_run(r);
	assert_int_equal(fixture_dropped(r, DROP_NAT_EXHAUSTED), 0);
	/* And not one more: all were asked, and the sender is told. */
	h.n_errors_in = 0;
	struct packet_spec p = flow_of(&h, 0, proto);
	p.sport = 500;
	fixture_put(r, FIXTURE_LAN, &p);
	fixture_run(r);
	assert_int_equal(fixture_dropped(r, DROP_NAT_EXHAUSTED), 1);
	assert_int_equal(h.n_errors_in, 1);
	assert_int_equal(h.error_code, ICMP_ADMIN_PROHIBITED);
	end(r, &h);
}

/* Would catch: a port that no worker offers, one that two offer, a worker that refuses while another has one left, a
 * second packet that does not follow its connection to the worker that had the port. */
static void test_fill_one_client(void **state)
{
	for (uint32_t i = 0; i < ARRAY_LEN(worker_groups); i++) {
		fill(worker_groups[i], masquerade_rules, IPPROTO_NR_TCP, 1);
		fill(worker_groups[i], pool_rules, IPPROTO_NR_UDP, 1);
	}
}

static void test_fill_many_clients(void **state)
{
	for (uint32_t i = 0; i < ARRAY_LEN(worker_groups); i++) {
		fill(worker_groups[i], pool_rules, IPPROTO_NR_TCP, 64);
		fill(worker_groups[i], masquerade_rules, IPPROTO_NR_UDP, 64);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mixed),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_mappings),
		cmocka_unit_test(test_mappings_fill),
		cmocka_unit_test(test_hairpin),
		cmocka_unit_test(test_fill_one_client),
		cmocka_unit_test(test_fill_many_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
