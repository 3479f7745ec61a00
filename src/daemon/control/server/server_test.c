/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The control server with real sockets and a gateway that is only its IP stack:
 * requests good and bad, slow readers, and what becomes of old sockets.
 */
#include "daemon/control/server/server.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/util.h"
#include "daemon/control/server/path.h"
#include "daemon/control/commands/proto.h"

struct fixture {
	char dir[64], path[96];
	struct event_base *base;
	struct env env;
	struct ip_stack *ip;
	struct control_target target;
	struct control_server *server;
	bool ready, wants;
	size_t report_bytes;
};

static void slot_call(void *ctx, uint32_t core, control_fn *fn, void *arg)
{
	fn(arg);
}

static uint64_t slot_ready(void *ctx)
{
	return ((struct fixture *)ctx)->ready;
}

static void slot_want(void *ctx, uint32_t kinds)
{
	((struct fixture *)ctx)->wants = kinds != 0;
}

/* A report of any length, to have much to read. */
static bool slot_reload(void *ctx, char **report)
{
	size_t n = ((struct fixture *)ctx)->report_bytes;

	*report = malloc(n + 1);
	memset(*report, 'r', n);
	(*report)[n] = '\0';
	return n != 0;
}

static void emit(void *ctx, const struct yg_event *e)
{
}

static int setup(void **state)
{
	const struct packet_pool_config pool = { .n_packets = 16, .n_small = 16, .n_large = 1 };
	const struct ip_limits limits = { 0 };
	struct fixture *f = calloc(1, sizeof(*f));
	char err[256];

	strcpy(f->dir, "/tmp/yg-server-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/s.sock", f->dir);
	f->base = event_base_new();
	f->env.pool = packet_pool_create(&pool);
	f->env.emit = emit;
	f->ip = ip_stack_create(&f->env, &limits);
	f->target = (struct control_target){
		.n_cores = 1,
		.env = &f->env,
		.ip = f->ip,
		.ctx = f,
		.call = slot_call,
		.reload = slot_reload,
		.ready = slot_ready,
		.want_events = slot_want,
	};
	assert_int_equal(control_server_create(f->base, f->path, &f->target, &f->server, err, sizeof(err)), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	control_server_destroy(f->server);
	assert_int_not_equal(lstat(f->path, &st), 0);
	ip_stack_destroy(f->ip);
	packet_pool_destroy(f->env.pool);
	event_base_free(f->base);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void turn(struct fixture *f)
{
	for (int i = 0; i < 8; i++)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static int dial(struct fixture *f)
{
	int fd = control_path_dial(f->path);

	assert_true(fd >= 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	turn(f);
	return fd;
}

/* Sends a request and reads until the exit frame, the end, or nothing more comes.
 * out has type and payload of each frame; the result is the exit status, -1 without one. */
static int ask(struct fixture *f, int fd, const char *request, char *out, size_t out_len)
{
	struct proto_reader reader;
	struct proto_view v;
	char buf[4096];
	int status = -1;
	size_t len = 0;

	if (request != NULL)
		assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
	proto_reader_init(&reader);
	for (int idle = 0; idle < 4 && status < 0;) {
		turn(f);
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		if (n <= 0) {
			idle++;
			continue;
		}
		assert_int_equal(proto_reader_add(&reader, buf, (size_t)n), 0);
		while (proto_reader_next(&reader, &v) == 1) {
			if (v.type == PROTO_EXIT)
				status = v.payload[0];
			else if (len + v.len + 2 < out_len) {
				out[len++] = (char)v.type;
				memcpy(out + len, v.payload, v.len);
				len += v.len;
			}
		}
	}
	out[len] = '\0';
	proto_reader_fini(&reader);
	return status;
}

/* Catches requests that crash the server, hang, or are answered with the wrong status. */
static void test_requests(void **state)
{
	static const struct {
		const char *request;
		int status;
		const char *out;
	} rows[] = {
		{ "[\"reload\"]\n", 0, "orrrr" },
		{ "[\"relaod\"]\n", 2, "did you mean \"reload\"" },
		{ "[\"reload\",\"--nope\"]\n", 2, "unknown option --nope" },
		{ "[\"reload\",\"word\"]\n", 2, "unexpected" },
		{ "[\"events\",\"--help\"]\n", 0, "usage: yangguan events" },
		{ "[\"events\",\"--until\",\"redy\"]\n", 2, "did you mean \"ready\"" },
		{ "[\"events\",\"-n\",\"0\"]\n", 2, "not a number" },
		{ "[\"conntrack\",\"-D\"]\n", 2, "-D needs" },
		{ "[\"conntrack\",\"-L\",\"-F\"]\n", 2, "one of" },
		{ "[\"conntrack\",\"-s\",\"300.1.1.1\"]\n", 2, "no IPv4 address" },
		{ "[\"conntrack\",\"-d\",\"1.1.1.1/33\"]\n", 2, "no IPv4 address" },
		{ "[\"conntrack\",\"-p\",\"999\"]\n", 2, "no protocol" },
		{ "GET / HTTP/1.1\n", 2, "not JSON" },
		{ "\n", 2, "not JSON" },
		{ "[]\n", 2, "0 words" },
	};
	struct fixture *f = *state;

	f->report_bytes = 4;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[8192];
		int fd = dial(f);
		assert_int_equal(ask(f, fd, rows[i].request, out, sizeof(out)), rows[i].status);
		assert_non_null(strstr(out, rows[i].out));
		turn(f);
		close(fd);
		turn(f);
		assert_int_equal(control_server_n_sessions(f->server), 0);
	}
}

/* Catches a request without an end that is kept for ever or without bound. */
static void test_endless_request(void **state)
{
	struct fixture *f = *state;
	char piece[4096], out[512];
	int fd = dial(f);

	memset(piece, '[', sizeof(piece));
	for (int i = 0; i < 64; i++) {
		turn(f);
		if (send(fd, piece, sizeof(piece), MSG_NOSIGNAL) < 0)
			break;
	}
	assert_int_equal(ask(f, fd, NULL, out, sizeof(out)), 2);
	assert_non_null(strstr(out, "too long"));
	close(fd);
	turn(f);
}

/* Catches a client that goes away at any moment and takes the server with it. */
static void test_client_leaves(void **state)
{
	static const char *const requests[] = { "", "[\"ev", "[\"events\"]\n", "[\"reload\"]\n" };
	struct fixture *f = *state;

	f->report_bytes = 4 << 20;
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		int fd = dial(f);
		if (requests[i][0] != '\0')
			assert_true(send(fd, requests[i], strlen(requests[i]), MSG_NOSIGNAL) > 0);
		turn(f);
		assert_int_equal(control_server_n_sessions(f->server), 1);
		close(fd);
		turn(f);
		control_server_event(f->server, &(struct yg_event){ .kind = EVENT_DEVICE_UP });
		turn(f);
		assert_int_equal(control_server_n_sessions(f->server), 0);
	}
	assert_false(f->wants);
}

/* Catches a waiter that misses `ready`, whether it came before the gateway was ready or after. */
static void test_ready(void **state)
{
	struct fixture *f = *state;
	char out[512];

	int early = dial(f);
	assert_int_equal(ask(f, early, "[\"events\",\"--until\",\"ready\"]\n", out, sizeof(out)), -1);
	assert_true(f->wants);
	f->ready = true;
	control_server_event(f->server, &(struct yg_event){ .kind = EVENT_READY, .count = 1 });
	assert_int_equal(ask(f, early, NULL, out, sizeof(out)), 0);
	assert_non_null(strstr(out, " ready generation=1\n"));
	close(early);

	int late = dial(f);
	assert_int_equal(ask(f, late, "[\"events\",\"--until\",\"ready\",\"-j\"]\n", out, sizeof(out)), 0);
	assert_non_null(strstr(out, "\"event\":\"ready\""));
	close(late);

	int stopped = dial(f);
	assert_int_equal(ask(f, stopped, "[\"events\",\"--until\",\"conn-new\"]\n", out, sizeof(out)), -1);
	control_server_event(f->server, &(struct yg_event){ .kind = EVENT_STOPPED });
	assert_int_equal(ask(f, stopped, NULL, out, sizeof(out)), 1);
	close(stopped);
	turn(f);
	assert_false(f->wants);
}

/* Catches events that pile up without bound for a reader that does not read, and a loss that nobody is told of. */
static void test_slow_reader(void **state)
{
	struct fixture *f = *state;
	static char out[4 << 20];
	int fd = dial(f);
	size_t n_lines = 0;
	unsigned long long lost = 0;

	assert_int_equal(ask(f, fd, "[\"events\"]\n", out, sizeof(out)), -1);
	for (int i = 0; i < 100000; i++) {
		control_server_event(f->server, &(struct yg_event){ .kind = EVENT_DEVICE_UP });
		if (i % 64 == 0)
			turn(f);
	}
	assert_int_equal(ask(f, fd, NULL, out, sizeof(out)), -1);
	for (const char *p = out; (p = strstr(p, "device-up")) != NULL; p++)
		n_lines++;
	const char *p = strstr(out, "lost count=");
	assert_non_null(p);
	assert_int_equal(sscanf(p, "lost count=%llu", &lost), 1);
	assert_true(lost > 0);
	assert_int_equal(n_lines + lost, 100000);
	close(fd);
	turn(f);
}

/* Catches sessions that stay when a client left before it could be answered: 64 of them close the socket for all. */
static void test_left_before_the_answer(void **state)
{
	static const char *const request[] = { "no request\n", "[\"conntrack\",\"-D\"]\n", "[\"reload\"]\n", "half",
					       "" };
	struct fixture *f = *state;

	f->report_bytes = 1 << 20;
	for (size_t i = 0; i < 4 * CONTROL_SESSIONS_MAX; i++) {
		const char *text = request[i % ARRAY_LEN(request)];
		int fd = control_path_dial(f->path);
		assert_true(fd >= 0);
		assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
		close(fd);
		if (i % 16 == 15)
			turn(f);
	}
	turn(f);
	assert_int_equal(control_server_n_sessions(f->server), 0);
}

/* Catches clients that read nothing, say nothing or only listen, and keep all others out; and one at work that is
 * dropped in their stead. */
static void test_idle_clients(void **state)
{
	/* told: the answer has an end and room enough for the reason behind it. */
	static const struct {
		const char *request;
		bool at_work, told;
	} rows[] = {
		{ "", true, true },
		{ "[\"rel", true, true },
		{ "[\"reload\"]\n", true, false },
		{ "[\"events\"]\n", false, true },
	};
	struct fixture *f = *state;
	int idle[4 * CONTROL_SESSIONS_MAX];
	char out[8192];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int at_work = dial(f);

		f->report_bytes = 1 << 20;
		assert_int_equal(ask(f, at_work, "[\"events\"]\n", out, sizeof(out)), -1);
		for (size_t k = 0; k < ARRAY_LEN(idle); k++) {
			idle[k] = dial(f);
			send(idle[k], rows[i].request, strlen(rows[i].request), MSG_NOSIGNAL);
			turn(f);
			assert_true(control_server_n_sessions(f->server) <= 2 * CONTROL_SESSIONS_MAX);
			if (!rows[i].at_work)
				continue;
			control_server_event(f->server, &(struct yg_event){ .kind = EVENT_DEVICE_UP });
			assert_int_equal(ask(f, at_work, NULL, out, sizeof(out)), -1);
			assert_non_null(strstr(out, "device-up"));
		}
		f->report_bytes = 4;
		int fd = dial(f);
		assert_int_equal(ask(f, fd, "[\"reload\"]\n", out, sizeof(out)), 0);
		close(fd);
		if (rows[i].told) {
			assert_int_equal(ask(f, idle[0], NULL, out, sizeof(out)), 1);
			assert_non_null(strstr(out, "idle longest"));
		}
		close(at_work);
		for (size_t k = 0; k < ARRAY_LEN(idle); k++)
			close(idle[k]);
		turn(f);
		assert_int_equal(control_server_n_sessions(f->server), 0);
	}
}

/* Catches a loop without end over a client that no descriptor is left for. */
static void test_no_descriptors(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, few;
	char c;
	int fd = control_path_dial(f->path);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = (struct rlimit){ .rlim_cur = (rlim_t)fd + 1, .rlim_max = old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	turn(f);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	assert_int_equal(recv(fd, &c, 1, 0), 0); /* hung up */
	close(fd);
	assert_int_equal(control_server_n_sessions(f->server), 0);
}

/* Catches a large answer that is cut, also for a client that has closed its sending half. */
static void test_large_answer(void **state)
{
	struct fixture *f = *state;
	static char out[8 << 20];

	f->report_bytes = 5 << 20;
	int fd = dial(f);
	assert_int_equal(ask(f, fd, "[\"reload\"]\n", out, sizeof(out)), 0);
	size_t n = 0;
	for (const char *p = out; *p != '\0'; p++)
		n += *p == 'r';
	assert_int_equal(n, f->report_bytes);
	close(fd);
	turn(f);
}

/* Catches a second gateway that takes the socket of a running one, a dead one's that blocks the next start, and a
 * file of somebody else's that is removed. */
static void test_path_taken(void **state)
{
	struct fixture *f = *state;
	struct control_server *second = NULL;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char err[256], path[128];

	/* The probe of the second one is answered by the kernel; the first need not run for that. */
	assert_int_equal(control_server_create(f->base, f->path, &f->target, &second, err, sizeof(err)), -EADDRINUSE);
	assert_non_null(strstr(err, "another gateway"));
	turn(f);

	snprintf(path, sizeof(path), "%s/dead.sock", f->dir);
	strcpy(sun.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
	assert_int_equal(control_server_create(f->base, path, &f->target, &second, err, sizeof(err)), 0);
	control_server_destroy(second);

	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(control_server_create(f->base, path, &f->target, &second, err, sizeof(err)), -EADDRINUSE);
	assert_int_equal(unlink(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_endless_request, setup, teardown),
		cmocka_unit_test_setup_teardown(test_client_leaves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ready, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_reader, setup, teardown),
		cmocka_unit_test_setup_teardown(test_left_before_the_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_idle_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_path_taken, setup, teardown),
	};
	/* As `run` has it: a client that leaves must not end the program. */
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
