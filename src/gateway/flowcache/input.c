/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The batch path: frames just received go to their look-up, window check, rewrite
 * and device in four passes, so that waits for memory overlap with work:
 *
 *   1  the frames' first bytes are asked for, of the whole batch
 *   2  parse, hash; the buckets are asked for
 *   3  tags compared; the connections' lines are asked for: of the packet's direction, for TCP both
 *   4  in order: compared, judged, rewritten, queued; or left for the slow path
 *
 * From the second pass on a batch goes through in slices, one behind the other: a
 * slice is parsed, the one before it has its connections asked for, and the one
 * before that is worked on. Nothing is decided before the last pass: a connection
 * that has changed meanwhile is looked up again. (The table has not: connections begin
 * and end elsewhere.)
 *
 * A packet is left untouched or dealt with. Whatever is left stays in order, and
 * so does each flow: once a packet of a connection is left, all later ones of it
 * in this batch are left too (a filter of 512 bits, so now and then another flow's
 * as well). Packets of different flows may change places.
 *
 * Next: the device (src/stack/packet/device.h); src/gateway/flowcache/local.c for what ends here;
 * src/stack/ip/ether.c for what is left
 */
#include "stack/packet/gso.h"
#include "gateway/flowcache/flowcache_priv.h"
#include "stack/wire/plain.h"

/* A packet on its way through the passes. */
struct way {
	struct plain plain;
	uint32_t guess; /* a reference that may be its own */
	struct ct_flow_key key;
	ct_place place;
};

/* Packets that take a pass together. Their lines are on their way while two other slices are at work, and no more than
 * these are on their way at one time: a core that has asked for more than it can wait for stands still. */
#define SLICE 8
#define LEFT_WORDS 8 /* of 64 bits */

struct pass {
	struct flowcache *s;
	struct batch *to_us; /* what ends at the host here */
	uint32_t ifindex;
	struct ct_moment moment;
	bool some_left;
	uint64_t left_conns[LEFT_WORDS]; /* bits by connection: one of its packets was left */
	uint64_t left_fragments;         /* bits by addresses: a later fragment was left */
};

static bool conn_was_left(const struct pass *pass, uint32_t ref)
{
	uint32_t i = conn_index(ref) % (64 * LEFT_WORDS);

	return YG_UNLIKELY(pass->some_left) && (pass->left_conns[i / 64] >> i % 64 & 1) != 0;
}

static void conn_is_left(struct pass *pass, uint32_t ref)
{
	uint32_t i = conn_index(ref) % (64 * LEFT_WORDS);

	pass->some_left = true;
	pass->left_conns[i / 64] |= UINT64_C(1) << i % 64;
}

static uint64_t address_bit(const struct plain *v)
{
	return UINT64_C(1) << ((v->src * 2654435761u ^ v->dst * 2246822519u) >> 26);
}

static void parse(const struct pass *pass, struct packet *const *packet, uint32_t n, struct way *way)
{
	struct flowcache *s = pass->s;
	uint64_t mac = plain_mac(&ip_stack_device(s->ip, pass->ifindex)->mac);
	uint16_t zone = conntrack_zone(s->ct, pass->ifindex);

	for (uint32_t i = 0; i < n; i++) {
		struct packet *p = packet[i];
		struct way *w = &way[i];
		struct plain *v = &w->plain;

		plain_parse(packet_frame(p), p->len, mac, v);
		w->place = 0;
		if (YG_UNLIKELY(v->kind < PLAIN_KEYED))
			continue;
		w->key = ct_flow_key(v->src, v->dst, v->sport, v->dport, v->proto, zone);
		w->place = ct_flow_place(&s->flows, &w->key);
	}
	/* One right behind the other: each waits for the page table where the table is large, and so they wait
	 * together. */
	for (uint32_t i = 0; i < n; i++)
		ct_table_prefetch(s->flows.table, way[i].place);
}

static void guess(const struct flowcache *s, uint32_t n, struct way *way)
{
	for (uint32_t i = 0; i < n; i++) {
		struct way *w = &way[i];

		if (YG_UNLIKELY(w->plain.kind < PLAIN_KEYED))
			continue;
		w->guess = ct_flow_guess(&s->flows, w->place);
		if (w->guess == CONN_NONE)
			continue;
		prefetch_write(ct_flow_half(&s->flows, w->guess));
		/* Only windows need the other direction's line. */
		if (w->plain.proto == IPPROTO_NR_TCP)
			prefetch_write(ct_flow_half(&s->flows, w->guess ^ 1));
	}
}

/* Work that was left to the device: the views that it is judged by are filled. */
static YG_SELDOM bool offload_fits(struct packet *p, const struct ip_adjacency *a)
{
	p->l3_off = PLAIN_L3;
	p->l4_off = PLAIN_L4;
	if (ipv4_parse(packet_l3(p), p->len - PLAIN_L3, &p->ip) != IPV4_OK ||
	    l4_parse(&p->ip, packet_l4(p), packet_l4_len(p), &p->l4) != L4_OK || !offload_sane(p) ||
	    offload_segment_len(p) > a->mtu)
		return false;
	return p->offload.gso_type == GSO_NONE || device_cuts(a->caps, p->offload.gso_type);
}

static bool has_offload(const struct packet *p)
{
	return p->offload.csum_partial || p->offload.gso_type != GSO_NONE;
}

static bool may_leave(struct packet *p, const struct plain *v, const struct ip_adjacency *a)
{
	if (YG_UNLIKELY(has_offload(p)))
		return offload_fits(p, a);
	if (v->total_len > a->mtu)
		return false;
	return v->kind != PLAIN_ECHO || p->offload.csum_valid || plain_echo_sum_ok(packet_frame(p), v->total_len);
}

static void translate(struct flowcache *s, struct packet *p, const struct plain *v, const struct rewrite *to)
{
	bool partial = p->offload.csum_partial;
	uint16_t id;
	bool new_id = to->src != v->src && !plain_df(packet_frame(p));

	if (new_id)
		id = nat_next_identification(s->nat, to->src, to->dst, v->proto, gso_n_segments(p));
	plain_translate(packet_frame(p), v, to, new_id ? &id : NULL,
			partial ? REWRITE_CHECK_PARTIAL : REWRITE_CHECK_FULL);
}

/* What a packet of ref's direction becomes. */
static struct rewrite target(const struct flowcache *s, uint32_t ref, const struct ct_half *h, const struct plain *v)
{
	if (v->kind == PLAIN_TCP) {
		const struct tuple *other = ct_flow_tuple(&s->flows, ref ^ 1);

		return (struct rewrite){
			.src = other->dst, .dst = other->src, .sport = other->dport, .dport = other->sport
		};
	}
	const struct ct_datagram_half *d = &h->datagram;

	return (struct rewrite){ .src = d->src, .dst = d->dst, .sport = d->sport, .dport = d->dport };
}

/* For the trace slot, before the packet is changed. Apart, so that nothing of it weighs on packets that nobody traces.
 */
static __attribute__((noinline, cold)) void tell(const struct flowcache *s, const struct packet *p,
						 const struct plain *v, uint32_t ref, const struct ct_half *h)
{
	const struct ip_adjacency *a = &s->adjacency[h->flowcache.adjacency];
	struct rewrite to = target(s, ref, h, v);
	struct trace_step step = { .kind = TRACE_FLOWCACHE, .p = p };

	step.flow.conn = conn_index(ref);
	step.flow.is_reply = conn_dir(ref) == CT_REPLY;
	step.flow.ifindex = a->ifindex;
	memcpy(step.flow.mac.b, a->header, sizeof(step.flow.mac.b));
	step.flow.now = (struct ip_tuple){ .src = ip_addr_v4(to.src),
					   .dst = ip_addr_v4(to.dst),
					   .sport = to.sport,
					   .dport = to.dport,
					   .proto = v->proto };
	env_trace(s->env, &step);
}

static void send(struct flowcache *s, struct packet *p, const struct plain *v, uint32_t ref, const struct ct_half *h,
		 const struct ip_adjacency *a)
{
	const struct ct_flowcache *e = &h->flowcache;
	struct rewrite to = target(s, ref, h, v);
	uint32_t len = PLAIN_L3 + (uint32_t)v->total_len;

	if (env_traced(s->env))
		tell(s, p, v, ref, h);
	translate(s, p, v, &to);
	if (p->len != len) /* Ethernet padding */
		p->len = len;
	if (YG_UNLIKELY(p->offload.csum_partial && (a->caps & DEVICE_CAP_CSUM) == 0))
		offload_finish_checksum(p);
	s->path[e->path].packets++;
	s->path[e->path].bytes += v->total_len;
	if (YG_UNLIKELY(a->stale))
		ip_adjacency_used(s->ip, e->adjacency);
	memcpy(packet_frame(p), a->header, sizeof(a->header));
	ip_adjacency_send(s->ip, a, p);
}

static bool judge(const struct pass *pass, struct packet *p, const struct plain *v, uint32_t ref, struct ct_half *h)
{
	struct l4_view tcp;

	if (v->kind != PLAIN_TCP)
		return conntrack_datagram_plain(h, v->total_len, &pass->moment);
	plain_tcp(packet_frame(p), v->total_len, &tcp);
	return conntrack_tcp_plain(pass->s->ct, ref, v->total_len, &tcp, packet_frame(p) + PLAIN_L4);
}

/* A plain packet of ref's direction, behind none that was left. */
static bool take(struct pass *pass, struct packet *p, const struct plain *v, uint32_t ref, struct ct_half *h)
{
	struct flowcache *s = pass->s;
	const struct ct_flowcache *e = &h->flowcache;
	const struct ip_adjacency *a = &s->adjacency[e->adjacency];

	if (e->generation != s->generation || e->in_ifindex != pass->ifindex ||
	    e->adjacency_generation != a->generation)
		return false;
	if (YG_UNLIKELY(!a->usable))
		return e->adjacency == s->to_us && flowcache_take_to_us(s, pass->ifindex, p, v, ref, pass->to_us);
	if (!may_leave(p, v, a) || !judge(pass, p, v, ref, h))
		return false;
	send(s, p, v, ref, h, a);
	if (s->offload != NULL && !e->offloaded)
		flowcache_offer(s, conn_index(ref));
	return true;
}

/* Not of a flow itself, but perhaps such that a flow's later packets must not come before it. */
static void leave_unkeyed(struct pass *pass, struct packet *p, const struct plain *v)
{
	struct icmp_quote q;
	struct tuple quoted;
	uint32_t ref;

	if (v->kind == PLAIN_FRAGMENT)
		pass->left_fragments |= address_bit(v);
	/* An error is judged by the windows as they stand when it comes. */
	if (v->kind != PLAIN_ERROR || !plain_quote(packet_frame(p), v->total_len, &q) ||
	    !tuple_of_quote(&q, conntrack_zone(pass->s->ct, pass->ifindex), &quoted))
		return;
	quoted = tuple_invert(&quoted);
	ref = conntrack_find(pass->s->ct, &quoted);
	if (ref != CONN_NONE)
		conn_is_left(pass, ref);
}

/* True when p is dealt with. */
static bool work(struct pass *pass, struct packet *p, const struct way *w)
{
	struct flowcache *s = pass->s;
	const struct plain *v = &w->plain;

	if (YG_UNLIKELY(v->kind < PLAIN_KEYED)) {
		leave_unkeyed(pass, p, v);
		return false;
	}
	uint32_t ref = ct_flow_find(&s->flows, w->place, &w->key, w->guess);

	if (ref == CONN_NONE)
		return false;
	struct ct_half *h = ct_flow_half(&s->flows, ref);
	struct up_stamp stamp = p->stamp;
	bool offloaded = flowcache_offloaded(s, ref);

	if (YG_UNLIKELY(offloaded)) {
		flowcache_punts(s, ref);
		if (v->kind == PLAIN_CONTROL || v->kind == PLAIN_TCP_CONTROL)
			flowcache_take_back(s, conn_index(ref));
	} else if (YG_UNLIKELY(flowcache_has_deferred(s, ref))) {
		/* Void: conntrack judges what comes up by windows as they are. */
		flowcache_take_back(s, conn_index(ref));
	}
	bool behind =
		conn_was_left(pass, ref) || (pass->left_fragments != 0 && (pass->left_fragments & address_bit(v)) != 0);

	bool taken = v->kind >= PLAIN_TCP && !behind && take(pass, p, v, ref, h);

	if (YG_UNLIKELY(!taken))
		conn_is_left(pass, ref);
	/* Also of a connection that is not out there any more, or not yet: nobody listens then. But taken or not, p may
	 * be gone by now. */
	if (YG_UNLIKELY(stamp.present))
		flowcache_punted(s, ref, &stamp, taken);
	return taken;
}

/* Nobody need read again what was read here, or hash what was hashed. */
static struct packet *leave(struct packet *p, const struct way *w)
{
	const struct plain *v = &w->plain;

	if (YG_LIKELY(v->kind >= PLAIN_KEYED)) {
		p->has_flow_place = true;
		p->flow_place = w->place;
	}
	if (YG_LIKELY(plain_has_views(v))) {
		p->parsed = true;
		p->len = PLAIN_L3 + (uint32_t)v->total_len;
		p->l3_off = PLAIN_L3;
		p->l4_off = PLAIN_L4;
		plain_views(packet_frame(p), v, &p->ip, &p->l4);
	}
	return p;
}

void flowcache_input(void *ctx, uint32_t ifindex, struct batch *b)
{
	struct flowcache *s = ctx;
	struct batch to_us;
	struct pass pass = { .s = s, .to_us = &to_us, .ifindex = ifindex };
	struct way way[BATCH_MAX];
	uint32_t n = b->n, n_left = 0;

	conntrack_batch_begin(s->ct, &pass.moment);
	/* What comes by a link that is down is judged by the routes as they are without it. */
	if (s->mode == FLOWCACHE_OFF || YG_UNLIKELY(!ip_stack_device(s->ip, ifindex)->up))
		return;
	if (YG_UNLIKELY(flowcache_has_lost(s)))
		flowcache_leave_lost(s);
	to_us.n = 0;
	for (uint32_t i = 0; i < n; i++)
		prefetch_write(packet_frame(b->p[i]));
	for (uint32_t at = 0; at < n + 2 * SLICE; at += SLICE) {
		if (at < n)
			parse(&pass, &b->p[at], min_u32(n - at, SLICE), &way[at]);
		if (at >= SLICE && at - SLICE < n)
			guess(s, min_u32(n - (at - SLICE), SLICE), &way[at - SLICE]);
		if (at < 2 * SLICE)
			continue;
		for (uint32_t i = at - 2 * SLICE; i < min_u32(n, at - SLICE); i++)
			if (!work(&pass, b->p[i], &way[i]))
				b->p[n_left++] = leave(b->p[i], &way[i]);
	}
	b->n = n_left;
	s->count[FLOWCACHE_SEEN] += n;
	s->count[FLOWCACHE_TAKEN] += n - n_left;
	/* Behind all of them: what they cause may change connections. */
	if (to_us.n > 0)
		ip_local_cached(s->ip, &to_us);
}
