/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Packets to us: put together from fragments, checked to the last byte, shown to
 * INPUT, then to the tap (raw sockets), then given to their protocol.
 *
 * As in Linux a packet is whole before INPUT sees it. A protocol is a slot that
 * a higher room fills; it leaves a verdict in each packet, and one that it left
 * at CONTINUE was not wanted: UDP is then answered by ICMP 3/3, TCP by a reset,
 * another protocol by ICMP 3/2 (RFC 1122 section 3.2.2.1). A packet that the tap
 * wanted has had its receiver, and is not answered so; nor is one that the slot
 * for unwanted packets took. ICMP is built in.
 *
 * Who takes it is asked before INPUT already: a packet that nobody will take is
 * marked (unclaimed), so that no connection is confirmed by it.
 *
 * Next: src/stack/ip/icmp.c, or the protocol in the slot
 */
#include "stack/ip/stack_priv.h"

/* Fragments out, whole packets in their last fragment's place. */
static void local_reassemble(struct ip_stack *s, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		if (YG_UNLIKELY(ipv4_is_fragment(&b->p[i]->ip)))
			b->p[i] = reassembly_input(s->reassembly, b->p[i]);
	}
	batch_settle(b, s->env->pool, &s->env->ledger);
}

static void local_check(struct ip_stack *s, struct packet *p)
{
	if (p->ip.header_len > IPV4_HEADER_LEN)
		ipv4_options_forward(packet_l3(p), &p->ip, &p->options, p->ip.dst, ip_time_ms(s));
	if (p->offload.csum_partial || p->offload.csum_valid || p->in_ifindex == 0)
		return;
	if (!l4_checksum_ok(&p->ip, packet_l4(p), packet_l4_len(p)))
		packet_set_drop(p, DROP_L4_CHECKSUM);
}

/* Somebody here will take it, if the rules let it through. Raw sockets do not count: they hear what was asked for from
 * here, by connections that stand. */
static bool is_claimed(const struct ip_stack *s, const struct packet *p)
{
	return p->ip.proto == IPPROTO_NR_ICMP ? icmp_answers(p) : s->local[p->ip.proto].fn != NULL;
}

/* Nobody wanted it. */
static void local_refuse(struct ip_stack *s, struct packet *p)
{
	if (s->unwanted != NULL && s->unwanted(s->unwanted_ctx, p))
		return;
	switch (p->ip.proto) {
	case IPPROTO_NR_UDP:
		icmp_send_error(s, p, ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE, 0);
		packet_set_drop(p, DROP_PORT_UNREACHABLE);
		break;
	case IPPROTO_NR_TCP:
		tcp_send_reset(s, p);
		packet_set_drop(p, DROP_TCP_NO_SOCKET);
		break;
	default:
		icmp_send_error(s, p, ICMP_DEST_UNREACHABLE, ICMP_PROTOCOL_UNREACHABLE, 0);
		packet_set_drop(p, DROP_PROTO_UNREACHABLE);
		break;
	}
}

/* Packets first to last - 1 of b have the same protocol; bit i of wanted: the
 * tap wanted packet i. */
static void local_deliver(struct ip_stack *s, struct batch *b, uint32_t first, uint32_t last, uint64_t wanted)
{
	uint8_t proto = b->p[first]->ip.proto;

	if (s->local[proto].fn != NULL) {
		struct batch run = { .n = 0 };

		for (uint32_t i = first; i < last; i++)
			batch_add(&run, b->p[i]);
		s->local[proto].fn(s->local[proto].ctx, &run);
		for (uint32_t i = first; i < last; i++)
			b->p[i] = run.p[i - first];
	}
	for (uint32_t i = first; i < last; i++) {
		struct packet *p = b->p[i];
		bool is_wanted = (wanted & (UINT64_C(1) << i)) != 0;

		if (p == NULL || p->verdict != VERDICT_CONTINUE)
			continue;
		if (proto == IPPROTO_NR_ICMP)
			icmp_input(s, p);
		else if (is_wanted)
			p->verdict = VERDICT_DELIVERED;
		else
			local_refuse(s, p);
		if (is_wanted && p->verdict == VERDICT_DROP && p->reason == DROP_ICMP_IGNORED)
			p->verdict = VERDICT_DELIVERED;
	}
}

void ip_local_in(struct ip_stack *s, struct batch *b)
{
	uint64_t wanted = 0;
	struct stage_stats *outer = stage_enter(&s->env->stages, STAGE_LOCAL, b->n);

	local_reassemble(s, b);
	for (uint32_t i = 0; i < b->n; i++) {
		local_check(s, b->p[i]);
		b->p[i]->unclaimed = !is_claimed(s, b->p[i]);
	}
	batch_settle(b, s->env->pool, &s->env->ledger);
	hook_run(s->env, &s->hook[HOOK_INPUT], HOOK_INPUT, b);
	for (uint32_t i = 0; i < b->n && s->tap != NULL; i++) {
		if (s->tap(s->tap_ctx, b->p[i]))
			wanted |= UINT64_C(1) << i;
	}
	for (uint32_t first = 0, last; first < b->n; first = last) {
		for (last = first + 1; last < b->n && b->p[last]->ip.proto == b->p[first]->ip.proto; last++)
			;
		local_deliver(s, b, first, last, wanted);
	}
	batch_settle(b, s->env->pool, &s->env->ledger);
	stage_leave(&s->env->stages, outer);
}
_Static_assert(BATCH_MAX <= 64, "a bit a packet");
