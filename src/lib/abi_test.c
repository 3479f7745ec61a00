/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Our names of Linux's numbers and layouts (src/stack/socket/abi.h) against the system's. It
 * fails when it is compiled, or never.
 */
#include <time.h>

#include <linux/errqueue.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "stack/socket/abi.h"
#include "stack/transport/tcp_info.h"

#define SAME(a, b) _Static_assert((uint64_t)(a) == (uint64_t)(b), #a)
#define SAME_PLACE(t, m, u, k) \
	_Static_assert(offsetof(t, m) == offsetof(u, k) && sizeof(((t *)0)->m) == sizeof(((u *)0)->k), #t #m)

SAME(sizeof(struct sockaddr_in), sizeof(struct yg_sockaddr_in));
SAME(sizeof(struct msghdr), sizeof(struct yg_msghdr));
SAME_PLACE(struct msghdr, msg_name, struct yg_msghdr, name);
SAME_PLACE(struct msghdr, msg_namelen, struct yg_msghdr, name_len);
SAME_PLACE(struct msghdr, msg_iov, struct yg_msghdr, iov);
SAME_PLACE(struct msghdr, msg_iovlen, struct yg_msghdr, n_iov);
SAME_PLACE(struct msghdr, msg_control, struct yg_msghdr, control);
SAME_PLACE(struct msghdr, msg_controllen, struct yg_msghdr, control_len);
SAME_PLACE(struct msghdr, msg_flags, struct yg_msghdr, flags);
SAME_PLACE(struct iovec, iov_base, struct span, bytes);
SAME_PLACE(struct iovec, iov_len, struct span, len);
SAME_PLACE(struct cmsghdr, cmsg_len, struct yg_cmsghdr, len);
SAME_PLACE(struct cmsghdr, cmsg_type, struct yg_cmsghdr, type);
SAME_PLACE(struct epoll_event, events, struct yg_epoll_event, events);
SAME_PLACE(struct epoll_event, data, struct yg_epoll_event, data);
SAME(sizeof(struct epoll_event), sizeof(struct yg_epoll_event));
SAME(sizeof(struct pollfd), sizeof(struct yg_pollfd));
SAME_PLACE(struct pollfd, revents, struct yg_pollfd, revents);
SAME(sizeof(struct ip_mreqn), sizeof(struct yg_ip_mreqn));
SAME(sizeof(struct in_pktinfo), sizeof(struct yg_in_pktinfo));
SAME(sizeof(struct linger), sizeof(struct yg_linger));
SAME(AF_INET, YG_AF_INET);
SAME(SOCK_STREAM, YG_SOCK_STREAM);
SAME(SOCK_DGRAM, YG_SOCK_DGRAM);
SAME(SOCK_RAW, YG_SOCK_RAW);
SAME(SOCK_NONBLOCK, YG_SOCK_NONBLOCK);
SAME(SOCK_CLOEXEC, YG_SOCK_CLOEXEC);
SAME(MSG_OOB, YG_MSG_OOB);
SAME(MSG_PEEK, YG_MSG_PEEK);
SAME(MSG_CTRUNC, YG_MSG_CTRUNC);
SAME(MSG_TRUNC, YG_MSG_TRUNC);
SAME(MSG_DONTWAIT, YG_MSG_DONTWAIT);
SAME(MSG_EOR, YG_MSG_EOR);
SAME(MSG_WAITALL, YG_MSG_WAITALL);
SAME(MSG_ERRQUEUE, YG_MSG_ERRQUEUE);
SAME(MSG_NOSIGNAL, YG_MSG_NOSIGNAL);
SAME(MSG_MORE, YG_MSG_MORE);
SAME(MSG_FASTOPEN, YG_MSG_FASTOPEN);
SAME(SHUT_RD, YG_SHUT_RD);
SAME(SHUT_RDWR, YG_SHUT_RDWR);
SAME(SOL_SOCKET, YG_SOL_SOCKET);
SAME(SO_REUSEADDR, YG_SO_REUSEADDR);
SAME(SO_TYPE, YG_SO_TYPE);
SAME(SO_ERROR, YG_SO_ERROR);
SAME(SO_BROADCAST, YG_SO_BROADCAST);
SAME(SO_SNDBUF, YG_SO_SNDBUF);
SAME(SO_RCVBUF, YG_SO_RCVBUF);
SAME(SO_KEEPALIVE, YG_SO_KEEPALIVE);
SAME(SO_OOBINLINE, YG_SO_OOBINLINE);
SAME(SO_NO_CHECK, YG_SO_NO_CHECK);
SAME(SO_PRIORITY, YG_SO_PRIORITY);
SAME(SO_LINGER, YG_SO_LINGER);
SAME(SO_REUSEPORT, YG_SO_REUSEPORT);
SAME(SO_RCVLOWAT, YG_SO_RCVLOWAT);
SAME(SO_RCVTIMEO, YG_SO_RCVTIMEO);
SAME(SO_SNDTIMEO, YG_SO_SNDTIMEO);
SAME(SO_BINDTODEVICE, YG_SO_BINDTODEVICE);
SAME(SO_ACCEPTCONN, YG_SO_ACCEPTCONN);
SAME(SO_TIMESTAMPNS, YG_SO_TIMESTAMPNS);
SAME(SO_MARK, YG_SO_MARK);
SAME(SO_PROTOCOL, YG_SO_PROTOCOL);
SAME(SO_DOMAIN, YG_SO_DOMAIN);
SAME(SO_MAX_PACING_RATE, YG_SO_MAX_PACING_RATE);
SAME(SO_MEMINFO, YG_SO_MEMINFO);
SAME(IP_TOS, YG_IP_TOS);
SAME(IP_TTL, YG_IP_TTL);
SAME(IP_HDRINCL, YG_IP_HDRINCL);
SAME(IP_PKTINFO, YG_IP_PKTINFO);
SAME(IP_MTU_DISCOVER, YG_IP_MTU_DISCOVER);
SAME(IP_RECVERR, YG_IP_RECVERR);
SAME(IP_RECVTTL, YG_IP_RECVTTL);
SAME(IP_RECVTOS, YG_IP_RECVTOS);
SAME(IP_MTU, YG_IP_MTU);
SAME(IP_FREEBIND, YG_IP_FREEBIND);
SAME(IP_TRANSPARENT, YG_IP_TRANSPARENT);
SAME(IP_MINTTL, YG_IP_MINTTL);
SAME(IP_MULTICAST_IF, YG_IP_MULTICAST_IF);
SAME(IP_MULTICAST_TTL, YG_IP_MULTICAST_TTL);
SAME(IP_MULTICAST_LOOP, YG_IP_MULTICAST_LOOP);
SAME(IP_ADD_MEMBERSHIP, YG_IP_ADD_MEMBERSHIP);
SAME(IP_DROP_MEMBERSHIP, YG_IP_DROP_MEMBERSHIP);
SAME(IP_MULTICAST_ALL, YG_IP_MULTICAST_ALL);
SAME(FIONREAD, YG_FIONREAD);
SAME(FIONBIO, YG_FIONBIO);
SAME(TIOCOUTQ, YG_SIOCOUTQ);
SAME(EPOLLIN, YG_POLLIN);
SAME(EPOLLPRI, YG_POLLPRI);
SAME(EPOLLOUT, YG_POLLOUT);
SAME(EPOLLERR, YG_POLLERR);
SAME(EPOLLHUP, YG_POLLHUP);
SAME(EPOLLRDNORM, YG_POLLRDNORM);
SAME(EPOLLWRNORM, YG_POLLWRNORM);
SAME(EPOLLRDHUP, YG_POLLRDHUP);
SAME(POLLNVAL, YG_POLLNVAL);
SAME(EPOLLEXCLUSIVE, YG_EPOLLEXCLUSIVE);
SAME(EPOLLONESHOT, YG_EPOLLONESHOT);
SAME((uint32_t)EPOLLET, YG_EPOLLET);
SAME(EPOLL_CTL_ADD, YG_EPOLL_CTL_ADD);
SAME(EPOLL_CTL_DEL, YG_EPOLL_CTL_DEL);
SAME(EPOLL_CTL_MOD, YG_EPOLL_CTL_MOD);
SAME(sizeof(struct mmsghdr), sizeof(struct yg_mmsghdr));
SAME(sizeof(struct timespec), sizeof(struct yg_timespec));
SAME(sizeof(struct timeval), sizeof(struct yg_timeval));
SAME(sizeof(struct sock_extended_err), sizeof(struct yg_sock_extended_err));
SAME(SIOCOUTQNSD, YG_SIOCOUTQNSD);
SAME(SIOCATMARK, YG_SIOCATMARK);
SAME(TCP_NODELAY, YG_TCP_NODELAY);
SAME(TCP_MAXSEG, YG_TCP_MAXSEG);
SAME(TCP_CORK, YG_TCP_CORK);
SAME(TCP_KEEPIDLE, YG_TCP_KEEPIDLE);
SAME(TCP_KEEPINTVL, YG_TCP_KEEPINTVL);
SAME(TCP_KEEPCNT, YG_TCP_KEEPCNT);
SAME(TCP_SYNCNT, YG_TCP_SYNCNT);
SAME(TCP_LINGER2, YG_TCP_LINGER2);
SAME(TCP_DEFER_ACCEPT, YG_TCP_DEFER_ACCEPT);
SAME(TCP_WINDOW_CLAMP, YG_TCP_WINDOW_CLAMP);
SAME(TCP_INFO, YG_TCP_INFO);
SAME(TCP_QUICKACK, YG_TCP_QUICKACK);
SAME(TCP_TIMESTAMP, YG_TCP_TIMESTAMP);
SAME(TCP_CC_INFO, YG_TCP_CC_INFO);
SAME(TCP_SAVE_SYN, YG_TCP_SAVE_SYN);
SAME(TCP_SAVED_SYN, YG_TCP_SAVED_SYN);
SAME(TCP_MD5SIG, YG_TCP_MD5SIG);
SAME(TCP_MD5SIG_EXT, YG_TCP_MD5SIG_EXT);
SAME(TCP_MD5SIG_FLAG_PREFIX, YG_TCP_MD5SIG_FLAG_PREFIX);
SAME(TCP_MD5SIG_FLAG_IFINDEX, YG_TCP_MD5SIG_FLAG_IFINDEX);
SAME(sizeof(struct tcp_md5sig), sizeof(struct yg_tcp_md5sig));
SAME_PLACE(struct tcp_md5sig, tcpm_key, struct yg_tcp_md5sig, key);
SAME_PLACE(struct tcp_md5sig, tcpm_prefixlen, struct yg_tcp_md5sig, prefix_len);
SAME(TCP_CONGESTION, YG_TCP_CONGESTION);
SAME(TCP_USER_TIMEOUT, YG_TCP_USER_TIMEOUT);
SAME(TCP_NOTSENT_LOWAT, YG_TCP_NOTSENT_LOWAT);
SAME(TCP_INQ, YG_TCP_INQ);
SAME_PLACE(struct tcp_info, tcpi_rto, struct yg_tcp_info, rto);
SAME_PLACE(struct tcp_info, tcpi_unacked, struct yg_tcp_info, unacked);
SAME_PLACE(struct tcp_info, tcpi_rtt, struct yg_tcp_info, rtt);
SAME_PLACE(struct tcp_info, tcpi_total_retrans, struct yg_tcp_info, total_retrans);
SAME_PLACE(struct tcp_info, tcpi_bytes_acked, struct yg_tcp_info, bytes_acked);
SAME_PLACE(struct tcp_info, tcpi_min_rtt, struct yg_tcp_info, min_rtt);
SAME_PLACE(struct tcp_info, tcpi_delivery_rate, struct yg_tcp_info, delivery_rate);
SAME_PLACE(struct tcp_info, tcpi_bytes_retrans, struct yg_tcp_info, bytes_retrans);
SAME_PLACE(struct tcp_info, tcpi_snd_wnd, struct yg_tcp_info, snd_wnd);

int main(void)
{
	return 0;
}
