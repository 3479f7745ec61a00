/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How long a worker goes on looking for packets before it sleeps.
 *
 * To be woken costs whoever sends us the packet: the kernel calls the sleeper's
 * processor, and does so in the very softirq that forwards all others (some
 * microseconds, half a hundred forwarded packets). Nobody who looks is woken. So
 * while packets come less than SPIN_MAX_NS apart the worker looks for them, also
 * when it slept through the last gap: twice as long each time. After a gap that no
 * looking would have bridged it looks a quarter as long, so that pairs of packets
 * with long pauses between them do not keep it awake.
 *
 * Between two looks it rests the processor (spin_relax). The other processor may
 * be the same core's other half, whatever a hypervisor calls it, and a loop at full
 * speed takes a seventh of its rate.
 */
#ifndef YG_DAEMON_RUN_SPIN_H
#define YG_DAEMON_RUN_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

#define SPIN_MIN_NS (1 * NS_PER_US)
#define SPIN_MAX_NS (200 * NS_PER_US)
/* Half a microsecond to two, whatever the processor makes of it. */
#define SPIN_PAUSES 32

/* All zero: nothing has come yet. */
struct spin {
	uint64_t last_ns; /* when something was found last */
	uint64_t look_ns; /* so long after that it still looks */
	bool busy;        /* the last look found something */
};

/* Something came, at now. */
static inline void spin_found(struct spin *s, uint64_t now)
{
	if (!s->busy && now - s->last_ns < SPIN_MAX_NS)
		s->look_ns = min_u64(max_u64(s->look_ns * 2, SPIN_MIN_NS), SPIN_MAX_NS);
	else if (!s->busy)
		s->look_ns = max_u64(s->look_ns / 4, SPIN_MIN_NS);
	s->busy = true;
	s->last_ns = now;
}

/* Nothing came. False: sleep. */
static inline bool spin_goes_on(struct spin *s, uint64_t now)
{
	s->busy = false;
	return now - s->last_ns < s->look_ns;
}

static inline void spin_relax(void)
{
	for (int i = 0; i < SPIN_PAUSES; i++) {
#if defined(__x86_64__)
		__builtin_ia32_pause();
#elif defined(__aarch64__)
		__asm__ volatile("isb" ::: "memory");
#else
		__asm__ volatile("" ::: "memory");
#endif
	}
}

#endif
