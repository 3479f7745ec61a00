/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The exact port map.
 *
 * Three levels: a bit for each port that is unused, the number of those in each
 * word of 64 ports, and in each group of 64 words. With the counts, "how many
 * unused ports stand before port p" and "which is the k-th unused port" each read
 * at most 16 counts of groups, 64 counts of words and one word of bits, at any
 * fill. So a pick draws one number below the count of unused ports and finds the
 * port that it means: every unused port is equally likely, also the last one, and
 * no run of used ports makes the port behind it easier to guess (RFC 6056 section
 * 3.3.1, without its search).
 *
 * When no port is unused, one port can serve several connections towards
 * different destinations; `sharers` counts those beyond the first, and the port
 * is unused again when the last is gone. Which destinations those are, the
 * connection table knows.
 *
 * Who finds none unused in a range leaves that behind (full_first, n_full), so that the next
 * need not count again, until one of them is given back.
 *
 * What always holds: n_shared is the number of ports with sharers or held down, so a map of which no port is shared,
 * the usual one, never reads that long array; word[w] is the number of bits in unused[w], group[g] the sum of its
 * words; port 0 is never unused; a port with sharers is not unused.
 */
#include "stack/ports/portmap.h"

#define HELD_DOWN UINT16_MAX /* as a number of sharers */
#define SHARERS_MAX (HELD_DOWN - 1)

#include <assert.h>
#include <string.h>

#include "base/util.h"

/* An unused port becomes used, and the other way round. */
static void port_bits_take(struct port_bits *b, uint32_t port)
{
	b->unused[port >> 6] &= ~(UINT64_C(1) << (port & 63));
	b->word[port >> 6]--;
	b->group[port >> 12]--;
}

static void port_bits_give(struct port_bits *b, uint32_t port)
{
	b->unused[port >> 6] |= UINT64_C(1) << (port & 63);
	b->word[port >> 6]++;
	b->group[port >> 12]++;
	if (port - b->full_first < b->n_full)
		b->n_full = 0;
}

void port_span_take(const struct port_span *b, uint32_t port)
{
	uint32_t at = port - b->first;

	b->unused[at >> 6] &= ~(UINT64_C(1) << (at & 63));
	b->word[at >> 6]--;
	b->group[at >> 12]--;
}

void port_span_give(const struct port_span *b, uint32_t port)
{
	uint32_t at = port - b->first;

	b->unused[at >> 6] |= UINT64_C(1) << (at & 63);
	b->word[at >> 6]++;
	b->group[at >> 12]++;
}

void port_span_set(const struct port_span *b, uint32_t port, uint64_t unused)
{
	uint32_t w = (port - b->first) >> 6, n = (uint32_t)__builtin_popcountll(unused);

	b->group[w >> 6] = (uint16_t)(b->group[w >> 6] - b->word[w] + n);
	b->word[w] = (uint8_t)n;
	b->unused[w] = unused;
}

static void clear_sharers(struct portmap *m)
{
	if (m->n_shared != 0)
		memset(m->sharers, 0, PORTMAP_SHARERS * sizeof(*m->sharers));
	m->n_shared = 0;
}

void portmap_init(struct portmap *m)
{
	memset(m->bits.unused, 0xff, sizeof(m->bits.unused));
	memset(m->bits.word, 64, sizeof(m->bits.word));
	for (uint32_t g = 0; g < PORTMAP_GROUPS; g++)
		m->bits.group[g] = 4096;
	m->bits.n_full = 0;
	clear_sharers(m);
	memset(m->unshareable, 0, sizeof(m->unshareable));
	memset(m->changed, 0, sizeof(m->changed));
	m->version = 0;
	port_bits_take(&m->bits, 0);
}

void portmap_init_shared(struct portmap *m)
{
	uint16_t *sharers = m->sharers;

	clear_sharers(m);
	memset(m, 0, sizeof(*m));
	m->sharers = sharers;
}

void portmap_add_block(struct portmap *m, uint32_t block)
{
	/* Port 0 is nobody's. */
	uint32_t n = block == 0 ? 63 : 64;
	uint64_t bits = block == 0 ? ~UINT64_C(1) : ~UINT64_C(0);
	struct port_bits *const both[] = { &m->bits, &m->own };

	for (uint32_t i = 0; i < ARRAY_LEN(both); i++) {
		both[i]->unused[block] = bits;
		both[i]->word[block] = (uint8_t)n;
		both[i]->group[block >> 6] += (uint16_t)n;
		both[i]->n_full = 0;
	}
	m->changed[block] = ++m->version;
}

void portmap_remove_block(struct portmap *m, uint32_t block)
{
	struct port_bits *const both[] = { &m->bits, &m->own };

	assert(portmap_block_idle(m, block));
	for (uint32_t i = 0; i < ARRAY_LEN(both); i++) {
		both[i]->group[block >> 6] -= both[i]->word[block];
		both[i]->unused[block] = 0;
		both[i]->word[block] = 0;
	}
	m->changed[block] = ++m->version;
}

bool portmap_owns(const struct portmap *m, uint32_t port)
{
	return m->own.word[port >> 6] != 0;
}

bool portmap_block_idle(const struct portmap *m, uint32_t block)
{
	return m->bits.word[block] == m->own.word[block] && m->pins[block] == 0;
}

static void set_unshareable(struct portmap *m, uint32_t port)
{
	m->unshareable[port >> 6] |= UINT64_C(1) << (port & 63);
}

static void clear_unshareable(struct portmap *m, uint32_t port)
{
	m->unshareable[port >> 6] &= ~(UINT64_C(1) << (port & 63));
}

void portmap_use(struct portmap *m, uint32_t port)
{
	if (!portmap_unused(m, port)) {
		assert(m->sharers[port] < SHARERS_MAX);
		m->n_shared += m->sharers[port]++ == 0;
		if (m->sharers[port] == SHARERS_MAX)
			set_unshareable(m, port);
		return;
	}
	port_bits_take(&m->bits, port);
}

void portmap_release(struct portmap *m, uint32_t port)
{
	assert(!portmap_unused(m, port));
	if (m->n_shared > 0 && m->sharers[port] > 0) {
		if (m->sharers[port] == SHARERS_MAX)
			clear_unshareable(m, port);
		m->n_shared -= --m->sharers[port] == 0;
		return;
	}
	port_bits_give(&m->bits, port);
}

bool portmap_can_share(const struct portmap *m, uint32_t port)
{
	return m->n_shared == 0 || m->sharers[port] < SHARERS_MAX;
}

bool portmap_hold_down(struct portmap *m, uint32_t port)
{
	assert(!portmap_unused(m, port));
	if (m->sharers[port] != 0)
		return false;
	m->sharers[port] = HELD_DOWN;
	set_unshareable(m, port);
	m->n_shared++;
	return true;
}

void portmap_hold_down_end(struct portmap *m, uint32_t port)
{
	assert(m->sharers[port] == HELD_DOWN);
	m->sharers[port] = 0;
	clear_unshareable(m, port);
	m->n_shared--;
}

#define EACH_BYTE UINT64_C(0x0101010101010101)
#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Of eight counts, none over 64. */
static uint32_t sum_of_eight(const uint8_t *counts)
{
	uint64_t v;

	memcpy(&v, counts, sizeof(v));
	v = (v & UINT64_C(0x00ff00ff00ff00ff)) + (v >> 8 & UINT64_C(0x00ff00ff00ff00ff));
	return (uint32_t)(v * UINT64_C(0x0001000100010001) >> 48);
}

/* Unused ports below `port`, counted from the first of the span; it may be the one behind the last. */
static inline uint32_t rank(const struct port_span *b, uint32_t port)
{
	uint32_t n = 0, w = port >> 6;

	for (uint32_t g = 0; g < port >> 12; g++)
		n += b->group[g];
	uint32_t i = w & ~63u;

	for (; i + 8 <= w; i += 8)
		n += sum_of_eight(&b->word[i]);
	for (; i < w; i++)
		n += b->word[i];
	if (port & 63)
		n += (uint32_t)__builtin_popcountll(b->unused[w] & ((UINT64_C(1) << (port & 63)) - 1));
	return n;
}

/* The number of the k-th bit that is set, from 0; there are more than k. */
static uint32_t select_bit(uint64_t bits, uint32_t k)
{
	/* How many are set in each byte, then in all bytes up to it. */
	uint64_t n = bits - (bits >> 1 & UINT64_C(0x5555555555555555));

	n = (n & UINT64_C(0x3333333333333333)) + (n >> 2 & UINT64_C(0x3333333333333333));
	n = ((n + (n >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f)) * EACH_BYTE;
	/* The first byte up to which there are more than k. */
	uint64_t enough = ((n | HIGH_BITS) - (k + 1) * EACH_BYTE) & HIGH_BITS;
	uint32_t at = (uint32_t)__builtin_ctzll(enough) & ~7u;

	bits >>= at;
	for (k -= (uint32_t)(n << 8 >> at) & 0xff; k > 0; k--)
		bits &= bits - 1;
	return at + (uint32_t)__builtin_ctzll(bits);
}

/* The k-th unused port, from 0. */
static inline uint32_t select_port(const struct port_span *b, uint32_t k)
{
	uint32_t g = 0, n;

	while (k >= b->group[g])
		k -= b->group[g++];
	uint32_t w = g * 64;
	for (n = sum_of_eight(&b->word[w]); k >= n; n = sum_of_eight(&b->word[w])) {
		k -= n;
		w += 8;
	}
	for (; k >= b->word[w]; w++)
		k -= b->word[w];
	return w * 64 + select_bit(b->unused[w], k);
}

static struct port_span whole(const struct port_bits *b)
{
	/* Whoever only reads gives a const one. */
	struct port_bits *all = (struct port_bits *)(uintptr_t)b;

	return (struct port_span){ all->group, all->word, all->unused, 0, 65536 };
}

static uint32_t count_bits(const struct port_bits *b, const struct port_set *s)
{
	struct port_span all = whole(b);
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n; i++)
		n += rank(&all, s->range[i].last + 1u) - rank(&all, s->range[i].first);
	return n;
}

uint32_t portmap_count(const struct portmap *m, const struct port_set *s)
{
	return count_bits(&m->bits, s);
}

uint32_t portmap_count_own(const struct portmap *m, const struct port_set *s)
{
	return count_bits(&m->own, s);
}

/* Where the unused ports of each range of a set begin in the order of all, and how many they are; returns their sum. */
static inline uint32_t count_ranges(const struct port_span *b, const struct port_set *s, uint32_t *first, uint32_t *n)
{
	uint32_t total = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		first[i] = rank(b, s->range[i].first - b->first);
		n[i] = rank(b, s->range[i].last + 1u - b->first) - first[i];
		total += n[i];
	}
	return total;
}

static inline uint32_t select_in_ranges(const struct port_span *b, const uint32_t *first, const uint32_t *n, uint32_t k)
{
	uint32_t i = 0;

	while (k >= n[i])
		k -= n[i++];
	return select_port(b, first[i] + k);
}

static inline uint32_t pick(const struct port_span *b, const struct port_set *s, struct rng *rng)
{
	uint32_t first[PORT_SET_MAX], n[PORT_SET_MAX], total = count_ranges(b, s, first, n);

	return total == 0 ? PORT_NONE : select_in_ranges(b, first, n, rng_below(rng, total));
}

uint32_t port_span_pick(const struct port_span *b, const struct port_set *s, struct rng *rng)
{
	uint32_t at = pick(b, s, rng);

	return at == PORT_NONE ? PORT_NONE : b->first + at;
}

uint32_t port_bits_pick(const struct port_bits *b, const struct port_set *s, struct rng *rng)
{
	struct port_span all = whole(b);

	return pick(&all, s, rng);
}

uint32_t port_bits_pick_by(struct port_bits *b, const struct port_set *s, uint32_t number)
{
	struct port_span all = whole(b);
	uint32_t first[PORT_SET_MAX], n[PORT_SET_MAX];

	if (s->n == 1 && s->range[0].first - b->full_first < b->n_full && s->range[0].last - b->full_first < b->n_full)
		return PORT_NONE;
	uint32_t total = count_ranges(&all, s, first, n);

	if (total != 0)
		return select_in_ranges(&all, first, n, (uint32_t)((uint64_t)number * total >> 32));
	if (s->n == 1) {
		b->full_first = s->range[0].first;
		b->n_full = s->n_ports;
	}
	return PORT_NONE;
}
