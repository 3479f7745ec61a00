/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Options of IPPROTO_IP (ip(7)).
 *
 * Not taken of what Linux has, by name: IP_OPTIONS, source-specific
 * groups (IP_ADD_SOURCE_MEMBERSHIP and the like).
 *
 * Next: src/stack/transport/datagram_out.c
 */
#include <errno.h>

#include "stack/socket/socket_priv.h"
#include "stack/transport/tcp_info.h"

#define ECN_BITS 3

static bool is_tcp(const struct socket *s)
{
	return s->kind == SOCKET_TCP || s->kind == SOCKET_LISTENER;
}

/* As Linux: a byte will do. */
static int set_int_or_byte(const struct socket_value *v, int64_t *out)
{
	if (v->in != NULL && v->len > 0 && v->len < sizeof(int)) {
		*out = *(const uint8_t *)v->in;
		return 0;
	}
	return socket_set_int(v, out);
}

/* --- groups --- */

static int take_mreq(const struct socket_value *v, struct yg_ip_mreqn *m)
{
	/* struct ip_mreq is its beginning; struct in_addr too, of IP_MULTICAST_IF. */
	*m = (struct yg_ip_mreqn){ 0 };
	if (v->len < sizeof(m->group) + sizeof(m->address))
		return -EINVAL;
	memcpy(m, v->in, min_u32(v->len, sizeof(*m)));
	if (v->len < sizeof(*m))
		m->ifindex = 0;
	return 0;
}

int64_t socket_interface_of(int ifindex)
{
	if (ifindex == YG_IFINDEX_LOOPBACK)
		return IP_HERE;
	return ifindex >= 0 && ifindex < IP_INTERFACES_MAX ? ifindex : -1;
}

static int change_membership(struct sockets *ss, struct socket *s, int name, const struct socket_value *v)
{
	struct datagram_socket *d = socket_datagram(s);
	const struct datagram_stack *ds = d != NULL ? socket_datagram_stack(ss, s) : NULL;
	struct yg_ip_mreqn m;
	int rc = take_mreq(v, &m);

	if (d == NULL)
		return -EPROTO;
	if (rc != 0)
		return rc;
	int64_t ifindex = socket_interface_of(m.ifindex);

	if (ifindex < 0)
		return name == YG_IP_ADD_MEMBERSHIP ? -ENODEV : -EADDRNOTAVAIL;
	return (name == YG_IP_ADD_MEMBERSHIP ? datagram_join : datagram_leave)(ds, d, be32_get(m.group),
									       (uint32_t)ifindex, be32_get(m.address));
}

static int set_multicast_if(struct sockets *ss, struct socket *s, const struct socket_value *v)
{
	struct datagram_socket *d = socket_datagram(s);
	struct yg_ip_mreqn m = { 0 };

	if (d == NULL)
		return -EINVAL;
	if (v->len < sizeof(m.address))
		return -EINVAL;
	if (v->len >= sizeof(m.group) + sizeof(m.address))
		(void)take_mreq(v, &m);
	else
		memcpy(&m.address, v->in, sizeof(m.address));
	uint32_t addr = be32_get(m.address);
	int64_t ifindex = socket_interface_of(m.ifindex);

	if (ifindex < 0)
		return -EADDRNOTAVAIL;
	if (ifindex == 0 && addr != 0) {
		ifindex = datagram_interface_of(socket_datagram_stack(ss, s), addr);
		if (ifindex == 0)
			return -EADDRNOTAVAIL;
	}
	d->o.multicast_ifindex = (uint32_t)ifindex;
	d->o.multicast_source = addr;
	return 0;
}

/* --- to be set --- */

static uint8_t tos_of(struct sockets *ss, const struct socket *s)
{
	return is_tcp(s) ? (uint8_t)socket_tcp_option(ss, s, TCP_OPTION_TOS) : socket_datagram(s)->o.tos;
}

static int set_tos(struct sockets *ss, struct socket *s, int64_t value)
{
	/* Linux's classes by the bits of RFC 1349: best effort, bulk, interactive, interactive bulk. */
	static const uint8_t priority[] = { 0, 2, 6, 4 };
	/* The bits of ECN are TCP's own. */
	uint8_t tos = (uint8_t)(is_tcp(s) ? value & ~ECN_BITS : value);

	if (tos != tos_of(ss, s))
		s->priority = priority[tos >> 3 & 3];
	if (is_tcp(s))
		socket_tcp_set_option(ss, s, TCP_OPTION_TOS, tos);
	else
		socket_datagram(s)->o.tos = tos;
	return 0;
}

static int set_ttl(struct sockets *ss, struct socket *s, int64_t value)
{
	if (value != -1 && (value < 1 || value > 255))
		return -EINVAL;
	uint8_t ttl = value == -1 ? 0 : (uint8_t)value;

	if (is_tcp(s))
		socket_tcp_set_option(ss, s, TCP_OPTION_TTL, ttl);
	else
		socket_datagram(s)->o.ttl = ttl;
	return 0;
}

static int set_of_datagram(struct socket *s, int name, int64_t value)
{
	struct datagram_options *o = &socket_datagram(s)->o;

	switch (name) {
	case YG_IP_MTU_DISCOVER:
		if (value < 0 || value >= N_DATAGRAM_PMTU)
			return -EINVAL;
		o->pmtu = (uint8_t)value;
		return 0;
	case YG_IP_RECVERR:
		o->recv_error = value != 0;
		return 0;
	case YG_IP_MULTICAST_TTL:
		if (value < -1 || value > 255)
			return -EINVAL;
		o->multicast_ttl = value == -1 ? 1 : (uint8_t)value;
		return 0;
	case YG_IP_MULTICAST_LOOP:
		o->multicast_loop = value != 0;
		return 0;
	case YG_IP_MULTICAST_ALL:
		if (value != 0 && value != 1)
			return -EINVAL;
		o->multicast_all = value != 0;
		return 0;
	case YG_IP_HDRINCL:
		if (s->kind != SOCKET_RAW)
			return -ENOPROTOOPT;
		s->raw->header_included = value != 0;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

static int set_of_tcp(struct sockets *ss, struct socket *s, int name, int64_t value)
{
	switch (name) {
	case YG_IP_MULTICAST_LOOP:
		s->no_multicast_loop = value == 0;
		return 0;
	case YG_IP_MTU_DISCOVER:
		if (value < 0 || value >= N_DATAGRAM_PMTU)
			return -EINVAL;
		socket_tcp_set_option(ss, s, TCP_OPTION_PMTU, (uint64_t)value);
		return 0;
	case YG_IP_RECVERR:
		socket_tcp_set_option(ss, s, TCP_OPTION_RECV_ERROR, value != 0);
		return 0;
	case YG_IP_MINTTL:
		if (value < 0 || value > 255)
			return -EINVAL;
		socket_tcp_set_option(ss, s, TCP_OPTION_MIN_TTL, (uint64_t)value);
		return 0;
	case YG_IP_MULTICAST_TTL:
		return -EINVAL;
	default:
		return -ENOPROTOOPT;
	}
}

/* Either lets it be bound to an address that is not ours; what it then sends has that for a source. */
static int may_have_any_address(struct socket *s)
{
	if (!is_tcp(s))
		socket_datagram(s)->o.freebind = s->freebind || s->transparent;
	return 0;
}

int socket_set_ip(struct sockets *ss, struct socket *s, int name, const struct socket_value *v)
{
	int64_t value = 0;

	if (name == YG_IP_ADD_MEMBERSHIP || name == YG_IP_DROP_MEMBERSHIP)
		return change_membership(ss, s, name, v);
	if (name == YG_IP_MULTICAST_IF)
		return set_multicast_if(ss, s, v);
	int rc = name == YG_IP_TOS && v->len == 0 ? 0 : set_int_or_byte(v, &value);

	if (rc != 0)
		return rc;
	switch (name) {
	case YG_IP_TOS:
		return set_tos(ss, s, value);
	case YG_IP_TTL:
		return set_ttl(ss, s, value);
	case YG_IP_PKTINFO:
		s->tell_pktinfo = value != 0;
		return 0;
	case YG_IP_RECVTTL:
		s->tell_ttl = value != 0;
		return 0;
	case YG_IP_RECVTOS:
		s->tell_tos = value != 0;
		return 0;
	case YG_IP_RECVORIGDSTADDR:
		s->tell_destination = value != 0;
		return 0;
	case YG_IP_FREEBIND:
		s->freebind = value != 0;
		return may_have_any_address(s);
	case YG_IP_TRANSPARENT:
		s->transparent = value != 0;
		return may_have_any_address(s);
	default:
		return is_tcp(s) ? set_of_tcp(ss, s, name, value) : set_of_datagram(s, name, value);
	}
}

/* --- to be got --- */

/* As Linux: where a whole one has no room, one of a byte is given as a byte. */
static int put_int_or_byte(struct socket_value *v, int64_t value)
{
	uint8_t byte = (uint8_t)value;

	if (v->len > 0 && v->len < sizeof(int) && value == byte)
		return socket_put_bytes(v, &byte, sizeof(byte));
	return socket_put_int(v, value);
}

static int get_mtu(struct sockets *ss, struct socket *s, struct socket_value *v)
{
	struct yg_tcp_info i;

	if (!is_tcp(s)) {
		const struct datagram_socket *d = socket_datagram(s);

		return d->is_connected ? put_int_or_byte(v, datagram_mtu(socket_datagram_stack(ss, s), d)) : -ENOTCONN;
	}
	if (s->kind == SOCKET_LISTENER || tcp_state(s->conn) < TCP_ESTABLISHED)
		return -ENOTCONN;
	tcp_info(ss->tcp, s->conn, &i);
	return put_int_or_byte(v, i.pmtu);
}

static int get_of_datagram(const struct socket *s, int name, struct socket_value *v)
{
	const struct datagram_options *o = &socket_datagram(s)->o;
	be32 source = be32_of(o->multicast_source);

	switch (name) {
	case YG_IP_MTU_DISCOVER:
		return put_int_or_byte(v, o->pmtu);
	case YG_IP_RECVERR:
		return put_int_or_byte(v, o->recv_error);
	case YG_IP_MULTICAST_TTL:
		return put_int_or_byte(v, o->multicast_ttl);
	case YG_IP_MULTICAST_LOOP:
		return put_int_or_byte(v, o->multicast_loop);
	case YG_IP_MULTICAST_ALL:
		return put_int_or_byte(v, o->multicast_all);
	case YG_IP_MULTICAST_IF:
		return socket_put_bytes(v, &source, sizeof(source));
	case YG_IP_HDRINCL:
		return put_int_or_byte(v, s->kind == SOCKET_RAW && s->raw->header_included);
	default:
		return -ENOPROTOOPT;
	}
}

static int get_of_tcp(struct sockets *ss, struct socket *s, int name, struct socket_value *v)
{
	switch (name) {
	case YG_IP_MTU_DISCOVER:
		return put_int_or_byte(v, (int64_t)socket_tcp_option(ss, s, TCP_OPTION_PMTU));
	case YG_IP_RECVERR:
		return put_int_or_byte(v, (int64_t)socket_tcp_option(ss, s, TCP_OPTION_RECV_ERROR));
	case YG_IP_HDRINCL:
		return put_int_or_byte(v, 0);
	case YG_IP_MULTICAST_TTL:
		return put_int_or_byte(v, 1);
	case YG_IP_MULTICAST_LOOP:
		return put_int_or_byte(v, !s->no_multicast_loop);
	case YG_IP_MINTTL:
		return put_int_or_byte(v, (int64_t)socket_tcp_option(ss, s, TCP_OPTION_MIN_TTL));
	default:
		return -ENOPROTOOPT;
	}
}

static int64_t ttl_of(struct sockets *ss, struct socket *s)
{
	uint64_t ttl = is_tcp(s) ? socket_tcp_option(ss, s, TCP_OPTION_TTL) : socket_datagram(s)->o.ttl;
	uint32_t of_stack = ip_stack_config(ss->ip)->ttl;

	return ttl != 0 ? (int64_t)ttl : of_stack != 0 ? of_stack : 64;
}

int socket_get_ip(struct sockets *ss, struct socket *s, int name, struct socket_value *v)
{
	switch (name) {
	case YG_IP_TOS:
		return put_int_or_byte(v, tos_of(ss, s));
	case YG_IP_TTL:
		return put_int_or_byte(v, ttl_of(ss, s));
	case YG_IP_PKTINFO:
		return put_int_or_byte(v, s->tell_pktinfo);
	case YG_IP_RECVTTL:
		return put_int_or_byte(v, s->tell_ttl);
	case YG_IP_RECVTOS:
		return put_int_or_byte(v, s->tell_tos);
	case YG_IP_RECVORIGDSTADDR:
		return put_int_or_byte(v, s->tell_destination);
	case YG_IP_FREEBIND:
		return put_int_or_byte(v, s->freebind);
	case YG_IP_TRANSPARENT:
		return put_int_or_byte(v, s->transparent);
	case YG_IP_MTU:
		return get_mtu(ss, s, v);
	default:
		return is_tcp(s) ? get_of_tcp(ss, s, name, v) : get_of_datagram(s, name, v);
	}
}
