/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The preload library (libyangguan-preload.so): glibc's calls for sockets, for programs that know nothing of it.
 *
 * What is not ours goes to the C library's own function, found behind this one. What is ours is a descriptor of the
 * kernel's all the same, so most calls go there too; a table of numbers says which are, and their slots
 * (preload_wire.h) what they are at the moment.
 */
#ifndef YG_PRELOAD_INTERPOSE_H
#define YG_PRELOAD_INTERPOSE_H

/* Both names of a call are defined here, so neither is to stand for the other. (An off_t has 64 bits in any case.) */
#undef _FILE_OFFSET_BITS

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "preload/preload_wire.h"

#define DOOR __attribute__((visibility("default")))

/* The C library's own. Result, name, parameters. */
#define REAL_CALLS(X) \
	X(int, socket, (int, int, int)) \
	X(int, bind, (int, const struct sockaddr *, socklen_t)) \
	X(int, listen, (int, int)) \
	X(int, accept4, (int, struct sockaddr *, socklen_t *, int)) \
	X(int, connect, (int, const struct sockaddr *, socklen_t)) \
	X(int, shutdown, (int, int)) \
	X(int, getsockname, (int, struct sockaddr *, socklen_t *)) \
	X(int, getpeername, (int, struct sockaddr *, socklen_t *)) \
	X(int, getsockopt, (int, int, int, void *, socklen_t *)) \
	X(int, setsockopt, (int, int, int, const void *, socklen_t)) \
	X(int, ioctl, (int, unsigned long, ...)) \
	X(int, fcntl64, (int, int, ...)) \
	X(int, dup, (int)) \
	X(int, dup2, (int, int)) \
	X(int, dup3, (int, int, int)) \
	X(int, close, (int)) \
	X(int, close_range, (unsigned int, unsigned int, int)) \
	X(int, fclose, (FILE *)) \
	X(int, poll, (struct pollfd *, nfds_t, int)) \
	X(int, ppoll, (struct pollfd *, nfds_t, const struct timespec *, const sigset_t *)) \
	X(int, prctl, (int, ...)) \
	X(long, syscall, (long, ...)) \
	X(ssize_t, read, (int, void *, size_t)) \
	X(ssize_t, readv, (int, const struct iovec *, int)) \
	X(ssize_t, preadv2, (int, const struct iovec *, int, off_t, int)) \
	X(ssize_t, pwritev2, (int, const struct iovec *, int, off_t, int)) \
	X(ssize_t, recvmsg, (int, struct msghdr *, int)) \
	X(ssize_t, recv, (int, void *, size_t, int)) \
	X(ssize_t, recvfrom, (int, void *, size_t, int, struct sockaddr *, socklen_t *)) \
	X(int, recvmmsg, (int, struct mmsghdr *, unsigned int, int, struct timespec *)) \
	X(ssize_t, write, (int, const void *, size_t)) \
	X(ssize_t, writev, (int, const struct iovec *, int)) \
	X(ssize_t, sendmsg, (int, const struct msghdr *, int)) \
	X(ssize_t, send, (int, const void *, size_t, int)) \
	X(ssize_t, sendto, (int, const void *, size_t, int, const struct sockaddr *, socklen_t)) \
	X(int, sendmmsg, (int, struct mmsghdr *, unsigned int, int)) \
	X(ssize_t, sendfile64, (int, int, off_t *, size_t)) \
	X(ssize_t, splice, (int, off64_t *, int, off64_t *, size_t, unsigned int))

struct real {
#define X(type, name, parameters) type(*name) parameters;
	REAL_CALLS(X)
#undef X
};

/* Descriptors above are not known to be ours. */
#define NUMBERS (1u << 20)

/* interpose_start.c: everything that this process has. */
struct interpose {
	struct preload_slot *slots; /* NULL: not under `yangguan exec`, or it could not be reached */
	bool loopback_is_kernel;
	int broker; /* -1 */
	pid_t pid;  /* of the process whose memory this is */
};

const struct real *real_calls(void);
const struct interpose *interpose(void);
/* Numbers that the program must neither see nor close. */
bool is_reserved(int fd);
/* The lowest of them from first to last; -1: none. */
int next_reserved(unsigned int first, unsigned int last);
/* The program wants that number: the descriptor of ours gets another one. */
void move_reserved(int fd);

/* The slot of one of our sockets; NULL: the kernel's, or ours no more. */
struct preload_slot *slot_of(int fd);
uint64_t number_get(int fd);
void number_set(int fd, uint64_t entry);
/* Not so of a child that is still in its parent's memory, or has come without the C library's fork. */
bool is_own_memory(void);
static inline uint64_t number_entry(uint32_t slot, uint32_t generation)
{
	return (uint64_t)generation << 32 | (slot + 1);
}
/* When the datagram had come that this process has read last by it, ns since 1970; 0: none. */
uint64_t stamp_get(int fd);
void stamp_set(int fd, uint64_t ns);
/* SO_TIMESTAMP, SO_TIMESTAMPNS or 0: as which this process has asked to be told of it beside each. */
int time_told(int fd);
void time_tell(int fd, int name);
/* Whether a descriptor that came from elsewhere is one of ours: it is in the table from then on. */
void number_adopt(int fd);

/* A request about fd's socket (-1: about none), and its reply; taken: the descriptor along with it, -1. The descriptor
 * itself goes along with the request: that it is had is the right to ask. The reply's rc, or -ENETDOWN when there is no
 * service any more. */
int ask(int fd, struct preload_request *q, struct preload_reply *r, int *taken);

/* The service has said that it sleeps. False: there is none any more. */
bool wake_service(void);

/* -1 and errno for -errno. */
int result(int rc);
/* Of all its pieces. */
static inline size_t bytes_of(const struct msghdr *m)
{
	size_t sum = 0;

	for (size_t i = 0; i < m->msg_iovlen; i++)
		sum += m->msg_iov[i].iov_len;
	return sum;
}
/* The socket's pending error as a positive errno, told once; 0: none. */
int take_error(struct preload_slot *s);

/* interpose_user.c: between the program's memory and ours. False: it leads nowhere (EFAULT), and nothing is said of
 * what was copied. */
bool user_get(void *to, const void *from, size_t n);
bool user_put(void *to, const void *from, size_t n);
/* It can be no pointer to so many bytes. */
bool is_nowhere(const void *p, size_t n);

/* interpose_ring.c: the program has forbidden itself system calls, or is about to. */
bool is_filtered(void);
/* How many of the bytes need not go by the descriptor any more. */
size_t ring_put(int fd, const struct preload_slot *s, const struct iovec *v, size_t n_pieces);
/* Nothing more may be written. */
void ring_close(int fd);
/* In a child. */
void ring_forget(void);
/* The channel is another one: what was put stands where the service looks still, and no more is put there. */
void ring_lost(void);

/* interpose_datagram.c */
ssize_t datagram_recv(int fd, struct preload_slot *s, struct msghdr *m, int flags);
ssize_t datagram_send(int fd, struct preload_slot *s, const struct msghdr *m, int flags);
/* Length of the next one; -1: there is none. */
ssize_t datagram_next(int fd);

/* interpose_socket.c: with 127.0.0.0/8 being the kernel's, fd becomes a socket of the kernel's if addr is of it. */
bool hand_to_kernel(int fd, struct preload_slot *s, const struct sockaddr *addr, socklen_t len);

#endif
