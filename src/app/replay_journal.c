/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Replay of a recording: each line of the journal (journal.h) is done again, in
 * order. Devices are sinks: every batch that the core hands to one must be the
 * `tx` line that stands next in the journal, with the frames that stand next in
 * NAME.out.pcap, bytes and offload fields alike. The first difference ends it.
 *
 * Frames that came in are lent to the core, as AF_PACKET lends them, out of the
 * reader's own pool; so the core's pools fill as they did then.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/journal.h"
#include "app/replay_priv.h"
#include "control/command.h"
#include "device/pcap.h"

/* A time behind every frame of a capture. */
#define END_OF_TIME (UINT64_C(1) << 62)

struct replay_port {
	struct device sink; /* what the core sees */
	struct replay *replay;
	uint32_t ifindex;
	struct device *in, *expected; /* capture files; NULL: not opened */
	struct pcap_writer *out;
	uint64_t n_expected;
};

struct replay {
	const char *dir, *out_dir;
	FILE *journal;
	char line[JOURNAL_LINE_MAX]; /* the next one, not done yet */
	bool have_line, was_cut, stopped;
	bool is_whole; /* the journal has its last line, so nothing may be missing */
	uint64_t line_no;

	struct gateway_limits limits;
	uint8_t seed[RNG_SEED_BYTES];
	uint64_t now, wall_offset_ns;
	struct gateway *gateway;
	struct snapshot *snap;
	struct packet_pool *reader_pool;
	struct ledger reader_ledger;
	struct replay_port port[IP_INTERFACES_MAX];

	uint64_t n_steps, n_in, n_out;
	bool failed;
	char why[512];
};

static void fail(struct replay *r, const char *fmt, ...) YG_PRINTF(2, 3);

/* Only the first reason counts; what follows from it is noise. */
static void fail(struct replay *r, const char *fmt, ...)
{
	va_list args;

	if (r->failed)
		return;
	r->failed = true;
	va_start(args, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, args);
	va_end(args);
}

/* Makes sure that r->line is the next one. False at the end. */
static bool peek(struct replay *r)
{
	if (r->have_line)
		return true;
	if (r->was_cut || fgets(r->line, sizeof(r->line), r->journal) == NULL) {
		r->was_cut = true;
		return false;
	}
	size_t len = strlen(r->line);
	if (len == 0 || r->line[len - 1] != '\n') {
		r->was_cut = true;
		return false;
	}
	r->line[len - 1] = '\0';
	r->line_no++;
	r->have_line = true;
	return true;
}

static bool next_is(struct replay *r, const char *word)
{
	size_t len = strlen(word);

	return peek(r) && strncmp(r->line, word, len) == 0 && (r->line[len] == ' ' || r->line[len] == '\0');
}

/* --- what is sent --- */

/* Byte at which two frames differ, or their length. */
static uint32_t first_difference(const uint8_t *a, const uint8_t *b, uint32_t len)
{
	uint32_t i = 0;

	while (i < len && a[i] == b[i])
		i++;
	return i;
}

static bool offload_equal(const struct offload *a, const struct offload *b)
{
	return a->csum_partial == b->csum_partial && a->csum_valid == b->csum_valid && a->gso_type == b->gso_type &&
	       a->csum_start == b->csum_start && a->csum_offset == b->csum_offset && a->gso_size == b->gso_size &&
	       a->gso_hdr_len == b->gso_hdr_len;
}

static void compare_frame(struct replay_port *port, struct packet *p)
{
	struct replay *r = port->replay;
	struct batch b;

	b.n = 0;
	if (port->expected == NULL || port->expected->ops->rx(port->expected, &b, 1) != 1) {
		r->was_cut = !r->is_whole;
		if (r->is_whole)
			fail(r, "journal line %" PRIu64 ": %s.out.pcap ends before frame %" PRIu64, r->line_no,
			     port->sink.name, port->n_expected + 1);
		return;
	}
	struct packet *e = b.p[0];
	port->n_expected++;
	uint32_t at = first_difference(packet_frame(p), packet_frame(e), min_u32(p->len, e->len));
	if (p->len != e->len || at < p->len)
		fail(r,
		     "journal line %" PRIu64 ": frame %" PRIu64
		     " of %s.out.pcap was %u bytes, is %u now, and differs from byte %u on",
		     r->line_no, port->n_expected, port->sink.name, e->len, p->len, at);
	else if (!offload_equal(&p->offload, &e->offload))
		fail(r, "journal line %" PRIu64 ": frame %" PRIu64 " of %s.out.pcap has other offload fields now",
		     r->line_no, port->n_expected, port->sink.name);
	packet_free(r->reader_pool, e);
}

static void sink_tx(struct device *d, struct batch *b)
{
	struct replay_port *port = container_of(d, struct replay_port, sink);
	struct replay *r = port->replay;
	unsigned ifindex = 0, n = 0;

	/* Behind a cut nothing is known of what was sent. */
	if (b->n > 0 && !r->failed && peek(r)) {
		if (sscanf(r->line, "tx %u %u", &ifindex, &n) != 2 || ifindex != port->ifindex || n != b->n)
			fail(r, "journal line %" PRIu64 " is \"%.60s\", but now %u frames are sent on %s", r->line_no,
			     r->line, b->n, d->name);
		r->have_line = false;
	}
	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];
		if (!r->failed && !r->was_cut)
			compare_frame(port, p);
		if (port->out != NULL)
			pcap_writer_write(port->out, r->now + r->wall_offset_ns, packet_frame(p), p->len, &p->offload);
		d->ledger->n_handed++;
		d->n_tx_packets++;
		d->n_tx_bytes += p->len;
		r->n_out++;
		packet_free(d->pool, p);
	}
	b->n = 0;
}

static uint32_t sink_rx(struct device *d, struct batch *b, uint32_t max)
{
	return 0;
}

static int sink_poll_fd(struct device *d)
{
	return -1;
}

static void sink_close(struct device *d)
{
}

static const struct device_ops sink_ops = {
	.driver = "replay",
	.rx = sink_rx,
	.tx = sink_tx,
	.poll_fd = sink_poll_fd,
	.close = sink_close,
};

/* --- steps --- */

static struct device *open_capture(struct replay *r, const char *name, const char *kind)
{
	char path[600], err[256];
	struct pcap_config cfg = { .in_path = path, .in_form = PCAP_FORM_RECORD, .epoch_ns = r->wall_offset_ns };
	struct device *d;

	snprintf(path, sizeof(path), "%s/%s.%s.pcap", r->dir, name, kind);
	if (pcap_device_open(name, &cfg, &d, err, sizeof(err)) != 0) {
		fail(r, "%s", err);
		return NULL;
	}
	d->pool = r->reader_pool;
	d->ledger = &r->reader_ledger;
	pcap_device_set_time(d, END_OF_TIME);
	return d;
}

static void close_port(struct replay_port *port)
{
	if (port->in != NULL)
		port->in->ops->close(port->in);
	if (port->expected != NULL)
		port->expected->ops->close(port->expected);
	if (port->out != NULL && !pcap_writer_close(port->out))
		fail(port->replay, "what is sent on %s could not be written", port->sink.name);
	port->in = port->expected = NULL;
	port->out = NULL;
}

static void open_port(struct replay *r, struct replay_port *port, const char *name)
{
	char path[600], err[256];

	if (port->in != NULL && strcmp(port->sink.name, name) == 0)
		return;
	close_port(port);
	port->n_expected = 0;
	port->in = open_capture(r, name, "in");
	port->expected = open_capture(r, name, "out");
	if (r->out_dir == NULL)
		return;
	snprintf(path, sizeof(path), "%s/%s.out.pcap", r->out_dir, name);
	if (pcap_writer_open(path, PCAP_FORM_RECORD, &port->out, err, sizeof(err)) != 0)
		fail(r, "%s", err);
}

static void set_state(struct device *d, const char *mac, unsigned mtu, unsigned caps, unsigned up)
{
	ether_addr_parse(mac, &d->mac);
	d->mtu = mtu;
	d->caps = caps;
	d->up = up != 0;
}

/* Each reads its words from the line; false when they are not what the word promises. */
typedef bool step_fn(struct replay *r, const char *line);

static bool step_attach(struct replay *r, const char *line)
{
	char name[DEVICE_NAME_MAX], mac[ETHER_TEXT_MAX];
	unsigned i, mtu, caps, up;

	if (sscanf(line, "attach %" SCNu64 " %u %15s %17s %u %u %u", &r->now, &i, name, mac, &mtu, &caps, &up) != 7 ||
	    i >= IP_INTERFACES_MAX)
		return false;
	struct replay_port *port = &r->port[i];
	port->replay = r;
	port->ifindex = i;
	open_port(r, port, name);
	port->sink = (struct device){ .ops = &sink_ops };
	snprintf(port->sink.name, sizeof(port->sink.name), "%s", name);
	set_state(&port->sink, mac, mtu, caps, up);
	gateway_attach(r->gateway, i, &port->sink, r->now);
	return true;
}

static bool step_changed(struct replay *r, const char *line)
{
	char mac[ETHER_TEXT_MAX];
	unsigned i, mtu, caps, up;

	if (sscanf(line, "changed %" SCNu64 " %u %17s %u %u %u", &r->now, &i, mac, &mtu, &caps, &up) != 6 ||
	    i >= IP_INTERFACES_MAX)
		return false;
	set_state(&r->port[i].sink, mac, mtu, caps, up);
	return true;
}

static bool step_told(struct replay *r, const char *line)
{
	unsigned i;

	if (sscanf(line, "told %" SCNu64 " %u", &r->now, &i) != 2)
		return false;
	gateway_device_changed(r->gateway, i, r->now);
	return true;
}

static bool step_detach(struct replay *r, const char *line)
{
	unsigned i;

	if (sscanf(line, "detach %" SCNu64 " %u", &r->now, &i) != 2)
		return false;
	gateway_attach(r->gateway, i, NULL, r->now);
	return true;
}

static void give_back(void *ctx, uint64_t cookie)
{
	packet_free(ctx, (struct packet *)(uintptr_t)cookie);
}

/* One recorded frame, lent to the core. NULL after a failure. */
static struct packet *next_frame(struct replay *r, struct replay_port *port)
{
	struct env *env = gateway_env(r->gateway);
	struct batch b;

	b.n = 0;
	if (port->in == NULL || port->in->ops->rx(port->in, &b, 1) != 1) {
		r->was_cut = !r->is_whole;
		if (r->is_whole)
			fail(r, "journal line %" PRIu64 ": %s.in.pcap ends too early", r->line_no, port->sink.name);
		return NULL;
	}
	struct packet *from = b.p[0];
	struct packet *p = packet_lend(env->pool, from->buf, from->buf_len, from->off, from->len, give_back,
				       r->reader_pool, (uint64_t)(uintptr_t)from);
	if (p == NULL) {
		packet_free(r->reader_pool, from);
		fail(r, "journal line %" PRIu64 ": the packet pool is empty now and was not then", r->line_no);
		return NULL;
	}
	p->offload = from->offload;
	env->ledger.n_received++;
	port->sink.n_rx_packets++;
	port->sink.n_rx_bytes += p->len;
	r->n_in++;
	return p;
}

static bool step_rx(struct replay *r, const char *line)
{
	unsigned i, n;
	struct batch b;

	if (sscanf(line, "rx %" SCNu64 " %u %u", &r->now, &i, &n) != 3 || i >= IP_INTERFACES_MAX || n > BATCH_MAX)
		return false;
	b.n = 0;
	while (b.n < n) {
		struct packet *p = next_frame(r, &r->port[i]);
		if (p == NULL)
			break;
		batch_add(&b, p);
	}
	if (b.n == n) {
		gateway_input(r->gateway, i, &b, r->now);
		return true;
	}
	/* The step cannot be done as it was. */
	while (b.n > 0)
		packet_drop(gateway_env(r->gateway)->pool, &gateway_env(r->gateway)->ledger, b.p[--b.n],
			    DROP_NO_BUFFER);
	return true;
}

static bool step_configure(struct replay *r, const char *line)
{
	char path[600];
	uint64_t generation;

	if (sscanf(line, "configure %" SCNu64 " %" SCNu64, &r->now, &generation) != 2)
		return false;
	if (next_is(r, "configure-failed"))
		return true;
	snprintf(path, sizeof(path), "%s/config-%" PRIu64 ".conf", r->dir, generation);
	struct snapshot *snap = replay_read_config(path, r->snap, NULL);
	int rc = snap == NULL ? -EINVAL : gateway_configure(r->gateway, snap, r->now);
	if (rc != 0) {
		fail(r, "journal line %" PRIu64 ": %s does not load: %s", r->line_no, path, strerror(-rc));
		snapshot_destroy(snap);
		return true;
	}
	snapshot_destroy(r->snap);
	r->snap = snap;
	return true;
}

static bool step_configure_failed(struct replay *r, const char *line)
{
	return true;
}

static bool step_expire(struct replay *r, const char *line)
{
	if (sscanf(line, "expire %" SCNu64, &r->now) != 1)
		return false;
	gateway_expire(r->gateway, r->now);
	return true;
}

static bool step_raw_open(struct replay *r, const char *line)
{
	if (sscanf(line, "raw-open %" SCNu64, &r->now) != 1)
		return false;
	gateway_set_time(r->gateway, r->now);
	raw_open(gateway_raw(r->gateway));
	return true;
}

static bool step_raw_close(struct replay *r, const char *line)
{
	int socket;

	if (sscanf(line, "raw-close %" SCNu64 " %d", &r->now, &socket) != 2)
		return false;
	gateway_set_time(r->gateway, r->now);
	raw_close(gateway_raw(r->gateway), socket);
	return true;
}

static bool step_raw_send(struct replay *r, const char *line)
{
	int socket;
	unsigned dst, src, seq, len, ttl, tos, df;
	struct raw_message drop;

	if (sscanf(line, "raw-send %" SCNu64 " %d %u %u %u %u %u %u %u", &r->now, &socket, &dst, &src, &seq, &len, &ttl,
		   &tos, &df) != 9)
		return false;
	struct raw_request rq = {
		.dst = dst,
		.src = src,
		.seq = (uint16_t)seq,
		.data_len = (uint16_t)len,
		.ttl = (uint8_t)ttl,
		.tos = (uint8_t)tos,
		.df = df != 0,
	};
	gateway_set_time(r->gateway, r->now);
	raw_send_echo(gateway_raw(r->gateway), socket, &rq);
	gateway_flush(r->gateway, r->now);
	while (raw_receive(gateway_raw(r->gateway), socket, &drop))
		;
	return true;
}

static bool step_end(struct replay *r, const char *line)
{
	unsigned index;
	int reason;

	if (sscanf(line, "end %" SCNu64 " %u %d", &r->now, &index, &reason) != 3 || reason < 0 ||
	    reason >= N_CT_END_REASONS)
		return false;
	gateway_set_time(r->gateway, r->now);
	conntrack_end(gateway_conntrack(r->gateway), index, (enum ct_end_reason)reason);
	return true;
}

static bool step_tx(struct replay *r, const char *line)
{
	fail(r, "journal line %" PRIu64 ": \"%.60s\" was sent then, and is not now", r->line_no, line);
	return true;
}

static bool step_stop(struct replay *r, const char *line)
{
	r->stopped = true;
	return true;
}

static const struct {
	const char *word;
	step_fn *fn;
} steps[] = {
	{ "rx", step_rx },
	{ "expire", step_expire },
	{ "tx", step_tx },
	{ "changed", step_changed },
	{ "told", step_told },
	{ "attach", step_attach },
	{ "detach", step_detach },
	{ "configure", step_configure },
	{ "configure-failed", step_configure_failed },
	{ "raw-open", step_raw_open },
	{ "raw-send", step_raw_send },
	{ "raw-close", step_raw_close },
	{ "end", step_end },
	{ "stop", step_stop },
};

static void do_line(struct replay *r)
{
	char line[JOURNAL_LINE_MAX];
	size_t len = strcspn(r->line, " ");

	memcpy(line, r->line, sizeof(line));
	r->have_line = false;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (strlen(steps[i].word) != len || memcmp(steps[i].word, line, len) != 0)
			continue;
		if (!steps[i].fn(r, line))
			fail(r, "journal line %" PRIu64 " cannot be read: \"%.60s\"", r->line_no, line);
		r->n_steps++;
		return;
	}
	fail(r, "journal line %" PRIu64 " cannot be read: \"%.60s\"", r->line_no, line);
}

/* --- the whole --- */

/* The lines before the first step. */
static bool read_head(struct replay *r)
{
	char name[64], hex[2 * RNG_SEED_BYTES + 1];
	unsigned value;
	bool have_seed = false;

	if (!peek(r) || strcmp(r->line, JOURNAL_FIRST_LINE) != 0) {
		fail(r, "%s/journal is no recording of this version", r->dir);
		return false;
	}
	for (;;) {
		r->have_line = false;
		if (!peek(r)) {
			fail(r, "%s/journal ends before its first step", r->dir);
			return false;
		}
		if (sscanf(r->line, "seed %64s", hex) == 1) {
			have_seed = journal_unhex(hex, r->seed, RNG_SEED_BYTES);
		} else if (sscanf(r->line, "limit %63s %u", name, &value) == 2) {
			if (!journal_limit_set(&r->limits, name, value))
				fail(r, "this version knows no limit \"%s\"", name);
		} else if (have_seed &&
			   sscanf(r->line, "start %" SCNu64 " %" SCNu64, &r->now, &r->wall_offset_ns) == 2) {
			r->have_line = false;
			return !r->failed;
		} else {
			fail(r, "journal line %" PRIu64 " cannot be read: \"%.60s\"", r->line_no, r->line);
			return false;
		}
	}
}

/* A recording that ended early, by kill -9 or a full disk, lacks this line, and perhaps frames. */
static bool ends_with_stop(FILE *f)
{
	char tail[6] = "";
	bool found = fseek(f, -5, SEEK_END) == 0 && fread(tail, 1, 5, f) == 5 && strcmp(tail, "stop\n") == 0;

	rewind(f);
	return found;
}

static int report(struct replay *r)
{
	if (r->failed) {
		fprintf(stderr, "yangguan replay: %s\n", r->why);
		return EXIT_FAILED;
	}
	printf("%" PRIu64 " steps, %" PRIu64 " frames in, %" PRIu64 " frames out: the same, bit for bit%s\n",
	       r->n_steps, r->n_in, r->n_out, r->stopped ? "" : " (up to where the recording was cut)");
	return EXIT_OK;
}

static void run_steps(struct replay *r)
{
	if (!read_head(r))
		return;
	r->gateway = gateway_create(&r->limits, r->seed, r->now, replay_no_event, NULL);
	if (r->gateway == NULL) {
		fail(r, "no memory for the recorded sizes of tables");
		return;
	}
	gateway_env(r->gateway)->wall_offset_ns = r->wall_offset_ns;
	while (!r->failed && !r->stopped && !r->was_cut && peek(r))
		do_line(r);
	for (uint32_t i = 0; i < IP_INTERFACES_MAX; i++)
		if (ip_stack_device(gateway_ip(r->gateway), i) != NULL)
			gateway_attach(r->gateway, i, NULL, r->now);
}

int replay_journal(const char *dir, const char *out_dir)
{
	const struct packet_pool_config reader = { .n_packets = 256, .n_small = 256, .n_large = 2 * BATCH_MAX };
	struct replay *r = calloc(1, sizeof(*r));
	char path[600];
	int status;

	if (r == NULL)
		return EXIT_FAILED;
	r->dir = dir;
	r->out_dir = out_dir;
	snprintf(path, sizeof(path), "%s/journal", dir);
	r->journal = fopen(path, "re");
	if (r->journal == NULL) {
		fprintf(stderr, "yangguan replay: %s: %s\n", path, strerror(errno));
		free(r);
		return EXIT_USAGE;
	}
	r->is_whole = ends_with_stop(r->journal);
	if (out_dir != NULL && mkdir(out_dir, 0755) != 0 && errno != EEXIST)
		fail(r, "%s: %s", out_dir, strerror(errno));
	r->reader_pool = packet_pool_create(&reader);
	if (r->reader_pool == NULL)
		fail(r, "no memory");
	if (!r->failed)
		run_steps(r);
	for (uint32_t i = 0; i < IP_INTERFACES_MAX; i++)
		close_port(&r->port[i]);
	status = report(r);
	if (r->gateway != NULL)
		gateway_destroy(r->gateway);
	if (r->snap != NULL)
		snapshot_destroy(r->snap);
	if (r->reader_pool != NULL)
		packet_pool_destroy(r->reader_pool);
	fclose(r->journal);
	free(r);
	return status;
}
