/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The programs on real devices, between three namespaces:
 *
 *      client                  router (this test)                 server
 *    10.0.0.1 c0 ----------- r0  <- the kernel's program ->  r1 ----------- s0 10.1.0.2
 *
 * Who is refused, what is left behind, how frames may leave, and whether what
 * real senders leave unfinished arrives whole. All that goes up goes into the
 * TAP device up0.
 */
#include "wire/wire_test.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/ip4.h"
#include "fastpath/fastpath_priv.h"
#include "fastpath/netlink_priv.h"
#include "wire/checksum.h"

#define EXIT_SKIP 77
#define PATIENCE_MS 5000
#define ATTACH_TCX_INGRESS ((enum bpf_attach_type)46)
#define UDP_SEGMENT_NR 103
#define CLIENT IP4(10, 0, 0, 1)
#define SERVER IP4(10, 1, 0, 2)
#define OUTSIDE IP4(10, 1, 0, 77) /* what the client becomes */
#define CLIENT_PORT 4000
#define SERVER_PORT 5000
#define OUTSIDE_PORT 6000

enum place { ROUTER, CLIENT_NS, SERVER_NS, N_PLACES };

static struct world {
	int ns[N_PLACES], tap;
	struct fastpath *f;
	uint32_t r0, r1, up0;
	char err[512];
} w;

/* --- the world --- */

static YG_PRINTF(1, 2) int run(const char *fmt, ...)
{
	char cmd[512];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(cmd, sizeof(cmd), fmt, args);
	va_end(args);
	return system(cmd);
}

static void go(enum place p)
{
	assert_int_equal(setns(w.ns[p], CLONE_NEWNET), 0);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void offload_set(const char *dev, uint32_t what, uint32_t on)
{
	struct ethtool_value v = { .cmd = what, .data = on };
	struct ifreq r = { .ifr_data = (void *)&v };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)strcpy(r.ifr_name, dev);
	assert_int_equal(ioctl(fd, SIOCETHTOOL, &r), 0);
	close(fd);
}

static int open_tap(const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	(void)strcpy(r.ifr_name, name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r) != 0 || ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4) != 0) {
		printf("skipped: no TAP device: %s\n", strerror(errno));
		exit(EXIT_SKIP);
	}
	return fd;
}

static int set_up(void **state)
{
	for (int i = N_PLACES - 1; i >= 0; i--) {
		assert_int_equal(unshare(CLONE_NEWNET), 0);
		w.ns[i] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		assert_int_equal(run("ip link set lo up"), 0);
	}
	assert_int_equal(run("ip link add r0 address 02:00:00:00:00:10 type veth peer name c0 && "
			     "ip link set c0 netns /proc/%d/fd/%d && "
			     "ip link add r1 address 02:00:00:00:00:11 type veth peer name s0 && "
			     "ip link set s0 netns /proc/%d/fd/%d && ip link set r0 up && ip link set r1 up",
			     getpid(), w.ns[CLIENT_NS], getpid(), w.ns[SERVER_NS]),
			 0);
	w.tap = open_tap("up0");
	assert_int_equal(run("ip link set up0 up"), 0);
	go(CLIENT_NS);
	assert_int_equal(
		run("ip link set c0 up && ip addr add 10.0.0.1/24 dev c0 && ip route add default via 10.0.0.254 "
		    "&& ip neigh add 10.0.0.254 lladdr 02:00:00:00:00:10 dev c0"),
		0);
	go(SERVER_NS);
	assert_int_equal(run("ip link set s0 address 02:00:00:00:00:22 up && ip addr add 10.1.0.2/24 dev s0 && "
			     "ip neigh add 10.1.0.77 lladdr 02:00:00:00:00:11 dev s0"),
			 0);
	go(ROUTER);
	w.r0 = if_nametoindex("r0");
	w.r1 = if_nametoindex("r1");
	w.up0 = if_nametoindex("up0");
	const struct fastpath_limits limits = { .n_connections = 64, .n_adjacencies = 8 };
	if (fastpath_open(&limits, &w.f, w.err, sizeof(w.err)) != 0)
		fail_msg("%s", w.err);
	return 0;
}

static int tear_down(void **state)
{
	fastpath_close(w.f);
	close(w.tap);
	for (int i = 0; i < N_PLACES; i++)
		close(w.ns[i]);
	return 0;
}

static struct fastpath_port port_of(uint32_t number, enum fastpath_kind kind)
{
	return (struct fastpath_port){
		.number = number, .ifindex = number == 1 ? w.r0 : w.r1, .kind = kind, .up_ifindex = w.up0
	};
}

static void attach(uint32_t number, enum fastpath_kind kind, enum fastpath_tc tc)
{
	struct fastpath_port p = port_of(number, kind);

	if (fastpath_attach_how(w.f, &p, tc, w.err, sizeof(w.err)) != 0)
		fail_msg("%s", w.err);
}

/* --- who is there --- */

static const struct hook {
	enum fastpath_kind kind;
	enum fastpath_tc tc;
} hooks[] = {
	{ FASTPATH_XDP_NATIVE, FASTPATH_TC_BEST },
	{ FASTPATH_XDP_GENERIC, FASTPATH_TC_BEST },
	{ FASTPATH_TC, FASTPATH_TC_BEST },
	{ FASTPATH_TC, FASTPATH_TC_CLSACT },
};

/* 0 when nothing of anybody's is on r0. */
static int anybody(char *err, size_t err_len)
{
	int r = probe_foreign_xdp(w.r0, err, err_len);

	if (r == 0)
		r = probe_foreign_tcx(w.r0, err, err_len);
	return r != 0 ? r : clsact_claim(w.r0, err, err_len);
}

/* Would catch: a program not hung where it was asked for, or left there; a second gateway on the same device. */
static void test_attach_and_detach(void **state)
{
	for (uint32_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		struct fastpath_port p = port_of(1, hooks[i].kind);

		assert_int_equal(anybody(w.err, sizeof(w.err)), 0);
		attach(1, hooks[i].kind, hooks[i].tc);
		assert_int_equal(anybody(w.err, sizeof(w.err)), -EBUSY);
		assert_non_null(strstr(w.err, hooks[i].kind == FASTPATH_TC ? FP_NAME_TC : FP_NAME_XDP));
		/* The same number, then another number on the same device. */
		assert_int_equal(fastpath_attach(w.f, &p, w.err, sizeof(w.err)), -EINVAL);
		p.number = 2;
		assert_int_equal(fastpath_attach(w.f, &p, w.err, sizeof(w.err)), -EBUSY);
		fastpath_detach(w.f, 1);
		assert_int_equal(anybody(w.err, sizeof(w.err)), 0);
	}
	assert_int_equal(run("test -z \"$(tc qdisc show dev r0 clsact)\""), 0);
}

static int foreign_program(enum bpf_prog_type type)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 2 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(type, "somebody_else", "GPL", insns, 2, NULL);

	assert_true(fd >= 0);
	return fd;
}

static void add_foreign_filter(int prog_fd)
{
	char buf[1024];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = RTM_NEWTFILTER;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
	struct tcmsg *t = mnl_nlmsg_put_extra_header(h, sizeof(*t));
	t->tcm_ifindex = (int)w.r0;
	t->tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
	t->tcm_info = TC_H_MAKE(7u << 16, htons(ETH_P_ALL));
	mnl_attr_put_strz(h, TCA_KIND, "bpf");
	struct nlattr *options = mnl_attr_nest_start(h, TCA_OPTIONS);
	mnl_attr_put_u32(h, TCA_BPF_FD, (uint32_t)prog_fd);
	mnl_attr_put_strz(h, TCA_BPF_NAME, "somebody_else");
	mnl_attr_nest_end(h, options);
	assert_int_equal(fastpath_netlink(NETLINK_ROUTE, h, NULL, NULL), 0);
}

static void refused_by_name(enum fastpath_kind kind, int prog_fd)
{
	struct fastpath_port p = port_of(1, kind);
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	char id[32];

	assert_int_equal(bpf_obj_get_info_by_fd(prog_fd, &info, &len), 0);
	(void)snprintf(id, sizeof(id), "(id %u)", info.id);
	assert_int_equal(fastpath_attach(w.f, &p, w.err, sizeof(w.err)), -EBUSY);
	if (strstr(w.err, "somebody_else") == NULL || strstr(w.err, id) == NULL || strstr(w.err, "r0") == NULL)
		fail_msg("no name or number: %s", w.err);
}

/* Would catch: somebody else's program pushed aside or run past; a refusal that does not say whose it is. */
static void test_foreign_programs_are_refused(void **state)
{
	int xdp = foreign_program(BPF_PROG_TYPE_XDP), tc = foreign_program(BPF_PROG_TYPE_SCHED_CLS), link;

	link = bpf_link_create(xdp, (int)w.r0, BPF_XDP, NULL);
	assert_true(link >= 0);
	refused_by_name(FASTPATH_XDP_NATIVE, xdp);
	refused_by_name(FASTPATH_XDP_GENERIC, xdp);
	close(link);
	link = bpf_link_create(tc, (int)w.r0, ATTACH_TCX_INGRESS, NULL);
	if (link >= 0) {
		refused_by_name(FASTPATH_TC, tc);
		close(link);
	}
	assert_int_equal(run("tc qdisc add dev r0 clsact"), 0);
	add_foreign_filter(tc);
	refused_by_name(FASTPATH_TC, tc);
	close(xdp);
	close(tc);
}

/* Would catch: a sentence that does not say what to do. */
static void test_failures_say_what_to_do(void **state)
{
	struct fastpath_port p = port_of(1, FASTPATH_XDP_NATIVE);

	assert_int_equal(run("ip link set r0 mtu 9000"), 0);
	go(CLIENT_NS);
	assert_int_equal(run("ip link set c0 mtu 9000"), 0);
	go(ROUTER);
	assert_int_equal(fastpath_attach(w.f, &p, w.err, sizeof(w.err)), -ERANGE);
	assert_non_null(strstr(w.err, "MTU 9000"));
	assert_non_null(strstr(w.err, "3506"));
	p.ifindex = w.up0 + 100;
	assert_int_equal(fastpath_attach(w.f, &p, w.err, sizeof(w.err)), -ENODEV);
	p.ifindex = if_nametoindex("lo");
	assert_int_equal(fastpath_attach(w.f, &p, w.err, sizeof(w.err)), -EOPNOTSUPP);
	assert_non_null(strstr(w.err, "driver tc"));
	p.number = FP_PORTS;
	assert_int_equal(fastpath_attach(w.f, &p, w.err, sizeof(w.err)), -EINVAL);
}

/* --- killed --- */

static pid_t other_gateway(const struct hook *hook)
{
	int ready[2];
	char c;

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct fastpath_port p = port_of(1, hook->kind);
		struct fastpath *f;

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (fastpath_open(NULL, &f, w.err, sizeof(w.err)) == 0 &&
		    fastpath_attach_how(f, &p, hook->tc, w.err, sizeof(w.err)) == 0 && write(ready[1], "y", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void kill_it(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static bool kernel_answers(void)
{
	go(CLIENT_NS);
	bool yes = run("ping -c 1 -W 1 -i 0.2 10.0.0.254 >/dev/null") == 0;
	go(ROUTER);
	return yes;
}

/* Would catch: a killed gateway whose program stays and takes packets away; a filter that cannot be replaced, or is
 * taken for dead while its process lives. */
static void test_killed(void **state)
{
	assert_int_equal(run("ip addr add 10.0.0.254/24 dev r0"), 0);
	for (uint32_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		struct fastpath_port p = port_of(1, hooks[i].kind);
		pid_t pid = other_gateway(&hooks[i]);
		uint64_t until = now_ms() + PATIENCE_MS;

		assert_int_equal(fastpath_attach(w.f, &p, w.err, sizeof(w.err)), -EBUSY);
		assert_false(kernel_answers());
		kill_it(pid);
		while (!kernel_answers())
			assert_true(now_ms() < until);
		/* The link's end is carried out a little after the process's. */
		while (fastpath_attach_how(w.f, &p, hooks[i].tc, w.err, sizeof(w.err)) != 0)
			assert_true(now_ms() < until);
		assert_int_equal(run("test \"$(tc filter show dev r0 ingress | grep -c yangguan)\" = %d",
				     hooks[i].tc == FASTPATH_TC_CLSACT),
				 0);
		fastpath_detach(w.f, 1);
		assert_int_equal(anybody(w.err, sizeof(w.err)), 0);
	}
}

/* --- packets --- */

static uint16_t change(uint32_t from, uint32_t to)
{
	return checksum_fold((from >> 16) + (from & 0xffff) + (~to >> 16) + (~to & 0xffff));
}

static void add_flow(enum fp_how how)
{
	static const uint8_t header[14] = { 2, 0, 0, 0, 0, 0x22, 2, 0, 0, 0, 0, 0x11, 8, 0 };
	const struct fastpath_maps *m = fastpath_maps(w.f);
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
	*a = (struct fp_adjacency){ .how = (uint8_t)how, .port = 2, .ifindex = w.r1, .mtu = 1500 };
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

	go(p);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	go(ROUTER);
	return fd;
}

/* Sends n datagrams of len bytes in one buffer; true when all arrive, translated. */
static bool arrives(uint32_t n, uint32_t len)
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
	while (n_in < n && poll(&p, 1, 300) == 1) {
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

static uint64_t counted(enum fp_count what)
{
	struct fastpath_counts c;

	fastpath_counts(w.f, &c);
	return c.count[what];
}

/* Would catch: a partial checksum that is mended as if it were whole, or the other way round; a large segment cut or
 * lost; a peer fed with frames that it does not take. r1 finishes checksums in software, so that the server's
 * kernel looks at them. */
static void test_tc_keeps_what_senders_leave_unfinished(void **state)
{
	enum fp_how peer = fastpath_how(w.f, FASTPATH_TC, w.r1);

	assert_int_equal(peer, FP_HOW_PEER);
	for (uint32_t i = 2; i < 4; i++) {
		attach(1, FASTPATH_TC, hooks[i].tc);
		for (enum fp_how how = FP_HOW_REDIRECT; how <= FP_HOW_PEER; how++) {
			uint64_t before = counted(FP_FORWARDED);

			add_flow(how);
			assert_true(arrives(1, 100));
			assert_true(arrives(1, 1472));
			assert_true(arrives(10, 1000));
			if (how == FP_HOW_REDIRECT) {
				offload_set("r1", ETHTOOL_STXCSUM, 0);
				assert_true(arrives(1, 101));
				assert_true(arrives(10, 1000));
				offload_set("r1", ETHTOOL_STXCSUM, 1);
				assert_int_equal(counted(FP_FORWARDED) - before, 5);
			} else {
				assert_int_equal(counted(FP_FORWARDED) - before, 3);
			}
		}
		fastpath_detach(w.f, 1);
	}
}

/* Would catch: packets for user space that do not come out of the TAP, or come changed. */
static void test_tc_sends_the_rest_up(void **state)
{
	struct pollfd p = { .fd = w.tap, .events = POLLIN };
	uint8_t in[2000];
	ssize_t n;

	attach(1, FASTPATH_TC, FASTPATH_TC_BEST);
	while (read(w.tap, in, sizeof(in)) > 0)
		;
	fastpath_maps(w.f)->config->on = 1;
	assert_false(arrives(1, 50));
	assert_true(counted(FP_UP_NO_FLOW) > 0);
	do { /* past what the kernel itself says on the TAP */
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		n = read(w.tap, in, sizeof(in));
	} while (n < 10 + 14 + 28 || memcmp(in + 10 + 14 + 20, "\x0f\xa0\x13\x88", 4) != 0);
	assert_int_equal(n, 10 + 14 + 28 + 50);
	assert_int_equal(in[0] & 1, 1); /* the checksum is still to be done */
	assert_memory_equal(in + 10, "\x02\x00\x00\x00\x00\x10", 6);
}

/* Would catch: a device that drops redirected frames taken for one that takes them; drops that nobody counts; a
 * native XDP program at a peer that packets are carried past. */
static void test_ways_out_and_what_is_lost(void **state)
{
	struct fastpath_counts c;

	/* Nobody at the other end polls for frames. */
	assert_int_equal(fastpath_how(w.f, FASTPATH_XDP_GENERIC, w.r1), FP_HOW_REDIRECT);
	assert_int_equal(fastpath_how(w.f, FASTPATH_TC, w.up0), FP_HOW_REDIRECT);
	go(CLIENT_NS);
	offload_set("c0", ETHTOOL_STXCSUM, 0);
	go(ROUTER);
	attach(1, FASTPATH_XDP_NATIVE, FASTPATH_TC_BEST);
	attach(2, FASTPATH_XDP_NATIVE, FASTPATH_TC_BEST);
	add_flow(FP_HOW_REDIRECT);
	enum fp_how how = fastpath_how(w.f, FASTPATH_XDP_NATIVE, w.r1);
	bool arrived = arrives(1, 100);
	fastpath_counts(w.f, &c);
	assert_int_equal(c.count[FP_FORWARDED], 1);
	assert_false(arrived);
	if (c.lost_known)
		assert_int_equal(c.n_lost, 1);
	/* A kernel before 6.3 cannot say. */
	assert_true(how == FP_HOW_UP || run("test -e /sys/kernel/btf/vmlinux") != 0);

	int xdp = foreign_program(BPF_PROG_TYPE_XDP); /* passes all */
	go(SERVER_NS);
	int link = bpf_link_create(xdp, (int)if_nametoindex("s0"), BPF_XDP, NULL);
	assert_true(link >= 0);
	go(ROUTER);
	assert_int_equal(fastpath_how(w.f, FASTPATH_XDP_NATIVE, w.r1), FP_HOW_REDIRECT);
	assert_int_equal(fastpath_how(w.f, FASTPATH_TC, w.r1), FP_HOW_REDIRECT);
	assert_true(arrives(1, 100));
	/* And with the sender's checksums left undone: seen, and sent up, where nobody is. */
	go(CLIENT_NS);
	offload_set("c0", ETHTOOL_STXCSUM, 1);
	go(ROUTER);
	uint64_t refused = counted(FP_UP_REFUSED);
	assert_false(arrives(1, 100));
	assert_true(counted(FP_UP_REFUSED) > refused);
	assert_int_equal(fastpath_maps(w.f)->flow[0].up, 1);
	close(link);
	close(xdp);
}

/* Would catch: a device that goes while packets are sent to it, taken for a way out. */
static void test_a_device_that_goes(void **state)
{
	go(CLIENT_NS);
	offload_set("c0", ETHTOOL_STXCSUM, 0);
	go(ROUTER);
	attach(1, FASTPATH_XDP_GENERIC, FASTPATH_TC_BEST);
	attach(2, FASTPATH_XDP_GENERIC, FASTPATH_TC_BEST);
	add_flow(FP_HOW_REDIRECT);
	assert_true(arrives(1, 100));
	assert_int_equal(run("ip link del r1"), 0);
	assert_true(fastpath_maps(w.f)->flow[0].up == 0);
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(SERVER_PORT),
				  .sin_addr = { htonl(SERVER) } };
	int from = udp_socket(CLIENT_NS, CLIENT, CLIENT_PORT);
	uint64_t until = now_ms() + PATIENCE_MS, refused = counted(FP_UP_REFUSED);
	assert_int_equal(sendto(from, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	while (counted(FP_UP_REFUSED) == refused)
		assert_true(now_ms() < until);
	assert_int_equal(fastpath_maps(w.f)->flow[0].up, 1);
	close(from);
	fastpath_detach(w.f, 2);
}

#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_attach_and_detach),
		WORLD_TEST(test_foreign_programs_are_refused),
		WORLD_TEST(test_failures_say_what_to_do),
		WORLD_TEST(test_killed),
		WORLD_TEST(test_tc_keeps_what_senders_leave_unfinished),
		WORLD_TEST(test_tc_sends_the_rest_up),
		WORLD_TEST(test_ways_out_and_what_is_lost),
		WORLD_TEST(test_a_device_that_goes),
	};
	struct fastpath *f;

	if (unshare(CLONE_NEWNET) != 0) {
		printf("skipped: no network namespace of our own: %s\n", strerror(errno));
		return EXIT_SKIP;
	}
	int r = fastpath_open(NULL, &f, w.err, sizeof(w.err));
	if (r == -EPERM || r == -EACCES || r == -ENOSYS) {
		printf("skipped: %s\n", w.err);
		return EXIT_SKIP;
	}
	if (r == 0)
		fastpath_close(f);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
