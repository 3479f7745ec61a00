/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How programs find their stack, and how it is started for the first of them.
 *
 * The service listens at an abstract socket that is named after the device, so all that are started for one device in a
 * network namespace share one stack. Only who runs as the same user may join: the service asks the kernel who it is
 * that comes, and whoever comes asks it who has the name. Its children then have the connection that it made as their
 * broker, whatever user they become.
 *
 * It is a daemon, since it must live as long as any program of the family, and no program must find a child that it has
 * not made. It has the rights with which it was started, and the programs give up theirs as they like.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "preload/service_loop.h"
#include "preload/service_priv.h"

/* One that ends has its device for a moment longer than its name. */
#define TRIES 50
#define TRY_AGAIN_NS 100000000

static int say(const char *what, int error)
{
	fprintf(stderr, "yangguan exec: %s: %s\n", what, strerror(error));
	return -1;
}

static socklen_t name_of(const struct service_config *c, struct sockaddr_un *out)
{
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(out->sun_path + 1, sizeof(out->sun_path) - 1, "%s", c->name);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(out->sun_path + 1));
}

/* Of whoever connected, or called listen, at the other end; the kernel cannot say: -1, which is no user. */
static uid_t peer_uid(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 ? who.uid : (uid_t)-1;
}

/* --- the service's side --- */

/* There is no descriptor for it. Left where it is, it would wake us again at once, and again; it comes back by itself.
 */
static void turn_away(struct service *v)
{
	if (v->spare >= 0)
		close(v->spare);
	int fd = accept4(v->door, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0)
		close(fd);
	v->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void service_admit(struct service *v)
{
	int fd = accept4(v->door, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		turn_away(v);
	if (fd < 0)
		return;
	if (peer_uid(fd) != geteuid())
		close(fd);
	else
		(void)channel_add(v, fd, true);
}

static int open_stack(struct service *v)
{
	v->host = yg_host_open(&v->config->host);
	if (v->host == NULL)
		return -1;
	v->stack = yg_host_stack(v->host);
	for (unsigned int i = 0; i < v->config->n_addresses; i++) {
		int rc = yg_address_add(v->stack, (const struct sockaddr *)&v->config->address[i].addr,
					v->config->address[i].prefix_len);
		if (rc != 0)
			return say("one of the addresses", -rc);
	}
	for (unsigned int i = 0; i < v->config->n_routes; i++) {
		const struct service_route *r = &v->config->route[i];
		int rc = yg_route_add(v->stack, (const struct sockaddr *)&r->to, r->prefix_len,
				      r->gateway.sin_family != 0 ? (const struct sockaddr *)&r->gateway : NULL);

		if (rc != 0)
			return say("one of the routes", -rc);
	}
	return 0;
}

static int open_door(struct service *v)
{
	struct sockaddr_un at;
	socklen_t len = name_of(v->config, &at);

	v->door = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return v->door < 0 || bind(v->door, (struct sockaddr *)&at, len) != 0 || listen(v->door, SOMAXCONN) != 0
		       ? -errno
		       : 0;
}

int service_open_tables(struct service *v)
{
	size_t len = PRELOAD_SLOTS * sizeof(struct preload_slot);

	/* Programs have it too, and must not be able to take it away from the others. */
	v->memory = memfd_create("yangguan-slots", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (v->memory < 0 || ftruncate(v->memory, (off_t)len) != 0 ||
	    fcntl(v->memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return -errno;
	v->slots = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, v->memory, 0);
	v->ends = calloc(PRELOAD_SLOTS, sizeof(*v->ends));
	v->events = epoll_create1(EPOLL_CLOEXEC);
	v->stack_events = yg_epoll_create(v->stack);
	if (v->slots == MAP_FAILED || v->ends == NULL || v->events < 0 || v->stack_events < 0)
		return -ENOMEM;
	v->first_free = v->last_free = v->first_more = v->first_offering = SERVICE_NONE;
	waits_init(v);
	devices_learn(v);
	v->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return 0;
}

static int watch_outside(struct service *v)
{
	int rc = service_watch(v, yg_host_fd(v->host), SERVICE_WATCH_HOST);

	return rc != 0 ? rc : service_watch(v, v->door, SERVICE_WATCH_DOOR);
}

/* A descriptor a socket, and those that are under way to programs. */
static void raise_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return;
	r.rlim_cur = r.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &r);
}

static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3 && null >= 0; fd++)
		(void)dup2(null, fd);
	/* The program's signals are not ours. */
	for (int s = 1; s < 32; s++)
		if (s != SIGKILL && s != SIGSTOP && s != SIGSEGV && s != SIGABRT && s != SIGBUS && s != SIGILL &&
		    s != SIGTERM)
			(void)signal(s, SIG_IGN);
	(void)chdir("/");
	(void)prctl(PR_SET_NAME, "yangguan-stack", 0, 0, 0);
}

/* What the program has inherited is not to be held open by us. */
static void close_others(int keep)
{
	(void)close_range(3, (unsigned int)keep - 1, 0);
	(void)close_range((unsigned int)keep + 1, UINT32_MAX, 0);
}

/* A byte to ready: 0 when all is well, 'b' when another one has the name. */
static void run_service(const struct service_config *config, int ready)
{
	static struct service v = { .door = -1, .closer = -1 };

	v.config = config;
	int kept = fcntl(ready, F_DUPFD_CLOEXEC, 1000);

	close_others(kept > 0 ? kept : ready);
	ready = kept > 0 ? kept : ready;
	raise_limit();
	int rc = open_door(&v);

	if (rc == -EADDRINUSE) {
		(void)!write(ready, "b", 1);
		_exit(1);
	}
	if (rc != 0 || open_stack(&v) != 0 || (rc = service_open_tables(&v)) != 0 || (rc = watch_outside(&v)) != 0) {
		if (rc != 0)
			(void)say("cannot start the stack", -rc);
		_exit(1);
	}
	leave_terminal();
	(void)!write(ready, "", 1);
	close(ready);
	service_loop(&v);
	yg_host_close(v.host);
	_exit(0);
}

/* --- the program's side --- */

/* Descriptor, or -errno. */
static int call_service(const struct service_config *c)
{
	struct sockaddr_un at;
	socklen_t len = name_of(c, &at);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&at, len) == 0)
		return fd;
	int error = errno;

	close(fd);
	return -error;
}

/* Whoever has the name first is reached by it, and would be given every byte: it must be one of our own. The kernel
 * remembers who called listen. */
static bool is_trusted(int fd)
{
	uid_t uid = peer_uid(fd);

	if (uid == geteuid())
		return true;
	fprintf(stderr, "yangguan exec: the stack of this device belongs to another user (uid %u)\n",
		(unsigned int)uid);
	return false;
}

/* 0: it is the stack that is wanted; 1: it has ended meanwhile; -1: it is another one. */
static int agree(int fd, const struct service_config *c)
{
	struct preload_request q = { .op = PRELOAD_JOIN, .len = (uint32_t)strlen(c->text) };
	struct preload_reply r = { .rc = 0 };

	memcpy(q.value, c->text, q.len);
	if (send(fd, &q, offsetof(struct preload_request, value) + q.len, MSG_NOSIGNAL) < 0 ||
	    recv(fd, &r, sizeof(r), 0) < (ssize_t)offsetof(struct preload_reply, value))
		return 1;
	if (r.rc == 0)
		return 0;
	fprintf(stderr,
		"yangguan exec: other programs run on this device with another config:\n  there: %.*s\n  here:  %s\n",
		(int)(r.len < sizeof(r.value) ? r.len : sizeof(r.value)), (const char *)r.value, c->text);
	return -1;
}

/* 0: it runs; 1: somebody else was quicker; -1: it has said why. */
static int start_service(const struct service_config *c)
{
	int ready[2];
	char byte = 1;

	if (pipe2(ready, O_CLOEXEC) != 0)
		return say("cannot start the stack", errno);
	pid_t child = fork();

	if (child == 0) {
		if (setsid() < 0)
			_exit(1);
		pid_t service = fork();

		if (service == 0)
			run_service(c, ready[1]);
		_exit(service < 0);
	}
	close(ready[1]);
	if (child > 0)
		(void)waitpid(child, NULL, 0);
	ssize_t n = child > 0 ? read(ready[0], &byte, 1) : 0;

	close(ready[0]);
	return n != 1 ? -1 : byte == 'b';
}

int service_join(const struct service_config *c)
{
	const struct timespec moment = { 0, TRY_AGAIN_NS };

	for (int i = 0; i < TRIES; i++) {
		int fd = call_service(c);

		if (fd == -ECONNREFUSED) {
			int rc = start_service(c);

			if (rc < 0)
				return -1;
			if (rc > 0)
				(void)nanosleep(&moment, NULL);
			continue;
		}
		if (fd < 0)
			return say("cannot reach the stack", -fd);
		int rc = is_trusted(fd) ? agree(fd, c) : -1;

		if (rc == 0)
			return fd;
		close(fd);
		if (rc < 0)
			return -1;
		(void)nanosleep(&moment, NULL);
	}
	return say("cannot reach the stack", ETIMEDOUT);
}
