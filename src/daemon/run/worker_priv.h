/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What worker.c (the loop, the mailbox, the devices) and worker_tell.c (what the
 * control thread is told) share.
 */
#ifndef YG_DAEMON_RUN_WORKER_PRIV_H
#define YG_DAEMON_RUN_WORKER_PRIV_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "daemon/control/commands/target.h"
#include "daemon/run/spin.h"
#include "daemon/run/worker.h"

#define RING_EVENTS 4096u /* a power of two */

struct port {
	uint32_t ifindex;
	struct device *device;
	int fd;
	bool is_empty;     /* in this round nothing was received */
	uint32_t n_errors; /* polls in a row that reported an error and no packet */
	uint64_t muted_until;
};

struct call {
	worker_fn *fn; /* NULL: quiesce until `go` */
	void *arg;
};

struct worker {
	struct core_api *entry;
	atomic_bool asleep; /* or about to be */
	pthread_t thread;
	bool running;
	uint32_t n_ports;
	struct port port[IP_INTERFACES_MAX];
	struct spin spin;
	struct grace_reader *reader;

	/* mailbox */
	_Atomic(struct call *) call;
	sem_t call_done;
	struct call park;
	sem_t quiesced, go;
	int wake_fd;
	bool stop;

	/* to the control thread */
	int notify_fd;
	bool notify_wanted;      /* the producer's own */
	atomic_bool notify_sent; /* and not read yet */
	_Atomic uint32_t wanted; /* kinds */
	atomic_bool raw_arrived;
	struct log_ring *log;
	atomic_bool log_wanted, log_arrived;
	_Atomic uint64_t n_lost;
	_Atomic uint32_t head, tail; /* of the ring: next to write, next to read */
	struct yg_event ring[RING_EVENTS];
};

/* Wakes whoever waits for this eventfd. */
void worker_kick(int fd);
/* At the end of a round: wakes the control thread if there is something for it, once between two looks of its. */
void worker_send_notify(struct worker *w);

#endif
