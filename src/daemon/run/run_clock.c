/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The wall clock of a running gateway. A core's clock never goes back and knows no
 * date; what people read, and ICMP timestamps, add an offset to it. Somebody may set
 * the machine's clock at any time, or a time daemon pull at it: the offset follows,
 * at once where the kernel says that the clock was set (a timer that is cancelled by
 * that), and in any case when it is looked at, each second.
 */
#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "daemon/run/run_priv.h"

/* Less than this is not told: readings of two clocks are never of one moment. */
#define STEP_NS NS_PER_MS

uint64_t run_wall_offset(uint64_t now)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec - now;
}

struct wall_call {
	struct core_api *entry;
	uint64_t offset_ns;
};

static void set_wall(void *arg)
{
	struct wall_call *c = arg;

	core_api_set_wall(c->entry, c->offset_ns, worker_clock());
}

void run_clock_look(struct run *r)
{
	uint64_t offset = run_wall_offset(worker_clock());
	int64_t step = (int64_t)(offset - r->target.env->wall_offset_ns);

	if (step < (int64_t)STEP_NS && step > -(int64_t)STEP_NS)
		return;
	for (uint32_t i = 0; i < r->n_members; i++) {
		struct wall_call c = { .entry = &r->core[i].entry, .offset_ns = offset };
		worker_call(r->core[i].worker, set_wall, &c);
	}
}

int run_clock_open(void)
{
	/* It never fires; but it is cancelled when the clock is set. */
	static const struct itimerspec never = { .it_value.tv_sec = INT32_MAX };
	int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd >= 0)
		timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
	return fd;
}

void run_clock_was_set(struct run *r, int fd)
{
	uint64_t n;

	/* ECANCELED: from here on the next time counts. */
	if (read(fd, &n, sizeof(n)) < 0 && errno == EAGAIN)
		return;
	run_clock_look(r);
}
