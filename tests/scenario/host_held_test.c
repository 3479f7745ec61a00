/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the host has sent stands in the ring between it and a worker until its frame has left: a device
 * that keeps frames keeps it there.
 */
#include "stack/socket/socket_fixture.h"

#include "test_gateway.h"

#define N_DATAGRAMS 40u
#define GROUP IP4(239, 1, 2, 3)

struct keeper {
	struct device device;
	struct packet *kept[1024];
	uint32_t n, n_datagrams;
};

static void keep(struct device *d, struct batch *b)
{
	struct keeper *k = container_of(d, struct keeper, device);

	for (uint32_t i = 0; i < b->n; i++) {
		k->n_datagrams += packet_frame(b->p[i])[12] == 8 && packet_frame(b->p[i])[13] == 0;
		k->kept[k->n++] = b->p[i];
		d->ledger->n_handed++;
	}
	b->n = 0;
}

static const struct device_ops keeper_ops = { .driver = "keeper", .tx = keep };

/* Would catch: what the host sends while something before it has not left, and that nobody sees until something comes
 * for the host: with one worker for ever. */
static void sends_on(uint32_t n_workers)
{
	static const struct gateway_limits limits = { .packets = { .n_packets = 4096, .n_small = 4096, .n_large = 16 },
						      .conntrack = { .n_connections = 256 } };
	struct keeper keeper[4] = { 0 };
	struct device *device[4];
	struct test_gateway g = { 0 };
	uint32_t n_datagrams = 0;

	for (uint32_t i = 0; i < n_workers; i++) {
		keeper[i].device = (struct device){
			.ops = &keeper_ops, .name = "eth0", .mac = { { 2, 0, 0, 0, 0, 1 } }, .mtu = 1500, .up = true
		};
		device[i] = &keeper[i].device;
	}
	assert_int_equal(test_gateway_start(&g, n_workers, A_ADDR, 1, 24, &limits, 1000 * NS_PER_S, device), 0);
	struct sockets *ss = gateway_sockets(workers_gateway(g.workers, g.n));
	struct yg_sockaddr_in to = name_of(GROUP, 9);
	int s = socket_open(ss, YG_AF_INET, YG_SOCK_DGRAM, 0);

	assert_true(s >= 0);
	for (uint32_t i = 0; i < N_DATAGRAMS; i++) {
		assert_int_equal(socket_sendto(ss, s, "x", 1, 0, &to, sizeof(to)), 1);
		workers_flush(g.workers, g.n, g.now);
		for (uint32_t w = 0; w < n_workers; w++) {
			(void)workers_poll(g.workers, w, g.now);
			workers_flush(g.workers, w, g.now);
		}
		n_datagrams = 0;
		for (uint32_t w = 0; w < n_workers; w++)
			n_datagrams += keeper[w].n_datagrams;
		assert_int_equal(n_datagrams, i + 1);
	}
	for (uint32_t w = 0; w < n_workers; w++)
		for (uint32_t i = 0; i < keeper[w].n; i++)
			packet_free(keeper[w].device.pool, keeper[w].kept[i]);
	test_gateway_flush(&g);
	socket_close(ss, s);
	test_gateway_end(&g);
}

static void test_one_worker(void **state)
{
	sends_on(1);
}

static void test_four_workers(void **state)
{
	sends_on(4);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_worker),
		cmocka_unit_test(test_four_workers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
