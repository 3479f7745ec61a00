/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Captures from elsewhere through a core: one capture device an interface, their
 * frames merged by time stamp, the core's timers in between. The core's clock
 * starts a second before the first frame and ends some seconds behind the last,
 * so that what waits for a timer is still seen. With the same files and seed
 * everything is the same each time.
 *
 * Nobody in a capture answers ARP. So a device of our own stands before each
 * capture device, sees the requests that the core sends, and answers them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/replay/explain.h"
#include "tools/replay/replay_priv.h"
#include "base/hex.h"
#include "base/ledger.h"
#include "base/printable.h"
#include "daemon/control/commands/command.h"
#include "daemon/device/pcap.h"
#include "stack/wire/arp.h"

#define START_NS NS_PER_S
#define LINGER_NS (5 * NS_PER_S)
#define ANSWERS_MAX 256 /* ARP answers that wait for their turn */
#define MAC_LOOK_FRAMES 4096u

struct capture_port {
	struct device face; /* what the core sees */
	struct device *pcap;
	struct capture *capture;
	uint32_t ifindex;
};

struct answer {
	uint32_t ifindex;
	uint8_t frame[ETHER_MIN_FRAME];
};

struct capture {
	struct gateway *gateway;
	struct snapshot *snap;
	struct explain *explain; /* NULL: without --explain */
	bool neigh_auto;
	uint64_t now, last_input;
	struct capture_port port[IP_INTERFACES_MAX];
	size_t n_answers;
	struct answer answer[ANSWERS_MAX];
};

static int complain(const char *fmt, ...) YG_PRINTF(1, 2);

static int complain(const char *fmt, ...)
{
	char line[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	fprintf(stderr, "yangguan replay: %s\n", printable_string(line, PRINTABLE_LINE));
	return EXIT_USAGE;
}

/* --- the neighbours that are made up --- */

static void answer_arp(struct capture_port *port, const struct packet *p)
{
	struct capture *c = port->capture;
	const uint8_t *frame = p->buf + p->off;
	struct ether_view ether;
	struct arp_view arp;

	if (!ether_parse(frame, p->len, &ether) || ether.type != ETHERTYPE_ARP ||
	    !arp_parse(frame + ETHER_HEADER_LEN, p->len - ETHER_HEADER_LEN, &arp))
		return;
	/* An announcement or a probe of ours wants no answer: one would mean a conflict. */
	if (arp.op != ARP_REQUEST || arp.spa == 0 || arp.spa == arp.tpa || c->n_answers == ANSWERS_MAX)
		return;
	struct answer *a = &c->answer[c->n_answers++];
	struct ether_addr made_up = { { 0x02, 0x00, (uint8_t)(arp.tpa >> 24), (uint8_t)(arp.tpa >> 16),
					(uint8_t)(arp.tpa >> 8), (uint8_t)arp.tpa } };
	struct arp_view reply = { .op = ARP_REPLY, .sha = made_up, .spa = arp.tpa, .tha = arp.sha, .tpa = arp.spa };
	memset(a->frame, 0, sizeof(a->frame));
	a->ifindex = port->ifindex;
	ether_emit(a->frame, &(struct ether_view){ .dst = arp.sha, .src = made_up, .type = ETHERTYPE_ARP });
	arp_emit(a->frame + ETHER_HEADER_LEN, &reply);
}

/* Gives the core what waits. An answer may bring out another request, so until there is none. */
static void deliver_answers(struct capture *c)
{
	struct env *env = gateway_env(c->gateway);

	for (size_t i = 0; i < c->n_answers; i++) {
		struct packet *p = packet_alloc(env->pool, ETHER_MIN_FRAME);
		struct batch b;
		if (p == NULL)
			continue;
		memcpy(packet_frame(p), c->answer[i].frame, ETHER_MIN_FRAME);
		env->ledger.n_received++;
		b.n = 0;
		batch_add(&b, p);
		gateway_input(c->gateway, c->answer[i].ifindex, &b, c->now);
		explain_print(c->explain);
	}
	c->n_answers = 0;
}

/* --- the device before the capture device --- */

static void face_tx(struct device *d, struct batch *b)
{
	struct capture_port *port = container_of(d, struct capture_port, face);

	for (uint32_t i = 0; i < b->n && port->capture->neigh_auto; i++)
		answer_arp(port, b->p[i]);
	port->pcap->ops->tx(port->pcap, b);
	d->n_tx_packets = port->pcap->n_tx_packets;
	d->n_tx_bytes = port->pcap->n_tx_bytes;
}

static uint32_t face_rx(struct device *d, struct batch *b, uint32_t max)
{
	return 0;
}

static int face_poll_fd(struct device *d)
{
	return -1;
}

static void face_close(struct device *d)
{
}

static const struct device_ops face_ops = {
	.driver = "replay",
	.rx = face_rx,
	.tx = face_tx,
	.poll_fd = face_poll_fd,
	.close = face_close,
};

/* --- set-up --- */

/* The value of NAME=VALUE among an option's repetitions. */
static const char *value_for(const struct args *a, const char *option, const char *name)
{
	size_t len = strlen(name);
	const char *v;

	for (size_t i = 0; (v = args_nth(a, option, i)) != NULL; i++)
		if (strncmp(v, name, len) == 0 && v[len] == '=')
			return v + len + 1;
	return NULL;
}

static bool names_interface(const struct snapshot *snap, const char *v)
{
	size_t len = strcspn(v, "=");

	for (uint32_t i = 1; v[len] == '=' && len > 0 && i < IP_INTERFACES_MAX; i++)
		if (strlen(snap->core.ip.interface[i].name) == len &&
		    memcmp(snap->core.ip.interface[i].name, v, len) == 0)
			return true;
	return false;
}

/* Every --in, --out and --mac must be of an interface that the config has. */
static int check_names(const struct args *a, const struct snapshot *snap)
{
	static const char *const options[] = { "in", "out", "mac" };
	const char *v;

	for (size_t o = 0; o < ARRAY_LEN(options); o++)
		for (size_t i = 0; (v = args_nth(a, options[o], i)) != NULL; i++)
			if (!names_interface(snap, v))
				return complain("--%s %s: not INTERFACE=VALUE with an interface of the config",
						options[o], v);
	return 0;
}

/* Whom the captured machines sent to: the gateway that was there. A made-up address if nobody did. */
static struct ether_addr guess_mac(const char *path, uint32_t ifindex)
{
	const struct packet_pool_config pool_cfg = { .n_packets = 8, .n_small = 8, .n_large = 8 };
	struct pcap_config cfg = { .in_path = path };
	struct ether_addr mac = { { 0x02, 0, 0, 0, 0, (uint8_t)ifindex } };
	struct packet_pool *pool = packet_pool_create(&pool_cfg);
	struct ledger ledger = { 0 };
	struct device *d;
	char err[256];
	bool found = false;

	if (pool == NULL || path == NULL || pcap_device_open("look", &cfg, &d, err, sizeof(err)) != 0) {
		if (pool != NULL)
			packet_pool_destroy(pool);
		return mac;
	}
	d->pool = pool;
	d->ledger = &ledger;
	pcap_device_set_time(d, PCAP_TIME_END);
	for (uint32_t i = 0; i < MAC_LOOK_FRAMES && !found; i++) {
		struct batch b;
		struct ether_view v;
		b.n = 0;
		if (d->ops->rx(d, &b, 1) != 1)
			break;
		if (ether_parse(packet_frame(b.p[0]), b.p[0]->len, &v) && v.type == ETHERTYPE_IPV4 &&
		    !ether_is_group(&v.dst)) {
			mac = v.dst;
			found = true;
		}
		packet_free(pool, b.p[0]);
	}
	d->ops->close(d);
	packet_pool_destroy(pool);
	return mac;
}

static int open_port(struct capture *c, const struct args *a, uint32_t i, uint64_t epoch_ns)
{
	struct capture_port *port = &c->port[i];
	const struct ip_interface_config *ifc = &c->snap->core.ip.interface[i];
	const char *mac = value_for(a, "mac", ifc->name);
	struct pcap_config cfg = {
		.in_path = value_for(a, "in", ifc->name),
		.out_path = value_for(a, "out", ifc->name),
		.epoch_ns = epoch_ns,
		.mtu = ifc->mtu,
	};
	char err[256];

	if (mac == NULL)
		cfg.mac = guess_mac(cfg.in_path, i);
	else if (!ether_addr_parse(mac, &cfg.mac))
		return complain("--mac %s=%s: not an Ethernet address", ifc->name, mac);
	if (pcap_device_open(ifc->name, &cfg, &port->pcap, err, sizeof(err)) != 0)
		return complain("%s", err);
	port->capture = c;
	port->ifindex = i;
	port->face = *port->pcap;
	port->face.ops = &face_ops;
	port->face.up = true;
	pcap_device_set_time(port->pcap, c->now);
	gateway_attach(c->gateway, i, &port->face, c->now);
	port->pcap->pool = port->face.pool;
	port->pcap->ledger = port->face.ledger;
	return 0;
}

/* The core's clock is START_NS at the first frame of all. */
static int find_epoch(const struct args *a, uint64_t *epoch_ns)
{
	uint64_t first = TIME_NEVER, t;
	const char *v;
	char err[256];

	for (size_t i = 0; (v = args_nth(a, "in", i)) != NULL; i++) {
		if (pcap_first_time(strchr(v, '=') + 1, &t, err, sizeof(err)) != 0)
			return complain("%s", err);
		first = min_u64(first, t);
	}
	*epoch_ns = first == TIME_NEVER || first < START_NS ? 0 : first - START_NS;
	return 0;
}

/* --- the run --- */

static uint64_t next_input(const struct capture *c)
{
	uint64_t next = TIME_NEVER;

	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (c->port[i].pcap != NULL)
			next = min_u64(next, c->port[i].pcap->ops->next(c->port[i].pcap));
	return next;
}

static void set_time(struct capture *c, uint64_t now)
{
	c->now = max_u64(c->now, now);
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (c->port[i].pcap != NULL)
			pcap_device_set_time(c->port[i].pcap, c->now);
}

static void input_due(struct capture *c)
{
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		struct capture_port *port = &c->port[i];
		struct batch b;
		b.n = 0;
		if (port->pcap == NULL || port->pcap->ops->rx(port->pcap, &b, BATCH_MAX) == 0)
			continue;
		c->last_input = c->now;
		port->face.n_rx_packets = port->pcap->n_rx_packets;
		port->face.n_rx_bytes = port->pcap->n_rx_bytes;
		gateway_input(c->gateway, i, &b, c->now);
		explain_print(c->explain);
		deliver_answers(c);
	}
}

static void run(struct capture *c)
{
	deliver_answers(c);
	for (;;) {
		uint64_t input = next_input(c);
		uint64_t timer = gateway_next_deadline(c->gateway);
		uint64_t next = min_u64(input, timer);
		if (next == TIME_NEVER || (input == TIME_NEVER && timer > c->last_input + LINGER_NS))
			return;
		set_time(c, next);
		input_due(c);
		if (timer <= c->now) {
			gateway_expire(c->gateway, c->now);
			explain_print(c->explain);
			deliver_answers(c);
		}
	}
}

static int report(const struct capture *c)
{
	const struct env *env = gateway_env(c->gateway);
	int64_t expected = ledger_expected_held(&env->ledger);
	uint32_t held = packet_pool_used(env->pool);
	int status = EXIT_OK;

	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		const struct capture_port *port = &c->port[i];
		char mac[ETHER_TEXT_MAX];
		if (port->pcap == NULL)
			continue;
		char name[DEVICE_NAME_MAX];
		memcpy(name, port->face.name, sizeof(name));
		printf("%s (%s): %" PRIu64 " frames in, %" PRIu64 " out\n", printable_string(name, PRINTABLE_WORD),
		       ether_format(&port->face.mac, mac), port->pcap->n_rx_packets, port->pcap->n_tx_packets);
		const char *error = pcap_device_error(port->pcap);
		if (error != NULL) {
			complain("%s", error);
			status = EXIT_FAILED;
		}
	}
	for (size_t i = 0; i < N_DROP_REASONS; i++)
		if (env->ledger.n_dropped[i] > 0)
			printf("dropped: %" PRIu64 " %s (%s)\n", env->ledger.n_dropped[i], drop_info[i].name,
			       drop_info[i].text);
	int64_t ports = nat_law_difference(gateway_nat(c->gateway));

	if (expected == (int64_t)held)
		printf("the law of conservation holds\n");
	else
		printf("the law of conservation does NOT hold by %" PRId64 "\n", expected - (int64_t)held);
	if (ports != 0)
		printf("the law of ports does NOT hold by %" PRId64 "\n", ports);
	return expected == (int64_t)held && ports == 0 ? status : EXIT_FAILED;
}

static int with_core(struct capture *c, const struct args *a, const struct gateway_limits *limits,
		     const uint8_t seed[RNG_SEED_BYTES])
{
	uint64_t epoch_ns = 0;
	int status = find_epoch(a, &epoch_ns);

	if (status != 0)
		return status;
	c->gateway = gateway_create(limits, seed, 0, replay_no_event, NULL);
	if (c->gateway == NULL)
		return complain("no memory for the gateway's tables");
	gateway_env(c->gateway)->wall_offset_ns = epoch_ns;
	replay_log(c->gateway, a);
	if (args_has(a, "explain")) {
		c->explain = explain_start(c->gateway);
		if (c->explain == NULL)
			status = complain("no memory for --explain");
		else
			explain_config(c->explain, c->snap);
	}
	int rc = status == 0 ? gateway_configure(c->gateway, &c->snap->core, 0) : 0;
	if (rc != 0)
		status = complain("the config does not fit: %s", strerror(-rc));
	for (uint32_t i = 1; i < IP_INTERFACES_MAX && status == 0; i++)
		if (c->snap->core.ip.interface[i].name[0] != '\0')
			status = open_port(c, a, i, epoch_ns);
	if (status == 0) {
		run(c);
		explain_stop(c->explain);
		c->explain = NULL;
		status = report(c);
	}
	explain_stop(c->explain);
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (c->port[i].pcap != NULL)
			gateway_attach(c->gateway, i, NULL, c->now);
	gateway_destroy(c->gateway);
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (c->port[i].pcap != NULL)
			c->port[i].pcap->ops->close(c->port[i].pcap);
	return status;
}

int replay_capture(const struct args *a)
{
	struct gateway_limits limits;
	uint8_t seed[RNG_SEED_BYTES] = { 0 };
	const char *hex = args_value(a, "seed");

	if (hex != NULL && !hex_read(hex, seed, sizeof(seed)))
		return complain("--seed needs 64 hexadecimal digits");
	struct capture *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return complain("no memory");
	c->neigh_auto = !args_has(a, "no-neigh-auto");
	c->snap = replay_read_config(args_value(a, "config"), NULL, &limits);
	int status = EXIT_FAILED;
	if (c->snap != NULL) {
		status = check_names(a, c->snap);
		if (status == 0)
			status = with_core(c, a, &limits, seed);
		snapshot_destroy(c->snap);
	}
	free(c);
	return status;
}
