/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Two networks with the same hosts behind several workers, every frame at a random
 * one: lan0 in zone 0 as the outside is, lan1 in zone 2. Each host of either asks
 * the server, and then a host of the other network by its outside end.
 * With 1, 2 and 8 workers; the pool has two blocks of ports, so that they change hands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "workers_fixture.h"
#include "stack/wire/icmp.h"

#define CLIENT IP4(10, 77, 1, 0)
#define GATE IP4(10, 77, 0, 1)
#define SERVER IP4(198, 51, 100, 1)
#define POOL_ADDRESS IP4(203, 0, 113, 16)
#define N_CLIENTS 40u
#define PORT 5000
/* Host k asks this one of the other network: at another worker than its own, mostly. */
#define OTHER(k) (((k) + 3) % N_CLIENTS)
/* What a packet of client k of network t is known by: its payload. */
#define LEN(t, k) ((uint16_t)(100 + 100 * (t) + (k)))

static const char rules[] =
	"interface lan1 { address 10.77.0.1/16; zone 2; }\n"
	"pool one { 203.0.113.16; ports 1024-1151; mapping endpoint-independent; filtering endpoint-independent; }\n"
	"table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
	"  oifname \"wan0\" snat to pool one\n } }\n";

static const enum fixture_side network[2] = { FIXTURE_LAN, FIXTURE_LAN1 };

struct hosts {
	bool hairpin;
	uint32_t outside_addr[2][N_CLIENTS];
	uint16_t outside_port[2][N_CLIENTS];
	uint32_t n_answers[2], n_met[2], n_echoes[2], n_pieces[2];
};

static void at_wan(struct fixture *r, struct hosts *h, const struct ipv4_view *ip, const struct l4_view *l4)
{
	uint32_t t = l4->payload_len >= 200, k = (uint32_t)(l4->payload_len - LEN(t, 0));
	const struct packet_spec back = { .src = ip->dst,
					  .dst = ip->src,
					  .sport = l4->dport,
					  .dport = l4->sport,
					  .proto = ip->proto,
					  .payload_len = l4->payload_len };

	assert_false(h->hairpin);
	assert_int_equal(ip->src, POOL_ADDRESS);
	assert_true(k < N_CLIENTS);
	h->outside_addr[t][k] = ip->src;
	h->outside_port[t][k] = l4->sport;
	fixture_put(r, FIXTURE_WAN, &back);
}

static void at_lan(struct hosts *h, uint32_t t, const struct ipv4_view *ip, const struct l4_view *l4)
{
	uint32_t k = ip->dst - CLIENT, from = h->hairpin ? !t : t;

	assert_true(k < N_CLIENTS);
	if (l4->kind == L4_ICMP_QUERY) {
		assert_int_equal(l4->type, ICMP_ECHO_REPLY);
		h->n_echoes[t]++;
		return;
	}
	assert_int_equal(l4->dport, PORT);
	if (!h->hairpin) {
		assert_int_equal(l4->payload_len, LEN(t, k)); /* and not the other network's */
		h->n_answers[t]++;
		return;
	}
	uint32_t asker = (uint32_t)l4->payload_len - LEN(from, 0);

	assert_true(asker < N_CLIENTS && OTHER(asker) == k);
	assert_int_equal(ip->src, POOL_ADDRESS);
	assert_int_equal(l4->sport, h->outside_port[from][asker]);
	h->n_met[t]++;
}

static void seen(struct fixture *r, enum fixture_side side, struct packet *p, const struct ipv4_view *ip,
		 const struct l4_view *l4)
{
	struct hosts *h = r->ctx;

	if (side == FIXTURE_WAN)
		at_wan(r, h, ip, l4);
	else
		at_lan(h, side == FIXTURE_LAN1, ip, l4);
}

/* Would catch: an answer at the worker of the other network's connection, ports of an address that two zones give out
 * twice, a packet to an outside end that is steered by another zone's ports than the end has, pings of equal hosts to
 * the gateway that meet. */
static void test_networks(void **state)
{
	static const uint32_t worker_groups[] = { 1, 2, 8 };

	for (size_t c = 0; c < ARRAY_LEN(worker_groups); c++) {
		struct fixture *r = fixture_start(worker_groups[c], rules, 4096);
		struct hosts h = { .hairpin = false };

		r->seen = seen;
		r->ctx = &h;
		for (uint32_t round = 0; round < 3; round++)
			for (uint32_t k = 0; k < N_CLIENTS; k++)
				for (uint32_t t = 0; t < 2; t++) {
					const struct packet_spec q = { .src = CLIENT + k,
								       .dst = SERVER,
								       .sport = PORT,
								       .dport = 53,
								       .proto = IPPROTO_NR_UDP,
								       .payload_len = LEN(t, k) };
					fixture_put(r, network[t], &q);
					if (k % 8 == 7)
						fixture_run(r);
				}
		fixture_run(r);
		for (uint32_t t = 0; t < 2; t++) {
			assert_int_equal(h.n_answers[t], 3 * N_CLIENTS);
			for (uint32_t k = 0; k < N_CLIENTS; k++)
				assert_int_not_equal(h.outside_port[0][k], h.outside_port[1][k]);
		}
		h.hairpin = true;
		for (uint32_t round = 0; round < 3; round++)
			for (uint32_t k = 0; k < N_CLIENTS; k++)
				for (uint32_t t = 0; t < 2; t++) {
					const struct packet_spec q = { .src = CLIENT + k,
								       .dst = h.outside_addr[!t][OTHER(k)],
								       .sport = PORT,
								       .dport = h.outside_port[!t][OTHER(k)],
								       .proto = IPPROTO_NR_UDP,
								       .payload_len = LEN(t, k) };
					const struct packet_spec ping = { .src = CLIENT + k,
									  .dst = GATE,
									  .sport = 77,
									  .proto = IPPROTO_NR_ICMP,
									  .type = ICMP_ECHO_REQUEST,
									  .payload_len = 8 };
					fixture_put(r, network[t], &q);
					fixture_put(r, network[t], &ping);
					fixture_run(r);
				}
		fixture_run(r);
		for (uint32_t t = 0; t < 2; t++) {
			assert_int_equal(h.n_met[t], 3 * N_CLIENTS);
			assert_int_equal(h.n_echoes[t], 3 * N_CLIENTS);
		}
		if (fixture_dropped_all(r) != 0)
			fixture_print_drops(r);
		assert_int_equal(fixture_dropped_all(r), 0);
		fixture_stop(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
