/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Linux's numbers and layouts of the socket calls, under names of our own: the core
 * includes no header of the system's. That both agree is asserted where both are known
 * (src/lib/abi_test.c).
 */
#ifndef YG_STACK_SOCKET_ABI_H
#define YG_STACK_SOCKET_ABI_H

#include <stddef.h>
#include <stdint.h>

#include "base/be.h"
#include "base/span.h"

/* Families, types, protocols. */
#define YG_AF_UNSPEC 0
#define YG_AF_INET 2
#define YG_SOCK_STREAM 1
#define YG_SOCK_DGRAM 2
#define YG_SOCK_RAW 3
#define YG_SOCK_TYPE_MASK 0xf
#define YG_SOCK_NONBLOCK 04000
#define YG_SOCK_CLOEXEC 02000000
#define YG_SOMAXCONN 4096

struct yg_sockaddr_in {
	uint16_t family;
	be16 port;
	be32 addr;
	uint8_t zero[8];
};
_Static_assert(sizeof(struct yg_sockaddr_in) == 16, "struct sockaddr_in");

struct yg_msghdr {
	void *name;
	uint32_t name_len;
	struct span *iov;
	size_t n_iov;
	void *control;
	size_t control_len;
	int flags;
};

struct yg_mmsghdr {
	struct yg_msghdr hdr;
	unsigned int len;
};

struct yg_cmsghdr {
	size_t len;
	int level, type;
};

struct yg_linger {
	int on, seconds;
};

struct yg_timeval {
	int64_t s, us;
};

struct yg_timespec {
	int64_t s, ns;
};

/* Of Linux's lo: what stays here. */
#define YG_IFINDEX_LOOPBACK INT32_MAX

struct yg_in_pktinfo {
	int ifindex;
	be32 spec_dst, addr;
};

struct yg_ip_mreqn {
	be32 group, address;
	int ifindex;
};

struct yg_sock_extended_err {
	uint32_t err;
	uint8_t origin, type, code, pad;
	uint32_t info, data;
};

#define YG_TCP_MD5SIG_KEY_MAX 80
#define YG_TCP_MD5SIG_FLAG_PREFIX 0x1
#define YG_TCP_MD5SIG_FLAG_IFINDEX 0x2
struct yg_tcp_md5sig {
	struct yg_sockaddr_in addr;
	uint8_t more_addr[112]; /* struct sockaddr_storage has 128 bytes */
	uint8_t flags, prefix_len;
	uint16_t key_len;
	int ifindex;
	uint8_t key[YG_TCP_MD5SIG_KEY_MAX];
};

/* Flags of messages. */
#define YG_MSG_OOB 0x1
#define YG_MSG_PEEK 0x2
#define YG_MSG_CTRUNC 0x8
#define YG_MSG_TRUNC 0x20
#define YG_MSG_DONTWAIT 0x40
#define YG_MSG_EOR 0x80
#define YG_MSG_WAITALL 0x100
#define YG_MSG_ERRQUEUE 0x2000
#define YG_MSG_NOSIGNAL 0x4000
#define YG_MSG_MORE 0x8000
#define YG_MSG_WAITFORONE 0x10000
#define YG_MSG_FASTOPEN 0x20000000

#define YG_SHUT_RD 0
#define YG_SHUT_WR 1
#define YG_SHUT_RDWR 2

/* Options. */
#define YG_SOL_IP 0
#define YG_SOL_SOCKET 1
#define YG_SOL_TCP 6
#define YG_SOL_UDP 17
#define YG_SOL_RAW 255

#define YG_SO_REUSEADDR 2
#define YG_SO_TYPE 3
#define YG_SO_ERROR 4
#define YG_SO_BROADCAST 6
#define YG_SO_SNDBUF 7
#define YG_SO_RCVBUF 8
#define YG_SO_KEEPALIVE 9
#define YG_SO_OOBINLINE 10
#define YG_SO_NO_CHECK 11
#define YG_SO_PRIORITY 12
#define YG_SO_LINGER 13
#define YG_SO_REUSEPORT 15
#define YG_SO_PASSCRED 16
#define YG_SO_RCVLOWAT 18
#define YG_SO_SNDLOWAT 19
#define YG_SO_RCVTIMEO 20
#define YG_SO_SNDTIMEO 21
#define YG_SO_BINDTODEVICE 25
#define YG_SO_DETACH_FILTER 27
#define YG_SO_TIMESTAMP 29
#define YG_SO_ACCEPTCONN 30
#define YG_SO_SNDBUFFORCE 32
#define YG_SO_RCVBUFFORCE 33
#define YG_SO_TIMESTAMPNS 35
#define YG_SO_MARK 36
#define YG_SO_PROTOCOL 38
#define YG_SO_DOMAIN 39
#define YG_SO_MAX_PACING_RATE 47
#define YG_SO_MEMINFO 55

#define YG_IP_TOS 1
#define YG_IP_TTL 2
#define YG_IP_HDRINCL 3
#define YG_IP_PKTINFO 8
#define YG_IP_MTU_DISCOVER 10
#define YG_IP_RECVERR 11
#define YG_IP_RECVTTL 12
#define YG_IP_RECVTOS 13
#define YG_IP_MTU 14
#define YG_IP_FREEBIND 15
#define YG_IP_TRANSPARENT 19
#define YG_IP_RECVORIGDSTADDR 20
#define YG_IP_MINTTL 21
#define YG_IP_MULTICAST_IF 32
#define YG_IP_MULTICAST_TTL 33
#define YG_IP_MULTICAST_LOOP 34
#define YG_IP_ADD_MEMBERSHIP 35
#define YG_IP_DROP_MEMBERSHIP 36
#define YG_IP_MULTICAST_ALL 49

#define YG_TCP_NODELAY 1
#define YG_TCP_MAXSEG 2
#define YG_TCP_CORK 3
#define YG_TCP_KEEPIDLE 4
#define YG_TCP_KEEPINTVL 5
#define YG_TCP_KEEPCNT 6
#define YG_TCP_SYNCNT 7
#define YG_TCP_LINGER2 8
#define YG_TCP_DEFER_ACCEPT 9
#define YG_TCP_WINDOW_CLAMP 10
#define YG_TCP_INFO 11
#define YG_TCP_QUICKACK 12
#define YG_TCP_CONGESTION 13
#define YG_TCP_MD5SIG 14
#define YG_TCP_USER_TIMEOUT 18
#define YG_TCP_TIMESTAMP 24
#define YG_TCP_NOTSENT_LOWAT 25
#define YG_TCP_CC_INFO 26
#define YG_TCP_SAVE_SYN 27
#define YG_TCP_SAVED_SYN 28
#define YG_TCP_MD5SIG_EXT 32
#define YG_TCP_INQ 36
#define YG_TCP_CM_INQ YG_TCP_INQ

#define YG_UDP_SEGMENT 103
#define YG_UDP_GRO 104

#define YG_ICMP_FILTER 1

#define YG_FIONREAD 0x541b
#define YG_FIONBIO 0x5421
#define YG_SIOCOUTQ 0x5411
#define YG_SIOCATMARK 0x8905
/* Of a timeval and a timespec. Each has two names where a long has 64 bits. */
#define YG_SIOCGSTAMP 0x8906
#define YG_SIOCGSTAMPNS 0x8907
#define YG_SIOCGSTAMP_NEW 0x80108906
#define YG_SIOCGSTAMPNS_NEW 0x80108907
#define YG_SIOCOUTQNSD 0x894b

#define YG_F_GETFD 1
#define YG_F_SETFD 2
#define YG_FD_CLOEXEC 1
#define YG_F_GETFL 3
#define YG_F_SETFL 4
#define YG_O_RDWR 02
#define YG_O_NONBLOCK 04000

/* Readiness: of poll and of epoll. */
#define YG_POLLIN 0x001u
#define YG_POLLPRI 0x002u
#define YG_POLLOUT 0x004u
#define YG_POLLERR 0x008u
#define YG_POLLHUP 0x010u
#define YG_POLLNVAL 0x020u
#define YG_POLLRDNORM 0x040u
#define YG_POLLRDBAND 0x080u
#define YG_POLLWRNORM 0x100u
#define YG_POLLWRBAND 0x200u
#define YG_POLLRDHUP 0x2000u
#define YG_EPOLLEXCLUSIVE (1u << 28)
#define YG_EPOLLWAKEUP (1u << 29)
#define YG_EPOLLONESHOT (1u << 30)
#define YG_EPOLLET (1u << 31)
#define YG_EPOLL_CTL_ADD 1
#define YG_EPOLL_CTL_DEL 2
#define YG_EPOLL_CTL_MOD 3

struct yg_pollfd {
	int fd;
	int16_t events, revents;
};

struct yg_epoll_event {
	uint32_t events;
	uint64_t data;
}
#if defined(__x86_64__)
__attribute__((packed))
#endif
;

#endif
