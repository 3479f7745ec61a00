/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Two tenants with the same network and the same host, each in a zone of its own,
 * behind one outside interface in zone 0. Whatever one of them sends from the same
 * addresses and ports as the other, it alone gets the answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "fixture.h"
#include "stack/ip/local.h"

#define HOST IP4(10, 0, 0, 2)
#define GATE IP4(10, 0, 0, 1)
#define PEER IP4(203, 0, 113, 254)
#define WAN_ADDR IP4(203, 0, 113, 1)
#define POOL_ADDR IP4(203, 0, 113, 16)
#define PORT 5060

#define INTERFACES \
	"interface lan0 { address 10.0.0.1/24; zone 1; }\n" \
	"interface lan1 { address 10.0.0.1/24; zone 2; }\n" \
	"interface wan0 { address 203.0.113.1/24; }\n" \
	"route 0.0.0.0/0 via 203.0.113.254;\n"
#define POST "table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n oifname \"wan0\" "

static const char masquerade[] = INTERFACES POST "masquerade\n} }\n";
static const char mapped[] = INTERFACES "pool public { 203.0.113.16; mapping endpoint-independent;\n"
					" filtering endpoint-independent; }\n" POST "snat to pool public\n} }\n";

#define N_TENANTS 2
struct net {
	struct fixture w;
	struct station *tenant[N_TENANTS], *wan;
};

static void net_start(struct net *n, const char *config)
{
	fixture_start(&n->w, config, NULL);
	n->tenant[0] = fixture_station(&n->w, "lan0", HOST, NULL);
	n->tenant[1] = fixture_station(&n->w, "lan1", HOST, NULL);
	n->wan = fixture_station(&n->w, "wan0", PEER, NULL);
	fixture_run(&n->w, 5 * NS_PER_S);
	for (int i = 0; i < N_TENANTS; i++)
		station_clear(n->tenant[i]);
	station_clear(n->wan);
}

static struct packet *carry(struct net *n, struct station *from, const struct packet_spec *s, struct station *at)
{
	station_send(from, s);
	fixture_run(&n->w, 20 * NS_PER_MS);
	return station_next(at);
}

/* It came to this tenant, and nothing to the other one. */
static struct packet *only(struct net *n, int tenant)
{
	struct packet *p = station_next(n->tenant[tenant]);

	assert_non_null(p);
	assert_int_equal(p->ip.dst, HOST);
	assert_null(station_next(n->tenant[!tenant]));
	return p;
}

/* Would catch: an answer routed by another table than its connection began in; a second tenant who is taken for the
 * first; and a flow cache entry that leads into the other zone (rounds enough for one). */
static void test_udp(void **state)
{
	struct net n;

	net_start(&n, masquerade);
	for (int round = 0; round < 8; round++) {
		struct packet_spec q = { .dst = PEER, .proto = IPPROTO_NR_UDP, .sport = PORT, .dport = 53 };
		uint16_t outside[N_TENANTS];

		for (int i = 0; i < N_TENANTS; i++) {
			q.payload_len = (uint16_t)(10 + i);
			struct packet *p = carry(&n, n.tenant[i], &q, n.wan);

			assert_non_null(p);
			assert_int_equal(p->ip.src, WAN_ADDR);
			outside[i] = p->l4.sport;
		}
		assert_int_not_equal(outside[0], outside[1]);
		for (int i = 0; i < N_TENANTS; i++) {
			const struct packet_spec back = { .dst = WAN_ADDR,
							  .proto = IPPROTO_NR_UDP,
							  .sport = 53,
							  .dport = outside[i],
							  .payload_len = (uint16_t)(20 + i) };
			station_send(n.wan, &back);
			fixture_run(&n.w, 20 * NS_PER_MS);
			struct packet *p = only(&n, i);

			assert_int_equal(p->l4.dport, PORT);
			assert_int_equal(p->l4.payload_len, 20 + i);
		}
	}
	fixture_end(&n.w);
}

/* Would catch: a handshake of one tenant that the other's is taken for. */
static void test_tcp(void **state)
{
	struct net n;

	net_start(&n, masquerade);
	for (int i = 0; i < N_TENANTS; i++) {
		const struct packet_spec syn = { .dst = PEER,
						 .proto = IPPROTO_NR_TCP,
						 .sport = PORT,
						 .dport = 80,
						 .seq = 1000,
						 .flags = TCP_SYN,
						 .window = 8000 };
		struct packet *p = carry(&n, n.tenant[i], &syn, n.wan);

		assert_non_null(p);
		const struct packet_spec syn_ack = { .dst = WAN_ADDR,
						     .proto = IPPROTO_NR_TCP,
						     .sport = 80,
						     .dport = p->l4.sport,
						     .seq = 5000 + (uint32_t)i,
						     .ack = 1001,
						     .flags = TCP_SYN | TCP_ACK,
						     .window = 8000 };
		station_send(n.wan, &syn_ack);
		fixture_run(&n.w, 20 * NS_PER_MS);
		p = only(&n, i);
		assert_int_equal(p->l4.seq, 5000 + i);
	}
	fixture_end(&n.w);
}

/* Would catch: pings with the same identifier, through the gateway and to it (whose answers are no connection of one
 * tenant's zone), that meet. */
static void test_echo(void **state)
{
	static const uint32_t asked[] = { PEER, GATE, WAN_ADDR };
	struct net n;

	net_start(&n, masquerade);
	for (size_t k = 0; k < ARRAY_LEN(asked); k++) {
		for (int i = 0; i < N_TENANTS; i++) {
			const struct packet_spec q = { .dst = asked[k],
						       .proto = IPPROTO_NR_ICMP,
						       .type = ICMP_ECHO_REQUEST,
						       .id = 77,
						       .icmp_seq = (uint16_t)(i + 1),
						       .payload_len = 8 };
			station_send(n.tenant[i], &q);
			fixture_run(&n.w, 20 * NS_PER_MS);
			if (asked[k] == PEER) {
				struct packet *p = station_next(n.wan);

				assert_non_null(p);
				const struct packet_spec r = { .dst = WAN_ADDR,
							       .proto = IPPROTO_NR_ICMP,
							       .type = ICMP_ECHO_REPLY,
							       .id = p->l4.id,
							       .icmp_seq = (uint16_t)(i + 1),
							       .payload_len = 8 };
				station_send(n.wan, &r);
				fixture_run(&n.w, 20 * NS_PER_MS);
			}
			struct packet *p = only(&n, i);

			assert_int_equal(p->l4.type, ICMP_ECHO_REPLY);
			assert_int_equal(p->ip.src, asked[k]);
			assert_int_equal(p->l4.id, 77);
		}
	}
	fixture_end(&n.w);
}

/* Would catch: an ICMP error that goes to the wrong tenant: one from outside, one of ours about a packet that has just
 * come, and one about a packet that has waited for a neighbour in vain. */
static void test_errors(void **state)
{
	struct net n;
	uint8_t quote[64];

	net_start(&n, masquerade);
	for (int i = 0; i < N_TENANTS; i++) {
		const struct packet_spec q = { .dst = PEER,
					       .proto = IPPROTO_NR_UDP,
					       .sport = PORT,
					       .dport = 99,
					       .payload_len = (uint16_t)(10 + i) };
		const struct packet_spec dies = {
			.dst = PEER, .proto = IPPROTO_NR_UDP, .sport = PORT, .dport = 98, .ttl = 1, .payload_len = 8
		};
		const struct packet_spec nobody = { .dst = IP4(203, 0, 113, 99),
						    .proto = IPPROTO_NR_UDP,
						    .sport = PORT,
						    .dport = 97,
						    .payload_len = 8 };
		struct packet *p = carry(&n, n.tenant[i], &q, n.wan);

		assert_non_null(p);
		const struct packet_spec as_it_came = { .src = WAN_ADDR,
							.dst = PEER,
							.proto = IPPROTO_NR_UDP,
							.sport = p->l4.sport,
							.dport = 99,
							.payload_len = (uint16_t)(10 + i) };
		const struct packet_spec error = { .dst = WAN_ADDR,
						   .proto = IPPROTO_NR_ICMP,
						   .type = ICMP_DEST_UNREACHABLE,
						   .code = ICMP_PORT_UNREACHABLE,
						   .payload = quote,
						   .payload_len = (uint16_t)station_build(n.wan, &as_it_came, quote) };
		station_send(n.wan, &error);
		fixture_run(&n.w, 20 * NS_PER_MS);
		p = only(&n, i);
		assert_int_equal(p->l4.type, ICMP_DEST_UNREACHABLE);
		assert_int_equal(p->ip.src, PEER);

		station_send(n.tenant[i], &dies);
		fixture_run(&n.w, 20 * NS_PER_MS);
		p = only(&n, i);
		assert_int_equal(p->l4.type, ICMP_TIME_EXCEEDED);
		assert_int_equal(p->ip.src, GATE);

		n.wan->silent = true;
		station_send(n.tenant[i], &nobody);
		fixture_run(&n.w, 5 * NS_PER_S);
		n.wan->silent = false;
		p = only(&n, i);
		assert_int_equal(p->l4.type, ICMP_DEST_UNREACHABLE);
		assert_int_equal(p->l4.code, ICMP_HOST_UNREACHABLE);
		fixture_run(&n.w, 10 * NS_PER_S);
	}
	fixture_end(&n.w);
}

/* Would catch: fragments with equal addresses and identification of two tenants put together, and those of answers that
 * follow another table than their first one. */
static void test_fragments(void **state)
{
	struct net n;
	uint16_t outside[N_TENANTS];

	net_start(&n, masquerade);
	for (int i = 0; i < N_TENANTS; i++) {
		const struct packet_spec first = { .dst = PEER,
						   .proto = IPPROTO_NR_UDP,
						   .sport = PORT,
						   .dport = 53,
						   .ip_id = 9,
						   .mf = true,
						   .payload_len = 32 - 8 };
		struct packet *p = carry(&n, n.tenant[i], &first, n.wan);

		assert_non_null(p);
		outside[i] = p->l4.sport;
	}
	for (int i = N_TENANTS - 1; i >= 0; i--) {
		const struct packet_spec rest = { .dst = PEER,
						  .proto = IPPROTO_NR_UDP,
						  .ip_id = 9,
						  .frag_off = 32,
						  .payload_len = (uint16_t)(8 + 8 * i) };
		struct packet *p = carry(&n, n.tenant[i], &rest, n.wan);

		assert_non_null(p);
		assert_int_equal(p->ip.src, WAN_ADDR);
	}
	for (int i = 0; i < N_TENANTS; i++) {
		const struct packet_spec rest = { .dst = WAN_ADDR,
						  .proto = IPPROTO_NR_UDP,
						  .ip_id = (uint16_t)(20 + i),
						  .frag_off = 32,
						  .payload_len = 8 };
		const struct packet_spec first = { .dst = WAN_ADDR,
						   .proto = IPPROTO_NR_UDP,
						   .sport = 53,
						   .dport = outside[i],
						   .ip_id = (uint16_t)(20 + i),
						   .mf = true,
						   .payload_len = 32 - 8 };
		station_send(n.wan, &rest); /* waits for the first one */
		station_send(n.wan, &first);
		fixture_run(&n.w, 20 * NS_PER_MS);
		assert_int_equal(station_next(n.tenant[i])->l4.dport, PORT);
		assert_int_equal(only(&n, i)->ip.frag_off, 32);
	}
	fixture_end(&n.w);
}

/* Would catch: a stranger's packet to an endpoint-independent mapping that goes to the other tenant or to the outside,
 * its answer likewise, and a tenant who cannot reach the other one's mapping. */
static void test_mappings(void **state)
{
	struct net n;
	uint16_t outside[N_TENANTS];

	net_start(&n, mapped);
	for (int i = 0; i < N_TENANTS; i++) {
		const struct packet_spec q = {
			.dst = PEER, .proto = IPPROTO_NR_UDP, .sport = PORT, .dport = 53, .payload_len = 9
		};
		struct packet *p = carry(&n, n.tenant[i], &q, n.wan);

		assert_non_null(p);
		assert_int_equal(p->ip.src, POOL_ADDR);
		outside[i] = p->l4.sport;
	}
	assert_int_not_equal(outside[0], outside[1]);
	for (int round = 0; round < 4; round++)
		for (int i = 0; i < N_TENANTS; i++) {
			const uint32_t stranger = IP4(198, 51, 100, 7);
			const struct packet_spec in = { .src = stranger,
							.dst = POOL_ADDR,
							.proto = IPPROTO_NR_UDP,
							.sport = 1111,
							.dport = outside[i],
							.payload_len = 9 };
			const struct packet_spec back = {
				.dst = stranger, .proto = IPPROTO_NR_UDP, .sport = PORT, .dport = 1111, .payload_len = 9
			};
			station_send(n.wan, &in);
			fixture_run(&n.w, 20 * NS_PER_MS);
			assert_int_equal(only(&n, i)->l4.dport, PORT);
			struct packet *p = carry(&n, n.tenant[i], &back, n.wan);

			assert_non_null(p);
			assert_int_equal(p->ip.src, POOL_ADDR);
			assert_int_equal(p->l4.sport, outside[i]);
		}
	for (int round = 0; round < 4; round++)
		for (int i = 0; i < N_TENANTS; i++) {
			const struct packet_spec to_other = { .dst = POOL_ADDR,
							      .proto = IPPROTO_NR_UDP,
							      .sport = PORT,
							      .dport = outside[!i],
							      .payload_len = 9 };
			station_send(n.tenant[i], &to_other);
			fixture_run(&n.w, 20 * NS_PER_MS);
			struct packet *p = only(&n, !i);

			assert_int_equal(p->ip.src, POOL_ADDR);
			assert_int_equal(p->l4.sport, outside[i]);
			assert_int_equal(p->l4.dport, PORT);
		}
	assert_null(station_next(n.wan));
	fixture_end(&n.w);
}

/* Would catch: a tenant's own default route that is not taken, or taken for answers of the others; an address of the
 * gateway that such a tenant cannot reach; networks of one tenant that the other reaches. */
static void test_own_routes(void **state)
{
	static const char config[] =
		INTERFACES "interface wan1 { address 192.0.2.1/24; }\n"
			   "interface lan2 { address 172.16.0.1/16; zone 2; }\n"
			   "route 0.0.0.0/0 via 192.0.2.254 zone 2;\n"
			   "route 10.9.0.0/16 via 10.0.0.9 zone 2;\n"
			   "table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
			   " oifname { \"wan0\", \"wan1\" } masquerade\n} }\n";
	struct net n;
	struct packet *p;

	net_start(&n, config);
	struct station *wan1 = fixture_station(&n.w, "wan1", IP4(192, 0, 2, 254), NULL);
	struct station *lan2 = fixture_station(&n.w, "lan2", IP4(172, 16, 0, 2), NULL);

	fixture_run(&n.w, 5 * NS_PER_S);
	station_clear(wan1);
	station_clear(lan2);
	const uint32_t far = IP4(198, 51, 100, 9);

	for (int i = 0; i < N_TENANTS; i++) {
		const struct packet_spec q = {
			.dst = far, .proto = IPPROTO_NR_UDP, .sport = PORT, .dport = 53, .payload_len = 9
		};

		for (int round = 0; round < 4; round++) {
			p = carry(&n, n.tenant[i], &q, i == 0 ? n.wan : wan1);
			assert_non_null(p);
			assert_int_equal(p->ip.src, i == 0 ? WAN_ADDR : IP4(192, 0, 2, 1));
			const struct packet_spec back = { .src = far,
							  .dst = p->ip.src,
							  .proto = IPPROTO_NR_UDP,
							  .sport = 53,
							  .dport = p->l4.sport,
							  .payload_len = 9 };
			station_send(i == 0 ? n.wan : wan1, &back);
			fixture_run(&n.w, 20 * NS_PER_MS);
			(void)only(&n, i);
		}
		/* By 172.16/16 only zone 2 has a network; from zone 1 it is the Internet's. */
		const struct packet_spec inside = {
			.dst = IP4(172, 16, 0, 2), .proto = IPPROTO_NR_UDP, .sport = 5, .dport = 6, .payload_len = 9
		};
		p = carry(&n, n.tenant[i], &inside, i == 0 ? n.wan : lan2);
		assert_non_null(p);
		const struct packet_spec ping = {
			.dst = WAN_ADDR, .proto = IPPROTO_NR_ICMP, .type = ICMP_ECHO_REQUEST, .id = 3, .payload_len = 8
		};
		station_send(n.tenant[i], &ping);
		fixture_run(&n.w, 20 * NS_PER_MS);
		assert_int_equal(only(&n, i)->l4.type, ICMP_ECHO_REPLY);
	}
	assert_null(station_next(n.wan));
	fixture_end(&n.w);
}

/* Back to where it came from, by the table that it came by. */
static void echo(void *ctx, struct batch *b)
{
	struct ip_stack *s = ctx;

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i], *q;
		uint32_t len = packet_l4_len(p);

		p->verdict = VERDICT_DELIVERED;
		q = ip_packet_new(s, p->ip.dst, p->ip.src, p->ip.proto, len);
		assert_non_null(q);
		q->zone = p->zone;
		memcpy(packet_l4(q), packet_l4(p), len);
		if (p->ip.proto == IPPROTO_NR_UDP)
			udp_emit(packet_l4(q), p->l4.dport, p->l4.sport, (uint16_t)(len - UDP_HEADER_LEN));
		l4_checksum_set(&q->ip, packet_l4(q), len);
		assert_int_equal(l4_parse(&q->ip, packet_l4(q), len, &q->l4), L4_OK);
		ip_local_out_one(s, q);
	}
}

#define IPPROTO_TEST 77 /* it has no checksum */

/* Would catch: an entry of a flow to the gateway's own host, or from it, that is taken for the other tenant's or leads
 * by another table; a packet put together from pieces that does not know its table any more. */
static void test_host(void **state)
{
	struct net n;

	net_start(&n, masquerade);
	struct ip_stack *s = gateway_ip(n.w.gw);
	struct ip_protocol row = { .ctx = s, .input = echo, .unreachable = IP_UNREACHABLE_PORT };

	ip_stack_set_protocol(s, IPPROTO_NR_UDP, &row);
	ip_stack_set_protocol(s, IPPROTO_TEST, &row);
	for (uint32_t round = 0; round < 6; round++)
		for (int i = 0; i < N_TENANTS; i++) {
			const struct packet_spec question = { .dst = GATE,
							      .proto = IPPROTO_NR_UDP,
							      .sport = PORT,
							      .dport = 7,
							      .payload_len = (uint16_t)(10 + i) };

			station_send(n.tenant[i], &question);
			fixture_run(&n.w, 20 * NS_PER_MS);
			assert_int_equal(only(&n, i)->l4.payload_len, 10 + i);
		}
	assert_int_equal(conntrack_n_connections(gateway_conntrack(n.w.gw)), N_TENANTS);
	assert_true(flowcache_counts(gateway_flowcache(n.w.gw))[FLOWCACHE_TAKEN] >= 2 * 4 * N_TENANTS);
	for (int i = 0; i < N_TENANTS; i++) {
		const struct packet_spec first = {
			.dst = GATE, .proto = IPPROTO_TEST, .ip_id = 9, .mf = true, .payload_len = 32
		};
		const struct packet_spec rest = {
			.dst = GATE, .proto = IPPROTO_TEST, .ip_id = 9, .frag_off = 32, .payload_len = (uint16_t)(8 + i)
		};

		station_send(n.tenant[i], &first);
		station_send(n.tenant[i], &rest);
		fixture_run(&n.w, 20 * NS_PER_MS);
		assert_int_equal(only(&n, i)->ip.total_len, IPV4_HEADER_LEN + 32 + 8 + i);
	}
	fixture_end(&n.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_udp),        cmocka_unit_test(test_tcp),       cmocka_unit_test(test_echo),
		cmocka_unit_test(test_errors),     cmocka_unit_test(test_fragments), cmocka_unit_test(test_mappings),
		cmocka_unit_test(test_own_routes), cmocka_unit_test(test_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
