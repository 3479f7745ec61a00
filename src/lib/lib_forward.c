/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Flows to addresses that are not ours: those of src/stack/socket/socket_forward.c, told to their owner at the end of
 * the call that brought them, when the stack may be called again.
 */
#include <errno.h>

#include <yangguan/forward.h>

#include "lib/lib_priv.h"
#include "stack/socket/socket_forward.h"

/* NOLINTNEXTLINE(misc-redundant-expression): two names, of two headers */
_Static_assert(YG_REFUSE_RESET == SOCKET_REFUSE_RESET && YG_REFUSE_SILENT == SOCKET_REFUSE_SILENT, "one meaning");

int yg_forward(struct yg_stack *s, yg_flow_fn *fn, void *ctx, uint32_t max)
{
	if (s->link == NULL)
		return -EOPNOTSUPP;
	lib_enter(s);
	int rc = fn != NULL ? sockets_forward(s->ss, max) : 0;

	if (fn == NULL)
		sockets_forward_end(s->ss);
	s->flow = rc == 0 ? fn : NULL;
	s->flow_ctx = ctx;
	lib_leave(s);
	return rc;
}

int yg_flow_accept(struct yg_stack *s, uint64_t id)
{
	lib_enter(s);
	int rc = socket_flow_accept(s->ss, id);

	lib_leave(s);
	return rc;
}

int yg_flow_refuse(struct yg_stack *s, uint64_t id, int how)
{
	lib_enter(s);
	int rc = socket_flow_refuse(s->ss, id, how);

	lib_leave(s);
	return rc;
}

bool lib_tell_flows(struct yg_stack *s)
{
	struct socket_flow f;
	bool any = false;

	while (s->flow != NULL && socket_flow_next(s->ss, &f)) {
		struct yg_flow out = { .size = sizeof(out),
				       .id = f.id,
				       .protocol = f.protocol,
				       .is_gone = f.is_gone,
				       .from = lib_name_of(&f.remote),
				       .to = lib_name_of(&f.local) };

		any = true;
		s->flow(s->flow_ctx, &out);
	}
	return any;
}
