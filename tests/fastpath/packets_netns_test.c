/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Packets through the programs on real devices: how frames may leave, whether
 * what real senders leave unfinished arrives whole, and what is counted when it
 * does not. See netns_fixture.h.
 */
#include "netns_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/ip4.h"
#include "stack/wire/checksum.h"

#define UDP_SEGMENT_NR 103
#define CLIENT IP4(10, 0, 0, 1)
#define SERVER IP4(10, 1, 0, 2)
#define OUTSIDE IP4(10, 1, 0, 77) /* what the client becomes */
#define CLIENT_PORT 4000
#define SERVER_PORT 5000
#define OUTSIDE_PORT 6000
#define SILENCE_MS 300 /* what has not come by then does not come */

static uint16_t change(uint32_t from, uint32_t to)
{
	return checksum_fold((from >> 16) + (from & 0xffff) + (~to >> 16) + (~to & 0xffff));
}

static void add_flow(enum fp_egress how)
{
	static const uint8_t header[14] = { 2, 0, 0, 0, 0, 0x22, 2, 0, 0, 0, 0, 0x11, 8, 0 };
	const struct fastpath_maps *m = fastpath_maps(fixture.f);
	struct fp_flow *f = &m->flow[0];
	struct fp_adjacency *a = &m->adjacency[1];

	*f = (struct fp_flow){
		.src_be = htonl(CLIENT),
		.dst_be = htonl(SERVER),
		.sport_be = htons(CLIENT_PORT),
		.dport_be = htons(SERVER_PORT),
		.proto = IPPROTO_UDP,
		.in_port = 1,
		.new_src_be = htonl(OUTSIDE),
		.new_dst_be = htonl(SERVER),
		.new_sport_be = htons(OUTSIDE_PORT),
		.new_dport_be = htons(SERVER_PORT),
		.ip_delta = change(CLIENT, OUTSIDE),
		.l4_delta = checksum_fold((uint32_t)change(CLIENT, OUTSIDE) + change(CLIENT_PORT, OUTSIDE_PORT)),
		.adjacency = 1,
	};
	*a = (struct fp_adjacency){ .how = (uint8_t)how, .port = 2, .ifindex = fixture.r1, .mtu = 1500 };
	memcpy(a->header, header, sizeof(header));
	uint64_t h = fp_hash_flow((const __u64 *)m->config->key, f->src_be, f->dst_be, f->sport_be, f->dport_be,
				  f->proto, f->in_port);
	struct fp_bucket *b = &m->bucket[fp_bucket_of(h, m->config->bucket_mask)];
	b->ref[2] = 0;
	b->tag[2] = fp_tag_of(h);
	m->config->on = 1;
}

static int udp_socket(enum place p, uint32_t addr, uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(addr) } };

	fixture_go(p);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	fixture_go(ROUTER);
	return fd;
}

/* Sends n datagrams of len bytes in one buffer; true when all arrive, translated, each within wait_ms of the one
 * before. */
static bool arrive_within(uint32_t n, uint32_t len, int wait_ms)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(SERVER_PORT),
				  .sin_addr = { htonl(SERVER) } };
	int from = udp_socket(CLIENT_NS, CLIENT, CLIENT_PORT), at = udp_socket(SERVER_NS, SERVER, SERVER_PORT);
	struct pollfd p = { .fd = at, .events = POLLIN };
	static uint8_t out[20000], in[2000];
	int size = (int)len;
	uint32_t n_in = 0;

	for (uint32_t i = 0; i < n * len; i++)
		out[i] = (uint8_t)(i * 13 + i / 256);
	if (n > 1)
		assert_int_equal(setsockopt(from, IPPROTO_UDP, UDP_SEGMENT_NR, &size, sizeof(size)), 0);
	assert_int_equal(sendto(from, out, n * len, 0, (struct sockaddr *)&to, sizeof(to)), n * len);
	while (n_in < n && poll(&p, 1, wait_ms) == 1) {
		struct sockaddr_in peer;
		socklen_t peer_len = sizeof(peer);

		assert_int_equal(recvfrom(at, in, sizeof(in), 0, (struct sockaddr *)&peer, &peer_len), len);
		assert_memory_equal(in, out + n_in * len, len);
		assert_int_equal(ntohl(peer.sin_addr.s_addr), OUTSIDE);
		assert_int_equal(ntohs(peer.sin_port), OUTSIDE_PORT);
		n_in++;
	}
	close(from);
	close(at);
	return n_in == n;
}

static bool arrives(uint32_t n, uint32_t len)
{
	return arrive_within(n, len, PATIENCE_MS);
}

/* One that must not arrive is waited for a little only. */
static bool stays_away(uint32_t n, uint32_t len)
{
	return !arrive_within(n, len, SILENCE_MS);
}

static uint64_t counted(enum fp_count what)
{
	struct fastpath_counts c;

	fastpath_counts(fixture.f, &c);
	return c.count[what];
}

/* Would catch: a partial checksum that is mended as if it were whole, or the other way round; a large segment cut or
 * lost; a peer fed with frames that it does not take. r1 finishes checksums in software, so that the server's
 * kernel looks at them. */
static void test_tc_keeps_what_senders_leave_unfinished(void **state)
{
	enum fp_egress peer = fastpath_egress(fixture.f, FASTPATH_TC, fixture.r1, NULL);

	assert_int_equal(peer, FP_EGRESS_PEER);
	for (uint32_t i = 2; i < 4; i++) {
		fixture_attach(1, FASTPATH_TC, fixture_hooks[i].tc);
		for (enum fp_egress how = FP_EGRESS_REDIRECT; how <= FP_EGRESS_PEER; how++) {
			uint64_t before = counted(FP_FORWARDED);

			add_flow(how);
			assert_true(arrives(1, 100));
			assert_true(arrives(1, 1472));
			assert_true(arrives(10, 1000));
			if (how != FP_EGRESS_PEER) {
				fixture_offload("r1", ETHTOOL_STXCSUM, 0);
				assert_true(arrives(1, 101));
				assert_true(arrives(10, 1000));
				fixture_offload("r1", ETHTOOL_STXCSUM, 1);
				assert_int_equal(counted(FP_FORWARDED) - before, 5);
			} else {
				assert_int_equal(counted(FP_FORWARDED) - before, 3);
			}
		}
		fastpath_detach(fixture.f, 1);
	}
}

/* Would catch: packets for user space that do not come out of the TAP, or come changed. */
static void test_tc_sends_the_rest_up(void **state)
{
	struct pollfd p = { .fd = fixture.tap, .events = POLLIN };
	uint8_t in[2000];
	ssize_t n;

	fixture_attach(1, FASTPATH_TC, FASTPATH_TC_BEST);
	while (read(fixture.tap, in, sizeof(in)) > 0)
		;
	fastpath_maps(fixture.f)->config->on = 1;
	assert_true(stays_away(1, 50));
	assert_true(counted(FP_UP_NO_FLOW) > 0);
	do { /* past what the kernel itself says on the TAP */
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		n = read(fixture.tap, in, sizeof(in));
	} while (n < 10 + 14 + 28 || memcmp(in + 10 + 14 + 20, "\x0f\xa0\x13\x88", 4) != 0);
	assert_int_equal(n, 10 + 14 + 28 + 50);
	assert_int_equal(in[0] & 1, 1); /* the checksum is still to be done */
	assert_memory_equal(in + 10, "\x02\x00\x00\x00\x00\x10", 6);
}

/* In place of libmnl's: a kernel before 6.3 has no netdev family, and this one has no generic netlink at all. */
static bool no_generic_netlink;
struct mnl_socket *mnl_socket_open2(int bus, int flags)
{
	if (bus == NETLINK_GENERIC && no_generic_netlink) {
		errno = EPROTONOSUPPORT;
		return NULL;
	}
	return mnl_socket_open(bus);
}

/* Would catch: a way out that the program cannot take, or a better one left unused, for a kind of device or a kernel
 * that is not here; and a choice without its reason. */
static void test_judging(void **state)
{
	static const struct {
		enum fastpath_kind kind;
		struct probe_facts facts;
		enum fp_egress how;
		const char *why;
	} rows[] = {
		{ FASTPATH_XDP_NATIVE, { .xmit = PROBE_XMIT_YES }, FP_EGRESS_REDIRECT, NULL },
		{ FASTPATH_XDP_GENERIC, { .xmit = PROBE_XMIT_YES }, FP_EGRESS_REDIRECT, NULL },
		{ FASTPATH_XDP_NATIVE, { .xmit = PROBE_XMIT_NO }, FP_EGRESS_SEND, "takes no redirected" },
		{ FASTPATH_XDP_GENERIC, { .xmit = PROBE_XMIT_NO }, FP_EGRESS_SEND, "takes no redirected" },
		{ FASTPATH_XDP_NATIVE, { .xmit = PROBE_XMIT_UNKNOWN }, FP_EGRESS_REDIRECT, NULL },
		{ FASTPATH_XDP_GENERIC, { .xmit = PROBE_XMIT_UNKNOWN }, FP_EGRESS_SEND, "cannot say" },
		{ FASTPATH_XDP_NATIVE, { .xmit = PROBE_XMIT_UNKNOWN, .is_veth = true }, FP_EGRESS_SEND, "cannot say" },
		{ FASTPATH_TC, { .xmit = PROBE_XMIT_NO }, FP_EGRESS_SEND, NULL },
		{ FASTPATH_TC, { .is_veth = true, .large_segments = true }, FP_EGRESS_SEND, NULL },
		{ FASTPATH_TC, { .is_veth = true, .peer_elsewhere = true }, FP_EGRESS_SEND, NULL },
		{ FASTPATH_TC,
		  { .is_veth = true, .peer_elsewhere = true, .large_segments = true },
		  FP_EGRESS_PEER,
		  NULL },
		{ FASTPATH_TC,
		  { .is_veth = true, .peer_elsewhere = true, .large_segments = true, .has_queue = true },
		  FP_EGRESS_SEND,
		  "queue discipline" },
	};

	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *why;

		if (probe_judge(rows[i].kind, &rows[i].facts, &why) != rows[i].how ||
		    (why == NULL) != (rows[i].why == NULL) || (why != NULL && strstr(why, rows[i].why) == NULL))
			fail_msg("row %u: %s", i, why == NULL ? "no reason" : why);
	}
}

/* Would catch: a veth that drops what it gets taken for a way out of native XDP, on a kernel that has no word for it.
 */
static void test_a_kernel_that_cannot_say(void **state)
{
	const char *why;

	no_generic_netlink = true;
	assert_int_equal(fastpath_egress(fixture.f, FASTPATH_XDP_NATIVE, fixture.r1, &why), FP_EGRESS_SEND);
	assert_non_null(strstr(why, "Linux 6.3"));
	assert_int_equal(fastpath_egress(fixture.f, FASTPATH_TC, fixture.r1, NULL), FP_EGRESS_PEER);
	no_generic_netlink = false;
}

/* Would catch: packets put past a queue discipline that somebody has given to a device of the gateway. */
static void test_a_queue_discipline_is_kept(void **state)
{
	const char *why;

	assert_int_equal(fastpath_egress(fixture.f, FASTPATH_TC, fixture.r1, &why), FP_EGRESS_PEER);
	assert_null(why);
	assert_int_equal(fixture_run("tc qdisc add dev r1 root pfifo"), 0);
	assert_int_equal(fastpath_egress(fixture.f, FASTPATH_TC, fixture.r1, &why), FP_EGRESS_SEND);
	assert_non_null(why);
	fixture_attach(1, FASTPATH_TC, FASTPATH_TC_BEST);
	add_flow(FP_EGRESS_SEND);
	assert_true(arrives(1, 100));
	assert_int_equal(fixture_run("test \"$(tc -s qdisc show dev r1 | grep -c 'Sent 0 ')\" = 0"), 0);
	assert_int_equal(fixture_run("tc qdisc del dev r1 root"), 0);
	assert_int_equal(fastpath_egress(fixture.f, FASTPATH_TC, fixture.r1, NULL), FP_EGRESS_PEER);
}

/* Would catch: a native program's frames sent to a driver that drops them, because of the program that stands there;
 * and what goes well sent up. */
static void test_every_pair_of_programs(void **state)
{
	fixture_go(CLIENT_NS);
	fixture_offload("c0", ETHTOOL_STXCSUM, 0);
	fixture_go(ROUTER);
	for (enum fastpath_kind in = FASTPATH_XDP_NATIVE; in <= FASTPATH_XDP_GENERIC; in++)
		for (enum fastpath_kind out = FASTPATH_XDP_NATIVE; out <= FASTPATH_XDP_GENERIC; out++)
			for (uint32_t gro = 0; gro <= 1; gro++) {
				fixture_go(SERVER_NS);
				fixture_offload("s0", ETHTOOL_SGRO, gro);
				fixture_go(ROUTER);
				fixture_attach(1, in, FASTPATH_TC_BEST);
				fixture_attach(2, out, FASTPATH_TC_BEST);
				uint64_t forwarded = counted(FP_FORWARDED), refused = counted(FP_UP_REFUSED);
				const char *why;
				add_flow(fastpath_egress(fixture.f, out, fixture.r1, &why));
				/* A kernel before 6.3 cannot say. */
				bool good = gro == 1 && (why == NULL || strstr(why, "cannot say") == NULL);
				bool should = good || in == FASTPATH_XDP_GENERIC;
				/* Up, where nobody is: counted as such, and not lost behind a redirect. */
				if ((should ? !arrives(1, 100) : !stays_away(1, 100)) ||
				    counted(FP_FORWARDED) - forwarded != should ||
				    (counted(FP_UP_REFUSED) > refused) == should)
					fail_msg("in %d, out %d, GRO %u", in, out, gro);
				fastpath_detach(fixture.f, 1);
				fastpath_detach(fixture.f, 2);
			}
	fixture_go(SERVER_NS);
	fixture_offload("s0", ETHTOOL_SGRO, 0);
	fixture_go(ROUTER);
	assert_int_equal(fixture_run("ip link add br0 type bridge && ip link set br0 up"), 0);
	uint32_t br0 = if_nametoindex("br0");
	assert_int_equal(fastpath_egress(fixture.f, FASTPATH_XDP_GENERIC, br0, NULL), FP_EGRESS_SEND);
}

/* Would catch: the whole machine's redirects looked at for a gateway that has none; a number for what nobody counts. */
static void test_what_is_known_to_be_lost(void **state)
{
	struct fastpath_counts c;

	fixture_attach(1, FASTPATH_TC, FASTPATH_TC_BEST);
	assert_false(fixture.f->lost.tried);
	fastpath_counts(fixture.f, &c);
	assert_false(c.redirect_drops_known);
	fixture_attach(2, FASTPATH_XDP_GENERIC, FASTPATH_TC_BEST);
	assert_true(fixture.f->lost.tried);
	fastpath_detach(fixture.f, 1);
	fastpath_counts(fixture.f, &c);
	assert_false(c.redirect_drops_known);
}

/* Would catch: a device that drops redirected frames taken for one that takes them; drops that nobody counts; a
 * native XDP program at a peer that packets are carried past. */
static void test_ways_out_and_what_is_lost(void **state)
{
	struct fastpath_counts c;

	/* Nobody at the other end polls for frames. */
	assert_int_equal(fastpath_egress(fixture.f, FASTPATH_TC, fixture.up0, NULL), FP_EGRESS_SEND);
	fixture_go(CLIENT_NS);
	fixture_offload("c0", ETHTOOL_STXCSUM, 0);
	fixture_go(ROUTER);
	fixture_attach(1, FASTPATH_XDP_NATIVE, FASTPATH_TC_BEST);
	fixture_attach(2, FASTPATH_XDP_NATIVE, FASTPATH_TC_BEST);
	add_flow(FP_EGRESS_REDIRECT);
	assert_int_equal(fastpath_egress(fixture.f, FASTPATH_XDP_NATIVE, fixture.r1, NULL), FP_EGRESS_SEND);
	bool away = stays_away(1, 100);
	fastpath_counts(fixture.f, &c);
	assert_int_equal(c.count[FP_FORWARDED], 1);
	assert_true(away);
	if (c.redirect_drops_known)
		assert_int_equal(c.n_lost, 1);

	int xdp = fixture_foreign_program(BPF_PROG_TYPE_XDP); /* passes all */
	fixture_go(SERVER_NS);
	int link = bpf_link_create(xdp, (int)if_nametoindex("s0"), BPF_XDP, NULL);
	assert_true(link >= 0);
	fixture_go(ROUTER);
	/* A kernel before 6.3 cannot say. */
	const char *why;
	enum fp_egress how = fastpath_egress(fixture.f, FASTPATH_XDP_NATIVE, fixture.r1, &why);
	assert_true(how == FP_EGRESS_REDIRECT || strstr(why, "cannot say") != NULL);
	assert_int_equal(fastpath_egress(fixture.f, FASTPATH_TC, fixture.r1, NULL), FP_EGRESS_SEND);
	assert_true(arrives(1, 100));
	/* And with the sender's checksums left undone: seen, and sent up, where nobody is. */
	fixture_go(CLIENT_NS);
	fixture_offload("c0", ETHTOOL_STXCSUM, 1);
	fixture_go(ROUTER);
	uint64_t refused = counted(FP_UP_REFUSED);
	assert_true(stays_away(1, 100));
	assert_true(counted(FP_UP_REFUSED) > refused);
	assert_int_equal(fastpath_maps(fixture.f)->flow[0].up, 1);
	close(link);
	close(xdp);
}

/* Would catch: a device that goes while packets are sent to it, taken for a way out. */
static void test_a_device_that_goes(void **state)
{
	fixture_go(CLIENT_NS);
	fixture_offload("c0", ETHTOOL_STXCSUM, 0);
	fixture_go(ROUTER);
	fixture_attach(1, FASTPATH_XDP_GENERIC, FASTPATH_TC_BEST);
	fixture_attach(2, FASTPATH_XDP_GENERIC, FASTPATH_TC_BEST);
	add_flow(FP_EGRESS_REDIRECT);
	assert_true(arrives(1, 100));
	assert_int_equal(fixture_run("ip link del r1"), 0);
	assert_true(fastpath_maps(fixture.f)->flow[0].up == 0);
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(SERVER_PORT),
				  .sin_addr = { htonl(SERVER) } };
	int from = udp_socket(CLIENT_NS, CLIENT, CLIENT_PORT);
	uint64_t until = fixture_now_ms() + PATIENCE_MS, refused = counted(FP_UP_REFUSED);
	assert_int_equal(sendto(from, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	while (counted(FP_UP_REFUSED) == refused)
		assert_true(fixture_now_ms() < until);
	assert_int_equal(fastpath_maps(fixture.f)->flow[0].up, 1);
	close(from);
	fastpath_detach(fixture.f, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_tc_keeps_what_senders_leave_unfinished),
		FIXTURE_TEST(test_tc_sends_the_rest_up),
		cmocka_unit_test(test_judging),
		FIXTURE_TEST(test_a_kernel_that_cannot_say),
		FIXTURE_TEST(test_a_queue_discipline_is_kept),
		FIXTURE_TEST(test_every_pair_of_programs),
		FIXTURE_TEST(test_what_is_known_to_be_lost),
		FIXTURE_TEST(test_ways_out_and_what_is_lost),
		FIXTURE_TEST(test_a_device_that_goes),
	};

	if (!fixture_tests_may_run())
		return FIXTURE_EXIT_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
