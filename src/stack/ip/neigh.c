/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The life of a neighbour (RFC 1122 section 2.3.2, the machine of RFC 4861
 * section 7.3.2 with ARP for its messages).
 *
 *   INCOMPLETE  asks by broadcast, once a second, three times; packets wait.
 *               Answer: REACHABLE, and they go. None: FAILED, and each is dropped
 *               with ICMP 3/1 to its sender.
 *   REACHABLE   for 15 to 45 seconds, then STALE.
 *   STALE       packets pass; the first one makes it DELAY. Ten unused minutes:
 *               it goes. When the link was down meanwhile, the first packet
 *               makes it PROBE, and everybody is asked: Linux forgets its
 *               neighbours then, since a cable may lead elsewhere by now.
 *   DELAY       five seconds in which somebody may confirm it, then PROBE.
 *   PROBE       asks it directly, three times, packets pass meanwhile. Answer:
 *               REACHABLE. None: INCOMPLETE, which asks everybody: its station
 *               may have changed.
 *   FAILED      packets are refused at once, and at most one request a second
 *               goes out. Five seconds later the entry goes, and the next packet
 *               is held again.
 *
 * Packets wait only in INCOMPLETE, and leave it in the order in which they came:
 * they are with the device before anybody may send by the adjacency, or the
 * kernel's program would let later ones overtake them.
 * Sending one may call back into this file (an ICMP error goes out too), so a
 * queue is always taken out whole before its packets are ended.
 *
 * Next: src/stack/ip/output.c (ip_transmit)
 */
#include <string.h>

#include "stack/ip/stack_priv.h"

/* Timers fired in one call; what is left fires at the next. */
#define EXPIRE_BUDGET 256

static void arm(struct neigh_table *t, struct neigh *n, uint64_t delay_ns)
{
	timer_arm(&t->wheel, neigh_index(t, n), t->env->now + delay_ns);
}

static void tell(struct ip_stack *s, const struct neigh *n, enum event_kind kind)
{
	struct yg_event e = { .kind = kind, .ifindex = n->ifindex, .addr = ip_addr_v4(n->addr) };

	memcpy(e.mac, n->mac.b, sizeof(e.mac));
	env_emit(s->env, &e);
}

static void ask(struct ip_stack *s, struct neigh *n, const struct ether_addr *to)
{
	n->probed_ns = s->env->now;
	n->n_probes++;
	arm(s->neigh, n, NEIGH_PROBE_NS);
	arp_request(s, n->ifindex, n->addr, to);
}

static void enter_incomplete(struct ip_stack *s, struct neigh *n)
{
	neigh_set_state(s->neigh, n, NEIGH_INCOMPLETE);
	adjacency_sync(s, n);
	ask(s, n, &ether_broadcast);
}

static void enter_probe(struct ip_stack *s, struct neigh *n, const struct ether_addr *to)
{
	neigh_set_state(s->neigh, n, NEIGH_PROBE);
	adjacency_sync(s, n);
	ask(s, n, to);
}

static void enter_stale(struct ip_stack *s, struct neigh *n)
{
	neigh_set_state(s->neigh, n, NEIGH_STALE);
	adjacency_sync(s, n);
	arm(s->neigh, n, NEIGH_STALE_NS);
}

static void enter_delay(struct ip_stack *s, struct neigh *n)
{
	neigh_set_state(s->neigh, n, NEIGH_DELAY);
	adjacency_sync(s, n);
	arm(s->neigh, n, NEIGH_DELAY_NS);
}

static void enter_reachable(struct ip_stack *s, struct neigh *n)
{
	uint32_t spread_ms = (uint32_t)(NEIGH_REACHABLE_NS / NS_PER_MS);

	neigh_set_state(s->neigh, n, NEIGH_REACHABLE);
	adjacency_sync(s, n);
	n->confirmed_ns = s->env->now;
	arm(s->neigh, n, NEIGH_REACHABLE_NS / 2 + rng_below(&s->env->rng, spread_ms) * NS_PER_MS);
}

static void refuse(struct ip_stack *s, struct packet *p)
{
	icmp_send_error(s, p, ICMP_DEST_UNREACHABLE, ICMP_HOST_UNREACHABLE, 0);
	env_drop(s->env, p, DROP_NEIGH_UNREACHABLE);
}

static void enter_failed(struct ip_stack *s, struct neigh *n)
{
	struct packet *held = neigh_take_held(s->neigh, n);

	neigh_set_state(s->neigh, n, NEIGH_FAILED);
	adjacency_sync(s, n);
	arm(s->neigh, n, NEIGH_FAILED_NS);
	tell(s, n, EVENT_NEIGH_FAILED);
	/* From here n may be another's: an error may need a new neighbour. */
	while (held != NULL) {
		struct packet *p = held;

		held = p->next;
		p->next = NULL;
		refuse(s, p);
	}
}

void neigh_use_stale(struct ip_stack *s, struct neigh *n)
{
	if (n->link_was_down)
		enter_probe(s, n, &ether_broadcast);
	else
		enter_delay(s, n);
}

static void transmit(struct ip_stack *s, struct packet *p, const struct neigh *n)
{
	if (s->flowcache.install != NULL && (p->forwarded || p->in_ifindex == 0))
		s->flowcache.install(s->flowcache_ctx, p, neigh_index(s->neigh, n));
	ip_transmit(s, p, &n->mac);
}

void neigh_output(struct ip_stack *s, struct packet *p)
{
	struct neigh *n = neigh_find(s->neigh, p->out_ifindex, p->next_hop);

	if (env_traced(s->env) && n != NULL)
		ip_trace_neigh(s, p, n);
	if (YG_LIKELY(n != NULL &&
		      (n->state == NEIGH_REACHABLE || n->state == NEIGH_DELAY || n->state == NEIGH_PROBE))) {
		transmit(s, p, n);
		return;
	}
	if (n == NULL) {
		enum drop_reason why;

		n = neigh_make_for(s->neigh, p, &why);
		if (env_traced(s->env))
			ip_trace_neigh(s, p, n);
		if (n == NULL) {
			env_drop(s->env, p, why);
			return;
		}
		neigh_hold(s->neigh, n, p);
		enter_incomplete(s, n);
		return;
	}
	switch ((enum neigh_state)n->state) {
	case NEIGH_STALE:
		neigh_use_stale(s, n);
		transmit(s, p, n);
		return;
	case NEIGH_FAILED:
		if (s->env->now - n->probed_ns >= NEIGH_PROBE_NS) {
			n->probed_ns = s->env->now;
			arp_request(s, n->ifindex, n->addr, &ether_broadcast);
		}
		refuse(s, p);
		return;
	default:
		neigh_hold(s->neigh, n, p);
		return;
	}
}

/* Still INCOMPLETE, so n stays ours; what comes for it meanwhile is held behind the others, and sent too. */
static void send_held(struct ip_stack *s, struct neigh *n)
{
	if (n->n_held == 0)
		return;
	while (n->n_held > 0) {
		struct packet *held = neigh_take_held(s->neigh, n);

		while (held != NULL) {
			struct packet *p = held;

			held = p->next;
			p->next = NULL;
			ip_transmit(s, p, &n->mac);
		}
	}
	ip_queue_send(s, n->ifindex);
}

void neigh_learn(struct ip_stack *s, uint32_t ifindex, uint32_t addr, const struct ether_addr *mac,
		 enum neigh_proof proof, enum neigh_create create)
{
	struct neigh *n = neigh_find(s->neigh, ifindex, addr);

	if (n == NULL && create == NEIGH_CREATE_YES)
		n = neigh_make(s->neigh, ifindex, addr);
	if (n == NULL)
		return;
	bool had_mac = n->state != NEIGH_INCOMPLETE && n->state != NEIGH_FAILED;
	bool same = had_mac && ether_equal(&n->mac, mac);
	bool asked = n->state == NEIGH_INCOMPLETE || n->state == NEIGH_PROBE || n->state == NEIGH_FAILED;

	n->mac = *mac;
	send_held(s, n);
	/* Only the answer to a question proves that both directions work. A
	 * known address that says nothing new keeps its state. */
	if (proof == NEIGH_PROOF_ANSWER && (asked || same))
		enter_reachable(s, n);
	else if (!same)
		enter_stale(s, n);
	if (!same)
		tell(s, n, EVENT_NEIGH_LEARNT);
}

static void timer_fired(void *ctx, uint32_t index, uint64_t now)
{
	struct ip_stack *s = ctx;
	struct neigh *n = neigh_at(s->neigh, index);

	switch ((enum neigh_state)n->state) {
	case NEIGH_INCOMPLETE:
		if (n->n_probes < NEIGH_BROADCAST_PROBES)
			ask(s, n, &ether_broadcast);
		else
			enter_failed(s, n);
		break;
	case NEIGH_REACHABLE:
		enter_stale(s, n);
		break;
	case NEIGH_DELAY:
		enter_probe(s, n, &n->mac);
		break;
	case NEIGH_PROBE:
		if (n->n_probes < NEIGH_UNICAST_PROBES)
			ask(s, n, &n->mac);
		else
			enter_incomplete(s, n);
		break;
	case NEIGH_STALE:
	case NEIGH_FAILED:
		neigh_remove(s->neigh, n);
		break;
	case N_NEIGH_STATES:
		break;
	}
}

void neigh_expire(struct ip_stack *s)
{
	timer_advance(&s->neigh->wheel, s->env->now, EXPIRE_BUDGET, timer_fired, s);
}

uint64_t neigh_next_deadline(const struct ip_stack *s)
{
	return timer_next(&s->neigh->wheel);
}

void neigh_drop_interface(struct ip_stack *s, uint32_t ifindex)
{
	struct neigh_table *t = s->neigh;

	for (uint32_t i = 0; i < t->pool.n_fresh; i++) {
		struct neigh *n = neigh_at(t, i);

		if (!n->in_use || n->ifindex != ifindex)
			continue;
		for (struct packet *p = neigh_take_held(t, n), *next; p != NULL; p = next) {
			next = p->next;
			env_drop(s->env, p, DROP_TX_DOWN);
		}
		neigh_remove(t, n);
	}
}

void neigh_refresh_interface(struct ip_stack *s, uint32_t ifindex)
{
	struct neigh_table *t = s->neigh;

	for (uint32_t i = 0; i < t->pool.n_fresh; i++) {
		struct neigh *n = neigh_at(t, i);

		if (!n->in_use || n->ifindex != ifindex)
			continue;
		if (n->state == NEIGH_INCOMPLETE) {
			enter_incomplete(s, n);
		} else if (n->state == NEIGH_FAILED) {
			neigh_remove(t, n);
		} else {
			enter_stale(s, n);
			n->link_was_down = true;
		}
	}
}

static struct ip_neigh_info info_of(const struct neigh *n)
{
	static const char *const names[N_NEIGH_STATES] = {
		[NEIGH_INCOMPLETE] = "INCOMPLETE", [NEIGH_REACHABLE] = "REACHABLE", [NEIGH_STALE] = "STALE",
		[NEIGH_DELAY] = "DELAY",           [NEIGH_PROBE] = "PROBE",         [NEIGH_FAILED] = "FAILED",
	};
	bool is_resolved = n->state != NEIGH_INCOMPLETE && n->state != NEIGH_FAILED;

	return (struct ip_neigh_info){
		.ifindex = n->ifindex,
		.addr = n->addr,
		.mac = is_resolved ? n->mac : (struct ether_addr){ { 0 } },
		.state = names[n->state],
		.is_resolved = is_resolved,
		.n_held = n->n_held,
		.confirmed_ns = n->confirmed_ns,
	};
}

bool ip_neigh_next(const struct ip_stack *s, uint32_t *cursor, struct ip_neigh_info *out)
{
	const struct neigh_table *t = s->neigh;

	while (*cursor < t->pool.n_fresh) {
		const struct neigh *n = neigh_at(t, (*cursor)++);

		if (!n->in_use)
			continue;
		*out = info_of(n);
		return true;
	}
	return false;
}

bool ip_neigh_get(const struct ip_stack *s, uint32_t ifindex, uint32_t addr, struct ip_neigh_info *out)
{
	const struct neigh *n = neigh_find(s->neigh, ifindex, addr);

	if (n != NULL)
		*out = info_of(n);
	return n != NULL;
}
