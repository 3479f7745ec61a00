/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Full tables: see bgp_stream.h.
 */
#include "bgp_stream.h"

#include <stdlib.h>

#include "base/rng.h"
#include "stack/wire/bgp_message.h"
#include "stack/wire/bytes.h"

#define PREFIXES_A_SET 8u

static struct rng rng;

/* Thousandths of the Internet's routes by length, October 2025. */
static uint8_t some_length(void)
{
	static const struct {
		uint8_t len;
		uint16_t share;
	} mix[] = { { 24, 599 }, { 22, 120 }, { 23, 107 }, { 21, 56 }, { 20, 47 }, { 19, 27 },
		    { 18, 15 },  { 16, 15 },  { 17, 9 },   { 15, 2 },  { 14, 1 },  { 13, 1 } };
	uint32_t drawn = rng_below(&rng, 1000);

	for (size_t i = 0; i < ARRAY_LEN(mix); i++) {
		if (drawn < mix[i].share)
			return mix[i].len;
		drawn -= mix[i].share;
	}
	return 12;
}

/* Different ones: numbered within their length, and scattered by an odd factor. */
void bgp_stream_prefixes(struct ip4_prefix *p, uint32_t n)
{
	const uint8_t seed[RNG_SEED_BYTES] = { 42 };
	uint32_t n_of_len[33] = { 0 };

	rng_init(&rng, seed);

	for (uint32_t i = 0; i < n;) {
		uint8_t len = some_length();
		uint32_t number = n_of_len[len]++ * UINT32_C(2654435761);
		uint32_t addr = number << (32 - len);

		if (ip4_is_unicast(addr) && addr >> 24 != 0)
			p[i++] = (struct ip4_prefix){ addr, len };
	}
}

/* --- attributes --- */

static uint8_t *attr(uint8_t *at, uint8_t flags, uint8_t type, uint8_t len)
{
	at[0] = flags;
	at[1] = type;
	at[2] = len;
	return at + 3;
}

static uint8_t *put_path(uint8_t *at, uint32_t as, uint32_t number)
{
	uint8_t n = (uint8_t)(3 + rng_below(&rng, 7)), *v = attr(at, BGP_TRANSITIVE, BGP_AS_PATH, (uint8_t)(2 + 4 * n));

	v[0] = BGP_AS_SEQUENCE;
	v[1] = n;
	for (uint32_t i = 0; i < n; i++)
		bytes_put32(v + 2 + 4 * (size_t)i, i == 0   ? as
						   : i == 1 ? 70000 + rng_below(&rng, 40)
							    : 70000 + rng_below(&rng, 400000));
	bytes_put32(v + 2 + 4 * (n - 1u), 70000 + number);
	return v + 2 + 4 * n;
}

static uint8_t *put_numbers(uint8_t *at, uint8_t type, uint32_t n_words)
{
	uint8_t *v = attr(at, BGP_OPTIONAL | BGP_TRANSITIVE, type, (uint8_t)(4 * n_words));

	for (uint32_t i = 0; i < n_words; i++)
		bytes_put32(v + 4 * (size_t)i,
			    type == BGP_EXT_COMMUNITIES && i == 0 ? 0x0002fde9 : rng_below(&rng, 1 << 24));
	return v + 4 * (size_t)n_words;
}

static size_t make_attrs(uint8_t *out, uint32_t as, uint32_t addr, uint32_t number, uint32_t med)
{
	uint8_t *at = out;

	*attr(at, BGP_TRANSITIVE, BGP_ORIGIN, 1) = rng_below(&rng, 100) < 85 ? BGP_ORIGIN_IGP : BGP_ORIGIN_INCOMPLETE;
	at = put_path(at + 4, as, number);
	bytes_put32(attr(at, BGP_TRANSITIVE, BGP_NEXT_HOP, 4), addr);
	at += 7;
	if (med != 0 || rng_below(&rng, 10) < 4) {
		bytes_put32(attr(at, BGP_OPTIONAL, BGP_MED, 4), med != 0 ? med : rng_below(&rng, 200));
		at += 7;
	}
	if (rng_below(&rng, 100) < 85)
		at = put_numbers(at, BGP_COMMUNITIES, 1 + rng_below(&rng, 10));
	if (rng_below(&rng, 100) < 5)
		at = put_numbers(at, BGP_EXT_COMMUNITIES, 2);
	if (rng_below(&rng, 100) < 20)
		at = put_numbers(at, BGP_LARGE_COMMUNITIES, 3 * (1 + rng_below(&rng, 3)));
	return (size_t)(at - out);
}

/* All prefixes of one neighbour, a set for some eight of them, which lie far apart. */
void bgp_stream_make(struct bgp_stream *s, const struct ip4_prefix *all, uint32_t n, uint32_t neighbour, uint32_t med)
{
	uint32_t n_sets = (n + PREFIXES_A_SET - 1) / PREFIXES_A_SET;
	struct ip4_prefix some[PREFIXES_A_SET];
	uint8_t attrs[512];

	s->cap = (size_t)n_sets * 400;
	s->p = malloc(s->cap);
	if (s->p == NULL)
		abort();
	for (uint32_t i = 0; i < n_sets; i++) {
		struct bgp_update_job job = { .attrs = attrs, .nlri = some };

		for (uint32_t k = i; k < n; k += n_sets)
			some[job.n_nlri++] = all[k];
		job.attrs_len = make_attrs(attrs, 65001 + neighbour, BENCH_PEER_ADDR(neighbour), i, med);
		s->len += bgp_update_emit(s->p + s->len, &job);
		s->n_messages++;
	}
}

bool bgp_stream_feed(struct bgp_table *t, uint32_t source, const struct bgp_stream *s, size_t *at, uint32_t n_messages)
{
	static struct bgp_message m;
	const struct bgp_wire w = { .local_as = BENCH_LOCAL_AS,
				    .peer_as = 65001 + source,
				    .local_id = BENCH_LOCAL_ADDR,
				    .local_addr = BENCH_LOCAL_ADDR,
				    .role = BGP_ROLE_NONE,
				    .as4 = true };
	size_t len;

	for (uint32_t n = 0; *at < s->len && (n_messages == 0 || n < n_messages); *at += len, n++) {
		if (bgp_frame(s->p + *at, s->len - *at, &len, &m.error) != BGP_FRAME_WHOLE)
			abort();
		enum bgp_disposition d = bgp_message_parse(&w, BGP_ESTABLISHED, s->p + *at, len, &m);

		if (d != BGP_ACCEPT)
			abort();
		bgp_table_update(t, source, &m.update, d, 0);
	}
	return *at < s->len;
}
