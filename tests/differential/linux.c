/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The kernel between two veth pairs in a namespace of its own. The gateway's ends
 * are called lan0 and wan0, as in the rules; on the far ends stand raw sockets.
 * All neighbours are permanent, so no ARP is in the way.
 *
 * What a packet leads to is known by a marker sent behind it, which the gateway
 * forwards from inside to outside without tracking it: when the marker has come
 * through, all that the packet before it caused has arrived, for one queue on one
 * processor handles both. Nothing waits for a fixed time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "ctnetlink.h"
#include "dut.h"
#include "stack/wire/ether.h"
#include "stack/wire/ipv4.h"

#define PATIENCE_MS 10000
#define MARKER_PROTO 254 /* RFC 3692: for experiments */
#define MARKER_SRC IP4(10, 77, 0, 250)
#define MARKER_DST IP4(203, 0, 113, 250)

struct kernel {
	struct dut dut;
	int fd[N_SIDES];
	struct ctnetlink *netlink;
	uint32_t n_marker;
};

static const struct ether_addr gateway_mac[N_SIDES] = { { { 2, 0, 0, 0, 8, 0 } }, { { 2, 0, 0, 0, 8, 1 } } };
/* Not the address of the far end, so its own stack takes no notice. */
static const struct ether_addr host_mac[N_SIDES] = { { { 2, 0, 0, 0, 9, 0 } }, { { 2, 0, 0, 0, 9, 1 } } };

static const char marker_rules[] = "table ip marker {\nchain prerouting { type filter hook prerouting priority -300;\n"
				   "  ip protocol 254 notrack\n"
				   "}\n}\n";

/* --- the namespace --- */

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

bool dut_enter(void)
{
	char uid[64], gid[64];

	snprintf(uid, sizeof(uid), "0 %u 1", getuid());
	snprintf(gid, sizeof(gid), "0 %u 1", getgid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	write_text("/proc/self/setgroups", "deny");
	return write_text("/proc/self/uid_map", uid) && write_text("/proc/self/gid_map", gid);
}

/* One command with text on its standard input. */
static bool run(const char *command, const char *input)
{
	FILE *f = popen(command, "w");

	if (f == NULL)
		return false;
	if (input != NULL)
		fputs(input, f);
	return pclose(f) == 0;
}

static bool set_up_links(void)
{
	static const char *const far[N_SIDES] = { "far-lan0", "far-wan0" }, *const near[N_SIDES] = { "lan0", "wan0" };
	char text[4096];
	int n = snprintf(text, sizeof(text), "link set lo up\n");

	for (int s = 0; s < N_SIDES; s++) {
		const char *addr = s == INSIDE ? "10.77.0" : "203.0.113";

		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      "link add %s address 02:00:00:00:08:%02x type veth peer name %s\n"
			      "link set %s up\nlink set %s up\naddr add %s.1/24 dev %s\n",
			      near[s], (unsigned)s, far[s], far[s], near[s], addr, near[s]);
		for (uint32_t i = 0; i < N_HOSTS + 1; i++)
			n += snprintf(text + n, sizeof(text) - (size_t)n,
				      "neigh replace %s.%u lladdr 02:00:00:00:09:%02x dev %s nud permanent\n", addr,
				      i == N_HOSTS ? 250 : HOST_NUMBER(i), (unsigned)s, near[s]);
	}
	snprintf(text + n, sizeof(text) - (size_t)n, "link set wan0 mtu %d\n", WAN_MTU);
	return run("ip -batch - >&2", text);
}

/* No address of IPv6, no traffic but ours; every answer the kernel owes. */
static bool set_up_sysctl(void)
{
	static const struct {
		const char *path, *value;
		bool needed;
	} settings[] = {
		{ "/proc/sys/net/ipv6/conf/all/disable_ipv6", "1", false },
		{ "/proc/sys/net/ipv6/conf/default/disable_ipv6", "1", false },
		{ "/proc/sys/net/ipv4/ip_forward", "1", true },
		{ "/proc/sys/net/ipv4/conf/all/rp_filter", "0", true },
		{ "/proc/sys/net/ipv4/conf/default/rp_filter", "0", true },
		{ "/proc/sys/net/ipv4/conf/all/send_redirects", "0", true },
		{ "/proc/sys/net/ipv4/conf/default/send_redirects", "0", true },
		{ "/proc/sys/net/ipv4/icmp_ratelimit", "0", true },
		{ "/proc/sys/net/ipv4/icmp_msgs_per_sec", "1000000", false },
		{ "/proc/sys/net/ipv4/icmp_msgs_burst", "1000000", false },
		{ "/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal", "0", true },
		{ "/proc/sys/net/netfilter/nf_conntrack_tcp_loose", "0", true },
		{ "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close", "120", true },
	};

	for (uint32_t i = 0; i < ARRAY_LEN(settings); i++) {
		if (!write_text(settings[i].path, settings[i].value) && settings[i].needed) {
			fprintf(stderr, "%s cannot be set\n", settings[i].path);
			return false;
		}
	}
	return true;
}

/* Checksums complete when they leave. */
static void no_offload(const char *name)
{
	struct ethtool_value v = { .cmd = ETHTOOL_STXCSUM, .data = 0 };
	struct ifreq rq = { .ifr_data = (void *)&v };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(rq.ifr_name, sizeof(rq.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCETHTOOL, &rq) < 0)
		dut_die("checksum offload of %s: %s", name, strerror(errno));
	close(fd);
}

static int ping_socket(const char *name)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
	struct sockaddr_ll a = { .sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = (int)if_nametoindex(name) };
	int one = 1;

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		dut_die("raw socket on %s: %s", name, strerror(errno));
	return fd;
}

/* --- packets --- */

static void send_frame(struct kernel *k, enum side side, const uint8_t *ip, uint32_t len)
{
	uint8_t frame[ETHER_HEADER_LEN + 1500];
	struct ether_view eth = { .dst = gateway_mac[side], .src = host_mac[side], .type = ETHERTYPE_IPV4 };

	ether_emit(frame, &eth);
	memcpy(frame + ETHER_HEADER_LEN, ip, len);
	if (send(k->fd[side], frame, ETHER_HEADER_LEN + len, 0) != (ssize_t)(ETHER_HEADER_LEN + len))
		dut_die("send: %s", strerror(errno));
}

static void send_marker(struct kernel *k)
{
	uint8_t bytes[IPV4_HEADER_LEN + 4];
	struct ipv4_view ip = { .src = MARKER_SRC,
				.dst = MARKER_DST,
				.proto = MARKER_PROTO,
				.ttl = 64,
				.header_len = IPV4_HEADER_LEN,
				.total_len = sizeof(bytes) };

	ipv4_emit(bytes, &ip);
	k->n_marker++;
	memcpy(bytes + IPV4_HEADER_LEN, &k->n_marker, 4);
	send_frame(k, INSIDE, bytes, sizeof(bytes));
}

/* Takes what has arrived on one side; true when the marker was among it. */
static bool receive(struct kernel *k, enum side side, struct outcome *out)
{
	uint8_t frame[2048];
	struct ether_view eth;
	struct ipv4_view ip;
	bool marker = false;
	ssize_t n;

	while ((n = recv(k->fd[side], frame, sizeof(frame), 0)) > 0) {
		if (!ether_parse(frame, (size_t)n, &eth) || eth.type != ETHERTYPE_IPV4)
			continue;
		if (ipv4_parse(frame + ETHER_HEADER_LEN, (size_t)n - ETHER_HEADER_LEN, &ip) != IPV4_OK)
			dut_die("the kernel sent a packet that does not parse");
		if (ip.proto == MARKER_PROTO) {
			marker |= memcmp(frame + ETHER_HEADER_LEN + IPV4_HEADER_LEN, &k->n_marker, 4) == 0;
			continue;
		}
		if (out->n == OUTCOME_MAX)
			dut_die("the kernel sent too much for one packet");
		struct ip_packet *p = &out->packet[out->n++];

		p->side = side;
		p->len = ip.total_len;
		memcpy(p->bytes, frame + ETHER_HEADER_LEN, p->len);
	}
	return marker;
}

static void kernel_inject(struct dut *r, const struct ip_packet *p, struct outcome *out)
{
	struct kernel *k = container_of(r, struct kernel, dut);

	out->n = 0;
	ctnetlink_expect(k->netlink, p);
	send_frame(k, p->side, p->bytes, p->len);
	send_marker(k);
	while (!receive(k, OUTSIDE, out)) {
		struct pollfd wait = { k->fd[OUTSIDE], POLLIN, 0 };

		if (poll(&wait, 1, PATIENCE_MS) <= 0)
			dut_die("the kernel lost the marker");
	}
	receive(k, INSIDE, out);
}

/* --- the table --- */

static uint32_t kernel_list(struct dut *r, struct entry *out)
{
	return ctnetlink_list(container_of(r, struct kernel, dut)->netlink, out);
}

static void kernel_flush(struct dut *r)
{
	ctnetlink_flush(container_of(r, struct kernel, dut)->netlink);
}

/* Ours after all tables of the text, so that what it flushes is not ours. */
static void kernel_rules(struct dut *r, const char *rules)
{
	FILE *f;

	/* By itself: what was in the hooks before is out of them. */
	if (!run("nft flush ruleset", NULL) || (f = popen("nft -f - >&2", "w")) == NULL)
		dut_die("nft cannot be run");
	fprintf(f, "%s\n%s", rules, marker_rules);
	if (pclose(f) != 0)
		dut_die("nft refuses the rules:\n%s", rules);
}

static void kernel_close(struct dut *r)
{
	struct kernel *k = container_of(r, struct kernel, dut);

	close(k->fd[INSIDE]);
	close(k->fd[OUTSIDE]);
	ctnetlink_close(k->netlink);
	free(k);
}

struct dut *dut_linux(const char **reason)
{
	struct kernel *k = calloc(1, sizeof(*k));
	cpu_set_t one;

	if (k == NULL)
		dut_die("no memory");
	*reason = NULL;
	if (system("nft --version >/dev/null 2>&1") != 0)
		*reason = "nft is not installed";
	else if (!dut_enter())
		*reason = "this system forbids user namespaces";
	else if (!run("nft -f - >&2", marker_rules) || !run("nft -f - >&2", dut_rules))
		*reason = "this kernel has not the nft expressions that the rules need";
	else if (!set_up_sysctl())
		*reason = "this kernel has not the settings of connection tracking";
	if (*reason != NULL) {
		free(k);
		return NULL;
	}
	/* One processor, so one queue, so the marker cannot overtake. */
	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0)
		dut_die("sched_setaffinity: %s", strerror(errno));
	if (!set_up_links())
		dut_die("the links cannot be set up");
	no_offload("lan0");
	no_offload("wan0");
	k->fd[INSIDE] = ping_socket("far-lan0");
	k->fd[OUTSIDE] = ping_socket("far-wan0");
	k->netlink = ctnetlink_open();
	k->dut = (struct dut){ .name = "linux",
			       .inject = kernel_inject,
			       .list = kernel_list,
			       .flush = kernel_flush,
			       .rules = kernel_rules,
			       .close = kernel_close };
	return &k->dut;
}
