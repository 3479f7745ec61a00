/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What goes beside the bytes of a message (cmsg(3)): what a sender asks for this one, and
 * what a receiver has asked to be told.
 *
 * Next: src/stack/socket/socket_io.c
 */
#include <errno.h>

#include "stack/ip/route.h"
#include "stack/socket/socket_priv.h"

#define ALIGN(n) (((n) + sizeof(size_t) - 1) & ~(sizeof(size_t) - 1))
#define HEADER ALIGN(sizeof(struct yg_cmsghdr))

void socket_put_control(struct socket_control *c, int level, int type, const void *value, size_t len)
{
	struct yg_cmsghdr h = { .len = HEADER + len, .level = level, .type = type };

	if (c->at == NULL || c->left < HEADER) {
		c->flags |= YG_MSG_CTRUNC;
		return;
	}
	if (c->left < h.len) {
		c->flags |= YG_MSG_CTRUNC;
		h.len = c->left;
	}
	uint8_t *at = (uint8_t *)c->at + c->used;
	size_t space = ALIGN(h.len) < c->left ? ALIGN(h.len) : c->left;

	memset(at, 0, space);
	memcpy(at, &h, sizeof(h));
	memcpy(at + HEADER, value, h.len - HEADER);
	c->used += space;
	c->left -= space;
}

static int take_pktinfo(const uint8_t *value, size_t len, struct datagram_out *out)
{
	struct yg_in_pktinfo i;

	if (len != sizeof(i))
		return -EINVAL;
	memcpy(&i, value, sizeof(i));
	int64_t ifindex = socket_interface_of(i.ifindex);

	if (ifindex < 0)
		return -ENODEV;
	out->ifindex = (uint32_t)ifindex;
	if (be32_get(i.spec_dst) != 0)
		out->source = ip_addr_v4(be32_get(i.spec_dst));
	return 0;
}

static int take_one(const struct yg_cmsghdr *h, const uint8_t *value, size_t len, struct datagram_out *out)
{
	int v = 0;
	uint16_t size;

	if (h->level == YG_SOL_UDP && h->type == YG_UDP_SEGMENT) {
		if (len != sizeof(size))
			return -EINVAL;
		memcpy(&size, value, sizeof(size));
		out->gso_size = size;
		return 0;
	}
	if (h->level != YG_SOL_IP)
		return -EINVAL;
	if (h->type == YG_IP_PKTINFO)
		return take_pktinfo(value, len, out);
	if (len == sizeof(v))
		memcpy(&v, value, sizeof(v));
	else if (len == 1 && h->type == YG_IP_TOS)
		v = value[0];
	else
		return -EINVAL;
	if (v < 0 || v > 255 || (h->type == YG_IP_TTL && v == 0))
		return -EINVAL;
	if (h->type == YG_IP_TTL)
		out->ttl = (int16_t)v;
	else if (h->type == YG_IP_TOS)
		out->tos = (int16_t)v;
	else
		return -EINVAL;
	return 0;
}

int socket_parse_control(const struct yg_msghdr *m, struct datagram_out *out)
{
	const uint8_t *at = m->control;
	size_t left = m->control != NULL ? m->control_len : 0;

	while (left >= sizeof(struct yg_cmsghdr)) {
		struct yg_cmsghdr h;

		memcpy(&h, at, sizeof(h));
		if (h.len < HEADER || h.len > left)
			return -EINVAL;
		int rc = take_one(&h, at + HEADER, h.len - HEADER, out);

		if (rc != 0)
			return rc;
		size_t step = ALIGN(h.len) < left ? ALIGN(h.len) : left;

		at += step;
		left -= step;
	}
	return 0;
}

/* As which of our addresses one to many was heard: of the interface that it came by, or of lo. */
static uint32_t own_address(const struct sockets *ss, const struct datagram_info *info)
{
	if (!info->is_to_many)
		return info->to.addr.v4;
	return info->ifindex != 0 ? ip_interface_address(ss->ip, info->ifindex, info->from.addr.v4) : IP4(127, 0, 0, 1);
}

static void tell_pktinfo(const struct sockets *ss, const struct datagram_info *info, struct socket_control *c)
{
	struct yg_in_pktinfo i = { .ifindex = (int)info->ifindex,
				   .spec_dst = be32_of(own_address(ss, info)),
				   .addr = be32_of(info->to.addr.v4) };

	socket_put_control(c, YG_SOL_IP, YG_IP_PKTINFO, &i, sizeof(i));
}

void socket_put_time(const struct sockets *ss, const struct socket *s, uint64_t at, struct socket_control *c)
{
	at += ss->env->wall_offset_ns;
	struct yg_timespec t = { (int64_t)(at / NS_PER_S), (int64_t)(at % NS_PER_S) };

	/* A timeval is two such numbers too. */
	if (s->tell_time_us)
		t.ns /= 1000;
	socket_put_control(c, YG_SOL_SOCKET, s->tell_time_us ? YG_SO_TIMESTAMP : YG_SO_TIMESTAMPNS, &t, sizeof(t));
}

/* Who it was for. */
static void tell_destination(const struct datagram_info *info, struct socket_control *c)
{
	struct yg_sockaddr_in in = { .family = YG_AF_INET,
				     .port = be16_of(info->to.port),
				     .addr = be32_of(info->to.addr.v4) };

	socket_put_control(c, YG_SOL_IP, YG_IP_RECVORIGDSTADDR, &in, sizeof(in));
}

void socket_tell(const struct sockets *ss, const struct socket *s, const struct datagram_info *info,
		 struct socket_control *c)
{
	int ttl = info->ttl, gso_size = info->gso_size;

	if (s->tell_time)
		socket_put_time(ss, s, info->received, c);
	if (s->kind == SOCKET_UDP && s->udp->d.o.gro && gso_size != 0)
		socket_put_control(c, YG_SOL_UDP, YG_UDP_GRO, &gso_size, sizeof(gso_size));
	if (s->tell_pktinfo)
		tell_pktinfo(ss, info, c);
	if (s->tell_ttl)
		socket_put_control(c, YG_SOL_IP, YG_IP_TTL, &ttl, sizeof(ttl));
	if (s->tell_tos)
		socket_put_control(c, YG_SOL_IP, YG_IP_TOS, &info->tos, sizeof(info->tos));
	if (s->tell_destination)
		tell_destination(info, c);
}
