/* SPDX-License-Identifier: BSD-2-Clause
 *
 * PPTP (RFC 2637): a control connection on TCP port 1723, and for each call that it
 * agrees on a flow of GRE, whose packets carry the number by which their receiver
 * knows the call. Each end chooses its number by itself, so two hosts behind one
 * address may choose the same; then the server's packets could not be told apart.
 *
 * So the control messages of a connection whose source is translated are read, and
 * the number that the inside has chosen (`inside`) is replaced by one that nobody
 * else has on that address (`outside`, itself if it is free). The other way round
 * where the server names it. Both are 16 bits at fixed places, so no segment changes
 * its length. When the reply says that the call stands, both directions of its GRE
 * flow are known, and it begins as a connection of its own (conntrack_expect),
 * RELATED to this one. So it is, without numbers that change, where only the
 * destination is translated, or nothing.
 *
 * A message is read where a segment begins with one; several may follow one
 * another. One that begins in one segment and ends in the next is not translated:
 * nobody sends them so.
 *
 * A host inside has NAT_CALLS_PER_HOST calls at most (hosts that fall together share
 * them), so no host takes all that there are; and a server begins no call that nobody
 * inside has named.
 *
 * Life of a call: from the message that names it first until its GRE flow has ended
 * and some time has passed, or until it is taken down by a message. The number is
 * held in a map of the address (PORT_PROTO_CALL), the call being its holder: what the GRE
 * connection itself holds is nothing.
 *
 * What always holds: a call stands in both chains and holds its number; one that is
 * not in use has `until` 0.
 */
#include "gateway/nat/nat_priv.h"
#include "stack/wire/pptp.h"
#include "stack/wire/rewrite.h"

#include <errno.h>

/* A call whose flow is not there: not yet, or no more. */
#define WAIT_NS (60 * NS_PER_S)
#define LOOK_NS (10 * NS_PER_S)

int nat_calls_init(struct nat_calls *c)
{
	for (uint32_t i = 0; i < NAT_CALLS_MAX; i++)
		c->in[i] = c->out[i] = NAT_NONE;
	c->next_look = TIME_NEVER;
	return pool_init(&c->pool, NAT_CALLS_MAX, sizeof(struct nat_call), _Alignof(struct nat_call)) != 0 ? -ENOMEM
													   : 0;
}

void nat_calls_fini(struct nat_calls *c)
{
	pool_fini(&c->pool);
}

static struct nat_call *call_at(const struct nat *n, uint32_t i)
{
	return pool_at(&n->calls.pool, i);
}

static uint32_t *in_bucket(struct nat *n, const struct nat_call *c)
{
	uint64_t hosts = (uint64_t)c->inside_addr << 32 | c->remote, rest = (uint64_t)c->inside << 16 | c->inside_zone;

	return &n->calls.in[siphash13_16(&n->key, hosts, rest) % NAT_CALLS_MAX];
}

static uint16_t *n_of_host(struct nat *n, const struct nat_call *c)
{
	return &n->calls.n_of_host[siphash13_16(&n->key, c->inside_addr, c->inside_zone) % NAT_CALL_HOSTS];
}

static uint32_t *out_bucket(struct nat *n, const struct nat_call *c)
{
	uint64_t hosts = (uint64_t)c->outside_addr << 32 | c->remote,
		 rest = (uint64_t)c->outside << 16 | c->outside_zone;

	return &n->calls.out[siphash13_16(&n->key, hosts, rest) % NAT_CALLS_MAX];
}

/* The two ends of a control connection. */
static struct nat_call ends_of(const struct conn *c)
{
	const struct tuple *o = &c->half[CT_ORIGINAL].tuple, *r = &c->half[CT_REPLY].tuple;

	return (struct nat_call){ .inside_addr = o->src,
				  .inside_zone = o->zone,
				  .remote = r->src,
				  .outside_addr = r->dst,
				  .outside_zone = r->zone };
}

static bool same_ends(const struct nat_call *a, const struct nat_call *b)
{
	return a->inside_addr == b->inside_addr && a->inside_zone == b->inside_zone && a->remote == b->remote &&
	       a->outside_addr == b->outside_addr && a->outside_zone == b->outside_zone;
}

static struct nat_call *find_inside(struct nat *n, const struct nat_call *like)
{
	for (uint32_t i = *in_bucket(n, like); i != NAT_NONE; i = call_at(n, i)->in_chain)
		if (call_at(n, i)->inside == like->inside && same_ends(call_at(n, i), like))
			return call_at(n, i);
	return NULL;
}

static struct nat_call *find_outside(struct nat *n, const struct nat_call *like)
{
	for (uint32_t i = *out_bucket(n, like); i != NAT_NONE; i = call_at(n, i)->out_chain)
		if (call_at(n, i)->outside == like->outside && same_ends(call_at(n, i), like))
			return call_at(n, i);
	return NULL;
}

/* A number that nobody has on the address: held from here on. 0: there is none. */
static uint16_t take_number(struct nat *n, uint32_t address, uint16_t wanted)
{
	struct port_request request = { .set = &n->identifiers, .port = wanted };
	uint32_t number = ports_take(n->ports, address, PORT_PROTO_CALL, &request, NULL, NULL);

	return number == PORT_NONE ? 0 : (uint16_t)number;
}

static struct nat_call *make_call(struct nat *n, const struct nat_call *like)
{
	if (*n_of_host(n, like) >= NAT_CALLS_PER_HOST)
		return NULL;
	uint32_t address = nat_ports_address(n, like->outside_addr, like->outside_zone), i = pool_alloc(&n->calls.pool);

	if (address == PORTS_NONE || i == POOL_NONE)
		goto free_call;
	struct nat_call *c = call_at(n, i);

	*c = *like;
	c->address = address;
	c->outside = take_number(n, address, like->inside);
	if (c->outside == 0)
		goto free_call;
	uint32_t *in = in_bucket(n, c), *out = out_bucket(n, c);
	c->in_chain = *in;
	c->out_chain = *out;
	*in = *out = i;
	++*n_of_host(n, c);
	n->calls.next_look = min_u64(n->calls.next_look, n->env->now + LOOK_NS);
	return c;

free_call:
	if (i != POOL_NONE)
		pool_free(&n->calls.pool, i);
	return NULL;
}

static void free_call(struct nat *n, struct nat_call *c)
{
	uint32_t i = (uint32_t)(c - call_at(n, 0)), *link = in_bucket(n, c);

	while (*link != i)
		link = &call_at(n, *link)->in_chain;
	*link = c->in_chain;
	link = out_bucket(n, c);
	while (*link != i)
		link = &call_at(n, *link)->out_chain;
	*link = c->out_chain;
	ports_give_back(n->ports, c->address, PORT_PROTO_CALL, c->outside);
	--*n_of_host(n, c);
	pool_free(&n->calls.pool, i);
}

/* What comes from the server. */
static struct tuple flow_to_outside(const struct nat_call *c)
{
	return (struct tuple){ .src = c->remote,
			       .dst = c->outside_addr,
			       .dport = c->outside,
			       .proto = IPPROTO_NR_GRE,
			       .id = L4_ID_CALL,
			       .zone = c->outside_zone };
}

/* The others speak of a call that there is. */
static bool may_begin_call(const struct pptp_message *m)
{
	return m->type != PPTP_CALL_CLEAR_REQUEST && m->type != PPTP_CALL_DISCONNECT_NOTIFY;
}

/* The number in a message from the inside. False when none is left. */
static bool number_out(struct nat *n, const struct conn *c, const struct pptp_message *m, uint16_t *outside)
{
	struct nat_call like = ends_of(c);

	*outside = m->own;
	if (!(c->status & CT_SNAT))
		return true;
	like.inside = m->own;
	struct nat_call *call = find_inside(n, &like);
	if (call == NULL && !may_begin_call(m))
		return true;
	if (call == NULL)
		call = make_call(n, &like);
	if (call == NULL)
		return false;
	call->until = n->env->now + WAIT_NS;
	*outside = call->outside;
	return true;
}

/* `number` of a message to the inside becomes the inside's own. False for a call that nobody there has named. */
static bool number_in(struct nat *n, const struct conn *c, uint16_t *number)
{
	struct nat_call like = ends_of(c);

	if (!(c->status & CT_SNAT))
		return true;
	like.outside = *number;
	const struct nat_call *call = find_outside(n, &like);
	if (call != NULL)
		*number = call->inside;
	return call != NULL;
}

/* Both numbers of a call: as the inside host knows it, as the server's packets name it, and the server's own. */
struct numbers {
	uint16_t inside, outside, remote;
};

/* The flow of GRE in both directions. It begins in that of p. */
static void begin_flow(struct nat *n, const struct packet *p, const struct conn *control, const struct numbers *k)
{
	const struct tuple *o = &control->half[CT_ORIGINAL].tuple, *r = &control->half[CT_REPLY].tuple;
	struct tuple t[N_CT_DIRS] = {
		[CT_ORIGINAL] = { .src = o->src, .dst = o->dst, .dport = k->remote, .zone = o->zone },
		[CT_REPLY] = { .src = r->src, .dst = r->dst, .dport = k->outside, .zone = r->zone },
	};
	const uint16_t becomes[N_CT_DIRS] = { k->remote, k->inside };
	enum ct_dir dir = conn_dir(p->conn_ref);

	for (int d = 0; d < N_CT_DIRS; d++) {
		t[d].proto = IPPROTO_NR_GRE;
		t[d].id = L4_ID_CALL;
	}
	uint32_t ref = conntrack_find(n->ct, &t[CT_ORIGINAL]), other = conntrack_find(n->ct, &t[CT_REPLY]);
	/* The reply once more. */
	if (ref != CONN_NONE && other != CONN_NONE && conn_index(ref) == conn_index(other))
		return;
	uint32_t index = conntrack_expect(n->ct, p, &t[dir], &t[!dir]);
	if (index == CONN_NONE)
		return;
	struct conn *c = conntrack_conn(n->ct, index);

	for (int d = 0; d < N_CT_DIRS; d++)
		c->half[d].datagram.dport = becomes[d == CT_ORIGINAL ? dir : !dir];
}

static void end_flow(struct nat *n, const struct conn *control, enum ct_dir dir, uint16_t own)
{
	const struct tuple *to = &control->half[!dir].tuple;
	struct tuple t = { .src = to->src,
			   .dst = to->dst,
			   .dport = own,
			   .proto = IPPROTO_NR_GRE,
			   .id = L4_ID_CALL,
			   .zone = to->zone };
	uint32_t ref = conntrack_find(n->ct, &t);

	/* A segment may end any number of them; what does not end now ends when nothing comes any more. */
	if (ref != CONN_NONE && conntrack_may_end(n->ct))
		conntrack_end(n->ct, conn_index(ref), CT_END_CLOSED);
}

/* One message; false when the packet cannot go on. */
static bool take_message(struct nat *n, struct packet *p, const struct conn *c, uint8_t *bytes, struct pptp_message *m,
			 uint32_t *delta)
{
	enum ct_dir dir = conn_dir(p->conn_ref);
	uint16_t own = m->own, peer = m->peer;
	bool known = true;
	struct numbers k;

	if (dir == CT_ORIGINAL) {
		if (m->has_own && !number_out(n, c, m, &own))
			return false;
		k = (struct numbers){ .inside = m->own, .outside = own, .remote = m->peer };
	} else {
		if (m->has_peer)
			known = number_in(n, c, &peer);
		k = (struct numbers){ .inside = peer, .outside = m->peer, .remote = m->own };
	}
	*delta += pptp_write(bytes, m, own, peer);
	if (m->connected && known)
		begin_flow(n, p, c, &k);
	if (m->type == PPTP_CALL_DISCONNECT_NOTIFY)
		end_flow(n, c, dir, own);
	return true;
}

void nat_pptp(struct nat *n, struct packet *p)
{
	const struct conn *c = conntrack_of(n->ct, p);
	uint32_t delta = 0, at = 0;
	struct pptp_message m;

	if (p->l4.kind != L4_TCP || p->verdict != VERDICT_CONTINUE || ipv4_is_fragment(&p->ip) ||
	    !(c->status & CT_CONFIRMED))
		return;
	/* What the host may send again stays as it is. */
	if (!packet_unshare(n->env->pool, p)) {
		packet_set_drop(p, DROP_NO_BUFFER);
		return;
	}
	uint8_t *payload = packet_l4(p) + p->l4.header_len;

	for (; at % 2 == 0 && pptp_parse(payload + at, p->l4.payload_len - at, &m); at += m.len) {
		if (!take_message(n, p, c, payload + at, &m, &delta)) {
			packet_set_drop(p, DROP_NAT_EXHAUSTED);
			return;
		}
	}
	if (delta != 0 && !p->offload.csum_partial)
		tcp_check_mend(packet_l4(p), &p->l4, delta);
}

/* Time. */

static void look(struct nat *n)
{
	for (uint32_t i = 0; i < n->calls.pool.n_fresh; i++) {
		struct nat_call *c = call_at(n, i);
		struct tuple flow = flow_to_outside(c);

		if (c->until == 0)
			continue;
		if (conntrack_find(n->ct, &flow) != CONN_NONE)
			c->until = n->env->now + WAIT_NS;
		if (c->until <= n->env->now) {
			c->until = 0; /* not in use */
			free_call(n, c);
		}
	}
}

void nat_calls_expire(struct nat *n)
{
	if (n->calls.next_look > n->env->now)
		return;
	look(n);
	n->calls.next_look = n->calls.pool.n_used > 0 ? n->env->now + LOOK_NS : TIME_NEVER;
}

uint64_t nat_calls_deadline(const struct nat *n)
{
	return n->calls.next_look;
}
