/* SPDX-License-Identifier: BSD-2-Clause
 *
 * SYNs that nobody asked for, to the gateway's own address, with several workers
 * (src/nat/unsolicited.c): a host inside has one connection, which one worker has,
 * and the SYNs go to ports of all of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/util.h"
#include "crew_rig.h"
#include "nat/blocks.h"

#define CLIENT IP4(10, 77, 1, 0)
#define SERVER IP4(198, 51, 100, 1)
#define WAN_ADDR IP4(203, 0, 113, 1)
#define N_SYNS 16u /* each to a block of ports of its own */

static const char rules[] = "table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;\n"
			    "  oifname \"wan0\" masquerade\n } }\n";

struct outside {
	uint32_t n_resets, n_others;
};

static void seen(struct rig *r, enum rig_side side, struct packet *p, const struct ipv4_view *ip,
		 const struct l4_view *l4)
{
	struct outside *o = r->ctx;

	(void)p;
	(void)ip;
	if (side != RIG_WAN)
		return;
	if (l4->kind == L4_TCP && (l4->flags & TCP_RST) != 0)
		o->n_resets++;
	else
		o->n_others++;
}

static void put_syns(struct rig *r, uint16_t sport)
{
	for (uint32_t i = 0; i < N_SYNS; i++) {
		const struct rig_packet syn = { .src = SERVER,
						.dst = WAN_ADDR,
						.sport = sport,
						.dport = (uint16_t)(32768 + i * NAT_BLOCK_PORTS),
						.proto = IPPROTO_NR_TCP,
						.flags = TCP_SYN };
		rig_put(r, RIG_WAN, &syn);
	}
	rig_run(r);
}

/* Would catch: a worker that has translated nothing to the address itself and so refuses at once what comes to its
 * ports, while another one's host inside is about to open a connection; and one that waits where nothing was ever
 * translated. */
static void test_own_address(void **state)
{
	static const uint32_t crews[] = { 1, 2, 8 };

	(void)state;
	for (size_t c = 0; c < ARRAY_LEN(crews); c++) {
		struct rig *r = rig_start(crews[c], rules, 1024);
		struct outside o = { 0 };
		const struct rig_packet out = { .src = CLIENT,
						.dst = SERVER,
						.sport = 4000,
						.dport = 9,
						.proto = IPPROTO_NR_UDP };

		r->seen = seen;
		r->ctx = &o;
		put_syns(r, 5000);
		assert_int_equal(o.n_resets, N_SYNS);
		rig_put(r, RIG_LAN, &out);
		rig_run(r);
		assert_int_equal(o.n_others, 1);
		put_syns(r, 5001);
		assert_int_equal(o.n_resets, N_SYNS);
		assert_int_equal(o.n_others, 1);
		assert_int_equal(rig_dropped(r, DROP_NAT_UNSOLICITED), N_SYNS);
		rig_stop(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
