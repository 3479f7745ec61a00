/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a BGP session asks of a socket of Linux's: TTL and least TTL (RFC 5082), a key for
 * the digests of RFC 2385, no waiting for full segments, the precedence of routing
 * (CS6). What cannot be had is an error, never left out: a session whose key was not set would
 * open without one.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "daemon/stream/stream_kernel_priv.h"

/* RFC 2474: CS6, as of old "internetwork control". */
#define TOS_CONTROL 0xc0

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) != 0 ? -errno : 0;
}

int kernel_option_common(int fd)
{
	int rc = set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);

	return rc != 0 ? rc : set_int(fd, IPPROTO_IP, IP_TOS, TOS_CONTROL);
}

int kernel_option_ttl(int fd, struct stream_ttl ttl)
{
	/* -1: the system's usual. */
	int rc = set_int(fd, IPPROTO_IP, IP_TTL, ttl.send != 0 ? ttl.send : -1);

	return rc != 0 ? rc : set_int(fd, IPPROTO_IP, IP_MINTTL, ttl.least);
}

int kernel_option_key(int fd, struct ip4_prefix host, const struct stream_key *key)
{
	struct tcp_md5sig sig = { .tcpm_prefixlen = host.len };
	struct sockaddr_in *addr = (struct sockaddr_in *)&sig.tcpm_addr;
	bool some = key != NULL && key->len > 0;

	if (some && key->len > sizeof(sig.tcpm_key))
		return -EINVAL;
	addr->sin_family = AF_INET;
	addr->sin_addr.s_addr = htonl(host.addr);
	/* One host is a prefix too, but kernels take that without the flag as well, from before there was one. */
	if (host.len < 32)
		sig.tcpm_flags = TCP_MD5SIG_FLAG_PREFIX;
	if (some) {
		sig.tcpm_keylen = key->len;
		memcpy(sig.tcpm_key, key->bytes, key->len);
	}
	int rc = setsockopt(fd, IPPROTO_TCP, host.len < 32 ? TCP_MD5SIG_EXT : TCP_MD5SIG, &sig, sizeof(sig)) != 0
			 ? -errno
			 : 0;

	explicit_bzero(&sig, sizeof(sig));
	/* There is none to be taken away. */
	return !some && (rc == -ENOENT || rc == -ENOPROTOOPT) ? 0 : rc;
}

static struct stream_end end_of(int rc, const struct sockaddr_in *a)
{
	return rc == 0 ? (struct stream_end){ ntohl(a->sin_addr.s_addr), ntohs(a->sin_port) }
		       : (struct stream_end){ 0 };
}

void kernel_stream_ends(struct kernel_stream *ks)
{
	struct sockaddr_in a = { 0 };
	socklen_t len = sizeof(a);

	ks->s.local = end_of(getsockname(ks->fd, (struct sockaddr *)&a, &len), &a);
	len = sizeof(a);
	if (ks->s.remote.port == 0)
		ks->s.remote = end_of(getpeername(ks->fd, (struct sockaddr *)&a, &len), &a);
}
