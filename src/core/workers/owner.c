/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The owner of a packet.
 *
 * To an address whose ports are shared in blocks: the worker that has the block
 * of the destination port (of the identifier, for an ICMP query). Addresses of
 * pools and all of the gateway's own are such. Else by a hash of the address
 * inside: of the destination when the packet comes from outside, of the source
 * when not. So all of an inside host is at one worker, and what NAT sent out
 * comes back to where it was sent from.
 *
 * Protocols without ports have nothing by which several hosts behind one address
 * are told apart but what identifies them at the same host outside (a key, an SPI),
 * and that is often learnt (src/gateway/conntrack/identity.c). So for them it is the host
 * outside whose hash decides, in both directions.
 *
 * Where no rule says which side is outside, the source decides, and answers of
 * flows that are not translated find their way by redirects (redirect.c).
 *
 * What always holds: the answer changes only with the tables, and the byte of a
 * block does not change while anything in it is in use.
 *
 * Next: src/core/workers/packets.c
 */
#include "core/workers/owner.h"

#include "stack/wire/peek.h"

void owner_look(const struct owner_tables *t, uint32_t ifindex, const uint8_t *frame, size_t len,
		struct owner_view *out)
{
	struct peek k;

	peek_frame(frame, len, &k);
	*out = (struct owner_view){ .kind = OWNER_NOBODY };
	if (k.kind == PEEK_OTHER)
		return;
	if (k.kind == PEEK_ARP) {
		out->kind = OWNER_ALL;
		return;
	}
	out->kind = k.kind == PEEK_FRAGMENT ? OWNER_FRAGMENT : OWNER_FLOW;
	out->tuple = (struct tuple){ .src = k.src,
				     .dst = k.dst,
				     .sport = k.sport,
				     .dport = k.dport,
				     .proto = k.proto,
				     .id = k.id,
				     .zone = t->zone[ifindex] };
	out->src = k.outer_src;
	out->dst = k.outer_dst;
	out->proto = k.outer_proto;
	out->id = k.frag_id;
	out->frag_off = k.frag_off;
}

uint32_t owner_of_fragment(const struct owner_tables *t, const struct owner_view *v)
{
	uint64_t hosts = (uint64_t)v->src << 32 | v->dst, packet = (uint64_t)v->id << 8 | v->proto;

	return owner_hash(t, siphash13_16(&t->key, hosts, packet));
}

static uint32_t owner_of_peer(const struct owner_tables *t, uint32_t ifindex, const struct tuple *tuple)
{
	if (t->outside == 0)
		return owner_hash(t, (uint64_t)tuple->src + tuple->dst);
	return owner_of_host(t, t->outside >> ifindex & 1 ? tuple->src : tuple->dst);
}

uint32_t owner_of_tuple(const struct owner_tables *t, uint32_t ifindex, const struct tuple *tuple)
{
	uint32_t row, proto, block;

	if (owner_block(t, tuple, &row, &proto, &block))
		return port_blocks_owner(t->blocks, row, proto, block);
	if (!l4_has_ports(tuple->proto) && tuple->proto != IPPROTO_NR_ICMP)
		return owner_of_peer(t, ifindex, tuple);
	return owner_of_host(t, t->outside >> ifindex & 1 ? tuple->dst : tuple->src);
}
