/* SPDX-License-Identifier: BSD-2-Clause: a stack in a program that waits by libuv */
#include <uv.h>

#include "echo_serve.h"

static void readable(uv_poll_t *poll, int status, int events)
{
	echo_serve(poll->data);
}

int main(void)
{
	struct echo e = echo_open();
	uv_poll_t poll;

	uv_poll_init(uv_default_loop(), &poll, yg_host_fd(e.host));
	poll.data = &e;
	uv_poll_start(&poll, UV_READABLE, readable);
	return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
