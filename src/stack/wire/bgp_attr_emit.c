/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Attributes written: as a set, in the one form in which they are kept and compared, and from a set to a neighbour.
 *
 * Emitting is copying, but for what the rows of the table do: our AS goes in front of AS_PATH, the next hop is ours,
 * what is of our AS alone stays in it. Attributes that a set does not have and the neighbour is told all the same
 * (extras) are put in where their type belongs, so that types ascend (RFC 4271 section 5).
 *
 * Next: src/stack/wire/bgp_update.c
 */
#include <string.h>

#include "base/util.h"
#include "stack/wire/bgp_attr_priv.h"
#include "stack/wire/bytes.h"

#define HEADER_LEN 3 /* flags, type, one byte of length */
#define COMMUNITY_LEN 4
#define EXT_COMMUNITY_LEN 8
#define EXT_NON_TRANSITIVE 0x40 /* of its type's high byte: RFC 4360 section 2 */
#define LARGE_COMMUNITY_LEN 12

/* Room for n bytes more, or NULL and is_full. */
static uint8_t *room(struct bgp_writer *o, size_t n)
{
	if (o->is_full || n > o->cap - o->len) {
		o->is_full = true;
		return NULL;
	}
	uint8_t *p = o->out + o->len;
	o->len += n;
	return p;
}

/* A header, and room for the value: NULL, and is_full, when there is not enough. */
static uint8_t *begin(struct bgp_writer *o, uint8_t type, uint8_t flags, size_t len)
{
	bool is_long = len > UINT8_MAX;
	size_t header_len = HEADER_LEN + (is_long ? 1 : 0);
	uint8_t *p = len <= UINT16_MAX ? room(o, header_len + len) : NULL;

	if (p == NULL) {
		o->is_full = true;
		return NULL;
	}
	p[0] = (uint8_t)(flags | (is_long ? BGP_EXTENDED_LENGTH : 0));
	p[1] = type;
	if (is_long)
		bytes_put16(p + 2, (uint16_t)len);
	else
		p[2] = (uint8_t)len;
	return p + header_len;
}

static void put(struct bgp_writer *o, uint8_t type, uint8_t flags, const uint8_t *value, size_t len)
{
	uint8_t *p = begin(o, type, flags, len);

	if (p != NULL && len > 0)
		memcpy(p, value, len);
}

static void put_u32(struct bgp_writer *o, uint8_t type, uint8_t flags, uint32_t value)
{
	uint8_t *p = begin(o, type, flags, sizeof(value));

	if (p != NULL)
		bytes_put32(p, value);
}

/* --- sets --- */

static bool is_before(const uint8_t *list, size_t n, const uint8_t *c)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(list + i * LARGE_COMMUNITY_LEN, c, LARGE_COMMUNITY_LEN) == 0)
			return true;
	return false;
}

/* A list that ascends has no repetition, and most do. Else each is held against those before it: at most 340 of them in
 * a message. */
static void put_large_communities(struct bgp_writer *o, const struct bgp_attr *at)
{
	size_t n = 0, n_all = at->len / LARGE_COMMUNITY_LEN, n_ascend = 1;
	uint8_t kept[BGP_MESSAGE_MAX];

	while (n_ascend < n_all && memcmp(at->value + (n_ascend - 1) * LARGE_COMMUNITY_LEN,
					  at->value + n_ascend * LARGE_COMMUNITY_LEN, LARGE_COMMUNITY_LEN) < 0)
		n_ascend++;
	if (n_ascend == n_all) {
		put(o, at->type, at->flags, at->value, at->len);
		return;
	}
	for (size_t i = 0; i < n_all; i++) {
		const uint8_t *c = at->value + i * LARGE_COMMUNITY_LEN;

		if (!is_before(kept, n, c))
			memcpy(kept + LARGE_COMMUNITY_LEN * n++, c, LARGE_COMMUNITY_LEN);
	}
	put(o, at->type, at->flags, kept, n * LARGE_COMMUNITY_LEN);
}

size_t bgp_set_write(uint8_t *out, const struct bgp_attrs *a, uint32_t next_hop)
{
	struct bgp_writer o = { .out = out, .cap = BGP_SET_MAX };
	bool has_next_hop = false;

	for (uint32_t i = 0; i < a->n; i++) {
		const struct bgp_attr *at = &a->list[i];

		if (!has_next_hop && at->type >= BGP_NEXT_HOP) {
			put_u32(&o, BGP_NEXT_HOP, BGP_TRANSITIVE, next_hop);
			has_next_hop = true;
		}
		if (at->type == BGP_LARGE_COMMUNITIES)
			put_large_communities(&o, at);
		else if (at->type != BGP_NEXT_HOP)
			put(&o, at->type, at->flags, at->value, at->len);
	}
	if (!has_next_hop)
		put_u32(&o, BGP_NEXT_HOP, BGP_TRANSITIVE, next_hop);
	return o.len;
}

size_t bgp_set_put(uint8_t *out, size_t cap, const struct bgp_attr *a)
{
	struct bgp_writer o = { .out = out, .cap = cap };

	put(&o, a->type, a->flags, a->value, a->len);
	return o.is_full ? 0 : o.len;
}

bool bgp_set_next(struct bgp_nlri *rest, struct bgp_attr *a)
{
	if (rest->len == 0)
		return false;
	const uint8_t *p = rest->p;
	bool is_long = (p[0] & BGP_EXTENDED_LENGTH) != 0;
	size_t header_len = HEADER_LEN + (is_long ? 1 : 0);

	*a = (struct bgp_attr){ .value = p + header_len,
				.len = is_long ? bytes_get16(p + 2) : p[2],
				.type = p[1],
				.flags = p[0] & (BGP_OPTIONAL | BGP_TRANSITIVE | BGP_PARTIAL) };
	rest->p += header_len + a->len;
	rest->len -= header_len + a->len;
	return true;
}

/* --- to a neighbour --- */

static void copy(struct bgp_writer *o, const struct bgp_attr *at)
{
	put(o, at->type, at->flags, at->value, at->len);
}

/* What does not leave the AS: LOCAL_PREF (RFC 4271 section 5.1.5), what route reflectors write (RFC 4456 section 8). */
void bgp_emit_internal(struct bgp_writer *o, const struct bgp_out *to, const struct bgp_attr *at)
{
	if (to->kind == BGP_INTERNAL)
		copy(o, at);
}

void bgp_emit_med(struct bgp_writer *o, const struct bgp_out *to, const struct bgp_attr *at)
{
	if (to->kind == BGP_INTERNAL || to->keeps_med)
		copy(o, at);
}

static uint32_t prepended(const struct bgp_out *to)
{
	return to->kind == BGP_EXTERNAL ? to->local_as : 0;
}

static void put_path(struct bgp_writer *o, const struct bgp_out *to, const struct bgp_attr *at, uint8_t type,
		     uint8_t flags, enum bgp_as_width width)
{
	struct bgp_path path = { at->value, at->len, BGP_AS4 };
	uint8_t *p = begin(o, type, flags, bgp_path_emit(NULL, path, prepended(to), width));

	if (p != NULL)
		(void)bgp_path_emit(p, path, prepended(to), width);
}

void bgp_emit_as_path(struct bgp_writer *o, const struct bgp_out *to, const struct bgp_attr *at)
{
	put_path(o, to, at, at->type, at->flags, to->as4 ? BGP_AS4 : BGP_AS2);
}

void bgp_emit_next_hop(struct bgp_writer *o, const struct bgp_out *to, const struct bgp_attr *at)
{
	put_u32(o, at->type, at->flags, to->next_hop != 0 ? to->next_hop : bytes_get32(at->value));
}

void bgp_emit_aggregator(struct bgp_writer *o, const struct bgp_out *to, const struct bgp_attr *at)
{
	if (to->as4) {
		copy(o, at);
		return;
	}
	uint8_t *p = begin(o, at->type, at->flags, BGP_AS2 + 4);
	if (p != NULL) {
		bytes_put16(p, bgp_as2(bytes_get32(at->value)));
		memcpy(p + BGP_AS2, at->value + BGP_AS4, 4);
	}
}

/* Those that are not transitive do not cross the AS's border (RFC 4360 section 6). */
void bgp_emit_ext_communities(struct bgp_writer *o, const struct bgp_out *to, const struct bgp_attr *at)
{
	size_t n = 0;

	if (to->kind == BGP_INTERNAL) {
		copy(o, at);
		return;
	}
	for (size_t i = 0; i < at->len; i += EXT_COMMUNITY_LEN)
		n += (at->value[i] & EXT_NON_TRANSITIVE) == 0;
	uint8_t *p = n > 0 ? begin(o, at->type, at->flags, n * EXT_COMMUNITY_LEN) : NULL;
	for (size_t i = 0; p != NULL && i < at->len; i += EXT_COMMUNITY_LEN)
		if ((at->value[i] & EXT_NON_TRANSITIVE) == 0) {
			memcpy(p, at->value + i, EXT_COMMUNITY_LEN);
			p += EXT_COMMUNITY_LEN;
		}
}

/* --- extras --- */

struct in_set {
	struct bgp_attr local_pref, path, aggregator; /* type 0: not there */
};

static void extra_local_pref(struct bgp_writer *o, const struct bgp_out *to, const struct in_set *s)
{
	if (to->kind == BGP_INTERNAL && s->local_pref.type == 0)
		put_u32(o, BGP_LOCAL_PREF, BGP_TRANSITIVE, to->local_pref);
}

/* RFC 6793 section 4.2.2: only when there is something that two octets do not say. */
static void extra_as4_path(struct bgp_writer *o, const struct bgp_out *to, const struct in_set *s)
{
	if (to->as4 || s->path.type == 0)
		return;
	struct bgp_path path = { s->path.value, s->path.len, BGP_AS4 };

	if (prepended(to) > UINT16_MAX || !bgp_path_is_narrow(path))
		put_path(o, to, &s->path, BGP_AS4_PATH, BGP_OPTIONAL | BGP_TRANSITIVE, BGP_AS4);
}

static void extra_as4_aggregator(struct bgp_writer *o, const struct bgp_out *to, const struct in_set *s)
{
	if (!to->as4 && s->aggregator.type != 0 && bytes_get32(s->aggregator.value) > UINT16_MAX)
		put(o, BGP_AS4_AGGREGATOR, s->aggregator.flags, s->aggregator.value, s->aggregator.len);
}

static const struct {
	uint8_t type;
	void (*put)(struct bgp_writer *o, const struct bgp_out *to, const struct in_set *s);
} extras[] = {
	{ BGP_LOCAL_PREF, extra_local_pref },
	{ BGP_AS4_PATH, extra_as4_path },
	{ BGP_AS4_AGGREGATOR, extra_as4_aggregator },
};

/* RFC 1997. */
static bool may_be_sent(const struct bgp_out *to, const struct bgp_attr *communities)
{
	for (size_t i = 0; i < communities->len; i += COMMUNITY_LEN) {
		uint32_t c = bytes_get32(communities->value + i);

		if (c == BGP_NO_ADVERTISE ||
		    (to->kind == BGP_EXTERNAL && (c == BGP_NO_EXPORT || c == BGP_NO_EXPORT_SUBCONFED)))
			return false;
	}
	return true;
}

/* What extras and communities ask of the set, at one look. */
static bool look_through(const struct bgp_out *to, struct bgp_nlri set, struct in_set *s)
{
	struct bgp_attr at;

	*s = (struct in_set){ 0 };
	while (bgp_set_next(&set, &at)) {
		if (at.type == BGP_COMMUNITIES && !to->any_community && !may_be_sent(to, &at))
			return false;
		if (at.type == BGP_AS_PATH)
			s->path = at;
		else if (at.type == BGP_LOCAL_PREF)
			s->local_pref = at;
		else if (at.type == BGP_AGGREGATOR)
			s->aggregator = at;
	}
	return true;
}

enum bgp_sent bgp_set_emit(const struct bgp_out *to, struct bgp_nlri set, uint8_t *out, size_t cap, size_t *len)
{
	struct bgp_writer o = { .out = out, .cap = cap };
	struct bgp_attr at;
	struct in_set s;
	size_t next_extra = 0;

	*len = 0;
	if (!look_through(to, set, &s))
		return BGP_NOT_ADVERTISED;
	while (bgp_set_next(&set, &at)) {
		const struct bgp_attr_row *row = bgp_attr_row(at.type);

		for (; next_extra < ARRAY_LEN(extras) && extras[next_extra].type < at.type; next_extra++)
			extras[next_extra].put(&o, to, &s);
		if (row != NULL && row->emit != NULL)
			row->emit(&o, to, &at);
		else
			copy(&o, &at);
	}
	for (; next_extra < ARRAY_LEN(extras); next_extra++)
		extras[next_extra].put(&o, to, &s);
	*len = o.len;
	return o.is_full ? BGP_TOO_LONG : BGP_SENT;
}
