/* SPDX-License-Identifier: BSD-2-Clause: an echo server as in a textbook, on a stack of its own over a TAP */
#include <stdio.h>
#include <yangguan/linux.h>
#define YG_BSD_NAMES
#include <yangguan/bsd.h>

YG_BSD_STACK;

int main(void)
{
	struct yg_host_config c = { .size = sizeof(c), .tap = "yg0", .address = "10.9.0.2/24" };
	struct yg_host *h = yg_host_open(&c);
	if (h == NULL)
		return 1; /* it has said why */
	yg_bsd_stack = yg_host_stack(h);
	yg_set_wait(yg_bsd_stack, yg_host_wait, h);

	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(7) };
	int client, server = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(server, (struct sockaddr *)&any, sizeof(any)) != 0 || listen(server, 128) != 0)
		return perror("port 7"), 1;
	for (char b[4096]; (client = accept(server, NULL, NULL)) >= 0; close(client))
		for (ssize_t n; (n = read(client, b, sizeof(b))) > 0 && write(client, b, (size_t)n) == n;)
			;
	return perror("accept"), 1;
}
