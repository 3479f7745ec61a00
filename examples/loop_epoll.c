/* SPDX-License-Identifier: BSD-2-Clause: a stack in a program that waits by epoll */
#include <sys/epoll.h>

#include "echo_serve.h"

int main(void)
{
	struct echo e = echo_open();
	int ep = epoll_create1(0);

	epoll_ctl(ep, EPOLL_CTL_ADD, yg_host_fd(e.host), &(struct epoll_event){ EPOLLIN, { .ptr = &e } });
	for (struct epoll_event v;;)
		if (epoll_wait(ep, &v, 1, -1) == 1)
			echo_serve(v.data.ptr);
}
