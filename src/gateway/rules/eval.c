/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A packet's walk through the rules. Each base chain is a hook entry of its own
 * (or is asked by NAT): accept ends the chain and the packet goes on to the next
 * one of the hook, drop ends the packet.
 *
 * A key that a packet does not have (a port in a later fragment, ct mark without
 * a connection) makes its match fail, also a negated one, as in Linux: the rule
 * does not speak of such a packet. An interface that is not there has the empty
 * name, so it is unequal to every name.
 *
 * Of a packet that came in fragments the first one walks, and what came of it holds
 * for the others (rules.c), as in Linux, whose rules see the whole packet.
 *
 * On the way the packet's counter path is kept: which counters it passed, or that its
 * walk says nothing about the next packet of the flow (rules.h).
 *
 * A stack of return places is all the state of a walk; check.c has made sure
 * that no chain can need more of it than RULES_JUMP_MAX.
 *
 * Next: src/stack/ip/hook.c (the list that called), or src/gateway/nat/choose.c for a translation.
 */
#include "gateway/rules/rules_priv.h"

#include <string.h>

#include "base/util.h"
#include "stack/ip/icmp.h"
#include "stack/wire/icmp.h"
#include "stack/wire/rewrite.h"
#include "stack/ip/route.h"

#define NFPROTO_NR_IPV4 2

enum { PKTTYPE_HOST, PKTTYPE_BROADCAST, PKTTYPE_MULTICAST };

/* What one instruction says: go on behind it, go to the next rule, or end. */
struct walk {
	struct rules *r;
	struct packet *p;
	struct nat_action *nat;
	const struct insn *stack[RULES_JUMP_MAX];
	uint32_t depth;
};

void rules_map_interfaces(struct rules *r, const struct ip_config *ip)
{
	r->ip = ip;
	if (r->rs == NULL)
		return;
	for (uint32_t i = 0; i < r->rs->n_names; i++) {
		const struct name_set *set = &r->rs->names[i];

		r->iface_mask[i] = 0;
		for (uint32_t k = 1; ip != NULL && k < IP_INTERFACES_MAX; k++)
			for (uint32_t n = 0; n < set->n && ip->interface[k].name[0] != '\0'; n++)
				if (rule_name_matches(&set->name[n], ip->interface[k].name))
					r->iface_mask[i] |= UINT64_C(1) << k;
	}
}

static bool iface_in(const struct rules *r, uint32_t set, enum rule_key key, const struct packet *p)
{
	uint32_t ifindex = key == KEY_META_IIFNAME ? p->in_ifindex : p->out_ifindex;

	return ifindex < IP_INTERFACES_MAX && (r->iface_mask[set] >> ifindex & 1) != 0;
}

static uint32_t ct_state_bit(const struct packet *p)
{
	static const uint8_t bit[] = {
		[CT_INFO_NONE] = RULE_CT_STATE_INVALID, /* before conntrack has seen it, as in Linux */
		[CT_INFO_NEW] = RULE_CT_STATE_NEW,
		[CT_INFO_ESTABLISHED] = RULE_CT_STATE_ESTABLISHED,
		[CT_INFO_RELATED] = RULE_CT_STATE_RELATED,
		[CT_INFO_INVALID] = RULE_CT_STATE_INVALID,
		[CT_INFO_UNTRACKED] = RULE_CT_STATE_UNTRACKED,
	};

	return bit[p->ct_info];
}

static uint32_t ct_status_bits(const struct conn *c)
{
	uint32_t bits = 0;

	bits |= c->status & CT_SEEN_REPLY ? RULE_CT_STATUS_SEEN_REPLY : 0;
	bits |= c->status & CT_ASSURED ? RULE_CT_STATUS_ASSURED : 0;
	bits |= c->status & CT_CONFIRMED ? RULE_CT_STATUS_CONFIRMED : 0;
	bits |= c->status & CT_SNAT ? RULE_CT_STATUS_SNAT : 0;
	bits |= c->status & CT_DNAT ? RULE_CT_STATUS_DNAT : 0;
	bits |= c->status & CT_DYING ? RULE_CT_STATUS_DYING : 0;
	return bits;
}

/* Of a packet with a connection. */
static uint32_t *mark_of(const struct walk *w)
{
	return &conntrack_ext(w->r->ct, conn_index(w->p->conn_ref))->mark;
}

static bool fetch_ct(const struct walk *w, enum rule_key key, uint32_t *v)
{
	const struct conn *c;

	if (key == KEY_CT_STATE) {
		*v = ct_state_bit(w->p);
		return true;
	}
	c = conntrack_of(w->r->ct, w->p);
	if (c == NULL)
		return false;
	switch (key) {
	case KEY_CT_STATUS:
		*v = ct_status_bits(c);
		return true;
	case KEY_CT_MARK:
		*v = *mark_of(w);
		return true;
	case KEY_CT_DIRECTION:
		*v = conn_dir(w->p->conn_ref);
		return true;
	case KEY_CT_ZONE:
		*v = c->half[CT_ORIGINAL].tuple.zone;
		return true;
	case KEY_CT_PROTOCOL:
		*v = c->half[CT_ORIGINAL].tuple.proto;
		return true;
	case KEY_CT_ORIGINAL_SADDR:
		*v = c->half[CT_ORIGINAL].tuple.src;
		return true;
	case KEY_CT_ORIGINAL_DADDR:
		*v = c->half[CT_ORIGINAL].tuple.dst;
		return true;
	case KEY_CT_ORIGINAL_PROTO_SRC:
		*v = c->half[CT_ORIGINAL].tuple.sport;
		return true;
	case KEY_CT_ORIGINAL_PROTO_DST:
		*v = c->half[CT_ORIGINAL].tuple.dport;
		return true;
	default:
		return false;
	}
}

/* The bytes where ports would stand, of any protocol, as in Linux. */
static bool fetch_th(const struct packet *p, enum rule_key key, uint32_t *v)
{
	uint16_t sport, dport;

	if (p->ip.frag_off != 0 || !l4_peek_ports(packet_l4_const(p), packet_l4_len(p), &sport, &dport))
		return false;
	*v = key == KEY_TH_SPORT ? sport : dport;
	return true;
}

static bool fetch_l4(const struct packet *p, enum rule_key key, uint32_t *v)
{
	const struct l4_view *l4 = &p->l4;
	bool tcp = l4->kind == L4_TCP, udp = l4->kind == L4_UDP;
	bool icmp = l4->kind == L4_ICMP_QUERY || l4->kind == L4_ICMP_ERROR || l4->kind == L4_ICMP_OTHER;

	switch (key) {
	case KEY_TCP_SPORT:
		*v = l4->sport;
		return tcp;
	case KEY_TCP_DPORT:
		*v = l4->dport;
		return tcp;
	case KEY_TCP_FLAGS:
		*v = l4->flags;
		return tcp;
	case KEY_UDP_SPORT:
		*v = l4->sport;
		return udp;
	case KEY_UDP_DPORT:
		*v = l4->dport;
		return udp;
	case KEY_UDP_LENGTH:
		*v = (uint32_t)l4->payload_len + UDP_HEADER_LEN;
		return udp;
	case KEY_SCTP_SPORT:
		*v = l4->sport;
		return l4->kind == L4_SCTP;
	case KEY_SCTP_DPORT:
		*v = l4->dport;
		return l4->kind == L4_SCTP;
	case KEY_DCCP_SPORT:
		*v = l4->sport;
		return l4->kind == L4_DCCP;
	case KEY_DCCP_DPORT:
		*v = l4->dport;
		return l4->kind == L4_DCCP;
	case KEY_UDPLITE_SPORT:
		*v = l4->sport;
		return l4->kind == L4_UDPLITE;
	case KEY_UDPLITE_DPORT:
		*v = l4->dport;
		return l4->kind == L4_UDPLITE;
	case KEY_TH_SPORT:
	case KEY_TH_DPORT:
		return fetch_th(p, key, v);
	case KEY_ICMP_TYPE:
		*v = l4->type;
		return icmp;
	case KEY_ICMP_CODE:
		*v = l4->code;
		return icmp;
	case KEY_ICMP_ID: /* nft asks for echo only */
		*v = l4->id;
		return icmp && (l4->type == ICMP_ECHO_REPLY || l4->type == ICMP_ECHO_REQUEST);
	default:
		return false;
	}
}

static uint32_t pkttype(const struct packet *p)
{
	if (!p->link_group)
		return PKTTYPE_HOST;
	return ip4_is_multicast(p->ip.dst) ? PKTTYPE_MULTICAST : PKTTYPE_BROADCAST;
}

static bool fetch_ip(const struct packet *p, enum rule_key key, uint32_t *v)
{
	switch (key) {
	case KEY_META_LENGTH: /* of a large segment too: as Linux sees it, before it is cut */
	case KEY_IP_LENGTH:
		*v = p->ip.total_len;
		return true;
	case KEY_META_MARK:
		*v = p->mark;
		return true;
	case KEY_META_PKTTYPE:
		*v = pkttype(p);
		return true;
	case KEY_META_NFPROTO:
		*v = NFPROTO_NR_IPV4;
		return true;
	case KEY_IP_SADDR:
		*v = p->ip.src;
		return true;
	case KEY_IP_DADDR:
		*v = p->ip.dst;
		return true;
	case KEY_META_L4PROTO:
	case KEY_IP_PROTOCOL:
		*v = p->ip.proto;
		return true;
	case KEY_IP_TTL:
		*v = p->ip.ttl;
		return true;
	case KEY_IP_DSCP:
		*v = p->ip.tos >> 2;
		return true;
	case KEY_IP_ID:
		*v = p->ip.id;
		return true;
	case KEY_IP_FRAG_OFF: /* the whole field: flags, and the offset in units of 8 bytes */
		*v = (p->ip.df ? 0x4000u : 0) | (p->ip.mf ? 0x2000u : 0) | p->ip.frag_off / 8u;
		return true;
	default:
		return false;
	}
}

static bool fetch(const struct walk *w, enum rule_key key, uint32_t *v)
{
	if (key >= KEY_CT_STATE)
		return fetch_ct(w, key, v);
	if (key >= KEY_TCP_SPORT)
		return fetch_l4(w->p, key, v);
	return fetch_ip(w->p, key, v);
}

static bool matches(const struct walk *w, const struct insn *in)
{
	uint32_t v;

	if (!fetch(w, in->key, &v))
		return false;
	switch (in->op) {
	case INSN_RANGE:
		v &= in->mask;
		return (in->a <= v && v <= in->b) != in->negate;
	case INSN_BITS:
		return ((v & in->a) != 0) != in->negate;
	default:
		return value_set_has(&w->r->rs->set[in->a], v & in->mask) != in->negate;
	}
}

/* True when the packet is within the rate (with `over`: beyond it). */
static bool limit_take(const struct limit_config *cfg, struct limit_state *s, uint64_t now)
{
	uint64_t elapsed = now - s->last_ns;
	bool within;

	s->last_ns = now;
	if (elapsed >= (cfg->max - s->tokens) / cfg->rate + 1)
		s->tokens = cfg->max;
	else
		s->tokens = min_u64(cfg->max, s->tokens + elapsed * cfg->rate);
	within = s->tokens >= cfg->unit_ns;
	if (within)
		s->tokens -= cfg->unit_ns;
	return within != cfg->over;
}

static const struct vmap_entry *vmap_find(const struct walk *w, const struct insn *in)
{
	const struct vmap *m = &w->r->rs->vmap[in->a];
	uint32_t lo = 0, hi = m->n, v;

	if (rule_key_info[in->key].type == RULE_TYPE_IFNAME) {
		for (uint32_t i = 0; i < m->n; i++)
			if (iface_in(w->r, m->entry[i].lo, in->key, w->p))
				return &m->entry[i];
		return m->has_rest ? &m->rest : NULL;
	}
	if (!fetch(w, in->key, &v))
		return NULL;
	v &= in->mask;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (v < m->entry[mid].lo)
			hi = mid;
		else if (v > m->entry[mid].hi)
			lo = mid + 1;
		else
			return &m->entry[mid];
	}
	return m->has_rest ? &m->rest : NULL;
}

/* One of mod numbers by a hash of the keys; false when the packet lacks one of them. */
static bool hash_number(const struct walk *w, const struct rule_number *number, uint32_t *v)
{
	struct siphash_key key = number->has_seed ? (struct siphash_key){ number->seed, 0 } : w->r->hash_key;
	uint32_t value[RULE_HASH_KEYS_MAX], hash;

	for (uint32_t i = 0; i < number->n_keys; i++)
		if (!fetch(w, number->key[i], &value[i]))
			return false;
	hash = (uint32_t)siphash13(&key, value, number->n_keys * sizeof(value[0]));
	*v = (uint32_t)((uint64_t)hash * number->mod >> 32);
	return true;
}

static const struct nat_map_entry *nat_map_pick(const struct walk *w, const struct insn *in)
{
	const struct nat_map *m = &w->r->rs->nat_map[in->a];
	uint32_t *turn = &w->r->turn[in->a], v = 0;

	if (m->is_names) {
		for (uint32_t i = 0; i < m->n; i++)
			if (iface_in(w->r, m->entry[i].lo, m->number.key[0], w->p))
				return &m->entry[i];
		return m->has_rest ? &m->rest : NULL;
	}
	switch (m->number.kind) {
	case RULE_NUMBER_KEY:
		if (!fetch(w, m->number.key[0], &v))
			return NULL;
		break;
	case RULE_NUMBER_RANDOM:
		v = rng_below(&w->r->env->rng, m->number.mod);
		break;
	case RULE_NUMBER_INC:
		v = *turn;
		*turn = *turn + 1 < m->number.mod ? *turn + 1 : 0;
		break;
	case RULE_NUMBER_HASH:
		if (!hash_number(w, &m->number, &v))
			return NULL;
		break;
	}
	return nat_map_find(m, v + m->number.offset);
}

/* False when the map has nothing to say: then the rule is over, as in Linux. */
static bool nat_by_map(const struct walk *w, const struct insn *in)
{
	const struct nat_map *m = &w->r->rs->nat_map[in->a];
	const struct nat_map_entry *e = w->nat == NULL ? NULL : nat_map_pick(w, in);

	if (e == NULL)
		return false;
	*w->nat = m->action;
	w->nat->range = (struct nat_address_range){ e->addr, e->addr };
	if (m->has_ports) {
		w->nat->flags |= NAT_FLAG_PORT;
		w->nat->ports = e->ports;
	}
	return true;
}

static uint32_t set_value(const struct walk *w, const struct insn *in)
{
	uint32_t shift = insn_shift_of(in->b), v;

	switch (in->b & ((1u << INSN_SOURCE_BITS) - 1)) {
	case RULE_VALUE_META_MARK:
		v = w->p->mark;
		break;
	case RULE_VALUE_CT_MARK:
		v = *mark_of(w);
		break;
	default:
		return in->a;
	}
	v = shift < 32 ? v << shift : v >> (shift - 32);
	return (v & in->mask) ^ in->a;
}

/* True when the value is to be read from a connection that the packet does not have. */
static bool lacks_source(const struct walk *w, const struct insn *in)
{
	return (in->b & ((1u << INSN_SOURCE_BITS) - 1)) == RULE_VALUE_CT_MARK && conntrack_of(w->r->ct, w->p) == NULL;
}

/* False for what is no TCP: the rule ends there, as in Linux. Without the option nothing happens. */
static bool set_mss(const struct walk *w, const struct insn *in)
{
	struct packet *p = w->p;
	uint32_t mss = in->a;

	if (p->l4.kind != L4_TCP)
		return false;
	if (mss == 0) {
		/* What comes back goes out where this came in. */
		mss = ip_mtu(w->r->stack, p->out_ifindex);
		if (p->in_ifindex != 0)
			mss = min_u32(mss, ip_mtu(w->r->stack, p->in_ifindex));
		mss -= IPV4_HEADER_LEN + TCP_HEADER_LEN;
	}
	tcp_mss_clamp(packet_l4(p), &p->l4, (uint16_t)min_u32(mss, UINT16_MAX),
		      p->offload.csum_partial ? REWRITE_CHECK_PARTIAL : REWRITE_CHECK_FULL);
	return true;
}

static void reject(const struct walk *w, const struct insn *in)
{
	if (in->a == REJECT_TCP_RESET)
		tcp_send_reset(w->r->stack, w->p);
	else
		icmp_send_error(w->r->stack, w->p, ICMP_DEST_UNREACHABLE, (uint8_t)in->b, 0);
	packet_set_drop(w->p, DROP_RULE_REJECT);
}

/* What was learnt of the connection with another mark does not hold any more, nor does this walk's beginning. */
static void set_ct_mark(const struct walk *w, uint32_t mark)
{
	*mark_of(w) = mark;
	w->p->path = RULES_COUNTER_PATH_NONE;
	if (w->r->mark_changed != NULL)
		w->r->mark_changed(w->r->mark_changed_ctx, conn_index(w->p->conn_ref));
}

/* The walk asks for something that may be otherwise for the next packet of the flow. */
static void note_varies(const struct walk *w, const struct insn *in)
{
	const struct conn *c = conntrack_of(w->r->ct, w->p);

	/* ICMP never is. */
	if (in->varies == INSN_VARIES_UNTIL_ASSURED && c != NULL &&
	    ((c->status & CT_ASSURED) || c->half[CT_ORIGINAL].tuple.proto == IPPROTO_NR_ICMP))
		return;
	if (in->varies == INSN_VARIES_WITHOUT_PORTS && l4_kind_has_ports(w->p->l4.kind))
		return;
	w->p->path = RULES_COUNTER_PATH_NONE;
}

/* A first fragment: the others' bytes go to the same counter. */
static void note_hit(struct rules *r, uint32_t counter)
{
	struct ct_fragment_walk *walk = r->walk;

	if (walk->n_hits == CT_FRAGMENT_HITS_MAX)
		return;
	walk->hit[walk->n_hits].chain = r->walk_chain;
	walk->hit[walk->n_hits++].counter = counter;
}

/* Statements that change something and let the packet go on. False: the rule ends here. */
static bool act(const struct walk *w, const struct insn *in)
{
	struct counter *n;
	uint32_t mark;

	switch (in->op) {
	case INSN_COUNTER:
		n = &w->r->counter[in->a];
		n->packets++;
		n->bytes += w->p->ip.total_len;
		w->p->path = counter_path_step(w->r->paths, w->p->path, in->a);
		if (YG_UNLIKELY(w->r->walk != NULL))
			note_hit(w->r, in->a);
		return true;
	case INSN_LIMIT:
		return limit_take(&w->r->rs->limit[in->a], &w->r->limit[in->a], w->r->env->now);
	case INSN_NOTRACK: /* too late once conntrack has seen it */
		if (w->p->ct_info == CT_INFO_NONE)
			w->p->ct_info = CT_INFO_UNTRACKED;
		return true;
	case INSN_SET_MARK:
		if (lacks_source(w, in))
			return false;
		w->p->mark = set_value(w, in);
		return true;
	case INSN_SET_CT_MARK: /* without a connection there is nothing to set, and the rule goes on */
		if (conntrack_of(w->r->ct, w->p) == NULL)
			return !lacks_source(w, in);
		mark = set_value(w, in);
		if (mark != *mark_of(w))
			set_ct_mark(w, mark);
		return true;
	case INSN_SET_MSS:
		return set_mss(w, in);
	default:
		return matches(w, in);
	}
}

/* A verdict that ends the walk leaves VERDICT_CONTINUE or VERDICT_DROP in *out and returns true; the others move *in.
 */
static bool decide(struct walk *w, uint8_t op, uint32_t target, const struct insn **in, enum packet_verdict *out)
{
	const struct insn *insn = w->r->rs->insn;

	*out = VERDICT_CONTINUE;
	switch (op) {
	case INSN_ACCEPT:
		return true;
	case INSN_DROP:
		packet_set_drop(w->p, DROP_RULE_DROP);
		*out = VERDICT_DROP;
		return true;
	case INSN_JUMP:
		if (YG_UNLIKELY(w->depth == RULES_JUMP_MAX)) { /* check.c refuses such a ruleset */
			packet_set_drop(w->p, DROP_RULE_DROP);
			*out = VERDICT_DROP;
			return true;
		}
		w->stack[w->depth++] = &insn[(*in)->next];
		*in = &insn[target];
		return false;
	case INSN_GOTO:
		*in = &insn[target];
		return false;
	default: /* INSN_CONTINUE: with the next statement */
		(*in)++;
		return false;
	}
}

static enum packet_verdict policy(const struct base_chain *chain, struct packet *p)
{
	if (!chain->policy_drop)
		return VERDICT_CONTINUE;
	packet_set_drop(p, DROP_POLICY_DROP);
	return VERDICT_DROP;
}

/* What follows from a map: as decide, and *in stands behind the rule where the map has nothing. */
static bool decide_map(struct walk *w, const struct vmap_entry *e, const struct insn **in,
		       const struct base_chain *chain, enum packet_verdict *out)
{
	if (e == NULL) {
		*in = &w->r->rs->insn[(*in)->next];
		return false;
	}
	if (e->op != INSN_RETURN)
		return decide(w, e->op, e->target, in, out);
	if (w->depth == 0) {
		*out = policy(chain, w->p);
		return true;
	}
	*in = w->stack[--w->depth];
	return false;
}

/* One walk, compiled twice: `traced` is a constant, and costs nothing where it is false. */
static inline __attribute__((always_inline)) enum packet_verdict
walk_chain(struct rules *r, const struct base_chain *chain, struct packet *p, struct nat_action *nat, bool traced)
{
	struct walk w; /* the stack is written before it is read */
	const struct insn *insn = r->rs->insn, *in = &insn[chain->start];
	const struct vmap_entry *e;
	enum packet_verdict verdict;
	bool passed;

	w.r = r;
	w.p = p;
	w.nat = nat;
	w.depth = 0;
	for (;; in = passed ? in + 1 : &insn[in->next]) {
	again:
		if (YG_UNLIKELY(in->varies != INSN_SAME))
			note_varies(&w, in);
		switch (in->op) {
		/* What most rules ask for, without further calls. */
		case INSN_IFACE:
			passed = iface_in(r, in->a, in->key, p) != in->negate;
			break;
		case INSN_BITS:
			passed = in->key == KEY_CT_STATE ? ((ct_state_bit(p) & in->a) != 0) != in->negate
							 : matches(&w, in);
			break;
		case INSN_END:
		case INSN_RETURN:
			if (traced)
				rules_trace_return(r, p, in, w.depth == 0 ? chain : NULL);
			if (w.depth == 0)
				return policy(chain, p);
			in = w.stack[--w.depth];
			goto again;
		case INSN_ACCEPT:
		case INSN_DROP:
		case INSN_JUMP:
		case INSN_GOTO:
		case INSN_CONTINUE:
			if (traced)
				rules_trace_rule(r, p, in, in->op);
			if (decide(&w, in->op, in->a, &in, &verdict))
				return verdict;
			goto again;
		case INSN_VMAP:
			e = vmap_find(&w, in);
			if (traced && e != NULL)
				rules_trace_map(r, p, in, e->op, w.depth == 0 ? chain : NULL);
			if (decide_map(&w, e, &in, chain, &verdict))
				return verdict;
			goto again;
		case INSN_REJECT:
			if (traced)
				rules_trace_rule(r, p, in, in->op);
			reject(&w, in);
			return VERDICT_DROP;
		case INSN_NAT: /* check.c refuses it outside nat chains */
			passed = false;
			if (nat == NULL)
				break;
			*nat = r->rs->nat[in->a];
			if (traced)
				rules_trace_rule(r, p, in, in->op);
			return VERDICT_CONTINUE;
		case INSN_NAT_MAP:
			passed = false;
			if (!nat_by_map(&w, in))
				break;
			if (traced)
				rules_trace_rule(r, p, in, in->op);
			return VERDICT_CONTINUE;
		default:
			passed = act(&w, in);
			break;
		}
		if (traced && passed && in + 1 == &insn[in->next])
			rules_trace_rule(r, p, in, in->op);
	}
}

static __attribute__((noinline, cold)) enum packet_verdict walk_traced(struct rules *r, const struct base_chain *chain,
								       struct packet *p, struct nat_action *nat)
{
	return walk_chain(r, chain, p, nat, true);
}

enum packet_verdict rules_eval(struct rules *r, const struct base_chain *chain, struct packet *p,
			       struct nat_action *nat)
{
	if (env_traced(r->env))
		return walk_traced(r, chain, p, nat);
	return walk_chain(r, chain, p, nat, false);
}
