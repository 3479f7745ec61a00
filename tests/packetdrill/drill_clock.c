/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The tool waits by usleep until shortly before a time, and then asks gettimeofday in a loop
 * until it has come; so each question moves the clock on a little. Asking for a packet
 * moves it on to whatever is due next, until there is one. Nothing else does, and
 * what a machine is busy with meanwhile is of no account.
 *
 * A call that may block comes on a second thread, which sleeps here. Whatever happens, time stands still until it has
 * looked whether what it waits for is there; and when it has returned, until it has read the clock, which it does first
 * of all. (Before the call the second thread waits for its time as the first does, which then sleeps.)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "drill.h"

int drill_output(void *user, struct yg_packet *const *packets, unsigned int n)
{
	struct drill *d = user;

	for (unsigned int i = 0; i < n; i++) {
		size_t len = yg_packet_len(packets[i], d->stack);
		struct drill_packet *p = malloc(sizeof(*p) + len);

		if (p != NULL) {
			p->next = NULL;
			p->usecs = (long long)(d->now / NS_PER_US);
			p->len = len;
			memcpy(p->bytes, yg_packet_data(packets[i], d->stack), len);
			*(d->first == NULL ? &d->first : &d->last->next) = p;
			d->last = p;
		}
		yg_packet_free(d->stack, packets[i]);
	}
	return (int)n;
}

void drill_settle(struct drill *d)
{
	d->turn++;
	d->is_sleeping = false;
	pthread_cond_broadcast(&d->woken);
	while (d->is_within && !d->is_sleeping)
		pthread_cond_wait(&d->settled, &d->lock);
}

uint64_t drill_next(const struct drill *d)
{
	return min_u64(yg_next_deadline(d->stack), d->is_within ? d->wait_until : DRILL_NEVER);
}

void drill_advance(struct drill *d, uint64_t until)
{
	uint64_t next;

	while ((next = drill_next(d)) <= until) {
		d->now = max_u64(d->now, next);
		yg_run(d->stack, d->now);
		drill_settle(d);
	}
	d->now = max_u64(d->now, until);
	yg_run(d->stack, d->now);
	drill_settle(d);
}

/* A call of the first thread waits as if it were alone. */
static int wait_alone(struct drill *d, uint64_t deadline)
{
	uint64_t next = min_u64(yg_next_deadline(d->stack), deadline);

	if (next == DRILL_NEVER)
		return -EDEADLK;
	d->now = max_u64(d->now, next);
	yg_run(d->stack, d->now);
	return 0;
}

int drill_wait(void *user, uint64_t deadline)
{
	struct drill *d = user;
	uint64_t turn = d->turn;

	if (pthread_equal(pthread_self(), d->main))
		return wait_alone(d, deadline);
	d->wait_until = deadline;
	d->is_within = true;
	d->is_sleeping = true;
	pthread_cond_broadcast(&d->settled);
	while (d->turn == turn)
		pthread_cond_wait(&d->woken, &d->lock);
	d->wait_until = DRILL_NEVER;
	return 0;
}
