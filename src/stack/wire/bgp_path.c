/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Paths are read a segment at a time and written a number at a time. The writer goes on with a sequence until it is
 * full; sets and full sequences begin a segment of their own.
 *
 * Next: src/stack/wire/bgp_attr.c
 */
#include "stack/wire/bgp_path.h"

#include <string.h>

#include "base/util.h"
#include "stack/wire/bytes.h"

#define SEGMENT_HEADER_LEN 2

/* Also of a path that nobody has checked: false where it is malformed, and then something is left. */
static bool next_segment(struct bgp_path *rest, struct bgp_segment *s)
{
	if (rest->len < SEGMENT_HEADER_LEN)
		return false;
	*s = (struct bgp_segment){ rest->p[0], rest->p[1], rest->p + SEGMENT_HEADER_LEN };
	size_t len = SEGMENT_HEADER_LEN + (size_t)s->n * rest->width;

	if (s->type < BGP_AS_SET || s->type > BGP_CONFED_SET || s->n == 0 || len > rest->len)
		return false;
	rest->p += len;
	rest->len -= len;
	return true;
}

static uint32_t as_at(const struct bgp_segment *s, uint32_t i, enum bgp_as_width width)
{
	const uint8_t *p = s->as + (size_t)i * width;

	return width == BGP_AS4 ? bytes_get32(p) : bytes_get16(p);
}

static bool is_confed(const struct bgp_segment *s)
{
	return s->type == BGP_CONFED_SEQUENCE || s->type == BGP_CONFED_SET;
}

static uint16_t hops_of(const struct bgp_segment *s)
{
	return s->type == BGP_AS_SEQUENCE ? s->n : s->type == BGP_AS_SET ? 1 : 0;
}

bool bgp_path_check(struct bgp_path path, uint32_t own_as, struct bgp_path_facts *f)
{
	struct bgp_segment s;

	*f = (struct bgp_path_facts){ 0 };
	for (bool is_first = true; next_segment(&path, &s); is_first = false) {
		f->n_hops = (uint16_t)(f->n_hops + hops_of(&s));
		f->has_set |= s.type == BGP_AS_SET;
		f->has_confed |= is_confed(&s);
		if (is_first && s.type == BGP_AS_SEQUENCE)
			f->first = as_at(&s, 0, path.width);
		for (uint32_t i = 0; i < s.n; i++) {
			uint32_t as = as_at(&s, i, path.width);

			f->n_own = (uint16_t)(f->n_own + (as == own_as));
			f->has_zero |= as == 0;
		}
	}
	return path.len == 0;
}

bool bgp_segment_next(struct bgp_path *rest, struct bgp_segment *s)
{
	return next_segment(rest, s);
}

struct writer {
	uint8_t *out; /* NULL: only counts */
	size_t len;
	size_t header_at; /* of the segment that is being written */
	uint8_t type, n;  /* ... 0: none is */
	enum bgp_as_width width;
};

static void begin_segment(struct writer *w, uint8_t type)
{
	w->header_at = w->len;
	w->type = type;
	w->n = 0;
	w->len += SEGMENT_HEADER_LEN;
}

static void put_as(struct writer *w, uint32_t as)
{
	size_t at = w->len;

	w->n++;
	w->len += w->width;
	if (w->out == NULL)
		return;
	w->out[w->header_at] = w->type;
	w->out[w->header_at + 1] = w->n;
	if (w->width == BGP_AS4)
		bytes_put32(w->out + at, as);
	else
		bytes_put16(w->out + at, bgp_as2(as));
}

/* One more number of a sequence. */
static void put_hop(struct writer *w, uint32_t as)
{
	if (w->type != BGP_AS_SEQUENCE || w->n == BGP_SEGMENT_AS_MAX)
		begin_segment(w, BGP_AS_SEQUENCE);
	put_as(w, as);
}

/* The first n numbers of a segment. */
static void put_segment(struct writer *w, const struct bgp_segment *s, uint32_t n, enum bgp_as_width from)
{
	if (s->type != BGP_AS_SEQUENCE)
		begin_segment(w, s->type);
	for (uint32_t i = 0; i < n; i++) {
		if (s->type == BGP_AS_SEQUENCE)
			put_hop(w, as_at(s, i, from));
		else
			put_as(w, as_at(s, i, from));
	}
}

size_t bgp_path_widen(uint8_t *out, struct bgp_path path)
{
	struct writer w = { .out = out, .width = BGP_AS4 };
	struct bgp_segment s;

	while (next_segment(&path, &s))
		put_segment(&w, &s, s.n, path.width);
	return w.len;
}

static uint32_t count_hops(struct bgp_path path)
{
	struct bgp_segment s;
	uint32_t n = 0;

	while (next_segment(&path, &s))
		n += hops_of(&s);
	return n;
}

size_t bgp_path_merge(uint8_t *out, struct bgp_path path, struct bgp_path as4_path)
{
	struct writer w = { .out = out, .width = BGP_AS4 };
	uint32_t n_all = count_hops(path), n_as4 = count_hops(as4_path);
	struct bgp_segment s;

	if (n_all < n_as4)
		return 0;
	for (uint32_t n_left = n_all - n_as4; n_left > 0 && next_segment(&path, &s);) {
		put_segment(&w, &s, s.type == BGP_AS_SEQUENCE ? min_u32(s.n, n_left) : s.n, path.width);
		n_left -= min_u32(hops_of(&s), n_left);
	}
	while (next_segment(&as4_path, &s))
		if (!is_confed(&s))
			put_segment(&w, &s, s.n, as4_path.width);
	return w.len;
}

size_t bgp_path_emit(uint8_t *out, struct bgp_path path, uint32_t prepended, enum bgp_as_width width)
{
	struct writer w = { .out = out, .width = width };
	struct bgp_segment s;

	if (prepended == 0 && width == path.width) {
		if (out != NULL && path.len > 0)
			memcpy(out, path.p, path.len);
		return path.len;
	}
	if (prepended != 0) {
		/* Into the first segment if that has room, else into a new one (RFC 4271 section 5.1.2 b). */
		struct bgp_path rest = path;

		put_hop(&w, prepended);
		if (next_segment(&rest, &s) && s.type == BGP_AS_SEQUENCE && s.n == BGP_SEGMENT_AS_MAX)
			w.type = 0;
	}
	while (next_segment(&path, &s))
		put_segment(&w, &s, s.n, path.width);
	return w.len;
}

bool bgp_path_is_narrow(struct bgp_path path)
{
	struct bgp_segment s;

	while (next_segment(&path, &s))
		for (uint32_t i = 0; i < s.n; i++)
			if (as_at(&s, i, path.width) > UINT16_MAX)
				return false;
	return true;
}

void bgp_path_format(struct text *t, struct bgp_path path)
{
	static const char *const marks[][2] = {
		[BGP_AS_SET] = { "{", "}" },
		[BGP_AS_SEQUENCE] = { "", "" },
		[BGP_CONFED_SEQUENCE] = { "(", ")" },
		[BGP_CONFED_SET] = { "[", "]" },
	};
	const char *space = "";
	struct bgp_segment s;

	while (next_segment(&path, &s)) {
		text_add(t, "%s%s", space, marks[s.type][0]);
		for (uint32_t i = 0; i < s.n; i++)
			text_add(t, "%s%u", i > 0 ? " " : "", as_at(&s, i, path.width));
		text_add(t, "%s", marks[s.type][1]);
		space = " ";
	}
}
