/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Raw sockets.
 *
 * For each protocol that anybody has a raw socket of there is one raw input hook
 * (stack/ip/local.h). It sees each packet to us before the protocol does, and gives a
 * copy to each socket that wants it; the packet goes its way all the same. A protocol that
 * nobody else speaks gets a row that is told of ICMP errors, and of no packets.
 *
 * What a user writes is taken for what it says: ip and the hooks behind it look at
 * transport headers, so one that does not hold together is refused (Linux sends it). With
 * IP_HDRINCL length, checksum and what is zero of source and identification are filled in, as
 * in Linux.
 *
 * Next: src/stack/transport/datagram.c for what came, datagram_out.c for what goes
 */
#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "stack/ip/route.h"
#include "stack/packet/gso.h"
#include "stack/transport/raw.h"
#include "stack/wire/icmp.h"

/* A protocol that somebody has. */
struct raw_protocol {
	struct raw *raw;
	uint32_t first; /* socket, POOL_NONE */
	uint8_t number;
	bool in_use, has_row;
};

struct raw {
	struct datagram_stack d;
	struct pool sockets, groups;
	struct raw_protocol protocol[IP_RAW_MAX];
};

static struct raw_socket *socket_at(const struct raw *r, uint32_t i)
{
	return pool_at(&r->sockets, i);
}

/* --- what comes --- */

static bool wants(const struct raw *r, const struct raw_socket *s, const struct packet *p)
{
	const struct datagram_socket *d = &s->d;

	if (d->o.zone != p->zone || (d->o.ifindex != 0 && d->o.ifindex != p->in_ifindex))
		return false;
	if ((d->laddr != 0 && d->laddr != p->ip.dst) || (d->is_connected && d->raddr != p->ip.src))
		return false;
	if (ip4_is_multicast(p->ip.dst) && !datagram_hears(&r->d, d, p->ip.dst, p->in_ifindex))
		return false;
	return p->ip.proto != IPPROTO_NR_ICMP || p->l4.type > 31 || (s->icmp_filter >> p->l4.type & 1) == 0;
}

static void give(struct raw *r, struct raw_socket *s, const struct packet *p)
{
	if (!datagram_push_copy(&r->d, &s->d, p))
		return;
	/* Its user sums it as it stands. */
	(void)offload_finish_checksum(s->d.last);
}

static bool raw_input(void *ctx, const struct packet *p)
{
	const struct raw_protocol *proto = ctx;
	struct raw *r = proto->raw;
	bool is_wanted = false;

	if (captures_any(r->d.captures) && captures_keep(r->d.captures, p))
		captures_came(r->d.captures, NULL);
	for (uint32_t i = proto->first; i != POOL_NONE; i = socket_at(r, i)->next) {
		if (!wants(r, socket_at(r, i), p))
			continue;
		is_wanted = true;
		give(r, socket_at(r, i), p);
	}
	return is_wanted;
}

static void raw_icmp_error(void *ctx, const struct ip_icmp_error *e)
{
	const struct raw_protocol *proto = ctx;
	struct raw *r = proto->raw;

	for (uint32_t i = proto->first; i != POOL_NONE; i = socket_at(r, i)->next) {
		struct datagram_socket *s = &socket_at(r, i)->d;

		if (s->o.zone == e->p->zone && (s->laddr == 0 || s->laddr == e->quote->ip.src) &&
		    (!s->is_connected || s->raddr == e->quote->ip.dst))
			datagram_icmp_error(&r->d, s, e, 0);
	}
}

/* --- life --- */

struct raw *raw_create(struct env *env, struct ip_stack *ip, const struct raw_limits *limits)
{
	struct raw *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->d = (struct datagram_stack){ .env = env, .ip = ip, .groups = &r->groups };
	if (pool_init(&r->sockets, limits->n_sockets != 0 ? limits->n_sockets : 256, sizeof(struct raw_socket), 64) !=
		    0 ||
	    pool_init(&r->groups, limits->n_groups != 0 ? limits->n_groups : 256, sizeof(struct datagram_group), 4) !=
		    0) {
		raw_destroy(r);
		return NULL;
	}
	return r;
}

void raw_destroy(struct raw *r)
{
	if (r == NULL)
		return;
	for (uint32_t i = 0; i < r->sockets.n_fresh; i++)
		if (socket_at(r, i)->d.is_open)
			raw_close(r, socket_at(r, i));
	pool_fini(&r->groups);
	pool_fini(&r->sockets);
	free(r);
}

void raw_set_user(struct raw *r, void (*changed)(void *ctx, uint64_t user, uint32_t why), void *ctx)
{
	r->d.changed = changed;
	r->d.changed_ctx = ctx;
}

void raw_set_captures(struct raw *r, struct captures *c)
{
	r->d.captures = c;
}

const struct datagram_stack *raw_stack(const struct raw *r)
{
	return &r->d;
}

const struct raw_socket *raw_next(const struct raw *r, uint32_t *cursor, uint32_t *budget)
{
	return (const struct raw_socket *)datagram_next(&r->sockets, cursor, budget);
}

static struct raw_protocol *protocol_of(struct raw *r, uint8_t number)
{
	for (uint32_t i = 0; i < ARRAY_LEN(r->protocol); i++)
		if (r->protocol[i].in_use && r->protocol[i].number == number)
			return &r->protocol[i];
	return NULL;
}

/* Protocols that have rows of their own. */
static bool is_spoken(uint8_t number)
{
	return number == IPPROTO_NR_ICMP || number == IPPROTO_NR_TCP || number == IPPROTO_NR_UDP;
}

static struct raw_protocol *protocol_add(struct raw *r, uint8_t number)
{
	struct raw_protocol *free = NULL;

	for (uint32_t i = 0; i < ARRAY_LEN(r->protocol) && free == NULL; i++)
		if (!r->protocol[i].in_use)
			free = &r->protocol[i];
	if (free == NULL || ip_stack_add_raw(r->d.ip, number, raw_input, free) != 0)
		return NULL;
	*free = (struct raw_protocol){
		.raw = r, .first = POOL_NONE, .number = number, .in_use = true, .has_row = !is_spoken(number)
	};
	if (free->has_row)
		ip_stack_set_protocol(r->d.ip, number,
				      &(struct ip_protocol){ .ctx = free,
							     .icmp_error = raw_icmp_error,
							     .unreachable = IP_UNREACHABLE_PROTOCOL });
	return free;
}

int raw_open(struct raw *r, uint8_t protocol, uint64_t user, struct raw_socket **out)
{
	struct raw_protocol *proto = protocol_of(r, protocol);
	uint32_t index = pool_alloc(&r->sockets);

	if (index == POOL_NONE)
		return -ENOBUFS;
	if (proto == NULL)
		proto = protocol_add(r, protocol);
	if (proto == NULL) {
		pool_free(&r->sockets, index);
		return -ENOBUFS;
	}
	struct raw_socket *s = socket_at(r, index);

	*s = (struct raw_socket){ .next = proto->first, .header_included = protocol == IPPROTO_NR_RAW };
	datagram_init(&s->d, index, user);
	s->d.lport = protocol;
	proto->first = index;
	*out = s;
	return 0;
}

void raw_close(struct raw *r, struct raw_socket *s)
{
	struct raw_protocol *proto = protocol_of(r, (uint8_t)s->d.lport);
	uint32_t *at = &proto->first;

	if (captures_any(r->d.captures))
		captures_gone(r->d.captures, capture_id(IPPROTO_NR_RAW, 0, s->d.index), NULL);
	while (*at != s->d.index)
		at = &socket_at(r, *at)->next;
	*at = s->next;
	datagram_fini(&r->d, &s->d);
	pool_free(&r->sockets, s->d.index);
	if (proto->first != POOL_NONE)
		return;
	if (proto->has_row)
		ip_stack_set_protocol(r->d.ip, proto->number, NULL);
	ip_stack_remove_raw(r->d.ip, proto->number, raw_input, proto);
	proto->in_use = false;
}

int raw_bind(struct raw *r, struct raw_socket *s, const struct ip_addr *addr)
{
	int rc = datagram_may_bind(&r->d, &s->d, addr->v4);

	if (rc != 0)
		return rc;
	s->d.laddr = addr->v4;
	s->d.addr_is_bound = addr->v4 != 0;
	return 0;
}

int raw_connect(struct raw *r, struct raw_socket *s, const struct ip_addr *addr)
{
	s->d.path_mtu = 0;
	s->d.is_connected = !ip_addr_is_none(addr);
	s->d.raddr = addr->v4 != 0 || !s->d.is_connected ? addr->v4 : IP4(127, 0, 0, 1);
	if (!s->d.is_connected) {
		if (!s->d.addr_is_bound)
			s->d.laddr = 0;
		return 0;
	}
	uint32_t source = datagram_source_for(&r->d, &s->d, s->d.raddr, s->d.o.ifindex);

	if (source == 0) {
		s->d.is_connected = false;
		s->d.raddr = 0;
		return -ENETUNREACH;
	}
	if (!s->d.addr_is_bound)
		s->d.laddr = source;
	return 0;
}

/* --- what goes --- */

/* As if it came by the interface that it goes out of; by none: it stays here. */
static void hear(struct raw *r, struct packet *p)
{
	struct raw_protocol *proto = protocol_of(r, p->ip.proto);

	p->in_ifindex = p->out_ifindex;
	if (proto != NULL)
		(void)raw_input(proto, p);
	r->d.env->ledger.n_delivered++;
	packet_free(r->d.env->pool, p);
}

/* What goes to a group is heard here too. */
static void send(struct raw *r, const struct raw_socket *s, const struct datagram_way *way, struct packet *p)
{
	bool stays = way->ifindex == IP_HERE;
	struct packet *copy = NULL;

	if (ip4_is_multicast(p->ip.dst) && s->d.o.multicast_loop && !stays && protocol_of(r, p->ip.proto) != NULL)
		copy = packet_copy(r->d.env->pool, p);
	if (copy != NULL) {
		r->d.env->ledger.n_pieces_made++;
		hear(r, copy);
	}
	if (captures_any(r->d.captures))
		captures_sent(r->d.captures, p);
	if (stays)
		hear(r, p);
	else
		ip_local_out_one(r->d.ip, p);
}

/* The views as ip has them; false: the bytes do not hold together. */
static bool parse_l4(struct packet *p)
{
	return l4_parse(&p->ip, packet_l4(p), packet_l4_len(p), &p->l4) == L4_OK;
}

/* The user's own header, put right where Linux does so. */
static bool take_header(struct raw *r, const struct datagram_socket *s, const struct datagram_way *way,
			struct packet *p, uint32_t len)
{
	uint8_t *l3 = packet_l3(p);
	uint32_t header_len = (uint32_t)(l3[0] & 15) * 4;

	if (l3[0] >> 4 != 4 || header_len < IPV4_HEADER_LEN || header_len > len)
		return false;
	bool has_id = l3[4] != 0 || l3[5] != 0, has_source = (l3[12] | l3[13] | l3[14] | l3[15]) != 0;
	uint16_t frag = (uint16_t)(l3[6] << 8 | l3[7]);

	/* Length and checksum first: what is set behind it keeps the sum right. */
	ipv4_set_fragment(l3, (uint16_t)len, (uint16_t)((frag & 0x1fff) * 8), (frag & 0x4000) != 0,
			  (frag & 0x2000) != 0);
	if (!has_id)
		ipv4_set_id(l3, (uint16_t)rng_u32(&r->d.env->rng));
	if (!has_source)
		ipv4_set_src(l3, way->src != 0 ? way->src : datagram_source_for(&r->d, s, way->dst, way->by));
	if (ipv4_parse(l3, len, &p->ip) != IPV4_OK)
		return false;
	p->l4_off = (uint16_t)(p->l3_off + p->ip.header_len);
	if (p->ip.header_len > IPV4_HEADER_LEN) {
		ipv4_options_check(l3, &p->ip, &p->options);
		if (p->options.bad)
			return false;
	}
	return true;
}

static int64_t send_whole(struct raw *r, struct raw_socket *s, struct datagram_way *way, const struct span *span, int n,
			  uint32_t len)
{
	if (len < IPV4_HEADER_LEN)
		return -EINVAL;
	if (len > way->mtu)
		return -EMSGSIZE;
	struct packet *p = datagram_new(&r->d, &s->d, way, IPPROTO_NR_RAW, len - IPV4_HEADER_LEN);

	if (p == NULL)
		return -ENOBUFS;
	datagram_gather(packet_l3(p), span, n);
	/* Where it goes says the address that it is sent to, whatever stands in it. */
	if (!take_header(r, &s->d, way, p, len) || p->ip.dst != way->dst || !parse_l4(p)) {
		r->d.env->ledger.n_originated--;
		packet_free(r->d.env->pool, p);
		return -EINVAL;
	}
	send(r, s, way, p);
	return len;
}

int64_t raw_send(struct raw *r, struct raw_socket *s, const struct datagram_out *out, const struct span *span, int n)
{
	struct datagram_way way;
	int64_t len = datagram_len(span, n);

	if (len < 0)
		return len;
	if (s->d.error != 0)
		return -datagram_take_error(&s->d);
	if (s->d.shut_write)
		return -EPIPE;
	int rc = datagram_find_way(
		&r->d, &s->d, out,
		s->header_included && len >= IPV4_HEADER_LEN ? (uint32_t)len - IPV4_HEADER_LEN : (uint32_t)len, &way);

	if (rc != 0)
		return rc;
	if (s->header_included)
		return send_whole(r, s, &way, span, n, (uint32_t)len);
	struct packet *p = datagram_new(&r->d, &s->d, &way, (uint8_t)s->d.lport, (uint32_t)len);

	if (p == NULL)
		return -ENOBUFS;
	datagram_gather(packet_l4(p), span, n);
	if (!parse_l4(p)) {
		r->d.env->ledger.n_originated--;
		packet_free(r->d.env->pool, p);
		return -EINVAL;
	}
	send(r, s, &way, p);
	return len;
}

int64_t raw_recv(struct raw *r, struct raw_socket *s, const struct span *span, int n, uint32_t flags,
		 struct datagram_info *info)
{
	return datagram_recv(&r->d, &s->d, 0, span, n, flags, info);
}
