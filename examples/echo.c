/* SPDX-License-Identifier: BSD-2-Clause: an echo server on a stack of its own, over a TAP */
#include <yangguan/event.h>
#include <yangguan/linux.h>
#include <yangguan/socket.h>

int main(void)
{
	struct yg_host *h = yg_host_open(&(struct yg_host_config){
		.size = sizeof(struct yg_host_config), .tap = "yg0", .address = "10.9.0.2/24" });
	if (h == NULL)
		return 1; /* it has said why */
	struct yg_stack *s = yg_host_stack(h);
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(7) };
	int ep = yg_epoll_create(s), srv = yg_socket(s, AF_INET, SOCK_STREAM, 0), c;
	yg_bind(s, srv, (struct sockaddr *)&any, sizeof(any));
	yg_listen(s, srv, 128);
	yg_epoll_ctl(s, ep, EPOLL_CTL_ADD, srv, &(struct epoll_event){ EPOLLIN, { .fd = srv } });
	for (char b[4096];; poll(&(struct pollfd){ yg_host_fd(h), POLLIN, 0 }, 1, -1), yg_host_run(h)) {
		for (struct epoll_event e; yg_epoll_wait(s, ep, &e, 1, 0) == 1;) {
			ssize_t n = e.data.fd == srv ? 0 : yg_recv(s, e.data.fd, b, sizeof(b), MSG_DONTWAIT);
			if (e.data.fd == srv && (c = yg_accept(s, srv, NULL, NULL)) >= 0)
				yg_epoll_ctl(s, ep, EPOLL_CTL_ADD, c, &(struct epoll_event){ EPOLLIN, { .fd = c } });
			else if (n > 0)
				yg_send(s, e.data.fd, b, (size_t)n,
					MSG_DONTWAIT); /* a real one keeps what did not fit */
			else if (e.data.fd != srv)
				yg_close(s, e.data.fd);
		}
	}
}
