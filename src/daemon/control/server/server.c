/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One session per connection: it reads a request, starts the command, and
 * carries what the command writes to the client in frames. A command never
 * waits: it writes a piece and is called again when the client has taken it
 * (bufferevent's write watermark), so a slow client costs one bounded buffer and
 * nobody's time. Everything runs in the control thread.
 *
 * Sessions stand in the order of their last progress: something was read from
 * the client, or the client took something. When one more comes than there is
 * room for, the last of the list is told so and dropped, so that clients which
 * are stuck never keep others out. A session that only has to hand out the rest
 * of its answer does not count; of those, too, only so many are kept.
 *
 * libevent, too, calls its watcher `struct yg_event`. In this file a pointer of that
 * type is always ours, but for the opaque one that evconnlistener keeps inside.
 */
#include "daemon/control/server/server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/printable.h"
#include "daemon/control/commands/command.h"
#include "daemon/control/server/path.h"

#define OUTPUT_LOW (64u * 1024)  /* unread bytes below which a command writes more */
#define INPUT_HIGH (256u * 1024) /* unread bytes above which no more lines are taken */
#define REQUEST_TIMEOUT_S 10     /* to send the request */
#define CLOSING_TIMEOUT_S 30     /* to read the rest without any progress */

enum phase { PHASE_REQUEST, PHASE_RUNNING, PHASE_CLOSING };

struct session {
	struct control_server *server;
	struct session *next, **at; /* at: what points here */
	struct bufferevent *bev;
	struct evbuffer *pending; /* payload of the frame being put together */
	enum proto_frame pending_type;
	enum phase phase;
	bool wants_more, at_eof;
	struct proto_request request;
	struct command_call call;
};

struct control_server {
	struct event_base *base;
	struct evconnlistener *listener;
	const struct control_target *target;
	struct session *sessions; /* the one with the latest progress first */
	size_t n_sessions;
	bool wants_events;
	int spare_fd; /* given up for a moment when no other descriptor is left; -1: none */
	char path[CONTROL_PATH_MAX];
};

/* Kinds of which everybody is told without asking; a connection's are made only when somebody listens. */
static void update_wanted(struct control_server *srv)
{
	bool wanted = false;

	for (struct session *s = srv->sessions; s != NULL; s = s->next)
		wanted = wanted ||
			 (s->phase == PHASE_RUNNING && s->call.command != NULL && s->call.command->event != NULL);
	if (wanted == srv->wants_events)
		return;
	srv->wants_events = wanted;
	srv->target->want_events(srv->target->ctx, wanted ? UINT32_MAX : 0);
}

static void end_call(struct session *s)
{
	if (s->phase != PHASE_RUNNING)
		return;
	s->phase = PHASE_CLOSING;
	command_end(&s->call);
	update_wanted(s->server);
}

static void list_take(struct session *s)
{
	*s->at = s->next;
	if (s->next != NULL)
		s->next->at = s->at;
}

static void list_put_first(struct session *s)
{
	s->next = s->server->sessions;
	s->at = &s->server->sessions;
	if (s->next != NULL)
		s->next->at = &s->next;
	s->server->sessions = s;
}

static void made_progress(struct session *s)
{
	list_take(s);
	list_put_first(s);
}

static void session_free(struct session *s)
{
	end_call(s);
	list_take(s);
	s->server->n_sessions--;
	proto_request_free(&s->request);
	evbuffer_free(s->pending);
	bufferevent_free(s->bev);
	free(s);
}

static void flush_pending(struct session *s)
{
	struct evbuffer *out = bufferevent_get_output(s->bev);
	size_t len;

	while ((len = evbuffer_get_length(s->pending)) > 0) {
		uint8_t header[PROTO_FRAME_HEADER];
		if (len > PROTO_PAYLOAD_MAX)
			len = PROTO_PAYLOAD_MAX;
		proto_frame_header(header, s->pending_type, (uint32_t)len);
		evbuffer_add(out, header, sizeof(header));
		evbuffer_remove_buffer(s->pending, out, len);
	}
}

static void session_write(void *carrier, enum proto_frame type, const char *text, size_t len)
{
	struct session *s = carrier;

	if (type != s->pending_type)
		flush_pending(s);
	s->pending_type = type;
	/* Whatever a command has to say and wherever it has it from: a terminal may be at the other end. */
	struct evbuffer_iovec room;
	if (len == 0 || evbuffer_reserve_space(s->pending, (ev_ssize_t)len, &room, 1) != 1)
		return;
	room.iov_len = len;
	memcpy(room.iov_base, text, len);
	if (type != PROTO_FILE)
		printable(room.iov_base, len, PRINTABLE_TEXT);
	evbuffer_commit_space(s->pending, &room, 1);
}

static size_t session_backlog(void *carrier)
{
	struct session *s = carrier;

	return evbuffer_get_length(s->pending) + evbuffer_get_length(bufferevent_get_output(s->bev));
}

/* Acts on what a handler returned. */
static void session_result(struct session *s, int rc)
{
	flush_pending(s);
	if (rc >= 0) {
		uint8_t frame[PROTO_FRAME_HEADER + 1];
		struct timeval timeout = { .tv_sec = CLOSING_TIMEOUT_S };
		end_call(s);
		s->phase = PHASE_CLOSING;
		proto_frame_header(frame, PROTO_EXIT, 1);
		frame[PROTO_FRAME_HEADER] = (uint8_t)rc;
		evbuffer_add(bufferevent_get_output(s->bev), frame, sizeof(frame));
		bufferevent_set_timeouts(s->bev, NULL, &timeout);
		return;
	}
	s->wants_more = rc == COMMAND_MORE;
	/* What is below the mark already will not drain past it. */
	if (s->wants_more && session_backlog(s) <= OUTPUT_LOW)
		bufferevent_trigger(s->bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
}

static void session_fail(struct session *s, int status, const char *text)
{
	session_write(s, PROTO_ERR, "yangguan: ", 10);
	session_write(s, PROTO_ERR, text, strlen(text));
	session_write(s, PROTO_ERR, "\n", 1);
	session_result(s, status);
}

static void start_request(struct session *s, const char *line, size_t len)
{
	char err[192] = "no memory";

	if (proto_request_parse(line, len, &s->request, err, sizeof(err)) != 0) {
		session_fail(s, EXIT_USAGE, err);
		return;
	}
	bufferevent_set_timeouts(s->bev, NULL, NULL);
	s->call = (struct command_call){ .write = session_write, .backlog = session_backlog, .carrier = s };
	int rc = command_start(&s->call, s->server->target, s->request.n_words, (const char *const *)s->request.word);
	s->phase = PHASE_RUNNING;
	update_wanted(s->server);
	session_result(s, s->call.command == NULL && rc < 0 ? EXIT_FAILED : rc);
}

/* What was written, or what waits for somebody else, is more than enough. */
static bool is_full(struct session *s)
{
	return session_backlog(s) > INPUT_HIGH || (s->call.command->full != NULL && s->call.command->full(&s->call));
}

static void on_read(struct bufferevent *bev, void *ctx)
{
	struct session *s = ctx;
	struct evbuffer *in = bufferevent_get_input(bev);
	char *line;
	size_t len;

	made_progress(s);
	while (s->phase == PHASE_REQUEST || (s->phase == PHASE_RUNNING && command_takes_lines(&s->call))) {
		if (s->phase == PHASE_RUNNING && is_full(s)) {
			bufferevent_disable(bev, EV_READ);
			return;
		}
		line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF);
		if (line == NULL) {
			if (evbuffer_get_length(in) >= PROTO_REQUEST_MAX)
				session_fail(s, EXIT_USAGE, "a line of the request is too long");
			return;
		}
		if (s->phase == PHASE_REQUEST)
			start_request(s, line, len);
		else
			session_result(s, s->call.command->line(&s->call, line));
		free(line);
	}
	/* Nothing more is expected; what comes all the same is not kept. */
	evbuffer_drain(in, evbuffer_get_length(in));
}

/* Lines that were left where they are. */
static void read_again(struct session *s)
{
	if (s->at_eof || (bufferevent_get_enabled(s->bev) & EV_READ) != 0)
		return;
	bufferevent_enable(s->bev, EV_READ);
	on_read(s->bev, s);
}

static void on_write(struct bufferevent *bev, void *ctx)
{
	struct session *s = ctx;

	if (s->phase == PHASE_CLOSING) {
		if (evbuffer_get_length(bufferevent_get_output(bev)) == 0)
			session_free(s);
		return;
	}
	if (s->phase != PHASE_RUNNING || session_backlog(s) > OUTPUT_LOW)
		return;
	if (s->wants_more) {
		s->wants_more = false;
		session_result(s, s->call.command->more(&s->call));
		return;
	}
	read_again(s);
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
	struct session *s = ctx;

	/* Whoever closed only the sending half still gets the rest of an answer that has an end. To one that is
	 * gone nothing can be written: libevent may tell of both ends at once, and of nothing more afterwards. */
	if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) == BEV_EVENT_EOF &&
	    (s->wants_more || s->phase == PHASE_CLOSING) && evbuffer_get_length(bufferevent_get_output(bev)) > 0) {
		s->at_eof = true;
		return;
	}
	if ((what & BEV_EVENT_TIMEOUT) != 0 && s->phase == PHASE_REQUEST) {
		session_fail(s, EXIT_USAGE, "no request came");
		return;
	}
	session_free(s);
}

static void on_output(struct evbuffer *out, const struct evbuffer_cb_info *info, void *ctx)
{
	if (info->n_deleted > 0)
		made_progress(ctx);
}

/* After a new session came: ends the one of a phase that has been idle longest when there are more than max. */
static void make_room(struct control_server *srv, bool closing, size_t max)
{
	struct session *idle = NULL;
	size_t n = 0;

	for (struct session *s = srv->sessions; s != NULL; s = s->next) {
		if ((s->phase == PHASE_CLOSING) != closing)
			continue;
		idle = s;
		n++;
	}
	if (n <= max)
		return;
	if (closing)
		session_free(idle);
	else
		session_fail(idle, EXIT_FAILED,
			     "dropped: too many commands are connected to the gateway, and this one was idle longest");
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr, int addr_len,
		      void *ctx)
{
	struct control_server *srv = ctx;
	struct timeval timeout = { .tv_sec = REQUEST_TIMEOUT_S };
	struct session *s = calloc(1, sizeof(*s));
	struct bufferevent *bev =
		bufferevent_socket_new(srv->base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	struct evbuffer *pending = evbuffer_new();

	if (s == NULL || bev == NULL || pending == NULL) {
		free(s);
		if (pending != NULL)
			evbuffer_free(pending);
		if (bev != NULL)
			bufferevent_free(bev);
		else
			close(fd);
		return;
	}
	*s = (struct session){ .server = srv, .bev = bev, .pending = pending, .pending_type = PROTO_OUT };
	list_put_first(s);
	srv->n_sessions++;
	bufferevent_setcb(bev, on_read, on_write, on_event, s);
	bufferevent_setwatermark(bev, EV_READ, 0, PROTO_REQUEST_MAX);
	bufferevent_setwatermark(bev, EV_WRITE, OUTPUT_LOW, 0);
	bufferevent_set_timeouts(bev, &timeout, NULL);
	/* Without memory for it the session only looks idle. */
	evbuffer_add_cb(bufferevent_get_output(bev), on_output, s);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	make_room(srv, false, CONTROL_SESSIONS_MAX);
	make_room(srv, true, CONTROL_SESSIONS_MAX);
}

/* The one who waits would wake us up for ever. With the spare descriptor the call is taken, and hung up. */
static void on_accept_error(struct evconnlistener *listener, void *ctx)
{
	struct control_server *srv = ctx;

	if (srv->spare_fd >= 0)
		close(srv->spare_fd);
	int fd = accept(evconnlistener_get_fd(listener), NULL, NULL);
	if (fd >= 0)
		close(fd);
	srv->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Frees the path if a gateway that is gone left its socket there. */
static int claim_path(const char *path, char *err, size_t err_len)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return 0;
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(err, err_len, "%s is there and is no socket: give another --socket PATH", path);
		return -EADDRINUSE;
	}
	int fd = control_path_dial(path);
	if (fd >= 0) {
		close(fd);
		snprintf(err, err_len, "another gateway runs on %s: stop it, or give another --socket PATH", path);
		return -EADDRINUSE;
	}
	if (fd != -ECONNREFUSED) {
		snprintf(err, err_len, "%s: %s", path, strerror(-fd));
		return fd;
	}
	if (unlink(path) != 0 && errno != ENOENT) {
		int rc = -errno;
		snprintf(err, err_len, "cannot replace the socket of a gateway that is gone, %s: %s", path,
			 strerror(-rc));
		return rc;
	}
	return 0;
}

static int bind_path(const char *path, char *err, size_t err_len)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sun.sun_path)) {
		snprintf(err, err_len, "the socket's path is longer than %zu characters: %s", sizeof(sun.sun_path) - 1,
			 path);
		return -ENAMETOOLONG;
	}
	int rc = claim_path(path, err, err_len);
	if (rc != 0)
		return rc;
	strcpy(sun.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t old = umask(0177);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) != 0) {
		rc = -errno;
		snprintf(err, err_len, "cannot make the control socket %s: %s", path, strerror(-rc));
		if (fd >= 0)
			close(fd);
	}
	umask(old);
	return rc != 0 ? rc : fd;
}

int control_server_create(struct event_base *base, const char *path, const struct control_target *target,
			  struct control_server **out, char *err, size_t err_len)
{
	struct control_server *srv = calloc(1, sizeof(*srv));
	if (srv == NULL) {
		snprintf(err, err_len, "no memory");
		return -ENOMEM;
	}
	int fd = bind_path(path, err, err_len);
	if (fd < 0) {
		free(srv);
		return fd;
	}
	srv->base = base;
	srv->target = target;
	snprintf(srv->path, sizeof(srv->path), "%s", path);
	srv->listener = evconnlistener_new(base, on_accept, srv, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 64, fd);
	if (srv->listener == NULL) {
		snprintf(err, err_len, "cannot listen on %s", path);
		close(fd);
		unlink(path);
		free(srv);
		return -ENOMEM;
	}
	srv->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	evconnlistener_set_error_cb(srv->listener, on_accept_error);
	*out = srv;
	return 0;
}

void control_server_shut(struct control_server *srv)
{
	if (srv->listener == NULL)
		return;
	evconnlistener_free(srv->listener);
	srv->listener = NULL;
	unlink(srv->path);
	struct session *next;
	for (struct session *s = srv->sessions; s != NULL; s = next) {
		next = s->next;
		int rc = EXIT_FAILED;

		/* What it has not read yet it gets now. */
		if (s->phase == PHASE_RUNNING && s->call.command->log != NULL)
			rc = s->call.command->log(&s->call);
		if (s->phase == PHASE_RUNNING && s->call.command->shut != NULL)
			rc = s->call.command->shut(&s->call);
		if (s->phase != PHASE_CLOSING)
			session_result(s, rc >= 0 ? rc : EXIT_FAILED);
	}
}

void control_server_destroy(struct control_server *srv)
{
	if (srv == NULL)
		return;
	control_server_shut(srv);
	while (srv->sessions != NULL)
		session_free(srv->sessions);
	if (srv->spare_fd >= 0)
		close(srv->spare_fd);
	free(srv);
}

void control_server_event(struct control_server *srv, const struct yg_event *e)
{
	struct session *next;

	for (struct session *s = srv->sessions; s != NULL; s = next) {
		next = s->next;
		if (s->phase == PHASE_RUNNING && s->call.command->event != NULL) {
			int rc = s->call.command->event(&s->call, e);
			session_result(s, rc);
		}
	}
}

void control_server_raw(struct control_server *srv)
{
	struct session *next;

	for (struct session *s = srv->sessions; s != NULL; s = next) {
		next = s->next;
		if (s->phase != PHASE_RUNNING || s->call.command->raw == NULL || s->wants_more)
			continue;
		session_result(s, s->call.command->raw(&s->call));
		if (s->phase == PHASE_RUNNING && s->call.command->full != NULL)
			read_again(s);
	}
}

void control_server_log(struct control_server *srv)
{
	struct session *next;

	for (struct session *s = srv->sessions; s != NULL; s = next) {
		next = s->next;
		if (s->phase == PHASE_RUNNING && s->call.command->log != NULL && !s->wants_more)
			session_result(s, s->call.command->log(&s->call));
	}
}

size_t control_server_n_sessions(const struct control_server *srv)
{
	return srv->n_sessions;
}
