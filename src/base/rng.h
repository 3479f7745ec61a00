/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Random numbers for one worker: the ChaCha20 key stream of a seed that the
 * caller passes in (RFC 8439 section 2.3). The same seed gives the same
 * numbers, so a run can be replayed; without the seed they cannot be guessed,
 * as RFC 6056 and RFC 6528 ask of ports and sequence numbers.
 */
#ifndef YG_BASE_RNG_H
#define YG_BASE_RNG_H

#include <stdint.h>

#define RNG_SEED_BYTES 32

struct rng {
	uint32_t state[16];
	uint32_t block[16];
	uint32_t n_left; /* words of block not yet handed out */
};

void rng_init(struct rng *r, const uint8_t seed[RNG_SEED_BYTES]);
/* Another key stream of the same seed, for number which from 1 on: r goes on as if nothing had been asked. */
void rng_fork(const struct rng *r, uint32_t which, struct rng *out);
uint32_t rng_u32(struct rng *r);
uint64_t rng_u64(struct rng *r);
/* Uniform in 0 .. bound-1 without bias (Lemire 2019); bound > 0. */
uint32_t rng_below(struct rng *r, uint32_t bound);
/* The same, and a second number of 32 bits for whoever finds that the first will not do: of many draws of which a part
 * is refused by the first, the second is uniform. It costs no more of the stream. */
uint32_t rng_below_spread(struct rng *r, uint32_t bound, uint32_t *spread);

#endif
