/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Asking a running gateway: connect, send one request, copy what comes to
 * standard output, standard error and the file that was asked for, and end with the status
 * that the gateway gave.
 */
#include "daemon/control/server/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/printable.h"
#include "daemon/control/commands/command.h"
#include "daemon/control/server/path.h"

int control_client_send(struct control_client *c, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(c->fd, text, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* `events --until KIND` is how scripts wait for a gateway that they have just started: it may not have its socket yet.
 */
#define START_RETRY_MS 50
#define START_TRIES 200

static bool asks_until(size_t n_words, const char *const *word)
{
	bool until = false;

	for (size_t i = 1; i < n_words; i++)
		until = until || strncmp(word[i], "--until", 7) == 0;
	return until && strcmp(word[0], "events") == 0;
}

int control_client_open(struct control_client *c, const char *path, size_t n_words, const char *const *word, char *err,
			size_t err_len)
{
	char *line = proto_request_text(n_words, word);
	if (line == NULL || strlen(line) > PROTO_REQUEST_MAX) {
		free(line);
		snprintf(err, err_len, "the command cannot be sent: too long, or not UTF-8");
		return -EINVAL;
	}
	c->fd = control_path_connect(path, err, err_len);
	for (int tries = asks_until(n_words, word) ? START_TRIES : 0;
	     tries > 0 && (c->fd == -ENOENT || c->fd == -ECONNREFUSED); tries--) {
		poll(NULL, 0, START_RETRY_MS);
		c->fd = control_path_connect(path, err, err_len);
	}
	if (c->fd < 0) {
		free(line);
		return c->fd;
	}
	proto_reader_init(&c->reader);
	int rc = control_client_send(c, line, strlen(line));
	free(line);
	if (rc != 0) {
		snprintf(err, err_len, "the gateway does not listen: %s", strerror(-rc));
		control_client_close(c);
	}
	return rc;
}

void control_client_close(struct control_client *c)
{
	close(c->fd);
	proto_reader_fini(&c->reader);
}

int control_client_read(struct control_client *c)
{
	char buf[65536];
	ssize_t n = read(c->fd, buf, sizeof(buf));

	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	if (n == 0)
		return 0;
	int rc = proto_reader_add(&c->reader, buf, (size_t)n);
	return rc == 0 ? 1 : rc;
}

/* One of the two streams of an answer. A frame may end in the middle of a character. */
struct stream {
	FILE *to;
	char held[4];
	size_t n_held;
};

/* A gateway sends nothing that would steer a terminal; but who knows what answers on a socket. */
static bool print_text(struct stream *s, const uint8_t *text, size_t len)
{
	char buf[4096];

	while (len > 0) {
		size_t n = len < sizeof(buf) - s->n_held ? len : sizeof(buf) - s->n_held;
		memcpy(buf, s->held, s->n_held);
		memcpy(buf + s->n_held, text, n);
		size_t all = s->n_held + n;
		s->n_held = printable_piece(buf, all, PRINTABLE_TEXT);
		all -= s->n_held;
		memcpy(s->held, buf + all, s->n_held);
		if (fwrite(buf, 1, all, s->to) != all)
			return false;
		text += n;
		len -= n;
	}
	return fflush(s->to) == 0;
}

/* The file that a command writes. It is made when the first of it comes, so that what was there before stays when
 * nothing does; for its owner alone, since it may have what people send each other. */
struct file {
	const char *path; /* NULL: it was asked for none */
	int fd;           /* below 0: not made yet */
};

static bool file_open(struct file *f)
{
	if (strcmp(f->path, "-") != 0) {
		f->fd = open(f->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		return f->fd >= 0;
	}
	f->fd = STDOUT_FILENO;
	if (!isatty(f->fd))
		return true;
	errno = EINVAL; /* its bytes are no text */
	return false;
}

static bool file_write(struct file *f, const uint8_t *bytes, size_t len)
{
	bool good = f->fd >= 0 || file_open(f);

	while (good && len > 0) {
		ssize_t n = write(f->fd, bytes, len);

		good = n >= 0 || errno == EINTR;
		bytes += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	if (!good)
		fprintf(stderr, "yangguan: cannot write %s: %s\n", f->path, strerror(errno));
	return good;
}

/* Where an answer goes. */
struct sinks {
	struct stream out, err;
	struct file file;
};

/* Puts the frames that are whole where they belong. The exit status when it came, else -1. */
static int print_frames(struct control_client *c, struct sinks *to)
{
	struct proto_view v;
	int rc;

	while ((rc = proto_reader_next(&c->reader, &v)) == 1) {
		if (v.type == PROTO_EXIT)
			return v.payload[0];
		if (v.type == PROTO_FILE && to->file.path == NULL) {
			rc = -EPROTO;
			break;
		}
		if (v.type == PROTO_FILE ? !file_write(&to->file, v.payload, v.len)
					 : !print_text(v.type == PROTO_OUT ? &to->out : &to->err, v.payload, v.len))
			return EXIT_FAILED;
	}
	if (rc == 0)
		return -1;
	fprintf(stderr, "yangguan: what answers on the control socket is no gateway of this version\n");
	return EXIT_USAGE;
}

/* --- lines of a file to the server, while its answer comes --- */

struct feed {
	int fd; /* -1: nothing, or no more of it */
	enum client_lines how;
	bool at_begin; /* of a line */
	bool failed;   /* it could not be read to its end */
	char out[65536];
	size_t n_out, n_sent;
};

static void feed_put(struct feed *f, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		/* An empty line is the end; so one of the file goes as a comment. */
		if (f->at_begin && (f->how == CLIENT_LINES_MARKED || text[i] == '\n'))
			f->out[f->n_out++] = f->how == CLIENT_LINES_MARKED ? '>' : '#';
		/* Nothing of a line stands behind what looks like its end. */
		f->out[f->n_out++] = text[i] != '\0' ? text[i] : '?';
		f->at_begin = text[i] == '\n';
	}
}

/* All of `out` has gone. */
static void feed_fill(struct feed *f)
{
	char buf[sizeof(f->out) / 2 - 2];
	ssize_t n = read(f->fd, buf, sizeof(buf));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	f->n_out = f->n_sent = 0;
	f->failed = n < 0;
	if (f->failed)
		fprintf(stderr, "yangguan: cannot read the lines: %s\n", strerror(errno));
	if (n > 0) {
		feed_put(f, buf, (size_t)n);
		return;
	}
	if (!f->at_begin)
		f->out[f->n_out++] = '\n';
	f->out[f->n_out++] = '\n';
	f->fd = -1;
}

/* A server that takes no more has its reasons, and is about to say them. */
static void feed_send(struct feed *f, int to)
{
	ssize_t n = send(to, f->out + f->n_sent, f->n_out - f->n_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n >= 0) {
		f->n_sent += (size_t)n;
	} else if (errno != EINTR && errno != EAGAIN) {
		f->n_sent = f->n_out;
		f->fd = -1;
	}
}

/* Until something has come, which is left to be read. False: something else happened. */
static bool feed_wait(struct feed *f, int server)
{
	bool to_send = f->n_sent < f->n_out;
	struct pollfd p[2] = { { .fd = server, .events = (short)(to_send ? POLLIN | POLLOUT : POLLIN) },
			       { .fd = to_send ? -1 : f->fd, .events = POLLIN } };

	if (f->fd < 0 && !to_send)
		return true;
	if (poll(p, 2, -1) < 0)
		return false;
	if (p[0].revents & (POLLIN | POLLERR | POLLHUP))
		return true;
	if (p[0].revents & POLLOUT)
		feed_send(f, server);
	if (p[1].revents != 0)
		feed_fill(f);
	return false;
}

int control_client_run(const char *path, size_t n_words, const char *const *word, const struct client_files *files)
{
	struct control_client c;
	struct feed feed = { .fd = files->lines_fd, .how = files->how, .at_begin = true };
	struct sinks to = { .out.to = stdout, .err.to = stderr, .file = { .path = files->output, .fd = -1 } };
	char err[2304];
	int status = -1;

	if (control_client_open(&c, path, n_words, word, err, sizeof(err)) != 0) {
		fprintf(stderr, "yangguan: %s\n", printable_string(err, PRINTABLE_TEXT));
		return EXIT_USAGE;
	}
	while (status < 0) {
		if (!feed_wait(&feed, c.fd))
			continue;
		int rc = control_client_read(&c);
		if (rc == -EINTR)
			continue;
		if (rc <= 0) {
			fprintf(stderr, "yangguan: the gateway ended before it had answered\n");
			status = EXIT_FAILED;
			break;
		}
		status = print_frames(&c, &to);
	}
	control_client_close(&c);
	return status == EXIT_OK && feed.failed ? EXIT_FAILED : status;
}
