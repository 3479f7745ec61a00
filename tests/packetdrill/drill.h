/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A stack of ours behind the interface that the tool packetdrill loads from a shared object.
 * The struct is the tool's (its layout cannot be another), written down from its
 * description: a pointer of ours, which every function is given first.
 *
 *   drill_calls    the interface, its calls in the system's manner (-1 and errno)
 *   drill_clock    virtual time, and who waits for it
 *   drill_sysctl   what scripts set under /proc/sys/net/ipv4
 *   drill_preload  the calls of libc by which the tool asks past its interface
 */
#ifndef YG_TESTS_PACKETDRILL_DRILL_H
#define YG_TESTS_PACKETDRILL_DRILL_H

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <yangguan/stack.h>

struct packetdrill_interface {
	void *userdata;
	void (*free)(void *user);
	int (*socket)(void *user, int domain, int type, int protocol);
	int (*bind)(void *user, int fd, const struct sockaddr *addr, socklen_t len);
	int (*listen)(void *user, int fd, int backlog);
	int (*accept)(void *user, int fd, struct sockaddr *addr, socklen_t *len);
	int (*connect)(void *user, int fd, const struct sockaddr *addr, socklen_t len);
	ssize_t (*read)(void *user, int fd, void *bytes, size_t len);
	ssize_t (*readv)(void *user, int fd, const struct iovec *iov, int n);
	ssize_t (*recv)(void *user, int fd, void *bytes, size_t len, int flags);
	ssize_t (*recvfrom)(void *user, int fd, void *bytes, size_t len, int flags, struct sockaddr *addr,
			    socklen_t *addr_len);
	ssize_t (*recvmsg)(void *user, int fd, struct msghdr *m, int flags);
	ssize_t (*write)(void *user, int fd, const void *bytes, size_t len);
	ssize_t (*writev)(void *user, int fd, const struct iovec *iov, int n);
	ssize_t (*send)(void *user, int fd, const void *bytes, size_t len, int flags);
	ssize_t (*sendto)(void *user, int fd, const void *bytes, size_t len, int flags, const struct sockaddr *addr,
			  socklen_t addr_len);
	ssize_t (*sendmsg)(void *user, int fd, const struct msghdr *m, int flags);
	int (*fcntl)(void *user, int fd, int command, ...);
	int (*ioctl)(void *user, int fd, unsigned long request, ...);
	int (*close)(void *user, int fd);
	int (*shutdown)(void *user, int fd, int how);
	int (*getsockopt)(void *user, int fd, int level, int name, void *value, socklen_t *len);
	int (*setsockopt)(void *user, int fd, int level, int name, const void *value, socklen_t len);
	int (*poll)(void *user, struct pollfd *fds, nfds_t n, int timeout_ms);
	/* A packet from its IP header on. 0, or -1. */
	int (*netdev_send)(void *user, const void *bytes, size_t len);
	/* The next one that leaves. *len: room, and then its length, 0: none came; *usecs: when. */
	int (*netdev_receive)(void *user, void *bytes, size_t *len, long long *usecs);
	int (*usleep)(void *user, useconds_t usecs);
	int (*gettimeofday)(void *user, struct timeval *tv, struct timezone *tz);
	int (*epoll_create)(void *user, int size);
	int (*epoll_ctl)(void *user, int epoll, int op, int fd, struct epoll_event *event);
	int (*epoll_wait)(void *user, int epoll, struct epoll_event *events, int max, int timeout_ms);
	int (*pipe)(void *user, int fds[2]);
	int (*splice)(void *user, int in, loff_t *in_off, int out, loff_t *out_off, size_t len, unsigned int flags);
};

/* flags: NULL, or ADDRESS/PREFIX,GATEWAY,MTU of ours; what is left out is as packetdrill's own scripts want it. */
void packetdrill_interface_init(const char *flags, struct packetdrill_interface *out);

/* Numbers of ours as the tool sees them: none that the system gives. */
#define DRILL_FD 0x10000

struct drill_packet {
	struct drill_packet *next;
	long long usecs;
	size_t len;
	uint8_t bytes[];
};

struct drill {
	struct yg_stack *stack;
	struct tcp_config *tcp; /* the stack's, which follows the sysctls */
	uint64_t now;           /* ns */
	struct drill_packet *first, *last;
	pthread_mutex_t lock; /* of all of this */
	/* The other thread, in a call that blocks. */
	pthread_t main;
	pthread_cond_t woken, settled;
	uint64_t turn;       /* counts what may have changed something */
	uint64_t wait_until; /* of the call */
	bool is_sleeping;    /* in drill_wait, and has seen this turn */
	bool is_within;      /* it waited, and has not read the clock behind its return yet */
};

/* drill_clock.c; all with the lock held */
#define DRILL_NEVER UINT64_MAX
int drill_output(void *user, struct yg_packet *const *packets, unsigned int n);
int drill_wait(void *user, uint64_t deadline);
/* Whoever waits has looked at what is new. */
void drill_settle(struct drill *d);
/* All that is due up to then is done, at its time. */
void drill_advance(struct drill *d, uint64_t until);
/* The time at which something is due next. */
uint64_t drill_next(const struct drill *d);

/* drill_sysctl.c */
void drill_follow_sysctls(struct tcp_config *c);

/* drill_calls.c */
int drill_close(void *user, int fd);
int drill_getsockopt(void *user, int fd, int level, int name, void *value, socklen_t *len);

/* drill_preload.c: the one that is there, NULL */
extern struct drill *drill_only;

#endif
