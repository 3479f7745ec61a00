/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Statements of a rule that change something: counters, limits, marks, a segment's MSS,
 * an answer to the sender. All but reject let the packet go on.
 */
#include "gateway/rules/rules_priv.h"

#include "base/util.h"
#include "stack/ip/icmp.h"
#include "stack/ip/route.h"
#include "stack/wire/icmp.h"
#include "stack/wire/rewrite.h"

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

/* Of a packet with a connection. */
static uint32_t *mark_of(const struct rules *r, const struct packet *p)
{
	return &conntrack_ext(r->ct, conn_index(p->conn_ref))->mark;
}

static uint32_t set_value(const struct rules *r, const struct packet *p, const struct insn *in)
{
	uint32_t shift = insn_shift_of(in->b), v;

	switch (in->b & ((1u << INSN_SOURCE_BITS) - 1)) {
	case RULE_VALUE_META_MARK:
		v = p->mark;
		break;
	case RULE_VALUE_CT_MARK:
		v = *mark_of(r, p);
		break;
	default:
		return in->a;
	}
	v = shift < 32 ? v << shift : v >> (shift - 32);
	return (v & in->mask) ^ in->a;
}

/* True when the value is to be read from a connection that the packet does not have. */
static bool lacks_source(const struct rules *r, const struct packet *p, const struct insn *in)
{
	return (in->b & ((1u << INSN_SOURCE_BITS) - 1)) == RULE_VALUE_CT_MARK && conntrack_of(r->ct, p) == NULL;
}

/* False for what is no TCP: the rule ends there, as in Linux. Without the option nothing happens. */
static bool set_mss(const struct rules *r, struct packet *p, const struct insn *in)
{
	uint32_t mss = in->a;

	if (p->l4.kind != L4_TCP)
		return false;
	if (mss == 0) {
		/* What comes back goes out where this came in. */
		mss = ip_mtu(r->stack, p->out_ifindex);
		if (p->in_ifindex != 0)
			mss = min_u32(mss, ip_mtu(r->stack, p->in_ifindex));
		mss -= IPV4_HEADER_LEN + TCP_HEADER_LEN;
	}
	tcp_mss_clamp(packet_l4(p), &p->l4, (uint16_t)min_u32(mss, UINT16_MAX),
		      p->offload.csum_partial ? REWRITE_CHECK_PARTIAL : REWRITE_CHECK_FULL);
	return true;
}

void rules_reject(struct rules *r, struct packet *p, const struct insn *in)
{
	if (in->a == REJECT_TCP_RESET)
		tcp_send_reset(r->stack, p);
	else
		icmp_send_error(r->stack, p, ICMP_DEST_UNREACHABLE, (uint8_t)in->b, 0);
	packet_set_drop(p, DROP_RULE_REJECT);
}

/* What was learnt of the connection with another mark does not hold any more, nor does this walk's beginning. */
static void set_ct_mark(struct rules *r, struct packet *p, uint32_t mark)
{
	*mark_of(r, p) = mark;
	p->path = RULES_COUNTER_PATH_NONE;
	if (r->mark_changed != NULL)
		r->mark_changed(r->mark_changed_ctx, conn_index(p->conn_ref));
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

bool rules_act(struct rules *r, struct packet *p, const struct insn *in)
{
	struct counter *n;
	uint32_t mark;

	switch (in->op) {
	case INSN_COUNTER:
		n = &r->counter[in->a];
		n->packets++;
		n->bytes += p->ip.total_len;
		p->path = counter_path_step(r->paths, p->path, in->a);
		if (YG_UNLIKELY(r->walk != NULL))
			note_hit(r, in->a);
		return true;
	case INSN_LIMIT:
		return limit_take(&r->rs->limit[in->a], &r->limit[in->a], r->env->now);
	case INSN_NOTRACK: /* too late once conntrack has seen it */
		if (p->ct_info != CT_INFO_NONE)
			return true;
		p->ct_info = CT_INFO_UNTRACKED;
		if (YG_UNLIKELY(p->in_ifindex == 0))
			rules_own_note(r, RULES_OWN_UNTRACKED, true, p,
				       rules_row_of(r->rs, (uint32_t)(in - r->rs->insn)));
		return true;
	case INSN_SET_MARK:
		if (lacks_source(r, p, in))
			return false;
		p->mark = set_value(r, p, in);
		return true;
	case INSN_SET_CT_MARK: /* without a connection there is nothing to set, and the rule goes on */
		if (conntrack_of(r->ct, p) == NULL)
			return !lacks_source(r, p, in);
		mark = set_value(r, p, in);
		if (mark != *mark_of(r, p))
			set_ct_mark(r, p, mark);
		return true;
	case INSN_SET_MSS:
		return set_mss(r, p, in);
	default:
		return false;
	}
}
