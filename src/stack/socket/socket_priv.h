/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of sockets share.
 *
 *   socket          the table, its life, who is told that something has changed
 *   socket_name     bind, listen, accept, connect, names
 *   socket_io       bytes and messages
 *   socket_control  what goes beside the bytes of a message
 *   socket_option, socket_option_ip, socket_option_tcp
 *   socket_forward  flows to addresses that are not ours
 *   epoll           readiness
 */
#ifndef YG_STACK_SOCKET_SOCKET_PRIV_H
#define YG_STACK_SOCKET_SOCKET_PRIV_H

#include "base/pool.h"
#include "base/util.h"
#include "stack/socket/socket.h"

#define SOCKET_FIRST_NUMBER 3u
#define BOUND_BUCKETS 1024u

struct epoll;
struct forward;

struct socket {
	union {
		struct tcp_conn *conn;
		struct tcp_listener *listener;
		struct udp_socket *udp;
		struct raw_socket *raw;
		struct epoll *epoll;
	};
	uint32_t watches;                        /* of it, by epolls: the first one, POOL_NONE */
	uint32_t next_bound, prev_bound;         /* TCP ones that are bound to a port of the same bucket */
	uint32_t next_starved;                   /* with is_starved */
	uint32_t laddr;                          /* TCP: as bind left it */
	uint32_t rcv_timeout_ms, snd_timeout_ms; /* 0: none */
	uint16_t lport;
	uint16_t zone;
	uint8_t kind; /* enum socket_kind */
	uint8_t priority;
	uint8_t defer_accept; /* times that a SYN+ACK is sent again, as Linux keeps it */
	bool nonblock : 1;
	bool reuse_addr : 1, reuse_port : 1, freebind : 1, transparent : 1;
	bool is_bound : 1;      /* among those of its port */
	bool is_connecting : 1; /* connect has not said yet how it ended */
	bool is_connected : 1;
	bool no_quickack : 1;
	bool is_starved : 1; /* was refused for want of memory that all share */
	/* Asked to be told beside bytes. */
	bool tell_time : 1, tell_pktinfo : 1, tell_ttl : 1, tell_tos : 1, tell_inq : 1;
	bool tell_destination : 1;
	bool tell_time_us : 1; /* with tell_time alone: in microseconds (SO_TIMESTAMP) */
	/* Kept alone: of TCP, which has no use for them, and of all others. */
	bool broadcast : 1, no_check : 1, no_multicast_loop : 1, keepalive : 1;
};
_Static_assert(sizeof(struct socket) <= 64, "a socket is a line");

struct sockets {
	struct env *env;
	struct ip_stack *ip;
	struct tcp *tcp;
	struct udp *udp;
	struct raw *raw;
	struct captures captures;
	struct pool sockets, epolls, watches;
	uint32_t bound_of[BOUND_BUCKETS];
	uint16_t port_first, port_last;
	uint32_t n_ready_epolls;
	uint32_t starved; /* first one, POOL_NONE */
	uint64_t starved_until;
	struct forward *forward; /* NULL: nobody stands in for addresses that are not ours */
	void (*told)(void *ctx);
	void *told_ctx;
	sockets_wait_fn *wait;
	void *wait_ctx;
};

/* NULL: no socket has that number. */
struct socket *socket_at(const struct sockets *ss, int n);
static inline int socket_number(const struct sockets *ss, const struct socket *s)
{
	return (int)((uint32_t)((const uint8_t *)s - ss->sockets.mem) / (uint32_t)ss->sockets.stride);
}
/* A place in the table: -EMFILE. */
int socket_new(struct sockets *ss, enum socket_kind kind, struct socket **out);
/* Watchers of s whose events are among key are told; key 0: all. */
void socket_notify(struct sockets *ss, struct socket *s, uint32_t key);
#define SOCKET_KEY_IN (YG_POLLIN | YG_POLLPRI | YG_POLLRDNORM | YG_POLLRDBAND)
#define SOCKET_KEY_OUT (YG_POLLOUT | YG_POLLWRNORM | YG_POLLWRBAND)
/* Waits for something to change: 0, or what the call returns. */
int socket_wait(struct sockets *ss, const struct socket *s, int flags, uint64_t deadline);
uint64_t socket_deadline(const struct sockets *ss, uint32_t timeout_ms);
uint32_t socket_mask(struct sockets *ss, struct socket *s);
struct datagram_socket *socket_datagram(const struct socket *s);
const struct datagram_stack *socket_datagram_stack(const struct sockets *ss, const struct socket *s);

/* There was room for it and no memory, which others have: its watchers are told a little later that they may try again,
 * since nothing that happens to it would tell them. */
void socket_starve(struct sockets *ss, struct socket *s);

/* socket_name.c */
void socket_unbind(struct sockets *ss, struct socket *s);
int socket_take_addr(const void *addr, uint32_t len, struct tcp_end *out);
void socket_give_addr(void *addr, uint32_t *len, const struct tcp_end *end);

/* socket_control.c */
struct socket_control {
	void *at;
	size_t left, used;
	int flags; /* YG_MSG_CTRUNC */
};
void socket_put_control(struct socket_control *c, int level, int type, const void *value, size_t len);
int socket_parse_control(const struct yg_msghdr *m, struct datagram_out *out);
/* SO_TIMESTAMP or SO_TIMESTAMPNS; at: the stack's clock. */
void socket_put_time(const struct sockets *ss, const struct socket *s, uint64_t at, struct socket_control *c);
void socket_tell(const struct sockets *ss, const struct socket *s, const struct datagram_info *info,
		 struct socket_control *c);

/* socket_option*.c: an option's value as its int, or -errno; ints alone. */
struct socket_value {
	const void *in; /* to be set */
	void *out;      /* to be got */
	uint32_t len;   /* there, and what it takes */
	bool tell_len;  /* also with an error */
};
int socket_set_int(const struct socket_value *v, int64_t *out);
int socket_set_ip(struct sockets *ss, struct socket *s, int name, const struct socket_value *v);
int socket_get_ip(struct sockets *ss, struct socket *s, int name, struct socket_value *v);
int socket_set_tcp(struct sockets *ss, struct socket *s, int name, const struct socket_value *v);
int socket_get_tcp(struct sockets *ss, struct socket *s, int name, struct socket_value *v);
/* The stack's number of what a program means by one, YG_IFINDEX_LOOPBACK too; -1: there is none of that number. */
int64_t socket_interface_of(int ifindex);
/* The interface that it is bound to; 0: none. */
uint32_t socket_device(struct sockets *ss, const struct socket *s);
uint32_t socket_defer_seconds(const struct socket *s);
int socket_put_int(struct socket_value *v, int64_t value);
int socket_put_bytes(struct socket_value *v, const void *bytes, uint32_t len);
uint64_t socket_tcp_option(struct sockets *ss, const struct socket *s, enum tcp_option o);
void socket_tcp_set_option(struct sockets *ss, struct socket *s, enum tcp_option o, uint64_t value);

/* socket_forward.c */
void socket_forward_expire(struct sockets *ss);
uint64_t socket_forward_deadline(const struct sockets *ss);

/* epoll.c */
int epoll_init_pools(struct sockets *ss, uint32_t n_epolls, uint32_t n_watches);
void epoll_forget(struct sockets *ss, struct socket *s);
void epoll_end(struct sockets *ss, struct socket *s);
uint32_t epoll_mask(struct sockets *ss, struct socket *s);

#endif
