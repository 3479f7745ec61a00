/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Packets through us, in Linux's order: time to live, size, then FORWARD. So an
 * ICMP error quotes the packet as it stood before rules and source NAT saw it,
 * and nothing is counted by a rule that could not have gone out (RFC 1812
 * section 5.2.1 and 5.3.1).
 *
 * A packet that goes out by the interface it came in by is forwarded like any
 * other; whether its sender hears of a better way is decided behind POSTROUTING
 * (output.c), when it is known whether it was translated.
 *
 * What is too big and may be cut is cut on the way out, behind POSTROUTING.
 *
 * Next: src/stack/ip/output.c (ip_output)
 */
#include "stack/ip/stack_priv.h"
#include "stack/packet/gso.h"

/* A frame that no link could have carried, without a word of what it was made of (xdp_generic): its sender's packets
 * are not too big, so nothing is learnt from an error about their size. */
static bool is_merged(const struct ip_stack *s, const struct packet *p)
{
	const struct device *dev = ip_stack_device(s, p->in_ifindex);

	return p->offload.gso_type == GSO_NONE && dev != NULL && p->ip.total_len > dev->mtu;
}

static void forward_check(struct ip_stack *s, struct packet *p)
{
	if (YG_UNLIKELY(p->ip.ttl <= 1)) {
		icmp_send_error(s, p, ICMP_TIME_EXCEEDED, ICMP_TTL_EXCEEDED, 0);
		packet_set_drop(p, DROP_TTL_EXPIRED);
		return;
	}
	uint32_t mtu = ip_mtu(s, p->out_ifindex);

	if (YG_UNLIKELY(p->ip.df && offload_segment_len(p) > mtu)) {
		if (is_merged(s, p)) {
			packet_set_drop(p, DROP_RX_LARGE);
			return;
		}
		/* RFC 1191 section 4: the MTU in the low half. */
		icmp_send_error(s, p, ICMP_DEST_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED, mtu);
		packet_set_drop(p, DROP_MTU_EXCEEDED);
		return;
	}
	p->forwarded = true;
	p->ip.ttl--;
	ipv4_set_ttl(packet_l3(p), p->ip.ttl);
}

/* Record route and timestamp name the address we send from (RFC 1812 section
 * 5.3.13.5 and .6), and only what the rules let through is written to. */
static void forward_options(const struct ip_stack *s, struct packet *p)
{
	uint32_t our_addr = ip_source_for(s, p->out_ifindex, p->next_hop);

	ipv4_options_forward(packet_l3(p), &p->ip, &p->options, our_addr, ip_time_ms(s));
}

void ip_forward(struct ip_stack *s, struct batch *b)
{
	struct stage_stats *outer = stage_enter(&s->env->stages, STAGE_FORWARD, b->n);

	for (uint32_t i = 0; i < b->n; i++)
		forward_check(s, b->p[i]);
	batch_settle(b, s->env->pool, &s->env->ledger);
	stage_leave(&s->env->stages, outer);
	hook_run(s->env, &s->hook[HOOK_FORWARD], HOOK_FORWARD, b);
	for (uint32_t i = 0; i < b->n; i++) {
		if (YG_UNLIKELY(b->p[i]->ip.header_len > IPV4_HEADER_LEN))
			forward_options(s, b->p[i]);
	}
	if (b->n > 0)
		ip_output(s, b);
}
