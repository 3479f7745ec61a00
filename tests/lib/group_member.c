/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For groups_test: a stack over the TAP yg0, 10.9.0.2/24, that joins 239.1.2.3, says
 * what comes to port 5000, and leaves at the first byte on its standard input.
 */
#include <yangguan/event.h>
#include <yangguan/linux.h>
#include <yangguan/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	struct yg_host *h = yg_host_open(&(struct yg_host_config){
		.size = sizeof(struct yg_host_config), .tap = "yg0", .address = "10.9.0.2/24" });

	if (h == NULL)
		return 1;
	struct yg_stack *s = yg_host_stack(h);
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(5000) };
	struct ip_mreq group = { .imr_multiaddr.s_addr = inet_addr("239.1.2.3"),
				 .imr_interface.s_addr = inet_addr("10.9.0.2") };
	int fd = yg_socket(s, AF_INET, SOCK_DGRAM, 0);

	if (yg_bind(s, fd, (struct sockaddr *)&any, sizeof(any)) != 0 ||
	    yg_setsockopt(s, fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)) != 0)
		return 1;
	yg_host_run(h);
	puts("joined");
	fflush(stdout);
	for (;;) {
		struct pollfd p[2] = { { yg_host_fd(h), POLLIN, 0 }, { STDIN_FILENO, POLLIN, 0 } };
		char b[2000];

		if (poll(p, 2, -1) < 0)
			return 1;
		yg_host_run(h);
		for (ssize_t n; (n = yg_recv(s, fd, b, sizeof(b), MSG_DONTWAIT)) > 0;) {
			printf("heard %.*s\n", (int)n, b);
			fflush(stdout);
		}
		if (p[1].revents == 0)
			continue;
		if (read(STDIN_FILENO, b, 1) <= 0)
			break;
		if (yg_setsockopt(s, fd, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof(group)) != 0)
			return 1;
		yg_host_run(h);
		puts("left");
		fflush(stdout);
	}
	yg_host_close(h);
	return 0;
}
