/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How a stack of the library is entered and left, whatever it stands on: an interface of its own
 * (lib_own.c), or the core of a gateway whose host it is (src/daemon/embed/embed_gateway.c).
 *
 * Whoever is in a stack already (its output slot, a wait) may give it packets: they wait until
 * the call that is in it ends. So two stacks can give each other's output to one another
 * directly, however long they talk.
 *
 * Next: src/lib/lib_own.c
 */
#include "lib/lib_priv.h"

const char *yg_version(void)
{
	return YG_VERSION;
}

static void take_waiting(struct yg_stack *s)
{
	while (s->waiting.first != NULL) {
		struct batch b = { .n = 0 };

		lib_waiting_take(&s->waiting, &b);
		s->ops->input(s, &b);
		ip_flush(s->ip);
	}
}

void lib_enter(struct yg_stack *s)
{
	s->depth++;
}

void lib_leave(struct yg_stack *s)
{
	if (s->depth == 1) {
		do {
			ip_flush(s->ip);
			take_waiting(s);
		} while (lib_tell_flows(s));
	}
	if (--s->depth > 0 || s->changed == NULL)
		return;
	uint64_t deadline = yg_next_deadline(s);
	int ready = sockets_any_ready(s->ss) || lib_completion_ready(s);

	if (deadline == s->told_deadline && ready == s->told_ready)
		return;
	s->told_deadline = deadline;
	s->told_ready = ready;
	s->changed(s->ctx, deadline, ready);
}

void lib_set_time(struct yg_stack *s, uint64_t now)
{
	s->env->now = max_u64(s->env->now, now);
}

void yg_run(struct yg_stack *s, uint64_t now)
{
	if (s->depth > 0)
		return;
	lib_enter(s);
	lib_set_time(s, now);
	s->ops->expire(s);
	lib_leave(s);
}

uint64_t yg_next_deadline(const struct yg_stack *s)
{
	return s->ops->next_deadline(s);
}

uint64_t yg_now(const struct yg_stack *s)
{
	return s->env->now;
}

void yg_set_wall(struct yg_stack *s, uint64_t offset)
{
	s->env->wall_offset_ns = offset;
}

/* Nobody is in it while it waits. */
static int wait_outside(void *ctx, uint64_t deadline)
{
	struct yg_stack *s = ctx;
	uint32_t depth = s->depth;

	ip_flush(s->ip);
	take_waiting(s);
	s->depth = 0;
	int rc = s->wait(s->wait_ctx, deadline);

	s->depth = depth;
	return rc;
}

void yg_set_wait(struct yg_stack *s, yg_wait_fn *fn, void *ctx)
{
	s->wait = fn;
	s->wait_ctx = ctx;
	sockets_set_wait(s->ss, fn != NULL ? wait_outside : NULL, s);
}

void lib_stack_end(struct yg_stack *s)
{
	lib_waiting_free(&s->waiting, s->env->pool);
	lib_completion_destroy(s);
	lib_trace_end(s, -1);
}
