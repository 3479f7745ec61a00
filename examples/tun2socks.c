/* SPDX-License-Identifier: BSD-2-Clause: TCP that comes by a TUN goes on through a SOCKS5 proxy: tun2socks PROXY PORT
 */
#include <yangguan/linux.h>

#include "socks_relay.h"

int main(int argc, char **argv)
{
	struct yg_host_config c = { .size = sizeof(c), .tun = "yg0", .address = "10.9.0.2/24" };
	struct yg_host *h = argc == 3 && inet_aton(argv[1], &proxy.sin_addr) ? yg_host_open(&c) : NULL;
	if (h == NULL)
		return 1;
	proxy.sin_port = htons((uint16_t)atoi(argv[2])), s = yg_host_stack(h), ep = epoll_create1(0);
	yg_forward(s, told, NULL, 0), epoll_ctl(ep, EPOLL_CTL_ADD, yg_host_fd(h), &(struct epoll_event){ EPOLLIN });
	for (struct epoll_event e[64];; epoll_wait(ep, e, 64, -1), yg_host_run(h))
		all_go_on();
}
