/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connection tracking at the hooks: whose packet is it.
 *
 * conntrack_in takes a batch in three passes, so that the waits for memory
 * overlap: hash every tuple for its place and prefetch the bucket; find the candidate in the
 * bucket and prefetch its connection; then work through the packets in order.
 * The order matters: the first packet of a flow creates the connection that the
 * second one, right behind it, finds.
 *
 * What comes of a packet:
 *   NEW, ESTABLISHED   it belongs to p->conn_ref
 *   RELATED            an ICMP error about p->conn_ref
 *   INVALID            it belongs to no connection and cannot begin one, or does not
 *                      fit into its own; left to the rules, as in Linux, but see
 *                      src/gateway/nat/invalid.c for those whose way is translated
 *   UNTRACKED          a rule said notrack
 *   dropped            a wrong checksum where it would matter, a full table
 *
 * Checksums are verified where a packet creates a connection or changes its
 * state: a damaged one must not. Plain packets of a connection go on as they are
 * and their receiver judges.
 *
 * A packet that comes round again (from us to us) keeps what it was given the
 * first time.
 *
 * The way of a first packet: conntrack_in, classify, track, begin; at the last hook
 * conntrack_confirm. What creates the connection and puts it into the table is life.c.
 *
 * Next: src/gateway/nat/hooks.c
 */
#include "gateway/conntrack/conntrack_priv.h"

bool conntrack_answers_unknown(const struct conntrack *ct, const struct packet *p)
{
	/* Where nobody knows which side is outside, nobody is told. */
	return ct->cfg.drop_unknown == 0 && ct->cfg.outside != 0 && p->in_ifindex != 0 &&
	       (ct->cfg.outside >> p->in_ifindex & 1) == 0;
}

uint16_t conntrack_reply_zone(const struct conntrack *ct, enum ip_hook hook, const struct packet *p)
{
	return hook == HOOK_INPUT || p->out_ifindex == 0 ? p->zone : conntrack_zone(ct, p->out_ifindex);
}

bool conntrack_fragment_id(struct conntrack *ct, const struct packet *p, uint16_t *id)
{
	const struct conn *c = conntrack_of(ct, p);

	if (c == NULL)
		return false;
	/* Followed under the addresses with which they came. */
	const struct tuple *t = &c->half[conn_dir(p->conn_ref)].tuple;
	return ct_fragment_identify(ct->fragments, p, t->src, t->dst, conntrack_zone_of(ct, p), id);
}

enum ct_fragment_place conntrack_fragment_place(struct conntrack *ct, const struct packet *p,
						struct ct_fragment_walk **walk)
{
	*walk = NULL;
	if (!ipv4_is_fragment(&p->ip) || p->datagram_serial == 0)
		return CT_FRAGMENT_NONE;
	*walk = ct_fragment_walk(ct->fragments, p);
	if (p->ip.frag_off == 0)
		return *walk == NULL ? CT_FRAGMENT_NONE : CT_FRAGMENT_FIRST;
	return *walk == NULL ? CT_FRAGMENT_LOST : CT_FRAGMENT_LATER;
}

/* The packet belongs to the connection: count it, and let it keep an unconfirmed one alive. */
static void attach(struct conntrack *ct, struct packet *p, uint32_t ref, enum ct_info info)
{
	struct conn *c = ct_conn(ct, conn_index(ref));

	c->half[conn_dir(ref)].packets++;
	c->half[conn_dir(ref)].bytes += p->ip.total_len;
	p->conn_ref = ref;
	p->ct_info = (uint8_t)info;
	if (!(c->status & CT_CONFIRMED))
		ct_hold(ct, conn_index(ref), p);
}

static void refuse(struct conntrack *ct, struct packet *p, enum drop_reason reason)
{
	packet_set_drop(p, reason);
	if (ct->ip.refused != NULL && p->in_ifindex != 0)
		ct->ip.refused(ct->ip_ctx, p);
}

/* False, and p is dropped, when its source has too many connections or opens them too fast. */
static bool source_allows(struct conntrack *ct, struct packet *p, const struct tuple *t, uint32_t *source)
{
	static const uint16_t reason[] = {
		[CT_SOURCE_TOO_MANY] = DROP_CT_SOURCE_LIMIT,
		[CT_SOURCE_TOO_FAST] = DROP_CT_SOURCE_RATE,
	};
	struct ct_source_limit limit = ct_source_limit_of(ct);
	struct ct_source_id id = {
		.addr = t->src,
		.zone = t->zone,
		.ifindex = (uint8_t)p->in_ifindex,
		.outside = (ct->cfg.outside >> p->in_ifindex & 1) != 0,
		.doubtful = p->in_ifindex != 0 && ct->ip.leads_back != NULL && !ct->ip.leads_back(ct->ip_ctx, p),
	};
	enum ct_source_verdict v = ct_source_enter(&ct->sources, &ct->key, &id, &limit, ct->env->now, source);

	if (v != CT_SOURCE_OK)
		refuse(ct, p, (enum drop_reason)reason[v]);
	else if (ct_source_is_crowded(*source))
		ct->counts[CT_COUNT_SOURCE_CROWDED]++;
	return v == CT_SOURCE_OK;
}

/* predecessor: an index, POOL_NONE for none. */
static void begin(struct conntrack *ct, struct packet *p, ct_place place, const struct tuple *t, uint32_t predecessor)
{
	const struct ct_protocol *proto = ct_protocol_of(t->proto);
	uint32_t source = CT_SOURCE_NONE;

	if (proto->can_begin != NULL && !proto->can_begin(ct, p)) {
		ct_set_invalid(ct, p);
		return;
	}
	if (!ct_checksum_ok(p)) {
		packet_set_drop(p, DROP_L4_CHECKSUM);
		return;
	}
	if ((ct->cfg.max_per_source != 0 || ct->cfg.new_per_source_s != 0) && !source_allows(ct, p, t, &source))
		return;
	uint32_t index = ct_create(ct, place, t);
	if (index == POOL_NONE) {
		ct_source_leave(&ct->sources, source);
		refuse(ct, p, DROP_CT_TABLE_FULL);
		return;
	}
	struct ct_ext *side = &ct->side[index];

	side->source = source;
	side->predecessor = predecessor;
	side->notes.zone = t->zone;
	ct_begin(ct, index, proto, p);
	attach(ct, p, index << 1 | CT_ORIGINAL, CT_INFO_NEW);
}

static bool changes_state(const struct ct_protocol *proto, const struct conn *c, enum ct_dir dir,
			  const struct packet *p)
{
	if (proto->changes_state != NULL && proto->changes_state(p))
		return true;
	return dir == CT_REPLY && !(c->status & CT_SEEN_REPLY);
}

static void go_on(struct conntrack *ct, struct packet *p, uint32_t ref, ct_place place, const struct tuple *t)
{
	uint32_t index = conn_index(ref);
	enum ct_dir dir = conn_dir(ref);
	struct conn *c = ct_conn(ct, index);
	const struct ct_protocol *proto = ct_protocol_of(t->proto);

	if (changes_state(proto, c, dir, p) && !ct_checksum_ok(p)) {
		packet_set_drop(p, DROP_L4_CHECKSUM);
		return;
	}
	ct_judgement j = proto->packet(ct, index, dir, p);
	if (j == CT_JUDGE_INVALID) {
		ct_set_invalid(ct, p);
		return;
	}
	if (j == CT_JUDGE_REOPEN && conntrack_may_end(ct)) {
		conntrack_end(ct, index, CT_END_REUSED);
		begin(ct, p, place, t, index);
		return;
	}
	ct_follow(ct, index, proto, j);
	if (dir == CT_REPLY)
		c->status |= CT_SEEN_REPLY;
	attach(ct, p, ref,
	       c->status & CT_SEEN_REPLY ? CT_INFO_ESTABLISHED
	       : c->status & CT_EXPECTED ? CT_INFO_RELATED
					 : CT_INFO_NEW);
}

/* Fragments that had to wait for the first one follow it in its batch. */
static void append_ready(struct conntrack *ct, struct batch *b)
{
	while (b->n < BATCH_MAX) {
		struct packet *p = ct_fragment_ready(ct->fragments);
		if (p == NULL)
			return;
		p->verdict = VERDICT_CONTINUE;
		batch_add(b, p);
	}
}

void conntrack_defrag(void *ctx, enum ip_hook hook, struct batch *b)
{
	struct conntrack *ct = ctx;
	uint32_t n = b->n;

	for (uint32_t i = 0; i < n; i++) {
		struct packet *p = b->p[i];
		if (YG_LIKELY(!ipv4_is_fragment(&p->ip)) || p->ct_info != CT_INFO_NONE)
			continue;
		ct_fragment_arrive(ct->fragments, ct->env, p, conntrack_zone_of(ct, p));
		/* It may come back further down in this very batch. */
		if (p->verdict == VERDICT_STOLEN)
			b->p[i] = NULL;
	}
	if (hook == HOOK_PREROUTING)
		append_ready(ct, b);
}

void ct_resume_ready(struct conntrack *ct)
{
	struct batch b = { .n = 0 };

	if (ct->ip.resume == NULL)
		return;
	for (append_ready(ct, &b); b.n > 0; append_ready(ct, &b)) {
		ct->ip.resume(ct->ip_ctx, &b);
		b.n = 0;
	}
}

/* A packet on its way through conntrack_in. */
struct track {
	ct_place place;
	struct tuple tuple;
	enum { TRACK_SKIP, TRACK_TUPLE, TRACK_ERROR, TRACK_LATER_FRAGMENT, TRACK_NONE } kind;
};

static void classify(struct conntrack *ct, const struct packet *p, struct track *t)
{
	uint16_t zone = conntrack_zone_of(ct, p);

	if (p->ct_info != CT_INFO_NONE && p->ct_info != CT_INFO_UNTRACKED)
		t->kind = TRACK_SKIP;
	else if (p->ct_info == CT_INFO_UNTRACKED)
		t->kind = TRACK_NONE;
	else if (p->l4.kind == L4_ICMP_ERROR)
		t->kind = TRACK_ERROR;
	else if (tuple_of_packet(p, zone, &t->tuple))
		t->kind = TRACK_TUPLE;
	else
		t->kind = p->ip.frag_off != 0 ? TRACK_LATER_FRAGMENT : TRACK_NONE;
	if (t->kind == TRACK_TUPLE) {
		t->place = p->has_flow_place ? p->flow_place : ct_place_of(ct, &t->tuple);
		ct_table_prefetch(&ct->table, t->place);
	}
}

/* What the tuple's packet will touch: its connection, or the one that it is going to begin, behind n_new others. */
static void prefetch_conn(const struct conntrack *ct, const struct track *t, uint32_t *n_new)
{
	const struct ct_bucket *b = ct_table_bucket(&ct->table, t->place);
	uint64_t m = ct_bucket_match(b, ct_place_tag(t->place));
	uint32_t index;

	if (m != 0) {
		index = conn_index(b->ref[ct_slot(m)]);
	} else {
		index = pool_upcoming(&ct->conns, (*n_new)++);
		if (index == POOL_NONE)
			return;
		prefetch_write(&ct->side[index]);
	}
	const struct conn *c = ct_conn(ct, index);

	prefetch_write(c);
	prefetch_write((const uint8_t *)c + 64);
}

/* A later fragment goes where its first one went. */
static void later_fragment(struct conntrack *ct, struct packet *p)
{
	struct ct_fragment_first first = ct_fragment_first_of(ct->fragments, p, conntrack_zone_of(ct, p));
	uint32_t ref;

	switch (first.fate) {
	case CT_FRAGMENT_UNTRACKED:
		p->ct_info = CT_INFO_UNTRACKED;
		return;
	case CT_FRAGMENT_TRACKED:
	case CT_FRAGMENT_RELATED:
		ref = conntrack_find(ct, &first.tuple);
		if (ref == CONN_NONE) {
			/* The first fragment was dropped, and its new connection with it. */
			packet_set_drop(p, DROP_FRAGMENT_ORPHAN);
		} else if (first.fate == CT_FRAGMENT_RELATED) {
			p->conn_ref = ref;
			p->ct_info = CT_INFO_RELATED;
			p->ct_icmp_error = true;
		} else {
			struct conn *c = ct_conn(ct, conn_index(ref));
			bool replied = c->status & CT_SEEN_REPLY;

			if (ct_protocol_of_conn(c)->later_fragment != NULL)
				ct_protocol_of_conn(c)->later_fragment(c, conn_dir(ref), &p->ip, &first);
			attach(ct, p, ref, replied ? CT_INFO_ESTABLISHED : CT_INFO_NEW);
		}
		return;
	case CT_FRAGMENT_UNKNOWN:
		packet_set_drop(p, DROP_FRAGMENT_ORPHAN);
		return;
	case CT_FRAGMENT_INVALID:
		ct_set_invalid(ct, p);
		return;
	}
}

/* Later fragments will ask what became of the first. */
static void judge_first_fragment(struct conntrack *ct, const struct packet *p)
{
	struct ct_fragment_first first = { .fate = CT_FRAGMENT_INVALID };

	if (p->ct_info == CT_INFO_UNTRACKED)
		first.fate = CT_FRAGMENT_UNTRACKED;
	else if (p->conn_ref != CONN_NONE && p->ct_info != CT_INFO_INVALID) {
		const struct conn *c = ct_conn(ct, conn_index(p->conn_ref));
		enum ct_dir dir = conn_dir(p->conn_ref);

		first.fate = p->ct_icmp_error ? CT_FRAGMENT_RELATED : CT_FRAGMENT_TRACKED;
		first.tuple = c->half[dir].tuple;
		if (ct_protocol_of_conn(c)->first_fragment != NULL)
			ct_protocol_of_conn(c)->first_fragment(c, dir, p, &first);
	}
	ct_fragment_judge(ct->fragments, p, conntrack_zone_of(ct, p), &first);
}

/* The tracker judges a segment by all of it, as far as that is known: by the end that a fragment that came before the
 * first has shown, else by the first fragment; the later ones then move the marks further. */
static void track(struct conntrack *ct, struct packet *p, const struct track *t)
{
	uint32_t ref = ct_find(ct, t->place, &t->tuple);
	uint32_t whole = 0, own = p->l4.payload_len;

	if (YG_UNLIKELY(p->ip.mf) && p->l4.kind == L4_TCP)
		whole = ct_fragment_whole_len(ct->fragments, p);
	if (whole != 0)
		p->l4.payload_len = (uint16_t)(own + whole - packet_l4_len(p));
	if (YG_UNLIKELY(ref == CONN_NONE && tuple_has_own_id(&t->tuple)))
		ref = ct_identity_learn(ct, &t->tuple, t->place);
	if (ref == CONN_NONE)
		begin(ct, p, t->place, &t->tuple, POOL_NONE);
	else
		go_on(ct, p, ref, t->place, &t->tuple);
	p->l4.payload_len = (uint16_t)own;
}

static void work(struct conntrack *ct, enum ip_hook hook, struct packet *p, struct track *t)
{
	switch (t->kind) {
	case TRACK_SKIP:
		return;
	case TRACK_TUPLE:
		track(ct, p, t);
		break;
	case TRACK_ERROR:
		ct_icmp_error(ct, hook, p);
		break;
	case TRACK_LATER_FRAGMENT:
		later_fragment(ct, p);
		return;
	case TRACK_NONE:
		if (p->ct_info != CT_INFO_UNTRACKED)
			ct_set_invalid(ct, p);
		break;
	}
	if (p->ip.mf && p->ip.frag_off == 0)
		judge_first_fragment(ct, p);
}

/* A connection is routed by one table in each direction, wherever its packets come in. */
uint16_t conntrack_table_zone(const struct conntrack *ct, uint32_t ref)
{
	uint32_t index = conn_index(ref);

	return conn_dir(ref) == CT_ORIGINAL ? ct->side[index].notes.zone
					    : ct_conn(ct, index)->half[CT_ORIGINAL].tuple.zone;
}

static void choose_table(const struct conntrack *ct, struct packet *p)
{
	if (p->conn_ref != CONN_NONE)
		p->zone = conntrack_table_zone(ct, p->conn_ref);
}

void conntrack_in(void *ctx, enum ip_hook hook, struct batch *b)
{
	struct conntrack *ct = ctx;
	struct track track[BATCH_MAX];
	uint32_t n_new = 0;

	/* Packets made here may come in the middle of another batch. */
	if (hook == HOOK_PREROUTING && b->n > 0 && b->p[0]->n_loops == 0)
		ct_flush_dying(ct);
	for (uint32_t i = 0; i < b->n; i++)
		classify(ct, b->p[i], &track[i]);
	for (uint32_t i = 0; i < b->n; i++)
		if (track[i].kind == TRACK_TUPLE)
			prefetch_conn(ct, &track[i], &n_new);
	for (uint32_t i = 0; i < b->n; i++)
		work(ct, hook, b->p[i], &track[i]);
	for (uint32_t i = 0; i < b->n && ct->has_zones; i++)
		choose_table(ct, b->p[i]);
	if (env_traced(ct->env))
		ct_trace(ct, b);
}

/* Where no rule says which side is outside, what is translated on its way out began inside. */
static bool is_from_outside(const struct conntrack *ct, const struct conn *c, const struct packet *p)
{
	if (p->in_ifindex == 0)
		return false;
	return ct->cfg.outside != 0 ? (ct->cfg.outside >> p->in_ifindex & 1) != 0 : !(c->status & CT_SNAT);
}

/* False, and p is dropped, when the connection cannot be confirmed. */
static bool confirm(struct conntrack *ct, enum ip_hook hook, struct packet *p, uint32_t index)
{
	struct conn *c = ct_conn(ct, index);

	if (!ct_make_room(ct)) {
		refuse(ct, p, DROP_CT_TABLE_FULL);
		return false;
	}
	if (!(c->status & CT_REPLY_RESERVED))
		c->half[CT_REPLY].tuple.zone = conntrack_reply_zone(ct, hook, p);
	if (is_from_outside(ct, c, p))
		c->status |= CT_OUTSIDE;
	if (!ct_confirm_one(ct, index)) {
		packet_set_drop(p, DROP_CT_CLASH);
		return false;
	}
	if (ct->workers.confirmed != NULL && !ct->workers.confirmed(ct->workers.ctx, index, p)) {
		ct_let_go(ct, p);
		conntrack_end(ct, index, CT_END_REFUSED);
		packet_set_drop(p, DROP_HANDOFF_RING);
		return false;
	}
	return true;
}

void conntrack_confirm(void *ctx, enum ip_hook hook, struct batch *b)
{
	struct conntrack *ct = ctx;

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];
		/* What nobody here takes leaves no trace, as what a rule drops. */
		if (!p->conn_unconfirmed || p->unclaimed)
			continue;
		uint32_t index = conn_index(p->conn_ref);
		if (ct_conn(ct, index)->status & (CT_CONFIRMED | CT_DYING))
			ct->counts[CT_COUNT_CLASH_RESOLVED]++;
		else if (!confirm(ct, hook, p, index))
			continue;
		ct_let_go(ct, p);
	}
}
