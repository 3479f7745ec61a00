/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The preload library's own state: the C library's functions, the table of numbers, the channel to the service.
 *
 * The table is an array that fork copies and threads share without a lock: each number is one word, its slot and the
 * slot's generation. After exec it is empty, and what was inherited is known again by its inode.
 *
 * A child made by vfork lives in its parent's memory for a moment: what it does with its own numbers must not reach the
 * table. So a change of the table is one only in the process whose memory it is.
 *
 * A channel belongs to one process. A child makes another: it sends one end of a new pair along the broker, which all
 * have inherited. Requests are few (none is in the way of bytes), so one lock does, held with all signals blocked.
 */
#include "preload/interpose.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload/preload_beside.h"

/* Above what select can have, if the program may have as many. */
#define RESERVED_FROM 1000

static struct real the_real;
static atomic_bool is_resolved;
static struct interpose us = { .broker = -1 };
static _Atomic uint64_t numbers[NUMBERS];
/* By slot, of the generation beside. */
static struct times {
	_Atomic uint64_t ns;
	_Atomic uint32_t generation;
	_Atomic int32_t told;
} times[PRELOAD_SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int channel = -1;
static pid_t channel_pid;
static uint64_t channel_inode;

/* --- the C library's --- */

static void resolve(void)
{
#define X(type, name, parameters) *(void **)&the_real.name = dlsym(RTLD_NEXT, #name);
	REAL_CALLS(X)
#undef X
	atomic_store(&is_resolved, true);
}

const struct real *real_calls(void)
{
	if (!atomic_load_explicit(&is_resolved, memory_order_acquire))
		resolve();
	return &the_real;
}

const struct interpose *interpose(void)
{
	return &us;
}

/* --- numbers --- */

bool is_own_memory(void)
{
	return us.pid == getpid();
}

uint64_t number_get(int fd)
{
	return (unsigned int)fd < NUMBERS ? atomic_load_explicit(&numbers[fd], memory_order_relaxed) : 0;
}

void number_set(int fd, uint64_t entry)
{
	if ((unsigned int)fd < NUMBERS && number_get(fd) != entry && is_own_memory())
		atomic_store_explicit(&numbers[fd], entry, memory_order_relaxed);
}

struct preload_slot *slot_of(int fd)
{
	uint64_t entry = number_get(fd);

	if (entry == 0)
		return NULL;
	struct preload_slot *s = &us.slots[(uint32_t)entry - 1];

	return atomic_load_explicit(&s->generation, memory_order_relaxed) == entry >> 32 ? s : NULL;
}

/* NULL: not one of ours. Of another socket that has had the slot before nothing is left. */
static struct times *times_of(int fd)
{
	uint64_t entry = number_get(fd);

	if (entry == 0)
		return NULL;
	struct times *t = &times[(uint32_t)entry - 1];

	if (atomic_exchange(&t->generation, (uint32_t)(entry >> 32)) != entry >> 32) {
		atomic_store(&t->ns, 0);
		atomic_store(&t->told, 0);
	}
	return t;
}

void stamp_set(int fd, uint64_t ns)
{
	struct times *t = times_of(fd);

	if (t != NULL)
		atomic_store(&t->ns, ns);
}

uint64_t stamp_get(int fd)
{
	const struct times *t = times_of(fd);

	return t != NULL ? atomic_load(&t->ns) : 0;
}

int time_told(int fd)
{
	const struct times *t = times_of(fd);

	return t != NULL ? atomic_load(&t->told) : 0;
}

void time_tell(int fd, int name)
{
	struct times *t = times_of(fd);

	if (t != NULL)
		atomic_store(&t->told, name);
}

bool is_reserved(int fd)
{
	return fd >= 0 && (fd == us.broker || fd == channel);
}

static bool is_within(int fd, unsigned int first, unsigned int last)
{
	return fd >= 0 && (unsigned int)fd >= first && (unsigned int)fd <= last;
}

int next_reserved(unsigned int first, unsigned int last)
{
	int a = is_within(us.broker, first, last) ? us.broker : -1, b = is_within(channel, first, last) ? channel : -1;

	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void tell_children(void)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", us.broker);
	(void)setenv(PRELOAD_ENV, text, 1);
}

void move_reserved(int fd)
{
	bool is_broker = fd == us.broker;

	if (!is_own_memory())
		return;
	int other = real_calls()->fcntl64(fd, is_broker ? F_DUPFD : F_DUPFD_CLOEXEC, RESERVED_FROM);

	if (other < 0)
		return;
	*(is_broker ? &us.broker : &channel) = other;
	if (is_broker)
		tell_children();
}

int take_error(struct preload_slot *s)
{
	if (atomic_load_explicit(&s->error, memory_order_relaxed) == 0)
		return 0;
	return atomic_exchange(&s->error, 0);
}

int result(int rc)
{
	if (rc >= 0)
		return rc;
	errno = -rc;
	return -1;
}

/* --- messages --- */

/* who: NULL: as the kernel says by itself, which is the real user. */
static bool transmit(int fd, const void *bytes, size_t len, int passed, const struct ucred *who)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(*who))] = { 0 };
	struct iovec v = { (void *)(uintptr_t)bytes, len };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (passed >= 0) {
		struct preload_beside one;

		preload_pass(&m, &one, passed);
		memcpy(room, one.bytes, sizeof(one.bytes));
	}
	if (who != NULL) {
		struct cmsghdr h = { .cmsg_len = CMSG_LEN(sizeof(*who)),
				     .cmsg_level = SOL_SOCKET,
				     .cmsg_type = SCM_CREDENTIALS };

		memcpy(room + m.msg_controllen, &h, sizeof(h));
		memcpy(room + m.msg_controllen + CMSG_LEN(0), who, sizeof(*who));
		m.msg_controllen += CMSG_SPACE(sizeof(*who));
	}
	m.msg_control = m.msg_controllen > 0 ? room : NULL;
	return real_calls()->sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool receive(int fd, struct preload_reply *r, int *passed)
{
	struct preload_beside room;
	struct iovec v = { r, sizeof(*r) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof(room) };
	ssize_t n = real_calls()->recvmsg(fd, &m, MSG_CMSG_CLOEXEC);

	*passed = -1;
	if (n < (ssize_t)offsetof(struct preload_reply, value))
		return false;
	*passed = preload_passed(&m);
	/* The program may have no more of them. */
	if (m.msg_flags & MSG_CTRUNC)
		r->rc = -EMFILE;
	return true;
}

static uint64_t inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static void open_channel(void)
{
	const struct preload_request q = { .op = PRELOAD_CHANNEL };
	int pair[2], on = 1;

	/* Closed past the library its number may be something else by now. */
	if (channel >= 0 && inode_of(channel) == channel_inode)
		(void)real_calls()->close(channel);
	channel = -1;
	channel_pid = getpid();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return;
	/* The kernel adds to each request who sends it: from the first on, so before the service has its end. */
	(void)real_calls()->setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	if (transmit(us.broker, &q, offsetof(struct preload_request, value), pair[1], NULL))
		channel = real_calls()->fcntl64(pair[0], F_DUPFD_CLOEXEC, RESERVED_FROM);
	/* The program's limit may be lower. */
	if (channel < 0)
		channel = pair[0];
	else
		(void)real_calls()->close(pair[0]);
	(void)real_calls()->close(pair[1]);
	channel_inode = inode_of(channel);
}

static bool transmit_request(const struct preload_request *q, int fd)
{
	struct ucred who = { getpid(), geteuid(), getegid() };

	return channel >= 0 && transmit(channel, q, offsetof(struct preload_request, value) + q->len, fd,
					who.uid != getuid() ? &who : NULL);
}

int ask(int fd, struct preload_request *q, struct preload_reply *r, int *taken)
{
	uint64_t entry = fd >= 0 ? number_get(fd) : 0;
	sigset_t all, was;
	int passed = -1, rc = -ENETDOWN, error = errno, state;

	if (us.slots == NULL && us.broker < 0)
		return rc;
	if (fd >= 0) {
		q->slot = (uint32_t)entry - 1;
		q->generation = (uint32_t)(entry >> 32);
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_mutex_lock(&lock);
	if (channel < 0 || channel_pid != getpid())
		open_channel();
	bool is_sent = transmit_request(q, fd);

	/* Somebody has closed it past the library, or its other end has been given up: another is opened, once. */
	if (!is_sent && (fd < 0 || real_calls()->fcntl64(fd, F_GETFD) >= 0)) {
		ring_lost();
		open_channel();
		is_sent = transmit_request(q, fd);
	} else if (!is_sent) {
		rc = -EBADF;
	}
	if (is_sent && receive(channel, r, &passed))
		rc = r->rc;
	pthread_mutex_unlock(&lock);
	pthread_setcancelstate(state, NULL);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	errno = error;
	if (taken != NULL)
		*taken = passed;
	else if (passed >= 0)
		(void)real_calls()->close(passed);
	return rc;
}

bool wake_service(void)
{
	const struct preload_request q = { .op = PRELOAD_WAKE };
	int error = errno;
	bool is_told = transmit(channel, &q, offsetof(struct preload_request, value), -1, NULL);

	errno = error;
	return is_told;
}

void number_adopt(int fd)
{
	struct preload_request q = { .op = PRELOAD_IDENTIFY, .len = sizeof(uint64_t) };
	struct preload_reply r;
	struct stat st;
	int domain = 0, error = errno;
	socklen_t len = sizeof(domain);

	number_set(fd, 0);
	if (us.slots != NULL && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    real_calls()->getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX) {
		uint64_t inode = st.st_ino;

		memcpy(q.value, &inode, sizeof(inode));
		if (ask(-1, &q, &r, NULL) == 0 && r.slot < PRELOAD_SLOTS)
			number_set(fd, number_entry(r.slot, r.generation));
	}
	errno = error;
}

/* --- life --- */

/* Of the thread that forks; the lock's. */
static sigset_t mask_at_fork;

/* A handler that ran meanwhile could ask, and would wait for a lock that its own thread has. */
static void before_fork(void)
{
	sigset_t all, was;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	pthread_mutex_lock(&lock);
	mask_at_fork = was;
}

static void after_fork(void)
{
	sigset_t was = mask_at_fork;

	pthread_mutex_unlock(&lock);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
}

static void after_fork_in_child(void)
{
	us.pid = getpid();
	ring_forget();
	after_fork();
}

static void say(const char *what)
{
	static const char begin[] = "yangguan: ";

	(void)!real_calls()->write(2, begin, sizeof(begin) - 1);
	(void)!real_calls()->write(2, what, strlen(what));
}

static void map_slots(void)
{
	struct preload_request q = { .op = PRELOAD_HELLO };
	struct preload_reply r;
	struct preload_hello h;
	int memory;

	if (ask(-1, &q, &r, &memory) != 0 || memory < 0) {
		say("the stack of `yangguan exec` is gone: sockets are the kernel's\n");
		us.broker = -1;
		return;
	}
	memcpy(&h, r.value, sizeof(h));
	void *at =
		mmap(NULL, PRELOAD_SLOTS * sizeof(struct preload_slot), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);

	(void)real_calls()->close(memory);
	if (h.version != PRELOAD_VERSION || at == MAP_FAILED) {
		say("this library and the stack of `yangguan exec` are of different versions: sockets are the "
		    "kernel's\n");
		us.broker = -1;
		return;
	}
	us.loopback_is_kernel = h.loopback_is_kernel != 0;
	us.slots = at;
}

static void adopt_inherited(void)
{
	DIR *d = opendir("/proc/self/fd");

	if (d == NULL)
		return;
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		int fd = atoi(e->d_name);

		if (e->d_name[0] != '.' && fd != dirfd(d) && !is_reserved(fd))
			number_adopt(fd);
	}
	(void)closedir(d);
}

__attribute__((constructor)) static void start(void)
{
	const char *text = getenv(PRELOAD_ENV);

	(void)real_calls();
	us.pid = getpid();
	if (text == NULL)
		return;
	us.broker = atoi(text);
	(void)pthread_atfork(before_fork, after_fork, after_fork_in_child);
	map_slots();
	if (us.slots != NULL)
		adopt_inherited();
}
