/* SPDX-License-Identifier: BSD-2-Clause: an echo server over a TAP, for the loops beside this file */
#ifndef ECHO_SERVE_H
#define ECHO_SERVE_H

#include <stdlib.h>
#include <yangguan/event.h>
#include <yangguan/linux.h>
#include <yangguan/socket.h>

struct echo {
	struct yg_host *host;
	struct yg_stack *stack;
	int epoll, server;
};

static inline struct echo echo_open(void)
{
	struct yg_host_config c = { .size = sizeof(c), .tap = "yg0", .address = "10.9.0.2/24" };
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(7) };
	struct echo e = { .host = yg_host_open(&c) };

	if (e.host == NULL)
		exit(1); /* it has said why */
	e.stack = yg_host_stack(e.host);
	e.epoll = yg_epoll_create(e.stack);
	e.server = yg_socket(e.stack, AF_INET, SOCK_STREAM, 0);
	yg_bind(e.stack, e.server, (struct sockaddr *)&any, sizeof(any));
	yg_listen(e.stack, e.server, 128);
	yg_epoll_ctl(e.stack, e.epoll, EPOLL_CTL_ADD, e.server, &(struct epoll_event){ EPOLLIN, { .fd = e.server } });
	return e;
}

/* yg_host_fd is readable: what is to be done, until nothing is. */
static inline void echo_serve(struct echo *e)
{
	char b[4096];

	yg_host_run(e->host);
	for (struct epoll_event v; yg_epoll_wait(e->stack, e->epoll, &v, 1, 0) == 1;) {
		int fd = v.data.fd, c = fd == e->server ? yg_accept(e->stack, fd, NULL, NULL) : -1;
		ssize_t n = fd == e->server ? 0 : yg_recv(e->stack, fd, b, sizeof(b), MSG_DONTWAIT);

		if (c >= 0)
			yg_epoll_ctl(e->stack, e->epoll, EPOLL_CTL_ADD, c,
				     &(struct epoll_event){ EPOLLIN, { .fd = c } });
		else if (n > 0)
			yg_send(e->stack, fd, b, (size_t)n, MSG_DONTWAIT); /* a real one keeps what did not fit */
		else if (fd != e->server)
			yg_close(e->stack, fd);
	}
}

#endif
