/* SPDX-License-Identifier: BSD-2-Clause: a stack in a program that waits by libevent */
#include <event2/event.h>

#include "echo_serve.h"

static void readable(evutil_socket_t fd, short what, void *ctx)
{
	echo_serve(ctx);
}

int main(void)
{
	struct echo e = echo_open();
	struct event_base *base = event_base_new();

	event_add(event_new(base, yg_host_fd(e.host), EV_READ | EV_PERSIST, readable, &e), NULL);
	return event_base_dispatch(base);
}
