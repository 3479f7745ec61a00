/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Options of sockets: which level, and those of SOL_SOCKET. Defaults, ranges and errors are
 * Linux's; what is not done is not taken (ENOPROTOOPT).
 *
 * Not taken of what Linux has, by name: SO_ZEROCOPY, SO_TIMESTAMPING, SO_ATTACH_FILTER and
 * the like (so SO_DETACH_FILTER finds none).
 *
 * Kept, and without effect: SO_SNDBUF and SO_LINGER of datagrams, of which none waits to be sent; SO_KEEPALIVE of
 * theirs, SO_BROADCAST and SO_NO_CHECK of TCP, as in Linux; SO_MAX_PACING_RATE of datagrams, which Linux obeys only
 * where the queue discipline fq stands behind the socket (TCP paces by itself, here too); SO_PRIORITY, which IP_TOS
 * sets, as there: queue disciplines and the rules' `meta priority` read it in Linux, and there are neither here. Nor
 * could it be handed on to those of the port: the kernel takes one priority for a whole AF_PACKET ring, and AF_XDP goes
 * past queue disciplines.
 *
 * SO_BINDTODEVICE chooses the route, as in Linux: of the two best to each prefix, the longest that leads by
 * the device, and without any the destination is looked for on its link. What the routes refuse is
 * refused, which Linux looks for on the link too; 127/8 and the device's own address are
 * ENETUNREACH for TCP, since what goes to ourselves comes by no device.
 *
 * Next: src/stack/socket/socket_option_ip.c, socket_option_tcp.c
 */
#include <errno.h>

#include "stack/socket/socket_priv.h"

/* Linux's: net.core.[rw]mem_max, SOCK_MIN_SNDBUF, SOCK_MIN_RCVBUF. */
#define BUFFER_MAX 212992u
#define BUFFER_FORCED_MAX (UINT32_MAX / 4)
#define SNDBUF_MIN 4608u
#define RCVBUF_MIN 2304u
#define DEVICE_NAME_ROOM 16u
#define N_MEMINFO 9

int socket_set_int(const struct socket_value *v, int64_t *out)
{
	int value;

	if (v->in == NULL)
		return -EFAULT;
	if (v->len < sizeof(value))
		return -EINVAL;
	memcpy(&value, v->in, sizeof(value));
	*out = value;
	return 0;
}

int socket_put_bytes(struct socket_value *v, const void *bytes, uint32_t len)
{
	v->len = min_u32(v->len, len);
	if (v->len > 0)
		memcpy(v->out, bytes, v->len);
	return 0;
}

int socket_put_int(struct socket_value *v, int64_t value)
{
	int i = (int)value;

	return socket_put_bytes(v, &i, sizeof(i));
}

uint64_t socket_tcp_option(struct sockets *ss, const struct socket *s, enum tcp_option o)
{
	return s->kind == SOCKET_LISTENER ? tcp_listener_option(ss->tcp, s->listener, o)
					  : tcp_option(ss->tcp, s->conn, o);
}

void socket_tcp_set_option(struct sockets *ss, struct socket *s, enum tcp_option o, uint64_t value)
{
	if (s->kind == SOCKET_LISTENER)
		tcp_listener_set_option(ss->tcp, s->listener, o, value);
	else
		tcp_set_option(ss->tcp, s->conn, o, value);
}

static bool is_tcp(const struct socket *s)
{
	return s->kind == SOCKET_TCP || s->kind == SOCKET_LISTENER;
}

uint32_t socket_device(struct sockets *ss, const struct socket *s)
{
	return is_tcp(s) ? (uint32_t)socket_tcp_option(ss, s, TCP_OPTION_DEVICE) : socket_datagram(s)->o.ifindex;
}

/* --- to be set --- */

static int set_linger(struct sockets *ss, struct socket *s, const struct socket_value *v)
{
	struct yg_linger l;

	if (v->len < sizeof(l))
		return -EINVAL;
	memcpy(&l, v->in, sizeof(l));
	/* As Linux: how long is kept when it is switched off. */
	if (!is_tcp(s)) {
		struct datagram_options *o = &socket_datagram(s)->o;

		o->linger = l.on != 0;
		o->linger_s = o->linger ? (uint32_t)l.seconds : o->linger_s;
		return 0;
	}
	socket_tcp_set_option(ss, s, TCP_OPTION_LINGER, l.on != 0);
	if (l.on != 0)
		socket_tcp_set_option(ss, s, TCP_OPTION_LINGER_S, (uint32_t)l.seconds);
	return 0;
}

static int set_timeout(uint32_t *timeout_ms, const struct socket_value *v)
{
	struct yg_timeval t;

	if (v->len < sizeof(t))
		return -EINVAL;
	memcpy(&t, v->in, sizeof(t));
	if (t.us < 0 || t.us >= 1000000)
		return -EDOM;
	if (t.s < 0)
		t.s = t.us = 0;
	/* A time that is shorter than what is counted in is no reason to wait for ever. */
	uint64_t ms = (uint64_t)min_u64((uint64_t)t.s, UINT32_MAX / 1000 - 1) * 1000 + ((uint64_t)t.us + 999) / 1000;

	*timeout_ms = (uint32_t)ms;
	return 0;
}

static int set_device(struct sockets *ss, struct socket *s, const struct socket_value *v)
{
	char name[DEVICE_NAME_ROOM] = { 0 };
	struct datagram_socket *d = socket_datagram(s);
	const struct ip_config *cfg = ip_stack_config(ss->ip);
	uint32_t i = 0;

	if (v->len > 0)
		memcpy(name, v->in, min_u32(v->len, DEVICE_NAME_ROOM - 1));
	if (name[0] != '\0')
		for (i = 1; i < IP_INTERFACES_MAX && strncmp(cfg->interface[i].name, name, sizeof(name)) != 0; i++)
			;
	if (i == IP_INTERFACES_MAX)
		return -ENODEV;
	if (d != NULL)
		d->o.ifindex = i;
	else
		socket_tcp_set_option(ss, s, TCP_OPTION_DEVICE, i);
	return 0;
}

/* As Linux: 4 bytes or 8, and all ones of either are no limit. */
static int set_pacing_rate(struct sockets *ss, struct socket *s, const struct socket_value *v, uint32_t value)
{
	uint64_t rate = value == UINT32_MAX ? UINT64_MAX : value;

	if (v->len >= sizeof(rate))
		memcpy(&rate, v->in, sizeof(rate));
	if (is_tcp(s))
		socket_tcp_set_option(ss, s, TCP_OPTION_MAX_PACING_RATE, rate);
	else
		socket_datagram(s)->o.max_pacing_rate = rate;
	return 0;
}

static int set_buffer(struct sockets *ss, struct socket *s, int name, int64_t value)
{
	bool is_forced = name == YG_SO_SNDBUFFORCE || name == YG_SO_RCVBUFFORCE;
	bool is_sndbuf = name == YG_SO_SNDBUF || name == YG_SO_SNDBUFFORCE;
	uint32_t most = is_forced ? BUFFER_FORCED_MAX : BUFFER_MAX, least = is_sndbuf ? SNDBUF_MIN : RCVBUF_MIN;
	uint32_t asked = is_forced && value < 0 ? 0 : min_u32((uint32_t)value, most), bytes = max_u32(asked * 2, least);

	if (is_tcp(s))
		socket_tcp_set_option(ss, s, is_sndbuf ? TCP_OPTION_SNDBUF : TCP_OPTION_RCVBUF, bytes);
	else if (is_sndbuf)
		socket_datagram(s)->o.sndbuf = bytes;
	else
		socket_datagram(s)->o.rcvbuf = bytes;
	return 0;
}

static void share(struct socket *s, int name, bool on)
{
	struct datagram_socket *d = socket_datagram(s);

	if (name == YG_SO_REUSEADDR)
		s->reuse_addr = on;
	else
		s->reuse_port = on;
	if (s->kind == SOCKET_TCP)
		tcp_set_reuse_addr(s->conn, s->reuse_addr);
	if (d != NULL) {
		d->o.reuse_addr = s->reuse_addr;
		d->o.reuse_port = s->reuse_port;
	}
}

static int set_of_tcp(struct sockets *ss, struct socket *s, int name, int64_t value)
{
	switch (name) {
	case YG_SO_KEEPALIVE:
		socket_tcp_set_option(ss, s, TCP_OPTION_KEEPALIVE, value != 0);
		return 0;
	case YG_SO_OOBINLINE:
		socket_tcp_set_option(ss, s, TCP_OPTION_OOB_INLINE, value != 0);
		return 0;
	case YG_SO_RCVLOWAT:
		/* More than the buffer can ever hold would never be there. */
		socket_tcp_set_option(ss, s, TCP_OPTION_RCV_LOWAT,
				      min_u64(value < 0    ? INT32_MAX
					      : value != 0 ? (uint64_t)value
							   : 1,
					      tcp_config(ss->tcp)->rcvbuf_max / 2));
		return 0;
	case YG_SO_BROADCAST:
		s->broadcast = value != 0;
		return 0;
	case YG_SO_NO_CHECK:
		s->no_check = value != 0;
		return 0;
	case YG_SO_MARK:
		socket_tcp_set_option(ss, s, TCP_OPTION_MARK, (uint32_t)value);
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

static int set_of_datagram(struct socket *s, int name, int64_t value)
{
	struct datagram_socket *d = socket_datagram(s);

	switch (name) {
	case YG_SO_KEEPALIVE:
		s->keepalive = value != 0;
		return 0;
	case YG_SO_BROADCAST:
		d->o.broadcast = value != 0;
		return 0;
	case YG_SO_NO_CHECK:
		d->o.no_check = value != 0;
		return 0;
	case YG_SO_MARK:
		d->o.mark = (uint32_t)value;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

static int set_int_option(struct sockets *ss, struct socket *s, int name, int64_t value)
{
	switch (name) {
	case YG_SO_REUSEADDR:
	case YG_SO_REUSEPORT:
		share(s, name, value != 0);
		return 0;
	case YG_SO_SNDBUF:
	case YG_SO_RCVBUF:
	case YG_SO_SNDBUFFORCE:
	case YG_SO_RCVBUFFORCE:
		return set_buffer(ss, s, name, value);
	case YG_SO_PRIORITY:
		/* More than this needs CAP_NET_ADMIN there. */
		if (value < 0 || value > 6)
			return -EPERM;
		s->priority = (uint8_t)value;
		return 0;
	case YG_SO_TIMESTAMP:
	case YG_SO_TIMESTAMPNS:
		s->tell_time = value != 0;
		s->tell_time_us = value != 0 && name == YG_SO_TIMESTAMP;
		return 0;
	case YG_SO_PASSCRED:
		return -EOPNOTSUPP;
	case YG_SO_DETACH_FILTER:
		return -ENOENT;
	case YG_SO_TYPE:
	case YG_SO_ERROR:
	case YG_SO_PROTOCOL:
	case YG_SO_DOMAIN:
	case YG_SO_ACCEPTCONN:
	case YG_SO_SNDLOWAT:
		return -ENOPROTOOPT;
	default:
		return is_tcp(s) ? set_of_tcp(ss, s, name, value) : set_of_datagram(s, name, value);
	}
}

static int set_socket(struct sockets *ss, struct socket *s, int name, const struct socket_value *v)
{
	int64_t value;

	if (name == YG_SO_BINDTODEVICE)
		return set_device(ss, s, v);
	int rc = socket_set_int(v, &value);

	if (rc != 0)
		return rc;
	switch (name) {
	case YG_SO_MAX_PACING_RATE:
		return set_pacing_rate(ss, s, v, (uint32_t)value);
	case YG_SO_LINGER:
		return set_linger(ss, s, v);
	case YG_SO_RCVTIMEO:
		return set_timeout(&s->rcv_timeout_ms, v);
	case YG_SO_SNDTIMEO:
		return set_timeout(&s->snd_timeout_ms, v);
	default:
		return set_int_option(ss, s, name, value);
	}
}

/* --- to be got --- */

static int get_linger(struct sockets *ss, struct socket *s, struct socket_value *v)
{
	struct yg_linger l = { 0 };

	if (!is_tcp(s)) {
		l.on = socket_datagram(s)->o.linger;
		l.seconds = (int)socket_datagram(s)->o.linger_s;
	} else {
		l.on = (int)socket_tcp_option(ss, s, TCP_OPTION_LINGER);
		l.seconds = (int)socket_tcp_option(ss, s, TCP_OPTION_LINGER_S);
	}
	return socket_put_bytes(v, &l, sizeof(l));
}

static int get_timeout(uint32_t timeout_ms, struct socket_value *v)
{
	struct yg_timeval t = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };

	return socket_put_bytes(v, &t, sizeof(t));
}

static int get_device(struct sockets *ss, struct socket *s, struct socket_value *v)
{
	uint32_t ifindex = socket_device(ss, s);

	if (ifindex == 0) {
		v->len = 0;
		return 0;
	}
	const char *name = ip_stack_config(ss->ip)->interface[ifindex].name;

	if (v->len < DEVICE_NAME_ROOM)
		return -EINVAL;
	return socket_put_bytes(v, name, (uint32_t)strlen(name) + 1);
}

static int take_error(struct socket *s)
{
	struct datagram_socket *d = socket_datagram(s);

	if (d != NULL)
		return datagram_take_error(d);
	return s->kind == SOCKET_TCP ? tcp_take_error(s->conn) : 0;
}

/* SK_MEMINFO_*: rmem_alloc, rcvbuf, wmem_alloc, sndbuf, fwd_alloc, wmem_queued, optmem, backlog, drops */
static int get_meminfo(struct sockets *ss, struct socket *s, struct socket_value *v)
{
	uint32_t m[N_MEMINFO] = { 0 };
	const struct datagram_socket *d = socket_datagram(s);

	if (d != NULL) {
		m[0] = datagram_memory(d);
		m[1] = d->o.rcvbuf;
		m[8] = (uint32_t)d->n_dropped;
	} else {
		m[0] = s->kind == SOCKET_TCP ? tcp_unread(s->conn) : 0;
		m[1] = (uint32_t)socket_tcp_option(ss, s, TCP_OPTION_RCVBUF);
		m[3] = (uint32_t)socket_tcp_option(ss, s, TCP_OPTION_SNDBUF);
		m[5] = s->kind == SOCKET_TCP ? tcp_unacked(s->conn) : 0;
	}
	return socket_put_bytes(v, m, sizeof(m));
}

static int get_pacing_rate(struct sockets *ss, struct socket *s, struct socket_value *v)
{
	uint64_t rate = is_tcp(s) ? socket_tcp_option(ss, s, TCP_OPTION_MAX_PACING_RATE)
				  : socket_datagram(s)->o.max_pacing_rate;
	uint32_t as_far = (uint32_t)min_u64(rate, UINT32_MAX);

	return v->len >= sizeof(rate) ? socket_put_bytes(v, &rate, sizeof(rate))
				      : socket_put_bytes(v, &as_far, sizeof(as_far));
}

static int get_of_tcp(struct sockets *ss, struct socket *s, int name, struct socket_value *v)
{
	switch (name) {
	case YG_SO_KEEPALIVE:
		return socket_put_int(v, (int64_t)socket_tcp_option(ss, s, TCP_OPTION_KEEPALIVE));
	case YG_SO_OOBINLINE:
		return socket_put_int(v, (int64_t)socket_tcp_option(ss, s, TCP_OPTION_OOB_INLINE));
	case YG_SO_RCVLOWAT:
		return socket_put_int(v, (int64_t)socket_tcp_option(ss, s, TCP_OPTION_RCV_LOWAT));
	case YG_SO_SNDBUF:
		return socket_put_int(v, (int64_t)socket_tcp_option(ss, s, TCP_OPTION_SNDBUF));
	case YG_SO_RCVBUF:
		return socket_put_int(v, (int64_t)socket_tcp_option(ss, s, TCP_OPTION_RCVBUF));
	case YG_SO_BROADCAST:
		return socket_put_int(v, s->broadcast);
	case YG_SO_NO_CHECK:
		return socket_put_int(v, s->no_check);
	case YG_SO_MARK:
		return socket_put_int(v, (int64_t)socket_tcp_option(ss, s, TCP_OPTION_MARK));
	default:
		return -ENOPROTOOPT;
	}
}

static int get_of_datagram(const struct socket *s, int name, struct socket_value *v)
{
	const struct datagram_socket *d = socket_datagram(s);

	switch (name) {
	case YG_SO_RCVBUF:
		return socket_put_int(v, d->o.rcvbuf);
	case YG_SO_SNDBUF:
		return socket_put_int(v, d->o.sndbuf != 0 ? d->o.sndbuf : BUFFER_MAX);
	case YG_SO_RCVLOWAT:
		return socket_put_int(v, 1);
	case YG_SO_KEEPALIVE:
		return socket_put_int(v, s->keepalive);
	case YG_SO_OOBINLINE:
		return socket_put_int(v, 0);
	case YG_SO_BROADCAST:
		return socket_put_int(v, d->o.broadcast);
	case YG_SO_NO_CHECK:
		return socket_put_int(v, d->o.no_check);
	case YG_SO_MARK:
		return socket_put_int(v, d->o.mark);
	default:
		return -ENOPROTOOPT;
	}
}

static int type_of(const struct socket *s)
{
	return is_tcp(s) ? YG_SOCK_STREAM : s->kind == SOCKET_UDP ? YG_SOCK_DGRAM : YG_SOCK_RAW;
}

static int protocol_of(const struct socket *s)
{
	return is_tcp(s) ? IPPROTO_NR_TCP : s->kind == SOCKET_UDP ? IPPROTO_NR_UDP : s->raw->d.lport;
}

static int get_socket(struct sockets *ss, struct socket *s, int name, struct socket_value *v)
{
	switch (name) {
	case YG_SO_REUSEADDR:
		return socket_put_int(v, s->reuse_addr);
	case YG_SO_REUSEPORT:
		return socket_put_int(v, s->reuse_port);
	case YG_SO_TYPE:
		return socket_put_int(v, type_of(s));
	case YG_SO_PROTOCOL:
		return socket_put_int(v, protocol_of(s));
	case YG_SO_DOMAIN:
		return socket_put_int(v, YG_AF_INET);
	case YG_SO_ACCEPTCONN:
		return socket_put_int(v, s->kind == SOCKET_LISTENER);
	case YG_SO_ERROR:
		return socket_put_int(v, take_error(s));
	case YG_SO_PRIORITY:
		return socket_put_int(v, s->priority);
	case YG_SO_SNDLOWAT:
		return socket_put_int(v, 1);
	case YG_SO_TIMESTAMP:
		return socket_put_int(v, s->tell_time_us);
	case YG_SO_TIMESTAMPNS:
		return socket_put_int(v, s->tell_time && !s->tell_time_us);
	case YG_SO_PASSCRED:
		return -EOPNOTSUPP;
	case YG_SO_LINGER:
		return get_linger(ss, s, v);
	case YG_SO_RCVTIMEO:
		return get_timeout(s->rcv_timeout_ms, v);
	case YG_SO_SNDTIMEO:
		return get_timeout(s->snd_timeout_ms, v);
	case YG_SO_BINDTODEVICE:
		return get_device(ss, s, v);
	case YG_SO_MEMINFO:
		return get_meminfo(ss, s, v);
	case YG_SO_MAX_PACING_RATE:
		return get_pacing_rate(ss, s, v);
	default:
		return is_tcp(s) ? get_of_tcp(ss, s, name, v) : get_of_datagram(s, name, v);
	}
}

/* --- by level --- */

static int set_udp(struct socket *s, int name, int64_t value)
{
	struct datagram_options *o = &s->udp->d.o;

	switch (name) {
	case YG_UDP_SEGMENT:
		if (value < 0 || value > UINT16_MAX)
			return -EINVAL;
		o->gso_size = (uint16_t)value;
		return 0;
	case YG_UDP_GRO:
		o->gro = value != 0;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

static int set_raw(struct socket *s, int name, const struct socket_value *v)
{
	if (name != YG_ICMP_FILTER || s->raw->d.lport != IPPROTO_NR_ICMP)
		return -ENOPROTOOPT;
	if (v->in == NULL)
		return -EFAULT;
	memcpy(&s->raw->icmp_filter, v->in, min_u32(v->len, sizeof(s->raw->icmp_filter)));
	return 0;
}

int socket_set_option(struct sockets *ss, int n, int level, int name, const void *value, uint32_t len)
{
	struct socket *s = socket_at(ss, n);
	struct socket_value v = { .in = value, .len = len };
	int64_t i;

	if (s == NULL)
		return -EBADF;
	if (s->kind == SOCKET_EPOLL)
		return -ENOTSOCK;
	if (value == NULL && len > 0)
		return -EFAULT;
	if (level == YG_SOL_SOCKET)
		return set_socket(ss, s, name, &v);
	if (level == YG_SOL_IP)
		return socket_set_ip(ss, s, name, &v);
	if (level == YG_SOL_TCP && is_tcp(s))
		return socket_set_tcp(ss, s, name, &v);
	if (level == YG_SOL_RAW && s->kind == SOCKET_RAW)
		return set_raw(s, name, &v);
	if (level != YG_SOL_UDP || s->kind != SOCKET_UDP)
		return -ENOPROTOOPT;
	int rc = socket_set_int(&v, &i);

	return rc != 0 ? rc : set_udp(s, name, i);
}

int socket_get_option(struct sockets *ss, int n, int level, int name, void *value, uint32_t *len)
{
	struct socket *s = socket_at(ss, n);

	if (s == NULL)
		return -EBADF;
	if (s->kind == SOCKET_EPOLL)
		return -ENOTSOCK;
	if (value == NULL || len == NULL)
		return -EFAULT;
	if (*len > INT32_MAX)
		return -EINVAL;
	struct socket_value v = { .out = value, .len = *len };
	int rc = level == YG_SOL_RAW || (level == YG_SOL_UDP && s->kind == SOCKET_UDP) ? -ENOPROTOOPT : -EOPNOTSUPP;

	if (level == YG_SOL_SOCKET)
		rc = get_socket(ss, s, name, &v);
	else if (level == YG_SOL_IP)
		rc = socket_get_ip(ss, s, name, &v);
	else if (level == YG_SOL_TCP && is_tcp(s))
		rc = socket_get_tcp(ss, s, name, &v);
	else if (level == YG_SOL_UDP && s->kind == SOCKET_UDP && name == YG_UDP_SEGMENT)
		rc = socket_put_int(&v, s->udp->d.o.gso_size);
	else if (level == YG_SOL_UDP && s->kind == SOCKET_UDP && name == YG_UDP_GRO)
		rc = socket_put_int(&v, s->udp->d.o.gro);
	else if (level == YG_SOL_RAW && s->kind == SOCKET_RAW && name == YG_ICMP_FILTER &&
		 s->raw->d.lport == IPPROTO_NR_ICMP)
		rc = socket_put_bytes(&v, &s->raw->icmp_filter, sizeof(s->raw->icmp_filter));
	if (rc == 0 || v.tell_len)
		*len = v.len;
	return rc;
}
