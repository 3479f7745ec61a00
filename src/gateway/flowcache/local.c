/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Flows of the gateway's own host: what it receives, what it sends, and what it sends
 * to itself, by the same rules as what is forwarded.
 *
 * Their entries differ in two fields. A direction that ends here has the adjacency
 * that stands for us (flowcache.to_us), which is never usable, so that whoever forwards does not
 * take it by mistake. A direction that begins here comes in by no interface, and has
 * FLOWCACHE_MADE_HERE instead, and with it the device that its socket is bound to (SO_BINDTODEVICE):
 * that has routes of its own, so nobody else takes its entry. One of the host to itself has both fields so.
 *
 *   to us     input.c finds the entry; here the packet is read whole, its checksum
 *             verified and its connection judged, and then it is where INPUT would
 *             have left it: raw input hooks, protocols, the host's ring
 *   from us   by the packet's own views, before it is routed: judged, translated, and
 *             queued behind its neighbour's Ethernet header; neither route nor OUTPUT
 *             nor POSTROUTING is asked
 *   both      judged and translated once, then it waits with what loops, and goes
 *             from there to its receiver
 *
 * As in input.c a packet is left untouched or dealt with, and once a packet of a
 * connection is left, all later ones of it in the batch are.
 *
 * Nothing of the host's is ever offered to whoever forwards in our stead: he knows
 * neither our sockets nor what we are about to send (flowcache_forwards).
 *
 * Next: src/stack/ip/local.c; the device for what leaves (src/stack/packet/device.h)
 */
#include "gateway/flowcache/flowcache_priv.h"
#include "stack/packet/gso.h"
#include "stack/wire/plain.h"

/* --- both ways --- */

static bool has_offload(const struct packet *p)
{
	return p->offload.csum_partial || p->offload.gso_type != GSO_NONE;
}

/* What is made here may come a packet at a time. */
static const struct ct_moment *moment(struct flowcache *s)
{
	if (s->moment_at != s->env->now || s->moment_generation != s->generation) {
		conntrack_moment(s->ct, &s->moment);
		s->moment_at = s->env->now;
		s->moment_generation = s->generation;
	}
	return &s->moment;
}

static bool judge(struct flowcache *s, struct packet *p, uint32_t ref, struct ct_half *h)
{
	if (p->l4.kind != L4_TCP)
		return conntrack_datagram_plain(h, p->ip.total_len, moment(s));
	return conntrack_tcp_plain(s->ct, ref, p->ip.total_len, &p->l4, packet_l4(p));
}

static struct rewrite target(const struct flowcache *s, uint32_t ref, const struct ct_half *h)
{
	const struct tuple *other = ct_flow_tuple(&s->flows, ref ^ 1);

	if (h->tuple.proto == IPPROTO_NR_TCP)
		return (struct rewrite){
			.src = other->dst, .dst = other->src, .sport = other->dport, .dport = other->sport
		};
	return (struct rewrite){
		.src = h->datagram.src, .dst = h->datagram.dst, .sport = h->datagram.sport, .dport = h->datagram.dport
	};
}

static __attribute__((noinline, cold)) void tell(const struct flowcache *s, const struct packet *p, uint32_t ref,
						 const struct ct_half *h, const struct rewrite *to)
{
	const struct ip_adjacency *a = &s->adjacency[h->flowcache.adjacency];
	struct trace_step step = { .kind = TRACE_FLOWCACHE, .p = p };

	step.flow.conn = conn_index(ref);
	step.flow.is_reply = conn_dir(ref) == CT_REPLY;
	step.flow.ifindex = a->ifindex;
	memcpy(step.flow.mac.b, a->header, sizeof(step.flow.mac.b));
	step.flow.now = (struct ip_tuple){ .src = ip_addr_v4(to->src),
					   .dst = ip_addr_v4(to->dst),
					   .sport = to->sport,
					   .dport = to->dport,
					   .proto = p->ip.proto };
	env_trace(s->env, &step);
}

static void translate(struct flowcache *s, struct packet *p, const struct rewrite *to)
{
	if (to->src != p->ip.src && !p->ip.df) {
		p->ip.id = nat_next_identification(s->nat, to->src, to->dst, p->ip.proto, gso_n_segments(p));
		ipv4_set_id(packet_l3(p), p->ip.id);
	}
	rewrite_packet(packet_l3(p), &p->ip, &p->l4, to,
		       p->offload.csum_partial ? REWRITE_CHECK_PARTIAL : REWRITE_CHECK_FULL);
	p->translated = true;
}

/* Judged: as its hooks would leave it, and counted for the rules. */
static void pass(struct flowcache *s, struct packet *p, uint32_t ref, const struct ct_half *h)
{
	const struct conn *c = &s->flows.conn[conn_index(ref)];
	struct rules_counter_path *path = &s->path[h->flowcache.path];

	if (env_traced(s->env) || (c->status & (CT_SNAT | CT_DNAT)) != 0) {
		struct rewrite to = target(s, ref, h);

		if (env_traced(s->env))
			tell(s, p, ref, h, &to);
		if (c->status & (CT_SNAT | CT_DNAT))
			translate(s, p, &to);
	}
	path->packets++;
	path->bytes += p->ip.total_len;
	p->conn_ref = ref;
	p->ct_info = CT_INFO_ESTABLISHED;
	p->zone = conntrack_table_zone(s->ct, ref);
}

/* --- to us --- */

/* The views, and what is right by them. A frame that does not pass is left as it was. */
static bool read_whole(struct packet *p, const struct plain *v)
{
	p->l3_off = PLAIN_L3;
	p->l4_off = PLAIN_L4;
	if (plain_has_views(v))
		plain_views(packet_frame(p), v, &p->ip, &p->l4);
	else if (ipv4_parse(packet_l3(p), p->len - PLAIN_L3, &p->ip) != IPV4_OK ||
		 l4_parse(&p->ip, packet_l4(p), packet_l4_len(p), &p->l4) != L4_OK)
		return false;
	if (has_offload(p) && !offload_sane(p))
		return false;
	return p->offload.csum_partial || p->offload.csum_valid ||
	       l4_checksum_ok(&p->ip, packet_l4(p), packet_l4_len(p));
}

bool flowcache_take_to_us(struct flowcache *s, uint32_t ifindex, struct packet *p, const struct plain *v, uint32_t ref,
			  struct batch *to_us)
{
	struct ct_half *h = ct_flow_half(&s->flows, ref);

	if (!read_whole(p, v) || !judge(s, p, ref, h))
		return false;
	p->len = PLAIN_L3 + (uint32_t)p->ip.total_len; /* Ethernet padding */
	p->in_ifindex = ifindex;
	p->verdict = VERDICT_CONTINUE;
	p->to_us = true;
	pass(s, p, ref, h);
	batch_add(to_us, p);
	return true;
}

/* --- from us --- */

struct made {
	struct ct_flow_key key;
	ct_place place;
	uint32_t guess;
	bool keyed;
};

struct output {
	struct flowcache *s;
	bool all_left;       /* one that may be about any connection was left */
	uint64_t left_conns; /* bits by connection: one of its packets was left */
};

static void locate(const struct flowcache *s, const struct packet *p, struct made *m)
{
	struct tuple t;

	m->keyed = !ipv4_is_fragment(&p->ip) && p->l4.kind != L4_ICMP_ERROR && tuple_of_packet(p, p->zone, &t);
	if (YG_UNLIKELY(!m->keyed))
		return;
	memcpy(m->key.word, &t, sizeof(m->key.word));
	m->place = ct_flow_place(&s->flows, &m->key);
	ct_table_prefetch(s->flows.table, m->place);
}

static void guess(const struct flowcache *s, struct made *m)
{
	m->guess = m->keyed ? ct_flow_guess(&s->flows, m->place) : CONN_NONE;
	if (m->guess != CONN_NONE)
		prefetch_write(ct_flow_half(&s->flows, m->guess));
}

static bool may_leave(const struct packet *p, const struct ip_adjacency *a)
{
	if (!a->usable)
		return false;
	if (!has_offload(p))
		return p->ip.total_len <= a->mtu;
	return offload_sane(p) && offload_segment_len(p) <= a->mtu &&
	       (p->offload.gso_type == GSO_NONE || device_cuts(a->caps, p->offload.gso_type));
}

static void send(struct flowcache *s, struct packet *p, uint32_t adjacency)
{
	const struct ip_adjacency *a = &s->adjacency[adjacency];

	if (p->offload.csum_partial && (a->caps & DEVICE_CAP_CSUM) == 0)
		offload_finish_checksum(p);
	if (YG_UNLIKELY(a->stale))
		ip_adjacency_used(s->ip, adjacency);
	memcpy(packet_frame(p), a->header, sizeof(a->header));
	ip_adjacency_send(s->ip, a, p);
}

static bool take_made(struct flowcache *s, struct packet *p, uint32_t ref)
{
	struct ct_half *h = ct_flow_half(&s->flows, ref);
	const struct ct_flowcache *e = &h->flowcache;
	const struct ip_adjacency *a = &s->adjacency[e->adjacency];
	bool to_us = e->adjacency == s->to_us;

	if (e->generation != s->generation || e->in_ifindex != flowcache_made(p) ||
	    e->adjacency_generation != a->generation || !flowcache_is_plain(p))
		return false;
	if ((!to_us && !may_leave(p, a)) || !judge(s, p, ref, h))
		return false;
	pass(s, p, ref, h);
	if (to_us)
		ip_loop_cached(s->ip, p);
	else
		send(s, p, e->adjacency);
	return true;
}

/* True when p is dealt with. */
static bool work(struct output *o, struct packet *p, const struct made *m)
{
	struct flowcache *s = o->s;

	if (YG_UNLIKELY(!m->keyed)) {
		o->all_left = true;
		return false;
	}
	/* Connection tracking need not hash again what was hashed here. */
	p->has_flow_place = true;
	p->flow_place = m->place;
	uint32_t ref = ct_flow_find(&s->flows, m->place, &m->key, m->guess);

	if (ref == CONN_NONE)
		return false;
	uint64_t bit = UINT64_C(1) << conn_index(ref) % 64;

	if (!o->all_left && (o->left_conns & bit) == 0 && take_made(s, p, ref))
		return true;
	o->left_conns |= bit;
	return false;
}

void flowcache_output(void *ctx, struct batch *b)
{
	struct flowcache *s = ctx;
	struct output o = { .s = s };
	struct made made[BATCH_MAX];
	uint32_t n = b->n, n_left = 0;

	if (s->mode == FLOWCACHE_OFF)
		return;
	if (YG_UNLIKELY(flowcache_has_lost(s)))
		flowcache_leave_lost(s);
	for (uint32_t i = 0; i < n; i++)
		locate(s, b->p[i], &made[i]);
	for (uint32_t i = 0; i < n; i++)
		guess(s, &made[i]);
	for (uint32_t i = 0; i < n; i++)
		if (!work(&o, b->p[i], &made[i]))
			b->p[n_left++] = b->p[i];
	b->n = n_left;
	s->count[FLOWCACHE_SEEN] += n;
	s->count[FLOWCACHE_TAKEN] += n - n_left;
}
