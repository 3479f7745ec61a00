/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where frames come in: which station a frame is for, and what it carries.
 *
 * A frame goes on when it is addressed to this interface, to all or to a group,
 * came from one station, and holds IPv4 or ARP. A tag that only gives a priority
 * (VLAN 0) is taken out; most drivers have done so by then. ARP ends here. Of IPv4 the link
 * layer leaves behind which interface it came in by, and whether it came as
 * broadcast or multicast (RFC 1122 section 2.4).
 *
 * The device counted the frames as received; from here each has one verdict. But
 * first they are shown to whoever knows a flow cache entry: what it takes never comes here, and
 * of what it leaves it has read most (packet.parsed).
 *
 * Next: src/stack/ip/input.c, or src/stack/ip/arp.c; src/gateway/flowcache/input.c for the flow cache
 */
#include "stack/ip/stack_priv.h"

/* What p carries decides; the verdict is in p. */
static void ether_demux(struct ip_stack *s, struct packet *p, const struct ether_view *eth)
{
	switch (eth->type) {
	case ETHERTYPE_IPV4:
		p->l3_off = ETHER_HEADER_LEN;
		break;
	case ETHERTYPE_ARP:
		arp_input(s, p, eth);
		break;
	case ETHERTYPE_IPV6:
		packet_set_drop(p, DROP_IPV6);
		break;
	case ETHERTYPE_VLAN:
	case ETHERTYPE_QINQ:
		packet_set_drop(p, DROP_VLAN);
		break;
	default:
		packet_set_drop(p, DROP_ETHERTYPE_UNKNOWN);
		break;
	}
}

static void ether_input_one(struct ip_stack *s, const struct device *dev, struct packet *p)
{
	struct ether_view eth;

	if (YG_UNLIKELY(ether_priority_tagged(packet_frame(p), p->len)))
		packet_take_tag_out(p);
	if (!ether_parse(packet_frame(p), p->len, &eth)) {
		packet_set_drop(p, DROP_FRAME_SHORT);
		return;
	}
	if (ether_is_group(&eth.src)) {
		packet_set_drop(p, DROP_LINK_SOURCE_GROUP);
		return;
	}
	p->link_group = ether_is_group(&eth.dst);
	if (!p->link_group && !ether_equal(&eth.dst, &dev->mac)) {
		packet_set_drop(p, DROP_LINK_OTHER_HOST);
		return;
	}
	ether_demux(s, p, &eth);
}

static const struct device *input_device(const struct ip_stack *s, uint32_t ifindex)
{
	return ip_interface_known(s, ifindex) ? s->interface[ifindex].dev : NULL;
}

void ether_input_cached(struct ip_stack *s, uint32_t ifindex, struct batch *b)
{
	if (input_device(s, ifindex) == NULL || s->flowcache.input == NULL)
		return;
	struct stage_stats *outer = stage_enter(&s->env->stages, STAGE_FLOWCACHE, b->n);

	s->flowcache.input(s->flowcache_ctx, ifindex, b);
	stage_leave(&s->env->stages, outer);
}

void ether_input(struct ip_stack *s, uint32_t ifindex, struct batch *b)
{
	const struct device *dev = input_device(s, ifindex);

	if (env_traced(s->env))
		trace_batch(&s->env->trace, &(struct trace_step){ .kind = TRACE_RECEIVED, .ifindex = ifindex }, b);
	ether_input_cached(s, ifindex, b);
	if (b->n == 0)
		return;
	struct stage_stats *outer = stage_enter(&s->env->stages, STAGE_ETHER, b->n);

	for (uint32_t i = 0; i < b->n && s->flowcache.input == NULL; i++)
		prefetch_read(packet_frame(b->p[i]));
	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];

		p->in_ifindex = ifindex;
		p->verdict = VERDICT_CONTINUE;
		if (dev == NULL)
			packet_set_drop(p, DROP_LINK_ADMIN_DOWN);
		else if (!p->parsed)
			ether_input_one(s, dev, p);
	}
	batch_settle(b, s->env->pool, &s->env->ledger);
	stage_leave(&s->env->stages, outer);
	if (b->n > 0)
		ip_input(s, b);
}
