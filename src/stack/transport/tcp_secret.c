/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What nobody outside may guess, and how it is made all the same without memory of
 * what was given out.
 *
 *   initial sequence number   RFC 6528: a clock of 4 microseconds, plus SipHash of the four-tuple
 *                             under a random key: numbers of one tuple go up with time, so that an
 *                             old segment is told from a new one; those of two tuples have nothing
 *                             to do with each other
 *   timestamp offset          the hash of the pair of addresses: it goes on from one connection of
 *                             two hosts to the next, which is what makes it safe to reuse a
 *                             TIME_WAIT (RFC 6191, RFC 7323 section 5.5); a random one for each
 *                             connection would make that fail half of the time
 *   local port                RFC 6056 algorithm 4: the hash says where to begin, a counter, one of
 *                             256, how far the last one got
 *   cookie                    RFC 4987 section 3.6: when the SYN queue is full, our sequence number
 *                             itself says what the SYN said: a minute counter, the MSS by a table
 *                             of 8, and a hash of both with the tuple and their number. What does
 *                             not fit (window scale, SACK, ECN) travels in the low bits of our
 *                             timestamp (tcp_listen.c)
 */
#include <errno.h>

#include "stack/ip/local.h"
#include "stack/transport/tcp_priv.h"

#define ISN_TICK_NS (4 * NS_PER_US)
#define COOKIE_PERIOD_NS (64 * NS_PER_S)
/* A cookie is good for this period and the one before. */
#define COOKIE_PERIODS 2u

static struct siphash_key draw_key(struct rng *rng)
{
	struct siphash_key key = { rng_u64(rng), rng_u64(rng) };

	return key;
}

void tcp_secret_init(struct tcp *t)
{
	struct rng *rng = &t->env->rng;

	t->key_table = draw_key(rng);
	t->key_isn = draw_key(rng);
	t->key_ts = draw_key(rng);
	t->key_port = draw_key(rng);
	t->key_cookie = draw_key(rng);
	for (size_t i = 0; i < ARRAY_LEN(t->port_counter); i++)
		t->port_counter[i] = rng_u32(rng);
}

static uint64_t addresses_of(const struct tcp_node *n)
{
	return (uint64_t)n->laddr << 32 | n->raddr;
}

static uint64_t ports_of(const struct tcp_node *n)
{
	return (uint64_t)n->zone << 32 | (uint32_t)n->lport << 16 | n->rport;
}

uint32_t tcp_isn(const struct tcp *t, const struct tcp_node *n)
{
	return (uint32_t)(t->env->now / ISN_TICK_NS) +
	       (uint32_t)siphash24_16(&t->key_isn, addresses_of(n), ports_of(n));
}

uint32_t tcp_ts_offset(const struct tcp *t, const struct tcp_node *n)
{
	return (uint32_t)siphash24_16(&t->key_ts, addresses_of(n), n->zone);
}

static bool is_free(struct tcp *t, struct tcp_node *n, uint32_t *ref)
{
	*ref = tcp_find(t, n);
	return *ref == POOL_NONE || (tcp_ref_kind(*ref) == TCP_KIND_TIME_WAIT &&
				     tcp_time_wait_may_reuse(t, pool_at(&t->time_wait, tcp_ref_index(*ref))));
}

static bool is_listened_on(struct tcp *t, uint16_t port)
{
	for (uint32_t i = t->listener_of[port % TCP_PORT_BUCKETS]; i != POOL_NONE;) {
		const struct tcp_listener *l = pool_at(&t->listeners, i);

		if (l->port == port)
			return true;
		i = l->next;
	}
	return false;
}

int tcp_choose_port(struct tcp *t, struct tcp_node *n, uint32_t *ref)
{
	uint32_t first = t->cfg.port_first, count = t->cfg.port_last - first + 1u;
	uint64_t h = siphash24_16(&t->key_port, addresses_of(n), (uint64_t)n->zone << 16 | n->rport);
	uint32_t *counter = &t->port_counter[h >> 56];

	for (uint32_t i = 0; i < count; i++) {
		n->lport = (uint16_t)(first + ((uint32_t)h + (*counter)++) % count);
		if (!is_listened_on(t, n->lport) && is_free(t, n, ref) &&
		    ip_port_take(t->ip, IPPROTO_NR_TCP, n->laddr, n->lport, PORTS_SOCKET_DRAWN))
			return 0;
	}
	return -EADDRNOTAVAIL;
}

/* RFC 4987: the sizes that are met, those between are rounded down. */
static const uint16_t cookie_mss[8] = { 48, 216, 536, 1024, 1300, 1400, 1440, 1460 };

static uint32_t cookie_hash(const struct tcp *t, const struct tcp_node *n, uint32_t irs, uint64_t period,
			    uint32_t which)
{
	uint64_t words[4] = { addresses_of(n), ports_of(n), (uint64_t)irs << 32 | which, period };

	return (uint32_t)siphash24(&t->key_cookie, words, sizeof(words));
}

/* Five bits of the period, three of the MSS, 24 of the hash. */
uint32_t tcp_cookie_make(struct tcp *t, const struct tcp_node *n, uint32_t irs, uint16_t mss)
{
	uint64_t period = t->env->now / COOKIE_PERIOD_NS;
	uint32_t which = 0;

	while (which + 1 < ARRAY_LEN(cookie_mss) && cookie_mss[which + 1] <= mss)
		which++;
	t->cookie_since = t->env->now;
	return (uint32_t)(period & 31) << 27 | which << 24 | (cookie_hash(t, n, irs, period, which) & 0xffffff);
}

uint16_t tcp_cookie_check(struct tcp *t, const struct tcp_node *n, uint32_t irs, uint32_t cookie)
{
	uint64_t now = t->env->now / COOKIE_PERIOD_NS;
	uint32_t which = cookie >> 24 & 7;

	for (uint64_t back = 0; back < COOKIE_PERIODS && back <= now; back++)
		if (((now - back) & 31) == cookie >> 27 &&
		    (cookie_hash(t, n, irs, now - back, which) & 0xffffff) == (cookie & 0xffffff))
			return cookie_mss[which];
	return 0;
}
