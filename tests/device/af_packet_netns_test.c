/* SPDX-License-Identifier: BSD-2-Clause
 *
 * AF_PACKET and the monitor against the real kernel: large segments both ways,
 * devices that go and come, and every way in which a frame can be lost.
 */
#include "netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/device/af_packet.h"
#include "daemon/device/netlink.h"
#include "daemon/device/netlink_priv.h"
#include "daemon/device/vnet.h"

#define IFLA_GSO_IPV4_MAX_SIZE_NR 63 /* Linux 6.3 */
#define UDP_SEGMENT_NR 103

/* Would catch: large segments cut or refused on the way in or out, offload
 * fields that do not fit, a wrong byte, slots of the ring that do not come back
 * (the stream is many rings long), frames lost or counted wrong. */
static void test_bulk_tcp_in_large_segments(void **state)
{
	struct netns_fixture *w = *state;
	static struct netns_stream s;
	uint64_t n_bytes = UINT64_C(200) << 20;

	uint64_t t0 = netns_now_ms();
	netns_stream_start(w, &s, n_bytes);
	netns_stream_until(w, &s, n_bytes);
	netns_stream_end(w, &s);
	printf("%u MB/s, largest frame %u, %u large segments, %u lost\n",
	       (uint32_t)((n_bytes >> 20) * 1000 / (netns_now_ms() - t0 + 1)), w->largest, (uint32_t)w->n_gso,
	       (uint32_t)(w->dev[0]->n_rx_missed + w->dev[1]->n_rx_missed));
	assert_true(w->largest > 60000);
	assert_true(w->n_gso > 1000);
	assert_int_equal(w->n_bad_gso, 0);
	assert_true(w->n_partial >= w->n_gso);
	assert_int_equal(w->ledger.n_received, w->ledger.n_handed);
	assert_true(w->ledger.n_handed > 3ull * af_packet_ring_slots(w->dev[0]));
}

/* Would catch: a ring too small for a sender without large segments. */
static void test_bulk_tcp_in_small_segments(void **state)
{
	struct netns_fixture *w = *state;
	static struct netns_stream s;
	uint64_t n_bytes = UINT64_C(20) << 20;

	netns_go(w, NETNS_A);
	assert_int_equal(netns_run("ip link set a0 gso_max_segs 1"), 0);
	netns_stream_start(w, &s, n_bytes);
	netns_stream_until(w, &s, n_bytes);
	netns_stream_end(w, &s);
	assert_true(w->largest <= 1514);
	assert_int_equal(w->n_gso, 0);
	assert_true(w->ledger.n_received > n_bytes / 1514);
	/* None, unless the machine stops us for the time of a whole ring. */
	assert_true(w->dev[0]->n_rx_missed < w->ledger.n_received / 20);
}

/* Would catch: datagrams of UDP_SEGMENT cut, joined or refused on the way. */
static void test_udp_segments(void **state)
{
	struct netns_fixture *w = *state;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(5002), .sin_addr = { htonl(NETNS_ADDR_B) } };
	static uint8_t out[50 * 1000], in[2000];
	int size = 1000, n_in = 0;

	netns_go(w, NETNS_B);
	int from, at = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(at, (struct sockaddr *)&to, sizeof(to)), 0);
	netns_go(w, NETNS_A);
	from = socket(AF_INET, SOCK_DGRAM, 0);
	if (setsockopt(from, SOL_UDP, UDP_SEGMENT_NR, &size, sizeof(size)) < 0) {
		printf("skipped: this kernel has no UDP_SEGMENT\n");
		skip();
	}
	netns_go(w, NETNS_GW);
	for (uint32_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i / 1000 + i);
	assert_int_equal(sendto(from, out, sizeof(out), 0, (struct sockaddr *)&to, sizeof(to)), sizeof(out));
	uint64_t deadline = netns_now_ms() + NETNS_PATIENCE_MS;
	while (n_in < 50 && netns_now_ms() < deadline) {
		netns_bridge(w);
		while (recv(at, in, sizeof(in), 0) == size) {
			assert_memory_equal(in, out + n_in * size, (size_t)size);
			n_in++;
		}
	}
	assert_int_equal(n_in, 50);
	assert_int_equal(w->n_gso, 1);
	assert_int_equal(w->n_bad_gso, 0);
	close(from);
	close(at);
}

/* What the monitor told, in order. */
struct heard {
	uint32_t n;
	enum netlink_change change[16];
	struct netlink_link link;
};

static void hear(void *ctx, enum netlink_change change, const struct netlink_link *link)
{
	struct heard *h = ctx;

	if (h->n < ARRAY_LEN(h->change))
		h->change[h->n++] = change;
	h->link = *link;
}

static void hear_until(struct netlink_monitor *m, struct heard *h, enum netlink_change change)
{
	uint64_t deadline = netns_now_ms() + NETNS_PATIENCE_MS;

	for (;;) {
		for (uint32_t i = 0; i < h->n; i++)
			if (h->change[i] == change)
				return;
		struct pollfd p = { netlink_monitor_fd(m), POLLIN, 0 };
		poll(&p, 1, 100);
		netlink_monitor_dispatch(m);
		if (netns_now_ms() > deadline)
			fail_msg("change %d did not come", change);
	}
}

static struct netlink_monitor *listen_to(struct heard *h, const char *ifname)
{
	struct netlink_monitor *m = NULL;
	char err[256];

	memset(h, 0, sizeof(*h));
	assert_int_equal(netlink_monitor_open(hear, h, &m, err, sizeof(err)), 0);
	assert_int_equal(netlink_monitor_watch(m, ifname, &h->link), 0);
	assert_int_not_equal(h->link.index, 0);
	return m;
}

/* Would catch: a device that is dead for good once it was down; frames sent
 * meanwhile that vanish without a name; a descriptor that stays ready for ever
 * because nobody fetched the socket's error (a busy loop). */
static void test_down_and_up_again(void **state)
{
	struct netns_fixture *w = *state;
	static struct netns_stream s;
	struct heard h;
	char err[256];
	struct netlink_monitor *m = listen_to(&h, "r1");

	netns_stream_start(w, &s, 8 << 20);
	netns_stream_until(w, &s, 1 << 20);
	assert_int_equal(netlink_link_set("r1", NETLINK_ADMIN_DOWN, err, sizeof(err)), 0);
	hear_until(m, &h, NETLINK_CHANGE_DOWN);
	uint64_t deadline = netns_now_ms() + NETNS_PATIENCE_MS;
	while (w->ledger.n_dropped[DROP_TX_DOWN] == 0) {
		netns_stream_step(&s);
		netns_bridge(w);
		assert_true(netns_now_ms() < deadline);
	}
	int n_wakes = 0;
	struct pollfd p = { w->dev[1]->ops->poll_fd(w->dev[1]), POLLIN, 0 };
	while (poll(&p, 1, 0) > 0 && n_wakes++ < 100)
		netns_bridge(w);
	assert_in_range(n_wakes, 0, 20);
	h.n = 0;
	assert_int_equal(netlink_link_set("r1", NETLINK_ADMIN_UP, err, sizeof(err)), 0);
	hear_until(m, &h, NETLINK_CHANGE_UP);
	netns_stream_until(w, &s, 8 << 20);
	netns_stream_end(w, &s);
	netlink_monitor_close(m);
}

/* Would catch: the first frame after the device is up again lost to the old
 * error on the socket. */
static void test_first_frame_after_up(void **state)
{
	struct netns_fixture *w = *state;
	char err[256];

	assert_int_equal(netlink_link_set("r0", NETLINK_ADMIN_DOWN, err, sizeof(err)), 0);
	assert_int_equal(netlink_link_set("r0", NETLINK_ADMIN_UP, err, sizeof(err)), 0);
	struct packet *p = packet_alloc(w->pool, 60);
	memset(packet_frame(p), 0xff, 60);
	w->ledger.n_originated++;
	w->batch.n = 0;
	batch_add(&w->batch, p);
	uint64_t n_handed = w->ledger.n_handed;
	w->dev[0]->ops->tx(w->dev[0], &w->batch);
	assert_int_equal(w->ledger.n_handed, n_handed + 1);
}

/* Would catch: a device that is deleted and made again and stays dead, or is
 * reported wrongly. */
static void test_gone_and_back(void **state)
{
	struct netns_fixture *w = *state;
	static struct netns_stream s;
	struct heard h;
	char err[256];
	struct netlink_monitor *m = listen_to(&h, "r1");
	uint32_t old_index = h.link.index;

	assert_int_equal(netns_run("ip link del r1"), 0);
	hear_until(m, &h, NETLINK_CHANGE_GONE);
	struct packet *p = packet_alloc(w->pool, 60);
	memset(packet_frame(p), 0xff, 60);
	w->ledger.n_originated++;
	w->batch.n = 0;
	batch_add(&w->batch, p);
	w->dev[1]->ops->tx(w->dev[1], &w->batch);
	assert_int_equal(w->ledger.n_dropped[DROP_TX_DOWN], 1);
	assert_true(device_rebind(w->dev[1], err, sizeof(err)) == -ENODEV);
	assert_non_null(strstr(err, "no such device"));

	h.n = 0;
	assert_int_equal(netns_run("ip link add r1 mtu 1400 type veth peer name b0 mtu 1400 netns /proc/%d/fd/%d && ip "
				   "link set r1 up",
				   getpid(), w->ns[NETNS_B]),
			 0);
	netns_go(w, NETNS_B);
	assert_int_equal(netns_run("ip addr add 10.0.0.2/24 dev b0 && ip link set b0 up"), 0);
	netns_go(w, NETNS_GW);
	hear_until(m, &h, NETLINK_CHANGE_UP);
	assert_int_equal(h.change[0], NETLINK_CHANGE_BACK);
	assert_int_not_equal(h.link.index, old_index);
	assert_int_equal(h.link.mtu, 1400);
	assert_string_equal(h.link.kind, "veth");
	assert_int_equal(device_rebind(w->dev[1], err, sizeof(err)), 0);
	assert_int_equal(w->dev[1]->mtu, 1400);
	assert_memory_equal(&w->dev[1]->mac, &h.link.mac, 6);
	/* a's segments fit b's link only when a learns of it; it does by b's MSS. */
	netns_stream_start(w, &s, 1 << 20);
	netns_stream_until(w, &s, 1 << 20);
	netns_stream_end(w, &s);
	netlink_monitor_close(m);
}

/* Would catch: a tagged frame that comes up as if it had no tag, and so enters
 * the untagged network. */
static void test_vlan_tag_is_still_there(void **state)
{
	struct netns_fixture *w = *state;
	uint8_t f[64] = { 0 };
	int fd = netns_raw_socket(w, NETNS_A, "a0");

	memset(f, 0xff, 6);
	memcpy(f + 6, "\x02\0\0\0\0\x09\x81\x00\x60\x2a\x08\x00vlan", 16);
	assert_int_equal(send(fd, f, sizeof(f), 0), sizeof(f));
	struct packet *p = netns_receive(w, w->dev[0], 6, "\x02\0\0\0\0\x09", 6);
	assert_int_equal(p->len, sizeof(f));
	assert_memory_equal(packet_frame(p), f, sizeof(f));
	packet_free(w->pool, p);
	w->ledger.n_delivered++;
	close(fd);
}

/* Would catch: a frame without room in front of it sent with its neighbour's
 * bytes overwritten, or not at all; a frame over the MTU that stops the batch or
 * vanishes. The frames around it arrive. */
static void test_send_corners(void **state)
{
	struct netns_fixture *w = *state;
	static const uint32_t lens[] = { 60, 3000, 1514, 60 };
	uint8_t buf[2048];
	int fd = netns_raw_socket(w, NETNS_A, "a0");

	w->batch.n = 0;
	for (uint32_t i = 0; i < ARRAY_LEN(lens); i++) {
		struct packet *p = packet_alloc(w->pool, lens[i]);
		w->ledger.n_originated++;
		if (i == 3) { /* no headroom */
			p->buf += p->off;
			p->buf_len -= p->off;
			p->off = 0;
		}
		memset(packet_frame(p), (int)(0xa0 + i), p->len);
		memset(packet_frame(p), 0xff, 6);
		batch_add(&w->batch, p);
	}
	uint8_t *no_room = w->batch.p[3]->buf;
	uint8_t before[VNET_HEADER_LEN];
	memset(no_room - VNET_HEADER_LEN, 0x55, VNET_HEADER_LEN);
	memset(before, 0x55, sizeof(before));
	w->dev[0]->ops->tx(w->dev[0], &w->batch);
	assert_memory_equal(no_room - VNET_HEADER_LEN, before, sizeof(before));
	assert_int_equal(w->batch.n, 0);
	assert_int_equal(w->ledger.n_handed, 3);
	assert_int_equal(w->ledger.n_dropped[DROP_TX_TOO_BIG], 1);
	for (uint32_t n_seen = 0; n_seen < 3;) {
		static const uint32_t want[] = { 0, 2, 3 };
		struct pollfd p = { fd, POLLIN, 0 };
		assert_int_equal(poll(&p, 1, NETNS_PATIENCE_MS), 1);
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		if (n < 60 || (buf[10] & 0xf0) != 0xa0)
			continue; /* the kernel's own IPv6 chatter */
		assert_int_equal(buf[10], 0xa0 + want[n_seen]);
		assert_int_equal(n, lens[want[n_seen]]);
		n_seen++;
	}
	close(fd);
}

static int set_gso_sizes(const char *ifname, uint32_t bytes)
{
	char buf[512];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = RTM_NEWLINK;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	struct ifinfomsg *i = mnl_nlmsg_put_extra_header(h, sizeof(*i));
	i->ifi_index = (int)if_nametoindex(ifname);
	mnl_attr_put_u32(h, IFLA_GSO_MAX_SIZE, bytes);
	mnl_attr_put_u32(h, IFLA_GSO_IPV4_MAX_SIZE_NR, bytes);
	return netlink_ask(h, NULL, NULL);
}

/* Would catch: a frame larger than a slot (a sender with BIG TCP) handed on cut
 * as if it were whole. */
static void test_cut_frame_is_a_named_drop(void **state)
{
	struct netns_fixture *w = *state;
	static struct netns_stream s;

	netns_go(w, NETNS_A);
	int r = set_gso_sizes("a0", 180000);
	netns_go(w, NETNS_GW);
	if (r < 0) {
		printf("skipped: this kernel makes no segments of more than 64 KB\n");
		skip();
	}
	netns_stream_start(w, &s, UINT64_C(100) << 20);
	uint64_t deadline = netns_now_ms() + NETNS_PATIENCE_MS;
	while (w->ledger.n_dropped[DROP_FRAME_CUT] == 0 && netns_now_ms() < deadline) {
		netns_stream_step(&s);
		netns_bridge(w);
	}
	assert_true(w->ledger.n_dropped[DROP_FRAME_CUT] > 0);
	netns_stream_end(w, &s);
}

/* Would catch: lost frames that nobody counts. The ring is left unread until the
 * kernel must have lost some; after one round of reading the number is exact. */
static void test_full_ring_is_counted(void **state)
{
	struct netns_fixture *w = *state;
	uint8_t f[60];
	uint32_t n_sent = af_packet_ring_slots(w->dev[0]) + 500;
	int fd = netns_raw_socket(w, NETNS_A, "a0");

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
	assert_true(w->dev[0]->n_rx_missed >= 500);
	assert_true(w->ledger.n_received + w->dev[0]->n_rx_missed >= n_sent);
	/* And it recovers. */
	memcpy(f + 6, "again!", 6);
	assert_int_equal(send(fd, f, sizeof(f), 0), sizeof(f));
	packet_free(w->pool, netns_receive(w, w->dev[0], 6, "again!", 6));
	w->ledger.n_delivered++;
	close(fd);
}

/* Would catch: slots given back to the kernel while a packet still lies in them,
 * and a ring that does not go on after they were freed out of order. */
static void test_held_packets_keep_their_bytes(void **state)
{
	struct netns_fixture *w = *state;
	uint32_t n_slots = af_packet_ring_slots(w->dev[0]);
	struct packet **held = calloc(n_slots, sizeof(struct packet *));
	uint32_t n_held = 0;
	uint8_t f[60];
	int fd = netns_raw_socket(w, NETNS_A, "a0");

	memset(f, 0xff, sizeof(f));
	for (uint32_t i = 0; i < n_slots + 100; i++) {
		memcpy(f + 20, &i, sizeof(i));
		while (send(fd, f, sizeof(f), 0) < 0)
			assert_true(errno == EAGAIN || errno == ENOBUFS);
		w->batch.n = 0;
		w->dev[0]->ops->rx(w->dev[0], &w->batch, BATCH_MAX);
		for (uint32_t k = 0; k < w->batch.n; k++)
			held[n_held++] = w->batch.p[k];
	}
	assert_int_equal(n_held, n_slots);
	for (uint32_t i = 0, next = 0; i < n_held; i++) {
		uint32_t number;
		memcpy(&number, packet_frame(held[i]) + 20, sizeof(number));
		if (packet_frame(held[i])[13] != 0xff) /* IPv6 chatter */
			continue;
		assert_int_equal(number, next);
		next++;
	}
	for (uint32_t i = 0; i < n_held; i++) { /* odd ones first */
		uint32_t k = i < n_held / 2 ? 2 * i + 1 : 2 * (i - n_held / 2);
		packet_free(w->pool, held[k]);
		w->ledger.n_delivered++;
	}
	assert_true(w->dev[0]->n_rx_missed >= 100);
	memcpy(f + 6, "again!", 6);
	assert_int_equal(send(fd, f, sizeof(f), 0), sizeof(f));
	packet_free(w->pool, netns_receive(w, w->dev[0], 6, "again!", 6));
	w->ledger.n_delivered++;
	free(held);
	close(fd);
}

/* Would catch: errors that say nothing. */
static void test_open_errors(void **state)
{
	struct device *d = NULL;
	char err[256];

	assert_int_equal(device_open("af_packet", "nosuch0", NULL, &d, err, sizeof(err)), -ENODEV);
	assert_non_null(strstr(err, "nosuch0"));
	assert_int_equal(device_open("af_packet", "a-name-that-is-too-long", NULL, &d, err, sizeof(err)), -ENODEV);
	assert_int_equal(device_open("af_packet", "lo", NULL, &d, err, sizeof(err)), -EPROTONOSUPPORT);
	assert_non_null(strstr(err, "Ethernet"));
	assert_int_equal(device_open("dpdk", "r0", NULL, &d, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "unknown"));
	assert_null(d);
	assert_int_equal(netns_run("ip link add r2 type veth peer name r3"), 0);
	assert_int_equal(device_open("af_packet", "r2", NULL, &d, err, sizeof(err)), 0);
	d->ops->close(d);
	d = NULL;
	assert_null(d);
}

/* Would catch: an address of the kernel overlooked, by which somebody's own ssh
 * would be cut off. */
static void test_link_and_addresses(void **state)
{
	struct netlink_link l;
	struct netlink_addrs a;
	char err[256];

	assert_int_equal(netlink_link_get("r0", &l, err, sizeof(err)), 0);
	assert_string_equal(l.kind, "veth");
	assert_true(l.is_ethernet && l.admin_up && l.running);
	assert_int_equal(l.mtu, 1500);
	assert_int_equal(netlink_addrs_get(l.index, &a, err, sizeof(err)), 0);
	assert_int_equal(a.n_ipv4, 0);
	assert_int_equal(a.n_ipv6, 0);
	assert_int_equal(netns_run("ip addr add 192.0.2.7/24 dev r0 && ip addr add 198.51.100.1/32 dev r0"), 0);
	assert_int_equal(netns_run("ip -6 addr add 2001:db8::1/64 dev r0 nodad 2>/dev/null"), 0);
	assert_int_equal(netlink_addrs_get(l.index, &a, err, sizeof(err)), 0);
	assert_int_equal(a.n_ipv4, 2);
	assert_int_equal(a.ipv4[0].addr, IP4(192, 0, 2, 7));
	assert_int_equal(a.ipv4[0].len, 24);
	assert_int_equal(a.ipv4[1].addr, IP4(198, 51, 100, 1));
	assert_int_equal(a.n_ipv6, 1);
	assert_int_equal(netlink_link_get("nosuch0", &l, err, sizeof(err)), -ENODEV);
	assert_int_equal(netlink_link_set("nosuch0", NETLINK_ADMIN_UP, err, sizeof(err)), -ENODEV);
}

/* The kernel lets frames for this group address in by r0. */
static bool group_is_let_in(const char *address)
{
	FILE *f = fopen("/proc/thread-self/net/dev_mcast", "r");
	char line[256];
	bool found = false;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		found |= strstr(line, " r0 ") != NULL && strstr(line, address) != NULL;
	fclose(f);
	return found;
}

/* Would catch: a group that the device's filter keeps out, one that stays when it was left, and one that is lost when
 * another is added. */
static void test_groups(void **state)
{
	static const struct ether_addr group[2] = { { { 1, 0, 0x5e, 0, 0, 5 } }, { { 1, 0, 0x5e, 0, 0, 6 } } };
	struct netns_fixture *w = *state;
	struct device *d = w->dev[0];

	netns_go(w, NETNS_GW);
	assert_false(group_is_let_in("01005e000005"));
	d->ops->set_groups(d, group, 1);
	assert_true(group_is_let_in("01005e000005"));
	d->ops->set_groups(d, group, 2);
	assert_true(group_is_let_in("01005e000005"));
	assert_true(group_is_let_in("01005e000006"));
	d->ops->set_groups(d, group + 1, 1);
	assert_false(group_is_let_in("01005e000005"));
	assert_true(group_is_let_in("01005e000006"));
	d->ops->set_groups(d, group, 0);
	assert_false(group_is_let_in("01005e000006"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NETNS_TEST(test_bulk_tcp_in_large_segments),
		NETNS_TEST(test_bulk_tcp_in_small_segments),
		NETNS_TEST(test_udp_segments),
		NETNS_TEST(test_down_and_up_again),
		NETNS_TEST(test_first_frame_after_up),
		NETNS_TEST(test_gone_and_back),
		NETNS_TEST(test_vlan_tag_is_still_there),
		NETNS_TEST(test_send_corners),
		NETNS_TEST(test_cut_frame_is_a_named_drop),
		NETNS_TEST(test_full_ring_is_counted),
		NETNS_TEST(test_held_packets_keep_their_bytes),
		NETNS_TEST(test_open_errors),
		NETNS_TEST(test_link_and_addresses),
		NETNS_TEST(test_groups),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
