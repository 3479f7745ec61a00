/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Operations that are done when they can be: yg_submit, yg_reap (yangguan/event.h).
 *
 * They stand on readiness, on the same lists: an epoll of the stack's own watches, edge-triggered, each
 * socket that has an operation waiting. An operation is tried at once; what would have to wait is queued,
 * one queue for what comes and one for what goes, and the head of a queue is tried again when its socket
 * is told of. What is done goes to one list, from which it is reaped; while that is not empty
 * the stack says that it is ready.
 */
#include <errno.h>
#include <stdlib.h>

#include <yangguan/event.h>

#include "lib/lib_priv.h"

#define EVENTS_AT_ONCE 64

enum way { WAY_IN, WAY_OUT, N_WAYS };

struct op {
	struct yg_op op;
	uint64_t sent;
	int64_t result;
	uint32_t next;
	uint8_t addr[sizeof(struct sockaddr_in)];
};

struct op_list {
	uint32_t first, last;
};

struct lib_completion {
	struct pool ops;
	struct op_list done;
	uint32_t n_numbers;
	int epoll;
	struct op_list (*queue)[N_WAYS]; /* by socket */
};

static struct op *op_at(const struct lib_completion *c, uint32_t index)
{
	return pool_at(&c->ops, index);
}

static void append(struct lib_completion *c, struct op_list *l, uint32_t index)
{
	op_at(c, index)->next = POOL_NONE;
	*(l->first == POOL_NONE ? &l->first : &op_at(c, l->last)->next) = index;
	l->last = index;
}

static uint32_t take_first(struct lib_completion *c, struct op_list *l)
{
	uint32_t index = l->first;

	l->first = op_at(c, index)->next;
	return index;
}

static enum way way_of(int kind)
{
	return kind == YG_OP_ACCEPT || kind == YG_OP_RECV ? WAY_IN : WAY_OUT;
}

/* --- one operation --- */

static bool would_wait(int64_t rc)
{
	return rc == -EAGAIN || rc == -EINPROGRESS || rc == -EALREADY;
}

/* Goes on until all of it was taken. */
static int64_t try_send(struct yg_stack *s, struct op *o)
{
	while (o->sent < o->op.len || o->op.len == 0) {
		int64_t n = socket_send(s->ss, o->op.fd, (const uint8_t *)o->op.bytes + o->sent, o->op.len - o->sent,
					o->op.flags | MSG_DONTWAIT);

		/* What was taken is said first; the error comes with the next call. */
		if (n < 0)
			return would_wait(n) || o->sent == 0 ? n : (int64_t)o->sent;
		o->sent += (uint64_t)n;
		if (o->op.len == 0)
			return 0;
	}
	return (int64_t)o->sent;
}

static int64_t try_one(struct yg_stack *s, struct op *o)
{
	switch (o->op.kind) {
	case YG_OP_ACCEPT:
		return socket_accept(s->ss, o->op.fd, NULL, NULL, o->op.flags);
	case YG_OP_CONNECT:
		return socket_connect(s->ss, o->op.fd, o->addr, o->op.addr_len);
	case YG_OP_SEND:
		return try_send(s, o);
	case YG_OP_RECV:
		return socket_recv(s->ss, o->op.fd, o->op.bytes, o->op.len, o->op.flags | MSG_DONTWAIT);
	default:
		return -EINVAL;
	}
}

static void finish(struct lib_completion *c, uint32_t index, int64_t result)
{
	op_at(c, index)->result = result;
	append(c, &c->done, index);
}

/* Those at the head of a queue, until one would wait. */
static void run_queue(struct yg_stack *s, struct op_list *q)
{
	struct lib_completion *c = s->completion;

	while (q->first != POOL_NONE) {
		int64_t rc = try_one(s, op_at(c, q->first));

		if (would_wait(rc))
			return;
		finish(c, take_first(c, q), rc);
	}
}

/* What its queues want to be told of; 0: nothing. */
static uint32_t interest(const struct lib_completion *c, int fd)
{
	return (c->queue[fd][WAY_IN].first != POOL_NONE ? YG_POLLIN | YG_POLLRDHUP : 0) |
	       (c->queue[fd][WAY_OUT].first != POOL_NONE ? YG_POLLOUT : 0);
}

/* had: what was wanted before. */
static void watch(struct yg_stack *s, int fd, uint32_t had)
{
	struct lib_completion *c = s->completion;
	uint32_t wanted = interest(c, fd);
	struct yg_epoll_event e = { .events = YG_EPOLLET | wanted, .data = (uint64_t)fd };
	int op = wanted == 0 ? YG_EPOLL_CTL_DEL : had == 0 ? YG_EPOLL_CTL_ADD : YG_EPOLL_CTL_MOD;

	if (wanted != had)
		(void)socket_epoll_ctl(s->ss, c->epoll, op, fd, &e);
}

/* --- all --- */

static int create(struct yg_stack *s)
{
	struct lib_completion *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	c->n_numbers = sockets_numbers(s->ss);
	c->done.first = POOL_NONE;
	c->epoll = socket_epoll_create(s->ss);
	c->queue = malloc(c->n_numbers * sizeof(*c->queue));
	if (c->epoll < 0 || c->queue == NULL || pool_init(&c->ops, 4 * c->n_numbers, sizeof(struct op), 16) != 0) {
		if (c->epoll >= 0)
			(void)socket_close(s->ss, c->epoll);
		free(c->queue);
		free(c);
		return -ENOMEM;
	}
	memset(c->queue, 0xff, c->n_numbers * sizeof(*c->queue));
	s->completion = c;
	return 0;
}

void lib_completion_destroy(struct yg_stack *s)
{
	if (s->completion == NULL)
		return;
	pool_fini(&s->completion->ops);
	free(s->completion->queue);
	free(s->completion);
	s->completion = NULL;
}

bool lib_completion_ready(const struct yg_stack *s)
{
	return s->completion != NULL && s->completion->done.first != POOL_NONE;
}

void lib_completion_forget(struct yg_stack *s, int fd)
{
	struct lib_completion *c = s->completion;

	if (c == NULL || fd < 0 || (uint32_t)fd >= c->n_numbers)
		return;
	for (int w = 0; w < N_WAYS; w++)
		while (c->queue[fd][w].first != POOL_NONE)
			finish(c, take_first(c, &c->queue[fd][w]), -ECANCELED);
}

/* False: there is no room for it. */
static bool submit_one(struct yg_stack *s, const struct yg_op *op)
{
	struct lib_completion *c = s->completion;
	uint32_t index = pool_alloc(&c->ops);

	if (index == POOL_NONE)
		return false;
	struct op *o = op_at(c, index);

	*o = (struct op){ .op = *op };
	if (op->kind == YG_OP_CONNECT && op->addr != NULL && op->addr_len <= sizeof(o->addr))
		memcpy(o->addr, op->addr, op->addr_len);
	if (op->kind == YG_OP_CLOSE) {
		finish(c, index, lib_close(s, op->fd));
		return true;
	}
	if (op->fd < 0 || (uint32_t)op->fd >= c->n_numbers || (op->kind == YG_OP_CONNECT && op->addr == NULL)) {
		finish(c, index, op->fd < 0 || (uint32_t)op->fd >= c->n_numbers ? -EBADF : -EINVAL);
		return true;
	}
	struct op_list *q = &c->queue[op->fd][way_of(op->kind)];
	uint32_t had = interest(c, op->fd);

	append(c, q, index);
	/* In order: behind those that wait already it waits too. */
	if (q->first == index)
		run_queue(s, q);
	watch(s, op->fd, had);
	return true;
}

int yg_submit(struct yg_stack *s, const struct yg_op *ops, unsigned int n)
{
	unsigned int taken = 0;

	if (s->completion == NULL && create(s) != 0)
		return -ENOMEM;
	lib_enter(s);
	sockets_set_wait(s->ss, NULL, NULL);
	while (taken < n && submit_one(s, &ops[taken]))
		taken++;
	yg_set_wait(s, s->wait, s->wait_ctx);
	lib_leave(s);
	return taken > 0 || n == 0 ? (int)taken : -EAGAIN;
}

/* What has become possible. */
static void look(struct yg_stack *s)
{
	struct lib_completion *c = s->completion;
	struct yg_epoll_event e[EVENTS_AT_ONCE];
	int n;

	do {
		n = socket_epoll_wait(s->ss, c->epoll, e, EVENTS_AT_ONCE, 0);
		for (int i = 0; i < n; i++) {
			int fd = (int)e[i].data;
			uint32_t had = interest(c, fd);

			run_queue(s, &c->queue[fd][WAY_OUT]);
			run_queue(s, &c->queue[fd][WAY_IN]);
			watch(s, fd, had);
		}
	} while (n == EVENTS_AT_ONCE);
}

int yg_reap(struct yg_stack *s, struct yg_done *done, unsigned int n)
{
	struct lib_completion *c = s->completion;
	unsigned int taken = 0;

	if (c == NULL)
		return 0;
	lib_enter(s);
	sockets_set_wait(s->ss, NULL, NULL);
	look(s);
	yg_set_wait(s, s->wait, s->wait_ctx);
	for (; taken < n && c->done.first != POOL_NONE; taken++) {
		uint32_t index = take_first(c, &c->done);
		const struct op *o = op_at(c, index);

		done[taken] = (struct yg_done){
			.user_data = o->op.user_data, .result = o->result, .kind = o->op.kind, .fd = o->op.fd
		};
		pool_free(&c->ops, index);
	}
	lib_leave(s);
	return (int)taken;
}
