/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sockets of one stack: one table of numbers, and the calls that every program knows,
 * with the table first. Types and constants are Linux's (abi.h), results 0, a count
 * or a number, or -errno.
 *
 * A number is good from socket_open, socket_accept or socket_epoll_create to socket_close,
 * which never waits; then it may be given again. 0, 1 and 2 are never given.
 *
 * No call blocks unless the socket is blocking (as at first) and somebody has said by
 * sockets_set_wait how to wait; without that, -EAGAIN.
 */
#ifndef YG_STACK_SOCKET_SOCKET_H
#define YG_STACK_SOCKET_SOCKET_H

#include "stack/socket/abi.h"
#include "stack/transport/raw.h"
#include "stack/transport/tcp.h"
#include "stack/transport/udp.h"

struct sockets;

struct sockets_limits {
	uint32_t n_sockets; /* of all kinds together, epolls too; 0: 16,384 */
	uint32_t n_epolls;  /* 0: 1,024 */
	uint32_t n_watches; /* sockets that epolls watch; 0: twice n_sockets */
	struct tcp_limits tcp;
	struct udp_limits udp;
	struct raw_limits raw;
};

/* NULL without memory. config NULL: tcp_default_config. */
struct sockets *sockets_create(struct env *env, struct ip_stack *ip, const struct sockets_limits *limits,
			       const struct tcp_config *config);
/* Of what begins from here on. */
void sockets_configure(struct sockets *ss, const struct tcp_config *config);
/* All that is open is gone, without a word to other ends. */
void sockets_destroy(struct sockets *ss);
void sockets_expire(struct sockets *ss);
uint64_t sockets_next_deadline(const struct sockets *ss);
/* All numbers of sockets are below it. */
uint32_t sockets_numbers(const struct sockets *ss);
struct tcp *sockets_tcp(struct sockets *ss);
/* Of all its transports. */
struct captures *sockets_captures(struct sockets *ss);

/* Called by a call that has to wait: takes in what comes and lets the clock go on, once at least, until something may
 * have changed or the time has come. 0, or -errno, which the call returns (-EINTR). */
typedef int sockets_wait_fn(void *ctx, uint64_t deadline);
void sockets_set_wait(struct sockets *ss, sockets_wait_fn *fn, void *ctx);

/* Slot: something has happened to some socket, of which it may be asked what (socket_ready). Called in the middle of a
 * stack's work: takes a note. */
void sockets_set_told(struct sockets *ss, void (*fn)(void *ctx), void *ctx);

int socket_open(struct sockets *ss, int domain, int type, int protocol);
int socket_close(struct sockets *ss, int n);
int socket_bind(struct sockets *ss, int n, const void *addr, uint32_t len);
int socket_listen(struct sockets *ss, int n, int backlog);
/* As yg_listen_hold. */
int socket_listen_hold(struct sockets *ss, int n, uint32_t held);
/* flags: YG_SOCK_NONBLOCK. *len: room, and then what it takes. addr may be NULL. */
int socket_accept(struct sockets *ss, int n, void *addr, uint32_t *len, int flags);
int socket_connect(struct sockets *ss, int n, const void *addr, uint32_t len);
int socket_shutdown(struct sockets *ss, int n, int how);
int socket_name(struct sockets *ss, int n, void *addr, uint32_t *len);
int socket_peer(struct sockets *ss, int n, void *addr, uint32_t *len);

int64_t socket_send(struct sockets *ss, int n, const void *bytes, size_t len, int flags);
int64_t socket_sendto(struct sockets *ss, int n, const void *bytes, size_t len, int flags, const void *addr,
		      uint32_t addr_len);
int64_t socket_sendmsg(struct sockets *ss, int n, const struct yg_msghdr *m, int flags);
int socket_sendmmsg(struct sockets *ss, int n, struct yg_mmsghdr *m, unsigned int n_messages, int flags);
int64_t socket_recv(struct sockets *ss, int n, void *bytes, size_t len, int flags);
int64_t socket_recvfrom(struct sockets *ss, int n, void *bytes, size_t len, int flags, void *addr, uint32_t *addr_len);
int64_t socket_recvmsg(struct sockets *ss, int n, struct yg_msghdr *m, int flags);
/* timeout: ns, TIME_NEVER: none; looked at behind each message, as Linux does. */
int socket_recvmmsg(struct sockets *ss, int n, struct yg_mmsghdr *m, unsigned int n_messages, int flags,
		    uint64_t timeout);

/* Without a copy, of streams; -EOPNOTSUPP of others. Room in place, of which commit sends the first bytes. The span is
 * good until the next call for that socket. -EAGAIN: there is no room; no call waits. */
int socket_reserve(struct sockets *ss, int n, struct span *out);
int socket_commit(struct sockets *ss, int n, size_t bytes, int flags);
/* What came, where it stands: how many spans; 0: the end; -EAGAIN. They are good until the next call for that socket.
 * Release is done with the first bytes of it. */
int socket_peek(struct sockets *ss, int n, struct span *out, int max);
int socket_release(struct sockets *ss, int n, size_t bytes);

int socket_set_option(struct sockets *ss, int n, int level, int name, const void *value, uint32_t len);
int socket_get_option(struct sockets *ss, int n, int level, int name, void *value, uint32_t *len);
int socket_ioctl(struct sockets *ss, int n, unsigned long request, void *arg);
/* YG_F_GETFL, YG_F_SETFL; YG_F_GETFD, YG_F_SETFD: no program that is executed has it, whatever is asked for. */
int socket_fcntl(struct sockets *ss, int n, int command, long arg);

/* --- readiness --- */

/* What is ready of it now, all bits. */
uint32_t socket_ready(struct sockets *ss, int n);
/* timeout: ns; 0: does not wait, TIME_NEVER: no end. */
int socket_poll(struct sockets *ss, struct yg_pollfd *fds, uint32_t n_fds, uint64_t timeout);
int socket_epoll_create(struct sockets *ss);
int socket_epoll_ctl(struct sockets *ss, int epoll, int op, int n, const struct yg_epoll_event *event);
int socket_epoll_wait(struct sockets *ss, int epoll, struct yg_epoll_event *events, int max, uint64_t timeout);
/* Some epoll has something to tell. */
bool sockets_any_ready(const struct sockets *ss);

/* SOCKET_PING: of ping_socket.h, in listings alone. */
enum socket_kind {
	SOCKET_NONE,
	SOCKET_TCP,
	SOCKET_LISTENER,
	SOCKET_UDP,
	SOCKET_RAW,
	SOCKET_EPOLL,
	SOCKET_PING,
	N_SOCKET_KINDS
};

#endif
