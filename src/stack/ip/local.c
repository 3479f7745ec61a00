/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Packets to us: put together from fragments, checked to the last byte, shown to
 * INPUT, then to the raw input hooks, then given to their protocol.
 *
 * As in Linux a packet is whole before INPUT sees it. A protocol is a row of a
 * table that a higher room fills in: what takes its packets, what is told of ICMP
 * errors about them, and what answers those that nobody took. Without a row UDP is
 * answered by ICMP 3/3, TCP by a reset, another protocol by ICMP 3/2 (RFC 1122
 * section 3.2.2.1). A packet that a raw input hook wanted has had its receiver, and
 * is not answered so; nor is one that the slot for unclaimed packets took. ICMP is
 * built in; its row gets replies (icmp.c).
 *
 * Who takes it is asked before INPUT already: a packet that nobody will take is
 * marked (unclaimed), so that no connection is confirmed by it.
 *
 * What belongs to an established connection comes here past PREROUTING, route and
 * INPUT, by the flow cache (ip_local_cached); who takes it is asked for each packet.
 *
 * Next: src/stack/ip/icmp.c, or the protocol in its row
 */
#include <errno.h>

#include "stack/ip/stack_priv.h"

static struct packet *reassemble_traced(struct ip_stack *s, struct packet *p)
{
	trace_end(&s->env->trace, TRACE_REASSEMBLY, p);
	struct packet *whole = reassembly_input(s->reassembly, p);
	if (whole != NULL)
		trace_end(&s->env->trace, TRACE_MADE, whole);
	return whole;
}

/* Fragments out, whole packets in their last fragment's place. */
static void local_reassemble(struct ip_stack *s, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		if (YG_LIKELY(!ipv4_is_fragment(&b->p[i]->ip)))
			continue;
		b->p[i] = env_traced(s->env) ? reassemble_traced(s, b->p[i]) : reassembly_input(s->reassembly, b->p[i]);
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

/* Somebody here will take it, if the rules let it through. Raw input hooks do not count: they hear what was asked for
 * from here, by connections that stand. */
static bool is_claimed(const struct ip_stack *s, const struct packet *p)
{
	const struct ip_protocol *row = &s->protocol[p->ip.proto];

	if (p->ip.proto == IPPROTO_NR_ICMP)
		return icmp_answers(p);
	if (row->input != NULL && (!row->by_port || ip_ports_claim_here(s, p)))
		return true;
	return ip_host_claims(s, p);
}

/* --- what nobody took --- */

static void refuse_protocol(struct ip_stack *s, struct packet *p)
{
	icmp_send_error(s, p, ICMP_DEST_UNREACHABLE, ICMP_PROTOCOL_UNREACHABLE, 0);
	packet_set_drop(p, DROP_PROTO_UNREACHABLE);
}

static void refuse_port(struct ip_stack *s, struct packet *p)
{
	icmp_send_error(s, p, ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE, 0);
	packet_set_drop(p, DROP_PORT_UNREACHABLE);
}

static void refuse_reset(struct ip_stack *s, struct packet *p)
{
	tcp_send_reset(s, p);
	packet_set_drop(p, DROP_TCP_NO_SOCKET);
}

static void local_refuse(struct ip_stack *s, struct packet *p)
{
	static void (*const policy[N_IP_UNREACHABLE])(struct ip_stack * s, struct packet * p) = {
		[IP_UNREACHABLE_PROTOCOL] = refuse_protocol,
		[IP_UNREACHABLE_PORT] = refuse_port,
		[IP_UNREACHABLE_RESET] = refuse_reset,
	};

	if (s->unclaimed != NULL && s->unclaimed(s->unclaimed_ctx, p))
		return;
	policy[s->protocol[p->ip.proto].unreachable](s, p);
}

/* --- who takes it --- */

static struct ip_protocol nobody_of(uint8_t number)
{
	return (struct ip_protocol){ .unreachable = number == IPPROTO_NR_UDP   ? IP_UNREACHABLE_PORT
						    : number == IPPROTO_NR_TCP ? IP_UNREACHABLE_RESET
									       : IP_UNREACHABLE_PROTOCOL };
}

void ip_local_init(struct ip_stack *s)
{
	for (uint32_t i = 0; i < ARRAY_LEN(s->protocol); i++)
		s->protocol[i] = nobody_of((uint8_t)i);
}

void ip_stack_set_protocol(struct ip_stack *s, uint8_t number, const struct ip_protocol *row)
{
	s->protocol[number] = row != NULL ? *row : nobody_of(number);
	ip_host_tell_wants(s);
}

int ip_stack_add_raw(struct ip_stack *s, uint8_t protocol, ip_raw_fn *fn, void *ctx)
{
	if (s->n_raw == IP_RAW_MAX)
		return -ENOSPC;
	s->raw[s->n_raw++] = (struct ip_raw){ .fn = fn, .ctx = ctx, .protocol = protocol };
	ip_host_tell_wants(s);
	return 0;
}

void ip_stack_remove_raw(struct ip_stack *s, uint8_t protocol, ip_raw_fn *fn, void *ctx)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_raw; i++) {
		struct ip_raw *r = &s->raw[i];

		if (r->fn != fn || r->ctx != ctx || r->protocol != protocol)
			s->raw[n++] = *r;
	}
	s->n_raw = n;
	ip_host_tell_wants(s);
}

/* All of them see it, whoever wants it. */
static bool show_raw(const struct ip_stack *s, const struct packet *p)
{
	bool is_wanted = false;

	for (uint32_t i = 0; i < s->n_raw; i++)
		if (s->raw[i].protocol == p->ip.proto)
			is_wanted |= s->raw[i].fn(s->raw[i].ctx, p);
	return is_wanted;
}

/* Packets first to last - 1 of b have the same protocol; bit i of wanted: a raw
 * input hook wanted packet i. */
static void local_deliver(struct ip_stack *s, struct batch *b, uint32_t first, uint32_t last, uint64_t wanted)
{
	uint8_t proto = b->p[first]->ip.proto;
	const struct ip_protocol *row = &s->protocol[proto];

	if (row->input != NULL && proto != IPPROTO_NR_ICMP) {
		struct batch run = { .n = 0 };

		for (uint32_t i = first; i < last; i++)
			batch_add(&run, b->p[i]);
		row->input(row->ctx, &run);
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

void ip_local_deliver(struct ip_stack *s, struct batch *b)
{
	uint64_t wanted = 0;

	for (uint32_t i = 0; i < b->n && s->n_raw > 0; i++) {
		if (show_raw(s, b->p[i]))
			wanted |= UINT64_C(1) << i;
	}
	for (uint32_t first = 0, last; first < b->n; first = last) {
		for (last = first + 1; last < b->n && b->p[last]->ip.proto == b->p[first]->ip.proto; last++)
			;
		local_deliver(s, b, first, last, wanted);
	}
	batch_settle(b, s->env->pool, &s->env->ledger);
}
_Static_assert(BATCH_MAX <= 64, "a bit a packet");

/* They have passed INPUT. */
static void take(struct ip_stack *s, struct batch *b)
{
	if (s->host.hand_over != NULL)
		ip_host_hand_over(s, b);
	ip_local_deliver(s, b);
}

void ip_local_cached(struct ip_stack *s, struct batch *b)
{
	struct stage_stats *outer = stage_enter(&s->env->stages, STAGE_LOCAL, b->n);

	take(s, b);
	stage_leave(&s->env->stages, outer);
}

static void install_all(struct ip_stack *s, const struct batch *b)
{
	uint32_t us = ip_n_adjacencies(s);

	for (uint32_t i = 0; i < b->n; i++)
		s->flowcache.install(s->flowcache_ctx, b->p[i], us);
}

void ip_local_in(struct ip_stack *s, struct batch *b)
{
	struct stage_stats *outer = stage_enter(&s->env->stages, STAGE_LOCAL, b->n);

	local_reassemble(s, b);
	for (uint32_t i = 0; i < b->n; i++) {
		local_check(s, b->p[i]);
		b->p[i]->unclaimed = !is_claimed(s, b->p[i]);
	}
	batch_settle(b, s->env->pool, &s->env->ledger);
	hook_run(s->env, &s->hook[HOOK_INPUT], HOOK_INPUT, b);
	if (s->flowcache.install != NULL)
		install_all(s, b);
	take(s, b);
	stage_leave(&s->env->stages, outer);
}
