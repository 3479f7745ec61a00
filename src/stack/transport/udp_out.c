/* SPDX-License-Identifier: BSD-2-Clause
 *
 * UDP: what goes. Large datagrams (UDP_SEGMENT) go whole where a port carries them.
 *
 * What is sent to many is heard here too, if it is asked for: a copy is shown to the
 * sockets directly, by the interface that it goes out of, and does not pass the hooks.
 *
 * Next: src/stack/transport/datagram_out.c
 */
#include <errno.h>

#include "base/util.h"
#include "stack/transport/udp_priv.h"
#include "stack/wire/checksum.h"

#define SEGMENTS_MAX 128u /* Linux's UDP_MAX_SEGMENTS */

static void write_headers(struct udp_socket *s, struct packet *p, const struct datagram_way *way, uint32_t len,
			  uint32_t gso_size)
{
	uint8_t *udp = packet_l4(p);
	uint32_t l4_len = UDP_HEADER_LEN + len;

	udp_emit(udp, s->d.lport, way->dport, (uint16_t)len);
	l4_parse(&p->ip, udp, l4_len, &p->l4);
	if (gso_size != 0 && gso_size < len) {
		uint16_t sum = checksum_fold(checksum_pseudo(p->ip.src, p->ip.dst, IPPROTO_NR_UDP, l4_len));

		udp[UDP_CHECK_AT] = (uint8_t)(sum >> 8);
		udp[UDP_CHECK_AT + 1] = (uint8_t)sum;
		p->l4.check = sum;
		p->offload = (struct offload){ .csum_partial = true,
					       .gso_type = GSO_UDP4,
					       .csum_start = p->l4_off,
					       .csum_offset = UDP_CHECK_AT,
					       .gso_size = (uint16_t)gso_size,
					       .gso_hdr_len = (uint16_t)(p->l4_off + UDP_HEADER_LEN) };
	} else if (!s->d.o.no_check) {
		l4_checksum_set(&p->ip, udp, l4_len);
		l4_parse(&p->ip, udp, l4_len, &p->l4);
	}
}

/* As if it came by the interface that it goes out of; by none: it stays here. */
static void hear(struct udp *u, struct packet *p)
{
	bool is_multicast = ip4_is_multicast(p->ip.dst);
	bool is_asked_for = !is_multicast || p->out_ifindex != 0 || ip_group_is_joined(u->d.ip, IP_HERE, p->ip.dst);

	p->in_ifindex = p->out_ifindex;
	p->is_broadcast = !is_multicast;
	if (is_asked_for && udp_input_many(u, p))
		return;
	if (p->verdict == VERDICT_DROP) {
		env_drop(u->d.env, p, (enum drop_reason)p->reason);
		return;
	}
	u->d.env->ledger.n_delivered++;
	packet_free(u->d.env->pool, p);
}

/* What goes to many is heard here too. */
static void hear_own(struct udp *u, const struct udp_socket *s, const struct packet *p)
{
	if (ip4_is_multicast(p->ip.dst) && !s->d.o.multicast_loop)
		return;
	struct packet *copy = packet_copy(u->d.env->pool, p);

	if (copy == NULL)
		return;
	u->d.env->ledger.n_pieces_made++;
	hear(u, copy);
}

static int check_segments(const struct datagram_way *way, uint32_t len, uint32_t gso_size)
{
	if (gso_size == 0 || gso_size >= len)
		return 0;
	if (IPV4_HEADER_LEN + UDP_HEADER_LEN + gso_size > way->mtu)
		return -EINVAL;
	return (len + gso_size - 1) / gso_size > SEGMENTS_MAX ? -EINVAL : 0;
}

static int64_t send_whole(struct udp *u, struct udp_socket *s, const struct datagram_out *out, const struct span *span,
			  int n)
{
	struct datagram_way way;
	int64_t len = datagram_len(span, n);
	uint32_t gso_size = out->gso_size >= 0 ? (uint32_t)out->gso_size : s->d.o.gso_size;
	int rc;

	if (len < 0 || len > UINT16_MAX - IPV4_HEADER_LEN - UDP_HEADER_LEN)
		return -EMSGSIZE;
	if (s->d.error != 0)
		return -datagram_take_error(&s->d);
	if (s->d.shut_write)
		return -EPIPE;
	if (!ip_addr_is_none(&out->to.addr) && out->to.port == 0)
		return -EINVAL;
	bool is_large = gso_size != 0 && gso_size < (uint32_t)len;

	rc = datagram_find_way(&u->d, &s->d, out, UDP_HEADER_LEN + (is_large ? gso_size : (uint32_t)len), &way);
	if (rc == 0)
		rc = check_segments(&way, (uint32_t)len, gso_size);
	if (rc == 0 && !s->in_port && s->d.lport == 0)
		rc = udp_take_port(u, s, 0) != 0 ? -EAGAIN : 0;
	if (rc != 0)
		return rc;
	/* A large one's checksum wants its source now. */
	if (way.src == 0)
		way.src = datagram_source_for(&u->d, &s->d, way.dst, way.by);
	struct packet *p = datagram_new(&u->d, &s->d, &way, IPPROTO_NR_UDP, UDP_HEADER_LEN + (uint32_t)len);

	if (p == NULL)
		return -ENOBUFS;
	datagram_gather(packet_l4(p) + UDP_HEADER_LEN, span, n);
	write_headers(s, p, &way, (uint32_t)len, gso_size);
	bool stays = way.ifindex == IP_HERE;

	if (way.is_to_many && !stays)
		hear_own(u, s, p);
	if (YG_UNLIKELY(captures_any(u->d.captures)))
		captures_sent(u->d.captures, p);
	if (stays)
		hear(u, p);
	else
		ip_local_out_one(u->d.ip, p);
	return len;
}

/* As Linux: where and how it goes says the first call, and an error throws all of it away. */
static int64_t send_corked(struct udp *u, struct udp_socket *s, const struct datagram_out *out, const struct span *span,
			   int n)
{
	struct span pieces[DATAGRAM_CORK_PIECES];
	int64_t len = datagram_len(span, n);

	if (s->cork.first == NULL)
		s->cork.out = *out;
	int rc = len < 0 || s->cork.len + len > UINT16_MAX - IPV4_HEADER_LEN - UDP_HEADER_LEN
			 ? -EMSGSIZE
			 : datagram_cork_add(&u->d, &s->cork, span, n);

	if (rc == 0 && out->more)
		return len;
	if (rc == 0) {
		int64_t sent = send_whole(u, s, &s->cork.out, pieces, datagram_cork_spans(&s->cork, pieces));

		rc = sent < 0 ? (int)sent : 0;
	}
	datagram_cork_free(&u->d, &s->cork);
	return rc < 0 ? rc : len;
}

int64_t udp_send(struct udp *u, struct udp_socket *s, const struct datagram_out *out, const struct span *span, int n)
{
	if (out->more || s->cork.first != NULL)
		return send_corked(u, s, out, span, n);
	return send_whole(u, s, out, span, n);
}
