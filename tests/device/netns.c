/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The namespaces, the bridge and the TCP stream of netns.h.
 */
#include "netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "stack/packet/gso.h"
#include "programs.h"

#define EXIT_SKIP 77

/* --- namespaces --- */

void netns_go(struct netns_fixture *w, enum netns_place p)
{
	assert_int_equal(setns(w->ns[p], CLONE_NEWNET), 0);
}

int netns_run(const char *fmt, ...)
{
	char cmd[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, args);
	va_end(args);
	return system(cmd);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd >= 0) {
		if (write(fd, text, strlen(text)) < 0)
			perror(path);
		close(fd);
	}
}

static int current_ns(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

void netns_enter(void)
{
	char map[64];
	unsigned int uid = getuid(), gid = getgid();

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		printf("skipped: this system forbids user namespaces (%s)\n", strerror(errno));
		exit(EXIT_SKIP);
	}
	write_text("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_text("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	write_text("/proc/self/gid_map", map);
}

void netns_enter_as_root(void)
{
	int map = programs_xsk_map();

	if (map < 0 || unshare(CLONE_NEWNET) < 0) {
		printf("skipped: programs for the kernel need root (%s)\n", strerror(map < 0 ? -map : errno));
		exit(EXIT_SKIP);
	}
	close(map);
}

struct netns_fixture *netns_make(void)
{
	struct netns_fixture *w = calloc(1, sizeof(*w));
	struct packet_pool_config cfg = { .n_packets = 4096, .n_small = 1024, .n_large = 64 };

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	w->ns[NETNS_GW] = current_ns();
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	w->ns[NETNS_A] = current_ns();
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	w->ns[NETNS_B] = current_ns();
	netns_go(w, NETNS_GW);
	/* A name for each: ip takes a namespace by the process that is in it. */
	char path_a[64], path_b[64];
	snprintf(path_a, sizeof(path_a), "/proc/%d/fd/%d", getpid(), w->ns[NETNS_A]);
	snprintf(path_b, sizeof(path_b), "/proc/%d/fd/%d", getpid(), w->ns[NETNS_B]);
	assert_int_equal(netns_run("ip link add r0 type veth peer name a0 netns %s && ip link set r0 up", path_a), 0);
	assert_int_equal(netns_run("ip link add r1 type veth peer name b0 netns %s && ip link set r1 up", path_b), 0);
	netns_go(w, NETNS_A);
	assert_int_equal(netns_run("ip addr add 10.0.0.1/24 dev a0 && ip link set a0 up && ip link set lo up"), 0);
	netns_go(w, NETNS_B);
	assert_int_equal(netns_run("ip addr add 10.0.0.2/24 dev b0 && ip link set b0 up && ip link set lo up"), 0);
	netns_go(w, NETNS_GW);
	w->pool = packet_pool_create(&cfg);
	assert_non_null(w->pool);
	return w;
}

void netns_take(struct netns_fixture *w, int i, struct device *d)
{
	w->dev[i] = d;
	d->pool = w->pool;
	d->ledger = &w->ledger;
}

/* Each test begins with new namespaces, devices, pool and ledger. */
int netns_set_up(void **state)
{
	struct netns_fixture *w = netns_make();
	struct device *d;
	char err[256];

	for (int i = 0; i < 2; i++) {
		if (device_open("af_packet", i ? "r1" : "r0", NULL, &d, err, sizeof(err)) < 0)
			fail_msg("%s", err);
		netns_take(w, i, d);
	}
	*state = w;
	return 0;
}

int netns_tear_down(void **state)
{
	netns_end(*state);
	return 0;
}

void netns_end(struct netns_fixture *w)
{
	netns_go(w, NETNS_GW);
	/* Nothing vanishes, whatever the test did. */
	assert_int_equal(packet_pool_used(w->pool), 0);
	assert_int_equal(ledger_expected_held(&w->ledger), 0);
	for (int i = 0; i < 2; i++)
		w->dev[i]->ops->close(w->dev[i]);
	packet_pool_destroy(w->pool);
	for (int i = 0; i < N_NETNS_PLACES; i++)
		close(w->ns[i]);
	free(w);
}

/* --- time and waiting --- */

uint64_t netns_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* --- the bridge --- */

static void look_at(struct netns_fixture *w, struct packet *p)
{
	const struct offload *o = &p->offload;
	bool ok;

	w->largest = max_u32(w->largest, p->len);
	w->n_partial += o->csum_partial;
	if (o->gso_type == GSO_NONE)
		return;
	w->n_gso++;
	/* 20 bytes of IP; TCP of Linux has 32 with time stamps, more with SACK. */
	ok = o->csum_partial && o->csum_start == 34 && o->gso_size + o->gso_hdr_len <= 1514;
	if (o->gso_type == GSO_TCP4)
		ok &= o->csum_offset == 16 && o->gso_hdr_len >= 54 && o->gso_hdr_len <= 94;
	else
		ok &= o->gso_type == GSO_UDP4 && o->csum_offset == 6 && o->gso_hdr_len == 42;
	w->n_bad_gso += !ok;
}

/* One round of both directions; the number of frames moved. */
uint32_t netns_bridge(struct netns_fixture *w)
{
	uint32_t n = 0;

	for (int i = 0; i < 2; i++) {
		w->batch.n = 0;
		n += w->dev[i]->ops->rx(w->dev[i], &w->batch, BATCH_MAX);
		for (uint32_t k = 0; k < w->batch.n; k++)
			look_at(w, w->batch.p[k]);
		/* What the other one cannot be left to do. */
		for (uint32_t k = 0; k < w->batch.n; k++)
			if (!(w->dev[!i]->caps & DEVICE_CAP_CSUM))
				(void)offload_finish_checksum(w->batch.p[k]);
		if (w->batch.n)
			w->dev[!i]->ops->tx(w->dev[!i], &w->batch);
	}
	return n;
}

/* Frees what rx gave, as delivered. */
void netns_deliver(struct netns_fixture *w)
{
	for (uint32_t i = 0; i < w->batch.n; i++) {
		w->ledger.n_delivered++;
		packet_free(w->pool, w->batch.p[i]);
	}
	w->batch.n = 0;
}

/* --- a TCP stream between a and b through the bridge --- */

static uint8_t pattern(uint64_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

static struct sockaddr_in address(uint32_t a, uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(a) } };
}

void netns_stream_start(struct netns_fixture *w, struct netns_stream *s, uint64_t n_bytes)
{
	struct sockaddr_in to = address(NETNS_ADDR_B, 5001);

	memset(s, 0, sizeof(*s));
	s->n_bytes = n_bytes;
	netns_go(w, NETNS_B);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(listen(s->listener, 1), 0);
	netns_go(w, NETNS_A);
	s->from = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_true(connect(s->from, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS);
	netns_go(w, NETNS_GW);
	s->to = -1;
}

/* Moves on as far as it goes without waiting. Fails on a wrong byte. */
void netns_stream_step(struct netns_stream *s)
{
	if (s->to < 0)
		s->to = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK);
	if (s->n_sent < s->n_bytes) {
		size_t n = (size_t)min_u64(sizeof(s->out), s->n_bytes - s->n_sent);
		for (size_t i = 0; i < n; i++)
			s->out[i] = pattern(s->n_sent + i);
		ssize_t r = send(s->from, s->out, n, MSG_NOSIGNAL);
		s->n_sent += r > 0 ? (uint64_t)r : 0;
	}
	ssize_t r = s->to < 0 ? 0 : recv(s->to, s->in, sizeof(s->in), 0);
	for (ssize_t i = 0; i < r; i++, s->n_received++)
		if (s->in[i] != pattern(s->n_received))
			fail_msg("byte %llu is wrong", (unsigned long long)s->n_received);
}

/* Runs stream and bridge until n bytes have arrived; patience ends when none have come for so long. */
void netns_stream_until(struct netns_fixture *w, struct netns_stream *s, uint64_t n)
{
	uint64_t deadline = netns_now_ms() + NETNS_PATIENCE_MS;

	while (s->n_received < n) {
		uint64_t n_before = s->n_received;

		netns_stream_step(s);
		if (s->n_received > n_before)
			deadline = netns_now_ms() + NETNS_PATIENCE_MS;
		if (netns_bridge(w) == 0) {
			struct pollfd p[] = { { w->dev[0]->ops->poll_fd(w->dev[0]), POLLIN, 0 },
					      { w->dev[1]->ops->poll_fd(w->dev[1]), POLLIN, 0 } };
			poll(p, 2, s->to < 0 || s->n_sent == s->n_bytes ? 10 : 0);
		}
		if (netns_now_ms() > deadline)
			fail_msg("%llu of %llu bytes arrived", (unsigned long long)s->n_received,
				 (unsigned long long)n);
	}
}

void netns_stream_end(struct netns_fixture *w, struct netns_stream *s)
{
	close(s->from);
	close(s->to);
	close(s->listener);
	while (netns_bridge(w) > 0)
		;
}

/* A raw socket at the kernel's own end of a link. */
int netns_raw_socket(struct netns_fixture *w, enum netns_place where, const char *ifname)
{
	netns_go(w, where);
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL));
	struct sockaddr_ll a = { .sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = (int)if_nametoindex(ifname) };
	int one = 1;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	netns_go(w, NETNS_GW);
	return fd;
}

/* The first frame in which the bytes at off are the given ones; counts the rest
 * as delivered. */
struct packet *netns_receive(struct netns_fixture *w, struct device *d, uint32_t off, const void *bytes, uint32_t len)
{
	uint64_t deadline = netns_now_ms() + NETNS_PATIENCE_MS;
	struct packet *found = NULL;

	while (!found && netns_now_ms() < deadline) {
		struct pollfd p = { d->ops->poll_fd(d), POLLIN, 0 };
		poll(&p, 1, 100);
		w->batch.n = 0;
		d->ops->rx(d, &w->batch, BATCH_MAX);
		for (uint32_t i = 0; i < w->batch.n; i++) {
			struct packet *q = w->batch.p[i];
			if (!found && q->len >= off + len && memcmp(packet_frame(q) + off, bytes, len) == 0) {
				found = q;
				w->batch.p[i] = w->batch.p[--w->batch.n];
				i--;
			}
		}
		netns_deliver(w);
	}
	assert_non_null(found);
	return found;
}
