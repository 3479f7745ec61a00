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
 *
 * A recording holds everybody's packets, and a gateway runs as root. So nothing of
 * what lies in a directory before is touched: the directory is made new, ours alone,
 * and every file in it is made new below its descriptor, whatever has become of its
 * name. The frames of a name go into one pair of files for as long as the recording
 * takes, however often a device of that name comes and goes and by whichever number.
 */
#include "daemon/record/record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/record/journal.h"
#include "base/hex.h"
#include "daemon/device/pcap.h"

#define CAPTURES_MAX 256 /* names that devices have had */

/* What came in and went out by the devices of one name. */
struct record_capture {
	char name[DEVICE_NAME_MAX];
	struct pcap_writer *in, *out;
};

struct record_port {
	struct device face; /* what the core sees */
	struct device *inner;
	struct record *record;
	uint32_t ifindex;
	struct record_capture *capture; /* NULL: it could not be opened */
};

struct record {
	char dir[512];
	int dir_fd;
	FILE *journal;
	FILE *bytes; /* that sockets have sent; NULL: none yet */
	uint64_t wall_offset_ns;
	uint64_t now; /* of the step under way */
	struct record_port port[IP_INTERFACES_MAX];
	uint32_t n_captures;
	struct record_capture capture[CAPTURES_MAX];
	const char *config_text; /* of the next configure */
	size_t config_text_len;
	bool dirty;
	bool failed, finished;
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

static void flush(struct record *r)
{
	if (!r->dirty || r->failed)
		return;
	r->dirty = false;
	for (uint32_t i = 0; i < r->n_captures; i++) {
		errno = 0;
		if (!pcap_writer_flush(r->capture[i].in) || !pcap_writer_flush(r->capture[i].out)) {
			fail(r, r->capture[i].name, errno);
			return;
		}
	}
	errno = 0;
	if (r->bytes != NULL && fflush(r->bytes) != 0) {
		fail(r, "sockets.bytes", errno);
		return;
	}
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
		write_frames(p->record, p->capture != NULL ? p->capture->out : NULL, b, d->name);
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
static void face_set_groups(struct device *d, const struct ether_addr *mac, uint32_t n)
{
	struct device *inner = port_of(d)->inner;

	if (inner->ops->set_groups != NULL)
		inner->ops->set_groups(inner, mac, n);
}

static void face_close(struct device *d)
{
}

static const struct device_ops face_ops = {
	.driver = "record",
	.rx = face_rx,
	.tx = face_tx,
	.poll_fd = face_poll_fd,
	.next = face_next,
	.set_groups = face_set_groups,
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

/* A new file of ours in the directory. NULL and errno. */
static FILE *new_file(struct record *r, const char *name)
{
	int fd = openat(r->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (f == NULL && fd >= 0)
		close(fd);
	return f;
}

static int refuse_dir(struct record *r, int error, char *err, size_t err_len)
{
	char path[600];
	struct stat st;

	snprintf(path, sizeof(path), "%s/journal", r->dir);
	if (error == EEXIST && lstat(path, &st) == 0)
		snprintf(err, err_len, "%s holds a recording already: give --record another directory", r->dir);
	else if (error == EEXIST)
		snprintf(err, err_len, "%s is there already: give --record the name of a directory to be made", r->dir);
	else
		snprintf(err, err_len, "cannot make the directory %s: %s", r->dir, strerror(error));
	return -error;
}

/* Made by us a moment ago, and nobody has put another in its place since. */
static bool is_ours(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 077) == 0;
}

static int open_dir(struct record *r, char *err, size_t err_len)
{
	if (mkdir(r->dir, 0700) != 0)
		return refuse_dir(r, errno, err, err_len);
	r->dir_fd = open(r->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r->dir_fd < 0 || !is_ours(r->dir_fd)) {
		snprintf(err, err_len, "somebody has put another directory in the place of %s", r->dir);
		if (r->dir_fd >= 0)
			close(r->dir_fd);
		return -EPERM;
	}
	r->journal = new_file(r, "journal");
	if (r->journal == NULL) {
		int rc = -errno;
		snprintf(err, err_len, "cannot write to %s/journal: %s", r->dir, strerror(-rc));
		close(r->dir_fd);
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
	hex_write(seed, RNG_SEED_BYTES, hex);
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

void record_finish(struct record *r)
{
	if (r->finished)
		return;
	r->finished = true;
	line(r, "stop\n");
	flush(r);
}

void record_close(struct record *r)
{
	if (r == NULL)
		return;
	record_finish(r);
	for (uint32_t i = 0; i < r->n_captures; i++) {
		pcap_writer_close(r->capture[i].in);
		pcap_writer_close(r->capture[i].out);
	}
	fclose(r->journal);
	if (r->bytes != NULL)
		fclose(r->bytes);
	close(r->dir_fd);
	free(r);
}

void record_config_text(struct record *r, const char *text, size_t len)
{
	r->config_text = text;
	r->config_text_len = len;
}

/* --- steps --- */

static void step_configure(void *ctx, uint64_t generation, uint64_t now)
{
	struct record *r = ctx;
	char name[64];

	begin(r, now);
	if (r->failed)
		return;
	snprintf(name, sizeof(name), "config-%" PRIu64 ".conf", generation);
	FILE *f = new_file(r, name);
	if (f == NULL) {
		fail(r, name, errno);
		return;
	}
	bool ok = fwrite(r->config_text, 1, r->config_text_len, f) == r->config_text_len;
	ok = fclose(f) == 0 && ok;
	if (!ok)
		fail(r, name, errno);
	line(r, "configure %" PRIu64 " %" PRIu64 "\n", r->now, generation);
}

static void step_configure_failed(void *ctx, uint64_t generation)
{
	struct record *r = ctx;

	line(r, "configure-failed %" PRIu64 "\n", generation);
}

static struct pcap_writer *new_capture(struct record *r, const char *name, const char *kind)
{
	struct pcap_writer *w = NULL;
	char file[64], err[256];

	snprintf(file, sizeof(file), "%s.%s.pcap", name, kind);
	FILE *f = new_file(r, file);
	int rc = f != NULL ? pcap_writer_start(f, PCAP_FORM_RECORD, &w, err, sizeof(err)) : -errno;
	if (rc != 0)
		fail(r, file, -rc);
	return w;
}

/* The pair of files of a name; NULL after a failure. */
static struct record_capture *capture_of(struct record *r, const char *name)
{
	struct record_capture *c;

	for (uint32_t i = 0; i < r->n_captures; i++)
		if (strcmp(r->capture[i].name, name) == 0)
			return &r->capture[i];
	if (r->failed)
		return NULL;
	if (r->n_captures == CAPTURES_MAX) {
		fail(r, "devices have had too many names", ENOSPC);
		return NULL;
	}
	c = &r->capture[r->n_captures];
	c->in = new_capture(r, name, "in");
	c->out = c->in != NULL ? new_capture(r, name, "out") : NULL;
	if (c->out == NULL) {
		if (c->in != NULL)
			pcap_writer_close(c->in);
		return NULL;
	}
	snprintf(c->name, sizeof(c->name), "%s", name);
	r->n_captures++;
	return c;
}

static struct device *step_attach(void *ctx, uint32_t ifindex, struct device *d, uint64_t now)
{
	struct record *r = ctx;
	struct record_port *p = &r->port[ifindex];

	begin(r, now);
	p->face = *d;
	p->face.ops = &face_ops;
	p->inner = d;
	p->record = r;
	p->ifindex = ifindex;
	p->capture = capture_of(r, d->name);
	state_line(r, "attach", p, p->face.name);
	return &p->face;
}

static void step_detach(void *ctx, uint32_t ifindex, uint64_t now)
{
	struct record *r = ctx;

	begin(r, now);
	r->port[ifindex].inner = NULL;
	line(r, "detach %" PRIu64 " %u\n", r->now, ifindex);
}

static void step_device_changed(void *ctx, uint32_t ifindex, uint64_t now)
{
	struct record *r = ctx;

	begin(r, now);
	line(r, "told %" PRIu64 " %u\n", r->now, ifindex);
}

static void step_wall(void *ctx, uint64_t wall_offset_ns, uint64_t now)
{
	struct record *r = ctx;

	begin(r, now);
	line(r, "wall %" PRIu64 " %" PRIu64 "\n", r->now, wall_offset_ns);
}

static void step_input(void *ctx, uint32_t ifindex, const struct batch *b, uint64_t now)
{
	struct record *r = ctx;
	struct record_port *p = &r->port[ifindex];

	begin(r, now);
	write_frames(r, p->capture != NULL ? p->capture->in : NULL, b, p->face.name);
	line(r, "rx %" PRIu64 " %u %u\n", r->now, ifindex, b->n);
	if (p->inner != NULL)
		copy_counters(p);
}

static void step_expire(void *ctx, uint64_t now)
{
	struct record *r = ctx;

	begin(r, now);
	line(r, "expire %" PRIu64 "\n", r->now);
}

static void step_raw_open(void *ctx, uint64_t now)
{
	struct record *r = ctx;

	begin(r, now);
	line(r, "raw-open %" PRIu64 "\n", r->now);
}

static void step_raw_close(void *ctx, int socket, uint64_t now)
{
	struct record *r = ctx;

	begin(r, now);
	line(r, "raw-close %" PRIu64 " %d\n", r->now, socket);
}

static void step_ping_socket_send(void *ctx, int socket, const struct ping_request *rq, uint64_t now)
{
	struct record *r = ctx;

	begin(r, now);
	line(r, "raw-send %" PRIu64 " %d %u %u %u %u %u %u %u %u\n", r->now, socket, rq->dst, rq->src, rq->seq,
	     rq->data_len, rq->ttl, rq->tos, rq->df, rq->zone);
}

/* What is sent goes into a file of its own, which is made with the first of it. */
static void write_bytes(struct record *r, const void *bytes, size_t len)
{
	errno = 0;
	if (!r->failed && r->bytes == NULL)
		r->bytes = new_file(r, "sockets.bytes");
	if (!r->failed && (r->bytes == NULL || fwrite(bytes, 1, len, r->bytes) != len))
		fail(r, "sockets.bytes", errno);
}

static void step_socket_call(void *ctx, const struct core_socket_call *c, uint64_t now)
{
	struct record *r = ctx;

	begin(r, now);
	if (core_socket_says(c->op))
		write_bytes(r, c->bytes, c->len);
	line(r, "socket %" PRIu64 " %s %d %u %u %u %u %u %zu\n", r->now, core_socket_op_names[c->op], c->socket,
	     (uint32_t)c->arg[0], (uint32_t)c->arg[1], (uint32_t)c->arg[2], c->end.addr.v4, c->end.port, c->len);
}

static void step_end_connection(void *ctx, uint32_t index, enum ct_end_reason reason, uint64_t now)
{
	struct record *r = ctx;

	begin(r, now);
	line(r, "end %" PRIu64 " %u %d\n", r->now, index, (int)reason);
}

static void step_route(void *ctx, enum core_route_change how, const struct rib_route *route, uint64_t now)
{
	struct record *r = ctx;
	char text[JOURNAL_LINE_MAX];

	begin(r, now);
	journal_route_write(route, how == CORE_ROUTE_SET, text, sizeof(text));
	line(r, "%s %" PRIu64 " %s\n", how == CORE_ROUTE_SET ? "route" : "route-del", r->now, text);
}

static void step_next_hop(void *ctx, uint32_t ifindex, uint32_t addr, bool up, uint64_t now)
{
	struct record *r = ctx;

	begin(r, now);
	line(r, "next-hop %" PRIu64 " %u %u %u\n", r->now, ifindex, addr, up);
}

static void step_flush(void *ctx)
{
	flush(ctx);
}

const struct core_recorder record_steps = {
	.configure = step_configure,
	.configure_failed = step_configure_failed,
	.attach = step_attach,
	.detach = step_detach,
	.device_changed = step_device_changed,
	.wall = step_wall,
	.input = step_input,
	.expire = step_expire,
	.ping_socket_open = step_raw_open,
	.ping_socket_close = step_raw_close,
	.ping_socket_send = step_ping_socket_send,
	.socket_call = step_socket_call,
	.end_connection = step_end_connection,
	.route = step_route,
	.next_hop = step_next_hop,
	.flush = step_flush,
};
