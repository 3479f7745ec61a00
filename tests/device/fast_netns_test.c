/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The drivers beside a program in the kernel (xdp native and generic, tc)
 * against the real kernel, with programs that send everything up; and every
 * driver as the way in and the way out of frames with unfinished checksums.
 */
#include "netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/device/netlink.h"
#include "daemon/device/tc_tap.h"
#include "programs.h"

enum way { WAY_AF_PACKET, WAY_TC, WAY_XDP, WAY_XDP_GENERIC, N_WAYS };

static const char *const way_names[] = {
	[WAY_AF_PACKET] = "af_packet",
	[WAY_TC] = "tc",
	[WAY_XDP] = "xdp native",
	[WAY_XDP_GENERIC] = "xdp generic",
};

/* Two namespaces with a driver on each side, and what belongs to it. */
struct fixture {
	struct netns_fixture *w;
	struct umem *umem;
	int map_fd[2], link_fd[2];
};

/* Less than the default, so that a short stream goes round it often. */
#define AREA_FRAMES 8192u

static const char *const names[2] = { "r0", "r1" };

/* In place of netlink_link_get, for the drivers: as of hardware, where the kernel names no kind of device. */
static bool looks_like_hardware;
/* The linker's names (--wrap). NOLINTBEGIN(bugprone-reserved-identifier) */
int __real_netlink_link_get(const char *ifname, struct netlink_link *out, char *err, size_t err_len);
int __wrap_netlink_link_get(const char *ifname, struct netlink_link *out, char *err, size_t err_len);
/* NOLINTEND(bugprone-reserved-identifier) */
int __wrap_netlink_link_get(const char *ifname, struct netlink_link *out, char *err, size_t err_len)
{
	int r = __real_netlink_link_get(ifname, out, err, err_len);

	if (r == 0 && looks_like_hardware)
		out->kind[0] = '\0';
	return r;
}

static void attach(struct fixture *g, int i, enum way way)
{
	uint32_t ifindex = if_nametoindex(names[i]);
	int r = 0;

	if (way == WAY_TC)
		r = programs_tc_attach(ifindex, tc_tap_up_ifindex(g->w->dev[i]));
	else if (way != WAY_AF_PACKET)
		r = g->link_fd[i] = programs_xdp_attach(g->map_fd[i], ifindex,
							way == WAY_XDP ? PROGRAMS_XDP_NATIVE : PROGRAMS_XDP_GENERIC);
	if (r < 0)
		fail_msg("%s: %s", way_names[way], strerror(-r));
}

static void take(struct fixture *g, int i, enum way way)
{
	struct device_open_options opt = { 0 };
	struct device *d;
	char err[256];

	g->map_fd[i] = programs_xsk_map();
	opt.xdp = (struct af_xdp_options){ .umem = g->umem,
					   .copy = way == WAY_XDP_GENERIC ? AF_XDP_COPY : AF_XDP_COPY_IF_NEEDED,
					   .map_fd = g->map_fd[i] };
	const char *driver = way == WAY_AF_PACKET ? "af_packet" : way == WAY_TC ? "tc" : "xdp";
	if (device_open(driver, names[i], &opt, &d, err, sizeof(err)) < 0)
		fail_msg("%s: %s", way_names[way], err);
	netns_take(g->w, i, d);
	attach(g, i, way);
}

static void suppress_hosts(struct fixture *g)
{
	for (enum netns_place p = NETNS_GW; p < N_NETNS_PLACES; p++) {
		netns_go(g->w, p);
		(void)netns_run("echo 1 2>/dev/null >/proc/sys/net/ipv6/conf/all/disable_ipv6");
	}
	netns_go(g->w, NETNS_GW);
}

static void begin(struct fixture *g, enum way first, enum way second)
{
	char err[256];

	memset(g, 0, sizeof(*g));
	g->link_fd[0] = g->link_fd[1] = -1;
	g->w = netns_make();
	if (umem_create(AREA_FRAMES, &g->umem, err, sizeof(err)) < 0)
		fail_msg("%s", err);
	suppress_hosts(g);
	take(g, 0, first);
	take(g, 1, second);
}

static void end(struct fixture *g)
{
	for (int i = 0; i < 2; i++) {
		if (g->link_fd[i] >= 0)
			close(g->link_fd[i]);
		close(g->map_fd[i]);
	}
	netns_end(g->w);
	/* Every frame has come back, wherever it was. */
	assert_int_equal(umem_n_free(g->umem), umem_bytes(g->umem) / UMEM_FRAME_BYTES);
	umem_destroy(g->umem);
}

/* One round of the bridge, or a wait for it. */
static void step(struct fixture *g)
{
	if (netns_bridge(g->w) > 0)
		return;
	struct pollfd p[2];
	for (int i = 0; i < 2; i++)
		p[i] = (struct pollfd){ g->w->dev[i]->ops->poll_fd(g->w->dev[i]), POLLIN, 0 };
	poll(p, 2, 10);
}

/* --- unfinished checksums --- */

/* 20 requests and answers; each fits one segment, so nothing is large. */
static void talk(struct fixture *g, int type, const char *what)
{
	struct netns_fixture *w = g->w;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(5003), .sin_addr = { htonl(NETNS_ADDR_B) } };
	char out[500], in[500];

	netns_go(w, NETNS_B);
	int at = socket(AF_INET, type | SOCK_NONBLOCK, 0), accepted = -1;
	assert_int_equal(bind(at, (struct sockaddr *)&to, sizeof(to)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(at, 1), 0);
	netns_go(w, NETNS_A);
	int from = socket(AF_INET, type | SOCK_NONBLOCK, 0);
	assert_true(connect(from, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS);
	netns_go(w, NETNS_GW);
	uint64_t deadline = netns_now_ms() + NETNS_PATIENCE_MS;
	for (int n = 0; n < 20;) {
		memset(out, 'a' + n, sizeof(out));
		ssize_t r = send(from, out, sizeof(out), MSG_NOSIGNAL), got = 0;
		while (r > 0 && got < (ssize_t)sizeof(in) && netns_now_ms() < deadline) {
			step(g);
			if (type == SOCK_STREAM && accepted < 0)
				accepted = accept4(at, NULL, NULL, SOCK_NONBLOCK);
			ssize_t k = recv(type == SOCK_STREAM ? accepted : at, in + got, sizeof(in) - (size_t)got, 0);
			got += k > 0 ? k : 0;
		}
		if (r > 0) {
			n++;
			assert_memory_equal(in, out, sizeof(in));
		}
		step(g);
		if (netns_now_ms() > deadline)
			fail_msg("%s: %d of 20 arrived", what, n);
	}
	close(from);
	close(at);
	if (accepted >= 0)
		close(accepted);
}

static void ping(struct fixture *g, const char *what)
{
	struct netns_fixture *w = g->w;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = { htonl(NETNS_ADDR_B) } };
	uint8_t echo[72] = { 8, 0, 0, 0, 0, 1, 0, 1 }, in[128];
	uint64_t deadline = netns_now_ms() + NETNS_PATIENCE_MS;

	netns_go(w, NETNS_A);
	int fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMP);
	netns_go(w, NETNS_GW);
	uint16_t sum = htons(0xf7fd);
	memcpy(echo + 2, &sum, sizeof(sum));
	assert_int_equal(sendto(fd, echo, sizeof(echo), 0, (struct sockaddr *)&to, sizeof(to)), sizeof(echo));
	while (recv(fd, in, sizeof(in), 0) != 20 + sizeof(echo) || in[20] != 0) {
		step(g);
		if (netns_now_ms() > deadline)
			fail_msg("%s: no answer", what);
	}
	close(fd);
}

/* Would catch: a checksum that its sender left to the device and that leaves
 * unfinished, or finished twice, on any way in and any way out: the kernels at
 * both ends verify. Both leave TCP's and UDP's to the device (veth's tx
 * offload is on), and ICMP's never. */
static void test_unfinished_checksums(void **state)
{
	for (enum way in = 0; in < N_WAYS; in++)
		for (enum way out = 0; out < N_WAYS; out++) {
			struct fixture g;
			char what[64];
			snprintf(what, sizeof(what), "%s to %s", way_names[in], way_names[out]);
			begin(&g, in, out);
			ping(&g, what);
			talk(&g, SOCK_DGRAM, what);
			talk(&g, SOCK_STREAM, what);
			/* That they were unfinished, or the test shows nothing. */
			if (g.w->n_partial < 40)
				fail_msg("%s: %d unfinished", what, (int)g.w->n_partial);
			end(&g);
		}
}

/* Would catch: checksums that virtio_net lets through unfinished, which generic XDP brings, taken for finished ones
 * since the device has hardware behind it. */
static void test_unfinished_checksums_of_hardware(void **state)
{
	struct fixture g;

	looks_like_hardware = true;
	begin(&g, WAY_XDP_GENERIC, WAY_XDP_GENERIC);
	talk(&g, SOCK_DGRAM, "hardware");
	assert_true(g.w->n_partial >= 20);
	end(&g);
	looks_like_hardware = false;
}

/* --- bulk --- */

static void stream(struct fixture *g, uint64_t n_bytes)
{
	static struct netns_stream s;
	uint64_t t0 = netns_now_ms();

	netns_stream_start(g->w, &s, n_bytes);
	netns_stream_until(g->w, &s, n_bytes);
	netns_stream_end(g->w, &s);
	printf("%u MB/s, largest frame %u, %u large, %u lost\n",
	       (uint32_t)((n_bytes >> 20) * 1000 / (netns_now_ms() - t0 + 1)), g->w->largest, (uint32_t)g->w->n_gso,
	       (uint32_t)(g->w->dev[0]->n_rx_missed + g->w->dev[1]->n_rx_missed));
}

/* Native XDP tells the other end to send no large segments; with generic XDP somebody has to. */
static void cut_at_peers(struct fixture *g, enum way way)
{
	for (enum netns_place p = NETNS_A; way == WAY_XDP_GENERIC && p <= NETNS_B; p++) {
		netns_go(g->w, p);
		assert_int_equal(netns_run("ip link set %s gso_max_segs 1", p == NETNS_A ? "a0" : "b0"), 0);
	}
	netns_go(g->w, NETNS_GW);
}

/* Would catch: large segments cut, refused or mangled on the way through the TAP. */
static void test_tc_bulk(void **state)
{
	struct fixture g;

	begin(&g, WAY_TC, WAY_TC);
	stream(&g, UINT64_C(50) << 20);
	assert_true(g.w->largest > 60000);
	assert_true(g.w->n_gso > 500);
	assert_int_equal(g.w->n_bad_gso, 0);
	assert_int_equal(g.w->ledger.n_received, g.w->ledger.n_handed);
	end(&g);
}

/* Would catch: frames that do not come back (the stream is many areas long),
 * bytes of one in another, packets copied where they need not be. */
static void test_xdp_bulk(void **state)
{
	for (enum way way = WAY_XDP; way <= WAY_XDP_GENERIC; way++) {
		struct fixture g;
		begin(&g, way, way);
		cut_at_peers(&g, way);
		stream(&g, UINT64_C(20) << 20);
		assert_true(g.w->ledger.n_handed > 3ull * AREA_FRAMES / 2);
		for (int i = 0; i < 2; i++) {
			struct af_xdp_info info;
			af_xdp_info(g.w->dev[i], &info);
			assert_int_equal(info.n_copied, 0);
			assert_false(info.zero_copy); /* veth has none */
		}
		end(&g);
	}
}

/* Would catch: receive queues beyond the first that nobody reads or wakes up for. */
static void test_xdp_queues(void **state)
{
	struct fixture g;
	struct af_xdp_info info;
	uint64_t deadline = netns_now_ms() + NETNS_PATIENCE_MS;

	memset(&g, 0, sizeof(g));
	g.link_fd[0] = g.link_fd[1] = -1;
	char err[256];
	g.w = netns_make();
	assert_int_equal(umem_create(AREA_FRAMES, &g.umem, err, sizeof(err)), 0);
	assert_int_equal(
		netns_run("ip link del r0 && ip link add r0 numrxqueues 4 numtxqueues 4 type veth peer name a0 "
			  "numrxqueues 4 numtxqueues 4 netns /proc/%d/fd/%d && ip link set r0 up",
			  getpid(), g.w->ns[NETNS_A]),
		0);
	suppress_hosts(&g);
	netns_go(g.w, NETNS_A);
	assert_int_equal(netns_run("ip addr add 10.0.0.1/24 dev a0 && ip link set a0 up"), 0);
	netns_go(g.w, NETNS_GW);
	take(&g, 0, WAY_XDP);
	take(&g, 1, WAY_AF_PACKET);
	af_xdp_info(g.w->dev[0], &info);
	assert_int_equal(info.n_queues, 4);
	/* Datagrams of many flows spread over the queues. */
	netns_go(g.w, NETNS_A);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = { htonl(NETNS_ADDR_B) } };
	int fd[64];
	for (uint32_t i = 0; i < ARRAY_LEN(fd); i++) {
		fd[i] = socket(AF_INET, SOCK_DGRAM, 0);
		assert_int_equal(connect(fd[i], (struct sockaddr *)&to, sizeof(to)), 0);
	}
	netns_go(g.w, NETNS_GW);
	talk(&g, SOCK_DGRAM, "before"); /* ARP is done */
	uint64_t before = g.w->dev[0]->n_rx_packets;
	for (uint32_t i = 0; i < ARRAY_LEN(fd); i++)
		assert_int_equal(send(fd[i], "x", 1, 0), 1);
	while (g.w->dev[0]->n_rx_packets < before + ARRAY_LEN(fd)) {
		struct pollfd p = { g.w->dev[0]->ops->poll_fd(g.w->dev[0]), POLLIN, 0 };
		assert_int_equal(poll(&p, 1, NETNS_PATIENCE_MS), 1);
		netns_bridge(g.w);
		assert_true(netns_now_ms() < deadline);
	}
	for (uint32_t i = 0; i < ARRAY_LEN(fd); i++)
		close(fd[i]);
	/* ICMP errors may still come back. */
	while (netns_bridge(g.w) > 0)
		;
	end(&g);
}

/* --- loss --- */

/* Would catch: lost frames that nobody counts, and a queue that does not go on after it was full. */
static void test_full_queue_is_counted(void **state)
{
	static const enum way ways[] = { WAY_TC, WAY_XDP, WAY_XDP_GENERIC };

	for (uint32_t k = 0; k < ARRAY_LEN(ways); k++) {
		struct fixture g;
		begin(&g, ways[k], WAY_AF_PACKET);
		struct netns_fixture *w = g.w;
		int fd = netns_raw_socket(w, NETNS_A, "a0");
		uint8_t f[60];
		uint32_t n_sent = 6000;
		memset(f, 0xff, sizeof(f));
		for (uint32_t i = 0; i < n_sent; i++)
			while (send(fd, f, sizeof(f), 0) < 0)
				assert_true(errno == EAGAIN || errno == ENOBUFS);
		uint64_t deadline = netns_now_ms() + NETNS_PATIENCE_MS;
		while (w->ledger.n_received + w->dev[0]->n_rx_missed < n_sent && netns_now_ms() < deadline) {
			w->batch.n = 0;
			w->dev[0]->ops->rx(w->dev[0], &w->batch, BATCH_MAX);
			netns_deliver(w);
		}
		printf("%s: %u taken, %u lost of %u\n", way_names[ways[k]], (uint32_t)w->ledger.n_received,
		       (uint32_t)w->dev[0]->n_rx_missed, n_sent);
		assert_true(w->ledger.n_received + w->dev[0]->n_rx_missed >= n_sent);
		assert_true(w->dev[0]->n_rx_missed > 500);
		memcpy(f + 6, "again!", 6);
		assert_int_equal(send(fd, f, sizeof(f), 0), sizeof(f));
		packet_free(w->pool, netns_receive(w, w->dev[0], 6, "again!", 6));
		w->ledger.n_delivered++;
		close(fd);
		end(&g);
	}
}

/* --- devices that go and come --- */

static void send_one(struct netns_fixture *w, int i)
{
	struct packet *p = packet_alloc(w->pool, 60);

	memset(packet_frame(p), 0xff, 60);
	w->ledger.n_originated++;
	w->batch.n = 0;
	batch_add(&w->batch, p);
	w->dev[i]->ops->tx(w->dev[i], &w->batch);
}

/* Would catch: a crash, a frame that is lost to the area, or a device that stays dead, when it is deleted while
 * frames are on their way through it, and made again. */
static void test_gone_under_load(void **state)
{
	static const enum way ways[] = { WAY_TC, WAY_XDP, WAY_XDP_GENERIC };

	for (uint32_t k = 0; k < ARRAY_LEN(ways); k++) {
		struct fixture g;
		static struct netns_stream s;
		char err[256];
		begin(&g, ways[k], ways[k]);
		cut_at_peers(&g, ways[k]);
		struct netns_fixture *w = g.w;
		netns_stream_start(w, &s, 8 << 20);
		netns_stream_until(w, &s, 100000);
		assert_int_equal(netns_run("ip link del r1"), 0);
		for (int n = 0; n < 50; n++) {
			netns_stream_step(&s);
			netns_bridge(w);
			send_one(w, 1);
		}
		assert_true(w->ledger.n_dropped[DROP_TX_DOWN] >= 49);
		assert_int_equal(device_rebind(w->dev[1], err, sizeof(err)), -ENODEV);
		assert_non_null(strstr(err, "no such device"));
		close(s.from);
		close(s.to);
		close(s.listener);
		assert_int_equal(
			netns_run("ip link add r1 type veth peer name b0 netns /proc/%d/fd/%d && ip link set r1 up",
				  getpid(), w->ns[NETNS_B]),
			0);
		netns_go(w, NETNS_B);
		assert_int_equal(netns_run("ip addr add 10.0.0.2/24 dev b0 && ip link set b0 up"), 0);
		netns_go(w, NETNS_GW);
		if (device_rebind(w->dev[1], err, sizeof(err)) < 0)
			fail_msg("%s: %s", way_names[ways[k]], err);
		if (g.link_fd[1] >= 0)
			close(g.link_fd[1]);
		attach(&g, 1, ways[k]);
		talk(&g, SOCK_STREAM, way_names[ways[k]]);
		end(&g);
	}
}

/* Would catch: frames that wait for ever, or a round without end, while the device is down; a device that is taken for
 * down for ever, because a poll of its socket has sent what waited when it came up. */
static void test_down_and_up(void **state)
{
	static const enum way ways[] = { WAY_TC, WAY_XDP, WAY_XDP_GENERIC };

	for (uint32_t k = 0; k < ARRAY_LEN(ways); k++) {
		struct fixture g;
		begin(&g, ways[k], ways[k]);
		struct netns_fixture *w = g.w;
		assert_int_equal(netns_run("ip link set r1 down"), 0);
		for (int n = 0; n < 10; n++)
			send_one(w, 1);
		assert_true(w->ledger.n_dropped[DROP_TX_DOWN] >= 9);
		assert_true(w->dev[1]->ops->next == NULL || w->dev[1]->ops->next(w->dev[1]) == TIME_NEVER);
		assert_int_equal(netns_run("ip link set r1 up"), 0);
		struct pollfd pfd = { .fd = w->dev[1]->ops->poll_fd(w->dev[1]), .events = POLLIN };

		assert_true(poll(&pfd, 1, 0) >= 0);
		talk(&g, SOCK_STREAM, way_names[ways[k]]);
		end(&g);
	}
}

/* Would catch: a killed process that leaves a program or a TAP behind, which would take every packet away. */
static void test_killed(void **state)
{
	for (enum way way = WAY_TC; way < N_WAYS; way++) {
		struct fixture g;
		struct netns_fixture *w;
		int ready[2], status;
		char byte;

		assert_int_equal(pipe(ready), 0);
		w = netns_make();
		pid_t pid = fork();
		if (pid == 0) {
			char err[256];
			memset(&g, 0, sizeof(g));
			g.link_fd[0] = -1;
			g.w = w;
			(void)umem_create(0, &g.umem, err, sizeof(err));
			take(&g, 0, way);
			if (write(ready[1], "x", 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
		assert_int_equal(read(ready[0], &byte, 1), 1);
		assert_int_equal(netns_run("ip -d link show r0 | grep -q prog/xdp"), way == WAY_TC ? 256 : 0);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		close(ready[0]);
		close(ready[1]);
		/* The kernel takes the program away a moment after the process. */
		uint64_t deadline = netns_now_ms() + NETNS_PATIENCE_MS;
		while (netns_run("ip -d link show r0 | grep -q prog/xdp || ip link show yg-r0 2>/dev/null | grep -q "
				 "yg") == 0)
			assert_true(netns_now_ms() < deadline);
		struct device *d;
		char err[256];
		for (int i = 0; i < 2; i++) {
			if (device_open("af_packet", names[i], NULL, &d, err, sizeof(err)) < 0)
				fail_msg("%s", err);
			netns_take(w, i, d);
		}
		netns_end(w);
	}
}

/* Would catch: errors that say nothing, a second owner, a frame size that the memory does not hold, and a TAP on
 * which the kernel speaks. */
static void test_refusals(void **state)
{
	struct fixture g;
	struct device *d = NULL;
	struct device_open_options opt = { 0 };
	char err[256];

	assert_int_equal(device_open("xdp", "r0", NULL, &d, err, sizeof(err)), -EINVAL);
	begin(&g, WAY_TC, WAY_XDP);
	opt.xdp = (struct af_xdp_options){ .umem = g.umem, .map_fd = -1 };
	assert_int_equal(device_open("tc", "r0", NULL, &d, err, sizeof(err)), -EBUSY);
	assert_non_null(strstr(err, "another program has this TAP open"));
	assert_int_equal(device_open("xdp", "r1", &opt, &d, err, sizeof(err)), -EBUSY);
	assert_non_null(strstr(err, "another program"));
	assert_int_equal(device_open("xdp", "nosuch0", &opt, &d, err, sizeof(err)), -ENODEV);
	assert_int_equal(device_open("tc", "nosuch0", NULL, &d, err, sizeof(err)), -ENODEV);
	assert_int_equal(netns_run("ip link add m0 mtu 9000 type veth peer name m1 mtu 9000"), 0);
	assert_int_equal(device_open("xdp", "m0", &opt, &d, err, sizeof(err)), -ERANGE);
	assert_non_null(strstr(err, "MTU of 9000"));
	int r = programs_xdp_attach(g.map_fd[0], if_nametoindex("m0"), PROGRAMS_XDP_NATIVE);
	assert_true(r < 0);
	/* No address, so nothing to say. */
	assert_int_equal(netns_run("ip addr show dev yg-r0 | grep -q inet"), 256);
	assert_int_equal(netns_run("ip link show yg-r0 | grep -q 'UP.* qdisc noqueue .* qlen 4096'"), 0);
	end(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unfinished_checksums),
		cmocka_unit_test(test_unfinished_checksums_of_hardware),
		cmocka_unit_test(test_tc_bulk),
		cmocka_unit_test(test_xdp_bulk),
		cmocka_unit_test(test_xdp_queues),
		cmocka_unit_test(test_full_queue_is_counted),
		cmocka_unit_test(test_gone_under_load),
		cmocka_unit_test(test_down_and_up),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_refusals),
	};

	netns_enter_as_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
