/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Flows over several next hops: which of an exit's members has which bucket.
 *
 * A flow's hash names a bucket and the bucket a member. Each member that is up has
 * a quota, its share of the weights in whole buckets. What always holds behind
 * fib_buckets_divide: every bucket is with a member that is up, and each has its
 * quota.
 *
 * Flows that go elsewhere in the middle of their life lose their order, and behind
 * a masquerade their address. So a change moves only what it must: a member that is
 * lost gives its buckets to the others, which keep theirs; one that is back takes
 * first what was its own before; a new one takes from each what is over its quota.
 * (Linux's resilient next-hop groups, without the wait for idle buckets.)
 */
#include "base/util.h"
#include "stack/ip/fib_priv.h"

/* Neighbouring buckets go to different members: all numbers in turn, since the step is odd. */
#define SCATTER(i) ((i)*37u % FIB_BUCKETS)
_Static_assert((FIB_BUCKETS & (FIB_BUCKETS - 1)) == 0, "all numbers in turn");

struct tally {
	uint32_t quota[FIB_PATHS_MAX], n[FIB_PATHS_MAX]; /* buckets that each should have, and has */
};

/* Largest remainders, the first of equals. Somebody is up, and nobody weighs nothing. */
static void set_quotas(struct tally *t, const struct fib_member *m, uint32_t n)
{
	uint64_t total = 0, rest[FIB_PATHS_MAX];
	uint32_t left = FIB_BUCKETS;

	for (uint32_t i = 0; i < n; i++)
		total += m[i].is_up ? m[i].weight : 0;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t share = m[i].is_up ? (uint64_t)m[i].weight * FIB_BUCKETS : 0;

		t->quota[i] = (uint32_t)(share / total);
		rest[i] = share % total;
		left -= t->quota[i];
	}
	for (; left > 0; left--) {
		uint32_t most = 0;

		for (uint32_t i = 1; i < n; i++)
			most = rest[i] > rest[most] ? i : most;
		t->quota[most]++;
		rest[most] = 0;
	}
}

static bool is_over(const struct tally *t, uint32_t i)
{
	return t->n[i] > t->quota[i];
}

/* Who lacks most; FIB_NOBODY: nobody lacks any. */
static uint8_t neediest(const struct tally *t, uint32_t n)
{
	uint32_t most = 0;
	uint8_t who = FIB_NOBODY;

	for (uint32_t i = 0; i < n; i++) {
		if (t->n[i] < t->quota[i] && t->quota[i] - t->n[i] > most) {
			most = t->quota[i] - t->n[i];
			who = (uint8_t)i;
		}
	}
	return who;
}

static void move(struct fib_shares *s, struct tally *t, uint32_t bucket, uint8_t to)
{
	if (s->owner[bucket] != FIB_NOBODY)
		t->n[s->owner[bucket]]--;
	s->owner[bucket] = to;
	t->n[to]++;
}

/* Those who are back take what was theirs. */
static void take_back(struct fib_shares *s, struct tally *t, const struct fib_member *m)
{
	for (uint32_t b = 0; b < FIB_BUCKETS; b++) {
		uint8_t was = s->before[b], is = s->owner[b];

		if (was == FIB_NOBODY || !m[was].is_up || t->n[was] >= t->quota[was])
			continue;
		if (is == FIB_NOBODY || !m[is].is_up || is_over(t, is)) {
			move(s, t, b, was);
			s->before[b] = FIB_NOBODY;
		}
	}
}

/* What is nobody's, or of one who is lost. */
static void give_away(struct fib_shares *s, struct tally *t, const struct fib_member *m, uint32_t n)
{
	for (uint32_t i = 0; i < FIB_BUCKETS; i++) {
		uint32_t b = SCATTER(i);
		uint8_t is = s->owner[b];

		if (is != FIB_NOBODY && m[is].is_up)
			continue;
		if (s->before[b] == FIB_NOBODY)
			s->before[b] = is;
		move(s, t, b, neediest(t, n));
	}
}

enum level_what { LEVEL_GUESTS, LEVEL_ALL };

/* Whoever has too many gives some to whoever has too few; first those that it has in the stead of one who is lost. */
static void level(struct fib_shares *s, struct tally *t, uint32_t n, enum level_what what)
{
	for (uint32_t i = 0; i < FIB_BUCKETS; i++) {
		uint32_t b = SCATTER(i);
		uint8_t to = is_over(t, s->owner[b]) ? neediest(t, n) : FIB_NOBODY;

		if (to == FIB_NOBODY || (what == LEVEL_GUESTS && s->before[b] == FIB_NOBODY))
			continue;
		move(s, t, b, to);
		if (what == LEVEL_ALL)
			s->before[b] = FIB_NOBODY;
	}
}

void fib_buckets_divide(struct fib_shares *s, const struct fib_member *m, uint32_t n)
{
	struct tally t = { .quota = { 0 } };
	bool any = false;

	for (uint32_t i = 0; i < n; i++)
		any |= m[i].is_up;
	if (!any)
		return;
	set_quotas(&t, m, n);
	for (uint32_t b = 0; b < FIB_BUCKETS; b++) {
		if (s->owner[b] != FIB_NOBODY)
			t.n[s->owner[b]]++;
	}
	take_back(s, &t, m);
	give_away(s, &t, m, n);
	level(s, &t, n, LEVEL_GUESTS);
	level(s, &t, n, LEVEL_ALL);
}

void fib_buckets_renumber(struct fib_shares *s, const uint8_t now[FIB_PATHS_MAX])
{
	for (uint32_t b = 0; b < FIB_BUCKETS; b++) {
		if (s->owner[b] != FIB_NOBODY)
			s->owner[b] = now[s->owner[b]];
		if (s->before[b] != FIB_NOBODY)
			s->before[b] = now[s->before[b]];
	}
}
