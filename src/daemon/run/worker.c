/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The worker's loop: a batch from each device in turn, through the core, timers
 * when they are due, the mailbox, and sleep when there is nothing.
 *
 * Sleep is poll() until the core's next deadline, so an idle gateway wakes up
 * only for its timers. Behind packets it keeps looking for a while before it
 * sleeps, for as long as that would have paid lately (spin.h).
 *
 * Several workers hand packets to each other (src/core/workers/workers.h). A worker that goes to
 * sleep first says so (asleep), then looks once more at what others have handed
 * over; who hands over first publishes, then looks at asleep. Both by an exchange, so
 * that one of them sees the other: nothing is slept over, and
 * nobody makes a system call to wake a worker that is awake.
 *
 * Mailbox: one call at a time, from the control thread. It puts the call's
 * address into `call`, writes the eventfd and waits on the semaphore; the worker
 * looks at `call` once a round. What it tells the control thread: worker_tell.c.
 *
 * Next: src/core/workers/core_api.c
 */
#include "daemon/run/worker_priv.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"

/* A descriptor that reports an error so many times in a row, with nothing to read, is left alone for so long. */
#define ERRORS_MAX 16u
#define MUTE_NS (100 * NS_PER_MS)

uint64_t worker_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

struct worker *worker_create(void)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	(void)sem_init(&w->call_done, 0, 0);
	(void)sem_init(&w->quiesced, 0, 0);
	(void)sem_init(&w->go, 0, 0);
	if (w->wake_fd < 0 || w->notify_fd < 0) {
		if (w->wake_fd >= 0)
			close(w->wake_fd);
		if (w->notify_fd >= 0)
			close(w->notify_fd);
		free(w);
		return NULL;
	}
	worker_want_events(w, 0);
	return w;
}

void worker_destroy(struct worker *w)
{
	if (w == NULL)
		return;
	close(w->wake_fd);
	close(w->notify_fd);
	sem_destroy(&w->call_done);
	sem_destroy(&w->quiesced);
	sem_destroy(&w->go);
	free(w);
}

void worker_wake(struct worker *w)
{
	/* Of two exchanges one is first: either this one finds it asleep, or it sees what was published before. */
	if (atomic_exchange(&w->asleep, false))
		worker_kick(w->wake_fd);
}

void worker_socket_told(void *ctx)
{
	struct worker *w = ctx;

	atomic_store(&w->raw_arrived, true);
	w->notify_wanted = true;
}

static void raw_ready(void *ctx, int socket)
{
	worker_socket_told(ctx);
}

void worker_set_core_api(struct worker *w, struct core_api *e)
{
	w->entry = e;
	/* Sockets are the host's. */
	if (gateway_sockets(e->gateway) == NULL)
		return;
	ping_sockets_set_ready(gateway_ping_sockets(e->gateway), raw_ready, w);
	sockets_set_told(gateway_sockets(e->gateway), worker_socket_told, w);
}

/* --- devices --- */

void worker_set_device(struct worker *w, uint32_t ifindex, struct device *d, uint64_t now)
{
	uint32_t i = 0;

	while (i < w->n_ports && w->port[i].ifindex != ifindex)
		i++;
	core_api_attach(w->entry, ifindex, d, now);
	if (d != NULL) {
		w->port[i] = (struct port){ .ifindex = ifindex, .device = d, .fd = d->ops->poll_fd(d) };
		if (i == w->n_ports)
			w->n_ports++;
	} else if (i < w->n_ports) {
		w->port[i] = w->port[--w->n_ports];
	}
}

void worker_refresh_device(struct worker *w, uint32_t ifindex)
{
	for (uint32_t i = 0; i < w->n_ports; i++)
		if (w->port[i].ifindex == ifindex) {
			w->port[i].fd = w->port[i].device->ops->poll_fd(w->port[i].device);
			w->port[i].muted_until = 0;
		}
}

/* --- the loop --- */

static void run_call(struct worker *w, const struct call *c)
{
	gateway_set_time(w->entry->gateway, worker_clock());
	c->fn(c->arg);
	core_api_flush(w->entry, worker_clock());
	worker_send_notify(w);
}

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem) != 0 && errno == EINTR)
		;
}

static void quiesce(struct worker *w)
{
	sem_post(&w->quiesced);
	wait_for(&w->go);
	worker_send_notify(w);
}

/* True when there was a call: it may have changed anything, also whether to go on. */
static bool check_mailbox(struct worker *w)
{
	struct call *c = atomic_load_explicit(&w->call, memory_order_acquire);
	if (c == NULL)
		return false;
	if (c->fn != NULL)
		run_call(w, c);
	else
		quiesce(w);
	atomic_store_explicit(&w->call, NULL, memory_order_relaxed);
	sem_post(&w->call_done);
	return true;
}

void worker_call(struct worker *w, worker_fn *fn, void *arg)
{
	struct call c = { .fn = fn, .arg = arg };

	if (!w->running) {
		run_call(w, &c);
		return;
	}
	atomic_store_explicit(&w->call, &c, memory_order_release);
	worker_kick(w->wake_fd);
	wait_for(&w->call_done);
}

void worker_quiesce(struct worker *w)
{
	if (!w->running)
		return;
	w->park = (struct call){ 0 };
	atomic_store_explicit(&w->call, &w->park, memory_order_release);
	worker_kick(w->wake_fd);
}

void worker_is_quiesced(struct worker *w)
{
	if (w->running)
		wait_for(&w->quiesced);
}

void worker_resume(struct worker *w)
{
	if (!w->running) {
		worker_send_notify(w);
		return;
	}
	sem_post(&w->go);
	wait_for(&w->call_done);
}

/* A batch from each device. Returns the packets, and the time in *now. */
static uint32_t receive(struct worker *w, uint64_t *now)
{
	struct stages *stages = &gateway_env(w->entry->gateway)->stages;
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->n_ports; i++) {
		struct device *d = w->port[i].device;
		uint64_t start = stages->clock != NULL ? stages->clock() : 0;
		struct batch b;
		b.n = 0;
		w->port[i].is_empty = d->ops->rx(d, &b, BATCH_MAX) == 0;
		if (w->port[i].is_empty)
			continue;
		stage_add(stages, STAGE_RECEIVE, b.n, start);
		n += b.n;
		w->port[i].n_errors = 0;
		*now = worker_clock();
		core_api_input(w->entry, w->port[i].ifindex, &b, *now);
	}
	if (n == 0)
		*now = worker_clock();
	return n;
}

/* What others have handed over. When that is nothing either, whatever came by an empty port has been dealt with. */
static uint32_t take_over(struct worker *w, uint64_t now)
{
	uint32_t n_empty = 0, n;

	for (uint32_t i = 0; i < w->n_ports; i++)
		n_empty += w->port[i].is_empty;
	if (n_empty == 0 && w->n_ports > 0)
		return 0;
	n = core_api_poll(w->entry, now);
	for (uint32_t i = 0; i < w->n_ports && n == 0; i++)
		if (w->port[i].is_empty)
			gateway_seen_empty(w->entry->gateway, w->port[i].ifindex);
	return n;
}

static uint64_t next_deadline(struct worker *w)
{
	uint64_t next = core_api_next_deadline(w->entry);

	for (uint32_t i = 0; i < w->n_ports; i++) {
		struct device *d = w->port[i].device;
		if (d->ops->next != NULL)
			next = min_u64(next, d->ops->next(d));
	}
	return next;
}

static void drain_wake(struct worker *w)
{
	uint64_t n;

	while (read(w->wake_fd, &n, sizeof(n)) < 0 && errno == EINTR)
		;
}

/* Waits for a packet, a call, or the deadline. */
static void sleep_until(struct worker *w, uint64_t now, uint64_t deadline)
{
	struct pollfd fd[IP_INTERFACES_MAX + 1] = { { .fd = w->wake_fd, .events = POLLIN } };

	for (uint32_t i = 0; i < w->n_ports; i++) {
		bool muted = w->port[i].muted_until > now;
		fd[i + 1] = (struct pollfd){ .fd = muted ? -1 : w->port[i].fd, .events = POLLIN };
		if (muted)
			deadline = min_u64(deadline, w->port[i].muted_until);
	}
	struct timespec timeout = { 0 };
	if (deadline > now) {
		timeout.tv_sec = (time_t)((deadline - now) / NS_PER_S);
		timeout.tv_nsec = (long)((deadline - now) % NS_PER_S);
	}
	grace_leave(w->reader);
	int n = ppoll(fd, w->n_ports + 1, deadline == TIME_NEVER ? NULL : &timeout, NULL);
	grace_enter(w->reader);
	if (n <= 0)
		return;
	if (fd[0].revents != 0)
		drain_wake(w);
	for (uint32_t i = 0; i < w->n_ports; i++) {
		bool error = (fd[i + 1].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
		if (error && ++w->port[i].n_errors > ERRORS_MAX)
			w->port[i].muted_until = now + MUTE_NS;
		else if (!error && w->port[i].muted_until <= now)
			w->port[i].n_errors = 0;
	}
}

/* Sleeps unless others hand something over in the last moment. Returns how much that was. */
static uint32_t sleep_when_all_is_done(struct worker *w, uint64_t now)
{
	uint32_t n;

	(void)atomic_exchange(&w->asleep, true); /* before the look; see worker_wake */
	n = core_api_poll(w->entry, now);
	if (n == 0)
		sleep_until(w, now, next_deadline(w));
	atomic_store_explicit(&w->asleep, false, memory_order_relaxed);
	return n;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	grace_enter(w->reader);
	while (!w->stop) {
		uint64_t now;

		grace_pass(w->reader);
		uint32_t n = receive(w, &now);
		n += take_over(w, now);
		if (core_api_next_deadline(w->entry) <= now)
			core_api_expire(w->entry, now);
		if (check_mailbox(w))
			continue;
		worker_send_notify(w);
		if (n > 0) {
			spin_found(&w->spin, now);
			continue;
		}
		if (spin_goes_on(&w->spin, now)) {
			spin_relax();
			continue;
		}
		core_api_idle(w->entry);
		/* The recorder may have had to say something. */
		worker_send_notify(w);
		if (sleep_when_all_is_done(w, now) > 0)
			spin_found(&w->spin, now);
	}
	grace_leave(w->reader);
	return NULL;
}

void worker_set_reader(struct worker *w, struct grace_reader *r)
{
	w->reader = r;
}

int worker_start(struct worker *w)
{
	char name[16] = "worker";
	sigset_t all, old;

	/* Signals are the control thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	w->stop = false;
	int rc = pthread_create(&w->thread, NULL, worker_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0)
		return -rc;
	w->running = true;
	if (w->entry->worker == workers_n(w->entry->workers))
		snprintf(name, sizeof(name), "host");
	else if (workers_n(w->entry->workers) > 1)
		snprintf(name, sizeof(name), "worker-%u", w->entry->worker);
	pthread_setname_np(w->thread, name);
	return 0;
}

static void set_stop(void *arg)
{
	((struct worker *)arg)->stop = true;
}

void worker_stop(struct worker *w)
{
	if (!w->running)
		return;
	worker_call(w, set_stop, w);
	pthread_join(w->thread, NULL);
	w->running = false;
}
