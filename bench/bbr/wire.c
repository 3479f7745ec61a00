/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The kernel's own TCP over the path of `yangguan bbr`, in real time.
 *
 *   bbr_wire CC RATE_BPS RTT_MS BUFFER_BDP SECONDS [LOSS]   (root, or a user namespace with a TUN)
 *
 *   kernel 10.9.0.1, tun0 --- path (src/tools/bbr/path.h) --- tun0, 10.9.0.2 kernel, in the other namespace
 *
 * A socket in each of two network namespaces of our own; what comes out of one TUN goes over the path and into the
 * other. The TUNs take no large segments, so the kernel's leave one by one. What is printed is what `yangguan bbr -j
 * --rounds` prints; rounds and inflight are measured as there (sim.c), on the path.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "tools/bbr/path.h"

#define PORT 5001
#define MTU 1500u
#define MARKED 1u
#define CHUNK 65536u

static struct wire {
	struct path *path;
	uint64_t start, rtt_ns, rate_bps;
	int tun[2], sender, receiver, timer;
	/* As in sim.c. */
	uint64_t arrived, on_way, unsaid, mark_sent_at, mark_arrived, n_sent, n_lost, goodput, most_queue;
	bool is_marked, says_mark, has_round;
	double bdp, queue_sum, inflight_sum, n_ticks;
	uint64_t next_tick;
} w;

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "bbr_wire: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t clock_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* --- the two ends --- */

static int open_tun(int n)
{
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	char command[256];
	int fd;

	must(unshare(CLONE_NEWNET) == 0, "no network namespace of our own");
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	must(fd >= 0, "/dev/net/tun");
	memcpy(r.ifr_name, "tun0", 5);
	must(ioctl(fd, TUNSETIFF, &r) == 0, "a TUN");
	(void)snprintf(command, sizeof(command),
		       "ip addr add 10.9.0.%d/24 dev tun0 && ip link set tun0 up mtu %u txqueuelen 10000 && "
		       "sysctl -qw net.ipv4.tcp_rmem='4096 8000000 64000000' net.ipv4.tcp_wmem='4096 8000000 64000000'",
		       n, MTU);
	must(system(command) == 0, "the TUN's address");
	return fd;
}

static struct sockaddr_in name_of(const char *addr)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(PORT),
				     .sin_addr.s_addr = inet_addr(addr) };
}

static void open_ends(const char *cc)
{
	struct sockaddr_in to = name_of("10.9.0.2");

	w.tun[1] = open_tun(2);
	w.receiver = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	must(bind(w.receiver, (struct sockaddr *)&to, sizeof(to)) == 0 && listen(w.receiver, 1) == 0, "listen");
	w.tun[0] = open_tun(1);
	w.sender = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	must(setsockopt(w.sender, IPPROTO_TCP, TCP_CONGESTION, cc, (socklen_t)strlen(cc)) == 0, cc);
	must(connect(w.sender, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS, "connect");
}

/* --- packets --- */

static uint32_t payload_len(const uint8_t *ip, uint32_t len)
{
	uint32_t header = (ip[0] & 15u) * 4u;

	if (len < 40 || ip[0] >> 4 != 4 || ip[9] != IPPROTO_TCP)
		return 0;
	return len - header - (uint32_t)(ip[header + 12] >> 4) * 4u;
}

static void take_data(struct path_packet *k, uint64_t now)
{
	enum path_loss why;

	k->flags = w.is_marked ? 0 : MARKED;
	w.n_sent++;
	if (!path_send(w.path, k, now, &why)) {
		w.n_lost++;
		free(k->packet);
		return;
	}
	w.on_way += k->len;
	if (!w.is_marked) {
		w.is_marked = true;
		w.mark_sent_at = now;
		w.mark_arrived = w.arrived;
	}
}

static void take(int end)
{
	uint8_t bytes[MTU];
	ssize_t n;

	while ((n = read(w.tun[end], bytes, sizeof(bytes))) > 0) {
		uint64_t now = clock_ns();
		struct path_packet k = { .len = (uint32_t)n };

		if (bytes[0] >> 4 != 4)
			continue; /* the kernel's IPv6 */
		k.packet = malloc((size_t)n);
		must(k.packet != NULL, "memory");
		memcpy(k.packet, bytes, (size_t)n);
		k.payload = payload_len(bytes, k.len);
		if (end == 0 && k.payload > 0) {
			take_data(&k, now);
			continue;
		}
		if (end == 1) {
			k.payload = (uint32_t)w.unsaid;
			k.flags = w.says_mark ? MARKED : 0;
			w.unsaid = 0;
			w.says_mark = false;
			path_send_back(w.path, &k, now);
			continue;
		}
		enum path_loss why;

		k.spared = true; /* as in sim.c */
		if (!path_send(w.path, &k, now, &why))
			free(k.packet);
	}
}

static void end_round(uint64_t now)
{
	uint64_t rtt = now - w.mark_sent_at;

	w.is_marked = false;
	printf("%s\n[0,%.4f,%.3f,%llu,%.0f,0,0,0,\"\"]", w.has_round ? "," : "", (double)(now - w.start) / NS_PER_S,
	       (double)rtt / NS_PER_MS, (unsigned long long)w.on_way,
	       (double)(w.arrived - w.mark_arrived) * 8 * NS_PER_S / (double)rtt);
	w.has_round = true;
}

static void give(const struct path_packet *k, enum path_end end)
{
	if (end == PATH_TO_RECEIVER && k->payload > 0) {
		w.arrived += k->len;
		w.unsaid += k->len;
		w.says_mark |= (k->flags & MARKED) != 0;
	} else if (end == PATH_TO_SENDER) {
		w.on_way -= k->payload;
	}
	must(write(w.tun[end == PATH_TO_RECEIVER], k->packet, k->len) == (ssize_t)k->len || errno == EAGAIN, "write");
	free(k->packet);
	if (end == PATH_TO_SENDER && (k->flags & MARKED))
		end_round(clock_ns());
}

/* --- the programs, and time --- */

static void programs(void)
{
	static uint8_t bytes[CHUNK];
	static bool is_accepted;
	int one = 1;

	if (!is_accepted) {
		int fd = accept4(w.receiver, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		(void)close(w.receiver);
		w.receiver = fd;
		is_accepted = true;
	}
	(void)setsockopt(w.receiver, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
	while (send(w.sender, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0)
		;
	for (ssize_t n; (n = recv(w.receiver, bytes, sizeof(bytes), MSG_TRUNC)) > 0;)
		w.goodput += (uint64_t)n * MTU / (MTU - 52);
}

static void tick(uint64_t now)
{
	for (; w.next_tick <= now; w.next_tick += NS_PER_MS) {
		w.n_ticks++;
		w.queue_sum += (double)path_queue(w.path) / w.bdp;
		w.inflight_sum += (double)w.on_way / w.bdp;
		w.most_queue = max_u64(w.most_queue, path_queue(w.path));
	}
}

static void wait_for(uint64_t until)
{
	struct pollfd p[3] = { { .fd = w.tun[0], .events = POLLIN },
			       { .fd = w.tun[1], .events = POLLIN },
			       { .fd = w.timer, .events = POLLIN } };
	struct itimerspec t = { .it_value = { (time_t)(until / NS_PER_S), (long)(until % NS_PER_S) } };
	uint64_t n;

	must(timerfd_settime(w.timer, TFD_TIMER_ABSTIME, &t, NULL) == 0, "timerfd");
	must(poll(p, 3, -1) >= 0 || errno == EINTR, "poll");
	(void)!read(w.timer, &n, sizeof(n));
}

int main(int argc, char **argv)
{
	static const uint8_t seed[RNG_SEED_BYTES] = { 1 };

	if (argc != 6 && argc != 7) {
		fprintf(stderr, "usage: bbr_wire CC RATE_BPS RTT_MS BUFFER_BDP SECONDS [LOSS_PERCENT]\n");
		return 2;
	}
	double seconds = atof(argv[5]), buffer = atof(argv[4]), loss = argc == 7 ? atof(argv[6]) : 0;

	w.rate_bps = strtoull(argv[2], NULL, 10);
	w.rtt_ns = (uint64_t)(atof(argv[3]) * NS_PER_MS);
	must(w.rate_bps >= 10000 && w.rtt_ns > 0 && seconds > 0 && loss >= 0 && loss < 100, "numbers above 0");
	w.bdp = (double)w.rate_bps / 8 * (double)w.rtt_ns / NS_PER_S;
	struct path_config c = { .rate_bps = w.rate_bps,
				 .buffer_bytes = (uint64_t)(buffer * w.bdp),
				 .loss_ppm = (uint32_t)(loss * 1e4 + 0.5) };

	w.path = path_create(&c, &w.rtt_ns, 1, seed);
	w.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	must(w.path != NULL && w.timer >= 0, "memory");
	open_ends(argv[1]);
	w.start = clock_ns();
	w.next_tick = w.start;
	uint64_t end = w.start + (uint64_t)(seconds * NS_PER_S), now;

	printf("{\"round_columns\":[\"flow\",\"at_s\",\"rtt_ms\",\"inflight_bytes\",\"rate_bps\",\"bw_bps\",\"max_bw_"
	       "bps\","
	       "\"cwnd_bytes\",\"state\"],\"rounds\":[");
	while ((now = clock_ns()) < end) {
		struct path_packet k;
		enum path_end where;

		take(0);
		take(1);
		while (path_receive(w.path, now, &k, &where))
			give(&k, where);
		tick(now);
		programs();
		wait_for(min_u64(min_u64(path_next(w.path), now + NS_PER_MS), end));
	}
	double share = (double)w.goodput * 8 / seconds / (double)w.rate_bps, queue = w.queue_sum / w.n_ticks;

	printf("],\"path_bps\":%llu,\"queue_mean\":%.5f,\"queue_max\":%.5f,\"queue_95\":null,\"flows\":[{\"cc\":\"%s\","
	       "\"rtt_ms\":%s,\"rate_bps\":%.0f,\"share\":%.5f,\"inflight\":%.4f,\"rtt_ratio\":%.4f,\"sent\":%llu,"
	       "\"lost\":%.6f,\"power\":%.4f}]}\n",
	       (unsigned long long)w.rate_bps, queue, (double)w.most_queue / w.bdp, argv[1], argv[3],
	       share * (double)w.rate_bps, share, w.inflight_sum / w.n_ticks, 1 + queue, (unsigned long long)w.n_sent,
	       (double)w.n_lost / (double)max_u64(w.n_sent, 1), share / (1 + queue));
	return 0;
}
