/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The bench's load: sends flows out of the client's device and counts what comes
 * to the server's. It is told what to do on its standard input, a line a command,
 * and answers each with a line of JSON:
 *
 *   warm SET FLOWS REPLIES RATE SECONDS
 *       every flow is sent, and answered, until it has had so many replies; of SET
 *       `oneway` nobody answers, and what arrives is counted instead. Starts
 *       at RATE frames a second and finds out what gets through. Ends after
 *       SECONDS at the latest, and says which share of the flows is warm.
 *   blast SECONDS FLOOD
 *       the flows of the last `warm`, at random, as fast as it goes, with FLOOD
 *       frames a second of new flows beside them; counts what arrives.
 *
 * SET is `spread` or `taken` (flow.h), or `oneway`, which are the flows of `spread`. It needs root, and enters the two
 * network namespaces by itself. The programs hang on links and on namespaces that end with the bench, so nothing is
 * left behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "flow.h"

#ifndef BPF_F_TEST_XDP_LIVE_FRAMES
#define BPF_F_TEST_XDP_LIVE_FRAMES (1U << 1)
#endif

#define RAMP_NS 100000000u /* of a blast that is not counted */
#define SLICE_S 0.4        /* of warming up, between two looks at what came through */
#define WARM_SHARE 0.9999

struct load {
	struct bpf_object *generator, *receiver;
	struct bpf_link *link[RX_N_SIDES]; /* XDP */
	int generate_fd;
	struct gen *gen;
	struct rx *rx;
	pthread_t generating;
	atomic_bool watching, ended;
	uint64_t end_ns;    /* CLOCK_MONOTONIC: when warming up must be over */
	uint64_t window_ns; /* of a blast */
	enum rx_side warms; /* where frames are counted while flows are warmed up */
	struct sample {
		uint64_t ns, n_sent, n_flood;
		struct rx_slot server;
	} from, to; /* of a blast */
};

static _Noreturn void fail(const char *what, int error)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(error));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void enter(const char *netns)
{
	int fd = open(netns, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
		fail(netns, errno);
	close(fd);
}

static struct bpf_object *open_object(const char *dir, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	struct bpf_object *o = bpf_object__open_file(path, NULL);
	if (o == NULL)
		fail(path, errno);
	return o;
}

static void load_object(struct bpf_object *o, const char *name)
{
	int rc = bpf_object__load(o);

	if (rc != 0)
		fail(name, -rc);
}

static void *map_memory(struct bpf_object *o, const char *name, size_t len)
{
	int fd = bpf_object__find_map_fd_by_name(o, name);
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		fail(name, errno);
	return p;
}

/* Hangs the receiver of one side on a device of the namespace we are in. NULL for tc, which goes with the device. */
static struct bpf_link *attach(struct bpf_object *o, const char *program, const char *dev, bool is_xdp)
{
	int ifindex = (int)if_nametoindex(dev);
	struct bpf_program *prog = bpf_object__find_program_by_name(o, program);

	if (ifindex == 0 || prog == NULL)
		fail(dev, ENODEV);
	if (is_xdp) {
		struct bpf_link *link = bpf_program__attach_xdp(prog, ifindex);

		if (link == NULL)
			fail(program, errno);
		return link;
	}
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = bpf_program__fd(prog));
	int rc = bpf_tc_hook_create(&hook);
	if (rc == 0 || rc == -EEXIST)
		rc = bpf_tc_attach(&hook, &opts);
	if (rc != 0)
		fail(program, -rc);
	return NULL;
}

/* The device's own MAC address. */
static void mac_of(const char *dev, uint8_t mac[6])
{
	struct ifreq req = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", dev);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &req) != 0)
		fail(dev, errno);
	memcpy(mac, req.ifr_hwaddr.sa_data, 6);
	close(fd);
}

static void on_signal(int sig)
{
}

/* Has the generator run on until `watch` returns, in a thread of its own: a run ends by a signal only, and to begin one
 * takes the kernel some milliseconds. */
static void run_while(struct load *l, void *(*watch)(void *))
{
	uint8_t frame[FRAME_LEN] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame), .repeat = 1 << 30,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);
	pthread_t thread;

	atomic_store(&l->watching, true);
	atomic_store(&l->ended, false);
	l->generating = pthread_self();
	int rc = pthread_create(&thread, NULL, watch, l);
	if (rc != 0)
		fail("pthread_create", rc);
	while (atomic_load(&l->watching)) {
		rc = bpf_prog_test_run_opts(l->generate_fd, &opts);
		if (rc != 0 && rc != -EINTR)
			fail("BPF_PROG_TEST_RUN", -rc);
	}
	atomic_store(&l->ended, true);
	pthread_join(thread, NULL);
}

static void sleep_until(uint64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
	}
}

static void *watched(struct load *l)
{
	atomic_store(&l->watching, false);
	/* Again and again, since the first may come just before the run begins. */
	while (!atomic_load(&l->ended)) {
		pthread_kill(l->generating, SIGUSR1);
		sleep_until(now_ns() + 500000);
	}
	return NULL;
}

static struct rx_slot total(const struct load *l, enum rx_side side)
{
	struct rx_slot sum = { 0 };

	for (int i = 0; i < RX_CPUS; i++) {
		const volatile struct rx_slot *s = &l->rx->slot[side][i];

		sum.n_frames += s->n_frames;
		sum.n_flood += s->n_flood;
		sum.n_bad += s->n_bad;
		sum.n_untranslated += s->n_untranslated;
	}
	return sum;
}

static void start(struct load *l, enum gen_order order, uint64_t limit, uint32_t rate_pps, uint32_t flood_pps)
{
	l->gen->limit_turns = order == GEN_MISSING ? l->gen->n_flows : UINT64_MAX;
	l->gen->order = order;
	l->gen->limit = limit;
	l->gen->rate_pps = rate_pps;
	l->gen->flood_pps = flood_pps;
	l->gen->n_turns = l->gen->n_sent = 0;
	/* Each flood goes on where the last ended: its flows must be new ones. */
	l->gen->start_ns = now_ns();
	if (flood_pps > 0)
		l->gen->start_ns -= (uint64_t)((double)l->gen->n_flood / flood_pps * 1e9);
}

/* Until nothing has come to where it is counted for a while. */
static void settle(const struct load *l)
{
	for (uint64_t seen = UINT64_MAX, now; (now = total(l, l->warms).n_frames) != seen; seen = now)
		usleep(30000);
}

static uint32_t n_warm(const struct load *l, uint32_t n_flows, uint32_t wanted)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < n_flows; i++)
		n += ((const volatile uint8_t *)l->rx->replies)[i] >= wanted;
	return n;
}

static void *watch_slice(void *load)
{
	struct load *l = load;
	const volatile struct gen *g = l->gen;

	while (g->n_sent < g->limit && g->n_turns < g->limit_turns && now_ns() < l->end_ns)
		sleep_until(now_ns() + 500000);
	return watched(l);
}

/* Sends a slice of the flows that want replies; the share that was answered. */
static double warm_slice(struct load *l, uint64_t n, uint32_t rate_pps)
{
	uint64_t before = total(l, l->warms).n_frames;

	start(l, GEN_MISSING, n, rate_pps, 0);
	run_while(l, watch_slice);
	settle(l);
	return l->gen->n_sent == 0 ? 1 : (double)(total(l, l->warms).n_frames - before) / (double)l->gen->n_sent;
}

static void warm(struct load *l, uint32_t set, uint32_t n_flows, uint32_t wanted, double rate, double seconds)
{
	uint64_t began = now_ns();
	uint32_t n = 0;

	l->end_ns = began + (uint64_t)(seconds * 1e9);
	memset(l->rx->replies, 0, FLOWS_MAX);
	l->gen->set = set;
	l->gen->n_flows = n_flows;
	l->gen->position = 0;
	l->rx->answer = l->warms == RX_SERVER ? RX_SEES : RX_ANSWERS;
	while (n < n_flows * WARM_SHARE && now_ns() < l->end_ns) {
		/* A reply more each time that all have had their turn: so a flow's packets come far apart. */
		uint64_t goal = l->gen->position / n_flows + 1;

		l->gen->wanted = goal < wanted ? (uint32_t)goal : wanted;
		double share = warm_slice(l, (uint64_t)(rate * SLICE_S) + 1, (uint32_t)rate);
		if (share < 0.97 && rate > 5000)
			rate *= 0.7;
		else if (share > 0.995 && rate < 1e6)
			rate *= 1.4;
		n = n_warm(l, n_flows, wanted);
	}
	l->rx->answer = RX_SILENT;
	printf("{\"flows\": %u, \"warm\": %.6f, \"rate\": %.0f, \"seconds\": %.2f}\n", n_flows, (double)n / n_flows,
	       rate, (double)(now_ns() - began) / 1e9);
}

static struct sample sample(const struct load *l)
{
	const volatile struct gen *g = l->gen;

	return (struct sample){
		.ns = now_ns(), .n_sent = g->n_sent, .n_flood = g->n_flood, .server = total(l, RX_SERVER)
	};
}

static void *watch_blast(void *load)
{
	struct load *l = load;
	const volatile struct gen *g = l->gen;
	uint64_t patience = now_ns() + 5000000000u;

	/* On a busy machine a run takes its time to begin. */
	while (g->n_sent == 0 && now_ns() < patience)
		sleep_until(now_ns() + 500000);
	sleep_until(now_ns() + RAMP_NS);
	l->from = sample(l);
	sleep_until(now_ns() + l->window_ns);
	l->to = sample(l);
	return watched(l);
}

static void blast(struct load *l, double seconds, uint32_t flood_pps)
{
	if (l->gen->n_flows == 0) {
		printf("{\"error\": \"nothing was warmed up\"}\n");
		return;
	}
	start(l, GEN_RANDOM, UINT64_MAX, 0, flood_pps);
	l->window_ns = (uint64_t)(seconds * 1e9);
	run_while(l, watch_blast);

	const struct sample *a = &l->from, *b = &l->to;
	double s = (double)(b->ns - a->ns) / 1e9;
	printf("{\"pps\": %.0f, \"sent_pps\": %.0f, \"flood_sent_pps\": %.0f, \"flood_pps\": %.0f, \"bad\": %llu, "
	       "\"untranslated\": %llu, \"seconds\": %.3f}\n",
	       (double)(b->server.n_frames - a->server.n_frames) / s, (double)(b->n_sent - a->n_sent) / s,
	       (double)(b->n_flood - a->n_flood) / s, (double)(b->server.n_flood - a->server.n_flood) / s,
	       (unsigned long long)(b->server.n_bad - a->server.n_bad),
	       (unsigned long long)(b->server.n_untranslated - a->server.n_untranslated), s);
}

static void command(struct load *l, const char *line)
{
	char set[16];
	uint32_t n_flows, wanted, flood;
	double rate, seconds;

	if (sscanf(line, "warm %15s %u %u %lf %lf", set, &n_flows, &wanted, &rate, &seconds) == 5 && n_flows > 0 &&
	    n_flows <= FLOWS_MAX && wanted > 0 && wanted < 255) {
		l->warms = strcmp(set, "oneway") == 0 ? RX_SERVER : RX_CLIENT;
		warm(l, strcmp(set, "taken") == 0 ? FLOWS_TAKEN : FLOWS_SPREAD, n_flows, wanted, rate, seconds);
	} else if (sscanf(line, "blast %lf %u", &seconds, &flood) == 2) {
		blast(l, seconds, flood);
	} else {
		printf("{\"error\": \"no such command\"}\n");
	}
	fflush(stdout);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		fail("sched_setaffinity", errno);
}

static void open_all(struct load *l, char *self, char **argv)
{
	const char *dir = dirname(self);
	bool is_xdp = strcmp(argv[1], "xdp") == 0;
	unsigned int mac[6];

	l->receiver = open_object(dir, "receiver.bpf.o");
	load_object(l->receiver, "receiver.bpf.o");
	l->generator = open_object(dir, "generator.bpf.o");
	bpf_map__reuse_fd(bpf_object__find_map_by_name(l->generator, "rx_map"),
			  bpf_object__find_map_fd_by_name(l->receiver, "rx_map"));
	load_object(l->generator, "generator.bpf.o");
	l->generate_fd = bpf_program__fd(bpf_object__find_program_by_name(l->generator, "generate"));
	l->gen = map_memory(l->generator, "gen_map", sizeof(*l->gen));
	l->rx = map_memory(l->receiver, "rx_map", sizeof(*l->rx));

	enter(argv[4]);
	l->link[RX_SERVER] = attach(l->receiver, is_xdp ? "server_xdp" : "server_tc", argv[5], is_xdp);
	/* Last, since the generator runs in the client's namespace. */
	enter(argv[2]);
	l->link[RX_CLIENT] = attach(l->receiver, is_xdp ? "client_xdp" : "client_tc", argv[3], is_xdp);
	l->gen->ifindex = if_nametoindex(argv[3]);
	mac_of(argv[3], l->gen->src_mac);
	if (sscanf(argv[6], "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) != 6)
		fail(argv[6], EINVAL);
	for (int i = 0; i < 6; i++)
		l->gen->dst_mac[i] = (uint8_t)mac[i];
	pin(atoi(argv[7]));
}

int main(int argc, char **argv)
{
	struct load l = { 0 };
	char self[PATH_MAX], line[256];

	if (argc != 8) {
		fprintf(stderr, "usage: load xdp|tc CLIENT_NETNS CLIENT_DEV SERVER_NETNS SERVER_DEV GATEWAY_MAC CPU\n");
		return 2;
	}
	if (realpath("/proc/self/exe", self) == NULL)
		fail("/proc/self/exe", errno);
	libbpf_set_print(NULL);
	/* Without SA_RESTART: it ends a run. */
	struct sigaction on = { .sa_handler = on_signal };
	sigaction(SIGUSR1, &on, NULL);
	open_all(&l, self, argv);
	printf("{\"ready\": true}\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL)
		command(&l, line);
	for (int i = 0; i < RX_N_SIDES; i++)
		bpf_link__destroy(l.link[i]);
	bpf_object__close(l.generator);
	bpf_object__close(l.receiver);
	return 0;
}
