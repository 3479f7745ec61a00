/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One UPDATE. Its three parts are found by their lengths, and the prefixes are read to the end before any attribute is,
 * since nothing can be treated as withdrawn that was not understood (RFC 7606 sections 3 j, 5.3).
 *
 * Attributes then pass one gate each (take): repeated ones, those of no row, those that this peer has no say in, flags,
 * length, value. What is kept goes into a list by type. An error is noted with what comes of it, and the strongest
 * stands; the walk ends early only where the session does. When all are read, the message as a whole is judged: is what
 * must be there there, is the path whole (AS4_PATH) and the peer's, is a next hop one. Malformed
 * attributes of a message that announces nothing reset the session (section 5.2), for what it announces may be what was
 * not understood.
 *
 * Where the RFCs leave a choice:
 * - An attribute that runs over the block is withdrawn (section 4), but MP_REACH_NLRI and MP_UNREACH_NLRI reset: their
 *   prefixes are lost.
 * - LOCAL_PREF need not be there from an internal peer: without it it is 100, as with BIRD. (RFC 4271 section 5.1.5
 * says that it shall be sent, and not that it is mandatory.)
 * - An attribute of type 0 is dropped, and not passed on, as with OpenBGPD.
 * - AS_SETs are withdrawn (RFC 9774) unless the session takes them.
 *
 * Next: src/stack/wire/bgp_message.c
 */
#include "stack/wire/bgp_update.h"

#include <string.h>

#include "base/reader.h"
#include "base/util.h"
#include "stack/wire/bgp_attr_priv.h"
#include "stack/wire/bytes.h"

#define FLAGS_KEPT (BGP_OPTIONAL | BGP_TRANSITIVE | BGP_PARTIAL)

struct parse {
	const struct bgp_wire *w;
	struct bgp_update *u;
	struct bgp_attrs *a;
	struct bgp_error *e;
	enum bgp_disposition disposition;
	uint64_t seen[4];     /* a bit for each type that was met */
	bool any_but_unreach; /* something other than MP_UNREACH_NLRI was */
	struct bgp_path path; /* AS_PATH as received; p NULL: none, or malformed */
};

static void note(struct parse *s, enum bgp_disposition d, struct bgp_fault f, uint8_t attr, const uint8_t *data,
		 size_t data_len)
{
	if (d <= s->disposition)
		return;
	s->disposition = d;
	*s->e = (struct bgp_error){ BGP_UPDATE_ERROR, (uint8_t)f.subcode, attr, (uint16_t)data_len, data, f.why };
}

static bool has_seen(const struct parse *s, uint8_t type)
{
	return (s->seen[type / 64] >> type % 64 & 1) != 0;
}

/* --- one attribute --- */

/* Where types ascend, as they mostly do, this is the end. */
static void keep(struct bgp_attrs *a, const struct bgp_attr *at)
{
	uint32_t i = a->n++;

	for (; i > 0 && a->list[i - 1].type > at->type; i--)
		a->list[i] = a->list[i - 1];
	a->list[i] = *at;
	if (at->type < 64)
		a->present |= UINT64_C(1) << at->type;
}

/* RFC 4271 section 5: passed on if transitive, and Partial then; else ignored. */
static void take_unknown(struct parse *s, struct bgp_attr *at, const uint8_t *whole, size_t whole_len)
{
	if ((at->flags & BGP_OPTIONAL) == 0) {
		note(s, BGP_RESET, (struct bgp_fault){ BGP_UNKNOWN_WELL_KNOWN, "well-known, but not to us" }, at->type,
		     whole, whole_len);
		return;
	}
	if ((at->flags & BGP_TRANSITIVE) == 0 || at->type == 0)
		return;
	at->flags |= BGP_PARTIAL;
	keep(s->a, at);
}

static bool is_length_right(const struct bgp_attr_row *row, uint16_t len)
{
	if (len < row->len_min)
		return false;
	return row->len_each == 0 ? len == row->len_min : (len - row->len_min) % row->len_each == 0;
}

/* Also with wrong flags the value is looked at: prefixes that cannot be read are worse than those. */
static void take_known(struct parse *s, const struct bgp_attr_row *row, struct bgp_attr *at, const uint8_t *whole,
		       size_t whole_len)
{
	struct bgp_fault f = { 0 };
	bool flags_right = ((at->flags ^ row->flags) & (BGP_OPTIONAL | BGP_TRANSITIVE)) == 0;

	if ((row->ignored & bgp_from(s->w)) != 0)
		return;
	if (!is_length_right(row, at->len))
		f = (struct bgp_fault){ (enum bgp_update_subcode)row->len_subcode, "length" };
	else if (row->read != NULL)
		f = row->read(s->a, s->w, at);
	if (f.why != NULL)
		note(s, row->on_error, f, at->type, whole, whole_len);
	if (!flags_right) /* whatever the attribute: section 3 c */
		note(s, BGP_WITHDRAW, (struct bgp_fault){ BGP_BAD_ATTR_FLAGS, "flags" }, at->type, whole, whole_len);
	if (f.why != NULL || !flags_right || !row->is_kept)
		return;
	if (row->flags != (BGP_OPTIONAL | BGP_TRANSITIVE)) /* RFC 4271 section 4.3: else it must be 0 */
		at->flags &= (uint8_t)~BGP_PARTIAL;
	keep(s->a, at);
	if (at->type == BGP_AS_PATH)
		s->path = (struct bgp_path){ at->value, at->len, s->w->as4 ? BGP_AS4 : BGP_AS2 };
}

static bool has_prefixes(uint8_t type)
{
	return type == BGP_MP_REACH || type == BGP_MP_UNREACH;
}

static void take(struct parse *s, struct bgp_attr *at, const uint8_t *whole, size_t whole_len)
{
	const struct bgp_attr_row *row = bgp_attr_row(at->type);

	if (has_seen(s, at->type)) {
		/* Section 3 g: the first one stands, but prefixes that come twice are not to be told apart. */
		if (has_prefixes(at->type))
			note(s, BGP_RESET, (struct bgp_fault){ BGP_MALFORMED_LIST, "twice" }, at->type, NULL, 0);
		return;
	}
	s->seen[at->type / 64] |= UINT64_C(1) << at->type % 64;
	s->any_but_unreach |= at->type != BGP_MP_UNREACH;
	if (row == NULL)
		take_unknown(s, at, whole, whole_len);
	else
		take_known(s, row, at, whole, whole_len);
}

/* Section 4: what is cut off is withdrawn; of prefixes that are, nobody knows which. */
static void note_cut(struct parse *s, uint8_t type)
{
	bool is_mp = has_prefixes(type);
	struct bgp_fault f = { is_mp ? BGP_BAD_OPTIONAL : BGP_MALFORMED_LIST, "runs over the attributes' length" };

	s->any_but_unreach = true;
	note(s, is_mp ? BGP_RESET : BGP_WITHDRAW, f, type, NULL, 0);
}

static void walk(struct parse *s, struct reader r)
{
	while (r.n_left > 0 && s->disposition < BGP_RESET) {
		const uint8_t *whole = r.p;
		uint8_t flags = reader_u8(&r), type = reader_u8(&r);
		bool has_type = !r.failed;
		size_t len = (flags & BGP_EXTENDED_LENGTH) != 0 ? reader_be16(&r) : reader_u8(&r);
		const uint8_t *value = reader_bytes(&r, len);

		if (value == NULL) {
			note_cut(s, has_type ? type : 0);
			return;
		}
		struct bgp_attr at = { value, (uint16_t)len, type, flags & FLAGS_KEPT };
		take(s, &at, whole, (size_t)(value - whole) + len);
	}
}

/* --- the path --- */

static struct bgp_attr *find(struct bgp_attrs *a, uint8_t type)
{
	if (!bgp_attrs_have(a, (enum bgp_attr_type)type))
		return NULL;
	for (uint32_t i = 0; i < a->n; i++)
		if (a->list[i].type == type)
			return &a->list[i];
	return NULL;
}

static void drop(struct bgp_attrs *a, uint8_t type)
{
	struct bgp_attr *at = find(a, type);

	if (at == NULL)
		return;
	a->n--;
	memmove(at, at + 1, (size_t)(a->list + a->n - at) * sizeof(*at));
	a->present &= ~(UINT64_C(1) << type);
}

/* RFC 6793 section 4.2.3, of a peer with two octets. */
static void restore_as4(struct parse *s)
{
	struct bgp_attrs *a = s->a;
	struct bgp_attr *aggregator = find(a, BGP_AGGREGATOR), *as4_aggregator = find(a, BGP_AS4_AGGREGATOR);
	struct bgp_attr *path = find(a, BGP_AS_PATH), *as4_path = find(a, BGP_AS4_PATH);

	if (aggregator != NULL) {
		uint32_t as = bytes_get16(aggregator->value);

		if (as4_aggregator != NULL && as != BGP_AS_TRANS)
			as4_path = NULL;
		if (as4_aggregator != NULL && as == BGP_AS_TRANS) {
			memcpy(a->aggregator, as4_aggregator->value, sizeof(a->aggregator));
		} else {
			bytes_put32(a->aggregator, as);
			memcpy(a->aggregator + BGP_AS4, aggregator->value + BGP_AS2, 4);
		}
		aggregator->value = a->aggregator;
		aggregator->len = sizeof(a->aggregator);
	}
	if (path != NULL) {
		size_t len = as4_path == NULL
				     ? 0
				     : bgp_path_merge(a->path, s->path,
						      (struct bgp_path){ as4_path->value, as4_path->len, BGP_AS4 });

		if (len == 0)
			len = bgp_path_widen(a->path, s->path);
		path->value = a->path;
		path->len = (uint16_t)len;
		s->path = (struct bgp_path){ a->path, len, BGP_AS4 };
	}
	drop(a, BGP_AS4_AGGREGATOR);
	drop(a, BGP_AS4_PATH);
}

static bool announces(const struct parse *s)
{
	return s->u->nlri.len > 0 || has_seen(s, BGP_MP_REACH);
}

/* A path that is well formed and may still not be taken: that is nothing to a message that only withdraws. */
static void judge_path(struct parse *s)
{
	struct bgp_path_facts f;
	struct bgp_fault fault = { 0 };

	if (s->path.p == NULL || !announces(s))
		return;
	(void)bgp_path_check(s->path, s->w->local_as, &f);
	s->a->n_hops = f.n_hops;
	s->a->n_own = f.n_own;
	s->a->neighbor_as = f.first;
	if (f.has_set && !s->w->takes_as_sets)
		fault = (struct bgp_fault){ BGP_BAD_AS_PATH, "AS_SET (RFC 9774)" };
	/* RFC 4271 section 6.3. */
	if (bgp_kind_of(s->w) == BGP_EXTERNAL && s->path.len == 0)
		fault = (struct bgp_fault){ BGP_BAD_AS_PATH, "empty path of an external peer" };
	else if (bgp_kind_of(s->w) == BGP_EXTERNAL && !s->w->any_first_as && f.first != s->w->peer_as)
		fault = (struct bgp_fault){ BGP_BAD_AS_PATH, "the first AS is not the peer's" };
	if (fault.why != NULL)
		note(s, BGP_WITHDRAW, fault, BGP_AS_PATH, NULL, 0);
}

/* --- the message --- */

static void want(struct parse *s, enum bgp_attr_type type)
{
	static const uint8_t types[] = {
		[BGP_ORIGIN] = BGP_ORIGIN, [BGP_AS_PATH] = BGP_AS_PATH, [BGP_NEXT_HOP] = BGP_NEXT_HOP
	};

	if (!has_seen(s, (uint8_t)type))
		note(s, BGP_WITHDRAW, (struct bgp_fault){ BGP_MISSING_WELL_KNOWN, "missing" }, (uint8_t)type,
		     &types[type], 1);
}

/* RFC 4271 section 6.3: one that no host can have, or that is ours. */
static void judge_next_hop(struct parse *s, uint32_t addr)
{
	const char *why = !ip4_is_unicast(addr)      ? "not a host's address"
			  : addr == s->w->local_addr ? "our own address"
						     : NULL;

	if (why != NULL)
		note(s, BGP_WITHDRAW, (struct bgp_fault){ BGP_BAD_NEXT_HOP, why }, BGP_NEXT_HOP, NULL, 0);
}

static void judge(struct parse *s)
{
	struct bgp_attrs *a = s->a;

	if (!s->w->as4)
		restore_as4(s);
	judge_path(s);
	if (!announces(s)) {
		/* Section 5.2. */
		if (s->disposition == BGP_WITHDRAW && s->any_but_unreach)
			s->disposition = BGP_RESET;
		return;
	}
	want(s, BGP_ORIGIN);
	want(s, BGP_AS_PATH);
	if (s->u->nlri.len > 0) {
		want(s, BGP_NEXT_HOP);
		if (bgp_attrs_have(a, BGP_NEXT_HOP))
			judge_next_hop(s, a->next_hop);
	}
	if (a->reach.nlri.len > 0)
		judge_next_hop(s, a->reach.next_hop);
	s->u->is_loop =
		a->n_own > 0 || a->is_own_cluster || (a->originator_id != 0 && a->originator_id == s->w->local_id);
}

static void find_end_of_rib(struct parse *s, size_t attrs_len)
{
	const struct bgp_update *u = s->u;

	s->u->is_end_of_rib =
		s->disposition == BGP_ACCEPT && u->withdrawn.len == 0 && u->nlri.len == 0 &&
		(attrs_len == 0 || (s->a->unreach.is_ours && s->a->unreach.nlri.len == 0 && !s->any_but_unreach));
}

/* The parts by their lengths, and whether all prefixes are some. */
static bool divide(const uint8_t *p, size_t len, struct bgp_update *u, struct bgp_nlri *attrs, struct parse *s)
{
	struct reader r = reader_of(p + BGP_HEADER_LEN, len - BGP_HEADER_LEN);

	u->withdrawn.len = reader_be16(&r);
	u->withdrawn.p = reader_bytes(&r, u->withdrawn.len);
	attrs->len = reader_be16(&r);
	attrs->p = reader_bytes(&r, attrs->len);
	u->nlri = (struct bgp_nlri){ r.p, r.n_left };
	if (r.failed) {
		note(s, BGP_RESET, (struct bgp_fault){ BGP_MALFORMED_LIST, "lengths beyond the message" }, 0, NULL, 0);
		return false;
	}
	if (!bgp_nlri_check(u->withdrawn) || !bgp_nlri_check(u->nlri)) {
		note(s, BGP_RESET, (struct bgp_fault){ BGP_BAD_NETWORK, "prefixes cut, or too long" }, 0, NULL, 0);
		return false;
	}
	return true;
}

static void clear(struct bgp_update *u)
{
	/* Not the list and the room behind it: they are written before they are read. */
	memset(u, 0, offsetof(struct bgp_update, attrs) + offsetof(struct bgp_attrs, list));
	u->attrs.local_pref = BGP_LOCAL_PREF_DEFAULT;
}

enum bgp_disposition bgp_update_parse(const struct bgp_wire *w, const uint8_t *p, size_t len, struct bgp_update *u,
				      struct bgp_error *e)
{
	struct parse s = { .w = w, .u = u, .a = &u->attrs, .e = e };
	struct bgp_nlri attrs;

	*e = (struct bgp_error){ 0 };
	clear(u);
	if (!divide(p, len, u, &attrs, &s))
		return s.disposition;
	walk(&s, reader_of(attrs.p, attrs.len));
	if (s.disposition < BGP_RESET)
		judge(&s);
	find_end_of_rib(&s, attrs.len);
	return s.disposition;
}

/* --- written --- */

/* As many prefixes as fit; returns bytes. */
static size_t put_prefixes(uint8_t *p, size_t room, const struct ip4_prefix **list, size_t *n)
{
	size_t len = 0;

	while (*n > 0 && bgp_prefix_len((*list)->len) <= room - len) {
		len += bgp_prefix_emit(p + len, **list);
		++*list;
		--*n;
	}
	return len;
}

size_t bgp_update_emit(uint8_t *p, struct bgp_update_job *job)
{
	uint8_t *body = p + BGP_HEADER_LEN;
	size_t room = BGP_MESSAGE_MAX - BGP_HEADER_LEN - 4, len = 0;

	if (job->n_withdrawn > 0) {
		len = put_prefixes(body + 2, room, &job->withdrawn, &job->n_withdrawn);
		bytes_put16(body, (uint16_t)len);
		bytes_put16(body + 2 + len, 0);
	} else if (job->n_nlri > 0 && job->attrs_len <= BGP_EMITTED_MAX) {
		bytes_put16(body, 0);
		bytes_put16(body + 2, (uint16_t)job->attrs_len);
		memcpy(body + 4, job->attrs, job->attrs_len);
		len = job->attrs_len;
		len += put_prefixes(body + 4 + len, room - len, &job->nlri, &job->n_nlri);
	} else {
		return 0;
	}
	len += BGP_HEADER_LEN + 4;
	(void)bgp_header_emit(p, BGP_UPDATE, len);
	return len;
}

size_t bgp_end_of_rib_emit(uint8_t *p)
{
	uint8_t *body = bgp_header_emit(p, BGP_UPDATE, BGP_HEADER_LEN + 4);

	memset(body, 0, 4);
	return BGP_HEADER_LEN + 4;
}
