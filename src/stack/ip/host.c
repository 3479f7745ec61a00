/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A host on a thread of its own: two halves of local delivery in different stacks.
 *
 * Stacks that have devices (of workers) do everything up to INPUT, from OUTPUT on, and
 * whatever is decided about a packet; so connections, ports and rules of the host are
 * where those of all others are. What has passed INPUT and is wanted by somebody at
 * the host is handed over; its stack, which has no devices and no hooks, shows it to its raw
 * input hooks and protocols. What the host makes gets its source by the host's look at
 * the routes, and is carried to a worker, which routes it again like any packet
 * made there.
 *
 * What the host wants is a byte for each protocol that all workers read, and a bit for each
 * port of TCP and UDP (port_use.c). What it does not
 * want is answered where it came in: an echo request, a port where nobody is. So
 * as long as nothing runs on the host, no packet wakes it.
 *
 * How packets change hands is the business of whoever fills in the slots (src/core).
 *
 * Next: src/stack/ip/local.c of the host's stack, src/stack/ip/output.c of a worker's
 */
#include "stack/ip/stack_priv.h"

#include "stack/wire/ipv4.h"

void ip_stack_set_host(struct ip_stack *s, const struct ip_host_slots *slots)
{
	s->host = *slots;
}

void ip_stack_be_host(struct ip_stack *s, const struct ip_carrier_slots *slots)
{
	s->carrier = *slots;
	ip_host_tell_wants(s);
}

/* Behind every change of who listens. Workers may see it late: an answer to what was sent from here comes later still.
 */
void ip_host_tell_wants(struct ip_stack *s)
{
	uint8_t wants[256] = { 0 };

	if (s->carrier.wants == NULL)
		return;
	for (uint32_t i = 0; i < ARRAY_LEN(s->protocol); i++) {
		if (s->protocol[i].input != NULL)
			wants[i] |= IP_HOST_WANTS_INPUT | (s->protocol[i].by_port ? IP_HOST_WANTS_PORTS : 0);
		/* They come as ICMP, whatever they are about; without a port nothing was sent that they could be about.
		 */
		if (s->protocol[i].icmp_error != NULL && (!s->protocol[i].by_port || ip_ports_any_open(s, (uint8_t)i)))
			wants[IPPROTO_NR_ICMP] |= IP_HOST_WANTS_INPUT;
	}
	for (uint32_t i = 0; i < s->n_raw; i++)
		wants[s->raw[i].protocol] |= IP_HOST_WANTS_RAW;
	for (uint32_t i = 0; i < ARRAY_LEN(wants); i++)
		atomic_store_explicit(&s->carrier.wants->protocol[i], wants[i], memory_order_relaxed);
}

static uint8_t wants_of(const struct ip_stack *s, uint8_t protocol)
{
	return s->host.hand_over == NULL
		       ? 0
		       : atomic_load_explicit(&s->host.wants->protocol[protocol], memory_order_relaxed);
}

static bool claims(const struct ip_stack *s, const struct packet *p, uint8_t wants)
{
	return (wants & IP_HOST_WANTS_INPUT) != 0 &&
	       ((wants & IP_HOST_WANTS_PORTS) == 0 || ip_ports_claim(s->host.wants->ports, p));
}

bool ip_host_claims(const struct ip_stack *s, const struct packet *p)
{
	return claims(s, p, wants_of(s, p->ip.proto));
}

static bool is_for_host(const struct ip_stack *s, const struct packet *p)
{
	uint8_t wants = wants_of(s, p->ip.proto);

	if ((wants & IP_HOST_WANTS_RAW) != 0)
		return true;
	return p->ip.proto == IPPROTO_NR_ICMP ? wants != 0 && !icmp_answers(p) : claims(s, p, wants);
}

void ip_host_hand_over(struct ip_stack *s, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++)
		if (is_for_host(s, b->p[i]) && s->host.hand_over(s->host.ctx, b->p[i]))
			b->p[i] = NULL;
	batch_settle(b, s->env->pool, &s->env->ledger);
}

/* The views, as ip_input had them: of a packet that was checked there, or that the other stack made. */
static bool parse_again(struct packet *p)
{
	p->l3_off = ETHER_HEADER_LEN;
	if (ipv4_parse(packet_l3(p), p->len - p->l3_off, &p->ip) != IPV4_OK)
		return false;
	p->l4_off = (uint16_t)(p->l3_off + p->ip.header_len);
	if (l4_parse(&p->ip, packet_l4(p), packet_l4_len(p), &p->l4) != L4_OK)
		return false;
	if (p->ip.header_len > IPV4_HEADER_LEN)
		ipv4_options_check(packet_l3(p), &p->ip, &p->options);
	return true;
}

static void parse_all(struct ip_stack *s, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++)
		if (!parse_again(b->p[i]))
			packet_set_drop(b->p[i], DROP_IP_SHORT);
	batch_settle(b, s->env->pool, &s->env->ledger);
}

void ip_host_input(struct ip_stack *s, struct batch *b)
{
	struct stage_stats *outer = stage_enter(&s->env->stages, STAGE_LOCAL, b->n);

	for (uint32_t i = 0; i < b->n; i++)
		b->p[i]->to_us = true;
	parse_all(s, b);
	ip_local_deliver(s, b);
	stage_leave(&s->env->stages, outer);
}

uint64_t ip_received_at(const struct ip_stack *s, const struct packet *p)
{
	return s->carrier.carry != NULL ? p->held_since : s->env->now;
}

void ip_ask_sent(struct packet *p, uint32_t cookie)
{
	p->held_since = cookie;
}

void ip_stack_set_sent(struct ip_stack *s, ip_sent_fn *fn, void *ctx)
{
	s->sent = fn;
	s->sent_ctx = ctx;
}

void ip_host_sent(struct ip_stack *s, uint32_t cookie, uint64_t at_ns)
{
	if (s->sent != NULL)
		s->sent(s->sent_ctx, cookie, at_ns);
}

void ip_host_output(struct ip_stack *s, struct batch *b)
{
	parse_all(s, b);
	if (b->n > 0)
		ip_local_out(s, b);
}
