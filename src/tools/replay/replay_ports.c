/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The devices of a replay. Each is a sink: every batch that the core hands to one
 * must be the `tx` line that stands next in the journal, with the frames that stand
 * next in NAME.out.pcap, bytes and offload fields alike. The first difference ends it.
 *
 * Frames that came in are external to the core, as AF_PACKET's are, out of the
 * reader's own pool; so the core's pools fill as they did then.
 *
 * Captures belong to names, not to numbers: a device that goes and comes back, by
 * whichever number, goes on in the files of its name.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "tools/replay/replay_journal_priv.h"

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
	struct replay_capture_files *files = port->files;
	struct replay *r = port->replay;
	struct batch b;

	b.n = 0;
	if (files->expected->ops->rx(files->expected, &b, 1) != 1) {
		r->was_cut = !r->is_whole;
		if (r->is_whole)
			replay_fail(r, "journal line %" PRIu64 ": %s.out.pcap ends before frame %" PRIu64, r->line_no,
				    files->name, files->n_expected + 1);
		return;
	}
	struct packet *e = b.p[0];
	files->n_expected++;
	uint32_t at = first_difference(packet_frame(p), packet_frame(e), min_u32(p->len, e->len));
	if (p->len != e->len || at < p->len)
		replay_fail(r,
			    "journal line %" PRIu64 ": frame %" PRIu64
			    " of %s.out.pcap was %u bytes, is %u now, and differs from byte %u on",
			    r->line_no, files->n_expected, files->name, e->len, p->len, at);
	else if (!offload_equal(&p->offload, &e->offload))
		replay_fail(r,
			    "journal line %" PRIu64 ": frame %" PRIu64 " of %s.out.pcap has other offload fields now",
			    r->line_no, files->n_expected, files->name);
	packet_free(r->reader_pool, e);
}

static void sink_tx(struct device *d, struct batch *b)
{
	struct replay_port *port = container_of(d, struct replay_port, sink);
	struct replay *r = port->replay;

	/* Behind a cut nothing is known of what was sent. */
	if (b->n > 0 && !r->failed && replay_peek(r)) {
		struct journal_words w = journal_words_of(r->line);
		uint64_t ifindex = journal_number(&w, 1, IP_INTERFACES_MAX - 1), n = journal_number(&w, 1, BATCH_MAX);
		if (!replay_next_is(r, "tx") || !journal_words_end(&w) || ifindex != port->ifindex || n != b->n)
			replay_fail(r, "journal line %" PRIu64 " is \"%.60s\", but now %u frames are sent on %s",
				    r->line_no, r->line, b->n, d->name);
		r->have_line = false;
	}
	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];
		if (!r->failed && !r->was_cut)
			compare_frame(port, p);
		if (port->files->out != NULL)
			pcap_writer_write(port->files->out, r->now + r->wall_offset_ns, packet_frame(p), p->len,
					  &p->offload);
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

/* --- captures --- */

static struct device *open_capture(struct replay *r, const char *name, const char *kind)
{
	char file[64], err[256];
	struct pcap_config cfg = { .in_path = file, .in_form = PCAP_FORM_RECORD, .epoch_ns = r->wall_offset_ns };
	struct device *d;

	snprintf(file, sizeof(file), "%s.%s.pcap", name, kind);
	cfg.in_file = replay_open(r, file);
	if (cfg.in_file == NULL)
		return NULL;
	if (pcap_device_open(name, &cfg, &d, err, sizeof(err)) != 0) {
		replay_fail(r, "%s/%s", r->dir, err);
		return NULL;
	}
	d->pool = r->reader_pool;
	d->ledger = &r->reader_ledger;
	pcap_device_set_time(d, PCAP_TIME_END);
	return d;
}

/* NAME.out.pcap in the directory of --out: a file of that name is overwritten, a link of that name is not followed. */
static struct pcap_writer *open_out(struct replay *r, const char *name)
{
	struct pcap_writer *w = NULL;
	char file[64], err[256];

	snprintf(file, sizeof(file), "%s.out.pcap", name);
	int fd = openat(r->out_fd, file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (f == NULL) {
		replay_fail(r, "cannot write %s to the directory of --out: %s", file, strerror(errno));
		if (fd >= 0)
			close(fd);
	} else if (pcap_writer_start(f, PCAP_FORM_RECORD, &w, err, sizeof(err)) != 0) {
		replay_fail(r, "%s", err);
	}
	return w;
}

static void close_files(struct replay *r, struct replay_capture_files *c)
{
	if (c->in != NULL)
		c->in->ops->close(c->in);
	if (c->expected != NULL)
		c->expected->ops->close(c->expected);
	if (c->out != NULL && !pcap_writer_close(c->out))
		replay_fail(r, "what is sent on %s could not be written", c->name);
}

void replay_captures_close(struct replay *r)
{
	for (uint32_t i = 0; i < r->n_captures; i++)
		close_files(r, &r->capture[i]);
	r->n_captures = 0;
}

/* The files of a name; NULL after a failure. */
static struct replay_capture_files *files_of(struct replay *r, const char *name)
{
	struct replay_capture_files *c;

	for (uint32_t i = 0; i < r->n_captures; i++)
		if (strcmp(r->capture[i].name, name) == 0)
			return &r->capture[i];
	if (!journal_is_name(name) || r->n_captures == REPLAY_CAPTURES_MAX) {
		replay_fail(r, "journal line %" PRIu64 ": \"%s\" is no name of a device", r->line_no, name);
		return NULL;
	}
	c = &r->capture[r->n_captures];
	*c = (struct replay_capture_files){ .in = open_capture(r, name, "in") };
	snprintf(c->name, sizeof(c->name), "%s", name);
	if (c->in != NULL)
		c->expected = open_capture(r, name, "out");
	if (c->expected != NULL && r->out_fd >= 0)
		c->out = open_out(r, name);
	if (r->failed) {
		close_files(r, c);
		return NULL;
	}
	r->n_captures++;
	return c;
}

struct device *replay_port_open(struct replay *r, uint32_t i, const char *name)
{
	struct replay_port *port = &r->port[i];

	port->files = files_of(r, name);
	if (port->files == NULL)
		return NULL;
	port->replay = r;
	port->ifindex = i;
	port->sink = (struct device){ .ops = &sink_ops };
	snprintf(port->sink.name, sizeof(port->sink.name), "%s", name);
	return &port->sink;
}

/* --- what came in --- */

static void give_back(void *ctx, uint64_t cookie)
{
	packet_free(ctx, (struct packet *)(uintptr_t)cookie);
}

struct packet *replay_frame(struct replay *r, struct replay_port *port)
{
	struct env *env = gateway_env(r->gateway);
	struct batch b;

	b.n = 0;
	if (port->files->in->ops->rx(port->files->in, &b, 1) != 1) {
		r->was_cut = !r->is_whole;
		if (r->is_whole)
			replay_fail(r, "journal line %" PRIu64 ": %s.in.pcap ends too early", r->line_no,
				    port->sink.name);
		return NULL;
	}
	struct packet *from = b.p[0];
	struct packet *p = packet_set_external(env->pool, from->buf, from->buf_len, from->off, from->len, give_back,
					       r->reader_pool, (uint64_t)(uintptr_t)from);
	if (p == NULL) {
		packet_free(r->reader_pool, from);
		replay_fail(r, "journal line %" PRIu64 ": the packet pool is empty now and was not then", r->line_no);
		return NULL;
	}
	p->offload = from->offload;
	env->ledger.n_received++;
	port->sink.n_rx_packets++;
	port->sink.n_rx_bytes += p->len;
	r->n_in++;
	return p;
}
