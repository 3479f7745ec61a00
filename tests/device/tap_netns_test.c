/* SPDX-License-Identifier: BSD-2-Clause
 *
 * TAP against the real kernel.
 */
#include "netns.h"

#include <errno.h>
#include <net/if.h>

#include "daemon/device/netlink.h"

/* Would catch: large segments or partial checksums mangled between TAP and
 * AF_PACKET; a TAP that is open twice. The kernel of gw is the peer here, at
 * 10.0.0.1 through the TAP, with b behind the bridge as before. */
static void test_tap(void **state)
{
	struct netns_fixture *w = *state;
	static struct netns_stream s;
	struct device *tap = NULL, *second = NULL, *r0 = w->dev[0];
	char err[256];
	int r = device_open("tap", "tap0", NULL, &tap, err, sizeof(err));

	if (r == -EACCES || r == -ENOENT) {
		printf("skipped: %s\n", err);
		skip();
	}
	if (r < 0)
		fail_msg("%s", err);
	assert_true(tap->up);
	assert_int_equal(tap->mtu, 1500);
	assert_int_equal(device_open("tap", "tap0", NULL, &second, err, sizeof(err)), -EBUSY);
	assert_non_null(strstr(err, "another program"));
	assert_true(device_open("tap", "r0", NULL, &second, err, sizeof(err)) < 0);
	tap->pool = w->pool;
	tap->ledger = &w->ledger;
	assert_int_equal(netns_run("ip addr add 10.0.0.1/24 dev tap0"), 0);
	w->dev[0] = tap;
	int ns_a = w->ns[NETNS_A];
	w->ns[NETNS_A] = w->ns[NETNS_GW];
	netns_stream_start(w, &s, UINT64_C(100) << 20);
	netns_stream_until(w, &s, UINT64_C(100) << 20);
	netns_stream_end(w, &s);
	assert_true(w->largest > 60000);
	assert_int_equal(w->n_bad_gso, 0);
	/* Down: what we send is dropped by name. */
	assert_int_equal(netlink_link_set("tap0", NETLINK_ADMIN_DOWN, err, sizeof(err)), 0);
	struct packet *p = packet_alloc(w->pool, 60);
	memset(packet_frame(p), 0xff, 60);
	w->ledger.n_originated++;
	w->batch.n = 0;
	batch_add(&w->batch, p);
	uint64_t n_down = w->ledger.n_dropped[DROP_TX_DOWN];
	tap->ops->tx(tap, &w->batch);
	assert_int_equal(w->ledger.n_dropped[DROP_TX_DOWN], n_down + 1);
	w->ns[NETNS_A] = ns_a;
	w->dev[0] = r0;
	tap->ops->close(tap);
	assert_int_equal(if_nametoindex("tap0"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NETNS_TEST(test_tap),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
