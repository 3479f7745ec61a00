/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Unsolicited SYNs (RFC 5382 REQ-4).
 *
 * Two hosts behind different NATs open a connection to each other by sending a
 * SYN each at the same time. One of them arrives before its receiver's own SYN
 * has made a mapping. An answer now, an RST or an ICMP error, would end the
 * attempt of the host that sent it, so there is none for six seconds. Then, if
 * the connection was opened from inside meanwhile, the SYN is forgotten, for the
 * two have met; else its sender is told by ICMP 3/3.
 *
 * The IP layer asks here when it is about to refuse a packet that nobody wanted:
 * one to an address that only NAT uses, or one to an address of the gateway
 * itself with which NAT has translated something, and to a port that NAT may give
 * away; behind that port nobody listens, since he has been asked before. Rules
 * have spoken before too: whom they drop gets no answer at all (REQ-4 a).
 *
 * The SYN itself is dropped by name at once; kept is a copy of as much as the
 * error quotes, in a ring of fixed size: all wait for the same time, so the oldest
 * is always the next. Who finds the ring full gets no answer later either. Like
 * every packet that nobody takes, the SYN leaves no connection behind, whose REPLY
 * tuple would stand in the way of the one that is awaited from inside.
 *
 * Next: src/stack/ip/icmp_error.c
 */
#include "gateway/nat/unsolicited.h"

#include <stdlib.h>
#include <string.h>

#include "stack/ip/icmp.h"
#include "gateway/nat/nat_priv.h"
#include "stack/ip/route.h"

#define N_WAITING 256
#define WAIT_NS (6 * NS_PER_S)
/* What an ICMP error quotes at most. */
#define QUOTE_MAX (ICMP_ERROR_MAX - IPV4_HEADER_LEN - ICMP_HEADER_LEN)
/* Ports of the gateway's own addresses that translations use. */
#define FIRST_PORT 1024

struct waiting {
	uint64_t due;
	struct tuple tuple;
	struct packet packet; /* the SYN as it came, its bytes below */
	uint8_t bytes[ETHER_HEADER_LEN + QUOTE_MAX];
};

struct nat_unsolicited {
	struct env *env;
	struct ip_stack *stack;
	struct conntrack *ct;
	const struct nat *nat;
	uint32_t first, n;
	struct waiting waiting[N_WAITING];
};

struct nat_unsolicited *nat_unsolicited_create(struct env *env, struct ip_stack *stack, struct conntrack *ct,
					       const struct nat *n)
{
	struct nat_unsolicited *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return NULL;
	u->env = env;
	u->stack = stack;
	u->ct = ct;
	u->nat = n;
	return u;
}

void nat_unsolicited_destroy(struct nat_unsolicited *u)
{
	free(u);
}

/* By us or by another worker: the SYN is at the one that has its port, the connection from inside maybe at another. */
static bool is_translated_to(const struct nat *n, uint32_t addr, uint16_t zone)
{
	struct ip_addr a = ip_addr_v4(addr);

	return ports_was_used(n->ports, &a, zone);
}

static bool is_for_translation(const struct nat_unsolicited *u, const struct packet *p, uint16_t zone)
{
	switch ((enum fib_kind)ip_route(u->stack, p->zone, p->ip.dst)->kind) {
	case FIB_TRANSLATED:
		return true;
	case FIB_LOCAL:
		return p->l4.dport >= FIRST_PORT && is_translated_to(u->nat, p->ip.dst, zone);
	default:
		return false;
	}
}

/* A SYN that begins a connection, from outside, towards a mapping that could be. */
static bool is_unsolicited(const struct nat_unsolicited *u, const struct packet *p, struct tuple *tuple)
{
	uint16_t zone = conntrack_zone_of(u->ct, p);

	if (p->l4.kind != L4_TCP || (p->l4.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_SYN)
		return false;
	if (ipv4_is_fragment(&p->ip) || p->in_ifindex == 0 || p->ct_info != CT_INFO_NEW ||
	    conn_dir(p->conn_ref) != CT_ORIGINAL)
		return false;
	return is_for_translation(u, p, zone) && tuple_of_packet(p, zone, tuple);
}

static void remember(struct nat_unsolicited *u, const struct packet *p, const struct tuple *tuple)
{
	if (u->n == N_WAITING)
		return;
	struct waiting *w = &u->waiting[(u->first + u->n++) % N_WAITING];

	w->due = u->env->now + WAIT_NS;
	w->tuple = *tuple;
	w->packet = (struct packet){
		.buf = w->bytes,
		.buf_len = sizeof(w->bytes),
		.len = ETHER_HEADER_LEN + min_u32(p->ip.total_len, QUOTE_MAX),
		.in_ifindex = p->in_ifindex,
		.l3_off = ETHER_HEADER_LEN,
		.l4_off = (uint16_t)(ETHER_HEADER_LEN + p->ip.header_len),
		.link_group = p->link_group,
		.to_us = p->to_us,
		.offload = p->offload,
		.ip = p->ip,
		.l4 = p->l4,
		.conn_ref = CONN_NONE,
	};
	memcpy(w->bytes + ETHER_HEADER_LEN, p->buf + p->off + p->l3_off, w->packet.len - ETHER_HEADER_LEN);
}

bool nat_unsolicited_take(void *ctx, struct packet *p)
{
	struct nat_unsolicited *u = ctx;
	struct tuple tuple;

	if (!is_unsolicited(u, p, &tuple))
		return false;
	remember(u, p, &tuple);
	packet_set_drop(p, DROP_NAT_UNSOLICITED);
	return true;
}

void nat_unsolicited_expire(struct nat_unsolicited *u)
{
	while (u->n > 0 && u->waiting[u->first].due <= u->env->now) {
		const struct waiting *w = &u->waiting[u->first];

		u->first = (u->first + 1) % N_WAITING;
		u->n--;
		if (conntrack_find(u->ct, &w->tuple) == CONN_NONE)
			(void)icmp_send_error(u->stack, &w->packet, ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE, 0);
	}
}

uint64_t nat_unsolicited_deadline(const struct nat_unsolicited *u)
{
	return u->n > 0 ? u->waiting[u->first].due : TIME_NEVER;
}
