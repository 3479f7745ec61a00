/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The recorder. It stands beside the core, not in it: steps are written before
 * they happen, and frames that leave are seen by a device of its own that stands
 * before the real one and passes everything on.
 *
 * The core sees that device's fields, so they change only between two steps,
 * when the change is written down too: a link that fails in the middle of a step
 * is seen by the core at the next one, in the recording as in life.
 *
 * Frames are written before the line that names them; but both are buffered, so
 * a recording that was cut may lack the frames of its last lines. It also lacks
 * the line `stop`, which tells the replay to expect that.
 */
#include "app/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/journal.h"
#include "device/pcap.h"

struct record_port {
	struct device face; /* what the core sees */
	struct device *inner;
	struct record *record;
	uint32_t ifindex;
	struct pcap_writer *in, *out;
};

struct record {
	char dir[512];
	FILE *journal;
	uint64_t wall_offset_ns;
	uint64_t now; /* of the step under way */
	struct record_port port[IP_INTERFACES_MAX];
	bool dirty;
	bool failed;
	char failure[1536];
	void (*on_failure)(void *ctx);
	void *on_failure_ctx;
};

static void fail(struct record *r, const char *what, int error)
{
	if (r->failed)
		return;
	r->failed = true;
	snprintf(r->failure, sizeof(r->failure), "recording to %s ends here, the gateway goes on: %s: %s", r->dir, what,
		 strerror(error != 0 ? error : EIO));
	if (r->on_failure != NULL)
		r->on_failure(r->on_failure_ctx);
}

static void line(struct record *r, const char *fmt, ...) YG_PRINTF(2, 3);

static void line(struct record *r, const char *fmt, ...)
{
	va_list args;

	if (r->failed)
		return;
	va_start(args, fmt);
	errno = 0;
	if (vfprintf(r->journal, fmt, args) < 0)
		fail(r, "journal", errno);
	va_end(args);
	r->dirty = true;
}

void record_flush(struct record *r)
{
	if (!r->dirty || r->failed)
		return;
	r->dirty = false;
	for (uint32_t i = 0; i < IP_INTERFACES_MAX; i++) {
		struct record_port *p = &r->port[i];
		errno = 0;
		if ((p->in != NULL && !pcap_writer_flush(p->in)) || (p->out != NULL && !pcap_writer_flush(p->out))) {
			fail(r, p->face.name, errno);
			return;
		}
	}
	errno = 0;
	if (fflush(r->journal) != 0)
		fail(r, "journal", errno);
}

/* --- the device before the device --- */

static struct record_port *port_of(struct device *d)
{
	return container_of(d, struct record_port, face);
}

static void copy_counters(struct record_port *p)
{
	p->face.n_rx_packets = p->inner->n_rx_packets;
	p->face.n_rx_bytes = p->inner->n_rx_bytes;
	p->face.n_rx_missed = p->inner->n_rx_missed;
	p->face.n_tx_packets = p->inner->n_tx_packets;
	p->face.n_tx_bytes = p->inner->n_tx_bytes;
}

static void write_frames(struct record *r, struct pcap_writer *w, const struct batch *b, const char *name)
{
	for (uint32_t i = 0; i < b->n && !r->failed; i++) {
		struct packet *p = b->p[i];
		errno = 0;
		if (w == NULL ||
		    !pcap_writer_write(w, r->now + r->wall_offset_ns, packet_frame(p), p->len, &p->offload))
			fail(r, name, errno);
	}
}

static uint32_t face_rx(struct device *d, struct batch *b, uint32_t max)
{
	struct record_port *p = port_of(d);
	uint32_t n = p->inner->ops->rx(p->inner, b, max);

	copy_counters(p);
	return n;
}

static void face_tx(struct device *d, struct batch *b)
{
	struct record_port *p = port_of(d);

	if (b->n > 0) {
		write_frames(p->record, p->out, b, d->name);
		line(p->record, "tx %u %u\n", p->ifindex, b->n);
	}
	p->inner->ops->tx(p->inner, b);
	copy_counters(p);
}

static int face_poll_fd(struct device *d)
{
	struct record_port *p = port_of(d);

	return p->inner->ops->poll_fd(p->inner);
}

static uint64_t face_next(struct device *d)
{
	struct record_port *p = port_of(d);

	return p->inner->ops->next != NULL ? p->inner->ops->next(p->inner) : TIME_NEVER;
}

/* The real device belongs to whoever opened it. */
static void face_close(struct device *d)
{
}

static const struct device_ops face_ops = {
	.driver = "record",
	.rx = face_rx,
	.tx = face_tx,
	.poll_fd = face_poll_fd,
	.next = face_next,
	.close = face_close,
};

static void state_line(struct record *r, const char *word, struct record_port *p, const char *name)
{
	char mac[ETHER_TEXT_MAX];

	line(r, "%s %" PRIu64 " %u%s%s %s %u %u %u\n", word, r->now, p->ifindex, name[0] != '\0' ? " " : "", name,
	     ether_format(&p->face.mac, mac), p->face.mtu, p->face.caps, p->face.up);
}

/* At the begin of each step: what the core is about to see of its devices. */
static void begin(struct record *r, uint64_t now)
{
	r->now = max_u64(r->now, now);
	for (uint32_t i = 0; i < IP_INTERFACES_MAX; i++) {
		struct record_port *p = &r->port[i];
		const struct device *d = p->inner;
		if (d == NULL)
			continue;
		if (d->up == p->face.up && d->mtu == p->face.mtu && d->caps == p->face.caps &&
		    ether_equal(&d->mac, &p->face.mac))
			continue;
		p->face.up = d->up;
		p->face.mtu = d->mtu;
		p->face.caps = d->caps;
		p->face.mac = d->mac;
		state_line(r, "changed", p, "");
	}
}

/* --- life --- */

static int open_dir(struct record *r, char *err, size_t err_len)
{
	char path[600];
	struct stat st;

	if (mkdir(r->dir, 0755) != 0 && errno != EEXIST) {
		int rc = -errno;
		snprintf(err, err_len, "cannot make the directory %s: %s", r->dir, strerror(-rc));
		return rc;
	}
	snprintf(path, sizeof(path), "%s/journal", r->dir);
	if (stat(path, &st) == 0) {
		snprintf(err, err_len, "%s holds a recording already: give --record another directory", r->dir);
		return -EEXIST;
	}
	r->journal = fopen(path, "wxe");
	if (r->journal == NULL) {
		int rc = -errno;
		snprintf(err, err_len, "cannot write to %s: %s", path, strerror(-rc));
		return rc;
	}
	setvbuf(r->journal, NULL, _IOFBF, 1 << 16);
	return 0;
}

int record_open(const char *dir, const struct gateway_limits *limits, const uint8_t seed[RNG_SEED_BYTES], uint64_t now,
		uint64_t wall_offset_ns, struct record **out, char *err, size_t err_len)
{
	struct record *r = calloc(1, sizeof(*r));
	char hex[2 * RNG_SEED_BYTES + 1];

	if (r == NULL) {
		snprintf(err, err_len, "no memory");
		return -ENOMEM;
	}
	snprintf(r->dir, sizeof(r->dir), "%s", dir);
	int rc = open_dir(r, err, err_len);
	if (rc != 0) {
		free(r);
		return rc;
	}
	r->wall_offset_ns = wall_offset_ns;
	r->now = now;
	journal_hex(seed, RNG_SEED_BYTES, hex);
	line(r, JOURNAL_FIRST_LINE "\nseed %s\n", hex);
	journal_limits_write(limits, r->journal);
	line(r, "start %" PRIu64 " %" PRIu64 "\n", now, wall_offset_ns);
	*out = r;
	return 0;
}

void record_set_failed(struct record *r, void (*fn)(void *ctx), void *ctx)
{
	r->on_failure = fn;
	r->on_failure_ctx = ctx;
}

const char *record_failure(const struct record *r)
{
	return r->failed ? r->failure : NULL;
}

void record_close(struct record *r)
{
	if (r == NULL)
		return;
	line(r, "stop\n");
	record_flush(r);
	for (uint32_t i = 0; i < IP_INTERFACES_MAX; i++) {
		if (r->port[i].in != NULL)
			pcap_writer_close(r->port[i].in);
		if (r->port[i].out != NULL)
			pcap_writer_close(r->port[i].out);
	}
	fclose(r->journal);
	free(r);
}

/* --- steps --- */

void record_configure(struct record *r, const struct snapshot *snap, uint64_t now)
{
	char path[600];

	begin(r, now);
	if (r->failed)
		return;
	snprintf(path, sizeof(path), "%s/config-%" PRIu64 ".conf", r->dir, snap->generation);
	FILE *f = fopen(path, "we");
	if (f == NULL) {
		fail(r, path, errno);
		return;
	}
	bool ok = fwrite(snap->text, 1, snap->text_len, f) == snap->text_len;
	ok = fclose(f) == 0 && ok;
	if (!ok)
		fail(r, path, errno);
	line(r, "configure %" PRIu64 " %" PRIu64 "\n", r->now, snap->generation);
}

void record_configure_failed(struct record *r, uint64_t generation)
{
	line(r, "configure-failed %" PRIu64 "\n", generation);
}

/* A device that goes and comes back under its number goes on in the same files. */
static void open_captures(struct record *r, struct record_port *p)
{
	char path[600], err[256];

	if (p->in != NULL || r->failed)
		return;
	snprintf(path, sizeof(path), "%s/%s.in.pcap", r->dir, p->face.name);
	int rc = pcap_writer_open(path, PCAP_FORM_RECORD, &p->in, err, sizeof(err));
	if (rc == 0) {
		snprintf(path, sizeof(path), "%s/%s.out.pcap", r->dir, p->face.name);
		rc = pcap_writer_open(path, PCAP_FORM_RECORD, &p->out, err, sizeof(err));
	}
	if (rc != 0)
		fail(r, path, -rc);
}

struct device *record_attach(struct record *r, uint32_t ifindex, struct device *d, uint64_t now)
{
	struct record_port *p = &r->port[ifindex];

	begin(r, now);
	if (p->in != NULL && strcmp(p->face.name, d->name) != 0) {
		/* The number has gone to another device, whose frames have files of their own. */
		pcap_writer_close(p->in);
		pcap_writer_close(p->out);
		p->in = p->out = NULL;
	}
	p->face = *d;
	p->face.ops = &face_ops;
	p->inner = d;
	p->record = r;
	p->ifindex = ifindex;
	open_captures(r, p);
	state_line(r, "attach", p, p->face.name);
	return &p->face;
}

void record_detach(struct record *r, uint32_t ifindex, uint64_t now)
{
	begin(r, now);
	r->port[ifindex].inner = NULL;
	line(r, "detach %" PRIu64 " %u\n", r->now, ifindex);
}

void record_device_changed(struct record *r, uint32_t ifindex, uint64_t now)
{
	begin(r, now);
	line(r, "told %" PRIu64 " %u\n", r->now, ifindex);
}

void record_input(struct record *r, uint32_t ifindex, const struct batch *b, uint64_t now)
{
	struct record_port *p = &r->port[ifindex];

	begin(r, now);
	write_frames(r, p->in, b, p->face.name);
	line(r, "rx %" PRIu64 " %u %u\n", r->now, ifindex, b->n);
	if (p->inner != NULL)
		copy_counters(p);
}

void record_expire(struct record *r, uint64_t now)
{
	begin(r, now);
	line(r, "expire %" PRIu64 "\n", r->now);
}

void record_raw_open(struct record *r, uint64_t now)
{
	begin(r, now);
	line(r, "raw-open %" PRIu64 "\n", r->now);
}

void record_raw_close(struct record *r, int socket, uint64_t now)
{
	begin(r, now);
	line(r, "raw-close %" PRIu64 " %d\n", r->now, socket);
}

void record_raw_send(struct record *r, int socket, const struct raw_request *rq, uint64_t now)
{
	begin(r, now);
	line(r, "raw-send %" PRIu64 " %d %u %u %u %u %u %u %u\n", r->now, socket, rq->dst, rq->src, rq->seq,
	     rq->data_len, rq->ttl, rq->tos, rq->df);
}

void record_end_connection(struct record *r, uint32_t index, enum ct_end_reason reason, uint64_t now)
{
	begin(r, now);
	line(r, "end %" PRIu64 " %u %d\n", r->now, index, (int)reason);
}
